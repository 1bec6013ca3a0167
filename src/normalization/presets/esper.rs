//! esper-lite.

use crate::normalization::batches::Granularity;
use crate::normalization::conventions::{Conventions, Target};
use crate::normalization::rule::{Memory, Order, Rule, Warmup};

/// Momentum of its moving averages.
const MOMENTUM: f64 = 0.99;

/// Returns until which its value normalizer keeps full history, and lets values pass through.
const WARMUP_ROWS: u64 = 32;

/// What esper-lite does: `RunningMeanStd` for observations, `RewardNormalizer`, `ValueNormalizer` for returns.
///
/// # Source
/// esper-lite 2016337, `simic/control/normalization.py`; when they are updated: `simic/training/vectorized.py`.
pub(super) fn conventions(target: Target) -> Conventions {
    let base = Conventions::default_for(target, Memory::ema(MOMENTUM));
    match target {
        Target::Obs => Conventions {
            // The rollout is normalized with the state from before its own update, and rows that were
            // rolled back have been seen all the same.
            granularity: Granularity::Round,
            keeps_rolled_back: true,
            ..base
        },
        Target::Reward => Conventions::default_for(target, Memory::Welford),
        Target::Return => Conventions {
            rule: Rule {
                initial_count: 0.0,
                warmup: Warmup::Welford(WARMUP_ROWS),
                raw_below: WARMUP_ROWS,
                clip: None,
                order: Order::UpdateFirst,
                ..base.rule
            },
            granularity: Granularity::Round,
            ..base
        },
    }
}
