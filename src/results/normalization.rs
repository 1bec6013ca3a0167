//! Running statistics of recorded steps: the documents `simic.normalize.stats/1` and `simic.normalize.replay/1`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::drift::{DriftRow, DriftTestRow};
use super::metric::{Direction, Metric};
use super::normalization_analysis::{ReplayAnalysis, StepReading};
use super::numbers::{self, finite};
use super::settings::{Settings, by_name};
use super::skips::StepInput;
use super::windows::WindowsRow;
use crate::normalization::{ActLearnDifference, Autoreset, Diagnostics, Engine, NormalizerState};

/// Schema of the final statistics.
pub const STATS_SCHEMA: &str = "simic.normalize.stats/1";

/// Schema of a replay.
pub const REPLAY_SCHEMA: &str = "simic.normalize.replay/1";

/// What was left out because training rolled it back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RollbackCounts {
    /// Rows.
    pub rows: u64,
    /// Whole batches.
    pub batches: u64,
}

/// What the analysis gives of one run, or of one environment of one run.
#[derive(Debug, Serialize, Deserialize)]
pub struct NormalizedRun {
    /// Run.
    pub run_id: String,
    /// Environment, where each has statistics of its own.
    pub env_id: Option<i64>,
    /// Rows normalized.
    pub rows: u64,
    /// The final state.
    pub state: NormalizerState,
    /// Variance as the target uses it (rewards: sample variance).
    pub var_used: Vec<f64>,
    /// What was rolled back.
    pub rollback: RollbackCounts,
    /// What there is to know beyond the state.
    pub diagnostics: Diagnostics,
    /// Vector step at which the strongest change lies.
    pub change_step: Option<u64>,
    /// Act time against learn time, where they differ.
    pub act_learn: Option<ActLearnDifference>,
    /// Episodes still open at the end of the run, counted as they are.
    pub unfinished_episodes: usize,
    /// When its environments reset, where rewards are scaled by their return.
    pub autoreset: Option<Autoreset>,
    /// Rows that only reset an environment, likewise.
    pub reset_rows: Option<u64>,
}

/// Where statistics were computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceUsed {
    /// Its word on the command line.
    pub device: String,
    /// The device's own name, where it is not the CPU.
    pub name: Option<String>,
}

/// Running statistics of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NormalizationDocument {
    /// `simic.normalize.stats/1` or `simic.normalize.replay/1`.
    #[schemars(extend("enum" = [STATS_SCHEMA, REPLAY_SCHEMA]))]
    pub schema: String,
    /// The conclusion in sentences; documents written before there were any lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdict: Vec<String>,
    /// welford or ema.
    pub kind: String,
    /// Momentum of a moving average.
    pub momentum: Option<f64>,
    /// obs, reward or return.
    pub target: String,
    /// Where it was computed.
    pub device: String,
    /// The device's own name, where it is not the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// Everything the numbers depend on besides the input.
    pub settings: NormalizationSettings,
    /// Updates of the top-level state.
    pub updates: Option<u64>,
    /// Rows of all runs.
    pub rows: u64,
    /// Count of the state of the only run, or of the last under carry-over.
    pub count: Option<f64>,
    /// Its mean.
    #[serde(deserialize_with = "numbers::optional_list")]
    pub mean: Option<Vec<f64>>,
    /// Its variance, as the target uses it.
    #[serde(deserialize_with = "numbers::optional_list")]
    pub var: Option<Vec<f64>>,
    /// Share of values at or beyond the clip; null where nothing was normalized.
    pub clip_fraction: Option<f64>,
    /// What was rolled back.
    pub rollback: RollbackCounts,
    /// What there is to know beyond the state.
    pub diagnostics: Option<DiagnosticsRow>,
    /// The same per run.
    pub runs: Vec<RunRow>,
    /// What was read and what was left out.
    pub input: StepInput,
    /// Files written.
    pub written: Vec<String>,
}

/// Settings of a document; those written before 0.2 tell only some.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NormalizationSettings {
    /// All of them.
    Complete(Box<ReplayAnalysis>),
    /// Those that every document tells.
    Partial(ToldSettings),
}

/// The settings that every document tells. Others beside them make a damaged complete value, not an old one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToldSettings {
    /// Framework whose conventions were taken.
    pub preset: Option<String>,
    /// Rows of one update.
    pub update_every: String,
    /// Before or after the update.
    pub order: String,
    /// One set of statistics, or one per environment.
    pub scope: String,
    /// Added to the variance (or least deviation).
    pub epsilon: f64,
    /// Bound of normalized values.
    pub clip: Option<f64>,
    /// Discount, where rewards are scaled by their return.
    pub gamma: Option<f64>,
}

