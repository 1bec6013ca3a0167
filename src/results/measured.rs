//! Any result as checks see it: its settings and its metrics.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::metric::Metric;
use super::normalization::{NormalizationDocument, REPLAY_SCHEMA, STATS_SCHEMA};
use super::settings::{Settings, by_name};
use super::shapley::{SHAPLEY_SCHEMA, ShapleyDocument};

/// A result as checks see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Schema of the document.
    pub schema: String,
    /// Everything the numbers depend on besides the input and the seed.
    pub settings: Settings,
    /// Seed, where the analysis has one.
    pub seed: Option<u64>,
    /// Metrics in order of id.
    pub metrics: Vec<Metric>,
}

impl Measured {
    /// Reads a result document, or several in an array.
    ///
    /// # Errors
    /// A document that is none of `analyze shapley`, `normalize stats` or `normalize replay`, in words.
    pub fn read(document: &Value) -> Result<Self, String> {
        let documents: Vec<&Value> = match document {
            Value::Array(documents) => documents.iter().collect(),
            document => vec![document],
        };
        let schema_of = |document: &Value| {
            let schema = document.get("schema").and_then(Value::as_str).map(str::to_owned);
            schema.ok_or_else(|| "no \"schema\": not a result of simic".to_owned())
        };
        let schema = schema_of(documents.first().ok_or("an empty array")?)?;
        for document in &documents {
            if schema_of(document)? != schema {
                return Err("documents of several schemas".to_owned());
            }
        }
        let damaged = |error: serde_json::Error| format!("a damaged {schema} document: {error}");
        match schema.as_str() {
            SHAPLEY_SCHEMA => {
                let read = |document: &&Value| ShapleyDocument::deserialize(*document);
                let documents: Vec<ShapleyDocument> =
                    documents.iter().map(read).collect::<Result<_, _>>().map_err(damaged)?;
                Self::of_shapley(&documents)
            }
            STATS_SCHEMA | REPLAY_SCHEMA => {
                let [document] = documents[..] else {
                    return Err("several normalizers in an array".to_owned());
                };
                let document = NormalizationDocument::deserialize(document).map_err(damaged)?;
                Self::of_normalization(&document)
            }
            other => Err(format!(
                "schema {other}: a check takes simic.shapley/1, simic.normalize.stats/1 and simic.normalize.replay/1"
            )),
        }
    }

    /// Shapley values of one or several value columns of one analysis.
    ///
    /// # Errors
    /// No document, a metric twice, or one that is not finite.
    pub fn of_shapley(documents: &[ShapleyDocument]) -> Result<Self, String> {
        let first = documents.first().ok_or("an empty array")?;
        let mut settings = shapley_settings(first);
        for document in &documents[1..] {
            // Several value columns of one analysis: what differs between them is put side by side.
            settings = side_by_side(settings, shapley_settings(document));
        }
        let is_complete = documents.iter().all(|document| document.settings.is_some());
        let has_several_values = documents.iter().any(|document| document.value != first.value);
        let prefix = |document: &ShapleyDocument| {
            let value = if has_several_values { format!("{}/", document.value) } else { String::new() };
            let group = document.group_name().map(|group| format!("{group}/")).unwrap_or_default();
            value + &group
        };
        let metrics = documents.iter().flat_map(|document| document.metrics(&prefix(document))).collect();
        Self {
            schema: SHAPLEY_SCHEMA.to_owned(),
            settings: if is_complete { Settings::Complete(settings) } else { Settings::Partial(settings) },
            seed: Some(first.seed),
            metrics,
        }
        .sound()
    }

    /// Running statistics.
    ///
    /// # Errors
    /// A metric twice, or one that is not finite.
    pub fn of_normalization(document: &NormalizationDocument) -> Result<Self, String> {
        Self {
            schema: document.schema.clone(),
            settings: document.compared_settings(),
            seed: None,
            metrics: document.metrics(),
        }
        .sound()
    }

    /// Metrics in order of id, each there once, all finite.
    pub(super) fn sound(mut self) -> Result<Self, String> {
        self.metrics.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(pair) = self.metrics.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(format!("{} is there twice", pair[0].id));
        }
        for metric in &mut self.metrics {
            // JSON has no infinities: what cannot be stored is not made up for.
            if !metric.value.is_finite() || metric.samples.values().any(|x| !x.is_finite()) {
                return Err(format!("{} is not finite", metric.id));
            }
            metric.stderr = metric.stderr.filter(|x| x.is_finite());
            metric.ci = metric.ci.filter(|(low, high)| low.is_finite() && high.is_finite());
        }
        Ok(self)
    }
}

/// The settings of one document, and the method used, which a lost coalition can change without any flag.
fn shapley_settings(document: &ShapleyDocument) -> BTreeMap<String, Value> {
    let told = |value: &dyn Fn() -> serde_json::Result<Value>| value().unwrap_or_default();
    let mut settings = if let Some(settings) = &document.settings {
        let mut settings = by_name(settings);
        // Compared beside the settings.
        settings.remove("seed");
        settings
    } else {
        BTreeMap::from([
            ("better".to_owned(), told(&|| serde_json::to_value(document.direction))),
            ("method".to_owned(), told(&|| serde_json::to_value(document.requested_method))),
            ("confidence".to_owned(), Value::from(document.confidence)),
            ("ci".to_owned(), told(&|| serde_json::to_value(document.ci))),
            ("cluster".to_owned(), told(&|| serde_json::to_value(document.cluster))),
        ])
    };
    settings.insert("value".to_owned(), Value::from(document.value.clone()));
    settings.insert("method_used".to_owned(), Value::from(method_used(document)));
    settings
}

/// The method of all games, or how many came by which.
fn method_used(document: &ShapleyDocument) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for game in &document.games {
        *counts.entry(game.method.name()).or_default() += 1;
    }
    match counts.len() {
        0 | 1 => document.method.name().to_owned(),
        _ => counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", "),
    }
}

fn side_by_side(mut all: BTreeMap<String, Value>, one: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    for (key, theirs) in one {
        let mine = all.entry(key).or_insert(Value::Null);
        if *mine != theirs {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            *mine = Value::String(format!("{},{}", text(mine), text(&theirs)));
        }
    }
    all
}
