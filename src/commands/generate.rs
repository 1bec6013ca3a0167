//! `simic completions` and `simic man`: generated from the same definitions as the parser.

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

use super::{CommandError, Context, Outcome};

/// Prints a completion script for a shell.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: ShellArg,
}

/// Shells with completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellArg {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
    /// PowerShell
    Powershell,
    /// Elvish
    Elvish,
}

/// Writes the completion script.
///
/// # Errors
/// If it cannot be written.
pub fn completions(
    args: &CompletionsArgs,
    mut command: Command,
    context: &Context,
) -> Result<Outcome, CommandError> {
    let shell = match args.shell {
        ShellArg::Bash => Shell::Bash,
        ShellArg::Zsh => Shell::Zsh,
        ShellArg::Fish => Shell::Fish,
        ShellArg::Powershell => Shell::PowerShell,
        ShellArg::Elvish => Shell::Elvish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "simic", &mut script);
    context.write(|out| out.write_all(&script))?;
    Ok(Outcome::Clean)
}

/// Prints the manual page of the program, its commands one after the other, or of one command: `simic man analyze
/// shapley`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// The command
    pub verb: Vec<String>,
}

/// Writes the manual page, subcommands one after the other.
///
/// # Errors
/// A command that is not there, or if it cannot be written.
pub fn manual(args: &ManArgs, mut command: Command, context: &Context) -> Result<Outcome, CommandError> {
    command.build();
    for word in &args.verb {
        let Some(inner) = command.find_subcommand(word) else {
            let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            return Err(CommandError::usage(
                format!("there is no command '{}'", args.verb.join(" ")),
                format!("{} has {}", command.get_name(), known.join(", ")),
            ));
        };
        command = inner.clone();
    }
    let mut pages = Vec::new();
    let rendered = render(&command, &mut pages);
    rendered.map_err(|source| CommandError::Output { target: "the manual".to_owned(), source })?;
    context.write(|out| out.write_all(&pages))?;
    Ok(Outcome::Clean)
}

fn render(command: &Command, pages: &mut Vec<u8>) -> std::io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(pages)?;
    let visible = |inner: &&Command| !inner.is_hide_set() && inner.get_name() != "help";
    command.get_subcommands().filter(visible).try_for_each(|inner| render(inner, pages))
}
