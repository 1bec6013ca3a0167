//! What becomes of malformed step rows.

use std::sync::Mutex;

use super::super::columns::Fault;
use super::super::error::{Problem, RecordError};
use super::super::schema::OnBad;
use super::super::table::Table;
use super::judgements::{Judgement, Judgements};
use super::options::StepOptions;
use super::rows::DecodedRows;
use super::skips::{BadPlace, PLACES_KEPT, StepSkips};

/// The first bad cell as an error, or bad rows counted and marked.
pub(super) fn judge(
    rows: &mut DecodedRows,
    options: &StepOptions,
    skips: &Mutex<StepSkips>,
    tables: &[Table],
) -> Result<Judgements, RecordError> {
    if rows.bad.cells.is_empty() {
        return Ok(Judgements::default());
    }
    let mut judgements = vec![Judgement::Sound; rows.keys.n_rows()];
    let Ok(mut skips) = skips.lock() else { unreachable!("nobody panics while counting") };
    for cell in std::mem::take(&mut rows.bad.cells) {
        let row = rows.keys.row_number(cell.row);
        let name = tables[rows.keys.file_of(cell.row)].name();
        let (place, position, fault, more) = (cell.row, cell.position, cell.fault, cell.more);
        let value = if let Problem::NonFinite(value) = cell.problem { Some(value) } else { None };
        let error = cell.error(name, row);
        if options.on_bad == OnBad::Error || fault == Fault::Column {
            return Err(error);
        }
        if let Some(value) = value {
            skips.n_bad_cells += 1 + more;
            if skips.places.len() < PLACES_KEPT {
                skips.places.push(BadPlace { file: name.to_owned(), row, dimension: position, value });
            }
        }
        let is_key = fault == Fault::Key;
        let judgement = if is_key { Judgement::NoKey } else { Judgement::NoValues };
        let known = &mut judgements[place];
        // Rows without keys were counted by the first pass.
        if *known == Judgement::Sound && !is_key {
            *skips.report.rows.entry(error.class()).or_default() += 1;
        }
        if *known != Judgement::NoKey {
            *known = judgement;
        }
    }
    Ok(Judgements::of(judgements))
}
