//! Environment steps in replay order, streamed in blocks of bounded size.
//!
//! A first pass reads only the key columns: it finds runs, environments and whether rows come in replay order.
//! Rows that do are then streamed as they lie; rows that do not are spread over temporary files by their place
//! in replay order, and each of those is sorted in memory ([`spill`]).

mod block;
mod index;
mod keys;
mod spill;
mod values;

use std::collections::BTreeMap;
use std::sync::Mutex;

use rayon::prelude::*;

pub use block::StepBlock;
pub(super) use block::join_arrays;
pub use values::StepValues;

use self::block::Assigner;
use self::index::{Index, KeyNames};
use self::keys::PieceKeys;
use super::coalitions::SkipReport;
use super::columns::{self, BadCells};
use super::error::{Problem, RecordError};
use super::schema::{ColumnMap, FileKind, OnBad};
use super::sources::InputFile;
use super::table::{Column, Table};
use crate::normalization::RowMoments;
use crate::progress::Progress;

/// Decoded bytes of the pieces handled at once.
const WAVE_BYTES: u64 = 64 << 20;

/// Decoded bytes of one piece.
const PIECE_BYTES: u64 = 80 << 20;

/// How rows of different environments are aligned in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clock {
    /// Vector step k is the k-th row of every environment.
    Row,
    /// Rows of equal (episode, step) belong together.
    EpisodeStep,
    /// Rows of equal value in this column belong together.
    Column(String),
}

/// What is read besides the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepTarget {
    /// Observations.
    Obs,
    /// Rewards.
    Reward,
    /// Recorded returns.
    Return,
}

impl StepTarget {
    /// The field of the column.
    pub fn field(self) -> &'static str {
        match self {
            Self::Obs => "obs",
            Self::Reward => "reward",
            Self::Return => "return",
        }
    }
}

/// How step rows are to be read.
#[derive(Debug, Clone)]
pub struct StepOptions {
    /// Column mapping.
    pub columns: ColumnMap,
    /// What is read.
    pub target: StepTarget,
    /// How environments are aligned.
    pub clock: Clock,
    /// Whether a round column is needed.
    pub needs_round: bool,
    /// Whether the ends of episodes are to be told over all environments.
    pub needs_episode_ends: bool,
    /// Whether all other columns are carried along.
    pub carries_columns: bool,
    /// Malformed rows and files.
    pub on_bad: OnBad,
}

/// One recorded run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// Its id.
    pub run_id: String,
    /// Rows, malformed ones included.
    pub n_rows: u64,
    /// Environments in ascending order.
    pub envs: Vec<i64>,
    /// Vector steps.
    pub n_vector_steps: u64,
    /// Least and greatest (episode, step).
    pub span: ((i64, i64), (i64, i64)),
}

/// A cell that is not a finite number.
#[derive(Debug, Clone, PartialEq)]
pub struct BadPlace {
    /// File.
    pub file: String,
    /// Row.
    pub row: u64,
    /// Dimension within the row.
    pub dimension: usize,
    /// The value.
    pub value: f64,
}

/// Bad cells whose places are kept.
const PLACES_KEPT: usize = 20;

/// What was found wrong and left out while streaming.
#[derive(Debug, Clone, Default)]
pub struct StepSkips {
    /// Rows and files by reason.
    pub report: SkipReport,
    /// Cells that are not finite, in all.
    pub n_bad_cells: u64,
    /// The first of them.
    pub places: Vec<BadPlace>,
}

/// Step rows of many files, ready to be streamed.
pub struct StepRecording {
    tables: Vec<Table>,
    names: Vec<KeyNames>,
    options: StepOptions,
    width: usize,
    /// Columns carried along, in order, the values' own among them.
    column_names: Vec<String>,
    value_columns: Vec<String>,
    index: Index,
    notes: Vec<String>,
    skips: Mutex<StepSkips>,
}

