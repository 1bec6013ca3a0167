//! Environment steps in replay order, streamed in blocks of bounded size.
//!
//! A first pass reads only the key columns: it finds runs, environments and whether rows come in replay order
//! ([`index`]). Rows that do are then streamed as they lie; rows that do not are spread over temporary files by
//! their place in replay order ([`order`]), and each of those is sorted in memory ([`spill`]). Nothing in memory grows
//! with the number of rows; [`StepSizes`] says how much is held at once.

mod array_file;
mod assign;
mod block;
mod block_file;
mod carried;
mod files;
mod index;
mod judge;
mod judgements;
mod keys;
mod lanes;
mod merge_sort;
mod names;
mod options;
mod order;
mod recording;
mod rows;
mod runs;
mod scan;
mod skips;
mod spill;
mod times;
mod values;

pub use self::block::StepBlock;
pub use self::block_file::{BlockFile, BlockFileWriter};
#[cfg(test)]
pub(super) use self::carried::carriable;
pub(super) use self::carried::join_arrays;
pub use self::options::{Clock, StepOptions, StepSizes, StepTarget};
pub use self::recording::StepRecording;
pub(super) use self::recording::ValuePart;
pub use self::runs::{RunInfo, RunStretch};
pub use self::skips::{BadPlace, StepSkips};
pub use self::values::StepValues;
pub(super) use self::values::to_store as lists_of;
