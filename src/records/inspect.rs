//! What is in these files.

use std::collections::{BTreeMap, BTreeSet};

use super::coalitions::{CoalitionOptions, CoalitionRecording, GameSummary};
use super::error::RecordError;
use super::guess;
use super::problems;
use super::schema::{ColumnMap, FileKind};
use super::sources::InputFile;
use super::table::Table;
use super::text::TextReading;
use super::transitions::TransitionSummary;
use crate::progress::Progress;
use crate::results::{FileRow, GamesRow, MissingRow, ProblemRow};
use crate::stats::pairwise_sum;

/// How files are to be looked at.
#[derive(Debug, Clone)]
pub struct InspectOptions {
    /// How coalition rows are read.
    pub coalitions: CoalitionOptions,
    /// Whether rows are looked at for what is odd about them.
    pub looks_for_oddities: bool,
}

/// What is found in one file.
struct FileReport {
    name: String,
    kind: FileKind,
    n_rows: u64,
    columns: Vec<(String, String)>,
    transitions: Option<TransitionSummary>,
    games: Vec<GameSummary>,
    roles: BTreeMap<String, Vec<String>>,
    command: Option<String>,
    problems: Vec<RecordError>,
    oddities: Option<Vec<ProblemRow>>,
}

/// Looks at every file by itself; what is wrong with one is reported, not an error.
pub fn inspect(files: &[InputFile], options: &InspectOptions, progress: &Progress) -> Vec<FileRow> {
    progress.begin("inspecting", files.len() as u64);
    files
        .iter()
        .map(|file| {
            let report = inspect_file(file, options);
            progress.advance(1);
            file_row(&report)
        })
        .collect()
}

fn inspect_file(file: &InputFile, options: &InspectOptions) -> FileReport {
    let mut report = FileReport {
        name: file.name.clone(),
        kind: FileKind::Other,
        n_rows: 0,
        columns: Vec::new(),
        transitions: None,
        games: Vec::new(),
        roles: BTreeMap::new(),
        command: None,
        problems: Vec::new(),
        oddities: None,
    };
    let identity = columns_of(options).column_of("run_id");
    let reading = TextReading { identity, left: file.budget.bytes(), budget: file.budget };
    let outcome = Table::open_as(file, &reading).and_then(|table| {
        report.n_rows = table.n_rows();
        report.columns = table.described_columns();
        let map = columns_of(options);
        report.kind = map.clone().with_values(&options.coalitions.values).kind(&table)?;
        match report.kind {
            FileKind::Transitions => {
                if options.looks_for_oddities {
                    report.oddities = Some(problems::step_problems(&table, map)?);
                }
                let summary = TransitionSummary::read(&table, map)?;
                report.roles.clone_from(&summary.roles);
                report.command = guess::normalize_command(&table, map, &summary.roles);
                report.transitions = Some(summary);
            }
            FileKind::Coalitions => {
                report.command = guess::value_command(&table, map, &options.coalitions.values);
                let recording = CoalitionRecording::read(
                    std::slice::from_ref(file),
                    &options.coalitions,
                    &Progress::none(),
                )?;
                report.roles.clone_from(recording.roles());
                report.games = (0..recording.n_games())
                    .map(|index| recording.summary(index))
                    .collect::<Result<_, _>>()?;
                if options.looks_for_oddities {
                    report.oddities = Some(problems::game_problems(&report.games));
                }
            }
            FileKind::Other => report.command = guess::attribution_command(&table, map),
        }
        Ok(())
    });
    report.problems.extend(outcome.err());
    report
}

fn columns_of(options: &InspectOptions) -> &ColumnMap {
    &options.coalitions.columns
}

/// What is found, as the document holds it.
fn file_row(report: &FileReport) -> FileRow {
    let transitions = report.transitions.as_ref();
    let games = (report.kind == FileKind::Coalitions && !report.games.is_empty()).then(|| games_row(report));
    let distinct_games = |pick: &dyn Fn(&GameSummary) -> String| {
        report.games.iter().map(pick).collect::<BTreeSet<_>>().len() as u64
    };
    let (runs, episodes, envs) = if games.is_some() {
        (
            Some(distinct_games(&|game| game.key.run_id.to_string())),
            Some(distinct_games(&|game| format!("{}/{}", game.key.run_id, game.key.episode))),
            Some(distinct_games(&|game| game.key.env_id.to_string())),
        )
    } else {
        let n = |count: &dyn Fn(&TransitionSummary) -> usize| transitions.map(|t| count(t) as u64);
        (n(&|t| t.runs.len()), n(&|t| t.episodes.len()), n(&|t| t.envs.len()))
    };
    FileRow {
        file: report.name.clone(),
        kind: report.kind.name().to_owned(),
        rows: report.n_rows,
        columns: report.columns.iter().cloned().collect(),
        runs,
        episodes,
        envs,
        steps: transitions.and_then(|t| t.steps),
        obs_width: transitions.and_then(|t| t.obs_width),
        non_finite_obs: transitions.and_then(|t| t.obs_width.map(|_| t.n_bad_obs)),
        reward_range: transitions.and_then(|t| t.rewards),
        bad_rewards: transitions.and_then(|t| t.rewards.map(|_| t.n_bad_rewards)),
        games,
        unused: report
            .columns
            .iter()
            .map(|(name, _)| name)
            .filter(|name| {
                !report.roles.is_empty() && !report.roles.values().any(|names| names.contains(name))
            })
            .cloned()
            .collect(),
        roles: report.roles.clone(),
        command: report.command.clone(),
        problems: report.problems.iter().map(ToString::to_string).collect(),
        oddities: report.oddities.clone(),
    }
}

fn games_row(report: &FileReport) -> GamesRow {
    let games = &report.games;
    let players = games.iter().map(|game| game.slot_ids.len() as u64);
    let coverage: Vec<f64> =
        games.iter().map(|game| game.n_coalitions as f64 / (game.slot_ids.len() as f64).exp2()).collect();
    let n = |is: &dyn Fn(&GameSummary) -> bool| games.iter().filter(|game| is(game)).count() as u64;
    GamesRow {
        n: games.len() as u64,
        complete: n(&|game| game.is_complete),
        with_walks: n(&|game| game.n_walks > 0),
        with_repeats: n(&|game| game.n_repeated > 0),
        slots: games.iter().flat_map(|game| game.slot_ids.iter().cloned()).collect(),
        players: (players.clone().min().unwrap_or(0), players.max().unwrap_or(0)),
        coverage: (
            coverage.iter().copied().fold(f64::INFINITY, f64::min),
            pairwise_sum(&coverage) / coverage.len() as f64,
        ),
        repeated_rows: games.iter().map(|game| game.n_repeated).sum(),
        first_missing: games.iter().find(|game| !game.missing.is_empty()).map(|game| MissingRow {
            game: game.key.to_string(),
            n: (game.slot_ids.len() as f64).exp2() - game.n_coalitions as f64,
            coalitions: game.missing.clone(),
        }),
    }
}
