//! Decoded step rows.

use polars_arrow::array::Array;

use super::super::columns::BadCells;
use super::judgements::Judgements;
use super::keys::RowKeys;
use super::values::StepValues;

/// Step rows decoded together: the rows of a slice of a part, or of a sorted bucket.
pub(super) struct DecodedRows {
    pub(super) keys: RowKeys,
    pub(super) values: StepValues,
    /// Columns carried along.
    pub(super) carried: Vec<Box<dyn Array>>,
    /// Malformed cells in row order.
    pub(super) bad: BadCells,
    /// What was judged of the rows before they were put in order.
    pub(super) judged: Option<Judgements>,
}

impl DecodedRows {
    /// Values per row.
    pub(super) fn width(&self) -> usize {
        self.values.rows().len() / self.keys.n_rows().max(1)
    }
}
