//! What a document says of rows over time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::numbers::finite;
use crate::normalization::Diagnostics;

/// Dimensions up to which a document holds them over time: beyond, the pictures nobody looks at would be most of it.
const MOST_DIMENSIONS: usize = 512;

/// Mean and deviation of rows over time: at most 32 windows, one number each per dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WindowsRow {
    /// Updates before each window.
    pub first_update: Vec<u64>,
    /// Mean of its rows: a list of windows for every dimension.
    pub mean: Vec<Vec<Option<f64>>>,
    /// Deviation of its rows (n), likewise.
    pub sd: Vec<Vec<Option<f64>>>,
}

impl WindowsRow {
    /// Dimensions by how far the means of windows lie apart, in deviations within them.
    pub fn by_change(&self) -> Vec<usize> {
        let change = |dimension: usize| {
            let means = self.mean[dimension].iter().flatten();
            let ends = (f64::INFINITY, f64::NEG_INFINITY);
            let (low, high) = means.fold(ends, |(low, high), mean| (low.min(*mean), high.max(*mean)));
            let sds: Vec<f64> = self.sd[dimension].iter().flatten().copied().collect();
            let change = (high - low) * sds.len() as f64 / sds.iter().sum::<f64>();
            if change.is_finite() { change } else { 0.0 }
        };
        let mut order: Vec<(usize, f64)> = (0..self.mean.len()).map(|d| (d, change(d))).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        order.into_iter().map(|(dimension, _)| dimension).collect()
    }

    /// Of a replay; `None` where nothing is known over time.
    pub(super) fn of(diagnostics: &Diagnostics) -> Option<Self> {
        let stretches = &diagnostics.stretches;
        let width = stretches.first()?.mean.len();
        if width > MOST_DIMENSIONS {
            return None;
        }
        let over_time = |of: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<Option<f64>>> {
            (0..width).map(|d| (0..stretches.len()).map(|at| finite(of(at, d))).collect()).collect()
        };
        Some(Self {
            first_update: stretches.iter().map(|stretch| stretch.first_update).collect(),
            mean: over_time(&|at, d| stretches[at].mean[d]),
            sd: over_time(&|at, d| stretches[at].var[d].sqrt()),
        })
    }
}
