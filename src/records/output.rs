//! Output files that are whole or not there.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

/// Temporary files of outputs under way, so that an interrupt can remove them.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file written beside its destination and renamed into place when complete.
///
/// Dropped before [`AtomicFile::commit`], nothing is left behind.
#[derive(Debug)]
pub struct AtomicFile {
    file: NamedTempFile,
    destination: PathBuf,
}

impl AtomicFile {
    /// Starts writing to `destination`.
    ///
    /// # Errors
    /// If the directory cannot be written to, or the destination exists and `force` is not set.
    pub fn create(destination: &Path, force: bool) -> io::Result<Self> {
        if !force && destination.exists() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists; --force replaces it"));
        }
        // A link is written through: what it points to is replaced.
        let destination = destination.canonicalize().unwrap_or_else(|_| destination.to_owned());
        let directory = match destination.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".simic-")
            .suffix(".tmp")
            .tempfile_in(directory)
            // The name of the temporary file would only puzzle.
            .map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {}", directory.display(), error.kind()))
            })?;
        unfinished().push(file.path().to_owned());
        Ok(Self { file, destination })
    }

    /// The open file.
    pub fn as_file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Moves the finished file into place.
    ///
    /// # Errors
    /// If the data cannot be flushed or the rename fails; nothing is left behind then.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.flush()?;
        let temporary = self.file.path().to_owned();
        #[cfg(unix)]
        {
            // A temporary file is private; the result has the mode any new file would have.
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&self.destination).map_or(0o644, |m| m.permissions().mode());
            self.file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        self.file.persist(&self.destination).map_err(|error| error.error)?;
        unfinished().retain(|path| *path != temporary);
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Removes the temporary files of outputs under way: for an interrupt handler.
pub fn remove_unfinished_outputs() {
    for path in unfinished().drain(..) {
        // It may have been removed already; there is nobody left to tell.
        let _ = std::fs::remove_file(path);
    }
}

fn unfinished() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abandoned_output_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let destination = directory.path().join("out.json");
        let mut file = AtomicFile::create(&destination, false).expect("a file");
        file.write_all(b"half").expect("written");
        drop(file);
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0);
    }

    #[test]
    fn an_existing_file_needs_force() {
        let directory = tempfile::tempdir().expect("a directory");
        let destination = directory.path().join("out.json");
        std::fs::write(&destination, "old").expect("written");
        assert_eq!(
            AtomicFile::create(&destination, false).err().map(|e| e.kind()),
            Some(io::ErrorKind::AlreadyExists)
        );
        let mut file = AtomicFile::create(&destination, true).expect("a file");
        file.write_all(b"new").expect("written");
        assert_eq!(std::fs::read_to_string(&destination).expect("readable"), "old");
        file.commit().expect("committed");
        assert_eq!(std::fs::read_to_string(&destination).expect("readable"), "new");
    }
}
