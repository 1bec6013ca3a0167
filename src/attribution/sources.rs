//! Where the variance of a player's value comes from, and what would bring it down.
//!
//! # Formula
//! The value of a game is mean + run + episode + environment + error, each independent of the others. Components by the method of moments
//! of the nested design (`stats`); what is known of the errors of single games (evaluation noise, drawn or recorded permutations:
//! their squared standard errors) is taken out of the lowest level. A prediction interval for one more unit is
//! mean ± t sd sqrt(1 + 1/n).
//!
//! What a plan asks: units n with t_(n-1) sd/sqrt(n) <= W; repeats (or permutations) f times as many with
//! t^2 (stderr^2 - c (1 - 1/f)) <= W^2, c the share of stderr^2 that comes from them.
//!
//! # Source
//! Searle, Casella and McCulloch, *Variance Components*, 1992; DerSimonian and Laird, *Controlled Clinical Trials* 7, 1986 (known errors
//! taken out by moments).

use std::collections::BTreeMap;

use super::cluster::{Cluster, clustered};
use super::inference::PlayerSummary;
use super::shapley::{GameResult, Method, PlayerValue};
use super::{GameKey, Inference};
use crate::stats::{ConfidenceInterval, IntervalMethod, NestedComponents, student_t_quantile};

/// Units beyond which a plan is none.
const MOST_UNITS: u64 = 1_000_000;

/// Variances of one game's value, by where they come from; `None` where nothing tells a level from the one above.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct VarianceSources {
    /// Evaluation noise; `None` where nothing was evaluated twice, so that it is part of the lowest level.
    pub noise: Option<f64>,
    /// Drawn or recorded permutations, the noise of their rows with them; `None` without any.
    pub permutations: Option<f64>,
    /// Between environments (or batches) of an episode.
    pub environments: Option<f64>,
    /// Between episodes of a run.
    pub episodes: Option<f64>,
    /// Between runs.
    pub runs: Option<f64>,
}

impl VarianceSources {
    /// All together.
    pub fn total(&self) -> f64 {
        let parts = [self.noise, self.permutations, self.environments, self.episodes, self.runs];
        parts.iter().flatten().sum()
    }
}

/// What would bring a player's interval to the half-width asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlayerPlan {
    /// Half the interval now; `None` without one.
    pub half_width: Option<f64>,
    /// Units in all, for an interval of half-width W or less at the spread seen.
    pub units: Option<u64>,
    /// Repeats per evaluation, as a factor on those there are; `None` where no number is enough or none were repeated.
    pub repeats_factor: Option<f64>,
    /// Permutations, likewise.
    pub permutations_factor: Option<f64>,
}

/// What is known of one player over games.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayerSources {
    /// Components of the variance of one game's value.
    pub sources: VarianceSources,
    /// Interval for the mean of one more unit.
    pub prediction: Option<ConfidenceInterval>,
    /// Parts of the squared standard error of the mean that come from noise and from permutations.
    noise_of_mean: f64,
    permutations_of_mean: f64,
}

/// The squared standard error of one game's value, by where it comes from.
struct ErrorParts {
    noise: f64,
    permutations: f64,
}

impl ErrorParts {
    fn of(method: Method, player: &PlayerValue) -> Self {
        let square = |error: Option<f64>| error.map_or(0.0, |error| error * error);
        let all = square(player.standard_error);
        let noise = if method == Method::Permutation { square(player.noise_error).min(all) } else { all };
        Self { noise, permutations: all - noise }
    }
}

/// One game's value of a player, and what is known of its error.
struct Entry<'a> {
    key: &'a GameKey,
    unit: usize,
    value: f64,
    noise: f64,
    permutations: f64,
}

/// Sources of every player of `summary` over `games`, in its order.
pub fn player_sources(
    games: &[GameResult],
    summary: &[PlayerSummary],
    cluster: Cluster,
    inference: &Inference,
) -> Vec<PlayerSources> {
    let keys: Vec<&GameKey> = games.iter().map(|game| &game.key).collect();
    let mut by_player: BTreeMap<&str, Vec<Entry<'_>>> = BTreeMap::new();
    for place in clustered(&keys, cluster) {
        let game = &games[place.game];
        for (id, player) in game.slot_ids.iter().zip(&game.players) {
            let Some(value) = player.shapley else { continue };
            let ErrorParts { noise, permutations } = ErrorParts::of(game.method, player);
            by_player.entry(id).or_default().push(Entry {
                key: &game.key,
                unit: place.unit,
                value,
                noise,
                permutations,
            });
        }
    }
    summary
        .iter()
        .map(|player| {
            sources_of(by_player.get(player.term.as_str()).map_or(&[], Vec::as_slice), player, inference)
        })
        .collect()
}

