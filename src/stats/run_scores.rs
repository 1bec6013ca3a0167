//! Scores of a handful of runs: interquartile mean, stratified bootstrap, probability of improvement, performance profile.
//!
//! # Source
//! R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville, M. G. Bellemare, Deep reinforcement learning at the edge of the statistical
//! precipice, NeurIPS 2021.

use rand::RngExt;
use rayon::prelude::*;

use super::bootstrap::BootstrapSettings;
use super::{ConfidenceInterval, ConfidenceLevel, StreamKey, pairwise_sum, random_stream};

/// Mean of the middle half of some values.
///
/// # Formula
/// With n values in order, floor(n/4) are left out on either side, and the rest is averaged.
///
/// # Edge cases
/// No values: `None`. Fewer than four: their mean.
pub fn interquartile_mean(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = sorted.len() / 4;
    let middle = &sorted[cut..sorted.len() - cut];
    (!middle.is_empty()).then(|| pairwise_sum(middle) / middle.len() as f64)
}

/// Percentile interval of the interquartile mean of all scores: runs are drawn anew within each stratum (a task).
///
/// # Formula
/// Each resample draws, for every stratum of n runs, n of them with replacement; its statistic is that of all that were drawn. The ends are
/// the (1 - level)/2 quantiles of the statistics from either side, linearly between order statistics. Resample r draws from its own
/// stream, so that the result does not depend on threads.
///
/// # Edge cases
/// Without a stratum of two runs and more nothing varies: `None`.
pub fn stratified_interval(
    strata: &[Vec<f64>],
    level: ConfidenceLevel,
    settings: BootstrapSettings,
) -> Option<ConfidenceInterval> {
    if strata.iter().all(|runs| runs.len() < 2) {
        return None;
    }
    let n_runs: usize = strata.iter().map(Vec::len).sum();
    let key = StreamKey::named("stratified", n_runs as u64, strata.len() as u64);
    let resampled = |replicate: usize| {
        let mut rng = random_stream(settings.seed, key, replicate as u64);
        let mut drawn = Vec::with_capacity(n_runs);
        for runs in strata.iter().filter(|runs| !runs.is_empty()) {
            drawn.extend((0..runs.len()).map(|_| runs[rng.random_range(0..runs.len())]));
        }
        interquartile_mean(&drawn).unwrap_or(f64::NAN)
    };
    let mut statistics: Vec<f64> = (0..settings.n_resamples.max(1)).into_par_iter().map(resampled).collect();
    statistics.sort_by(f64::total_cmp);
    let tail = (1.0 - level.get()) / 2.0;
    Some(ConfidenceInterval { low: percentile(&statistics, tail), high: percentile(&statistics, 1.0 - tail) })
}

