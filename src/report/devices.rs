//! Renderings of the devices of a machine.

use std::io::{self, Write};

use super::Format;
use super::grid::{Align, Grid};
use crate::results::DeviceDocument;

/// Writes which devices there are.
///
/// # Errors
/// If writing fails.
pub fn write_devices(report: &DeviceDocument, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => {
            serde_json::to_writer(&mut *out, report)?;
            return writeln!(out);
        }
        Format::Ndjson => {
            for device in &report.devices {
                serde_json::to_writer(&mut *out, device)?;
                writeln!(out)?;
            }
            return Ok(());
        }
        _ => {}
    }
    let mut grid = Grid::new(&[("device", Align::Left), ("present", Align::Left), ("what", Align::Left)]);
    for device in &report.devices {
        let what = match (&device.name, &device.reason, &device.advice) {
            (Some(name), ..) if device.software => format!("{name}, a program that imitates a GPU"),
            (Some(name), ..) => name.clone(),
            (None, Some(reason), Some(advice)) => format!("{reason}; {advice}"),
            _ => String::new(),
        };
        let present = if device.present { "yes" } else { "no" };
        grid.row(vec![device.device.clone(), present.to_owned(), what]);
    }
    match format {
        Format::Csv => grid.write_csv(out),
        Format::Markdown => grid.write_markdown(out),
        _ => grid.write_table(out),
    }
}
