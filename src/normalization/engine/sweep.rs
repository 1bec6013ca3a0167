//! Many settings through the same batches, side by side: one upload, one thread for each setting and dimension.
//!
//! A state lies on the device as its distance from where it began and from an origin near the rows, both at 32 bits:
//! steps of a slow average are not lost against a large mean, nor an offset of all rows against small deviations. What
//! 32 bits do not hold of the state before is carried along by the host, for the recurrence is linear in it.

use burn::tensor::Tensor;

use super::driver::Engine;
use super::exchange::{LARGE_WEIGHT, Scaling, single};
use super::failure::DeviceError;
use super::sweep_buffers::{N_FOUND, REPLACES, SharedBatches, SweptTogether};
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use super::sweep_kernel;
use super::sweep_tensors;
use crate::normalization::clock::BatchWeights;
use crate::stats::{BatchTable, Rows};

/// Values of states that go through together: 32 MiB handed back at most.
const STATES_TOGETHER: usize = 1 << 20;

/// Batches that all settings go through.
pub(in crate::normalization) struct SweepBatches<'a> {
    /// Rows of all batches, row after row.
    pub(in crate::normalization) rows: Rows<'a>,
    /// One past the last row of each batch.
    pub(in crate::normalization) ends: &'a [usize],
    /// What enters the states: rows of a batch that came before are among it.
    pub(in crate::normalization) table: &'a BatchTable,
}

/// What a batch leaves of the state before it as the device has it: above `large` by the rest at 32 bits, else by the weight.
fn left_on_device(weight: f64, large: f32) -> f64 {
    let at_32_bits = single(weight);
    if at_32_bits > large { f64::from(single(1.0 - weight)) } else { 1.0 - f64::from(at_32_bits) }
}

/// States before the batches, n_settings x width each.
pub(in crate::normalization) struct SweepStates {
    pub(in crate::normalization) mean: Vec<f64>,
    pub(in crate::normalization) var: Vec<f64>,
}

/// A shift behind which states are watched.
pub(in crate::normalization) struct SweepShift {
    /// The first batch that counts.
    pub(in crate::normalization) first_batch: usize,
    /// Where means are to arrive, how near, and the variances there; one per dimension.
    pub(in crate::normalization) mean: Vec<f64>,
    pub(in crate::normalization) tolerance: Vec<f64>,
    pub(in crate::normalization) var: Vec<f64>,
    /// Dimensions whose mean shifts enough.
    pub(in crate::normalization) shifted: Vec<bool>,
    /// Nearness of variances, as a share of the new ones.
    pub(in crate::normalization) close: f64,
    /// What was seen before, n_settings x width each.
    pub(in crate::normalization) seen: SweepSeen,
}

/// What is seen of states behind a shift, n_settings x width each.
#[derive(Debug, Clone, Default)]
pub(in crate::normalization) struct SweepSeen {
    /// Whether the mean has arrived.
    pub(in crate::normalization) has_mean: Vec<bool>,
    /// Whether the variance has.
    pub(in crate::normalization) has_var: Vec<bool>,
    /// Least variance in use over the new one.
    pub(in crate::normalization) least: Vec<f64>,
    /// The greatest.
    pub(in crate::normalization) greatest: Vec<f64>,
    /// The batch with which the mean arrived among these; `None` if it did not now.
    pub(in crate::normalization) mean_at: Vec<Option<usize>>,
    /// The same of the variance.
    pub(in crate::normalization) var_at: Vec<Option<usize>>,
}

/// What the batches do to the settings, n_settings x width each.
pub(in crate::normalization) struct Swept {
    /// States after them.
    pub(in crate::normalization) states: SweepStates,
    /// States in use, averaged over the rows.
    pub(in crate::normalization) used: SweepStates,
    /// Values at or beyond the clip.
    pub(in crate::normalization) clipped: Vec<u64>,
    /// What is seen behind the shift, where one is watched.
    pub(in crate::normalization) seen: Option<SweepSeen>,
}

