//! Key columns of rows: run, episode, environment, step, and the flags beside them.

use polars_arrow::array::Array;

use super::super::columns::{self, BadCells, Ints, Texts};
use super::super::part::Column;
use super::super::table::RowDefaults;
use super::names::KeyNames;
use super::options::Clock;
use super::runs::{ClockTime, StepPlace};

/// Key columns of consecutive rows.
#[derive(Debug)]
pub(super) struct RowKeys {
    pub(super) file: usize,
    /// Rows as numbered in the file; `None` if they are consecutive from `first_row`.
    pub(super) rows: Option<Vec<u64>>,
    pub(super) first_row: u64,
    n_rows: usize,
    pub(super) runs: Texts,
    pub(super) episodes: Ints,
    pub(super) envs: Ints,
    /// `None`: rows are numbered in file order.
    pub(super) steps: Option<Ints>,
    pub(super) clock: Option<Ints>,
    pub(super) round: Option<Ints>,
    pub(super) rolled_back: Option<Vec<bool>>,
    pub(super) terminated: Option<Vec<bool>>,
    pub(super) ended: Option<Vec<bool>>,
    /// Files of the rows, where they come from several.
    pub(super) files: Option<Vec<u32>>,
    /// Times already known (rows that were put in order).
    pub(super) times: Option<Vec<ClockTime>>,
}

impl RowKeys {
    /// Reads the key columns that `names` says there are.
    pub(super) fn of(
        names: &KeyNames,
        defaults: RowDefaults<'_>,
        file: usize,
        first_row: u64,
        n_rows: usize,
        array: impl Fn(&String) -> Option<Box<dyn Array>>,
        bad: &mut BadCells,
    ) -> Self {
        let find = |name: &Option<String>| {
            let name = name.as_ref()?;
            Some((Column::Values(array(name)?), name.clone()))
        };
        let runs = match find(&names.run_id) {
            Some((column, name)) => columns::run_ids(column, &name, bad),
            None => Texts::Constant(defaults.run.to_owned()),
        };
        let runs = match find(&names.seed) {
            Some((column, name)) => runs.joined(&name, &columns::run_ids(column, &name, bad), n_rows),
            None => runs,
        };
        let mut ints =
            |name: &Option<String>| find(name).map(|(column, name)| columns::ints(column, &name, bad));
        let episodes = ints(&names.episode).unwrap_or(Ints::Constant(defaults.episode));
        let envs = ints(&names.env_id).unwrap_or(Ints::Constant(0));
        let steps = ints(&names.step);
        let clock = ints(&names.clock);
        // The first pass reads no rounds: a row without one has its place.
        let mut bad_rounds = BadCells::default();
        let round = find(&names.round).map(|(column, name)| columns::ints(column, &name, &mut bad_rounds));
        bad.cells.extend(bad_rounds.into_values().cells);
        let mut flags = |name: &Option<String>| {
            let name = name.as_ref()?;
            Some(columns::flags(&*array(name)?, name, bad))
        };
        let either = |a: Option<Vec<bool>>, b: Option<Vec<bool>>| match (a, b) {
            (Some(a), Some(b)) => Some(a.iter().zip(&b).map(|(a, b)| *a || *b).collect()),
            (a, b) => a.or(b),
        };
        let terminated = flags(&names.terminated);
        let ended = either(either(terminated.clone(), flags(&names.truncated)), flags(&names.done));
        let rolled_back = flags(&names.rolled_back);
        Self {
            file,
            rows: None,
            first_row,
            n_rows,
            runs,
            episodes,
            envs,
            steps,
            clock,
            round,
            rolled_back,
            terminated,
            ended,
            files: None,
            times: None,
        }
    }

    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// What the clock says at a row; of a clock that counts rows nothing is known here.
    #[inline]
    pub(super) fn time(&self, row: usize, clock: &Clock) -> ClockTime {
        match clock {
            Clock::Row => ClockTime::of(0),
            Clock::EpisodeStep => self.place(row).time(),
            Clock::Column(_) => ClockTime::of(self.clock.as_ref().map_or(0, |clock| clock.get(row))),
        }
    }

    /// Number of a row within its file.
    pub(super) fn row_number(&self, row: usize) -> u64 {
        self.rows.as_ref().map_or(self.first_row + row as u64, |rows| rows[row])
    }

    /// The file of a row.
    pub(super) fn file_of(&self, row: usize) -> usize {
        self.files.as_ref().map_or(self.file, |files| files[row] as usize)
    }

    /// Episode and step of a row; without a step column, its place in the files stands for the step.
    #[inline]
    pub(super) fn place(&self, row: usize) -> StepPlace {
        let step = match &self.steps {
            Some(steps) => steps.get(row),
            None => ((self.file_of(row) as i64) << 40) + self.row_number(row) as i64,
        };
        StepPlace { episode: self.episodes.get(row), step }
    }
}

/// Keys of rows that were put in order.
pub(super) struct SortedKeys {
    pub(super) runs: Texts,
    pub(super) times: Vec<ClockTime>,
    pub(super) envs: Ints,
    pub(super) episodes: Ints,
    pub(super) steps: Ints,
    pub(super) round: Option<Ints>,
    pub(super) rolled_back: Option<Vec<bool>>,
    pub(super) terminated: Option<Vec<bool>>,
    pub(super) ended: Option<Vec<bool>>,
    pub(super) files: Vec<u32>,
    pub(super) rows: Vec<u64>,
}

impl RowKeys {
    /// Keys of rows from several places.
    pub(super) fn sorted(keys: SortedKeys) -> Self {
        Self {
            file: 0,
            first_row: 0,
            n_rows: keys.rows.len(),
            rows: Some(keys.rows),
            runs: keys.runs,
            episodes: keys.episodes,
            envs: keys.envs,
            steps: Some(keys.steps),
            clock: None,
            round: keys.round,
            rolled_back: keys.rolled_back,
            terminated: keys.terminated,
            ended: keys.ended,
            files: Some(keys.files),
            times: Some(keys.times),
        }
    }
}
