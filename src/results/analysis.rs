//! What an analysis is asked: everything its numbers depend on besides the input, as one value.
//!
//! Flags, environment and simic.toml are parsed to such a value once; it is stored in the document under `settings`,
//! and compared by checks as a whole. Names of fields are those of the flags.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grouping::Grouping;
use super::metric::Direction;
use super::testing::Testing;
use crate::attribution::{
    ClusterRequest, ConvergenceRequest, Inference, MethodRequest, MissingPolicy, Monotone, PermutationDesign,
    PermutationSettings, Repeats, ShapleySettings, ValueRange,
};
use crate::stats::{BootstrapSettings, ConfidenceLevel, IntervalMethod};

/// What a malformed row or file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBad {
    /// Stop with an error.
    Error,
    /// Leave it out and count it.
    Skip,
}

/// How intervals are made from units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntervalKind {
    /// Student's t.
    #[default]
    T,
    /// Normal.
    Normal,
    /// Bias-corrected and accelerated bootstrap.
    Bootstrap,
}

impl IntervalKind {
    /// Units from which on such an interval covers about what it says; fewer make it too narrow.
    pub fn enough_units(self) -> u64 {
        match self {
            Self::T => 2,
            // 94 % at 95 %.
            Self::Normal => 30,
            // 93 %; of 10 to 12 units 90 %.
            Self::Bootstrap => 20,
        }
    }
}

/// How coalition rows are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CoalitionReading {
    /// Columns by the field they are read as.
    pub columns: BTreeMap<String, String>,
    /// Slot ids of bare masks, in bit order.
    pub slots: Option<Vec<String>>,
    /// Two-state columns that are players; empty where the rows say it otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub players: Vec<String>,
    /// Columns that make groups: part of a game's key, one summary for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// Several rows for one coalition.
    pub duplicates: Repeats,
    /// Malformed rows and files, and games without a value.
    pub on_bad: OnBad,
}

impl CoalitionReading {
    /// A group by its columns: each part of a key is `NAME=VALUE`, names in the order of `by`.
    pub(super) fn named_group(&self, group: &[String]) -> BTreeMap<String, String> {
        let value = |(name, part): (&String, &String)| (name.clone(), part[name.len() + 1..].to_owned());
        self.by.iter().zip(group).map(value).collect()
    }
}

/// `analyze shapley` as it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShapleyAnalysis {
    /// Value columns; in a document the one it is about, in a request empty for the default.
    pub value: Vec<String>,
    /// Which way the value is good; in a request null leaves it to the column's name.
    pub better: Option<Direction>,
    /// Method asked for.
    pub method: MethodRequest,
    /// Permutations to draw.
    pub permutations: usize,
    /// Which of them are drawn together; absent where each is drawn by itself.
    #[serde(default, skip_serializing_if = "is_plain")]
    pub sampling: PermutationDesign,
    /// Whether they are drawn as antithetic pairs.
    pub antithetic: bool,
    /// What a permutation through an unrecorded coalition does.
    pub missing: MissingPolicy,
    /// Range of unseen values, for bounds.
    pub range: Option<ValueRange>,
    /// Whether slots never make a coalition worse, for bounds; absent where nobody said so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub monotone: bool,
    /// Whether the sources of variance are asked for; absent where not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sources: bool,
    /// Whether it is told how sampled values settle; absent where not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub convergence: bool,
    /// Whether it is told how stable the order of the slots is; absent where not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ranking: bool,
    /// Whether it is told how values change with the episodes; absent where not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trend: bool,
    /// Whether estimates of the trainer are compared with; absent where not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub compare_recorded: bool,
    /// Half-width that intervals are to have; absent where none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_half_width: Option<f64>,
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
    /// Slots that belong together.
    #[serde(flatten)]
    pub grouping: Grouping,
    /// How rows are read.
    #[serde(flatten)]
    pub reading: CoalitionReading,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_false(is: &bool) -> bool {
    !*is
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_plain(design: &PermutationDesign) -> bool {
    *design == PermutationDesign::Plain
}

impl ShapleyAnalysis {
    /// What was left open, said as it was decided for one value column: its name and which way it is good.
    #[must_use]
    pub fn settled(&self, value: &str) -> Self {
        Self {
            value: vec![value.to_owned()],
            better: self.better.or_else(|| Direction::of_column(value)),
            ..self.clone()
        }
    }

    /// How games become statements over units.
    pub fn inference(&self) -> Inference {
        let engine = self.engine();
        self.testing.of(Inference::new(self.cluster, engine.confidence, engine.interval), self.seed)
    }

    /// What the engine of attribution is asked.
    pub fn engine(&self) -> ShapleySettings {
        ShapleySettings {
            method: self.method,
            permutations: PermutationSettings {
                n_permutations: self.permutations,
                design: self.sampling,
                antithetic: self.antithetic,
                seed: self.seed,
            },
            missing: self.missing,
            convergence: ConvergenceRequest {
                looks: self.convergence,
                target_half_width: self.target_half_width,
            },
            marginal_deviations: self.compare_recorded,
            range: self.range,
            monotone: self.monotone.then_some(match self.better {
                Some(Direction::Lower) => Monotone::Down,
                Some(Direction::Higher) | None => Monotone::Up,
            }),
            confidence: self.confidence,
            interval: match self.ci {
                IntervalKind::T => IntervalMethod::StudentT,
                IntervalKind::Normal => IntervalMethod::Normal,
                IntervalKind::Bootstrap => IntervalMethod::Bootstrap(BootstrapSettings {
                    n_resamples: self.resamples as usize,
                    seed: self.seed,
                }),
            },
        }
    }
}
