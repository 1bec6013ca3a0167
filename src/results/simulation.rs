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
}

/// One slot's truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrueValue {
    /// Slot.
    pub slot_id: String,
    /// True Shapley value.
    pub shapley: f64,
}

impl SimulationDocument {
    /// Pairs slots with their values.
    pub fn new(files: Vec<String>, rows: u64, slot_ids: &[String], values: &[f64]) -> Self {
        let slots = slot_ids.iter().zip(values);
        Self {
            schema: SIMULATE_SCHEMA.to_owned(),
            files,
            rows,
            slots: slots.map(|(id, value)| TrueValue { slot_id: id.clone(), shapley: *value }).collect(),
        }
    }
}
