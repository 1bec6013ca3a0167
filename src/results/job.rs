//! A job of many tasks: the documents `simic.job/1` and `simic.job.status/1`, and the lines of its plan.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::baseline::{fnv1a, sorted};

/// Schema of a job.
pub const JOB_SCHEMA: &str = "simic.job/1";

/// Schema of what there is of a job.
pub const JOB_STATUS_SCHEMA: &str = "simic.job.status/1";

/// How a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The user named this very file.
    Named,
    /// It lies in a directory or matches a pattern that the user named.
    Searched,
}

/// One command divided into tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobDocument {
    /// `simic.job/1`.
    #[schemars(extend("const" = JOB_SCHEMA))]
    pub schema: String,
    /// Version of the program that every task needs.
    pub simic: String,
    /// The verb: `analyze shapley` for instance.
    pub verb: String,
    /// Its arguments, what the environment and simic.toml added included, RUNS left out.
    pub arguments: Vec<String>,
    /// Those of them that were not typed, and where they came from: they may be for other occasions, and change nothing here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub added: BTreeMap<String, String>,
    /// Everything the numbers depend on besides the input, as the verb's document has it.
    pub settings: Value,
    /// Hash of the settings.
    pub settings_hash: String,
    /// The folder that relative paths are meant in.
    pub directory: String,
    /// Bytes that a task reads, about.
    pub target_bytes: u64,
    /// Tasks.
    pub n_tasks: usize,
    /// Hash of the lines of plan.jsonl.
    pub plan_hash: String,
    /// Why tasks are larger than they were to be, where they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undivided: Vec<String>,
    /// What tasks leave beside their parts: normalized rows, updates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// What only the whole recording tells.
    pub recording: JobRecording,
    /// Files with their fingerprints.
    pub inputs: BTreeMap<String, String>,
}

/// What only the whole recording tells, and every task has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobRecording {
    /// Value columns, where none were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Runs.
    pub n_runs: usize,
    /// Whether the rows of all files lie in replay order; absent where that decides on nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_ordered: Option<bool>,
    /// Files left out, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_files: BTreeMap<String, u64>,
}

/// One task: a line of plan.jsonl.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRow {
    /// Number, from 0.
    pub id: usize,
    /// What it reads.
    pub inputs: Vec<TaskInput>,
    /// Its runs.
    pub units: Vec<String>,
    /// Their places among all runs, where order counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<usize>,
    /// Which of how many shares of the games it takes, where other tasks read the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<[u64; 2]>,
    /// Bytes that it reads, about.
    pub bytes: u64,
}

/// A file that a task reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskInput {
    /// As the user knows it.
    pub name: String,
    /// Length, and a hash of beginning and end.
    pub fingerprint: String,
    /// Its place among all files.
    #[serde(default)]
    pub place: usize,
    /// The run of its rows where they name none.
    pub run: String,
    /// How it was found.
    pub found: Origin,
    /// Parts that are read (row groups, record batches); absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<usize>>,
}

/// What there is of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobStatusDocument {
    /// `simic.job.status/1`.
    #[schemars(extend("const" = JOB_STATUS_SCHEMA))]
    pub schema: String,
    /// The verb.
    pub verb: String,
    /// The folder that relative paths of the job are meant in.
    #[serde(default)]
    pub directory: String,
    /// Tasks.
    pub n_tasks: usize,
    /// Tasks with a sound part.
    pub n_done: usize,
    /// Tasks without.
    pub missing: Vec<MissingPart>,
    /// Names among the parts that are those of no task, which merge refuses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<String>,
}

/// A task without a sound part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissingPart {
    /// The task.
    pub task: usize,
    /// Why what is there does not count; null where nothing is.
    pub reason: Option<String>,
}

/// Hash of settings, whatever the order of their names.
pub fn settings_hash(settings: &Value) -> String {
    let text = serde_json::to_string(&sorted(settings)).unwrap_or_default();
    format!("{:016x}", fnv1a(text.bytes()))
}
