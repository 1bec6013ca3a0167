//! Where a recording's distribution changes, found from windows.

use super::segment::MeanVar;
use super::window::Window;
use crate::stats::RowMoments;

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
    /// The rows before and after.
    pub regimes: Regimes,
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

/// The rows before and after a place in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Regimes {
    /// Moments of the rows before.
    pub before: RowMoments,
    /// Moments of the rows after.
    pub after: RowMoments,
}

impl Regimes {
    /// The rows before and after window `split`.
    pub fn of(windows: &[Window], split: usize, width: usize) -> Self {
        let gather = |windows: &[Window]| {
            let mut moments = RowMoments::empty(width);
            windows.iter().for_each(|window| moments.merge(&window.moments));
            moments
        };
        Self { before: gather(&windows[..split]), after: gather(&windows[split..]) }
    }
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
    let mut changed: Vec<Candidate> = Vec::new();
    for dimension in 0..width {
        let means: Vec<f64> = used.iter().map(|window| window.moments.mean()[dimension]).collect();
        let spreads: Vec<f64> =
            used.iter().map(|window| (window.moments.var(dimension) + f64::MIN_POSITIVE).ln()).collect();
        for series in [&means, &spreads] {
            let Some(Split { strength, at: split }) = strongest_split(series) else { continue };
            if strength < BRIDGE_LIMIT {
                continue;
            }
            let (before, after) = dimension_regimes(&used, split, dimension);
            let within = f64::midpoint(before.var, after.var).sqrt();
            let shift = if within > 0.0 { (after.mean - before.mean) / within } else { f64::INFINITY };
            let ratio = (after.var / before.var).sqrt();
            let is_wider = !(1.0 / LEAST_RATIO..=LEAST_RATIO).contains(&ratio);
            if shift.abs() >= LEAST_SHIFT || is_wider {
                let update = used[split].first_update;
                let change = DimensionChange { dimension, update, shift, ratio };
                changed.push(Candidate { strength, split, change });
            }
        }
    }
    changed.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    let Candidate { split, change: first, .. } = *changed.first()?;
    let mut dimensions: Vec<DimensionChange> = Vec::new();
    for Candidate { change, .. } in changed {
        if dimensions.iter().all(|known| known.dimension != change.dimension) {
            dimensions.push(change);
        }
    }
    let owned: Vec<Window> = used.into_iter().cloned().collect();
    Some(Change { update: first.update, dimensions, regimes: Regimes::of(&owned, split, width) })
}

/// A change of one dimension that is both certain and large.
#[derive(Clone, Copy)]
struct Candidate {
    strength: f64,
    /// First window after it.
    split: usize,
    change: DimensionChange,
}

/// Mean and variance of one dimension before and after window `split`.
fn dimension_regimes(windows: &[&Window], split: usize, dimension: usize) -> (MeanVar, MeanVar) {
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
        MeanVar { mean, var: squares / n }
    };
    (pooled(&windows[..split]), pooled(&windows[split..]))
}

/// Where a series splits, and how strongly.
#[derive(Clone, Copy)]
struct Split {
    strength: f64,
    /// First index after it.
    at: usize,
}

/// The greatest standardized cumulative sum and the first index after it; `None` for a constant series.
fn strongest_split(series: &[f64]) -> Option<Split> {
    let n = series.len() as f64;
    let mean = series.iter().sum::<f64>() / n;
    let neighbours: f64 = series.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum();
    let deviation = (neighbours / (2.0 * (n - 1.0))).sqrt();
    if deviation <= mean.abs() * 1e-12 {
        return None;
    }
    let (mut sum, mut best) = (0.0f64, Split { strength: 0.0, at: 0 });
    for (k, value) in series.iter().enumerate().take(series.len() - 1) {
        sum += value - mean;
        if sum.abs() > best.strength {
            best = Split { strength: sum.abs(), at: k + 1 };
        }
    }
    (best.at > 0).then(|| Split { strength: best.strength / (deviation * n.sqrt()), ..best })
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Memory, Output, Replay, Rule};
    use super::*;
    use crate::stats::{Rows, StreamKey, random_stream};
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
}
