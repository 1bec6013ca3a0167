//! Renderings of settings side by side.

use std::io::{self, Write};

use super::Format;
use super::grid::{Align, Grid};
use super::tidy::{Tidy, TidyTable};
use crate::printable::printable;
use crate::results::text::{grouped, short};
use crate::results::{ComparedRunRow, ComparedSettingRow, ComparisonDocument, DivisorDocument};

/// Writes a comparison.
///
/// # Errors
/// If writing fails.
pub fn write_comparison(
    report: &ComparisonDocument,
    format: Format,
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
        Format::Table | Format::Markdown => write_compared(report, format, n_dimensions, out),
    }
}

fn write_compared(
    report: &ComparisonDocument,
    format: Format,
    n_dimensions: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let show = |grid: &Grid, out: &mut dyn Write| {
        if format == Format::Markdown { grid.write_markdown(out) } else { grid.write_table(out) }
    };
    writeln!(
        out,
        "{} under {} settings, updated every {}",
        report.target,
        setting_count(report),
        report.update_every
    )?;
    for run in &report.runs {
        writeln!(out)?;
        let shift = match (run.shift_at, run.shift_given) {
            (Some(step), true) => format!("shift given at vector step {}", grouped(step)),
            (Some(step), false) => format!("shift found at vector step {}", grouped(step)),
            (None, true) => "the recording ends before the shift given".to_owned(),
            (None, false) => match &run.shift_reason {
                Some(reason) => format!("cannot tell whether it shifts, for {reason}"),
                None => "no shift found".to_owned(),
            },
        };
        writeln!(out, "run {}: {shift}", printable(&run.run_id))?;
        show(&settings_grid(run), out)?;
    }
    if n_dimensions > 0 {
        writeln!(out)?;
        show(&per_dimension(report, n_dimensions), out)?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "mean off: |mean in use - windowed mean| in windowed sd, averaged; sd off: how many times too large or small; \
         lag: updates until within 10 %{}",
        if has_other_steps(report) { " (vector steps)" } else { "" }
    )
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

fn settings_grid(run: &ComparedRunRow) -> Grid {
    let mut grid = Grid::new(&[
        ("setting", Align::Left),
        ("mean off", Align::Right),
        ("sd off", Align::Right),
        ("lag mean", Align::Right),
        ("lag var", Align::Right),
        ("least var", Align::Right),
        ("most var", Align::Right),
        ("clipped", Align::Right),
        ("batches", Align::Right),
        ("initial", Align::Right),
        ("dead", Align::Right),
    ]);
    for setting in &run.settings {
        let dead = &setting.dimensions_below_epsilon;
        let constant = &setting.constant_dimensions;
        let is_shifted =
            |dim: usize| setting.shifted_dimensions.as_ref().is_none_or(|all| all.contains(&dim));
        grid.row(vec![
            setting.name(),
            short(average(&setting.mean_distance)),
            format!("{}x", short((average(&setting.log_var_distance) / 2.0).exp())),
            lag_cell(
                setting.lag_updates_mean.as_deref(),
                setting.lag_vector_steps_mean.as_deref(),
                is_shifted,
            ),
            lag_cell(setting.lag_updates_var.as_deref(), setting.lag_vector_steps_var.as_deref(), |dim| {
                !constant.contains(&dim)
            }),
            extreme(setting.least_var_ratio.as_deref(), f64::min, f64::INFINITY),
            extreme(setting.greatest_var_ratio.as_deref(), f64::max, 0.0),
            format!("{} %", short(100.0 * setting.clip_fraction)),
            batches(setting),
            format!("{} %", short(100.0 * setting.prior_weight)),
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
fn extreme(ratios: Option<&[Option<f64>]>, pick: fn(f64, f64) -> f64, start: f64) -> String {
    let found = ratios.map(|ratios| ratios.iter().flatten().copied().fold(start, pick));
    found.filter(|x| x.is_finite()).map_or_else(|| "-".to_owned(), |x| format!("{}x", short(x)))
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
    let mut grid = Grid::new(&[
        ("run_id", Align::Left),
        ("setting", Align::Left),
        ("dimension", Align::Left),
        ("mean", Align::Right),
        ("var", Align::Right),
        ("mean_distance", Align::Right),
        ("log_var_distance", Align::Right),
        ("lag_mean", Align::Right),
        ("lag_var", Align::Right),
        ("clip_fraction", Align::Right),
    ]);
    let lag = |lags: &Option<Vec<Option<u64>>>, d: usize| {
        lags.as_ref().and_then(|lags| lags[d]).map_or_else(String::new, |lag| lag.to_string())
    };
    let names = report.dimension_names();
    for DimensionRow { run, setting, dim: d, name } in dimension_rows(report, &names) {
        if d >= n_dimensions {
            continue;
        }
        grid.row(vec![
            run.run_id.clone(),
            setting.name(),
            name.to_owned(),
            short(setting.mean[d]),
            short(setting.var[d]),
            short(setting.mean_distance[d]),
            short(setting.log_var_distance[d]),
            lag(&setting.lag_updates_mean, d),
            lag(&setting.lag_updates_var, d),
            short(setting.clip_by_dimension[d]),
        ]);
    }
    grid
}

/// Writes divisors side by side.
///
/// # Errors
/// If writing fails.
pub fn write_divisors(report: &DivisorDocument, format: Format, out: &mut dyn Write) -> io::Result<()> {
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
        Format::Markdown => divisors_grid(report).write_markdown(out),
        Format::Table => divisors_grid(report).write_table(out),
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
    let mut grid = Grid::new(&[
        ("run_id", Align::Left),
        ("preset", Align::Left),
        ("deviation_of", Align::Left),
        ("subtracted", Align::Right),
        ("divisor", Align::Right),
        ("clip_fraction", Align::Right),
    ]);
    for row in &report.rows {
        grid.row(vec![
            row.run_id.clone(),
            row.preset.clone(),
            row.deviation_of.clone(),
            short(row.subtracted),
            short(row.divisor),
            short(row.clip_fraction),
        ]);
    }
    grid
}
