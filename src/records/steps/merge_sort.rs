//! An external merge sort: more records than memory should hold, in ascending order.
//!
//! Records are a few words each and compare word by word. So many as fit the memory granted are sorted at once and
//! written to an unnamed temporary file, one run after the other; reading merges the runs. Should there be more runs
//! than are merged at once, they become fewer and longer first. What fits altogether never leaves memory.
//!
//! Own code rather than a crate (2026-11-26): those there are (extsort, ext-sort) keep their runs in named files,
//! which an interrupt would leave behind, serialize each record by itself, and merge all runs at once however many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::super::error::{Problem, RecordError};

/// Bytes read of a run at once.
const BLOCK_BYTES: usize = 1 << 16;

/// What a sort may hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SortMemory {
    /// Bytes of records sorted at once.
    pub(super) run_bytes: usize,
    /// Runs merged at once.
    pub(super) runs_merged: usize,
}

/// A record: its words decide its place, the first one first.
pub(super) type Record<const WORDS: usize> = [u64; WORDS];

/// A signed number as a word that sorts like it.
pub(super) fn word_of(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

/// The number of a word.
pub(super) fn number_of(word: u64) -> i64 {
    (word ^ (1 << 63)).cast_signed()
}

/// Takes records in any order.
#[derive(Debug)]
pub(super) struct MergeSort<const WORDS: usize> {
    memory: SortMemory,
    /// Records not yet sorted.
    open: Vec<Record<WORDS>>,
    runs: Option<RunWriter>,
}

/// Records in order; they can be gone through again and again.
#[derive(Debug)]
pub(super) enum Sorted<const WORDS: usize> {
    Memory(Vec<Record<WORDS>>),
    Disk(Runs),
}

/// Sorted runs, one after the other in one file.
#[derive(Debug)]
pub(super) struct Runs {
    /// Reading moves the file's one position.
    file: Mutex<File>,
    /// Where each run ends, in bytes.
    ends: Vec<u64>,
}

#[derive(Debug)]
struct RunWriter {
    file: BufWriter<File>,
    n_bytes: u64,
    ends: Vec<u64>,
}

impl RunWriter {
    fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(tempfile::tempfile()?), n_bytes: 0, ends: Vec::new() })
    }

    fn push<const WORDS: usize>(&mut self, record: &Record<WORDS>) -> io::Result<()> {
        self.n_bytes += 8 * WORDS as u64;
        record.iter().try_for_each(|word| self.file.write_all(&word.to_le_bytes()))
    }

    fn end_run(&mut self) {
        self.ends.push(self.n_bytes);
    }

    fn finish(self) -> io::Result<Runs> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Runs { file: Mutex::new(file), ends: self.ends })
    }
}

impl<const WORDS: usize> MergeSort<WORDS> {
    pub(super) fn new(memory: SortMemory) -> Self {
        Self { memory, open: Vec::new(), runs: None }
    }

    fn run_records(&self) -> usize {
        (self.memory.run_bytes / (8 * WORDS)).max(1)
    }

    pub(super) fn push(&mut self, record: Record<WORDS>) -> Result<(), RecordError> {
        if self.open.len() >= self.run_records() {
            self.write_run().map_err(|error| failed(&error))?;
        }
        self.open.push(record);
        Ok(())
    }

    fn write_run(&mut self) -> io::Result<()> {
        self.open.par_sort_unstable();
        let runs = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert(RunWriter::new()?),
        };
        self.open.iter().try_for_each(|record| runs.push(record))?;
        runs.end_run();
        self.open.clear();
        Ok(())
    }

    /// No more records will come.
    pub(super) fn finish(mut self) -> Result<Sorted<WORDS>, RecordError> {
        if self.runs.is_none() {
            self.open.par_sort_unstable();
            return Ok(Sorted::Memory(self.open));
        }
        self.finish_runs().map_err(|error| failed(&error))
    }

    fn finish_runs(mut self) -> io::Result<Sorted<WORDS>> {
        self.write_run()?;
        self.open = Vec::new();
        let Some(runs) = self.runs.take() else { unreachable!("written above") };
        let at_once = self.memory.runs_merged.max(2);
        let mut runs = runs.finish()?;
        while runs.ends.len() > at_once {
            let mut fewer = RunWriter::new()?;
            for first in (0..runs.ends.len()).step_by(at_once) {
                let last = runs.ends.len().min(first + at_once);
                let mut merge = Merge::<WORDS>::of_runs(&runs, first..last)?;
                while let Some(record) = merge.next()? {
                    fewer.push(&record)?;
                }
                fewer.end_run();
            }
            runs = fewer.finish()?;
        }
        Ok(Sorted::Disk(runs))
    }
}

impl<const WORDS: usize> Sorted<WORDS> {
    /// From the least record on.
    pub(super) fn records(&self) -> Result<SortedRecords<'_, WORDS>, RecordError> {
        Ok(match self {
            Self::Memory(records) => SortedRecords::Memory(records.iter()),
            Self::Disk(runs) => {
                let merge = Merge::of_runs(runs, 0..runs.ends.len()).map_err(|error| failed(&error))?;
                SortedRecords::Disk(merge)
            }
        })
    }
}

