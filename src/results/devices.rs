//! The devices of a machine: the document `simic.devices/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::normalization::{DeviceError, DevicePresence};

/// Schema of the document.
const DEVICES_SCHEMA: &str = "simic.devices/1";

/// All devices, present or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceDocument {
    /// `simic.devices/1`.
    #[schemars(extend("const" = DEVICES_SCHEMA))]
    pub schema: String,
    /// The devices `--device` can name.
    pub devices: Vec<DeviceRow>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceRow {
    /// Its word on the command line.
    pub device: String,
    /// Whether it can be used.
    pub present: bool,
    /// Whether it is a program that imitates a GPU.
    pub software: bool,
    /// Its own name.
    pub name: Option<String>,
    /// Why it cannot be used.
    pub reason: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
}

impl DeviceDocument {
    /// What was found, in words.
    pub fn of(found: &[DevicePresence]) -> Self {
        let row = |presence: &DevicePresence| {
            let error = presence.name.as_ref().err();
            DeviceRow {
                device: presence.choice.name().to_owned(),
                present: error.is_none(),
                software: presence.is_software,
                name: presence.name.as_ref().ok().cloned(),
                reason: error.map(DeviceError::cause),
                advice: error.map(DeviceError::hint),
            }
        };
        Self { schema: DEVICES_SCHEMA.to_owned(), devices: found.iter().map(row).collect() }
    }
}
