//! `simic shard run`.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::Args;

use super::merge::check_version;
use super::task::sound_part;
use crate::commands::error::AGAIN;
use crate::commands::{CommandError, Context, Outcome};
use crate::progress::Progress;
use crate::records::{JobFolder, PartFiles, quoted};
use crate::results::{JobDocument, TaskRow};

/// Tries of a task whose failure may pass.
const TRIES: usize = 3;

/// Remarks of tasks that are told.
const MOST_REMARKS: usize = 20;

/// Computes all tasks that have no sound part, several at once, each by a process of its own.
///
/// What fails and may pass is tried three times. A process that is ended leaves what it has finished; run it again for the
/// rest. What several tasks warn of or note in the same words is told once.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic shard run job
  simic shard run job --workers 4 && simic shard merge job")]
pub struct RunArgs {
    /// Folder of the job, or its URL in an object store
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
    /// Tasks computed at once [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
}

/// Starts a process for every task without a part.
///
/// # Errors
/// The first task that failed, by its number.
pub(super) fn run(args: &RunArgs, context: &Context) -> Result<Outcome, CommandError> {
    let folder = JobFolder::at(&args.job)?;
    let job = folder.job()?;
    check_version(&job)?;
    folder.tidy();
    let tasks = folder.tasks(&job)?;
    let is_open = |task: &TaskRow, part: Option<PartFiles>| {
        part.is_none_or(|part| sound_part(&folder, &job, task, &part).is_err())
    };
    let open = folder.read_parts(&tasks, (&folder.parts()?, &job.beside), is_open)?;
    let open: Vec<TaskRow> =
        tasks.into_iter().zip(open).filter(|(_, is_open)| *is_open).map(|(task, _)| task).collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = args.workers.map_or(cores, usize::from).min(open.len().max(1));
    let threads = context.common.threads.map_or((cores / workers).max(1), usize::from);
    let program =
        std::env::current_exe().map_err(|source| CommandError::Output { target: "a task".into(), source })?;
    let progress = context.console.progress();
    progress.begin("computing tasks", open.len() as u64);
    let mut all = Computed::default();
    // Tasks of a stage go on from the parts of the one before.
    for stage in stages(&job, &open) {
        let of_stage = computed(stage, workers, &progress, &|task| {
            let mut command = Command::new(&program);
            command.args(["shard", "exec"]).arg(&args.job);
            command.args(["--task", &task.to_string(), "--threads", &threads.to_string()]);
            command.args(["--until-stdin-ends", "--no-config", "--progress", "never"]);
            // What this process was told by its environment stands in the job.
            for (name, _) in std::env::vars_os() {
                if name.to_string_lossy().starts_with("SIMIC_") {
                    command.env_remove(name);
                }
            }
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
        });
        all.told.extend(of_stage.told);
        all.failures = of_stage.failures;
        if !all.failures.is_empty() {
            break;
        }
    }
    drop(progress);
    let Computed { told, failures } = all;
    tell(&told, context);
    // The first one is the error.
    for (task, problem) in failures.iter().skip(1) {
        context.console.warn(&format!("task {task}: {}", problem.text));
    }
    match failures.first() {
        None => {
            let (n, of) = (open.len(), job.n_tasks);
            context.console.note(&format!(
                "{n} of {of} tasks computed; simic shard merge {}",
                quoted(&args.job.to_string_lossy())
            ));
            Ok(Outcome::Clean)
        }
        Some((task, problem)) => Err(CommandError::Tasks {
            failed: failures.len(),
            first: *task,
            may_pass: failures.iter().all(|(_, problem)| problem.may_pass),
            text: problem.text.clone(),
        }),
    }
}

