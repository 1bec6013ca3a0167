//! Tiles in two kernels of our own: each value is read once for the moments and once to be normalized.
//!
//! One thread takes one dimension of one tile, so that neighbours read neighbouring values; it asks for eight rows
//! before it uses the first, so that memory is kept busy. No kernel needs exp, log or pow.

#![allow(
    clippy::float_cmp,
    clippy::cast_sign_loss,
    clippy::range_plus_one,
    clippy::too_many_arguments,
    reason = "the kernel language has operators, casts and ranges of its own, and no structures of buffers"
)]

use burn::backend::Cube;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::cubecl::{self, prelude::*};
use burn::tensor::{Int, Tensor};

use super::exchange::{LARGE_WEIGHT, Scaling, TileOutput};
use super::link::Link;
use crate::normalization::rule::Order;
use crate::normalization::tiles::Layout;

/// Rows read ahead.
const AHEAD: usize = 8;

/// Moments handed back per tile and dimension.
const N_MOMENTS: usize = 6;

/// Threads of a cube.
pub(super) const CUBE: u32 = 256;

/// Cubes in one direction: what every driver allows.
const MOST_CUBES: u32 = 65_535;

/// Rows and their layout on the device.
pub(super) struct Buffers {
    values: Tensor<1>,
    starts: Tensor<1, Int>,
    shares: Tensor<1>,
    share_rests: Tensor<1>,
    weights: Tensor<1>,
    weight_rests: Tensor<1>,
    ends: Tensor<1, Int>,
    width: usize,
    n_tiles: usize,
    link: Link,
}

impl Buffers {
    pub(super) fn new(values: Vec<f32>, width: usize, layout: &Layout, link: &Link) -> Self {
        Self {
            values: link.vector(values),
            starts: link.integers(signed(&layout.starts)),
            shares: link.vector(layout.shares.clone()),
            share_rests: link.vector(layout.share_rests.clone()),
            weights: link.vector(layout.weights.clone()),
            weight_rests: link.vector(layout.weight_rests.clone()),
            ends: link.integers(signed(&layout.ends)),
            width,
            n_tiles: layout.n_tiles(),
            link: link.clone(),
        }
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
            int_primitive(&self.starts).into_buffer_arg(),
            primitive(&self.shares).into_buffer_arg(),
            primitive(&self.share_rests).into_buffer_arg(),
            primitive(&found).into_buffer_arg(),
            self.width,
            size,
        );
        found
    }

    /// Normalized values, and counts of those at or beyond the clip: one reading, one writing.
    pub(super) fn normalize(
        &self,
        carried: &Tensor<2>,
        scaling: &Scaling,
        output: TileOutput,
    ) -> (Option<Tensor<1>>, Tensor<1>) {
        let size = self.n_tiles * self.width;
        let device = self.link.device();
        self.link.count_launch();
        let clipped = Tensor::<1>::empty([size], device);
        let wants_values = output == TileOutput::ValuesAndCounts;
        let n_values = if wants_values { self.values.dims()[0] } else { 1 };
        let normalized = Tensor::<1>::empty([n_values], device);
        let values = primitive(&self.values);
        tile_values::launch(
            &values.client,
            cubes(size),
            CubeDim::new_1d(CUBE),
            values.clone().into_buffer_arg(),
            int_primitive(&self.starts).into_buffer_arg(),
            primitive(&self.weights).into_buffer_arg(),
            primitive(&self.weight_rests).into_buffer_arg(),
            int_primitive(&self.ends).into_buffer_arg(),
            primitive(carried).into_buffer_arg(),
            primitive(&normalized).into_buffer_arg(),
            primitive(&clipped).into_buffer_arg(),
            scaling.inside_root,
            scaling.outside_root,
            scaling.min,
            scaling.max,
            scaling.clip,
            self.width,
            size,
            scaling.order == Order::UpdateFirst,
            wants_values,
        );
        (wants_values.then_some(normalized), clipped)
    }
}

/// A mean into which `offset` enters with `weight`; `delta` is its distance from the mean.
///
/// What is all but replaced leaves no rounding behind.
#[cube]
fn mixed_mean(mean: f32, offset: f32, delta: f32, weight: f32, rest: f32) -> f32 {
    select(weight > 0.5f32, offset - rest * delta, mean + weight * delta)
}

/// A variance into which a value at distance `delta` from the mean enters.
///
/// Small weights in small steps, large ones without a difference of large numbers.
#[cube]
fn mixed_var(var: f32, delta: f32, weight: f32, rest: f32) -> f32 {
    let spread = delta * delta;
    select(weight > LARGE_WEIGHT, rest * (var + weight * spread), var + weight * (rest * spread - var))
}

