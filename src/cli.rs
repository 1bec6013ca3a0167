//! The top-level parser, dispatch, and the way from results to exit codes.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::FalseyValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::normalize::NormalizeCommand;
use crate::commands::shard::{Asked, Parser as JobParser, ShardCommand, ShardedVerb, not_divided};
use crate::commands::{
    self, CommandError, CommonArgs, CompletionsArgs, Context, FormatArg, ManArgs, Outcome, OutputHolds,
};
use crate::config;
use crate::console::{Console, When};
use crate::job_arguments::{Surroundings, complete};
use crate::meant::misspelt;
use crate::normalization::is_device_failure;
use crate::printable::path_text;
use crate::records;
use crate::signals;

const DONE: u8 = 0;
const FINDINGS: u8 = 1;
const USAGE: u8 = 2;
const INVALID: u8 = 3;

/// Offline analysis of recorded training runs: attribution of slots, replay of normalization, regression checks.
///
/// simic reads the episodes a training run leaves behind (Parquet, Arrow IPC, NDJSON, CSV) and needs no
/// training code. RUNS are files, directories, quoted patterns or - for stdin; without any, $SIMIC_RUNS, else
/// the directory runs/.
#[derive(Debug, Parser)]
#[command(
    name = "simic",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Settings may also stand in the environment (SIMIC_FORMAT=json) or in the nearest simic.toml upward.
Exit codes: 0 done, 1 a difference or problem was found, 2 wrong usage, 3 unreadable or invalid input,
4 device not available, 75 a task that may be tried again, 130 interrupted, 143 asked to end."
)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What is in these files: kinds, columns, runs, episodes, slots, coverage, problems
    Inspect(commands::inspect::InspectArgs),
    /// Attribute coalition values to slots
    Analyze {
        #[command(subcommand)]
        command: commands::analyze::AnalyzeCommand,
    },
    /// Replay, compare and verify the normalization of recorded steps
    Normalize {
        #[command(subcommand)]
        command: commands::normalize::NormalizeCommand,
    },
    /// Recompute stored results and fail when a number moved
    Check(commands::check::CheckArgs),
    /// Write recordings again as canonical Parquet
    Convert(commands::convert::ConvertArgs),
    /// One command over many machines: plan, compute, merge to the bytes of one machine
    Shard {
        #[command(subcommand)]
        command: commands::shard::ShardCommand,
    },
    /// One page with what recordings or stored results say
    Report(commands::report::ReportArgs),
    /// Write synthetic runs with known truth
    Simulate {
        #[command(subcommand)]
        command: commands::simulate::SimulateCommand,
    },
    /// Which devices --device can name here, and why others are not there
    Devices(commands::devices::DevicesArgs),
    /// Print the JSON Schema of a document
    Schema(commands::schema::SchemaArgs),
    /// Print shell completions
    Completions(CompletionsArgs),
    /// Print the manual page of the program or of one command (roff)
    Man(ManArgs),
}

impl Verb {
    /// Whether it plans, computes or tells of a job whose result another verb prints.
    fn is_about_job(&self) -> bool {
        matches!(self, Self::Shard { command } if !matches!(command, ShardCommand::Merge(_)))
    }

    /// What `--output` is to hold.
    fn output_holds(&self) -> OutputHolds {
        match self {
            Self::Normalize { command: NormalizeCommand::Replay(_) | NormalizeCommand::Merge(_) }
            | Self::Simulate { .. }
            | Self::Convert(_)
            | Self::Report(_)
            | Self::Schema(_)
            | Self::Completions(_)
            | Self::Man(_) => OutputHolds::Data,
            Self::Analyze { .. }
            | Self::Normalize { command: NormalizeCommand::Compare(_) | NormalizeCommand::Stats(_) }
            | Self::Check(_) => OutputHolds::Drawn,
            Self::Inspect(_) | Self::Normalize { .. } | Self::Devices(_) | Self::Shard { .. } => {
                OutputHolds::Result
            }
        }
    }
}

