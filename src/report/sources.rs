//! Where the uncertainty of Shapley values comes from, and what would narrow it.

use std::io;

use super::effects::{plus_minus, ranges};
use super::grid::{Column, Grid};
use super::page::Page;
use super::slot_rows::SlotRows;
use crate::results::text::{Spread, column, grouped, short};
use crate::results::{PlanRow, ShapleyDocument, SourceRow};

/// The document's rows in the order of its summary, as the table has that.
fn in_order<'a, T>(
    rows: &'a [T],
    slot: impl Fn(&T) -> &str,
    document: &ShapleyDocument,
    order: &SlotRows,
) -> Vec<&'a T> {
    let mean = |name: &str| document.summary.iter().find(|row| row.slot_id == name).map(|row| row.mean);
    let mut rows: Vec<&T> = rows.iter().collect();
    order.sort(&mut rows, |row| slot(row), |row| mean(slot(row)));
    rows
}

/// Where variance comes from, where it is asked for.
pub(super) fn write_sources(
    document: &ShapleyDocument,
    order: &SlotRows,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let Some(rows) = &document.sources else { return Ok(()) };
    let rows: Vec<&SourceRow> = in_order(rows, |row| &row.slot_id, document, order);
    page.blank()?;
    page.line("where the variance of one game's value comes from:")?;
    let noun = document.unit_noun();
    let spread =
        |row: &&SourceRow| Spread { value: None, interval: row.prediction_low.zip(row.prediction_high) };
    let next = ranges(&rows.iter().map(spread).collect::<Vec<_>>());
    let deviations = column(&rows.iter().map(|row| Some(row.variance.sqrt())).collect::<Vec<_>>());
    let mut grid = Grid::new(vec![
        Column::left("slot"),
        Column::right("sd").explained("sd: of one game's value"),
        Column::right("noise %").drops(5).explained("noise: of repeated evaluations"),
        Column::right("permutations %").drops(6),
        Column::right("environments %").drops(7),
        Column::right("episodes %").drops(8),
        Column::right("runs %").drops(9),
        Column::left(&format!("next {noun} lies in"))
            .drops(4)
            .explained(format!("next {noun}: interval for the mean of one more")),
    ]);
    let share =
        |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.0}", 100.0 * share));
    for (at, row) in rows.iter().enumerate() {
        grid.row(vec![
            row.slot_id.clone(),
            deviations[at].clone(),
            share(row.noise),
            share(row.permutations),
            share(row.environments),
            share(row.episodes),
            share(row.runs),
            next[at].clone(),
        ]);
    }
    page.grid(&grid)
}

/// What brings intervals to the half-width asked for.
pub(super) fn write_plan(
    document: &ShapleyDocument,
    order: &SlotRows,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let Some(plan) = &document.plan else { return Ok(()) };
    let rows: Vec<&PlanRow> = in_order(&plan.players, |row| &row.slot_id, document, order);
    page.blank()?;
    let (noun, plus_minus) = (document.unit_noun(), plus_minus(page.glyphs()));
    page.line(&format!("for intervals of ±{} or less, one of:", short(plan.target_half_width)))?;
    let widths = column(&rows.iter().map(|row| row.half_width).collect::<Vec<_>>());
    let mut grid = Grid::new(vec![
        Column::left("slot"),
        Column::right(&format!("now {plus_minus}")),
        Column::right(&format!("{noun}s in all")).explained(format!("{noun}s in all: at the spread seen")),
        Column::right("repeats").drops(1).explained("repeats, permutations: times as many as there are"),
        Column::right("permutations").drops(2),
    ]);
    let times = |factor: Option<f64>| match factor {
        None => "-".to_owned(),
        Some(factor) if factor <= 1.0 => "enough".to_owned(),
        Some(factor) => format!("{:.1} times", (factor * 10.0).ceil() / 10.0),
    };
    for (at, row) in rows.iter().enumerate() {
        grid.row(vec![
            row.slot_id.clone(),
            widths[at].clone(),
            row.units.map_or_else(|| "-".to_owned(), grouped),
            times(row.repeats_factor),
            times(row.permutations_factor),
        ]);
    }
    page.grid(&grid)
}
