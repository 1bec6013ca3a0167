//! Columns of lists.

use polars_arrow::array::{Array, FixedSizeListArray, ListArray, Utf8ViewArray};
use polars_arrow::datatypes::ArrowDataType;
use polars_arrow::offset::Offsets;

use super::super::error::Problem;
use super::super::literal;
use super::super::part::Column;
use super::super::table::describe_type;
use super::bad_cells::{BadCells, report_nulls};
use super::texts::texts;

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

/// Whether cells of this type are lists.
pub(in crate::records) fn is_list(dtype: &ArrowDataType) -> bool {
    matches!(dtype, ArrowDataType::List(_) | ArrowDataType::LargeList(_) | ArrowDataType::FixedSizeList(..))
}

/// Whether cells of this type are lists of lists, whatever a writer calls it: an extension stores what it is of.
fn is_nested(dtype: &ArrowDataType) -> bool {
    match dtype.to_storage() {
        ArrowDataType::List(field)
        | ArrowDataType::LargeList(field)
        | ArrowDataType::FixedSizeList(field, _) => is_list(field.dtype.to_storage()),
        _ => false,
    }
}

/// Lists of lists as lists of all their values in order, however deep; anything else as it is.
pub(in crate::records) fn flattened(array: Box<dyn Array>) -> Box<dyn Array> {
    // As many levels as a shape may have axes.
    let mut flat = array;
    for _ in 0..8 {
        let mut bad = BadCells::default();
        if !is_nested(flat.dtype()) || flat.null_count() > 0 {
            return flat;
        }
        let Some(outer) = lists(Column::Values(flat.clone()), "", "", &mut bad) else { return flat };
        if !is_list(outer.values.dtype().to_storage()) || outer.values.null_count() > 0 {
            return flat;
        }
        let Some(inner) = lists(Column::Values(outer.values), "", "", &mut bad) else { return flat };
        let ends = outer.offsets.iter().map(|end| inner.offsets.get(*end).map_or(0, |end| *end as i64));
        let Ok(offsets) = Offsets::try_from(ends.collect::<Vec<i64>>()) else { return flat };
        let dtype = ListArray::<i64>::default_datatype(inner.values.dtype().clone());
        flat = Box::new(ListArray::<i64>::new(dtype, offsets.into(), inner.values, None));
    }
    flat
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

/// A column of lists of names; text is a list too: `["a", "b"]`, `a,b` or `a+b`, nothing for nobody.
pub(in crate::records) fn name_lists(
    column: Column,
    name: &str,
    what: &'static str,
    n_rows: usize,
    bad: &mut BadCells,
) -> Option<Lists> {
    let Some(cells) = text_cells(&column, n_rows) else { return lists(column, name, what, bad) };
    // An empty cell of a CSV file is a null, and nobody.
    Some(split(&cells, |_, cell| {
        let cell = cell.unwrap_or_default().trim();
        if let Some(list) = literal::list(cell) {
            let text =
                |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            return list.into_iter().map(text).collect();
        }
        let names = cell.split([',', '+']).map(str::trim);
        if cell.is_empty() { Vec::new() } else { names.map(str::to_owned).collect() }
    }))
}

/// A column of lists of states; text is a list too: digits in a row (`1011`), or a list as JSON or Python write it.
pub(in crate::records) fn digit_lists(
    column: Column,
    name: &str,
    what: &'static str,
    n_rows: usize,
    bad: &mut BadCells,
) -> Option<Lists> {
    let Some(cells) = text_cells(&column, n_rows) else { return lists(column, name, what, bad) };
    Some(split(&cells, |row, cell| {
        let Some(cell) = cell else {
            bad.push(row, name, Problem::Null(what));
            return Vec::new();
        };
        if let Some(list) = literal::list(cell) {
            let text =
                |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            return list.into_iter().map(text).collect();
        }
        if !cell.chars().all(|digit| matches!(digit, '0' | '1')) {
            let expected = "0 and 1 in a row, such as 1011";
            bad.push(row, name, Problem::WrongType { expected, found: format!("'{cell}'") });
            return Vec::new();
        }
        cell.chars().map(String::from).collect()
    }))
}

/// The cells of a column of text; `None` for another type.
fn text_cells(column: &Column, n_rows: usize) -> Option<Utf8ViewArray> {
    match column {
        Column::ConstantInt(_) => None,
        Column::ConstantText(text) => Some(Utf8ViewArray::from_slice(vec![Some(text); n_rows])),
        Column::Values(array) => texts(&**array),
    }
}

fn split(cells: &Utf8ViewArray, mut items: impl FnMut(usize, Option<&str>) -> Vec<String>) -> Lists {
    let mut offsets = vec![0];
    let mut values: Vec<Option<String>> = Vec::new();
    for (row, cell) in cells.iter().enumerate() {
        values.extend(items(row, cell).into_iter().map(Some));
        offsets.push(values.len());
    }
    Lists { offsets, values: Box::new(Utf8ViewArray::from_slice(values)) }
}
