//! A figure drawn as SVG.
//!
//! Decided 2026-11: our own writer. What was weighed: kuva (no viewBox, no titles of marks, coordinates that are not
//! numbers, other bytes in a second figure of one process), plotters (whole pixels, no title per mark) and JavaScript
//! libraries (a megabyte and more in every page, no file to put into a paper).
//!
//! What a drawing promises: a viewBox, `role`, title and description; a `<title>` for every mark, so that values show
//! without a script; real text; literal colours beside classes; lines of any length thinned to the extremes of each
//! pixel; the same bytes every time.

use std::fmt::Write as _;

use super::model::{Axis, BarMark, CellMark, Figure, IntervalMark, Layer, LineMark, Panel, Tone, is_point};
use super::scale::{Scale, Ticks};
use super::style::{DARK, FigureSize, PIXELS_PER_MM, Palette, Theme, contrast};
use super::text::{fitted, width, wrapped};

const FONT: &str = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif";
const TITLE_SIZE: f64 = 15.0;
const LABEL_SIZE: f64 = 12.0;
const TICK_SIZE: f64 = 11.0;
const ROW: f64 = 24.0;
const MARGIN: f64 = 14.0;
/// Widest label of a row.
const NAME_MOST: f64 = 190.0;
/// Matrices of up to so many names have values in their cells.
const NAMED_CELLS: usize = 15;

/// Draws a figure.
pub(super) fn draw(figure: &Figure, size: FigureSize, theme: Theme) -> String {
    let mut drawing = Drawing::new(figure, size, theme);
    drawing.body();
    drawing.finish()
}

struct Drawing<'a> {
    figure: &'a Figure,
    size: FigureSize,
    theme: Theme,
    palette: &'static Palette,
    body: String,
    /// How far down it is drawn.
    y: f64,
}

