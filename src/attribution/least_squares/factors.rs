//! Row by row stable factors of a stack of rows, up to its rank.
//!
//! # Method
//! Householder reflections with column pivoting, of rows in order of falling size, a panel of columns at a time: the columns of
//! largest norm are reduced among themselves, and the product of their reflections, I - V T V', is applied to the other columns
//! at once. A panel ends where its next pivot falls below [`PIVOT_SHARE`] of what the columns outside had when it began, so
//! that no pivot is smaller than that part of the largest there is: the growth that pivoting bounds is bounded still. Norms are
//! taken anew after each panel, never updated by differences. The rank is read off where a panel begins: its first pivot is
//! the largest.
//!
//! # Source
//! Cox and Higham, *Stability of Householder QR factorization for weighted least squares problems*, 1998; Schreiber and Van
//! Loan, *A storage-efficient WY representation*, *SIAM J. Sci. Stat. Comput.* 10, 1989; Bischof, *A parallel QR factorization
//! algorithm with local pivoting*, 1988.

use nalgebra::{DMatrix, DMatrixViewMut, DVector};

use super::products::{for_columns, for_matrix};

/// Columns of a panel at most.
const PANEL: usize = 48;

/// The least part of the largest norm outside that a pivot of a panel has.
const PIVOT_SHARE: f64 = 0.25;

/// A stack's triangle and the reflections that lead to it.
pub(super) struct Factors {
    /// Rows of the triangle, their diagonal positive.
    pub(super) triangle: DMatrix<f64>,
    /// Column of the stack behind each column of the triangle.
    pub(super) columns: Vec<usize>,
    /// Q.
    pub(super) reflections: Reflections,
}

/// Q of a stack, as the product of its reflections.
#[derive(Debug)]
pub(super) struct Reflections {
    /// Row of the stack behind each row that was factorised.
    order: Vec<usize>,
    panels: Vec<Panel>,
    /// What makes the triangle's diagonal positive.
    signs: Vec<f64>,
}

/// The product of successive reflections: I - V T V'.
#[derive(Debug)]
struct Panel {
    /// Rows before the first it touches.
    start: usize,
    /// V, ones on its diagonal and zeros above.
    axes: DMatrix<f64>,
    /// T.
    joint: DMatrix<f64>,
}

/// In which order reflections are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// Q.
    Forward,
    /// Q'.
    Back,
}

impl Factors {
    /// Factorises up to the first pivot of at most `tolerance`.
    pub(super) fn new(stack: DMatrix<f64>, tolerance: f64) -> Self {
        // A reflection that begins in a light row would wash out what heavy rows below it say.
        let sizes = row_sizes(&stack);
        let mut order: Vec<usize> = (0..stack.nrows()).collect();
        order.sort_by(|a, b| sizes[*b].total_cmp(&sizes[*a]));
        let mut reduction = Reduction::new(stack.select_rows(&order), tolerance);
        drop(stack);
        let mut panels = Vec::new();
        while let Some(panel) = reduction.panel() {
            panels.push(panel);
        }
        let Reduction { work, columns, diagonal, .. } = reduction;
        let signs: Vec<f64> = diagonal.iter().map(|pivot| pivot.signum()).collect();
        let triangle = DMatrix::from_fn(diagonal.len(), work.ncols(), |row, column| match column.cmp(&row) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => diagonal[row].abs(),
            std::cmp::Ordering::Greater => signs[row] * work[(row, column)],
        });
        Self { triangle, columns, reflections: Reflections { order, panels, signs } }
    }
}

/// The largest number of each row.
fn row_sizes(matrix: &DMatrix<f64>) -> Vec<f64> {
    let mut sizes = vec![0.0f64; matrix.nrows()];
    for column in matrix.column_iter() {
        for (size, number) in sizes.iter_mut().zip(column.iter()) {
            *size = size.max(number.abs());
        }
    }
    sizes
}

/// A factorisation under way.
struct Reduction {
    work: DMatrix<f64>,
    columns: Vec<usize>,
    /// Norms of what is left of the columns.
    norms: Vec<f64>,
    /// The triangle's diagonal so far.
    diagonal: Vec<f64>,
    tolerance: f64,
}

impl Reduction {
    fn new(work: DMatrix<f64>, tolerance: f64) -> Self {
        let norms = work.column_iter().map(|column| column.norm()).collect();
        Self { columns: (0..work.ncols()).collect(), norms, diagonal: Vec::new(), work, tolerance }
    }

