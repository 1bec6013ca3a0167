//! Renderings of merged and verified states.

use std::io::{self, Write};

use super::Format;
use super::grid::{Align, Grid};
use super::tidy::{Tidy, TidyTable};
use crate::printable::printable;
use crate::results::text::{grouped, short};
use crate::results::{DifferenceRow, StateDocument, TriedRow, VerificationDocument};

/// Writes a merged state: the document itself as JSON, a summary for people.
///
/// # Errors
/// If writing fails.
pub fn write_merge(
    state: &StateDocument,
    written: Option<&str>,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => write!(out, "{}", state.to_json()),
        // Sorted by key.
        Format::Ndjson => writeln!(out, "{}", serde_json::to_value(state)?),
        Format::Csv | Format::Parquet | Format::Arrow => tidy_state(state).write(format, out),
        Format::Table | Format::Markdown => {
            let grid = state_grid(state);
            state.verdict.iter().try_for_each(|sentence| writeln!(out, "{sentence}"))?;
            if format == Format::Markdown {
                grid.write_markdown(out)?;
            } else {
                grid.write_table(out)?;
            }
            written.map_or(Ok(()), |path| writeln!(out, "written: {path}"))
        }
    }
}

fn tidy_state(state: &StateDocument) -> TidyTable {
    let rows: Vec<(usize, (&f64, &f64))> = state.mean.iter().zip(&state.var).enumerate().collect();
    Tidy::new(&rows)
        .int("dimension", |(d, _)| Some(*d))
        .float("mean", |(_, (mean, _))| Some(**mean))
        .float("var", |(_, (_, var))| Some(**var))
        .table()
}

fn state_grid(state: &StateDocument) -> Grid {
    let mut grid = Grid::new(&[("dimension", Align::Left), ("mean", Align::Right), ("var", Align::Right)]);
    for (d, (mean, var)) in state.mean.iter().zip(&state.var).enumerate() {
        grid.row(vec![d.to_string(), short(*mean), short(*var)]);
    }
    grid
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
        Format::Csv | Format::Parquet | Format::Arrow => tidy_differences(report).write(format, out),
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
            let grid = differences_grid(report, n_dimensions);
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

/// The name of the dimension a row is about.
fn named(names: &[String], difference: &DifferenceRow) -> String {
    names.get(difference.dimension).cloned().unwrap_or_else(|| difference.dimension.to_string())
}

fn tidy_differences(report: &VerificationDocument) -> TidyTable {
    let names = report.dimension_names();
    Tidy::new(&report.differences)
        .text("dimension", |row| Some(named(&names, row)))
        .float("stored_mean", |row| row.stored_mean)
        .float("implied_mean", |row| Some(row.expected_mean))
        .float("stored_var", |row| row.stored_var)
        .float("implied_var", |row| Some(row.expected_var))
        .float("distance", |row| row.distance)
        .table()
}

fn differences_grid(report: &VerificationDocument, n_dimensions: usize) -> Grid {
    let mut grid = Grid::new(&[
        ("dimension", Align::Left),
        ("stored mean", Align::Right),
        ("implied mean", Align::Right),
        ("stored var", Align::Right),
        ("implied var", Align::Right),
        ("distance", Align::Right),
    ]);
    let number = |x: Option<f64>| short(x.unwrap_or(f64::NAN));
    let names = report.dimension_names();
    for difference in report.differences.iter().take(n_dimensions) {
        grid.row(vec![
            named(&names, difference),
            number(difference.stored_mean),
            short(difference.expected_mean),
            number(difference.stored_var),
            short(difference.expected_var),
            short(difference.distance.unwrap_or(f64::INFINITY)),
        ]);
    }
    grid
}
