//! Tiles in burn's own tensor operations: for devices that run no kernels of ours.

use burn::tensor::{Int, Tensor};

use super::exchange::{LARGE_WEIGHT, Scaling, TileOutput, TileValues, single};
use super::link::Link;
use crate::normalization::rule::Order;
use crate::normalization::tile_layout::{BatchUse, Layout, RowWeights};

/// Rows of all tiles, padded to the longest: n_tiles x n_rows x width.
pub(super) struct PaddedRows {
    layout: Layout,
    weights: RowWeights,
    values: Tensor<3>,
    link: Link,
    /// Rows of the longest tile.
    longest: usize,
}

impl PaddedRows {
    /// Copies rows to the device; short tiles repeat their last row.
    pub(super) fn new(values: Vec<f32>, width: usize, layout: &Layout, link: &Link) -> Self {
        Self {
            values: Self::padded(values, width, layout, link),
            weights: layout.row_weights(),
            layout: layout.clone(),
            link: link.clone(),
            longest: longest(layout),
        }
    }

    /// Rows as they lie on the device.
    pub(super) fn padded(values: Vec<f32>, width: usize, layout: &Layout, link: &Link) -> Tensor<3> {
        let (n_tiles, longest) = (layout.n_tiles(), longest(layout));
        let n_rows = values.len() / width;
        let rows: Tensor<2> = link.vector(values).reshape([n_rows, width]);
        let rows = if n_tiles * longest == n_rows {
            rows
        } else {
            let index = (0..n_tiles).flat_map(|tile| {
                let rows = layout.rows(tile);
                (0..longest).map(move |i| (rows.start + i).min(rows.end - 1))
            });
            rows.select(0, indices(index, link))
        };
        rows.reshape([n_tiles, longest, width])
    }

    fn width(&self) -> usize {
        self.values.dims()[2]
    }

    /// One number per padded row, as n_tiles x longest x 1; `pad` beyond a tile's end.
    fn per_row(&self, pad: f32, of_row: impl Fn(usize) -> f32) -> Tensor<3> {
        let n_tiles = self.layout.n_tiles();
        let numbers = (0..n_tiles).flat_map(|tile| {
            let rows = self.layout.rows(tile);
            let of_row = &of_row;
            (0..self.longest).map(move |i| if i < rows.len() { of_row(rows.start + i) } else { pad })
        });
        self.link.vector(numbers.collect()).reshape([n_tiles, self.longest, 1])
    }

    /// The share of each padded row.
    pub(super) fn weights(&self) -> Tensor<1> {
        flat(self.per_row(0.0, |row| self.weights.shares[row]))
    }

    /// Moments of all tiles about their last rows, and extremes.
    ///
    /// # Formula
    /// With b the final share of each row: `mean = sum b (x - z)`, `var = sum b (x - z - mean)^2`, z the last row.
    pub(super) fn moments(&self) -> Tensor<1> {
        // Short tiles repeat their last row: it is the last one of all.
        let origin = self.values.clone().slice([0..self.layout.n_tiles(), self.longest - 1..self.longest]);
        let offsets = self.values.clone() - origin;
        let mixture = self.final_shares();
        let sizes: Vec<f32> = (0..self.layout.n_tiles())
            .flat_map(|tile| {
                let rows = self.layout.rows(tile);
                let share = 1.0 / rows.len() as f32;
                rows.map(move |_| share)
            })
            .collect();
        let moments = |weights: Tensor<3>| {
            let mean = (offsets.clone() * weights.clone()).sum_dim(1);
            let about = offsets.clone() - mean.clone();
            let var = (about.clone() * about * weights).sum_dim(1);
            (mean, var)
        };
        let (mean, var) = moments(self.per_row(0.0, |row| mixture[row]));
        let (row_mean, row_var) = moments(self.per_row(0.0, |row| sizes[row]));
        let (min, max) = (self.values.clone().min_dim(1), self.values.clone().max_dim(1));
        Tensor::cat(vec![mean, var, row_mean, row_var, min, max].into_iter().map(flat).collect(), 0)
    }

