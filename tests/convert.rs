//! Recordings written again: canonical names, the same numbers to the bit.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIMIC_")) {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("the program starts")
}

fn json(arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    if document.is_array() { document[0].clone() } else { document }
}

/// Converts, and gives the path of the file of that name.
fn converted(folder: &Path, name: &str, arguments: &[&str]) -> String {
    let output = folder.join("canonical");
    let result = run(&[&["convert"], arguments, &["-o", output.to_str().expect("text"), "--force"]].concat());
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    output.join(name).display().to_string()
}

#[test]
fn coalitions_are_written_whole_however_they_were_spelled() {
    let folder = tempfile::tempdir().expect("a folder");
    let players = ["--players", "attn,aug,norm"];
    let cases: [(&str, &[&str], &[&str]); 6] = [
        ("fixtures/simulated/campaign.parquet", &[], &[]),
        ("fixtures/simulated/walks.parquet", &[], &[]),
        ("fixtures/simulated/repeats.parquet", &[], &[]),
        ("fixtures/simulated/mask.parquet", &[], &[]),
        ("fixtures/tables/on_off.tsv", &players, &["--value", "accuracy"]),
        ("fixtures/tables/players_on.csv", &[], &[]),
    ];
    for (file, players, value) in cases {
        let written = converted(folder.path(), "coalitions.parquet", &[&[file], players].concat());
        let before = json(&[&["analyze", "shapley", file], players, value].concat());
        let after = json(&[&["analyze", "shapley", &written], value].concat());
        assert_eq!((&before["games"], &before["summary"]), (&after["games"], &after["summary"]), "{file}");
        let described = json(&[&["inspect", &written[..]], value].concat());
        assert_eq!(described["files"][0]["columns"]["config"], "list<bool>", "{file}");
    }
}

#[test]
fn steps_are_written_in_replay_order_with_all_their_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    let named = ["--obs", "x,xdot,theta"];
    let cases: [(&str, &[&str]); 4] = [
        ("fixtures/simulated/steps.parquet", &[]),
        ("fixtures/normalizers/steps.parquet", &[]),
        ("fixtures/esper/transitions.parquet", &[]),
        ("fixtures/tables/vector_steps.csv", &named),
    ];
    for (file, obs) in cases {
        let written = converted(folder.path(), "transitions.parquet", &[&[file], obs].concat());
        for flags in [
            &["--momentum", "0.9"][..],
            &["--target", "reward"],
            &["--target", "reward", "--reward-scale", "return"],
        ] {
            let obs = if flags.contains(&"reward") { &[][..] } else { obs };
            let before = json(&[&["normalize", "replay", file], flags, obs].concat());
            let after = json(&[&["normalize", "replay", &written], flags].concat());
            for key in ["mean", "var", "count", "rows", "updates", "clip_fraction", "rollback"] {
                assert_eq!(before["runs"][0][key], after["runs"][0][key], "{file} {flags:?} {key}");
            }
        }
    }
}

#[test]
fn nothing_is_left_where_something_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("out");
    let result = run(&["convert", "tests/cli/data/nan.csv", "-o", output.to_str().expect("text")]);
    assert_eq!(result.status.code(), Some(3));
    assert_eq!(std::fs::read_dir(&output).map_or(0, Iterator::count), 0);
    assert_eq!(run(&["convert", "fixtures/simulated/mask.parquet"]).status.code(), Some(2));
}

#[test]
fn what_not_all_files_have_is_never_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    std::fs::write(path("a.csv"), "step,obs,reward\n0,1,0.5\n1,2,0.5\n").expect("written");
    std::fs::write(path("b.csv"), "step,reward\n0,0.5\n1,1.5\n").expect("written");
    std::fs::write(path("c.csv"), "step,obs,reward\n0,1,5\n1,2,5\n").expect("written");
    for (others, column) in
        [(["a.csv", "b.csv"], "obs"), (["b.csv", "a.csv"], "obs"), (["a.csv", "c.csv"], "reward")]
    {
        let [first, second] = others.map(path);
        let output = run(&["convert", &first, &second, "-o", &path("canonical")]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(&format!("column {column}")) && stderr.contains("would be lost"), "{stderr}");
        assert!(!folder.path().join("canonical").exists(), "{stderr}");
    }
    let output = run(&["convert", &path("a.csv"), "-o", &path("x.csv")]);
    assert_eq!(output.status.code(), Some(2));
}
