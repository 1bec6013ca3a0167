//! Where rows belong that do not come in replay order.
//!
//! Where the rows of every environment lie in its order, counting them says their vector steps, and nothing is kept of
//! a row. Otherwise an index of the rows goes through external sorts ([`super::merge_sort`]): by environment and
//! place, which finds doubled rows and numbers the others, and back by row. Clocks other than that of rows need an
//! index by time, which says where to cut the rows into buckets and how many times there are.

use std::collections::BTreeMap;

use super::super::error::{Problem, RecordError};
use super::super::schema::OnBad;
use super::super::table::Table;
use super::merge_sort::{MergeSort, Record, SortMemory, Sorted, number_of, word_of};
use super::options::Clock;
use super::runs::{ClockTime, StepPlace};
use super::scan::{KeyPass, RunScan, Scan};
use crate::progress::Progress;

/// Why rows are left out whose key another one has.
pub(super) const DOUBLED: &str = "duplicate step";

/// The place of a row in replay order, where a bucket of rows begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cut {
    pub(super) run: usize,
    pub(super) time: ClockTime,
    pub(super) env: i64,
    /// Rows of one environment may share a time.
    pub(super) place: StepPlace,
}

/// The replay order of rows that lie otherwise.
#[derive(Debug)]
pub(super) struct SortedOrder {
    /// Rows whose places neither their keys nor counting tells, in file order.
    pub(super) places: Option<Sorted<2>>,
    /// Where buckets begin, but for the first.
    pub(super) cuts: Vec<Cut>,
    /// Rows of a bucket.
    pub(super) bucket_rows: u64,
    /// Vector steps of each run.
    pub(super) n_vector_steps: Vec<u64>,
    /// Rows left out of each (run, episode), where ends of episodes are asked for.
    pub(super) left_out_of: BTreeMap<(usize, i64), u64>,
}

/// What the second word of a stored place says of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoredPlace {
    /// Its vector step.
    VectorStep(i64),
    /// A row before it has the same key.
    LeftOut,
}

impl StoredPlace {
    fn word(self) -> u64 {
        match self {
            Self::VectorStep(step) => step.cast_unsigned(),
            Self::LeftOut => u64::MAX,
        }
    }

    pub(super) fn of_word(word: u64) -> Self {
        if word == u64::MAX { Self::LeftOut } else { Self::VectorStep(word.cast_signed()) }
    }
}

/// What places are found from.
pub(super) struct OrderInput<'a, 's> {
    pub(super) pass: &'a KeyPass<'a>,
    pub(super) scan: &'a Scan<'s>,
    /// Rows of the files before each file.
    pub(super) file_starts: &'a [u64],
    /// Rows of a bucket.
    pub(super) bucket_rows: u64,
}

impl OrderInput<'_, '_> {
    fn memory(&self) -> SortMemory {
        let sizes = &self.pass.options.sizes;
        SortMemory { run_bytes: sizes.index_bytes, runs_merged: sizes.pieces_merged }
    }

    fn has_row_clock(&self) -> bool {
        self.pass.options.clock == Clock::Row
    }

    /// Finds the places of all rows; a doubled key is an error, or left out and counted.
    pub(super) fn order(
        &self,
        skipped: &mut BTreeMap<&'static str, u64>,
        progress: &Progress,
    ) -> Result<SortedOrder, RecordError> {
        if self.has_row_clock() && self.scan.are_lanes_ordered {
            return Ok(self.by_rows(None));
        }
        let mut times = MergeSort::new(self.memory());
        let mut numbered = NumberedRows::default();
        if self.scan.are_lanes_ordered {
            self.each_row(progress, |row| times.push(row.time_record()))?;
        } else {
            let mut lanes = MergeSort::new(self.memory());
            self.each_row(progress, |row| lanes.push(row.lane_record()))?;
            numbered = self.number_rows(&lanes.finish()?, &mut times)?;
            if numbered.n_doubled > 0 {
                *skipped.entry(DOUBLED).or_default() += numbered.n_doubled;
            }
        }
        let NumberedRows { places, left_out_of, .. } = numbered;
        let order = if self.has_row_clock() {
            self.by_rows(places)
        } else {
            self.by_times(&times.finish()?, places)?
        };
        Ok(SortedOrder { left_out_of, ..order })
    }

