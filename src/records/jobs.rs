//! What a job holds, wherever it lies: its document, its plan, its parts.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::baselines::fingerprint;
use super::error::{Problem, RecordError};
use super::job_files::{JOB, PLAN};
use super::job_place::{FINGERPRINT_BYTES, Got, JobPlace, Names, Wanted};
use super::objects::Object;
use super::plan_lines::line_of;
use super::store_url::is_url;
use crate::results::{JOB_SCHEMA, JobDocument, TaskRow, fnv1a_hex};

const PARTS: &str = "parts";

/// What is wrong with a job's folder.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct JobError {
    place: String,
    problem: String,
    hint: String,
    /// Whether another try may do.
    may_pass: bool,
}

impl JobError {
    /// What was wrong at its place; a store says itself what to do.
    fn of(error: RecordError, hint: &str) -> Self {
        let (hint, may_pass) = match &error.problem {
            Problem::Store { hint, may_pass, .. } => (hint.as_str(), *may_pass),
            Problem::Io(error) => (hint, may_pass(error)),
            // Another task may have written it meanwhile.
            Problem::ChangedWhileRead => (hint, true),
            _ => (hint, false),
        };
        Self { problem: error.problem.to_string(), hint: hint.to_owned(), may_pass, place: error.file }
    }

    fn wrong(place: &Path, problem: impl Into<String>, hint: &str) -> Self {
        let (place, problem) = (place.display().to_string(), problem.into());
        Self { place, problem, hint: hint.to_owned(), may_pass: false }
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether another try may do.
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }
}

/// Whether an error of the operating system may be gone at another try: not one about what is there and who may read it.
pub fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{
        AlreadyExists, InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
        ReadOnlyFilesystem, UnexpectedEof, Unsupported,
    };
    !matches!(
        error.kind(),
        AlreadyExists
            | InvalidData
            | InvalidInput
            | IsADirectory
            | NotADirectory
            | NotFound
            | PermissionDenied
            | ReadOnlyFilesystem
            | UnexpectedEof
            | Unsupported
    )
}

const NO_JOB: &str = "simic shard plan JOB -- VERB RUNS makes one";
const PLAN_ANEW: &str = "plan the job anew: simic shard plan --force";
const EXEC_ANEW: &str = "simic shard exec makes it anew";

/// A job with its parts: a folder of a file system, or one of an object store.
#[derive(Debug, Clone)]
pub struct JobFolder {
    root: PathBuf,
    place: JobPlace,
}

/// A part with the fingerprints of the files beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFiles {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Fingerprints by what the files hold; `None` where there is no such file.
    pub beside: BTreeMap<String, Option<String>>,
}

/// Names among the parts of a job as they stood when they were listed.
#[derive(Debug, Clone)]
pub struct PartList(Names);

impl PartList {
    /// Whether a task has a part, sound or not.
    pub fn has(&self, task: usize) -> bool {
        self.0.contains_key(&task.to_string())
    }

    /// Names that are those of no task of so many, those of files beside parts left out.
    pub fn strays(&self, n_tasks: usize) -> Vec<String> {
        let number = |name: &str| name.split('.').next().and_then(|number| number.parse::<usize>().ok());
        let is_stray = |name: &&String| number(name).is_none_or(|number| number >= n_tasks);
        self.0.keys().filter(is_stray).cloned().collect()
    }

    fn n_bytes(&self, name: &str) -> u64 {
        name.rsplit('/').next().and_then(|name| self.0.get(name)).copied().unwrap_or(0)
    }
}

