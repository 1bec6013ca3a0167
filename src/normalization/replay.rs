//! The CPU engine, the reference: statistics and normalized values of rows in replay order, exactly as training made them.

use rayon::prelude::*;

use super::engine::{DeviceError, Engine};
use super::output::Output;
use super::rule::{Order, Rule};
use super::scaling::{ScaledBatches, count_clipped, normalize_batches};
use super::state::{Normalizer, NormalizerState};
use super::update::{Update, UpdatesTold};
use super::window::{Window, Windows};
use crate::stats::{BatchTable, RowMoments, Rows};

/// Values of batches handled together: small enough for the second-level cache, large enough to share out.
const VALUES_TOGETHER: usize = 1 << 18;

/// Rows from which one batch is shared out over threads by itself.
const LARGE_BATCH: usize = 1 << 12;

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

/// One normalizer on its way through the rows of a run (or of one environment).
#[derive(Debug, Clone)]
pub struct Replay {
    pub(super) normalizer: Normalizer,
    pub(super) windows: Windows,
    /// Rows of a batch still open.
    pub(super) open: RowMoments,
    /// Where rows are gone through; `None` for here.
    pub(super) engine: Option<Engine>,
    /// Whether rows are normalized, not only seen by the statistics.
    pub(super) normalizes: bool,
    /// Updates a device tells.
    pub(super) told: UpdatesTold,
    moments: BatchesTogether,
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
            normalizes: true,
            told: UpdatesTold::Every,
            normalizer,
            windows: Windows::new(expected_updates, n_windows),
            moments: BatchesTogether::default(),
            centers: Vec::new(),
            inverses: Vec::new(),
        }
    }

    /// In windows of a multiple of so many updates, so that each holds whole vector steps; before any rows.
    #[must_use]
    pub fn in_steps_of(mut self, updates: u64) -> Self {
        self.windows = self.windows.in_steps_of(updates);
        self
    }

    /// Without normalizing anything: nobody looks at what is clipped.
    #[must_use]
    pub fn states_only(self) -> Self {
        Self { normalizes: false, ..self }
    }

    /// Goes through rows on a device, at 32 bits; the state stays at 64.
    #[must_use]
    pub fn on_device(mut self, engine: Option<Engine>, told: UpdatesTold) -> Self {
        (self.engine, self.told) = (engine, told);
        self
    }

    /// The normalizer as it is.
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// Windows so far, in order.
    pub fn windows(&self) -> &[Window] {
        self.windows.all()
    }

    /// The windows alone, once everything was seen.
    pub fn into_windows(self) -> Vec<Window> {
        self.windows.into_all()
    }

    /// Updates per window.
    pub fn window_updates(&self) -> u64 {
        self.windows.updates_each()
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
            let last = self.last_together(block.ends, next, row);
            let ends = &block.ends[next..last];
            let end = ends[ends.len() - 1];
            self.process_batches(block, row, ends, output.slice(row * width, end * width), &mut on_update);
            (row, next) = (end, last);
        }
        if row < n_rows {
            assert!(
                self.normalizer.rule().order == Order::NormalizeFirst,
                "rows of an open batch are kept back until it is whole"
            );
            self.windows.begin(&self.normalizer);
            self.normalize_open(block, row..n_rows, output.slice(row * width, n_rows * width));
            self.open.merge(&moments_of(block.rows.slice(row..n_rows, width), width));
        }
        Ok(())
    }

    /// Rows whose batches the caller tells apart itself: normalized with the state as it is.
    ///
    /// # Errors
    /// A failing device.
    pub fn normalize_only(&mut self, block: &Block<'_>, output: Output<'_>) -> Result<(), DeviceError> {
        if block.rows.is_empty() {
            return Ok(());
        }
        self.windows.begin(&self.normalizer);
        self.normalize_in_window(block, output)
    }

    /// The same, counted in the present window even if the last update has filled it.
    pub(super) fn normalize_in_window(
        &mut self,
        block: &Block<'_>,
        output: Output<'_>,
    ) -> Result<(), DeviceError> {
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
        self.windows.close();
    }

    fn apply(&mut self, batch: &RowMoments) {
        self.windows.begin(&self.normalizer);
        self.normalizer.update(batch.n(), batch.mean(), &batch.vars());
        if let Some(window) = self.windows.current() {
            window.moments.merge(batch);
        }
        self.windows.end_if_full(&self.normalizer);
    }

    /// One past the last batch handled together with batch `next`: all within one window.
    pub(super) fn last_together(&self, ends: &[usize], next: usize, row: usize) -> usize {
        let left = self.windows.updates_left(self.normalizer.updates());
        let by_window = next.saturating_add(usize::try_from(left).unwrap_or(usize::MAX)).min(ends.len());
        let rows = (VALUES_TOGETHER / self.normalizer.width()).max(1);
        let by_rows = ends[next..by_window].iter().take_while(|end| **end - row <= rows).count();
        next + by_rows.max(1)
    }

    fn process_batches(
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
        moments: &BatchesTogether,
        output: Output<'_>,
        on_update: &mut impl FnMut(Update<'_>),
    ) {
        let width = self.normalizer.width();
        let (start, n_rows) = (moments.start, moments.n_rows());
        self.begin_batches(moments);
        self.recur(&moments.table, &moments.ends, start, on_update);
        let batches = ScaledBatches {
            rows: block.rows.slice(start..start + n_rows, width),
            input: block.input.map(|input| input.slice(start..start + n_rows, width)),
            ends: &moments.ends,
            centers: &self.centers,
            inverses: &self.inverses,
            extremes: &moments.table,
        };
        let clipped = normalize_batches(self.normalizer.rule(), &batches, width, output);
        self.windows.count_clipped(&clipped, n_rows as u64);
        self.windows.end_if_full(&self.normalizer);
    }

    /// Opens the window of batches that are handled together; rows gathered before are among their moments.
    pub(super) fn begin_batches(&mut self, moments: &BatchesTogether) {
        self.begin_together(&moments.whole);
    }

    /// The same of batches whose rows have these moments.
    pub(super) fn begin_together(&mut self, whole: &RowMoments) {
        if self.open.n() > 0 {
            self.open = RowMoments::empty(self.normalizer.width());
        }
        self.windows.begin(&self.normalizer);
        if let Some(window) = self.windows.current() {
            window.moments.merge(whole);
        }
    }

    /// The same where nothing is put out and settings run side by side: values are looked at only where they may reach
    /// the clip, right when their state is there.
    fn advance_counting(
        &mut self,
        block: &Block<'_>,
        moments: &BatchesTogether,
        on_update: &mut impl FnMut(Update<'_>),
    ) {
        let width = self.normalizer.width();
        self.begin_batches(moments);
        let mut clipped = vec![0; width];
        let (mut center, mut inverse) = (vec![0.0; width], vec![0.0; width]);
        let order = self.normalizer.rule().order;
        let clip = self.normalizer.rule().clip.unwrap_or(f64::INFINITY);
        let mut before = 0;
        for (batch, end) in moments.ends.iter().enumerate() {
            let view = moments.table.view(batch);
            let n_rows = end - before;
            let range = moments.start + before..moments.start + end;
            before = *end;
            let mut normalize = |normalizer: &Normalizer, windows: &mut Windows| {
                if !self.normalizes || n_rows == 0 {
                    return;
                }
                windows.use_state(normalizer, n_rows as u64);
                if normalizer.may_clip(view.min, view.max) {
                    normalizer.scaling(&mut center, &mut inverse);
                    count_clipped(
                        block.rows.slice(range.clone(), width),
                        (&center, &inverse),
                        clip,
                        &mut clipped,
                    );
                }
            };
            if order == Order::NormalizeFirst {
                normalize(&self.normalizer, &mut self.windows);
            }
            self.normalizer.update(moments.table.n[batch], view.mean, view.var);
            if order == Order::UpdateFirst {
                normalize(&self.normalizer, &mut self.windows);
            }
            if moments.table.n[batch] > 0 {
                let last_row = (moments.start + end).checked_sub(1);
                on_update(Update { last_row, n: moments.table.n[batch], normalizer: &self.normalizer });
            }
        }
        if self.normalizes {
            self.windows.count_clipped(&clipped, moments.n_rows() as u64);
        }
        self.windows.end_if_full(&self.normalizer);
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
        let mut moments = BatchesTogether::default();
        let (mut row, mut next) = (0, 0);
        while next < block.ends.len() {
            let first = &replays[0];
            let last = first.last_together(block.ends, next, row);
            let ends = &block.ends[next..last];
            moments.fill(block, width, row, ends, &first.open);
            replays.par_iter_mut().enumerate().for_each(|(i, replay)| {
                let mut told = |update: Update<'_>| on_update(i, update);
                match block.input {
                    None => replay.advance_counting(block, &moments, &mut told),
                    Some(_) => replay.advance(block, &moments, Output::None, &mut told),
                }
            });
            (row, next) = (ends[ends.len() - 1], last);
        }
        if row < n_rows {
            let tail = moments_of(block.rows.slice(row..n_rows, width), width);
            replays.par_iter_mut().for_each(|replay| {
                replay.windows.begin(&replay.normalizer);
                replay.normalize_open(block, row..n_rows, Output::None);
                replay.open.merge(&tail);
            });
        }
    }

    /// The recurrence over batches handled together; leaves each batch's scaling in `centers` and `inverses`.
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
        let mut before = 0;
        for (batch, end) in ends.iter().enumerate() {
            let range = batch * width..(batch + 1) * width;
            let (center, inverse) = (&mut self.centers[range.clone()], &mut self.inverses[range]);
            let n_rows = (end - before) as u64;
            before = *end;
            if order == Order::NormalizeFirst {
                self.normalizer.scaling(center, inverse);
                self.windows.use_state(&self.normalizer, n_rows);
            }
            let view = table.view(batch);
            self.normalizer.update(table.n[batch], view.mean, view.var);
            if order == Order::UpdateFirst {
                self.normalizer.scaling(center, inverse);
                self.windows.use_state(&self.normalizer, n_rows);
            }
            if table.n[batch] > 0 {
                let last_row = (start + end).checked_sub(1);
                on_update(Update { last_row, n: table.n[batch], normalizer: &self.normalizer });
            }
        }
    }

    pub(super) fn normalize_open(
        &mut self,
        block: &Block<'_>,
        range: std::ops::Range<usize>,
        output: Output<'_>,
    ) {
        if range.is_empty() || !self.normalizes {
            return;
        }
        let width = self.normalizer.width();
        let n_rows = range.len();
        let (mut center, mut inverse) = (vec![0.0; width], vec![0.0; width]);
        self.normalizer.scaling(&mut center, &mut inverse);
        // Several batches of one scaling, so that the work can be shared out.
        let ends: Vec<usize> = (0..n_rows).step_by(LARGE_BATCH).skip(1).chain([n_rows]).collect();
        let repeat = |values: &[f64]| values.repeat(ends.len());
        let rows = block.rows.slice(range.clone(), width);
        let mut table = BatchTable::default();
        BatchTable::of(rows, width, &ends, &mut table);
        let batches = ScaledBatches {
            rows,
            input: block.input.map(|input| input.slice(range, width)),
            ends: &ends,
            centers: &repeat(&center),
            inverses: &repeat(&inverse),
            extremes: &table,
        };
        let clipped = normalize_batches(self.normalizer.rule(), &batches, width, output);
        self.windows.count_clipped(&clipped, n_rows as u64);
        self.windows.use_state(&self.normalizer, n_rows as u64);
    }
}

