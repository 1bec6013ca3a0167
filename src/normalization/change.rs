//! Where a recording's distribution changes, found from windows.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::cusum::{Finding, Series, Shortage, Split, test_split};
use super::pace::Pace;
use super::segment::MeanVar;
use super::window::Window;
use crate::stats::RowMoments;

/// Share of steady recordings that may raise an alarm, over all their dimensions and both statistics together.
pub const DRIFT_LEVEL: f64 = 0.05;

/// Least size of a shift, in pooled standard deviations, that is reported.
const LEAST_SHIFT: f64 = 0.25;

/// Least ratio of standard deviations that is reported.
const LEAST_RATIO: f64 = 1.4;

/// Windows looked at; more are taken together.
const MOST_CELLS: usize = 512;

/// What a recording's windows say of a change of its distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Dimensions that are not constant: two tests each.
    pub tested: Vec<usize>,
    /// The strongest change.
    pub change: Option<Change>,
    /// Tests that could say nothing.
    pub untold: Vec<Untold>,
}

/// Where a recording's distribution changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// First update of the new regime, to the length of a window.
    pub update: u64,
    /// Dimensions that changed, strongest first.
    pub dimensions: Vec<DimensionChange>,
    /// The rows before and after.
    pub regimes: Regimes,
}

/// How one dimension changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DimensionChange {
    /// The dimension.
    pub dimension: usize,
    /// First update of its new regime, to the length of a window.
    pub update: u64,
    /// What of it changed.
    pub statistic: ChangedStatistic,
    /// How often a steady recording shows as strong a change in this dimension.
    pub p_value: f64,
    /// Change of the mean in standard deviations within the regimes.
    pub shift: f64,
    /// Standard deviation after over before.
    pub ratio: f64,
}

/// What of a dimension changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangedStatistic {
    /// Its mean alone.
    Mean,
    /// Its variance alone.
    Variance,
    /// Both.
    Both,
}

impl ChangedStatistic {
    /// The word of documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Variance => "variance",
            Self::Both => "mean and variance",
        }
    }
}

/// A test that could say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untold {
    /// The dimension.
    pub dimension: usize,
    /// What of it was to be tested.
    pub statistic: ChangedStatistic,
    /// Why nothing can be told.
    pub reason: UntoldReason,
}

/// Why nothing can be told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UntoldReason {
    /// Fewer than ten windows.
    FewWindows,
    /// Fewer than ten blocks that are long beside the autocorrelation time.
    Autocorrelated {
        /// Such blocks.
        blocks: usize,
    },
    /// Rows depend on their episode, and an environment has fewer than twenty of them.
    FewEpisodes,
    /// The rows were not seen in order of time.
    Unordered,
}

/// The rows before and after a place in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regimes {
    /// Moments of the rows before.
    pub before: RowMoments,
    /// Moments of the rows after.
    pub after: RowMoments,
}

impl Regimes {
    /// The rows before and after window `split`.
    pub fn of(windows: &[Window], split: usize, width: usize) -> Self {
        let (before, after) = windows.split_at(split);
        Self { before: Window::moments_of(before, width), after: Window::moments_of(after, width) }
    }
}

/// What is tested of every dimension.
const TESTED_STATISTICS: [ChangedStatistic; 2] = [ChangedStatistic::Mean, ChangedStatistic::Variance];

impl Drift {
    /// Tests made or tried: the level of each is [`DRIFT_LEVEL`] over their number.
    pub fn n_tests(&self) -> usize {
        self.tested.len() * TESTED_STATISTICS.len()
    }

    /// The same for rows that were not seen in order of time: nothing can be told of them.
    #[must_use]
    pub fn unordered(self) -> Self {
        let reason = UntoldReason::Unordered;
        let untold = self.tested.iter().flat_map(|dimension| {
            TESTED_STATISTICS.map(|statistic| Untold { dimension: *dimension, statistic, reason })
        });
        Self { untold: untold.collect(), change: None, tested: self.tested }
    }
}

