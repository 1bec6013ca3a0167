//! What the analyses of coalition games share: reading the rows, going through the games, remarks.

use std::ops::Range;

use rayon::prelude::*;

use crate::attribution::{Game, GameError};
use crate::commands::{CommandError, Context};
use crate::console::Console;
use crate::progress::Progress;
use crate::records::{CoalitionOptions, CoalitionRecording, ColumnMap, InputFile};
use crate::results::{CoalitionReading, Direction, IntervalKind, OnBad};
use crate::shards::{ColumnGames, GroupGames, ListedSlots, RecordingFacts};
use crate::stats::FEWEST_BOOTSTRAP_UNITS;

/// How coalition rows are read.
pub(in crate::commands) fn coalition_options(
    values: &[String],
    reading: &CoalitionReading,
) -> CoalitionOptions {
    CoalitionOptions {
        columns: ColumnMap::of_map(&reading.columns).with_players(&reading.players).with_by(&reading.by),
        values: values.to_vec(),
        slots: reading.slots.clone(),
        repeats: reading.duplicates,
        on_bad: reading.on_bad,
    }
}

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
    let options = coalition_options(values, reading);
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
        warn_of_twins(console, &a, &b);
    }
    Ok(recording)
}

/// Warns of two runs that hold the same.
pub(in crate::commands) fn warn_of_twins(console: &Console, a: &str, b: &str) {
    console.warn(&format!(
        "runs {a} and {b} hold the same values in every game: the same data twice counts twice"
    ));
}

/// Which games of a recording are gone through: all, or a share of the units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) struct Share {
    number: u64,
    of: u64,
}

impl Share {
    /// All games.
    pub(in crate::commands) const ALL: Self = Self { number: 0, of: 1 };

    /// Share `number` of so many.
    pub(in crate::commands) fn new([number, of]: [u64; 2]) -> Self {
        Self { number, of: of.max(1) }
    }

    /// Whether it is the first: what is said of the whole recording is said once.
    pub(in crate::commands) fn is_first(self) -> bool {
        self.number == 0
    }

    /// Places of its games: games of one (run, episode) stay together.
    fn games(self, recording: &CoalitionRecording) -> Range<usize> {
        let n_games = recording.n_games();
        if self.of == 1 {
            return 0..n_games;
        }
        let is_same_unit = |place: &usize| {
            let (own, before) = (recording.key(*place), recording.key(place - 1));
            (&own.group, &own.run_id, own.episode) == (&before.group, &before.run_id, before.episode)
        };
        let start_of = |number: u64| {
            let start = u128::from(number) * n_games as u128 / u128::from(self.of);
            let start = usize::try_from(start).unwrap_or(n_games);
            (start..n_games).find(|place| *place == 0 || !is_same_unit(place)).unwrap_or(n_games)
        };
        start_of(self.number)..if self.number + 1 == self.of { n_games } else { start_of(self.number + 1) }
    }
}

/// The value columns asked for, by number and name; a recording may hold more.
pub(super) fn wanted_columns<'a>(
    asked: &[String],
    recording: &'a CoalitionRecording,
) -> impl Iterator<Item = (usize, &'a str)> {
    let names = recording.value_names().iter().map(String::as_str).enumerate();
    names.filter(|(_, name)| asked.is_empty() || asked.iter().any(|wanted| wanted == name))
}

/// How games are gone through.
pub(super) struct Measuring<'a> {
    pub(super) on_bad: OnBad,
    pub(super) console: &'a Console,
    pub(super) recording: &'a CoalitionRecording,
    pub(super) share: Share,
    pub(super) progress: &'a Progress,
}

/// Games computed together: enough for all threads, few beside those of a large recording.
const TOGETHER: usize = 1 << 14;

/// Computes every game of a share by a value column.
///
/// # Errors
/// The first game without a result, unless such games are to be left out.
pub(super) fn measure_column<R: Send>(
    measuring: &Measuring<'_>,
    (value, name): (usize, &str),
    compute: impl Fn(&Game) -> Result<R, GameError> + Sync,
) -> Result<ColumnGames<R>, CommandError> {
    let Measuring { recording, progress, .. } = *measuring;
    let games = measuring.share.games(recording);
    progress.begin("computing", games.len() as u64);
    let measured = |index: usize| {
        let game = recording.game(index, value)?;
        let result = compute(&game).map_err(|source| CommandError::Game {
            file: recording.file_of(index).to_owned(),
            key: game.key.clone(),
            source,
        });
        progress.advance(1);
        result
    };
    let mut found =
        ColumnGames { name: name.to_owned(), games: Vec::with_capacity(games.len()), left_out: Vec::new() };
    for start in games.clone().step_by(TOGETHER) {
        let together = start..games.end.min(start + TOGETHER);
        let computed: Vec<Result<R, CommandError>> =
            together.clone().into_par_iter().map(&measured).collect();
        for (index, result) in together.zip(computed) {
            match result {
                Ok(game) => found.games.push(game),
                Err(error @ CommandError::Game { .. }) if measuring.on_bad == OnBad::Skip => {
                    measuring.console.detail(&format!("left out: {error}"));
                    found.left_out.push(recording.key(index).clone());
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}

/// Says how many games of a group were left out.
///
/// # Errors
/// Nothing is left.
pub(super) fn check_left_out<R>(games: &GroupGames<R>, console: &Console) -> Result<(), CommandError> {
    if games.n_left_out > 0 {
        console.warn(&format!(
            "{} games left out: the method has no value for them (-v lists them)",
            games.n_left_out
        ));
    }
    if games.results.is_empty() { Err(CommandError::NothingLeft) } else { Ok(()) }
}

/// What there is to know of a recording besides its games.
pub(super) fn facts_of(recording: &CoalitionRecording) -> RecordingFacts {
    let listed = recording.slots_as_listed().map(|listed| {
        let own = |(game, slots)| ListedSlots { game: recording.key(game).clone(), slots };
        listed.into_iter().map(own).collect()
    });
    RecordingFacts {
        files: recording.n_files(),
        rows: recording.n_rows(),
        skipped: recording.skipped().into(),
        has_unnamed_slots: recording.has_unnamed_slots(),
        listed,
        runs: Vec::new(),
    }
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
