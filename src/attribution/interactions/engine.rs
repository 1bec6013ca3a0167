//! One game, one index, one result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::indices::{CardinalWeights, InteractionIndex};
use super::kernel::InteractionKernel;
use super::pair_fit::{PairFit, small_sets};
use super::regime::Regime;
use super::result::{Contribution, InteractionResult, InteractionSettings};
use super::sets::{combinations, subsets};
use super::terms::Term;
use crate::attribution::GameError;
use crate::attribution::coalition::{WORD_BITS, describe};
use crate::attribution::exact::{MAX_PLAYERS, NoiseError};
use crate::attribution::game::Game;
use crate::attribution::groups::Unions;
use crate::attribution::noise::{Degrees, Noise, NoiseVariances};
use crate::attribution::rounding::rounding_floor;
use crate::attribution::shapley::{Method, spell_missing};
use crate::attribution::weights::binomial;
use crate::stats::{ConfidenceInterval, pairwise_sum};

/// Parts of terms (subsets of their players) a game may have: 3^15 of all sizes, or order 5 of 30 players.
const MOST_PARTS: f64 = 16_777_216.0;

/// Missing coalitions spelled out in a message.
const MISSING_NAMED: usize = 4;

/// Computes games under fixed settings; weights are prepared once per number of players.
#[derive(Debug)]
pub struct InteractionEngine {
    settings: InteractionSettings,
    /// Only terms within a union, of its inner game.
    unions: Option<Unions>,
    kernels: Vec<OnceLock<InteractionKernel>>,
    /// Whether coalitions within the terms are enough, by number of players.
    locality: Vec<OnceLock<bool>>,
    /// Terms by list of players.
    named: Mutex<Vec<NamedTerms>>,
    /// Terms within unions by list of players.
    kept: Mutex<Vec<NamedTerms>>,
}

/// The terms of games with these players.
#[derive(Debug, Clone)]
struct NamedTerms {
    players: Arc<[String]>,
    masks: Arc<[u64]>,
    terms: Arc<[Term]>,
}

impl InteractionEngine {
    /// An engine for `settings`.
    pub fn new(settings: InteractionSettings) -> Self {
        let kernels = (0..=MAX_PLAYERS).map(|_| OnceLock::new()).collect();
        let locality = (0..=WORD_BITS).map(|_| OnceLock::new()).collect();
        Self {
            settings,
            unions: None,
            kernels,
            locality,
            named: Mutex::new(Vec::new()),
            kept: Mutex::new(Vec::new()),
        }
    }

    /// An engine for terms within unions alone: those of the games whose Shapley values are Owen values.
    pub fn within(settings: InteractionSettings, unions: Unions) -> Self {
        Self { unions: Some(unions), ..Self::new(settings) }
    }

    /// The unions, where there are some.
    pub fn unions(&self) -> Option<&Unions> {
        self.unions.as_ref()
    }

    /// The settings.
    pub fn settings(&self) -> &InteractionSettings {
        &self.settings
    }

    /// The terms of one game.
    ///
    /// # Errors
    /// [`GameError`] where the recorded coalitions do not support the index.
    pub fn game(&self, game: &Game) -> Result<InteractionResult, GameError> {
        let n = game.table.n_players();
        self.check(n)?;
        let named = self.named_terms(game);
        let is_sound =
            |value: &Contribution| value.value.is_finite() && value.standard_error.is_none_or(f64::is_finite);
        if let Some(unions) = &self.unions {
            let result = self.owen(game, &named, unions)?;
            return if result.values.iter().all(is_sound) { Ok(result) } else { Err(GameError::Overflow) };
        }
        let is_local = *self.locality[n]
            .get_or_init(|| (1..=self.settings.order).all(|q| self.weights(n, q).is_local()));
        let result = if is_local {
            self.local(game, named)
        } else if let Some(values) = game.table.complete_values().filter(|_| n <= MAX_PLAYERS) {
            let noise = game.table.noise().map(Noise::mean_variances);
            Ok(self.exact(game, named, values, noise.as_ref()))
        } else {
            self.fitted(game, named)
        }?;
        if result.values.iter().all(is_sound) { Ok(result) } else { Err(GameError::Overflow) }
    }

    /// Refuses orders that a game of `n` players does not have.
    fn check(&self, n: usize) -> Result<(), GameError> {
        let order = self.settings.order;
        if order > n {
            return Err(GameError::OrderAboveGame { order, n_players: n });
        }
        let parts: f64 = (1..=order).map(|q| binomial(n, q) * (q as f64).exp2()).sum();
        if parts > MOST_PARTS || n > WORD_BITS {
            return Err(GameError::TooManyTerms { order, n_players: n });
        }
        Ok(())
    }

    fn weights(&self, n: usize, q: usize) -> CardinalWeights {
        CardinalWeights::new(self.settings.index, n, self.settings.order, q)
    }

