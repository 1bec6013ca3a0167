//! A file as a table of columns, read part by part.
//!
//! Four formats, one face: named columns with Arrow types, split into parts (Parquet row groups, Arrow record
//! batches, a text file as a whole) that can be read independently and in parallel.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use polars_arrow::array::{Array, ListArray, Utf8ViewArray};
use polars_arrow::compute::concatenate::concatenate;
use polars_arrow::datatypes::ArrowDataType;

use super::error::{Problem, RecordError};
use super::fields::{self, Fields};
use super::format::{Format, format_of};
#[cfg(feature = "hdf5")]
use super::hdf5::{Container, EpisodeRows};
use super::ipc::IpcFile;
use super::layouts;
use super::packed;
use super::parquet::ParquetFile;
use super::part::{Column, Part, decode};
use super::place::Place;
use super::sources::InputFile;
use super::text;
pub(super) use super::types::describe_type;

/// Whole episodes of RLlib, a cell each.
const RLLIB_EPISODES: Problem = Problem::ForeignFormat(
    "RLlib episodes in MessagePack",
    "record rows of steps: config.offline_data(output_write_episodes=False)",
);

/// Rows of one part, the whole of it or less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartSlice {
    /// The part.
    pub(super) part: usize,
    /// Rows, counted within the part.
    pub(super) rows: Range<usize>,
}

/// What stands for keys that the rows of a file name none of.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowDefaults<'a> {
    /// Their run.
    pub(super) run: &'a str,
    /// Their episode.
    pub(super) episode: i64,
}

/// A file opened for reading.
pub struct Table {
    file: InputFile,
    columns: Vec<(String, ArrowDataType)>,
    /// Where each column is among them: there may be tens of thousands.
    places: BTreeMap<String, usize>,
    parts: Vec<Part>,
    /// Where each part is among those of the file, where some of them are not read.
    chosen: Option<Arc<[usize]>>,
    contents: Contents,
    /// Parts of columns of records, each with the column it is read from.
    fields: Fields,
    /// What the file has that is no column, and what it holds.
    left_out: Vec<(String, String)>,
    /// What reading it left out, where its layout is a foreign one.
    notes: Vec<String>,
}

enum Contents {
    Parquet(ParquetFile),
    Ipc(IpcFile),
    Memory(Vec<Box<dyn Array>>),
    #[cfg(feature = "hdf5")]
    Hdf5(EpisodeRows),
}

impl Table {
    /// Opens a file; its format is told by extension, or by its first bytes.
    ///
    /// # Errors
    /// If the file cannot be opened, is of no known format, or its structure is damaged.
    pub fn open(input: &InputFile) -> Result<Self, RecordError> {
        let (identity, budget) = (None, input.budget);
        Self::open_as(input, &text::TextReading { identity, left: budget.bytes(), budget })
    }

    /// The same, a text file as `reading` says.
    pub(super) fn open_as(input: &InputFile, reading: &text::TextReading<'_>) -> Result<Self, RecordError> {
        let is_empty = match &input.place {
            Place::Path(file) => {
                std::fs::metadata(file.path()).is_ok_and(|found| found.is_file() && found.len() == 0)
            }
            Place::Memory(bytes) => bytes.is_empty(),
            Place::Object(object) => object.n_bytes(&input.name)? == 0,
        };
        if is_empty {
            return Err(RecordError::file(&input.name, Problem::NoRows));
        }
        if let Some(unpacked) = packed::unpack(input)? {
            let table = Self::open_in(&unpacked, &format_of(&unpacked)?, reading)?;
            // What is in memory stands for the file: its name, and whether it has changed.
            return Ok(Self { file: input.clone(), ..table });
        }
        Self::open_in(input, &format_of(input)?, reading)
    }

