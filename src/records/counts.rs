//! What was left out, as documents count it.

use super::skips::SkipReport;
use super::steps::StepSkips;
use crate::results::{BadPlaceRow, Skipped, StepInput};

fn named(counts: &std::collections::BTreeMap<&'static str, u64>) -> std::collections::BTreeMap<String, u64> {
    counts.iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect()
}

impl From<&SkipReport> for Skipped {
    fn from(report: &SkipReport) -> Self {
        Self { rows: named(&report.rows), files: named(&report.files) }
    }
}

impl StepSkips {
    /// The counts as a document of `files` files holds them.
    pub fn document(&self, files: usize) -> StepInput {
        StepInput {
            files,
            skipped: self.report.n_rows(),
            skipped_by_reason: named(&self.report.rows),
            skipped_files: named(&self.report.files),
            non_finite_cells: self.n_bad_cells,
            non_finite_places: self
                .places
                .iter()
                .map(|place| BadPlaceRow {
                    file: place.file.clone(),
                    row: place.row,
                    dimension: place.dimension,
                    value: place.value.to_string(),
                })
                .collect(),
        }
    }
}