/// Finds the strongest change of mean or variance in windows that follow each other.
///
/// # Formula
/// Two series per dimension, each tested by `test_split`: the windows' means, and their mean squares about the mean of
/// the side of the means' best split. A change counts at `p <= 0.05/m`, m twice the number of dimensions that are not
/// constant (Bonferroni: dimensions may depend on each other in any way), and where it is large too: 0.25 standard
/// deviations of the mean, or a ratio of 1.4 of the deviations.
///
/// # Edge cases
/// Fewer than ten windows, or rows so dependent that there are fewer than ten independent stretches of them: untold.
pub fn find_drift(windows: &[Window], width: usize, pace: Pace) -> Drift {
    let used: Vec<&Window> = windows.iter().filter(|window| window.moments.n() > 0).collect();
    let cells = cell_ranges(used.len());
    let spans = |d: usize| {
        let least = used.iter().map(|window| window.moments.min()[d]).fold(f64::INFINITY, f64::min);
        let greatest = used.iter().map(|window| window.moments.max()[d]).fold(f64::NEG_INFINITY, f64::max);
        least < greatest
    };
    let tested: Vec<usize> = (0..width).filter(|d| spans(*d)).collect();
    let level = DRIFT_LEVEL / (tested.len() * TESTED_STATISTICS.len()) as f64;
    let cells_per_episode = pace.per_episode(cells.len() as f64);
    let mut found: Vec<Candidate> = Vec::new();
    let mut untold = Vec::new();
    for dimension in tested.iter().copied() {
        let rows = DimensionRows::of(&used, &cells, dimension);
        for statistic in TESTED_STATISTICS {
            match rows.test(statistic, cells_per_episode) {
                Finding::Constant => {}
                Finding::Untold(shortage) => {
                    untold.push(Untold { dimension, statistic, reason: shortage.into() });
                }
                Finding::Split(split) => {
                    let update = used[cells[split.at].start].first_update;
                    let change = rows.change_at(dimension, statistic, split, update);
                    if split.p_value <= level && is_large(&change) {
                        found.push(Candidate { strength: split.strength, change });
                    }
                }
            }
        }
    }
    found.sort_by(|a, b| {
        let certain = a.change.p_value.total_cmp(&b.change.p_value);
        certain.then(b.strength.total_cmp(&a.strength))
    });
    Drift { tested, change: strongest(windows, width, &found), untold }
}

/// The change that the most certain of the dimensions shows; every dimension once.
fn strongest(windows: &[Window], width: usize, found: &[Candidate]) -> Option<Change> {
    let update = found.first()?.change.update;
    let mut dimensions: Vec<DimensionChange> = Vec::new();
    for Candidate { change, .. } in found {
        match dimensions.iter_mut().find(|known| known.dimension == change.dimension) {
            Some(known) => known.statistic = ChangedStatistic::Both,
            None => dimensions.push(*change),
        }
    }
    let split = windows.partition_point(|window| window.first_update < update);
    Some(Change { update, dimensions, regimes: Regimes::of(windows, split, width) })
}

/// Whether a change is large enough to be told.
fn is_large(change: &DimensionChange) -> bool {
    match change.statistic {
        ChangedStatistic::Variance => !(1.0 / LEAST_RATIO..=LEAST_RATIO).contains(&change.ratio),
        ChangedStatistic::Mean | ChangedStatistic::Both => change.shift.abs() >= LEAST_SHIFT,
    }
}

/// Windows in cells of as many each, no more of them than [`MOST_CELLS`].
fn cell_ranges(n_windows: usize) -> Vec<Range<usize>> {
    let each = n_windows.div_ceil(MOST_CELLS).max(1);
    (0..n_windows).step_by(each).map(|start| start..n_windows.min(start + each)).collect()
}

impl From<Shortage> for UntoldReason {
    fn from(shortage: Shortage) -> Self {
        match shortage {
            Shortage::Windows => Self::FewWindows,
            Shortage::Blocks { blocks } => Self::Autocorrelated { blocks },
            Shortage::Episodes => Self::FewEpisodes,
        }
    }
}

/// A change of one dimension that is both certain and large.
#[derive(Clone, Copy)]
struct Candidate {
    strength: f64,
    change: DimensionChange,
}

/// One dimension, cell by cell.
struct DimensionRows {
    rows: Vec<f64>,
    means: Vec<f64>,
    vars: Vec<f64>,
}

impl DimensionRows {
    fn of(windows: &[&Window], cells: &[Range<usize>], dimension: usize) -> Self {
        let mut own = Self { rows: Vec::new(), means: Vec::new(), vars: Vec::new() };
        for cell in cells {
            let moments = windows[cell.clone()].iter().map(|window| &window.moments);
            let parts =
                moments.map(|m| (m.n() as f64, MeanVar { mean: m.mean()[dimension], var: m.var(dimension) }));
            let (n, whole) = pooled(parts);
            own.rows.push(n);
            own.means.push(whole.mean);
            own.vars.push(whole.var);
        }
        own
    }

