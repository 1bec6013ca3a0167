//! Text pages whose lengths are encoded as differences, checked before they are decoded.
//!
//! polars-parquet's `delta_length_byte_array` collects as many lengths as the page's own header claims, and
//! `delta_byte_array` allocates every value by a prefix and a suffix length from the page (`Vec::with_capacity`): a
//! value repeats the one before it at no cost. So the lengths are decoded here first, and added up.

use polars_parquet::parquet::encoding::Encoding;
use polars_parquet::parquet::error::ParquetError;
use polars_parquet::parquet::page::split_buffer;
use polars_parquet::read::{BasicDecompressor, PageReader};

/// Bytes of the text in a chunk's pages of these encodings, or as far as they pass `most`.
pub(super) fn decoded_bytes(reader: PageReader, most: u64) -> Result<u64, ParquetError> {
    let mut pages = BasicDecompressor::new(reader, Vec::new());
    pages.read_dict_page()?;
    let mut total = 0u64;
    while let Some(item) = pages.next() {
        let page = item?.decompress(&mut pages)?;
        let values = split_buffer(&page)?.values;
        let n_values = page.num_values() as u64;
        let bytes = match page.encoding() {
            Encoding::DeltaLengthByteArray => text_bytes(values, n_values),
            Encoding::DeltaByteArray => repeated_bytes(values, n_values, most),
            _ => Some(0),
        };
        let impossible =
            || ParquetError::FeatureNotSupported("a page's lengths of text cannot be".to_owned());
        total = total.saturating_add(bytes.ok_or_else(impossible)?);
        if total > most {
            break;
        }
        pages.reuse_page_buffer(page);
    }
    Ok(total)
}

/// Values that stand one after the other behind their lengths.
fn text_bytes(values: &[u8], n_values: u64) -> Option<u64> {
    let lengths = Differences::new(values, n_values)?;
    let after = lengths.clone().after()?;
    let mut left = after.len() as u64;
    for length in lengths {
        left = left.checked_sub(u64::try_from(length?).ok()?)?;
    }
    Some(values.len() as u64)
}

/// Values that each begin with some of the one before.
fn repeated_bytes(values: &[u8], n_values: u64, most: u64) -> Option<u64> {
    let prefixes = Differences::new(values, n_values)?;
    let suffixes = Differences::new(prefixes.clone().after()?, n_values)?;
    let mut left = suffixes.clone().after()?.len() as u64;
    if prefixes.left != suffixes.left {
        return None;
    }
    let (mut last, mut total) = (0u64, 0u64);
    for (prefix, suffix) in prefixes.zip(suffixes) {
        let (prefix, suffix) = (u64::try_from(prefix?).ok()?, u64::try_from(suffix?).ok()?);
        left = left.checked_sub(suffix)?;
        last = (prefix <= last).then_some(prefix + suffix)?;
        total = total.saturating_add(last);
        if total > most {
            break;
        }
    }
    Some(total)
}

/// Parquet's DELTA_BINARY_PACKED numbers, one after the other; `None` within where the bytes end early.
#[derive(Clone)]
struct Differences<'a> {
    rest: &'a [u8],
    n_miniblocks: usize,
    per_miniblock: usize,
    /// Numbers yet to come.
    left: u64,
    value: i64,
    is_first: bool,
    least: i64,
    widths: &'a [u8],
    miniblock: &'a [u8],
    /// Numbers read of the miniblock.
    at: usize,
}

impl<'a> Differences<'a> {
    /// At the first of at most `most` numbers.
    fn new(bytes: &'a [u8], most: u64) -> Option<Self> {
        let (per_block, rest) = varint(bytes)?;
        let (n_miniblocks, rest) = varint(rest)?;
        let (left, rest) = varint(rest)?;
        let (first, rest) = varint(rest)?;
        let (per_block, n_miniblocks) =
            (usize::try_from(per_block).ok()?, usize::try_from(n_miniblocks).ok()?);
        let per_miniblock = per_block.checked_div(n_miniblocks)?;
        // No writer's blocks are larger than these; the decoder reserves memory for whole ones.
        let is_sound =
            per_block <= 1 << 20 && per_miniblock > 0 && per_miniblock.is_multiple_of(8) && left <= most;
        is_sound.then_some(Self {
            rest,
            n_miniblocks,
            per_miniblock,
            left,
            value: zigzag(first),
            is_first: true,
            least: 0,
            widths: &[],
            miniblock: &[],
            at: per_miniblock,
        })
    }

