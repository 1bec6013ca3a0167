//! Whether a series of window values changes its level once: a cumulative sum over blocks that are long beside what
//! the series remembers.

use super::autocorrelation::Dependence;
use crate::stats::{normal_quantile, student_t_two_sided_p};

/// Blocks below which nothing can be told.
pub(super) const FEWEST_BLOCKS: usize = 10;

/// Blocks on either side of a split, at least: a single extraordinary block at an edge is no new level.
const FEWEST_ON_A_SIDE: usize = 3;

/// Share of the variance of a block's sum that its dependence on the neighbours may hide (and that is put back).
const HIDDEN_SHARE: f64 = 1.0 / 6.0;

/// Episodes of a block, where rows depend on their episode: shorter ones cut too many.
const EPISODES_OF_A_BLOCK: f64 = 2.0;

/// What is left of Siegmund's correction 0.583 so that the approximation errs on the safe side.
const DISCRETE_STEPS: f64 = 0.4;

/// Windows of a trend that is taken out before dependence is measured.
const FEWEST_FOR_A_TREND: usize = 8;

/// Size of a series' spread beside its mean below which it is rounding.
const ROUNDING: f64 = 1e-12;

/// One value per window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series<'a> {
    /// Rows of each window.
    pub(super) rows: &'a [f64],
    /// Mean of something over those rows.
    pub(super) values: &'a [f64],
}

/// What a series says of a change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Finding {
    /// It has one value throughout, to rounding.
    Constant,
    /// Nothing can be told.
    Untold(Shortage),
    /// Where it changes most, and how strongly.
    Split(Split),
}

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shortage {
    /// Windows.
    Windows,
    /// Blocks that are long beside the autocorrelation time.
    Blocks {
        /// How many there are.
        blocks: usize,
    },
    /// Episodes.
    Episodes,
}

/// Where a series splits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    /// First window after it.
    pub(super) at: usize,
    /// The greatest cumulative sum in deviations of the whole sum; infinite where nothing else varies.
    pub(super) strength: f64,
    /// How often a steady series is as strong.
    pub(super) p_value: f64,
}

/// Tests whether a series changes its level; `windows_per_episode` where episodes are known.
///
/// # Formula
/// u_i = n_i (x_i - x) are the windows' sums about the mean of all N rows, r_i what is left of them once the best split
/// and a trend on either side are taken out, T the autocorrelation time of r ([`Dependence`]). Blocks of
/// `b = 3 (T - 1/T)` windows keep 1/6 of their variance in what they share with their neighbours if the
/// series is a first-order autoregression; where the values are not independent, blocks also hold two episodes, whose
/// share is then `L/(3b)`. With K blocks of sums U_j and N_j rows, C_k = U_1 + ... + U_k, and k at the greatest |C_k| of
/// 3 <= k <= K - 3: `S = |C_k|/sqrt(N s^2)`, with `s^2 = K/(K - 2) sum_j R_j^2/(N (1 - share))` and R_j the U_j about
/// the mean of their own side. See [`tail`] for how often that happens by chance.
///
/// # Edge cases
/// Fewer than ten blocks: nothing can be told. No spread beyond rounding: constant.
///
/// # Source
/// Csörgő and Horváth, *Limit Theorems in Change-Point Analysis*, 1997 (cumulative sums under dependence); Flegal and
/// Jones, *Annals of Statistics* 38, 2010 (batch means).
pub(super) fn test_split(series: Series<'_>, windows_per_episode: Option<f64>) -> Finding {
    let n_windows = series.values.len();
    if n_windows < FEWEST_BLOCKS {
        return Finding::Untold(Shortage::Windows);
    }
    let sums = Sums::of(series);
    if sums.is_rounding {
        return Finding::Constant;
    }
    let residuals = without_trends(series, sums.strongest(1..n_windows));
    let dependence = Dependence::of(&residuals);
    let blocks = Blocks::choose(n_windows, dependence, windows_per_episode);
    if blocks.n < FEWEST_BLOCKS {
        return Finding::Untold(blocks.shortage);
    }
    Finding::Split(blocks.split(series, &sums))
}

/// How often a steady series of `blocks` independent normal blocks has a sum as strong.
///
/// # Formula
/// 2S is Student's t of K - 3 degrees of freedom at the middle of the series; z the normal deviate of the same tail:
/// `p = 2 exp(-2 (z/2 + 0.4/sqrt(K))^2)`, the tail of the Brownian bridge's supremum with a correction for its steps.
/// `benches/drift.py --only critical` simulates the law: p is 0.9 to 1.6 times the true share for K of 10 to 512 and
/// shares of 0.025 to 0.0005.
///
/// # Source
/// Kolmogorov, 1933; Siegmund, *Sequential Analysis*, 1985 (steps).
pub(super) fn tail(strength: f64, blocks: usize) -> f64 {
    let k = blocks as f64;
    let one_sided = student_t_two_sided_p(2.0 * strength, k - 3.0) / 2.0;
    if one_sided == 0.0 {
        return 0.0;
    }
    let level = -normal_quantile(one_sided) / 2.0 + DISCRETE_STEPS / k.sqrt();
    (2.0 * (-2.0 * level * level).exp()).min(1.0)
}

