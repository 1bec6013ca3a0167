//! A device at work: rows sent there, tiles reduced and normalized, results enqueued and waited for.

use burn::tensor::{Device, Tensor, TensorData};

#[cfg(any(feature = "wgpu", feature = "cuda"))]
use super::buffers::Buffers;
use super::choice::DeviceChoice;
use super::exchange::{
    Scaling, SentRows, Shifts, StateBefore, TileMoments, TileOutput, TileStates, TileValues, singles,
};
use super::failure::{DeviceError, first_line, guarded};
use super::link::{Link, PendingRead, Traffic};
use super::tensors::PaddedRows;
use crate::normalization::tile_layout::Layout;
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
}

/// Rows on a device, with their layout.
pub(in crate::normalization) struct DeviceRows {
    /// Subtracted from the rows of each tile on the way there, where 32 bits would not have held the values.
    shifts: Shifts,
    /// Last row of each tile as it lies on the device: what its moments are taken about.
    origins: Vec<f32>,
    width: usize,
    n_tiles: usize,
    place: Place,
    input: Option<DeviceInput>,
}

/// Rows on a device that are normalized and that no statistics see.
struct DeviceInput {
    shifts: Shifts,
    place: InputPlace,
}

enum Place {
    Tensors(Box<PaddedRows>),
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    Kernels(Box<Buffers>),
}

enum InputPlace {
    Tensors(Tensor<3>),
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    Kernels(Tensor<1>),
}

/// Moments on their way back: mean, variance, row mean and row variance about each tile's last row, extremes.
pub(in crate::normalization) struct PendingMoments(PendingRead);

/// Normalized values on their way back, and counts of those at or beyond the clip, n_tiles x width.
pub(in crate::normalization) struct PendingValues {
    has_values: bool,
    read: PendingRead,
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
            // burn's CPU backend runs no kernels.
            link: Link::new(
                device,
                cfg!(any(feature = "wgpu", feature = "cuda")) && choice != DeviceChoice::Flex,
            ),
            name: format!("{} ({name})", choice.name()),
            own_name: name,
            choice,
            is_software,
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

    /// Values of a block that goes through at once: enough to keep a card busy, 16 MiB of them.
    pub fn block_values(&self) -> usize {
        if self.link.has_kernels { 1 << 22 } else { 1 << 20 }
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
        guarded(|| self.link.in_order(work)).unwrap_or_else(|cause| Err(self.failure(cause)))
    }

    /// Sends rows there.
    pub(in crate::normalization) fn upload(&self, sent: SentRows<'_>) -> Result<DeviceRows, DeviceError> {
        let SentRows { width, layout, .. } = sent;
        let (values, shifts) = self.singles(sent.rows, &sent)?;
        let input = sent.input.map(|input| self.singles(input, &sent)).transpose()?;
        let origins = (0..layout.n_tiles())
            .flat_map(|tile| {
                let end = layout.starts[tile + 1] as usize * width;
                values[end - width..end].iter().copied()
            })
            .collect();
        let n_tiles = layout.n_tiles();
        self.guarded(|| {
            let place = self.place(values, &sent);
            let input = input.map(|(values, shifts)| DeviceInput {
                shifts,
                place: self.input_place(values, width, layout),
            });
            Ok(DeviceRows { shifts, origins, width, n_tiles, place, input })
        })
    }

    fn singles(&self, rows: Rows<'_>, sent: &SentRows<'_>) -> Result<(Vec<f32>, Shifts), DeviceError> {
        let (values, shifts) = singles(rows, sent.width, sent.layout);
        self.link.count_copied(size_of_val(&values[..]));
        if matches!(rows, Rows::F64(_)) && values.iter().any(|x| !x.is_finite()) {
            return Err(self.out_of_range());
        }
        Ok((values, shifts))
    }

    fn place(&self, values: Vec<f32>, sent: &SentRows<'_>) -> Place {
        let SentRows { width, layout, .. } = *sent;
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if self.link.has_kernels {
            return Place::Kernels(Box::new(Buffers::new(values, sent, &self.link)));
        }
        Place::Tensors(Box::new(PaddedRows::new(values, width, layout, &self.link)))
    }

    fn input_place(&self, values: Vec<f32>, width: usize, layout: &Layout) -> InputPlace {
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if self.link.has_kernels {
            return InputPlace::Kernels(self.link.vector(values));
        }
        InputPlace::Tensors(PaddedRows::padded(values, width, layout, &self.link))
    }

    /// Begins to compute the moments of all tiles, and to read them back.
    pub(in crate::normalization) fn begin_moments(
        &self,
        rows: &DeviceRows,
    ) -> Result<PendingMoments, DeviceError> {
        self.guarded(|| {
            let moments = Self::moments(rows);
            Ok(PendingMoments(self.link.begin_read(vec![moments])))
        })
    }

