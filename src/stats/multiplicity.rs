//! Adjustment of the p values of one family for multiplicity.

use super::holm_adjust;

/// How p values of one family are adjusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Adjustment {
    /// Holm: the chance of any false finding, under any dependence.
    #[default]
    Holm,
    /// Benjamini and Hochberg: the share of false findings, for tests that are independent or positively dependent.
    BenjaminiHochberg,
    /// Benjamini and Yekutieli: the same under any dependence.
    BenjaminiYekutieli,
}

/// Adjusts the p values of one family.
///
/// # Formula
/// With p sorted ascending and m tests: Holm see [`holm_adjust`]; Benjamini-Hochberg
/// adjusted_(k) = min over j >= k of min(1, m p_(j)/j); Benjamini-Yekutieli the same times the sum of 1/j, j = 1 to m.
///
/// # Edge cases
/// Missing p values (`None`) are not part of the family and stay missing.
///
/// # Source
/// Benjamini and Hochberg, *J. R. Statist. Soc. B* 57(1), 1995; Benjamini and Yekutieli, *Annals of Statistics* 29(4), 2001.
pub fn adjust(p_values: &[Option<f64>], adjustment: Adjustment) -> Vec<Option<f64>> {
    let n_tests = p_values.iter().flatten().count();
    match adjustment {
        Adjustment::Holm => holm_adjust(p_values),
        Adjustment::BenjaminiHochberg => step_up(p_values, 1.0),
        Adjustment::BenjaminiYekutieli => step_up(p_values, (1..=n_tests).map(|j| 1.0 / j as f64).sum()),
    }
}

fn step_up(p_values: &[Option<f64>], factor: f64) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> =
        p_values.iter().enumerate().filter_map(|(index, p)| p.map(|p| (index, p))).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let n_tests = order.len() as f64;
    let mut adjusted = vec![None; p_values.len()];
    let mut running = 1.0f64;
    for (rank, (index, p)) in order.into_iter().enumerate().rev() {
        running = running.min(factor * n_tests * p / (rank + 1) as f64);
        adjusted[index] = Some(running);
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[Option<f64>], expected: &[Option<f64>]) {
        for (found, expected) in found.iter().zip(expected) {
            match (found, expected) {
                (Some(found), Some(expected)) => {
                    assert!((found - expected).abs() < 1e-15, "{found} {expected}");
                }
                (found, expected) => assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn step_up_by_hand() {
        // Sorted 0.01, 0.03, 0.04, 0.5 of m = 4: 0.04, 0.06 -> min with 4/3 0.04, 0.0533.., 0.5.
        let p = [Some(0.04), Some(0.01), None, Some(0.5), Some(0.03)];
        let third = 4.0 * 0.04 / 3.0;
        let expected = [Some(third), Some(0.04), None, Some(0.5), Some(third)];
        close(&adjust(&p, Adjustment::BenjaminiHochberg), &expected);
        // The sum of 1, 1/2, 1/3, 1/4 is 25/12.
        let yekutieli = expected.map(|p| p.map(|p| (p * 25.0 / 12.0f64).min(1.0)));
        close(&adjust(&p, Adjustment::BenjaminiYekutieli), &yekutieli);
        close(&adjust(&p, Adjustment::Holm), &holm_adjust(&p));
    }

    /// Of 20 tests, 10 of true effects: the share of false findings stays below 5 % on average; without adjustment it does not.
    #[test]
    fn the_share_of_false_findings_is_kept() {
        use crate::stats::{StreamKey, random_stream, student_t_two_sided_p};
        use rand::RngExt;
        let mut random = random_stream(3, StreamKey::named("false findings", 0, 0), 0);
        // Sums of twelve uniform numbers are normal enough for two-sided p values of 5 %.
        let mut normal = || (0..12).map(|_| random.random_range(-0.5..0.5)).sum::<f64>();
        let n_families = 2000;
        let mut shares = [0.0f64; 3];
        for _ in 0..n_families {
            let p: Vec<Option<f64>> = (0..20)
                .map(|test| Some(student_t_two_sided_p(normal() + if test < 10 { 3.0 } else { 0.0 }, 1e6)))
                .collect();
            let share = |adjusted: &[Option<f64>]| {
                let found = |tests: std::ops::Range<usize>| {
                    adjusted[tests].iter().flatten().filter(|p| **p < 0.05).count() as f64
                };
                let all = found(0..20);
                if all > 0.0 { found(10..20) / all } else { 0.0 }
            };
            let by =
                [&adjust(&p, Adjustment::BenjaminiHochberg), &adjust(&p, Adjustment::BenjaminiYekutieli), &p];
            for (sum, adjusted) in shares.iter_mut().zip(by) {
                *sum += share(adjusted) / f64::from(n_families);
            }
        }
        // Half of the hypotheses are true: 0.05 times 1/2 under independence, at most.
        assert!((0.015..0.03).contains(&shares[0]), "{shares:?}");
        assert!(shares[1] < shares[0] && shares[2] > 0.04, "{shares:?}");
    }
}
