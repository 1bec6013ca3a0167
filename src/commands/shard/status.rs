//! `simic shard status`.

use rayon::prelude::*;

use super::task::sound_part;
use crate::commands::{CommandError, Context, Outcome};
use crate::records::JobFolder;
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
    let look = |task: &TaskRow| -> Result<Option<MissingPart>, CommandError> {
        let reason = match folder.read_part(task.id)? {
            None => None,
            Some(bytes) => match sound_part(folder, &job, task, &bytes) {
                Ok(_) => return Ok(None),
                Err(error) => Some(error.to_string()),
            },
        };
        Ok(Some(MissingPart { task: task.id, reason }))
    };
    let looked: Vec<Result<Option<MissingPart>, CommandError>> = tasks.par_iter().map(look).collect();
    let missing: Vec<MissingPart> =
        looked.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let document = JobStatusDocument {
        schema: JOB_STATUS_SCHEMA.to_owned(),
        verb: job.verb,
        n_tasks: tasks.len(),
        n_done: tasks.len() - missing.len(),
        stages: job.stages,
        missing,
    };
    context.write(|out| write_job_status(&document, context.format(), &context.screen(), out))?;
    Ok(if document.missing.is_empty() { Outcome::Clean } else { Outcome::Findings })
}
