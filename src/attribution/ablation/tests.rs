use std::sync::Arc;

use super::measure::MeasureCoefficients;
use super::*;
use crate::attribution::{
    ClusterRequest, CoalitionTable, ConvergenceRequest, Game, GameError, GameKey, Inference, MethodRequest,
    MissingPolicy, PermutationDesign, PermutationSettings, Repeats, ShapleyEngine, ShapleySettings,
};
use crate::stats::{ConfidenceLevel, IntervalMethod};

fn level() -> ConfidenceLevel {
    ConfidenceLevel::new(0.95).expect("a level")
}

fn engine(contrasts: &[[&str; 2]]) -> AblationEngine {
    let shapley = ShapleySettings {
        method: MethodRequest::Auto,
        permutations: PermutationSettings {
            n_permutations: 0,
            design: PermutationDesign::Plain,
            antithetic: true,
            seed: 0,
        },
        missing: MissingPolicy::Error,
        convergence: ConvergenceRequest::default(),
        marginal_deviations: false,
        range: None,
        monotone: None,
        confidence: level(),
        interval: IntervalMethod::StudentT,
    };
    let contrasts = contrasts.iter().map(|pair| pair.map(str::to_owned)).collect();
    AblationEngine::new(AblationSettings { contrasts, confidence: level() }, ShapleyEngine::new(shapley))
}

fn game_of(n: usize, rows: &[(u64, f64)]) -> Game {
    let table =
        CoalitionTable::from_rows(n, rows.len(), rows.iter().copied(), Repeats::Mean).expect("a table");
    Game {
        key: GameKey { run_id: "a".into(), episode: 0, env_id: 0, batch: None, group: Arc::new([]) },
        players: (0..n).map(|player| format!("p{player}")).collect(),
        table,
        walks: Vec::new(),
        n_bad_walks: 0,
    }
}

fn value_of(result: &AblationResult, players: &[&str], measure: Measure) -> Option<MeasuredValue> {
    let place = result.terms.iter().position(|term| term.players == players && term.measure == measure);
    result.values[place.expect("a term")]
}

/// Players 0 (left glove), 1 and 2 (right gloves): a pair is worth 1.
fn glove() -> Vec<(u64, f64)> {
    (0..8u64).map(|m| (m, f64::from(u8::from(m & 1 == 1 && m > 1)))).collect()
}

#[test]
fn the_four_measures_of_the_glove_game_by_hand() {
    let result = engine(&[["p0", "p1"]]).game(&game_of(3, &glove())).expect("measures");
    let value = |players: &[&str], measure| value_of(&result, players, measure).expect("a value").value;
    assert_eq!((value(&["p0"], Measure::RemovalCost), value(&["p1"], Measure::RemovalCost)), (1.0, 0.0));
    assert_eq!((value(&["p0"], Measure::FirstIn), value(&["p1"], Measure::FirstIn)), (0.0, 0.0));
    // Banzhaf: 3 of 4 coalitions of the others win with the left glove, 1 of 4 turns with a right one.
    assert_eq!((value(&["p0"], Measure::Marginal), value(&["p1"], Measure::Marginal)), (0.75, 0.25));
    assert!((value(&["p0"], Measure::Shapley) - 2.0 / 3.0).abs() < 1e-15);
    assert_eq!(value(&["p0", "p1"], Measure::RemovalCost), 1.0);
    assert!((value(&["p0", "p1"], Measure::Shapley) - 0.5).abs() < 1e-15);
    assert!(value_of(&result, &["p0"], Measure::Shapley).expect("a value").interval.is_none());
}

/// n + 1 rows, the full coalition and all less one; 2n + 2 rows with the single players and the empty one.
#[test]
fn recordings_of_nothing_but_ablations_have_what_their_rows_allow() {
    let all = glove();
    let without_one: Vec<(u64, f64)> = all.iter().copied().filter(|(m, _)| m.count_ones() >= 2).collect();
    assert_eq!(without_one.len(), 4);
    let result = engine(&[]).game(&game_of(3, &without_one)).expect("measures");
    let value = |player: &str, measure| value_of(&result, &[player], measure).map(|value| value.value);
    assert_eq!(value("p0", Measure::RemovalCost), Some(1.0));
    assert_eq!((value("p0", Measure::FirstIn), value("p0", Measure::Shapley)), (None, None));
    // With p0: 1, 1, 1; without: 0.
    assert_eq!(value("p0", Measure::Marginal), Some(1.0));
    let both: Vec<(u64, f64)> = all.iter().copied().filter(|(m, _)| m.count_ones() != 1 || *m != 2).collect();
    let result = engine(&[]).game(&game_of(3, &both)).expect("measures");
    let value = |player: &str, measure| value_of(&result, &[player], measure).map(|value| value.value);
    assert_eq!((value("p1", Measure::FirstIn), value("p2", Measure::FirstIn)), (None, Some(0.0)));
    let error = engine(&[]).game(&game_of(3, &all[1..2])).err();
    assert_eq!(error, Some(GameError::NothingToAblate));
}

