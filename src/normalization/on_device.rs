//! The replay on a device: the host plans and scans, the device goes through the rows.
//!
//! Three steps per chunk of tiles: the device reduces tiles to moments, the host scans them at 64 bits and so knows
//! the state before every tile, the device normalizes every tile from there. The moments of the next chunk are under
//! way while the host scans and waits.

use std::collections::VecDeque;

use super::engine::{
    Carries, DeviceError, DeviceRows, Engine, PendingMoments, PendingValues, Scaling, TileMoments,
};
use super::moments::{MomentsView, RowMoments};
use super::replay::{Block, Output, Replay, Update};
use super::rule::Order;
use super::tiles::{Chunk, Event, Grain, cut};

/// A chunk whose moments are under way; one without rows (it closes a batch) has none.
struct Started {
    chunk: Chunk,
    on_device: Option<(DeviceRows, PendingMoments)>,
}

/// A chunk whose moments are known; its tiles wait for the state before them.
struct Scanned {
    chunk: Chunk,
    rows: Option<DeviceRows>,
    /// Means of the tiles' rows, where those are what is normalized.
    means: Option<Vec<f64>>,
    carries: Vec<Option<Carries>>,
    /// Updates before each tile: the window its rows count in.
    updates: Vec<u64>,
}

impl Scanned {
    fn is_ready(&self) -> bool {
        self.carries.iter().all(Option::is_some)
    }
}

/// A chunk whose values are under way.
struct Finishing {
    chunk: Chunk,
    updates: Vec<u64>,
    pending: PendingValues,
}

