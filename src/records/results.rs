//! What a result document (`--format json`) holds, as settings and metrics.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::baseline::{Direction, Metric};
use crate::stats::{SampleMoments, pairwise_sum};

/// Settings of an analysis by name, and its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisResult {
    /// The document's schema.
    pub schema: String,
    /// Everything the numbers depend on besides the input.
    pub settings: BTreeMap<String, Value>,
    /// Seed, where the analysis has one.
    pub seed: Option<u64>,
    /// Metrics in order of id.
    pub metrics: Vec<Metric>,
}

/// Reads a result document, or several in an array.
///
/// # Errors
/// A document that is none of `analyze shapley`, `normalize stats` or `normalize replay`, in words.
pub fn analysis_result(document: &Value) -> Result<AnalysisResult, String> {
    let documents: Vec<&Value> = match document {
        Value::Array(documents) => documents.iter().collect(),
        document => vec![document],
    };
    let mut all: Option<AnalysisResult> = None;
    for document in &documents {
        let result = one(document, documents.len() > 1)?;
        match &mut all {
            None => all = Some(result),
            Some(all) => {
                if all.schema != result.schema {
                    return Err("documents of several schemas".to_owned());
                }
                // Several value columns of one analysis: what differs between them is put side by side.
                for (key, theirs) in result.settings {
                    let mine = all.settings.entry(key).or_insert(Value::Null);
                    if *mine != theirs {
                        let text =
                            |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                        *mine = Value::String(format!("{},{}", text(mine), text(&theirs)));
                    }
                }
                all.metrics.extend(result.metrics);
            }
        }
    }
    let mut result = all.ok_or("an empty array")?;
    result.metrics.sort_by(|a, b| a.id.cmp(&b.id));
    if let Some(pair) = result.metrics.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(format!("{} is there twice", pair[0].id));
    }
    for metric in &mut result.metrics {
        // JSON has no infinities: what cannot be stored is not made up for.
        if !metric.value.is_finite() || metric.samples.values().any(|x| !x.is_finite()) {
            return Err(format!("{} is not finite", metric.id));
        }
        metric.stderr = metric.stderr.filter(|x| x.is_finite());
        metric.ci = metric.ci.filter(|(low, high)| low.is_finite() && high.is_finite());
    }
    Ok(result)
}

