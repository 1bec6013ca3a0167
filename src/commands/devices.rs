//! `simic devices`.

use clap::Args;

use super::{CommandError, Context, Outcome};
use crate::normalization::available_devices;
use crate::report::write_devices;
use crate::results::DeviceDocument;

/// Which devices --device can name here, and why others are not there.
///
/// Every device is opened and has to do a sum. Exit code 0 whatever is present.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic devices
  simic devices --format json | jq -r '.devices[] | select(.present) | .device'")]
pub struct DevicesArgs {}

/// Looks for devices and reports.
///
/// # Errors
/// An output that cannot be written.
pub fn run(_: &DevicesArgs, context: &Context) -> Result<Outcome, CommandError> {
    context.check_output()?;
    let report = DeviceDocument::of(&available_devices());
    context.write(|out| write_devices(&report, context.format(), &context.screen(), out))?;
    Ok(Outcome::Clean)
}
