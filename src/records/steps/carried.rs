//! Columns carried along with their rows, of whatever type: gathered and joined as Arrow arrays.
//!
//! Text and bytes are carried as views, lists with 64-bit offsets, dictionaries as their values, maps as lists of their
//! entries: one layout of each kind, at every depth. Plain numbers, text and lists go through a polars series, whose gather is the fastest; what a series has no name for
//! (times, decimals, structs, 16-bit floats, ...) through an array builder, stretch by stretch of consecutive rows.

use polars::prelude::{CompatLevel, IdxSize, Series};
use polars_arrow::array::builder::{ArrayBuilder, ShareStrategy, make_builder};
use polars_arrow::array::{
    Array, BinaryArray, BinaryViewArray, DictionaryArray, DictionaryKey, FixedSizeListArray, ListArray,
    MapArray, PrimitiveArray, StructArray, Utf8Array, Utf8ViewArray,
};
use polars_arrow::compute::concatenate::concatenate;
use polars_arrow::datatypes::{ArrowDataType, Field, PhysicalType};
use polars_arrow::offset::{Offset, OffsetsBuffer};
use polars_arrow::types::PrimitiveType;

use super::super::error::{Problem, RecordError};
use super::super::part::decode;
use super::super::table::describe_type;

/// A column as it is carried.
///
/// # Errors
/// A type that rows cannot be picked of, or that a Parquet file has no place for.
pub(super) fn carried_column(
    file: &str,
    name: &str,
    array: &dyn Array,
) -> Result<Box<dyn Array>, RecordError> {
    let array = carriable(array);
    if is_plain(array.dtype()) || is_buildable(array.dtype()) {
        return Ok(array);
    }
    Err(RecordError::column(file, name, Problem::NotCarried(describe_type(array.dtype()))))
}

/// The array in a layout that can be gathered and written, at every depth.
pub(in crate::records) fn carriable(array: &dyn Array) -> Box<dyn Array> {
    match array.dtype().to_storage() {
        ArrowDataType::Dictionary(..) => plain(array).unwrap_or_else(|| array.to_boxed()),
        ArrowDataType::List(_)
        | ArrowDataType::LargeList(_)
        | ArrowDataType::Map(..)
        | ArrowDataType::FixedSizeList(..)
        | ArrowDataType::Struct(_) => nested(array).unwrap_or_else(|| array.to_boxed()),
        ArrowDataType::Date64 => days(array).unwrap_or_else(|| array.to_boxed()),
        _ => views(array).unwrap_or_else(|| array.to_boxed()),
    }
}

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Dates in milliseconds as dates in days, which is what Parquet has a place for; `None` where they are no whole days.
fn days(array: &dyn Array) -> Option<Box<dyn Array>> {
    let dates = array.as_any().downcast_ref::<PrimitiveArray<i64>>()?;
    let day = |date: Option<&i64>| match date {
        None => Some(None),
        Some(date) if date % DAY == 0 => Some(Some(i32::try_from(date / DAY).ok()?)),
        Some(_) => None,
    };
    let days: Vec<Option<i32>> = dates.iter().map(day).collect::<Option<_>>()?;
    Some(Box::new(PrimitiveArray::<i32>::from(days).to(ArrowDataType::Date32)))
}

/// Text and bytes as views.
fn views(array: &dyn Array) -> Option<Box<dyn Array>> {
    fn text<O: Offset>(array: &dyn Array) -> Option<Box<dyn Array>> {
        let text = array.as_any().downcast_ref::<Utf8Array<O>>()?;
        Some(Box::new(Utf8ViewArray::from_slice(text.iter().collect::<Vec<Option<&str>>>())))
    }
    fn bytes<O: Offset>(array: &dyn Array) -> Option<Box<dyn Array>> {
        let bytes = array.as_any().downcast_ref::<BinaryArray<O>>()?;
        Some(Box::new(BinaryViewArray::from_slice(bytes.iter().collect::<Vec<Option<&[u8]>>>())))
    }
    [text::<i32>, text::<i64>, bytes::<i32>, bytes::<i64>].into_iter().find_map(|of| of(array))
}

