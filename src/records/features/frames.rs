//! The rows of a data set, some of its features at a time.

use polars_arrow::array::{Array, BooleanArray, FixedSizeListArray, ListArray};

use super::super::budget::groups_within;
use super::super::columns::{self, BadCells};
use super::super::error::{Problem, RecordError};
use super::super::part::Column;
use super::super::table::{Table, describe_type};
use super::set::{FeatureSet, SetFeature};

/// Decoded bytes of the rows looked at at once, and their number where a file does not tell.
const SLICE_BYTES: u64 = 32 << 20;
const SLICE_ROWS: usize = 1 << 18;

/// The column that says which episode a row is of.
const EPISODE: &str = "episode_index";

/// All rows of some features.
#[derive(Debug, Clone, Default)]
pub struct FeatureColumns {
    /// Episode of each row.
    pub episodes: Vec<i64>,
    /// Values of each feature, row after row.
    pub values: Vec<Vec<f64>>,
}

impl FeatureSet {
    /// Features in groups, the rows of each of which fit into a quarter of the memory that may be taken.
    ///
    /// # Errors
    /// Files that cannot be opened, another number of rows than the data set says, and a feature that does not fit.
    pub fn groups<'a>(&self, features: &'a [SetFeature]) -> Result<Vec<&'a [SetFeature]>, RecordError> {
        let tables = self.tables()?;
        let n_rows = tables.iter().map(Table::n_rows).sum::<u64>();
        self.check_rows(n_rows)?;
        let bytes = |feature: &SetFeature| n_rows.saturating_mul(8 * feature.width as u64);
        let budget = self.files[0].budget;
        // Sorting takes as much again.
        for feature in features {
            let what = format!("feature {} of all {n_rows} rows", feature.name);
            budget.check(&self.root().to_string_lossy(), &what, bytes(feature).saturating_mul(4))?;
        }
        Ok(groups_within(features, budget.bytes() / 4, bytes))
    }

    fn tables(&self) -> Result<Vec<Table>, RecordError> {
        self.files.iter().map(Table::open).collect()
    }

    /// Reads all rows of these features.
    ///
    /// # Errors
    /// Unreadable files, missing columns, nulls, numbers that are not finite, rows of another width than the data set says.
    pub fn read(&self, features: &[SetFeature]) -> Result<FeatureColumns, RecordError> {
        let mut all = FeatureColumns { episodes: Vec::new(), values: vec![Vec::new(); features.len()] };
        let names: Vec<String> = std::iter::once(EPISODE.to_owned())
            .chain(features.iter().map(|feature| feature.name.clone()))
            .collect();
        for table in self.tables()? {
            if let Some(lost) = names.iter().find(|name| !table.has_column(name)) {
                let (needed, found) = (format!("column {lost} of the data set"), table.column_names());
                return Err(RecordError::file(table.name(), Problem::MissingColumns { needed, found }));
            }
            for slice in table.slices(&names, SLICE_BYTES, SLICE_ROWS) {
                let arrays = table.read_arrays(slice.part, &slice.rows, &names)?;
                let mut arrays = arrays.into_iter();
                let first_row = table.parts()[slice.part].first_row + slice.rows.start as u64;
                if let Some(array) = arrays.next() {
                    let mut bad = BadCells::default();
                    let episodes = columns::ints(Column::Values(array), EPISODE, &mut bad);
                    first_fault(&table, first_row, bad)?;
                    all.episodes.extend((0..slice.rows.len()).map(|row| episodes.get(row)));
                }
                for ((feature, array), values) in features.iter().zip(arrays).zip(&mut all.values) {
                    let cells = Cells { table: &table, feature, first_row };
                    cells.append(&*array, slice.rows.len(), values)?;
                }
            }
        }
        Ok(all)
    }
}

