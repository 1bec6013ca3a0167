//! Tidy tables as CSV, Parquet and Arrow IPC, the only place outside `records` that knows polars.
//!
//! Columns are `f64`, `i64`, `bool` and text, all nullable; text of Arrow IPC is `large_string`, which every reader of
//! Arrow knows (views are younger). The bytes depend on the table alone.

use std::io::{self, Write};
use std::sync::Arc;

use polars::prelude::{
    Column, DataFrame, IntoColumn, NamedFrom, ParquetCompression, ParquetWriter, PlSmallStr, Series,
};
use polars_arrow::array::{Array, BooleanArray, PrimitiveArray, Utf8Array};
use polars_arrow::datatypes::{ArrowSchema, Field};
use polars_arrow::io::ipc::write::{FileWriter, WriteOptions};
use polars_arrow::record_batch::RecordBatchT;

use super::Format;
use super::tidy::{TidyTable, Values};

impl TidyTable {
    /// Writes the table as Parquet or Arrow IPC, else as CSV.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Parquet => write_parquet(self, out),
            Format::Arrow => write_arrow(self, out),
            Format::Table | Format::Json | Format::Ndjson | Format::Csv | Format::Markdown => {
                self.write_csv(out)
            }
        }
    }

    fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(self.columns.iter().map(|(name, _)| name)).map_err(csv_error)?;
        for row in 0..self.n_rows {
            writer
                .write_record(self.columns.iter().map(|(_, values)| values.cell(row)))
                .map_err(csv_error)?;
        }
        writer.flush()
    }
}

fn csv_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

impl Values {
    /// A cell of CSV.
    fn cell(&self, row: usize) -> String {
        fn shown<T: ToString>(values: &[Option<T>], row: usize) -> String {
            values.get(row).and_then(Option::as_ref).map_or_else(String::new, ToString::to_string)
        }
        match self {
            Self::Text(values) => shown(values, row),
            Self::Int(values) => shown(values, row),
            Self::Float(values) => shown(values, row),
            Self::Flag(values) => shown(values, row),
        }
    }
}

/// Writes Parquet, compressed with zstd.
///
/// # Errors
/// If writing fails.
fn write_parquet(table: &TidyTable, out: &mut dyn Write) -> io::Result<()> {
    let columns = table.columns.iter().map(|(name, values)| polars_column(name, values)).collect();
    let mut frame = DataFrame::new(table.n_rows, columns).map_err(io::Error::other)?;
    let writer = ParquetWriter::new(out).with_compression(ParquetCompression::Zstd(None)).set_parallel(false);
    writer.finish(&mut frame).map(|_| ()).map_err(io_error)
}

fn polars_column(name: &str, values: &Values) -> Column {
    let name = PlSmallStr::from_str(name);
    match values {
        Values::Text(values) => {
            let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
            Series::new(name, values.as_slice()).into_column()
        }
        Values::Int(values) => Series::new(name, values.as_slice()).into_column(),
        Values::Float(values) => Series::new(name, values.as_slice()).into_column(),
        Values::Flag(values) => Series::new(name, values.as_slice()).into_column(),
    }
}

/// Writes Arrow IPC (a file of one record batch), uncompressed: it can be mapped into memory as it is.
///
/// # Errors
/// If writing fails.
fn write_arrow(table: &TidyTable, out: &mut dyn Write) -> io::Result<()> {
    let arrays: Vec<Box<dyn Array>> = table.columns.iter().map(|(_, values)| array(values)).collect();
    let fields = table.columns.iter().zip(&arrays).map(|((name, _), array)| {
        let field = Field::new(PlSmallStr::from_str(name), array.dtype().clone(), true);
        (field.name.clone(), field)
    });
    let schema: Arc<ArrowSchema> = Arc::new(fields.collect());
    let options = WriteOptions { compression: None };
    let mut writer = FileWriter::try_new(out, Arc::clone(&schema), None, options).map_err(io_error)?;
    let batch = RecordBatchT::new(table.n_rows, schema, arrays);
    writer.write(&batch, None).map_err(io_error)?;
    writer.finish().map_err(io_error)
}

