//! What a task of a job is, what it finds, and what the finds of all tasks are.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::cutting::{Cutting, in_order_of_rows, n_stretches};
use crate::commands::normalize::OutputPaths;
use crate::commands::{CommandError, Completeness};
use crate::records::{InputFile, JobFolder, PartFiles, PartList};
use crate::results::{CutRun, JobDocument, JobRecording, TaskInput, TaskRow};
use crate::shards::{
    CodecError, Counted, Division, FileUnits, MergeError, PartHeader, RunOrder, open_part, to_bytes,
};

/// A recording, and how it can be divided.
#[derive(Debug)]
pub(super) struct Divisible {
    /// Files that are read, in order.
    pub(super) files: Vec<InputFile>,
    /// The runs of each.
    pub(super) units: Vec<FileUnits>,
    /// How they can be divided.
    pub(super) how: Division,
    /// Why they cannot be divided further.
    pub(super) undivided: Vec<String>,
    /// What only the whole recording tells.
    pub(super) recording: JobRecording,
    /// Runs in the order that results have them; empty where their names decide.
    pub(super) order: Vec<String>,
    /// How its runs can be cut; `None` where a run is one task.
    pub(super) cutting: Option<Cutting>,
}

/// A job with what a task of it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobTask<'a> {
    pub(super) job: &'a JobDocument,
    pub(super) task: &'a TaskRow,
    pub(super) folder: &'a JobFolder,
}

impl JobTask<'_> {
    /// Where its rows and updates go that are asked for: to files beside its part.
    ///
    /// # Errors
    /// A folder of the job that cannot be made.
    pub(super) fn outputs(&self) -> Result<OutputPaths, CommandError> {
        let is_asked = |what: &str| self.job.beside.iter().any(|beside| beside == what);
        let place = |what: &str| is_asked(what).then(|| self.folder.beside(self.task.id, what));
        let begun_in = if self.job.beside.is_empty() { None } else { self.folder.under_way()? };
        Ok(OutputPaths::of_part(place(ROWS), place(TRACE), begun_in))
    }
}

/// What a task found.
#[derive(Debug)]
pub(super) struct Find {
    /// As its part carries it.
    pub(super) bytes: Vec<u8>,
    /// Files beside the part.
    pub(super) beside: Vec<String>,
}

impl From<Vec<u8>> for Find {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, beside: Vec::new() }
    }
}

/// Why a recording is read by one task where bad rows are left out: which they are, and whether anything is left of a file, the
/// files beside it decide.
pub(super) const SKIPS_TOGETHER: &str =
    "--on-bad skip: what is left out of a file depends on the files beside it, one task reads all";

/// What to do where this program has contradicted itself.
pub(super) const BUG: &str = "this is a mistake of simic's: run the command on one machine, and report it";

/// Normalized rows beside a part.
pub(super) const ROWS: &str = "rows.arrow";

/// Updates beside a part.
pub(super) const TRACE: &str = "trace.arrow";

/// What was found, as a part carries it.
///
/// # Errors
/// None that a find can have.
pub(super) fn bytes<T: Serialize>(found: &T) -> Result<Vec<u8>, CommandError> {
    to_bytes(found).map_err(|error| CommandError::State(error.to_string(), BUG.to_owned()))
}

/// A file and the parts of it that are read.
type ReadPlace<'a> = (&'a str, Option<&'a [usize]>);

/// The finds of a job's tasks.
#[derive(Debug)]
pub(super) struct Finds<'a> {
    /// The job.
    pub(super) job: &'a JobDocument,
    folder: &'a JobFolder,
    parts: PartList,
    /// Its tasks that have a part.
    pub(super) tasks: Vec<TaskRow>,
    missing: BTreeSet<usize>,
}

impl<'a> Finds<'a> {
    /// Those of `tasks`; `missing` have no part.
    pub(super) fn new(
        job: &'a JobDocument,
        (folder, parts): (&'a JobFolder, PartList),
        tasks: Vec<TaskRow>,
        missing: BTreeSet<usize>,
    ) -> Self {
        Self { job, folder, parts, tasks, missing }
    }
}

impl Finds<'_> {
    /// Whether all of them are there.
    pub(super) fn completeness(&self) -> Completeness {
        Completeness::of(&self.missing, self.job.n_tasks)
    }

    /// Runs that were cut and of which stretches are missing, with how many.
    pub(super) fn broken_runs(&self) -> Vec<(&CutRun, usize)> {
        let runs = self.job.recording.cut_runs.iter().zip(n_stretches(&self.tasks, self.job));
        let missing = runs.map(|(run, n_there)| (run, run.n_stretches.saturating_sub(n_there)));
        missing.filter(|(_, n_missing)| *n_missing > 0).collect()
    }

    /// How the rows of each task count beside those of the tasks before it.
    pub(super) fn counted(&self) -> Vec<Counted> {
        let mut readings: BTreeSet<Vec<ReadPlace<'_>>> = BTreeSet::new();
        let mut files: BTreeSet<&str> = BTreeSet::new();
        let mut counted = Vec::with_capacity(self.tasks.len());
        for TaskRow { inputs, .. } in &self.tasks {
            let reading = inputs.iter().map(|input| (input.name.as_str(), input.parts.as_deref())).collect();
            let is_first_reading = readings.insert(reading);
            let files_known = inputs.iter().filter(|input| !files.insert(input.name.as_str())).count();
            counted.push(Counted { is_first_reading, files_known });
        }
        counted
    }

