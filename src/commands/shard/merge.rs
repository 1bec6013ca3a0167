//! `simic shard merge`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use rayon::prelude::*;

use super::asked::Asked;
use super::{Parser, VERSION};
use crate::commands::common::ColorArg;
use crate::commands::{CommandError, CommonArgs, Completeness, Context, Outcome};
use crate::records::JobFolder;
use crate::results::{JobDocument, TaskInput, TaskRow, settings_hash};
use crate::shards::{CodecError, Counted, MergeError, PartHeader, open_part};

/// Prints what one machine would print: the same bytes, whatever the number of tasks and their order.
///
/// Takes the output flags of every command, and behind -- flags of the verb about what is shown. Parts that are missing,
/// damaged, doubled, or of another version, other settings or other input are refused by name.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic shard merge job
  simic shard merge job --format json -o shapley.json
  simic shard merge job -o values.svg -- --figure-kind bars
  simic shard merge job --allow-missing")]
pub struct MergeArgs {
    /// Folder of the job
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
    /// Print what the parts that are there come to, marked as partial
    #[arg(long)]
    pub allow_missing: bool,
    /// Flags of the verb about what is shown
    #[arg(last = true, value_name = "FLAGS", allow_hyphen_values = true)]
    pub flags: Vec<String>,
}

/// What to do where this program has contradicted itself.
pub(super) const BUG: &str = "this is a mistake of simic's: run the command on one machine, and report it";

/// The finds of a job's tasks.
#[derive(Debug)]
pub(super) struct Finds<'a> {
    /// The job.
    pub(super) job: &'a JobDocument,
    folder: &'a JobFolder,
    /// Its tasks that have a part.
    pub(super) tasks: Vec<TaskRow>,
    missing: BTreeSet<usize>,
}

/// Reads, checks, puts together, reports.
///
/// # Errors
/// Parts that are not those of the job, and what the verb refuses.
pub(super) fn run(args: &MergeArgs, parser: &Parser<'_>, context: &Context) -> Result<Outcome, CommandError> {
    let folder = JobFolder::at(&args.job);
    let job = folder.job()?;
    check_version(&job)?;
    let mut arguments = job.arguments.clone();
    arguments.extend(args.flags.iter().cloned());
    let asked = (parser.stored)(&arguments)?;
    let own = merged_context(&asked, context)?;
    check_settings(&asked, &job)?;
    asked.verb.check_view(&own)?;
    let tasks = folder.tasks(&job)?;
    let missing: BTreeSet<usize> =
        tasks.par_iter().map(|task| task.id).filter(|task| !folder.part(*task).is_file()).collect();
    if let Some(stray) = folder.strays(job.n_tasks)?.into_iter().next() {
        return Err(MergeError::Stray(stray).into());
    }
    if !missing.is_empty() && (!args.allow_missing || missing.len() == tasks.len()) {
        return Err(MergeError::Missing { missing: missing.into_iter().collect(), of: tasks.len() }.into());
    }
    let tasks = tasks.into_iter().filter(|task| !missing.contains(&task.id)).collect();
    let finds = Finds { job: &job, folder: &folder, tasks, missing };
    if let Some(sentence) = finds.completeness().sentence() {
        context.console.warn(sentence.trim_end_matches('.'));
    }
    asked.verb.conclude(finds, &own)
}

