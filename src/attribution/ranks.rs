//! How stable the order of players is: the probability of each rank, and which neighbours cannot be told apart.
//!
//! # Formula
//! Players are ranked by the mean of their unit means, the best first. Resamples of the units, drawn with replacement, are
//! ranked in the same way, players of equal means sharing their ranks: the share of resamples in which a player is first (shared by
//! those that are first together), the least and greatest rank that leave (1 - level)/2 on either side, and the share in which one
//! player is above the next (ties half). Neighbours in the order are a
//! tie unless the paired difference of their unit means, over the units in which both play, is told from 0 by Student's t, adjusted
//! over all neighbours.
//!
//! # Source
//! Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, sections 8.6 and 10.5; Hall and Miller, *Annals of Statistics*
//! 37(6), 2009 (ranks by bootstrap, and that few units tell little of them).

use std::collections::BTreeMap;

use rand::RngExt;
use rayon::prelude::*;

use super::cluster::{Cluster, clustered};
use super::inference::PlayerSummary;
use super::{GameKey, Inference};
use crate::stats::{
    ConfidenceInterval, Estimate, IntervalMethod, StreamKey, adjust, one_sample_test, random_stream,
};

/// Units from which on resamples say something of ranks.
pub const FEWEST_RANKED_UNITS: usize = 4;

/// Resamples of the units.
const RESAMPLES: usize = 4000;

/// Means closer than this part of the largest value are equal but for rounding.
const ROUNDING: f64 = 1e-12;

/// Which end of the values is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Best {
    /// The largest value.
    Largest,
    /// The smallest.
    Smallest,
}

/// One player's place.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayerRank {
    /// The player.
    pub slot_id: String,
    /// 1 for the best.
    pub rank: usize,
    /// Share of the resamples in which it is first.
    pub first: f64,
    /// Least and greatest rank, (1 - level)/2 of the resamples left out on either side.
    pub range: (usize, usize),
}

/// Two players next to each other in the order.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// The better one.
    pub above: String,
    /// The other.
    pub below: String,
    /// Share of the resamples in which they stand so.
    pub probability: f64,
    /// Mean of the differences, over units in which both play.
    pub difference: f64,
    /// Its interval; `None` of fewer than two such units.
    pub interval: Option<ConfidenceInterval>,
    /// Adjusted over all neighbours.
    pub p_adjusted: Option<f64>,
    /// Whether nothing tells them apart; `None` where nothing can be tested.
    pub is_tie: Option<bool>,
}

/// The order of the players.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// Units resampled.
    pub n_units: usize,
    /// Resamples.
    pub n_resamples: usize,
    /// Players, the best first.
    pub players: Vec<PlayerRank>,
    /// Each player with the next.
    pub neighbours: Vec<Neighbours>,
}

