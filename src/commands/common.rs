//! Flags every command has, and what they make.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::error::CommandError;
use super::memory;
use crate::console::{Console, When};
use crate::records::{ColumnMap, Discovered, InputFile, OnBad, PartBudget, discover_within};
use crate::report::{CheckFormat, Format};

/// Format of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// A table for people
    Table,
    /// One JSON document
    Json,
    /// One JSON object per line
    Ndjson,
    /// Comma-separated values
    Csv,
    /// Markdown
    Markdown,
    /// JUnit XML (simic check)
    Junit,
    /// GitHub annotations (simic check)
    Github,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            // Those of checks alone are refused elsewhere before anything is written.
            FormatArg::Table | FormatArg::Junit | FormatArg::Github => Self::Table,
            FormatArg::Json => Self::Json,
            FormatArg::Ndjson => Self::Ndjson,
            FormatArg::Csv => Self::Csv,
            FormatArg::Markdown => Self::Markdown,
        }
    }
}

impl From<FormatArg> for CheckFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Table => Self::Table,
            FormatArg::Json => Self::Json,
            FormatArg::Ndjson => Self::Ndjson,
            FormatArg::Csv => Self::Csv,
            FormatArg::Markdown => Self::Markdown,
            FormatArg::Junit => Self::Junit,
            FormatArg::Github => Self::Github,
        }
    }
}

/// When to show something optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// Only on a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<ColorArg> for When {
    fn from(when: ColorArg) -> Self {
        match when {
            ColorArg::Auto => Self::Auto,
            ColorArg::Always => Self::Always,
            ColorArg::Never => Self::Never,
        }
    }
}

/// Malformed rows and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnBadArg {
    /// Stop with an error
    Error,
    /// Leave them out and count them
    Skip,
}

impl From<OnBadArg> for OnBad {
    fn from(on_bad: OnBadArg) -> Self {
        match on_bad {
            OnBadArg::Error => Self::Error,
            OnBadArg::Skip => Self::Skip,
        }
    }
}

/// Flags every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub struct CommonArgs {
    /// Format of the result
    #[arg(long, global = true, value_enum, default_value = "table")]
    pub format: FormatArg,
    /// Write the result to this file instead of stdout: whole or not at all
    #[arg(short, long, global = true, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Replace an existing output file
    #[arg(long, global = true)]
    pub force: bool,
    /// Seed of everything random
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Threads to use [default: all cores]; results do not depend on it
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Memory that what is decoded of a recording may take at once, 2GB or 512MiB for instance [default: half of the
    /// machine's]
    #[arg(long, global = true, value_name = "SIZE", value_parser = memory::parse_size)]
    pub max_memory: Option<PartBudget>,
    /// Show progress on stderr
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub progress: ColorArg,
    /// Colour messages on stderr; NO_COLOR is respected
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub color: ColorArg,
    /// Only errors and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Read FIELD from column NAME (repeatable)
    #[arg(long, global = true, value_name = "FIELD=NAME")]
    pub column: Vec<String>,
    /// Read settings from this file instead of the nearest simic.toml
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_config")]
    pub config: Option<PathBuf>,
    /// Read no simic.toml
    #[arg(long, global = true)]
    pub no_config: bool,
}

/// What a command works with: its common flags and the console.
#[derive(Debug)]
pub struct Context {
    /// Common flags.
    pub common: CommonArgs,
    /// The only way to print.
    pub console: Console,
}

impl Context {
    /// A context for these flags.
    pub fn new(common: CommonArgs) -> Self {
        let console = Console::new(common.color.into(), common.progress.into(), common.quiet, common.verbose);
        Self { common, console }
    }

    /// Format of the result.
    pub fn format(&self) -> Format {
        self.common.format.into()
    }

    /// Format of a check's report.
    pub fn check_format(&self) -> CheckFormat {
        self.common.format.into()
    }

    /// The column mapping.
    ///
    /// # Errors
    /// Mappings that are malformed or name no field.
    pub fn columns(&self) -> Result<ColumnMap, CommandError> {
        ColumnMap::parse(&self.common.column).map_err(|message| {
            CommandError::usage(format!("--column: {message}"), "for instance --column mask=bits")
        })
    }

    /// The files to read; remarks of the search are printed.
    ///
    /// # Errors
    /// Nothing to read.
    pub fn discover(&self, runs: &[String]) -> Result<Discovered, CommandError> {
        let default_runs = std::env::var("SIMIC_RUNS").ok();
        let budget = self.common.max_memory.unwrap_or_else(memory::half_of_machine);
        let discovered = discover_within(runs, default_runs.as_deref(), budget)?;
        for note in &discovered.notes {
            self.console.note(note);
        }
        let output = self.common.output.as_deref().and_then(|path| path.canonicalize().ok());
        let is_output = |file: &&InputFile| {
            output.is_some() && file.path_on_disk().and_then(|path| path.canonicalize().ok()) == output
        };
        if let Some(file) = discovered.files.iter().find(is_output) {
            return Err(CommandError::usage(
                format!("--output {} is one of the files read", file.name),
                "write the result elsewhere",
            ));
        }
        Ok(discovered)
    }

    /// Refuses a flag about tables where no table is written.
    ///
    /// # Errors
    /// If it `is_given` and the format is for programs.
    pub fn check_table_flag(&self, flag: &'static str, is_given: bool) -> Result<(), CommandError> {
        let is_table = matches!(self.format(), Format::Table | Format::Markdown);
        if !is_given || is_table {
            return Ok(());
        }
        Err(CommandError::idle(
            flag,
            format!("shortens a table; --format {} holds everything", self.format().name()),
            format!("leave --{flag} out"),
        ))
    }

    /// Refuses files that have changed since they were opened: what was read of them is of no single version.
    ///
    /// # Errors
    /// The first such file.
    pub fn check_unchanged(files: &[InputFile]) -> Result<(), CommandError> {
        files.iter().try_for_each(InputFile::check_unchanged).map_err(CommandError::from)
    }

    /// Refuses an existing output before the work, not after it.
    ///
    /// # Errors
    /// If the output exists and `--force` is not given.
    pub fn check_output(&self) -> Result<(), CommandError> {
        match &self.common.output {
            Some(path) if path.is_dir() => Err(CommandError::usage(
                format!("--output {} is a directory", path.display()),
                "name a file in it",
            )),
            Some(path) if path.is_file() && !path.starts_with("/dev") && !self.common.force => {
                Err(CommandError::Usage {
                    message: format!("{} exists", path.display()),
                    hint: Some("--force replaces it".to_owned()),
                })
            }
            _ => Ok(()),
        }
    }

    /// Writes the result to stdout or `--output`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CommandError> {
        let path = self.common.output.as_deref();
        self.console.output(path, self.common.force, write).map_err(|source| CommandError::Output {
            target: path.map_or_else(|| "the result".to_owned(), |path| path.display().to_string()),
            source,
        })
    }
}