    /// Reduces the next columns; `None` where nothing above the tolerance is left.
    fn panel(&mut self) -> Option<Panel> {
        let (n_rows, n_columns) = self.work.shape();
        let start = self.diagonal.len();
        let width = PANEL.min(n_rows.min(n_columns) - start);
        for place in start..start + width {
            self.bring(place, n_columns);
        }
        let outside = self.norms[start + width..].iter().copied().fold(0.0, f64::max);
        let least = self.tolerance.max(PIVOT_SHARE * outside);
        let mut factors = Vec::with_capacity(width);
        for place in start..start + width {
            self.bring(place, start + width);
            // The first is the largest of all: it need not stand beside others.
            let enough = if place == start { self.tolerance } else { least };
            if self.norms[place] <= enough {
                break;
            }
            factors.push(self.reflect(place, start + width));
        }
        if factors.is_empty() {
            return None;
        }
        let axes = DMatrix::from_fn(n_rows - start, factors.len(), |row, column| {
            if row < column { 0.0 } else { self.work[(start + row, start + column)] }
        });
        let panel = Panel { start, joint: joint(&axes, &factors), axes };
        let transposed = panel.axes.transpose();
        let end = start + panel.axes.ncols();
        let rest = &mut self.work.as_mut_slice()[n_rows * (start + width)..];
        for_columns(n_rows, rest, &mut self.norms[start + width..], |_, mut own, norms| {
            panel.apply(&transposed, &mut own, Direction::Back);
            for (norm, column) in norms.iter_mut().zip(own.column_iter()) {
                *norm = column.rows(end, n_rows - end).norm();
            }
        });
        Some(panel)
    }

    /// Swaps the column of largest norm before `end` to `place`.
    fn bring(&mut self, place: usize, end: usize) {
        let mut best = place;
        for other in place + 1..end {
            if self.norms[other] > self.norms[best] {
                best = other;
            }
        }
        if best != place {
            self.work.swap_columns(place, best);
            self.columns.swap(place, best);
            self.norms.swap(place, best);
        }
    }

    /// Reflects the column at `place` on its diagonal, and the columns before `end` with it; returns the reflection's factor.
    /// The column keeps the reflection's axis.
    fn reflect(&mut self, place: usize, end: usize) -> f64 {
        let n_left = self.work.nrows() - place;
        let (mut pivot, mut others) = self.work.columns_range_pair_mut(place..=place, place + 1..end);
        let mut axis = pivot.column_mut(0);
        let mut axis = axis.rows_mut(place, n_left);
        let (head, norm) = (axis[0], axis.norm());
        let reduced = if head > 0.0 { -norm } else { norm };
        self.diagonal.push(reduced);
        axis /= head - reduced;
        axis[0] = 1.0;
        let factor = (reduced - head) / reduced;
        for (column, norm) in others.column_iter_mut().zip(&mut self.norms[place + 1..end]) {
            let mut column = column;
            let mut own = column.rows_mut(place, n_left);
            let along = factor * axis.dot(&own);
            own.axpy(-along, &axis, 1.0);
            *norm = own.rows(1, n_left - 1).norm();
        }
        factor
    }
}

/// T of reflections I - f v v': f on its diagonal, and -f T (V'v) above it.
fn joint(axes: &DMatrix<f64>, factors: &[f64]) -> DMatrix<f64> {
    let products = axes.transpose() * axes;
    let n = factors.len();
    let mut joint = DMatrix::zeros(n, n);
    for (column, factor) in factors.iter().enumerate() {
        joint[(column, column)] = *factor;
        for row in 0..column {
            let along: f64 = (row..column).map(|k| joint[(row, k)] * products[(k, column)]).sum();
            joint[(row, column)] = -factor * along;
        }
    }
    joint
}

impl Panel {
    /// Applies the reflections to columns of full height; `transposed` is V'.
    fn apply(&self, transposed: &DMatrix<f64>, columns: &mut DMatrixViewMut<'_, f64>, direction: Direction) {
        let mut own = columns.rows_mut(self.start, self.axes.nrows());
        let along = transposed * &own;
        let along = match direction {
            Direction::Forward => &self.joint * along,
            Direction::Back => self.joint.tr_mul(&along),
        };
        own.gemm(-1.0, &self.axes, &along, 1.0);
    }
}

impl Reflections {
    /// Numbers that are kept.
    pub(super) fn n_numbers(&self) -> usize {
        self.panels.iter().map(|panel| panel.axes.len() + panel.joint.len()).sum()
    }

    /// What the reflections make of a right-hand side, in the rows of the triangle.
    pub(super) fn right(&self, right: &DVector<f64>) -> DVector<f64> {
        let mut right = DMatrix::from_iterator(right.len(), 1, self.order.iter().map(|row| right[*row]));
        for panel in &self.panels {
            panel.apply(&panel.axes.transpose(), &mut right.as_view_mut(), Direction::Back);
        }
        DVector::from_iterator(self.signs.len(), right.iter().zip(&self.signs).map(|(x, sign)| x * sign))
    }

    /// Q times a matrix with the triangle's rows: rows as those of the stack.
    pub(super) fn times(&self, matrix: &DMatrix<f64>) -> DMatrix<f64> {
        let n_rows = self.order.len();
        let mut sorted = DMatrix::zeros(n_rows, matrix.ncols());
        for (mut column, given) in sorted.column_iter_mut().zip(matrix.column_iter()) {
            for (row, sign) in self.signs.iter().enumerate() {
                column[row] = sign * given[row];
            }
        }
        for panel in self.panels.iter().rev() {
            let transposed = panel.axes.transpose();
            for_matrix(&mut sorted, |_, mut own| panel.apply(&transposed, &mut own, Direction::Forward));
        }
        let mut place = vec![0; n_rows];
        for (sorted, row) in self.order.iter().enumerate() {
            place[*row] = sorted;
        }
        sorted.select_rows(&place)
    }
}
