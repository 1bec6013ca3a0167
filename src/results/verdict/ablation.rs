//! What ablations say: which slot costs most to remove, and where the measures disagree.

use super::words::{interval_words, unit_noun};
use crate::attribution::Measure;
use crate::results::text::{counted, listed};
use crate::results::{AblationDocument, Direction};

/// Names listed in a sentence.
const NAMES: usize = 3;

impl AblationDocument {
    /// The document with its conclusion.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        self.verdict = sentences(&self);
        self
    }
}

fn sentences(document: &AblationDocument) -> Vec<String> {
    let noun = unit_noun(document.cluster, &document.games.iter().map(|game| &*game.name.run_id));
    let mut found = Vec::new();
    for (measure, what) in
        [(Measure::RemovalCost, "costs most to remove"), (Measure::FirstIn, "brings most alone")]
    {
        let rows = document.summary.iter().filter(|row| row.measure == measure);
        let gain = |value: f64| if document.direction == Some(Direction::Lower) { -value } else { value };
        let Some(best) = rows.max_by(|a, b| gain(a.numbers.mean).total_cmp(&gain(b.numbers.mean))) else {
            continue;
        };
        if gain(best.numbers.mean) <= 0.0 {
            continue;
        }
        let n = best.numbers.n_units;
        let behind =
            if n > 1 { format!("n = {}", counted(n, noun)) } else { counted(best.numbers.n_games, "game") };
        let interval = best.numbers.ci_low.zip(best.numbers.ci_high);
        let words = interval_words(best.numbers.mean, interval, document.confidence, &behind);
        found.push(format!("{} {what}: {words}.", best.slot_id));
    }
    if found.is_empty() && !document.summary.is_empty() {
        found.push("No slot is worth anything by what it costs to remove or brings alone.".to_owned());
    }
    let mut disagreeing: Vec<&str> = document
        .summary
        .iter()
        .filter(|row| row.sign_disagreement_beyond_intervals)
        .map(|row| row.slot_id.as_str())
        .collect();
    disagreeing.dedup();
    if !disagreeing.is_empty() {
        found.push(format!(
            "The measures of {} disagree in sign beyond their intervals: what it does depends on the others.",
            listed(&disagreeing, NAMES)
        ));
    }
    found
}
