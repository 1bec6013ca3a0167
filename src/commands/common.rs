//! Flags every command has, and what they make.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::error::CommandError;
use super::formats::{FormatArg, OutputHolds, PictureFormat, format_of};
use super::memory;
use super::terminal;
use crate::console::{Console, When};
use crate::records::{
    AtomicFile, ColumnMap, Discovered, InputFile, Layout, OnBad, PartBudget, discover_within, is_url_path,
};
use crate::report::{CheckFormat, Format, Glyphs, Paint, Screen, USUAL_WIDTH};

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

/// Layouts of recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    /// Whichever is found
    Auto,
    /// None: each file stands for itself
    Files,
    /// Event logs of esper-lite
    Esper,
    /// LeRobot
    Lerobot,
    /// Minari
    Minari,
    /// RLlib
    Rllib,
    /// robomimic
    Robomimic,
    /// D4RL
    D4rl,
    /// Shards of a table, NAME-00000-of-00003
    Shards,
}

impl From<LayoutArg> for Layout {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::Auto => Self::Auto,
            LayoutArg::Files => Self::Files,
            LayoutArg::Esper => Self::Esper,
            LayoutArg::Lerobot => Self::Lerobot,
            LayoutArg::Minari => Self::Minari,
            LayoutArg::Rllib => Self::Rllib,
            LayoutArg::Robomimic => Self::Robomimic,
            LayoutArg::D4rl => Self::D4rl,
            LayoutArg::Shards => Self::Shards,
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

/// Refuses a flag that names one thing twice.
///
/// # Errors
/// The first name that is there twice.
pub(super) fn refuse_doubled(flag: &str, names: &[String]) -> Result<(), CommandError> {
    match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        Some((_, name)) => {
            Err(CommandError::usage(format!("--{flag} names '{name}' twice"), "name each once"))
        }
        None => Ok(()),
    }
}

/// Refuses an output that is there or cannot be made, before the work and not after it.
///
/// # Errors
/// An output that exists where `force` is not given, and a URL that nothing can be written to.
pub(super) fn check_free(path: &Path, force: bool) -> Result<(), CommandError> {
    AtomicFile::check_free(path, force).map_err(|source| {
        let target = path.display().to_string();
        if source.kind() == io::ErrorKind::AlreadyExists {
            CommandError::usage(format!("{target} exists"), "--force replaces it")
        } else {
            CommandError::Output { target, source }
        }
    })
}

/// Flags every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub struct CommonArgs {
    /// Format of the result [default: as the name of --output says, else table]
    #[arg(long, global = true, value_enum)]
    pub format: Option<FormatArg>,
    /// Write the result to this file instead of stdout, whole or not at all, in the format of its name: .json, .ndjson,
    /// .csv, .md, .txt, .parquet or .arrow
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
    /// Columns a table may take [default: the terminal's, else 100]: columns are dropped, then rows stacked, to fit
    #[arg(long, global = true, value_name = "N", conflicts_with = "wide", value_parser = clap::value_parser!(u16).range(20..))]
    pub width: Option<u16>,
    /// Tables with all their columns, however wide
    #[arg(long, global = true)]
    pub wide: bool,
    /// Draw rules, intervals and bars with ASCII characters
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Colour conclusions and messages; NO_COLOR is respected
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
    /// Read folders of a known layout as one recording [default: auto]
    #[arg(long, global = true, value_enum)]
    pub layout: Option<LayoutArg>,
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
    /// What `--output` is to hold.
    holds: OutputHolds,
}

/// Files with their names and where they lie, on disk or in a store.
pub(super) fn on_disk(files: &[InputFile]) -> impl Iterator<Item = (&str, &Path)> {
    files.iter().filter_map(|file| Some((&file.name[..], file.place_read()?)))
}

/// The name of the file among `read` that an output would replace.
pub(super) fn read_at<'a>(
    output: &Path,
    read: impl IntoIterator<Item = (&'a str, &'a Path)>,
) -> Option<&'a str> {
    if is_url_path(output) {
        return read.into_iter().find(|(_, path)| *path == output).map(|(name, _)| name);
    }
    let output = output.canonicalize().ok()?;
    let is_there = |path: &Path| path.canonicalize().is_ok_and(|path| path == output);
    read.into_iter().find(|(_, path)| is_there(path)).map(|(name, _)| name)
}

/// An output in the place of a file that is read.
pub(super) fn is_read(what: &str) -> CommandError {
    CommandError::usage(format!("{what} is one of the files read"), "write the result elsewhere")
}

impl Context {
    /// A context for these flags of a command whose `--output` is to hold this.
    pub fn new(common: CommonArgs, holds: OutputHolds) -> Self {
        let console = Console::new(common.color.into(), common.progress.into(), common.quiet, common.verbose);
        Self { common, console, holds }
    }

    /// The same for other common flags.
    pub(super) fn with(&self, common: CommonArgs) -> Self {
        Self::new(common, self.holds)
    }

