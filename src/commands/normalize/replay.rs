//! `simic normalize replay`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::autoreset;
use super::device::{DeviceArg, tell_device, tell_host_work};
use super::extent::facts_of;
use super::outputs::{OutputArgs, OutputPaths, Outputs, TableArgs, state_fingerprint};
use super::pieces::PieceSize;
use super::pipeline::{Event, walk_in_pieces};
use super::plan::Plan;
use super::presets::PresetArgs;
use super::replayer::{Replayer, ValuesWanted, Wanted};
use super::settings::{Base, MomentumArgs, RuleArgs};
use super::stored::{check_resumable, stored_start};
use crate::commands::figures::{FigureArgs, FigureKindArgs};
use crate::commands::{CommandError, Completeness, Context, Outcome};
use crate::normalization::{AutoresetRule, Granularity, ReturnReset, UpdatesTold, open_device};
use crate::records::{InputFile, StepRecording, StepSizes};
use crate::report::{normalization_figure, write_normalization};
use crate::results::{
    DeviceUsed, NormalizationDocument, NormalizedRun, Precision, REPLAY_SCHEMA, ReplayAnalysis, RuleAnalysis,
};
use crate::shards::{FoundRuns, StepFacts};

/// Recomputes the running statistics training normalized with, and normalizes the recording exactly as it did.
///
/// Without --momentum the statistics are those of the full history (Welford), with it an exponential moving
/// average. -o writes the normalized rows to Parquet, --trace one row per update; the summary goes to stdout.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic normalize replay --momentum 0.99
  simic normalize replay runs/*.parquet --preset sb3 -o normalized.parquet --trace trace.parquet
  simic normalize replay --target reward --reward-scale return --gamma 0.99
  simic normalize replay --preset brax --update-every rollout:2048 --format json
  simic normalize replay --device auto -o normalized.parquet")]
pub struct ReplayArgs {
    /// Files, directories, patterns, or - for stdin [default: $SIMIC_RUNS, else runs/]
    #[arg(value_name = "RUNS")]
    pub runs: Vec<String>,
    #[command(flatten)]
    pub(super) momentum: MomentumArgs,
    #[command(flatten)]
    pub(super) preset: PresetArgs,
    #[command(flatten)]
    pub(super) rule: RuleArgs,
    #[command(flatten)]
    pub(super) outputs: OutputArgs,
    /// Compare with what the learner saw, which normalized each ROLLOUT again at its end [presets brax, rsl-rl]
    #[arg(long, value_name = "rollout:N", value_parser = <Granularity as std::str::FromStr>::from_str)]
    pub learn_every: Option<Granularity>,
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    figure: FigureArgs,
    /// Where rows are gone through: cpu at 64 bits, every other device at 32 (simic devices lists them)
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceArg,
}

impl ReplayArgs {
    /// Whether one row per update is written.
    pub(in crate::commands) fn writes_trace(&self) -> bool {
        self.outputs.trace.is_some()
    }

    /// What is asked, as a value.
    ///
    /// # Errors
    /// Arguments that contradict each other.
    pub(in crate::commands) fn analysis(&self, context: &Context) -> Result<ReplayAnalysis, CommandError> {
        let base = Base { preset: self.preset.named(), momentum: self.momentum.momentum, memories: None };
        let rule = self.rule.analysis(context, base)?;
        if self.learn_every.is_some() && rule.is_per_env() {
            return Err(CommandError::usage(
                "--learn-every compares rollouts of all environments; --scope env keeps them apart",
                "use one of the two",
            ));
        }
        Ok(ReplayAnalysis {
            learn_every: self.learn_every.or(RuleArgs::learn_every(&rule)),
            rule,
            state_in: self.outputs.states.state_in.as_ref().map(|path| path.to_string_lossy().into_owned()),
            state_in_fingerprint: self.outputs.states.state_in.as_deref().and_then(state_fingerprint),
            device: self.device.into(),
            precision: self.outputs.precision(),
        })
    }
}

/// Reads, replays, writes, reports.
///
/// # Errors
/// Unreadable input, a state that does not fit, or outputs that cannot be written.
pub fn run(args: &ReplayArgs, context: &Context) -> Result<Outcome, CommandError> {
    args.table.dimensions(context)?;
    let analysis = args.analysis(context)?;
    args.figure.check(&FigureKindArgs::default(), context)?;
    let paths = OutputPaths::of_replay(&args.outputs, context)?;
    let files = context.discover(&args.runs)?.files;
    show(args, context, &compute(&analysis, &files, &paths, context)?)
}

/// Refuses flags about what is shown that show nothing, and outputs that are there.
///
/// # Errors
/// The first such flag.
pub(in crate::commands) fn check_view(args: &ReplayArgs, context: &Context) -> Result<(), CommandError> {
    args.table.dimensions(context)?;
    args.figure.check(&FigureKindArgs::default(), context)?;
    OutputPaths::of_replay(&args.outputs, context)?.check_there()
}

/// Refuses outputs that so many runs can never have.
///
/// # Errors
/// One state of several runs.
pub(in crate::commands) fn check_runs(
    args: &ReplayArgs,
    context: &Context,
    n_runs: usize,
) -> Result<(), CommandError> {
    OutputPaths::of_replay(&args.outputs, context)?.check_runs(n_runs, &args.analysis(context)?.rule)
}

/// Says what the runs come to, whose normalized rows and updates stand in these files.
///
/// # Errors
/// Several states for one file, or an output that cannot be written.
pub(in crate::commands) fn conclude(
    args: &ReplayArgs,
    context: &Context,
    analysis: &ReplayAnalysis,
    found: FoundRuns<NormalizedRun>,
    (rows, trace): (&[PathBuf], &[PathBuf]),
    completeness: Completeness,
) -> Result<Outcome, CommandError> {
    let paths = OutputPaths::of_replay(&args.outputs, context)?;
    paths.check_there()?;
    let outputs = Outputs::of_parts(&paths, found.recording.width, rows, trace)?;
    let mut document = document(analysis, found, &paths, outputs)?;
    completeness.tell(&mut document.verdict);
    show(args, context, &document)
}

fn show(
    args: &ReplayArgs,
    context: &Context,
    document: &NormalizationDocument,
) -> Result<Outcome, CommandError> {
    let dimensions = args.table.dimensions(context)?;
    args.figure.write(&FigureKindArgs::default(), context, |_| normalization_figure(document))?;
    context
        .console
        .output(None, false, |out| {
            write_normalization(document, context.format(), &context.screen(), dimensions, out)
        })
        .map_err(|source| CommandError::Output { target: "the result".to_owned(), source })?;
    Ok(Outcome::Clean)
}

/// Replays and writes what was asked; gives the summary.
pub(in crate::commands) fn compute(
    analysis: &ReplayAnalysis,
    files: &[InputFile],
    paths: &OutputPaths,
    context: &Context,
) -> Result<NormalizationDocument, CommandError> {
    paths.check_inputs(files)?;
    let Replayed { found, outputs } = measure(analysis, files, paths, context)?;
    document(analysis, found, paths, outputs)
}

/// The replay of single runs, and the files it has written beside their places.
pub(in crate::commands) struct Replayed {
    pub(in crate::commands) found: FoundRuns<NormalizedRun>,
    pub(super) outputs: Outputs,
}

impl Replayed {
    /// Moves what was written into its place.
    ///
    /// # Errors
    /// A file that cannot be finished or moved.
    pub(in crate::commands) fn committed(self) -> Result<FoundRuns<NormalizedRun>, CommandError> {
        self.outputs.commit(None)?;
        Ok(self.found)
    }
}

/// Replays every run; what it writes is not yet in its place.
///
/// # Errors
/// Unreadable input, a state that does not fit, or outputs that cannot be written.
pub(in crate::commands) fn measure(
    analysis: &ReplayAnalysis,
    files: &[InputFile],
    paths: &OutputPaths,
    context: &Context,
) -> Result<Replayed, CommandError> {
    check_resumable(analysis)?;
    let mut plan = replay_plan(analysis, paths);
    let told = if paths.trace.is_some() { UpdatesTold::Every } else { UpdatesTold::LastOfTile };
    let engine = open_device(analysis.device)?;
    tell_device(analysis.device, engine.as_ref(), context);
    if let Some(engine) = &engine {
        tell_host_work(engine, analysis, &plan, told, context);
    }
    let recording = open(files, &mut plan, context)?;
    let start = stored_start(analysis, &plan, recording.width())?;
    let mut outputs = Outputs::create(paths, &plan, &recording)?;
    let progress = context.console.progress();
    let mut replayer = Replayer::new(&recording, &plan, start, analysis.learn_every);
    replayer.run_on(engine.clone(), told);
    let wanted = Wanted { values: wanted_values(analysis, &outputs), trace: outputs.trace.is_some() };
    let size = PieceSize::of_device(engine.as_ref());
    let left_out = walk_in_pieces(&recording, &plan, size, &progress, &mut |event| match event {
        Event::Begin(run) => {
            replayer.begin(run);
            Ok(())
        }
        Event::Rows(rows) => replayer.rows(rows, wanted, &mut |done| outputs.write(done)),
        Event::End(run) => {
            let trace = replayer.end(run, wanted, &mut |done| outputs.write(done))?;
            outputs.write_trace(trace)
        }
    })?;
    drop(progress);
    let mut runs = replayer.done;
    let numbers: BTreeMap<&str, usize> =
        recording.runs().iter().enumerate().map(|(number, info)| (info.run_id.as_str(), number)).collect();
    for run in &mut runs {
        if let Some(number) = numbers.get(run.run_id.as_str()) {
            left_out[*number].tell(run, &recording.runs()[*number].envs);
        }
    }
    let device = DeviceUsed::of(engine.as_ref());
    Context::check_unchanged(files)?;
    tell_skips(&recording, context);
    tell_rolled_back(&runs, context);
    Ok(Replayed { found: FoundRuns { runs, recording: facts_of(&recording, None, device) }, outputs })
}

/// Says why nothing is left where everything was rolled back.
pub(super) fn tell_rolled_back(runs: &[NormalizedRun], context: &Context) {
    let rows: u64 = runs.iter().map(|run| run.rollback.rows).sum();
    if rows == 0 || runs.iter().any(|run| run.rows > 0) {
        return;
    }
    let is_by_batch = runs.iter().any(|run| run.rollback.batches > 0);
    let why = if is_by_batch {
        "lie in batches with a row that was rolled back; --rollback drop leaves out such rows alone"
    } else {
        "were rolled back"
    };
    context.console.warn(&format!("all {rows} rows {why}"));
}

/// What a replay needs to know that writes to these places.
pub(super) fn replay_plan(analysis: &ReplayAnalysis, paths: &OutputPaths) -> Plan {
    let mut plan = Plan::of(&analysis.rule, paths.steps.is_some());
    if paths.trace.is_some() {
        // A row may be an update, whose means and variances take four times what its values do.
        let sizes = plan.options.sizes;
        let (slice_bytes, wave_bytes) = (sizes.slice_bytes / 8, sizes.wave_bytes / 4);
        plan.options.sizes = StepSizes { slice_bytes, wave_bytes, ..sizes };
    }
    plan
}

/// Which normalized values are written.
pub(super) fn wanted_values(analysis: &ReplayAnalysis, outputs: &Outputs) -> ValuesWanted {
    match analysis.precision {
        _ if outputs.steps.is_none() => ValuesWanted::None,
        Precision::F32 => ValuesWanted::F32,
        Precision::F64 => ValuesWanted::F64,
    }
}

/// What the runs come to; moves what was written into its place.
fn document(
    analysis: &ReplayAnalysis,
    found: FoundRuns<NormalizedRun>,
    paths: &OutputPaths,
    outputs: Outputs,
) -> Result<NormalizationDocument, CommandError> {
    let FoundRuns { runs, recording } = found;
    if runs.iter().all(|run| run.rows == 0) {
        return Err(CommandError::NothingLeft);
    }
    let StepFacts { values, dimensions, input, spans, device, .. } = recording;
    let state = paths.prepare_state(&runs, &spans, analysis, &device.device)?;
    let written = outputs.commit(state)?;
    let settled =
        ReplayAnalysis { rule: settled(&analysis.rule, (&values, &dimensions)), ..analysis.clone() };
    Ok(NormalizationDocument::new(REPLAY_SCHEMA, settled, device, &runs, input, written).concluded())
}

/// Opens the recording and says what there is to say about it.
pub(super) fn open(
    files: &[InputFile],
    plan: &mut Plan,
    context: &Context,
) -> Result<StepRecording, CommandError> {
    let progress = context.console.progress();
    let recording = StepRecording::open(files, &plan.options, &progress)?;
    drop(progress);
    for note in recording.notes() {
        context.console.note(note);
    }
    settle(plan, &recording, context)?;
    Ok(recording)
}

/// Finds what `plan` leaves to the recording, if that is not known yet, and says what there is to say about it.
pub(super) fn settle(
    plan: &mut Plan,
    recording: &StepRecording,
    context: &Context,
) -> Result<(), CommandError> {
    let Some(scale) = plan.return_scale else { return Ok(()) };
    let needs_termination = matches!(
        scale.reset,
        ReturnReset::TerminalStep | ReturnReset::TerminationOnly | ReturnReset::Autoreset
    );
    if needs_termination && recording.has_done_alone() {
        context.console.note(
            "done does not tell termination from truncation and there is no terminated column: no row is taken as a \
             termination, at which returns would begin anew; --column terminated=done takes every done row as one",
        );
    }
    if !recording.has_episode_flags() {
        context.console.note(
            "there is no terminated, truncated or done column: returns never begin anew, and rows that only reset an \
             environment are not told apart",
        );
    }
    if plan.autoresets.is_empty() {
        let progress = context.console.progress();
        plan.autoresets = autoreset::find(recording, plan, &progress)?;
        drop(progress);
        if plan.autoreset == AutoresetRule::Auto {
            autoreset::tell(&plan.autoresets, recording, context);
        }
    }
    Ok(())
}

/// Tells what was left out.
pub(super) fn tell_skips(recording: &StepRecording, context: &Context) {
    if let Some(skipped) = recording.skips().report.describe() {
        context.console.warn(&skipped);
    }
}

/// What was asked, with what was left open as it was found: the columns the values were read from.
pub(super) fn settled(asked: &RuleAnalysis, (values, dimensions): (&[String], &[String])) -> RuleAnalysis {
    let mut settled = asked.clone();
    settled.reading.values = values.to_vec();
    settled.reading.dimensions = dimensions.to_vec();
    settled
}
