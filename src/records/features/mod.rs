//! Data sets of features: their rows feature by feature, and the statistics they record of themselves.

mod frames;
mod recorded;
mod set;
mod stats_file;

pub use frames::FeatureColumns;
pub use recorded::RecordedSet;
pub use set::{FeatureSet, SetFeature};
pub use stats_file::stats_text;
