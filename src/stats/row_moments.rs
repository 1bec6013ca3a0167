//! Moments of rows, per dimension.

use serde::{Deserialize, Serialize};

use super::rows::Rows;

/// Rows whose squares are summed before they are merged: their values stay in the first-level cache.
pub(super) const STRIP: usize = 128;

/// Values of one column whose squares are summed before they are merged.
const COLUMN_STRIP: usize = 1 << 11;

/// Values summed side by side, so that one addition need not wait for the one before.
const LANES: usize = 16;

/// Moments and extremes of one batch of rows, per dimension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MomentsView<'a> {
    pub(crate) mean: &'a [f64],
    pub(crate) var: &'a [f64],
    pub(crate) min: &'a [f64],
    pub(crate) max: &'a [f64],
}

/// Count, mean, sum of squares about the mean and extremes of rows, per dimension.
///
/// The empty value is the identity of [`RowMoments::merge`] on both sides.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RowMoments {
    n: u64,
    mean: Vec<f64>,
    pub(super) squares: Vec<f64>,
    min: Vec<f64>,
    max: Vec<f64>,
}

impl RowMoments {
    /// No rows.
    pub fn empty(width: usize) -> Self {
        Self {
            n: 0,
            mean: vec![0.0; width],
            squares: vec![0.0; width],
            min: vec![f64::INFINITY; width],
            max: vec![f64::NEG_INFINITY; width],
        }
    }

    /// Moments of `rows` by two passes over strips, merged.
    ///
    /// # Edge cases
    /// No rows give the empty moments; one row, or a constant, has squares exactly 0.
    pub fn of(rows: Rows<'_>, width: usize) -> Self {
        let mut moments = Self::empty(width);
        moments.add_rows(rows);
        moments
    }

    /// Adds rows.
    pub fn add_rows(&mut self, rows: Rows<'_>) {
        match rows {
            Rows::F32(values) => self.add_values(values),
            Rows::F64(values) => self.add_values(values),
        }
    }

    pub(super) fn add_values<T: Copy + Into<f64>>(&mut self, values: &[T]) {
        let width = self.mean.len();
        let (mut mean, mut squares) = (vec![0.0; width], vec![0.0; width]);
        for strip in values.chunks(STRIP * width) {
            strip_moments(strip, &mut mean, &mut squares);
            for row in strip.chunks_exact(width) {
                let extremes = self.min.iter_mut().zip(&mut self.max);
                for (x, (min, max)) in row.iter().zip(extremes) {
                    let x: f64 = (*x).into();
                    *min = if x < *min { x } else { *min };
                    *max = if x > *max { x } else { *max };
                }
            }
            self.merge_parts((strip.len() / width) as u64, &mean, &squares);
        }
    }

    /// Moments of rows whose dimensions lie apart, one column each; all of one length.
    pub fn of_columns(columns: &[Self]) -> Self {
        let gather = |pick: &dyn Fn(&Self) -> f64| columns.iter().map(pick).collect::<Vec<f64>>();
        Self {
            n: columns.first().map_or(0, |column| column.n),
            mean: gather(&|column| column.mean[0]),
            squares: gather(&|column| column.squares[0]),
            min: gather(&|column| column.min[0]),
            max: gather(&|column| column.max[0]),
        }
    }

    /// Moments of one dimension by two passes over strips in independent lanes.
    pub fn of_column<T: Copy + Into<f64>>(values: &[T]) -> Self {
        let mut moments = Self::empty(1);
        for strip in values.chunks(COLUMN_STRIP) {
            let shift: f64 = strip[0].into();
            let mut sums = [0.0f64; LANES];
            let (mut min, mut max) = ([shift; LANES], [shift; LANES]);
            for chunk in strip.chunks(LANES) {
                for (lane, x) in chunk.iter().enumerate() {
                    let x: f64 = (*x).into();
                    sums[lane] += x - shift;
                    min[lane] = if x < min[lane] { x } else { min[lane] };
                    max[lane] = if x > max[lane] { x } else { max[lane] };
                }
            }
            let mean = shift + sums.iter().sum::<f64>() / strip.len() as f64;
            let mut squares = [0.0f64; LANES];
            for chunk in strip.chunks(LANES) {
                for (lane, x) in chunk.iter().enumerate() {
                    let d = (*x).into() - mean;
                    squares[lane] += d * d;
                }
            }
            moments.merge_parts(strip.len() as u64, &[mean], &[squares.iter().sum()]);
            moments.min[0] = min.into_iter().fold(moments.min[0], f64::min);
            moments.max[0] = max.into_iter().fold(moments.max[0], f64::max);
        }
        moments
    }

    /// Rows.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Means.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Population variance of a dimension; 0 without rows.
    pub fn var(&self, dimension: usize) -> f64 {
        if self.n == 0 { 0.0 } else { self.squares[dimension] / self.n as f64 }
    }

    /// Population variances; 0 without rows.
    pub fn vars(&self) -> Vec<f64> {
        (0..self.mean.len()).map(|d| self.var(d)).collect()
    }

    /// Least values; infinity without rows.
    pub fn min(&self) -> &[f64] {
        &self.min
    }

    /// Greatest values; negative infinity without rows.
    pub fn max(&self) -> &[f64] {
        &self.max
    }