/// Columns of columns, what is in them carriable too.
fn nested(array: &dyn Array) -> Option<Box<dyn Array>> {
    let any = array.as_any();
    let validity = array.validity().cloned();
    let within = |field: &Field, inner: &dyn Array| {
        Field::new(field.name.clone(), inner.dtype().clone(), field.is_nullable)
    };
    let lists = |field: &Field, offsets: OffsetsBuffer<i64>, values: &dyn Array| -> Box<dyn Array> {
        let inner = carriable(values);
        let dtype = ArrowDataType::LargeList(Box::new(within(field, &*inner)));
        Box::new(ListArray::<i64>::new(dtype, offsets, inner, validity.clone()))
    };
    Some(match array.dtype().to_storage() {
        ArrowDataType::List(field) => {
            let array = any.downcast_ref::<ListArray<i32>>()?;
            lists(field, array.offsets().into(), &**array.values())
        }
        ArrowDataType::LargeList(field) => {
            let array = any.downcast_ref::<ListArray<i64>>()?;
            lists(field, array.offsets().clone(), &**array.values())
        }
        ArrowDataType::Map(field, _) => {
            let array = any.downcast_ref::<MapArray>()?;
            lists(field, array.offsets().into(), &**array.field())
        }
        ArrowDataType::FixedSizeList(field, width) => {
            let array = any.downcast_ref::<FixedSizeListArray>()?;
            let inner = carriable(&**array.values());
            let dtype = ArrowDataType::FixedSizeList(Box::new(within(field, &*inner)), *width);
            Box::new(FixedSizeListArray::new(dtype, array.len(), inner, validity))
        }
        ArrowDataType::Struct(fields) => {
            let array = any.downcast_ref::<StructArray>()?;
            let inner: Vec<Box<dyn Array>> = array.values().iter().map(|inner| carriable(&**inner)).collect();
            let fields = fields.iter().zip(&inner).map(|(field, inner)| within(field, &**inner)).collect();
            Box::new(StructArray::new(ArrowDataType::Struct(fields), array.len(), inner, validity))
        }
        _ => return None,
    })
}

/// A dictionary's values row by row: its batches may have dictionaries of their own.
fn plain(array: &dyn Array) -> Option<Box<dyn Array>> {
    fn of<K: DictionaryKey>(array: &dyn Array) -> Option<Box<dyn Array>> {
        let dictionary = array.as_any().downcast_ref::<DictionaryArray<K>>()?;
        let values = carriable(&**dictionary.values());
        if !is_buildable(values.dtype()) {
            return None;
        }
        let mut builder = make_builder(values.dtype());
        builder.reserve(array.len());
        for key in dictionary.keys_iter() {
            match key {
                Some(key) => builder.subslice_extend(&*values, key, 1, ShareStrategy::Always),
                None => builder.extend_nulls(1),
            }
        }
        Some(builder.freeze_reset())
    }
    let known = [of::<u32>, of::<i32>, of::<u8>, of::<i8>, of::<u16>, of::<i16>, of::<u64>, of::<i64>];
    known.into_iter().find_map(|of| of(array))
}

/// Arrays of one type, one after the other.
pub(in crate::records) fn join_arrays(arrays: &[&dyn Array]) -> Result<Box<dyn Array>, RecordError> {
    let is_joined = |dtype: &ArrowDataType| {
        !matches!(
            dtype.to_physical_type(),
            PhysicalType::Map | PhysicalType::Union | PhysicalType::Dictionary(_)
        )
    };
    if let Some(other) = arrays.iter().find(|array| !is_joined(array.dtype())) {
        return Err(not_carried(other.dtype()));
    }
    decode("", "column", || concatenate(arrays))
}

/// The rows at `places` of an array.
pub(super) fn gather(array: &dyn Array, places: &[usize]) -> Result<Box<dyn Array>, RecordError> {
    if places.is_empty() {
        return Ok(array.sliced(0, 0));
    }
    if is_plain(array.dtype()) {
        return decode("", "column", || {
            let places: Vec<IdxSize> =
                places.iter().map(|row| IdxSize::try_from(*row).unwrap_or(IdxSize::MAX)).collect();
            let series = Series::from_arrow("".into(), array.to_boxed())?;
            Ok(series.take_slice(&places)?.rechunk().to_arrow(0, CompatLevel::newest()))
        });
    }
    if !is_buildable(array.dtype()) {
        return Err(not_carried(array.dtype()));
    }
    decode("", "column", || {
        let mut builder = make_builder(array.dtype());
        builder.reserve(places.len());
        for stretch in places.chunk_by(|before, place| before + 1 == *place) {
            builder.subslice_extend(array, stretch[0], stretch.len(), ShareStrategy::Always);
        }
        Ok(builder.freeze_reset())
    })
}

/// Types of which a series is made without further features.
fn is_plain(dtype: &ArrowDataType) -> bool {
    use ArrowDataType as T;
    match dtype {
        T::Boolean
        | T::Int8
        | T::Int16
        | T::Int32
        | T::Int64
        | T::UInt8
        | T::UInt16
        | T::UInt32
        | T::UInt64
        | T::Float32
        | T::Float64
        | T::Utf8View => true,
        T::LargeList(inner) | T::FixedSizeList(inner, _) => is_plain(inner.dtype()),
        _ => false,
    }
}

