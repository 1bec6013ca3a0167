//! The pages of a Parquet column chunk, checked before one is decompressed.
//!
//! Calls of polars-parquet that trust what a page header says, and what is checked here for them:
//!
//! | call | trusts | checked |
//! | --- | --- | --- |
//! | `PageReader::next`, `read_dict` (Thrift) | lengths of statistics' least and greatest values | types and lengths of the header's fields |
//! | `BasicDecompressor` (`buffer.resize`) | `uncompressed_page_size` | the most that the codec can make of the page; the budget |
//! | `read_dict_page` (`with_capacity`) | the dictionary's `num_values` | the dictionary's bytes |
//! | `HybridRleDecoder`, level buffers | `num_values` of a page | the values that the column chunk has |
//!
//! Text encoded by differences is looked at once it is decompressed (`delta_text`).
//!
//! A run or a dictionary may stand for any number of values in a few bytes, so no ratio tells an honest page: the
//! column chunk's number of values is held against the budget (`parquet`), and the pages against the chunk.

use polars_parquet::parquet::compression::Compression;

use super::thrift::{Compact, Next, Type};

/// Bytes a codec needs whatever it holds.
const SLACK: u64 = 64;

/// DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY.
const DELTA_TEXT: [i64; 2] = [6, 7];

/// What the chunk's entry in the footer says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// Values, nulls among them.
    pub(super) n_values: u64,
    /// Codec of its pages.
    pub(super) compression: Compression,
}

/// What a chunk's pages take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PageBytes {
    /// All pages, decompressed.
    pub(super) all: u64,
    /// The largest.
    pub(super) largest: u64,
    /// Pages of text whose lengths are encoded as differences.
    pub(super) n_delta_text: usize,
}

/// What a page header says.
#[derive(Debug, Default, Clone, Copy)]
struct Header {
    uncompressed: u64,
    compressed: u64,
    /// Checksum of the page as it is stored, where its writer made one.
    checksum: Option<i64>,
    /// Of whichever header is there: a decoder picks by the page's type.
    n_values: u64,
    /// Likewise: encodings of its values.
    encodings: [i64; 2],
    n_dictionary: Option<u64>,
}

/// Walks the pages of a chunk; `Err` says which claim cannot be.
pub(super) fn check(bytes: &[u8], chunk: Chunk) -> Result<PageBytes, String> {
    let mut rest = bytes;
    let mut seen = 0u64;
    let mut total = PageBytes::default();
    while seen < chunk.n_values && !rest.is_empty() {
        let mut at = Compact::new(rest);
        let header =
            header(&mut at).ok_or("a page header is damaged: it has a length or type that cannot be")?;
        let left = at.left();
        let compressed = usize::try_from(header.compressed).unwrap_or(usize::MAX);
        if compressed > left {
            return Err(format!("a page claims {compressed} bytes where {left} are left"));
        }
        let most = most_decompressed(chunk.compression, header.compressed);
        if most.is_some_and(|most| header.uncompressed > most) {
            return Err(format!(
                "a page of {compressed} bytes claims to decompress to {}, more than {:?} can",
                header.uncompressed, chunk.compression
            ));
        }
        if header.n_dictionary.is_some_and(|n| n > header.uncompressed) {
            return Err(format!("a dictionary of {} bytes claims more values", header.uncompressed));
        }
        seen = seen.saturating_add(header.n_values);
        if seen > chunk.n_values {
            return Err(format!("pages claim more than the {} values of their column", chunk.n_values));
        }
        total.all = total.all.saturating_add(header.uncompressed);
        total.largest = total.largest.max(header.uncompressed);
        total.n_delta_text +=
            usize::from(header.encodings.iter().any(|encoding| DELTA_TEXT.contains(encoding)));
        let (page, after) = rest[rest.len() - left..].split_at(compressed);
        if header.checksum.is_some_and(|checksum| checksum != i64::from(checksum_of(page))) {
            return Err("a page is damaged: its checksum is of other bytes".to_owned());
        }
        rest = after;
    }
    Ok(total)
}

