//! How far to believe a fit by least squares, as documents tell it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attribution::KernelQuality;

/// How well recorded coalitions determine a fit, and how additive the game is over them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelRow {
    /// The largest factor by which errors of recorded values enter a value: 2 at least, 2 for a complete recording.
    pub condition: f64,
    /// Weighted R^2 of the additive fit; 1 says that the game is additive, null that recorded values do not differ.
    pub r_squared: Option<f64>,
    /// Covariance of the values from evaluation noise, in player order; null without repeated evaluations, and of more
    /// than 64 players.
    pub covariance: Option<Vec<Vec<f64>>>,
}

impl KernelRow {
    pub(super) fn of(quality: KernelQuality) -> Self {
        Self { condition: quality.condition, r_squared: quality.r_squared, covariance: quality.covariance }
    }
}
