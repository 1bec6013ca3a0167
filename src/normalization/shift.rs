//! One shift of a run: found in windows or given, then located to the batch.

use std::cmp::Ordering;
use std::ops::Range;

use super::change::{ChangedStatistic, find_drift};
use super::pace::Pace;
use super::relay::Seen;
use super::segment::MeanVar;
use super::timeline::{KnownStep, Timeline};
use super::window::Window;
use crate::stats::RowMoments;

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
        // A window with rows of both sides is of none, where others are there.
        let is_divided = windows.get(split).is_none_or(|window| window.first_update > update);
        let n_before = split - usize::from(is_divided && split > 1);
        let (before, after) = (moments(&windows[..n_before], width), moments(&windows[split..], width));
        Self { vector_step, update, before, after, locator: None }
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
        // The last window may be shorter.
        let end = timeline.end().map_or(u64::MAX, |end| end.updates);
        let near = change.update.saturating_sub(window_updates)..(change.update + window_updates).min(end);
        let strongest = change.dimensions.first()?;
        let split = windows.partition_point(|window| window.first_update < change.update);
        let (before, after) = (moments(&windows[..split], width), moments(&windows[split..], width));
        let d = strongest.dimension;
        let located = match strongest.statistic {
            ChangedStatistic::Variance => {
                LocatedBy::Squares { about: f64::midpoint(before[d].mean, after[d].mean) }
            }
            ChangedStatistic::Mean | ChangedStatistic::Both => LocatedBy::Values,
        };
        let sides = UndividedSides {
            before: (split > 1).then(|| moments(&windows[..split - 1], width)),
            after: (split + 1 < windows.len()).then(|| moments(&windows[split + 1..], width)),
        };
        let locator = Some(ShiftLocator::new(d, located, near, sides));
        let (update, vector_step) = (change.update, timeline.step_at(change.update));
        Some(Self { vector_step, update, before, after, locator })
    }

    /// Whether it is known to the batch.
    pub fn is_located(&self) -> bool {
        self.locator.is_none()
    }

    /// Where it is.
    pub(super) fn place(&self) -> KnownStep {
        KnownStep { updates: self.update, vector_step: self.vector_step }
    }

    /// The updates that it lies among, as far as windows tell, where it has yet to be located to the batch.
    pub fn near(&self) -> Option<Range<u64>> {
        self.locator.as_ref().map(|locator| locator.updates.clone())
    }

    /// What is taken next comes after so many updates.
    pub fn take_from(&mut self, updates: u64) {
        if let Some(locator) = &mut self.locator {
            locator.n_updates = updates;
        }
    }

    /// Takes what statistics see of the next rows, with the vector steps begun by the end of each batch that ends among them.
    pub fn take(&mut self, seen: &Seen, steps: &[u64]) {
        let Some(locator) = &mut self.locator else { return };
        locator.take(seen, steps);
        if locator.n_updates >= locator.updates.end {
            self.settle();
        }
    }

    /// There are no more rows: it is where those that were there say.
    pub fn settle(&mut self) {
        let Some(locator) = self.locator.take() else { return };
        let Some(KnownStep { updates, vector_step }) = locator.found() else { return };
        let UndividedSides { before, after } = locator.sides;
        match updates.cmp(&self.update) {
            Ordering::Less => self.before = before.unwrap_or_else(|| std::mem::take(&mut self.before)),
            Ordering::Greater => self.after = after.unwrap_or_else(|| std::mem::take(&mut self.after)),
            Ordering::Equal => {}
        }
        (self.update, self.vector_step) = (updates, vector_step);
    }
}

/// Moments of the rows of windows, per dimension.
fn moments(windows: &[Window], width: usize) -> Vec<MeanVar> {
    let mut moments = RowMoments::empty(width);
    windows.iter().for_each(|window| moments.merge(&window.moments));
    moments.mean().iter().zip(moments.vars()).map(|(mean, var)| MeanVar { mean: *mean, var }).collect()
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
    /// Updates seen.
    n_updates: u64,
    sides: UndividedSides,
    /// What was seen of a batch that goes on.
    open: RowMoments,
}

/// Moments on either side of a shift without the window beside the border of windows that it was found at: where the shift lies
/// within that window, some of its rows are of the other side. `None` where there is no other window.
#[derive(Debug, Clone, Default)]
struct UndividedSides {
    before: Option<Vec<MeanVar>>,
    after: Option<Vec<MeanVar>>,
}

impl ShiftLocator {
    fn new(dimension: usize, located: LocatedBy, updates: Range<u64>, sides: UndividedSides) -> Self {
        Self {
            dimension,
            located,
            updates,
            means: Vec::new(),
            steps: Vec::new(),
            n_updates: 0,
            sides,
            open: RowMoments::default(),
        }
    }

