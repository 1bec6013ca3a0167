//! What interactions say: which slots work together, which stand in each other's way.

use super::words::{interval_words, narrow, unit_noun};
use crate::attribution::Regime;
use crate::results::InteractionDocument;
use crate::results::text::{counted, listed};

/// Names listed in a sentence.
const NAMES: usize = 3;

/// A term of two slots and more.
struct Together {
    players: String,
    value: f64,
    interval: Option<(f64, f64)>,
    regime: Option<Regime>,
    /// Units behind it, where there are several.
    n_units: Option<u64>,
    /// Whether it is told from none among all terms; `None` without a test.
    significant: Option<bool>,
}

impl Together {
    /// The regime that holds among all terms: an interval is of one term, and one in twenty is beyond zero by chance.
    fn told(&self) -> Option<Regime> {
        match (self.regime, self.significant) {
            (Some(Regime::Synergy | Regime::Interference), Some(false)) => Some(Regime::Undecided),
            (regime, _) => regime,
        }
    }
}

impl InteractionDocument {
    /// The document with its conclusion.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        self.verdict = sentences(&self);
        self
    }
}

fn sentences(document: &InteractionDocument) -> Vec<String> {
    let n_units = document.summary.iter().map(|row| row.numbers.n_units).max().unwrap_or(0);
    let terms =
        if n_units > 1 || document.games.len() > 1 { over_units(document) } else { of_game(document) };
    if terms.is_empty() {
        return Vec::new();
    }
    let noun = unit_noun(document.cluster, &document.games.iter().map(|game| &*game.name.run_id));
    let behind = if n_units > 1 {
        format!("n = {}", counted(n_units, noun))
    } else {
        format!("{}, {}", document.method.name(), counted(document.games.len() as u64, "game"))
    };
    let mut found = Vec::new();
    for (wanted, verb) in
        [(Regime::Synergy, "work together"), (Regime::Interference, "stand in each other's way")]
    {
        let mut of_kind: Vec<&Together> = terms.iter().filter(|term| term.told() == Some(wanted)).collect();
        of_kind.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
        let Some((first, others)) = of_kind.split_first() else { continue };
        let own = first.n_units.map(|n| format!("n = {}", counted(n, noun)));
        let behind = own.as_deref().unwrap_or(&behind);
        let words = interval_words(first.value, first.interval, document.confidence, behind);
        let most = if others.is_empty() { "" } else { " most" };
        let names: Vec<&str> = others.iter().map(|term| term.players.as_str()).collect();
        let too = if names.is_empty() { String::new() } else { format!("; so do {}", listed(&names, NAMES)) };
        found.push(format!("{} {verb}{most}: {words}{too}.", first.players));
    }
    let n_open = terms.iter().filter(|term| term.told() == Some(Regime::Undecided)).count();
    if found.is_empty() {
        found.push(if n_open > 0 {
            format!("No interaction can be told from none ({behind}).")
        } else {
            format!("No slots interact: they are worth together what they are worth apart ({behind}).")
        });
    } else if n_open > 0 {
        let of = if n_open == 1 { "1 other term is" } else { &format!("{n_open} other terms are") };
        found.push(format!("{of} undecided."));
    }
    found.extend(narrow(document.ci, document.summary.iter().map(|row| row.numbers.n_units)));
    found
}

fn over_units(document: &InteractionDocument) -> Vec<Together> {
    let rows = document.summary.iter().filter(|row| row.players.len() > 1);
    rows.map(|row| Together {
        players: listed_names(&row.players),
        value: row.numbers.mean,
        interval: row.numbers.ci_low.zip(row.numbers.ci_high),
        regime: row.regime,
        n_units: Some(row.numbers.n_units).filter(|n| *n > 1),
        significant: row.numbers.significant,
    })
    .collect()
}

fn of_game(document: &InteractionDocument) -> Vec<Together> {
    let Some(game) = document.games.first() else { return Vec::new() };
    let rows = game.terms.rows().filter(|row| row.players.len() > 1);
    rows.map(|row| Together {
        players: listed_names(&row.players),
        value: row.value,
        interval: row.ci_low.zip(row.ci_high),
        regime: row.regime,
        n_units: None,
        significant: None,
    })
    .collect()
}

fn listed_names(players: &[String]) -> String {
    listed(&players.iter().map(String::as_str).collect::<Vec<_>>(), players.len())
}
