//! Batches of rows to normalized ones, each batch by its own scaling, and how many values reach the clip.

use rayon::prelude::*;

use super::output::Output;
use super::rule::Rule;
use crate::stats::{BatchTable, Rows};

/// Batches with the scaling of each.
pub(super) struct ScaledBatches<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) input: Option<Rows<'a>>,
    pub(super) ends: &'a [usize],
    pub(super) centers: &'a [f64],
    pub(super) inverses: &'a [f64],
    pub(super) extremes: &'a BatchTable,
}

/// Normalizes batches in parallel; gives the values clipped per dimension.
pub(super) fn normalize_batches(
    rule: &Rule,
    scaled: &ScaledBatches<'_>,
    width: usize,
    output: Output<'_>,
) -> Vec<u64> {
    let n_batches = scaled.ends.len();
    let n_rows = scaled.ends.last().copied().unwrap_or(0);
    let wanted = (n_rows * width).div_ceil(1 << 14).clamp(1, n_batches.max(1));
    let per_task = n_batches.div_ceil(wanted);
    let firsts: Vec<usize> = (0..n_batches).step_by(per_task).collect();
    let last = |first: usize| (first + per_task).min(n_batches);
    let positions: Vec<usize> = firsts.iter().map(|first| scaled.ends[last(*first) - 1] * width).collect();
    let clip = rule.clip.unwrap_or(f64::INFINITY);
    let counts: Vec<Vec<u64>> = firsts
        .par_iter()
        .zip(output.split(&positions))
        .map(|(first, mut output)| {
            let mut clipped = vec![0u64; width];
            let start = if *first == 0 { 0 } else { scaled.ends[first - 1] };
            for batch in *first..last(*first) {
                let from = if batch == 0 { 0 } else { scaled.ends[batch - 1] };
                let scaling = batch * width..(batch + 1) * width;
                let (center, inverse) = (&scaled.centers[scaling.clone()], &scaled.inverses[scaling]);
                let extremes = scaled.extremes.view(batch);
                // Nothing reaches the clip if the extremes do not.
                let may_clip = scaled.input.is_some()
                    || (0..width).any(|d| {
                        let reach = (extremes.max[d] - center[d]).max(center[d] - extremes.min[d]);
                        reach * inverse[d] >= clip
                    });
                let rows = scaled.input.unwrap_or(scaled.rows).slice(from..scaled.ends[batch], width);
                let target = output.slice((from - start) * width, (scaled.ends[batch] - start) * width);
                let scale = Scale { center, inverse, clip: may_clip.then_some(clip) };
                scale.run(rows, target, &mut clipped);
            }
            clipped
        })
        .collect();
    let mut clipped = vec![0u64; width];
    for count in counts {
        clipped.iter_mut().zip(count).for_each(|(sum, n)| *sum += n);
    }
    clipped
}

/// Adds the values of one batch at or beyond the clip to `clipped`, its scaling being known.
pub(super) fn count_clipped(
    rows: Rows<'_>,
    (center, inverse): (&[f64], &[f64]),
    clip: f64,
    clipped: &mut [u64],
) {
    Scale { center, inverse, clip: Some(clip) }.run(rows, Output::None, clipped);
}

/// One batch's scaling.
struct Scale<'a> {
    center: &'a [f64],
    inverse: &'a [f64],
    /// `None`: no value reaches the clip.
    clip: Option<f64>,
}

impl Scale<'_> {
    fn run(&self, rows: Rows<'_>, output: Output<'_>, clipped: &mut [u64]) {
        match rows {
            Rows::F32(values) => self.run_typed(values, output, clipped),
            Rows::F64(values) => self.run_typed(values, output, clipped),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 bits are what was asked for")]
    fn run_typed<T: Copy + Into<f64>>(&self, values: &[T], output: Output<'_>, clipped: &mut [u64]) {
        match (output, self.clip) {
            (Output::F32(out), None) => self.write(values, out, |y| y as f32),
            (Output::F64(out), None) => self.write(values, out, |y| y),
            (Output::F32(out), Some(clip)) => {
                self.count(values, clip, clipped);
                self.write(values, out, |y| y.clamp(-clip, clip) as f32);
            }
            (Output::F64(out), Some(clip)) => {
                self.count(values, clip, clipped);
                self.write(values, out, |y| y.clamp(-clip, clip));
            }
            (Output::None, Some(clip)) => self.count(values, clip, clipped),
            (Output::None, None) => {}
        }
    }

    #[inline]
    fn write<T: Copy + Into<f64>, U>(&self, values: &[T], out: &mut [U], finish: impl Fn(f64) -> U) {
        let width = self.center.len();
        for (row, out) in values.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let scaling = self.center.iter().zip(self.inverse);
            for ((x, out), (center, inverse)) in row.iter().zip(out).zip(scaling) {
                *out = finish(((*x).into() - center) * inverse);
            }
        }
    }

    fn count<T: Copy + Into<f64>>(&self, values: &[T], clip: f64, clipped: &mut [u64]) {
        for row in values.chunks_exact(self.center.len()) {
            let scaling = self.center.iter().zip(self.inverse);
            for ((x, n), (center, inverse)) in row.iter().zip(&mut *clipped).zip(scaling) {
                *n += u64::from((((*x).into() - center) * inverse).abs() >= clip);
            }
        }
    }
}
