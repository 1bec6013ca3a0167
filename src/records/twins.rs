//! The same rows from two sources of one call: a data set or a log beside an export of it.
//!
//! Files with the same bytes are told by `copies`; an export has other bytes, other columns and mostly another run. Only where
//! one of two sources is a data set or an event log are their rows compared: equal rows of plain files are another matter (a warning
//! where games are concerned), as replicates may well agree.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use polars_arrow::array::Array;

use super::columns::{self, BadCells};
use super::error::{Problem, RecordError};
use super::part::Column;
use super::table::Table;
use super::view::View;

/// Rows of a source that are looked at.
const ROWS: usize = 1 << 12;

/// Distinct values, from which on rows that agree are no chance.
const LEAST_DISTINCT: usize = 16;

/// How rows are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Likeness {
    /// Rows in a row that must agree.
    pub(super) together: usize,
    /// Share of what the smaller source has that the other has too.
    pub(super) share: f64,
}

impl Likeness {
    /// Of steps: an export has them all.
    pub(super) const STEPS: Self = Self { together: 3, share: 0.8 };

    /// Of coalitions: an export has rows that their reader leaves out as made up, one of four or five of a game.
    pub(super) const COALITIONS: Self = Self { together: 2, share: 0.5 };
}

/// The columns of a table that tell its rows.
pub(super) struct TwinColumns {
    /// What tells environments and episodes apart, where there is such.
    pub(super) keys: Vec<String>,
    /// Values.
    pub(super) values: Vec<String>,
}

/// One source of rows: the tables of a data set, a log, or a file.
struct Source<'a> {
    name: String,
    /// Whether it is a data set or a log.
    is_made: bool,
    tables: Vec<(&'a Table, &'a TwinColumns)>,
}

/// Refuses two sources, one of them a data set or a log, that hold the same rows.
///
/// # Errors
/// [`Problem::SameRows`], naming both; rows that cannot be decoded.
pub(super) fn refuse_twins(tables: &[(&Table, TwinColumns)], likeness: Likeness) -> Result<(), RecordError> {
    let mut sources: Vec<Source<'_>> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for (table, columns) in tables {
        let file = table.file();
        let member = file.member.as_ref();
        let name =
            member.map_or_else(|| file.name.clone(), |member| member.run.to_string_lossy().into_owned());
        let is_made = member.is_some() || file.view != View::Whole;
        let source = *known.entry(name).or_insert_with_key(|name| {
            sources.push(Source { name: name.clone(), is_made, tables: Vec::new() });
            sources.len() - 1
        });
        sources[source].tables.push((table, columns));
    }
    if sources.len() < 2 || sources.iter().all(|source| !source.is_made) {
        return Ok(());
    }
    let rows: Vec<BTreeSet<u64>> =
        sources.iter().map(|source| source.rows(likeness)).collect::<Result<_, _>>()?;
    for later in 1..sources.len() {
        for earlier in 0..later {
            let (a, b) = (&sources[earlier], &sources[later]);
            if (a.is_made || b.is_made) && are_alike(&rows[earlier], &rows[later], likeness) {
                return Err(RecordError::file(&b.name, Problem::SameRows(a.name.clone())));
            }
        }
    }
    Ok(())
}

fn are_alike(a: &BTreeSet<u64>, b: &BTreeSet<u64>, likeness: Likeness) -> bool {
    let least = a.len().min(b.len());
    least >= LEAST_DISTINCT && a.intersection(b).count() as f64 >= likeness.share * least as f64
}

impl Source<'_> {
    /// Numbers of the first rows, of each with the ones before it in its environment; none where values hardly vary.
    fn rows(&self, likeness: Likeness) -> Result<BTreeSet<u64>, RecordError> {
        let mut lanes: Vec<(u64, Vec<u64>)> = Vec::new();
        let mut distinct = BTreeSet::new();
        let mut n_rows = 0;
        for (table, columns) in &self.tables {
            let names: Vec<String> = columns.keys.iter().chain(&columns.values).cloned().collect();
            for slice in table.slices_of_rows(ROWS) {
                if n_rows >= ROWS {
                    break;
                }
                let arrays = table.read_arrays(slice.part, &slice.rows, &names)?;
                let (keys, values) = arrays.split_at(columns.keys.len());
                let n = slice.rows.len();
                let keys: Vec<Vec<u64>> = keys.iter().filter_map(|array| bits(&**array, n)).collect();
                let values: Vec<Vec<u64>> = values.iter().filter_map(|array| bits(&**array, n)).collect();
                for row in 0..n.min(ROWS - n_rows) {
                    let hash = |columns: &[Vec<u64>]| {
                        let mut hasher = DefaultHasher::new();
                        columns.iter().for_each(|column| column[row].hash(&mut hasher));
                        hasher.finish()
                    };
                    let (lane, value) = (hash(&keys), hash(&values));
                    distinct.insert(value);
                    match lanes.iter_mut().find(|(known, _)| *known == lane) {
                        Some((_, values)) => values.push(value),
                        None => lanes.push((lane, vec![value])),
                    }
                }
                n_rows += n;
            }
        }
        if distinct.len() < LEAST_DISTINCT {
            return Ok(BTreeSet::new());
        }
        let together = |(_, values): &(u64, Vec<u64>)| -> Vec<u64> {
            let number = |rows: &[u64]| {
                let mut hasher = DefaultHasher::new();
                rows.hash(&mut hasher);
                hasher.finish()
            };
            values.windows(likeness.together).map(number).collect()
        };
        Ok(lanes.iter().flat_map(together).collect())
    }
}

/// Bits of each row of a column, numbers at 32 bits: an export may have rounded them. `None` for what is neither numbers nor lists
/// of them.
fn bits(array: &dyn Array, n_rows: usize) -> Option<Vec<u64>> {
    #[expect(clippy::cast_possible_truncation, reason = "rounded on purpose")]
    let of = |x: f64| u64::from((x as f32).to_bits());
    if let Some(numbers) = columns::numbers(array) {
        return Some(numbers.iter().map(|x| of(*x)).collect());
    }
    if !columns::is_list(array.dtype()) {
        return None;
    }
    let mut bad = BadCells::default();
    let lists = columns::lists(Column::Values(array.to_boxed()), "", "a list of numbers", &mut bad)?;
    let values = columns::numbers(&*lists.values)?;
    let row = |row: usize| {
        let mut hasher = DefaultHasher::new();
        values[lists.range(row)].iter().for_each(|x| of(*x).hash(&mut hasher));
        hasher.finish()
    };
    Some((0..n_rows).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_alike_by_most_of_the_smaller_one() {
        let of = |range: std::ops::Range<u64>| range.collect::<BTreeSet<u64>>();
        let alike = |a, b| are_alike(&of(a), &of(b), Likeness::STEPS);
        assert!(alike(0..100, 0..100));
        assert!(alike(0..30, 5..1000));
        assert!(!alike(0..100, 50..150));
        // Too few to tell.
        assert!(!alike(0..10, 0..10));
    }
}
