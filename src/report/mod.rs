//! Documents to bytes: tables, JSON, CSV, Markdown, written to any writer.

mod ablation;
mod check;
mod comparison;
mod devices;
mod grid;
mod inspection;
mod interactions;
mod normalization;
mod shapley;
mod simulation;
mod states;

pub use ablation::write_ablation;
pub use check::{CheckFormat, write_checks, write_recorded};
pub use comparison::{write_comparison, write_divisors};
pub use devices::write_devices;
pub use grid::{Align, Grid};
pub use inspection::write_inspection;
pub use interactions::{InteractionRows, write_interactions};
pub use normalization::write_normalization;
pub use shapley::write_shapley;
pub use simulation::write_truth;
pub use states::{write_merge, write_verification};

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
        }
    }
}
