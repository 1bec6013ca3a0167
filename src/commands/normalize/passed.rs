//! The first way through a run under the settings of a comparison, and what it comes to.

use super::pipeline::BatchedBlock;
use crate::commands::CommandError;
use crate::normalization::{
    Block, Diagnostics, Engine, EpisodeCount, NormalizerState, Pace, Replay, Rule, Shift, Timeline,
    WatchedShift, Window, find_drift,
};
use crate::records::RunInfo;
use crate::results::{CompareAnalysis, ComparedRunRow, ComparedSettingRow, untold_reason};
use crate::shards::ComparedRun;

/// Settings on their way through a run.
pub(super) struct Passing {
    pub(super) replays: Vec<Replay>,
    timeline: Timeline,
    episodes: EpisodeCount,
}

impl Passing {
    /// Replays as they begin with a run, or go on with it.
    pub(super) fn new(replays: Vec<Replay>, run: &RunInfo) -> Self {
        Self { replays, timeline: Timeline::default(), episodes: EpisodeCount::new(run.envs.len()) }
    }

    /// Takes the next rows.
    ///
    /// # Errors
    /// A failing device, or values too large for one.
    pub(super) fn take(&mut self, rows: &BatchedBlock, engine: Option<&Engine>) -> Result<(), CommandError> {
        let Self { replays, timeline, episodes } = self;
        if rows.pass.has_moments() {
            episodes.add(&rows.block.lane, &rows.block.episode, rows.block.ended.as_deref());
        }
        let lane_rows = rows.lane_rows();
        let block = Block { rows: lane_rows.rows, input: lane_rows.input, ends: lane_rows.ends };
        let before = replays[0].normalizer().updates();
        match engine {
            Some(engine) => Replay::sweep(replays, engine, &block, rows.pass)?,
            None => Replay::run_together(replays, &block, rows.pass, |_, _| {}),
        }
        let after = replays[0].normalizer().updates();
        let steps = &rows.block.vector_step;
        if let (Some(first), Some(last)) = (steps.first(), steps.last())
            && rows.pass.has_moments()
        {
            timeline.push(before, *first);
            timeline.push(after, last + 1);
        }
        Ok(())
    }

    /// What they have come to.
    pub(super) fn passed(self) -> PassedRun {
        let Self { replays, timeline, episodes } = self;
        let window_updates = replays.first().map_or(1, Replay::window_updates);
        let setting = |replay: Replay| PassedSetting {
            rule: *replay.normalizer().rule(),
            state: replay.normalizer().state(),
            windows: replay.into_windows(),
        };
        PassedRun { settings: replays.into_iter().map(setting).collect(), window_updates, timeline, episodes }
    }
}

/// What a run has come to under every setting.
pub(super) struct PassedRun {
    /// In order of the rules.
    pub(super) settings: Vec<PassedSetting>,
    /// Updates of a window.
    pub(super) window_updates: u64,
    /// Vector steps at the beginning and the end of every block.
    pub(super) timeline: Timeline,
    /// Episodes.
    pub(super) episodes: EpisodeCount,
}

/// What a run has come to under one setting.
pub(super) struct PassedSetting {
    pub(super) rule: Rule,
    pub(super) state: NormalizerState,
    pub(super) windows: Vec<Window>,
}

impl PassedSetting {
    fn diagnostics(&self, pace: Pace) -> Diagnostics {
        Diagnostics::of(&self.rule, &self.windows, &self.state, pace)
    }
}

impl PassedRun {
    fn windows(&self) -> &[Window] {
        self.settings.first().map_or(&[], |setting| &setting.windows)
    }

    fn width(&self) -> usize {
        self.settings.first().map_or(0, |setting| setting.state.mean.len())
    }

    fn pace(&self, run: &RunInfo) -> Pace {
        self.episodes.pace(run.n_vector_steps)
    }

    /// Where a run shifts: where that was given, else where its windows say so.
    pub(super) fn shift(&self, run: &RunInfo, given: Option<u64>) -> Option<Shift> {
        let (windows, width, timeline) = (self.windows(), self.width(), &self.timeline);
        match given {
            _ if self.settings.is_empty() => None,
            Some(step) if timeline.end().is_none_or(|end| step >= end.vector_step) => None,
            Some(step) => Some(Shift::at_step(step, windows, width, timeline)),
            None => Shift::find(windows, self.window_updates, width, timeline, self.pace(run)),
        }
    }

    /// What is said of the run.
    pub(super) fn row(
        &self,
        run: &RunInfo,
        analysis: &CompareAnalysis,
        watched: Option<&WatchedShift>,
    ) -> ComparedRun {
        let pace = self.pace(run);
        let first = self.settings.first();
        let windows = first.and_then(|setting| ComparedRunRow::windows(&setting.diagnostics(pace)));
        let traced = ComparedRunRow::traced(windows.as_ref(), self.settings.len());
        let settings = self.settings.iter().enumerate().map(|(i, setting)| {
            let diagnostics = setting.diagnostics(pace);
            let lag = watched.and_then(|watched| watched.lags.get(i));
            ComparedSettingRow::new(&setting.state, &diagnostics, lag).tracing(&traced, &diagnostics)
        });
        let settings: Vec<ComparedSettingRow> = settings.collect();
        // Why no shift can be told, where none was given or found.
        let is_untold = watched.is_none() && analysis.shift_at.is_none() && first.is_some();
        let drift = is_untold.then(|| find_drift(self.windows(), self.width(), pace));
        let row = ComparedRunRow {
            run_id: run.run_id.clone(),
            shift_at: watched.map(|watched| watched.shift.vector_step),
            shift_given: analysis.shift_at.is_some(),
            shift_update: watched.map(|watched| watched.shift.update),
            windows,
            shift_reason: drift.as_ref().and_then(untold_reason),
            recommended: ComparedRunRow::recommend(&settings),
            traced,
            settings,
        };
        ComparedRun { row, end: self.timeline.end() }
    }
}
