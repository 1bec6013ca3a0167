//! A comparison of a run that is cut, over many machines: moments of stretches, the states of all settings at every cut, stretches
//! under all settings from there; then how long each lags behind the shift, by the moments again.

use rayon::prelude::*;

use super::compare::{WINDOW_BYTES, begin, check_memory, rules};
use super::extent::facts_of;
use super::passed::{PassedRun, PassedSetting, Passing};
use super::pipeline::{Event, walk};
use super::plan::Plan;
use super::relay::{Way, check_order, check_width, gathered, open_stretch, run_info};
use super::replayer::begin_replay;
use crate::commands::{CommandError, Context};
use crate::normalization::{
    EpisodeCount, LagWatch, Replay, ReplayPlace, Shift, Timeline, WatchedShift, joined_windows,
};
use crate::records::{InputFile, StepRecording};
use crate::results::{CompareAnalysis, CutRun, DeviceUsed, TaskStretch};
use crate::shards::{ComparedRun, FoundMoments, FoundRuns, FoundSettings, MergeError, StretchSetting};

/// How the runs of a recording can be cut.
///
/// # Errors
/// Why they cannot be.
pub(in crate::commands) fn way_of(
    analysis: &CompareAnalysis,
    recording: &StepRecording,
) -> Result<Way, &'static str> {
    check_order(&Plan::of(&analysis.rule, false), analysis.device, recording)?;
    Ok(Way::Compare)
}

/// Bytes of all settings' states at one cut.
pub(in crate::commands) fn state_bytes(analysis: &CompareAnalysis, width: usize) -> u64 {
    rules(analysis).len() as u64 * width as u64 * WINDOW_BYTES
}

/// What the statistics see of a stretch.
///
/// # Errors
/// Unreadable input.
pub(in crate::commands) fn moments(
    analysis: &CompareAnalysis,
    (run, stretch): (&CutRun, &TaskStretch),
    files: &[InputFile],
    context: &Context,
) -> Result<FoundMoments, CommandError> {
    let plan = Plan::of(&analysis.rule, false);
    let recording = open_stretch(&plan, (run, stretch), files)?;
    // Batches are the same under every rule.
    let replay = begin_replay(&plan, &run_info(run), recording.width(), None).after_updates(stretch.updates);
    let found = gathered(&plan, &recording, (replay, true), context)?;
    Context::check_unchanged(files)?;
    Ok(found)
}

/// The way of all settings' states over the stretches of a run.
pub(in crate::commands) struct SettingStates<'a> {
    analysis: &'a CompareAnalysis,
    run: &'a CutRun,
    replays: Vec<Replay>,
    places: Vec<Vec<ReplayPlace>>,
}

impl<'a> SettingStates<'a> {
    /// At the beginning of the run.
    pub(in crate::commands) fn new(analysis: &'a CompareAnalysis, run: &'a CutRun) -> Self {
        Self { analysis, run, replays: Vec::new(), places: Vec::new() }
    }

    /// Takes the next stretch.
    ///
    /// # Errors
    /// Rows of another width than those before.
    pub(in crate::commands) fn take(&mut self, stretch: &FoundMoments) -> Result<(), CommandError> {
        if self.replays.is_empty() {
            self.replays = begun(self.analysis, self.run, stretch.width);
        }
        if let Some(first) = self.replays.first() {
            check_width(stretch, first.normalizer().width())?;
        }
        self.places.push(self.replays.iter().map(Replay::place).collect());
        let follow = |replay: &mut Replay| stretch.seen.iter().for_each(|seen| replay.follow(seen));
        self.replays.par_iter_mut().for_each(follow);
        Ok(())
    }

    /// Where they stood at the beginning of each stretch.
    pub(in crate::commands) fn places(self) -> Vec<Vec<ReplayPlace>> {
        self.places
    }
}

/// All settings at the beginning of a run.
fn begun(analysis: &CompareAnalysis, run: &CutRun, width: usize) -> Vec<Replay> {
    begin(&rules(analysis), &Plan::of(&analysis.rule, false), &run_info(run), width)
}

/// The same at these places.
fn gone_on(
    analysis: &CompareAnalysis,
    run: &CutRun,
    width: usize,
    places: &[ReplayPlace],
) -> Result<Vec<Replay>, CommandError> {
    let begun = begun(analysis, run, width);
    if begun.len() != places.len() {
        return Err(MergeError::OtherNumber("settings", begun.len(), places.len()).into());
    }
    Ok(begun.into_iter().zip(places).map(|(replay, place)| replay.go_on_from(place)).collect())
}

