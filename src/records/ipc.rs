//! Arrow IPC files, decoded column by column and record batch by record batch.
//!
//! What a batch claims is checked (`ipc_sizes`) and held against the budget before the decoder sees it.

use polars_arrow::datatypes::ArrowDataType;
use polars_arrow::io::ipc::read as ipc;

use super::budget::PartBudget;
use super::error::RecordError;
use super::ipc_sizes::{Messages, Wanted, record_batch};
use super::part::{Column, Part, decode};
use super::sources::{InputFile, Place, ReadSeek};

const FORMAT: &str = "Arrow IPC";

/// An opened Arrow IPC file: its footer.
pub(super) struct IpcFile {
    name: String,
    place: Place,
    budget: PartBudget,
    n_bytes: u64,
    metadata: ipc::FileMetadata,
    parts: Vec<Part>,
}

impl IpcFile {
    pub(super) fn open(input: &InputFile) -> Result<Self, RecordError> {
        let n_bytes = input.place.n_bytes(&input.name)?;
        let mut reader = input.place.open_reader(&input.name)?;
        let (metadata, rows) = decode(&input.name, FORMAT, || {
            let mut messages = Messages { reader: &mut *reader, n_bytes };
            let footer = messages.footer()?;
            let metadata = ipc::deserialize_footer(&footer, n_bytes)?;
            let rows = |block| Ok(record_batch(&messages.message(block)?)?.length()?);
            let rows: Vec<i64> =
                metadata.blocks.iter().map(rows).collect::<Result<_, polars::error::PolarsError>>()?;
            let is_possible = rows.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).is_some();
            polars::error::polars_ensure!(
                is_possible && rows.iter().all(|n| *n >= 0),
                ComputeError: "a batch claims a number of rows that cannot be"
            );
            Ok((metadata, rows))
        })?;
        let mut first_row = 0;
        let part = |n: &i64| {
            let part = Part { first_row, n_rows: usize::try_from(*n).unwrap_or(0) };
            first_row += part.n_rows as u64;
            part
        };
        let parts = rows.iter().map(part).collect();
        let (name, place) = (input.name.clone(), input.place.clone());
        Ok(Self { name, place, budget: input.budget, n_bytes, metadata, parts })
    }

    pub(super) fn columns(&self) -> Vec<(String, ArrowDataType)> {
        let fields = self.metadata.schema.iter();
        fields.map(|(name, field)| (name.to_string(), field.dtype.clone())).collect()
    }

    pub(super) fn parts(&self) -> Vec<Part> {
        self.parts.clone()
    }

    pub(super) fn read(&self, part: usize, names: &[String]) -> Result<Vec<Column>, RecordError> {
        let order: Vec<usize> =
            names.iter().filter_map(|name| self.metadata.schema.index_of(name.as_str())).collect();
        let mut wanted = order.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let mut reader = self.place.open_reader(&self.name)?;
        self.check(&mut *reader, part, &wanted)?;
        let batch = decode(&self.name, FORMAT, || {
            let mut reader = ipc::FileReader::new(reader, self.metadata.clone(), Some(wanted.clone()), None);
            reader.set_current_block(part);
            reader.next().transpose()
        })?;
        let arrays = batch.map_or_else(Vec::new, polars_arrow::record_batch::RecordBatchT::into_arrays);
        let place_of = |column: &usize| wanted.binary_search(column).ok();
        let of_place = |i: usize| arrays.get(i).cloned().map(Column::Values);
        Ok(order.iter().filter_map(place_of).filter_map(of_place).collect())
    }

    /// Holds what a batch and the dictionaries claim against the file and the budget.
    fn check(&self, reader: &mut dyn ReadSeek, part: usize, wanted: &[usize]) -> Result<(), RecordError> {
        let types = self.metadata.schema.iter_values().enumerate();
        let columns: Vec<Wanted<'_>> = types
            .map(|(i, field)| Wanted { dtype: &field.dtype, is_read: wanted.binary_search(&i).is_ok() })
            .collect();
        let decoded = decode(&self.name, FORMAT, || {
            let mut messages = Messages { reader, n_bytes: self.n_bytes };
            let mut total = messages.batch_bytes(&self.metadata.blocks[part], &columns)?;
            for block in self.metadata.dictionaries.iter().flatten() {
                total = total.saturating_add(messages.dictionary_bytes(block)?);
            }
            Ok(total)
        })?;
        let numbers = PartBudget::ROW_BYTES.saturating_mul(self.parts[part].n_rows as u64);
        self.budget.check(&self.name, &format!("record batch {part}"), decoded.saturating_add(numbers))
    }
}
