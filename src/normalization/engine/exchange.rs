//! What host and device hand each other: rows at 32 bits, moments of tiles, states before them.

use burn::tensor::Tensor;

use crate::normalization::rule::{Correction, Memory, Order, Rule};
use crate::normalization::tile_layout::Layout;
use crate::stats::Rows;

/// Weight of a row from which on a device mixes variances without taking differences.
pub(super) const LARGE_WEIGHT: f32 = 0.0625;

/// How the rows of a group of tiles are normalized.
#[derive(Debug, Clone, Copy)]
pub(in crate::normalization) struct Scaling {
    /// Whether a batch is normalized before or after its own update.
    pub(in crate::normalization) order: Order,
    pub(in crate::normalization) inside_root: f32,
    pub(in crate::normalization) outside_root: f32,
    pub(in crate::normalization) min: f32,
    pub(in crate::normalization) max: f32,
    pub(in crate::normalization) clip: f32,
    /// Whether the mean is subtracted.
    pub(in crate::normalization) centers: bool,
    /// Whether the state in use is another than the one carried: divided by n - ddof, or TorchRL's.
    pub(in crate::normalization) varies: bool,
    pub(in crate::normalization) initial_mean: f64,
    pub(in crate::normalization) initial_var: f64,
}

impl Scaling {
    #[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
    pub(in crate::normalization) fn of(rule: &Rule) -> Self {
        // Infinities stay on the host: shading languages may assume there are none.
        let finite = |x: f64| x.min(f64::from(f32::MAX)) as f32;
        let is_torchrl = rule.correction == Correction::TorchRl && rule.memory != Memory::Welford;
        Self {
            order: rule.order,
            inside_root: rule.divisor.inside_root as f32,
            outside_root: rule.divisor.outside_root as f32,
            min: rule.divisor.min as f32,
            max: finite(rule.divisor.max),
            clip: rule.clip.map_or(f32::MAX, finite),
            centers: rule.center,
            varies: rule.ddof > 0 || is_torchrl,
            initial_mean: rule.initial_mean,
            initial_var: rule.initial_var,
        }
    }

    /// Whether what is carried into a tile is its mean, variance and divisor alone.
    fn is_plain(&self, input: Input) -> bool {
        self.centers && !self.varies && input == Input::Seen
    }
}

/// Rows on their way to a device.
#[derive(Clone, Copy)]
pub(in crate::normalization) struct SentRows<'a> {
    /// What the statistics see.
    pub(in crate::normalization) rows: Rows<'a>,
    /// What is normalized, where that is something else.
    pub(in crate::normalization) input: Option<Rows<'a>>,
    pub(in crate::normalization) width: usize,
    pub(in crate::normalization) layout: &'a Layout,
    /// Whether their moments are asked for.
    #[cfg_attr(
        not(any(feature = "wgpu", feature = "cuda")),
        expect(dead_code, reason = "weights are derived only where there are kernels")
    )]
    pub(in crate::normalization) has_moments: bool,
}

/// What is normalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::normalization) enum Input {
    /// The rows the statistics see.
    Seen,
    /// Other rows.
    Other,
}

/// What is wanted of normalized tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::normalization) enum TileOutput {
    /// Counts of values at or beyond the clip alone.
    Counts,
    /// Those and the values.
    ValuesAndCounts,
}

/// A state as it is before a tile, one number per dimension each.
pub(in crate::normalization) struct StateBefore<'a> {
    /// A place near the tile's rows: the device computes with differences from it, so that neither a state far away (before
    /// the first update, say) nor an offset costs digits.
    pub(in crate::normalization) origin: &'a [f64],
    /// The state as it is carried.
    pub(in crate::normalization) mean: &'a [f64],
    pub(in crate::normalization) var: &'a [f64],
    /// What values are normalized with.
    pub(in crate::normalization) center: &'a [f64],
    pub(in crate::normalization) inverse: &'a [f64],
}

/// The state before each tile as the device takes it: [`TileStates::n_parts`] x n_tiles x width.
///
/// Origin, mean less the origin, variance, 1/divisor; where that is not all, also what is subtracted first (less the
/// origin), the origin less the initial mean, the origin of the rows normalized where those are others, and how far it lies from
/// that of the rows seen.
#[derive(Debug, Clone)]
pub(in crate::normalization) struct TileStates {
    pub(super) numbers: Vec<f32>,
    is_plain: bool,
    input: Input,
    initial_mean: f64,
    n_tiles: usize,
    width: usize,
    n_set: usize,
}

