//! Renderings of the devices of a machine.

use std::io::{self, Write};

use super::Format;
use super::grid::{Column, Grid};
use super::page::Page;
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::results::DeviceDocument;

/// Writes which devices there are.
///
/// # Errors
/// If writing fails.
pub fn write_devices(
    report: &DeviceDocument,
    format: Format,
    screen: &Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => {
            serde_json::to_writer(&mut *out, report)?;
            writeln!(out)
        }
        Format::Ndjson => {
            for device in &report.devices {
                serde_json::to_writer(&mut *out, device)?;
                writeln!(out)?;
            }
            Ok(())
        }
        Format::Csv | Format::Parquet | Format::Arrow => tidy(report).write(format, out),
        Format::Markdown | Format::Table => Page::new(format, screen, out).grid(&grid(report)),
    }
}

fn tidy(report: &DeviceDocument) -> TidyTable {
    Tidy::new(&report.devices)
        .text("device", |device| Some(device.device.clone()))
        .flag("present", |device| Some(device.present))
        .flag("software", |device| Some(device.software))
        .text("name", |device| device.name.clone())
        .text("reason", |device| device.reason.clone())
        .text("advice", |device| device.advice.clone())
        .table()
}

fn grid(report: &DeviceDocument) -> Grid {
    let mut grid =
        Grid::new(vec![Column::left("device"), Column::left("present"), Column::left("what").wraps()]);
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
    grid
}
