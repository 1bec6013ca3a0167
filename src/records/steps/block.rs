//! Blocks of rows in replay order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use polars::prelude::{CompatLevel, IdxSize, Series};
use polars_arrow::array::Array;
use polars_arrow::compute::concatenate::concatenate;

use super::super::error::{Problem, RecordError};
use super::super::schema::OnBad;
use super::super::table::Table;
use super::index::Index;
use super::values::StepValues;
use super::{BadPlace, Clock, PLACES_KEPT, Piece, StepOptions, StepSkips};

/// Rows of one run in replay order.
#[derive(Debug, Clone)]
pub struct StepBlock {
    /// The run, as numbered in [`super::StepRecording::runs`].
    pub run: usize,
    /// Values per row.
    pub width: usize,
    /// The values, row after row.
    pub values: StepValues,
    /// Episode of each row.
    pub episode: Vec<i64>,
    /// Step of each row.
    pub step: Vec<i64>,
    /// Environment of each row.
    pub env: Vec<i64>,
    /// Place of the environment among the run's.
    pub lane: Vec<u32>,
    /// Vector step of each row, from 0 in each run.
    pub vector_step: Vec<u64>,
    /// Value of the round column, where it was asked for.
    pub round: Option<Vec<i64>>,
    /// Rolled back, where the recording says.
    pub rolled_back: Option<Vec<bool>>,
    /// Whether the environment terminated at the row, where the recording says.
    pub terminated: Option<Vec<bool>>,
    /// Whether the episode ended at the row (terminated, truncated or done), where the recording says.
    pub ended: Option<Vec<bool>>,
    /// Whether the row is the last of its episode over all environments, where that was asked for.
    pub episode_ends: Option<Vec<bool>>,
    /// Columns carried along.
    pub(in crate::records) carried: Vec<Box<dyn Array>>,
}

impl StepBlock {
    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.episode.len()
    }

    /// Rows `range`; values and carried columns are shared.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let flags = |flags: &Option<Vec<bool>>| flags.as_ref().map(|flags| flags[range.clone()].to_vec());
        Self {
            run: self.run,
            width: self.width,
            values: self.values.slice(range.start * self.width..range.end * self.width),
            episode: self.episode[range.clone()].to_vec(),
            step: self.step[range.clone()].to_vec(),
            env: self.env[range.clone()].to_vec(),
            lane: self.lane[range.clone()].to_vec(),
            vector_step: self.vector_step[range.clone()].to_vec(),
            round: self.round.as_ref().map(|round| round[range.clone()].to_vec()),
            rolled_back: flags(&self.rolled_back),
            terminated: flags(&self.terminated),
            ended: flags(&self.ended),
            episode_ends: flags(&self.episode_ends),
            carried: self.carried.iter().map(|array| array.sliced(range.start, range.len())).collect(),
        }
    }

    /// These rows, then those of `later`, of the same run.
    ///
    /// # Errors
    /// If a carried column cannot be joined.
    pub fn concat(self, later: &Self) -> Result<Self, RecordError> {
        fn join<T: Clone>(a: Vec<T>, b: &[T]) -> Vec<T> {
            let mut joined = a;
            joined.extend_from_slice(b);
            joined
        }
        let n = (self.n_rows(), later.n_rows());
        let flags = |a: Option<Vec<bool>>, b: &Option<Vec<bool>>| match (a, b) {
            (None, None) => None,
            (a, b) => {
                Some(join(a.unwrap_or_else(|| vec![false; n.0]), b.as_ref().unwrap_or(&vec![false; n.1])))
            }
        };
        let carried = self.carried.iter().zip(&later.carried).map(|(a, b)| join_arrays(&[&**a, &**b]));
        Ok(Self {
            run: self.run,
            width: self.width,
            values: self.values.concat(&later.values),
            carried: carried.collect::<Result<_, _>>()?,
            episode: join(self.episode, &later.episode),
            step: join(self.step, &later.step),
            env: join(self.env, &later.env),
            lane: join(self.lane, &later.lane),
            vector_step: join(self.vector_step, &later.vector_step),
            round: self.round.zip(later.round.as_ref()).map(|(a, b)| join(a, b)),
            rolled_back: flags(self.rolled_back, &later.rolled_back),
            terminated: flags(self.terminated, &later.terminated),
            ended: flags(self.ended, &later.ended),
            episode_ends: flags(self.episode_ends, &later.episode_ends),
        })
    }

    /// The rows that `keep` marks, copied.
    ///
    /// # Errors
    /// If a carried column cannot be gathered.
    pub fn filter(&self, keep: &[bool]) -> Result<Self, RecordError> {
        fn pick<T: Copy>(values: &[T], places: &[usize]) -> Vec<T> {
            places.iter().map(|row| values[*row]).collect()
        }
        let places: Vec<usize> = (0..self.n_rows()).filter(|row| keep[*row]).collect();
        let flags = |flags: &Option<Vec<bool>>| flags.as_ref().map(|flags| pick(flags, &places));
        Ok(Self {
            run: self.run,
            width: self.width,
            values: self.values.gather(&places, self.width),
            episode: pick(&self.episode, &places),
            step: pick(&self.step, &places),
            env: pick(&self.env, &places),
            lane: pick(&self.lane, &places),
            vector_step: pick(&self.vector_step, &places),
            round: self.round.as_ref().map(|round| pick(round, &places)),
            rolled_back: flags(&self.rolled_back),
            terminated: flags(&self.terminated),
            ended: flags(&self.ended),
            episode_ends: flags(&self.episode_ends),
            carried: self.carried.iter().map(|array| gather(&**array, &places)).collect::<Result<_, _>>()?,
        })
    }
}