/// Where a panel's marks go.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl<'a> Drawing<'a> {
    fn new(figure: &'a Figure, size: FigureSize, theme: Theme) -> Self {
        Self { figure, size, theme, palette: theme.palette(), body: String::new(), y: MARGIN }
    }

    fn body(&mut self) {
        let room = self.size.width - 2.0 * MARGIN;
        for line in wrapped(&self.figure.title, TITLE_SIZE, room) {
            self.y += TITLE_SIZE;
            self.text(MARGIN, self.y, &line, TITLE_SIZE, "t", "start", true);
            self.y += 5.0;
        }
        self.y += 6.0;
        let fixed: f64 = self.figure.panels.iter().map(Self::height_of).sum();
        // Panels of numbers take what a given height leaves; rows keep theirs.
        let stretch = match self.size.height {
            Some(height) => {
                let captions = self.caption_lines().len() as f64 * (TICK_SIZE + 4.0);
                let flexible: f64 = (self.figure.panels.iter())
                    .filter(|panel| matches!(panel.y, Axis::Number { .. }))
                    .map(|panel| panel.height)
                    .sum();
                let left = height - self.y - captions - MARGIN - 8.0 - (fixed - flexible);
                if flexible > 0.0 { (left / flexible).max(0.25) } else { 1.0 }
            }
            None => 1.0,
        };
        for panel in &self.figure.panels {
            self.panel(panel, stretch);
        }
        for line in self.caption_lines() {
            self.y += TICK_SIZE + 4.0;
            self.text(MARGIN, self.y, &line, TICK_SIZE, "q", "start", false);
        }
        self.y += MARGIN;
    }

    fn caption_lines(&self) -> Vec<String> {
        let room = self.size.width - 2.0 * MARGIN;
        let mut lines: Vec<String> =
            self.figure.caption.iter().flat_map(|line| wrapped(line, TICK_SIZE, room)).collect();
        let n = self.figure.n_not_finite();
        if n > 0 {
            let marks = if n == 1 { "1 mark is" } else { &format!("{n} marks are") };
            lines.push(format!("{marks} not drawn: not a finite number"));
        }
        lines
    }

    fn height_of(panel: &Panel) -> f64 {
        let legend = if legend_of(panel).is_empty() { 0.0 } else { LABEL_SIZE + 10.0 };
        let axis = TICK_SIZE + LABEL_SIZE + 18.0;
        legend
            + axis
            + match &panel.y {
                Axis::Names(names) => names.len().max(1) as f64 * ROW,
                Axis::Number { .. } => panel.height,
            }
    }

    fn panel(&mut self, panel: &Panel, stretch: f64) {
        self.legend(panel);
        let (left, height) = match &panel.y {
            Axis::Names(names) => {
                let widest = names.iter().map(|name| width(name, LABEL_SIZE)).fold(0.0, f64::max);
                let most = NAME_MOST.min(self.size.width / 3.0);
                (MARGIN + widest.min(most) + 10.0, names.len().max(1) as f64 * ROW)
            }
            Axis::Number { .. } => (MARGIN + 62.0, panel.height * stretch),
        };
        let frame =
            Frame { left, right: self.size.width - MARGIN - 8.0, top: self.y, bottom: self.y + height };
        if panel.layers.iter().any(|layer| matches!(layer, Layer::Cells(_))) {
            self.matrix(panel, &frame);
            return;
        }
        let x = Scale::of(panel_x(panel), wants_zero(&panel.x), frame.left, frame.right);
        let y = match &panel.y {
            Axis::Names(names) => {
                self.row_names(names, &frame);
                None
            }
            Axis::Number { label, has_zero } => {
                let scale = Scale::of(panel_y(panel), *has_zero, frame.bottom, frame.top);
                self.y_axis(&scale, label, &frame);
                Some(scale)
            }
        };
        self.x_axis(panel, &x, &frame);
        for layer in &panel.layers {
            self.layer(layer, &frame, &x, y.as_ref());
        }
        self.y = frame.bottom + TICK_SIZE + LABEL_SIZE + 18.0;
    }

    fn legend(&mut self, panel: &Panel) {
        let entries = legend_of(panel);
        if entries.is_empty() {
            return;
        }
        let mut x = MARGIN;
        self.y += LABEL_SIZE;
        for (label, tone) in entries {
            let label = fitted(&label, LABEL_SIZE, NAME_MOST);
            let needed = 22.0 + width(&label, LABEL_SIZE) + 14.0;
            if x + needed > self.size.width - MARGIN && x > MARGIN {
                x = MARGIN;
                self.y += LABEL_SIZE + 6.0;
            }
            let (class, colour) = (tone.class(), self.palette.of(tone));
            let y = self.y - 4.0;
            let _ = write!(
                self.body,
                "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{colour}\" stroke-width=\"2.5\" class=\"l-{class}\"/>",
                n(x),
                n(y),
                n(x + 16.0),
                n(y)
            );
            self.text(x + 22.0, self.y, &label, LABEL_SIZE, "t", "start", false);
            x += needed;
        }
        self.y += 10.0;
    }

    fn row_names(&mut self, names: &[String], frame: &Frame) {
        let most = NAME_MOST.min(self.size.width / 3.0);
        for (row, name) in names.iter().enumerate() {
            let y = frame.top + (row as f64 + 0.5) * ROW + LABEL_SIZE * 0.36;
            self.titled_text(frame.left - 10.0, y, &fitted(name, LABEL_SIZE, most), name);
        }
    }

    fn y_axis(&mut self, scale: &Scale, label: &str, frame: &Frame) {
        let wanted = ((frame.bottom - frame.top) / 44.0).max(2.0);
        // One tick alone says nothing of the scale.
        let tried = (0..4).map(|more| scale.ticks(wanted + f64::from(more)));
        let ticks = tried.reduce(|best, next| if best.values.len() < 2 { next } else { best });
        let ticks = ticks.unwrap_or_else(|| scale.ticks(wanted));
        for value in &ticks.values {
            let y = scale.place(*value);
            self.grid_line(frame.left, y, frame.right, y);
            self.text(
                frame.left - 6.0,
                y + TICK_SIZE * 0.36,
                &ticks.label(*value),
                TICK_SIZE,
                "q",
                "end",
                false,
            );
        }
        let (x, y) = (MARGIN - 2.0 + LABEL_SIZE * 0.5, f64::midpoint(frame.top, frame.bottom));
        let label = fitted(label, LABEL_SIZE, frame.bottom - frame.top);
        let _ = write!(
            self.body,
            "<text x=\"{0}\" y=\"{1}\" transform=\"rotate(-90 {0} {1})\" text-anchor=\"middle\" font-size=\"{LABEL_SIZE}\" fill=\"{2}\" class=\"t\">{3}</text>",
            n(x),
            n(y),
            self.palette.text,
            escaped(&label)
        );
    }

    fn x_axis(&mut self, panel: &Panel, scale: &Scale, frame: &Frame) {
        let ticks = ticks_that_fit(scale, frame.right - frame.left);
        for value in &ticks.values {
            let x = scale.place(*value);
            self.grid_line(x, frame.top, x, frame.bottom);
            self.text(
                x,
                frame.bottom + TICK_SIZE + 5.0,
                &ticks.label(*value),
                TICK_SIZE,
                "q",
                "middle",
                false,
            );
        }
        if let Axis::Number { label, has_zero } = &panel.x {
            if *has_zero {
                let x = scale.place(0.0);
                self.line((x, frame.top), (x, frame.bottom), self.palette.quiet, "axis", 1.0);
            }
            let label = fitted(label, LABEL_SIZE, frame.right - frame.left);
            let y = frame.bottom + TICK_SIZE + LABEL_SIZE + 10.0;
            self.text(f64::midpoint(frame.left, frame.right), y, &label, LABEL_SIZE, "t", "middle", false);
        }
    }

    fn layer(&mut self, layer: &Layer, frame: &Frame, x: &Scale, y: Option<&Scale>) {
        match layer {
            Layer::Intervals(marks) => {
                marks
                    .iter()
                    .filter(|mark| mark.value.is_finite())
                    .for_each(|mark| self.interval(mark, frame, x));
            }
            Layer::Bars(marks) => {
                marks.iter().filter(|mark| mark.is_finite()).for_each(|mark| self.bar(mark, frame, x));
            }
            Layer::Dots(marks) => {
                for mark in marks.iter().filter(|mark| mark.value.is_finite()) {
                    let at = frame.top + (mark.row as f64 + 0.5 + 0.7 * mark.offset) * ROW;
                    let (class, colour) = (Tone::Faint.class(), self.palette.of(Tone::Faint));
                    let _ = write!(
                        self.body,
                        "<circle cx=\"{}\" cy=\"{}\" r=\"2.2\" fill=\"{colour}\" fill-opacity=\"0.75\" class=\"f-{class}\"><title>{}</title></circle>",
                        n(x.place(mark.value)),
                        n(at),
                        escaped(&mark.title)
                    );
                }
            }
            Layer::Lines(marks) => {
                if let Some(y) = y {
                    marks.iter().for_each(|mark| self.path(mark, x, y));
                }
            }
            Layer::Bands(marks) => {
                if let Some(y) = y {
                    for mark in marks {
                        let is_whole = |(x, low, high): &&(f64, f64, f64)| {
                            x.is_finite() && low.is_finite() && high.is_finite()
                        };
                        let points: Vec<&(f64, f64, f64)> = mark.points.iter().filter(is_whole).collect();
                        let low = thinned(points.iter().map(|(at, low, _)| (x.place(*at), y.place(*low))));
                        let high = thinned(points.iter().map(|(at, _, high)| (x.place(*at), y.place(*high))));
                        let outline: Vec<(f64, f64)> =
                            low.into_iter().chain(high.into_iter().rev()).collect();
                        if outline.len() > 2 {
                            let (class, colour) = (mark.tone.class(), self.palette.of(mark.tone));
                            let _ = write!(
                                self.body,
                                "<path d=\"{}Z\" fill=\"{colour}\" fill-opacity=\"0.16\" class=\"f-{class}\"/>",
                                path_of(&outline)
                            );
                        }
                    }
                }
            }
            Layer::Rule(at, label) => {
                if at.is_finite() && x.contains(*at) {
                    let place = x.place(*at);
                    self.line((place, frame.top), (place, frame.bottom), self.palette.text, "rule", 1.2);
                    if let Some(label) = label {
                        let is_right = place > f64::midpoint(frame.left, frame.right);
                        let (dx, anchor) = if is_right { (-5.0, "end") } else { (5.0, "start") };
                        let label = fitted(label, TICK_SIZE, (frame.right - frame.left) / 2.0);
                        self.text(place + dx, frame.top + TICK_SIZE, &label, TICK_SIZE, "t", anchor, false);
                    }
                }
            }
            Layer::Cells(_) => {}
        }
    }

    fn interval(&mut self, mark: &IntervalMark, frame: &Frame, x: &Scale) {
        let y = frame.top + (mark.row as f64 + 0.5) * ROW;
        let (class, colour) = (mark.tone.class(), self.palette.of(mark.tone));
        let _ = write!(self.body, "<g><title>{}</title>", escaped(&mark.title));
        if let Some((low, high)) = mark.interval.filter(|(low, high)| low.is_finite() && high.is_finite()) {
            let _ = write!(
                self.body,
                "<path d=\"M{0} {1}V{2}M{0} {3}H{4}M{4} {1}V{2}\" stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\" class=\"l-{class}\"/>",
                n(x.place(low)),
                n(y - 4.0),
                n(y + 4.0),
                n(y),
                n(x.place(high))
            );
        }
        // What cannot be told from nothing is hollow: seen without colour too.
        let (fill, fill_class) = if mark.tone == Tone::Faint {
            (self.palette.ground, "ground".to_owned())
        } else {
            (colour, format!("f-{class}"))
        };
        let _ = write!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"4.5\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"2\" class=\"{fill_class} l-{class}\"/></g>",
            n(x.place(mark.value)),
            n(y)
        );
    }

    fn bar(&mut self, mark: &BarMark, frame: &Frame, x: &Scale) {
        let (a, b) = (x.place(mark.start), x.place(mark.end));
        let (class, colour) = (mark.tone.class(), self.palette.of(mark.tone));
        let _ = write!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{colour}\" class=\"f-{class}\"><title>{}</title></rect>",
            n(a.min(b)),
            n(frame.top + mark.row as f64 * ROW + 5.0),
            n((a - b).abs().max(2.5)),
            n(ROW - 10.0),
            escaped(&mark.title)
        );
    }

    fn path(&mut self, mark: &LineMark, x: &Scale, y: &Scale) {
        let (class, colour) = (mark.tone.class(), self.palette.of(mark.tone));
        // Where a point is missing the line is cut.
        let segments = mark.points.split(|point| !is_point(point)).filter(|segment| !segment.is_empty());
        let mut data = String::new();
        for segment in segments {
            let points = thinned(segment.iter().map(|(at, value)| (x.place(*at), y.place(*value))));
            data.push_str(&path_of(&points));
            if points.len() == 1 {
                data.push_str("h0.01");
            }
        }
        if data.is_empty() {
            return;
        }
        let name = mark.label.as_deref().unwrap_or("");
        let last = mark.points.iter().rev().find(|point| is_point(point));
        let title =
            last.map_or_else(String::new, |(at, value)| format!("{name}: {value} at {at}, the last point"));
        let _ = write!(
            self.body,
            "<path d=\"{data}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-linejoin=\"round\" stroke-linecap=\"round\" class=\"l-{class}\"><title>{}</title></path>",
            escaped(title.trim_start_matches(": "))
        );
    }

    fn matrix(&mut self, panel: &Panel, frame: &Frame) {
        let (Axis::Names(rows), Axis::Names(columns)) = (&panel.y, &panel.x) else { return };
        let side = ((frame.right - frame.left) / columns.len().max(1) as f64).clamp(6.0, 56.0);
        let height = side.min(34.0);
        let (top, left) = (frame.top, frame.left);
        let cells: Vec<&CellMark> = (panel.layers.iter())
            .flat_map(|layer| match layer {
                Layer::Cells(marks) => &marks[..],
                _ => &[],
            })
            .filter(|cell| cell.value.is_finite())
            .collect();
        let largest = cells.iter().map(|cell| cell.value.abs()).fold(0.0, f64::max);
        for (row, name) in rows.iter().enumerate() {
            let y = top + (row as f64 + 0.5) * height + LABEL_SIZE * 0.36;
            if height >= LABEL_SIZE {
                let most = NAME_MOST.min(self.size.width / 3.0);
                self.titled_text(left - 10.0, y, &fitted(name, LABEL_SIZE, most), name);
            }
        }
        for cell in cells {
            let share = if largest > 0.0 { cell.value / largest } else { 0.0 };
            let fill = self.palette.diverging(share);
            let (x, y) = (left + cell.column as f64 * side, top + cell.row as f64 * height);
            let _ = write!(
                self.body,
                "<g><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\" stroke=\"{}\"/>",
                escaped(&cell.title),
                n(x),
                n(y),
                n(side - 1.0),
                n(height - 1.0),
                self.palette.grid
            );
            let text = signed(cell.value, largest);
            if columns.len() <= NAMED_CELLS && width(&text, TICK_SIZE) < side - 4.0 && height > TICK_SIZE {
                let ink = if contrast(&fill, "#000000") >= contrast(&fill, "#ffffff") {
                    "#000000"
                } else {
                    "#ffffff"
                };
                let _ = write!(
                    self.body,
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"{TICK_SIZE}\" fill=\"{ink}\">{}</text>",
                    n(x + (side - 1.0) / 2.0),
                    n(y + height / 2.0 + TICK_SIZE * 0.32),
                    escaped(&text)
                );
            }
            self.body.push_str("</g>");
        }
        let bottom = top + rows.len() as f64 * height;
        let is_slanted = columns.iter().any(|name| width(name, TICK_SIZE) > side - 4.0);
        let mut depth = TICK_SIZE + 6.0;
        for (column, name) in columns.iter().enumerate() {
            if side < TICK_SIZE {
                continue;
            }
            let x = left + (column as f64 + 0.5) * side;
            let name = fitted(name, TICK_SIZE, 110.0);
            if is_slanted {
                depth = depth.max(width(&name, TICK_SIZE) * 0.72 + TICK_SIZE);
                let _ = write!(
                    self.body,
                    "<text x=\"{0}\" y=\"{1}\" transform=\"rotate(-45 {0} {1})\" text-anchor=\"end\" font-size=\"{TICK_SIZE}\" fill=\"{2}\" class=\"q\">{3}</text>",
                    n(x + 4.0),
                    n(bottom + TICK_SIZE),
                    self.palette.quiet,
                    escaped(&name)
                );
            } else {
                self.text(x, bottom + TICK_SIZE + 4.0, &name, TICK_SIZE, "q", "middle", false);
            }
        }
        self.y = bottom + depth + 10.0;
    }

    fn grid_line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64) {
        self.line((x1, y1), (x2, y2), self.palette.grid, "grid", 1.0);
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str, class: &str, thick: f64) {
        let _ = write!(
            self.body,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{colour}\" stroke-width=\"{}\" class=\"{class}\"/>",
            n(x1),
            n(y1),
            n(x2),
            n(y2),
            n(thick)
        );
    }

    #[expect(clippy::too_many_arguments, reason = "a text element has these attributes")]
    fn text(&mut self, x: f64, y: f64, text: &str, size: f64, class: &str, anchor: &str, is_bold: bool) {
        let colour = if class == "q" { self.palette.quiet } else { self.palette.text };
        let weight = if is_bold { " font-weight=\"600\"" } else { "" };
        let _ = write!(
            self.body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\" font-size=\"{size}\"{weight} fill=\"{colour}\" class=\"{class}\">{}</text>",
            n(x),
            n(y),
            escaped(text)
        );
    }

    /// A name at the end of its row, whole when pointed at.
    fn titled_text(&mut self, x: f64, y: f64, shown: &str, whole: &str) {
        let title = if shown == whole { String::new() } else { format!("<title>{}</title>", escaped(whole)) };
        let _ = write!(
            self.body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"{LABEL_SIZE}\" fill=\"{}\" class=\"t\">{title}{}</text>",
            n(x),
            n(y),
            self.palette.text,
            escaped(shown)
        );
    }

    fn finish(self) -> String {
        let height = self.size.height.unwrap_or(self.y).max(self.y);
        let (w, h) = (self.size.width, height);
        let shown = |pixels: f64| {
            if self.size.is_metric { format!("{}mm", n(pixels / PIXELS_PER_MM)) } else { n(pixels) }
        };
        let id = id_of(&self.figure.name);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" font-family=\"{FONT}\">",
            n(w),
            n(h),
            shown(w),
            shown(h)
        );
        let _ = write!(
            svg,
            "<title id=\"{id}-title\">{}</title><desc id=\"{id}-desc\">{}</desc>",
            escaped(&self.figure.title),
            escaped(&self.figure.description)
        );
        if self.theme == Theme::Light {
            let _ = write!(
                svg,
                "<style>@media (prefers-color-scheme: dark){{@media screen{{{}}}}}</style>",
                DARK.rules()
            );
        }
        let _ = writeln!(
            svg,
            "<rect width=\"{}\" height=\"{}\" fill=\"{}\" class=\"ground\"/>{}</svg>",
            n(w),
            n(h),
            self.palette.ground,
            self.body
        );
        svg
    }
}

