//! Stored states and whether one fits a recording: the documents `simic.normalizer/1` and `simic.normalize.verify/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnoses::{sentence, word};
use super::normalization::dimension_names;
use super::normalization_analysis::VerifyAnalysis;
use super::numbers::{self, finite};
use crate::normalization::{Claim, Diagnosis, Difference, MomentumUnit, NormalizerState, Preset};

/// Schema of a stored state.
pub const STATE_SCHEMA: &str = "simic.normalizer/1";

/// Schema of a verification.
pub const VERIFY_SCHEMA: &str = "simic.normalize.verify/1";

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct StatePlace {
    /// Run.
    pub run_id: String,
    /// Episode.
    pub episode: i64,
    /// Step.
    pub step: i64,
}

/// A stored normalizer state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StateDocument {
    /// `simic.normalizer/1`.
    #[schemars(extend("const" = STATE_SCHEMA))]
    pub schema: String,
    /// The conclusion in sentences, where the state was merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdict: Vec<String>,
    /// States it was merged of, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<usize>,
    /// welford or ema.
    pub kind: String,
    /// Momentum of a moving average.
    pub momentum: Option<f64>,
    /// What it is the momentum of, where that is not an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum_unit: Option<MomentumUnit>,
    /// Rows seen, the initial count included (full history).
    pub count: f64,
    /// Mean per dimension.
    pub mean: Vec<f64>,
    /// Population variance per dimension.
    pub var: Vec<f64>,
    /// Epsilon values were normalized with.
    pub epsilon: Option<f64>,
    /// Bound values were clipped to.
    pub clip: Option<f64>,
    /// Updates.
    #[serde(default)]
    pub batches: Option<u64>,
    /// Fingerprint of the rows seen.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Fingerprints of the rows of states that it went on from or was merged of: what they have seen, it has seen too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continues: Vec<String>,
    /// Weight of the initial state.
    #[serde(default)]
    pub initial_count: Option<f64>,
    /// Its mean.
    #[serde(default)]
    pub initial_mean: Option<f64>,
    /// Its variance.
    #[serde(default)]
    pub initial_var: Option<f64>,
    /// What was normalized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// `return` where rewards were scaled by the deviation of their discounted return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_scale: Option<String>,
    /// Why the state cannot be merged exactly, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_obstacle: Option<String>,
    /// First row seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<StatePlace>,
    /// Last row seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<StatePlace>,
}

/// Whether a stored state is what a recording implies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerificationDocument {
    /// `simic.normalize.verify/1`.
    #[schemars(extend("const" = VERIFY_SCHEMA))]
    pub schema: String,
    /// The conclusion in sentences; documents written before there were any lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdict: Vec<String>,
    /// The state's file.
    pub state: String,
    /// Its format.
    pub format: String,
    /// The run it was compared with.
    pub run_id: String,
    /// Whether it lies within the tolerance.
    pub matches: bool,
    /// Tolerance.
    pub tolerance: f64,
    /// Greatest distance over dimensions; null if it cannot be said.
    pub distance: Option<f64>,
    /// welford or ema.
    pub kind: String,
    /// Momentum of a moving average.
    pub momentum: Option<f64>,
    /// Stored count.
    pub stored_count: Option<f64>,
    /// Count the recording implies.
    #[serde(deserialize_with = "numbers::one")]
    pub expected_count: f64,
    /// The framework whose conventions make this state, where one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Every rule it was compared with; documents written before there could be several lack them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<TriedRow>,
    /// Why it differs, in a word.
    pub diagnosis: Option<String>,
    /// The same in a sentence.
    pub detail: Option<String>,
    /// Dimensions that differ, worst first.
    pub differences: Vec<DifferenceRow>,
    /// Dimensions of the recording; documents written before 0.2 lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_dimensions: Option<usize>,
    /// Everything the numbers depend on besides the input; likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<VerifyAnalysis>,
}

