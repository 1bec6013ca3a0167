//! What is asked of step rows.

use super::super::schema::{ColumnMap, OnBad};

/// How rows of different environments are aligned in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clock {
    /// Vector step k is the k-th row of every environment.
    Row,
    /// Rows of equal (episode, step) belong together.
    EpisodeStep,
    /// Rows of equal value in this column belong together.
    Column(String),
}

/// What is read besides the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepTarget {
    /// Observations.
    Obs,
    /// Rewards.
    Reward,
    /// Recorded returns.
    Return,
}

impl StepTarget {
    /// The field of the column.
    pub fn field(self) -> &'static str {
        match self {
            Self::Obs => "obs",
            Self::Reward => "reward",
            Self::Return => "return",
        }
    }
}

/// How step rows are to be read.
#[derive(Debug, Clone)]
pub struct StepOptions {
    /// Column mapping.
    pub columns: ColumnMap,
    /// What is read.
    pub target: StepTarget,
    /// How environments are aligned.
    pub clock: Clock,
    /// Whether a round column is needed.
    pub needs_round: bool,
    /// Whether the ends of episodes are to be told over all environments.
    pub needs_episode_ends: bool,
    /// Whether all other columns are carried along.
    pub carries_columns: bool,
    /// Malformed rows and files.
    pub on_bad: OnBad,
    /// How much is held at once.
    pub sizes: StepSizes,
}

/// How much of a recording is held in memory at once. Results do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepSizes {
    /// Decoded bytes of one slice of a part.
    pub slice_bytes: u64,
    /// Decoded bytes of the slices decoded together.
    pub wave_bytes: u64,
    /// Rows whose keys are decoded together.
    pub key_rows: usize,
    /// Bytes of rows put in order together.
    pub bucket_bytes: u64,
    /// Temporary files that rows are spread over at once.
    pub open_files: usize,
    /// Bytes of an index of rows sorted together.
    pub index_bytes: usize,
    /// Sorted pieces of that index merged together.
    pub pieces_merged: usize,
}

impl Default for StepSizes {
    fn default() -> Self {
        Self {
            slice_bytes: 80 << 20,
            wave_bytes: 64 << 20,
            key_rows: 1 << 20,
            bucket_bytes: 48 << 20,
            open_files: 256,
            index_bytes: 32 << 20,
            pieces_merged: 128,
        }
    }
}
