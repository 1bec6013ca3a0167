//! A device at work: rows sent there, tiles reduced and normalized, results waited for.

use burn::tensor::{Device, Tensor};

use super::choice::DeviceChoice;
use super::exchange::{N_CARRIED, Scaling, TileMoments, TileOutput, TileStates, singles};
use super::failure::{DeviceError, first_line, guarded};
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use super::kernels::Buffers;
use super::link::{Link, Traffic};
use super::tensors::PaddedRows;
use crate::normalization::tiles::Layout;
use crate::stats::Rows;

/// A device ready to work.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) link: Link,
    /// The device as `--device` calls it and as it calls itself.
    name: String,
    /// The device as it calls itself.
    own_name: String,
    choice: DeviceChoice,
    is_software: bool,
    /// Whether kernels of our own run there; otherwise the same in tensor operations.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(super) has_kernels: bool,
}

/// Rows on a device, with their layout.
pub(in crate::normalization) struct DeviceRows {
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
    Tensors(Box<PaddedRows>),
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    Kernels(Box<Buffers>),
}

/// Moments on their way back: mean, variance, row mean and row variance about each tile's last row, extremes.
pub(in crate::normalization) struct PendingMoments(pub(super) Tensor<1>);

/// Normalized values on their way back, and counts of those at or beyond the clip, n_tiles x width.
pub(in crate::normalization) struct PendingValues {
    values: Option<Tensor<1>>,
    pub(super) clipped: Tensor<1>,
}

impl Engine {
    /// Opens a device and has it do a sum: constructors are lazy, and a device that is not there would panic later.
    pub(super) fn open(choice: DeviceChoice, device: Device) -> Result<Self, DeviceError> {
        let absent = |cause: String| DeviceError::Absent { choice, cause: first_line(&cause) };
        let tried = guarded(|| {
            let (name, is_software) = identity(&device);
            let sum = Tensor::<1>::from_floats([1.0, 2.0], &device) + 1.0;
            let sum = sum.try_into_data().map_err(|error| error.to_string())?;
            let sum = sum.try_into_vec::<f32>().map_err(|error| format!("{error:?}"))?;
            if sum == [2.0, 3.0] {
                Ok((name, is_software))
            } else {
                Err(format!("1 + 1 and 2 + 1 gave {sum:?}"))
            }
        });
        let (name, is_software) = tried.map_err(absent)?.map_err(absent)?;
        Ok(Self {
            link: Link::new(device),
            name: format!("{} ({name})", choice.name()),
            own_name: name,
            choice,
            is_software,
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            has_kernels: choice != DeviceChoice::Flex,
        })
    }

    /// The device in words, as `simic devices` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device as it calls itself.
    pub(super) fn own_name(&self) -> &str {
        &self.own_name
    }

    /// The device as burn has it, for tensors of one's own.
    pub fn device(&self) -> &Device {
        self.link.device()
    }

    /// What went to and fro so far, of this engine and of all that were cloned from it or from which it was.
    pub fn traffic(&self) -> Traffic {
        self.link.traffic()
    }

    /// What `--device` calls it.
    pub fn choice(&self) -> DeviceChoice {
        self.choice
    }

    /// Whether it is a program that imitates a GPU.
    pub fn is_software(&self) -> bool {
        self.is_software
    }

    /// Counts bytes that the host copies from one place of its own to another.
    pub(in crate::normalization) fn count_copied(&self, bytes: usize) {
        self.link.count_copied(bytes);
    }

    pub(super) fn failure(&self, cause: impl std::fmt::Display) -> DeviceError {
        DeviceError::Failed { device: self.name.clone(), cause: first_line(&cause.to_string()) }
    }

