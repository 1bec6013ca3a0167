//! Arrow IPC files, decoded column by column and record batch by record batch.
//!
//! What a batch claims is checked (`ipc_sizes`) and held against the budget before the decoder sees it.

use std::sync::Arc;

use polars_arrow::array::Array;
use polars_arrow::datatypes::{ArrowDataType, Field, PhysicalType};
use polars_arrow::io::ipc::read as ipc;
use polars_arrow::types::PrimitiveType;

use super::budget::PartBudget;
use super::error::{Problem, RecordError};
use super::ipc_dictionaries;
use super::ipc_sizes::{Messages, Wanted, record_batch};
use super::on_disk::ReadSeek;
use super::part::{Column, Part, decode};
use super::place::Place;
use super::sources::InputFile;
use super::types::{check_digits, describe_type};

const FORMAT: &str = "Arrow IPC";

/// An opened Arrow IPC file: its footer.
pub(super) struct IpcFile {
    name: String,
    place: Place,
    budget: PartBudget,
    n_bytes: u64,
    metadata: ipc::FileMetadata,
    /// The same as the decoder is to see it: what it cannot pass over has another type there.
    decoded: ipc::FileMetadata,
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
            for field in metadata.schema.iter_values() {
                check_digits(&field.dtype).map_err(
                    |what| polars::error::polars_err!(ComputeError: "column {}: {what}", field.name),
                )?;
            }
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
        let passable = metadata.schema.iter().map(|(name, field)| (name.clone(), passable(field)));
        let decoded = ipc::FileMetadata { schema: Arc::new(passable.collect()), ..metadata.clone() };
        Ok(Self { name, place, budget: input.budget, n_bytes, metadata, decoded, parts })
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
        self.check_types(&wanted)?;
        let mut reader = self.place.open_reader(&self.name)?;
        self.check(&mut *reader, part, &wanted)?;
        let arrays = if wanted.is_empty() { Vec::new() } else { self.decode(&mut *reader, part, &wanted)? };
        let place_of = |column: &usize| wanted.binary_search(column).ok();
        let of_place = |i: usize| arrays.get(i).cloned().map(Column::Values);
        Ok(order.iter().filter_map(place_of).filter_map(of_place).collect())
    }

    /// Refuses columns of types that the decoder has a name for and no way to read.
    fn check_types(&self, wanted: &[usize]) -> Result<(), RecordError> {
        let fields = wanted.iter().filter_map(|place| self.metadata.schema.get_at_index(*place));
        match fields.into_iter().find(|(_, field)| !is_decoded(&field.dtype)) {
            None => Ok(()),
            Some((name, field)) => {
                let problem = Problem::NotCarried(describe_type(&field.dtype));
                Err(RecordError::column(&self.name, name, problem))
            }
        }
    }

    /// The columns `wanted` of a batch, whose sizes have been checked.
    #[expect(clippy::default_trait_access, reason = "the type's crate, polars-utils, is no dependency here")]
    fn decode(
        &self,
        reader: &mut dyn ReadSeek,
        part: usize,
        wanted: &[usize],
    ) -> Result<Vec<Box<dyn Array>>, RecordError> {
        decode(&self.name, FORMAT, || {
            let mut messages = Messages { reader, n_bytes: self.n_bytes };
            let dictionaries = ipc_dictionaries::read(&mut messages, &self.decoded)?;
            let (mut words, mut bytes) = (Vec::new(), Vec::new());
            let batch = ipc::read_batch(
                &mut messages.reader,
                &dictionaries,
                &self.decoded,
                Some(wanted),
                None,
                part,
                false,
                &mut words,
                &mut bytes,
                Default::default(),
            )?;
            Ok(batch.into_arrays())
        })
    }

    /// Bytes that the named columns of a batch and the dictionaries claim, held against the file.
    pub(super) fn decoded_bytes(&self, part: usize, names: &[String]) -> Result<u64, RecordError> {
        let places = names.iter().filter_map(|name| self.metadata.schema.index_of(name.as_str()));
        let mut wanted: Vec<usize> = places.collect();
        wanted.sort_unstable();
        self.claimed(&mut *self.place.open_reader(&self.name)?, part, &wanted)
    }

    /// Holds what a batch and the dictionaries claim against the file and the budget.
    fn check(&self, reader: &mut dyn ReadSeek, part: usize, wanted: &[usize]) -> Result<(), RecordError> {
        let decoded = self.claimed(reader, part, wanted)?;
        self.budget.check(&self.name, &format!("record batch {part}"), decoded)
    }

    fn claimed(&self, reader: &mut dyn ReadSeek, part: usize, wanted: &[usize]) -> Result<u64, RecordError> {
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
        Ok(decoded.saturating_add(numbers))
    }
}

/// A field that the decoder can pass over: `skip_union` asserts that unions are dense. The values of a sparse one lie side by
/// side as those of a struct do, after one buffer; it is passed over as one, and never read.
fn passable(field: &Field) -> Field {
    let within = |field: &Field| Box::new(passable(field));
    let dtype = match field.dtype.to_storage() {
        ArrowDataType::List(inner) => ArrowDataType::List(within(inner)),
        ArrowDataType::LargeList(inner) => ArrowDataType::LargeList(within(inner)),
        ArrowDataType::FixedSizeList(inner, width) => ArrowDataType::FixedSizeList(within(inner), *width),
        ArrowDataType::Struct(fields) => ArrowDataType::Struct(fields.iter().map(passable).collect()),
        ArrowDataType::Union(union) if union.mode.is_sparse() => {
            ArrowDataType::Struct(union.fields.iter().map(passable).collect())
        }
        _ => return field.clone(),
    };
    Field { dtype, ..field.clone() }
}

/// Whether `polars_arrow::io::ipc::read::deserialize` reads a type: it panics on what its macro over primitive types lacks.
fn is_decoded(dtype: &ArrowDataType) -> bool {
    match dtype.to_storage() {
        ArrowDataType::Dictionary(_, inner, _) => is_decoded(inner),
        ArrowDataType::List(field)
        | ArrowDataType::LargeList(field)
        | ArrowDataType::FixedSizeList(field, _)
        | ArrowDataType::Map(field, _) => is_decoded(&field.dtype),
        ArrowDataType::Struct(fields) => fields.iter().all(|field| is_decoded(&field.dtype)),
        // Parquet has a place for none.
        ArrowDataType::Union(_) => false,
        storage => !matches!(
            storage.to_physical_type(),
            PhysicalType::Primitive(PrimitiveType::Int256 | PrimitiveType::MonthDayMillis)
        ),
    }
}
