//! One number of an analysis with what it was made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which way a metric is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Higher is better.
    Higher,
    /// Lower is better.
    Lower,
}

/// A metric as a baseline stores it. Fields in order of name: the document is sorted by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Interval of the value.
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
    /// The units' values, in order of name.
    pub fn sample(&self) -> Vec<f64> {
        self.samples.values().copied().collect()
    }
}
