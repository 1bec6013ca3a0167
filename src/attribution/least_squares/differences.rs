//! Coordinates of what the constraint leaves free: the differences between effects.
//!
//! # Formula
//! With v = 1/sqrt(n) + e_1 for n effects, the reflection H = I - 2 v v'/(v'v) takes the direction of equal shares to -e_1, so
//! its other columns are an orthonormal basis B of all beta with 1'beta = 0. A row z, of ones where a coalition holds an
//! effect's set, has the coordinates z_j - (|z|/sqrt(n) + z_1)/(sqrt(n) + 1), j = 2..n: one subtraction each.
//!
//! # Source
//! Golub and Van Loan, *Matrix Computations*, 4th ed., 2013, section 5.1 (reflections) and 6.2.2 (constraints).

use nalgebra::DMatrix;

use super::effects::{Effects, members};
use super::products::for_matrix;
use crate::attribution::coalition::{contains, size};

/// The basis B of the differences between n effects.
#[derive(Debug, Clone)]
pub(super) struct Differences {
    effects: Effects,
    root: f64,
}

impl Differences {
    /// # Panics
    /// Without effects.
    pub(super) fn new(effects: Effects) -> Self {
        assert!(effects.len() > 0, "a basis of differences between effects");
        Self { root: (effects.len() as f64).sqrt(), effects }
    }

    pub(super) fn effects(&self) -> &Effects {
        &self.effects
    }

    /// n - 1.
    pub(super) fn dimension(&self) -> usize {
        self.effects.len() - 1
    }

    /// Coordinates z'B of coalitions, one a row, in the order of `columns`.
    pub(super) fn matrix<'a>(
        &self,
        masks: impl ExactSizeIterator<Item = &'a [u64]>,
        columns: &[usize],
    ) -> DMatrix<f64> {
        let n_rows = masks.len();
        let mut on = DMatrix::zeros(n_rows, self.effects.n_players());
        let mut shifts = Vec::with_capacity(n_rows);
        for (row, mask) in masks.enumerate() {
            members(mask).for_each(|player| on[(row, player)] = 1.0);
            let within = self.effects.n_within(size(mask)) as f64;
            shifts.push((within / self.root + f64::from(u8::from(contains(mask, 0)))) / (self.root + 1.0));
        }
        let mut matrix = DMatrix::zeros(n_rows, columns.len());
        for_matrix(&mut matrix, |first, mut own| {
            for (mut cells, column) in own.column_iter_mut().zip(&columns[first..]) {
                let [a, b] = self.effects.sets()[column + 1].map(|player| on.column(player));
                let of_set = a.iter().zip(b.iter()).map(|(a, b)| a * b);
                cells.iter_mut().zip(of_set).zip(&shifts).for_each(|((cell, z), shift)| *cell = z - shift);
            }
        });
        matrix
    }

    /// B x: one value per effect, with sum zero.
    pub(super) fn of_effects(&self, x: &[f64]) -> Vec<f64> {
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
            |column: Vec<f64>| basis.of_effects(&column).iter().zip(beta).map(|(b, beta)| b * beta).sum();
        (0..basis.dimension()).map(|column| along(unit(column))).collect()
    }

    #[test]
    fn the_basis_is_orthonormal_and_sums_to_zero() {
        let basis = Differences::new(Effects::singles(5));
        let columns: Vec<Vec<f64>> = (0..4)
            .map(|j| basis.of_effects(&std::array::from_fn::<f64, 4, _>(|i| f64::from(u8::from(i == j)))))
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
        let check = |effects: Effects, rows: [&[f64]; 2], columns: &[usize]| {
            let basis = Differences::new(effects);
            let masks = [[0b0101u64], [0b1110]];
            let matrix = basis.matrix(masks.iter().map(|mask| &mask[..]), columns);
            for (row, z) in rows.iter().enumerate() {
                let expected = coordinates(&basis, z);
                for (place, column) in columns.iter().enumerate() {
                    assert!((matrix[(row, place)] - expected[*column]).abs() < 1e-15);
                }
            }
        };
        check(Effects::singles(4), [&[1.0, 0.0, 1.0, 0.0], &[0.0, 1.0, 1.0, 1.0]], &[2, 0, 1]);
        // Pairs 01, 02, 03, 12, 13, 23.
        check(
            Effects::pairs(4),
            [
                &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
                &[0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0],
            ],
            &[8, 2, 4, 0, 1, 3, 5, 6, 7],
        );
    }
}
