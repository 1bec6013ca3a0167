//! Columns of integers.

use polars_buffer::Buffer;

use super::super::error::Problem;
use super::super::part::Column;
use super::super::table::describe_type;
use super::bad_cells::{BadCells, report_null_keys};
use super::numbers::{numbers, primitive, with_integers};

/// Integers of a key column.
#[derive(Debug)]
pub(in crate::records) enum Ints {
    Constant(i64),
    Values(Buffer<i64>),
}

impl Ints {
    #[inline]
    pub(in crate::records) fn get(&self, row: usize) -> i64 {
        match self {
            Self::Constant(value) => *value,
            Self::Values(values) => values[row],
        }
    }

    /// End of the run of equal values that begins at `start`, at most `end`.
    pub(in crate::records) fn run_end(&self, start: usize, end: usize) -> usize {
        match self {
            Self::Constant(_) => end,
            Self::Values(values) => equal_run(values, start, end),
        }
    }
}

/// End of the equal values that begin at `start`, at most `end`.
pub(in crate::records) fn equal_run<T: PartialEq>(values: &[T], start: usize, end: usize) -> usize {
    let first = &values[start];
    values[start..end].iter().position(|value| value != first).map_or(end, |length| start + length)
}

/// A key column of integers without nulls.
#[allow(
    clippy::unnecessary_fallible_conversions,
    clippy::useless_conversion,
    reason = "one body serves every integer type"
)]
pub(in crate::records) fn ints(column: Column, name: &str, bad: &mut BadCells) -> Ints {
    let array = match column {
        Column::ConstantInt(value) => return Ints::Constant(value),
        Column::ConstantText(text) => {
            bad.whole(name, "integers", format!("the text '{text}'"));
            return Ints::Constant(0);
        }
        Column::Values(array) => array,
    };
    let is_null = |row: usize| array.validity().is_some_and(|validity| !validity.get_bit(row));
    report_null_keys(array.validity(), name, "an integer", bad);
    if let Some(array) = primitive::<i64>(&*array) {
        return Ints::Values(array.values().clone());
    }
    let values = with_integers!(&*array, |typed| typed
        .values()
        .iter()
        .enumerate()
        .map(|(row, value)| i64::try_from(*value).unwrap_or_else(|_| {
            if !is_null(row) {
                let expected = "an integer below 2^63";
                bad.key(row, name, Problem::WrongType { expected, found: value.to_string() });
            }
            0
        }))
        .collect::<Vec<i64>>());
    if let Some(values) = values {
        return Ints::Values(values.into());
    }
    // Whole numbers stored as floats, as pandas does to columns that once had nulls.
    if let Some(floats) = numbers(&*array) {
        for (row, value) in floats.iter().enumerate() {
            if !is_null(row) && (value.fract() != 0.0 || value.abs() > 9e15) {
                bad.key(row, name, Problem::WrongType { expected: "an integer", found: value.to_string() });
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "rows with anything but small whole numbers are bad"
        )]
        return Ints::Values(floats.iter().map(|value| *value as i64).collect::<Vec<i64>>().into());
    }
    bad.whole(name, "integers", describe_type(array.dtype()));
    Ints::Constant(0)
}

/// A column of optional integers (a null is a value of its own).
pub(in crate::records) fn optional_ints(
    column: Column,
    name: &str,
    n_rows: usize,
    bad: &mut BadCells,
) -> Vec<Option<i64>> {
    let validity = match &column {
        Column::Values(array) => array.validity().cloned(),
        _ => None,
    };
    let mut found = BadCells::default();
    let ints = ints(column, name, &mut found);
    let found = found.into_values().cells.into_iter();
    bad.cells.extend(found.filter(|cell| !matches!(cell.problem, Problem::Null(_))));
    let is_valid = |row: usize| validity.as_ref().is_none_or(|validity| validity.get_bit(row));
    (0..n_rows).map(|row| is_valid(row).then(|| ints.get(row))).collect()
}
