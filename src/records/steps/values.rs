//! The values of step rows: one row of numbers after the other.

use polars_arrow::array::{Array, FixedSizeListArray, PrimitiveArray};
use polars_arrow::datatypes::ArrowDataType;
use polars_buffer::Buffer;
use rayon::prelude::*;

use super::super::columns::{self, BadCell, BadCells};
use super::super::error::Problem;
use super::super::part::Column;
use super::super::table::describe_type;
use super::skips::PLACES_KEPT;
use crate::stats::{RowMoments, Rows};

/// Rows turned from columns at once.
const ROWS_AT_ONCE: usize = 64;

/// Row-major values; stored singles stay singles.
#[derive(Debug, Clone)]
pub enum StepValues {
    /// As recorders usually store them.
    F32(Buffer<f32>),
    /// Doubles, or integers made doubles.
    F64(Buffer<f64>),
}

impl StepValues {
    /// The values as rows.
    pub fn rows(&self) -> Rows<'_> {
        match self {
            Self::F32(values) => Rows::F32(values),
            Self::F64(values) => Rows::F64(values),
        }
    }

    /// Values `range`, shared.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::F32(values) => Self::F32(values.clone().sliced(range)),
            Self::F64(values) => Self::F64(values.clone().sliced(range)),
        }
    }

    /// The rows at `places`, copied.
    #[must_use]
    pub(super) fn gather(&self, places: &[usize], width: usize) -> Self {
        fn rows<T: Copy>(values: &[T], places: &[usize], width: usize) -> Vec<T> {
            places.iter().flat_map(|row| values[row * width..(row + 1) * width].iter().copied()).collect()
        }
        match self {
            Self::F32(values) => Self::F32(rows(values, places, width).into()),
            Self::F64(values) => Self::F64(rows(values, places, width).into()),
        }
    }

    /// At 64 bits.
    #[must_use]
    pub(super) fn widened(self) -> Self {
        match self {
            Self::F32(values) => {
                Self::F64(values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>().into())
            }
            values @ Self::F64(_) => values,
        }
    }

    /// All of them, one after the other.
    pub(super) fn join(parts: &[&Self]) -> Self {
        let single = |part: &&Self| match part {
            Self::F32(values) => Some(values.clone()),
            Self::F64(_) => None,
        };
        if let Some(parts) = parts.iter().map(single).collect::<Option<Vec<_>>>() {
            let parts: Vec<&[f32]> = parts.iter().map(Buffer::as_slice).collect();
            return Self::F32(parts.concat().into());
        }
        let doubles = parts.iter().flat_map(|part| {
            let rows = part.rows();
            (0..rows.len()).map(move |i| rows.get(i))
        });
        Self::F64(doubles.collect::<Vec<f64>>().into())
    }
}

/// Values as an array of lists of `width` numbers each.
pub(in crate::records) fn to_store(values: &StepValues, n_rows: usize, width: usize) -> Box<dyn Array> {
    let flat: Box<dyn Array> = match values {
        StepValues::F32(values) => {
            Box::new(PrimitiveArray::<f32>::new(ArrowDataType::Float32, values.clone(), None))
        }
        StepValues::F64(values) => {
            Box::new(PrimitiveArray::<f64>::new(ArrowDataType::Float64, values.clone(), None))
        }
    };
    let dtype = FixedSizeListArray::default_datatype(flat.dtype().clone(), width);
    Box::new(FixedSizeListArray::new(dtype, n_rows, flat, None))
}

/// The values of such an array.
pub(super) fn of_stored(array: &dyn Array) -> StepValues {
    let lists = array.as_any().downcast_ref::<FixedSizeListArray>();
    let Some(flat) = lists.map(FixedSizeListArray::values) else { unreachable!("stored as such lists") };
    if let Some(single) = flat.as_any().downcast_ref::<PrimitiveArray<f32>>() {
        StepValues::F32(single.values().clone())
    } else if let Some(double) = flat.as_any().downcast_ref::<PrimitiveArray<f64>>() {
        StepValues::F64(double.values().clone())
    } else {
        unreachable!("stored as numbers")
    }
}

