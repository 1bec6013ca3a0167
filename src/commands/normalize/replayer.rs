//! The replay of a recording run by run: normalized values, a trace of updates, and what is to be said of each run.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::pipeline::{BatchedBlock, RowPlace};
use super::plan::Plan;
use crate::commands::CommandError;
use crate::normalization::{
    ActLearnProbe, Block, DeviceQueue, Diagnostics, Engine, EpisodeCount, Granularity, Lanes,
    NormalizerState, Output, Pass, Places, Replay, ReplayPlace, Rule, Timeline, Update, UpdatesTold,
};
use crate::records::{NormalizedValues, RunInfo, StepRecording, TraceRows};
use crate::results::{NormalizedRun, RollbackCounts};
use crate::shards::ReplayedRows;

/// Windows the diagnostics divide a run into.
pub(super) const N_WINDOWS: u64 = 256;

/// Which normalized values are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValuesWanted {
    /// None: the statistics are all.
    None,
    /// Rounded to 32 bits.
    F32,
    /// As computed.
    F64,
}

/// Rows that a replay is done with, as they are to be written.
pub(super) struct DoneRows {
    pub(super) rows: Arc<BatchedBlock>,
    pub(super) values: Option<NormalizedValues>,
    pub(super) trace: Option<TraceRows>,
}

/// What takes the rows a replay is done with, in order.
pub(super) type RowsDone<'d> = dyn FnMut(DoneRows) -> Result<(), CommandError> + Send + 'd;

/// What is wanted of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) values: ValuesWanted,
    /// Whether every update is told.
    pub(super) trace: bool,
}

/// Blocks that a device has begun with: the last one is not yet scanned, those before it are not yet received.
struct Queued {
    queue: DeviceQueue,
    unscanned: VecDeque<Arc<BatchedBlock>>,
    unreceived: VecDeque<(Arc<BatchedBlock>, Option<TraceRows>)>,
}

/// Blocks whose moments, and blocks whose values, are under way behind the one that is waited for.
const BEHIND: usize = 1;

/// The replay of one recording, run by run.
pub(super) struct Replayer<'a> {
    recording: &'a StepRecording,
    plan: &'a Plan,
    start: Option<NormalizerState>,
    lanes: Option<Lanes>,
    engine: Option<Engine>,
    queued: Option<Queued>,
    told: UpdatesTold,
    learn_every: Option<Granularity>,
    probe: Option<ActLearnProbe>,
    rows: u64,
    /// Place of each lane's last row, for batches that a later block closes.
    last_places: Vec<RowPlace>,
    episodes: EpisodeCount,
    /// Episodes whose last row ends none, where they are the batches.
    unfinished_episodes: usize,
    /// Vector step of the first row after each window's end.
    window_steps: Timeline,
    pub(super) done: Vec<NormalizedRun>,
}

