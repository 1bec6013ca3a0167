//! Files of step rows: which columns they have, and their rows decoded slice by slice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use polars_arrow::array::Array;
use rayon::prelude::*;

use super::super::columns::{self, BadCells};
use super::super::copies::{RunSource, refuse_copies};
use super::super::error::{Problem, RecordError};
use super::super::opened::{WantedFiles, open_tables};
use super::super::schema::{FileKind, OnBad, obs_parts};
use super::super::sources::InputFile;
use super::super::table::{PartSlice, Table, describe_type};
use super::super::twins::{Likeness, TwinColumns, refuse_twins};
use super::carried::carried_column;
use super::keys::RowKeys;
use super::names::KeyNames;
use super::options::{StepOptions, StepSizes, StepTarget};
use super::rows::DecodedRows;
use super::skips::StepSkips;
use super::values;

/// Files of step rows with the columns to read.
pub(super) struct StepFiles {
    pub(super) tables: Vec<Table>,
    /// Columns of each table.
    pub(super) names: Vec<KeyNames>,
    /// Columns the values come from.
    pub(super) value_columns: Vec<String>,
    /// Columns whose rows can be written again, in order, the values' own among them.
    pub(super) columns: Vec<String>,
    /// Those of them that are carried along with the values.
    pub(super) carried_columns: Vec<String>,
    /// Values per row of each of them.
    pub(super) widths: Vec<usize>,
    /// Values per row.
    pub(super) width: usize,
    /// Whether values of all files are made 64-bit numbers: some files have others.
    widens: bool,
    /// Rows that are read, counted over all files; `None` for all.
    pub(super) rows: Option<Range<u64>>,
    sizes: StepSizes,
}

/// Slices that are decoded together.
#[derive(Default)]
pub(super) struct Wave {
    pub(super) slices: Vec<FileSlice>,
    /// Bytes they take once they are decoded.
    pub(super) bytes: u64,
}

/// Rows of one part of one file.
pub(super) struct FileSlice {
    file: usize,
    slice: PartSlice,
}

impl StepFiles {
    /// Opens `files`; those of another kind are left aside with a note.
    ///
    /// Under [`OnBad::Skip`] every row is decoded here once: a file whose damage shows only then would be left out when half
    /// of it has been counted.
    pub(super) fn open(
        files: &[InputFile],
        options: &StepOptions,
        skips: &mut StepSkips,
        notes: &mut Vec<String>,
    ) -> Result<Self, RecordError> {
        if options.on_bad == OnBad::Error {
            return Self::open_sound(files, options, skips, notes);
        }
        let mut left = files.to_vec();
        let mut damaged: BTreeMap<&'static str, u64> = BTreeMap::new();
        loop {
            let (mut found_skips, mut found_notes) = (skips.clone(), notes.clone());
            let opened = Self::open_sound(&left, options, &mut found_skips, &mut found_notes);
            let (opened, errors) = match opened {
                Ok(opened) => {
                    let errors = opened.undecodable();
                    (Some(opened), errors)
                }
                Err(error) => (None, vec![error]),
            };
            if let (Some(opened), true) = (opened, errors.is_empty()) {
                (*skips, *notes) = (found_skips, found_notes);
                for (class, n) in damaged {
                    *skips.report.files.entry(class).or_default() += n;
                }
                return Ok(opened);
            }
            for error in errors {
                let n_before = left.len();
                left.retain(|file| file.name != error.file);
                if !error.is_skippable() || left.len() == n_before || left.is_empty() {
                    return Err(error);
                }
                *damaged.entry(error.class()).or_default() += 1;
            }
        }
    }

    /// What is wrong with each file that cannot be decoded. All rows are decoded, and let go.
    fn undecodable(&self) -> Vec<RecordError> {
        let rows = self.waves().into_iter().flat_map(|wave| self.decode(&wave));
        let mut errors: Vec<RecordError> = rows.filter_map(Result::err).collect();
        let mut seen = BTreeSet::new();
        errors.retain(|error| seen.insert(error.file.clone()));
        errors
    }

