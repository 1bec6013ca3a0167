//! From games to slots: means over independent units, tests, multiplicity.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::GameKey;
use super::cluster::{Cluster, ClusterRequest, ClusteredGame, UnitAverager, UnitMean, clustered, n_runs};
use super::rounding::rounding_floor;
use super::shapley::{GameResult, Method};
use super::slot_order::natural_order;
use crate::stats::{
    ConfidenceInterval, ConfidenceLevel, Estimate, IntervalMethod, VarianceComponents, holm_adjust,
    one_sample_test,
};

/// All slots over games.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The independent unit used.
    pub cluster: Cluster,
    /// Share of the variance of episodes that lies between runs, over all slots together: the sum of their
    /// variances between runs over the sum of all their variances. `None` where one run, or one episode a run, or
    /// rounding leaves nothing to tell.
    pub between_runs: Option<f64>,
    /// Slots in natural order.
    pub players: Vec<PlayerSummary>,
}

/// One slot over all units in which it plays.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayerSummary {
    /// The slot.
    pub slot_id: String,
    /// Mean of the unit means.
    pub mean: f64,
    /// Sample standard deviation of the unit means; `None` below two units.
    pub sd: Option<f64>,
    /// sd/sqrt(units).
    pub standard_error: Option<f64>,
    /// Independent units.
    pub n_units: u64,
    /// Games.
    pub n_games: u64,
    /// Interval of the mean.
    pub interval: Option<ConfidenceInterval>,
    /// t statistic of mean = 0; infinite for constant units.
    pub t: Option<f64>,
    /// Two-sided p value, by the distribution the interval was made by.
    pub p_value: Option<f64>,
    /// Holm-adjusted over the slots.
    pub p_adjusted: Option<f64>,
    /// p_adjusted < 1 - confidence; `None` without a test.
    pub significant: Option<bool>,
    /// Whether some game lacks coalitions, so that the mean is biased: it has no interval and no test.
    pub biased: bool,
    /// Games by the method their values came from.
    pub games_by_method: BTreeMap<Method, u64>,
    /// Variance of the episodes' means between and within runs; `None` where nothing tells them apart.
    pub components: Option<VarianceComponents>,
    /// The units and their means, in order of unit.
    pub unit_means: Vec<UnitMean>,
}

/// Summarises each slot over `games` in order of slot id.
///
/// # Formula
/// Per unit the slot's values are averaged over the games it plays in; over units mean, sd (n - 1), stderr,
/// interval, test of 0 and Holm adjustment over all slots. A slot counts in the units it plays in only: absence
/// is not a value of zero. The share between runs is the intraclass correlation of the episodes' means.
///
/// # Edge cases
/// One unit: mean only. Games without a value for a slot (bounds) do not count.
pub fn summarize(
    games: &[GameResult],
    cluster: ClusterRequest,
    level: ConfidenceLevel,
    interval: IntervalMethod,
) -> Summary {
    let keys: Vec<&GameKey> = games.iter().map(|game| &game.key).collect();
    let cluster = cluster.of(keys.iter().copied());
    let n_runs = n_runs(keys.iter().copied());
    let mut slots =
        by_slot(games, &clustered(&keys, cluster), if n_runs > 1 { Runs::Several } else { Runs::One });
    slots.sort_by(|a, b| natural_order(&a.slot_id, &b.slot_id));
    let mut players: Vec<PlayerSummary> =
        slots.into_iter().filter_map(|slot| slot.summarize(&keys, level, interval)).collect();
    let p_values: Vec<Option<f64>> = players.iter().map(|player| player.p_value).collect();
    for (player, adjusted) in players.iter_mut().zip(holm_adjust(&p_values)) {
        player.p_adjusted = adjusted;
        player.significant = adjusted.map(|p| p < 1.0 - level.get());
    }
    let between_runs = share_between_runs(&players);
    Summary { cluster, between_runs, players }
}

/// The share of variance between runs, over all slots together.
fn share_between_runs(players: &[PlayerSummary]) -> Option<f64> {
    let components: Vec<VarianceComponents> = players.iter().filter_map(|player| player.components).collect();
    let total = VarianceComponents {
        between: components.iter().map(|one| one.between).sum(),
        within: components.iter().map(|one| one.within).sum(),
    };
    total.share_between()
}

/// Whether there is a variance between runs to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    One,
    Several,
}

/// Values of each slot, unit by unit.
fn by_slot(games: &[GameResult], order: &[ClusteredGame], runs: Runs) -> Vec<SlotUnits> {
    let mut slots: Vec<SlotUnits> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut seats: Vec<usize> = Vec::new();
    let mut before: Option<&GameResult> = None;
    for place in order {
        let game = &games[place.game];
        // Games of one campaign share their list of players: its slots are looked up once.
        if before.is_none_or(|before| !Arc::ptr_eq(&before.slot_ids, &game.slot_ids)) {
            seats.clear();
            for slot_id in game.slot_ids.iter() {
                let seat = *known.entry(slot_id.clone()).or_insert_with(|| {
                    slots.push(SlotUnits::new(slot_id));
                    slots.len() - 1
                });
                seats.push(seat);
            }
        }
        for (seat, player) in seats.iter().zip(&game.players) {
            if let Some(value) = player.shapley {
                slots[*seat].push(game, place, value, runs);
            }
        }
        before = Some(game);
    }
    slots
}

