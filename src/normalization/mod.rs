//! Running statistics and what they do to observations and rewards, replayed offline.
//!
//! Pure: rows in, states and normalized rows out. It knows nothing of files, flags or devices' names.

mod batches;
mod diagnostics;
mod engine;
mod lag;
mod lanes;
mod merge;
mod moments;
mod on_device;
mod presets;
mod replay;
mod returns;
mod rule;
mod scaling;
mod segment;
mod state;
mod tiles;
mod verify;

pub use batches::{Batcher, Granularity, Places};
pub use diagnostics::{
    Change, ClipPhase, Diagnostics, DimensionChange, find_change, lag_of, locate_shift, regimes,
};
pub use engine::{
    DeviceChoice, DeviceError, DevicePresence, Engine, KernelTimes, available_devices, is_device_failure,
    normalize_tensor, open_device,
};
pub use lag::{Lag, LagProbe};
pub use lanes::{LaneRows, Lanes};
pub use merge::{MergeError, merge_states};
pub use moments::{RowMoments, Rows};
pub use presets::{Conventions, Preset, ReturnScale, Target};
pub use replay::{Block, Output, Replay, Update, Window, moments_of};
pub use returns::{ReturnReset, ReturnStep, Returns};
pub use rule::{Correction, Divisor, Memory, Order, Rule, Warmup};
pub use segment::Segment;
pub use state::{Normalizer, NormalizerState};
pub use verify::{Claim, Diagnosis, Difference, StaleProbe, finer_grid, momentum_grid};