impl StepRecording {
    /// Opens `files` and reads their key columns.
    ///
    /// # Errors
    /// Unreadable files, missing columns, null keys, a doubled (run, episode, step, env), observations of
    /// several widths.
    pub fn open(
        files: &[InputFile],
        options: &StepOptions,
        progress: &Progress,
    ) -> Result<Self, RecordError> {
        let mut skips = StepSkips::default();
        let mut notes = Vec::new();
        let tables = open_tables(files, options, &mut skips, &mut notes)?;
        let names: Vec<KeyNames> =
            tables.iter().map(|table| KeyNames::find(table, options)).collect::<Result<_, _>>()?;
        let value_columns = names[0].values.clone();
        if let Some(place) = names.iter().position(|names| names.values != value_columns) {
            return Err(RecordError::file(
                tables[place].name(),
                Problem::MissingColumns {
                    needed: format!("column {} as in {}", value_columns.join(", "), tables[0].name()),
                    found: tables[place].column_names(),
                },
            ));
        }
        let column_names = if options.carries_columns {
            common_columns(&tables, &value_columns, &mut notes)
        } else {
            Vec::new()
        };
        let width = first_width(&tables, &names, options.target)?;
        let index = Index::build(&tables, &names, options, progress, &mut skips)?;
        if index.has_implied_steps() {
            notes.push("no step column: the rows of an episode are taken in file order".to_owned());
        }
        if let Some(note) = index.order_note() {
            notes.push(note);
        }
        let skips = Mutex::new(skips);
        let options = options.clone();
        Ok(Self { tables, names, options, width, column_names, value_columns, index, notes, skips })
    }

    /// Runs in replay order.
    pub fn runs(&self) -> &[RunInfo] {
        self.index.runs()
    }

    /// Rows, malformed ones included.
    pub fn n_rows(&self) -> u64 {
        self.runs().iter().map(|run| run.n_rows).sum()
    }

    /// Files read.
    pub fn n_files(&self) -> usize {
        self.tables.len()
    }

    /// Values per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Names of the dimensions: the columns where each has its own, else numbers.
    pub fn dimension_names(&self) -> Vec<String> {
        if self.value_columns.len() == self.width {
            return self.value_columns.clone();
        }
        (0..self.width).map(|d| format!("{}[{d}]", self.value_columns[0])).collect()
    }

    /// The columns the values come from: one, or one per dimension.
    pub fn value_columns(&self) -> &[String] {
        &self.value_columns
    }

    /// Whether the values are lists in one column.
    pub fn has_value_lists(&self) -> bool {
        let dtype = self.tables[0].column_type(&self.value_columns[0]);
        self.value_columns.len() == 1 && dtype.is_some_and(|dtype| !columns::is_numeric(dtype))
    }

    /// Columns carried along, in order.
    pub fn column_names(&self) -> &[String] {
        &self.column_names
    }

    /// Whether the recording marks rolled-back rows.
    pub fn has_rolled_back(&self) -> bool {
        self.names.iter().any(|names| names.rolled_back.is_some())
    }

    /// Remarks for the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What was left out so far: complete once everything was streamed.
    pub fn skips(&self) -> StepSkips {
        self.skips.lock().map_or_else(|poisoned| poisoned.into_inner().clone(), |skips| skips.clone())
    }

    /// Whether rows lie in replay order, so that nothing has to be sorted.
    pub fn is_ordered(&self) -> bool {
        self.index.is_ordered()
    }

    /// Streams all rows in replay order. A block holds rows of one run; decoding the next rows and consuming
    /// the last ones overlap.
    ///
    /// # Errors
    /// The first malformed row (unless such rows are skipped), or what `consume` returns.
    pub fn stream<E: From<RecordError> + Send>(
        &self,
        progress: &Progress,
        consume: impl FnMut(StepBlock) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        progress.begin("reading", self.n_rows());
        // What an earlier pass over the same rows counted is counted anew.
        self.forget_skips();
        if self.index.is_ordered() {
            self.stream_ordered(progress, consume)
        } else {
            self.stream_sorted(progress, consume)
        }
    }

