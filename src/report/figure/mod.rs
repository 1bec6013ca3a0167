//! Figures: documents as pictures. A document becomes a [`Figure`] (data), that is drawn as SVG or written as a
//! Vega-Lite specification.

mod ablation;
mod attribution;
mod checks;
mod convergence;
mod interactions;
mod model;
#[cfg(feature = "pdf")]
mod pdf;
#[cfg(feature = "png")]
mod raster;
mod scale;
mod settings;
#[cfg(any(feature = "png", feature = "pdf"))]
mod shapes;
mod style;
mod svg;
mod text;
mod traces;
mod vega;

use std::io::{self, Write};

pub use model::{Figure, MarkRow};
pub use style::{FigureSize, Theme};

use crate::results::{
    AblationDocument, CheckDocument, ComparisonDocument, InteractionDocument, NormalizationDocument,
    ShapleyDocument,
};

/// What a figure shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureKind {
    /// Estimates with their intervals beside a line at zero.
    Intervals,
    /// Means as bars, single games as dots.
    Bars,
    /// From nobody to all, slot by slot.
    Waterfall,
    /// Which share of its coalitions each game has.
    Coverage,
    /// Sampled values by number of permutations.
    Convergence,
    /// Interactions of pairs as a matrix.
    Heatmap,
    /// Settings of a normalization side by side.
    Settings,
    /// Rows of steps over time.
    Traces,
    /// Verdicts of checks beside what is allowed.
    Verdicts,
}

impl FigureKind {
    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intervals => "intervals",
            Self::Bars => "bars",
            Self::Waterfall => "waterfall",
            Self::Coverage => "coverage",
            Self::Convergence => "convergence",
            Self::Heatmap => "heatmap",
            Self::Settings => "settings",
            Self::Traces => "traces",
            Self::Verdicts => "verdicts",
        }
    }
}

/// A figure that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchFigure {
    /// A kind that a document has no data for.
    #[error("there is no figure {} of this result; there is {known}", kind.name())]
    Kind {
        /// The kind asked for.
        kind: FigureKind,
        /// The kinds there are.
        known: &'static str,
    },
    /// Several documents, of which a figure shows one.
    #[error("there are {0} results, by value column and group, and a figure shows one")]
    Several(usize),
    /// A result that tells nothing over time.
    #[error(
        "there is nothing to draw over time: of these rows no order in time is known, or there are too many dimensions"
    )]
    NothingOverTime,
    /// A result that does not tell how values settle.
    #[error("there is nothing to draw of how values settle: the result does not tell it")]
    NothingSettles,
}

impl NoSuchFigure {
    /// What to do instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Kind { .. } => "leave --figure-kind out for the usual one",
            Self::Several(_) => {
                "choose a value with --value; without --by there is one group; simic report pictures all"
            }
            Self::NothingSettles => "add --convergence; only values from permutations settle",
            Self::NothingOverTime => "leave the picture out; normalize replay puts rows in order of time",
        }
    }
}

/// Figures of Shapley values; without a kind, intervals.
///
/// # Errors
/// A kind that Shapley values have no figure of.
pub fn shapley_figure(document: &ShapleyDocument, kind: Option<FigureKind>) -> Result<Figure, NoSuchFigure> {
    match kind.unwrap_or(FigureKind::Intervals) {
        FigureKind::Intervals => Ok(attribution::intervals(document)),
        FigureKind::Bars => Ok(attribution::bars(document)),
        FigureKind::Waterfall if document.has_same_players() => Ok(attribution::waterfall(document)),
        FigureKind::Coverage => Ok(attribution::coverage(document)),
        FigureKind::Convergence => convergence::convergence(document).ok_or(NoSuchFigure::NothingSettles),
        kind => Err(NoSuchFigure::Kind { kind, known: "intervals, bars, waterfall, coverage, convergence" }),
    }
}

/// Figures of interactions; without a kind, a matrix of pairs.
///
/// # Errors
/// A kind that interactions have no figure of.
pub fn interaction_figure(
    document: &InteractionDocument,
    kind: Option<FigureKind>,
) -> Result<Figure, NoSuchFigure> {
    match kind.unwrap_or(FigureKind::Heatmap) {
        FigureKind::Heatmap => Ok(interactions::heatmap(document)),
        FigureKind::Intervals => Ok(interactions::intervals(document)),
        kind => Err(NoSuchFigure::Kind { kind, known: "heatmap, intervals" }),
    }
}

/// The figure of ablations: all measures of every slot with their intervals.
pub fn ablation_figure(document: &AblationDocument) -> Figure {
    ablation::measures(document)
}

/// The figure of running statistics: rows over time.
///
/// # Errors
/// Nothing is known over time.
pub fn normalization_figure(document: &NormalizationDocument) -> Result<Figure, NoSuchFigure> {
    traces::traces(document).ok_or(NoSuchFigure::NothingOverTime)
}

