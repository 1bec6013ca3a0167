//! The files a replay writes: whole or not at all, and never over what is read.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::plan::Plan;
use super::replayer::DoneRows;
use super::stored::reward_scale;
use crate::commands::simulate::CompressionArg;
use crate::commands::{CommandError, Context, check_free, is_read, on_disk, read_at};
use crate::records::{
    AtomicFile, InputFile, NormalizedWriter, RowFormat, StateSpan, StateWanted, StepRecording, StoredState,
    TraceRows, TraceWriter,
};
use crate::results::{NormalizedRun, Precision, ReplayAnalysis, RuleAnalysis, StatePlace, fnv1a_hex};
use crate::shards::RunSpan;

/// Stored states.
#[derive(Debug, Clone, Args)]
pub struct StateArgs {
    /// Go on from this stored state instead of the initial one
    #[arg(long, value_name = "FILE")]
    pub state_in: Option<PathBuf>,
    /// Store the final state (.json or .safetensors)
    #[arg(long, value_name = "FILE")]
    pub state_out: Option<PathBuf>,
}

/// What a replay writes besides the summary.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// Write one row per update to this Parquet file
    #[arg(long, value_name = "PATH")]
    pub trace: Option<PathBuf>,
    #[command(flatten)]
    pub(super) states: StateArgs,
    /// Precision of the values written [default: f32]
    #[arg(long, value_enum)]
    pub precision: Option<PrecisionArg>,
    /// Compression of the files written [default: zstd]
    #[arg(long, value_enum)]
    pub compression: Option<CompressionArg>,
}

/// What a table shows.
#[derive(Debug, Clone, Args)]
pub struct TableArgs {
    /// Dimensions to list in a table [default: 12]
    #[arg(long, value_name = "N")]
    pub dimensions: Option<usize>,
}

impl TableArgs {
    /// Dimensions to list.
    ///
    /// # Errors
    /// A number of them where no table is written.
    pub(super) fn dimensions(&self, context: &Context) -> Result<usize, CommandError> {
        context.check_table_flag("dimensions", self.dimensions.is_some())?;
        Ok(self.dimensions.unwrap_or(12))
    }
}

/// Precision of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    /// 32 bits
    F32,
    /// 64 bits
    F64,
}

impl OutputArgs {
    /// Precision of the values written.
    pub(super) fn precision(&self) -> Precision {
        match self.precision {
            None | Some(PrecisionArg::F32) => Precision::F32,
            Some(PrecisionArg::F64) => Precision::F64,
        }
    }
}

/// Where results go besides the summary; nowhere by default.
#[derive(Debug, Clone)]
pub(in crate::commands) struct OutputPaths {
    /// The normalized rows.
    pub(super) steps: Option<PathBuf>,
    /// One row per update.
    pub(super) trace: Option<PathBuf>,
    /// The final state.
    pub(super) state: Option<PathBuf>,
    format: RowFormat,
    force: bool,
    /// The folder that files are begun in, where it is not that of their places.
    begun_in: Option<PathBuf>,
}

impl Default for OutputPaths {
    fn default() -> Self {
        let format = RowFormat::Parquet(CompressionArg::Zstd.into());
        Self { steps: None, trace: None, state: None, format, force: false, begun_in: None }
    }
}

impl OutputPaths {
    /// What the flags of a replay name.
    ///
    /// # Errors
    /// Outputs that are not apart from each other, or whose names do not say what they will hold.
    pub(super) fn of_replay(args: &OutputArgs, context: &Context) -> Result<Self, CommandError> {
        let paths = Self {
            steps: context.common.output.clone(),
            trace: args.trace.clone(),
            state: args.states.state_out.clone(),
            format: RowFormat::Parquet(args.compression.unwrap_or(CompressionArg::Zstd).into()),
            force: context.common.force,
            begun_in: None,
        };
        let idle = if args.precision.is_some() && paths.steps.is_none() {
            Some(("precision", "is about the rows written with -o, and none are", "add -o FILE.parquet"))
        } else if args.compression.is_some() && paths.steps.is_none() && paths.trace.is_none() {
            let reason = "is about the files written with -o and --trace, and none are";
            Some(("compression", reason, "add -o FILE.parquet or --trace FILE.parquet"))
        } else {
            None
        };
        if let Some((flag, reason, hint)) = idle {
            return Err(CommandError::idle(flag, reason, hint));
        }
        paths.check()?;
        Ok(paths)
    }

