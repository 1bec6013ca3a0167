//! What was read and what was left out, as documents count it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files and rows behind a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputCounts {
    /// Files read.
    pub files: usize,
    /// Rows used.
    pub rows: u64,
}

/// What was left out, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Rows left out, by reason.
    pub rows: BTreeMap<String, u64>,
    /// Files left out, by reason.
    pub files: BTreeMap<String, u64>,
}

impl Skipped {
    /// Rows left out in all.
    pub fn n_rows(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// Steps read and left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepInput {
    /// Files read.
    pub files: usize,
    /// Rows left out.
    pub skipped: u64,
    /// Rows left out, by reason.
    pub skipped_by_reason: BTreeMap<String, u64>,
    /// Files left out, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_files: BTreeMap<String, u64>,
    /// Cells that are not finite.
    pub non_finite_cells: u64,
    /// The first of them.
    pub non_finite_places: Vec<BadPlaceRow>,
}

/// A cell that is not finite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BadPlaceRow {
    /// File.
    pub file: String,
    /// Row within the file.
    pub row: u64,
    /// Dimension.
    pub dimension: usize,
    /// What stands there.
    pub value: String,
}
