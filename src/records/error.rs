//! What can be wrong with a recording, with the place and what to do.

use std::fmt;

/// A problem in a file, or with the list of files.
#[derive(Debug)]
pub struct RecordError {
    /// The file as the user knows it; empty when the problem is not in one file.
    pub file: String,
    /// Row within the file, counted from 0.
    pub row: Option<u64>,
    /// Column.
    pub column: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No such file or directory.
    #[error("no such file or directory")]
    NotFound,
    /// A symbolic link whose target is not there, or is itself.
    #[error("a symbolic link to {target}, which leads nowhere")]
    BrokenLink {
        /// Where it points.
        target: String,
    },
    /// Replaced or written to between being opened and read to the end.
    #[error("changed while it was read")]
    ChangedWhileRead,
    /// A device, a terminal or a socket in place of a file.
    #[error("a device, not a file: what it gives may have no end")]
    Device,
    /// A named pipe that nobody writes to.
    #[error("a named pipe that nobody opened for writing within {seconds} seconds")]
    NoWriter {
        /// How long was waited.
        seconds: u64,
    },
    /// A pattern that matches nothing.
    #[error("no file matches this pattern")]
    NoMatch,
    /// A pattern that cannot be parsed.
    #[error("not a valid pattern: {0}")]
    BadPattern(String),
    /// A directory without readable files.
    #[error("the directory holds no .parquet, .arrow, .ndjson or .csv file")]
    EmptyDirectory,
    /// Nothing was named and nothing is there by default.
    #[error("no runs given: RUNS is empty, SIMIC_RUNS is not set and there is no runs/ directory here")]
    NoRuns,
    /// A store of objects that was not, or could not be, asked.
    #[error("{detail}")]
    Store {
        /// What is wrong.
        detail: String,
        /// What to do.
        hint: String,
        /// Whether the same may do another time.
        may_pass: bool,
    },
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Rows that are to be put in order and cannot be kept meanwhile.
    #[error("cannot keep rows in temporary files in {folder}: {detail}")]
    NoTemporary {
        /// Where such files are made.
        folder: String,
        /// Why.
        detail: String,
    },
    /// Not the format its name says.
    #[error("not a readable {format} file: {detail}")]
    Unreadable {
        /// The format expected.
        format: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// A part that takes more memory than it may.
    #[error("{part} decodes to {}, more than the {} of --max-memory", bytes_in_words(*.decoded), bytes_in_words(*.budget))]
    OverBudget {
        /// Which part of the file.
        part: String,
        /// Bytes it takes once it is decoded.
        decoded: u64,
        /// Bytes it may take.
        budget: u64,
    },
    /// Text files that take more memory than they may.
    #[error("the file decodes to more than {}{}", if *.is_first { "the " } else { "is left, with the files before it, of the " }, of_budget(*.budget))]
    TextOverBudget {
        /// Whether nothing was held before it.
        is_first: bool,
        /// Bytes that all may take.
        budget: u64,
    },
    /// What can be read only once and has no end within the budget.
    #[error("it gives more than the {}", of_budget(*.budget))]
    StreamOverBudget {
        /// Bytes that it may take.
        budget: u64,
    },
    /// An extension nobody knows, and no magic bytes either.
    #[error("unknown format: neither Parquet, Arrow IPC, NDJSON nor CSV")]
    UnknownFormat,
    /// Needed columns are not there.
    #[error("no {needed}; columns found: {}", list(.found))]
    MissingColumns {
        /// What is needed.
        needed: String,
        /// What was found.
        found: Vec<String>,
    },
    /// A column mapped on the command line is not in the file.
    #[error("--column {field}={column}: there is no such column; columns found: {}", list(.found))]
    MappedColumnMissing {
        /// Canonical field.
        field: String,
        /// Column asked for.
        column: String,
        /// What was found.
        found: Vec<String>,
    },
    /// A column that a flag names is not in the file.
    #[error("--{flag} {column}: there is no such column; columns found: {}", list(.found))]
    NamedColumnMissing {
        /// The flag.
        flag: &'static str,
        /// Column asked for.
        column: String,
        /// What was found.
        found: Vec<String>,
    },
    /// Columns that could play the roles a command needs are there under names of their own.
    #[error("no {needed}; columns found: {}", list(.found))]
    RolesNotNamed {
        /// What is needed.
        needed: String,
        /// What was found.
        found: Vec<String>,
        /// The command that names them.
        command: String,
    },
    /// No estimates of a trainer to compare with.
    #[error("--compare-recorded: no Shapley values that a trainer estimated itself in the files read")]
    NoEstimates,
    /// Two estimates of one slot in one event.
    #[error("a second estimate of slot {0} in the same run, episode, environment and event")]
    EstimatedTwice(String),
    /// No file of the kind a command needs.
    #[error("no {needed} in the files read ({others})")]
    NoFilesOfKind {
        /// The kind needed.
        needed: &'static str,
        /// What they hold instead.
        others: String,
    },
    /// A cell of another type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// Expected type.
        expected: &'static str,
        /// Type or text found.
        found: String,
    },
    /// A null where a value is needed.
    #[error("a null where {0} is needed")]
    Null(&'static str),
    /// A value that is not finite.
    #[error("{0} is not a finite number")]
    NonFinite(f64),
    /// A slot list and a configuration of different length.
    #[error("{config} config entries for {slots} slots")]
    ConfigLength {
        /// Entries in config.
        config: usize,
        /// Entries in slot_ids.
        slots: usize,
    },
    /// A column of a type that rows cannot be picked of.
    #[error("a column of type {0} cannot be carried along with its rows")]
    NotCarried(String),
    /// A column that a file has twice.
    #[error("there twice")]
    RepeatedName,
    /// One slot listed twice.
    #[error("slot '{0}' is listed twice")]
    DuplicateSlot(String),
    /// A mask bit without a slot.
    #[error("mask {mask} has a bit beyond the {slots} slots")]
    MaskTooWide {
        /// The mask.
        mask: u64,
        /// Slots known.
        slots: usize,
    },
    /// A mask of more slots than it has bits.
    #[error("a mask has 64 bits for {slots} slots")]
    MaskTooShort {
        /// Slots named.
        slots: usize,
    },
    /// Rows of one game disagree on its slots.
    #[error("{game}: this row lists {found} slots ({}), the game's first row {expected} ({})", list(.found_ids), list(.expected_ids))]
    SlotsDiffer {
        /// The game.
        game: String,
        /// Number found.
        found: usize,
        /// Ids found.
        found_ids: Vec<String>,
        /// Number expected.
        expected: usize,
        /// Ids expected.
        expected_ids: Vec<String>,
    },
    /// A coalition recorded twice under `--duplicates error`.
    #[error("{game}: coalition {coalition} is recorded more than once")]
    RepeatedCoalition {
        /// The game.
        game: String,
        /// The coalition.
        coalition: String,
    },
    /// A recorded permutation that is not one.
    #[error("{game}: permutation {perm}: {detail}")]
    BadWalk {
        /// The game.
        game: String,
        /// The recorder's number.
        perm: i64,
        /// What is wrong.
        detail: String,
    },
    /// Only some rows carry one of two columns that belong together.
    #[error("perm without pos, or pos without perm")]
    HalfWalk,
    /// A file of two kinds of rows, or nothing in it.
    #[error("the file has no rows")]
    NoRows,
    /// The games have no player.
    #[error("{0}: no slot is ever switched on, so the number of slots is unknown")]
    NoPlayers(String),
    /// A stored state that cannot be used.
    #[error("not a usable normalizer state: {0}")]
    BadState(String),
    /// One step recorded twice.
    #[error("{step} is recorded twice (also {other})")]
    DuplicateStep {
        /// Which step.
        step: String,
        /// Where else.
        other: String,
        /// Whether the recording says which environment a row is of.
        has_env: bool,
    },
    /// A file given twice under two names.
    #[error("the same bytes as {0}, so its rows would count twice")]
    CopiedFile(String),
    /// The same rows in two sources of one call.
    #[error("the same rows as in {0}, which would count twice")]
    SameRows(String),
    /// No data set of the layout that was named.
    #[error("no {0} data set")]
    NoSuchLayout(&'static str),
    /// What describes a data set cannot be read.
    #[error("this describes a data set, and cannot be read: {0}")]
    DamagedDescription(String),
    /// A data set whose files hold other rows than it says.
    #[error("this {layout} data set says it has {expected} rows, and {found} are found in its files")]
    DatasetRows {
        /// Which layout.
        layout: &'static str,
        /// Rows it says it has.
        expected: u64,
        /// Rows there are.
        found: u64,
    },
    /// A recording without what ends its episodes.
    #[error("no {0}, so nothing says where its episodes end")]
    NoEpisodeEnds(&'static str),
    /// A column that is there and holds no numbers.
    #[error("it holds {0}, which are not read")]
    NotNumbers(String),
    /// A file of a known format without rows that can be read.
    #[error("a file of {0}")]
    ForeignFormat(&'static str, &'static str),
    /// A value too large for statistics.
    #[error("{what} is so large that its square, summed over {n_rows} rows, overflows a 64-bit number")]
    SquaresOverflow {
        /// Which value, and where.
        what: String,
        /// Rows of the recording.
        n_rows: u64,
    },
    /// A row after the end of an episode that is a step, where it should be a reset.
    #[error(
        "{step} follows the end of an episode and has reward {reward}: a step, not a reset in the next step"
    )]
    ResetWithReward {
        /// Which step.
        step: String,
        /// Its reward.
        reward: f64,
    },
    /// A round that goes on after a later one has begun.
    #[error("{step} is of round {round}, which was over: rows of another round came between in replay order")]
    RoundReturns {
        /// Which step.
        step: String,
        /// Its round.
        round: i64,
    },
    /// Observation of another width.
    #[error("an observation of {found} values after observations of {expected}")]
    ObservationWidth {
        /// Width found.
        found: usize,
        /// Width before.
        expected: usize,
    },
}

/// Whether a decoder says that it has never learned what a sound file uses.
fn is_unknown_there(detail: &str) -> bool {
    let detail = detail.to_ascii_lowercase();
    ["unsupported", "not supported", "no filter"].iter().any(|words| detail.contains(words))
}

impl RecordError {
    /// A problem with a whole file.
    pub fn file(file: impl Into<String>, problem: impl Into<Problem>) -> Self {
        Self { file: file.into(), row: None, column: None, problem: problem.into() }
    }