    /// What the flags of final statistics name.
    ///
    /// # Errors
    /// A state whose name does not say its format.
    pub(super) fn of_state(args: &StateArgs, context: &Context) -> Result<Self, CommandError> {
        let paths = Self { state: args.state_out.clone(), force: context.common.force, ..Self::default() };
        paths.check()?;
        Ok(paths)
    }

    fn check(&self) -> Result<(), CommandError> {
        for path in [&self.steps, &self.trace].into_iter().flatten() {
            let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
            if !matches!(extension.as_deref(), Some("parquet" | "pq" | "parq")) {
                return Err(CommandError::usage(
                    format!("{}: replay writes Parquet", path.display()),
                    "name the file with .parquet; the summary goes to stdout",
                ));
            }
        }
        if let Some(path) = &self.state {
            check_state_path(path)?;
        }
        let named = [("--output", &self.steps), ("--trace", &self.trace), ("--state-out", &self.state)];
        for (place, (flag, path)) in named.iter().enumerate() {
            let Some(path) = path else { continue };
            let same = named[..place]
                .iter()
                .find(|(_, other)| other.as_ref().is_some_and(|other| is_same_file(other, path)));
            if let Some((other, _)) = same {
                return Err(CommandError::usage(
                    format!("{other} and {flag} name the same file"),
                    "give each a file of its own",
                ));
            }
        }
        Ok(())
    }

    /// Refuses outputs that are read.
    ///
    /// # Errors
    /// A trace or a state that is one of the files.
    pub(super) fn check_inputs(&self, files: &[InputFile]) -> Result<(), CommandError> {
        let outputs = [&self.trace, &self.state].into_iter().flatten();
        if let Some(name) = outputs.into_iter().find_map(|output| read_at(output, on_disk(files))) {
            return Err(is_read(name));
        }
        Ok(())
    }

    /// Where the rows of a task go: to the batches of its part, which are begun in a folder of their own.
    pub(in crate::commands) fn of_part(
        steps: Option<PathBuf>,
        trace: Option<PathBuf>,
        begun_in: Option<PathBuf>,
    ) -> Self {
        Self { steps, trace, state: None, format: RowFormat::Batches, force: true, begun_in }
    }

    fn begin(&self, path: &Path) -> std::io::Result<AtomicFile> {
        match &self.begun_in {
            Some(folder) => AtomicFile::create_within(folder, path),
            None => AtomicFile::create(path, self.force),
        }
    }

    /// Refuses a state of several runs that do not go on from each other.
    ///
    /// # Errors
    /// As said.
    pub(super) fn check_runs(&self, n_runs: usize, rule: &RuleAnalysis) -> Result<(), CommandError> {
        match &self.state {
            Some(path) if n_runs > 1 && !rule.carry_over => Err(several_states(path, n_runs)),
            _ => Ok(()),
        }
    }

    /// Refuses outputs that are there.
    ///
    /// # Errors
    /// The first of them.
    pub(super) fn check_there(&self) -> Result<(), CommandError> {
        for path in [&self.steps, &self.trace, &self.state].into_iter().flatten() {
            if path.is_dir() {
                return Err(CommandError::usage(format!("{} exists", path.display()), "name a file in it"));
            }
            check_free(path, self.force)?;
        }
        Ok(())
    }

