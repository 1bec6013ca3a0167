//! Whether a player's value rises or falls with the episodes.
//!
//! # Formula
//! Of one run: the slope of least squares of the episodes' means on the number of the episode, its standard error
//! sqrt(RSS/(m - 2)/Sxx) and Student's t with m - 2 degrees, m episodes. Of several: each run has a slope, and these are the
//! sample; episodes of one run share its history, so that their scatter says nothing of another run's slope.
//!
//! # Source
//! Draper and Smith, *Applied Regression Analysis*, 3rd ed., 1998, section 1.4; slopes as summary measures of series: Matthews,
//! Altman, Campbell and Royston, *BMJ* 300, 1990.

use std::collections::BTreeMap;

use super::Inference;
use super::cluster::n_runs;
use super::rounding::rounding_floor;
use super::shapley::GameResult;
use crate::stats::{
    ConfidenceInterval, Estimate, IntervalMethod, adjust, one_sample_test, pairwise_sum,
    student_t_two_sided_p,
};

/// What slopes are a sample of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrendUnit {
    /// Slopes of runs.
    Run,
    /// Episodes of the only run.
    Episode,
}

/// A player's change per episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// The player.
    pub slot_id: String,
    /// Change of the value from one episode to the next.
    pub slope: f64,
    /// Its standard error; `None` of too few units.
    pub standard_error: Option<f64>,
    /// What stands behind it.
    pub unit: TrendUnit,
    /// Runs with a slope, or episodes.
    pub n_units: u64,
    /// Interval of the slope.
    pub interval: Option<ConfidenceInterval>,
    /// Two-sided p value of no change.
    pub p_value: Option<f64>,
    /// Adjusted over all players.
    pub p_adjusted: Option<f64>,
    /// p_adjusted < 1 - confidence.
    pub significant: Option<bool>,
}

/// Trends of `players` over `games`, in their order; those who play in fewer than two episodes of every run have none.
///
/// # Edge cases
/// Values that coalitions are missing for have a slope and no interval.
pub fn trends(games: &[GameResult], players: &[&str], inference: &Inference) -> Vec<Trend> {
    // Of a recording of several runs every slope is of a run, also that of a player of one of them.
    let unit =
        if n_runs(games.iter().map(|game| &game.key)) > 1 { TrendUnit::Run } else { TrendUnit::Episode };
    let mut found: Vec<Trend> =
        players.iter().filter_map(|player| trend(games, player, unit, inference)).collect();
    let p_values: Vec<Option<f64>> = found.iter().map(|trend| trend.p_value).collect();
    for (trend, adjusted) in found.iter_mut().zip(adjust(&p_values, inference.adjustment)) {
        trend.p_adjusted = adjusted;
        trend.significant = adjusted.map(|p| p < 1.0 - inference.level.get());
    }
    found
}

fn trend(games: &[GameResult], player: &str, unit: TrendUnit, inference: &Inference) -> Option<Trend> {
    let mut values: BTreeMap<(&str, i64), Vec<f64>> = BTreeMap::new();
    let (mut scale, mut is_biased) = (0.0f64, false);
    for game in games {
        let Some(place) = game.slot_ids.iter().position(|id| id == player) else { continue };
        let Some(value) = game.players[place].shapley else { continue };
        values.entry((&game.key.run_id, game.key.episode)).or_default().push(value);
        scale = scale.max(game.scale);
        is_biased |= game.biased;
    }
    let mut runs: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for ((run, episode), values) in &values {
        let mean = pairwise_sum(values) / values.len() as f64;
        runs.entry(run).or_default().push((*episode as f64, mean));
    }
    let lines: Vec<Line> = runs.values().filter_map(|points| Line::of(points)).collect();
    // A slope of rounding is none that anything could be told of.
    let floor = rounding_floor(scale);
    let is_told = |error: Option<f64>| error.is_some_and(|error| error > floor) && !is_biased;
    let mut trend = Trend {
        slot_id: player.to_owned(),
        slope: 0.0,
        standard_error: None,
        unit,
        n_units: 0,
        interval: None,
        p_value: None,
        p_adjusted: None,
        significant: None,
    };
    if trend.unit == TrendUnit::Run {
        let slopes: Vec<f64> = lines.iter().map(|line| line.slope).collect();
        let estimate = Estimate::of_mean(&slopes, inference.level, IntervalMethod::StudentT)?;
        (trend.slope, trend.n_units) = (estimate.value, estimate.n);
        trend.standard_error = estimate.standard_error;
        if is_told(estimate.standard_error) {
            trend.interval = estimate.interval;
            let test = one_sample_test(&slopes, &estimate, IntervalMethod::StudentT);
            trend.p_value = test.map(|test| test.p_value);
        }
        return Some(trend);
    }
    let line = lines.first()?;
    (trend.slope, trend.n_units) = (line.slope, line.n);
    trend.standard_error = line.standard_error;
    if let (true, Some(error)) = (is_told(line.standard_error), line.standard_error) {
        let degrees = (line.n - 2) as f64;
        trend.interval = Some(ConfidenceInterval::student_t(line.slope, error, degrees, inference.level));
        trend.p_value = Some(student_t_two_sided_p(line.slope / error, degrees));
    }
    Some(trend)
}

