//! Names of the columns that step rows are read from.

use super::super::columns;
use super::super::error::{Problem, RecordError};
use super::super::table::Table;
use super::options::{Clock, StepOptions, StepTarget};

/// Names of the columns read from one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyNames {
    pub(super) run_id: Option<String>,
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
        let field = options.target.field();
        let mut values: Vec<String> = find(field)?.into_iter().collect();
        if values.is_empty() && options.target == StepTarget::Obs {
            let numbered = (0..table.column_names().len()).map(|i| format!("obs_{i}"));
            values = numbered.take_while(|name| table.has_column(name)).collect();
        }
        if values.is_empty() {
            return Err(missing(format!("{field} column")));
        }
        let flag = |field: &str| {
            let column = find(field)?;
            let dtype = column.as_ref().and_then(|column| table.column_type(column));
            if let Some(problem) = dtype.and_then(|dtype| columns::check_flag_type(dtype).err()) {
                return Err(RecordError { file: table.name().to_owned(), row: None, column, problem });
            }
            Ok(column)
        };
        Ok(Self {
            run_id: find("run_id")?,
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
        let names = [&self.run_id, &self.episode, &self.env_id, &self.step, &self.clock];
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
