//! Transition rows: one row per environment step.

use std::collections::BTreeSet;

use super::columns::{self, BadCells, Ints, Texts};
use super::error::{Problem, RecordError};
use super::schema::ColumnMap;
use super::table::Table;

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
}

impl TransitionSummary {
    /// Reads `table` part by part; memory is bounded by one part.
    ///
    /// # Errors
    /// Unreadable parts, null or mistyped keys, observations of another width.
    pub fn read(table: &Table, map: &ColumnMap) -> Result<Self, RecordError> {
        let mut summary = Self::default();
        let run_id = map.find(table, "run_id")?;
        let episode = map.find(table, "episode")?;
        let env_id = map.find(table, "env_id")?;
        let step = map.find(table, "step")?;
        let obs = map.find(table, "obs")?;
        let reward = map.find(table, "reward")?;
        let numbered: Vec<String> = if obs.is_none() {
            (0..table.column_names().len())
                .map(|i| format!("obs_{i}"))
                .take_while(|name| table.has_column(name))
                .collect()
        } else {
            Vec::new()
        };
        let mut names: Vec<String> =
            [&run_id, &episode, &env_id, &step, &reward, &obs].into_iter().flatten().cloned().collect();
        names.extend(numbered.iter().cloned());
        for (part, place) in table.parts().iter().enumerate() {
            let mut read = table.read(part, &names)?.into_iter();
            let mut bad = BadCells::default();
            let runs = match (&run_id, run_id.as_ref().and_then(|_| read.next())) {
                (Some(name), Some(column)) => columns::run_ids(column, name, &mut bad),
                _ => Texts::Constant(table.stem().to_owned()),
            };
            let mut key = |name: &Option<String>, bad: &mut BadCells| match (
                name,
                name.as_ref().and_then(|_| read.next()),
            ) {
                (Some(name), Some(column)) => columns::ints(column, name, bad),
                _ => Ints::Constant(0),
            };
            let episodes = key(&episode, &mut bad);
            let envs = key(&env_id, &mut bad);
            let steps = key(&step, &mut bad);
            if let Some(cell) = bad.cells.into_iter().min_by_key(|cell| cell.row) {
                let row = place.first_row + cell.row as u64;
                return Err(RecordError::cell(table.name(), row, &cell.column, cell.problem));
            }
            let mut row = 0;
            while row < place.n_rows {
                let end = episodes.run_end(row, runs.run_end(row, place.n_rows));
                let run = runs.get(row);
                summary.episodes.insert((run.clone(), episodes.get(row)));
                summary.runs.insert(run);
                row = end;
            }
            let mut row = 0;
            while row < place.n_rows {
                summary.envs.insert(envs.get(row));
                row = envs.run_end(row, place.n_rows);
            }
            if step.is_some() {
                for here in (0..place.n_rows).map(|row| steps.get(row)) {
                    let (low, high) = summary.steps.unwrap_or((here, here));
                    summary.steps = Some((low.min(here), high.max(here)));
                }
            }
            if let (Some(name), Some(column)) = (&reward, reward.as_ref().and_then(|_| read.next())) {
                let mut bad = BadCells::default();
                let values = columns::finite_floats(column, name, place.n_rows, &mut bad);
                summary.n_bad_rewards += bad.cells.len() as u64;
                for value in values.iter().filter(|value| value.is_finite()) {
                    let (low, high) = summary.rewards.unwrap_or((*value, *value));
                    summary.rewards = Some((low.min(*value), high.max(*value)));
                }
            }
            for name in obs.iter().chain(&numbered) {
                if let Some(super::table::Column::Values(array)) = read.next() {
                    summary.add_obs(table, name, place, array, numbered.len())?;
                }
            }
            summary.n_rows += place.n_rows as u64;
        }
        Ok(summary)
    }

    fn add_obs(
        &mut self,
        table: &Table,
        name: &str,
        place: &super::table::Part,
        array: Box<dyn polars_arrow::array::Array>,
        n_numbered: usize,
    ) -> Result<(), RecordError> {
        let count_bad = |values: &[f64]| values.iter().filter(|value| !value.is_finite()).count() as u64;
        if let Some(values) = columns::numbers(&*array) {
            self.n_bad_obs += count_bad(&values) + array.null_count() as u64;
            self.obs_width = Some(n_numbered.max(1));
            return Ok(());
        }
        let mut bad = BadCells::default();
        let what = "a list of numbers";
        let lists = columns::lists(super::table::Column::Values(array), name, what, &mut bad);
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
                found: super::table::describe_type(lists.values.dtype()),
            },
        })?;
        self.n_bad_obs += count_bad(&values);
        for row in 0..place.n_rows {
            let found = lists.range(row).len();
            let expected = *self.obs_width.get_or_insert(found);
            if found != expected {
                let problem = Problem::ObservationWidth { found, expected };
                return Err(RecordError::cell(table.name(), place.first_row + row as u64, name, problem));
            }
        }
        Ok(())
    }
}
