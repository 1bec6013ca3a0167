//! The game of single effects, or of single and pairwise effects, nearest to whatever coalitions are recorded.
//!
//! # Formula
//! Minimise sum of mu(s) (v(S) - v(empty) - z'beta)^2 over the recorded coalitions other than empty and full,
//! with mu(s) = (n-1)/(C(n,s) s (n-s)), subject to 1'beta = v(N) - v(empty): z_j is 1 where S holds the set of effect j, one
//! player or two. With B an orthonormal basis of the differences between E effects (1'B = 0),
//! beta = (v(N) - v(empty))/E + B x, and x is an unconstrained weighted fit of v(S) - v(empty) - |z| (v(N) - v(empty))/E by
//! z'B. Over all coalitions effects of single players are Shapley values, and those of single players and pairs the FSII of
//! order 2; over fewer they are an approximation. Each distinct coalition has weight mu(s): the recorded set is taken as
//! given, not as a sample from the kernel.
//!
//! # Source
//! Charnes, Golany, Keane and Rousseau, 1988; Covert and Lee, PMLR 130:3457, 2021; Tsai, Yeh and Ravikumar, *JMLR* 24(94),
//! 2023, definition 15. How it is solved: `elimination`.

mod differences;
mod effects;
mod elimination;
mod factors;
mod gaps;
mod noise;
mod products;
mod rows;

use serde::{Deserialize, Serialize};

use self::differences::Differences;
use self::elimination::Elimination;
use self::gaps::Gaps;
use self::noise::NoiseSums;
use self::rows::InnerRows;
use crate::attribution::GameError;
use crate::attribution::coalition::{describe, grand_coalition, insert, words_for};
use crate::attribution::exact::NoiseError;
use crate::attribution::game::CoalitionTable;
use crate::attribution::noise::{Noise, NoiseVariances};

pub(super) use self::effects::Effects;
pub use self::noise::COVARIANCE_PLAYERS;

/// Players of a group spelled out in a message.
const PLAYERS_NAMED: usize = 5;

/// Recorded values that differ by less than this part of the largest differ by rounding alone.
const ROUNDING: f64 = 64.0 * f64::EPSILON;

/// What evaluations tell that differs by less than this part is the same.
const TIED: f64 = 1e-9;

/// Values fitted to the recorded coalitions.
#[derive(Debug, Clone)]
pub struct KernelFit {
    /// One value per player, or per effect of a game of pairs.
    pub values: Vec<f64>,
    /// Standard errors from repeated evaluations, where there are some.
    pub errors: Option<Vec<NoiseError>>,
    /// How far to believe them.
    pub quality: KernelQuality,
}

/// How well recorded coalitions determine the values, and how additive the game is over them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KernelQuality {
    /// The largest factor by which errors of recorded values enter a value.
    ///
    /// # Formula
    /// max over players of the sum over S of |c(S)|, where the player's value is the sum of c(S) v(S): the maximum norm
    /// of the weighted design's pseudo-inverse, ends included. At least 2, what a complete recording has: c adds up to 1
    /// over the coalitions with the player and to -1 over the others. As many digits as it has are lost.
    pub condition: f64,
    /// Weighted R^2 of the additive fit; `None` where recorded values do not differ.
    pub r_squared: Option<f64>,
    /// Covariance of the values from evaluation noise, of at most [`COVARIANCE_PLAYERS`].
    pub covariance: Option<Vec<Vec<f64>>>,
}

/// Fits the additive game nearest to the recorded coalitions; `players` are the names for messages.
///
/// # Edge cases
/// One player: v(N) - v(empty). No players: no values.
///
/// # Errors
/// [`GameError::NoEmptyCoalition`], [`GameError::NoFullCoalition`], and [`GameError::NotIdentifiable`] with what is
/// left open when the recorded coalitions do not determine every value.
pub fn kernel_values(table: &CoalitionTable, players: &[String]) -> Result<KernelFit, GameError> {
    let effects = Effects::singles(table.n_players());
    effect_values(table, effects, Reported::Effects, |fit, basis| not_identifiable(fit, basis, players))
}

/// A sum of effects: their places and what each is multiplied with.
pub(super) type EffectSum = Vec<(usize, f64)>;

/// What errors of a fit are given for.
#[derive(Debug, Clone, Copy)]
enum Reported<'a> {
    /// Every effect.
    Effects,
    /// Sums of effects.
    Sums(&'a [EffectSum]),
}

