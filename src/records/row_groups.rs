//! Writing Parquet row group by row group, columns of several groups encoded in parallel.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;

use polars_arrow::array::Array;
use polars_arrow::datatypes::{ArrowSchema, Field};
use polars_parquet::parquet::metadata::Descriptor;
use polars_parquet::read::ParquetError;
use polars_parquet::write::{
    CompressedPage, Compressor, DynIter, DynStreamingIterator, FileWriter, StatisticsOptions, Version,
    WriteOptions, array_to_columns, fallible_streaming_iterator, get_dtype_encoding,
};
use rayon::prelude::*;

use super::error::RecordError;
use super::even_lists;
use super::steps::join_arrays;
use super::write::Compression;
use super::written::{WriteFailure, WrittenFile};

/// Decoded bytes of a row group.
const GROUP_BYTES: usize = 16 << 20;

/// Fewest rows of a row group, unless the file ends or they take more than this many bytes.
const LEAST_ROWS: usize = 1 << 12;
const MOST_BYTES: usize = 48 << 20;

/// Writes batches of rows; small batches share a row group, large ones are cut.
pub(super) struct RowGroupWriter {
    names: Vec<String>,
    options: WriteOptions,
    file: Option<File>,
    writer: Option<FileWriter<BufWriter<WrittenFile>>>,
    failure: WriteFailure,
    pending: Vec<Vec<Box<dyn Array>>>,
    pending_rows: usize,
    rows_per_group: usize,
}

/// Rows of a row group: about as many bytes as aimed at, and not so few that narrow columns come in crumbs.
fn rows_per_group(bytes_per_row: usize) -> usize {
    (GROUP_BYTES / bytes_per_row).max(LEAST_ROWS.min(MOST_BYTES / bytes_per_row)).max(1)
}

/// How much of what is pending is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// All whole row groups.
    WholeGroups,
    /// Everything: the file ends.
    Everything,
}

/// The compressed pages of the columns of one row group.
struct Encoded {
    n_rows: usize,
    /// Leaf columns in file order.
    columns: Vec<Vec<CompressedPage>>,
}

impl RowGroupWriter {
    /// Starts a file with these columns of rows of about `bytes_per_row`.
    ///
    /// # Errors
    /// If the file handle cannot be shared.
    pub(super) fn new(
        file: &File,
        names: Vec<String>,
        bytes_per_row: usize,
        compression: Compression,
    ) -> std::io::Result<Self> {
        let options = WriteOptions {
            statistics: StatisticsOptions::default(),
            version: Version::V1,
            compression: compression.parquet().into(),
            data_page_size: None,
        };
        Ok(Self {
            names,
            options,
            file: Some(file.try_clone()?),
            writer: None,
            failure: WriteFailure::default(),
            pending: Vec::new(),
            pending_rows: 0,
            rows_per_group: rows_per_group(bytes_per_row.max(1)),
        })
    }

    /// Appends rows: one array per column.
    ///
    /// # Errors
    /// If encoding or writing fails.
    pub(super) fn push(&mut self, arrays: Vec<Box<dyn Array>>) -> std::io::Result<()> {
        let n_rows = arrays.first().map_or(0, |array| array.len());
        if n_rows == 0 {
            return Ok(());
        }
        self.pending_rows += n_rows;
        self.pending.push(arrays);
        if self.pending_rows >= self.rows_per_group { self.flush(Flush::WholeGroups) } else { Ok(()) }
    }

    /// Writes what is pending.
    fn flush(&mut self, flush: Flush) -> std::io::Result<()> {
        let is_last = flush == Flush::Everything;
        let batches = std::mem::take(&mut self.pending);
        if batches.is_empty() {
            return Ok(());
        }
        let whole = if batches.len() == 1 {
            batches.into_iter().next().unwrap_or_default()
        } else {
            (0..self.names.len())
                .map(|column| {
                    let parts: Vec<&dyn Array> = batches.iter().map(|batch| &*batch[column]).collect();
                    join_arrays(&parts)
                })
                .collect::<Result<Vec<_>, RecordError>>()
                .map_err(std::io::Error::other)?
        };
        let n_rows = self.pending_rows;
        // Even groups, none above the size aimed at; a last one joins the batch after it unless the file ends.
        let n_groups =
            if is_last { n_rows.div_ceil(self.rows_per_group) } else { n_rows / self.rows_per_group };
        let per_group = n_rows.div_ceil(n_groups.max(1)).min(self.rows_per_group + self.rows_per_group / 4);
        let mut groups = Vec::new();
        let mut start = 0;
        while n_rows - start >= per_group || (start < n_rows && is_last) {
            let length = per_group.min(n_rows - start);
            groups.push(whole.iter().map(|array| array.sliced(start, length)).collect::<Vec<_>>());
            start += length;
        }
        self.pending_rows = n_rows - start;
        if start < n_rows {
            self.pending.push(whole.iter().map(|array| array.sliced(start, n_rows - start)).collect());
        }
        self.write(&groups)
    }