impl NormalizationSettings {
    /// What every document tells, old or new.
    pub fn told(&self) -> ToldSettings {
        match self {
            Self::Complete(settings) => {
                let rule = &settings.rule;
                ToldSettings {
                    preset: rule.preset.map(|preset| preset.name().to_owned()),
                    update_every: rule.update_every.describe(),
                    order: rule.order.name().to_owned(),
                    scope: if rule.is_per_env() { "env" } else { "shared" }.to_owned(),
                    epsilon: rule.epsilon,
                    clip: rule.clip,
                    gamma: rule.gamma,
                }
            }
            Self::Partial(settings) => settings.clone(),
        }
    }
}

/// One run, or one environment of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRow {
    /// Run.
    pub run_id: String,
    /// Environment, where each has statistics of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_id: Option<i64>,
    /// Updates.
    pub updates: u64,
    /// Rows normalized.
    pub rows: u64,
    /// Count of the final state.
    #[serde(deserialize_with = "numbers::one")]
    pub count: f64,
    /// Its mean.
    #[serde(deserialize_with = "numbers::list")]
    pub mean: Vec<f64>,
    /// Its variance, as the target uses it.
    #[serde(deserialize_with = "numbers::list")]
    pub var: Vec<f64>,
    /// Share of values at or beyond the clip; null where nothing was normalized.
    pub clip_fraction: Option<f64>,
    /// What was rolled back.
    pub rollback: RollbackCounts,
    /// What there is to know beyond the state.
    pub diagnostics: DiagnosticsRow,
}

/// What there is to know beyond a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiagnosticsRow {
    /// Least value per dimension.
    #[serde(deserialize_with = "numbers::list")]
    pub min: Vec<f64>,
    /// Greatest value per dimension.
    #[serde(deserialize_with = "numbers::list")]
    pub max: Vec<f64>,
    /// Share clipped per dimension; null where nothing was normalized.
    pub clip_by_dimension: Option<Vec<f64>>,
    /// Clipping over time.
    pub clip_phases: Vec<ClipPhaseRow>,
    /// Dimensions that never change.
    pub constant_dimensions: Vec<usize>,
    /// Dimensions whose variance is below epsilon.
    pub dimensions_below_epsilon: Vec<usize>,
    /// Weight of the initial state.
    #[serde(deserialize_with = "numbers::one")]
    pub prior_weight: f64,
    /// Share of each variance that is the initial state's.
    #[serde(deserialize_with = "numbers::list")]
    pub prior_share_of_variance: Vec<f64>,
    /// Batches a moving average looks at; null for full history and for one that never moves.
    pub effective_batches: Option<f64>,
    /// Updates after which 10 % of a shift is left; null likewise.
    pub lag_updates: Option<f64>,
    /// The same in vector steps, as fast as this run made updates; absent likewise and in older documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_vector_steps: Option<f64>,
    /// Limits of 32-bit statistics.
    pub float32: Float32Row,
    /// Whether the input looks normalized already.
    pub looks_normalized: bool,
    /// Rows over time; absent where that is not known, for more than 512 dimensions, and in older documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<WindowsRow>,
    /// Where the distribution changes; null where no change was found (`drift_test` says why, if none could be).
    pub drift: Option<DriftRow>,
    /// How the change was looked for; older documents lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_test: Option<DriftTestRow>,
    /// Mean |mean in use - windowed mean| in windowed deviations, per dimension; null where nothing was normalized.
    #[serde(deserialize_with = "numbers::optional_list")]
    pub mean_distance: Option<Vec<f64>>,
    /// Mean |log(variance in use/windowed variance)|, per dimension; null likewise.
    #[serde(deserialize_with = "numbers::optional_list")]
    pub log_var_distance: Option<Vec<f64>>,
    /// The same row normalized when the policy acted and when it learned.
    pub act_learn: Option<ActLearnDifference>,
    /// Episodes still open at the end, counted as batches of their own.
    pub unfinished_episodes: usize,
    /// When environments reset, where rewards are scaled by their return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoreset: Option<Autoreset>,
    /// Rows that only reset an environment, likewise: they are in no return and no statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_rows: Option<u64>,
}

/// A stretch of time and what was clipped in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClipPhaseRow {
    /// First update.
    pub first_update: u64,
    /// Share of values clipped.
    pub fraction: f64,
    /// The same per dimension.
    pub by_dimension: Vec<f64>,
}

/// Where statistics kept at 32 bits would fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Float32Row {
    /// Whether a 32-bit count stands still.
    pub count_saturates: bool,
    /// Rows after which a 32-bit running mean stands still.
    pub mean_freezes_after_rows: Option<u64>,
    /// The dimension it does so in.
    pub dimension: Option<usize>,
    /// Dimensions whose variance cancels (mean^2/var above 2^24).
    pub cancelling_dimensions: Vec<usize>,
}

