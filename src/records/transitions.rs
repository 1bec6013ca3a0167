//! Transition rows: one row per environment step.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::budget::groups_within;
use super::columns::{self, BadCells, Ints, Texts};
use super::error::{Problem, RecordError};
use super::part::{Column, Part};
use super::schema::{ColumnMap, numbered_obs, obs_parts};
use super::table::{PartSlice, Table, describe_type};

/// What the transition rows of one file hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TransitionSummary {
    /// Rows.
    pub n_rows: u64,
    /// Run ids.
    pub runs: BTreeSet<String>,
    /// Distinct (run, episode).
    pub episodes: BTreeSet<(String, i64)>,
    /// Environment ids.
    pub envs: BTreeSet<i64>,
    /// Least and greatest step, where there is a step column.
    pub steps: Option<(i64, i64)>,
    /// Values per observation, where there are observations.
    pub obs_width: Option<usize>,
    /// Observation values that are not finite.
    pub n_bad_obs: u64,
    /// Least and greatest finite reward, where there are rewards.
    pub rewards: Option<(f64, f64)>,
    /// Rewards that are null or not finite.
    pub n_bad_rewards: u64,
    /// Columns by the role they play.
    pub roles: BTreeMap<String, Vec<String>>,
}

/// Decoded bytes of the rows looked at at once, and their number where a file does not tell.
const SLICE_BYTES: u64 = 32 << 20;
const SLICE_ROWS: usize = 1 << 20;

/// Decoded bytes of slices that are looked at together, whatever the number of threads.
const TOGETHER_BYTES: u64 = 4 * SLICE_BYTES;

/// Roles of the columns of steps, observations apart.
const STEP_ROLES: [&str; 12] = [
    "run_id",
    "seed",
    "episode",
    "env_id",
    "step",
    "round",
    "reward",
    "return",
    "terminated",
    "truncated",
    "done",
    "rolled_back",
];

/// Columns of a file of transitions.
struct TransitionColumns {
    run_id: Option<String>,
    seed: Option<String>,
    episode: Option<String>,
    env_id: Option<String>,
    step: Option<String>,
    reward: Option<String>,
    obs: Option<String>,
    /// Columns of one value each, where there is no column of lists.
    numbered: Vec<String>,
}

/// Values of each column of observations.
type Widths = BTreeMap<String, usize>;

/// Adds the widths that the next rows have.
///
/// # Errors
/// The column whose rows have another one.
fn join_widths(widths: &mut Widths, next: Widths) -> Result<(), (String, Problem)> {
    for (name, found) in next {
        let expected = *widths.entry(name.clone()).or_insert(found);
        if found != expected {
            return Err((name, Problem::ObservationWidth { found, expected }));
        }
    }
    Ok(())
}

/// The range that holds both.
fn widest<T>(
    a: Option<(T, T)>,
    b: Option<(T, T)>,
    least: fn(T, T) -> T,
    greatest: fn(T, T) -> T,
) -> Option<(T, T)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((least(a.0, b.0), greatest(a.1, b.1))),
        (a, b) => a.or(b),
    }
}

impl TransitionColumns {
    fn find(table: &Table, map: &ColumnMap) -> Result<Self, RecordError> {
        let mut found = Self {
            seed: map
                .find(table, "seed")?
                .filter(|name| map.find(table, "run_id").ok().flatten().as_ref() != Some(name)),
            run_id: map.find(table, "run_id")?,
            episode: map.find(table, "episode")?,
            env_id: map.find(table, "env_id")?,
            step: map.find(table, "step")?,
            obs: map.find(table, "obs")?,
            reward: map.find(table, "reward")?,
            numbered: Vec::new(),
        };
        if !map.obs().is_empty() {
            found.obs = None;
            found.numbered = map.obs().to_vec();
        } else if found.obs.is_none() {
            found.numbered = numbered_obs(table).or_else(|| obs_parts(table)).unwrap_or_default();
        }
        Ok(found)
    }

    /// Columns by the role they play, the flags of `table` among them.
    fn roles(&self, table: &Table, map: &ColumnMap) -> Result<BTreeMap<String, Vec<String>>, RecordError> {
        let mut roles = BTreeMap::new();
        let mut add = |role: &str, names: Vec<String>| {
            if !names.is_empty() {
                roles.insert(role.to_owned(), names);
            }
        };
        add("obs", self.obs.iter().chain(&self.numbered).cloned().collect());
        for role in STEP_ROLES {
            add(role, map.find(table, role)?.into_iter().collect());
        }
        Ok(roles)
    }

