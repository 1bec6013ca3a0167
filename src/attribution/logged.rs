//! Shapley values that a trainer estimated itself, beside those of the recorded coalitions: how far off, and why.
//!
//! # Formula
//! The mean of m independent marginal contributions of a player has the variance s^2/m, with s^2 the variance of his marginal
//! contribution along a uniform permutation (`marginal_deviations`). An estimate further off than [`ERRORS`] such errors is not explained by sampling.
//! Whether it is by labels in another order: one of values that fits best gives the k-th smallest estimate to the k-th
//! smallest value.
//!
//! # Source
//! That sorting is the best matching on a
//! line: Hardy, Littlewood and Polya, *Inequalities*, 1952, theorem 368.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rounding::rounding_floor;
use super::shapley::GameResult;

/// Standard errors that sampling explains.
pub const ERRORS: f64 = 3.0;

/// A value that a trainer estimated.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// The player.
    pub slot_id: String,
    /// The estimate.
    pub value: f64,
    /// Standard deviation of the marginal contributions behind it, as logged.
    pub sd: Option<f64>,
    /// How many those are.
    pub n_samples: Option<u64>,
}

/// Why an estimate differs, or what cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoggedReason {
    /// Nothing differs beyond rounding.
    Agrees,
    /// Sampling permutations explains the difference.
    Sampling,
    /// A second estimate of the same episode and environment: made of values that were not measured.
    MadeUp,
    /// The estimates fit other slots than they are logged for.
    Labels,
    /// Fewer marginal contributions than of other slots: those through coalitions that were not evaluated are left out.
    SkippedMarginals,
    /// More than sampling explains: the values are of another game than the recorded coalitions.
    AnotherGame,
    /// Estimates differ, and nothing tells how many samples they have.
    Untold,
    /// The recorded coalitions give no value of their own without bias.
    Incomplete,
    /// The recorded coalitions are of other slots.
    OtherSlots,
    /// No coalitions of this episode and environment are recorded.
    NoGame,
}

impl LoggedReason {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Sampling => "sampling explains it",
            Self::MadeUp => "second estimate: values made up",
            Self::Labels => "labels of other slots",
            Self::SkippedMarginals => "contributions left out",
            Self::AnotherGame => "more than sampling: another game",
            Self::Untold => "no number of samples: cannot be told",
            Self::Incomplete => "coalitions are missing",
            Self::OtherSlots => "other slots are recorded",
            Self::NoGame => "no coalitions recorded",
        }
    }
}

/// One player's estimate beside his value.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedPlayer {
    /// What was logged.
    pub logged: Logged,
    /// The value of the recorded coalitions.
    pub value: Option<f64>,
    /// Standard error that so many independent permutations have on these coalitions, the value's own error with it.
    pub expected_error: Option<f64>,
    /// The slot whose value the estimate fits, where that is another.
    pub fits: Option<String>,
}

/// The estimates of one event beside a game's values.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedComparison {
    /// Players, in logged order.
    pub players: Vec<LoggedPlayer>,
    /// Why they differ.
    pub reasons: Vec<LoggedReason>,
}

