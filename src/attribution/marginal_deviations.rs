//! How far single marginal contributions lie from their mean.
//!
//! # Formula
//! Along a uniform permutation player i joins each S without him with w(|S|) = |S|!(n-1-|S|)!/n!, which add up to 1: his marginal
//! contribution has mean phi_i and variance sum over S of w(|S|) (v(S+i) - v(S) - phi_i)^2.
//!
//! # Source
//! Castro, Gomez and Tejada, *Computers & Operations Research* 36(5), 2009.

use super::game::CoalitionTable;
use super::weights::shapley_weights;

/// Standard deviation of each player's marginal contribution along a uniform permutation; `None` unless every coalition is
/// recorded.
pub(super) fn marginal_deviations(table: &CoalitionTable, values: &[f64]) -> Option<Vec<f64>> {
    let complete = table.complete_values()?;
    let n = table.n_players();
    let weights = shapley_weights(n);
    let deviation = |player: usize| -> f64 {
        let without = (0..complete.len()).filter(|mask| mask >> player & 1 == 0);
        let squares = without.map(|mask| {
            let marginal = complete[mask | 1 << player] - complete[mask];
            weights[mask.count_ones() as usize] * (marginal - values[player]).powi(2)
        });
        squares.sum::<f64>().sqrt()
    };
    Some((0..n).map(deviation).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{ExactKernel, Repeats};

    const VALUES: [f64; 8] = [50.0, 61.0, 48.0, 70.0, 55.0, 58.0, 66.0, 80.0];

    /// Brute force: all permutations.
    #[test]
    fn deviations_of_marginal_contributions_are_those_over_all_permutations() {
        let phi = ExactKernel::new(3).shapley_values(&VALUES);
        let table = CoalitionTable::complete(VALUES.to_vec());
        let found = marginal_deviations(&table, &phi).expect("complete");
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for player in 0..3usize {
            let marginals = orders.iter().map(|order| {
                let place = order.iter().position(|other| *other == player).expect("in it");
                let before: usize = order[..place].iter().map(|other| 1 << other).sum();
                VALUES[before | 1 << player] - VALUES[before]
            });
            let variance = marginals.map(|z| (z - phi[player]).powi(2)).sum::<f64>() / 6.0;
            assert!((found[player] - variance.sqrt()).abs() < 1e-12);
        }
        let partial = CoalitionTable::from_rows(2, 1, [(0, 1.0)].into_iter(), Repeats::Mean);
        assert_eq!(marginal_deviations(&partial.expect("a table"), &[0.0, 0.0]), None);
    }
}
