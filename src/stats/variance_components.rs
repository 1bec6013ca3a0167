//! How much of a variance lies between groups.

use super::SampleMoments;

/// The variance between groups and the one within them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VarianceComponents {
    /// Variance of the groups' true means; never negative.
    pub between: f64,
    /// Variance of values within a group.
    pub within: f64,
}

impl VarianceComponents {
    /// Components of the one-way random-effects model, by the method of moments.
    ///
    /// # Formula
    /// With R groups of n_r values, N in all: MSB = sum n_r (m_r - m)^2/(R - 1),
    /// MSW = sum of squares within/(N - R), n0 = (N - sum n_r^2/N)/(R - 1);
    /// within = MSW, between = max(0, (MSB - MSW)/n0).
    ///
    /// # Edge cases
    /// Fewer than two groups, or no group of two values: `None`, as nothing tells the two apart.
    ///
    /// # Source
    /// Searle, Casella and McCulloch, *Variance Components*, 1992, section 3.6.
    pub fn one_way(groups: &[Vec<f64>]) -> Option<Self> {
        let filled = || groups.iter().filter(|group| !group.is_empty());
        let n_groups = filled().count();
        let n: usize = filled().map(Vec::len).sum();
        if n_groups < 2 || n == n_groups {
            return None;
        }
        let (total, groups_less_one) = (n as f64, (n_groups - 1) as f64);
        let grand = SampleMoments::of(&groups.concat()).mean()?;
        let mut squares_within = 0.0;
        let mut squares_between = 0.0;
        let mut squared_sizes = 0.0;
        for group in filled() {
            let moments = SampleMoments::of(group);
            let size = group.len() as f64;
            squares_within += moments.sum_of_squares();
            squares_between += size * (moments.mean()? - grand).powi(2);
            squared_sizes += size * size;
        }
        let within = squares_within / (n - n_groups) as f64;
        let size = (total - squared_sizes / total) / groups_less_one;
        let between = ((squares_between / groups_less_one - within) / size).max(0.0);
        Some(Self { between, within })
    }

    /// Share of the variance that lies between groups, the intraclass correlation; `None` without variance.
    ///
    /// # Formula
    /// between/(between + within).
    ///
    /// # Source
    /// Donner, *International Statistical Review* 54(1):67-82, 1986.
    pub fn share_between(self) -> Option<f64> {
        let total = self.between + self.within;
        (total > 0.0 && total.is_finite()).then(|| self.between / total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_by_hand() {
        // Means 2, 6, 4 of 3, 2 and 1 values; N = 6, m = 22/6, n0 = (6 - 14/6)/2 = 11/6.
        let groups = [vec![1.0, 2.0, 3.0], vec![5.0, 7.0], vec![4.0]];
        let found = VarianceComponents::one_way(&groups).expect("components");
        let grand = 22.0 / 6.0f64;
        let between_squares =
            3.0 * (2.0 - grand).powi(2) + 2.0 * (6.0 - grand).powi(2) + (4.0 - grand).powi(2);
        let within = 4.0 / 3.0;
        assert!((found.within - within).abs() < 1e-15);
        assert!((found.between - (between_squares / 2.0 - within) / (11.0 / 6.0)).abs() < 1e-14);
        let share = found.share_between().expect("a share");
        assert!((share - found.between / (found.between + within)).abs() < 1e-15);
    }

    #[test]
    fn equal_groups_share_nothing_and_constant_values_have_no_share() {
        let equal = VarianceComponents::one_way(&[vec![1.0, 3.0], vec![2.0, 2.0]]).expect("components");
        assert_eq!((equal.between, equal.share_between()), (0.0, Some(0.0)));
        let constant = VarianceComponents::one_way(&[vec![1.0, 1.0], vec![1.0]]).expect("components");
        assert_eq!(constant.share_between(), None);
        assert_eq!(VarianceComponents::one_way(&[vec![1.0, 2.0]]), None);
        assert_eq!(VarianceComponents::one_way(&[vec![1.0], vec![2.0], vec![]]), None);
    }
}