/// CRC-32 of a page, as the signed number that its header has.
fn checksum_of(page: &[u8]) -> i32 {
    let mut checksum = flate2::Crc::new();
    checksum.update(page);
    checksum.sum().cast_signed()
}

/// The most bytes a codec can make of `n`: what its shortest symbol can stand for. `None` where there is no bound.
fn most_decompressed(compression: Compression, n: u64) -> Option<u64> {
    let ratio = match compression {
        // A copy of 64 bytes takes three.
        Compression::Snappy => 22,
        // A match of 258 bytes takes two bits.
        Compression::Gzip => 1032,
        // A match grows by 255 with each byte.
        Compression::Lz4 | Compression::Lz4Raw => 255,
        // A block of 128 KiB takes four bytes.
        Compression::Zstd => 1 << 15,
        _ => return None,
    };
    Some(n.saturating_mul(ratio).saturating_add(SLACK))
}

/// The number fields of a page header and those of the headers in it, each of its own type.
fn header(at: &mut Compact<'_>) -> Option<Header> {
    let mut header = Header::default();
    let mut last = 0;
    while let Next::Field(field) = at.field(last)? {
        last = field.id;
        match (field.id, field.holds) {
            (2, Type::Int) => header.uncompressed = natural(at)?,
            (3, Type::Int) => header.compressed = natural(at)?,
            (1, Type::Int) => at.skip(Type::Int)?,
            (4, Type::Int) => header.checksum = Some(at.int()?),
            (5, Type::Struct) => {
                let inner = inner(at, &[1, 2, 3, 4], &[], Some(5))?;
                header.n_values += inner.n_values;
                header.encodings[0] = inner.second;
            }
            (7, Type::Struct) => header.n_dictionary = Some(inner(at, &[1, 2], &[3], None)?.n_values),
            (8, Type::Struct) => {
                let inner = inner(at, &[1, 2, 3, 4, 5, 6], &[7], Some(8))?;
                header.n_values += inner.n_values;
                header.encodings[1] = inner.fourth;
            }
            (1..=5 | 7 | 8, _) => return None,
            (_, holds) => at.skip(holds)?,
        }
    }
    Some(header)
}

/// What a data or dictionary header says.
#[derive(Debug, Default)]
struct Inner {
    n_values: u64,
    /// Fields 2 and 4: the encoding of values, by the header's version.
    second: i64,
    fourth: i64,
}

/// A header whose fields are numbers, truth values and statistics.
fn inner(at: &mut Compact<'_>, numbers: &[i64], truths: &[i64], statistics: Option<i64>) -> Option<Inner> {
    let mut inner = Inner::default();
    let mut last = 0;
    while let Next::Field(field) = at.field(last)? {
        last = field.id;
        match (field.id, field.holds) {
            (1, Type::Int) => inner.n_values = natural(at)?,
            (2, Type::Int) => inner.second = at.int()?,
            (4, Type::Int) if numbers.contains(&4) => inner.fourth = at.int()?,
            (id, Type::Int) if numbers.contains(&id) => at.skip(Type::Int)?,
            (id, Type::Bool) if truths.contains(&id) => {}
            (id, Type::Struct) if statistics == Some(id) => extremes(at)?,
            (id, holds) => {
                let is_known = numbers.contains(&id) || truths.contains(&id) || statistics == Some(id);
                if is_known {
                    return None;
                }
                at.skip(holds)?;
            }
        }
    }
    Some(inner)
}

fn extremes(at: &mut Compact<'_>) -> Option<()> {
    let mut last = 0;
    while let Next::Field(field) = at.field(last)? {
        last = field.id;
        let wanted = match field.id {
            1 | 2 | 5 | 6 => Type::Binary,
            3 | 4 => Type::Int,
            7 | 8 => Type::Bool,
            _ => field.holds,
        };
        if field.holds != wanted {
            return None;
        }
        at.skip(wanted)?;
    }
    Some(())
}

