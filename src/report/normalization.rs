//! Renderings of running statistics.

use std::io::{self, Write};

use super::Format;
use super::grid::{Column, Grid};
use super::over_time::OverTime;
use super::page::{Page, Tone};
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::results::text::{column, counted, grouped, rows_seen, share, share_cell, short};
use crate::results::{DriftDimensionRow, NormalizationDocument, RunRow};

/// What was done, in a line.
fn title(document: &NormalizationDocument) -> String {
    let settings = document.settings.told();
    let memory = match document.momentum {
        Some(momentum) => format!("moving average {momentum}"),
        None => "full history".to_owned(),
    };
    let clip = settings.clip.map_or_else(|| "no clip".to_owned(), |clip| format!("clip {clip}"));
    let device = document.device_name.as_ref().map_or_else(String::new, |name| format!(", on {name}"));
    let preset = settings.preset.map_or_else(String::new, |preset| format!("{preset}: "));
    let scale = settings.gamma.map_or_else(String::new, |gamma| format!(", by return (gamma {gamma})"));
    format!(
        "{preset}{} normalized by {memory}, updated every {}, {}, epsilon {}, {clip}{scale}{device}",
        document.target,
        settings.update_every,
        settings.order,
        short(settings.epsilon)
    )
}

/// Writes a replay or the statistics of a recording.
///
/// # Errors
/// If writing fails.
pub fn write_normalization(
    document: &NormalizationDocument,
    format: Format,
    screen: &Screen,
    n_dimensions: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => {
            serde_json::to_writer(&mut *out, document)?;
            writeln!(out)
        }
        Format::Ndjson => {
            for run in &document.runs {
                serde_json::to_writer(&mut *out, run)?;
                writeln!(out)?;
            }
            Ok(())
        }
        Format::Csv | Format::Parquet | Format::Arrow => all_dimensions(document).write(format, out),
        Format::Table | Format::Markdown => {
            write_for_people(document, n_dimensions, &mut Page::new(format, screen, out))
        }
    }
}

/// Every dimension of every run, numbers at full precision.
fn all_dimensions(document: &NormalizationDocument) -> TidyTable {
    let names = document.dimension_names();
    let of_run = |run| (0..names.len()).map(move |dim| (run, dim));
    let rows: Vec<(&RunRow, usize)> = document.runs.iter().flat_map(of_run).collect();
    Tidy::new(&rows)
        .text("run_id", |(run, _)| Some(run.run_id.clone()))
        .int("env_id", |(run, _)| run.env_id)
        .int("dimension", |(_, dim)| Some(*dim))
        .text("name", |(_, dim)| Some(names[*dim].clone()))
        .float("mean", |(run, dim)| Some(run.mean[*dim]))
        .float("var", |(run, dim)| Some(run.var[*dim]))
        .float("min", |(run, dim)| Some(run.diagnostics.min[*dim]))
        .float("max", |(run, dim)| Some(run.diagnostics.max[*dim]))
        .float("clip_fraction", |(run, dim)| Some(run.diagnostics.clip_by_dimension.as_ref()?[*dim]))
        .table()
}

fn write_for_people(
    document: &NormalizationDocument,
    n_dimensions: usize,
    page: &mut Page<'_>,
) -> io::Result<()> {
    page.verdict(&document.verdict, Tone::Neutral)?;
    page.title(&title(document))?;
    let is_only = document.runs.len() == 1;
    for run in &document.runs {
        page.blank()?;
        let name = if is_only { String::new() } else { format!("{}: ", run.name()) };
        page.line(&format!(
            "{name}{}, {}, count {}",
            counted(run.rows, "row"),
            counted(run.updates, "update"),
            rows_seen(run.count)
        ))?;
        page.grid(&dimension_grid(document, run, n_dimensions, page))?;
        if run.mean.len() > n_dimensions {
            page.line(&format!(
                "{} of {} dimensions, those with most to say; --dimensions N shows more",
                n_dimensions,
                run.mean.len()
            ))?;
        }
        let is_told = is_only && !document.verdict.is_empty();
        for finding in findings(document, run, if is_told { Told::Concluded } else { Told::Nothing }) {
            page.point(&finding)?;
        }
    }
    for place in &document.input.non_finite_places {
        page.point(&format!(
            "left out: {} row {}, dimension {}: {}",
            place.file, place.row, place.dimension, place.value
        ))?;
    }
    for written in &document.written {
        page.line(&format!("written: {written}"))?;
    }
    Ok(())
}

