//! `simic normalize replay`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::device::{DeviceArg, tell_device};
use super::outputs::{Outputs, check_paths, store_states};
use super::pipeline::{Event, Prepared, RolledBack, walk};
use super::settings::{MomentumArgs, Plan, RuleArgs, granularity};
use crate::commands::simulate::CompressionArg;
use crate::commands::{CommandError, Context, Outcome};
use crate::normalization::{
    Batcher, Diagnostics, Engine, Granularity, LaneRows, Lanes, NormalizerState, Output, Places, Preset,
    Replay, Rows, Target, Update, open_device,
};
use crate::records::{NormalizedValues, StepRecording, StoredState, TraceRows};
use crate::report::{
    ActLearn, NormalizeSettings, NormalizedRun, ReplayReport, RollbackCounts, write_normalization,
};

/// Windows the diagnostics cut a run into.
pub(super) const N_WINDOWS: u64 = 256;

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
    pub(super) rule: RuleArgs,
    /// Write one row per update to this Parquet file
    #[arg(long, value_name = "PATH")]
    pub trace: Option<PathBuf>,
    /// Go on from this stored state instead of the initial one
    #[arg(long, value_name = "FILE")]
    pub state_in: Option<PathBuf>,
    /// Store the final state (.json or .safetensors)
    #[arg(long, value_name = "FILE")]
    pub state_out: Option<PathBuf>,
    /// Precision of the values written
    #[arg(long, value_enum, default_value = "f32")]
    pub precision: PrecisionArg,
    /// Compression of the files written
    #[arg(long, value_enum, default_value = "zstd")]
    pub compression: CompressionArg,
    /// Compare with what the learner saw, which normalized each ROLLOUT again at its end [presets brax, rsl-rl]
    #[arg(long, value_name = "rollout:N", value_parser = granularity)]
    pub learn_every: Option<Granularity>,
    /// Dimensions to list in a table
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub dimensions: usize,
    /// Where rows are gone through: cpu at 64 bits, every other device at 32 (simic devices lists them)
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceArg,
}

/// Precision of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    /// 32 bits
    F32,
    /// 64 bits
    F64,
}

/// Reads, replays, writes, reports.
///
/// # Errors
/// Unreadable input, a state that does not fit, or outputs that cannot be written.
pub fn run(args: &ReplayArgs, context: &Context) -> Result<Outcome, CommandError> {
    let report = compute(args, context)?;
    context
        .console
        .output(None, false, |out| write_normalization(&report, context.format(), args.dimensions, out))
        .map_err(|source| CommandError::Output { target: "the result".to_owned(), source })?;
    Ok(Outcome::Clean)
}

/// Replays and writes what was asked; gives the summary.
pub(in crate::commands) fn compute(
    args: &ReplayArgs,
    context: &Context,
) -> Result<ReplayReport, CommandError> {
    let plan = args.rule.plan(context, args.momentum.momentum, context.common.output.is_some())?;
    check_paths(args, context)?;
    let engine = open_device(args.device.into())?;
    tell_device(args.device, engine.as_ref(), context);
    let extra = [args.trace.as_deref(), args.state_out.as_deref()];
    let recording = open(&args.runs, &plan, context, &extra)?;
    let start =
        args.state_in.as_deref().map(|path| stored_start(path, &plan, recording.width())).transpose()?;
    let mut outputs = Outputs::create(args, &plan, &recording, context)?;
    let learn_every = args.learn_every.or(match (plan.learns_later, plan.granularity) {
        (false, _) => None,
        (true, rollout @ Granularity::Rollout(_)) => Some(rollout),
        // What rsl_rl collects between two updates of the policy, unless told otherwise.
        (true, _) => Some(Granularity::Rollout(24)),
    });
    let progress = context.console.progress();
    let mut replayer = Replayer::new(&recording, &plan, start, learn_every);
    replayer.engine.clone_from(&engine);
    replayer.tells_every_update = args.trace.is_some();
    let wants_values = outputs.steps.is_some();
    let is_single = args.precision == PrecisionArg::F32;
    let rolled_back = walk(&recording, &plan, &progress, &mut |event| match event {
        Event::Begin(run) => {
            replayer.begin(run);
            Ok(())
        }
        Event::Rows(rows) => {
            let mut trace = outputs.trace.is_some().then(TraceRows::default);
            let values = replayer.rows(rows, wants_values.then_some(is_single), trace.as_mut())?;
            outputs.write(rows, values, trace)
        }
        Event::End(run) => {
            let mut trace = outputs.trace.is_some().then(TraceRows::default);
            replayer.end(run, trace.as_mut());
            outputs.write_trace(trace)
        }
    })?;
    drop(progress);
    if replayer.done.iter().all(|run| run.rows == 0) {
        return Err(CommandError::NothingLeft);
    }
    let written = outputs.commit()?;
    let mut report = replayer.report(&rolled_back, &args.rule, written);
    if let Some(engine) = &engine {
        (report.device, report.device_name) = (engine.choice().name(), Some(engine.name().to_owned()));
    }
    if let Some(path) = &args.state_out {
        store_states(path, &report, &recording, &plan.rule, context)?;
        report.written.push(path.display().to_string());
    }
    finish(&report, &recording, context)?;
    Ok(report)
}