/// Arrays of one type, one after the other.
pub(in crate::records) fn join_arrays(arrays: &[&dyn Array]) -> Result<Box<dyn Array>, RecordError> {
    concatenate(arrays).map_err(|error| unusable(&error))
}

/// The rows at `places` of an array of any type.
pub(super) fn gather(array: &dyn Array, places: &[usize]) -> Result<Box<dyn Array>, RecordError> {
    let places: Vec<IdxSize> =
        places.iter().map(|row| IdxSize::try_from(*row).unwrap_or(IdxSize::MAX)).collect();
    let series = Series::from_arrow("".into(), array.to_boxed()).map_err(|error| unusable(&error))?;
    let taken = series.take_slice(&places).map_err(|error| unusable(&error))?.rechunk();
    if taken.is_empty() {
        return Ok(array.sliced(0, 0));
    }
    Ok(taken.to_arrow(0, CompatLevel::newest()))
}

fn unusable(error: &polars::error::PolarsError) -> RecordError {
    RecordError::file("", Problem::Unreadable { format: "column", detail: error.to_string() })
}

/// Gives rows in replay order their vector steps and cuts them by run.
pub(super) struct Assigner<'a> {
    index: &'a Index,
    options: &'a StepOptions,
    run: Option<RunPlace>,
    /// Rows seen of every (run, episode).
    episode_rows: BTreeMap<(usize, i64), u64>,
}

/// How far a run has come.
struct RunPlace {
    run: usize,
    /// Rows seen of each environment.
    counts: Vec<u64>,
    lanes: BTreeMap<i64, u32>,
    envs: Vec<i64>,
    cursor: usize,
    last_clock: Option<(i64, i64)>,
    n_clocks: u64,
}

impl RunPlace {
    fn new(index: &Index, run: usize) -> Self {
        let envs = index.runs()[run].envs.clone();
        let lanes = envs.iter().zip(0..).map(|(env, lane)| (*env, lane)).collect();
        Self { run, counts: vec![0; envs.len()], lanes, envs, cursor: 0, last_clock: None, n_clocks: 0 }
    }

    fn lane(&mut self, env: i64) -> u32 {
        let guess = if self.cursor + 1 < self.envs.len() { self.cursor + 1 } else { 0 };
        let lane = if self.envs.get(guess) == Some(&env) {
            u32::try_from(guess).unwrap_or(u32::MAX)
        } else {
            self.lanes.get(&env).copied().unwrap_or(0)
        };
        self.cursor = lane as usize;
        lane
    }

    /// Number of a clock value among the run's.
    fn number(&mut self, clock: (i64, i64)) -> u64 {
        if self.last_clock != Some(clock) {
            self.last_clock = Some(clock);
            self.n_clocks += 1;
        }
        self.n_clocks - 1
    }
}

impl<'a> Assigner<'a> {
    pub(super) fn new(index: &'a Index, options: &'a StepOptions) -> Self {
        Self { index, options, run: None, episode_rows: BTreeMap::new() }
    }

