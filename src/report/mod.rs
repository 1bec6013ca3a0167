//! Documents to bytes: tables, JSON, CSV, Markdown, Parquet and Arrow IPC, written to any writer.

mod ablation;
mod asked;
mod check;
mod columnar;
mod comparison;
mod devices;
mod documents;
mod effects;
mod figure;
mod grid;
mod html;
mod inspection;
mod interactions;
mod jobs;
mod normalization;
mod order;
mod over_time;
mod page;
mod plot;
mod recorded;
mod screen;
mod sections;
mod shapley;
mod simulation;
mod slot_rows;
mod sources;
mod states;
mod statistics;
mod tidy;

pub use ablation::write_ablation;
pub use check::{CheckFormat, write_checks, write_recorded};
pub use comparison::{write_comparison, write_divisors};
pub use devices::write_devices;
pub use figure::{
    Figure, FigureKind, FigureSize, MarkRow, NoSuchFigure, Theme, ablation_figure, check_figure,
    comparison_figure, interaction_figure, normalization_figure, shapley_figure, write_pdf, write_png,
    write_svg, write_vega_lite,
};
pub use grid::{Column, Fitted, Grid};
pub use html::{HtmlPage, HtmlSection, HtmlTable, write_html};
pub use inspection::write_inspection;
pub use interactions::{InteractionRows, write_interactions};
pub use jobs::{write_job, write_job_status};
pub use normalization::write_normalization;
pub use page::{Page, Tone};
pub use screen::{Glyphs, Paint, Screen, USUAL_WIDTH};
pub use sections::page_of;
pub use shapley::write_shapley;
pub use simulation::write_truth;
pub use slot_rows::{ShapleyRows, SlotRows};
pub use states::{write_merge, write_verification};
pub use statistics::write_statistics;
pub use tidy::{Tidy, TidyTable, Values};

/// Format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
    /// A Markdown table.
    Markdown,
    /// One typed table as Parquet.
    Parquet,
    /// One typed table as Arrow IPC (a file, not a stream).
    Arrow,
}

impl Format {
    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Markdown => "markdown",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// Whether it is no text: never for a terminal.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}
