//! Parquet columns of lists that all have the same length, read and written without a look at each value.
//!
//! Observations are lists of one width. A reader of arbitrary nesting handles every value's repetition and
//! definition level by itself; here the levels of a page are checked as bits and the values copied whole.
//! What is not even (null or empty lists, nulls within, dictionary pages) is left to the general reader.
//!
//! What that saves, `cargo bench --bench even_lists` shows: the same rows in a file that takes each way.

use polars_arrow::array::{Array, FixedSizeListArray, ListArray, PrimitiveArray};
use polars_arrow::datatypes::ArrowDataType;
use polars_arrow::offset::Offsets;
use polars_arrow::types::NativeType;
use polars_parquet::parquet::CowBuffer;
use polars_parquet::parquet::encoding::Encoding;
use polars_parquet::parquet::error::ParquetError;
use polars_parquet::parquet::metadata::Descriptor;
use polars_parquet::parquet::page::{DataPage, DataPageHeader, DataPageHeaderV1, split_buffer};
use polars_parquet::parquet::statistics::{ParquetStatistics, PrimitiveStatistics, Statistics};
use polars_parquet::parquet::types;
use polars_parquet::read::{BasicDecompressor, PageReader};
use polars_parquet::write::{Page, ParquetPhysicalType};

/// Values per page written: about a megabyte.
const PAGE_VALUES: usize = 1 << 18;

/// Rows `rows` of a column chunk of even lists of numbers; `None` where the general reader is needed.
///
/// `n_rows` and the number of values in the chunk give the width; every level is checked.
pub(super) fn read(
    reader: PageReader,
    dtype: &ArrowDataType,
    n_rows: usize,
    rows: &std::ops::Range<usize>,
) -> Result<Option<Box<dyn Array>>, ParquetError> {
    let (ArrowDataType::LargeList(field)
    | ArrowDataType::List(field)
    | ArrowDataType::FixedSizeList(field, _)) = dtype
    else {
        return Ok(None);
    };
    let n_values = reader.total_num_values();
    if n_rows == 0 || n_values == 0 || !n_values.is_multiple_of(n_rows) {
        return Ok(None);
    }
    let width = n_values / n_rows;
    let wanted = rows.start * width..rows.end * width;
    let values: Option<Box<dyn Array>> = match field.dtype {
        ArrowDataType::Float32 => read_values(reader, width, wanted, f32::from_le_bytes)?
            .map(|values| boxed(PrimitiveArray::from_vec(values))),
        ArrowDataType::Float64 => read_values(reader, width, wanted, f64::from_le_bytes)?
            .map(|values| boxed(PrimitiveArray::from_vec(values))),
        _ => None,
    };
    let Some(values) = values else { return Ok(None) };
    if let ArrowDataType::FixedSizeList(_, size) = dtype {
        if *size != width {
            return Ok(None);
        }
        return Ok(Some(Box::new(FixedSizeListArray::new(dtype.clone(), rows.len(), values, None))));
    }
    let Ok(offsets) = Offsets::<i64>::try_from_lengths(std::iter::repeat_n(width, rows.len())) else {
        return Ok(None);
    };
    let dtype = ArrowDataType::LargeList(field.clone());
    Ok(Some(Box::new(ListArray::<i64>::new(dtype, offsets.into(), values, None))))
}

fn boxed<T: NativeType>(array: PrimitiveArray<T>) -> Box<dyn Array> {
    Box::new(array)
}

/// The values `wanted` of a chunk; pages beside them are not even decompressed.
fn read_values<T: Copy, const N: usize>(
    reader: PageReader,
    width: usize,
    wanted: std::ops::Range<usize>,
    convert: impl Fn([u8; N]) -> T,
) -> Result<Option<Vec<T>>, ParquetError> {
    let mut pages = BasicDecompressor::new(reader, Vec::new());
    if pages.read_dict_page()?.is_some() {
        return Ok(None);
    }
    let mut values = Vec::with_capacity(wanted.len());
    let mut position = 0;
    while position < wanted.end {
        let Some(item) = pages.next() else { return Ok(None) };
        let item = item?;
        let n = item.num_values();
        let page = position..position + n;
        if page.end > wanted.start {
            let page_data = item.decompress(&mut pages)?;
            let is_plain = page_data.encoding() == Encoding::Plain;
            if !is_plain || !is_even(&page_data, position, n, width)? {
                return Ok(None);
            }
            let bytes = split_buffer(&page_data)?.values;
            let from = wanted.start.saturating_sub(page.start);
            let to = wanted.end.min(page.end) - page.start;
            let Some(bytes) = bytes.get(from * N..to * N) else {
                return Err(ParquetError::FeatureNotSupported("a page shorter than it says".to_owned()));
            };
            values.extend(bytes.chunks_exact(N).map(|value| {
                let mut raw = [0u8; N];
                raw.copy_from_slice(value);
                convert(raw)
            }));
            pages.reuse_page_buffer(page_data);
        }
        position = page.end;
    }
    Ok(Some(values))
}

