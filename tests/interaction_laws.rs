//! Laws that interaction indices obey, on random games, and what their intervals cover.

use proptest::prelude::*;
use simic::attribution::{
    ClusterRequest, CoalitionTable, Coverage, Inference, InteractionEngine, InteractionIndex,
    InteractionKernel, InteractionResult, InteractionSettings, Orientation, Regime, RegimeRule, Repeats,
    summarize_interactions,
};
use simic::simulation::{CoalitionSimulation, Design, Interaction};
use simic::stats::{ConfidenceLevel, IntervalMethod};

use crate::complete_game;

const ALL: [InteractionIndex; 7] = [
    InteractionIndex::Sii,
    InteractionIndex::KSii,
    InteractionIndex::Stii,
    InteractionIndex::Fsii,
    InteractionIndex::Banzhaf,
    InteractionIndex::Moebius,
    InteractionIndex::Pair,
];

fn level() -> ConfidenceLevel {
    ConfidenceLevel::new(0.95).expect("a level")
}

fn engine(index: InteractionIndex, order: usize) -> InteractionEngine {
    InteractionEngine::new(InteractionSettings {
        index,
        order,
        among: Vec::new(),
        confidence: level(),
        regime: RegimeRule { threshold: 0.0, orientation: Orientation::Higher },
    })
}

fn all_terms(index: InteractionIndex, order: usize, values: &[f64]) -> Vec<(u64, f64)> {
    let kernel = InteractionKernel::new(index, values.len().trailing_zeros() as usize, order);
    let terms = kernel.terms();
    let found = kernel.values(&terms, values);
    terms.into_iter().zip(found).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn additive_games_have_no_interactions(effects in prop::collection::vec(-1.0..1.0f64, 2..=8), base in -5.0..5.0f64) {
        let values: Vec<f64> = (0..1usize << effects.len())
            .map(|mask| base + effects.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, e)| e).sum::<f64>())
            .collect();
        for index in ALL {
            for (term, value) in all_terms(index, effects.len().min(3), &values) {
                let expected = if term.is_power_of_two() { effects[term.trailing_zeros() as usize] } else { 0.0 };
                prop_assert!((value - expected).abs() < 1e-11, "{index:?} {term:b}: {value} {expected}");
            }
        }
    }

    #[test]
    fn efficient_indices_add_up(values in (1usize..=8).prop_flat_map(|n| prop::collection::vec(-1.0..1.0f64, 1 << n)), order in 1usize..=4) {
        let n = values.len().trailing_zeros() as usize;
        for index in [InteractionIndex::KSii, InteractionIndex::Stii, InteractionIndex::Fsii] {
            let total: f64 = all_terms(index, order.min(n), &values).iter().map(|(_, value)| value).sum();
            prop_assert!((total - (values[values.len() - 1] - values[0])).abs() < 1e-10, "{index:?}");
        }
    }

    #[test]
    fn relabelling_players_permutes_terms(values in prop::collection::vec(-1.0..1.0f64, 32), turn in 1usize..5) {
        let moved = |mask: usize| (0..5).filter(|i| mask >> i & 1 == 1).fold(0usize, |out, i| out | 1 << ((i + turn) % 5));
        let mut relabelled = vec![0.0; 32];
        for (mask, value) in values.iter().enumerate() {
            relabelled[moved(mask)] = *value;
        }
        for index in ALL {
            let after = all_terms(index, 2, &relabelled);
            for (term, value) in all_terms(index, 2, &values) {
                let to = moved(usize::try_from(term).expect("small")) as u64;
                let same = after.iter().find(|(other, _)| *other == to).expect("the term").1;
                prop_assert!((value - same).abs() < 1e-12, "{index:?} {term:b}");
            }
        }
    }

    #[test]
    fn indices_are_linear(values in prop::collection::vec(-1.0..1.0f64, 64), factor in -3.0..3.0f64) {
        let other: Vec<f64> = values.iter().rev().map(|v| v * 0.5).collect();
        let sum: Vec<f64> = values.iter().zip(&other).map(|(a, b)| a + factor * b).collect();
        for index in ALL {
            let (a, b) = (all_terms(index, 3, &values), all_terms(index, 3, &other));
            for ((a, b), (_, sum)) in a.iter().zip(&b).zip(all_terms(index, 3, &sum)) {
                prop_assert!((sum - (a.1 + factor * b.1)).abs() < 1e-11);
            }
        }
    }
}

