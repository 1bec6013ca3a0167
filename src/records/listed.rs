//! Files that a search found earlier, as it found them: what a task of a job reads.

use std::path::PathBuf;
use std::sync::Arc;

use super::budget::PartBudget;
use super::error::RecordError;
use super::layouts::Layout;
use super::objects::Object;
use super::on_disk::FileOnDisk;
use super::place::Place;
use super::sources::{Discovered, InputFile, Origin, begin_reading, place_in_datasets, views_of};
use super::store_url::is_url;

/// A file that a search found.
#[derive(Debug, Clone)]
pub struct ListedFile {
    /// Its path, as the user knows it.
    pub name: String,
    /// The run of its rows where they name none: only all files together tell it.
    pub run: String,
    /// How it was found.
    pub origin: Origin,
    /// Parts that are read; `None` for all.
    pub parts: Option<Vec<usize>>,
}

/// The files of a list, with what their folders say of them under `layout`.
///
/// # Errors
/// A data set whose description cannot be read.
pub fn listed_files(
    listed: &[ListedFile],
    layout: Layout,
    budget: PartBudget,
) -> Result<Vec<InputFile>, RecordError> {
    let mut found = Discovered::default();
    for file in listed {
        let place = if is_url(&file.name) {
            Place::Object(Object::at(&file.name)?)
        } else {
            Place::Path(FileOnDisk::new(PathBuf::from(&file.name)))
        };
        let parts = file.parts.as_ref().map(|parts| Arc::from(parts.as_slice()));
        let run = file.run.clone();
        found.files.push(InputFile { run, parts, ..InputFile::new(file.name.clone(), place, file.origin) });
    }
    begin_reading(&found.files, budget);
    place_in_datasets(&mut found, layout)?;
    let viewed = found.files.into_iter().flat_map(|file| {
        views_of(&file, layout).into_iter().map(move |view| InputFile { view, ..file.clone() })
    });
    found.files = viewed.collect();
    Ok(found.within(budget).files)
}