/// Moments of one tile and dimension, row by row, about the tile's last row.
#[derive(CubeType, Clone, Copy)]
struct Moments {
    mean: f32,
    var: f32,
    row_mean: f32,
    row_var: f32,
    min: f32,
    max: f32,
    count: f32,
}

#[cube]
impl Moments {
    fn push(&mut self, x: f32, origin: f32, share: f32, rest: f32) {
        let offset = x - origin;
        let delta = offset - self.mean;
        self.var = mixed_var(self.var, delta, share, rest);
        self.mean = mixed_mean(self.mean, offset, delta, share, rest);
        self.count += 1.0f32;
        let part = 1.0f32 / self.count;
        let row_delta = offset - self.row_mean;
        self.row_mean += part * row_delta;
        self.row_var += part * ((1.0f32 - part) * row_delta * row_delta - self.row_var);
        self.min = min(self.min, x);
        self.max = max(self.max, x);
    }
}

#[cube(launch)]
fn tile_moments(
    values: &[f32],
    starts: &[i32],
    shares: &[f32],
    share_rests: &[f32],
    found: &mut [f32],
    width: usize,
    size: usize,
) {
    let at = ABSOLUTE_POS;
    if at >= size {
        terminate!();
    }
    let tile = at / width;
    let d = at % width;
    let start = starts[tile] as usize;
    let end = starts[tile + 1] as usize;
    // The last row weighs most in a moving average: about it, an outlier long past costs no digits.
    let origin = values[(end - 1) * width + d];
    let mut moments = Moments {
        mean: 0.0f32,
        var: 0.0f32,
        row_mean: 0.0f32,
        row_var: 0.0f32,
        min: origin,
        max: origin,
        count: 0.0f32,
    };
    let n_groups = (end - start) / AHEAD;
    for group in 0..n_groups {
        let first = start + group * AHEAD;
        let mut ahead = Sequence::<f32>::new();
        #[unroll]
        for i in 0..AHEAD {
            ahead.push(values[(first + i) * width + d]);
        }
        #[unroll]
        for i in 0..AHEAD {
            moments.push(ahead[i], origin, shares[first + i], share_rests[first + i]);
        }
    }
    for row in start + n_groups * AHEAD..end {
        moments.push(values[row * width + d], origin, shares[row], share_rests[row]);
    }
    found[at] = moments.mean;
    found[size + at] = moments.var;
    found[2 * size + at] = moments.row_mean;
    found[3 * size + at] = moments.row_var;
    found[4 * size + at] = moments.min;
    found[5 * size + at] = moments.max;
}

/// The divisor's parts and the clip.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Divisor {
    inside_root: f32,
    outside_root: f32,
    min: f32,
    max: f32,
}

#[cube]
impl Divisor {
    pub(super) fn new(inside_root: f32, outside_root: f32, min: f32, max: f32) -> Divisor {
        Divisor { inside_root, outside_root, min, max }
    }

    pub(super) fn inverse(&self, var: f32) -> f32 {
        let root = f32::sqrt(var + self.inside_root);
        let divisor = min(max(root, self.min), self.max) + self.outside_root;
        // Nothing to divide by: values pass through.
        select(divisor == 0.0f32, 1.0f32, 1.0f32 / divisor)
    }
}

/// The state on its way through a tile, about `origin`, and what values are normalized with meanwhile.
#[derive(CubeType, Clone, Copy)]
struct Running {
    mean: f32,
    /// Variance before the tile, and what it has changed by: small steps are not lost against a large variance.
    var: f32,
    change: f32,
    center: f32,
    inverse: f32,
    clipped: f32,
}

#[cube]
impl Running {
    fn value(&mut self, offset: f32, clip: f32) -> f32 {
        let y = (offset - self.center) * self.inverse;
        self.clipped += select(f32::abs(y) >= clip, 1.0f32, 0.0f32);
        min(max(y, -clip), clip)
    }

    fn enter(&mut self, offset: f32, weight: f32, rest: f32) {
        let delta = offset - self.mean;
        let is_large = weight > LARGE_WEIGHT;
        let small = self.change + weight * (rest * delta * delta - (self.var + self.change));
        let large = rest * (self.var + self.change + weight * delta * delta);
        self.var = select(is_large, large, self.var);
        self.change = select(is_large, 0.0f32, small);
        self.mean = mixed_mean(self.mean, offset, delta, weight, rest);
    }
}

