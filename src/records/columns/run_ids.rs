//! Columns of run ids: text, or integers.

use polars_arrow::array::Utf8ViewArray;
use polars_buffer::Buffer;

use super::super::part::Column;
use super::bad_cells::{BadCells, report_null_keys};
use super::ints::{Ints, equal_run, ints};
use super::numbers::primitive;
use super::texts::{same_view, texts};

/// Run ids: text, or integers written out.
#[derive(Debug)]
pub(in crate::records) enum Texts {
    Constant(String),
    Views(Utf8ViewArray),
    Ints(Buffer<i64>),
    /// Those above the greatest i64 have all their digits too.
    Unsigned(Buffer<u64>),
}

impl Texts {
    pub(in crate::records) fn get(&self, row: usize) -> String {
        match self {
            Self::Constant(text) => text.clone(),
            Self::Views(views) => views.value(row).to_owned(),
            Self::Ints(values) => values[row].to_string(),
            Self::Unsigned(values) => values[row].to_string(),
        }
    }

    /// End of the run of equal values that begins at `start`, at most `end`.
    pub(in crate::records) fn run_end(&self, start: usize, end: usize) -> usize {
        match self {
            Self::Constant(_) => end,
            Self::Views(array) => (start + 1..end).find(|row| !same_view(array, *row, start)).unwrap_or(end),
            Self::Ints(values) => equal_run(values, start, end),
            Self::Unsigned(values) => equal_run(values, start, end),
        }
    }
}

/// A column of run ids without nulls.
pub(in crate::records) fn run_ids(column: Column, name: &str, bad: &mut BadCells) -> Texts {
    let array = match column {
        Column::ConstantText(text) => return Texts::Constant(text),
        Column::ConstantInt(value) => return Texts::Constant(value.to_string()),
        Column::Values(array) => array,
    };
    if let Some(views) = texts(&*array) {
        report_null_keys(array.validity(), name, "a run id", bad);
        return Texts::Views(views);
    }
    if let Some(unsigned) = primitive::<u64>(&*array) {
        report_null_keys(array.validity(), name, "a run id", bad);
        return Texts::Unsigned(unsigned.values().clone());
    }
    match ints(Column::Values(array), name, bad) {
        Ints::Values(values) => Texts::Ints(values),
        Ints::Constant(value) => Texts::Constant(value.to_string()),
    }
}
