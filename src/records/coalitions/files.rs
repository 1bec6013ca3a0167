//! Which files have coalition rows, and in which columns.

use std::collections::BTreeMap;

use super::super::columns;
use super::super::copies::{RunSource, refuse_copies};
use super::super::error::{Problem, RecordError};
use super::super::guess;
use super::super::opened::{WantedFiles, open_tables};
use super::super::schema::{ColumnMap, DEFAULT_VALUES, FileKind, OnBad, SLOT_PREFIX};
use super::super::skips::SkipReport;
use super::super::sources::InputFile;
use super::super::table::Table;
use super::super::twins::{Likeness, TwinColumns, refuse_twins};
use super::encoding::{CoalitionEncoding, PlayerColumn};
use super::options::CoalitionOptions;

/// Columns of one file.
pub(super) struct FileColumns {
    /// Columns that make groups.
    pub(super) by: Vec<String>,
    pub(super) run_id: Option<String>,
    /// What tells replicates of a run apart.
    pub(super) seed: Option<String>,
    pub(super) episode: Option<String>,
    pub(super) env_id: Option<String>,
    pub(super) batch: Option<String>,
    pub(super) encoding: CoalitionEncoding,
    pub(super) values: Vec<String>,
    pub(super) walk: Option<WalkNames>,
}

/// Columns of recorded permutations.
pub(super) struct WalkNames {
    pub(super) perm: String,
    pub(super) position: String,
}

/// Files of coalition rows, and what each holds.
pub(super) struct CoalitionFiles {
    pub(super) tables: Vec<Table>,
    /// Columns of each table.
    pub(super) columns: Vec<FileColumns>,
    pub(super) value_names: Vec<String>,
}

