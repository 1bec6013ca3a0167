//! A result as one table of typed columns: what CSV, Parquet and Arrow hold.
//!
//! One row per game and player, per run and dimension, per finding; what does not exist is null (an empty cell of CSV).
//! Tables for people are made elsewhere (`grid`): they shorten, these do not. `columnar` writes it.

use std::collections::BTreeSet;
use std::sync::Arc;

/// A column's values, row after row.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Text.
    Text(Vec<Option<Arc<str>>>),
    /// Whole numbers.
    Int(Vec<Option<i64>>),
    /// Numbers at full precision.
    Float(Vec<Option<f64>>),
    /// Truth values.
    Flag(Vec<Option<bool>>),
}

/// Columns of one length, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct TidyTable {
    pub(super) n_rows: usize,
    pub(super) columns: Vec<(String, Values)>,
}

/// Makes a table of rows, column by column: a name, and what stands there for a row.
#[derive(Debug)]
pub struct Tidy<'a, R> {
    rows: &'a [R],
    columns: Vec<(String, Values)>,
}

impl<'a, R> Tidy<'a, R> {
    /// A table of these rows without columns.
    pub fn new(rows: &'a [R]) -> Self {
        Self { rows, columns: Vec::new() }
    }

    /// Adds a text column.
    #[must_use]
    pub fn text(mut self, name: &str, of: impl Fn(&R) -> Option<String>) -> Self {
        // A text stands once, however many rows have it: names of runs and slots do, millions of times.
        let mut known: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut shared = |text: String| {
            known.get(text.as_str()).cloned().unwrap_or_else(|| {
                let text: Arc<str> = text.into();
                known.insert(Arc::clone(&text));
                text
            })
        };
        let values = self.rows.iter().map(|row| of(row).map(&mut shared)).collect();
        self.columns.push((name.to_owned(), Values::Text(values)));
        self
    }

    /// Adds a column of whole numbers; a count beyond 63 bits becomes the largest there is.
    #[must_use]
    pub fn int<N: TryInto<i64>>(mut self, name: &str, of: impl Fn(&R) -> Option<N>) -> Self {
        let values = self.rows.iter().map(|row| of(row).map(|n| n.try_into().unwrap_or(i64::MAX)));
        self.columns.push((name.to_owned(), Values::Int(values.collect())));
        self
    }

    /// Adds a column of numbers.
    #[must_use]
    pub fn float(mut self, name: &str, of: impl Fn(&R) -> Option<f64>) -> Self {
        self.columns.push((name.to_owned(), Values::Float(self.rows.iter().map(of).collect())));
        self
    }

    /// Adds a column of truth values.
    #[must_use]
    pub fn flag(mut self, name: &str, of: impl Fn(&R) -> Option<bool>) -> Self {
        self.columns.push((name.to_owned(), Values::Flag(self.rows.iter().map(of).collect())));
        self
    }

    /// The table.
    pub fn table(self) -> TidyTable {
        TidyTable { n_rows: self.rows.len(), columns: self.columns }
    }
}
