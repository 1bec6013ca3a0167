//! Where a job lies: a folder of a file system, or the objects below a name in a store. Nothing else of a job tells the two
//! apart.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::baselines::{fingerprint, fingerprint_of_ends};
use super::error::RecordError;
use super::objects::ObjectFolder;
use super::output::{AtomicFile, remove_strays};
use super::place::Place;
use super::store_url::is_url_path;

/// Bytes at a file's beginning and end that its fingerprint is made of: a job may have a hundred thousand files, of which the
/// end of most tells where everything in them lies.
pub(super) const FINGERPRINT_BYTES: u64 = 64 << 10;

/// Where files are written before they are moved into place: a folder of a hundred thousand parts need not be searched for
/// what killed tasks have left.
const UNDER_WAY: &str = "under-way";

/// Bytes of objects that are read together, and how many of them at most.
const TOGETHER_BYTES: u64 = 64 << 20;
const TOGETHER: usize = 1024;

/// Where a job lies.
#[derive(Debug, Clone)]
pub(super) enum JobPlace {
    Folder(PathBuf),
    Store(ObjectFolder),
}

/// Names in a folder of a job, with their bytes as far as the list tells them.
pub(super) type Names = BTreeMap<String, u64>;

/// Files that belong together: one that is read whole, and some whose fingerprints are taken.
pub(super) struct Wanted {
    pub(super) whole: String,
    pub(super) others: Vec<String>,
}

/// What there is of them.
pub(super) struct Got {
    pub(super) whole: Option<Vec<u8>>,
    pub(super) fingerprints: Vec<Option<String>>,
}

impl JobPlace {
    /// The place that a path or a URL names, whatever is there.
    ///
    /// # Errors
    /// A URL of no folder in a store, or a store without keys.
    pub(super) fn at(root: &Path) -> Result<Self, RecordError> {
        match root.to_str().filter(|_| is_url_path(root)) {
            Some(url) => Ok(Self::Store(ObjectFolder::at(url)?)),
            None => Ok(Self::Folder(root.to_owned())),
        }
    }

