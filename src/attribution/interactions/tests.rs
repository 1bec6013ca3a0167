use std::sync::Arc;

use super::indices::CardinalWeights;
use super::sets::subsets;
use super::*;
use crate::attribution::coalition::{insert, words_for};
use crate::attribution::noise::{Degrees, NoiseVariances};
use crate::attribution::{CoalitionTable, ExactKernel, Game, GameError, GameKey, Method, Repeats};
use crate::stats::ConfidenceLevel;

const ALL: [InteractionIndex; 7] = [
    InteractionIndex::Sii,
    InteractionIndex::KSii,
    InteractionIndex::Stii,
    InteractionIndex::Fsii,
    InteractionIndex::Banzhaf,
    InteractionIndex::Moebius,
    InteractionIndex::Pair,
];

fn scrambled(n: usize) -> Vec<f64> {
    (0..1u64 << n)
        .map(|m| (m.wrapping_add(3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1u64 << 53) as f64)
        .collect()
}

fn factorial(n: usize) -> f64 {
    (1..=n).map(|k| k as f64).product()
}

fn size(mask: u64) -> usize {
    mask.count_ones() as usize
}

fn sign(n: usize) -> f64 {
    if n.is_multiple_of(2) { 1.0 } else { -1.0 }
}

fn moebius(values: &[f64]) -> Vec<f64> {
    let coefficient = |set: u64| -> f64 {
        subsets(set)
            .map(|part| sign(size(set) - size(part)) * values[usize::try_from(part).expect("small")])
            .sum()
    };
    (0..values.len() as u64).map(coefficient).collect()
}

/// Shapley and Banzhaf interaction indices by their definitions, with factorials.
fn by_definition(values: &[f64], term: u64, weight: impl Fn(usize) -> f64) -> f64 {
    let everybody = values.len() as u64 - 1;
    subsets(everybody & !term)
        .map(|outside| {
            let parts = subsets(term).map(|part| {
                sign(size(term) - size(part)) * values[usize::try_from(outside | part).expect("small")]
            });
            weight(size(outside)) * parts.sum::<f64>()
        })
        .sum()
}

fn brute_sii(values: &[f64], term: u64) -> f64 {
    let (n, q) = (values.len().trailing_zeros() as usize, size(term));
    by_definition(values, term, |x| factorial(n - q - x) * factorial(x) / factorial(n - q + 1))
}

/// Every index by another way than the one it is computed by: definitions with factorials, sums over permutations of
/// Moebius coefficients, recursions.
fn brute(index: InteractionIndex, values: &[f64], order: usize, term: u64) -> f64 {
    let (n, q) = (values.len().trailing_zeros() as usize, size(term));
    let m = moebius(values);
    let supersets = || (0..values.len() as u64).filter(|set| set & term == term);
    let at = |set: u64| m[usize::try_from(set).expect("small")];
    let choose = |n: usize, k: usize| factorial(n) / factorial(k) / factorial(n - k);
    match index {
        InteractionIndex::Sii => brute_sii(values, term),
        InteractionIndex::Banzhaf => by_definition(values, term, |_| (-((n - q) as f64)).exp2()),
        InteractionIndex::Moebius | InteractionIndex::Pair => at(term),
        InteractionIndex::Stii if q < order => at(term),
        InteractionIndex::Stii => supersets().map(|set| at(set) / choose(size(set), order)).sum(),
        InteractionIndex::KSii => {
            // By the recursion over orders.
            let bernoulli = [1.0, -0.5, 1.0 / 6.0, 0.0, -1.0 / 30.0];
            let of_size = |k: usize| supersets().filter(move |set| size(*set) == k);
            (q..=order)
                .map(|k| bernoulli[k - q] * of_size(k).map(|set| brute_sii(values, set)).sum::<f64>())
                .sum()
        }
        InteractionIndex::Fsii => {
            let further = supersets().filter(|set| size(*set) > order).map(|set| {
                let s = size(set);
                sign(order - q) * q as f64 / (order + q) as f64 * choose(order, q) * choose(s - 1, order)
                    / choose(s + order - 1, order + q)
                    * at(set)
            });
            at(term) + further.sum::<f64>()
        }
    }
}

#[test]
fn every_index_of_every_order_is_its_definition() {
    for n in 1..=8 {
        let values = scrambled(n);
        for index in ALL {
            for order in 1..=n.min(4) {
                let kernel = InteractionKernel::new(index, n, order);
                let terms = kernel.terms();
                for (term, fast) in terms.iter().zip(kernel.values(&terms, &values)) {
                    let slow = brute(index, &values, order, *term);
                    assert!(
                        (fast - slow).abs() < 1e-11,
                        "{index:?}, n {n}, order {order}, {term:b}: {fast} {slow}"
                    );
                }
            }
        }
    }
}

/// FSII is the least-squares fit of its definition: no effect can be moved to lower the weighted error.
#[test]
fn the_faithful_index_is_its_weighted_least_squares() {
    let n = 7;
    let values = scrambled(n);
    for order in 1..=3 {
        let kernel = InteractionKernel::new(InteractionIndex::Fsii, n, order);
        let terms = kernel.terms();
        let effects = kernel.values(&terms, &values);
        let residual = |mask: u64| -> f64 {
            let fit: f64 =
                terms.iter().zip(&effects).filter(|(term, _)| mask & **term == **term).map(|(_, e)| e).sum();
            values[usize::try_from(mask).expect("small")] - values[0] - fit
        };
        let full = (1u64 << n) - 1;
        assert!(residual(full).abs() < 1e-11, "{}", residual(full));
        // The gradient in every effect is the same: the multiplier of the one constraint.
        let weight =
            |s: usize| (n - 1) as f64 * factorial(s) * factorial(n - s) / factorial(n) / (s * (n - s)) as f64;
        let gradient = |term: u64| -> f64 {
            (1..full).filter(|mask| mask & term == term).map(|mask| weight(size(mask)) * residual(mask)).sum()
        };
        let multiplier = gradient(terms[0]);
        for term in &terms {
            assert!(
                (gradient(*term) - multiplier).abs() < 1e-10,
                "{term:b}: {} {multiplier}",
                gradient(*term)
            );
        }
    }
}

#[test]
fn closed_forms_of_unanimity_games() {
    for (t, n, expected) in [
        (
            3usize,
            5usize,
            [
                ("sii", 1.0 / 2.0),
                ("banzhaf", 1.0 / 2.0),
                ("stii", 1.0 / 3.0),
                ("k-sii", 1.0 / 2.0),
                ("fsii", 1.0 / 2.0),
            ],
        ),
        (
            4,
            6,
            [
                ("sii", 1.0 / 3.0),
                ("banzhaf", 1.0 / 4.0),
                ("stii", 1.0 / 6.0),
                ("k-sii", 1.0 / 3.0),
                ("fsii", 3.0 / 10.0),
            ],
        ),
    ] {
        let members = (1u64 << t) - 1;
        let values: Vec<f64> =
            (0..1u64 << n).map(|mask| f64::from(u8::from(mask & members == members))).collect();
        let single = |name: &str| match (name, t) {
            ("k-sii" | "fsii", 3) => Some(-1.0 / 6.0),
            ("k-sii", 4) => Some(-1.0 / 4.0),
            ("fsii", 4) => Some(-1.0 / 5.0),
            ("sii", _) => Some(1.0 / t as f64),
            _ => None,
        };
        for (name, pair) in expected {
            let index = ALL.into_iter().find(|index| index.name() == name).expect("an index");
            let found = InteractionKernel::new(index, n, 2).values(&[0b11, 1, 1 << (n - 1)], &values);
            assert!((found[0] - pair).abs() < 1e-14, "{name}: {} {pair}", found[0]);
            if let Some(single) = single(name) {
                assert!((found[1] - single).abs() < 1e-14, "{name}: {} {single}", found[1]);
            }
            assert!(found[2].abs() < 1e-14, "a null player under {name}");
        }
    }
}

#[test]
fn single_players_of_the_shapley_interaction_index_have_their_shapley_values() {
    for n in [1, 5, 10, 12] {
        let values = scrambled(n);
        let singles: Vec<u64> = (0..n).map(|player| 1 << player).collect();
        let kernel = InteractionKernel::new(InteractionIndex::Sii, n, n.min(2));
        for (own, phi) in
            kernel.values(&singles, &values).iter().zip(ExactKernel::new(n).shapley_values(&values))
        {
            assert!((own - phi).abs() < 1e-13);
        }
    }
}

/// Noise of every term by the plain sum over coalitions, for coalitions of their own variance and degrees.
#[test]
fn noise_errors_and_covariances_are_sums_of_squared_coefficients() {
    let n = 6;
    let own: Vec<f64> = scrambled(n).iter().map(|x| x + 0.1).collect();
    let degrees: Vec<f64> = (0..1 << n).map(|mask| f64::from(1 + mask % 4)).collect();
    let noise = NoiseVariances { variances: own.clone(), degrees: Degrees::PerCoalition(degrees.clone()) };
    for index in ALL {
        let order = 3;
        let kernel = InteractionKernel::new(index, n, order);
        let terms = kernel.terms();
        let coefficient = |term: u64, mask: u64| {
            CardinalWeights::new(index, n, order, size(term)).coefficient(size(mask & term), size(mask))
        };
        for (term, error) in terms.iter().zip(kernel.noise_errors(&terms, &noise)) {
            let parts: Vec<f64> =
                (0..1u64 << n).zip(&own).map(|(mask, u)| coefficient(*term, mask).powi(2) * u).collect();
            let variance: f64 = parts.iter().sum();
            let satterthwaite =
                variance.powi(2) / parts.iter().zip(&degrees).map(|(p, d)| p * p / d).sum::<f64>();
            assert!((error.standard_error / variance.sqrt() - 1.0).abs() < 1e-10, "{index:?} {term:b}");
            assert!((error.degrees / satterthwaite - 1.0).abs() < 1e-8, "{index:?} {term:b}");
            let covariance = kernel.noise_covariance(*term, *term, &noise);
            assert!((covariance / variance - 1.0).abs() < 1e-12);
        }
        let (a, b) = (terms[1], terms[n + 4]);
        let expected: f64 =
            (0..1u64 << n).zip(&own).map(|(m, u)| coefficient(a, m) * coefficient(b, m) * u).sum();
        assert!((kernel.noise_covariance(a, b, &noise) - expected).abs() < 1e-13);
    }
}

/// The table of standard errors per unit of noise in docs/methods.md.
#[test]
fn noise_of_pairs_is_that_of_the_table() {
    for (n, sii, stii) in
        [(4, 1.05, 1.15), (6, 0.653, 0.760), (8, 0.453, 0.552), (10, 0.342, 0.431), (12, 0.274, 0.353)]
    {
        let noise = NoiseVariances { variances: vec![1.0; 1 << n], degrees: Degrees::Pooled(9.0) };
        for (index, expected) in [(InteractionIndex::Sii, sii), (InteractionIndex::Stii, stii)] {
            let error = InteractionKernel::new(index, n, 2).noise_errors(&[0b11], &noise)[0];
            assert!((error.standard_error - expected).abs() < 6e-3, "{index:?} n = {n}: {error:?}");
            assert_eq!(error.degrees, 9.0);
        }
    }
}

fn settings(index: InteractionIndex, order: usize) -> InteractionSettings {
    InteractionSettings {
        index,
        order,
        among: Vec::new(),
        confidence: ConfidenceLevel::new(0.95).expect("a level"),
        regime: RegimeRule { threshold: 0.0, orientation: Orientation::Higher },
    }
}

fn game(table: CoalitionTable) -> Game {
    Game {
        key: GameKey { run_id: "a".into(), episode: 0, env_id: 0, batch: None, group: Arc::new([]) },
        players: (0..table.n_players()).map(|player| format!("p{player}")).collect(),
        table,
        walks: Vec::new(),
        n_bad_walks: 0,
    }
}

fn solve(table: CoalitionTable, settings: InteractionSettings) -> Result<InteractionResult, GameError> {
    InteractionEngine::new(settings).game(&game(table))
}

fn partial(n: usize, keep: impl Fn(u64) -> bool) -> CoalitionTable {
    let values = scrambled(n);
    let rows: Vec<(u64, f64)> = (0u64..).zip(values).filter(|(mask, _)| keep(*mask)).collect();
    CoalitionTable::from_rows(n, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table")
}

#[test]
fn efficient_indices_close_and_terms_come_in_order() {
    for index in ALL.into_iter().filter(|index| index.is_efficient()) {
        let found = solve(CoalitionTable::complete(scrambled(6)), settings(index, 3)).expect("values");
        assert!(
            found.efficiency_gap.is_some_and(|gap| gap.abs() < 1e-11),
            "{index:?}: {:?}",
            found.efficiency_gap
        );
        let names: Vec<String> = found.terms.iter().map(|term| term.players().concat()).collect();
        assert_eq!(
            (names[0].as_str(), names[6].as_str(), names[7].as_str(), names[21].as_str()),
            ("p0", "p0p1", "p0p2", "p0p1p2")
        );
        assert!(found.values[0].regime.is_none() && found.values[6].regime.is_some());
    }
}

/// A game of six players whose places lie in two words among `n`, the others worth nothing: each recorded coalition of the six
/// stands for itself, and for itself with all others.
fn embedded(n: usize, values: &[f64], places: [usize; 6]) -> CoalitionTable {
    let (mut masks, mut all) = (Vec::new(), Vec::new());
    for (small, value) in values.iter().enumerate() {
        for with_others in [false, true] {
            let mut mask = vec![0; words_for(n)];
            for player in 0..n {
                let is_on = match places.iter().position(|place| *place == player) {
                    Some(own) => small >> own & 1 == 1,
                    None => with_others,
                };
                if is_on {
                    insert(&mut mask, player);
                }
            }
            masks.extend(mask);
            all.push(*value);
        }
    }
    CoalitionTable::from_wide_rows(n, &masks, &all, Repeats::Mean).expect("a table")
}

#[test]
fn terms_of_wide_games_are_those_of_the_game_within() {
    let (n, places) = (70, [1, 5, 62, 63, 64, 69]);
    let values = scrambled(6);
    let small = moebius(&values);
    let place_of = |term: &Term| -> Option<u64> {
        let players = term.players().iter().map(|name| name[1..].parse::<usize>().expect("a number"));
        let own = players.map(|player| places.iter().position(|place| *place == player));
        own.map(|place| Some(1u64 << place?)).sum()
    };
    // Terms among the six alone, of every size.
    let mut asked = settings(InteractionIndex::Moebius, 6);
    asked.among = places.iter().map(|place| format!("p{place}")).collect();
    let found = solve(embedded(n, &values, places), asked).expect("values");
    assert_eq!(found.values.len(), 63);
    for (term, value) in found.terms.iter().zip(&found.values) {
        let place = place_of(term).expect("players of the six");
        let expected = small[usize::try_from(place).expect("small")];
        assert!((value.value - expected).abs() < 1e-12, "{term:?}: {} {expected}", value.value);
    }
    // All six as players of a quotient game, and the rest as one that is worth nothing: the fast transforms.
    let rules: Vec<crate::attribution::GroupRule> = (0..n)
        .filter(|player| !places.contains(player))
        .map(|player| format!("p{player}=rest").parse().expect("a rule"))
        .collect();
    let wide = game(embedded(n, &values, places));
    let grouped = crate::attribution::Quotient::new(rules).of(&wide).expect("a quotient");
    for index in [InteractionIndex::Sii, InteractionIndex::KSii, InteractionIndex::Fsii] {
        let found = InteractionEngine::new(settings(index, 2)).game(&grouped).expect("values");
        let own = solve(CoalitionTable::complete(values.clone()), settings(index, 2)).expect("values");
        for (term, value) in own.terms.iter().zip(&own.values) {
            let names: Vec<String> = term
                .players()
                .iter()
                .map(|name| format!("p{}", places[name[1..].parse::<usize>().expect("a number")]))
                .collect();
            let place = found.terms.iter().position(|other| other.players() == names).expect("the term");
            assert!((found.values[place].value - value.value).abs() < 1e-12, "{index:?} {names:?}");
        }
    }
}

/// What is missing of wide games is told in the order of coalitions, and terms that are too many by their number.
#[test]
fn wide_games_tell_what_they_lack() {
    let n = 1000;
    let mut masks = vec![vec![0; words_for(n)]];
    for player in 0..n {
        let mut mask = vec![0; words_for(n)];
        insert(&mut mask, player);
        masks.push(mask);
    }
    let values: Vec<f64> = (0..masks.len()).map(|row| row as f64).collect();
    let table = CoalitionTable::from_wide_rows(n, &masks.concat(), &values, Repeats::Mean).expect("a table");
    let singles = solve(table.clone(), settings(InteractionIndex::Moebius, 1)).expect("values");
    assert_eq!(singles.values.len(), n);
    assert_eq!(singles.values[999].value, 1000.0);
    let error = solve(table.clone(), settings(InteractionIndex::Pair, 2)).err();
    let Some(GameError::MissingSmall { missing: 499_500, spelled, .. }) = error else { panic!("{error:?}") };
    assert_eq!(spelled, ["{p0,p1}", "{p0,p2}", "{p1,p2}", "{p0,p3}"]);
    let error = solve(table, settings(InteractionIndex::Pair, 3)).expect_err("too many");
    assert_eq!(
        error.to_string(),
        "--order 3 of 1000 players makes 166667500 terms of 1331336000 coalitions: at most 16777216 can be gone through, as \
         of order 5 of 30 players or order 2 of 2896"
    );
}

/// Moebius coefficients of small terms do not need the rest of the table; other indices do, or a fit.
#[test]
fn what_is_missing_is_told() {
    let small = |index| solve(partial(5, |mask| size(mask) <= 2), settings(index, 2));
    let found = small(InteractionIndex::Pair).expect("values");
    let whole = solve(CoalitionTable::complete(scrambled(5)), settings(InteractionIndex::Moebius, 2))
        .expect("values");
    assert_eq!(found.values, whole.values);
    assert_eq!(small(InteractionIndex::KSii).err(), Some(GameError::NoFullCoalition));
    let error =
        solve(partial(5, |mask| mask != 0b11 && mask != 0b101), settings(InteractionIndex::Pair, 2)).err();
    let Some(GameError::MissingSmall { missing: 2, spelled, .. }) = error else { panic!("{error:?}") };
    assert_eq!(spelled, ["{p0,p1}", "{p0,p2}"]);
    let error = solve(partial(5, |mask| mask != 0b11), settings(InteractionIndex::Sii, 3)).err();
    assert!(matches!(error, Some(GameError::Incomplete { .. })), "{error:?}");
    let error = solve(partial(3, |_| true), settings(InteractionIndex::Sii, 4)).err();
    assert!(matches!(error, Some(GameError::OrderAboveGame { order: 4, n_players: 3 })), "{error:?}");
    let fitted = solve(partial(5, |mask| mask != 0b11), settings(InteractionIndex::Sii, 2)).expect("a fit");
    assert!(fitted.biased && fitted.method == Method::Kernel);
    assert!(fitted.values.iter().all(|value| value.interval.is_none()));
    assert!(fitted.values.iter().filter_map(|value| value.regime).all(|regime| regime == Regime::Undecided));
}

/// A game of pairs is fitted exactly, whatever the index is called.
#[test]
fn fitted_indices_of_a_game_of_pairs_are_the_exact_ones() {
    let n = 6;
    let value = |mask: u64| {
        let one = |player: usize| f64::from(u8::from(mask >> player & 1 == 1));
        0.5 * one(0) - one(3) + 2.0 * one(1) * one(4) - 0.25 * one(0) * one(5)
    };
    let all: Vec<f64> = (0..1u64 << n).map(value).collect();
    let rows: Vec<(u64, f64)> = (0u64..).zip(all.clone()).filter(|(mask, _)| mask % 5 != 2).collect();
    let table = CoalitionTable::from_rows(n, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table");
    for index in [
        InteractionIndex::Sii,
        InteractionIndex::KSii,
        InteractionIndex::Stii,
        InteractionIndex::Fsii,
        InteractionIndex::Banzhaf,
    ] {
        for order in [1, 2] {
            if order == 1 && index != InteractionIndex::KSii {
                continue;
            }
            let exact = solve(CoalitionTable::complete(all.clone()), settings(index, order)).expect("values");
            let fitted = solve(table.clone(), settings(index, order)).expect("a fit");
            if order == 2 {
                for (exact, fitted) in exact.values.iter().zip(&fitted.values) {
                    assert!(
                        (exact.value - fitted.value).abs() < 1e-12,
                        "{index:?}: {} {}",
                        exact.value,
                        fitted.value
                    );
                }
            }
        }
    }
}

#[test]
fn only_terms_among_the_players_asked_for() {
    let mut asked = settings(InteractionIndex::Sii, 2);
    asked.among = vec!["p3".to_owned(), "p1".to_owned()];
    let found = solve(CoalitionTable::complete(scrambled(5)), asked).expect("values");
    let names: Vec<String> = found.terms.iter().map(|term| term.players().join("+")).collect();
    assert_eq!(names, ["p1", "p3", "p1+p3"]);
    let whole =
        solve(CoalitionTable::complete(scrambled(5)), settings(InteractionIndex::Sii, 2)).expect("values");
    let place = whole.terms.iter().position(|term| term == &found.terms[2]).expect("the pair");
    assert_eq!(found.values[2], whole.values[place]);
    assert!(found.efficiency_gap.is_none());
    assert!(Arc::ptr_eq(&found.terms, &found.terms));
}

#[test]
fn one_pass_gives_the_same_bits_on_any_number_of_threads() {
    let values = scrambled(18);
    let kernel = InteractionKernel::new(InteractionIndex::KSii, 18, 2);
    let terms = kernel.terms();
    let of_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("a pool");
        pool.install(|| kernel.values(&terms, &values))
    };
    assert_eq!(of_threads(1), of_threads(3));
    let slow = brute_pair_of_large(&values);
    let place = terms.iter().position(|term| *term == (1 << 2 | 1 << 15)).expect("the pair");
    assert!((of_threads(1)[place] - slow).abs() < 1e-12);
}

/// The SII of players 2 and 15 of a game of 18.
fn brute_pair_of_large(values: &[f64]) -> f64 {
    brute_sii(values, 1 << 2 | 1 << 15)
}