/// Whether a page's values are all there and lists begin at every multiple of `width`.
fn is_even(page: &DataPage, position: usize, n: usize, width: usize) -> Result<bool, ParquetError> {
    let descriptor = &page.descriptor;
    if descriptor.max_rep_level != 1 {
        return Ok(false);
    }
    let parts = split_buffer(page)?;
    let (Ok(top), bits) = (u8::try_from(descriptor.max_def_level), bit_width(descriptor.max_def_level))
    else {
        return Ok(false);
    };
    let all_there = runs(parts.def, bits, n, |run| match run {
        Run::Repeated { value, .. } => value == top,
        Run::Packed { bytes, n, .. } => is_constant(bytes, bits, n, top),
    });
    if !all_there {
        return Ok(false);
    }
    let mut at = position;
    let mut starts = 0usize;
    let begins_right = runs(parts.rep, 1, n, |run| match run {
        Run::Repeated { value: 1, n } => {
            at += n;
            true
        }
        // Lists of one value each: every position begins one.
        Run::Repeated { n, .. } => {
            starts += n;
            at += n;
            n <= 1 && (at - 1).is_multiple_of(width) || width == 1
        }
        Run::Packed { bytes, n } => {
            let mut right = true;
            for (i, byte) in bytes.iter().enumerate() {
                let here = n.saturating_sub(8 * i).min(8);
                // A list begins where the bit is 0.
                let mut zeros = !byte & (0xffu16 >> (8 - here)).to_le_bytes()[0];
                while zeros != 0 {
                    let place = at + 8 * i + zeros.trailing_zeros() as usize;
                    right &= place.is_multiple_of(width);
                    starts += 1;
                    zeros &= zeros - 1;
                }
            }
            at += n;
            right
        }
    });
    // All begin at multiples of the width, and at every one of them.
    let expected = (position + n).div_ceil(width) - position.div_ceil(width);
    Ok(begins_right && starts == expected)
}

fn bit_width(max: i16) -> usize {
    (16 - max.leading_zeros()) as usize
}

/// A run of levels in Parquet's hybrid encoding.
enum Run<'a> {
    Repeated { value: u8, n: usize },
    Packed { bytes: &'a [u8], n: usize },
}