/// Cumulative sums about the mean.
struct Sums {
    n_rows: f64,
    /// Sum of the windows before each window, and of all.
    before: Vec<f64>,
    is_rounding: bool,
}

impl Sums {
    fn of(Series { rows, values }: Series<'_>) -> Self {
        let n_rows: f64 = rows.iter().sum();
        let mean = rows.iter().zip(values).map(|(n, x)| n * x).sum::<f64>() / n_rows;
        let spread = rows.iter().zip(values).map(|(n, x)| n * (x - mean).powi(2)).sum::<f64>() / n_rows;
        let mut before = vec![0.0];
        for (n, x) in rows.iter().zip(values) {
            before.push(before[before.len() - 1] + n * (x - mean));
        }
        Self { n_rows, before, is_rounding: spread.sqrt() <= mean.abs() * ROUNDING }
    }

    /// The split of the greatest sum among some.
    fn strongest(&self, splits: std::ops::Range<usize>) -> usize {
        let first = splits.start;
        splits.fold(first, |best, at| if self.before[at].abs() > self.before[best].abs() { at } else { best })
    }
}

/// The windows' sums about a line on either side of a split: what a step or a drift leaves of them.
fn without_trends(Series { rows, values }: Series<'_>, split: usize) -> Vec<f64> {
    let per_window = rows.iter().sum::<f64>() / rows.len() as f64;
    let mut left = Vec::with_capacity(rows.len());
    for side in [0..split, split..rows.len()] {
        let line = Line::through(&rows[side.clone()], &values[side.clone()]);
        let side = rows[side.clone()].iter().zip(&values[side]).enumerate();
        left.extend(side.map(|(i, (n, x))| (x - line.at(i as f64)) * n / per_window));
    }
    left
}

/// A weighted least-squares line.
struct Line {
    centre: f64,
    mean: f64,
    slope: f64,
}

impl Line {
    fn through(rows: &[f64], values: &[f64]) -> Self {
        let total: f64 = rows.iter().sum();
        let weighted = |of: &dyn Fn(usize) -> f64| -> f64 {
            rows.iter().enumerate().map(|(i, n)| n * of(i)).sum::<f64>() / total
        };
        let mean = weighted(&|i| values[i]);
        let centre = weighted(&|i| i as f64);
        let across = weighted(&|i| (i as f64 - centre) * (values[i] - mean));
        let along = weighted(&|i| (i as f64 - centre).powi(2));
        let slope = if rows.len() < FEWEST_FOR_A_TREND { 0.0 } else { across / along };
        Self { centre, mean, slope }
    }

    fn at(&self, i: f64) -> f64 {
        self.mean + self.slope * (i - self.centre)
    }
}

/// Consecutive windows taken together.
#[derive(Debug, Clone, Copy)]
struct Blocks {
    /// Windows of each; the last one has what is left over too.
    length: usize,
    n: usize,
    /// Share of the sums' variance that the blocks do not show.
    hidden: f64,
    /// What there is too little of, if these are too few.
    shortage: Shortage,
}

impl Blocks {
    fn choose(n_windows: usize, dependence: Dependence, windows_per_episode: Option<f64>) -> Self {
        let excess = (dependence.time - 1.0 / dependence.time) / 2.0;
        let by_time = ceil(excess / HIDDEN_SHARE);
        let episode = windows_per_episode.filter(|_| !dependence.is_independent).unwrap_or(0.0);
        let by_episode = ceil(EPISODES_OF_A_BLOCK * episode);
        let length = by_time.max(by_episode).max(1);
        let n = n_windows / length;
        let is_for_episodes = by_episode > by_time;
        Self {
            length,
            n,
            hidden: (excess / length as f64).max(episode / (3.0 * length as f64)),
            shortage: if is_for_episodes { Shortage::Episodes } else { Shortage::Blocks { blocks: n } },
        }
    }

    /// The window each block begins with, and the number of windows.
    fn bound(&self, block: usize, n_windows: usize) -> usize {
        if block == self.n { n_windows } else { block * self.length }
    }

