//! Figures of attributions.

use std::collections::BTreeMap;

use super::model::{Axis, BarMark, DotMark, Figure, IntervalMark, Layer, Panel, Tone};
use crate::results::text::{grouped, probability, short};
use crate::results::{Direction, GameRow, ShapleyDocument};

fn axis_label(document: &ShapleyDocument) -> String {
    let way = match document.direction {
        Some(Direction::Higher) => ", higher is better",
        Some(Direction::Lower) => ", lower is better",
        None => "",
    };
    format!("Shapley value ({}{way})", document.value)
}

fn title(document: &ShapleyDocument, what: &str) -> String {
    let group = document.group_name().map_or_else(String::new, |group| format!(" ({group})"));
    format!("{what} {}{group}", document.value)
}

/// One slot's estimate: over units where there are several, else of the only game.
struct Estimate {
    slot_id: String,
    value: f64,
    interval: Option<(f64, f64)>,
    significant: Option<bool>,
    detail: String,
}

fn estimates(document: &ShapleyDocument) -> Vec<Estimate> {
    if document.summary.iter().any(|row| row.n_units > 1) {
        let estimate = |row: &crate::results::SummaryRow| Estimate {
            slot_id: row.slot_id.clone(),
            value: row.mean,
            interval: row.ci_low.zip(row.ci_high),
            significant: row.significant,
            detail: format!("n = {}, adjusted p = {}", grouped(row.n_units), probability(row.p_adjusted)),
        };
        return document.summary.iter().map(estimate).collect();
    }
    let Some(game) = document.games.first() else { return Vec::new() };
    let estimate = |row: crate::results::PlayerRow<'_>| {
        let bounds = row.bound_low.zip(row.bound_high);
        Estimate {
            slot_id: row.slot_id.to_string(),
            value: row.shapley.or(bounds.map(|(low, high)| f64::midpoint(low, high))).unwrap_or(f64::NAN),
            interval: row.ci_low.zip(row.ci_high).or(bounds),
            significant: None,
            detail: if bounds.is_some() { "bounds".to_owned() } else { game.method.name().to_owned() },
        }
    };
    game.players.rows().map(estimate).collect()
}

/// Slots drawn; beyond, those of the largest values.
const SLOTS_DRAWN: usize = 80;

/// The slots of the largest values in falling order, and how many others there are; all, in their order, where they are few.
fn drawn(mut estimates: Vec<Estimate>) -> (Vec<Estimate>, usize) {
    let n_left_out = estimates.len().saturating_sub(SLOTS_DRAWN);
    if n_left_out > 0 {
        estimates.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
        estimates.truncate(SLOTS_DRAWN);
    }
    (estimates, n_left_out)
}

/// What a caption says of slots that are not drawn.
fn left_out(n_left_out: usize) -> Option<String> {
    (n_left_out > 0).then(|| {
        let (n, slots) = (grouped(n_left_out as u64), if n_left_out == 1 { "slot" } else { "slots" });
        format!("Largest values first; {n} {slots} of smaller ones not drawn.")
    })
}

fn level(document: &ShapleyDocument) -> String {
    format!("{} %", short(100.0 * document.confidence))
}

fn rows_axis(estimates: &[Estimate]) -> Axis {
    Axis::Names(estimates.iter().map(|estimate| estimate.slot_id.clone()).collect())
}

fn tone(estimate: &Estimate) -> Tone {
    match (estimate.significant, estimate.interval) {
        (Some(true), _) => Tone::Strong,
        (Some(false), _) => Tone::Faint,
        (None, Some((low, high))) if low <= 0.0 && high >= 0.0 => Tone::Faint,
        (None, _) => Tone::Plain,
    }
}

fn spoken(estimate: &Estimate, level: &str) -> String {
    let interval = estimate
        .interval
        .map_or_else(String::new, |(low, high)| format!(" ({level} {} to {})", short(low), short(high)));
    format!("{}: {}{interval}, {}", estimate.slot_id, short(estimate.value), estimate.detail)
}

