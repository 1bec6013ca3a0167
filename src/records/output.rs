//! Output files that are whole or not there.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

use super::objects::Upload;
use super::store_url::is_url_path;

/// Temporary files of outputs under way, so that an interrupt can remove them.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file written beside its destination and renamed into place when complete; one for an object store is written where
/// temporary files are and sent when complete.
///
/// Dropped before [`AtomicFile::commit`], nothing is left behind.
#[derive(Debug)]
pub struct AtomicFile {
    file: NamedTempFile,
    destination: Destination,
    force: bool,
}

/// Where a finished file goes.
#[derive(Debug)]
enum Destination {
    Path(PathBuf),
    Object(Upload),
}

/// Names of temporary files: `.simic-PROCESS-RANDOM.tmp`.
const PREFIX: &str = ".simic-";
const SUFFIX: &str = ".tmp";

impl AtomicFile {
    /// Starts writing to `destination`.
    ///
    /// # Errors
    /// If the directory cannot be written to, or the destination exists and `force` is not set.
    pub fn create(destination: &Path, force: bool) -> io::Result<Self> {
        if is_url_path(destination) {
            let upload = Upload::begin(destination, force)?;
            return Self::begin(&std::env::temp_dir(), Destination::Object(upload), force);
        }
        if !force && destination.exists() {
            return Err(exists());
        }
        // A link is written through: what it points to is replaced.
        let destination = destination.canonicalize().unwrap_or_else(|_| destination.to_owned());
        let directory = match destination.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Self::begin(directory, Destination::Path(destination.clone()), force)
    }

    /// Starts writing to `destination`, whatever is there, in a file of another folder of the same file system.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn create_within(directory: &Path, destination: &Path) -> io::Result<Self> {
        Self::begin(directory, Destination::Path(destination.to_owned()), true)
    }

    /// Looks whether `destination` may be made, before the work and not after it: a URL that can be written to, and without
    /// `force` nothing there.
    ///
    /// # Errors
    /// What [`AtomicFile::create`] would find.
    pub fn check_free(destination: &Path, force: bool) -> io::Result<()> {
        if is_url_path(destination) {
            Upload::begin(destination, force)?;
        } else if destination.is_file() && !destination.starts_with("/dev") && !force {
            return Err(exists());
        }
        Ok(())
    }

    fn begin(directory: &Path, destination: Destination, force: bool) -> io::Result<Self> {
        remove_strays(directory);
        // Held meanwhile: an interrupt never finds a file that is made and not yet known.
        let mut unfinished = unfinished();
        let file = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .suffix(SUFFIX)
            .tempfile_in(directory)
            // The name of the temporary file would only puzzle.
            .map_err(|error| {
                let what = match error.kind() {
                    io::ErrorKind::NotFound => "no such folder".to_owned(),
                    kind => kind.to_string(),
                };
                io::Error::new(error.kind(), format!("{}: {what}", directory.display()))
            })?;
        unfinished.push(file.path().to_owned());
        drop(unfinished);
        // Held until the file is closed: other processes see that this one is at work. Where a file system has no
        // locks, its files are left alone.
        let _ = file.as_file().try_lock();
        Ok(Self { file, destination, force })
    }

    /// The open file.
    pub fn as_file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Removes the file that this one is to replace, so that it never stands beside what belongs to this one.
    ///
    /// # Errors
    /// If there is one and it cannot be removed.
    pub fn remove_replaced(&self) -> io::Result<()> {
        if !self.force {
            return Ok(());
        }
        let destination = match &self.destination {
            Destination::Path(destination) => destination,
            Destination::Object(upload) => return upload.remove_replaced(),
        };
        match std::fs::remove_file(destination) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Moves the finished file into place; without `force` never over a file that has appeared meanwhile.
    ///
    /// # Errors
    /// If the data cannot be flushed, the rename fails, or there is such a file; nothing is left behind then.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.flush()?;
        let temporary = self.file.path().to_owned();
        let destination = match &self.destination {
            Destination::Path(destination) => destination,
            Destination::Object(upload) => {
                let sent = upload.send(self.file.as_file_mut());
                drop(self.file);
                unfinished().retain(|path| *path != temporary);
                return sent;
            }
        };
        #[cfg(unix)]
        {
            // A temporary file is private; the result has the mode any new file would have.
            use std::os::unix::fs::PermissionsExt;
            let there = std::fs::metadata(destination).ok().filter(std::fs::Metadata::is_file);
            let mode = there.map_or(0o644, |there| there.permissions().mode());
            self.file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        if self.force {
            self.file.persist(destination).map_err(|error| error.error)?;
        } else {
            self.file.persist_noclobber(destination).map_err(|error| match error.error.kind() {
                io::ErrorKind::AlreadyExists => exists(),
                _ => error.error,
            })?;
        }
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

fn exists() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "the file exists; --force replaces it")
}

/// Removes temporary files whose processes are gone: killed, they could not do it themselves.
pub(super) fn remove_strays(directory: &Path) {
    // A folder that cannot be listed has none that could be removed.
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.split_once('-'))
            .and_then(|(process, _)| process.parse::<u32>().ok());
        if process.is_some_and(|process| !is_alive(process)) && is_unlocked(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether a process is there; where that cannot be told, it is.
fn is_alive(process: u32) -> bool {
    let processes = Path::new("/proc");
    !processes.join("self").exists() || processes.join(process.to_string()).exists()
}

/// Whether nobody holds the file: its process may be one of another machine.
fn is_unlocked(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
        && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Removes the temporary files of outputs under way: for whoever ends the program. No output begins afterwards.
pub fn remove_unfinished_outputs() {
    let mut unfinished = unfinished();
    for path in unfinished.drain(..) {
        // It may have been removed already; there is nobody left to tell.
        let _ = std::fs::remove_file(path);
    }
    // Never given back: what waits for it would leave a file behind.
    std::mem::forget(unfinished);
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
    fn of_two_writers_without_force_one_succeeds() {
        let directory = tempfile::tempdir().expect("a directory");
        let destination = directory.path().join("out.json");
        let [mut first, mut second] =
            [(), ()].map(|()| AtomicFile::create(&destination, false).expect("a file"));
        first.write_all(b"first").expect("written");
        second.write_all(b"second").expect("written");
        second.commit().expect("committed");
        let refused = first.commit().expect_err("the file is there");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&destination).expect("readable"), "second");
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1);
    }

    #[test]
    fn temporary_files_of_dead_processes_are_removed_and_no_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        // No process has a number above 2^22.
        let (stray, held) = (path(".simic-4294967295-abc.tmp"), path(".simic-4294967294-abc.tmp"));
        let ours = path(&format!(".simic-{}-abc.tmp", std::process::id()));
        for name in [&stray, &held, &ours, &path("data-4294967295-x.tmp")] {
            std::fs::write(name, "half").expect("written");
        }
        let holder = File::open(&held).expect("open");
        holder.try_lock().expect("locked");
        drop(AtomicFile::create(&path("out.json"), false).expect("a file"));
        assert!(!stray.exists() && held.exists() && ours.exists() && path("data-4294967295-x.tmp").exists());
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
