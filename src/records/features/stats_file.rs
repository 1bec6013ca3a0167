//! Statistics as LeRobot's `meta/stats.json` has them.

use serde_json::{Map, Number, Value};

use super::set::SetFeature;
use crate::normalization::Truth;

/// The text of a `stats.json`: these features by what their rows imply, and `others`, whose rows are pictures, as they are recorded.
pub fn stats_text(features: &[(SetFeature, Truth)], others: &Map<String, Value>) -> String {
    let mut all: Map<String, Value> = others.clone();
    for (feature, truth) in features {
        all.insert(feature.name.clone(), statistics(feature, truth));
    }
    // Four spaces, as its own writer indents.
    let mut bytes = Vec::new();
    let indented = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut out = serde_json::Serializer::with_formatter(&mut bytes, indented);
    if serde::Serialize::serialize(&all, &mut out).is_err() {
        unreachable!("values in memory are always written")
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.push('\n');
    text
}

fn statistics(feature: &SetFeature, truth: &Truth) -> Value {
    let moments = &truth.moments;
    let deviations: Vec<f64> = moments.vars().into_iter().map(f64::sqrt).collect();
    let number = |x: f64| Number::from_f64(x).map_or(Value::Null, Value::Number);
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers that a column of integers held")]
    let as_recorded = |x: f64| {
        if feature.is_truth() {
            Value::Bool(x != 0.0)
        } else if feature.is_whole() {
            Value::from(x as i64)
        } else {
            number(x)
        }
    };
    let shaped = |values: Vec<Value>| nested(values, feature);
    let mut all = Map::new();
    let extremes = |values: &[f64]| shaped(values.iter().map(|x| as_recorded(*x)).collect());
    let numbers = |values: &[f64]| shaped(values.iter().map(|x| number(*x)).collect());
    all.insert("min".to_owned(), extremes(moments.min()));
    all.insert("max".to_owned(), extremes(moments.max()));
    all.insert("mean".to_owned(), numbers(moments.mean()));
    all.insert("std".to_owned(), numbers(&deviations));
    all.insert("count".to_owned(), Value::from(vec![truth.n_rows]));
    for (percent, ranges) in &truth.quantiles {
        let values: Vec<f64> = ranges.iter().map(|range| range.value).collect();
        all.insert(format!("q{percent:02}"), numbers(&values));
    }
    Value::Object(all)
}

/// Values of a row in lists of the last axis, where there are two axes.
fn nested(values: Vec<Value>, feature: &SetFeature) -> Value {
    let n = values.len();
    if feature.last_axis == 0
        || n == feature.last_axis
        || feature.last_axis * (n / feature.last_axis) != n
        || feature.last_axis == 1
    {
        return Value::Array(values);
    }
    Value::Array(values.chunks(feature.last_axis).map(|row| Value::Array(row.to_vec())).collect())
}