    fn open_in(
        input: &InputFile,
        format: &Format,
        reading: &text::TextReading<'_>,
    ) -> Result<Self, RecordError> {
        match format {
            Format::Parquet => {
                let file = ParquetFile::open(input)?;
                if layouts::is_rllib_episodes(&file.columns()) {
                    return Err(RecordError::file(&input.name, RLLIB_EPISODES));
                }
                if layouts::is_rllib(&file.columns()) {
                    if matches!(input.place, Place::Object(_)) {
                        return Err(RecordError::file(
                            &input.name,
                            layouts::in_store("a recording of RLlib"),
                        ));
                    }
                    return Self::of_rllib(input, &file);
                }
                Ok(Self::new(input, file.columns(), file.parts(), Contents::Parquet(file)))
            }
            Format::Ipc => {
                let file = IpcFile::open(input)?;
                Ok(Self::new(input, file.columns(), file.parts(), Contents::Ipc(file)))
            }
            #[cfg(feature = "hdf5")]
            Format::Hdf5 => Self::of_hdf5(input),
            Format::Text(format) => {
                if input.place.n_bytes(&input.name)? > reading.left {
                    return Err(reading.refused(&input.name));
                }
                let bytes = input.place.read_whole(&input.name)?;
                if let Some(made) = layouts::columns(input.view, &input.name, &bytes)? {
                    let n_rows = made.arrays.first().map_or(0, |array| array.len());
                    let parts = vec![Part { first_row: 0, n_rows }];
                    let table = Self::new(input, made.columns, parts, Contents::Memory(made.arrays));
                    return Ok(Self { notes: made.notes, ..table });
                }
                let (columns, arrays) = text::parse(&input.name, &bytes, *format, reading)?;
                let n_rows = arrays.first().map_or(0, |array| array.len());
                if n_rows == 0 {
                    return Err(RecordError::file(&input.name, Problem::NoRows));
                }
                Ok(Self::new(input, columns, vec![Part { first_row: 0, n_rows }], Contents::Memory(arrays)))
            }
        }
    }

    /// A recording in HDF5.
    #[cfg(feature = "hdf5")]
    fn of_hdf5(input: &InputFile) -> Result<Self, RecordError> {
        let container = match &input.place {
            Place::Path(file) => Container::of_file(&input.name, file.open(&input.name)?, input.budget)?,
            Place::Memory(bytes) => Container::of_bytes(&input.name, bytes.clone(), input.budget)?,
            // Its parts lie all over the file: asked for one by one they would be as many requests.
            #[cfg(feature = "cloud")]
            Place::Object(_) => {
                input.budget.check(&input.name, "the file", input.place.n_bytes(&input.name)?)?;
                Container::of_bytes(&input.name, input.place.read_whole(&input.name)?, input.budget)?
            }
        };
        let rows = layouts::hdf5_rows(container)?;
        let (columns, parts, notes) = (rows.columns(), rows.parts(), rows.notes());
        let left_out = rows.left_out().iter().map(|left_out| (left_out.name.clone(), left_out.what.clone()));
        let left_out = left_out.collect();
        Ok(Self { left_out, notes, ..Self::new(input, columns, parts, Contents::Hdf5(rows)) })
    }

    /// A recording of RLlib: its episodes are texts, its observations may be packed.
    fn of_rllib(input: &InputFile, file: &ParquetFile) -> Result<Self, RecordError> {
        let names: Vec<String> = file.columns().into_iter().map(|(name, _)| name).collect();
        let parts = file.parts();
        let bytes = (0..parts.len()).map(|part| file.n_bytes(part, &names)).fold(0, u64::saturating_add);
        input.budget.check(&input.name, "the file", bytes)?;
        let mut by_column: Vec<Vec<Box<dyn Array>>> = vec![Vec::new(); names.len()];
        for (part, place) in parts.iter().enumerate() {
            let arrays = file.read_arrays(part, &(0..place.n_rows), &names)?;
            by_column.iter_mut().zip(arrays).for_each(|(column, array)| column.push(array));
        }
        let mut read = Vec::with_capacity(names.len());
        for (name, arrays) in names.into_iter().zip(by_column) {
            let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            if arrays.is_empty() {
                return Err(RecordError::file(&input.name, Problem::NoRows));
            }
            let joined = decode(&input.name, "Parquet", || concatenate(&arrays))?;
            read.push((name, joined));
        }
        let first = input.member.as_ref().map_or((0, 0), |member| (member.episode, member.env));
        let made = layouts::rllib_columns(&input.name, read, first)?;
        let n_rows = made.arrays.first().map_or(0, |array| array.len());
        let parts = vec![Part { first_row: 0, n_rows }];
        Ok(Self::new(input, made.columns, parts, Contents::Memory(made.arrays)))
    }

