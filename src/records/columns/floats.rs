//! Columns of finite numbers.

use polars_arrow::array::Array;
use polars_buffer::Buffer;

use super::super::error::Problem;
use super::super::part::Column;
use super::super::table::describe_type;
use super::bad_cells::{BadCells, report_nulls};
use super::numbers::numbers;
use super::texts::texts;

/// A column of finite numbers without nulls.
pub(in crate::records) fn finite_floats(
    column: Column,
    name: &str,
    n_rows: usize,
    bad: &mut BadCells,
) -> Buffer<f64> {
    let array = match column {
        Column::ConstantInt(value) => return vec![value as f64; n_rows].into(),
        Column::ConstantText(text) => {
            bad.whole(name, "numbers", format!("the text '{text}'"));
            return vec![0.0; n_rows].into();
        }
        Column::Values(array) => array,
    };
    let Some(values) = numbers(&*array) else {
        return parsed_floats(&*array, name, bad);
    };
    report_nulls(array.validity(), name, "a number", bad);
    // One pass without branches: 0 x is 0 for a finite x and NaN for any other, and NaN stays.
    let probe: f64 = values.iter().map(|value| 0.0 * value).sum();
    if probe.is_nan() {
        for (row, value) in values.iter().enumerate() {
            let is_null = array.validity().is_some_and(|validity| !validity.get_bit(row));
            if !value.is_finite() && !is_null {
                bad.push(row, name, Problem::NonFinite(*value));
            }
        }
    }
    values
}

/// Text that should have been numbers: the first cells that are not are named.
fn parsed_floats(array: &dyn Array, name: &str, bad: &mut BadCells) -> Buffer<f64> {
    let Some(text) = texts(array) else {
        bad.whole(name, "numbers", describe_type(array.dtype()));
        return vec![0.0; array.len()].into();
    };
    let cells =
        text.iter().enumerate().map(|(row, cell)| match cell.map(|cell| (cell, cell.parse::<f64>())) {
            Some((_, Ok(value))) if value.is_finite() => value,
            Some((_, Ok(value))) => {
                bad.push(row, name, Problem::NonFinite(value));
                0.0
            }
            Some((cell, Err(_))) => {
                bad.push(row, name, Problem::WrongType { expected: "a number", found: format!("'{cell}'") });
                0.0
            }
            None => {
                bad.push(row, name, Problem::Null("a number"));
                0.0
            }
        });
    cells.collect::<Vec<f64>>().into()
}
