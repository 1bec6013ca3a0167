//! What the verbs of `normalize` are asked: how training normalized, and what to make of it, as values.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::analysis::OnBad;
use crate::normalization::{
    AutoresetRule, DeviceChoice, Granularity, Order, Preset, ReturnReset, ReturnScale, Rule, Target,
};

/// Whose statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One set for all environments.
    Shared,
    /// One set per environment.
    Env,
}

/// Rows that training rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rollback {
    /// Leave the rows out.
    Drop,
    /// Leave their whole batches out.
    DropBatch,
    /// They count like any other.
    Keep,
}

/// Precision of values written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 64 bits.
    F64,
}

/// How step rows are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepReading {
    /// Columns by the field they are read as.
    pub columns: BTreeMap<String, String>,
    /// Columns the values were read from, one after the other; in a request those named, empty for the usual one.
    pub values: Vec<String>,
    /// Names of their dimensions, where the data set has such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<String>,
    /// How environments are aligned in time: row, episode-step or a column's name.
    pub clock: String,
    /// Malformed rows and files.
    pub on_bad: OnBad,
}

/// How training normalized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleAnalysis {
    /// Framework whose conventions were taken.
    pub preset: Option<Preset>,
    /// Rows of one update.
    #[schemars(with = "String")]
    pub update_every: Granularity,
    /// Before or after the update.
    pub order: Order,
    /// One set of statistics, or one per environment.
    pub scope: Scope,
    /// Added to the variance (or least deviation).
    pub epsilon: f64,
    /// Bound of normalized values; null for none.
    pub clip: Option<f64>,
    /// Discount, where rewards are scaled by their return.
    pub gamma: Option<f64>,
    /// What is normalized.
    pub target: Target,
    /// All conventions of the normalizer, `order`, `epsilon` and `clip` among them.
    pub rule: Rule,
    /// Rows that training rolled back.
    pub rollback: Rollback,
    /// When an environment's discounted return begins anew, where rewards are scaled by it.
    pub return_reset: Option<ReturnReset>,
    /// When environments reset, where that was said; null or absent: as the rows show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoreset: Option<AutoresetRule>,
    /// Whether statistics are carried from one run to the next.
    pub carry_over: bool,
    /// How rows are read.
    #[serde(flatten)]
    pub reading: StepReading,
}

impl RuleAnalysis {
    /// Scaling by the return, where rewards are.
    pub fn return_scale(&self) -> Option<ReturnScale> {
        let (gamma, reset) = self.gamma.zip(self.return_reset)?;
        Some(ReturnScale { gamma, reset })
    }

    /// Whether each environment has statistics of its own.
    pub fn is_per_env(&self) -> bool {
        self.scope == Scope::Env
    }
}

/// `normalize replay` or `normalize stats` as it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayAnalysis {
    /// How training normalized.
    #[serde(flatten)]
    pub rule: RuleAnalysis,
    /// State file the statistics went on from.
    pub state_in: Option<String>,
    /// Fingerprint of that file's bytes: its length and their hash (FNV-1a).
    pub state_in_fingerprint: Option<String>,
    /// Rollouts that the learner normalized again at their end.
    #[schemars(with = "Option<String>")]
    pub learn_every: Option<Granularity>,
    /// Device asked for.
    pub device: DeviceChoice,
    /// Precision of values written.
    pub precision: Precision,
}

/// `normalize compare` as it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompareAnalysis {
    /// What all settings share; the memory of its rule is the preset's.
    #[serde(flatten)]
    pub rule: RuleAnalysis,
    /// Moving averages compared; empty for the default ones.
    pub momentum: Vec<f64>,
    /// Whether full history is compared.
    pub welford: bool,
    /// Vector step of the shift, where it was given.
    pub shift_at: Option<u64>,
    /// Where settings go through the batches; absent for the cpu.
    #[serde(default = "cpu", skip_serializing_if = "is_cpu")]
    pub device: DeviceChoice,
}

fn cpu() -> DeviceChoice {
    DeviceChoice::Cpu
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_cpu(device: &DeviceChoice) -> bool {
    *device == DeviceChoice::Cpu
}

/// What a stored state is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AskedRule {
    /// What the file says of itself, and every framework's rule that can apply.
    Auto,
    /// A framework's.
    Preset,
    /// That of the flags.
    Flags,
}

/// `normalize verify` as it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyAnalysis {
    /// How training normalized, as the state's file and the flags say; under `auto` the rule that is reported on.
    #[serde(flatten)]
    pub rule: RuleAnalysis,
    /// What was asked for; documents written before it could be lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedRule>,
    /// The run the state should be of.
    pub run: Option<String>,
    /// Largest distance.
    pub tolerance: f64,
}
