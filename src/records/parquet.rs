//! Parquet files, decoded column by column and row group by row group.
//!
//! Only the columns asked for are read and decoded. A key column whose statistics say that a row group holds
//! one value is not decoded at all.
//!
//! No claim of the file is believed before it is checked: the footer by `footer`, the pages by `pages`, and what a
//! part takes once it is decoded by the budget. `column_iter_to_arrays` allocates by the column chunk's number of
//! values (`PageDecoder::collect_flat`, `collect_nested`), which runs and dictionaries let a few bytes stand for;
//! a fixed-size list's width, from the schema, is taken for every null.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use polars_arrow::array::Array;
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_buffer::Buffer;
use polars_parquet::parquet::read::deserialize_metadata;
use polars_parquet::parquet::statistics::Statistics;
use polars_parquet::read::{self, BasicDecompressor, ColumnChunkMetadata, FileMetadata, Filter, PageReader};
use polars_parquet::write::ParquetPhysicalType;

use rayon::prelude::*;

use super::budget::PartBudget;
use super::delta_text;
use super::error::{Problem, RecordError};
use super::even_lists;
use super::footer;
use super::pages::{self, PageBytes};
use super::part::{Column, Part, decode};
use super::place::Place;
use super::sources::InputFile;
use super::types::check_digits;

const FORMAT: &str = "Parquet";

/// Bytes at the end of a file that are asked for at once where each request has to be waited for.
const FAR_TAIL: u64 = 64 << 10;

/// Parts whose bytes are kept between their slices.
const MOST_KEPT: usize = 2;

/// Bytes of column chunks that are at hand, by where they begin.
type ChunkBytes = BTreeMap<u64, Buffer<u8>>;

/// An opened Parquet file: its footer.
pub(super) struct ParquetFile {
    name: String,
    place: Place,
    budget: PartBudget,
    metadata: FileMetadata,
    fields: Vec<Field>,
    /// Where each field is among them.
    places: BTreeMap<String, usize>,
    /// Bytes of parts that are read slice by slice from a store.
    kept: Mutex<Vec<(usize, ChunkBytes)>>,
}

impl ParquetFile {
    pub(super) fn open(input: &InputFile) -> Result<Self, RecordError> {
        let (name, place, budget) = (input.name.clone(), input.place.clone(), input.budget);
        let footer = read_footer(&name, &place)?;
        // Less its length and the format's mark.
        footer::check(&footer[..footer.len() - 8], budget.bytes()).map_err(|what| damaged(&name, what))?;
        let (metadata, fields) = decode(&name, FORMAT, || {
            let metadata = deserialize_metadata(footer)?;
            let schema = read::infer_schema(&metadata)?;
            let fields: Vec<Field> = schema.iter_values().map(|field| decodable(field.clone())).collect();
            for field in &fields {
                check_digits(&field.dtype).map_err(
                    |what| polars::error::polars_err!(ComputeError: "column {}: {what}", field.name),
                )?;
            }
            Ok((metadata, fields))
        })?;
        let groups = metadata.row_groups.iter();
        let n_rows = groups.map(read::RowGroupMetadata::num_rows).try_fold(0, usize::checked_add);
        if n_rows != Some(metadata.num_rows) {
            let claimed = metadata.num_rows;
            return Err(damaged(&name, format!("it claims {claimed} rows, its row groups others")));
        }
        // Of two fields of one name the first is the one.
        let places = fields.iter().enumerate().rev();
        let places = places.map(|(place, field)| (field.name.to_string(), place)).collect();
        Ok(Self { name, place, budget, metadata, fields, places, kept: Mutex::default() })
    }

    pub(super) fn columns(&self) -> Vec<(String, ArrowDataType)> {
        self.fields.iter().map(|field| (field.name.to_string(), field.dtype.clone())).collect()
    }

    pub(super) fn parts(&self) -> Vec<Part> {
        let mut first_row = 0;
        (self.metadata.row_groups.iter())
            .map(|group| {
                let part = Part { first_row, n_rows: group.num_rows() };
                first_row += part.n_rows as u64;
                part
            })
            .collect()
    }

