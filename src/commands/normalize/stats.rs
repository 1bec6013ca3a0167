//! `simic normalize stats`.

use std::path::PathBuf;

use clap::Args;

use super::cutter::{CutPiece, WindowCutter};
use super::extent::{Extent, facts_of};
use super::magnitude::check_extremes;
use super::outputs::{OutputPaths, PreparedState, StateArgs, TableArgs, state_fingerprint};
use super::pieces::PIECE;
use super::pipeline::{Event, walk};
use super::plan::Plan;
use super::presets::PresetArgs;
use super::recorded::PreparedStatistics;
use super::replay::{open, settled, tell_rolled_back, tell_skips};
use super::replayer::{N_WINDOWS, begin_lanes, expected_updates, rows_per_step};
use super::settings::{Base, MomentumArgs, RuleArgs};
use super::stored::{check_resumable, stored_start};
use crate::commands::figures::{FigureArgs, FigureKindArgs};
use crate::commands::{CommandError, Completeness, Context, Outcome};
use crate::normalization::{
    DeviceChoice, Diagnostics, EpisodeCount, Granularity, Lanes, Memory, Normalizer, NormalizerState, Output,
    Pace, Window, moments_of,
};
use crate::progress::Progress;
use crate::records::{InputFile, RunInfo, StepRecording};
use crate::report::{normalization_figure, write_normalization};
use crate::results::{
    DeviceUsed, NormalizationDocument, NormalizedRun, Precision, ReplayAnalysis, Rollback, RollbackCounts,
    STATS_SCHEMA,
};
use crate::shards::{FoundRuns, StepFacts};
use crate::stats::RowMoments;

/// Computes the final running statistics of recorded steps.
///
/// Full-history statistics do not depend on the order of rows and are merged over row groups in parallel; a moving
/// average goes through the rows in replay order.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic normalize stats
  simic normalize stats runs/ --momentum 0.99 --state-out normalizer.json
  simic normalize stats runs/ --target reward --format json
  simic normalize stats lerobot/pusht --lerobot-stats-out stats.json")]
pub struct StatsArgs {
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
    pub(super) states: StateArgs,
    /// Write what the rows of a LeRobot data set imply for every feature to this file, in the form of its meta/stats.json
    #[arg(long, value_name = "FILE")]
    pub lerobot_stats_out: Option<PathBuf>,
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    figure: FigureArgs,
}

impl StatsArgs {
    /// What is asked, as a value.
    ///
    /// # Errors
    /// Arguments that contradict each other.
    pub(in crate::commands) fn analysis(&self, context: &Context) -> Result<ReplayAnalysis, CommandError> {
        let base = Base { preset: self.preset.named(), momentum: self.momentum.momentum, memories: None };
        Ok(ReplayAnalysis {
            rule: self.rule.analysis(context, base)?,
            state_in: self.states.state_in.as_ref().map(|path| path.to_string_lossy().into_owned()),
            state_in_fingerprint: self.states.state_in.as_deref().and_then(state_fingerprint),
            learn_every: None,
            device: DeviceChoice::Cpu,
            precision: Precision::F64,
        })
    }
}

/// Reads, computes, reports.
///
/// # Errors
/// Unreadable input, a state that does not fit, or outputs that cannot be written.
pub fn run(args: &StatsArgs, context: &Context) -> Result<Outcome, CommandError> {
    check_view(args, context)?;
    let analysis = args.analysis(context)?;
    let files = context.discover(&args.runs)?.files;
    OutputPaths::of_state(&args.states, context)?.check_inputs(&files)?;
    let statistics = args.lerobot_stats_out.as_deref();
    let force = context.common.force;
    let statistics = statistics.map(|path| PreparedStatistics::of(path, &files, force)).transpose()?;
    let found = measure(&analysis, &files, context, Extent::Whole)?;
    conclude_beside(args, context, &analysis, (found, statistics), Completeness::Whole)
}

/// Refuses flags about what is shown that show nothing, and outputs that are there.
///
/// # Errors
/// The first such flag.
pub(in crate::commands) fn check_view(args: &StatsArgs, context: &Context) -> Result<(), CommandError> {
    args.table.dimensions(context)?;
    args.figure.check(&FigureKindArgs::default(), context)?;
    context.check_output()?;
    OutputPaths::of_state(&args.states, context).map(|_| ())
}

