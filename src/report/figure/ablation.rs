//! Figures of ablations.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Axis, Figure, IntervalMark, Layer, Panel, Tone};
use crate::attribution::Measure;
use crate::results::text::short;
use crate::results::{AblationDocument, MeasureValue};

/// Rows drawn.
const SHOWN: usize = 80;

struct Row {
    slot_id: String,
    name: String,
    value: f64,
    interval: Option<(f64, f64)>,
    significant: Option<bool>,
}

/// Every measure of every slot with its interval: over units where there are several games, else of the only one.
pub(super) fn measures(document: &AblationDocument) -> Figure {
    let rows = rows(document);
    let n_rows = rows.len();
    let rows = drawn(rows);
    let hidden = n_rows - rows.len();
    let mark = |(row, shown): (usize, &Row)| {
        let interval = shown
            .interval
            .map_or_else(String::new, |(low, high)| format!(" ({} to {})", short(low), short(high)));
        IntervalMark {
            row,
            value: shown.value,
            interval: shown.interval,
            tone: if shown.significant == Some(false) { Tone::Faint } else { Tone::Strong },
            title: format!("{}: {}{interval}", shown.name, short(shown.value)),
        }
    };
    let marks: Vec<IntervalMark> = rows.iter().enumerate().map(mark).collect();
    let mut caption = vec![format!(
        "Intervals at {} %; hollow: cannot be told from zero.",
        short(100.0 * document.confidence)
    )];
    if hidden > 0 {
        caption.push(format!("{hidden} more rows, of slots of smaller values, are not drawn."));
    }
    Figure {
        name: format!("ablation-{}", document.value),
        title: format!("What each slot is worth to {}, by measure", document.value),
        description: marks.iter().map(|mark| mark.title.clone()).collect::<Vec<_>>().join("; "),
        panels: vec![Panel {
            x: Axis::Number { label: document.value.clone(), has_zero: true },
            y: Axis::Names(rows.into_iter().map(|row| row.name).collect()),
            layers: vec![Layer::Intervals(marks)],
            height: 0.0,
        }],
        caption,
    }
}

/// The rows of the slots whose largest value is largest, as many whole slots as there is room for, in their order.
fn drawn(rows: Vec<Row>) -> Vec<Row> {
    if rows.len() <= SHOWN {
        return rows;
    }
    let mut slots: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    for row in &rows {
        let (largest, n_rows) = slots.entry(row.slot_id.clone()).or_default();
        (*largest, *n_rows) = (largest.max(row.value.abs()), *n_rows + 1);
    }
    let mut ranked: Vec<(&String, f64, usize)> =
        slots.iter().map(|(slot_id, (largest, n_rows))| (slot_id, *largest, *n_rows)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut room = SHOWN;
    let kept: BTreeSet<String> = ranked
        .into_iter()
        .take_while(|(_, _, n_rows)| {
            let fits = *n_rows <= room;
            room -= if fits { *n_rows } else { room };
            fits
        })
        .map(|(slot_id, ..)| slot_id.clone())
        .collect();
    rows.into_iter().filter(|row| kept.contains(&row.slot_id)).collect()
}

fn rows(document: &AblationDocument) -> Vec<Row> {
    let name = |slot: &str, measure: Measure| format!("{slot}: {}", measure.name().replace('_', " "));
    if document.games.len() > 1 {
        let row = |row: &crate::results::AblationRow| Row {
            slot_id: row.slot_id.clone(),
            name: name(&row.slot_id, row.measure),
            value: row.numbers.mean,
            interval: row.numbers.ci_low.zip(row.numbers.ci_high),
            significant: row.numbers.significant,
        };
        return document.summary.iter().map(row).collect();
    }
    let players = document.games.first().into_iter().flat_map(|game| &game.players);
    let of = |value: &MeasureValue, slot_id: &str, measure: Measure| {
        let (slot_id, name) = (slot_id.to_owned(), name(slot_id, measure));
        let interval = value.ci_low.zip(value.ci_high);
        let significant = interval.map(|(low, high)| low > 0.0 || high < 0.0);
        Row { slot_id, name, value: value.value, interval, significant }
    };
    let rows = players.flat_map(|player| {
        let measures = Measure::ALL.into_iter();
        measures.filter_map(|measure| Some(of(player.measures.get(measure)?, &player.slot_id, measure)))
    });
    rows.collect()
}
