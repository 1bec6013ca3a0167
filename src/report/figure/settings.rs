//! Figures of settings of a normalization side by side.

use super::model::{Axis, BarMark, Figure, Layer, Panel, Tone};
use crate::results::ComparisonDocument;
use crate::results::text::short;

/// The error of the statistics in use of every setting, run by run.
pub(super) fn settings(document: &ComparisonDocument) -> Figure {
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
