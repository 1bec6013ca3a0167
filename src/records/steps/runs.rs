//! Recorded runs, and where a row stands in one.

use std::ops::Range;

/// One recorded run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// Its id.
    pub run_id: String,
    /// Rows, malformed ones included.
    pub n_rows: u64,
    /// Environments in ascending order.
    pub envs: Vec<i64>,
    /// Stretches of rows of one episode of one environment, as recorded: the episodes of all environments where the rows
    /// of each come in order.
    pub n_episodes: u64,
    /// Vector steps.
    pub n_vector_steps: u64,
    /// Least and greatest (episode, step).
    pub span: ((i64, i64), (i64, i64)),
}

/// Consecutive rows of a run that lie in replay order, read by themselves: what all its rows told is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStretch {
    /// The whole run.
    pub run: RunInfo,
    /// The rows, counted over the parts of files that are read.
    pub rows: Range<u64>,
    /// Vector step of the first of them, which begins with it.
    pub first_step: u64,
}

/// Episode and step of a row; rows of one environment come in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StepPlace {
    pub(super) episode: i64,
    pub(super) step: i64,
}

impl StepPlace {
    /// As a time: rows of equal episode and step belong together.
    pub(super) fn time(self) -> ClockTime {
        ClockTime { major: self.episode, minor: self.step }
    }
}

/// What a clock says at a row; rows of one run come in this order, those of one time by environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClockTime {
    /// Vector step, value of the clock column, or episode.
    pub(super) major: i64,
    /// Step within the episode; 0 for the other clocks.
    pub(super) minor: i64,
}

impl ClockTime {
    /// The time of a clock of single numbers.
    pub(super) fn of(number: i64) -> Self {
        Self { major: number, minor: 0 }
    }
}
