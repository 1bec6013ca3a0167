//! What stored units can tell, before there is anything to compare them with.

use super::rule::{Mode, Rules};
use crate::results::{Metric, ResolutionRow};
use crate::stats::Difference;

/// For every stored metric under a statistical rule: the least margin that as many units again, as variable as these,
/// could tell from no change, beside the margin asked for.
///
/// # Formula
/// That of [`Difference::detectable_margin`] for two independent samples with the stored values' deviation (Welch).
/// Units compared in pairs tell more, by how much their values go together: that is not known before they are there.
///
/// # Edge cases
/// One unit: nothing can be told (`None`).
pub fn resolutions(metrics: &[Metric], rules: &Rules, alpha: f64) -> Vec<ResolutionRow> {
    let row = |metric: &Metric| {
        let (margin, is_two_sided) = match rules.of(metric).0 {
            Mode::NonInferior(margin, _) => (margin, false),
            Mode::Equivalent(margin, _) => (margin, true),
            Mode::Exact | Mode::Close(_) | Mode::Intervals(_) | Mode::Drift(..) | Mode::Range(..) => {
                return None;
            }
        };
        let sample = metric.sample();
        let difference = Difference::welch(&sample, &sample);
        Some(ResolutionRow {
            id: metric.id.clone(),
            value: metric.value,
            n: metric.n,
            margin: margin.of(metric.value),
            detectable: difference.map(|difference| difference.detectable_margin(alpha, is_two_sided)),
        })
    };
    metrics.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::results::Direction;
    use crate::stats::student_t_quantile;

    #[test]
    fn what_can_be_told_is_that_of_two_samples_alike() {
        let samples: BTreeMap<String, f64> =
            [1.0, 2.0, 4.0].iter().enumerate().map(|(i, x)| (format!("r{i}"), *x)).collect();
        let metric =
            Metric::mean("m".to_owned(), "value", Some(Direction::Higher), samples).expect("a metric");
        let rows = resolutions(&[metric], &Rules::default(), 0.05);
        // Variance 7/3 of three values: two means differ by sqrt(2 · 7/9); Welch of equal samples has 4 degrees.
        let se = (2.0f64 * 7.0 / 9.0).sqrt();
        let expected = (student_t_quantile(0.95, 4.0) + student_t_quantile(0.8, 4.0)) * se;
        let found = rows[0].detectable.expect("three units");
        assert!((found - expected).abs() < 1e-12 && (rows[0].margin - 0.02 * 7.0 / 3.0).abs() < 1e-15);
    }
}
