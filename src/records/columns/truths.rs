//! Arrays of truth values.

use polars_arrow::array::{Array, BooleanArray, Utf8ViewArray};
use polars_arrow::datatypes::ArrowDataType;

use super::super::error::Problem;
use super::super::part::Column;
use super::super::table::describe_type;
use super::bad_cells::BadCells;
use super::numbers::{is_numeric, numbers};
use super::texts::texts;

/// A column of truth values without nulls; a row of another value is bad and counts as false, a column of another
/// type is bad as a whole.
pub(in crate::records) fn truth_column(
    column: Column,
    name: &str,
    n_rows: usize,
    bad: &mut BadCells,
) -> Vec<bool> {
    let array = match column {
        Column::ConstantInt(value @ (0 | 1)) => return vec![value == 1; n_rows],
        Column::ConstantInt(value) => {
            for row in 0..n_rows {
                bad.push(row, name, not_a_truth(&value));
            }
            return vec![false; n_rows];
        }
        Column::ConstantText(text) => {
            let is_on = truth(&text);
            if is_on.is_none() {
                bad.whole(name, TRUTHS, format!("the text '{text}'"));
            }
            return vec![is_on.unwrap_or(false); n_rows];
        }
        Column::Values(array) => array,
    };
    let truths = truths(&*array, |row, problem| match row {
        Some(row) => bad.push(row, name, problem),
        None => bad.whole(name, TRUTHS, describe_type(array.dtype())),
    });
    truths.unwrap_or_else(|| vec![false; n_rows])
}

/// A column of flags: a null is no flag, as recorders leave them out of rows where nothing happened. A row of another
/// value is bad.
pub(in crate::records) fn flags(array: &dyn Array, name: &str, bad: &mut BadCells) -> Vec<bool> {
    if *array.dtype() == ArrowDataType::Null {
        return vec![false; array.len()];
    }
    let flags = truths(array, |row, problem| match (row, problem) {
        (_, Problem::Null(_)) => {}
        (Some(row), problem) => bad.push(row, name, problem),
        (None, _) => bad.whole(name, TRUTHS, describe_type(array.dtype())),
    });
    flags.unwrap_or_else(|| vec![false; array.len()])
}

/// Whether flags can be read from a column; if not, what is wrong with it.
pub(in crate::records) fn check_flag_type(dtype: &ArrowDataType) -> Result<(), Problem> {
    if matches!(dtype, ArrowDataType::Boolean | ArrowDataType::Null) || is_numeric(dtype) {
        return Ok(());
    }
    Err(Problem::WrongType { expected: TRUTHS, found: describe_type(dtype) })
}

const TRUTHS: &str = "true and false, 0 and 1, on and off, yes and no";

/// The state that a word stands for, in any case: `on` and `off`, `yes` and `no`, `with` and `without`, `true` and
/// `false`, `1` and `0`.
fn truth(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "with" | "1" | "1.0" => Some(true),
        "false" | "off" | "no" | "without" | "0" | "0.0" => Some(false),
        _ => None,
    }
}

fn words_to_truths(words: &Utf8ViewArray, tell: &mut impl FnMut(Option<usize>, Problem)) -> Vec<bool> {
    let states = words.iter().enumerate().map(|(position, word)| {
        let state = word.map(|word| (word, truth(word)));
        if let Some((word, None)) = state {
            tell(Some(position), Problem::WrongType { expected: TRUTHS, found: format!("'{word}'") });
        }
        state.and_then(|(_, is_on)| is_on).unwrap_or(false)
    });
    states.collect()
}

fn not_a_truth(value: &dyn std::fmt::Display) -> Problem {
    Problem::WrongType { expected: TRUTHS, found: value.to_string() }
}

/// Truth values: bool, or numbers that are 0 or 1. Each null or other value is told with its flat position
/// and counts as false; a column of another type is told once, at no position, and gives `None`.
#[expect(clippy::float_cmp, reason = "0 and 1 are stored exactly")]
pub(in crate::records) fn truths(
    array: &dyn Array,
    mut tell: impl FnMut(Option<usize>, Problem),
) -> Option<Vec<bool>> {
    let mut is_null = vec![false; 0];
    if let Some(validity) = array.validity().filter(|validity| validity.unset_bits() > 0) {
        is_null = validity.iter().map(|is_valid| !is_valid).collect();
        for (position, _) in is_null.iter().enumerate().filter(|(_, is_null)| **is_null) {
            tell(Some(position), Problem::Null("true or false"));
        }
    }
    let is_null = |position: usize| is_null.get(position).copied().unwrap_or(false);
    if let Some(array) = array.as_any().downcast_ref::<BooleanArray>() {
        return Some(array.values_iter().enumerate().map(|(i, is_on)| is_on && !is_null(i)).collect());
    }
    // An empty list column has no type to speak of.
    if array.is_empty() {
        return Some(Vec::new());
    }
    if let Some(words) = texts(array) {
        // Words none of which is a state are a column of something else.
        if words.iter().flatten().any(|word| truth(word).is_some()) {
            return Some(words_to_truths(&words, &mut tell));
        }
    }
    let Some(values) = numbers(array) else {
        tell(None, Problem::WrongType { expected: "true or false", found: describe_type(array.dtype()) });
        return None;
    };
    for (position, value) in values.iter().enumerate() {
        if *value != 0.0 && *value != 1.0 && !is_null(position) {
            tell(Some(position), not_a_truth(value));
        }
    }
    Some(values.iter().enumerate().map(|(i, value)| *value == 1.0 && !is_null(i)).collect())
}