/// What a stretch comes to under every setting, from its places on.
///
/// # Errors
/// Unreadable input, more settings than there is memory for, or places of others.
pub(in crate::commands) fn settings(
    analysis: &CompareAnalysis,
    (run, stretch): (&CutRun, &TaskStretch),
    places: &[ReplayPlace],
    files: &[InputFile],
    context: &Context,
) -> Result<FoundSettings, CommandError> {
    let plan = Plan::of(&analysis.rule, false);
    let recording = open_stretch(&plan, (run, stretch), files)?;
    check_memory(places.len(), recording.width(), context)?;
    let replays = gone_on(analysis, run, recording.width(), places)?;
    let mut passing = Passing::new(replays, &run_info(run), analysis.shift_at);
    let progress = context.console.progress();
    walk(&recording, &plan, &progress, &mut |event| match event {
        Event::Rows(rows) => passing.take(rows, None),
        Event::Begin(_) | Event::End(_) => Ok(()),
    })?;
    drop(progress);
    Context::check_unchanged(files)?;
    let PassedRun { settings, timeline, episodes, shift_update, .. } = passing.passed();
    let settings = settings
        .into_iter()
        .map(|PassedSetting { state, var_used, windows, .. }| StretchSetting { state, var_used, windows });
    let recording = facts_of(&recording, None, DeviceUsed::cpu());
    let (run, number) = (stretch.run, stretch.number);
    Ok(FoundSettings {
        run,
        number,
        settings: settings.collect(),
        timeline,
        episodes,
        shift_update,
        recording,
    })
}

/// What there is of the stretches of a run besides what they came to.
pub(in crate::commands) trait StretchParts {
    /// Updates of the run before each stretch.
    fn starts(&self) -> &[u64];

    /// What statistics saw of a stretch.
    ///
    /// # Errors
    /// A part that is not there, or damaged.
    fn moments(&self, stretch: usize) -> Result<FoundMoments, CommandError>;

    /// Where all settings stood at its beginning.
    ///
    /// # Errors
    /// Likewise.
    fn places(&self, stretch: usize) -> Result<Vec<ReplayPlace>, CommandError>;
}

/// What a run comes to whose stretches these are.
///
/// # Errors
/// Stretches that do not belong together, or what they go on from.
pub(in crate::commands) fn concluded(
    analysis: &CompareAnalysis,
    run: &CutRun,
    stretches: Vec<FoundSettings>,
    parts: &impl StretchParts,
) -> Result<FoundRuns<ComparedRun>, CommandError> {
    let info = run_info(run);
    let mut recording = stretches.first().ok_or(CommandError::NothingLeft)?.recording.clone();
    stretches.iter().try_for_each(|other| recording.check_same(&other.recording))?;
    recording.input.files = run.n_files;
    let width = recording.width;
    let plan = Plan::of(&analysis.rule, false);
    let window_updates = begin_replay(&plan, &info, width, None).window_updates();
    let passed = joined(analysis, window_updates, stretches, EpisodeCount::new(info.envs.len()))?;
    let shift = passed.shift(&info, analysis.shift_at);
    let watched = shift.map(|shift| watched(analysis, (run, width), shift, parts)).transpose()?;
    Ok(FoundRuns { runs: vec![passed.row(&info, analysis, watched.as_ref())], recording })
}

/// Stretches that follow each other as the run.
fn joined(
    analysis: &CompareAnalysis,
    window_updates: u64,
    stretches: Vec<FoundSettings>,
    mut episodes: EpisodeCount,
) -> Result<PassedRun, CommandError> {
    let rules = rules(analysis);
    let (mut timeline, mut shift_update) = (Timeline::default(), None);
    let mut settings: Vec<(Vec<Vec<_>>, Option<_>)> = vec![(Vec::new(), None); rules.len()];
    for (number, stretch) in stretches.into_iter().enumerate() {
        if stretch.settings.len() != rules.len() {
            return Err(MergeError::OtherNumber("settings", rules.len(), stretch.settings.len()).into());
        }
        for ((windows, state), own) in settings.iter_mut().zip(stretch.settings) {
            windows.push(own.windows);
            *state = Some((own.state, own.var_used));
        }
        timeline.extend(stretch.timeline);
        shift_update = shift_update.or(stretch.shift_update);
        match number {
            0 => episodes = stretch.episodes,
            _ => episodes.join(&stretch.episodes),
        }
    }
    let setting = |(rule, (windows, state)): (_, (Vec<_>, Option<_>))| {
        let (state, var_used) = state.ok_or(CommandError::NothingLeft)?;
        Ok(PassedSetting { rule, state, var_used, windows: joined_windows(windows) })
    };
    let settings = rules.into_iter().zip(settings).map(setting).collect::<Result<_, CommandError>>()?;
    Ok(PassedRun { settings, window_updates, timeline, episodes, shift_update })
}

/// Locates the shift of a run, and follows all settings from there.
fn watched(
    analysis: &CompareAnalysis,
    (run, width): (&CutRun, usize),
    mut shift: Shift,
    parts: &impl StretchParts,
) -> Result<WatchedShift, CommandError> {
    let starts = parts.starts();
    let holding = |update: u64| starts.partition_point(|start| *start <= update).saturating_sub(1);
    if let Some(near) = shift.near() {
        let first = holding(near.start);
        shift.take_from(starts.get(first).copied().unwrap_or(0));
        for stretch in (first..starts.len()).take_while(|stretch| starts[*stretch] < near.end) {
            parts.moments(stretch)?.with_steps().for_each(|(seen, steps)| shift.take(seen, steps));
        }
        shift.settle();
    }
    let first = holding(shift.update);
    let mut watch = LagWatch::new(gone_on(analysis, run, width, &parts.places(first)?)?, shift, None);
    for stretch in first..starts.len() {
        let found = parts.moments(stretch)?;
        check_width(&found, width)?;
        found.with_steps().for_each(|(seen, steps)| watch.follow(seen, steps));
    }
    Ok(watch.finish())
}
