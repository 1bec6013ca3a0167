//! Rows and tiles in the buffers of a device that runs kernels of ours, and what those make of them.

use burn::cubecl::prelude::*;
use burn::tensor::{Int, Tensor};

use super::cubes::{CUBE, cubes, int_primitive, primitive};
use super::exchange::{Scaling, SentRows, TileOutput, TileValues, single};
use super::kernels::{Variant, row_weights, tile_moments, tile_values};
use super::link::Link;
use crate::normalization::rule::Order;
use crate::normalization::tile_layout::{BatchUse, BatchWeight, Layout};

/// Moments handed back per tile and dimension.
const N_MOMENTS: usize = 6;

/// Numbers per row: share, what it leaves, weight, what it leaves, and the number of the batch that it ends (0: none).
const N_PER_ROW: usize = 5;

/// Rows and their layout on the device.
pub(super) struct Buffers {
    values: Tensor<1>,
    /// First row of each tile and one past the last; for each tile whether the state stands still; the first row of each batch
    /// and one past the last.
    tiles: Tensor<1, Int>,
    /// Numbers of each batch, all of one kind together.
    batches: Tensor<1>,
    /// Numbers of each row, all of one kind together.
    per_row: Tensor<1>,
    /// Whether a state in use is another than the one carried.
    varies: bool,
    n_rows: usize,
    n_batches: usize,
    width: usize,
    n_tiles: usize,
    link: Link,
}

impl Buffers {
    pub(super) fn new(values: Vec<f32>, sent: &SentRows<'_>, link: &Link) -> Self {
        let SentRows { width, layout, has_moments, .. } = *sent;
        let buffers = Self {
            values: link.vector(values),
            tiles: link.integers(tile_numbers(layout)),
            batches: link.vector(batch_numbers(layout)),
            per_row: Tensor::empty([N_PER_ROW * layout.n_rows()], link.device()),
            varies: varies(layout),
            n_rows: layout.n_rows(),
            n_batches: layout.batches.len(),
            width,
            n_tiles: layout.n_tiles(),
            link: link.clone(),
        };
        if has_moments || !layout.stands_still() {
            buffers.derive_weights();
        }
        buffers
    }

    /// The numbers of every row from those of its batch.
    pub(super) fn derive_weights(&self) -> Tensor<1> {
        self.link.count_launch();
        row_weights::launch(
            &primitive(&self.values).client,
            cubes(self.n_batches),
            CubeDim::new_1d(CUBE),
            int_primitive(&self.tiles).into_buffer_arg(),
            primitive(&self.batches).into_buffer_arg(),
            primitive(&self.per_row).into_buffer_arg(),
            2 * self.n_tiles + 1,
            self.n_batches,
            self.n_rows,
        );
        self.per_row.clone()
    }

    /// Moments of all tiles about their last rows, and extremes: one reading of the values.
    pub(super) fn moments(&self) -> Tensor<1> {
        let size = self.n_tiles * self.width;
        self.link.count_launch();
        let found = Tensor::<1>::empty([N_MOMENTS * size], self.link.device());
        let values = primitive(&self.values);
        tile_moments::launch(
            &values.client,
            cubes(size),
            CubeDim::new_1d(CUBE),
            values.clone().into_buffer_arg(),
            int_primitive(&self.tiles).into_buffer_arg(),
            primitive(&self.per_row).into_buffer_arg(),
            primitive(&found).into_buffer_arg(),
            self.width,
            size,
            self.n_rows,
        );
        found
    }

    /// Normalized values, and counts of those at or beyond the clip: one reading, one writing.
    pub(super) fn normalize(
        &self,
        input: Option<&Tensor<1>>,
        carried: &Tensor<2>,
        is_plain: bool,
        scaling: &Scaling,
        output: TileOutput,
    ) -> TileValues {
        let size = self.n_tiles * self.width;
        let device = self.link.device();
        self.link.count_launch();
        let clipped = Tensor::<1>::empty([size], device);
        let wants_values = output == TileOutput::ValuesAndCounts;
        let n_values = if wants_values { self.values.dims()[0] } else { 1 };
        let normalized = Tensor::<1>::empty([n_values], device);
        let other = input.cloned().unwrap_or_else(|| Tensor::empty([1], device));
        let values = primitive(&self.values);
        tile_values::launch(
            &values.client,
            cubes(size),
            CubeDim::new_1d(CUBE),
            values.clone().into_buffer_arg(),
            primitive(&other).into_buffer_arg(),
            int_primitive(&self.tiles).into_buffer_arg(),
            primitive(&self.per_row).into_buffer_arg(),
            primitive(&self.batches).into_buffer_arg(),
            primitive(carried).into_buffer_arg(),
            primitive(&normalized).into_buffer_arg(),
            primitive(&clipped).into_buffer_arg(),
            scaling.inside_root,
            scaling.outside_root,
            scaling.min,
            scaling.max,
            scaling.clip,
            single(scaling.initial_mean),
            single(scaling.initial_var),
            self.width,
            size,
            self.n_tiles,
            self.n_rows,
            self.n_batches,
            Variant {
                update_first: scaling.order == Order::UpdateFirst,
                wants_values,
                centers: scaling.centers,
                varies: scaling.varies && self.varies,
                has_input: input.is_some(),
                is_plain,
            },
        );
        TileValues { values: wants_values.then_some(normalized), clipped }
    }
}

fn tile_numbers(layout: &Layout) -> Vec<i32> {
    let signed = |n: &u32| n.cast_signed();
    let stands = layout.stands.iter().map(|stands| i32::from(*stands));
    layout.starts.iter().map(signed).chain(stands).chain([0]).chain(layout.ends.iter().map(signed)).collect()
}

fn batch_numbers(layout: &Layout) -> Vec<f32> {
    let batches = &layout.batches;
    let part = |pick: fn(&BatchWeight) -> f64| batches.iter().map(move |batch| single(pick(batch)));
    let weights = part(|batch| batch.before)
        .chain(part(|batch| batch.step))
        .chain(part(|batch| batch.rest))
        .chain(part(|batch| batch.enters));
    if !varies(layout) {
        return weights.collect();
    }
    let in_use = part(|batch| batch.in_use.unbias)
        .chain(part(|batch| batch.in_use.odds))
        .chain(part(|batch| batch.in_use.prior));
    weights.chain(in_use).collect()
}

/// Whether a state in use is another than the one carried.
fn varies(layout: &Layout) -> bool {
    layout.batches.iter().any(|batch| batch.in_use != BatchUse::PLAIN)
}
