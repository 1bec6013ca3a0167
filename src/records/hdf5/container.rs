//! An HDF5 file opened: its groups, their attributes and arrays, rows of an array as a column.
//!
//! The one user of the decoder. What a file claims is held against its length and the budget before memory is taken for it:
//! by the decoder, which is told the limits here, and by `Stored::read`, which asks for no rows that are not there. Every
//! call of it is guarded (`part::guarded`): it is young, and its panics are damaged files to us. Links to other files are
//! not followed.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use hdf5_reader::dataset::Dataset;
use hdf5_reader::error::{Error, Result as Decoded};
use hdf5_reader::filters::FilterRegistry;
use hdf5_reader::storage::DynStorage;
use hdf5_reader::{
    BytesStorage, ExternalLinkResolver, FileStorage, H5Type, Hdf5File, OpenOptions, SliceInfo, SliceInfoElem,
};
use polars_arrow::array::{Array, BooleanArray, FixedSizeListArray, PrimitiveArray};
use polars_arrow::types::NativeType;
use polars_buffer::Buffer;

use super::super::budget::PartBudget;
use super::super::error::{Problem, RecordError};
use super::super::part::guarded;
use super::lzf;
use super::numbers::{Cell, Number, Truth};

/// What the format is called.
const FORMAT: &str = "HDF5";

/// The filter of h5py's `compression="lzf"`.
const LZF: u16 = 32000;

/// Bytes of decoded chunks that are kept: neighbouring slices share those between them.
const KEPT_CHUNKS: u64 = 32 << 20;

/// Bytes that the header of an object may have.
const MAX_HEADER: usize = 4 << 20;

/// How many bytes one byte of a file may unpack to: DEFLATE makes 1,032 of one at most. What claims more holds rows that
/// nobody wrote.
const MOST_UNPACKED: u64 = 1100;

/// The same for files so small that their own structure counts.
const UNPACKED_ANYHOW: u64 = 1 << 20;

/// An opened file.
#[derive(Clone)]
pub(in crate::records) struct Container {
    name: String,
    storage: DynStorage,
    budget: PartBudget,
    file: Hdf5File,
}

/// A group of a file.
pub(in crate::records) struct Group {
    file: String,
    path: String,
    inner: hdf5_reader::group::Group,
}

/// An array of a file: so many rows of like cells.
pub(in crate::records) struct Stored {
    file: String,
    path: String,
    dataset: Dataset,
    /// Rows.
    pub(in crate::records) n_rows: u64,
    /// What each of them holds.
    pub(in crate::records) cell: Cell,
    /// Bytes of a chunk, decoded; none where it is not stored in chunks.
    pub(super) chunk_bytes: u64,
    /// Rows of a chunk.
    pub(super) chunk_rows: u64,
}

