//! One shift of a run: found in windows or given, then located to the batch.

use std::cmp::Ordering;
use std::ops::Range;

use super::change::{ChangedStatistic, find_drift};
use super::pace::Pace;
use super::relay::Seen;
use super::segment::MeanVar;
use super::timeline::{KnownStep, Timeline};
use super::window::Window;
use crate::stats::{MomentsView, RowMoments};

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
    /// What of it batches have yet to tell.
    locator: Option<ShiftLocator>,
}

impl Shift {
    /// A shift known to lie before an update and a vector step, of a run of so many updates.
    pub fn at(place: KnownStep, n_updates: u64, windows: &[Window], width: usize) -> Self {
        let KnownStep { updates, vector_step } = place;
        let split = windows.partition_point(|window| window.first_update < updates);
        let first_after = windows.get(split).map_or(n_updates, |window| window.first_update);
        let divided = split.checked_sub(1).filter(|_| first_after > updates);
        let before = Window::moments_of(&windows[..divided.unwrap_or(split)], width);
        let after = Window::moments_of(&windows[split..], width);
        let pairs = (pairs(&before), pairs(&after));
        // Rows of a window of both sides are told apart by their batches.
        let locator = divided.map(|window| {
            let near = windows[window].first_update..first_after;
            ShiftLocator::new(near, Sought::Sides { updates, before, after })
        });
        Self { vector_step, update: updates, before: pairs.0, after: pairs.1, locator }
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
        let (before, after) = (pairs(&change.regimes.before), pairs(&change.regimes.after));
        let d = strongest.dimension;
        let located = match strongest.statistic {
            ChangedStatistic::Variance => {
                LocatedBy::Squares { about: f64::midpoint(before[d].mean, after[d].mean) }
            }
            ChangedStatistic::Mean | ChangedStatistic::Both => LocatedBy::Values,
        };
        let sides = UndividedSides {
            before: (split > 1).then(|| pairs(&Window::moments_of(&windows[..split - 1], width))),
            after: (split + 1 < windows.len())
                .then(|| pairs(&Window::moments_of(&windows[split + 1..], width))),
        };
        let sought = SoughtChange { dimension: d, located, means: Vec::new(), steps: Vec::new(), sides };
        let locator = Some(ShiftLocator::new(near, Sought::Change(sought)));
        let (update, vector_step) = (change.update, timeline.step_at(change.update));
        Some(Self { vector_step, update, before, after, locator })
    }

    /// Whether all there is to know of it is known.
    pub fn is_located(&self) -> bool {
        self.locator.is_none()
    }

    /// Where it is.
    pub(super) fn place(&self) -> KnownStep {
        KnownStep { updates: self.update, vector_step: self.vector_step }
    }

    /// The updates whose batches have yet to be looked at.
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
        let n_updates = locator.n_updates.min(locator.updates.end);
        match locator.sought {
            Sought::Sides { before, after, .. } => {
                (self.before, self.after) = (pairs(&before), pairs(&after));
            }
            Sought::Change(change) => {
                let Some(KnownStep { updates, vector_step }) = change.found(n_updates) else { return };
                let UndividedSides { before, after } = change.sides;
                match updates.cmp(&self.update) {
                    Ordering::Less => {
                        self.before = before.unwrap_or_else(|| std::mem::take(&mut self.before));
                    }
                    Ordering::Greater => {
                        self.after = after.unwrap_or_else(|| std::mem::take(&mut self.after));
                    }
                    Ordering::Equal => {}
                }
                (self.update, self.vector_step) = (updates, vector_step);
            }
        }
    }
}

