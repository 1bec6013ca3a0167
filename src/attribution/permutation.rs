//! Shapley values from permutations: drawn by us over recorded coalitions, or recorded walks.
//!
//! # Formula
//! Along a permutation each player's marginal contribution has mean phi_i. Independent units are the
//! permutations, or the means of those drawn together: of a permutation and its reverse, of a block of a design. Value,
//! variance (n - 1) and interval are those of the units.
//!
//! With k permutations in a unit, their spread about its mean W (summed over the k, averaged over the units) and the
//! units' variance s^2, single permutations have variance s^2 + W/k: as many independent ones would have the variance
//! (s^2 + W/k)/k where the units have s^2. The ratio of both, summed over the players, is the relative efficiency.
//!
//! # Source
//! Castro, Gomez and Tejada, *Computers & Operations Research* 36(5), 2009; antithetic pairs: Mitchell,
//! Cooper, Frank and Holmes, *JMLR* 23(43), 2022.

use std::collections::{BTreeMap, VecDeque};

use ndarray::{Array2, Axis};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GameError;
use super::coalition::{insert, words_for};
use super::exact::NoiseError;
use super::game::{CoalitionTable, Walk};
use super::noise::{Degrees, NoiseVariances};
use super::permutation_design::PermutationDesign;
use crate::stats::{SampleMoments, StreamKey, pairwise_sum, random_stream};

/// Units computed together; sums over them are made chunk by chunk, so that they do not depend on threads.
const CHUNK: usize = 64;

/// How many permutations to draw, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermutationSettings {
    /// Permutations, reverses included; rounded up to whole units.
    pub n_permutations: usize,
    /// Which are drawn together.
    pub design: PermutationDesign,
    /// Follow each permutation by its reverse.
    pub antithetic: bool,
    /// Seed of the draws.
    pub seed: u64,
}

impl PermutationSettings {
    /// Permutations of one independent unit of a game of `n_players`.
    pub fn per_unit(&self, n_players: usize) -> usize {
        self.design.block(n_players) * if self.antithetic { 2 } else { 1 }
    }

    fn n_units(&self, n_players: usize) -> usize {
        self.n_permutations.div_ceil(self.per_unit(n_players))
    }

    /// The permutations of a unit, each followed by its reverse where they are antithetic.
    fn unit(&self, n_players: usize, key: StreamKey, unit: usize) -> impl Iterator<Item = Vec<usize>> {
        let block = self.design.draw(n_players, &mut random_stream(self.seed, key, unit as u64));
        let antithetic = self.antithetic;
        block.into_iter().flat_map(move |order| {
            let reverse = antithetic.then(|| order.iter().rev().copied().collect());
            std::iter::once(order).chain(reverse)
        })
    }
}

/// What to do when a permutation visits an unrecorded coalition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingPolicy {
    /// Refuse.
    Error,
    /// Leave the marginal contribution out and mark the results biased.
    Skip,
}

/// Marginal contributions per independent unit.
#[derive(Debug, Clone)]
pub struct UnitMarginals {
    /// Units x players; NaN where a coalition needed was not recorded.
    pub units: Array2<f64>,
    /// Whether a unit is the mean of antithetic pairs.
    pub antithetic: bool,
    /// Permutations a unit is the mean of.
    pub per_unit: usize,
    /// Per player the squared distances of a unit's permutations from its mean, summed and averaged over the units.
    pub within: Vec<f64>,
    /// Whether marginals are missing, so that what is left is a biased sample.
    pub incomplete: bool,
    /// Recorded walks behind the units, by place; empty where permutations were drawn.
    pub used_walks: Vec<usize>,
}

impl UnitMarginals {
    /// The units of one player that have a value.
    pub fn of_player(&self, player: usize) -> Vec<f64> {
        self.of_first(player, self.units.nrows())
    }

    /// The first `n_units` units of one player, those that have a value.
    pub fn of_first(&self, player: usize, n_units: usize) -> Vec<f64> {
        self.units.column(player).iter().take(n_units).copied().filter(|z| !z.is_nan()).collect()
    }

