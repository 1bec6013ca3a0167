//! Where the bytes of a file are, and how they are read from any place.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use polars_buffer::Buffer;

use super::error::RecordError;
use super::objects::{self, Object};
use super::on_disk::{FileOnDisk, ReadSeek};
use super::store_url::is_url_path;

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub enum Place {
    /// On disk.
    Path(FileOnDisk),
    /// Read from standard input.
    Memory(Buffer<u8>),
    /// In a store.
    Object(Object),
}

impl Place {
    /// That of a path or a URL; nothing is opened.
    ///
    /// # Errors
    /// A URL of no store, or a store without keys.
    pub(super) fn at(path: &Path) -> Result<Self, RecordError> {
        match path.to_str().filter(|_| is_url_path(path)) {
            Some(url) => Ok(Self::Object(Object::at(url)?)),
            None => Ok(Self::Path(FileOnDisk::new(path.to_owned()))),
        }
    }

    /// Asks for the first bytes of many at once, where that spares waiting.
    pub(super) fn begin_all(places: &[Self]) {
        let objects = places.iter().filter_map(|place| match place {
            Self::Object(object) => Some(object),
            Self::Path(_) | Self::Memory(_) => None,
        });
        let objects: Vec<&Object> = objects.collect();
        if !objects.is_empty() {
            objects::begin_reading(&objects, u64::MAX);
        }
    }

    /// A seekable reader; errors tell the file as `name`.
    pub(super) fn open_reader(&self, name: &str) -> Result<Box<dyn ReadSeek>, RecordError> {
        Ok(match self {
            Self::Path(file) => Box::new(std::io::BufReader::new(file.open(name)?)),
            Self::Memory(bytes) => Box::new(Cursor::new(bytes.clone())),
            Self::Object(object) => objects::reader(object),
        })
    }

    /// Bytes there are.
    pub(super) fn n_bytes(&self, name: &str) -> Result<u64, RecordError> {
        match self {
            Self::Memory(bytes) => Ok(bytes.len() as u64),
            Self::Object(object) => object.n_bytes(name),
            Self::Path(file) => {
                let metadata = file.open(name)?.metadata();
                Ok(metadata.map_err(|error| RecordError::file(name, error))?.len())
            }
        }
    }

    /// The bytes `range`.
    pub(super) fn read_range(&self, name: &str, range: Range<u64>) -> Result<Buffer<u8>, RecordError> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let ends_early = || {
            let error = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the file ends early");
            RecordError::file(name, error)
        };
        match self {
            Self::Object(object) => object.read_range(name, range),
            Self::Memory(bytes) => {
                let start = usize::try_from(range.start).unwrap_or(usize::MAX);
                let end = start.saturating_add(length);
                if end > bytes.len() {
                    return Err(ends_early());
                }
                Ok(bytes.clone().sliced(start..end))
            }
            Self::Path(file) => {
                let mut file = file.open(name)?;
                // A damaged footer must not ask for memory that the file cannot fill.
                let size = file.metadata().map_err(|error| RecordError::file(name, error))?.len();
                if range.start.saturating_add(length as u64) > size {
                    return Err(ends_early());
                }
                let mut bytes = Vec::with_capacity(length);
                file.seek(SeekFrom::Start(range.start))
                    .and_then(|_| file.take(length as u64).read_to_end(&mut bytes))
                    .map_err(|error| RecordError::file(name, error))?;
                if bytes.len() < length {
                    return Err(ends_early());
                }
                Ok(Buffer::from_vec(bytes))
            }
        }
    }

    /// The bytes of each of `ranges`.
    pub(super) fn read_ranges(
        &self,
        name: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Buffer<u8>>, RecordError> {
        match self {
            Self::Object(object) => object.read_ranges(name, ranges),
            _ => ranges.iter().map(|range| self.read_range(name, range.clone())).collect(),
        }
    }

    /// Whether asking for several ranges at once costs less than one after the other, and asking twice costs twice.
    pub(super) fn is_far(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Whether it is known not to be packed as a whole.
    pub(super) fn is_plain_table(&self) -> bool {
        match self {
            Self::Object(object) => object.is_plain_table(),
            Self::Path(_) | Self::Memory(_) => false,
        }
    }

    /// All bytes.
    pub(super) fn read_whole(&self, name: &str) -> Result<Buffer<u8>, RecordError> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::Object(object) => object.read_range(name, 0..object.n_bytes(name)?),
            Self::Path(file) => {
                let mut bytes = Vec::new();
                file.open(name)?.read_to_end(&mut bytes).map_err(|error| RecordError::file(name, error))?;
                Ok(Buffer::from_vec(bytes))
            }
        }
    }
}
