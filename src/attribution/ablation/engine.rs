//! One game, its players and contrasts under every measure that its rows allow.

use std::sync::{Arc, Mutex, PoisonError};

use super::measure::{Measure, MeasureCoefficients};
use super::result::{AblationResult, AblationSettings, AblationTerm, MeasuredValue};
use crate::attribution::GameError;
use crate::attribution::coalition::{contains, grand_coalition, insert, words_for};
use crate::attribution::game::{CoalitionTable, Game};
use crate::attribution::noise::{Noise, NoiseVariances};
use crate::attribution::shapley::{GameResult, ShapleyEngine};
use crate::stats::{ConfidenceInterval, pairwise_sum};

/// Computes games under fixed settings.
#[derive(Debug)]
pub struct AblationEngine {
    settings: AblationSettings,
    shapley: ShapleyEngine,
    named: Mutex<Vec<NamedTerms>>,
}

/// The terms of games with these players, and who is in them.
#[derive(Debug, Clone)]
struct NamedTerms {
    players: Arc<[String]>,
    terms: Arc<[AblationTerm]>,
    members: Arc<[Vec<(usize, f64)>]>,
}

/// One game's table with what its measures need.
struct Measured<'a> {
    table: &'a CoalitionTable,
    coefficients: MeasureCoefficients,
    /// Value of each player's measure.
    values: Vec<[Option<f64>; Measure::ALL.len()]>,
    noise: Option<NoiseVariances>,
    shapley: Option<GameResult>,
}

impl AblationEngine {
    /// An engine for `settings`; `shapley` computes Shapley values.
    pub fn new(settings: AblationSettings, shapley: ShapleyEngine) -> Self {
        Self { settings, shapley, named: Mutex::new(Vec::new()) }
    }

    /// The measures of one game.
    ///
    /// # Errors
    /// Rows that no measure can be made of, and values too large for their differences.
    pub fn game(&self, game: &Game) -> Result<AblationResult, GameError> {
        let measured = self.measured(game);
        if measured.values.iter().flatten().all(Option::is_none) {
            return Err(GameError::NothingToAblate);
        }
        let named = self.named_terms(game);
        let value = |(members, term): (&Vec<(usize, f64)>, &AblationTerm)| {
            self.value(&measured, members, term.measure)
        };
        let values: Vec<Option<MeasuredValue>> =
            named.members.iter().zip(named.terms.iter()).map(value).collect();
        let is_sound = |value: &MeasuredValue| {
            value.value.is_finite() && value.standard_error.is_none_or(f64::is_finite)
        };
        if !values.iter().flatten().all(is_sound) {
            return Err(GameError::Overflow);
        }
        Ok(AblationResult {
            key: game.key.clone(),
            n_players: game.table.n_players(),
            n_coalitions: game.table.n_coalitions(),
            baseline: game.table.empty_value(),
            full: game.table.full_value(),
            n_copies: game.table.n_copies(),
            scale: game.table.scale(),
            is_complete: game.table.complete_values().is_some(),
            terms: named.terms,
            values,
        })
    }

