//! From games to slots: means over independent units, tests, multiplicity.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GameKey;
use super::shapley::{GameResult, Method};
use crate::stats::{
    ConfidenceInterval, ConfidenceLevel, Estimate, IntervalMethod, holm_adjust, one_sample_t_test,
    pairwise_sum,
};

/// What counts as one independent unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cluster {
    /// Every game for itself.
    Game,
    /// One (run, episode): its games are averaged first.
    Episode,
    /// One run.
    Run,
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
    /// Two-sided p value.
    pub p_value: Option<f64>,
    /// Holm-adjusted over the slots.
    pub p_adjusted: Option<f64>,
    /// p_adjusted < 1 - confidence; `None` without a test.
    pub significant: Option<bool>,
    /// Whether some game lacks coalitions, so that the mean is biased: it has no interval and no test.
    pub biased: bool,
    /// Games by the method their values came from.
    pub games_by_method: BTreeMap<Method, u64>,
    /// The units and their means, in order of unit.
    pub unit_means: Vec<UnitMean>,
}

/// Units whose spread is below this many units in the last place of the greatest value differ by rounding alone.
///
/// A Shapley value is a sum of up to 2^n terms, added pairwise: its error is a few ulps of the largest.
const ROUNDING_ULPS: f64 = 64.0;

/// The size below which numbers of games of this scale are rounding.
pub fn rounding_floor(scale: f64) -> f64 {
    ROUNDING_ULPS * f64::EPSILON * scale
}

/// One independent unit's mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitMean {
    /// A game of the unit, by its place among the games summarised: it names the unit.
    pub game: usize,
    /// Mean over the unit's games.
    pub mean: f64,
}

impl Cluster {
    /// Name of the unit that a game belongs to: the run, or a path below it.
    pub fn unit_name(self, key: &GameKey) -> String {
        let GameKey { run_id, episode, env_id, batch } = key;
        match self {
            Self::Run => run_id.to_string(),
            Self::Episode => format!("{run_id}/{episode}"),
            Self::Game => {
                let batch = batch.map_or_else(String::new, |batch| format!("/{batch}"));
                format!("{run_id}/{episode}/{env_id}{batch}")
            }
        }
    }

    /// Whether two games belong to one unit.
    fn joins(self, a: &GameKey, b: &GameKey) -> bool {
        let same_run = || Arc::ptr_eq(&a.run_id, &b.run_id) || a.run_id == b.run_id;
        match self {
            Self::Game => false,
            Self::Episode => a.episode == b.episode && same_run(),
            Self::Run => same_run(),
        }
    }
}

/// Games in order of key with the number of each one's independent unit: the only place where games are clustered.
struct Units {
    /// (game, unit), in order of key.
    order: Vec<(usize, usize)>,
}

impl Units {
    fn of(keys: &[&GameKey], cluster: Cluster) -> Self {
        let mut order: Vec<(usize, usize)> = (0..keys.len()).map(|game| (game, 0)).collect();
        if !keys.is_sorted() {
            order.sort_by(|(a, _), (b, _)| keys[*a].cmp(keys[*b]));
        }
        for place in 1..order.len() {
            let (before, unit) = order[place - 1];
            order[place].1 = unit + usize::from(!cluster.joins(keys[before], keys[order[place].0]));
        }
        Self { order }
    }
}

/// Means over each unit of one number per game; games without it do not count.
pub fn unit_means(games: &[(&GameKey, Option<f64>)], cluster: Cluster) -> Vec<UnitMean> {
    let keys: Vec<&GameKey> = games.iter().map(|(key, _)| *key).collect();
    let mut averager = UnitAverager::default();
    for (game, unit) in Units::of(&keys, cluster).order {
        if let Some(value) = games[game].1 {
            averager.push(unit, game, value);
        }
    }
    averager.finish()
}

/// Summarises each slot over `games` in order of slot id.
///
/// # Formula
/// Per unit the slot's values are averaged over the games it plays in; over units mean, sd (n - 1), stderr,
/// interval, t test of 0 and Holm adjustment over all slots. A slot counts in the units it plays in only: absence
/// is not a value of zero.
///
/// # Edge cases
/// One unit: mean only. Games without a value for a slot (bounds) do not count.
pub fn summarize(
    games: &[GameResult],
    cluster: Cluster,
    level: ConfidenceLevel,
    interval: IntervalMethod,
) -> Vec<PlayerSummary> {
    let keys: Vec<&GameKey> = games.iter().map(|game| &game.key).collect();
    let units = Units::of(&keys, cluster);
    let mut slots: Vec<SlotUnits> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut seats: Vec<usize> = Vec::new();
    let mut before: Option<&GameResult> = None;
    for (index, unit) in units.order {
        let game = &games[index];
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
                slots[*seat].push(game, unit, index, value);
            }
        }
        before = Some(game);
    }
    slots.sort_by(|a, b| natural_order(&a.slot_id, &b.slot_id));
    let mut summaries: Vec<PlayerSummary> =
        slots.into_iter().filter_map(|slot| slot.summarize(level, interval)).collect();
    let p_values: Vec<Option<f64>> = summaries.iter().map(|summary| summary.p_value).collect();
    for (summary, adjusted) in summaries.iter_mut().zip(holm_adjust(&p_values)) {
        summary.p_adjusted = adjusted;
        summary.significant = adjusted.map(|p| p < 1.0 - level.get());
    }
    summaries
}

/// Averages values unit by unit; they come in order of unit.
#[derive(Default)]
struct UnitAverager {
    /// Unit under way, a game of it, and its values so far.
    unit: usize,
    game: usize,
    values: Vec<f64>,
    means: Vec<UnitMean>,
    n_values: u64,
}

