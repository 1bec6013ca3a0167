//! Shapley values that a trainer estimated and logged itself: tables of them, and event logs.
//!
//! One row per slot and estimate. Columns: `slot_id` (or `slot`, `player`), the value `estimate` (or `shapley`, `mean`), and where
//! there are such `sd` (or `std`), `n_samples` (or `n`), `run_id`, `episode`, `env_id`, and `event`, which tells estimates of
//! one episode apart.

use std::collections::BTreeMap;

use super::columns::{self, BadCells, Ints, Texts};
use super::error::{Problem, RecordError};
use super::part::Column;
use super::schema::ColumnMap;
use super::sources::InputFile;
use super::table::Table;
use super::view::View;

/// Accepted names of the columns that only such tables have.
const SLOT: [&str; 3] = ["slot_id", "slot", "player"];
const ESTIMATE: [&str; 3] = ["estimate", "shapley", "mean"];
const SD: [&str; 2] = ["sd", "std"];
const N_SAMPLES: [&str; 2] = ["n_samples", "n"];
const EVENT: [&str; 1] = ["event"];

/// The estimates that a trainer made of one episode and environment at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEstimates {
    /// The run.
    pub run_id: String,
    /// Whether the rows name it; else it is the file's name.
    pub is_run_named: bool,
    /// The episode.
    pub episode: i64,
    /// The environment.
    pub env_id: i64,
    /// How many others of the same episode and environment stand before it.
    pub event: i64,
    /// By slot, in recorded order.
    pub slots: Vec<LoggedEstimate>,
}

/// One slot's estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEstimate {
    /// The slot.
    pub slot_id: String,
    /// The value.
    pub value: f64,
    /// Standard deviation of the marginal contributions behind it.
    pub sd: Option<f64>,
    /// How many those are.
    pub n_samples: Option<u64>,
}

/// Estimates of files, in order of run, episode, environment and event, and what there is to say.
///
/// Event logs are looked at for the estimates in them. Tables without the columns of estimates are passed over, unless they
/// are `named` as what holds them.
///
/// # Errors
/// Unreadable files; no estimate in any of them.
pub fn logged_estimates(
    files: &[InputFile],
    columns: &ColumnMap,
    is_named: bool,
) -> Result<(Vec<LoggedEstimates>, Vec<String>), RecordError> {
    let mut found: BTreeMap<(String, bool, i64, i64, i64), Vec<LoggedEstimate>> = BTreeMap::new();
    let mut notes = Vec::new();
    for file in files {
        // A log is listed once for each kind of row it has.
        let view = match file.view {
            View::EsperCoalitions => View::EsperEstimates,
            View::EsperSteps | View::EsperEstimates => continue,
            View::Whole => View::Whole,
        };
        let table = match Table::open(&InputFile { view, ..file.clone() }) {
            Ok(table) => table,
            Err(error) if view != View::Whole && matches!(error.problem, Problem::NoRows) => continue,
            Err(error) => return Err(error),
        };
        let Some(names) = Names::find(&table, columns)? else {
            if is_named {
                let needed = "slot_id and estimate (or shapley, mean)".to_owned();
                let problem = Problem::MissingColumns { needed, found: table.column_names() };
                return Err(RecordError::file(table.name(), problem));
            }
            continue;
        };
        notes.extend_from_slice(table.notes());
        for part in 0..table.parts().len() {
            names.read(&table, part, &mut found)?;
        }
    }
    if found.is_empty() {
        return Err(RecordError::file("", Problem::NoEstimates));
    }
    let estimates = found.into_iter().map(|((run_id, is_run_named, episode, env_id, event), slots)| {
        LoggedEstimates { run_id, is_run_named, episode, env_id, event, slots }
    });
    Ok((estimates.collect(), notes))
}

/// Columns of one table of estimates.
struct Names {
    slot: String,
    estimate: String,
    sd: Option<String>,
    n_samples: Option<String>,
    run_id: Option<String>,
    episode: Option<String>,
    env_id: Option<String>,
    event: Option<String>,
}

