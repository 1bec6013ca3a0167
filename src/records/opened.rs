//! Files opened for their rows of one kind.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::error::{Problem, RecordError};
use super::guess;
use super::layouts::Dataset;
use super::schema::{ColumnMap, FileKind, OnBad};
use super::skips::SkipReport;
use super::sources::{InputFile, Origin};
use super::table::Table;
use super::text::TextReading;
use super::view::View;

/// Which files are wanted.
pub(super) struct WantedFiles<'a> {
    /// What their rows are.
    pub(super) kind: FileKind,
    /// Column mapping.
    pub(super) columns: &'a ColumnMap,
    /// Files that cannot be used.
    pub(super) on_bad: OnBad,
    /// The columns that tell such rows, for messages.
    pub(super) needed_columns: String,
}

/// Opens `files`; those of another kind are left aside with a note, unless they were named one by one.
pub(super) fn open_tables(
    files: &[InputFile],
    wanted: &WantedFiles<'_>,
    skipped: &mut SkipReport,
    notes: &mut Vec<String>,
) -> Result<Vec<Table>, RecordError> {
    // A view that shows rows of another kind is no file left aside.
    let is_shown = |file: &&InputFile| kind_of(file.view).is_none_or(|kind| kind == wanted.kind);
    let files: Vec<&InputFile> = files.iter().filter(is_shown).collect();
    let opened = open_all(&files, wanted.columns);
    let mut tables = Vec::new();
    let mut others: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut foreign: Option<RecordError> = None;
    for (file, table) in files.into_iter().zip(opened) {
        match table.and_then(|table| Ok((wanted.columns.kind(&table)?, table))) {
            Ok((kind, table)) if kind == wanted.kind => {
                notes.extend_from_slice(table.notes());
                tables.push(table);
            }
            Ok((kind, table)) if file.origin == Origin::Named => {
                let error = wanted.foreign(&table, kind);
                if wanted.on_bad == OnBad::Error {
                    return Err(error);
                }
                *skipped.files.entry(error.class()).or_default() += 1;
            }
            Ok((kind, _)) => *others.entry(kind.name()).or_default() += 1,
            // What lies beside recordings, and says what it is, hinders none of them.
            Err(error)
                if file.origin == Origin::Searched && matches!(error.problem, Problem::ForeignFormat(..)) =>
            {
                notes.push(format!("{error}: not used"));
                foreign.get_or_insert(error);
            }
            Err(error) if wanted.on_bad == OnBad::Skip && error.is_skippable() => {
                *skipped.files.entry(error.class()).or_default() += 1;
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = foreign.filter(|_| tables.is_empty() && others.is_empty()) {
        return Err(error);
    }
    if tables.is_empty() {
        return Err(wanted.none(&others, skipped));
    }
    check_datasets(&tables, wanted.on_bad, notes)?;
    for (kind, n) in &others {
        let files = if *n == 1 { "file" } else { "files" };
        notes.push(format!("{n} {files} with {kind} rows: no {}, not used", wanted.kind.name()));
    }
    Ok(tables)
}

/// Files opened together.
const TOGETHER: usize = 64;

/// Opens all files. Text files are held for as long as they are open: together they stay within the budget, and the first
/// one in order that does not is the one that is refused, however many threads there are.
fn open_all(files: &[&InputFile], columns: &ColumnMap) -> Vec<Result<Table, RecordError>> {
    let identity = columns.column_of("run_id");
    let mut held = 0u64;
    let open = |file: &InputFile, left: u64| {
        Table::open_as(file, &TextReading { identity, left, budget: file.budget })
    };
    let left = |file: &InputFile, held: u64| file.budget.bytes().saturating_sub(held);
    let held_by = |table: &Result<Table, RecordError>| table.as_ref().map_or(0, Table::held_bytes);
    let mut opened = Vec::with_capacity(files.len());
    for files in files.chunks(TOGETHER) {
        let share = |file: &InputFile| left(file, held) / files.len() as u64;
        let together: Vec<_> = files.par_iter().map(|file| open(file, share(file))).collect();
        let is_tight = |table: &Result<Table, RecordError>| {
            table.as_ref().is_err_and(|error| matches!(error.problem, Problem::TextOverBudget { .. }))
        };
        if files.len() > 1 && together.iter().any(is_tight) {
            // Shares of like size do not do: one after the other, each within what those before it left.
            drop(together);
            for file in files {
                let table = open(file, left(file, held));
                held = held.saturating_add(held_by(&table));
                opened.push(table);
            }
        } else {
            held = together.iter().map(held_by).fold(held, u64::saturating_add);
            opened.extend(together);
        }
    }
    opened
}

/// Compares the rows of data sets with what those say of themselves.
///
/// # Errors
/// A folder that holds other rows than its description says: a file is missing, cut, or not of it.
fn check_datasets(tables: &[Table], on_bad: OnBad, notes: &mut Vec<String>) -> Result<(), RecordError> {
    let mut found: BTreeMap<&Path, (&Dataset, u64, bool)> = BTreeMap::new();
    for table in tables {
        let Some(member) = &table.file().member else { continue };
        let dataset = &*member.dataset;
        let entry = found.entry(&dataset.root).or_insert((dataset, 0, true));
        entry.1 += table.n_rows();
        // A data set that is one file is whole where it is named.
        entry.2 &=
            table.file().origin == Origin::Searched || table.file().path_on_disk() == Some(&*dataset.root);
    }
    for (root, (dataset, n_rows, is_searched)) in found {
        let Some(expected) = dataset.n_rows.filter(|expected| *expected != n_rows) else { continue };
        let problem = Problem::DatasetRows { layout: dataset.layout, expected, found: n_rows };
        if is_searched && on_bad == OnBad::Error {
            return Err(RecordError::file(root.to_string_lossy(), problem));
        }
        notes.push(format!("{}: {problem}", root.display()));
    }
    Ok(())
}

/// The kind of rows that a view shows, where it decides on it.
fn kind_of(view: View) -> Option<FileKind> {
    match view {
        View::Whole | View::EsperEstimates => None,
        View::EsperCoalitions => Some(FileKind::Coalitions),
        View::EsperSteps => Some(FileKind::Transitions),
    }
}

impl WantedFiles<'_> {
    /// A file of another kind.
    fn foreign(&self, table: &Table, kind: FileKind) -> RecordError {
        let is_attribution = self.kind == FileKind::Coalitions;
        let command = is_attribution.then(|| guess::attribution_command(table, self.columns)).flatten();
        if let Some(command) = command {
            let (needed, found) = (self.needed_columns.clone(), table.column_names());
            return RecordError::file(table.name(), Problem::RolesNotNamed { needed, found, command });
        }
        let problem = match kind {
            FileKind::Other => {
                Problem::MissingColumns { needed: self.needed_columns.clone(), found: table.column_names() }
            }
            kind => Problem::NoFilesOfKind { needed: self.kind.rows(), others: kind.rows().to_owned() },
        };
        RecordError::file(table.name(), problem)
    }

    /// No file is of the kind.
    fn none(&self, others: &BTreeMap<&'static str, usize>, skipped: &SkipReport) -> RecordError {
        let mut found: Vec<String> = others.iter().map(|(kind, n)| format!("{n} with {kind} rows")).collect();
        if skipped.n_files() > 0 {
            found.push(format!("{} left out", skipped.n_files()));
        }
        RecordError::file("", Problem::NoFilesOfKind { needed: self.kind.rows(), others: found.join(", ") })
    }
}