    /// Streams all rows as they lie in the files, for what does not depend on their order.
    ///
    /// # Errors
    /// As [`StepRecording::stream`].
    pub fn stream_as_recorded<E: From<RecordError> + Send>(
        &self,
        progress: &Progress,
        consume: impl FnMut(StepBlock) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        progress.begin("reading", self.n_rows());
        self.forget_skips();
        self.stream_ordered(progress, consume)
    }

    /// Moments of all rows, piece by piece in file order, straight from columns of numbers that lie apart.
    ///
    /// `None` where rows have to be looked at: several runs, rows left out, lists, nulls or numbers that are not
    /// finite (the general way tells where).
    ///
    /// # Errors
    /// Unreadable files.
    pub fn column_moments(
        &self,
        rows_per_piece: usize,
        progress: &Progress,
    ) -> Result<Option<Vec<RowMoments>>, RecordError> {
        if self.runs().len() > 1 || self.value_columns.len() < 2 || !self.index.skipped_rows().is_empty() {
            return Ok(None);
        }
        progress.begin("reading", self.n_rows());
        let mut pieces = Vec::new();
        for table in &self.tables {
            for (part, place) in table.parts().iter().enumerate() {
                let columns = self.value_columns.par_iter().map(|name| {
                    let arrays = table.read_arrays(part, &(0..place.n_rows), std::slice::from_ref(name))?;
                    Ok(arrays.first().and_then(|array| values::column_pieces(&**array, rows_per_piece)))
                });
                let columns: Vec<Option<Vec<RowMoments>>> = columns.collect::<Result<_, RecordError>>()?;
                let Some(columns) = columns.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
                for piece in 0..columns[0].len() {
                    let here: Vec<RowMoments> = columns.iter().map(|column| column[piece].clone()).collect();
                    pieces.push(RowMoments::of_columns(&here));
                }
                progress.advance(place.n_rows as u64);
            }
        }
        Ok(Some(pieces))
    }

    fn forget_skips(&self) {
        if let Ok(mut skips) = self.skips.lock() {
            let files = std::mem::take(&mut skips.report.files);
            *skips = StepSkips::default();
            skips.report.files = files;
            for (reason, n) in self.index.skipped_rows() {
                *skips.report.rows.entry(reason).or_default() += n;
            }
        }
    }

    fn stream_ordered<E: From<RecordError> + Send>(
        &self,
        progress: &Progress,
        mut consume: impl FnMut(StepBlock) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let waves = self.waves();
        let mut assigner = Assigner::new(&self.index, &self.options);
        let mut current = self.decode(waves.first().map_or(&[][..], Vec::as_slice));
        for wave in 0..waves.len() {
            let following = waves.get(wave + 1).map_or(&[][..], Vec::as_slice);
            let (consumed, next) = rayon::join(
                || -> Result<(), E> {
                    for piece in std::mem::take(&mut current) {
                        let piece = piece?;
                        let n_rows = piece.keys.n_rows() as u64;
                        for block in assigner.assign(piece, &self.skips, &self.tables)? {
                            consume(block)?;
                        }
                        progress.advance(n_rows);
                    }
                    Ok(())
                },
                || self.decode(following),
            );
            consumed?;
            current = next;
        }
        Ok(())
    }

