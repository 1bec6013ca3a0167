//! Stable-Baselines3.

use crate::normalization::batches::Granularity;
use crate::normalization::conventions::{Conventions, ReturnScale, Target};
use crate::normalization::returns::ReturnReset;
use crate::normalization::rule::{Divisor, Memory, Order, Rule};

/// What `VecNormalize` does: full history with a ghost count of 1e-4, rewards divided by the deviation of their
/// discounted return.
///
/// # Source
/// Stable-Baselines3 e05d2db (run: 2.9.2), `stable_baselines3/common/running_mean_std.py` and
/// `stable_baselines3/common/vec_env/vec_normalize.py`.
pub(super) fn conventions(target: Target) -> Option<Conventions> {
    let base = Conventions::default_for(target, Memory::Welford);
    let rule = Rule {
        divisor: Divisor::inside(1e-8),
        order: Order::UpdateFirst,
        ..Rule::observations(Memory::Welford)
    };
    match target {
        Target::Obs => Some(Conventions { rule, ..base }),
        Target::Reward => Some(Conventions {
            rule: Rule { center: false, ..rule },
            granularity: Granularity::Step,
            // `returns[dones] = 0` after the rewards of the step are normalized.
            return_scale: Some(ReturnScale::with_reset(ReturnReset::EpisodeEnd)),
            ..base
        }),
        Target::Return => None,
    }
}
