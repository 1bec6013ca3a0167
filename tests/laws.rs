//! Laws the mathematics obeys, on random games.

use crate::{complete_game, settings};
use proptest::prelude::*;
use simic::attribution::{
    ClusterRequest, CoalitionTable, ExactKernel, Game, GameResult, MethodRequest, Repeats, ShapleyEngine,
    ValueRange, Walk, kernel_values, recorded_marginals, shapley_weights, summarize,
};
use simic::simulation::{CoalitionSimulation, Design, Interaction};
use simic::stats::{ConfidenceLevel, Estimate, IntervalMethod};

/// A random game of up to `most` players.
fn games(most: usize) -> impl Strategy<Value = Vec<f64>> {
    (1..=most).prop_flat_map(|n| prop::collection::vec(-1.0..1.0f64, 1 << n))
}

fn exact(values: &[f64]) -> Vec<f64> {
    ExactKernel::new(values.len().trailing_zeros() as usize).shapley_values(values)
}

fn brute_force(values: &[f64]) -> Vec<f64> {
    let n = values.len().trailing_zeros() as usize;
    let weights = shapley_weights(n);
    let term = |player: usize, mask: usize| {
        weights[mask.count_ones() as usize] * (values[mask | 1 << player] - values[mask])
    };
    (0..n)
        .map(|player| {
            (0..values.len()).filter(|mask| mask >> player & 1 == 0).map(|mask| term(player, mask)).sum()
        })
        .collect()
}

/// Every order of `n` players.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(n - 1) {
        for place in 0..n {
            let mut order = shorter.clone();
            order.insert(place, n - 1);
            all.push(order);
        }
    }
    all
}

/// What a player's value takes of the value of each coalition: over all orders of the players, how often he joins it
/// (and adds it) less how often he comes next (and takes it away).
fn coefficients(n: usize) -> Vec<Vec<f64>> {
    let orders = orders(n);
    let mut found = vec![vec![0.0; 1 << n]; n];
    for order in &orders {
        let mut mask = 0usize;
        for player in order {
            found[*player][mask] -= 1.0 / orders.len() as f64;
            mask |= 1 << player;
            found[*player][mask] += 1.0 / orders.len() as f64;
        }
    }
    found
}

