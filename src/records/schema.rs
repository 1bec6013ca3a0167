//! Field names, their accepted spellings, and which kind of rows a file holds.

use std::collections::BTreeMap;

use super::error::{Problem, RecordError};
use super::table::Table;
pub use crate::results::OnBad;

/// Fields a column can be mapped to, each with its accepted names, canonical first.
const FIELDS: [(&str, &[&str]); 19] = [
    ("run_id", &["run_id", "run", "run_dir"]),
    ("episode", &["episode", "episode_id", "episode_idx", "episode_index"]),
    ("env_id", &["env_id", "env", "env_idx"]),
    ("step", &["step", "t", "timestep", "frame_index", "inner_epoch"]),
    ("batch", &["batch", "epoch"]),
    ("slot_ids", &["slot_ids"]),
    ("config", &["config"]),
    ("mask", &["mask"]),
    ("perm", &["perm"]),
    ("pos", &["pos"]),
    ("obs", &["obs", "observation", "observation.state", "state"]),
    ("reward", &["reward", "next.reward", "rewards", "total_reward"]),
    ("terminated", &["terminated", "next.terminated"]),
    ("truncated", &["truncated", "next.truncated"]),
    ("done", &["done", "next.done"]),
    ("rolled_back", &["rolled_back", "rollback"]),
    ("value", &["value"]),
    ("return", &["return"]),
    ("round", &["round", "rollout", "batch"]),
];

/// Prefix of one-column-per-slot configurations.
pub(super) const SLOT_PREFIX: &str = "slot:";

/// Value columns looked for when none is asked for, best first.
pub(super) const DEFAULT_VALUES: [&str; 2] = ["val_accuracy", "val_loss"];

/// What the rows of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Evaluated configurations of slots.
    Coalitions,
    /// Environment steps.
    Transitions,
    /// Something else.
    Other,
}

impl FileKind {
    /// A word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coalitions => "coalitions",
            Self::Transitions => "transitions",
            Self::Other => "other",
        }
    }

    /// Its rows, for messages.
    pub(super) fn rows(self) -> &'static str {
        match self {
            Self::Coalitions => "coalition rows",
            Self::Transitions => "transition rows",
            Self::Other => "other rows",
        }
    }
}

/// Column mappings given by the user, `FIELD=NAME`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMap {
    entries: Vec<(String, String)>,
}

impl ColumnMap {
    /// Parses mappings.
    ///
    /// # Errors
    /// Says which fields exist if one is unknown, and which is mapped twice.
    pub fn parse(mappings: &[String]) -> Result<Self, String> {
        let mut entries: Vec<(String, String)> = Vec::new();
        for mapping in mappings {
            let Some((field, column)) = mapping.split_once('=') else {
                return Err(format!("'{mapping}' is not of the form FIELD=NAME"));
            };
            if !FIELDS.iter().any(|(name, _)| *name == field) {
                let known: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
                return Err(format!("unknown field '{field}'; the fields are {}", known.join(", ")));
            }
            if let Some((_, other)) = entries.iter().find(|(known, _)| known == field) {
                return Err(format!("{field} is mapped twice, to {other} and to {column}"));
            }
            entries.push((field.to_owned(), column.to_owned()));
        }
        Ok(Self { entries })
    }

    /// Mappings as settings hold them.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.entries.iter().cloned().collect()
    }

    /// Mappings that were checked before they became settings.
    pub fn of_map(columns: &BTreeMap<String, String>) -> Self {
        Self { entries: columns.iter().map(|(field, name)| (field.clone(), name.clone())).collect() }
    }

    /// The column that the user mapped `field` to.
    pub(super) fn column_of(&self, field: &str) -> Option<&str> {
        self.entries.iter().find(|(name, _)| name == field).map(|(_, column)| column.as_str())
    }

    /// The column that holds `field` in `table`, if any.
    ///
    /// # Errors
    /// If the user mapped the field to a column that is not there.
    pub(super) fn find(&self, table: &Table, field: &str) -> Result<Option<String>, RecordError> {
        if let Some((_, column)) = self.entries.iter().find(|(name, _)| name == field) {
            return if table.has_column(column) {
                Ok(Some(column.clone()))
            } else {
                Err(RecordError::file(
                    table.name(),
                    Problem::MappedColumnMissing {
                        field: field.to_owned(),
                        column: column.clone(),
                        found: table.column_names(),
                    },
                ))
            };
        }
        let names = FIELDS.iter().find(|(name, _)| *name == field).map_or(&[][..], |(_, names)| names);
        Ok(names.iter().find(|name| table.has_column(name)).map(|name| (*name).to_owned()))
    }

    /// Which kind of rows `table` holds.
    ///
    /// # Errors
    /// As `ColumnMap::find`.
    pub fn kind(&self, table: &Table) -> Result<FileKind, RecordError> {
        let has_slots = table.column_names().iter().any(|name| name.starts_with(SLOT_PREFIX));
        if has_slots || self.find(table, "config")?.is_some() || self.find(table, "mask")?.is_some() {
            return Ok(FileKind::Coalitions);
        }
        let has_numbered = table.has_column("obs_0");
        if has_numbered || self.find(table, "obs")?.is_some() || self.find(table, "reward")?.is_some() {
            return Ok(FileKind::Transitions);
        }
        Ok(FileKind::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_checked() {
        assert!(ColumnMap::parse(&["mask=bits".to_owned()]).is_ok());
        assert!(ColumnMap::parse(&["mask".to_owned()]).expect_err("no =").contains("FIELD=NAME"));
        assert!(ColumnMap::parse(&["msk=bits".to_owned()]).expect_err("unknown").contains("slot_ids"));
        let twice = ["mask=bits", "mask=on"].map(str::to_owned);
        assert!(ColumnMap::parse(&twice).expect_err("twice").contains("to bits and to on"));
    }
}