/// Whether every run passes, and together they hold `n` levels.
fn runs(mut bytes: &[u8], bits: usize, n: usize, mut check: impl FnMut(Run<'_>) -> bool) -> bool {
    let mut left = n;
    while left > 0 {
        let Some((header, rest)) = varint(bytes) else { return false };
        let length = header >> 1;
        if header & 1 == 1 {
            let size = length.saturating_mul(bits).min(rest.len());
            let here = length.saturating_mul(8).min(left);
            if size * 8 < here * bits || !check(Run::Packed { bytes: &rest[..size], n: here }) {
                return false;
            }
            (bytes, left) = (&rest[size..], left - here);
        } else {
            let Some((value, rest)) = rest.split_first() else { return false };
            let here = length.min(left);
            if here == 0 || !check(Run::Repeated { value: *value, n: here }) {
                return false;
            }
            (bytes, left) = (rest, left - here);
        }
    }
    true
}

/// An unsigned number in seven-bit groups, least first.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (i, byte) in bytes.iter().enumerate().take(9) {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

/// Whether the first `n` packed values of `bits` bits are all `value`.
fn is_constant(bytes: &[u8], bits: usize, n: usize, value: u8) -> bool {
    // Eight values fill `bits` bytes, whose pattern repeats.
    let packed = (0..8).fold(0u64, |sum, i| sum | u64::from(value) << (i * bits));
    let pattern = packed.to_le_bytes();
    let whole = n / 8 * bits;
    let is_whole = bytes[..whole].chunks_exact(bits).all(|group| group == &pattern[..bits]);
    let rest = (n % 8) * bits;
    let tail = &bytes[whole..];
    is_whole && (0..rest).all(|bit| tail[bit / 8] >> (bit % 8) & 1 == pattern[bit / 8] >> (bit % 8) & 1)
}

/// The pages of an array of even lists of numbers; `None` where the general writer is needed.
pub(super) fn pages(array: &dyn Array, descriptor: &Descriptor) -> Option<Vec<Page>> {
    if array.null_count() > 0 || descriptor.max_rep_level != 1 {
        return None;
    }
    let (values, width, first) = if let Some(list) = array.as_any().downcast_ref::<ListArray<i64>>() {
        let offsets = list.offsets().buffer();
        let width = offsets.get(1)? - offsets.first()?;
        if width <= 0 || offsets.windows(2).any(|pair| pair[1] - pair[0] != width) {
            return None;
        }
        (list.values(), usize::try_from(width).ok()?, usize::try_from(offsets[0]).ok()?)
    } else {
        let list = array.as_any().downcast_ref::<FixedSizeListArray>()?;
        (list.values(), list.size(), 0)
    };
    if values.null_count() > 0 || width == 0 {
        return None;
    }
    let n = array.len() * width;
    if let Some(single) = values.as_any().downcast_ref::<PrimitiveArray<f32>>() {
        let values = &single.values()[first..first + n];
        Some(typed_pages(values, width, descriptor, f32::to_le_bytes))
    } else {
        let double = values.as_any().downcast_ref::<PrimitiveArray<f64>>()?;
        let values = &double.values()[first..first + n];
        Some(typed_pages(values, width, descriptor, f64::to_le_bytes))
    }
}

fn typed_pages<T: Copy, const N: usize>(
    values: &[T],
    width: usize,
    descriptor: &Descriptor,
    bytes: impl Fn(T) -> [u8; N],
) -> Vec<Page> {
    let per_page = (PAGE_VALUES / width).max(1) * width;
    let page = |values: &[T]| {
        let n = values.len();
        let rep = begin_levels(n, width);
        let def = repeated_level(n, descriptor.max_def_level);
        let mut buffer = Vec::with_capacity(8 + rep.len() + def.len() + n * N);
        for levels in [&rep, &def] {
            let length = u32::try_from(levels.len()).unwrap_or(u32::MAX);
            buffer.extend_from_slice(&length.to_le_bytes());
            buffer.extend_from_slice(levels);
        }
        buffer.extend(values.iter().flat_map(|value| bytes(*value)));
        let header = DataPageHeader::V1(DataPageHeaderV1 {
            num_values: i32::try_from(n).unwrap_or(i32::MAX),
            encoding: Encoding::Plain.into(),
            definition_level_encoding: Encoding::Rle.into(),
            repetition_level_encoding: Encoding::Rle.into(),
            statistics: Some(statistics(descriptor)),
        });
        Page::Data(DataPage::new(header, CowBuffer::Owned(buffer), descriptor.clone(), n / width))
    };
    values.chunks(per_page).map(page).collect()
}

/// What a reader may skip pages by: that nothing is null. Extremes over all dimensions together serve nobody.
fn statistics(descriptor: &Descriptor) -> ParquetStatistics {
    fn of<T: types::NativeType>(descriptor: &Descriptor) -> PrimitiveStatistics<T> {
        PrimitiveStatistics {
            primitive_type: descriptor.primitive_type.clone(),
            null_count: Some(0),
            distinct_count: None,
            min_value: None,
            max_value: None,
        }
    }
    match descriptor.primitive_type.physical_type {
        ParquetPhysicalType::Double => Statistics::Double(of::<f64>(descriptor)).serialize(),
        _ => Statistics::Float(of::<f32>(descriptor)).serialize(),
    }
}

/// Repetition levels of lists of `width` values: 0 where one begins, else 1.
fn begin_levels(n: usize, width: usize) -> Vec<u8> {
    let groups = n.div_ceil(8);
    let mut levels = Vec::with_capacity(groups + 5);
    push_varint(&mut levels, groups << 1 | 1);
    let start = levels.len();
    levels.resize(start + groups, 0xff);
    for place in (0..n).step_by(width) {
        levels[start + place / 8] &= !(1 << (place % 8));
    }
    levels
}

fn repeated_level(n: usize, level: i16) -> Vec<u8> {
    let mut levels = Vec::with_capacity(6);
    push_varint(&mut levels, n << 1);
    levels.push(u8::try_from(level).unwrap_or(0));
    levels
}

fn push_varint(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 128 here")]
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_checked_bit_by_bit() {
        // Three lists of three: 0 1 1 0 1 1 0 1 | 1.
        let levels = begin_levels(9, 3);
        assert_eq!(levels, [5, 0b1011_0110, 0xff]);
        let mut zeros = 0;
        assert!(runs(&levels, 1, 9, |run| {
            if let Run::Packed { bytes, n } = run {
                zeros = (0..n).filter(|i| bytes[i / 8] >> (i % 8) & 1 == 0).count();
            }
            true
        }));
        assert_eq!(zeros, 3);
        assert_eq!(repeated_level(200, 3), [0x90, 0x03, 3]);
    }

    #[test]
    fn constants_of_odd_widths() {
        // Eight values of 3 in two bits: 0xff 0xff; of 2: 0xaa 0xaa.
        assert!(is_constant(&[0xff, 0xff, 0xff], 2, 10, 3));
        assert!(is_constant(&[0xaa, 0xaa], 2, 8, 2) && !is_constant(&[0xaa, 0xab], 2, 8, 2));
        assert!(!is_constant(&[0xff, 0xff, 0xf3], 2, 10, 3));
    }
}