    fn stream_sorted<E: From<RecordError> + Send>(
        &self,
        progress: &Progress,
        mut consume: impl FnMut(StepBlock) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let mut buckets = spill::Buckets::new(&self.index, self.bytes_per_row());
        for wave in self.waves() {
            for piece in self.decode(&wave) {
                let mut piece = piece?;
                progress.advance(piece.keys.n_rows() as u64 / 2);
                let is_bad = block::judge(&mut piece, &self.options, &self.skips, &self.tables)?;
                buckets.spread(&piece, &is_bad, &self.index)?;
            }
        }
        let mut assigner = Assigner::new(&self.index, &self.options);
        for piece in buckets.into_sorted() {
            let piece = piece?;
            let n_rows = piece.keys.n_rows() as u64;
            for block in assigner.assign(piece, &self.skips, &self.tables)? {
                consume(block)?;
            }
            progress.advance(n_rows - n_rows / 2);
        }
        Ok(())
    }

    fn columns_read(&self, file: usize) -> Vec<String> {
        let mut names = self.names[file].all();
        names.extend(self.column_names.iter().cloned());
        let mut distinct: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            if !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        distinct
    }

    fn bytes_per_row(&self) -> u64 {
        let all = self.columns_read(0);
        let n_rows = self.tables[0].n_rows().max(1);
        self.tables[0].n_bytes(&all).div_ceil(n_rows).max(8 * (self.width as u64 + 8))
    }

    /// Pieces of all files, grouped so that each group is decoded at once.
    fn waves(&self) -> Vec<Vec<(usize, usize, std::ops::Range<usize>)>> {
        let per_row = self.bytes_per_row();
        let mut waves: Vec<Vec<_>> = Vec::new();
        let mut bytes = u64::MAX;
        for (file, table) in self.tables.iter().enumerate() {
            for (part, rows) in table.pieces(&self.columns_read(file), PIECE_BYTES) {
                let size = rows.len() as u64 * per_row;
                if bytes.saturating_add(size) > WAVE_BYTES {
                    waves.push(Vec::new());
                    bytes = 0;
                }
                bytes += size;
                if let Some(wave) = waves.last_mut() {
                    wave.push((file, part, rows));
                }
            }
        }
        waves
    }

    fn decode(&self, wave: &[(usize, usize, std::ops::Range<usize>)]) -> Vec<Result<Piece, RecordError>> {
        wave.par_iter().map(|(file, part, rows)| self.decode_piece(*file, *part, rows)).collect()
    }

    fn decode_piece(
        &self,
        file: usize,
        part: usize,
        rows: &std::ops::Range<usize>,
    ) -> Result<Piece, RecordError> {
        let table = &self.tables[file];
        let names = self.columns_read(file);
        let arrays = table.read_arrays(part, rows, &names)?;
        let array = |name: &String| {
            let place = names.iter().position(|other| other == name);
            place.and_then(|place| arrays.get(place)).cloned()
        };
        let first_row = table.parts()[part].first_row + rows.start as u64;
        let mut bad = BadCells::default();
        let keys =
            PieceKeys::of(&self.names[file], table.stem(), file, first_row, rows.len(), array, &mut bad);
        let values = values::read(&self.names[file].values, self.width, rows.len(), array, &mut bad);
        let carried = self.column_names.iter().filter_map(array).collect();
        Ok(Piece { keys, values, carried, bad: columns::sorted_by_row(bad) })
    }
}

/// Decoded rows of one piece of a file.
pub(super) struct Piece {
    keys: PieceKeys,
    values: StepValues,
    carried: Vec<Box<dyn polars_arrow::array::Array>>,
    bad: BadCells,
}

