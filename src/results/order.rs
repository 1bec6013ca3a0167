//! The order of slots and how it changes with the episodes, as documents tell them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attribution::{Neighbours, PlayerRank, Ranks, Trend, TrendUnit};

/// How stable the order of the slots is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RankingRow {
    /// Units resampled.
    pub n_units: usize,
    /// Resamples of the units.
    pub resamples: usize,
    /// Slots, the best first.
    pub players: Vec<RankRow>,
    /// Each slot with the next.
    pub neighbours: Vec<NeighboursRow>,
}

/// One slot's place in the order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RankRow {
    /// The slot.
    pub slot_id: String,
    /// 1 for the best.
    pub rank: usize,
    /// Share of the resamples in which it is first.
    pub probability_first: f64,
    /// Least rank at the confidence asked for.
    pub rank_low: usize,
    /// Greatest rank.
    pub rank_high: usize,
}

/// Two slots next to each other in the order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NeighboursRow {
    /// The better one.
    pub above: String,
    /// The other.
    pub below: String,
    /// Share of the resamples in which they stand so.
    pub probability: f64,
    /// Mean difference, above less below, over units in which both play; null without any.
    pub difference: Option<f64>,
    /// Lower end of its interval.
    pub ci_low: Option<f64>,
    /// Upper end.
    pub ci_high: Option<f64>,
    /// p value of no difference, adjusted over all neighbours.
    pub p_adjusted: Option<f64>,
    /// Whether nothing tells them apart; null where nothing can be tested.
    pub tie: Option<bool>,
}

/// One slot's change from episode to episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrendRow {
    /// The slot.
    pub slot_id: String,
    /// Change of the value per episode.
    pub slope: f64,
    /// Its standard error.
    pub stderr: Option<f64>,
    /// What stands behind it: slopes of runs, or episodes of the only one.
    pub unit: TrendUnitName,
    /// How many.
    pub n_units: u64,
    /// Lower end of the slope's interval.
    pub ci_low: Option<f64>,
    /// Upper end.
    pub ci_high: Option<f64>,
    /// Two-sided p value of no change.
    pub p_value: Option<f64>,
    /// Adjusted over the slots.
    pub p_adjusted: Option<f64>,
    /// p_adjusted below 1 - confidence.
    pub significant: Option<bool>,
}

/// What slopes are a sample of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrendUnitName {
    /// Slopes of runs.
    Run,
    /// Episodes of the only run.
    Episode,
}

impl RankingRow {
    pub(super) fn of(found: Ranks) -> Self {
        let rank = |player: PlayerRank| RankRow {
            slot_id: player.slot_id,
            rank: player.rank,
            probability_first: player.first,
            rank_low: player.range.0,
            rank_high: player.range.1,
        };
        let neighbours = |pair: Neighbours| NeighboursRow {
            above: pair.above,
            below: pair.below,
            probability: pair.probability,
            difference: Some(pair.difference).filter(|difference| difference.is_finite()),
            ci_low: pair.interval.map(|interval| interval.low),
            ci_high: pair.interval.map(|interval| interval.high),
            p_adjusted: pair.p_adjusted,
            tie: pair.is_tie,
        };
        Self {
            n_units: found.n_units,
            resamples: found.n_resamples,
            players: found.players.into_iter().map(rank).collect(),
            neighbours: found.neighbours.into_iter().map(neighbours).collect(),
        }
    }
}

impl TrendRow {
    pub(super) fn of(found: Trend) -> Self {
        Self {
            slot_id: found.slot_id,
            slope: found.slope,
            stderr: found.standard_error,
            unit: match found.unit {
                TrendUnit::Run => TrendUnitName::Run,
                TrendUnit::Episode => TrendUnitName::Episode,
            },
            n_units: found.n_units,
            ci_low: found.interval.map(|interval| interval.low),
            ci_high: found.interval.map(|interval| interval.high),
            p_value: found.p_value,
            p_adjusted: found.p_adjusted,
            significant: found.significant,
        }
    }
}