    /// The share of each row in its tile's mixture once the tile is whole.
    #[expect(clippy::cast_possible_truncation, reason = "the device computes at 32 bits")]
    fn final_shares(&self) -> Vec<f32> {
        let mut shares = vec![0.0f32; self.weights.shares.len()];
        for tile in 0..self.layout.n_tiles() {
            let mut left = 1.0f64;
            for row in self.layout.rows(tile).rev() {
                shares[row] = (f64::from(self.weights.shares[row]) * left) as f32;
                left *= f64::from(self.weights.share_rests[row]);
            }
        }
        shares
    }

    /// Normalized values of all rows, row after row, and counts of values at or beyond the clip.
    pub(super) fn normalize(
        &self,
        input: Option<&Tensor<3>>,
        states: &Tensor<2>,
        is_plain: bool,
        scaling: &Scaling,
        output: TileOutput,
    ) -> TileValues {
        let (n_tiles, width) = (self.layout.n_tiles(), self.width());
        let part =
            |k: usize| states.clone().slice([k..k + 1, 0..n_tiles * width]).reshape([n_tiles, 1, width]);
        let offsets = self.values.clone() - part(0);
        let center = if is_plain { part(1) } else { part(4) };
        let (centers, inverses) = if self.layout.stands_still() {
            (center, part(3))
        } else {
            let places = (!is_plain).then(|| Places { reach: part(5), input_distance: part(7) });
            let before = Before { mean: part(1), var: part(2), center, inverse: part(3), places };
            self.scalings(&offsets, before, scaling)
        };
        let offsets = input.map_or(offsets, |input| input.clone() - part(6));
        let values = (offsets - centers) * inverses;
        let is_real = self.per_row(0.0, |_| 1.0);
        let clipped = (values.clone().abs().greater_equal_elem(scaling.clip).float() * is_real).sum_dim(1);
        let values = (output == TileOutput::ValuesAndCounts).then(|| {
            let bounded: Tensor<2> =
                values.clamp(-scaling.clip, scaling.clip).reshape([n_tiles * self.longest, width]);
            if n_tiles * self.longest == self.layout.n_rows() {
                return bounded.reshape([-1]);
            }
            let kept = (0..n_tiles)
                .flat_map(|tile| (0..self.layout.rows(tile).len()).map(move |i| tile * self.longest + i));
            bounded.select(0, indices(kept, &self.link)).reshape([-1])
        });
        TileValues { values, clipped: flat(clipped) }
    }

    /// What each row is normalized with: the state goes through the rows of all tiles at once.
    fn scalings(&self, offsets: &Tensor<3>, before: Before, scaling: &Scaling) -> (Tensor<3>, Tensor<3>) {
        let (n_tiles, width) = (self.layout.n_tiles(), self.width());
        let weights = self.per_row(0.0, |row| self.weights.weights[row]);
        let rests = self.per_row(1.0, |row| self.weights.weight_rests[row]);
        let in_use = self.rows_in_use();
        let Before { mean, var, center, inverse, places } = before;
        let constant = center.clone();
        let (mut mean, mut running) = (mean, var);
        let (mut centers, mut inverses) = (vec![center], vec![inverse]);
        for row in 0..self.longest {
            let at = [0..n_tiles, row..row + 1];
            let (weight, rest) = (weights.clone().slice(at.clone()), rests.clone().slice(at.clone()));
            let offset = offsets.clone().slice(at.clone());
            let delta = offset.clone() - mean.clone();
            // What is all but replaced leaves no rounding behind; small weights go in small steps.
            let replaces = weight.clone().greater_elem(0.5).expand([n_tiles, 1, width]);
            mean = (mean + weight.clone() * delta.clone())
                .mask_where(replaces, offset - rest.clone() * delta.clone());
            let spread = delta.clone() * delta;
            let is_large = weight.clone().greater_elem(LARGE_WEIGHT).expand([n_tiles, 1, width]);
            let large = rest.clone() * (running.clone() + weight.clone() * spread.clone());
            let small = running.clone() + weight * (rest * spread - running);
            running = small.mask_where(is_large, large);
            let (mut used_mean, mut used_var) = (mean.clone(), running.clone());
            if let (Some(RowsInUse { unbias, odds, prior }), Some(places)) = (&in_use, &places) {
                let here = |numbers: &Tensor<3>| numbers.clone().slice(at.clone());
                let reach = mean.clone() + places.reach.clone();
                used_mean = used_mean + here(odds) * single(scaling.initial_mean);
                used_var = here(unbias)
                    * (used_var
                        + here(odds) * single(scaling.initial_var)
                        + here(prior) * reach.clone() * reach);
            }
            centers.push(match &places {
                _ if !scaling.centers => constant.clone(),
                Some(places) => used_mean + places.input_distance.clone(),
                None => used_mean,
            });
            inverses.push(inverse_divisor(used_var, scaling));
        }
        let index = indices(self.states_used(scaling.order), &self.link);
        let pick = |states: Vec<Tensor<3>>| {
            let states: Tensor<2> = Tensor::cat(states, 1).reshape([n_tiles * (self.longest + 1), width]);
            states.select(0, index.clone()).reshape([n_tiles, self.longest, width])
        };
        (pick(centers), pick(inverses))
    }

