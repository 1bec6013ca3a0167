//! What a device needs to know of the rows of a group of tiles: tiles, batches, and what each batch weighs.
//!
//! Weights of rows follow from their batch's; where there are kernels of ours, those derive them.

use std::ops::Range;

/// What a batch weighs, and what its update makes of the state in use.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchWeight {
    /// What is left of the share of its tile's batches before it, and what each of its rows adds.
    pub(super) before: f64,
    pub(super) step: f64,
    /// What is left of the state carried into it, and what each of its rows adds.
    pub(super) rest: f64,
    pub(super) enters: f64,
    /// The state in use after it.
    pub(super) in_use: BatchUse,
}

/// How the state in use follows from the one that is carried.
///
/// # Formula
/// With (m, v) the state carried, (m0, v0) the initial one: `mean = m + odds m0`,
/// `var = unbias (v + odds v0 + prior (m - m0)^2)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BatchUse {
    pub(super) unbias: f64,
    pub(super) odds: f64,
    pub(super) prior: f64,
}

impl BatchUse {
    /// The state in use is the one that is carried.
    pub(super) const PLAIN: Self = Self { unbias: 1.0, odds: 0.0, prior: 0.0 };
}

/// A weight and what it leaves, both to full precision.
#[derive(Debug, Clone, Copy)]
struct Weight {
    weight: f64,
    rest: f64,
}

impl Weight {
    /// Of `own` beside `earlier`.
    fn of(own: f64, earlier: f64) -> Self {
        let whole = own + earlier;
        // Nothing enters where nothing weighs anything (m = 1).
        if own == 0.0 {
            Self { weight: 0.0, rest: 1.0 }
        } else {
            Self { weight: own / whole, rest: earlier / whole }
        }
    }
}

/// Tiles and batches of a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    /// First row of each tile, and one past the last.
    pub(super) starts: Vec<u32>,
    /// Per tile, whether the state stands still in it.
    pub(super) stands: Vec<bool>,
    /// One past the last row of each batch (or of a tile within one).
    pub(super) ends: Vec<u32>,
    /// One per batch.
    pub(super) batches: Vec<BatchWeight>,
}

impl Layout {
    pub(super) fn n_tiles(&self) -> usize {
        self.stands.len()
    }

    pub(super) fn n_rows(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }

    pub(super) fn rows(&self, tile: usize) -> Range<usize> {
        self.starts[tile] as usize..self.starts[tile + 1] as usize
    }

    /// Whether the state stands still in every tile.
    pub(super) fn stands_still(&self) -> bool {
        self.stands.iter().all(|stands| *stands)
    }

    pub(super) fn push_batch(&mut self, n_rows: usize, weight: BatchWeight) {
        #[expect(clippy::cast_possible_truncation, reason = "a group of tiles has fewer rows than 2^32")]
        self.ends.push((self.n_rows() + n_rows) as u32);
        self.batches.push(weight);
    }

    /// Ends the tile that began with the last one's end.
    pub(super) fn push_tile(&mut self, stands: bool) {
        self.stands.push(stands);
        self.starts.push(self.ends.last().copied().unwrap_or(0));
    }

    /// The weights of every row.
    pub(super) fn row_weights(&self) -> RowWeights {
        let mut weights = RowWeights::default();
        let mut start = 0;
        for (end, batch) in self.ends.iter().zip(&self.batches) {
            for i in 0..(end - start) {
                let (entered, carried) = (f64::from(i) * batch.step, f64::from(i) * batch.enters);
                let share = Weight::of(batch.step, batch.before + entered);
                weights.push(share, Weight::of(batch.enters, batch.rest + carried), start + i + 1 == *end);
            }
            start = *end;
        }
        weights
    }
}

/// The weights of every row.
#[derive(Debug, Clone, Default)]
pub(super) struct RowWeights {
    /// Its share of the tile's own mixture up to and including it: `mean += share (x - mean)`.
    pub(super) shares: Vec<f32>,
    /// 1 - share, which a share near 1 does not tell at 32 bits.
    pub(super) share_rests: Vec<f32>,
    /// The weight it enters the running state with, so that the last row of a batch completes its update.
    pub(super) weights: Vec<f32>,
    /// 1 - weight.
    pub(super) weight_rests: Vec<f32>,
    /// Whether it is the last of a batch (or of a tile within one).
    pub(super) ends: Vec<bool>,
}

impl RowWeights {
    #[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
    fn push(&mut self, share: Weight, weight: Weight, is_end: bool) {
        self.shares.push(share.weight as f32);
        self.share_rests.push(share.rest as f32);
        self.weights.push(weight.weight as f32);
        self.weight_rests.push(weight.rest as f32);
        self.ends.push(is_end);
    }
}