/// What is subtracted from the rows of each tile on the way to a device; n_tiles x width, nothing where that is 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Shifts(Vec<f64>);

impl Shifts {
    pub(super) fn at(&self, i: usize) -> f64 {
        self.0.get(i).copied().unwrap_or(0.0)
    }
}

impl TileStates {
    pub(in crate::normalization) fn new(
        scaling: &Scaling,
        input: Input,
        n_tiles: usize,
        width: usize,
    ) -> Self {
        let is_plain = scaling.is_plain(input);
        let mut states = Self {
            numbers: Vec::new(),
            is_plain,
            input,
            initial_mean: scaling.initial_mean,
            n_tiles,
            width,
            n_set: 0,
        };
        states.numbers = vec![0.0; states.n_parts() * n_tiles * width];
        states
    }

    /// Numbers per tile and dimension.
    pub(super) fn n_parts(&self) -> usize {
        if self.is_plain { 4 } else { 8 }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether every tile has its state.
    pub(in crate::normalization) fn is_whole(&self) -> bool {
        self.n_set == self.n_tiles
    }

    /// The state before a tile, once.
    #[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
    pub(super) fn set(&mut self, tile: usize, before: &StateBefore<'_>, shifts: &Shifts, of_input: &Shifts) {
        self.n_set += 1;
        let size = self.n_tiles * self.width;
        let numbers = &mut self.numbers[..];
        for d in 0..self.width {
            let i = tile * self.width + d;
            let mut put = |part: usize, x: f64| numbers[part * size + i] = x as f32;
            let shift = shifts.at(i);
            let about = f64::from((before.origin[d] - shift) as f32);
            let origin = about + shift;
            put(0, about);
            put(2, before.var[d]);
            // Beyond 32 bits a difference of 0 must stay one.
            put(3, before.inverse[d].min(f64::from(f32::MAX)));
            if self.is_plain {
                put(1, before.center[d] - shift - about);
                continue;
            }
            put(1, before.mean[d] - shift - about);
            put(5, origin - self.initial_mean);
            if self.input == Input::Seen {
                put(4, before.center[d] - shift - about);
                continue;
            }
            let shift = of_input.at(i);
            let about = f64::from((before.center[d] - shift) as f32);
            put(4, before.center[d] - shift - about);
            put(6, about);
            put(7, origin - shift - about);
        }
    }
}

/// What kernels make of tiles: normalized values where wanted, counts of those at or beyond the clip.
pub(super) struct TileValues {
    pub(super) values: Option<Tensor<1>>,
    pub(super) clipped: Tensor<1>,
}

/// Moments of tiles, n_tiles x width each.
#[derive(Debug, Clone, Default)]
pub(in crate::normalization) struct TileMoments {
    /// Of the tile as a mixture of its batches: what it does to the state.
    pub(in crate::normalization) mean: Vec<f64>,
    pub(in crate::normalization) var: Vec<f64>,
    /// Of its rows, all alike.
    pub(in crate::normalization) row_mean: Vec<f64>,
    pub(in crate::normalization) row_var: Vec<f64>,
    pub(in crate::normalization) min: Vec<f64>,
    pub(in crate::normalization) max: Vec<f64>,
}

/// Rows at 32 bits, and what was subtracted tile by tile so that they fit: nothing from stored singles, its first row
/// from a tile of doubles. The one time that the host copies them.
#[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
pub(super) fn singles(rows: Rows<'_>, width: usize, layout: &Layout) -> (Vec<f32>, Shifts) {
    match rows {
        Rows::F32(values) => (values.to_vec(), Shifts::default()),
        Rows::F64(values) => {
            let mut singles = Vec::with_capacity(values.len());
            let mut shifts = Vec::with_capacity(layout.n_tiles() * width);
            for tile in 0..layout.n_tiles() {
                let rows = layout.rows(tile);
                let tile = &values[rows.start * width..rows.end * width];
                let shift = &tile[..width];
                shifts.extend_from_slice(shift);
                let shifted = tile.chunks_exact(width).flat_map(|row| row.iter().zip(shift));
                singles.extend(shifted.map(|(x, shift)| (x - shift) as f32));
            }
            (singles, Shifts(shifts))
        }
    }
}

/// A number as the device has it.
#[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
pub(super) fn single(x: f64) -> f32 {
    x as f32
}
