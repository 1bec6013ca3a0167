//! Batches of arrays in an unnamed temporary file, which is gone with the program however that ends.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};
use std::sync::Arc;

use polars_arrow::array::Array;
use polars_arrow::datatypes::{ArrowSchema, Field};
use polars_arrow::io::ipc::read as ipc_read;
use polars_arrow::io::ipc::write as ipc_write;
use polars_arrow::record_batch::RecordBatchT;

use super::super::error::RecordError;
use super::merge_sort::failed;

/// Bytes written or read at once.
const BUFFER_BYTES: usize = 1 << 16;

/// Columns of consecutive rows.
pub(super) type Batch = Vec<Box<dyn Array>>;

/// Takes batches of the same columns.
pub(super) struct ArrayFileWriter {
    schema: Arc<ArrowSchema>,
    writer: ipc_write::FileWriter<BufWriter<File>>,
}

impl ArrayFileWriter {
    /// A file for columns like these.
    pub(super) fn new(arrays: &[Box<dyn Array>]) -> Result<Self, RecordError> {
        let fields = arrays.iter().enumerate().map(|(i, array)| {
            let name = format!("c{i}");
            Field::new(name.as_str().into(), array.dtype().clone(), true)
        });
        let schema: ArrowSchema = fields.map(|field| (field.name.clone(), field)).collect();
        let schema = Arc::new(schema);
        let file = tempfile::tempfile().map_err(|error| failed(&error))?;
        let options = ipc_write::WriteOptions { compression: None };
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let writer = ipc_write::FileWriter::try_new(file, Arc::clone(&schema), None, options);
        Ok(Self { schema, writer: writer.map_err(|error| failed(&error))? })
    }

    pub(super) fn push(&mut self, n_rows: usize, arrays: Batch) -> Result<(), RecordError> {
        let batch = RecordBatchT::try_new(n_rows, Arc::clone(&self.schema), arrays);
        self.writer.write(&batch.map_err(|error| failed(&error))?, None).map_err(|error| failed(&error))
    }

    pub(super) fn finish(mut self) -> Result<ArrayFile, RecordError> {
        self.writer.finish().map_err(|error| failed(&error))?;
        let file = self.writer.into_inner().into_inner().map_err(|error| failed(error.error()))?;
        Ok(ArrayFile(file))
    }
}

/// A file of batches.
pub(super) struct ArrayFile(File);

impl ArrayFile {
    /// The batches one after the other, from the first one on.
    pub(super) fn batches(
        &mut self,
    ) -> Result<impl Iterator<Item = Result<Batch, RecordError>>, RecordError> {
        self.0.rewind().map_err(|error| failed(&error))?;
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, &self.0);
        let metadata = ipc_read::read_file_metadata(&mut reader).map_err(|error| failed(&error))?;
        let batches = ipc_read::FileReader::new(reader, metadata, None, None);
        Ok(batches.map(|batch| batch.map(RecordBatchT::into_arrays).map_err(|error| failed(&error))))
    }
}