/// Refuses outputs that so many runs can never have.
///
/// # Errors
/// One state of several runs.
pub(in crate::commands) fn check_runs(
    args: &StatsArgs,
    context: &Context,
    n_runs: usize,
) -> Result<(), CommandError> {
    OutputPaths::of_state(&args.states, context)?.check_runs(n_runs, &args.analysis(context)?.rule)
}

/// Says what the runs come to.
///
/// # Errors
/// Several states for one file, or an output that cannot be written.
pub(in crate::commands) fn conclude(
    args: &StatsArgs,
    context: &Context,
    analysis: &ReplayAnalysis,
    found: FoundRuns<NormalizedRun>,
    completeness: Completeness,
) -> Result<Outcome, CommandError> {
    conclude_beside(args, context, analysis, (found, None), completeness)
}

/// The same with statistics of a data set to be written.
fn conclude_beside(
    args: &StatsArgs,
    context: &Context,
    analysis: &ReplayAnalysis,
    (found, statistics): (FoundRuns<NormalizedRun>, Option<PreparedStatistics>),
    completeness: Completeness,
) -> Result<Outcome, CommandError> {
    let dimensions = args.table.dimensions(context)?;
    let mut document = document(analysis, found, &OutputPaths::of_state(&args.states, context)?)?;
    document.written.extend(statistics.map(PreparedStatistics::commit).transpose()?);
    completeness.tell(&mut document.verdict);
    let drawn = |_| normalization_figure(&document);
    if args.figure.write(&FigureKindArgs::default(), context, drawn)? {
        return Ok(Outcome::Clean);
    }
    context
        .write(|out| write_normalization(&document, context.format(), &context.screen(), dimensions, out))?;
    Ok(Outcome::Clean)
}

/// The final statistics; stores the state where that is asked.
pub(in crate::commands) fn compute(
    analysis: &ReplayAnalysis,
    files: &[InputFile],
    paths: &OutputPaths,
    context: &Context,
) -> Result<NormalizationDocument, CommandError> {
    paths.check_inputs(files)?;
    document(analysis, measure(analysis, files, context, Extent::Whole)?, paths)
}

/// The final statistics of single runs.
///
/// # Errors
/// Unreadable input, or a state that does not fit.
pub(in crate::commands) fn measure(
    analysis: &ReplayAnalysis,
    files: &[InputFile],
    context: &Context,
    extent: Extent,
) -> Result<FoundRuns<NormalizedRun>, CommandError> {
    check_resumable(analysis)?;
    let mut plan = Plan::of(&analysis.rule, false);
    let recording = open(files, &mut plan, context)?;
    let start = stored_start(analysis, &plan, recording.width())?;
    let progress = context.console.progress();
    let is_order_free = is_order_free(&plan, &recording);
    let runs = if is_order_free {
        merged_runs(&recording, &plan, start.as_ref(), extent, &progress)?
    } else {
        replayed_runs(&recording, &plan, start.as_ref(), &progress)?
    };
    drop(progress);
    Context::check_unchanged(files)?;
    tell_skips(&recording, context);
    let is_ordered = is_order_free.then(|| recording.is_ordered());
    tell_rolled_back(&runs, context);
    Ok(FoundRuns { runs, recording: facts_of(&recording, is_ordered, DeviceUsed::cpu()) })
}

/// What the runs come to; stores the state where that is asked.
fn document(
    analysis: &ReplayAnalysis,
    found: FoundRuns<NormalizedRun>,
    paths: &OutputPaths,
) -> Result<NormalizationDocument, CommandError> {
    let FoundRuns { mut runs, recording } = found;
    if runs.iter().all(|run| run.rows == 0) {
        return Err(CommandError::NothingLeft);
    }
    if recording.is_ordered == Some(false) {
        for run in &mut runs {
            // Windows in file order say nothing about time.
            run.diagnostics.drift = run.diagnostics.drift.clone().unordered();
            run.diagnostics.stretches.clear();
        }
    }
    let state = paths.prepare_state(&runs, &recording.spans, analysis, &recording.device.device)?;
    let state = state.map(PreparedState::commit).transpose()?;
    let settled = ReplayAnalysis { rule: settled(&analysis.rule, recording.columns()), ..analysis.clone() };
    let written = state.into_iter().collect();
    let StepFacts { input, device, .. } = recording;
    Ok(NormalizationDocument::new(STATS_SCHEMA, settled, device, &runs, input, written).concluded())
}

