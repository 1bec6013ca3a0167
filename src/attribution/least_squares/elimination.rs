//! Weighted least squares whose weights lie hundreds of orders of magnitude apart.
//!
//! # Method
//! Rows come heaviest first, in blocks of nearly equal weight. What is known so far is a triangle R x = c with rows
//! of their own scale; a block is put below it and both are factorised together by Householder reflections with
//! column pivoting, rows in order of falling size: row by row backward stable (Cox and Higham), so light rows keep
//! their digits beside heavy ones. What a block leaves behind below rounding *of its own rows* is dependent on heavier
//! rows and dropped before lighter rows come. So the rank is judged on rows of one scale, whatever their weights.
//!
//! A row of the triangle [`FIXING_RATIO`] times heavier than the rows to come cannot be moved by them within f64: it is
//! turned into an equation x_fixed = g - E x_free and substituted in all later rows. Every number stays within
//! range for any number of players.
//!
//! # Source
//! Powell and Reid, *IFIP Congress 68*, 1969; Cox and Higham, *Stability of Householder QR factorization for weighted
//! least squares problems*, 1998; Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., 2002, section 20.

use std::ops::Range;

use nalgebra::{DMatrix, DVector};

use super::differences::Differences;
use super::factors::{Factors, Reflections};
use super::products::{add_product, solve_upper, solve_upper_transposed};
use super::rows::InnerRows;

/// A row this much heavier than another moves by less than its own rounding: what moves it is the ratio's square.
const FIXING_RATIO: f64 = 1e9;

/// Largest ratio of weights mu within a block: residuals of its heaviest rows cost its lightest this factor of rounding.
const BLOCK_RATIO: f64 = 1024.0;

/// Rows of a block, unless there are more unknowns.
const BLOCK_ROWS: usize = 1024;

/// Numbers of Q that are kept (128 MiB); beyond, it is made anew where that takes less room.
const KEPT_NUMBERS: usize = 1 << 24;

/// Rounding of one entry through a reflection, in the worst of the usual cases.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// The unknowns as rows so far determine them.
#[derive(Debug, Clone)]
struct State {
    /// Unknowns, those that are fixed first, in the order they were.
    order: Vec<usize>,
    /// E: how fixed unknowns depend on the free ones.
    dependence: DMatrix<f64>,
    /// g: fixed unknowns where the free ones are 0.
    constants: DVector<f64>,
    /// R, of the free unknowns.
    triangle: DMatrix<f64>,
    /// c.
    right: DVector<f64>,
    /// The class whose weight is 1 in R.
    class: usize,
}

/// A weighted fit, with the steps that led to it.
#[derive(Debug)]
pub(super) struct Elimination {
    state: State,
    steps: Vec<Step>,
    /// Numbers of Q in `steps`.
    n_kept: usize,
}

#[derive(Debug)]
enum Step {
    /// The first rows of the triangle became equations.
    Fixed {
        /// R of the unknowns that were fixed.
        triangle: DMatrix<f64>,
        /// How those fixed before depended on them.
        dependence: DMatrix<f64>,
    },
    /// The triangle was multiplied.
    Scaled(f64),
    /// A block of rows was taken in.
    Absorbed { rows: Range<usize>, origin: Origin },
}

/// Where Q of a block comes from when it is needed again.
#[derive(Debug)]
enum Origin {
    Reflections(Reflections),
    State(Box<State>),
}

impl Elimination {
    /// Takes in all rows.
    pub(super) fn new(rows: &InnerRows, basis: &Differences) -> Self {
        let unknowns = basis.dimension();
        let state = State {
            order: (0..unknowns).collect(),
            dependence: DMatrix::zeros(0, unknowns),
            constants: DVector::zeros(0),
            triangle: DMatrix::zeros(0, unknowns),
            right: DVector::zeros(0),
            class: 1,
        };
        let mut fit = Self { state, steps: Vec::new(), n_kept: 0 };
        let limit = BLOCK_ROWS.max(2 * unknowns);
        let mut start = 0;
        while start < rows.len() {
            let end = rows.block_end(start, limit, BLOCK_RATIO);
            fit.change_scale(rows, rows.class(start));
            if fit.state.n_free() == 0 {
                break;
            }
            fit.absorb(rows, basis, start..end);
            start = end;
        }
        fit.fix(fit.state.triangle.nrows());
        fit
    }

    /// Unknowns determined by the rows.
    pub(super) fn rank(&self) -> usize {
        self.state.n_fixed()
    }

    /// The fitted unknowns; those left undetermined are 0.
    pub(super) fn solution(&self) -> Vec<f64> {
        let mut x = vec![0.0; self.state.order.len()];
        for (unknown, value) in self.state.order.iter().zip(self.state.constants.iter()) {
            x[*unknown] = *value;
        }
        x
    }