/// Puts estimates beside the values of `game` and says why they differ; `is_repeat` says that others of the same episode and
/// environment stand before them.
pub fn compare_logged(logged: &[Logged], game: Option<&GameResult>, is_repeat: bool) -> LoggedComparison {
    let deviations = game.and_then(|game| game.marginal_deviations.as_deref());
    let place = |id: &str| game.and_then(|game| game.slot_ids.iter().position(|own| own == id));
    let player = |logged: &Logged| {
        let own = place(&logged.slot_id).and_then(|place| Some((place, &game?.players[place])));
        let sampling = own.and_then(|(place, _)| {
            let deviation = deviations.map(|all| all[place]).or(logged.sd)?;
            Some(deviation / (logged.n_samples? as f64).sqrt())
        });
        let own_error = own.and_then(|(_, own)| own.standard_error).unwrap_or(0.0);
        LoggedPlayer {
            logged: logged.clone(),
            value: own.and_then(|(_, own)| own.shapley),
            expected_error: sampling.map(|sampling| sampling.hypot(own_error)),
            fits: None,
        }
    };
    let mut players: Vec<LoggedPlayer> = logged.iter().map(player).collect();
    let mut reasons = Vec::new();
    if is_repeat {
        reasons.push(LoggedReason::MadeUp);
    }
    let samples = || logged.iter().filter_map(|logged| logged.n_samples);
    if samples().min() != samples().max() {
        reasons.push(LoggedReason::SkippedMarginals);
    }
    let Some(game) = game else {
        reasons.push(LoggedReason::NoGame);
        return LoggedComparison { players, reasons };
    };
    let is_same = logged.len() == game.slot_ids.len() && players.iter().all(|player| player.value.is_some());
    if !is_same {
        let has_values = game.players.iter().all(|player| player.shapley.is_some());
        reasons.push(if has_values { LoggedReason::OtherSlots } else { LoggedReason::Incomplete });
        return LoggedComparison { players, reasons };
    }
    let floor = rounding_floor(game.scale);
    let slack = |player: &LoggedPlayer| ERRORS * player.expected_error.unwrap_or(0.0) + floor;
    let is_off = |player: &LoggedPlayer, value: f64| (player.logged.value - value).abs() > slack(player);
    let own = |player: &LoggedPlayer| player.value.unwrap_or(f64::NAN);
    let is_exact = players.iter().all(|player| (player.logged.value - own(player)).abs() <= floor);
    let fits = players.iter().all(|player| !is_off(player, own(player)));
    if !is_exact && players.iter().any(|player| player.expected_error.is_none()) {
        reasons.push(LoggedReason::Untold);
        return LoggedComparison { players, reasons };
    }
    if game.biased {
        reasons.push(LoggedReason::Incomplete);
        return LoggedComparison { players, reasons };
    }
    match (is_exact, fits) {
        (true, _) => reasons.push(LoggedReason::Agrees),
        (false, true) => reasons.push(LoggedReason::Sampling),
        (false, false) if label_by_value(&mut players, floor) => reasons.push(LoggedReason::Labels),
        (false, false) => reasons.push(LoggedReason::AnotherGame),
    }
    LoggedComparison { players, reasons }
}

