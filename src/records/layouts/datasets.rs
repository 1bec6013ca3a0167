//! Data sets: folders of a known layout, whose files belong together.
//!
//! A file is asked for the nearest folder above it that is a data set; the folder's name is then the run of its rows, in
//! all its files. What such a folder keeps beside the recording (statistics, tasks, episodes) is no recording.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::error::RecordError;
use super::super::store_url::is_url_path;
#[cfg(feature = "hdf5")]
use super::hdf5;
use super::member::{Dataset, Role};
use super::{Layout, hub, lerobot, minari, rllib};

/// Folders above a file that may be the data set's.
const MAX_DEPTH: usize = 4;

/// Knows the data sets of files, each folder looked at once.
pub(in crate::records) struct Datasets {
    layout: Layout,
    folders: BTreeMap<PathBuf, Option<Arc<Dataset>>>,
    /// Splits of folders with shards.
    n_splits: BTreeMap<PathBuf, usize>,
    /// Files of runs of RLlib.
    of_workers: BTreeMap<PathBuf, Vec<PathBuf>>,
}

impl Datasets {
    /// Data sets of the layouts that are looked for.
    pub(in crate::records) fn of(layout: Layout) -> Self {
        Self { layout, folders: BTreeMap::new(), n_splits: BTreeMap::new(), of_workers: BTreeMap::new() }
    }

    /// What `file` is to the data set it lies in; `None` for a file that stands alone.
    ///
    /// # Errors
    /// A description that cannot be read.
    pub(in crate::records) fn place(&mut self, file: &Path) -> Result<Option<Role>, RecordError> {
        let is_in_store = is_url_path(file);
        let found = if is_in_store {
            file.to_owned()
        } else {
            std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
        };
        for folder in found.ancestors().skip(1).take(MAX_DEPTH) {
            // Each look into a store is a request: only where the layouts have files, by their names.
            if is_in_store && !may_hold(folder, file) {
                continue;
            }
            if let Some(dataset) = self.dataset(folder)? {
                return role(&dataset, &found).map(Some);
            }
        }
        #[cfg(feature = "hdf5")]
        if let Some(member) = hdf5::member(&found, self.layout) {
            return Ok(Some(Role::Rows(member)));
        }
        if self.layout.allows(Layout::Rllib)
            && !is_in_store
            && let Some(member) = rllib::member(&found, &mut self.of_workers)
        {
            return Ok(Some(Role::Rows(member)));
        }
        if !self.layout.allows(Layout::Shards) {
            return Ok(None);
        }
        let n_splits =
            |folder: &Path| *self.n_splits.entry(folder.to_owned()).or_insert_with(|| hub::n_splits(folder));
        Ok(hub::member(&found, n_splits).map(Role::Rows))
    }

    /// The first data set that was found.
    pub(in crate::records) fn described(&self) -> Option<&Dataset> {
        self.folders.values().flatten().next().map(AsRef::as_ref)
    }

    fn dataset(&mut self, folder: &Path) -> Result<Option<Arc<Dataset>>, RecordError> {
        if let Some(known) = self.folders.get(folder) {
            return Ok(known.clone());
        }
        let mut found = None;
        if self.layout.allows(Layout::Lerobot) {
            found = lerobot::dataset(folder)?;
        }
        if found.is_none() && self.layout.allows(Layout::Minari) {
            found = minari::dataset(folder)?;
        }
        let found = found.map(Arc::new);
        self.folders.insert(folder.to_owned(), found.clone());
        Ok(found)
    }
}

/// Whether `folder` may be a data set that has `file`, by the names of the folders between them.
fn may_hold(folder: &Path, file: &Path) -> bool {
    let Ok(below) = file.strip_prefix(folder) else { return false };
    let Some(first) = below.iter().next().and_then(|name| name.to_str()) else { return false };
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    let of_lerobot = matches!(first, "data" | "meta") && below.iter().count() > 1;
    of_lerobot || (is_number && below.iter().count() == 2)
}

fn role(dataset: &Arc<Dataset>, file: &Path) -> Result<Role, RecordError> {
    if dataset.layout == minari::NAME {
        minari::role(dataset, file)
    } else {
        Ok(lerobot::role(dataset, file))
    }
}
