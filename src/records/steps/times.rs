//! The time of every row, as rows come in file order.

use super::super::error::RecordError;
use super::index::Index;
use super::judgements::{Judgement, Judgements};
use super::keys::RowKeys;
use super::lanes::LaneFinder;
use super::merge_sort::{Sorted, SortedRecords};
use super::options::Clock;
use super::order::StoredPlace;
use super::runs::ClockTime;

/// Tells the times of rows that come slice by slice in file order, each slice once.
pub(super) struct RowTimes<'a> {
    index: &'a Index,
    clock: &'a Clock,
    /// Places of rows that are stored; the next one.
    stored: Option<SortedRecords<'a, 2>>,
    next: Option<StoredRow>,
    /// Rows so far of each environment of each run.
    counts: Vec<LaneCounts>,
}

/// A row with its stored place.
#[derive(Debug, Clone, Copy)]
struct StoredRow {
    row: u64,
    place: StoredPlace,
}

struct LaneCounts {
    lanes: LaneFinder,
    n_rows: Vec<i64>,
}

impl<'a> RowTimes<'a> {
    /// From the first row on.
    pub(super) fn new(index: &'a Index, clock: &'a Clock) -> Result<Self, RecordError> {
        let places = index.sorted().and_then(|order| order.places.as_ref());
        let counts = index
            .runs()
            .iter()
            .map(|run| LaneCounts { lanes: LaneFinder::new(&run.envs), n_rows: vec![0; run.envs.len()] });
        let stored = places.map(Sorted::records).transpose()?;
        let mut times = Self { index, clock, stored, next: None, counts: counts.collect() };
        times.read_next()?;
        Ok(times)
    }

    fn read_next(&mut self) -> Result<(), RecordError> {
        let record = self.stored.as_mut().map(SortedRecords::next).transpose()?.flatten();
        self.next = record.map(|[row, word]| StoredRow { row, place: StoredPlace::of_word(word) });
        Ok(())
    }

    /// The times of the next rows; `None` for those without a key, and for those left out.
    pub(super) fn of(
        &mut self,
        keys: &RowKeys,
        judged: &Judgements,
    ) -> Result<Vec<Option<ClockTime>>, RecordError> {
        let first = self.index.file_start(keys.file) + keys.first_row;
        let mut times = Vec::with_capacity(keys.n_rows());
        let mut row = 0;
        while row < keys.n_rows() {
            let end = keys.runs.run_end(row, keys.n_rows());
            let run = self.index.run_number(&keys.runs.get(row));
            for row in row..end {
                let has_key = judged.get(row) != Some(&Judgement::NoKey);
                times.push(match run.filter(|_| has_key) {
                    Some(run) => self.time(run, keys, row, first + row as u64)?,
                    None => None,
                });
            }
            row = end;
        }
        Ok(times)
    }

    /// The time of a row with a key, `number` over all files.
    fn time(
        &mut self,
        run: usize,
        keys: &RowKeys,
        row: usize,
        number: u64,
    ) -> Result<Option<ClockTime>, RecordError> {
        while self.next.is_some_and(|next| next.row < number) {
            self.read_next()?;
        }
        let stored = self.next.filter(|next| next.row == number).map(|next| next.place);
        if stored == Some(StoredPlace::LeftOut) {
            return Ok(None);
        }
        Ok(Some(match (self.clock, stored) {
            (Clock::Row, Some(StoredPlace::VectorStep(step))) => ClockTime::of(step),
            (Clock::Row, _) => {
                let LaneCounts { lanes, n_rows } = &mut self.counts[run];
                let count = &mut n_rows[lanes.find(keys.envs.get(row))];
                *count += 1;
                ClockTime::of(*count - 1)
            }
            (clock, _) => keys.time(row, clock),
        }))
    }
}