    fn measured<'a>(&self, game: &'a Game) -> Measured<'a> {
        let table = &game.table;
        let is_exact = table.complete_values().is_some();
        // A fit would be biased, and has no place beside measured differences.
        let shapley = (is_exact || !game.walks.is_empty())
            .then(|| self.shapley.game(game).ok().filter(|result| !result.biased))
            .flatten();
        let coefficients = MeasureCoefficients::new(table);
        let marginals = marginals(table, &coefficients);
        let n = table.n_players();
        let alone = |player: usize| {
            let mut mask = vec![0; words_for(n)];
            insert(&mut mask, player);
            mask
        };
        let without = |player: usize| {
            let mut mask = grand_coalition(n);
            mask.iter_mut().zip(alone(player)).for_each(|(all, one)| *all &= !one);
            mask
        };
        let of_player = |player: usize| {
            let removal =
                table.full_value().zip(table.value(&without(player))).map(|(full, rest)| full - rest);
            let first = table.value(&alone(player)).zip(table.empty_value()).map(|(one, empty)| one - empty);
            let own = shapley.as_ref().and_then(|result| result.players[player].shapley);
            [removal, first, marginals[player], own]
        };
        let values = (0..n).map(of_player).collect();
        let noise = table.noise().map(Noise::mean_variances);
        Measured { table, coefficients, values, noise, shapley }
    }

    /// A sum of players' measures with its uncertainty.
    fn value(
        &self,
        game: &Measured<'_>,
        members: &[(usize, f64)],
        measure: Measure,
    ) -> Option<MeasuredValue> {
        let parts: Option<Vec<f64>> = members
            .iter()
            .map(|(player, factor)| Some(factor * game.values[*player][measure as usize]?))
            .collect();
        let value = parts?.iter().sum();
        let is_sampled = measure == Measure::Shapley && game.table.complete_values().is_none();
        if is_sampled {
            // Of recorded walks: the spread of the walks is the uncertainty, and only single players have one here.
            let own = game.shapley.as_ref().filter(|_| members.len() == 1)?.players[members[0].0];
            return Some(MeasuredValue { value, standard_error: own.standard_error, interval: own.interval });
        }
        let error = game
            .noise
            .as_ref()
            .map(|noise| game.coefficients.noise_error(game.table, noise, measure, members));
        let interval = error.filter(|error| error.standard_error > 0.0).map(|error| {
            ConfidenceInterval::student_t(
                value,
                error.standard_error,
                error.degrees,
                self.settings.confidence,
            )
        });
        Some(MeasuredValue { value, standard_error: error.map(|error| error.standard_error), interval })
    }

    /// Terms of a game in order: every player, then every contrast, under each measure.
    fn named_terms(&self, game: &Game) -> NamedTerms {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.iter().find(|known| Arc::ptr_eq(&known.players, &game.players)) {
            return known.clone();
        }
        let place = |name: &String| game.players.iter().position(|id| id == name);
        let singles =
            game.players.iter().enumerate().map(|(player, id)| (vec![id.clone()], vec![(player, 1.0)]));
        let contrasts = self.settings.contrasts.iter().filter_map(|[first, second]| {
            let members = vec![(place(first)?, 1.0), (place(second)?, -1.0)];
            Some((vec![first.clone(), second.clone()], members))
        });
        let (mut terms, mut members) = (Vec::new(), Vec::new());
        for (players, own) in singles.chain(contrasts) {
            for measure in Measure::ALL {
                terms.push(AblationTerm { players: players.clone(), measure });
                members.push(own.clone());
            }
        }
        let found =
            NamedTerms { players: Arc::clone(&game.players), terms: terms.into(), members: members.into() };
        named.push(found.clone());
        found
    }
}

/// Mean with each player less mean without, over the recorded coalitions.
fn marginals(table: &CoalitionTable, coefficients: &MeasureCoefficients) -> Vec<Option<f64>> {
    let n = table.n_players();
    let origin = table.empty_value().or_else(|| table.values().first().copied()).unwrap_or(0.0);
    let gains: Vec<f64> = table.values().iter().map(|value| value - origin).collect();
    let total = pairwise_sum(&gains);
    let with: Vec<f64> = if table.complete_values().is_some() {
        fold_members(gains)
    } else {
        let rows: Vec<Vec<u64>> = table.rows().map(|(mask, _)| mask).collect();
        let of_player = |player: usize| {
            let own = rows.iter().zip(&gains).filter(|(mask, _)| contains(mask, player));
            pairwise_sum(&own.map(|(_, gain)| *gain).collect::<Vec<_>>())
        };
        (0..n).map(of_player).collect()
    };
    let of_player = |player: usize| {
        coefficients.has_marginal(player).then(|| {
            let n_with = coefficients.n_with(player);
            let n_without = table.n_coalitions() - n_with;
            with[player] / n_with as f64 - (total - with[player]) / n_without as f64
        })
    };
    (0..n).map(of_player).collect()
}

/// For each bit the sum of the cells that have it, by halving folds from the top bit down.
fn fold_members(mut cells: Vec<f64>) -> Vec<f64> {
    let bits = cells.len().trailing_zeros() as usize;
    let mut sums = vec![0.0; bits];
    for bit in (0..bits).rev() {
        let (lower, upper) = cells.split_at_mut(1 << bit);
        sums[bit] = pairwise_sum(upper);
        lower.iter_mut().zip(upper.iter()).for_each(|(a, b)| *a += b);
        cells.truncate(1 << bit);
    }
    sums
}
