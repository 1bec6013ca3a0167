//! Coordinates of what the constraint leaves free: the differences between players.
//!
//! # Formula
//! With v = 1/sqrt(n) + e_1, the reflection H = I - 2 v v'/(v'v) takes the direction of equal shares to -e_1, so its
//! other columns are an orthonormal basis B of all beta with 1'beta = 0. A row z of memberships has the coordinates
//! z_j - (|z|/sqrt(n) + z_1)/(sqrt(n) + 1), j = 2..n: one subtraction each.
//!
//! # Source
//! Golub and Van Loan, *Matrix Computations*, 4th ed., 2013, section 5.1 (reflections) and 6.2.2 (constraints).

use nalgebra::DMatrix;

use crate::attribution::coalition::contains;

/// The basis B of the differences between n >= 2 players.
#[derive(Debug, Clone, Copy)]
pub(super) struct Differences {
    n_players: usize,
    root: f64,
}

impl Differences {
    pub(super) fn new(n_players: usize) -> Self {
        Self { n_players, root: (n_players as f64).sqrt() }
    }

    /// n - 1.
    pub(super) fn dimension(&self) -> usize {
        self.n_players - 1
    }

    /// Coordinates z'B of coalitions, one a row, in the order of `columns`.
    pub(super) fn matrix<'a>(
        &self,
        masks: impl ExactSizeIterator<Item = &'a [u64]>,
        columns: &[usize],
    ) -> DMatrix<f64> {
        let mut matrix = DMatrix::zeros(masks.len(), columns.len());
        for (row, mask) in masks.enumerate() {
            let size = crate::attribution::coalition::size(mask) as f64;
            let shift = (size / self.root + f64::from(u8::from(contains(mask, 0)))) / (self.root + 1.0);
            for (place, column) in columns.iter().enumerate() {
                matrix[(row, place)] = f64::from(u8::from(contains(mask, column + 1))) - shift;
            }
        }
        matrix
    }

    /// B x: one value per player, with sum zero.
    pub(super) fn players(&self, x: &[f64]) -> Vec<f64> {
        let sum: f64 = x.iter().sum();
        let shift = sum / (self.root * (self.root + 1.0));
        std::iter::once(-sum / self.root).chain(x.iter().map(|x| x - shift)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B'beta, from the columns of B.
    fn coordinates(basis: &Differences, beta: &[f64]) -> Vec<f64> {
        let unit =
            |column: usize| (0..basis.dimension()).map(move |j| f64::from(u8::from(j == column))).collect();
        let along =
            |column: Vec<f64>| basis.players(&column).iter().zip(beta).map(|(b, beta)| b * beta).sum();
        (0..basis.dimension()).map(|column| along(unit(column))).collect()
    }

    #[test]
    fn the_basis_is_orthonormal_and_sums_to_zero() {
        let basis = Differences::new(5);
        let columns: Vec<Vec<f64>> = (0..4)
            .map(|j| basis.players(&std::array::from_fn::<f64, 4, _>(|i| f64::from(u8::from(i == j)))))
            .collect();
        for (i, a) in columns.iter().enumerate() {
            assert!(a.iter().sum::<f64>().abs() < 1e-15);
            for (j, b) in columns.iter().enumerate() {
                let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-15, "{i} {j}: {dot}");
            }
        }
    }

    #[test]
    fn coordinates_of_a_coalition_are_those_of_its_memberships() {
        let basis = Differences::new(4);
        let masks = [[0b0101u64], [0b1110]];
        let matrix = basis.matrix(masks.iter().map(|mask| &mask[..]), &[2, 0, 1]);
        for (row, z) in [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0]].iter().enumerate() {
            let expected = coordinates(&basis, z);
            for (place, column) in [2, 0, 1].into_iter().enumerate() {
                assert!((matrix[(row, place)] - expected[column]).abs() < 1e-15);
            }
        }
    }
}
