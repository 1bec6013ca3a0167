//! The parts a file is decoded in, and the guard around third-party decoders.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars_arrow::array::Array;

use super::error::{Problem, RecordError};

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a third-party decoder, whose panics are reported as unreadable files.
pub fn is_decoding() -> bool {
    DECODING.with(Cell::get)
}

/// Runs a decoder of polars on untrusted bytes: its errors and its panics become one error.
pub(super) fn decode<T>(
    file: &str,
    format: &'static str,
    run: impl FnOnce() -> Result<T, polars::error::PolarsError>,
) -> Result<T, RecordError> {
    guarded(file, format, run)
}

/// The same of any decoder.
pub(super) fn guarded<T, E: std::fmt::Display>(
    file: &str,
    format: &'static str,
    run: impl FnOnce() -> Result<T, E>,
) -> Result<T, RecordError> {
    let unreadable = |detail: String| RecordError::file(file, Problem::Unreadable { format, detail });
    DECODING.with(|flag| flag.set(true));
    let outcome = catch_unwind(AssertUnwindSafe(run));
    DECODING.with(|flag| flag.set(false));
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(unreadable(first_line(&error.to_string()))),
        Err(_) => Err(unreadable("its contents are damaged".to_owned())),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// Rows of a file decoded together: a Parquet row group, an Arrow record batch, a whole text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Row number of the first row within the file.
    pub first_row: u64,
    /// Rows.
    pub n_rows: usize,
}

/// One column of a part.
#[derive(Debug, Clone)]
pub(super) enum Column {
    /// One value for all rows, known from the file's statistics without decoding.
    ConstantInt(i64),
    /// The same for text.
    ConstantText(String),
    /// Decoded values.
    Values(Box<dyn Array>),
}
