//! Renderings of the truth behind a simulated campaign.

use std::io::{self, Write};

use super::Format;
use super::grid::{Column, Grid};
use super::page::Page;
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::results::text::{counted, decimals, fixed, short};
use crate::results::{SimulationDocument, TrueValue};

/// Writes what was simulated.
///
/// # Errors
/// If writing fails.
pub fn write_truth(
    truth: &SimulationDocument,
    format: Format,
    screen: &Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    if matches!(format, Format::Json | Format::Ndjson) {
        serde_json::to_writer(&mut *out, truth)?;
        return writeln!(out);
    }
    if matches!(format, Format::Csv | Format::Parquet | Format::Arrow) {
        return tidy(truth).write(format, out);
    }
    let mut page = Page::new(format, screen, out);
    if !truth.slots.is_empty() {
        let values = |slot: &TrueValue| [Some(slot.shapley), slot.realized, slot.effect];
        let places = decimals(truth.slots.iter().flat_map(values).flatten());
        let mut grid = Grid::new(vec![
            Column::left("slot"),
            Column::right("true shapley").explained("true shapley: of the design"),
            Column::right("of these rows")
                .drops(2)
                .explained("of these rows: of what was written, noise and all"),
            Column::right("effect").drops(1).explained("effect: what it adds alone"),
        ]);
        for slot in &truth.slots {
            let mut cells = vec![slot.slot_id.clone()];
            cells.extend(values(slot).map(|value| fixed(value, places)));
            grid.row(cells);
        }
        page.grid(&grid)?;
    }
    if let Some(design) = &truth.design {
        page.blank()?;
        for pair in &design.interactions {
            let (a, b) = &pair.slot_ids;
            page.line(&format!(
                "{a} and {b} together: {}, half of it in the value of each",
                short(pair.effect)
            ))?;
        }
        page.line(&format!(
            "effects vary by {} over runs and {} over episodes, an evaluation by {} (standard deviations)",
            short(design.run_spread),
            short(design.spread),
            short(design.noise)
        ))?;
    }
    page.line(&format!("{} in {}", counted(truth.rows, "row"), truth.files.join(", ")))
}

fn tidy(truth: &SimulationDocument) -> TidyTable {
    Tidy::new(&truth.slots)
        .text("slot_id", |slot| Some(slot.slot_id.clone()))
        .float("shapley", |slot| Some(slot.shapley))
        .float("realized", |slot| slot.realized)
        .float("effect", |slot| slot.effect)
        .table()
}
