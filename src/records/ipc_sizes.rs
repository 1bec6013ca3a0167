//! What an Arrow IPC file claims of itself, checked before its decoder believes it.
//!
//! Calls of polars-arrow that trust a size, and what is checked here for them:
//!
//! | call | trusts | checked |
//! | --- | --- | --- |
//! | `read_basic::read_compressed_buffer`, `read_compressed_bitmap` (`vec![..; n]`, `resize`) | the length before a compressed buffer | the most that the codec can make of the buffer; the budget |
//! | `read_basic::read_uncompressed_bytes`, `_buffer` (`with_capacity`) | the buffer's length | that the buffer lies in the file |
//! | `get_message_from_block_offset`, `read_footer` (`try_reserve`) | the message's length | that it lies in the file |
//! | `get_row_count_from_blocks`, `read_null` | lengths of batches | that they are none below zero; the budget |
//! | `schema::deserialize_field` (recursive) | how fields hold others; that no type is one it has no way for | their number and depth; their types |
//! | `read_dictionary_block`, `read_record_batch` (in `ipc_dictionaries`) | the same for every dictionary, read whichever columns are | the same |

use std::io::SeekFrom;

use polars::error::{PolarsResult, polars_bail, polars_ensure};
use polars_arrow::datatypes::{ArrowDataType, PhysicalType};
use polars_arrow::io::ipc::format::ipc::planus::ReadAsRoot;
use polars_arrow::io::ipc::format::ipc::{
    Block, CompressionType, DictionaryBatchRef, FieldRef, FooterRef, MessageHeaderRef, MessageRef,
    RecordBatchRef, TypeRef,
};

use super::on_disk::ReadSeek;

/// Columns of a file, those within columns included.
const FIELDS: usize = 1 << 16;

/// Levels of columns within columns.
const DEPTH: usize = 64;

/// Bytes a codec needs whatever it holds.
const SLACK: u64 = 64;

/// A file, as far as its messages are concerned.
pub(super) struct Messages<'a> {
    /// Its bytes.
    pub(super) reader: &'a mut dyn ReadSeek,
    /// How many they are.
    pub(super) n_bytes: u64,
}

/// A column, and whether it is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Its type.
    pub(super) dtype: &'a ArrowDataType,
    /// Whether it is.
    pub(super) is_read: bool,
}

