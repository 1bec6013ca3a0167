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

/// The bias-corrected and accelerated bootstrap of a mean: its resampled means and their two corrections.
///
/// # Formula
/// z0 = Phi^-1(share of resampled means below the mean, ties counted half);
/// a = sum (m - m_(j))^3 / (6 (sum (m - m_(j))^2)^(3/2)) over the leave-one-out means m_(j).
/// Resample r draws from its own stream, so the result does not depend on threads.
///
/// # Source
/// Efron, *JASA* 82(397), 1987; DiCiccio and Efron, *Statistical Science* 11(3), 1996.
#[derive(Debug, Clone)]
pub struct BcaBootstrap {
    mean: f64,
    /// Resampled means, ascending; empty for a constant sample or one value.
    resampled: Vec<f64>,
    bias: f64,
    acceleration: f64,
}

impl BcaBootstrap {
    /// Resamples the mean of `sample`.
    pub fn of_mean(sample: &[f64], settings: BootstrapSettings) -> Self {
        let moments = SampleMoments::of(sample);
        let mean = moments.mean().unwrap_or(f64::NAN);
        if sample.len() < 2 || moments.sum_of_squares() == 0.0 {
            return Self { mean, resampled: Vec::new(), bias: 0.0, acceleration: 0.0 };
        }
        let key = StreamKey::named("bca", sample.len() as u64, 0);
        let mut resampled: Vec<f64> = (0..settings.n_resamples.max(1))
            .into_par_iter()
            .map(|replicate| resampled_mean(sample, settings.seed, key, replicate as u64))
            .collect();
        resampled.sort_by(f64::total_cmp);
        let bias = normal_quantile(share_below(&resampled, mean));
        Self { mean, resampled, bias, acceleration: acceleration(sample, &moments) }
    }

    /// Interval of the mean: the order statistics at Phi(z0 + (z0 + z)/(1 - a (z0 + z))).
    ///
    /// # Edge cases
    /// A constant sample, or one value: the point itself.
    pub fn interval(&self, level: ConfidenceLevel) -> ConfidenceInterval {
        if self.resampled.is_empty() {
            return ConfidenceInterval { low: self.mean, high: self.mean };
        }
        let (low, high) = self.ends((1.0 - level.get()) / 2.0);
        ConfidenceInterval { low, high }
    }

    /// Two-sided p value of mean = 0: the least alpha at which the interval of level 1 - alpha leaves 0 out, found by
    /// halving, so that the two never contradict each other; never below the 1/(B + 1) that B resamples can tell.
    ///
    /// # Edge cases
    /// A constant sample, or one value: `None`. A mean of 0: 1.
    pub fn p_value(&self) -> Option<f64> {
        if self.resampled.is_empty() {
            return None;
        }
        let leaves_out = |alpha: f64| {
            let (low, high) = self.ends(alpha / 2.0);
            low > 0.0 || high < 0.0
        };
        let least = 1.0 / (self.resampled.len() + 1) as f64;
        let (mut inside, mut outside) = (least, 1.0);
        if leaves_out(inside) {
            return Some(inside);
        }
        if !leaves_out(outside) {
            return Some(outside);
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(inside, outside);
            if leaves_out(middle) { outside = middle } else { inside = middle }
        }
        Some(outside)
    }

    /// Ends that leave `tail` out on either side.
    fn ends(&self, tail: f64) -> (f64, f64) {
        let end = |tail: f64| {
            let z = self.bias + normal_quantile(tail);
            let adjusted = normal_cdf(self.bias + z / (1.0 - self.acceleration * z));
            order_statistic(&self.resampled, adjusted)
        };
        (end(tail), end(1.0 - tail))
    }
}

/// Halvings of the search for a p value: to the last digits of a double.
const HALVINGS: usize = 50;

/// Share of the ascending `means` below `x`, ties counted half; kept off 0 and 1 by half a mean, so that its normal
/// quantile stays finite in lopsided samples.
fn share_below(means: &[f64], x: f64) -> f64 {
    let below = means.partition_point(|mean| *mean < x);
    let not_above = means.partition_point(|mean| *mean <= x);
    let n = means.len() as f64;
    ((below + not_above) as f64 / 2.0 / n).clamp(0.5 / n, 1.0 - 0.5 / n)
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
    use crate::stats::{Estimate, IntervalMethod, one_sample_test};

    const SETTINGS: BootstrapSettings = BootstrapSettings { n_resamples: 4000, seed: 7 };

    fn level() -> ConfidenceLevel {
        ConfidenceLevel::new(0.95).expect("a level")
    }

    #[test]
    fn a_symmetric_sample_gives_nearly_the_normal_interval() {
        let sample: Vec<f64> = (0..200).map(|i| f64::from(i) / 199.0 - 0.5).collect();
        let interval = BcaBootstrap::of_mean(&sample, SETTINGS).interval(level());
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
        let interval = BcaBootstrap::of_mean(&sample, SETTINGS).interval(level());
        assert!(interval.high - mean > mean - interval.low);
    }

    #[test]
    fn constant_samples_are_a_point() {
        let constant = BcaBootstrap::of_mean(&[2.5; 9], SETTINGS);
        assert_eq!(constant.p_value(), None);
        assert_eq!(constant.interval(level()), ConfidenceInterval { low: 2.5, high: 2.5 });
    }
    /// The p value is the one at which the interval's end is 0, and near the t test's in a large symmetric sample.
    #[test]
    fn the_p_value_is_that_of_the_interval() {
        let sample: Vec<f64> = (0..80).map(|i| f64::from(i * 37 % 80) / 80.0 - 0.44).collect();
        let bootstrap = BcaBootstrap::of_mean(&sample, SETTINGS);
        let p = bootstrap.p_value().expect("a p value");
        let at = |level: f64| bootstrap.interval(ConfidenceLevel::new(level).expect("a level"));
        let (inside, outside) = (at(1.0 - p * 0.999), at(1.0 - p * 1.001));
        assert!(inside.low <= 0.0 && outside.low > 0.0, "{p}: {inside:?} {outside:?}");
        let estimate = Estimate::of_mean(&sample, level(), IntervalMethod::StudentT).expect("a mean");
        let t = one_sample_test(&sample, &estimate, IntervalMethod::StudentT).expect("a test");
        assert!((p - t.p_value).abs() < 0.02, "{p} {}", t.p_value);
        let far: Vec<f64> = sample.iter().map(|x| x + 10.0).collect();
        let p = BcaBootstrap::of_mean(&far, SETTINGS).p_value().expect("a p value");
        // As small as 4,000 resamples can tell.
        assert!((1.0 / 4001.0..2.0 / 4001.0).contains(&p), "{p}");
    }
}