/// What tasks remarked, in their order, each of it once.
fn tell(remarks: &[(usize, String)], context: &Context) {
    let mut told = BTreeSet::new();
    for line in remarks.iter().flat_map(|(_, text)| text.lines()) {
        let remark = line.strip_prefix("warning: ").or_else(|| line.strip_prefix("note: "));
        let Some(remark) = remark.filter(|remark| told.insert(*remark) && told.len() <= MOST_REMARKS) else {
            continue;
        };
        if line.starts_with("warning: ") {
            context.console.warn(remark);
        } else {
            context.console.note(remark);
        }
    }
    if let Some(n_more @ 1..) = told.len().checked_sub(MOST_REMARKS) {
        context.console.note(&format!("{n_more} more remarks of tasks are not shown"));
    }
}

/// Open tasks by stage, in order.
fn stages<'a>(job: &JobDocument, open: &'a [TaskRow]) -> Vec<&'a [TaskRow]> {
    let mut end = 0;
    let ends = job.stages.iter().map(|n_tasks| {
        end += n_tasks;
        end
    });
    let mut rest = open;
    let mut stages = Vec::new();
    for end in ends {
        let (stage, later) = rest.split_at(rest.partition_point(|task| task.id < end));
        stages.push(stage);
        rest = later;
    }
    stages.push(rest);
    stages
}

/// What tasks said, and those that failed, by their numbers.
#[derive(Default)]
struct Computed {
    told: Vec<(usize, String)>,
    failures: Vec<(usize, Failure)>,
}

/// Computes tasks, several at once.
fn computed(
    tasks: &[TaskRow],
    workers: usize,
    progress: &Progress,
    start: &(dyn Fn(usize) -> std::io::Result<Child> + Sync),
) -> Computed {
    let (next, tries) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let tried = tried(|| start(task.id));
            tries.lock().unwrap_or_else(PoisonError::into_inner).push((task.id, tried));
            progress.advance(1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers.min(tasks.len()) {
            scope.spawn(work);
        }
    });
    let mut tries = tries.into_inner().unwrap_or_else(PoisonError::into_inner);
    tries.sort_by_key(|(task, _)| *task);
    let mut computed = Computed::default();
    for (task, tried) in tries {
        match tried {
            Ok(text) => computed.told.push((task, text)),
            Err(failure) => computed.failures.push((task, failure)),
        }
    }
    computed
}

/// Why a task has no part.
struct Failure {
    text: String,
    may_pass: bool,
}

/// Runs a task, again where its failure may pass; gives what it said.
fn tried(start: impl Fn() -> std::io::Result<Child>) -> Result<String, Failure> {
    let mut last = Failure { text: String::new(), may_pass: true };
    for _ in 0..TRIES {
        match once(&start) {
            Ok(told) => return Ok(told),
            Err(failure) => last = failure,
        }
        if !last.may_pass {
            break;
        }
    }
    Err(last)
}

fn once(start: &impl Fn() -> std::io::Result<Child>) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure { text: error.to_string(), may_pass: true };
    let mut child = start().map_err(failed)?;
    // Open for as long as this process lives, and no longer: a task does not outlive it.
    let stdin = child.stdin.take();
    let mut told = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_end(&mut told).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    drop(stdin);
    let told = String::from_utf8_lossy(&told).into_owned();
    if status.success() {
        return Ok(told);
    }
    let text = match one_line(&told) {
        told if told.is_empty() => format!("ended with {status}"),
        told => told,
    };
    Err(Failure { text, may_pass: status.code() == Some(i32::from(AGAIN)) })
}

/// What a program said of its end in lines of their own, in one; without what it remarked before.
fn one_line(told: &str) -> String {
    let is_remark = |line: &&str| line.starts_with("warning: ") || line.starts_with("note: ");
    let lines = told.lines().map(str::trim).filter(|line| !line.is_empty() && !is_remark(line));
    lines.map(|line| line.trim_start_matches("error: ")).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_said_is_told_in_one_line() {
        assert_eq!(one_line("note: x\nerror: a.csv: gone\nhint: look\n"), "a.csv: gone; hint: look");
        assert_eq!(one_line("\n"), "");
    }
}