/// The way of one block through a device.
struct Passage<'a, 'b> {
    engine: &'a Engine,
    block: &'a Block<'b>,
    output: Output<'a>,
    /// Chunks before the first of `waiting` are on their way back.
    done: usize,
    waiting: VecDeque<Scanned>,
    finishing: VecDeque<Finishing>,
    /// Tiles (chunk, tile) of the batch still open that wait for its update.
    parts: Vec<(usize, usize)>,
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
        let grain =
            Grain { width, window_updates: self.window_updates, every_update: self.tells_every_update };
        let n_rows = block.rows.len() / width;
        let rule = *self.normalizer.rule();
        let has_state = block.input.is_none();
        let chunks = cut(&rule, self.normalizer.clock(), grain, n_rows, block.ends, self.open.n(), has_state);
        let mut passage = Passage::new(engine, block, output);
        let mut chunks = chunks.into_iter();
        let mut next = chunks.next().map(|chunk| passage.start(chunk, width)).transpose()?;
        while let Some(current) = next {
            next = chunks.next().map(|chunk| passage.start(chunk, width)).transpose()?;
            let (rows, moments) = match current.on_device {
                None => (None, TileMoments::default()),
                Some((rows, pending)) => {
                    let moments = engine.read_moments(&rows, pending)?;
                    let rows = if has_state { rows } else { passage.upload_input(&current.chunk, width)? };
                    (Some(rows), moments)
                }
            };
            passage.waiting.push_back(Scanned {
                carries: vec![None; current.chunk.layout.n_tiles()],
                updates: vec![0; current.chunk.layout.n_tiles()],
                means: has_state.then(|| moments.row_mean.clone()),
                chunk: current.chunk,
                rows,
            });
            self.scan(&mut passage, &moments, on_update);
            self.send_ready(&mut passage)?;
            self.finish_down_to(1, &mut passage)?;
        }
        assert!(passage.waiting.is_empty(), "rows of an open batch are kept back until it is whole");
        self.finish_down_to(0, &mut passage)
    }

    /// Normalizes rows with the state as it is, on a device.
    pub(super) fn normalize_on_device(
        &mut self,
        engine: &Engine,
        block: &Block<'_>,
        output: Output<'_>,
    ) -> Result<(), DeviceError> {
        let width = self.normalizer.width();
        let grain = Grain { width, window_updates: self.window_updates, every_update: true };
        let n_rows = block.rows.len() / width;
        let rule = *self.normalizer.rule();
        let mut passage = Passage::new(engine, block, output);
        for chunk in cut(&rule, self.normalizer.clock(), grain, n_rows, &[], 0, false) {
            self.begin_window();
            let rows = passage.upload_input(&chunk, width)?;
            let n_tiles = chunk.layout.n_tiles();
            let carries = (0..n_tiles).map(|tile| Some(self.carry(&rows, tile, None))).collect();
            let updates = vec![self.normalizer.updates(); n_tiles];
            passage.waiting.push_back(Scanned { chunk, rows: Some(rows), means: None, carries, updates });
            self.send_ready(&mut passage)?;
            self.finish_down_to(1, &mut passage)?;
        }
        self.finish_down_to(0, &mut passage)
    }

    /// Goes through the tiles of the chunk that came last: states before them, updates, windows.
    fn scan(
        &mut self,
        passage: &mut Passage<'_, '_>,
        moments: &TileMoments,
        on_update: &mut impl FnMut(Update<'_>),
    ) {
        let width = self.normalizer.width();
        let at = passage.done + passage.waiting.len() - 1;
        let events = match passage.waiting.back_mut() {
            Some(scanned) => std::mem::take(&mut scanned.chunk.events),
            None => return,
        };
        let is_first = self.normalizer.rule().order == Order::NormalizeFirst;
        for event in events {
            self.begin_window();
            match event {
                Event::Whole { tile, share, clock, last_row, last_n } => {
                    passage.set_carry(at, tile, self);
                    self.add_to_window(moments, tile, passage.n_rows(at, tile));
                    let own = tile * width..(tile + 1) * width;
                    self.normalizer.append(share, &moments.mean[own.clone()], &moments.var[own], clock);
                    on_update(Update { last_row: Some(last_row), n: last_n, normalizer: &self.normalizer });
                    self.end_window_if_full();
                }
                Event::Part { tile } => {
                    self.open.merge_batch(passage.n_rows(at, tile), &view(moments, tile, width));
                    if is_first {
                        passage.set_carry(at, tile, self);
                    } else {
                        passage.parts.push((at, tile));
                        passage.set_updates(at, tile, self.normalizer.updates());
                    }
                }
                Event::Close { last_row } => {
                    let batch = std::mem::replace(&mut self.open, RowMoments::empty(width));
                    if let Some(window) = self.windows.last_mut() {
                        window.moments.merge(&batch);
                    }
                    self.normalizer.update(batch.n(), batch.mean(), &batch.vars());
                    for (chunk, tile) in std::mem::take(&mut passage.parts) {
                        passage.set_scaling(chunk, tile, self);
                    }
                    on_update(Update { last_row, n: batch.n(), normalizer: &self.normalizer });
                    self.end_window_if_full();
                }
            }
        }
    }

    fn add_to_window(&mut self, moments: &TileMoments, tile: usize, n: u64) {
        let width = self.normalizer.width();
        if let Some(window) = self.windows.last_mut() {
            window.moments.merge_batch(n, &view(moments, tile, width));
        }
    }

    /// The state as a device takes it into a tile whose rows have these means.
    fn carry(&self, rows: &DeviceRows, tile: usize, means: Option<&[f64]>) -> Carries {
        let width = self.normalizer.width();
        let (mut center, mut inverse) = (vec![0.0; width], vec![0.0; width]);
        self.normalizer.scaling(&mut center, &mut inverse);
        Engine::carry(rows, tile, means.unwrap_or(&center), &center, self.normalizer.var(), &inverse)
    }

    /// Sends the chunks off whose states are known.
    fn send_ready(&mut self, passage: &mut Passage<'_, '_>) -> Result<(), DeviceError> {
        let rule = self.normalizer.rule();
        let wants_values = !matches!(passage.output, Output::None);
        while passage.waiting.front().is_some_and(Scanned::is_ready) {
            let Some(Scanned { chunk, rows, carries, updates, .. }) = passage.waiting.pop_front() else {
                break;
            };
            passage.done += 1;
            let Some(rows) = rows else { continue };
            let mut all = Carries::default();
            carries.into_iter().flatten().for_each(|carry| all.extend(&carry));
            let pending = passage.engine.begin_values(&rows, &all, &Scaling::of(rule), wants_values)?;
            passage.finishing.push_back(Finishing { chunk, updates, pending });
        }
        Ok(())
    }

    /// Takes values until so many chunks are still under way.
    fn finish_down_to(&mut self, left: usize, passage: &mut Passage<'_, '_>) -> Result<(), DeviceError> {
        while passage.finishing.len() > left {
            let Some(oldest) = passage.finishing.pop_front() else { break };
            self.finish_chunk(oldest, passage)?;
        }
        Ok(())
    }

    /// Takes the values of a chunk under way.
    fn finish_chunk(
        &mut self,
        Finishing { chunk, updates, pending }: Finishing,
        passage: &mut Passage<'_, '_>,
    ) -> Result<(), DeviceError> {
        let width = self.normalizer.width();
        let (values, clipped) = passage.engine.read_values(pending)?;
        if let Some(values) = values {
            let place = passage.output.part(chunk.rows.start * width, chunk.rows.end * width);
            match place {
                Output::None => {}
                Output::F32(out) => out.copy_from_slice(&values),
                Output::F64(out) => out.iter_mut().zip(values).for_each(|(out, y)| *out = f64::from(y)),
            }
        }
        for (tile, updates) in updates.into_iter().enumerate() {
            let n_rows = chunk.layout.rows(tile).len() as u64;
            // Windows may have been joined since.
            let window = self.windows.partition_point(|window| window.first_update <= updates);
            let Some(window) = window.checked_sub(1).and_then(|at| self.windows.get_mut(at)) else {
                continue;
            };
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

impl<'a, 'b> Passage<'a, 'b> {
    fn new(engine: &'a Engine, block: &'a Block<'b>, output: Output<'a>) -> Self {
        Self {
            engine,
            block,
            output,
            done: 0,
            waiting: VecDeque::new(),
            finishing: VecDeque::new(),
            parts: Vec::new(),
        }
    }

    fn start(&self, chunk: Chunk, width: usize) -> Result<Started, DeviceError> {
        if chunk.layout.n_tiles() == 0 {
            return Ok(Started { chunk, on_device: None });
        }
        let rows = self.block.rows.slice(chunk.rows.clone(), width);
        let rows = self.engine.upload(rows, width, &chunk.layout)?;
        let pending = self.engine.begin_moments(&rows)?;
        Ok(Started { chunk, on_device: Some((rows, pending)) })
    }

    /// The rows to be normalized, where they are not those the statistics see.
    fn upload_input(&self, chunk: &Chunk, width: usize) -> Result<DeviceRows, DeviceError> {
        let rows = self.block.input.unwrap_or(self.block.rows).slice(chunk.rows.clone(), width);
        self.engine.upload(rows, width, &chunk.layout)
    }

    fn n_rows(&self, chunk: usize, tile: usize) -> u64 {
        self.waiting[chunk - self.done].chunk.layout.rows(tile).len() as u64
    }

    fn set_updates(&mut self, chunk: usize, tile: usize, updates: u64) {
        self.waiting[chunk - self.done].updates[tile] = updates;
    }

    /// The tile begins from the state as it is.
    fn set_carry(&mut self, chunk: usize, tile: usize, replay: &Replay) {
        self.set_updates(chunk, tile, replay.normalizer.updates());
        self.set_scaling(chunk, tile, replay);
    }

    fn set_scaling(&mut self, chunk: usize, tile: usize, replay: &Replay) {
        let scanned = &mut self.waiting[chunk - self.done];
        let width = replay.normalizer.width();
        let means = scanned.means.as_ref().map(|means| &means[tile * width..(tile + 1) * width]);
        scanned.carries[tile] = scanned.rows.as_ref().map(|rows| replay.carry(rows, tile, means));
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
