//! Jobs of comparisons whose runs are cut: after the stages of a replay, one task for each run says what its settings come to.

use super::relay::{before, cut_run, each_before, other_pass};
use super::task::{JobTask, bytes};
use crate::commands::normalize::compare_relay::{self, SettingStates, StretchParts};
use crate::commands::{CommandError, Context};
use crate::normalization::ReplayPlace;
use crate::records::InputFile;
use crate::results::{CompareAnalysis, StretchPass, TaskRow, TaskStretch};
use crate::shards::{FoundMoments, FoundSettings, MergeError};

/// Where all settings stand at the beginning of each stretch.
type Places = Vec<Vec<ReplayPlace>>;

/// What a task finds of a run that is cut.
///
/// # Errors
/// Parts that are not there yet, and those of the verb.
pub(super) fn find(
    analysis: &CompareAnalysis,
    place: JobTask<'_>,
    stretch: &TaskStretch,
    files: &[InputFile],
    context: &Context,
) -> Result<Vec<u8>, CommandError> {
    let JobTask { job, .. } = place;
    let run = cut_run(job, stretch)?;
    match stretch.pass {
        StretchPass::Moments => bytes(&compare_relay::moments(analysis, (run, stretch), files, context)?),
        StretchPass::States => {
            let mut states = SettingStates::new(analysis, run);
            each_before(place, before(stretch), |found: FoundMoments| states.take(&found))?;
            bytes(&states.places())
        }
        StretchPass::Settings => {
            let places = places_of(place, before(stretch), stretch.number)?;
            bytes(&compare_relay::settings(analysis, (run, stretch), &places, files, context)?)
        }
        StretchPass::Lags => {
            let mut stretches: Vec<FoundSettings> = Vec::new();
            each_before(place, before(stretch), |found| {
                stretches.push(found);
                Ok(())
            })?;
            let parts = RunParts::of(place, stretch)?;
            bytes(&compare_relay::concluded(analysis, run, stretches, &parts)?)
        }
        StretchPass::Replay | StretchPass::Sums => Err(other_pass(job)),
    }
}

/// Where all settings stand at the beginning of a stretch, as a task has found it.
fn places_of(
    place: JobTask<'_>,
    states: [usize; 2],
    number: usize,
) -> Result<Vec<ReplayPlace>, CommandError> {
    let mut found = None;
    each_before(place, states, |places: Places| {
        found = places.into_iter().nth(number);
        Ok(())
    })?;
    Ok(found.ok_or_else(|| MergeError::Damaged(states[0], "states are missing".to_owned()))?)
}

/// What the tasks before the last stage found of a run.
struct RunParts<'a> {
    place: JobTask<'a>,
    /// The task that found the states.
    states: [usize; 2],
    /// The first that found moments.
    first_moments: usize,
    starts: Vec<u64>,
}

impl<'a> RunParts<'a> {
    /// Those of the run whose stretches the task has just read.
    fn of(place: JobTask<'a>, lags: &TaskStretch) -> Result<Self, CommandError> {
        let tasks = place.folder.tasks(place.job)?;
        let stretch_of = |task: usize| {
            let task = tasks.iter().find(|other| other.id == task);
            task.and_then(|task: &TaskRow| task.stretch.as_ref()).ok_or_else(|| other_pass(place.job))
        };
        let states = before(stretch_of(before(lags)[0])?);
        let [first_moments, end] = before(stretch_of(states[0])?);
        let starts = (first_moments..end).map(|task| Ok(stretch_of(task)?.updates));
        let starts = starts.collect::<Result<_, CommandError>>()?;
        Ok(Self { place, states, first_moments, starts })
    }
}

impl StretchParts for RunParts<'_> {
    fn starts(&self) -> &[u64] {
        &self.starts
    }

    fn moments(&self, stretch: usize) -> Result<FoundMoments, CommandError> {
        let task = self.first_moments + stretch;
        let mut found = None;
        each_before(self.place, [task, task + 1], |moments: FoundMoments| {
            found = Some(moments);
            Ok(())
        })?;
        let damaged = || MergeError::Damaged(task, "batches have no vector steps".to_owned());
        Ok(found.filter(FoundMoments::has_steps).ok_or_else(damaged)?)
    }

    fn places(&self, stretch: usize) -> Result<Vec<ReplayPlace>, CommandError> {
        places_of(self.place, self.states, stretch)
    }
}
