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
use super::literal;

/// Columns whose cells are names or digits in a row, whatever number they look like.
const KEPT_AS_WRITTEN: [&str; 5] = ["run_id", "run", "run_dir", "config", "players_on"];

/// Before a cell that is no finite number and may still stand among numbers; no text begins with it.
const NOT_FINITE: char = '\u{1}';

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
    /// Delimited values with a header line; between them is what makes the most columns of the header: a comma, a
    /// semicolon or a tab.
    Delimited,
    /// The same with tabs.
    Tabs,
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
        TextFormat::Delimited => parse_delimited(name, bytes, separator(bytes), reading)?,
        TextFormat::Tabs => parse_delimited(name, bytes, b'\t', reading)?,
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

/// What lies between the cells of the header.
fn separator(bytes: &[u8]) -> u8 {
    let n_columns = |separator: u8| {
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(bytes);
        reader.headers().map_or(0, csv::StringRecord::len)
    };
    // The comma last: of several that make as many columns it is taken.
    [b'\t', b';', b','].into_iter().max_by_key(|separator| n_columns(*separator)).unwrap_or(b',')
}

fn parse_delimited(
    name: &str,
    bytes: &[u8],
    separator: u8,
    reading: &TextReading<'_>,
) -> Result<Vec<(String, Vec<Value>)>, RecordError> {
    let failed = |error: csv::Error| unreadable(name, "CSV", error.to_string());
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).trim(csv::Trim::All).from_reader(bytes);
    let header: Vec<String> = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
    let twice = header.iter().enumerate().find(|(i, name)| !name.is_empty() && header[..*i].contains(name));
    if let Some((_, column)) = twice {
        return Err(RecordError::column(name, column, Problem::RepeatedName));
    }
    let is_kept = |column: &String| {
        KEPT_AS_WRITTEN.contains(&column.as_str()) || reading.identity == Some(column.as_str())
    };
    let is_kept: Vec<bool> = header.iter().map(is_kept).collect();
    let mut columns: Vec<(String, Vec<Value>)> =
        header.into_iter().map(|column| (column, Vec::new())).collect();
    if columns.is_empty() {
        return Err(RecordError::file(name, Problem::NoRows));
    }
    let has_decimal_commas = separator == b';';
    let n_columns = columns.len() as u64;
    for (row, record) in (1u64..).zip(reader.records()) {
        let record = record.map_err(failed)?;
        reading.check(name, bytes.len(), n_columns.saturating_mul(row))?;
        for (((_, cells), cell), is_kept) in columns.iter_mut().zip(record.iter()).zip(&is_kept) {
            cells.push(match literal::list(cell) {
                Some(list) => Value::Array(list),
                // Names stay as they are written: 01 is not 1, nor is 1e3 1000.
                None if *is_kept && !cell.is_empty() => cell.into(),
                None => typed_cell(cell, has_decimal_commas),
            });
        }
    }
    Ok(columns)
}

/// A CSV cell by its looks: empty is null, then integer, number, truth value, text.
fn typed_cell(cell: &str, has_decimal_commas: bool) -> Value {
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
        Ok(number) if number.is_finite() => number.into(),
        // JSON has no number for these.
        Ok(_) => Value::String(format!("{NOT_FINITE}{cell}")),
        Err(_) if has_decimal_commas && cell.contains(',') && !cell.contains('.') => {
            cell.replacen(',', ".", 1).parse::<f64>().map_or_else(|_| cell.into(), Value::from)
        }
        Err(_) => cell.into(),
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
        let line = literal::with_quoted_non_finite(line, NOT_FINITE);
        let Cells(object) = serde_json::from_slice(&line)
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
    NotFinite,
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
        Value::String(text) if text.starts_with(NOT_FINITE) => CellType::NotFinite,
        Value::String(_) | Value::Object(_) => CellType::Text,
    }
}

fn join(a: CellType, b: CellType) -> CellType {
    let (low, high) = (a.min(b), a.max(b));
    match (low, high) {
        (low, high) if low == high || low == CellType::Null => high,
        (CellType::Int, CellType::UInt | CellType::Float)
        | (CellType::UInt | CellType::NotFinite, CellType::Float) => high,
        (CellType::Int | CellType::UInt, CellType::NotFinite) => CellType::Float,
        _ => CellType::Text,
    }
}

/// A number, finite or not.
fn float(cell: &Value) -> Option<f64> {
    match cell {
        Value::String(text) => text.strip_prefix(NOT_FINITE)?.parse().ok(),
        cell => cell.as_f64(),
    }
}

