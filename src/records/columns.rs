//! Decoded columns to typed values, each malformed cell with its row.

use polars_arrow::array::{
    Array, BooleanArray, FixedSizeListArray, ListArray, PrimitiveArray, Utf8Array, Utf8ViewArray,
};
use polars_arrow::array::{DictionaryArray, View};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::types::NativeType;
use polars_buffer::Buffer;

use super::error::Problem;
use super::table::{Column, describe_type};

/// Malformed cells of one part: row within the part, column, problem. The first `DETAILED` keep their detail.
#[derive(Debug, Default)]
pub(super) struct BadCells {
    pub(super) cells: Vec<BadCell>,
}

#[derive(Debug)]
pub(super) struct BadCell {
    pub(super) row: usize,
    /// Position within a row of several values.
    pub(super) position: usize,
    pub(super) column: String,
    pub(super) problem: Problem,
}

impl BadCells {
    pub(super) fn push(&mut self, row: usize, column: &str, problem: Problem) {
        self.push_at(row, column, problem, 0);
    }

    pub(super) fn push_at(&mut self, row: usize, column: &str, problem: Problem, position: usize) {
        self.cells.push(BadCell { row, position, column: column.to_owned(), problem });
    }

    /// A bad column: every row is bad for the same reason, told once.
    fn whole(&mut self, column: &str, expected: &'static str, found: String) {
        self.push(0, column, Problem::WrongType { expected, found });
    }
}

/// The same cells in row order.
pub(super) fn sorted_by_row(mut bad: BadCells) -> BadCells {
    bad.cells.sort_by_key(|cell| cell.row);
    bad
}

/// Integers of a key column.
#[derive(Debug)]
pub(super) enum Ints {
    Constant(i64),
    Values(Buffer<i64>),
}

impl Ints {
    #[inline]
    pub(super) fn get(&self, row: usize) -> i64 {
        match self {
            Self::Constant(value) => *value,
            Self::Values(values) => values[row],
        }
    }

    /// End of the run of equal values that begins at `start`, at most `end`.
    pub(super) fn run_end(&self, start: usize, end: usize) -> usize {
        match self {
            Self::Constant(_) => end,
            Self::Values(values) => equal_run(values, start, end),
        }
    }
}

fn equal_run(values: &[i64], start: usize, end: usize) -> usize {
    let first = values[start];
    values[start..end].iter().position(|value| *value != first).map_or(end, |length| start + length)
}

pub(super) fn report_nulls(validity: Option<&Bitmap>, name: &str, what: &'static str, bad: &mut BadCells) {
    if let Some(validity) = validity.filter(|validity| validity.unset_bits() > 0) {
        for (row, is_valid) in validity.iter().enumerate() {
            if !is_valid {
                bad.push(row, name, Problem::Null(what));
            }
        }
    }
}

fn primitive<T: NativeType>(array: &dyn Array) -> Option<&PrimitiveArray<T>> {
    array.as_any().downcast_ref()
}

/// Runs `$body` with the array as a `PrimitiveArray` of whatever integer type it is, else gives `None`.
macro_rules! with_integers {
    ($array:expr, |$typed:ident| $body:expr) => {{
        let array: &dyn Array = $array;
        if let Some($typed) = primitive::<i64>(array) {
            Some($body)
        } else if let Some($typed) = primitive::<u64>(array) {
            Some($body)
        } else if let Some($typed) = primitive::<i32>(array) {
            Some($body)
        } else if let Some($typed) = primitive::<u32>(array) {
            Some($body)
        } else if let Some($typed) = primitive::<i16>(array) {
            Some($body)
        } else if let Some($typed) = primitive::<u16>(array) {
            Some($body)
        } else if let Some($typed) = primitive::<i8>(array) {
            Some($body)
        } else if let Some($typed) = primitive::<u8>(array) {
            Some($body)
        } else {
            None
        }
    }};
}

