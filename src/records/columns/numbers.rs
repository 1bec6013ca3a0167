//! Arrays of any number type.

use polars_arrow::array::{Array, PrimitiveArray};
use polars_arrow::datatypes::{ArrowDataType, PhysicalType};
use polars_arrow::types::NativeType;
use polars_buffer::Buffer;

use super::super::table::describe_type;

/// The array, if its values are of type `T`.
pub(in crate::records) fn primitive<T: NativeType>(array: &dyn Array) -> Option<&PrimitiveArray<T>> {
    array.as_any().downcast_ref()
}

/// Runs `$body` with the array as a `PrimitiveArray` of whatever integer type it is, else gives `None`.
macro_rules! with_integers {
    ($array:expr, |$typed:ident| $body:expr) => {{
        let array: &dyn polars_arrow::array::Array = $array;
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
pub(in crate::records) use with_integers;

/// Numbers as f64 whatever their stored width; `None` for other types. Nulls keep a filler,
/// and whether the numbers are finite is left to the caller.
#[allow(clippy::cast_lossless, reason = "one body serves every integer type")]
pub(in crate::records) fn numbers(array: &dyn Array) -> Option<Buffer<f64>> {
    if let Some(array) = primitive::<f64>(array) {
        return Some(array.values().clone());
    }
    if let Some(array) = primitive::<f32>(array) {
        return Some(array.values().iter().map(|value| f64::from(*value)).collect::<Vec<_>>().into());
    }
    with_integers!(array, |typed| typed.values().iter().map(|value| *value as f64).collect::<Vec<_>>().into())
}

/// Whether values of this column can be read as numbers.
pub(in crate::records) fn is_numeric(dtype: &ArrowDataType) -> bool {
    let physical = dtype.to_physical_type();
    matches!(physical, PhysicalType::Primitive(_))
        && matches!(describe_type(dtype).as_bytes(), [b'i' | b'u' | b'f', b'0'..=b'9', ..])
}
