//! Flags about pictures, and where those go.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::common::check_free;
use super::formats::PictureFormat;
use super::{CommandError, Context};
use crate::report::{
    Figure, FigureKind, FigureSize, NoSuchFigure, Theme, write_pdf, write_png, write_svg, write_vega_lite,
};

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// Estimates with intervals beside a line at zero
    Intervals,
    /// Means as bars, single games as dots
    Bars,
    /// From nobody to all, slot by slot
    Waterfall,
    /// Which share of its coalitions each game has
    Coverage,
    /// Sampled values by number of permutations (--convergence)
    Convergence,
    /// Interactions of pairs as a matrix
    Heatmap,
    /// Settings of a normalization side by side
    Settings,
    /// Rows of steps over time
    Traces,
    /// Verdicts of checks beside what is allowed
    Verdicts,
}

impl From<KindArg> for FigureKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Intervals => Self::Intervals,
            KindArg::Bars => Self::Bars,
            KindArg::Waterfall => Self::Waterfall,
            KindArg::Coverage => Self::Coverage,
            KindArg::Convergence => Self::Convergence,
            KindArg::Heatmap => Self::Heatmap,
            KindArg::Settings => Self::Settings,
            KindArg::Traces => Self::Traces,
            KindArg::Verdicts => Self::Verdicts,
        }
    }
}

/// The ground of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ThemeArg {
    /// White, and dark where the reader's screen is
    Light,
    /// Dark
    Dark,
    /// Black on white, for print
    Paper,
}

impl From<ThemeArg> for Theme {
    fn from(theme: ThemeArg) -> Self {
        match theme {
            ThemeArg::Light => Self::Light,
            ThemeArg::Dark => Self::Dark,
            ThemeArg::Paper => Self::Paper,
        }
    }
}

/// Flags about pictures.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Picture")]
pub struct FigureArgs {
    /// Draw the result to this file as well: .svg, .png, .pdf or .vl.json (Vega-Lite); -o FILE.svg draws it instead
    #[arg(long, value_name = "PATH")]
    pub figure: Option<PathBuf>,
    /// Size of the picture: 640x400, 640 or 85mmx60mm [default: 640 pixels wide, as high as its contents]
    #[arg(long, value_name = "WxH")]
    pub figure_size: Option<FigureSize>,
    /// Ground of the picture [default: light]
    #[arg(long, value_enum)]
    pub theme: Option<ThemeArg>,
}

/// Which of several pictures there are of a result.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Picture")]
pub struct FigureKindArgs {
    /// What the picture shows [default: what this verb is about]
    #[arg(long, value_enum, value_name = "KIND")]
    pub figure_kind: Option<KindArg>,
}

fn write(
    format: PictureFormat,
    figure: &Figure,
    size: FigureSize,
    theme: Theme,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    match format {
        PictureFormat::Svg => write_svg(figure, size, theme, out),
        PictureFormat::Png => write_png(figure, size, theme, out),
        PictureFormat::Pdf => write_pdf(figure, size, theme, out),
        PictureFormat::VegaLite => write_vega_lite(figure, out),
    }
}

impl FigureArgs {
    /// Refuses flags about a picture that nobody asked for, a picture that cannot be written, and one that is there.
    ///
    /// # Errors
    /// As said.
    pub(super) fn check(&self, kind: &FigureKindArgs, context: &Context) -> Result<(), CommandError> {
        let about = [
            ("figure-kind", kind.figure_kind.is_some()),
            ("figure-size", self.figure_size.is_some()),
            ("theme", self.theme.is_some()),
        ];
        let is_drawn = self.figure.is_some() || context.is_drawn();
        if let Some((flag, _)) = about.into_iter().find(|(_, is_given)| *is_given && !is_drawn) {
            return Err(CommandError::idle(
                flag,
                "is about a picture, and none is drawn",
                "add --figure FILE.svg, or name the output FILE.svg",
            ));
        }
        if let Some(format) = context.picture_format() {
            format.check()?;
        }
        let Some(path) = &self.figure else { return Ok(()) };
        PictureFormat::of(path)?.check()?;
        if context.common.output.as_ref() == Some(path) {
            return Err(CommandError::usage(
                format!("--figure and --output are both {}", path.display()),
                "give them two names, or name one alone",
            ));
        }
        check_free(path, context.common.force)
    }

    /// Refuses a picture of so many results: it shows one.
    ///
    /// # Errors
    /// Several, where a picture is asked for.
    pub(super) fn check_number(&self, n_results: usize, context: &Context) -> Result<(), CommandError> {
        if n_results < 2 || (self.figure.is_none() && !context.is_drawn()) {
            return Ok(());
        }
        let error = NoSuchFigure::Several(n_results);
        Err(CommandError::usage(error.to_string(), error.hint()))
    }

    /// Writes the picture that `figure` makes of a result, where one is asked for; tells whether it is the result.
    ///
    /// # Errors
    /// A kind that this result has no picture of, or a file that cannot be written.
    pub(super) fn write(
        &self,
        kind: &FigureKindArgs,
        context: &Context,
        figure: impl Fn(Option<FigureKind>) -> Result<Figure, NoSuchFigure>,
    ) -> Result<bool, CommandError> {
        if self.figure.is_none() && !context.is_drawn() {
            return Ok(false);
        }
        let drawn = figure(kind.figure_kind.map(FigureKind::from))
            .map_err(|error| CommandError::usage(error.to_string(), error.hint()))?;
        let (size, theme) =
            (self.figure_size.unwrap_or_default(), self.theme.map_or(Theme::Light, Theme::from));
        if let Some(path) = &self.figure {
            let format = PictureFormat::of(path)?;
            let draw = |out: &mut dyn Write| write(format, &drawn, size, theme, out);
            let failed = |source| CommandError::Output { target: path.display().to_string(), source };
            context.console.output(Some(path), context.common.force, draw).map_err(failed)?;
        }
        let Some(format) = context.picture_format() else { return Ok(false) };
        context.write(|out| write(format, &drawn, size, theme, out))?;
        Ok(true)
    }
}

/// The only document, which a picture shows.
///
/// # Errors
/// Several: a picture shows one.
pub(super) fn only<T>(documents: &[T]) -> Result<&T, NoSuchFigure> {
    match documents {
        [document] => Ok(document),
        _ => Err(NoSuchFigure::Several(documents.len())),
    }
}
