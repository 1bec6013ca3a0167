//! Columns of lists.

use polars_arrow::array::{Array, FixedSizeListArray, ListArray};

use super::super::part::Column;
use super::super::table::describe_type;
use super::bad_cells::{BadCells, report_nulls};

/// Lists of one part: each row's range in a flat array of values.
#[derive(Debug)]
pub(in crate::records) struct Lists {
    pub(in crate::records) offsets: Vec<usize>,
    pub(in crate::records) values: Box<dyn Array>,
}

impl Lists {
    #[inline]
    pub(in crate::records) fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }
}

/// A column of lists without null lists; `None` (and a bad cell) for other types.
pub(in crate::records) fn lists(
    column: Column,
    name: &str,
    what: &'static str,
    bad: &mut BadCells,
) -> Option<Lists> {
    let Column::Values(array) = column else {
        bad.whole(name, what, "a scalar".to_owned());
        return None;
    };
    report_nulls(array.validity(), name, what, bad);
    if let Some(list) = array.as_any().downcast_ref::<ListArray<i64>>() {
        let offsets =
            list.offsets().buffer().iter().map(|offset| usize::try_from(*offset).unwrap_or(0)).collect();
        return Some(Lists { offsets, values: list.values().clone() });
    }
    if let Some(list) = array.as_any().downcast_ref::<ListArray<i32>>() {
        let offsets =
            list.offsets().buffer().iter().map(|offset| usize::try_from(*offset).unwrap_or(0)).collect();
        return Some(Lists { offsets, values: list.values().clone() });
    }
    if let Some(list) = array.as_any().downcast_ref::<FixedSizeListArray>() {
        let width = list.values().len() / list.len().max(1);
        let offsets = (0..=list.len()).map(|row| row * width).collect();
        return Some(Lists { offsets, values: list.values().clone() });
    }
    bad.whole(name, what, describe_type(array.dtype()));
    None
}
