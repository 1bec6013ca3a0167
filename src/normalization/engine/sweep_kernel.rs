//! A sweep in one kernel of our own: a thread takes one dimension of one setting through all batches.
//!
//! The number of launches is that of groups of batches, however many settings there are; the width is a number, not a
//! kernel of its own.

#![allow(
    clippy::collapsible_if,
    clippy::float_cmp,
    clippy::cast_sign_loss,
    clippy::range_plus_one,
    clippy::too_many_arguments,
    reason = "the kernel language has operators, casts and ranges of its own, and no structures of buffers"
)]

use burn::cubecl::{self, prelude::*};
use burn::tensor::Tensor;

use super::cubes::{CUBE, cubes, int_primitive, primitive};
use super::exchange::LARGE_WEIGHT;
use super::kernels::Divisor;
use super::link::Link;
use super::sweep_buffers::{AVERAGED, REPLACES, SharedBatches, SweptTogether};
use crate::normalization::rule::Order;

/// Takes settings through the batches; gives [`SharedBatches::n_found`] numbers for each of them and each dimension, all of
/// one kind together.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "rows that go through together are fewer than 2^31"
)]
pub(super) fn sweep(shared: &SharedBatches, own: &SweptTogether, link: &Link) -> Tensor<1> {
    let size = own.n_settings * shared.width;
    let found = Tensor::<1>::empty([shared.n_found() * size], link.device());
    let weights = link.vector([&own.weights[..], &own.rests].concat());
    let tables = link.integers(own.tables.clone());
    let starts = link.integers(shared.starts.iter().map(|start| *start as i32).collect());
    let carried = link.vector(own.carried.clone());
    let values = primitive(&shared.values);
    let (first_watched, close) = shared.watched.unwrap_or((usize::MAX >> 33, 0.0));
    link.count_launch();
    sweep_batches::launch(
        &values.client,
        cubes(size),
        CubeDim::new_1d(CUBE),
        values.clone().into_buffer_arg(),
        primitive(&shared.moments).into_buffer_arg(),
        int_primitive(&starts).into_buffer_arg(),
        primitive(&weights).into_buffer_arg(),
        int_primitive(&tables).into_buffer_arg(),
        primitive(&carried).into_buffer_arg(),
        primitive(&shared.shift).into_buffer_arg(),
        primitive(&found).into_buffer_arg(),
        shared.scaling.inside_root,
        shared.scaling.outside_root,
        shared.scaling.min,
        shared.scaling.max,
        shared.scaling.clip,
        close,
        shared.width,
        shared.n_batches(),
        own.n_settings,
        own.weights.len(),
        first_watched,
        shared.scaling.order == Order::UpdateFirst,
        shared.counts_clipped,
        shared.watched.is_some(),
    );
    found
}

/// A state about the origin: where it began, and how far it has come since.
#[derive(CubeType, Clone, Copy)]
struct Swept {
    mean: f32,
    mean_change: f32,
    var: f32,
    var_change: f32,
    /// In use over the last few batches, and before those.
    lately: Averages,
    earlier: Averages,
    clipped: f32,
}

/// States in use, averaged over rows.
#[derive(CubeType, Clone, Copy)]
struct Averages {
    mean: f32,
    var: f32,
    n: f32,
}

#[cube]
impl Averages {
    fn none() -> Averages {
        Averages { mean: 0.0f32, var: 0.0f32, n: 0.0f32 }
    }

    fn add(&mut self, mean: f32, var: f32, n: f32) {
        if n > 0.0f32 {
            self.n += n;
            let share = n / self.n;
            self.mean += share * (mean - self.mean);
            self.var += share * (var - self.var);
        }
    }
}

#[cube]
impl Swept {
    fn enter(&mut self, batch_mean: f32, batch_var: f32, weight: f32, rest: f32) {
        let delta = (batch_mean - self.mean) - self.mean_change;
        let spread = delta * delta;
        let var = self.var + self.var_change;
        // Large weights in one step, without a difference of large numbers; small ones in small steps.
        let is_large = weight > LARGE_WEIGHT;
        let large = rest * (var + weight * spread) + weight * batch_var;
        let small = self.var_change + weight * (rest * spread + batch_var - var);
        self.var = select(is_large, large, self.var);
        self.var_change = select(is_large, 0.0f32, small);
        let replaces = weight > REPLACES;
        let small = self.mean_change + weight * delta;
        self.mean = select(replaces, batch_mean - rest * delta, self.mean);
        self.mean_change = select(replaces, 0.0f32, small);
    }

    fn use_for(&mut self, n: f32) {
        self.lately.add(self.mean + self.mean_change, self.var + self.var_change, n);
    }

    /// An average of averages: 32 bits round a hundred times where they would thousands of times.
    fn fold(&mut self) {
        self.earlier.add(self.lately.mean, self.lately.var, self.lately.n);
        self.lately.mean = 0.0f32;
        self.lately.var = 0.0f32;
        self.lately.n = 0.0f32;
    }
}