/// Cells to an Arrow array of the narrowest common type; mixed cells become text.
fn build_array(cells: &[Value]) -> Box<dyn Array> {
    let common = cells.iter().map(cell_type).fold(CellType::Null, join);
    match common {
        CellType::Null | CellType::NotFinite | CellType::Float => {
            Box::new(cells.iter().map(float).collect::<PrimitiveArray<f64>>())
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
                    Value::String(text) => Some(text.strip_prefix(NOT_FINITE).unwrap_or(text).to_owned()),
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
        let found = types(csv, TextFormat::Delimited);
        assert_eq!(found, ["a i64", "b f64", "c bool", "d str", "e i64"]);
    }

    #[test]
    fn separators_and_decimal_commas_are_those_of_the_file() {
        let german = "\u{feff}\"Genauigkeit (val)\";seed;aug\r\n0,93;1;on\r\n-1,5e-3;2;off\r\n".as_bytes();
        assert_eq!(types(german, TextFormat::Delimited), ["Genauigkeit (val) f64", "seed i64", "aug str"]);
        assert_eq!(types(b"a\tb\n1\t0.5\n", TextFormat::Delimited), ["a i64", "b f64"]);
        // A comma of a name is no separator where it is quoted, and no decimal comma where commas separate.
        assert_eq!(types(b"\"a;b\",c\n1,\"2,5\"\n", TextFormat::Delimited), ["a;b i64", "c str"]);
    }

    #[test]
    fn numbers_that_are_not_finite_stand_among_numbers() {
        let ndjson =
            b"{\"a\":1,\"b\":[NaN,2],\"c\":\"NaN\"}\n{\"a\":-Infinity,\"b\":[1,Infinity],\"c\":\"x, NaN\"}\n";
        assert_eq!(types(ndjson, TextFormat::Ndjson), ["a f64", "b list<f64>", "c str"]);
        let (_, arrays) = parse("test", ndjson, TextFormat::Ndjson, &READING).expect("columns");
        let floats = arrays[0].as_any().downcast_ref::<PrimitiveArray<f64>>().expect("numbers");
        assert_eq!(floats.values().as_slice(), [1.0, f64::NEG_INFINITY]);
        let texts = arrays[2].as_any().downcast_ref::<Utf8ViewArray>().expect("text");
        assert_eq!(texts.value(1), "x, NaN");
        assert_eq!(
            types(b"a,b,run\nnan,nan,nan\n1,x,inf\n", TextFormat::Delimited),
            ["a f64", "b str", "run str"]
        );
    }

    #[test]
    fn lists_in_cells_are_lists() {
        let csv = b"config,obs,on\n\"[True, False]\",[0.5 -1e-3],\"['a', 'b']\"\n\"[1, 0]\",\"[1, 2]\",[]\n";
        assert_eq!(types(csv, TextFormat::Delimited), ["config list<str>", "obs list<f64>", "on list<str>"]);
        assert_eq!(types(b"config\n0110\n1\n", TextFormat::Delimited), ["config str"]);
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
        assert_eq!(types(csv, TextFormat::Delimited), ["run_id str", "step i64"]);
        // Nor in a column that is said to hold them.
        assert_eq!(types(b"id,other\n01,01\n", TextFormat::Delimited), ["id str", "other i64"]);
        let (_, arrays) = parse("test", csv, TextFormat::Delimited, &READING).expect("columns");
        let runs = arrays[0].as_any().downcast_ref::<Utf8ViewArray>().expect("text");
        let runs: Vec<Option<&str>> = runs.iter().collect();
        assert_eq!(runs, [Some("01"), Some("1"), Some("1e3"), Some("123456789012345678901"), None]);
    }

    #[test]
    fn a_column_named_twice_is_an_error_that_names_it() {
        let message =
            |bytes: &[u8], format| parse("test", bytes, format, &READING).expect_err("an error").to_string();
        let csv = message(b"mask,value,mask\n1,2,3\n", TextFormat::Delimited);
        assert_eq!(csv, "test: column mask: there twice");
        let ndjson = message(b"{\"a\":1}\n{\"a\":1,\"b\":2,\"a\":3}\n", TextFormat::Ndjson);
        assert!(ndjson.contains("line 2") && ndjson.contains("column 'a' is there twice"), "{ndjson}");
        // Commas at the ends of lines name nothing.
        assert!(parse("test", b"a,,\n1,,\n", TextFormat::Delimited, &READING).is_ok());
    }

    #[test]
    fn a_broken_line_is_named() {
        let failure =
            |bytes: &[u8], format| parse("test", bytes, format, &READING).expect_err("an error").to_string();
        let error = failure(b"{\"a\":1}\n{\"a\":nil}\n", TextFormat::Ndjson);
        assert!(error.contains("line 2"), "{error}");
        let error = failure(b"a,b\n1\n", TextFormat::Delimited);
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
        refused(&",,,,,,,,,\n".repeat(10_000), TextFormat::Delimited, 1 << 20);
    }
}
