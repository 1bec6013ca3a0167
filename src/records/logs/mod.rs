//! Logs of figures: what trainers write of returns and losses beside, or in place of, a recording.
//!
//! Monitors' CSV files (a row an episode), `progress.csv` and `result.json` (a row an iteration), TensorBoard's event files.
//! Each gives curves; there are no steps or coalitions in them.

mod discovery;
mod events;
mod lines;
mod monitor;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub use discovery::{LogFiles, discover_logs};

use super::copies::{RunSource, refuse_copies};
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
    /// The step from which on training went on: what earlier files of the run have of it and later ones was left.
    restarts_at: Option<f64>,
}

/// Who wrote a file. What several writers have of one figure of a run is told from the first of them alone: each puts its
/// points in an order of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Writer {
    Events,
    Progress,
    Results,
    Monitor,
}

impl Writer {
    fn name(self) -> &'static str {
        match self {
            Self::Events => "TensorBoard's event files",
            Self::Progress => "progress.csv",
            Self::Results => "result.json",
            Self::Monitor => "monitors' files",
        }
    }
}

/// Points of one figure of one run, by who wrote them.
type Written = BTreeMap<Writer, Vec<Point>>;

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
/// Damaged files, files without figures, and a file with the bytes of an earlier one: its run would count twice.
pub fn read_logs(files: &[InputFile]) -> Result<Curves, RecordError> {
    let mut all: BTreeMap<(Option<String>, String, String), Written> = BTreeMap::new();
    let mut read = Curves::default();
    let (mut overlapping, mut twice) = (BTreeSet::new(), BTreeSet::new());
    let mut with_points = Vec::new();
    for file in files {
        let (writer, log) = read_log(file)?;
        if !log.points.is_empty() {
            // Of whatever run: a copy of a folder has its own.
            with_points.push(RunSource { file, has_run_id: true });
        }
        read.notes.extend(log.notes);
        if let Some(step) = log.restarts_at {
            let of_run = all.iter_mut().filter(|((.., run), _)| *run == file.run);
            for points in of_run.filter_map(|(_, written)| written.get_mut(&Writer::Events)) {
                points.retain(|point| point.place < step);
            }
        }
        for (tag, points) in log.points {
            let known = all.entry((log.task.clone(), tag, file.run.clone())).or_default();
            let known = known.entry(writer).or_default();
            let last = known.iter().map(|point| point.place).fold(f64::NEG_INFINITY, f64::max);
            let first = points.iter().map(|point| point.place).fold(f64::INFINITY, f64::min);
            if writer == Writer::Events && first <= last {
                overlapping.insert(file.run.clone());
            }
            known.extend(points);
        }
    }
    refuse_copies(&with_points)?;
    for ((task, tag, run), written) in all {
        twice.extend(written.keys().zip(written.keys().skip(1)).map(|(a, b)| (run.clone(), *a, *b)));
        let Some((_, mut points)) = written.into_iter().next() else { continue };
        points.sort_by(|a, b| a.place.total_cmp(&b.place));
        let values = points.into_iter().map(|point| point.value).collect();
        read.curves.push(Curve { run, task, tag, values });
    }
    for run in overlapping {
        read.notes.push(format!("event files of run {run} have the same steps: points of all of them count"));
    }
    for (run, taken, left) in twice {
        let (taken, left) = (taken.name(), left.name());
        read.notes
            .push(format!("run {run} has figures in {taken} and in {left}: those of {taken} are taken"));
    }
    if read.curves.is_empty() {
        let name = files.first().map(|file| file.name.clone()).unwrap_or_default();
        return Err(RecordError::file(name, Problem::NoRows));
    }
    Ok(read)
}

fn read_log(file: &InputFile) -> Result<(Writer, Log), RecordError> {
    let bytes = file.place.read_whole(&file.name)?;
    let name = file.name.rsplit(['/', '\\']).next().unwrap_or_default();
    if name.contains(".tfevents.") {
        Ok((Writer::Events, events::read(&file.name, &bytes)?))
    } else if monitor::is_monitor(&bytes) {
        Ok((Writer::Monitor, monitor::read(&file.name, &bytes)?))
    } else if Path::new(name).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        Ok((Writer::Results, lines::read(&file.name, &bytes)?))
    } else {
        Ok((Writer::Progress, monitor::read_progress(&file.name, &bytes)?))
    }
}

fn damaged(name: &str, format: &'static str, detail: impl Into<String>) -> RecordError {
    RecordError::file(name, Problem::Unreadable { format, detail: detail.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Curves {
        let folder = tempfile::tempdir().expect("a folder");
        let written: Vec<InputFile> = files
            .iter()
            .map(|(name, text)| {
                let path = folder.path().join(name);
                std::fs::write(&path, text).expect("written");
                InputFile { run: "a".to_owned(), ..InputFile::at(&path) }
            })
            .collect();
        read_logs(&written).expect("figures")
    }

    #[test]
    fn what_two_writers_have_of_a_figure_is_told_from_one_of_them() {
        let both =
            [("progress.csv", "loss,other\n3,1\n2,1\n"), ("result.json", "{\"loss\": 30}\n{\"loss\": 20}\n")];
        let Curves { curves, notes } = read(&both);
        let of = |tag: &str| curves.iter().find(|curve| curve.tag == tag).map(|curve| curve.values.clone());
        assert_eq!((of("loss"), of("other")), (Some(vec![3.0, 2.0]), Some(vec![1.0, 1.0])));
        assert_eq!(
            notes,
            ["run a has figures in progress.csv and in result.json: those of progress.csv are taken"]
        );
    }

    #[test]
    fn a_monitor_that_went_on_has_its_episodes_in_the_order_of_the_file() {
        let text = "\u{feff}# {\"t_start\": 5, \"env_id\": \"E\"}\nr,l,t\n1,1,1\n2,1,9\n3,1,0.5\n4,1,4\n";
        assert_eq!(read(&[("a.monitor.csv", text)]).curves[1].values, [1.0, 2.0, 3.0, 4.0]);
    }
}
