//! What is odd about the rows of a file: every kind of oddity with how many rows show it and where it is seen first.
//!
//! One pass, in the order of the file; memory grows with runs and environments, not with rows.

use std::collections::BTreeMap;

use polars_arrow::array::Array;

use super::coalitions::GameSummary;
use super::columns::{self, BadCells, Ints, Texts};
use super::error::RecordError;
use super::part::Column;
use super::schema::{ColumnMap, numbered_obs, obs_parts};
use super::table::{RowDefaults, Table};
use crate::results::ProblemRow;

/// Oddities of one kind, gathered.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<(&'static str, String), (u64, Option<u64>)>,
}

impl Tally {
    fn add(&mut self, problem: &'static str, place: impl Into<String>, row: Option<u64>) {
        let (n, first) = self.counts.entry((problem, place.into())).or_default();
        *n += 1;
        *first = first.or(row);
    }

    fn rows(self) -> Vec<ProblemRow> {
        let row = |((problem, place), (n, first_row)): ((&str, String), (u64, Option<u64>))| ProblemRow {
            problem: problem.to_owned(),
            place,
            n,
            first_row,
        };
        self.counts.into_iter().map(row).collect()
    }
}

/// How far one environment of one run has come.
#[derive(Default)]
struct Lane {
    last: Option<(i64, i64)>,
    /// Step that its episodes begin with, as far as they show it.
    first_step: Option<i64>,
    has_ended: bool,
    n_rows: u64,
}

/// Columns of steps that are looked at.
struct StepColumns {
    run_id: Option<String>,
    seed: Option<String>,
    episode: Option<String>,
    env_id: Option<String>,
    step: Option<String>,
    reward: Option<String>,
    flags: Vec<String>,
    obs: Vec<String>,
}

impl StepColumns {
    fn find(table: &Table, map: &ColumnMap) -> Result<Self, RecordError> {
        let find = |role: &str| map.find(table, role);
        let flags =
            ["terminated", "truncated", "done"].map(find).into_iter().collect::<Result<Vec<_>, _>>()?;
        let obs = if map.obs().is_empty() {
            find("obs")?.map_or_else(
                || numbered_obs(table).or_else(|| obs_parts(table)).unwrap_or_default(),
                |name| vec![name],
            )
        } else {
            map.obs().to_vec()
        };
        let run_id = find("run_id")?;
        Ok(Self {
            seed: find("seed")?.filter(|name| run_id.as_ref() != Some(name)),
            run_id,
            episode: find("episode")?,
            env_id: find("env_id")?,
            step: find("step")?,
            reward: find("reward")?,
            flags: flags.into_iter().flatten().collect(),
            obs,
        })
    }

    fn names(&self) -> Vec<String> {
        let single = [&self.run_id, &self.seed, &self.episode, &self.env_id, &self.step, &self.reward];
        single.into_iter().flatten().chain(&self.flags).chain(&self.obs).cloned().collect()
    }
}

/// Oddities of environment steps.
///
/// # Errors
/// A part that cannot be decoded.
pub(super) fn step_problems(table: &Table, map: &ColumnMap) -> Result<Vec<ProblemRow>, RecordError> {
    let columns = StepColumns::find(table, map)?;
    let names = columns.names();
    let mut found = StepProblems::default();
    for (part, place) in table.parts().iter().enumerate() {
        let arrays = table.read_arrays(part, &(0..place.n_rows), &names)?;
        let array = |name: &String| names.iter().position(|other| other == name).map(|i| arrays[i].clone());
        found.add_part(&columns, table.defaults(), place.first_row, place.n_rows, &array);
    }
    Ok(found.finish(&columns))
}

#[derive(Default)]
struct StepProblems {
    tally: Tally,
    lanes: BTreeMap<(String, i64), Lane>,
    /// Least and greatest value of every dimension.
    spans: BTreeMap<String, (f64, f64)>,
    /// Values per row, by column of observations.
    widths: BTreeMap<String, usize>,
}

