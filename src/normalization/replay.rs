//! The CPU engine, the reference: statistics and normalized values of rows in replay order, exactly as training made them.

use rayon::prelude::*;

use super::engine::{DeviceError, Engine};
use super::moments::{BatchTable, RowMoments, Rows};
use super::rule::{Order, Rule};
use super::scaling::{Slab, normalize_batches};
use super::state::{Normalizer, NormalizerState};

/// Values handled together: small enough for the second-level cache, large enough to share out.
const SLAB_VALUES: usize = 1 << 18;

/// Rows from which one batch is shared out over threads by itself.
const LARGE_BATCH: usize = 1 << 12;

/// Windows kept at most: beyond, neighbours are joined.
const MOST_WINDOWS: usize = 512;

/// Rows of one block in replay order.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// What the statistics see, row after row.
    pub rows: Rows<'a>,
    /// What is normalized, where that is something else (rewards scaled by their returns).
    pub input: Option<Rows<'a>>,
    /// Ends of batches, each one past its last row; rows after the last one leave their batch open.
    pub ends: &'a [usize],
}

/// Where normalized values go.
#[derive(Debug)]
pub enum Output<'a> {
    /// Nowhere; clipping is counted all the same.
    None,
    /// Rounded to 32 bits.
    F32(&'a mut [f32]),
    /// As computed.
    F64(&'a mut [f64]),
}

/// One update, told as it happens.
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// The batch's last row within the block; `None` if it lies in an earlier block.
    pub last_row: Option<usize>,
    /// Rows of the batch.
    pub n: u64,
    /// The normalizer after the update.
    pub normalizer: &'a Normalizer,
}

/// A stretch of updates with what happened in it.
#[derive(Debug, Clone)]
pub struct Window {
    /// Updates before the stretch.
    pub first_update: u64,
    /// Moments of its rows.
    pub moments: RowMoments,
    /// Values at or beyond the clip, per dimension.
    pub clipped: Vec<u64>,
    /// Values normalized, per dimension.
    pub normalized: u64,
    /// The state at its end: means.
    pub mean: Vec<f64>,
    /// The state at its end: variances.
    pub var: Vec<f64>,
}

impl Window {
    fn new(first_update: u64, width: usize) -> Self {
        Self {
            first_update,
            moments: RowMoments::empty(width),
            clipped: vec![0; width],
            normalized: 0,
            mean: Vec::new(),
            var: Vec::new(),
        }
    }
}

/// One normalizer on its way through the rows of a run (or of one environment).
#[derive(Debug, Clone)]
pub struct Replay {
    pub(super) normalizer: Normalizer,
    /// Updates per window.
    pub(super) window_updates: u64,
    pub(super) windows: Vec<Window>,
    /// Rows of a batch still open.
    pub(super) open: RowMoments,
    /// Where rows are gone through; `None` for here.
    engine: Option<Engine>,
    /// Whether a device tells every update, or one per stretch it handles at once.
    pub(super) tells_every_update: bool,
    moments: SlabMoments,
    centers: Vec<f64>,
    inverses: Vec<f64>,
}

impl Replay {
    /// Starts at the rule's initial state. `expected_updates` sets how long the windows of the diagnostics are:
    /// there will be about `n_windows` of them.
    pub fn new(rule: Rule, width: usize, expected_updates: u64, n_windows: u64) -> Self {
        Self::from_normalizer(Normalizer::new(rule, width), expected_updates, n_windows)
    }

    /// Goes on from a stored state.
    pub fn resume(rule: Rule, state: &NormalizerState, expected_updates: u64, n_windows: u64) -> Self {
        Self::from_normalizer(Normalizer::resume(rule, state), expected_updates, n_windows)
    }

    fn from_normalizer(normalizer: Normalizer, expected_updates: u64, n_windows: u64) -> Self {
        let width = normalizer.width();
        Self {
            open: RowMoments::empty(width),
            engine: None,
            tells_every_update: true,
            normalizer,
            window_updates: expected_updates.div_ceil(n_windows.max(1)).max(1),
            windows: Vec::new(),
            moments: SlabMoments::default(),
            centers: Vec::new(),
            inverses: Vec::new(),
        }
    }

    /// Goes through rows on a device, at 32 bits; the state stays at 64.
    ///
    /// Unless `tells_every_update`, `on_update` is told the last update of each stretch the device handles at once
    /// (every window ends with one), and the device carries the state from batch to batch by itself.
    #[must_use]
    pub fn on_device(mut self, engine: Option<Engine>, tells_every_update: bool) -> Self {
        (self.engine, self.tells_every_update) = (engine, tells_every_update);
        self
    }

