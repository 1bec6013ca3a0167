//! `simic shard`: one command over many machines.

mod asked;
mod comparisons;
mod cutting;
mod exec;
mod games;
mod merge;
mod plan;
mod relay;
mod run;
mod status;
mod steps;
mod task;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(crate) use self::asked::{Asked, ShardedVerb, not_divided};
use super::{CommandError, Context, Outcome};
use crate::records::JobFolder;

/// What to do with a job.
#[derive(Debug, Clone, Subcommand)]
pub enum ShardCommand {
    /// Divide a command into tasks
    Plan(plan::PlanArgs),
    /// Compute one task
    Exec(exec::ExecArgs),
    /// Which parts are there
    Status(StatusArgs),
    /// Put the parts together and print what one machine prints
    Merge(merge::MergeArgs),
    /// Compute all tasks that have no part, on this machine
    Run(run::RunArgs),
}

/// Says which tasks of a job have no sound part.
///
/// Exit code 0: all parts are there; 1: some are missing or damaged.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic shard status job
  simic shard status job --format json | jq '.missing[].task'")]
pub struct StatusArgs {
    /// Folder of the job, or its URL in an object store
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
}

/// How arguments are read: what is asked, and everything that was added to it.
pub(crate) struct Parser<'a> {
    /// As they were typed, with what the environment and simic.toml add.
    pub(crate) typed: &'a TypedParser,
    /// As a job stores them, with nothing added.
    pub(crate) stored: &'a dyn Fn(&[String]) -> Result<Asked, CommandError>,
}

/// Reads arguments as they were typed; settings of the second kind are as if the surroundings did not have them.
type TypedParser = dyn Fn(&[String], &BTreeSet<String>) -> Result<Asked, CommandError>;

/// Runs the subcommand.
///
/// # Errors
/// Those of the subcommand.
pub(crate) fn run(
    command: &ShardCommand,
    parser: &Parser<'_>,
    context: &Context,
) -> Result<Outcome, CommandError> {
    match command {
        ShardCommand::Plan(args) => plan::run(args, parser, context),
        ShardCommand::Exec(args) => exec::run(args, parser, context),
        ShardCommand::Status(args) => status::run(&JobFolder::at(&args.job)?, context),
        ShardCommand::Merge(args) => merge::run(args, parser, context),
        ShardCommand::Run(args) => run::run(args, context).map_err(CommandError::or_again),
    }
}

/// Version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");
