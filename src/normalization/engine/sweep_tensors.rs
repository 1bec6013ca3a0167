//! A sweep in burn's own tensor operations: for devices that run no kernels of ours.

use burn::tensor::{Bool, Device, Tensor};

use super::exchange::{LARGE_WEIGHT, Scaling};
use super::link::Link;
use super::sweep_buffers::{AVERAGED, REPLACES, SharedBatches, SweptTogether};
use crate::normalization::rule::Order;

/// Takes settings through the batches, one after the other; gives what the kernel gives, in the same order.
pub(super) fn sweep(shared: &SharedBatches, own: &SweptTogether, link: &Link) -> Tensor<1> {
    let size = [own.n_settings, shared.width];
    let n_values = own.n_settings * shared.width;
    let device = link.device();
    let carried = link.vector(own.carried.clone());
    let part = |k: usize| carried.clone().slice(k * n_values..(k + 1) * n_values).reshape(size);
    let zeros = || Tensor::<2>::zeros(size, device);
    let mut state = Swept {
        mean: part(0),
        mean_change: zeros(),
        var: part(1),
        var_change: zeros(),
        lately: Averages::none(size, device),
        earlier: Averages::none(size, device),
        clipped: zeros(),
    };
    let mut watch = shared.watched.map(|(first, close)| {
        let target = |k: usize| {
            shared.shift.clone().slice(k * shared.width..(k + 1) * shared.width).reshape([1, shared.width])
        };
        Watch {
            first,
            close,
            target: target(0),
            tolerance: target(1),
            inverse_var: target(2),
            shifted: target(3).expand(size).greater_elem(0.5),
            mean_at: part(2),
            var_at: part(3),
            least: part(4),
            greatest: part(5),
        }
    });
    let row = |plane: usize, batch: usize| -> Tensor<2> {
        let start = (plane * shared.n_batches() + batch) * shared.width;
        shared.moments.clone().slice(start..start + shared.width).reshape([1, shared.width])
    };
    for batch in 0..shared.n_batches() {
        let rows = shared.starts[batch]..shared.starts[batch + 1];
        let in_use = |state: &mut Swept| {
            state.use_for(rows.len());
            if shared.counts_clipped && !rows.is_empty() {
                let values = shared.values.clone().slice(rows.start * shared.width..rows.end * shared.width);
                state.count(&values.reshape([1, rows.len(), shared.width]), &shared.scaling);
            }
        };
        if shared.scaling.order == Order::NormalizeFirst {
            in_use(&mut state);
        }
        let (weights, rests) = own.of_batch(batch, shared.n_batches());
        let column = |values: Vec<f32>| link.vector(values).reshape([own.n_settings, 1]).expand(size);
        state.enter(&row(0, batch), &row(1, batch), &column(weights), &column(rests));
        if shared.scaling.order == Order::UpdateFirst {
            in_use(&mut state);
        }
        if batch % AVERAGED == AVERAGED - 1 {
            state.fold();
        }
        if let Some(watch) = watch.as_mut().filter(|watch| batch >= watch.first) {
            watch.look(&state, batch);
        }
    }
    state.fold();
    let Swept { mean, mean_change, var, var_change, earlier, clipped, .. } = state;
    let mut found = vec![mean, mean_change, var, var_change, earlier.mean, earlier.var, clipped];
    found.extend(
        watch.into_iter().flat_map(|watch| [watch.mean_at, watch.var_at, watch.least, watch.greatest]),
    );
    Tensor::cat(found.into_iter().map(|tensor| tensor.reshape([-1])).collect::<Vec<Tensor<1>>>(), 0)
}

impl SweptTogether {
    /// What a batch weighs under each setting, and what it leaves.
    fn of_batch(&self, batch: usize, n_batches: usize) -> (Vec<f32>, Vec<f32>) {
        let place = |(setting, table): (usize, &i32)| {
            usize::try_from(*table).map_or(setting, |table| self.n_settings + table * n_batches + batch)
        };
        let places: Vec<usize> = self.tables.iter().enumerate().map(place).collect();
        let of = |values: &[f32]| places.iter().map(|place| values[*place]).collect();
        (of(&self.weights), of(&self.rests))
    }
}

/// States about the origin: where they began, and how far they have come since.
struct Swept {
    mean: Tensor<2>,
    mean_change: Tensor<2>,
    var: Tensor<2>,
    var_change: Tensor<2>,
    /// In use over the last few batches, and before those.
    lately: Averages,
    earlier: Averages,
    clipped: Tensor<2>,
}

/// States in use, averaged over rows.
#[derive(Clone)]
struct Averages {
    mean: Tensor<2>,
    var: Tensor<2>,
    n: usize,
}

impl Averages {
    fn none(size: [usize; 2], device: &Device) -> Self {
        Self { mean: Tensor::zeros(size, device), var: Tensor::zeros(size, device), n: 0 }
    }

