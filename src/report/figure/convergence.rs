//! Figures of how sampled values settle.

use super::model::{Axis, BandMark, Figure, Layer, LineMark, Panel, Tone};
use crate::results::text::{grouped, short};
use crate::results::{GameRow, LookRow, ShapleyDocument};

/// Slots shown, those whose interval is widest at the end.
const SHOWN: usize = 8;

/// Units from which on an interval is worth a picture: of fewer it would be all there is to see.
const FEWEST_UNITS: u64 = 8;

/// Values with their intervals by number of permutations, slot by slot, of the first game that tells them; `None` where none does.
pub(super) fn convergence(document: &ShapleyDocument) -> Option<Figure> {
    let told = |game: &&GameRow| game.convergence.as_ref().is_some_and(|course| !course.looks.is_empty());
    let n_told = document.games.iter().filter(told).count();
    let game = document.games.iter().find(told)?;
    let course = game.convergence.as_ref()?;
    let kept: Vec<&LookRow> = course.looks.iter().filter(|look| look.n_samples >= FEWEST_UNITS).collect();
    let looks = if kept.is_empty() { course.looks.iter().collect() } else { kept };
    let slots: Vec<String> = game.players.rows().map(|player| player.slot_id.to_string()).collect();
    let order = by_width(looks.last()?, slots.len());
    let target = document.settings.as_ref().and_then(|settings| settings.target_half_width);
    let stopped_at = course.stopped_at.flatten();
    let panel = |slot: &usize| {
        let at = || looks.iter().map(|look| (look.permutations as f64, *look));
        let line = at().filter_map(|(x, look)| Some((x, look.shapley[*slot]?)));
        let band = at().filter_map(|(x, look)| Some((x, look.ci_low[*slot]?, look.ci_high[*slot]?)));
        let mut layers = vec![
            Layer::Bands(vec![BandMark { points: band.collect(), tone: Tone::Faint }]),
            Layer::Lines(vec![LineMark { points: line.collect(), tone: Tone::Strong, label: None }]),
        ];
        let stop = stopped_at.zip(target);
        layers.extend(stop.map(|(permutations, target)| {
            Layer::Rule(permutations as f64, Some(format!("± {}", short(target))))
        }));
        Panel {
            x: Axis::Number { label: "permutations".to_owned(), has_zero: true },
            y: Axis::Number { label: slots[*slot].clone(), has_zero: false },
            layers,
            height: 110.0,
        }
    };
    let mut caption = vec![format!(
        "Line: value after so many permutations; band: interval at {} % that these alone have.",
        short(100.0 * document.confidence)
    )];
    if slots.len() > SHOWN {
        caption.push(format!("{SHOWN} of {} slots, those whose interval is widest.", slots.len()));
    }
    if n_told > 1 {
        caption.push(format!("Game {}, the first of {}.", game.key(), grouped(n_told as u64)));
    }
    Some(Figure {
        name: format!("convergence-{}", document.value),
        title: format!("How sampled Shapley values of {} settle", document.value),
        description: caption.join(" "),
        panels: order.iter().take(SHOWN).map(panel).collect(),
        caption,
    })
}

/// Slots by the width of their interval, the widest first.
fn by_width(look: &LookRow, n_slots: usize) -> Vec<usize> {
    let width =
        |slot: &usize| look.ci_high[*slot].zip(look.ci_low[*slot]).map_or(0.0, |(high, low)| high - low);
    let mut order: Vec<usize> = (0..n_slots).collect();
    order.sort_by(|a, b| width(b).total_cmp(&width(a)).then(a.cmp(b)));
    order
}
