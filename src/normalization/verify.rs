//! Does a stored state match what a recording implies, and if not, why.

use super::presets::Preset;
use super::rule::Rule;
use super::segment::MeanVar;
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
    /// How exactly the file holds them.
    pub precision: StoredPrecision,
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
    /// The greater of the means' distance in standard deviations and the variances' relative one.
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
    /// The state of one vector step more than is recorded, as far as that can be checked.
    OneStepMore {
        /// Rows of the step.
        rows: u64,
    },
    /// The state of the recording without its last vector step.
    OneStepLess {
        /// Rows of the step.
        rows: u64,
    },
    /// Variances that divide by n - 1 where the rule's divide by n.
    SampleVariance {
        /// Rows seen.
        rows: u64,
    },
    /// The state of another framework's conventions than those asked for.
    OtherPreset {
        /// Which.
        preset: Preset,
    },
    /// The state of another run.
    OtherRun {
        /// Which.
        run_id: String,
    },
    /// None of these.
    Unknown,
}

/// Units in the last place of a stored mean that are no difference: it was rounded on its way into the file, and once
/// more by what read or wrote it.
pub(super) const LAST_PLACES: f64 = 4.0;

/// How exactly a file holds numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredPrecision {
    /// 32 bits.
    Single,
    /// 64 bits.
    Double,
}

impl StoredPrecision {
    /// A unit in the last place of 1.
    pub(super) fn last_place(self) -> f64 {
        match self {
            Self::Single => f64::from(f32::EPSILON),
            Self::Double => f64::EPSILON,
        }
    }
}

/// How far two values of one dimension lie apart.
///
/// # Formula
/// max((|m - m'| - 4 u |m'|)/sd', |v - v'|/v') with the expected m', v' and u a unit in the last place of 1 at the
/// stored precision: a mean's distance is one in standard deviations, whatever its size.
///
/// # Edge cases
/// A variance of 0 counts as 1e-12; NaN is infinitely far.
pub(super) fn distance(stored: MeanVar, expected: MeanVar, precision: StoredPrecision) -> f64 {
    let var_scale = expected.var.max(1e-12);
    let rounding = LAST_PLACES * precision.last_place() * expected.mean.abs();
    let mean_apart = (stored.mean - expected.mean).abs() - rounding;
    let var_distance = (stored.var - expected.var).abs() / var_scale;
    // max() would drop a NaN.
    if mean_apart.is_nan() || var_distance.is_nan() {
        f64::INFINITY
    } else {
        (mean_apart / var_scale.sqrt()).max(0.0).max(var_distance)
    }
}

/// Whether two counts of rows are the same: one row (and a millionth) is what initial counts and rounding make.
fn is_count_near(stored: f64, expected: f64) -> bool {
    (stored - expected).abs() <= 1.0 + 1e-6 * expected.abs()
}

impl Claim {
    /// How far a dimension lies from an expected mean and variance.
    fn apart(&self, dimension: usize, mean: f64, var: f64) -> f64 {
        let stored = MeanVar { mean: self.mean[dimension], var: self.var[dimension] };
        distance(stored, MeanVar { mean, var }, self.precision)
    }

    /// The greatest distance over dimensions; infinite for another width.
    pub fn distance_to(&self, mean: &[f64], var: &[f64]) -> f64 {
        if self.mean.len() != mean.len() {
            return f64::INFINITY;
        }
        (0..mean.len()).map(|d| self.apart(d, mean[d], var[d])).fold(0.0, f64::max)
    }

    /// Whether it lies within `tolerance`, stopping at the first dimension that does not.
    pub fn is_close(&self, mean: &[f64], var: &[f64], tolerance: f64) -> bool {
        self.mean.len() == mean.len() && (0..mean.len()).all(|d| self.apart(d, mean[d], var[d]) <= tolerance)
    }

    /// Whether its count, if it has one, is the expected one.
    pub fn has_count(&self, expected: f64) -> bool {
        self.count.is_none_or(|count| is_count_near(count, expected))
    }

    /// Whether it is close with its variances taken for sample ones: divided by n - 1, n the rows seen, where the
    /// expected ones divide by n.
    pub fn has_sample_variances(&self, expected: &NormalizerState, rows: u64, tolerance: f64) -> bool {
        if rows < 2 {
            return false;
        }
        let biased = (rows - 1) as f64 / rows as f64;
        let var = self.var.iter().map(|var| var * biased).collect();
        let population = Self { var, ..self.clone() };
        population.is_close(&expected.mean, &expected.var, tolerance)
    }