/// Ranks the players of `summary`, whose unit means come from games of `keys`.
///
/// # Edge cases
/// `None` of fewer than [`FEWEST_RANKED_UNITS`] units or two players, and of values that missing coalitions bias: no interval and no
/// test would be honest. Players of equal means keep their order and share their rank.
pub fn rank_players(
    keys: &[&GameKey],
    cluster: Cluster,
    summary: &[PlayerSummary],
    best: Best,
    inference: &Inference,
) -> Option<Ranks> {
    let units = UnitValues::new(keys, cluster, summary, best);
    let is_biased = summary.iter().any(|player| player.biased);
    if units.values.len() < FEWEST_RANKED_UNITS || summary.len() < 2 || is_biased {
        return None;
    }
    let all: Vec<usize> = (0..units.values.len()).collect();
    let (order, places) = (units.order(&all), units.places(&all));
    let resampled: Vec<Vec<Places>> = (0..RESAMPLES)
        .into_par_iter()
        .map(|replicate| {
            let key = StreamKey::named("ranks", units.values.len() as u64, 0);
            let mut random = random_stream(inference.seed, key, replicate as u64);
            let n = units.values.len();
            let drawn: Vec<usize> = (0..n).map(|_| random.random_range(0..n)).collect();
            units.places(&drawn)
        })
        .collect();
    let sorted = |player: usize, end: fn(&Places) -> usize| -> Vec<usize> {
        let mut ranks: Vec<usize> = resampled.iter().map(|places| end(&places[player])).collect();
        ranks.sort_unstable();
        ranks
    };
    let left_out = (1.0 - inference.level.get()) / 2.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the resamples")]
    let cut = (left_out * RESAMPLES as f64) as usize;
    let players = order.iter().map(|player| {
        let (least, greatest) = (sorted(*player, |place| place.0), sorted(*player, |place| place.1));
        let first = resampled.iter().map(|places| places[*player]).filter(|place| place.0 == 0);
        let first: f64 = first.map(|(_, last)| 1.0 / (last + 1) as f64).sum();
        PlayerRank {
            slot_id: summary[*player].term.clone(),
            rank: places[*player].0 + 1,
            first: first / RESAMPLES as f64,
            range: (least[cut] + 1, greatest[RESAMPLES - 1 - cut] + 1),
        }
    });
    let players: Vec<PlayerRank> = players.collect();
    Some(Ranks {
        n_units: units.values.len(),
        n_resamples: RESAMPLES,
        players,
        neighbours: neighbours(&units, &order, &resampled, summary, inference),
    })
}

fn neighbours(
    units: &UnitValues,
    order: &[usize],
    resampled: &[Vec<Places>],
    summary: &[PlayerSummary],
    inference: &Inference,
) -> Vec<Neighbours> {
    let pairs = || order.iter().zip(&order[1..]);
    let differences: Vec<Vec<f64>> =
        pairs().map(|(above, below)| units.differences(*above, *below)).collect();
    let estimates: Vec<Option<Estimate>> = differences
        .iter()
        .map(|sample| Estimate::of_mean(sample, inference.level, IntervalMethod::StudentT))
        .collect();
    let floor = ROUNDING * units.largest;
    let is_spread = |estimate: &&Estimate| estimate.sd.is_some_and(|sd| sd > floor);
    let tests = differences.iter().zip(&estimates).map(|(sample, estimate)| {
        estimate.as_ref().filter(is_spread)?;
        let test = one_sample_test(sample, estimate.as_ref()?, IntervalMethod::StudentT);
        test.map(|test| test.p_value)
    });
    let adjusted = adjust(&tests.collect::<Vec<_>>(), inference.adjustment);
    pairs()
        .zip(estimates)
        .zip(adjusted)
        .map(|(((above, below), estimate), p_adjusted)| {
            let stands = |places: &Vec<Places>| match places[*above].0.cmp(&places[*below].0) {
                std::cmp::Ordering::Less => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 0.0,
            };
            let signed = |x: f64| if units.best == Best::Smallest { -x } else { x };
            let spread = estimate.as_ref().filter(is_spread);
            let interval = spread.and_then(|estimate| estimate.interval).map(|interval| {
                let (a, b) = (signed(interval.low), signed(interval.high));
                ConfidenceInterval { low: a.min(b), high: a.max(b) }
            });
            Neighbours {
                above: summary[*above].term.clone(),
                below: summary[*below].term.clone(),
                probability: resampled.iter().map(stands).sum::<f64>() / resampled.len() as f64,
                difference: signed(estimate.map_or(f64::NAN, |estimate| estimate.value)),
                interval,
                p_adjusted,
                // Differences that are nothing but rounding are none.
                is_tie: match p_adjusted {
                    Some(p) => Some(p >= 1.0 - inference.level.get()),
                    None => estimate.filter(|estimate| estimate.value.abs() <= floor).map(|_| true),
                },
            }
        })
        .collect()
}

/// Unit means by unit and player, turned so that larger is better.
struct UnitValues {
    values: Vec<Vec<Option<f64>>>,
    best: Best,
    /// Greatest size of a value.
    largest: f64,
}