/// Values with their intervals on one scale, beside a line at zero.
pub(super) fn intervals(document: &ShapleyDocument) -> Figure {
    let (estimates, n_left_out) = drawn(estimates(document));
    let level = level(document);
    let marks = estimates.iter().enumerate().map(|(row, estimate)| IntervalMark {
        row,
        value: estimate.value,
        interval: estimate.interval,
        tone: tone(estimate),
        title: spoken(estimate, &level),
    });
    let marks: Vec<IntervalMark> = marks.collect();
    let has_intervals = marks.iter().any(|mark| mark.interval.is_some());
    let mut caption = vec![if has_intervals {
        format!("Intervals at {level}; hollow: cannot be told from zero.")
    } else {
        "One exact table has no sampling error, so there are no intervals.".to_owned()
    }];
    caption.extend(left_out(n_left_out));
    caption.extend(units(document));
    Figure {
        name: format!("intervals-{}", document.value),
        title: title(document, "What each slot adds to"),
        description: estimates.iter().map(|estimate| spoken(estimate, &level)).collect::<Vec<_>>().join("; "),
        panels: vec![Panel {
            x: Axis::Number { label: axis_label(document), has_zero: true },
            y: rows_axis(&estimates),
            layers: vec![Layer::Intervals(marks)],
            height: 0.0,
        }],
        caption,
    }
}

fn units(document: &ShapleyDocument) -> Option<String> {
    let units = || document.summary.iter().map(|row| row.n_units);
    let (least, most) = (units().min()?, units().max()?);
    let n = if least == most { grouped(most) } else { format!("{} to {}", grouped(least), grouped(most)) };
    (most > 1).then(|| {
        format!("Over {n} {}s, {} games.", document.unit_noun(), grouped(document.games.len() as u64))
    })
}

/// Means as bars, each game's value as a dot.
pub(super) fn bars(document: &ShapleyDocument) -> Figure {
    let (estimates, n_left_out) = drawn(estimates(document));
    let level = level(document);
    let bars = estimates.iter().enumerate().map(|(row, estimate)| BarMark {
        row,
        start: 0.0,
        end: estimate.value,
        tone: tone(estimate),
        title: spoken(estimate, &level),
    });
    let places: BTreeMap<&str, usize> =
        estimates.iter().enumerate().map(|(row, estimate)| (estimate.slot_id.as_str(), row)).collect();
    let mut dots = Vec::new();
    for (number, game) in document.games.iter().enumerate() {
        for player in game.players.rows() {
            let (Some(row), Some(value)) = (places.get(&*player.slot_id), player.shapley) else { continue };
            dots.push(DotMark {
                row: *row,
                value,
                // Spread over the row by a sequence that never piles up: multiples of the golden ratio.
                offset: (number as f64 * 0.618_033_988_749_894_9).fract() - 0.5,
                title: format!("{}, {}: {}", player.slot_id, game.key(), short(value)),
            });
        }
    }
    let has_dots = document.games.len() > 1;
    let mut layers = vec![Layer::Bars(bars.collect())];
    if has_dots {
        layers.push(Layer::Dots(dots));
    }
    let mut caption = Vec::new();
    if has_dots {
        caption.push("Bars: means; dots: the values of single games.".to_owned());
    }
    caption.extend(left_out(n_left_out));
    caption.extend(units(document));
    Figure {
        name: format!("bars-{}", document.value),
        title: title(document, "What each slot adds to"),
        description: estimates.iter().map(|estimate| spoken(estimate, &level)).collect::<Vec<_>>().join("; "),
        panels: vec![Panel {
            x: Axis::Number { label: axis_label(document), has_zero: true },
            y: rows_axis(&estimates),
            layers,
            height: 0.0,
        }],
        caption,
    }
}

