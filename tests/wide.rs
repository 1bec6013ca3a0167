//! Games of more players than a machine word has bits: every method, every spelling of a coalition.
//!
//! The game is additive but for one pair: v(S) = 0.25 + the sum of w_i over S, and [`BONUS`] more where S holds the first and
//! the last player, who lie in different words.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Players: one more than a word has bits, and more than two words have.
const SIZES: [usize; 2] = [65, 130];

/// What the first and the last player are worth together.
const BONUS: f64 = 0.5;

/// A whole number of 64ths, so that sums are exact.
fn worth(player: usize) -> f64 {
    (player % 16) as f64 / 64.0 - 0.125
}

fn value(members: &[usize], n: usize) -> f64 {
    let bonus = if members.contains(&0) && members.contains(&(n - 1)) { BONUS } else { 0.0 };
    0.25 + members.iter().map(|player| worth(*player)).sum::<f64>() + bonus
}

fn name(player: usize) -> String {
    format!("s{player}")
}

fn is_of_pair(player: usize, n: usize) -> bool {
    player == 0 || player == n - 1
}

fn everybody_but(n: usize, left_out: &[usize]) -> Vec<usize> {
    (0..n).filter(|player| !left_out.contains(player)).collect()
}

/// Both ends, each player alone and all without him.
fn one_in_one_out(n: usize) -> Vec<Vec<usize>> {
    let mut rows = vec![vec![], everybody_but(n, &[])];
    rows.extend((0..n).flat_map(|player| [vec![player], everybody_but(n, &[player])]));
    rows
}

/// Both ends, and everybody alone and in pairs.
fn up_to_two(n: usize) -> Vec<Vec<usize>> {
    let mut rows = vec![vec![], everybody_but(n, &[])];
    rows.extend((0..n).map(|player| vec![player]));
    rows.extend((0..n).flat_map(|a| (a + 1..n).map(move |b| vec![a, b])));
    rows
}

/// Columns of memberships, `1` and `0`, by their header for each player.
fn columns_csv(n: usize, rows: &[Vec<usize>], header: impl Fn(usize) -> String) -> String {
    let names: Vec<String> = (0..n).map(header).collect();
    let mut text = format!("episode,{},val_accuracy\n", names.join(","));
    for row in rows {
        let cells: Vec<&str> = (0..n).map(|player| if row.contains(&player) { "1" } else { "0" }).collect();
        let _ = writeln!(text, "0,{},{}", cells.join(","), value(row, n));
    }
    text
}

fn text_csv(n: usize, rows: &[Vec<usize>]) -> String {
    let mut text = "episode,config,val_accuracy\n".to_owned();
    for row in rows {
        let bits: String = (0..n).map(|player| if row.contains(&player) { '1' } else { '0' }).collect();
        let _ = writeln!(text, "0,{bits},{}", value(row, n));
    }
    text
}

/// One row per position of each order and of its reverse.
fn walks_csv(n: usize, orders: &[Vec<usize>]) -> String {
    let mut text = "episode,perm,pos,config,val_accuracy\n".to_owned();
    let both = orders.iter().flat_map(|order| [order.clone(), order.iter().rev().copied().collect()]);
    for (perm, order) in both.enumerate() {
        for pos in 0..=n {
            let row = &order[..pos];
            let bits: String = (0..n).map(|player| if row.contains(&player) { '1' } else { '0' }).collect();
            let _ = writeln!(text, "0,{perm},{pos},{bits},{}", value(row, n));
        }
    }
    text
}

fn ndjson(n: usize, rows: &[Vec<usize>], coalition: impl Fn(&[usize]) -> String) -> String {
    let mut text = String::new();
    for row in rows {
        let _ = writeln!(text, "{{\"episode\":0,{},\"val_accuracy\":{}}}", coalition(row), value(row, n));
    }
    text
}

fn names_json(players: impl Iterator<Item = usize>) -> String {
    let quoted: Vec<String> = players.map(|player| format!("\"{}\"", name(player))).collect();
    format!("[{}]", quoted.join(","))
}

fn simic(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIMIC_") {
            command.env_remove(name);
        }
    }
    command.args(words).arg("--no-config").env("NO_COLOR", "1").current_dir(folder).output().expect("it runs")
}

