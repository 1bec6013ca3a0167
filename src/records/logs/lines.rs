//! `result.json` of Tune and RLlib: a JSON object a line, an iteration each.

use serde_json::{Map, Value};

use super::{Log, Point, damaged};
use crate::records::error::RecordError;
use crate::records::literal::with_null_non_finite;

/// What the file is called in messages.
const FORMAT: &str = "result.json";

/// Nesting of figures: more is no result.
const MAX_DEPTH: usize = 8;

/// Settings and clocks, which are no figures of training.
const LEFT_OUT: [&str; 6] = ["config", "timers", "perf", "hist_stats", "info/learner_queue", "counters"];

/// Reads every number; names of nested ones are joined by slashes.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Log, RecordError> {
    let mut log = Log::default();
    let n_lines = bytes.split(|byte| *byte == b'\n').count();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let result = serde_json::from_slice::<Map<String, Value>>(&with_null_non_finite(line));
        match result {
            Ok(result) => add(&mut log, "", &result, number, 0),
            // Without its end a last line is one that the trainer did not get to write.
            Err(_) if number + 1 == n_lines => {
                log.notes
                    .push(format!("{name}: line {} is cut off, as a stopped trainer leaves it", number + 1));
            }
            Err(error) => return Err(damaged(name, FORMAT, format!("line {}: {error}", number + 1))),
        }
    }
    // What never is a number is no figure.
    log.points.retain(|_, points| points.iter().any(|point| !point.value.is_nan()));
    Ok(log)
}

fn add(log: &mut Log, prefix: &str, object: &Map<String, Value>, line: usize, depth: usize) {
    for (key, value) in object {
        let tag = if prefix.is_empty() { key.clone() } else { format!("{prefix}/{key}") };
        match value {
            Value::Number(number) => {
                let value = number.as_f64().unwrap_or(f64::NAN);
                log.points.entry(tag).or_default().push(Point { place: line as f64, value });
            }
            // NaN and infinities: figures that are not finite.
            Value::Null => {
                log.points.entry(tag).or_default().push(Point { place: line as f64, value: f64::NAN });
            }
            Value::Object(inner) if depth < MAX_DEPTH && !LEFT_OUT.contains(&&tag[..]) => {
                add(log, &tag, inner, line, depth + 1);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_figures_are_named_by_their_path() {
        let text = "{\"env_runners\": {\"episode_return_mean\": 10.5}, \"config\": {\"lr\": 0.1}, \"done\": false}\n\
                    {\"env_runners\": {\"episode_return_mean\": 12}, \"training_iteration\": 2}\n{\"env_runners\": {";
        let log = read("r", text.as_bytes()).expect("figures");
        assert_eq!(
            log.points.keys().collect::<Vec<_>>(),
            ["env_runners/episode_return_mean", "training_iteration"]
        );
        let values: Vec<f64> =
            log.points["env_runners/episode_return_mean"].iter().map(|p| p.value).collect();
        assert_eq!((values, log.notes.len()), (vec![10.5, 12.0], 1));
        assert!(read("r", b"{\"a\": \n{\"a\": 1}\n").is_err());
    }

    #[test]
    fn figures_that_are_not_finite_are_kept_where_there_are_others() {
        let log = read("r", b"{\"a\": 1, \"b\": null}\n{\"a\": NaN, \"b\": NaN}\n{\"a\": -Infinity}\n");
        let log = log.expect("figures");
        assert_eq!(log.points.keys().collect::<Vec<_>>(), ["a"]);
        let is_finite: Vec<bool> = log.points["a"].iter().map(|point| point.value.is_finite()).collect();
        assert_eq!(is_finite, [true, false, false]);
    }
}