/// Fits the game of single and pairwise effects nearest to the recorded coalitions; values are effects, errors those of `sums`.
///
/// # Errors
/// As those of [`kernel_values`], with [`GameError::PairsNotIdentifiable`].
pub(super) fn pair_values(
    table: &CoalitionTable,
    effects: Effects,
    sums: &[EffectSum],
    players: &[String],
) -> Result<KernelFit, GameError> {
    effect_values(table, effects, Reported::Sums(sums), |fit, basis| {
        pairs_not_identifiable(fit, basis, table, players)
    })
}

fn effect_values(
    table: &CoalitionTable,
    effects: Effects,
    reported: Reported<'_>,
    open: impl Fn(&Elimination, &Differences) -> GameError,
) -> Result<KernelFit, GameError> {
    let n = effects.len();
    let empty = table.empty_value().ok_or(GameError::NoEmptyCoalition)?;
    let total = table.full_value().ok_or(GameError::NoFullCoalition)? - empty;
    let noise = table.noise().map(Noise::mean_variances);
    if n == 0 {
        let errors = noise.map(|_| Vec::new());
        return Ok(KernelFit { values: Vec::new(), errors, quality: KernelQuality::default() });
    }
    let rows = InnerRows::new(&effects, total, table.rows().map(|(mask, value)| (mask, value - empty)));
    let basis = Differences::new(effects);
    let fit = Elimination::new(&rows, &basis);
    if fit.rank() < basis.dimension() {
        return Err(open(&fit, &basis));
    }
    let differences = basis.of_effects(&fit.solution());
    let influence = Influence::new(table, &rows, &basis, &fit, reported, noise.as_ref());
    let quality = KernelQuality {
        condition: influence.condition,
        r_squared: r_squared(&rows, basis.effects(), &differences),
        covariance: influence.covariance,
    };
    let values = differences.iter().map(|difference| total / n as f64 + difference).collect();
    Ok(KernelFit { values, errors: influence.errors, quality })
}

/// What depends on how each recorded value enters the fit.
struct Influence {
    condition: f64,
    errors: Option<Vec<NoiseError>>,
    covariance: Option<Vec<Vec<f64>>>,
}

impl Influence {
    fn new(
        table: &CoalitionTable,
        rows: &InnerRows,
        basis: &Differences,
        fit: &Elimination,
        reported: Reported<'_>,
        noise: Option<&NoiseVariances>,
    ) -> Self {
        let n = basis.effects().len();
        let mut sizes = vec![0.0; n];
        let n_reported = match reported {
            Reported::Effects => n,
            Reported::Sums(sums) => sums.len(),
        };
        let mut noise_sums = noise.map(|noise| NoiseSums::new(n_reported, noise));
        let mut account = |position: Option<usize>, coefficients: &[f64]| {
            for (size, c) in sizes.iter_mut().zip(coefficients) {
                *size += c.abs();
            }
            if let (Some(noise), Some(position)) = (&mut noise_sums, position) {
                match reported {
                    Reported::Effects => noise.add(position, coefficients),
                    Reported::Sums(sums) => noise.add(position, &summed(sums, coefficients)),
                }
            }
        };
        // Both ends enter every row through equal shares of their difference, and the constraint.
        let mut of_full = vec![1.0 / n as f64; n];
        let mut of_empty = vec![-1.0 / n as f64; n];
        fit.coefficients(rows, basis, |block, coefficients| {
            for (place, row) in block.enumerate() {
                let own: Vec<f64> = coefficients.row(place).iter().copied().collect();
                let own = basis.of_effects(&own);
                let share = rows.n_within(row) / n as f64;
                for (effect, c) in own.iter().enumerate() {
                    of_full[effect] -= share * c;
                    of_empty[effect] -= (1.0 - share) * c;
                }
                account(Some(rows.position(row)), &own);
            }
        });
        let n_players = table.n_players();
        account(table.position(&grand_coalition(n_players)), &of_full);
        account(table.position(&vec![0; words_for(n_players)]), &of_empty);
        Self {
            condition: sizes.into_iter().fold(0.0, f64::max),
            errors: noise_sums.as_ref().map(NoiseSums::errors),
            covariance: noise_sums.and_then(|sums| sums.covariance()),
        }
    }
}

/// Each sum of numbers of effects.
fn summed(sums: &[EffectSum], numbers: &[f64]) -> Vec<f64> {
    let of_sum = |sum: &EffectSum| sum.iter().map(|(effect, factor)| factor * numbers[*effect]).sum();
    sums.iter().map(of_sum).collect()
}

