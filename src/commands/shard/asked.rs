//! The command that a job is of.

use serde::Serialize;
use serde_json::Value;

use super::games::{self, GameVerb};
use crate::commands::analyze::{AnalyzeCommand, ablation, interactions, shapley};
use crate::commands::normalize::NormalizeCommand;
use crate::commands::{CommandError, Context, Outcome};
use crate::records::InputFile;
use crate::results::{JobDocument, JobRecording, TaskRow};
use crate::shards::{Division, FileUnits};

/// A command line that a job is of, taken apart.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The verb with its arguments.
    pub(crate) verb: ShardedVerb,
    /// Its common flags.
    pub(crate) context: Context,
    /// The arguments with everything that was added to them, without RUNS.
    pub(crate) arguments: Vec<String>,
}

/// A verb whose work is that of its runs or games, one by one.
#[derive(Debug)]
pub(crate) enum ShardedVerb {
    /// `analyze shapley`.
    Shapley(Box<shapley::ShapleyArgs>),
    /// `analyze interactions`.
    Interactions(Box<interactions::InteractionArgs>),
    /// `analyze ablation`.
    Ablation(Box<ablation::AblationArgs>),
}

/// A recording, and how it can be divided.
#[derive(Debug)]
pub(super) struct Divisible {
    /// Files that are read, in order.
    pub(super) files: Vec<InputFile>,
    /// The runs of each.
    pub(super) units: Vec<FileUnits>,
    /// How they can be divided.
    pub(super) how: Division,
    /// Why they cannot be divided further.
    pub(super) undivided: Vec<String>,
    /// What only the whole recording tells.
    pub(super) recording: JobRecording,
    /// Runs in the order that results have them; empty where their names decide.
    pub(super) order: Vec<String>,
}

/// A job with what a task of it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobTask<'a> {
    pub(super) job: &'a JobDocument,
    pub(super) task: &'a TaskRow,
}

impl ShardedVerb {
    /// The verb of an analysis.
    pub(crate) fn of_analyze(command: &AnalyzeCommand) -> Self {
        match command {
            AnalyzeCommand::Shapley(args) => Self::Shapley(args.clone()),
            AnalyzeCommand::Interactions(args) => Self::Interactions(args.clone()),
            AnalyzeCommand::Ablation(args) => Self::Ablation(args.clone()),
        }
    }

    /// The verb of a normalization.
    ///
    /// # Errors
    /// One that cannot be divided.
    pub(crate) fn of_normalize(command: &NormalizeCommand) -> Result<Self, CommandError> {
        let (verb, hint) = match command {
            NormalizeCommand::Merge(_) => {
                ("normalize merge", "it combines states that are there: run it on one machine")
            }
            _ => ("normalize", "analyze shapley, interactions and ablation can be divided"),
        };
        Err(not_divided(verb, hint))
    }

    /// Its words on the command line.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Shapley(_) => "analyze shapley",
            Self::Interactions(_) => "analyze interactions",
            Self::Ablation(_) => "analyze ablation",
        }
    }

    /// Files, directories and patterns that it was given.
    pub(super) fn runs(&self) -> &[String] {
        match self {
            Self::Shapley(args) => args.runs(),
            Self::Interactions(args) => args.runs(),
            Self::Ablation(args) => args.runs(),
        }
    }

    /// Everything its numbers depend on besides the input.
    ///
    /// # Errors
    /// Arguments that contradict each other.
    pub(super) fn settings(&self, context: &Context) -> Result<Value, CommandError> {
        match self {
            Self::Shapley(args) => as_value(&args.asked(context)?),
            Self::Interactions(args) => as_value(&args.asked(context)?),
            Self::Ablation(args) => as_value(&args.asked(context)?),
        }
    }

    /// Refuses flags about what is shown that show nothing, and outputs that are there.
    ///
    /// # Errors
    /// The first such flag.
    pub(super) fn check_view(&self, context: &Context) -> Result<(), CommandError> {
        context.check_format_flag()?;
        match self {
            Self::Shapley(args) => args.check_view(context),
            Self::Interactions(args) => args.check_view(context),
            Self::Ablation(args) => args.check_view(context),
        }
    }

    /// How a recording can be divided.
    ///
    /// # Errors
    /// Files that cannot be read, or have other rows.
    pub(super) fn divisible(
        &self,
        files: &[InputFile],
        context: &Context,
    ) -> Result<Divisible, CommandError> {
        match self {
            Self::Shapley(args) => games::divisible(&**args, files, context),
            Self::Interactions(args) => games::divisible(&**args, files, context),
            Self::Ablation(args) => games::divisible(&**args, files, context),
        }
    }

    /// What a task finds, as bytes.
    ///
    /// # Errors
    /// Those of the verb.
    pub(super) fn find(
        &self,
        place: JobTask<'_>,
        files: &[InputFile],
        context: &Context,
    ) -> Result<Vec<u8>, CommandError> {
        match self {
            Self::Shapley(args) => games::find(&**args, place, files, context),
            Self::Interactions(args) => games::find(&**args, place, files, context),
            Self::Ablation(args) => games::find(&**args, place, files, context),
        }
    }

    /// Prints what the finds of all tasks come to.
    ///
    /// # Errors
    /// Finds that do not belong together, and those of the verb.
    pub(super) fn conclude(
        &self,
        finds: super::merge::Finds<'_>,
        context: &Context,
    ) -> Result<Outcome, CommandError> {
        match self {
            Self::Shapley(args) => games::conclude(&**args, finds, context),
            Self::Interactions(args) => games::conclude(&**args, finds, context),
            Self::Ablation(args) => games::conclude(&**args, finds, context),
        }
    }
}

/// A verb that cannot be divided.
pub(crate) fn not_divided(verb: &str, hint: &str) -> CommandError {
    CommandError::usage(format!("{verb} cannot be divided into tasks"), hint)
}

fn as_value<T: Serialize>(settings: &T) -> Result<Value, CommandError> {
    serde_json::to_value(settings)
        .map_err(|error| CommandError::usage(error.to_string(), "leave that setting out"))
}