/// What is to be done.
pub(in crate::normalization) struct SweepTask<'a> {
    pub(in crate::normalization) batches: SweepBatches<'a>,
    /// One per setting.
    pub(in crate::normalization) weights: &'a [BatchWeights],
    pub(in crate::normalization) states: &'a SweepStates,
    pub(in crate::normalization) scaling: Scaling,
    /// Whether values at or beyond the clip are counted.
    pub(in crate::normalization) counts_clipped: bool,
    pub(in crate::normalization) shift: Option<&'a SweepShift>,
}

impl Engine {
    /// Takes settings through batches.
    ///
    /// # Errors
    /// A failing device, or values too large for 32 bits.
    pub(in crate::normalization) fn sweep(&self, task: &SweepTask<'_>) -> Result<Swept, DeviceError> {
        let width = task.batches.table.width;
        let n_settings = task.weights.len();
        // The first row: near the others wherever they lie.
        let origin: Vec<f64> = match task.batches.rows {
            Rows::F32(values) => values.iter().take(width).map(|x| f64::from(*x)).collect(),
            Rows::F64(values) => values.iter().take(width).copied().collect(),
        };
        let origin = if origin.is_empty() { task.states.mean[..width].to_vec() } else { origin };
        let shared = self.guarded(|| self.share(task, &origin))?;
        let together = (STATES_TOGETHER / width.max(1)).max(1);
        let mut swept = Swept {
            states: SweepStates { mean: Vec::new(), var: Vec::new() },
            used: SweepStates { mean: Vec::new(), var: Vec::new() },
            clipped: Vec::new(),
            seen: task.shift.map(|_| SweepSeen::default()),
        };
        for first in (0..n_settings).step_by(together) {
            let settings = first..n_settings.min(first + together);
            let own = Self::carry(task, &origin, settings.clone());
            let found = self.guarded(|| Ok(self.launch(&shared, &own)))?;
            let found = self.read(found)?;
            assert!(found.len() == shared.n_found() * settings.len() * width, "numbers of each setting");
            if found.iter().any(|x| !x.is_finite()) {
                return Err(self.out_of_range());
            }
            swept.take(task, &origin, settings, &own, &found);
        }
        Ok(swept)
    }

    fn launch(&self, shared: &SharedBatches, own: &SweptTogether) -> Tensor<1> {
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if self.link.has_kernels {
            return sweep_kernel::sweep(shared, own, &self.link);
        }
        sweep_tensors::sweep(shared, own, &self.link)
    }

    /// Sends what all settings share there.
    fn share(&self, task: &SweepTask<'_>, origin: &[f64]) -> Result<SharedBatches, DeviceError> {
        let (table, width) = (task.batches.table, origin.len());
        let offset = |(i, x): (usize, f64)| single(x - origin[i % width]);
        let values: Vec<f32> = match task.batches.rows {
            _ if !task.counts_clipped => Vec::new(),
            Rows::F32(values) => values.iter().map(|x| f64::from(*x)).enumerate().map(offset).collect(),
            Rows::F64(values) => values.iter().copied().enumerate().map(offset).collect(),
        };
        let n_values = table.len() * width;
        let mut moments = Vec::with_capacity(4 * n_values);
        // A batch without rows has no extremes; nothing is made of its moments.
        let is_empty = |i: usize| table.n[i / width] == 0;
        let place = |column: &[f64]| -> Vec<f32> {
            let cells = column[..n_values].iter().copied().enumerate();
            cells.map(|(i, x)| if is_empty(i) { 0.0 } else { offset((i, x)) }).collect()
        };
        moments.extend(place(&table.mean));
        moments.extend(table.var[..n_values].iter().map(|var| single(*var)));
        moments.extend(place(&table.min));
        moments.extend(place(&table.max));
        if values.iter().chain(&moments).any(|x| !x.is_finite()) {
            return Err(self.out_of_range());
        }
        let shift = task.shift.map_or_else(
            || vec![0.0],
            |shift| {
                let mean = shift.mean.iter().copied().enumerate().map(offset);
                let tolerance = shift.tolerance.iter().map(|x| single(*x));
                let inverse = shift.var.iter().map(|var| if *var > 0.0 { single(1.0 / var) } else { 0.0 });
                let shifted = shift.shifted.iter().map(|is| f32::from(u8::from(*is)));
                mean.chain(tolerance).chain(inverse).chain(shifted).collect()
            },
        );
        let or_one = |values: Vec<f32>| if values.is_empty() { vec![0.0] } else { values };
        let link = &self.link;
        Ok(SharedBatches {
            values: link.vector(or_one(values)),
            moments: link.vector(or_one(moments)),
            starts: std::iter::once(0).chain(task.batches.ends.iter().copied()).collect(),
            shift: link.vector(shift),
            width,
            scaling: task.scaling,
            counts_clipped: task.counts_clipped,
            watched: task.shift.map(|shift| (shift.first_batch, single(shift.close))),
        })
    }

