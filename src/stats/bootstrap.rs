//! The bias-corrected and accelerated bootstrap of a mean.

use rand::RngExt;
use rayon::prelude::*;

use super::distribution::normal_cdf;
use super::{ConfidenceInterval, ConfidenceLevel, SampleMoments, StreamKey, normal_quantile, random_stream};

/// Number of resamples and their seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootstrapSettings {
    /// Resamples; 2000 or more for a 95 % interval.
    pub n_resamples: usize,
    /// Seed of the resampling streams.
    pub seed: u64,
}

/// BCa interval for the mean of `sample`.
///
/// # Formula
/// z0 = Phi^-1(share of resampled means below the mean, ties counted half);
/// a = sum (m - m_(j))^3 / (6 (sum (m - m_(j))^2)^(3/2)) over the leave-one-out means m_(j);
/// the ends are the order statistics at Phi(z0 + (z0 + z)/(1 - a (z0 + z))).
/// Resample r draws from its own stream, so the result does not depend on threads.
///
/// # Edge cases
/// A constant sample, or one value: the point itself.
///
/// # Source
/// Efron, *JASA* 82(397), 1987; DiCiccio and Efron, *Statistical Science* 11(3), 1996.
pub fn bca_interval(
    sample: &[f64],
    level: ConfidenceLevel,
    settings: BootstrapSettings,
) -> ConfidenceInterval {
    let moments = SampleMoments::of(sample);
    let mean = moments.mean().unwrap_or(f64::NAN);
    if sample.len() < 2 || moments.sum_of_squares() == 0.0 {
        return ConfidenceInterval { low: mean, high: mean };
    }
    let key = StreamKey::named("bca", sample.len() as u64, 0);
    let mut means: Vec<f64> = (0..settings.n_resamples.max(1))
        .into_par_iter()
        .map(|replicate| resampled_mean(sample, settings.seed, key, replicate as u64))
        .collect();
    means.sort_by(f64::total_cmp);
    let acceleration = acceleration(sample, &moments);
    let below = means.partition_point(|m| *m < mean);
    let not_above = means.partition_point(|m| *m <= mean);
    let replicates = means.len() as f64;
    // Kept off 0 and 1 by half a replicate: the correction stays finite in lopsided samples.
    let share =
        ((below + not_above) as f64 / 2.0 / replicates).clamp(0.5 / replicates, 1.0 - 0.5 / replicates);
    let bias = normal_quantile(share);
    let end = |tail: f64| {
        let z = bias + normal_quantile(tail);
        let adjusted = normal_cdf(bias + z / (1.0 - acceleration * z));
        order_statistic(&means, adjusted)
    };
    let tail = (1.0 - level.get()) / 2.0;
    ConfidenceInterval { low: end(tail), high: end(1.0 - tail) }
}

fn resampled_mean(sample: &[f64], seed: u64, key: StreamKey, replicate: u64) -> f64 {
    let mut rng = random_stream(seed, key, replicate);
    let n = sample.len();
    let sum: f64 = (0..n).map(|_| sample[rng.random_range(0..n)] - sample[0]).sum();
    sample[0] + sum / n as f64
}

/// Acceleration of the mean: its leave-one-out values are the data mirrored and scaled, so this is
/// skewness/(6 sqrt(n)) in closed form.
fn acceleration(sample: &[f64], moments: &SampleMoments) -> f64 {
    let mean = moments.mean().unwrap_or(f64::NAN);
    let cubes: Vec<f64> = sample.iter().map(|x| (x - mean).powi(3)).collect();
    super::pairwise_sum(&cubes) / (6.0 * moments.sum_of_squares().powf(1.5))
}

/// Linear interpolation between order statistics at probability `p` of B + 1 gaps.
fn order_statistic(sorted: &[f64], p: f64) -> f64 {
    let position = (p * (sorted.len() + 1) as f64 - 1.0).clamp(0.0, (sorted.len() - 1) as f64);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the indices above"
    )]
    let index = position.floor() as usize;
    let fraction = position - position.floor();
    let next = sorted[(index + 1).min(sorted.len() - 1)];
    sorted[index] + fraction * (next - sorted[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BootstrapSettings = BootstrapSettings { n_resamples: 4000, seed: 7 };

    fn level() -> ConfidenceLevel {
        ConfidenceLevel::new(0.95).expect("a level")
    }

    #[test]
    fn a_symmetric_sample_gives_nearly_the_normal_interval() {
        let sample: Vec<f64> = (0..200).map(|i| f64::from(i) / 199.0 - 0.5).collect();
        let interval = bca_interval(&sample, level(), SETTINGS);
        // The bootstrap's own standard error: sqrt(population variance / n).
        let moments = SampleMoments::of(&sample);
        let half = 1.959_964 * (moments.sum_of_squares() / 200.0 / 200.0).sqrt();
        assert!((interval.high - half).abs() < 0.06 * half, "{interval:?} against {half}");
        assert!((interval.low + half).abs() < 0.06 * half, "{interval:?} against {half}");
    }

    #[test]
    fn a_skewed_sample_shifts_the_interval_to_the_long_tail() {
        let sample: Vec<f64> = (1..=60).map(|i| -(1.0 - f64::from(i) / 61.0).ln()).collect();
        let mean = SampleMoments::of(&sample).mean().expect("a mean");
        let interval = bca_interval(&sample, level(), SETTINGS);
        assert!(interval.high - mean > mean - interval.low);
    }

    #[test]
    fn constant_samples_are_a_point() {
        let interval = bca_interval(&[2.5; 9], level(), SETTINGS);
        assert_eq!(interval, ConfidenceInterval { low: 2.5, high: 2.5 });
    }
}
