//! The replay on a device: the host plans and scans, the device goes through the rows.
//!
//! Three steps per group of tiles: the device reduces tiles to moments, the host scans them at 64 bits and so knows
//! the state before every tile, the device normalizes every tile from there. Blocks stand in a queue: the moments of the next
//! one are under way, and what is read back is enqueued, while the host scans and waits, so that the device has always
//! something to do.

use super::clock::Clock;
use super::device_queue::{DeviceQueue, Finishing, Planned, Scanned, Started, TilePlace, wanted};
use super::engine::{DeviceError, Engine, Scaling, TileMoments, TileOutput, TileStates};
use super::output::Output;
use super::replay::{Block, Replay};
use super::rule::Order;
use super::tiles::{BlockShape, ScanStep, TileSettings, plan_tiles};
use super::update::{Update, UpdatesTold};
use crate::stats::{MomentsView, RowMoments};

/// Rows of a tile by the state they count as normalized with: between its first and last one the state goes evenly.
struct TileUses {
    before: u64,
    after: u64,
}

impl TileUses {
    /// Of `n` rows in so many batches: the state before the tile is the first one's if values are normalized first,
    /// the state after it the last one's if not.
    fn of(n: u64, batches: u64, order: Order) -> Self {
        let later = match order {
            Order::NormalizeFirst => batches.saturating_sub(1),
            Order::UpdateFirst => batches + 1,
        };
        let after = (n * later / (2 * batches).max(1)).min(n);
        Self { before: n - after, after }
    }
}

impl Replay {
    /// Has a device begin with a block.
    ///
    /// # Errors
    /// A failing device, or values too large for 32 bits.
    pub fn send(
        &self,
        queue: &mut DeviceQueue,
        block: &Block<'_>,
        wants_values: bool,
    ) -> Result<(), DeviceError> {
        let output = if wants_values { TileOutput::ValuesAndCounts } else { TileOutput::Counts };
        let (settings, shape) = (self.tile_settings(self.told), self.shape_of(queue, block));
        let mut plan = plan_tiles(self.normalizer.rule(), self.clock_of(queue), settings, shape);
        let (mut n_sent, mut n_returning) = (0, 0);
        for group in &mut plan {
            let has_rows = queue.start(group, (block, self.normalizer.width()), output)?;
            n_sent += 1;
            n_returning += usize::from(has_rows);
        }
        let (n_rows, last_end) = (shape.n_rows, block.ends.last());
        let n_open = last_end.map_or(shape.n_open + n_rows as u64, |end| (n_rows - end) as u64);
        queue.planned = (!queue.started.is_empty()).then(|| Planned { clock: plan.clock(), n_open });
        queue.sent.push_back(n_sent);
        queue.returning.push_back(n_returning);
        Ok(())
    }

