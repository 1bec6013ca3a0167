//! How long statistics lag behind a shift of the distribution.

use std::sync::{Mutex, PoisonError};

use super::replay::{Block, Replay};
use super::segment::MeanVar;
use super::shift::{LocatedBlock, Shift};
use super::state::Normalizer;
use crate::stats::Rows;

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
    update: u64,
    before: Vec<MeanVar>,
    after: Vec<MeanVar>,
    lag: Lag,
}

impl LagProbe {
    /// Begins to watch after `update` updates; moments before and after the shift.
    pub fn new(update: u64, before: &[MeanVar], after: &[MeanVar]) -> Self {
        let width = after.len();
        let shifted = before.iter().zip(after).map(|(before, after)| {
            after.var > 0.0 && (after.mean - before.mean).abs() >= LEAST_SHIFT * after.var.sqrt()
        });
        let lag = Lag {
            mean: vec![None; width],
            var: vec![None; width],
            shifted: shifted.collect(),
            least_var_ratio: vec![f64::INFINITY; width],
            greatest_var_ratio: vec![0.0; width],
            watched: 0,
        };
        Self { update, before: before.to_vec(), after: after.to_vec(), lag }
    }

    /// Moves the shift to where a closer look found it; what was watched before is forgotten.
    pub fn move_to(&mut self, update: u64) {
        let width = self.after.len();
        self.update = update;
        self.lag.mean = vec![None; width];
        self.lag.var = vec![None; width];
        self.lag.least_var_ratio = vec![f64::INFINITY; width];
        self.lag.greatest_var_ratio = vec![0.0; width];
    }

    /// Looks at the state after an update.
    pub fn watch(&mut self, normalizer: &Normalizer) {
        if normalizer.updates() <= self.update {
            return;
        }
        self.lag.watched = normalizer.updates() - self.update;
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
                lag.mean[d] = Some(lag.watched);
            }
            // While the mean is on its way the variance swells past its new value: only after the mean has
            // arrived does it mean anything to be near.
            let has_mean = !lag.shifted[d] || lag.mean[d].is_some();
            if has_mean && lag.var[d].is_none() && (ratio - 1.0).abs() <= CLOSE {
                lag.var[d] = Some(lag.watched);
            }
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
    /// One per replay; replays run side by side.
    probes: Vec<Mutex<LagProbe>>,
    shift: Shift,
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
    pub fn new(replays: Vec<Replay>, shift: Shift) -> Self {
        let probe = |_: &Replay| LagProbe::new(shift.update, &shift.before, &shift.after).into();
        Self { probes: replays.iter().map(probe).collect(), replays, shift }
    }

    /// Replays a block whose batches end at `ends`, with the vector step of each row.
    pub fn process(&mut self, rows: Rows<'_>, ends: &[usize], vector_step: &[u64]) {
        let Some(first) = self.replays.first() else { return };
        let (width, updates_before) = (first.normalizer().width(), first.normalizer().updates());
        if self.shift.look(&LocatedBlock { rows, width, ends, vector_step, updates_before }) {
            for probe in &mut self.probes {
                probe.get_mut().unwrap_or_else(PoisonError::into_inner).move_to(self.shift.update);
            }
        }
        let block = Block { rows, input: None, ends };
        let probes = &self.probes;
        Replay::process_together(&mut self.replays, &block, |i, update| {
            probes[i].lock().unwrap_or_else(PoisonError::into_inner).watch(update.normalizer);
        });
    }

    /// The run is over.
    pub fn finish(self) -> WatchedShift {
        let finished =
            |probe: Mutex<LagProbe>| probe.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
        WatchedShift { shift: self.shift, lags: self.probes.into_iter().map(finished).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, Rule, lag_of};
    use super::*;

    #[test]
    fn the_lag_of_a_moving_average_is_the_formula() {
        let rule = Rule { initial_mean: 0.0, ..Rule::observations(Memory::ema(0.9)) };
        let mut normalizer = Normalizer::new(rule, 1);
        let moments = |mean| MeanVar { mean, var: 1.0 };
        let mut probe = LagProbe::new(0, &[moments(0.0)], &[moments(5.0)]);
        for _ in 0..200 {
            normalizer.update(1, &[5.0], &[1.0]);
            probe.watch(&normalizer);
        }
        let lag = probe.finish();
        // ln 0.1/ln 0.9 = 21.85: the 22nd update.
        assert_eq!(lag.mean[0], Some(22));
        assert_eq!(lag_of(0.9).ceil(), 22.0);
        // Var = 1 + 25 m^k (1 - m^k): at most 1 + 25/4, within 10 % once 25 m^k (1 - m^k) <= 0.1.
        let expected = (1..200u64).find(|k| {
            let left = 0.9f64.powf(*k as f64);
            *k >= 22 && 25.0 * left * (1.0 - left) <= 0.1
        });
        assert_eq!(lag.var[0], expected);
        assert!((lag.greatest_var_ratio[0] - 7.25).abs() < 0.02);
    }
}