/// A column of integers without nulls.
#[allow(
    clippy::unnecessary_fallible_conversions,
    clippy::useless_conversion,
    reason = "one body serves every integer type"
)]
pub(super) fn ints(column: Column, name: &str, bad: &mut BadCells) -> Ints {
    let array = match column {
        Column::ConstantInt(value) => return Ints::Constant(value),
        Column::ConstantText(text) => {
            bad.whole(name, "integers", format!("the text '{text}'"));
            return Ints::Constant(0);
        }
        Column::Values(array) => array,
    };
    report_nulls(array.validity(), name, "an integer", bad);
    if let Some(array) = primitive::<i64>(&*array) {
        return Ints::Values(array.values().clone());
    }
    let values = with_integers!(&*array, |typed| typed
        .values()
        .iter()
        .map(|value| i64::try_from(*value).unwrap_or(i64::MAX))
        .collect::<Vec<i64>>());
    if let Some(values) = values {
        return Ints::Values(values.into());
    }
    // Whole numbers stored as floats, as pandas does to columns that once had nulls.
    if let Some(floats) = float_values(&*array) {
        for (row, value) in floats.iter().enumerate() {
            let is_null = array.validity().is_some_and(|validity| !validity.get_bit(row));
            if !is_null && (value.fract() != 0.0 || value.abs() > 9e15) {
                bad.push(row, name, Problem::WrongType { expected: "an integer", found: value.to_string() });
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
pub(super) fn optional_ints(
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
    bad.cells.extend(found.cells.into_iter().filter(|cell| !matches!(cell.problem, Problem::Null(_))));
    let is_valid = |row: usize| validity.as_ref().is_none_or(|validity| validity.get_bit(row));
    (0..n_rows).map(|row| is_valid(row).then(|| ints.get(row))).collect()
}

/// Coalition masks of one part.
#[derive(Debug)]
pub(super) enum Masks {
    /// One word of 32 bits per row, as stored.
    Narrow(Buffer<u32>),
    /// `words` words of 64 bits per row.
    Wide { words: usize, bits: Buffer<u64> },
}

impl Masks {
    /// Masks of one 64-bit word per row.
    pub(super) fn of_words(bits: Vec<u64>) -> Self {
        Self::Wide { words: 1, bits: bits.into() }
    }

    /// The first word of a row's mask.
    #[inline]
    pub(super) fn first_word(&self, row: usize) -> u64 {
        match self {
            Self::Narrow(bits) => u64::from(bits[row]),
            Self::Wide { words, bits } => bits[row * words],
        }
    }

    /// All words of a row's mask.
    pub(super) fn words(&self, row: usize) -> Vec<u64> {
        match self {
            Self::Narrow(bits) => vec![u64::from(bits[row])],
            Self::Wide { words, bits } => bits[row * words..(row + 1) * words].to_vec(),
        }
    }

    /// Union of the first words of a run of rows.
    pub(super) fn union(&self, rows: std::ops::Range<usize>) -> u64 {
        match self {
            Self::Narrow(bits) => u64::from(bits[rows].iter().fold(0, |union, mask| union | mask)),
            Self::Wide { words: 1, bits } => bits[rows].iter().fold(0, |union, mask| union | mask),
            Self::Wide { words, bits } => rows.fold(0, |union, row| union | bits[row * words]),
        }
    }
}

/// A column of coalition masks; one of another type yields empty masks and a bad cell.
#[allow(
    clippy::unnecessary_fallible_conversions,
    clippy::useless_conversion,
    reason = "one body serves every integer type"
)]
pub(super) fn masks(column: Column, name: &str, n_rows: usize, bad: &mut BadCells) -> Masks {
    let Column::Values(array) = column else {
        let found = "one value for all rows".to_owned();
        return match column {
            Column::ConstantInt(value) if value >= 0 => Masks::of_words(vec![value.cast_unsigned(); n_rows]),
            _ => {
                bad.whole(name, "unsigned integers", found);
                Masks::of_words(vec![0; n_rows])
            }
        };
    };
    report_nulls(array.validity(), name, "a mask", bad);
    if let Some(array) = primitive::<u32>(&*array) {
        return Masks::Narrow(array.values().clone());
    }
    if let Some(array) = primitive::<u64>(&*array) {
        return Masks::Wide { words: 1, bits: array.values().clone() };
    }
    let validity = array.validity().cloned();
    let is_valid = |row: usize| validity.as_ref().is_none_or(|validity| validity.get_bit(row));
    let converted = with_integers!(&*array, |typed| typed
        .values()
        .iter()
        .enumerate()
        .map(|(row, value)| {
            u64::try_from(*value).unwrap_or_else(|_| {
                if is_valid(row) {
                    let found = value.to_string();
                    bad.push(row, name, Problem::WrongType { expected: "an unsigned integer", found });
                }
                0
            })
        })
        .collect::<Vec<u64>>());
    Masks::of_words(converted.unwrap_or_else(|| {
        bad.whole(name, "unsigned integers", describe_type(array.dtype()));
        vec![0; n_rows]
    }))
}

/// Numbers as f64 whatever their stored width; `None` for other types. Nulls keep a filler.
#[allow(clippy::cast_lossless, reason = "one body serves every integer type")]
fn float_values(array: &dyn Array) -> Option<Buffer<f64>> {
    if let Some(array) = primitive::<f64>(array) {
        return Some(array.values().clone());
    }
    if let Some(array) = primitive::<f32>(array) {
        return Some(array.values().iter().map(|value| f64::from(*value)).collect::<Vec<_>>().into());
    }
    with_integers!(array, |typed| typed.values().iter().map(|value| *value as f64).collect::<Vec<_>>().into())
}

/// Whether values of this column can be read as numbers.
pub(super) fn is_numeric(dtype: &polars_arrow::datatypes::ArrowDataType) -> bool {
    let physical = dtype.to_physical_type();
    matches!(physical, polars_arrow::datatypes::PhysicalType::Primitive(_))
        && matches!(describe_type(dtype).as_bytes(), [b'i' | b'u' | b'f', b'0'..=b'9', ..])
}

/// A column of finite numbers without nulls.
pub(super) fn finite_floats(column: Column, name: &str, n_rows: usize, bad: &mut BadCells) -> Buffer<f64> {
    let array = match column {
        Column::ConstantInt(value) => return vec![value as f64; n_rows].into(),
        Column::ConstantText(text) => {
            bad.whole(name, "numbers", format!("the text '{text}'"));
            return vec![0.0; n_rows].into();
        }
        Column::Values(array) => array,
    };
    let Some(values) = float_values(&*array) else {
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

/// Text as views, whatever the encoding; `None` for other types.
pub(super) fn texts(array: &dyn Array) -> Option<Utf8ViewArray> {
    if let Some(array) = array.as_any().downcast_ref::<Utf8ViewArray>() {
        return Some(array.clone());
    }
    if let Some(array) = array.as_any().downcast_ref::<Utf8Array<i32>>() {
        return Some(Utf8ViewArray::from_slice(array.iter().collect::<Vec<_>>()));
    }
    if let Some(array) = array.as_any().downcast_ref::<Utf8Array<i64>>() {
        return Some(Utf8ViewArray::from_slice(array.iter().collect::<Vec<_>>()));
    }
    macro_rules! dictionary {
        ($($key:ty),*) => {$(
            if let Some(array) = array.as_any().downcast_ref::<DictionaryArray<$key>>() {
                let values = texts(array.values().as_ref())?;
                let gathered: Vec<Option<&str>> =
                    array.keys_iter().map(|key| key.and_then(|key| values.get(key))).collect();
                return Some(Utf8ViewArray::from_slice(gathered));
            }
        )*};
    }
    dictionary!(i8, i16, i32, i64, u8, u16, u32, u64);
    None
}

/// Run ids: text, or integers written out.
#[derive(Debug)]
pub(super) enum Texts {
    Constant(String),
    Views(Utf8ViewArray),
    Ints(Buffer<i64>),
}

impl Texts {
    pub(super) fn get(&self, row: usize) -> String {
        match self {
            Self::Constant(text) => text.clone(),
            Self::Views(views) => views.value(row).to_owned(),
            Self::Ints(values) => values[row].to_string(),
        }
    }

    /// End of the run of equal values that begins at `start`, at most `end`.
    pub(super) fn run_end(&self, start: usize, end: usize) -> usize {
        match self {
            Self::Constant(_) => end,
            Self::Views(array) => (start + 1..end).find(|row| !same_view(array, *row, start)).unwrap_or(end),
            Self::Ints(values) => equal_run(values, start, end),
        }
    }
}

/// Equality of two cells: by view where that decides, else by bytes.
#[inline]
pub(super) fn same_view(array: &Utf8ViewArray, a: usize, b: usize) -> bool {
    let views = array.views();
    let (view_a, view_b): (&View, &View) = (&views[a], &views[b]);
    if view_a.as_u128() == view_b.as_u128() {
        return true;
    }
    view_a.length == view_b.length
        && view_a.prefix == view_b.prefix
        && view_a.length > View::MAX_INLINE_SIZE
        && array.value(a) == array.value(b)
}

/// A column of run ids without nulls.
pub(super) fn run_ids(column: Column, name: &str, bad: &mut BadCells) -> Texts {
    let array = match column {
        Column::ConstantText(text) => return Texts::Constant(text),
        Column::ConstantInt(value) => return Texts::Constant(value.to_string()),
        Column::Values(array) => array,
    };
    if let Some(views) = texts(&*array) {
        report_nulls(array.validity(), name, "a run id", bad);
        return Texts::Views(views);
    }
    match ints(Column::Values(array), name, bad) {
        Ints::Values(values) => Texts::Ints(values),
        Ints::Constant(value) => Texts::Constant(value.to_string()),
    }
}

/// Lists of one part: each row's range in a flat array of values.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) offsets: Vec<usize>,
    pub(super) values: Box<dyn Array>,
}

impl Lists {
    #[inline]
    pub(super) fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }
}

/// A column of lists without null lists; `None` (and a bad cell) for other types.
pub(super) fn lists(column: Column, name: &str, what: &'static str, bad: &mut BadCells) -> Option<Lists> {
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

/// Truth values: bool, or integers that are 0 or 1. Each null or other value is told with its flat position
/// and counts as false; a column of another type is told once, at no position, and gives `None`.
#[expect(clippy::float_cmp, reason = "0 and 1 are stored exactly")]
pub(super) fn truths(array: &dyn Array, mut tell: impl FnMut(Option<usize>, Problem)) -> Option<Vec<bool>> {
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
    let Some(values) = float_values(array) else {
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

/// Finite check left to the caller: numbers of a list's flat values.
pub(super) fn numbers(array: &dyn Array) -> Option<Buffer<f64>> {
    float_values(array)
}
