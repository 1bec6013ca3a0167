//! Logs of figures: what trainers write of returns and losses beside, or in place of, a recording.
//!
//! Monitors' CSV files (a row an episode), `progress.csv` and `result.json` (a row an iteration), TensorBoard's event files.
//! Each gives curves; there are no steps or coalitions in them.

mod discovery;
mod events;
mod lines;
mod monitor;

use std::collections::BTreeMap;
use std::path::Path;

pub use discovery::{LogFiles, discover_logs};

use super::error::{Problem, RecordError};
use super::sources::InputFile;

/// Values of one figure of one run, in the order of its steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The run: the folder of its files.
    pub run: String,
    /// The task, where a log says.
    pub task: Option<String>,
    /// What is logged.
    pub tag: String,
    /// Its values.
    pub values: Vec<f64>,
}

/// One value of a figure.
#[derive(Debug, Clone, PartialEq)]
struct Point {
    /// Where it comes among the others: a step, a time, the number of its row.
    place: f64,
    value: f64,
}

/// Points of one file by figure.
type Points = BTreeMap<String, Vec<Point>>;

/// What one file holds.
#[derive(Default)]
struct Log {
    task: Option<String>,
    points: Points,
    notes: Vec<String>,
}

/// The curves of some files, and remarks for the user.
#[derive(Debug, Default)]
pub struct Curves {
    /// Curves in order of task, tag and run.
    pub curves: Vec<Curve>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// Reads the curves of `files`; those of one folder are of one run.
///
/// # Errors
/// Damaged files, and files without figures.
pub fn read_logs(files: &[InputFile]) -> Result<Curves, RecordError> {
    let mut all: BTreeMap<(Option<String>, String, String), Vec<Point>> = BTreeMap::new();
    let mut read = Curves::default();
    for file in files {
        let log = read_log(file)?;
        read.notes.extend(log.notes);
        for (tag, points) in log.points {
            all.entry((log.task.clone(), tag, file.run.clone())).or_default().extend(points);
        }
    }
    read.curves = (all.into_iter())
        .map(|((task, tag, run), mut points)| {
            points.sort_by(|a, b| a.place.total_cmp(&b.place));
            Curve { run, task, tag, values: points.into_iter().map(|point| point.value).collect() }
        })
        .collect();
    if read.curves.is_empty() {
        let name = files.first().map(|file| file.name.clone()).unwrap_or_default();
        return Err(RecordError::file(name, Problem::NoRows));
    }
    Ok(read)
}

fn read_log(file: &InputFile) -> Result<Log, RecordError> {
    let bytes = file.place.read_whole(&file.name)?;
    let name = file.name.rsplit(['/', '\\']).next().unwrap_or_default();
    if name.contains(".tfevents.") {
        events::read(&file.name, &bytes)
    } else if bytes.starts_with(b"#{") {
        monitor::read(&file.name, &bytes)
    } else if Path::new(name).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        lines::read(&file.name, &bytes)
    } else {
        monitor::read_progress(&file.name, &bytes)
    }
}

fn damaged(name: &str, format: &'static str, detail: impl Into<String>) -> RecordError {
    RecordError::file(name, Problem::Unreadable { format, detail: detail.into() })
}