    /// Values too large for 32 bits.
    pub(super) fn out_of_range(&self) -> DeviceError {
        DeviceError::Range { device: self.name.clone() }
    }

    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> Result<T, DeviceError>) -> Result<T, DeviceError> {
        guarded(work).unwrap_or_else(|cause| Err(self.failure(cause)))
    }

    /// Sends rows there.
    pub(in crate::normalization) fn upload(
        &self,
        rows: Rows<'_>,
        width: usize,
        layout: &Layout,
    ) -> Result<DeviceRows, DeviceError> {
        let (values, shifts) = singles(rows, width, layout);
        self.link.count_copied(size_of_val(&values[..]));
        if matches!(rows, Rows::F64(_)) && values.iter().any(|x| !x.is_finite()) {
            return Err(self.out_of_range());
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
            return Place::Kernels(Box::new(Buffers::new(values, width, layout, &self.link)));
        }
        Place::Tensors(Box::new(PaddedRows::new(values, width, layout, &self.link)))
    }

    /// Begins to compute the moments of all tiles.
    pub(in crate::normalization) fn begin_moments(
        &self,
        rows: &DeviceRows,
    ) -> Result<PendingMoments, DeviceError> {
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
    pub(in crate::normalization) fn read_moments(
        &self,
        rows: &DeviceRows,
        pending: PendingMoments,
    ) -> Result<TileMoments, DeviceError> {
        let found = self.read(pending.0)?;
        let size = rows.n_tiles * rows.width;
        if found.iter().any(|x| !x.is_finite()) {
            return Err(self.out_of_range());
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
    pub(in crate::normalization) fn state_before(
        rows: &DeviceRows,
        tile: usize,
        origin: &[f64],
        center: &[f64],
        var: &[f64],
        inverse: &[f64],
    ) -> TileStates {
        let mut states = TileStates::default();
        let shifts = &rows.shifts[tile * rows.width..(tile + 1) * rows.width];
        for d in 0..rows.width {
            let origin = (origin[d] - shifts[d]) as f32;
            states.origin.push(origin);
            states.center.push((center[d] - shifts[d] - f64::from(origin)) as f32);
            states.var.push(var[d] as f32);
            // Beyond 32 bits a difference of 0 must stay one.
            states.inverse.push(inverse[d].min(f64::from(f32::MAX)) as f32);
        }
        states
    }

    /// Begins to normalize all tiles, each from the state before it.
    pub(in crate::normalization) fn begin_values(
        &self,
        rows: &DeviceRows,
        states: &TileStates,
        scaling: &Scaling,
        output: TileOutput,
    ) -> Result<PendingValues, DeviceError> {
        let states = self.send_states(rows, states)?;
        self.begin_values_from(rows, &states, scaling, output)
    }

    /// Sends the states before all tiles: mean (origin and distance from it), variance, 1/divisor, n_tiles x width each.
    pub(super) fn send_states(
        &self,
        rows: &DeviceRows,
        states: &TileStates,
    ) -> Result<Tensor<2>, DeviceError> {
        let parts = [&states.origin[..], &states.center, &states.var, &states.inverse];
        let all = parts.concat();
        assert!(all.len() == N_CARRIED * rows.n_tiles * rows.width, "one state per tile");
        self.guarded(|| Ok(self.link.vector(all).reshape([N_CARRIED, rows.n_tiles * rows.width])))
    }

    pub(super) fn begin_values_from(
        &self,
        rows: &DeviceRows,
        states: &Tensor<2>,
        scaling: &Scaling,
        output: TileOutput,
    ) -> Result<PendingValues, DeviceError> {
        self.guarded(|| {
            let (values, clipped) = match &rows.place {
                Place::Tensors(padded) => padded.normalize(states, scaling, output),
                #[cfg(any(feature = "wgpu", feature = "cuda"))]
                Place::Kernels(buffers) => buffers.normalize(states, scaling, output),
            };
            Ok(PendingValues { values, clipped })
        })
    }

    /// Waits for normalized values and the counts of clipped ones.
    pub(in crate::normalization) fn read_values(
        &self,
        pending: PendingValues,
    ) -> Result<(Option<Vec<f32>>, Vec<f32>), DeviceError> {
        let values = pending.values.map(|values| self.read(values)).transpose()?;
        Ok((values, self.read(pending.clipped)?))
    }

    pub(super) fn read(&self, tensor: Tensor<1>) -> Result<Vec<f32>, DeviceError> {
        self.guarded(|| {
            let n = tensor.shape().num_elements();
            self.link.count_read(n);
            // burn hands back memory of the driver's, which a vector is copied from.
            self.link.count_copied(4 * n);
            let data = tensor.try_into_data().map_err(|error| self.failure(error))?;
            data.try_into_vec::<f32>().map_err(|error| self.failure(format!("{error:?}")))
        })
    }
}

/// A device's name, and whether it only imitates a GPU.
fn identity(device: &Device) -> (String, bool) {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(identity) = device.identity() {
        return (identity.name, identity.physical.is_none());
    }
    let _ = device;
    ("burn on the CPU, at 32 bits".to_owned(), false)
}
