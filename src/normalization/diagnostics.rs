//! What the numbers of a replay hide: clipping, drift, dead dimensions, priors that never fade.

use super::moments::RowMoments;
use super::replay::Window;
use super::rule::{Memory, Rule};

/// Least size of a shift, in pooled standard deviations, that is reported.
const LEAST_SHIFT: f64 = 0.5;

/// Least ratio of standard deviations that is reported.
const LEAST_RATIO: f64 = 1.5;

/// sup |Brownian bridge| exceeds this once in ten thousand (Kolmogorov's distribution).
const BRIDGE_LIMIT: f64 = 2.23;

/// Fewest windows in which a change can be found.
const FEWEST_WINDOWS: usize = 8;

/// Where a recording's distribution changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// First update of the new regime, to the length of a window.
    pub update: u64,
    /// Dimensions that changed, strongest first.
    pub dimensions: Vec<DimensionChange>,
    /// Moments of the rows before.
    pub before: RowMoments,
    /// Moments of the rows after.
    pub after: RowMoments,
}

/// How one dimension changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DimensionChange {
    /// The dimension.
    pub dimension: usize,
    /// First update of its new regime, to the length of a window.
    pub update: u64,
    /// Change of the mean in standard deviations within the regimes.
    pub shift: f64,
    /// Standard deviation after over before.
    pub ratio: f64,
}

/// The rows before and after window `split`.
pub fn regimes(windows: &[Window], split: usize, width: usize) -> (RowMoments, RowMoments) {
    let gather = |windows: &[Window]| {
        let mut moments = RowMoments::empty(width);
        windows.iter().for_each(|window| moments.merge(&window.moments));
        moments
    };
    (gather(&windows[..split]), gather(&windows[split..]))
}

/// Finds the strongest change of mean or spread.
///
/// # Formula
/// Per dimension the windows' means m_i (and log variances) are summed about their mean:
/// `S_k = sum_{i<=k} (m_i - m) / (s sqrt(W))` with s^2 half the mean squared difference of neighbours, which a
/// single shift hardly moves. Under no change max |S_k| is that of a Brownian bridge (limit 2.23, one in ten
/// thousand); the change is where it is attained. A change counts where it is also large: 0.5 standard deviations
/// of the mean, or a ratio of 1.5 of the deviations.
///
/// # Edge cases
/// Fewer than 8 windows: `None`.
///
/// # Source
/// Page, *Biometrika* 41, 1954 (cumulative sums); Csörgő and Horváth, *Limit Theorems in Change-Point Analysis*, 1997.
pub fn find_change(windows: &[Window], width: usize) -> Option<Change> {
    let used: Vec<&Window> = windows.iter().filter(|window| window.moments.n() > 0).collect();
    if used.len() < FEWEST_WINDOWS {
        return None;
    }
    let mut changed: Vec<(f64, usize, DimensionChange)> = Vec::new();
    for dimension in 0..width {
        let means: Vec<f64> = used.iter().map(|window| window.moments.mean()[dimension]).collect();
        let spreads: Vec<f64> =
            used.iter().map(|window| (window.moments.var(dimension) + f64::MIN_POSITIVE).ln()).collect();
        for series in [&means, &spreads] {
            let Some((strength, split)) = strongest_split(series) else { continue };
            if strength < BRIDGE_LIMIT {
                continue;
            }
            let (before, after) = dimension_regimes(&used, split, dimension);
            let within = f64::midpoint(before.1, after.1).sqrt();
            let shift = if within > 0.0 { (after.0 - before.0) / within } else { f64::INFINITY };
            let ratio = (after.1 / before.1).sqrt();
            let is_wider = !(1.0 / LEAST_RATIO..=LEAST_RATIO).contains(&ratio);
            if shift.abs() >= LEAST_SHIFT || is_wider {
                let update = used[split].first_update;
                changed.push((strength, split, DimensionChange { dimension, update, shift, ratio }));
            }
        }
    }
    changed.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (_, split, first) = *changed.first()?;
    let mut dimensions: Vec<DimensionChange> = Vec::new();
    for (_, _, change) in changed {
        if dimensions.iter().all(|known| known.dimension != change.dimension) {
            dimensions.push(change);
        }
    }
    let owned: Vec<Window> = used.into_iter().cloned().collect();
    let (before, after) = regimes(&owned, split, width);
    Some(Change { update: first.update, dimensions, before, after })
}

