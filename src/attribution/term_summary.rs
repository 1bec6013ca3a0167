//! From games to terms: means over independent units, tests, multiplicity.
//!
//! A *term* is whatever a game has a number for: a slot, a set of slots, a slot and a measure. Shapley values,
//! interactions and ablations are summarised by this one function.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::GameKey;
use super::cluster::{Cluster, ClusterRequest, ClusteredGame, UnitAverager, UnitMean, clustered, n_runs};
use super::rounding::rounding_floor;
use super::shapley::Method;
use crate::stats::{
    Adjustment, ConfidenceInterval, ConfidenceLevel, Estimate, IntervalMethod, LargestT, VarianceComponents,
    adjust, one_sample_test, sign_flip_p,
};

/// How games become statements over units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inference {
    /// The independent unit asked for.
    pub cluster: ClusterRequest,
    /// Level of intervals and tests.
    pub level: ConfidenceLevel,
    /// How intervals are made from units.
    pub interval: IntervalMethod,
    /// How p values are adjusted over all terms.
    pub adjustment: Adjustment,
    /// Where p values come from.
    pub test: UnitTest,
    /// Whether each interval holds for itself, or all hold together.
    pub coverage: Coverage,
    /// Seed of drawn sign flips.
    pub seed: u64,
}

/// Where p values over units come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnitTest {
    /// The distribution the interval is made by.
    #[default]
    OfInterval,
    /// Flips of the units' signs.
    SignFlip,
}

/// What a confidence level is said of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Coverage {
    /// Each interval by itself.
    #[default]
    Pointwise,
    /// All intervals of the report together.
    Simultaneous,
}

impl Inference {
    /// Holm's adjustment, tests by the interval's distribution, each interval by itself.
    pub fn new(cluster: ClusterRequest, level: ConfidenceLevel, interval: IntervalMethod) -> Self {
        Self {
            cluster,
            level,
            interval,
            adjustment: Adjustment::default(),
            test: UnitTest::default(),
            coverage: Coverage::default(),
            seed: 0,
        }
    }
}

/// All terms over games.
#[derive(Debug, Clone, PartialEq)]
pub struct TermSummaries<T> {
    /// The independent unit used.
    pub cluster: Cluster,
    /// Share of the variance of episodes that lies between runs, over all terms together: the sum of their
    /// variances between runs over the sum of all their variances. `None` where one run, or one episode a run, or
    /// rounding leaves nothing to tell.
    pub between_runs: Option<f64>,
    /// Terms in the order asked for.
    pub terms: Vec<TermSummary<T>>,
}

/// One term over all units in which it occurs.
#[derive(Debug, Clone, PartialEq)]
pub struct TermSummary<T> {
    /// The slot, or what else the numbers are of.
    pub term: T,
    /// Mean of the unit means.
    pub mean: f64,
    /// Sample standard deviation of the unit means; `None` below two units.
    pub sd: Option<f64>,
    /// sd/sqrt(units).
    pub standard_error: Option<f64>,
    /// Independent units.
    pub n_units: u64,
    /// Games.
    pub n_games: u64,
    /// Interval of the mean.
    pub interval: Option<ConfidenceInterval>,
    /// t statistic of mean = 0; infinite for constant units.
    pub t: Option<f64>,
    /// Two-sided p value, by the distribution the interval was made by, or by sign flips.
    pub p_value: Option<f64>,
    /// Adjusted over all terms; by the sign flips of the intervals, where those hold together and no other way is asked for.
    pub p_adjusted: Option<f64>,
    /// p_adjusted < 1 - confidence; `None` without a test.
    pub significant: Option<bool>,
    /// Whether some game lacks coalitions, so that the mean is biased: it has no interval and no test.
    pub biased: bool,
    /// Games by the method their values came from.
    pub games_by_method: BTreeMap<Method, u64>,
    /// Variance of the episodes' means between and within runs; `None` where nothing tells them apart.
    pub components: Option<VarianceComponents>,
    /// The units and their means, in order of unit.
    pub unit_means: Vec<UnitMean>,
}

