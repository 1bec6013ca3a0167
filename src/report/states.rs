//! Merged and verified states: the document `simic.normalize.verify/1` and its renderings.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid, printable};
use super::number::{grouped, short};
use crate::normalization::{Diagnosis, Difference, NormalizerState};

/// Everything a merge says.
#[derive(Debug)]
pub struct MergeReport {
    /// States merged.
    pub n_states: usize,
    /// The result.
    pub state: NormalizerState,
    /// The state document.
    pub document: String,
    /// File written.
    pub written: Option<String>,
}

/// Writes a merged state: the document itself as JSON, a summary for people.
///
/// # Errors
/// If writing fails.
pub fn write_merge(report: &MergeReport, format: Format, out: &mut dyn Write) -> io::Result<()> {
    let mut grid = Grid::new(&[("dimension", Align::Left), ("mean", Align::Right), ("var", Align::Right)]);
    let is_exact = format == Format::Csv;
    let number = |x: f64| if is_exact { x.to_string() } else { short(x) };
    for (d, (mean, var)) in report.state.mean.iter().zip(&report.state.var).enumerate() {
        grid.row(vec![d.to_string(), number(*mean), number(*var)]);
    }
    match format {
        Format::Json => write!(out, "{}", report.document),
        Format::Ndjson => {
            let value: serde_json::Value = serde_json::from_str(&report.document)?;
            writeln!(out, "{value}")
        }
        Format::Csv => grid.write_csv(out),
        Format::Table | Format::Markdown => {
            let states = if report.n_states == 1 { "state" } else { "states" };
            writeln!(
                out,
                "{} {states} merged: count {}, {} updates",
                report.n_states,
                short(report.state.count),
                grouped(report.state.batches)
            )?;
            if format == Format::Markdown {
                grid.write_markdown(out)?;
            } else {
                grid.write_table(out)?;
            }
            report.written.as_ref().map_or(Ok(()), |path| writeln!(out, "written: {path}"))
        }
    }
}

/// Everything a verification says.
#[derive(Debug)]
pub struct VerifyReport {
    /// The state's file.
    pub state: String,
    /// Its format.
    pub format: &'static str,
    /// The run it was compared with.
    pub run_id: String,
    /// Whether it lies within the tolerance.
    pub matches: bool,
    /// Tolerance.
    pub tolerance: f64,
    /// Greatest distance over dimensions.
    pub distance: f64,
    /// Stored count.
    pub stored_count: Option<f64>,
    /// Count the recording implies.
    pub expected_count: f64,
    /// welford or ema.
    pub kind: &'static str,
    /// Momentum.
    pub momentum: Option<f64>,
    /// Dimensions of the recording.
    pub n_dimensions: usize,
    /// Dimensions that differ, worst first.
    pub differences: Vec<Difference>,
    /// Why.
    pub diagnosis: Option<Diagnosis>,
    /// Names of dimensions.
    pub dimensions: Vec<String>,
}

#[derive(Serialize)]
struct VerifyDocument<'a> {
    schema: &'static str,
    state: &'a str,
    format: &'static str,
    run_id: &'a str,
    matches: bool,
    tolerance: f64,
    distance: Option<f64>,
    kind: &'static str,
    momentum: Option<f64>,
    stored_count: Option<f64>,
    expected_count: f64,
    diagnosis: Option<&'static str>,
    detail: Option<String>,
    differences: Vec<DifferenceDocument>,
}

#[derive(Serialize)]
struct DifferenceDocument {
    dimension: usize,
    stored_mean: Option<f64>,
    expected_mean: f64,
    stored_var: Option<f64>,
    expected_var: f64,
    distance: Option<f64>,
}

