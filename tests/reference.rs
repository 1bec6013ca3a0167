//! Values from elsewhere: published games and exact rationals (fixtures/reference).

use rand::seq::SliceRandom;

use crate::{complete_game, recording, recording_of, settings};
use simic::attribution::{MethodRequest, ShapleyEngine};

/// Games with a recorded table, by the name of their file.
const GAMES: [&str; 15] = [
    "airport_4",
    "apex_5",
    "eec_1958",
    "eec_1973",
    "eu_1995",
    "glove_1_2",
    "glove_2_3",
    "majority_7",
    "nassau_1965",
    "soum_n6",
    "unanimity_T3_n5",
    "unanimity_T4_n6",
    "unsc_1946",
    "unsc_1966",
    "wikipedia_4_3211",
];

fn expected(name: &str) -> Vec<f64> {
    let text =
        std::fs::read_to_string("fixtures/reference/shapley_reference_values.json").expect("a fixture");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let fractions = document[name]["shapley"].as_array().expect("values");
    fractions
        .iter()
        .map(|fraction| {
            let text = fraction.as_str().expect("a fraction");
            let (top, bottom) = text.split_once('/').unwrap_or((text, "1"));
            top.parse::<f64>().expect("a number") / bottom.parse::<f64>().expect("a number")
        })
        .collect()
}

fn shapley(name: &str, method: MethodRequest) -> Vec<f64> {
    let recording = recording(&format!("fixtures/reference/{name}.parquet"));
    assert_eq!(recording.n_games(), 1);
    let game = recording.game(0, 0).expect("a game");
    let result = ShapleyEngine::new(settings(method)).game(&game).expect("values");
    // Players come in natural order of their ids p0, p1, ..., the order of the reference.
    assert!(
        result.slot_ids.iter().enumerate().all(|(i, id)| *id == format!("p{i}")),
        "{:?}",
        result.slot_ids
    );
    result.players.iter().map(|player| player.shapley.expect("a value")).collect()
}

#[test]
fn every_reference_game_is_exact() {
    for name in GAMES {
        // Rounding is relative to what is divided, not to one player's share.
        let tolerance = 8.0 * f64::EPSILON * expected(name).iter().map(|phi| phi.abs()).sum::<f64>();
        for (actual, expected) in shapley(name, MethodRequest::Exact).iter().zip(expected(name)) {
            assert!((actual - expected).abs() <= tolerance, "{name}: {actual} against {expected}");
        }
    }
}

#[test]
fn the_kernel_fit_of_every_reference_game_is_exact_too() {
    for name in GAMES {
        for (actual, expected) in shapley(name, MethodRequest::Kernel).iter().zip(expected(name)) {
            assert!((actual - expected).abs() < 1e-11, "{name}: {actual} against {expected}");
        }
    }
}

/// Weighted voting by look-up: an electoral college of 51 players is sampled, not enumerated.
#[test]
fn sampled_values_of_the_electoral_college_cover_the_exact_ones() {
    let text =
        std::fs::read_to_string("fixtures/reference/shapley_reference_values.json").expect("a fixture");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let college = &document["us_electoral_college_2024"];
    let votes: Vec<u64> = college["weights"]
        .as_array()
        .expect("weights")
        .iter()
        .map(|w| w.as_u64().expect("a weight"))
        .collect();
    let quota = college["quota"].as_u64().expect("a quota");
    let exact: Vec<f64> = college["shapley_float"]
        .as_array()
        .expect("values")
        .iter()
        .filter_map(serde_json::Value::as_f64)
        .collect();
    assert_eq!(votes.len(), 51);
    // Recorded walks, as a trainer would leave them: the program never sees the rule.
    let walks: Vec<simic::attribution::Walk> = (0..4000u64)
        .map(|perm| {
            let mut order: Vec<usize> = (0..51).collect();
            let key = simic::stats::StreamKey::named("college", 0, 0);
            order.shuffle(&mut simic::stats::random_stream(5, key, perm));
            let mut total = 0;
            let mut values = vec![0.0];
            values.extend(order.iter().map(|player| {
                total += votes[*player];
                f64::from(u8::from(total >= quota))
            }));
            simic::attribution::Walk { perm: i64::try_from(perm).expect("small"), order, values }
        })
        .collect();
    let rows = walks.iter().flat_map(|walk| {
        let mut mask = 0u64;
        let masks = std::iter::once(0).chain(walk.order.iter().map(|player| {
            mask |= 1 << player;
            mask
        }));
        masks.collect::<Vec<_>>().into_iter().zip(walk.values.clone()).collect::<Vec<_>>()
    });
    let rows: Vec<(u64, f64)> = rows.collect();
    let table = simic::attribution::CoalitionTable::from_rows(
        51,
        rows.len(),
        rows.into_iter(),
        simic::attribution::Repeats::Mean,
    )
    .expect("a table");
    let mut game = complete_game(vec![0.0, 1.0]);
    game.players = (0..51).map(|i| format!("s{i}")).collect();
    game.table = table;
    game.walks = walks;
    let result = ShapleyEngine::new(settings(MethodRequest::Permutation)).game(&game).expect("values");
    let covered = result
        .players
        .iter()
        .zip(&exact)
        .filter(|(player, exact)| player.interval.is_some_and(|interval| interval.contains(**exact)))
        .count();
    // 51 intervals of 95 %: fewer than 43 covered has a probability below 1e-3.
    assert!(covered >= 43, "{covered} of 51 intervals hold the exact value");
    let gap = result.efficiency_gap.expect("a gap");
    assert!(gap.abs() < 1e-12, "{gap}");
}

