//! What a sweep has on the device: batches that all settings share, and the settings that go through together.

use burn::tensor::Tensor;

use super::exchange::{Scaling, single};
use crate::normalization::clock::BatchWeights;

/// Numbers handed back for each setting and dimension, and those beside them where a shift is watched.
pub(super) const N_FOUND: usize = 7;
const N_WATCHED: usize = 4;

/// Weight of a batch from which on its mean takes the place of the one before.
pub(super) const REPLACES: f32 = 0.5;

/// Batches whose states in use are averaged together before they join the average of all.
pub(super) const AVERAGED: usize = 64;

/// What all settings share, on the device.
pub(super) struct SharedBatches {
    /// Rows less the origin, n_rows x width.
    pub(super) values: Tensor<1>,
    /// Mean, variance, least and greatest value of each batch, less the origin: 4 x n_batches x width.
    pub(super) moments: Tensor<1>,
    /// First row of each batch, and one past the last.
    pub(super) starts: Vec<usize>,
    /// Where means are to arrive, how near, one over the variances there (0: none), and 1 where the mean shifts: 4 x width.
    pub(super) shift: Tensor<1>,
    pub(super) width: usize,
    pub(super) scaling: Scaling,
    pub(super) counts_clipped: bool,
    /// The first batch watched, and how near variances are to come.
    pub(super) watched: Option<(usize, f32)>,
}

impl SharedBatches {
    pub(super) fn n_batches(&self) -> usize {
        self.starts.len() - 1
    }

    /// Numbers handed back for each setting and dimension.
    pub(super) fn n_found(&self) -> usize {
        N_FOUND + if self.watched.is_some() { N_WATCHED } else { 0 }
    }
}

/// Settings that go through the batches together, on the device.
pub(super) struct SweptTogether {
    pub(super) n_settings: usize,
    /// Weights of settings with one, then those of settings with one for each batch; and what they leave.
    pub(super) weights: Vec<f32>,
    pub(super) rests: Vec<f32>,
    /// Which table of weights a setting has; below 0 for the one weight of its own.
    pub(super) tables: Vec<i32>,
    /// Mean and variance, and what was seen: each n_settings x width.
    pub(super) carried: Vec<f32>,
}

impl SweptTogether {
    pub(super) fn weights_of(weights: &[BatchWeights], n_batches: usize) -> (Vec<f32>, Vec<f32>, Vec<i32>) {
        let mut all: Vec<f64> = weights
            .iter()
            .map(|weights| if let BatchWeights::Constant(weight) = weights { *weight } else { 0.0 })
            .collect();
        let mut tables = Vec::with_capacity(weights.len());
        let mut n_tables = 0;
        for weights in weights {
            tables.push(match weights {
                BatchWeights::Constant(_) => -1,
                BatchWeights::Each(weights) => {
                    assert!(weights.len() == n_batches, "one weight per batch");
                    all.extend(weights);
                    n_tables += 1;
                    n_tables - 1
                }
            });
        }
        (all.iter().map(|w| single(*w)).collect(), all.iter().map(|w| single(1.0 - w)).collect(), tables)
    }
}
