//! A file that remembers how writing to it failed: encoders make text of the reason, and a full disk needs other advice
//! than anything else.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

/// A file under way.
pub(super) struct WrittenFile {
    file: File,
    failure: WriteFailure,
}

/// The first failure of a file, as the system numbers it.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteFailure(Arc<OnceLock<i32>>);

impl WrittenFile {
    /// The file, and where its failure is told.
    pub(super) fn new(file: File) -> (Self, WriteFailure) {
        let failure = WriteFailure::default();
        (Self { file, failure: failure.clone() }, failure)
    }

    fn noted<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        if let Some(code) = outcome.as_ref().err().and_then(io::Error::raw_os_error) {
            // The first one is the cause of the others.
            let _ = self.failure.0.set(code);
        }
        outcome
    }
}

impl Write for WrittenFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let outcome = self.file.write(bytes);
        self.noted(outcome)
    }

    fn flush(&mut self) -> io::Result<()> {
        let outcome = self.file.flush();
        self.noted(outcome)
    }
}

impl WriteFailure {
    /// What an encoder's error comes from: the system's own where writing failed.
    pub(super) fn cause(&self, error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
        self.0.get().map_or_else(|| io::Error::other(error), |code| io::Error::from_raw_os_error(*code))
    }
}
