//! Indices of the game of single and pairwise effects fitted to whatever coalitions are recorded.

use super::indices::InteractionIndex;
use crate::attribution::GameError;
use crate::attribution::exact::NoiseError;
use crate::attribution::game::CoalitionTable;
use crate::attribution::least_squares::{EffectSum, Effects, pair_values};

/// Players up to which pairs are fitted: 5,050 effects.
pub(super) const PAIR_PLAYERS: usize = 100;

/// Players from which on the user is told that a fit of pairs takes its time: 2,485 effects.
pub(super) const LONG_PLAYERS: usize = 70;

/// Most players of an effect.
pub(super) const FITTED_ORDER: usize = 2;

/// The index of terms of one or two players in the fitted game.
#[derive(Debug, Clone)]
pub(super) struct FittedTerms {
    /// By term.
    pub(super) values: Vec<f64>,
    /// Their errors from evaluation noise, where some coalition was repeated.
    pub(super) errors: Option<Vec<NoiseError>>,
    /// The largest factor by which errors of recorded values enter an effect.
    pub(super) condition: f64,
    /// Weighted R^2 over the recorded coalitions between the ends; `None` where they do not differ.
    pub(super) r_squared: Option<f64>,
}

impl FittedTerms {
    /// Fits effects of up to `order` players, one or two, and gives the index of `terms`; `players` are the names for messages.
    ///
    /// # Formula
    /// In a game of pairs all indices of a pair are its effect; those of a player are his own effect, but the SII and the
    /// Banzhaf value hold half of each of his pairs.
    ///
    /// # Errors
    /// No empty or full coalition, too many players for a fit, or effects left open.
    pub(super) fn new(
        table: &CoalitionTable,
        index: InteractionIndex,
        order: usize,
        terms: &[Vec<usize>],
        players: &[String],
    ) -> Result<Self, GameError> {
        let n = table.n_players();
        if order > 1 && n > PAIR_PLAYERS {
            return Err(GameError::TooManyForPairs { n_players: n, most: PAIR_PLAYERS });
        }
        let effects = if order > 1 { Effects::pairs(n) } else { Effects::singles(n) };
        let holds_pairs = order > 1 && matches!(index, InteractionIndex::Sii | InteractionIndex::Banzhaf);
        let of_term = |term: &Vec<usize>| -> EffectSum {
            match term.as_slice() {
                [player] if holds_pairs => {
                    let others = (0..n).filter(|other| other != player);
                    let pairs = others.map(|other| ([other.min(*player), other.max(*player)], 0.5));
                    let all = std::iter::once(([*player, *player], 1.0)).chain(pairs);
                    all.map(|(set, factor)| (effects.place(set), factor)).collect()
                }
                [a, .., b] => vec![(effects.place([*a, *b]), 1.0)],
                one => one.iter().map(|player| (*player, 1.0)).collect(),
            }
        };
        let sums: Vec<EffectSum> = terms.iter().map(of_term).collect();
        let fit = pair_values(table, effects, &sums, players)?;
        let of_sum = |sum: &EffectSum| sum.iter().map(|(effect, factor)| factor * fit.values[*effect]).sum();
        Ok(Self {
            values: sums.iter().map(of_sum).collect(),
            errors: fit.errors,
            condition: fit.quality.condition,
            r_squared: fit.quality.r_squared,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::Repeats;
    use crate::attribution::coalition::{contains, insert, words_for};
    use crate::attribution::interactions::indices::CardinalWeights;
    use crate::attribution::interactions::sets::{combinations, mask_of};
    use crate::stats::{StreamKey, random_stream};
    use rand::RngExt;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|player| format!("p{player}")).collect()
    }

    /// All terms of one and two players.
    fn terms(n: usize) -> Vec<Vec<usize>> {
        let players: Vec<usize> = (0..n).collect();
        (1..=n.min(2)).flat_map(|size| combinations(&players, size)).collect()
    }

    fn table(n: usize, keep: impl Fn(u64) -> bool, value: impl Fn(u64) -> f64) -> CoalitionTable {
        let rows: Vec<(u64, f64)> =
            (0..1u64 << n).filter(|mask| keep(*mask)).map(|mask| (mask, value(mask))).collect();
        CoalitionTable::from_rows(n, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table")
    }

    fn fit(table: &CoalitionTable, index: InteractionIndex) -> Result<FittedTerms, GameError> {
        let n = table.n_players();
        FittedTerms::new(table, index, n.min(2), &terms(n), &names(n))
    }

    fn wild(mask: u64) -> f64 {
        (mask as f64 * 0.731).sin() + 0.2 * f64::from(mask.count_ones())
    }

    #[test]
    fn over_all_coalitions_the_fit_is_the_faithful_index() {
        for n in 2..=7 {
            let fit = fit(&table(n, |_| true, wild), InteractionIndex::Fsii).expect("a fit");
            for (term, effect) in terms(n).iter().zip(&fit.values) {
                let weights = CardinalWeights::new(InteractionIndex::Fsii, n, 2, term.len());
                let set = mask_of(term);
                let index: f64 = (0..1u64 << n)
                    .map(|mask| {
                        weights.coefficient((mask & set).count_ones() as usize, mask.count_ones() as usize)
                            * wild(mask)
                    })
                    .sum();
                assert!((effect - index).abs() < 1e-11, "n = {n}, {set:b}: {effect} against {index}");
            }
        }
    }

    #[test]
    fn a_game_of_pairs_comes_out_of_just_enough_coalitions() {
        let n = 6;
        let value = |mask: u64| {
            let one = |player: usize| f64::from(u8::from(mask >> player & 1 == 1));
            3.0 + 0.5 * one(0) - one(3) + 2.0 * one(1) * one(4) - 0.25 * one(2) * one(5)
        };
        // Singles, pairs and the ends: 21 effects, 21 equations between the ends and one end.
        let table = table(n, |m| m.count_ones() <= 2 || m == 63, value);
        let value = |index: InteractionIndex, term: &[usize]| {
            let fit = fit(&table, index).expect("a fit");
            assert!(fit.r_squared.is_some_and(|r| r > 1.0 - 1e-12));
            fit.values[terms(n).iter().position(|known| known == term).expect("a term")]
        };
        let close = |index: InteractionIndex, term: &[usize], expected: f64| {
            let found = value(index, term);
            assert!((found - expected).abs() < 1e-12, "{index:?} {term:?}: {found}");
        };
        close(InteractionIndex::Fsii, &[1, 4], 2.0);
        close(InteractionIndex::Fsii, &[2, 5], -0.25);
        close(InteractionIndex::Fsii, &[0], 0.5);
        close(InteractionIndex::Fsii, &[4], 0.0);
        close(InteractionIndex::Fsii, &[0, 1], 0.0);
        close(InteractionIndex::Sii, &[4], 1.0);
        close(InteractionIndex::Banzhaf, &[2], -0.125);
    }

    #[test]
    fn what_is_open_is_said_with_the_evaluation_that_settles_it() {
        let n = 4;
        let of = |left_out: &[u64]| {
            let keep = |m: u64| (m.count_ones() <= 2 && !left_out.contains(&m)) || m == 15;
            fit(&table(n, keep, wild), InteractionIndex::KSii)
        };
        // Ends and nine others determine nine differences of ten effects: one constraint binds the last.
        assert!(of(&[0b1010]).is_ok());
        let Err(GameError::PairsNotIdentifiable { rank, needed, evaluation, .. }) = of(&[0b1010, 0b0101])
        else {
            panic!("a fit of ten effects from eight coalitions")
        };
        assert_eq!((rank, needed), (8, 9));
        assert!(evaluation == "{p0,p2}" || evaluation == "{p1,p3}", "{evaluation}");
        let many = CoalitionTable::from_wide_rows(130, &[0; 3], &[1.0], Repeats::Mean).expect("a table");
        assert!(matches!(fit(&many, InteractionIndex::KSii), Err(GameError::TooManyForPairs { .. })));
    }

    #[test]
    fn the_evaluations_asked_for_settle_it_in_as_many_steps_as_were_said() {
        for n in [7, 66] {
            let full = (0..n).collect::<Vec<usize>>();
            let mut coalitions: Vec<Vec<usize>> = vec![vec![], full.clone()];
            coalitions.extend((0..n).map(|player| vec![player]));
            // All pairs but three, one of which follows from the sum of all effects.
            coalitions.extend(combinations(&full, 2).into_iter().filter(|pair| pair[0] < n - 3));
            let mut steps = 0;
            loop {
                match fit(&wide_table(n, &coalitions, |_| 1.0), InteractionIndex::KSii) {
                    Ok(_) => break,
                    Err(GameError::PairsNotIdentifiable { rank, needed, evaluation, .. }) => {
                        assert_eq!(needed - rank, 2 - steps);
                        let pair = evaluation[1..evaluation.len() - 1].split(',');
                        coalitions.push(pair.map(|name| name[1..].parse().expect("a player")).collect());
                        steps += 1;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!(steps, 2);
        }
    }

    fn wide_table(n: usize, coalitions: &[Vec<usize>], value: impl Fn(&[u64]) -> f64) -> CoalitionTable {
        let masks: Vec<Vec<u64>> = coalitions
            .iter()
            .map(|members| {
                let mut mask = vec![0; words_for(n)];
                members.iter().for_each(|player| insert(&mut mask, *player));
                mask
            })
            .collect();
        let values: Vec<f64> = masks.iter().map(|mask| value(mask)).collect();
        CoalitionTable::from_wide_rows(n, &masks.concat(), &values, Repeats::Mean).expect("a table")
    }

    /// Games of pairs of up to [`PAIR_PLAYERS`] players come out of random coalitions of every size.
    #[test]
    fn wide_games_of_pairs_come_out_right() {
        for n in [23, 41, 65] {
            let mut random = random_stream(1, StreamKey::named("pairs", n as u64, 0), 0);
            let terms = terms(n);
            let effects: Vec<f64> = terms.iter().map(|_| random.random_range(-1.0..1.0)).collect();
            let mut coalitions = vec![vec![], (0..n).collect()];
            for _ in 0..terms.len() * 5 / 4 {
                let share: f64 = random.random_range(0.1..0.9);
                coalitions.push((0..n).filter(|_| random.random_bool(share)).collect());
            }
            let value = |mask: &[u64]| -> f64 {
                let within = |term: &Vec<usize>| term.iter().all(|player| contains(mask, *player));
                terms.iter().zip(&effects).filter(|(term, _)| within(term)).map(|(_, effect)| effect).sum()
            };
            let table = wide_table(n, &coalitions, value);
            let fit = fit(&table, InteractionIndex::KSii).expect("a fit");
            let error = fit.values.iter().zip(&effects).map(|(fit, truth)| (fit - truth).abs());
            let error = error.fold(0.0, f64::max);
            assert!(error < 1e-14 * fit.condition.max(1e3), "{n} players: {error:e} at {:e}", fit.condition);
            assert!(fit.r_squared.is_some_and(|r| r > 1.0 - 1e-11), "{:?}", fit.r_squared);
        }
    }

    /// Errors of sums of effects by linearity: what each term changes by where one recorded value does.
    #[test]
    fn errors_are_those_of_the_changes_by_each_recorded_value() {
        let n = 5;
        let keep = |m: u64| m % 3 != 1 || m.count_ones() <= 2 || m == 31;
        let masks: Vec<u64> = (0..1u64 << n).filter(|m| keep(*m)).collect();
        // Two evaluations of each coalition, a different distance apart.
        let distance = |m: u64| 0.1 + (m % 7) as f64 * 0.05;
        let rows: Vec<(u64, f64)> = masks
            .iter()
            .flat_map(|m| [(*m, wild(*m) - distance(*m)), (*m, wild(*m) + distance(*m))])
            .collect();
        let noisy =
            CoalitionTable::from_rows(n, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table");
        for index in [InteractionIndex::Sii, InteractionIndex::KSii] {
            let plain = fit(&table(n, keep, wild), index).expect("a fit").values;
            let mut variances = vec![0.0; plain.len()];
            let mut sizes = vec![0.0; plain.len()];
            for moved in &masks {
                let value = |m: u64| wild(m) + if m == *moved { 1.0 } else { 0.0 };
                let other = fit(&table(n, keep, value), index).expect("a fit").values;
                // Two values at -d and d: variance 2 d^2, of their mean half of it.
                for (place, (a, b)) in other.iter().zip(&plain).enumerate() {
                    variances[place] += (a - b).powi(2) * distance(*moved).powi(2);
                    sizes[place] += (a - b).abs();
                }
            }
            let found = fit(&noisy, index).expect("a fit");
            for (error, variance) in found.errors.expect("noise").iter().zip(&variances) {
                assert!((error.standard_error / variance.sqrt() - 1.0).abs() < 1e-9, "{index:?}");
            }
            if index == InteractionIndex::KSii {
                let largest = sizes.iter().copied().fold(0.0, f64::max);
                assert!((found.condition / largest - 1.0).abs() < 1e-9);
            }
        }
    }
}
