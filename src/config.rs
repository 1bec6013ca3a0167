//! `simic.toml`: the nearest one upward gives settings that neither flags nor the environment gave.
//!
//! A setting is a flag's long name. At the top level stand common flags, and flags for every command that has them;
//! `[analyze.shapley]` and the like hold the flags of one command. Values go through the flag's own parser, so that a file can say nothing a flag
//! could not.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Deserialize;
use toml::{Table, Value};

use crate::baseline::RuleText;
use crate::meant::question;

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub(crate) struct ConfigError {
    path: PathBuf,
    problem: String,
}

/// The checks of a configuration file.
#[derive(Debug)]
pub(crate) struct Checks {
    /// The file.
    pub(crate) path: PathBuf,
    /// Checks in order of name.
    pub(crate) texts: BTreeMap<String, CheckText>,
    /// The rest of the file: tables of commands hold flags of theirs.
    pub(crate) document: Table,
}

/// One check as `[check.NAME]` has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckText {
    /// The analysis: `analyze shapley`, `normalize stats` or `normalize replay`; told by the files without it.
    pub(crate) command: Option<String>,
    /// Files, directories and patterns, as on the command line.
    #[serde(default)]
    pub(crate) runs: Vec<String>,
    /// Flags of the analysis.
    #[serde(default)]
    pub(crate) flags: Table,
    /// Rules, the first that matches a metric holds.
    #[serde(default)]
    pub(crate) rules: Vec<RuleText>,
    /// Level of the tests.
    pub(crate) alpha: Option<f64>,
    /// Whether inconclusive findings fail.
    pub(crate) strict: Option<bool>,
    /// Whether new results come from other runs than the stored ones.
    pub(crate) other_runs: Option<bool>,
    /// The baseline's place.
    pub(crate) baseline: Option<PathBuf>,
}

/// Reads the checks of the configuration file, if there is one.
///
/// # Errors
/// A file that is missing, is not TOML, or holds a check that makes no sense.
pub(crate) fn checks(named: Option<&Path>, is_off: bool) -> Result<Option<Checks>, ConfigError> {
    if is_off {
        return Ok(None);
    }
    let Some((path, mut document)) = load(named)? else { return Ok(None) };
    let failed = |problem: String| ConfigError { path: path.clone(), problem };
    let mut checks = BTreeMap::new();
    let tables = match document.remove("check") {
        None => Table::new(),
        Some(Value::Table(tables)) => tables,
        Some(_) => return Err(failed("check: a table per check".to_owned())),
    };
    for (name, table) in tables {
        let check = CheckText::deserialize(table)
            .map_err(|error| failed(format!("[check.{name}]: {}", error.message())))?;
        checks.insert(name, check);
    }
    Ok(Some(Checks { path, texts: checks, document }))
}

/// Flags that the file gives a command by its own table, `[analyze.shapley]` for instance.
pub(crate) fn command_flags(document: &Table, command: &str) -> Table {
    let mut table = document;
    for name in command.split(' ') {
        let Some(Value::Table(inner)) = table.get(name) else { return Table::new() };
        table = inner;
    }
    table
        .iter()
        .filter(|(_, value)| !value.is_table())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Flags of a table as arguments of `command`.
///
/// # Errors
/// A flag the command does not have, or a value it cannot have.
pub(crate) fn flag_arguments(command: &Command, flags: &Table) -> Result<Vec<OsString>, String> {
    let mut arguments = Vec::new();
    for (key, value) in flags {
        let mut known = command.get_arguments();
        let Some(argument) = known.find(|argument| argument.get_long() == Some(key)) else {
            let meant = question(key, command.get_arguments().filter_map(Arg::get_long));
            return Err(format!("{key}: no such flag of {}{meant}", command.get_name()));
        };
        arguments.extend(as_arguments(argument, key, value).map_err(|problem| format!("{key}: {problem}"))?);
    }
    Ok(arguments)
}

/// Name looked for.
const FILE_NAME: &str = "simic.toml";

/// What the configuration file adds to the command line.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// Flags with their values.
    pub(crate) arguments: Vec<OsString>,
    /// Names of the flags.
    pub(crate) flags: BTreeSet<String>,
    /// The file.
    pub(crate) path: PathBuf,
}

/// Finds and reads the configuration, and turns what applies to the command in `matches` into flags.
///
/// Those of `without` are left out, as if the file did not have them.
///
/// # Errors
/// If a file named with `--config` is missing, or a file is not TOML or holds a setting no flag has.
pub(crate) fn extra_arguments(
    command: &Command,
    matches: &ArgMatches,
    without: &BTreeSet<String>,
) -> Result<Extra, ConfigError> {
    let (root, command_root) = (command, command);
    let mut leaf = (command, matches);
    let mut names = Vec::new();
    while let Some((name, inner)) = leaf.1.subcommand() {
        let Some(subcommand) = leaf.0.find_subcommand(name) else { break };
        names.push(name.to_owned());
        leaf = (subcommand, inner);
    }
    let (command, matches) = leaf;
    if matches.get_flag("no_config") {
        return Ok(Extra::default());
    }
    let named = matches.get_one::<PathBuf>("config").map(PathBuf::as_path);
    let Some((path, document)) = load(named)? else { return Ok(Extra::default()) };
    let failed = |problem: String| ConfigError { path: path.clone(), problem };
    check_tables(command_root, &document, "").map_err(failed)?;
    let mut extra = Vec::new();
    let mut flags = BTreeSet::new();
    let mut table = &document;
    let mut depth = 0;
    loop {
        for (key, value) in table {
            if let Value::Table(_) = value {
                if depth == 0 && key == "column" {
                    column_mappings(value, matches, &mut extra);
                }
                continue;
            }
            // At the top level a flag is one of every command that has it.
            let is_of_others = depth == 0 && !has_flag(command, root, key) && is_flag_of_any(root, key);
            if without.contains(key) || is_of_others {
                continue;
            }
            let arguments = setting(&[command, root], matches, key, value);
            let arguments = arguments.map_err(|problem| failed(format!("{key}: {problem}")))?;
            if !arguments.is_empty() {
                flags.insert(key.clone());
            }
            extra.extend(arguments);
        }
        // Below [check] stand checks by name, not subcommands.
        let name = names.get(depth).filter(|name| *name != "check");
        let Some(Value::Table(inner)) = name.and_then(|name| table.get(name)) else { break };
        table = inner;
        depth += 1;
    }
    Ok(Extra { arguments: extra, flags, path })
}

