//! rsl_rl.

use crate::normalization::batches::Granularity;
use crate::normalization::conventions::{Conventions, ReturnScale, Target};
use crate::normalization::returns::ReturnReset;
use crate::normalization::rule::{Divisor, Memory, Order, Rule};

/// What `EmpiricalNormalization` does to observations and `EmpiricalDiscountedVariationNormalization` to rewards:
/// full history without an initial weight, epsilon outside the root.
///
/// # Source
/// rsl_rl c281c32 (run: rsl-rl-lib 5.5.1), `rsl_rl/modules/normalization.py`.
pub(super) fn conventions(target: Target) -> Option<Conventions> {
    let base = Conventions::default_for(target, Memory::Welford);
    let rule = Rule {
        initial_count: 0.0,
        order: Order::UpdateFirst,
        clip: None,
        ..Rule::observations(Memory::Welford)
    };
    match target {
        Target::Obs => Some(Conventions {
            rule: Rule {
                divisor: Divisor::outside(1e-2),
                // The observations of the very first reset are normalized but never counted.
                skip_first: 1,
                ..rule
            },
            learns_later: true,
            ..base
        }),
        Target::Reward => Some(Conventions {
            rule: Rule { center: false, divisor: Divisor::inside(0.0), ..rule },
            granularity: Granularity::Step,
            return_scale: Some(ReturnScale::with_reset(ReturnReset::Never)),
            ..base
        }),
        Target::Return => None,
    }
}
