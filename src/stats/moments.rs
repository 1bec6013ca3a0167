//! Mergeable sample moments.

/// Count, mean and sum of squares about the mean of a sample.
///
/// The empty value is the identity of [`SampleMoments::merge`] on both sides.
///
/// # Source
/// Welford, *Technometrics* 4(3), 1962 (one value); Chan, Golub and LeVeque, STAN-CS-79-773, 1979 (merge).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SampleMoments {
    n: u64,
    mean: f64,
    squares: f64,
}

impl SampleMoments {
    /// Moments of `values` by two passes: mean first, then squares about it.
    ///
    /// # Edge cases
    /// Empty input gives the empty moments. A constant sample has variance exactly 0.
    pub fn of(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let n = values.len() as f64;
        // Shifted by the first value: a constant sample keeps its mean to the bit.
        let shift = values[0];
        let deviations: Vec<f64> = values.iter().map(|value| value - shift).collect();
        let mean_deviation = super::pairwise_sum(&deviations) / n;
        let squares: Vec<f64> = deviations.iter().map(|d| (d - mean_deviation).powi(2)).collect();
        Self { n: values.len() as u64, mean: shift + mean_deviation, squares: super::pairwise_sum(&squares) }
    }

    /// Adds one value.
    pub fn push(&mut self, value: f64) {
        self.n += 1;
        let delta = value - self.mean;
        self.mean += delta / self.n as f64;
        self.squares += delta * (value - self.mean);
    }

    /// The moments of both samples together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.n == 0 {
            return other;
        }
        if other.n == 0 {
            return self;
        }
        let (a, b) = (self.n as f64, other.n as f64);
        let total = a + b;
        let delta = other.mean - self.mean;
        Self {
            n: self.n + other.n,
            mean: self.mean + delta * b / total,
            squares: self.squares + other.squares + delta * delta * a * b / total,
        }
    }

    /// Number of values.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Arithmetic mean; `None` for an empty sample.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then_some(self.mean)
    }

    /// Sum of squared deviations from the mean.
    pub fn sum_of_squares(&self) -> f64 {
        self.squares
    }

    /// Sample variance, divided by n - 1; `None` below two values.
    pub fn sample_variance(&self) -> Option<f64> {
        (self.n > 1).then(|| self.squares / (self.n - 1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::SampleMoments;

    const VALUES: [f64; 8] = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];

    #[test]
    fn variance_divides_by_n_minus_one() {
        // Mean 5, squares 32: 32/7 by n - 1, and 4 by n.
        let moments = SampleMoments::of(&VALUES);
        assert_eq!(moments.mean(), Some(5.0));
        assert_eq!(moments.sample_variance(), Some(32.0 / 7.0));
    }

    #[test]
    fn one_value_has_no_variance() {
        assert_eq!(SampleMoments::of(&[3.0]).sample_variance(), None);
        assert_eq!(SampleMoments::default().mean(), None);
    }

    #[test]
    fn push_and_merge_agree_with_two_passes() {
        for split in 0..=VALUES.len() {
            let (left, right) = VALUES.split_at(split);
            let mut pushed = SampleMoments::default();
            left.iter().for_each(|value| pushed.push(*value));
            let merged = pushed.merge(SampleMoments::of(right));
            assert_eq!(merged.n(), 8);
            assert!((merged.mean().unwrap_or(f64::NAN) - 5.0).abs() < 1e-15);
            assert!((merged.sum_of_squares() - 32.0).abs() < 1e-13);
        }
    }

    #[test]
    fn a_large_offset_loses_nothing() {
        let shifted: Vec<f64> = VALUES.iter().map(|value| value + 1e9).collect();
        assert_eq!(SampleMoments::of(&shifted).sample_variance(), Some(32.0 / 7.0));
    }
}
