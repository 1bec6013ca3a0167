//! Jobs of normalizations: a task finds what single runs come to.

use serde::de::DeserializeOwned;

use super::cutting::Cutting;
use super::games::units_of;
use super::relay;
use super::task::{BUG, Divisible, Find, Finds, JobTask, ROWS, SKIPS_TOGETHER, TRACE, bytes};
use crate::commands::normalize::compare::{self, CompareArgs};
use crate::commands::normalize::compare_relay;
use crate::commands::normalize::extent::Extent;
use crate::commands::normalize::relay::{Wanted, way_of};
use crate::commands::normalize::replay::{self, ReplayArgs};
use crate::commands::normalize::stats::{self, StatsArgs};
use crate::commands::normalize::step_options;
use crate::commands::normalize::verify::{self, VerifyArgs};
use crate::commands::{CommandError, Context, Outcome};
use crate::records::{InputFile, StepOptions, StepRecording};
use crate::results::{
    JobRecording, NormalizedRun, OnBad, ReplayAnalysis, RuleAnalysis, Skipped, VerificationDocument,
};
use crate::shards::{Division, FoundRuns, RunOutcome, divide, from_bytes};

/// How a recording can be divided whose settings are compared.
///
/// # Errors
/// Files that cannot be read, or have other rows; settings that do not share their batches.
pub(super) fn comparable(
    args: &CompareArgs,
    files: &[InputFile],
    context: &Context,
) -> Result<Divisible, CommandError> {
    let analysis = args.analysis(context)?;
    compare::check_rule(&analysis.rule)?;
    let cutting = |recording: &StepRecording| {
        compare::check_recording(&analysis, recording)?;
        let way = compare_relay::way_of(&analysis, recording);
        let state_bytes = compare_relay::state_bytes(&analysis, recording.width());
        Ok(Some(Cutting::of(&analysis.rule, (way, state_bytes), recording)))
    };
    divisible_runs(&analysis.rule, cutting, files, context)
}

/// How runs may be cut that are replayed.
fn cutting(
    analysis: &ReplayAnalysis,
    wanted: Wanted,
) -> impl FnOnce(&StepRecording) -> Result<Option<Cutting>, CommandError> {
    move |recording| {
        Ok(Some(Cutting::of(&analysis.rule, (way_of(analysis, wanted, recording), 0), recording)))
    }
}

/// How a recording of steps can be divided under a rule, where runs may be cut as `cutting` says.
///
/// # Errors
/// Files that cannot be read, or have other rows.
fn divisible_runs(
    rule: &RuleAnalysis,
    cutting: impl FnOnce(&StepRecording) -> Result<Option<Cutting>, CommandError>,
    files: &[InputFile],
    context: &Context,
) -> Result<Divisible, CommandError> {
    let why_whole = rule.carry_over.then(|| {
        "--carry-over: every run goes on from the one before it, and one task goes through all".to_owned()
    });
    divided(&step_options(rule), why_whole, cutting, (files, context))
}

/// How a recording can be divided whose final statistics are asked for.
///
/// # Errors
/// Files that cannot be read, or have other rows.
pub(super) fn measurable(
    args: &StatsArgs,
    files: &[InputFile],
    context: &Context,
) -> Result<Divisible, CommandError> {
    let analysis = args.analysis(context)?;
    divisible_runs(&analysis.rule, cutting(&analysis, Wanted::Statistics), files, context)
}

/// Why a verification is one task.
const VERIFIED_TOGETHER: &str =
    "a state is compared with all runs before anything is said of one: one task goes through all";

/// The same for a stored state.
///
/// # Errors
/// Likewise, and a state that cannot be read.
pub(super) fn verifiable(
    args: &VerifyArgs,
    files: &[InputFile],
    context: &Context,
) -> Result<Divisible, CommandError> {
    let asked = verify::Asked::of(args, context)?;
    divided(asked.options(), Some(VERIFIED_TOGETHER.to_owned()), |_| Ok(None), (files, context))
}

