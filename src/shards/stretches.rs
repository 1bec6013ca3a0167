//! What a stretch of a run comes to where the run is cut: the seam between the work on stretches and what is said of the run.

use serde::{Deserialize, Serialize};

use super::runs::StepFacts;
use crate::normalization::{
    EpisodeCount, NormalizerState, ReplayPlace, Seen, Timeline, Window, joined_windows,
};

/// What statistics see of a stretch.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundMoments {
    /// Values per row.
    pub width: usize,
    /// In the order of rows.
    pub seen: Vec<Seen>,
    /// Vector steps begun by the end of each batch; none where nobody asks.
    pub steps: Vec<u64>,
}

impl FoundMoments {
    /// Whether every batch has its steps.
    pub fn has_steps(&self) -> bool {
        self.seen.iter().map(Seen::n_ends).sum::<usize>() == self.steps.len()
    }

    /// What was seen, with the vector steps begun by the end of each batch that ends there.
    pub fn with_steps(&self) -> impl Iterator<Item = (&Seen, &[u64])> {
        let mut left = &self.steps[..];
        self.seen.iter().map(move |seen| {
            let (own, later) = left.split_at(seen.n_ends().min(left.len()));
            left = later;
            (seen, own)
        })
    }
}

/// What a stretch comes to under one setting of a comparison.
#[derive(Debug, Serialize, Deserialize)]
pub struct StretchSetting {
    /// The state after it.
    pub state: NormalizerState,
    /// Its variances as the rule uses them.
    pub var_used: Vec<f64>,
    /// Windows of the diagnostics; the first may have begun before.
    pub windows: Vec<Window>,
}

/// What a stretch comes to under every setting of a comparison.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundSettings {
    /// The run, by its place among those that are cut.
    pub run: usize,
    /// Which stretch.
    pub number: usize,
    /// In order of the settings.
    pub settings: Vec<StretchSetting>,
    /// Vector steps at the beginning and the end of every block.
    pub timeline: Timeline,
    /// Updates of the run before the shift that is given, where it lies within.
    pub shift_update: Option<u64>,
    /// Episodes.
    pub episodes: EpisodeCount,
    /// What there is to know of the recording.
    pub recording: StepFacts,
}

/// Where a run stands at the beginning of each of its stretches.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundPlaces {
    /// In order of stretches.
    pub places: Vec<ReplayPlace>,
}

/// What replayed rows come to that a run begins with, or that follow those before.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReplayedRows {
    /// Rows.
    pub rows: u64,
    /// Windows of the diagnostics; the first may have begun before.
    pub windows: Vec<Window>,
    /// Vector step of the first row after each window's end.
    pub window_steps: Timeline,
    /// Episodes.
    pub episodes: EpisodeCount,
    /// The state after them.
    pub state: NormalizerState,
    /// Its variances as the rule uses them.
    pub var_used: Vec<f64>,
}

impl ReplayedRows {
    /// The rows of stretches that follow each other; `None` without one.
    pub fn joined(stretches: Vec<Self>) -> Option<Self> {
        let mut stretches = stretches.into_iter();
        let mut whole = stretches.next()?;
        let mut windows = vec![std::mem::take(&mut whole.windows)];
        for next in stretches {
            whole.rows += next.rows;
            windows.push(next.windows);
            whole.window_steps.extend(next.window_steps);
            whole.episodes.join(&next.episodes);
            (whole.state, whole.var_used) = (next.state, next.var_used);
        }
        Some(Self { windows: joined_windows(windows), ..whole })
    }
}

/// The sums of a stretch.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundSums {
    /// The run, by its place among those that are cut.
    pub run: usize,
    /// Which stretch.
    pub number: usize,
    /// Windows of the diagnostics, whole ones.
    pub windows: Vec<Window>,
    /// Episodes.
    pub episodes: EpisodeCount,
    /// What there is to know of the recording.
    pub recording: StepFacts,
}

/// The replay of a stretch.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundStretch {
    /// The run, by its place among those that are cut.
    pub run: usize,
    /// Which stretch.
    pub number: usize,
    /// Its rows.
    pub rows: ReplayedRows,
    /// What there is to know of the recording.
    pub recording: StepFacts,
}