/// Figures of settings side by side.
///
/// # Errors
/// A kind that comparisons have no figure of.
pub fn comparison_figure(
    document: &ComparisonDocument,
    kind: Option<FigureKind>,
) -> Result<Figure, NoSuchFigure> {
    match kind.unwrap_or(FigureKind::Settings) {
        FigureKind::Settings => Ok(settings::settings(document)),
        FigureKind::Traces => traces::of_comparison(document).ok_or(NoSuchFigure::NothingOverTime),
        kind => Err(NoSuchFigure::Kind { kind, known: "settings, traces" }),
    }
}

/// Figures of checks.
///
/// # Errors
/// A kind that checks have no figure of.
pub fn check_figure(document: &CheckDocument, kind: Option<FigureKind>) -> Result<Figure, NoSuchFigure> {
    match kind.unwrap_or(FigureKind::Verdicts) {
        FigureKind::Verdicts => Ok(checks::verdicts(document)),
        kind => Err(NoSuchFigure::Kind { kind, known: "verdicts" }),
    }
}

/// A figure as SVG, for a page.
pub(super) fn drawing(figure: &Figure, size: FigureSize, theme: Theme) -> String {
    svg::draw(figure, size, theme)
}

/// Writes a figure as SVG.
///
/// # Errors
/// If writing fails.
pub fn write_svg(figure: &Figure, size: FigureSize, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(svg::draw(figure, size, theme).as_bytes())
}

/// Writes a figure as PNG: twice as many pixels as its size says, or 300 to the inch where that is in millimetres.
///
/// # Errors
/// If writing fails; always, in a program built without the feature png.
pub fn write_png(figure: &Figure, size: FigureSize, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    #[cfg(feature = "png")]
    {
        let scale = if size.is_metric { 300.0 / 96.0 } else { 2.0 };
        out.write_all(&raster::png(&svg::draw(figure, size, theme), scale)?)
    }
    #[cfg(not(feature = "png"))]
    {
        let _ = (figure, size, theme, out);
        Err(io::Error::other("this program is built without the feature png"))
    }
}

/// Writes a figure as PDF, a page of its size.
///
/// # Errors
/// If writing fails; always, in a program built without the feature pdf.
pub fn write_pdf(figure: &Figure, size: FigureSize, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    #[cfg(feature = "pdf")]
    {
        out.write_all(&pdf::pdf(&svg::draw(figure, size, theme), &figure.title)?)
    }
    #[cfg(not(feature = "pdf"))]
    {
        let _ = (figure, size, theme, out);
        Err(io::Error::other("this program is built without the feature pdf"))
    }
}

