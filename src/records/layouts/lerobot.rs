//! LeRobot data sets (v2.0, v2.1, v3.0): `meta/info.json` beside `data/`, one run in one or many Parquet files.

use std::path::Path;
use std::sync::Arc;

use super::super::error::RecordError;
use super::member::{Dataset, Member, Role, description, rows_said};

/// The data set that lies in a folder.
pub(super) fn dataset(folder: &Path) -> Result<Option<Dataset>, RecordError> {
    let path = folder.join("meta/info.json");
    let Some(info) = description(&path)? else { return Ok(None) };
    if info.get("codebase_version").is_none() || info.get("features").is_none() {
        return Ok(None);
    }
    let n_rows = rows_said(&info, "total_frames", &path)?;
    Ok(Some(Dataset { layout: "LeRobot", root: folder.to_owned(), n_rows, n_files: None }))
}

/// Its files under `data/` have its rows, in the order of their paths.
pub(super) fn role(dataset: &Arc<Dataset>, file: &Path) -> Role {
    if file.starts_with(dataset.root.join("data")) {
        Role::Rows(Member { dataset: dataset.clone(), run: dataset.root.clone(), episode: 0, n_rows: None })
    } else {
        Role::Aside
    }
}