    fn write(&mut self, groups: &[Vec<Box<dyn Array>>]) -> std::io::Result<()> {
        let Some(first) = groups.first() else { return Ok(()) };
        if self.writer.is_none() {
            let Some(file) = self.file.take() else { unreachable!("opened once") };
            let fields = self.names.iter().zip(first).map(|(name, array)| {
                let field = Field::new(name.as_str().into(), array.dtype().clone(), true);
                (field.name.clone(), field)
            });
            let schema: ArrowSchema = fields.collect();
            let (file, failure) = WrittenFile::new(file);
            self.failure = failure;
            let file = BufWriter::with_capacity(1 << 18, file);
            let writer = FileWriter::try_new(file, schema, self.options);
            let writer = writer.map_err(|error| self.failure.cause(error))?;
            self.writer = Some(writer);
        }
        let Some(writer) = &mut self.writer else { unreachable!("set above") };
        let types = writer.parquet_schema().fields();
        // The leaf of each column that has only one: what even lists are written under.
        let mut leaf_of: BTreeMap<&str, Option<&Descriptor>> = BTreeMap::new();
        for leaf in writer.parquet_schema().columns() {
            let Some(root) = leaf.path_in_schema.first() else { continue };
            leaf_of.entry(root).and_modify(|only| *only = None).or_insert(Some(&leaf.descriptor));
        }
        let leaves: Vec<Option<Descriptor>> =
            self.names.iter().map(|name| leaf_of.get(name.as_str()).copied().flatten().cloned()).collect();
        let options = self.options;
        let jobs: Vec<(usize, usize)> =
            (0..groups.len()).flat_map(|group| (0..first.len()).map(move |column| (group, column))).collect();
        let encoded: Vec<std::io::Result<Vec<Vec<CompressedPage>>>> = jobs
            .par_iter()
            .map(|(group, column)| {
                encode(&*groups[*group][*column], types[*column].clone(), leaves[*column].as_ref(), options)
            })
            .collect();
        let mut encoded = encoded.into_iter();
        for group in groups {
            let mut columns = Vec::new();
            for leaf in encoded.by_ref().take(first.len()) {
                columns.extend(leaf?);
            }
            let group = Encoded { n_rows: group[0].len(), columns };
            write_group(writer, &group).map_err(|error| self.failure.cause(error))?;
        }
        Ok(())
    }

    /// Writes the rest and the footer.
    ///
    /// # Errors
    /// If writing fails, or nothing was written.
    pub(super) fn finish(mut self) -> std::io::Result<()> {
        self.flush(Flush::Everything)?;
        match self.writer {
            Some(mut writer) => writer.end(None).map(|_| ()).map_err(|error| self.failure.cause(error)),
            None => Err(std::io::Error::other("no rows to write")),
        }
    }
}

fn encode(
    array: &dyn Array,
    parquet_type: polars_parquet::write::ParquetType,
    leaf: Option<&Descriptor>,
    options: WriteOptions,
) -> std::io::Result<Vec<Vec<CompressedPage>>> {
    if let Some(pages) = leaf.and_then(|leaf| even_lists::pages(array, leaf)) {
        let pages = pages.into_iter().map(Ok);
        let compressor = Compressor::new_from_vec(pages, options.compression, Vec::new());
        let compressed: std::io::Result<Vec<CompressedPage>> =
            Iterator::map(compressor, |page| page.map_err(std::io::Error::other)).collect();
        return Ok(vec![compressed?]);
    }
    let encodings = get_dtype_encoding(array.dtype());
    let leaves = array_to_columns(array, parquet_type, options, &encodings).map_err(std::io::Error::other)?;
    leaves
        .into_iter()
        .map(|pages| {
            let pages =
                pages.map(|page| page.map_err(|error| ParquetError::FeatureNotSupported(error.to_string())));
            let compressor = Compressor::new_from_vec(pages, options.compression, Vec::new());
            Iterator::map(compressor, |page| page.map_err(std::io::Error::other)).collect()
        })
        .collect()
}

fn write_group(
    writer: &mut FileWriter<BufWriter<WrittenFile>>,
    group: &Encoded,
) -> polars::error::PolarsResult<()> {
    let columns = group.columns.iter().map(|pages| {
        Ok(DynStreamingIterator::new(fallible_streaming_iterator::convert(
            pages.iter().map(polars::error::PolarsResult::Ok),
        )))
    });
    writer.write(group.n_rows as u64, DynIter::new(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_groups_of_wide_rows_are_short() {
        assert_eq!(rows_per_group(1), GROUP_BYTES);
        assert_eq!(rows_per_group(1 << 10), 1 << 14);
        assert_eq!(rows_per_group(10_000), LEAST_ROWS);
        // A trace of 20,000 dimensions: a mean and a variance of 64 bits each.
        assert_eq!(rows_per_group(320_000), 157);
        assert_eq!(rows_per_group(1 << 30), 1);
    }
}
