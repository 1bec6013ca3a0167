//! From games to slots: Shapley values over independent units.

use super::cluster::{Cluster, ClusterRequest};
use super::shapley::GameResult;
use super::slot_order::natural_key;
use super::term_summary::{Inference, TermGame, TermSummary, summarize_terms};
use crate::stats::{ConfidenceLevel, IntervalMethod};

/// All slots over games.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The independent unit used.
    pub cluster: Cluster,
    /// Share of the variance of episodes that lies between runs, over all slots together.
    pub between_runs: Option<f64>,
    /// Slots in natural order.
    pub players: Vec<PlayerSummary>,
}

/// One slot over all units in which it plays.
pub type PlayerSummary = TermSummary<String>;

/// Summarises each slot over `games` in natural order: see `term_summary`.
pub fn summarize(
    games: &[GameResult],
    cluster: ClusterRequest,
    level: ConfidenceLevel,
    interval: IntervalMethod,
) -> Summary {
    summarize_players(games, &Inference::new(cluster, level, interval))
}

/// The same with everything that can be asked.
pub fn summarize_players(games: &[GameResult], inference: &Inference) -> Summary {
    let term_games: Vec<TermGame<'_, String>> = games
        .iter()
        .map(|game| TermGame {
            key: &game.key,
            terms: &game.slot_ids,
            scale: game.scale,
            biased: game.biased,
            method: game.method,
        })
        .collect();
    let found = summarize_terms(
        &term_games,
        |game, player| games[game].players[player].shapley,
        |slot_id| natural_key(slot_id),
        inference,
    );
    Summary { cluster: found.cluster, between_runs: found.between_runs, players: found.terms }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::attribution::Method;
    use crate::attribution::slot_order::natural_order;

    fn level() -> ConfidenceLevel {
        ConfidenceLevel::new(0.95).expect("a level")
    }

    #[test]
    fn games_of_one_episode_are_averaged_first() {
        // Episode means 2 and 6: mean 4, sd sqrt(8), stderr 2, t = 2 with one degree: p = 0.29516723530086653.
        let games = [
            GameResult::of_values("a", 0, 0, &[("x", 1.0)]),
            GameResult::of_values("a", 0, 1, &[("x", 3.0)]),
            GameResult::of_values("a", 1, 0, &[("x", 6.0)]),
        ];
        let summary =
            &summarize(&games, ClusterRequest::Episode, level(), IntervalMethod::StudentT).players[0];
        assert_eq!((summary.mean, summary.n_units, summary.n_games), (4.0, 2, 3));
        assert!((summary.standard_error.expect("stderr") - 2.0).abs() < 1e-15);
        assert!((summary.p_value.expect("p") - 0.295_167_235_300_866_5).abs() < 1e-12);
        let by_game = &summarize(&games, ClusterRequest::Game, level(), IntervalMethod::StudentT).players[0];
        assert_eq!((by_game.n_units, by_game.mean), (3, 10.0 / 3.0));
        let by_run = &summarize(&games, ClusterRequest::Run, level(), IntervalMethod::StudentT).players[0];
        assert_eq!((by_run.n_units, by_run.sd, by_run.significant), (1, None, None));
    }

    /// Null players over identical and nearly identical episodes: their values are rounding, or vary by rounding.
    #[test]
    fn rounding_is_not_an_effect() {
        let summary = |values: &[f64]| {
            let games: Vec<GameResult> = values
                .iter()
                .zip(0..)
                .map(|(value, episode)| GameResult::of_values("a", episode, 0, &[("x", *value)]))
                .collect();
            summarize(&games, ClusterRequest::Episode, level(), IntervalMethod::StudentT).players.remove(0)
        };
        for values in [&[3e-17; 8][..], &[1e-17, 2e-17, 1.5e-17, 3e-17], &[0.25, 0.25 + f64::EPSILON, 0.25]] {
            let found = summary(values);
            assert_eq!((found.t, found.p_value, found.significant), (None, None, None), "{values:?}");
            assert_eq!(found.interval, None, "{values:?}");
        }
        assert_eq!(summary(&[1e-9, 2e-9, 1.5e-9, 1.2e-9]).significant, Some(true));
    }

    #[test]
    fn a_biased_mean_has_no_interval_and_no_test() {
        let mut games = [
            GameResult::of_values("a", 0, 0, &[("x", 1.0)]),
            GameResult::of_values("a", 1, 0, &[("x", 2.0)]),
            GameResult::of_values("a", 2, 0, &[("x", 4.0)]),
        ];
        games[1].biased = true;
        games[1].method = Method::Kernel;
        let found =
            summarize(&games, ClusterRequest::Episode, level(), IntervalMethod::StudentT).players.remove(0);
        assert!(found.biased && found.interval.is_none() && found.p_value.is_none());
        assert_eq!((found.significant, found.n_units), (None, 3));
        assert_eq!(found.games_by_method, BTreeMap::from([(Method::Exact, 2), (Method::Kernel, 1)]));
    }

    #[test]
    fn an_absent_slot_is_not_zero() {
        let games = [
            GameResult::of_values("a", 0, 0, &[("x", 1.0), ("y", 5.0)]),
            GameResult::of_values("a", 1, 0, &[("x", 2.0)]),
            GameResult::of_values("a", 2, 0, &[("x", 3.0), ("y", 7.0)]),
        ];
        let summaries = summarize(&games, ClusterRequest::Episode, level(), IntervalMethod::StudentT).players;
        assert_eq!((summaries[1].term.as_str(), summaries[1].mean, summaries[1].n_units), ("y", 6.0, 2));
    }

    #[test]
    fn slots_come_in_natural_order() {
        let mut ids = ["r0c10", "r0c2", "r10c0", "r2c0", "a"];
        ids.sort_by(|a, b| natural_order(a, b));
        assert_eq!(ids, ["a", "r0c2", "r0c10", "r2c0", "r10c0"]);
    }
}