impl Names {
    /// `None` where the table is none of estimates.
    fn find(table: &Table, columns: &ColumnMap) -> Result<Option<Self>, RecordError> {
        let first =
            |names: &[&str]| names.iter().find(|name| table.has_column(name)).map(|name| (*name).to_owned());
        let (Some(slot), Some(estimate)) = (first(&SLOT), first(&ESTIMATE)) else { return Ok(None) };
        Ok(Some(Self {
            slot,
            estimate,
            sd: first(&SD),
            n_samples: first(&N_SAMPLES),
            event: first(&EVENT),
            run_id: columns.find(table, "run_id")?,
            episode: columns.find(table, "episode")?,
            env_id: columns.find(table, "env_id")?,
        }))
    }

    fn read(
        &self,
        table: &Table,
        part: usize,
        found: &mut BTreeMap<(String, bool, i64, i64, i64), Vec<LoggedEstimate>>,
    ) -> Result<(), RecordError> {
        let place = table.parts()[part];
        let n_rows = place.n_rows;
        let mut bad = BadCells::default();
        let one = |name: &str| -> Result<Column, RecordError> {
            let mut columns = table.read(part, &[name.to_owned()])?;
            Ok(columns.remove(0))
        };
        let slots = columns::run_ids(one(&self.slot)?, &self.slot, &mut bad);
        let values = columns::finite_floats(one(&self.estimate)?, &self.estimate, n_rows, &mut bad);
        let run_ids = match &self.run_id {
            Some(name) => columns::run_ids(one(name)?, name, &mut bad),
            None => Texts::Constant(table.defaults().run.to_owned()),
        };
        let mut ints = |name: &Option<String>| {
            Ok::<_, RecordError>(match name {
                Some(name) => columns::ints(one(name)?, name, &mut bad),
                None => Ints::Constant(0),
            })
        };
        let (episodes, env_ids, events) = (ints(&self.episode)?, ints(&self.env_id)?, ints(&self.event)?);
        let n_samples = match &self.n_samples {
            Some(name) => columns::optional_ints(one(name)?, name, n_rows, &mut bad),
            None => vec![None; n_rows],
        };
        let sds = match &self.sd {
            Some(name) => optional_floats(one(name)?, n_rows),
            None => vec![None; n_rows],
        };
        for row in 0..n_rows {
            if let (Some(name), Some(sd)) = (&self.sd, sds[row].filter(|sd| *sd < 0.0)) {
                let expected = "a deviation, not below 0";
                bad.push(row, name, Problem::WrongType { expected, found: sd.to_string() });
            }
            if let (Some(name), Some(n)) = (&self.n_samples, n_samples[row].filter(|n| *n < 1)) {
                let expected = "a number of samples, at least 1";
                bad.push(row, name, Problem::WrongType { expected, found: n.to_string() });
            }
        }
        if let Some(cell) = columns::sorted_by_row(bad).cells.into_iter().next() {
            let row = cell.row as u64;
            return Err(cell.error(table.name(), place.first_row + row));
        }
        for row in 0..n_rows {
            let key = (
                run_ids.get(row),
                self.run_id.is_some(),
                episodes.get(row),
                env_ids.get(row),
                events.get(row),
            );
            let own = found.entry(key).or_default();
            let slot_id = slots.get(row);
            if own.iter().any(|known| known.slot_id == slot_id) {
                return Err(RecordError {
                    file: table.name().to_owned(),
                    row: Some(place.first_row + row as u64),
                    column: Some(self.slot.clone()),
                    problem: Problem::EstimatedTwice(slot_id),
                });
            }
            own.push(LoggedEstimate {
                slot_id,
                value: values[row],
                sd: sds[row],
                n_samples: n_samples[row].and_then(|n| u64::try_from(n).ok()),
            });
        }
        Ok(())
    }
}

/// Finite numbers, `None` where there is none.
fn optional_floats(column: Column, n_rows: usize) -> Vec<Option<f64>> {
    let array = match column {
        Column::ConstantInt(value) => return vec![Some(value as f64); n_rows],
        Column::ConstantText(_) => return vec![None; n_rows],
        Column::Values(array) => array,
    };
    let Some(values) = columns::numbers(&*array) else { return vec![None; n_rows] };
    let is_valid = |row: usize| array.validity().is_none_or(|validity| validity.get_bit(row));
    (0..n_rows).map(|row| Some(values[row]).filter(|value| is_valid(row) && value.is_finite())).collect()
}
