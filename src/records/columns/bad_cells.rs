//! Malformed cells, each with its place.

use polars_arrow::bitmap::Bitmap;

use super::super::error::Problem;

/// Malformed cells of one part, each with its row within the part, its column and its problem.
#[derive(Debug, Default)]
pub(in crate::records) struct BadCells {
    pub(in crate::records) cells: Vec<BadCell>,
}

/// One malformed cell.
#[derive(Debug)]
pub(in crate::records) struct BadCell {
    pub(in crate::records) row: usize,
    /// Position within a row of several values.
    pub(in crate::records) position: usize,
    pub(in crate::records) column: String,
    pub(in crate::records) problem: Problem,
}

impl BadCells {
    pub(in crate::records) fn push(&mut self, row: usize, column: &str, problem: Problem) {
        self.push_at(row, column, problem, 0);
    }

    pub(in crate::records) fn push_at(
        &mut self,
        row: usize,
        column: &str,
        problem: Problem,
        position: usize,
    ) {
        self.cells.push(BadCell { row, position, column: column.to_owned(), problem });
    }

    /// A bad column: every row is bad for the same reason, told once.
    pub(in crate::records) fn whole(&mut self, column: &str, expected: &'static str, found: String) {
        self.push(0, column, Problem::WrongType { expected, found });
    }
}

/// The same cells in row order.
pub(in crate::records) fn sorted_by_row(mut bad: BadCells) -> BadCells {
    bad.cells.sort_by_key(|cell| cell.row);
    bad
}

/// Tells every null of a column that may have none.
pub(in crate::records) fn report_nulls(
    validity: Option<&Bitmap>,
    name: &str,
    what: &'static str,
    bad: &mut BadCells,
) {
    if let Some(validity) = validity.filter(|validity| validity.unset_bits() > 0) {
        for (row, is_valid) in validity.iter().enumerate() {
            if !is_valid {
                bad.push(row, name, Problem::Null(what));
            }
        }
    }
}
