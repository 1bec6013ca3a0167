//! Settings side by side: the documents `simic.normalize.compare/1` and `simic.normalize.divisors/1`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::normalization::{DeviceUsed, dimension_names};
use super::normalization_analysis::{CompareAnalysis, RuleAnalysis};
use super::numbers::{self, finite};
use super::skips::Skipped;
use super::windows::WindowsRow;
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
    /// The conclusion in sentences; documents written before there were any lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdict: Vec<String>,
    /// obs, reward or return.
    pub target: String,
    /// Rows of one update.
    pub update_every: String,
    /// Where settings went through the batches; documents written before there was a choice lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The device's own name, where it is not the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
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
    /// Updates before the shift; absent without one and in older documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_update: Option<u64>,
    /// Rows over time; absent where that is not known, for more than 512 dimensions, and in older documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<WindowsRow>,
    /// Dimensions whose means in use are told over time: of up to 32 settings the 8 that change most; absent where none are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traced: Vec<usize>,
    /// One per setting.
    pub settings: Vec<ComparedSettingRow>,
    /// The setting with the least error of the statistics in use; absent without two settings that tell one, and in
    /// documents written before 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended: Option<RecommendedRow>,
}

/// The setting whose statistics in use come closest, and what its neighbours would cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecommendedRow {
    /// The setting in words.
    pub setting: String,
    /// Its momentum; null for full history.
    pub momentum: Option<f64>,
    /// Its error.
    pub error: f64,
    /// The next faster setting.
    pub faster: Option<NeighbourRow>,
    /// The next slower one; full history is the slowest.
    pub slower: Option<NeighbourRow>,
}

/// A setting beside the recommended one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NeighbourRow {
    /// The setting in words.
    pub setting: String,
    /// Its error.
    pub error: f64,
}

impl ComparedRunRow {
    /// The setting of least error among `settings`, each with its error as told.
    pub fn recommend(settings: &[ComparedSettingRow]) -> Option<RecommendedRow> {
        let mut ranked: Vec<(&ComparedSettingRow, f64)> =
            settings.iter().filter_map(|setting| Some((setting, setting.error?))).collect();
        if ranked.len() < 2 {
            return None;
        }
        // From the fastest to the slowest; full history keeps all.
        let slowness = |setting: &ComparedSettingRow| setting.momentum.unwrap_or(f64::INFINITY);
        ranked.sort_by(|(a, _), (b, _)| slowness(a).total_cmp(&slowness(b)));
        let best =
            ranked.iter().enumerate().min_by(|(_, a), (_, b)| a.1.total_cmp(&b.1)).map(|(place, _)| place)?;
        let neighbour = |place: usize| {
            ranked.get(place).map(|(setting, error)| NeighbourRow { setting: setting.name(), error: *error })
        };
        let (setting, error) = ranked[best];
        Some(RecommendedRow {
            setting: setting.name(),
            momentum: setting.momentum,
            error,
            faster: best.checked_sub(1).and_then(neighbour),
            slower: neighbour(best + 1),
        })
    }
}

/// Mean size of a normalized value, that of a standard normal: sqrt(2/pi).
const MEAN_SIZE: f64 = 0.797_884_560_802_865_4;

