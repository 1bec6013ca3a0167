//! How a command ends.

use crate::attribution::{GameError, GameKey};
use crate::normalization::DeviceError;
use crate::records::{BaselineError, JobError, Problem, RecordError, may_pass};
use crate::shards::MergeError;

/// Exit code of a task that may be tried again.
pub(super) const AGAIN: u8 = 75;

/// A command that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to report.
    Clean,
    /// A check, verification or comparison found a difference.
    Findings,
    /// A check had nothing it could be compared with.
    Incomparable,
}

/// A command that could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Arguments that contradict each other or the situation.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A flag that would change nothing: wrong where it was typed; left out where it is a setting for other occasions too.
    #[error("--{flag} {reason}")]
    Idle {
        /// Its name.
        flag: &'static str,
        /// Why it would change nothing.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// Input that cannot be read or is invalid.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A game without a value under the method asked for.
    #[error("{file}: {key}: {source}")]
    Game {
        /// The file the game begins in.
        file: String,
        /// Which game.
        key: GameKey,
        /// Why.
        source: GameError,
    },
    /// A stored state that does not fit, with what to do.
    #[error("{0}")]
    State(String, String),
    /// A baseline that cannot be used.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// A device that is not there, or that failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A job's folder that cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// Parts that are not those of one job.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A task that failed by what may pass.
    #[error("{0}")]
    Again(Box<CommandError>),
    /// Tasks that failed.
    #[error("{} failed; task {first}: {text}", if *failed == 1 { "1 task".to_owned() } else { format!("{failed} tasks") })]
    Tasks {
        /// How many.
        failed: usize,
        /// The first of them.
        first: usize,
        /// What it said.
        text: String,
        /// Whether another try may do for all of them.
        may_pass: bool,
    },
    /// Everything was left out.
    #[error("everything was left out: there is nothing to report")]
    NothingLeft,
    /// A result that cannot be written.
    #[error("cannot write {target}: {source}")]
    Output {
        /// Where to.
        target: String,
        /// Why.
        source: std::io::Error,
    },
}

impl CommandError {
    /// A usage error with a hint.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// A flag that would change nothing.
    pub fn idle(flag: &'static str, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Idle { flag, reason: reason.into(), hint: hint.into() }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. }
            | Self::Idle { .. }
            | Self::Game {
                source:
                    GameError::NoRange
                    | GameError::NoPermutations
                    | GameError::OverlappingGroups { .. }
                    | GameError::GroupNamedAsPlayer { .. }
                    | GameError::OrderAboveGame { .. }
                    | GameError::TooManyTerms { .. },
                ..
            } => 2,
            Self::Output { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => 2,
            Self::Record(_)
            | Self::Baseline(_)
            | Self::Game { .. }
            | Self::NothingLeft
            | Self::State(..)
            | Self::Job(_)
            | Self::Merge(_)
            | Self::Tasks { may_pass: false, .. }
            | Self::Output { .. } => 3,
            Self::Again(_) | Self::Tasks { .. } => AGAIN,
            Self::Device(_) => 4,
        }
    }

    /// The same, marked where another try may do: the system refused, and may not the next time.
    #[must_use]
    pub(super) fn or_again(self) -> Self {
        let passes = match &self {
            Self::Record(RecordError { problem: Problem::Io(error), .. }) => may_pass(error),
            Self::Record(RecordError {
                problem: Problem::NoTemporary { .. } | Problem::Store { may_pass: true, .. },
                ..
            }) => true,
            Self::Output { source, .. } => may_pass(source),
            Self::Job(error) => error.may_pass(),
            _ => false,
        };
        if passes { Self::Again(Box::new(self)) } else { self }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::Record(error) => error.hint(),
            Self::Game { source, .. } => source.hint(),
            Self::Baseline(error) => Some(error.hint().to_owned()),
            Self::Device(error) => Some(format!("{}; simic devices lists what is present", error.hint())),
            Self::State(_, hint) | Self::Idle { hint, .. } => Some(hint.clone()),
            Self::Job(error) => Some(error.hint().to_owned()),
            Self::Merge(error) => Some(error.hint().to_owned()),
            Self::Again(error) => error.hint(),
            Self::Tasks { may_pass, .. } => {
                Some(if *may_pass { "run the job again" } else { "mend it and run the job again" }.to_owned())
            }
            Self::NothingLeft => Some("-v and the warnings say why".to_owned()),
            Self::Output { source, .. } => Some(output_hint(source).to_owned()),
        }
    }
}

/// What to do where a result cannot be written.
fn output_hint(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{
        AlreadyExists, FileTooLarge, NotFound, PermissionDenied, QuotaExceeded, StorageFull,
    };
    match error.kind() {
        AlreadyExists => "another name keeps both",
        NotFound => "make the folder first",
        PermissionDenied => "name a place that may be written to",
        StorageFull | QuotaExceeded | FileTooLarge => {
            "make room, or name another place; nothing half-written is left"
        }
        _ => "name another place; nothing half-written is left",
    }
}