    /// Variance of as many independent permutations over that of the units, both summed over the players.
    ///
    /// # Edge cases
    /// `None` where units are single permutations, marginals are missing, there is one unit, or units do not differ by more
    /// than `floor`.
    pub fn relative_efficiency(&self, floor: f64) -> Option<f64> {
        if self.per_unit == 1 || self.incomplete {
            return None;
        }
        let k = self.per_unit as f64;
        let of_player = |player: usize| SampleMoments::of(&self.of_player(player)).sample_variance();
        let units = (0..self.within.len()).map(of_player).collect::<Option<Vec<f64>>>()?;
        let single: Vec<f64> =
            units.iter().zip(&self.within).map(|(between, within)| (between + within / k) / k).collect();
        let own = pairwise_sum(&units);
        (own > floor * floor).then(|| pairwise_sum(&single) / own)
    }
}

/// Draws permutations and reads their marginal contributions off the table.
///
/// Permutation k comes from its own stream of `key`, so results do not depend on threads.
///
/// # Errors
/// [`GameError::UnrecordedCoalition`] if a visited coalition is missing and `missing` forbids it.
pub fn drawn_marginals(
    table: &CoalitionTable,
    key: StreamKey,
    settings: PermutationSettings,
    missing: MissingPolicy,
) -> Result<UnitMarginals, GameError> {
    let n = table.n_players();
    let (per_unit, n_units) = (settings.per_unit(n), settings.n_units(n));
    let mut units = Array2::<f64>::zeros((n_units, n));
    let chunks = units.axis_chunks_iter_mut(Axis(0), CHUNK).into_par_iter().enumerate();
    let sums: Vec<(u64, Vec<f64>)> = chunks
        .map(|(chunk, mut rows)| {
            let mut scratch = WalkScratch::new(n, per_unit);
            let mut sums = (0, vec![0.0; n]);
            for (place, mut row) in rows.axis_iter_mut(Axis(0)).enumerate() {
                let Some(row) = row.as_slice_mut() else {
                    unreachable!("rows of a standard array are slices")
                };
                let permutations = settings.unit(n, key, chunk * CHUNK + place);
                sums.0 += scratch.unit(table, permutations, row, &mut sums.1);
            }
            sums
        })
        .collect();
    let n_missing: u64 = sums.iter().map(|(missing, _)| missing).sum();
    if n_missing > 0 && missing == MissingPolicy::Error {
        return Err(GameError::UnrecordedCoalition {
            visits: n_missing,
            visited: (n_units * per_unit * (n + 1)) as u64,
            recorded: table.n_coalitions(),
            total: (n as f64).exp2(),
        });
    }
    let within = |player: usize| {
        let of_chunks: Vec<f64> = sums.iter().map(|(_, within)| within[player]).collect();
        pairwise_sum(&of_chunks) / n_units as f64
    };
    Ok(UnitMarginals {
        units,
        antithetic: settings.antithetic,
        per_unit,
        within: (0..n).map(within).collect(),
        incomplete: n_missing > 0,
        used_walks: Vec::new(),
    })
}

/// What evaluation noise in the table adds to the variance of drawn estimates, per player.
///
/// # Formula
/// A unit's marginal contribution is z_u = sum over S of d_u(S) v(S), the estimate their mean over M units. Given
/// the recorded values, s^2/M is the variance of the draws, and it already holds the noise that differs between
/// units. What is missing is the noise all units share, sum of E\[d(S)\]^2 u(S) with u(S) the variance of the value
/// of S; its unbiased estimate is sum of u(S) (M c(S)^2 - q(S))/(M - 1), c and q the means of d_u and d_u^2 over
/// the units. The sum of c(S)^2 u(S) alone would count the noise between units twice.
///
/// # Edge cases
/// One unit: no spread, and nothing to add to. An estimate below 0, by chance, is 0.
pub fn drawn_noise(
    table: &CoalitionTable,
    key: StreamKey,
    settings: PermutationSettings,
    noise: &NoiseVariances,
) -> Vec<NoiseError> {
    let n = table.n_players();
    let (per_unit, n_units) = (settings.per_unit(n), settings.n_units(n));
    let share = 1.0 / per_unit as f64;
    let mut visits: Vec<Visit> = (0..n_units)
        .into_par_iter()
        .flat_map_iter(|unit| {
            let permutations = settings.unit(n, key, unit);
            permutations.flat_map(move |order| visits_along(table, unit, order.into_iter()))
        })
        .collect();
    visits.par_sort_unstable_by_key(|visit| (visit.position, visit.player, visit.unit));
    let m = n_units as f64;
    let unit_variance = noise.unit().unwrap_or(1.0);
    let (mut second, mut fourth) = (vec![0.0; n], vec![0.0; n]);
    for cell in visits.chunk_by(|a, b| (a.position, a.player) == (b.position, b.player)) {
        let (mut sum, mut squares) = (0.0, 0.0);
        for unit in cell.chunk_by(|a, b| a.unit == b.unit) {
            let coefficient = share * unit.iter().map(|visit| f64::from(visit.sign)).sum::<f64>();
            sum += coefficient;
            squares += coefficient * coefficient;
        }
        let weight = (sum * sum - squares) / (m * (m - 1.0).max(1.0));
        let part = weight * noise.variances[cell[0].position];
        second[cell[0].player] += part;
        if let Degrees::PerCoalition(own) = &noise.degrees {
            fourth[cell[0].player] += (part / unit_variance).powi(2) / own[cell[0].position];
        }
    }
    (0..n)
        .map(|player| NoiseError {
            standard_error: second[player].max(0.0).sqrt(),
            degrees: match &noise.degrees {
                Degrees::Pooled(degrees) => *degrees,
                Degrees::PerCoalition(own) => {
                    Degrees::combined(own, second[player] / unit_variance, fourth[player])
                }
            },
        })
        .collect()
}

