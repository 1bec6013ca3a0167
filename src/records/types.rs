//! Types of columns in words.

use polars_arrow::datatypes::ArrowDataType;

/// A type as people write it: `f64`, `str`, `list<bool>`, `f32[17]`.
pub(super) fn describe_type(dtype: &ArrowDataType) -> String {
    match dtype {
        ArrowDataType::Boolean => "bool".to_owned(),
        ArrowDataType::Utf8 | ArrowDataType::LargeUtf8 | ArrowDataType::Utf8View => "str".to_owned(),
        ArrowDataType::Float32 => "f32".to_owned(),
        ArrowDataType::Float64 => "f64".to_owned(),
        ArrowDataType::Int8 => "i8".to_owned(),
        ArrowDataType::Int16 => "i16".to_owned(),
        ArrowDataType::Int32 => "i32".to_owned(),
        ArrowDataType::Int64 => "i64".to_owned(),
        ArrowDataType::UInt8 => "u8".to_owned(),
        ArrowDataType::UInt16 => "u16".to_owned(),
        ArrowDataType::UInt32 => "u32".to_owned(),
        ArrowDataType::UInt64 => "u64".to_owned(),
        ArrowDataType::List(field) | ArrowDataType::LargeList(field) => {
            format!("list<{}>", describe_type(&field.dtype))
        }
        ArrowDataType::FixedSizeList(field, width) => format!("{}[{width}]", describe_type(&field.dtype)),
        ArrowDataType::Dictionary(_, values, _) => describe_type(values),
        other => format!("{other:?}").split(['(', ' ', '{']).next().unwrap_or_default().to_lowercase(),
    }
}