    /// A problem with a column.
    pub fn column(file: impl Into<String>, column: &str, problem: Problem) -> Self {
        Self { file: file.into(), row: None, column: Some(column.to_owned()), problem }
    }

    /// A problem with one cell.
    pub fn cell(file: impl Into<String>, row: u64, column: &str, problem: Problem) -> Self {
        Self { file: file.into(), row: Some(row), column: Some(column.to_owned()), problem }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match &self.problem {
            Problem::NotFound => {
                "check the path; a directory is searched recursively and patterns may be quoted"
            }
            Problem::BrokenLink { .. } => "restore what it points to, or name that file itself",
            Problem::ChangedWhileRead => {
                "run it again once nothing writes to the file any more, or on a copy: what was read is of two versions"
            }
            Problem::Device => "name a file or a pipe; - reads standard input",
            Problem::NoWriter { .. } => "start what writes to it, or name a file; - reads standard input",
            Problem::NoRuns => {
                "name files, directories or patterns, set SIMIC_RUNS, or run where there is a runs/ directory"
            }
            Problem::EmptyDirectory => "name the directory that holds the recordings",
            Problem::NoMatch => "patterns know *, **, ?, [..] and {a,b}",
            Problem::Unreadable { detail, .. } if is_unknown_there(detail) => {
                "if the file is whole, write it again with what is read everywhere (h5repack -f GZIP=1, or Parquet with zstd); --on-bad skip leaves such files out and counts them"
            }
            Problem::Unreadable { .. } => {
                "the file may be truncated or of another format; --on-bad skip leaves such files out and counts them"
            }
            Problem::TextOverBudget { .. } => {
                "a larger --max-memory reads it where the machine has it; Parquet is read part by part"
            }
            Problem::StreamOverBudget { .. } => {
                "a file on disk is read part by part; or a larger --max-memory where the machine has it"
            }
            Problem::OverBudget { .. } => {
                "a larger --max-memory reads it where the machine has it; smaller row groups or batches need less"
            }
            Problem::MissingColumns { needed, .. } if needed.starts_with("value column") => {
                "name a numeric column with --value NAME"
            }
            Problem::MissingColumns { .. } => {
                "map a column with --column FIELD=NAME; docs/formats.md lists the names known"
            }
            Problem::NamedColumnMissing { .. } => "columns are named as the file spells them",
            Problem::Store { hint, .. } => return Some(hint.clone()),
            Problem::RolesNotNamed { command, .. } => return Some(format!("perhaps {command}")),
            Problem::MappedColumnMissing { .. } => "FIELD is simic's name, NAME the file's",
            Problem::NonFinite(_) | Problem::Null(_) => "--on-bad skip leaves such rows out and counts them",
            Problem::RepeatedCoalition { .. } => {
                "--duplicates mean averages repeats and carries their spread"
            }
            Problem::BadState(_) => {
                "states are read from simic JSON, safetensors, npz, Stable-Baselines3 pickles, PyTorch checkpoints \
                 and esper-lite metadata"
            }
            Problem::DuplicateStep { has_env: false, .. } => {
                "no column says which environment a row is of: record one, or map it with --column env_id=NAME; one \
                 environment has one row per episode and step"
            }
            Problem::DuplicateStep { .. } => {
                "tell rows apart by run_id, episode, step or env_id; --column FIELD=NAME maps other columns"
            }
            Problem::NotCarried(_) => "convert the column, or leave it out of the recording",
            Problem::RepeatedName => "give each column a name of its own",
            Problem::CopiedFile(_) => "name one of the two files",
            Problem::SameRows(_) => "name one of the two: one is an export of the other",
            Problem::DamagedDescription(_) => {
                "restore it; --layout files reads each file of the folder for itself, which is not the same"
            }
            Problem::NoSuchLayout(_) => "leave --layout out to have it told by what lies there",
            Problem::DatasetRows { .. } => {
                "restore its files; --on-bad skip goes on with the rows there are, and says so"
            }
            Problem::NoEpisodeEnds(_) => {
                "write it: an array of one flag for each row, true at the last row of an episode"
            }
            Problem::NotNumbers(_) => {
                "name other columns with --obs, or look at rewards with --target reward"
            }
            Problem::ForeignFormat(_, hint) => hint,
            Problem::SquaresOverflow { .. } => "rescale the column before it is recorded",
            Problem::ResetWithReward { .. } => {
                "leave --autoreset out: the rows then show when environments reset"
            }
            Problem::RoundReturns { .. } => {
                "environments are aligned row by row: --clock NAME aligns them by the column NAME instead, the \
                 round's own for instance (--clock round)"
            }
            Problem::ObservationWidth { .. } => {
                "one analysis reads observations of one width; --on-bad skip leaves the others out"
            }
            Problem::BadWalk { .. } => {
                "--on-bad skip leaves such permutations out; their rows still count as evaluated coalitions"
            }
            Problem::WrongType { .. } if self.row.is_some() => {
                "--on-bad skip leaves such rows out and counts them"
            }
            Problem::WrongType { .. } => {
                "map another column with --column FIELD=NAME or name it with --value"
            }
            Problem::SlotsDiffer { .. } => {
                "one game has one set of slots; tell games apart by episode, env_id or batch"
            }
            Problem::MaskTooWide { .. } => "name all slots with --slots a,b,c",
            Problem::MaskTooShort { .. } => {
                "record config, a list or text of one bit per slot, or players_on, the names that are on"
            }
            Problem::UnknownFormat => "name the file with .parquet, .arrow, .ndjson or .csv",
            Problem::NoEstimates => {
                "--compare-recorded=FILE names a log, or a table with slot_id and estimate (sd, n_samples, episode, env_id)"
            }
            Problem::EstimatedTwice(_) => "a column event tells estimates of one episode apart",
            Problem::NoFilesOfKind { .. } => "simic inspect shows what each file holds",
            Problem::BadPattern(_) => {
                "patterns know *, **, ?, [..] and {a,b}; name a file whose name has these with ./"
            }
            Problem::NoTemporary { .. } => {
                "make room there, or name another folder with TMPDIR; rows in replay order need none"
            }
            Problem::Io(_) => "check that the file can be read and that nothing else is changing it",
            _ => "simic inspect shows what the file holds; docs/formats.md says what is read",
        };
        Some(hint.to_owned())
    }