    pub(super) fn read(&self, part: usize, names: &[String]) -> Result<Vec<Column>, RecordError> {
        let group = &self.metadata.row_groups[part];
        self.check_part(part, &(0..group.num_rows()), names)?;
        let constant = |field: &Field| match self.chunks(part, field)[..] {
            [chunk] => self.constant(chunk, field, group.num_rows()),
            _ => Ok(None),
        };
        let fields: Vec<&Field> = self.fields_named(names).collect();
        let constants: Vec<Option<Column>> =
            fields.iter().map(|field| constant(field)).collect::<Result<_, _>>()?;
        let decoded = fields.iter().zip(&constants).filter(|(_, constant)| constant.is_none());
        let bytes = self.chunk_bytes(part, decoded.map(|(field, _)| *field), &(0..group.num_rows()))?;
        let read = |(field, constant): (&Field, Option<Column>)| match constant {
            Some(constant) => Ok(constant),
            None => self.read_array(part, field, 0..group.num_rows(), &bytes).map(Column::Values),
        };
        fields.into_iter().zip(constants).map(read).collect()
    }

    /// The rows `rows` of one part, every column decoded.
    pub(super) fn read_arrays(
        &self,
        part: usize,
        rows: &Range<usize>,
        names: &[String],
    ) -> Result<Vec<Box<dyn Array>>, RecordError> {
        self.check_part(part, rows, names)?;
        let fields: Vec<&Field> = self.fields_named(names).collect();
        let bytes = self.chunk_bytes(part, fields.iter().copied(), rows)?;
        fields.par_iter().map(|field| self.read_array(part, field, rows.clone(), &bytes)).collect()
    }