fn sources_of(entries: &[Entry<'_>], summary: &PlayerSummary, inference: &Inference) -> PlayerSources {
    let n = entries.len().max(1) as f64;
    let mean_of = |part: &dyn Fn(&Entry<'_>) -> f64| entries.iter().map(part).sum::<f64>() / n;
    let (noise, permutations) = (mean_of(&|entry| entry.noise), mean_of(&|entry| entry.permutations));
    let mut groups: Vec<Vec<Vec<f64>>> = Vec::new();
    for of_run in entries.chunk_by(|a, b| Cluster::Run.joins(a.key, b.key)) {
        let of_episodes = of_run.chunk_by(|a, b| Cluster::Episode.joins(a.key, b.key));
        groups.push(of_episodes.map(|games| games.iter().map(|entry| entry.value).collect()).collect());
    }
    let components = NestedComponents::of(&groups, noise + permutations);
    let units: Vec<&[Entry<'_>]> = entries.chunk_by(|a, b| a.unit == b.unit).collect();
    // The mean of unit means: each game's error counts by one over its unit's games and over all units, squared.
    let of_mean = |part: &dyn Fn(&Entry<'_>) -> f64| -> f64 {
        let of_unit =
            |games: &&[Entry<'_>]| games.iter().map(part).sum::<f64>() / (games.len() as f64).powi(2);
        units.iter().map(of_unit).sum::<f64>() / (units.len().max(1) as f64).powi(2)
    };
    let prediction = summary.sd.filter(|_| summary.interval.is_some()).map(|sd| {
        let units = summary.n_units as f64;
        let spread = sd * (1.0 + 1.0 / units).sqrt();
        ConfidenceInterval::student_t(summary.mean, spread, units - 1.0, inference.level)
    });
    PlayerSources {
        sources: VarianceSources {
            noise: (noise > 0.0).then_some(noise),
            permutations: (permutations > 0.0).then_some(permutations),
            environments: components.values.map(|values| (values - noise - permutations).max(0.0)),
            episodes: components.subgroups,
            runs: components.groups,
        },
        prediction,
        noise_of_mean: of_mean(&|entry| entry.noise),
        permutations_of_mean: of_mean(&|entry| entry.permutations),
    }
}

impl PlayerSources {
    /// What brings the player's interval to `target`, which is positive.
    ///
    /// Of one game: by the interval it has of itself.
    pub fn plan(
        &self,
        summary: &PlayerSummary,
        games: &[GameResult],
        target: f64,
        inference: &Inference,
    ) -> PlayerPlan {
        if let [game] = games {
            return of_one_game(game, &summary.term, target);
        }
        let known = summary.sd.zip(summary.standard_error).filter(|_| summary.interval.is_some());
        let Some((sd, standard_error)) = known else {
            return PlayerPlan {
                half_width: None,
                units: None,
                repeats_factor: None,
                permutations_factor: None,
            };
        };
        let half_width = summary.interval.map(|interval| (interval.high - interval.low) / 2.0);
        let upper = 1.0 - (1.0 - inference.level.get()) / 2.0;
        // Standard errors in half an interval: as many as there are now, whatever the interval is made by, falling with more
        // units as Student's t does; a normal's are as many of any number.
        let now = half_width.unwrap_or(f64::NAN) / standard_error;
        let t = |units: u64| student_t_quantile(upper, (units - 1) as f64);
        let errors = |units: u64| match inference.interval {
            IntervalMethod::Normal => now,
            IntervalMethod::StudentT | IntervalMethod::Bootstrap(_) => now * t(units) / t(summary.n_units),
        };
        let factor = |part: f64| factor(part, standard_error.powi(2), (target / now).powi(2));
        let is_enough = |units: u64| errors(units) * sd / (units as f64).sqrt() <= target;
        PlayerPlan {
            half_width,
            units: fewest(is_enough),
            repeats_factor: factor(self.noise_of_mean),
            permutations_factor: factor(self.permutations_of_mean),
        }
    }
}

/// How many times as many evaluations bring a squared error of `now` to `allowed`, where `part` of it falls with their number;
/// `None` where no number does.
fn factor(part: f64, now: f64, allowed: f64) -> Option<f64> {
    let left = part - (now - allowed);
    match () {
        () if part == 0.0 => None,
        () if now <= allowed => Some(1.0),
        // What rounding leaves over is nothing.
        () if left <= 1e-9 * now => None,
        () => Some(part / left),
    }
}

/// What brings the interval of a single game to `target`.
fn of_one_game(game: &GameResult, player: &str, target: f64) -> PlayerPlan {
    let place = game.slot_ids.iter().position(|id| id == player);
    let known = place.and_then(|place| {
        let own = &game.players[place];
        let half_width = own.interval.map(|interval| (interval.high - interval.low) / 2.0)?;
        Some((ErrorParts::of(game.method, own), half_width, own.standard_error?))
    });
    let Some((parts, half_width, error)) = known else {
        return PlayerPlan { half_width: None, units: None, repeats_factor: None, permutations_factor: None };
    };
    let (now, allowed) = (error * error, (target * error / half_width).powi(2));
    PlayerPlan {
        half_width: Some(half_width),
        units: None,
        repeats_factor: factor(parts.noise, now, allowed),
        permutations_factor: factor(parts.permutations, now, allowed),
    }
}

/// The fewest units from two on that are enough; `None` beyond [`MOST_UNITS`]. More of them never do worse.
fn fewest(is_enough: impl Fn(u64) -> bool) -> Option<u64> {
    let mut high = 2;
    while !is_enough(high) {
        high *= 2;
        if high > MOST_UNITS {
            return None;
        }
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low.midpoint(high);
        if middle >= 2 && is_enough(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::attribution::inference::summarize_players;
    use crate::attribution::{ClusterRequest, Summary};
    use crate::stats::{ConfidenceLevel, IntervalMethod, StreamKey, random_stream};

    fn inference(cluster: ClusterRequest) -> Inference {
        Inference::new(cluster, ConfidenceLevel::new(0.95).expect("a level"), IntervalMethod::StudentT)
    }

    fn game(run: &str, episode: i64, env_id: i64, value: f64, error: Option<f64>) -> GameResult {
        let mut game = GameResult::of_values(run, episode, env_id, &[("x", value)]);
        game.players[0].standard_error = error;
        GameResult { n_coalitions: 2, full: Some(value), ..game }
    }

    fn found(games: &[GameResult], asked: &Inference) -> (PlayerSources, Summary) {
        let summary = summarize_players(games, asked);
        (player_sources(games, &summary.players, summary.cluster, asked).remove(0), summary)
    }

    #[test]
    fn shares_of_a_balanced_campaign_by_hand() {
        // Components 11.5, 1 and 2 (stats::nested_components), half of the last being known noise of 0.5.
        let values = [[[1.0, 3.0], [3.0, 5.0]], [[6.0, 8.0], [8.0, 10.0]]];
        let mut games = Vec::new();
        for (run, episodes) in ["a", "b"].iter().zip(values) {
            for (episode, of_envs) in (0..).zip(episodes) {
                for (env, value) in (0..).zip(of_envs) {
                    games.push(game(run, episode, env, value, Some(0.5f64.sqrt())));
                }
            }
        }
        let (own, _) = found(&games, &inference(ClusterRequest::Episode));
        let sources = own.sources;
        assert!((sources.noise.expect("told") - 0.5).abs() < 1e-15 && sources.permutations.is_none());
        assert!((sources.environments.expect("told") - 1.5).abs() < 1e-14);
        assert_eq!((sources.episodes, sources.runs), (Some(1.0), Some(11.5)));
        assert!((sources.total() - 14.5).abs() < 1e-14);
        games.iter_mut().for_each(|game| game.method = Method::Permutation);
        let sources = found(&games, &inference(ClusterRequest::Episode)).0.sources;
        assert!(sources.noise.is_none() && (sources.permutations.expect("told") - 0.5).abs() < 1e-15);
    }

    #[test]
    fn plans_by_hand() {
        // Four episodes of sd 1 (values 0, 0, sqrt(3), sqrt(3) have sd 1): t(17) / sqrt(18) = 0.497, t(16)/sqrt(17) = 0.514.
        let root = 3.0f64.sqrt();
        let games: Vec<GameResult> = (0..)
            .zip([0.0, 0.0, root, root])
            .map(|(episode, value)| game("a", episode, 0, value, Some(0.6)))
            .collect();
        let asked = inference(ClusterRequest::Episode);
        let (own, summary) = found(&games, &asked);
        let player = &summary.players[0];
        let plan = own.plan(player, &games, 0.5, &asked);
        assert_eq!(plan.units, Some(18));
        assert!((plan.half_width.expect("an interval") - 3.182_446_305_284_263 / 2.0).abs() < 1e-9);
        // stderr^2 0.25, of which noise 0.36/4 = 0.09: a half-width of 1.4 needs (1.4/3.1824)^2 = 0.19353.
        let allowed = (1.4f64 / 3.182_446_305_284_263).powi(2);
        let factor = own.plan(player, &games, 1.4, &asked).repeats_factor.expect("enough");
        assert!((0.25 - 0.09 * (1.0 - 1.0 / factor) - allowed).abs() < 1e-12, "{factor}");
        // What does not come from noise is too much for 1.2 already.
        assert_eq!(own.plan(player, &games, 1.2, &asked).repeats_factor, None);
        assert_eq!(own.plan(player, &games, 2.0, &asked).repeats_factor, Some(1.0));
        assert_eq!(own.plan(player, &games, 1.4, &asked).permutations_factor, None);
        assert_eq!(own.plan(player, &games, 1e-6, &asked).units, None);
    }

    /// Noise that all permutations share is not narrowed by more of them, nor permutations by more repeats.
    #[test]
    fn a_game_of_noise_and_permutations_is_planned_by_both() {
        let mut one = game("a", 0, 0, 2.0, Some(0.5));
        one.method = Method::Permutation;
        one.players[0].noise_error = Some(0.3);
        one.players[0].interval = Some(ConfidenceInterval { low: 1.0, high: 3.0 });
        let games = [one];
        let asked = inference(ClusterRequest::Episode);
        let (own, summary) = found(&games, &asked);
        // 0.25 = 0.09 of noise and 0.16 of permutations; half of the interval 0.8 times as wide: 0.16 is allowed.
        let plan = own.plan(&summary.players[0], &games, 0.8, &asked);
        assert!((plan.permutations_factor.expect("enough") - 0.16 / 0.07).abs() < 1e-12);
        assert_eq!((plan.repeats_factor, plan.half_width), (None, Some(1.0)));
        // Of noise alone no more than 0.09 is left however many permutations are drawn.
        assert_eq!(own.plan(&summary.players[0], &games, 0.59, &asked).permutations_factor, None);
    }

    #[test]
    fn plans_are_of_the_intervals_asked_for() {
        let games: Vec<GameResult> = (0..)
            .zip([1.0, 2.0, 3.0, 4.5, 2.5, 3.5])
            .map(|(episode, value)| game("a", episode, 0, value, None))
            .collect();
        let units = |interval: IntervalMethod| {
            let asked = Inference { interval, ..inference(ClusterRequest::Episode) };
            let (own, summary) = found(&games, &asked);
            own.plan(&summary.players[0], &games, 0.5, &asked).units.expect("enough")
        };
        // sd 1.2145 (scipy): 1.96 sd/sqrt(n) is 0.5 or less from 23 on, t sd/sqrt(n) from 26 on.
        assert_eq!((units(IntervalMethod::Normal), units(IntervalMethod::StudentT)), (23, 26));
    }

    /// The mean of one more unit lies in the prediction interval as often as it says.
    #[test]
    fn prediction_intervals_hold_the_next_unit() {
        let mut random = random_stream(4, StreamKey::named("prediction", 0, 0), 0);
        let mut normal = || (0..12).map(|_| random.random_range(-0.5..0.5)).sum::<f64>();
        let asked = inference(ClusterRequest::Episode);
        let held: u32 = (0..2000)
            .map(|_| {
                let games: Vec<GameResult> =
                    (0..6).map(|episode| game("a", episode, 0, 2.0 + normal(), None)).collect();
                let interval = found(&games, &asked).0.prediction.expect("an interval");
                u32::from(interval.contains(2.0 + normal()))
            })
            .sum();
        // Binomial(2000, 0.95): mean 1900, sd 9.7.
        assert!((1860..=1940).contains(&held), "{held} of 2000");
    }
}
