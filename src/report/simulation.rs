//! Renderings of the truth behind a simulated campaign.

use std::io::{self, Write};

use super::Format;
use super::grid::{Align, Grid};
use super::tidy::{Tidy, TidyTable};
use crate::printable::printable;
use crate::results::text::{decimals, fixed, grouped, short};
use crate::results::{SimulationDocument, TrueValue};

/// Writes what was simulated.
///
/// # Errors
/// If writing fails.
pub fn write_truth(truth: &SimulationDocument, format: Format, out: &mut dyn Write) -> io::Result<()> {
    if matches!(format, Format::Json | Format::Ndjson) {
        serde_json::to_writer(&mut *out, truth)?;
        return writeln!(out);
    }
    if matches!(format, Format::Csv | Format::Parquet | Format::Arrow) {
        return tidy(truth).write(format, out);
    }
    let values = |slot: &TrueValue| [Some(slot.shapley), slot.realized, slot.effect];
    let places = decimals(truth.slots.iter().flat_map(values).flatten());
    let mut grid = Grid::new(&[
        ("slot", Align::Left),
        ("true shapley", Align::Right),
        ("of these rows", Align::Right),
        ("effect", Align::Right),
    ]);
    for slot in &truth.slots {
        let mut cells = vec![slot.slot_id.clone()];
        cells.extend(values(slot).map(|value| fixed(value, places)));
        grid.row(cells);
    }
    match format {
        Format::Markdown if !truth.slots.is_empty() => grid.write_markdown(out)?,
        Format::Table if !truth.slots.is_empty() => grid.write_table(out)?,
        _ => {}
    }
    if let Some(design) = &truth.design {
        writeln!(out)?;
        for pair in &design.interactions {
            let (a, b) = (printable(&pair.slot_ids.0), printable(&pair.slot_ids.1));
            writeln!(out, "{a} and {b} together: {}, half of it in the value of each", short(pair.effect))?;
        }
        writeln!(
            out,
            "effects vary by {} over runs and {} over episodes, an evaluation by {} (standard deviations)",
            short(design.run_spread),
            short(design.spread),
            short(design.noise)
        )?;
    }
    let files: Vec<_> = truth.files.iter().map(|file| printable(file)).collect();
    writeln!(out, "{} rows in {}", grouped(truth.rows), files.join(", "))
}

fn tidy(truth: &SimulationDocument) -> TidyTable {
    Tidy::new(&truth.slots)
        .text("slot_id", |slot| Some(slot.slot_id.clone()))
        .float("shapley", |slot| Some(slot.shapley))
        .float("realized", |slot| slot.realized)
        .float("effect", |slot| slot.effect)
        .table()
}
