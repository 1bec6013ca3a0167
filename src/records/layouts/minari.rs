//! Minari data sets in Parquet or Arrow: `metadata.json` beside one folder for each episode.
//!
//! An episode's table has one row more than steps, for the observation after the last one; its action, reward and flags
//! are zeros that nobody recorded.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::super::error::RecordError;
use super::member::{About, Dataset, Member, Role, description, rows_said};

/// What the layout is called.
pub(super) const NAME: &str = "Minari";

/// The data set that lies in a folder.
pub(super) fn dataset(folder: &Path) -> Result<Option<Dataset>, RecordError> {
    let path = folder.join("metadata.json");
    let metadata = match description(&path) {
        // A file of this name may be of anything; beside numbered folders it is of this.
        Err(_) if !folder.join("0").is_dir() => return Ok(None),
        metadata => metadata?,
    };
    let Some(metadata) = metadata else { return Ok(None) };
    if metadata.get("data_format").is_none() || metadata.get("observation_space").is_none() {
        return Ok(None);
    }
    let n_rows = rows_said(&metadata, "total_steps", &path)?;
    let n_episodes = metadata.get("total_episodes").and_then(Value::as_u64);
    let about = About { n_episodes, ..About::default() };
    Ok(Some(Dataset { layout: NAME, root: folder.to_owned(), n_rows, n_files: None, about }))
}

/// The tables in folders that are numbered have an episode each.
///
/// # Errors
/// An episode that does not say how many steps it has: nothing else tells the row after the last one.
pub(super) fn role(dataset: &Arc<Dataset>, file: &Path) -> Result<Role, RecordError> {
    let folder = file.parent();
    let number = folder.and_then(Path::file_name).and_then(OsStr::to_str).and_then(|name| name.parse().ok());
    let (Some(folder), Some(episode)) = (folder, number) else { return Ok(Role::Aside) };
    if folder.parent() != Some(&dataset.root) {
        return Ok(Role::Aside);
    }
    let path = folder.join("metadata.json");
    let steps = description(&path)?.unwrap_or_default();
    let n_rows = rows_said(&steps, "total_steps", &path)?;
    // The data lies in a folder of its own below the name.
    let is_data = dataset.root.file_name() == Some(OsStr::new("data"));
    let run = dataset.root.parent().filter(|_| is_data).unwrap_or(&dataset.root).to_owned();
    Ok(Role::Rows(Member { dataset: dataset.clone(), run, episode, env: 0, n_rows }))
}