impl JobFolder {
    /// The folder at `root`, whatever is there.
    ///
    /// # Errors
    /// A URL of no folder in a store, or a store without keys.
    pub fn at(root: &Path) -> Result<Self, JobError> {
        let place = JobPlace::at(root).map_err(|error| JobError::of(error, NO_JOB))?;
        Ok(Self { root: root.to_owned(), place })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a path or URL lies in it.
    pub fn holds(&self, path: &Path) -> bool {
        match (&self.place, path.canonicalize(), self.root.canonicalize()) {
            (JobPlace::Folder(_), Ok(path), Ok(root)) => path.starts_with(root),
            (JobPlace::Folder(_), ..) => false,
            (JobPlace::Store(_), ..) => path.starts_with(&self.root),
        }
    }

    /// Whether a job is there.
    ///
    /// # Errors
    /// A store that does not say.
    pub fn has_job(&self) -> Result<bool, JobError> {
        Ok(self.place.fingerprint(JOB).map_err(|error| JobError::of(error, NO_JOB))?.is_some())
    }

    /// Writes a job: its plan first, so that a job is whole where there is one.
    ///
    /// # Errors
    /// A folder or a file that cannot be written.
    pub fn write(&self, job: &JobDocument, plan: &[u8]) -> Result<(), JobError> {
        let failed = |error: RecordError| JobError::of(error, "name a folder that can be written to");
        let text = job.sealed().map_err(|error| JobError::wrong(&self.root, error.to_string(), PLAN_ANEW))?;
        self.place.make_folder(PARTS).map_err(failed)?;
        self.place.write(PLAN, plan).map_err(failed)?;
        self.place.write(JOB, text.as_bytes()).map_err(failed)
    }

    /// The job.
    ///
    /// # Errors
    /// No job, or one of another kind or version.
    pub fn job(&self) -> Result<JobDocument, JobError> {
        let path = self.place.path(JOB);
        let bytes = self.place.read(JOB).map_err(|error| JobError::of(error, NO_JOB))?;
        let bytes = bytes.ok_or_else(|| JobError::wrong(&self.root, "there is no job here", NO_JOB))?;
        let document: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| JobError::wrong(&path, format!("not JSON: {error}"), PLAN_ANEW))?;
        match document.get("schema").and_then(serde_json::Value::as_str) {
            Some(JOB_SCHEMA) => {}
            Some(other) => {
                let problem = format!("a {other}, where a {JOB_SCHEMA} is needed");
                return Err(JobError::wrong(&path, problem, PLAN_ANEW));
            }
            None => return Err(JobError::wrong(&path, "no job", PLAN_ANEW)),
        }
        let job: JobDocument = serde_json::from_value(document)
            .map_err(|error| JobError::wrong(&path, format!("a damaged job: {error}"), PLAN_ANEW))?;
        // Another version's is refused as that, by those who know what this one is.
        let is_ours = job.simic == env!("CARGO_PKG_VERSION");
        if is_ours && !std::str::from_utf8(&bytes).is_ok_and(|text| job.is_sealed(text)) {
            return Err(JobError::wrong(
                &path,
                "not the job as it was planned: it was changed since",
                PLAN_ANEW,
            ));
        }
        Ok(job)
    }

    /// All tasks of a job, in order.
    ///
    /// # Errors
    /// A plan that is not the job's.
    pub fn tasks(&self, job: &JobDocument) -> Result<Vec<TaskRow>, JobError> {
        let path = self.place.path(PLAN);
        let bytes = self.place.read(PLAN).map_err(|error| JobError::of(error, PLAN_ANEW))?;
        let bytes = bytes.ok_or_else(|| JobError::wrong(&path, "the job has no plan", PLAN_ANEW))?;
        if plan_hash(&bytes) != job.plan_hash {
            return Err(JobError::wrong(&path, "not the plan of the job beside it", PLAN_ANEW));
        }
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        lines.par_iter().enumerate().map(|(place, line)| task_of(&path, place, line)).collect()
    }

    /// One task of a job; of the others' lines only some around its own are read.
    ///
    /// # Errors
    /// No such task.
    pub fn task(&self, job: &JobDocument, task: usize) -> Result<TaskRow, JobError> {
        let path = self.place.path(PLAN);
        if task >= job.n_tasks {
            let last = job.n_tasks.saturating_sub(1);
            return Err(JobError::wrong(
                &path,
                format!("no task {task}: tasks are 0 to {last}"),
                "name one of them",
            ));
        }
        let name = path.display().to_string();
        let line = || {
            let plan = self.place.file(PLAN)?;
            let read = |range| Ok(plan.read_range(&name, range)?.to_vec());
            line_of((task, job.n_tasks), plan.n_bytes(&name)?, read)
        };
        match line().map_err(|error| JobError::of(error, PLAN_ANEW))? {
            Some(line) => task_of(&path, task, &line),
            None => Err(JobError::wrong(&path, format!("no line of task {task}"), PLAN_ANEW)),
        }
    }

    /// Where a file beside a part is, called after what it holds.
    pub fn beside(&self, task: usize, what: &str) -> PathBuf {
        self.place.path(&beside_name(task, what))
    }

    /// The folder that files beside parts are begun in, where they are not sent to a store.
    ///
    /// # Errors
    /// One that cannot be made.
    pub fn under_way(&self) -> Result<Option<PathBuf>, JobError> {
        self.place.under_way().map_err(|error| JobError::of(error, "name a folder that can be written to"))
    }

    /// Removes what killed tasks have left.
    pub fn tidy(&self) {
        self.place.tidy();
    }

