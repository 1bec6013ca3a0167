//! Formats of results, and what the name of `--output` says of them.

use std::path::Path;

use clap::ValueEnum;

use super::error::CommandError;
use crate::report::{CheckFormat, Format};

/// Format of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// A table for people
    Table,
    /// One JSON document
    Json,
    /// One JSON object per line
    Ndjson,
    /// Comma-separated values
    Csv,
    /// Markdown
    Markdown,
    /// One typed table as Parquet
    Parquet,
    /// One typed table as Arrow IPC
    Arrow,
    /// A picture, where there is one
    Svg,
    /// The same in pixels (builds with the feature png)
    Png,
    /// The same as a page, for papers (builds with the feature pdf)
    Pdf,
    /// The same as a Vega-Lite specification, for notebooks
    VegaLite,
    /// JUnit XML (simic check)
    Junit,
    /// GitHub annotations (simic check)
    Github,
}

impl FormatArg {
    /// Whether it is a picture.
    pub(super) fn is_picture(self) -> bool {
        matches!(self, Self::Svg | Self::Png | Self::Pdf | Self::VegaLite)
    }

    /// The word on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Github => "github",
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Pdf => "pdf",
            Self::VegaLite => "vega-lite",
            other => Format::from(other).name(),
        }
    }
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            // Those of checks alone are refused elsewhere before anything is written.
            FormatArg::Table
            | FormatArg::Junit
            | FormatArg::Github
            | FormatArg::Svg
            | FormatArg::Png
            | FormatArg::Pdf
            | FormatArg::VegaLite => Self::Table,
            FormatArg::Json => Self::Json,
            FormatArg::Ndjson => Self::Ndjson,
            FormatArg::Csv => Self::Csv,
            FormatArg::Markdown => Self::Markdown,
            FormatArg::Parquet => Self::Parquet,
            FormatArg::Arrow => Self::Arrow,
        }
    }
}

impl From<FormatArg> for CheckFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Table | FormatArg::Svg | FormatArg::Png | FormatArg::Pdf | FormatArg::VegaLite => {
                Self::Table
            }
            FormatArg::Json => Self::Json,
            FormatArg::Ndjson => Self::Ndjson,
            FormatArg::Csv => Self::Csv,
            FormatArg::Markdown => Self::Markdown,
            FormatArg::Parquet => Self::Parquet,
            FormatArg::Arrow => Self::Arrow,
            FormatArg::Junit => Self::Junit,
            FormatArg::Github => Self::Github,
        }
    }
}

/// How a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PictureFormat {
    Svg,
    Png,
    Pdf,
    VegaLite,
}

impl PictureFormat {
    /// The format that the name of a picture says.
    ///
    /// # Errors
    /// A name that says none.
    pub(super) fn of(path: &Path) -> Result<Self, CommandError> {
        let has_ending = |path: &Path, ending: &str| {
            path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending))
        };
        if has_ending(path, "svg") {
            Ok(Self::Svg)
        } else if has_ending(path, "png") {
            Ok(Self::Png)
        } else if has_ending(path, "pdf") {
            Ok(Self::Pdf)
        } else if has_ending(path, "json")
            && path.file_stem().is_some_and(|stem| has_ending(Path::new(stem), "vl"))
        {
            Ok(Self::VegaLite)
        } else {
            Err(CommandError::usage(
                format!(
                    "--figure {}: pictures are .svg, .png, .pdf, or .vl.json for notebooks",
                    path.display()
                ),
                "end the name in one of them",
            ))
        }
    }

    /// Refuses a format that this build cannot write.
    ///
    /// # Errors
    /// PNG and PDF, without their features.
    pub(super) fn check(self) -> Result<(), CommandError> {
        let lacking = match self {
            Self::Png if !cfg!(feature = "png") => "png",
            Self::Pdf if !cfg!(feature = "pdf") => "pdf",
            _ => return Ok(()),
        };
        Err(CommandError::usage(
            format!("this program is built without the feature {lacking}"),
            "name the picture FILE.svg; released programs write all",
        ))
    }
}

/// Endings that say a format, as messages list them.
const ENDINGS: &str = ".json, .ndjson, .csv, .md, .txt, .parquet and .arrow";

/// What `--output` is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputHolds {
    /// The result, in the format that its name says.
    Result,
    /// The same, of which there is a picture too.
    Drawn,
    /// Something of its own kind (normalized rows, a state, a recording, a page); the result goes to stdout.
    Data,
}

