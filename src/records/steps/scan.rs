//! The first pass over key columns: runs, environments, and whether rows come in replay order.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::super::columns::{self, BadCells, Fault};
use super::super::error::RecordError;
use super::super::schema::OnBad;
use super::super::table::{PartSlice, Table};
use super::keys::RowKeys;
use super::names::KeyNames;
use super::options::{Clock, StepOptions};
use super::runs::{ClockTime, StepPlace};
use crate::progress::Progress;

/// Least and greatest place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PlaceRange {
    pub(super) first: StepPlace,
    pub(super) last: StepPlace,
}

/// What the first pass knows of one run.
#[derive(Debug, Default)]
pub(super) struct RunScan {
    pub(super) run_id: String,
    pub(super) n_rows: u64,
    pub(super) envs: Vec<EnvScan>,
    pub(super) numbers: BTreeMap<i64, usize>,
    last: Option<(ClockTime, i64)>,
    pub(super) n_times: u64,
    pub(super) n_episodes: u64,
    pub(super) span: Option<PlaceRange>,
    /// Position in `envs` of the row before.
    cursor: usize,
}

#[derive(Debug)]
pub(super) struct EnvScan {
    pub(super) env: i64,
    pub(super) n_rows: u64,
    last: StepPlace,
}

pub(super) struct Scan<'a> {
    options: &'a StepOptions,
    pub(super) runs: Vec<RunScan>,
    pub(super) numbers: BTreeMap<String, usize>,
    current: Option<usize>,
    /// Whether all rows lie in replay order.
    pub(super) is_ordered: bool,
    /// Whether the rows of every environment lie in its order; none comes twice then.
    pub(super) are_lanes_ordered: bool,
    pub(super) episode_rows: BTreeMap<(usize, i64), u64>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(options: &'a StepOptions) -> Self {
        Self {
            options,
            runs: Vec::new(),
            numbers: BTreeMap::new(),
            current: None,
            is_ordered: true,
            are_lanes_ordered: true,
            episode_rows: BTreeMap::new(),
        }
    }

    fn run(&mut self, run_id: String) -> usize {
        if let Some(current) = self.current
            && self.runs[current].run_id == run_id
        {
            return current;
        }
        let number = if let Some(number) = self.numbers.get(&run_id) {
            // Rows of a run seen before: runs are interleaved.
            self.is_ordered = false;
            *number
        } else {
            self.numbers.insert(run_id.clone(), self.runs.len());
            self.runs.push(RunScan { run_id, ..RunScan::default() });
            self.runs.len() - 1
        };
        self.current = Some(number);
        number
    }

    pub(super) fn add(&mut self, keys: &RowKeys, is_bad: &[bool]) {
        let mut row = 0;
        while row < keys.n_rows() {
            if is_bad.get(row) == Some(&true) {
                row += 1;
                continue;
            }
            let end = keys.runs.run_end(row, keys.n_rows());
            let run = self.run(keys.runs.get(row));
            for row in row..end {
                if is_bad.get(row) == Some(&true) {
                    continue;
                }
                let place = keys.place(row);
                let time = match &self.options.clock {
                    Clock::Row => None,
                    Clock::EpisodeStep => Some(place.time()),
                    Clock::Column(_) => keys.clock.as_ref().map(|clock| ClockTime::of(clock.get(row))),
                };
                if self.options.needs_episode_ends {
                    *self.episode_rows.entry((run, place.episode)).or_default() += 1;
                }
                let sequence = self.runs[run].add(keys.envs.get(row), place, time);
                self.is_ordered &= sequence.in_run && sequence.in_lane;
                self.are_lanes_ordered &= sequence.in_lane;
            }
            row = end;
        }
    }
}

/// Whether a row comes after those before it.
#[derive(Debug, Clone, Copy)]
struct Sequence {
    /// After all of its run.
    in_run: bool,
    /// After all of its environment.
    in_lane: bool,
}