    /// Dimensions that differ by more than `tolerance`, worst first.
    pub fn differences(&self, expected: &NormalizerState, tolerance: f64) -> Vec<Difference> {
        let mut found: Vec<Difference> = (0..self.mean.len().min(expected.mean.len()))
            .map(|dimension| {
                let mean = (self.mean[dimension], expected.mean[dimension]);
                let var = (self.var[dimension], expected.var[dimension]);
                Difference { dimension, mean, var, distance: self.apart(dimension, mean.1, var.1) }
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
        let swapped = Self { mean: self.var.clone(), var: self.mean.clone(), ..self.clone() };
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
        let is_initial = |d: usize| self.apart(d, rule.initial_mean, rule.initial_var) <= tolerance.min(1e-9);
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
                let apart = |e: &usize| self.apart(d, expected.mean[*e], expected.var[*e]);
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
    /// The same among states of the claimed count.
    counted: Option<Counted>,
}

/// When a state of about the claimed count was close enough, and how far its count lay from it.
#[derive(Debug, Clone, Copy)]
struct Counted {
    updates: u64,
    apart: f64,
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
        Self { tolerance, best: Closest { updates: 0, distance: f64::INFINITY }, counted: None }
    }

    /// Looks at the state after an update.
    pub fn watch(&mut self, claim: &Claim, normalizer: &Normalizer) {
        if claim.mean.len() != normalizer.width() {
            return;
        }
        let count = normalizer.count();
        let counted = claim.count.filter(|claimed| is_count_near(*claimed, count)).map(|x| (x - count).abs());
        let counted = counted.filter(|apart| self.counted.is_none_or(|best| *apart < best.apart));
        let limit = if counted.is_some() { self.tolerance } else { self.tolerance.min(self.best.distance) };
        // The first dimension nearly always decides.
        if claim.apart(0, normalizer.mean()[0], normalizer.var()[0]) > limit {
            return;
        }
        let whole = claim.distance_to(normalizer.mean(), normalizer.var());
        if let Some(apart) = counted.filter(|_| whole <= self.tolerance) {
            self.counted = Some(Counted { updates: normalizer.updates(), apart });
        }
        if whole < self.best.distance {
            self.best = Closest { updates: normalizer.updates(), distance: whole };
        }
    }

    /// Updates after which moments and count were the claimed ones, if they ever were.
    pub fn found_by_count(&self) -> Option<u64> {
        self.counted.map(|counted| counted.updates)
    }

    /// Updates after which the moments were the claimed ones, if they ever were.
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
        let precision = StoredPrecision::Double;
        let claim = Claim { mean: mean.to_vec(), var: var.to_vec(), count: None, precision };
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
        for (mean, var) in [(nan, 1.0), (0.0, nan)] {
            let expected = MeanVar { mean: 0.0, var: 1.0 };
            assert!(distance(MeanVar { mean, var }, expected, StoredPrecision::Double).is_infinite());
        }
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
    fn sample_variances_are_told_from_population_ones() {
        let expected = expected();
        let of = |factor: f64| Claim {
            mean: expected.mean.clone(),
            var: expected.var.iter().map(|var| var * factor).collect(),
            count: None,
            precision: StoredPrecision::Double,
        };
        assert!(of(100.0 / 99.0).has_sample_variances(&expected, 100, 1e-6));
        assert!(!of(100.0 / 99.0).has_sample_variances(&expected, 50, 1e-6));
        assert!(!of(1.0).has_sample_variances(&expected, 100, 1e-6));
        assert!(!of(2.0).has_sample_variances(&expected, 1, 1e-6));
    }

    #[test]
    fn a_mean_is_off_by_deviations_whatever_its_size() {
        let apart = |stored: f64, mean: f64, precision| {
            distance(MeanVar { mean: stored, var: 0.25 }, MeanVar { mean, var: 0.25 }, precision)
        };
        for mean in [0.0, 1.0, -1e4, 1e8] {
            assert!((apart(mean + 0.05, mean, StoredPrecision::Double) - 0.1).abs() < 1e-6, "{mean}");
        }
        // What 32 bits make of a mean is no difference; ten times that is.
        let (rounded, unit) = (f64::from(10_000.1_f32), f64::from(f32::EPSILON) * 10_000.1);
        let mean = 10_000.1;
        assert_eq!(apart(rounded, mean, StoredPrecision::Single), 0.0);
        assert!(apart(rounded, mean, StoredPrecision::Double) > 1e-5);
        assert!((apart(mean + 10.0 * unit, mean, StoredPrecision::Single) - 12.0 * unit).abs() < 1e-9);
    }

    #[test]
    fn grids_narrow_down() {
        let grid = momentum_grid();
        assert!(grid[0] == 0.0 && grid.windows(2).all(|pair| pair[0] < pair[1]));
        let finer = finer_grid(&grid, 10);
        assert!((finer[0] - grid[9]).abs() < 1e-12 && (finer[16] - grid[11]).abs() < 1e-12);
    }
}