fn open_tables(
    files: &[InputFile],
    options: &StepOptions,
    skips: &mut StepSkips,
    notes: &mut Vec<String>,
) -> Result<Vec<Table>, RecordError> {
    let opened: Vec<Result<Table, RecordError>> = files.par_iter().map(Table::open).collect();
    let mut tables = Vec::new();
    let mut others: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (file, table) in files.iter().zip(opened) {
        let kind = table.and_then(|table| Ok((options.columns.kind(&table)?, table)));
        match kind {
            Ok((FileKind::Transitions, table)) => tables.push(table),
            Ok((kind, table)) if file.is_named => {
                let needed = format!("transition columns ({} and the like)", options.target.field());
                let problem = if kind == FileKind::Coalitions {
                    Problem::NoFilesOfKind { needed: "transition rows", others: "coalition rows".to_owned() }
                } else {
                    Problem::MissingColumns { needed, found: table.column_names() }
                };
                let error = RecordError::file(table.name(), problem);
                if options.on_bad == OnBad::Error {
                    return Err(error);
                }
                *skips.report.files.entry(error.class()).or_default() += 1;
            }
            Ok((kind, _)) => *others.entry(kind.name()).or_default() += 1,
            Err(error) if options.on_bad == OnBad::Skip && error.is_skippable() => {
                *skips.report.files.entry(error.class()).or_default() += 1;
            }
            Err(error) => return Err(error),
        }
    }
    if tables.is_empty() {
        let mut found: Vec<String> = others.iter().map(|(kind, n)| format!("{n} with {kind} rows")).collect();
        if skips.report.n_files() > 0 {
            found.push(format!("{} left out", skips.report.n_files()));
        }
        let problem = Problem::NoFilesOfKind { needed: "transition rows", others: found.join(", ") };
        return Err(RecordError::file("", problem));
    }
    for (kind, n) in &others {
        let files = if *n == 1 { "file" } else { "files" };
        notes.push(format!("{n} {files} with {kind} rows: no transitions, not used"));
    }
    Ok(tables)
}

/// Columns all files have with one type, in the first file's order.
fn common_columns(tables: &[Table], values: &[String], notes: &mut Vec<String>) -> Vec<String> {
    let is_common = |name: &String| {
        values.contains(name)
            || tables.iter().all(|table| table.column_type(name) == tables[0].column_type(name))
    };
    let (common, dropped): (Vec<String>, Vec<String>) =
        tables[0].column_names().into_iter().partition(|name| is_common(name));
    if !dropped.is_empty() {
        notes.push(format!("columns not of one type in all files, not written: {}", dropped.join(", ")));
    }
    common
}

/// Values per row, from the first row there is.
fn first_width(tables: &[Table], names: &[KeyNames], target: StepTarget) -> Result<usize, RecordError> {
    let columns = &names[0].values;
    if columns.len() > 1 || target != StepTarget::Obs {
        return Ok(columns.len());
    }
    for (table, names) in tables.iter().zip(names) {
        for (part, place) in table.parts().iter().enumerate() {
            let mut start = 0;
            while start < place.n_rows {
                // The first rows of the part nearly always decide.
                let end = place.n_rows.min(start + 64);
                let arrays = table.read_arrays(part, &(start..end), &names.values)?;
                if let Some(width) = arrays.first().and_then(|array| values::width(&**array)) {
                    return Ok(width);
                }
                start = end;
            }
        }
    }
    let first = &tables[0];
    let mut bad = BadCells::default();
    let arrays = match first.parts().first() {
        Some(place) => first.read(0, columns).map(|columns| (columns, place.n_rows))?,
        None => return Err(RecordError::file(first.name(), Problem::NoRows)),
    };
    if let Some(column) = arrays.0.into_iter().next() {
        // Tells what the column holds instead.
        let _ = columns::lists(column, &columns[0], "a list of numbers", &mut bad);
    }
    let found = first.column_type(&columns[0]).map(super::table::describe_type).unwrap_or_default();
    let otherwise = Problem::WrongType { expected: "lists of numbers, not empty", found };
    let problem = bad.cells.pop().map_or(otherwise, |cell| cell.problem);
    Err(RecordError { file: first.name().to_owned(), row: None, column: Some(columns[0].clone()), problem })
}

impl std::fmt::Debug for StepRecording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepRecording").field("runs", &self.runs()).finish_non_exhaustive()
    }
}

/// A column as the reading helpers take it.
fn column(array: Option<Box<dyn polars_arrow::array::Array>>) -> Option<Column> {
    array.map(Column::Values)
}
