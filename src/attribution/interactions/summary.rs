//! Interactions over games.

use std::collections::BTreeMap;

use super::regime::{Regime, RegimeRule};
use super::result::InteractionResult;
use super::terms::Term;
use crate::attribution::cluster::Cluster;
use crate::attribution::term_summary::{Inference, TermGame, TermSummary, summarize_terms};

/// One term over all units in which all its players play.
#[derive(Debug, Clone, PartialEq)]
pub struct InteractionSummary {
    /// Mean, interval and test.
    pub summary: TermSummary<Term>,
    /// What it amounts to; `None` for single players.
    pub regime: Option<Regime>,
}

/// All terms over games.
#[derive(Debug, Clone, PartialEq)]
pub struct InteractionSummaries {
    /// The independent unit used.
    pub cluster: Cluster,
    /// Share of the variance of episodes that lies between runs, over all terms together.
    pub between_runs: Option<f64>,
    /// By number of players, then in natural order.
    pub terms: Vec<InteractionSummary>,
}

/// Summarises each term over `games`, by number of players and then in natural order.
///
/// A regime is decided by the interval over units; where there is one unit, by the only game's own.
pub fn summarize_interactions(
    games: &[InteractionResult],
    inference: &Inference,
    rule: RegimeRule,
) -> InteractionSummaries {
    let term_games: Vec<TermGame<'_, Term>> = games
        .iter()
        .map(|game| TermGame {
            key: &game.key,
            terms: &game.terms,
            scale: game.scale,
            biased: game.biased,
            method: game.method,
        })
        .collect();
    let found = summarize_terms(
        &term_games,
        |game, term| Some(games[game].values[term].value),
        Term::order_key,
        inference,
    );
    let only_game = match games {
        [game] => Some(game),
        _ => None,
    };
    let of_only_game: BTreeMap<&Term, Option<Regime>> = only_game
        .iter()
        .flat_map(|game| game.terms.iter().zip(&game.values))
        .map(|(term, value)| (term, value.regime))
        .collect();
    let with_regime = |summary: TermSummary<Term>| {
        let own = of_only_game.get(&summary.term).copied().flatten();
        let regime = match only_game {
            Some(_) => own,
            None => (summary.term.players().len() > 1).then(|| rule.of_interval(summary.interval)),
        };
        InteractionSummary { summary, regime }
    };
    InteractionSummaries {
        cluster: found.cluster,
        between_runs: found.between_runs,
        terms: found.terms.into_iter().map(with_regime).collect(),
    }
}