/// The parser as the program uses it: every flag can also be set as `SIMIC_<FLAG>`; flags that every command has are
/// told once, by `simic help common`.
pub fn command() -> Command {
    with_environment(with_short_help(Cli::command()), &BTreeSet::new())
}

/// The page of the flags that every command has.
pub fn common_help() -> Command {
    let about = "Flags that every command has. Each can also be set as SIMIC_<FLAG>, or in simic.toml.";
    CommonArgs::augment_args(Command::new("simic COMMAND"))
        .about(about)
        .disable_help_flag(true)
        .max_term_width(100)
}

/// Where the flags that every command has are told instead.
const COMMON_LINE: &str = "Common options (--format, --output, --width, --wide, --ascii, --seed, --column, --layout, --threads, --max-memory, \
     ...): simic help common";

/// The help of every command without the flags that all have.
fn with_short_help(command: Command) -> Command {
    fn shorten(command: Command, is_common: &dyn Fn(&str) -> bool) -> Command {
        let after = match command.get_after_help() {
            Some(text) => format!("{text}\n\n{COMMON_LINE}"),
            None => COMMON_LINE.to_owned(),
        };
        command
            .after_help(after)
            .mut_args(
                |argument| {
                    if argument.get_long().is_some_and(is_common) { argument.hide(true) } else { argument }
                },
            )
            .mut_subcommands(|inner| shorten(inner, is_common))
    }
    let common = CommonArgs::augment_args(Command::new(""));
    let is_common = |long: &str| common.get_arguments().any(|argument| argument.get_long() == Some(long));
    shorten(command, &is_common)
}

/// The variable that sets a flag.
fn variable(flag: &str) -> String {
    format!("SIMIC_{}", flag.replace('-', "_").to_uppercase())
}

fn with_environment(command: Command, without: &BTreeSet<String>) -> Command {
    let command = command.mut_args(|argument| match argument.get_long() {
        Some(long) if long != "help" && long != "version" && !without.contains(long) => {
            let name = variable(long);
            let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
            let argument = argument.env(name).hide_env(true);
            // A switch is on unless the variable is empty, 0, no, off or false.
            if is_switch { argument.value_parser(FalseyValueParser::new()) } else { argument }
        }
        _ => argument,
    });
    command.mut_subcommands(|inner| with_environment(inner, without))
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    quiet_foreign_panics();
    signals::clean_up_on_signals();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(run_on(&arguments))
}

/// Runs the program on `arguments`, its name first; gives the exit code. Signals and panics are the caller's.
pub fn run_on(arguments: &[OsString]) -> u8 {
    if arguments.get(1..) == Some(&["help".into(), "common".into()]) {
        // With stdout gone there is nobody to tell.
        let _ = common_help().print_long_help();
        return DONE;
    }
    let mut without = BTreeSet::new();
    loop {
        let parsed = match parse(arguments, &without) {
            Ok(parsed) => parsed,
            Err(code) => return code,
        };
        let (verb, origins) = (&parsed.cli.verb, &parsed.origins);
        // An output that the surroundings name is the result of a job, not what is said of its planning.
        if verb.is_about_job() && origins.contains_key("output") && without.insert("output".to_owned()) {
            continue;
        }
        let context = Context::new(parsed.cli.common.clone(), verb.output_holds());
        match run(verb, &context) {
            // A setting that stands there for other occasions is no mistake of this one.
            Err(CommandError::Idle { flag, reason, .. }) if origins.contains_key(flag) => {
                context.console.note(&format!("{flag}, from {}, {reason}: left out", origins[flag]));
                without.insert(flag.to_owned());
            }
            outcome => {
                tell_settings(&parsed, &context);
                tell_misspelt(&context);
                return end(outcome, &context, origins);
            }
        }
    }
}

/// A panic inside a third-party decoder or driver becomes an error message; its backtrace is nobody's business.
fn quiet_foreign_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !records::is_decoding() && !is_device_failure(info) {
            default(info);
        }
    }));
}