/// What an ending says.
enum Ending {
    Format(FormatArg),
    /// A page, which no result is written as.
    Page,
    Unknown,
}

impl Ending {
    fn of(path: &Path) -> Self {
        let is_vega = |stem: &Path| stem.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("vl"));
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("json") if path.file_stem().is_some_and(|stem| is_vega(Path::new(stem))) => {
                Self::Format(FormatArg::VegaLite)
            }
            Some("json") => Self::Format(FormatArg::Json),
            Some("ndjson" | "jsonl") => Self::Format(FormatArg::Ndjson),
            Some("csv") => Self::Format(FormatArg::Csv),
            Some("md" | "markdown") => Self::Format(FormatArg::Markdown),
            Some("txt") => Self::Format(FormatArg::Table),
            Some("parquet" | "pq" | "parq") => Self::Format(FormatArg::Parquet),
            Some("arrow" | "ipc" | "feather") => Self::Format(FormatArg::Arrow),
            Some("xml") => Self::Format(FormatArg::Junit),
            Some("svg") => Self::Format(FormatArg::Svg),
            Some("png") => Self::Format(FormatArg::Png),
            Some("pdf") => Self::Format(FormatArg::Pdf),
            Some("html" | "htm") => Self::Page,
            _ => Self::Unknown,
        }
    }
}

/// Whether a path is a file to be made, not stdout, a pipe or a device, whose names say nothing.
fn is_file_to_be(path: &Path) -> bool {
    path != Path::new("-")
        && !path.starts_with("/dev")
        && std::fs::metadata(path).map_or(true, |found| found.is_file() || found.is_dir())
}

/// The format of a result: as `asked`, else as the name of its file says, else a table.
///
/// # Errors
/// A name that contradicts what was asked, or that says nothing where nothing was asked.
pub(super) fn format_of(asked: Option<FormatArg>, output: Option<&Path>) -> Result<FormatArg, CommandError> {
    let Some(path) = output.filter(|path| is_file_to_be(path)) else {
        return Ok(asked.unwrap_or(FormatArg::Table));
    };
    let shown = path.display();
    match (Ending::of(path), asked) {
        (Ending::Format(named), None) => Ok(named),
        (Ending::Format(named), Some(asked)) if named == asked => Ok(asked),
        (Ending::Format(named), Some(asked)) => Err(CommandError::idle(
            "format",
            format!("{} contradicts the name of --output {shown}, which says {}", asked.name(), named.name()),
            "leave --format out, or name the file by its format",
        )),
        (Ending::Page, _) => Err(CommandError::usage(
            format!("--output {shown}: a result is not written so"),
            format!("pages come from simic report; a result ends in {ENDINGS}, a picture in .svg"),
        )),
        (Ending::Unknown, Some(asked)) => Ok(asked),
        (Ending::Unknown, None) => Err(CommandError::usage(
            format!("--output {shown}: the name does not say the format"),
            format!("end it in {ENDINGS}; or say --format"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_its_format() {
        let of = |asked, name: &str| format_of(asked, Some(Path::new(name))).ok();
        for (name, format) in [
            ("a.json", FormatArg::Json),
            ("a.jsonl", FormatArg::Ndjson),
            ("a.b.CSV", FormatArg::Csv),
            ("x/y.md", FormatArg::Markdown),
            ("a.txt", FormatArg::Table),
            ("a.parquet", FormatArg::Parquet),
            ("a.feather", FormatArg::Arrow),
            ("a.svg", FormatArg::Svg),
            ("a.png", FormatArg::Png),
            ("a.pdf", FormatArg::Pdf),
            ("a.vl.json", FormatArg::VegaLite),
        ] {
            assert_eq!(of(None, name), Some(format), "{name}");
            assert_eq!(of(Some(format), name), Some(format), "{name}");
            assert_eq!(of(Some(FormatArg::Github), name), None, "{name}");
        }
        // Nothing is said, then what was asked counts; and nothing was asked either.
        assert_eq!(of(Some(FormatArg::Json), "result"), Some(FormatArg::Json));
        assert_eq!(of(None, "result"), None);
        assert_eq!(of(None, "result.xyz"), None);
        assert_eq!((of(None, "a.html"), of(Some(FormatArg::Json), "a.html")), (None, None));
        // Stdout has no name.
        assert_eq!(of(None, "-"), Some(FormatArg::Table));
        assert_eq!(of(Some(FormatArg::Csv), "/dev/stdout"), Some(FormatArg::Csv));
        assert_eq!(format_of(None, None).ok(), Some(FormatArg::Table));
    }
}
