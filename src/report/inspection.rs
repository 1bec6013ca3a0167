//! Renderings of what is in files.

use std::io::{self, Write};

use super::Format;
use super::grid::{Column, Grid};
use super::page::Page;
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::results::text::{counted, grouped, short};
use crate::results::{FileRow, InspectionDocument, SetFeatureRow, SetRow};

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
            let shown = shown(inspection);
            page.grid(&grid(&shown))?;
            for set in &inspection.sets {
                write_set(set, &mut page)?;
            }
            // How the files of a data set are read is told once.
            for (place, row) in rows.iter().enumerate() {
                let is_told = row.set.is_some() && rows[..place].iter().any(|other| other.set == row.set);
                if !is_told {
                    write_reading(row, &mut page)?;
                }
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
            for problem in inspection.sets.iter().flat_map(|set| &set.problems) {
                page.entry(&format!("problem: {problem}"))?;
            }
            for problem in rows.iter().flat_map(|row| &row.problems) {
                page.entry(&format!("problem: {problem}"))?;
            }
            Ok(())
        }
    }
}

/// Rows of the table: files, those of a data set as one.
fn shown(inspection: &InspectionDocument) -> Vec<FileRow> {
    let mut shown: Vec<FileRow> = Vec::new();
    for row in &inspection.files {
        let known = shown.iter_mut().find(|other| row.set.is_some() && other.set == row.set);
        let set = row.set.as_ref().and_then(|name| inspection.sets.iter().find(|set| set.name == *name));
        match (known, set) {
            (Some(whole), _) => {
                whole.rows += row.rows;
                whole.steps = join(whole.steps, row.steps, i64::min, i64::max);
                whole.reward_range = join(whole.reward_range, row.reward_range, f64::min, f64::max);
                whole.envs = whole.envs.max(row.envs);
                whole.problems.extend(row.problems.iter().cloned());
            }
            (None, Some(set)) => {
                let mut whole = FileRow { file: set.name.clone(), ..row.clone() };
                whole.episodes = Some(set.episodes);
                whole.problems.extend(set.problems.iter().cloned());
                shown.push(whole);
            }
            (None, None) => shown.push(row.clone()),
        }
    }
    shown
}

/// The range of two ranges.
fn join<T: Copy>(
    a: Option<(T, T)>,
    b: Option<(T, T)>,
    least: fn(T, T) -> T,
    most: fn(T, T) -> T,
) -> Option<(T, T)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((least(a.0, b.0), most(a.1, b.1))),
        (a, b) => a.or(b),
    }
}

/// A data set in words.
fn write_set(set: &SetRow, page: &mut Page<'_>) -> io::Result<()> {
    page.blank()?;
    page.line(&format!(
        "{} ({}): {} in {} of {}{}",
        set.name,
        set.layout,
        counted(set.rows, "row"),
        counted(set.episodes, "episode"),
        counted(set.files, "file"),
        set.fps.map_or_else(String::new, |fps| format!(", {} a second", short(fps)))
    ))?;
    let feature = |feature: &SetFeatureRow| {
        let sides: Vec<String> = feature.shape.iter().map(usize::to_string).collect();
        let names = match &feature.dimensions[..] {
            [] => String::new(),
            names => format!(" ({})", names.join(", ")),
        };
        format!("{}: {}[{}]{names}", feature.feature, feature.dtype, sides.join(", "))
    };
    if set.features.is_empty() {
        return Ok(());
    }
    page.labelled("features", &set.features.iter().map(feature).collect::<Vec<_>>().join("; "))
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
