//! The replay on a device: the host plans and scans, the device goes through the rows.
//!
//! Three steps per group of tiles: the device reduces tiles to moments, the host scans them at 64 bits and so knows
//! the state before every tile, the device normalizes every tile from there. The moments of the next group are under
//! way while the host scans and waits.

use std::collections::VecDeque;

use super::engine::{
    DeviceError, DeviceRows, Engine, PendingMoments, PendingValues, Scaling, TileMoments, TileOutput,
    TileStates,
};
use super::output::Output;
use super::replay::{Block, Replay};
use super::rule::Order;
use super::tiles::{BlockShape, Normalized, ScanStep, TileGroup, TileSettings, plan_tiles};
use super::update::{Update, UpdatesTold};
use crate::stats::{MomentsView, RowMoments};

/// A group whose moments are under way; one without rows (it closes a batch) has none.
struct Started {
    group: TileGroup,
    on_device: Option<(DeviceRows, PendingMoments)>,
}

/// A group whose moments are known; its tiles wait for the state before them.
struct Scanned {
    group: TileGroup,
    rows: Option<DeviceRows>,
    /// Means of the tiles' rows, where those are what is normalized.
    means: Option<Vec<f64>>,
    states: Vec<Option<TileStates>>,
    /// Updates before each tile: the window its rows count in.
    updates: Vec<u64>,
}

impl Scanned {
    fn is_ready(&self) -> bool {
        self.states.iter().all(Option::is_some)
    }
}

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

/// A group whose values are under way.
struct Finishing {
    group: TileGroup,
    updates: Vec<u64>,
    pending: PendingValues,
}

/// A tile of a block.
#[derive(Debug, Clone, Copy)]
struct TilePlace {
    group: usize,
    tile: usize,
}

/// One block going through a device: the groups of tiles that wait there.
struct DevicePass<'a, 'b> {
    engine: &'a Engine,
    block: &'a Block<'b>,
    output: Output<'a>,
    /// Groups before the first of `waiting` are on their way back.
    done: usize,
    waiting: VecDeque<Scanned>,
    finishing: VecDeque<Finishing>,
    /// Tiles of the batch still open that wait for its update.
    open_tiles: Vec<TilePlace>,
}

