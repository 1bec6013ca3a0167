//! Numbers in JSON, which has no infinities: what is not finite is written as null and read as not a number.

use serde::{Deserialize, Deserializer};

/// A list whose nulls are numbers that were not finite.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let numbers: Vec<Option<f64>> = Vec::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect())
}

/// The same where there may be no list.
pub(super) fn optional_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<f64>>, D::Error> {
    let numbers: Option<Vec<Option<f64>>> = Option::deserialize(deserializer)?;
    Ok(numbers.map(|numbers| numbers.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect()))
}

/// One number.
pub(super) fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// A number that can be written.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A key that is there, null or not.
#[expect(clippy::option_option, reason = "a key that old documents lack and new ones may have null")]
pub(super) fn told<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
