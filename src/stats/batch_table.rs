//! Moments of many consecutive batches of rows, found in parallel and kept side by side.

use super::row_moments::{MomentsView, RowMoments, STRIP, strip_moments};
use super::rows::Rows;

/// Moments of many batches, one after another.
#[derive(Debug, Clone, Default)]
pub(crate) struct BatchTable {
    pub(crate) width: usize,
    pub(crate) n: Vec<u64>,
    pub(crate) mean: Vec<f64>,
    pub(crate) var: Vec<f64>,
    pub(crate) min: Vec<f64>,
    pub(crate) max: Vec<f64>,
}

impl BatchTable {
    pub(crate) fn len(&self) -> usize {
        self.n.len()
    }

    pub(crate) fn view(&self, batch: usize) -> MomentsView<'_> {
        let range = batch * self.width..(batch + 1) * self.width;
        MomentsView {
            mean: &self.mean[range.clone()],
            var: &self.var[range.clone()],
            min: &self.min[range.clone()],
            max: &self.max[range],
        }
    }

    /// A table of one batch.
    pub(crate) fn set_single(&mut self, moments: &RowMoments) {
        self.width = moments.mean().len();
        self.n.clear();
        self.n.push(0);
        for column in [&mut self.mean, &mut self.var, &mut self.min, &mut self.max] {
            column.resize(moments.mean().len(), 0.0);
        }
        self.replace_first(moments);
    }

    /// Puts other moments in the first batch's place.
    pub(crate) fn replace_first(&mut self, moments: &RowMoments) {
        self.n[0] = moments.n();
        self.mean[..self.width].copy_from_slice(moments.mean());
        for (d, var) in self.var[..self.width].iter_mut().enumerate() {
            *var = moments.var(d);
        }
        self.min[..self.width].copy_from_slice(moments.min());
        self.max[..self.width].copy_from_slice(moments.max());
    }

    /// Moments of the batches that end at `ends` (rows, ascending; the first begins at row 0), in parallel;
    /// gives those of all rows together.
    pub(crate) fn of(rows: Rows<'_>, width: usize, ends: &[usize], table: &mut Self) -> RowMoments {
        use rayon::prelude::*;
        table.width = width;
        table.n.clear();
        table.n.extend(ends.iter().enumerate().map(|(i, end)| (end - start_of(ends, i)) as u64));
        let size = ends.len() * width;
        for column in [&mut table.mean, &mut table.var, &mut table.min, &mut table.max] {
            column.resize(size, 0.0);
        }
        // Enough work per task that handing it over does not show.
        let per_task = (1 << 14) / width.max(1) + 1;
        let columns = (table.mean.par_chunks_mut(per_task * width))
            .zip(table.var.par_chunks_mut(per_task * width))
            .zip(table.min.par_chunks_mut(per_task * width).zip(table.max.par_chunks_mut(per_task * width)));
        let tasks = columns.enumerate().map(|(task, ((mean, var), (min, max)))| {
            let mut together = RowMoments::empty(width);
            for i in 0..mean.len() / width {
                let batch = task * per_task + i;
                let range = i * width..(i + 1) * width;
                batch_moments(
                    rows.slice(start_of(ends, batch)..ends[batch], width),
                    &mut mean[range.clone()],
                    &mut var[range.clone()],
                    &mut min[range.clone()],
                    &mut max[range.clone()],
                );
                let view = MomentsView {
                    mean: &mean[range.clone()],
                    var: &var[range.clone()],
                    min: &min[range.clone()],
                    max: &max[range],
                };
                together.merge_batch((ends[batch] - start_of(ends, batch)) as u64, &view);
            }
            together
        });
        let tasks: Vec<RowMoments> = tasks.collect();
        let mut together = RowMoments::empty(width);
        tasks.iter().for_each(|task| together.merge(task));
        together
    }
}

fn start_of(ends: &[usize], batch: usize) -> usize {
    if batch == 0 { 0 } else { ends[batch - 1] }
}

fn batch_moments(rows: Rows<'_>, mean: &mut [f64], var: &mut [f64], min: &mut [f64], max: &mut [f64]) {
    match rows {
        Rows::F32(values) => typed_batch_moments(values, mean, var, min, max),
        Rows::F64(values) => typed_batch_moments(values, mean, var, min, max),
    }
}

fn typed_batch_moments<T: Copy + Into<f64>>(
    values: &[T],
    mean: &mut [f64],
    var: &mut [f64],
    min: &mut [f64],
    max: &mut [f64],
) {
    let width = mean.len();
    let n = values.len() / width;
    if n == 0 {
        mean.fill(0.0);
        var.fill(0.0);
        min.fill(f64::INFINITY);
        max.fill(f64::NEG_INFINITY);
    } else if n <= STRIP {
        strip_moments(values, mean, var);
        var.iter_mut().for_each(|v| *v /= n as f64);
        for (x, (min, max)) in values.iter().zip(min.iter_mut().zip(max.iter_mut())) {
            (*min, *max) = ((*x).into(), (*x).into());
        }
        for row in values.chunks_exact(width).skip(1) {
            for (x, (min, max)) in row.iter().zip(min.iter_mut().zip(max.iter_mut())) {
                let x: f64 = (*x).into();
                *min = if x < *min { x } else { *min };
                *max = if x > *max { x } else { *max };
            }
        }
    } else {
        let mut moments = RowMoments::empty(width);
        moments.add_values(values);
        mean.copy_from_slice(moments.mean());
        for (v, squares) in var.iter_mut().zip(&moments.squares) {
            *v = squares / n as f64;
        }
        min.copy_from_slice(moments.min());
        max.copy_from_slice(moments.max());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_batches_equals_each_batch() {
        let rows: Vec<f64> = (0..600).map(|i| f64::from(i * i % 97)).collect();
        let mut table = BatchTable::default();
        let ends = [1, 9, 9, 200, 300];
        BatchTable::of(Rows::F64(&rows), 2, &ends, &mut table);
        for (i, end) in ends.iter().enumerate() {
            let slice = Rows::F64(&rows).slice(start_of(&ends, i)..*end, 2);
            let alone = RowMoments::of(slice, 2);
            assert_eq!(table.n[i], alone.n());
            for d in 0..2 {
                assert!((table.view(i).mean[d] - alone.mean()[d]).abs() < 1e-12);
                assert!((table.view(i).var[d] - alone.var(d)).abs() < 1e-10);
            }
        }
    }
}