    /// Goes through the updates of the oldest block sent, and has it normalized.
    ///
    /// # Errors
    /// A failing device, or values too large for 32 bits.
    pub fn scan(
        &mut self,
        queue: &mut DeviceQueue,
        mut on_update: impl FnMut(Update<'_>),
    ) -> Result<(), DeviceError> {
        for _ in 0..queue.sent.pop_front().unwrap_or(0) {
            self.scan_next(queue, &mut on_update)?;
        }
        queue.check_whole();
        Ok(())
    }

    /// Takes the values of the oldest block that has gone through.
    ///
    /// # Errors
    /// A failing device.
    pub fn receive(&mut self, queue: &mut DeviceQueue, mut output: Output<'_>) -> Result<(), DeviceError> {
        for _ in 0..queue.returning.pop_front().unwrap_or(0) {
            self.finish_next(queue, &mut output)?;
        }
        Ok(())
    }

    /// Replays a block on a device.
    ///
    /// # Errors
    /// A failing device, or values too large for 32 bits.
    pub(super) fn process_on_device(
        &mut self,
        engine: &Engine,
        block: &Block<'_>,
        mut output: Output<'_>,
        on_update: &mut impl FnMut(Update<'_>),
    ) -> Result<(), DeviceError> {
        let wanted = wanted(&output);
        let mut queue = DeviceQueue::new(engine);
        let (rule, shape) = (*self.normalizer.rule(), self.shape_of(&queue, block));
        for group in plan_tiles(&rule, self.normalizer.clock(), self.tile_settings(self.told), shape) {
            queue.start(group, (block, self.normalizer.width()), wanted)?;
            if queue.started.len() > 1 {
                self.scan_next(&mut queue, on_update)?;
            }
            if queue.finishing.len() > 1 {
                self.finish_next(&mut queue, &mut output)?;
            }
        }
        while !queue.started.is_empty() {
            self.scan_next(&mut queue, on_update)?;
        }
        queue.check_whole();
        while !queue.finishing.is_empty() {
            self.finish_next(&mut queue, &mut output)?;
        }
        Ok(())
    }

    pub(super) fn tile_settings(&self, told: UpdatesTold) -> TileSettings {
        TileSettings { width: self.normalizer.width(), window_updates: self.windows.updates_each(), told }
    }

    fn clock_of(&self, queue: &DeviceQueue) -> Clock {
        queue.planned.map_or(self.normalizer.clock(), |planned| planned.clock)
    }

    fn shape_of<'a>(&self, queue: &DeviceQueue, block: &Block<'a>) -> BlockShape<'a> {
        let n_open = queue.planned.map_or(self.open.n(), |planned| planned.n_open);
        BlockShape { n_rows: block.rows.len() / self.normalizer.width(), ends: block.ends, n_open }
    }

