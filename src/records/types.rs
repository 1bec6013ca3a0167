//! Types of columns in words.

use polars_arrow::datatypes::ArrowDataType;

/// Refuses decimals of more digits than their bits hold: writers of Parquet reckon with bytes that are not there.
///
/// # Errors
/// What is claimed.
pub(super) fn check_digits(dtype: &ArrowDataType) -> Result<(), String> {
    let (digits, most) = match dtype.to_storage() {
        ArrowDataType::Decimal32(digits, _) => (*digits, 9),
        ArrowDataType::Decimal64(digits, _) => (*digits, 18),
        ArrowDataType::Decimal(digits, _) => (*digits, 38),
        ArrowDataType::Decimal256(digits, _) => (*digits, 76),
        ArrowDataType::Dictionary(_, values, _) => return check_digits(values),
        ArrowDataType::List(field)
        | ArrowDataType::LargeList(field)
        | ArrowDataType::FixedSizeList(field, _)
        | ArrowDataType::Map(field, _) => return check_digits(&field.dtype),
        ArrowDataType::Struct(fields) => {
            return fields.iter().try_for_each(|field| check_digits(&field.dtype));
        }
        _ => return Ok(()),
    };
    if (1..=most).contains(&digits) {
        return Ok(());
    }
    Err(format!("it claims a decimal of {digits} digits, where its type has 1 to {most}"))
}

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

#[cfg(test)]
mod tests {
    use polars_arrow::datatypes::Field;

    use super::*;

    #[test]
    fn decimals_have_the_digits_their_bits_hold() {
        let list = |dtype| ArrowDataType::List(Box::new(Field::new("item".into(), dtype, true)));
        for dtype in [ArrowDataType::Decimal32(9, 2), ArrowDataType::Decimal64(18, 0)] {
            assert_eq!(check_digits(&dtype), Ok(()));
        }
        for digits in [1, 38, 0, 39, 1000] {
            let found = check_digits(&list(list(ArrowDataType::Decimal(digits, 1))));
            assert_eq!(found.is_ok(), (1..=38).contains(&digits), "{digits}");
        }
        assert!(check_digits(&ArrowDataType::Decimal256(77, 1)).is_err_and(|told| told.contains("1 to 76")));
    }
}