    fn new(
        input: &InputFile,
        columns: Vec<(String, ArrowDataType)>,
        parts: Vec<Part>,
        contents: Contents,
    ) -> Self {
        let (mut columns, fields) = Fields::of(columns);
        if !matches!(contents, Contents::Memory(_))
            && let Some(member) = &input.member
        {
            in_order(&mut columns, &member.dataset.about.parts);
        }
        // Of two columns of one name the first is the one.
        let places = columns.iter().enumerate().rev();
        let places = places.map(|(place, (name, _))| (name.clone(), place)).collect();
        let (chosen, parts) = match &input.parts {
            None => (None, parts),
            Some(chosen) => (
                Some(Arc::clone(chosen)),
                chosen.iter().filter_map(|part| parts.get(*part)).copied().collect(),
            ),
        };
        let (file, left_out, notes) = (input.clone(), Vec::new(), Vec::new());
        let table = Self { file, columns, places, parts, chosen, contents, fields, left_out, notes };
        match input.member.as_ref().and_then(|member| member.n_rows) {
            Some(n_rows) => table.first_rows(n_rows),
            None => table,
        }
    }

    /// The table without the rows that follow the first `n_rows`.
    fn first_rows(mut self, n_rows: u64) -> Self {
        self.parts.retain(|part| part.first_row < n_rows);
        if let Some(last) = self.parts.last_mut() {
            let left = usize::try_from(n_rows - last.first_row).unwrap_or(usize::MAX);
            last.n_rows = last.n_rows.min(left);
        }
        self
    }

    /// Where a part is among those of the file.
    fn place_of(&self, part: usize) -> usize {
        self.chosen.as_ref().map_or(part, |chosen| chosen[part])
    }

    /// The file as the user knows it.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// Remarks for the user on what reading it left out.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The file.
    pub(super) fn file(&self) -> &InputFile {
        &self.file
    }

