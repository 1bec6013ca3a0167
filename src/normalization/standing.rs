//! Rows normalized on a device with states that the host has: all rows of a block in one go, however many states there are.

use std::ops::Range;

use super::device_queue::{DeviceQueue, wanted};
use super::engine::{DeviceError, Engine, Scaling};
use super::output::Output;
use super::replay::{Block, Replay};
use super::tiles::{BlockShape, ScanStep, plan_tiles};
use super::update::UpdatesTold;

/// Consecutive rows of a block, and the state they are normalized with.
pub(super) struct StandingRows {
    end: usize,
    /// Updates so far: the window the rows count in.
    updates: u64,
    center: Vec<f64>,
    inverse: Vec<f64>,
}

impl Replay {
    /// The state as it is for the next rows of a block, which are counted in the present window.
    pub(super) fn stand_still(&mut self, rows: &Range<usize>) -> StandingRows {
        self.windows.use_state(&self.normalizer, rows.len() as u64);
        let width = self.normalizer.width();
        let (mut center, mut inverse) = (vec![0.0; width], vec![0.0; width]);
        self.normalizer.scaling(&mut center, &mut inverse);
        StandingRows { end: rows.end, updates: self.normalizer.updates(), center, inverse }
    }

    /// Normalizes rows with the state as it is, on a device.
    pub(super) fn normalize_on_device(
        &mut self,
        engine: &Engine,
        block: &Block<'_>,
        output: Output<'_>,
    ) -> Result<(), DeviceError> {
        let n_rows = block.rows.len() / self.normalizer.width();
        let standing = self.stand_still(&(0..n_rows));
        self.normalize_standing(engine, block, &[standing], output)
    }

    /// Normalizes the rows of a block, each with the state noted for it.
    ///
    /// # Errors
    /// A failing device, or values too large for 32 bits.
    pub(super) fn normalize_standing(
        &mut self,
        engine: &Engine,
        block: &Block<'_>,
        standing: &[StandingRows],
        mut output: Output<'_>,
    ) -> Result<(), DeviceError> {
        let (wanted, width, rule) = (wanted(&output), self.normalizer.width(), *self.normalizer.rule());
        let scaling = Scaling::of(&rule);
        let mut queue = DeviceQueue::new(engine);
        let ends: Vec<usize> = standing.iter().map(|rows| rows.end).collect();
        let shape = BlockShape { n_rows: ends.last().copied().unwrap_or(0), ends: &ends, n_open: 0 };
        let mut states = standing.iter();
        let mut state = states.next();
        let settings = self.tile_settings(UpdatesTold::Every);
        for mut group in plan_tiles(&rule, self.normalizer.clock(), settings, shape) {
            let steps = std::mem::take(&mut group.steps);
            if group.layout.n_tiles() > 0 {
                let rows = block.input.unwrap_or(block.rows);
                queue.start_standing(group, (rows, width), wanted, &scaling)?;
            }
            for step in steps {
                match (step, state) {
                    (ScanStep::WithinBatch { tile }, Some(StandingRows { updates, center, inverse, .. })) => {
                        queue.set_standing(tile, *updates, center, inverse);
                    }
                    _ => state = states.next(),
                }
            }
            self.send_ready(&mut queue)?;
            if queue.n_finishing() > 1 {
                self.finish_next(&mut queue, &mut output)?;
            }
        }
        while queue.n_finishing() > 0 {
            self.finish_next(&mut queue, &mut output)?;
        }
        Ok(())
    }
}