fn divided(
    options: &StepOptions,
    why_whole: Option<String>,
    cutting: impl FnOnce(&StepRecording) -> Result<Option<Cutting>, CommandError>,
    (files, context): (&[InputFile], &Context),
) -> Result<Divisible, CommandError> {
    let progress = context.console.progress();
    let recording = StepRecording::open(files, options, &progress)?;
    let found = recording.runs_of_files(&progress)?;
    drop(progress);
    recording.notes().iter().for_each(|note| context.console.note(note));
    let not_uniform = (!recording.has_uniform_files()).then(|| {
        "files have different columns, and some say how others are read: one task reads all; simic convert makes them alike"
            .to_owned()
    });
    let skips = (options.on_bad == OnBad::Skip).then(|| SKIPS_TOGETHER.to_owned());
    let undivided: Vec<String> = why_whole.or(skips).or(not_uniform).into_iter().collect();
    let can_cut = undivided.is_empty();
    let cutting = cutting(&recording)?;
    Ok(Divisible {
        units: found.iter().map(units_of).collect(),
        files: found.into_iter().map(|file| file.file).collect(),
        how: Division {
            target_bytes: 0,
            divides_files: false,
            divides_games: false,
            is_whole: !undivided.is_empty(),
        },
        undivided,
        recording: JobRecording {
            is_ordered: Some(recording.is_ordered()),
            skipped_files: Skipped::from(&recording.skips().report).files,
            ..JobRecording::default()
        },
        order: recording.runs().iter().map(|run| run.run_id.clone()).collect(),
        cutting: cutting.filter(|_| can_cut),
    })
}

/// The final statistics of the runs of a task.
///
/// # Errors
/// Those of the verb.
pub(super) fn find_stats(
    args: &StatsArgs,
    place: JobTask<'_>,
    files: &[InputFile],
    context: &Context,
) -> Result<Find, CommandError> {
    let analysis = args.analysis(context)?;
    if let Some(stretch) = &place.task.stretch {
        return relay::find(&analysis, place, stretch, files, context);
    }
    let extent = Extent::Task { n_runs: place.job.recording.n_runs };
    Ok(bytes(&stats::measure(&analysis, files, context, extent)?)?.into())
}

/// The replay of the runs of a task; rows that are asked for go to files beside its part.
///
/// # Errors
/// Those of the verb.
pub(super) fn find_replay(
    args: &ReplayArgs,
    place: JobTask<'_>,
    files: &[InputFile],
    context: &Context,
) -> Result<Find, CommandError> {
    let analysis = args.analysis(context)?;
    if let Some(stretch) = &place.task.stretch {
        return relay::find(&analysis, place, stretch, files, context);
    }
    let found = replay::measure(&analysis, files, &place.outputs()?, context)?.committed()?;
    Ok(Find { bytes: bytes(&found)?, beside: place.job.beside.clone() })
}

/// Every setting on the runs of a task.
///
/// # Errors
/// Those of the verb.
pub(super) fn find_comparison(
    args: &CompareArgs,
    place: JobTask<'_>,
    files: &[InputFile],
    context: &Context,
) -> Result<Vec<u8>, CommandError> {
    let analysis = args.analysis(context)?;
    match &place.task.stretch {
        Some(stretch) => super::comparisons::find(&analysis, place, stretch, files, context),
        None => bytes(&compare::measure(&analysis, files, context)?),
    }
}

/// What became of a state.
///
/// # Errors
/// Those of the verb.
pub(super) fn find_verification(
    args: &VerifyArgs,
    files: &[InputFile],
    context: &Context,
) -> Result<Vec<u8>, CommandError> {
    let document = verify::Asked::of(args, context)?.verified(args, files, context)?;
    serde_json::to_vec(&document).map_err(|error| CommandError::State(error.to_string(), BUG.to_owned()))
}

/// What the runs of all tasks come to, put together.
fn merged<R: RunOutcome + DeserializeOwned + Send>(finds: &Finds<'_>) -> Result<FoundRuns<R>, CommandError> {
    merged_with(Vec::new(), finds)
}

/// The same with those that were cut.
fn merged_runs(
    analysis: &ReplayAnalysis,
    wanted: Wanted,
    finds: &Finds<'_>,
) -> Result<FoundRuns<NormalizedRun>, CommandError> {
    merged_with(relay::whole_runs(analysis, wanted, finds)?, finds)
}

fn merged_with<R: RunOutcome + DeserializeOwned + Send>(
    cut: Vec<FoundRuns<R>>,
    finds: &Finds<'_>,
) -> Result<FoundRuns<R>, CommandError> {
    let mut parts = finds.read_of(relay::is_of_whole_runs, from_bytes::<FoundRuns<R>>)?;
    parts.extend(cut);
    let found = FoundRuns::merged(parts, &finds.order())?.ok_or(CommandError::NothingLeft)?;
    Ok(found.with_skipped_files(finds.job.recording.skipped_files.clone()))
}