impl Messages<'_> {
    /// The footer's bytes.
    pub(super) fn footer(&mut self) -> PolarsResult<Vec<u8>> {
        polars_ensure!(self.n_bytes >= 20, ComputeError: "it is too short to hold a footer");
        let end = self.read(self.n_bytes - 10, 10)?;
        polars_ensure!(end.ends_with(b"ARROW1"), ComputeError: "it does not end with ARROW1: it is cut off, or a stream");
        let length = natural(i64::from(i32_of(&end)), "its footer")?;
        polars_ensure!(length <= self.n_bytes - 10, ComputeError: "its footer claims {length} bytes");
        let footer = self.read(self.n_bytes - 10 - length, length)?;
        check_schema(&footer)?;
        Ok(footer)
    }

    /// The bytes of a block's message.
    pub(super) fn message(&mut self, block: &Block) -> PolarsResult<Vec<u8>> {
        let mut at = natural(block.offset, "a message's place")?;
        let mut length = i32_of(&self.read(at, 4)?);
        at += 4;
        if length == -1 {
            length = i32_of(&self.read(at, 4)?);
            at += 4;
        }
        self.read(at, natural(i64::from(length), "a message's length")?)
    }

    /// Bytes that a dictionary takes, decoded.
    pub(super) fn dictionary_bytes(&mut self, block: &Block) -> PolarsResult<u64> {
        let message = self.message(block)?;
        let message = MessageRef::read_as_root(&message)?;
        let Some(MessageHeaderRef::DictionaryBatch(dictionary)) = message.header()? else {
            polars_bail!(ComputeError: "a dictionary is none");
        };
        let Some(batch) = DictionaryBatchRef::data(&dictionary)? else {
            polars_bail!(ComputeError: "a dictionary is empty");
        };
        let body = body_of(block)?;
        self.buffers_bytes(&batch, body, 0..usize::MAX)
    }

    /// Bytes that the columns read of a record batch take, decoded.
    pub(super) fn batch_bytes(&mut self, block: &Block, columns: &[Wanted<'_>]) -> PolarsResult<u64> {
        let message = self.message(block)?;
        let batch = record_batch(&message)?;
        let body = body_of(block)?;
        let mut variadic = batch.variadic_buffer_counts()?.into_iter().flatten();
        let mut start = 0usize;
        let mut total = 0u64;
        for column in columns {
            let n = n_buffers(column.dtype, &mut variadic)?;
            let end = start.saturating_add(n);
            if column.is_read {
                total = total.saturating_add(self.buffers_bytes(&batch, body, start..end)?);
            }
            start = end;
        }
        Ok(total)
    }

    fn buffers_bytes(
        &mut self,
        batch: &RecordBatchRef<'_>,
        body: u64,
        which: std::ops::Range<usize>,
    ) -> PolarsResult<u64> {
        let Some(buffers) = batch.buffers()? else { polars_bail!(ComputeError: "a batch has no buffers") };
        let codec = batch.compression()?.map(|compression| compression.codec()).transpose()?;
        let mut total = 0u64;
        for buffer in buffers.iter().skip(which.start).take(which.len()) {
            let start = body.saturating_add(natural(buffer.offset(), "a buffer's place")?);
            let length = natural(buffer.length(), "a buffer's length")?;
            let end = start.saturating_add(length);
            polars_ensure!(end <= self.n_bytes, ComputeError: "a buffer claims {length} bytes that are not in the file");
            let decoded = match codec {
                Some(codec) if length > 0 => self.decompressed(start, length, codec)?,
                _ => length,
            };
            total = total.saturating_add(decoded);
        }
        Ok(total)
    }

    /// What stands before a compressed buffer: its length once it is decompressed, or -1 where it is not compressed.
    fn decompressed(&mut self, start: u64, length: u64, codec: CompressionType) -> PolarsResult<u64> {
        polars_ensure!(length >= 8, ComputeError: "a compressed buffer of {length} bytes");
        let prefix = self.read(start, 8)?;
        let claimed = i64::from_le_bytes(prefix.try_into().unwrap_or_default());
        let length = length - 8;
        if claimed == -1 {
            return Ok(length);
        }
        let ratio = match codec {
            // A match grows by 255 with each byte.
            CompressionType::Lz4Frame => 255,
            // A block of 128 KiB takes four bytes.
            CompressionType::Zstd => 1 << 15,
        };
        let most = length.saturating_mul(ratio).saturating_add(SLACK);
        let is_possible = u64::try_from(claimed).is_ok_and(|claimed| claimed <= most);
        polars_ensure!(
            is_possible,
            ComputeError: "a buffer of {length} bytes claims to decompress to {claimed}, more than {codec:?} can"
        );
        natural(claimed, "a buffer's length")
    }

    fn read(&mut self, start: u64, length: u64) -> PolarsResult<Vec<u8>> {
        let is_there = start.checked_add(length).is_some_and(|end| end <= self.n_bytes);
        polars_ensure!(is_there, ComputeError: "it claims {length} bytes at {start}, and has {}", self.n_bytes);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.reader.seek(SeekFrom::Start(start))?;
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Where a block's buffers begin.
pub(super) fn body_of(block: &Block) -> PolarsResult<u64> {
    let offset = natural(block.offset, "a message's place")?;
    let length = natural(i64::from(block.meta_data_length), "a message's length")?;
    Ok(offset.saturating_add(length))
}

/// The record batch of a message.
pub(super) fn record_batch(message: &[u8]) -> PolarsResult<RecordBatchRef<'_>> {
    match MessageRef::read_as_root(message)?.header()? {
        Some(MessageHeaderRef::RecordBatch(batch)) => Ok(batch),
        _ => polars_bail!(ComputeError: "a record batch is none"),
    }
}

/// Buffers of a column and the columns in it, in the order of the format.
fn n_buffers(dtype: &ArrowDataType, variadic: &mut impl Iterator<Item = i64>) -> PolarsResult<usize> {
    let own = match dtype.to_physical_type() {
        PhysicalType::Null => 0,
        PhysicalType::FixedSizeList | PhysicalType::Struct => 1,
        // Which value it is, and in dense ones where.
        PhysicalType::Union => match dtype.to_storage() {
            ArrowDataType::Union(union) if union.mode.is_sparse() => 1,
            _ => 2,
        },
        PhysicalType::Utf8 | PhysicalType::LargeUtf8 | PhysicalType::Binary | PhysicalType::LargeBinary => 3,
        PhysicalType::Utf8View | PhysicalType::BinaryView => {
            let Some(n) = variadic.next() else {
                polars_bail!(ComputeError: "a text column without its buffers")
            };
            2 + usize::try_from(natural(n, "the number of a text column's buffers")?)
                .unwrap_or(usize::MAX - 2)
        }
        // Validity and values, keys or offsets.
        _ => 2,
    };
    let mut inner = 0usize;
    let mut add = |field: &polars_arrow::datatypes::Field| -> PolarsResult<()> {
        inner = inner.saturating_add(n_buffers(&field.dtype, variadic)?);
        Ok(())
    };
    match dtype.to_storage() {
        ArrowDataType::List(field)
        | ArrowDataType::LargeList(field)
        | ArrowDataType::FixedSizeList(field, _)
        | ArrowDataType::Map(field, _) => add(field)?,
        ArrowDataType::Struct(fields) => fields.iter().try_for_each(&mut add)?,
        ArrowDataType::Union(union) => union.fields.iter().try_for_each(&mut add)?,
        _ => {}
    }
    Ok(own.saturating_add(inner))
}

/// Fields may refer to the same fields again and again: few bytes, any number of columns.
fn check_schema(footer: &[u8]) -> PolarsResult<()> {
    fn count(field: FieldRef<'_>, depth: usize, left: &mut usize) -> PolarsResult<()> {
        polars_ensure!(depth < DEPTH, ComputeError: "its columns are nested deeper than {DEPTH} levels");
        polars_ensure!(*left > 0, ComputeError: "it has more than {FIELDS} columns");
        *left -= 1;
        let unread = match field.type_()? {
            Some(TypeRef::RunEndEncoded(_)) => Some("run-end encoded values"),
            Some(TypeRef::ListView(_) | TypeRef::LargeListView(_)) => Some("list views"),
            _ => None,
        };
        if let Some(what) = unread {
            let name = field.name()?.unwrap_or_default();
            polars_bail!(ComputeError: "column {name} is of {what}, which are not read: write it as plain values or lists");
        }
        for child in field.children()?.into_iter().flatten() {
            count(child?, depth + 1, left)?;
        }
        Ok(())
    }
    let footer = FooterRef::read_as_root(footer)?;
    let mut left = FIELDS;
    if let Some(schema) = footer.schema()? {
        for field in schema.fields()?.into_iter().flatten() {
            count(field?, 0, &mut left)?;
        }
    }
    Ok(())
}

fn i32_of(bytes: &[u8]) -> i32 {
    bytes.first_chunk::<4>().map_or(-2, |raw| i32::from_le_bytes(*raw))
}

fn natural(value: i64, what: &str) -> PolarsResult<u64> {
    match u64::try_from(value) {
        Ok(value) => Ok(value),
        Err(_) => polars_bail!(ComputeError: "{what} is {value}"),
    }
}