impl Replay {
    /// Replays a block on a device.
    ///
    /// # Errors
    /// A failing device, or values too large for 32 bits.
    pub(super) fn process_on_device(
        &mut self,
        engine: &Engine,
        block: &Block<'_>,
        output: Output<'_>,
        on_update: &mut impl FnMut(Update<'_>),
    ) -> Result<(), DeviceError> {
        let width = self.normalizer.width();
        let n_rows = block.rows.len() / width;
        let rule = *self.normalizer.rule();
        let has_state = block.input.is_none();
        let settings = TileSettings {
            width,
            window_updates: self.windows.updates_each(),
            told: self.told,
            normalized: if has_state { Normalized::SeenRows } else { Normalized::OtherRows },
        };
        let shape = BlockShape { n_rows, ends: block.ends, n_open: self.open.n() };
        let mut groups = plan_tiles(&rule, self.normalizer.clock(), settings, shape);
        let mut pass = DevicePass::new(engine, block, output);
        let mut next = groups.next().map(|group| pass.start(group, width)).transpose()?;
        while let Some(current) = next {
            next = groups.next().map(|group| pass.start(group, width)).transpose()?;
            let (rows, moments) = match current.on_device {
                None => (None, TileMoments::default()),
                Some((rows, pending)) => {
                    let moments = engine.read_moments(&rows, pending)?;
                    let rows = if has_state { rows } else { pass.upload_input(&current.group, width)? };
                    (Some(rows), moments)
                }
            };
            pass.waiting.push_back(Scanned {
                states: vec![None; current.group.layout.n_tiles()],
                updates: vec![0; current.group.layout.n_tiles()],
                means: has_state.then(|| moments.row_mean.clone()),
                group: current.group,
                rows,
            });
            self.scan(&mut pass, &moments, on_update);
            self.send_ready(&mut pass)?;
            self.finish_down_to(1, &mut pass)?;
        }
        assert!(pass.waiting.is_empty(), "rows of an open batch are kept back until it is whole");
        self.finish_down_to(0, &mut pass)
    }

    /// Normalizes rows with the state as it is, on a device.
    pub(super) fn normalize_on_device(
        &mut self,
        engine: &Engine,
        block: &Block<'_>,
        output: Output<'_>,
    ) -> Result<(), DeviceError> {
        let width = self.normalizer.width();
        let settings = TileSettings {
            width,
            window_updates: self.windows.updates_each(),
            told: UpdatesTold::Every,
            normalized: Normalized::OtherRows,
        };
        let n_rows = block.rows.len() / width;
        let rule = *self.normalizer.rule();
        let mut pass = DevicePass::new(engine, block, output);
        let shape = BlockShape { n_rows, ends: &[], n_open: 0 };
        for group in plan_tiles(&rule, self.normalizer.clock(), settings, shape) {
            self.windows.use_state(&self.normalizer, group.rows.len() as u64);
            let rows = pass.upload_input(&group, width)?;
            let n_tiles = group.layout.n_tiles();
            let states = (0..n_tiles).map(|tile| Some(self.state_before(&rows, tile, None))).collect();
            let updates = vec![self.normalizer.updates(); n_tiles];
            pass.waiting.push_back(Scanned { group, rows: Some(rows), means: None, states, updates });
            self.send_ready(&mut pass)?;
            self.finish_down_to(1, &mut pass)?;
        }
        self.finish_down_to(0, &mut pass)
    }

    /// Goes through the tiles of the group that came last: states before them, updates, windows.
    fn scan(
        &mut self,
        pass: &mut DevicePass<'_, '_>,
        moments: &TileMoments,
        on_update: &mut impl FnMut(Update<'_>),
    ) {
        let width = self.normalizer.width();
        let at = pass.done + pass.waiting.len() - 1;
        let steps = match pass.waiting.back_mut() {
            Some(scanned) => std::mem::take(&mut scanned.group.steps),
            None => return,
        };
        let is_first = self.normalizer.rule().order == Order::NormalizeFirst;
        for step in steps {
            self.windows.begin(&self.normalizer);
            match step {
                ScanStep::WholeBatches { tile, share, clock, last_row, last_n } => {
                    pass.set_before(at, tile, self);
                    let n = pass.n_rows(at, tile);
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
                    self.open.merge_batch(pass.n_rows(at, tile), &view(moments, tile, width));
                    if is_first {
                        pass.set_before(at, tile, self);
                        self.windows.use_state(&self.normalizer, pass.n_rows(at, tile));
                    } else {
                        pass.open_tiles.push(TilePlace { group: at, tile });
                        pass.set_updates(at, tile, self.normalizer.updates());
                    }
                }
                ScanStep::EndOfBatch { last_row } => {
                    let batch = std::mem::replace(&mut self.open, RowMoments::empty(width));
                    if let Some(window) = self.windows.current() {
                        window.moments.merge(&batch);
                    }
                    self.normalizer.update(batch.n(), batch.mean(), &batch.vars());
                    for TilePlace { group, tile } in std::mem::take(&mut pass.open_tiles) {
                        pass.set_scaling(group, tile, self);
                        self.windows.use_state(&self.normalizer, pass.n_rows(group, tile));
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

    /// The state as a device takes it into a tile whose rows have these means.
    fn state_before(&self, rows: &DeviceRows, tile: usize, means: Option<&[f64]>) -> TileStates {
        let width = self.normalizer.width();
        let (mut center, mut inverse) = (vec![0.0; width], vec![0.0; width]);
        self.normalizer.scaling(&mut center, &mut inverse);
        Engine::state_before(rows, tile, means.unwrap_or(&center), &center, self.normalizer.var(), &inverse)
    }

    /// Sends the groups off whose states are known.
    fn send_ready(&mut self, pass: &mut DevicePass<'_, '_>) -> Result<(), DeviceError> {
        let rule = self.normalizer.rule();
        let output = match pass.output {
            Output::None => TileOutput::Counts,
            Output::F32(_) | Output::F64(_) => TileOutput::ValuesAndCounts,
        };
        while pass.waiting.front().is_some_and(Scanned::is_ready) {
            let Some(Scanned { group, rows, states, updates, .. }) = pass.waiting.pop_front() else {
                break;
            };
            pass.done += 1;
            let Some(rows) = rows else { continue };
            let mut all = TileStates::default();
            states.into_iter().flatten().for_each(|state| all.extend(&state));
            let pending = pass.engine.begin_values(&rows, &all, &Scaling::of(rule), output)?;
            pass.finishing.push_back(Finishing { group, updates, pending });
        }
        Ok(())
    }

    /// Takes values until so many groups are still under way.
    fn finish_down_to(&mut self, left: usize, pass: &mut DevicePass<'_, '_>) -> Result<(), DeviceError> {
        while pass.finishing.len() > left {
            let Some(oldest) = pass.finishing.pop_front() else { break };
            self.finish_group(oldest, pass)?;
        }
        Ok(())
    }

    /// Takes the values of a group under way.
    fn finish_group(
        &mut self,
        Finishing { group, updates, pending }: Finishing,
        pass: &mut DevicePass<'_, '_>,
    ) -> Result<(), DeviceError> {
        let width = self.normalizer.width();
        let (values, clipped) = pass.engine.read_values(pending)?;
        if let Some(values) = values {
            pass.engine.count_copied(size_of_val(&values[..]));
            let place = pass.output.slice(group.rows.start * width, group.rows.end * width);
            match place {
                Output::None => {}
                Output::F32(out) => out.copy_from_slice(&values),
                Output::F64(out) => out.iter_mut().zip(values).for_each(|(out, y)| *out = f64::from(y)),
            }
        }
        for (tile, updates) in updates.into_iter().enumerate() {
            let n_rows = group.layout.rows(tile).len() as u64;
            let Some(window) = self.windows.at(updates) else { continue };
            window.normalized += n_rows;
            for (sum, n) in window.clipped.iter_mut().zip(&clipped[tile * width..(tile + 1) * width]) {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count of rows"
                )]
                let n = *n as u64;
                *sum += n;
            }
        }
        Ok(())
    }
}

impl<'a, 'b> DevicePass<'a, 'b> {
    fn new(engine: &'a Engine, block: &'a Block<'b>, output: Output<'a>) -> Self {
        Self {
            engine,
            block,
            output,
            done: 0,
            waiting: VecDeque::new(),
            finishing: VecDeque::new(),
            open_tiles: Vec::new(),
        }
    }

    fn start(&self, group: TileGroup, width: usize) -> Result<Started, DeviceError> {
        if group.layout.n_tiles() == 0 {
            return Ok(Started { group, on_device: None });
        }
        let rows = self.block.rows.slice(group.rows.clone(), width);
        let rows = self.engine.upload(rows, width, &group.layout)?;
        let pending = self.engine.begin_moments(&rows)?;
        Ok(Started { group, on_device: Some((rows, pending)) })
    }

    /// The rows to be normalized, where they are not those the statistics see.
    fn upload_input(&self, group: &TileGroup, width: usize) -> Result<DeviceRows, DeviceError> {
        let rows = self.block.input.unwrap_or(self.block.rows).slice(group.rows.clone(), width);
        self.engine.upload(rows, width, &group.layout)
    }

    fn n_rows(&self, group: usize, tile: usize) -> u64 {
        self.waiting[group - self.done].group.layout.rows(tile).len() as u64
    }

    fn set_updates(&mut self, group: usize, tile: usize, updates: u64) {
        self.waiting[group - self.done].updates[tile] = updates;
    }

    /// The tile begins from the state as it is.
    fn set_before(&mut self, group: usize, tile: usize, replay: &Replay) {
        self.set_updates(group, tile, replay.normalizer.updates());
        self.set_scaling(group, tile, replay);
    }

    fn set_scaling(&mut self, group: usize, tile: usize, replay: &Replay) {
        let scanned = &mut self.waiting[group - self.done];
        let width = replay.normalizer.width();
        let means = scanned.means.as_ref().map(|means| &means[tile * width..(tile + 1) * width]);
        scanned.states[tile] = scanned.rows.as_ref().map(|rows| replay.state_before(rows, tile, means));
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