/// Least and greatest rank of a player, from 0.
type Places = (usize, usize);

impl UnitValues {
    fn new(keys: &[&GameKey], cluster: Cluster, summary: &[PlayerSummary], best: Best) -> Self {
        let unit_of: BTreeMap<usize, usize> =
            clustered(keys, cluster).into_iter().map(|place| (place.game, place.unit)).collect();
        let n_units = unit_of.values().max().map_or(0, |last| last + 1);
        let mut values = vec![vec![None; summary.len()]; n_units];
        for (player, row) in summary.iter().enumerate() {
            for unit in &row.unit_means {
                let value = if best == Best::Smallest { -unit.mean } else { unit.mean };
                values[unit_of[&unit.game]][player] = Some(value);
            }
        }
        values.retain(|unit| unit.iter().any(Option::is_some));
        let largest = values.iter().flatten().flatten().fold(0.0f64, |most, value| most.max(value.abs()));
        Self { values, best, largest }
    }

    /// Each player's mean over these units; of those that play in none of them the least there is.
    fn means(&self, units: &[usize]) -> Vec<f64> {
        let mut sums = vec![(0.0, 0u32); self.values.first().map_or(0, Vec::len)];
        for unit in units {
            for (sum, value) in sums.iter_mut().zip(&self.values[*unit]) {
                if let Some(value) = value {
                    sum.0 += value;
                    sum.1 += 1;
                }
            }
        }
        let mean = |(sum, n): (f64, u32)| if n == 0 { f64::NEG_INFINITY } else { sum / f64::from(n) };
        sums.into_iter().map(mean).collect()
    }

    /// Players by their mean over these units, the best first.
    fn order(&self, units: &[usize]) -> Vec<usize> {
        let means = self.means(units);
        let mut order: Vec<usize> = (0..means.len()).collect();
        order.sort_by(|a, b| means[*b].total_cmp(&means[*a]).then(a.cmp(b)));
        order
    }

    /// The ranks of every player in that order, from 0: those of equal means share theirs.
    fn places(&self, units: &[usize]) -> Vec<Places> {
        let means = self.means(units);
        let order = self.order(units);
        let floor = ROUNDING * self.largest;
        let mut places = vec![(0, 0); order.len()];
        let mut start = 0;
        while start < order.len() {
            let best = means[order[start]];
            // Those that play in no unit are equal, and their difference is no number.
            let is_equal = |player: &&usize| {
                let other = means[**player];
                best.total_cmp(&other).is_eq() || best - other <= floor
            };
            let end = start + order[start..].iter().take_while(is_equal).count();
            order[start..end].iter().for_each(|player| places[*player] = (start, end - 1));
            start = end;
        }
        places
    }

