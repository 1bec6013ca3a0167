//! Figures of settings of a normalization side by side.

use super::model::{Axis, BarMark, Figure, Layer, LineMark, Panel, Tone};
use crate::results::ComparisonDocument;
use crate::results::text::short;

/// Settings up to which each is a bar; more are a line.
const MOST_BARS: usize = 40;

/// The error of the statistics in use of every setting, run by run.
pub(super) fn settings(document: &ComparisonDocument) -> Figure {
    if document.runs.iter().any(|run| run.settings.len() > MOST_BARS) {
        return over_memory(document);
    }
    let several = document.runs.len() > 1;
    let (mut names, mut marks) = (Vec::new(), Vec::new());
    for run in &document.runs {
        for setting in &run.settings {
            let name = setting.name();
            let row = names.len();
            let is_best = run.recommended.as_ref().is_some_and(|best| best.setting == name);
            marks.push(BarMark {
                row,
                start: 0.0,
                end: setting.error.unwrap_or(f64::NAN),
                tone: if is_best { Tone::Good } else { Tone::Plain },
                title: format!(
                    "{name}: {}",
                    setting.error.map_or_else(|| "no error can be told".to_owned(), short)
                ),
            });
            names.push(if several { format!("{}: {name}", run.run_id) } else { name });
        }
    }
    Figure {
        name: "settings".to_owned(),
        title: format!("How far normalized {} are off under each setting", document.target),
        description: marks.iter().map(|mark| mark.title.clone()).collect::<Vec<_>>().join("; "),
        panels: vec![Panel {
            x: Axis::Number {
                label: "error of the statistics in use (standard deviations)".to_owned(),
                has_zero: true,
            },
            y: Axis::Names(names),
            layers: vec![Layer::Bars(marks)],
            height: 0.0,
        }],
        caption: vec!["Against the rows of the window around; the least is marked.".to_owned()],
    }
}

/// Runs drawn as lines of their own.
const MOST_LINES: usize = 6;

/// The error of the statistics in use by how much a moving average looks back, a line for each run.
fn over_memory(document: &ComparisonDocument) -> Figure {
    let mut layers = Vec::new();
    let mut caption = Vec::new();
    let several = document.runs.len() > 1;
    for (number, run) in (0..).zip(document.runs.iter().take(MOST_LINES)) {
        let mut points: Vec<(f64, f64)> = (run.settings.iter())
            .filter_map(|setting| Some((setting.effective_batches?.log10(), setting.error?)))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let label = several.then(|| run.run_id.clone());
        layers.push(Layer::Lines(vec![LineMark { points, tone: Tone::Series(number), label }]));
        let Some(best) = &run.recommended else { continue };
        let name = if several { format!("{}: ", run.run_id) } else { String::new() };
        caption.push(format!("{name}{} is off least, by {}.", best.setting, short(best.error)));
        let place = run.settings.iter().find(|setting| setting.name() == best.setting);
        let batches = place.and_then(|setting| setting.effective_batches).filter(|_| !several);
        layers.extend(batches.map(|batches| Layer::Rule(batches.log10(), Some(best.setting.clone()))));
    }
    if document.runs.len() > MOST_LINES {
        caption.push(format!("{MOST_LINES} of {} runs.", document.runs.len()));
    }
    caption.push("Full history, which looks at all batches, has no place here.".to_owned());
    Figure {
        name: "settings".to_owned(),
        title: format!("How far normalized {} are off by how much is looked at", document.target),
        description: caption.join(" "),
        panels: vec![Panel {
            x: Axis::Number { label: "batches looked at (power of ten)".to_owned(), has_zero: true },
            y: Axis::Number {
                label: "error of the statistics in use (standard deviations)".to_owned(),
                has_zero: true,
            },
            layers,
            height: 260.0,
        }],
        caption,
    }
}
