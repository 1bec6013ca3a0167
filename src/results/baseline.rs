//! A stored result that later ones are compared with: the document `simic.baseline/2`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::measured::Measured;
use super::metric::Metric;
use super::settings::Settings;
use crate::attribution::Cluster;

/// Schema this version writes: settings are complete.
pub const BASELINE_SCHEMA: &str = "simic.baseline/2";

/// The schema before it, whose settings are those that documents of its time told; still read.
pub const FIRST_BASELINE_SCHEMA: &str = "simic.baseline/1";

/// A stored result. Fields in order of name, as the document is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Schema of the analysis's own document.
    pub analysis: String,
    /// Files by name, with a fingerprint each; empty where the result came as a document.
    pub inputs: BTreeMap<String, String>,
    /// Metrics in order of id.
    pub metrics: Vec<Metric>,
    /// Hash of the metrics (FNV-1a of their JSON).
    pub metrics_hash: String,
    /// Name of the check.
    pub name: String,
    /// `simic.baseline/2`, or 1 for a result whose settings are not known completely.
    pub schema: String,
    /// Seed, where the analysis has one.
    pub seed: Option<u64>,
    /// Settings of the analysis.
    pub settings: BTreeMap<String, Value>,
    /// Hash of the settings and the seed (FNV-1a of their JSON).
    pub settings_hash: String,
    /// Version of the program that made it.
    pub simic: String,
}

impl Baseline {
    /// A baseline of a result.
    pub fn new(name: &str, result: Measured, inputs: BTreeMap<String, String>) -> Self {
        let (schema, settings) = match result.settings {
            Settings::Complete(settings) => (BASELINE_SCHEMA, settings),
            Settings::Partial(settings) => (FIRST_BASELINE_SCHEMA, settings),
        };
        let settings: BTreeMap<String, Value> =
            settings.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
        Self {
            analysis: result.schema,
            inputs,
            metrics_hash: metrics_hash(&result.metrics),
            metrics: result.metrics,
            name: name.to_owned(),
            schema: schema.to_owned(),
            seed: result.seed,
            settings_hash: settings_hash(&settings, result.seed),
            settings,
            simic: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The independent unit of its numbers, where it is about games.
    pub fn cluster(&self) -> Option<Cluster> {
        self.settings.get("cluster").and_then(|value| Cluster::deserialize(value).ok())
    }

    /// What is wrong with the document, if anything: hashes that do not fit, or nothing in it.
    pub fn damage(&self) -> Option<&'static str> {
        if settings_hash(&self.settings, self.seed) != self.settings_hash {
            Some("settings_hash does not fit the settings")
        } else if metrics_hash(&self.metrics) != self.metrics_hash {
            Some("metrics_hash does not fit the metrics")
        } else if self.metrics.is_empty() {
            Some("it has no metrics")
        } else {
            None
        }
    }

    /// The document: pretty-printed, sorted by key, ending in a line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// The result this baseline holds.
    pub fn measured(&self) -> Measured {
        let settings = if self.schema == FIRST_BASELINE_SCHEMA {
            Settings::Partial(self.settings.clone())
        } else {
            Settings::Complete(self.settings.clone())
        };
        Measured { schema: self.analysis.clone(), settings, seed: self.seed, metrics: self.metrics.clone() }
    }
}

/// A JSON value without the order in which its keys were inserted.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let ordered: BTreeMap<&String, Value> =
                object.iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), value)).collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn settings_hash(settings: &BTreeMap<String, Value>, seed: Option<u64>) -> String {
    let sorted: BTreeMap<&String, Value> = settings.iter().map(|(key, value)| (key, sorted(value))).collect();
    let text = serde_json::to_string(&(sorted, seed)).unwrap_or_default();
    fnv1a_hex(text.bytes())
}

fn metrics_hash(metrics: &[Metric]) -> String {
    fnv1a_hex(serde_json::to_vec(metrics).unwrap_or_default())
}

/// Fowler, Noll and Vo's hash (FNV-1a, 64 bits) as sixteen hexadecimal digits: tells accidents apart, no more is asked.
pub fn fnv1a_hex(bytes: impl IntoIterator<Item = u8>) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step))
}
