//! What is in files: the document `simic.inspect/1` and its renderings.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid};
use super::number::{grouped, short};
use crate::records::{FileKind, FileReport, Inspection};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    files: Vec<FileRow<'a>>,
}

#[derive(Serialize)]
struct FileRow<'a> {
    file: &'a str,
    kind: &'static str,
    rows: u64,
    columns: BTreeMap<&'a str, &'a str>,
    runs: Option<u64>,
    episodes: Option<u64>,
    envs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<(i64, i64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obs_width: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    non_finite_obs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward_range: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bad_rewards: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    games: Option<Games>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Games {
    n: u64,
    complete: u64,
    with_walks: u64,
    with_repeats: u64,
    slots: BTreeSet<String>,
    /// Least and greatest number of players.
    players: (u64, u64),
    /// Least and mean share of the 2^n coalitions recorded.
    coverage: (f64, f64),
}

impl<'a> FileRow<'a> {
    fn of(report: &'a FileReport) -> Self {
        let transitions = report.transitions.as_ref();
        let games =
            (report.kind == FileKind::Coalitions && !report.games.is_empty()).then(|| Games::of(report));
        let distinct_games = |pick: &dyn Fn(&crate::records::GameSummary) -> String| {
            report.games.iter().map(pick).collect::<BTreeSet<_>>().len() as u64
        };
        let from_games = games.is_some().then(|| {
            (
                distinct_games(&|game| game.key.run_id.to_string()),
                distinct_games(&|game| format!("{}/{}", game.key.run_id, game.key.episode)),
                distinct_games(&|game| game.key.env_id.to_string()),
            )
        });
        let from_steps =
            transitions.map(|t| (t.runs.len() as u64, t.episodes.len() as u64, t.envs.len() as u64));
        let counts = from_games.or(from_steps);
        Self {
            file: &report.name,
            kind: report.kind.name(),
            rows: report.n_rows,
            columns: report.columns.iter().map(|(name, dtype)| (name.as_str(), dtype.as_str())).collect(),
            runs: counts.map(|counts| counts.0),
            episodes: counts.map(|counts| counts.1),
            envs: counts.map(|counts| counts.2),
            steps: transitions.and_then(|t| t.steps),
            obs_width: transitions.and_then(|t| t.obs_width),
            non_finite_obs: transitions.and_then(|t| t.obs_width.map(|_| t.n_bad_obs)),
            reward_range: transitions.and_then(|t| t.rewards),
            bad_rewards: transitions.and_then(|t| t.rewards.map(|_| t.n_bad_rewards)),
            games,
            problems: report.problems.iter().map(ToString::to_string).collect(),
        }
    }

    fn contents(&self) -> String {
        let mut parts = Vec::new();
        if let Some(games) = &self.games {
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
                parts.push(format!("{} with repeated evaluations", grouped(games.with_repeats)));
            }
        }
        if let Some(width) = self.obs_width {
            parts.push(format!("obs of {width}"));
        }
        if let Some((low, high)) = self.steps {
            parts.push(format!("steps {low} to {high}"));
        }
        if let Some((low, high)) = self.reward_range {
            parts.push(format!("rewards {} to {}", short(low), short(high)));
        }
        if let Some(n) = self.non_finite_obs.filter(|n| *n > 0) {
            parts.push(format!("{} observation values not finite", grouped(n)));
        }
        if let Some(n) = self.bad_rewards.filter(|n| *n > 0) {
            parts.push(format!("{} rewards null or not finite", grouped(n)));
        }
        parts.join("; ")
    }
}

impl Games {
    fn of(report: &FileReport) -> Self {
        let games = &report.games;
        let players = games.iter().map(|game| game.slot_ids.len() as u64);
        let coverage: Vec<f64> =
            games.iter().map(|game| game.n_coalitions as f64 / (game.slot_ids.len() as f64).exp2()).collect();
        let n = |is: &dyn Fn(&crate::records::GameSummary) -> bool| {
            games.iter().filter(|game| is(game)).count() as u64
        };
        Self {
            n: games.len() as u64,
            complete: n(&|game| game.is_complete),
            with_walks: n(&|game| game.n_walks > 0),
            with_repeats: n(&|game| game.has_repeats),
            slots: games.iter().flat_map(|game| game.slot_ids.iter().cloned()).collect(),
            players: (players.clone().min().unwrap_or(0), players.max().unwrap_or(0)),
            coverage: (
                coverage.iter().copied().fold(f64::INFINITY, f64::min),
                crate::stats::pairwise_sum(&coverage) / coverage.len() as f64,
            ),
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// Writes what was found.
///
/// # Errors
/// If writing fails.
pub fn write_inspection(
    inspection: &Inspection,
    format: Format,
    verbose: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let rows: Vec<FileRow> = inspection.files.iter().map(FileRow::of).collect();
    match format {
        Format::Json => {
            serde_json::to_writer(&mut *out, &Document { schema: "simic.inspect/1", files: rows })?;
            writeln!(out)
        }
        Format::Ndjson => rows.iter().try_for_each(|row| {
            serde_json::to_writer(&mut *out, row)?;
            writeln!(out)
        }),
        Format::Csv | Format::Markdown | Format::Table => {
            let grid = grid(&rows);
            match format {
                Format::Csv => return grid.write_csv(out),
                Format::Markdown => grid.write_markdown(out)?,
                _ => grid.write_table(out)?,
            }
            for row in &rows {
                if verbose {
                    writeln!(out, "\n{}:", row.file)?;
                    for (name, dtype) in &row.columns {
                        writeln!(out, "  {name}: {dtype}")?;
                    }
                }
            }
            for problem in rows.iter().flat_map(|row| &row.problems) {
                writeln!(out, "problem: {problem}")?;
            }
            Ok(())
        }
    }
}

fn grid(rows: &[FileRow]) -> Grid {
    let mut grid = Grid::new(&[
        ("file", Align::Left),
        ("kind", Align::Left),
        ("rows", Align::Right),
        ("runs", Align::Right),
        ("episodes", Align::Right),
        ("envs", Align::Right),
        ("contents", Align::Left),
        ("problems", Align::Right),
    ]);
    let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), grouped);
    for row in rows {
        grid.row(vec![
            row.file.to_owned(),
            row.kind.to_owned(),
            grouped(row.rows),
            number(row.runs),
            number(row.episodes),
            number(row.envs),
            row.contents(),
            row.problems.len().to_string(),
        ]);
    }
    grid
}