/// Opens the recording and says what there is to say about it.
///
/// `outputs` are files to be written besides `--output`: none may be read.
pub(super) fn open(
    runs: &[String],
    plan: &Plan,
    context: &Context,
    outputs: &[Option<&Path>],
) -> Result<StepRecording, CommandError> {
    let files = context.discover(runs)?.files;
    let place = |path: &Path| path.canonicalize().ok();
    for output in outputs.iter().flatten() {
        let clash = files
            .iter()
            .find(|file| place(output).is_some() && place(Path::new(&file.name)) == place(output));
        if let Some(file) = clash {
            return Err(CommandError::usage(
                format!("{} is one of the files read", file.name),
                "write the result elsewhere",
            ));
        }
    }
    let progress = context.console.progress();
    let recording = StepRecording::open(&files, &plan.options, &progress)?;
    drop(progress);
    for note in recording.notes() {
        context.console.note(note);
    }
    Ok(recording)
}

/// Tells what was left out.
pub(super) fn finish(
    report: &ReplayReport,
    recording: &StepRecording,
    context: &Context,
) -> Result<(), CommandError> {
    if let Some(skipped) = recording.skips().report.describe() {
        context.console.warn(&skipped);
    }
    if report.runs.is_empty() {
        return Err(CommandError::NothingLeft);
    }
    Ok(())
}

/// A stored state to begin with, checked against what is asked.
pub(super) fn stored_start(path: &Path, plan: &Plan, width: usize) -> Result<NormalizerState, CommandError> {
    let stored = StoredState::read(path, plan.target.name())?;
    let name = path.display();
    if stored.mean.len() != width {
        return Err(CommandError::State(
            format!("{name}: a state of {} dimensions for values of {width}", stored.mean.len()),
            "a state goes on only over values like those it has seen".to_owned(),
        ));
    }
    if stored.var.iter().any(|var| var.is_nan() || *var < 0.0)
        || stored.mean.iter().any(|mean| !mean.is_finite())
    {
        return Err(CommandError::State(
            format!("{name}: a variance is negative or a number is not finite"),
            "simic normalize verify says more".to_owned(),
        ));
    }
    if let Some(target) = stored.target.as_deref().filter(|target| *target != plan.target.name()) {
        return Err(CommandError::State(
            format!("{name}: a state of --target {target}, where --target {} goes on", plan.target.name()),
            "a state goes on only over values like those it has seen".to_owned(),
        ));
    }
    let memory = plan.rule.memory;
    let differs = stored.kind.as_deref().is_some_and(|kind| kind != memory.name());
    if differs || (stored.momentum.is_some() && stored.momentum != memory.momentum()) {
        let words = |kind: &str, momentum: Option<f64>| {
            momentum.map_or_else(|| kind.to_owned(), |momentum| format!("{kind} of momentum {momentum}"))
        };
        return Err(CommandError::State(
            format!(
                "{name}: the state is {}, the replay {}",
                words(stored.kind.as_deref().unwrap_or("of unknown kind"), stored.momentum),
                words(memory.name(), memory.momentum())
            ),
            "give the --momentum the state was made with".to_owned(),
        ));
    }
    let mut state = stored.resume(memory);
    if stored.initial.is_none() {
        let rule = &plan.rule;
        (state.initial_count, state.initial_mean, state.initial_var) =
            (rule.initial_count, rule.initial_mean, rule.initial_var);
    }
    Ok(state)
}

/// Rows of a rollout as the policy saw them, until the learner sees them again.
struct LearnProbe {
    batcher: Batcher,
    raw: Vec<f64>,
    act: Vec<f64>,
    sums: Vec<f64>,
    max: Vec<f64>,
    rows: u64,
}

impl LearnProbe {
    fn new(granularity: Granularity, width: usize) -> Self {
        Self {
            batcher: Batcher::new(granularity),
            raw: Vec::new(),
            act: Vec::new(),
            sums: vec![0.0; width],
            max: vec![0.0; width],
            rows: 0,
        }
    }