/// Noise by the plain sum of squared coefficients; a contrast's is that of the difference, not of two intervals.
#[test]
fn noise_of_measures_and_contrasts_follows_their_coefficients() {
    let n = 3;
    let rows: Vec<(u64, f64)> = (0..8u64)
        .flat_map(|m| {
            (0..3u8).map(move |k| (m, (m as f64 * 1.3).sin() + 0.1 * ((m as f64 + 1.0) * f64::from(k)).cos()))
        })
        .collect();
    let game = game_of(n, &rows);
    let noise = game.table.noise().expect("noise").mean_variances();
    let result = engine(&[["p0", "p2"]]).game(&game).expect("measures");
    let coefficients = MeasureCoefficients::new(&game.table);
    for (players, members) in [(&["p1"][..], &[(1, 1.0)][..]), (&["p0", "p2"], &[(0, 1.0), (2, -1.0)])] {
        for measure in Measure::ALL {
            let c = |m: u64| members.iter().map(|(p, f)| f * coefficients.of(measure, *p, &[m])).sum::<f64>();
            let variance: f64 = (0..8u64).zip(&noise.variances).map(|(m, u)| c(m).powi(2) * u).sum();
            let value: f64 = (0..8u64).map(|m| c(m) * game.table.value(&[m]).expect("a value")).sum();
            let found = value_of(&result, players, measure).expect("a value");
            assert!((found.value - value).abs() < 1e-14, "{players:?} {measure:?}");
            assert!((found.standard_error.expect("noise") / variance.sqrt() - 1.0).abs() < 1e-12);
            assert!(found.interval.is_some_and(|interval| interval.contains(value)));
        }
    }
}

#[test]
fn marginals_of_complete_and_of_partial_tables_are_differences_of_means() {
    let n = 5;
    let value = |m: u64| (m as f64 * 0.7).sin();
    let all: Vec<(u64, f64)> = (0..1u64 << n).map(|m| (m, value(m))).collect();
    let some: Vec<(u64, f64)> = all.iter().copied().filter(|(m, _)| m % 3 != 1).collect();
    for rows in [all, some] {
        let result = engine(&[]).game(&game_of(n, &rows)).expect("measures");
        for player in 0..n {
            let mean = |is_in: u64| {
                let own: Vec<f64> =
                    rows.iter().filter(|(m, _)| m >> player & 1 == is_in).map(|(_, value)| *value).collect();
                own.iter().sum::<f64>() / own.len() as f64
            };
            let found =
                value_of(&result, &[&format!("p{player}")], Measure::Marginal).expect("a value").value;
            assert!((found - (mean(1) - mean(0))).abs() < 1e-14);
        }
    }
}

#[test]
fn measures_that_differ_in_sign_are_flagged() {
    // v = 1 with p0 alone, 2 with p1 alone, 1.5 with both: p0 helps first, and costs 0.5 last.
    let rows = [(0, 0.0), (1, 1.0), (2, 2.0), (3, 1.5)];
    let result = engine(&[]).game(&game_of(2, &rows)).expect("measures");
    let (first, second) = (result.sign_disagreement(0), result.sign_disagreement(1));
    assert!(first.of_values && !first.of_intervals && !second.of_values);
    let games: Vec<AblationResult> = (0..3)
        .map(|episode| {
            let rows = rows.map(|(m, value)| (m, value + 0.01 * f64::from(episode) * m as f64));
            let mut game = game_of(2, &rows);
            game.key.episode = i64::from(episode);
            game.players = Arc::clone(&game.players);
            engine(&[["p0", "p1"]]).game(&game).expect("measures")
        })
        .collect();
    let inference = Inference::new(ClusterRequest::Episode, level(), IntervalMethod::StudentT);
    let summary = summarize_ablation(&games, &inference);
    assert_eq!(summary.terms.terms.len(), 12, "two players and a contrast under four measures");
    assert!(summary.sign_disagreement("p0").of_intervals && !summary.sign_disagreement("p1").of_values);
    let names: Vec<String> = summary.terms.terms.iter().map(|term| term.term.players.join("-")).collect();
    assert_eq!((names[0].as_str(), names[4].as_str(), names[8].as_str()), ("p0", "p1", "p0-p1"));
}
