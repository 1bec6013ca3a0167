//! One shift of a run: found in windows or given, then located to the batch.

use std::ops::Range;

use super::change::{ChangedStatistic, Regimes, find_drift};
use super::pace::Pace;
use super::segment::MeanVar;
use super::timeline::{KnownStep, Timeline};
use super::window::Window;
use crate::stats::{RowMoments, Rows};

/// Where a run's distribution shifts, and its moments on either side, per dimension.
#[derive(Debug, Clone)]
pub struct Shift {
    /// First vector step after it.
    pub vector_step: u64,
    /// Updates before it.
    pub update: u64,
    /// Moments before.
    pub before: Vec<MeanVar>,
    /// Moments after.
    pub after: Vec<MeanVar>,
    /// Where it was found, not given: what finds it to the batch.
    locator: Option<ShiftLocator>,
}

impl Shift {
    /// A shift known to lie at this vector step.
    pub fn at_step(vector_step: u64, windows: &[Window], width: usize, timeline: &Timeline) -> Self {
        let update = timeline.updates_at(vector_step);
        let split = windows.partition_point(|window| window.first_update < update);
        let regimes = Regimes::of(windows, split, width);
        Self::new(vector_step, update, &regimes, None)
    }

    /// The strongest shift in windows of so many updates, if there is one.
    pub fn find(
        windows: &[Window],
        window_updates: u64,
        width: usize,
        timeline: &Timeline,
        pace: Pace,
    ) -> Option<Self> {
        let change = find_drift(windows, width, pace).change?;
        let near = change.update.saturating_sub(window_updates)..change.update + window_updates;
        let strongest = change.dimensions.first()?;
        let (before, after) = (&change.regimes.before, &change.regimes.after);
        let d = strongest.dimension;
        let located = match strongest.statistic {
            ChangedStatistic::Variance => {
                LocatedBy::Squares { about: f64::midpoint(before.mean()[d], after.mean()[d]) }
            }
            ChangedStatistic::Mean | ChangedStatistic::Both => LocatedBy::Values,
        };
        let locator = ShiftLocator::new(d, located, near);
        let vector_step = timeline.step_at(change.update);
        Some(Self::new(vector_step, change.update, &change.regimes, Some(locator)))
    }

    /// Where it is.
    pub(super) fn place(&self) -> KnownStep {
        KnownStep { updates: self.update, vector_step: self.vector_step }
    }

    fn new(vector_step: u64, update: u64, regimes: &Regimes, locator: Option<ShiftLocator>) -> Self {
        let pairs = |moments: &RowMoments| {
            let pairs = moments.mean().iter().zip(moments.vars());
            pairs.map(|(mean, var)| MeanVar { mean: *mean, var }).collect()
        };
        Self { vector_step, update, before: pairs(&regimes.before), after: pairs(&regimes.after), locator }
    }

    /// Looks at a block on another pass; whether the shift has been located to the batch just now.
    pub fn look(&mut self, block: &LocatedBlock<'_>) -> bool {
        let Some(locator) = &mut self.locator else { return false };
        if !locator.gather(block) {
            return false;
        }
        let found = locator.found();
        self.locator = None;
        let Some(KnownStep { updates, vector_step }) = found else { return false };
        (self.update, self.vector_step) = (updates, vector_step);
        true
    }
}

/// Rows of a block whose place in time is known.
#[derive(Debug, Clone, Copy)]
pub struct LocatedBlock<'a> {
    /// The rows.
    pub rows: Rows<'a>,
    /// Values per row.
    pub width: usize,
    /// Ends of batches.
    pub ends: &'a [usize],
    /// Vector step of each row.
    pub vector_step: &'a [u64],
    /// Updates before the block.
    pub updates_before: u64,
}

/// What of a dimension shifts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum LocatedBy {
    /// Its values.
    Values,
    /// Their squares about a centre, where the variance alone changes.
    Squares {
        /// The centre.
        about: f64,
    },
}

/// Batch means of one dimension (or of its squares) around a shift that windows have found.
#[derive(Debug, Clone)]
struct ShiftLocator {
    dimension: usize,
    located: LocatedBy,
    /// Updates around the shift.
    updates: Range<u64>,
    means: Vec<f64>,
    /// Vector step of each batch's last row.
    steps: Vec<u64>,
}

