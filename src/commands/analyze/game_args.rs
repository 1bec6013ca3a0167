//! Flags that the analyses of coalition games share.

use clap::Args;

use super::roles::RoleArgs;
use super::shapley::{CiArg, ClusterArg, DirectionArg, DuplicatesArg};
use super::test_args::TestArgs;
use crate::attribution::{ClusterRequest, Repeats};
use crate::commands::common::OnBadArg;
use crate::commands::{CommandError, Context, refuse_doubled};
use crate::results::{CoalitionReading, Direction, GameAnalysis, IntervalKind};
use crate::stats::ConfidenceLevel;

/// Resamples of a bootstrap unless told otherwise; the least its sources ask for.
const DEFAULT_RESAMPLES: u32 = 2000;

/// Games listed in a table unless told otherwise.
const DEFAULT_GAMES: usize = 3;

/// What every analysis of games is asked.
#[derive(Debug, Clone, Args)]
pub(super) struct GameArgs {
    /// Files, directories (searched recursively), quoted patterns, or - for stdin
    ///
    /// Without any: $SIMIC_RUNS, else the directory runs/.
    pub runs: Vec<String>,
    /// Value column (repeatable) [default: val_accuracy, else val_loss]
    #[arg(long, value_name = "NAME")]
    pub value: Vec<String>,
    /// Which way the value column is good [default: told by its name]
    #[arg(long, value_enum, value_name = "WAY")]
    pub better: Option<DirectionArg>,
    /// Confidence level of intervals and tests
    #[arg(long, value_name = "LEVEL", default_value = "0.95")]
    pub confidence: ConfidenceLevel,
    /// How intervals and p values are made from units [default: t]
    #[arg(long, value_enum)]
    pub ci: Option<CiArg>,
    /// Resamples of --ci bootstrap [default: 2000]
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u32).range(100..))]
    pub resamples: Option<u32>,
    /// The independent unit over games: auto is the run where there are at least two, else the episode
    #[arg(long, value_enum, default_value = "auto")]
    pub cluster: ClusterArg,
    #[command(flatten)]
    pub(super) testing: TestArgs,
    /// Several rows for one coalition: average them and carry their spread, refuse, or take one [default: mean]
    #[arg(long, value_enum)]
    pub duplicates: Option<DuplicatesArg>,
    /// Slot ids of bare masks, in bit order
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub slots: Vec<String>,
    /// Columns that play a role
    #[command(flatten)]
    pub roles: RoleArgs,
    /// Malformed rows and files, and games the method has no value for
    #[arg(long, value_enum, default_value = "error")]
    pub on_bad: OnBadArg,
    /// Games to list in a table [default: 3]
    #[arg(long, value_name = "N")]
    pub games: Option<usize>,
}

impl GameArgs {
    /// What is asked, as a value.
    ///
    /// # Errors
    /// Arguments that contradict each other.
    pub(super) fn analysis(&self, context: &Context) -> Result<GameAnalysis, CommandError> {
        self.check()?;
        let ci = match self.ci {
            None | Some(CiArg::T) => IntervalKind::T,
            Some(CiArg::Normal) => IntervalKind::Normal,
            Some(CiArg::Bootstrap) => IntervalKind::Bootstrap,
        };
        Ok(GameAnalysis {
            value: self.value.clone(),
            better: self.better.map(|way| match way {
                DirectionArg::Higher => Direction::Higher,
                DirectionArg::Lower => Direction::Lower,
            }),
            confidence: self.confidence,
            ci,
            testing: self.testing.testing(ci)?,
            resamples: self.resamples.unwrap_or(DEFAULT_RESAMPLES),
            cluster: match self.cluster {
                ClusterArg::Auto => ClusterRequest::Auto,
                ClusterArg::Game => ClusterRequest::Game,
                ClusterArg::Episode => ClusterRequest::Episode,
                ClusterArg::Run => ClusterRequest::Run,
            },
            seed: context.common.seed,
            reading: CoalitionReading {
                columns: context.columns()?.to_map(),
                slots: (!self.slots.is_empty()).then(|| self.slots.clone()),
                players: self.roles.players.clone(),
                by: self.roles.by.clone(),
                duplicates: match self.duplicates {
                    None | Some(DuplicatesArg::Mean) => Repeats::Mean,
                    Some(DuplicatesArg::Error) => Repeats::Error,
                    Some(DuplicatesArg::First) => Repeats::First,
                    Some(DuplicatesArg::Last) => Repeats::Last,
                },
                on_bad: self.on_bad.into(),
            },
        })
    }

    /// Games to list in a table.
    pub(super) fn n_games_shown(&self) -> usize {
        self.games.unwrap_or(DEFAULT_GAMES)
    }

    /// Refuses arguments that contradict each other.
    fn check(&self) -> Result<(), CommandError> {
        if self.resamples.is_some() && self.ci != Some(CiArg::Bootstrap) {
            return Err(CommandError::idle(
                "resamples",
                "is about --ci bootstrap",
                "add --ci bootstrap, or leave --resamples out",
            ));
        }
        refuse_doubled("slots", &self.slots)?;
        self.roles.check()
    }

    /// Refuses tests that units of so many runs cannot pass.
    ///
    /// # Errors
    /// The first such flag.
    pub(super) fn check_runs(&self, cluster: ClusterRequest, n_runs: usize) -> Result<(), CommandError> {
        self.testing.check_runs(cluster, n_runs, self.confidence)
    }

    /// Refuses flags that changed nothing on the recording at hand.
    ///
    /// # Errors
    /// The first such flag, with the reason.
    pub(super) fn refuse_idle(&self, has_unnamed_slots: bool, n_units: u64) -> Result<(), CommandError> {
        let idle = |flag: &'static str, reason: &str| {
            Err(CommandError::idle(
                flag,
                format!("changes nothing here: {reason}"),
                format!("leave --{flag} out"),
            ))
        };
        if !self.slots.is_empty() && !has_unnamed_slots {
            return idle("slots", "it names the slots of bare masks, and these rows name their own");
        }
        if self.ci.is_some_and(|ci| ci != CiArg::T) && n_units < 2 {
            return idle(
                "ci",
                "it is about intervals from a sample of units, and there is one unit; what interval there is comes from \
                 repeated evaluations, by Student's t",
            );
        }
        self.testing.check(n_units, self.confidence)
    }
}