/// A value that a unit's marginal contribution of a player is made of.
struct Visit {
    position: usize,
    player: usize,
    unit: usize,
    /// 1 for the coalition with the player, -1 for the one without.
    sign: i8,
}

/// The visits of a permutation; coalitions that were not recorded are passed over.
fn visits_along(table: &CoalitionTable, unit: usize, order: impl Iterator<Item = usize>) -> Vec<Visit> {
    let mut mask = vec![0u64; words_for(table.n_players())];
    let mut before = table.position(&mask);
    let mut visits = Vec::new();
    for player in order {
        insert(&mut mask, player);
        let after = table.position(&mask);
        if let (Some(before), Some(after)) = (before, after) {
            visits.push(Visit { position: after, player, unit, sign: 1 });
            visits.push(Visit { position: before, player, unit, sign: -1 });
        }
        before = after;
    }
    visits
}

/// Coalition under construction while permutations of a unit are walked, and their marginal contributions.
struct WalkScratch {
    mask: Vec<u64>,
    /// Permutations x players.
    marginals: Vec<f64>,
    n_players: usize,
}

impl WalkScratch {
    fn new(n_players: usize, per_unit: usize) -> Self {
        let marginals = vec![0.0; n_players * per_unit];
        Self { mask: vec![0; words_for(n_players)], marginals, n_players }
    }

    /// Writes the mean of a unit's permutations to `row` and adds their squared distances from it to `within`; returns
    /// the unrecorded visits.
    fn unit(
        &mut self,
        table: &CoalitionTable,
        permutations: impl Iterator<Item = Vec<usize>>,
        row: &mut [f64],
        within: &mut [f64],
    ) -> u64 {
        let mut missed = 0;
        for (place, order) in permutations.enumerate() {
            missed += self.walk(table, &order, place);
        }
        let per_unit = self.marginals.len() / self.n_players.max(1);
        for (player, mean) in row.iter_mut().enumerate() {
            let own = || self.marginals.iter().skip(player).step_by(self.n_players);
            *mean = own().sum::<f64>() / per_unit as f64;
            within[player] += own().map(|z| (z - *mean).powi(2)).sum::<f64>();
        }
        missed
    }

    /// Notes each player's marginal contribution along the permutation at `place`; returns the unrecorded visits.
    fn walk(&mut self, table: &CoalitionTable, order: &[usize], place: usize) -> u64 {
        self.mask.fill(0);
        let own = &mut self.marginals[place * self.n_players..][..self.n_players];
        let look_up = |mask: &[u64]| table.value(mask).unwrap_or(f64::NAN);
        let mut before = look_up(&self.mask);
        let mut missed = u64::from(before.is_nan());
        for player in order {
            insert(&mut self.mask, *player);
            let after = look_up(&self.mask);
            missed += u64::from(after.is_nan());
            own[*player] = after - before;
            before = after;
        }
        missed
    }
}

