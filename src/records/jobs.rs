//! The folder of a job: its document, its plan, its parts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::baselines::fingerprint;
use super::error::{Problem, RecordError};
use super::job_files::{JOB, PLAN};
use super::objects::Object;
use super::output::AtomicFile;
use super::store_url::is_url;
use crate::results::{JOB_SCHEMA, JobDocument, TaskRow, fnv1a};

/// Bytes at a file's beginning and end that its fingerprint is made of: a job may have a hundred thousand files, of which the
/// end of most tells where everything in them lies.
const FINGERPRINT_BYTES: u64 = 64 << 10;

const PARTS: &str = "parts";
/// Where parts are written before they are moved into place: a folder of a hundred thousand parts need not be searched for
/// what killed tasks have left.
const UNDER_WAY: &str = "under-way";

/// What is wrong with a job's folder.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct JobError {
    place: String,
    problem: String,
    hint: &'static str,
    /// Whether another try may do.
    may_pass: bool,
}

impl JobError {
    fn of_store(place: &Path, error: &RecordError) -> Self {
        let may_pass = matches!(error.problem, Problem::Store { may_pass: true, .. });
        let (place, problem) = (place.display().to_string(), error.problem.to_string());
        Self { place, problem, hint: "is it still there, and may these keys read it?", may_pass }
    }

    fn io(place: &Path, error: &io::Error, hint: &'static str) -> Self {
        let (place, problem) = (place.display().to_string(), error.to_string());
        Self { place, problem, hint, may_pass: may_pass(error) }
    }

    fn wrong(place: &Path, problem: impl Into<String>, hint: &'static str) -> Self {
        Self { place: place.display().to_string(), problem: problem.into(), hint, may_pass: false }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        self.hint
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

/// The folder of a job.
#[derive(Debug, Clone)]
pub struct JobFolder {
    root: PathBuf,
}

impl JobFolder {
    /// The folder at `root`, whatever is there.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a job is there.
    pub fn has_job(&self) -> bool {
        self.root.join(JOB).exists()
    }

    /// Writes a job: its plan first, so that a job is whole where there is one.
    ///
    /// # Errors
    /// A folder or a file that cannot be written.
    pub fn write(&self, job: &JobDocument, plan: &[u8]) -> Result<(), JobError> {
        let hint = "name a folder that can be written to";
        let failed = |error: io::Error| JobError::io(&self.root, &error, hint);
        std::fs::create_dir_all(self.root.join(PARTS)).map_err(failed)?;
        std::fs::create_dir_all(self.root.join(UNDER_WAY)).map_err(failed)?;
        let mut text = serde_json::to_vec_pretty(job).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        write_whole(&self.root.join(PLAN), plan).map_err(failed)?;
        write_whole(&self.root.join(JOB), &text).map_err(failed)
    }

    /// The job.
    ///
    /// # Errors
    /// No job, or one of another kind or version.
    pub fn job(&self) -> Result<JobDocument, JobError> {
        let path = self.root.join(JOB);
        let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => JobError::wrong(&self.root, "there is no job here", NO_JOB),
            _ => JobError::io(&path, &error, NO_JOB),
        })?;
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
        serde_json::from_value(document)
            .map_err(|error| JobError::wrong(&path, format!("a damaged job: {error}"), PLAN_ANEW))
    }

    /// All tasks of a job, in order.
    ///
    /// # Errors
    /// A plan that is not the job's.
    pub fn tasks(&self, job: &JobDocument) -> Result<Vec<TaskRow>, JobError> {
        let path = self.root.join(PLAN);
        let bytes = std::fs::read(&path).map_err(|error| JobError::io(&path, &error, PLAN_ANEW))?;
        if plan_hash(&bytes) != job.plan_hash {
            return Err(JobError::wrong(&path, "not the plan of the job beside it", PLAN_ANEW));
        }
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        lines.par_iter().enumerate().map(|(place, line)| task_of(&path, place, line)).collect()
    }

    /// One task of a job; the others' lines are passed over.
    ///
    /// # Errors
    /// No such task.
    pub fn task(&self, job: &JobDocument, task: usize) -> Result<TaskRow, JobError> {
        let path = self.root.join(PLAN);
        if task >= job.n_tasks {
            let last = job.n_tasks.saturating_sub(1);
            return Err(JobError::wrong(
                &path,
                format!("no task {task}: tasks are 0 to {last}"),
                "name one of them",
            ));
        }
        let failed = |error: io::Error| JobError::io(&path, &error, PLAN_ANEW);
        let mut lines = BufReader::new(File::open(&path).map_err(failed)?).split(b'\n');
        match lines.nth(task) {
            Some(line) => task_of(&path, task, &line.map_err(failed)?),
            None => Err(JobError::wrong(&path, format!("no line of task {task}"), PLAN_ANEW)),
        }
    }

    /// Where the part of a task is.
    pub fn part(&self, task: usize) -> PathBuf {
        self.root.join(PARTS).join(task.to_string())
    }

