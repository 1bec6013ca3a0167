use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::attribution::coalition::insert;
use crate::attribution::{
    CoalitionTable, ConvergenceRequest, Game, GameError, GameKey, GameResult, InteractionEngine,
    InteractionIndex, InteractionSettings, MethodRequest, MissingPolicy, Orientation, PermutationDesign,
    PermutationSettings, RegimeRule, Repeats, ShapleyEngine, ShapleySettings,
};
use crate::stats::{ConfidenceLevel, IntervalMethod};

fn level() -> ConfidenceLevel {
    ConfidenceLevel::new(0.95).expect("a level")
}

fn shapley() -> ShapleyEngine {
    ShapleyEngine::new(ShapleySettings {
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
    })
}

fn value(mask: u64) -> f64 {
    (mask as f64 * 0.731).sin() + 0.3 * f64::from(mask.count_ones())
}

fn game_of(n: usize, rows: &[(u64, f64)]) -> Game {
    let table =
        CoalitionTable::from_rows(n, rows.len(), rows.iter().copied(), Repeats::Mean).expect("a table");
    Game {
        key: GameKey { run_id: "a".into(), episode: 0, env_id: 0, batch: None, group: Arc::new([]) },
        players: (0..n).map(|player| format!("r{}c{}", player / 3, player % 3)).collect(),
        table,
        walks: Vec::new(),
        n_bad_walks: 0,
    }
}

fn complete(n: usize) -> Game {
    game_of(n, &(0..1u64 << n).map(|mask| (mask, value(mask))).collect::<Vec<_>>())
}

fn rules(texts: &[&str]) -> Vec<GroupRule> {
    texts.iter().map(|text| text.parse().expect("a rule")).collect()
}

fn partition(unions: &[(&str, &[&str])]) -> Partition {
    let owned = |players: &[&str]| players.iter().map(|id| (*id).to_owned()).collect();
    let named: BTreeMap<String, Vec<String>> =
        unions.iter().map(|(name, players)| ((*name).to_owned(), owned(players))).collect();
    Partition::named(named).expect("a partition")
}

fn phi(result: &GameResult) -> Vec<f64> {
    result.players.iter().map(|player| player.shapley.expect("a value")).collect()
}

/// Owen's definition: the mean marginal contribution over all orders in which every union stays together.
fn brute_owen(n: usize, unions: &[Vec<usize>], value: impl Fn(u64) -> f64) -> Vec<f64> {
    fn orders(items: &[usize]) -> Vec<Vec<usize>> {
        if items.is_empty() {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let rest: Vec<usize> =
                items.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, x)| *x).collect();
            all.extend(orders(&rest).into_iter().map(|order| [vec![*item], order].concat()));
        }
        all
    }
    let mut sums = vec![0.0; n];
    let mut count = 0.0;
    for of_unions in orders(&(0..unions.len()).collect::<Vec<_>>()) {
        // Every combination of orders within the unions.
        let mut lines: Vec<Vec<usize>> = vec![Vec::new()];
        for union in of_unions {
            let inner = orders(&unions[union]);
            lines = lines
                .iter()
                .flat_map(|line| inner.iter().map(move |own| [line.clone(), own.clone()].concat()))
                .collect();
        }
        for line in lines {
            let mut mask = 0u64;
            for player in line {
                sums[player] += value(mask | 1 << player) - value(mask);
                mask |= 1 << player;
            }
            count += 1.0;
        }
    }
    sums.iter().map(|sum| sum / count).collect()
}

#[test]
fn owen_values_are_means_over_orders_that_keep_unions_together() {
    let game = complete(6);
    for unions in [
        vec![vec![0, 1, 2], vec![3, 4, 5]],
        vec![vec![0, 4], vec![1], vec![2, 3, 5]],
        vec![vec![0], vec![1], vec![2], vec![3], vec![4], vec![5]],
    ] {
        let named: BTreeMap<String, Vec<String>> = (0..)
            .zip(&unions)
            .map(|(k, union): (usize, _)| {
                (format!("u{k}"), union.iter().map(|i| game.players[*i].clone()).collect())
            })
            .collect();
        let found = shapley()
            .owen(&game, &Unions::new(Partition::named(named).expect("a partition")))
            .expect("values");
        for (found, slow) in phi(&found).iter().zip(brute_owen(6, &unions, value)) {
            assert!((found - slow).abs() < 1e-13, "{unions:?}: {found} {slow}");
        }
        assert!(found.efficiency_gap.is_some_and(|gap| gap.abs() < 1e-13));
    }
}

