//! Renderings of merged and verified states.

use std::io::{self, Write};

use super::Format;
use super::grid::{Align, Grid};
use crate::printable::printable;
use crate::results::text::{grouped, short};
use crate::results::{StateDocument, TriedRow, VerificationDocument};

/// Writes a merged state: the document itself as JSON, a summary for people.
///
/// # Errors
/// If writing fails.
pub fn write_merge(
    state: &StateDocument,
    n_states: usize,
    written: Option<&str>,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut grid = Grid::new(&[("dimension", Align::Left), ("mean", Align::Right), ("var", Align::Right)]);
    let is_exact = format == Format::Csv;
    let number = |x: f64| if is_exact { x.to_string() } else { short(x) };
    for (d, (mean, var)) in state.mean.iter().zip(&state.var).enumerate() {
        grid.row(vec![d.to_string(), number(*mean), number(*var)]);
    }
    match format {
        Format::Json => write!(out, "{}", state.to_json()),
        // Sorted by key.
        Format::Ndjson => writeln!(out, "{}", serde_json::to_value(state)?),
        Format::Csv => grid.write_csv(out),
        Format::Table | Format::Markdown => {
            let states = if n_states == 1 { "state" } else { "states" };
            writeln!(
                out,
                "{} {states} merged: count {}, {} updates",
                n_states,
                short(state.count),
                grouped(state.batches.unwrap_or(0))
            )?;
            if format == Format::Markdown {
                grid.write_markdown(out)?;
            } else {
                grid.write_table(out)?;
            }
            written.map_or(Ok(()), |path| writeln!(out, "written: {path}"))
        }
    }
}

/// Writes a verification.
///
/// # Errors
/// If writing fails.
pub fn write_verification(
    report: &VerificationDocument,
    format: Format,
    n_dimensions: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json | Format::Ndjson => {
            serde_json::to_writer(&mut *out, report)?;
            writeln!(out)
        }
        Format::Csv => differences_grid(report, usize::MAX, true).write_csv(out),
        Format::Table | Format::Markdown => {
            let n_dimensions_recorded = report.n_dimensions.unwrap_or(report.differences.len());
            let differ = if report.distance.is_some() || !report.differences.is_empty() {
                report.differences.len()
            } else {
                n_dimensions_recorded
            };
            let verdict = if report.matches { "matches" } else { "does not match" };
            writeln!(
                out,
                "{} ({}) {verdict} {}: {} of {} dimensions differ by more than {}, the worst by {}",
                printable(&report.state),
                report.format,
                printable(&compared_words(report)),
                differ,
                n_dimensions_recorded,
                short(report.tolerance),
                report.distance.map_or_else(|| "more than can be said".to_owned(), short)
            )?;
            if let Some(sentence) = &report.detail {
                writeln!(out, "diagnosis: {}", printable(sentence))?;
            }
            let count = |count: f64| grouped_count(count);
            writeln!(
                out,
                "count: stored {}, implied {}",
                report.stored_count.map_or_else(|| "none".to_owned(), count),
                count(report.expected_count)
            )?;
            if report.tried.len() > 1 {
                writeln!(out, "rules that {}", printable(&tried_words(&report.tried)))?;
            }
            if report.differences.is_empty() {
                return Ok(());
            }
            writeln!(out)?;
            let grid = differences_grid(report, n_dimensions, false);
            if format == Format::Markdown { grid.write_markdown(out) } else { grid.write_table(out) }
        }
    }
}

/// What it was compared with: the rule, how much of the past that remembers, and the run.
fn compared_words(report: &VerificationDocument) -> String {
    let memory = report.momentum.map_or_else(|| "full history".to_owned(), |m| format!("momentum {m}"));
    let run = &report.run_id;
    match report.settings.as_ref().and_then(|settings| settings.rule.preset) {
        Some(preset) => format!("under {} (run {run}, {memory})", preset.name()),
        None => format!("run {run} under {memory}"),
    }
}

/// Every rule it was compared with: those that match, those that do not with their distance, those left out.
fn tried_words(tried: &[TriedRow]) -> String {
    let name = |row: &TriedRow| match row.preset {
        Some(preset) => preset.name().to_owned(),
        None => "the state's own".to_owned(),
    };
    let apart = |row: &TriedRow| row.distance.map_or_else(|| "unlike".to_owned(), short);
    let matching = tried.iter().filter(|row| row.matches).map(name).collect::<Vec<String>>();
    let others = tried.iter().filter(|row| !row.matches && row.left_out.is_none());
    let others = others.map(|row| format!("{} ({})", name(row), apart(row))).collect::<Vec<String>>();
    let left_out = tried.iter().filter(|row| row.left_out.is_some()).map(name).collect::<Vec<String>>();
    let parts = [("match", matching), ("differ", others), ("cannot apply", left_out)];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    parts.map(|(what, names)| format!("{what}: {}", names.join(", "))).collect::<Vec<String>>().join("; ")
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

fn differences_grid(report: &VerificationDocument, n_dimensions: usize, is_exact: bool) -> Grid {
    let mut grid = Grid::new(&[
        ("dimension", Align::Left),
        ("stored mean", Align::Right),
        ("implied mean", Align::Right),
        ("stored var", Align::Right),
        ("implied var", Align::Right),
        ("distance", Align::Right),
    ]);
    let number = |x: f64| if is_exact { x.to_string() } else { short(x) };
    let number_or_nan = |x: Option<f64>| number(x.unwrap_or(f64::NAN));
    let names = report.dimension_names();
    for difference in report.differences.iter().take(n_dimensions) {
        let name = names.get(difference.dimension);
        grid.row(vec![
            name.cloned().unwrap_or_else(|| difference.dimension.to_string()),
            number_or_nan(difference.stored_mean),
            number(difference.expected_mean),
            number_or_nan(difference.stored_var),
            number(difference.expected_var),
            difference.distance.map_or_else(|| number(f64::INFINITY), number),
        ]);
    }
    grid
}