    /// The bytes of the chunks of `fields` by where they begin, if they are better read together than one by one; those
    /// of rows that come after `rows`, and of columns that others have asked for, are kept.
    fn chunk_bytes<'a>(
        &self,
        part: usize,
        fields: impl Iterator<Item = &'a Field>,
        rows: &Range<usize>,
    ) -> Result<ChunkBytes, RecordError> {
        if !self.place.is_far() {
            return Ok(ChunkBytes::new());
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(of, _)| *of == part).map(|place| kept.remove(place).1);
        drop(kept);
        let mut bytes = known.unwrap_or_default();
        let ranges = fields.flat_map(|field| self.chunks(part, field)).map(ColumnChunkMetadata::byte_range);
        let ranges: Vec<Range<u64>> = ranges.collect();
        let missing: Vec<Range<u64>> =
            ranges.iter().filter(|range| !bytes.contains_key(&range.start)).cloned().collect();
        let read = self.place.read_ranges(&self.name, &missing)?;
        bytes.extend(missing.iter().map(|range| range.start).zip(read));
        let mut later = bytes.clone();
        if rows.end == self.metadata.row_groups[part].num_rows() {
            later.retain(|start, _| ranges.iter().all(|range| range.start != *start));
        }
        if !later.is_empty() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push((part, later));
            let n_old = kept.len().saturating_sub(MOST_KEPT);
            kept.drain(..n_old);
        }
        Ok(bytes)
    }

    /// Bytes of the named columns of one part: decompressed, or decoded where that is more, as runs and dictionaries
    /// make it.
    pub(super) fn n_bytes(&self, part: usize, names: &[String]) -> u64 {
        let all = 0..self.metadata.row_groups[part].num_rows();
        let size = |chunk: &ColumnChunkMetadata| u64::try_from(chunk.uncompressed_size()).unwrap_or(0);
        let bytes = self.fields_named(names).map(|field| {
            let decompressed = self.chunks(part, field).into_iter().map(size).fold(0, u64::saturating_add);
            decompressed.max(self.decoded_bytes(part, field, &all))
        });
        bytes.fold(0, u64::saturating_add)
    }

    fn fields_named(&self, names: &[String]) -> impl Iterator<Item = &Field> {
        names.iter().filter_map(|name| self.places.get(name)).map(|place| &self.fields[*place])
    }

    fn chunks(&self, part: usize, field: &Field) -> Vec<&ColumnChunkMetadata> {
        let chunks = self.metadata.row_groups[part].columns_under_root_iter(&field.name);
        chunks.map_or_else(Vec::new, Iterator::collect)
    }

    fn read_array(
        &self,
        part: usize,
        field: &Field,
        rows: Range<usize>,
        at_hand: &ChunkBytes,
    ) -> Result<Box<dyn Array>, RecordError> {
        let group = &self.metadata.row_groups[part];
        let chunks = self.chunks(part, field);
        let filter = (rows.len() < group.num_rows()).then(|| Filter::new_ranged(rows.start, rows.end));
        let read_bytes = |chunk: &ColumnChunkMetadata| {
            let range = chunk.byte_range();
            match at_hand.get(&range.start) {
                Some(bytes) => Ok(bytes.clone()),
                None => self.place.read_range(&self.name, range),
            }
        };
        let mut bytes_of = chunks.iter().map(|chunk| read_bytes(chunk)).collect::<Result<Vec<_>, _>>()?;
        self.check_pages(part, field, &bytes_of)?;
        if let ([chunk], [bytes]) = (&chunks[..], &bytes_of[..]) {
            let even = decode(&self.name, FORMAT, || {
                let pages = page_reader(bytes.clone(), chunk);
                Ok(even_lists::read(pages, &field.dtype, group.num_rows(), &rows)?)
            })?;
            if let Some(array) = even {
                return Ok(array);
            }
        }
        if is_nested(&chunks) {
            // The general reader allocates for all lists of the row group, whichever rows are asked for.
            self.check_decoded(part, self.decoded_bytes(part, field, &(0..group.num_rows())))?;
        }
        let mut pages = Vec::with_capacity(chunks.len());
        let mut types = Vec::with_capacity(chunks.len());
        for (chunk, bytes) in chunks.into_iter().zip(bytes_of.drain(..)) {
            pages.push(BasicDecompressor::new(page_reader(bytes, chunk), Vec::new()));
            types.push(&chunk.descriptor().descriptor.primitive_type);
        }
        decode(&self.name, FORMAT, || {
            let (arrays, _) = read::column_iter_to_arrays(pages, types, field.clone(), filter)?;
            let array = one_array(arrays)?;
            polars::error::polars_ensure!(
                array.len() == rows.len(),
                ComputeError: "column {} ends after {} of {} rows", field.name, array.len(), rows.len()
            );
            Ok(array)
        })
    }

    /// Holds what the footer says of the named columns against the budget.
    fn check_part(&self, part: usize, rows: &Range<usize>, names: &[String]) -> Result<(), RecordError> {
        let group = &self.metadata.row_groups[part];
        let mut decoded = PartBudget::ROW_BYTES.saturating_mul(rows.len() as u64);
        for field in self.fields_named(names) {
            for chunk in self.chunks(part, field) {
                let (n_values, n_rows) = (chunk.num_values(), group.num_rows() as i64);
                let is_flat = chunk.descriptor().descriptor.max_rep_level == 0;
                if n_values < n_rows || (is_flat && n_values != n_rows) {
                    let what = format!("column {} claims {n_values} values in {n_rows} rows", field.name);
                    return Err(damaged(&self.name, what));
                }
            }
            decoded = decoded.saturating_add(self.decoded_bytes(part, field, rows));
        }
        self.check_decoded(part, decoded)
    }

    fn check_decoded(&self, part: usize, decoded: u64) -> Result<(), RecordError> {
        self.budget.check(&self.name, &format!("row group {part}"), decoded)
    }

    /// Bytes that rows of a column take, decoded, the bytes of text aside.
    fn decoded_bytes(&self, part: usize, field: &Field, rows: &Range<usize>) -> u64 {
        let n_rows = self.metadata.row_groups[part].num_rows().max(1) as u64;
        let values = |chunk: &ColumnChunkMetadata| u64::try_from(chunk.num_values()).unwrap_or(0);
        let n_values = self.chunks(part, field).into_iter().map(values).max().unwrap_or(0);
        // Of a part of the rows, the share.
        let share = u128::from(n_values) * rows.len() as u128 / u128::from(n_rows);
        decoded_bytes(&field.dtype, u64::try_from(share).unwrap_or(u64::MAX), rows.len() as u64)
    }

    /// Holds the page headers of a column against its chunks and the budget.
    fn check_pages(&self, part: usize, field: &Field, bytes_of: &[Buffer<u8>]) -> Result<(), RecordError> {
        let mut text = 0u64;
        for (chunk, bytes) in self.chunks(part, field).into_iter().zip(bytes_of) {
            let (n_values, compression) =
                (u64::try_from(chunk.num_values()).unwrap_or(0), chunk.compression());
            let PageBytes { all, largest, n_delta_text } =
                pages::check(bytes, pages::Chunk { n_values, compression })
                    .map_err(|what| damaged(&self.name, format!("column {}: {what}", field.name)))?;
            self.check_decoded(part, largest)?;
            let physical = chunk.descriptor().descriptor.primitive_type.physical_type;
            if physical == ParquetPhysicalType::ByteArray {
                text = text.saturating_add(all);
            }
            if n_delta_text > 0 {
                let most = self.budget.bytes();
                let repeated = decode(&self.name, FORMAT, || {
                    Ok(delta_text::decoded_bytes(page_reader(bytes.clone(), chunk), most)?)
                })?;
                text = text.saturating_add(repeated);
            }
        }
        let rows = 0..self.metadata.row_groups[part].num_rows();
        if text == 0 {
            Ok(())
        } else {
            self.check_decoded(part, text.saturating_add(self.decoded_bytes(part, field, &rows)))
        }
    }

    /// The single value of an integer or text chunk without nulls whose least and greatest value agree.
    fn constant(
        &self,
        chunk: &ColumnChunkMetadata,
        field: &Field,
        rows: usize,
    ) -> Result<Option<Column>, RecordError> {
        let is_key = matches!(
            field.dtype,
            ArrowDataType::Int8
                | ArrowDataType::Int16
                | ArrowDataType::Int32
                | ArrowDataType::Int64
                | ArrowDataType::Utf8View
        );
        if !is_key || rows == 0 || chunk.num_values() != rows as i64 {
            return Ok(None);
        }
        decode(&self.name, FORMAT, || {
            let Some(statistics) = chunk.statistics(&self.metadata.footer_buf) else { return Ok(None) };
            Ok(match statistics? {
                Statistics::Int32(s) if s.null_count == Some(0) && s.min_value == s.max_value => {
                    s.min_value.map(|value| Column::ConstantInt(i64::from(value)))
                }
                Statistics::Int64(s) if s.null_count == Some(0) && s.min_value == s.max_value => {
                    s.min_value.map(Column::ConstantInt)
                }
                Statistics::Binary(s) if s.null_count == Some(0) && s.min_value == s.max_value => {
                    s.min_value.and_then(|bytes| String::from_utf8(bytes).ok()).map(Column::ConstantText)
                }
                _ => None,
            })
        })
    }
}

