//! Which files have coalition rows, and in which columns.

use super::super::columns;
use super::super::copies::{RunSource, refuse_copies};
use super::super::error::{Problem, RecordError};
use super::super::opened::{WantedFiles, open_tables};
use super::super::schema::{DEFAULT_VALUES, FileKind, OnBad, SLOT_PREFIX};
use super::super::skips::SkipReport;
use super::super::sources::InputFile;
use super::super::table::Table;
use super::encoding::CoalitionEncoding;
use super::options::CoalitionOptions;

/// Columns of one file.
pub(super) struct FileColumns {
    pub(super) run_id: Option<String>,
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
        let wanted = WantedFiles {
            kind: FileKind::Coalitions,
            columns: &options.columns,
            on_bad: options.on_bad,
            needed_columns: "coalition columns (config, mask or slot:<id>, with a value column)".to_owned(),
        };
        let tables = open_tables(files, &wanted, skipped, notes)?;
        let value_names = resolve_values(&tables, &options.values)?;
        let mut found = Self { tables: Vec::new(), columns: Vec::new(), value_names };
        for table in tables {
            match FileColumns::find(&table, options, &found.value_names) {
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
        notes.extend(found.unread_seeds());
        Ok(found)
    }
}

/// Columns that tell replicates of a run apart.
const SEEDS: [&str; 4] = ["seed", "trial", "replicate", "fold"];

impl CoalitionFiles {
    /// A column that may tell runs apart and is not read: their rows would pass for repeated evaluations of one game.
    fn unread_seeds(&self) -> Option<String> {
        let is_unread = |name: &&&str| {
            self.tables
                .iter()
                .zip(&self.columns)
                .any(|(table, columns)| table.has_column(name) && columns.run_id.as_deref() != Some(**name))
        };
        let name = SEEDS.iter().find(is_unread)?;
        Some(format!(
            "column {name} is not read: rows that differ by it alone count as repeated evaluations of one game; if it \
             tells runs apart, --column run_id={name}"
        ))
    }
}

impl FileColumns {
    fn find(table: &Table, options: &CoalitionOptions, values: &[String]) -> Result<Self, RecordError> {
        let find = |field: &str| options.columns.find(table, field);
        for value in values {
            if !table.has_column(value) {
                return Err(missing_value(table, value));
            }
        }
        let slot_ids = find("slot_ids")?;
        let encoding = if let Some(mask) = find("mask")? {
            CoalitionEncoding::Mask { mask, slot_ids }
        } else if let Some(config) = find("config")? {
            CoalitionEncoding::Config { config, slot_ids }
        } else {
            let is_slot = |name: &String| name.starts_with(SLOT_PREFIX);
            CoalitionEncoding::SlotColumns(table.column_names().into_iter().filter(is_slot).collect())
        };
        let walk = match (find("perm")?, find("pos")?) {
            (Some(perm), Some(position)) => Some(WalkNames { perm, position }),
            (None, None) => None,
            _ => return Err(RecordError::file(table.name(), Problem::HalfWalk)),
        };
        Ok(Self {
            run_id: find("run_id")?,
            episode: find("episode")?,
            env_id: find("env_id")?,
            batch: find("batch")?,
            encoding,
            values: values.to_vec(),
            walk,
        })
    }
}

/// The value columns to read: those asked for, or the best default the first file has.
fn resolve_values(tables: &[Table], asked: &[String]) -> Result<Vec<String>, RecordError> {
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    if let Some(name) = DEFAULT_VALUES.iter().find(|name| tables[0].has_column(name)) {
        return Ok(vec![(*name).to_owned()]);
    }
    Err(missing_value(&tables[0], &DEFAULT_VALUES.join(" or ")))
}

fn missing_value(table: &Table, needed: &str) -> RecordError {
    let numeric = |name: &String| table.column_type(name).is_some_and(columns::is_numeric);
    let found = table.column_names().into_iter().filter(numeric).collect();
    let needed = format!("value column {needed} among the numeric columns");
    RecordError::file(table.name(), Problem::MissingColumns { needed, found })
}
