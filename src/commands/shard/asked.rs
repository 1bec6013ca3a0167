//! The command that a job is of.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::games::{self, GameVerb};
use super::steps;
use super::task::{Divisible, Find, Finds, JobTask};
use crate::commands::analyze::{AnalyzeCommand, ablation, interactions, shapley};
use crate::commands::normalize::{NormalizeCommand, compare, replay, stats, verify};
use crate::commands::{CommandError, Context, FormatArg, Outcome};
use crate::records::InputFile;
use crate::results::JobDocument;

/// A command line that a job is of, taken apart.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The verb with its arguments.
    pub(crate) verb: ShardedVerb,
    /// Its common flags.
    pub(crate) context: Context,
    /// The arguments with everything that was added to them, without RUNS.
    pub(crate) arguments: Vec<String>,
    /// Flags that were not typed, each with where it comes from.
    pub(crate) added: BTreeMap<String, String>,
}

impl Asked {
    /// Refuses common flags before -- that say otherwise than the job's command how it is read and computed.
    ///
    /// # Errors
    /// The first such flag.
    pub(super) fn check_same_reading(&self, context: &Context) -> Result<(), CommandError> {
        let (given, own) = (&context.common, &self.context.common);
        let others = [
            ("seed", given.seed != 0 && given.seed != own.seed),
            ("column", !given.column.is_empty() && given.column != own.column),
            ("layout", given.layout.is_some() && given.layout != own.layout),
        ];
        match others.into_iter().find(|(_, is_other)| *is_other) {
            None => Ok(()),
            Some((flag, _)) => Err(CommandError::usage(
                format!("--{flag} is a setting of the command of the job, which has another one"),
                "name it behind -- where the job is planned: simic shard plan JOB -- VERB RUNS [flags]",
            )),
        }
    }
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
    /// `normalize stats`.
    Stats(Box<stats::StatsArgs>),
    /// `normalize replay`.
    Replay(Box<replay::ReplayArgs>),
    /// `normalize compare`.
    Compare(Box<compare::CompareArgs>),
    /// `normalize verify`.
    Verify(Box<verify::VerifyArgs>),
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
        Ok(match command {
            NormalizeCommand::Stats(args) if args.lerobot_stats_out.is_some() => {
                let hint = "statistics of a data set are those of all its rows: write them on one machine";
                return Err(not_divided("normalize stats --lerobot-stats-out", hint));
            }
            NormalizeCommand::Stats(args) => Self::Stats(Box::new(args.clone())),
            NormalizeCommand::Replay(args) => Self::Replay(Box::new(args.clone())),
            NormalizeCommand::Compare(args) => Self::Compare(Box::new(args.clone())),
            NormalizeCommand::Verify(args) => Self::Verify(Box::new(args.clone())),
            NormalizeCommand::Merge(_) => {
                let hint = "it combines states that are there: run it on one machine";
                return Err(not_divided("normalize merge", hint));
            }
        })
    }

    /// Its words on the command line.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Shapley(_) => "analyze shapley",
            Self::Interactions(_) => "analyze interactions",
            Self::Ablation(_) => "analyze ablation",
            Self::Stats(_) => "normalize stats",
            Self::Replay(_) => "normalize replay",
            Self::Compare(_) => "normalize compare",
            Self::Verify(_) => "normalize verify",
        }
    }

    /// Files, directories and patterns that it was given.
    pub(super) fn runs(&self) -> &[String] {
        match self {
            Self::Shapley(args) => args.runs(),
            Self::Interactions(args) => args.runs(),
            Self::Ablation(args) => args.runs(),
            Self::Stats(args) => &args.runs,
            Self::Replay(args) => &args.runs,
            Self::Compare(args) => &args.runs,
            Self::Verify(args) => &args.runs,
        }
    }

    /// Names the files whose finds are put together, where the verb looks at them once more then.
    pub(super) fn name_inputs(&mut self, job: &JobDocument) {
        if let Self::Shapley(args) = self {
            args.runs = job.inputs.keys().cloned().collect();
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
            Self::Stats(args) => as_value(&args.analysis(context)?),
            Self::Replay(args) => as_value(&args.analysis(context)?),
            Self::Compare(args) => as_value(&args.analysis(context)?),
            Self::Verify(args) => {
                let (analysis, state) = verify::Asked::of(args, context)?.analysis(args);
                Ok(serde_json::json!({ "analysis": as_value(&analysis)?, "state": state }))
            }
        }
    }

    /// Refuses flags about what is shown that show nothing, and outputs that are there.
    ///
    /// # Errors
    /// The first such flag.
    pub(super) fn check_view(&self, context: &Context) -> Result<(), CommandError> {
        if matches!(context.check_format_flag()?, FormatArg::Junit | FormatArg::Github) {
            return Err(CommandError::usage(
                "--format junit and github are formats of simic check",
                "table, json, ndjson, csv, markdown, parquet and arrow are everybody's",
            ));
        }
        match self {
            Self::Shapley(args) => args.check_view(context),
            Self::Interactions(args) => args.check_view(context),
            Self::Ablation(args) => args.check_view(context),
            Self::Stats(args) => stats::check_view(args, context),
            Self::Replay(args) => replay::check_view(args, context),
            Self::Compare(args) => {
                steps::check_comparison(args)?;
                compare::check_view(args, context)
            }
            Self::Verify(args) => verify::check_view(args, context),
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
            Self::Stats(args) => {
                let found = steps::measurable(args, files, context)?;
                stats::check_runs(args, context, found.order.len())?;
                Ok(found)
            }
            Self::Replay(args) => steps::replayable(args, files, context),
            Self::Compare(args) => steps::comparable(args, files, context),
            Self::Verify(args) => steps::verifiable(args, files, context),
        }
    }

    /// Files that tasks leave beside their parts.
    pub(super) fn beside(&self, context: &Context) -> Vec<String> {
        match self {
            Self::Replay(args) => steps::beside(args, context),
            _ => Vec::new(),
        }
    }

    /// What a task finds.
    ///
    /// # Errors
    /// Those of the verb.
    pub(super) fn find(
        &self,
        place: JobTask<'_>,
        files: &[InputFile],
        context: &Context,
    ) -> Result<Find, CommandError> {
        let bytes = match self {
            Self::Shapley(args) => games::find(&**args, place, files, context)?,
            Self::Interactions(args) => games::find(&**args, place, files, context)?,
            Self::Ablation(args) => games::find(&**args, place, files, context)?,
            Self::Stats(args) => return steps::find_stats(args, place, files, context),
            Self::Replay(args) => return steps::find_replay(args, place, files, context),
            Self::Compare(args) => steps::find_comparison(args, place, files, context)?,
            Self::Verify(args) => steps::find_verification(args, files, context)?,
        };
        Ok(bytes.into())
    }

    /// Prints what the finds of all tasks come to.
    ///
    /// # Errors
    /// Finds that do not belong together, and those of the verb.
    pub(super) fn conclude(&self, finds: &Finds<'_>, context: &Context) -> Result<Outcome, CommandError> {
        match self {
            Self::Shapley(args) => games::conclude(&**args, finds, context),
            Self::Interactions(args) => games::conclude(&**args, finds, context),
            Self::Ablation(args) => games::conclude(&**args, finds, context),
            Self::Stats(args) => steps::conclude_stats(args, finds, context),
            Self::Replay(args) => steps::conclude_replay(args, finds, context),
            Self::Compare(args) => steps::conclude_comparison(args, finds, context),
            Self::Verify(args) => steps::conclude_verification(args, finds, context),
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
