//! What is asked of interactions, and what one game answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::indices::InteractionIndex;
use super::regime::{Regime, RegimeRule};
use super::terms::Term;
use crate::attribution::game::GameKey;
use crate::attribution::shapley::Method;
use crate::stats::{ConfidenceInterval, ConfidenceLevel};

/// What is asked of interactions.
#[derive(Debug, Clone, PartialEq)]
pub struct InteractionSettings {
    /// Which index.
    pub index: InteractionIndex,
    /// Most players of a term, at least 1.
    pub order: usize,
    /// Only terms among these players; empty for all.
    pub among: Vec<String>,
    /// Level of intervals.
    pub confidence: ConfidenceLevel,
    /// How regimes are decided.
    pub regime: RegimeRule,
}

/// One term's number in one game.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// Value of the index.
    pub value: f64,
    /// Standard error from repeated evaluations.
    pub standard_error: Option<f64>,
    /// Interval from them; `None` without repeats, and of fitted values.
    pub interval: Option<ConfidenceInterval>,
    /// What it amounts to; `None` for single players.
    pub regime: Option<Regime>,
}

/// The terms of one game.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InteractionResult {
    /// Which game.
    pub key: GameKey,
    /// Players of the game.
    pub n_players: usize,
    /// Distinct coalitions recorded.
    pub n_coalitions: usize,
    /// Where the numbers came from: all coalitions (or all a local index needs), or a fit.
    pub method: Method,
    /// v(empty).
    pub baseline: Option<f64>,
    /// v(N).
    pub full: Option<f64>,
    /// Sum of all terms less (full - baseline), for an efficient index of all players.
    pub efficiency_gap: Option<f64>,
    /// Whether the numbers are those of a fit to some coalitions.
    pub biased: bool,
    /// Rows left out because they are copies of an evaluation among fresh ones.
    pub n_copies: u64,
    /// Greatest distance of a recorded value from v(empty).
    pub scale: f64,
    /// The largest factor on errors of recorded values in a fitted effect.
    pub condition: Option<f64>,
    /// Weighted R^2 of the fit.
    pub r_squared: Option<f64>,
    /// Terms by size, then in player order; shared by games of the same players.
    pub terms: Arc<[Term]>,
    /// One number per term.
    pub values: Vec<Contribution>,
}
