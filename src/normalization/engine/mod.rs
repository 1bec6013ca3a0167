//! The burn engine: moments and normalized values of tiles on any device burn drives. The only user of burn.
//!
//! Devices compute at 32 bits, which holds because nothing large is ever summed there: a tile's moments are taken
//! about its last row, its values are normalized about its mean, and what crosses tiles (states, counts)
//! is carried by the host at 64 bits. What it does not know: batches, windows, files, flags.

mod devices;
mod gradient;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod kernels;
mod tensors;
mod timing;

use burn::tensor::{Device, Tensor, TensorData};

pub use devices::{
    DeviceChoice, DeviceError, DevicePresence, available_devices, is_device_failure, open_device,
};
pub use gradient::normalize_tensor;
pub use timing::KernelTimes;

use super::moments::Rows;
use super::rule::{Order, Rule};
use super::tiles::Layout;
use devices::guarded;

/// Numbers carried into a tile per dimension.
const N_CARRIED: usize = 4;

/// Weight of a row from which on a device mixes variances without taking differences.
const LARGE_WEIGHT: f32 = 0.0625;

/// A device ready to work.
#[derive(Debug, Clone)]
pub struct Engine {
    device: Device,
    /// The device as `--device` calls it and as it calls itself.
    name: String,
    /// The device as it calls itself.
    part: String,
    choice: DeviceChoice,
    is_software: bool,
    /// Whether kernels of our own run there; otherwise the same in tensor operations.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    has_kernels: bool,
}

/// How one chunk of rows is normalized.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaling {
    pub(super) update_first: bool,
    pub(super) inside_root: f32,
    pub(super) outside_root: f32,
    pub(super) min: f32,
    pub(super) max: f32,
    pub(super) clip: f32,
}

impl Scaling {
    #[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
    pub(super) fn of(rule: &Rule) -> Self {
        // Infinities stay on the host: shading languages may assume there are none.
        let finite = |x: f64| x.min(f64::from(f32::MAX)) as f32;
        Self {
            update_first: rule.order == Order::UpdateFirst,
            inside_root: rule.divisor.inside_root as f32,
            outside_root: rule.divisor.outside_root as f32,
            min: rule.divisor.min as f32,
            max: finite(rule.divisor.max),
            clip: rule.clip.map_or(f32::MAX, finite),
        }
    }
}

/// The state before each tile, n_tiles x width each; a mean is `origin + center`.
#[derive(Debug, Clone, Default)]
pub(super) struct Carries {
    pub(super) origin: Vec<f32>,
    pub(super) center: Vec<f32>,
    pub(super) var: Vec<f32>,
    pub(super) inverse: Vec<f32>,
}

impl Carries {
    /// Appends the states of more tiles.
    pub(super) fn extend(&mut self, later: &Self) {
        self.origin.extend_from_slice(&later.origin);
        self.center.extend_from_slice(&later.center);
        self.var.extend_from_slice(&later.var);
        self.inverse.extend_from_slice(&later.inverse);
    }
}

/// Moments of tiles, n_tiles x width each.
#[derive(Debug, Clone, Default)]
pub(super) struct TileMoments {
    /// Of the tile as a mixture of its batches: what it does to the state.
    pub(super) mean: Vec<f64>,
    pub(super) var: Vec<f64>,
    /// Of its rows, all alike.
    pub(super) row_mean: Vec<f64>,
    pub(super) row_var: Vec<f64>,
    pub(super) min: Vec<f64>,
    pub(super) max: Vec<f64>,
}

/// Rows on a device, with their layout.
pub(super) struct DeviceRows {
    /// Subtracted from the rows of each tile on the way there, where 32 bits would not have held the values;
    /// n_tiles x width.
    shifts: Vec<f64>,
    /// Last row of each tile as it lies on the device: what its moments are taken about.
    origins: Vec<f32>,
    width: usize,
    n_tiles: usize,
    place: Place,
}

enum Place {
    Tensors(Box<tensors::PaddedRows>),
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    Kernels(Box<kernels::Buffers>),
}

/// Moments on their way back: mean, variance, row mean and row variance about each tile's last row, extremes.
pub(super) struct PendingMoments(Tensor<1>);

/// Normalized values on their way back, and counts of those at or beyond the clip, n_tiles x width.
pub(super) struct PendingValues {
    values: Option<Tensor<1>>,
    clipped: Tensor<1>,
}

impl Engine {
    /// The device in words, as `simic devices` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device as burn has it, for tensors of one's own.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What `--device` calls it.
    pub fn choice(&self) -> DeviceChoice {
        self.choice
    }

    /// Whether it is a program that imitates a GPU.
    pub fn is_software(&self) -> bool {
        self.is_software
    }