/// Writes a figure as a Vega-Lite specification with its data.
///
/// # Errors
/// If writing fails.
pub fn write_vega_lite(figure: &Figure, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &vega::specification(figure))?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::model::{
        Axis, BandMark, BarMark, CellMark, DotMark, IntervalMark, Layer, LineMark, Panel, Tone,
    };
    use super::*;

    fn drawn(figure: &Figure) -> String {
        let mut bytes = Vec::new();
        write_svg(figure, FigureSize::default(), Theme::Light, &mut bytes).expect("written");
        let text = String::from_utf8(bytes).expect("text");
        check_xml(&text);
        text
    }

    /// Elements are closed in order, attributes quoted, and no coordinate is anything but a number.
    fn check_xml(text: &str) {
        let mut open: Vec<String> = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find('<') {
            assert!(!rest[..start].contains('>'), "a bare > in {}", &rest[..start]);
            let end = start + rest[start..].find('>').expect("an element ends");
            let element = &rest[start + 1..end];
            if let Some(name) = element.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "closed out of order");
            } else if !element.ends_with('/') {
                open.push(element.split(' ').next().unwrap_or_default().to_owned());
            }
            assert_eq!(element.matches('"').count() % 2, 0, "{element}");
            for word in ["NaN", "inf", "Infinity"] {
                let quoted = element.split('"').skip(1).step_by(2);
                assert!(
                    quoted.filter(|value| !value.contains(' ')).all(|value| !value.contains(word)),
                    "{element}"
                );
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(text.contains("viewBox=\"0 0 640 ") && text.contains("role=\"img\""));
    }

    fn figure(layers: Vec<Layer>, names: Vec<String>) -> Figure {
        Figure {
            name: "test".to_owned(),
            title: "A title".to_owned(),
            description: "What it shows".to_owned(),
            panels: vec![Panel {
                x: Axis::Number { label: "value".to_owned(), has_zero: true },
                y: Axis::Names(names),
                layers,
                height: 200.0,
            }],
            caption: vec!["A caption".to_owned()],
        }
    }

    fn interval(row: usize, value: f64) -> IntervalMark {
        IntervalMark {
            row,
            value,
            interval: Some((value - 0.1, value + 0.1)),
            tone: Tone::Strong,
            title: format!("row {row}"),
        }
    }

    #[test]
    fn a_drawing_says_what_it_shows() {
        let names = vec!["attn".to_owned(), "<b>&\"aug\"".to_owned()];
        let text = drawn(&figure(vec![Layer::Intervals(vec![interval(0, 0.1), interval(1, -0.05)])], names));
        assert!(text.contains("<title>row 0</title>") && text.contains(">attn</text>"), "{text}");
        assert!(text.contains("&lt;b&gt;&amp;&quot;aug&quot;") && !text.contains("<b>"), "{text}");
        assert!(text.contains("aria-labelledby=\"test-title test-desc\""));
        assert_eq!(
            text,
            drawn(&figure(
                vec![Layer::Intervals(vec![interval(0, 0.1), interval(1, -0.05)])],
                vec!["attn".to_owned(), "<b>&\"aug\"".to_owned()],
            ))
        );
    }

    #[test]
    fn hostile_numbers_and_names_are_drawn_or_counted() {
        let values = [0.0, f64::NAN, f64::INFINITY, 1e308, -1e308, 5e-324, 1.0, 1.0];
        let long = "s".repeat(200);
        let names: Vec<String> = [&long, "\u{202e}right", "السرعة", "大きさ", "", "a\nb", "\u{1b}[31m", "x"]
            .into_iter()
            .map(str::to_owned)
            .collect();
        let intervals = values.iter().enumerate().map(|(row, value)| interval(row, *value)).collect();
        let bars = values.iter().enumerate().map(|(row, value)| BarMark {
            row,
            start: 0.0,
            end: *value,
            tone: Tone::Good,
            title: names[row].clone(),
        });
        let dots = values.iter().enumerate().map(|(row, value)| DotMark {
            row,
            value: *value,
            offset: 0.4,
            title: names[row].clone(),
        });
        let layers =
            vec![Layer::Intervals(intervals), Layer::Bars(bars.collect()), Layer::Dots(dots.collect())];
        let text = drawn(&figure(layers, names.clone()));
        assert!(text.contains("6 marks are not drawn: not a finite number"), "{text}");
        assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'));
        // Nothing at all, one thing, and the same thing again.
        for layers in [vec![], vec![Layer::Intervals(vec![interval(0, 3.0)])], vec![Layer::Bars(Vec::new())]]
        {
            drawn(&figure(layers, vec!["x".to_owned()]));
        }
        drawn(&figure(Vec::new(), Vec::new()));
    }

    #[test]
    fn a_million_points_make_a_small_file() {
        let points: Vec<(f64, f64)> = (0..1_000_000)
            .map(|i| (f64::from(i), (f64::from(i) * 0.37).sin() * f64::from(i % 977)))
            .collect();
        let band = points.iter().map(|(x, y)| (*x, y - 1.0, y + 1.0)).collect();
        let mut wide = figure(Vec::new(), Vec::new());
        wide.panels[0].y = Axis::Number { label: "mean".to_owned(), has_zero: false };
        wide.panels[0].layers = vec![
            Layer::Bands(vec![BandMark { points: band, tone: Tone::Series(0) }]),
            Layer::Lines(vec![LineMark {
                points: points.clone(),
                tone: Tone::Series(0),
                label: Some("a".to_owned()),
            }]),
        ];
        let text = drawn(&wide);
        assert!(text.len() < 200_000, "{}", text.len());
        // The extremes are still there: the least and the greatest value reach the ends of their range.
        let greatest = points.iter().map(|(_, y)| *y).fold(f64::NEG_INFINITY, f64::max);
        let rows = wide.rows();
        assert!(rows.iter().any(|row| row.value == Some(greatest)));
    }

    #[test]
    fn values_stand_in_the_cells_of_a_small_matrix() {
        let names: Vec<String> = (0..3).map(|i| format!("slot{i}")).collect();
        let cells = vec![
            CellMark { row: 1, column: 0, value: 0.25, title: "slot1, slot0".to_owned() },
            CellMark { row: 2, column: 0, value: -0.5, title: "slot2, slot0".to_owned() },
        ];
        let mut matrix = figure(vec![Layer::Cells(cells)], names.clone());
        matrix.panels[0].x = Axis::Names(names);
        let text = drawn(&matrix);
        assert!(text.contains(">+0.250</text>") && text.contains(">\u{2212}0.500</text>"), "{text}");
    }

    #[test]
    fn the_specification_holds_the_same_data() {
        let names = vec!["attn".to_owned()];
        let mut bytes = Vec::new();
        write_vega_lite(&figure(vec![Layer::Intervals(vec![interval(0, 0.1)])], names), &mut bytes)
            .expect("written");
        let document: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        let values = &document["vconcat"][0]["layer"][1]["data"]["values"][0];
        assert_eq!((&values["name"], values["value"].as_f64()), (&"attn".into(), Some(0.1)));
    }
}