    /// What stands for keys that the rows name none of.
    pub(super) fn defaults(&self) -> RowDefaults<'_> {
        let episode = self.file.member.as_ref().map_or(0, |member| member.episode);
        RowDefaults { run: &self.file.run, episode }
    }

    /// Why a column, or all parts of one, that the file has is none here.
    pub(super) fn not_read(&self, name: &str) -> Option<RecordError> {
        let is_of = |column: &str| {
            column.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let (column, what) = self.left_out.iter().find(|(column, _)| is_of(column))?;
        Some(RecordError::column(self.name(), column, Problem::NotNumbers(what.clone())))
    }

    /// Names of the columns in file order.
    pub fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Names and types of the columns in file order.
    pub fn described_columns(&self) -> Vec<(String, String)> {
        self.columns.iter().map(|(name, dtype)| (name.clone(), describe_type(dtype))).collect()
    }

    /// Whether there is a column of this name.
    pub fn has_column(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Type of a column.
    pub(super) fn column_type(&self, name: &str) -> Option<&ArrowDataType> {
        self.places.get(name).map(|place| &self.columns[*place].1)
    }

    /// Parts in row order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Number of rows.
    pub fn n_rows(&self) -> u64 {
        self.parts.iter().map(|part| part.n_rows as u64).sum()
    }

    /// Reads the named columns of one part.
    pub(super) fn read(&self, part: usize, names: &[String]) -> Result<Vec<Column>, RecordError> {
        let columns = self.read_whole(part, names)?;
        let n_rows = self.parts[part].n_rows;
        let cut = |column| match column {
            Column::Values(array) if array.len() > n_rows => Column::Values(array.sliced(0, n_rows)),
            column => column,
        };
        Ok(columns.into_iter().map(cut).collect())
    }

    /// The same with the rows that do not count.
    fn read_whole(&self, part: usize, names: &[String]) -> Result<Vec<Column>, RecordError> {
        let stored = self.fields.stored(names);
        let columns = match &self.contents {
            Contents::Parquet(file) => file.read(self.place_of(part), &stored)?,
            Contents::Ipc(file) => file.read(self.place_of(part), &stored)?,
            Contents::Memory(arrays) => {
                let places = names.iter().filter_map(|name| self.places.get(name));
                return Ok(places.map(|place| Column::Values(arrays[*place].clone())).collect());
            }
            #[cfg(feature = "hdf5")]
            Contents::Hdf5(rows) => {
                let all = 0..self.parts[part].n_rows;
                return Ok(rows
                    .read(&self.rows_of(part, &all), names)?
                    .into_iter()
                    .map(Column::Values)
                    .collect());
            }
        };
        Ok(self.fields.picked(names, &stored, columns, |column, path| match column {
            Column::Values(array) => Column::Values(fields::field(array, path)),
            constant => constant,
        }))
    }

    /// Reads rows `rows` of one part, the named columns decoded whatever their statistics say.
    pub(super) fn read_arrays(
        &self,
        part: usize,
        rows: &Range<usize>,
        names: &[String],
    ) -> Result<Vec<Box<dyn Array>>, RecordError> {
        if let Contents::Parquet(file) = &self.contents {
            let stored = self.fields.stored(names);
            let arrays = file.read_arrays(self.place_of(part), rows, &stored)?;
            return Ok(self.fields.picked(names, &stored, arrays, fields::field));
        }
        #[cfg(feature = "hdf5")]
        if let Contents::Hdf5(file) = &self.contents {
            return file.read(&self.rows_of(part, rows), names);
        }
        let columns = self.read(part, names)?;
        let slice = |column: Column| match column {
            Column::Values(array) => array.sliced(rows.start, rows.len()),
            _ => unreachable!("only Parquet statistics tell constants"),
        };
        Ok(columns.into_iter().map(slice).collect())
    }

    /// Bytes that are held for as long as the file is open: those of a text file.
    pub(super) fn held_bytes(&self) -> u64 {
        match &self.contents {
            Contents::Memory(arrays) => arrays.iter().map(|array| held_bytes(&**array)).sum(),
            #[cfg(feature = "hdf5")]
            Contents::Hdf5(rows) => rows.held_bytes(),
            _ => 0,
        }
    }

    /// Bytes that the named columns of a slice take once they are decoded.
    pub(super) fn slice_bytes(&self, slice: &PartSlice, names: &[String]) -> u64 {
        match &self.contents {
            Contents::Parquet(file) => {
                let n_rows = self.parts[slice.part].n_rows.max(1) as u128;
                let names = self.fields.stored(names);
                let share = u128::from(file.n_bytes(self.place_of(slice.part), &names))
                    * slice.rows.len() as u128
                    / n_rows;
                u64::try_from(share).unwrap_or(u64::MAX)
            }
            // What cannot be told is told when it is read: until then nothing else is.
            Contents::Ipc(file) => {
                let names = self.fields.stored(names);
                file.decoded_bytes(self.place_of(slice.part), &names).unwrap_or(u64::MAX)
            }
            Contents::Memory(_) => 0,
            #[cfg(feature = "hdf5")]
            Contents::Hdf5(rows) => rows.decoding_bytes(slice.rows.len(), names),
        }
    }

    /// Bytes of the named columns, decoded, as far as the file tells without decoding.
    pub(super) fn n_bytes(&self, names: &[String]) -> u64 {
        match &self.contents {
            Contents::Parquet(file) => {
                let names = self.fields.stored(names);
                (0..self.parts.len()).map(|part| file.n_bytes(self.place_of(part), &names)).sum()
            }
            #[cfg(feature = "hdf5")]
            Contents::Hdf5(rows) => self.parts.iter().map(|part| rows.n_bytes(part.n_rows, names)).sum(),
            _ => 0,
        }
    }

    /// Parts cut so that the named columns of each slice take about `max_bytes`, or hold at most `max_rows` where
    /// the file does not tell bytes.
    pub(super) fn slices(&self, names: &[String], max_bytes: u64, max_rows: usize) -> Vec<PartSlice> {
        // What is made of a slice takes room beside it, and so does the next one.
        let max_bytes = max_bytes.min(self.file.budget.bytes() / 4);
        let stored = self.fields.stored(names);
        self.cut_parts(|part, n_rows| match &self.contents {
            Contents::Parquet(file) => file.n_bytes(self.place_of(part), &stored).div_ceil(max_bytes.max(1)),
            #[cfg(feature = "hdf5")]
            Contents::Hdf5(rows) => rows.n_bytes(n_rows, names).div_ceil(max_bytes.max(1)),
            Contents::Memory(_) => n_rows.div_ceil(max_rows.max(1)) as u64,
            // A batch is decoded as a whole, however little of it is asked for.
            Contents::Ipc { .. } => 1,
        })
    }

    /// Parts cut so that each slice holds at most `max_rows`.
    pub(super) fn slices_of_rows(&self, max_rows: usize) -> Vec<PartSlice> {
        self.cut_parts(|_, n_rows| match &self.contents {
            Contents::Ipc { .. } => 1,
            _ => n_rows.div_ceil(max_rows.max(1)) as u64,
        })
    }

    /// Rows of a part as they are numbered in the file.
    #[cfg(feature = "hdf5")]
    fn rows_of(&self, part: usize, rows: &Range<usize>) -> Range<u64> {
        let first = self.parts[part].first_row;
        first + rows.start as u64..first + rows.end as u64
    }

    /// Every part in as many slices of like size as `n_slices` says by its number and its rows.
    fn cut_parts(&self, n_slices: impl Fn(usize, usize) -> u64) -> Vec<PartSlice> {
        let mut slices = Vec::new();
        for (part, place) in self.parts.iter().enumerate() {
            let n_slices = usize::try_from(n_slices(part, place.n_rows)).unwrap_or(usize::MAX).max(1);
            let per_slice = place.n_rows.div_ceil(n_slices).max(1);
            let starts = (0..place.n_rows).step_by(per_slice);
            slices.extend(
                starts.map(|start| PartSlice { part, rows: start..place.n_rows.min(start + per_slice) }),
            );
        }
        slices
    }
}

/// Puts the columns that are `parts` of an observation into their order, where the first of them stands.
fn in_order(columns: &mut Vec<(String, ArrowDataType)>, parts: &[String]) {
    let place_of = |name: &String| parts.iter().position(|part| part == name);
    let Some(first) = columns.iter().position(|(name, _)| place_of(name).is_some()) else { return };
    let (mut found, others): (Vec<_>, Vec<_>) =
        std::mem::take(columns).into_iter().partition(|(name, _)| place_of(name).is_some());
    found.sort_by_key(|(name, _)| place_of(name));
    *columns = others;
    columns.splice(first..first, found);
}

/// Bytes of an array, roughly: values of text count as one of the longest ones that views hold themselves.
fn held_bytes(array: &dyn Array) -> u64 {
    let any = array.as_any();
    let inner = any.downcast_ref::<ListArray<i64>>().map_or(0, |lists| held_bytes(&**lists.values()));
    let text = any.downcast_ref::<Utf8ViewArray>().map_or(0, Utf8ViewArray::total_bytes_len);
    inner + text as u64 + 16 * array.len() as u64
}
