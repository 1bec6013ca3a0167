//! A file on disk that stays one version of itself for as long as it is read.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, SystemTime};

use super::error::{Problem, RecordError};

/// Bytes that can be read from any place.
pub(super) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// How long a pipe may have no writer.
const PIPE_PATIENCE: Duration = Duration::from_secs(10);

/// A path, and what its file was when it was first opened: a recording is read in many places and at many times, which
/// must not be those of several versions.
#[derive(Debug, Clone)]
pub struct FileOnDisk {
    path: PathBuf,
    first_seen: Arc<OnceLock<Version>>,
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    /// Device and number; a file renamed into place has another one.
    identity: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
}

impl Version {
    fn of(found: &Metadata) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            (found.dev(), found.ino())
        };
        #[cfg(not(unix))]
        let identity = (0, 0);
        Self { identity, length: found.len(), modified: found.modified().ok() }
    }
}

impl FileOnDisk {
    /// The file at `path`, not opened yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, first_seen: Arc::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it; errors tell it as `name`.
    ///
    /// # Errors
    /// A file that is not there, cannot be opened, or is no longer the one that was opened first.
    pub(super) fn open(&self, name: &str) -> Result<File, RecordError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound if self.first_seen.get().is_some() => {
                RecordError::file(name, Problem::ChangedWhileRead)
            }
            io::ErrorKind::NotFound => RecordError::file(name, Problem::NotFound),
            _ => RecordError::file(name, error),
        };
        let file = File::open(&self.path).map_err(failed)?;
        self.check(&file.metadata().map_err(failed)?, name)?;
        Ok(file)
    }

    /// Refuses a file that is no longer what it was when it was first opened; one that never was is left alone.
    ///
    /// # Errors
    /// [`Problem::ChangedWhileRead`].
    pub(super) fn check_unchanged(&self, name: &str) -> Result<(), RecordError> {
        if self.first_seen.get().is_none() {
            return Ok(());
        }
        match std::fs::metadata(&self.path) {
            Ok(found) => self.check(&found, name),
            Err(_) => Err(RecordError::file(name, Problem::ChangedWhileRead)),
        }
    }

    fn check(&self, found: &Metadata, name: &str) -> Result<(), RecordError> {
        // What a device gives is no version of anything.
        if !found.is_file() {
            return Ok(());
        }
        let version = Version::of(found);
        if *self.first_seen.get_or_init(|| version.clone()) == version {
            Ok(())
        } else {
            Err(RecordError::file(name, Problem::ChangedWhileRead))
        }
    }
}

/// Whether `path` is a device: what it gives may have no end.
#[cfg(unix)]
pub(super) fn is_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|found| {
        let kind = found.file_type();
        kind.is_char_device() || kind.is_block_device() || kind.is_socket()
    })
}

/// There are none elsewhere.
#[cfg(not(unix))]
pub(super) fn is_device(_: &Path) -> bool {
    false
}

/// Whether `path` is a pipe, named or of a shell's `<(command)`.
#[cfg(unix)]
pub(super) fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

/// There are none.
#[cfg(not(unix))]
pub(super) fn is_pipe(_: &Path) -> bool {
    false
}

/// Opens a pipe, which waits until somebody writes to it: not for ever. It can be read once.
///
/// # Errors
/// [`Problem::NoWriter`], or a pipe that cannot be opened.
pub(super) fn open_pipe(path: &Path, name: &str) -> Result<File, RecordError> {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    std::thread::spawn(move || {
        // The receiver may have given up.
        let _ = sender.send(File::open(path));
    });
    match receiver.recv_timeout(PIPE_PATIENCE) {
        Ok(opened) => opened.map_err(|error| RecordError::file(name, error)),
        Err(_) => Err(RecordError::file(name, Problem::NoWriter { seconds: PIPE_PATIENCE.as_secs() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_is_not_the_file_any_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "one").expect("written");
        let file = FileOnDisk::new(path.clone());
        let copy = file.clone();
        file.open("a").expect("open");
        copy.open("a").expect("open again");
        copy.check_unchanged("a").expect("the same");
        std::fs::write(folder.path().join("b.csv"), "two").expect("written");
        std::fs::rename(folder.path().join("b.csv"), &path).expect("renamed");
        for problem in [copy.open("a").err(), file.check_unchanged("a").err()] {
            assert!(matches!(problem.expect("an error").problem, Problem::ChangedWhileRead));
        }
        std::fs::remove_file(&path).expect("removed");
        assert!(matches!(file.open("a").expect_err("gone").problem, Problem::ChangedWhileRead));
    }
}
