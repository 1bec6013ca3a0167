//! One game, one index, one result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::fitted::{FITTED_ORDER, FittedTerms, LONG_PLAYERS, PAIR_PLAYERS};
use super::indices::CardinalWeights;
use super::kernel::InteractionKernel;
use super::regime::Regime;
use super::result::{Contribution, InteractionResult, InteractionSettings};
use super::sets::{combinations, mask_of};
use super::terms::Term;
use crate::attribution::GameError;
use crate::attribution::coalition::{WORD_BITS, describe, insert, words_for};
use crate::attribution::exact::{MAX_PLAYERS, NoiseError};
use crate::attribution::game::Game;
use crate::attribution::groups::Unions;
use crate::attribution::noise::{Degrees, Noise, NoiseVariances};
use crate::attribution::rounding::rounding_floor;
use crate::attribution::shapley::{Method, spell_missing};
use crate::attribution::weights::binomial;
use crate::stats::{ConfidenceInterval, pairwise_sum};

/// Parts of terms (subsets of their players) a game may have: 3^15 of all sizes, order 5 of 30 players, order 2 of 2,896.
pub(in crate::attribution) const MOST_PARTS: f64 = 16_777_216.0;

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
    /// Places of each term's players, ascending.
    members: Arc<[Vec<usize>]>,
    /// The same as masks; empty where a word does not hold all players.
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
        self.check(game)?;
        let named = self.named_terms(game);
        let is_sound =
            |value: &Contribution| value.value.is_finite() && value.standard_error.is_none_or(f64::is_finite);
        if let Some(unions) = &self.unions {
            let result = self.owen(game, &named, unions)?;
            return if result.values.iter().all(is_sound) { Ok(result) } else { Err(GameError::Overflow) };
        }
        let result = if self.is_local(n) {
            self.local(game, named)
        } else if let Some(values) = game.table.complete_values().filter(|_| n <= MAX_PLAYERS) {
            let noise = game.table.noise().map(Noise::mean_variances);
            Ok(self.exact(game, named, values, noise.as_ref()))
        } else {
            self.fitted(game, named)
        }?;
        if result.values.iter().all(is_sound) { Ok(result) } else { Err(GameError::Overflow) }
    }

    /// Whether a game's terms are a fit of so many pairs that it takes its time.
    pub fn is_long_fit(&self, game: &Game) -> bool {
        let n = game.table.n_players();
        // A game without such terms is refused by its name later.
        let is_fitted = n >= FITTED_ORDER
            && self.unions.is_none()
            && self.settings.order == FITTED_ORDER
            && !self.is_local(n);
        is_fitted && (LONG_PLAYERS..=PAIR_PLAYERS).contains(&n)
    }

    /// Refuses orders that a game does not have, and more terms than are of use.
    fn check(&self, game: &Game) -> Result<(), GameError> {
        let settings = &self.settings;
        let (order, n_players) = (settings.order, game.table.n_players());
        if order > n_players {
            return Err(GameError::OrderAboveGame { order, n_players });
        }
        // Tables and fits are gone through for all terms, whichever are asked for.
        let n_among = if settings.index.is_local() && !settings.among.is_empty() {
            game.players.iter().filter(|player| settings.among.contains(player)).count()
        } else {
            n_players
        };
        let sizes = || (1..=order.min(n_among)).map(|q| (q, binomial(n_among, q)));
        let parts: f64 = sizes().map(|(q, n_terms)| n_terms * (q as f64).exp2()).sum();
        if parts > MOST_PARTS {
            let n_terms = sizes().map(|(_, n_terms)| n_terms).sum();
            return Err(GameError::TooManyTerms { order, n_players: n_among, n_terms, parts });
        }
        Ok(())
    }

    /// Whether coalitions within the terms of games of `n` players are all that counts.
    fn is_local(&self, n: usize) -> bool {
        let settings = &self.settings;
        self.locality.get(n).map_or(settings.index.is_local(), |known| {
            *known.get_or_init(|| (1..=settings.order).all(|q| self.weights(n, q).is_local()))
        })
    }

    fn weights(&self, n: usize, q: usize) -> CardinalWeights {
        CardinalWeights::new(self.settings.index, n, self.settings.order, q)
    }

    /// Players and names of a game's terms, by size and then in player order.
    fn named_terms(&self, game: &Game) -> NamedTerms {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.iter().find(|known| Arc::ptr_eq(&known.players, &game.players)) {
            return known.clone();
        }
        let settings = &self.settings;
        let players: Vec<usize> = (0..game.players.len())
            .filter(|player| settings.among.is_empty() || settings.among.contains(&game.players[*player]))
            .collect();
        let sizes = 1..=settings.order.min(players.len());
        let members: Arc<[Vec<usize>]> = sizes.flat_map(|size| combinations(&players, size)).collect();
        let fits_word = game.players.len() <= WORD_BITS;
        let found = NamedTerms {
            players: Arc::clone(&game.players),
            masks: members.iter().filter(|_| fits_word).map(|members| mask_of(members)).collect(),
            terms: members.iter().map(|members| Term::of_members(members, &game.players)).collect(),
            members,
        };
        named.push(found.clone());
        found
    }

    /// Terms within unions, of the inner games of Owen values.
    fn owen(&self, game: &Game, named: &NamedTerms, unions: &Unions) -> Result<InteractionResult, GameError> {
        let mut found: BTreeMap<Vec<usize>, (f64, Option<NoiseError>)> = BTreeMap::new();
        for inner in unions.inner_games(game)? {
            let n = inner.members.len();
            let kernel = self.kernel(n);
            let outer = |mask: u64| {
                let own = inner.members.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1);
                own.map(|(_, player)| *player).collect()
            };
            let terms = kernel.terms();
            let values = kernel.values(&terms, &inner.values);
            let errors = inner.noise.as_ref().map(|noise| kernel.noise_errors(&terms, noise));
            for (place, term) in terms.iter().enumerate() {
                found.insert(outer(*term), (values[place], errors.as_ref().map(|errors| errors[place])));
            }
        }
        let kept: Vec<usize> =
            (0..named.members.len()).filter(|place| found.contains_key(&named.members[*place])).collect();
        let of_kept: Vec<(f64, Option<NoiseError>)> =
            kept.iter().map(|place| found[&named.members[*place]]).collect();
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
            members: kept.iter().map(|place| named.members[*place].clone()).collect(),
            masks: kept.iter().filter_map(|place| named.masks.get(*place).copied()).collect(),
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
        let n = game.table.n_players();
        let noise = game.table.noise().map(Noise::mean_variances);
        let weights: Vec<CardinalWeights> = (1..=self.settings.order).map(|q| self.weights(n, q)).collect();
        // By size and then from the last player down: the order of coalitions.
        let mut missing = BTreeSet::new();
        let mut values = Vec::with_capacity(named.members.len());
        let mut errors = Vec::new();
        let mut part = vec![0; words_for(n)];
        for term in named.members.iter() {
            let weights = &weights[term.len() - 1];
            let mut recorded = Vec::with_capacity(1 << term.len());
            for chosen in 0..1usize << term.len() {
                let own =
                    || (0..term.len()).filter(|place| chosen >> place & 1 == 1).map(|place| term[place]);
                part.fill(0);
                own().for_each(|player| insert(&mut part, player));
                let met = own().count();
                let Some(position) = game.table.position(&part) else {
                    let mut members: Vec<usize> = own().collect();
                    members.reverse();
                    missing.insert((met, members));
                    continue;
                };
                recorded.push((position, weights.coefficient(met, met)));
            }
            values.push(pairwise_sum(
                &recorded.iter().map(|(position, c)| c * game.table.values()[*position]).collect::<Vec<_>>(),
            ));
            errors.extend(noise.as_ref().map(|noise| noise_of(&recorded, noise)));
        }
        if !missing.is_empty() {
            let spelled = missing.iter().take(MISSING_NAMED).map(|(_, members)| {
                part.fill(0);
                members.iter().for_each(|player| insert(&mut part, *player));
                describe(&part, &game.players)
            });
            return Err(GameError::MissingSmall {
                spelled: spelled.collect(),
                missing: missing.len(),
                index: self.settings.index.name(),
            });
        }
        let errors = noise.is_some().then_some(errors);
        Ok(self.result(game, named, Method::Exact, &values, errors.as_deref()))
    }

    /// The index of the game of pairs fitted to what is recorded.
    fn fitted(&self, game: &Game, named: NamedTerms) -> Result<InteractionResult, GameError> {
        let InteractionSettings { index, order, .. } = self.settings;
        if order > FITTED_ORDER {
            return Err(GameError::Incomplete {
                recorded: game.table.n_coalitions(),
                total: (game.table.n_players() as f64).exp2(),
                missing: spell_missing(game),
                advice:
                    "--order 2 fits pairs to what is recorded; --index moebius needs small coalitions alone"
                        .to_owned(),
            });
        }
        let fit = FittedTerms::new(&game.table, index, order, &named.members, &game.players)?;
        let mut result = self.result(game, named, Method::Kernel, &fit.values, fit.errors.as_deref());
        result.condition = Some(fit.condition);
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
                regime: (named.members[place].len() > 1).then_some(regime),
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
