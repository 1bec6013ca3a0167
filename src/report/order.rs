//! The order of slots, and how values change with the episodes.

use std::io;

use super::effects::{Level, effect_cells, value_column, yes_or_no};
use super::grid::{Column, Grid};
use super::page::Page;
use crate::results::text::{Spread, column, counted, percent, probabilities};
use crate::results::{NeighboursRow, ShapleyDocument, TrendRow, TrendUnitName};

/// Writes each slot's rank, how sure it is, and who the next one is told from.
pub(super) fn write_ranking(document: &ShapleyDocument, page: &mut Page<'_>) -> io::Result<()> {
    let Some(ranking) = &document.ranking else { return Ok(()) };
    page.blank()?;
    let units = counted(ranking.n_units as u64, document.unit_noun());
    page.line(&format!("order of the slots, over {units}:"))?;
    let p = probabilities(&ranking.neighbours.iter().map(|pair| pair.p_adjusted).collect::<Vec<_>>());
    let level = Level::within_game(document.confidence).name();
    let mut grid = Grid::new(vec![
        Column::right("rank"),
        Column::left("slot"),
        Column::left("ranks")
            .explained(format!("ranks: {level} by resampling the {}s", document.unit_noun())),
        Column::right("first").explained("first: share of resamples"),
        Column::right("above the next").drops(1),
        Column::right("p")
            .drops(2)
            .explained("p: that it and the next are equal, adjusted over all such pairs"),
        Column::left("tie with the next"),
    ]);
    let share = |share: f64| match share {
        0.0 => "0 %".to_owned(),
        share if share < 0.005 => "<1 %".to_owned(),
        share => percent(share),
    };
    for (place, player) in ranking.players.iter().enumerate() {
        let next: Option<&NeighboursRow> = ranking.neighbours.get(place);
        let ranks = match (player.rank_low, player.rank_high) {
            (low, high) if low == high => low.to_string(),
            (low, high) => format!("{low} to {high}"),
        };
        grid.row(vec![
            player.rank.to_string(),
            player.slot_id.clone(),
            ranks,
            share(player.probability_first),
            next.map_or_else(String::new, |next| share(next.probability)),
            p.get(place).cloned().unwrap_or_default(),
            next.map_or_else(String::new, |next| yes_or_no(next.tie)),
        ]);
    }
    page.grid(&grid)
}

/// Writes the change of each slot's value per episode.
pub(super) fn write_trend(document: &ShapleyDocument, page: &mut Page<'_>) -> io::Result<()> {
    let Some(rows) = &document.trend else { return Ok(()) };
    page.blank()?;
    let Some(first) = rows.first() else {
        return page.line("no slot plays in two episodes of a run: nothing can be said of a trend");
    };
    let behind = match first.unit {
        TrendUnitName::Run => "slopes of runs",
        TrendUnitName::Episode => "episodes of one run",
    };
    page.line(&format!("change of {} per episode, from {behind}:", document.value))?;
    let spread = |row: &TrendRow| Spread { value: Some(row.slope), interval: row.ci_low.zip(row.ci_high) };
    let spreads: Vec<Spread> = rows.iter().map(spread).collect();
    let shown = effect_cells(&spreads, page);
    let errors = column(&rows.iter().map(|row| row.stderr).collect::<Vec<_>>());
    let p = probabilities(&rows.iter().map(|row| row.p_adjusted).collect::<Vec<_>>());
    let mut grid = Grid::new(vec![
        Column::left("slot"),
        value_column("slope", &spreads, Level::within_game(document.confidence), page),
        Column::right("p").explained("p: of no change, adjusted over the slots"),
        Column::left("significant").drops(3),
        Column::right("stderr").drops(1),
        Column::right(behind).drops(2),
    ]);
    for (at, row) in rows.iter().enumerate() {
        grid.row(vec![
            row.slot_id.clone(),
            shown[at].clone(),
            p[at].clone(),
            yes_or_no(row.significant),
            errors[at].clone(),
            row.n_units.to_string(),
        ]);
    }
    page.grid(&grid)
}
