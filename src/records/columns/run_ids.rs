//! Columns of run ids: text, or integers.

use polars_arrow::array::{BooleanArray, MutableBinaryViewArray, Utf8ViewArray};
use polars_arrow::datatypes::ArrowDataType;
use polars_buffer::Buffer;

use super::super::part::Column;
use super::bad_cells::{BadCells, report_null_keys};
use super::ints::{Ints, equal_run, ints};
use super::numbers::{numbers, primitive};
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

impl Texts {
    /// These ids, each with `word` and what `other` says of its row behind it.
    pub(in crate::records) fn joined(self, word: &str, other: &Self, n_rows: usize) -> Self {
        let join = |row: usize| format!("{}/{word}={}", self.get(row), other.get(row));
        if let (Self::Constant(_), Self::Constant(_)) = (&self, other) {
            return Self::Constant(join(0));
        }
        let mut joined = MutableBinaryViewArray::<str>::with_capacity(n_rows);
        let (mut row, mut other_end) = (0, 0);
        while row < n_rows {
            // Looked for once for each of its runs, within which this one's are looked for.
            if row >= other_end {
                other_end = other.run_end(row, n_rows);
            }
            let end = self.run_end(row, other_end);
            joined.extend_constant(end - row, Some(join(row)));
            row = end;
        }
        Self::Views(joined.into())
    }
}

/// A column whose cells are names of groups: text, or any scalar written out.
pub(in crate::records) fn labels(column: Column, name: &str, bad: &mut BadCells) -> Texts {
    let Column::Values(array) = &column else { return run_ids(column, name, bad) };
    let cells: Option<Vec<String>> = if let Some(states) = array.as_any().downcast_ref::<BooleanArray>() {
        Some(states.values_iter().map(|state| state.to_string()).collect())
    } else if is_float(array.dtype()) {
        numbers(&**array).map(|values| values.iter().map(ToString::to_string).collect())
    } else {
        None
    };
    let Some(cells) = cells else { return run_ids(column, name, bad) };
    report_null_keys(array.validity(), name, "a group", bad);
    Texts::Views(Utf8ViewArray::from_slice(cells.into_iter().map(Some).collect::<Vec<_>>()))
}

fn is_float(dtype: &ArrowDataType) -> bool {
    matches!(dtype, ArrowDataType::Float16 | ArrowDataType::Float32 | ArrowDataType::Float64)
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