    /// Writes the final state where that was asked, beside its place.
    ///
    /// # Errors
    /// Several states for one file, or a file that cannot be written.
    pub(super) fn prepare_state(
        &self,
        runs: &[NormalizedRun],
        spans: &[RunSpan],
        ReplayAnalysis { rule: analysis, state_in, .. }: &ReplayAnalysis,
        device: &str,
    ) -> Result<Option<PreparedState>, CommandError> {
        let Some(path) = &self.state else { return Ok(None) };
        let shown = only_state(path, runs, analysis)?;
        let mut stored = StoredState::of(&shown.state, analysis.epsilon, analysis.clip);
        let place = |run_id: &str, (episode, step)| StatePlace { run_id: run_id.to_owned(), episode, step };
        stored.span = spans.first().zip(spans.last()).map(|(first, last)| StateSpan {
            first: place(&first.run_id, first.first),
            last: place(&last.run_id, last.last),
        });
        // Moments of another device differ in their last digits: no fingerprint is better than one that never fits.
        stored.fingerprint = (device == "cpu").then(|| fingerprint(shown));
        stored.target = Some(analysis.target.name().to_owned());
        stored.reward_scale = reward_scale(analysis).map(str::to_owned);
        let obstacle = analysis.rule.merge_obstacle();
        let by_return = stored
            .reward_scale
            .is_some()
            .then_some("its rewards are scaled by returns that go on from shard to shard");
        stored.merge_obstacle = obstacle.or(by_return).map(str::to_owned);
        if let Some(before) = state_in {
            let wanted = StateWanted { target: analysis.target.name(), features: &analysis.reading.values };
            stored = stored.after(&StoredState::read_wanted(Path::new(before), wanted)?);
        }
        let bytes = stored.to_bytes(path);
        let name = path.display().to_string();
        let write = || -> std::io::Result<AtomicFile> {
            let mut file = AtomicFile::create(path, self.force)?;
            file.write_all(&bytes)?;
            Ok(file)
        };
        let file = write().map_err(|source| CommandError::Output { target: name.clone(), source })?;
        Ok(Some(PreparedState { file, name }))
    }
}

/// Whether two outputs are one file, however they are spelled.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            Some(folder.unwrap_or(Path::new(".")).canonicalize().ok()?.join(path.file_name()?))
        })
    };
    a == b || place(a).is_some_and(|a| place(b) == Some(a))
}

/// A state that is written, and not yet in its place.
pub(super) struct PreparedState {
    file: AtomicFile,
    name: String,
}

impl PreparedState {
    /// Moves the state into its place; gives its path.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub(super) fn commit(self) -> Result<String, CommandError> {
        let target = self.name.clone();
        self.file.commit().map_err(|source| CommandError::Output { target, source })?;
        Ok(self.name)
    }
}

/// The state that stands for all: the only one, or the last under carry-over.
fn only_state<'a>(
    path: &Path,
    runs: &'a [NormalizedRun],
    analysis: &RuleAnalysis,
) -> Result<&'a NormalizedRun, CommandError> {
    if let Some(run) = runs.iter().find(|run| run.env_id.is_some()).filter(|_| runs.len() > 1) {
        return Err(CommandError::usage(
            format!("--state-out {}: one state per environment of {}, one file", path.display(), run.run_id),
            "--format json prints all states; --scope shared keeps one",
        ));
    }
    match runs {
        [only] => Ok(only),
        [.., last] if analysis.carry_over => Ok(last),
        runs => Err(several_states(path, runs.len())),
    }
}

fn several_states(path: &Path, n_states: usize) -> CommandError {
    CommandError::usage(
        format!("--state-out {}: {n_states} states, one file", path.display()),
        "name the files of one run as RUNS, or carry the statistics over with --carry-over",
    )
}

/// Fingerprint of a stored state's bytes; `None` where it cannot be read, which is told when it is.
pub(super) fn state_fingerprint(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(format!("{}-{}", bytes.len(), fnv1a_hex(bytes)))
}

/// A state file is JSON or safetensors, by its name.
pub(super) fn check_state_path(path: &Path) -> Result<(), CommandError> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if matches!(extension.as_deref(), Some("json" | "safetensors")) {
        return Ok(());
    }
    Err(CommandError::usage(
        format!("{}: a state is stored as JSON or safetensors", path.display()),
        "name the file with .json or .safetensors",
    ))
}

/// A fingerprint of the rows a state has seen: of their number, moments and extremes, to the bit (FNV-1a).
fn fingerprint(run: &NormalizedRun) -> String {
    let rows = &run.diagnostics.rows;
    let numbers = rows.mean().iter().copied().chain(rows.vars()).chain(rows.min().iter().copied());
    let words = numbers.chain(rows.max().iter().copied()).map(f64::to_bits).chain([rows.n()]);
    fnv1a_hex(words.flat_map(u64::to_le_bytes))
}

/// The files under way.
#[derive(Default)]
pub(super) struct Outputs {
    pub(super) steps: Option<(AtomicFile, NormalizedWriter, String)>,
    pub(super) trace: Option<(AtomicFile, TraceWriter, String)>,
}