    /// The normalizer as it is.
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// Windows so far, in order.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Updates per window.
    pub fn window_updates(&self) -> u64 {
        self.window_updates
    }

    /// Replays a block.
    ///
    /// # Shapes
    /// `block.rows` and the output are n_rows x width, row after row.
    ///
    /// # Errors
    /// A failing device, or values too large for one.
    ///
    /// # Panics
    /// If a batch is left open under [`Order::UpdateFirst`]: the caller keeps such rows back.
    pub fn process(
        &mut self,
        block: &Block<'_>,
        mut output: Output<'_>,
        mut on_update: impl FnMut(Update<'_>),
    ) -> Result<(), DeviceError> {
        if let Some(engine) = self.engine.clone() {
            return self.process_on_device(&engine, block, output, &mut on_update);
        }
        let width = self.normalizer.width();
        let n_rows = block.rows.len() / width;
        let (mut row, mut next) = (0, 0);
        while next < block.ends.len() {
            let slab = self.slab(block.ends, next, row);
            let ends = &block.ends[next..slab];
            let end = ends[ends.len() - 1];
            self.process_slab(block, row, ends, output.part(row * width, end * width), &mut on_update);
            (row, next) = (end, slab);
        }
        if row < n_rows {
            assert!(
                self.normalizer.rule().order == Order::NormalizeFirst,
                "rows of an open batch are kept back until it is whole"
            );
            self.normalize_open(block, row..n_rows, output.part(row * width, n_rows * width));
            self.open.merge(&moments_of(block.rows.slice(row..n_rows, width), width));
        }
        Ok(())
    }

    /// Rows whose batches the caller tells apart itself: normalized with the state as it is.
    ///
    /// # Errors
    /// A failing device.
    pub fn normalize_only(&mut self, block: &Block<'_>, output: Output<'_>) -> Result<(), DeviceError> {
        if let Some(engine) = self.engine.clone() {
            return self.normalize_on_device(&engine, block, output);
        }
        let n_rows = block.rows.len() / self.normalizer.width();
        self.normalize_open(block, 0..n_rows, output);
        Ok(())
    }

    /// An update with moments the caller gathered.
    pub fn update(&mut self, batch: &RowMoments) {
        self.apply(batch);
    }

    /// Closes the batch still open at the end of a run; tells the update if there was one.
    pub fn finish(&mut self, mut on_update: impl FnMut(Update<'_>)) {
        if self.open.n() > 0 {
            let open = std::mem::replace(&mut self.open, RowMoments::empty(self.normalizer.width()));
            self.apply(&open);
            on_update(Update { last_row: None, n: open.n(), normalizer: &self.normalizer });
        }
        self.close_window();
    }

    fn apply(&mut self, batch: &RowMoments) {
        self.begin_window();
        self.normalizer.update(batch.n(), batch.mean(), &batch.vars());
        if let Some(window) = self.windows.last_mut() {
            window.moments.merge(batch);
        }
        self.end_window_if_full();
    }

    /// One past the last batch handled together with batch `next`: within one window and one slab.
    fn slab(&self, ends: &[usize], next: usize, row: usize) -> usize {
        let left = self.window_updates - self.normalizer.updates() % self.window_updates;
        let by_window = next.saturating_add(usize::try_from(left).unwrap_or(usize::MAX)).min(ends.len());
        let rows = (SLAB_VALUES / self.normalizer.width()).max(1);
        let by_rows = ends[next..by_window].iter().take_while(|end| **end - row <= rows).count();
        next + by_rows.max(1)
    }

    fn process_slab(
        &mut self,
        block: &Block<'_>,
        start: usize,
        ends: &[usize],
        output: Output<'_>,
        on_update: &mut impl FnMut(Update<'_>),
    ) {
        let mut moments = std::mem::take(&mut self.moments);
        moments.fill(block, self.normalizer.width(), start, ends, &self.open);
        self.advance(block, &moments, output, on_update);
        self.moments = moments;
    }

    /// Takes the batches whose moments are known.
    fn advance(
        &mut self,
        block: &Block<'_>,
        moments: &SlabMoments,
        output: Output<'_>,
        on_update: &mut impl FnMut(Update<'_>),
    ) {
        let width = self.normalizer.width();
        let (start, n_rows) = (moments.start, moments.n_rows());
        if self.open.n() > 0 {
            self.open = RowMoments::empty(width);
        }
        self.begin_window();
        if let Some(window) = self.windows.last_mut() {
            window.moments.merge(&moments.whole);
        }
        self.recur(&moments.table, &moments.ends, start, on_update);
        let slab = Slab {
            rows: block.rows.slice(start..start + n_rows, width),
            input: block.input.map(|input| input.slice(start..start + n_rows, width)),
            ends: &moments.ends,
            centers: &self.centers,
            inverses: &self.inverses,
            extremes: &moments.table,
        };
        let clipped = normalize_batches(self.normalizer.rule(), &slab, width, output);
        self.count_clipped(&clipped, n_rows as u64);
        self.end_window_if_full();
    }

    /// Replays a block under several rules at once: batch moments are computed once.
    ///
    /// All replays began together; their rules may differ in everything but the batches.
    pub fn process_together(
        replays: &mut [Self],
        block: &Block<'_>,
        on_update: impl Fn(usize, Update<'_>) + Sync,
    ) {
        let Some(first) = replays.first() else { return };
        let width = first.normalizer.width();
        let n_rows = block.rows.len() / width;
        let mut moments = SlabMoments::default();
        let (mut row, mut next) = (0, 0);
        while next < block.ends.len() {
            let first = &replays[0];
            let slab = first.slab(block.ends, next, row);
            let ends = &block.ends[next..slab];
            moments.fill(block, width, row, ends, &first.open);
            replays.par_iter_mut().enumerate().for_each(|(i, replay)| {
                replay.advance(block, &moments, Output::None, &mut |update| on_update(i, update));
            });
            (row, next) = (ends[ends.len() - 1], slab);
        }
        if row < n_rows {
            let tail = moments_of(block.rows.slice(row..n_rows, width), width);
            replays.par_iter_mut().for_each(|replay| {
                replay.normalize_open(block, row..n_rows, Output::None);
                replay.open.merge(&tail);
            });
        }
    }

    /// The recurrence over the batches of a slab; leaves each batch's scaling in `centers` and `inverses`.
    fn recur(
        &mut self,
        table: &BatchTable,
        ends: &[usize],
        start: usize,
        on_update: &mut impl FnMut(Update<'_>),
    ) {
        let width = self.normalizer.width();
        self.centers.resize(table.len() * width, 0.0);
        self.inverses.resize(table.len() * width, 0.0);
        let order = self.normalizer.rule().order;
        for (batch, end) in ends.iter().enumerate() {
            let range = batch * width..(batch + 1) * width;
            let (center, inverse) = (&mut self.centers[range.clone()], &mut self.inverses[range]);
            if order == Order::NormalizeFirst {
                self.normalizer.scaling(center, inverse);
            }
            let view = table.view(batch);
            self.normalizer.update(table.n[batch], view.mean, view.var);
            if order == Order::UpdateFirst {
                self.normalizer.scaling(center, inverse);
            }
            if table.n[batch] > 0 {
                let last_row = (start + end).checked_sub(1);
                on_update(Update { last_row, n: table.n[batch], normalizer: &self.normalizer });
            }
        }
    }

    fn normalize_open(&mut self, block: &Block<'_>, range: std::ops::Range<usize>, output: Output<'_>) {
        if range.is_empty() {
            return;
        }
        self.begin_window();
        let width = self.normalizer.width();
        let n_rows = range.len();
        let (mut center, mut inverse) = (vec![0.0; width], vec![0.0; width]);
        self.normalizer.scaling(&mut center, &mut inverse);
        // Pieces of one scaling, so that the work can be shared out.
        let ends: Vec<usize> = (0..n_rows).step_by(LARGE_BATCH).skip(1).chain([n_rows]).collect();
        let repeat = |values: &[f64]| values.repeat(ends.len());
        let rows = block.rows.slice(range.clone(), width);
        let mut table = BatchTable::default();
        BatchTable::of(rows, width, &ends, &mut table);
        let slab = Slab {
            rows,
            input: block.input.map(|input| input.slice(range, width)),
            ends: &ends,
            centers: &repeat(&center),
            inverses: &repeat(&inverse),
            extremes: &table,
        };
        let clipped = normalize_batches(self.normalizer.rule(), &slab, width, output);
        self.count_clipped(&clipped, n_rows as u64);
    }

    pub(super) fn begin_window(&mut self) {
        if self.windows.len() >= MOST_WINDOWS {
            self.halve_windows();
        }
        let updates = self.normalizer.updates();
        let is_full = |window: &Window| updates - window.first_update >= self.window_updates;
        if self.windows.last().is_none_or(is_full) {
            self.close_window();
            self.windows.push(Window::new(updates, self.normalizer.width()));
        }
    }

    /// Joins neighbours, so that any number of updates has a bounded number of windows.
    fn halve_windows(&mut self) {
        if self.windows.last().is_some_and(|window| window.mean.is_empty()) {
            return;
        }
        let mut joined: Vec<Window> = Vec::with_capacity(self.windows.len() / 2 + 1);
        for (i, window) in std::mem::take(&mut self.windows).into_iter().enumerate() {
            match joined.last_mut().filter(|_| i % 2 == 1) {
                Some(last) => {
                    last.moments.merge(&window.moments);
                    last.clipped.iter_mut().zip(&window.clipped).for_each(|(sum, n)| *sum += n);
                    last.normalized += window.normalized;
                    (last.mean, last.var) = (window.mean, window.var);
                }
                None => joined.push(window),
            }
        }
        self.windows = joined;
        self.window_updates *= 2;
    }

    pub(super) fn end_window_if_full(&mut self) {
        let updates = self.normalizer.updates();
        if self.windows.last().is_some_and(|window| updates - window.first_update >= self.window_updates) {
            self.close_window();
        }
    }

    fn close_window(&mut self) {
        if let Some(window) = self.windows.last_mut().filter(|window| window.mean.is_empty()) {
            window.mean = self.normalizer.mean().to_vec();
            window.var = self.normalizer.var().to_vec();
        }
    }

    fn count_clipped(&mut self, clipped: &[u64], n_rows: u64) {
        if let Some(window) = self.windows.last_mut() {
            window.clipped.iter_mut().zip(clipped).for_each(|(sum, n)| *sum += n);
            window.normalized += n_rows;
        }
    }
}

/// Moments of the batches of a slab.
#[derive(Debug, Clone, Default)]
struct SlabMoments {
    /// First row within the block.
    start: usize,
    /// Ends of batches, from the slab's first row on.
    ends: Vec<usize>,
    table: BatchTable,
    /// All rows of the batches together.
    whole: RowMoments,
}

impl SlabMoments {
    fn n_rows(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Moments of the batches that end at `ends`; rows gathered before belong to the first.
    fn fill(&mut self, block: &Block<'_>, width: usize, start: usize, ends: &[usize], open: &RowMoments) {
        self.start = start;
        self.ends.clear();
        self.ends.extend(ends.iter().map(|end| end - start));
        let rows = block.rows.slice(start..start + self.n_rows(), width);
        self.whole = if ends.len() == 1 && self.n_rows() >= LARGE_BATCH {
            let moments = moments_of(rows, width);
            self.table.set_single(&moments);
            moments
        } else {
            BatchTable::of(rows, width, &self.ends, &mut self.table)
        };
        if open.n() > 0 {
            let mut first = open.clone();
            first.merge_batch(self.table.n[0], &self.table.view(0));
            self.table.replace_first(&first);
            self.whole.merge(open);
        }
    }
}

/// Moments of many rows, shared out over threads in fixed pieces.
pub fn moments_of(rows: Rows<'_>, width: usize) -> RowMoments {
    let n_rows = rows.len() / width;
    let piece = (SLAB_VALUES / 8 / width).max(64);
    let pieces: Vec<RowMoments> = (0..n_rows.div_ceil(piece))
        .into_par_iter()
        .map(|i| RowMoments::of(rows.slice(i * piece..n_rows.min((i + 1) * piece), width), width))
        .collect();
    let mut moments = RowMoments::empty(width);
    pieces.iter().for_each(|piece| moments.merge(piece));
    moments
}

impl<'a> Output<'a> {
    pub(super) fn part(&mut self, start: usize, end: usize) -> Output<'_> {
        match self {
            Self::None => Output::None,
            Self::F32(values) => Output::F32(&mut values[start..end]),
            Self::F64(values) => Output::F64(&mut values[start..end]),
        }
    }

    /// Splits at ascending positions.
    pub(super) fn split(self, positions: &[usize]) -> Vec<Output<'a>> {
        fn parts<'a, T>(mut rest: &'a mut [T], positions: &[usize]) -> Vec<&'a mut [T]> {
            let mut taken = 0;
            positions
                .iter()
                .map(|position| {
                    let (part, after) = std::mem::take(&mut rest).split_at_mut(position - taken);
                    (rest, taken) = (after, *position);
                    part
                })
                .collect()
        }
        match self {
            Output::None => positions.iter().map(|_| Output::None).collect(),
            Output::F32(values) => parts(values, positions).into_iter().map(Output::F32).collect(),
            Output::F64(values) => parts(values, positions).into_iter().map(Output::F64).collect(),
        }
    }
}
