//! Renderings of jobs: what was planned, and what is there.

use std::io::{self, Write};

use super::Format;
use super::grid::{Column, Grid};
use super::page::Page;
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::results::{JobDocument, JobStatusDocument, MissingPart};

/// Writes what was planned in folder `place`.
///
/// # Errors
/// If writing fails.
pub fn write_job(
    job: &JobDocument,
    place: &str,
    format: Format,
    screen: &Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json | Format::Ndjson => line(job, out),
        Format::Csv | Format::Parquet | Format::Arrow => job_table(job).write(format, out),
        Format::Markdown | Format::Table => {
            let mut page = Page::new(format, screen, out);
            let mut grid = Grid::new(vec![
                Column::left("job").wraps(),
                Column::left("verb"),
                Column::right("tasks"),
                Column::right("runs"),
                Column::right("files"),
            ]);
            grid.row(vec![
                place.to_owned(),
                job.verb.clone(),
                job.n_tasks.to_string(),
                job.recording.n_runs.to_string(),
                job.inputs.len().to_string(),
            ]);
            page.grid(&grid)
        }
    }
}

/// Writes what is there of a job.
///
/// # Errors
/// If writing fails.
pub fn write_job_status(
    status: &JobStatusDocument,
    format: Format,
    screen: &Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => line(status, out),
        Format::Ndjson => status.missing.iter().try_for_each(|part| line(part, out)),
        Format::Csv | Format::Parquet | Format::Arrow => missing_table(status).write(format, out),
        Format::Markdown | Format::Table => {
            let mut page = Page::new(format, screen, out);
            page.line(&format!("{}: {} of {} parts are there.", status.verb, status.n_done, status.n_tasks))?;
            if let Some(strays) = listed(&status.strays) {
                page.line(&format!("Of no task, and refused by merge, among the parts: {strays}."))?;
            }
            if status.missing.is_empty() {
                return Ok(());
            }
            let mut grid = Grid::new(vec![Column::right("tasks"), Column::left("what is wrong").wraps()]);
            for (tasks, reason) in stretches(&status.missing) {
                grid.row(vec![tasks, reason.unwrap_or("missing").to_owned()]);
            }
            page.grid(&grid)
        }
    }
}

/// Neighbouring tasks that lack their parts, taken together; damaged ones each for itself.
fn stretches(missing: &[MissingPart]) -> Vec<(String, Option<&str>)> {
    let mut found: Vec<(usize, usize, Option<&str>)> = Vec::new();
    for part in missing {
        match found.last_mut() {
            Some((_, last, None)) if part.reason.is_none() && *last + 1 == part.task => *last = part.task,
            _ => found.push((part.task, part.task, part.reason.as_deref())),
        }
    }
    let text = |first, last| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    found.into_iter().map(|(first, last, reason)| (text(first, last), reason)).collect()
}

/// Some names, and how many there are besides.
fn listed(names: &[String]) -> Option<String> {
    const MOST: usize = 10;
    let shown = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    let n_more = names.len().saturating_sub(MOST);
    let more = if n_more > 0 { format!(" and {n_more} more") } else { String::new() };
    (!names.is_empty()).then(|| shown + &more)
}

fn line<T: serde::Serialize>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

fn job_table(job: &JobDocument) -> TidyTable {
    let whole = |n: usize| i64::try_from(n).ok();
    Tidy::new(std::slice::from_ref(job))
        .text("verb", |job| Some(job.verb.clone()))
        .int("tasks", |job| whole(job.n_tasks))
        .int("runs", |job| whole(job.recording.n_runs))
        .int("files", |job| whole(job.inputs.len()))
        .table()
}

fn missing_table(status: &JobStatusDocument) -> TidyTable {
    Tidy::new(&status.missing)
        .int("task", |part| i64::try_from(part.task).ok())
        .text("reason", |part| part.reason.clone())
        .table()
}