    /// A basis of what the rows cannot see, one direction per column.
    pub(super) fn null_space(&self) -> DMatrix<f64> {
        let (rank, unseen) = (self.state.n_fixed(), self.state.n_free());
        let mut null = DMatrix::zeros(rank + unseen, unseen);
        for (place, unknown) in self.state.order.iter().enumerate() {
            for direction in 0..unseen {
                null[(*unknown, direction)] = if place < rank {
                    -self.state.dependence[(place, direction)]
                } else {
                    f64::from(u8::from(place - rank == direction))
                };
            }
        }
        null
    }

    /// Makes the weight of `class` the unit, and equations of the rows that are too heavy to be moved by it.
    fn change_scale(&mut self, rows: &InnerRows, class: usize) {
        let scale = rows.relative_weight(self.state.class, class).sqrt().recip();
        let triangle = &self.state.triangle;
        let is_settled = |row: &usize| triangle[(*row, *row)] * scale >= FIXING_RATIO;
        self.fix((0..triangle.nrows()).take_while(is_settled).count());
        let is_lighter = class > std::mem::replace(&mut self.state.class, class);
        if is_lighter && self.state.triangle.nrows() > 0 {
            self.state.triangle *= scale;
            self.state.right *= scale;
            self.steps.push(Step::Scaled(scale));
        }
    }

    /// Turns the first `count` rows of the triangle into equations.
    fn fix(&mut self, count: usize) {
        if count > 0 {
            self.steps.push(self.state.fix(count));
        }
    }

    /// Puts a block of rows below the triangle and factorises both.
    fn absorb(&mut self, rows: &InnerRows, basis: &Differences, block: Range<usize>) {
        let Stack { design, right, tolerance } = Stack::new(&self.state, rows, basis, block.clone());
        let Factors { triangle, columns, reflections } = Factors::new(design, tolerance);
        let right = reflections.right(&right);
        let n_numbers = reflections.n_numbers();
        let is_smaller = n_numbers <= self.state.triangle.len() + self.state.dependence.len();
        let origin = if is_smaller || self.n_kept + n_numbers <= KEPT_NUMBERS {
            self.n_kept += n_numbers;
            Origin::Reflections(reflections)
        } else {
            Origin::State(Box::new(self.state.clone()))
        };
        self.state.permute_free(&columns);
        self.state.triangle = triangle;
        self.state.right = right;
        self.steps.push(Step::Absorbed { rows: block, origin });
    }

    /// The fit is linear in the deviations: x = sum over rows of (row of C) times its deviation. Hands out C in
    /// blocks of rows, of whatever rows have any influence.
    ///
    /// # Method
    /// The steps backwards: each hands on how the solution depends on what it was given.
    pub(super) fn coefficients(
        &self,
        rows: &InnerRows,
        basis: &Differences,
        mut each: impl FnMut(Range<usize>, &DMatrix<f64>),
    ) {
        let unknowns = self.state.order.len();
        let mut of_constants = DMatrix::zeros(self.rank(), unknowns);
        for (place, unknown) in self.state.order.iter().take(self.rank()).enumerate() {
            of_constants[(place, *unknown)] = 1.0;
        }
        let mut of_right = DMatrix::zeros(0, unknowns);
        for step in self.steps.iter().rev() {
            match step {
                Step::Fixed { triangle, dependence } => {
                    let (before, count) = dependence.shape();
                    let mut own = of_constants.rows(before, count).into_owned();
                    of_constants = of_constants.rows(0, before).into_owned();
                    add_product(&mut own, -1.0, &dependence.transpose(), &of_constants);
                    solve_upper_transposed(triangle, &mut own);
                    of_right = stacked(&own, &of_right);
                }
                Step::Scaled(scale) => of_right *= *scale,
                Step::Absorbed { rows: block, origin } => {
                    let of_stack = match origin {
                        Origin::Reflections(reflections) => reflections.times(&of_right),
                        Origin::State(state) => {
                            let stack = Stack::new(state, rows, basis, block.clone());
                            Factors::new(stack.design, stack.tolerance).reflections.times(&of_right)
                        }
                    };
                    let n_old = of_stack.nrows() - block.len();
                    of_right = of_stack.rows(0, n_old).into_owned();
                    let mut of_values = of_stack.rows(n_old, block.len()).into_owned();
                    drop(of_stack);
                    let roots: Vec<f64> = roots(rows, block.clone()).collect();
                    for mut column in of_values.column_iter_mut() {
                        column.iter_mut().zip(&roots).for_each(|(cell, root)| *cell *= root);
                    }
                    let known = &self.state.order[..of_constants.nrows()];
                    let z_known = basis.matrix(rows.masks(block.clone()), known);
                    add_product(&mut of_constants, -1.0, &z_known.transpose(), &of_values);
                    each(block.clone(), &of_values);
                }
            }
        }
    }
}

