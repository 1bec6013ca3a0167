//! The conventions of six frameworks, each a row of a table (docs/methods.md names the source files).

use super::batches::Granularity;
use super::returns::ReturnReset;
use super::rule::{Correction, Divisor, Memory, Order, Rule, Warmup};

/// A framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// esper-lite.
    Esper,
    /// Stable-Baselines3 VecNormalize.
    Sb3,
    /// Gymnasium vector NormalizeObservation and NormalizeReward.
    Gymnasium,
    /// rsl_rl EmpiricalNormalization.
    RslRl,
    /// TorchRL VecNormV2 with reduce_batch_dims.
    TorchRl,
    /// brax running_statistics.
    Brax,
}

/// What is normalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

/// Statistics of the discounted return instead of the reward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReturnScale {
    /// Discount.
    pub gamma: f64,
    /// When accumulators begin anew.
    pub reset: ReturnReset,
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

/// Discount of the frameworks that have one.
const GAMMA: f64 = 0.99;

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

impl Preset {
    /// The conventions of this framework; `None` where it does not normalize the target.
    pub fn conventions(self, target: Target) -> Option<Conventions> {
        let base = |memory| Conventions::default_for(target, memory);
        let welford = base(Memory::Welford);
        let by_return = |reset| Some(ReturnScale { gamma: GAMMA, reset });
        Some(match (self, target) {
            (Self::Esper, Target::Obs) => Conventions {
                // The rollout is normalized with the state from before its own update, and rows that were
                // rolled back have been seen all the same.
                granularity: Granularity::Round,
                keeps_rolled_back: true,
                ..base(Memory::ema(0.99))
            },
            (Self::Esper, Target::Reward) => welford,
            (Self::Esper, Target::Return) => Conventions {
                rule: Rule {
                    initial_count: 0.0,
                    warmup: Warmup::Welford(32),
                    raw_below: 32,
                    clip: None,
                    order: Order::UpdateFirst,
                    ..base(Memory::ema(0.99)).rule
                },
                granularity: Granularity::Round,
                ..base(Memory::ema(0.99))
            },
            (Self::Sb3, Target::Obs) => Conventions {
                rule: Rule { divisor: Divisor::inside(1e-8), order: Order::UpdateFirst, ..welford.rule },
                ..welford
            },
            (Self::Gymnasium, Target::Obs) => Conventions {
                rule: Rule {
                    divisor: Divisor::inside(1e-8),
                    order: Order::UpdateFirst,
                    clip: None,
                    ..welford.rule
                },
                ..welford
            },
            (Self::Sb3 | Self::Gymnasium, Target::Reward) => Conventions {
                rule: Rule {
                    center: false,
                    divisor: Divisor::inside(1e-8),
                    order: Order::UpdateFirst,
                    clip: if self == Self::Sb3 { Some(10.0) } else { None },
                    ..Rule::observations(Memory::Welford)
                },
                granularity: Granularity::Step,
                return_scale: by_return(if self == Self::Sb3 {
                    ReturnReset::EpisodeEnd
                } else {
                    ReturnReset::TerminalStep
                }),
                ..welford
            },
            (Self::RslRl, Target::Obs) => Conventions {
                rule: Rule {
                    initial_count: 0.0,
                    divisor: Divisor::outside(1e-2),
                    order: Order::UpdateFirst,
                    clip: None,
                    // The observations of the very first reset are normalized but never counted.
                    skip_first: 1,
                    ..welford.rule
                },
                learns_later: true,
                ..welford
            },
            (Self::RslRl, Target::Reward) => Conventions {
                rule: Rule {
                    center: false,
                    initial_count: 0.0,
                    divisor: Divisor::inside(0.0),
                    order: Order::UpdateFirst,
                    clip: None,
                    ..Rule::observations(Memory::Welford)
                },
                granularity: Granularity::Step,
                return_scale: by_return(ReturnReset::Never),
                ..welford
            },
            (Self::TorchRl, Target::Obs | Target::Reward) => {
                let memory = Memory::Ema { momentum: 0.9999, per_row: true };
                Conventions {
                    rule: Rule {
                        initial_var: 0.0,
                        correction: Correction::TorchRl,
                        divisor: Divisor::at_least(1e-4),
                        order: Order::UpdateFirst,
                        clip: None,
                        ..Rule::observations(memory)
                    },
                    granularity: Granularity::Step,
                    ..base(memory)
                }
            }
            (Self::Brax, Target::Obs) => Conventions {
                rule: Rule {
                    initial_count: 0.0,
                    divisor: Divisor { inside_root: 0.0, outside_root: 0.0, min: 1e-6, max: 1e6 },
                    order: Order::NormalizeFirst,
                    clip: None,
                    ..welford.rule
                },
                granularity: Granularity::Rollout(20),
                learns_later: true,
                ..welford
            },
            (Self::Sb3 | Self::Gymnasium | Self::RslRl | Self::TorchRl, Target::Return)
            | (Self::Brax, Target::Reward | Target::Return) => return None,
        })
    }

    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Esper => "esper",
            Self::Sb3 => "sb3",
            Self::Gymnasium => "gymnasium",
            Self::RslRl => "rsl-rl",
            Self::TorchRl => "torchrl",
            Self::Brax => "brax",
        }
    }
}