    /// Calls `take` with every row that has a key.
    fn each_row(
        &self,
        progress: &Progress,
        mut take: impl FnMut(&KeyedRow) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        progress.begin("ordering", self.pass.tables.iter().map(Table::n_rows).sum());
        // What this pass leaves out was counted by the first one.
        self.pass.run(progress, &mut BTreeMap::new(), |keys, is_bad, start| {
            let mut row = 0;
            while row < keys.n_rows() {
                let end = keys.runs.run_end(row, keys.n_rows());
                let run = self.scan.numbers.get(&keys.runs.get(row)).copied().unwrap_or(0);
                for row in (row..end).filter(|row| is_bad.get(*row) != Some(&true)) {
                    let env = keys.envs.get(row);
                    let lane = self.scan.runs[run].numbers.get(&env).copied().unwrap_or(0);
                    let (place, time) = (keys.place(row), keys.time(row, &self.pass.options.clock));
                    take(&KeyedRow { run, lane, env, place, time, row: start + row as u64 })?;
                }
                row = end;
            }
            Ok(())
        })
    }

    /// Goes through rows by environment and place: hands their times on, or gives their vector steps, by row.
    fn number_rows(&self, lanes: &Sorted<5>, times: &mut MergeSort<6>) -> Result<NumberedRows, RecordError> {
        let mut numbered = NumberedRows::default();
        let mut places = MergeSort::new(self.memory());
        let mut records = lanes.records()?;
        let mut before: Option<Record<5>> = None;
        let mut next = 0i64;
        while let Some(record) = records.next()? {
            let [lane, episode, step, row, _] = record;
            if before.is_some_and(|before| before[0] != lane) {
                next = 0;
            }
            if let Some(before) = before
                && before[..3] == [lane, episode, step]
            {
                if self.pass.options.on_bad == OnBad::Error {
                    return Err(self.doubled(&before, &record));
                }
                numbered.n_doubled += 1;
                if self.pass.options.needs_episode_ends {
                    *numbered.left_out_of.entry((run_of(lane), number_of(episode))).or_default() += 1;
                }
                places.push([row, StoredPlace::LeftOut.word()])?;
                continue;
            }
            if self.has_row_clock() {
                places.push([row, StoredPlace::VectorStep(next).word()])?;
            } else {
                times.push(self.time_record(&record))?;
            }
            next += 1;
            before = Some(record);
        }
        if self.has_row_clock() || numbered.n_doubled > 0 {
            numbered.places = Some(places.finish()?);
        }
        Ok(numbered)
    }

    /// A record by environment as one by time.
    fn time_record(&self, &[lane, episode, step, _, clock]: &Record<5>) -> Record<6> {
        let run = run_of(lane);
        let env = self.scan.runs[run].envs[lane_of(lane)].env;
        let time = match self.pass.options.clock {
            Clock::EpisodeStep => [episode, step],
            _ => [clock, word_of(0)],
        };
        [run as u64, time[0], time[1], word_of(env), episode, step]
    }

    /// Vector steps are rows of an environment: buckets and their number follow from how many each has.
    fn by_rows(&self, places: Option<Sorted<2>>) -> SortedOrder {
        let runs = &self.scan.runs;
        let longest = |run: &RunScan| run.envs.iter().map(|env| env.n_rows).max().unwrap_or(0);
        SortedOrder {
            places,
            cuts: cuts_by_rows(runs, self.bucket_rows),
            bucket_rows: self.bucket_rows,
            n_vector_steps: runs.iter().map(longest).collect(),
            left_out_of: BTreeMap::new(),
        }
    }

    /// Vector steps are times: both follow from the rows in order of time.
    fn by_times(&self, times: &Sorted<6>, places: Option<Sorted<2>>) -> Result<SortedOrder, RecordError> {
        let mut n_vector_steps = vec![0; self.scan.runs.len()];
        let mut cuts = Vec::new();
        let mut records = times.records()?;
        let mut before: Option<Record<6>> = None;
        let mut n_rows = 0u64;
        while let Some(record) = records.next()? {
            let [run, major, minor, env, episode, step] = record;
            let run = usize::try_from(run).unwrap_or(0);
            if before.is_none_or(|before| before[..3] != record[..3]) {
                n_vector_steps[run] += 1;
            }
            if n_rows > 0 && n_rows.is_multiple_of(self.bucket_rows) {
                cuts.push(Cut {
                    run,
                    time: ClockTime { major: number_of(major), minor: number_of(minor) },
                    env: number_of(env),
                    place: StepPlace { episode: number_of(episode), step: number_of(step) },
                });
            }
            n_rows += 1;
            before = Some(record);
        }
        let (bucket_rows, left_out_of) = (self.bucket_rows, BTreeMap::new());
        Ok(SortedOrder { places, cuts, bucket_rows, n_vector_steps, left_out_of })
    }

