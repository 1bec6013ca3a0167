//! Where rows belong that do not come in replay order.

use std::collections::BTreeMap;

use super::super::error::{Problem, RecordError};
use super::super::schema::OnBad;
use super::super::table::Table;
use super::keys::RowKeys;
use super::options::Clock;
use super::runs::{ClockTime, StepPlace};
use super::scan::{KeyPass, Scan};
use crate::progress::Progress;

/// Consecutive rows of one environment of one run, in order of episode and step.
#[derive(Debug, Clone, Copy)]
struct RowRun {
    run: u32,
    env: u32,
    first: StepPlace,
    last: StepPlace,
    /// Place of the first row over all files.
    row: u64,
    len: u64,
}

/// A row run with its place in replay order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PlacedRun {
    /// Place of the first row over all files.
    row: u64,
    len: u64,
    /// Vector step of the first row (row clock).
    vector_step: i64,
}

/// A limit between rows in replay order: the run and the time of the first row after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cut {
    pub(super) run: usize,
    pub(super) time: ClockTime,
}

/// The replay order of rows that lie otherwise.
#[derive(Debug)]
pub(super) struct SortedOrder {
    /// In file order.
    row_runs: Vec<PlacedRun>,
    /// Every `stride`-th row, in replay order.
    samples: Vec<Cut>,
    stride: u64,
}

impl SortedOrder {
    /// Vector step of every row by the row runs they lie in; `start` is the place of the first one over all files.
    pub(super) fn vector_steps(&self, start: u64, keys: &RowKeys) -> Vec<Option<i64>> {
        let row_runs = &self.row_runs;
        let mut at = row_runs.partition_point(|run| run.row + run.len <= start);
        (0..keys.n_rows() as u64)
            .map(|offset| {
                let here = start + offset;
                while at < row_runs.len() && row_runs[at].row + row_runs[at].len <= here {
                    at += 1;
                }
                let run = row_runs.get(at).filter(|run| run.row <= here)?;
                Some(run.vector_step + (here - run.row) as i64)
            })
            .collect()
    }

    /// Limits that cut the rows into ranges of about `rows` each.
    pub(super) fn cuts(&self, rows: u64) -> Vec<Cut> {
        let step = usize::try_from((rows / self.stride).max(1)).unwrap_or(usize::MAX);
        let mut cuts: Vec<Cut> = self.samples.iter().skip(step).step_by(step).copied().collect();
        cuts.dedup();
        cuts
    }
}

/// Sorts runs of rows; a doubled key is an error.
pub(super) fn sorted_order(
    pass: &KeyPass<'_>,
    scan: &Scan<'_>,
    file_starts: &[u64],
    skipped: &mut BTreeMap<&'static str, u64>,
    progress: &Progress,
) -> Result<SortedOrder, RecordError> {
    let mut row_runs = collect_row_runs(pass, scan, progress, u64::MAX)?;
    row_runs.sort_by_key(|s| (s.run, s.env, s.first, s.row));
    if row_runs.windows(2).any(|pair| overlaps(&pair[0], &pair[1])) {
        // Row runs reach into each other: row by row then.
        row_runs = collect_row_runs(pass, scan, progress, 1)?;
        row_runs.sort_by_key(|s| (s.run, s.env, s.first, s.row));
        if pass.options.on_bad == OnBad::Skip {
            let all = row_runs.len();
            row_runs.dedup_by(|later, first| overlaps(first, later));
            let dropped = (all - row_runs.len()) as u64;
            if dropped > 0 {
                *skipped.entry("duplicate step").or_default() += dropped;
            }
        }
        let found = row_runs.windows(2).find(|pair| overlaps(&pair[0], &pair[1]));
        if let Some([first, second]) = found {
            return Err(doubled(pass, scan, file_starts, first, second));
        }
    }
    Ok(place_in_order(&row_runs, &pass.options.clock))
}