/// A reader of a chunk's pages; no length in their headers is to pass the chunk's own.
fn page_reader(bytes: Buffer<u8>, chunk: &ColumnChunkMetadata) -> PageReader {
    let most = bytes.len();
    PageReader::new(std::io::Cursor::new(bytes), chunk, Vec::new(), most)
}

fn damaged(name: &str, detail: String) -> RecordError {
    RecordError::file(name, Problem::Unreadable { format: FORMAT, detail })
}

/// The footer with its length and the format's mark after it.
fn read_footer(name: &str, place: &Place) -> Result<Buffer<u8>, RecordError> {
    let n_bytes = place.n_bytes(name)?;
    if n_bytes < 12 {
        return Err(damaged(name, "it is too short to hold a footer".to_owned()));
    }
    let n_tail = if place.is_far() { FAR_TAIL.min(n_bytes) } else { 8 };
    let tail = place.read_range(name, n_bytes - n_tail..n_bytes)?;
    if !tail.ends_with(b"PAR1") {
        return Err(damaged(
            name,
            "it does not end with PAR1: it is cut off, or of another format".to_owned(),
        ));
    }
    let length = tail.len().checked_sub(8).and_then(|start| tail[start..].first_chunk::<4>());
    let claimed = length.map_or(0, |raw| u64::from(u32::from_le_bytes(*raw)));
    if claimed > n_bytes - 12 {
        return Err(damaged(name, format!("its footer claims {claimed} bytes of {n_bytes}")));
    }
    match usize::try_from(claimed + 8).ok().and_then(|n| tail.len().checked_sub(n)) {
        // Copied: what is kept of the footer is not to keep all that came with it.
        Some(start) => Ok(Buffer::from_vec(tail[start..].to_vec())),
        None => place.read_range(name, n_bytes - 8 - claimed..n_bytes),
    }
}