fn one(document: &Value, with_value: bool) -> Result<AnalysisResult, String> {
    let schema =
        document.get("schema").and_then(Value::as_str).ok_or("no \"schema\": not a result of simic")?;
    match schema {
        "simic.shapley/1" => Ok(shapley(document, schema, with_value)),
        "simic.normalize.stats/1" | "simic.normalize.replay/1" => Ok(normalizer(document, schema)),
        other => Err(format!(
            "schema {other}: a check takes simic.shapley/1, simic.normalize.stats/1 and simic.normalize.replay/1"
        )),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> Option<f64> {
    value.get(key).and_then(Value::as_f64)
}

fn rows<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn settings(document: &Value, keys: &[&str]) -> BTreeMap<String, Value> {
    keys.iter().filter_map(|key| Some(((*key).to_owned(), document.get(*key)?.clone()))).collect()
}

/// Name of a game's independent unit.
fn unit_of(game: &Value, cluster: &str) -> String {
    let run = text(game, "run_id");
    let part = |key: &str| game.get(key).map_or_else(String::new, ToString::to_string);
    match cluster {
        "run" => run.to_owned(),
        "game" => {
            let batch = game.get("batch").map_or_else(String::new, |batch| format!("/{batch}"));
            format!("{run}/{}/{}{batch}", part("episode"), part("env_id"))
        }
        _ => format!("{run}/{}", part("episode")),
    }
}

/// Means of each unit's values.
fn unit_means(values: impl Iterator<Item = (String, f64)>) -> BTreeMap<String, f64> {
    let mut units: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (unit, value) in values {
        units.entry(unit).or_default().push(value);
    }
    units.into_iter().map(|(unit, values)| (unit, pairwise_sum(&values) / values.len() as f64)).collect()
}

/// A metric that is a mean over units.
fn mean_metric(
    id: String,
    unit: &str,
    direction: Option<Direction>,
    samples: BTreeMap<String, f64>,
) -> Option<Metric> {
    let values: Vec<f64> = samples.values().copied().collect();
    let moments = SampleMoments::of(&values);
    let stderr = moments.sample_variance().map(|variance| (variance / moments.n() as f64).sqrt());
    Some(Metric {
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

fn shapley(document: &Value, schema: &str, with_value: bool) -> AnalysisResult {
    let value = text(document, "value");
    let prefix = if with_value { format!("{value}/") } else { String::new() };
    let cluster = text(document, "cluster");
    let direction = match text(document, "direction") {
        "higher" => Some(Direction::Higher),
        "lower" => Some(Direction::Lower),
        _ => None,
    };
    let games = rows(document, "games");
    let mut metrics = Vec::new();
    for summary in rows(document, "summary") {
        let slot = text(summary, "slot_id");
        let of_game = |game: &Value| {
            let player = rows(game, "players").iter().find(|player| text(player, "slot_id") == slot);
            player.and_then(|player| number(player, "shapley"))
        };
        let samples = games.iter().filter_map(|game| Some((unit_of(game, cluster), of_game(game)?)));
        let metric =
            mean_metric(format!("{prefix}shapley/{slot}/mean"), value, direction, unit_means(samples));
        metrics.extend(metric.map(|metric| Metric {
            value: number(summary, "mean").unwrap_or(metric.value),
            stderr: number(summary, "stderr").or(metric.stderr),
            ci: number(summary, "ci_low").zip(number(summary, "ci_high")),
            ..metric
        }));
    }
    for (key, name) in [("full", "full"), ("baseline", "empty")] {
        let samples = games.iter().filter_map(|game| Some((unit_of(game, cluster), number(game, key)?)));
        metrics.extend(mean_metric(
            format!("{prefix}value/{name}/mean"),
            value,
            direction,
            unit_means(samples),
        ));
    }
    AnalysisResult {
        schema: schema.to_owned(),
        settings: settings(
            document,
            &["value", "direction", "requested_method", "confidence", "ci", "cluster"],
        ),
        seed: document.get("seed").and_then(Value::as_u64),
        metrics,
    }
}

fn normalizer(document: &Value, schema: &str) -> AnalysisResult {
    let target = text(document, "target");
    let runs = rows(document, "runs");
    let name = |run: &Value| {
        let env = run.get("env_id").filter(|env| !env.is_null());
        env.map_or_else(|| text(run, "run_id").to_owned(), |env| format!("{}/{env}", text(run, "run_id")))
    };
    let gather = |of_run: &dyn Fn(&Value) -> Option<f64>| -> BTreeMap<String, f64> {
        runs.iter().filter_map(|run| Some((name(run), of_run(run)?))).collect()
    };
    let mut metrics = Vec::new();
    let width = runs.iter().map(|run| rows(run, "mean").len()).max().unwrap_or(0);
    for key in ["mean", "var"] {
        for d in 0..width {
            let samples = gather(&|run| rows(run, key).get(d).and_then(Value::as_f64));
            metrics.extend(mean_metric(format!("normalizer/{target}/{key}/{d}"), target, None, samples));
        }
    }
    for (key, id) in [("count", format!("normalizer/{target}/count")), ("updates", "updates".to_owned())] {
        metrics.extend(mean_metric(id, "rows", None, gather(&|run| number(run, key))));
    }
    let clipped = gather(&|run| number(run, "clip_fraction"));
    metrics.extend(mean_metric("clip_fraction".to_owned(), "share", Some(Direction::Lower), clipped));
    let mut kept = settings(document, &["kind", "momentum", "target", "device"]);
    if let Some(Value::Object(inner)) = document.get("settings") {
        kept.extend(inner.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    AnalysisResult { schema: schema.to_owned(), settings: kept, seed: None, metrics }
}

/// Settings that differ, as (name, before, now).
pub fn differing_settings(
    before: &BTreeMap<String, Value>,
    now: &BTreeMap<String, Value>,
) -> Vec<(String, String, String)> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let shown = |settings: &BTreeMap<String, Value>, name: &String| {
        settings.get(name).map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    names
        .into_iter()
        .filter(|name| before.get(*name) != now.get(*name))
        .map(|name| (name.clone(), shown(before, name), shown(now, name)))
        .collect()
}

/// A JSON value without the order in which its keys were inserted.
pub(super) fn sorted(value: &Value) -> Value {
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
