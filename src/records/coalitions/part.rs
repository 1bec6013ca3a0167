//! Parts of coalition rows, decoded and cut into row runs.

use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexSet;
use polars_buffer::Buffer;
use rayon::prelude::*;

use super::super::budget::groups_within;
use super::super::columns::{self, BadCells, Fault, Ints, Masks, Texts};
use super::super::error::{Problem, RecordError};
use super::super::schema::OnBad;
use super::super::skips::SkipReport;
use super::super::table::{PartSlice, RowDefaults, Table};
use super::encoding::{Layout, PartColumns, read_encoding};
use super::files::{CoalitionFiles, FileColumns, WalkNames};
use super::options::CoalitionOptions;
use crate::attribution::GameKey;
use crate::progress::Progress;

/// Keys in order of their first row, found by a hash that is the same in every run.
pub(super) type KeySet = IndexSet<GameKey, BuildHasherDefault<DefaultHasher>>;

/// Consecutive rows of one part that share game and layout.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowRun {
    /// Index of the game's key among the part's.
    pub(super) key: u32,
    /// Index of the layout among the part's.
    pub(super) layout: u32,
    pub(super) start: u32,
    pub(super) len: u32,
}

impl RowRun {
    pub(super) fn rows(self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// One decoded part.
#[derive(Debug)]
pub(super) struct DecodedPart {
    /// Index of the file.
    pub(super) file: u32,
    pub(super) first_row: u64,
    pub(super) masks: Masks,
    pub(super) values: Vec<Buffer<f64>>,
    pub(super) walks: Option<WalkColumns>,
    pub(super) keys: KeySet,
    /// Union of the masks per key, where the players follow from it; else empty.
    pub(super) unions: Vec<Vec<u64>>,
    pub(super) layouts: Vec<Layout>,
    pub(super) row_runs: Vec<RowRun>,
    skipped: BTreeMap<&'static str, u64>,
}

/// Permutation and position of each row.
#[derive(Debug)]
pub(super) struct WalkColumns {
    pub(super) perms: Vec<Option<i64>>,
    pub(super) positions: Vec<Option<i64>>,
}

/// Parts that could be read, and how many files none of could.
pub(super) struct ReadParts {
    pub(super) parts: Vec<DecodedPart>,
    pub(super) n_unread_files: usize,
}

/// Decodes all parts of `files`, in file and row order. A part that cannot be read is left out with its rows, a file
/// without any other part as a file too.
pub(super) fn read_parts(
    files: &CoalitionFiles,
    options: &CoalitionOptions,
    progress: &Progress,
    skipped: &mut SkipReport,
) -> Result<ReadParts, RecordError> {
    let tables = &files.tables;
    let jobs: Vec<(usize, usize)> = tables
        .iter()
        .enumerate()
        .flat_map(|(file, table)| (0..table.parts().len()).map(move |part| (file, part)))
        .collect();
    progress
        .begin("reading", jobs.iter().map(|(file, part)| tables[*file].parts()[*part].n_rows as u64).sum());
    let read_job = |(file, part): &(usize, usize)| {
        let decoded = read_part(*file, &tables[*file], *part, &files.columns[*file], options);
        progress.advance(tables[*file].parts()[*part].n_rows as u64);
        decoded
    };
    // Together no more than the budget has room for, what is made of the columns beside them.
    let budget = tables.first().map_or(u64::MAX, |table| table.file().budget.bytes() / 2);
    let bytes = |(file, part): &(usize, usize)| {
        let rows = 0..tables[*file].parts()[*part].n_rows;
        tables[*file].slice_bytes(&PartSlice { part: *part, rows }, &files.columns[*file].names())
    };
    let groups = groups_within(&jobs, budget, bytes);
    let read: Vec<Result<DecodedPart, RecordError>> =
        groups.into_iter().flat_map(|jobs| jobs.par_iter().map(read_job).collect::<Vec<_>>()).collect();
    let mut parts = Vec::with_capacity(read.len());
    let mut first_error = None;
    let mut unread: BTreeMap<usize, &'static str> = BTreeMap::new();
    for ((file, index), part) in jobs.into_iter().zip(read) {
        match part {
            Ok(part) => {
                for (reason, n) in &part.skipped {
                    *skipped.rows.entry(reason).or_default() += n;
                }
                parts.push(part);
            }
            Err(error) if options.on_bad == OnBad::Skip && error.is_skippable() => {
                *skipped.rows.entry(error.class()).or_default() += tables[file].parts()[index].n_rows as u64;
                unread.entry(file).or_insert(error.class());
                first_error.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    // Where nothing is left, what was wrong is more than that there are no rows.
    if parts.is_empty()
        && let Some(error) = first_error
    {
        return Err(error);
    }
    for part in &parts {
        unread.remove(&(part.file as usize));
    }
    for class in unread.values() {
        *skipped.files.entry(class).or_default() += 1;
    }
    Ok(ReadParts { parts, n_unread_files: unread.len() })
}

fn read_part(
    file: usize,
    table: &Table,
    part: usize,
    file_columns: &FileColumns,
    options: &CoalitionOptions,
) -> Result<DecodedPart, RecordError> {
    let place = table.parts()[part];
    let n_rows = place.n_rows;
    let mut read = PartColumns::new(table.read(part, &file_columns.names())?);
    let mut bad = BadCells::default();
    let keys = KeyColumns::read(file_columns, &mut read, table.defaults(), n_rows, &mut bad);
    let encoded = read_encoding(&file_columns.encoding, &mut read, n_rows, options, &mut bad);
    let values = (file_columns.values.iter())
        .map(|name| columns::finite_floats(read.next(), name, n_rows, &mut bad))
        .collect();
    let walks = (file_columns.walk.as_ref()).map(|names| read_walks(names, &mut read, n_rows, &mut bad));
    let judged = judge(bad, table, place.first_row, n_rows, options.on_bad)?;
    let mut decoded = DecodedPart {
        file: u32::try_from(file).unwrap_or(u32::MAX),
        first_row: place.first_row,
        masks: encoded.masks,
        values,
        walks,
        keys: IndexSet::default(),
        unions: Vec::new(),
        layouts: encoded.layouts,
        row_runs: Vec::new(),
        skipped: judged.skipped,
    };
    decoded.form_row_runs(&keys, encoded.row_layouts.as_deref(), judged.is_bad.as_deref(), n_rows);
    Ok(decoded)
}

fn read_walks(names: &WalkNames, read: &mut PartColumns, n_rows: usize, bad: &mut BadCells) -> WalkColumns {
    let perms = columns::optional_ints(read.next(), &names.perm, n_rows, bad);
    let positions = columns::optional_ints(read.next(), &names.position, n_rows, bad);
    for (row, (perm, position)) in perms.iter().zip(&positions).enumerate() {
        if perm.is_some() != position.is_some() {
            bad.push(row, &names.position, Problem::HalfWalk);
        }
    }
    WalkColumns { perms, positions }
}

/// What became of a part's bad cells where they are no error.
struct JudgedRows {
    /// Whether each row is bad; `None` if none is.
    is_bad: Option<Vec<bool>>,
    /// Bad rows by reason.
    skipped: BTreeMap<&'static str, u64>,
}

/// Bad cells to either an error (the first in row order) or a mark per row and counts.
fn judge(
    bad: BadCells,
    table: &Table,
    first_row: u64,
    n_rows: usize,
    on_bad: OnBad,
) -> Result<JudgedRows, RecordError> {
    let mut cells = bad.cells;
    if cells.is_empty() {
        return Ok(JudgedRows { is_bad: None, skipped: BTreeMap::new() });
    }
    cells.sort_by_key(|cell| cell.row);
    let mut is_bad = vec![false; n_rows];
    let mut skipped = BTreeMap::new();
    for cell in cells {
        let (row, fault) = (cell.row, cell.fault);
        let error = cell.error(table.name(), first_row + row as u64);
        // A column of a wrong type has no row to blame.
        if on_bad == OnBad::Error || fault == Fault::Column {
            return Err(error);
        }
        if !std::mem::replace(&mut is_bad[row], true) {
            *skipped.entry(error.class()).or_default() += 1;
        }
    }
    Ok(JudgedRows { is_bad: Some(is_bad), skipped })
}

struct KeyColumns {
    groups: Groups,
    run_ids: Texts,
    episodes: Ints,
    env_ids: Ints,
    batches: Option<Ints>,
}

impl KeyColumns {
    fn read(
        columns: &FileColumns,
        read: &mut PartColumns,
        defaults: RowDefaults<'_>,
        n_rows: usize,
        bad: &mut BadCells,
    ) -> Self {
        let labels = (columns.by.iter())
            .map(|name| NamedLabels { name: name.clone(), labels: columns::labels(read.next(), name, bad) });
        let groups = Groups { columns: labels.collect(), none: Arc::default() };
        let run_ids = match &columns.run_id {
            Some(name) => columns::run_ids(read.next(), name, bad),
            None => Texts::Constant(defaults.run.to_owned()),
        };
        let run_ids = match &columns.seed {
            Some(name) => run_ids.joined(name, &columns::run_ids(read.next(), name, bad), n_rows),
            None => run_ids,
        };
        let mut ints = |name: &Option<String>| match name {
            Some(name) => columns::ints(read.next(), name, bad),
            None => Ints::Constant(0),
        };
        Self {
            groups,
            run_ids,
            episodes: ints(&columns.episode),
            env_ids: ints(&columns.env_id),
            batches: columns.batch.is_some().then(|| ints(&columns.batch)),
        }
    }

    /// End of the rows with one key that begin at `start`.
    ///
    /// Looked for in stretches that grow: one part of the key may be the same to the end while another changes with every
    /// row.
    fn run_end(&self, start: usize, end: usize) -> usize {
        let mut length = 64;
        loop {
            let stretch = end.min(start + length);
            let found = self.run_end_within(start, stretch);
            if found < stretch || stretch == end {
                return found;
            }
            length *= 4;
        }
    }

    fn run_end_within(&self, start: usize, end: usize) -> usize {
        let end = self.episodes.run_end(start, end);
        let end = self.env_ids.run_end(start, end);
        let end = self.batches.as_ref().map_or(end, |batches| batches.run_end(start, end));
        let end = self.groups.run_end(start, end);
        self.run_ids.run_end(start, end)
    }

    fn key(&self, row: usize, run_id: Arc<str>) -> GameKey {
        GameKey {
            group: self.groups.get(row),
            run_id,
            episode: self.episodes.get(row),
            env_id: self.env_ids.get(row),
            batch: self.batches.as_ref().map(|batches| batches.get(row)),
        }
    }
}

/// The columns that make groups.
struct Groups {
    columns: Vec<NamedLabels>,
    /// The group of every row where there are no such columns.
    none: Arc<[String]>,
}

struct NamedLabels {
    name: String,
    labels: Texts,
}

impl Groups {
    fn run_end(&self, start: usize, end: usize) -> usize {
        self.columns.iter().fold(end, |end, column| column.labels.run_end(start, end))
    }

    fn get(&self, row: usize) -> Arc<[String]> {
        if self.columns.is_empty() {
            return Arc::clone(&self.none);
        }
        self.columns.iter().map(|column| format!("{}={}", column.name, column.labels.get(row))).collect()
    }
}

/// Run ids row after row: consecutive rows of one run share theirs.
struct SharedRunIds<'a> {
    texts: &'a Texts,
    n_rows: usize,
    run_id: Arc<str>,
    /// The row after the last that has it.
    until: usize,
}

impl<'a> SharedRunIds<'a> {
    fn new(texts: &'a Texts, n_rows: usize) -> Self {
        Self { texts, n_rows, run_id: Arc::from(""), until: 0 }
    }

    /// Run id of a row; rows are asked for in order.
    fn get(&mut self, row: usize) -> Arc<str> {
        if row >= self.until {
            self.run_id = Arc::from(self.texts.get(row));
            self.until = self.texts.run_end(row, self.n_rows);
        }
        Arc::clone(&self.run_id)
    }
}

impl DecodedPart {
    /// Cuts the part into row runs: at every change of key or layout, and around bad rows.
    fn form_row_runs(
        &mut self,
        keys: &KeyColumns,
        layouts: Option<&[u32]>,
        is_bad: Option<&[bool]>,
        n_rows: usize,
    ) {
        let mut run_ids = SharedRunIds::new(&keys.run_ids, n_rows);
        let mut start = 0;
        while start < n_rows {
            if is_bad.is_some_and(|is_bad| is_bad[start]) {
                start += 1;
                continue;
            }
            let mut end = keys.run_end(start, n_rows);
            if let Some(layouts) = layouts {
                let differs = layouts[start..end].iter().position(|layout| *layout != layouts[start]);
                end = differs.map_or(end, |length| start + length);
            }
            if let Some(is_bad) = is_bad {
                let bad = is_bad[start..end].iter().position(|is_bad| *is_bad);
                end = bad.map_or(end, |length| start + length);
            }
            let (index, is_new) = self.keys.insert_full(keys.key(start, run_ids.get(start)));
            if is_new {
                self.unions.push(Vec::new());
            }
            let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let layout = layouts.map_or(0, |layouts| layouts[start]);
            if matches!(self.layouts.get(layout as usize), Some(Layout::Open | Layout::Seen(_))) {
                self.masks.unite(start..end, &mut self.unions[index]);
            }
            self.row_runs.push(RowRun {
                key: narrow(index),
                layout,
                start: narrow(start),
                len: narrow(end - start),
            });
            start = end;
        }
        self.row_runs.shrink_to_fit();
    }
}
