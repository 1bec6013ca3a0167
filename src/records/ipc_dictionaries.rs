//! Dictionaries of an Arrow IPC file, those that grow from batch to batch joined.
//!
//! polars-arrow's own reader refuses a dictionary that grows (a delta), and takes the last of several for one column as if
//! all batches had been written with it. The format has no place for the latter (a dictionary of a file may grow, and is
//! never replaced), so that it is an error here.

use polars::error::{PolarsResult, polars_bail, polars_ensure};
use polars_arrow::compute::concatenate::concatenate;
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field};
use polars_arrow::io::ipc::format::ipc::planus::ReadAsRoot;
use polars_arrow::io::ipc::format::ipc::{Block, MessageHeaderRef, MessageRef, MetadataVersion};
use polars_arrow::io::ipc::read as ipc;
use polars_arrow::io::ipc::{IpcField, IpcSchema};

use super::ipc_sizes::{Messages, body_of};

/// All dictionaries of a file by their number. Their sizes have been checked.
///
/// # Errors
/// Dictionaries that cannot be read, or are replaced on the way.
#[expect(clippy::default_trait_access, reason = "the type's crate, polars-utils, is no dependency here")]
pub(super) fn read(
    messages: &mut Messages<'_>,
    metadata: &ipc::FileMetadata,
) -> PolarsResult<ipc::Dictionaries> {
    let mut dictionaries = ipc::Dictionaries::default();
    for block in metadata.dictionaries.iter().flatten() {
        let message = messages.message(block)?;
        let message = MessageRef::read_as_root(&message)?;
        let Some(MessageHeaderRef::DictionaryBatch(dictionary)) = message.header()? else {
            polars_bail!(ComputeError: "a dictionary is none");
        };
        let id = dictionary.id()?;
        if dictionary.is_delta()? {
            extend(messages, metadata, block, id, &mut dictionaries)?;
            continue;
        }
        polars_ensure!(
            !dictionaries.contains_key(&id),
            ComputeError: "dictionary {id} is replaced by another on the way: rows before and after mean different values"
        );
        let (mut words, mut bytes) = (Vec::new(), Vec::new());
        ipc::read_dictionary_block(
            &mut messages.reader,
            metadata,
            block,
            false,
            &mut dictionaries,
            &mut words,
            &mut bytes,
            Default::default(),
        )?;
    }
    Ok(dictionaries)
}

/// Adds the values of a delta to the dictionary so far.
#[expect(clippy::default_trait_access, reason = "the type's crate, polars-utils, is no dependency here")]
fn extend(
    messages: &mut Messages<'_>,
    metadata: &ipc::FileMetadata,
    block: &Block,
    id: i64,
    dictionaries: &mut ipc::Dictionaries,
) -> PolarsResult<()> {
    let Some(so_far) = dictionaries.get(&id) else {
        polars_bail!(ComputeError: "dictionary {id} grows before it is there");
    };
    let dtype = so_far.dtype().clone();
    let Some(field) = plain_field(&dtype) else {
        polars_bail!(ComputeError: "dictionary {id} grows, and its values are of dictionaries themselves");
    };
    let message = messages.message(block)?;
    let message = MessageRef::read_as_root(&message)?;
    let Some(MessageHeaderRef::DictionaryBatch(dictionary)) = message.header()? else {
        polars_bail!(ComputeError: "a dictionary is none");
    };
    let Some(batch) = dictionary.data()? else { polars_bail!(ComputeError: "a dictionary is empty") };
    let fields: ArrowSchema = std::iter::once(("".into(), Field::new("".into(), dtype, true))).collect();
    let schema = IpcSchema { fields: vec![field], is_little_endian: metadata.ipc_schema.is_little_endian };
    let more = ipc::common::read_record_batch(
        batch,
        &fields,
        &schema,
        None,
        None,
        dictionaries,
        MetadataVersion::V5,
        &mut messages.reader,
        body_of(block)?,
        &mut Vec::new(),
        Default::default(),
    )?;
    let Some(more) = more.into_arrays().pop() else { polars_bail!(ComputeError: "a dictionary is empty") };
    let whole = concatenate(&[&**so_far, &*more])?;
    dictionaries.insert(id, whole);
    Ok(())
}

/// The field of a type without dictionaries in it.
fn plain_field(dtype: &ArrowDataType) -> Option<IpcField> {
    let inner = match dtype.to_storage() {
        ArrowDataType::Dictionary(..) => return None,
        ArrowDataType::List(field)
        | ArrowDataType::LargeList(field)
        | ArrowDataType::FixedSizeList(field, _)
        | ArrowDataType::Map(field, _) => vec![plain_field(&field.dtype)?],
        ArrowDataType::Struct(fields) => {
            fields.iter().map(|field| plain_field(&field.dtype)).collect::<Option<_>>()?
        }
        ArrowDataType::Union(union) => {
            union.fields.iter().map(|field| plain_field(&field.dtype)).collect::<Option<_>>()?
        }
        _ => Vec::new(),
    };
    Some(IpcField { fields: inner, dictionary_id: None })
}

#[cfg(test)]
mod tests {
    use crate::records::sources::discover;
    use crate::records::table::Table;

    /// The mark of a delta is one byte of its message: without it, the same dictionary replaces the one before.
    #[test]
    fn a_dictionary_that_is_replaced_is_an_error() {
        let good = std::fs::read("fixtures/carried/delta.arrow").expect("a fixture");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("replaced.arrow");
        let open = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            let files = discover(&[path.to_string_lossy().into_owned()], None).expect("a file").files;
            Table::open(&files[0]).and_then(|table| {
                let names = table.column_names();
                (0..table.parts().len()).try_for_each(|part| table.read(part, &names).map(|_| ()))
            })
        };
        open(&good).expect("a delta is read");
        let ones = (0..good.len()).filter(|place| good[*place] == 1);
        let is_replaced = |place: usize| {
            let mut bytes = good.clone();
            bytes[place] = 0;
            open(&bytes).is_err_and(|error| error.to_string().contains("is replaced by another on the way"))
        };
        assert!(ones.filter(|place| is_replaced(*place)).count() >= 1);
    }
}
