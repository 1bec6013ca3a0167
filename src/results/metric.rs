//! Numbers of documents as checks compare them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::SampleMoments;

/// Which way a number is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Higher is better: a helping slot has a positive value.
    Higher,
    /// Lower is better: a helping slot has a negative value.
    Lower,
}

impl Direction {
    /// Guesses from a column's name; `None` if it says nothing.
    pub fn of_column(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["loss", "error", "perplexity", "mse", "mae", "rmse", "nll", "regret", "cost"]) {
            Some(Self::Lower)
        } else if has(&["acc", "reward", "return", "score", "auc", "f1", "precision", "recall", "r2"]) {
            Some(Self::Higher)
        } else {
            None
        }
    }
}

/// A metric as a baseline stores it. Fields in order of name: the document is sorted by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// Interval of the value, low and high.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<(f64, f64)>,
    /// Which way is good; `None` if neither or unknown.
    pub direction: Option<Direction>,
    /// Path of the metric, `shapley/r0c0/mean`.
    pub id: String,
    /// Independent units behind the value.
    pub n: u64,
    /// The units' own values, by name: a test can be chosen later, and pairs are found by name.
    pub samples: BTreeMap<String, f64>,
    /// Standard error of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<f64>,
    /// What the value counts.
    pub unit: String,
    /// The value.
    pub value: f64,
}

impl Metric {
    /// The mean of units' values with its standard error (sample variance, n - 1); `None` without a unit.
    pub fn mean(
        id: String,
        unit: &str,
        direction: Option<Direction>,
        samples: BTreeMap<String, f64>,
    ) -> Option<Self> {
        let values: Vec<f64> = samples.values().copied().collect();
        let moments = SampleMoments::of(&values);
        let stderr = moments.sample_variance().map(|variance| (variance / moments.n() as f64).sqrt());
        Some(Self {
            ci: None,
            direction,
            id,
            n: moments.n(),
            stderr,
            unit: unit.to_owned(),
            value: moments.mean()?,
            samples,
        })
    }

    /// The units' values, in order of name.
    pub fn sample(&self) -> Vec<f64> {
        self.samples.values().copied().collect()
    }
}