/// Records one after the other.
#[derive(Debug)]
pub(super) enum SortedRecords<'a, const WORDS: usize> {
    Memory(std::slice::Iter<'a, Record<WORDS>>),
    Disk(Merge<'a, WORDS>),
}

impl<const WORDS: usize> SortedRecords<'_, WORDS> {
    pub(super) fn next(&mut self) -> Result<Option<Record<WORDS>>, RecordError> {
        match self {
            Self::Memory(records) => Ok(records.next().copied()),
            Self::Disk(merge) => merge.next().map_err(|error| failed(&error)),
        }
    }
}

/// Several runs as one.
#[derive(Debug)]
pub(super) struct Merge<'a, const WORDS: usize> {
    runs: Vec<RunReader<'a>>,
    /// The next record of each run that has one.
    next: BinaryHeap<Reverse<(Record<WORDS>, usize)>>,
}

impl<'a, const WORDS: usize> Merge<'a, WORDS> {
    fn of_runs(runs: &'a Runs, range: std::ops::Range<usize>) -> io::Result<Self> {
        let start = |run: usize| if run == 0 { 0 } else { runs.ends[run - 1] };
        let readers = range.map(|run| RunReader::new(&runs.file, start(run)..runs.ends[run]));
        let mut merge = Self { runs: readers.collect(), next: BinaryHeap::new() };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, run: usize) -> io::Result<()> {
        if let Some(record) = self.runs[run].next()? {
            self.next.push(Reverse((record, run)));
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Record<WORDS>>> {
        let Some(Reverse((record, run))) = self.next.pop() else { return Ok(None) };
        self.advance(run)?;
        Ok(Some(record))
    }
}

/// One run, read block by block.
#[derive(Debug)]
struct RunReader<'a> {
    file: &'a Mutex<File>,
    /// Bytes not yet read.
    rest: std::ops::Range<u64>,
    block: Vec<u8>,
    /// Bytes of the block already taken.
    taken: usize,
}

impl<'a> RunReader<'a> {
    fn new(file: &'a Mutex<File>, rest: std::ops::Range<u64>) -> Self {
        Self { file, rest, block: Vec::new(), taken: 0 }
    }

    fn next<const WORDS: usize>(&mut self) -> io::Result<Option<Record<WORDS>>> {
        if self.taken == self.block.len() {
            self.read_block(8 * WORDS)?;
            if self.block.is_empty() {
                return Ok(None);
            }
        }
        let mut record = [0; WORDS];
        let bytes = &self.block[self.taken..self.taken + 8 * WORDS];
        for (word, bytes) in record.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut raw = [0; 8];
            raw.copy_from_slice(bytes);
            *word = u64::from_le_bytes(raw);
        }
        self.taken += 8 * WORDS;
        Ok(Some(record))
    }

    fn read_block(&mut self, record_bytes: usize) -> io::Result<()> {
        let whole = (BLOCK_BYTES / record_bytes).max(1) * record_bytes;
        let left = usize::try_from(self.rest.end - self.rest.start).unwrap_or(usize::MAX);
        self.block.resize(whole.min(left), 0);
        self.taken = 0;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.rest.start))?;
        file.read_exact(&mut self.block)?;
        self.rest.start += self.block.len() as u64;
        Ok(())
    }
}

/// What becomes of a temporary file that cannot be written or read.
pub(super) fn failed(error: &dyn std::fmt::Display) -> RecordError {
    let folder = std::env::temp_dir().display().to_string();
    RecordError::file("", Problem::NoTemporary { folder, detail: error.to_string() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(records: &[Record<2>], memory: SortMemory) -> Sorted<2> {
        let mut sort = MergeSort::new(memory);
        records.iter().for_each(|record| sort.push(*record).expect("room"));
        sort.finish().expect("room")
    }

    fn all(sorted: &Sorted<2>) -> Vec<Record<2>> {
        let mut records = sorted.records().expect("readable");
        let mut found = Vec::new();
        while let Some(record) = records.next().expect("readable") {
            found.push(record);
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn runs_of_any_size_merge_to_what_memory_sorts(
            records in prop::collection::vec((0..40u64, any::<u64>()), 0..300),
            run_bytes in 1usize..600,
            runs_merged in 0usize..7,
        ) {
            let records: Vec<Record<2>> = records.into_iter().map(|(a, b)| [a, b]).collect();
            let found = sorted(&records, SortMemory { run_bytes, runs_merged });
            let mut expected = records.clone();
            expected.sort_unstable();
            let is_spilled = records.len() > (run_bytes / 16).max(1);
            prop_assert_eq!(matches!(found, Sorted::Disk(_)), is_spilled);
            prop_assert_eq!(&all(&found), &expected);
            // Once more from the start.
            prop_assert_eq!(all(&found), expected);
        }

        #[test]
        fn words_sort_like_their_numbers(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(word_of(a).cmp(&word_of(b)), a.cmp(&b));
            prop_assert_eq!(number_of(word_of(a)), a);
        }
    }

    #[test]
    fn runs_longer_than_a_block_are_read_to_their_ends() {
        let n = 3 * BLOCK_BYTES as u64 / 16 + 5;
        let records: Vec<Record<2>> = (0..4 * n).map(|i| [i * 48_271 % 99_991, i]).collect();
        let found = sorted(&records, SortMemory { run_bytes: 16 * (BLOCK_BYTES / 5), runs_merged: 3 });
        let mut expected = records;
        expected.sort_unstable();
        assert!(all(&found) == expected);
    }
}