/// Whether a column of this type holds 32-bit numbers, or lists of them.
pub(super) fn is_single(dtype: &ArrowDataType) -> bool {
    match dtype {
        ArrowDataType::Float32 => true,
        ArrowDataType::List(field)
        | ArrowDataType::LargeList(field)
        | ArrowDataType::FixedSizeList(field, _) => is_single(&field.dtype),
        _ => false,
    }
}

/// Values per row of an array of lists or numbers; `None` without a row, or for another type.
pub(super) fn width(array: &dyn Array) -> Option<usize> {
    if columns::is_numeric(array.dtype()) {
        return Some(1);
    }
    let mut bad = BadCells::default();
    let lists = columns::lists(Column::Values(array.to_boxed()), "", "", &mut bad)?;
    let is_there = |row: &usize| array.validity().is_none_or(|validity| validity.get_bit(*row));
    let first = (0..array.len()).find(is_there)?;
    let is_numeric = columns::numbers(&*lists.values).is_some();
    is_numeric.then(|| lists.range(first).len()).filter(|width| *width > 0)
}

/// Reads the value columns, each of lists of so many numbers or of one number: a row is what they hold one after the
/// other.
pub(super) fn read(
    names: &[String],
    widths: &[usize],
    n_rows: usize,
    array: impl Fn(&String) -> Option<Box<dyn Array>>,
    bad: &mut BadCells,
) -> StepValues {
    let arrays: Vec<Box<dyn Array>> = names.iter().filter_map(&array).collect();
    let values = if let [only] = &arrays[..]
        && !columns::is_numeric(only.dtype())
        && columns::texts(&**only).is_none()
    {
        read_lists(&**only, &names[0], widths[0], n_rows, bad)
    } else if arrays.iter().any(|array| columns::is_list(array.dtype())) {
        let column = |place: usize| {
            let array = &arrays[place];
            if columns::is_list(array.dtype()) {
                read_lists(&**array, &names[place], widths[place], n_rows, bad)
            } else {
                read_columns(&arrays[place..=place], &names[place..=place], n_rows, bad)
            }
        };
        let parts: Vec<StepValues> = (0..arrays.len()).map(column).collect();
        side_by_side(&parts, widths, n_rows)
    } else {
        read_columns(&arrays, names, n_rows, bad)
    };
    report_non_finite(&values, names, widths.iter().sum(), bad);
    values
}

/// Rows of several columns of lists: what each holds of a row, one after the other.
fn side_by_side(parts: &[StepValues], widths: &[usize], n_rows: usize) -> StepValues {
    fn rows<T: Copy + Default>(parts: &[&[T]], widths: &[usize], n_rows: usize) -> Vec<T> {
        let mut rows = Vec::with_capacity(n_rows * widths.iter().sum::<usize>());
        for row in 0..n_rows {
            for (part, width) in parts.iter().zip(widths) {
                rows.extend_from_slice(&part[row * width..(row + 1) * width]);
            }
        }
        rows
    }
    let single = |part: &StepValues| match part {
        StepValues::F32(values) => Some(values.clone()),
        StepValues::F64(_) => None,
    };
    if let Some(singles) = parts.iter().map(single).collect::<Option<Vec<_>>>() {
        let slices: Vec<&[f32]> = singles.iter().map(Buffer::as_slice).collect();
        return StepValues::F32(rows(&slices, widths, n_rows).into());
    }
    let doubles: Vec<Buffer<f64>> = (parts.iter())
        .map(|part| match part.clone().widened() {
            StepValues::F64(values) => values,
            StepValues::F32(_) => unreachable!("widened"),
        })
        .collect();
    let slices: Vec<&[f64]> = doubles.iter().map(Buffer::as_slice).collect();
    StepValues::F64(rows(&slices, widths, n_rows).into())
}

