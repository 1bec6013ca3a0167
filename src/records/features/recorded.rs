//! The statistics that a data set records beside its rows.
//!
//! v2.0 and v3.0 keep them over all rows in `meta/stats.json`, v2.1 over each episode in `meta/episodes_stats.jsonl`, v3.0 over each
//! episode in the columns `stats/FEATURE/STATISTIC` of `meta/episodes/`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use polars_arrow::array::{Array, BooleanArray};
use serde_json::Value;

use super::super::columns::{self, BadCells};
use super::super::error::{Problem, RecordError};
use super::super::layouts::in_store;
use super::super::literal::with_null_non_finite;
use super::super::part::Column;
use super::super::sources::InputFile;
use super::super::store_url::is_url_path;
use super::super::table::Table;
use super::set::FeatureSet;
use crate::normalization::{RecordedFeature, RecordedStatistics, Statistic};

/// Bytes of a file of statistics: more is no such file.
const MAX_BYTES: u64 = 256 << 20;

const OVERALL: &str = "meta/stats.json";
const EPISODES_LINES: &str = "meta/episodes_stats.jsonl";
const EPISODES_TABLES: &str = "meta/episodes";

/// What a data set records of its features.
#[derive(Debug, Clone, Default)]
pub struct RecordedSet {
    /// Features by name.
    pub features: BTreeMap<String, RecordedFeature>,
    /// Where statistics over all rows are recorded; `None` where they are not.
    pub overall: Option<&'static str>,
    /// Where those of episodes are; likewise.
    pub episodes: Option<&'static str>,
    /// The statistics over all rows as they lie in their file.
    pub text: Option<Value>,
}

impl FeatureSet {
    /// The statistics that are recorded; none where there are none.
    ///
    /// # Errors
    /// Files of them that cannot be read.
    pub fn recorded(&self) -> Result<RecordedSet, RecordError> {
        if is_url_path(self.root()) {
            let problem = in_store("statistics that lie beside the rows");
            return Err(RecordError::file(self.root().to_string_lossy(), problem));
        }
        let mut found = RecordedSet::default();
        if let Some(value) = json(&self.beside(OVERALL))? {
            found.overall = Some(OVERALL);
            let Some(features) = value.as_object() else {
                let what = "an object of features was expected".to_owned();
                return Err(damaged(&self.beside(OVERALL), what));
            };
            for (feature, statistics) in features {
                found.features.entry(feature.clone()).or_default().overall = Some(statistics_of(statistics));
            }
            found.text = Some(value);
        }
        if self.beside(EPISODES_LINES).is_file() {
            found.episodes = Some(EPISODES_LINES);
            self.read_lines(&mut found)?;
        } else {
            self.read_tables(&mut found)?;
        }
        Ok(found)
    }

    fn read_lines(&self, found: &mut RecordedSet) -> Result<(), RecordError> {
        let path = self.beside(EPISODES_LINES);
        let name = path.to_string_lossy().into_owned();
        let file = std::fs::File::open(&path).map_err(|error| RecordError::file(&name, error))?;
        for (number, line) in BufReader::new(file.take(MAX_BYTES)).split(b'\n').enumerate() {
            let line = line.map_err(|error| RecordError::file(&name, error))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let failed = |what: String| damaged(&path, format!("line {}: {what}", number + 1));
            let value: Value = serde_json::from_slice(&with_null_non_finite(&line))
                .map_err(|error| failed(error.to_string()))?;
            let episode = value.get("episode_index").and_then(Value::as_i64);
            let episode = episode.ok_or_else(|| failed("no episode_index".to_owned()))?;
            for (feature, statistics) in value.get("stats").and_then(Value::as_object).into_iter().flatten() {
                let feature = found.features.entry(feature.clone()).or_default();
                if feature.episodes.insert(episode, statistics_of(statistics)).is_some() {
                    return Err(failed(format!("episode {episode} comes once more")));
                }
            }
        }
        Ok(())
    }

    fn read_tables(&self, found: &mut RecordedSet) -> Result<(), RecordError> {
        let folder = self.beside(EPISODES_TABLES);
        let entries = walkdir::WalkDir::new(&folder).sort_by_file_name().into_iter().filter_map(Result::ok);
        let is_table = |path: &Path| path.extension().is_some_and(|extension| extension == "parquet");
        for entry in entries.filter(|entry| is_table(entry.path())) {
            let file = InputFile::at(entry.path()).within(self.files[0].budget);
            read_table(&Table::open(&file)?, found)?;
        }
        Ok(())
    }
}