/// A line through the episodes of a run.
struct Line {
    slope: f64,
    /// `None` of two episodes: every line fits those.
    standard_error: Option<f64>,
    n: u64,
}

impl Line {
    /// `None` of fewer than two episodes.
    fn of(points: &[(f64, f64)]) -> Option<Self> {
        let n = points.len();
        if n < 2 {
            return None;
        }
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| {
            pairwise_sum(&points.iter().map(of).collect::<Vec<_>>()) / n as f64
        };
        let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
        let sum = |of: &dyn Fn(f64, f64) -> f64| {
            pairwise_sum(&points.iter().map(|point| of(point.0 - x, point.1 - y)).collect::<Vec<_>>())
        };
        let sxx = sum(&|dx, _| dx * dx);
        let slope = sum(&|dx, dy| dx * dy) / sxx;
        let rest = sum(&|dx, dy| (dy - slope * dx).powi(2));
        let standard_error = (n > 2).then(|| (rest / (n - 2) as f64 / sxx).sqrt());
        Some(Self { slope, standard_error, n: n as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::ClusterRequest;
    use crate::stats::ConfidenceLevel;

    fn game(run: &str, episode: i64, env_id: i64, value: f64) -> GameResult {
        let game = GameResult::of_values(run, episode, env_id, &[("x", value)]);
        GameResult { n_coalitions: 2, full: Some(value), scale: 10.0, ..game }
    }

    fn of(games: &[GameResult]) -> Trend {
        let level = ConfidenceLevel::new(0.95).expect("a level");
        let inference = Inference::new(ClusterRequest::Auto, level, IntervalMethod::StudentT);
        trends(games, &["x"], &inference).remove(0)
    }

    #[test]
    fn one_run_by_hand() {
        // Episodes 0 to 4 with 1, 3, 2, 5, 4: slope 0.8, RSS 3.6, standard error sqrt(3.6/3/10); scipy's linregress says
        // p = 0.10408803866182788.
        let values = [1.0, 3.0, 2.0, 5.0, 4.0];
        let games: Vec<GameResult> =
            (0..).zip(values).map(|(episode, value)| game("a", episode, 0, value)).collect();
        let found = of(&games);
        assert_eq!((found.unit, found.n_units), (TrendUnit::Episode, 5));
        assert!((found.slope - 0.8).abs() < 1e-15);
        assert!((found.standard_error.expect("an error") - 0.12f64.sqrt()).abs() < 1e-15);
        assert!((found.p_value.expect("a test") - 0.104_088_038_661_827_88).abs() < 1e-12);
        // Environments of an episode are averaged first.
        let doubled: Vec<GameResult> = games
            .iter()
            .flat_map(|one| {
                [-0.5, 0.5].map(|by| game("a", one.key.episode, 1, one.full.expect("a value") + by))
            })
            .collect();
        assert!((of(&doubled).slope - 0.8).abs() < 1e-15);
    }

    #[test]
    fn slopes_of_several_runs_are_the_sample() {
        let line = |run: &str, slope: f64| {
            (0..4).map(|episode| game(run, episode, 0, slope * episode as f64)).collect::<Vec<_>>()
        };
        let games = [line("a", 1.0), line("b", 2.0), line("c", 4.5)].concat();
        let found = of(&games);
        assert_eq!((found.unit, found.n_units), (TrendUnit::Run, 3));
        assert!((found.slope - 2.5).abs() < 1e-12);
        // sd of 1, 2, 4.5 is 1.8028.
        assert!((found.standard_error.expect("an error") - (3.25f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!(found.interval.is_some() && found.significant == Some(false));
        // A player of one of two runs has a slope of one unit.
        let mut other = game("b", 0, 0, 1.0);
        other.slot_ids = ["y".to_owned()].into();
        let found = of(&[line("a", 1.0), vec![other]].concat());
        assert_eq!((found.unit, found.n_units, found.p_value), (TrendUnit::Run, 1, None));
    }

    #[test]
    fn a_line_without_scatter_has_no_test() {
        let games: Vec<GameResult> =
            (0..4).map(|episode| game("a", episode, 0, 0.5 * episode as f64)).collect();
        let found = of(&games);
        assert_eq!((found.slope, found.interval, found.p_value), (0.5, None, None));
        let one = of(&[game("a", 0, 0, 1.0), game("a", 1, 0, 3.0)]);
        assert_eq!((one.slope, one.standard_error), (2.0, None));
        assert!(
            trends(
                &[game("a", 0, 0, 1.0)],
                &["x"],
                &Inference::new(
                    ClusterRequest::Auto,
                    ConfidenceLevel::new(0.9).expect("a level"),
                    IntervalMethod::StudentT,
                )
            )
            .is_empty()
        );
    }
}
