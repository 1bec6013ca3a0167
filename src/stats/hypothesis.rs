//! Tests and their adjustment for multiplicity.

use super::distribution::normal_cdf;
use super::estimate::{Estimate, FEWEST_BOOTSTRAP_UNITS, IntervalMethod};
use super::{BcaBootstrap, student_t_two_sided_p};

/// A two-sided one-sample test of mean = 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanTest {
    /// mean/stderr; infinite when the units are constant and not 0.
    pub t: f64,
    /// Two-sided p value.
    pub p_value: f64,
}

/// Tests whether the mean of `sample`, estimated by `estimate`, is 0; `None` below two units.
///
/// The p value is of the distribution the interval is made by, so that it falls below 1 - level exactly where the
/// interval leaves 0 out: Student's t with n - 1 degrees of freedom, the normal, or the bootstrap.
///
/// # Edge cases
/// Constant units: p = 0 if they differ from 0, else p = 1 with t = 0. A bootstrap of fewer than four units: `None`.
pub fn one_sample_test(sample: &[f64], estimate: &Estimate, method: IntervalMethod) -> Option<MeanTest> {
    let standard_error = estimate.standard_error?;
    if standard_error > 0.0 {
        let t = estimate.value / standard_error;
        let p_value = match method {
            IntervalMethod::StudentT => student_t_two_sided_p(t, (estimate.n - 1) as f64),
            IntervalMethod::Normal => 2.0 * normal_cdf(-t.abs()),
            IntervalMethod::Bootstrap(_) if estimate.n < FEWEST_BOOTSTRAP_UNITS => return None,
            IntervalMethod::Bootstrap(settings) => BcaBootstrap::of_mean(sample, settings).p_value()?,
        };
        return Some(MeanTest { t, p_value });
    }
    Some(if estimate.value == 0.0 {
        MeanTest { t: 0.0, p_value: 1.0 }
    } else {
        MeanTest { t: f64::INFINITY.copysign(estimate.value), p_value: 0.0 }
    })
}

/// Holm's step-down adjustment of the p values of one family.
///
/// # Formula
/// With p sorted ascending and m tests: adjusted_(k) = max over j <= k of min(1, (m - j + 1) p_(j)).
///
/// # Edge cases
/// Missing p values (`None`) are not part of the family and stay missing.
///
/// # Source
/// Holm, *Scandinavian Journal of Statistics* 6(2):65-70, 1979.
pub fn holm_adjust(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> =
        p_values.iter().enumerate().filter_map(|(index, p)| p.map(|p| (index, p))).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let tests = order.len();
    let mut adjusted = vec![None; p_values.len()];
    let mut running = 0.0f64;
    for (rank, (index, p)) in order.into_iter().enumerate() {
        running = running.max(((tests - rank) as f64 * p).min(1.0));
        adjusted[index] = Some(running);
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::ConfidenceLevel;

    #[test]
    fn holm_by_hand() {
        // Sorted 0.01, 0.03, 0.04 of m = 3: 0.03, 0.06, max(0.06, 0.04) = 0.06.
        let adjusted = holm_adjust(&[Some(0.04), Some(0.01), None, Some(0.03)]);
        let expected = [Some(0.06), Some(0.03), None, Some(0.06)];
        for (a, e) in adjusted.iter().zip(expected) {
            match (a, e) {
                (Some(a), Some(e)) => assert!((a - e).abs() < 1e-15),
                (a, e) => assert_eq!(*a, e),
            }
        }
    }

    #[test]
    fn holm_never_exceeds_one_and_never_falls_below_the_raw_value() {
        let adjusted = holm_adjust(&[Some(0.5), Some(0.9), Some(0.2)]);
        assert_eq!(adjusted, [Some(1.0), Some(1.0), Some(0.6000000000000001)]);
    }

    fn test(sample: &[f64], method: IntervalMethod) -> MeanTest {
        let level = ConfidenceLevel::new(0.95).expect("a level");
        let estimate = Estimate::of_mean(sample, level, method).expect("a mean");
        one_sample_test(sample, &estimate, method).expect("a test")
    }

    #[test]
    fn constant_units_are_decided_without_a_statistic() {
        let of = |sample: &[f64]| test(sample, IntervalMethod::StudentT);
        assert_eq!(of(&[0.0, 0.0]), MeanTest { t: 0.0, p_value: 1.0 });
        assert_eq!(of(&[-2.0, -2.0]), MeanTest { t: f64::NEG_INFINITY, p_value: 0.0 });
    }

    #[test]
    fn p_values_follow_the_interval() {
        // Mean 2, sd 1, stderr 1/sqrt(3), t = 2 sqrt(3); scipy: t.sf of 2 degrees and norm.sf, doubled.
        let sample = [1.0, 2.0, 3.0];
        let t = test(&sample, IntervalMethod::StudentT);
        let normal = test(&sample, IntervalMethod::Normal);
        assert!((t.p_value - 0.074_179_900_227_4).abs() < 1e-9, "{}", t.p_value);
        assert!((normal.p_value / 5.320_055_051_392_5e-4 - 1.0).abs() < 1e-6, "{}", normal.p_value);
        assert_eq!(t.t, normal.t);
    }
}