    /// One player less another, unit by unit.
    fn differences(&self, above: usize, below: usize) -> Vec<f64> {
        self.values.iter().filter_map(|unit| Some(unit[above]? - unit[below]?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::attribution::{ClusterRequest, UnitMean};
    use crate::stats::ConfidenceLevel;

    fn inference() -> Inference {
        let level = ConfidenceLevel::new(0.95).expect("a level");
        Inference::new(ClusterRequest::Game, level, IntervalMethod::StudentT)
    }

    fn keys(n: usize) -> Vec<GameKey> {
        let key = |episode: usize| GameKey {
            group: Arc::default(),
            run_id: "a".into(),
            episode: episode as i64,
            env_id: 0,
            batch: None,
        };
        (0..n).map(key).collect()
    }

    fn player(name: &str, values: &[f64]) -> PlayerSummary {
        let means = values.iter().enumerate().map(|(game, mean)| UnitMean { game, mean: *mean });
        PlayerSummary {
            term: name.to_owned(),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            sd: None,
            standard_error: None,
            n_units: values.len() as u64,
            n_games: values.len() as u64,
            interval: None,
            t: None,
            p_value: None,
            p_adjusted: None,
            significant: None,
            biased: false,
            games_by_method: BTreeMap::new(),
            components: None,
            unit_means: means.collect(),
        }
    }

    fn ranked(players: &[PlayerSummary], n: usize, best: Best) -> Option<Ranks> {
        let keys = keys(n);
        rank_players(&keys.iter().collect::<Vec<_>>(), Cluster::Game, players, best, &inference())
    }

    #[test]
    fn a_clear_order_is_certain_and_ties_are_named() {
        let a = [5.0, 5.2, 4.9, 5.1, 5.0, 4.8];
        let b = [1.0, 1.4, 0.7, 1.1, 0.9, 1.0];
        let c = [1.1, 1.2, 0.8, 1.0, 1.0, 0.9];
        let players = [player("a", &a), player("b", &b), player("c", &c)];
        let found = ranked(&players, 6, Best::Largest).expect("ranks");
        let order: Vec<&str> = found.players.iter().map(|player| player.slot_id.as_str()).collect();
        assert_eq!(order, ["a", "b", "c"]);
        assert_eq!((found.players[0].first, found.players[0].range), (1.0, (1, 1)));
        assert_eq!(found.players[1].range, (2, 3));
        assert!(found.neighbours[0].is_tie == Some(false) && found.neighbours[0].probability == 1.0);
        assert!(found.neighbours[1].is_tie == Some(true) && found.neighbours[1].probability < 0.9);
        // The other way round the order turns, and differences keep their sign.
        let found = ranked(&players, 6, Best::Smallest).expect("ranks");
        assert_eq!(found.players[2].slot_id, "a");
        assert!(found.neighbours[1].difference < 0.0);
        assert!(found.neighbours[1].interval.is_some_and(|interval| interval.high < 0.0));
    }

    /// Two players and independent units: the share of resamples is the normal tail of their difference.
    #[test]
    fn the_probability_of_standing_above_is_that_of_the_difference() {
        let a: Vec<f64> = (0..400).map(|i| f64::from(i % 20) / 10.0 + 0.06).collect();
        let b: Vec<f64> = (0..400).map(|i| f64::from((i / 20) % 20) / 10.0).collect();
        let found = ranked(&[player("a", &a), player("b", &b)], 400, Best::Largest).expect("ranks");
        let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
        let estimate =
            Estimate::of_mean(&differences, inference().level, IntervalMethod::Normal).expect("mean");
        let z = estimate.value / estimate.standard_error.expect("a spread");
        let tail = 1.0 - crate::stats::student_t_two_sided_p(z, 1e9) / 2.0;
        assert!(
            (found.neighbours[0].probability - tail).abs() < 0.02,
            "{} {tail}",
            found.neighbours[0].probability
        );
    }

    #[test]
    fn equal_players_share_their_ranks() {
        let zero = [0.0; 5];
        let one = [1.0, 1.5, 0.5, 1.0, 1.0];
        let players = [player("a", &zero), player("b", &one), player("c", &zero)];
        let found = ranked(&players, 5, Best::Largest).expect("ranks");
        let shown: Vec<(usize, f64, (usize, usize))> =
            found.players.iter().map(|player| (player.rank, player.first, player.range)).collect();
        assert_eq!(shown, [(1, 1.0, (1, 1)), (2, 0.0, (2, 3)), (2, 0.0, (2, 3))]);
        assert_eq!((found.neighbours[1].probability, found.neighbours[1].is_tie), (0.5, Some(true)));
        let alike = ranked(&[player("a", &zero), player("b", &zero)], 5, Best::Largest).expect("ranks");
        assert!(alike.players.iter().all(|player| player.first == 0.5 && player.range == (1, 2)));
    }

    #[test]
    fn few_units_have_no_ranks() {
        let players = [player("a", &[1.0, 2.0, 3.0]), player("b", &[0.0, 1.0, 1.0])];
        assert_eq!(ranked(&players, 3, Best::Largest), None);
    }
}
