//! Minari data sets in Parquet or Arrow: `metadata.json` beside one folder for each episode.
//!
//! An episode's table has one row more than steps, for the observation after the last one; its action, reward and flags
//! are zeros that nobody recorded.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::member::{Dataset, Member, Role, description};

/// What the layout is called.
pub(super) const NAME: &str = "Minari";

/// The data set that lies in a folder.
pub(super) fn dataset(folder: &Path) -> Option<Dataset> {
    let metadata = description(&folder.join("metadata.json"))?;
    if metadata.get("data_format").is_none() || metadata.get("observation_space").is_none() {
        return None;
    }
    let n_rows = metadata.get("total_steps").and_then(Value::as_u64);
    Some(Dataset { layout: NAME, root: folder.to_owned(), n_rows, n_files: None })
}

/// The tables in folders that are numbered have an episode each.
pub(super) fn role(dataset: &Arc<Dataset>, file: &Path) -> Role {
    let folder = file.parent();
    let number = folder.and_then(Path::file_name).and_then(OsStr::to_str).and_then(|name| name.parse().ok());
    let (Some(folder), Some(episode)) = (folder, number) else { return Role::Aside };
    if folder.parent() != Some(&dataset.root) {
        return Role::Aside;
    }
    let steps = description(&folder.join("metadata.json"));
    let n_rows = steps.as_ref().and_then(|steps| steps.get("total_steps")).and_then(Value::as_u64);
    // The data lies in a folder of its own below the name.
    let is_data = dataset.root.file_name() == Some(OsStr::new("data"));
    let run = dataset.root.parent().filter(|_| is_data).unwrap_or(&dataset.root).to_owned();
    Role::Rows(Member { dataset: dataset.clone(), run, episode, n_rows })
}
