//! One recording, read as each of several rules needs it.

use super::plan::Plan;
use super::replay::{open, settle};
use crate::commands::{CommandError, Context};
use crate::normalization::Autoreset;
use crate::records::{InputFile, Problem, StepRecording};

/// Whether a recording holds what a rule needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readable {
    /// It does.
    Yes,
    /// The rule's updates are rounds, and none were recorded.
    NoRounds,
}

/// One recording.
pub(super) struct Recordings<'a> {
    files: &'a [InputFile],
    pub(super) context: &'a Context,
    plain: StepRecording,
    /// The same with its rounds, once a rule has needed them.
    with_rounds: Option<StepRecording>,
    /// When its environments reset, once a rule has needed that.
    autoresets: Vec<Autoreset>,
}

impl<'a> Recordings<'a> {
    /// Opens it as `plan` needs it.
    pub(super) fn open(
        files: &'a [InputFile],
        plan: &mut Plan,
        context: &'a Context,
    ) -> Result<Self, CommandError> {
        let plain = open(files, plan, context)?;
        Ok(Self { files, context, plain, with_rounds: None, autoresets: plan.autoresets.clone() })
    }

    /// The recording as it was opened first.
    pub(super) fn plain(&self) -> &StepRecording {
        &self.plain
    }

    /// The recording as a plan that was prepared needs it.
    pub(super) fn of(&self, plan: &Plan) -> &StepRecording {
        self.with_rounds.as_ref().filter(|_| plan.options.needs_round).unwrap_or(&self.plain)
    }

    /// Reads what `plan` needs besides.
    pub(super) fn prepare(&mut self, plan: &mut Plan) -> Result<Readable, CommandError> {
        if plan.options.needs_round && self.with_rounds.is_none() {
            let progress = self.context.console.progress();
            match StepRecording::open(self.files, &plan.options, &progress) {
                Ok(recording) => self.with_rounds = Some(recording),
                Err(error) if matches!(error.problem, Problem::MissingColumns { .. }) => {
                    return Ok(Readable::NoRounds);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if plan.return_scale.is_some() {
            plan.autoresets.clone_from(&self.autoresets);
            settle(plan, self.of(plan), self.context)?;
            self.autoresets.clone_from(&plan.autoresets);
        }
        Ok(Readable::Yes)
    }
}
