//! Estimates that a trainer logged itself, beside the values of the recording, as documents tell them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attribution::{LoggedComparison, LoggedReason};

/// The estimates of one event beside the values of its game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedRow {
    /// Run, as the estimates name it.
    pub run_id: String,
    /// Episode.
    pub episode: i64,
    /// Environment.
    pub env_id: i64,
    /// How many estimates of the same episode and environment stand before it.
    pub event: i64,
    /// Batch of the game compared with, the last of the episode; absent where games have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<i64>,
    /// Why they differ, or what cannot be told.
    pub reasons: Vec<LoggedReason>,
    /// The slot whose value an estimate fits, where that is another; absent where labels fit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// By slot, in logged order.
    pub players: Vec<RecordedPlayer>,
}

/// One slot's estimate beside its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedPlayer {
    /// The slot.
    pub slot_id: String,
    /// The estimate logged.
    pub recorded: f64,
    /// Standard deviation logged with it: of marginal contributions.
    pub sd: Option<f64>,
    /// Marginal contributions behind it.
    pub n_samples: Option<u64>,
    /// The Shapley value of the recorded coalitions; null without any.
    pub shapley: Option<f64>,
    /// recorded - shapley.
    pub difference: Option<f64>,
    /// Standard error that so many independent permutations have on these coalitions; null where nothing tells it.
    pub expected_stderr: Option<f64>,
}

impl RecordedRow {
    /// Estimates of a run, episode, environment and event, compared with the game of a batch.
    pub fn of(
        (run_id, episode, env_id, event): (String, i64, i64, i64),
        batch: Option<i64>,
        found: LoggedComparison,
    ) -> Self {
        let fits = |player: &crate::attribution::LoggedPlayer| {
            Some((player.logged.slot_id.clone(), player.fits.clone()?))
        };
        let labels = found.players.iter().filter_map(fits).collect();
        let player = |player: crate::attribution::LoggedPlayer| RecordedPlayer {
            slot_id: player.logged.slot_id,
            recorded: player.logged.value,
            sd: player.logged.sd,
            n_samples: player.logged.n_samples,
            shapley: player.value,
            difference: player.value.map(|value| player.logged.value - value),
            expected_stderr: player.expected_error,
        };
        Self {
            run_id,
            episode,
            env_id,
            event,
            batch,
            reasons: found.reasons,
            labels,
            players: found.players.into_iter().map(player).collect(),
        }
    }

    /// The largest difference of its slots; `None` where nothing is compared.
    pub fn largest_difference(&self) -> Option<f64> {
        self.players.iter().filter_map(|player| player.difference.map(f64::abs)).reduce(f64::max)
    }
}