    fn add(&mut self, mean: Tensor<2>, var: Tensor<2>, n: usize) {
        if n == 0 {
            return;
        }
        self.n += n;
        let share = n as f32 / self.n as f32;
        self.mean = self.mean.clone() + (mean - self.mean.clone()) * share;
        self.var = self.var.clone() + (var - self.var.clone()) * share;
    }
}

impl Swept {
    fn center(&self) -> Tensor<2> {
        self.mean.clone() + self.mean_change.clone()
    }

    fn spread(&self) -> Tensor<2> {
        self.var.clone() + self.var_change.clone()
    }

    fn enter(&mut self, mean: &Tensor<2>, var: &Tensor<2>, weight: &Tensor<2>, rest: &Tensor<2>) {
        let delta = mean.clone() - self.mean.clone() - self.mean_change.clone();
        let spread = delta.clone() * delta.clone();
        let own = self.spread();
        let is_large = weight.clone().greater_elem(LARGE_WEIGHT);
        let large =
            rest.clone() * (own.clone() + weight.clone() * spread.clone()) + weight.clone() * var.clone();
        let small = self.var_change.clone() + weight.clone() * (rest.clone() * spread + var.clone() - own);
        self.var = self.var.clone().mask_where(is_large.clone(), large);
        self.var_change = small.mask_fill(is_large, 0.0);
        let replaces = weight.clone().greater_elem(REPLACES);
        let small = self.mean_change.clone() + weight.clone() * delta.clone();
        self.mean = self.mean.clone().mask_where(replaces.clone(), mean.clone() - rest.clone() * delta);
        self.mean_change = small.mask_fill(replaces, 0.0);
    }

    fn use_for(&mut self, n: usize) {
        let (mean, var) = (self.center(), self.spread());
        self.lately.add(mean, var, n);
    }

    /// An average of averages: 32 bits round a hundred times where they would thousands of times.
    fn fold(&mut self) {
        let none = Averages::none(self.mean.dims(), &self.mean.device());
        let Averages { mean, var, n } = std::mem::replace(&mut self.lately, none);
        self.earlier.add(mean, var, n);
    }

    /// Adds the values of these rows (1 x n_rows x width) at or beyond the clip.
    fn count(&mut self, values: &Tensor<3>, scaling: &Scaling) {
        let [n_settings, width] = self.mean.dims();
        let divisor = (self.spread() + scaling.inside_root).sqrt().clamp(scaling.min, scaling.max)
            + scaling.outside_root;
        // Nothing to divide by: values pass through.
        let is_zero = divisor.clone().equal_elem(0.0);
        let inverse = divisor.mask_fill(is_zero, 1.0).recip().reshape([n_settings, 1, width]);
        let centered = values.clone() - self.center().reshape([n_settings, 1, width]);
        let reaches = (centered * inverse).abs().greater_equal_elem(scaling.clip).float();
        self.clipped = self.clipped.clone() + reaches.sum_dim(1).reshape([n_settings, width]);
    }
}

/// What is seen behind a shift.
struct Watch {
    first: usize,
    close: f32,
    target: Tensor<2>,
    tolerance: Tensor<2>,
    inverse_var: Tensor<2>,
    shifted: Tensor<2, Bool>,
    mean_at: Tensor<2>,
    var_at: Tensor<2>,
    least: Tensor<2>,
    greatest: Tensor<2>,
}

impl Watch {
    fn look(&mut self, state: &Swept, batch: usize) {
        let size = state.mean.dims();
        let number = (batch + 1) as f32;
        let is_known = self.inverse_var.clone().expand(size).greater_elem(0.0);
        let ratio = state.spread() * self.inverse_var.clone();
        let least = self.least.clone().min_pair(ratio.clone());
        self.least = self.least.clone().mask_where(is_known.clone(), least);
        let greatest = self.greatest.clone().max_pair(ratio.clone());
        self.greatest = self.greatest.clone().mask_where(is_known.clone(), greatest);
        let distance = (state.mean.clone() - self.target.clone() + state.mean_change.clone()).abs();
        let arrives = distance.lower_equal(self.tolerance.clone().expand(size));
        let is_open = self.mean_at.clone().equal_elem(0.0);
        let arrives = arrives.bool_and(is_open).bool_and(self.shifted.clone()).bool_and(is_known.clone());
        self.mean_at = self.mean_at.clone().mask_fill(arrives, number);
        let has_mean = self.shifted.clone().bool_not().bool_or(self.mean_at.clone().not_equal_elem(0.0));
        let is_near = (ratio - 1.0).abs().lower_equal_elem(self.close);
        let is_open = self.var_at.clone().equal_elem(0.0);
        let arrives = is_near.bool_and(has_mean).bool_and(is_open).bool_and(is_known);
        self.var_at = self.var_at.clone().mask_fill(arrives, number);
    }
}
