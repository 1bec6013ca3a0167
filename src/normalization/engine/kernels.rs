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

use burn::cubecl::{self, prelude::*};

use super::exchange::LARGE_WEIGHT;

/// Rows read ahead.
const AHEAD: usize = 8;

/// What a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    pub(super) update_first: bool,
    pub(super) wants_values: bool,
    /// Whether the mean is subtracted.
    pub(super) centers: bool,
    /// Whether the state in use is another than the one carried.
    pub(super) varies: bool,
    /// Whether other rows are normalized than the statistics see.
    pub(super) has_input: bool,
    /// Whether mean, variance and divisor are all that is carried.
    pub(super) is_plain: bool,
}

/// The numbers of every row: a thread takes a batch.
#[cube(launch)]
pub(super) fn row_weights(
    tiles: &[i32],
    batches: &[f32],
    per_row: &mut [f32],
    first_start: usize,
    n_batches: usize,
    n_rows: usize,
) {
    let batch = ABSOLUTE_POS;
    if batch >= n_batches {
        terminate!();
    }
    let start = tiles[first_start + batch] as usize;
    let end = tiles[first_start + batch + 1] as usize;
    let before = batches[batch];
    let step = batches[n_batches + batch];
    let rest = batches[2 * n_batches + batch];
    let enters = batches[3 * n_batches + batch];
    // Nothing enters where nothing weighs anything.
    let is_none = step == 0.0f32;
    for row in start..end {
        let n = f32::cast_from(row - start);
        let entered = before + n * step;
        let whole = select(is_none, 1.0f32, entered + step);
        per_row[row] = step / whole;
        per_row[n_rows + row] = select(is_none, 1.0f32, entered / whole);
        let kept = rest + n * enters;
        let whole = kept + enters;
        per_row[2 * n_rows + row] = enters / whole;
        per_row[3 * n_rows + row] = kept / whole;
        per_row[4 * n_rows + row] = select(row + 1 == end, f32::cast_from(batch + 1), 0.0f32);
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
pub(super) fn tile_moments(
    values: &[f32],
    tiles: &[i32],
    per_row: &[f32],
    found: &mut [f32],
    width: usize,
    size: usize,
    n_rows: usize,
) {
    let at = ABSOLUTE_POS;
    if at >= size {
        terminate!();
    }
    let tile = at / width;
    let d = at % width;
    let start = tiles[tile] as usize;
    let end = tiles[tile + 1] as usize;
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
            moments.push(ahead[i], origin, per_row[first + i], per_row[n_rows + first + i]);
        }
    }
    for row in start + n_groups * AHEAD..end {
        moments.push(values[row * width + d], origin, per_row[row], per_row[n_rows + row]);
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

/// Where a tile's numbers lie, and what is known of the initial state.
#[derive(CubeType, Clone, Copy)]
struct Place {
    origin: f32,
    /// The same of the rows normalized, where those are others, and how far it lies from that of the rows seen.
    input_origin: f32,
    input_distance: f32,
    /// The origin less the initial mean.
    reach: f32,
    initial_mean: f32,
    initial_var: f32,
    clip: f32,
    d: usize,
    width: usize,
    n_rows: usize,
    n_batches: usize,
}

/// The state in use after a batch.
#[cube]
fn use_state(
    state: &mut Running,
    batches: &[f32],
    divisor: &Divisor,
    place: &Place,
    batch: usize,
    #[comptime] variant: Variant,
) {
    let carried = state.var + state.change;
    if comptime!(variant.varies) {
        let unbias = batches[4 * place.n_batches + batch];
        let odds = batches[5 * place.n_batches + batch];
        let prior = batches[6 * place.n_batches + batch];
        let reach = state.mean + place.reach;
        state.inverse =
            divisor.inverse(unbias * (carried + odds * place.initial_var + prior * reach * reach));
        if comptime!(variant.centers) {
            state.center = state.mean + odds * place.initial_mean + place.input_distance;
        }
    } else {
        state.inverse = divisor.inverse(carried);
        if comptime!(variant.centers) {
            state.center = state.mean + place.input_distance;
        }
    }
}

/// Normalizes a row.
#[cube]
fn put_row(
    values: &[f32],
    input: &[f32],
    normalized: &mut [f32],
    state: &mut Running,
    place: &Place,
    row: usize,
    #[comptime] variant: Variant,
) {
    let at = row * place.width + place.d;
    let y = if comptime!(variant.has_input) {
        state.value(input[at] - place.input_origin, place.clip)
    } else {
        state.value(values[at] - place.origin, place.clip)
    };
    if comptime!(variant.wants_values) {
        normalized[at] = y;
    }
}

#[cube(launch)]
pub(super) fn tile_values(
    values: &[f32],
    input: &[f32],
    tiles: &[i32],
    per_row: &[f32],
    batches: &[f32],
    carried: &[f32],
    normalized: &mut [f32],
    clipped: &mut [f32],
    inside_root: f32,
    outside_root: f32,
    least: f32,
    greatest: f32,
    clip: f32,
    initial_mean: f32,
    initial_var: f32,
    width: usize,
    size: usize,
    n_tiles: usize,
    n_rows: usize,
    n_batches: usize,
    #[comptime] variant: Variant,
) {
    let at = ABSOLUTE_POS;
    if at >= size {
        terminate!();
    }
    let tile = at / width;
    let start = tiles[tile] as usize;
    let end = tiles[tile + 1] as usize;
    let stands = tiles[n_tiles + 1 + tile] == 1;
    let divisor = Divisor::new(inside_root, outside_root, least, greatest);
    let mut place = Place {
        origin: carried[at],
        input_origin: 0.0f32,
        input_distance: 0.0f32,
        reach: 0.0f32,
        initial_mean,
        initial_var,
        clip,
        d: at % width,
        width,
        n_rows,
        n_batches,
    };
    let mut state = Running {
        mean: carried[size + at],
        var: carried[2 * size + at],
        change: 0.0f32,
        center: carried[size + at],
        inverse: carried[3 * size + at],
        clipped: 0.0f32,
    };
    if comptime!(!variant.is_plain) {
        state.center = carried[4 * size + at];
        place.reach = carried[5 * size + at];
        place.input_origin = carried[6 * size + at];
        place.input_distance = carried[7 * size + at];
    }
    if stands {
        // One reading: every row with the state carried here.
        for row in start..end {
            put_row(values, input, normalized, &mut state, &place, row, variant);
        }
    } else {
        let mut first_of_batch = start;
        let n_groups = (end - start) / AHEAD;
        for group in 0..n_groups + 1 {
            let first = start + group * AHEAD;
            if group < n_groups {
                let mut ahead = Sequence::<f32>::new();
                #[unroll]
                for i in 0..AHEAD {
                    ahead.push(values[(first + i) * width + place.d]);
                }
                #[unroll]
                for i in 0..AHEAD {
                    tile_row(
                        values,
                        input,
                        per_row,
                        batches,
                        normalized,
                        &mut state,
                        &divisor,
                        &place,
                        &mut first_of_batch,
                        ahead[i],
                        first + i,
                        variant,
                    );
                }
            } else {
                for row in first..end {
                    tile_row(
                        values,
                        input,
                        per_row,
                        batches,
                        normalized,
                        &mut state,
                        &divisor,
                        &place,
                        &mut first_of_batch,
                        values[row * width + place.d],
                        row,
                        variant,
                    );
                }
            }
        }
    }
    clipped[at] = state.clipped;
}

#[cube]
fn tile_row(
    values: &[f32],
    input: &[f32],
    per_row: &[f32],
    batches: &[f32],
    normalized: &mut [f32],
    state: &mut Running,
    divisor: &Divisor,
    place: &Place,
    first_of_batch: &mut usize,
    x: f32,
    row: usize,
    #[comptime] variant: Variant,
) {
    let offset = x - place.origin;
    if comptime!(!variant.update_first) {
        let at = row * place.width + place.d;
        let y = if comptime!(variant.has_input) {
            state.value(input[at] - place.input_origin, place.clip)
        } else {
            state.value(offset, place.clip)
        };
        if comptime!(variant.wants_values) {
            normalized[at] = y;
        }
    }
    let weight = per_row[2 * place.n_rows + row];
    state.enter(offset, weight, per_row[3 * place.n_rows + row]);
    let ended = per_row[4 * place.n_rows + row];
    if ended > 0.5f32 {
        // What weighs nothing leaves the state in use in place.
        if weight > 0.0f32 {
            use_state(state, batches, divisor, place, u32::cast_from(ended) as usize - 1, variant);
        }
        if comptime!(variant.update_first) {
            for earlier in *first_of_batch..row + 1 {
                put_row(values, input, normalized, state, place, earlier, variant);
            }
            *first_of_batch = row + 1;
        }
    }
}
