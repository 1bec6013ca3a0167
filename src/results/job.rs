//! A job of many tasks: the documents `simic.job/1` and `simic.job.status/1`, and the lines of its plan.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::baseline::{fnv1a_hex, sorted};

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
    /// Tasks of each stage, where there are several: those of a stage, which follow each other in the plan, go on from the
    /// parts of the stage before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<usize>,
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
    /// Hash of this document's text with nothing in this place, which is its last.
    #[serde(default)]
    pub job_hash: String,
}

impl JobDocument {
    /// The document as it is stored, with its hash.
    ///
    /// # Errors
    /// None that a job can have; what JSON cannot carry is told as its problem.
    pub fn sealed(&self) -> Result<String, serde_json::Error> {
        let bare = Self { job_hash: String::new(), ..self.clone() };
        let text = serde_json::to_string_pretty(&bare)? + "\n";
        let sealed = format!("\"{}\"", fnv1a_hex(text.bytes()));
        Ok(match text.rfind(NO_HASH) {
            Some(place) => format!("{}{sealed}{}", &text[..place], &text[place + NO_HASH.len()..]),
            None => text,
        })
    }

    /// Whether `text`, which this was read from, is what was stored.
    pub fn is_sealed(&self, text: &str) -> bool {
        let sealed = format!("\"{}\"", self.job_hash);
        text.rfind(&sealed).is_some_and(|place| {
            let (before, after) = (&text[..place], &text[place + sealed.len()..]);
            self.job_hash == fnv1a_hex([before, NO_HASH, after].into_iter().flat_map(str::bytes))
        })
    }
}

/// An empty text in JSON.
const NO_HASH: &str = "\"\"";

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
    /// Runs that are cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut_runs: Vec<CutRun>,
}

/// A run that several tasks share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CutRun {
    /// The run.
    pub run_id: String,
    /// Rows.
    pub n_rows: u64,
    /// Vector steps.
    pub n_vector_steps: u64,
    /// Episodes of all environments.
    pub n_episodes: u64,
    /// Environments in ascending order.
    pub envs: Vec<i64>,
    /// Least and greatest (episode, step).
    pub span: [(i64, i64); 2],
    /// Files that hold it.
    pub n_files: usize,
    /// Stretches that it is cut into.
    pub n_stretches: usize,
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
    /// What of a run that is cut it takes, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stretch: Option<TaskStretch>,
    /// Bytes that it reads, about.
    pub bytes: u64,
}

impl TaskRow {
    /// Hash of everything in it.
    pub fn hash(&self) -> String {
        fnv1a_hex(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// What a task does with a run that is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStretch {
    /// What it is for.
    pub pass: StretchPass,
    /// The run, by its place among those that are cut.
    pub run: usize,
    /// Which of its stretches; 0 where it goes through all.
    pub number: usize,
    /// The first row of the run, and one past the last.
    pub rows: [u64; 2],
    /// Rows that are passed over: those before in the parts of files that it reads.
    pub skip: u64,
    /// Vector step of the first row.
    pub first_step: u64,
    /// Updates of the run before it.
    pub updates: u64,
    /// Tasks whose parts it goes on from: the first, and one past the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<[usize; 2]>,
}

/// What a task goes through a run that is cut for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StretchPass {
    /// Moments of the batches of a stretch.
    Moments,
    /// The state at every cut, from the moments of all stretches.
    States,
    /// The rows of a stretch, from its state on.
    Replay,
    /// The rows of a stretch under every setting of a comparison, from their states on.
    Settings,
    /// What the settings of a run come to, from all stretches: how long they lag behind its shift too.
    Lags,
    /// Sums over the windows of a stretch: the last pass of a run whose rows are added up in no order of time.
    Sums,
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
    /// Tasks of each stage, where there are several; as the job has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<usize>,
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
    fnv1a_hex(text.bytes())
}
