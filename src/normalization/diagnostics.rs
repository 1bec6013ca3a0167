//! What the numbers of a replay hide: clipping, drift, dead dimensions, priors that never fade.

use serde::{Deserialize, Serialize};

use super::change::{Drift, find_drift};
use super::pace::Pace;
use super::rule::{Memory, MomentumUnit, Rule};
use super::window::{StateInUse, Window};
use crate::stats::RowMoments;

/// Clipping in one phase of a replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClipPhase {
    /// First update of the phase.
    pub first_update: u64,
    /// Share of all values at or beyond the clip.
    pub fraction: f64,
    /// The same per dimension.
    pub by_dimension: Vec<f64>,
}

/// Neighbouring windows taken together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// Updates before it.
    pub first_update: u64,
    /// Mean of its rows, per dimension.
    pub mean: Vec<f64>,
    /// Population variance of its rows, per dimension.
    pub var: Vec<f64>,
    /// Mean in use, per dimension, averaged over the rows that were normalized with it; none where none were.
    pub mean_in_use: Vec<f64>,
}

/// What there is to know about a replay beyond its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Updates until a moving average has 90 % of a shift behind it: ln 0.1/ln m, over the rows of an update where m is
    /// a momentum per row.
    pub lag_updates: Option<f64>,
    /// The same in vector steps, as fast as this run made updates.
    pub lag_vector_steps: Option<f64>,
    /// Dimensions whose mean is so large beside their spread that 32-bit moments cancel: mean^2/var > 2^24.
    pub cancelling: Vec<usize>,
    /// Rows after which a 32-bit running mean stands still: a row one deviation away moves it by less than half
    /// its last digit. The least over dimensions, with that dimension.
    pub single_freeze: Option<(u64, usize)>,
    /// Whether a 32-bit count stands still within these rows (2^24).
    pub single_count_saturates: bool,
    /// Whether the rows look normalized already.
    pub looks_normalized: bool,
    /// Moments of rows over time: windows joined to at most `MOST_STRETCHES`, in order; none where rows were not.
    pub stretches: Vec<Stretch>,
    /// What the windows say of a change.
    pub drift: Drift,
    /// Rows of a window, on average.
    pub rows_per_window: f64,
    /// Mean over windows of |mean in use - window mean| in window deviations, per dimension.
    /// The mean in use is that of the states the window's rows were normalized with.
    pub mean_distance: Vec<f64>,
    /// Mean over windows of |ln(var in use/window var)|, per dimension.
    pub var_distance: Vec<f64>,
}

impl Diagnostics {
    /// Draws the conclusions from the windows of a replay and its final state.
    pub fn of(rule: &Rule, windows: &[Window], state: &super::NormalizerState, pace: Pace) -> Self {
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
        let updates =
            state.batches - windows.first().map_or(0, |window| window.first_update).min(state.batches);
        let average = Average::of(rule.memory, rows.n() as f64 / updates.max(1) as f64);
        let steps_per_update = pace.vector_steps as f64 / updates.max(1) as f64;
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
            effective_batches: average.map(|average| average.effective_updates),
            lag_updates: average.map(|average| average.lag_updates),
            lag_vector_steps: average.map(|average| average.lag_updates * steps_per_update),
            cancelling: (0..width).filter(is_live).filter(cancels).collect(),
            single_freeze: single_freeze(&rows, &constant),
            single_count_saturates: rows.n() > 1 << 24,
            looks_normalized: looks_normalized(&rows, &constant),
            stretches: stretches(windows, width),
            drift: find_drift(windows, width, pace),
            constant,
            rows_per_window: rows.n() as f64 / windows.len().max(1) as f64,
            mean_distance,
            var_distance,
            rows,
        }
    }
}

/// Stretches kept at most: as many as a line of a terminal shows.
const MOST_STRETCHES: usize = 32;

/// Windows with rows, neighbours joined to at most `MOST_STRETCHES`.
fn stretches(windows: &[Window], width: usize) -> Vec<Stretch> {
    let with_rows: Vec<&Window> = windows.iter().filter(|window| window.moments.n() > 0).collect();
    let each = with_rows.len().div_ceil(MOST_STRETCHES).max(1);
    let joined = |windows: &[&Window]| {
        let mut moments = RowMoments::empty(width);
        windows.iter().for_each(|window| moments.merge(&window.moments));
        let mut in_use = StateInUse::default();
        windows.iter().for_each(|window| in_use.join(&window.in_use));
        Stretch {
            first_update: windows[0].first_update,
            mean: moments.mean().to_vec(),
            var: moments.vars(),
            mean_in_use: in_use.mean,
        }
    };
    with_rows.chunks(each).map(joined).collect()
}

/// How much a moving average looks back.
#[derive(Debug, Clone, Copy)]
struct Average {
    effective_updates: f64,
    lag_updates: f64,
}

