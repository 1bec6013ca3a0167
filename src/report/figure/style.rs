//! Colours, sizes and themes of figures.

use super::model::Tone;

/// Which ground a figure stands on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// White, and dark where the reader's screen is.
    #[default]
    Light,
    /// Dark.
    Dark,
    /// White without shades, for print.
    Paper,
}

/// Width and height of a figure, and the unit its file says they are in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FigureSize {
    /// Width in pixels of 1/96 inch.
    pub width: f64,
    /// Height; as high as its contents without one.
    pub height: Option<f64>,
    /// Whether the file gives millimetres.
    pub is_metric: bool,
}

impl Default for FigureSize {
    fn default() -> Self {
        Self { width: 640.0, height: None, is_metric: false }
    }
}

/// Pixels of a millimetre.
pub(super) const PIXELS_PER_MM: f64 = 96.0 / 25.4;

impl std::str::FromStr for FigureSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no size: 640x400, 640 or 85mmx60mm");
        let parts: Vec<&str> = text.split('x').collect();
        let (numbers, is_metric): (Vec<&str>, bool) = if parts.iter().all(|part| part.ends_with("mm")) {
            (parts.iter().map(|part| part.trim_end_matches("mm")).collect(), true)
        } else {
            (parts.iter().map(|part| part.trim_end_matches("px")).collect(), false)
        };
        let pixels = |number: &&str| {
            let number = number.trim().parse::<f64>().ok()?;
            let pixels = number * if is_metric { PIXELS_PER_MM } else { 1.0 };
            (160.0..=8000.0).contains(&pixels).then_some(pixels)
        };
        let pixels: Option<Vec<f64>> = numbers.iter().map(pixels).collect();
        match pixels.as_deref() {
            Some([width]) => Ok(Self { width: *width, height: None, is_metric }),
            Some([width, height]) => Ok(Self { width: *width, height: Some(*height), is_metric }),
            _ => Err(format!("{}; from 160 to 8000 pixels a side", wrong())),
        }
    }
}

/// The colours of a theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Palette {
    pub(super) ground: &'static str,
    pub(super) text: &'static str,
    pub(super) quiet: &'static str,
    pub(super) grid: &'static str,
    pub(super) plain: &'static str,
    pub(super) strong: &'static str,
    pub(super) good: &'static str,
    pub(super) bad: &'static str,
    pub(super) faint: &'static str,
    pub(super) series: [&'static str; 6],
}

/// Hues that people with any colour vision tell apart (Okabe and Ito, *Color Universal Design*, 2008), darkened or
/// lightened until each stands out from its ground; the contrast is tested.
pub(super) const LIGHT: Palette = Palette {
    ground: "#ffffff",
    text: "#1b1b1b",
    quiet: "#595959",
    grid: "#e2e2e2",
    plain: "#0072b2",
    strong: "#0072b2",
    good: "#00785a",
    bad: "#b84f00",
    faint: "#757575",
    series: ["#0072b2", "#b84f00", "#00785a", "#a8537f", "#8a6d00", "#4a4a4a"],
};

pub(super) const DARK: Palette = Palette {
    ground: "#16181c",
    text: "#ececec",
    quiet: "#b4b4b4",
    grid: "#3a3d44",
    plain: "#56b4e9",
    strong: "#56b4e9",
    good: "#35c79c",
    bad: "#f0954b",
    faint: "#9a9a9a",
    series: ["#56b4e9", "#f0954b", "#35c79c", "#e29ac4", "#e0c341", "#c4c4c4"],
};

pub(super) const PAPER: Palette = Palette {
    ground: "#ffffff",
    text: "#000000",
    quiet: "#333333",
    grid: "#d0d0d0",
    plain: "#000000",
    strong: "#000000",
    good: "#00604a",
    bad: "#9c3a00",
    faint: "#6a6a6a",
    series: ["#000000", "#9c3a00", "#00604a", "#8a3c66", "#6b5400", "#005a8c"],
};

impl Theme {
    pub(super) fn palette(self) -> &'static Palette {
        match self {
            Self::Light => &LIGHT,
            Self::Dark => &DARK,
            Self::Paper => &PAPER,
        }
    }
}

impl Tone {
    /// Class of a mark, for style sheets.
    pub(super) fn class(self) -> String {
        match self {
            Self::Plain => "plain".to_owned(),
            Self::Strong => "strong".to_owned(),
            Self::Good => "good".to_owned(),
            Self::Bad => "bad".to_owned(),
            Self::Faint => "faint".to_owned(),
            Self::Series(n) => format!("s{}", n % 6),
        }
    }
}

