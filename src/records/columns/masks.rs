//! Columns of coalition masks.

use polars_buffer::Buffer;

use super::super::error::Problem;
use super::super::part::Column;
use super::super::table::describe_type;
use super::bad_cells::{BadCells, report_nulls};
use super::numbers::{primitive, with_integers};

/// Coalition masks of one part.
#[derive(Debug)]
pub(in crate::records) enum Masks {
    /// One word of 32 bits per row, as stored.
    Narrow(Buffer<u32>),
    /// `words` words of 64 bits per row.
    Wide { words: usize, bits: Buffer<u64> },
}

impl Masks {
    /// Masks of one 64-bit word per row.
    pub(in crate::records) fn of_words(bits: Vec<u64>) -> Self {
        Self::Wide { words: 1, bits: bits.into() }
    }

    /// The first word of a row's mask.
    #[inline]
    pub(in crate::records) fn first_word(&self, row: usize) -> u64 {
        match self {
            Self::Narrow(bits) => u64::from(bits[row]),
            Self::Wide { words, bits } => bits[row * words],
        }
    }

    /// All words of a row's mask.
    pub(in crate::records) fn words(&self, row: usize) -> Vec<u64> {
        match self {
            Self::Narrow(bits) => vec![u64::from(bits[row])],
            Self::Wide { words, bits } => bits[row * words..(row + 1) * words].to_vec(),
        }
    }

    /// Adds the masks of rows to their union, which is as wide as the widest of them.
    pub(in crate::records) fn unite(&self, rows: std::ops::Range<usize>, union: &mut Vec<u64>) {
        let n_words = match self {
            Self::Narrow(_) => 1,
            Self::Wide { words, .. } => *words,
        };
        union.resize(union.len().max(n_words), 0);
        match self {
            Self::Narrow(bits) => {
                union[0] |= u64::from(bits[rows].iter().fold(0, |union, mask| union | mask));
            }
            Self::Wide { words: 1, bits } => {
                union[0] |= bits[rows].iter().fold(0, |union, mask| union | mask);
            }
            Self::Wide { words, bits } => {
                for mask in bits[rows.start * words..rows.end * words].chunks_exact(*words) {
                    union.iter_mut().zip(mask).for_each(|(union, word)| *union |= word);
                }
            }
        }
    }
}

/// A column of coalition masks; one of another type yields empty masks and a bad cell.
#[allow(
    clippy::unnecessary_fallible_conversions,
    clippy::useless_conversion,
    reason = "one body serves every integer type"
)]
pub(in crate::records) fn masks(column: Column, name: &str, n_rows: usize, bad: &mut BadCells) -> Masks {
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