impl ShiftLocator {
    fn new(dimension: usize, located: LocatedBy, updates: Range<u64>) -> Self {
        Self { dimension, located, updates, means: Vec::new(), steps: Vec::new() }
    }

    /// Gathers what a block holds of those updates; whether all of them were seen.
    fn gather(&mut self, block: &LocatedBlock<'_>) -> bool {
        let mut start = 0;
        for (i, end) in block.ends.iter().enumerate() {
            let update = block.updates_before + i as u64;
            if self.updates.contains(&update) && *end > start {
                let values = (start..*end).map(|row| {
                    let x = block.rows.get(row * block.width + self.dimension);
                    match self.located {
                        LocatedBy::Values => x,
                        LocatedBy::Squares { about } => (x - about).powi(2),
                    }
                });
                self.means.push(values.sum::<f64>() / (end - start) as f64);
                self.steps.push(block.vector_step[end - 1]);
            }
            start = *end;
        }
        let after = block.updates_before + block.ends.len() as u64;
        after >= self.updates.end && !self.means.is_empty()
    }

    fn found(&self) -> Option<KnownStep> {
        let split = locate_shift(&self.means)?;
        Some(KnownStep { updates: self.updates.start + split as u64, vector_step: self.steps[split] })
    }
}

/// Where in a series of batch means one shift of the mean fits best: the first index after it.
///
/// The split that leaves the least sum of squares within both sides (Page's cumulative sum at its extreme).
fn locate_shift(means: &[f64]) -> Option<usize> {
    let n = means.len() as f64;
    let mean = means.iter().sum::<f64>() / n;
    let (mut sum, mut best) = (0.0f64, (0.0f64, None));
    for (k, value) in means.iter().enumerate().take(means.len().saturating_sub(1)) {
        sum += value - mean;
        let left = (k + 1) as f64;
        // Between-group sum of squares of the split after k.
        let between = sum * sum * n / (left * (n - left));
        if between > best.0 {
            best = (between, Some(k + 1));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_located_to_the_batch() {
        let means: Vec<f64> =
            (0..50).map(|i| f64::from(i % 3) * 0.1 + if i < 31 { 0.0 } else { 2.0 }).collect();
        assert_eq!(locate_shift(&means), Some(31));
        assert_eq!(locate_shift(&[1.0; 9]), None);
        assert_eq!(locate_shift(&[]), None);
    }

    #[test]
    fn a_change_of_the_variance_is_located_by_squares() {
        let rows: Vec<f64> = (0..20).flat_map(|i| if i < 12 { [4.9, 5.1] } else { [1.0, 9.0] }).collect();
        let ends: Vec<usize> = (1..=20).map(|batch| 2 * batch).collect();
        let steps: Vec<u64> = (0..20).flat_map(|step| [step, step]).collect();
        let mut locator = ShiftLocator::new(0, LocatedBy::Squares { about: 5.0 }, 0..20);
        let block = LocatedBlock {
            rows: Rows::F64(&rows),
            width: 1,
            ends: &ends,
            vector_step: &steps,
            updates_before: 0,
        };
        assert!(locator.gather(&block));
        assert_eq!(locator.found(), Some(KnownStep { updates: 12, vector_step: 12 }));
    }

    #[test]
    fn a_shift_between_windows_is_located_over_blocks() {
        // Batches of two rows around updates 10..16; the second dimension shifts from update 13 on.
        let value = |update: u64| if update < 13 { 1.0 } else { 5.0 };
        let mut locator = ShiftLocator::new(1, LocatedBy::Values, 10..16);
        for first in [8, 12] {
            let rows: Vec<f64> = (first..first + 4).flat_map(|u| [0.0, value(u), 9.0, value(u)]).collect();
            let steps: Vec<u64> = (first..first + 4).flat_map(|update| [2 * update, 2 * update]).collect();
            let is_whole = locator.gather(&LocatedBlock {
                rows: Rows::F64(&rows),
                width: 2,
                ends: &[2, 4, 6, 8],
                vector_step: &steps,
                updates_before: first,
            });
            assert_eq!(is_whole, first == 12);
        }
        assert_eq!(locator.found(), Some(KnownStep { updates: 13, vector_step: 26 }));
    }
}
