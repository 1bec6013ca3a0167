//! Does a stored state match what a recording implies, and if not, why.

use super::rule::Rule;
use super::state::{Normalizer, NormalizerState};

/// A stored state as far as its file goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Means.
    pub mean: Vec<f64>,
    /// Variances.
    pub var: Vec<f64>,
    /// Count, where the file says.
    pub count: Option<f64>,
}

/// One dimension that differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Dimension.
    pub dimension: usize,
    /// Stored and expected mean.
    pub mean: (f64, f64),
    /// Stored and expected variance.
    pub var: (f64, f64),
    /// max(|m - m'|/(sd' + |m'|), |v - v'|/v') with the expected m', v'.
    pub distance: f64,
}

/// Why a state differs.
#[derive(Debug, Clone, PartialEq)]
pub enum Diagnosis {
    /// A variance is negative or a number is not finite.
    Invalid {
        /// Dimensions.
        dimensions: Vec<usize>,
    },
    /// Mean and variance have changed places.
    Swapped,
    /// Another number of dimensions; where each stored one was found, if anywhere.
    Shape {
        /// Stored width.
        stored: usize,
        /// Width of the recording.
        expected: usize,
        /// Recorded dimensions that no stored one matches.
        missing: Vec<usize>,
    },
    /// The same dimensions in another order.
    Permuted {
        /// For each stored dimension, the recorded one it is.
        order: Vec<usize>,
    },
    /// Still the initial state.
    NeverUpdated,
    /// The state of a replay that stops early.
    Stale {
        /// Updates it has seen.
        updates: u64,
        /// Updates there are.
        of: u64,
    },
    /// The state of a replay that begins late.
    Reset {
        /// Update it begins at.
        update: u64,
        /// Vector step it begins at.
        vector_step: u64,
    },
    /// The state of another momentum (`None`: full history).
    OtherMomentum {
        /// The best-fitting one.
        momentum: Option<f64>,
        /// How far its state still lies from the stored one.
        distance: f64,
    },
    /// Mean and variance are right, the count is not: the next updates would weigh wrongly.
    Count,
    /// The state of another run.
    OtherRun {
        /// Which.
        run_id: String,
    },
    /// None of these.
    Unknown,
}

/// How far two values of one dimension lie apart.
///
/// # Formula
/// max(|m - m'|/(sd' + |m'|), |v - v'|/v') with the expected m', v'; a variance of 0 counts as 1e-12.
pub(super) fn distance(mean: f64, var: f64, expected_mean: f64, expected_var: f64) -> f64 {
    let var_scale = expected_var.max(1e-12);
    let mean_distance = (mean - expected_mean).abs() / (var_scale.sqrt() + expected_mean.abs());
    let var_distance = (var - expected_var).abs() / var_scale;
    // max() would drop a NaN.
    if mean_distance.is_nan() || var_distance.is_nan() {
        f64::INFINITY
    } else {
        mean_distance.max(var_distance)
    }
}

impl Claim {
    /// The greatest distance over dimensions; infinite for another width.
    pub fn distance_to(&self, mean: &[f64], var: &[f64]) -> f64 {
        if self.mean.len() != mean.len() {
            return f64::INFINITY;
        }
        (0..mean.len()).map(|d| distance(self.mean[d], self.var[d], mean[d], var[d])).fold(0.0, f64::max)
    }

    /// Whether it lies within `tolerance`, stopping at the first dimension that does not.
    pub fn is_close(&self, mean: &[f64], var: &[f64], tolerance: f64) -> bool {
        self.mean.len() == mean.len()
            && (0..mean.len()).all(|d| distance(self.mean[d], self.var[d], mean[d], var[d]) <= tolerance)
    }

    /// Dimensions that differ by more than `tolerance`, worst first.
    pub fn differences(&self, expected: &NormalizerState, tolerance: f64) -> Vec<Difference> {
        let mut found: Vec<Difference> = (0..self.mean.len().min(expected.mean.len()))
            .map(|dimension| {
                let mean = (self.mean[dimension], expected.mean[dimension]);
                let var = (self.var[dimension], expected.var[dimension]);
                Difference { dimension, mean, var, distance: distance(mean.0, var.0, mean.1, var.1) }
            })
            .filter(|difference| difference.distance > tolerance)
            .collect();
        found.sort_by(|a, b| b.distance.total_cmp(&a.distance).then(a.dimension.cmp(&b.dimension)));
        found
    }

    /// What can be told without another replay: nothing but the stored and the expected state is needed.
    pub fn diagnose(&self, rule: &Rule, expected: &NormalizerState, tolerance: f64) -> Option<Diagnosis> {
        let is_bad =
            |d: &usize| !self.mean[*d].is_finite() || !self.var[*d].is_finite() || self.var[*d] < 0.0;
        let swapped = Self { mean: self.var.clone(), var: self.mean.clone(), count: None };
        if swapped.is_close(&expected.mean, &expected.var, tolerance) {
            return Some(Diagnosis::Swapped);
        }
        let dimensions: Vec<usize> = (0..self.mean.len().min(self.var.len())).filter(is_bad).collect();
        if !dimensions.is_empty() {
            return Some(Diagnosis::Invalid { dimensions });
        }
        let order = self.matching(expected, tolerance);
        if self.mean.len() != expected.mean.len() {
            let missing =
                (0..expected.mean.len()).filter(|d| !order.contains(&Some(*d))).collect::<Vec<usize>>();
            let (stored, expected) = (self.mean.len(), expected.mean.len());
            return Some(Diagnosis::Shape { stored, expected, missing });
        }
        let is_initial = |d: usize| {
            distance(self.mean[d], self.var[d], rule.initial_mean, rule.initial_var) <= tolerance.min(1e-9)
        };
        if (0..self.mean.len()).all(is_initial) {
            return Some(Diagnosis::NeverUpdated);
        }
        let found: Option<Vec<usize>> = order.into_iter().collect();
        found.map(|order| Diagnosis::Permuted { order })
    }

