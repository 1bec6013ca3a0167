//! The command line of a job: what was typed behind `--`, with everything that the environment and the configuration add.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command};

use crate::commands::CommandError;
use crate::config;

/// A command line as a job stores it.
pub(crate) struct Complete {
    /// What it says, parsed.
    pub(crate) matches: ArgMatches,
    /// The arguments with everything that was added, without what the verb is to read.
    pub(crate) arguments: Vec<String>,
    /// Flags that were not typed, each with where it comes from.
    pub(crate) added: BTreeMap<String, String>,
}

/// Where flags come from besides the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surroundings {
    /// The configuration file, and what `command` reads from the environment.
    Heeded,
    /// Nowhere: everything stands in the arguments.
    Ignored,
}

/// Parses the arguments of a command that stand in a job, or are typed for one; settings `without` are as if the
/// configuration file did not have them.
///
/// # Errors
/// Arguments that make no sense, in one line.
pub(crate) fn complete(
    command: &Command,
    typed: &[String],
    surroundings: Surroundings,
    without: &BTreeSet<String>,
) -> Result<Complete, CommandError> {
    let mut arguments: Vec<OsString> = vec!["simic".into()];
    arguments.extend(typed.iter().map(OsString::from));
    let parse = |arguments: &[OsString]| {
        command.clone().try_get_matches_from(arguments).map_err(|error| told(&error, typed, surroundings))
    };
    let mut matches = parse(&arguments)?;
    let mut added = BTreeMap::new();
    if surroundings == Surroundings::Heeded {
        let extra = config::extra_arguments(command, &matches, without)
            .map_err(|error| CommandError::usage(error.to_string(), "--no-config runs without it"))?;
        let file = extra.path.display().to_string();
        added.extend(extra.flags.into_iter().map(|flag| (flag, file.clone())));
        arguments.extend(extra.arguments);
        matches = parse(&arguments)?;
    }
    // Flags that every command has are known to each once the whole is built.
    let mut built = command.clone();
    built.build();
    let mut stored = Vec::new();
    spell(&built, &matches, &mut stored, &mut added);
    Ok(Complete { matches, arguments: stored, added })
}

/// What is wrong, in a line.
fn told(error: &clap::Error, typed: &[String], surroundings: Surroundings) -> CommandError {
    let text = error.to_string();
    let words: Vec<&str> =
        typed.iter().map(String::as_str).take_while(|word| !word.starts_with('-')).take(2).collect();
    let words_in_line = words.join(" ");
    let line = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            "a command is needed, no question about it".to_owned()
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => format!("{words_in_line} is no whole command"),
        ErrorKind::ArgumentConflict if surroundings == Surroundings::Ignored && is_doubled(error) => {
            let flag = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
            return CommandError::usage(
                format!("behind --: {flag} was set when the job was planned"),
                "flags behind -- may be about what is shown alone; plan another job for other settings",
            );
        }
        _ => text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    CommandError::usage(
        format!("behind --: {line}"),
        match words.split_first() {
            // The verb alone is named behind --.
            Some((&"simic", verb)) => format!("leave simic out: -- {}", verb.join(" ")),
            _ => format!("simic {words_in_line} --help says what it takes"),
        },
    )
}

/// Whether a flag stands there twice.
fn is_doubled(error: &clap::Error) -> bool {
    let [given, before] = [ContextKind::InvalidArg, ContextKind::PriorArg].map(|kind| error.get(kind));
    given.is_some() && given.map(ToString::to_string) == before.map(ToString::to_string)
}

/// Spells out everything that was given, wherever it came from: the verb, then its flags.
fn spell(
    command: &Command,
    matches: &ArgMatches,
    spelled: &mut Vec<String>,
    added: &mut BTreeMap<String, String>,
) {
    if let Some((name, inner)) = matches.subcommand() {
        spelled.push(name.to_owned());
        if let Some(command) = command.find_subcommand(name) {
            spell(command, inner, spelled, added);
        }
        return;
    }
    for argument in command.get_arguments() {
        let Some(long) = argument.get_long() else { continue };
        let id = argument.get_id().as_str();
        let source = matches.value_source(id);
        let is_given = matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable));
        if !is_given || ["config", "no-config"].contains(&long) {
            continue;
        }
        if source == Some(ValueSource::EnvVariable) {
            added.insert(long.to_owned(), "the environment".to_owned());
        }
        if matches!(argument.get_action(), ArgAction::SetTrue) {
            if matches.get_flag(id) {
                spelled.push(format!("--{long}"));
            }
            continue;
        }
        for occurrence in matches.get_raw_occurrences(id).into_iter().flatten() {
            let values: Vec<String> = occurrence.map(|value| value.to_string_lossy().into_owned()).collect();
            spelled.push(format!("--{long}={}", values.join(",")));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;
    use crate::commands::CommonArgs;

    fn command() -> Command {
        let verb = Command::new("shapley").args([
            clap::Arg::new("runs").num_args(0..),
            clap::Arg::new("slots").long("slots").value_delimiter(','),
            clap::Arg::new("value").long("value").action(ArgAction::Append),
            clap::Arg::new("deep").long("deep").action(ArgAction::SetTrue),
        ]);
        CommonArgs::augment_args(Command::new("simic")).subcommand(verb)
    }

    fn stored(typed: &[&str]) -> Result<Vec<String>, String> {
        let typed: Vec<String> = typed.iter().map(ToString::to_string).collect();
        complete(&command(), &typed, Surroundings::Ignored, &BTreeSet::new())
            .map(|found| found.arguments)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn everything_but_what_is_read_is_stored() {
        let typed =
            ["shapley", "runs", "--slots", "a,b", "--value", "x", "--value=y", "--seed", "3", "--deep"];
        let found = stored(&typed).expect("arguments");
        assert_eq!(found[0], "shapley");
        let mut flags = found[1..].to_vec();
        flags.sort();
        assert_eq!(flags, ["--deep", "--seed=3", "--slots=a,b", "--value=x", "--value=y"]);
        // What is stored is read as what was typed.
        let again: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(stored(&again).expect("arguments"), found);
    }

    #[test]
    fn what_makes_no_sense_is_told_in_one_line() {
        let problem = stored(&["shapley", "--valu", "x"]).expect_err("refused");
        assert!(problem.starts_with("behind --: ") && !problem.contains('\n'), "{problem}");
    }
}