/// A rule a state was compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriedRow {
    /// The framework whose rule it is; null for the file's own, else the flags'.
    pub preset: Option<Preset>,
    /// Greatest distance over dimensions from the nearest run; null if it cannot be said.
    pub distance: Option<f64>,
    /// Whether it lies within the tolerance, its count too.
    pub matches: bool,
    /// Why it cannot be the state's rule and was not tried, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

impl TriedRow {
    /// A rule that was tried.
    pub fn new(preset: Option<Preset>, distance: f64, matches: bool) -> Self {
        Self { preset, distance: finite(distance), matches, left_out: None }
    }

    /// A rule that was not.
    pub fn left_out(preset: Option<Preset>, reason: &str) -> Self {
        Self { preset, distance: None, matches: false, left_out: Some(reason.to_owned()) }
    }
}

/// One dimension that differs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DifferenceRow {
    /// Dimension.
    pub dimension: usize,
    /// Stored mean.
    pub stored_mean: Option<f64>,
    /// Mean the recording implies.
    #[serde(deserialize_with = "numbers::one")]
    pub expected_mean: f64,
    /// Stored variance.
    pub stored_var: Option<f64>,
    /// Variance the recording implies.
    #[serde(deserialize_with = "numbers::one")]
    pub expected_var: f64,
    /// How far they lie apart.
    pub distance: Option<f64>,
}

impl StateDocument {
    /// The document's text, pretty-printed.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// A stored state and what it is compared with.
#[derive(Debug, Clone)]
pub struct StateComparison<'a> {
    /// The state's file.
    pub state: &'a str,
    /// Its format.
    pub format: &'a str,
    /// What the file holds.
    pub claim: &'a Claim,
    /// The run it is compared with.
    pub run_id: &'a str,
    /// The state that run implies.
    pub expected: &'a NormalizerState,
    /// Why the two differ; `None` if they do not.
    pub diagnosis: Option<&'a Diagnosis>,
    /// The framework whose conventions make this state.
    pub preset: Option<Preset>,
    /// Every rule it was compared with.
    pub tried: Vec<TriedRow>,
}

impl VerificationDocument {
    /// The document of a comparison.
    pub fn new(settings: VerifyAnalysis, found: StateComparison<'_>) -> Self {
        let StateComparison { claim, expected, .. } = found;
        let asked = settings.rule.preset;
        let words = |diagnosis: &Diagnosis| (word(diagnosis), sentence(diagnosis, asked));
        let (diagnosis, detail) = found.diagnosis.map(words).unzip();
        Self {
            schema: VERIFY_SCHEMA.to_owned(),
            verdict: Vec::new(),
            state: found.state.to_owned(),
            format: found.format.to_owned(),
            run_id: found.run_id.to_owned(),
            matches: found.diagnosis.is_none(),
            tolerance: settings.tolerance,
            distance: finite(claim.distance_to(&expected.mean, &expected.var)),
            kind: settings.rule.rule.memory.name().to_owned(),
            momentum: settings.rule.rule.memory.momentum(),
            stored_count: claim.count,
            expected_count: expected.count,
            preset: found.preset,
            tried: found.tried,
            diagnosis: diagnosis.map(str::to_owned),
            detail,
            differences: claim
                .differences(expected, settings.tolerance)
                .iter()
                .map(DifferenceRow::of)
                .collect(),
            n_dimensions: Some(expected.mean.len()),
            settings: Some(settings),
        }
    }

    /// Names of the dimensions.
    pub fn dimension_names(&self) -> Vec<String> {
        let Some(settings) = &self.settings else { return Vec::new() };
        let width = self.n_dimensions.unwrap_or(0);
        dimension_names(settings.rule.target.name(), Some(&settings.rule.reading), width)
    }
}

impl DifferenceRow {
    /// A difference as documents hold it.
    pub fn of(difference: &Difference) -> Self {
        Self {
            dimension: difference.dimension,
            stored_mean: finite(difference.mean.0),
            expected_mean: difference.mean.1,
            stored_var: finite(difference.var.0),
            expected_var: difference.var.1,
            distance: finite(difference.distance),
        }
    }
}
