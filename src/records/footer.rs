//! The footer of a Parquet file, checked before it is decoded.
//!
//! polars-parquet's `deserialize_metadata` allocates each list of the footer by the length it claims
//! (`handwritten_thrift::read_list`), and takes a field for what its number says, whatever type its header names. So
//! the footer is walked first, by the same numbers: every field must be of its own type, no list may claim more
//! elements than there are bytes, and groups of the schema may not nest without end (they are read recursively).

use super::thrift::{Compact, Next, Type};

/// Levels of groups in a schema.
const DEPTH: usize = 64;

/// Bytes that an element of a list may take once it is decoded (a column chunk's takes about 300).
const ELEMENT_BYTES: u64 = 512;

/// The structs whose fields are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    SchemaElement,
    LogicalType,
    Decimal,
    Time,
    Integer,
    KeyValue,
    RowGroup,
    SortingColumn,
    Chunk,
    ChunkMetadata,
    Statistics,
    /// A choice of empty structs.
    Choice,
    /// Without fields.
    Empty,
}

/// What a field is to hold.
enum Expected {
    Is(Type),
    Struct(Kind),
    Structs(Kind),
    List(Type),
    Anything,
}

fn expected(kind: Kind, id: i64) -> Expected {
    use Expected::{Anything, Is, List, Struct, Structs};
    match kind {
        Kind::File => match id {
            1 | 3 => Is(Type::Int),
            2 => Structs(Kind::SchemaElement),
            4 => Structs(Kind::RowGroup),
            5 => Structs(Kind::KeyValue),
            6 => Is(Type::Binary),
            7 => Structs(Kind::Choice),
            _ => Anything,
        },
        Kind::SchemaElement => match id {
            1..=3 | 5..=9 => Is(Type::Int),
            4 => Is(Type::Binary),
            10 => Struct(Kind::LogicalType),
            _ => Anything,
        },
        Kind::RowGroup => match id {
            1 => Structs(Kind::Chunk),
            2 | 3 | 5..=7 => Is(Type::Int),
            4 => Structs(Kind::SortingColumn),
            _ => Anything,
        },
        Kind::Chunk => match id {
            1 => Is(Type::Binary),
            2 | 4..=7 => Is(Type::Int),
            3 => Struct(Kind::ChunkMetadata),
            _ => Anything,
        },
        Kind::ChunkMetadata => match id {
            1 | 4..=7 | 9..=11 | 14 | 15 => Is(Type::Int),
            2 => List(Type::Int),
            3 => List(Type::Binary),
            12 => Struct(Kind::Statistics),
            _ => Anything,
        },
        other => expected_within(other, id),
    }
}

/// The same of the small structs.
fn expected_within(kind: Kind, id: i64) -> Expected {
    use Expected::{Anything, Is, Struct};
    match (kind, id) {
        (Kind::LogicalType, 5) => Struct(Kind::Decimal),
        (Kind::LogicalType, 7 | 8) => Struct(Kind::Time),
        (Kind::LogicalType, 10) => Struct(Kind::Integer),
        (Kind::LogicalType, 1..=15) | (Kind::Choice, _) => Struct(Kind::Empty),
        (Kind::Time, 2) => Struct(Kind::Choice),
        (Kind::Time, 1) | (Kind::Integer, 2) | (Kind::Statistics, 7 | 8) | (Kind::SortingColumn, 2 | 3) => {
            Is(Type::Bool)
        }
        (Kind::Integer, 1) => Is(Type::Byte),
        (Kind::KeyValue, 1 | 2) | (Kind::Statistics, 1 | 2 | 5 | 6) => Is(Type::Binary),
        (Kind::Decimal, 1 | 2) | (Kind::SortingColumn, 1) | (Kind::Statistics, 3 | 4) => Is(Type::Int),
        _ => Anything,
    }
}

/// Walks a footer; `Err` says what it claims and cannot have.
pub(super) fn check(footer: &[u8], most_bytes: u64) -> Result<(), String> {
    let mut walk =
        Walk { at: Compact::new(footer), n_elements: 0, most: most_bytes / ELEMENT_BYTES, open: Vec::new() };
    walk.fields(Kind::File).ok_or_else(|| walk.problem())
}

struct Walk<'a> {
    at: Compact<'a>,
    n_elements: u64,
    most: u64,
    /// Children yet to come of the schema's open groups.
    open: Vec<i64>,
}

impl Walk<'_> {
    fn problem(&self) -> String {
        if self.n_elements > self.most {
            return format!("its footer lists more than {} things", self.most);
        }
        if self.open.len() > DEPTH {
            return format!("its columns are nested deeper than {DEPTH} levels");
        }
        "its footer is damaged: a length or type in it cannot be".to_owned()
    }

    fn fields(&mut self, kind: Kind) -> Option<()> {
        let mut last = 0;
        let mut children = 0;
        while let Next::Field(field) = self.at.field(last)? {
            last = field.id;
            if (kind, field.id, field.holds) == (Kind::SchemaElement, 5, Type::Int) {
                children = self.at.int()?;
                continue;
            }
            match (expected(kind, field.id), field.holds) {
                (Expected::Struct(kind), Type::Struct) => self.fields(kind)?,
                (Expected::Structs(kind), Type::List) => self.structs(kind)?,
                (Expected::List(holds), Type::List) => {
                    let list = self.at.list()?;
                    if list.n > 0 && list.holds != holds {
                        return None;
                    }
                    (0..list.n).try_for_each(|_| self.at.skip(holds))?;
                }
                (Expected::Is(wanted), found) if wanted == found => self.at.skip(found)?,
                (Expected::Anything, found) => self.at.skip(found)?,
                _ => return None,
            }
        }
        if kind == Kind::SchemaElement { self.element(children) } else { Some(()) }
    }

    fn structs(&mut self, kind: Kind) -> Option<()> {
        let list = self.at.list()?;
        self.n_elements += list.n as u64;
        if list.n > 0 && list.holds != Type::Struct || self.n_elements > self.most {
            return None;
        }
        (0..list.n).try_for_each(|_| self.fields(kind))
    }

    /// Elements of a schema stand in order, each group before its children.
    fn element(&mut self, children: i64) -> Option<()> {
        if let Some(left) = self.open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            self.open.push(children);
        }
        if self.open.len() > DEPTH {
            return None;
        }
        while self.open.last().is_some_and(|left| *left <= 0) {
            self.open.pop();
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_claims_too_much_is_refused() {
        // version 1; a schema of 2^31 - 1 elements.
        let footer = [0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 7, 0, 0];
        assert!(check(&footer, 1 << 20).expect_err("refused").contains("cannot be"));
        // The same as a number where a list is read.
        assert!(check(&[0x15, 2, 0x16, 2, 0], 1 << 20).is_err());
    }

    #[test]
    fn a_schema_nested_without_end_is_refused() {
        // name "a", one child; a thousand times.
        let element = [0x48u8, 1, b'a', 0x15, 2, 0];
        let footer = [&[0x15, 2, 0x19, 0xfc, 0xe8, 7][..], &element.repeat(1000), &[0]].concat();
        assert!(check(&footer, 1 << 30).expect_err("refused").contains("deeper than 64"));
        assert!(check(&footer, 1 << 10).expect_err("refused").contains("more than 2 things"));
        let shallow = [&[0x15, 2, 0x19, 0xac][..], &element.repeat(10), &[0]].concat();
        assert_eq!(check(&shallow, 1 << 20), Ok(()));
    }
}
