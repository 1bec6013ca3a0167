//! A run that is cut, over many machines: moments of stretches, the state at every cut, stretches replayed from there; or, where
//! rows are summed in no order of time, the sums of stretches.

use super::extent::facts_of;
use super::grains::{Grain, grains, window_grains};
use super::outputs::{OutputPaths, Outputs};
use super::pieces::PIECE;
use super::pipeline::{Event, walk};
use super::plan::Plan;
use super::replay::{replay_plan, wanted_values};
use super::replayer::{Replayer, begin_replay, expected_updates};
use super::stats::{is_order_free, rows_per_window, summed_run, sums_columns, windows_after};
use super::stored::{check_resumable, stored_start};
use crate::commands::{CommandError, Context};
use crate::normalization::{
    Block, DeviceChoice, Diagnostics, Granularity, NormalizerState, Replay, ReplayPlace, Seen, steps_begun,
};
use crate::records::{Clock, InputFile, RunInfo, RunStretch, StepRecording};
use crate::results::{
    CutRun, DeviceUsed, NormalizedRun, ReplayAnalysis, Rollback, RollbackCounts, RuleAnalysis, TaskStretch,
};
use crate::shards::{FoundMoments, FoundPlaces, FoundSums, MergeError, ReplayedRows, StepFacts};

/// What a relay of a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Wanted {
    /// The final ones.
    Statistics,
    /// Those at every row.
    Replay,
}

/// Bytes of moments that one task carries at most, about: they are held in memory.
const MOST_MOMENTS: u64 = 64 << 20;

/// A place where a run is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::commands) struct Cut {
    /// Rows of the run before it.
    pub(in crate::commands) rows: u64,
    /// Vector steps.
    pub(in crate::commands) vector_steps: u64,
    /// Updates.
    pub(in crate::commands) updates: u64,
}

impl From<Grain> for Cut {
    fn from(Grain { rows, vector_steps, updates }: Grain) -> Self {
        Self { rows, vector_steps, updates }
    }
}

/// How the stretches of a run become the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Way {
    /// One goes on from another.
    Relay,
    /// The same under several settings, whose lags are told in the end.
    Compare,
    /// They are added up.
    Sum,
}

/// How the runs of a recording can be cut.
///
/// # Errors
/// Why they cannot be.
pub(in crate::commands) fn way_of(
    analysis: &ReplayAnalysis,
    wanted: Wanted,
    recording: &StepRecording,
) -> Result<Way, &'static str> {
    let plan = Plan::of(&analysis.rule, false);
    if analysis.learn_every.is_some() {
        return Err("what the learner saw is compared row by row, from the first on");
    }
    check_order(&plan, analysis.device, recording)?;
    if wanted == Wanted::Replay || !is_order_free(&plan, recording) {
        return Ok(Way::Relay);
    }
    if sums_columns(recording) {
        return Err("columns of numbers are summed by row groups over the full history");
    }
    Ok(Way::Sum)
}

/// Refuses runs whose stretches cannot be told apart, or do not follow each other, before their rows are read.
///
/// # Errors
/// Why they cannot be cut.
pub(super) fn check_order(
    plan: &Plan,
    device: DeviceChoice,
    recording: &StepRecording,
) -> Result<(), &'static str> {
    let leaves_out = recording.has_rolled_back() && plan.rollback != Rollback::Keep;
    let obstacles = [
        (!recording.is_ordered(), "rows do not lie in replay order"),
        (
            recording.has_implied_steps() && recording.n_files() > 1,
            "no column numbers its steps, their place in all files does",
        ),
        (plan.options.clock != Clock::Row, "--clock aligns environments by what rows hold"),
        (
            !matches!(plan.granularity, Granularity::Row | Granularity::Step | Granularity::Rollout(_)),
            "rounds and episodes end where rows say",
        ),
        (plan.per_env, "--scope env: every environment goes on by itself"),
        (plan.return_scale.is_some(), "returns go on from row to row"),
        (leaves_out, "rows that were rolled back are left out, and which they are rows say"),
        (device != DeviceChoice::Cpu, "--device: other devices take rows in tiles of their own"),
    ];
    obstacles.into_iter().find(|(stands, _)| *stands).map_or(Ok(()), |(_, reason)| Err(reason))
}