    fn doubled(&self, first: &Record<5>, second: &Record<5>) -> RecordError {
        let tables = self.pass.tables;
        let place = |record: &Record<5>| {
            let file = self.file_starts.partition_point(|start| *start <= record[3]) - 1;
            (tables[file].name(), record[3] - self.file_starts[file])
        };
        let ((file, row), (other_file, other_row)) = (place(second), place(first));
        let [lane, episode, step, ..] = *second;
        let run = &self.scan.runs[run_of(lane)];
        RecordError {
            file: file.to_owned(),
            row: Some(row),
            column: None,
            problem: Problem::DuplicateStep {
                step: format!(
                    "run {}, episode {}, step {}, env {}",
                    run.run_id,
                    number_of(episode),
                    number_of(step),
                    run.envs[lane_of(lane)].env
                ),
                other: format!("{other_file}, row {other_row}"),
                has_env: self.pass.names.iter().all(|names| names.env_id.is_some()),
            },
        }
    }
}

/// What going through rows by environment and place told.
#[derive(Debug, Default)]
struct NumberedRows {
    places: Option<Sorted<2>>,
    n_doubled: u64,
    left_out_of: BTreeMap<(usize, i64), u64>,
}

/// A row with what its place follows from.
struct KeyedRow {
    run: usize,
    /// Place of the environment among those seen of the run.
    lane: usize,
    env: i64,
    place: StepPlace,
    time: ClockTime,
    /// The row over all files.
    row: u64,
}

impl KeyedRow {
    /// Run and environment, place, row; the clock comes along.
    fn lane_record(&self) -> Record<5> {
        let lane = (self.run as u64) << 32 | self.lane as u64;
        [lane, word_of(self.place.episode), word_of(self.place.step), self.row, word_of(self.time.major)]
    }

    /// All that tells rows apart in replay order.
    fn time_record(&self) -> Record<6> {
        let time = [self.time.major, self.time.minor].map(word_of);
        let place = [self.place.episode, self.place.step].map(word_of);
        [self.run as u64, time[0], time[1], word_of(self.env), place[0], place[1]]
    }
}

fn run_of(lane: u64) -> usize {
    usize::try_from(lane >> 32).unwrap_or(0)
}

fn lane_of(lane: u64) -> usize {
    usize::try_from(lane & u64::from(u32::MAX)).unwrap_or(0)
}

/// Where buckets of `bucket_rows` begin if the vector step of a row is its number in its environment.
fn cuts_by_rows(runs: &[RunScan], bucket_rows: u64) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let (mut n_before, mut next) = (0, bucket_rows);
    for (run, scan) in runs.iter().enumerate() {
        let n_rows: u64 = scan.envs.iter().map(|env| env.n_rows).sum();
        while next < n_before + n_rows {
            let rest = next - n_before;
            let before = |step: u64| scan.envs.iter().map(|env| env.n_rows.min(step)).sum::<u64>();
            // The last vector step with at most so many rows before it.
            let (mut low, mut high) = (0, n_rows);
            while low < high {
                let middle = low + (high - low).div_ceil(2);
                if before(middle) <= rest { low = middle } else { high = middle - 1 }
            }
            let within = usize::try_from(rest - before(low)).unwrap_or(usize::MAX);
            let mut envs = scan.numbers.iter().filter(|(_, lane)| scan.envs[**lane].n_rows > low);
            let env = envs.nth(within).map_or(i64::MIN, |(env, _)| *env);
            let place = StepPlace { episode: i64::MIN, step: i64::MIN };
            cuts.push(Cut { run, time: ClockTime::of(low.cast_signed()), env, place });
            next += bucket_rows;
        }
        n_before += n_rows;
    }
    cuts
}