fn json(folder: &Path, words: &[&str]) -> Value {
    let output = simic(folder, &[words, &["--format", "json"]].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn refusal(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = simic(folder, words);
    assert!(output.stdout.is_empty(), "{words:?} printed a result");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A number of each player of the only game, by name, where there is one.
fn of_players(document: &Value, number: impl Fn(&Value) -> Option<f64>, n: usize) -> Vec<Option<f64>> {
    let players = document["games"][0]["players"].as_array().expect("players");
    assert_eq!(players.len(), n);
    (0..n)
        .map(|player| {
            let own = players.iter().find(|row| row["slot_id"] == name(player).as_str());
            number(own.expect("the player"))
        })
        .collect()
}

fn assert_all(found: &[Option<f64>], expected: impl Fn(usize) -> Option<f64>, what: &str) {
    for (player, found) in found.iter().enumerate() {
        match (found, expected(player)) {
            (Some(found), Some(expected)) => {
                assert!((found - expected).abs() < 1e-11, "{what}, player {player}: {found} {expected}");
            }
            (found, expected) => assert_eq!(*found, expected, "{what}, player {player}"),
        }
    }
}

#[test]
fn every_method_of_shapley_values_takes_any_number_of_players() {
    for n in SIZES {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("room");
        write("ends.csv", text_csv(n, &one_in_one_out(n)));
        let order: Vec<usize> = (0..n).map(|place| place * 27 % n).collect();
        let other: Vec<usize> = (0..n).map(|place| (place * 33 + 5) % n).collect();
        write("walks.csv", walks_csv(n, &[order, other]));
        let shapley =
            |player: usize| Some(worth(player) + if is_of_pair(player, n) { BONUS / 2.0 } else { 0.0 });
        // Antithetic pairs of walks are exact for a game of pairs; so is a fit to what is the same from both ends.
        for words in [
            &["walks.csv"][..],
            &["walks.csv", "--method", "permutation"],
            &["walks.csv", "--target-half-width", "0.01"],
            &["ends.csv"],
            &["ends.csv", "--method", "kernel"],
        ] {
            let document = json(folder.path(), &[&["analyze", "shapley"], words].concat());
            let found = of_players(&document, |row| row["shapley"].as_f64(), n);
            assert_all(&found, shapley, &format!("{words:?}"));
        }
        // Of drawn permutations only the first and the last step are recorded: players outside the pair have one value.
        let drawn = ["--method", "permutation", "--permutations", "3000", "--missing", "skip"];
        let document = json(folder.path(), &[&["analyze", "shapley", "ends.csv"][..], &drawn].concat());
        assert_eq!(document["games"][0]["biased"], true);
        let found = of_players(&document, |row| row["shapley"].as_f64(), n);
        let outside: Vec<Option<f64>> = (1..n - 1).map(|player| found[player]).collect();
        assert_all(&outside, |place| Some(worth(place + 1)), "drawn");
        let (code, message) = refusal(
            folder.path(),
            &["analyze", "shapley", "ends.csv", "--method", "permutation", "--permutations", "2"],
        );
        assert!(code == Some(3) && message.contains(&format!("of 2^{n} coalitions")), "{message}");

        // All coefficients of a value are 2 in size together; 6/n of that is recorded.
        let bounds = ["analyze", "shapley", "ends.csv", "--method", "bounds", "--range=-9,9"];
        let document = json(folder.path(), &bounds);
        let end = |name: &'static str| of_players(&document, move |row| row[name].as_f64(), n);
        let (low, high) = (end("bound_low"), end("bound_high"));
        for player in 0..n {
            let (low, high) = (low[player].expect("a bound"), high[player].expect("a bound"));
            let truth = shapley(player).expect("a value");
            assert!(low <= truth && truth <= high, "{player}: {truth} in {low} to {high}");
            assert!((high - low - 18.0 * (2.0 - 6.0 / n as f64)).abs() < 1e-10, "{low} to {high}");
        }
        let (code, message) = refusal(folder.path(), &[&bounds[..], &["--monotone"]].concat());
        assert!(code == Some(3) && message.contains("bounds of monotone games"), "{message}");
        let (code, message) =
            refusal(folder.path(), &["analyze", "shapley", "ends.csv", "--method", "exact"]);
        assert!(code == Some(3) && message.contains(&format!("{n} players: an exact table")), "{message}");
    }
}

#[test]
fn ablations_and_interactions_take_any_number_of_players() {
    for n in SIZES {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("room");
        write("ends.csv", text_csv(n, &one_in_one_out(n)));
        write("pairs.csv", text_csv(n, &up_to_two(n)));
        let document = json(folder.path(), &["analyze", "ablation", "ends.csv"]);
        let measure = |name: &'static str| of_players(&document, move |row| row[name]["value"].as_f64(), n);
        let bonus = |player: usize| if is_of_pair(player, n) { BONUS } else { 0.0 };
        assert_all(&measure("removal_cost"), |player| Some(worth(player) + bonus(player)), "removal");
        assert_all(&measure("first_in"), |player| Some(worth(player)), "first in");

        let (last, pair) = (name(n - 1), [name(0), name(n - 1)]);
        let check = |words: &[&str], n_terms: usize, single: &dyn Fn(usize) -> f64| {
            let all = [&["analyze", "interactions"], words].concat();
            let document = json(folder.path(), &all);
            let terms = document["games"][0]["terms"].as_array().expect("terms");
            assert_eq!(terms.len(), n_terms, "{words:?}");
            for term in terms {
                let players: Vec<&str> = term["players"]
                    .as_array()
                    .expect("names")
                    .iter()
                    .map(|name| name.as_str().expect("a name"))
                    .collect();
                let places: Vec<usize> =
                    players.iter().map(|name| name[1..].parse().expect("a number")).collect();
                let expected = match places.as_slice() {
                    [player] => single(*player),
                    _ if players == pair => BONUS,
                    _ => 0.0,
                };
                let found = term["value"].as_f64().expect("a value");
                assert!((found - expected).abs() < 1e-9, "{words:?} {players:?}: {found} {expected}");
            }
        };
        let n_all = n + n * (n - 1) / 2;
        check(&["ends.csv", "--index", "moebius", "--order", "1"], n, &worth);
        check(&["pairs.csv", "--index", "pair"], n_all, &worth);
        check(
            &["pairs.csv", "--index", "moebius", "--order", "2", "--among", &format!("s0,s1,{last}")],
            6,
            &worth,
        );
        // The Shapley value of order 1.
        check(&["ends.csv", "--order", "1"], n, &|player| worth(player) + bonus(player) / 2.0);
        if n <= 100 {
            check(&["pairs.csv"], n_all, &worth);
            check(&["pairs.csv", "--index", "sii"], n_all, &|player| worth(player) + bonus(player) / 2.0);
        } else {
            let (code, message) = refusal(folder.path(), &["analyze", "interactions", "pairs.csv"]);
            assert!(code == Some(3) && message.contains("pairs are fitted for at most 100"), "{message}");
        }
        let (code, message) = refusal(
            folder.path(),
            &["analyze", "interactions", "pairs.csv", "--index", "moebius", "--order", "6"],
        );
        assert!(code == Some(2) && message.contains("at most 16777216 can be gone through"), "{message}");
    }
}

#[test]
fn groups_of_wide_games_are_small_games() {
    for n in SIZES {
        let folder = tempfile::tempdir().expect("a folder");
        let rows: Vec<Vec<usize>> =
            (0..16).map(|on| (0..n).filter(|player| on >> (player % 4) & 1 == 1).collect()).collect();
        let text = columns_csv(n, &rows, |player| format!("slot:g{}_{player}", player % 4));
        std::fs::write(folder.path().join("groups.csv"), text).expect("room");
        let groups: Vec<String> = (0..4).map(|group| format!("g{group}_*=G{group}")).collect();
        let mut words = vec!["groups.csv"];
        groups.iter().for_each(|group| words.extend(["--group", group]));
        let document = json(folder.path(), &[&["analyze", "shapley"], &words[..]].concat());
        assert_eq!(document["games"][0]["method"], "exact");
        let last = (n - 1) % 4;
        for (group, row) in document["games"][0]["players"].as_array().expect("players").iter().enumerate() {
            let own: f64 = (0..n).filter(|player| player % 4 == group).map(worth).sum();
            let bonus = match (group == 0, group == last) {
                (true, true) => BONUS,
                (false, false) => 0.0,
                _ => BONUS / 2.0,
            };
            let found = row["shapley"].as_f64().expect("a value");
            assert!((found - own - bonus).abs() < 1e-12, "{n} players, group {group}: {found}");
        }
    }
}

#[test]
fn every_spelling_of_a_wide_coalition_is_the_same_game() {
    for n in SIZES {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("room");
        let rows = one_in_one_out(n);
        let ids = names_json(0..n);
        write("text.csv", text_csv(n, &rows));
        write("slot.csv", columns_csv(n, &rows, |player| format!("slot:{}", name(player))));
        write("columns.csv", columns_csv(n, &rows, name));
        let list = |row: &[usize]| {
            let bits: Vec<&str> =
                (0..n).map(|player| if row.contains(&player) { "true" } else { "false" }).collect();
            format!("\"slot_ids\":{ids},\"config\":[{}]", bits.join(","))
        };
        write("list.ndjson", ndjson(n, &rows, list));
        let on = |row: &[usize]| format!("\"players_on\":{}", names_json(row.iter().copied()));
        write("on.ndjson", ndjson(n, &rows, on));
        let names = (0..n).map(name).collect::<Vec<String>>().join(",");
        let game = |words: &[&str]| {
            let document = json(folder.path(), &[&["analyze", "shapley"], words].concat());
            let mut game = document["games"][0].clone();
            game["run_id"] = Value::Null;
            game
        };
        let expected = game(&["text.csv"]);
        assert_eq!(expected["n_players"], n);
        for words in [
            &["slot.csv"][..],
            &["list.ndjson"],
            &["on.ndjson"],
            &["columns.csv", "--players", &names],
            &["columns.csv", "--players", "s*"],
        ] {
            assert_eq!(game(words), expected, "{n} players, {words:?}");
        }
        // A mask is one word.
        let mask = |row: &[usize]| format!("\"slot_ids\":{ids},\"mask\":{}", row.len());
        write("mask.ndjson", ndjson(n, &rows[..1], mask));
        let (code, message) = refusal(folder.path(), &["analyze", "shapley", "mask.ndjson"]);
        assert!(
            code == Some(3) && message.contains(&format!("a mask has 64 bits for {n} slots")),
            "{message}"
        );
    }
}
