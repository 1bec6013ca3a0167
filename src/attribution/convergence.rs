//! How sampled values settle as permutations come in, and when they could have stopped.
//!
//! # Formula
//! After m units: their mean with the interval that m units alone would have had. Looks are sqrt(2) apart. Whoever stops at
//! the first look whose intervals are narrow enough picks a favourable one: the J looks of at least [`STOPPING_UNITS`] units
//! are judged at the level 1 - alpha/J each, so that the interval at the stop covers with at least 1 - alpha
//! (Bonferroni over the looks).
//!
//! # Source
//! Spending alpha over looks: Pocock, *Biometrika* 64, 1977, of which this is the bound; stopping by relative width without it:
//! Covert and Lee, PMLR 130:3457, 2021.

use serde::{Deserialize, Serialize};

use crate::stats::{ConfidenceInterval, ConfidenceLevel, Estimate};

/// Units from which on the spread of a sample is known well enough to stop by.
const STOPPING_UNITS: usize = 32;

/// What is asked of the course of sampled values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ConvergenceRequest {
    /// Whether the looks are told.
    pub looks: bool,
    /// The half-width at which sampling could have stopped.
    pub target_half_width: Option<f64>,
}

impl ConvergenceRequest {
    /// Whether anything is.
    pub fn is_asked(&self) -> bool {
        self.looks || self.target_half_width.is_some()
    }
}

/// Values after some of the permutations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Permutations so far, reverses included.
    pub n_permutations: u64,
    /// Independent units so far.
    pub n_units: u64,
    /// Value and interval of each player, in their order.
    pub players: Vec<(Option<f64>, Option<ConfidenceInterval>)>,
}

/// How sampled values settle.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Convergence {
    /// From few units to all; empty where they were not asked for.
    pub looks: Vec<Look>,
    /// Where sampling could have stopped; `None` where no half-width was asked for.
    pub stop: Option<Stop>,
}

/// The first look whose intervals are all narrow enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Permutations so far; `None` where all are not enough.
    pub n_permutations: Option<u64>,
    /// Looks at which stopping was open: what the level is divided among.
    pub n_looks: u64,
}

impl Convergence {
    /// The course of `n_units` units of `per_unit` permutations each, by what `estimate` makes of a player's first units at a
    /// level.
    pub(super) fn of(
        request: ConvergenceRequest,
        (n_players, n_units, per_unit): (usize, usize, usize),
        level: ConfidenceLevel,
        estimate: impl Fn(usize, usize, ConfidenceLevel) -> Option<Estimate>,
    ) -> Self {
        let at = looks(n_units);
        let look = |units: usize| Look {
            n_permutations: (units * per_unit) as u64,
            n_units: units as u64,
            players: (0..n_players)
                .map(|player| {
                    let found = estimate(player, units, level);
                    (found.map(|found| found.value), found.and_then(|found| found.interval))
                })
                .collect(),
        };
        let stop = request.target_half_width.map(|target| {
            let open: Vec<usize> = at.iter().copied().filter(|units| *units >= STOPPING_UNITS).collect();
            let level = level.among(open.len());
            let is_narrow = |units: &usize| {
                (0..n_players).all(|player| {
                    // Units that all agree have no interval: a coalition that none of them met may decide.
                    let interval = estimate(player, *units, level).and_then(|found| found.interval);
                    interval.is_some_and(|interval| (interval.high - interval.low) / 2.0 <= target)
                })
            };
            Stop {
                n_permutations: open.iter().copied().find(is_narrow).map(|units| (units * per_unit) as u64),
                n_looks: open.len() as u64,
            }
        });
        let told = if request.looks { at } else { Vec::new() };
        Self { looks: told.into_iter().map(look).collect(), stop }
    }
}

/// Numbers of units to look at: two, then sqrt(2) times as many, up to all.
fn looks(n_units: usize) -> Vec<usize> {
    let mut at = Vec::new();
    let mut next = 2.0f64;
    loop {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from two to the number of units"
        )]
        let units = next as usize;
        if units >= n_units {
            break;
        }
        if at.last() != Some(&units) {
            at.push(units);
        }
        next *= std::f64::consts::SQRT_2;
    }
    if n_units > 0 {
        at.push(n_units);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{IntervalMethod, StreamKey, random_stream};
    use rand::RngExt;

    #[test]
    fn looks_end_with_everything() {
        assert_eq!(looks(0), [0usize; 0]);
        assert_eq!(looks(1), [1]);
        assert_eq!(looks(2), [2]);
        assert_eq!(looks(50), [2, 4, 5, 8, 11, 16, 22, 32, 45, 50]);
    }

    fn level() -> ConfidenceLevel {
        ConfidenceLevel::new(0.95).expect("a level")
    }

    fn of_sample(sample: &[f64], request: ConvergenceRequest) -> Convergence {
        Convergence::of(request, (1, sample.len(), 2), level(), |_, units, level| {
            Estimate::of_mean(&sample[..units], level, IntervalMethod::StudentT)
        })
    }

    #[test]
    fn the_last_look_is_the_estimate_of_all() {
        let sample = [1.0, 2.0, 4.0, 3.0, 2.5];
        let all = Estimate::of_mean(&sample, level(), IntervalMethod::StudentT).expect("a mean");
        let course = of_sample(&sample, ConvergenceRequest { looks: true, target_half_width: None });
        let last = course.looks.last().expect("a look");
        assert_eq!((last.n_units, last.n_permutations), (5, 10));
        assert_eq!(last.players, [(Some(all.value), all.interval)]);
        assert_eq!(course.stop, None);
    }

    /// Stopping at the first narrow look: at least as often right as the level says.
    #[test]
    fn intervals_at_the_stop_cover_in_spite_of_the_looks() {
        let (mut covered, mut stopped) = (0u32, 0u32);
        for trial in 0..2000 {
            let mut random = random_stream(7, StreamKey::named("stop", trial, 0), 0);
            // Skewed: the spread of a short sample is often too small.
            let sample: Vec<f64> = (0..512).map(|_| -random.random_range(1e-12..1.0f64).ln() - 1.0).collect();
            let request = ConvergenceRequest { looks: false, target_half_width: Some(0.25) };
            let stop = of_sample(&sample, request).stop.expect("asked for");
            let Some(permutations) = stop.n_permutations else { continue };
            stopped += 1;
            let units = usize::try_from(permutations / 2).expect("few");
            let at_level = level().among(usize::try_from(stop.n_looks).expect("few"));
            let found =
                Estimate::of_mean(&sample[..units], at_level, IntervalMethod::StudentT).expect("mean");
            let interval = found.interval.expect("an interval");
            covered += u32::from(interval.low <= 0.0 && interval.high >= 0.0);
        }
        assert!(stopped > 1900, "{stopped}");
        // Three standard errors of 0.5 % below 95 %.
        assert!(f64::from(covered) / f64::from(stopped) > 0.935, "{covered} of {stopped}");
    }
}