/// Consecutive batches handled together, by their moments.
#[derive(Debug, Clone, Default)]
pub(super) struct BatchesTogether {
    /// First row within the block.
    pub(super) start: usize,
    /// Ends of batches, from their first row on.
    pub(super) ends: Vec<usize>,
    pub(super) table: BatchTable,
    /// All rows of the batches together.
    pub(super) whole: RowMoments,
}

impl BatchesTogether {
    pub(super) fn n_rows(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Moments of the batches that end at `ends`; rows gathered before belong to the first.
    pub(super) fn fill(
        &mut self,
        block: &Block<'_>,
        width: usize,
        start: usize,
        ends: &[usize],
        open: &RowMoments,
    ) {
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

/// Moments of many rows, shared out over threads in tiles whose size depends on the width alone.
pub fn moments_of(rows: Rows<'_>, width: usize) -> RowMoments {
    let n_rows = rows.len() / width;
    let tile = (VALUES_TOGETHER / 8 / width).max(64);
    let tiles: Vec<RowMoments> = (0..n_rows.div_ceil(tile))
        .into_par_iter()
        .map(|i| RowMoments::of(rows.slice(i * tile..n_rows.min((i + 1) * tile), width), width))
        .collect();
    let mut moments = RowMoments::empty(width);
    tiles.iter().for_each(|tile| moments.merge(tile));
    moments
}
