//! Jobs of analyses of games: a task finds the values of single games.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::task::{BUG, Divisible, Finds, JobTask, SKIPS_TOGETHER};
use crate::attribution::{AblationResult, GameResult, InteractionResult};
use crate::commands::analyze::ablation::{self, AblationArgs};
use crate::commands::analyze::games::{Share, coalition_options, read_games, warn_of_twins};
use crate::commands::analyze::interactions::{self, InteractionArgs};
use crate::commands::analyze::shapley::{self, ShapleyArgs};
use crate::commands::{CommandError, Completeness, Context, Outcome};
use crate::console::Console;
use crate::records::{CoalitionRecording, DivisibleCoalitions, FileRuns, InputFile};
use crate::results::{
    AblationAnalysis, CoalitionReading, InteractionAnalysis, JobRecording, OnBad, ShapleyAnalysis, Skipped,
};
use crate::shards::{
    Division, FileUnits, FoundGames, GameOutcome, PartUnits, RunContents, from_bytes, to_bytes,
};

/// An analysis of games as a job sees it.
pub(super) trait GameVerb {
    /// What is asked, as a value.
    type Analysis: Serialize;
    /// What one game comes to.
    type Outcome: GameOutcome + Serialize + DeserializeOwned + Send;

    fn asked(&self, context: &Context) -> Result<Self::Analysis, CommandError>;
    fn runs(&self) -> &[String];
    fn check_view(&self, context: &Context) -> Result<(), CommandError>;
    /// Refuses what so many runs and value columns can never give.
    fn check_recorded(&self, context: &Context, numbers: (usize, usize)) -> Result<(), CommandError>;
    /// Value columns asked for, and how rows are read.
    fn reading(analysis: &Self::Analysis) -> (&[String], &CoalitionReading);
    fn measure(
        analysis: &Self::Analysis,
        console: &Console,
        recording: &CoalitionRecording,
        share: Share,
    ) -> Result<FoundGames<Self::Outcome>, CommandError>;
    fn conclude(
        &self,
        context: &Context,
        analysis: &Self::Analysis,
        found: FoundGames<Self::Outcome>,
        completeness: Completeness,
    ) -> Result<Outcome, CommandError>;
}

macro_rules! game_verb {
    ($args:ty, $analysis:ty, $outcome:ty, $module:ident, $args_of:ident => $runs:expr, $asked:ident => $reading:expr) => {
        impl GameVerb for $args {
            type Analysis = $analysis;
            type Outcome = $outcome;

            fn asked(&self, context: &Context) -> Result<$analysis, CommandError> {
                self.analysis(context)
            }

            fn runs(&self) -> &[String] {
                let $args_of = self;
                $runs
            }

            fn check_view(&self, context: &Context) -> Result<(), CommandError> {
                $module::check_view(self, context)
            }

            fn check_recorded(&self, context: &Context, numbers: (usize, usize)) -> Result<(), CommandError> {
                $module::check_recorded(self, context, numbers)
            }

            fn reading($asked: &$analysis) -> (&[String], &CoalitionReading) {
                $reading
            }

            fn measure(
                analysis: &$analysis,
                console: &Console,
                recording: &CoalitionRecording,
                share: Share,
            ) -> Result<FoundGames<$outcome>, CommandError> {
                $module::measure(analysis, console, recording, share)
            }

            fn conclude(
                &self,
                context: &Context,
                analysis: &$analysis,
                found: FoundGames<$outcome>,
                completeness: Completeness,
            ) -> Result<Outcome, CommandError> {
                $module::conclude(self, context, analysis, found, completeness)
            }
        }
    };
}

game_verb!(ShapleyArgs, ShapleyAnalysis, GameResult, shapley, args => &args.runs, asked => (&asked.value, &asked.reading));
game_verb!(
    InteractionArgs, InteractionAnalysis, InteractionResult, interactions,
    args => args.named_runs(), asked => (&asked.games.value, &asked.games.reading)
);
game_verb!(
    AblationArgs, AblationAnalysis, AblationResult, ablation,
    args => args.named_runs(), asked => (&asked.games.value, &asked.games.reading)
);

