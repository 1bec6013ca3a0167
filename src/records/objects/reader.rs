//! An object as a stream of bytes that can be sought in.

use std::io::{self, Read, Seek, SeekFrom};

use polars_buffer::Buffer;

use super::super::on_disk::ReadSeek;
use super::object::Object;

/// Bytes of the first block, and of the largest: blocks that follow each other grow.
const FIRST_BLOCK: u64 = 64 << 10;
const LARGEST_BLOCK: u64 = 8 << 20;

/// A seekable reader of an object, by blocks that grow; nothing is asked for yet.
pub(in crate::records) fn reader(object: &Object) -> Box<dyn ReadSeek> {
    let (block, next_block) = (Buffer::default(), FIRST_BLOCK);
    Box::new(ObjectReader { object: object.clone(), position: 0, block_start: 0, block, next_block })
}

/// Reads an object block by block.
struct ObjectReader {
    object: Object,
    position: u64,
    block_start: u64,
    block: Buffer<u8>,
    next_block: u64,
}

impl ObjectReader {
    fn length(&self) -> io::Result<u64> {
        self.object.n_bytes("").map_err(|error| io::Error::other(error.problem.to_string()))
    }

    fn block_end(&self) -> u64 {
        self.block_start + self.block.len() as u64
    }

    /// Makes sure that the block holds the position, where there is anything left.
    fn fill(&mut self) -> io::Result<()> {
        if (self.block_start..self.block_end()).contains(&self.position) {
            return Ok(());
        }
        let length = self.length()?;
        if self.position >= length {
            (self.block_start, self.block) = (self.position, Buffer::default());
            return Ok(());
        }
        let follows = self.position == self.block_end() && !self.block.is_empty();
        self.next_block = if follows { (self.next_block * 4).min(LARGEST_BLOCK) } else { FIRST_BLOCK };
        let end = length.min(self.position + self.next_block);
        let read = self.object.read(std::slice::from_ref(&(self.position..end)));
        let mut read =
            read.map_err(|failure| io::Error::other(self.object.remembered(failure).to_string()))?;
        (self.block_start, self.block) = (self.position, read.pop().unwrap_or_default());
        Ok(())
    }
}

impl Read for ObjectReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.fill()?;
        let from = usize::try_from(self.position - self.block_start).unwrap_or(usize::MAX);
        let rest = self.block.get(from..).unwrap_or_default();
        let n = rest.len().min(bytes.len());
        bytes[..n].copy_from_slice(&rest[..n]);
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.length()?.checked_add_signed(by),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "a position before the beginning");
        self.position = position.ok_or_else(before)?;
        Ok(self.position)
    }
}
