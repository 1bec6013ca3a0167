//! `simic shard status`.

use super::task::sound_part;
use crate::commands::{CommandError, Context, Outcome};
use crate::records::{JobFolder, PartFiles};
use crate::report::write_job_status;
use crate::results::{JOB_STATUS_SCHEMA, JobStatusDocument, MissingPart, TaskRow};

/// Looks at all parts and reports.
///
/// # Errors
/// No job, or an output that cannot be written.
pub(super) fn run(folder: &JobFolder, context: &Context) -> Result<Outcome, CommandError> {
    context.check_output()?;
    let job = folder.job()?;
    let tasks = folder.tasks(&job)?;
    let parts = folder.parts()?;
    let look = |task: &TaskRow, part: Option<PartFiles>| {
        let reason = match part {
            None => None,
            Some(part) => Some(sound_part(folder, &job, task, &part).err()?.to_string()),
        };
        Some(MissingPart { task: task.id, reason })
    };
    let looked = folder.read_parts(&tasks, (&parts, &job.beside), look)?;
    let missing: Vec<MissingPart> = looked.into_iter().flatten().collect();
    let document = JobStatusDocument {
        schema: JOB_STATUS_SCHEMA.to_owned(),
        verb: job.verb,
        directory: job.directory,
        n_tasks: tasks.len(),
        n_done: tasks.len() - missing.len(),
        stages: job.stages,
        missing,
        strays: parts.strays(job.n_tasks),
    };
    context.write(|out| write_job_status(&document, context.format(), &context.screen(), out))?;
    let is_ready = document.missing.is_empty() && document.strays.is_empty();
    Ok(if is_ready { Outcome::Clean } else { Outcome::Findings })
}