    /// A part with what is beside it; `None` where there is none.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub fn read_part(&self, task: usize, beside: &[String]) -> Result<Option<PartFiles>, JobError> {
        let read = self.place.read_each(&[wanted(task, beside)], |_| 0, |_, got| part_files(got, beside));
        Ok(read.map_err(|error| JobError::of(error, EXEC_ANEW))?.pop().flatten())
    }

    /// What `look` makes of the part of each task, in order: of parts a bounded number is held at once.
    ///
    /// # Errors
    /// The first part that cannot be read.
    pub fn read_parts<T: Send>(
        &self,
        tasks: &[TaskRow],
        (listed, beside): (&PartList, &[String]),
        look: impl Fn(&TaskRow, Option<PartFiles>) -> T + Sync,
    ) -> Result<Vec<T>, JobError> {
        let wanted: Vec<Wanted> = tasks.iter().map(|task| wanted(task.id, beside)).collect();
        let n_bytes = |wanted: &Wanted| listed.n_bytes(&wanted.whole);
        let each = |place: usize, got: Got| look(&tasks[place], part_files(got, beside));
        self.place.read_each(&wanted, n_bytes, each).map_err(|error| JobError::of(error, EXEC_ANEW))
    }

    /// Writes a part, whole or not at all; one that is there is replaced.
    ///
    /// # Errors
    /// A part that cannot be written.
    pub fn write_part(&self, task: usize, bytes: &[u8]) -> Result<(), JobError> {
        let written = self.place.write(&part_name(task), bytes);
        written.map_err(|error| {
            let error = JobError::of(error, "make room or wait, and try again; nothing half-written is left");
            if error.may_pass {
                return error;
            }
            JobError {
                hint: "is there something else in its place? remove that, and try again".to_owned(),
                ..error
            }
        })
    }

    /// Fingerprint of a file beside a part; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn fingerprint_beside(&self, task: usize, what: &str) -> Result<Option<String>, JobError> {
        let found = self.place.fingerprint(&beside_name(task, what));
        found.map_err(|error| JobError::of(error, EXEC_ANEW))
    }

    /// Removes parts of tasks beyond so many, which an earlier plan of more tasks has left.
    ///
    /// # Errors
    /// Parts that cannot be removed.
    pub fn remove_beyond(&self, n_tasks: usize) -> Result<(), JobError> {
        let mut names = self.parts()?.strays(n_tasks);
        names.retain(|name| name.starts_with(|first: char| first.is_ascii_digit()));
        let names: Vec<String> = names.iter().map(|name| format!("{PARTS}/{name}")).collect();
        self.place.remove(&names).map_err(|error| {
            let error = JobError::of(error, "remove it: the new plan is there, and no task of it");
            let problem = format!("a part of the plan before cannot be removed: {}", error.problem);
            JobError { problem, ..error }
        })
    }

    /// What lies among the parts, hidden files left out.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn parts(&self) -> Result<PartList, JobError> {
        Ok(PartList(self.place.list(PARTS).map_err(|error| JobError::of(error, PLAN_ANEW))?))
    }
}

fn part_name(task: usize) -> String {
    format!("{PARTS}/{task}")
}

fn beside_name(task: usize, what: &str) -> String {
    format!("{PARTS}/{task}.{what}")
}

fn wanted(task: usize, beside: &[String]) -> Wanted {
    Wanted { whole: part_name(task), others: beside.iter().map(|what| beside_name(task, what)).collect() }
}

fn part_files(got: Got, beside: &[String]) -> Option<PartFiles> {
    let bytes = got.whole?;
    Some(PartFiles { bytes, beside: beside.iter().cloned().zip(got.fingerprints).collect() })
}

fn task_of(path: &Path, place: usize, line: &[u8]) -> Result<TaskRow, JobError> {
    let task: TaskRow = serde_json::from_slice(line)
        .map_err(|error| JobError::wrong(path, format!("line {place}: {error}"), PLAN_ANEW))?;
    if task.id == place {
        Ok(task)
    } else {
        Err(JobError::wrong(path, format!("line {place} is of task {}", task.id), PLAN_ANEW))
    }
}

/// Hash of a plan's lines.
pub fn plan_hash(plan: &[u8]) -> String {
    fnv1a_hex(plan.iter().copied())
}

