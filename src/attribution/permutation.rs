//! Shapley values from permutations: drawn by us over recorded coalitions, or recorded walks.
//!
//! # Formula
//! Along a permutation each player's marginal contribution has mean phi_i. Independent units are the
//! permutations, or, with antithetic pairs, the means of a permutation and its reverse; value, variance
//! (n - 1) and interval are those of the units.
//!
//! # Source
//! Castro, Gomez and Tejada, *Computers & Operations Research* 36(5), 2009; antithetic pairs: Mitchell,
//! Cooper, Frank and Holmes, *JMLR* 23(43), 2022.

use ndarray::{Array2, Axis};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GameError;
use super::coalition::{insert, words_for};
use super::game::{CoalitionTable, Walk};
use crate::stats::{StreamKey, random_stream};

/// How many permutations to draw, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermutationSettings {
    /// Permutations, reverses included; rounded up to an even number when antithetic.
    pub n_permutations: usize,
    /// Follow each permutation by its reverse.
    pub antithetic: bool,
    /// Seed of the draws.
    pub seed: u64,
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
    /// Whether a unit is the mean of an antithetic pair.
    pub antithetic: bool,
    /// Whether marginals are missing, so that what is left is a biased sample.
    pub incomplete: bool,
    /// Recorded walks left out because they have no partner.
    pub unpaired: usize,
}

impl UnitMarginals {
    /// The units of one player that have a value.
    pub fn of_player(&self, player: usize) -> Vec<f64> {
        self.units.column(player).iter().copied().filter(|z| !z.is_nan()).collect()
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
    let n_units =
        if settings.antithetic { settings.n_permutations.div_ceil(2) } else { settings.n_permutations };
    let mut units = Array2::<f64>::zeros((n_units, n));
    let rows = units.axis_iter_mut(Axis(0)).into_par_iter().enumerate();
    let n_missing: u64 = rows
        .map_init(
            || WalkScratch::new(n),
            |scratch, (unit, mut row)| {
                let Some(row) = row.as_slice_mut() else {
                    unreachable!("rows of a standard array are slices")
                };
                let mut order: Vec<usize> = (0..n).collect();
                order.shuffle(&mut random_stream(settings.seed, key, unit as u64));
                let mut missed = scratch.add_marginals(table, order.iter().copied(), row);
                if settings.antithetic {
                    missed += scratch.add_marginals(table, order.iter().rev().copied(), row);
                    row.iter_mut().for_each(|z| *z *= 0.5);
                }
                missed
            },
        )
        .sum();
    if n_missing > 0 && missing == MissingPolicy::Error {
        return Err(GameError::UnrecordedCoalition {
            visits: n_missing,
            visited: (n_units * if settings.antithetic { 2 } else { 1 } * (n + 1)) as u64,
            recorded: table.n_coalitions(),
            total: (n as f64).exp2(),
        });
    }
    Ok(UnitMarginals { units, antithetic: settings.antithetic, incomplete: n_missing > 0, unpaired: 0 })
}

/// Coalition under construction while a permutation is walked.
struct WalkScratch {
    mask: Vec<u64>,
}

impl WalkScratch {
    fn new(n_players: usize) -> Self {
        Self { mask: vec![0; words_for(n_players)] }
    }

    /// Adds each player's marginal contribution along `order` to `row`; returns the unrecorded visits.
    fn add_marginals(
        &mut self,
        table: &CoalitionTable,
        order: impl Iterator<Item = usize>,
        row: &mut [f64],
    ) -> u64 {
        self.mask.fill(0);
        let look_up = |mask: &[u64]| table.value(mask).unwrap_or(f64::NAN);
        let mut before = look_up(&self.mask);
        let mut missed = u64::from(before.is_nan());
        for player in order {
            insert(&mut self.mask, player);
            let after = look_up(&self.mask);
            missed += u64::from(after.is_nan());
            row[player] += after - before;
            before = after;
        }
        missed
    }
}

/// Marginal contributions of recorded walks, antithetic pairs detected.
///
/// Walks 2k and 2k + 1 (in order of their numbers) form a unit if at least half of such pairs are reverses of
/// each other. Taking consecutive walks together is valid for independent walks too, so a chance reversal does
/// no harm; a last walk without partner is left out and counted.
pub fn recorded_marginals(n_players: usize, walks: &[Walk]) -> UnitMarginals {
    let n_pairs = walks.len() / 2;
    let reversed =
        walks.chunks_exact(2).filter(|pair| pair[0].order.iter().eq(pair[1].order.iter().rev())).count();
    let antithetic = n_pairs > 0 && 2 * reversed >= n_pairs;
    let per_unit = if antithetic { 2 } else { 1 };
    let mut units = Array2::<f64>::zeros((walks.len() / per_unit, n_players));
    for (mut row, group) in units.axis_iter_mut(Axis(0)).zip(walks.chunks_exact(per_unit)) {
        for walk in group {
            for (position, player) in walk.order.iter().enumerate() {
                row[*player] += (walk.values[position + 1] - walk.values[position]) / per_unit as f64;
            }
        }
    }
    UnitMarginals { units, antithetic, incomplete: false, unpaired: walks.len() % per_unit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ConfidenceLevel, Estimate, IntervalMethod};

    fn settings(n_permutations: usize, antithetic: bool) -> PermutationSettings {
        PermutationSettings { n_permutations, antithetic, seed: 3 }
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
        assert_eq!(paired.unpaired, 1);
        assert_eq!(paired.units.row(0).to_vec(), [4.0, 1.0, 1.0]);
        let single = recorded_marginals(3, &[there, other]);
        assert!(!single.antithetic);
        assert_eq!(single.units.nrows(), 2);
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
