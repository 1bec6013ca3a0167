//! Running statistics and what they do to observations and rewards, replayed offline.
//!
//! Pure: rows in, states and normalized rows out. It knows nothing of files, flags or devices' names.
//!
//! # Ranges of rows
//! - *part*: rows of a file that are decoded together (a row group, a record batch);
//! - *block*: consecutive rows of one run in replay order, handed on together;
//! - *batch*: the rows of one update;
//! - *tile*: consecutive rows that a device, or one thread, reduces together; a device takes a group of them at a time;
//! - *window*: consecutive updates that the diagnostics summarize together.

mod act_learn;
mod autocorrelation;
mod autoreset;
mod batches;
mod change;
mod clock;
mod conventions;
mod cusum;
mod device_queue;
mod diagnostics;
mod engine;
mod lag;
mod lanes;
mod merge;
mod on_device;
mod one_step;
mod output;
mod pace;
mod pass;
mod presets;
mod recorded;
mod relay;
mod replay;
mod returns;
mod rule;
mod scaling;
mod segment;
mod shift;
mod standing;
mod state;
mod sweep;
mod tile_layout;
mod tiles;
mod timeline;
mod update;
mod verify;
mod window;

pub use act_learn::{ActLearnDifference, ActLearnProbe, RolloutRows};
pub use autoreset::{Autoreset, AutoresetProbe, AutoresetRow, AutoresetRule, ProbeNeeds};
pub use batches::{Batcher, Granularity, Places, Rounds};
pub use change::{
    Change, ChangedStatistic, DRIFT_LEVEL, DimensionChange, Drift, Regimes, Untold, UntoldReason, find_drift,
};
pub use conventions::{Conventions, ReturnScale, Target};
pub use device_queue::DeviceQueue;
pub use diagnostics::{ClipPhase, Diagnostics, Stretch, lag_of};
pub use engine::{
    DeviceChoice, DeviceError, DevicePresence, Engine, KernelTimes, Traffic, TransferTimes,
    available_devices, is_device_failure, normalize_tensor, open_device,
};
pub use lag::{Lag, LagProbe, LagWatch, Sight, WatchedShift};
pub use lanes::{EpisodeEnd, EpisodeRows, LaneRows, Lanes};
pub use merge::{MergeError, merge_states};
pub use one_step::NextStep;
pub use output::Output;
pub use pace::{EpisodeCount, Pace};
pub use pass::Pass;
pub use presets::Preset;
pub use recorded::{
    Cause, FeatureRows, FeatureTruth, JudgedFeature, Judgement, QuantileRange, RecordedFeature,
    RecordedSource, RecordedStatistics, Statistic, StatisticCheck, Tolerances, Truth, USUAL_LEVELS, Worst,
    judge,
};
pub use relay::{ReplayPlace, Seen, joined_windows, steps_begun};
pub use replay::{Block, Replay, moments_of};
pub use returns::{ReturnReset, ReturnStep, Returns};
pub use rule::{Correction, Divisor, Memory, MomentumUnit, Order, Prior, Rule, Warmup};
pub use segment::{MeanVar, Segment, largest_magnitude};
pub use shift::Shift;
pub use state::{Normalizer, NormalizerState, RowsAlone};
pub use sweep::sweep_obstacle;
pub use tiles::carry_obstacle;
pub use timeline::{KnownStep, Timeline};
pub use update::{Update, UpdatesTold};
pub use verify::{Claim, Diagnosis, Difference, StaleProbe, StoredPrecision, finer_grid, momentum_grid};
pub use window::Window;
