//! What an interaction amounts to: more than the sum of its parts, less, nothing, or not known.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::ConfidenceInterval;

/// What an interaction amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Together the players do better than apart.
    Synergy,
    /// Together they do worse.
    Interference,
    /// No more than the smallest effect that matters, either way.
    Independent,
    /// The interval does not tell.
    Undecided,
}

impl Regime {
    /// The word in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Synergy => "synergy",
            Self::Interference => "interference",
            Self::Independent => "independent",
            Self::Undecided => "undecided",
        }
    }
}

/// Which way of a value is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orientation {
    /// More is better, or nobody said.
    Higher,
    /// Less is better: what takes away is synergy.
    Lower,
}

/// How regimes are decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegimeRule {
    /// The smallest effect that matters, in units of the value; 0 by default.
    pub threshold: f64,
    /// Which way is good.
    pub orientation: Orientation,
}

impl RegimeRule {
    /// Decides by an interval: beyond the threshold on one side, within it on both, or neither.
    pub fn of_interval(self, interval: Option<ConfidenceInterval>) -> Regime {
        let Some(ConfidenceInterval { low, high }) = interval else { return Regime::Undecided };
        if low > self.threshold {
            self.beyond(1.0)
        } else if high < -self.threshold {
            self.beyond(-1.0)
        } else if low >= -self.threshold && high <= self.threshold {
            Regime::Independent
        } else {
            Regime::Undecided
        }
    }

    /// Decides by a number without any error but rounding: the recorded table as it stands.
    pub fn of_value(self, value: f64, rounding: f64) -> Regime {
        if value.abs() <= self.threshold.max(rounding) { Regime::Independent } else { self.beyond(value) }
    }

    fn beyond(self, direction: f64) -> Regime {
        if (direction > 0.0) == (self.orientation == Orientation::Higher) {
            Regime::Synergy
        } else {
            Regime::Interference
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Orientation::{Higher, Lower};
    use super::*;

    #[test]
    fn regimes_follow_the_interval_the_threshold_and_what_is_good() {
        let of = |low: f64, high: f64, threshold: f64, orientation| {
            RegimeRule { threshold, orientation }.of_interval(Some(ConfidenceInterval { low, high }))
        };
        assert_eq!(of(0.1, 0.3, 0.0, Higher), Regime::Synergy);
        assert_eq!(of(0.1, 0.3, 0.0, Lower), Regime::Interference);
        assert_eq!(of(-0.3, -0.1, 0.0, Higher), Regime::Interference);
        assert_eq!(of(0.1, 0.3, 0.2, Higher), Regime::Undecided);
        assert_eq!(of(-0.1, 0.15, 0.2, Higher), Regime::Independent);
        assert_eq!(of(-0.1, 0.1, 0.0, Higher), Regime::Undecided);
        let rule = RegimeRule { threshold: 0.0, orientation: Higher };
        assert_eq!(rule.of_interval(None), Regime::Undecided);
        assert_eq!(rule.of_value(1e-17, 1e-15), Regime::Independent);
        assert_eq!(rule.of_value(-0.2, 1e-15), Regime::Interference);
    }
}
