//! Data sets: folders of a known layout, whose files belong together.
//!
//! A file is asked for the nearest folder above it that is a data set; the folder's name is then the run of its rows, in
//! all its files. What such a folder keeps beside the recording (statistics, tasks, episodes) is no recording.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::{Layout, hub, lerobot, minari};

/// Folders above a file that may be the data set's.
const MAX_DEPTH: usize = 4;

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

/// A description that lies in a folder, if it is one.
pub(super) fn description(path: &Path) -> Option<Value> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_DESCRIPTION).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}
