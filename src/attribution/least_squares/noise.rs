//! Evaluation noise of a fit, by linearity.
//!
//! # Formula
//! beta = sum over S of c(S) v(S), and so is every sum of its parts. With var(S) the variance of the recorded v(S), independent between coalitions, the
//! covariance of beta is the sum of var(S) c(S) c(S)'; degrees of freedom by Satterthwaite.

use nalgebra::DMatrix;

use crate::attribution::exact::NoiseError;
use crate::attribution::noise::{Degrees, NoiseVariances};

/// Values up to which a covariance matrix is given.
pub const COVARIANCE_PLAYERS: usize = 64;

/// Sums over coalitions, under way.
pub(super) struct NoiseSums<'a> {
    noise: &'a NoiseVariances,
    /// What squares of variances are in units of.
    unit: f64,
    second: Vec<f64>,
    fourth: Vec<f64>,
    covariance: Option<DMatrix<f64>>,
}

impl<'a> NoiseSums<'a> {
    pub(super) fn new(n_values: usize, noise: &'a NoiseVariances) -> Self {
        Self {
            noise,
            unit: noise.unit().unwrap_or(1.0),
            second: vec![0.0; n_values],
            fourth: vec![0.0; n_values],
            covariance: (n_values <= COVARIANCE_PLAYERS).then(|| DMatrix::zeros(n_values, n_values)),
        }
    }

    /// Adds the coalition at `position` of the table, which enters each value with `coefficients`.
    pub(super) fn add(&mut self, position: usize, coefficients: &[f64]) {
        let variance = self.noise.variances[position];
        for (place, c) in coefficients.iter().enumerate() {
            let share = c * c * variance;
            self.second[place] += share;
            if let Degrees::PerCoalition(own) = &self.noise.degrees {
                self.fourth[place] += (share / self.unit).powi(2) / own[position];
            }
        }
        if let Some(covariance) = &mut self.covariance {
            for (i, a) in coefficients.iter().enumerate() {
                for (j, b) in coefficients[..=i].iter().enumerate() {
                    covariance[(i, j)] += variance * a * b;
                }
            }
        }
    }

    /// Standard errors with their degrees of freedom.
    pub(super) fn errors(&self) -> Vec<NoiseError> {
        let error = |(second, fourth): (&f64, &f64)| NoiseError {
            standard_error: second.sqrt(),
            degrees: match &self.noise.degrees {
                Degrees::Pooled(degrees) => *degrees,
                Degrees::PerCoalition(own) => Degrees::combined(own, second / self.unit, *fourth),
            },
        };
        self.second.iter().zip(&self.fourth).map(error).collect()
    }

    /// Covariance of the values, of at most [`COVARIANCE_PLAYERS`].
    pub(super) fn covariance(&self) -> Option<Vec<Vec<f64>>> {
        let covariance = self.covariance.as_ref()?;
        let n = covariance.nrows();
        Some((0..n).map(|i| (0..n).map(|j| covariance[(i.max(j), i.min(j))]).collect()).collect())
    }
}
