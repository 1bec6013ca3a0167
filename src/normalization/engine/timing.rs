//! How long the two kernels of a replay take, against a copy of the same values.

use std::time::Instant;

use burn::tensor::Tensor;

use super::driver::Engine;
use super::exchange::{Scaling, SentRows, TileOutput};
use super::failure::DeviceError;
use crate::normalization::rule::Rule;
use crate::normalization::state::Normalizer;
use crate::normalization::tiles::{BlockShape, TileSettings, plan_tiles};
use crate::normalization::update::UpdatesTold;
use crate::stats::Rows;

/// Seconds per pass over one group of tiles on a device, transfers left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelTimes {
    /// Weights of all rows from those of their batches.
    pub weights: f64,
    /// Reduction of all tiles to moments.
    pub moments: f64,
    /// Normalization of all tiles.
    pub values: f64,
    /// One reading and one writing of as many values by burn's own elementwise kernel: the floor.
    pub copy: f64,
    /// Bytes the two kernels read and write.
    pub bytes: u64,
    /// Bytes the copy reads and writes.
    pub copy_bytes: u64,
}

/// Seconds that the bus takes for some values, with nothing else under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TransferTimes {
    /// There.
    pub up: f64,
    /// And back.
    pub down: f64,
}

impl Engine {
    /// Times the way of values to the device and back: medians of `repeats`.
    ///
    /// # Errors
    /// A failing device.
    pub fn time_transfers(&self, values: &[f32], repeats: usize) -> Result<TransferTimes, DeviceError> {
        let once = || -> Result<TransferTimes, DeviceError> {
            let sent = values.to_vec();
            let start = Instant::now();
            let there = self.guarded(|| Ok(self.link.vector(sent)))?;
            self.guarded(|| self.device().sync().map_err(|error| self.failure(error)))?;
            let up = start.elapsed().as_secs_f64();
            let start = Instant::now();
            drop(self.read(there)?);
            Ok(TransferTimes { up, down: start.elapsed().as_secs_f64() })
        };
        once()?;
        let times: Vec<TransferTimes> = (0..repeats.max(1)).map(|_| once()).collect::<Result<_, _>>()?;
        let median = |pick: fn(&TransferTimes) -> f64| {
            let mut seconds: Vec<f64> = times.iter().map(pick).collect();
            seconds.sort_by(f64::total_cmp);
            seconds[seconds.len() / 2]
        };
        Ok(TransferTimes { up: median(|times| times.up), down: median(|times| times.down) })
    }

    /// Times the kernels on rows that lie on the device already: medians of `repeats` times ten launches each.
    ///
    /// `ends` are ends of batches, each one past a batch's last row.
    ///
    /// # Errors
    /// A failing device.
    ///
    /// # Panics
    /// If the rows are more than one group of tiles, 2^24 values.
    pub fn time_kernels(
        &self,
        rule: &Rule,
        rows: &[f32],
        width: usize,
        ends: &[usize],
        repeats: usize,
    ) -> Result<KernelTimes, DeviceError> {
        let settings = TileSettings { width, window_updates: u64::MAX, told: UpdatesTold::LastOfTile };
        let clock = Normalizer::new(*rule, width).clock();
        let block = BlockShape { n_rows: rows.len() / width, ends, n_open: 0 };
        let groups: Vec<_> = plan_tiles(rule, clock, settings, block).collect();
        let [group] = &groups[..] else { panic!("one group of tiles") };
        let n_tiles = group.layout.n_tiles();
        let sent =
            SentRows { rows: Rows::F32(rows), input: None, width, layout: &group.layout, has_moments: true };
        let on_device = self.upload(sent)?;
        let scaling = Scaling::of(rule);
        let values = self.link.vector(rows.to_vec());
        // Means of 0, variances and divisors of 1.
        let states: Vec<f32> =
            [0.0, 0.0, 1.0, 1.0].into_iter().flat_map(|x| vec![x; n_tiles * width]).collect();
        let states = self.link.vector(states).reshape([4, n_tiles * width]);
        let weights = self.median(repeats, || Ok(Self::weights(&on_device)))?;
        let moments = self.median(repeats, || Ok(Self::moments(&on_device)))?;
        let normalized = self.median(repeats, || {
            Ok(Self::values(&on_device, &states, true, &scaling, TileOutput::ValuesAndCounts).clipped)
        })?;
        let copy = self.median(repeats, || Ok(values.clone() * 1.000_000_1))?;
        let n_values = rows.len() as u64;
        let per_tile = (n_tiles * width) as u64;
        let per_row = (rows.len() / width) as u64;
        Ok(KernelTimes {
            weights,
            moments,
            values: normalized,
            copy,
            // Values read twice and written once; six moments and four numbers carried per tile and dimension,
            // one count; a share, a weight, what each leaves, and an end per row, written and read once.
            bytes: 4 * (3 * n_values + 11 * per_tile + 10 * per_row),
            copy_bytes: 8 * n_values,
        })
    }

    /// Median seconds per launch: ten launches, then one wait.
    fn median(
        &self,
        repeats: usize,
        launch: impl Fn() -> Result<Tensor<1>, DeviceError>,
    ) -> Result<f64, DeviceError> {
        const LAUNCHES: u32 = 10;
        let once = || -> Result<f64, DeviceError> {
            let start = Instant::now();
            for _ in 0..LAUNCHES {
                drop(launch()?);
            }
            self.device().sync().map_err(|error| self.failure(error))?;
            Ok(start.elapsed().as_secs_f64() / f64::from(LAUNCHES))
        };
        self.guarded(once)?;
        let mut seconds =
            (0..repeats.max(1)).map(|_| self.guarded(once)).collect::<Result<Vec<f64>, DeviceError>>()?;
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[seconds.len() / 2])
    }
}