    fn test(&self, statistic: ChangedStatistic, cells_per_episode: Option<f64>) -> Finding {
        let values = match statistic {
            ChangedStatistic::Variance => &self.squares(),
            ChangedStatistic::Mean | ChangedStatistic::Both => &self.means,
        };
        test_split(Series { rows: &self.rows, values }, cells_per_episode)
    }

    /// Mean squares about the mean of either side of the means' best split.
    fn squares(&self) -> Vec<f64> {
        let whole = self.moments(0..self.rows.len()).mean;
        let (mut sum, mut best) = (0.0f64, (0.0, 0));
        for (i, (n, mean)) in self.rows.iter().zip(&self.means).enumerate() {
            if sum.abs() > best.0 {
                best = (sum.abs(), i);
            }
            sum += n * (mean - whole);
        }
        let split = best.1;
        let sides = [self.moments(0..split).mean, self.moments(split..self.rows.len()).mean];
        let cells = self.means.iter().zip(&self.vars).enumerate();
        cells.map(|(i, (mean, var))| var + (mean - sides[usize::from(i >= split)]).powi(2)).collect()
    }

    fn moments(&self, cells: Range<usize>) -> MeanVar {
        let parts = cells.map(|i| (self.rows[i], MeanVar { mean: self.means[i], var: self.vars[i] }));
        pooled(parts).1
    }

    fn change_at(
        &self,
        dimension: usize,
        statistic: ChangedStatistic,
        split: Split,
        update: u64,
    ) -> DimensionChange {
        let (before, after) = (self.moments(0..split.at), self.moments(split.at..self.rows.len()));
        let within = f64::midpoint(before.var, after.var).sqrt();
        let shift = if within > 0.0 { (after.mean - before.mean) / within } else { f64::INFINITY };
        // Two constants are as wide as each other.
        let is_still = before.var <= 0.0 && after.var <= 0.0;
        let ratio = if is_still { 1.0 } else { (after.var / before.var).sqrt() };
        DimensionChange { dimension, update, statistic, p_value: split.p_value, shift, ratio }
    }
}

