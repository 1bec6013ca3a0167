//! CSV and NDJSON: text cells to typed columns, with the line of every mistake.

use std::collections::BTreeMap;
use std::fmt;

use polars_arrow::array::{Array, BooleanArray, ListArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::ArrowDataType;
use polars_arrow::offset::Offsets;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::budget::PartBudget;
use super::error::{Problem, RecordError};

/// Columns whose cells are names, whatever they look like.
const IDENTITIES: [&str; 3] = ["run_id", "run", "run_dir"];

/// How a text file is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextReading<'a> {
    /// A further column whose cells are names: the user says so.
    pub(super) identity: Option<&'a str>,
    /// Bytes that are left for it.
    pub(super) left: u64,
    /// Bytes that all text files may take.
    pub(super) budget: PartBudget,
}

impl TextReading<'_> {
    /// Refuses a file that takes more than is left.
    fn check(&self, name: &str, n_bytes: usize, n_cells: u64) -> Result<(), RecordError> {
        let cells = n_cells.saturating_mul(size_of::<Value>() as u64);
        if cells.saturating_add(n_bytes as u64) <= self.left {
            return Ok(());
        }
        Err(self.refused(name))
    }

    /// The error of a file that takes more than is left.
    pub(super) fn refused(&self, name: &str) -> RecordError {
        let budget = self.budget.bytes();
        RecordError::file(name, Problem::TextOverBudget { is_first: self.left == budget, budget })
    }
}

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextFormat {
    /// One JSON object per line.
    Ndjson,
    /// Delimited values with a header line.
    Delimited(u8),
}

type Columns = (Vec<(String, ArrowDataType)>, Vec<Box<dyn Array>>);

/// Parses a whole file to named, typed columns.
///
/// Every cell takes memory whatever it holds, so that rows times columns are held against what is left as they grow: in
/// NDJSON each line may bring a column that all lines then have.
pub(super) fn parse(
    name: &str,
    bytes: &[u8],
    format: TextFormat,
    reading: &TextReading<'_>,
) -> Result<Columns, RecordError> {
    let columns = match format {
        TextFormat::Ndjson => parse_ndjson(name, bytes, reading)?,
        TextFormat::Delimited(delimiter) => parse_delimited(name, bytes, delimiter, reading)?,
    };
    let mut schema = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for (column, cells) in columns {
        let array = build_array(&cells);
        schema.push((column, array.dtype().clone()));
        arrays.push(array);
    }
    Ok((schema, arrays))
}

fn unreadable(name: &str, format: &'static str, detail: String) -> RecordError {
    RecordError::file(name, Problem::Unreadable { format, detail })
}

fn parse_delimited(
    name: &str,
    bytes: &[u8],
    delimiter: u8,
    reading: &TextReading<'_>,
) -> Result<Vec<(String, Vec<Value>)>, RecordError> {
    let failed = |error: csv::Error| unreadable(name, "CSV", error.to_string());
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(bytes);
    let header: Vec<String> = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
    let twice = header.iter().enumerate().find(|(i, name)| !name.is_empty() && header[..*i].contains(name));
    if let Some((_, column)) = twice {
        return Err(RecordError::column(name, column, Problem::RepeatedName));
    }
    let is_identity =
        |column: &String| IDENTITIES.contains(&column.as_str()) || reading.identity == Some(column.as_str());
    let is_identity: Vec<bool> = header.iter().map(is_identity).collect();
    let mut columns: Vec<(String, Vec<Value>)> =
        header.into_iter().map(|column| (column, Vec::new())).collect();
    if columns.is_empty() {
        return Err(RecordError::file(name, Problem::NoRows));
    }
    let n_columns = columns.len() as u64;
    for (row, record) in (1u64..).zip(reader.records()) {
        let record = record.map_err(failed)?;
        reading.check(name, bytes.len(), n_columns.saturating_mul(row))?;
        for (((_, cells), cell), is_identity) in columns.iter_mut().zip(record.iter()).zip(&is_identity) {
            // Names stay as they are written: 01 is not 1, nor is 1e3 1000.
            cells.push(if *is_identity && !cell.is_empty() { cell.into() } else { typed_cell(cell) });
        }
    }
    Ok(columns)
}

