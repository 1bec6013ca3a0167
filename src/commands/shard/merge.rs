//! `simic shard merge`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::asked::Asked;
use super::cutting::is_taken_up;
use super::task::Finds;
use super::{Parser, VERSION};
use crate::commands::common::ColorArg;
use crate::commands::{CommandError, CommonArgs, Context, Outcome, is_read, read_at};
use crate::records::JobFolder;
use crate::report::Format;
use crate::results::{JobDocument, settings_hash};
use crate::shards::MergeError;

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
    /// Folder of the job, or its URL in an object store
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
    /// Print what the parts that are there come to, marked as partial
    #[arg(long)]
    pub allow_missing: bool,
    /// Flags of the verb about what is shown
    #[arg(last = true, value_name = "FLAGS", allow_hyphen_values = true)]
    pub flags: Vec<String>,
}

/// Reads, checks, puts together, reports.
///
/// # Errors
/// Parts that are not those of the job, and what the verb refuses.
pub(super) fn run(args: &MergeArgs, parser: &Parser<'_>, context: &Context) -> Result<Outcome, CommandError> {
    let folder = JobFolder::at(&args.job)?;
    folder.tidy();
    let job = folder.job()?;
    check_version(&job)?;
    let arguments = [&job.arguments[..], &args.flags[..]].concat();
    check_settings(&(parser.stored)(&arguments)?, &job)?;
    let tasks = folder.tasks(&job)?;
    let parts = folder.parts()?;
    // What a later stage has taken up is in its parts.
    let needed = tasks.iter().filter(|task| !is_taken_up(task)).map(|task| task.id);
    let (there, missing): (BTreeSet<usize>, BTreeSet<usize>) = needed.partition(|task| parts.has(*task));
    if let Some(stray) = parts.strays(job.n_tasks).into_iter().next() {
        return Err(MergeError::Stray(stray).into());
    }
    if !missing.is_empty() && (!args.allow_missing || there.is_empty()) {
        return Err(MergeError::Missing { missing: missing.into_iter().collect(), of: tasks.len() }.into());
    }
    let tasks = tasks.into_iter().filter(|task| !missing.contains(&task.id)).collect();
    let finds = Finds::new(&job, (&folder, parts), tasks, missing);
    for (run, n_missing) in finds.broken_runs() {
        let (id, of) = (&run.run_id, &run.n_stretches);
        let missing = if *of == n_missing {
            "nothing is there that says what it comes to".to_owned()
        } else {
            format!("{n_missing} of its {of} stretches are missing")
        };
        context.console.warn(&format!("run {id} is left out: {missing}"));
    }
    let mut partial = finds.completeness().sentence();
    let mut without: BTreeSet<&str> = BTreeSet::new();
    loop {
        let arguments = [&kept(&job.arguments, &without)[..], &args.flags[..]].concat();
        let mut asked = (parser.stored)(&arguments)?;
        asked.verb.name_inputs(&job);
        let own = merged_context(&asked, context)?;
        if let Some(sentence) = partial.take() {
            context.console.warn(&format!("{}{}", sentence.trim_end_matches('.'), unmarked(&own)));
        }
        check_place(own.common.output.as_deref(), &job, &folder)?;
        match asked.verb.check_view(&own).and_then(|()| asked.verb.conclude(&finds, &own)) {
            // A setting that stands there for other occasions is no mistake of this one.
            Err(CommandError::Idle { flag, reason, .. })
                if job.added.contains_key(flag) && !without.contains(flag) =>
            {
                context.console.note(&format!("{flag}, from {}, {reason}: left out", job.added[flag]));
                without.insert(flag);
            }
            outcome => return outcome,
        }
    }
}

/// What there is to add where a result itself does not say that it is partial.
fn unmarked(context: &Context) -> String {
    match context.format() {
        _ if context.is_drawn() => "; the picture does not say so".to_owned(),
        Format::Table | Format::Markdown | Format::Json => String::new(),
        format @ (Format::Ndjson | Format::Csv | Format::Parquet | Format::Arrow) => {
            format!("; {} has no conclusion, and does not say so", format.name())
        }
    }
}

/// Arguments without some flags.
fn kept(arguments: &[String], without: &BTreeSet<&str>) -> Vec<String> {
    let flag = |argument: &String| {
        let name = argument.strip_prefix("--").unwrap_or_default();
        name.split('=').next().unwrap_or_default().to_owned()
    };
    arguments.iter().filter(|argument| !without.contains(flag(argument).as_str())).cloned().collect()
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

/// Refuses an output in the place of what the job was computed from, or of the job.
///
/// # Errors
/// As said.
fn check_place(output: Option<&Path>, job: &JobDocument, folder: &JobFolder) -> Result<(), CommandError> {
    let Some(output) = output else { return Ok(()) };
    if let Some(name) = read_at(output, job.inputs.keys().map(|name| (&name[..], Path::new(name)))) {
        return Err(is_read(&format!("--output {name}")));
    }
    if folder.holds(output) {
        return Err(CommandError::usage(
            format!("--output {} is a file of the job", output.display()),
            "write the result elsewhere",
        ));
    }
    Ok(())
}

/// The common flags of the job's command, with those about output that are given now.
fn merged_context(asked: &Asked, context: &Context) -> Result<Context, CommandError> {
    asked.check_same_reading(context)?;
    let given = &context.common;
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
