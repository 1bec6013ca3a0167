//! What a data set is, and a file's place in it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::super::error::{Problem, RecordError};

/// Bytes of a description: more is no such description.
const MAX_DESCRIPTION: u64 = 16 << 20;

/// A folder whose files belong together.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::records) struct Dataset {
    /// Its layout, for messages.
    pub(in crate::records) layout: &'static str,
    /// The folder.
    pub(in crate::records) root: PathBuf,
    /// Rows it says it has.
    pub(in crate::records) n_rows: Option<u64>,
    /// Files it says each of its runs has.
    pub(in crate::records) n_files: Option<u64>,
}

/// A file's place in a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::records) struct Member {
    /// The data set.
    pub(in crate::records) dataset: Arc<Dataset>,
    /// What its rows' run is called after: the data set's folder, or a part of it.
    pub(in crate::records) run: PathBuf,
    /// Episode of its rows where they name none.
    pub(in crate::records) episode: i64,
    /// Rows that count, the first ones: what follows fills a row up.
    pub(in crate::records) n_rows: Option<u64>,
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
    let Ok(file) = File::open(path) else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_DESCRIPTION).read_to_end(&mut bytes).map_err(|error| damaged(path, error.to_string()))?;
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