/// Every table is named after a command and holds only its flags, whichever command runs now.
fn check_tables(command: &Command, table: &Table, path: &str) -> Result<(), String> {
    for (key, value) in table {
        let place = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            // Column names, and checks, which hold more than flags: what reads them says what is wrong.
            Value::Table(_) if path.is_empty() && (key == "column" || key == "check") => {}
            Value::Table(inner) => {
                let Some(subcommand) = command.find_subcommand(key) else {
                    let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
                    let (meant, known) = (question(key, known.iter().copied()), known.join(", "));
                    return Err(format!("[{place}]: no such command (there are: {known}){meant}"));
                };
                check_tables(subcommand, inner, &place)?;
            }
            _ if !path.is_empty() => {
                let is_flag = command.get_arguments().any(|argument| argument.get_long() == Some(key));
                if !is_flag {
                    let meant = question(key, command.get_arguments().filter_map(Arg::get_long));
                    return Err(format!("{place}: no such setting for this command{meant}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The file named, else the nearest one upward, and what it holds; `None` if there is none.
fn load(named: Option<&Path>) -> Result<Option<(PathBuf, Table)>, ConfigError> {
    let found =
        named.map(Path::to_owned).or_else(|| std::env::current_dir().ok().as_deref().and_then(nearest));
    let Some(path) = found else { return Ok(None) };
    let failed = |problem: String| ConfigError { path: path.clone(), problem };
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let document = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let place = line.map_or_else(String::new, |line| format!("line {line}: "));
        failed(format!("{place}{}", error.message()))
    })?;
    Ok(Some((path, document)))
}

fn nearest(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|directory| directory.join(FILE_NAME)).find(|path| path.is_file())
}

fn column_mappings(value: &Value, matches: &ArgMatches, extra: &mut Vec<OsString>) {
    if is_given(matches, "column") {
        return;
    }
    for (field, column) in value.as_table().into_iter().flatten() {
        extra.push("--column".into());
        extra.push(format!("{field}={}", column.as_str().unwrap_or_default()).into());
    }
}

fn has_flag(command: &Command, root: &Command, key: &str) -> bool {
    [command, root]
        .into_iter()
        .flat_map(Command::get_arguments)
        .any(|argument| argument.get_long() == Some(key))
}

/// Whether some command has such a flag.
fn is_flag_of_any(command: &Command, key: &str) -> bool {
    command.get_subcommands().any(|inner| has_flag(inner, inner, key) || is_flag_of_any(inner, key))
}

fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches!(matches.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// One setting as flags; nothing where a flag or the environment has spoken.
///
/// Common flags are arguments of the root command, the others of the command itself.
fn setting(
    commands: &[&Command],
    matches: &ArgMatches,
    key: &str,
    value: &Value,
) -> Result<Vec<OsString>, String> {
    let mut arguments = commands.iter().flat_map(|command| command.get_arguments());
    let Some(argument) = arguments.find(|argument| argument.get_long() == Some(key)) else {
        let known = commands.iter().flat_map(|command| command.get_arguments());
        let meant = question(key, known.filter_map(Arg::get_long));
        return Err(format!("no such setting for this command{meant}"));
    };
    if is_given(matches, argument.get_id().as_str()) {
        return Ok(Vec::new());
    }
    as_arguments(argument, key, value)
}

/// Whether a flag stands with a value and without one.
fn has_optional_value(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|number| number.min_values() == 0)
}

/// A flag's value as the command line would have it.
fn as_arguments(argument: &Arg, key: &str, value: &Value) -> Result<Vec<OsString>, String> {
    let flag = OsString::from(format!("--{key}"));
    let takes_value = argument.get_action().takes_values();
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        other => Err(format!("a {} is no value for --{key}", other.type_str())),
    };
    match value {
        Value::Boolean(is_on) if !takes_value || has_optional_value(argument) => {
            Ok(if *is_on { vec![flag] } else { Vec::new() })
        }
        _ if !takes_value => Err(format!("--{key} is true or false")),
        // A pair or list that the flag takes as one text, LO,HI for instance.
        Value::Array(values) if !matches!(argument.get_action(), ArgAction::Append) => {
            let values = values.iter().map(one).collect::<Result<Vec<_>, _>>()?;
            Ok(vec![OsString::from(format!("--{key}={}", values.join(",")))])
        }
        Value::Array(values) => {
            let mut arguments = Vec::new();
            for value in values {
                arguments.push(OsString::from(format!("--{key}={}", one(value)?)));
            }
            Ok(arguments)
        }
        value => Ok(vec![OsString::from(format!("--{key}={}", one(value)?))]),
    }
}
