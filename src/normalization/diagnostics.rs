//! What the numbers of a replay hide: clipping, drift, dead dimensions, priors that never fade.

use super::change::{Change, find_change};
use super::rule::{Memory, Rule};
use super::window::Window;
use crate::stats::RowMoments;

/// Clipping in one phase of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipPhase {
    /// First update of the phase.
    pub first_update: u64,
    /// Share of all values at or beyond the clip.
    pub fraction: f64,
    /// The same per dimension.
    pub by_dimension: Vec<f64>,
}

/// What there is to know about a replay beyond its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostics {
    /// Moments of all rows that entered the statistics.
    pub rows: RowMoments,
    /// Rows normalized: where there are none (statistics alone), nothing is known of clipping.
    pub normalized: u64,
    /// Share of all values at or beyond the clip.
    pub clip_fraction: f64,
    /// The same per dimension.
    pub clip_by_dimension: Vec<f64>,
    /// The same in four phases of equal length.
    pub clip_phases: Vec<ClipPhase>,
    /// Dimensions with one value throughout.
    pub constant: Vec<usize>,
    /// Dimensions whose variance in use is at most epsilon: the divisor is mostly epsilon.
    pub below_epsilon: Vec<usize>,
    /// Per dimension, the initial state's share of the final variance: prior_weight (v0 + (mean - mu0)^2)/var.
    pub prior_share: Vec<f64>,
    /// Weight the initial state still has.
    pub prior_weight: f64,
    /// Batches a moving average effectively looks at, (1+m)/(1-m); `None` for full history.
    pub effective_batches: Option<f64>,
    /// Updates until a moving average has 90 % of a shift behind it: ln 0.1/ln m.
    pub lag_updates: Option<f64>,
    /// Dimensions whose mean is so large beside their spread that 32-bit moments cancel: mean^2/var > 2^24.
    pub cancelling: Vec<usize>,
    /// Rows after which a 32-bit running mean stands still: a row one deviation away moves it by less than half
    /// its last digit. The least over dimensions, with that dimension.
    pub single_freeze: Option<(u64, usize)>,
    /// Whether a 32-bit count stands still within these rows (2^24).
    pub single_count_saturates: bool,
    /// Whether the rows look normalized already.
    pub looks_normalized: bool,
    /// The strongest change.
    pub change: Option<Change>,
    /// Mean over windows of |mean - window mean| in window deviations, per dimension.
    pub mean_distance: Vec<f64>,
    /// Mean over windows of |ln(var/window var)|, per dimension.
    pub var_distance: Vec<f64>,
}

impl Diagnostics {
    /// Draws the conclusions from the windows of a replay and its final state.
    pub fn of(rule: &Rule, windows: &[Window], state: &super::NormalizerState) -> Self {
        let width = state.mean.len();
        let mut rows = RowMoments::empty(width);
        windows.iter().for_each(|window| rows.merge(&window.moments));
        let (clip_fraction, clip_by_dimension) = clip_shares(windows, width);
        let constant: Vec<usize> =
            (0..width).filter(|d| rows.n() > 0 && rows.min()[*d] >= rows.max()[*d]).collect();
        let epsilon = rule.divisor.inside_root.max(rule.divisor.outside_root.powi(2));
        let is_live = |d: &usize| !constant.contains(d);
        let below_epsilon = (0..width).filter(|d| state.var[*d] <= epsilon).collect();
        let prior_weight = match (rule.memory, rule.warmup) {
            (Memory::Ema { .. }, super::Warmup::Debias | super::Warmup::Welford(_)) => 0.0,
            _ => state.prior_weight(),
        };
        let prior_share = (0..width).map(|d| {
            let delta = rows.mean()[d] - state.initial_mean;
            if state.var[d] > 0.0 {
                prior_weight * (state.initial_var + delta * delta) / state.var[d]
            } else {
                0.0
            }
        });
        let momentum = match rule.memory {
            Memory::Ema { momentum, .. } => Some(momentum),
            Memory::Welford => None,
        };
        let cancels = |d: &usize| rows.var(*d) > 0.0 && rows.mean()[*d].powi(2) / rows.var(*d) > 16_777_216.0;
        let (mean_distance, var_distance) = distances(windows, width);
        Self {
            normalized: windows.iter().map(|window| window.normalized).sum(),
            clip_fraction,
            clip_by_dimension,
            clip_phases: clip_phases(windows, width),
            below_epsilon,
            prior_share: prior_share.collect(),
            prior_weight,
            effective_batches: momentum.map(|m| if m < 1.0 { (1.0 + m) / (1.0 - m) } else { f64::INFINITY }),
            lag_updates: momentum.map(lag_of),
            cancelling: (0..width).filter(is_live).filter(cancels).collect(),
            single_freeze: single_freeze(&rows, &constant),
            single_count_saturates: rows.n() > 1 << 24,
            looks_normalized: looks_normalized(&rows, &constant),
            change: find_change(windows, width),
            constant,
            mean_distance,
            var_distance,
            rows,
        }
    }
}

