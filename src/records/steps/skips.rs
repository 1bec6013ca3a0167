//! What streaming step rows left out.

use super::super::skips::SkipReport;

/// A cell that is not a finite number.
#[derive(Debug, Clone, PartialEq)]
pub struct BadPlace {
    /// File.
    pub file: String,
    /// Row.
    pub row: u64,
    /// Dimension within the row.
    pub dimension: usize,
    /// The value.
    pub value: f64,
}

/// Bad cells whose places are kept.
pub(super) const PLACES_KEPT: usize = 20;

/// What was found wrong and left out while streaming.
#[derive(Debug, Clone, Default)]
pub struct StepSkips {
    /// Rows and files by reason.
    pub report: SkipReport,
    /// Cells that are not finite, in all.
    pub n_bad_cells: u64,
    /// The first of them.
    pub places: Vec<BadPlace>,
}
