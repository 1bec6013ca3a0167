//! What the analyses of coalition games share: reading the rows, going through the games, remarks.

use std::ops::Range;

use rayon::prelude::*;

use crate::attribution::{Game, GameError};
use crate::commands::{CommandError, Context};
use crate::console::Console;
use crate::progress::Progress;
use crate::records::{CoalitionOptions, CoalitionRecording, ColumnMap, InputFile};
use crate::results::{CoalitionReading, Direction, InputCounts, IntervalKind, OnBad, ShapleyInput};
use crate::stats::FEWEST_BOOTSTRAP_UNITS;

/// Reads the coalition rows of files.
///
/// # Errors
/// Unreadable input.
pub(in crate::commands) fn read_games(
    values: &[String],
    reading: &CoalitionReading,
    console: &Console,
    files: &[InputFile],
) -> Result<CoalitionRecording, CommandError> {
    let options = CoalitionOptions {
        columns: ColumnMap::of_map(&reading.columns).with_players(&reading.players).with_by(&reading.by),
        values: values.to_vec(),
        slots: reading.slots.clone(),
        repeats: reading.duplicates,
        on_bad: reading.on_bad,
    };
    let progress = console.progress();
    let recording = CoalitionRecording::read(files, &options, &progress)?;
    Context::check_unchanged(files)?;
    drop(progress);
    for note in recording.notes() {
        console.note(note);
    }
    if let Some(skipped) = recording.skipped().describe() {
        console.warn(&skipped);
    }
    // In one file the same rows are what was recorded.
    if let Some((a, b)) = (files.len() > 1).then(|| recording.twin_runs()).flatten() {
        console.warn(&format!(
            "runs {a} and {b} hold the same values in every game: the same data twice counts twice"
        ));
    }
    Ok(recording)
}

/// A value column and a group of games: what one document is about.
pub(super) struct Wanted<'a> {
    /// Number of the value column.
    pub(super) value: usize,
    /// Its name.
    pub(super) name: &'a str,
    /// Places of the group's games.
    pub(super) games: Range<usize>,
}

/// The value columns asked for, each with every group of games; a recording may hold more columns.
pub(super) fn wanted_values<'a>(asked: &[String], recording: &'a CoalitionRecording) -> Vec<Wanted<'a>> {
    let groups = recording.groups();
    let names = recording.value_names().iter().map(String::as_str).enumerate();
    let names = names.filter(|(_, name)| asked.is_empty() || asked.iter().any(|wanted| wanted == name));
    names
        .flat_map(|(value, name)| {
            groups.iter().map(move |games| Wanted { value, name, games: games.clone() })
        })
        .collect()
}

/// Games with a result, and how many have none.
pub(super) struct Games<R> {
    pub(super) results: Vec<R>,
    pub(super) n_skipped: u64,
}

/// Computes every game of a group by a value column.
///
/// # Errors
/// The first game without a result, unless such games are to be left out; nothing left.
pub(super) fn compute_games<R: Send>(
    on_bad: OnBad,
    console: &Console,
    recording: &CoalitionRecording,
    (games, value): (Range<usize>, usize),
    progress: &Progress,
    compute: impl Fn(&Game) -> Result<R, GameError> + Sync,
) -> Result<Games<R>, CommandError> {
    let computed: Vec<Result<R, CommandError>> = games
        .into_par_iter()
        .map(|index| {
            let game = recording.game(index, value)?;
            let result = compute(&game).map_err(|source| CommandError::Game {
                file: recording.file_of(index).to_owned(),
                key: game.key.clone(),
                source,
            });
            progress.advance(1);
            result
        })
        .collect();
    let mut games = Games { results: Vec::with_capacity(computed.len()), n_skipped: 0 };
    for result in computed {
        match result {
            Ok(game) => games.results.push(game),
            Err(error @ CommandError::Game { .. }) if on_bad == OnBad::Skip => {
                console.detail(&format!("left out: {error}"));
                games.n_skipped += 1;
            }
            Err(error) => return Err(error),
        }
    }
    if games.n_skipped > 0 {
        console.warn(&format!(
            "{} games left out: the method has no value for them (-v lists them)",
            games.n_skipped
        ));
    }
    if games.results.is_empty() { Err(CommandError::NothingLeft) } else { Ok(games) }
}

/// What was read, for the document.
pub(super) fn input_of(recording: &CoalitionRecording, n_skipped_games: u64) -> ShapleyInput {
    let counts = InputCounts { files: recording.n_files(), rows: recording.n_rows() };
    ShapleyInput::new(counts, &recording.skipped().into(), n_skipped_games)
}

/// Refuses a bootstrap where nothing has enough units for one, and warns where some have too few for what was asked.
///
/// # Errors
/// A bootstrap of a handful of units.
pub(super) fn check_units(
    ci: IntervalKind,
    counts: impl Iterator<Item = u64>,
    console: &Console,
) -> Result<(), CommandError> {
    let counts: Vec<u64> = counts.filter(|n| *n > 1).collect();
    let (Some(fewest), Some(most)) = (counts.iter().min(), counts.iter().max()) else { return Ok(()) };
    match ci {
        IntervalKind::Normal => {
            if *fewest < ci.enough_units() {
                console.warn(&format!("--ci normal of {fewest} units is too narrow; --ci t is not"));
            }
        }
        IntervalKind::Bootstrap if *most < FEWEST_BOOTSTRAP_UNITS => {
            return Err(CommandError::usage(
                format!(
                    "--ci bootstrap of {most} units says nothing: it needs at least {FEWEST_BOOTSTRAP_UNITS}"
                ),
                "use --ci t, which knows how little so few units tell",
            ));
        }
        IntervalKind::Bootstrap if *fewest < FEWEST_BOOTSTRAP_UNITS => console.warn(&format!(
            "--ci bootstrap: no interval where there are fewer than {FEWEST_BOOTSTRAP_UNITS} units; --ci t has one"
        )),
        IntervalKind::Bootstrap if *fewest < ci.enough_units() => {
            console.warn(&format!("--ci bootstrap of {fewest} units is too narrow; --ci t is not"));
        }
        IntervalKind::T | IntervalKind::Bootstrap => {}
    }
    Ok(())
}

/// Says how many rows were left out as copies.
pub(super) fn remark_copies(console: &Console, copies: u64) {
    if copies > 0 {
        console.note(&format!(
            "{copies} rows agree to the bit with an earlier one of their coalition, beside others that do not: copies of \
             one evaluation, left out"
        ));
    }
}

/// Says that nothing tells which way a value is good.
pub(super) fn remark_direction(console: &Console, better: Option<Direction>, value: &str) {
    if better.is_none() && Direction::of_column(value).is_none() {
        console
            .note(&format!("the name {value} does not say which way is better; --better higher|lower does"));
    }
}
