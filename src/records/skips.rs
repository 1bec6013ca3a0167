//! What reading left out.

use std::collections::BTreeMap;

/// What was left out, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkipReport {
    /// Rows left out, by reason.
    pub rows: BTreeMap<&'static str, u64>,
    /// Files left out, by reason.
    pub files: BTreeMap<&'static str, u64>,
}

impl SkipReport {
    /// Rows left out in all.
    pub fn n_rows(&self) -> u64 {
        self.rows.values().sum()
    }

    /// Files left out in all.
    pub fn n_files(&self) -> u64 {
        self.files.values().sum()
    }

    /// One line for people; `None` if nothing was left out.
    pub fn describe(&self) -> Option<String> {
        let list = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(reason, n)| format!("{n} {reason}")).collect::<Vec<_>>().join(", ")
        };
        let mut parts = Vec::new();
        if self.n_rows() > 0 {
            let noun = if self.n_rows() == 1 { "row" } else { "rows" };
            parts.push(format!("{} {noun} left out ({})", self.n_rows(), list(&self.rows)));
        }
        if self.n_files() > 0 {
            let noun = if self.n_files() == 1 { "file" } else { "files" };
            parts.push(format!("{} {noun} left out ({})", self.n_files(), list(&self.files)));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
