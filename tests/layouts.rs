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

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        std::fs::write(path, text).expect("written");
    }
    folder
}

const INFO: &str =
    r#"{"codebase_version": "v3.0", "total_frames": 6, "features": {"observation.state": {}}}"#;
const FIRST: &str = "observation.state,episode_index,frame_index\n1,0,0\n2,0,1\n3,0,2\n";
const SECOND: &str = "observation.state,episode_index,frame_index\n4,1,0\n5,1,1\n9,1,2\n";

#[test]
fn a_lerobot_set_is_one_run_in_all_its_files() {
    let files = [
        ("pusht/meta/info.json", INFO),
        ("pusht/meta/episodes/chunk-000/file-000.csv", "reward,episode_index\n5,0\n"),
        ("pusht/data/chunk-000/file-000.csv", FIRST),
        ("pusht/data/chunk-000/file-001.csv", SECOND),
    ];
    let folder = folder(&files);
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (document, _) = json(&["normalize", "stats", &path("pusht"), "--initial-count", "0"]);
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(1), "{}", document["input"]);
    assert_eq!(document["runs"][0]["run_id"], "pusht");
    assert_eq!((document["count"].as_f64(), document["mean"][0].as_f64()), (Some(6.0), Some(4.0)));
    // A file of it by itself is of that run too, and part of it.
    let (document, stderr) =
        json(&["normalize", "stats", &path("pusht/data/chunk-000/file-001.csv"), "--initial-count", "0"]);
    assert_eq!(document["runs"][0]["run_id"], "pusht");
    assert!(stderr.contains("says it has 6 rows, and 3 are found"), "{stderr}");
    // Each file for itself, or a layout that it is not.
    let files = path("pusht/data");
    let (document, _) = json(&["normalize", "stats", &files, "--layout", "files", "--initial-count", "0"]);
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(2), "{}", document["input"]);
    let output = run(&["normalize", "stats", &path("pusht"), "--layout", "minari"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    // A set that has lost a file is no set.
    std::fs::remove_file(path("pusht/data/chunk-000/file-000.csv")).expect("removed");
    let output = run(&["normalize", "stats", &path("pusht")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("says it has 6 rows, and 3 are found"), "{stderr}");
    let (document, stderr) =
        json(&["normalize", "stats", &path("pusht"), "--on-bad", "skip", "--initial-count", "0"]);
    assert_eq!(document["count"].as_f64(), Some(3.0));
    assert!(stderr.contains("says it has 6 rows"), "{stderr}");
}

#[test]
fn the_rows_that_fill_up_episodes_of_minari_do_not_count() {
    let metadata = r#"{"data_format": "parquet", "observation_space": "{}", "total_steps": 5}"#;
    let table = "observations,rewards,terminations,truncations\n";
    let (first, second) = (
        format!("{table}1,1,0,0\n2,1,0,0\n3,1,1,0\n100,0,0,0\n"),
        format!("{table}4,2,0,0\n5,2,0,1\n100,0,0,0\n"),
    );
    let folder = folder(&[
        ("cartpole/random-v0/data/metadata.json", metadata),
        ("cartpole/random-v0/data/2/metadata.json", r#"{"id": 2, "total_steps": 3}"#),
        ("cartpole/random-v0/data/2/part-0.csv", &first),
        ("cartpole/random-v0/data/10/metadata.json", r#"{"id": 10, "total_steps": 2}"#),
        ("cartpole/random-v0/data/10/part-0.csv", &second),
    ]);
    let path = folder.path().join("cartpole").to_string_lossy().into_owned();
    let (document, _) = json(&["normalize", "stats", &path, "--initial-count", "0"]);
    assert_eq!((document["count"].as_f64(), document["mean"][0].as_f64()), (Some(5.0), Some(3.0)));
    assert_eq!(document["runs"][0]["run_id"], "random-v0");
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(1), "{}", document["input"]);
    let (document, _) = json(&["normalize", "stats", &path, "--target", "reward"]);
    assert_eq!((document["count"].as_f64(), document["mean"][0].as_f64()), (Some(5.0), Some(1.4)));
    let (document, _) = json(&["inspect", &path]);
    let rows: u64 =
        document["files"].as_array().expect("files").iter().filter_map(|file| file["rows"].as_u64()).sum();
    assert_eq!(rows, 5, "{document}");
}

#[test]
fn a_damaged_description_is_an_error_not_another_reading() {
    let damaged = |info: &str| {
        let folder = folder(&[("set/meta/info.json", info), ("set/data/file-000.csv", FIRST)]);
        let path = folder.path().join("set").to_string_lossy().into_owned();
        let output = run(&["normalize", "stats", &path]);
        let (_, stderr) = json(&["normalize", "stats", &path, "--layout", "files"]);
        assert!(!stderr.contains("info.json"), "{stderr}");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for info in ["{", "", &INFO.replace('6', "-3"), &INFO.replace('6', "\"many\"")] {
        let (code, stderr) = damaged(info);
        assert!(
            code == Some(3) && stderr.contains("info.json") && stderr.contains("hint"),
            "{info}: {stderr}"
        );
    }
}

#[test]
fn shards_are_one_run() {
    let rows = ["obs,t\n1,0\n2,1\n", "obs,t\n3,2\n4,3\n"];
    let folder = folder(&[
        ("set/data/train-00000-of-00003.csv", rows[0]),
        ("set/data/train-00002-of-00003.csv", rows[1]),
    ]);
    let (document, stderr) =
        json(&["normalize", "stats", &folder.path().join("set").to_string_lossy(), "--initial-count", "0"]);
    assert_eq!(document["runs"][0]["run_id"], "set");
    assert_eq!(document["count"].as_f64(), Some(4.0));
    assert!(stderr.contains("2 of the 3 shards"), "{stderr}");
}

#[test]
fn files_without_rows_are_named_as_what_they_are() {
    let monitor = "#{\"t_start\": 1.0, \"env_id\": \"CartPole-v1\"}\nr,l,t\n10,10,0.1\n";
    let folder =
        folder(&[("a/0.monitor.csv", monitor), ("b/main_data.hdf5", ""), ("c/events.out.tfevents.1.h", "x")]);
    std::fs::write(folder.path().join("b/main_data.hdf5"), b"\x89HDF\r\n\x1a\n\0\0").expect("written");
    for (place, what) in [("a", "figures of whole episodes"), ("b", "HDF5"), ("c", "TensorBoard")] {
        let output = run(&["normalize", "stats", &folder.path().join(place).to_string_lossy()]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(what) && stderr.contains("hint"), "{stderr}");
    }
}

#[test]
fn a_minari_set_reads_as_minari_reads_it() {
    let text = std::fs::read_to_string("fixtures/layouts/minari.reference.json").expect("the reference");
    let reference: Value = serde_json::from_str(&text).expect("JSON");
    let (document, _) = json(&["normalize", "stats", "fixtures/layouts/minari", "--initial-count", "0"]);
    assert_eq!(document["count"].as_f64(), reference["total_steps"].as_f64());
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(1), "{}", document["input"]);
    assert_eq!(document["runs"][0]["run_id"], "random-v0");
    for key in ["mean", "var"] {
        let numbers = |of: &Value| of[key].as_array().expect("numbers").clone();
        for (found, truth) in numbers(&document).iter().zip(numbers(&reference)) {
            let (found, truth) = (found.as_f64().expect("a number"), truth.as_f64().expect("a number"));
            assert!((found - truth).abs() <= 1e-12 * truth.abs().max(1e-3), "{key}: {found} {truth}");
        }
    }
    let (document, _) = json(&["inspect", "fixtures/layouts/minari"]);
    let lengths: Vec<u64> = document["files"]
        .as_array()
        .expect("files")
        .iter()
        .filter_map(|file| file["rows"].as_u64())
        .collect();
    let expected: Vec<u64> =
        reference["episode_lengths"].as_array().expect("lengths").iter().filter_map(Value::as_u64).collect();
    assert_eq!(lengths, expected);
}

#[test]
fn steps_of_rllib_are_unpacked_and_told_apart() {
    let set = "fixtures/layouts/rllib/cartpole-v1";
    let text = std::fs::read_to_string("fixtures/layouts/rllib/reference.json").expect("the reference");
    let reference: Value = serde_json::from_str(&text).expect("JSON");
    let (document, _) = json(&["normalize", "stats", set, "--initial-count", "0"]);
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(1), "{}", document["input"]);
    assert_eq!(document["runs"][0]["run_id"], "cartpole-v1");
    assert_eq!(document["count"].as_f64(), reference["rows"].as_f64());
    for key in ["mean", "var"] {
        let numbers = |of: &Value| of[key].as_array().expect("numbers").clone();
        for (found, truth) in numbers(&document).iter().zip(numbers(&reference)) {
            let (found, truth) = (found.as_f64().expect("a number"), truth.as_f64().expect("a number"));
            assert!((found - truth).abs() <= 1e-12, "{key}: {found} {truth}");
        }
    }
    let (rewards, _) = json(&["normalize", "stats", set, "--target", "reward"]);
    let (found, truth) = (rewards["mean"][0].as_f64(), reference["reward_mean"].as_f64());
    assert!((found.expect("a mean") - truth.expect("a mean")).abs() < 1e-12);
    // Its flags end episodes: returns can be scaled.
    let flags = ["--target", "reward", "--reward-scale", "return"];
    json(&[&["normalize", "stats", set], &flags[..]].concat());
    let (document, _) = json(&["inspect", set]);
    let of = |key: &str| -> Vec<u64> {
        document["files"].as_array().expect("files").iter().filter_map(|file| file[key].as_u64()).collect()
    };
    assert_eq!(of("episodes").iter().sum::<u64>(), reference["episodes"].as_u64().expect("a number"));
    assert_eq!(of("obs_width"), [4, 4, 4]);
}

#[test]
fn whole_episodes_in_messagepack_are_refused_by_name() {
    let output = run(&["normalize", "stats", "fixtures/layouts/rllib/episodes/0_000000_000000.parquet"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("MessagePack") && stderr.contains("output_write_episodes=False"), "{stderr}");
}

#[test]
fn the_same_content_from_two_sources_is_an_error_that_names_both() {
    // The log of a run beside the steps that the trainer itself recorded of it.
    let export = "fixtures/esper/transitions.parquet";
    let output = run(&["normalize", "stats", LOG, export, "--target", "reward"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("events.jsonl") && stderr.contains("transitions.parquet"), "{stderr}");
    // A data set beside a converted copy of it.
    let arm = "fixtures/layouts/lerobot/v3.0/arm";
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy").to_string_lossy().into_owned();
    let output = run(&["convert", arm, "-o", &copy]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = run(&["normalize", "stats", arm, &copy]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("the same rows") && stderr.contains("arm"), "{stderr}");
    // The same episodes in another version of the layout.
    let output = run(&["normalize", "stats", arm, "fixtures/layouts/lerobot/v2.1/arm"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(3) && stderr.contains("v2.1") && stderr.contains("v3.0"),
        "{stderr}"
    );
    // Other rows beside a log are another run.
    let other = "fixtures/simulated/steps.parquet";
    let (document, _) = json(&["normalize", "stats", LOG, other, "--target", "reward"]);
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(2));
}

#[test]
fn matrices_of_a_log_beside_an_export_of_them_are_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy").to_string_lossy().into_owned();
    let output = run(&["convert", LOG, "-o", &copy]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = run(&["analyze", "shapley", LOG, &copy]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("events.jsonl") && stderr.contains("coalitions.parquet"), "{stderr}");
}

#[test]
fn a_data_set_is_inspected_as_one() {
    let arm = "fixtures/layouts/lerobot/v2.1/arm";
    let (document, _) = json(&["inspect", arm]);
    let set = &document["sets"][0];
    assert_eq!((&set["name"], &set["layout"]), (&Value::from("arm"), &Value::from("LeRobot v2.1")));
    assert_eq!(
        (set["rows"].as_u64(), set["episodes"].as_u64(), set["files"].as_u64()),
        (Some(205), Some(4), Some(4))
    );
    assert_eq!(set["fps"].as_f64(), Some(10.0));
    let state = set["features"].as_array().expect("features").iter();
    let state = state.clone().find(|feature| feature["feature"] == "observation.state").expect("listed");
    assert_eq!(state["dimensions"], serde_json::json!(["shoulder", "elbow", "gripper"]));
    let output = run(&["inspect", arm]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("episode_000003") && text.contains("arm"), "{text}");
    assert!(text.contains("10 a second") && text.contains("observation.state"), "{text}");
}

#[test]
fn problems_of_a_data_set_are_found_in_every_column() {
    let (_, stderr) =
        json(&["inspect", "fixtures/layouts/lerobot/v3.0/arm", "--problems", "--obs", "action"]);
    assert!(stderr.is_empty(), "{stderr}");
    // Rows lost from the beginning of the second episode.
    let rows = "action,episode_index,frame_index\n1,0,0\n2,0,1\n3,1,2\n4,1,3\n";
    let folder = folder(&[
        ("set/meta/info.json", &INFO.replace('6', "4").replace("observation.state", "action")),
        ("set/data/chunk-000/file-000.csv", rows),
    ]);
    let path = folder.path().join("set").to_string_lossy().into_owned();
    let output = run(&["inspect", &path, "--problems", "--obs", "action", "--format", "json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("steps missing at the beginning of an episode"), "{text}");
    // A page of a column that plays no role is damaged.
    let from =
        std::fs::read("fixtures/layouts/lerobot/v3.0/arm/data/chunk-000/file-000.parquet").expect("readable");
    let damaged = folder.path().join("damaged.parquet");
    let mut found = false;
    for place in (40..from.len() - 4000).step_by(397) {
        let mut bytes = from.clone();
        bytes[place..place + 8].iter_mut().for_each(|byte| *byte ^= 0xff);
        std::fs::write(&damaged, bytes).expect("written");
        let path = damaged.to_string_lossy().into_owned();
        let read_all =
            run(&["convert", &path, "-o", &folder.path().join(format!("{place}")).to_string_lossy()]);
        let inspected = run(&["inspect", &path, "--problems"]);
        if String::from_utf8_lossy(&read_all.stderr).contains("not a readable Parquet file") {
            found = true;
            assert_eq!(
                inspected.status.code(),
                Some(1),
                "byte {place}: {}",
                String::from_utf8_lossy(&inspected.stdout)
            );
        }
    }
    assert!(found, "no damage that a reader of all columns finds");
}
