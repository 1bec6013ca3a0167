//! The truth behind a simulated campaign.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid};
use super::number::{decimals, fixed, grouped};

/// What was written, and the values an analysis should find.
#[derive(Debug, Serialize)]
pub struct SimulatedTruth {
    /// Document schema.
    pub schema: &'static str,
    /// Files written.
    pub files: Vec<String>,
    /// Rows written.
    pub rows: u64,
    /// Slots and their true Shapley values of val_accuracy.
    pub slots: Vec<TrueValue>,
}

/// One slot's truth.
#[derive(Debug, Serialize)]
pub struct TrueValue {
    /// Slot.
    pub slot_id: String,
    /// True Shapley value.
    pub shapley: f64,
}

impl SimulatedTruth {
    /// Pairs slots with their values.
    pub fn new(files: Vec<String>, rows: u64, slot_ids: &[String], values: &[f64]) -> Self {
        let slots = slot_ids.iter().zip(values);
        Self {
            schema: "simic.simulate/1",
            files,
            rows,
            slots: slots.map(|(id, value)| TrueValue { slot_id: id.clone(), shapley: *value }).collect(),
        }
    }
}

/// Writes what was simulated.
///
/// # Errors
/// If writing fails.
pub fn write_truth(truth: &SimulatedTruth, format: Format, out: &mut dyn Write) -> io::Result<()> {
    if matches!(format, Format::Json | Format::Ndjson) {
        serde_json::to_writer(&mut *out, truth)?;
        return writeln!(out);
    }
    let mut grid = Grid::new(&[("slot", Align::Left), ("true shapley", Align::Right)]);
    let places = decimals(truth.slots.iter().map(|slot| slot.shapley));
    for slot in &truth.slots {
        grid.row(vec![slot.slot_id.clone(), fixed(Some(slot.shapley), places)]);
    }
    match format {
        Format::Csv => return grid.write_csv(out),
        Format::Markdown if !truth.slots.is_empty() => grid.write_markdown(out)?,
        Format::Table if !truth.slots.is_empty() => grid.write_table(out)?,
        _ => {}
    }
    let files = truth.files.len();
    writeln!(out, "{} rows in {files} file{}", grouped(truth.rows), if files == 1 { "" } else { "s" })
}
