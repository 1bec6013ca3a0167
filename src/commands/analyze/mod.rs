//! `simic analyze`: attribution of coalition values to slots.

pub mod ablation;
mod game_args;
pub(in crate::commands) mod games;
mod group_args;
pub(in crate::commands) mod idle;
pub mod interactions;
mod logged;
mod roles;
pub mod shapley;
mod test_args;

use clap::Subcommand;

use super::{CommandError, Context, Outcome};

/// What to compute.
#[derive(Debug, Clone, Subcommand)]
pub enum AnalyzeCommand {
    /// Shapley values with uncertainty, per game and over games
    Shapley(Box<shapley::ShapleyArgs>),
    /// Which slots work together: interactions of pairs and larger sets
    Interactions(Box<interactions::InteractionArgs>),
    /// Removal cost, first-in gain, marginal effect and Shapley value side by side
    Ablation(Box<ablation::AblationArgs>),
}

/// Runs the analysis asked for.
///
/// # Errors
/// See the analysis.
pub fn run(command: &AnalyzeCommand, context: &Context) -> Result<Outcome, CommandError> {
    match command {
        AnalyzeCommand::Shapley(args) => shapley::run(args, context),
        AnalyzeCommand::Interactions(args) => interactions::run(args, context),
        AnalyzeCommand::Ablation(args) => ablation::run(args, context),
    }
}
