//! One game, one method, one result.

use std::sync::Arc;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GameError;
use super::bounds::{ShapleyBounds, ValueRange, most_telling, shapley_bounds};
use super::coalition;
use super::convergence::{Convergence, ConvergenceRequest};
use super::exact::{ExactKernel, MAX_PLAYERS, NoiseError};
use super::game::{CoalitionTable, Game, GameKey, Walk};
use super::groups::Unions;
use super::least_squares::{KernelQuality, kernel_values};
use super::marginal_deviations::marginal_deviations;
use super::monotone::{Monotone, monotone_bounds};
use super::permutation::{
    MissingPolicy, PermutationSettings, UnitMarginals, drawn_marginals, drawn_noise, recorded_marginals,
};
use super::rounding::rounding_floor;
use crate::stats::{ConfidenceInterval, ConfidenceLevel, Estimate, IntervalMethod, StreamKey, pairwise_sum};

/// Missing coalitions spelled out in a message.
const MISSING_NAMED: usize = 4;

/// The method asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MethodRequest {
    /// Exact if complete, else recorded walks, else kernel if identifiable.
    Auto,
    /// All 2^n coalitions.
    Exact,
    /// Permutations: recorded walks where there are some, else drawn.
    Permutation,
    /// Constrained weighted least squares.
    Kernel,
    /// Intervals that hold whatever the unseen values are.
    Bounds,
}

/// The method a result came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// All 2^n coalitions.
    Exact,
    /// Permutations.
    Permutation,
    /// Constrained weighted least squares.
    Kernel,
    /// Intervals only.
    Bounds,
}

impl Method {
    /// All methods, in order of declaration.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Permutation, Self::Kernel, Self::Bounds];

    /// The name in documents and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Permutation => "permutation",
            Self::Kernel => "kernel",
            Self::Bounds => "bounds",
        }
    }
}

/// Settings of an attribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShapleySettings {
    /// Method asked for.
    pub method: MethodRequest,
    /// Permutations to draw.
    pub permutations: PermutationSettings,
    /// Unrecorded coalitions.
    pub missing: MissingPolicy,
    /// What is told of how sampled values settle.
    pub convergence: ConvergenceRequest,
    /// Whether deviations of marginal contributions are told.
    pub marginal_deviations: bool,
    /// Range of unseen values, for bounds.
    pub range: Option<ValueRange>,
    /// Which way values never go as players join, for bounds.
    pub monotone: Option<Monotone>,
    /// Level of the intervals.
    pub confidence: ConfidenceLevel,
    /// How sampled intervals are made.
    pub interval: IntervalMethod,
}

/// One player's value in one game.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlayerValue {
    /// Shapley value; `None` where only bounds exist, or no marginal contribution was recorded.
    pub shapley: Option<f64>,
    /// Sample standard deviation of the independent units.
    pub sd: Option<f64>,
    /// Standard error: of the sample, or from repeated evaluations.
    pub standard_error: Option<f64>,
    /// The part of the standard error of a sampled value that evaluation noise makes, which more permutations do not narrow.
    pub noise_error: Option<f64>,
    /// Independent units behind the value; 1 for an exact or fitted one.
    pub n_samples: u64,
    /// Confidence interval.
    pub interval: Option<ConfidenceInterval>,
    /// Sharp bounds, under [`Method::Bounds`].
    pub bounds: Option<ShapleyBounds>,
}