/// Prints the final statistics of all runs.
///
/// # Errors
/// Finds that do not belong together, and those of the verb.
pub(super) fn conclude_stats(
    args: &StatsArgs,
    finds: &Finds<'_>,
    context: &Context,
) -> Result<Outcome, CommandError> {
    let analysis = args.analysis(context)?;
    let found = merged_runs(&analysis, Wanted::Statistics, finds)?;
    stats::conclude(args, context, &analysis, found, finds.completeness())
}

/// Prints the replay of all runs.
///
/// # Errors
/// Likewise.
pub(super) fn conclude_replay(
    args: &ReplayArgs,
    finds: &Finds<'_>,
    context: &Context,
) -> Result<Outcome, CommandError> {
    let analysis = args.analysis(context)?;
    let missing = [("-o", ROWS, context.common.output.is_some()), ("--trace", TRACE, args.writes_trace())];
    if let Some((flag, ..)) = missing.iter().find(|(_, what, is_asked)| *is_asked && !finds.has_beside(what))
    {
        return Err(CommandError::State(
            format!("{flag}: the job was planned without it, and its parts hold no such rows"),
            format!("plan it with {flag}: simic shard plan --force"),
        ));
    }
    let (rows, trace) = (finds.beside(ROWS), finds.beside(TRACE));
    let found = merged_runs(&analysis, Wanted::Replay, finds)?;
    replay::conclude(args, context, &analysis, found, (&rows, &trace), finds.completeness())
}

/// Prints every setting on all runs.
///
/// # Errors
/// Likewise.
pub(super) fn conclude_comparison(
    args: &CompareArgs,
    finds: &Finds<'_>,
    context: &Context,
) -> Result<Outcome, CommandError> {
    let analysis = args.analysis(context)?;
    compare::conclude(args, context, &analysis, merged(finds)?, finds.completeness())
}

/// Prints what became of a state.
///
/// # Errors
/// Likewise.
pub(super) fn conclude_verification(
    args: &VerifyArgs,
    finds: &Finds<'_>,
    context: &Context,
) -> Result<Outcome, CommandError> {
    let documents = finds.read(|bytes| {
        serde_json::from_slice::<VerificationDocument>(bytes).map_err(serde::de::Error::custom)
    })?;
    let document = documents.into_iter().next().ok_or(CommandError::NothingLeft)?;
    verify::conclude(args, context, document, finds.completeness())
}

/// Files that a replay leaves beside its parts.
pub(super) fn beside(args: &ReplayArgs, context: &Context) -> Vec<String> {
    let asked = [(ROWS, context.common.output.is_some()), (TRACE, args.writes_trace())];
    asked.into_iter().filter(|(_, is_asked)| *is_asked).map(|(what, _)| what.to_owned()).collect()
}

/// How a recording whose rows are written can be divided: only so that the rows of parts come one after the other.
///
/// # Errors
/// Files that cannot be read, or have other rows.
pub(super) fn replayable(
    args: &ReplayArgs,
    files: &[InputFile],
    context: &Context,
) -> Result<Divisible, CommandError> {
    let analysis = args.analysis(context)?;
    let found = divisible_runs(&analysis.rule, cutting(&analysis, Wanted::Replay), files, context)?;
    replay::check_runs(args, context, found.order.len())?;
    if beside(args, context).is_empty() || found.how.is_whole {
        return Ok(found);
    }
    let each = Division { target_bytes: 1, ..found.how };
    let runs: Vec<String> = divide(&found.units, each).into_iter().flat_map(|task| task.runs).collect();
    if runs == found.order {
        return Ok(found);
    }
    let reason =
        "the runs of several files alternate, and their rows are written in one order: one task writes all";
    let how = Division { is_whole: true, ..found.how };
    Ok(Divisible { how, undivided: vec![reason.to_owned()], ..found })
}

/// Refuses what cannot be divided, before anything is read.
///
/// # Errors
/// As said.
pub(super) fn check_comparison(args: &CompareArgs) -> Result<(), CommandError> {
    if args.divisors {
        return Err(CommandError::usage(
            "normalize compare --divisors cannot be divided into tasks",
            "run it on one machine: it is one pass for each framework",
        ));
    }
    Ok(())
}
