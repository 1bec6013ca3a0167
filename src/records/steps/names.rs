//! Names of the columns that step rows are read from.

use super::super::columns;
use super::super::error::{Problem, RecordError};
use super::super::guess;
use super::super::schema::{names_of, numbered_obs, obs_parts};
use super::super::table::Table;
use super::options::{Clock, StepOptions, StepTarget};

/// Names of the columns read from one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyNames {
    pub(super) run_id: Option<String>,
    /// What tells replicates of a run apart.
    pub(super) seed: Option<String>,
    pub(super) episode: Option<String>,
    pub(super) env_id: Option<String>,
    pub(super) step: Option<String>,
    pub(super) clock: Option<String>,
    pub(super) round: Option<String>,
    pub(super) rolled_back: Option<String>,
    pub(super) terminated: Option<String>,
    pub(super) truncated: Option<String>,
    pub(super) done: Option<String>,
    /// Columns of the values.
    pub(super) values: Vec<String>,
}

impl KeyNames {
    /// The columns that `table` has for what `options` ask.
    pub(super) fn find(table: &Table, options: &StepOptions) -> Result<Self, RecordError> {
        let find = |field: &str| options.columns.find(table, field);
        let missing = |needed: String| {
            RecordError::file(table.name(), Problem::MissingColumns { needed, found: table.column_names() })
        };
        let clock = match &options.clock {
            Clock::Column(name) if table.has_column(name) => Some(name.clone()),
            Clock::Column(name) => return Err(missing(format!("clock column {name}"))),
            _ => None,
        };
        let round = find("round")?;
        if options.needs_round && round.is_none() {
            return Err(missing("round column (round, rollout or batch)".to_owned()));
        }
        let values = find_values(table, options)?;
        let flag = |field: &str| {
            let column = find(field)?;
            let dtype = column.as_ref().and_then(|column| table.column_type(column));
            if let Some(problem) = dtype.and_then(|dtype| columns::check_flag_type(dtype).err()) {
                return Err(RecordError { file: table.name().to_owned(), row: None, column, problem });
            }
            Ok(column)
        };
        let run_id = find("run_id")?;
        let has_role = |name: &String| run_id.as_ref() == Some(name) || values.contains(name);
        Ok(Self {
            seed: find("seed")?.filter(|name| !has_role(name)),
            run_id,
            episode: find("episode")?,
            env_id: find("env_id")?,
            step: find("step")?,
            clock,
            round: round.filter(|_| options.needs_round),
            rolled_back: flag("rolled_back")?,
            terminated: flag("terminated")?,
            truncated: flag("truncated")?,
            done: flag("done")?,
            values,
        })
    }

    /// The key columns that order depends on.
    pub(super) fn ordering(&self) -> Vec<String> {
        let names = [&self.run_id, &self.seed, &self.episode, &self.env_id, &self.step, &self.clock];
        let mut distinct: Vec<String> = Vec::new();
        for name in names.into_iter().flatten() {
            if !distinct.contains(name) {
                distinct.push(name.clone());
            }
        }
        distinct
    }

    /// All columns.
    pub(super) fn all(&self) -> Vec<String> {
        let mut names = self.ordering();
        let others = [&self.round, &self.rolled_back, &self.terminated, &self.truncated, &self.done];
        names.extend(others.into_iter().flatten().cloned());
        names.extend(self.values.iter().cloned());
        names
    }
}

/// The columns that hold the values asked for.
fn find_values(table: &Table, options: &StepOptions) -> Result<Vec<String>, RecordError> {
    let is_obs = options.target == StepTarget::Obs;
    let asked = options.columns.obs();
    if is_obs && !asked.is_empty() {
        if let Some(error) = asked.iter().find_map(|name| table.not_read(name)) {
            return Err(error);
        }
        return match asked.iter().find(|name| !table.has_column(name)) {
            Some(column) => {
                let (column, found) = (column.clone(), table.column_names());
                Err(RecordError::file(
                    table.name(),
                    Problem::NamedColumnMissing { flag: "obs", column, found },
                ))
            }
            None => Ok(asked.to_vec()),
        };
    }
    let field = options.target.field();
    if let Some(column) = options.columns.find(table, field)? {
        return Ok(vec![column]);
    }
    if is_obs && let Some(numbered) = numbered_obs(table) {
        return refuse_gap(table, numbered);
    }
    if is_obs && let Some(parts) = obs_parts(table) {
        return Ok(parts);
    }
    if let Some(error) = names_of(field).iter().find_map(|name| table.not_read(name)) {
        return Err(error);
    }
    let (needed, found) = (format!("{field} column"), table.column_names());
    let problem = match guess::obs_argument(table, &options.columns).filter(|_| is_obs) {
        Some(command) => Problem::RolesNotNamed { needed, found, command },
        None => Problem::MissingColumns { needed, found },
    };
    Err(RecordError::file(table.name(), problem))
}

/// Numbered columns, if none is left over: a gap would cut the observation short without a word.
fn refuse_gap(table: &Table, numbered: Vec<String>) -> Result<Vec<String>, RecordError> {
    let prefix = numbered[0].trim_end_matches('0').to_owned();
    let is_numbered = |name: &String| {
        name.strip_prefix(&prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let left_over =
        table.column_names().into_iter().find(|name| is_numbered(name) && !numbered.contains(name));
    match left_over {
        None => Ok(numbered),
        Some(column) => {
            let needed = format!("column {prefix}{} before {column}", numbered.len());
            let found = table.column_names();
            Err(RecordError::file(table.name(), Problem::MissingColumns { needed, found }))
        }
    }
}