/// Reads the episodes of a table.
fn read_table(table: &Table, found: &mut RecordedSet) -> Result<(), RecordError> {
    let is_statistic = |name: &String| name.starts_with("stats/");
    let names: Vec<String> = table.column_names().into_iter().filter(is_statistic).collect();
    if names.is_empty() {
        return Ok(());
    }
    found.episodes = Some(EPISODES_TABLES);
    let index = ["episode_index".to_owned()];
    for part in 0..table.parts().len() {
        let n_rows = table.parts()[part].n_rows;
        let mut bad = BadCells::default();
        let episodes = table.read(part, &index)?.pop();
        let episodes = episodes.map(|column| columns::ints(column, &index[0], &mut bad));
        let Some(episodes) = episodes.filter(|_| bad.cells.is_empty()) else {
            let (needed, found) = ("column episode_index".to_owned(), table.column_names());
            return Err(RecordError::file(table.name(), Problem::MissingColumns { needed, found }));
        };
        for name in &names {
            let Some((feature, statistic)) = name["stats/".len()..].rsplit_once('/') else { continue };
            let Some(statistic) = Statistic::parse(statistic) else { continue };
            let arrays = table.read_arrays(part, &(0..n_rows), std::slice::from_ref(name))?;
            let Some(rows) = arrays.first().and_then(|array| rows_of(&**array, n_rows)) else { continue };
            let feature = found.features.entry(feature.to_owned()).or_default();
            for (row, numbers) in rows.into_iter().enumerate().filter(|(_, numbers)| !numbers.is_empty()) {
                let episode = episodes.get(row);
                if feature.episodes.entry(episode).or_default().insert(statistic, numbers).is_some() {
                    let what = format!("episode {episode} comes once more");
                    return Err(RecordError::file(table.name(), Problem::DamagedDescription(what)));
                }
            }
        }
    }
    Ok(())
}

/// Lists of numbers or truth values, or single ones; `None` for those of pictures, which are nested.
fn rows_of(array: &dyn Array, n_rows: usize) -> Option<Vec<Vec<f64>>> {
    let numbers = |values: &dyn Array| -> Option<Vec<f64>> {
        if let Some(truths) = values.as_any().downcast_ref::<BooleanArray>() {
            return Some(truths.values_iter().map(|truth| f64::from(u8::from(truth))).collect());
        }
        let is_null = |at: usize| values.validity().is_some_and(|validity| !validity.get_bit(at));
        let numbers = columns::numbers(values)?;
        Some(numbers.iter().enumerate().map(|(at, x)| if is_null(at) { f64::NAN } else { *x }).collect())
    };
    if !columns::is_list(array.dtype()) {
        return Some(numbers(array)?.into_iter().map(|x| vec![x]).collect());
    }
    let mut bad = BadCells::default();
    let lists = columns::lists(Column::Values(array.to_boxed()), "", "a list of numbers", &mut bad)?;
    let values = numbers(&*lists.values)?;
    let is_null = |row: usize| array.validity().is_some_and(|validity| !validity.get_bit(row));
    let row = |row: usize| if is_null(row) { Vec::new() } else { values[lists.range(row)].to_vec() };
    Some((0..n_rows).map(row).collect())
}

/// The statistics of one feature, as JSON has them.
fn statistics_of(statistics: &Value) -> RecordedStatistics {
    let listed = statistics.as_object().into_iter().flatten();
    let numbers = |(name, value): (&String, &Value)| {
        let mut numbers = Vec::new();
        flatten(value, &mut numbers);
        Some((Statistic::parse(name)?, numbers))
    };
    listed.filter_map(numbers).collect()
}

/// Numbers of lists of any depth, one after the other; truth values are 0 and 1, what is null is no number.
fn flatten(value: &Value, numbers: &mut Vec<f64>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| flatten(value, numbers)),
        Value::Bool(truth) => numbers.push(f64::from(u8::from(*truth))),
        Value::Number(number) => numbers.push(number.as_f64().unwrap_or(f64::NAN)),
        Value::Null | Value::String(_) | Value::Object(_) => numbers.push(f64::NAN),
    }
}

/// A JSON file, NaN and infinities as nulls; `None` where there is none.
fn json(path: &Path) -> Result<Option<Value>, RecordError> {
    let Ok(file) = std::fs::File::open(path) else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|error| damaged(path, error.to_string()))?;
    serde_json::from_slice(&with_null_non_finite(&bytes))
        .map(Some)
        .map_err(|error| damaged(path, error.to_string()))
}

fn damaged(path: &Path, detail: String) -> RecordError {
    RecordError::file(path.to_string_lossy(), Problem::DamagedDescription(detail))
}