impl Finds<'_> {
    /// Whether all of them are there.
    pub(super) fn completeness(&self) -> Completeness {
        Completeness::of(&self.missing, self.job.n_tasks)
    }

    /// How the rows of each task count beside those of the tasks before it.
    pub(super) fn counted(&self) -> Vec<Counted> {
        let mut readings: BTreeSet<Vec<(&str, &Option<Vec<usize>>)>> = BTreeSet::new();
        let mut files: BTreeSet<&str> = BTreeSet::new();
        let mut counted = Vec::with_capacity(self.tasks.len());
        for TaskRow { inputs, .. } in &self.tasks {
            let reading = inputs.iter().map(|input| (input.name.as_str(), &input.parts)).collect();
            let is_first_reading = readings.insert(reading);
            let files_known = inputs.iter().filter(|input| !files.insert(input.name.as_str())).count();
            counted.push(Counted { is_first_reading, files_known });
        }
        counted
    }

    /// What the parts carry, in order of their tasks.
    ///
    /// # Errors
    /// Parts that are damaged or not those of the job, the first in order.
    pub(super) fn read<T: Send>(
        &self,
        decode: impl Fn(&[u8]) -> Result<T, CodecError> + Sync,
    ) -> Result<Vec<T>, CommandError> {
        let one = |task: &TaskRow| -> Result<T, CommandError> {
            let bytes = self.folder.read_part(task.id)?;
            let missing = || MergeError::Missing { missing: vec![task.id], of: self.job.n_tasks };
            let bytes = bytes.ok_or_else(missing)?;
            let find = sound_part(self.folder, self.job, task, &bytes)?;
            let damaged = |error: CodecError| MergeError::Damaged(task.id, error.to_string());
            Ok(decode(find).map_err(damaged)?)
        };
        let read: Vec<Result<T, CommandError>> = self.tasks.par_iter().map(one).collect();
        read.into_iter().collect()
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
    bytes: &'a [u8],
) -> Result<&'a [u8], CommandError> {
    let (header, find) = open_part(task.id, bytes)?;
    check_header(&header, job, task)?;
    for (what, expected) in &header.beside {
        let path = folder.beside(task.id, what);
        let found = folder.fingerprint_beside(task.id, what)?;
        if found.as_ref() != Some(expected) {
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
    if header.plan_hash != job.plan_hash {
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

/// Refuses a job of another version of the program.
///
/// # Errors
/// As said.
pub(super) fn check_version(job: &JobDocument) -> Result<(), CommandError> {
    if job.simic == VERSION {
        return Ok(());
    }
    Err(CommandError::State(
        format!("the job was planned with simic {}, and this is simic {VERSION}", job.simic),
        "plan and compute a job with one version".to_owned(),
    ))
}

/// Refuses arguments that ask something else than the job.
///
/// # Errors
/// As said.
pub(super) fn check_settings(asked: &Asked, job: &JobDocument) -> Result<(), CommandError> {
    let settings = asked.verb.settings(&asked.context)?;
    if settings_hash(&settings) == job.settings_hash {
        return Ok(());
    }
    let changed = changed_settings(&settings, &job.settings);
    Err(CommandError::State(
        format!("the job was planned under other settings: {changed}"),
        "flags behind -- may be about what is shown alone; files that flags name must be those of the plan"
            .to_owned(),
    ))
}

/// Names of settings that differ.
fn changed_settings(now: &serde_json::Value, then: &serde_json::Value) -> String {
    let (Some(now), Some(then)) = (now.as_object(), then.as_object()) else {
        return "all of them".to_owned();
    };
    let names: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    let changed: Vec<&str> =
        names.into_iter().filter(|name| now.get(*name) != then.get(*name)).map(String::as_str).collect();
    changed.join(", ")
}

/// The common flags of the job's command, with those about output that are given now.
fn merged_context(asked: &Asked, context: &Context) -> Result<Context, CommandError> {
    let given = &context.common;
    let settings =
        [("seed", given.seed != 0), ("column", !given.column.is_empty()), ("layout", given.layout.is_some())];
    if let Some((flag, _)) = settings.into_iter().find(|(_, is_given)| *is_given) {
        return Err(CommandError::usage(
            format!("--{flag} is a setting of the job, which was planned without it"),
            "name it where the job is planned: simic shard plan JOB -- VERB RUNS [flags]",
        ));
    }
    let own = asked.context.common.clone();
    let when = |given: ColorArg, own: ColorArg| if given == ColorArg::Auto { own } else { given };
    let is_narrowed = given.width.is_some();
    let common = CommonArgs {
        format: given.format.or(own.format.filter(|_| given.output.is_none())),
        output: given.output.clone().or(own.output.clone()),
        force: given.force || own.force,
        threads: given.threads.or(own.threads),
        max_memory: given.max_memory.or(own.max_memory),
        progress: when(given.progress, own.progress),
        width: given.width.or(own.width.filter(|_| !given.wide)),
        wide: given.wide || (own.wide && !is_narrowed),
        ascii: given.ascii || own.ascii,
        color: when(given.color, own.color),
        quiet: given.quiet || (own.quiet && !given.verbose),
        verbose: given.verbose || (own.verbose && !given.quiet),
        ..own
    };
    Ok(asked.context.with(common))
}
