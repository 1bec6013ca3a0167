//! Data sets: folders of a known layout, whose files belong together.
//!
//! A file is asked for the nearest folder above it that is a data set; the folder's name is then the run of its rows, in
//! all its files. What such a folder keeps beside the recording (statistics, tasks, episodes) is no recording.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::member::{Dataset, Member, Role};
use super::{Layout, hub, lerobot, minari};

/// Folders above a file that may be the data set's.
const MAX_DEPTH: usize = 4;

/// Knows the data sets of files, each folder looked at once.
pub(in crate::records) struct Datasets {
    layout: Layout,
    folders: BTreeMap<PathBuf, Option<Arc<Dataset>>>,
}

impl Datasets {
    /// Data sets of the layouts that are looked for.
    pub(in crate::records) fn of(layout: Layout) -> Self {
        Self { layout, folders: BTreeMap::new() }
    }

    /// The data set that `file` lies in and its place there; `None` for a file that stands alone.
    ///
    /// # Errors
    /// `Err(())` for a file that a data set keeps beside its rows.
    pub(in crate::records) fn place(&mut self, file: &Path) -> Result<Option<Member>, ()> {
        let found = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        for folder in found.ancestors().skip(1).take(MAX_DEPTH) {
            if let Some(dataset) = self.dataset(folder) {
                return match role(&dataset, &found) {
                    Role::Rows(member) => Ok(Some(member)),
                    Role::Aside => Err(()),
                };
            }
        }
        Ok(hub::member(&found).filter(|_| self.layout.allows(Layout::Shards)))
    }

    fn dataset(&mut self, folder: &Path) -> Option<Arc<Dataset>> {
        if let Some(known) = self.folders.get(folder) {
            return known.clone();
        }
        let of = |layout: Layout, open: fn(&Path) -> Option<Dataset>| {
            self.layout.allows(layout).then(|| open(folder)).flatten()
        };
        let found = of(Layout::Lerobot, lerobot::dataset).or_else(|| of(Layout::Minari, minari::dataset));
        let found = found.map(Arc::new);
        self.folders.insert(folder.to_owned(), found.clone());
        found
    }
}

fn role(dataset: &Arc<Dataset>, file: &Path) -> Role {
    if dataset.layout == minari::NAME { minari::role(dataset, file) } else { lerobot::role(dataset, file) }
}
