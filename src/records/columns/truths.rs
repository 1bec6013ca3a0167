//! Arrays of truth values.

use polars_arrow::array::{Array, BooleanArray};

use super::super::error::Problem;
use super::super::table::describe_type;
use super::numbers::numbers;

/// Truth values: bool, or integers that are 0 or 1. Each null or other value is told with its flat position
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
    let Some(values) = numbers(array) else {
        tell(None, Problem::WrongType { expected: "true or false", found: describe_type(array.dtype()) });
        return None;
    };
    for (position, value) in values.iter().enumerate() {
        if *value != 0.0 && *value != 1.0 && !is_null(position) {
            let found = value.to_string();
            tell(Some(position), Problem::WrongType { expected: "a truth value", found });
        }
    }
    Some(values.iter().enumerate().map(|(i, value)| *value == 1.0 && !is_null(i)).collect())
}
