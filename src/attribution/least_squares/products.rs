//! Products and triangular solves of matrices that may be large.
//!
//! Columns of the result are cut at fixed places, so that its bits do not depend on threads.

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use rayon::prelude::*;

/// Columns of one task.
const TASK_COLUMNS: usize = 128;

/// Numbers below which tasks are not worth a thread.
const FEW_NUMBERS: usize = 1 << 16;

/// Rows that a triangular solve goes through one by one; the rest is products.
const LEAF_ROWS: usize = 32;

/// Does something with every run of columns, and with one number for each of them.
///
/// # Panics
/// If there are not as many numbers as columns.
pub(super) fn for_columns(
    n_rows: usize,
    columns: &mut [f64],
    numbers: &mut [f64],
    each: impl Fn(usize, DMatrixViewMut<'_, f64>, &mut [f64]) + Sync,
) {
    if columns.is_empty() {
        return;
    }
    assert_eq!(columns.len(), n_rows * numbers.len(), "one number per column");
    let task = |(place, (part, numbers)): (usize, (&mut [f64], &mut [f64]))| {
        let own = DMatrixViewMut::from_slice(part, n_rows, numbers.len());
        each(place * TASK_COLUMNS, own, numbers);
    };
    if columns.len() < FEW_NUMBERS {
        let parts = columns.chunks_mut(n_rows * TASK_COLUMNS).zip(numbers.chunks_mut(TASK_COLUMNS));
        parts.enumerate().for_each(task);
    } else {
        let parts = columns.par_chunks_mut(n_rows * TASK_COLUMNS).zip(numbers.par_chunks_mut(TASK_COLUMNS));
        parts.enumerate().for_each(task);
    }
}

/// Does something with every run of columns of a matrix.
pub(super) fn for_matrix(matrix: &mut DMatrix<f64>, each: impl Fn(usize, DMatrixViewMut<'_, f64>) + Sync) {
    let (n_rows, n_columns) = matrix.shape();
    let mut nothing = vec![0.0; n_columns];
    for_columns(n_rows, matrix.as_mut_slice(), &mut nothing, |first, own, _| each(first, own));
}

/// Adds `factor` times a product to `target`.
pub(super) fn add_product(target: &mut DMatrix<f64>, factor: f64, left: &DMatrix<f64>, right: &DMatrix<f64>) {
    for_matrix(target, |first, mut own| {
        let n = own.ncols();
        own.gemm(factor, left, &right.columns(first, n), 1.0);
    });
}

/// X of `triangle` X = `right`, in its place; what is below the diagonal is not looked at.
pub(super) fn solve_upper(triangle: &DMatrix<f64>, right: &mut DMatrix<f64>) {
    for_matrix(right, |_, own| upper(triangle.as_view(), own));
}

/// X of `triangle`' X = `right`, in its place; what is below the diagonal is not looked at.
pub(super) fn solve_upper_transposed(triangle: &DMatrix<f64>, right: &mut DMatrix<f64>) {
    let transposed = triangle.transpose();
    for_matrix(right, |_, own| lower(transposed.as_view(), own));
}

fn upper(triangle: DMatrixView<'_, f64>, mut right: DMatrixViewMut<'_, f64>) {
    let n = triangle.nrows();
    if n <= LEAF_ROWS {
        triangle.solve_upper_triangular_unchecked_mut(&mut right);
        return;
    }
    let half = n / 2;
    let (mut top, mut below) = right.rows_range_pair_mut(..half, half..);
    upper(triangle.view((half, half), (n - half, n - half)), below.as_view_mut());
    top.gemm(-1.0, &triangle.view((0, half), (half, n - half)), &below, 1.0);
    upper(triangle.view((0, 0), (half, half)), top);
}

fn lower(triangle: DMatrixView<'_, f64>, mut right: DMatrixViewMut<'_, f64>) {
    let n = triangle.nrows();
    if n <= LEAF_ROWS {
        triangle.solve_lower_triangular_unchecked_mut(&mut right);
        return;
    }
    let half = n / 2;
    let (mut top, mut below) = right.rows_range_pair_mut(..half, half..);
    lower(triangle.view((0, 0), (half, half)), top.as_view_mut());
    below.gemm(-1.0, &triangle.view((half, 0), (n - half, half)), &top, 1.0);
    lower(triangle.view((half, half), (n - half, n - half)), below);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A triangle with numbers below its diagonal that nobody may read.
    fn triangle(n: usize) -> DMatrix<f64> {
        DMatrix::from_fn(n, n, |i, j| match i.cmp(&j) {
            std::cmp::Ordering::Less => ((i * 7 + j * 3) as f64).sin() / n as f64,
            std::cmp::Ordering::Equal => 1.0 + (i as f64).cos().abs(),
            std::cmp::Ordering::Greater => 1e30,
        })
    }

    #[test]
    fn solves_and_products_are_each_others_inverse() {
        for (n, columns) in [(1, 1), (5, 2), (33, 7), (150, 300), (300, 260)] {
            let triangle = triangle(n);
            let upper = triangle.upper_triangle();
            let right = DMatrix::from_fn(n, columns, |i, j| ((i + 2 * j) as f64).cos());
            let mut solved = right.clone();
            solve_upper(&triangle, &mut solved);
            let mut back = -&right;
            add_product(&mut back, 1.0, &upper, &solved);
            assert!(back.amax() < 1e-13, "{n}: {:e}", back.amax());

            let mut solved = right.clone();
            solve_upper_transposed(&triangle, &mut solved);
            let mut back = -&right;
            add_product(&mut back, 1.0, &upper.transpose(), &solved);
            assert!(back.amax() < 1e-13, "{n}: {:e}", back.amax());
        }
    }

    #[test]
    fn matrices_without_rows_or_columns_are_left_alone() {
        let mut none = DMatrix::zeros(0, 3);
        add_product(&mut none, 1.0, &DMatrix::zeros(0, 2), &DMatrix::zeros(2, 3));
        let mut no_columns = DMatrix::zeros(4, 0);
        solve_upper(&triangle(4), &mut no_columns);
        assert_eq!((none.shape(), no_columns.shape()), ((0, 3), (4, 0)));
    }
}