impl DiagnosticsRow {
    fn of(run: &NormalizedRun) -> Self {
        let d = &run.diagnostics;
        let is_normalized = d.normalized > 0;
        Self {
            min: d.rows.min().to_vec(),
            max: d.rows.max().to_vec(),
            clip_by_dimension: is_normalized.then(|| d.clip_by_dimension.clone()),
            clip_phases: d
                .clip_phases
                .iter()
                .filter(|_| is_normalized)
                .map(|phase| ClipPhaseRow {
                    first_update: phase.first_update,
                    fraction: phase.fraction,
                    by_dimension: phase.by_dimension.clone(),
                })
                .collect(),
            constant_dimensions: d.constant.clone(),
            dimensions_below_epsilon: d.below_epsilon.clone(),
            prior_weight: d.prior_weight,
            prior_share_of_variance: d.prior_share.clone(),
            effective_batches: d.effective_batches.and_then(finite),
            lag_updates: d.lag_updates.and_then(finite),
            lag_vector_steps: d.lag_vector_steps.and_then(finite),
            float32: Float32Row {
                count_saturates: d.single_count_saturates,
                mean_freezes_after_rows: d.single_freeze.map(|freeze| freeze.0),
                dimension: d.single_freeze.map(|freeze| freeze.1),
                cancelling_dimensions: d.cancelling.clone(),
            },
            looks_normalized: d.looks_normalized,
            windows: WindowsRow::of(d),
            drift: d.drift.change.as_ref().map(|change| DriftRow::of(change, run.change_step)),
            drift_test: Some(DriftTestRow::of(&d.drift)),
            mean_distance: is_normalized.then(|| d.mean_distance.clone()),
            log_var_distance: is_normalized.then(|| d.var_distance.clone()),
            act_learn: run.act_learn.clone(),
            unfinished_episodes: run.unfinished_episodes,
            autoreset: run.autoreset,
            reset_rows: run.reset_rows,
        }
    }
}

impl RunRow {
    fn of(run: &NormalizedRun) -> Self {
        Self {
            run_id: run.run_id.clone(),
            env_id: run.env_id,
            updates: run.state.batches,
            rows: run.rows,
            count: run.state.count,
            mean: run.state.mean.clone(),
            var: run.var_used.clone(),
            clip_fraction: (run.diagnostics.normalized > 0).then_some(run.diagnostics.clip_fraction),
            rollback: run.rollback,
            diagnostics: DiagnosticsRow::of(run),
        }
    }
}

impl DeviceUsed {
    /// A device that was opened; none is the processor.
    pub fn of(engine: Option<&Engine>) -> Self {
        engine.map_or_else(Self::cpu, |engine| Self {
            device: engine.choice().name().to_owned(),
            name: Some(engine.name().to_owned()),
        })
    }

    /// The processor, of which there is nothing more to say.
    pub fn cpu() -> Self {
        Self { device: "cpu".to_owned(), name: None }
    }
}

impl NormalizationDocument {
    /// The document of a replay (or of the final statistics alone, by its `schema`).
    pub fn new(
        schema: &str,
        settings: ReplayAnalysis,
        device: DeviceUsed,
        runs: &[NormalizedRun],
        input: StepInput,
        written: Vec<String>,
    ) -> Self {
        let rows: u64 = runs.iter().map(|run| run.rows).sum();
        let has_clip = rows > 0 && runs.iter().all(|run| run.diagnostics.normalized > 0);
        let clipped: f64 = runs.iter().map(|run| run.diagnostics.clip_fraction * run.rows as f64).sum();
        // Environments of a run share its batches, each with rows of its own.
        let mut batches: BTreeMap<&str, u64> = BTreeMap::new();
        for run in runs {
            let of_run = batches.entry(&run.run_id).or_default();
            *of_run = (*of_run).max(run.rollback.batches);
        }
        let rollback = RollbackCounts {
            rows: runs.iter().map(|run| run.rollback.rows).sum(),
            batches: batches.values().sum(),
        };
        let runs: Vec<RunRow> = runs.iter().map(RunRow::of).collect();
        let is_carried_over = settings.rule.carry_over;
        // The run whose state stands for all: the only one, or the last under carry-over.
        let top = match &runs[..] {
            [only] => Some(only),
            runs if is_carried_over => runs.last(),
            _ => None,
        };
        Self {
            schema: schema.to_owned(),
            verdict: Vec::new(),
            kind: settings.rule.rule.memory.name().to_owned(),
            momentum: settings.rule.rule.memory.momentum(),
            target: settings.rule.target.name().to_owned(),
            device: device.device,
            device_name: device.name,
            settings: NormalizationSettings::Complete(Box::new(settings)),
            updates: top.map(|run| run.updates),
            rows,
            count: top.map(|run| run.count),
            mean: top.map(|run| run.mean.clone()),
            var: top.map(|run| run.var.clone()),
            clip_fraction: has_clip.then(|| clipped / rows as f64),
            rollback,
            diagnostics: top.map(|run| run.diagnostics.clone()),
            runs,
            input,
            written,
        }
    }