/// Marginal contributions of recorded walks, antithetic pairs detected.
///
/// Every walk is matched with an unused reverse of it, wherever that stands; if at least half of the walks have one,
/// pairs are the units and walks without a partner are left out. A reverse by chance does no harm: which pairs come
/// together depends on the orders alone, never on their values.
pub fn recorded_marginals(n_players: usize, walks: &[Walk]) -> UnitMarginals {
    let pairs = matched_pairs(walks);
    let antithetic = !pairs.is_empty() && 4 * pairs.len() >= walks.len();
    let groups: Vec<Vec<usize>> = if antithetic {
        pairs.into_iter().map(|(there, back)| vec![there, back]).collect()
    } else {
        (0..walks.len()).map(|walk| vec![walk]).collect()
    };
    let mut units = Array2::<f64>::zeros((groups.len(), n_players));
    let mut distances = Array2::<f64>::zeros((groups.len(), n_players));
    for (unit, group) in groups.iter().enumerate() {
        let share = 1.0 / group.len() as f64;
        let marginals = |walk: &usize| {
            let walk = &walks[*walk];
            (walk.order.iter().enumerate())
                .map(move |(at, player)| (*player, walk.values[at + 1] - walk.values[at]))
        };
        for (player, marginal) in group.iter().flat_map(marginals) {
            units[(unit, player)] += marginal * share;
        }
        for (player, marginal) in group.iter().flat_map(marginals) {
            distances[(unit, player)] += (marginal - units[(unit, player)]).powi(2);
        }
    }
    let within = |player: usize| pairwise_sum(&distances.column(player).to_vec()) / groups.len() as f64;
    UnitMarginals {
        within: (0..n_players).map(within).collect(),
        units,
        antithetic,
        per_unit: if antithetic { 2 } else { 1 },
        incomplete: false,
        used_walks: groups.iter().flatten().copied().collect(),
    }
}

