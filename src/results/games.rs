//! What documents about coalition games have in common: which game, and a number over games.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::analysis::{CoalitionReading, IntervalKind};
use super::metric::Direction;
use super::testing::Testing;
use crate::attribution::{ClusterRequest, GameKey, Inference, TermSummary};
use crate::stats::{BootstrapSettings, ConfidenceLevel, IntervalMethod, VarianceComponents};

/// Which game.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GameName {
    /// Run.
    pub run_id: Arc<str>,
    /// Episode within the run.
    pub episode: i64,
    /// Environment.
    pub env_id: i64,
    /// Batch or epoch, where recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<i64>,
}

impl GameName {
    /// The name of a game.
    pub(super) fn of(key: &GameKey) -> Self {
        let GameKey { group: _, run_id, episode, env_id, batch } = key;
        Self { run_id: Arc::clone(run_id), episode: *episode, env_id: *env_id, batch: *batch }
    }

    /// Which game.
    pub fn key(&self) -> GameKey {
        let Self { run_id, episode, env_id, batch } = self;
        GameKey {
            group: Arc::default(),
            run_id: Arc::clone(run_id),
            episode: *episode,
            env_id: *env_id,
            batch: *batch,
        }
    }
}

/// A number over all units that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SummaryNumbers {
    /// Mean of the unit means.
    pub mean: f64,
    /// Sample standard deviation of the unit means (n - 1).
    pub sd: Option<f64>,
    /// sd/sqrt(units).
    pub stderr: Option<f64>,
    /// Independent units.
    pub n_units: u64,
    /// Games.
    pub n_games: u64,
    /// Lower end of the interval.
    pub ci_low: Option<f64>,
    /// Upper end of the interval.
    pub ci_high: Option<f64>,
    /// t statistic of mean = 0; null where it is infinite (constant units) or there is no test.
    pub t: Option<f64>,
    /// Two-sided p value of mean = 0, by the distribution the interval is made by (`ci`).
    pub p_value: Option<f64>,
    /// Adjusted over all rows of the summary that have a test.
    pub p_adjusted: Option<f64>,
    /// p_adjusted below 1 - confidence.
    pub significant: Option<bool>,
    /// Whether some game lacks coalitions, so that the mean is biased and has neither interval nor test.
    pub biased: bool,
    /// Share of the variance of the term's episodes that lies between runs; absent where nothing tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between_runs: Option<f64>,
}

impl SummaryNumbers {
    /// The numbers of a term.
    pub(super) fn of<T>(summary: &TermSummary<T>) -> Self {
        Self {
            mean: summary.mean,
            sd: summary.sd,
            stderr: summary.standard_error,
            n_units: summary.n_units,
            n_games: summary.n_games,
            ci_low: summary.interval.map(|interval| interval.low),
            ci_high: summary.interval.map(|interval| interval.high),
            t: summary.t.filter(|t| t.is_finite()),
            p_value: summary.p_value,
            p_adjusted: summary.p_adjusted,
            significant: summary.significant,
            biased: summary.biased,
            between_runs: summary.components.and_then(VarianceComponents::share_between),
        }
    }

    /// The t statistic, infinite ones included: constant units have a p value and no finite t.
    pub fn t_statistic(&self) -> Option<f64> {
        self.t.or_else(|| self.p_value.map(|_| f64::INFINITY.copysign(self.mean)))
    }
}

/// What every analysis of coalition games is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GameAnalysis {
    /// Value columns; in a document the one it is about, in a request empty for the default.
    pub value: Vec<String>,
    /// Which way the value is good; in a request null leaves it to the column's name.
    pub better: Option<Direction>,
    /// Level of intervals and tests.
    #[schemars(with = "f64")]
    pub confidence: ConfidenceLevel,
    /// How intervals are made.
    pub ci: IntervalKind,
    /// Resamples of a bootstrap.
    pub resamples: u32,
    /// Independent unit over games; in a document the one used.
    pub cluster: ClusterRequest,
    /// Seed of everything random.
    pub seed: u64,
    /// How statements over units are tested.
    #[serde(flatten)]
    pub testing: Testing,
    /// How rows are read.
    #[serde(flatten)]
    pub reading: CoalitionReading,
}

impl GameAnalysis {
    /// How games become statements over units.
    pub fn inference(&self) -> Inference {
        let interval = match self.ci {
            IntervalKind::T => IntervalMethod::StudentT,
            IntervalKind::Normal => IntervalMethod::Normal,
            IntervalKind::Bootstrap => IntervalMethod::Bootstrap(BootstrapSettings {
                n_resamples: self.resamples as usize,
                seed: self.seed,
            }),
        };
        self.testing.of(Inference::new(self.cluster, self.confidence, interval), self.seed)
    }

    /// What was left open, said as it was decided for one value column: its name and which way it is good.
    #[must_use]
    pub fn settled(&self, value: &str) -> Self {
        Self {
            value: vec![value.to_owned()],
            better: self.better.or_else(|| Direction::of_column(value)),
            ..self.clone()
        }
    }
}