/// Simple majority of three, unions {0, 1} and {2}: 1/2, 1/2, 0.
#[test]
fn the_majority_of_three_with_a_union_of_two() {
    let rows: Vec<(u64, f64)> = (0..8u64).map(|m| (m, f64::from(u8::from(m.count_ones() >= 2)))).collect();
    let game = game_of(3, &rows);
    let unions = Unions::new(partition(&[("x", &["r0c0", "r0c1"])]));
    let found = phi(&shapley().owen(&game, &unions).expect("values"));
    for (found, expected) in found.iter().zip([0.5, 0.5, 0.0]) {
        assert!((found - expected).abs() < 1e-15, "{found}");
    }
    assert!(unions.unmatched().is_empty());
    let other = Unions::new(partition(&[("x", &["r0c0", "stem"])]));
    assert!(shapley().owen(&game, &other).is_ok() && other.unmatched() == ["stem"]);
}

#[test]
fn the_owen_values_of_a_union_add_up_to_its_quotient_value() {
    let game = complete(7);
    let found =
        phi(&shapley().owen(&game, &Unions::new(Partition::By(PartitionRule::ByPrefix))).expect("values"));
    let quotient = Quotient::new(rules(&["r0*=r0", "r1*=r1", "r2*=r2"]));
    let groups = quotient.of(&game).expect("a quotient");
    assert_eq!(groups.players.to_vec(), ["r0", "r1", "r2"]);
    let of_groups = phi(&shapley().game(&groups).expect("values"));
    for (group, members) in [0..3, 3..6, 6..7].into_iter().enumerate() {
        let total: f64 = found[members].iter().sum();
        assert!((total - of_groups[group]).abs() < 1e-13, "{group}: {total} {}", of_groups[group]);
    }
    assert!(quotient.unmatched().is_empty());
}

/// Only whole groups are looked at: 8 rows of 512 are enough, and what else is there does not matter.
#[test]
fn a_quotient_needs_only_whole_groups() {
    let whole =
        |mask: u64| [0b111, 0b11_1000, 0b1_1100_0000].iter().all(|own| mask & own == 0 || mask & own == *own);
    let rows: Vec<(u64, f64)> =
        (0..512u64).filter(|m| whole(*m) || m % 5 == 3).map(|m| (m, value(m))).collect();
    let game = game_of(9, &rows);
    let quotient = Quotient::new(rules(&["r0*=top", "r1*=middle", "r2*=bottom"]));
    let groups = quotient.of(&game).expect("a quotient");
    assert_eq!(
        (groups.players.to_vec(), groups.table.n_coalitions()),
        (vec!["bottom".to_owned(), "middle".into(), "top".into()], 8)
    );
    // bottom is bit 0 of the quotient, players 6 to 8 of the game.
    assert_eq!(groups.table.complete_values().expect("complete")[1], value(0b1_1100_0000));
    // Owen values need more, and say what.
    let error = shapley().owen(&game, &Unions::new(Partition::By(PartitionRule::ByPrefix))).err();
    let Some(GameError::MissingUnions { missing, spelled }) = error else { panic!("{error:?}") };
    assert!(missing > 50 && spelled.len() == 4, "{missing} {spelled:?}");
}

#[test]
fn groups_that_overlap_or_borrow_a_name_are_refused() {
    let game = complete(6);
    let of = |texts: &[&str]| Quotient::new(rules(texts)).of(&game).err();
    assert!(
        matches!(of(&["r0*=a", "*c0=b"]), Some(GameError::OverlappingGroups { player, .. }) if player == "r0c0")
    );
    assert_eq!(of(&["r0*=r1c0"]), Some(GameError::GroupNamedAsPlayer { name: "r1c0".into() }));
    assert_eq!(of(&["r0c0=a", "r0c1=a"]), None, "two patterns of one group");
    let quotient = Quotient::new(rules(&["r0*=a", "stem*=b"]));
    assert!(quotient.of(&game).is_ok() && quotient.unmatched()[0].name == "b");
}

/// Repeats of a quotient's coalitions are its noise; Owen values have the sum of squared coefficients.
#[test]
fn noise_goes_with_the_coalitions_that_are_used() {
    let rows: Vec<(u64, f64)> = (0..16u64)
        .flat_map(|m| (0..3u8).map(move |k| (m, value(m) + 0.1 * ((m as f64 + 2.0) * f64::from(k)).sin())))
        .collect();
    let mut game = game_of(4, &rows);
    game.players = ["a0", "a1", "b0", "b1"].map(str::to_owned).into();
    let noise = game.table.noise().expect("noise").mean_variances();
    let groups = Quotient::new(rules(&["a*=a"])).of(&game).expect("a quotient");
    let of_groups = groups.table.noise().expect("noise").mean_variances();
    let kept: Vec<f64> = [0, 3, 4, 7, 8, 11, 12, 15].iter().map(|m: &usize| noise.variances[*m]).collect();
    assert_eq!(of_groups.variances, kept);
    let found = shapley().owen(&game, &Unions::new(Partition::By(PartitionRule::ByPrefix))).expect("values");
    // Of a0 by hand: c(S) over R in {none, b} with weight 1/2 and T in {none, a1} with weight 1/2.
    let variance: f64 = [0, 1, 2, 3, 12, 13, 14, 15].iter().map(|m: &usize| noise.variances[*m] / 16.0).sum();
    let error = found.players[0].standard_error.expect("noise");
    assert!((error / variance.sqrt() - 1.0).abs() < 1e-12, "{error} {}", variance.sqrt());
    assert!(found.players[0].interval.is_some());
}