/// Where a run can be cut into stretches of at most so many rows, as far as updates and pieces allow.
pub(in crate::commands) fn cuts(
    (rule, way): (&RuleAnalysis, Way),
    run: &CutRun,
    (env_rows, width): (&[u64], usize),
    most_rows: u64,
) -> Vec<Cut> {
    let plan = Plan::of(rule, false);
    let (places, most_updates) = match way {
        Way::Relay | Way::Compare => {
            (grains(&plan, env_rows, width, PIECE), MOST_MOMENTS / (16 * width as u64 + 8))
        }
        Way::Sum => (window_grains(env_rows, rows_per_window(&run_info(run)) as u64), u64::MAX),
    };
    let mut cuts: Vec<Grain> = Vec::new();
    let mut before = None;
    let (n_rows, vector_steps) = (env_rows.iter().sum(), env_rows.iter().copied().max().unwrap_or(0));
    let end = Grain { rows: n_rows, vector_steps, updates: expected_updates(&plan, n_rows, vector_steps, 1) };
    for grain in places.into_iter().chain([end]) {
        let last = cuts.last().copied().unwrap_or_default();
        let is_long = grain.rows - last.rows > most_rows || grain.updates - last.updates > most_updates;
        cuts.extend(before.filter(|before| is_long && *before != last));
        before = Some(grain);
    }
    cuts.into_iter().map(Cut::from).collect()
}

/// What is known of a run that is cut.
pub(in crate::commands) fn cut_run(run: &RunInfo) -> CutRun {
    CutRun {
        run_id: run.run_id.clone(),
        n_rows: run.n_rows,
        n_vector_steps: run.n_vector_steps,
        n_episodes: run.n_episodes,
        envs: run.envs.clone(),
        span: [run.span.0, run.span.1],
        ..CutRun::default()
    }
}

pub(super) fn run_info(run: &CutRun) -> RunInfo {
    RunInfo {
        run_id: run.run_id.clone(),
        n_rows: run.n_rows,
        envs: run.envs.clone(),
        n_episodes: run.n_episodes,
        n_vector_steps: run.n_vector_steps,
        span: (run.span[0], run.span[1]),
    }
}

/// A stretch as a recording of its own.
pub(super) fn open_stretch(
    plan: &Plan,
    (run, stretch): (&CutRun, &TaskStretch),
    files: &[InputFile],
) -> Result<StepRecording, CommandError> {
    let [first, last] = stretch.rows;
    let rows = stretch.skip..stretch.skip + (last - first);
    let stretch = RunStretch { run: run_info(run), rows, first_step: stretch.first_step };
    Ok(StepRecording::open_stretch(files, &plan.options, &stretch)?)
}

/// A stretch whose rows are not written, and the state that its run begins with, if one is stored.
fn open_to_sum_up(
    analysis: &ReplayAnalysis,
    of_run: (&CutRun, &TaskStretch),
    files: &[InputFile],
) -> Result<(Plan, StepRecording, Option<NormalizerState>), CommandError> {
    check_resumable(analysis)?;
    let plan = Plan::of(&analysis.rule, false);
    let recording = open_stretch(&plan, of_run, files)?;
    let start = stored_start(analysis, &plan, recording.width())?;
    Ok((plan, recording, start))
}