impl RunScan {
    /// Adds a row.
    fn add(&mut self, env: i64, place: StepPlace, time: Option<ClockTime>) -> Sequence {
        self.n_rows += 1;
        let span = self.span.unwrap_or(PlaceRange { first: place, last: place });
        self.span = Some(PlaceRange { first: span.first.min(place), last: span.last.max(place) });
        let guess = if self.cursor + 1 < self.envs.len() { self.cursor + 1 } else { 0 };
        let number = if self.envs.get(guess).is_some_and(|scan| scan.env == env) {
            guess
        } else if let Some(number) = self.numbers.get(&env) {
            *number
        } else {
            self.numbers.insert(env, self.envs.len());
            self.envs.push(EnvScan { env, n_rows: 0, last: place });
            self.envs.len() - 1
        };
        self.cursor = number;
        let scan = &mut self.envs[number];
        let time = time.unwrap_or(ClockTime::of(scan.n_rows as i64));
        self.n_episodes += u64::from(scan.n_rows == 0 || place.episode != scan.last.episode);
        let in_lane = scan.n_rows == 0 || place > scan.last;
        scan.n_rows += 1;
        scan.last = place;
        let here = (time, env);
        let in_run = self.last.is_none_or(|last| here > last);
        if self.last.is_none_or(|(last, _)| last != time) {
            self.n_times += 1;
        }
        self.last = Some(here);
        Sequence { in_run, in_lane }
    }
}

/// Bytes of a row's keys, all of them: twelve numbers, or places of text.
const BYTES_PER_KEY_ROW: u64 = 12 * 16;

/// One reading of all key columns in file order.
pub(super) struct KeyPass<'a> {
    pub(super) tables: &'a [Table],
    pub(super) names: &'a [KeyNames],
    pub(super) options: &'a StepOptions,
}

impl KeyPass<'_> {
    /// Calls `add` with the keys of every part, the rows that have none, and the place of its first row over
    /// all files; counts what it skips.
    pub(super) fn run(
        &self,
        progress: &Progress,
        skipped: &mut BTreeMap<&'static str, u64>,
        mut add: impl FnMut(&RowKeys, &[bool], u64) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        let mut start = 0;
        for slices in self.slices() {
            let read: Vec<_> = slices.par_iter().map(|(file, slice)| self.read(*file, slice)).collect();
            for keys in read {
                let (keys, bad) = keys?;
                let is_bad = self.judge(&keys, bad, skipped)?;
                add(&keys, &is_bad, start)?;
                start += keys.n_rows() as u64;
                progress.advance(keys.n_rows() as u64);
            }
        }
        Ok(())
    }

    /// Slices of all files in order, those together whose keys are decoded at once.
    fn slices(&self) -> Vec<Vec<(usize, PartSlice)>> {
        // A quarter of the budget for what is decoded: keys are turned into others beside it.
        let within = self.tables.first().map_or(u64::MAX, |table| table.file().budget.bytes() / 4);
        let within = usize::try_from(within / BYTES_PER_KEY_ROW).unwrap_or(usize::MAX);
        let most = self.options.sizes.key_rows.min(within).max(1);
        let mut together: Vec<Vec<(usize, PartSlice)>> = Vec::new();
        let mut n_rows = usize::MAX;
        for (file, table) in self.tables.iter().enumerate() {
            for slice in table.slices_of_rows(most) {
                if n_rows.saturating_add(slice.rows.len()) > most {
                    together.push(Vec::new());
                    n_rows = 0;
                }
                n_rows += slice.rows.len();
                if let Some(last) = together.last_mut() {
                    last.push((file, slice));
                }
            }
        }
        together
    }

    /// Whether each row lacks a key (empty if none does); a column of another type is an error.
    fn judge(
        &self,
        keys: &RowKeys,
        bad: BadCells,
        skipped: &mut BTreeMap<&'static str, u64>,
    ) -> Result<Vec<bool>, RecordError> {
        let name = self.tables[keys.file].name();
        let mut is_bad = Vec::new();
        for cell in bad.cells {
            let (row, fault) = (cell.row, cell.fault);
            let error = cell.error(name, keys.row_number(row));
            if self.options.on_bad == OnBad::Error || fault == Fault::Column {
                return Err(error);
            }
            is_bad.resize(keys.n_rows(), false);
            if !std::mem::replace(&mut is_bad[row], true) {
                *skipped.entry(error.class()).or_default() += 1;
            }
        }
        Ok(is_bad)
    }

    fn read(&self, file: usize, slice: &PartSlice) -> Result<(RowKeys, BadCells), RecordError> {
        let table = &self.tables[file];
        let PartSlice { part, rows } = slice;
        let first_row = table.parts()[*part].first_row + rows.start as u64;
        let names = self.names[file].ordering();
        let arrays = table.read_arrays(*part, rows, &names)?;
        let array = |name: &String| {
            let place = names.iter().position(|other| other == name);
            place.and_then(|place| arrays.get(place)).cloned()
        };
        let mut bad = BadCells::default();
        let keys =
            RowKeys::of(&self.names[file], table.defaults(), file, first_row, rows.len(), array, &mut bad);
        Ok((keys, columns::sorted_by_row(bad)))
    }
}
