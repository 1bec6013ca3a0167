//! Field names, their accepted spellings, and which kind of rows a file holds.

use std::collections::{BTreeMap, BTreeSet};

use polars_arrow::datatypes::ArrowDataType;

use super::columns;
use super::error::{Problem, RecordError};
use super::table::Table;
use crate::attribution::fits_pattern;
pub use crate::results::OnBad;

/// Fields a column can be mapped to, each with its accepted names, canonical first.
const FIELDS: [(&str, &[&str]); 21] = [
    ("run_id", &["run_id", "run", "run_dir"]),
    ("episode", &["episode", "episode_id", "episode_idx", "episode_index"]),
    ("seed", &["seed", "trial", "replicate", "fold"]),
    ("env_id", &["env_id", "env", "env_idx", "env_index", "environment"]),
    ("step", &["step", "t", "timestep", "frame_index", "inner_epoch"]),
    ("batch", &["batch", "epoch"]),
    ("slot_ids", &["slot_ids"]),
    ("config", &["config"]),
    ("mask", &["mask"]),
    ("players_on", &["players_on"]),
    ("perm", &["perm"]),
    ("pos", &["pos"]),
    ("obs", &["obs", "observation", "observation.state", "state", "observations", "states"]),
    ("reward", &["reward", "next.reward", "rewards", "total_reward"]),
    (
        "terminated",
        &["terminated", "next.terminated", "terminateds", "terminations", "terminal", "terminals"],
    ),
    ("truncated", &["truncated", "next.truncated", "truncateds", "truncations", "timeout", "timeouts"]),
    ("done", &["done", "next.done", "dones"]),
    ("rolled_back", &["rolled_back", "rollback"]),
    ("value", &["value"]),
    ("return", &["return"]),
    ("round", &["round", "rollout", "batch"]),
];

/// Prefixes of the columns that are parts of an observation.
const OBS_PARTS: [&str; 2] = ["observations.", "obs."];

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

/// Fields of flags: a Boolean column of such a name is no player.
const FLAGS: [&str; 4] = ["terminated", "truncated", "done", "rolled_back"];

/// Which columns play which role, as the user says: fields by name, and the lists of columns that have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMap {
    entries: Vec<(String, String)>,
    players: Vec<String>,
    obs: Vec<String>,
    by: Vec<String>,
    values: Vec<String>,
}

impl ColumnMap {
    /// The same with these two-state columns as players.
    #[must_use]
    pub fn with_players(self, players: &[String]) -> Self {
        Self { players: players.to_vec(), ..self }
    }

    /// The same with these columns as observations.
    #[must_use]
    pub fn with_obs(self, obs: &[String]) -> Self {
        Self { obs: obs.to_vec(), ..self }
    }

    /// The same with these columns as parts of a game's key.
    #[must_use]
    pub fn with_by(self, by: &[String]) -> Self {
        Self { by: by.to_vec(), ..self }
    }

    /// The same with these value columns asked for.
    #[must_use]
    pub(super) fn with_values(self, values: &[String]) -> Self {
        Self { values: values.to_vec(), ..self }
    }

    /// Columns named as players, and patterns of them, as they were given.
    pub(super) fn players(&self) -> &[String] {
        &self.players
    }

    /// The columns of a table that are named as players: a name that no column has is a pattern of columns without another
    /// role.
    ///
    /// # Errors
    /// The name that neither is a column nor fits one.
    pub(super) fn named_players(&self, table: &Table) -> Result<Vec<String>, String> {
        let mut found: Vec<String> = Vec::new();
        for asked in &self.players {
            if table.has_column(asked) {
                found.push(asked.clone());
                continue;
            }
            let fits = |name: &String| self.is_player(name) && fits_pattern(asked, name);
            let fitting: Vec<String> = table.column_names().into_iter().filter(fits).collect();
            if fitting.is_empty() {
                return Err(asked.clone());
            }
            found.extend(fitting);
        }
        let mut seen = BTreeSet::new();
        found.retain(|name| seen.insert(name.clone()));
        Ok(found)
    }

    /// Whether a column is named as a player, by itself or, where it has no other role, by a pattern.
    pub fn is_player(&self, column: &str) -> bool {
        let has_role = self.has_role(column)
            || [&self.obs, &self.values].into_iter().any(|names| names.iter().any(|name| name == column));
        let is_named = |asked: &String| asked == column || (!has_role && fits_pattern(asked, column));
        self.players.iter().any(is_named)
    }

    /// Columns named as observations.
    pub(super) fn obs(&self) -> &[String] {
        &self.obs
    }

    /// Columns that are part of a game's key.
    pub(super) fn by(&self) -> &[String] {
        &self.by
    }

    /// The Boolean columns that are taken as players where nothing else says which those are.
    pub(super) fn boolean_players(&self, table: &Table) -> Vec<String> {
        let has_role = |name: &String| self.by.contains(name) || self.values.contains(name);
        let is_flag = |name: &String| {
            FLAGS.iter().any(|flag| Self::is_field(name, flag))
                || self.entries.iter().any(|(_, column)| column == name)
        };
        let is_boolean = |name: &String| table.column_type(name) == Some(&ArrowDataType::Boolean);
        let names = table.column_names().into_iter();
        names.filter(|name| is_boolean(name) && !is_flag(name) && !has_role(name)).collect()
    }

