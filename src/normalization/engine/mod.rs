//! The burn engine: moments and normalized values of tiles on any device burn drives. The only user of burn.
//!
//! Devices compute at 32 bits, which holds because nothing large is ever summed there: a tile's moments are taken
//! about its last row, its values are normalized about its mean, and what crosses tiles (states, counts)
//! is carried by the host at 64 bits. What it does not know: batches, windows, files, flags.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod buffers;
mod choice;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cubes;
mod devices;
mod driver;
mod exchange;
mod failure;
mod gradient;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod kernels;
mod link;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod reading;
mod sweep;
mod sweep_buffers;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod sweep_kernel;
mod sweep_tensors;
mod tensors;
mod timing;

pub use choice::DeviceChoice;
pub use devices::{DevicePresence, available_devices, open_device};
pub use driver::Engine;
pub(super) use driver::{DeviceRows, PendingMoments, PendingValues};
pub(super) use exchange::{Input, Scaling, SentRows, StateBefore, TileMoments, TileOutput, TileStates};
pub use failure::{DeviceError, is_device_failure};
pub use gradient::normalize_tensor;
pub use link::Traffic;
pub(super) use sweep::{SweepBatches, SweepSeen, SweepShift, SweepStates, SweepTask, Swept};
pub use timing::{KernelTimes, TransferTimes};
