//! Settings that go through the same batches on a device, side by side.
//!
//! The host reduces every batch to its moments once, at 64 bits; the device takes every setting through them, counts what
//! reaches the clip and watches what lags. States cross from one group of batches to the next at 64 bits.

use rayon::prelude::*;

use super::clock::BatchWeights;
use super::engine::{
    DeviceError, Engine, Scaling, SweepBatches, SweepSeen, SweepShift, SweepStates, SweepTask, Swept,
};
use super::pass::Pass;
use super::replay::{BatchesTogether, Block, Replay, moments_of};
use super::rule::{Correction, Rule};
use super::update::Update;
use crate::stats::BatchTable;

/// Values of the rows of batches that go through together: 16 MiB of them.
const VALUES_SWEPT: usize = 1 << 22;

/// Batches that go through together.
const BATCHES_SWEPT: usize = 1 << 16;

/// What watches the settings of a sweep behind a shift.
pub(super) trait SweepWatch: Sync {
    /// The shift as a device takes it, where batches of `table` lie behind it; `updates` were made before them.
    fn shift(&self, table: &BatchTable, updates: u64) -> Option<SweepShift>;

    /// Looks at a setting after an update that the host made.
    fn look(&mut self, setting: usize, update: Update<'_>);

    /// Takes what a device saw of all settings up to `updates`; `at` gives the updates by the end of a batch, and its last row.
    fn take(&mut self, seen: &SweepSeen, updates: u64, at: &dyn Fn(usize) -> (u64, Option<usize>));
}

/// What of a rule a device does not take through batches, in words; `None` if it takes all.
pub fn sweep_obstacle(rule: &Rule) -> Option<&'static str> {
    if !rule.center {
        Some("values are scaled without their mean (a reward, a return)")
    } else if rule.ddof > 0 {
        Some("variances are divided by n - 1")
    } else if rule.correction != Correction::None {
        Some("its bias is corrected when the state is used")
    } else if rule.variance_floor.is_some() {
        Some("its variance has a floor")
    } else if rule.raw_below > 0 {
        Some("its first rows are left as they are")
    } else {
        None
    }
}

impl Replay {
    /// As [`Replay::run_together`] on a device, at 32 bits.
    ///
    /// # Errors
    /// A failing device, or values too large for one.
    ///
    /// # Panics
    /// If a rule has a [`sweep_obstacle`]: the caller refuses such.
    pub fn sweep(
        replays: &mut [Self],
        engine: &Engine,
        block: &Block<'_>,
        pass: Pass,
    ) -> Result<(), DeviceError> {
        Self::sweep_watched(replays, engine, block, pass, None)
    }

    /// The same, with probes that watch.
    pub(super) fn sweep_watched<'w>(
        replays: &mut [Self],
        engine: &Engine,
        block: &Block<'_>,
        pass: Pass,
        watch: Option<&'w mut (dyn SweepWatch + 'w)>,
    ) -> Result<(), DeviceError> {
        let Some(first) = replays.first() else { return Ok(()) };
        let is_taken = |replay: &Self| sweep_obstacle(replay.normalizer.rule()).is_none();
        assert!(block.input.is_none() && replays.iter().all(is_taken), "what a device takes through batches");
        let width = first.normalizer.width();
        let mut sweep = Sweep { engine, block, width, watch };
        match pass {
            Pass::Whole => sweep.whole(replays),
            Pass::Measure => {
                let moments = moments_of(block.rows, width);
                for (setting, replay) in replays.iter_mut().enumerate() {
                    replay.measured(&moments, block.ends, &mut |update| {
                        if let Some(watch) = &mut sweep.watch {
                            watch.look(setting, update);
                        }
                    });
                }
                Ok(())
            }
            Pass::Normalize => {
                sweep.open_rows(replays, 0..block.rows.len() / width)?;
                if !block.ends.is_empty() {
                    replays.iter_mut().for_each(|replay| replay.windows.end_if_full(&replay.normalizer));
                }
                Ok(())
            }
        }
    }
}

/// One block on its way through a device.
struct Sweep<'a, 'w> {
    engine: &'a Engine,
    block: &'a Block<'a>,
    width: usize,
    watch: Option<&'w mut (dyn SweepWatch + 'w)>,
}

impl Sweep<'_, '_> {
    fn whole(&mut self, replays: &mut [Replay]) -> Result<(), DeviceError> {
        let n_rows = self.block.rows.len() / self.width;
        let ends = self.block.ends;
        let mut moments = BatchesTogether::default();
        let (mut row, mut next) = (0, 0);
        while next < ends.len() {
            let last = self.last_together(&replays[0], next, row);
            moments.fill(self.block, self.width, row, &ends[next..last], &replays[0].open);
            self.batches(replays, &moments)?;
            (row, next) = (ends[last - 1], last);
        }
        if row < n_rows {
            let tail = moments_of(self.block.rows.slice(row..n_rows, self.width), self.width);
            replays.iter_mut().for_each(|replay| replay.windows.begin(&replay.normalizer));
            self.open_rows(replays, row..n_rows)?;
            replays.par_iter_mut().for_each(|replay| replay.open.merge(&tail));
        }
        Ok(())
    }

