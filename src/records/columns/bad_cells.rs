//! Malformed cells, each with its place.

use std::sync::Arc;

use polars_arrow::bitmap::Bitmap;

use super::super::error::{Problem, RecordError};

/// Malformed cells of one part, each with its row within the part, its column and its problem.
#[derive(Debug, Default)]
pub(in crate::records) struct BadCells {
    pub(in crate::records) cells: Vec<BadCell>,
    /// The last column named: cells of one column share its name.
    name: Option<Arc<str>>,
}

/// What a malformed cell puts at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::records) enum Fault {
    /// The values of its row.
    Values,
    /// The place of its row: without its key a row belongs nowhere.
    Key,
    /// Its whole column, which is of another type: no row can be left out for it.
    Column,
}

/// One malformed cell.
#[derive(Debug)]
pub(in crate::records) struct BadCell {
    pub(in crate::records) fault: Fault,
    pub(in crate::records) row: usize,
    /// Position within a row of several values.
    pub(in crate::records) position: usize,
    pub(in crate::records) column: Arc<str>,
    pub(in crate::records) problem: Problem,
    /// Further cells of its row with the same problem, which are not told one by one.
    pub(in crate::records) more: u64,
}

impl BadCells {
    /// A row whose values cannot be used.
    pub(in crate::records) fn push(&mut self, row: usize, column: &str, problem: Problem) {
        self.push_at(row, column, problem, 0);
    }

    /// A row whose place is not known.
    pub(in crate::records) fn key(&mut self, row: usize, column: &str, problem: Problem) {
        self.push_cell(Fault::Key, row, column, problem, 0);
    }

    /// The same cells where they are no keys.
    pub(in crate::records) fn into_values(mut self) -> Self {
        for cell in self.cells.iter_mut().filter(|cell| cell.fault == Fault::Key) {
            cell.fault = Fault::Values;
        }
        self
    }

    pub(in crate::records) fn push_at(
        &mut self,
        row: usize,
        column: &str,
        problem: Problem,
        position: usize,
    ) {
        self.push_cell(Fault::Values, row, column, problem, position);
    }

    /// Counts a number that is not finite with the last cell, if that is one of the same row: whether it is.
    pub(in crate::records) fn joins_last(&mut self, row: usize) -> bool {
        let is_like = |last: &&mut BadCell| last.row == row && matches!(last.problem, Problem::NonFinite(_));
        let last = self.cells.last_mut().filter(is_like);
        last.map(|last| last.more += 1).is_some()
    }

    fn push_cell(&mut self, fault: Fault, row: usize, column: &str, problem: Problem, position: usize) {
        let column = match &self.name {
            Some(name) if **name == *column => Arc::clone(name),
            _ => Arc::clone(self.name.insert(column.into())),
        };
        self.cells.push(BadCell { fault, row, position, column, problem, more: 0 });
    }

    /// A bad column: every row is bad for the same reason, told once.
    pub(in crate::records) fn whole(&mut self, column: &str, expected: &'static str, found: String) {
        let problem = Problem::WrongType { expected, found };
        self.push_cell(Fault::Column, 0, column, problem, 0);
    }
}

/// The same cells in row order.
pub(in crate::records) fn sorted_by_row(mut bad: BadCells) -> BadCells {
    bad.cells.sort_by_key(|cell| cell.row);
    bad
}

impl BadCell {
    /// The cell as an error; a row is named where it is one row's fault.
    pub(in crate::records) fn error(self, file: &str, row: u64) -> RecordError {
        let row = (self.fault != Fault::Column).then_some(row);
        RecordError {
            file: file.to_owned(),
            row,
            column: Some(self.column.to_string()),
            problem: self.problem,
        }
    }
}

/// Tells every null of a column of values that may have none.
pub(in crate::records) fn report_nulls(
    validity: Option<&Bitmap>,
    name: &str,
    what: &'static str,
    bad: &mut BadCells,
) {
    for row in nulls(validity) {
        bad.push(row, name, Problem::Null(what));
    }
}

/// Tells every null of a key column.
pub(in crate::records) fn report_null_keys(
    validity: Option<&Bitmap>,
    name: &str,
    what: &'static str,
    bad: &mut BadCells,
) {
    for row in nulls(validity) {
        bad.key(row, name, Problem::Null(what));
    }
}

/// Rows of the nulls of an array.
pub(in crate::records) fn nulls(validity: Option<&Bitmap>) -> impl Iterator<Item = usize> + '_ {
    let validity = validity.filter(|validity| validity.unset_bits() > 0);
    validity.into_iter().flat_map(|validity| {
        validity.iter().enumerate().filter(|(_, is_valid)| !is_valid).map(|(row, _)| row)
    })
}
