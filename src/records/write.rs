//! Writing Parquet.

use std::fs::File;

use polars::prelude::{
    BatchedWriter, Column as PolarsColumn, DataFrame, IntoColumn, NamedFrom, ParquetCompression,
    ParquetWriter, Series,
};
use polars_arrow::array::{Array, BooleanArray, ListArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::offset::Offsets;

use super::written::{WriteFailure, WrittenFile};

/// How columns are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Small files at a good speed.
    Zstd,
    /// Fastest to decode.
    Lz4,
    /// Understood by every reader.
    Snappy,
    /// None at all.
    Uncompressed,
}

impl Compression {
    pub(super) fn parquet(self) -> ParquetCompression {
        match self {
            Self::Zstd => ParquetCompression::Zstd(None),
            Self::Lz4 => ParquetCompression::Lz4Raw,
            Self::Snappy => ParquetCompression::Snappy,
            Self::Uncompressed => ParquetCompression::Uncompressed,
        }
    }
}

/// Columns of a batch of rows, in order.
#[derive(Debug, Default)]
pub struct ParquetTable {
    columns: Vec<PolarsColumn>,
}

impl ParquetTable {
    /// An empty list of columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text column.
    #[must_use]
    pub fn text(mut self, name: &str, values: &[&str]) -> Self {
        self.columns.push(Series::new(name.into(), values).into_column());
        self
    }

    /// Adds an integer column.
    #[must_use]
    pub fn ints(mut self, name: &str, values: &[i64]) -> Self {
        self.columns.push(Series::new(name.into(), values).into_column());
        self
    }

    /// Adds an integer column with nulls.
    #[must_use]
    pub fn optional_ints(mut self, name: &str, values: &[Option<i64>]) -> Self {
        self.columns.push(Series::new(name.into(), values).into_column());
        self
    }

    /// Adds a column of narrow unsigned integers.
    #[must_use]
    pub fn uints(mut self, name: &str, values: &[u32]) -> Self {
        self.columns.push(Series::new(name.into(), values).into_column());
        self
    }

    /// Adds a column of wide unsigned integers.
    #[must_use]
    pub fn wide_uints(mut self, name: &str, values: &[u64]) -> Self {
        self.columns.push(Series::new(name.into(), values).into_column());
        self
    }

    /// Adds a number column.
    #[must_use]
    pub fn floats(mut self, name: &str, values: &[f64]) -> Self {
        self.columns.push(Series::new(name.into(), values).into_column());
        self
    }

    /// Adds a truth column.
    #[must_use]
    pub fn bools(mut self, name: &str, values: &[bool]) -> Self {
        self.columns.push(Series::new(name.into(), values).into_column());
        self
    }

    /// Adds a column of lists of truth values.
    #[must_use]
    pub fn bool_lists(self, name: &str, rows: &[Vec<bool>]) -> Self {
        let flat: Vec<bool> = rows.iter().flatten().copied().collect();
        self.lists(name, rows.iter().map(Vec::len), Box::new(BooleanArray::from_slice(flat)))
    }

    /// Adds a column of lists of text.
    #[must_use]
    pub fn text_lists(self, name: &str, rows: &[Vec<String>]) -> Self {
        let flat: Vec<&str> = rows.iter().flatten().map(String::as_str).collect();
        self.lists(name, rows.iter().map(Vec::len), Box::new(Utf8ViewArray::from_slice_values(flat)))
    }

    /// Adds a column of lists of `width` 32-bit numbers, row after row in `values`.
    #[must_use]
    pub fn float_lists(self, name: &str, values: Vec<f32>, width: usize) -> Self {
        let n_rows = values.len() / width;
        self.lists(name, std::iter::repeat_n(width, n_rows), Box::new(PrimitiveArray::from_vec(values)))
    }

    fn lists(mut self, name: &str, lengths: impl Iterator<Item = usize>, values: Box<dyn Array>) -> Self {
        let Ok(offsets) = Offsets::<i64>::try_from_lengths(lengths) else {
            unreachable!("lengths of lists in memory fit 63 bits")
        };
        let dtype = ListArray::<i64>::default_datatype(values.dtype().clone());
        let array = ListArray::<i64>::new(dtype, offsets.into(), values, None);
        let Ok(series) = Series::from_arrow(name.into(), Box::new(array)) else {
            unreachable!("lists of plain values have a polars type")
        };
        self.columns.push(series.into_column());
        self
    }
}

/// Writes batches of rows to one Parquet file, a row group each.
pub struct TableWriter {
    compression: Compression,
    file: File,
    writer: Option<BatchedWriter<WrittenFile>>,
    failure: WriteFailure,
}

impl TableWriter {
    /// Starts a file.
    ///
    /// # Errors
    /// If the file handle cannot be shared.
    pub fn new(file: &File, compression: Compression) -> std::io::Result<Self> {
        Ok(Self { compression, file: file.try_clone()?, writer: None, failure: WriteFailure::default() })
    }

    /// Appends a batch; every batch has the same columns.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write(&mut self, table: ParquetTable) -> std::io::Result<()> {
        let frame = DataFrame::new_infer_height(table.columns).map_err(std::io::Error::other)?;
        if self.writer.is_none() {
            let (file, failure) = WrittenFile::new(self.file.try_clone()?);
            self.failure = failure;
            let writer = ParquetWriter::new(file)
                .with_compression(self.compression.parquet())
                .batched(frame.schema())
                .map_err(|error| self.failure.cause(error))?;
            self.writer = Some(writer);
        }
        let Some(writer) = &mut self.writer else { unreachable!("set above") };
        writer.write_batch(&frame).map_err(|error| self.failure.cause(error))
    }

    /// Writes the footer.
    ///
    /// # Errors
    /// If writing fails, or nothing was written.
    pub fn finish(self) -> std::io::Result<()> {
        match self.writer {
            Some(writer) => writer.finish().map(|_| ()).map_err(|error| self.failure.cause(error)),
            None => Err(std::io::Error::other("no rows to write")),
        }
    }
}
