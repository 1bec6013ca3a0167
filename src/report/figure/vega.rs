//! A figure as a Vega-Lite specification with its data, for notebooks.

use serde_json::{Value, json};

use super::model::{Axis, Figure, Layer, Panel};

const SCHEMA: &str = "https://vega.github.io/schema/vega-lite/v5.json";

/// The specification: panels one below the other.
pub(super) fn specification(figure: &Figure) -> Value {
    let panels: Vec<Value> = figure.panels.iter().map(panel).collect();
    json!({
        "$schema": SCHEMA,
        "title": {"text": figure.title, "subtitle": figure.caption},
        "description": figure.description,
        "vconcat": panels,
    })
}

fn name(axis: &Axis, place: usize) -> Value {
    match axis {
        Axis::Names(names) => names.get(place).map_or(Value::Null, |name| json!(name)),
        Axis::Number { .. } => json!(place),
    }
}

fn names(axis: &Axis) -> Value {
    match axis {
        Axis::Names(names) => json!(names),
        Axis::Number { .. } => Value::Null,
    }
}

fn title(axis: &Axis) -> Value {
    match axis {
        Axis::Number { label, .. } => json!(label),
        Axis::Names(_) => Value::Null,
    }
}

fn panel(panel: &Panel) -> Value {
    let rows = json!({"field": "name", "type": "nominal", "sort": names(&panel.y), "title": null});
    let number = |field: &str| json!({"field": field, "type": "quantitative", "title": title(&panel.x)});
    let layers: Vec<Value> = (panel.layers.iter())
        .flat_map(|layer| match layer {
            Layer::Intervals(marks) => {
                let data: Vec<Value> = (marks.iter().filter(|mark| mark.value.is_finite()))
                    .map(|mark| {
                        json!({
                            "name": name(&panel.y, mark.row), "value": mark.value, "tone": mark.tone.class(),
                            "low": mark.interval.map(|(low, _)| low), "high": mark.interval.map(|(_, high)| high),
                        })
                    })
                    .collect();
                vec![
                    json!({"data": {"values": data}, "mark": "rule",
                        "encoding": {"y": rows, "x": number("low"), "x2": {"field": "high"}}}),
                    json!({"data": {"values": data}, "mark": {"type": "point", "filled": true, "tooltip": true},
                        "encoding": {"y": rows, "x": number("value"), "color": tone()}}),
                ]
            }
            Layer::Bars(marks) => {
                let data: Vec<Value> = (marks.iter().filter(|mark| mark.is_finite()))
                    .map(|mark| {
                        json!({"name": name(&panel.y, mark.row), "start": mark.start, "end": mark.end,
                            "tone": mark.tone.class()})
                    })
                    .collect();
                vec![json!({"data": {"values": data}, "mark": {"type": "bar", "tooltip": true},
                    "encoding": {"y": rows, "x": number("start"), "x2": {"field": "end"}, "color": tone()}})]
            }
            Layer::Dots(marks) => {
                let data: Vec<Value> = (marks.iter().filter(|mark| mark.value.is_finite()))
                    .map(|mark| json!({"name": name(&panel.y, mark.row), "value": mark.value, "of": mark.title}))
                    .collect();
                vec![json!({"data": {"values": data}, "mark": {"type": "tick", "tooltip": true},
                    "encoding": {"y": rows, "x": number("value")}})]
            }
            Layer::Cells(marks) => {
                let data: Vec<Value> = (marks.iter().filter(|mark| mark.value.is_finite()))
                    .map(|mark| {
                        json!({"name": name(&panel.y, mark.row), "with": name(&panel.x, mark.column),
                            "value": mark.value})
                    })
                    .collect();
                let columns = json!({"field": "with", "type": "nominal", "sort": names(&panel.x), "title": null});
                let color = json!({"field": "value", "type": "quantitative",
                    "scale": {"scheme": "blueorange", "domainMid": 0, "reverse": true}});
                vec![json!({"data": {"values": data}, "mark": {"type": "rect", "tooltip": true},
                    "encoding": {"y": rows, "x": columns, "color": color}})]
            }
            Layer::Lines(marks) => marks
                .iter()
                .map(|mark| {
                    let data: Vec<Value> = (mark.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()))
                        .map(|(x, y)| json!({"x": x, "y": y, "series": mark.label}))
                        .collect();
                    json!({"data": {"values": data}, "mark": "line", "encoding": {
                        "x": number("x"),
                        "y": {"field": "y", "type": "quantitative", "title": title(&panel.y)},
                        "color": {"field": "series", "type": "nominal", "title": null}}})
                })
                .collect(),
            Layer::Bands(marks) => marks
                .iter()
                .map(|mark| {
                    let is_whole =
                        |(x, low, high): &&(f64, f64, f64)| x.is_finite() && low.is_finite() && high.is_finite();
                    let data: Vec<Value> = (mark.points.iter().filter(is_whole))
                        .map(|(x, low, high)| json!({"x": x, "low": low, "high": high}))
                        .collect();
                    json!({"data": {"values": data}, "mark": {"type": "area", "opacity": 0.2}, "encoding": {
                        "x": number("x"),
                        "y": {"field": "low", "type": "quantitative", "title": title(&panel.y)},
                        "y2": {"field": "high"}}})
                })
                .collect(),
            Layer::Rule(at, label) if at.is_finite() => vec![json!({
                "data": {"values": [{"at": at, "label": label}]}, "mark": {"type": "rule", "tooltip": true},
                "encoding": {"x": number("at")}})],
            Layer::Rule(..) => Vec::new(),
        })
        .collect();
    json!({"width": 520, "layer": layers})
}

/// Colours by tone, those of the drawing on a light ground.
fn tone() -> Value {
    let palette = &super::style::LIGHT;
    json!({"field": "tone", "type": "nominal", "legend": null, "scale": {
        "domain": ["plain", "strong", "good", "bad", "faint"],
        "range": [palette.plain, palette.strong, palette.good, palette.bad, palette.faint]}})
}
