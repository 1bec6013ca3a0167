//! Figures of interactions.

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

/// Pairs as a triangular matrix, on a scale that diverges from zero.
pub(super) fn heatmap(document: &InteractionDocument) -> Figure {
    let terms = terms(document);
    let mut names: Vec<String> = Vec::new();
    for player in terms.iter().flat_map(|term| &term.players) {
        if !names.contains(player) {
            names.push(player.clone());
        }
    }
    let place = |name: &String| names.iter().position(|other| other == name).unwrap_or(0);
    let cells = terms.iter().filter(|term| term.players.len() == 2).map(|term| {
        let (a, b) = (place(&term.players[0]), place(&term.players[1]));
        CellMark { row: a.max(b), column: a.min(b), value: term.value, title: spoken(term) }
    });
    let cells: Vec<CellMark> = cells.collect();
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
        caption: vec!["Positive: worth more together than apart.".to_owned()],
    }
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