/// Full history over all rows: any order gives the same state.
pub(super) fn is_order_free(plan: &Plan, recording: &StepRecording) -> bool {
    plan.rule.memory == Memory::Welford
        && plan.rule.until.is_none()
        && plan.rule.skip_first == 0
        && plan.rule.variance_floor.is_none()
        && plan.return_scale.is_none()
        && !plan.per_env
        && !plan.carry_over
        && matches!(plan.granularity, Granularity::Row | Granularity::Step | Granularity::Rollout(_))
        && (plan.rollback == Rollback::Keep || !recording.has_rolled_back())
}

/// Moments of all rows of each run, merged in file order.
fn merged_runs(
    recording: &StepRecording,
    plan: &Plan,
    start: Option<&NormalizerState>,
    extent: Extent,
    progress: &Progress,
) -> Result<Vec<NormalizedRun>, CommandError> {
    let mut windows: Vec<Vec<Window>> = vec![Vec::new(); recording.runs().len()];
    let only = recording.runs().first().filter(|_| extent.n_runs(recording) == 1);
    if let Some(first) = only.filter(|run| recording.has_told_episodes(run))
        && let Some(pieces) = recording.column_moments(rows_per_window(first), progress)?
    {
        // Vector steps before a row, as far as even environments tell.
        let steps_of = |rows: u64| rows * first.n_vector_steps / first.n_rows.max(1);
        let mut rows = 0;
        for moments in pieces {
            let first_update = expected_updates(plan, rows, steps_of(rows), 1);
            check_extremes(recording, 0, &moments)?;
            rows += moments.n();
            windows[0].push(Window::of_rows(first_update, moments));
        }
        let episodes = first.n_episodes as f64 / first.envs.len().max(1) as f64;
        let pace = Pace { vector_steps: first.n_vector_steps, episodes };
        return Ok(finish_merged(recording, plan, start, windows, &[pace]));
    }
    let mut cutters: Vec<WindowCutter> = recording.runs().iter().map(|run| cutter(run, recording)).collect();
    let mut episodes: Vec<EpisodeCount> =
        recording.runs().iter().map(|run| EpisodeCount::new(run.envs.len())).collect();
    recording.stream_as_recorded(progress, |block| -> Result<(), CommandError> {
        let run = block.run;
        episodes[run].add(&block.lane, &block.episode, block.ended.as_deref());
        cutters[run].push(&block, |piece| add_piece(recording, plan, run, &mut windows[run], piece))
    })?;
    for (run, cutter) in cutters.into_iter().enumerate() {
        cutter.finish(|piece| add_piece(recording, plan, run, &mut windows[run], piece))?;
    }
    let paces = episodes.iter().zip(recording.runs()).map(|(count, run)| count.pace(run.n_vector_steps));
    Ok(finish_merged(recording, plan, start, windows, &paces.collect::<Vec<_>>()))
}

fn cutter(run: &RunInfo, recording: &StepRecording) -> WindowCutter {
    WindowCutter::new(rows_per_window(run), PIECE.rows_of(recording.width()))
}

/// Windows of the only run of a recording, of which `first_row` rows lie elsewhere; where that ends another begins.
pub(super) fn windows_after(
    recording: &StepRecording,
    plan: &Plan,
    first_row: u64,
    progress: &Progress,
) -> Result<(Vec<Window>, EpisodeCount), CommandError> {
    let run = &recording.runs()[0];
    let mut windows = Vec::new();
    let mut episodes = EpisodeCount::new(run.envs.len());
    let mut cutter = cutter(run, recording).after(first_row);
    recording.stream_as_recorded(progress, |block| -> Result<(), CommandError> {
        episodes.add(&block.lane, &block.episode, block.ended.as_deref());
        cutter.push(&block, |piece| add_piece(recording, plan, 0, &mut windows, piece))
    })?;
    cutter.finish(|piece| add_piece(recording, plan, 0, &mut windows, piece))?;
    Ok((windows, episodes))
}

/// Whether the rows of a recording may be summed column by column, as they lie in the parts of its files.
pub(super) fn sums_columns(recording: &StepRecording) -> bool {
    let only = recording.runs().first().filter(|_| recording.runs().len() == 1);
    recording.value_columns().len() > 1 && only.is_some_and(|run| recording.has_told_episodes(run))
}

/// Adds the rows of a piece to the window that they belong to.
fn add_piece(
    recording: &StepRecording,
    plan: &Plan,
    run: usize,
    windows: &mut Vec<Window>,
    piece: &CutPiece<'_>,
) -> Result<(), CommandError> {
    let moments = moments_of(piece.rows, recording.width());
    check_extremes(recording, run, &moments)?;
    if let Some(window) = windows.last_mut().filter(|_| !piece.begins_window) {
        window.moments.merge(&moments);
    } else {
        let first_update = expected_updates(plan, piece.first_row, piece.vector_step, 1);
        windows.push(Window::of_rows(first_update, moments));
    }
    Ok(())
}

