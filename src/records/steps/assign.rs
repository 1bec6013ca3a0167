//! From rows in replay order to blocks with vector steps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use super::super::error::RecordError;
use super::super::table::Table;
use super::block::StepBlock;
use super::index::Index;
use super::judge::judge;
use super::judgements::Judgement;
use super::lanes::LaneFinder;
use super::options::{Clock, StepOptions};
use super::rows::DecodedRows;
use super::runs::ClockTime;
use super::skips::StepSkips;
use super::times::RowTimes;

/// Gives rows in replay order their vector steps and cuts them by run.
pub(super) struct Assigner<'a> {
    index: &'a Index,
    options: &'a StepOptions,
    /// Times of rows that come as they lie.
    times: RowTimes<'a>,
    run: Option<RunPlace>,
    /// Rows seen of every (run, episode).
    episode_rows: BTreeMap<(usize, i64), u64>,
}

/// How far a run has come.
struct RunPlace {
    run: usize,
    /// Rows seen of each environment.
    counts: Vec<u64>,
    lanes: LaneFinder,
    last_time: Option<ClockTime>,
    n_times: u64,
}

impl RunPlace {
    fn new(index: &Index, run: usize) -> Self {
        let envs = &index.runs()[run].envs;
        Self {
            run,
            counts: vec![index.first_step(); envs.len()],
            lanes: LaneFinder::new(envs),
            last_time: None,
            n_times: 0,
        }
    }

    /// Number of a time among the run's.
    fn number(&mut self, time: ClockTime) -> u64 {
        if self.last_time != Some(time) {
            self.last_time = Some(time);
            self.n_times += 1;
        }
        self.n_times - 1
    }
}

impl<'a> Assigner<'a> {
    pub(super) fn new(index: &'a Index, options: &'a StepOptions) -> Result<Self, RecordError> {
        let times = RowTimes::new(index, &options.clock)?;
        Ok(Self { index, options, times, run: None, episode_rows: BTreeMap::new() })
    }

    /// Decoded rows as blocks, one per run.
    pub(super) fn assign(
        &mut self,
        mut rows: DecodedRows,
        skips: &Mutex<StepSkips>,
        tables: &[Table],
    ) -> Result<Vec<StepBlock>, RecordError> {
        let is_bad = match rows.judged.take() {
            Some(judged) => judged,
            None => judge(&mut rows, self.options, skips, tables)?,
        };
        let n_rows = rows.keys.n_rows();
        // Rows that lie in replay order are counted; others that come as they lie may have to be left out.
        let is_counted = self.options.clock == Clock::Row && !self.index.leaves_doubled_out();
        let times: Option<Vec<Option<ClockTime>>> = match rows.keys.times.take() {
            Some(times) => Some(times.into_iter().map(Some).collect()),
            None if is_counted => None,
            None => Some(self.times.of(&rows.keys, &is_bad)?),
        };
        let has_place = |row: usize| times.as_ref().is_none_or(|times| times[row].is_some());
        let mut blocks = Vec::new();
        let mut row = 0;
        while row < n_rows {
            // A row without a key belongs to no run.
            if is_bad.get(row) == Some(&Judgement::NoKey) {
                row += 1;
                continue;
            }
            let end = rows.keys.runs.run_end(row, n_rows);
            let no_key = |row: &usize| is_bad.get(*row) == Some(&Judgement::NoKey);
            let end = (row..end).find(no_key).unwrap_or(end);
            let Some(run) = self.index.run_number(&rows.keys.runs.get(row)) else {
                unreachable!("the first pass saw every run")
            };
            let block = self.block(&rows, times.as_deref(), run, row..end);
            let keep: Vec<bool> = (row..end).map(|row| !is_bad.contains_row(row) && has_place(row)).collect();
            let block = if keep.iter().all(|keep| *keep) { block } else { block.filter(&keep)? };
            if block.n_rows() > 0 {
                blocks.push(block);
            }
            row = end;
        }
        Ok(blocks)
    }

    fn block(
        &mut self,
        decoded: &DecodedRows,
        times: Option<&[Option<ClockTime>]>,
        run: usize,
        rows: Range<usize>,
    ) -> StepBlock {
        let keys = &decoded.keys;
        if self.run.as_ref().is_none_or(|place| place.run != run) {
            self.run = Some(RunPlace::new(self.index, run));
        }
        let Some(place) = &mut self.run else { unreachable!("set above") };
        let n = rows.len();
        let (mut env, mut lane) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut vector_step = Vec::with_capacity(n);
        let (mut episode, mut step) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let is_row_clock = self.options.clock == Clock::Row;
        for row in rows.clone() {
            let here = keys.envs.get(row);
            let number = place.lanes.find(here);
            env.push(here);
            lane.push(u32::try_from(number).unwrap_or(u32::MAX));
            let count = &mut place.counts[number];
            vector_step.push(match times.and_then(|times| times[row]) {
                None => *count,
                Some(time) if is_row_clock => time.major.cast_unsigned(),
                Some(time) => place.number(time),
            });
            place.counts[number] += 1;
            let here = keys.place(row);
            episode.push(here.episode);
            step.push(here.step);
        }
        let episode_ends = self.options.needs_episode_ends.then(|| {
            let ends = episode.iter().map(|episode| {
                let seen = self.episode_rows.entry((run, *episode)).or_default();
                *seen += 1;
                self.index.episode_rows(run, *episode) == Some(*seen)
            });
            ends.collect()
        });
        let flags = |flags: &Option<Vec<bool>>| flags.as_ref().map(|flags| flags[rows.clone()].to_vec());
        let width = decoded.width();
        StepBlock {
            run,
            width,
            values: decoded.values.slice(rows.start * width..rows.end * width),
            episode,
            step,
            env,
            lane,
            vector_step,
            round: keys.round.as_ref().map(|round| rows.clone().map(|row| round.get(row)).collect()),
            rolled_back: flags(&keys.rolled_back),
            terminated: flags(&keys.terminated),
            ended: flags(&keys.ended),
            episode_ends,
            carried: decoded.carried.iter().map(|array| array.sliced(rows.start, rows.len())).collect(),
        }
    }
}