/// From the value of nobody to that of all, one slot after the other, largest first.
pub(super) fn waterfall(document: &ShapleyDocument) -> Figure {
    let mean = |pick: &dyn Fn(&GameRow) -> Option<f64>| {
        let values: Vec<f64> = document.games.iter().filter_map(pick).collect();
        if values.is_empty() { f64::NAN } else { values.iter().sum::<f64>() / values.len() as f64 }
    };
    let (empty, full) = (mean(&|game| game.baseline), mean(&|game| game.full));
    let mut estimates = estimates(document);
    estimates.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    let small = estimates.split_off(estimates.len().min(SLOTS_DRAWN));
    let rest: f64 = small.iter().map(|estimate| estimate.value).sum();
    let others = (!small.is_empty()).then(|| format!("{} smaller ones", grouped(small.len() as u64)));
    let mut names = vec!["nobody".to_owned()];
    let mut marks = vec![BarMark {
        row: 0,
        start: empty,
        end: empty,
        tone: Tone::Plain,
        title: format!("nobody: {}", short(empty)),
    }];
    let is_good = |change: f64| (change >= 0.0) == (document.direction != Some(Direction::Lower));
    let mut at = empty;
    for estimate in &estimates {
        names.push(estimate.slot_id.clone());
        marks.push(BarMark {
            row: names.len() - 1,
            start: at,
            end: at + estimate.value,
            tone: if is_good(estimate.value) { Tone::Good } else { Tone::Bad },
            title: format!(
                "{}: {}, to {}",
                estimate.slot_id,
                short(estimate.value),
                short(at + estimate.value)
            ),
        });
        at += estimate.value;
    }
    if let Some(others) = others {
        names.push(others);
        marks.push(BarMark {
            row: names.len() - 1,
            start: at,
            end: at + rest,
            tone: if is_good(rest) { Tone::Good } else { Tone::Bad },
            title: format!("{}: {}, to {}", names[names.len() - 1], short(rest), short(at + rest)),
        });
    }
    names.push("all".to_owned());
    marks.push(BarMark {
        row: names.len() - 1,
        start: full,
        end: full,
        tone: Tone::Plain,
        title: format!("all: {}", short(full)),
    });
    let of = match document.games.len() {
        1 => String::new(),
        n => format!("Means over {} games. ", grouped(n as u64)),
    };
    Figure {
        name: format!("waterfall-{}", document.value),
        title: title(document, "From nobody to all:"),
        description: marks.iter().map(|mark| mark.title.clone()).collect::<Vec<_>>().join("; "),
        panels: vec![Panel {
            x: Axis::Number { label: document.value.clone(), has_zero: false },
            y: Axis::Names(names),
            layers: vec![Layer::Bars(marks)],
            height: 0.0,
        }],
        caption: vec![format!(
            "{of}Each slot moves the value by its Shapley value; together they make the difference."
        )],
    }
}

/// Games shown in a map of what was recorded.
const GAMES_SHOWN: usize = 40;

/// The share of its coalitions that each game has recorded.
pub(super) fn coverage(document: &ShapleyDocument) -> Figure {
    let share = |game: &GameRow| game.n_coalitions as f64 / (game.n_players as f64).exp2();
    let mut games: Vec<&GameRow> = document.games.iter().collect();
    // The least covered first: those are what one looks for.
    games.sort_by(|a, b| share(a).total_cmp(&share(b)));
    let hidden = games.len().saturating_sub(GAMES_SHOWN);
    games.truncate(GAMES_SHOWN);
    let marks = games.iter().enumerate().map(|(row, game)| BarMark {
        row,
        start: 0.0,
        end: share(game),
        tone: if share(game) >= 1.0 { Tone::Good } else { Tone::Plain },
        title: format!(
            "{}: {} of 2^{} coalitions",
            game.key(),
            grouped(game.n_coalitions as u64),
            game.n_players
        ),
    });
    let marks: Vec<BarMark> = marks.collect();
    let mut caption = vec!["Games with the least recorded first.".to_owned()];
    if hidden > 0 {
        caption.push(format!("{} more games have at least as much.", grouped(hidden as u64)));
    }
    Figure {
        name: format!("coverage-{}", document.value),
        title: title(document, "Coalitions recorded of"),
        description: marks.iter().map(|mark| mark.title.clone()).collect::<Vec<_>>().join("; "),
        panels: vec![Panel {
            x: Axis::Number { label: "share of all coalitions".to_owned(), has_zero: true },
            y: Axis::Names(games.iter().map(|game| game.key().to_string()).collect()),
            layers: vec![Layer::Bars(marks)],
            height: 0.0,
        }],
        caption,
    }
}