/// A number as an attribute: two decimals, no more than needed.
fn n(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text as XML takes it; control characters, which XML 1.0 has none of, are spelled out.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if crate::printable::is_harmful(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                escaped.extend(c.escape_default());
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Letters and digits of a name, for ids.
pub(super) fn id_of(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// A value with its sign and as many digits as the largest beside it deserves.
fn signed(value: f64, largest: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e6).contains(&largest) {
        return format!("{value:+.1e}").replace('-', "\u{2212}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few digits")]
    let places = (2.0 - largest.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:+.places$}").replace('-', "\u{2212}")
}

fn path_of(points: &[(f64, f64)]) -> String {
    let mut data = String::new();
    for (place, (x, y)) in points.iter().enumerate() {
        let _ = write!(data, "{}{} {}", if place == 0 { 'M' } else { 'L' }, n(*x), n(*y));
    }
    data
}

/// First, least, greatest and last point of every column of pixels: what the eye would see of them all.
fn thinned(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    let mut column: Vec<(f64, f64)> = Vec::new();
    let flush = |column: &mut Vec<(f64, f64)>, kept: &mut Vec<(f64, f64)>| {
        if column.len() <= 4 {
            kept.append(column);
            return;
        }
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let ends =
            [column.first(), column.iter().min_by(by_height), column.iter().max_by(by_height), column.last()];
        let mut ends: Vec<(f64, f64)> = ends.into_iter().flatten().copied().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.dedup();
        kept.append(&mut ends);
        column.clear();
    };
    for point in points {
        if column.first().is_some_and(|first| first.0.floor() < point.0.floor()) {
            flush(&mut column, &mut kept);
        }
        column.push(point);
    }
    flush(&mut column, &mut kept);
    kept
}

fn wants_zero(axis: &Axis) -> bool {
    matches!(axis, Axis::Number { has_zero: true, .. })
}

/// As many ticks as have room beside each other.
fn ticks_that_fit(scale: &Scale, room: f64) -> Ticks {
    let mut most = (room / 64.0).clamp(1.0, 10.0);
    loop {
        let ticks = scale.ticks(most);
        let widest =
            ticks.values.iter().map(|tick| width(&ticks.label(*tick), TICK_SIZE)).fold(0.0, f64::max);
        if most <= 1.0 || (widest + 10.0) * ticks.values.len() as f64 <= room {
            return ticks;
        }
        most = (most - 1.0).max(1.0);
    }
}

fn panel_x(panel: &Panel) -> impl Iterator<Item = f64> + '_ {
    panel.layers.iter().flat_map(|layer| -> Vec<f64> {
        match layer {
            Layer::Intervals(marks) => marks
                .iter()
                .flat_map(|mark| {
                    let ends = mark.interval.map_or([mark.value; 2], |(low, high)| [low, high]);
                    [mark.value, ends[0], ends[1]]
                })
                .collect(),
            Layer::Bars(marks) => marks.iter().flat_map(|mark| [mark.start, mark.end]).collect(),
            Layer::Dots(marks) => marks.iter().map(|mark| mark.value).collect(),
            Layer::Lines(marks) => {
                marks.iter().flat_map(|mark| &mark.points).filter(|p| is_point(p)).map(|(x, _)| *x).collect()
            }
            Layer::Bands(marks) => marks.iter().flat_map(|mark| &mark.points).map(|(x, ..)| *x).collect(),
            Layer::Rule(at, _) => vec![*at],
            Layer::Cells(_) => Vec::new(),
        }
    })
}

fn panel_y(panel: &Panel) -> impl Iterator<Item = f64> + '_ {
    panel.layers.iter().flat_map(|layer| -> Vec<f64> {
        match layer {
            Layer::Lines(marks) => {
                marks.iter().flat_map(|mark| &mark.points).filter(|p| is_point(p)).map(|(_, y)| *y).collect()
            }
            Layer::Bands(marks) => {
                marks.iter().flat_map(|mark| &mark.points).flat_map(|(_, low, high)| [*low, *high]).collect()
            }
            _ => Vec::new(),
        }
    })
}

fn legend_of(panel: &Panel) -> Vec<(String, Tone)> {
    let named = |layer: &Layer| match layer {
        Layer::Lines(marks) => {
            marks.iter().filter_map(|mark| Some((mark.label.clone()?, mark.tone))).collect::<Vec<_>>()
        }
        _ => Vec::new(),
    };
    let entries: Vec<(String, Tone)> = panel.layers.iter().flat_map(named).collect();
    if entries.len() > 1 { entries } else { Vec::new() }
}
