//! The first way through a run under the settings of a comparison, and what it comes to.

use super::pipeline::BatchedBlock;
use crate::commands::CommandError;
use crate::normalization::{
    Block, Diagnostics, Engine, EpisodeCount, KnownStep, NormalizerState, Pace, Replay, Rule, Shift,
    Timeline, WatchedShift, Window,
};
use crate::records::RunInfo;
use crate::results::{CompareAnalysis, ComparedRunRow, ComparedSettingRow, untold_reason};
use crate::shards::ComparedRun;

/// Settings on their way through a run.
pub(super) struct Passing {
    pub(super) replays: Vec<Replay>,
    timeline: Timeline,
    episodes: EpisodeCount,
    given: Option<GivenShift>,
}

/// A shift that is given as a vector step, on the way to the update that first has rows of it.
struct GivenShift {
    vector_step: u64,
    /// Updates before that one.
    update: Option<u64>,
    /// Vector step of the last row of a batch that goes on.
    open: Option<u64>,
}

impl GivenShift {
    /// Looks at the ends of batches after so many updates.
    fn look(&mut self, mut updates: u64, ends: &[usize], vector_step: &[u64]) {
        let mut start = 0;
        for end in ends {
            let own = (*end > start).then(|| vector_step[*end - 1]);
            // A batch without rows is no update.
            if let Some(last) = own.or(self.open.take()) {
                if last >= self.vector_step {
                    self.update.get_or_insert(updates);
                    return;
                }
                updates += 1;
            }
            (start, self.open) = (*end, None);
        }
        self.open = vector_step[start..].last().copied().or(self.open);
    }
}

impl Passing {
    /// Replays as they begin with a run, or go on with it; where the shift is, if that is given.
    pub(super) fn new(replays: Vec<Replay>, run: &RunInfo, shift_at: Option<u64>) -> Self {
        let given = shift_at.map(|vector_step| GivenShift { vector_step, update: None, open: None });
        Self { replays, timeline: Timeline::default(), episodes: EpisodeCount::new(run.envs.len()), given }
    }

    /// Takes the next rows.
    ///
    /// # Errors
    /// A failing device, or values too large for one.
    pub(super) fn take(&mut self, rows: &BatchedBlock, engine: Option<&Engine>) -> Result<(), CommandError> {
        let Self { replays, timeline, episodes, given } = self;
        if rows.pass.has_moments() {
            episodes.add(&rows.block.lane, &rows.block.episode, rows.block.ended.as_deref());
        }
        let lane_rows = rows.lane_rows();
        let block = Block { rows: lane_rows.rows, input: lane_rows.input, ends: lane_rows.ends };
        let before = replays[0].normalizer().updates();
        if let Some(given) = given.as_mut().filter(|given| given.update.is_none() && rows.pass.has_moments())
        {
            given.look(before, &rows.ends, &rows.block.vector_step);
        }
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
        let Self { replays, timeline, episodes, given } = self;
        let shift_update = given.and_then(|given| given.update);
        let window_updates = replays.first().map_or(1, Replay::window_updates);
        let setting = |replay: Replay| PassedSetting {
            rule: *replay.normalizer().rule(),
            state: replay.normalizer().state(),
            var_used: replay.normalizer().used_var(),
            windows: replay.into_windows(),
        };
        let settings = replays.into_iter().map(setting).collect();
        PassedRun { settings, window_updates, timeline, episodes, shift_update }
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
    /// Updates before the shift that was given, where one lies within the run.
    pub(super) shift_update: Option<u64>,
}

/// What a run has come to under one setting.
pub(super) struct PassedSetting {
    pub(super) rule: Rule,
    pub(super) state: NormalizerState,
    /// Its variances as the rule uses them.
    pub(super) var_used: Vec<f64>,
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
            Some(vector_step) => {
                let (updates, end) = (self.shift_update?, timeline.end()?);
                Some(Shift::at(KnownStep { updates, vector_step }, end.updates, windows, width))
            }
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
        let mut diagnostics = self.settings.iter().map(|setting| setting.diagnostics(pace));
        // Rows over time, and whether they shift, are the same under every setting.
        let first = diagnostics.next();
        let windows = first.as_ref().and_then(ComparedRunRow::windows);
        let is_untold = watched.is_none() && analysis.shift_at.is_none();
        let shift_reason = first.as_ref().filter(|_| is_untold).and_then(|first| untold_reason(&first.drift));
        let traced = ComparedRunRow::traced(windows.as_ref(), self.settings.len());
        let settings = self.settings.iter().zip(first.into_iter().chain(diagnostics)).enumerate();
        let settings = settings.map(|(i, (setting, diagnostics))| {
            let lag = watched.and_then(|watched| watched.lags.get(i));
            ComparedSettingRow::new(&setting.state, &setting.var_used, &diagnostics, lag)
                .tracing(&traced, &diagnostics)
        });
        let settings: Vec<ComparedSettingRow> = settings.collect();
        let row = ComparedRunRow {
            run_id: run.run_id.clone(),
            shift_at: watched.map(|watched| watched.shift.vector_step),
            shift_given: analysis.shift_at.is_some(),
            shift_update: watched.map(|watched| watched.shift.update),
            windows,
            shift_reason,
            recommended: ComparedRunRow::recommend(&settings),
            traced,
            settings,
        };
        ComparedRun { row, end: self.timeline.end() }
    }
}
