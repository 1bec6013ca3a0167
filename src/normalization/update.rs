//! Updates as a replay tells them.

use super::state::Normalizer;

/// One update, told as it happens.
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// The batch's last row within the block; `None` if it lies in an earlier block.
    pub last_row: Option<usize>,
    /// Rows of the batch.
    pub n: u64,
    /// The normalizer after the update.
    pub normalizer: &'a Normalizer,
}

/// Which updates a replay on a device tells. On the CPU it tells every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdatesTold {
    /// Every one: the host computes the state after each.
    Every,
    /// The last one of every tile (every window ends with one): the device carries the state from batch to batch by
    /// itself.
    LastOfTile,
}