/// What one game has numbers for.
#[derive(Debug)]
pub(super) struct TermGame<'a, T> {
    /// Which game.
    pub(super) key: &'a GameKey,
    /// Its terms; games of one campaign share them.
    pub(super) terms: &'a Arc<[T]>,
    /// What rounding is measured by.
    pub(super) scale: f64,
    /// Whether its numbers are approximations.
    pub(super) biased: bool,
    /// Where its numbers came from.
    pub(super) method: Method,
}

/// Summarises each term over `games` in order of `order_key`; `value` is the number of a game's term, both by place.
///
/// # Formula
/// Per unit the term's values are averaged over the games that have one; over units mean, sd (n - 1), stderr,
/// interval, test of 0 and adjustment over all terms. A term counts in the units it occurs in only: absence
/// is not a value of zero. The share between runs is the intraclass correlation of the episodes' means.
///
/// # Edge cases
/// One unit: mean only. Games without a value for a term do not count.
pub(super) fn summarize_terms<T: Ord + Clone, K: Ord>(
    games: &[TermGame<'_, T>],
    value: impl Fn(usize, usize) -> Option<f64>,
    order_key: impl Fn(&T) -> K,
    inference: &Inference,
) -> TermSummaries<T> {
    let keys: Vec<&GameKey> = games.iter().map(|game| game.key).collect();
    let cluster = inference.cluster.of(keys.iter().copied());
    let runs = if n_runs(keys.iter().copied()) > 1 { Runs::Several } else { Runs::One };
    let order = clustered(&keys, cluster);
    let mut units = by_term(games, &order, value, runs);
    units.sort_by_cached_key(|unit| order_key(&unit.term));
    let mut terms: Vec<TermSummary<T>> =
        units.into_iter().filter_map(|unit| unit.summarize(&keys, inference)).collect();
    let p_values: Vec<Option<f64>> = terms.iter().map(|term| term.p_value).collect();
    for (term, adjusted) in terms.iter_mut().zip(adjust(&p_values, inference.adjustment)) {
        term.p_adjusted = adjusted;
        term.significant = adjusted.map(|p| p < 1.0 - inference.level.get());
    }
    if inference.coverage == Coverage::Simultaneous {
        widen(&mut terms, &order, inference);
    }
    let between_runs = share_between_runs(&terms);
    TermSummaries { cluster, between_runs, terms }
}

/// Makes intervals that hold together, and p values with them, unless those are asked for by another way; none where units
/// are too few for that.
fn widen<T>(terms: &mut [TermSummary<T>], order: &[ClusteredGame], inference: &Inference) {
    let n_units = order.last().map_or(0, |place| place.unit + 1);
    let mut unit_of = vec![0; order.len()];
    order.iter().for_each(|place| unit_of[place.game] = place.unit);
    let with_interval = terms.iter().filter(|term| term.interval.is_some());
    let rows: Vec<Vec<Option<f64>>> = with_interval
        .map(|term| {
            let mut row = vec![None; n_units];
            term.unit_means.iter().for_each(|unit| row[unit_of[unit.game]] = Some(unit.mean));
            row
        })
        .collect();
    let largest = LargestT::of(&rows, inference.level, inference.seed);
    let by_flips = inference.adjustment == Adjustment::Holm && inference.test == UnitTest::OfInterval;
    for term in terms.iter_mut().filter(|term| term.interval.is_some()) {
        let found = largest.as_ref().zip(term.standard_error);
        term.interval = found.map(|(largest, standard_error)| ConfidenceInterval {
            low: term.mean - largest.factor * standard_error,
            high: term.mean + largest.factor * standard_error,
        });
        if let (true, Some((largest, standard_error))) = (by_flips, found) {
            term.p_adjusted = Some(largest.p_value(term.mean / standard_error));
            term.significant = term.interval.map(|interval| interval.low > 0.0 || interval.high < 0.0);
        }
    }
}

/// The share of variance between runs, over all terms together.
fn share_between_runs<T>(terms: &[TermSummary<T>]) -> Option<f64> {
    let components: Vec<VarianceComponents> = terms.iter().filter_map(|term| term.components).collect();
    let total = VarianceComponents {
        between: components.iter().map(|one| one.between).sum(),
        within: components.iter().map(|one| one.within).sum(),
    };
    total.share_between()
}

/// Whether there is a variance between runs to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    One,
    Several,
}

