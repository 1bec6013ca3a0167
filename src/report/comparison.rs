//! Renderings of settings side by side.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::Format;
use super::grid::{Column, Grid};
use super::over_time::OverTime;
use super::page::{Page, Tone};
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::results::text::{column, counted, grouped, ratio, ratios, share_cell, short};
use crate::results::{ComparedRunRow, ComparedSettingRow, ComparisonDocument, DivisorDocument, DivisorRow};

/// Writes a comparison.
///
/// # Errors
/// If writing fails.
pub fn write_comparison(
    report: &ComparisonDocument,
    format: Format,
    screen: &Screen,
    n_dimensions: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => {
            serde_json::to_writer(&mut *out, report)?;
            writeln!(out)
        }
        Format::Ndjson => {
            for run in &report.runs {
                serde_json::to_writer(&mut *out, run)?;
                writeln!(out)?;
            }
            Ok(())
        }
        Format::Csv | Format::Parquet | Format::Arrow => tidy(report).write(format, out),
        Format::Table | Format::Markdown => {
            write_compared(report, n_dimensions, &mut Page::new(format, screen, out))
        }
    }
}

fn write_compared(report: &ComparisonDocument, n_dimensions: usize, page: &mut Page<'_>) -> io::Result<()> {
    page.verdict(&report.verdict, Tone::Neutral)?;
    page.title(&format!(
        "{} under {}, updated every {}{}",
        report.target,
        counted(setting_count(report) as u64, "setting"),
        report.update_every,
        report.device_name.as_ref().map_or_else(String::new, |name| format!(", on {name}"))
    ))?;
    for run in &report.runs {
        page.blank()?;
        let shift = match (run.shift_at, run.shift_given) {
            (Some(step), true) => format!("shift given at vector step {}", grouped(step)),
            (Some(step), false) => format!("shift found at vector step {}", grouped(step)),
            (None, true) => "the recording ends before the shift given".to_owned(),
            (None, false) => match &run.shift_reason {
                Some(reason) => format!("cannot tell whether it shifts, for {reason}"),
                None => "no shift found".to_owned(),
            },
        };
        let name = if report.runs.len() > 1 { format!("run {}: ", run.run_id) } else { String::new() };
        page.line(&format!("{name}{shift}"))?;
        let listed = listed_settings(run);
        page.grid(&settings_grid(run, &listed, has_other_steps(report)))?;
        let left = run.settings.len() - listed.len();
        if left > 0 {
            page.line(&format!(
                "{} settings more are not listed; --format json or csv holds all",
                grouped(left as u64)
            ))?;
        }
        if let Some(grid) = over_time(report, run, page) {
            page.blank()?;
            page.grid(&grid)?;
        }
    }
    if n_dimensions > 0 {
        page.blank()?;
        page.grid(&per_dimension(report, n_dimensions))?;
    }
    Ok(())
}

/// Dimensions whose rows are shown over time.
const DIMENSIONS_OVER_TIME: usize = 6;

/// Mean and deviation of the rows themselves over time, of the dimensions that shift first.
fn over_time(report: &ComparisonDocument, run: &ComparedRunRow, page: &Page<'_>) -> Option<Grid> {
    let windows = run.windows.as_ref().filter(|_| page.draws())?;
    let pictures = OverTime::new(windows, run.shift_update, page.glyphs())?;
    let shifted =
        run.settings.first().and_then(|setting| setting.shifted_dimensions.as_deref()).unwrap_or(&[]);
    let names = report.dimension_names();
    let others = (0..names.len()).filter(|dim| !shifted.contains(dim));
    let dimensions: Vec<usize> = shifted.iter().copied().chain(others).take(DIMENSIONS_OVER_TIME).collect();
    let [mean, sd] = pictures.columns();
    let mut grid = Grid::new(vec![Column::left("dimension"), mean, sd]);
    for dim in dimensions {
        let [mean, sd] = pictures.cells(dim);
        grid.row(vec![names[dim].clone(), mean, sd]);
    }
    Some(grid)
}

fn setting_count(report: &ComparisonDocument) -> usize {
    report.runs.first().map_or(0, |run| run.settings.len())
}

