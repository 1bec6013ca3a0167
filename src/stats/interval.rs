//! Confidence levels and two-sided intervals.

use serde::{Deserialize, Serialize};

use super::{normal_quantile, student_t_quantile};

/// A confidence level strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct ConfidenceLevel(f64);

impl TryFrom<f64> for ConfidenceLevel {
    type Error = String;

    fn try_from(level: f64) -> Result<Self, String> {
        Self::new(level)
    }
}

impl From<ConfidenceLevel> for f64 {
    fn from(level: ConfidenceLevel) -> Self {
        level.0
    }
}

impl ConfidenceLevel {
    /// Accepts a level in (0, 1), of which 1e-9 is left at least: quantiles beyond are none of the data's.
    ///
    /// # Errors
    /// Says the range if `level` is outside it or not a number.
    pub fn new(level: f64) -> Result<Self, String> {
        if level > 0.0 && level <= 1.0 - 1e-9 {
            Ok(Self(level))
        } else if level > 0.0 && level < 1.0 {
            Err(format!("a confidence level of {level} leaves nothing over: 0.999999999 is the most"))
        } else {
            Err(format!("a confidence level lies between 0 and 1, exclusive, not {level}"))
        }
    }

    /// The level, for instance 0.95.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The level of each of `n` intervals that together miss with at most 1 - level (Bonferroni).
    #[must_use]
    pub fn among(self, n: usize) -> Self {
        // The most there is a level for.
        Self((1.0 - (1.0 - self.0) / n.max(1) as f64).min(1.0 - 1e-9))
    }

    /// The quantile at which a two-sided interval of this level ends above: 1 - (1 - level)/2.
    fn upper_quantile(self) -> f64 {
        1.0 - (1.0 - self.0) / 2.0
    }
}

impl std::str::FromStr for ConfidenceLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text.parse().map_err(|_| format!("'{text}' is not a number"))?)
    }
}

/// A two-sided confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceInterval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl ConfidenceInterval {
    /// Student's t interval value ± t · stderr.
    pub fn student_t(value: f64, standard_error: f64, degrees: f64, level: ConfidenceLevel) -> Self {
        Self::around(value, standard_error * student_t_quantile(level.upper_quantile(), degrees))
    }

    /// Normal interval value ± z · stderr.
    pub fn normal(value: f64, standard_error: f64, level: ConfidenceLevel) -> Self {
        Self::around(value, standard_error * normal_quantile(level.upper_quantile()))
    }

    fn around(value: f64, half_width: f64) -> Self {
        Self { low: value - half_width, high: value + half_width }
    }

    /// Whether `value` lies inside, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_outside_the_open_unit_interval_are_refused() {
        for bad in [0.0, 1.0, -0.1, 95.0, f64::NAN] {
            assert!(ConfidenceLevel::new(bad).is_err());
        }
    }
}
