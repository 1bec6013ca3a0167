//! What host and device hand each other: rows at 32 bits, moments of tiles, states before them.

use crate::normalization::rule::{Order, Rule};
use crate::normalization::tiles::Layout;
use crate::stats::Rows;

/// Numbers carried into a tile per dimension.
pub(super) const N_CARRIED: usize = 4;

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
}

impl Scaling {
    #[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
    pub(in crate::normalization) fn of(rule: &Rule) -> Self {
        // Infinities stay on the host: shading languages may assume there are none.
        let finite = |x: f64| x.min(f64::from(f32::MAX)) as f32;
        Self {
            order: rule.order,
            inside_root: rule.divisor.inside_root as f32,
            outside_root: rule.divisor.outside_root as f32,
            min: rule.divisor.min as f32,
            max: finite(rule.divisor.max),
            clip: rule.clip.map_or(f32::MAX, finite),
        }
    }
}

/// What is wanted of normalized tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::normalization) enum TileOutput {
    /// Counts of values at or beyond the clip alone.
    Counts,
    /// Those and the values.
    ValuesAndCounts,
}

/// The state before each tile, n_tiles x width each; a mean is `origin + center`.
#[derive(Debug, Clone, Default)]
pub(in crate::normalization) struct TileStates {
    pub(in crate::normalization) origin: Vec<f32>,
    pub(in crate::normalization) center: Vec<f32>,
    pub(in crate::normalization) var: Vec<f32>,
    pub(in crate::normalization) inverse: Vec<f32>,
}

impl TileStates {
    /// Appends the states of more tiles.
    pub(in crate::normalization) fn extend(&mut self, later: &Self) {
        self.origin.extend_from_slice(&later.origin);
        self.center.extend_from_slice(&later.center);
        self.var.extend_from_slice(&later.var);
        self.inverse.extend_from_slice(&later.inverse);
    }
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
/// from a tile of doubles.
#[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
pub(super) fn singles(rows: Rows<'_>, width: usize, layout: &Layout) -> (Vec<f32>, Vec<f64>) {
    match rows {
        Rows::F32(values) => (values.to_vec(), vec![0.0; layout.n_tiles() * width]),
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
            (singles, shifts)
        }
    }
}