    /// Where a file beside a part is, called after what it holds.
    pub fn beside(&self, task: usize, what: &str) -> PathBuf {
        self.root.join(PARTS).join(format!("{task}.{what}"))
    }

    /// The bytes of a part; `None` where there is none.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub fn read_part(&self, task: usize) -> Result<Option<Vec<u8>>, JobError> {
        let path = self.part(task);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(JobError::io(&path, &error, "simic shard exec makes it anew")),
        }
    }

    /// Writes a part, whole or not at all; one that is there is replaced.
    ///
    /// # Errors
    /// A part that cannot be written.
    pub fn write_part(&self, task: usize, bytes: &[u8]) -> Result<(), JobError> {
        let path = self.part(task);
        let write = || {
            let mut file = AtomicFile::create_within(&self.root.join(UNDER_WAY), &path)?;
            file.write_all(bytes)?;
            file.commit()
        };
        write().map_err(|error| {
            JobError::io(&path, &error, "make room or wait, and try again; nothing half-written is left")
        })
    }

    /// Fingerprint of a file beside a part; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn fingerprint_beside(&self, task: usize, what: &str) -> Result<Option<String>, JobError> {
        let path = self.beside(task, what);
        match fingerprint(&path, FINGERPRINT_BYTES) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(JobError::io(&path, &error, "simic shard exec makes it anew")),
        }
    }

    /// Removes parts of tasks beyond so many, which an earlier plan of more tasks has left.
    ///
    /// # Errors
    /// Parts that cannot be removed.
    pub fn remove_beyond(&self, n_tasks: usize) -> Result<(), JobError> {
        for name in self.strays(n_tasks)? {
            if name.starts_with(|first: char| first.is_ascii_digit()) {
                let path = self.root.join(PARTS).join(name);
                std::fs::remove_file(&path).map_err(|error| JobError::io(&path, &error, "remove it"))?;
            }
        }
        Ok(())
    }

    /// Names of files among the parts that are the part of no task of so many; hidden ones and those beside parts left out.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn strays(&self, n_tasks: usize) -> Result<Vec<String>, JobError> {
        let path = self.root.join(PARTS);
        let failed = |error: io::Error| JobError::io(&path, &error, PLAN_ANEW);
        let mut strays = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let number = name.split('.').next().and_then(|number| number.parse::<usize>().ok());
            if !name.starts_with('.') && number.is_none_or(|number| number >= n_tasks) {
                strays.push(name);
            }
        }
        strays.sort();
        Ok(strays)
    }
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
    format!("{:016x}", fnv1a(plan.iter().copied()))
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(path, true)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Fingerprints of files by name, as many at once as there are threads.
///
/// # Errors
/// The first file that cannot be read.
pub fn fingerprints_of(names: &[&str]) -> Result<BTreeMap<String, String>, JobError> {
    let one = |name: &&str| {
        let path = Path::new(name);
        let found = if is_url(name) {
            let found = Object::at(name).and_then(|object| object.fingerprint(name));
            found.map_err(|error| JobError::of_store(path, &error))?
        } else {
            fingerprint(path, FINGERPRINT_BYTES)
                .map_err(|error| JobError::io(path, &error, "is it still there?"))?
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
        let folder = JobFolder::at(&directory.path().join("job"));
        assert!(!folder.has_job() && folder.job().is_err());
        folder.write(&job(&plan()), &plan()).expect("written");
        let read = folder.job().expect("a job");
        assert_eq!(read, job(&plan()));
        let tasks = folder.tasks(&read).expect("tasks");
        assert_eq!((tasks.len(), &folder.task(&read, 1).expect("a task")), (2, &tasks[1]));
        assert!(folder.task(&read, 2).is_err());
        let other = JobDocument { plan_hash: "0".to_owned(), ..read };
        assert!(folder.tasks(&other).is_err());
    }

    #[test]
    fn files_that_are_no_parts_are_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let folder = JobFolder::at(directory.path());
        folder.write(&job(&plan()), &plan()).expect("written");
        folder.write_part(1, b"x").expect("written");
        for name in ["1.rows.parquet", ".hidden", "7", "notes"] {
            std::fs::write(directory.path().join("parts").join(name), "").expect("written");
        }
        assert_eq!(folder.strays(2).expect("a folder"), ["7", "notes"]);
        assert_eq!(folder.read_part(1).expect("readable"), Some(b"x".to_vec()));
        assert_eq!(folder.read_part(0).expect("readable"), None);
        folder.remove_beyond(2).expect("removed");
        assert_eq!(folder.strays(2).expect("a folder"), ["notes"]);
    }

    #[test]
    fn what_is_not_there_does_not_come_by_waiting() {
        assert!(
            !may_pass(&io::ErrorKind::NotFound.into()) && !may_pass(&io::ErrorKind::PermissionDenied.into())
        );
        assert!(may_pass(&io::ErrorKind::StorageFull.into()) && may_pass(&io::ErrorKind::TimedOut.into()));
    }
}