    /// Where runs and files stand in the whole recording.
    pub(super) fn order(&self) -> RunOrder {
        let mut order =
            RunOrder { is_ordered: self.job.recording.is_ordered.unwrap_or(true), ..RunOrder::default() };
        for task in &self.tasks {
            order.runs.extend(task.units.iter().cloned().zip(task.places.iter().copied()));
            order.files.extend(task.inputs.iter().map(|input| (input.name.clone(), input.place)));
        }
        order
    }

    /// Whether tasks left such files beside their parts.
    pub(super) fn has_beside(&self, what: &str) -> bool {
        self.job.beside.iter().any(|beside| beside == what)
    }

    /// Files beside the parts that hold this, in the order of runs; none where tasks left none.
    pub(super) fn beside(&self, what: &str) -> Vec<PathBuf> {
        let tasks = in_order_of_rows(&self.tasks, self.job).into_iter().filter(|_| self.has_beside(what));
        tasks.map(|task| self.folder.beside(task.id, what)).collect()
    }

    /// What the parts carry, in order of their tasks.
    ///
    /// # Errors
    /// Parts that are damaged or not those of the job, the first in order.
    pub(super) fn read<T: Send>(
        &self,
        decode: impl Fn(&[u8]) -> Result<T, CodecError> + Sync,
    ) -> Result<Vec<T>, CommandError> {
        self.read_of(|_| true, decode)
    }

    /// The same of some tasks.
    ///
    /// # Errors
    /// Likewise.
    pub(super) fn read_of<T: Send>(
        &self,
        is_read: impl Fn(&TaskRow) -> bool + Sync,
        decode: impl Fn(&[u8]) -> Result<T, CodecError> + Sync,
    ) -> Result<Vec<T>, CommandError> {
        let one = |task: &TaskRow, part: Option<PartFiles>| -> Result<T, CommandError> {
            let missing = || MergeError::Missing { missing: vec![task.id], of: self.job.n_tasks };
            let part = part.ok_or_else(missing)?;
            let find = sound_part(self.folder, self.job, task, &part)?;
            let damaged = |error: CodecError| MergeError::Damaged(task.id, error.to_string());
            Ok(decode(find).map_err(damaged)?)
        };
        let tasks: Vec<TaskRow> = self.tasks.iter().filter(|task| is_read(task)).cloned().collect();
        self.folder.read_parts(&tasks, (&self.parts, &self.job.beside), one)?.into_iter().collect()
    }
}

/// What a part carries, if it is that of this task of this job.
///
/// # Errors
/// What it is instead.
pub(super) fn sound_part<'a>(
    folder: &JobFolder,
    job: &JobDocument,
    task: &TaskRow,
    part: &'a PartFiles,
) -> Result<&'a [u8], CommandError> {
    let (header, find) = open_part(task.id, &part.bytes)?;
    check_header(&header, job, task)?;
    for (what, expected) in &header.beside {
        let path = folder.beside(task.id, what);
        let found = part.beside.get(what).and_then(Option::as_ref);
        if found != Some(expected) {
            let problem = if found.is_some() { "is not what was written" } else { "is missing" };
            return Err(MergeError::Damaged(task.id, format!("{} {problem}", path.display())).into());
        }
    }
    Ok(find)
}

fn check_header(header: &PartHeader, job: &JobDocument, task: &TaskRow) -> Result<(), MergeError> {
    if header.task != task.id {
        return Err(MergeError::Overlap { name: task.id.to_string(), task: header.task });
    }
    if header.simic != job.simic {
        let (found, expected) = (header.simic.clone(), job.simic.clone());
        return Err(MergeError::OtherVersion { task: task.id, found, expected });
    }
    if header.settings_hash != job.settings_hash {
        return Err(MergeError::OtherSettings(task.id));
    }
    if let Some(what) = other_input(&header.inputs, &task.inputs) {
        return Err(MergeError::OtherInput { task: task.id, what });
    }
    if header.plan_hash != job.plan_hash || header.task_hash != task.hash() {
        return Err(MergeError::OtherPlan(task.id));
    }
    Ok(())
}

/// What differs between the files a part was made of and those of its task.
fn other_input(found: &[(String, String)], expected: &[TaskInput]) -> Option<String> {
    let names = |mut names: Vec<&str>| {
        names.dedup();
        names.join(", ")
    };
    let changed = found
        .iter()
        .zip(expected)
        .filter(|((name, print), input)| *name == input.name && *print != input.fingerprint);
    let changed: Vec<&str> = changed.map(|((name, _), _)| name.as_str()).collect();
    if !changed.is_empty() {
        return Some(format!("{} changed", names(changed)));
    }
    let is_same = found.len() == expected.len()
        && found.iter().zip(expected).all(|((name, _), input)| *name == input.name);
    (!is_same).then(|| format!("{} were read", names(found.iter().map(|(name, _)| name.as_str()).collect())))
}