    /// How the state in use follows from the one carried, after each row; `None` where it is that one.
    fn rows_in_use(&self) -> Option<RowsInUse> {
        let layout = &self.layout;
        if layout.batches.iter().all(|batch| batch.in_use == BatchUse::PLAIN) {
            return None;
        }
        let starts = std::iter::once(0).chain(layout.ends.iter().copied());
        let rows: Vec<BatchUse> = starts
            .zip(&layout.ends)
            .zip(&layout.batches)
            .flat_map(|((start, end), batch)| (start..*end).map(|_| batch.in_use))
            .collect();
        Some(RowsInUse {
            unbias: self.per_row(1.0, |row| single(rows[row].unbias)),
            odds: self.per_row(0.0, |row| single(rows[row].odds)),
            prior: self.per_row(0.0, |row| single(rows[row].prior)),
        })
    }

    /// For each padded row, which of its tile's states it is normalized with: 0 is the one before the tile, i + 1
    /// the one after row i.
    fn states_used(&self, order: Order) -> Vec<usize> {
        let mut used = Vec::with_capacity(self.layout.n_tiles() * self.longest);
        for tile in 0..self.layout.n_tiles() {
            let (rows, base) = (self.layout.rows(tile), tile * (self.longest + 1));
            let mut state = 0;
            let mut states = vec![0; self.longest];
            let mut first = 0;
            for (i, row) in rows.enumerate() {
                states[i] = state;
                if self.weights.ends[row] {
                    // Tiles within a batch (weight 0) leave the state before the tile in place.
                    state = if self.weights.weights[row] > 0.0 { i + 1 } else { state };
                    if order == Order::UpdateFirst {
                        states[first..=i].fill(state);
                    }
                    first = i + 1;
                }
            }
            used.extend(states.into_iter().map(|state| base + state));
        }
        used
    }
}

/// States before all tiles, n_tiles x 1 x width each.
struct Before {
    mean: Tensor<3>,
    var: Tensor<3>,
    center: Tensor<3>,
    inverse: Tensor<3>,
    places: Option<Places>,
}

/// Where tiles lie: their origin less the initial mean, and that less the origin of the rows normalized.
struct Places {
    reach: Tensor<3>,
    input_distance: Tensor<3>,
}

/// [`BatchUse`] of the batch of each row, n_tiles x longest x 1 each.
struct RowsInUse {
    unbias: Tensor<3>,
    odds: Tensor<3>,
    prior: Tensor<3>,
}

/// Rows of the longest tile.
fn longest(layout: &Layout) -> usize {
    (0..layout.n_tiles()).map(|tile| layout.rows(tile).len()).max().unwrap_or(0)
}

fn inverse_divisor(var: Tensor<3>, scaling: &Scaling) -> Tensor<3> {
    let divisor = (var + scaling.inside_root).sqrt().clamp(scaling.min, scaling.max) + scaling.outside_root;
    // Nothing to divide by: values pass through.
    let is_zero = divisor.clone().equal_elem(0.0);
    divisor.mask_fill(is_zero, 1.0).recip()
}

fn flat(tensor: Tensor<3>) -> Tensor<1> {
    tensor.reshape([-1])
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a group of tiles has fewer rows than 2^31"
)]
fn indices(places: impl IntoIterator<Item = usize>, link: &Link) -> Tensor<1, Int> {
    link.integers(places.into_iter().map(|place| place as i32).collect())
}