    /// One past the last batch that goes through together with batch `next`: all within one window.
    fn last_together(&self, first: &Replay, next: usize, row: usize) -> usize {
        let left = first.windows.updates_left(first.normalizer.updates());
        let left = usize::try_from(left).unwrap_or(usize::MAX).min(BATCHES_SWEPT);
        let ends = &self.block.ends[next..next.saturating_add(left).min(self.block.ends.len())];
        let rows = (VALUES_SWEPT / self.width).max(1);
        next + ends.iter().take_while(|end| **end - row <= rows).count().max(1)
    }

    /// Whole batches: updates, and rows normalized meanwhile.
    fn batches(&mut self, replays: &mut [Replay], moments: &BatchesTogether) -> Result<(), DeviceError> {
        let table = &moments.table;
        let (start, n_rows) = (moments.start, moments.n_rows());
        replays.par_iter_mut().for_each(|replay| replay.begin_batches(moments));
        let before = replays[0].normalizer.updates();
        let shift = self.watch.as_deref().and_then(|watch| watch.shift(table, before));
        let weighed: Vec<_> = replays.par_iter().map(|replay| replay.normalizer.weigh(&table.n)).collect();
        let (weights, clocks): (Vec<BatchWeights>, Vec<_>) = weighed.into_iter().unzip();
        let swept =
            self.sweep(replays, (start..start + n_rows, &moments.ends), table, &weights, shift.as_ref())?;
        replays.par_iter_mut().zip(clocks).enumerate().for_each(|(i, (replay, clock))| {
            let own = i * self.width..(i + 1) * self.width;
            replay.normalizer.move_to(&swept.states.mean[own.clone()], &swept.states.var[own], clock);
        });
        self.take_uses(replays, &swept, n_rows);
        if let (Some(watch), Some(seen)) = (&mut self.watch, &swept.seen) {
            let counted = table.n.iter().scan(before, |updates, n| {
                *updates += u64::from(*n > 0);
                Some(*updates)
            });
            let updates: Vec<u64> = counted.collect();
            let last_row = |batch: usize| (start + moments.ends[batch]).checked_sub(1);
            watch.take(seen, replays[0].normalizer.updates(), &|batch| (updates[batch], last_row(batch)));
        }
        replays.iter_mut().for_each(|replay| replay.windows.end_if_full(&replay.normalizer));
        Ok(())
    }

    /// Rows of an open batch, normalized with the states as they are.
    fn open_rows(&self, replays: &mut [Replay], range: std::ops::Range<usize>) -> Result<(), DeviceError> {
        if range.is_empty() {
            return Ok(());
        }
        let most = (VALUES_SWEPT / self.width).max(1);
        for start in range.clone().step_by(most) {
            let rows = start..range.end.min(start + most);
            let mut table = BatchTable::default();
            let ends = [rows.len()];
            BatchTable::of(self.block.rows.slice(rows.clone(), self.width), self.width, &ends, &mut table);
            let weights: Vec<_> = replays.iter().map(|_| BatchWeights::Constant(0.0)).collect();
            let n_rows = rows.len();
            let swept = self.sweep(replays, (rows, &ends), &table, &weights, None)?;
            self.take_uses(replays, &swept, n_rows);
        }
        Ok(())
    }

    fn sweep(
        &self,
        replays: &[Replay],
        (rows, ends): (std::ops::Range<usize>, &[usize]),
        table: &BatchTable,
        weights: &[BatchWeights],
        shift: Option<&SweepShift>,
    ) -> Result<Swept, DeviceError> {
        let states =
            |of: fn(&Replay) -> &[f64]| replays.iter().flat_map(|replay| of(replay).to_vec()).collect();
        let states = SweepStates {
            mean: states(|replay| replay.normalizer.mean()),
            var: states(|replay| replay.normalizer.var()),
        };
        self.engine.sweep(&SweepTask {
            batches: SweepBatches { rows: self.block.rows.slice(rows, self.width), ends, table },
            weights,
            states: &states,
            scaling: Scaling::of(replays[0].normalizer.rule()),
            counts_clipped: replays[0].normalizes,
            shift,
        })
    }

    fn take_uses(&self, replays: &mut [Replay], swept: &Swept, n_rows: usize) {
        replays.par_iter_mut().enumerate().for_each(|(i, replay)| {
            let own = i * self.width..(i + 1) * self.width;
            let used = &swept.used;
            replay.windows.use_states(&used.mean[own.clone()], &used.var[own.clone()], n_rows as u64);
            if replay.normalizes {
                replay.windows.count_clipped(&swept.clipped[own], n_rows as u64);
            }
        });
    }
}