    /// Takes the moments of the group that was started first.
    fn scan_next(
        &mut self,
        queue: &mut DeviceQueue,
        on_update: &mut impl FnMut(Update<'_>),
    ) -> Result<(), DeviceError> {
        let Some(Started { tiles, steps, input, on_device }) = queue.started.pop_front() else {
            return Ok(());
        };
        let (rows, moments) = match on_device {
            None => (None, TileMoments::default()),
            Some((rows, pending)) => {
                let moments = queue.engine.read_moments(&rows, pending)?;
                (Some(rows), moments)
            }
        };
        let (n_tiles, scaling) = (tiles.layout.n_tiles(), Scaling::of(self.normalizer.rule()));
        queue.waiting.push_back(Scanned {
            states: TileStates::new(&scaling, input, n_tiles, self.normalizer.width()),
            updates: vec![0; n_tiles],
            means: moments.row_mean.clone(),
            tiles,
            rows,
        });
        self.scan_tiles(queue, steps, &moments, on_update);
        if queue.started.is_empty() {
            queue.planned = None;
        }
        self.send_ready(queue)
    }

    /// Goes through the tiles of the group that came last: states before them, updates, windows.
    fn scan_tiles(
        &mut self,
        queue: &mut DeviceQueue,
        steps: Vec<ScanStep>,
        moments: &TileMoments,
        on_update: &mut impl FnMut(Update<'_>),
    ) {
        let width = self.normalizer.width();
        let at = queue.done + queue.waiting.len() - 1;
        let is_first = self.normalizer.rule().order == Order::NormalizeFirst;
        for step in steps {
            self.windows.begin(&self.normalizer);
            match step {
                ScanStep::WholeBatches { tile, share, clock, last_row, last_n } => {
                    queue.set_before(at, tile, self);
                    let n = queue.n_rows(at, tile);
                    self.add_to_window(moments, tile, n);
                    let batches = clock.updates() - self.normalizer.updates();
                    let uses = TileUses::of(n, batches, self.normalizer.rule().order);
                    self.windows.use_state(&self.normalizer, uses.before);
                    let own = tile * width..(tile + 1) * width;
                    self.normalizer.append(share, &moments.mean[own.clone()], &moments.var[own], clock);
                    self.windows.use_state(&self.normalizer, uses.after);
                    on_update(Update { last_row: Some(last_row), n: last_n, normalizer: &self.normalizer });
                    self.windows.end_if_full(&self.normalizer);
                }
                ScanStep::WithinBatch { tile } => {
                    self.open.merge_batch(queue.n_rows(at, tile), &view(moments, tile, width));
                    if is_first {
                        queue.set_before(at, tile, self);
                        self.windows.use_state(&self.normalizer, queue.n_rows(at, tile));
                    } else {
                        queue.open_tiles.push(TilePlace { group: at, tile });
                        queue.set_updates(at, tile, self.normalizer.updates());
                    }
                }
                ScanStep::EndOfBatch { last_row } => {
                    let batch = std::mem::replace(&mut self.open, RowMoments::empty(width));
                    if let Some(window) = self.windows.current() {
                        window.moments.merge(&batch);
                    }
                    self.normalizer.update(batch.n(), batch.mean(), &batch.vars());
                    for TilePlace { group, tile } in std::mem::take(&mut queue.open_tiles) {
                        queue.set_state(group, tile, self);
                        self.windows.use_state(&self.normalizer, queue.n_rows(group, tile));
                    }
                    on_update(Update { last_row, n: batch.n(), normalizer: &self.normalizer });
                    self.windows.end_if_full(&self.normalizer);
                }
            }
        }
    }

    fn add_to_window(&mut self, moments: &TileMoments, tile: usize, n: u64) {
        let width = self.normalizer.width();
        if let Some(window) = self.windows.current() {
            window.moments.merge_batch(n, &view(moments, tile, width));
        }
    }

    /// Sends the groups off whose states are known.
    pub(super) fn send_ready(&mut self, queue: &mut DeviceQueue) -> Result<(), DeviceError> {
        let scaling = Scaling::of(self.normalizer.rule());
        while queue.waiting.front().is_some_and(|scanned| scanned.states.is_whole()) {
            let Some(Scanned { tiles, rows, states, updates, .. }) = queue.waiting.pop_front() else {
                break;
            };
            queue.done += 1;
            let Some(rows) = rows else { continue };
            let pending = queue.engine.begin_values(&rows, states, &scaling, tiles.output)?;
            queue.finishing.push_back(Finishing { tiles, updates, pending });
        }
        Ok(())
    }

    /// Takes the values of the oldest group under way.
    pub(super) fn finish_next(
        &mut self,
        queue: &mut DeviceQueue,
        output: &mut Output<'_>,
    ) -> Result<(), DeviceError> {
        let Some(Finishing { tiles, updates, pending }) = queue.finishing.pop_front() else { return Ok(()) };
        let width = self.normalizer.width();
        let engine = &queue.engine;
        engine.read_values(pending, |values, clipped| {
            if let Some(values) = values {
                engine.count_copied(size_of_val(values));
                match output.slice(tiles.rows.start * width, tiles.rows.end * width) {
                    Output::None => {}
                    Output::F32(out) => out.copy_from_slice(values),
                    Output::F64(out) => {
                        out.iter_mut().zip(values).for_each(|(out, y)| *out = f64::from(*y));
                    }
                }
            }
            for (tile, updates) in updates.into_iter().enumerate() {
                let n_rows = tiles.layout.rows(tile).len() as u64;
                let Some(window) = self.windows.at(updates) else { continue };
                window.normalized += n_rows;
                let counts = &clipped[tile * width..(tile + 1) * width];
                for (sum, n) in window.clipped.iter_mut().zip(counts) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a count of rows"
                    )]
                    let n = *n as u64;
                    *sum += n;
                }
            }
        })
    }
}

fn view(moments: &TileMoments, tile: usize, width: usize) -> MomentsView<'_> {
    let own = tile * width..(tile + 1) * width;
    MomentsView {
        mean: &moments.row_mean[own.clone()],
        var: &moments.row_var[own.clone()],
        min: &moments.min[own.clone()],
        max: &moments.max[own],
    }
}
