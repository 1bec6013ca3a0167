//! What switching a player off, or on, is worth: four measures, each linear in the recorded values.
//!
//! # Formula
//! | measure | value | recorded rows it needs |
//! | --- | --- | --- |
//! | removal cost | v(N) - v(N - i) | full, and full without i |
//! | first in | v({i}) - v(empty) | empty, and i alone |
//! | marginal | mean of v over recorded coalitions with i, less the mean over those without | one of each |
//! | Shapley | see `exact` | all |
//!
//! Of a complete table the marginal is the Banzhaf value. Noise: value = sum c(S) v(S), so Var = sum c(S)^2 Var v(S) exactly for
//! independent evaluations; a difference of two players has the coefficients' differences.
//!
//! # Source
//! Banzhaf, *Rutgers Law Review* 19, 1965; Wang and Jia, *AISTATS* 2023 (the marginal from any uniform sample, and why it is the
//! least noisy).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attribution::coalition::{contains, size};
use crate::attribution::exact::NoiseError;
use crate::attribution::game::CoalitionTable;
use crate::attribution::noise::{Degrees, NoiseVariances};
use crate::attribution::weights::SizeWeights;

/// What a player is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// v(N) - v(N - i).
    RemovalCost,
    /// v({i}) - v(empty).
    FirstIn,
    /// Mean with the player less mean without, over recorded coalitions.
    Marginal,
    /// Shapley value.
    Shapley,
}

impl Measure {
    /// All measures, in order of declaration.
    pub const ALL: [Self; 4] = [Self::RemovalCost, Self::FirstIn, Self::Marginal, Self::Shapley];

    /// The name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::RemovalCost => "removal_cost",
            Self::FirstIn => "first_in",
            Self::Marginal => "marginal",
            Self::Shapley => "shapley",
        }
    }
}

/// What every recorded value is multiplied with under the measures of one table.
#[derive(Debug)]
pub(super) struct MeasureCoefficients {
    n_players: usize,
    /// Recorded coalitions with each player.
    n_with: Vec<usize>,
    n_coalitions: usize,
    shapley: SizeWeights,
}

impl MeasureCoefficients {
    pub(super) fn new(table: &CoalitionTable) -> Self {
        let n_players = table.n_players();
        let mut n_with = vec![0; n_players];
        if table.complete_values().is_some() && n_players > 0 {
            n_with.fill(table.n_coalitions() / 2);
        } else {
            for (mask, _) in table.rows() {
                for (player, n) in n_with.iter_mut().enumerate() {
                    *n += usize::from(contains(&mask, player));
                }
            }
        }
        Self { n_players, n_with, n_coalitions: table.n_coalitions(), shapley: SizeWeights::new(n_players) }
    }

    /// Recorded coalitions with a player.
    pub(super) fn n_with(&self, player: usize) -> usize {
        self.n_with[player]
    }

    /// Whether both sides of the marginal are recorded.
    pub(super) fn has_marginal(&self, player: usize) -> bool {
        (1..self.n_coalitions).contains(&self.n_with[player])
    }

    /// The coefficient of the value of `mask` in a player's measure.
    pub(super) fn of(&self, measure: Measure, player: usize, mask: &[u64]) -> f64 {
        let (is_in, s, n) = (contains(mask, player), size(mask), self.n_players);
        match measure {
            Measure::RemovalCost if s == n => 1.0,
            Measure::RemovalCost if s + 1 == n && !is_in => -1.0,
            Measure::FirstIn if s == 1 && is_in => 1.0,
            Measure::FirstIn if s == 0 => -1.0,
            Measure::RemovalCost | Measure::FirstIn => 0.0,
            Measure::Marginal if is_in => 1.0 / self.n_with[player] as f64,
            Measure::Marginal => -1.0 / (self.n_coalitions - self.n_with[player]) as f64,
            Measure::Shapley if is_in => self.shapley.joined[s],
            Measure::Shapley => -self.shapley.left[s],
        }
    }

    /// Standard error from evaluation noise of a sum of players' measures, each with its factor.
    pub(super) fn noise_error(
        &self,
        table: &CoalitionTable,
        noise: &NoiseVariances,
        measure: Measure,
        players: &[(usize, f64)],
    ) -> NoiseError {
        let (mut variance, mut fourth) = (0.0, 0.0);
        for (position, (mask, _)) in table.rows().enumerate() {
            let c: f64 =
                players.iter().map(|(player, factor)| factor * self.of(measure, *player, &mask)).sum();
            if c == 0.0 {
                continue;
            }
            let part = c * c * noise.variances[position];
            variance += part;
            if let Degrees::PerCoalition(own) = &noise.degrees {
                fourth += part * part / own[position];
            }
        }
        let degrees = match &noise.degrees {
            Degrees::Pooled(degrees) => *degrees,
            Degrees::PerCoalition(_) => variance * variance / fourth,
        };
        NoiseError { standard_error: variance.sqrt(), degrees }
    }
}
