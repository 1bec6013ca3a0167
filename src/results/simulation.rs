//! The truth behind a simulated campaign: the document `simic.simulate/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Schema of the document.
const SIMULATE_SCHEMA: &str = "simic.simulate/1";

/// What was written, and the values an analysis should find.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SimulationDocument {
    /// `simic.simulate/1`.
    #[schemars(extend("const" = SIMULATE_SCHEMA))]
    pub schema: String,
    /// Files written.
    pub files: Vec<String>,
    /// Rows written.
    pub rows: u64,
    /// Slots and their true Shapley values of val_accuracy.
    pub slots: Vec<TrueValue>,
    /// What the truth is made of; absent for environment steps and in documents written before 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub design: Option<TrueDesign>,
}

/// What the values of a simulated campaign are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrueDesign {
    /// Value of the empty coalition.
    pub baseline: f64,
    /// Effects that pairs have together.
    pub interactions: Vec<TruePair>,
    /// Standard deviation of effects over runs.
    pub run_spread: f64,
    /// Over episodes of a run.
    pub spread: f64,
    /// Of one evaluation.
    pub noise: f64,
}

/// What a pair adds together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TruePair {
    /// The pair.
    pub slot_ids: (String, String),
    /// What it adds when both are on.
    pub effect: f64,
}

/// One slot's truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrueValue {
    /// Slot.
    pub slot_id: String,
    /// True Shapley value: what campaigns of this design have on average.
    pub shapley: f64,
    /// The value that the rows written have, evaluation noise apart: of the effects drawn for their runs and episodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realized: Option<f64>,
    /// The slot's own effect, without what it has together with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<f64>,
}

impl SimulationDocument {
    /// What was written of steps, which have no values of slots.
    pub fn of_steps(files: Vec<String>, rows: u64) -> Self {
        Self { schema: SIMULATE_SCHEMA.to_owned(), files, rows, slots: Vec::new(), design: None }
    }

    /// What was written of coalitions.
    pub fn of_coalitions(files: Vec<String>, rows: u64, slots: Vec<TrueValue>, design: TrueDesign) -> Self {
        Self { schema: SIMULATE_SCHEMA.to_owned(), files, rows, slots, design: Some(design) }
    }
}