    /// The columns in the order in which they are taken.
    fn names(&self) -> Vec<String> {
        let single =
            [&self.run_id, &self.seed, &self.episode, &self.env_id, &self.step, &self.reward, &self.obs];
        single.into_iter().flatten().chain(&self.numbered).cloned().collect()
    }
}

impl TransitionSummary {
    /// Reads `table` slice by slice; memory is bounded by one slice, whatever a part decodes to.
    ///
    /// # Errors
    /// Unreadable parts, null or mistyped keys, observations of another width.
    pub fn read(table: &Table, map: &ColumnMap) -> Result<Self, RecordError> {
        let columns = TransitionColumns::find(table, map)?;
        let names = columns.names();
        let mut summary = Self { roles: columns.roles(table, map)?, ..Self::default() };
        let mut widths = Widths::new();
        let slices = table.slices(&names, SLICE_BYTES, SLICE_ROWS);
        let most = TOGETHER_BYTES.min(table.file().budget.bytes());
        for together in groups_within(&slices, most, |slice| table.slice_bytes(slice, &names)) {
            let read: Vec<_> =
                together.par_iter().map(|slice| Self::of_slice(table, &columns, &names, slice)).collect();
            for (slice, (found, own, outcome)) in together.iter().zip(read) {
                let first_row = table.parts()[slice.part].first_row + slice.rows.start as u64;
                join_widths(&mut widths, own)
                    .map_err(|(name, problem)| RecordError::cell(table.name(), first_row, &name, problem))?;
                summary.add(found);
                outcome?;
            }
        }
        summary.obs_width = (!widths.is_empty()).then(|| widths.values().sum());
        Ok(summary)
    }

    /// What the rows of one slice hold, up to what ends its reading.
    fn of_slice(
        table: &Table,
        columns: &TransitionColumns,
        names: &[String],
        slice: &PartSlice,
    ) -> (Self, Widths, Result<(), RecordError>) {
        let (mut summary, mut widths) = (Self::default(), Widths::new());
        let outcome = summary.read_slice(table, columns, names, slice, &mut widths);
        (summary, widths, outcome)
    }

    fn read_slice(
        &mut self,
        table: &Table,
        columns: &TransitionColumns,
        names: &[String],
        slice: &PartSlice,
        widths: &mut Widths,
    ) -> Result<(), RecordError> {
        let part = table.parts()[slice.part];
        let place = &Part { first_row: part.first_row + slice.rows.start as u64, n_rows: slice.rows.len() };
        let mut read = if place.n_rows == part.n_rows {
            table.read(slice.part, names)?.into_iter()
        } else {
            let arrays = table.read_arrays(slice.part, &slice.rows, names)?;
            arrays.into_iter().map(Column::Values).collect::<Vec<_>>().into_iter()
        };
        self.add_keys(table, columns, place, &mut read)?;
        if let (Some(name), Some(column)) =
            (&columns.reward, columns.reward.as_ref().and_then(|_| read.next()))
        {
            self.add_rewards(column, name, place.n_rows);
        }
        for name in columns.obs.iter().chain(&columns.numbered) {
            if let Some(Column::Values(array)) = read.next() {
                self.add_obs(table, name, place, array, widths)?;
            }
        }
        self.n_rows += place.n_rows as u64;
        Ok(())
    }

    /// Adds what the rows of the next slice hold.
    fn add(&mut self, next: Self) {
        self.n_rows += next.n_rows;
        self.runs.extend(next.runs);
        self.episodes.extend(next.episodes);
        self.envs.extend(next.envs);
        self.steps = widest(self.steps, next.steps, i64::min, i64::max);
        self.n_bad_obs += next.n_bad_obs;
        self.rewards = widest(self.rewards, next.rewards, f64::min, f64::max);
        self.n_bad_rewards += next.n_bad_rewards;
    }