/// Types that an array builder knows.
fn is_buildable(dtype: &ArrowDataType) -> bool {
    use PhysicalType as P;
    match dtype.to_physical_type() {
        // Intervals: Parquet has a place for none.
        P::Primitive(PrimitiveType::DaysMs | PrimitiveType::MonthDayNano | PrimitiveType::MonthDayMillis)
        | P::List
        | P::Binary
        | P::Utf8
        | P::LargeUtf8
        | P::Map
        | P::Union
        | P::Dictionary(_) => false,
        P::Null
        | P::Boolean
        | P::Primitive(_)
        | P::LargeBinary
        | P::FixedSizeBinary
        | P::BinaryView
        | P::Utf8View => true,
        P::LargeList | P::FixedSizeList | P::Struct => match dtype.to_storage() {
            ArrowDataType::LargeList(inner) | ArrowDataType::FixedSizeList(inner, _) => {
                is_buildable(inner.dtype())
            }
            ArrowDataType::Struct(fields) => fields.iter().all(|field| is_buildable(field.dtype())),
            _ => false,
        },
    }
}

fn not_carried(dtype: &ArrowDataType) -> RecordError {
    RecordError::file("", Problem::NotCarried(describe_type(dtype)))
}

#[cfg(test)]
mod tests {
    use polars_arrow::datatypes::TimeUnit;

    use super::*;

    fn check(array: &dyn Array) {
        let places = [3usize, 4, 0, 0, 2];
        let gathered = gather(array, &places).expect("gathered");
        let one_by_one: Vec<Box<dyn Array>> = places.iter().map(|place| array.sliced(*place, 1)).collect();
        let parts: Vec<&dyn Array> = one_by_one.iter().map(|part| &**part).collect();
        let expected = join_arrays(&parts).expect("joined");
        assert_eq!(gathered, expected, "{:?}", array.dtype());
        assert_eq!(gathered.dtype(), array.dtype());
    }

    #[test]
    fn every_buildable_type_is_gathered() {
        let values: PrimitiveArray<i64> = [Some(1), None, Some(3), Some(4), Some(5)].into_iter().collect();
        check(&values);
        for dtype in [
            ArrowDataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            ArrowDataType::Duration(TimeUnit::Millisecond),
            ArrowDataType::Time64(TimeUnit::Microsecond),
        ] {
            check(&values.clone().to(dtype));
        }
        let wide: PrimitiveArray<i128> = [Some(1), None, Some(3), Some(4), Some(5)].into_iter().collect();
        check(&wide.to(ArrowDataType::Decimal(20, 3)));
        let fields = vec![Field::new("a".into(), ArrowDataType::Int64, true)];
        check(&StructArray::new(ArrowDataType::Struct(fields), 5, vec![values.boxed()], None));
        let text = Utf8Array::<i32>::from_slice(["a", "bb", "a longer text than a view holds", "", "e"]);
        check(&*carriable(&text));
        let bytes = BinaryArray::<i64>::from_slice([b"a", b"b", b"c", b"d", b"e"]);
        check(&*carriable(&bytes));
    }

    #[test]
    fn dictionaries_are_carried_as_their_values() {
        let keys: PrimitiveArray<u8> = [Some(1), None, Some(0), Some(1), Some(1)].into_iter().collect();
        let values = Utf8Array::<i32>::from_slice(["a", "b"]).boxed();
        let dictionary = DictionaryArray::try_from_keys(keys, values, false).expect("a dictionary");
        let found = carriable(&dictionary);
        let expected = Utf8ViewArray::from_slice([Some("b"), None, Some("a"), Some("b"), Some("b")]);
        assert_eq!(found, expected.boxed());
        check(&*found);
    }

    #[test]
    fn dates_in_milliseconds_are_carried_as_days() {
        let dates = |values: [Option<i64>; 3]| {
            let array: PrimitiveArray<i64> = values.into_iter().collect();
            carriable(&array.to(ArrowDataType::Date64))
        };
        let expected: PrimitiveArray<i32> = [Some(18_319), None, Some(-1)].into_iter().collect();
        let found = dates([Some(18_319 * DAY), None, Some(-DAY)]);
        assert_eq!(found, expected.to(ArrowDataType::Date32).boxed());
        // What is no whole day keeps its milliseconds.
        assert_eq!(*dates([Some(1), None, Some(0)]).dtype(), ArrowDataType::Date64);
    }

    #[test]
    fn what_cannot_be_carried_is_named() {
        let text = Utf8Array::<i32>::from_slice(["a", "b"]);
        let problem = gather(&text, &[1]).expect_err("an error").problem;
        assert!(matches!(problem, Problem::NotCarried(_)), "{problem}");
    }
}