    /// Derives the weights of rows once more; where there are no kernels of ours they are on the device already.
    pub(super) fn weights(rows: &DeviceRows) -> Tensor<1> {
        match &rows.place {
            Place::Tensors(padded) => padded.weights(),
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            Place::Kernels(buffers) => buffers.derive_weights(),
        }
    }

    pub(super) fn moments(rows: &DeviceRows) -> Tensor<1> {
        match &rows.place {
            Place::Tensors(padded) => padded.moments(),
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            Place::Kernels(buffers) => buffers.moments(),
        }
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
        let found = self.finish_read(pending.0)?;
        let found = self.slice(&found[0])?;
        let size = rows.n_tiles * rows.width;
        if found.iter().any(|x| !x.is_finite()) {
            return Err(self.out_of_range());
        }
        let part = |k: usize| found[k * size..(k + 1) * size].iter().map(|x| f64::from(*x));
        let at = |i: usize| f64::from(rows.origins[i]) + rows.shifts.at(i);
        let placed = |k: usize| part(k).enumerate().map(|(i, x)| at(i) + x).collect();
        let shifted = |k: usize| part(k).enumerate().map(|(i, x)| x + rows.shifts.at(i)).collect();
        Ok(TileMoments {
            mean: placed(0),
            var: part(1).collect(),
            row_mean: placed(2),
            row_var: part(3).collect(),
            min: shifted(4),
            max: shifted(5),
        })
    }

    /// Notes the state before a tile, as the device takes it.
    pub(in crate::normalization) fn set_state(
        rows: &DeviceRows,
        states: &mut TileStates,
        tile: usize,
        before: &StateBefore<'_>,
    ) {
        let none = Shifts::default();
        let of_input = rows.input.as_ref().map_or(&none, |input| &input.shifts);
        states.set(tile, before, &rows.shifts, of_input);
    }

    /// Begins to normalize all tiles, each from the state before it, and to read what comes of it.
    pub(in crate::normalization) fn begin_values(
        &self,
        rows: &DeviceRows,
        states: TileStates,
        scaling: &Scaling,
        output: TileOutput,
    ) -> Result<PendingValues, DeviceError> {
        self.guarded(|| {
            let (is_plain, shape) = (states.is_plain(), [states.n_parts(), rows.n_tiles * rows.width]);
            let states = self.link.vector(states.numbers).reshape(shape);
            let TileValues { values, clipped } = Self::values(rows, &states, is_plain, scaling, output);
            let has_values = values.is_some();
            let read = self.link.begin_read(values.into_iter().chain([clipped]).collect());
            Ok(PendingValues { has_values, read })
        })
    }

    /// Normalizes tiles from states on the device.
    pub(super) fn values(
        rows: &DeviceRows,
        states: &Tensor<2>,
        is_plain: bool,
        scaling: &Scaling,
        output: TileOutput,
    ) -> TileValues {
        match &rows.place {
            Place::Tensors(padded) => {
                let input = rows.input.as_ref().map(|input| match &input.place {
                    InputPlace::Tensors(values) => values,
                    #[cfg(any(feature = "wgpu", feature = "cuda"))]
                    InputPlace::Kernels(_) => unreachable!("rows of one device lie alike"),
                });
                padded.normalize(input, states, is_plain, scaling, output)
            }
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            Place::Kernels(buffers) => {
                let input = rows.input.as_ref().map(|input| match &input.place {
                    InputPlace::Kernels(values) => values,
                    InputPlace::Tensors(_) => unreachable!("rows of one device lie alike"),
                });
                buffers.normalize(input, states, is_plain, scaling, output)
            }
        }
    }

    /// Waits for normalized values and the counts of clipped ones; shows them where they lie.
    pub(in crate::normalization) fn read_values<T>(
        &self,
        pending: PendingValues,
        take: impl FnOnce(Option<&[f32]>, &[f32]) -> T,
    ) -> Result<T, DeviceError> {
        let found = self.finish_read(pending.read)?;
        match &found[..] {
            [values, clipped] if pending.has_values => {
                Ok(take(Some(self.slice(values)?), self.slice(clipped)?))
            }
            [clipped] => Ok(take(None, self.slice(clipped)?)),
            _ => Err(self.failure("it handed back something else")),
        }
    }

    /// Waits for one vector.
    pub(super) fn read(&self, tensor: Tensor<1>) -> Result<Vec<f32>, DeviceError> {
        let pending = self.guarded(|| Ok(self.link.begin_read(vec![tensor])))?;
        let found = self.finish_read(pending)?;
        self.slice(&found[0]).map(<[f32]>::to_vec)
    }

    fn finish_read(&self, pending: PendingRead) -> Result<Vec<TensorData>, DeviceError> {
        self.guarded(|| self.link.finish_read(pending).map_err(|error| self.failure(error)))
    }

    fn slice<'a>(&self, data: &'a TensorData) -> Result<&'a [f32], DeviceError> {
        data.as_slice::<f32>().map_err(|error| self.failure(format!("{error:?}")))
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