/// The values of one game: there may be millions, so what few of them have lies elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GameResult {
    /// Which game.
    pub key: GameKey,
    /// Slot ids in player order.
    pub slot_ids: Arc<[String]>,
    /// Distinct coalitions recorded.
    pub n_coalitions: usize,
    /// Method used.
    pub method: Method,
    /// v(empty).
    pub baseline: Option<f64>,
    /// v(N).
    pub full: Option<f64>,
    /// Sum of the values less (full - baseline): rounding, or what skipping lost.
    pub efficiency_gap: Option<f64>,
    /// Whether missing coalitions bias the values.
    pub biased: bool,
    /// Whether units are means of antithetic pairs.
    pub antithetic: Option<bool>,
    /// Variance of as many independent permutations over that of the units; `None` where units are single permutations.
    pub relative_efficiency: Option<f64>,
    /// How sampled values settle, where it is asked for.
    pub convergence: Option<Box<Convergence>>,
    /// Recorded walks left out because they have no partner.
    pub unpaired_walks: usize,
    /// Recorded permutations left out because they are none.
    pub bad_walks: usize,
    /// Rows left out because they are copies of an evaluation among fresh ones.
    pub n_copies: u64,
    /// Recorded permutations.
    pub n_recorded_walks: usize,
    /// Greatest distance of a recorded value from v(empty): what rounding is measured by.
    pub scale: f64,
    /// Standard deviation of each player's marginal contribution along a uniform permutation; `None` unless they are asked for and
    /// every coalition is recorded.
    pub marginal_deviations: Option<Vec<f64>>,
    /// The evaluation that would narrow bounds most; `None` under other methods, of complete tables and of monotone games.
    pub next_evaluation: Option<Box<NextEvaluation>>,
    /// How well the coalitions determine the values, under [`Method::Kernel`].
    pub kernel: Option<Box<KernelQuality>>,
    /// Values in player order.
    pub players: Vec<PlayerValue>,
}

#[cfg(test)]
impl GameResult {
    /// A game of exact values, which nothing else is known of.
    pub(super) fn of_values(run: &str, episode: i64, env_id: i64, values: &[(&str, f64)]) -> Self {
        let value = |(_, value): &(&str, f64)| PlayerValue {
            shapley: Some(*value),
            sd: None,
            standard_error: None,
            noise_error: None,
            n_samples: 1,
            interval: None,
            bounds: None,
        };
        Self {
            key: GameKey { group: Arc::default(), run_id: Arc::from(run), episode, env_id, batch: None },
            slot_ids: values.iter().map(|(id, _)| (*id).to_owned()).collect(),
            n_coalitions: 4,
            method: Method::Exact,
            baseline: Some(0.0),
            full: Some(1.0),
            efficiency_gap: Some(0.0),
            biased: false,
            antithetic: None,
            relative_efficiency: None,
            convergence: None,
            unpaired_walks: 0,
            bad_walks: 0,
            n_copies: 0,
            n_recorded_walks: 0,
            scale: 1.0,
            marginal_deviations: None,
            next_evaluation: None,
            kernel: None,
            players: values.iter().map(value).collect(),
        }
    }
}

/// An evaluation that was not recorded, and what it would bring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NextEvaluation {
    /// Players that are on.
    pub players_on: Vec<String>,
    /// By how much all intervals together get narrower.
    pub narrows: f64,
}

/// Computes games under fixed settings; kernels are prepared once per number of players.
#[derive(Debug)]
pub struct ShapleyEngine {
    settings: ShapleySettings,
    kernels: Vec<std::sync::OnceLock<ExactKernel>>,
}

impl ShapleyEngine {
    /// An engine for `settings`.
    pub fn new(settings: ShapleySettings) -> Self {
        let kernels = (0..=MAX_PLAYERS).map(|_| std::sync::OnceLock::new()).collect();
        Self { settings, kernels }
    }

    /// The settings.
    pub fn settings(&self) -> &ShapleySettings {
        &self.settings
    }

    /// Values of one game by the method asked for.
    ///
    /// # Errors
    /// [`GameError`] when the recorded coalitions do not support the method.
    pub fn game(&self, game: &Game) -> Result<GameResult, GameError> {
        let result = match self.settings.method {
            MethodRequest::Exact => self.exact(game),
            MethodRequest::Permutation => self.permutation(game),
            MethodRequest::Kernel => kernel(game, &self.settings),
            MethodRequest::Bounds => self.bounds(game),
            MethodRequest::Auto => self.auto(game),
        }?;
        let is_finite = |value: Option<f64>| value.is_none_or(f64::is_finite);
        let is_sound = |player: &PlayerValue| {
            let bounds = player.bounds.map_or([0.0; 2], |bounds| [bounds.low, bounds.high]);
            is_finite(player.shapley)
                && is_finite(player.standard_error)
                && bounds.iter().all(|x| x.is_finite())
        };
        if result.players.iter().all(is_sound) { Ok(result) } else { Err(GameError::Overflow) }
    }