    /// Layouts of folders that are looked for.
    pub(super) fn layout(&self) -> Layout {
        self.common.layout.map_or(Layout::Auto, Layout::from)
    }

    /// Memory that what is decoded may take at once.
    pub(super) fn budget(&self) -> PartBudget {
        self.common.max_memory.unwrap_or_else(memory::half_of_machine)
    }

    /// Where the result goes: stdout if `None`.
    fn result_path(&self) -> Option<&Path> {
        self.common.output.as_deref().filter(|_| self.holds != OutputHolds::Data)
    }

    /// The format that was asked for or that the name of the output says.
    ///
    /// # Errors
    /// Names that contradict the format asked for or say nothing, and binary formats on a terminal.
    pub(crate) fn check_format_flag(&self) -> Result<FormatArg, CommandError> {
        let format = format_of(self.common.format, self.result_path())?;
        if format.is_picture() && self.holds != OutputHolds::Drawn {
            return Err(CommandError::usage(
                "there is no picture of this result",
                "analyze shapley and interactions, normalize compare and check run draw theirs; simic report draws all",
            ));
        }
        let is_binary = Format::from(format).is_binary() || matches!(format, FormatArg::Png | FormatArg::Pdf);
        if is_binary && Console::is_terminal(self.result_path()) {
            return Err(CommandError::usage(
                format!("{} is binary, and the result would go to a terminal", format.name()),
                "name a file with --output, or send it down a pipe",
            ));
        }
        Ok(format)
    }

    /// What the result is looked at on: the terminal, or whatever reads a pipe or a file.
    pub fn screen(&self) -> Screen {
        let terminal = Console::is_terminal(self.result_path());
        let width = if terminal { terminal::columns().unwrap_or(USUAL_WIDTH) } else { USUAL_WIDTH };
        let paint = if self.console.paints(self.result_path()) { Paint::Coloured } else { Paint::Plain };
        self.screen_of(width, paint)
    }

    /// What a report beside the result is looked at on.
    pub fn file_screen(&self) -> Screen {
        self.screen_of(USUAL_WIDTH, Paint::Plain)
    }

    fn screen_of(&self, usual: usize, paint: Paint) -> Screen {
        let asked = self.common.width.map_or(usual, usize::from);
        Screen {
            width: (!self.common.wide).then_some(asked),
            glyphs: if self.common.ascii { Glyphs::Ascii } else { Glyphs::Unicode },
            paint,
        }
    }

    fn format_arg(&self) -> FormatArg {
        // What is wrong with it was told before the command began.
        format_of(self.common.format, self.result_path()).unwrap_or(FormatArg::Table)
    }

    /// Whether the result is a picture.
    pub(super) fn is_drawn(&self) -> bool {
        self.format_arg().is_picture()
    }

    /// The kind of picture that the result is.
    pub(super) fn picture_format(&self) -> Option<PictureFormat> {
        match self.format_arg() {
            FormatArg::Svg => Some(PictureFormat::Svg),
            FormatArg::Png => Some(PictureFormat::Png),
            FormatArg::Pdf => Some(PictureFormat::Pdf),
            FormatArg::VegaLite => Some(PictureFormat::VegaLite),
            _ => None,
        }
    }

    /// Format of the result.
    pub fn format(&self) -> Format {
        self.format_arg().into()
    }

    /// Format of a check's report.
    pub fn check_format(&self) -> CheckFormat {
        self.format_arg().into()
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
        let discovered = discover_within(runs, default_runs.as_deref(), self.layout(), self.budget())?;
        for note in &discovered.notes {
            self.console.note(note);
        }
        if let Some(output) = &self.common.output
            && let Some(name) = read_at(output, on_disk(&discovered.files))
        {
            return Err(is_read(&format!("--output {name}")));
        }
        Ok(discovered)
    }

    /// Refuses a flag about tables where no table is written.
    ///
    /// # Errors
    /// If it `is_given` and the format is for programs.
    pub fn check_table_flag(&self, flag: &'static str, is_given: bool) -> Result<(), CommandError> {
        self.check_view_flag(flag, "shortens a table", is_given)
    }

    /// Refuses a flag that `does` something to a table under a format that has no use for it.
    ///
    /// # Errors
    /// If it `is_given` and the format is for programs.
    pub fn check_view_flag(
        &self,
        flag: &'static str,
        does: &str,
        is_given: bool,
    ) -> Result<(), CommandError> {
        let is_table = matches!(self.format(), Format::Table | Format::Markdown);
        if is_given && self.is_drawn() {
            return Err(CommandError::idle(
                flag,
                format!("{does}, and a picture is drawn"),
                format!("leave --{flag} out"),
            ));
        }
        if !is_given || is_table {
            return Ok(());
        }
        Err(CommandError::idle(
            flag,
            format!("{does}; {} holds everything", self.format().name()),
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
            Some(path) => check_free(path, self.common.force),
            None => Ok(()),
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