/// Values of each term, unit by unit.
fn by_term<T: Ord + Clone>(
    games: &[TermGame<'_, T>],
    order: &[ClusteredGame],
    value: impl Fn(usize, usize) -> Option<f64>,
    runs: Runs,
) -> Vec<TermUnits<T>> {
    let mut units: Vec<TermUnits<T>> = Vec::new();
    let mut known: BTreeMap<T, usize> = BTreeMap::new();
    let mut seats: Vec<usize> = Vec::new();
    let mut before: Option<&TermGame<'_, T>> = None;
    for place in order {
        let game = &games[place.game];
        // Games of one campaign share their list of terms: they are looked up once.
        if before.is_none_or(|before| !Arc::ptr_eq(before.terms, game.terms)) {
            seats.clear();
            for term in game.terms.iter() {
                let seat = *known.entry(term.clone()).or_insert_with(|| {
                    units.push(TermUnits::new(term.clone()));
                    units.len() - 1
                });
                seats.push(seat);
            }
        }
        for (term, seat) in seats.iter().enumerate() {
            if let Some(value) = value(place.game, term) {
                units[*seat].push(game, place, value, runs);
            }
        }
        before = Some(game);
    }
    units
}

/// One term's values, grouped by unit.
struct TermUnits<T> {
    term: T,
    units: UnitAverager,
    /// Episodes, where there are several runs.
    episodes: UnitAverager,
    /// Greatest scale of its games.
    scale: f64,
    biased: bool,
    by_method: [u64; Method::ALL.len()],
}

impl<T> TermUnits<T> {
    fn new(term: T) -> Self {
        Self {
            term,
            units: UnitAverager::default(),
            episodes: UnitAverager::default(),
            scale: 0.0,
            biased: false,
            by_method: [0; Method::ALL.len()],
        }
    }

    fn push(&mut self, game: &TermGame<'_, T>, place: &ClusteredGame, value: f64, runs: Runs) {
        self.units.push(place.unit, place.game, value);
        if runs == Runs::Several {
            self.episodes.push(place.episode, place.game, value);
        }
        self.scale = self.scale.max(game.scale);
        self.biased |= game.biased;
        self.by_method[game.method as usize] += 1;
    }

    fn summarize(self, keys: &[&GameKey], inference: &Inference) -> Option<TermSummary<T>> {
        let n_games = self.units.n_values();
        let unit_means = self.units.finish();
        let means: Vec<f64> = unit_means.iter().map(|unit| unit.mean).collect();
        let estimate = Estimate::of_mean(&means, inference.level, inference.interval)?;
        // Units that differ by rounding alone tell nothing of how the value varies.
        let floor = rounding_floor(self.scale);
        let is_rounding = estimate.sd.is_some_and(|sd| sd <= floor);
        // Nor do those whose squares are beyond 64-bit numbers.
        let says_nothing = is_rounding || estimate.sd.is_some_and(|sd| !sd.is_finite());
        let test = if says_nothing || self.biased {
            None
        } else {
            one_sample_test(&means, &estimate, inference.interval)
        };
        let components = VarianceComponents::one_way(&of_runs(&self.episodes.finish(), keys))
            .filter(|components| components.between + components.within > floor * floor);
        let counted = Method::ALL.into_iter().zip(self.by_method).filter(|(_, n)| *n > 0);
        Some(TermSummary {
            term: self.term,
            mean: estimate.value,
            sd: estimate.sd,
            standard_error: estimate.standard_error,
            n_units: estimate.n,
            n_games,
            interval: estimate.interval.filter(|_| !says_nothing && !self.biased),
            t: test.map(|test| test.t),
            p_value: match inference.test {
                UnitTest::OfInterval => test.map(|test| test.p_value),
                UnitTest::SignFlip => test.and_then(|_| sign_flip_p(&means, inference.seed)),
            },
            p_adjusted: None,
            significant: None,
            biased: self.biased,
            games_by_method: counted.collect(),
            components,
            unit_means,
        })
    }
}

/// Means of episodes, which come in order of run, by run.
fn of_runs(episodes: &[UnitMean], keys: &[&GameKey]) -> Vec<Vec<f64>> {
    let of_one_run = episodes.chunk_by(|a, b| Cluster::Run.joins(keys[a.game], keys[b.game]));
    of_one_run.map(|episodes| episodes.iter().map(|episode| episode.mean).collect()).collect()
}
