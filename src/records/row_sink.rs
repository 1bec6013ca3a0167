//! Where rows that are written go: to the row groups of a file for everybody, or to the batches of a part, from which such a
//! file is made later. Where its row groups end depends on what is pushed together: a part keeps just that.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use polars_arrow::array::Array;
use polars_arrow::datatypes::{ArrowSchema, ArrowSchemaRef, Field};
use polars_arrow::io::ipc::read::{FileReader, read_file_metadata};
use polars_arrow::io::ipc::write::{FileWriter, WriteOptions};
use polars_arrow::record_batch::RecordBatchT;

use super::error::{Problem, RecordError};
use super::place::Place;
use super::row_groups::RowGroupWriter;
use super::write::Compression;
use super::written::{WriteFailure, WrittenFile};

/// What rows are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// Parquet.
    Parquet(Compression),
    /// The batches of a part.
    Batches,
}

/// Takes batches of rows: one array per column.
pub(super) enum RowSink {
    Groups(Box<RowGroupWriter>),
    Batches(Box<BatchWriter>),
}

impl RowSink {
    /// Starts a file with these columns of rows of about `bytes_per_row`.
    pub(super) fn new(
        file: &File,
        names: Vec<String>,
        bytes_per_row: usize,
        format: RowFormat,
    ) -> std::io::Result<Self> {
        Ok(match format {
            RowFormat::Parquet(compression) => {
                Self::Groups(Box::new(RowGroupWriter::new(file, names, bytes_per_row, compression)?))
            }
            RowFormat::Batches => Self::Batches(Box::new(BatchWriter::new(file, names)?)),
        })
    }

    /// Appends rows.
    pub(super) fn push(&mut self, arrays: Vec<Box<dyn Array>>) -> std::io::Result<()> {
        match self {
            Self::Groups(writer) => writer.push(arrays),
            Self::Batches(writer) => writer.push(arrays),
        }
    }

    /// Writes the rest.
    pub(super) fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Groups(writer) => writer.finish(),
            Self::Batches(writer) => writer.finish(),
        }
    }
}

/// Writes batches as they come, as Arrow IPC; no file without a batch has more than no bytes.
pub(super) struct BatchWriter {
    names: Vec<String>,
    file: Option<File>,
    writer: Option<FileWriter<BufWriter<WrittenFile>>>,
    schema: ArrowSchemaRef,
    failure: WriteFailure,
}

impl BatchWriter {
    fn new(file: &File, names: Vec<String>) -> std::io::Result<Self> {
        let (file, schema, failure) = (Some(file.try_clone()?), Arc::default(), WriteFailure::default());
        Ok(Self { names, file, writer: None, schema, failure })
    }

    fn push(&mut self, arrays: Vec<Box<dyn Array>>) -> std::io::Result<()> {
        let n_rows = arrays.first().map_or(0, |array| array.len());
        if n_rows == 0 {
            return Ok(());
        }
        if let Some(file) = self.file.take() {
            let fields = self.names.iter().zip(&arrays).map(|(name, array)| {
                let field = Field::new(name.as_str().into(), array.dtype().clone(), true);
                (field.name.clone(), field)
            });
            self.schema = Arc::new(fields.collect::<ArrowSchema>());
            let (file, failure) = WrittenFile::new(file);
            self.failure = failure;
            let file = BufWriter::with_capacity(1 << 18, file);
            let options = WriteOptions { compression: None };
            let writer = FileWriter::try_new(file, Arc::clone(&self.schema), None, options);
            self.writer = Some(writer.map_err(|error| self.failure.cause(error))?);
        }
        let batch = RecordBatchT::new(n_rows, Arc::clone(&self.schema), arrays);
        let Some(writer) = &mut self.writer else { unreachable!("opened with the first rows") };
        writer.write(&batch, None).map_err(|error| self.failure.cause(error))
    }

    fn finish(self) -> std::io::Result<()> {
        let Some(mut writer) = self.writer else { return Ok(()) };
        writer.finish().map_err(|error| self.failure.cause(error))
    }
}

/// Parts that are begun to be read together, where they lie in a store.
const BEGUN_TOGETHER: usize = 32;

/// The batches of parts as one file of row groups; `None` where there is no row.
pub(super) fn merged(
    file: &File,
    parts: &[impl AsRef<Path>],
    bytes_per_row: impl Fn(usize) -> usize,
    compression: Compression,
) -> std::io::Result<Option<RowSink>> {
    let mut sink: Option<RowSink> = None;
    for parts in parts.chunks(BEGUN_TOGETHER) {
        let places: Vec<Place> =
            parts.iter().map(|part| Place::at(part.as_ref())).collect::<Result<_, _>>().map_err(as_io)?;
        Place::begin_all(&places);
        for (place, part) in places.into_iter().zip(parts) {
            let mut part = place.open_reader(&part.as_ref().display().to_string()).map_err(as_io)?;
            if part.seek(SeekFrom::End(0))? == 0 {
                continue;
            }
            part.rewind()?;
            let metadata = read_file_metadata(&mut part).map_err(std::io::Error::other)?;
            if sink.is_none() {
                let names: Vec<String> = metadata.schema.iter_names().map(ToString::to_string).collect();
                let bytes = bytes_per_row(names.len());
                sink = Some(RowSink::new(file, names, bytes, RowFormat::Parquet(compression))?);
            }
            let Some(sink) = &mut sink else { unreachable!("set above") };
            for batch in FileReader::new(part, metadata, None, None) {
                sink.push(batch.map_err(std::io::Error::other)?.into_arrays())?;
            }
        }
    }
    Ok(sink)
}

/// What is wrong with a part as what is wrong with the file that is made of it.
fn as_io(error: RecordError) -> std::io::Error {
    match error.problem {
        Problem::Io(error) => error,
        problem => std::io::Error::other(format!("{}: {problem}", error.file)),
    }
}