    fn split(&self, Series { rows, .. }: Series<'_>, sums: &Sums) -> Split {
        let n_windows = rows.len();
        let sum = |block: usize| sums.before[self.bound(block, n_windows)];
        let first = FEWEST_ON_A_SIDE;
        let at = (first..=self.n - FEWEST_ON_A_SIDE)
            .fold(first, |best, at| if sum(at).abs() > sum(best).abs() { at } else { best });
        let mut cumulated = vec![0.0];
        rows.iter().for_each(|n| cumulated.push(cumulated[cumulated.len() - 1] + n));
        let n_before = |block: usize| cumulated[self.bound(block, n_windows)];
        let sides = [sum(at) / n_before(at), -sum(at) / (sums.n_rows - n_before(at))];
        let squares: f64 = (0..self.n)
            .map(|block| {
                let n = n_before(block + 1) - n_before(block);
                (sum(block + 1) - sum(block) - n * sides[usize::from(block >= at)]).powi(2)
            })
            .sum();
        let k = self.n as f64;
        let variance = squares / sums.n_rows * k / (k - 2.0) / (1.0 - self.hidden);
        let strength = sum(at).abs() / (sums.n_rows * variance).sqrt();
        // Blocks tell how strong it is, windows where it is.
        let near = self.bound(at - 1, n_windows) + 1..self.bound(at + 1, n_windows);
        Split { at: sums.strongest(near), strength, p_value: tail(strength, self.n) }
    }
}

/// The next whole number up, rounding aside.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length in windows")]
fn ceil(x: f64) -> usize {
    (x - 1e-9).ceil().max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_that_of_the_simulated_law() {
        // Quantiles of the statistic of K independent normal blocks: 400,000 series each, benches/drift.py.
        for (blocks, share, strength) in [
            (10, 0.025, 1.825),
            (10, 0.0015, 2.983),
            (16, 0.025, 1.626),
            (16, 0.0015, 2.390),
            (32, 0.025, 1.510),
            (32, 0.0005, 2.269),
            (128, 0.01, 1.616),
            (256, 0.025, 1.463),
            (256, 0.0015, 1.899),
        ] {
            let found = tail(strength, blocks) / share;
            assert!((0.88..1.6).contains(&found), "{blocks} blocks: {found} times {share}");
        }
        // The limit: Kolmogorov's 1.358 at 5 %, 1.628 at 1 %.
        assert!(
            (tail(1.358, 1_000_000) - 0.05).abs() < 0.001 && (tail(1.628, 1_000_000) - 0.01).abs() < 0.0002
        );
        assert_eq!((tail(f64::INFINITY, 20), tail(0.0, 20)), (0.0, 1.0));
    }

    fn split_of(values: &[f64]) -> Finding {
        test_split(Series { rows: &vec![4.0; values.len()], values }, None)
    }

    #[test]
    fn a_step_without_noise_is_certain() {
        let values: Vec<f64> = (0..40).map(|i| if i < 25 { 1.0 } else { 2.0 }).collect();
        let Finding::Split(split) = split_of(&values) else { panic!("a split") };
        assert_eq!((split.at, split.strength, split.p_value), (25, f64::INFINITY, 0.0));
    }

    #[test]
    fn a_series_without_spread_is_constant_and_a_short_one_untold() {
        assert_eq!(split_of(&[0.1 + 0.2; 40]), Finding::Constant);
        assert_eq!(split_of(&[1.0, 2.0, 3.0]), Finding::Untold(Shortage::Windows));
    }

    #[test]
    fn one_wild_window_anywhere_is_no_change() {
        let quiet = |i: usize| f64::from(u32::try_from(i * i * 31 % 17).expect("small")) / 17.0;
        for wild in [0, 1, 30, 98, 99] {
            let values: Vec<f64> = (0..100).map(|i| if i == wild { 1e4 } else { quiet(i) }).collect();
            let Finding::Split(split) = split_of(&values) else { panic!("told") };
            assert!(split.p_value > 0.05, "{wild}: {split:?}");
        }
    }

    #[test]
    fn a_long_wave_cannot_be_told_from_a_change() {
        let wave: Vec<f64> = (0..200).map(|i| (f64::from(i) / 25.0).sin()).collect();
        assert!(matches!(split_of(&wave), Finding::Untold(Shortage::Blocks { .. })));
    }

    #[test]
    fn episodes_are_blocks_where_rows_depend_on_them() {
        // A quick oscillation, and a level of each of 12 episodes of 20 windows.
        let values: Vec<f64> =
            (0..240).map(|i: i32| f64::from(10 * (i % 2)) + 0.2 * f64::from((i / 20) * 7 % 12)).collect();
        let rows = vec![1.0; 240];
        let found = test_split(Series { rows: &rows, values: &values }, Some(20.0));
        assert_eq!(found, Finding::Untold(Shortage::Episodes));
    }
}