/// Where flags that were not typed come from, by name.
type Origins = BTreeMap<String, String>;

/// A command line with what the environment and the configuration add.
struct Parsed {
    cli: Cli,
    origins: Origins,
    settings: Vec<Setting>,
}

/// A flag with the value in force.
struct Setting {
    flag: String,
    value: String,
    is_typed: bool,
}

/// The flags of a command line with their values.
fn settings_of(matches: &ArgMatches, found: &mut Vec<Setting>) {
    for id in matches.ids() {
        let flag = id.as_str().replace('_', "-");
        let values =
            matches.get_raw_occurrences(id.as_str()).map(|all| all.flatten().map(|v| v.to_string_lossy()));
        let value = values.map_or_else(String::new, |values| values.collect::<Vec<_>>().join(","));
        let is_typed = matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        // Groups of arguments have ids too, capitalized.
        let is_group = flag.starts_with(|first: char| first.is_ascii_uppercase());
        if !value.is_empty()
            && !is_group
            && flag != "runs"
            && found.iter().all(|setting| setting.flag != flag)
        {
            found.push(Setting { flag, value, is_typed });
        }
    }
    if let Some((_, inner)) = matches.subcommand() {
        settings_of(inner, found);
    }
}

/// Parses the command line; settings `without` are as if they were not there.
fn parse(arguments: &[OsString], without: &BTreeSet<String>) -> Result<Parsed, u8> {
    let command = with_environment(with_short_help(Cli::command()), without);
    let mut origins = Origins::new();
    let matches = command.clone().try_get_matches_from(arguments).map_err(|error| {
        let not_text = arguments.iter().find(|argument| argument.to_str().is_none());
        if let Some(argument) = not_text.filter(|_| error.kind() == ErrorKind::InvalidUtf8) {
            return refuse_bytes(argument);
        }
        print(&error, &mentioned(&error, |flag| is_set(flag).then(|| variable(flag))))
    })?;
    add_variables(&matches, &mut origins);
    let extra = config::extra_arguments(&command, &matches, without).map_err(|error| {
        let console = Console::new(When::Auto, When::Never, false, false);
        console.error(&error.to_string(), Some("--no-config runs without it"));
        USAGE
    })?;
    let file = extra.path.display().to_string();
    origins.extend(extra.flags.iter().map(|flag| (flag.clone(), file.clone())));
    let told = |error: clap::Error| print(&error, &mentioned(&error, |flag| origins.get(flag).cloned()));
    if extra.arguments.is_empty() {
        refuse_urls(&command, &matches)?;
        return parsed(&matches, &origins).map_err(told);
    }
    // Flags from the file go before the end-of-flags marker, where there is one.
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let mut all = arguments.to_vec();
    all.splice(end..end, extra.arguments);
    let matches = command.clone().try_get_matches_from(&all).map_err(&told)?;
    refuse_urls(&command, &matches)?;
    parsed(&matches, &origins).map_err(told)
}

fn parsed(matches: &ArgMatches, origins: &Origins) -> Result<Parsed, clap::Error> {
    let mut settings = Vec::new();
    settings_of(matches, &mut settings);
    Ok(Parsed { cli: Cli::from_arg_matches(matches)?, origins: origins.clone(), settings })
}

/// Flags of the command that runs which a variable of the environment sets.
fn add_variables(matches: &ArgMatches, origins: &mut Origins) {
    // Groups of arguments have names of their own, which begin with a capital.
    for id in matches.ids().filter(|id| !id.as_str().starts_with(char::is_uppercase)) {
        if matches.value_source(id.as_str()) == Some(ValueSource::EnvVariable) {
            let flag = id.as_str().replace('_', "-");
            origins.insert(flag.clone(), variable(&flag));
        }
    }
    if let Some((_, inner)) = matches.subcommand() {
        add_variables(inner, origins);
    }
}

/// Flags that name outputs, which may lie in an object store.
const WRITTEN: [&str; 5] = ["output", "figure", "trace", "state_out", "lerobot_stats_out"];