/// Values of one batch and dimension at or beyond the clip; extremes tell most often that there are none.
#[cube]
fn count_clipped(
    values: &[f32],
    state: &mut Swept,
    divisor: &Divisor,
    low: f32,
    high: f32,
    clip: f32,
    start: usize,
    end: usize,
    d: usize,
    width: usize,
) {
    let center = state.mean + state.mean_change;
    let inverse = divisor.inverse(state.var + state.var_change);
    if max(f32::abs(low - center), f32::abs(high - center)) * inverse >= clip {
        for row in start..end {
            let y = (values[row * width + d] - center) * inverse;
            state.clipped += select(f32::abs(y) >= clip, 1.0f32, 0.0f32);
        }
    }
}

#[cube(launch)]
fn sweep_batches(
    values: &[f32],
    moments: &[f32],
    starts: &[i32],
    weights: &[f32],
    tables: &[i32],
    carried: &[f32],
    shift: &[f32],
    found: &mut [f32],
    inside_root: f32,
    outside_root: f32,
    least: f32,
    greatest: f32,
    clip: f32,
    close: f32,
    width: usize,
    n_batches: usize,
    n_settings: usize,
    n_weights: usize,
    first_watched: usize,
    #[comptime] update_first: bool,
    #[comptime] counts_clipped: bool,
    #[comptime] watches: bool,
) {
    let at = ABSOLUTE_POS;
    let size = n_settings * width;
    if at >= size {
        terminate!();
    }
    let setting = at / width;
    let d = at % width;
    let plane = n_batches * width;
    let table = tables[setting];
    // One weight, or one for each batch.
    let mut weight_at = setting;
    let mut weight_step = 0;
    if table >= 0 {
        weight_at = n_settings + table as usize * n_batches;
        weight_step = 1;
    }
    let divisor = Divisor::new(inside_root, outside_root, least, greatest);
    let mut state = Swept {
        mean: carried[at],
        mean_change: 0.0f32,
        var: carried[size + at],
        var_change: 0.0f32,
        lately: Averages::none(),
        earlier: Averages::none(),
        clipped: 0.0f32,
    };
    let mut mean_at = 0.0f32;
    let mut var_at = 0.0f32;
    let mut least_ratio = 0.0f32;
    let mut greatest_ratio = 0.0f32;
    let mut target = 0.0f32;
    let mut tolerance = 0.0f32;
    let mut inverse_var = 0.0f32;
    let mut shifted = 0.0f32;
    if comptime!(watches) {
        mean_at = carried[2 * size + at];
        var_at = carried[3 * size + at];
        least_ratio = carried[4 * size + at];
        greatest_ratio = carried[5 * size + at];
        target = shift[d];
        tolerance = shift[width + d];
        inverse_var = shift[2 * width + d];
        shifted = shift[3 * width + d];
    }
    for batch in 0..n_batches {
        let place = batch * width + d;
        let start = starts[batch] as usize;
        let end = starts[batch + 1] as usize;
        let n = f32::cast_from(starts[batch + 1] - starts[batch]);
        let low = moments[2 * plane + place];
        let high = moments[3 * plane + place];
        if comptime!(!update_first) {
            state.use_for(n);
            if comptime!(counts_clipped) {
                count_clipped(values, &mut state, &divisor, low, high, clip, start, end, d, width);
            }
        }
        let weight = weights[weight_at];
        let rest = weights[n_weights + weight_at];
        state.enter(moments[place], moments[plane + place], weight, rest);
        weight_at += weight_step;
        if comptime!(update_first) {
            state.use_for(n);
            if comptime!(counts_clipped) {
                count_clipped(values, &mut state, &divisor, low, high, clip, start, end, d, width);
            }
        }
        if batch % AVERAGED == AVERAGED - 1 {
            state.fold();
        }
        if comptime!(watches) {
            if batch >= first_watched && inverse_var > 0.0f32 {
                let ratio = (state.var + state.var_change) * inverse_var;
                least_ratio = min(least_ratio, ratio);
                greatest_ratio = max(greatest_ratio, ratio);
                let number = f32::cast_from(batch + 1);
                let distance = f32::abs((state.mean - target) + state.mean_change);
                if shifted > 0.5f32 && mean_at == 0.0f32 && distance <= tolerance {
                    mean_at = number;
                }
                let has_mean = shifted < 0.5f32 || mean_at != 0.0f32;
                if has_mean && var_at == 0.0f32 && f32::abs(ratio - 1.0f32) <= close {
                    var_at = number;
                }
            }
        }
    }
    state.fold();
    found[at] = state.mean;
    found[size + at] = state.mean_change;
    found[2 * size + at] = state.var;
    found[3 * size + at] = state.var_change;
    found[4 * size + at] = state.earlier.mean;
    found[5 * size + at] = state.earlier.var;
    found[6 * size + at] = state.clipped;
    if comptime!(watches) {
        found[7 * size + at] = mean_at;
        found[8 * size + at] = var_at;
        found[9 * size + at] = least_ratio;
        found[10 * size + at] = greatest_ratio;
    }
}