impl CoalitionFiles {
    /// Opens `files`; those of another kind are left aside with a note.
    pub(super) fn open(
        files: &[InputFile],
        options: &CoalitionOptions,
        skipped: &mut SkipReport,
        notes: &mut Vec<String>,
    ) -> Result<Self, RecordError> {
        let columns = options.columns.clone().with_values(&options.values);
        let wanted = WantedFiles {
            kind: FileKind::Coalitions,
            columns: &columns,
            on_bad: options.on_bad,
            needed_columns:
                "coalition columns (config, mask, players_on, slot:<id> or --players, with a value column)"
                    .to_owned(),
        };
        let tables = open_tables(files, &wanted, skipped, notes)?;
        let value_names = resolve_values(&tables, &options.values, &columns)?;
        let mut found = Self { tables: Vec::new(), columns: Vec::new(), value_names };
        for table in tables {
            match FileColumns::find(&table, &columns, &found.value_names) {
                Ok(columns) => {
                    found.columns.push(columns);
                    found.tables.push(table);
                }
                Err(error) if options.on_bad == OnBad::Skip && error.is_skippable() => {
                    *skipped.files.entry(error.class()).or_default() += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let sources = found.tables.iter().zip(&found.columns);
        let sources = sources
            .map(|(table, columns)| RunSource { file: table.file(), has_run_id: columns.run_id.is_some() });
        refuse_copies(&sources.collect::<Vec<_>>())?;
        let twins = found.tables.iter().zip(&found.columns).map(|(table, columns)| {
            let keys = columns.episode.iter().chain(&columns.env_id).cloned().collect();
            (table, TwinColumns { keys, values: columns.values.clone() })
        });
        refuse_twins(&twins.collect::<Vec<_>>(), Likeness::COALITIONS)?;
        notes.extend(found.players_taken(&columns));
        Ok(found)
    }

    /// Columns that are taken as players without having been named.
    fn players_taken(&self, columns: &ColumnMap) -> Option<String> {
        let taken = |columns: &FileColumns| match &columns.encoding {
            CoalitionEncoding::Players(players)
                if players.iter().all(|player| player.column == player.id) =>
            {
                Some(players.iter().map(|player| player.id.clone()).collect::<Vec<_>>())
            }
            _ => None,
        };
        let players = self.columns.iter().find_map(taken).filter(|_| columns.players().is_empty())?;
        Some(format!("players are the Boolean columns {}; --players A,B,C names others", players.join(", ")))
    }
}

impl FileColumns {
    /// Columns by the role they play.
    pub(super) fn roles(&self) -> BTreeMap<String, Vec<String>> {
        let one = |name: &Option<String>| name.iter().cloned().collect::<Vec<_>>();
        let walk = self.walk.iter().flat_map(|walk| [walk.perm.clone(), walk.position.clone()]).collect();
        let roles = [
            ("by", self.by.clone()),
            ("run_id", one(&self.run_id)),
            ("seed", one(&self.seed)),
            ("episode", one(&self.episode)),
            ("env_id", one(&self.env_id)),
            ("batch", one(&self.batch)),
            ("players", self.encoding.columns()),
            ("value", self.values.clone()),
            ("permutation", walk),
        ];
        roles
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(role, names)| (role.to_owned(), names))
            .collect()
    }

    /// The columns of a part in the order in which they are taken.
    pub(super) fn names(&self) -> Vec<String> {
        let keys = [&self.run_id, &self.seed, &self.episode, &self.env_id, &self.batch];
        let mut names: Vec<String> = self.by.clone();
        names.extend(keys.into_iter().flatten().cloned());
        names.extend(self.encoding.columns());
        names.extend(self.values.iter().cloned());
        names.extend(self.walk.iter().flat_map(|walk| [walk.perm.clone(), walk.position.clone()]));
        names
    }

    fn find(table: &Table, columns: &ColumnMap, values: &[String]) -> Result<Self, RecordError> {
        let find = |field: &str| columns.find(table, field);
        for value in values {
            if !table.has_column(value) {
                return Err(missing_value(table, value, columns));
            }
        }
        let encoding = find_encoding(table, columns)?;
        let walk = match (find("perm")?, find("pos")?) {
            (Some(perm), Some(position)) => Some(WalkNames { perm, position }),
            (None, None) => None,
            _ => return Err(RecordError::file(table.name(), Problem::HalfWalk)),
        };
        let by = columns.by().to_vec();
        if let Some(column) = by.iter().find(|column| !table.has_column(column)) {
            return Err(missing(table, "by", column));
        }
        let run_id = find("run_id")?;
        let in_key = |name: &String| by.contains(name) || run_id.as_ref() == Some(name);
        let seed = find("seed")?.filter(|name| !in_key(name) && !encoding.columns().contains(name));
        let key = |field: &str| Ok::<_, RecordError>(find(field)?.filter(|name| !by.contains(name)));
        Ok(Self {
            seed: seed.filter(|name| !values.contains(name)),
            episode: key("episode")?,
            env_id: key("env_id")?,
            batch: key("batch")?,
            run_id: run_id.filter(|name| !by.contains(name)),
            by,
            encoding,
            values: values.to_vec(),
            walk,
        })
    }
}

/// How the rows of a file say which players are on.
fn find_encoding(table: &Table, columns: &ColumnMap) -> Result<CoalitionEncoding, RecordError> {
    let find = |field: &str| columns.find(table, field);
    let players = |names: Vec<String>| {
        CoalitionEncoding::Players(
            names.into_iter().map(|name| PlayerColumn { id: name.clone(), column: name }).collect(),
        )
    };
    if !columns.players().is_empty() {
        return match columns.named_players(table) {
            Ok(names) => Ok(players(names)),
            Err(column) => Err(missing(table, "players", &column)),
        };
    }
    let slot_ids = find("slot_ids")?;
    if let Some(mask) = find("mask")? {
        return Ok(CoalitionEncoding::Mask { mask, slot_ids });
    }
    if let Some(config) = find("config")? {
        return Ok(CoalitionEncoding::Config { config, slot_ids });
    }
    if let Some(on) = find("players_on")? {
        return Ok(CoalitionEncoding::PlayersOn { on });
    }
    let slot = |name: &String| {
        Some(PlayerColumn { id: name.strip_prefix(SLOT_PREFIX)?.to_owned(), column: name.clone() })
    };
    let slots: Vec<PlayerColumn> = table.column_names().iter().filter_map(slot).collect();
    Ok(if slots.is_empty() {
        players(columns.boolean_players(table))
    } else {
        CoalitionEncoding::Players(slots)
    })
}

/// A column named by a flag that is not there.
fn missing(table: &Table, flag: &'static str, column: &str) -> RecordError {
    let problem =
        Problem::NamedColumnMissing { flag, column: column.to_owned(), found: table.column_names() };
    RecordError::file(table.name(), problem)
}

/// The value columns to read: those asked for, or the best default the first file has.
fn resolve_values(
    tables: &[Table],
    asked: &[String],
    columns: &ColumnMap,
) -> Result<Vec<String>, RecordError> {
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    if let Some(name) = DEFAULT_VALUES.iter().find(|name| tables[0].has_column(name)) {
        return Ok(vec![(*name).to_owned()]);
    }
    Err(missing_value(&tables[0], &DEFAULT_VALUES.join(" or "), columns))
}

fn missing_value(table: &Table, needed: &str, columns: &ColumnMap) -> RecordError {
    let numeric = |name: &String| table.column_type(name).is_some_and(columns::is_numeric);
    let found = table.column_names().into_iter().filter(numeric).collect();
    let needed = format!("value column {needed} among the numeric columns");
    let problem =
        match guess::value_command(table, columns, &[]).filter(|command| command.contains("--value")) {
            Some(command) => Problem::RolesNotNamed { needed, found, command },
            None => Problem::MissingColumns { needed, found },
        };
    RecordError::file(table.name(), problem)
}
