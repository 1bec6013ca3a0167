//! Settings side by side: the documents `simic.normalize.compare/1` and `simic.normalize.divisors/1`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::normalization::dimension_names;
use super::normalization_analysis::{CompareAnalysis, RuleAnalysis};
use super::numbers::{self, finite};
use super::skips::Skipped;
use crate::normalization::{Diagnostics, Lag, NormalizerState};

/// Schema of a comparison.
const COMPARE_SCHEMA: &str = "simic.normalize.compare/1";

/// Schema of divisors.
const DIVISORS_SCHEMA: &str = "simic.normalize.divisors/1";

/// Many settings on one recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonDocument {
    /// `simic.normalize.compare/1`.
    #[schemars(extend("const" = COMPARE_SCHEMA))]
    pub schema: String,
    /// obs, reward or return.
    pub target: String,
    /// Rows of one update.
    pub update_every: String,
    /// Runs.
    pub runs: Vec<ComparedRunRow>,
    /// What was read and what was left out.
    pub input: CompareInput,
    /// Everything the numbers depend on besides the input; documents written before 0.2 lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<CompareAnalysis>,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompareInput {
    /// Files read.
    pub files: usize,
    /// Rows left out.
    pub skipped: u64,
    /// Rows left out, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_rows: BTreeMap<String, u64>,
    /// Files left out, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_files: BTreeMap<String, u64>,
}

impl CompareInput {
    /// Counts of a recording of `files` files.
    pub fn new(files: usize, skipped: Skipped) -> Self {
        Self { files, skipped: skipped.n_rows(), skipped_rows: skipped.rows, skipped_files: skipped.files }
    }
}

/// All settings on one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedRunRow {
    /// Run.
    pub run_id: String,
    /// Vector step of the shift, where there is one.
    pub shift_at: Option<u64>,
    /// Whether the user named it.
    pub shift_given: bool,
    /// Why a shift cannot be told, where none was given or found; absent where one could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_reason: Option<String>,
    /// One per setting.
    pub settings: Vec<ComparedSettingRow>,
}

/// One setting's outcome on one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedSettingRow {
    /// welford or ema.
    pub kind: String,
    /// Momentum of a moving average.
    pub momentum: Option<f64>,
    /// Updates.
    pub updates: u64,
    /// Count of the final state.
    #[serde(deserialize_with = "numbers::one")]
    pub count: f64,
    /// Its mean.
    #[serde(deserialize_with = "numbers::list")]
    pub mean: Vec<f64>,
    /// Its variance.
    #[serde(deserialize_with = "numbers::list")]
    pub var: Vec<f64>,
    /// Mean |mean in use - windowed mean| in windowed deviations, per dimension.
    #[serde(deserialize_with = "numbers::list")]
    pub mean_distance: Vec<f64>,
    /// Mean |log(variance in use/windowed variance)|, per dimension.
    #[serde(deserialize_with = "numbers::list")]
    pub log_var_distance: Vec<f64>,
    /// Updates until the mean is within 10 % of its new value; null where it never is.
    pub lag_updates_mean: Option<Vec<Option<u64>>>,
    /// Updates until the variance is within 10 % of its new value.
    pub lag_updates_var: Option<Vec<Option<u64>>>,
    /// The lags of the mean in vector steps; absent without a shift and in older documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_vector_steps_mean: Option<Vec<Option<u64>>>,
    /// Those of the variance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_vector_steps_var: Option<Vec<Option<u64>>>,
    /// Least variance in use after the shift over the new one.
    pub least_var_ratio: Option<Vec<Option<f64>>>,
    /// Greatest variance in use after the shift over the new one.
    pub greatest_var_ratio: Option<Vec<Option<f64>>>,
    /// Share of values at or beyond the clip.
    pub clip_fraction: f64,
    /// The same per dimension.
    pub clip_by_dimension: Vec<f64>,
    /// Dimensions that never change.
    pub constant_dimensions: Vec<usize>,
    /// Dimensions whose variance is below epsilon.
    pub dimensions_below_epsilon: Vec<usize>,
    /// Batches a moving average looks at; null for full history and for one that never moves.
    pub effective_batches: Option<f64>,
    /// Weight of the initial state.
    #[serde(deserialize_with = "numbers::one")]
    pub prior_weight: f64,
    /// Share of each variance that is the initial state's.
    #[serde(deserialize_with = "numbers::list")]
    pub prior_share_of_variance: Vec<f64>,
    /// Whether a 32-bit count stands still.
    pub float32_count_saturates: bool,
    /// Dimensions whose mean shifts enough for a lag to have a meaning; absent without a shift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shifted_dimensions: Option<Vec<usize>>,
}

