//! How long statistics lag behind a shift of the distribution.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::engine::{DeviceError, Engine, SweepSeen, SweepShift};
use super::pass::Pass;
use super::relay::{Seen, steps_begun};
use super::replay::{Block, Replay};
use super::segment::MeanVar;
use super::shift::Shift;
use super::state::Normalizer;
use super::sweep::SweepWatch;
use super::timeline::KnownStep;
use super::update::Update;
use crate::stats::{BatchTable, Rows};

/// Share of the shift (mean) or of the new value (variance) that may be left.
const CLOSE: f64 = 0.1;

/// Least shift of the mean, in new standard deviations, for which a lag has a meaning.
const LEAST_SHIFT: f64 = 0.25;

/// Lag of one setting behind one shift.
#[derive(Debug, Clone, PartialEq)]
pub struct Lag {
    /// Updates until the mean is within 10 % of the shift of its new value, per dimension: `None` if it never is,
    /// or where the mean hardly shifts.
    pub mean: Vec<Option<u64>>,
    /// Updates until the variance is within 10 % of its new value, the mean having arrived, per dimension.
    pub var: Vec<Option<u64>>,
    /// The same as `mean`, in vector steps.
    pub mean_steps: Vec<Option<u64>>,
    /// The same as `var`, in vector steps.
    pub var_steps: Vec<Option<u64>>,
    /// Dimensions whose mean shifts enough for a lag to have a meaning.
    pub shifted: Vec<bool>,
    /// Least variance in use after the shift over the new one, per dimension.
    pub least_var_ratio: Vec<f64>,
    /// Greatest variance in use after the shift over the new one: how far it over-scales.
    pub greatest_var_ratio: Vec<f64>,
    /// Updates watched after the shift.
    pub watched: u64,
}

/// Watches one normalizer after a shift.
#[derive(Debug, Clone)]
pub struct LagProbe {
    place: KnownStep,
    before: Vec<MeanVar>,
    after: Vec<MeanVar>,
    lag: Lag,
}

impl LagProbe {
    /// Begins to watch at a shift; moments before and after it.
    pub fn new(place: KnownStep, before: &[MeanVar], after: &[MeanVar]) -> Self {
        let width = after.len();
        let shifted = before.iter().zip(after).map(|(before, after)| {
            after.var > 0.0 && (after.mean - before.mean).abs() >= LEAST_SHIFT * after.var.sqrt()
        });
        let lag = Lag {
            mean: vec![None; width],
            var: vec![None; width],
            mean_steps: vec![None; width],
            var_steps: vec![None; width],
            shifted: shifted.collect(),
            least_var_ratio: vec![f64::INFINITY; width],
            greatest_var_ratio: vec![0.0; width],
            watched: 0,
        };
        Self { place, before: before.to_vec(), after: after.to_vec(), lag }
    }

    /// Looks at the state after an update, `steps` vector steps having begun by then.
    pub fn watch(&mut self, normalizer: &Normalizer, steps: u64) {
        if normalizer.updates() <= self.place.updates {
            return;
        }
        self.lag.watched = normalizer.updates() - self.place.updates;
        let steps = steps.saturating_sub(self.place.vector_step);
        for d in 0..self.after.len() {
            let (old, MeanVar { mean, var }) = (self.before[d].mean, self.after[d]);
            if var <= 0.0 {
                continue;
            }
            let ratio = normalizer.var()[d] / var;
            let lag = &mut self.lag;
            lag.least_var_ratio[d] = lag.least_var_ratio[d].min(ratio);
            lag.greatest_var_ratio[d] = lag.greatest_var_ratio[d].max(ratio);
            if lag.shifted[d]
                && lag.mean[d].is_none()
                && (normalizer.mean()[d] - mean).abs() <= CLOSE * (mean - old).abs()
            {
                (lag.mean[d], lag.mean_steps[d]) = (Some(lag.watched), Some(steps));
            }
            // While the mean is on its way the variance swells past its new value: only after the mean has
            // arrived does it mean anything to be near.
            let has_mean = !lag.shifted[d] || lag.mean[d].is_some();
            if has_mean && lag.var[d].is_none() && (ratio - 1.0).abs() <= CLOSE {
                (lag.var[d], lag.var_steps[d]) = (Some(lag.watched), Some(steps));
            }
        }
    }