/// What a reader knows already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The conclusion is about this very run.
    Concluded,
    /// Nothing of this run.
    Nothing,
}

/// The dimensions with most to say, in order.
fn shown_dimensions(run: &RunRow, n_dimensions: usize) -> Vec<usize> {
    let d = &run.diagnostics;
    let mut order: Vec<usize> = (0..run.mean.len()).collect();
    if order.len() <= n_dimensions {
        return order;
    }
    // Most clipped first, then changed, then constant, then as recorded.
    let changed = |dim: &usize| {
        d.drift.as_ref().is_some_and(|change| change.dimensions.iter().any(|c| c.dimension == *dim))
    };
    let clipped = |dim: usize| d.clip_by_dimension.as_ref().map(|clipped| clipped[dim]);
    order.sort_by(|a, b| {
        let weight = |dim: &usize| (clipped(*dim).unwrap_or(0.0), f64::from(u8::from(changed(dim))));
        weight(b).partial_cmp(&weight(a)).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(b))
    });
    order.truncate(n_dimensions);
    order.sort_unstable();
    order
}

fn dimension_grid(
    document: &NormalizationDocument,
    run: &RunRow,
    n_dimensions: usize,
    page: &Page<'_>,
) -> Grid {
    let d = &run.diagnostics;
    let shown = shown_dimensions(run, n_dimensions);
    let shift = d.drift.as_ref().map(|change| change.update);
    let windows = d.windows.as_ref().filter(|_| page.draws());
    let pictures = windows.and_then(|windows| OverTime::new(windows, shift, page.glyphs()));
    let mut columns = vec![Column::left("dimension"), Column::right("mean"), Column::right("sd")];
    columns.extend(pictures.iter().flat_map(OverTime::columns));
    columns.extend([
        Column::right("min").drops(1),
        Column::right("max").drops(2),
        Column::right("clipped %").drops(5),
        Column::left("").wraps(),
    ]);
    let mut grid = Grid::new(columns);
    let all = |of: &dyn Fn(usize) -> f64| column(&shown.iter().map(|dim| Some(of(*dim))).collect::<Vec<_>>());
    let (means, deviations) = (all(&|dim| run.mean[dim]), all(&|dim| run.var[dim].sqrt()));
    let (least, most) = (all(&|dim| d.min[dim]), all(&|dim| d.max[dim]));
    let names = document.dimension_names();
    for (at, dim) in shown.iter().copied().enumerate() {
        let mut cells = vec![names[dim].clone(), means[at].clone(), deviations[at].clone()];
        cells.extend(pictures.iter().flat_map(|pictures| pictures.cells(dim)));
        cells.extend([
            least[at].clone(),
            most[at].clone(),
            d.clip_by_dimension.as_ref().map_or_else(|| "-".to_owned(), |clipped| share_cell(clipped[dim])),
            remark(run, dim),
        ]);
        grid.row(cells);
    }
    grid
}

fn remark(run: &RunRow, dim: usize) -> String {
    let d = &run.diagnostics;
    let mut remarks = Vec::new();
    if d.constant_dimensions.contains(&dim) {
        remarks.push("constant".to_owned());
    } else if d.dimensions_below_epsilon.contains(&dim) {
        remarks.push("variance below epsilon".to_owned());
    }
    let change = d.drift.as_ref().and_then(|change| change.dimensions.iter().find(|c| c.dimension == dim));
    if let Some(change) = change {
        remarks.push(format!("{} at update {}", changed(change), grouped(change.update)));
    }
    if d.prior_share_of_variance[dim] > 0.5 && !d.constant_dimensions.contains(&dim) {
        remarks.push(format!(
            "{:.0} % of the variance is the initial state's",
            100.0 * d.prior_share_of_variance[dim].min(1.0)
        ));
    }
    remarks.join("; ")
}

/// How a dimension changes.
fn changed(change: &DriftDimensionRow) -> String {
    let shift = || format!("shifts {:+.1} sd", change.shift.unwrap_or(f64::INFINITY));
    let spread = || {
        let ratio = change.sd_ratio.unwrap_or(f64::INFINITY);
        if ratio < 1.0 {
            format!("sd falls {:.1} times", 1.0 / ratio)
        } else {
            format!("sd rises {ratio:.1} times")
        }
    };
    match change.statistic.as_deref() {
        Some("variance") => spread(),
        Some("mean and variance") => format!("{}, {}", shift(), spread()),
        _ => shift(),
    }
}