    /// Masks and names of a game's terms, by size and then in player order.
    fn named_terms(&self, game: &Game) -> NamedTerms {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.iter().find(|known| Arc::ptr_eq(&known.players, &game.players)) {
            return known.clone();
        }
        let settings = &self.settings;
        let players: Vec<usize> = (0..game.players.len())
            .filter(|player| settings.among.is_empty() || settings.among.contains(&game.players[*player]))
            .collect();
        let mut masks = Vec::new();
        for size in 1..=settings.order.min(players.len()) {
            combinations(&players, size, 0, &mut masks);
        }
        let terms = masks.iter().map(|mask| Term::of_mask(*mask, &game.players)).collect();
        let found = NamedTerms { players: Arc::clone(&game.players), masks: masks.into(), terms };
        named.push(found.clone());
        found
    }

    /// Terms within unions, of the inner games of Owen values.
    fn owen(&self, game: &Game, named: &NamedTerms, unions: &Unions) -> Result<InteractionResult, GameError> {
        let mut found: BTreeMap<u64, (f64, Option<NoiseError>)> = BTreeMap::new();
        for inner in unions.inner_games(game)? {
            let n = inner.members.len();
            let kernel = self.kernel(n);
            let outer = |mask: u64| {
                let own = inner.members.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1);
                own.fold(0u64, |mask, (_, player)| mask | 1 << player)
            };
            let terms = kernel.terms();
            let values = kernel.values(&terms, &inner.values);
            let errors = inner.noise.as_ref().map(|noise| kernel.noise_errors(&terms, noise));
            for (place, term) in terms.iter().enumerate() {
                found.insert(outer(*term), (values[place], errors.as_ref().map(|errors| errors[place])));
            }
        }
        let kept: Vec<usize> =
            (0..named.masks.len()).filter(|place| found.contains_key(&named.masks[*place])).collect();
        let of_kept: Vec<(f64, Option<NoiseError>)> =
            kept.iter().map(|place| found[&named.masks[*place]]).collect();
        let values: Vec<f64> = of_kept.iter().map(|(value, _)| *value).collect();
        let errors: Option<Vec<NoiseError>> = of_kept.iter().map(|(_, error)| *error).collect();
        let within = self.within_terms(named, &kept);
        Ok(self.result(game, within, Method::Exact, &values, errors.as_deref()))
    }

    /// Some of the terms, by place; the same for games of the same players.
    fn within_terms(&self, named: &NamedTerms, kept: &[usize]) -> NamedTerms {
        let mut known = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.iter().find(|known| Arc::ptr_eq(&known.players, &named.players)) {
            return known.clone();
        }
        let found = NamedTerms {
            players: Arc::clone(&named.players),
            masks: kept.iter().map(|place| named.masks[*place]).collect(),
            terms: kept.iter().map(|place| named.terms[*place].clone()).collect(),
        };
        known.push(found.clone());
        found
    }

    fn kernel(&self, n: usize) -> &InteractionKernel {
        let settings = &self.settings;
        self.kernels[n].get_or_init(|| InteractionKernel::new(settings.index, n, settings.order.min(n)))
    }

    /// All coalitions recorded.
    fn exact(
        &self,
        game: &Game,
        named: NamedTerms,
        values: &[f64],
        noise: Option<&NoiseVariances>,
    ) -> InteractionResult {
        let n = game.table.n_players();
        let kernel = self.kernel(n);
        let found = kernel.values(&named.masks, values);
        let errors = noise.map(|noise| kernel.noise_errors(&named.masks, noise));
        self.result(game, named, Method::Exact, &found, errors.as_deref())
    }

    /// An index of coalitions within the terms alone.
    fn local(&self, game: &Game, named: NamedTerms) -> Result<InteractionResult, GameError> {
        let noise = game.table.noise().map(Noise::mean_variances);
        let mut missing = BTreeSet::new();
        let mut values = Vec::with_capacity(named.masks.len());
        let mut errors = Vec::new();
        for term in named.masks.iter() {
            let parts = subsets(*term).map(|part| (part, game.table.position(&[part])));
            let weights = self.weights(game.table.n_players(), term.count_ones() as usize);
            let mut terms = Vec::with_capacity(1 << term.count_ones());
            for (part, position) in parts {
                let Some(position) = position else {
                    missing.insert((part.count_ones(), part));
                    continue;
                };
                let met = part.count_ones() as usize;
                terms.push((position, weights.coefficient(met, met)));
            }
            values.push(pairwise_sum(
                &terms.iter().map(|(position, c)| c * game.table.values()[*position]).collect::<Vec<_>>(),
            ));
            errors.extend(noise.as_ref().map(|noise| noise_of(&terms, noise)));
        }
        if !missing.is_empty() {
            let spelled = missing.iter().map(|(_, mask)| describe(&[*mask], &game.players));
            return Err(GameError::MissingSmall {
                missing: missing.len(),
                spelled: spelled.take(MISSING_NAMED).collect(),
                index: self.settings.index.name(),
            });
        }
        let errors = noise.is_some().then_some(errors);
        Ok(self.result(game, named, Method::Exact, &values, errors.as_deref()))
    }

    /// The index of the game of pairs fitted to what is recorded.
    fn fitted(&self, game: &Game, named: NamedTerms) -> Result<InteractionResult, GameError> {
        let (n, order) = (game.table.n_players(), self.settings.order);
        if order > 2 {
            return Err(GameError::Incomplete {
                recorded: game.table.n_coalitions(),
                total: (n as f64).exp2(),
                missing: spell_missing(game),
                advice:
                    "--order 2 fits pairs to what is recorded; --index moebius needs small coalitions alone"
                        .to_owned(),
            });
        }
        let sets = small_sets(n, order);
        let fit = PairFit::new(&game.table, &sets, &game.players)?;
        let place = |mask: u64| sets.iter().position(|set| *set == mask);
        // A single player's SII and Banzhaf value of a game of pairs hold half of each of his pairs.
        let holds_pairs = matches!(self.settings.index, InteractionIndex::Sii | InteractionIndex::Banzhaf);
        let sums: Vec<Vec<(usize, f64)>> = named
            .masks
            .iter()
            .map(|term| {
                let own = place(*term).map(|place| (place, 1.0));
                let of_pairs = (sets.iter().enumerate()).filter(|(_, set)| {
                    holds_pairs && term.is_power_of_two() && set.count_ones() == 2 && *set & term != 0
                });
                own.into_iter().chain(of_pairs.map(|(place, _)| (place, 0.5))).collect()
            })
            .collect();
        let values: Vec<f64> = sums
            .iter()
            .map(|sum| sum.iter().map(|(place, factor)| factor * fit.effects[*place]).sum())
            .collect();
        let errors = PairFit::noise(&game.table).map(|noise| fit.noise_errors(&sums, &noise));
        let mut result = self.result(game, named, Method::Kernel, &values, errors.as_deref());
        result.condition = Some(fit.condition());
        result.r_squared = fit.r_squared;
        result.biased = true;
        for value in &mut result.values {
            value.interval = None;
            value.regime = value.regime.map(|_| Regime::Undecided);
        }
        Ok(result)
    }

    fn result(
        &self,
        game: &Game,
        named: NamedTerms,
        method: Method,
        values: &[f64],
        errors: Option<&[NoiseError]>,
    ) -> InteractionResult {
        let settings = &self.settings;
        let scale = game.table.scale();
        let floor = rounding_floor(scale);
        let contribution = |place: usize| {
            let value = values[place];
            let error = errors.map(|errors| errors[place]);
            let interval = error.filter(|error| error.standard_error > 0.0).map(|error| {
                ConfidenceInterval::student_t(value, error.standard_error, error.degrees, settings.confidence)
            });
            let regime = match interval {
                Some(interval) => settings.regime.of_interval(Some(interval)),
                None => settings.regime.of_value(value, floor),
            };
            Contribution {
                value,
                standard_error: error.map(|error| error.standard_error),
                interval,
                regime: (named.masks[place].count_ones() > 1).then_some(regime),
            }
        };
        let (baseline, full) = (game.table.empty_value(), game.table.full_value());
        let is_whole = settings.index.is_efficient() && settings.among.is_empty();
        let efficiency_gap = (baseline.zip(full))
            .filter(|_| is_whole)
            .map(|(baseline, full)| pairwise_sum(values) - (full - baseline));
        InteractionResult {
            key: game.key.clone(),
            n_players: game.table.n_players(),
            n_coalitions: game.table.n_coalitions(),
            method,
            baseline,
            full,
            efficiency_gap,
            biased: false,
            n_copies: game.table.n_copies(),
            scale,
            condition: None,
            r_squared: None,
            values: (0..values.len()).map(contribution).collect(),
            terms: named.terms,
        }
    }
}

/// Standard error of a sum of recorded values, each given by position and factor.
fn noise_of(terms: &[(usize, f64)], noise: &NoiseVariances) -> NoiseError {
    let parts = || terms.iter().map(|(position, c)| c * c * noise.variances[*position]);
    let variance: f64 = parts().sum();
    let degrees = match &noise.degrees {
        Degrees::Pooled(degrees) => *degrees,
        Degrees::PerCoalition(own) => {
            let fourth: f64 =
                terms.iter().zip(parts()).map(|((position, _), part)| part * part / own[*position]).sum();
            variance * variance / fourth
        }
    };
    NoiseError { standard_error: variance.sqrt(), degrees }
}