    /// Owen values: players of a union divide what it gets among unions.
    ///
    /// # Errors
    /// [`GameError`] when coalitions of whole unions beside parts of one are missing.
    pub fn owen(&self, game: &Game, unions: &Unions) -> Result<GameResult, GameError> {
        let n = game.table.n_players();
        let mut phi = vec![0.0; n];
        let mut errors =
            game.table.noise().map(|_| vec![NoiseError { standard_error: 0.0, degrees: 1.0 }; n]);
        for inner in unions.inner_games(game)? {
            let kernel =
                self.kernels[inner.members.len()].get_or_init(|| ExactKernel::new(inner.members.len()));
            let own_errors = inner.noise.as_ref().map(|noise| kernel.noise_errors(noise));
            for (place, value) in kernel.shapley_values(&inner.values).into_iter().enumerate() {
                phi[inner.members[place]] = value;
                if let (Some(errors), Some(own)) = (&mut errors, &own_errors) {
                    errors[inner.members[place]] = own[place];
                }
            }
        }
        let result = linear_result(game, Method::Exact, &phi, errors.as_deref(), self.settings.confidence);
        let is_sound = |player: &PlayerValue| player.shapley.is_some_and(f64::is_finite);
        if result.players.iter().all(is_sound) { Ok(result) } else { Err(GameError::Overflow) }
    }

    fn auto(&self, game: &Game) -> Result<GameResult, GameError> {
        if game.table.complete_values().is_some() {
            return self.exact(game);
        }
        if !game.walks.is_empty() {
            return self.permutation(game);
        }
        kernel(game, &self.settings).map_err(|error| {
            let bounds = bounds_advice(&game.table);
            GameError::NoMethod {
                recorded: game.table.n_coalitions(),
                total: n_coalitions(&game.table),
                missing: spell_missing(game),
                advice: match error.evaluation() {
                    Some(evaluation) => format!("for a fit {evaluation}; {bounds}"),
                    None => bounds,
                },
            }
        })
    }

    fn exact(&self, game: &Game) -> Result<GameResult, GameError> {
        let n = game.table.n_players();
        if n > MAX_PLAYERS {
            return Err(GameError::TooManyPlayers(n));
        }
        let Some(values) = game.table.complete_values() else {
            return Err(GameError::Incomplete {
                recorded: game.table.n_coalitions(),
                total: n_coalitions(&game.table),
                missing: spell_missing(game),
                advice: format!(
                    "--method auto takes the best method for what is recorded; {}",
                    bounds_advice(&game.table)
                ),
            });
        };
        let kernel = self.kernels[n].get_or_init(|| ExactKernel::new(n));
        let phi = kernel.shapley_values(values);
        let errors = game.table.noise().map(|noise| kernel.noise_errors(&noise.mean_variances()));
        let mut result =
            linear_result(game, Method::Exact, &phi, errors.as_deref(), self.settings.confidence);
        if self.settings.marginal_deviations {
            result.marginal_deviations = marginal_deviations(&game.table, &phi);
        }
        Ok(result)
    }

    fn permutation(&self, game: &Game) -> Result<GameResult, GameError> {
        let settings = &self.settings;
        if !game.walks.is_empty() {
            // Their spread already holds the noise of every row that was evaluated for itself.
            let marginals = recorded_marginals(game.table.n_players(), &game.walks);
            return Ok(sampled_result(game, &marginals, None, settings));
        }
        if settings.permutations.n_permutations == 0 {
            return Err(GameError::NoPermutations);
        }
        let (key, draws) = (stream_key(&game.key), settings.permutations);
        let marginals = drawn_marginals(&game.table, key, draws, settings.missing)?;
        let noise = game.table.noise().filter(|_| !marginals.incomplete);
        let shared = noise.map(|noise| drawn_noise(&game.table, key, draws, &noise.mean_variances()));
        Ok(sampled_result(game, &marginals, shared.as_deref(), settings))
    }