/// A word for scripts and a sentence for people.
fn describe(diagnosis: &Diagnosis) -> (&'static str, String) {
    let list = |dimensions: &[usize]| {
        let shown: Vec<String> = dimensions.iter().take(24).map(ToString::to_string).collect();
        let more = if dimensions.len() > 24 { ", ..." } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    match diagnosis {
        Diagnosis::Invalid { dimensions } => {
            ("invalid", format!("a variance is negative or a number not finite in dimensions {}", list(dimensions)))
        }
        Diagnosis::Swapped => ("swapped", "mean and variance have changed places".to_owned()),
        Diagnosis::Shape { stored, expected, missing } => (
            "shape",
            format!(
                "the state has {stored} dimensions, the recording {expected}; recorded dimensions without a match: {}",
                if missing.is_empty() { "none".to_owned() } else { list(missing) }
            ),
        ),
        Diagnosis::Permuted { order } => {
            ("permuted", format!("the dimensions are in another order; stored as recorded {}", list(order)))
        }
        Diagnosis::NeverUpdated => ("never_updated", "the state was never updated: it is still the initial one".to_owned()),
        Diagnosis::Stale { updates, of } => (
            "stale",
            format!("the state is stale: that of the recording after {} of {} updates", grouped(*updates), grouped(*of)),
        ),
        Diagnosis::Reset { update, vector_step } => (
            "reset",
            format!(
                "the statistics were reset at vector step {} (update {}): a replay from there gives this state",
                grouped(*vector_step),
                grouped(*update)
            ),
        ),
        Diagnosis::OtherMomentum { momentum: Some(momentum), distance } => (
            "wrong_momentum",
            format!("another momentum: {momentum} fits best (distance {})", short(*distance)),
        ),
        Diagnosis::OtherMomentum { momentum: None, distance } => (
            "wrong_momentum",
            format!("another kind: full history (Welford) fits best (distance {})", short(*distance)),
        ),
        Diagnosis::Count => (
            "count",
            "mean and variance are right, the count is not: the next updates would weigh wrongly".to_owned(),
        ),
        Diagnosis::OtherRun { run_id } => ("other_run", format!("the state is that of run {run_id}")),
        Diagnosis::Unknown => (
            "unknown",
            "no explanation found: not stale, reset, reordered or of another momentum; perhaps another recording"
                .to_owned(),
        ),
    }
}

/// Writes a verification.
///
/// # Errors
/// If writing fails.
pub fn write_verification(
    report: &VerifyReport,
    format: Format,
    n_dimensions: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let described = report.diagnosis.as_ref().map(describe);
    match format {
        Format::Json | Format::Ndjson => {
            let finite = |x: f64| x.is_finite().then_some(x);
            let document = VerifyDocument {
                schema: "simic.normalize.verify/1",
                state: &report.state,
                format: report.format,
                run_id: &report.run_id,
                matches: report.matches,
                tolerance: report.tolerance,
                distance: finite(report.distance),
                kind: report.kind,
                momentum: report.momentum,
                stored_count: report.stored_count,
                expected_count: report.expected_count,
                diagnosis: described.as_ref().map(|described| described.0),
                detail: described.map(|described| described.1),
                differences: report
                    .differences
                    .iter()
                    .map(|difference| DifferenceDocument {
                        dimension: difference.dimension,
                        stored_mean: finite(difference.mean.0),
                        expected_mean: difference.mean.1,
                        stored_var: finite(difference.var.0),
                        expected_var: difference.var.1,
                        distance: finite(difference.distance),
                    })
                    .collect(),
            };
            serde_json::to_writer(&mut *out, &document)?;
            writeln!(out)
        }
        Format::Csv => differences_grid(report, usize::MAX, true).write_csv(out),
        Format::Table | Format::Markdown => {
            let memory =
                report.momentum.map_or_else(|| "full history".to_owned(), |m| format!("momentum {m}"));
            let differ = if report.distance.is_finite() || !report.differences.is_empty() {
                report.differences.len()
            } else {
                report.n_dimensions
            };
            let verdict = if report.matches { "matches" } else { "does not match" };
            writeln!(
                out,
                "{} ({}) {verdict} run {} under {memory}: {} of {} dimensions differ by more than {}, the worst by {}",
                printable(&report.state),
                report.format,
                printable(&report.run_id),
                differ,
                report.n_dimensions,
                short(report.tolerance),
                if report.distance.is_finite() {
                    short(report.distance)
                } else {
                    "more than can be said".to_owned()
                }
            )?;
            if let Some((_, sentence)) = described {
                writeln!(out, "diagnosis: {}", printable(&sentence))?;
            }
            let count = |count: f64| grouped_count(count);
            writeln!(
                out,
                "count: stored {}, implied {}",
                report.stored_count.map_or_else(|| "none".to_owned(), count),
                count(report.expected_count)
            )?;
            if report.differences.is_empty() {
                return Ok(());
            }
            writeln!(out)?;
            let grid = differences_grid(report, n_dimensions, false);
            if format == Format::Markdown { grid.write_markdown(out) } else { grid.write_table(out) }
        }
    }
}

/// A count of rows, its fraction left out where it is only the initial one.
fn grouped_count(count: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
    if (0.0..1e15).contains(&count) && (count - count.round()).abs() < 0.01 {
        grouped(count.round() as u64)
    } else {
        short(count)
    }
}

fn differences_grid(report: &VerifyReport, n_dimensions: usize, is_exact: bool) -> Grid {
    let mut grid = Grid::new(&[
        ("dimension", Align::Left),
        ("stored mean", Align::Right),
        ("implied mean", Align::Right),
        ("stored var", Align::Right),
        ("implied var", Align::Right),
        ("distance", Align::Right),
    ]);
    let number = |x: f64| if is_exact { x.to_string() } else { short(x) };
    for difference in report.differences.iter().take(n_dimensions) {
        let name = report.dimensions.get(difference.dimension);
        grid.row(vec![
            name.cloned().unwrap_or_else(|| difference.dimension.to_string()),
            number(difference.mean.0),
            number(difference.mean.1),
            number(difference.var.0),
            number(difference.var.1),
            number(difference.distance),
        ]);
    }
    grid
}
