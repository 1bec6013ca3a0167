//! What is in these files.

use std::collections::{BTreeMap, BTreeSet};

use polars_arrow::datatypes::ArrowDataType;

use super::coalitions::{CoalitionOptions, CoalitionRecording, GameSummary};
use super::error::{Problem, RecordError};
use super::guess;
use super::layouts::{Dataset, Feature};
use super::problems;
use super::schema::{ColumnMap, FileKind};
use super::sources::{InputFile, Origin};
use super::table::Table;
use super::text::TextReading;
use super::transitions::TransitionSummary;
use crate::progress::Progress;
use crate::results::{FileRow, GamesRow, MissingRow, ProblemRow, SetFeatureRow, SetRow};
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

/// What is found in files, and in the data sets they are of.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// Data sets in the order of their first files.
    pub sets: Vec<SetRow>,
    /// Files in the order named.
    pub files: Vec<FileRow>,
}

/// Looks at every file by itself; what is wrong with one is reported, not an error.
pub fn inspect(files: &[InputFile], options: &InspectOptions, progress: &Progress) -> Inspected {
    progress.begin("inspecting", files.len() as u64);
    let mut inspected = Inspected { sets: Vec::new(), files: Vec::new() };
    let mut episodes: Vec<BTreeSet<(String, i64)>> = Vec::new();
    for file in files {
        let mut report = inspect_file(file, options);
        progress.advance(1);
        let mut row = file_row(&report);
        if let Some(member) = &file.member {
            let folder = member.run.to_string_lossy().into_owned();
            let place = inspected.sets.iter().position(|set| set.folder == folder);
            let place = place.unwrap_or_else(|| {
                inspected.sets.push(set_row(file, &member.dataset, folder));
                episodes.push(BTreeSet::new());
                inspected.sets.len() - 1
            });
            let set = &mut inspected.sets[place];
            (set.files, set.rows) = (set.files + 1, set.rows + report.n_rows);
            row.set = Some(set.name.clone());
            if let Some(transitions) = report.transitions.take() {
                episodes[place].extend(transitions.episodes);
            }
        }
        inspected.files.push(row);
    }
    for (set, episodes) in inspected.sets.iter_mut().zip(episodes) {
        set.episodes = episodes.len() as u64;
        let member = files.iter().filter_map(|file| file.member.as_ref());
        let whole = member.into_iter().find(|member| member.run.to_string_lossy() == set.folder);
        let is_searched = files.iter().all(|file| file.origin == Origin::Searched);
        if let Some(member) = whole.filter(|_| is_searched) {
            set.problems = set_problems(set, &member.dataset);
        }
    }
    inspected
}

/// A data set without its files.
fn set_row(file: &InputFile, dataset: &Dataset, folder: String) -> SetRow {
    let version = dataset.about.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
    let feature = |feature: &Feature| SetFeatureRow {
        feature: feature.name.clone(),
        dtype: feature.dtype.clone(),
        shape: feature.shape.clone(),
        dimensions: feature.dimensions.clone(),
    };
    SetRow {
        name: file.run.clone(),
        layout: format!("{}{version}", dataset.layout),
        folder,
        files: 0,
        rows: 0,
        episodes: 0,
        fps: dataset.about.fps,
        features: dataset.about.features.iter().map(feature).collect(),
        problems: Vec::new(),
    }
}

/// What a data set says of itself and its files do not hold.
fn set_problems(set: &SetRow, dataset: &Dataset) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(expected) = dataset.n_rows.filter(|expected| *expected != set.rows) {
        let problem = Problem::DatasetRows { layout: dataset.layout, expected, found: set.rows };
        problems.push(format!("{}: {problem}", set.folder));
    }
    if let Some(expected) = dataset.about.n_episodes.filter(|expected| *expected != set.episodes) {
        problems.push(format!(
            "{}: this {} data set says it has {expected} episodes, and {} are found in its files",
            set.folder, dataset.layout, set.episodes
        ));
    }
    problems
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
        if options.looks_for_oddities {
            report.problems.extend(damages(&table));
        }
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

/// Columns that cannot be decoded, each with its first damage.
fn damages(table: &Table) -> Vec<RecordError> {
    let damage = |name: &String| {
        let name = std::slice::from_ref(name);
        table.slices(name, SLICE_BYTES, SLICE_ROWS).into_iter().find_map(|slice| {
            let error = table.read_arrays(slice.part, &slice.rows, name).err()?;
            Some(RecordError { column: error.column.clone().or_else(|| Some(name[0].clone())), ..error })
        })
    };
    let is_decoded = |name: &&String| table.column_type(name).is_some_and(is_plain);
    table.column_names().iter().filter(is_decoded).filter_map(damage).collect()
}

/// Whether cells are numbers, truth values, text, bytes, or lists of them: what is decoded wherever it stands.
fn is_plain(dtype: &ArrowDataType) -> bool {
    // An extension stores what it is of.
    match dtype.to_storage() {
        ArrowDataType::List(field)
        | ArrowDataType::LargeList(field)
        | ArrowDataType::FixedSizeList(field, _) => is_plain(&field.dtype),
        ArrowDataType::Boolean | ArrowDataType::Utf8View | ArrowDataType::BinaryView => true,
        other => other.is_numeric(),
    }
}

/// Decoded bytes of the rows looked at at once, and their number where a file does not tell.
const SLICE_BYTES: u64 = 32 << 20;
const SLICE_ROWS: usize = 1 << 20;

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
        set: None,
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
