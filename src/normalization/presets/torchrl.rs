//! TorchRL.

use crate::normalization::batches::Granularity;
use crate::normalization::conventions::{Conventions, Target};
use crate::normalization::rule::{Correction, Divisor, Memory, MomentumUnit, Order, Rule};

/// What `VecNormV2` with `reduce_batch_dims` does: a moving average of raw moments from 0, whose momentum is that of
/// one row; the reward is one key among others.
///
/// # Source
/// TorchRL 0.9.2 (run: 0.14.1), `torchrl/envs/transforms/vecnorm.py`.
pub(super) fn conventions(target: Target) -> Option<Conventions> {
    if target == Target::Return {
        return None;
    }
    let memory = Memory::Ema { momentum: 0.9999, unit: MomentumUnit::Row };
    Some(Conventions {
        rule: Rule {
            initial_var: 0.0,
            correction: Correction::TorchRl,
            divisor: Divisor::at_least(1e-4),
            order: Order::UpdateFirst,
            clip: None,
            ..Rule::observations(memory)
        },
        granularity: Granularity::Step,
        ..Conventions::default_for(target, memory)
    })
}
