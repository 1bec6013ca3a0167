//! Types of arrays: those of HDF5 that rows of numbers have, as the types of their columns.

use hdf5_reader::{Datatype, H5Type};
use polars_arrow::datatypes::{ArrowDataType, Field};

/// A number of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

impl Number {
    fn dtype(self) -> ArrowDataType {
        match self {
            Self::Bool => ArrowDataType::Boolean,
            Self::I8 => ArrowDataType::Int8,
            Self::I16 => ArrowDataType::Int16,
            Self::I32 => ArrowDataType::Int32,
            Self::I64 => ArrowDataType::Int64,
            Self::U8 => ArrowDataType::UInt8,
            Self::U16 => ArrowDataType::UInt16,
            Self::U32 => ArrowDataType::UInt32,
            Self::U64 => ArrowDataType::UInt64,
            Self::F32 => ArrowDataType::Float32,
            Self::F64 => ArrowDataType::Float64,
        }
    }

    pub(super) fn n_bytes(self) -> u64 {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The number that elements of a type are; `encoded` is the type as the file has it.
    ///
    /// # Errors
    /// The type in words, where its elements are no such numbers.
    pub(super) fn of(dtype: &Datatype, encoded: &[u8]) -> Result<Self, String> {
        let number = match dtype {
            Datatype::FixedPoint { size, signed, .. } => match (size, signed) {
                (1, true) => Self::I8,
                (2, true) => Self::I16,
                (4, true) => Self::I32,
                (8, true) => Self::I64,
                (1, false) => Self::U8,
                (2, false) => Self::U16,
                (4, false) => Self::U32,
                (8, false) => Self::U64,
                _ => return Err(format!("integers of {size} bytes")),
            },
            Datatype::FloatingPoint { size: 4, .. } => Self::F32,
            Datatype::FloatingPoint { size: 8, .. } => Self::F64,
            Datatype::FloatingPoint { size, .. } => {
                return Err(format!("{}-bit floats", 8 * u32::from(*size)));
            }
            Datatype::Enum { base, members } => {
                let is_byte = matches!(**base, Datatype::FixedPoint { size: 1, .. });
                let is_truth = |name: &str, value: u8| {
                    members.iter().any(|member| member.name == name && member.value == [value])
                };
                if is_byte && members.len() == 2 && is_truth("FALSE", 0) && is_truth("TRUE", 1) {
                    return Ok(Self::Bool);
                }
                return Err("an enumeration".to_owned());
            }
            Datatype::String { .. } => return Err("text".to_owned()),
            Datatype::VarLen { .. } => return Err("lists of any length, or text".to_owned()),
            Datatype::Compound { .. } => return Err("records of several fields".to_owned()),
            Datatype::Array { .. } => return Err("arrays within cells".to_owned()),
            Datatype::Opaque { .. } | Datatype::Bitfield { .. } | Datatype::Reference { .. } => {
                return Err("no numbers".to_owned());
            }
        };
        if is_usual(number, encoded) { Ok(number) } else { Err("numbers of an unusual encoding".to_owned()) }
    }
}

/// Whether numbers are stored as processors have them: the decoder looks at nothing but their size and byte order.
fn is_usual(number: Number, encoded: &[u8]) -> bool {
    let short = |at: usize| encoded.get(at..at + 2).map(|raw| u16::from_le_bytes([raw[0], raw[1]]));
    let bits = 8 * number.n_bytes();
    let fills = short(8) == Some(0) && short(10).map(u64::from) == Some(bits);
    let ieee: &[u8] = match number {
        Number::F32 => &[23, 8, 0, 23, 127, 0, 0, 0],
        Number::F64 => &[52, 11, 0, 52, 0xff, 3, 0, 0],
        _ => return fills,
    };
    // Bit 6 of the flags: the order of a VAX.
    fills && encoded.get(12..20) == Some(ieee) && encoded.get(1).is_some_and(|flags| flags & 0x40 == 0)
}

/// A truth value, as h5py writes it: an enumeration of FALSE and TRUE in a byte.
#[derive(Clone, Copy)]
pub(super) struct Truth(pub(super) bool);

impl H5Type for Truth {
    fn hdf5_type() -> Datatype {
        u8::hdf5_type()
    }

    fn from_bytes(bytes: &[u8], _: &Datatype) -> hdf5_reader::error::Result<Self> {
        let eof = hdf5_reader::error::Error::UnexpectedEof { offset: 0, needed: 1, available: 0 };
        bytes.first().map(|byte| Self(*byte != 0)).ok_or(eof)
    }

    fn element_size(_: &Datatype) -> usize {
        1
    }

    fn decode_vec(raw: &[u8], _: &Datatype, count: usize) -> Option<hdf5_reader::error::Result<Vec<Self>>> {
        Some(Ok(raw.get(..count)?.iter().map(|byte| Self(*byte != 0)).collect()))
    }
}

/// What a row of an array holds: one number, or so many along each further axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::records) struct Cell {
    pub(super) number: Number,
    /// Numbers of a row, along each axis.
    pub(in crate::records) shape: Vec<u64>,
}

impl Cell {
    /// Numbers of a row.
    pub(super) fn width(&self) -> u64 {
        self.shape.iter().fold(1, |product: u64, side| product.saturating_mul(*side))
    }

    /// Bytes of a row, decoded.
    pub(super) fn n_bytes(&self) -> u64 {
        self.width().saturating_mul(self.number.n_bytes())
    }

    /// Whether rows are pictures: bytes along three axes.
    pub(in crate::records) fn is_picture(&self) -> bool {
        self.number == Number::U8 && self.shape.len() >= 3
    }

    /// The same of one number, where there is only one.
    pub(in crate::records) fn squeezed(self) -> Self {
        if self.width() == 1 { Self { shape: Vec::new(), ..self } } else { self }
    }

    /// The type of its column.
    pub(super) fn dtype(&self) -> ArrowDataType {
        let inner = self.number.dtype();
        if self.shape.is_empty() {
            return inner;
        }
        let width = usize::try_from(self.width()).unwrap_or(usize::MAX);
        ArrowDataType::FixedSizeList(Box::new(Field::new("item".into(), inner, true)), width)
    }
}

#[cfg(test)]
mod tests {
    use hdf5_reader::ByteOrder;

    use super::*;

    #[test]
    fn hdf5_numbers_of_an_unusual_encoding_are_refused() {
        let dtype = Datatype::FloatingPoint { size: 4, byte_order: ByteOrder::LittleEndian };
        let ieee = [0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0];
        assert_eq!(Number::of(&dtype, &ieee), Ok(Number::F32));
        // Another bias, a VAX's byte order, fewer bits, a type cut short.
        for (place, byte) in [(16, 126), (1, 0x61), (10, 24)] {
            let mut other = ieee;
            other[place] = byte;
            assert!(Number::of(&dtype, &other).is_err(), "{place}");
        }
        assert!(Number::of(&dtype, &ieee[..12]).is_err());
    }
}