    fn add_keys(
        &mut self,
        table: &Table,
        columns: &TransitionColumns,
        place: &Part,
        read: &mut impl Iterator<Item = Column>,
    ) -> Result<(), RecordError> {
        let mut bad = BadCells::default();
        let runs = match (&columns.run_id, columns.run_id.as_ref().and_then(|_| read.next())) {
            (Some(name), Some(column)) => columns::run_ids(column, name, &mut bad),
            _ => Texts::Constant(table.defaults().run.to_owned()),
        };
        let runs = match (&columns.seed, columns.seed.as_ref().and_then(|_| read.next())) {
            (Some(name), Some(column)) => {
                runs.joined(name, &columns::run_ids(column, name, &mut bad), place.n_rows)
            }
            _ => runs,
        };
        let mut key = |name: &Option<String>| match (name, name.as_ref().and_then(|_| read.next())) {
            (Some(name), Some(column)) => columns::ints(column, name, &mut bad),
            _ => Ints::Constant(0),
        };
        let (episodes, envs, steps) = (key(&columns.episode), key(&columns.env_id), key(&columns.step));
        let episodes = match columns.episode {
            Some(_) => episodes,
            None => Ints::Constant(table.defaults().episode),
        };
        if let Some(cell) = bad.cells.into_iter().min_by_key(|cell| cell.row) {
            let row = place.first_row + cell.row as u64;
            return Err(cell.error(table.name(), row));
        }
        let (mut row, mut run_end) = (0, 0);
        while row < place.n_rows {
            // Episodes may change with every row: the end of a run is looked for once.
            if row >= run_end {
                run_end = runs.run_end(row, place.n_rows);
            }
            let end = episodes.run_end(row, run_end);
            let run = runs.get(row);
            self.episodes.insert((run.clone(), episodes.get(row)));
            self.runs.insert(run);
            row = end;
        }
        let mut row = 0;
        while row < place.n_rows {
            self.envs.insert(envs.get(row));
            row = envs.run_end(row, place.n_rows);
        }
        if columns.step.is_some() {
            for here in (0..place.n_rows).map(|row| steps.get(row)) {
                let (low, high) = self.steps.unwrap_or((here, here));
                self.steps = Some((low.min(here), high.max(here)));
            }
        }
        Ok(())
    }

    fn add_rewards(&mut self, column: Column, name: &str, n_rows: usize) {
        let mut bad = BadCells::default();
        let values = columns::finite_floats(column, name, n_rows, &mut bad);
        self.n_bad_rewards += bad.cells.len() as u64;
        for value in values.iter().filter(|value| value.is_finite()) {
            let (low, high) = self.rewards.unwrap_or((*value, *value));
            self.rewards = Some((low.min(*value), high.max(*value)));
        }
    }

    fn add_obs(
        &mut self,
        table: &Table,
        name: &str,
        place: &Part,
        array: Box<dyn polars_arrow::array::Array>,
        widths: &mut Widths,
    ) -> Result<(), RecordError> {
        let count_bad = |values: &[f64]| values.iter().filter(|value| !value.is_finite()).count() as u64;
        if let Some(values) = columns::numbers(&*array) {
            self.n_bad_obs += count_bad(&values) + array.null_count() as u64;
            widths.insert(name.to_owned(), 1);
            return Ok(());
        }
        let mut bad = BadCells::default();
        let what = "a list of numbers";
        let lists = columns::lists(Column::Values(array), name, what, &mut bad);
        let Some(lists) = lists else {
            let problem = bad.cells.pop().map_or(Problem::Null(what), |cell| cell.problem);
            return Err(RecordError {
                file: table.name().to_owned(),
                row: None,
                column: Some(name.to_owned()),
                problem,
            });
        };
        let values = columns::numbers(&*lists.values).ok_or_else(|| RecordError {
            file: table.name().to_owned(),
            row: None,
            column: Some(name.to_owned()),
            problem: Problem::WrongType {
                expected: "lists of numbers",
                found: describe_type(lists.values.dtype()),
            },
        })?;
        self.n_bad_obs += count_bad(&values);
        if place.n_rows == 0 {
            return Ok(());
        }
        let expected = *widths.entry(name.to_owned()).or_insert(lists.range(0).len());
        for row in 0..place.n_rows {
            let found = lists.range(row).len();
            if found != expected {
                let problem = Problem::ObservationWidth { found, expected };
                return Err(RecordError::cell(table.name(), place.first_row + row as u64, name, problem));
            }
        }
        Ok(())
    }
}
