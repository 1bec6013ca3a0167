//! Renderings of what is in files.

use std::io::{self, Write};

use super::Format;
use super::grid::{Column, Grid};
use super::page::Page;
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::results::text::{grouped, short};
use crate::results::{FileRow, InspectionDocument};

/// What is in a file, in words.
fn contents(row: &FileRow) -> String {
    let mut parts = Vec::new();
    if let Some(games) = &row.games {
        let (low, high) = games.players;
        let players = if low == high { low.to_string() } else { format!("{low}-{high}") };
        let noun = if games.n == 1 { "game" } else { "games" };
        parts.push(format!("{} {noun} of {players} slots", grouped(games.n)));
        parts.push(if games.complete == games.n {
            "all complete".to_owned()
        } else {
            let (_, mean) = games.coverage;
            format!("{} complete, {} of coalitions", grouped(games.complete), percent(mean))
        });
        if games.with_walks > 0 {
            parts.push(format!("{} with recorded permutations", grouped(games.with_walks)));
        }
        if games.with_repeats > 0 {
            parts.push(format!(
                "{} with repeated evaluations ({} rows)",
                grouped(games.with_repeats),
                grouped(games.repeated_rows)
            ));
        }
    }
    if let Some(width) = row.obs_width {
        parts.push(format!("obs of {width}"));
    }
    if let Some((low, high)) = row.steps {
        parts.push(format!("steps {low} to {high}"));
    }
    if let Some((low, high)) = row.reward_range {
        parts.push(format!("rewards {} to {}", short(low), short(high)));
    }
    if let Some(n) = row.non_finite_obs.filter(|n| *n > 0) {
        parts.push(format!("{} observation values not finite", grouped(n)));
    }
    if let Some(n) = row.bad_rewards.filter(|n| *n > 0) {
        parts.push(format!("{} rewards null or not finite", grouped(n)));
    }
    parts.join("; ")
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// Writes what was found.
///
/// # Errors
/// If writing fails.
pub fn write_inspection(
    inspection: &InspectionDocument,
    format: Format,
    screen: &Screen,
    verbose: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let rows = &inspection.files;
    match format {
        Format::Json => {
            serde_json::to_writer(&mut *out, inspection)?;
            writeln!(out)
        }
        Format::Ndjson => rows.iter().try_for_each(|row| {
            serde_json::to_writer(&mut *out, row)?;
            writeln!(out)
        }),
        Format::Csv | Format::Parquet | Format::Arrow => tidy(rows).write(format, out),
        Format::Markdown | Format::Table => {
            let mut page = Page::new(format, screen, out);
            page.grid(&grid(rows))?;
            for row in rows {
                write_reading(row, &mut page)?;
            }
            for row in rows.iter().filter(|_| verbose) {
                page.blank()?;
                page.line(&format!("{}:", row.file))?;
                for (name, dtype) in &row.columns {
                    page.entry(&format!("  {name}: {dtype}"))?;
                }
            }
            for row in rows {
                for odd in row.oddities.iter().flatten() {
                    let times = if odd.n > 1 { format!("{} times ", grouped(odd.n)) } else { String::new() };
                    let first = odd.first_row.map_or_else(String::new, |row| format!(", first at row {row}"));
                    page.entry(&format!("odd: {}: {}: {times}{}{first}", row.file, odd.place, odd.problem))?;
                }
            }
            for problem in rows.iter().flat_map(|row| &row.problems) {
                page.entry(&format!("problem: {problem}"))?;
            }
            Ok(())
        }
    }
}

/// How a file is read: which columns play which role, which none, and what to type.
fn write_reading(row: &FileRow, page: &mut Page<'_>) -> io::Result<()> {
    if row.roles.is_empty() && row.command.is_none() {
        return Ok(());
    }
    page.blank()?;
    page.line(&row.file)?;
    if !row.roles.is_empty() {
        let role = |(role, names): (&String, &Vec<String>)| format!("{role}: {}", names.join(", "));
        page.labelled("read as", &row.roles.iter().map(role).collect::<Vec<_>>().join("; "))?;
    }
    if !row.unused.is_empty() {
        page.labelled("not used", &row.unused.join(", "))?;
    }
    if let Some(missing) = row.games.as_ref().and_then(|games| games.first_missing.as_ref()) {
        let more = if missing.n > missing.coalitions.len() as f64 { " and others" } else { "" };
        page.labelled(
            "missing",
            &format!("{} coalitions of {}: {}{more}", missing.n, missing.game, missing.coalitions.join(", ")),
        )?;
    }
    row.command.as_ref().map_or(Ok(()), |command| page.command("try", command))
}

fn tidy(rows: &[FileRow]) -> TidyTable {
    Tidy::new(rows)
        .text("file", |row| Some(row.file.clone()))
        .text("kind", |row| Some(row.kind.clone()))
        .int("rows", |row| Some(row.rows))
        .int("runs", |row| row.runs)
        .int("episodes", |row| row.episodes)
        .int("envs", |row| row.envs)
        .int("first_step", |row| Some(row.steps?.0))
        .int("last_step", |row| Some(row.steps?.1))
        .int("obs_width", |row| row.obs_width)
        .int("games", |row| Some(row.games.as_ref()?.n))
        .int("complete_games", |row| Some(row.games.as_ref()?.complete))
        .text("contents", |row| Some(contents(row)))
        .int("problems", |row| Some(row.problems.len()))
        .table()
}

fn grid(rows: &[FileRow]) -> Grid {
    let mut grid = Grid::new(vec![
        Column::left("file"),
        Column::left("kind").drops(5),
        Column::right("rows"),
        Column::right("runs").drops(4),
        Column::right("episodes").drops(2),
        Column::right("envs").drops(1),
        Column::left("contents").wraps(),
        Column::right("problems").drops(3),
    ]);
    let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), grouped);
    for row in rows {
        grid.row(vec![
            row.file.clone(),
            row.kind.clone(),
            grouped(row.rows),
            number(row.runs),
            number(row.episodes),
            number(row.envs),
            contents(row),
            row.problems.len().to_string(),
        ]);
    }
    grid
}