fn read_columns(
    arrays: &[Box<dyn Array>],
    names: &[String],
    n_rows: usize,
    bad: &mut BadCells,
) -> StepValues {
    let singles: Option<Vec<&PrimitiveArray<f32>>> =
        arrays.iter().map(|array| array.as_any().downcast_ref::<PrimitiveArray<f32>>()).collect();
    // One null of a row is enough: there may be as many as values.
    let mut has_null = Vec::new();
    for (array, name) in arrays.iter().zip(names) {
        for row in columns::nulls(array.validity()) {
            has_null.resize(n_rows, false);
            if !std::mem::replace(&mut has_null[row], true) {
                bad.push(row, name, Problem::Null("a number"));
            }
        }
    }
    if let Some(singles) = singles {
        let columns: Vec<&[f32]> = singles.iter().map(|array| array.values().as_slice()).collect();
        return StepValues::F32(interleave(&columns, n_rows).into());
    }
    let mut doubles = Vec::with_capacity(arrays.len());
    for (d, (array, name)) in arrays.iter().zip(names).enumerate() {
        doubles.push(columns::numbers(&**array).unwrap_or_else(|| {
            let mut found = BadCells::default();
            let values = columns::finite_floats(Column::Values(array.clone()), name, n_rows, &mut found);
            let told = found.cells.into_iter().filter(|cell| !matches!(cell.problem, Problem::Null(_)));
            bad.cells.extend(told.map(|cell| BadCell { position: d, ..cell }));
            values
        }));
    }
    let columns: Vec<&[f64]> = doubles.iter().map(Buffer::as_slice).collect();
    StepValues::F64(interleave(&columns, n_rows).into())
}

/// Moments of a column of finite numbers, `rows` at a time; `None` for anything else.
pub(super) fn column_moments(array: &dyn Array, rows: usize) -> Option<Vec<RowMoments>> {
    fn moments<T>(values: &[T], rows: usize) -> Option<Vec<RowMoments>>
    where
        T: Copy + std::ops::Mul<Output = T> + std::ops::AddAssign + Default + Into<f64>,
    {
        all_finite(values).then(|| values.chunks(rows.max(1)).map(RowMoments::of_column).collect())
    }
    if array.null_count() > 0 {
        return None;
    }
    if let Some(single) = array.as_any().downcast_ref::<PrimitiveArray<f32>>() {
        moments(single.values(), rows)
    } else {
        moments(&array.as_any().downcast_ref::<PrimitiveArray<f64>>()?.values()[..], rows)
    }
}

/// Columns to rows, so many rows at once as stay in the cache.
fn interleave<T: Copy + Default + Send + Sync>(columns: &[&[T]], n_rows: usize) -> Vec<T> {
    if let [only] = columns {
        return only.to_vec();
    }
    let width = columns.len();
    let mut rows = vec![T::default(); n_rows * width];
    rows.par_chunks_mut(ROWS_AT_ONCE * width).enumerate().for_each(|(group, rows)| {
        let start = group * ROWS_AT_ONCE;
        for (d, column) in columns.iter().enumerate() {
            let column = &column[start..start + rows.len() / width];
            for (row, value) in rows.chunks_exact_mut(width).zip(column) {
                row[d] = *value;
            }
        }
    });
    rows
}

fn read_lists(array: &dyn Array, name: &str, width: usize, n_rows: usize, bad: &mut BadCells) -> StepValues {
    let empty = || StepValues::F64(vec![0.0; n_rows * width].into());
    let Some(lists) = columns::lists(Column::Values(array.to_boxed()), name, "a list of numbers", bad) else {
        return empty();
    };
    let is_null = |row: usize| array.validity().is_some_and(|validity| !validity.get_bit(row));
    let mut is_even = true;
    for row in 0..n_rows {
        let found = lists.range(row).len();
        if found != width {
            is_even = false;
            if !is_null(row) {
                bad.push(row, name, Problem::ObservationWidth { found, expected: width });
            }
        }
    }
    if let Some(validity) = lists.values.validity().filter(|validity| validity.unset_bits() > 0) {
        for (position, _) in validity.iter().enumerate().filter(|(_, is_valid)| !is_valid) {
            let row = lists.offsets.partition_point(|offset| *offset <= position).saturating_sub(1);
            if bad.cells.last().is_none_or(|last| last.row != row) {
                bad.push(row, name, Problem::Null("a number"));
            }
        }
    }
    let Some(first) = lists.offsets.first().copied() else { return empty() };
    if let Some(single) = lists.values.as_any().downcast_ref::<PrimitiveArray<f32>>() {
        let values = single.values();
        return if is_even {
            StepValues::F32(values.clone().sliced(first..first + n_rows * width))
        } else {
            StepValues::F32(even_rows(values, &lists, width, n_rows).into())
        };
    }
    let Some(values) = columns::numbers(&*lists.values) else {
        let found = describe_type(array.dtype());
        bad.whole(name, "lists of numbers", found);
        return empty();
    };
    if is_even {
        StepValues::F64(values.sliced(first..first + n_rows * width))
    } else {
        StepValues::F64(even_rows(&values, &lists, width, n_rows).into())
    }
}

