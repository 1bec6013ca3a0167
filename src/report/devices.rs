//! The devices of a machine.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid};
use crate::normalization::{DeviceError, DevicePresence};

/// All devices, present or not.
#[derive(Debug, Serialize)]
pub struct DeviceReport {
    schema: &'static str,
    devices: Vec<DeviceLine>,
}

/// One device.
#[derive(Debug, Serialize)]
struct DeviceLine {
    device: &'static str,
    present: bool,
    /// A program that imitates a GPU.
    software: bool,
    name: Option<String>,
    reason: Option<String>,
    advice: Option<String>,
}

impl DeviceReport {
    /// What was found, in words.
    pub fn of(found: &[DevicePresence]) -> Self {
        let line = |presence: &DevicePresence| {
            let error = presence.name.as_ref().err();
            DeviceLine {
                device: presence.choice.name(),
                present: error.is_none(),
                software: presence.is_software,
                name: presence.name.as_ref().ok().cloned(),
                reason: error.map(DeviceError::cause),
                advice: error.map(DeviceError::hint),
            }
        };
        Self { schema: "simic.devices/1", devices: found.iter().map(line).collect() }
    }
}

/// Writes which devices there are.
///
/// # Errors
/// If writing fails.
pub fn write_devices(report: &DeviceReport, format: Format, out: &mut dyn Write) -> io::Result<()> {
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
        grid.row(vec![device.device.to_owned(), present.to_owned(), what]);
    }
    match format {
        Format::Csv => grid.write_csv(out),
        Format::Markdown => grid.write_markdown(out),
        _ => grid.write_table(out),
    }
}
