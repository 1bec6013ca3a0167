//! Tests and their adjustment for multiplicity.

use super::{Estimate, student_t_two_sided_p};

/// A two-sided one-sample t test of mean = 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TTest {
    /// mean/stderr; infinite when the units are constant and not 0.
    pub t: f64,
    /// Two-sided p value.
    pub p_value: f64,
}

/// Tests whether the mean behind `estimate` is 0; `None` below two units.
///
/// # Edge cases
/// Constant units: p = 0 if they differ from 0, else p = 1 with t = 0.
pub fn one_sample_t_test(estimate: &Estimate) -> Option<TTest> {
    let standard_error = estimate.standard_error?;
    if standard_error > 0.0 {
        let t = estimate.value / standard_error;
        return Some(TTest { t, p_value: student_t_two_sided_p(t, (estimate.n - 1) as f64) });
    }
    Some(if estimate.value == 0.0 {
        TTest { t: 0.0, p_value: 1.0 }
    } else {
        TTest { t: f64::INFINITY.copysign(estimate.value), p_value: 0.0 }
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
    use crate::stats::{ConfidenceLevel, IntervalMethod};

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

    #[test]
    fn constant_units_are_decided_without_a_statistic() {
        let level = ConfidenceLevel::new(0.95).expect("a level");
        let of = |sample: &[f64]| {
            Estimate::of_mean(sample, level, IntervalMethod::StudentT)
                .as_ref()
                .and_then(one_sample_t_test)
                .expect("a test")
        };
        assert_eq!(of(&[0.0, 0.0]), TTest { t: 0.0, p_value: 1.0 });
        assert_eq!(of(&[-2.0, -2.0]), TTest { t: f64::NEG_INFINITY, p_value: 0.0 });
    }
}