impl<'a> Replayer<'a> {
    /// Begins every run with `start`, else with the initial state; compares with what the learner saw where it
    /// normalizes again.
    pub(super) fn new(
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
            queued: None,
            told: UpdatesTold::Every,
            learn_every,
            probe: None,
            rows: 0,
            last_places: Vec::new(),
            episodes: EpisodeCount::default(),
            unfinished_episodes: 0,
            window_steps: Timeline::default(),
            done: Vec::new(),
        }
    }

    /// Goes through rows on a device; `None` for the CPU.
    pub(super) fn run_on(&mut self, engine: Option<Engine>, told: UpdatesTold) {
        self.queued = engine.as_ref().map(|engine| Queued {
            queue: DeviceQueue::new(engine),
            unscanned: VecDeque::new(),
            unreceived: VecDeque::new(),
        });
        (self.engine, self.told) = (engine, told);
    }

    /// A run begins.
    pub(super) fn begin(&mut self, run: usize) {
        let info = &self.recording.runs()[run];
        let n_lanes = if self.plan.per_env { info.envs.len() } else { 1 };
        self.last_places = vec![RowPlace::default(); n_lanes];
        self.window_steps = Timeline::default();
        self.episodes = EpisodeCount::new(info.envs.len());
        self.rows = 0;
        self.unfinished_episodes = 0;
        self.probe = self
            .learn_every
            .filter(|_| !self.plan.per_env)
            .map(|every| ActLearnProbe::new(every, self.recording.width()));
        let carried = self.lanes.take();
        let lanes = begin_lanes(self.recording, self.plan, run, carried, self.start.as_ref());
        self.lanes = Some(lanes.on_device(self.engine.as_ref(), self.told));
    }

    /// A run goes on from a place that another replay of it has reached.
    pub(super) fn go_on(&mut self, run: usize, place: &ReplayPlace) {
        self.begin(run);
        let info = &self.recording.runs()[run];
        let replay = begin_replay(self.plan, info, self.recording.width(), self.start.as_ref());
        self.lanes = Some(Lanes::new(vec![replay.go_on_from(place)]));
    }

    /// What the rows of a run that goes on elsewhere have come to.
    pub(super) fn so_far(&mut self) -> Option<ReplayedRows> {
        let lanes = self.lanes.take()?;
        let replay = &lanes.replays()[0];
        Some(ReplayedRows {
            rows: self.rows,
            windows: replay.windows().to_vec(),
            window_steps: std::mem::take(&mut self.window_steps),
            episodes: std::mem::take(&mut self.episodes),
            state: replay.normalizer().state(),
            var_used: replay.normalizer().used_var(),
        })
    }

    /// Replays a block; gives it to `done`, or those before it.
    pub(super) fn rows(
        &mut self,
        rows: &Arc<BatchedBlock>,
        wanted: Wanted,
        done: &mut RowsDone<'_>,
    ) -> Result<(), CommandError> {
        if self.can_queue(rows) {
            return self.queue_rows(rows, wanted, done);
        }
        self.drain(wanted, done)?;
        let mut trace = wanted.trace.then(TraceRows::default);
        let values = self.rows_now(rows, wanted.values, trace.as_mut())?;
        done(DoneRows { rows: Arc::clone(rows), values, trace })
    }

    /// Whether rows can wait in a device's queue: those that one replay takes whole, and nobody compares with what the learner
    /// saw.
    fn can_queue(&self, rows: &BatchedBlock) -> bool {
        let is_shared = self.lanes.as_ref().is_some_and(|lanes| lanes.replays().len() == 1);
        let is_whole = rows.pass == Pass::Whole && self.plan.granularity != Granularity::Episode;
        self.queued.is_some() && self.probe.is_none() && is_shared && is_whole
    }

    /// Has the device begin with rows, and goes on with those before them.
    fn queue_rows(
        &mut self,
        rows: &Arc<BatchedBlock>,
        wanted: Wanted,
        done: &mut RowsDone<'_>,
    ) -> Result<(), CommandError> {
        self.count_rows(rows);
        if let Some(replay) = self.lanes.as_mut().and_then(Lanes::shared)
            && let Some(Queued { queue, unscanned, .. }) = &mut self.queued
        {
            let lane_rows = rows.lane_rows();
            let block = Block { rows: lane_rows.rows, input: lane_rows.input, ends: lane_rows.ends };
            replay.send(queue, &block, wanted.values != ValuesWanted::None)?;
            unscanned.push_back(Arc::clone(rows));
        }
        self.catch_up(BEHIND, wanted, done)
    }

    /// Goes on with everything in the queue.
    fn drain(&mut self, wanted: Wanted, done: &mut RowsDone<'_>) -> Result<(), CommandError> {
        self.catch_up(0, wanted, done)
    }

    /// Goes on with the blocks in the queue but the last `behind` of each kind.
    fn catch_up(
        &mut self,
        behind: usize,
        wanted: Wanted,
        done: &mut RowsDone<'_>,
    ) -> Result<(), CommandError> {
        while self.queued.as_ref().is_some_and(|queued| queued.unscanned.len() > behind) {
            self.scan_queued(wanted)?;
        }
        while self.queued.as_ref().is_some_and(|queued| queued.unreceived.len() > behind) {
            self.receive_queued(wanted, done)?;
        }
        Ok(())
    }

    /// Goes through the updates of the oldest block whose moments are under way.
    fn scan_queued(&mut self, wanted: Wanted) -> Result<(), CommandError> {
        let (Some(lanes), Some(queued)) = (&mut self.lanes, &mut self.queued) else { return Ok(()) };
        let (Some(replay), Some(rows)) = (lanes.shared(), queued.unscanned.pop_front()) else {
            return Ok(());
        };
        let mut trace = wanted.trace.then(TraceRows::default);
        let run = &self.recording.runs()[rows.block.run].run_id;
        let (last_places, window_steps) = (&self.last_places, &mut self.window_steps);
        let window = replay.window_updates();
        replay.scan(&mut queued.queue, |update| {
            let place = update.last_row.map_or(last_places[0], |row| rows.place(row));
            note_update(window_steps, window, place, &update);
            if let Some(trace) = &mut trace {
                push_update(trace, run, 0, place, &update);
            }
        })?;
        if let Some(last) = rows.block.n_rows().checked_sub(1) {
            self.last_places[0] = rows.place(last);
        }
        queued.unreceived.push_back((rows, trace));
        Ok(())
    }

    /// Takes the values of the oldest block that is on its way back.
    fn receive_queued(&mut self, wanted: Wanted, done: &mut RowsDone<'_>) -> Result<(), CommandError> {
        let (Some(lanes), Some(queued)) = (&mut self.lanes, &mut self.queued) else { return Ok(()) };
        let (Some(replay), Some((rows, trace))) = (lanes.shared(), queued.unreceived.pop_front()) else {
            return Ok(());
        };
        let n_values = rows.block.n_rows() * self.recording.width();
        let mut values = room_for(wanted.values, n_values);
        let output = match &mut values {
            None => Output::None,
            Some(NormalizedValues::F32(values)) => Output::F32(values),
            Some(NormalizedValues::F64(values)) => Output::F64(values),
        };
        replay.receive(&mut queued.queue, output)?;
        done(DoneRows { rows, values, trace })
    }

    fn count_rows(&mut self, rows: &BatchedBlock) {
        self.rows += rows.block.n_rows() as u64;
        self.unfinished_episodes += rows.n_unfinished_episodes();
        self.episodes.add(&rows.block.lane, &rows.block.episode, rows.block.ended.as_deref());
    }

    /// Replays a block; gives the values that are wanted.
    fn rows_now(
        &mut self,
        rows: &BatchedBlock,
        wanted: ValuesWanted,
        mut trace: Option<&mut TraceRows>,
    ) -> Result<Option<NormalizedValues>, CommandError> {
        let n_rows = rows.block.n_rows();
        if !rows.pass.has_values() {
            self.rows_within(rows, 0..n_rows, &rows.ends, &mut None, &mut trace)?;
            self.remember_places(rows);
            return Ok(None);
        }
        self.count_rows(rows);
        let n_values = n_rows * self.recording.width();
        // The probe compares at full precision.
        let room = if self.probe.is_some() { ValuesWanted::F64 } else { wanted };
        let mut values = room_for(room, n_values);
        if let Some(mut probe) = self.probe.take() {
            self.probed_rows(rows, &mut values, &mut trace, &mut probe)?;
            self.probe = Some(probe);
        } else {
            self.rows_within(rows, 0..n_rows, &rows.ends, &mut values, &mut trace)?;
        }
        self.remember_places(rows);
        Ok(match (wanted, values) {
            (ValuesWanted::None, _) => None,
            #[expect(clippy::cast_possible_truncation, reason = "32 bits are what was asked for")]
            (ValuesWanted::F32, Some(NormalizedValues::F64(values))) => {
                Some(NormalizedValues::F32(values.into_iter().map(|x| x as f32).collect()))
            }
            (_, values) => values,
        })
    }

    fn remember_places(&mut self, rows: &BatchedBlock) {
        for row in 0..rows.block.n_rows() {
            let lane = if self.plan.per_env { rows.block.lane[row] as usize } else { 0 };
            self.last_places[lane] = rows.place(row);
        }
    }

    /// The same, stopping wherever a rollout is over.
    fn probed_rows(
        &mut self,
        rows: &BatchedBlock,
        values: &mut Option<NormalizedValues>,
        trace: &mut Option<&mut TraceRows>,
        probe: &mut ActLearnProbe,
    ) -> Result<(), CommandError> {
        let width = self.recording.width();
        let places = Places { vector_step: &rows.block.vector_step, round: None };
        for rollout in probe.rollouts(&places) {
            let range = rollout.rows;
            self.rows_within(rows, range.clone(), &rows.ends_within(&range), values, trace)?;
            if let Some(NormalizedValues::F64(values)) = values {
                let raw = rows.block.values.rows().slice(range.clone(), width);
                probe.act(raw, &values[range.start * width..range.end * width]);
            }
            if rollout.is_over
                && let Some(lanes) = &self.lanes
            {
                probe.learn(lanes.replays()[0].normalizer());
            }
        }
        Ok(())
    }

    /// Replays some rows of a block.
    fn rows_within(
        &mut self,
        rows: &BatchedBlock,
        range: Range<usize>,
        ends: &[usize],
        values: &mut Option<NormalizedValues>,
        trace: &mut Option<&mut TraceRows>,
    ) -> Result<(), CommandError> {
        let width = self.recording.width();
        let Some(lanes) = &mut self.lanes else { unreachable!("a run has begun") };
        let output = match values {
            None => Output::None,
            Some(NormalizedValues::F32(values)) => {
                Output::F32(&mut values[range.start * width..range.end * width])
            }
            Some(NormalizedValues::F64(values)) => {
                Output::F64(&mut values[range.start * width..range.end * width])
            }
        };
        let run = &self.recording.runs()[rows.block.run];
        let (last_places, window_steps) = (&self.last_places, &mut self.window_steps);
        let per_env = self.plan.per_env;
        let window = lanes.replays()[0].window_updates();
        let start = range.start;
        lanes.run(&rows.lane_rows_of(range, ends), rows.pass, output, |lane, update| {
            let place = update.last_row.map_or(last_places[lane], |row| rows.place(start + row));
            if lane == 0 {
                note_update(window_steps, window, place, &update);
            }
            if let Some(trace) = trace {
                let env = if per_env { run.envs[lane] } else { 0 };
                push_update(trace, &run.run_id, env, place, &update);
            }
        })?;
        Ok(())
    }

    /// A run ends: its last rows are given to `done`, gives what its end updates.
    pub(super) fn end(
        &mut self,
        run: usize,
        wanted: Wanted,
        done: &mut RowsDone<'_>,
    ) -> Result<Option<TraceRows>, CommandError> {
        self.drain(wanted, done)?;
        let mut trace = wanted.trace.then(TraceRows::default);
        self.conclude(run, trace.as_mut());
        Ok(trace)
    }

    fn conclude(&mut self, run: usize, mut trace: Option<&mut TraceRows>) {
        let Some(lanes) = &mut self.lanes else { return };
        let info = &self.recording.runs()[run];
        let unfinished_episodes = lanes.n_open_episodes() + self.unfinished_episodes;
        let last_places = &self.last_places;
        lanes.finish(|lane, update| {
            if let Some(trace) = &mut trace {
                let env = if self.plan.per_env { info.envs[lane] } else { 0 };
                push_update(trace, &info.run_id, env, last_places[lane], &update);
            }
        });
        let act_learn = self.probe.take().map(|mut probe| {
            probe.learn(lanes.replays()[0].normalizer());
            probe.finish()
        });
        let pace = self.episodes.pace(info.n_vector_steps);
        for (lane, replay) in lanes.replays().iter().enumerate() {
            let normalizer = replay.normalizer();
            let state = normalizer.state();
            let diagnostics = Diagnostics::of(&self.plan.rule, replay.windows(), &state, pace);
            let change = diagnostics.drift.change.as_ref();
            let change_step = change.and_then(|change| self.window_steps.known_step_at(change.update));
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
                autoreset: None,
                reset_rows: None,
            });
        }
    }
}