impl StepProblems {
    fn add_part(
        &mut self,
        columns: &StepColumns,
        defaults: RowDefaults<'_>,
        first_row: u64,
        n_rows: usize,
        array: &dyn Fn(&String) -> Option<Box<dyn Array>>,
    ) {
        let mut bad = BadCells::default();
        let column = |name: &Option<String>| {
            let name = name.as_ref()?;
            Some((Column::Values(array(name)?), name.clone()))
        };
        let runs = match column(&columns.run_id) {
            Some((values, name)) => columns::run_ids(values, &name, &mut bad),
            None => Texts::Constant(defaults.run.to_owned()),
        };
        let runs = match column(&columns.seed) {
            Some((values, name)) => runs.joined(&name, &columns::run_ids(values, &name, &mut bad), n_rows),
            None => runs,
        };
        let mut ints = |name: &Option<String>| match column(name) {
            Some((values, name)) => columns::ints(values, &name, &mut bad),
            None => Ints::Constant(0),
        };
        let (episodes, envs, steps) = (ints(&columns.episode), ints(&columns.env_id), ints(&columns.step));
        let episodes = if columns.episode.is_some() { episodes } else { Ints::Constant(defaults.episode) };
        let mut ended = vec![false; n_rows];
        for name in &columns.flags {
            let Some(values) = array(name) else { continue };
            let flags = columns::flags(&*values, name, &mut bad);
            ended.iter_mut().zip(flags).for_each(|(ended, flag)| *ended |= flag);
        }
        for cell in &bad.cells {
            let row = first_row + cell.row as u64;
            self.tally.add("a cell that cannot be read", format!("column {}", cell.column), Some(row));
        }
        let is_bad = |row: usize| bad.cells.iter().any(|cell| cell.row == row);
        let has_bad = !bad.cells.is_empty();
        for (row, has_ended) in ended.into_iter().enumerate() {
            if has_bad && is_bad(row) {
                continue;
            }
            let step = columns.step.is_some().then(|| steps.get(row));
            self.add_row(
                &runs.get(row),
                envs.get(row),
                episodes.get(row),
                step,
                has_ended,
                first_row + row as u64,
            );
        }
        if let Some(values) = columns.reward.as_ref().and_then(array) {
            let name = columns.reward.clone().unwrap_or_default();
            self.add_numbers(&name, &*values, first_row);
        }
        for name in &columns.obs {
            let Some(values) = array(name) else { continue };
            if columns::is_list(values.dtype()) {
                self.add_lists(name, values, first_row, n_rows);
            } else {
                self.add_numbers(name, &*values, first_row);
            }
        }
    }

    fn add_row(&mut self, run: &str, env: i64, episode: i64, step: Option<i64>, ended: bool, row: u64) {
        let lane = self.lanes.entry((run.to_owned(), env)).or_default();
        let place = || format!("run {run}, env {env}");
        if let (Some(last), Some(step)) = (lane.last, step) {
            if (episode, step) == last {
                self.tally.add("an (episode, step) twice in a row", place(), Some(row));
            } else if (episode, step) < last {
                self.tally.add("a step before the one above it", place(), Some(row));
            } else if episode == last.0 && step > last.1 + 1 {
                self.tally.add("steps missing within an episode", place(), Some(row));
            }
            if episode > last.0 && lane.first_step.is_some_and(|first| step > first) {
                self.tally.add("steps missing at the beginning of an episode", place(), Some(row));
            }
            if lane.has_ended && episode == last.0 && step > last.1 {
                self.tally.add("a row after the end of its episode", place(), Some(row));
            }
        }
        let begins = lane.last.is_none_or(|last| episode > last.0);
        if let Some(step) = step.filter(|_| begins) {
            lane.first_step = Some(lane.first_step.map_or(step, |first| first.min(step)));
        }
        lane.last = Some((episode, step.unwrap_or(0)));
        lane.has_ended = ended;
        lane.n_rows += 1;
    }

