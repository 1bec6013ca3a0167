//! Renderings of the truth behind a simulated campaign.

use std::io::{self, Write};

use super::Format;
use super::grid::{Align, Grid};
use crate::results::SimulationDocument;
use crate::results::text::{decimals, fixed, grouped};

/// Writes what was simulated.
///
/// # Errors
/// If writing fails.
pub fn write_truth(truth: &SimulationDocument, format: Format, out: &mut dyn Write) -> io::Result<()> {
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
