//! Recordings as other programs leave them.

use std::process::{Command, Output};

use serde_json::Value;

const LOG: &str = "fixtures/esper/run_s_s11";

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIMIC_")) {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("the program starts")
}

fn json(arguments: &[&str]) -> (Value, String) {
    let output = run(&[arguments, &["--format", "json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    (serde_json::from_slice(&output.stdout).expect("JSON"), stderr)
}

#[test]
fn matrices_of_an_event_log_are_games() {
    let text = std::fs::read_to_string("fixtures/esper/events.reference.json").expect("the reference");
    let reference: Value = serde_json::from_str(&text).expect("JSON");
    let (document, stderr) = json(&["analyze", "shapley", LOG]);
    let games = document["games"].as_array().expect("games");
    let expected = reference["games"].as_array().expect("games");
    assert_eq!(games.len(), expected.len(), "{stderr}");
    for (game, expected) in games.iter().zip(expected) {
        assert_eq!(game["run_id"], "run_s_s11");
        let key = [&game["episode"], &game["env_id"], &game["batch"]];
        assert!(key.iter().zip(expected["key"].as_array().expect("a key")).all(|(a, b)| *a == b), "{game}");
        for player in game["players"].as_array().expect("players") {
            let slot = player["slot_id"].as_str().expect("a slot");
            let (found, truth) = (player["shapley"].as_f64(), expected["shapley"][slot].as_f64());
            let (found, truth) = (found.expect("a value"), truth.expect("a reference"));
            assert!((found - truth).abs() < 1e-10, "{slot}: {found} {truth}");
        }
    }
    assert!(stderr.contains("events of other kinds are not read"), "{stderr}");
}

#[test]
fn actions_of_an_event_log_are_steps() {
    let text = std::fs::read_to_string("fixtures/esper/events.reference.json").expect("the reference");
    let rewards = &serde_json::from_str::<Value>(&text).expect("JSON")["rewards"];
    let flags = ["--target", "reward", "--preset", "esper", "--rollback", "drop"];
    let (document, _) = json(&[&["normalize", "stats", LOG], &flags[..]].concat());
    assert_eq!(document["count"].as_f64(), rewards["n"].as_f64());
    for key in ["mean", "var"] {
        let (found, truth) =
            (document[key][0].as_f64().expect("a number"), rewards[key].as_f64().expect("a number"));
        assert!((found - truth).abs() <= 1e-13 * truth.abs(), "{key}: {found} {truth}");
    }
    assert_eq!(document["rollback"]["rows"], 2);
    // What the trainer itself recorded of the same run gives the same bits.
    let (table, _) =
        json(&[&["normalize", "stats", "fixtures/esper/transitions.parquet"], &flags[..]].concat());
    assert_eq!((&table["mean"], &table["var"]), (&document["mean"], &document["var"]));
}

#[test]
fn both_kinds_of_rows_of_a_log_are_inspected() {
    let (document, _) = json(&["inspect", LOG]);
    let kinds: Vec<&Value> =
        document["files"].as_array().expect("files").iter().map(|file| &file["kind"]).collect();
    assert_eq!(kinds, ["coalitions", "transitions"]);
}
