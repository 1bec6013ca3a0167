//! Figures of interactions.

use std::collections::BTreeMap;

use super::model::{Axis, CellMark, Figure, IntervalMark, Layer, Panel, Tone};
use crate::attribution::Regime;
use crate::results::InteractionDocument;
use crate::results::text::short;

/// A term over games, or of the only game.
struct Shown {
    players: Vec<String>,
    value: f64,
    interval: Option<(f64, f64)>,
    regime: Option<Regime>,
    /// Whether it can be told from none, all terms considered; `None` without a test.
    significant: Option<bool>,
}

fn terms(document: &InteractionDocument) -> Vec<Shown> {
    if document.games.len() > 1 {
        let rows = document.summary.iter();
        return rows
            .map(|row| Shown {
                players: row.players.clone(),
                value: row.numbers.mean,
                interval: row.numbers.ci_low.zip(row.numbers.ci_high),
                regime: row.regime,
                significant: row.numbers.significant,
            })
            .collect();
    }
    let Some(game) = document.games.first() else { return Vec::new() };
    let rows = game.terms.rows();
    rows.map(|row| Shown {
        players: row.players.to_vec(),
        value: row.value,
        interval: row.ci_low.zip(row.ci_high),
        regime: row.regime,
        significant: None,
    })
    .collect()
}

fn spoken(term: &Shown) -> String {
    let regime = term.regime.map_or_else(String::new, |regime| format!(", {}", regime.name()));
    let interval =
        term.interval.map_or_else(String::new, |(low, high)| format!(" ({} to {})", short(low), short(high)));
    format!("{}: {}{interval}{regime}", term.players.join(" + "), short(term.value))
}

fn title(document: &InteractionDocument) -> String {
    let group: String = document.group.iter().map(|(name, value)| format!(", {name}={value}")).collect();
    format!("What slots add together to {}{group} ({})", document.value, document.index.name())
}

/// Slots of a matrix; beyond, those in the largest pairs.
const MATRIX_SLOTS: usize = 64;

/// Pairs as a triangular matrix, on a scale that diverges from zero.
pub(super) fn heatmap(document: &InteractionDocument) -> Figure {
    let terms = terms(document);
    let (names, n_left_out) = matrix_slots(&terms);
    let places: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let place = |name: &String| places.get(name.as_str()).copied();
    let cells = terms.iter().filter(|term| term.players.len() == 2).filter_map(|term| {
        let (a, b) = (place(&term.players[0])?, place(&term.players[1])?);
        Some(CellMark { row: a.max(b), column: a.min(b), value: term.value, title: spoken(term) })
    });
    let cells: Vec<CellMark> = cells.collect();
    let mut caption = vec!["Positive: worth more together than apart.".to_owned()];
    if n_left_out > 0 {
        caption.push(format!("{n_left_out} more slots, of smaller pairs, are not drawn."));
    }
    Figure {
        name: format!("heatmap-{}", document.value),
        title: title(document),
        description: cells.iter().map(|cell| cell.title.clone()).collect::<Vec<_>>().join("; "),
        panels: vec![Panel {
            x: Axis::Names(names.clone()),
            y: Axis::Names(names),
            layers: vec![Layer::Cells(cells)],
            height: 0.0,
        }],
        caption,
    }
}

/// The slots of a matrix in their order, and how many others there are.
fn matrix_slots(terms: &[Shown]) -> (Vec<String>, usize) {
    // The largest pair of each slot, and where it first stands.
    let mut slots: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for term in terms {
        let size = if term.players.len() == 2 { term.value.abs() } else { 0.0 };
        for player in &term.players {
            let next = slots.len();
            let (largest, _) = slots.entry(player).or_insert((0.0, next));
            *largest = largest.max(size);
        }
    }
    let n_left_out = slots.len().saturating_sub(MATRIX_SLOTS);
    let mut kept: Vec<(&str, f64, usize)> =
        slots.into_iter().map(|(name, (largest, first))| (name, largest, first)).collect();
    kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.2.cmp(&b.2)));
    kept.truncate(MATRIX_SLOTS);
    kept.sort_by_key(|(_, _, first)| *first);
    (kept.into_iter().map(|(name, ..)| name.to_owned()).collect(), n_left_out)
}

/// Terms drawn with their intervals.
const TERMS: usize = 40;

/// The largest terms of two slots and more, with their intervals.
pub(super) fn intervals(document: &InteractionDocument) -> Figure {
    let mut terms: Vec<Shown> = terms(document).into_iter().filter(|term| term.players.len() > 1).collect();
    terms.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    let hidden = terms.len().saturating_sub(TERMS);
    terms.truncate(TERMS);
    let marks = terms.iter().enumerate().map(|(row, term)| IntervalMark {
        row,
        value: term.value,
        interval: term.interval,
        tone: match term.regime {
            _ if term.significant == Some(false) => Tone::Faint,
            Some(Regime::Synergy) => Tone::Good,
            Some(Regime::Interference) => Tone::Bad,
            Some(Regime::Independent | Regime::Undecided) | None => Tone::Faint,
        },
        title: spoken(term),
    });
    let marks: Vec<IntervalMark> = marks.collect();
    let mut caption =
        vec!["Green: synergy; orange: interference; hollow: cannot be told from none.".to_owned()];
    if hidden > 0 {
        caption.push(format!("{hidden} smaller terms are not drawn."));
    }
    Figure {
        name: format!("interactions-{}", document.value),
        title: title(document),
        description: marks.iter().map(|mark| mark.title.clone()).collect::<Vec<_>>().join("; "),
        panels: vec![Panel {
            x: Axis::Number { label: format!("interaction ({})", document.value), has_zero: true },
            y: Axis::Names(terms.iter().map(|term| term.players.join(" + ")).collect()),
            layers: vec![Layer::Intervals(marks)],
            height: 0.0,
        }],
        caption,
    }
}
