//! brax.

use crate::normalization::batches::Granularity;
use crate::normalization::conventions::{Conventions, Target};
use crate::normalization::rule::{Divisor, Memory, Order, Rule};

/// What `running_statistics` does: full history without an initial weight, one update per rollout, the deviation
/// bounded on both sides. Its mode named `ema` weighs rows by n/count and so is full history too.
///
/// # Source
/// brax 0b96d05 (run: 0.14.2), `brax/training/acme/running_statistics.py`.
pub(super) fn conventions(target: Target) -> Option<Conventions> {
    if target != Target::Obs {
        return None;
    }
    let base = Conventions::default_for(target, Memory::Welford);
    Some(Conventions {
        rule: Rule {
            initial_count: 0.0,
            divisor: Divisor { inside_root: 0.0, outside_root: 0.0, min: 1e-6, max: 1e6 },
            order: Order::NormalizeFirst,
            clip: None,
            ..base.rule
        },
        granularity: Granularity::Rollout(20),
        learns_later: true,
        ..base
    })
}
