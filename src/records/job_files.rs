//! Files that make a folder that of a job.

use std::path::Path;

/// What is asked, and of which input.
pub(super) const JOB: &str = "job.json";

/// Its tasks, one a line.
pub(super) const PLAN: &str = "plan.jsonl";

/// Whether `folder` is that of a job: what lies in it is no recording.
pub(super) fn is_job(folder: &Path) -> bool {
    [JOB, PLAN].iter().all(|name| folder.join(name).is_file())
}

/// A name in a folder of a job.
pub(super) struct JobEntry {
    pub(super) name: String,
    /// As far as the list tells it.
    pub(super) n_bytes: u64,
}

/// How long a file is, with its beginning and end.
pub(super) struct FileEnds {
    pub(super) n_bytes: u64,
    /// All of it where it is short.
    pub(super) bytes: Vec<u8>,
}