fn is_nested(chunks: &[&ColumnChunkMetadata]) -> bool {
    chunks.iter().any(|chunk| chunk.descriptor().descriptor.max_rep_level > 0)
}

/// Bytes of `n_values` leaves in `n_rows` rows of a type, the bytes of text aside.
fn decoded_bytes(dtype: &ArrowDataType, n_values: u64, n_rows: u64) -> u64 {
    let width = match dtype {
        ArrowDataType::Null => 0,
        ArrowDataType::Boolean | ArrowDataType::Int8 | ArrowDataType::UInt8 => 1,
        ArrowDataType::Int16 | ArrowDataType::UInt16 | ArrowDataType::Float16 => 2,
        ArrowDataType::Int32 | ArrowDataType::UInt32 | ArrowDataType::Float32 | ArrowDataType::Date32 => 4,
        ArrowDataType::Int64 | ArrowDataType::UInt64 | ArrowDataType::Float64 => 8,
        ArrowDataType::FixedSizeBinary(n) => *n as u64,
        ArrowDataType::Decimal256(..) => 32,
        ArrowDataType::List(field) | ArrowDataType::LargeList(field) | ArrowDataType::Map(field, _) => {
            let offsets = n_rows.saturating_mul(8);
            return decoded_bytes(&field.dtype, n_values, n_values).saturating_add(offsets);
        }
        ArrowDataType::FixedSizeList(field, width) => {
            let n_values = n_values.max(n_rows.saturating_mul(*width as u64));
            return decoded_bytes(&field.dtype, n_values, n_values);
        }
        ArrowDataType::Struct(fields) => {
            let bytes = fields.iter().map(|field| decoded_bytes(&field.dtype, n_values, n_rows));
            return bytes.fold(0, u64::saturating_add);
        }
        // Views of text, decimals, and what is rare.
        _ => 16,
    };
    n_values.saturating_mul(width)
}

/// Row groups decode to one array; pages of a dictionary may come apart.
fn one_array(mut arrays: Vec<Box<dyn Array>>) -> Result<Box<dyn Array>, polars::error::PolarsError> {
    if arrays.len() == 1 {
        return Ok(arrays.remove(0));
    }
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    polars_arrow::compute::concatenate::concatenate(&arrays)
}

/// The type to decode to: text as views, also where a writer remembers a dictionary.
fn decodable(mut field: Field) -> Field {
    field.dtype = decodable_type(field.dtype);
    field.metadata = None;
    field
}

fn decodable_type(dtype: ArrowDataType) -> ArrowDataType {
    match dtype {
        ArrowDataType::Utf8 | ArrowDataType::LargeUtf8 => ArrowDataType::Utf8View,
        ArrowDataType::Dictionary(_, values, _) => decodable_type(*values),
        ArrowDataType::List(field) | ArrowDataType::LargeList(field) => {
            ArrowDataType::LargeList(Box::new(decodable(*field)))
        }
        ArrowDataType::FixedSizeList(field, width) => {
            ArrowDataType::FixedSizeList(Box::new(decodable(*field)), width)
        }
        other => other,
    }
}