    fn bounds(&self, game: &Game) -> Result<GameResult, GameError> {
        let range = match (self.settings.range, self.settings.monotone) {
            (Some(range), _) => range,
            (None, Some(_)) => ValueRange { low: f64::NEG_INFINITY, high: f64::INFINITY },
            (None, None) => return Err(GameError::NoRange),
        };
        let outside = game.table.rows().find(|(_, value)| *value < range.low || *value > range.high);
        if let Some((mask, value)) = outside {
            return Err(GameError::OutsideRange {
                coalition: coalition::describe(&mask, &game.players),
                value,
                low: range.low,
                high: range.high,
            });
        }
        let mut result = if game.table.complete_values().is_some() && game.table.n_players() <= MAX_PLAYERS {
            self.exact(game)?
        } else {
            blank_result(game, Method::Bounds)
        };
        result.method = Method::Bounds;
        let bounds = if let Some(direction) = self.settings.monotone {
            monotone_bounds(&game.table, &game.players, direction, self.settings.range)?
        } else {
            let next = most_telling(&game.table).map(|(mask, weight)| NextEvaluation {
                players_on: coalition::members(&mask, &game.players),
                narrows: weight * (range.high - range.low),
            });
            result.next_evaluation = next.filter(|next| next.narrows.is_finite()).map(Box::new);
            shapley_bounds(&game.table, range)
        };
        for (player, bounds) in result.players.iter_mut().zip(bounds) {
            player.bounds = Some(bounds);
        }
        Ok(result)
    }
}

/// The family of random streams of one game: it does not depend on which other games are analysed.
fn stream_key(key: &GameKey) -> StreamKey {
    let batch = key.batch.map_or(0, |batch| batch.wrapping_add(1)).cast_unsigned();
    let place = key.env_id.cast_unsigned() ^ batch.rotate_left(32);
    let name = if key.group.is_empty() {
        key.run_id.to_string()
    } else {
        format!("{}/{}", key.group.join("/"), key.run_id)
    };
    StreamKey::named(&name, key.episode.cast_unsigned(), place)
}

fn n_coalitions(table: &CoalitionTable) -> f64 {
    // Only for messages: 2^1023 stands for anything larger.
    (table.n_players().min(1023) as f64).exp2()
}

/// The first missing coalitions, before them the ends: without these there is no fit.
pub(super) fn spell_missing(game: &Game) -> Vec<String> {
    let n = game.players.len();
    let mut spelled = Vec::new();
    if game.table.empty_value().is_none() {
        spelled.push(coalition::describe(&vec![0; coalition::words_for(n)], &game.players));
    }
    if game.table.full_value().is_none() {
        spelled.push("the full coalition".to_owned());
    }
    let others = game.table.missing(MISSING_NAMED).into_iter().filter(|mask| *mask != 0).map(|mask| {
        let mut wide = vec![0; coalition::words_for(n)];
        wide[0] = mask;
        coalition::describe(&wide, &game.players)
    });
    spelled.extend(others);
    spelled.truncate(MISSING_NAMED);
    spelled
}

/// What `--method bounds` would give, under the range the values suggest.
fn bounds_advice(table: &CoalitionTable) -> String {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in table.values() {
        low = low.min(*value);
        high = high.max(*value);
    }
    for top in [1.0, 100.0] {
        if low >= 0.0 && high <= top {
            (low, high) = (0.0, top);
            break;
        }
    }
    let width = shapley_bounds(table, ValueRange { low, high })
        .iter()
        .map(|bounds| bounds.high - bounds.low)
        .fold(0.0, f64::max);
    format!("--method bounds --range {low},{high} would give intervals up to {} wide", significant(width))
}

