//! Gymnasium.

use crate::normalization::batches::Granularity;
use crate::normalization::conventions::{Conventions, ReturnScale, Target};
use crate::normalization::returns::ReturnReset;
use crate::normalization::rule::{Divisor, Memory, Order, Rule};

/// What the vector wrappers `NormalizeObservation` and `NormalizeReward` do: as Stable-Baselines3, without a clip,
/// and the reward that terminates begins the next return. Where environments reset in the step after an episode (its
/// default), that row has no reward and is in no return, and truncation begins nothing; where they reset within the step
/// (from 1.4.0 on), the sum is 0 after every episode.
///
/// # Source
/// Gymnasium 3f0476a (run: 1.4.0), `gymnasium/wrappers/utils.py`,
/// `gymnasium/wrappers/vector/stateful_observation.py` and `gymnasium/wrappers/vector/stateful_reward.py`.
pub(super) fn conventions(target: Target) -> Option<Conventions> {
    let base = Conventions::default_for(target, Memory::Welford);
    let rule = Rule {
        divisor: Divisor::inside(1e-8),
        order: Order::UpdateFirst,
        clip: None,
        ..Rule::observations(Memory::Welford)
    };
    match target {
        Target::Obs => Some(Conventions { rule, ..base }),
        Target::Reward => Some(Conventions {
            rule: Rule { center: false, ..rule },
            granularity: Granularity::Step,
            return_scale: Some(ReturnScale::with_reset(ReturnReset::Autoreset)),
            ..base
        }),
        Target::Return => None,
    }
}
