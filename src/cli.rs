//! The top-level parser, dispatch, and the way from results to exit codes.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{self, CommandError, CommonArgs, CompletionsArgs, Context, FormatArg, Outcome};
use crate::config;
use crate::console::{Console, When};
use crate::normalization::is_device_failure;
use crate::records;

const FINDINGS: u8 = 1;
const USAGE: u8 = 2;
const INVALID: u8 = 3;
const INTERRUPTED: i32 = 130;

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
4 device not available, 130 interrupted."
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
    /// Print the manual page (roff)
    Man,
}

/// The parser as the program uses it: every flag can also be set as `SIMIC_<FLAG>`.
pub fn command() -> Command {
    with_environment(Cli::command())
}

fn with_environment(command: Command) -> Command {
    let command = command.mut_args(|argument| match argument.get_long() {
        Some(long) if long != "help" && long != "version" => {
            let name = format!("SIMIC_{}", long.replace('-', "_").to_uppercase());
            let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
            let argument = argument.env(name).hide_env(true);
            // A switch is on unless the variable is empty, 0, no, off or false.
            if is_switch { argument.value_parser(FalseyValueParser::new()) } else { argument }
        }
        _ => argument,
    });
    command.mut_subcommands(with_environment)
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    quiet_foreign_panics();
    // Without a handler an interrupt still ends the program, but may leave a temporary file.
    let _ = ctrlc::set_handler(interrupted);
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match parse(arguments) {
        Ok(cli) => run(cli),
        Err(code) => code,
    }
}

#[expect(clippy::exit, reason = "an interrupt handler has no caller to return to")]
fn interrupted() {
    records::remove_unfinished_outputs();
    std::process::exit(INTERRUPTED);
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

fn parse(arguments: Vec<OsString>) -> Result<Cli, ExitCode> {
    let print = |error: clap::Error| {
        // With stderr gone there is nobody to tell.
        Console::usage(&error.to_string(), || drop(error.print()));
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
    };
    let command = command();
    let matches = command.clone().try_get_matches_from(&arguments).map_err(print)?;
    let extra = config::extra_arguments(&command, &matches).map_err(|error| {
        let console = Console::new(When::Auto, When::Never, false, false);
        console.error(&error.to_string(), Some("--no-config runs without it"));
        ExitCode::from(USAGE)
    })?;
    if extra.is_empty() {
        return Cli::from_arg_matches(&matches).map_err(print);
    }
    // Flags from the file go before the end-of-flags marker, where there is one.
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let mut all = arguments;
    all.splice(end..end, extra);
    let matches = command.try_get_matches_from(&all).map_err(print)?;
    Cli::from_arg_matches(&matches).map_err(print)
}

fn run(cli: Cli) -> ExitCode {
    let context = Context::new(cli.common);
    let outcome = threads(&context).and_then(|pool| pool.install(|| dispatch(&cli.verb, &context)));
    match outcome {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(FINDINGS),
        Ok(Outcome::Incomparable) => ExitCode::from(INVALID),
        Err(error) => {
            context.console.error(&error.to_string(), error.hint().as_deref());
            ExitCode::from(error.exit_code())
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
    let is_for_checks = matches!(context.common.format, FormatArg::Junit | FormatArg::Github);
    if is_for_checks && !matches!(verb, Verb::Check(_)) {
        return Err(CommandError::usage(
            "--format junit and github are formats of simic check",
            "table, json, ndjson, csv and markdown are everybody's",
        ));
    }
    match verb {
        Verb::Inspect(args) => commands::inspect::run(args, context),
        Verb::Analyze { command } => commands::analyze::run(command, context),
        Verb::Normalize { command } => commands::normalize::run(command, context),
        Verb::Check(args) => commands::check::run(args, context),
        Verb::Simulate { command } => commands::simulate::run(command, context),
        Verb::Devices(args) => commands::devices::run(args, context),
        Verb::Schema(args) => commands::schema::run(args, context),
        Verb::Completions(args) => commands::completions(args, Cli::command(), context),
        Verb::Man => commands::manual(Cli::command(), context),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_parser_is_sound() {
        super::command().debug_assert();
    }
}
