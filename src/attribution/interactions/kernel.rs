//! Values, noise and covariance of one index from complete tables.

use std::sync::OnceLock;

use super::indices::{CardinalWeights, InteractionIndex};
use super::sets::{combinations, mask_of, subsets};
use super::superset_sums::{SizeWeighting, SupersetSums};
use crate::attribution::exact::{MAX_PLAYERS, NoiseError};
use crate::attribution::noise::{Degrees, NoiseVariances};
use crate::stats::pairwise_sum;

/// One index of games with a fixed number of players, from complete tables.
#[derive(Debug)]
pub struct InteractionKernel {
    n_players: usize,
    order: usize,
    weights: Vec<CardinalWeights>,
    values: FunctionalSums,
    variances: OnceLock<FunctionalSums>,
    fourths: OnceLock<FunctionalSums>,
}

/// Superset sums for the coefficients of every size of term, raised to one power.
#[derive(Debug)]
struct FunctionalSums {
    sums: SupersetSums,
    /// Number of the first weighting of terms of q players, for q = 1, 2, ...
    first: Vec<usize>,
}

impl FunctionalSums {
    fn new(n: usize, weights: &[CardinalWeights], power: i32) -> Self {
        let mut weightings = Vec::new();
        let mut first = Vec::new();
        for own in weights {
            first.push(weightings.len());
            weightings.extend(
                (0..=own.q)
                    .map(|r| SizeWeighting { set_size: r, by_size: own.superset_weights(n, r, power) }),
            );
        }
        Self { sums: SupersetSums::new(n, &weightings), first }
    }

    /// The functional of every term applied to `values`.
    fn of_terms(&self, terms: &[u64], values: &[f64], origin: f64) -> Vec<f64> {
        let sums = self.sums.sums(values, origin);
        let of_term = |term: &u64| {
            let first = self.first[term.count_ones() as usize - 1];
            subsets(*term).map(|part| sums[self.sums.place(first + part.count_ones() as usize, part)]).sum()
        };
        terms.iter().map(of_term).collect()
    }
}

impl InteractionKernel {
    /// Prepares the weights.
    ///
    /// # Panics
    /// If `order` is 0 or exceeds `n_players`, or `n_players` exceeds [`MAX_PLAYERS`].
    pub fn new(index: InteractionIndex, n_players: usize, order: usize) -> Self {
        assert!(
            n_players <= MAX_PLAYERS && (1..=n_players).contains(&order),
            "order {order} of {n_players} players"
        );
        let weights: Vec<CardinalWeights> =
            (1..=order).map(|q| CardinalWeights::new(index, n_players, order, q)).collect();
        let values = FunctionalSums::new(n_players, &weights, 1);
        Self { n_players, order, weights, values, variances: OnceLock::new(), fourths: OnceLock::new() }
    }

    /// All terms of one to order players, by size and then in player order.
    pub fn terms(&self) -> Vec<u64> {
        let players: Vec<usize> = (0..self.n_players).collect();
        (1..=self.order)
            .flat_map(|size| combinations(&players, size))
            .map(|members| mask_of(&members))
            .collect()
    }

    /// The index of `terms` in the game with `values[mask]`.
    ///
    /// # Shapes
    /// 2^n values in, one number per term out.
    ///
    /// # Panics
    /// If the length is not 2^n or a term has no player or more than the order.
    pub fn values(&self, terms: &[u64], values: &[f64]) -> Vec<f64> {
        self.values.of_terms(terms, values, values[0])
    }

    /// Standard errors of `terms` when the table holds means of noisy evaluations: exact, by linearity.
    pub fn noise_errors(&self, terms: &[u64], noise: &NoiseVariances) -> Vec<NoiseError> {
        let of_power = |cell: &'_ OnceLock<FunctionalSums>, power: i32, values: &[f64]| -> Vec<f64> {
            let sums = cell.get_or_init(|| FunctionalSums::new(self.n_players, &self.weights, power));
            // Sums of squares that inclusion and exclusion leave a rounding below 0.
            sums.of_terms(terms, values, 0.0).into_iter().map(|sum| sum.max(0.0)).collect()
        };
        let variances = of_power(&self.variances, 2, &noise.variances);
        let degrees = match &noise.degrees {
            Degrees::Pooled(degrees) => vec![*degrees; terms.len()],
            Degrees::PerCoalition(own) => {
                let parts: Vec<f64> = noise.variances.iter().zip(own).map(|(u, d)| u * u / d).collect();
                let fourth = of_power(&self.fourths, 4, &parts);
                variances.iter().zip(fourth).map(|(v, f)| v * v / f).collect()
            }
        };
        (variances.iter().zip(degrees))
            .map(|(variance, degrees)| NoiseError { standard_error: variance.sqrt(), degrees })
            .collect()
    }

    /// Covariance of two terms' values from evaluation noise.
    ///
    /// # Formula
    /// The sum over S of c_a(S) c_b(S) Var v(S), one pass over all coalitions.
    pub fn noise_covariance(&self, a: u64, b: u64, noise: &NoiseVariances) -> f64 {
        let coefficient = |term: u64, mask: u64| {
            let weights = &self.weights[term.count_ones() as usize - 1];
            weights.coefficient((mask & term).count_ones() as usize, mask.count_ones() as usize)
        };
        let products: Vec<f64> = (0u64..)
            .zip(&noise.variances)
            .map(|(mask, variance)| coefficient(a, mask) * coefficient(b, mask) * variance)
            .collect();
        pairwise_sum(&products)
    }
}