/// How a recording of games can be divided.
///
/// # Errors
/// Files that cannot be read, or have other rows.
pub(super) fn divisible<V: GameVerb>(
    verb: &V,
    files: &[InputFile],
    context: &Context,
) -> Result<Divisible, CommandError> {
    let analysis = verb.asked(context)?;
    let (values, reading) = V::reading(&analysis);
    let progress = context.console.progress();
    let found = DivisibleCoalitions::open(files, &coalition_options(values, reading), &progress)?;
    drop(progress);
    found.notes.iter().for_each(|note| context.console.note(note));
    let runs = found.files.iter().flat_map(|file| &file.parts).flat_map(|part| &part.runs);
    let numbers = (runs.collect::<BTreeSet<_>>().len(), found.values.len());
    // A flag that changes nothing is left out when parts are merged, where it is one for other occasions.
    if let Err(error) = verb.check_recorded(context, numbers)
        && !matches!(error, CommandError::Idle { .. })
    {
        return Err(error);
    }
    let is_whole = reading.on_bad == OnBad::Skip;
    let undivided = if is_whole { vec![SKIPS_TOGETHER.to_owned()] } else { Vec::new() };
    let units = found.files.iter().map(units_of).collect();
    Ok(Divisible {
        files: found.files.into_iter().map(|file| file.file).collect(),
        units,
        how: Division { target_bytes: 0, divides_files: !is_whole, divides_games: !is_whole, is_whole },
        undivided,
        recording: JobRecording {
            values: found.values,
            skipped_files: Skipped::from(&found.skipped).files,
            ..JobRecording::default()
        },
        order: Vec::new(),
        cutting: None,
    })
}

/// A file's units as they are divided.
pub(super) fn units_of(file: &FileRuns) -> FileUnits {
    let parts = file.parts.iter().map(|part| PartUnits { n_rows: part.n_rows, runs: part.runs.clone() });
    FileUnits { n_bytes: file.n_bytes, dataset: file.dataset.clone(), parts: parts.collect() }
}

/// The values of the games of a task.
///
/// # Errors
/// Unreadable input, and games without a value.
pub(super) fn find<V: GameVerb>(
    verb: &V,
    JobTask { job, task, .. }: JobTask<'_>,
    files: &[InputFile],
    context: &Context,
) -> Result<Vec<u8>, CommandError> {
    let analysis = verb.asked(context)?;
    let recording = read_games(&job.recording.values, V::reading(&analysis).1, &context.console, files)?;
    let share = task.share.map_or(Share::ALL, Share::new);
    let mut found = V::measure(&analysis, &context.console, &recording, share)?;
    // In one file the same rows are what was recorded.
    if share.is_first() && job.inputs.len() > 1 {
        let runs = recording.run_contents().into_iter();
        found.recording.runs = runs.map(|(run_id, contents)| RunContents { run_id, contents }).collect();
    }
    to_bytes(&found).map_err(|error| CommandError::State(error.to_string(), BUG.to_owned()))
}

/// Prints what the games of all tasks come to.
///
/// # Errors
/// Finds that do not belong together, and those of the verb.
pub(super) fn conclude<V: GameVerb>(
    verb: &V,
    finds: &Finds<'_>,
    context: &Context,
) -> Result<Outcome, CommandError> {
    let analysis = verb.asked(context)?;
    let completeness = finds.completeness();
    let skipped_files = finds.job.recording.skipped_files.clone();
    let counted = finds.counted();
    let parts = finds.read(from_bytes::<FoundGames<V::Outcome>>)?;
    let found = FoundGames::merged(counted.into_iter().zip(parts))?.ok_or(CommandError::NothingLeft)?;
    let found = found.with_skipped_files(skipped_files);
    if let Some((a, b)) = found.recording.twins() {
        warn_of_twins(&context.console, a, b);
    }
    verb.conclude(context, &analysis, found, completeness)
}