    /// The rollout is over: its rows are normalized again with the state as it is now.
    fn learn(&mut self, replay: &Replay) {
        let normalizer = replay.normalizer();
        let width = normalizer.width();
        let (mut center, mut inverse) = (vec![0.0; width], vec![0.0; width]);
        normalizer.scaling(&mut center, &mut inverse);
        let clip = normalizer.rule().clip.unwrap_or(f64::INFINITY);
        for (raw, act) in self.raw.chunks_exact(width).zip(self.act.chunks_exact(width)) {
            for d in 0..width {
                let learned = ((raw[d] - center[d]) * inverse[d]).clamp(-clip, clip);
                let difference = (learned - act[d]).abs();
                self.sums[d] += difference;
                self.max[d] = self.max[d].max(difference);
            }
        }
        self.rows += (self.raw.len() / width) as u64;
        self.raw.clear();
        self.act.clear();
    }
}

/// The replay of one recording, run by run.
struct Replayer<'a> {
    recording: &'a StepRecording,
    plan: &'a Plan,
    start: Option<NormalizerState>,
    lanes: Option<Lanes>,
    engine: Option<Engine>,
    /// Whether the state after every update is wanted (the trace).
    tells_every_update: bool,
    learn_every: Option<Granularity>,
    probe: Option<LearnProbe>,
    rows: u64,
    /// Place of each lane's last row, for batches that a later block closes.
    last_places: Vec<(i64, i64, u64)>,
    /// Vector step of the first row after each window's end.
    window_steps: Vec<(u64, u64)>,
    done: Vec<NormalizedRun>,
}

impl<'a> Replayer<'a> {
    fn new(
        recording: &'a StepRecording,
        plan: &'a Plan,
        start: Option<NormalizerState>,
        learn_every: Option<Granularity>,
    ) -> Self {
        Self {
            recording,
            plan,
            start,
            lanes: None,
            engine: None,
            tells_every_update: true,
            learn_every,
            probe: None,
            rows: 0,
            last_places: Vec::new(),
            window_steps: Vec::new(),
            done: Vec::new(),
        }
    }

    fn begin(&mut self, run: usize) {
        let info = &self.recording.runs()[run];
        let n_lanes = if self.plan.per_env { info.envs.len() } else { 1 };
        self.last_places = vec![(0, 0, 0); n_lanes];
        self.window_steps.clear();
        self.rows = 0;
        self.probe = self
            .learn_every
            .filter(|_| !self.plan.per_env)
            .map(|every| LearnProbe::new(every, self.recording.width()));
        let carried = self.lanes.take();
        let lanes = begin_lanes(self.recording, self.plan, run, carried, self.start.as_ref());
        self.lanes = Some(lanes.on_device(self.engine.as_ref(), self.tells_every_update));
    }

    /// Replays rows; gives normalized values of the asked precision (single or not).
    fn rows(
        &mut self,
        rows: &Prepared,
        precision: Option<bool>,
        mut trace: Option<&mut TraceRows>,
    ) -> Result<Option<NormalizedValues>, CommandError> {
        let n_rows = rows.block.n_rows();
        self.rows += n_rows as u64;
        let n_values = n_rows * self.recording.width();
        let mut values = match (precision, &self.probe) {
            (None, None) => None,
            (Some(true), None) => Some(NormalizedValues::F32(vec![0.0; n_values])),
            // The probe compares at full precision.
            _ => Some(NormalizedValues::F64(vec![0.0; n_values])),
        };
        if let Some(mut probe) = self.probe.take() {
            self.probed_rows(rows, &mut values, &mut trace, &mut probe)?;
            self.probe = Some(probe);
        } else {
            self.part(rows, 0..n_rows, &rows.ends, &mut values, &mut trace)?;
        }
        for row in 0..n_rows {
            let lane = if self.plan.per_env { rows.block.lane[row] as usize } else { 0 };
            self.last_places[lane] =
                (rows.block.episode[row], rows.block.step[row], rows.block.vector_step[row]);
        }
        Ok(match (precision, values) {
            (None, _) => None,
            #[expect(clippy::cast_possible_truncation, reason = "32 bits are what was asked for")]
            (Some(true), Some(NormalizedValues::F64(values))) => {
                Some(NormalizedValues::F32(values.into_iter().map(|x| x as f32).collect()))
            }
            (Some(_), values) => values,
        })
    }

