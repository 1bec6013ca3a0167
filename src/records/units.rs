//! Which runs the rows of files are of: what a recording can be divided by.

use rayon::prelude::*;

use super::columns::{self, BadCells};
use super::error::RecordError;
use super::sources::InputFile;
use super::table::Table;
use crate::progress::Progress;

/// A file, and the runs of its rows.
#[derive(Debug)]
pub struct FileRuns {
    /// The file.
    pub file: InputFile,
    /// Its bytes.
    pub n_bytes: u64,
    /// The folder that describes it together with others.
    pub dataset: Option<String>,
    /// Its parts, in order.
    pub parts: Vec<PartRuns>,
}

/// A part of a file, and the runs of its rows.
#[derive(Debug)]
pub struct PartRuns {
    /// Rows.
    pub n_rows: u64,
    /// Runs, each where it comes first.
    pub runs: Vec<String>,
}

/// Columns that a file's runs are read from.
pub(super) struct RunColumns<'a> {
    pub(super) run_id: Option<&'a String>,
    /// What tells replicates of a run apart.
    pub(super) seed: Option<&'a String>,
}

/// The runs of the rows of all files, part by part.
///
/// # Errors
/// Unreadable files.
pub(super) fn runs_of_files(
    files: &[(&Table, RunColumns<'_>)],
    progress: &Progress,
) -> Result<Vec<FileRuns>, RecordError> {
    progress.begin("dividing", files.len() as u64);
    let of_file = |(table, names): &(&Table, RunColumns<'_>)| {
        let parts = (0..table.parts().len()).map(|part| runs_of_part(table, part, names));
        let file = table.file();
        let found = FileRuns {
            n_bytes: file.place.n_bytes(&file.name)?,
            dataset: file.member.as_ref().map(|member| member.dataset.root.to_string_lossy().into_owned()),
            parts: parts.collect::<Result<_, _>>()?,
            file: file.clone(),
        };
        progress.advance(1);
        Ok(found)
    };
    files.par_iter().map(of_file).collect()
}

fn runs_of_part(table: &Table, part: usize, names: &RunColumns<'_>) -> Result<PartRuns, RecordError> {
    let n_rows = table.parts()[part].n_rows;
    let columns: Vec<String> = [names.run_id, names.seed].into_iter().flatten().cloned().collect();
    let mut read = table.read(part, &columns)?.into_iter();
    // Rows without a run are told, or left out, where they are read.
    let mut bad = BadCells::default();
    let mut texts = |name: Option<&String>| Some(columns::run_ids(read.next()?, name?, &mut bad));
    let run_ids = names.run_id.and_then(|name| texts(Some(name)));
    let seeds = names.seed.and_then(|name| texts(Some(name)));
    let run_ids = run_ids.unwrap_or_else(|| columns::Texts::Constant(table.defaults().run.to_owned()));
    let run_ids = match (names.seed, seeds) {
        (Some(name), Some(seeds)) => run_ids.joined(name, &seeds, n_rows),
        _ => run_ids,
    };
    let mut runs: Vec<String> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut row = 0;
    while row < n_rows {
        let run = run_ids.get(row);
        if seen.insert(run.clone()) {
            runs.push(run);
        }
        row = run_ids.run_end(row, n_rows);
    }
    Ok(PartRuns { n_rows: n_rows as u64, runs })
}