/// What the statistics see of a stretch.
///
/// # Errors
/// Unreadable input, or a state that does not fit.
pub(in crate::commands) fn moments(
    analysis: &ReplayAnalysis,
    (run, stretch): (&CutRun, &TaskStretch),
    files: &[InputFile],
    context: &Context,
) -> Result<FoundMoments, CommandError> {
    let (plan, recording, start) = open_to_sum_up(analysis, (run, stretch), files)?;
    let replay =
        begin_replay(&plan, &run_info(run), recording.width(), start.as_ref()).after_updates(stretch.updates);
    let found = gathered(&plan, &recording, (replay, false), context)?;
    Context::check_unchanged(files)?;
    Ok(found)
}

/// What a replay sees of the rows of a recording; with the vector steps begun by the end of each batch where it `has_steps`.
///
/// # Errors
/// Unreadable input.
pub(super) fn gathered(
    plan: &Plan,
    recording: &StepRecording,
    (mut replay, has_steps): (Replay, bool),
    context: &Context,
) -> Result<FoundMoments, CommandError> {
    let mut found = FoundMoments { width: recording.width(), seen: Vec::new(), steps: Vec::new() };
    let mut begun = 0;
    let progress = context.console.progress();
    walk(recording, plan, &progress, &mut |event| {
        if let Event::Rows(rows) = event {
            let lanes = rows.lane_rows();
            let block = Block { rows: lanes.rows, input: lanes.input, ends: lanes.ends };
            replay.gather(&block, rows.pass, |next| found.seen.push(next));
            if has_steps && rows.pass.has_moments() {
                let steps = &rows.block.vector_step;
                found.steps.extend(steps_begun(&rows.ends, steps, begun));
                begun = steps.last().map_or(begun, |step| step + 1);
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// The sums of a stretch.
///
/// # Errors
/// Unreadable input, or a state that does not fit.
pub(in crate::commands) fn sums(
    analysis: &ReplayAnalysis,
    (run, stretch): (&CutRun, &TaskStretch),
    files: &[InputFile],
    context: &Context,
) -> Result<FoundSums, CommandError> {
    let (plan, recording, _) = open_to_sum_up(analysis, (run, stretch), files)?;
    let progress = context.console.progress();
    let (windows, episodes) = windows_after(&recording, &plan, stretch.rows[0], &progress)?;
    drop(progress);
    Context::check_unchanged(files)?;
    let recording = facts_of(&recording, Some(recording.is_ordered()), DeviceUsed::cpu());
    Ok(FoundSums { run: stretch.run, number: stretch.number, windows, episodes, recording })
}

/// What a run comes to whose stretches were summed.
///
/// # Errors
/// A state that does not fit.
pub(in crate::commands) fn added_run(
    analysis: &ReplayAnalysis,
    run: &CutRun,
    stretches: Vec<FoundSums>,
) -> Result<Option<(NormalizedRun, StepFacts)>, CommandError> {
    let plan = Plan::of(&analysis.rule, false);
    let mut stretches = stretches.into_iter();
    let Some(FoundSums { mut windows, mut episodes, recording, .. }) = stretches.next() else {
        return Ok(None);
    };
    for next in stretches {
        recording.check_same(&next.recording)?;
        windows.extend(next.windows);
        episodes.join(&next.episodes);
    }
    let start = stored_start(analysis, &plan, recording.width)?;
    let pace = episodes.pace(run.n_vector_steps);
    let from = (start.as_ref(), recording.width);
    Ok(Some((summed_run(&plan, &run_info(run), from, &windows, pace), recording)))
}

/// The way of a run's state over its stretches.
pub(in crate::commands) struct States<'a> {
    analysis: &'a ReplayAnalysis,
    run: &'a CutRun,
    replay: Option<Replay>,
    places: Vec<ReplayPlace>,
}

impl<'a> States<'a> {
    /// At its beginning.
    pub(in crate::commands) fn new(analysis: &'a ReplayAnalysis, run: &'a CutRun) -> Self {
        Self { analysis, run, replay: None, places: Vec::new() }
    }

    /// Takes the next stretch.
    ///
    /// # Errors
    /// A state that does not fit, or rows of another width than those before.
    pub(in crate::commands) fn take(&mut self, stretch: &FoundMoments) -> Result<(), CommandError> {
        if self.replay.is_none() {
            let plan = Plan::of(&self.analysis.rule, false);
            let start = stored_start(self.analysis, &plan, stretch.width)?;
            self.replay = Some(begin_replay(&plan, &run_info(self.run), stretch.width, start.as_ref()));
        }
        let Some(replay) = &mut self.replay else { unreachable!("begun above") };
        check_width(stretch, replay.normalizer().width())?;
        self.places.push(replay.place());
        stretch.seen.iter().for_each(|seen| replay.follow(seen));
        Ok(())
    }

    /// Where it stood at the beginning of each stretch.
    pub(in crate::commands) fn places(self) -> FoundPlaces {
        FoundPlaces { places: self.places }
    }
}

/// Refuses rows of another width than those before.
///
/// # Errors
/// As said.
pub(super) fn check_width(stretch: &FoundMoments, width: usize) -> Result<(), MergeError> {
    let widths = stretch.seen.iter().filter_map(Seen::width).chain([stretch.width]);
    match widths.into_iter().find(|found| *found != width) {
        Some(found) => Err(MergeError::OtherWidth(width, found)),
        None => Ok(()),
    }
}

/// The replay of a stretch from its place on, whose rows and updates are written.
///
/// # Errors
/// Unreadable input, a state that does not fit, or outputs that cannot be written.
pub(in crate::commands) fn replay(
    analysis: &ReplayAnalysis,
    (run, stretch): (&CutRun, &TaskStretch),
    place: &ReplayPlace,
    (files, paths): (&[InputFile], &OutputPaths),
    context: &Context,
) -> Result<(ReplayedRows, StepFacts), CommandError> {
    let plan = replay_plan(analysis, paths);
    let recording = open_stretch(&plan, (run, stretch), files)?;
    let start = stored_start(analysis, &plan, recording.width())?;
    let mut outputs = Outputs::create(paths, &plan, &recording)?;
    let mut replayer = Replayer::new(&recording, &plan, start, None);
    let wanted =
        super::replayer::Wanted { values: wanted_values(analysis, &outputs), trace: outputs.trace.is_some() };
    let mut found = None;
    let progress = context.console.progress();
    walk(&recording, &plan, &progress, &mut |event| match event {
        Event::Begin(run) => {
            replayer.go_on(run, place);
            Ok(())
        }
        Event::Rows(rows) => replayer.rows(rows, wanted, &mut |done| outputs.write(done)),
        Event::End(_) => {
            found = replayer.so_far();
            Ok(())
        }
    })?;
    drop(progress);
    Context::check_unchanged(files)?;
    outputs.commit(None)?;
    let facts = facts_of(&recording, None, DeviceUsed::cpu());
    Ok((found.ok_or(CommandError::NothingLeft)?, facts))
}

/// What a run comes to whose stretches were replayed.
pub(in crate::commands) fn whole_run(
    analysis: &ReplayAnalysis,
    wanted: Wanted,
    run: &CutRun,
    replayed: ReplayedRows,
) -> NormalizedRun {
    let ReplayedRows { rows, windows, window_steps, episodes, state, var_used } = replayed;
    let pace = episodes.pace(run.n_vector_steps);
    let diagnostics = Diagnostics::of(&analysis.rule.rule, &windows, &state, pace);
    let change = diagnostics.drift.change.as_ref().filter(|_| wanted == Wanted::Replay);
    NormalizedRun {
        run_id: run.run_id.clone(),
        env_id: None,
        rows,
        var_used,
        state,
        rollback: RollbackCounts::default(),
        change_step: change.and_then(|change| window_steps.known_step_at(change.update)),
        diagnostics,
        act_learn: None,
        unfinished_episodes: 0,
        autoreset: None,
        reset_rows: None,
    }
}