    /// The bytes behind the last number.
    fn after(mut self) -> Option<&'a [u8]> {
        while self.left > 0 {
            self.next()??;
        }
        Some(self.rest)
    }

    fn advance(&mut self) -> Option<i64> {
        self.left -= 1;
        if std::mem::take(&mut self.is_first) {
            return Some(self.value);
        }
        if self.at == self.per_miniblock {
            self.open_miniblock()?;
        }
        let width = usize::from(*self.widths.first()?);
        let delta = bits(self.miniblock, self.at * width, width);
        self.at += 1;
        if self.at == self.per_miniblock {
            self.widths = &self.widths[1..];
        }
        self.value = self.value.wrapping_add(self.least).wrapping_add(delta.cast_signed());
        Some(self.value)
    }

    fn open_miniblock(&mut self) -> Option<()> {
        if self.widths.is_empty() {
            let (least, rest) = varint(self.rest)?;
            self.least = zigzag(least);
            (self.widths, self.rest) = rest.split_at_checked(self.n_miniblocks)?;
        }
        let width = usize::from(*self.widths.first()?);
        if width > 64 {
            return None;
        }
        (self.miniblock, self.rest) = self.rest.split_at_checked(width * self.per_miniblock / 8)?;
        self.at = 0;
        Some(())
    }
}

impl Iterator for Differences<'_> {
    type Item = Option<i64>;

    fn next(&mut self) -> Option<Option<i64>> {
        (self.left > 0).then(|| self.advance())
    }
}

/// `width` bits from bit `start` on, least first.
fn bits(bytes: &[u8], start: usize, width: usize) -> u64 {
    (0..width).fold(0, |value, i| {
        let place = start + i;
        let byte = bytes.get(place / 8).copied().unwrap_or(0);
        value | u64::from(byte >> (place % 8) & 1) << i
    })
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(i).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths in the format's own example: 7 5 3 1 2 3 4 5, blocks of 128 in four miniblocks.
    const EXAMPLE: [u8; 21] =
        [0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0, 0xaa, 0xbb, 0xcc];

    #[test]
    fn the_formats_own_example() {
        let numbers = Differences::new(&EXAMPLE, 8).expect("sound");
        let after = numbers.clone().after();
        assert_eq!(numbers.collect::<Option<Vec<i64>>>(), Some(vec![7, 5, 3, 1, 2, 3, 4, 5]));
        assert_eq!(after, Some(&[0xaa, 0xbb, 0xcc][..]));
        // More numbers than the page has values; text that is not there.
        assert!(Differences::new(&EXAMPLE, 7).is_none());
        assert_eq!(text_bytes(&EXAMPLE, 8), None);
        let whole = [&EXAMPLE[..18], &[b'x'; 30]].concat();
        assert_eq!(text_bytes(&whole, 8), Some(48));
    }

    /// Equal numbers, `n` of them.
    fn equal(first: u8, n: u8, delta: u8) -> Vec<u8> {
        vec![0x80, 1, 4, n, first << 1, delta << 1, 0, 0, 0, 0]
    }

    #[test]
    fn prefixes_cost_nothing_and_are_added_up() {
        // Prefixes 0 0 ... would be plain; here each is as long as the value before: 0, 1, 2 ... 99, suffixes of 1.
        let page = [equal(0, 100, 1), equal(1, 100, 0), vec![b'x'; 100]].concat();
        assert_eq!(repeated_bytes(&page, 100, u64::MAX), Some(5050));
        assert!(repeated_bytes(&page, 100, 50).expect("some") > 50);
        // A prefix longer than what came before.
        let page = [equal(9, 100, 1), equal(1, 100, 0), vec![b'x'; 100]].concat();
        assert_eq!(repeated_bytes(&page, 100, u64::MAX), None);
    }
}