/// Three significant digits, for a message.
fn significant(x: f64) -> String {
    if x == 0.0 || !(1e-4..1e6).contains(&x) {
        return format!("{x:.2e}");
    }
    let mut decimals = 0;
    let mut scaled = x;
    while scaled < 100.0 && decimals < 8 {
        scaled *= 10.0;
        decimals += 1;
    }
    format!("{x:.decimals$}")
}

fn blank_result(game: &Game, method: Method) -> GameResult {
    let unknown = PlayerValue {
        shapley: None,
        sd: None,
        standard_error: None,
        noise_error: None,
        n_samples: 0,
        interval: None,
        bounds: None,
    };
    GameResult {
        key: game.key.clone(),
        slot_ids: Arc::clone(&game.players),
        n_coalitions: game.table.n_coalitions(),
        method,
        baseline: game.table.empty_value(),
        full: game.table.full_value(),
        efficiency_gap: None,
        biased: false,
        antithetic: None,
        relative_efficiency: None,
        convergence: None,
        unpaired_walks: 0,
        bad_walks: game.n_bad_walks,
        n_copies: game.table.n_copies(),
        n_recorded_walks: game.walks.len(),
        scale: game.table.scale(),
        marginal_deviations: None,
        next_evaluation: None,
        kernel: None,
        players: vec![unknown; game.table.n_players()],
    }
}

/// A sampled estimate whose units share evaluation noise: variances add up, degrees of freedom by Satterthwaite.
///
/// # Formula
/// se^2 = s^2/M + e^2 with degrees (s^2/M + e^2)^2 / ((s^2/M)^2/(M - 1) + e^4/degrees(e)); Student's t or, where asked
/// for, the normal quantile. A bootstrap of the units cannot see what they share: it gives way to t.
fn with_noise(
    estimate: &Estimate,
    shared: NoiseError,
    level: ConfidenceLevel,
    method: IntervalMethod,
) -> Estimate {
    let Some(sampling) = estimate.standard_error else { return *estimate };
    let (a, b) = (sampling.powi(2), shared.standard_error.powi(2));
    if b.is_nan() || b == 0.0 {
        return *estimate;
    }
    let standard_error = (a + b).sqrt();
    // Shares of the sum: squares of variances could overflow.
    let (p, q) = if (a + b).is_finite() { (a / (a + b), b / (a + b)) } else { (0.5, 0.5) };
    let degrees = 1.0 / (p * p / (estimate.n - 1) as f64 + q * q / shared.degrees);
    let interval = match method {
        IntervalMethod::Normal => ConfidenceInterval::normal(estimate.value, standard_error, level),
        IntervalMethod::StudentT | IntervalMethod::Bootstrap(_) => {
            ConfidenceInterval::student_t(estimate.value, standard_error, degrees, level)
        }
    };
    Estimate { standard_error: Some(standard_error), interval: Some(interval), ..*estimate }
}

impl GameResult {
    /// A biased value has no interval: none would cover the truth as often as it says.
    fn drop_biased_intervals(&mut self) {
        if self.biased {
            self.players.iter_mut().for_each(|player| player.interval = None);
        }
    }

    fn close_efficiency(&mut self) {
        let values: Option<Vec<f64>> = self.players.iter().map(|player| player.shapley).collect();
        self.efficiency_gap = match (values, self.baseline, self.full) {
            (Some(values), Some(baseline), Some(full)) => Some(pairwise_sum(&values) - (full - baseline)),
            _ => None,
        };
    }
}

/// A result linear in the recorded values: exact or fitted.
fn linear_result(
    game: &Game,
    method: Method,
    values: &[f64],
    errors: Option<&[NoiseError]>,
    level: ConfidenceLevel,
) -> GameResult {
    let mut result = blank_result(game, method);
    for (index, (player, value)) in result.players.iter_mut().zip(values).enumerate() {
        player.shapley = Some(*value);
        player.n_samples = 1;
        if let Some(error) = errors.map(|errors| errors[index]) {
            player.standard_error = Some(error.standard_error);
            if error.standard_error > 0.0 {
                player.interval =
                    Some(ConfidenceInterval::student_t(*value, error.standard_error, error.degrees, level));
            }
        }
    }
    result.close_efficiency();
    result
}