    /// Where something in it is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(root) => root.join(name),
            Self::Store(store) => store.url_of(name).into(),
        }
    }

    fn told(&self, name: &str, error: io::Error) -> RecordError {
        RecordError::file(self.path(name).display().to_string(), error)
    }

    /// Makes a folder in it, where folders are made.
    ///
    /// # Errors
    /// One that cannot be made.
    pub(super) fn make_folder(&self, name: &str) -> Result<(), RecordError> {
        match self {
            Self::Folder(root) => {
                std::fs::create_dir_all(root.join(name)).map_err(|error| self.told(name, error))
            }
            Self::Store(_) => Ok(()),
        }
    }

    /// The folder that files are begun in, where they are not sent to a store.
    ///
    /// # Errors
    /// One that cannot be made.
    pub(super) fn under_way(&self) -> Result<Option<PathBuf>, RecordError> {
        self.make_folder(UNDER_WAY)?;
        Ok(match self {
            Self::Folder(root) => Some(root.join(UNDER_WAY)),
            Self::Store(_) => None,
        })
    }

    /// Removes what killed processes have left; of a store, its own rules do.
    pub(super) fn tidy(&self) {
        if let Self::Folder(root) = self {
            remove_strays(&root.join(UNDER_WAY));
        }
    }

    /// A file of it, to be read by ranges.
    ///
    /// # Errors
    /// Those of its store.
    pub(super) fn file(&self, name: &str) -> Result<Place, RecordError> {
        Place::at(&self.path(name))
    }

    /// All bytes of a file; `None` where there is none, no bytes of what is no file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, RecordError> {
        match self {
            Self::Folder(root) => {
                let path = root.join(name);
                // A pipe would be waited for, and a device has no end: neither holds what was written here.
                let is_other = std::fs::metadata(&path).is_ok_and(|found| !found.is_file());
                if is_other {
                    return Ok(Some(Vec::new()));
                }
                there(std::fs::read(path)).map_err(|error| self.told(name, error))
            }
            Self::Store(store) => Ok(store.read_all(&[name.to_owned()])?.pop().flatten()),
        }
    }

    /// Writes a file, whole or not at all; one that is there is replaced.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
        let root = match self {
            Self::Folder(root) => root,
            Self::Store(store) => return store.put(name, bytes),
        };
        self.make_folder(UNDER_WAY)?;
        let write = || {
            let mut file = AtomicFile::create_within(&root.join(UNDER_WAY), &root.join(name))?;
            file.write_all(bytes)?;
            file.commit()
        };
        write().map_err(|error| self.told(name, error))
    }

    /// Names in a folder of it, hidden ones left out; none where there is no such folder.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(super) fn list(&self, folder: &str) -> Result<Names, RecordError> {
        let mut names: Names = match self {
            Self::Folder(root) => names_in(&root.join(folder)).map_err(|error| self.told(folder, error))?,
            Self::Store(store) => {
                store.list(folder)?.into_iter().map(|entry| (entry.name, entry.n_bytes)).collect()
            }
        };
        names.retain(|name, _| !name.starts_with('.'));
        Ok(names)
    }

    /// Takes away files.
    ///
    /// # Errors
    /// The first that cannot be taken away.
    pub(super) fn remove(&self, names: &[String]) -> Result<(), RecordError> {
        match self {
            Self::Folder(root) => names.iter().try_for_each(|name| {
                there(std::fs::remove_file(root.join(name))).map(drop).map_err(|error| self.told(name, error))
            }),
            Self::Store(_) if names.is_empty() => Ok(()),
            Self::Store(store) => store.remove(names),
        }
    }

    /// Fingerprint of a file by its bytes, which is the same wherever the job lies; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn fingerprint(&self, name: &str) -> Result<Option<String>, RecordError> {
        match self {
            Self::Folder(root) => there(fingerprint(&root.join(name), FINGERPRINT_BYTES))
                .map_err(|error| self.told(name, error)),
            Self::Store(store) => Ok(fingerprints(store, &[name.to_owned()])?.pop().flatten()),
        }
    }

    /// Goes through files as many threads at once: of a store many are asked for together, a bounded number of bytes of them.
    ///
    /// # Errors
    /// The first file in order that cannot be read.
    pub(super) fn read_each<T: Send>(
        &self,
        wanted: &[Wanted],
        n_bytes: impl Fn(&Wanted) -> u64,
        each: impl Fn(usize, Got) -> T + Sync,
    ) -> Result<Vec<T>, RecordError> {
        let store = match self {
            Self::Folder(_) => {
                let one = |(place, wanted): (usize, &Wanted)| Ok(each(place, self.got(wanted)?));
                let all: Vec<Result<T, RecordError>> = wanted.par_iter().enumerate().map(one).collect();
                return all.into_iter().collect();
            }
            Self::Store(store) => store,
        };
        let mut found = Vec::with_capacity(wanted.len());
        while found.len() < wanted.len() {
            let begin = found.len();
            let n_files = together(wanted[begin..].iter().map(&n_bytes));
            let chunk = &wanted[begin..begin + n_files];
            let wholes = store.read_all(&chunk.iter().map(|one| one.whole.clone()).collect::<Vec<_>>())?;
            let others: Vec<String> = chunk.iter().flat_map(|one| one.others.iter().cloned()).collect();
            let mut fingerprints = fingerprints(store, &others)?.into_iter();
            let got: Vec<Got> = (wholes.into_iter().zip(chunk))
                .map(|(whole, one)| Got {
                    whole,
                    fingerprints: fingerprints.by_ref().take(one.others.len()).collect(),
                })
                .collect();
            let looked = got.into_par_iter().enumerate().map(|(place, got)| each(begin + place, got));
            found.extend(looked.collect::<Vec<T>>());
        }
        Ok(found)
    }

    fn got(&self, wanted: &Wanted) -> Result<Got, RecordError> {
        Ok(Got {
            whole: self.read(&wanted.whole)?,
            fingerprints: wanted
                .others
                .iter()
                .map(|name| self.fingerprint(name))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// How many files of so many bytes each are read together: one at least.
fn together(n_bytes: impl Iterator<Item = u64>) -> usize {
    let mut sum = 0u64;
    let fits = n_bytes.take(TOGETHER).take_while(|bytes| {
        let is_first = sum == 0;
        sum = sum.saturating_add((*bytes).max(1));
        is_first || sum <= TOGETHER_BYTES
    });
    fits.count()
}

fn fingerprints(store: &ObjectFolder, names: &[String]) -> Result<Vec<Option<String>>, RecordError> {
    let ends = store.ends_of(names, FINGERPRINT_BYTES)?;
    Ok(ends.into_iter().map(|ends| ends.map(|ends| fingerprint_of_ends(ends.n_bytes, &ends.bytes))).collect())
}

/// Names in a folder of a file system, which does not tell bytes by the way.
fn names_in(folder: &Path) -> io::Result<Names> {
    let entries = there(std::fs::read_dir(folder))?.into_iter().flatten();
    entries.map(|entry| Ok((entry?.file_name().to_string_lossy().into_owned(), 0))).collect()
}

/// `None` in place of a file that is not there.
fn there<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_together_is_bounded_and_never_nothing() {
        let of = |bytes: &[u64]| together(bytes.iter().copied());
        assert_eq!(of(&[TOGETHER_BYTES * 3, 1, 1]), 1);
        assert_eq!(of(&[TOGETHER_BYTES / 2, TOGETHER_BYTES / 2, 1]), 2);
        assert_eq!(of(&[1, TOGETHER_BYTES]), 1);
        assert_eq!(of(&[0; 5]), 5);
        assert_eq!(together(std::iter::repeat_n(0, 5000)), TOGETHER);
    }

    #[test]
    fn a_folder_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = JobPlace::at(directory.path()).expect("a folder");
        assert!(
            place.list("parts").expect("none").is_empty() && place.read("parts/0").expect("none").is_none()
        );
        place.make_folder("parts").expect("made");
        for name in ["parts/0", "parts/1", "parts/.hidden"] {
            place.write(name, name.as_bytes()).expect("written");
        }
        assert_eq!(place.list("parts").expect("there").into_keys().collect::<Vec<_>>(), ["0", "1"]);
        let wanted: Vec<Wanted> = ["parts/0", "parts/7"]
            .map(|name| Wanted { whole: name.to_owned(), others: vec!["parts/1".to_owned()] })
            .into();
        let found = place.read_each(&wanted, |_| 0, |place, got| (place, got.whole, got.fingerprints));
        let fingerprint = place.fingerprint("parts/1").expect("readable");
        assert!(fingerprint.as_ref().is_some_and(|print| print.starts_with("7-")));
        let expected =
            vec![(0, Some(b"parts/0".to_vec()), vec![fingerprint.clone()]), (1, None, vec![fingerprint])];
        assert_eq!(found.expect("readable"), expected);
        place.remove(&["parts/0".to_owned(), "parts/7".to_owned()]).expect("removed");
        assert_eq!(place.list("parts").expect("there").len(), 1);
    }
}
