//! Where variance comes from and what would bring it down, as documents tell it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attribution::{PlayerPlan, PlayerSources};

/// Where the variance of one game's value of a slot comes from, as shares of the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceRow {
    /// The slot.
    pub slot_id: String,
    /// Variance of one game's value: the sum of all components.
    pub variance: f64,
    /// Evaluation noise; null where nothing was evaluated twice.
    pub noise: Option<f64>,
    /// Drawn or recorded permutations, the noise of their rows with them; null without any.
    pub permutations: Option<f64>,
    /// Between environments (or batches) of an episode; null where every episode is one game.
    pub environments: Option<f64>,
    /// Between episodes of a run; null where every run is one episode.
    pub episodes: Option<f64>,
    /// Between runs; null of one run.
    pub runs: Option<f64>,
    /// Lower end of the interval for the mean of one more unit; null where the mean has none.
    pub prediction_low: Option<f64>,
    /// Upper end.
    pub prediction_high: Option<f64>,
}

/// What would bring intervals to the half-width asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Half-width asked for.
    pub target_half_width: f64,
    /// Units that are enough for every slot; null where a slot has no interval, or a million are not.
    pub units: Option<u64>,
    /// One row per slot of the summary.
    pub players: Vec<PlanRow>,
}

/// What would bring one slot's interval to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanRow {
    /// The slot.
    pub slot_id: String,
    /// Half its interval now; null without one.
    pub half_width: Option<f64>,
    /// Units in all, at the spread seen; null without an interval over units, and beyond a million.
    pub units: Option<u64>,
    /// Repeats per evaluation as a factor on those there are; null where no number is enough, or nothing was repeated.
    pub repeats_factor: Option<f64>,
    /// Permutations as a factor on those there are; null where no number is enough, or there are none.
    pub permutations_factor: Option<f64>,
}

impl SourceRow {
    pub(super) fn of(slot_id: &str, found: &PlayerSources) -> Self {
        let sources = &found.sources;
        let total = sources.total();
        let share = |part: f64| (total > 0.0).then(|| part / total);
        Self {
            slot_id: slot_id.to_owned(),
            variance: total,
            noise: sources.noise.and_then(share),
            permutations: sources.permutations.and_then(share),
            environments: sources.environments.and_then(share),
            episodes: sources.episodes.and_then(share),
            runs: sources.runs.and_then(share),
            prediction_low: found.prediction.map(|interval| interval.low),
            prediction_high: found.prediction.map(|interval| interval.high),
        }
    }
}

impl Plan {
    pub(super) fn of(target_half_width: f64, plans: Vec<(String, PlayerPlan)>) -> Self {
        let units = plans.iter().map(|(_, plan)| plan.units).collect::<Option<Vec<u64>>>();
        let row = |(slot_id, plan): (String, PlayerPlan)| PlanRow {
            slot_id,
            half_width: plan.half_width,
            units: plan.units,
            repeats_factor: plan.repeats_factor,
            permutations_factor: plan.permutations_factor,
        };
        Self {
            target_half_width,
            units: units.and_then(|units| units.into_iter().max()),
            players: plans.into_iter().map(row).collect(),
        }
    }
}
