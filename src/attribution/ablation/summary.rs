//! Ablations over games.

use super::measure::Measure;
use super::result::{AblationResult, AblationTerm};
use crate::attribution::rounding::rounding_floor;
use crate::attribution::shapley::Method;
use crate::attribution::slot_order::natural_key;
use crate::attribution::term_summary::{Inference, TermGame, TermSummaries, summarize_terms};
use crate::stats::ConfidenceInterval;

/// Whether measures of one player differ in sign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignDisagreement {
    /// Some measure is above 0 and another below, beyond rounding.
    pub of_values: bool,
    /// Some interval lies above 0 and another below.
    pub of_intervals: bool,
}

impl SignDisagreement {
    /// Of values with their intervals, where what is no larger than `rounding` has no sign.
    pub fn of(values: &[(f64, Option<ConfidenceInterval>)], rounding: f64) -> Self {
        let some = |is: &dyn Fn(f64, Option<ConfidenceInterval>) -> bool| {
            values.iter().any(|(value, interval)| is(*value, *interval))
        };
        Self {
            of_values: some(&|value, _| value > rounding) && some(&|value, _| value < -rounding),
            of_intervals: some(&|_, interval| interval.is_some_and(|interval| interval.low > 0.0))
                && some(&|_, interval| interval.is_some_and(|interval| interval.high < 0.0)),
        }
    }
}

/// Players and contrasts under each measure over games.
#[derive(Debug, Clone, PartialEq)]
pub struct AblationSummary {
    /// Every term that some game has, players in natural order before contrasts.
    pub terms: TermSummaries<AblationTerm>,
    /// What rounding is measured by.
    pub scale: f64,
}

impl AblationSummary {
    /// Whether the measures of a player differ in sign.
    pub fn sign_disagreement(&self, player: &str) -> SignDisagreement {
        let own =
            self.terms.terms.iter().filter(|term| matches!(&term.term.players[..], [one] if one == player));
        let own: Vec<_> = own.map(|term| (term.mean, term.interval)).collect();
        SignDisagreement::of(&own, rounding_floor(self.scale))
    }
}

impl AblationResult {
    /// Whether the measures of player number `player` differ in sign in this game.
    pub fn sign_disagreement(&self, player: usize) -> SignDisagreement {
        let n = Measure::ALL.len();
        let own = self.values[player * n..(player + 1) * n].iter().flatten();
        let own: Vec<_> = own.map(|value| (value.value, value.interval)).collect();
        SignDisagreement::of(&own, rounding_floor(self.scale))
    }
}

/// Summarises every measure of each player and contrast over `games`; all of them are one family of tests.
pub fn summarize_ablation(games: &[AblationResult], inference: &Inference) -> AblationSummary {
    let term_games: Vec<TermGame<'_, AblationTerm>> = games
        .iter()
        .map(|game| TermGame {
            key: &game.key,
            terms: &game.terms,
            scale: game.scale,
            biased: false,
            method: Method::Exact,
        })
        .collect();
    let terms = summarize_terms(
        &term_games,
        |game, term| games[game].values[term].map(|value| value.value),
        |term| {
            let names: Vec<_> = term.players.iter().map(|id| natural_key(id)).collect();
            (term.players.len(), names, term.measure)
        },
        inference,
    );
    AblationSummary { terms, scale: games.iter().map(|game| game.scale).fold(0.0, f64::max) }
}