fn average(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The slowest of the dimensions, or that some never arrive.
fn slowest(lags: &[Option<u64>], counted: impl Fn(usize) -> bool) -> String {
    let counted: Vec<Option<u64>> =
        lags.iter().enumerate().filter(|(d, _)| counted(*d)).map(|(_, lag)| *lag).collect();
    if counted.is_empty() {
        return "-".to_owned();
    }
    let never = counted.iter().filter(|lag| lag.is_none()).count();
    match (never, counted.iter().flatten().max()) {
        (0, Some(lag)) => grouped(*lag),
        (never, _) => format!("never ({never} of {})", counted.len()),
    }
}

/// Settings up to which all are listed.
const MOST_LISTED: usize = 20;

/// Settings listed, by place: of many the recommended one with its neighbours, both ends, and some evenly between.
fn listed_settings(run: &ComparedRunRow) -> Vec<usize> {
    let n = run.settings.len();
    if n <= MOST_LISTED {
        return (0..n).collect();
    }
    let even = (0..12).map(|k| k * (n - 1) / 11);
    let best = run.recommended.as_ref();
    let best = best.and_then(|best| run.settings.iter().position(|setting| setting.name() == best.setting));
    let around = best.into_iter().flat_map(|place| place.saturating_sub(2)..(place + 3).min(n));
    even.chain(around).collect::<BTreeSet<usize>>().into_iter().collect()
}

fn settings_grid(run: &ComparedRunRow, listed: &[usize], has_other_steps: bool) -> Grid {
    let steps = if has_other_steps { " (vector steps)" } else { "" };
    let mut grid = Grid::new(vec![
        Column::left("setting"),
        Column::right("error")
            .drops(9)
            .explained("error: how far normalized values are off on average, in sd"),
        Column::right("mean off")
            .explained("mean off: distance of the mean in use from that of its window, in sd of the window"),
        Column::right("sd off")
            .drops(7)
            .explained("sd off: how many times the sd in use is too large or too small"),
        Column::right("lag mean").explained(format!(
            "lag: updates{steps} after the shift until within 10 %, in the slowest dimension"
        )),
        Column::right("lag var").drops(8),
        Column::right("least var")
            .drops(5)
            .explained("least, most var: variance in use after the shift, in times the new one"),
        Column::right("most var").drops(4),
        Column::right("clipped %").drops(6),
        Column::right("batches").drops(3).explained("batches: how many the statistics look at"),
        Column::right("initial %").drops(2).explained("initial: weight the initial state still has"),
        Column::right("dead").drops(1).explained("dead: dimensions constant or below epsilon"),
    ]);
    let all = |of: &dyn Fn(&ComparedSettingRow) -> Option<f64>| {
        ratios(&listed.iter().map(|place| of(&run.settings[*place])).collect::<Vec<_>>())
    };
    let errors = all(&|setting| setting.error);
    let mean_off = all(&|setting| Some(average(&setting.mean_distance)));
    let sd_off = all(&|setting| Some((average(&setting.log_var_distance) / 2.0).exp()));
    let least = all(&|setting| extreme(setting.least_var_ratio.as_deref(), f64::min, f64::INFINITY));
    let most = all(&|setting| extreme(setting.greatest_var_ratio.as_deref(), f64::max, 0.0));
    for (at, place) in listed.iter().enumerate() {
        let setting = &run.settings[*place];
        let dead = &setting.dimensions_below_epsilon;
        let constant = &setting.constant_dimensions;
        let is_shifted =
            |dim: usize| setting.shifted_dimensions.as_ref().is_none_or(|all| all.contains(&dim));
        grid.row(vec![
            setting.name(),
            errors[at].clone(),
            mean_off[at].clone(),
            sd_off[at].clone(),
            lag_cell(
                setting.lag_updates_mean.as_deref(),
                setting.lag_vector_steps_mean.as_deref(),
                is_shifted,
            ),
            lag_cell(setting.lag_updates_var.as_deref(), setting.lag_vector_steps_var.as_deref(), |dim| {
                !constant.contains(&dim)
            }),
            least[at].clone(),
            most[at].clone(),
            share_cell(setting.clip_fraction),
            batches(setting),
            share_cell(setting.prior_weight),
            (constant.len() + dead.iter().filter(|dim| !constant.contains(dim)).count()).to_string(),
        ]);
    }
    grid
}

/// The slowest lag in updates, where there is a shift, and in vector steps, where those are others.
fn lag_cell(
    lags: Option<&[Option<u64>]>,
    steps: Option<&[Option<u64>]>,
    counted: impl Fn(usize) -> bool,
) -> String {
    let Some(lags) = lags else { return "-".to_owned() };
    let updates = slowest(lags, &counted);
    let others = steps.filter(|steps| *steps != lags && lags.iter().any(Option::is_some));
    match others.map(|steps| slowest(steps, &counted)).filter(|steps| *steps != updates) {
        Some(steps) => format!("{updates} ({steps})"),
        None => updates,
    }
}

/// Whether some lag is another number in vector steps.
fn has_other_steps(report: &ComparisonDocument) -> bool {
    let differs = |updates: &Option<Vec<Option<u64>>>, steps: &Option<Vec<Option<u64>>>| {
        steps.is_some() && updates != steps
    };
    report.runs.iter().flat_map(|run| &run.settings).any(|setting| {
        differs(&setting.lag_updates_mean, &setting.lag_vector_steps_mean)
            || differs(&setting.lag_updates_var, &setting.lag_vector_steps_var)
    })
}

/// The extreme of the ratios that can be said, beginning from `start`.
fn extreme(ratios: Option<&[Option<f64>]>, pick: fn(f64, f64) -> f64, start: f64) -> Option<f64> {
    let found = ratios.map(|ratios| ratios.iter().flatten().copied().fold(start, pick));
    found.filter(|x| x.is_finite())
}

/// How many batches the statistics look at.
fn batches(setting: &ComparedSettingRow) -> String {
    match (setting.momentum, setting.effective_batches) {
        (None, _) => "all".to_owned(),
        (Some(_), Some(n)) => short(n),
        // A moving average that never moves.
        (Some(_), None) => "none".to_owned(),
    }
}

/// A dimension under one setting on one run.
struct DimensionRow<'a> {
    run: &'a ComparedRunRow,
    setting: &'a ComparedSettingRow,
    dim: usize,
    name: &'a str,
}