    /// Numbers for checks: every dimension's mean and variance, counts, updates and the share clipped, over runs.
    ///
    /// Ids are `normalizer/TARGET/mean/D`, `normalizer/TARGET/var/D`, `normalizer/TARGET/count`, `updates` and
    /// `clip_fraction`.
    pub fn metrics(&self) -> Vec<Metric> {
        let target = &self.target;
        let over_runs = |of_run: &dyn Fn(&RunRow) -> Option<f64>| -> BTreeMap<String, f64> {
            self.runs.iter().filter_map(|run| Some((run.unit_name(), of_run(run)?))).collect()
        };
        let mut metrics = Vec::new();
        let width = self.runs.iter().map(|run| run.mean.len()).max().unwrap_or(0);
        for (name, is_mean) in [("mean", true), ("var", false)] {
            for d in 0..width {
                let samples = over_runs(&|run| if is_mean { &run.mean } else { &run.var }.get(d).copied());
                metrics.extend(Metric::mean(
                    format!("normalizer/{target}/{name}/{d}"),
                    target,
                    None,
                    samples,
                ));
            }
        }
        let counts = over_runs(&|run| Some(run.count));
        metrics.extend(Metric::mean(format!("normalizer/{target}/count"), "rows", None, counts));
        let updates = over_runs(&|run| Some(run.updates as f64));
        metrics.extend(Metric::mean("updates".to_owned(), "rows", None, updates));
        let clipped = over_runs(&|run| run.clip_fraction);
        metrics.extend(Metric::mean("clip_fraction".to_owned(), "share", Some(Direction::Lower), clipped));
        metrics
    }

    /// The settings as checks compare them.
    pub(super) fn compared_settings(&self) -> Settings {
        match &self.settings {
            NormalizationSettings::Complete(settings) => {
                let mut settings = by_name(settings);
                // The state it went on from counts by its content, wherever it lies.
                settings.remove("state_in");
                // As older documents tell the memory.
                settings.insert("kind".to_owned(), Value::from(self.kind.clone()));
                settings.insert("momentum".to_owned(), Value::from(self.momentum));
                Settings::Complete(settings)
            }
            NormalizationSettings::Partial(settings) => {
                let mut settings = by_name(settings);
                settings.insert("kind".to_owned(), Value::from(self.kind.clone()));
                settings.insert("momentum".to_owned(), Value::from(self.momentum));
                settings.insert("target".to_owned(), Value::from(self.target.clone()));
                settings.insert("device".to_owned(), Value::from(self.device.clone()));
                Settings::Partial(settings)
            }
        }
    }

    /// Names of the dimensions: the columns read, or places in the one column of lists.
    pub fn dimension_names(&self) -> Vec<String> {
        let width = self.runs.first().map_or(0, |run| run.mean.len());
        let reading = match &self.settings {
            NormalizationSettings::Complete(settings) => Some(&settings.rule.reading),
            NormalizationSettings::Partial(_) => None,
        };
        dimension_names(&self.target, reading, width)
    }
}

/// Names of `width` dimensions; rewards and returns bear the target's name.
pub(super) fn dimension_names(target: &str, reading: Option<&StepReading>, width: usize) -> Vec<String> {
    if target != "obs" {
        return vec![target.to_owned()];
    }
    if let Some(reading) = reading.filter(|reading| reading.dimensions.len() == width) {
        return reading.dimensions.clone();
    }
    let columns = reading.map_or(&[][..], |reading| &reading.values[..]);
    if columns.len() == width {
        return columns.to_vec();
    }
    // Lists of several columns are dimensions one after the other.
    let column = if let [only] = columns { only } else { "obs" };
    (0..width).map(|d| format!("{column}[{d}]")).collect()
}

impl RunRow {
    /// The run, and the environment where each has statistics of its own, in words.
    pub fn name(&self) -> String {
        let id = &self.run_id;
        self.env_id.map_or_else(|| format!("run {id}"), |env| format!("run {id}, env {env}"))
    }

    /// The run, or the environment below it.
    fn unit_name(&self) -> String {
        self.env_id.map_or_else(|| self.run_id.clone(), |env| format!("{}/{env}", self.run_id))
    }
}