fn dimension_regimes(windows: &[&Window], split: usize, dimension: usize) -> ((f64, f64), (f64, f64)) {
    let pooled = |windows: &[&Window]| {
        let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for window in windows {
            let size = window.moments.n() as f64;
            let total = n + size;
            let delta = window.moments.mean()[dimension] - mean;
            mean += delta * size / total;
            squares += window.moments.var(dimension) * size + delta * delta * n * size / total;
            n = total;
        }
        (mean, squares / n)
    };
    (pooled(&windows[..split]), pooled(&windows[split..]))
}

/// Where in a series of batch means one shift of the mean fits best: the first index after it.
///
/// The split that leaves the least sum of squares within both sides (Page's cumulative sum at its extreme).
pub fn locate_shift(means: &[f64]) -> Option<usize> {
    let n = means.len() as f64;
    let mean = means.iter().sum::<f64>() / n;
    let (mut sum, mut best) = (0.0f64, (0.0f64, None));
    for (k, value) in means.iter().enumerate().take(means.len().saturating_sub(1)) {
        sum += value - mean;
        let left = (k + 1) as f64;
        // Between-group sum of squares of the split after k.
        let between = sum * sum * n / (left * (n - left));
        if between > best.0 {
            best = (between, Some(k + 1));
        }
    }
    best.1
}

/// The greatest standardized cumulative sum and the first index after it; `None` for a constant series.
fn strongest_split(series: &[f64]) -> Option<(f64, usize)> {
    let n = series.len() as f64;
    let mean = series.iter().sum::<f64>() / n;
    let neighbours: f64 = series.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum();
    let deviation = (neighbours / (2.0 * (n - 1.0))).sqrt();
    if deviation <= mean.abs() * 1e-12 {
        return None;
    }
    let (mut sum, mut best) = (0.0f64, (0.0f64, 0));
    for (k, value) in series.iter().enumerate().take(series.len() - 1) {
        sum += value - mean;
        if sum.abs() > best.0 {
            best = (sum.abs(), k + 1);
        }
    }
    (best.1 > 0).then(|| (best.0 / (deviation * n.sqrt()), best.1))
}

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
            let delta = rows.mean()[d] - rule.initial_mean;
            if state.var[d] > 0.0 {
                prior_weight * (rule.initial_var + delta * delta) / state.var[d]
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
    use super::super::{Block, Output, Replay, Rows};
    use super::*;
    use crate::stats::{StreamKey, random_stream};
    use rand::RngExt;

    /// Replays `n` one-row batches of two dimensions; the first shifts at `at`.
    fn replayed(n: usize, at: usize, shift: f64) -> Replay {
        let mut rng = random_stream(5, StreamKey::named("drift", 0, 0), 0);
        let rows: Vec<f64> = (0..n)
            .flat_map(|i| {
                let noise = |rng: &mut rand_chacha::ChaCha20Rng| {
                    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
                };
                let moved = if i >= at { shift } else { 0.0 };
                [noise(&mut rng) + moved, noise(&mut rng)]
            })
            .collect();
        let ends: Vec<usize> = (1..=n).collect();
        let rule = Rule::observations(Memory::ema(0.99));
        let mut replay = Replay::new(rule, 2, n as u64, 128);
        replay
            .process(&Block { rows: Rows::F64(&rows), input: None, ends: &ends }, Output::None, |_| {})
            .expect("no device");
        replay.finish(|_| {});
        replay
    }

    #[test]
    fn a_planted_shift_is_found_where_it_is() {
        let replay = replayed(8000, 5000, 2.0);
        let change = find_change(replay.windows(), 2).expect("a change");
        assert!(change.update.abs_diff(5000) <= replay.window_updates(), "{}", change.update);
        assert_eq!(change.dimensions.len(), 1);
        assert_eq!(change.dimensions[0].dimension, 0);
        assert!((change.dimensions[0].shift - 2.0).abs() < 0.15);
    }

    #[test]
    fn steady_rows_have_no_change() {
        assert_eq!(find_change(replayed(8000, 9000, 0.0).windows(), 2), None);
    }

    #[test]
    fn a_shift_is_located_to_the_batch() {
        let means: Vec<f64> =
            (0..50).map(|i| f64::from(i % 3) * 0.1 + if i < 31 { 0.0 } else { 2.0 }).collect();
        assert_eq!(locate_shift(&means), Some(31));
        assert_eq!(locate_shift(&[1.0; 9]), None);
        assert_eq!(locate_shift(&[]), None);
    }

    #[test]
    fn lags_by_hand() {
        assert!((lag_of(0.99) - 229.1).abs() < 0.1);
        assert_eq!((lag_of(0.0), lag_of(1.0)), (1.0, f64::INFINITY));
    }
}
