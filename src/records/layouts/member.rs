//! What a data set is, and a file's place in it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

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
pub(super) enum Role {
    /// Rows of it.
    Rows(Member),
    /// Something else it keeps.
    Aside,
}

/// A description that lies in a folder, if it is one.
pub(super) fn description(path: &Path) -> Option<Value> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_DESCRIPTION).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}
