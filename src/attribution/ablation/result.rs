//! What is asked of an ablation, and what one game answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::measure::Measure;
use crate::attribution::game::GameKey;
use crate::stats::{ConfidenceInterval, ConfidenceLevel};

/// What is asked of an ablation.
#[derive(Debug, Clone, PartialEq)]
pub struct AblationSettings {
    /// Pairs of players whose difference is asked for.
    pub contrasts: Vec<[String; 2]>,
    /// Level of intervals.
    pub confidence: ConfidenceLevel,
}

/// One measure of a player, or of the first player of a contrast less that of the second.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AblationTerm {
    /// One player, or the two of a contrast.
    pub players: Vec<String>,
    /// The measure.
    pub measure: Measure,
}

/// A number with what repeated evaluations tell of its error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeasuredValue {
    /// Value.
    pub value: f64,
    /// Standard error: from repeats, or of recorded walks.
    pub standard_error: Option<f64>,
    /// Interval.
    pub interval: Option<ConfidenceInterval>,
}

/// The measures of one game.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AblationResult {
    /// Which game.
    pub key: GameKey,
    /// Players of the game.
    pub n_players: usize,
    /// Distinct coalitions recorded.
    pub n_coalitions: usize,
    /// v(empty).
    pub baseline: Option<f64>,
    /// v(N).
    pub full: Option<f64>,
    /// Rows left out because they are copies of an evaluation among fresh ones.
    pub n_copies: u64,
    /// Greatest distance of a recorded value from v(empty).
    pub scale: f64,
    /// Whether all coalitions are recorded, so that marginals are Banzhaf values.
    pub is_complete: bool,
    /// Players in their order under each measure, then contrasts; shared by games of the same players.
    pub terms: Arc<[AblationTerm]>,
    /// One number per term; `None` where its rows are missing.
    pub values: Vec<Option<MeasuredValue>>,
}
