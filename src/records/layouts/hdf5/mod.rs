//! Recordings in HDF5: what lies in the groups of a file tells which program wrote it.

mod d4rl;
mod found;
mod minari;
mod robomimic;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::super::budget::PartBudget;
use super::super::error::{Problem, RecordError};
use super::super::hdf5::{Container, EpisodeRows, Group, Names};
use super::member::{About, Dataset, Member};
use super::{Layout, minari as minari_folder};
use found::numbered;

/// Whether a file is called as HDF5 files are.
pub(in crate::records) fn is_named_so(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    matches!(extension.as_deref(), Some("hdf5" | "h5"))
}

/// Which layout a file has inside.
fn told(root: &Group, names: &Names) -> Result<Option<Layout>, RecordError> {
    if !numbered(&names.groups, minari::EPISODE).is_empty() {
        return Ok(Some(Layout::Minari));
    }
    if names.groups.iter().any(|name| name == robomimic::DATA) {
        let demos = root.group(robomimic::DATA)?.names()?;
        return Ok((!numbered(&demos.groups, robomimic::DEMO).is_empty()).then_some(Layout::Robomimic));
    }
    let has = |wanted: &str| names.arrays.iter().any(|name| name == wanted);
    let is_flat = has("observations") && (has("actions") || has("rewards") || has("terminals"));
    Ok(is_flat.then_some(Layout::D4rl))
}

/// The rows of a file.
///
/// # Errors
/// A file of no layout that is known, and a damaged one.
pub(in crate::records) fn rows(container: Container) -> Result<EpisodeRows, RecordError> {
    let root = container.root()?;
    let names = root.names()?;
    let plan = match told(&root, &names)? {
        Some(Layout::Minari) => minari::plan(&root, &names)?,
        Some(Layout::Robomimic) => robomimic::plan(&root, &names)?,
        Some(Layout::D4rl) => d4rl::plan(&container, &root, &names)?,
        _ => {
            let problem = Problem::ForeignFormat(
                "HDF5 without a recording that is known",
                "Minari, robomimic and D4RL files are read; write others as Parquet with h5py and pandas",
            );
            return Err(RecordError::file(container.name(), problem));
        }
    };
    EpisodeRows::new(container, plan)
}

/// What a file is, if it is one of those whose data sets are single files and that are looked for.
pub(super) fn member(file: &Path, layout: Layout) -> Option<Member> {
    if !is_named_so(file) {
        return None;
    }
    // What cannot be opened is said when it is read.
    let name = file.to_string_lossy();
    let container = Container::of_file(&name, File::open(file).ok()?, PartBudget::default()).ok()?;
    let root = container.root().ok()?;
    let found = told(&root, &root.names().ok()?).ok()??;
    if !layout.allows(found) {
        return None;
    }
    let n_rows = if found == Layout::Robomimic { robomimic::rows_said(&root) } else { None };
    let layout = if found == Layout::Minari { minari_folder::NAME } else { found.name() };
    let root = file.to_owned();
    let dataset = Dataset { layout, root, n_rows, n_files: None, about: About::default() };
    Some(Member { dataset: Arc::new(dataset), run: file.to_owned(), episode: 0, env: 0, n_rows: None })
}
