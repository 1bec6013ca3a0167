//! Estimates with their uncertainty.

use super::{BcaBootstrap, BootstrapSettings, ConfidenceInterval, ConfidenceLevel, SampleMoments};

/// How an interval is made from a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IntervalMethod {
    /// Student's t with n - 1 degrees of freedom.
    StudentT,
    /// The normal quantile, for users who know their n is large.
    Normal,
    /// Bias-corrected and accelerated bootstrap of the mean.
    Bootstrap(BootstrapSettings),
}

/// Fewest units a bootstrap is made of: resamples of three values are not a sample of anything.
pub const FEWEST_BOOTSTRAP_UNITS: u64 = 4;

/// The mean of a sample of independent units with its uncertainty.
///
/// `sd` divides by n - 1, `standard_error` = sd/sqrt(n). One unit has neither, and no interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Mean over the units.
    pub value: f64,
    /// Sample standard deviation of the units; `None` below two.
    pub sd: Option<f64>,
    /// Standard error of the mean; `None` below two units.
    pub standard_error: Option<f64>,
    /// Number of independent units.
    pub n: u64,
    /// Interval; `None` below two units.
    pub interval: Option<ConfidenceInterval>,
}

impl Estimate {
    /// Estimates the mean of `sample`; `None` if it is empty.
    ///
    /// # Edge cases
    /// One unit: value only. A constant sample: sd 0 and an interval of zero width.
    /// A bootstrap of such a sample falls back to the point itself; one of fewer than four units has no interval.
    pub fn of_mean(sample: &[f64], level: ConfidenceLevel, method: IntervalMethod) -> Option<Self> {
        let moments = SampleMoments::of(sample);
        let value = moments.mean()?;
        let n = moments.n();
        let Some(variance) = moments.sample_variance() else {
            return Some(Self { value, sd: None, standard_error: None, n, interval: None });
        };
        let sd = variance.sqrt();
        let standard_error = sd / (n as f64).sqrt();
        let interval = match method {
            IntervalMethod::StudentT => {
                Some(ConfidenceInterval::student_t(value, standard_error, (n - 1) as f64, level))
            }
            IntervalMethod::Normal => Some(ConfidenceInterval::normal(value, standard_error, level)),
            IntervalMethod::Bootstrap(settings) => {
                (n >= FEWEST_BOOTSTRAP_UNITS).then(|| BcaBootstrap::of_mean(sample, settings).interval(level))
            }
        };
        Some(Self { value, sd: Some(sd), standard_error: Some(standard_error), n, interval })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(level: f64) -> ConfidenceLevel {
        ConfidenceLevel::new(level).expect("a level")
    }

    #[test]
    fn hand_computed_interval() {
        // Mean 5, sd sqrt(32/7), stderr sqrt(4/7), t(0.975, 7) = 2.364624251592785 (scipy).
        let sample = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        let estimate = Estimate::of_mean(&sample, level(0.95), IntervalMethod::StudentT).expect("a mean");
        let half = 2.364_624_251_592_785 * (4.0f64 / 7.0).sqrt();
        let interval = estimate.interval.expect("an interval");
        assert!((interval.low - (5.0 - half)).abs() < 1e-12);
        assert!((interval.high - (5.0 + half)).abs() < 1e-12);
        assert!((estimate.sd.expect("an sd") - (32.0f64 / 7.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn one_unit_has_no_interval() {
        let estimate = Estimate::of_mean(&[1.5], level(0.95), IntervalMethod::StudentT).expect("a mean");
        assert_eq!((estimate.sd, estimate.standard_error, estimate.interval), (None, None, None));
        assert!(Estimate::of_mean(&[], level(0.95), IntervalMethod::Normal).is_none());
    }

    #[test]
    fn wider_level_wider_interval() {
        let sample = [0.1, 0.4, -0.2, 0.9, 0.3];
        let mut last = 0.0;
        for l in [0.5, 0.8, 0.9, 0.95, 0.99, 0.999] {
            let interval = Estimate::of_mean(&sample, level(l), IntervalMethod::StudentT)
                .and_then(|estimate| estimate.interval)
                .expect("an interval");
            assert!(interval.high - interval.low > last);
            last = interval.high - interval.low;
        }
    }
}
