//! A look at Thrift's compact encoding that allocates nothing: what footers and page headers claim, checked before a
//! decoder believes it.

/// Levels of nesting; a Parquet footer has eight.
const DEPTH: usize = 32;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// A truth value, which is in the field's header.
    Bool,
    /// One byte.
    Byte,
    /// A number of 16, 32 or 64 bits.
    Int,
    /// Eight bytes.
    Double,
    /// A length and bytes.
    Binary,
    /// A length and elements.
    List,
    /// Fields.
    Struct,
}

/// The header of a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Its number.
    pub(super) id: i64,
    /// What it holds.
    pub(super) holds: Type,
}

/// What comes next in a struct.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// A field.
    Field(Field),
    /// Its end.
    End,
}

/// The header of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    /// Elements.
    pub(super) n: usize,
    /// What each holds.
    pub(super) holds: Type,
}

/// A place in encoded bytes. What ends early or is of no known type is `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compact<'a> {
    bytes: &'a [u8],
}

impl<'a> Compact<'a> {
    /// At the start of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes not yet read.
    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn pass(&mut self, n: usize) -> Option<()> {
        self.bytes = self.bytes.get(n..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A signed number.
    pub(super) fn int(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The next field of a struct, after that numbered `last`.
    pub(super) fn field(&mut self, last: i64) -> Option<Next> {
        let header = self.byte()?;
        if header.is_multiple_of(16) {
            return Some(Next::End);
        }
        let holds = type_of(header)?;
        let delta = i64::from(header >> 4);
        let id = if delta == 0 { self.int()? } else { last + delta };
        // Field numbers are of 16 bits.
        (0..=i64::from(i16::MAX)).contains(&id).then_some(Next::Field(Field { id, holds }))
    }

    /// The header of a list. Every element takes a byte at least, so none can claim more than there is.
    pub(super) fn list(&mut self) -> Option<List> {
        let header = self.byte()?;
        let n = match header >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            n => usize::from(n),
        };
        let holds = if n == 0 { Type::Byte } else { type_of(header)? };
        (n <= self.left()).then_some(List { n, holds })
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, holds: Type) -> Option<()> {
        self.skip_within(holds, DEPTH)
    }

    fn skip_within(&mut self, holds: Type, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match holds {
            Type::Bool => Some(()),
            Type::Byte => self.pass(1),
            Type::Int => self.varint().map(|_| ()),
            Type::Double => self.pass(8),
            Type::Binary => {
                let n = self.varint()?;
                self.pass(usize::try_from(n).ok()?)
            }
            Type::List => {
                let list = self.list()?;
                // In a list a truth value is a byte.
                let holds = if list.holds == Type::Bool { Type::Byte } else { list.holds };
                (0..list.n).try_for_each(|_| self.skip_within(holds, depth))
            }
            Type::Struct => {
                let mut last = 0;
                while let Next::Field(field) = self.field(last)? {
                    self.skip_within(field.holds, depth)?;
                    last = field.id;
                }
                Some(())
            }
        }
    }
}

fn type_of(header: u8) -> Option<Type> {
    Some(match header & 0x0f {
        1 | 2 => Type::Bool,
        3 => Type::Byte,
        4..=6 => Type::Int,
        7 => Type::Double,
        8 => Type::Binary,
        9 => Type::List,
        12 => Type::Struct,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_zigzag_varints() {
        for (bytes, value) in [(&[0u8][..], 0), (&[1], -1), (&[2], 1), (&[0xac, 2], 150), (&[0xff, 1], -128)]
        {
            assert_eq!(Compact::new(bytes).int(), Some(value));
        }
        assert_eq!(Compact::new(&[0x80; 12]).int(), None);
    }

    #[test]
    fn lists_claim_no_more_than_there_is() {
        // Two structs, each its end alone; then the same header with 2^31 of them.
        assert_eq!(Compact::new(&[0x2c, 0, 0]).list().map(|list| list.n), Some(2));
        assert!(Compact::new(&[0xfc, 0xff, 0xff, 0xff, 0xff, 7, 0, 0]).list().is_none());
        assert!(Compact::new(&[0x3c, 0, 0]).list().is_none());
    }

    #[test]
    fn what_is_nested_deep_is_refused() {
        let deep = [&[0x19u8; 100][..], &[0x13, 0]].concat();
        assert_eq!(Compact::new(&deep).skip(Type::List), None);
        let shallow = [&[0x19u8; 20][..], &[0x13, 0]].concat();
        assert_eq!(Compact::new(&shallow).skip(Type::List), Some(()));
    }
}