    /// The same, stopping wherever a rollout is over.
    fn probed_rows(
        &mut self,
        rows: &Prepared,
        values: &mut Option<NormalizedValues>,
        trace: &mut Option<&mut TraceRows>,
        probe: &mut LearnProbe,
    ) -> Result<(), CommandError> {
        let width = self.recording.width();
        let places = Places { vector_step: &rows.block.vector_step, round: None };
        let mut stops = probe.batcher.ends(&places);
        let n_rows = rows.block.n_rows();
        let is_open = stops.last() != Some(&n_rows);
        if is_open {
            stops.push(n_rows);
        }
        let mut start = 0;
        for (i, stop) in stops.iter().enumerate() {
            let is_last_end = *stop == n_rows;
            let ends: Vec<usize> = rows
                .ends
                .iter()
                .filter(|end| (**end > start || (start == 0 && **end == 0)) && **end <= *stop)
                .map(|end| end - start)
                .collect();
            self.part(rows, start..*stop, &ends, values, trace)?;
            let raw = rows.block.values.rows();
            probe.raw.extend((start * width..stop * width).map(|at| raw.get(at)));
            if let Some(NormalizedValues::F64(values)) = values {
                probe.act.extend_from_slice(&values[start * width..stop * width]);
            }
            let is_over = !(is_open && is_last_end && i + 1 == stops.len());
            if is_over && let Some(lanes) = &self.lanes {
                probe.learn(&lanes.replays()[0]);
            }
            start = *stop;
        }
        Ok(())
    }

    fn part(
        &mut self,
        rows: &Prepared,
        range: std::ops::Range<usize>,
        ends: &[usize],
        values: &mut Option<NormalizedValues>,
        trace: &mut Option<&mut TraceRows>,
    ) -> Result<(), CommandError> {
        let width = self.recording.width();
        let Some(lanes) = &mut self.lanes else { unreachable!("a run has begun") };
        let block = &rows.block;
        let stored = block.values.rows().slice(range.clone(), width);
        let returns = rows.returns.as_ref().map(|returns| Rows::F64(&returns[range.clone()]));
        let output = match values {
            None => Output::None,
            Some(NormalizedValues::F32(values)) => {
                Output::F32(&mut values[range.start * width..range.end * width])
            }
            Some(NormalizedValues::F64(values)) => {
                Output::F64(&mut values[range.start * width..range.end * width])
            }
        };
        let lane_rows = LaneRows {
            rows: returns.unwrap_or(stored),
            input: returns.map(|_| stored),
            ends,
            lanes: &block.lane[range.clone()],
            episodes: block
                .episode_ends
                .as_ref()
                .map(|ends| (&block.episode[range.clone()], &ends[range.clone()])),
        };
        let run = &self.recording.runs()[block.run];
        let (last_places, window_steps) = (&self.last_places, &mut self.window_steps);
        let per_env = self.plan.per_env;
        let window = lanes.replays()[0].window_updates();
        lanes.process(&lane_rows, output, |lane, update| {
            let place = update.last_row.map_or(last_places[lane], |row| {
                let row = range.start + row;
                (block.episode[row], block.step[row], block.vector_step[row])
            });
            if lane == 0 && update.normalizer.updates().is_multiple_of(window) {
                window_steps.push((update.normalizer.updates(), place.2 + 1));
            }
            if let Some(trace) = trace {
                let env = if per_env { run.envs[lane] } else { 0 };
                push_update(trace, &run.run_id, env, place, &update);
            }
        })?;
        Ok(())
    }

    fn end(&mut self, run: usize, mut trace: Option<&mut TraceRows>) {
        let Some(lanes) = &mut self.lanes else { return };
        let info = &self.recording.runs()[run];
        let unfinished_episodes = lanes.n_open_episodes();
        let last_places = &self.last_places;
        lanes.finish(|lane, update| {
            if let Some(trace) = &mut trace {
                let env = if self.plan.per_env { info.envs[lane] } else { 0 };
                push_update(trace, &info.run_id, env, last_places[lane], &update);
            }
        });
        if let Some(probe) = &mut self.probe {
            probe.learn(&lanes.replays()[0]);
        }
        let act_learn = self.probe.take().map(|probe| ActLearn {
            rows: probe.rows,
            mean_abs: probe.sums.iter().map(|sum| sum / probe.rows.max(1) as f64).collect(),
            max_abs: probe.max,
        });
        for (lane, replay) in lanes.replays().iter().enumerate() {
            let normalizer = replay.normalizer();
            let state = normalizer.state();
            let diagnostics = Diagnostics::of(&self.plan.rule, replay.windows(), &state);
            let change_step = diagnostics.change.as_ref().and_then(|change| {
                let before = self.window_steps.iter().rev().find(|(updates, _)| *updates <= change.update);
                before.map(|(_, step)| *step)
            });
            self.done.push(NormalizedRun {
                run_id: info.run_id.clone(),
                env_id: self.plan.per_env.then(|| info.envs[lane]),
                rows: if self.plan.per_env { diagnostics.rows.n() } else { self.rows },
                var_used: normalizer.used_var(),
                state,
                rollback: RollbackCounts::default(),
                diagnostics,
                change_step,
                act_learn: act_learn.clone(),
                unfinished_episodes,
            });
        }
    }