    /// The rows of a piece as blocks, one per run.
    pub(super) fn assign(
        &mut self,
        mut piece: Piece,
        skips: &Mutex<StepSkips>,
        tables: &[Table],
    ) -> Result<Vec<StepBlock>, RecordError> {
        let is_bad = judge(&mut piece, self.options, skips, tables)?;
        let n_rows = piece.keys.n_rows();
        let clocks = match (&piece.keys.clocks, &self.options.clock) {
            (Some(clocks), _) => Some(clocks.clone()),
            (None, Clock::Row) => None,
            (None, _) => Some(self.index.clocks(&piece.keys)),
        };
        let mut blocks = Vec::new();
        let mut row = 0;
        while row < n_rows {
            // A row without a key belongs to no run.
            if is_bad.get(row) == Some(&Judgement::NoKey) {
                row += 1;
                continue;
            }
            let end = piece.keys.runs.run_end(row, n_rows);
            let no_key = |row: &usize| is_bad.get(*row) == Some(&Judgement::NoKey);
            let end = (row..end).find(no_key).unwrap_or(end);
            let Some(run) = self.index.run_number(&piece.keys.runs.get(row)) else {
                unreachable!("the first pass saw every run")
            };
            let block = self.block(&piece, clocks.as_deref(), run, row..end);
            let keep: Vec<bool> = (row..end).map(|row| !is_bad.contains_row(row)).collect();
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
        piece: &Piece,
        clocks: Option<&[(i64, i64)]>,
        run: usize,
        rows: Range<usize>,
    ) -> StepBlock {
        let keys = &piece.keys;
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
            let number = place.lane(here);
            env.push(here);
            lane.push(number);
            let count = &mut place.counts[number as usize];
            vector_step.push(match clocks {
                None => *count,
                Some(clocks) if is_row_clock => clocks[row].0.cast_unsigned(),
                Some(clocks) => place.number(clocks[row]),
            });
            place.counts[number as usize] += 1;
            let (row_episode, row_step) = keys.place(row);
            episode.push(row_episode);
            step.push(row_step);
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
        let width = piece.values.rows().len() / keys.n_rows().max(1);
        StepBlock {
            run,
            width,
            values: piece.values.slice(rows.start * width..rows.end * width),
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
            carried: piece.carried.iter().map(|array| array.sliced(rows.start, rows.len())).collect(),
        }
    }
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Sound,
    /// Its place is known, its values cannot be used.
    NoValues,
    /// It has no place.
    NoKey,
}

/// Judgements of the rows of a piece; empty if all are sound.
#[derive(Debug, Default)]
pub(super) struct Judgements(Vec<Judgement>);

impl Judgements {
    pub(super) fn get(&self, row: usize) -> Option<&Judgement> {
        self.0.get(row)
    }

    pub(super) fn contains_row(&self, row: usize) -> bool {
        self.0.get(row).is_some_and(|judgement| *judgement != Judgement::Sound)
    }
}

/// The first bad cell as an error, or bad rows counted and marked.
pub(super) fn judge(
    piece: &mut Piece,
    options: &StepOptions,
    skips: &Mutex<StepSkips>,
    tables: &[Table],
) -> Result<Judgements, RecordError> {
    if piece.bad.cells.is_empty() {
        return Ok(Judgements::default());
    }
    let mut judgements = vec![Judgement::Sound; piece.keys.n_rows()];
    let Ok(mut skips) = skips.lock() else { unreachable!("nobody panics while counting") };
    for cell in std::mem::take(&mut piece.bad.cells) {
        let row = piece.keys.row_number(cell.row);
        let name = tables[piece.keys.file_of(cell.row)].name();
        let is_key = cell.problem.is_about_key();
        let value = if let Problem::NonFinite(value) = cell.problem { Some(value) } else { None };
        let error = RecordError::cell(name, row, &cell.column, cell.problem);
        let is_wrong_column = matches!(
            error.problem,
            Problem::WrongType { expected, .. } if !expected.starts_with("a ") && !expected.starts_with("an ")
        );
        if options.on_bad == OnBad::Error || is_wrong_column {
            let row = if is_wrong_column { None } else { error.row };
            return Err(RecordError { row, ..error });
        }
        if let Some(value) = value {
            skips.n_bad_cells += 1;
            if skips.places.len() < PLACES_KEPT {
                skips.places.push(BadPlace { file: name.to_owned(), row, dimension: cell.position, value });
            }
        }
        let judgement = if is_key { Judgement::NoKey } else { Judgement::NoValues };
        let known = &mut judgements[cell.row];
        // Rows without keys were counted by the first pass.
        if *known == Judgement::Sound && !is_key {
            *skips.report.rows.entry(error.class()).or_default() += 1;
        }
        if *known != Judgement::NoKey {
            *known = judgement;
        }
    }
    Ok(Judgements(judgements))
}