fn dimension_rows<'a>(report: &'a ComparisonDocument, names: &'a [String]) -> Vec<DimensionRow<'a>> {
    let settings = report.runs.iter().flat_map(|run| run.settings.iter().map(move |setting| (run, setting)));
    settings
        .flat_map(|(run, setting)| {
            names.iter().enumerate().map(move |(dim, name)| DimensionRow { run, setting, dim, name })
        })
        .collect()
}

/// Every dimension under every setting, numbers at full precision.
fn tidy(report: &ComparisonDocument) -> TidyTable {
    let names = report.dimension_names();
    let rows = dimension_rows(report, &names);
    let lag = |lags: &Option<Vec<Option<u64>>>, dim: usize| lags.as_ref().and_then(|lags| lags[dim]);
    Tidy::new(&rows)
        .text("run_id", |row| Some(row.run.run_id.clone()))
        .text("setting", |row| Some(row.setting.name()))
        .text("dimension", |row| Some(row.name.to_owned()))
        .float("mean", |row| Some(row.setting.mean[row.dim]))
        .float("var", |row| Some(row.setting.var[row.dim]))
        .float("mean_distance", |row| Some(row.setting.mean_distance[row.dim]))
        .float("log_var_distance", |row| Some(row.setting.log_var_distance[row.dim]))
        .int("lag_mean", |row| lag(&row.setting.lag_updates_mean, row.dim))
        .int("lag_var", |row| lag(&row.setting.lag_updates_var, row.dim))
        .float("clip_fraction", |row| Some(row.setting.clip_by_dimension[row.dim]))
        .table()
}

