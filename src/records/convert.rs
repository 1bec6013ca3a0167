//! Recordings written again under canonical names: Parquet, one file for coalitions and one for steps.

use std::fs::File;
use std::io;

use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray};

use super::coalitions::{CoalitionRecording, CoalitionRowView};
use super::row_groups::RowGroupWriter;
use super::steps::{StepBlock, StepRecording, StepTarget, StepValues, lists_of};
use super::write::{Compression, ParquetTable, TableWriter};
use crate::attribution::coalition::contains;

/// Rows of coalitions written together.
const ROWS_TOGETHER: usize = 1 << 17;

/// Writes the rows of a recording of coalitions: `run_id`, `episode`, `env_id`, `batch` (where there is one), `slot_ids`,
/// `config`, the values, and `perm` and `pos` (where there are walks), game after game, rows of a game as recorded.
///
/// # Errors
/// If writing fails.
pub fn write_coalitions(recording: &CoalitionRecording, file: &File) -> io::Result<u64> {
    let mut writer = TableWriter::new(file, Compression::Zstd)?;
    let mut rows = CoalitionRows::default();
    let mut n_written = 0;
    for game in 0..recording.n_games() {
        recording.each_row(game, |row| rows.push(recording, game, row));
        if rows.config.len() >= ROWS_TOGETHER {
            n_written += rows.config.len() as u64;
            writer.write(std::mem::take(&mut rows).table(recording))?;
        }
    }
    n_written += rows.config.len() as u64;
    if !rows.config.is_empty() {
        writer.write(rows.table(recording))?;
    }
    writer.finish()?;
    Ok(n_written)
}

#[derive(Default)]
struct CoalitionRows {
    run_id: Vec<String>,
    episode: Vec<i64>,
    env_id: Vec<i64>,
    batch: Vec<Option<i64>>,
    slot_ids: Vec<Vec<String>>,
    config: Vec<Vec<bool>>,
    values: Vec<Vec<f64>>,
    walks: Vec<Option<(i64, i64)>>,
}

impl CoalitionRows {
    fn push(&mut self, recording: &CoalitionRecording, game: usize, row: CoalitionRowView<'_>) {
        let key = recording.key(game);
        let players = recording.players(game);
        self.run_id.push(key.run_id.to_string());
        self.episode.push(key.episode);
        self.env_id.push(key.env_id);
        self.batch.push(key.batch);
        self.slot_ids.push(players.to_vec());
        self.config.push((0..players.len()).map(|player| contains(&row.mask, player)).collect());
        self.values.resize(recording.value_names().len(), Vec::new());
        for (column, value) in self.values.iter_mut().zip(row.values) {
            column.push(value);
        }
        self.walks.push(row.walk);
    }

    fn table(self, recording: &CoalitionRecording) -> ParquetTable {
        let run_ids: Vec<&str> = self.run_id.iter().map(String::as_str).collect();
        let mut table = ParquetTable::new()
            .text("run_id", &run_ids)
            .ints("episode", &self.episode)
            .ints("env_id", &self.env_id);
        if recording.has_batches() {
            table = table.optional_ints("batch", &self.batch);
        }
        table = table.text_lists("slot_ids", &self.slot_ids).bool_lists("config", &self.config);
        for (name, values) in recording.value_names().iter().zip(&self.values) {
            table = table.floats(name, values);
        }
        if recording.has_walks() {
            let part = |pick: fn((i64, i64)) -> i64| {
                self.walks.iter().map(|walk| walk.map(pick)).collect::<Vec<_>>()
            };
            table = table
                .optional_ints("perm", &part(|(perm, _)| perm))
                .optional_ints("pos", &part(|(_, pos)| pos));
        }
        table
    }
}

/// Writes steps in replay order: `run_id`, `episode`, `step`, `env_id`, then what was read (`obs` as lists, or the reward),
/// then all other columns, those of a known role under its canonical name.
pub struct StepConverter {
    writer: RowGroupWriter,
    run_ids: Vec<String>,
    /// Places of carried columns that are written: keys have columns of their own.
    carried: Vec<usize>,
    is_obs: bool,
}

/// Roles of carried columns, canonical names.
const CARRIED_ROLES: [&str; 7] =
    ["reward", "terminated", "truncated", "done", "rolled_back", "round", "return"];

/// Roles whose columns are written under canonical names first.
const KEY_ROLES: [&str; 5] = ["run_id", "seed", "episode", "env_id", "step"];

impl StepConverter {
    /// Starts a file for the rows of `recording`.
    ///
    /// # Errors
    /// If the file handle cannot be shared.
    pub fn new(file: &File, recording: &StepRecording, target: StepTarget) -> io::Result<Self> {
        let roles_of = |role: &str| recording.column_of(role);
        let is_key = |name: &String| KEY_ROLES.iter().any(|role| roles_of(role).as_ref() == Some(name));
        let values = recording.value_columns();
        let mut names: Vec<String> =
            ["run_id", "episode", "step", "env_id", target.field()].map(str::to_owned).into();
        let mut carried = Vec::new();
        let canonical = |name: &String| {
            let role = CARRIED_ROLES.iter().find(|role| roles_of(role).as_ref() == Some(name));
            role.map_or_else(|| name.clone(), |role| (*role).to_owned())
        };
        for (place, name) in recording.carried_columns().iter().enumerate() {
            let written = canonical(name);
            // The values stand in their own column; a name that is taken keeps its column out.
            if !is_key(name) && !values.contains(name) && !names.contains(&written) {
                names.push(written);
                carried.push(place);
            }
        }
        let bytes_per_row = recording.width() * 4 + 16 * names.len();
        Ok(Self {
            writer: RowGroupWriter::new(file, names, bytes_per_row, Compression::Zstd)?,
            run_ids: recording.runs().iter().map(|run| run.run_id.clone()).collect(),
            carried,
            is_obs: target == StepTarget::Obs,
        })
    }

    /// Appends the rows of a block.
    ///
    /// # Errors
    /// If encoding or writing fails.
    pub fn write(&mut self, block: &StepBlock) -> io::Result<()> {
        let n_rows = block.n_rows();
        let run_id = vec![Some(self.run_ids[block.run].as_str()); n_rows];
        let ints = |values: &[i64]| -> Box<dyn Array> { Box::new(PrimitiveArray::from_vec(values.to_vec())) };
        let values: Box<dyn Array> = if self.is_obs {
            lists_of(&block.values, n_rows, block.width)
        } else {
            match &block.values {
                StepValues::F32(values) => Box::new(PrimitiveArray::from_vec(values.as_slice().to_vec())),
                StepValues::F64(values) => Box::new(PrimitiveArray::from_vec(values.as_slice().to_vec())),
            }
        };
        let mut arrays: Vec<Box<dyn Array>> = vec![
            Box::new(Utf8ViewArray::from_slice(run_id)),
            ints(&block.episode),
            ints(&block.step),
            ints(&block.env),
            values,
        ];
        arrays.extend(self.carried.iter().map(|place| block.carried[*place].clone()));
        self.writer.push(arrays)
    }

    /// Writes the rest and the footer.
    ///
    /// # Errors
    /// If writing fails, or there was no row.
    pub fn finish(self) -> io::Result<()> {
        self.writer.finish()
    }
}
