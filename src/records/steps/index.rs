//! Which rows there are, and whether they come in replay order: from the key columns alone.

use std::collections::BTreeMap;

use super::super::error::{Problem, RecordError};
use super::super::table::Table;
use super::keys::RowKeys;
use super::names::KeyNames;
use super::options::{Clock, StepOptions};
use super::order::{Cut, SortedOrder, sorted_order};
use super::runs::{ClockTime, RunInfo, StepPlace};
use super::scan::{KeyPass, RunScan, Scan};
use super::skips::StepSkips;
use crate::progress::Progress;

/// Runs, and where every row belongs.
#[derive(Debug)]
pub(super) struct Index {
    runs: Vec<RunInfo>,
    run_numbers: BTreeMap<String, usize>,
    /// Rows per (run, episode), where asked for.
    episode_rows: BTreeMap<(usize, i64), u64>,
    skipped: BTreeMap<&'static str, u64>,
    order: Order,
    implied_steps: bool,
    clock: Clock,
    /// Rows of the files before each file.
    file_starts: Vec<u64>,
}

#[derive(Debug)]
enum Order {
    /// As the rows lie.
    Files,
    /// Another one.
    Sorted(SortedOrder),
}

impl Index {
    /// Reads the key columns of all files.
    pub(super) fn build(
        tables: &[Table],
        names: &[KeyNames],
        options: &StepOptions,
        progress: &Progress,
        skips: &mut StepSkips,
    ) -> Result<Self, RecordError> {
        let mut scan = Scan::new(options);
        let mut skipped = BTreeMap::new();
        let pass = KeyPass { tables, names, options };
        progress.begin("ordering", tables.iter().map(Table::n_rows).sum());
        pass.run(progress, &mut skipped, |keys, is_bad, _| {
            scan.add(keys, is_bad);
            Ok(())
        })?;
        if scan.runs.is_empty() {
            return Err(RecordError::file(tables[0].name(), Problem::NoRows));
        }
        let mut file_starts = vec![0];
        for table in tables {
            file_starts.push(file_starts[file_starts.len() - 1] + table.n_rows());
        }
        let order = if scan.is_ordered {
            Order::Files
        } else {
            Order::Sorted(sorted_order(&pass, &scan, &file_starts, &mut skipped, progress)?)
        };
        for (reason, n) in &skipped {
            *skips.report.rows.entry(reason).or_default() += n;
        }
        Ok(Self {
            runs: scan.runs.iter().map(|run| run_info(run, &options.clock, &order)).collect(),
            run_numbers: scan.numbers,
            episode_rows: scan.episode_rows,
            skipped,
            order,
            implied_steps: names.iter().any(|names| names.step.is_none()),
            clock: options.clock.clone(),
            file_starts,
        })
    }

    pub(super) fn runs(&self) -> &[RunInfo] {
        &self.runs
    }

    pub(super) fn run_number(&self, run_id: &str) -> Option<usize> {
        self.run_numbers.get(run_id).copied()
    }

    pub(super) fn skipped_rows(&self) -> &BTreeMap<&'static str, u64> {
        &self.skipped
    }

    pub(super) fn is_ordered(&self) -> bool {
        matches!(self.order, Order::Files)
    }

    pub(super) fn has_implied_steps(&self) -> bool {
        self.implied_steps
    }

    pub(super) fn order_note(&self) -> Option<String> {
        (!self.is_ordered()).then(|| {
            "rows do not come in replay order (vector step, env_id): they are put in order first".to_owned()
        })
    }

    /// Rows of an episode over all environments of a run.
    pub(super) fn episode_rows(&self, run: usize, episode: i64) -> Option<u64> {
        self.episode_rows.get(&(run, episode)).copied()
    }

    /// The time of every row: its vector step, or what stands for it; [`ClockTime::NONE`] for rows that the first
    /// pass left out.
    pub(super) fn times(&self, keys: &RowKeys) -> Vec<ClockTime> {
        let start = self.file_starts[keys.file] + keys.first_row;
        let steps = match &self.order {
            Order::Sorted(order) => Some(order.vector_steps(start, keys)),
            Order::Files => None,
        };
        let time = |row: usize| match &self.clock {
            Clock::Row => ClockTime::of(steps.as_ref().map_or(0, |steps| steps[row].unwrap_or(0))),
            Clock::EpisodeStep => keys.place(row).time(),
            Clock::Column(_) => ClockTime::of(keys.clock.as_ref().map_or(0, |clock| clock.get(row))),
        };
        let has_place = |row: usize| steps.as_ref().is_none_or(|steps| steps[row].is_some());
        (0..keys.n_rows()).map(|row| if has_place(row) { time(row) } else { ClockTime::NONE }).collect()
    }

    /// Limits that cut the rows into ranges of about `rows` each, in replay order.
    pub(super) fn cuts(&self, rows: u64) -> Vec<Cut> {
        match &self.order {
            Order::Sorted(order) => order.cuts(rows),
            Order::Files => Vec::new(),
        }
    }
}

fn run_info(run: &RunScan, clock: &Clock, order: &Order) -> RunInfo {
    let span = run.span.unwrap_or_default();
    let pair = |place: StepPlace| (place.episode, place.step);
    let n_vector_steps = match (clock, order) {
        (Clock::Row, _) => run.envs.iter().map(|env| env.n_rows).max().unwrap_or(0),
        (_, Order::Files) => run.n_times,
        (_, Order::Sorted(_)) => run.n_rows.div_ceil(run.envs.len().max(1) as u64),
    };
    RunInfo {
        run_id: run.run_id.clone(),
        n_rows: run.n_rows,
        envs: run.numbers.keys().copied().collect(),
        span: (pair(span.first), pair(span.last)),
        n_episodes: run.n_episodes,
        n_vector_steps,
    }
}
