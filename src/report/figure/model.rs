//! A figure as data: panels of marks on axes, before it is drawn. SVG, Vega-Lite and terminals draw the same.

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What its ids begin with.
    pub name: String,
    /// One line above it.
    pub title: String,
    /// What it shows, in a sentence, for those who cannot see it.
    pub description: String,
    /// Panels from top to bottom.
    pub panels: Vec<Panel>,
    /// Lines below it.
    pub caption: Vec<String>,
}

/// Marks on a pair of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What runs across.
    pub x: Axis,
    /// What runs down (names) or up (numbers).
    pub y: Axis,
    /// Marks, the first at the bottom.
    pub layers: Vec<Layer>,
    /// Height in pixels where y is a number.
    pub height: f64,
}

/// What runs along one side.
#[derive(Debug, Clone, PartialEq)]
pub enum Axis {
    /// Numbers.
    Number {
        /// What they are, with the unit.
        label: String,
        /// Whether zero is always on it.
        has_zero: bool,
    },
    /// Names, one row or column each.
    Names(Vec<String>),
}

/// How a mark stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// As the rest.
    Plain,
    /// Told from nothing: significant, chosen, in use.
    Strong,
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// Of no consequence: cannot be told from nothing, context.
    Faint,
    /// One of several lines, by number.
    Series(u8),
}

/// An estimate with its interval, in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalMark {
    /// Row.
    pub row: usize,
    /// The estimate.
    pub value: f64,
    /// Lower and upper end, where there is an interval.
    pub interval: Option<(f64, f64)>,
    /// How it stands out.
    pub tone: Tone,
    /// What it says when pointed at.
    pub title: String,
}

/// A bar in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct BarMark {
    /// Row.
    pub row: usize,
    /// Where it begins.
    pub start: f64,
    /// Where it ends.
    pub end: f64,
    /// How it stands out.
    pub tone: Tone,
    /// What it says when pointed at.
    pub title: String,
}

/// A dot in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct DotMark {
    /// Row.
    pub row: usize,
    /// Where.
    pub value: f64,
    /// Off the middle of the row, in shares of its height from -0.5 to 0.5.
    pub offset: f64,
    /// What it says when pointed at.
    pub title: String,
}

/// A cell of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct CellMark {
    /// Row.
    pub row: usize,
    /// Column.
    pub column: usize,
    /// Value, on a scale that diverges from zero.
    pub value: f64,
    /// What it says when pointed at.
    pub title: String,
}

/// A line over numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct LineMark {
    /// Points (x, y), x ascending.
    pub points: Vec<(f64, f64)>,
    /// How it stands out.
    pub tone: Tone,
    /// Its name in the legend; none for context.
    pub label: Option<String>,
}

/// A band around a line.
#[derive(Debug, Clone, PartialEq)]
pub struct BandMark {
    /// Points (x, low, high), x ascending.
    pub points: Vec<(f64, f64, f64)>,
    /// How it stands out.
    pub tone: Tone,
}

/// Marks of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// Estimates with intervals.
    Intervals(Vec<IntervalMark>),
    /// Bars.
    Bars(Vec<BarMark>),
    /// Dots.
    Dots(Vec<DotMark>),
    /// Cells of a matrix.
    Cells(Vec<CellMark>),
    /// Lines.
    Lines(Vec<LineMark>),
    /// Bands.
    Bands(Vec<BandMark>),
    /// A line across the panel at x, with what it marks.
    Rule(f64, Option<String>),
}

/// Rows of a figure as a table: one per mark, with what it is and where.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkRow {
    /// Name of the row or series.
    pub name: String,
    /// Where along x.
    pub x: Option<f64>,
    /// Value or y.
    pub value: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl Figure {
    /// Marks left out because a number of theirs is not finite.
    pub fn n_not_finite(&self) -> usize {
        let layer = |layer: &Layer| match layer {
            Layer::Intervals(marks) => marks.iter().filter(|mark| !mark.value.is_finite()).count(),
            Layer::Bars(marks) => marks.iter().filter(|mark| !mark.is_finite()).count(),
            Layer::Dots(marks) => marks.iter().filter(|mark| !mark.value.is_finite()).count(),
            Layer::Cells(marks) => marks.iter().filter(|mark| !mark.value.is_finite()).count(),
            Layer::Lines(marks) => {
                marks.iter().flat_map(|mark| &mark.points).filter(|p| !is_point(p)).count()
            }
            Layer::Bands(_) => 0,
            Layer::Rule(at, _) => usize::from(!at.is_finite()),
        };
        self.panels.iter().flat_map(|panel| &panel.layers).map(layer).sum()
    }

    /// Every mark as a row, in the order drawn.
    pub fn rows(&self) -> Vec<MarkRow> {
        self.panels.iter().flat_map(Panel::rows).collect()
    }
}

pub(super) fn is_point((x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite()
}

impl BarMark {
    pub(super) fn is_finite(&self) -> bool {
        self.start.is_finite() && self.end.is_finite()
    }
}

impl Panel {
    fn name(&self, row: usize) -> String {
        match &self.y {
            Axis::Names(names) => names.get(row).cloned().unwrap_or_default(),
            Axis::Number { label, .. } => label.clone(),
        }
    }

    fn rows(&self) -> Vec<MarkRow> {
        let mut rows = Vec::new();
        let row = |name: String, value: Option<f64>| MarkRow { name, x: None, value, low: None, high: None };
        for layer in &self.layers {
            match layer {
                Layer::Intervals(marks) => rows.extend(marks.iter().map(|mark| MarkRow {
                    low: mark.interval.map(|(low, _)| low),
                    high: mark.interval.map(|(_, high)| high),
                    ..row(self.name(mark.row), Some(mark.value))
                })),
                Layer::Bars(marks) => rows.extend(marks.iter().map(|mark| MarkRow {
                    // Of a bar that begins at zero its length says all.
                    low: Some(mark.start).filter(|start| *start != 0.0),
                    high: Some(mark.end).filter(|_| mark.start != 0.0),
                    ..row(self.name(mark.row), Some(mark.end - mark.start))
                })),
                Layer::Dots(marks) => {
                    rows.extend(marks.iter().map(|mark| row(self.name(mark.row), Some(mark.value))));
                }
                Layer::Cells(marks) => rows.extend(marks.iter().map(|mark| {
                    let column = match &self.x {
                        Axis::Names(names) => names.get(mark.column).cloned().unwrap_or_default(),
                        Axis::Number { .. } => mark.column.to_string(),
                    };
                    row(format!("{}, {column}", self.name(mark.row)), Some(mark.value))
                })),
                Layer::Lines(marks) => {
                    for mark in marks {
                        let name = mark.label.clone().unwrap_or_default();
                        rows.extend(
                            mark.points
                                .iter()
                                .map(|(x, y)| MarkRow { x: Some(*x), ..row(name.clone(), Some(*y)) }),
                        );
                    }
                }
                Layer::Bands(marks) => {
                    for mark in marks {
                        rows.extend(mark.points.iter().map(|(x, low, high)| MarkRow {
                            x: Some(*x),
                            low: Some(*low),
                            high: Some(*high),
                            ..row("band".to_owned(), None)
                        }));
                    }
                }
                Layer::Rule(at, label) => rows.push(MarkRow {
                    x: Some(*at),
                    ..row(label.clone().unwrap_or_else(|| "zero".to_owned()), None)
                }),
            }
        }
        rows
    }
}
