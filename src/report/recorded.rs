//! Estimates that a trainer logged itself, beside the values of the recording.

use std::io;

use super::grid::{Column, Grid};
use super::page::Page;
use crate::attribution::LoggedReason;
use crate::results::text::{column, grouped};
use crate::results::{RecordedPlayer, RecordedRow, ShapleyDocument};

/// Events shown, those that are furthest off.
const SHOWN: usize = 6;

/// Writes the events that are furthest off, slot by slot, with why.
pub(super) fn write_recorded(document: &ShapleyDocument, page: &mut Page<'_>) -> io::Result<()> {
    let Some(rows) = &document.recorded else { return Ok(()) };
    let mut order: Vec<&RecordedRow> = rows.iter().collect();
    let off = |row: &RecordedRow| row.largest_difference().unwrap_or(-1.0);
    order.sort_by(|a, b| off(b).total_cmp(&off(a)));
    let shown = &order[..order.len().min(SHOWN)];
    page.blank()?;
    page.line("logged by the trainer, the furthest off first:")?;
    let players = || shown.iter().flat_map(|row| row.players.iter().map(move |player| (*row, player)));
    let all = |of: &dyn Fn(&RecordedPlayer) -> Option<f64>| {
        column(&players().map(|(_, player)| of(player)).collect::<Vec<_>>())
    };
    let (recorded, own) = (all(&|player| Some(player.recorded)), all(&|player| player.shapley));
    let (differences, errors) = (all(&|player| player.difference), all(&|player| player.expected_stderr));
    let has_runs = rows.iter().any(|row| row.run_id != rows[0].run_id);
    let mut columns = if has_runs { vec![Column::left("run").drops(3)] } else { Vec::new() };
    columns.extend([
        Column::right("episode"),
        Column::right("env").drops(4),
        Column::left("slot"),
        Column::right("logged"),
        Column::right("recording"),
        Column::right("off by"),
        Column::right("expected")
            .drops(1)
            .explained("expected: standard error that so many independent permutations have"),
        Column::right("samples").drops(2),
        Column::left("why").drops(5),
    ]);
    let mut grid = Grid::new(columns);
    for (at, (row, player)) in players().enumerate() {
        let mut cells = if has_runs { vec![row.run_id.clone()] } else { Vec::new() };
        cells.extend([
            row.episode.to_string(),
            row.env_id.to_string(),
            player.slot_id.clone(),
            recorded[at].clone(),
            own[at].clone(),
            differences[at].clone(),
            errors[at].clone(),
            player.n_samples.map_or_else(|| "-".to_owned(), grouped),
            why(row, player),
        ]);
        grid.row(cells);
    }
    page.grid(&grid)?;
    let left = order.len() - shown.len();
    if left > 0 {
        page.line(&format!("{left} more estimates are not listed; --format json holds all"))?;
    }
    Ok(())
}

/// The reasons of an event, and whose value an estimate is.
fn why(row: &RecordedRow, player: &RecordedPlayer) -> String {
    let words = |reason: &LoggedReason| match (reason, row.labels.get(&player.slot_id)) {
        (LoggedReason::Labels, Some(other)) => format!("label: it is the value of {other}"),
        (reason, _) => reason.words().to_owned(),
    };
    row.reasons.iter().map(words).collect::<Vec<_>>().join("; ")
}
