//! Rows that only reset an environment: whether a recording has them, and which they are.

use super::plan::Plan;
use crate::commands::Context;
use crate::normalization::{Autoreset, AutoresetProbe, AutoresetRow, AutoresetRule, ProbeNeeds};
use crate::progress::Progress;
use crate::records::{Problem, RecordError, StepBlock, StepRecording};

/// Why a pass over a recording ended.
enum Ended {
    /// Nothing that follows changes the answer.
    Settled,
    /// By an error.
    Failed(RecordError),
}

impl From<RecordError> for Ended {
    fn from(error: RecordError) -> Self {
        Self::Failed(error)
    }
}

/// When the environments of each run reset: as `plan` says or as the rows show it. Empty where no return depends on it.
///
/// # Errors
/// Malformed rows.
pub(super) fn find(
    recording: &StepRecording,
    plan: &Plan,
    progress: &Progress,
) -> Result<Vec<Autoreset>, RecordError> {
    let n_runs = recording.runs().len();
    match (plan.return_scale, plan.autoreset) {
        (None, _) => Ok(Vec::new()),
        (_, AutoresetRule::SameStep) => Ok(vec![Autoreset::SameStep; n_runs]),
        (_, AutoresetRule::NextStep) => Ok(vec![Autoreset::NextStep; n_runs]),
        (_, AutoresetRule::Auto) if !recording.has_episode_flags() => Ok(vec![Autoreset::None; n_runs]),
        (_, AutoresetRule::Auto) => probe(recording, progress),
    }
}

/// What the rows of each run show, looking no further than has to be.
fn probe(recording: &StepRecording, progress: &Progress) -> Result<Vec<Autoreset>, RecordError> {
    let mut probes: Vec<AutoresetProbe> =
        recording.runs().iter().map(|run| AutoresetProbe::new(run.envs.len())).collect();
    let mut needs = vec![ProbeNeeds::More; probes.len()];
    let result = recording.stream(progress, |block| -> Result<(), Ended> {
        let run = block.run;
        let rows = block.values.rows();
        for row in 0..block.n_rows() {
            if needs[run] == ProbeNeeds::More {
                needs[run] = probes[run].push(AutoresetRow {
                    lane: block.lane[row] as usize,
                    episode: block.episode[row],
                    reward: rows.get(row),
                    ended: has_ended(&block, row),
                });
            }
        }
        if needs.iter().all(|needs| *needs == ProbeNeeds::Nothing) { Err(Ended::Settled) } else { Ok(()) }
    });
    match result {
        Ok(()) | Err(Ended::Settled) => Ok(probes.iter().map(AutoresetProbe::finish).collect()),
        Err(Ended::Failed(error)) => Err(error),
    }
}

/// Says what was found where it is not what every recording has.
pub(super) fn tell(found: &[Autoreset], recording: &StepRecording, context: &Context) {
    let runs = |wanted: Autoreset| {
        let named = recording.runs().iter().zip(found).filter(|(_, autoreset)| **autoreset == wanted);
        named.map(|(run, _)| run.run_id.as_str()).collect::<Vec<&str>>()
    };
    let listed = |runs: &[&str]| match runs {
        [only] => format!("run {only}"),
        runs => format!("{} runs ({}, ...)", runs.len(), runs[0]),
    };
    let next_step = runs(Autoreset::NextStep);
    if !next_step.is_empty() {
        context.console.note(&format!(
            "{}: environments reset in the step after the end of an episode; rows of resets are in no return",
            listed(&next_step)
        ));
    }
    let undecided = runs(Autoreset::Undecided);
    if !undecided.is_empty() {
        context.console.note(&format!(
            "{}: the rows after ends of episodes have no reward, as steps have there too: they could be resets and count \
             as steps; --autoreset next-step or same-step says which",
            listed(&undecided)
        ));
    }
}

/// Marks the rows of a run that only reset an environment: those right after the end of its episode.
#[derive(Debug, Clone)]
pub(super) struct ResetRows {
    /// Whether each environment's last row ended an episode.
    has_ended: Vec<bool>,
}

impl ResetRows {
    /// At the beginning of a run whose environments reset like this; `None` where every row is a step.
    pub(super) fn new(autoreset: Option<Autoreset>, n_envs: usize) -> Option<Self> {
        (autoreset == Some(Autoreset::NextStep)).then(|| Self { has_ended: vec![false; n_envs] })
    }

    /// Whether each row is a reset.
    ///
    /// # Errors
    /// A reset with a reward, or one that ends an episode.
    pub(super) fn mark(
        &mut self,
        block: &StepBlock,
        recording: &StepRecording,
    ) -> Result<Vec<bool>, RecordError> {
        let rows = block.values.rows();
        (0..block.n_rows())
            .map(|row| {
                let ended = has_ended(block, row);
                let is_reset = std::mem::replace(&mut self.has_ended[block.lane[row] as usize], ended);
                let reward = rows.get(row);
                if is_reset && (reward != 0.0 || ended) {
                    let run = &recording.runs()[block.run].run_id;
                    let step = format!(
                        "run {run}, episode {}, step {}, env {}",
                        block.episode[row], block.step[row], block.env[row]
                    );
                    return Err(RecordError::file("", Problem::ResetWithReward { step, reward }));
                }
                Ok(is_reset)
            })
            .collect()
    }
}

fn has_ended(block: &StepBlock, row: usize) -> bool {
    block.ended.as_ref().is_some_and(|ended| ended[row])
}
