//! Figures of rows over time: their mean and deviation, dimension by dimension.

use super::model::{Axis, BandMark, Figure, Layer, LineMark, Panel, Tone};
use crate::results::text::{grouped, short};
use crate::results::{ComparisonDocument, NormalizationDocument, RunRow, WindowsRow};

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

/// The same of the first run of a comparison: its rows are the same under every setting.
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
    Some(trace.figure())
}

impl Trace<'_> {
    fn figure(&self) -> Figure {
        let order = by_change(self.windows);
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

/// Dimensions by how far the means of windows lie apart, in deviations within them.
fn by_change(windows: &WindowsRow) -> Vec<usize> {
    let change = |dimension: usize| {
        let means = windows.mean[dimension].iter().flatten();
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = means.fold(ends, |(low, high), mean| (low.min(*mean), high.max(*mean)));
        let sds: Vec<f64> = windows.sd[dimension].iter().flatten().copied().collect();
        let change = (high - low) * sds.len() as f64 / sds.iter().sum::<f64>();
        if change.is_finite() { change } else { 0.0 }
    };
    let mut order: Vec<(usize, f64)> = (0..windows.mean.len()).map(|d| (d, change(d))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    order.into_iter().map(|(dimension, _)| dimension).collect()
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