    fn take(&mut self, seen: &Seen, steps: &[u64]) {
        let d = self.dimension;
        match seen {
            Seen::Batches(batches) => {
                for (batch, step) in (0..batches.n_batches()).zip(steps) {
                    self.update(batches.size(batch), batches.of_dimension(batch, d), *step);
                }
            }
            // The first of the batches that follow has them.
            Seen::Begun(_) | Seen::Used(..) => {}
            Seen::Measured(moments, is_end) => {
                self.open.merge(moments);
                if let Some(step) = steps.first().filter(|_| *is_end) {
                    let batch = std::mem::take(&mut self.open);
                    let own = MeanVar { mean: batch.mean()[d], var: batch.var(d) };
                    self.update(batch.n(), own, *step);
                }
            }
        }
    }

    /// Takes a batch of so many rows; one without is no update.
    fn update(&mut self, n: u64, MeanVar { mean, var }: MeanVar, step: u64) {
        if n == 0 {
            return;
        }
        if self.updates.contains(&self.n_updates) {
            self.means.push(match self.located {
                LocatedBy::Values => mean,
                LocatedBy::Squares { about } => var + (mean - about).powi(2),
            });
            self.steps.push(step.saturating_sub(1));
        }
        self.n_updates += 1;
    }

    fn found(&self) -> Option<KnownStep> {
        let split = locate_shift(&self.means)?;
        // What was seen ends with those updates.
        let first = self.n_updates.min(self.updates.end) - self.means.len() as u64;
        Some(KnownStep { updates: first + split as u64, vector_step: self.steps[split] })
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
    use super::super::{Block, Memory, Pass, Replay, Rule};
    use super::*;
    use crate::stats::Rows;

    #[test]
    fn a_shift_is_located_to_the_batch() {
        let means: Vec<f64> =
            (0..50).map(|i| f64::from(i % 3) * 0.1 + if i < 31 { 0.0 } else { 2.0 }).collect();
        assert_eq!(locate_shift(&means), Some(31));
        assert_eq!(locate_shift(&[1.0; 9]), None);
        assert_eq!(locate_shift(&[]), None);
    }

    /// What is seen of rows in batches of `n`, handed over in blocks; with the vector steps begun by the end of each batch.
    fn seen(blocks: &[&[f64]], width: usize, n: usize) -> Vec<(Seen, Vec<u64>)> {
        let mut gather = Replay::new(Rule::observations(Memory::Welford), width, 1, 1);
        let (mut all, mut before) = (Vec::new(), 0);
        for rows in blocks {
            let n_rows = rows.len() / width;
            let last = before + n_rows;
            let ends: Vec<usize> =
                (before + 1..=last).filter(|row| row % n == 0).map(|row| row - before).collect();
            let block = Block { rows: Rows::F64(rows), input: None, ends: &ends };
            let mut left = ends.iter().map(|end| ((before + end) / n) as u64);
            gather.gather(&block, Pass::Whole, |seen| {
                let steps = left.by_ref().take(seen.n_ends()).collect();
                all.push((seen, steps));
            });
            before = last;
        }
        all
    }

    fn located(mut locator: ShiftLocator, seen: &[(Seen, Vec<u64>)]) -> Option<KnownStep> {
        seen.iter().for_each(|(seen, steps)| locator.take(seen, steps));
        locator.found()
    }

    #[test]
    fn a_change_of_the_variance_is_located_by_squares() {
        let rows: Vec<f64> = (0..20).flat_map(|i| if i < 12 { [4.9, 5.1] } else { [1.0, 9.0] }).collect();
        let locator =
            ShiftLocator::new(0, LocatedBy::Squares { about: 5.0 }, 0..20, UndividedSides::default());
        let found = located(locator, &seen(&[&rows], 1, 2));
        assert_eq!(found, Some(KnownStep { updates: 12, vector_step: 12 }));
    }

    #[test]
    fn a_shift_between_windows_is_located_over_blocks() {
        // Batches of two rows around updates 10..16; the second dimension shifts from update 13 on.
        let rows: Vec<f64> = (0..40).flat_map(|row| [0.0, if row / 2 < 13 { 1.0 } else { 5.0 }]).collect();
        // The second block begins within a batch.
        let blocks = [&rows[..2 * 23], &rows[2 * 23..2 * 30], &rows[2 * 30..]];
        let locator = ShiftLocator::new(1, LocatedBy::Values, 10..16, UndividedSides::default());
        let found = located(locator.clone(), &seen(&blocks, 2, 2));
        assert_eq!(found, Some(KnownStep { updates: 13, vector_step: 13 }));
        // Where rows end before the windows do, by what was there.
        let found = located(locator, &seen(&blocks[..2], 2, 2));
        assert_eq!(found, Some(KnownStep { updates: 13, vector_step: 13 }));
    }
}
