//! Which rows there are, and whether they come in replay order: from the key columns alone.

use std::collections::BTreeMap;

use super::super::error::{Problem, RecordError};
use super::super::table::Table;
use super::names::KeyNames;
use super::options::StepOptions;
use super::order::{Cut, DOUBLED, OrderInput, SortedOrder};
use super::runs::{RunInfo, RunStretch, StepPlace};
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
    /// Rows of the files before each file.
    file_starts: Vec<u64>,
    /// Rows of the environments of each run.
    env_rows: Vec<Vec<u64>>,
    /// Vector step that rows begin with.
    first_step: u64,
}

#[derive(Debug)]
enum Order {
    /// As the rows lie.
    Files,
    /// Another one.
    Sorted(SortedOrder),
}

impl Index {
    /// Reads the key columns of all files; rows in another order are to be cut into buckets of `bucket_rows`.
    pub(super) fn build(
        tables: &[Table],
        names: &[KeyNames],
        options: &StepOptions,
        bucket_rows: u64,
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
            let input = OrderInput { pass: &pass, scan: &scan, file_starts: &file_starts, bucket_rows };
            Order::Sorted(input.order(&mut skipped, progress)?)
        };
        let left_out = if let Order::Sorted(order) = &order { Some(&order.left_out_of) } else { None };
        for (episode, n) in left_out.into_iter().flatten() {
            scan.episode_rows.entry(*episode).and_modify(|rows| *rows -= n);
        }
        for (reason, n) in &skipped {
            *skips.report.rows.entry(reason).or_default() += n;
        }
        Ok(Self {
            runs: scan.runs.iter().enumerate().map(|(number, run)| run_info(number, run, &order)).collect(),
            run_numbers: scan.numbers,
            episode_rows: scan.episode_rows,
            skipped,
            order,
            implied_steps: names.iter().any(|names| names.step.is_none()),
            file_starts,
            env_rows: scan.runs.iter().map(env_rows).collect(),
            first_step: 0,
        })
    }

    /// Rows of one run in replay order, of which everything is known already.
    pub(super) fn of_stretch(stretch: &RunStretch, names: &[KeyNames]) -> Self {
        Self {
            runs: vec![stretch.run.clone()],
            run_numbers: BTreeMap::from([(stretch.run.run_id.clone(), 0)]),
            episode_rows: BTreeMap::new(),
            skipped: BTreeMap::new(),
            order: Order::Files,
            implied_steps: names.iter().any(|names| names.step.is_none()),
            file_starts: Vec::new(),
            env_rows: vec![Vec::new()],
            first_step: stretch.first_step,
        }
    }

    /// Rows of each environment of a run, in ascending order of environments.
    pub(super) fn env_rows(&self, run: usize) -> &[u64] {
        &self.env_rows[run]
    }

    /// Vector step that rows begin with.
    pub(super) fn first_step(&self) -> u64 {
        self.first_step
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

    /// Rows of the files before one.
    pub(super) fn file_start(&self, file: usize) -> u64 {
        self.file_starts[file]
    }

    /// The order of rows that do not lie in replay order.
    pub(super) fn sorted(&self) -> Option<&SortedOrder> {
        match &self.order {
            Order::Sorted(order) => Some(order),
            Order::Files => None,
        }
    }

    /// Whether rows with keys are left out, because one before them has the same.
    pub(super) fn leaves_doubled_out(&self) -> bool {
        self.skipped.contains_key(DOUBLED)
    }

    /// Where buckets of rows begin, but for the first.
    pub(super) fn cuts(&self) -> &[Cut] {
        self.sorted().map_or(&[], |order| &order.cuts)
    }
}

fn env_rows(run: &RunScan) -> Vec<u64> {
    run.numbers.values().map(|env| run.envs[*env].n_rows).collect()
}

fn run_info(number: usize, run: &RunScan, order: &Order) -> RunInfo {
    let span = run.span.unwrap_or_default();
    let pair = |place: StepPlace| (place.episode, place.step);
    RunInfo {
        run_id: run.run_id.clone(),
        n_rows: run.n_rows,
        envs: run.numbers.keys().copied().collect(),
        span: (pair(span.first), pair(span.last)),
        n_episodes: run.n_episodes,
        n_vector_steps: match order {
            Order::Files => run.n_times,
            Order::Sorted(order) => order.n_vector_steps[number],
        },
    }
}
