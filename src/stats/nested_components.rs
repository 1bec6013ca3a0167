//! Variance components of values nested in subgroups nested in groups.

use super::pairwise_sum;

/// Variances of the three levels of a nested design; `None` where nothing tells a level from the one above it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NestedComponents {
    /// Between the true means of groups.
    pub groups: Option<f64>,
    /// Between the true means of subgroups of a group.
    pub subgroups: Option<f64>,
    /// Between values of a subgroup, errors of measurement included.
    pub values: Option<f64>,
}

impl NestedComponents {
    /// Components of the nested random-effects model, unequal numbers allowed, by the method of moments.
    ///
    /// # Formula
    /// With n_ij values in subgroup j of group i, a groups, c subgroups, N values; SSE, SSB, SSA the sums of squares of values
    /// within subgroups, of subgroups within groups and of groups:
    /// SSE/(N-c) = values; SSB = (c-a) values + (N - sum_i sum_j n_ij^2/n_i) subgroups;
    /// SSA = (a-1) values + (sum_i sum_j n_ij^2/n_i - sum n_ij^2/N) subgroups + (N - sum n_i^2/N) groups, solved from the bottom, none
    /// below 0. A level that nothing separates is left out and taken with the one above: one value per subgroup leaves `values` at
    /// `error`, what is known of their errors.
    ///
    /// # Edge cases
    /// One value: nothing is told.
    ///
    /// # Source
    /// Searle, Casella and McCulloch, *Variance Components*, 1992, section 5.2 (Henderson's method I); Gates and Shiue, *Biometrics*
    /// 18(4), 1962.
    pub fn of(groups: &[Vec<Vec<f64>>], error: f64) -> Self {
        let subgroups = || groups.iter().flatten().filter(|values| !values.is_empty());
        let all: Vec<f64> = subgroups().flatten().copied().collect();
        let (n, c) = (all.len() as f64, subgroups().count() as f64);
        let filled: Vec<&Vec<Vec<f64>>> =
            groups.iter().filter(|group| group.iter().any(|values| !values.is_empty())).collect();
        let a = filled.len() as f64;
        if all.len() < 2 {
            return Self::default();
        }
        let grand = mean(&all);
        let (mut sse, mut ssb, mut ssa) = (0.0, 0.0, 0.0);
        let (mut squares, mut squares_in_group, mut squared_groups) = (0.0, 0.0, 0.0);
        for group in &filled {
            let of_group: Vec<f64> = group.iter().flatten().copied().collect();
            let (n_group, mean_group) = (of_group.len() as f64, mean(&of_group));
            ssa += n_group * (mean_group - grand).powi(2);
            squared_groups += n_group * n_group;
            for values in group.iter().filter(|values| !values.is_empty()) {
                let (n_own, own) = (values.len() as f64, mean(values));
                ssb += n_own * (own - mean_group).powi(2);
                sse += values.iter().map(|x| (x - own).powi(2)).sum::<f64>();
                squares += n_own * n_own;
                squares_in_group += n_own * n_own / n_group;
            }
        }
        let values = (n > c).then(|| sse / (n - c));
        let of_values = values.unwrap_or(error);
        let subgroups = (c > a).then(|| ((ssb - (c - a) * of_values) / (n - squares_in_group)).max(0.0));
        let of_subgroups = subgroups.unwrap_or(0.0);
        let rest = ssa - (a - 1.0) * of_values - (squares_in_group - squares / n) * of_subgroups;
        let groups = (a > 1.0).then(|| (rest / (n - squared_groups / n)).max(0.0));
        Self { groups, subgroups, values }
    }
}

fn mean(values: &[f64]) -> f64 {
    pairwise_sum(values) / values.len() as f64
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::stats::{StreamKey, random_stream};

    #[test]
    fn a_balanced_design_by_hand() {
        // Subgroup means 2, 4 | 7, 9; group means 3, 8; within squares 2, 2, 2, 2 of 2 values each.
        let groups = vec![vec![vec![1.0, 3.0], vec![3.0, 5.0]], vec![vec![6.0, 8.0], vec![8.0, 10.0]]];
        let found = NestedComponents::of(&groups, 0.0);
        // MSE = 8/4 = 2; MSB = 2 (1 + 1 + 1 + 1)/2 = 4, (4 - 2)/2 = 1; MSA = 4 (6.25 + 6.25)/1 = 50, (50 - 4)/4 = 11.5.
        assert_eq!(found, NestedComponents { groups: Some(11.5), subgroups: Some(1.0), values: Some(2.0) });
    }

    #[test]
    fn levels_that_nothing_separates_are_left_out() {
        let of = |groups: &[Vec<Vec<f64>>]| NestedComponents::of(groups, 0.25);
        let one_each = of(&[vec![vec![1.0], vec![3.0]], vec![vec![5.0], vec![6.0]]]);
        assert!(one_each.values.is_none() && one_each.subgroups.is_some() && one_each.groups.is_some());
        // MSB = 2.5/2 = 1.25 less the known error 0.25.
        assert_eq!(one_each.subgroups, Some(1.0));
        let runs = of(&[vec![vec![1.0, 2.0]], vec![vec![5.0, 7.0]]]);
        assert!(
            runs.subgroups.is_none() && runs.groups.is_some_and(|v| v > 5.0) && runs.values == Some(1.25)
        );
        assert_eq!(of(&[vec![vec![1.0]]]), NestedComponents::default());
        assert_eq!(of(&[]), NestedComponents::default());
    }

    /// Unequal numbers on every level: on average the components come out right.
    #[test]
    fn components_of_unbalanced_designs_are_right_on_average() {
        let mut random = random_stream(5, StreamKey::named("nested", 0, 0), 0);
        // Uniform on a unit interval has variance 1/12.
        let mut draw = |variance: f64| random.random_range(-0.5..0.5) * (12.0f64 * variance).sqrt();
        let n_trials = 4000;
        let mut sums = [0.0; 3];
        for _ in 0..n_trials {
            let groups: Vec<Vec<Vec<f64>>> = [[3, 1, 2], [1, 1, 0], [4, 2, 2], [2, 3, 1]]
                .iter()
                .map(|sizes| {
                    let group = draw(2.0);
                    sizes
                        .iter()
                        .map(|n| {
                            let sub = draw(1.0);
                            (0..*n).map(|_| group + sub + draw(0.5)).collect()
                        })
                        .collect()
                })
                .collect();
            let found = NestedComponents::of(&groups, 0.0);
            for (sum, part) in sums.iter_mut().zip([found.groups, found.subgroups, found.values]) {
                *sum += part.expect("a component") / f64::from(n_trials);
            }
        }
        // Cut at 0, hence a little above: within a tenth.
        for (found, truth) in sums.iter().zip([2.0, 1.0, 0.5]) {
            assert!((found / truth - 1.0).abs() < 0.1, "{sums:?}");
        }
    }
}