/// Arguments that name a folder which may lie in an object store.
const JOBS: [&str; 1] = ["job"];

/// Refuses addresses of object stores where only files are read, and those that hold a password; what is said holds none.
fn refuse_urls(command: &Command, matches: &ArgMatches) -> Result<(), u8> {
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        let values = matches.try_get_raw(id).ok().flatten().into_iter().flatten();
        for url in values.filter_map(|value| value.to_str()).filter(|value| records::is_url(value)) {
            let is_path = argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
            let is_written = WRITTEN.contains(&id) || JOBS.contains(&id);
            let (problem, hint) = if records::has_user(url) {
                (
                    "a URL with a user or a password in it",
                    "passwords in URLs are not sent; keys belong into the environment, or use a signed URL",
                )
            } else if is_path && is_written && url.to_ascii_lowercase().starts_with("http") {
                ("https:// is only read", "write to a file, or to s3://, gs:// or az://")
            } else if is_path && !is_written {
                ("only RUNS, outputs and jobs may lie in an object store", "download it first")
            } else {
                continue;
            };
            let console = Console::new(When::Auto, When::Never, false, false);
            console.error(&format!("{}: {problem}", records::shown_url(url)), Some(hint));
            return Err(USAGE);
        }
    }
    match matches.subcommand().and_then(|(name, inner)| Some((command.find_subcommand(name)?, inner))) {
        Some((command, inner)) => refuse_urls(command, inner),
        None => Ok(()),
    }
}

/// Says which argument is no text, where one has to be.
fn refuse_bytes(argument: &OsString) -> u8 {
    let console = Console::new(When::Auto, When::Never, false, false);
    console.error(
        &format!("argument '{}' is not UTF-8 text", path_text(Path::new(argument))),
        Some("rename the file, or name the folder it is in; names of outputs may be any bytes"),
    );
    USAGE
}

fn is_set(flag: &str) -> bool {
    std::env::var_os(variable(flag)).is_some()
}

/// Where the flags that an error names come from, as far as they were not typed.
fn mentioned(error: &impl ToString, origin: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let text = error.to_string();
    let is_flag = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let first = text.lines().next().unwrap_or_default();
    let words = first.split("--").skip(1).map(|rest| rest.split(|c| !is_flag(c)).next().unwrap_or_default());
    let mut found: Vec<String> =
        words.filter_map(|flag| origin(flag).map(|origin| format!("--{flag} is set by {origin}"))).collect();
    found.dedup();
    found
}

fn print(error: &clap::Error, origins: &[String]) -> u8 {
    if !error.use_stderr() {
        // Help quotes nothing that was typed, and is as long as it is. With stdout gone there is nobody to tell.
        let _ = error.print();
        return DONE;
    }
    // With stderr gone there is nobody to tell.
    Console::usage(&error.to_string(), || drop(error.print()));
    let console = Console::new(When::Auto, When::Never, false, false);
    if let Some(lines) = lines_for_check(error) {
        console.note(&lines);
    }
    if error.kind() == ErrorKind::InvalidSubcommand {
        console.note(&format!("there are {}", verbs_beside(error).join(", ")));
    }
    origins.iter().for_each(|origin| console.note(origin));
    u8::try_from(error.exit_code()).unwrap_or(USAGE)
}

/// The lines of simic.toml for a flag of an analysis that was given to `check`, which runs it.
fn lines_for_check(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() != ErrorKind::UnknownArgument || !is_about_check(error) {
        return None;
    }
    let flag = flag.strip_prefix("--")?;
    let command = Cli::command();
    let has_flag = |verb: &Command| verb.get_arguments().any(|argument| argument.get_long() == Some(flag));
    let analyses = ["analyze", "normalize"].into_iter().filter_map(|verb| command.find_subcommand(verb));
    let is_known = analyses.flat_map(Command::get_subcommands).any(has_flag);
    is_known.then(|| {
        format!("--{flag} belongs to the analysis: in simic.toml, under [check.NAME], write flags = {{ {flag} = ... }}")
    })
}

