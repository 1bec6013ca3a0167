//! Whether a stored state has seen one vector step more than a recording holds.

use super::segment::MeanVar;
use super::state::NormalizerState;
use super::verify::{Claim, LAST_PLACES};
use crate::stats::RowMoments;

/// Share of a dimension's recorded range by which a row that was not recorded may lie outside of it.
const MARGIN: f64 = 0.5;

/// Where a recording ends, and what the step after it would have been.
#[derive(Debug, Clone, Copy)]
pub struct NextStep<'a> {
    /// The state the recording implies.
    pub state: &'a NormalizerState,
    /// Rows of the step: one of every environment.
    pub rows: u64,
    /// Weight of an update with them.
    pub weight: f64,
    /// What was recorded: its extremes say what rows look like.
    pub seen: &'a RowMoments,
}

/// A number that is known to within a slack.
#[derive(Debug, Clone, Copy)]
struct Within {
    value: f64,
    slack: f64,
}

/// Mean and variance of the batch between two states of one dimension.
struct ImpliedBatch {
    mean: Within,
    var: Within,
}

impl NextStep<'_> {
    /// Whether `claim` is the state after this step, as far as a step that was not recorded can be checked.
    ///
    /// # Formula
    /// The count is that of the recording and one row of every environment. The update is inverted: with w the step's
    /// weight and d = (mean' - mean)/w, its batch has mean b = mean + d and variance v = (var' - (1-w) var)/w - (1-w) d^2.
    /// In every dimension b lies within the recorded range, half as wide again on both sides, and v between 0 (for one
    /// row: at 0) and a quarter of that range's square, the most that values within it have (Popoviciu, 1935).
    /// Slacks: the tolerance and the rounding of the stored numbers, divided by w.
    ///
    /// # Edge cases
    /// Without a count nothing is claimed. The longer the recording, the less w and the less the moments can tell.
    pub fn leads_to(&self, claim: &Claim, tolerance: f64) -> bool {
        let width = self.state.mean.len();
        let has_weight = 0.0 < self.weight && self.weight <= 1.0;
        if claim.mean.len() != width || !has_weight || self.rows == 0 || self.seen.n() == 0 {
            return false;
        }
        let Some(count) = claim.count else { return false };
        let expected = self.state.count + self.rows as f64;
        let slack = (0.01 + 1e-6 * expected).min(0.25 * self.rows as f64);
        (count - expected).abs() <= slack && (0..width).all(|d| self.is_possible(claim, d, tolerance))
    }

    /// Whether the batch that one dimension implies could be one.
    fn is_possible(&self, claim: &Claim, dimension: usize, tolerance: f64) -> bool {
        let ImpliedBatch { mean, var } = self.implied(claim, dimension, tolerance);
        let (low, high) = (self.seen.min()[dimension], self.seen.max()[dimension]);
        let margin = MARGIN * (high - low);
        let is_within = mean.value >= low - margin - mean.slack && mean.value <= high + margin + mean.slack;
        let most = if self.rows == 1 { 0.0 } else { (high - low + 2.0 * margin).powi(2) / 4.0 };
        is_within && var.value >= -var.slack && var.value <= most + var.slack
    }

    fn implied(&self, claim: &Claim, dimension: usize, tolerance: f64) -> ImpliedBatch {
        let before = MeanVar { mean: self.state.mean[dimension], var: self.state.var[dimension] };
        let after = MeanVar { mean: claim.mean[dimension], var: claim.var[dimension] };
        let (w, rest) = (self.weight, 1.0 - self.weight);
        let rounding = LAST_PLACES * claim.precision.last_place();
        let delta = (after.mean - before.mean) / w;
        let deviation = before.var.max(after.var).max(0.0).sqrt();
        let mean_slack = (tolerance * deviation + rounding * after.mean.abs()) / w;
        let var_slack = (tolerance + rounding) * deviation * deviation / w
            + rest * (2.0 * delta.abs() * mean_slack + mean_slack * mean_slack);
        ImpliedBatch {
            mean: Within { value: before.mean + delta, slack: mean_slack },
            var: Within {
                value: (after.var - rest * before.var) / w - rest * delta * delta,
                slack: var_slack,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, Normalizer, Rule, StoredPrecision};
    use super::*;
    use crate::stats::Rows;

    /// 50 steps of two environments under a rule, and the state after one step more of `extra`.
    fn leads(rule: Rule, extra: [f64; 2], change: impl Fn(&mut Claim)) -> bool {
        let mut normalizer = Normalizer::new(rule, 1);
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 7)).collect();
        let mut seen = RowMoments::empty(1);
        for step in values.chunks(2) {
            let batch = RowMoments::of(Rows::F64(step), 1);
            normalizer.update(2, batch.mean(), &batch.vars());
            seen.merge(&batch);
        }
        let (state, weight) = (normalizer.state(), normalizer.next_weight(2).expect("it moves"));
        let batch = RowMoments::of(Rows::F64(&extra), 1);
        normalizer.update(2, batch.mean(), &batch.vars());
        let precision = StoredPrecision::Double;
        let mut claim = Claim {
            mean: normalizer.mean().to_vec(),
            var: normalizer.var().to_vec(),
            count: Some(normalizer.count()),
            precision,
        };
        change(&mut claim);
        NextStep { state: &state, rows: 2, weight, seen: &seen }.leads_to(&claim, 1e-4)
    }

    #[test]
    fn one_step_more_is_told_from_what_no_step_could_do() {
        for memory in [Memory::Welford, Memory::ema(0.9)] {
            let rule = Rule::observations(memory);
            assert!(leads(rule, [1.0, 6.0], |_| {}));
            // A little outside of what was recorded, and far outside.
            assert!(leads(rule, [8.0, 8.5], |_| {}));
            assert!(!leads(rule, [20.0, 20.0], |_| {}));
            // A count of another number of rows, or none.
            assert!(!leads(rule, [1.0, 6.0], |claim| claim.count = Some(103.0)));
            assert!(!leads(rule, [1.0, 6.0], |claim| claim.count = None));
            // A variance that would need a negative one, and one beyond any batch's.
            assert!(!leads(rule, [3.0, 3.0], |claim| claim.var[0] *= 0.97));
            assert!(!leads(rule, [1.0, 6.0], |claim| claim.var[0] *= 2.0));
            assert!(!leads(rule, [1.0, 6.0], |claim| claim.mean[0] = f64::NAN));
        }
    }
}