impl ComparedSettingRow {
    /// What a replay under one setting gave, and its lag behind the shift, where there is one.
    pub fn new(state: &NormalizerState, diagnostics: &Diagnostics, lag: Option<&Lag>) -> Self {
        let d = diagnostics;
        let ratios = |pick: &dyn Fn(&Lag) -> &[f64]| {
            lag.map(|lag| pick(lag).iter().copied().map(finite).collect::<Vec<_>>())
        };
        let shifted = |lag: &Lag| (0..lag.shifted.len()).filter(|d| lag.shifted[*d]).collect();
        Self {
            kind: state.memory.name().to_owned(),
            momentum: state.memory.momentum(),
            updates: state.batches,
            count: state.count,
            mean: state.mean.clone(),
            var: state.var.clone(),
            mean_distance: d.mean_distance.clone(),
            log_var_distance: d.var_distance.clone(),
            lag_updates_mean: lag.map(|lag| lag.mean.clone()),
            lag_updates_var: lag.map(|lag| lag.var.clone()),
            lag_vector_steps_mean: lag.map(|lag| lag.mean_steps.clone()),
            lag_vector_steps_var: lag.map(|lag| lag.var_steps.clone()),
            least_var_ratio: ratios(&|lag| &lag.least_var_ratio),
            greatest_var_ratio: ratios(&|lag| &lag.greatest_var_ratio),
            clip_fraction: d.clip_fraction,
            clip_by_dimension: d.clip_by_dimension.clone(),
            constant_dimensions: d.constant.clone(),
            dimensions_below_epsilon: d.below_epsilon.clone(),
            effective_batches: d.effective_batches.and_then(finite),
            prior_weight: d.prior_weight,
            prior_share_of_variance: d.prior_share.clone(),
            float32_count_saturates: d.single_count_saturates,
            shifted_dimensions: lag.map(shifted),
        }
    }

    /// The setting in words.
    pub fn name(&self) -> String {
        self.momentum.map_or_else(|| "full history".to_owned(), |momentum| format!("momentum {momentum}"))
    }
}

impl ComparisonDocument {
    /// The document of a comparison.
    pub fn new(settings: CompareAnalysis, runs: Vec<ComparedRunRow>, input: CompareInput) -> Self {
        Self {
            schema: COMPARE_SCHEMA.to_owned(),
            target: settings.rule.target.name().to_owned(),
            update_every: settings.rule.update_every.describe(),
            runs,
            input,
            settings: Some(settings),
        }
    }

    /// Names of the dimensions.
    pub fn dimension_names(&self) -> Vec<String> {
        let first = self.runs.first().and_then(|run| run.settings.first());
        let columns = self.settings.as_ref().map_or(&[][..], |settings| &settings.rule.reading.values[..]);
        dimension_names(&self.target, columns, first.map_or(0, |setting| setting.mean.len()))
    }
}

/// The divisors of all frameworks. Fields in the order the first documents had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DivisorDocument {
    /// One row per run and framework.
    pub rows: Vec<DivisorRow>,
    /// `simic.normalize.divisors/1`.
    #[schemars(extend("const" = DIVISORS_SCHEMA))]
    pub schema: String,
    /// Everything the numbers depend on besides the input and the framework; older documents lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<RuleAnalysis>,
}

/// What one framework divides the rewards of one run by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DivisorRow {
    /// Run.
    pub run_id: String,
    /// Framework.
    pub preset: String,
    /// Whether the divisor is the deviation of the reward or of the discounted return.
    pub deviation_of: String,
    /// What is subtracted first.
    #[serde(deserialize_with = "numbers::one")]
    pub subtracted: f64,
    /// The divisor at the end of the run.
    #[serde(deserialize_with = "numbers::one")]
    pub divisor: f64,
    /// Share of rewards at or beyond the clip.
    pub clip_fraction: f64,
}

impl DivisorDocument {
    /// The document of these rows.
    pub fn new(rows: Vec<DivisorRow>, settings: RuleAnalysis) -> Self {
        Self { rows, schema: DIVISORS_SCHEMA.to_owned(), settings: Some(settings) }
    }
}
