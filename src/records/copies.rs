//! Files of one call that are copies of each other, whose rows would count twice.

use std::collections::BTreeMap;
use std::io::Read;

use super::error::{Problem, RecordError};
use super::place::Place;
use super::sources::InputFile;

/// Bytes compared at once.
const CHUNK: u64 = 1 << 20;

/// Bytes at the end of a file that are looked at first: of a Parquet file its footer with the extremes of its columns, of a text its last rows.
const END: u64 = 1 << 16;

/// A file and whether its rows name their run.
pub(super) struct RunSource<'a> {
    pub(super) file: &'a InputFile,
    pub(super) has_run_id: bool,
}

/// Refuses a file with the same bytes as an earlier one whose rows would belong to the same run: by the run ids in it, or
/// by its stem where there are none.
///
/// Only files of equal length are read: the end of each, which tells nearly all apart, and of those that end alike no more
/// than to their first difference.
pub(super) fn refuse_copies(sources: &[RunSource<'_>]) -> Result<(), RecordError> {
    let mut of_one_length: BTreeMap<(u64, Option<String>), Vec<&InputFile>> = BTreeMap::new();
    for source in sources {
        let default_run = (!source.has_run_id).then(|| source.file.name_anywhere());
        of_one_length.entry((length(source.file)?, default_run)).or_default().push(source.file);
    }
    for ((length, _), files) in of_one_length {
        if files.len() < 2 {
            continue;
        }
        let mut alike: BTreeMap<Vec<u8>, Vec<&InputFile>> = BTreeMap::new();
        for file in files {
            let end = file.place.read_range(&file.name, length.saturating_sub(END)..length)?;
            let earlier = alike.entry(end.to_vec()).or_default();
            for other in earlier.iter() {
                if have_same_bytes(file, other)? {
                    return Err(RecordError::file(&file.name, Problem::CopiedFile(other.name.clone())));
                }
            }
            earlier.push(file);
        }
    }
    Ok(())
}

fn length(file: &InputFile) -> Result<u64, RecordError> {
    match &file.place {
        Place::Path(on_disk) => std::fs::metadata(on_disk.path())
            .map(|found| found.len())
            .map_err(|error| RecordError::file(&file.name, error)),
        Place::Memory(bytes) => Ok(bytes.len() as u64),
        Place::Object(object) => object.n_bytes(&file.name),
    }
}

fn have_same_bytes(a: &InputFile, b: &InputFile) -> Result<bool, RecordError> {
    if let (Place::Object(a), Place::Object(b)) = (&a.place, &b.place)
        && a.is_same_version(b)
    {
        return Ok(true);
    }
    let (mut reader_a, mut reader_b) = (a.place.open_reader(&a.name)?, b.place.open_reader(&b.name)?);
    loop {
        let (mut chunk_a, mut chunk_b) = (Vec::new(), Vec::new());
        let read_a = reader_a.by_ref().take(CHUNK).read_to_end(&mut chunk_a);
        let n = read_a.map_err(|error| RecordError::file(&a.name, error))?;
        let read_b = reader_b.by_ref().take(CHUNK).read_to_end(&mut chunk_b);
        read_b.map_err(|error| RecordError::file(&b.name, error))?;
        if chunk_a != chunk_b {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}