fn per_dimension(report: &ComparisonDocument, n_dimensions: usize) -> Grid {
    let mut columns = vec![Column::left("setting"), Column::left("dimension")];
    let has_runs = report.runs.len() > 1;
    if has_runs {
        columns.insert(0, Column::left("run"));
    }
    columns.extend([
        Column::right("mean"),
        Column::right("var"),
        Column::right("mean off"),
        Column::right("sd off").drops(2),
        Column::right("lag mean"),
        Column::right("lag var").drops(3),
        Column::right("clipped %").drops(1),
    ]);
    let mut grid = Grid::new(columns);
    let lag = |lags: &Option<Vec<Option<u64>>>, d: usize| {
        lags.as_ref().and_then(|lags| lags[d]).map_or_else(|| "-".to_owned(), grouped)
    };
    let names = report.dimension_names();
    let rows: Vec<DimensionRow<'_>> =
        dimension_rows(report, &names).into_iter().filter(|row| row.dim < n_dimensions).collect();
    let all = |of: &dyn Fn(&DimensionRow<'_>) -> f64| {
        column(&rows.iter().map(|row| Some(of(row))).collect::<Vec<_>>())
    };
    let (means, vars) = (all(&|row| row.setting.mean[row.dim]), all(&|row| row.setting.var[row.dim]));
    for (at, DimensionRow { run, setting, dim: d, name }) in rows.iter().enumerate() {
        let mut cells = vec![setting.name(), (*name).to_owned()];
        if has_runs {
            cells.insert(0, run.run_id.clone());
        }
        cells.extend([
            means[at].clone(),
            vars[at].clone(),
            ratio(setting.mean_distance[*d]),
            ratio((setting.log_var_distance[*d] / 2.0).exp()),
            lag(&setting.lag_updates_mean, *d),
            lag(&setting.lag_updates_var, *d),
            share_cell(setting.clip_by_dimension[*d]),
        ]);
        grid.row(cells);
    }
    grid
}

/// Writes divisors side by side.
///
/// # Errors
/// If writing fails.
pub fn write_divisors(
    report: &DivisorDocument,
    format: Format,
    screen: &Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => {
            // Sorted by key throughout.
            writeln!(out, "{}", serde_json::to_value(report)?)
        }
        Format::Ndjson => {
            for row in &report.rows {
                serde_json::to_writer(&mut *out, row)?;
                writeln!(out)?;
            }
            Ok(())
        }
        Format::Csv | Format::Parquet | Format::Arrow => tidy_divisors(report).write(format, out),
        Format::Markdown | Format::Table => {
            let mut page = Page::new(format, screen, out);
            page.verdict(&report.verdict, Tone::Neutral)?;
            page.grid(&divisors_grid(report))
        }
    }
}

fn tidy_divisors(report: &DivisorDocument) -> TidyTable {
    Tidy::new(&report.rows)
        .text("run_id", |row| Some(row.run_id.clone()))
        .text("preset", |row| Some(row.preset.clone()))
        .text("deviation_of", |row| Some(row.deviation_of.clone()))
        .float("subtracted", |row| Some(row.subtracted))
        .float("divisor", |row| Some(row.divisor))
        .float("clip_fraction", |row| Some(row.clip_fraction))
        .table()
}

fn divisors_grid(report: &DivisorDocument) -> Grid {
    let has_runs = report.rows.iter().any(|row| row.run_id != report.rows[0].run_id);
    let mut columns = vec![
        Column::left("preset"),
        Column::left("deviation of").explained("deviation of: what the divisor is the sd of"),
        Column::right("subtracted"),
        Column::right("divisor"),
        Column::right("clipped %").drops(1),
    ];
    if has_runs {
        columns.insert(0, Column::left("run"));
    }
    let mut grid = Grid::new(columns);
    let all = |of: &dyn Fn(&DivisorRow) -> f64| {
        column(&report.rows.iter().map(|row| Some(of(row))).collect::<Vec<_>>())
    };
    let (subtracted, divisors) = (all(&|row| row.subtracted), all(&|row| row.divisor));
    for (at, row) in report.rows.iter().enumerate() {
        let mut cells = vec![
            row.preset.clone(),
            row.deviation_of.clone(),
            subtracted[at].clone(),
            divisors[at].clone(),
            share_cell(row.clip_fraction),
        ];
        if has_runs {
            cells.insert(0, row.run_id.clone());
        }
        grid.row(cells);
    }
    grid
}
