//! `simic normalize`: one file per subcommand.

mod autoreset;
mod candidates;
pub mod compare;
pub(in crate::commands) mod compare_relay;
mod cutter;
pub mod device;
mod divisors;
pub(in crate::commands) mod extent;
mod grains;
mod grid;
mod inquiry;
mod lag;
mod magnitude;
mod marked;
pub mod merge;
pub mod outputs;
mod passed;
mod pieces;
mod pipeline;
mod plan;
pub mod presets;
mod recorded;
mod recordings;
pub(in crate::commands) mod relay;
pub mod replay;
mod replayed;
mod replayer;
pub mod settings;
pub mod stats;
mod stored;
mod trial;
pub mod verify;

use clap::Subcommand;

pub(in crate::commands) use self::outputs::OutputPaths;
use super::{CommandError, Context, Outcome};
use crate::records::StepOptions;
use crate::results::RuleAnalysis;

/// How steps are read under a rule, what they carry besides left out.
pub(in crate::commands) fn step_options(rule: &RuleAnalysis) -> StepOptions {
    plan::Plan::of(rule, false).options
}

/// What to do with running statistics.
#[derive(Debug, Clone, Subcommand)]
pub enum NormalizeCommand {
    /// Final running statistics of recorded steps: a normalizer state file
    Stats(stats::StatsArgs),
    /// Replay normalization over recorded steps, exactly as training did it
    Replay(replay::ReplayArgs),
    /// Many settings in one pass, side by side
    Compare(compare::CompareArgs),
    /// Combine the states of shards exactly
    Merge(merge::MergeArgs),
    /// Does a stored state match what the recording implies?
    Verify(verify::VerifyArgs),
}

/// Runs the subcommand.
///
/// # Errors
/// Those of the subcommand.
pub fn run(command: &NormalizeCommand, context: &Context) -> Result<Outcome, CommandError> {
    match command {
        NormalizeCommand::Stats(args) => stats::run(args, context),
        NormalizeCommand::Replay(args) => replay::run(args, context),
        NormalizeCommand::Compare(args) => compare::run(args, context),
        NormalizeCommand::Merge(args) => merge::run(args, context),
        NormalizeCommand::Verify(args) => verify::run(args, context),
    }
}