    /// Takes what a device saw of this setting, the dimensions `own` of all settings', up to `updates`; `at` gives the updates
    /// and vector steps begun by the end of a batch.
    fn take_seen(
        &mut self,
        seen: &SweepSeen,
        own: Range<usize>,
        updates: u64,
        at: impl Fn(usize) -> (u64, u64),
    ) {
        let KnownStep { updates: shift, vector_step } = self.place;
        let lag = &mut self.lag;
        lag.watched = updates - shift;
        let behind = |batch: usize| {
            let (updates, steps) = at(batch);
            (Some(updates - shift), Some(steps.saturating_sub(vector_step)))
        };
        for (d, i) in own.enumerate() {
            if let Some(batch) = seen.mean_at[i] {
                (lag.mean[d], lag.mean_steps[d]) = behind(batch);
            }
            if let Some(batch) = seen.var_at[i] {
                (lag.var[d], lag.var_steps[d]) = behind(batch);
            }
            (lag.least_var_ratio[d], lag.greatest_var_ratio[d]) = (seen.least[i], seen.greatest[i]);
        }
    }

    /// What was seen.
    pub fn finish(self) -> Lag {
        self.lag
    }
}

/// Replays a run that shifts once more, under several rules, and watches every update after the shift.
#[derive(Debug)]
pub struct LagWatch {
    replays: Vec<Replay>,
    /// One per replay, which run side by side; none before the shift is located.
    probes: Vec<Mutex<LagProbe>>,
    shift: Shift,
    /// Vector steps begun so far.
    steps: u64,
    /// Where the replays run; `None` for here.
    engine: Option<Engine>,
    /// What sees the rows that wait; none before the shift comes near.
    ahead: Option<Ahead>,
}

/// What sees rows ahead of the replays, to locate a shift by them.
#[derive(Debug)]
struct Ahead {
    gather: Replay,
    /// Vector steps begun by the end of the rows it has seen.
    steps: u64,
}

/// Where rows lie by a shift that windows have found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Before it, wherever it is.
    Before,
    /// It may be among them, and rows are missing that tell.
    Around,
    /// It has been located, to the batch.
    Located,
}

/// A shift, to the batch where it was found, with the lag of each setting behind it.
#[derive(Debug, Clone)]
pub struct WatchedShift {
    /// The shift.
    pub shift: Shift,
    /// Lags, in order of the replays.
    pub lags: Vec<Lag>,
}

impl LagWatch {
    /// Watches replays that have not begun.
    pub fn new(replays: Vec<Replay>, shift: Shift, engine: Option<Engine>) -> Self {
        // Only their states are looked at.
        let replays = replays.into_iter().map(Replay::states_only).collect();
        Self { replays, probes: Vec::new(), shift, steps: 0, engine, ahead: None }
    }

    /// Where the next rows lie by the shift. Those around it have to wait until it is located: nothing can be watched before
    /// that, and nothing again afterwards.
    pub fn look(&mut self, rows: Rows<'_>, ends: &[usize], vector_step: &[u64], pass: Pass) -> Sight {
        let (Some(near), Some(first)) = (self.shift.near(), self.replays.first()) else {
            return Sight::Located;
        };
        let ahead = match &mut self.ahead {
            Some(ahead) => ahead,
            none => {
                let updates = first.normalizer().updates();
                if updates + (ends.len() as u64) < near.start {
                    return Sight::Before;
                }
                self.shift.take_from(updates);
                none.insert(Ahead { gather: first.clone(), steps: self.steps })
            }
        };
        let steps = steps_begun(ends, vector_step, ahead.steps);
        if let Some(last) = vector_step.last().filter(|_| pass.has_moments()) {
            ahead.steps = last + 1;
        }
        let (shift, mut left) = (&mut self.shift, &steps[..]);
        ahead.gather.gather(&Block { rows, input: None, ends }, pass, |seen| {
            let (own, later) = left.split_at(seen.n_ends());
            shift.take(&seen, own);
            left = later;
        });
        if self.shift.is_located() { Sight::Located } else { Sight::Around }
    }

    /// There are no more rows to locate the shift by.
    pub fn settle(&mut self) {
        self.shift.settle();
    }