/// Rows and moments of parts together.
fn pooled(parts: impl Iterator<Item = (f64, MeanVar)>) -> (f64, MeanVar) {
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for (size, part) in parts {
        let total = n + size;
        let delta = part.mean - mean;
        mean += delta * size / total;
        squares += part.var * size + delta * delta * n * size / total;
        n = total;
    }
    (n, MeanVar { mean, var: if n > 0.0 { squares / n } else { 0.0 } })
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Memory, Output, Replay, Rule};
    use super::*;
    use crate::stats::{Rows, StreamKey, random_stream};
    use rand::RngExt;
    use rand_chacha::ChaCha20Rng;

    /// A recording of `width` dimensions and one row a step.
    struct Planted {
        width: usize,
        n: usize,
        /// First step of the new regime.
        at: usize,
        /// What is added to the first dimension from there on.
        shift: f64,
        /// What the first dimension is multiplied by from there on.
        spread: f64,
        /// Coefficient of the autoregressions.
        memory: f64,
    }

    const STEADY: Planted = Planted { width: 1, n: 1000, at: 0, shift: 0.0, spread: 1.0, memory: 0.0 };

    fn with_episodes(episodes: f64) -> Pace {
        Pace { episodes, ..Pace::default() }
    }

    fn normal(rng: &mut ChaCha20Rng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    impl Planted {
        fn drift(&self, seed: u64) -> Drift {
            self.drift_in(seed, with_episodes(0.0))
        }

        fn drift_in(&self, seed: u64, pace: Pace) -> Drift {
            find_drift(self.replayed(seed).windows(), self.width, pace)
        }

        fn replayed(&self, seed: u64) -> Replay {
            let mut rng = random_stream(seed, StreamKey::named("drift", 0, 0), 0);
            let fresh = (1.0 - self.memory * self.memory).sqrt();
            let mut state: Vec<f64> = (0..self.width).map(|_| normal(&mut rng)).collect();
            let mut rows: Vec<f64> = Vec::new();
            for step in 0..self.n {
                rows.extend(&state);
                if step >= self.at {
                    let first = rows.len() - self.width;
                    rows[first] = rows[first] * self.spread + self.shift;
                }
                state.iter_mut().for_each(|x| *x = self.memory * *x + fresh * normal(&mut rng));
            }
            let ends: Vec<usize> = (1..=self.n).collect();
            let mut replay = Replay::new(Rule::observations(Memory::Welford), self.width, self.n as u64, 256);
            replay
                .process(&Block { rows: Rows::F64(&rows), input: None, ends: &ends }, Output::None, |_| {})
                .expect("no device");
            replay.finish(|_| {});
            replay
        }
    }

    #[test]
    fn a_planted_shift_is_found_where_it_is() {
        let planted = Planted { width: 2, n: 8000, at: 5000, shift: 2.0, ..STEADY };
        let change = planted.drift(5).change.expect("a change");
        assert!(change.update.abs_diff(5000) <= 8000 / 256 + 1, "{}", change.update);
        assert_eq!(change.dimensions.len(), 1);
        let found = change.dimensions[0];
        assert_eq!((found.dimension, found.statistic), (0, ChangedStatistic::Mean));
        assert!((found.shift - 2.0).abs() < 0.15 && (found.ratio - 1.0).abs() < 0.05);
    }

    #[test]
    fn a_change_of_the_variance_alone_is_told_as_that() {
        let planted = Planted { n: 4000, at: 2000, spread: 1.0 / 4.5, ..STEADY };
        let change = planted.drift(5).change.expect("a change").dimensions[0];
        assert_eq!(change.statistic, ChangedStatistic::Variance);
        assert!(change.shift.abs() < 0.1 && (1.0 / change.ratio - 4.5).abs() < 0.3, "{change:?}");
    }

    #[test]
    fn steady_recordings_raise_an_alarm_once_in_twenty_at_most() {
        // Lengths, dimensions and memories where ranges of independent rows are many, few and too few; 100 each. By
        // the thousand they alarm in 0 to 4 % (benches/drift.py); 11 of 100 happens once in a hundred at 5 %.
        for (width, n, memory) in
            [(1, 200, 0.0), (4, 500, 0.5), (17, 1000, 0.3), (2, 1000, 0.9), (1, 1000, 0.99), (2, 5000, 0.98)]
        {
            let steady = Planted { width, n, memory, ..STEADY };
            let alarms = (0..100).filter(|seed| steady.drift(*seed).change.is_some()).count();
            assert!(alarms <= 10, "{alarms} of 100: {n} rows of {width}, coefficient {memory}");
        }
    }

    #[test]
    fn half_a_deviation_is_found_where_rows_are_independent() {
        // Neighbours' differences found 53 to 60 % of those in the middle and 39 to 47 % of those at three quarters.
        for (n, at, width, least) in
            [(500, 250, 1, 95), (1000, 500, 17, 95), (1000, 750, 1, 95), (500, 375, 17, 50)]
        {
            let planted = Planted { n, at, width, shift: 0.5, ..STEADY };
            let found = (0..100).filter(|seed| planted.drift(*seed).change.is_some()).count();
            assert!(found >= least, "{found} of 100: {n} rows of {width}, from {at} on");
        }
    }

    #[test]
    fn rows_that_hang_together_too_long_say_nothing_and_say_so() {
        let drift = Planted { n: 300, memory: 0.99, ..STEADY }.drift(2);
        assert_eq!((drift.n_tests(), &drift.change), (2, &None));
        assert!(
            drift.untold.iter().any(|untold| matches!(untold.reason, UntoldReason::Autocorrelated { .. })),
            "{:?}",
            drift.untold
        );
    }

    #[test]
    fn copies_of_a_dimension_share_the_level() {
        // Ten copies of one series: all of them change together or none does, and none more easily than alone.
        let one = Planted { n: 400, at: 200, shift: 0.6, ..STEADY };
        let alone = one.drift(3);
        let replay = one.replayed(3);
        let copies: Vec<Window> = replay
            .windows()
            .iter()
            .map(|window| {
                let ten: Vec<RowMoments> = (0..10).map(|_| window.moments.clone()).collect();
                Window { moments: RowMoments::of_columns(&ten), ..window.clone() }
            })
            .collect();
        let together = find_drift(&copies, 10, with_episodes(0.0));
        assert_eq!((alone.n_tests(), together.n_tests()), (2, 20));
        let dimensions = |drift: &Drift| drift.change.as_ref().map_or(0, |change| change.dimensions.len());
        assert!([0, 10].contains(&dimensions(&together)) && dimensions(&alone) * 10 >= dimensions(&together));
    }

    #[test]
    fn few_episodes_say_nothing_where_rows_depend_on_them() {
        let dependent = Planted { n: 4000, memory: 0.95, ..STEADY };
        let untold = |episodes: f64| dependent.drift_in(1, with_episodes(episodes)).untold;
        assert!(untold(100.0).is_empty());
        assert!(untold(10.0).iter().any(|untold| untold.reason == UntoldReason::FewEpisodes));
        // Independent rows do not depend on their episodes.
        assert!(STEADY.drift_in(1, with_episodes(10.0)).untold.is_empty());
    }
}