fn natural(at: &mut Compact<'_>) -> Option<u64> {
    u64::try_from(at.int()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data page of `n` values that claims these sizes, four bytes long.
    fn page(n: u8, uncompressed: u8, compressed: u8) -> Vec<u8> {
        let header = [0x15, 0, 0x15, uncompressed << 1, 0x15, compressed << 1, 0x2c, 0x15, n << 1, 0x15, 0];
        [&header[..], &[0x15, 6, 0x15, 6, 0, 0], &[7; 4]].concat()
    }

    fn checked(bytes: &[u8], n_values: u64, compression: Compression) -> Result<PageBytes, String> {
        check(bytes, Chunk { n_values, compression })
    }

    #[test]
    fn pages_are_held_against_their_chunk() {
        let two = [page(3, 9, 4), page(2, 5, 4)].concat();
        assert_eq!(
            checked(&two, 5, Compression::Snappy),
            Ok(PageBytes { all: 14, largest: 9, n_delta_text: 0 })
        );
        assert!(
            checked(&two, 4, Compression::Snappy).expect_err("refused").contains("more than the 4 values")
        );
        let cut = checked(&page(3, 9, 5), 3, Compression::Snappy).expect_err("refused");
        assert_eq!(cut, "a page claims 5 bytes where 4 are left");
    }

    #[test]
    fn pages_that_their_checksum_is_not_of_are_refused() {
        // CRC-32 of four bytes of 7, by Python's zlib.
        let crc = 0x68F9_F244_u32.cast_signed();
        let mut zigzag = ((crc << 1) ^ (crc >> 31)).cast_unsigned();
        let mut header = vec![0x15, 0, 0x15, 8, 0x15, 8, 0x15];
        while zigzag >= 0x80 {
            header.push(zigzag.to_le_bytes()[0] | 0x80);
            zigzag >>= 7;
        }
        header.push(zigzag.to_le_bytes()[0]);
        header.extend([0x1c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0]);
        let sound = [&header[..], &[7; 4]].concat();
        assert!(checked(&sound, 1, Compression::Uncompressed).is_ok());
        let flipped = [&header[..], &[7, 7, 6, 7]].concat();
        let refused = checked(&flipped, 1, Compression::Uncompressed).expect_err("refused");
        assert!(refused.contains("checksum"), "{refused}");
    }

    #[test]
    fn no_page_decompresses_to_more_than_its_codec_can() {
        // 2^20 bytes of four; 2^17 is what zstd's shortest block stands for.
        let header =
            [0x15, 0, 0x15, 0x80, 0x80, 0x80, 1, 0x15, 8, 0x2c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
        let bytes = [&header[..], &[7; 4]].concat();
        for codec in [Compression::Snappy, Compression::Gzip, Compression::Lz4Raw] {
            assert!(
                checked(&bytes, 1, codec).expect_err("refused").contains("claims to decompress to 1048576")
            );
        }
        let largest = checked(
            &[&header[..3], &[0x80, 0x80, 0x10], &header[7..], &[7; 4]].concat(),
            1,
            Compression::Zstd,
        );
        assert_eq!(largest.map(|pages| pages.largest), Ok(1 << 17));
    }

    #[test]
    fn statistics_that_claim_too_much_are_refused() {
        // max of 2^28 bytes.
        let header = [0x15, 0, 0x15, 8, 0x15, 8, 0x2c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6];
        let bytes = [&header[..], &[0x1c, 0x18, 0x80, 0x80, 0x80, 0x80, 1, 0, 0, 0, 0, 7, 7]].concat();
        assert!(checked(&bytes, 1, Compression::Uncompressed).expect_err("refused").contains("page header"));
    }
}
