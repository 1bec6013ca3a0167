//! How long the values of a series hang together.

/// Autocorrelations are summed up to so many autocorrelation times (Sokal).
const SUMMED_TIMES: f64 = 5.0;

/// Standard errors by which the first autocorrelation is taken higher than it was found: a series taken for less
/// dependent than it is makes false alarms, one taken for more dependent costs a little power.
const CAUTION: f64 = 1.0;

/// Autocorrelations that independence is judged by.
const JUDGED_LAGS: usize = 10;

/// What chi^2 of [`JUDGED_LAGS`] degrees of freedom exceeds once in twenty.
const INDEPENDENCE_LIMIT: f64 = 18.307;

/// How a series depends on its own past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dependence {
    /// Autocorrelation time in values of the series, 1 + 2 sum of autocorrelations: the variance of a mean of n values
    /// is `time/n` times that of one value. At least 1.
    pub(super) time: f64,
    /// Whether the values look independent.
    pub(super) is_independent: bool,
}

impl Dependence {
    /// Of a series about 0.
    ///
    /// # Formula
    /// The larger of two estimates: `(1 + r)/(1 - r)`, that of a first-order autoregression, with r the first
    /// autocorrelation plus its bias `(2 + 3r)/n` and one standard error `sqrt((1 - r^2)/n)`; and the autocorrelations
    /// summed up to five times their sum. Independence is not rejected where `n (n + 2) sum r_k^2/(n - k)` over ten lags
    /// is below the 95 % point of chi^2.
    ///
    /// # Edge cases
    /// A series of zeros: time 1, independent.
    ///
    /// # Source
    /// Marriott and Pope, *Biometrika* 41, 1954 (bias); Sokal, *Monte Carlo Methods in Statistical Mechanics*, 1997
    /// (window); Ljung and Box, *Biometrika* 65, 1978.
    pub(super) fn of(series: &[f64]) -> Self {
        let n = series.len() as f64;
        let squares: f64 = series.iter().map(|x| x * x).sum();
        if squares == 0.0 || series.len() < 2 {
            return Self { time: 1.0, is_independent: true };
        }
        let at = |lag: usize| {
            let pairs = series[lag..].iter().zip(series);
            pairs.map(|(late, early)| late * early).sum::<f64>() / squares
        };
        let first = at(1);
        let unbiased = (first + (2.0 + 3.0 * first) / n).min(MOST);
        let cautious = (unbiased + CAUTION * ((1.0 - unbiased * unbiased) / n).max(0.0).sqrt()).min(MOST);
        let by_first = (1.0 + cautious) / (1.0 - cautious);
        let mut summed = 1.0;
        for lag in 1..=series.len() / 2 {
            summed += 2.0 * at(lag);
            if lag as f64 >= SUMMED_TIMES * f64::max(summed, 1.0) {
                break;
            }
        }
        let judged = 1..=JUDGED_LAGS.min(series.len() / 4);
        let portmanteau: f64 = judged.map(|lag| at(lag).powi(2) / (n - lag as f64)).sum();
        Self {
            time: by_first.max(summed).max(1.0),
            is_independent: portmanteau * n * (n + 2.0) <= INDEPENDENCE_LIMIT,
        }
    }
}

/// A first autocorrelation beyond which nothing more is told apart.
const MOST: f64 = 0.999;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{StreamKey, random_stream};
    use rand::RngExt;

    fn autoregression(n: usize, coefficient: f64) -> Vec<f64> {
        let mut rng = random_stream(3, StreamKey::named("dependence", 0, 0), 0);
        let mut noise = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let mut x = 0.0;
        (0..n)
            .map(|_| {
                x = coefficient * x + noise();
                x
            })
            .collect()
    }

    #[test]
    fn the_time_of_an_autoregression_is_the_formula() {
        // (1 + 0.8)/(1 - 0.8) = 9, found a little long on purpose.
        let found = Dependence::of(&autoregression(100_000, 0.8));
        assert!((8.8..10.0).contains(&found.time) && !found.is_independent, "{found:?}");
        let found = Dependence::of(&autoregression(100_000, 0.0));
        assert!(found.time < 1.05 && found.is_independent, "{found:?}");
    }

    #[test]
    fn alternating_and_constant_values_have_the_least_time() {
        let alternating: Vec<f64> = (0..100).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        assert_eq!(Dependence::of(&alternating), Dependence { time: 1.0, is_independent: false });
        assert_eq!(Dependence::of(&[0.0; 50]), Dependence { time: 1.0, is_independent: true });
    }
}