/// Rows of one width, zeros in place of rows of another: those are bad and left out later.
fn even_rows<T: Copy + Default>(values: &[T], lists: &columns::Lists, width: usize, n_rows: usize) -> Vec<T> {
    let mut rows = vec![T::default(); n_rows * width];
    for row in 0..n_rows {
        let range = lists.range(row);
        if range.len() == width {
            rows[row * width..(row + 1) * width].copy_from_slice(&values[range]);
        }
    }
    rows
}

/// Tells every cell that is not a finite number.
fn report_non_finite(values: &StepValues, names: &[String], width: usize, bad: &mut BadCells) {
    let is_sound = match values {
        StepValues::F32(values) => all_finite(values),
        StepValues::F64(values) => all_finite(values),
    };
    if is_sound {
        return;
    }
    let rows = values.rows();
    let n_before = bad.cells.len();
    for position in 0..rows.len() {
        let value = rows.get(position);
        // Of a recording that has diverged every value is bad: after the first ones a row has one cell that stands for all.
        let is_told = bad.cells.len() < n_before + PLACES_KEPT;
        if !value.is_finite() && (is_told || !bad.joins_last(position / width)) {
            let name = names.get(if names.len() == width { position % width } else { 0 });
            let name = name.map_or("", String::as_str);
            bad.push_at(position / width, name, Problem::NonFinite(value), position % width);
        }
    }
}

/// One pass without branches: 0 x is 0 for a finite x and NaN for any other, and NaN stays.
fn all_finite<T>(values: &[T]) -> bool
where
    T: Copy + std::ops::Mul<Output = T> + std::ops::AddAssign + Default + Into<f64>,
{
    let zero = T::default();
    let mut lanes = [zero; 16];
    let groups = values.chunks_exact(16);
    for x in groups.remainder() {
        lanes[0] += zero * *x;
    }
    for group in groups {
        for (lane, x) in lanes.iter_mut().zip(group) {
            *lane += zero * *x;
        }
    }
    lanes.iter().all(|lane| !(*lane).into().is_nan())
}

#[cfg(test)]
mod tests {
    use polars_arrow::bitmap::Bitmap;

    use super::*;

    /// Cells told of so many rows of `width` columns.
    fn told(columns: &[PrimitiveArray<f32>], n_rows: usize) -> BadCells {
        let names: Vec<String> = (0..columns.len()).map(|d| format!("obs_{d}")).collect();
        let widths = vec![1; names.len()];
        let mut bad = BadCells::default();
        let array = |name: &String| -> Option<Box<dyn Array>> {
            names.iter().position(|own| own == name).map(|d| columns[d].clone().boxed())
        };
        read(&names, &widths, n_rows, array, &mut bad);
        bad
    }

    #[test]
    fn bad_cells_are_no_more_than_rows_and_the_first_places() {
        let (n_rows, width) = (50, 40);
        let diverged = told(&vec![PrimitiveArray::from_vec(vec![f32::NAN; n_rows]); width], n_rows);
        assert!(diverged.cells.len() <= n_rows + PLACES_KEPT, "{}", diverged.cells.len());
        let all: u64 = diverged.cells.iter().map(|cell| 1 + cell.more).sum();
        assert_eq!(all, (n_rows * width) as u64);
        let first: Vec<usize> = diverged.cells[..PLACES_KEPT].iter().map(|cell| cell.position).collect();
        assert_eq!(first, (0..PLACES_KEPT).collect::<Vec<_>>());

        let validity = Some(Bitmap::new_zeroed(n_rows));
        let null = PrimitiveArray::from_vec(vec![0.0f32; n_rows]).with_validity(validity);
        let missing = told(&vec![null; width], n_rows);
        assert_eq!(missing.cells.len(), n_rows);
    }
}