/// The quantile of a level, linearly between order statistics (type 7).
fn percentile(sorted: &[f64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place among the values")]
    let below = (place.floor() as usize).min(sorted.len() - 1);
    let above = sorted[(below + 1).min(sorted.len() - 1)];
    sorted[below] + (place - below as f64) * (above - sorted[below])
}

/// Probability that a run of one kind scores higher than one of another: the share of pairs, ties half.
///
/// # Formula
/// (#{x > y} + #{x = y}/2)/(n m): the Mann-Whitney statistic over the number of pairs.
///
/// # Edge cases
/// No runs on a side: `None`.
pub fn probability_of_improvement(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.is_empty() || y.is_empty() {
        return None;
    }
    let mut sorted = y.to_vec();
    sorted.sort_by(f64::total_cmp);
    let wins = |value: &f64| {
        let below = sorted.partition_point(|other| other < value);
        let not_above = sorted.partition_point(|other| other <= value);
        (below + not_above) as f64 / 2.0
    };
    Some(x.iter().map(wins).sum::<f64>() / (x.len() as f64 * y.len() as f64))
}

/// Share of scores above a threshold: one point of a performance profile.
pub fn share_above(scores: &[f64], threshold: f64) -> Option<f64> {
    let above = scores.iter().filter(|score| **score > threshold).count();
    (!scores.is_empty()).then(|| above as f64 / scores.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs by task, as in the references below.
    const X: [[f64; 5]; 2] = [[1.0, 3.0, 2.0, 10.0, 5.5], [2.5, 0.5, 7.0, 4.0, 6.0]];
    const Y: [[f64; 4]; 2] = [[0.5, 2.0, 2.0, 4.0], [2.5, 1.5, 3.0, 9.0]];

    /// By scipy 1.17.1 and numpy 2.4.6, in the formulas of rliable: `stats.trim_mean(x, 0.25, axis=None)`,
    /// `(sum(x > y) + 0.5 sum(x == y))/(n m)` averaged over tasks, `mean(x > tau)`.
    #[test]
    fn values_are_those_of_the_published_formulas() {
        let all = X.concat();
        assert!((interquartile_mean(&all).expect("scores") - 3.833_333_333_333_333_5).abs() < 1e-15);
        assert_eq!(interquartile_mean(&X[0]), Some(3.5));
        let by_task: Vec<f64> =
            X.iter().zip(&Y).filter_map(|(x, y)| probability_of_improvement(x, y)).collect();
        assert_eq!(by_task, [0.7, 0.525]);
        let profile = [0.0, 2.0, 5.0, 11.0].map(|threshold| share_above(&all, threshold));
        assert_eq!(profile, [Some(1.0), Some(0.7), Some(0.4), Some(0.0)]);
    }

    #[test]
    fn a_handful_of_runs_is_averaged_whole() {
        assert_eq!(interquartile_mean(&[]), None);
        assert_eq!(interquartile_mean(&[4.0, 1.0]), Some(2.5));
        assert_eq!(interquartile_mean(&[1.0, 2.0, 3.0, 100.0]), Some(2.5));
    }

    #[test]
    fn improvement_is_even_between_equals_and_turns_around() {
        assert_eq!(probability_of_improvement(&[1.0, 1.0], &[1.0]), Some(0.5));
        let (ahead, behind) =
            (probability_of_improvement(&X[0], &Y[0]), probability_of_improvement(&Y[0], &X[0]));
        assert!((ahead.expect("runs") + behind.expect("runs") - 1.0).abs() < 1e-15);
        assert_eq!(probability_of_improvement(&[], &[1.0]), None);
    }

    /// An interval of 90 % covers the mean of normal scores about as often, in two tasks of ten runs.
    #[test]
    fn intervals_cover_what_they_say() {
        let level = ConfidenceLevel::new(0.9).expect("a level");
        let n = 200;
        let covered = (0..n).filter(|trial| {
            let mut rng = random_stream(11, StreamKey::named("scores", 0, 0), *trial);
            let mut draw = || (0..12).map(|_| rng.random_range(0.0..1.0)).sum::<f64>() - 6.0;
            let strata: Vec<Vec<f64>> = (0..2).map(|_| (0..10).map(|_| draw()).collect()).collect();
            let settings = BootstrapSettings { n_resamples: 400, seed: *trial };
            let interval = stratified_interval(&strata, level, settings).expect("runs");
            interval.low <= 0.0 && interval.high >= 0.0
        });
        let share = covered.count() as f64 / n as f64;
        // Percentile intervals of twenty runs are a little narrow; three binomial errors of 0.02 besides.
        assert!((0.80..=0.96).contains(&share), "{share}");
    }

    #[test]
    fn strata_are_drawn_within_themselves() {
        let level = ConfidenceLevel::new(0.95).expect("a level");
        let settings = BootstrapSettings { n_resamples: 200, seed: 1 };
        // Constant within each task, however far apart the tasks are: nothing varies.
        let strata = [vec![1.0; 4], vec![101.0; 4]];
        let interval = stratified_interval(&strata, level, settings).expect("runs");
        assert_eq!((interval.low, interval.high), (51.0, 51.0));
        assert_eq!(stratified_interval(&[vec![1.0], vec![2.0]], level, settings), None);
        let again = stratified_interval(&X.map(|runs| runs.to_vec()), level, settings);
        assert_eq!(again, stratified_interval(&X.map(|runs| runs.to_vec()), level, settings));
    }
}