/// Weighted R^2 of the fit: 1 - sum mu r^2 / sum mu (v(S) - mean)^2 about the weighted mean, over the recorded
/// coalitions between the ends.
///
/// # Edge cases
/// `None` where the values differ by rounding alone. Below 0 where the ends pull the fit away from what lies between.
fn r_squared(rows: &InnerRows, effects: &Effects, differences: &[f64]) -> Option<f64> {
    let largest = rows.gains().map(f64::abs).fold(0.0, f64::max);
    if largest == 0.0 {
        return None;
    }
    // In units of the largest: its square may be out of range.
    let weighted = || rows.weights().zip(rows.gains().map(|gain| gain / largest));
    let weight: f64 = rows.weights().sum();
    let mean = weighted().map(|(w, gain)| w * gain).sum::<f64>() / weight;
    let spread: f64 = weighted().map(|(w, gain)| w * (gain - mean).powi(2)).sum();
    let residuals =
        rows.weights().zip(rows.residuals(effects, differences)).map(|(w, r)| w * (r / largest).powi(2));
    (spread > weight * ROUNDING * ROUNDING).then(|| 1.0 - residuals.sum::<f64>() / spread)
}

/// Which players cannot be told apart, by name, and the evaluation that tells most.
fn not_identifiable(fit: &Elimination, basis: &Differences, players: &[String]) -> GameError {
    let gaps = Gaps::new(&fit.null_space(), basis);
    let mut alone = vec![0; words_for(players.len())];
    insert(&mut alone, gaps.most_open);
    GameError::NotIdentifiable {
        rank: fit.rank(),
        needed: basis.dimension(),
        groups: gaps.groups.iter().map(|group| spell(group, players)).collect(),
        evaluation: describe(&alone, players),
    }
}

/// How many effects are open, and the evaluation of one or two players that tells most.
fn pairs_not_identifiable(
    fit: &Elimination,
    basis: &Differences,
    table: &CoalitionTable,
    players: &[String],
) -> GameError {
    let effects = basis.effects();
    let null_space = fit.null_space();
    // What a coalition of one or two would see of each direction: the effects of its parts.
    let mut openness = vec![0.0; effects.len()];
    for direction in null_space.column_iter() {
        let direction: Vec<f64> = direction.iter().copied().collect();
        let open = basis.of_effects(&direction);
        for (place, [a, b]) in effects.sets().iter().enumerate() {
            let own = if a == b { open[*a] } else { open[*a] + open[*b] + open[place] };
            openness[place] += own * own;
        }
    }
    let (mut most, mut next) = (0.0, [0, 0]);
    for (open, set) in openness.iter().zip(effects.sets()) {
        if *open > most * (1.0 + TIED) {
            (most, next) = (*open, *set);
        }
    }
    let mut evaluation = vec![0; words_for(players.len())];
    next.iter().for_each(|player| insert(&mut evaluation, *player));
    GameError::PairsNotIdentifiable {
        rank: fit.rank(),
        needed: basis.dimension(),
        evaluation: describe(&evaluation, players),
        recorded: table.n_coalitions(),
    }
}