fn walk(perm: usize, order: &[usize], values: &[f64]) -> Walk {
    let mut mask = 0usize;
    let mut visited = vec![values[0]];
    visited.extend(order.iter().map(|player| {
        mask |= 1 << player;
        values[mask]
    }));
    Walk { perm: i64::try_from(perm).expect("small"), order: order.to_vec(), values: visited }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exact_is_the_definition(values in games(8)) {
        for (fast, slow) in exact(&values).iter().zip(brute_force(&values)) {
            prop_assert!((fast - slow).abs() < 1e-13);
        }
    }

    #[test]
    fn efficiency(values in games(11)) {
        let total: f64 = exact(&values).iter().sum();
        prop_assert!((total - (values[values.len() - 1] - values[0])).abs() < 1e-12);
    }

    #[test]
    fn symmetric_players_earn_the_same(values in games(7), a in 0usize..7, b in 0usize..7) {
        let n = values.len().trailing_zeros() as usize;
        let (a, b) = (a % n, b % n);
        // Made symmetric: a coalition with only one of the two is worth the same with the other.
        let mut symmetric = values.clone();
        for mask in 0..values.len() {
            if mask >> a & 1 == 1 && mask >> b & 1 == 0 {
                symmetric[mask ^ (1 << a) ^ (1 << b)] = values[mask];
            }
        }
        let phi = exact(&symmetric);
        prop_assert!((phi[a] - phi[b]).abs() < 1e-13);
    }

    #[test]
    fn a_null_player_earns_nothing(values in games(8), player in 0usize..8) {
        let n = values.len().trailing_zeros() as usize;
        let player = player % n;
        let with_null: Vec<f64> = (0..values.len()).map(|mask| values[mask & !(1 << player)]).collect();
        prop_assert!(exact(&with_null)[player].abs() < 1e-13);
    }

    #[test]
    fn additivity(values in games(8), factor in -3.0..3.0f64) {
        let other: Vec<f64> = values.iter().rev().map(|v| v * 0.5).collect();
        let sum: Vec<f64> = values.iter().zip(&other).map(|(a, b)| a + factor * b).collect();
        for ((sum, a), b) in exact(&sum).iter().zip(exact(&values)).zip(exact(&other)) {
            prop_assert!((sum - (a + factor * b)).abs() < 1e-12);
        }
    }

    #[test]
    fn relabelling_players_permutes_values(values in games(7), seed in any::<u64>()) {
        let n = values.len().trailing_zeros() as usize;
        let mut names: Vec<usize> = (0..n).collect();
        names.sort_by_key(|i| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(u32::try_from(*i).expect("small") * 7));
        let mut relabelled = vec![0.0; values.len()];
        for (mask, value) in values.iter().enumerate() {
            let moved = (0..n).filter(|i| mask >> i & 1 == 1).fold(0, |moved, i| moved | 1 << names[i]);
            relabelled[moved] = *value;
        }
        let (before, after) = (exact(&values), exact(&relabelled));
        for player in 0..n {
            prop_assert!((before[player] - after[names[player]]).abs() < 1e-13);
        }
    }

    #[test]
    fn all_orders_together_are_exact(values in games(5)) {
        let n = values.len().trailing_zeros() as usize;
        let walks: Vec<Walk> = orders(n).iter().enumerate().map(|(perm, order)| walk(perm, order, &values)).collect();
        let marginals = recorded_marginals(n, &walks);
        prop_assume!(marginals.used_walks.len() == walks.len());
        for (player, phi) in exact(&values).iter().enumerate() {
            let sample = marginals.of_player(player);
            let mean = sample.iter().sum::<f64>() / sample.len() as f64;
            prop_assert!((mean - phi).abs() < 1e-12);
        }
    }

    #[test]
    fn least_squares_on_the_full_factorial_is_exact(values in games(8)) {
        let names: Vec<String> = (0..values.len().trailing_zeros()).map(|i| format!("s{i}")).collect();
        let fit = kernel_values(&CoalitionTable::complete(values.clone()), &names).expect("a fit");
        for (fit, phi) in fit.values.iter().zip(exact(&values)) {
            prop_assert!((fit - phi).abs() < 1e-12);
        }
    }

    #[test]
    fn bounds_are_attained_and_never_passed(
        values in games(5),
        kept in any::<u32>(),
        (low, high) in (-3.0..-1.0f64, 1.0..4.0f64),
        seed in any::<u64>(),
    ) {
        let n = values.len().trailing_zeros() as usize;
        // One at least, not always the empty one.
        let is_kept = |mask: usize| mask == kept as usize % values.len() || kept >> mask & 1 == 1;
        let rows: Vec<(u64, f64)> = (0u64..).zip(values.iter().copied()).filter(|(mask, _)| is_kept(usize::try_from(*mask).expect("small"))).collect();
        let table = CoalitionTable::from_rows(n, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table");
        let range = ValueRange { low, high };
        let mut settings = settings(MethodRequest::Bounds);
        settings.range = Some(range);
        let game = Game { table, ..complete_game(values.clone()) };
        let found = ShapleyEngine::new(settings).game(&game).expect("bounds");
        let filled = |unseen: &dyn Fn(usize) -> f64| -> Vec<f64> {
            (0..values.len()).map(|mask| if is_kept(mask) { values[mask] } else { unseen(mask) }).collect()
        };
        for (player, own) in coefficients(n).iter().enumerate() {
            let value_of = |filling: &[f64]| own.iter().zip(filling).map(|(c, v)| c * v).sum::<f64>();
            let bounds = found.players[player].bounds.expect("bounds");
            let extreme = |is_high: bool| filled(&|mask| if (own[mask] > 0.0) == is_high { range.high } else { range.low });
            // Both ends are the values of games whose unseen values lie in the range.
            prop_assert!((bounds.low - value_of(&extreme(false))).abs() < 1e-12);
            prop_assert!((bounds.high - value_of(&extreme(true))).abs() < 1e-12);
            prop_assert!((bounds.low - exact(&extreme(false))[player]).abs() < 1e-12);
            // Nothing else that lies in the range goes beyond: at its ends, and between them.
            for filling in 0..64u64 {
                let bits = (seed ^ filling).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let unseen = |mask: usize| {
                    let share = (bits.rotate_left(u32::try_from(mask).expect("small")) >> 40) as f64 / (1u64 << 24) as f64;
                    let share = if filling % 2 == 0 { share.round() } else { share };
                    range.low + share * (range.high - range.low)
                };
                let phi = value_of(&filled(&unseen));
                prop_assert!(bounds.low - 1e-12 <= phi && phi <= bounds.high + 1e-12);
            }
        }
    }

    #[test]
    fn row_order_and_storage_do_not_matter(values in games(6), seed in any::<u64>()) {
        let n = values.len().trailing_zeros() as usize;
        let mut rows: Vec<(u64, f64)> = (0u64..).zip(values.iter().copied()).collect();
        rows.sort_by_key(|(mask, _)| (mask ^ seed).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let table = CoalitionTable::from_rows(n, rows.len(), rows.into_iter(), Repeats::Error).expect("a table");
        prop_assert_eq!(table.complete_values().expect("complete"), values.as_slice());
    }

    #[test]
    fn an_interval_widens_with_its_level(sample in prop::collection::vec(-1.0..1.0f64, 2..40), a in 0.01..0.99f64, b in 0.01..0.99f64) {
        let width = |level: f64| {
            let level = ConfidenceLevel::new(level).expect("a level");
            let interval = Estimate::of_mean(&sample, level, IntervalMethod::StudentT).and_then(|e| e.interval);
            interval.map(|interval| interval.high - interval.low).expect("an interval")
        };
        prop_assert!(width(a.min(b)) <= width(a.max(b)));
    }
}

fn result_of(values: Vec<f64>, method: MethodRequest, seed: u64, antithetic: bool, n: usize) -> GameResult {
    let mut settings = settings(method);
    settings.permutations.seed = seed;
    settings.permutations.antithetic = antithetic;
    settings.permutations.n_permutations = n;
    ShapleyEngine::new(settings).game(&complete_game(values)).expect("values")
}

/// A game whose marginal contributions are far from constant.
fn curved_game() -> Vec<f64> {
    (0..64u32).map(|m| (f64::from(m) * 0.731).sin() + 0.3 * f64::from(m.count_ones())).collect()
}

#[test]
fn sampled_intervals_cover_the_exact_value_at_their_level() {
    let truth = exact(&curved_game());
    for antithetic in [true, false] {
        let (mut covered, mut total) = (0u32, 0u32);
        for seed in 0..300 {
            let result = result_of(curved_game(), MethodRequest::Permutation, seed, antithetic, 60);
            // One player per seed keeps the trials independent.
            let player = usize::try_from(seed).expect("small") % 6;
            total += 1;
            covered += u32::from(result.players[player].interval.is_some_and(|i| i.contains(truth[player])));
        }
        // Binomial(300, 0.95): mean 285, sd 3.8; four standard deviations either way.
        assert!((270..=299).contains(&covered), "antithetic {antithetic}: {covered} of {total}");
    }
}

/// Copies of evaluations among fresh ones of the same coalition.
const AMONG_FRESH: usize = usize::MAX;

/// How many of 400 intervals of one player of a noisy game of three cover the truth; `copies` of the first row of the
/// ends stand in for cached evaluations that were written again.
fn covered_under_noise(method: MethodRequest, antithetic: bool, repeats: usize, copies: usize) -> u32 {
    let covers = |seed: u64| {
        let simulation = CoalitionSimulation {
            n_runs: 1,
            n_episodes: 1,
            n_envs: 1,
            baseline: 0.5,
            effects: vec![0.1, 0.0, -0.05],
            interactions: vec![Interaction { first: 0, second: 1, effect: 0.2 }],
            run_spread: 0.0,
            spread: 0.0,
            noise: 0.1,
            design: Design::Factorial { repeats },
            seed,
        };
        let mut rows: Vec<(u64, f64)> =
            simulation.game(0, 0, 0).iter().map(|row| (row.mask, row.accuracy)).collect();
        if copies == AMONG_FRESH {
            // Every coalition's first evaluation is kept and written again among the fresh ones.
            let again: Vec<(u64, f64)> = (0..8)
                .flat_map(|mask| rows.iter().find(|row| row.0 == mask).copied().into_iter().cycle().take(6))
                .collect();
            rows.extend(again);
        } else if copies > 0 {
            for end in [0, 7] {
                let first = rows.iter().find(|row| row.0 == end).copied().expect("an end");
                rows.retain(|row| row.0 != end);
                rows.extend(std::iter::repeat_n(first, copies));
            }
        }
        let mut game = complete_game(vec![0.0; 8]);
        game.table =
            CoalitionTable::from_rows(3, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table");
        let mut settings = settings(method);
        settings.permutations.seed = seed;
        settings.permutations.antithetic = antithetic;
        settings.permutations.n_permutations = 60;
        let result = ShapleyEngine::new(settings).game(&game).expect("values");
        let player = usize::try_from(seed).expect("small") % 3;
        let truth = simulation.shapley_values()[player];
        result.players[player].interval.is_some_and(|interval| interval.contains(truth))
    };
    (0..400).map(|seed| u32::from(covers(seed))).sum()
}

/// Few permutations of a voting game can all agree: that is no certainty.
#[test]
fn drawn_units_that_all_agree_have_no_interval() {
    // Four of six votes win.
    let votes: Vec<f64> = (0..64u32).map(|mask| f64::from(u8::from(mask.count_ones() >= 4))).collect();
    let mut agreed = 0;
    for seed in 0..50 {
        let result = result_of(votes.clone(), MethodRequest::Permutation, seed, true, 4);
        for player in result.players.iter().filter(|player| player.sd == Some(0.0)) {
            agreed += 1;
            assert_eq!(player.interval, None);
        }
    }
    assert!(agreed > 0);
}

#[test]
fn noise_intervals_cover_the_truth_at_their_level() {
    for (method, antithetic, repeats, copies) in [
        (MethodRequest::Exact, true, 4, 0),
        (MethodRequest::Kernel, true, 4, 0),
        (MethodRequest::Permutation, true, 4, 0),
        (MethodRequest::Permutation, false, 4, 0),
        // Cached ends, written twenty and a hundred times.
        (MethodRequest::Exact, true, 3, 20),
        (MethodRequest::Exact, true, 3, 100),
        (MethodRequest::Permutation, true, 3, 50),
        (MethodRequest::Exact, true, 3, AMONG_FRESH),
        (MethodRequest::Kernel, true, 3, AMONG_FRESH),
        (MethodRequest::Permutation, true, 3, AMONG_FRESH),
    ] {
        let covered = covered_under_noise(method, antithetic, repeats, copies);
        // Binomial(400, 0.95): mean 380, sd 4.4; four standard deviations either way.
        assert!(
            (362..=398).contains(&covered),
            "{method:?}, antithetic {antithetic}, {repeats} repeats, {copies} copies: {covered} of 400"
        );
    }
}

/// How many of 400 intervals of one player's mean over five runs of six episodes cover its true value, where runs and
/// episodes differ by the same deviation.
fn covered_over_runs(cluster: ClusterRequest) -> u32 {
    let level = ConfidenceLevel::new(0.95).expect("a level");
    let covers = |seed: u64| {
        let simulation = CoalitionSimulation {
            n_runs: 5,
            n_episodes: 6,
            n_envs: 1,
            baseline: 0.5,
            effects: vec![0.1, -0.05],
            interactions: Vec::new(),
            run_spread: 0.1,
            spread: 0.1,
            noise: 0.0,
            design: Design::Factorial { repeats: 1 },
            seed,
        };
        let engine = ShapleyEngine::new(settings(MethodRequest::Exact));
        let games: Vec<GameResult> = (0..5)
            .flat_map(|run| (0..6).map(move |episode| (run, episode)))
            .map(|(run, episode)| {
                let values = simulation.game(run, episode, 0).iter().map(|row| row.accuracy).collect();
                let mut game = complete_game(values);
                game.key.run_id = format!("run{run}").into();
                game.key.episode = i64::try_from(episode).expect("small");
                engine.game(&game).expect("values")
            })
            .collect();
        let summary = summarize(&games, cluster, level, IntervalMethod::StudentT);
        let player = usize::try_from(seed).expect("small") % 2;
        summary.players[player].interval.is_some_and(|interval| interval.contains(simulation.effects[player]))
    };
    (0..400).map(|seed| u32::from(covers(seed))).sum()
}

#[test]
fn intervals_over_runs_cover_the_truth_where_episodes_share_their_run() {
    // Binomial(400, 0.95): mean 380, sd 4.4; four standard deviations either way.
    let by_run = covered_over_runs(ClusterRequest::Auto);
    assert!((362..=398).contains(&by_run), "{by_run} of 400");
    // Taken as independent, thirty episodes claim what five runs cannot tell.
    let by_episode = covered_over_runs(ClusterRequest::Episode);
    assert!(by_episode < 300, "{by_episode} of 400");
}

#[test]
fn antithetic_pairs_are_one_sample_and_narrow_the_interval_of_a_nearly_additive_game() {
    let values: Vec<f64> =
        (0..64u32).map(|m| f64::from(m.count_ones()) + f64::from(m.count_ones()).powi(2) * 0.05).collect();
    let paired = result_of(values.clone(), MethodRequest::Permutation, 1, true, 200);
    let plain = result_of(values, MethodRequest::Permutation, 1, false, 200);
    assert_eq!((paired.players[0].n_samples, plain.players[0].n_samples), (100, 200));
    // A game of pairwise effects is exact after one pair.
    assert!(paired.players[0].standard_error.expect("stderr") < 1e-12);
    assert!(plain.players[0].standard_error.expect("stderr") > 1e-3);
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let sampled = result_of(curved_game(), MethodRequest::Permutation, 9, true, 501);
            let large: Vec<f64> = (0..1u32 << 19).map(|m| (f64::from(m) * 0.37).sin()).collect();
            (sampled, exact(&large))
        })
    };
    assert_eq!(run(1), run(3));
}
