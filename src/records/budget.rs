//! How much files may ask of this machine, whatever they claim of themselves: a recording, and a stored state.

use std::cell::Cell;
use std::io::Read;

use super::error::{Problem, RecordError};

/// Bytes that what is decoded of a recording may take at once, however many threads decode it: parts (row groups, record
/// batches) that are under way together, and text files, which are held as a whole.
///
/// Parts are taken together as far as they fit; a part that does not fit by itself is refused. What is taken together never
/// depends on the threads, nor do results depend on the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartBudget {
    bytes: u64,
}

impl PartBudget {
    /// What a row takes at least, whatever its columns: its number.
    pub(super) const ROW_BYTES: u64 = 8;

    /// A budget of so many bytes.
    pub const fn of_bytes(bytes: u64) -> Self {
        Self { bytes }
    }

    /// Bytes.
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// Refuses a part that takes more.
    pub(super) fn check(self, file: &str, part: &str, decoded: u64) -> Result<(), RecordError> {
        if decoded <= self.bytes {
            return Ok(());
        }
        let problem = Problem::OverBudget { part: part.to_owned(), decoded, budget: self.bytes };
        Err(RecordError::file(file, problem))
    }
}

/// Consecutive items in groups of which each takes no more than `most`; an item that takes more is by itself.
pub(super) fn groups_within<T>(items: &[T], most: u64, bytes: impl Fn(&T) -> u64) -> Vec<&[T]> {
    let mut groups = Vec::new();
    let (mut start, mut sum) = (0, 0u64);
    for (i, item) in items.iter().enumerate() {
        let size = bytes(item);
        if i > start && sum.saturating_add(size) > most {
            groups.push(&items[start..i]);
            (start, sum) = (i, 0);
        }
        sum = sum.saturating_add(size);
    }
    if start < items.len() {
        groups.push(&items[start..]);
    }
    groups
}

impl Default for PartBudget {
    /// 4 GiB, for a caller that does not say.
    fn default() -> Self {
        Self::of_bytes(4 << 30)
    }
}

/// Bytes of a file whose structure is its own (foreign JSON, pickles, npz): a state is small.
pub(super) const FILE_BYTES: u64 = 4 << 20;

/// Bytes of our own JSON, of which nothing but numbers takes memory.
pub(super) const DOCUMENT_BYTES: u64 = 16 << 20;

/// Bytes of a safetensors file, which may hold a model beside the state.
pub(super) const MODEL_BYTES: u64 = 128 << 20;

/// Bytes of a safetensors header, which holds our own document.
pub(super) const HEADER_BYTES: u64 = 4 << 20;

/// Bytes of the pickle of a PyTorch checkpoint: every one may become an object of a hundred.
pub(super) const TORCH_BYTES: u64 = 1 << 19;

/// What one file may still ask for. Every recursive or unfolding reader spends from it before it acts.
#[derive(Debug)]
pub(super) struct Budget {
    items: Cell<u64>,
    bytes: Cell<u64>,
}

impl Budget {
    /// Levels of nesting.
    pub(super) const DEPTH: usize = 64;
    /// Values read, looked at or unfolded.
    const ITEMS: u64 = 1 << 20;
    /// Bytes copied or inflated.
    const BYTES: u64 = 32 << 20;

    /// The budget of one file.
    pub(super) fn new() -> Self {
        Self { items: Cell::new(Self::ITEMS), bytes: Cell::new(Self::BYTES) }
    }

    /// Spends values.
    pub(super) fn items(&self, n: usize) -> Result<(), String> {
        let left = self.items.get().checked_sub(n as u64);
        self.items.set(
            left.ok_or_else(|| format!("it unfolds to more than {} values (item budget)", Self::ITEMS))?,
        );
        Ok(())
    }

    /// Spends bytes.
    pub(super) fn bytes(&self, n: usize) -> Result<(), String> {
        let left = self.bytes.get().checked_sub(n as u64);
        self.bytes
            .set(left.ok_or_else(|| format!("it unfolds to more than {} bytes (byte budget)", Self::BYTES))?);
        Ok(())
    }

    /// Refuses what is nested too deep.
    pub(super) fn depth(depth: usize) -> Result<(), String> {
        if depth > Self::DEPTH {
            return Err(format!("its values are nested deeper than {} levels (depth budget)", Self::DEPTH));
        }
        Ok(())
    }

    /// Reads to the end, spending bytes.
    pub(super) fn read(&self, reader: impl Read) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let most = self.bytes.get() + 1;
        reader.take(most).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        self.bytes(bytes.len())?;
        Ok(bytes)
    }
}

/// Refuses a file, or a part of one, that is larger than it may be.
pub(super) fn check_size(what: &str, size: u64, most: u64) -> Result<(), String> {
    if size > most {
        return Err(format!("{what} of {size} bytes, where a state needs at most {most} (byte budget)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_goes_together() {
        let groups = |most| groups_within(&[3u64, 3, 1, 9, 1], most, |n| *n);
        assert_eq!(groups(6), [&[3, 3][..], &[1], &[9], &[1]]);
        assert_eq!(groups(100), [&[3, 3, 1, 9, 1]]);
        assert_eq!(groups(0).len(), 5);
        assert_eq!(groups_within(&[0u64; 0], 6, |n| *n), [&[0u64; 0]; 0]);
    }
}