fn pairs(moments: &RowMoments) -> Vec<MeanVar> {
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

/// Goes through batches around a shift.
#[derive(Debug, Clone)]
struct ShiftLocator {
    /// The updates around it.
    updates: Range<u64>,
    sought: Sought,
    /// Updates seen, and vector steps begun by the end of the last of them.
    n_updates: u64,
    steps: Option<u64>,
    /// What was seen of a batch that goes on.
    open: RowMoments,
}

/// What batches are to tell.
#[derive(Debug, Clone)]
enum Sought {
    /// Where it is.
    Change(SoughtChange),
    /// The moments of the rows before and after so many updates, those of other windows among them.
    Sides { updates: u64, before: RowMoments, after: RowMoments },
}

/// Batch means of one dimension (or of its squares) around a shift that windows have found.
#[derive(Debug, Clone)]
struct SoughtChange {
    dimension: usize,
    located: LocatedBy,
    means: Vec<f64>,
    /// First vector step of each batch.
    steps: Vec<u64>,
    sides: UndividedSides,
}

/// Moments on either side of a shift without the window beside the border of windows that it was found at: where the shift lies
/// within that window, some of its rows are of the other side. `None` where there is no other window.
#[derive(Debug, Clone, Default)]
struct UndividedSides {
    before: Option<Vec<MeanVar>>,
    after: Option<Vec<MeanVar>>,
}

impl ShiftLocator {
    fn new(updates: Range<u64>, sought: Sought) -> Self {
        Self { updates, sought, n_updates: 0, steps: None, open: RowMoments::default() }
    }

    fn take(&mut self, seen: &Seen, steps: &[u64]) {
        match seen {
            Seen::Batches(batches) => {
                let width = batches.width();
                let (mut mean, mut var) = (vec![0.0; width], vec![0.0; width]);
                for (batch, step) in (0..batches.n_batches()).zip(steps) {
                    if self.updates.contains(&self.n_updates) {
                        batches.moments(batch, &mut mean, &mut var);
                    }
                    self.update(batches.size(batch), (&mean, &var), *step);
                }
            }
            // The first of the batches that follow has them.
            Seen::Begun(_) | Seen::Used(..) => {}
            Seen::Measured(moments, is_end) => {
                self.open.merge(moments);
                if let Some(step) = steps.first().filter(|_| *is_end) {
                    let batch = std::mem::take(&mut self.open);
                    self.update(batch.n(), (batch.mean(), &batch.vars()), *step);
                }
            }
        }
    }

    /// Takes a batch of so many rows; one without is no update.
    fn update(&mut self, n: u64, (mean, var): (&[f64], &[f64]), step: u64) {
        if n == 0 {
            return;
        }
        if self.updates.contains(&self.n_updates) {
            match &mut self.sought {
                Sought::Change(change) => {
                    // Some environments may have been in its first step before.
                    let last = step.saturating_sub(1);
                    change.take((mean, var), self.steps.map_or(last, |begun| begun.min(last)));
                }
                Sought::Sides { updates, before, after } => {
                    let side = if self.n_updates < *updates { before } else { after };
                    side.merge_batch(n, &MomentsView { mean, var, min: mean, max: mean });
                }
            }
        }
        self.n_updates += 1;
        self.steps = Some(step);
    }
}

impl SoughtChange {
    fn take(&mut self, (mean, var): (&[f64], &[f64]), first_step: u64) {
        let (mean, var) = (mean[self.dimension], var[self.dimension]);
        self.means.push(match self.located {
            LocatedBy::Values => mean,
            LocatedBy::Squares { about } => var + (mean - about).powi(2),
        });
        self.steps.push(first_step);
    }

    /// Where it is, so many updates having been made by the end of the last batch.
    fn found(&self, n_updates: u64) -> Option<KnownStep> {
        let split = locate_shift(&self.means)?;
        let first = n_updates - self.means.len() as u64;
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

    fn located(
        dimension: usize,
        located: LocatedBy,
        near: Range<u64>,
        seen: &[(Seen, Vec<u64>)],
    ) -> Option<KnownStep> {
        let sides = UndividedSides::default();
        let change = SoughtChange { dimension, located, means: Vec::new(), steps: Vec::new(), sides };
        let mut locator = ShiftLocator::new(near, Sought::Change(change));
        seen.iter().for_each(|(seen, steps)| locator.take(seen, steps));
        let Sought::Change(change) = locator.sought else { unreachable!("it is sought") };
        change.found(locator.n_updates.min(locator.updates.end))
    }

    #[test]
    fn a_change_of_the_variance_is_located_by_squares() {
        let rows: Vec<f64> = (0..20).flat_map(|i| if i < 12 { [4.9, 5.1] } else { [1.0, 9.0] }).collect();
        let found = located(0, LocatedBy::Squares { about: 5.0 }, 0..20, &seen(&[&rows], 1, 2));
        assert_eq!(found, Some(KnownStep { updates: 12, vector_step: 12 }));
    }

    #[test]
    fn a_shift_between_windows_is_located_over_blocks() {
        // Batches of two rows around updates 10..16; the second dimension shifts from update 13 on.
        let rows: Vec<f64> = (0..40).flat_map(|row| [0.0, if row / 2 < 13 { 1.0 } else { 5.0 }]).collect();
        // The second block begins within a batch.
        let blocks = [&rows[..2 * 23], &rows[2 * 23..2 * 30], &rows[2 * 30..]];
        let found = located(1, LocatedBy::Values, 10..16, &seen(&blocks, 2, 2));
        assert_eq!(found, Some(KnownStep { updates: 13, vector_step: 13 }));
        // Where rows end before the windows do, by what was there.
        let found = located(1, LocatedBy::Values, 10..16, &seen(&blocks[..2], 2, 2));
        assert_eq!(found, Some(KnownStep { updates: 13, vector_step: 13 }));
    }

    #[test]
    fn rows_of_a_divided_window_are_told_apart_by_their_batches() {
        // Windows of four updates of two rows; the shift lies in the middle of the last one.
        let rows: Vec<f64> = (0..24).map(|row| if row < 20 { f64::from(row % 2) } else { 5.0 }).collect();
        let window = |first: usize| {
            let own = &rows[2 * first..2 * first + 8];
            Window::of_rows(first as u64, RowMoments::of(Rows::F64(own), 1))
        };
        let place = KnownStep { updates: 10, vector_step: 10 };
        let mut shift = Shift::at(place, 12, &[window(0), window(4), window(8)], 1);
        assert_eq!(shift.near(), Some(8..12));
        for (seen, steps) in seen(&[&rows[..18], &rows[18..]], 1, 2) {
            shift.take(&seen, &steps);
        }
        assert!(shift.is_located());
        let found = [&shift.before[0], &shift.after[0]].map(|side| (side.mean, side.var));
        assert_eq!(found, [(0.5, 0.25), (5.0, 0.0)]);
        // Where a window ends, nothing is divided.
        let place = KnownStep { updates: 8, vector_step: 8 };
        assert!(Shift::at(place, 12, &[window(0), window(4), window(8)], 1).is_located());
    }
}