    /// Adds the rows of `other`.
    ///
    /// # Source
    /// Chan, Golub and LeVeque, STAN-CS-79-773, 1979.
    pub fn merge(&mut self, other: &Self) {
        self.merge_parts(other.n, &other.mean, &other.squares);
        for (mine, theirs) in self.min.iter_mut().zip(&other.min) {
            *mine = mine.min(*theirs);
        }
        for (mine, theirs) in self.max.iter_mut().zip(&other.max) {
            *mine = mine.max(*theirs);
        }
    }

    /// Adds a batch of `n` rows known by its moments and extremes.
    pub(crate) fn merge_batch(&mut self, n: u64, batch: &MomentsView<'_>) {
        if n == 0 {
            return;
        }
        let total = self.n + n;
        let share = n as f64 / total as f64;
        let cross = self.n as f64 * share;
        for d in 0..self.mean.len() {
            let delta = batch.mean[d] - self.mean[d];
            self.mean[d] += delta * share;
            self.squares[d] += batch.var[d] * n as f64 + delta * delta * cross;
            self.min[d] = self.min[d].min(batch.min[d]);
            self.max[d] = self.max[d].max(batch.max[d]);
        }
        self.n = total;
    }

    fn merge_parts(&mut self, n: u64, mean: &[f64], squares: &[f64]) {
        if n == 0 {
            return;
        }
        if self.n == 0 {
            self.n = n;
            self.mean.copy_from_slice(mean);
            self.squares.copy_from_slice(squares);
            return;
        }
        let total = self.n + n;
        let share = n as f64 / total as f64;
        let cross = self.n as f64 * share;
        let parts = mean.iter().zip(squares);
        for ((own_mean, own_squares), (mean, squares)) in
            self.mean.iter_mut().zip(&mut self.squares).zip(parts)
        {
            let delta = mean - *own_mean;
            *own_mean += delta * share;
            *own_squares += squares + delta * delta * cross;
        }
        self.n = total;
    }
}

/// Mean and sum of squares about it, of the rows of one strip.
pub(super) fn strip_moments<T: Copy + Into<f64>>(strip: &[T], mean: &mut [f64], squares: &mut [f64]) {
    let width = mean.len();
    let n = strip.len() / width;
    let (first, rest) = strip.split_at(width);
    for (m, x) in mean.iter_mut().zip(first) {
        *m = (*x).into();
    }
    squares.fill(0.0);
    if n == 1 {
        return;
    }
    // About the first row: a constant keeps its value to the bit, a large offset its digits.
    let mut shift = [0.0f64; 64];
    for start in (0..width).step_by(64) {
        let end = width.min(start + 64);
        let (shift, means, squares) =
            (&mut shift[..end - start], &mut mean[start..end], &mut squares[start..end]);
        shift.copy_from_slice(means);
        for row in rest.chunks_exact(width) {
            for ((sum, x), shift) in squares.iter_mut().zip(&row[start..end]).zip(&*shift) {
                *sum += (*x).into() - shift;
            }
        }
        for (m, sum) in means.iter_mut().zip(&mut *squares) {
            *m += *sum / n as f64;
            *sum = 0.0;
        }
        for row in strip.chunks_exact(width) {
            for ((sum, x), m) in squares.iter_mut().zip(&row[start..end]).zip(&*means) {
                let d = (*x).into() - m;
                *sum += d * d;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [f64; 8] = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];

    #[test]
    fn population_variance_by_hand() {
        let moments = RowMoments::of(Rows::F64(&VALUES), 1);
        assert_eq!((moments.n(), moments.mean()[0], moments.var(0)), (8, 5.0, 4.0));
        assert_eq!((moments.min()[0], moments.max()[0]), (2.0, 9.0));
    }

    #[test]
    fn rows_of_several_dimensions_and_many_strips() {
        let rows: Vec<f32> =
            (0..1000u16).flat_map(|i| [f32::from(i), 7.25, 1e6 + f32::from(i % 2)]).collect();
        let moments = RowMoments::of(Rows::F32(&rows), 3);
        assert!((moments.mean()[0] - 499.5).abs() < 1e-9);
        assert!((moments.var(0) - (1000.0 * 1000.0 - 1.0) / 12.0).abs() < 1e-7);
        assert_eq!((moments.mean()[1], moments.var(1)), (7.25, 0.0));
        assert!((moments.mean()[2] - 1_000_000.5).abs() < 1e-9 && (moments.var(2) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn columns_apart_equal_rows() {
        let rows: Vec<f64> = (0..9000).map(|i| f64::from(i * i % 1013) + 1e6 * f64::from(i % 2)).collect();
        let whole = RowMoments::of(Rows::F64(&rows), 2);
        let column = |d: usize| rows.iter().skip(d).step_by(2).copied().collect::<Vec<f64>>();
        let apart = RowMoments::of_columns(&[0, 1].map(|d| RowMoments::of_column(&column(d))));
        assert_eq!((apart.n(), apart.min(), apart.max()), (whole.n(), whole.min(), whole.max()));
        for d in 0..2 {
            assert!((apart.mean()[d] - whole.mean()[d]).abs() < 1e-9);
            assert!((apart.var(d) / whole.var(d) - 1.0).abs() < 1e-12);
        }
        assert_eq!(RowMoments::of_column::<f64>(&[]), RowMoments::empty(1));
        assert_eq!(RowMoments::of_column(&vec![7.25f32; 5000]).var(0), 0.0);
    }
}
