//! Everything that has to be known of how training normalized one target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batches::Granularity;
use super::returns::ReturnReset;
use super::rule::{Memory, Rule};

/// What is normalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Observations.
    Obs,
    /// Rewards.
    Reward,
    /// Recorded returns.
    Return,
}

impl Target {
    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Obs => "obs",
            Self::Reward => "reward",
            Self::Return => "return",
        }
    }

    /// Its name in a sentence.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Obs => "observations",
            Self::Reward => "rewards",
            Self::Return => "returns",
        }
    }
}

/// Statistics of the discounted return instead of the reward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReturnScale {
    /// Discount.
    pub gamma: f64,
    /// When accumulators begin anew.
    pub reset: ReturnReset,
}

impl ReturnScale {
    /// Discount of every framework that has one.
    const GAMMA: f64 = 0.99;

    /// The discount frameworks have, with this reset.
    pub(super) fn with_reset(reset: ReturnReset) -> Self {
        Self { gamma: Self::GAMMA, reset }
    }
}

/// Everything a framework fixes for one target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conventions {
    /// The normalizer.
    pub rule: Rule,
    /// Rows of one update.
    pub granularity: Granularity,
    /// Scaling by the return.
    pub return_scale: Option<ReturnScale>,
    /// Whether rolled-back rows count all the same.
    pub keeps_rolled_back: bool,
    /// Rows after which the learner normalizes the same rows again with a later state.
    pub learns_later: bool,
}

impl Conventions {
    /// The contract's defaults.
    pub fn default_for(target: Target, memory: Memory) -> Self {
        let (rule, granularity) = match target {
            Target::Obs => (Rule::observations(memory), Granularity::Step),
            Target::Reward => (Rule::rewards(memory), Granularity::Row),
            Target::Return => (Rule { center: false, ..Rule::observations(memory) }, Granularity::Step),
        };
        Self { rule, granularity, return_scale: None, keeps_rolled_back: false, learns_later: false }
    }
}