impl Palette {
    /// Colour of a mark.
    pub(super) fn of(&self, tone: Tone) -> &'static str {
        match tone {
            Tone::Plain => self.plain,
            Tone::Strong => self.strong,
            Tone::Good => self.good,
            Tone::Bad => self.bad,
            Tone::Faint => self.faint,
            Tone::Series(n) => self.series[usize::from(n) % self.series.len()],
        }
    }

    /// Rules of a style sheet: the same colours by class.
    pub(super) fn rules(&self) -> String {
        let mut rules = format!(
            ".ground{{fill:{}}}.t{{fill:{}}}.q{{fill:{}}}.grid{{stroke:{}}}.axis{{stroke:{}}}",
            self.ground, self.text, self.quiet, self.grid, self.quiet
        );
        let tones = [Tone::Plain, Tone::Strong, Tone::Good, Tone::Bad, Tone::Faint];
        let series = (0..6).map(Tone::Series);
        for tone in tones.into_iter().chain(series) {
            let (class, colour) = (tone.class(), self.of(tone));
            rules.push_str(&format!(".f-{class}{{fill:{colour}}}.l-{class}{{stroke:{colour}}}"));
        }
        rules
    }

    /// A colour on a scale that diverges from the ground at 0 to one hue at -1 and another at 1.
    pub(super) fn diverging(&self, share: f64) -> String {
        let end = if share < 0.0 { self.bad } else { self.plain };
        let (ground, end) = (channels(self.ground), channels(end));
        let t = share.abs().min(1.0);
        let mix = |i: usize| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a channel from 0 to 255"
            )]
            let channel =
                (f64::from(ground[i]) + t * (f64::from(end[i]) - f64::from(ground[i]))).round() as u8;
            channel
        };
        format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
    }
}

/// Red, green and blue of `#rrggbb`.
pub(super) fn channels(colour: &str) -> [u8; 3] {
    let channel = |i: usize| u8::from_str_radix(colour.get(i..i + 2).unwrap_or("0"), 16).unwrap_or(0);
    [channel(1), channel(3), channel(5)]
}

/// Contrast of two colours, from 1 to 21 (WCAG 2.2, relative luminance).
pub(super) fn contrast(a: &str, b: &str) -> f64 {
    let luminance = |colour: &str| {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let [r, g, b] = channels(colour).map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_stands_out_from_its_ground() {
        for palette in [&LIGHT, &DARK, &PAPER] {
            for text in [palette.text, palette.quiet] {
                assert!(contrast(text, palette.ground) >= 4.5, "{text} on {}", palette.ground);
            }
            let marks = [palette.plain, palette.strong, palette.good, palette.bad, palette.faint];
            for mark in marks.into_iter().chain(palette.series) {
                assert!(contrast(mark, palette.ground) >= 3.0, "{mark} on {}", palette.ground);
            }
        }
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
    }

    /// Distances after Viénot, Brettel and Mollon (1999): what is left of colours without one kind of cone.
    #[test]
    fn the_two_ends_are_told_apart_with_any_colour_vision() {
        for palette in [&LIGHT, &DARK] {
            for kind in 0..3 {
                let seen = |colour: &str| {
                    let [r, g, b] = channels(colour).map(f64::from);
                    // Deuteranopes and protanopes see yellow and blue, tritanopes red and green.
                    match kind {
                        0 => [0.29 * r + 0.71 * g, b],
                        1 => [0.11 * r + 0.89 * g, b],
                        _ => [r, 0.5 * g + 0.5 * b],
                    }
                };
                let (a, b) = (seen(palette.plain), seen(palette.bad));
                let distance = (a[0] - b[0]).hypot(a[1] - b[1]);
                assert!(distance > 40.0, "{kind} {distance}");
            }
        }
    }

    #[test]
    fn sizes_are_pixels_or_millimetres() {
        let parse = |text: &str| text.parse::<FigureSize>();
        assert_eq!(parse("640x400"), Ok(FigureSize { width: 640.0, height: Some(400.0), is_metric: false }));
        let metric = parse("85mmx60mm").expect("a size");
        assert!(metric.is_metric && (metric.width - 321.26).abs() < 0.01);
        assert!(parse("85mmx60").is_err() && parse("0x0").is_err() && parse("wide").is_err());
    }
}