    /// Replays a block whose batches end at `ends`, with the vector step of each row: one that lies before the shift, or any
    /// once it is located.
    ///
    /// # Errors
    /// A failing device, or values too large for one.
    pub fn process(
        &mut self,
        rows: Rows<'_>,
        ends: &[usize],
        vector_step: &[u64],
        pass: Pass,
    ) -> Result<(), DeviceError> {
        self.begin_to_watch();
        let block = Block { rows, input: None, ends };
        let before = self.steps;
        if pass.has_moments() {
            self.steps = vector_step.last().map_or(before, |step| step + 1);
        }
        if let Some(engine) = &self.engine {
            let probes = self.probes.iter_mut();
            let probes =
                probes.map(|probe| probe.get_mut().unwrap_or_else(PoisonError::into_inner)).collect();
            let mut watch = SweptProbes { probes, vector_step, steps_before: before };
            return Replay::sweep_watched(&mut self.replays, engine, &block, pass, Some(&mut watch));
        }
        let probes = &self.probes;
        Replay::run_together(&mut self.replays, &block, pass, |i, update| {
            let Some(probe) = probes.get(i) else { return };
            let steps = update.last_row.map_or(before, |row| vector_step[row] + 1);
            probe.lock().unwrap_or_else(PoisonError::into_inner).watch(update.normalizer, steps);
        });
        Ok(())
    }

    /// Takes what others saw of the next rows, of a run whose shift is located.
    pub fn follow(&mut self, seen: &Seen, steps: &[u64]) {
        self.begin_to_watch();
        let probes = &self.probes;
        self.replays.par_iter_mut().enumerate().for_each(|(i, replay)| {
            let Some(probe) = probes.get(i) else { return };
            let mut probe = probe.lock().unwrap_or_else(PoisonError::into_inner);
            replay.follow_telling(seen, |end, normalizer| probe.watch(normalizer, steps[end]));
        });
    }

    fn begin_to_watch(&mut self) {
        if self.probes.is_empty() && self.shift.is_located() {
            let Shift { before, after, .. } = &self.shift;
            let probe = |_: &Replay| LagProbe::new(self.shift.place(), before, after).into();
            self.probes = self.replays.iter().map(probe).collect();
        }
    }

    /// The run is over.
    pub fn finish(self) -> WatchedShift {
        let finished =
            |probe: Mutex<LagProbe>| probe.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
        WatchedShift { shift: self.shift, lags: self.probes.into_iter().map(finished).collect() }
    }
}

/// Probes of settings that go through a device, each its own.
struct SweptProbes<'a> {
    probes: Vec<&'a mut LagProbe>,
    /// Vector step of each row of the block.
    vector_step: &'a [u64],
    /// Vector steps begun before the block.
    steps_before: u64,
}

impl SweptProbes<'_> {
    fn steps_at(&self, last_row: Option<usize>) -> u64 {
        last_row.map_or(self.steps_before, |row| self.vector_step[row] + 1)
    }
}

