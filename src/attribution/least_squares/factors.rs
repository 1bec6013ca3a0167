//! Row by row stable factors of a stack of rows, up to its rank.

use nalgebra::linalg::ColPivQR;
use nalgebra::{DMatrix, DVector, Dyn, RowDVector};

/// Householder reflections with column pivoting, of rows in order of falling size.
pub(super) struct Factors {
    qr: ColPivQR<f64, Dyn, Dyn>,
    /// Row of the stack behind each row that was factorised.
    order: Vec<usize>,
}

impl Factors {
    pub(super) fn new(stack: &DMatrix<f64>) -> Self {
        // A reflection that begins in a light row would wash out what heavy rows below it say.
        let sizes: Vec<f64> = stack.row_iter().map(|row| row.amax()).collect();
        let mut order: Vec<usize> = (0..stack.nrows()).collect();
        order.sort_by(|a, b| sizes[*b].total_cmp(&sizes[*a]));
        Self { qr: ColPivQR::new(stack.select_rows(&order)), order }
    }

    /// Rows of the triangle whose pivots exceed `tolerance`, up to the first that does not.
    pub(super) fn triangle(&self, tolerance: f64) -> DMatrix<f64> {
        let all = self.qr.r();
        let rank = (0..all.nrows()).take_while(|row| all[(*row, *row)] > tolerance).count();
        all.rows(0, rank).into_owned()
    }

    /// Column of the stack behind each column of the triangle.
    pub(super) fn columns(&self) -> Vec<usize> {
        let n_columns = self.qr.col_piv_qr_internal().ncols();
        let mut columns = RowDVector::from_iterator(n_columns, 0..n_columns);
        self.qr.p().permute_columns(&mut columns);
        columns.iter().copied().collect()
    }

    /// What the reflections make of a right-hand side, in the first `rank` rows.
    pub(super) fn right(&self, right: &DVector<f64>, rank: usize) -> DVector<f64> {
        let mut right = right.select_rows(&self.order);
        self.qr.q_tr_mul(&mut right);
        right.rows(0, rank).into_owned()
    }

    /// Columns of Q for the first `rank` rows of the triangle, its rows as those of the stack.
    pub(super) fn orthogonal(&self, rank: usize) -> DMatrix<f64> {
        let sorted = self.qr.q();
        let mut orthogonal = DMatrix::zeros(sorted.nrows(), rank);
        for (row, place) in self.order.iter().enumerate() {
            orthogonal.row_mut(*place).copy_from(&sorted.view((row, 0), (1, rank)));
        }
        orthogonal
    }
}