#[test]
fn interactions_within_unions_are_those_of_the_inner_games() {
    let game = complete(6);
    let settings = InteractionSettings {
        index: InteractionIndex::KSii,
        order: 2,
        among: Vec::new(),
        confidence: level(),
        regime: RegimeRule { threshold: 0.0, orientation: Orientation::Higher },
    };
    let engine = InteractionEngine::within(settings, Unions::new(Partition::By(PartitionRule::ByPrefix)));
    let found = engine.game(&game).expect("values");
    let names: Vec<String> = found.terms.iter().map(|term| term.players().join("+")).collect();
    assert_eq!(names.len(), 6 + 3 + 3, "{names:?}");
    assert!(names.contains(&"r0c0+r0c2".to_owned()) && !names.contains(&"r0c0+r1c0".to_owned()));
    assert!(found.efficiency_gap.is_some_and(|gap| gap.abs() < 1e-12), "{:?}", found.efficiency_gap);
    // The pair of r0c0 and r0c1 by hand: the inner game of row 0, then the definition of SII for three players.
    let inner = |mask: u64| 0.5 * value(mask) + 0.5 * value(mask | 0b11_1000);
    let pair = |with: u64| inner(3 | with) - inner(1 | with) - inner(2 | with) + inner(with);
    let expected = 0.5 * pair(0) + 0.5 * pair(4);
    let place = names.iter().position(|name| name == "r0c0+r0c1").expect("the pair");
    assert!((found.values[place].value - expected).abs() < 1e-13);
}

/// An additive game of 65 players and one pair that lies in two unions and two words: each of the pair takes half of it.
#[test]
fn owen_values_of_wide_games_by_their_closed_form() {
    let (n, n_unions) = (65, 8);
    let worth = |player: usize| (player % 16) as f64 / 64.0 - 0.125;
    let union_of = |player: usize| player % n_unions;
    let mut rows: BTreeMap<Vec<u64>, f64> = BTreeMap::new();
    for union in 0..n_unions {
        let members: Vec<usize> = (0..n).filter(|player| union_of(*player) == union).collect();
        for others in (0..1usize << n_unions).filter(|others| others >> union & 1 == 0) {
            for own in 0..1usize << members.len() {
                let is_on = |player: usize| match members.iter().position(|member| *member == player) {
                    Some(place) => own >> place & 1 == 1,
                    None => others >> union_of(player) & 1 == 1,
                };
                let mut mask = vec![0; 2];
                (0..n).filter(|player| is_on(*player)).for_each(|player| insert(&mut mask, player));
                let value = (0..n).filter(|player| is_on(*player)).map(worth).sum::<f64>();
                rows.insert(mask, value + if is_on(1) && is_on(64) { 0.5 } else { 0.0 });
            }
        }
    }
    let (masks, values): (Vec<Vec<u64>>, Vec<f64>) = rows.into_iter().unzip();
    let players: Vec<String> = (0..n).map(|player| format!("u{}p{player}", union_of(player))).collect();
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (player, id) in players.iter().enumerate() {
        named.entry(format!("u{}", union_of(player))).or_default().push(id.clone());
    }
    let game = Game {
        table: CoalitionTable::from_wide_rows(n, &masks.concat(), &values, Repeats::Mean).expect("a table"),
        players: players.into(),
        ..complete(1)
    };
    let unions = Unions::new(Partition::named(named).expect("a partition"));
    let settings = InteractionSettings {
        index: InteractionIndex::Sii,
        order: 1,
        among: Vec::new(),
        confidence: level(),
        regime: RegimeRule { threshold: 0.0, orientation: Orientation::Higher },
    };
    let result = InteractionEngine::within(settings, unions).game(&game).expect("values");
    for (player, value) in result.values.iter().enumerate() {
        let expected = worth(player) + if player == 1 || player == 64 { 0.25 } else { 0.0 };
        assert!((value.value - expected).abs() < 1e-12, "{player}: {} {expected}", value.value);
    }
}
