//! What the coalition rows of files can be divided by: their runs, from the run columns alone.

use super::super::error::RecordError;
use super::super::skips::SkipReport;
use super::super::sources::InputFile;
use super::super::units::{FileRuns, RunColumns, runs_of_files};
use super::files::CoalitionFiles;
use super::options::CoalitionOptions;
use crate::progress::Progress;

/// Files of coalition rows before they are read.
#[derive(Debug)]
pub struct DivisibleCoalitions {
    /// Files that have such rows, in order.
    pub files: Vec<FileRuns>,
    /// The value columns that are read: those asked for, or the default that all files together decide on.
    pub values: Vec<String>,
    /// Files left out.
    pub skipped: SkipReport,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

impl DivisibleCoalitions {
    /// Looks at `files` and reads their run columns.
    ///
    /// # Errors
    /// As [`CoalitionRecording::read`](super::CoalitionRecording::read), as far as no row has to be read for it.
    pub fn open(
        files: &[InputFile],
        options: &CoalitionOptions,
        progress: &Progress,
    ) -> Result<Self, RecordError> {
        let (mut skipped, mut notes) = (SkipReport::default(), Vec::new());
        let files = CoalitionFiles::open(files, options, &mut skipped, &mut notes)?;
        let columns = files.tables.iter().zip(&files.columns).map(|(table, columns)| {
            (table, RunColumns { run_id: columns.run_id.as_ref(), seed: columns.seed.as_ref() })
        });
        let runs = runs_of_files(&columns.collect::<Vec<_>>(), progress)?;
        Ok(Self { files: runs, values: files.value_names, skipped, notes })
    }
}
