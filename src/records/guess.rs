//! What the columns of a table could be where their names do not tell: for hints, never for results.

use std::collections::BTreeMap;

use super::columns::{self, BadCells};
use super::schema::{ColumnMap, DEFAULT_VALUES};
use super::table::Table;
use crate::results::Direction;

/// The command that attributes the values of `table`, where two-state columns could be players: complete, to be typed as
/// it is.
pub(super) fn attribution_command(table: &Table, map: &ColumnMap) -> Option<String> {
    let is_player = |name: &String| !map.has_role(name) && has_two_states(table, name);
    let players: Vec<String> = if map.players().is_empty() {
        table.column_names().into_iter().filter(is_player).collect()
    } else {
        map.players().to_vec()
    };
    let value = value_argument(table, map, &players)?;
    let players = (!players.is_empty()).then(|| format!(" --players {}", quoted(&players.join(","))))?;
    Some(format!("simic analyze shapley {}{players}{value}", quoted(table.name())))
}

/// The same where the players are known; `values` are those asked for.
pub(super) fn value_command(table: &Table, map: &ColumnMap, values: &[String]) -> Option<String> {
    let players = map.players();
    let value = if values.is_empty() {
        value_argument(table, map, players)?
    } else {
        values.iter().map(|value| format!(" --value {}", quoted(value))).collect()
    };
    let players =
        if players.is_empty() { String::new() } else { format!(" --players {}", quoted(&players.join(","))) };
    Some(format!("simic analyze shapley {}{players}{value}", quoted(table.name())))
}

/// The command that replays the normalization of steps: of their observations, else of their rewards.
pub(super) fn normalize_command(
    table: &Table,
    map: &ColumnMap,
    roles: &BTreeMap<String, Vec<String>>,
) -> Option<String> {
    let file = quoted(table.name());
    if roles.contains_key("obs") {
        return Some(format!("simic normalize replay {file}"));
    }
    if let Some(obs) = obs_argument(table, map) {
        return Some(format!("simic normalize replay {file} {obs}"));
    }
    roles.contains_key("reward").then(|| format!("simic normalize replay {file} --target reward"))
}

/// The flag that names the likeliest value column; empty if a default one is there, `None` if there is none at all.
fn value_argument(table: &Table, map: &ColumnMap, players: &[String]) -> Option<String> {
    if DEFAULT_VALUES.iter().any(|name| table.has_column(name)) {
        return Some(String::new());
    }
    let could_be = |name: &String| {
        table.column_type(name).is_some_and(columns::is_numeric)
            && !is_no_result(name)
            && !players.contains(name)
            && (!map.has_role(name) || Direction::of_column(name).is_some())
    };
    let numeric: Vec<String> = table.column_names().into_iter().filter(could_be).collect();
    // A name that says which way is better is one of a value; else results stand last.
    let known = numeric.iter().find(|name| Direction::of_column(name).is_some());
    let value = known.or(numeric.last())?;
    Some(format!(" --value {}", quoted(value)))
}

/// Words of the names of columns that are settings or bookkeeping, not results.
const NO_RESULTS: [&str; 14] = [
    "lr", "learning", "wd", "decay", "batch", "size", "seed", "index", "id", "unnamed", "time", "seconds",
    "duration", "params",
];

/// Whether a column's name says that it holds no result, or nothing at all.
fn is_no_result(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).peekable();
    words.peek().is_none() || words.any(|word| NO_RESULTS.contains(&word.to_lowercase().as_str()))
}

/// The flag that names columns of numbers as observations, where there are some without another role.
pub(super) fn obs_argument(table: &Table, map: &ColumnMap) -> Option<String> {
    let could_be = |name: &String| {
        !map.has_role(name)
            && table
                .column_type(name)
                .is_some_and(|dtype| columns::is_numeric(dtype) || columns::is_list(dtype))
    };
    let names: Vec<String> = table.column_names().into_iter().filter(could_be).collect();
    (!names.is_empty()).then(|| format!("--obs {}", quoted(&names.join(","))))
}

/// Columns of numbers that play no other role and are in all of `tables`: what coalitions could be valued by.
pub fn value_columns(tables: &[Table], map: &ColumnMap) -> Vec<String> {
    let could_be = |name: &String| {
        !map.has_role(name)
            && tables.iter().all(|table| table.column_type(name).is_some_and(columns::is_numeric))
    };
    tables.first().map_or_else(Vec::new, Table::column_names).into_iter().filter(could_be).collect()
}

/// Whether the cells of a column are of two states, and both occur; told from the first part.
fn has_two_states(table: &Table, name: &String) -> bool {
    let Ok(read) = table.read(0, std::slice::from_ref(name)) else { return false };
    let Some(column) = read.into_iter().next() else { return false };
    let n_rows = table.parts().first().map_or(0, |part| part.n_rows);
    let mut bad = BadCells::default();
    let states = columns::truth_column(column, name, n_rows, &mut bad);
    bad.cells.is_empty() && states.contains(&true) && states.contains(&false)
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || "._-/,:=+@%".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