impl State {
    fn n_free(&self) -> usize {
        self.triangle.ncols()
    }

    fn n_fixed(&self) -> usize {
        self.order.len() - self.n_free()
    }

    /// Turns the first `count` rows of the triangle into equations.
    fn fix(&mut self, count: usize) -> Step {
        let (n_rows, n_free) = self.triangle.shape();
        let triangle = self.triangle.view((0, 0), (count, count)).into_owned();
        let beside = self.triangle.view((0, count), (count, n_free - count)).into_owned();
        let mut own = beside;
        solve_upper(&triangle, &mut own);
        let own_constants =
            triangle.solve_upper_triangular_unchecked(&self.right.rows(0, count).into_owned());
        let before = self.dependence.columns(0, count).into_owned();
        let mut others = self.dependence.columns(count, n_free - count).into_owned();
        add_product(&mut others, -1.0, &before, &own);
        self.dependence = stacked(&others, &own);
        self.constants.gemv(-1.0, &before, &own_constants, 1.0);
        self.constants.extend(own_constants.iter().copied());
        self.right = self.right.rows(count, n_rows - count).into_owned();
        self.triangle = self.triangle.view((count, count), (n_rows - count, n_free - count)).into_owned();
        Step::Fixed { triangle, dependence: before }
    }

    /// Puts the free unknowns in the order of `columns`.
    fn permute_free(&mut self, columns: &[usize]) {
        let n_fixed = self.n_fixed();
        let before = self.order[n_fixed..].to_vec();
        for (place, column) in columns.iter().enumerate() {
            self.order[n_fixed + place] = before[*column];
        }
        self.dependence = self.dependence.select_columns(columns);
    }
}

/// The triangle and a block of weighted rows below it, fixed unknowns substituted.
struct Stack {
    design: DMatrix<f64>,
    right: DVector<f64>,
    /// What rounding can leave of rows that depend on heavier ones.
    tolerance: f64,
}

impl Stack {
    fn new(state: &State, rows: &InnerRows, basis: &Differences, block: Range<usize>) -> Self {
        let n_old = state.triangle.nrows();
        let (known, free) = state.order.split_at(state.n_fixed());
        let z_known = basis.matrix(rows.masks(block.clone()), known);
        let mut reduced = basis.matrix(rows.masks(block.clone()), free);
        let mut values = DVector::from_iterator(block.len(), block.clone().map(|row| rows.deviation(row)));
        add_product(&mut reduced, -1.0, &z_known, &state.dependence);
        values.gemv(-1.0, &z_known, &state.constants, 1.0);

        let mut design = DMatrix::zeros(n_old + block.len(), free.len());
        let mut right = DVector::zeros(n_old + block.len());
        design.rows_mut(0, n_old).copy_from(&state.triangle);
        right.rows_mut(0, n_old).copy_from(&state.right);
        let largest = state.dependence.column_iter().map(|column| column.norm()).fold(0.0, f64::max);
        let roots: Vec<f64> = roots(rows, block).collect();
        let mut size = 0.0f64;
        for (row, root) in roots.iter().enumerate() {
            right[n_old + row] = values[row] * root;
            size = size.max(root * (1.0 + z_known.row(row).norm() * largest));
        }
        for (mut column, reduced) in design.column_iter_mut().zip(reduced.column_iter()) {
            let cells = column.iter_mut().skip(n_old).zip(reduced.iter()).zip(&roots);
            cells.for_each(|((cell, reduced), root)| *cell = reduced * root);
        }
        let tolerance = ROUNDING * (design.len() as f64).sqrt() * size;
        Self { design, right, tolerance }
    }
}

/// Square roots of the weights of a block's rows, that of the first being 1.
fn roots(rows: &InnerRows, block: Range<usize>) -> impl Iterator<Item = f64> {
    let first = rows.class(block.start);
    block.map(move |row| rows.relative_weight(first, rows.class(row)).sqrt())
}

fn stacked(top: &DMatrix<f64>, below: &DMatrix<f64>) -> DMatrix<f64> {
    let mut both = DMatrix::zeros(top.nrows() + below.nrows(), top.ncols());
    both.rows_mut(0, top.nrows()).copy_from(top);
    both.rows_mut(top.nrows(), below.nrows()).copy_from(below);
    both
}