/// A CSV cell by its looks: empty is null, then integer, number, truth value, text.
fn typed_cell(cell: &str) -> Value {
    if cell.is_empty() {
        return Value::Null;
    }
    if let Ok(integer) = cell.parse::<i64>() {
        return integer.into();
    }
    if let Ok(integer) = cell.parse::<u64>() {
        return integer.into();
    }
    match cell {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    match cell.parse::<f64>() {
        // JSON has no number for these: they stay text, and the reader names the cell.
        Ok(number) if number.is_finite() => number.into(),
        _ => Value::String(cell.to_owned()),
    }
}

fn parse_ndjson(
    name: &str,
    bytes: &[u8],
    reading: &TextReading<'_>,
) -> Result<Vec<(String, Vec<Value>)>, RecordError> {
    let mut columns: Vec<(String, Vec<Value>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut n_rows = 0;
    for (line_number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let detail = |what: String| unreadable(name, "NDJSON", format!("line {}: {what}", line_number + 1));
        let Cells(object) = serde_json::from_slice(line)
            .map_err(|error| detail(error.to_string().replace(" at line 1 ", " at ")))?;
        let n_columns = (columns.len() + object.len()) as u64;
        reading.check(name, bytes.len(), n_columns.saturating_mul(n_rows as u64 + 1))?;
        for (column, value) in object {
            let place = *places.entry(column).or_insert_with_key(|column| {
                columns.push((column.clone(), vec![Value::Null; n_rows]));
                columns.len() - 1
            });
            columns[place].1.resize(n_rows, Value::Null);
            columns[place].1.push(value);
        }
        n_rows += 1;
    }
    for (_, cells) in &mut columns {
        cells.resize(n_rows, Value::Null);
    }
    if n_rows == 0 {
        return Err(RecordError::file(name, Problem::NoRows));
    }
    Ok(columns)
}

/// The cells of one JSON object by column; a column named twice is an error, not a choice.
struct Cells(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Cells;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cells, A::Error> {
                let mut cells: Vec<(String, Value)> = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some((column, value)) = map.next_entry::<String, Value>()? {
                    if cells.iter().any(|(known, _)| *known == column) {
                        return Err(A::Error::custom(format!("column '{column}' is there twice")));
                    }
                    cells.push((column, value));
                }
                Ok(Cells(cells))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The narrowest type that holds all cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum CellType {
    Null,
    Bool,
    Int,
    UInt,
    Float,
    List,
    Text,
}

fn cell_type(value: &Value) -> CellType {
    match value {
        Value::Null => CellType::Null,
        Value::Bool(_) => CellType::Bool,
        Value::Number(number) if number.is_i64() => CellType::Int,
        Value::Number(number) if number.is_u64() => CellType::UInt,
        Value::Number(_) => CellType::Float,
        Value::Array(_) => CellType::List,
        Value::String(_) | Value::Object(_) => CellType::Text,
    }
}

fn join(a: CellType, b: CellType) -> CellType {
    let (low, high) = (a.min(b), a.max(b));
    match (low, high) {
        (low, high) if low == high || low == CellType::Null => high,
        (CellType::Int, CellType::UInt | CellType::Float) | (CellType::UInt, CellType::Float) => high,
        _ => CellType::Text,
    }
}

/// Cells to an Arrow array of the narrowest common type; mixed cells become text.
fn build_array(cells: &[Value]) -> Box<dyn Array> {
    let common = cells.iter().map(cell_type).fold(CellType::Null, join);
    match common {
        CellType::Null | CellType::Float => {
            Box::new(cells.iter().map(Value::as_f64).collect::<PrimitiveArray<f64>>())
        }
        CellType::Bool => Box::new(cells.iter().map(Value::as_bool).collect::<BooleanArray>()),
        CellType::Int => Box::new(cells.iter().map(Value::as_i64).collect::<PrimitiveArray<i64>>()),
        // A negative cell beside one above 2^63: too large for both, kept as numbers.
        CellType::UInt if cells.iter().any(|cell| cell.as_i64().is_some_and(|i| i < 0)) => {
            Box::new(cells.iter().map(Value::as_f64).collect::<PrimitiveArray<f64>>())
        }
        CellType::UInt => Box::new(cells.iter().map(Value::as_u64).collect::<PrimitiveArray<u64>>()),
        CellType::List => build_list(cells),
        CellType::Text => {
            let text: Vec<Option<String>> = cells
                .iter()
                .map(|cell| match cell {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                })
                .collect();
            Box::new(Utf8ViewArray::from_slice(text))
        }
    }
}

fn build_list(cells: &[Value]) -> Box<dyn Array> {
    let lengths = cells.iter().map(|cell| cell.as_array().map_or(0, Vec::len));
    let inner: Vec<Value> = cells.iter().filter_map(Value::as_array).flatten().cloned().collect();
    let values = build_array(&inner);
    let validity =
        cells.iter().any(Value::is_null).then(|| cells.iter().map(|cell| !cell.is_null()).collect());
    let Ok(offsets) = Offsets::<i64>::try_from_lengths(lengths) else {
        unreachable!("lengths of lists in memory fit 63 bits")
    };
    let dtype = ListArray::<i64>::default_datatype(values.dtype().clone());
    Box::new(ListArray::<i64>::new(dtype, offsets.into(), values, validity))
}

#[cfg(test)]
mod tests {
    use super::super::table::describe_type;
    use super::*;

    const READING: TextReading<'_> =
        TextReading { identity: Some("id"), left: 1 << 32, budget: PartBudget::of_bytes(1 << 32) };

    fn types(bytes: &[u8], format: TextFormat) -> Vec<String> {
        let (columns, _) = parse("test", bytes, format, &READING).expect("columns");
        columns.iter().map(|(name, dtype)| format!("{name} {}", describe_type(dtype))).collect()
    }

    #[test]
    fn cells_take_the_narrowest_common_type() {
        let csv = b"a,b,c,d,e\n1,0.5,true,x,\n-2,3,False,7,1\n";
        let found = types(csv, TextFormat::Delimited(b','));
        assert_eq!(found, ["a i64", "b f64", "c bool", "d str", "e i64"]);
    }

    #[test]
    fn lists_and_late_columns_in_ndjson() {
        let ndjson = b"{\"a\":[true,false]}\n\n{\"a\":[],\"b\":18446744073709551615}\n";
        assert_eq!(types(ndjson, TextFormat::Ndjson), ["a list<bool>", "b u64"]);
        let (_, arrays) = parse("test", ndjson, TextFormat::Ndjson, &READING).expect("columns");
        assert_eq!(
            arrays.iter().map(|array| (array.len(), array.null_count())).collect::<Vec<_>>(),
            [(2, 0), (2, 1)]
        );
    }

    #[test]
    fn names_are_never_retyped() {
        let csv = b"run_id,step\n01,1\n1,2\n1e3,3\n123456789012345678901,4\n,5\n";
        assert_eq!(types(csv, TextFormat::Delimited(b',')), ["run_id str", "step i64"]);
        // Nor in a column that is said to hold them.
        assert_eq!(types(b"id,other\n01,01\n", TextFormat::Delimited(b',')), ["id str", "other i64"]);
        let (_, arrays) = parse("test", csv, TextFormat::Delimited(b','), &READING).expect("columns");
        let runs = arrays[0].as_any().downcast_ref::<Utf8ViewArray>().expect("text");
        let runs: Vec<Option<&str>> = runs.iter().collect();
        assert_eq!(runs, [Some("01"), Some("1"), Some("1e3"), Some("123456789012345678901"), None]);
    }

    #[test]
    fn a_column_named_twice_is_an_error_that_names_it() {
        let message =
            |bytes: &[u8], format| parse("test", bytes, format, &READING).expect_err("an error").to_string();
        let csv = message(b"mask,value,mask\n1,2,3\n", TextFormat::Delimited(b','));
        assert_eq!(csv, "test: column mask: there twice");
        let ndjson = message(b"{\"a\":1}\n{\"a\":1,\"b\":2,\"a\":3}\n", TextFormat::Ndjson);
        assert!(ndjson.contains("line 2") && ndjson.contains("column 'a' is there twice"), "{ndjson}");
        // Commas at the ends of lines name nothing.
        assert!(parse("test", b"a,,\n1,,\n", TextFormat::Delimited(b','), &READING).is_ok());
    }

    #[test]
    fn a_broken_line_is_named() {
        let failure =
            |bytes: &[u8], format| parse("test", bytes, format, &READING).expect_err("an error").to_string();
        let error = failure(b"{\"a\":1}\n{\"a\":NaN}\n", TextFormat::Ndjson);
        assert!(error.contains("line 2"), "{error}");
        let error = failure(b"a,b\n1\n", TextFormat::Delimited(b','));
        assert!(error.contains("line: 2"), "{error}");
    }

    #[test]
    fn lines_that_each_bring_a_column_are_held_against_the_budget() {
        let lines: String = (0..4000).map(|i| format!("{{\"c{i}\":1}}\n")).collect();
        let refused = |text: &str, format, left| {
            let error = parse("test", text.as_bytes(), format, &TextReading { left, ..READING });
            let problem = error.expect_err("an error").problem;
            assert!(matches!(problem, Problem::TextOverBudget { is_first: false, .. }), "{problem}");
        };
        refused(&lines, TextFormat::Ndjson, 16 << 20);
        // A cell of nothing takes memory, too.
        refused(&",,,,,,,,,\n".repeat(10_000), TextFormat::Delimited(b','), 1 << 20);
    }
}
