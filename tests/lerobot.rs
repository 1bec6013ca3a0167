//! Data sets of LeRobot, written by its own writer: the statistics they record against those of their rows.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::folders::copied;

const FIXTURES: &str = "fixtures/layouts/lerobot";
const ARM: &str = "fixtures/layouts/lerobot/v3.0/arm";
const OLD_ARM: &str = "fixtures/layouts/lerobot/v2.1/arm";

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIMIC_")) {
        command.env_remove(name);
    }
    command.args(arguments).arg("--no-config").output().expect("the program starts")
}

/// The document of a verification, with its exit code.
fn verified(arguments: &[&str]) -> (i32, Value) {
    let output = run(&[&["normalize", "verify"], arguments, &["--format", "json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (output.status.code().expect("a code"), document)
}

fn json(path: &str) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("JSON")
}

/// A copy of a data set that can be changed.
fn copy(of: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("arm");
    copied(Path::new(of), &root);
    (folder, root)
}

/// Statistics that differ: (feature, over, statistic, cause).
fn differing(document: &Value) -> Vec<(String, String, String, String)> {
    let checks = document["sets"][0]["checks"].as_array().expect("checks").iter();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    checks
        .filter(|check| check["n_differing"] != 0)
        .map(|check| {
            (
                text(&check["feature"]),
                text(&check["source"]),
                text(&check["statistic"]),
                text(&check["cause"]),
            )
        })
        .collect()
}

/// The deviation of the gripper (mean 5, deviation 0.3) in one episode, off by 2 in 10,000: that version squares 32-bit numbers.
fn rounded() -> (String, String, String, String) {
    let of = ["observation.state", "episodes", "std", "single_precision_squares"].map(str::to_owned);
    of.into()
}

fn is_quantile(name: &str) -> bool {
    name.starts_with('q')
}

#[test]
fn averaged_quantiles_of_a_data_set_are_found_and_nothing_else() {
    let (code, document) = verified(&[ARM]);
    assert_eq!((code, &document["matches"]), (1, &Value::Bool(false)));
    let set = &document["sets"][0];
    assert_eq!(
        (set["rows"].as_u64(), set["episodes"].as_u64(), set["fps"].as_f64()),
        (Some(205), Some(4), Some(10.0))
    );
    assert_eq!(set["left_out"][0]["feature"], "note");
    let off = differing(&document);
    assert!(off.contains(&rounded()), "{off:?}");
    for (feature, over, statistic, cause) in off.iter().filter(|found| **found != rounded()) {
        assert!(over == "set" && is_quantile(statistic), "{feature} {over} {statistic}");
        assert_eq!(cause, "mean_of_quantiles", "{feature} {statistic}");
    }
    let of_state = off.iter().filter(|found| found.0 == "observation.state" && **found != rounded()).count();
    assert_eq!(of_state, 5, "{off:?}");
    let text = document["verdict"][0].as_str().expect("a sentence");
    assert!(text.contains("averaged by their rows"), "{text}");
    // A matrix whose statistics are of its last axis, as that version records them.
    let grid = set["features"].as_array().expect("features").iter();
    let grid = grid.clone().find(|feature| feature["feature"] == "observation.grid").expect("compared");
    assert_eq!((grid["width"].as_u64(), grid["of_last_axis"].as_bool()), (Some(4), Some(true)));
}

#[test]
fn extremes_of_quantiles_are_called_that() {
    let (_folder, root) = copy(ARM);
    std::fs::copy(format!("{FIXTURES}/v3.0.extremes.json"), root.join("meta/stats.json")).expect("copied");
    let (code, document) = verified(&[&root.to_string_lossy(), "--obs", "observation.state,action"]);
    let off = differing(&document);
    assert_eq!(code, 1);
    assert!(off.iter().filter(|found| **found != rounded()).all(|(_, over, statistic, cause)| {
        over == "set" && is_quantile(statistic) && cause == "extreme_of_quantiles"
    }));
    assert!(off.len() >= 6, "{off:?}");
    // Asked for two features, no other is compared.
    assert_eq!(document["sets"][0]["features"].as_array().map(Vec::len), Some(2));
}

#[test]
fn sets_with_statistics_of_episodes_alone_are_compared_episode_by_episode() {
    let (code, document) = verified(&[OLD_ARM]);
    assert_eq!(code, 0, "{:?}", differing(&document));
    assert_eq!(document["sets"][0]["sources"][0], "meta/episodes_stats.jsonl");
    let (_folder, root) = copy(OLD_ARM);
    let path = root.join("meta/episodes_stats.jsonl");
    let text = std::fs::read_to_string(&path).expect("readable");
    // The second episode was recorded anew after its statistics were.
    let lines: Vec<String> =
        text.lines()
            .enumerate()
            .map(|(number, line)| {
                if number == 1 { line.replace("\"count\": [25]", "\"count\": [24]") } else { line.to_owned() }
            })
            .collect();
    std::fs::write(&path, lines.join("\n")).expect("written");
    let (code, document) = verified(&[&root.to_string_lossy()]);
    assert_eq!(code, 1);
    let off = differing(&document);
    assert!(off.iter().all(|(_, over, statistic, cause)| {
        (over.as_str(), statistic.as_str(), cause.as_str()) == ("episodes", "count", "other_rows")
    }));
    let checks = document["sets"][0]["checks"].as_array().expect("checks");
    let worst = checks.iter().find(|check| check["n_differing"] != 0).expect("one");
    assert_eq!(worst["worst"]["episode"].as_i64(), Some(1));
}

#[test]
fn sets_with_statistics_of_all_rows_alone_are_compared_with_those() {
    let (_folder, root) = copy(OLD_ARM);
    std::fs::remove_file(root.join("meta/episodes_stats.jsonl")).expect("removed");
    let mut stats = json(&format!("{FIXTURES}/v2.1.reference.json"));
    std::fs::write(root.join("meta/stats.json"), stats.to_string()).expect("written");
    let root_text = root.to_string_lossy().into_owned();
    let (code, document) = verified(&[&root_text]);
    assert_eq!(code, 0, "{:?}", differing(&document));
    let sample = stats["action"]["std"][0].as_f64().expect("a number") * (205.0_f64 / 204.0).sqrt();
    stats["action"]["std"][0] = sample.into();
    stats["action"]["mean"][1] = Value::Null;
    std::fs::write(root.join("meta/stats.json"), stats.to_string()).expect("written");
    let (code, document) = verified(&[&root_text]);
    assert_eq!(code, 1);
    let expected = [("mean", "not_finite"), ("std", "sample_deviation")];
    let expected =
        expected.map(|(of, cause)| ("action".to_owned(), "set".to_owned(), of.to_owned(), cause.to_owned()));
    assert_eq!(differing(&document), expected);
}

#[test]
fn right_statistics_are_written_in_the_sets_own_form() {
    let (_folder, root) = copy(ARM);
    let (root_text, out) =
        (root.to_string_lossy().into_owned(), root.join("right.json").to_string_lossy().into_owned());
    let output = run(&["normalize", "stats", &root_text, "--lerobot-stats-out", &out]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (written, reference) = (json(&out), json(&format!("{FIXTURES}/v3.0.reference.json")));
    for (feature, statistics) in reference.as_object().expect("features") {
        for (statistic, truth) in statistics.as_object().expect("statistics") {
            let found = flat(&written[feature][statistic]);
            for (found, truth) in found.iter().zip(flat(truth)) {
                assert!(
                    (found - truth).abs() <= 1e-12 * truth.abs().max(1.0),
                    "{feature} {statistic}: {found} {truth}"
                );
            }
            assert_eq!(found.len(), flat(truth).len().max(1), "{feature} {statistic}");
        }
    }
    assert_eq!(
        (&written["next.done"]["max"][0], &written["index"]["max"][0]),
        (&Value::Bool(true), &Value::from(204))
    );
    assert_eq!(written["observation.grid"]["mean"][1].as_array().map(Vec::len), Some(2));
    // In its place it is what the rows imply; an existing file is not replaced unasked.
    let output = run(&["normalize", "stats", &root_text, "--lerobot-stats-out", &out]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&out, root.join("meta/stats.json")).expect("moved");
    let (_, document) = verified(&[&root_text]);
    assert_eq!(differing(&document), [rounded()]);
    let output =
        run(&["normalize", "stats", "fixtures/simulated/steps.parquet", "--lerobot-stats-out", &out]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Numbers of lists of any depth.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        Value::Bool(truth) => vec![f64::from(u8::from(*truth))],
        other => vec![other.as_f64().expect("a number")],
    }
}

#[test]
fn statistics_in_policies_are_states() {
    let policy = format!("{FIXTURES}/policy_preprocessor_step_3_normalizer_processor.safetensors");
    let openpi = format!("{FIXTURES}/norm_stats.json");
    for (state, more) in [(&policy, &[][..]), (&policy, &["--obs", "action"]), (&openpi, &[])] {
        let (code, document) = verified(&[&[ARM, "--state", state], more].concat());
        assert_eq!(code, 0, "{document}");
        assert_eq!(document["matches"], Value::Bool(true));
    }
    let output = run(&["normalize", "verify", ARM, "--state", &policy, "--obs", "next.reward"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && stderr.contains("no mean of 'next.reward'"), "{stderr}");
}

#[test]
fn dimensions_have_the_names_of_the_data_set() {
    let output = run(&["normalize", "stats", ARM, "--obs", "action"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("dx") && text.contains("dy") && !text.contains("action[0]"), "{text}");
    let output = run(&["normalize", "stats", ARM, "--obs", "observation.state,action", "--format", "csv"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("observation.state.elbow") && text.contains("action.dy"), "{text}");
}

#[test]
fn rows_of_several_axes_are_flattened() {
    let output = run(&[
        "normalize",
        "stats",
        ARM,
        "--obs",
        "observation.grid",
        "--initial-count",
        "0",
        "--format",
        "json",
    ]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    let reference = json(&format!("{FIXTURES}/v3.0.reference.json"));
    for (found, truth) in flat(&document["mean"]).iter().zip(flat(&reference["observation.grid"]["mean"])) {
        assert!((found - truth).abs() < 1e-12, "{found} {truth}");
    }
    assert_eq!(document["mean"].as_array().map(Vec::len), Some(4));
}

#[test]
fn without_a_state_and_without_recorded_statistics_it_is_said_what_is_missing() {
    let output = run(&["normalize", "verify", "fixtures/simulated/steps.parquet"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("no --state"), "{stderr}");
    let output = run(&["normalize", "verify", ARM, "--momentum", "0.9"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("--momentum"), "{stderr}");
    let output = run(&["normalize", "verify", ARM, "--obs", "velocity"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("no such feature"), "{stderr}");
    // A data set that has lost rows has no statistics of its own.
    let output = run(&[
        "normalize",
        "verify",
        "fixtures/layouts/lerobot/v2.1/arm/data/chunk-000/episode_000000.parquet",
    ]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && stderr.contains("says it has 205 rows"), "{stderr}");
}

#[test]
fn what_is_not_recorded_is_never_right() {
    let (_folder, root) = copy(OLD_ARM);
    std::fs::remove_file(root.join("meta/episodes_stats.jsonl")).expect("removed");
    let root_text = root.to_string_lossy().into_owned();
    let stats = json(&format!("{FIXTURES}/v2.1.reference.json"));
    let with = |value: &Value, arguments: &[&str]| {
        std::fs::write(root.join("meta/stats.json"), value.to_string()).expect("written");
        run(&[&["normalize", "verify", &root_text, "--format", "json"], arguments].concat())
    };
    for (value, arguments, code) in [
        (&Value::Array(Vec::new()), &[][..], 3),
        (&serde_json::json!({}), &[], 3),
        (&serde_json::json!({"other": {"mean": [1]}}), &[], 3),
        (&stats, &["--obs", "note"], 2),
    ] {
        let output = with(value, arguments);
        assert_eq!(output.status.code(), Some(code), "{value}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // A statistic that other features have is missing, one of whose features is named.
    let mut fewer = stats.clone();
    fewer["action"].as_object_mut().expect("statistics").remove("std");
    let document: Value = serde_json::from_slice(&with(&fewer, &[]).stdout).expect("JSON");
    let missing = ["action", "set", "std", "not_finite"].map(str::to_owned);
    assert_eq!(differing(&document), [missing.into()]);
    fewer.as_object_mut().expect("features").remove("action");
    let document: Value = serde_json::from_slice(&with(&fewer, &[]).stdout).expect("JSON");
    let left_out = document["sets"][0]["left_out"].as_array().expect("features");
    assert!(left_out.iter().any(|left| left["feature"] == "action"), "{left_out:?}");
}

#[test]
fn an_episode_recorded_twice_is_an_error() {
    let (_folder, root) = copy(OLD_ARM);
    let path = root.join("meta/episodes_stats.jsonl");
    let text = std::fs::read_to_string(&path).expect("readable");
    let first = text.lines().next().expect("a line");
    std::fs::write(&path, format!("{first}\n{text}")).expect("written");
    let output = run(&["normalize", "verify", &root.to_string_lossy()]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && stderr.contains("once more"), "{stderr}");
}

#[test]
fn a_description_whose_files_are_lost_is_told() {
    let (_folder, root) = copy(ARM);
    std::fs::remove_dir_all(root.join("data")).expect("removed");
    for verb in [&["inspect"][..], &["normalize", "stats"], &["normalize", "verify"]] {
        let output = run(&[verb, &[root.to_str().expect("text")]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(3) && stderr.contains("and 0 are found"), "{verb:?}: {stderr}");
    }
}

#[test]
fn episodes_that_are_not_there_are_told() {
    let (_folder, root) = copy(ARM);
    let info = root.join("meta/info.json");
    let told = || {
        let output = run(&["normalize", "stats", &root.to_string_lossy()]);
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).contains("it says that it has 5 episodes, its rows are of 4")
    };
    assert!(!told());
    let text = std::fs::read_to_string(&info).expect("readable");
    let mut said: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(said["total_episodes"], 4);
    said["total_episodes"] = 5.into();
    std::fs::write(&info, said.to_string()).expect("written");
    assert!(told());
}