fn is_about_check(error: &clap::Error) -> bool {
    matches!(error.get(ContextKind::Usage), Some(ContextValue::StyledStr(usage)) if usage.to_string().contains("simic check"))
}

/// The verbs where an unknown one was typed.
fn verbs_beside(error: &clap::Error) -> Vec<String> {
    let command = Cli::command();
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    // `Usage: simic normalize [OPTIONS] <COMMAND>`
    let words = usage.split_whitespace().skip_while(|word| *word != "simic").skip(1);
    let mut place = &command;
    for word in words.take_while(|word| !word.starts_with(['[', '<'])) {
        place = place.find_subcommand(word).unwrap_or(place);
    }
    place.get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}

/// Flags about how the program speaks, where it writes and how it works: no number depends on them.
const ABOUT_SPEECH: [&str; 12] = [
    "format",
    "output",
    "force",
    "threads",
    "max-memory",
    "progress",
    "color",
    "quiet",
    "verbose",
    "config",
    "no-config",
    "device",
];

/// Says which settings that numbers depend on were not typed, and where they stand; with `-v` all that are in force.
fn tell_settings(parsed: &Parsed, context: &Context) {
    for (flag, origin) in parsed.origins.iter().filter(|(flag, _)| !ABOUT_SPEECH.contains(&flag.as_str())) {
        let value =
            parsed.settings.iter().find(|setting| setting.flag == *flag).map(|setting| &setting.value);
        let value = value.map_or_else(String::new, |value| format!(" {value}"));
        context.console.note(&format!("--{flag}{value}, from {origin}"));
    }
    let about_numbers =
        parsed.settings.iter().filter(|setting| !ABOUT_SPEECH.contains(&setting.flag.as_str()));
    for Setting { flag, value, is_typed } in about_numbers {
        let origin = match parsed.origins.get(flag) {
            Some(origin) => origin.as_str(),
            None if *is_typed => "command line",
            None => "default",
        };
        context.console.detail(&format!("--{flag} {value} ({origin})"));
    }
}

/// Variables that set no flag.
const OTHER_VARIABLES: [&str; 2] = ["RUNS", "BIN"];

/// Warns of variables that set nothing and are nearly called as one that does.
fn tell_misspelt(context: &Context) {
    fn flags_of(command: &Command, found: &mut BTreeSet<String>) {
        found.extend(command.get_arguments().filter_map(clap::Arg::get_long).map(variable));
        command.get_subcommands().for_each(|inner| flags_of(inner, found));
    }
    fn bare(name: &str) -> &str {
        name.strip_prefix("SIMIC_").unwrap_or(name)
    }
    let given = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let given: BTreeSet<String> = given.filter(|name| name.starts_with("SIMIC_")).collect();
    if given.is_empty() {
        return;
    }
    let mut known: BTreeSet<String> = OTHER_VARIABLES.iter().map(|name| variable(name)).collect();
    flags_of(&Cli::command(), &mut known);
    for name in given.difference(&known) {
        // What all begin with tells none apart.
        let names = known.iter().map(|name| bare(name));
        if let Some(meant) = misspelt(bare(name), names) {
            context.console.warn(&format!("{name} sets nothing: is SIMIC_{meant} meant?"));
        }
    }
}

fn run(verb: &Verb, context: &Context) -> Result<Outcome, CommandError> {
    threads(context)?.install(|| dispatch(verb, context))
}

/// Says what became of it.
fn end(outcome: Result<Outcome, CommandError>, context: &Context, origins: &Origins) -> u8 {
    match outcome {
        Ok(Outcome::Clean) => DONE,
        Ok(Outcome::Findings) => FINDINGS,
        Ok(Outcome::Incomparable) => INVALID,
        Err(error) => {
            context.console.error(&error.to_string(), error.hint().as_deref());
            for origin in mentioned(&error, |flag| origins.get(flag).cloned()) {
                context.console.note(&origin);
            }
            error.exit_code()
        }
    }
}

