//! What normalization counts: rows, updates and episodes, each once.

use serde_json::{Value, json};

use super::normalizers::{failure, folder, json as report, lines, simic};

/// What is said where a command ends with exit code 3.
fn refused(arguments: &[&str]) -> String {
    let (code, told) = failure(arguments);
    assert_eq!(code, 3, "{told}");
    told
}

/// Twelve rows of two environments whose first row was rolled back.
fn rolled_back(path: &str) {
    let row = |i: i32| format!("{},{},{i}.5,{}", i % 2, i / 2, i32::from(i == 0));
    let rows: Vec<String> =
        ["env_id,step,obs_0,rolled_back".to_owned()].into_iter().chain((0..12).map(row)).collect();
    lines(path, &rows.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn rows_of_an_environment_are_counted_with_it_and_once_in_all() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    rolled_back(&steps);
    for verb in ["replay", "stats"] {
        let found = report(&["normalize", verb, &steps, "--scope", "env"]);
        let rows: Vec<&Value> =
            found["runs"].as_array().expect("runs").iter().map(|run| &run["rollback"]["rows"]).collect();
        assert_eq!((rows, &found["rollback"]["rows"]), (vec![&json!(1), &json!(0)], &json!(1)), "{verb}");
    }
    let whole = report(&["normalize", "replay", &steps, "--rollback", "drop-batch"]);
    assert_eq!(whole["rollback"], json!({ "rows": 2, "batches": 1 }));
    let apart = report(&["normalize", "replay", &steps, "--rollback", "drop-batch", "--scope", "env"]);
    assert_eq!(apart["rollback"], whole["rollback"]);
    // Nothing is left, and what took it is named.
    let told =
        refused(&["normalize", "stats", &steps, "--rollback", "drop-batch", "--update-every", "rollout:6"]);
    assert!(told.contains("all 12 rows lie in batches with a row that was rolled back"), "{told}");
}

#[test]
fn updates_that_are_carried_over_count_once() {
    let (directory, path) = folder();
    std::fs::create_dir(directory.path().join("runs")).expect("created");
    for name in ["runs/a.csv", "runs/b.csv"] {
        lines(&path(name), &["step,obs_0", "0,1.0", "1,2.0", "2,4.0"]);
    }
    let found = report(&["normalize", "replay", &path("runs"), "--carry-over"]);
    assert_eq!(found["updates"], json!(6));
    let verdict = found["verdict"][0].as_str().expect("a sentence");
    assert!(verdict.contains("6 rows of 2 runs normalized in 6 updates"), "{verdict}");
}

#[test]
fn episodes_that_no_flag_ends_are_unfinished() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    let mut rows = vec!["episode,step,obs_0,terminated".to_owned()];
    for (episode, n) in [(0, 5), (1, 2), (2, 3)] {
        rows.extend((0..n).map(|t| format!("{episode},{t},{}.0,{}", t * t, episode < 2 && t == n - 1)));
    }
    lines(&steps, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    let found = report(&["normalize", "replay", &steps, "--update-every", "episode"]);
    assert_eq!(found["runs"][0]["diagnostics"]["unfinished_episodes"], json!(1));
}

/// A state that went on from another, or was merged of it, has seen its rows: together they would count twice.
#[test]
fn states_that_hold_each_other_are_not_merged() {
    let (_directory, path) = folder();
    let (first, second, third) = (path("a.csv"), path("b.csv"), path("c.csv"));
    lines(&first, &["step,obs_0", "0,0.0", "1,1.0", "2,2.0"]);
    lines(&second, &["step,obs_0", "3,3.0", "4,4.0", "5,5.0"]);
    lines(&third, &["step,obs_0", "6,6.0", "7,7.0", "8,8.0"]);
    let stored = |rows: &str, before: Option<&str>, name: &str| {
        let state = path(name);
        let mut line = vec!["normalize", "stats", rows, "--state-out", &state];
        line.extend(before.into_iter().flat_map(|before| ["--state-in", before]));
        assert!(simic(&line).status.success());
        state.clone()
    };
    let a = stored(&first, None, "a.json");
    let b = stored(&second, Some(&a), "b.json");
    let c = stored(&third, None, "c.json");
    let d = stored(&third, Some(&b), "d.json");
    let document: Value = serde_json::from_slice(&std::fs::read(&b).expect("written")).expect("JSON");
    assert_eq!((&document["from"]["step"], &document["to"]["step"]), (&json!(0), &json!(5)));
    for (one, two) in [(&a, &b), (&b, &a), (&a, &d), (&b, &d)] {
        let told = refused(&["normalize", "merge", one, two]);
        assert!(told.contains("from which it went on or was merged"), "{told}");
    }
    let merged = path("merged.json");
    assert!(simic(&["normalize", "merge", &b, &c, "-o", &merged]).status.success());
    let found: Value = serde_json::from_slice(&std::fs::read(&merged).expect("written")).expect("JSON");
    let mean = found["mean"][0].as_f64().expect("a mean");
    // Nine numbers and a little of the initial state.
    assert!(found["batches"] == json!(9) && (mean - 4.0).abs() < 1e-3, "{found}");
    assert!(refused(&["normalize", "merge", &merged, &a]).contains("would count twice"));
}