    fn add_numbers(&mut self, name: &str, array: &dyn Array, first_row: u64) {
        let Some(values) = columns::numbers(array) else { return };
        for (row, value) in values.iter().enumerate() {
            let is_null = array.validity().is_some_and(|validity| !validity.get_bit(row));
            if is_null {
                self.tally.add(
                    "a null where a number is needed",
                    format!("column {name}"),
                    Some(first_row + row as u64),
                );
            } else {
                self.add_value(name.to_owned(), *value, first_row + row as u64);
            }
        }
    }

    fn add_value(&mut self, name: String, value: f64, row: u64) {
        if !value.is_finite() {
            self.tally.add("a number that is not finite", format!("column {name}"), Some(row));
            return;
        }
        let (low, high) = self.spans.entry(name).or_insert((value, value));
        (*low, *high) = (low.min(value), high.max(value));
    }

    fn add_lists(&mut self, name: &str, array: Box<dyn Array>, first_row: u64, n_rows: usize) {
        let mut bad = BadCells::default();
        let Some(lists) = columns::lists(Column::Values(array), name, "a list of numbers", &mut bad) else {
            return;
        };
        for cell in &bad.cells {
            self.tally.add(
                "a null where a list is needed",
                format!("column {name}"),
                Some(first_row + cell.row as u64),
            );
        }
        let Some(values) = columns::numbers(&*lists.values) else { return };
        if n_rows == 0 {
            return;
        }
        let width = *self.widths.entry(name.to_owned()).or_insert(lists.range(0).len());
        for row in 0..n_rows {
            let range = lists.range(row);
            let number = first_row + row as u64;
            if range.len() != width {
                self.tally.add("an observation of another width", format!("column {name}"), Some(number));
                continue;
            }
            for (dimension, value) in values[range].iter().enumerate() {
                self.add_value(format!("{name}[{dimension}]"), *value, number);
            }
        }
    }

    fn finish(mut self, columns: &StepColumns) -> Vec<ProblemRow> {
        let is_constant = |(low, high): (f64, f64)| low.total_cmp(&high).is_eq();
        let n_rows: u64 = self.lanes.values().map(|lane| lane.n_rows).sum();
        let is_obs = |name: &String| columns.reward.as_ref() != Some(name);
        let constant: Vec<String> = (self.spans.iter())
            .filter(|(name, span)| is_obs(name) && n_rows > 1 && is_constant(**span))
            .map(|(name, _)| name.clone())
            .collect();
        for name in constant {
            self.tally.add("a dimension that never changes", format!("column {name}"), None);
        }
        let mut by_run: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
        for ((run, _), lane) in &self.lanes {
            let (n, least, most) = by_run.entry(run).or_insert((0, u64::MAX, 0));
            (*n, *least, *most) = (*n + 1, (*least).min(lane.n_rows), (*most).max(lane.n_rows));
        }
        let uneven: Vec<String> = (by_run.into_iter())
            .filter(|(_, (n, least, most))| *n > 1 && least != most)
            .map(|(run, (_, least, most))| format!("run {run}: {least} to {most} rows"))
            .collect();
        for place in uneven {
            self.tally.add("environments out of step", place, None);
        }
        self.tally.rows()
    }
}

/// Oddities of games.
pub(super) fn game_problems(games: &[GameSummary]) -> Vec<ProblemRow> {
    let mut tally = Tally::default();
    for game in games {
        if !game.is_complete && game.n_walks == 0 {
            tally.add(
                "a game that lacks coalitions",
                format!("{}: {}", game.key, game.missing.join(", ")),
                None,
            );
        }
        if game.n_repeated > 0 {
            tally.add(
                "rows that repeat coalitions",
                format!("{} ({} rows)", game.key, game.n_repeated),
                None,
            );
        }
    }
    tally.rows()
}