/// Threads asked for beyond this many times the cores only wait for each other.
const THREADS_PER_CORE: usize = 4;

/// The threads to work with.
fn threads(context: &Context) -> Result<rayon::ThreadPool, CommandError> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = context.common.threads.map(usize::from) {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // One core is no reason to refuse what a script asks of every machine.
        let most = THREADS_PER_CORE * cores.max(2);
        if threads > most {
            return Err(CommandError::usage(
                format!(
                    "--threads {threads}: there are {cores} cores here, and at most {most} threads make sense"
                ),
                "leave --threads out to use all cores",
            ));
        }
        pool = pool.num_threads(threads);
    }
    let failed = |error| CommandError::usage(format!("cannot start threads: {error}"), "try --threads 1");
    pool.build().map_err(failed)
}

fn dispatch(verb: &Verb, context: &Context) -> Result<Outcome, CommandError> {
    // Of what parts come to, the verb of their job knows the formats.
    let is_merge = matches!(verb, Verb::Shard { command: ShardCommand::Merge(_) });
    let is_for_checks =
        !is_merge && matches!(context.check_format_flag()?, FormatArg::Junit | FormatArg::Github);
    if is_for_checks && !matches!(verb, Verb::Check(_)) {
        return Err(CommandError::usage(
            "--format junit and github are formats of simic check",
            "table, json, ndjson, csv, markdown, parquet and arrow are everybody's",
        ));
    }
    match verb {
        Verb::Inspect(args) => commands::inspect::run(args, context),
        Verb::Analyze { command } => commands::analyze::run(command, context),
        Verb::Normalize { command } => commands::normalize::run(command, context),
        Verb::Check(args) => commands::check::run(args, context),
        Verb::Convert(args) => commands::convert::run(args, context),
        Verb::Shard { command } => {
            let parser = JobParser { typed: &asked_for_job, stored: &asked_by_job };
            commands::shard::run(command, &parser, context)
        }
        Verb::Report(args) => commands::report::run(args, context),
        Verb::Simulate { command } => commands::simulate::run(command, context),
        Verb::Devices(args) => commands::devices::run(args, context),
        Verb::Schema(args) => commands::schema::run(args, context),
        Verb::Completions(args) => commands::completions(args, Cli::command(), context),
        Verb::Man(args) => commands::manual(args, Cli::command(), context),
    }
}

/// What a command typed for a job asks, with what the environment and the configuration add to it.
fn asked_for_job(typed: &[String], without: &BTreeSet<String>) -> Result<Asked, CommandError> {
    let command = with_environment(with_short_help(Cli::command()), without);
    asked(&command, typed, Surroundings::Heeded, without)
}

/// What the arguments of a job ask: nothing is added to them.
fn asked_by_job(stored: &[String]) -> Result<Asked, CommandError> {
    asked(&with_short_help(Cli::command()), stored, Surroundings::Ignored, &BTreeSet::new())
}

fn asked(
    command: &Command,
    typed: &[String],
    surroundings: Surroundings,
    without: &BTreeSet<String>,
) -> Result<Asked, CommandError> {
    let complete = complete(command, typed, surroundings, without)?;
    let cli = Cli::from_arg_matches(&complete.matches)
        .map_err(|error| CommandError::usage(error.to_string(), "simic help"))?;
    let context = Context::new(cli.common, cli.verb.output_holds());
    let verb = match &cli.verb {
        Verb::Analyze { command } => ShardedVerb::of_analyze(command),
        Verb::Normalize { command } => ShardedVerb::of_normalize(command)?,
        _ => {
            let name = typed.first().map_or("", String::as_str);
            return Err(not_divided(name, "simic shard plan --help says what can"));
        }
    };
    Ok(Asked { verb, context, arguments: complete.arguments, added: complete.added })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_parser_is_sound() {
        super::command().debug_assert();
    }
}