/// Vector steps and samples of row runs in order of (run, environment, place).
fn place_in_order(row_runs: &[RowRun], clock: &Clock) -> SortedOrder {
    let n_rows: u64 = row_runs.iter().map(|s| s.len).sum();
    let stride = n_rows.div_ceil(1 << 20).max(1);
    let mut placed = Vec::with_capacity(row_runs.len());
    let mut samples = Vec::new();
    let mut next = 0u64;
    let mut phase = 0u64;
    for (i, row_run) in row_runs.iter().enumerate() {
        let is_same = i > 0 && (row_runs[i - 1].run, row_runs[i - 1].env) == (row_run.run, row_run.env);
        if !is_same {
            next = 0;
        }
        placed.push(PlacedRun { row: row_run.row, len: row_run.len, vector_step: next as i64 });
        // Every `stride`-th row: enough to cut all rows into even buckets.
        while phase < row_run.len {
            let time = match clock {
                Clock::Row => ClockTime::of((next + phase) as i64),
                _ => row_run.first.time(),
            };
            samples.push(Cut { run: row_run.run as usize, time });
            phase += stride;
        }
        phase -= row_run.len;
        next += row_run.len;
    }
    placed.sort_unstable();
    samples.sort_unstable();
    SortedOrder { row_runs: placed, samples, stride }
}

fn overlaps(a: &RowRun, b: &RowRun) -> bool {
    (a.run, a.env) == (b.run, b.env) && a.last >= b.first
}

fn doubled(
    pass: &KeyPass<'_>,
    scan: &Scan<'_>,
    file_starts: &[u64],
    first: &RowRun,
    second: &RowRun,
) -> RecordError {
    let place = |row_run: &RowRun| {
        let file = file_starts.partition_point(|start| *start <= row_run.row) - 1;
        (file, row_run.row - file_starts[file])
    };
    let (file, row) = place(second);
    let (other_file, other_row) = place(first);
    let run = &scan.runs[second.run as usize];
    RecordError {
        file: pass.tables[file].name().to_owned(),
        row: Some(row),
        column: None,
        problem: Problem::DuplicateStep {
            step: format!(
                "run {}, episode {}, step {}, env {}",
                run.run_id, second.first.episode, second.first.step, run.envs[second.env as usize].env
            ),
            other: format!("{}, row {other_row}", pass.tables[other_file].name()),
        },
    }
}

fn collect_row_runs(
    pass: &KeyPass<'_>,
    scan: &Scan<'_>,
    progress: &Progress,
    longest: u64,
) -> Result<Vec<RowRun>, RecordError> {
    // Under clocks of their own, long row runs would hide where rows belong.
    let longest = if pass.options.clock == Clock::Row { longest } else { longest.min(256) };
    let mut row_runs: Vec<RowRun> = Vec::new();
    progress.begin("ordering", pass.tables.iter().map(Table::n_rows).sum());
    pass.run(progress, &mut BTreeMap::new(), |keys, is_bad, start| {
        let mut row = 0;
        while row < keys.n_rows() {
            let end = keys.runs.run_end(row, keys.n_rows());
            let run = scan.numbers.get(&keys.runs.get(row)).copied().unwrap_or(0);
            for row in row..end {
                if is_bad.get(row) == Some(&true) {
                    continue;
                }
                let place = keys.place(row);
                let env = scan.runs[run].numbers.get(&keys.envs.get(row)).copied().unwrap_or(0);
                let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                let (run, env) = (narrow(run), narrow(env));
                let global = start + row as u64;
                if let Some(last) = row_runs.last_mut()
                    && (last.run, last.env) == (run, env)
                    && last.row + last.len == global
                    && place > last.last
                    && last.len < longest
                {
                    last.last = place;
                    last.len += 1;
                } else {
                    row_runs.push(RowRun { run, env, first: place, last: place, row: global, len: 1 });
                }
            }
            row = end;
        }
        Ok(())
    })?;
    Ok(row_runs)
}
