//! `simic shard plan`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;

use super::asked::Asked;
use super::cutting::{Relayed, relayed};
use super::task::Divisible;
use super::{Parser, VERSION};
use crate::commands::memory::parse_bytes;
use crate::commands::{CommandError, Context, Outcome};
use crate::records::{InputFile, JobFolder, bytes_in_words, fingerprints_of, plan_hash};
use crate::report::write_job;
use crate::results::{JOB_SCHEMA, JobDocument, JobRecording, TaskInput, TaskRow, settings_hash};
use crate::shards::{Division, Task, divide};

/// Bytes that a task reads unless told otherwise.
const DEFAULT_TARGET: u64 = 64_000_000;

/// Divides a command into tasks that any machine can compute, and writes them to JOB/job.json and JOB/plan.jsonl.
///
/// The games of a run's episode are never divided. A run is cut by normalize stats, replay and compare, between updates where it
/// is longer than a task is to be; its tasks come in stages then. Tasks read what they need of the files that the command names, so
/// every machine has to see them under the same paths.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic shard plan job -- analyze shapley runs/
  simic shard plan job --target-bytes 1GB -- analyze interactions runs/ --index fsii --order 3
  simic shard plan job --force -- analyze ablation 'runs/**/*.parquet'")]
pub struct PlanArgs {
    /// Folder of the job, made where there is none, or its URL in an object store: s3://bucket/jobs/a
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
    /// Bytes that one task reads, about: 64MB, 1GiB [default: 64MB]
    #[arg(long, value_name = "SIZE", value_parser = parse_target)]
    pub target_bytes: Option<u64>,
    /// The command with its flags
    #[arg(last = true, required = true, value_name = "VERB RUNS", allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// Bytes of a task: some.
fn parse_target(text: &str) -> Result<u64, String> {
    match parse_bytes(text)? {
        0 => Err("a task reads one byte at least".to_owned()),
        n_bytes => Ok(n_bytes),
    }
}

/// Looks at the files, divides, writes, reports.
///
/// # Errors
/// A command that cannot be divided, unreadable input, a folder that is there or cannot be written.
pub(super) fn run(args: &PlanArgs, parser: &Parser<'_>, context: &Context) -> Result<Outcome, CommandError> {
    let folder = JobFolder::at(&args.job)?;
    if folder.has_job()? && !context.common.force {
        return Err(CommandError::usage(
            format!("{} holds a job", args.job.display()),
            "--force replaces it; parts that fit the new plan stay, others are made anew",
        ));
    }
    context.check_output()?;
    let (asked, settings) = understood(args, parser, context)?;
    let own = &asked.context;
    let files = own.discover(asked.verb.runs())?.files;
    if let Some(file) = files.iter().find(|file| !file.can_be_named_again()) {
        return Err(CommandError::usage(
            format!(
                "{} can be read only once or by a signed address, and every task has to read its share",
                file.name
            ),
            "write it to a file first",
        ));
    }
    let place = |file: &InputFile| file.path_on_disk().unwrap_or(Path::new(&file.name)).to_owned();
    if let Some(file) = files.iter().find(|file| folder.holds(&place(file))) {
        return Err(CommandError::usage(
            format!("{} lies in {}, which is to be the job's own folder", file.name, args.job.display()),
            "name another folder for the job: what lies in one is no recording any more",
        ));
    }
    let divisible = asked.verb.divisible(&files, own)?;
    Context::check_unchanged(&divisible.files)?;
    let target_bytes = args.target_bytes.unwrap_or(DEFAULT_TARGET);
    let tasks = divide(&divisible.units, Division { target_bytes, ..divisible.how });
    let inputs = fingerprints(&divisible.files)?;
    let relayed = relayed(
        task_rows(&tasks, &divisible, &inputs),
        divisible.cutting.as_ref(),
        &divisible.units,
        target_bytes,
    );
    let rows = &relayed.rows;
    let plan = lines(rows);
    let mut runs: Vec<&String> = rows.iter().flat_map(|row| &row.units).collect();
    runs.sort_unstable();
    runs.dedup();
    let n_runs = (!divisible.order.is_empty()).then_some(divisible.order.len());
    let job = JobDocument {
        schema: JOB_SCHEMA.to_owned(),
        simic: VERSION.to_owned(),
        verb: asked.verb.name().to_owned(),
        arguments: asked.arguments.clone(),
        added: asked.added.clone(),
        settings_hash: settings_hash(&settings),
        settings,
        directory: std::env::current_dir().map_or_else(|_| String::new(), |path| path.display().to_string()),
        target_bytes,
        n_tasks: rows.len(),
        stages: relayed.stages.clone(),
        plan_hash: plan_hash(&plan),
        undivided: undivided(&relayed, target_bytes, &divisible),
        beside: asked.verb.beside(own),
        recording: JobRecording {
            n_runs: n_runs.unwrap_or(runs.len()),
            cut_runs: relayed.runs.clone(),
            ..divisible.recording.clone()
        },
        inputs,
        job_hash: String::new(),
    };
    folder.write(&job, &plan)?;
    folder.remove_beyond(job.n_tasks)?;
    for reason in &job.undivided {
        context.console.note(reason);
    }
    if let Some(stages) = stages(&job.stages) {
        context.console.note(&stages);
    }
    let place = args.job.display().to_string();
    context.write(|out| write_job(&job, &place, context.format(), &context.screen(), out))?;
    Ok(Outcome::Clean)
}

/// What is asked, and its settings: those of the surroundings that would change nothing are left out.
fn understood(
    args: &PlanArgs,
    parser: &Parser<'_>,
    context: &Context,
) -> Result<(Asked, serde_json::Value), CommandError> {
    let mut without = BTreeSet::new();
    loop {
        let asked = (parser.typed)(&args.command, &without)?;
        asked.check_same_reading(context)?;
        let settings =
            asked.verb.check_view(&asked.context).and_then(|()| asked.verb.settings(&asked.context));
        match settings {
            Err(CommandError::Idle { flag, reason, .. }) if asked.added.contains_key(flag) => {
                context.console.note(&format!("{flag}, from {}, {reason}: left out", asked.added[flag]));
                without.insert(flag.to_owned());
            }
            Err(error) => return Err(error),
            Ok(settings) => {
                for (flag, origin) in &asked.added {
                    context.console.note(&format!("--{flag}, from {origin}"));
                }
                return Ok((asked, settings));
            }
        }
    }
}

/// Fingerprints of files by name; one file may be looked at in several ways.
fn fingerprints(files: &[InputFile]) -> Result<BTreeMap<String, String>, CommandError> {
    let mut names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(fingerprints_of(&names)?)
}

fn task_rows(tasks: &[Task], divisible: &Divisible, inputs: &BTreeMap<String, String>) -> Vec<TaskRow> {
    let places: BTreeMap<&str, usize> =
        divisible.order.iter().enumerate().map(|(place, run)| (run.as_str(), place)).collect();
    let input = |place: usize, file: &InputFile, parts: &Option<Vec<usize>>| TaskInput {
        place,
        name: file.name.clone(),
        fingerprint: inputs.get(&file.name).cloned().unwrap_or_default(),
        run: file.run.clone(),
        found: file.origin,
        parts: parts.clone(),
    };
    let row = |(id, task): (usize, &Task)| TaskRow {
        id,
        inputs: task
            .files
            .iter()
            .map(|read| input(read.file, &divisible.files[read.file], &read.parts))
            .collect(),
        // Of a run without a sound row nothing is found.
        units: (task.runs.iter())
            .filter(|run| places.is_empty() || places.contains_key(run.as_str()))
            .cloned()
            .collect(),
        places: task.runs.iter().filter_map(|run| places.get(run.as_str())).copied().collect(),
        share: task.share,
        stretch: None,
        bytes: task.n_bytes,
    };
    tasks.iter().enumerate().map(row).collect()
}

fn lines(rows: &[TaskRow]) -> Vec<u8> {
    let mut lines = Vec::new();
    for row in rows {
        // A row of texts and numbers is always JSON.
        lines.extend(serde_json::to_vec(row).unwrap_or_default());
        lines.push(b'\n');
    }
    lines
}

/// Which tasks come before which, where that matters.
fn stages(n_tasks: &[usize]) -> Option<String> {
    let mut next = 0;
    let stretch = |n: &usize| {
        let first = next;
        next += n;
        if *n == 1 { first.to_string() } else { format!("{first}-{}", next - 1) }
    };
    let stretches: Vec<String> = n_tasks.iter().map(stretch).collect();
    let (first, later) = stretches.split_first()?;
    Some(format!(
        "a run that is cut is gone through in stages: tasks {first}, then {}",
        later.join(", then ")
    ))
}

/// Why tasks are larger than they were to be.
fn undivided(relayed: &Relayed, target_bytes: u64, divisible: &Divisible) -> Vec<String> {
    let mut reasons = divisible.undivided.clone();
    reasons.extend(relayed.reasons.iter().cloned());
    let (cut, large): (Vec<&TaskRow>, Vec<&TaskRow>) =
        relayed.rows.iter().filter(|row| row.bytes > target_bytes).partition(|row| row.stretch.is_some());
    if let Some(largest) = cut.iter().max_by_key(|row| row.bytes) {
        let most = bytes_in_words(largest.bytes);
        reasons.push(format!(
            "stretches of runs read more than was asked, up to {most}: a run is cut between updates, where so many rows as are handled together end, and whole row groups are read"
        ));
    }
    if let Some(largest) = large.iter().max_by_key(|row| row.bytes) {
        let (n, most) = (large.len(), bytes_in_words(largest.bytes));
        let tasks = if n == 1 { "1 task reads".to_owned() } else { format!("{n} tasks read") };
        let shares = if largest.share.is_some() {
            "; its games are shared out over tasks that each read all of it"
        } else {
            ""
        };
        reasons.push(format!(
            "{tasks} more than was asked, up to {most}: what belongs to one run is read together{shares}"
        ));
    }
    reasons
}