#[cube(launch)]
fn tile_values(
    values: &[f32],
    starts: &[i32],
    weights: &[f32],
    weight_rests: &[f32],
    ends: &[i32],
    carried: &[f32],
    normalized: &mut [f32],
    clipped: &mut [f32],
    inside_root: f32,
    outside_root: f32,
    least: f32,
    greatest: f32,
    clip: f32,
    width: usize,
    size: usize,
    #[comptime] update_first: bool,
    #[comptime] wants_values: bool,
) {
    let at = ABSOLUTE_POS;
    if at >= size {
        terminate!();
    }
    let tile = at / width;
    let d = at % width;
    let start = starts[tile] as usize;
    let end = starts[tile + 1] as usize;
    let divisor = Divisor::new(inside_root, outside_root, least, greatest);
    let origin = carried[at];
    let mut state = Running {
        mean: carried[size + at],
        var: carried[2 * size + at],
        change: 0.0f32,
        center: carried[size + at],
        inverse: carried[3 * size + at],
        clipped: 0.0f32,
    };
    let mut first_of_batch = start;
    let n_groups = (end - start) / AHEAD;
    for group in 0..n_groups + 1 {
        let first = start + group * AHEAD;
        if group < n_groups {
            let mut ahead = Sequence::<f32>::new();
            #[unroll]
            for i in 0..AHEAD {
                ahead.push(values[(first + i) * width + d]);
            }
            #[unroll]
            for i in 0..AHEAD {
                tile_row(
                    values,
                    weights,
                    weight_rests,
                    ends,
                    normalized,
                    &mut state,
                    &divisor,
                    &mut first_of_batch,
                    ahead[i],
                    origin,
                    clip,
                    first + i,
                    d,
                    width,
                    update_first,
                    wants_values,
                );
            }
        } else {
            for row in first..end {
                tile_row(
                    values,
                    weights,
                    weight_rests,
                    ends,
                    normalized,
                    &mut state,
                    &divisor,
                    &mut first_of_batch,
                    values[row * width + d],
                    origin,
                    clip,
                    row,
                    d,
                    width,
                    update_first,
                    wants_values,
                );
            }
        }
    }
    clipped[at] = state.clipped;
}

#[cube]
fn tile_row(
    values: &[f32],
    weights: &[f32],
    weight_rests: &[f32],
    ends: &[i32],
    normalized: &mut [f32],
    state: &mut Running,
    divisor: &Divisor,
    first_of_batch: &mut usize,
    x: f32,
    origin: f32,
    clip: f32,
    row: usize,
    d: usize,
    width: usize,
    #[comptime] update_first: bool,
    #[comptime] wants_values: bool,
) {
    let offset = x - origin;
    if comptime!(!update_first) {
        let y = state.value(offset, clip);
        if comptime!(wants_values) {
            normalized[row * width + d] = y;
        }
    }
    let weight = weights[row];
    state.enter(offset, weight, weight_rests[row]);
    if ends[row] == 1 {
        // Tiles within a batch (weight 0) leave the state before the tile in place.
        if weight > 0.0f32 {
            state.center = state.mean;
            state.inverse = divisor.inverse(state.var + state.change);
        }
        if comptime!(update_first) {
            for earlier in *first_of_batch..row + 1 {
                let y = state.value(values[earlier * width + d] - origin, clip);
                if comptime!(wants_values) {
                    normalized[earlier * width + d] = y;
                }
            }
            *first_of_batch = row + 1;
        }
    }
}

/// Cubes for `n` threads, in two directions where one does not reach.
#[expect(clippy::cast_possible_truncation, reason = "a group of tiles has fewer than 2^32 threads")]
pub(super) fn cubes(n: usize) -> CubeCount {
    let cubes = (n as u32).div_ceil(CUBE).max(1);
    let columns = cubes.min(MOST_CUBES);
    CubeCount::Static(columns, cubes.div_ceil(columns), 1)
}

#[expect(clippy::expect_used, reason = "kernels run on devices of this backend alone")]
pub(super) fn primitive<const D: usize>(tensor: &Tensor<D>) -> FloatTensor<Cube> {
    tensor.clone().try_into_primitive::<Cube>().expect("a tensor of a device that runs kernels")
}

#[expect(clippy::expect_used, reason = "kernels run on devices of this backend alone")]
pub(super) fn int_primitive(tensor: &Tensor<1, Int>) -> IntTensor<Cube> {
    tensor.clone().try_into_primitive::<Cube>().expect("a tensor of a device that runs kernels")
}

fn signed(values: &[u32]) -> Vec<i32> {
    values.iter().map(|x| x.cast_signed()).collect()
}