/// The first malformed cell, as an error.
fn first_fault(table: &Table, first_row: u64, bad: BadCells) -> Result<(), RecordError> {
    match columns::sorted_by_row(bad).cells.into_iter().next() {
        None => Ok(()),
        Some(cell) => {
            let row = first_row + cell.row as u64;
            Err(cell.error(table.name(), row))
        }
    }
}

/// Cells of a feature in some rows.
struct Cells<'a> {
    table: &'a Table,
    feature: &'a SetFeature,
    first_row: u64,
}

impl Cells<'_> {
    fn error(&self, row: usize, problem: Problem) -> RecordError {
        RecordError::cell(self.table.name(), self.first_row + row as u64, &self.feature.name, problem)
    }

    /// Appends the values of all rows, nested lists one after the other.
    fn append(&self, array: &dyn Array, n_rows: usize, values: &mut Vec<f64>) -> Result<(), RecordError> {
        let width = self.feature.width;
        let leaves = self.leaves(array, n_rows)?;
        let numbers = match leaves.as_any().downcast_ref::<BooleanArray>() {
            Some(truths) => {
                truths.values_iter().map(|truth| f64::from(u8::from(truth))).collect::<Vec<f64>>().into()
            }
            None => columns::numbers(&*leaves).ok_or_else(|| {
                let found = describe_type(array.dtype());
                RecordError::column(
                    self.table.name(),
                    &self.feature.name,
                    Problem::WrongType { expected: "numbers", found },
                )
            })?,
        };
        if numbers.len() != n_rows * width {
            let found = numbers.len() / n_rows.max(1);
            return Err(self.error(0, Problem::ObservationWidth { found, expected: width }));
        }
        if let Some(place) = leaves.validity().and_then(|validity| validity.iter().position(|valid| !valid)) {
            return Err(self.error(place / width, Problem::Null("a number")));
        }
        if let Some(place) = numbers.iter().position(|x| !x.is_finite()) {
            return Err(self.error(place / width, Problem::NonFinite(numbers[place])));
        }
        values.extend_from_slice(&numbers);
        Ok(())
    }

    /// The innermost values of lists of lists; each row has the same number of them.
    fn leaves(&self, array: &dyn Array, n_rows: usize) -> Result<Box<dyn Array>, RecordError> {
        let mut leaves = array.to_boxed();
        let mut n_lists = n_rows;
        // As many levels as a shape has axes; lists of no more than that.
        for _ in 0..8 {
            let any = leaves.as_any();
            if any.downcast_ref::<ListArray<i64>>().is_none()
                && any.downcast_ref::<FixedSizeListArray>().is_none()
            {
                return Ok(leaves);
            }
            if leaves.null_count() > 0 {
                let place = leaves.validity().and_then(|validity| validity.iter().position(|valid| !valid));
                let row = place.unwrap_or(0) * n_rows / n_lists.max(1);
                return Err(self.error(row, Problem::Null("a list of numbers")));
            }
            let inner = if let Some(list) = any.downcast_ref::<ListArray<i64>>() {
                let offsets: Vec<usize> =
                    list.offsets().buffer().iter().map(|at| usize::try_from(*at).unwrap_or(0)).collect();
                let lengths = offsets.windows(2).map(|ends| ends[1] - ends[0]);
                let expected = lengths.clone().next().unwrap_or(0);
                if let Some(place) = lengths.clone().position(|length| length != expected) {
                    let found = lengths.clone().nth(place).unwrap_or(0);
                    let row = place * n_rows / n_lists.max(1);
                    return Err(self.error(row, Problem::ObservationWidth { found, expected }));
                }
                let (start, end) = (offsets.first().copied(), offsets.last().copied());
                let (start, end) = (start.unwrap_or(0), end.unwrap_or(0));
                list.values().sliced(start, end - start)
            } else if let Some(list) = any.downcast_ref::<FixedSizeListArray>() {
                list.values().clone()
            } else {
                return Ok(leaves);
            };
            n_lists = inner.len();
            leaves = inner;
        }
        Ok(leaves)
    }
}