/// 0.2 between the first two of three slots, noise of 0.1.
fn simulation(n_episodes: usize, spread: f64, repeats: usize, seed: u64) -> CoalitionSimulation {
    CoalitionSimulation {
        n_runs: 1,
        n_episodes,
        n_envs: 1,
        baseline: 0.5,
        effects: vec![0.1, 0.0, -0.05],
        interactions: vec![Interaction { first: 0, second: 1, effect: 0.2 }],
        run_spread: 0.0,
        spread,
        noise: 0.1,
        design: Design::Factorial { repeats },
        seed,
    }
}

fn results(simulation: &CoalitionSimulation, engine: &InteractionEngine) -> Vec<InteractionResult> {
    (0..simulation.n_episodes)
        .map(|episode| {
            let rows: Vec<(u64, f64)> =
                simulation.game(0, episode, 0).iter().map(|row| (row.mask, row.accuracy)).collect();
            let mut game = complete_game(vec![0.0; 8]);
            game.key.episode = i64::try_from(episode).expect("small");
            game.table =
                CoalitionTable::from_rows(3, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table");
            engine.game(&game).expect("values")
        })
        .collect()
}

/// The pair of the first two slots is 0.2 under every index: the game has no larger terms.
#[test]
fn noise_intervals_of_interactions_cover_the_truth_at_their_level() {
    for index in ALL {
        let engine = engine(index, 2);
        let covers = |seed: u64| {
            let found = &results(&simulation(1, 0.0, 4, seed), &engine)[0];
            let pair = found.values[3];
            assert_eq!(found.terms[3].players(), ["s0", "s1"]);
            u32::from(pair.interval.expect("an interval").contains(0.2))
        };
        let covered: u32 = (0..400).map(covers).sum();
        // Binomial(400, 0.95): mean 380, sd 4.4; Satterthwaite's degrees are approximate, four deviations and a little.
        assert!((360..=398).contains(&covered), "{index:?}: {covered} of 400");
    }
}

#[test]
fn intervals_over_episodes_cover_the_mean_interaction_and_tell_the_regime() {
    let engine = engine(InteractionIndex::KSii, 2);
    let inference = Inference::new(ClusterRequest::Auto, level(), IntervalMethod::StudentT);
    let (mut covered, mut synergies) = (0, 0);
    for seed in 0..300 {
        let games = results(&simulation(8, 0.1, 1, seed), &engine);
        let summary = summarize_interactions(&games, &inference, engine.settings().regime);
        let pair = &summary.terms[3];
        covered += u32::from(pair.summary.interval.expect("an interval").contains(0.2));
        synergies += u32::from(pair.regime == Some(Regime::Synergy));
    }
    // Binomial(300, 0.95): mean 285, sd 3.8.
    assert!((270..=299).contains(&covered), "{covered} of 300");
    assert!(synergies > 200, "{synergies}");
}

/// All six terms at once: each interval by itself does not do, those that hold together do.
#[test]
fn simultaneous_intervals_hold_together() {
    let engine = engine(InteractionIndex::KSii, 2);
    let pointwise = Inference::new(ClusterRequest::Auto, level(), IntervalMethod::StudentT);
    let together = Inference { coverage: Coverage::Simultaneous, ..pointwise };
    let truth = [0.1, 0.0, -0.05, 0.2, 0.0, 0.0];
    let covered = |inference: &Inference| -> u32 {
        let covers = |seed: u64| {
            let games = results(&simulation(10, 0.1, 1, seed), &engine);
            let summary = summarize_interactions(&games, inference, engine.settings().regime);
            let held =
                summary.terms.iter().zip(truth).all(|(term, truth)| {
                    term.summary.interval.is_some_and(|interval| interval.contains(truth))
                });
            u32::from(held)
        };
        (0..400).map(covers).sum()
    };
    // Binomial(400, 0.95): mean 380, sd 4.4; four deviations either way.
    let all = covered(&together);
    assert!((362..=397).contains(&all), "{all} of 400");
    let each = covered(&pointwise);
    assert!(each < 350, "{each} of 400");
}