fn kernel(game: &Game, settings: &ShapleySettings) -> Result<GameResult, GameError> {
    let fit = kernel_values(&game.table, &game.players)?;
    let mut result =
        linear_result(game, Method::Kernel, &fit.values, fit.errors.as_deref(), settings.confidence);
    result.kernel = Some(Box::new(fit.quality));
    // Over fewer than all coalitions the fit is an approximation whose error no interval here covers.
    result.biased = game.table.complete_values().is_none();
    result.drop_biased_intervals();
    Ok(result)
}

/// Estimates from independent units; `shared` is the evaluation noise that all units have in common.
fn sampled_result(
    game: &Game,
    marginals: &UnitMarginals,
    shared: Option<&[NoiseError]>,
    settings: &ShapleySettings,
) -> GameResult {
    let mut result = blank_result(game, Method::Permutation);
    let floor = rounding_floor(result.scale);
    let estimate = |player: usize, n_units: usize, level: ConfidenceLevel, method: IntervalMethod| {
        let estimate = Estimate::of_mean(&marginals.of_first(player, n_units), level, method)?;
        let estimate = match shared {
            Some(shared) => with_noise(&estimate, shared[player], level, method),
            None => estimate,
        };
        // Units that all agree say nothing of how far others would be.
        let is_spread = estimate.standard_error.is_some_and(|se| se > floor);
        Some(Estimate {
            interval: estimate.interval.filter(|_| is_spread && !marginals.incomplete),
            ..estimate
        })
    };
    let (n_players, n_units) = (game.table.n_players(), marginals.units.nrows());
    let estimates: Vec<Option<Estimate>> = (0..n_players)
        .into_par_iter()
        .map(|player| estimate(player, n_units, settings.confidence, settings.interval))
        .collect();
    for (place, (player, estimate)) in result.players.iter_mut().zip(estimates).enumerate() {
        let Some(estimate) = estimate else { continue };
        player.shapley = Some(estimate.value);
        player.sd = estimate.sd;
        player.standard_error = estimate.standard_error;
        player.noise_error = shared.map(|shared| shared[place].standard_error).filter(|error| *error > 0.0);
        player.n_samples = estimate.n;
        player.interval = estimate.interval;
    }
    result.relative_efficiency = marginals.relative_efficiency(floor);
    result.convergence = settings.convergence.is_asked().then(|| {
        // A bootstrap at every look would be 2,000 times the work for the same picture.
        let method = match settings.interval {
            IntervalMethod::Normal => IntervalMethod::Normal,
            IntervalMethod::StudentT | IntervalMethod::Bootstrap(_) => IntervalMethod::StudentT,
        };
        Box::new(Convergence::of(
            settings.convergence,
            (n_players, n_units, marginals.per_unit),
            settings.confidence,
            |player, units, level| estimate(player, units, level, method),
        ))
    });
    if !game.walks.is_empty() {
        // The ends of the walks that were used: those of a walk without partner were not.
        let used = || marginals.used_walks.iter().map(|walk| &game.walks[*walk]);
        let mean_end = |end: &dyn Fn(&Walk) -> Option<&f64>| {
            let ends: Vec<f64> = used().filter_map(end).copied().collect();
            (!ends.is_empty()).then(|| pairwise_sum(&ends) / ends.len() as f64)
        };
        result.baseline = mean_end(&|walk| walk.values.first());
        result.full = mean_end(&|walk| walk.values.last());
        result.unpaired_walks = game.walks.len() - marginals.used_walks.len();
    }
    result.biased = marginals.incomplete;
    result.antithetic = Some(marginals.antithetic);
    result.close_efficiency();
    result
}