/// Updates after which a moving average has 90 % of a shift behind it.
pub fn lag_of(momentum: f64) -> f64 {
    if momentum <= 0.0 {
        1.0
    } else if momentum >= 1.0 {
        f64::INFINITY
    } else {
        0.1f64.ln() / momentum.ln()
    }
}

fn clip_shares(windows: &[Window], width: usize) -> (f64, Vec<f64>) {
    let normalized: u64 = windows.iter().map(|window| window.normalized).sum();
    let share = |n: u64| if normalized == 0 { 0.0 } else { n as f64 / normalized as f64 };
    let by_dimension: Vec<f64> =
        (0..width).map(|d| share(windows.iter().map(|window| window.clipped[d]).sum())).collect();
    (by_dimension.iter().sum::<f64>() / width.max(1) as f64, by_dimension)
}

fn clip_phases(windows: &[Window], width: usize) -> Vec<ClipPhase> {
    let per_phase = windows.len().div_ceil(4).max(1);
    let phase = |windows: &[Window]| {
        let (fraction, by_dimension) = clip_shares(windows, width);
        ClipPhase { first_update: windows[0].first_update, fraction, by_dimension }
    };
    windows.chunks(per_phase).map(phase).collect()
}

fn single_freeze(rows: &RowMoments, constant: &[usize]) -> Option<(u64, usize)> {
    let freeze = |d: usize| {
        let mean = rows.mean()[d].abs();
        let deviation = rows.var(d).sqrt();
        if mean == 0.0 || deviation == 0.0 {
            return None;
        }
        let last_digit = f64::exp2(mean.log2().floor() - 23.0);
        let n = deviation / (last_digit / 2.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded below 2^63")]
        (n < 9e18).then_some((n as u64, d))
    };
    let width = rows.mean().len();
    (0..width).filter(|d| !constant.contains(d)).filter_map(freeze).min()
}

/// At least nine in ten live dimensions with mean near 0 and deviation near 1, over enough rows.
fn looks_normalized(rows: &RowMoments, constant: &[usize]) -> bool {
    let live: Vec<usize> = (0..rows.mean().len()).filter(|d| !constant.contains(d)).collect();
    let near = |d: &&usize| rows.mean()[**d].abs() <= 0.2 && (0.7..=1.4).contains(&rows.var(**d).sqrt());
    rows.n() >= 100 && live.len() >= 3 && live.iter().filter(near).count() * 10 >= live.len() * 9
}

fn distances(windows: &[Window], width: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut means, mut vars, mut n) = (vec![0.0; width], vec![0.0; width], vec![0u64; width]);
    for window in windows.iter().filter(|window| !window.mean.is_empty() && window.moments.n() > 1) {
        for d in 0..width {
            let truth = window.moments.var(d);
            if truth > 0.0 && window.var[d] > 0.0 {
                means[d] += (window.mean[d] - window.moments.mean()[d]).abs() / truth.sqrt();
                vars[d] += (window.var[d] / truth).ln().abs();
                n[d] += 1;
            }
        }
    }
    let average = |sums: Vec<f64>| sums.iter().zip(&n).map(|(sum, n)| sum / (*n).max(1) as f64).collect();
    (average(means), average(vars))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_by_hand() {
        assert!((lag_of(0.99) - 229.1).abs() < 0.1);
        assert_eq!((lag_of(0.0), lag_of(1.0)), (1.0, f64::INFINITY));
    }
}