/// Walks with a reverse of theirs that no other walk has, in order of the first of both.
fn matched_pairs(walks: &[Walk]) -> Vec<(usize, usize)> {
    let mut waiting: BTreeMap<&[usize], VecDeque<usize>> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (place, walk) in walks.iter().enumerate() {
        let reverse: Vec<usize> = walk.order.iter().rev().copied().collect();
        match waiting.get_mut(&reverse[..]).and_then(VecDeque::pop_front) {
            Some(partner) => pairs.push((partner, place)),
            None => waiting.entry(&walk.order).or_default().push_back(place),
        }
    }
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ConfidenceLevel, Estimate, IntervalMethod};

    fn settings(n_permutations: usize, antithetic: bool) -> PermutationSettings {
        PermutationSettings { n_permutations, design: PermutationDesign::Plain, antithetic, seed: 3 }
    }

    fn key() -> StreamKey {
        StreamKey::named("test", 0, 0)
    }

    /// v = 3 x0 + x1 + 2 x0 x1 x2: not additive, so permutations differ.
    fn table() -> CoalitionTable {
        let value = |m: u32| f64::from(3 * (m & 1) + (m >> 1 & 1) + 2 * u32::from(m == 7));
        CoalitionTable::complete((0..8).map(value).collect())
    }

    #[test]
    fn an_antithetic_pair_counts_as_one_sample() {
        let drawn =
            drawn_marginals(&table(), key(), settings(100, true), MissingPolicy::Error).expect("marginals");
        assert_eq!(drawn.units.nrows(), 50);
        // Player 2 earns 2 when it comes last: in a pair it is last in at most one half, so z is 0 or 1.
        assert!(drawn.of_player(2).iter().all(|z| *z == 0.0 || *z == 1.0));
        let plain =
            drawn_marginals(&table(), key(), settings(100, false), MissingPolicy::Error).expect("marginals");
        assert_eq!(plain.units.nrows(), 100);
    }

    #[test]
    fn every_unit_is_efficient() {
        let drawn =
            drawn_marginals(&table(), key(), settings(40, true), MissingPolicy::Error).expect("marginals");
        for unit in drawn.units.rows() {
            assert!((unit.sum() - 6.0).abs() < 1e-12);
        }
    }

    #[test]
    fn additive_games_are_exact_after_one_pair() {
        let table = CoalitionTable::complete((0..16u32).map(f64::from).collect());
        let drawn =
            drawn_marginals(&table, key(), settings(2, true), MissingPolicy::Error).expect("marginals");
        assert_eq!(drawn.units.row(0).to_vec(), [1.0, 2.0, 4.0, 8.0]);
    }

    fn designed(table: &CoalitionTable, design: PermutationDesign, antithetic: bool) -> UnitMarginals {
        let settings = PermutationSettings { design, ..settings(4000, antithetic) };
        drawn_marginals(table, key(), settings, MissingPolicy::Error).expect("marginals")
    }

    /// A game of six players without any structure.
    fn wild() -> CoalitionTable {
        let value = |m: u32| (f64::from(m) * 0.731).sin() + f64::from(m.count_ones()).sqrt();
        CoalitionTable::complete((0..64).map(value).collect())
    }

    #[test]
    fn every_design_estimates_the_same_values() {
        let exact = crate::attribution::ExactKernel::new(6);
        let table = wild();
        let phi = exact.shapley_values(table.complete_values().expect("complete"));
        for design in [PermutationDesign::Plain, PermutationDesign::Balanced, PermutationDesign::Stratified] {
            for antithetic in [false, true] {
                let drawn = designed(&table, design, antithetic);
                assert_eq!(
                    drawn.per_unit,
                    design.block(6) * if antithetic { 2 } else { 1 },
                    "{design:?} {antithetic}"
                );
                assert_eq!(drawn.units.nrows(), 4000usize.div_ceil(drawn.per_unit));
                for (player, phi) in phi.iter().enumerate() {
                    let moments = SampleMoments::of(&drawn.of_player(player));
                    let mean = moments.mean().expect("units");
                    let error = (moments.sample_variance().expect("units") / moments.n() as f64).sqrt();
                    assert!(
                        (mean - phi).abs() < 4.5 * error,
                        "{design:?} {antithetic} {player}: {mean} {phi}"
                    );
                }
            }
        }
    }

    /// What the units say of single permutations is what single permutations say.
    #[test]
    fn the_relative_efficiency_is_that_of_plain_permutations() {
        let table = wild();
        let variances = |drawn: &UnitMarginals| -> f64 {
            (0..6).filter_map(|player| SampleMoments::of(&drawn.of_player(player)).sample_variance()).sum()
        };
        let plain = designed(&table, PermutationDesign::Plain, false);
        assert_eq!(plain.relative_efficiency(1e-12), None);
        for design in [PermutationDesign::Plain, PermutationDesign::Balanced, PermutationDesign::Stratified] {
            let drawn = designed(&table, design, true);
            let told = drawn.relative_efficiency(1e-12).expect("units differ");
            let measured = variances(&plain) / drawn.per_unit as f64 / variances(&drawn);
            assert!((told / measured - 1.0).abs() < 0.1, "{design:?}: {told} {measured}");
        }
    }

    #[test]
    fn pairs_of_a_self_dual_game_are_worth_half_their_permutations() {
        // Majority of five: a permutation and its reverse have the same pivot.
        let table =
            CoalitionTable::complete((0..32u32).map(|m| f64::from(u8::from(m.count_ones() > 2))).collect());
        let pairs = designed(&table, PermutationDesign::Plain, true);
        assert_eq!(pairs.relative_efficiency(1e-12), Some(0.5));
        // Each player once at every position: in the middle once.
        let squares = designed(&table, PermutationDesign::Stratified, false);
        assert_eq!(squares.relative_efficiency(1e-12), None);
        assert!(squares.units.iter().all(|z| (z - 0.2).abs() < 1e-15));
    }

    #[test]
    fn recorded_pairs_tell_their_efficiency_too() {
        let there = [walk(0, &[0, 1], &[0.0, 1.0, 4.0]), walk(2, &[0, 1], &[0.0, 2.0, 4.0])];
        let back = [walk(1, &[1, 0], &[0.0, 2.0, 4.0]), walk(3, &[1, 0], &[0.0, 3.0, 4.0])];
        let walks: Vec<Walk> = there.into_iter().chain(back).collect();
        let paired = recorded_marginals(2, &walks);
        assert_eq!((paired.per_unit, paired.units.nrows()), (2, 2));
        // Player 0: halves 1, 2 and 2, 1 in pairs whose means agree, of which nothing can be told.
        assert_eq!(paired.within, [0.5, 0.5]);
        assert_eq!(paired.relative_efficiency(1e-12), None);
    }

    #[test]
    fn an_unrecorded_visit_is_an_error_unless_skipped() {
        let rows = [(0, 0.0), (1, 1.0), (3, 2.0)];
        let table =
            CoalitionTable::from_rows(2, 3, rows.into_iter(), super::super::Repeats::Mean).expect("a table");
        let drawn = |missing| drawn_marginals(&table, key(), settings(20, false), missing);
        assert!(matches!(
            drawn(MissingPolicy::Error),
            Err(GameError::UnrecordedCoalition { recorded: 3, .. })
        ));
        let skipped = drawn(MissingPolicy::Skip).expect("marginals");
        assert!(skipped.incomplete);
        // Only the order 0, 1 is recorded.
        assert!(skipped.of_player(0).iter().all(|z| *z == 1.0));
        assert!(!skipped.of_player(0).is_empty() && skipped.of_player(0).len() < 20);
    }

    fn walk(perm: i64, order: &[usize], values: &[f64]) -> Walk {
        Walk { perm, order: order.to_vec(), values: values.to_vec() }
    }

    #[test]
    fn reversed_walks_are_paired_and_others_are_not() {
        let there = walk(0, &[0, 1, 2], &[0.0, 3.0, 4.0, 6.0]);
        let back = walk(1, &[2, 1, 0], &[0.0, 0.0, 1.0, 6.0]);
        let other = walk(1, &[1, 0, 2], &[0.0, 1.0, 4.0, 6.0]);
        let paired = recorded_marginals(3, &[there.clone(), back.clone(), there.clone()]);
        assert!(paired.antithetic);
        assert_eq!(paired.used_walks, [0, 1]);
        assert_eq!(paired.units.row(0).to_vec(), [4.0, 1.0, 1.0]);
        let single = recorded_marginals(3, &[there, other]);
        assert!(!single.antithetic);
        assert_eq!(single.units.nrows(), 2);
    }

    #[test]
    fn reverses_are_found_wherever_they_stand() {
        let there = [walk(0, &[0, 1, 2], &[0.0, 3.0, 4.0, 6.0]), walk(1, &[1, 0, 2], &[0.0, 1.0, 4.0, 6.0])];
        let back = [walk(7, &[2, 0, 1], &[0.0, 2.0, 5.0, 6.0]), walk(9, &[2, 1, 0], &[0.0, 0.0, 1.0, 6.0])];
        // A block of their own, in another order, and with a walk lost in between.
        let blocks = recorded_marginals(3, &[there.clone(), back.clone()].concat());
        assert!(blocks.antithetic && blocks.used_walks == [0, 3, 1, 2]);
        assert_eq!(blocks.units.row(0).to_vec(), [4.0, 1.0, 1.0]);
        let lost = recorded_marginals(3, &[there[1].clone(), there[0].clone(), back[1].clone()]);
        assert!(lost.antithetic && lost.used_walks == [1, 2]);
    }

    /// One player of two: phi = (v(1) - v(0) + v(3) - v(2))/2 by both orders, each value with variance 1: sum of
    /// w^2 u = 1, of which draws of single permutations hold what differs between the orders.
    #[test]
    fn noise_that_all_units_share_is_added() {
        let table = CoalitionTable::complete(vec![0.0, 1.0, 2.0, 4.0]);
        let noise = NoiseVariances { variances: vec![1.0; 4], degrees: Degrees::Pooled(9.0) };
        for antithetic in [true, false] {
            let shared = drawn_noise(&table, key(), settings(4000, antithetic), &noise);
            for error in shared {
                assert!((error.standard_error - 1.0).abs() < 0.05, "{error:?}");
                assert_eq!(error.degrees, 9.0);
            }
        }
    }

    #[test]
    fn the_interval_divides_the_variance_by_n_minus_one() {
        // Two walks: player 0 earns 3 and 5, player 1 earns 1 and -1: sd sqrt(2), stderr 1.
        let walks = [walk(0, &[0, 1, 2], &[0.0, 3.0, 4.0, 6.0]), walk(1, &[1, 0, 2], &[0.0, -1.0, 4.0, 6.0])];
        let marginals = recorded_marginals(3, &walks);
        let level = ConfidenceLevel::new(0.95).expect("a level");
        let estimate =
            Estimate::of_mean(&marginals.of_player(0), level, IntervalMethod::StudentT).expect("an estimate");
        assert_eq!(estimate.value, 4.0);
        assert!((estimate.sd.expect("sd") - 2.0f64.sqrt()).abs() < 1e-15);
        assert!((estimate.standard_error.expect("stderr") - 1.0).abs() < 1e-15);
    }
}