/// How far normalized values are off for their statistics, to first order and in deviations of the window around: with
/// x' = (x - mean)/sd, |d mean|/sd + E|x'| |d ln sd|, averaged over dimensions that change. `None` where none does.
///
/// # Formula
/// Each difference has two parts, added as squares: how far the statistics in use lie from those of the window on average
/// (`mean_distance`, half of `log_var_distance`), and how much they jitter around that, which averages over a window do not
/// show. A moving average over M = B n rows, B effective batches of n independent rows each, jitters by sd/sqrt(M) in its mean
/// and by 1/sqrt(2 M) in ln sd (a normal's); E|x'| and E|jitter| are sqrt(2/pi) of a deviation. Full history does not jitter.
/// The statistics of a window of N rows are uncertain themselves: what an average over M rows cannot follow of that, a variance
/// of M/(N (M + N)), is in the distance without being an error, and is taken off it.
///
/// # Source
/// The variance of an exponentially weighted mean, (1 - m)/(1 + m) of its rows': Roberts, *Technometrics* 1 (1959), 239-250.
fn error_of_use(diagnostics: &Diagnostics, rows_per_update: f64) -> Option<f64> {
    let memory = diagnostics.effective_batches.map_or(f64::INFINITY, |batches| batches * rows_per_update);
    let jitter = (1.0 / memory).sqrt();
    let rows_per_window = diagnostics.rows_per_window;
    if rows_per_window < FEWEST_ROWS {
        return None;
    }
    let of_window = (1.0 / rows_per_window / (1.0 + rows_per_window / memory)).sqrt();
    let difference = |distance: f64, scale: f64| {
        let lag = (distance.powi(2) - (MEAN_SIZE * scale * of_window).powi(2)).max(0.0).sqrt();
        lag.hypot(MEAN_SIZE * scale * jitter)
    };
    let errors: Vec<f64> = (0..diagnostics.mean_distance.len())
        .filter(|dimension| !diagnostics.constant.contains(dimension))
        .map(|d| {
            let mean = difference(diagnostics.mean_distance[d], 1.0);
            let ln_sd = difference(diagnostics.var_distance[d] / 2.0, std::f64::consts::FRAC_1_SQRT_2);
            mean + MEAN_SIZE * ln_sd
        })
        .collect();
    let n = errors.len();
    let error = errors.into_iter().sum::<f64>() / n as f64;
    (n > 0 && error.is_finite()).then_some(error)
}

/// Rows of a window from which on its own deviation is known well enough to measure by: of fewer, some windows are as narrow as
/// chance has it, and what is measured by them is as large.
const FEWEST_ROWS: f64 = 8.0;

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
    /// How far normalized values are off for it, in windowed deviations, averaged over dimensions that change; absent
    /// where none does, and in documents written before 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
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
    /// Mean that rows were normalized with, window by window, for each dimension traced; absent where none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mean_in_use: Vec<Vec<Option<f64>>>,
    /// Whether a 32-bit count stands still.
    pub float32_count_saturates: bool,
    /// Dimensions whose mean shifts enough for a lag to have a meaning; absent without a shift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shifted_dimensions: Option<Vec<usize>>,
}

/// Settings up to which means in use are told over time, and dimensions of which.
const TRACED_SETTINGS: usize = 32;
const TRACED_DIMENSIONS: usize = 8;

impl ComparedRunRow {
    /// Rows over time, the same under every setting.
    pub fn windows(diagnostics: &Diagnostics) -> Option<WindowsRow> {
        WindowsRow::of(diagnostics)
    }

    /// Dimensions of these rows that are told over time under `n_settings`.
    pub fn traced(windows: Option<&WindowsRow>, n_settings: usize) -> Vec<usize> {
        let shown = windows.filter(|_| n_settings <= TRACED_SETTINGS).map(WindowsRow::by_change);
        shown.unwrap_or_default().into_iter().take(TRACED_DIMENSIONS).collect()
    }
}

impl ComparedSettingRow {
    /// What a replay under one setting gave, its variances as the rule uses them, and its lag behind the shift, where there is one.
    pub fn new(
        state: &NormalizerState,
        var_used: &[f64],
        diagnostics: &Diagnostics,
        lag: Option<&Lag>,
    ) -> Self {
        let d = diagnostics;
        let shifted = |lag: &Lag| (0..lag.shifted.len()).filter(|d| lag.shifted[*d]).collect();
        Self {
            kind: state.memory.name().to_owned(),
            momentum: state.memory.momentum(),
            updates: state.batches,
            count: state.count,
            mean: state.mean.clone(),
            var: var_used.to_vec(),
            mean_distance: d.mean_distance.clone(),
            log_var_distance: d.var_distance.clone(),
            error: error_of_use(d, state.count / state.batches.max(1) as f64),
            lag_updates_mean: lag.map(|lag| lag.mean.clone()),
            lag_updates_var: lag.map(|lag| lag.var.clone()),
            lag_vector_steps_mean: lag.map(|lag| lag.mean_steps.clone()),
            lag_vector_steps_var: lag.map(|lag| lag.var_steps.clone()),
            least_var_ratio: lag.map(|lag| lag.least_var_ratio.iter().copied().map(finite).collect()),
            greatest_var_ratio: lag.map(|lag| {
                // Where no ratio was told, the least is none either.
                let pairs = lag.least_var_ratio.iter().zip(&lag.greatest_var_ratio);
                pairs.map(|(least, greatest)| finite(*greatest).filter(|_| least.is_finite())).collect()
            }),
            clip_fraction: d.clip_fraction,
            clip_by_dimension: d.clip_by_dimension.clone(),
            constant_dimensions: d.constant.clone(),
            dimensions_below_epsilon: d.below_epsilon.clone(),
            effective_batches: d.effective_batches.and_then(finite),
            prior_weight: d.prior_weight,
            prior_share_of_variance: d.prior_share.clone(),
            mean_in_use: Vec::new(),
            float32_count_saturates: d.single_count_saturates,
            shifted_dimensions: lag.map(shifted),
        }
    }