    fn report(self, rolled_back: &[RolledBack], rule: &RuleArgs, written: Vec<String>) -> ReplayReport {
        let mut runs = self.done;
        for run in &mut runs {
            let number = self.recording.runs().iter().position(|info| info.run_id == run.run_id);
            if let Some(counts) = number.map(|number| rolled_back[number]) {
                run.rollback = RollbackCounts { rows: counts.rows, batches: counts.batches };
            }
        }
        replay_report("simic.normalize.replay/1", self.recording, self.plan, rule, runs, written)
    }
}

/// A report of runs under one plan.
pub(super) fn replay_report(
    schema: &'static str,
    recording: &StepRecording,
    plan: &Plan,
    rule: &RuleArgs,
    runs: Vec<NormalizedRun>,
    written: Vec<String>,
) -> ReplayReport {
    ReplayReport {
        schema,
        kind: plan.rule.memory.name(),
        momentum: plan.rule.memory.momentum(),
        target: plan.target.name(),
        device: "cpu",
        device_name: None,
        settings: NormalizeSettings {
            preset: rule.preset.map(|preset| Preset::from(preset).name()),
            update_every: plan.granularity.describe(),
            order: plan.rule.order.name(),
            scope: if plan.per_env { "env" } else { "shared" },
            epsilon: plan.rule.divisor.epsilon(),
            clip: plan.rule.clip,
            gamma: plan.return_scale.map(|scale| scale.gamma),
        },
        dimensions: dimension_names(recording, plan.target),
        runs,
        carried_over: plan.carry_over,
        n_files: recording.n_files(),
        skips: recording.skips(),
        written,
    }
}

fn dimension_names(recording: &StepRecording, target: Target) -> Vec<String> {
    match target {
        Target::Obs => recording.dimension_names(),
        other => vec![other.name().to_owned()],
    }
}

/// The normalizers a run begins with: those of the run before under carry-over, else `start`, else initial ones.
pub(super) fn begin_lanes(
    recording: &StepRecording,
    plan: &Plan,
    run: usize,
    before: Option<Lanes>,
    start: Option<&NormalizerState>,
) -> Lanes {
    let info = &recording.runs()[run];
    let n_lanes = if plan.per_env { info.envs.len() } else { 1 };
    let expected = expected_updates(plan, info.n_rows, info.n_vector_steps, n_lanes as u64);
    let carried = before.filter(|lanes| plan.carry_over && lanes.replays().len() == n_lanes);
    let replay = |lane: usize| match (&carried, start) {
        (Some(lanes), _) => {
            let state = lanes.replays()[lane].normalizer().state();
            Replay::resume(plan.rule, &state, expected, N_WINDOWS)
        }
        (None, Some(state)) => Replay::resume(plan.rule, state, expected, N_WINDOWS),
        (None, None) => Replay::new(plan.rule, recording.width(), expected, N_WINDOWS),
    };
    Lanes::new((0..n_lanes).map(replay).collect())
}

/// Updates a run will have, as far as its size tells.
pub(super) fn expected_updates(plan: &Plan, n_rows: u64, n_steps: u64, n_lanes: u64) -> u64 {
    match plan.granularity {
        Granularity::Row => n_rows.div_ceil(n_lanes),
        Granularity::Step => n_steps,
        Granularity::Rollout(n) => n_steps.div_ceil(n),
        // Rounds and episodes are few beside steps: windows of one update each, up to a point.
        Granularity::Round | Granularity::Episode => 1,
    }
}

fn push_update(trace: &mut TraceRows, run_id: &str, env: i64, place: (i64, i64, u64), update: &Update<'_>) {
    trace.run_id.push(run_id.to_owned());
    trace.env_id.push(env);
    trace.episode.push(place.0);
    trace.step.push(place.1);
    trace.vector_step.push(place.2.cast_signed());
    trace.batch_size.push(update.n.cast_signed());
    trace.count.push(update.normalizer.count());
    trace.mean.extend_from_slice(update.normalizer.mean());
    trace.var.extend_from_slice(update.normalizer.var());
}