/// One slot's values, grouped by unit.
struct SlotUnits {
    slot_id: String,
    units: UnitAverager,
    /// Episodes, where there are several runs.
    episodes: UnitAverager,
    /// Greatest scale of its games.
    scale: f64,
    biased: bool,
    by_method: [u64; Method::ALL.len()],
}

impl SlotUnits {
    fn new(slot_id: &str) -> Self {
        Self {
            slot_id: slot_id.to_owned(),
            units: UnitAverager::default(),
            episodes: UnitAverager::default(),
            scale: 0.0,
            biased: false,
            by_method: [0; Method::ALL.len()],
        }
    }

    fn push(&mut self, game: &GameResult, place: &ClusteredGame, value: f64, runs: Runs) {
        self.units.push(place.unit, place.game, value);
        if runs == Runs::Several {
            self.episodes.push(place.episode, place.game, value);
        }
        self.scale = self.scale.max(game.scale);
        self.biased |= game.biased;
        self.by_method[game.method as usize] += 1;
    }

    fn summarize(
        self,
        keys: &[&GameKey],
        level: ConfidenceLevel,
        interval: IntervalMethod,
    ) -> Option<PlayerSummary> {
        let n_games = self.units.n_values();
        let unit_means = self.units.finish();
        let means: Vec<f64> = unit_means.iter().map(|unit| unit.mean).collect();
        let estimate = Estimate::of_mean(&means, level, interval)?;
        // Units that differ by rounding alone tell nothing of how the value varies.
        let floor = rounding_floor(self.scale);
        let is_rounding = estimate.sd.is_some_and(|sd| sd <= floor);
        let test =
            if is_rounding || self.biased { None } else { one_sample_test(&means, &estimate, interval) };
        let components = VarianceComponents::one_way(&of_runs(&self.episodes.finish(), keys))
            .filter(|components| components.between + components.within > floor * floor);
        let counted = Method::ALL.into_iter().zip(self.by_method).filter(|(_, n)| *n > 0);
        Some(PlayerSummary {
            slot_id: self.slot_id,
            mean: estimate.value,
            sd: estimate.sd,
            standard_error: estimate.standard_error,
            n_units: estimate.n,
            n_games,
            interval: estimate.interval.filter(|_| !is_rounding && !self.biased),
            t: test.map(|test| test.t),
            p_value: test.map(|test| test.p_value),
            p_adjusted: None,
            significant: None,
            biased: self.biased,
            games_by_method: counted.collect(),
            components,
            unit_means,
        })
    }
}

/// Means of episodes, which come in order of run, by run.
fn of_runs(episodes: &[UnitMean], keys: &[&GameKey]) -> Vec<Vec<f64>> {
    let of_one_run = episodes.chunk_by(|a, b| Cluster::Run.joins(keys[a.game], keys[b.game]));
    of_one_run.map(|episodes| episodes.iter().map(|episode| episode.mean).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{GameKey, Method, PlayerValue};

    fn game(run: &str, episode: i64, env_id: i64, values: &[(&str, f64)]) -> GameResult {
        GameResult {
            key: GameKey { group: Arc::default(), run_id: Arc::from(run), episode, env_id, batch: None },
            slot_ids: values.iter().map(|(id, _)| (*id).to_owned()).collect(),
            n_coalitions: 4,
            method: Method::Exact,
            baseline: Some(0.0),
            full: Some(1.0),
            efficiency_gap: Some(0.0),
            biased: false,
            antithetic: None,
            unpaired_walks: 0,
            bad_walks: 0,
            n_copies: 0,
            n_recorded_walks: 0,
            scale: 1.0,
            kernel: None,
            players: values
                .iter()
                .map(|(_, value)| PlayerValue {
                    shapley: Some(*value),
                    sd: None,
                    standard_error: None,
                    n_samples: 1,
                    interval: None,
                    bounds: None,
                })
                .collect(),
        }
    }

    fn level() -> ConfidenceLevel {
        ConfidenceLevel::new(0.95).expect("a level")
    }

    #[test]
    fn games_of_one_episode_are_averaged_first() {
        // Episode means 2 and 6: mean 4, sd sqrt(8), stderr 2, t = 2 with one degree: p = 0.29516723530086653.
        let games =
            [game("a", 0, 0, &[("x", 1.0)]), game("a", 0, 1, &[("x", 3.0)]), game("a", 1, 0, &[("x", 6.0)])];
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
                .map(|(value, episode)| game("a", episode, 0, &[("x", *value)]))
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
        let mut games =
            [game("a", 0, 0, &[("x", 1.0)]), game("a", 1, 0, &[("x", 2.0)]), game("a", 2, 0, &[("x", 4.0)])];
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
            game("a", 0, 0, &[("x", 1.0), ("y", 5.0)]),
            game("a", 1, 0, &[("x", 2.0)]),
            game("a", 2, 0, &[("x", 3.0), ("y", 7.0)]),
        ];
        let summaries = summarize(&games, ClusterRequest::Episode, level(), IntervalMethod::StudentT).players;
        assert_eq!((summaries[1].slot_id.as_str(), summaries[1].mean, summaries[1].n_units), ("y", 6.0, 2));
    }

    #[test]
    fn slots_come_in_natural_order() {
        let mut ids = ["r0c10", "r0c2", "r10c0", "r2c0", "a"];
        ids.sort_by(|a, b| natural_order(a, b));
        assert_eq!(ids, ["a", "r0c2", "r0c10", "r2c0", "r10c0"]);
    }
}