/// Bytes that are in memory already.
struct Held(Buffer<u8>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Links to other files are refused: what is read would depend on what lies beside the file.
struct NoOtherFiles;

impl ExternalLinkResolver for NoOtherFiles {
    fn resolve_external_link(&self, filename: &str) -> Decoded<Option<Hdf5File>> {
        Err(Error::Other(format!("it links to another file, {filename}, which is not followed")))
    }
}

impl Container {
    /// An opened file.
    ///
    /// # Errors
    /// What cannot be read, and what is no such file.
    pub(in crate::records) fn of_file(
        name: &str,
        file: File,
        budget: PartBudget,
    ) -> Result<Self, RecordError> {
        Self::of(name, Arc::new(guarded(name, FORMAT, || FileStorage::from_file(file))?), budget)
    }

    /// A file in memory.
    ///
    /// # Errors
    /// What is no such file.
    pub(in crate::records) fn of_bytes(
        name: &str,
        bytes: Buffer<u8>,
        budget: PartBudget,
    ) -> Result<Self, RecordError> {
        Self::of(name, Arc::new(BytesStorage::from_owner(Held(bytes))), budget)
    }

    fn of(name: &str, storage: DynStorage, budget: PartBudget) -> Result<Self, RecordError> {
        check_end(name, &storage)?;
        let file = opened(name, &storage, budget)?;
        Ok(Self { name: name.to_owned(), storage, budget, file })
    }

    /// The same file without what was remembered of it: the decoder keeps the header of every object it has seen.
    pub(super) fn anew(&self) -> Result<Self, RecordError> {
        let file = opened(&self.name, &self.storage, self.budget)?;
        Ok(Self { file, ..self.clone() })
    }

    /// The file as the user knows it.
    pub(in crate::records) fn name(&self) -> &str {
        &self.name
    }

    /// Refuses rows that a file of this size cannot hold.
    ///
    /// # Errors
    /// More rows of so many bytes than the file can unpack to.
    pub(in crate::records) fn check_claim(&self, n_rows: u64, row_bytes: u64) -> Result<(), RecordError> {
        let most = self.storage.len().saturating_mul(MOST_UNPACKED).max(UNPACKED_ANYHOW);
        if n_rows.saturating_mul(row_bytes) <= most {
            return Ok(());
        }
        let detail =
            format!("it claims {n_rows} rows of {row_bytes} bytes, which no file of this size holds");
        Err(RecordError::file(&self.name, Problem::Unreadable { format: FORMAT, detail }))
    }

    /// What decoded rows may take.
    pub(in crate::records) fn budget(&self) -> PartBudget {
        self.budget
    }

    /// The group that holds all others.
    ///
    /// # Errors
    /// A damaged file.
    pub(in crate::records) fn root(&self) -> Result<Group, RecordError> {
        let inner = guarded(&self.name, FORMAT, || self.file.root_group())?;
        Ok(Group { file: self.name.clone(), path: String::new(), inner })
    }

    /// A group by the names on the way to it.
    ///
    /// # Errors
    /// A damaged file, and one without such a group.
    pub(super) fn group(&self, path: &[String]) -> Result<Group, RecordError> {
        path.iter().try_fold(self.root()?, |group, name| group.group(name))
    }
}

/// Where a superblock has the file's end, by its version: 0 and 1 behind their trees' sizes, 2 and 3 behind two addresses.
const ENDS: [usize; 4] = [40, 44, 28, 28];

/// Refuses a file that is shorter than its superblock says, though what is asked for may still be there.
fn check_end(name: &str, storage: &DynStorage) -> Result<(), RecordError> {
    const MARK: &[u8] = b"\x89HDF\r\n\x1a\n";
    let n = usize::try_from(storage.len().min(52)).unwrap_or(0);
    let Ok(head) = guarded(name, FORMAT, || storage.read_range(0, n)) else { return Ok(()) };
    let head = head.as_ref();
    // Behind bytes of a user's own, and with addresses of another size, the decoder looks for itself.
    let version = head.get(8).copied().map_or(usize::MAX, usize::from);
    let offsets = head.get(if version < 2 { 13 } else { 9 }).copied();
    let (true, Some(place), Some(8)) = (head.starts_with(MARK), ENDS.get(version), offsets) else {
        return Ok(());
    };
    let Some(end) = head.get(*place..place + 8).and_then(|bytes| bytes.first_chunk::<8>()) else {
        return Ok(());
    };
    let (end, size) = (u64::from_le_bytes(*end), storage.len());
    if end <= size {
        return Ok(());
    }
    let detail = format!("it has {size} of the {end} bytes it was written with");
    Err(RecordError::file(name, Problem::Unreadable { format: FORMAT, detail }))
}

fn opened(name: &str, storage: &DynStorage, budget: PartBudget) -> Result<Hdf5File, RecordError> {
    let share = |divisor: u64| usize::try_from(budget.bytes() / divisor).unwrap_or(usize::MAX);
    let max_chunk = share(8);
    let mut filters = FilterRegistry::new();
    filters.register(
        LZF,
        Box::new(move |_, packed, _| {
            lzf::unpacked(packed, max_chunk).map_err(|what| Error::DecompressionError(what.to_owned()))
        }),
    );
    let options = OpenOptions {
        chunk_cache_bytes: share(16).min(usize::try_from(KEPT_CHUNKS).unwrap_or(usize::MAX)),
        max_chunk_bytes: max_chunk,
        max_read_bytes: share(1),
        max_object_header_bytes: MAX_HEADER,
        filter_registry: Some(filters),
        external_link_resolver: Some(Arc::new(NoOtherFiles)),
        ..OpenOptions::default()
    };
    guarded(name, FORMAT, || Hdf5File::from_storage_with_options(storage.clone(), options))
}

/// Names of what a group holds, as the file lists them.
#[derive(Debug, Default)]
pub(in crate::records) struct Names {
    pub(in crate::records) groups: Vec<String>,
    pub(in crate::records) arrays: Vec<String>,
}

impl Group {
    /// Where it is in the file.
    pub(in crate::records) fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// A damage told with where it is.
    pub(in crate::records) fn damaged(&self, detail: &str) -> RecordError {
        let detail = format!("{}: {detail}", self.path());
        RecordError::file(&self.file, Problem::Unreadable { format: FORMAT, detail })
    }

    fn below(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }

    /// What it holds.
    ///
    /// # Errors
    /// A damaged file.
    pub(in crate::records) fn names(&self) -> Result<Names, RecordError> {
        let (groups, arrays) = guarded(&self.file, FORMAT, || self.inner.member_names())?;
        Ok(Names { groups, arrays })
    }

    /// A group in it.
    ///
    /// # Errors
    /// A damaged file, and one without such a group.
    pub(in crate::records) fn group(&self, name: &str) -> Result<Self, RecordError> {
        let inner = guarded(&self.file, FORMAT, || self.inner.group(name))?;
        Ok(Self { file: self.file.clone(), path: self.below(name), inner })
    }

    /// An array in it; in words what it holds instead of rows of numbers.
    ///
    /// # Errors
    /// A damaged file, and one without such an array.
    pub(in crate::records) fn array(&self, name: &str) -> Result<Result<Stored, String>, RecordError> {
        let path = self.below(name);
        let (dataset, encoded) = guarded(&self.file, FORMAT, || {
            let dataset = self.inner.dataset(name)?;
            let encoded = dataset.raw_datatype()?;
            Ok::<_, Error>((dataset, encoded))
        })?;
        let number = match Number::of(dataset.dtype(), &encoded) {
            Ok(number) => number,
            Err(what) => return Ok(Err(what)),
        };
        let Some((n_rows, shape)) = dataset.shape().split_first() else {
            return Ok(Err("a single number".to_owned()));
        };
        let cell = Cell { number, shape: shape.to_vec() };
        if cell.width() == 0 || usize::try_from(cell.n_bytes()).is_err() {
            return Ok(Err("rows of no numbers".to_owned()));
        }
        let chunk = dataset.chunks().unwrap_or_default();
        let sides = chunk.iter().fold(1, |product: u64, side| product.saturating_mul(u64::from(*side)));
        let chunk_bytes = if chunk.is_empty() { 0 } else { sides.saturating_mul(number.n_bytes()) };
        let chunk_rows = chunk.first().map_or(1, |rows| u64::from(*rows).max(1));
        let (file, n_rows) = (self.file.clone(), *n_rows);
        Ok(Ok(Stored { file, path, dataset, n_rows, cell, chunk_bytes, chunk_rows }))
    }

    /// An attribute that is a whole number.
    ///
    /// # Errors
    /// A damaged file.
    pub(in crate::records) fn count(&self, name: &str) -> Result<Option<u64>, RecordError> {
        let attributes = guarded(&self.file, FORMAT, || self.inner.attributes())?;
        let Some(attribute) = attributes.into_iter().find(|attribute| attribute.name == name) else {
            return Ok(None);
        };
        let signed = guarded(&self.file, FORMAT, || attribute.read_scalar::<i64>());
        if let Ok(number) = signed {
            return Ok(u64::try_from(number).ok());
        }
        Ok(guarded(&self.file, FORMAT, || attribute.read_as_f64()).ok().and_then(whole))
    }
}

/// A float that is a count.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number below 2^53")]
fn whole(number: f64) -> Option<u64> {
    let is_count = (0.0..9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0;
    is_count.then_some(number as u64)
}

impl Stored {
    /// A damage told with where it is.
    pub(super) fn damaged(&self, detail: &str) -> RecordError {
        let detail = format!("{}: {detail}", self.path);
        RecordError::file(&self.file, Problem::Unreadable { format: FORMAT, detail })
    }

    /// Rows as a column: numbers, or lists of them in the order of their axes, the last one fastest.
    ///
    /// # Errors
    /// Rows that are not there, and a damaged file.
    pub(in crate::records) fn read(
        &self,
        rows: &Range<u64>,
        cell: &Cell,
    ) -> Result<Box<dyn Array>, RecordError> {
        let flat: Box<dyn Array> = match cell.number {
            Number::Bool => {
                let truths =
                    self.values::<Truth>(rows)?.into_iter().map(|truth| truth.0).collect::<Vec<bool>>();
                Box::new(BooleanArray::from_slice(truths))
            }
            Number::I8 => self.primitive::<i8>(rows)?,
            Number::I16 => self.primitive::<i16>(rows)?,
            Number::I32 => self.primitive::<i32>(rows)?,
            Number::I64 => self.primitive::<i64>(rows)?,
            Number::U8 => self.primitive::<u8>(rows)?,
            Number::U16 => self.primitive::<u16>(rows)?,
            Number::U32 => self.primitive::<u32>(rows)?,
            Number::U64 => self.primitive::<u64>(rows)?,
            Number::F32 => self.primitive::<f32>(rows)?,
            Number::F64 => self.primitive::<f64>(rows)?,
        };
        if cell.shape.is_empty() {
            return Ok(flat);
        }
        let n_rows = usize::try_from(rows.end - rows.start).unwrap_or(usize::MAX);
        Ok(Box::new(FixedSizeListArray::new(cell.dtype(), n_rows, flat, None)))
    }

    fn primitive<T: H5Type + NativeType>(&self, rows: &Range<u64>) -> Result<Box<dyn Array>, RecordError> {
        Ok(Box::new(PrimitiveArray::from_vec(self.values::<T>(rows)?)))
    }

    fn values<T: H5Type>(&self, rows: &Range<u64>) -> Result<Vec<T>, RecordError> {
        if rows.start > rows.end || rows.end > self.n_rows {
            return Err(self.damaged(&format!("it has {} rows, its episodes more", self.n_rows)));
        }
        if rows.start == rows.end {
            return Ok(Vec::new());
        }
        let of_rows = SliceInfoElem::Slice { start: rows.start, end: rows.end, step: 1 };
        let whole = self.cell.shape.iter().map(|side| SliceInfoElem::Slice { start: 0, end: *side, step: 1 });
        let selections = std::iter::once(of_rows).chain(whole).collect();
        let read = guarded(&self.file, FORMAT, || {
            let read = self.dataset.read_slice::<T>(&SliceInfo { selections });
            read.map_err(|error| error.with_context(&self.path))
        })?;
        let (values, _) = read.into_raw_vec_and_offset();
        let expected = (rows.end - rows.start).saturating_mul(self.cell.width());
        if values.len() as u64 == expected {
            Ok(values)
        } else {
            Err(self.damaged(&format!("{} numbers where {expected} should be", values.len())))
        }
    }
}