impl UnitAverager {
    fn push(&mut self, unit: usize, game: usize, value: f64) {
        if unit != self.unit {
            self.close_unit();
            self.unit = unit;
        }
        self.game = game;
        self.values.push(value);
        self.n_values += 1;
    }

    fn close_unit(&mut self) {
        if !self.values.is_empty() {
            let mean = pairwise_sum(&self.values) / self.values.len() as f64;
            self.means.push(UnitMean { game: self.game, mean });
            self.values.clear();
        }
    }

    fn finish(mut self) -> Vec<UnitMean> {
        self.close_unit();
        self.means
    }
}

/// One slot's values, grouped by unit.
struct SlotUnits {
    slot_id: String,
    units: UnitAverager,
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
            scale: 0.0,
            biased: false,
            by_method: [0; Method::ALL.len()],
        }
    }

    fn push(&mut self, game: &GameResult, unit: usize, index: usize, value: f64) {
        self.units.push(unit, index, value);
        self.scale = self.scale.max(game.scale);
        self.biased |= game.biased;
        self.by_method[game.method as usize] += 1;
    }

    fn summarize(self, level: ConfidenceLevel, interval: IntervalMethod) -> Option<PlayerSummary> {
        let n_games = self.units.n_values;
        let unit_means = self.units.finish();
        let means: Vec<f64> = unit_means.iter().map(|unit| unit.mean).collect();
        let estimate = Estimate::of_mean(&means, level, interval)?;
        // Units that differ by rounding alone tell nothing of how the value varies.
        let is_rounding = estimate.sd.is_some_and(|sd| sd <= rounding_floor(self.scale));
        let test = one_sample_t_test(&estimate).filter(|_| !is_rounding && !self.biased);
        let counted = Method::ALL.into_iter().zip(self.by_method).filter(|(_, n)| *n > 0);
        Some(PlayerSummary {
            slot_id: self.slot_id,
            mean: estimate.value,
            sd: estimate.sd,
            standard_error: estimate.standard_error,
            n_units: estimate.n,
            n_games,
            interval: estimate.interval.filter(|_| !self.biased),
            t: test.map(|test| test.t),
            p_value: test.map(|test| test.p_value),
            p_adjusted: None,
            significant: None,
            biased: self.biased,
            games_by_method: counted.collect(),
            unit_means,
        })
    }
}

/// Slots in natural order: digits compare as numbers, so r0c2 comes before r0c10.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SlotOrder {
    parts: Vec<Part>,
    id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u128),
    Text(String),
}

impl SlotOrder {
    fn new(id: &str) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = id;
        while let Some(first) = rest.chars().next() {
            let is_digit = first.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
            let (run, tail) = rest.split_at(end);
            // Longer digit runs than u128 holds compare as text.
            parts.push(match run.parse() {
                Ok(number) if is_digit => Part::Number(number),
                _ => Part::Text(run.to_owned()),
            });
            rest = tail;
        }
        Self { parts, id: id.to_owned() }
    }
}

/// Compares slot ids in natural order.
pub(crate) fn natural_order(a: &str, b: &str) -> std::cmp::Ordering {
    SlotOrder::new(a).cmp(&SlotOrder::new(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{GameKey, Method, PlayerValue};

    fn game(run: &str, episode: i64, env_id: i64, values: &[(&str, f64)]) -> GameResult {
        GameResult {
            key: GameKey { run_id: Arc::from(run), episode, env_id, batch: None },
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
            n_recorded_walks: 0,
            scale: 1.0,
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
        let summary = &summarize(&games, Cluster::Episode, level(), IntervalMethod::StudentT)[0];
        assert_eq!((summary.mean, summary.n_units, summary.n_games), (4.0, 2, 3));
        assert!((summary.standard_error.expect("stderr") - 2.0).abs() < 1e-15);
        assert!((summary.p_value.expect("p") - 0.295_167_235_300_866_5).abs() < 1e-12);
        let by_game = &summarize(&games, Cluster::Game, level(), IntervalMethod::StudentT)[0];
        assert_eq!((by_game.n_units, by_game.mean), (3, 10.0 / 3.0));
        let by_run = &summarize(&games, Cluster::Run, level(), IntervalMethod::StudentT)[0];
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
            summarize(&games, Cluster::Episode, level(), IntervalMethod::StudentT).remove(0)
        };
        for values in [&[3e-17; 8][..], &[1e-17, 2e-17, 1.5e-17, 3e-17], &[0.25, 0.25 + f64::EPSILON, 0.25]] {
            let found = summary(values);
            assert_eq!((found.t, found.p_value, found.significant), (None, None, None), "{values:?}");
        }
        assert_eq!(summary(&[1e-9, 2e-9, 1.5e-9, 1.2e-9]).significant, Some(true));
    }

    #[test]
    fn a_biased_mean_has_no_interval_and_no_test() {
        let mut games =
            [game("a", 0, 0, &[("x", 1.0)]), game("a", 1, 0, &[("x", 2.0)]), game("a", 2, 0, &[("x", 4.0)])];
        games[1].biased = true;
        games[1].method = Method::Kernel;
        let found = summarize(&games, Cluster::Episode, level(), IntervalMethod::StudentT).remove(0);
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
        let summaries = summarize(&games, Cluster::Episode, level(), IntervalMethod::StudentT);
        assert_eq!((summaries[1].slot_id.as_str(), summaries[1].mean, summaries[1].n_units), ("y", 6.0, 2));
    }

    #[test]
    fn slots_come_in_natural_order() {
        let mut ids = ["r0c10", "r0c2", "r10c0", "r2c0", "a"];
        ids.sort_by(|a, b| natural_order(a, b));
        assert_eq!(ids, ["a", "r0c2", "r0c10", "r2c0", "r10c0"]);
    }
}