/// Fingerprints of files by name, as many at once as there are threads.
///
/// # Errors
/// The first file that cannot be read.
pub fn fingerprints_of(names: &[&str]) -> Result<BTreeMap<String, String>, JobError> {
    let one = |name: &&str| {
        let found = if is_url(name) {
            let found = Object::at(name).and_then(|object| object.fingerprint(name));
            found.map_err(|error| JobError::of(error, "is it still there, and may these keys read it?"))?
        } else {
            let found = fingerprint(Path::new(name), FINGERPRINT_BYTES);
            found.map_err(|error| JobError::of(RecordError::file(*name, error), "is it still there?"))?
        };
        Ok(((*name).to_owned(), found))
    };
    names.par_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::JobRecording;

    fn job(plan: &[u8]) -> JobDocument {
        JobDocument {
            schema: JOB_SCHEMA.to_owned(),
            simic: "0.1.0".to_owned(),
            verb: "analyze shapley".to_owned(),
            arguments: Vec::new(),
            added: BTreeMap::new(),
            settings: serde_json::json!({}),
            settings_hash: String::new(),
            directory: String::new(),
            target_bytes: 1,
            n_tasks: 2,
            stages: Vec::new(),
            plan_hash: plan_hash(plan),
            undivided: Vec::new(),
            beside: Vec::new(),
            recording: JobRecording::default(),
            inputs: BTreeMap::new(),
            job_hash: String::new(),
        }
    }

    fn plan() -> Vec<u8> {
        let line = |id| TaskRow {
            id,
            inputs: Vec::new(),
            units: Vec::new(),
            places: Vec::new(),
            share: None,
            stretch: None,
            bytes: 0,
        };
        (0..2).flat_map(|id| [serde_json::to_vec(&line(id)).expect("JSON"), vec![b'\n']].concat()).collect()
    }

    #[test]
    fn a_job_reads_back_and_a_plan_of_another_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let folder = JobFolder::at(&directory.path().join("job")).expect("a folder");
        assert!(!folder.has_job().expect("readable") && folder.job().is_err());
        folder.write(&job(&plan()), &plan()).expect("written");
        let read = folder.job().expect("a job");
        assert_eq!(JobDocument { job_hash: String::new(), ..read.clone() }, job(&plan()));
        let tasks = folder.tasks(&read).expect("tasks");
        assert_eq!((tasks.len(), &folder.task(&read, 1).expect("a task")), (2, &tasks[1]));
        assert!(folder.task(&read, 2).is_err());
        let other = JobDocument { plan_hash: "0".to_owned(), ..read.clone() };
        assert!(folder.tasks(&other).is_err());
        // Nothing of it is changed by hand, wherever it stands.
        let path = directory.path().join("job/job.json");
        let text = std::fs::read_to_string(&path).expect("a job");
        for (from, to) in [
            ("\"n_tasks\": 2", "\"n_tasks\": 1"),
            ("\"n_runs\": 0", "\"n_runs\": 7"),
            ("{}", "{\"a\": \"\"}"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            std::fs::write(&path, changed).expect("written");
            assert!(folder.job().is_err_and(|error| error.to_string().contains("changed since")), "{from}");
        }
        let unsealed = text.replacen(&read.job_hash, "", 1);
        std::fs::write(&path, unsealed).expect("written");
        assert!(folder.job().is_err());
    }

    #[test]
    fn files_that_are_no_parts_are_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let folder = JobFolder::at(directory.path()).expect("a folder");
        folder.write(&job(&plan()), &plan()).expect("written");
        folder.write_part(1, b"x").expect("written");
        for name in ["1.rows.parquet", ".hidden", "7", "notes"] {
            std::fs::write(directory.path().join("parts").join(name), "").expect("written");
        }
        let listed = folder.parts().expect("a folder");
        assert_eq!(listed.strays(2), ["7", "notes"]);
        assert!(listed.has(1) && !listed.has(0));
        let beside = ["rows.parquet".to_owned()];
        let part = folder.read_part(1, &beside).expect("readable").expect("a part");
        assert_eq!((&part.bytes[..], part.beside["rows.parquet"].is_some()), (&b"x"[..], true));
        assert_eq!(folder.read_part(0, &beside).expect("readable"), None);
        folder.remove_beyond(2).expect("removed");
        assert_eq!(folder.parts().expect("a folder").strays(2), ["notes"]);
    }

    #[test]
    fn what_is_not_there_does_not_come_by_waiting() {
        assert!(
            !may_pass(&io::ErrorKind::NotFound.into()) && !may_pass(&io::ErrorKind::PermissionDenied.into())
        );
        assert!(may_pass(&io::ErrorKind::StorageFull.into()) && may_pass(&io::ErrorKind::TimedOut.into()));
    }
}
