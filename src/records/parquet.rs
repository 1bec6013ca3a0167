//! Parquet files, decoded column by column and row group by row group.
//!
//! Only the columns asked for are read and decoded. A key column whose statistics say that a row group holds
//! one value is not decoded at all.

use std::ops::Range;

use polars_arrow::array::Array;
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_buffer::Buffer;
use polars_parquet::parquet::statistics::Statistics;
use polars_parquet::read::{self, BasicDecompressor, ColumnChunkMetadata, FileMetadata, Filter, PageReader};

use rayon::prelude::*;

use super::error::RecordError;
use super::even_lists;
use super::part::{Column, Part, decode};
use super::sources::Place;

const FORMAT: &str = "Parquet";

/// An opened Parquet file: its footer.
pub(super) struct ParquetFile {
    name: String,
    place: Place,
    metadata: FileMetadata,
    fields: Vec<Field>,
}

impl ParquetFile {
    pub(super) fn open(name: &str, place: &Place) -> Result<Self, RecordError> {
        let mut reader = place.open_reader(name)?;
        let (metadata, fields) = decode(name, FORMAT, || {
            let metadata = read::read_metadata(&mut reader)?;
            let schema = read::infer_schema(&metadata)?;
            let fields = schema.iter_values().map(|field| decodable(field.clone())).collect();
            Ok((metadata, fields))
        })?;
        Ok(Self { name: name.to_owned(), place: place.clone(), metadata, fields })
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
        let read = |field: &Field| -> Result<Column, RecordError> {
            let group = &self.metadata.row_groups[part];
            if let [chunk] = self.chunks(part, field)[..]
                && let Some(constant) = self.constant(chunk, field, group.num_rows())?
            {
                return Ok(constant);
            }
            self.read_array(part, field, 0..group.num_rows()).map(Column::Values)
        };
        self.fields_named(names).map(read).collect()
    }

    /// The rows `rows` of one part, every column decoded.
    pub(super) fn read_arrays(
        &self,
        part: usize,
        rows: &Range<usize>,
        names: &[String],
    ) -> Result<Vec<Box<dyn Array>>, RecordError> {
        let fields: Vec<&Field> = self.fields_named(names).collect();
        fields.par_iter().map(|field| self.read_array(part, field, rows.clone())).collect()
    }

    /// Bytes of the named columns of one part, decompressed.
    pub(super) fn n_bytes(&self, part: usize, names: &[String]) -> u64 {
        let bytes = |chunk: &&ColumnChunkMetadata| u64::try_from(chunk.uncompressed_size()).unwrap_or(0);
        self.fields_named(names).flat_map(|field| self.chunks(part, field)).map(|chunk| bytes(&chunk)).sum()
    }

    fn fields_named(&self, names: &[String]) -> impl Iterator<Item = &Field> {
        names.iter().filter_map(|name| self.fields.iter().find(|field| field.name == name.as_str()))
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
    ) -> Result<Box<dyn Array>, RecordError> {
        let group = &self.metadata.row_groups[part];
        let chunks = self.chunks(part, field);
        let filter = (rows.len() < group.num_rows()).then(|| Filter::new_ranged(rows.start, rows.end));
        let read_bytes = |chunk: &ColumnChunkMetadata| self.place.read_range(&self.name, chunk.byte_range());
        let reader = |bytes: Buffer<u8>, chunk: &ColumnChunkMetadata| {
            PageReader::new(std::io::Cursor::new(bytes), chunk, Vec::new(), usize::MAX)
        };
        let mut bytes_of = chunks.iter().map(|chunk| read_bytes(chunk)).collect::<Result<Vec<_>, _>>()?;
        if let ([chunk], [bytes]) = (&chunks[..], &bytes_of[..]) {
            let even = decode(&self.name, FORMAT, || {
                let pages = reader(bytes.clone(), chunk);
                Ok(even_lists::read(pages, &field.dtype, group.num_rows(), &rows)?)
            })?;
            if let Some(array) = even {
                return Ok(array);
            }
        }
        let mut pages = Vec::with_capacity(chunks.len());
        let mut types = Vec::with_capacity(chunks.len());
        for (chunk, bytes) in chunks.into_iter().zip(bytes_of.drain(..)) {
            pages.push(BasicDecompressor::new(reader(bytes, chunk), Vec::new()));
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