    /// The recorded dimension each stored one matches best, each taken once.
    fn matching(&self, expected: &NormalizerState, tolerance: f64) -> Vec<Option<usize>> {
        let mut taken = vec![false; expected.mean.len()];
        (0..self.mean.len())
            .map(|d| {
                let apart =
                    |e: &usize| distance(self.mean[d], self.var[d], expected.mean[*e], expected.var[*e]);
                let nearest = (0..expected.mean.len())
                    .filter(|e| !taken[*e])
                    .min_by(|a, b| apart(a).total_cmp(&apart(b)))
                    .filter(|e| apart(e) <= tolerance)?;
                taken[nearest] = true;
                Some(nearest)
            })
            .collect()
    }
}

/// Watches a replay for the moment its state is the claimed one.
#[derive(Debug, Clone)]
pub struct StaleProbe {
    tolerance: f64,
    best: Closest,
}

/// When a state was closest, and how close.
#[derive(Debug, Clone, Copy)]
struct Closest {
    updates: u64,
    distance: f64,
}

impl StaleProbe {
    /// Watches for a distance of at most `tolerance`.
    pub fn new(tolerance: f64) -> Self {
        Self { tolerance, best: Closest { updates: 0, distance: f64::INFINITY } }
    }

    /// Looks at the state after an update.
    pub fn watch(&mut self, claim: &Claim, normalizer: &Normalizer) {
        // The first dimension nearly always decides.
        let apart =
            |d: usize| distance(claim.mean[d], claim.var[d], normalizer.mean()[d], normalizer.var()[d]);
        if claim.mean.len() != normalizer.width() || apart(0) > self.tolerance.min(self.best.distance) {
            return;
        }
        let whole = claim.distance_to(normalizer.mean(), normalizer.var());
        if whole < self.best.distance {
            self.best = Closest { updates: normalizer.updates(), distance: whole };
        }
    }

    /// Updates after which the state was the claimed one, if it ever was.
    pub fn found(&self) -> Option<u64> {
        (self.best.distance <= self.tolerance).then_some(self.best.updates)
    }
}

/// Momenta that are tried first: 1 - m falls by about a third each.
pub fn momentum_grid() -> Vec<f64> {
    (0..=28).map(|i| 1.0 - 10f64.powf(-f64::from(i) / 5.0)).collect()
}

/// Momenta between the neighbours of the best one of `grid`.
pub fn finer_grid(grid: &[f64], best: usize) -> Vec<f64> {
    let low = (1.0 - grid[best.saturating_sub(1)]).ln();
    let high = (1.0 - grid[(best + 1).min(grid.len() - 1)]).ln();
    (0..=16).map(|i| 1.0 - (low + (high - low) * f64::from(i) / 16.0).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Memory;
    use super::*;

    fn expected() -> NormalizerState {
        NormalizerState {
            memory: Memory::Welford,
            count: 100.0,
            mean: vec![1.0, 20.0, -3.0],
            var: vec![0.5, 4.0, 9.0],
            batches: 10,
            initial_count: 1e-4,
            initial_mean: 0.0,
            initial_var: 1.0,
        }
    }

    fn diagnosis(mean: &[f64], var: &[f64]) -> Option<Diagnosis> {
        let claim = Claim { mean: mean.to_vec(), var: var.to_vec(), count: None };
        claim.diagnose(&Rule::observations(Memory::Welford), &expected(), 1e-6)
    }

    #[test]
    fn what_the_state_alone_tells() {
        assert_eq!(
            diagnosis(&[1.0, 20.0, -3.0], &[0.5, -4.0, 9.0]),
            Some(Diagnosis::Invalid { dimensions: vec![1] })
        );
        let nan = f64::NAN;
        assert_eq!(
            diagnosis(&[1.0, 20.0, nan], &[0.5, 4.0, 9.0]),
            Some(Diagnosis::Invalid { dimensions: vec![2] })
        );
        assert!(distance(nan, 1.0, 0.0, 1.0).is_infinite() && distance(0.0, nan, 0.0, 1.0).is_infinite());
        assert_eq!(diagnosis(&[0.5, 4.0, 9.0], &[1.0, 20.0, -3.0]), Some(Diagnosis::Swapped));
        assert_eq!(
            diagnosis(&[20.0, -3.0, 1.0], &[4.0, 9.0, 0.5]),
            Some(Diagnosis::Permuted { order: vec![1, 2, 0] })
        );
        assert_eq!(
            diagnosis(&[1.0, -3.0], &[0.5, 9.0]),
            Some(Diagnosis::Shape { stored: 2, expected: 3, missing: vec![1] })
        );
        assert_eq!(diagnosis(&[0.0; 3], &[1.0; 3]), Some(Diagnosis::NeverUpdated));
        assert_eq!(diagnosis(&[1.0, 20.0, -2.0], &[0.5, 4.0, 9.0]), None);
    }

    #[test]
    fn grids_narrow_down() {
        let grid = momentum_grid();
        assert!(grid[0] == 0.0 && grid.windows(2).all(|pair| pair[0] < pair[1]));
        let finer = finer_grid(&grid, 10);
        assert!((finer[0] - grid[9]).abs() < 1e-12 && (finer[16] - grid[11]).abs() < 1e-12);
    }
}