    fn open_sound(
        files: &[InputFile],
        options: &StepOptions,
        skips: &mut StepSkips,
        notes: &mut Vec<String>,
    ) -> Result<Self, RecordError> {
        let wanted = WantedFiles {
            kind: FileKind::Transitions,
            columns: &options.columns,
            on_bad: options.on_bad,
            needed_columns: format!("transition columns ({} and the like)", options.target.field()),
        };
        let tables = open_tables(files, &wanted, &mut skips.report, notes)?;
        let names: Vec<KeyNames> =
            tables.iter().map(|table| KeyNames::find(table, options)).collect::<Result<_, _>>()?;
        let sources = tables.iter().zip(&names);
        let sources = sources
            .map(|(table, names)| RunSource { file: table.file(), has_run_id: names.run_id.is_some() });
        refuse_copies(&sources.collect::<Vec<_>>())?;
        let twins = |(table, names): (&'_ Table, &KeyNames)| TwinColumns {
            keys: names.env_id.iter().filter(|name| table.has_column(name)).cloned().collect(),
            values: names.values.clone(),
        };
        let twins: Vec<(&Table, TwinColumns)> =
            tables.iter().zip(&names).map(|pair| (pair.0, twins(pair))).collect();
        refuse_twins(&twins, Likeness::STEPS)?;
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
        if options.target == StepTarget::Obs
            && obs_parts(&tables[0]).is_some_and(|parts| parts == value_columns)
        {
            let parts = value_columns.join(", ");
            notes.push(format!("observations are {parts}, one after the other; --obs names others"));
        }
        // Observations are written in normalized form alone.
        let replaced = if options.target == StepTarget::Obs { &value_columns[..] } else { &[] };
        let columns =
            if options.carries_columns { common_columns(&tables, replaced, notes) } else { Vec::new() };
        let carried_columns = columns.iter().filter(|name| !replaced.contains(name)).cloned().collect();
        let widths = first_widths(&tables, &names, options.target)?;
        let width = widths.iter().sum();
        let is_single = |table: &Table| {
            let mut types = value_columns.iter().map(|name| table.column_type(name));
            types.all(|dtype| dtype.is_some_and(values::is_single))
        };
        let n_single = tables.iter().filter(|table| is_single(table)).count();
        let widens = n_single > 0 && n_single < tables.len();
        let (sizes, rows) = (options.sizes, None);
        Ok(Self {
            tables,
            names,
            value_columns,
            columns,
            carried_columns,
            widths,
            width,
            widens,
            rows,
            sizes,
        })
    }

    /// All columns read from a file, each once.
    fn columns_read(&self, file: usize) -> Vec<String> {
        let mut names = self.names[file].all();
        names.extend(self.carried_columns.iter().cloned());
        let mut seen = BTreeSet::new();
        names.into_iter().filter(|name| seen.insert(name.clone())).collect()
    }

    /// Decoded bytes of a row, as far as the first file tells.
    pub(super) fn bytes_per_row(&self) -> u64 {
        let all = self.columns_read(0);
        let n_rows = self.tables[0].n_rows().max(1);
        self.tables[0].n_bytes(&all).div_ceil(n_rows).max(8 * (self.width as u64 + 8))
    }

    /// Rows of a bucket that is put in order in memory.
    pub(super) fn bucket_rows(&self) -> u64 {
        (self.sizes.bucket_bytes / self.bytes_per_row()).max(1)
    }

    /// Bytes that what is decoded may take at once.
    pub(super) fn budget(&self) -> u64 {
        self.tables[0].file().budget.bytes()
    }

    /// Slices of all files in order, in waves: a wave is decoded at once, whatever the number of threads.
    pub(super) fn waves(&self) -> Vec<Wave> {
        let per_row = self.bytes_per_row();
        let most = self.sizes.wave_bytes.min(self.budget() / 4);
        let mut waves: Vec<Wave> = Vec::new();
        let mut before = 0;
        for (file, table) in self.tables.iter().enumerate() {
            let (bytes_each, rows_each) = (self.sizes.slice_bytes, self.sizes.slice_bytes / per_row);
            let rows_each = usize::try_from(rows_each).unwrap_or(usize::MAX);
            let names = self.columns_read(file);
            for slice in table.slices(&names, bytes_each, rows_each) {
                let first_row = before;
                before += slice.rows.len() as u64;
                let Some(slice) = self.wanted(slice, first_row) else { continue };
                let size = (slice.rows.len() as u64 * per_row).max(table.slice_bytes(&slice, &names));
                if waves.last().is_none_or(|wave| wave.bytes.saturating_add(size) > most) {
                    waves.push(Wave::default());
                }
                if let Some(wave) = waves.last_mut() {
                    wave.bytes = wave.bytes.saturating_add(size);
                    wave.slices.push(FileSlice { file, slice });
                }
            }
        }
        waves
    }

    /// What is read of a slice with so many rows before it.
    fn wanted(&self, mut slice: PartSlice, before: u64) -> Option<PartSlice> {
        let Some(wanted) = &self.rows else { return Some(slice) };
        let n_rows = slice.rows.len();
        let within =
            |row: u64| usize::try_from(row.saturating_sub(before)).map_or(n_rows, |row| row.min(n_rows));
        let (start, end) = (within(wanted.start), within(wanted.end));
        slice.rows = slice.rows.start + start..slice.rows.start + end;
        (start < end).then_some(slice)
    }

    /// The rows of a wave.
    pub(super) fn decode(&self, wave: &Wave) -> Vec<Result<DecodedRows, RecordError>> {
        wave.slices.par_iter().map(|slice| self.decode_slice(slice)).collect()
    }

