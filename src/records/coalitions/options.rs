//! What is asked of the coalition rows of files.

use super::super::schema::{ColumnMap, OnBad};
use crate::attribution::Repeats;

/// How coalition rows are to be read.
#[derive(Debug, Clone)]
pub struct CoalitionOptions {
    /// Column mapping.
    pub columns: ColumnMap,
    /// Value columns; empty for the first of `val_accuracy`, `val_loss` there is.
    pub values: Vec<String>,
    /// Slot ids of bare masks.
    pub slots: Option<Vec<String>>,
    /// Repeated rows for one coalition.
    pub repeats: Repeats,
    /// Malformed rows and files.
    pub on_bad: OnBad,
}
