//! `simic check`: stored runs guarded in continuous integration.

pub mod accept;
mod analysis;
mod compare;
pub mod diff;
mod logs;
pub mod plan;
pub mod record;
pub mod run;

use clap::{Args, Subcommand};

use super::{CommandError, Context, Outcome};

/// Recomputes stored results and fails when a number moved.
///
/// A check is an analysis with its settings, inputs and rules ([check.NAME] in simic.toml, or the files named); its
/// baseline is simic-baselines/NAME.json, kept in version control. Without a subcommand: run.
#[derive(Debug, Clone, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  simic check record            store the first baselines
  simic check                   recompute and compare; exit code 1 if a number moved for the worse
  simic check --format github --report junit=simic.xml --report markdown=simic.md
  simic check --baseline-rev origin/main
  simic check accept            store what is new, with the difference shown
  simic check diff old.json new.json"
)]
pub struct CheckArgs {
    #[command(subcommand)]
    command: Option<CheckCommand>,
    #[command(flatten)]
    run: run::RunArgs,
}

/// What to do with checks.
#[derive(Debug, Clone, Subcommand)]
enum CheckCommand {
    /// Recompute and compare with the baselines (the default)
    Run(run::RunArgs),
    /// Store the first baselines
    Record(record::RecordArgs),
    /// Store new results as baselines, with the difference shown
    Accept(accept::AcceptArgs),
    /// Compare two documents, without configuration
    Diff(diff::DiffArgs),
}

/// Runs the subcommand.
///
/// # Errors
/// Those of the subcommand.
pub fn run(args: &CheckArgs, context: &Context) -> Result<Outcome, CommandError> {
    match &args.command {
        None => run::run(&args.run, context),
        Some(CheckCommand::Run(args)) => run::run(args, context),
        Some(CheckCommand::Record(args)) => record::run(args, context),
        Some(CheckCommand::Accept(args)) => accept::run(args, context),
        Some(CheckCommand::Diff(args)) => diff::run(args, context),
    }
}
