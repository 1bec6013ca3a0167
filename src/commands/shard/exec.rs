//! `simic shard exec`.

use std::path::PathBuf;

use clap::Args;

use super::asked::Asked;
use super::merge::{check_settings, check_version};
use super::task::{BUG, JobTask, sound_part};
use super::{Parser, VERSION};
use crate::commands::{CommandError, CommonArgs, Context, Outcome};
use crate::records::{InputFile, JobFolder, ListedFile, fingerprints_of, is_url, listed_files};
use crate::results::{JobDocument, TaskInput, TaskRow};
use crate::shards::{PART_SCHEMA, PartHeader, sealed_part};
use crate::signals;

/// Computes one task and writes its part, whole or not at all; does nothing where a sound part is there.
///
/// Exit code 0: the part is there; 75: what failed may pass, try again; 3: the input or the job is at fault, and another try
/// would fail as well.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic shard exec job --task 0
  simic shard exec job --task-env SLURM_ARRAY_TASK_ID")]
pub struct ExecArgs {
    /// Folder of the job, or its URL in an object store
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
    /// Number of the task, from 0
    #[arg(long, value_name = "N", required_unless_present = "task_env")]
    pub task: Option<usize>,
    /// Environment variable that holds the number of the task
    #[arg(long, value_name = "VAR", conflicts_with = "task")]
    pub task_env: Option<String>,
    /// End when standard input ends: a task does not outlive who started it
    #[arg(long)]
    pub until_stdin_ends: bool,
}

/// Reads, computes, writes the part.
///
/// # Errors
/// [`CommandError::Again`] for what may pass; else what is wrong with the job or its input.
pub(super) fn run(args: &ExecArgs, parser: &Parser<'_>, context: &Context) -> Result<Outcome, CommandError> {
    if args.until_stdin_ends {
        signals::end_when_stdin_ends();
    }
    let task = number(args)?;
    compute(&JobFolder::at(&args.job)?, task, parser, context).map_err(CommandError::or_again)?;
    Ok(Outcome::Clean)
}

fn number(args: &ExecArgs) -> Result<usize, CommandError> {
    let Some(variable) = &args.task_env else {
        return args.task.ok_or_else(|| CommandError::usage("no task is named", "add --task N"));
    };
    let hint = "name the variable that your scheduler numbers tasks by, from 0";
    let value = std::env::var(variable).map_err(|_| {
        CommandError::usage(format!("--task-env {variable}: there is no such variable"), hint)
    })?;
    value
        .trim()
        .parse()
        .map_err(|_| CommandError::usage(format!("--task-env {variable}: '{value}' is no task"), hint))
}

fn compute(
    folder: &JobFolder,
    task: usize,
    parser: &Parser<'_>,
    context: &Context,
) -> Result<(), CommandError> {
    let job = folder.job()?;
    check_version(&job)?;
    let task = folder.task(&job, task)?;
    if let Some(part) = folder.read_part(task.id, &job.beside)?
        && sound_part(folder, &job, &task, &part).is_ok()
    {
        context.console.detail(&format!("task {}: its part is there", task.id));
        return Ok(());
    }
    let asked = (parser.stored)(&job.arguments)?;
    check_settings(&asked, &job)?;
    check_inputs(&job, &task)?;
    let own = task_context(&asked, context);
    let files = files_of(&task, &own)?;
    let find = asked.verb.find(JobTask { job: &job, task: &task, folder }, &files, &own)?;
    check_inputs(&job, &task)?;
    let header = PartHeader {
        schema: PART_SCHEMA.to_owned(),
        simic: VERSION.to_owned(),
        task: task.id,
        settings_hash: job.settings_hash.clone(),
        plan_hash: job.plan_hash.clone(),
        task_hash: task.hash(),
        inputs: task.inputs.iter().map(|input| (input.name.clone(), input.fingerprint.clone())).collect(),
        beside: beside(folder, task.id, &find.beside)?,
        bytes: 0,
        hash: String::new(),
    };
    let part = sealed_part(header, &find.bytes)
        .map_err(|error| CommandError::State(error.to_string(), BUG.to_owned()))?;
    folder.write_part(task.id, &part)?;
    context.console.detail(&format!("task {}: {} bytes written", task.id, part.len()));
    Ok(())
}

/// Files beside a part with their fingerprints.
fn beside(folder: &JobFolder, task: usize, names: &[String]) -> Result<Vec<(String, String)>, CommandError> {
    let one = |name: &String| Ok((name.clone(), folder.fingerprint_beside(task, name)?.unwrap_or_default()));
    names.iter().map(one).collect()
}

/// The common flags of the job's command, with those about how this task works.
fn task_context(asked: &Asked, context: &Context) -> Context {
    let given = &context.common;
    asked.context.with(CommonArgs {
        // A part is the output.
        output: None,
        threads: given.threads,
        max_memory: given.max_memory.or(asked.context.common.max_memory),
        progress: given.progress,
        color: given.color,
        quiet: given.quiet,
        verbose: given.verbose,
        ..asked.context.common.clone()
    })
}

/// Refuses input that is not what the plan was made of.
fn check_inputs(job: &JobDocument, task: &TaskRow) -> Result<(), CommandError> {
    let names: Vec<&str> = task.inputs.iter().map(|input| input.name.as_str()).collect();
    if let Some(name) = names.iter().find(|name| !is_url(name) && !std::path::Path::new(name).exists()) {
        return Err(CommandError::State(
            format!("{name}: no such file; the job was planned in {}", job.directory),
            "run tasks in that folder, or plan with paths that hold everywhere".to_owned(),
        ));
    }
    let found = fingerprints_of(&names)?;
    let is_changed = |input: &&TaskInput| found.get(&input.name) != Some(&input.fingerprint);
    let changed: Vec<&str> = task.inputs.iter().filter(is_changed).map(|input| input.name.as_str()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(CommandError::State(
        format!("changed since the job was planned: {}", changed.join(", ")),
        "plan the job anew: simic shard plan --force".to_owned(),
    ))
}

fn files_of(task: &TaskRow, context: &Context) -> Result<Vec<InputFile>, CommandError> {
    let mut listed: Vec<ListedFile> = Vec::new();
    for input in &task.inputs {
        // A file that holds rows of two kinds is looked at once.
        if listed.last().is_none_or(|last| last.name != input.name) {
            listed.push(ListedFile {
                name: input.name.clone(),
                run: input.run.clone(),
                origin: input.found,
                parts: input.parts.clone(),
            });
        }
    }
    Ok(listed_files(&listed, context.layout(), context.budget())?)
}