/// `a and b`, `a, b, c, d, e and 12 more`.
fn spell(group: &[usize], players: &[String]) -> String {
    let names: Vec<&str> = group.iter().take(PLAYERS_NAMED).map(|player| players[*player].as_str()).collect();
    match (group.len() - names.len(), names.split_last()) {
        (0, Some((last, before))) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        (0, _) => names.join(", "),
        (more, _) => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use rand::seq::SliceRandom;
    use rand::{Rng, RngExt};

    use super::*;
    use crate::attribution::{ExactKernel, Repeats};
    use crate::stats::{StreamKey, random_stream};

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|player| format!("p{player}")).collect()
    }

    fn fit(table: &CoalitionTable) -> KernelFit {
        kernel_values(table, &names(table.n_players())).expect("a fit")
    }

    fn mask_of(n: usize, members: impl IntoIterator<Item = usize>) -> Vec<u64> {
        let mut mask = vec![0; words_for(n)];
        members.into_iter().for_each(|player| insert(&mut mask, player));
        mask
    }

    fn wide_table(n: usize, rows: &[(Vec<u64>, f64)]) -> CoalitionTable {
        let masks: Vec<u64> = rows.iter().flat_map(|(mask, _)| mask.clone()).collect();
        let values: Vec<f64> = rows.iter().map(|(_, value)| *value).collect();
        CoalitionTable::from_wide_rows(n, &masks, &values, Repeats::Mean).expect("a table")
    }

    fn members(n: usize, mask: &[u64]) -> impl Iterator<Item = usize> {
        (0..n).filter(|player| crate::attribution::coalition::contains(mask, *player))
    }

    /// Both ends and `n_rows` coalitions of random size, from one player to all but one.
    fn random_coalitions(n: usize, n_rows: usize, random: &mut impl Rng) -> Vec<Vec<u64>> {
        let mut players: Vec<usize> = (0..n).collect();
        let mut coalitions = vec![vec![0; words_for(n)], grand_coalition(n)];
        for _ in 0..n_rows {
            players.shuffle(random);
            let size = random.random_range(1..n);
            coalitions.push(mask_of(n, players[..size].iter().copied()));
        }
        coalitions
    }

    fn game() -> Vec<f64> {
        (0..16u32)
            .map(|m| f64::from(m.count_ones().pow(2)) + f64::from(m & 1) * 0.5 - f64::from(m >> 3) * 1.25)
            .collect()
    }

    #[test]
    fn the_full_factorial_gives_the_exact_values() {
        let exact = ExactKernel::new(4).shapley_values(&game());
        for (fit, exact) in fit(&CoalitionTable::complete(game())).values.iter().zip(exact) {
            assert!((fit - exact).abs() < 1e-14);
        }
        // Blocks in plenty: more of them than are kept whole.
        let large: Vec<f64> =
            (0..1u32 << 17).map(|m| (f64::from(m) * 0.37).sin() + f64::from(m.count_ones())).collect();
        let exact = ExactKernel::new(17).shapley_values(&large);
        let fit = fit(&CoalitionTable::complete(large));
        for (fit, exact) in fit.values.iter().zip(exact) {
            assert!((fit - exact).abs() < 1e-12, "{fit} {exact}");
        }
        // A sum of 131,072 terms.
        assert!((fit.quality.condition - 2.0).abs() < 1e-11, "{}", fit.quality.condition);
    }

    /// An additive game of `n` players over random coalitions; returns the largest error.
    fn additive_error(n: usize, n_rows: usize) -> f64 {
        let mut random = random_stream(1, StreamKey::named("additive", n as u64, 0), 0);
        let effects: Vec<f64> = (0..n).map(|_| random.random_range(-1.0..1.0)).collect();
        let rows: Vec<(Vec<u64>, f64)> = random_coalitions(n, n_rows, &mut random)
            .into_iter()
            .map(|mask| {
                let value = 5.0 + members(n, &mask).map(|player| effects[player]).sum::<f64>();
                (mask, value)
            })
            .collect();
        let fit = fit(&wide_table(n, &rows));
        assert!(fit.quality.r_squared.is_some_and(|r| r > 1.0 - 1e-12), "{n}: {:?}", fit.quality.r_squared);
        fit.values.iter().zip(effects).map(|(fit, truth)| (fit - truth).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn additive_games_of_any_number_of_players_come_out_right() {
        for (n, n_rows) in [
            (2, 4),
            (20, 60),
            (42, 90),
            (60, 130),
            (63, 140),
            (64, 140),
            (65, 140),
            (100, 200),
            (100, 3000),
            (300, 350),
        ] {
            let error = additive_error(n, n_rows);
            assert!(error < 1e-11, "{n} players, {n_rows} rows: {error:e}");
        }
    }

    #[test]
    fn an_additive_game_of_a_thousand_players_comes_out_right() {
        let error = additive_error(1000, 1040);
        assert!(error < 1e-9, "{error:e}");
    }

    #[test]
    fn weights_beyond_the_range_of_floats_are_no_obstacle() {
        // mu of the middle is 10^-327 of that of the ends: single players decide, a middle coalition the rest.
        let n = 1100;
        let mut rows = vec![(mask_of(n, []), 0.0), (grand_coalition(n), 1101.0)];
        rows.extend((0..n - 2).map(|player| (mask_of(n, [player]), 1.0)));
        rows.push((mask_of(n, (0..n / 2).chain([n - 2])), 551.75));
        let rows = InnerRows::new(&Effects::singles(n), 1101.0, rows.iter().cloned());
        let basis = Differences::new(Effects::singles(n));
        let fit = Elimination::new(&rows, &basis);
        assert_eq!(fit.rank(), n - 1);
        let differences = basis.of_effects(&fit.solution());
        for (player, value) in [(0, 1.0), (n - 3, 1.0), (n - 2, 1.75), (n - 1, 1.25)] {
            assert!((1101.0 / 1100.0 + differences[player] - value).abs() < 1e-11, "{player}");
        }
    }

    /// Heavy rows that contradict each other leave rounding behind that outweighs light rows a billion times.
    #[test]
    fn light_rows_decide_what_contradicting_heavy_rows_leave_open() {
        let n = 60;
        let mut random = random_stream(2, StreamKey::named("layers", 0, 0), 0);
        let single: Vec<f64> = (0..n).map(|_| random.random_range(-1.0..1.0)).collect();
        let without: Vec<f64> = (0..n).map(|_| random.random_range(-1.0..1.0)).collect();
        let total = 3.0;
        let mut rows = vec![(mask_of(n, []), 0.0), (grand_coalition(n), total)];
        for player in 0..n - 2 {
            rows.push((mask_of(n, [player]), single[player]));
            rows.push((mask_of(n, (0..n).filter(|other| *other != player)), total - without[player]));
        }
        let light = mask_of(n, (0..29).chain([n - 2]));
        rows.push((light, 10.0));
        let fit = fit(&wide_table(n, &rows));
        // Two equal rows per player: their mean; what the light row asks for, to a part in 10^16, the last two give.
        for player in 0..n - 2 {
            let expected = f64::midpoint(single[player], without[player]);
            assert!(
                (fit.values[player] - expected).abs() < 1e-12,
                "{player}: {} {expected}",
                fit.values[player]
            );
        }
        let expected = 10.0 - fit.values[..29].iter().sum::<f64>();
        assert!((fit.values[n - 2] - expected).abs() < 1e-12, "{} {expected}", fit.values[n - 2]);
        assert!((fit.values.iter().sum::<f64>() - total).abs() < 1e-12);
    }

    #[derive(serde::Deserialize)]
    struct Reference {
        n_players: usize,
        masks: Vec<u64>,
        values: Vec<f64>,
        kernel: Vec<f64>,
        r_squared: f64,
        condition: f64,
        variances: Vec<f64>,
        covariances_with_first: Vec<f64>,
    }

    fn references() -> std::collections::BTreeMap<String, Reference> {
        let text = std::fs::read_to_string("fixtures/reference/kernel_games.json").expect("a fixture");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn fits_of_games_with_interactions_are_those_of_exact_rationals() {
        for (name, game) in references() {
            let rows: Vec<(Vec<u64>, f64)> =
                game.masks.iter().zip(&game.values).map(|(mask, value)| (vec![*mask], *value)).collect();
            let fit = fit(&wide_table(game.n_players, &rows));
            for (fit, expected) in fit.values.iter().zip(&game.kernel) {
                assert!((fit - expected).abs() < 1e-12, "{name}: {fit} {expected}");
            }
            let r_squared = fit.quality.r_squared.expect("values differ");
            assert!((r_squared - game.r_squared).abs() < 1e-13, "{name}: {r_squared} {}", game.r_squared);
            let condition = fit.quality.condition;
            assert!(
                (condition / game.condition - 1.0).abs() < 1e-12,
                "{name}: {condition} {}",
                game.condition
            );
            assert!(fit.errors.is_none() && fit.quality.covariance.is_none(), "no repeats");
        }
    }

    #[test]
    fn noise_errors_and_covariances_are_those_of_exact_rationals() {
        let noise = 0.125f64;
        for (name, game) in references() {
            // Two evaluations, as far above as below: the variance of their mean is noise^2.
            let twice = game.masks.iter().zip(&game.values);
            let rows: Vec<(Vec<u64>, f64)> =
                twice.flat_map(|(mask, v)| [(vec![*mask], v - noise), (vec![*mask], v + noise)]).collect();
            let fit = fit(&wide_table(game.n_players, &rows));
            let covariance = fit.quality.covariance.expect("noise");
            for (player, error) in fit.errors.expect("noise").iter().enumerate() {
                let variance = noise * noise * game.variances[player];
                assert!((error.standard_error / variance.sqrt() - 1.0).abs() < 1e-11, "{name} {player}");
                assert!((covariance[player][player] / variance - 1.0).abs() < 1e-11, "{name} {player}");
                let beside = noise * noise * game.covariances_with_first[player];
                assert!(
                    (covariance[0][player] - beside).abs() < 1e-12
                        && covariance[player][0] == covariance[0][player]
                );
            }
        }
    }

    #[test]
    fn the_condition_of_a_complete_recording_is_the_least_there_is() {
        for n in 1..=12 {
            let values = (0..1u32 << n).map(|m| f64::from(m).sin()).collect();
            let condition = fit(&CoalitionTable::complete(values)).quality.condition;
            assert!((condition - 2.0).abs() < 1e-12, "{n}: {condition}");
        }
        // Single players and both ends.
        let singles: Vec<(Vec<u64>, f64)> =
            [0, 1, 2, 4, 8, 15].map(|mask| (vec![mask], mask as f64)).to_vec();
        let condition = fit(&wide_table(4, &singles)).quality.condition;
        // c: 3/4 of {i}, -1/4 of the other three, 1/4 of N, -1/4 of {}.
        assert!((condition - 2.0).abs() < 1e-14, "{condition}");
    }

    /// The chain {i, i-1, i-3}: its inverse grows by 1.4656 (the root of x^3 = x^2 + 1) a player.
    #[test]
    fn a_condition_that_costs_digits_is_told() {
        let n = 56;
        let effects: Vec<f64> = (0..n).map(|player| (player as f64).sin()).collect();
        let chain = |player: usize| [0, 1, 3].into_iter().filter_map(move |back| player.checked_sub(back));
        let coalitions = (0..n - 1).map(|player| mask_of(n, chain(player)));
        let rows: Vec<(Vec<u64>, f64)> = coalitions
            .chain([mask_of(n, []), grand_coalition(n)])
            .map(|mask| {
                let value = members(n, &mask).map(|player| effects[player]).sum();
                (mask, value)
            })
            .collect();
        let fit = fit(&wide_table(n, &rows));
        let condition = fit.quality.condition;
        assert!((1e8..1e11).contains(&condition), "{condition:e}");
        for (fit, truth) in fit.values.iter().zip(effects) {
            assert!((fit - truth).abs() < condition * 1e-15, "{fit} {truth}");
        }
    }

    #[test]
    fn additive_games_need_few_coalitions() {
        let value =
            |m: u64| 0.3 + (0..5).filter(|i| m >> i & 1 == 1).map(|i| f64::from(i) - 1.5).sum::<f64>();
        let rows: Vec<(u64, f64)> = [0, 31, 1, 2, 4, 8, 24].into_iter().map(|m| (m, value(m))).collect();
        let table =
            CoalitionTable::from_rows(5, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table");
        for (player, fit) in fit(&table).values.iter().enumerate() {
            assert!((fit - (player as f64 - 1.5)).abs() < 1e-14, "player {player}: {fit}");
        }
    }

    #[test]
    fn r_squared_is_the_share_of_the_weighted_variance_that_an_additive_game_explains() {
        let r_squared = |values: Vec<f64>| fit(&CoalitionTable::complete(values)).quality.r_squared;
        // Alike players, v = 0, 1, 3, 6 by size, mu 1/3 each: fitted 2 and 4 beside 1 and 3, whose variance is 1.
        assert!(
            (r_squared(vec![0.0, 1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 6.0]).expect("they differ")).abs() < 1e-14
        );
        // {1} and {2} are fitted by 1.5 and 2.5, off by 0.5 each way; their own variance is 1/4.
        assert!(r_squared(vec![0.0, 1.0, 2.0, 4.0]).is_some_and(|r| r.abs() < 1e-14));
        assert!(r_squared(vec![0.0, 1.0, 3.0, 4.0]).is_some_and(|r| (r - 1.0).abs() < 1e-14));
        assert_eq!(r_squared(vec![0.0, 1.0, 1.0, 4.0]), None);
        assert_eq!(r_squared(vec![0.5, 2.0]), None);
        let huge = r_squared(vec![0.0, 1e200, 3e200, 4e200]).expect("they differ");
        assert!((huge - 1.0).abs() < 1e-14);
    }

    fn open(n: usize, coalitions: &[&[usize]]) -> GameError {
        let rows: Vec<(Vec<u64>, f64)> = coalitions
            .iter()
            .map(|members| mask_of(n, members.iter().copied()))
            .chain([mask_of(n, []), grand_coalition(n)])
            .map(|mask| (mask, 1.0))
            .collect();
        kernel_values(&wide_table(n, &rows), &names(n)).expect_err("not identifiable")
    }

    #[test]
    fn what_is_left_open_is_named_with_what_would_settle_it() {
        let error = open(3, &[&[0]]);
        assert_eq!(
            error.to_string(),
            "the recorded coalitions determine 1 of the 2 differences between players that a fit needs: p1 and p2 \
             cannot be told apart; only their sum is known"
        );
        let hint = error.hint().expect("a hint");
        assert!(
            hint.starts_with("record {p1}: that one evaluation settles it; or use --method bounds"),
            "{hint}"
        );

        // p1 + p3 and p2 + p4 + p5 are known, nothing within; p0 is.
        let error = open(6, &[&[1, 3], &[0, 1, 3], &[0, 2, 4, 5]]).to_string();
        assert!(error.contains("2 of the 5 differences"), "{error}");
        assert!(
            error.ends_with(
                "p1 and p3 cannot be told apart, nor can p2, p4 and p5; only the sum of each group is known"
            ),
            "{error}"
        );

        let error = open(70, &[]);
        let text = error.to_string();
        assert!(
            text.contains("p0, p1, p2, p3, p4 and 65 more cannot be told apart; only their sum"),
            "{text}"
        );
        let hint = error.hint().expect("a hint");
        assert!(hint.starts_with("record {p0} next; 69 well-chosen evaluations settle it"), "{hint}");

        // Ten pairs that always go together.
        let pairs: Vec<Vec<usize>> = (0..9).map(|pair| vec![2 * pair, 2 * pair + 1]).collect();
        let error = open(20, &pairs.iter().map(Vec::as_slice).collect::<Vec<_>>()).to_string();
        assert!(
            error.ends_with("nor can p4 and p5, nor 7 groups more; only the sum of each is known"),
            "{error}"
        );
    }

    /// What the message promises: each evaluation it asks for determines one difference more.
    #[test]
    fn the_evaluations_asked_for_settle_it_in_as_many_steps_as_were_said() {
        let mut random = random_stream(3, StreamKey::named("gaps", 0, 0), 0);
        for n in [3, 8, 30, 70] {
            let mut coalitions = random_coalitions(n, n / 2, &mut random);
            let mut steps = 0;
            let mut promised = None;
            loop {
                let rows: Vec<(Vec<u64>, f64)> = coalitions.iter().map(|mask| (mask.clone(), 0.5)).collect();
                match kernel_values(&wide_table(n, &rows), &names(n)) {
                    Ok(_) => break,
                    Err(GameError::NotIdentifiable { rank, needed, evaluation, .. }) => {
                        promised.get_or_insert(needed - rank);
                        let player: usize = evaluation[2..evaluation.len() - 1].parse().expect("one player");
                        coalitions.push(mask_of(n, [player]));
                        steps += 1;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!(promised, Some(steps), "{n} players");
        }
    }

    /// Rank of the coalitions together with that of all players, less one, in arithmetic modulo the prime 2^61 - 1.
    fn exact_rank(n: usize, coalitions: &[Vec<u64>]) -> usize {
        const PRIME: u128 = (1 << 61) - 1;
        let power = |base: u128, mut exponent: u128| {
            let (mut base, mut result) = (base, 1);
            while exponent > 0 {
                result = if exponent & 1 == 1 { result * base % PRIME } else { result };
                base = base * base % PRIME;
                exponent >>= 1;
            }
            result
        };
        let mut rows: Vec<Vec<u128>> = coalitions
            .iter()
            .map(|mask| {
                members(n, mask).fold(vec![0; n], |mut row, i| {
                    row[i] = 1;
                    row
                })
            })
            .collect();
        let mut rank = 0;
        for column in 0..n {
            let Some(pivot) = (rank..rows.len()).find(|row| rows[*row][column] != 0) else { continue };
            rows.swap(rank, pivot);
            let head = power(rows[rank][column], PRIME - 2);
            let (above, below) = rows.split_at_mut(rank + 1);
            for row in below.iter_mut().filter(|row| row[column] != 0) {
                let factor = PRIME - row[column] * head % PRIME;
                row.iter_mut().zip(&above[rank]).for_each(|(x, y)| *x = (*x + factor * y) % PRIME);
            }
            rank += 1;
        }
        rank - 1
    }

    #[test]
    fn the_rank_is_that_of_exact_arithmetic() {
        let mut random = random_stream(5, StreamKey::named("rank", 0, 0), 0);
        for trial in 0..400 {
            let n = [2, 3, 5, 8, 13, 24, 40, 70][trial % 8];
            let mut coalitions = random_coalitions(n, random.random_range(0..2 * n), &mut random);
            // Some players always go together, so that more rows need not determine more.
            let copies = random.random_range(0..=n / 2);
            for mask in &mut coalitions {
                for copy in 0..copies {
                    let (bit, other) = (members(n, mask).any(|i| i == copy), n - 1 - copy / 2);
                    mask[other / 64] =
                        mask[other / 64] & !(1 << (other % 64)) | u64::from(bit) << (other % 64);
                }
            }
            let rows: Vec<(Vec<u64>, f64)> = coalitions.iter().map(|mask| (mask.clone(), 1.0)).collect();
            let rank = match kernel_values(&wide_table(n, &rows), &names(n)) {
                Ok(_) => n - 1,
                Err(GameError::NotIdentifiable { rank, .. }) => rank,
                Err(other) => panic!("{other}"),
            };
            assert_eq!(rank, exact_rank(n, &coalitions), "{n} players, {} rows", rows.len());
        }
    }

    #[test]
    fn a_fit_needs_both_ends() {
        let table = |rows: [(u64, f64); 2]| {
            CoalitionTable::from_rows(2, 2, rows.into_iter(), Repeats::Mean).expect("a table")
        };
        let error = |rows| kernel_values(&table(rows), &names(2)).expect_err("an end is missing");
        assert_eq!(error([(1, 0.0), (3, 1.0)]), GameError::NoEmptyCoalition);
        assert_eq!(error([(1, 0.0), (0, 1.0)]), GameError::NoFullCoalition);
    }

    #[test]
    fn noise_errors_of_the_full_factorial_are_those_of_the_exact_values() {
        let rows: Vec<(u64, f64)> = (0..16u64)
            .flat_map(|m| {
                [
                    (m, game()[usize::try_from(m).expect("small")] + 0.1),
                    (m, game()[usize::try_from(m).expect("small")] - 0.1 * m as f64),
                ]
            })
            .collect();
        let table =
            CoalitionTable::from_rows(4, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table");
        let errors = fit(&table).errors.expect("errors");
        let exact = ExactKernel::new(4).noise_errors(&table.noise().expect("noise").mean_variances());
        for (fit, exact) in errors.iter().zip(exact) {
            assert!((fit.standard_error - exact.standard_error).abs() < 1e-14, "{fit:?} {exact:?}");
            assert!((fit.degrees - exact.degrees).abs() < 1e-9);
        }
    }

    /// By linearity: what a fit changes by when one value does.
    #[test]
    fn coefficients_are_the_changes_of_the_fit_also_across_weights_that_are_far_apart() {
        let n = 90;
        let mut random = random_stream(4, StreamKey::named("influence", 0, 0), 0);
        let coalitions = random_coalitions(n, 2 * n, &mut random);
        let base: Vec<(Vec<u64>, f64)> = coalitions.iter().map(|mask| (mask.clone(), 0.0)).collect();
        let table = wide_table(n, &base);
        let rows = InnerRows::new(&Effects::singles(n), 0.0, table.rows());
        let basis = Differences::new(Effects::singles(n));
        let mut found = Vec::new();
        Elimination::new(&rows, &basis).coefficients(&rows, &basis, |block, coefficients| {
            for (place, row) in block.enumerate() {
                let own: Vec<f64> = coefficients.row(place).iter().copied().collect();
                found.push((row, basis.of_effects(&own)));
            }
        });
        assert!(found.len() > n);
        for (row, coefficients) in found.iter().step_by(7) {
            let changed: Vec<(Vec<u64>, f64)> = (table.rows().enumerate())
                .map(|(position, (mask, _))| (mask, f64::from(u8::from(position == rows.position(*row)))))
                .collect();
            let fit = fit(&wide_table(n, &changed));
            for (fit, c) in fit.values.iter().zip(coefficients) {
                assert!((fit - c).abs() < 1e-12, "row {row}: {fit} {c}");
            }
        }
    }

    #[test]
    fn one_player_takes_all() {
        let fit = fit(&CoalitionTable::complete(vec![0.25, 1.0]));
        assert!((fit.values[0] - 0.75).abs() < 1e-15);
        assert_eq!(fit.quality, KernelQuality { condition: 2.0, ..KernelQuality::default() });
        let nobody = kernel_values(&CoalitionTable::complete(vec![0.25]), &[]).expect("a fit");
        assert!(nobody.values.is_empty());
    }
}
