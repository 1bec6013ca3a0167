//! Running statistics and what they do to observations and rewards, replayed offline.
//!
//! Pure: rows in, states and normalized rows out. It knows nothing of files, flags or devices' names.

mod batches;
mod moments;
mod replay;
mod rule;
mod segment;
mod state;

pub use batches::{Batcher, Granularity, Places};
pub use moments::{RowMoments, Rows};
pub use replay::{Block, Output, Replay, Update, Window, moments_of};
pub use rule::{Correction, Divisor, Memory, Order, Rule, Warmup};
pub use segment::Segment;
pub use state::{Normalizer, NormalizerState};
