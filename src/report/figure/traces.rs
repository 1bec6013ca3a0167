//! Figures of rows over time: their mean and deviation, dimension by dimension.

use super::model::{Axis, BandMark, Figure, Layer, LineMark, Panel, Tone};
use crate::results::text::{grouped, short};
use crate::results::{
    ComparedRunRow, ComparedSettingRow, ComparisonDocument, NormalizationDocument, RunRow, WindowsRow,
};

/// Dimensions shown, those that change most.
const SHOWN: usize = 8;

/// One run over time.
struct Trace<'a> {
    target: &'a str,
    run_id: &'a str,
    n_runs: usize,
    windows: &'a WindowsRow,
    /// First update after a change, and the dimensions that change with it (all, where nobody says).
    change: Option<(u64, Vec<usize>)>,
    names: Vec<String>,
}

/// Mean and deviation of the rows of the longest run, window by window, and what was clipped; `None` where nothing is known
/// over time.
pub(super) fn traces(document: &NormalizationDocument) -> Option<Figure> {
    let known = document.runs.iter().filter_map(|run| Some((run, run.diagnostics.windows.as_ref()?)));
    let (run, windows) = known.max_by_key(|(run, _)| (run.rows, std::cmp::Reverse(&run.run_id)))?;
    let drift = run.diagnostics.drift.as_ref();
    let dimensions = |of: &crate::results::DriftRow| of.dimensions.iter().map(|row| row.dimension).collect();
    let trace = Trace {
        target: &document.target,
        run_id: &run.run_id,
        n_runs: document.runs.len(),
        windows,
        change: drift.map(|drift| (drift.update, dimensions(drift))),
        names: document.dimension_names(),
    };
    let mut figure = trace.figure();
    figure.panels.extend(clipped(run, windows));
    Some(figure)
}

/// The rows of the first run of a comparison, with the mean that each of a few settings had in use.
pub(super) fn of_comparison(document: &ComparisonDocument) -> Option<Figure> {
    let (run, windows) = document.runs.iter().find_map(|run| Some((run, run.windows.as_ref()?)))?;
    let all = (0..windows.mean.len()).collect();
    let trace = Trace {
        target: &document.target,
        run_id: &run.run_id,
        n_runs: document.runs.len(),
        windows,
        change: run.shift_update.map(|update| (update, all)),
        names: document.dimension_names(),
    };
    let mut figure = trace.figure();
    let chosen = telling_settings(run);
    for (panel, place) in figure.panels.iter_mut().zip(0..run.traced.len()) {
        for (number, setting) in (0..).zip(&chosen) {
            let Some(means) = setting.mean_in_use.get(place) else { continue };
            let at = windows.first_update.iter().map(|update| *update as f64);
            let points = at.zip(means).map(|(x, mean)| (x, mean.unwrap_or(f64::NAN))).collect();
            // Named once.
            let label = (place == 0).then(|| setting.name());
            panel.layers.push(Layer::Lines(vec![LineMark { points, tone: Tone::Series(number), label }]));
        }
    }
    if !chosen.is_empty() {
        figure.caption.push("Coloured: the mean that each setting had in use.".to_owned());
        figure.description = figure.caption.join(" ");
    }
    Some(figure)
}

/// Settings overlaid.
const OVERLAID: usize = 4;

/// All settings that are traced, or of many the recommended one, the fastest, the slowest and one between.
fn telling_settings(run: &ComparedRunRow) -> Vec<&ComparedSettingRow> {
    let traced: Vec<&ComparedSettingRow> =
        run.settings.iter().filter(|setting| !setting.mean_in_use.is_empty()).collect();
    if traced.len() <= OVERLAID {
        return traced;
    }
    let is_best = |setting: &&&ComparedSettingRow| {
        run.recommended.as_ref().is_some_and(|best| best.setting == setting.name())
    };
    let best = traced.iter().find(is_best).copied();
    let ends = [0, traced.len() / 2, traced.len() - 1].map(|place| traced[place]);
    let mut chosen: Vec<&ComparedSettingRow> = best.into_iter().collect();
    for setting in ends {
        if !chosen.iter().any(|known| known.name() == setting.name()) {
            chosen.push(setting);
        }
    }
    chosen
}

impl Trace<'_> {
    fn figure(&self) -> Figure {
        let order = self.windows.by_change();
        let panels: Vec<Panel> = order.iter().take(SHOWN).map(|dimension| self.panel(*dimension)).collect();
        let mut caption =
            vec!["Line: mean of the rows of a window; band: one standard deviation around it.".to_owned()];
        if let Some((update, _)) = &self.change {
            caption.push(format!("The distribution changes at update {}.", grouped(*update)));
        }
        if order.len() > SHOWN {
            caption.push(format!("{SHOWN} of {} dimensions, those that change most.", order.len()));
        }
        if self.n_runs > 1 {
            caption.push(format!("Run {} of {}.", self.run_id, grouped(self.n_runs as u64)));
        }
        Figure {
            name: "traces".to_owned(),
            title: format!("Recorded {} over time", self.target),
            description: caption.join(" "),
            panels,
            caption,
        }
    }

    fn panel(&self, dimension: usize) -> Panel {
        let (mean, sd) = (&self.windows.mean[dimension], &self.windows.sd[dimension]);
        let at = self.windows.first_update.iter().map(|update| *update as f64);
        let band = at.clone().zip(mean.iter().zip(sd)).filter_map(|(x, (mean, sd))| {
            let (mean, sd) = (*mean.as_ref()?, *sd.as_ref()?);
            Some((x, mean - sd, mean + sd))
        });
        let line = at.zip(mean).map(|(x, mean)| (x, mean.unwrap_or(f64::NAN)));
        let mut layers = vec![
            Layer::Bands(vec![BandMark { points: band.collect(), tone: Tone::Faint }]),
            Layer::Lines(vec![LineMark { points: line.collect(), tone: Tone::Strong, label: None }]),
        ];
        let change = self.change.as_ref().filter(|(_, dimensions)| dimensions.contains(&dimension));
        layers.extend(change.map(|(update, _)| Layer::Rule(*update as f64, Some("change".to_owned()))));
        let name = self.names.get(dimension).cloned();
        Panel {
            x: Axis::Number { label: "update".to_owned(), has_zero: false },
            y: Axis::Number {
                label: name.unwrap_or_else(|| format!("dimension {dimension}")),
                has_zero: false,
            },
            layers,
            height: 110.0,
        }
    }
}

/// The share of values clipped over time, where any were.
fn clipped(run: &RunRow, windows: &WindowsRow) -> Option<Panel> {
    let share = run.clip_fraction.filter(|share| *share > 0.0)?;
    let phases = &run.diagnostics.clip_phases;
    let end = windows.first_update.last().map_or(0, |update| *update);
    let mut points = Vec::new();
    for (place, phase) in phases.iter().enumerate() {
        let next = phases.get(place + 1).map_or(end.max(phase.first_update), |next| next.first_update);
        let percent = 100.0 * phase.fraction;
        points.extend([(phase.first_update as f64, percent), (next as f64, percent)]);
    }
    let label = format!("{} % of all values", short(100.0 * share));
    Some(Panel {
        x: Axis::Number { label: "update".to_owned(), has_zero: false },
        y: Axis::Number { label: "% clipped".to_owned(), has_zero: true },
        layers: vec![Layer::Lines(vec![LineMark { points, tone: Tone::Bad, label: Some(label) }])],
        height: 90.0,
    })
}