impl Outputs {
    pub(super) fn create(
        paths: &OutputPaths,
        plan: &Plan,
        recording: &StepRecording,
    ) -> Result<Self, CommandError> {
        paths.check_there()?;
        let format = paths.format;
        let failed = |path: &Path| {
            let target = path.display().to_string();
            move |source| CommandError::Output { target, source }
        };
        let steps = paths.steps.as_deref().map(|path| {
            let create = || -> std::io::Result<_> {
                let mut file = paths.begin(path)?;
                let writer = NormalizedWriter::new(file.as_file(), recording, plan.options.target, format)?;
                Ok((file, writer, path.display().to_string()))
            };
            create().map_err(failed(path))
        });
        let trace = paths.trace.as_deref().map(|path| {
            let create = || -> std::io::Result<_> {
                let mut file = paths.begin(path)?;
                let writer = TraceWriter::new(file.as_file(), recording.width(), plan.per_env, format)?;
                Ok((file, writer, path.display().to_string()))
            };
            create().map_err(failed(path))
        });
        Ok(Self { steps: steps.transpose()?, trace: trace.transpose()? })
    }

    /// The rows of parts, each in a file under way.
    ///
    /// # Errors
    /// Parts that cannot be read, or files that cannot be written.
    pub(super) fn of_parts(
        paths: &OutputPaths,
        width: usize,
        rows: &[PathBuf],
        trace: &[PathBuf],
    ) -> Result<Self, CommandError> {
        let RowFormat::Parquet(compression) = paths.format else { return Ok(Self::default()) };
        let mut outputs = Self::default();
        let failed = |path: &Path| {
            let target = path.display().to_string();
            move |source| CommandError::Output { target, source }
        };
        if let Some(path) = &paths.steps {
            let mut file = AtomicFile::create(path, paths.force).map_err(failed(path))?;
            let writer = NormalizedWriter::merged(file.as_file(), width, rows, compression);
            let writer = writer.map_err(failed(path))?.ok_or(CommandError::NothingLeft)?;
            outputs.steps = Some((file, writer, path.display().to_string()));
        }
        if let Some(path) = &paths.trace {
            let mut file = AtomicFile::create(path, paths.force).map_err(failed(path))?;
            let writer = TraceWriter::merged(file.as_file(), width, trace, compression);
            let writer = writer.map_err(failed(path))?.ok_or(CommandError::NothingLeft)?;
            outputs.trace = Some((file, writer, path.display().to_string()));
        }
        Ok(outputs)
    }

    pub(super) fn write(&mut self, DoneRows { rows, values, trace }: DoneRows) -> Result<(), CommandError> {
        if let (Some((_, writer, name)), Some(values)) = (&mut self.steps, values) {
            let (block, values) = match &rows.resets {
                None => (&rows.block, values),
                Some(with_resets) => (&with_resets.block, values.with_zeros(&with_resets.is_reset)),
            };
            writer
                .write(block, values)
                .map_err(|source| CommandError::Output { target: name.clone(), source })?;
        }
        self.write_trace(trace)
    }

    pub(super) fn write_trace(&mut self, trace: Option<TraceRows>) -> Result<(), CommandError> {
        if let (Some((_, writer, name)), Some(trace)) = (&mut self.trace, trace) {
            writer.write(trace).map_err(|source| CommandError::Output { target: name.clone(), source })?;
        }
        Ok(())
    }

    /// Moves everything into its place, the state last: ended in between, there is no state that claims rows which are
    /// not there, those of an earlier run included. Gives the paths.
    ///
    /// # Errors
    /// A file that cannot be finished or moved.
    pub(super) fn commit(self, state: Option<PreparedState>) -> Result<Vec<String>, CommandError> {
        let mut written = Vec::new();
        let failed = |name: &String| {
            let target = name.clone();
            move |source| CommandError::Output { target, source }
        };
        // Everything is whole before anything is moved into place.
        let mut files = Vec::new();
        if let Some((file, writer, name)) = self.steps {
            writer.finish().map_err(failed(&name))?;
            files.push((file, name));
        }
        if let Some((file, writer, name)) = self.trace {
            writer.finish().map_err(failed(&name))?;
            files.push((file, name));
        }
        // The state of an earlier run claims rows that are replaced now.
        if let Some(state) = state.as_ref().filter(|_| !files.is_empty()) {
            state.file.remove_replaced().map_err(failed(&state.name))?;
        }
        for (file, name) in files {
            file.commit().map_err(failed(&name))?;
            written.push(name);
        }
        if let Some(state) = state {
            written.push(state.commit()?);
        }
        Ok(written)
    }
}
