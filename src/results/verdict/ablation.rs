//! What ablations say: which slot costs most to remove, and where the measures disagree.

use super::words::{interval_words, narrow, unit_noun};
use crate::attribution::Measure;
use crate::results::text::{counted, listed};
use crate::results::{AblationDocument, AblationRow, Direction};

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
    let gain = |value: f64| if document.direction == Some(Direction::Lower) { -value } else { value };
    let mut found = Vec::new();
    for (measure, [most, least, none]) in [
        (Measure::RemovalCost, ["costs most to remove", "is best removed", "costs anything to remove"]),
        (Measure::FirstIn, ["brings most alone", "does most harm alone", "brings anything alone"]),
    ] {
        // What could be chance is none: of several games the adjusted test says so, of one its interval.
        let is_told = |row: &&AblationRow| {
            let numbers = &row.numbers;
            let interval = numbers.ci_low.zip(numbers.ci_high).map(|(low, high)| low > 0.0 || high < 0.0);
            numbers.significant.or(interval).unwrap_or(true) && numbers.mean != 0.0
        };
        let rows: Vec<&AblationRow> = document.summary.iter().filter(|row| row.measure == measure).collect();
        if rows.is_empty() {
            continue;
        }
        let order =
            |a: &&&AblationRow, b: &&&AblationRow| gain(a.numbers.mean).total_cmp(&gain(b.numbers.mean));
        let told: Vec<&AblationRow> = rows.into_iter().filter(is_told).collect();
        let words = |row: &AblationRow| {
            let n = row.numbers.n_units;
            let behind = if n > 1 {
                format!("n = {}", counted(n, noun))
            } else {
                counted(row.numbers.n_games, "game")
            };
            let interval = row.numbers.ci_low.zip(row.numbers.ci_high);
            interval_words(row.numbers.mean, interval, document.confidence, &behind)
        };
        let best = told.iter().max_by(order).filter(|row| gain(row.numbers.mean) > 0.0);
        let worst = told.iter().min_by(order).filter(|row| gain(row.numbers.mean) < 0.0);
        found.extend(best.map(|row| format!("{} {most}: {}.", row.slot_id, words(row))));
        found.extend(worst.map(|row| format!("{} {least}: {}.", row.slot_id, words(row))));
        if best.is_none() && worst.is_none() {
            found.push(format!("No slot can be told to be one that {none}."));
        }
    }
    found.extend(narrow(document.ci, document.summary.iter().map(|row| row.numbers.n_units)));
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