/// The real recording: values computed from its definition with other code (fixtures/README.md).
#[test]
fn the_real_recording_agrees_with_an_independent_computation() {
    let text = std::fs::read_to_string("fixtures/digits_regions.reference.json").expect("a fixture");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for value in ["val_accuracy", "val_loss"] {
        let recording = recording_of("fixtures/digits_regions.parquet", &[value]);
        let engine = ShapleyEngine::new(settings(MethodRequest::Auto));
        let games: Vec<_> = (0..recording.n_games())
            .map(|index| engine.game(&recording.game(index, 0).expect("a game")).expect("values"))
            .collect();
        assert_eq!(games.len(), 10);
        let level = engine.settings().confidence;
        let summary = simic::attribution::summarize(
            &games,
            simic::attribution::ClusterRequest::Episode,
            level,
            simic::stats::IntervalMethod::StudentT,
        );
        assert_eq!(summary.players.len(), 6);
        for slot in summary.players {
            let expected = &document[value][&slot.term];
            let close = |actual: Option<f64>, key: &str| {
                let (actual, expected) = (actual.expect("a value"), expected[key].as_f64().expect("a value"));
                let tolerance = 1e-9 * expected.abs().max(1e-6);
                assert!(
                    (actual - expected).abs() <= tolerance,
                    "{value} {} {key}: {actual} {expected}",
                    slot.term
                );
            };
            close(Some(slot.mean), "mean");
            close(slot.standard_error, "stderr");
            close(slot.interval.map(|interval| interval.low), "ci_low");
            close(slot.interval.map(|interval| interval.high), "ci_high");
            close(slot.p_value, "p_value");
            close(slot.p_adjusted, "p_adjusted");
        }
    }
}

/// Interaction indices as shapiq computes them (fixtures/README.md).
#[test]
fn interaction_indices_agree_with_an_independent_package() {
    use simic::attribution::{InteractionIndex, InteractionKernel};
    let text = std::fs::read_to_string("fixtures/reference/interactions.json").expect("a fixture");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let whole =
        |value: &serde_json::Value| usize::try_from(value.as_u64().expect("a number")).expect("small");
    let games = document["games"].as_array().expect("games");
    for game in games {
        let (n, order) = (whole(&game["n"]), whole(&game["order"]));
        let index: InteractionIndex = serde_json::from_value(game["index"].clone()).expect("an index");
        // Its least squares have weights of 10^6 in place of constraints.
        let tolerance = if index == InteractionIndex::Fsii { 1e-8 } else { 1e-12 };
        let value = |mask: u64| {
            (((2_654_435_761 * mask + 40503 * n as u64) % (1 << 32)) >> 8) as f64 / f64::from(1 << 24)
        };
        let values: Vec<f64> = (0..1u64 << n).map(value).collect();
        let terms = game["terms"].as_array().expect("terms");
        let masks: Vec<u64> = terms.iter().map(|term| term[0].as_u64().expect("a mask")).collect();
        let kernel = InteractionKernel::new(index, n, order);
        assert_eq!(masks.len(), kernel.terms().len());
        for (term, found) in terms.iter().zip(kernel.values(&masks, &values)) {
            let expected = term[1].as_f64().expect("a value");
            assert!(
                (found - expected).abs() < tolerance,
                "{index:?} n {n}, order {order}: {found} {expected}"
            );
        }
    }
    assert_eq!(games.len(), 42);
}