    /// Whether a column is of a name that `field` is known by.
    fn is_field(column: &str, field: &str) -> bool {
        FIELDS.iter().any(|(name, known)| *name == field && known.contains(&column))
    }

    /// Whether a column is of a name that some field is known by, or mapped to one.
    pub(super) fn has_role(&self, column: &str) -> bool {
        FIELDS.iter().any(|(_, known)| known.contains(&column))
            || self.entries.iter().any(|(_, name)| name == column)
            || self.by.iter().any(|name| name == column)
    }

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
        Ok(Self { entries, ..Self::default() })
    }

    /// Mappings as settings hold them.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.entries.iter().cloned().collect()
    }

    /// Mappings that were checked before they became settings.
    pub fn of_map(columns: &BTreeMap<String, String>) -> Self {
        let entries = columns.iter().map(|(field, name)| (field.clone(), name.clone())).collect();
        Self { entries, ..Self::default() }
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
        Ok(names_of(field).iter().find(|name| table.has_column(name)).map(|name| (*name).to_owned()))
    }

    /// Which kind of rows `table` holds.
    ///
    /// # Errors
    /// As `ColumnMap::find`.
    pub fn kind(&self, table: &Table) -> Result<FileKind, RecordError> {
        let has_one_of = |names: &[String]| names.iter().any(|name| table.has_column(name));
        let has_players =
            !self.players.is_empty() && table.column_names().iter().any(|name| self.is_player(name));
        let has_slots = table.column_names().iter().any(|name| name.starts_with(SLOT_PREFIX));
        let has = |field: &str| Ok::<bool, RecordError>(self.find(table, field)?.is_some());
        if has_players || has_slots || has("config")? || has("mask")? || has("players_on")? {
            return Ok(FileKind::Coalitions);
        }
        if has_one_of(&self.obs)
            || numbered_obs(table).is_some()
            || obs_parts(table).is_some()
            || has("obs")?
            || has("reward")?
        {
            return Ok(FileKind::Transitions);
        }
        let has_value = has_one_of(&self.values)
            || DEFAULT_VALUES.iter().any(|name| self.values.is_empty() && table.has_column(name));
        if has_value && !self.boolean_players(table).is_empty() {
            return Ok(FileKind::Coalitions);
        }
        Ok(FileKind::Other)
    }
}

/// The columns of one value each that are an observation together: `obs_0`, `obs_1` and so on, or `obs0`, `obs1`.
pub(super) fn numbered_obs(table: &Table) -> Option<Vec<String>> {
    ["obs_", "obs"].into_iter().find_map(|prefix| {
        let numbered = (0..table.column_names().len()).map(|i| format!("{prefix}{i}"));
        let names: Vec<String> = numbered.take_while(|name| table.has_column(name)).collect();
        (!names.is_empty()).then_some(names)
    })
}

/// Names that columns of a field may have, canonical first.
pub(super) fn names_of(field: &str) -> &'static [&'static str] {
    FIELDS.iter().find(|(name, _)| *name == field).map_or(&[][..], |(_, names)| names)
}

/// Columns of numbers that are the parts of an observation, `obs.a` and the like, where there are some.
pub(super) fn obs_parts(table: &Table) -> Option<Vec<String>> {
    let is_of_numbers = |name: &String| {
        table.column_type(name).is_some_and(|dtype| columns::is_numeric(dtype) || columns::is_list(dtype))
    };
    OBS_PARTS.into_iter().find_map(|prefix| {
        let is_part = |name: &String| name.starts_with(prefix) && is_of_numbers(name);
        let names: Vec<String> = table.column_names().into_iter().filter(is_part).collect();
        (!names.is_empty()).then_some(names)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_the_columns_without_another_role() {
        let map = ColumnMap::default()
            .with_players(&["use_*".to_owned(), "episode".to_owned()])
            .with_values(&["use_of_memory".to_owned()]);
        for (column, is_player) in [
            ("use_norm", true),
            ("use_of_memory", false),
            ("reuse_norm", false),
            // Named by itself, whatever else it could be.
            ("episode", true),
        ] {
            assert_eq!(map.is_player(column), is_player, "{column}");
        }
        let all = ColumnMap::default().with_players(&["*".to_owned()]);
        assert!(all.is_player("a") && !all.is_player("run_id") && !all.is_player("env"));
    }

    #[test]
    fn mappings_are_checked() {
        assert!(ColumnMap::parse(&["mask=bits".to_owned()]).is_ok());
        assert!(ColumnMap::parse(&["mask".to_owned()]).expect_err("no =").contains("FIELD=NAME"));
        assert!(ColumnMap::parse(&["msk=bits".to_owned()]).expect_err("unknown").contains("slot_ids"));
        let twice = ["mask=bits", "mask=on"].map(str::to_owned);
        assert!(ColumnMap::parse(&twice).expect_err("twice").contains("to bits and to on"));
    }
}