    /// The same with what was in use over time in some dimensions.
    #[must_use]
    pub fn tracing(self, dimensions: &[usize], diagnostics: &Diagnostics) -> Self {
        let over_time = |dimension: &usize| {
            let means =
                diagnostics.stretches.iter().map(|stretch| stretch.mean_in_use.get(*dimension).copied());
            means.map(|mean| mean.and_then(finite)).collect()
        };
        Self { mean_in_use: dimensions.iter().map(over_time).collect(), ..self }
    }

    /// The setting in words.
    pub fn name(&self) -> String {
        self.momentum.map_or_else(|| "full history".to_owned(), |momentum| format!("momentum {momentum}"))
    }
}

impl ComparisonDocument {
    /// The document of a comparison.
    pub fn new(
        settings: CompareAnalysis,
        device: DeviceUsed,
        runs: Vec<ComparedRunRow>,
        input: CompareInput,
    ) -> Self {
        Self {
            schema: COMPARE_SCHEMA.to_owned(),
            verdict: Vec::new(),
            target: settings.rule.target.name().to_owned(),
            update_every: settings.rule.update_every.describe(),
            device: Some(device.device),
            device_name: device.name,
            runs,
            input,
            settings: Some(settings),
        }
    }

    /// Names of the dimensions.
    pub fn dimension_names(&self) -> Vec<String> {
        let first = self.runs.first().and_then(|run| run.settings.first());
        let reading = self.settings.as_ref().map(|settings| &settings.rule.reading);
        dimension_names(&self.target, reading, first.map_or(0, |setting| setting.mean.len()))
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
    /// The conclusion in sentences; documents written before there were any lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdict: Vec<String>,
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
        Self { rows, schema: DIVISORS_SCHEMA.to_owned(), settings: Some(settings), verdict: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(momentum: Option<f64>, error: f64) -> ComparedSettingRow {
        let text = r#"{"kind":"ema","momentum":null,"updates":1,"count":1.0,"mean":[],"var":[],"mean_distance":[],
            "log_var_distance":[],"lag_updates_mean":null,"lag_updates_var":null,"least_var_ratio":null,
            "greatest_var_ratio":null,"clip_fraction":0.0,"clip_by_dimension":[],"constant_dimensions":[],
            "dimensions_below_epsilon":[],"effective_batches":null,"prior_weight":0.0,"prior_share_of_variance":[],
            "float32_count_saturates":false}"#;
        let row: ComparedSettingRow = serde_json::from_str(text).expect("a row");
        ComparedSettingRow { momentum, error: Some(error), ..row }
    }

    #[test]
    fn the_least_error_is_recommended_between_its_neighbours() {
        let settings =
            [setting(None, 0.5), setting(Some(0.999), 0.2), setting(Some(0.5), 0.4), setting(Some(0.9), 0.1)];
        let found = ComparedRunRow::recommend(&settings).expect("a recommendation");
        assert_eq!((found.setting.as_str(), found.error), ("momentum 0.9", 0.1));
        assert_eq!(found.faster.map(|row| row.setting).as_deref(), Some("momentum 0.5"));
        assert_eq!(found.slower.map(|row| row.setting).as_deref(), Some("momentum 0.999"));
        let slowest = ComparedRunRow::recommend(&[setting(None, 0.1), setting(Some(0.9), 0.3)]).expect("one");
        assert_eq!((slowest.setting.as_str(), slowest.slower), ("full history", None));
        assert!(ComparedRunRow::recommend(&settings[..1]).is_none());
    }
}
