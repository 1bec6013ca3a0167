//! Renderings of merged and verified states.

use std::io::{self, Write};

use super::Format;
use super::grid::{Column, Grid};
use super::page::{Page, Tone};
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::results::text::{column, ratio, rows_seen, short};
use crate::results::{DifferenceRow, StateDocument, TriedRow, VerificationDocument};

/// Writes a merged state: the document itself as JSON, a summary for people.
///
/// # Errors
/// If writing fails.
pub fn write_merge(
    state: &StateDocument,
    written: Option<&str>,
    format: Format,
    screen: &Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => write!(out, "{}", state.to_json()),
        // Sorted by key.
        Format::Ndjson => writeln!(out, "{}", serde_json::to_value(state)?),
        Format::Csv | Format::Parquet | Format::Arrow => tidy_state(state).write(format, out),
        Format::Table | Format::Markdown => {
            let mut page = Page::new(format, screen, out);
            page.verdict(&state.verdict, Tone::Neutral)?;
            page.grid(&state_grid(state))?;
            written.map_or(Ok(()), |path| page.line(&format!("written: {path}")))
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
    let mut grid = Grid::new(vec![Column::left("dimension"), Column::right("mean"), Column::right("var")]);
    let all = |values: &[f64]| column(&values.iter().copied().map(Some).collect::<Vec<_>>());
    for (d, (mean, var)) in all(&state.mean).into_iter().zip(all(&state.var)).enumerate() {
        grid.row(vec![d.to_string(), mean, var]);
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
    screen: &Screen,
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
            write_verified(report, n_dimensions, &mut Page::new(format, screen, out))
        }
    }
}

fn write_verified(report: &VerificationDocument, n_dimensions: usize, page: &mut Page<'_>) -> io::Result<()> {
    page.verdict(&report.verdict, if report.matches { Tone::Good } else { Tone::Bad })?;
    let verdict = if report.matches { "matches" } else { "does not match" };
    page.line(&format!("{} ({}) {verdict} {}", report.state, report.format, compared_words(report)))?;
    page.line(&format!(
        "count: stored {}, implied {}",
        report.stored_count.map_or_else(|| "none".to_owned(), rows_seen),
        rows_seen(report.expected_count)
    ))?;
    if let Some(distance) = report.distance.filter(|_| report.matches) {
        page.line(&format!("distance: {} at most, of {} allowed", short(distance), short(report.tolerance)))?;
    }
    if report.tried.len() > 1 {
        page.line(&format!("rules that {}", tried_words(&report.tried)))?;
    }
    if report.differences.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.grid(&differences_grid(report, n_dimensions))
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
    let apart = |row: &TriedRow| row.distance.map_or_else(|| "unlike".to_owned(), ratio);
    let matching = tried.iter().filter(|row| row.matches).map(name).collect::<Vec<String>>();
    let others = tried.iter().filter(|row| !row.matches && row.left_out.is_none());
    let others = others.map(|row| format!("{} ({})", name(row), apart(row))).collect::<Vec<String>>();
    let left_out = tried.iter().filter(|row| row.left_out.is_some()).map(name).collect::<Vec<String>>();
    let parts = [("match", matching), ("differ", others), ("cannot apply", left_out)];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    parts.map(|(what, names)| format!("{what}: {}", names.join(", "))).collect::<Vec<String>>().join("; ")
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
    let mut grid = Grid::new(vec![
        Column::left("dimension"),
        Column::right("stored mean"),
        Column::right("implied mean"),
        Column::right("stored var").drops(1),
        Column::right("implied var").drops(1),
        Column::right("distance")
            .explained("distance: of means in standard deviations, of variances relative"),
    ]);
    let names = report.dimension_names();
    let rows = &report.differences[..n_dimensions.min(report.differences.len())];
    let number = |x: Option<f64>| x.map_or_else(|| "none".to_owned(), short);
    for row in rows {
        grid.row(vec![
            named(&names, row),
            number(row.stored_mean),
            short(row.expected_mean),
            number(row.stored_var),
            short(row.expected_var),
            row.distance.map_or_else(|| "-".to_owned(), ratio),
        ]);
    }
    grid
}