impl Average {
    /// Of updates of so many rows each; `None` for full history.
    fn of(memory: Memory, rows_per_update: f64) -> Option<Self> {
        let Memory::Ema { momentum, unit } = memory else { return None };
        let per_update = match unit {
            MomentumUnit::Update => 1.0,
            MomentumUnit::Row => rows_per_update.max(1.0),
        };
        let effective = if momentum < 1.0 { (1.0 + momentum) / (1.0 - momentum) } else { f64::INFINITY };
        Some(Self { effective_updates: effective / per_update, lag_updates: lag_of(momentum) / per_update })
    }
}

/// Updates (rows, where it is a momentum per row) after which a moving average has 90 % of a shift behind it.
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
    for window in windows.iter().filter(|window| window.in_use.n > 0 && window.moments.n() > 1) {
        for d in 0..width {
            let truth = window.moments.var(d);
            if truth > 0.0 && window.in_use.var[d] > 0.0 {
                means[d] += (window.in_use.mean[d] - window.moments.mean()[d]).abs() / truth.sqrt();
                vars[d] += (window.in_use.var[d] / truth).ln().abs();
                n[d] += 1;
            }
        }
    }
    let average = |sums: Vec<f64>| sums.iter().zip(&n).map(|(sum, n)| sum / (*n).max(1) as f64).collect();
    (average(means), average(vars))
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Order, Output, Replay};
    use super::*;
    use crate::stats::Rows;

    #[test]
    fn lags_by_hand() {
        assert!((lag_of(0.99) - 229.1).abs() < 0.1);
        assert_eq!((lag_of(0.0), lag_of(1.0)), (1.0, f64::INFINITY));
    }

    /// Replays batches of one dimension; what is known of it in windows of one update each.
    fn replayed(rule: Rule, batches: &[[f64; 2]], vector_steps: u64) -> Diagnostics {
        let rows: Vec<f64> = batches.iter().flatten().copied().collect();
        let ends: Vec<usize> = (1..=batches.len()).map(|batch| 2 * batch).collect();
        let mut replay = Replay::new(rule, 1, 1, 512);
        replay
            .process(&Block { rows: Rows::F64(&rows), input: None, ends: &ends }, Output::None, |_| {})
            .expect("no device");
        replay.finish(|_| {});
        let pace = Pace { vector_steps, ..Pace::default() };
        Diagnostics::of(&rule, replay.windows(), &replay.normalizer().state(), pace)
    }

    #[test]
    fn rows_are_compared_with_the_state_they_were_normalized_with() {
        // Momentum 0: the state after a window is the window's own mean, off by nothing. Before it, it is that of the
        // window before: 4 off at a deviation of 1, and at first 3 off the initial mean of 0.
        let batches = [[2.0, 4.0], [6.0, 8.0], [10.0, 12.0]];
        let rule = Rule { initial_mean: 0.0, ..Rule::observations(Memory::ema(0.0)) };
        let first = Rule { order: Order::NormalizeFirst, ..rule };
        assert_eq!(replayed(first, &batches, 3).mean_distance, [(3.0 + 4.0 + 4.0) / 3.0]);
        let in_use: Vec<f64> =
            replayed(first, &batches, 3).stretches.iter().map(|stretch| stretch.mean_in_use[0]).collect();
        assert_eq!(in_use, [0.0, 3.0, 7.0]);
        let updated = Rule { order: Order::UpdateFirst, ..rule };
        assert_eq!(replayed(updated, &batches, 3).mean_distance, [0.0]);
    }

    #[test]
    fn stretches_are_neighbouring_windows_taken_together() {
        // 64 windows of one update each: two to a stretch.
        let batches: Vec<[f64; 2]> = (0..64).map(|i| [f64::from(i), f64::from(i) + 2.0]).collect();
        let found = replayed(Rule::observations(Memory::Welford), &batches, 64).stretches;
        assert_eq!(found.len(), 32);
        // Rows 2, 4, 3, 5 of the second one.
        assert_eq!((found[1].first_update, found[1].mean[0], found[1].var[0]), (2, 3.5, 1.25));
        let few = replayed(Rule::observations(Memory::Welford), &batches[..3], 3).stretches;
        assert_eq!(few.iter().map(|stretch| stretch.first_update).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn the_lag_of_a_momentum_per_row_is_in_updates_and_vector_steps() {
        let memory = Memory::Ema { momentum: 0.99, unit: MomentumUnit::Row };
        let batches = [[0.0, 1.0]; 12];
        // Updates of two rows, each of them two vector steps of one environment: 229.1 rows.
        let found = replayed(Rule::observations(memory), &batches, 24);
        let close = |found: Option<f64>, expected: f64| (found.expect("a lag") - expected).abs() < 0.01;
        assert!(close(found.lag_updates, 229.105 / 2.0) && close(found.lag_vector_steps, 229.105));
        assert!(close(found.effective_batches, 199.0 / 2.0));
        // Updates of two rows, half a vector step each (of four environments).
        let found = replayed(Rule::observations(Memory::ema(0.99)), &batches, 6);
        assert!(close(found.lag_updates, 229.105) && close(found.lag_vector_steps, 229.105 / 2.0));
    }
}
