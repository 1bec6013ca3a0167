//! How far what the learner saw lies from what the policy acted on.
//!
//! Some trainers normalize a rollout twice: row by row while it is collected, with the state of that moment, and all
//! of it once more when the learner takes it, with the state of then.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use std::ops::Range;

use super::batches::{Batcher, Granularity, Places};
use super::state::Normalizer;
use crate::stats::Rows;

/// Rows of a block that belong to one rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRows {
    /// The rows, within the block.
    pub rows: Range<usize>,
    /// Whether the rollout ends with them.
    pub is_over: bool,
}

/// Differences between what was acted on and what was learned from, over all rows of all rollouts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActLearnDifference {
    /// Rows compared.
    pub rows: u64,
    /// Mean absolute difference per dimension.
    pub mean_abs: Vec<f64>,
    /// Greatest absolute difference per dimension.
    pub max_abs: Vec<f64>,
}

/// Keeps the rows of a rollout as the policy saw them until the learner sees them again.
///
/// # Formula
/// With y_t the value acted on at row t (normalized with the state of that moment) and s the state at the end of the
/// rollout: `d_t = |clamp((x_t - center(s)) / divisor(s), -clip, clip) - y_t|`, then its mean and its maximum over t.
///
/// # Shapes
/// Raw rows and values are n x width, row after row; results have one number per dimension.
///
/// # Edge cases
/// No rows: all differences 0. A rollout cut short by the end of the run is compared like any other.
#[derive(Debug, Clone)]
pub struct ActLearnProbe {
    batcher: Batcher,
    raw: Vec<f64>,
    acted: Vec<f64>,
    sums: Vec<f64>,
    max: Vec<f64>,
    rows: u64,
}

impl ActLearnProbe {
    /// Watches rows of `width` values; `rollout` says which of them the learner takes together.
    pub fn new(rollout: Granularity, width: usize) -> Self {
        Self {
            batcher: Batcher::new(rollout),
            raw: Vec::new(),
            acted: Vec::new(),
            sums: vec![0.0; width],
            max: vec![0.0; width],
            rows: 0,
        }
    }

    /// Divides the next block by rollouts; the first may have no rows (it ends with the block before).
    pub fn rollouts(&mut self, places: &Places<'_>) -> Vec<RolloutRows> {
        let n_rows = places.vector_step.len();
        let mut found: Vec<RolloutRows> = Vec::new();
        let mut start = 0;
        for end in self.batcher.ends(places) {
            found.push(RolloutRows { rows: start..end, is_over: true });
            start = end;
        }
        if found.is_empty() || start < n_rows {
            found.push(RolloutRows { rows: start..n_rows, is_over: false });
        }
        found
    }

    /// Takes rows as recorded and as acted on.
    pub fn act(&mut self, raw: Rows<'_>, acted: &[f64]) {
        self.raw.extend((0..raw.len()).map(|at| raw.get(at)));
        self.acted.extend_from_slice(acted);
    }

    /// The rollout is over: its rows are normalized again with the state as it is now.
    pub fn learn(&mut self, normalizer: &Normalizer) {
        let width = normalizer.width();
        let (mut center, mut inverse) = (vec![0.0; width], vec![0.0; width]);
        normalizer.scaling(&mut center, &mut inverse);
        let clip = normalizer.rule().clip.unwrap_or(f64::INFINITY);
        for (raw, acted) in self.raw.chunks_exact(width).zip(self.acted.chunks_exact(width)) {
            for d in 0..width {
                let learned = ((raw[d] - center[d]) * inverse[d]).clamp(-clip, clip);
                let difference = (learned - acted[d]).abs();
                self.sums[d] += difference;
                self.max[d] = self.max[d].max(difference);
            }
        }
        self.rows += (self.raw.len() / width) as u64;
        self.raw.clear();
        self.acted.clear();
    }

    /// What was found.
    pub fn finish(self) -> ActLearnDifference {
        ActLearnDifference {
            rows: self.rows,
            mean_abs: self.sums.iter().map(|sum| sum / self.rows.max(1) as f64).collect(),
            max_abs: self.max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Divisor, Memory, Rule};
    use super::*;

    #[test]
    fn two_rows_by_hand() {
        // After one update the state is (2, 4): rows 4 and -2 become 1 and -2, bounded at 1.5.
        let rule = Rule {
            initial_count: 0.0,
            divisor: Divisor::inside(0.0),
            clip: Some(1.5),
            ..Rule::observations(Memory::Welford)
        };
        let mut normalizer = Normalizer::new(rule, 1);
        normalizer.update(8, &[2.0], &[4.0]);
        let mut probe = ActLearnProbe::new(Granularity::Rollout(2), 1);
        probe.act(Rows::F32(&[4.0, -2.0]), &[0.5, -1.0]);
        probe.learn(&normalizer);
        // The rows were compared once; none are left.
        probe.learn(&normalizer);
        let found = probe.finish();
        assert_eq!(found, ActLearnDifference { rows: 2, mean_abs: vec![0.5], max_abs: vec![0.5] });
        let nothing = ActLearnProbe::new(Granularity::Rollout(2), 1).finish();
        assert_eq!(nothing, ActLearnDifference { rows: 0, mean_abs: vec![0.0], max_abs: vec![0.0] });
    }

    #[test]
    fn rollouts_cross_blocks() {
        let mut probe = ActLearnProbe::new(Granularity::Rollout(2), 1);
        let mut rollouts = |steps: &[u64]| {
            let found = probe.rollouts(&Places { vector_step: steps, round: None });
            found.into_iter().map(|rollout| (rollout.rows, rollout.is_over)).collect::<Vec<_>>()
        };
        assert_eq!(rollouts(&[0, 1, 2]), [(0..2, true), (2..3, false)]);
        assert_eq!(rollouts(&[3]), [(0..1, false)]);
        assert_eq!(rollouts(&[4]), [(0..0, true), (0..1, false)]);
        assert_eq!(rollouts(&[]), [(0..0, false)]);
    }
}
