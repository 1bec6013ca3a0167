//! Environment steps in replay order, streamed in blocks of bounded size.
//!
//! A first pass reads only the key columns: it finds runs, environments and whether rows come in replay order
//! ([`index`]). Rows that do are then streamed as they lie; rows that do not are spread over temporary files by
//! their place in replay order, and each of those is sorted in memory ([`spill`]).

mod assign;
mod block;
mod files;
mod index;
mod judge;
mod keys;
mod names;
mod options;
mod order;
mod recording;
mod rows;
mod runs;
mod scan;
mod skips;
mod spill;
mod values;

pub use self::block::StepBlock;
pub(super) use self::block::join_arrays;
pub use self::options::{Clock, StepOptions, StepTarget};
pub use self::recording::StepRecording;
pub use self::runs::RunInfo;
pub use self::skips::{BadPlace, StepSkips};
pub use self::values::StepValues;