    fn failure(&self, cause: impl std::fmt::Display) -> DeviceError {
        DeviceError::Failed { device: self.name.clone(), cause: devices::first_line(&cause.to_string()) }
    }

    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, DeviceError>) -> Result<T, DeviceError> {
        guarded(work).unwrap_or_else(|cause| Err(self.failure(cause)))
    }

    /// Sends rows there.
    pub(super) fn upload(
        &self,
        rows: Rows<'_>,
        width: usize,
        layout: &Layout,
    ) -> Result<DeviceRows, DeviceError> {
        let (values, shifts) = singles(rows, width, layout);
        if matches!(rows, Rows::F64(_)) && values.iter().any(|x| !x.is_finite()) {
            return Err(DeviceError::Range { device: self.name.clone() });
        }
        let origins = (0..layout.n_tiles())
            .flat_map(|tile| {
                let end = layout.starts[tile + 1] as usize * width;
                values[end - width..end].iter().copied()
            })
            .collect();
        let n_tiles = layout.n_tiles();
        self.guarded(|| {
            let place = self.place(values, width, layout);
            Ok(DeviceRows { shifts, origins, width, n_tiles, place })
        })
    }

    fn place(&self, values: Vec<f32>, width: usize, layout: &Layout) -> Place {
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if self.has_kernels {
            return Place::Kernels(Box::new(kernels::Buffers::new(values, width, layout, &self.device)));
        }
        Place::Tensors(Box::new(tensors::PaddedRows::new(values, width, layout, &self.device)))
    }

    /// Begins to compute the moments of all tiles.
    pub(super) fn begin_moments(&self, rows: &DeviceRows) -> Result<PendingMoments, DeviceError> {
        self.guarded(|| {
            Ok(PendingMoments(match &rows.place {
                Place::Tensors(padded) => padded.moments(),
                #[cfg(any(feature = "wgpu", feature = "cuda"))]
                Place::Kernels(buffers) => buffers.moments(),
            }))
        })
    }

    /// Waits for moments.
    ///
    /// # Errors
    /// A failing device, or moments too large for 32 bits.
    pub(super) fn read_moments(
        &self,
        rows: &DeviceRows,
        pending: PendingMoments,
    ) -> Result<TileMoments, DeviceError> {
        let found = self.read(pending.0)?;
        let size = rows.n_tiles * rows.width;
        if found.iter().any(|x| !x.is_finite()) {
            return Err(DeviceError::Range { device: self.name.clone() });
        }
        let part = |k: usize| found[k * size..(k + 1) * size].iter().map(|x| f64::from(*x));
        let at = |i: usize| f64::from(rows.origins[i]) + rows.shifts[i];
        let placed = |k: usize| part(k).enumerate().map(|(i, x)| at(i) + x).collect();
        let shifted = |k: usize| part(k).enumerate().map(|(i, x)| x + rows.shifts[i]).collect();
        Ok(TileMoments {
            mean: placed(0),
            var: part(1).collect(),
            row_mean: placed(2),
            row_var: part(3).collect(),
            min: shifted(4),
            max: shifted(5),
        })
    }

    /// The state (mean, variance) and scaling (center, 1/divisor) before a tile, as the device takes it.
    ///
    /// `origin` lies near the tile's rows: the device computes with differences from it, so that neither a state far
    /// away (before the first update, say) nor an offset costs digits.
    #[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
    pub(super) fn carry(
        rows: &DeviceRows,
        tile: usize,
        origin: &[f64],
        center: &[f64],
        var: &[f64],
        inverse: &[f64],
    ) -> Carries {
        let mut carries = Carries::default();
        let shifts = &rows.shifts[tile * rows.width..(tile + 1) * rows.width];
        for d in 0..rows.width {
            let origin = (origin[d] - shifts[d]) as f32;
            carries.origin.push(origin);
            carries.center.push((center[d] - shifts[d] - f64::from(origin)) as f32);
            carries.var.push(var[d] as f32);
            // Beyond 32 bits a difference of 0 must stay one.
            carries.inverse.push(inverse[d].min(f64::from(f32::MAX)) as f32);
        }
        carries
    }

    /// Begins to normalize all tiles, each from the state before it.
    pub(super) fn begin_values(
        &self,
        rows: &DeviceRows,
        carries: &Carries,
        scaling: &Scaling,
        wants_values: bool,
    ) -> Result<PendingValues, DeviceError> {
        let carried = self.carried(rows, carries)?;
        self.begin_values_carried(rows, &carried, scaling, wants_values)
    }

    /// Sends the states before all tiles: mean (origin and distance from it), variance, 1/divisor, n_tiles x width each.
    fn carried(&self, rows: &DeviceRows, carries: &Carries) -> Result<Tensor<2>, DeviceError> {
        let parts = [&carries.origin[..], &carries.center, &carries.var, &carries.inverse];
        let all = parts.concat();
        assert!(all.len() == N_CARRIED * rows.n_tiles * rows.width, "one state per tile");
        self.guarded(|| Ok(vector(all, &self.device).reshape([N_CARRIED, rows.n_tiles * rows.width])))
    }

    fn begin_values_carried(
        &self,
        rows: &DeviceRows,
        carried: &Tensor<2>,
        scaling: &Scaling,
        wants_values: bool,
    ) -> Result<PendingValues, DeviceError> {
        self.guarded(|| {
            let (values, clipped) = match &rows.place {
                Place::Tensors(padded) => padded.normalize(carried, scaling, wants_values),
                #[cfg(any(feature = "wgpu", feature = "cuda"))]
                Place::Kernels(buffers) => buffers.normalize(carried, scaling, wants_values),
            };
            Ok(PendingValues { values, clipped })
        })
    }

    /// Waits for normalized values and the counts of clipped ones.
    pub(super) fn read_values(
        &self,
        pending: PendingValues,
    ) -> Result<(Option<Vec<f32>>, Vec<f32>), DeviceError> {
        let values = pending.values.map(|values| self.read(values)).transpose()?;
        Ok((values, self.read(pending.clipped)?))
    }

    fn read(&self, tensor: Tensor<1>) -> Result<Vec<f32>, DeviceError> {
        self.guarded(|| {
            let data = tensor.try_into_data().map_err(|error| self.failure(error))?;
            data.try_into_vec::<f32>().map_err(|error| self.failure(format!("{error:?}")))
        })
    }
}

/// Rows at 32 bits, and what was subtracted tile by tile so that they fit: nothing from stored singles, its first row
/// from a tile of doubles.
#[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
fn singles(rows: Rows<'_>, width: usize, layout: &Layout) -> (Vec<f32>, Vec<f64>) {
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

fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}
