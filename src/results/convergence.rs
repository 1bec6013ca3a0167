//! How sampled values settle, as documents tell it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::numbers::told;
use crate::attribution::{Convergence, Look};

/// How the values of one game settle as permutations come in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConvergenceRow {
    /// Permutations at which every interval was as narrow as `--target-half-width` asks, looks allowed for; null where all
    /// are not enough, absent where no half-width is asked for.
    #[serde(default, deserialize_with = "told", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub stopped_at: Option<Option<u64>>,
    /// Looks at which stopping was open, each judged at the level 1 - (1 - confidence)/looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping_looks: Option<u64>,
    /// Values after some of the permutations; absent where only `stopped_at` is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<LookRow>,
}

/// Values after some of the permutations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LookRow {
    /// Permutations so far, reverses included.
    pub permutations: u64,
    /// Independent units so far.
    pub n_samples: u64,
    /// Half the widest interval; null without any.
    pub half_width: Option<f64>,
    /// Values in player order.
    pub shapley: Vec<Option<f64>>,
    /// Lower ends of the intervals that so many units alone have.
    pub ci_low: Vec<Option<f64>>,
    /// Upper ends.
    pub ci_high: Vec<Option<f64>>,
}

impl ConvergenceRow {
    pub(super) fn of(found: &Convergence) -> Self {
        Self {
            stopped_at: found.stop.map(|stop| stop.n_permutations),
            stopping_looks: found.stop.map(|stop| stop.n_looks),
            looks: found.looks.iter().map(LookRow::of).collect(),
        }
    }
}

impl LookRow {
    fn of(look: &Look) -> Self {
        let interval = |end: fn(&crate::stats::ConfidenceInterval) -> f64| {
            look.players.iter().map(|(_, interval)| interval.as_ref().map(end)).collect::<Vec<_>>()
        };
        let (ci_low, ci_high) = (interval(|interval| interval.low), interval(|interval| interval.high));
        let widths = ci_low.iter().zip(&ci_high).filter_map(|(low, high)| Some((*high)? - (*low)?));
        Self {
            permutations: look.n_permutations,
            n_samples: look.n_units,
            half_width: widths.reduce(f64::max).map(|width| width / 2.0),
            shapley: look.players.iter().map(|(value, _)| *value).collect(),
            ci_low,
            ci_high,
        }
    }
}
