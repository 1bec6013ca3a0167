//! What is asked of step rows.

use super::super::schema::{ColumnMap, OnBad};

/// How rows of different environments are aligned in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clock {
    /// Vector step k is the k-th row of every environment.
    Row,
    /// Rows of equal (episode, step) belong together.
    EpisodeStep,
    /// Rows of equal value in this column belong together.
    Column(String),
}

/// What is read besides the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepTarget {
    /// Observations.
    Obs,
    /// Rewards.
    Reward,
    /// Recorded returns.
    Return,
}

impl StepTarget {
    /// The field of the column.
    pub fn field(self) -> &'static str {
        match self {
            Self::Obs => "obs",
            Self::Reward => "reward",
            Self::Return => "return",
        }
    }
}

/// How step rows are to be read.
#[derive(Debug, Clone)]
pub struct StepOptions {
    /// Column mapping.
    pub columns: ColumnMap,
    /// What is read.
    pub target: StepTarget,
    /// How environments are aligned.
    pub clock: Clock,
    /// Whether a round column is needed.
    pub needs_round: bool,
    /// Whether the ends of episodes are to be told over all environments.
    pub needs_episode_ends: bool,
    /// Whether all other columns are carried along.
    pub carries_columns: bool,
    /// Malformed rows and files.
    pub on_bad: OnBad,
}
