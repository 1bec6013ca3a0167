//! How much of a recording is gone through, and what there is to know of it besides its runs.

use crate::records::StepRecording;
use crate::results::DeviceUsed;
use crate::shards::{RunSpan, StepFacts};

/// How much of a recording is gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Extent {
    /// All of it.
    Whole,
    /// The share of a task, where the recording has so many runs.
    Task {
        /// Runs of the whole recording.
        n_runs: usize,
    },
}

impl Extent {
    /// Runs of the whole recording, of which `recording` is the part gone through.
    pub(super) fn n_runs(self, recording: &StepRecording) -> usize {
        match self {
            Self::Whole => recording.runs().len(),
            Self::Task { n_runs } => n_runs,
        }
    }
}

/// What there is to know of a recording besides its runs, once it was gone through.
pub(super) fn facts_of(recording: &StepRecording, is_ordered: Option<bool>, device: DeviceUsed) -> StepFacts {
    let spans = recording.runs().iter().map(|run| RunSpan {
        run_id: run.run_id.clone(),
        first: run.span.0,
        last: run.span.1,
    });
    StepFacts {
        values: recording.value_columns().to_vec(),
        dimensions: recording.named_dimensions(),
        width: recording.width(),
        input: recording.skips().document(recording.n_files()),
        is_ordered,
        spans: spans.collect(),
        device,
    }
}