/// What a reader should know, in sentences.
fn findings(document: &NormalizationDocument, run: &RunRow, told: Told) -> Vec<String> {
    let d = &run.diagnostics;
    let mut found = Vec::new();
    if let Some(change) = d.drift.as_ref().filter(|_| told == Told::Nothing) {
        let at =
            change.vector_step.map_or_else(String::new, |step| format!(" (vector step {})", grouped(step)));
        let n = change.dimensions.len();
        let noun = if n == 1 { "dimension changes" } else { "dimensions change, the first" };
        found.push(format!("drift: {n} {noun} at update {}{at}", grouped(change.update)));
    }
    // Where nothing can be told at all, the conclusion has said so.
    let is_told = told == Told::Concluded && d.drift.is_none();
    if let Some(reason) = d.drift_test.as_ref().and_then(|test| test.reason.as_ref()).filter(|_| !is_told) {
        let words =
            if d.drift.is_some() { "drift: other tests cannot tell, for" } else { "drift: cannot tell for" };
        found.push(format!("{words} {reason}"));
    }
    if let (Some(lag), Some(batches)) = (d.lag_updates, d.effective_batches) {
        let updates = short(lag.ceil());
        let steps = d.lag_vector_steps.map(|steps| short(steps.ceil())).filter(|steps| *steps != updates);
        let steps = steps.map_or_else(String::new, |steps| format!(" ({steps} vector steps)"));
        found.push(format!(
            "the moving average looks at {} batches; after a shift 10 % of it is left after {} updates{steps}",
            short(batches),
            updates
        ));
    } else if document.momentum == Some(1.0) {
        found.push("momentum 1: the statistics never move".to_owned());
    }
    if d.prior_weight > 0.01 && told == Told::Nothing {
        found.push(format!("the initial state still weighs {}", share(d.prior_weight)));
    }
    if let [first, .., last] = &d.clip_phases[..]
        && let Some(clipped) = run.clip_fraction.filter(|share| *share > 0.0)
    {
        found.push(format!(
            "clipped: {} of values, {} in the first phase, {} in the last",
            share(clipped),
            share(first.fraction),
            share(last.fraction)
        ));
    }
    if !d.constant_dimensions.is_empty() {
        found.push(format!("constant dimensions: {}", numbers(&d.constant_dimensions)));
    }
    if d.looks_normalized {
        found.push("the input looks normalized already (mean near 0, deviation near 1)".to_owned());
    }
    if !d.float32.cancelling_dimensions.is_empty() {
        found.push(format!(
            "32-bit statistics lose the variance of dimensions {} (mean^2/var above 2^24)",
            numbers(&d.float32.cancelling_dimensions)
        ));
    }
    if let (Some(rows @ ..100_000_000), Some(dim)) = (d.float32.mean_freezes_after_rows, d.float32.dimension)
    {
        found.push(format!(
            "a 32-bit running mean stands still after {} rows (dimension {dim})",
            grouped(rows)
        ));
    }
    if d.float32.count_saturates {
        found.push("a 32-bit count stands still at 16,777,216 rows".to_owned());
    }
    if run.rollback.rows > 0 {
        let batches = if run.rollback.batches > 0 {
            format!(" in {} whole batches", grouped(run.rollback.batches))
        } else {
            String::new()
        };
        found.push(format!("rolled back and left out: {} rows{batches}", grouped(run.rollback.rows)));
    }
    if let Some(pair) = &d.act_learn {
        let worst = pair.max_abs.iter().copied().fold(0.0, f64::max);
        let mean = pair.mean_abs.iter().sum::<f64>() / pair.mean_abs.len().max(1) as f64;
        found.push(format!(
            "the learner saw other values than the policy: {} apart on average, {} at most",
            short(mean),
            short(worst)
        ));
    }
    found.extend(d.reset_finding());
    if d.unfinished_episodes > 0 {
        found.push(format!("{} unfinished episodes count as batches of their own", d.unfinished_episodes));
    }
    found
}

fn numbers(dimensions: &[usize]) -> String {
    const SHOWN: usize = 12;
    let mut text = dimensions.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if dimensions.len() > SHOWN {
        text.push_str(&format!(" and {} more", dimensions.len() - SHOWN));
    }
    text
}