/// Rows of a window of the diagnostics: whole vector steps.
pub(super) fn rows_per_window(run: &RunInfo) -> usize {
    let rows = run.n_rows.div_ceil(N_WINDOWS).next_multiple_of(rows_per_step(run));
    usize::try_from(rows).unwrap_or(usize::MAX).max(1)
}

/// The state of each run from the moments of its windows.
fn finish_merged(
    recording: &StepRecording,
    plan: &Plan,
    start: Option<&NormalizerState>,
    windows: Vec<Vec<Window>>,
    paces: &[Pace],
) -> Vec<NormalizedRun> {
    let runs = recording.runs().iter().zip(windows).zip(paces);
    runs.map(|((info, windows), pace)| summed_run(plan, info, (start, recording.width()), &windows, *pace))
        .collect()
}

/// What a run of so many values a row comes to, from a state on or from the initial one, by the moments of its windows.
pub(super) fn summed_run(
    plan: &Plan,
    info: &RunInfo,
    (start, width): (Option<&NormalizerState>, usize),
    windows: &[Window],
    pace: Pace,
) -> NormalizedRun {
    let mut normalizer = match start {
        Some(state) => Normalizer::resume(plan.rule, state),
        None => Normalizer::new(plan.rule, width),
    };
    let mut whole = RowMoments::empty(width);
    windows.iter().for_each(|window| whole.merge(&window.moments));
    let before = normalizer.updates();
    normalizer.update(whole.n(), whole.mean(), &whole.vars());
    let mut state = normalizer.state();
    state.batches = before + expected_updates(plan, info.n_rows, info.n_vector_steps, 1);
    let diagnostics = Diagnostics::of(&plan.rule, windows, &state, pace);
    finished(info.run_id.clone(), None, whole.n(), state, diagnostics, &normalizer)
}

/// Final states by replay in order.
fn replayed_runs(
    recording: &StepRecording,
    plan: &Plan,
    start: Option<&NormalizerState>,
    progress: &Progress,
) -> Result<Vec<NormalizedRun>, CommandError> {
    let mut lanes: Option<Lanes> = None;
    let mut episodes = EpisodeCount::default();
    let mut done = Vec::new();
    let left_out = walk(recording, plan, progress, &mut |event| {
        match event {
            Event::Begin(run) => {
                lanes = Some(begin_lanes(recording, plan, run, lanes.take(), start));
                episodes = EpisodeCount::new(recording.runs()[run].envs.len());
            }
            Event::Rows(rows) => {
                let Some(lanes) = &mut lanes else { unreachable!("a run has begun") };
                if rows.pass.has_moments() {
                    episodes.add(&rows.block.lane, &rows.block.episode, rows.block.ended.as_deref());
                }
                lanes.run(&rows.lane_rows(), rows.pass, Output::None, |_, _| {})?;
            }
            Event::End(run) => {
                let Some(lanes) = &mut lanes else { unreachable!("a run has begun") };
                lanes.finish(|_, _| {});
                let info = &recording.runs()[run];
                let pace = episodes.pace(info.n_vector_steps);
                for (lane, replay) in lanes.replays().iter().enumerate() {
                    let state = replay.normalizer().state();
                    let diagnostics = Diagnostics::of(&plan.rule, replay.windows(), &state, pace);
                    let env = plan.per_env.then(|| info.envs[lane]);
                    let rows = diagnostics.rows.n();
                    let id = info.run_id.clone();
                    done.push((run, finished(id, env, rows, state, diagnostics, replay.normalizer())));
                }
            }
        }
        Ok(())
    })?;
    let with_counts = done.into_iter().map(|(number, mut run): (usize, NormalizedRun)| {
        left_out[number].tell(&mut run, &recording.runs()[number].envs);
        run
    });
    Ok(with_counts.collect())
}

fn finished(
    run_id: String,
    env_id: Option<i64>,
    rows: u64,
    state: NormalizerState,
    diagnostics: Diagnostics,
    normalizer: &Normalizer,
) -> NormalizedRun {
    NormalizedRun {
        run_id,
        env_id,
        rows,
        var_used: normalizer.used_var(),
        state,
        rollback: RollbackCounts::default(),
        diagnostics,
        change_step: None,
        act_learn: None,
        unfinished_episodes: 0,
        autoreset: None,
        reset_rows: None,
    }
}