/// Says of each estimate which slot's value it fits, if in order of size all fit; tells whether they do.
fn label_by_value(players: &mut [LoggedPlayer], floor: f64) -> bool {
    let order = |value: &dyn Fn(&LoggedPlayer) -> f64| {
        let mut order: Vec<usize> = (0..players.len()).collect();
        order.sort_by(|a, b| value(&players[*a]).total_cmp(&value(&players[*b])).then(a.cmp(b)));
        order
    };
    let by_estimate = order(&|player| player.logged.value);
    let by_value = order(&|player| player.value.unwrap_or(f64::NAN));
    let pairs: Vec<(usize, usize)> = by_estimate.into_iter().zip(by_value).collect();
    let fits = |(estimate, value): &(usize, usize)| {
        let own = players[*value].value.unwrap_or(f64::NAN);
        // The error that the slot has whose value it is.
        let error = players[*value].expected_error.unwrap_or(0.0);
        (players[*estimate].logged.value - own).abs() <= ERRORS * error + floor
    };
    if !pairs.iter().all(fits) {
        return false;
    }
    let names: Vec<String> = players.iter().map(|player| player.logged.slot_id.clone()).collect();
    for (estimate, value) in pairs.into_iter().filter(|(estimate, value)| estimate != value) {
        players[estimate].fits = Some(names[value].clone());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{
        CoalitionTable, ConvergenceRequest, Game, GameKey, MethodRequest, MissingPolicy, PermutationDesign,
        PermutationSettings, ShapleyEngine, ShapleySettings,
    };
    use crate::stats::{ConfidenceLevel, IntervalMethod};

    /// Three players without structure, on the scale of per cents.
    const VALUES: [f64; 8] = [50.0, 61.0, 48.0, 70.0, 55.0, 58.0, 66.0, 80.0];

    fn game(values: &[f64]) -> GameResult {
        let table = CoalitionTable::complete(values.to_vec());
        let engine = ShapleyEngine::new(ShapleySettings {
            method: MethodRequest::Exact,
            permutations: PermutationSettings {
                n_permutations: 0,
                design: PermutationDesign::Plain,
                antithetic: true,
                seed: 0,
            },
            missing: MissingPolicy::Error,
            convergence: ConvergenceRequest::default(),
            marginal_deviations: true,
            range: None,
            monotone: None,
            confidence: ConfidenceLevel::new(0.95).expect("a level"),
            interval: IntervalMethod::StudentT,
        });
        let game = Game {
            key: GameKey { group: [].into(), run_id: "a".into(), episode: 0, env_id: 0, batch: None },
            players: (0..3).map(|player| format!("s{player}")).collect(),
            table,
            walks: Vec::new(),
            n_bad_walks: 0,
        };
        engine.game(&game).expect("values")
    }

    fn logged(values: [f64; 3], n: u64) -> Vec<Logged> {
        let one = |(place, value): (usize, f64)| Logged {
            slot_id: format!("s{place}"),
            value,
            sd: Some(1.0),
            n_samples: Some(n),
        };
        values.into_iter().enumerate().map(one).collect()
    }

    #[test]
    fn each_reason_is_told_where_it_is_the_reason() {
        let result = game(&VALUES);
        let phi: Vec<f64> = result.players.iter().filter_map(|player| player.shapley).collect();
        let deviations = result.marginal_deviations.clone().expect("complete");
        let of = |values: [f64; 3], n: u64, is_repeat: bool| {
            compare_logged(&logged(values, n), Some(&result), is_repeat)
        };
        let own = [phi[0], phi[1], phi[2]];
        assert_eq!(of(own, 20, false).reasons, [LoggedReason::Agrees]);
        let error = deviations[0] / 20f64.sqrt();
        assert_eq!(of([own[0] + 2.9 * error, own[1], own[2]], 20, false).reasons, [LoggedReason::Sampling]);
        assert_eq!(
            of([own[0] + 3.1 * error, own[1], own[2]], 20, false).reasons,
            [LoggedReason::AnotherGame]
        );
        assert_eq!(of(own, 20, true).reasons, [LoggedReason::MadeUp, LoggedReason::Agrees]);
        // A million permutations leave no doubt which value is whose.
        let turned = of([own[2], own[0], own[1]], 1_000_000, false);
        assert_eq!(turned.reasons, [LoggedReason::Labels]);
        let fits: Vec<Option<&str>> = turned.players.iter().map(|player| player.fits.as_deref()).collect();
        assert_eq!(fits, [Some("s2"), Some("s0"), Some("s1")]);
        assert_eq!(compare_logged(&logged(own, 20), None, false).reasons, [LoggedReason::NoGame]);
        let mut fewer = logged(own, 20);
        fewer[1].n_samples = Some(17);
        let found = compare_logged(&fewer, Some(&result), false).reasons;
        assert_eq!(found, [LoggedReason::SkippedMarginals, LoggedReason::Agrees]);
        for player in &mut fewer {
            player.n_samples = None;
            player.value += 0.001;
        }
        let found = compare_logged(&fewer, Some(&result), false).reasons;
        assert_eq!(found, [LoggedReason::Untold]);
        fewer.pop();
        let found = compare_logged(&fewer[..1], Some(&result), false).reasons;
        assert_eq!(found, [LoggedReason::OtherSlots]);
    }
}