impl SweepWatch for SweptProbes<'_> {
    fn shift(&self, table: &BatchTable, updates: u64) -> Option<SweepShift> {
        let probe = self.probes.first()?;
        let mut updates = updates;
        let first_batch = table.n.iter().position(|n| {
            updates += u64::from(*n > 0);
            *n > 0 && updates > probe.place.updates
        })?;
        let mut seen = SweepSeen::default();
        for probe in &self.probes {
            seen.has_mean.extend(probe.lag.mean.iter().map(Option::is_some));
            seen.has_var.extend(probe.lag.var.iter().map(Option::is_some));
            seen.least.extend(&probe.lag.least_var_ratio);
            seen.greatest.extend(&probe.lag.greatest_var_ratio);
        }
        let moments = probe.before.iter().zip(&probe.after);
        Some(SweepShift {
            first_batch,
            mean: probe.after.iter().map(|after| after.mean).collect(),
            tolerance: moments.map(|(before, after)| CLOSE * (after.mean - before.mean).abs()).collect(),
            var: probe.after.iter().map(|after| after.var).collect(),
            shifted: probe.lag.shifted.clone(),
            close: CLOSE,
            seen,
        })
    }

    fn look(&mut self, setting: usize, update: Update<'_>) {
        let steps = self.steps_at(update.last_row);
        if let Some(probe) = self.probes.get_mut(setting) {
            probe.watch(update.normalizer, steps);
        }
    }

    fn take(&mut self, seen: &SweepSeen, updates: u64, at: &dyn Fn(usize) -> (u64, Option<usize>)) {
        let (vector_step, before) = (self.vector_step, self.steps_before);
        let known = |batch: usize| {
            let (updates, last_row) = at(batch);
            (updates, last_row.map_or(before, |row| vector_step[row] + 1))
        };
        for (setting, probe) in self.probes.iter_mut().enumerate() {
            let width = probe.after.len();
            probe.take_seen(seen, setting * width..(setting + 1) * width, updates, known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, Order, Rule, lag_of};
    use super::*;

    const START: KnownStep = KnownStep { updates: 0, vector_step: 0 };

    fn moments(mean: f64, var: f64) -> MeanVar {
        MeanVar { mean, var }
    }

    #[test]
    fn the_lag_of_a_moving_average_is_the_formula() {
        let rule = Rule { initial_mean: 0.0, ..Rule::observations(Memory::ema(0.9)) };
        let mut normalizer = Normalizer::new(rule, 1);
        let mut probe = LagProbe::new(START, &[moments(0.0, 1.0)], &[moments(5.0, 1.0)]);
        for step in 1..=200 {
            normalizer.update(1, &[5.0], &[1.0]);
            // Two vector steps make an update.
            probe.watch(&normalizer, 2 * step);
        }
        let lag = probe.finish();
        // ln 0.1/ln 0.9 = 21.85: the 22nd update.
        assert_eq!((lag.mean[0], lag.mean_steps[0]), (Some(22), Some(44)));
        assert_eq!(lag_of(0.9).ceil(), 22.0);
        // Var = 1 + 25 m^k (1 - m^k): at most 1 + 25/4, within 10 % once 25 m^k (1 - m^k) <= 0.1.
        let expected = (1..200u64).find(|k| {
            let left = 0.9f64.powf(*k as f64);
            *k >= 22 && 25.0 * left * (1.0 - left) <= 0.1
        });
        assert_eq!(lag.var[0], expected);
        assert!((lag.greatest_var_ratio[0] - 7.25).abs() < 0.02);
    }

    #[test]
    fn a_moving_average_behind_steps_and_ramps_is_where_the_formulas_say() {
        for momentum in [0.5, 0.9, 0.99, 0.999] {
            let rule = Rule {
                initial_mean: 0.0,
                order: Order::UpdateFirst,
                ..Rule::observations(Memory::ema(momentum))
            };
            // A step of 1: 1 - 1/e of it is behind after -1/ln m updates.
            let mut normalizer = Normalizer::new(rule, 1);
            let closed = (1..20_000u32).find(|_| {
                normalizer.update(1, &[1.0], &[0.0]);
                normalizer.mean()[0] >= 1.0 - (-1.0f64).exp()
            });
            let updates = -1.0 / f64::ln(momentum);
            assert_eq!(closed.map(f64::from), Some(updates.ceil()), "momentum {momentum}");
            // A ramp of 1 an update: the average lags by m/(1 - m) updates.
            let mut normalizer = Normalizer::new(rule, 1);
            for update in 1..=20_000u32 {
                normalizer.update(1, &[f64::from(update)], &[0.0]);
            }
            let lag = 20_000.0 - normalizer.mean()[0];
            assert!(
                (lag / (momentum / (1.0 - momentum)) - 1.0).abs() < 1e-3,
                "{lag} for momentum {momentum}"
            );
        }
    }

    #[test]
    fn the_lag_probe_is_within_two_percent_of_the_formula() {
        for momentum in [0.98, 0.99, 0.999] {
            let rule = Rule { initial_mean: 2.0, ..Rule::observations(Memory::ema(momentum)) };
            let mut normalizer = Normalizer::new(rule, 1);
            let mut probe = LagProbe::new(START, &[moments(2.0, 1.0)], &[moments(-3.0, 1.0)]);
            for step in 1..=20_000 {
                normalizer.update(4, &[-3.0], &[1.0]);
                probe.watch(&normalizer, step);
            }
            let found = probe.finish().mean[0].expect("it arrives") as f64;
            assert!((found / lag_of(momentum) - 1.0).abs() < 0.02, "{found} for momentum {momentum}");
        }
    }
}