    /// Whether columns are missing.
    pub fn is_missing_columns(&self) -> bool {
        matches!(self.problem, Problem::MissingColumns { .. } | Problem::RolesNotNamed { .. })
    }

    /// Whether `--on-bad skip` may leave the row or file out.
    pub fn is_skippable(&self) -> bool {
        matches!(
            self.problem,
            Problem::Io(_)
                | Problem::Unreadable { .. }
                | Problem::UnknownFormat
                | Problem::ForeignFormat(..)
                | Problem::NoEpisodeEnds(_)
                | Problem::MissingColumns { .. }
                | Problem::NamedColumnMissing { .. }
                | Problem::RolesNotNamed { .. }
                | Problem::WrongType { .. }
                | Problem::NoRows
        )
    }

    /// A word for the problem's class, for counts of what was skipped.
    pub fn class(&self) -> &'static str {
        match self.problem {
            Problem::Null(_) => "null",
            Problem::NonFinite(_) => "not finite",
            Problem::WrongType { .. } => "wrong type",
            Problem::MissingColumns { .. }
            | Problem::NamedColumnMissing { .. }
            | Problem::RolesNotNamed { .. } => "missing columns",
            Problem::ConfigLength { .. } | Problem::ObservationWidth { .. } => "wrong width",
            Problem::DuplicateSlot(_) => "duplicate slot",
            Problem::MaskTooWide { .. } => "mask too wide",
            Problem::MaskTooShort { .. } => "mask too short",
            Problem::HalfWalk => "half a walk",
            Problem::OverBudget { .. } | Problem::TextOverBudget { .. } => "too large",
            _ => "unreadable",
        }
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}: ", self.file)?;
        }
        match (self.row, &self.column) {
            (Some(row), Some(column)) => write!(f, "row {row}, column {column}: ")?,
            (Some(row), None) => write!(f, "row {row}: ")?,
            (None, Some(column)) => write!(f, "column {column}: ")?,
            (None, None) => {}
        }
        write!(f, "{}", self.problem)
    }
}

impl std::error::Error for RecordError {}

fn of_budget(budget: u64) -> String {
    format!("{} of --max-memory", bytes_in_words(budget))
}

/// Bytes as people write them.
pub fn bytes_in_words(n: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut size = n as f64 / 1e3;
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < units.len() {
        size /= 1e3;
        unit += 1;
    }
    if n < 1000 { format!("{n} bytes") } else { format!("{size:.1} {}", units[unit]) }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 24;
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut text = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", ...");
    }
    text
}