    /// Settings as the device takes them.
    fn carry(task: &SweepTask<'_>, origin: &[f64], settings: std::ops::Range<usize>) -> SweptTogether {
        let width = origin.len();
        let range = settings.start * width..settings.end * width;
        let (weights, rests, tables) =
            SweptTogether::weights_of(&task.weights[settings.clone()], task.batches.table.len());
        let means = task.states.mean[range.clone()].iter().enumerate();
        let mut carried: Vec<f32> = means.map(|(i, mean)| single(mean - origin[i % width])).collect();
        carried.extend(task.states.var[range.clone()].iter().map(|var| single(*var)));
        if let Some(SweepShift { seen, .. }) = task.shift {
            // Below 0: seen before these batches.
            let before = |has: &bool| if *has { -1.0 } else { 0.0 };
            carried.extend(seen.has_mean[range.clone()].iter().map(before));
            carried.extend(seen.has_var[range.clone()].iter().map(before));
            carried.extend(seen.least[range.clone()].iter().map(|x| single(x.min(f64::from(f32::MAX)))));
            carried.extend(seen.greatest[range].iter().map(|x| single(*x)));
        }
        SweptTogether { n_settings: settings.len(), weights, rests, tables, carried }
    }
}

impl Swept {
    /// Takes what a device found of some settings.
    fn take(
        &mut self,
        task: &SweepTask<'_>,
        origin: &[f64],
        settings: std::ops::Range<usize>,
        own: &SweptTogether,
        found: &[f32],
    ) {
        let width = origin.len();
        let size = settings.len() * width;
        let n_batches = task.batches.table.len();
        let at = |part: usize, i: usize| f64::from(found[part * size + i]);
        let kept: Vec<[f64; 3]> = task.weights[settings.clone()]
            .iter()
            .map(|weights| {
                let on_device = |large| weights.kept(n_batches, |weight| left_on_device(weight, large));
                [weights.kept(n_batches, |weight| 1.0 - weight), on_device(REPLACES), on_device(LARGE_WEIGHT)]
            })
            .collect();
        for i in 0..size {
            let before = settings.start * width + i;
            // What is left of the state before is known at 64 bits: it takes the place of what 32 bits have of it.
            let [kept, mean_kept, var_kept] = kept[i / width];
            let mean_before = task.states.mean[before] - origin[i % width];
            let mean_left = kept * mean_before - mean_kept * f64::from(own.carried[i]);
            let var_left = kept * task.states.var[before] - var_kept * f64::from(own.carried[size + i]);
            self.states.mean.push(origin[i % width] + at(0, i) + at(1, i) + mean_left);
            self.states.var.push((at(2, i) + at(3, i) + var_left).max(0.0));
            self.used.mean.push(origin[i % width] + at(4, i));
            self.used.var.push(at(5, i));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rows")]
            self.clipped.push(at(6, i) as u64);
        }
        let Some(seen) = &mut self.seen else { return };
        for i in 0..size {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a batch's number")]
            let arrived = |x: f64| (x > 0.0).then(|| x as usize - 1);
            let (mean, var) = (at(N_FOUND, i), at(N_FOUND + 1, i));
            seen.has_mean.push(mean != 0.0);
            seen.has_var.push(var != 0.0);
            seen.mean_at.push(arrived(mean));
            seen.var_at.push(arrived(var));
            let least = at(N_FOUND + 2, i);
            seen.least.push(if least >= f64::from(f32::MAX) { f64::INFINITY } else { least });
            seen.greatest.push(at(N_FOUND + 3, i));
        }
    }
}
