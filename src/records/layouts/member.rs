//! What a data set is, and a file's place in it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::super::error::{Problem, RecordError};
use super::super::objects;
use super::super::store_url::is_url_path;

/// Bytes of a description: more is no such description.
const MAX_DESCRIPTION: u64 = 16 << 20;

/// A column of a data set, as its description has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::records) struct Feature {
    /// The column.
    pub(in crate::records) name: String,
    /// Its type, by the description's word.
    pub(in crate::records) dtype: String,
    /// Values of a row, along each axis.
    pub(in crate::records) shape: Vec<usize>,
    /// Names of those values; none where the description has none, or not as many.
    pub(in crate::records) dimensions: Vec<String>,
}

impl Feature {
    /// Values of a row.
    pub(in crate::records) fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether its rows are numbers that lie in the data files: no picture, no text.
    pub(in crate::records) fn is_numeric(&self) -> bool {
        let word = self.dtype.trim_end_matches(|c: char| c.is_ascii_digit());
        matches!(word, "float" | "int" | "uint" | "bool")
    }
}

/// What a data set says of itself beside its rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::records) struct About {
    /// Version of its layout.
    pub(in crate::records) version: Option<String>,
    /// Episodes.
    pub(in crate::records) n_episodes: Option<u64>,
    /// Steps a second.
    pub(in crate::records) fps: Option<f64>,
    /// Columns.
    pub(in crate::records) features: Vec<Feature>,
    /// Columns of the parts of an observation, in the order of its space; none where it has no parts.
    pub(in crate::records) parts: Vec<String>,
}

/// A folder whose files belong together.
#[derive(Debug, PartialEq)]
pub(in crate::records) struct Dataset {
    /// Its layout, for messages.
    pub(in crate::records) layout: &'static str,
    /// The folder.
    pub(in crate::records) root: PathBuf,
    /// Rows it says it has.
    pub(in crate::records) n_rows: Option<u64>,
    /// Files it says each of its runs has.
    pub(in crate::records) n_files: Option<u64>,
    /// What else it says.
    pub(in crate::records) about: About,
}

/// A file's place in a data set.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::records) struct Member {
    /// The data set.
    pub(in crate::records) dataset: Arc<Dataset>,
    /// What its rows' run is called after: the data set's folder, or a part of it.
    pub(in crate::records) run: PathBuf,
    /// Episode of its rows where they name none.
    pub(in crate::records) episode: i64,
    /// Environment of its rows where they name none.
    pub(in crate::records) env: i64,
    /// Rows that count, the first ones: what follows fills a row up.
    pub(in crate::records) n_rows: Option<u64>,
}

impl Member {
    /// Whether the data set is this file alone.
    pub(in crate::records) fn is_one_file(&self) -> bool {
        self.run == self.dataset.root && self.run.is_file()
    }
}

/// What a file is to the data set it lies in.
pub(in crate::records) enum Role {
    /// Rows of it.
    Rows(Member),
    /// Something else it keeps.
    Aside,
}

/// A description that lies in a folder: `None` where there is no such file.
///
/// # Errors
/// A file that is there and cannot be read as one.
pub(super) fn description(path: &Path) -> Result<Option<Value>, RecordError> {
    let mut bytes = Vec::new();
    if is_url_path(path) {
        match objects::small(path, MAX_DESCRIPTION).map_err(|error| damaged(path, error))? {
            Some(read) => bytes = read,
            None => return Ok(None),
        }
    } else {
        let Ok(file) = File::open(path) else { return Ok(None) };
        file.take(MAX_DESCRIPTION)
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(path, error.to_string()))?;
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(path, error.to_string()))
}

/// A number of rows that a description says, if it says one.
///
/// # Errors
/// Something else than a number of rows.
pub(super) fn rows_said(description: &Value, key: &str, path: &Path) -> Result<Option<u64>, RecordError> {
    match description.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let n = value.as_u64().map(Some);
            n.ok_or_else(|| damaged(path, format!("{key} is {value}, which is no number of rows")))
        }
    }
}

fn damaged(path: &Path, detail: String) -> RecordError {
    RecordError::file(path.to_string_lossy(), Problem::DamagedDescription(detail))
}
