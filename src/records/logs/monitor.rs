//! Figures in CSV: a monitor's (`#{json}`, then `r,l,t`, a row an episode) and `progress.csv` (a row an iteration).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Log, Point, damaged};
use crate::records::error::{Problem, RecordError};

/// What the files are called in messages.
const MONITOR: &str = "monitor's CSV";
const PROGRESS: &str = "progress.csv";

/// Whether a file is a monitor's, by how it begins: `#{`, after a mark of its encoding and with blanks between, as some
/// writers have it.
pub(super) fn is_monitor(bytes: &[u8]) -> bool {
    header(bytes).is_some_and(|rest| rest.starts_with(b"{"))
}

/// What follows the sign of a comment at the beginning of a file.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.strip_prefix(b"#").map(<[u8]>::trim_ascii_start)
}

/// Reads a monitor's file: returns and lengths of episodes, in the order of their ends.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Log, RecordError> {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, rest) = bytes.split_at(end);
    let head: Value = serde_json::from_slice(header(head).unwrap_or_default())
        .map_err(|error| damaged(name, MONITOR, format!("its first line: {error}")))?;
    let start = head.get("t_start").and_then(Value::as_f64).unwrap_or(0.0);
    let mut log = Log {
        task: head.get("env_id").and_then(Value::as_str).filter(|task| *task != "None").map(str::to_owned),
        ..Log::default()
    };
    let table = Table { name, format: MONITOR, first_line: 2 };
    let columns = table.read(&rest[rest.len().min(1)..], &mut log.notes)?;
    let of = |column: &str| columns.iter().find(|(name, _)| name == column).map(|(_, cells)| cells);
    let (Some(returns), Some(lengths)) = (of("r"), of("l")) else {
        return Err(damaged(name, MONITOR, "no columns r and l of numbers"));
    };
    let places = places(start, of("t"));
    let place = |row: usize| places.get(&row).copied().unwrap_or(start + row as f64);
    for (tag, cells) in [("return", returns), ("length", lengths)] {
        let points = cells.iter().map(|(row, value)| Point { place: place(*row), value: *value });
        log.points.insert(tag.to_owned(), points.collect());
    }
    Ok(log)
}

/// Times of rows. Environments of one run go on side by side: time puts their episodes in order. Where it goes back a monitor
/// went on after a break, with a clock of its own: its episodes come after those before.
fn places(start: f64, times: Option<&Cells>) -> BTreeMap<usize, f64> {
    let (mut offset, mut last) = (start, f64::NEG_INFINITY);
    let mut places = BTreeMap::new();
    for (row, time) in times.into_iter().flatten() {
        if offset + time < last {
            offset = last;
        }
        last = offset + time;
        places.insert(*row, last);
    }
    places
}

/// Reads `progress.csv`: every column of numbers.
pub(super) fn read_progress(name: &str, bytes: &[u8]) -> Result<Log, RecordError> {
    let table = Table { name, format: PROGRESS, first_line: 1 };
    let mut log = Log::default();
    for (tag, cells) in table.read(bytes, &mut log.notes)? {
        let points: Vec<Point> =
            cells.into_iter().map(|(row, value)| Point { place: row as f64, value }).collect();
        if !points.is_empty() {
            log.points.insert(tag, points);
        }
    }
    Ok(log)
}

/// A table in CSV.
struct Table<'a> {
    name: &'a str,
    format: &'static str,
    first_line: usize,
}

/// Numbers of a column, each with its row.
type Cells = Vec<(usize, f64)>;

impl Table<'_> {
    /// Columns of numbers; cells that are empty are left out, a column with text in it is none.
    ///
    /// A last line without its end and with too few cells is one that the trainer did not get to write.
    fn read(&self, bytes: &[u8], notes: &mut Vec<String>) -> Result<Vec<(String, Cells)>, RecordError> {
        let n_whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let headers = reader.headers().map_err(|error| damaged(self.name, self.format, error.to_string()))?;
        let names: Vec<String> = headers.iter().map(|name| name.trim().to_owned()).collect();
        let mut columns: Vec<Option<Cells>> = vec![Some(Vec::new()); names.len()];
        for (row, record) in reader.records().enumerate() {
            let record = record.map_err(|error| damaged(self.name, self.format, error.to_string()))?;
            let start = record.position().map_or(0, csv::Position::byte);
            if start >= n_whole as u64 && record.len() < names.len() {
                let line = row + self.first_line + 1;
                notes.push(format!("{}: line {line} is cut off, as a stopped trainer leaves it", self.name));
                break;
            }
            if record.len() > names.len() {
                let detail = format!(
                    "line {}: {} cells under {} columns",
                    row + self.first_line + 1,
                    record.len(),
                    names.len()
                );
                return Err(damaged(self.name, self.format, detail));
            }
            for (cell, column) in record.iter().zip(&mut columns) {
                let cell = cell.trim();
                // Loggers of Python write what there is nothing of as None.
                if cell.is_empty() || cell == "None" {
                    continue;
                }
                match (cell.parse::<f64>(), &mut *column) {
                    (Ok(value), Some(cells)) => cells.push((row, value)),
                    (Err(_), _) => *column = None,
                    (Ok(_), None) => {}
                }
            }
        }
        let columns: Vec<(String, Cells)> =
            names.into_iter().zip(columns).filter_map(|(name, cells)| Some((name, cells?))).collect();
        if columns.iter().all(|(_, cells)| cells.is_empty()) {
            return Err(RecordError::file(self.name, Problem::NoRows));
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(log: &Log, tag: &str) -> Vec<f64> {
        log.points[tag].iter().map(|point| point.value).collect()
    }

    #[test]
    fn a_monitor_has_returns_and_lengths_of_episodes() {
        let text = "#{\"t_start\": 100.0, \"env_id\": \"CartPole-v1\"}\nr,l,t\n10.0,10,0.5\n21.5,21,1.5\n";
        let log = read("m", text.as_bytes()).expect("figures");
        assert_eq!(log.task.as_deref(), Some("CartPole-v1"));
        assert_eq!((values(&log, "return"), values(&log, "length")), (vec![10.0, 21.5], vec![10.0, 21.0]));
        assert_eq!(log.points["return"][1].place, 101.5);
        let cut = read("m", format!("{text}1").as_bytes()).expect("figures");
        assert_eq!((&cut.points, cut.notes.len()), (&log.points, 1));
        assert!(read("m", b"#{nothing\nr,l,t\n1,1,1\n").is_err());
        assert!(read("m", b"#{}\na,b\n1,2\n").is_err());
        assert!(read("m", b"#{}\nr,l,t\n").is_err());
    }

    #[test]
    fn progress_has_a_figure_for_every_column_of_numbers() {
        let text = "rollout/ep_rew_mean,train/loss,name\n,0.5,a\n10,0.25,b\n12,nan,c\n";
        let log = read_progress("p", text.as_bytes()).expect("figures");
        assert_eq!(log.points.keys().collect::<Vec<_>>(), ["rollout/ep_rew_mean", "train/loss"]);
        assert_eq!(values(&log, "rollout/ep_rew_mean"), [10.0, 12.0]);
        assert!(values(&log, "train/loss")[2].is_nan());
        assert!(read_progress("p", b"a,b\n1,2,3\n").is_err());
    }
}
