//! Jobs of normalizations whose runs are cut: their tasks come in three stages.
//!
//! Tasks of the first look at stretches of a run, one of the second goes through what they have seen and keeps the state at every
//! cut, tasks of the third replay the stretches from there. One task finds the states, not each task those before its own: what was
//! seen of all stretches is read once then, and not once for every stretch after them.

use super::cutting::is_of;
use super::task::{Find, Finds, JobTask, bytes, sound_part};
use crate::commands::normalize::relay::{self, States, Wanted};
use crate::commands::{CommandError, Context};
use crate::records::InputFile;
use crate::results::{CutRun, JobDocument, NormalizedRun, ReplayAnalysis, StretchPass, TaskRow, TaskStretch};
use crate::shards::{
    FoundMoments, FoundPlaces, FoundRuns, FoundStretch, FoundSums, MergeError, ReplayedRows, StepFacts,
    from_bytes,
};

/// What a task finds of a run that is cut; rows that are asked for go to files beside its part.
///
/// # Errors
/// Parts that are not there yet, and those of the verb.
pub(super) fn find(
    analysis: &ReplayAnalysis,
    place: JobTask<'_>,
    stretch: &TaskStretch,
    files: &[InputFile],
    context: &Context,
) -> Result<Find, CommandError> {
    let JobTask { job, task, .. } = place;
    let run = cut_run(job, stretch)?;
    match stretch.pass {
        StretchPass::Moments => Ok(bytes(&relay::moments(analysis, (run, stretch), files, context)?)?.into()),
        StretchPass::Sums => Ok(bytes(&relay::sums(analysis, (run, stretch), files, context)?)?.into()),
        StretchPass::States => {
            let mut states = States::new(analysis, run);
            each_before(place, before(stretch), |found: FoundMoments| states.take(&found))?;
            Ok(bytes(&states.places())?.into())
        }
        StretchPass::Replay => {
            let mut start = None;
            each_before(place, before(stretch), |found: FoundPlaces| {
                start = found.places.into_iter().nth(stretch.number);
                Ok(())
            })?;
            let start =
                start.ok_or_else(|| MergeError::Damaged(task.id, "its state is missing".to_owned()))?;
            let outputs = (files, &place.outputs()?);
            let (rows, recording) = relay::replay(analysis, (run, stretch), &start, outputs, context)?;
            let found = FoundStretch { run: stretch.run, number: stretch.number, rows, recording };
            Ok(Find { bytes: bytes(&found)?, beside: job.beside.clone() })
        }
        StretchPass::Settings | StretchPass::Lags => Err(other_pass(job)),
    }
}

/// A task whose work is not that of the verb.
pub(super) fn other_pass(job: &JobDocument) -> CommandError {
    CommandError::State(
        format!("plan.jsonl has work that {} does not do", job.verb),
        "plan the job anew: simic shard plan --force".to_owned(),
    )
}

/// Tasks that one goes on from: the first, and one past the last.
pub(super) fn before(stretch: &TaskStretch) -> [usize; 2] {
    stretch.after.unwrap_or_default()
}

/// The run that a stretch is of.
///
/// # Errors
/// A job that does not know it.
pub(super) fn cut_run<'a>(job: &'a JobDocument, stretch: &TaskStretch) -> Result<&'a CutRun, CommandError> {
    job.recording.cut_runs.get(stretch.run).ok_or_else(|| {
        CommandError::State(
            format!("job.json does not know run {} of those that are cut", stretch.run),
            "plan the job anew: simic shard plan --force".to_owned(),
        )
    })
}

/// Hands on what the tasks found that a task goes on from, in their order.
///
/// # Errors
/// All of them that have no part yet, as what another try may find; parts that are not those of the job.
pub(super) fn each_before<T: serde::de::DeserializeOwned>(
    JobTask { job, task, folder }: JobTask<'_>,
    [first, end]: [usize; 2],
    mut take: impl FnMut(T) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let before = if end - first == 1 { vec![folder.task(job, first)?] } else { folder.tasks(job)? };
    let before = before.iter().filter(|before| (first..end).contains(&before.id));
    let mut missing = Vec::new();
    for before in before {
        match folder.read_part(before.id, &[])? {
            None => missing.push(before.id),
            Some(_) if !missing.is_empty() => {}
            Some(part) => {
                let find = sound_part(folder, job, before, &part)?;
                take(from_bytes(find).map_err(|error| MergeError::Damaged(before.id, error.to_string()))?)?;
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(CommandError::Again(Box::new(MergeError::Awaited { task: task.id, missing }.into())))
}

/// The runs that were cut, put together from their stretches; those that lack one are left out.
///
/// # Errors
/// Parts that are damaged, not those of the job, or of other columns than those beside them.
pub(super) fn whole_runs(
    analysis: &ReplayAnalysis,
    wanted: Wanted,
    finds: &Finds<'_>,
) -> Result<Vec<FoundRuns<NormalizedRun>>, CommandError> {
    let mut replayed = finds.read_of(|task| is_of(task, StretchPass::Replay), from_bytes::<FoundStretch>)?;
    let mut summed = finds.read_of(|task| is_of(task, StretchPass::Sums), from_bytes::<FoundSums>)?;
    let mut runs = Vec::new();
    for (number, run) in finds.job.recording.cut_runs.iter().enumerate() {
        // In order of tasks, which is that of runs and their stretches.
        let n_replayed = replayed.partition_point(|stretch| stretch.run == number);
        let n_summed = summed.partition_point(|stretch| stretch.run == number);
        let (replayed, summed): (Vec<_>, Vec<_>) =
            (replayed.drain(..n_replayed).collect(), summed.drain(..n_summed).collect());
        let found = if replayed.len() == run.n_stretches {
            replayed_run(analysis, wanted, run, replayed)?
        } else if summed.len() == run.n_stretches {
            relay::added_run(analysis, run, summed)?
        } else {
            None
        };
        runs.extend(found.map(|(found, mut recording)| {
            recording.input.files = run.n_files;
            FoundRuns { runs: vec![found], recording }
        }));
    }
    Ok(runs)
}

fn replayed_run(
    analysis: &ReplayAnalysis,
    wanted: Wanted,
    run: &CutRun,
    stretches: Vec<FoundStretch>,
) -> Result<Option<(NormalizedRun, StepFacts)>, CommandError> {
    let (rows, facts): (Vec<ReplayedRows>, Vec<StepFacts>) =
        stretches.into_iter().map(|stretch| (stretch.rows, stretch.recording)).unzip();
    let Some((rows, recording)) = ReplayedRows::joined(rows).zip(facts.first().cloned()) else {
        return Ok(None);
    };
    facts.iter().try_for_each(|other| recording.check_same(other))?;
    Ok(Some((relay::whole_run(analysis, wanted, run, rows), recording)))
}

/// Whether a task has found what runs come to by itself.
pub(super) fn is_of_whole_runs(task: &TaskRow) -> bool {
    task.stretch.is_none() || is_of(task, StretchPass::Lags)
}