    fn decode_slice(&self, slice: &FileSlice) -> Result<DecodedRows, RecordError> {
        let FileSlice { file, slice: PartSlice { part, rows } } = slice;
        let (table, key_names) = (&self.tables[*file], &self.names[*file]);
        let names = self.columns_read(*file);
        let arrays = table.read_arrays(*part, rows, &names)?;
        let by_name: BTreeMap<&String, &Box<dyn Array>> = names.iter().zip(&arrays).collect();
        let array = |name: &String| by_name.get(name).map(|array| (*array).clone());
        let first_row = table.parts()[*part].first_row + rows.start as u64;
        let mut bad = BadCells::default();
        let keys = RowKeys::of(key_names, table.defaults(), *file, first_row, rows.len(), array, &mut bad);
        let has_axes = has_axes(table);
        let value = |name: &String| {
            let array = array(name)?;
            Some(if has_axes { columns::flattened(array) } else { array })
        };
        let values = values::read(&key_names.values, &self.widths, rows.len(), value, &mut bad);
        let carried = self.carried_columns.iter().filter_map(|name| Some((name, array(name)?)));
        let carried = carried.map(|(name, array)| carried_column(table.name(), name, &*array));
        let carried = carried.collect::<Result<_, _>>()?;
        let values = if self.widens { values.widened() } else { values };
        Ok(DecodedRows { keys, values, carried, bad: columns::sorted_by_row(bad), judged: None })
    }
}

/// Whether lists of lists are rows of several axes: in a data set whose description says so. Elsewhere they may be whole episodes.
fn has_axes(table: &Table) -> bool {
    table.file().member.as_ref().is_some_and(|member| !member.dataset.about.features.is_empty())
}

/// Columns all files have with one type, in the first file's order; those that are `replaced` may be of several.
fn common_columns(tables: &[Table], replaced: &[String], notes: &mut Vec<String>) -> Vec<String> {
    let is_common = |name: &String| {
        replaced.contains(name)
            || tables.iter().all(|table| table.column_type(name) == tables[0].column_type(name))
    };
    let (common, dropped): (Vec<String>, Vec<String>) =
        tables[0].column_names().into_iter().partition(|name| is_common(name));
    if !dropped.is_empty() {
        notes.push(format!("columns not of one type in all files, not written: {}", dropped.join(", ")));
    }
    common
}

/// Values per row of each value column, from the first row there is.
fn first_widths(tables: &[Table], names: &[KeyNames], target: StepTarget) -> Result<Vec<usize>, RecordError> {
    let columns = &names[0].values;
    let is_list = |column: &String| tables[0].column_type(column).is_some_and(columns::is_list);
    let is_one_of_several = |column: &String| columns.len() > 1 && !is_list(column);
    let width = |column: &String| {
        if target != StepTarget::Obs || is_one_of_several(column) {
            Ok(1)
        } else {
            first_width(tables, column)
        }
    };
    columns.iter().map(width).collect()
}

fn first_width(tables: &[Table], column: &String) -> Result<usize, RecordError> {
    for table in tables {
        for (part, place) in table.parts().iter().enumerate() {
            let mut start = 0;
            while start < place.n_rows {
                // The first rows of the part nearly always decide.
                let end = place.n_rows.min(start + 64);
                let arrays = table.read_arrays(part, &(start..end), std::slice::from_ref(column))?;
                let has_axes = has_axes(table);
                let flat = |array: Box<dyn Array>| if has_axes { columns::flattened(array) } else { array };
                let first = arrays.into_iter().next().map(flat);
                if let Some(width) = first.and_then(|array| values::width(&*array)) {
                    return Ok(width);
                }
                start = end;
            }
        }
    }
    if tables.iter().all(|table| table.n_rows() == 0) {
        return Err(RecordError::file(tables[0].name(), Problem::NoRows));
    }
    Err(no_width(&tables[0], column))
}

/// Why a file's value column has no width: what it holds instead.
fn no_width(first: &Table, column: &String) -> RecordError {
    if first.parts().is_empty() {
        return RecordError::file(first.name(), Problem::NoRows);
    }
    let mut bad = BadCells::default();
    let arrays = match first.read(0, std::slice::from_ref(column)) {
        Ok(arrays) => arrays,
        Err(error) => return error,
    };
    if let Some(values) = arrays.into_iter().next() {
        // Tells what the column holds instead.
        let _ = columns::lists(values, column, "a list of numbers", &mut bad);
    }
    let found = first.column_type(column).map(describe_type).unwrap_or_default();
    let otherwise = Problem::WrongType { expected: "lists of numbers, not empty", found };
    let problem = bad.cells.pop().map_or(otherwise, |cell| cell.problem);
    RecordError { file: first.name().to_owned(), row: None, column: Some(column.clone()), problem }
}