fn array(values: &Values) -> Box<dyn Array> {
    match values {
        Values::Text(values) => Box::new(values.iter().map(Option::as_deref).collect::<Utf8Array<i64>>()),
        Values::Int(values) => Box::new(PrimitiveArray::<i64>::from(values)),
        Values::Float(values) => Box::new(PrimitiveArray::<f64>::from(values)),
        Values::Flag(values) => Box::new(BooleanArray::from(values)),
    }
}

/// The writer's own error where it is one: a closed pipe has to be told from a failure.
fn io_error(error: polars::error::PolarsError) -> io::Error {
    match error {
        polars::error::PolarsError::IO { error, .. } => io::Error::new(error.kind(), error.to_string()),
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{AnyValue, DataType, ParquetReader, SerReader};
    use polars_arrow::io::ipc::read::{FileReader, read_file_metadata};

    use super::super::tidy::Tidy;
    use super::*;

    type Row<'a> = (Option<&'a str>, Option<i64>, Option<f64>, Option<bool>);

    fn table(rows: &[Row<'_>]) -> TidyTable {
        Tidy::new(rows)
            .text("name", |row| row.0.map(str::to_owned))
            .int("n", |row| row.1)
            .float("x", |row| row.2)
            .flag("ok", |row| row.3)
            .table()
    }

    fn bytes(table: &TidyTable, format: Format) -> Vec<u8> {
        let mut bytes = Vec::new();
        table.write(format, &mut bytes).expect("written");
        bytes
    }

    #[test]
    fn csv_has_full_precision_and_empty_cells_for_nulls() {
        let rows = [(Some("a,b"), Some(1u64), Some(0.1 + 0.2), Some(true)), (None, None, None, None)];
        let table = Tidy::new(&rows)
            .text("name", |row| row.0.map(str::to_owned))
            .int("n", |row| row.1)
            .float("x", |row| row.2)
            .flag("ok", |row| row.3)
            .table();
        let mut bytes = Vec::new();
        table.write(Format::Csv, &mut bytes).expect("written");
        assert_eq!(
            String::from_utf8(bytes).expect("text"),
            "name,n,x,ok\n\"a,b\",1,0.30000000000000004,true\n,,,\n"
        );
    }

    #[test]
    fn parquet_reads_back_with_types_and_nulls() {
        let rows = [(Some("größe"), Some(-7), Some(0.1 + 0.2), Some(false)), (None, None, None, None)];
        let read = |rows| {
            let bytes = bytes(&table(rows), Format::Parquet);
            ParquetReader::new(io::Cursor::new(bytes)).finish().expect("readable")
        };
        let frame = read(&rows);
        let types = [DataType::String, DataType::Int64, DataType::Float64, DataType::Boolean];
        assert_eq!(frame.dtypes(), types);
        let row = |at: usize| {
            frame.columns().iter().map(|column| column.get(at).expect("a row")).collect::<Vec<_>>()
        };
        let first = row(0);
        assert_eq!(first[0].get_str(), Some("größe"));
        assert_eq!(first[1..], [AnyValue::Int64(-7), AnyValue::Float64(0.1 + 0.2), AnyValue::Boolean(false)]);
        assert!(row(1).iter().all(|value| *value == AnyValue::Null));
        // A result without rows has its columns all the same.
        let empty = read(&[]);
        assert_eq!((empty.height(), empty.dtypes()), (0, types.to_vec()));
    }

    #[test]
    fn arrow_reads_back_with_types_and_nulls() {
        let rows = [(Some("größe"), Some(-7), Some(0.5), Some(true)), (None, None, None, None)];
        for rows in [&rows[..], &[]] {
            let table = table(rows);
            let mut reader = io::Cursor::new(bytes(&table, Format::Arrow));
            let metadata = read_file_metadata(&mut reader).expect("a footer");
            let batches: Vec<_> =
                FileReader::new(reader, metadata, None, None).collect::<Result<_, _>>().expect("readable");
            assert_eq!(batches.iter().map(RecordBatchT::height).sum::<usize>(), rows.len());
            for (read, (_, values)) in batches[0].arrays().iter().zip(&table.columns) {
                assert_eq!(read.as_ref(), array(values).as_ref());
            }
        }
    }

    #[test]
    fn the_same_table_gives_the_same_bytes() {
        let rows = [(Some("a"), Some(1), None, Some(true))];
        for format in [Format::Parquet, Format::Arrow] {
            assert_eq!(bytes(&table(&rows), format), bytes(&table(&rows), format));
        }
    }
}