/// Room for the values of rows, where they are wanted.
fn room_for(wanted: ValuesWanted, n_values: usize) -> Option<NormalizedValues> {
    match wanted {
        ValuesWanted::None => None,
        ValuesWanted::F32 => Some(NormalizedValues::F32(vec![0.0; n_values])),
        ValuesWanted::F64 => Some(NormalizedValues::F64(vec![0.0; n_values])),
    }
}

/// Notes where a window ends.
fn note_update(window_steps: &mut Timeline, window: u64, place: RowPlace, update: &Update<'_>) {
    let updates = update.normalizer.updates();
    if updates.is_multiple_of(window) {
        window_steps.push(updates, place.vector_step + 1);
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
    let carried = before.filter(|lanes| plan.carry_over && lanes.replays().len() == n_lanes);
    let replay = |lane: usize| {
        let carried = carried.as_ref().map(|lanes| lanes.replays()[lane].normalizer().state());
        begin_replay(plan, info, recording.width(), carried.as_ref().or(start))
    };
    Lanes::new((0..n_lanes).map(replay).collect())
}

/// A replay of a run, or of one of its environments where each is by itself, that begins with `start`, else with the initial state.
pub(super) fn begin_replay(
    plan: &Plan,
    info: &RunInfo,
    width: usize,
    start: Option<&NormalizerState>,
) -> Replay {
    begin_under(plan.rule, plan, info, width, start)
}

/// The same under another rule than the plan's, which differs in nothing that batches depend on.
pub(super) fn begin_under(
    rule: Rule,
    plan: &Plan,
    info: &RunInfo,
    width: usize,
    start: Option<&NormalizerState>,
) -> Replay {
    let n_lanes = if plan.per_env { info.envs.len() } else { 1 };
    let expected = expected_updates(plan, info.n_rows, info.n_vector_steps, n_lanes as u64);
    let replay = match start {
        Some(state) => Replay::resume(rule, state, expected, N_WINDOWS),
        None => Replay::new(rule, width, expected, N_WINDOWS),
    };
    replay.in_steps_of(updates_per_step(plan, info))
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

/// Updates of one vector step, where it has several: windows of the diagnostics hold whole ones.
pub(super) fn updates_per_step(plan: &Plan, info: &RunInfo) -> u64 {
    match plan.granularity {
        Granularity::Row if !plan.per_env => rows_per_step(info),
        _ => 1,
    }
}

/// Rows of a vector step, as far as even environments tell.
pub(super) fn rows_per_step(info: &RunInfo) -> u64 {
    info.n_rows.div_ceil(info.n_vector_steps.max(1)).max(1)
}

fn push_update(trace: &mut TraceRows, run_id: &str, env: i64, place: RowPlace, update: &Update<'_>) {
    trace.run_id.push(run_id.to_owned());
    trace.env_id.push(env);
    trace.episode.push(place.episode);
    trace.step.push(place.step);
    trace.vector_step.push(place.vector_step.cast_signed());
    trace.batch_size.push(update.n.cast_signed());
    trace.count.push(update.normalizer.count());
    trace.mean.extend_from_slice(update.normalizer.mean());
    trace.var.extend_from_slice(update.normalizer.var());
}
