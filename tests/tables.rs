//! Tables as people write them: every way to say which parts were on reads as the same recording.

use std::process::{Command, Output};

use serde_json::Value;

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
    (serde_json::from_slice(&output.stdout).expect("valid JSON"), stderr)
}

fn failure(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.stdout.is_empty(), "{arguments:?} printed a result");
    (output.status.code(), stderr)
}

fn table(name: &str) -> String {
    format!("fixtures/tables/{name}")
}

fn shapley(name: &str, flags: &[&str]) -> (Value, String) {
    json(&[&["analyze", "shapley", &table(name)], flags].concat())
}

/// Means of attn, aug and norm over seeds, whatever the names they go by.
fn means(document: &Value) -> Vec<f64> {
    let mut rows: Vec<(String, f64)> = document["summary"]
        .as_array()
        .expect("a summary")
        .iter()
        .map(|row| {
            let name = row["slot_id"]
                .as_str()
                .expect("a name")
                .trim_start_matches("use_")
                .trim_start_matches("mit ");
            (name.to_owned(), row["mean"].as_f64().expect("a mean"))
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows.into_iter().map(|(_, mean)| mean).collect()
}

#[test]
fn every_way_to_say_which_parts_were_on_gives_the_same_values() {
    let (expected, _) = shapley("json_arrays.ndjson", &[]);
    assert_eq!(expected["cluster"], "run");
    assert!(
        expected["summary"].as_array().expect("rows").iter().all(|row| row["n_units"] == 3),
        "{expected}"
    );
    let expected = means(&expected);
    // attn 0.10 less half of the interaction of -0.02, aug 0.03 less half, norm nothing, up to the noise of 0.004.
    for (found, truth) in expected.iter().zip([0.09, 0.02, 0.0]) {
        assert!((found - truth).abs() < 0.005, "{expected:?}");
    }
    let tables: [(&str, &[&str]); 6] = [
        ("pandas_wide.csv", &[]),
        ("wandb_export.csv", &["--value", "val/acc"]),
        ("on_off.tsv", &["--players", "attn,aug,norm", "--value", "accuracy"]),
        (
            "spreadsheet.csv",
            &["--players", "mit attn,mit aug,mit norm", "--value", "Genauigkeit", "--column", "seed=Lauf Nr"],
        ),
        ("digits.csv.gz", &["--slots", "attn,aug,norm"]),
        ("r_long.csv", &["--players", "attn,aug,norm", "--value", "value", "--by", "metric"]),
    ];
    for (name, flags) in tables {
        let (document, stderr) = shapley(name, flags);
        let document = if document.is_array() { &document[0] } else { &document };
        assert_eq!(means(document), expected, "{name}: {stderr}");
        assert_eq!(document["summary"][0]["n_units"], 3, "{name}");
    }
    let (names, _) = shapley("players_on.csv", &[]);
    let errors = means(&names);
    let is_negative_of = |(error, value): (&f64, &f64)| (error + value).abs() < 1e-12;
    assert!(errors.iter().zip(&expected).all(is_negative_of), "{errors:?}");
}

#[test]
fn groups_have_a_summary_each() {
    let (documents, _) = shapley("sweep.csv", &["--players", "attn,aug,norm", "--by", "lr"]);
    let documents = documents.as_array().expect("one document per group");
    let groups: Vec<&Value> = documents.iter().map(|document| &document["group"]["lr"]).collect();
    assert_eq!(groups, ["0.01", "0.1"]);
    let attn = |document: &Value| means(document)[0];
    assert!((attn(&documents[0]) - 0.09).abs() < 0.005 && (attn(&documents[1]) - 0.01).abs() < 0.005);
    let csv = run(&[
        "analyze",
        "shapley",
        &table("sweep.csv"),
        "--players",
        "attn,aug,norm",
        "--by",
        "lr",
        "--format",
        "csv",
    ]);
    let csv = String::from_utf8(csv.stdout).expect("text");
    assert!(csv.lines().next().is_some_and(|header| header.ends_with(",lr")), "{csv}");
    assert_eq!(csv.lines().filter(|line| line.ends_with(",0.01")).count(), 3 * 3 + 3, "{csv}");
    for verb in ["shapley", "interactions", "ablation"] {
        let flags = ["--players", "attn,aug,norm", "--by", "lr", "--format", "ndjson"];
        let lines = run(&[&["analyze", verb, &table("sweep.csv")][..], &flags].concat());
        let lines = String::from_utf8(lines.stdout).expect("text");
        let has_group = |line: &str| {
            line.contains("\"group\":{\"lr\":\"0.01\"}") || line.contains("\"group\":{\"lr\":\"0.1\"}")
        };
        assert!(!lines.is_empty() && lines.lines().all(has_group), "{verb}: {lines}");
    }
    // What is not there, or named twice, is said.
    let (code, stderr) =
        failure(&["analyze", "shapley", &table("sweep.csv"), "--players", "attn", "--by", "rate"]);
    assert!(code == Some(3) && stderr.contains("--by rate: there is no such column"), "{stderr}");
    let (code, stderr) =
        failure(&["analyze", "shapley", &table("sweep.csv"), "--players", "attn,lr", "--by", "lr"]);
    assert!(code == Some(2) && stderr.contains("both name 'lr'"), "{stderr}");
}

#[test]
fn estimates_of_a_table_are_put_beside_the_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let glove = "fixtures/reference/glove_1_2.parquet";
    // Values 2/3, 1/6, 1/6; labels of p0 and p2 turned in the second, and a thousand permutations leave no doubt.
    let logged = "slot,mean,std,n,event\np0,0.7,0.47,20,0\np1,0.15,0.37,20,0\np2,0.15,0.37,20,0\n\
                  p0,0.166,0.37,100000,1\np1,0.167,0.37,100000,1\np2,0.667,0.47,100000,1\n";
    std::fs::write(path("logged.csv"), logged).expect("written");
    let flag = format!("--compare-recorded={}", path("logged.csv"));
    let (document, _) = json(&["analyze", "shapley", glove, &flag]);
    let rows = document["recorded"].as_array().expect("rows");
    let reasons: Vec<&Value> = rows.iter().map(|row| &row["reasons"]).collect();
    assert_eq!(reasons[0], &serde_json::json!(["sampling"]));
    assert_eq!(reasons[1], &serde_json::json!(["made_up", "labels"]));
    assert_eq!(rows[1]["labels"]["p2"], "p0", "{rows:?}");
    let verdict = document["verdict"].to_string();
    assert!(verdict.contains("The trainer's own 2 estimates are off by up to 0.50"), "{verdict}");
    // Tables that are none of estimates, and recordings without any.
    let named = format!("--compare-recorded={glove}");
    let (code, stderr) = failure(&["analyze", "shapley", glove, &named]);
    assert!(code == Some(3) && stderr.contains("slot_id and estimate"), "{stderr}");
    let (code, stderr) = failure(&["analyze", "shapley", glove, "--compare-recorded"]);
    assert!(code == Some(3) && stderr.contains("no Shapley values that a trainer estimated"), "{stderr}");
    std::fs::write(path("logged.csv"), "slot,mean\np0,0.7\np0,0.6\n").expect("written");
    let (code, stderr) = failure(&["analyze", "shapley", glove, &flag]);
    assert!(
        code == Some(3) && stderr.contains("row 1, column slot: a second estimate of slot p0"),
        "{stderr}"
    );
}

#[test]
fn repeats_are_said_with_the_column_that_tells_them_apart() {
    let (document, stderr) = shapley("sweep.csv", &["--players", "attn,aug,norm"]);
    assert_eq!(document["games"].as_array().map(Vec::len), Some(3));
    assert!(stderr.contains("in 3 of 3 games 48 rows evaluate 24 coalitions"), "{stderr}");
    assert!(stderr.contains("--by lr") && stderr.contains("--duplicates mean"), "{stderr}");
    let (_, stderr) = shapley("pandas_wide.csv", &[]);
    assert!(!stderr.contains("evaluate"), "{stderr}");
    assert!(stderr.contains("players are the Boolean columns attn, aug, norm"), "{stderr}");
}

#[test]
fn columns_that_could_be_meant_are_in_the_command_of_the_hint() {
    let hints = [
        (
            "on_off.tsv",
            "simic analyze shapley fixtures/tables/on_off.tsv --players attn,aug,norm --value accuracy",
        ),
        (
            "wandb_export.csv",
            "simic analyze shapley fixtures/tables/wandb_export.csv --players use_attn,use_aug,use_norm --value val/acc",
        ),
        ("sweep.csv", "simic analyze shapley fixtures/tables/sweep.csv --players attn,aug,norm"),
    ];
    for (name, command) in hints {
        let (code, stderr) = failure(&["analyze", "shapley", &table(name)]);
        assert!(code == Some(3) && stderr.contains(command), "{stderr}");
        let typed: Vec<&str> = command.split(' ').skip(1).collect();
        assert!(run(&typed).status.success(), "{command}");
    }
}

#[test]
fn values_that_are_not_finite_are_told_by_row() {
    let (code, stderr) = failure(&["analyze", "shapley", &table("diverged.ndjson")]);
    assert!(
        code == Some(3) && stderr.contains("row 5, column val_accuracy: NaN is not a finite number"),
        "{stderr}"
    );
    let (document, _) = shapley("diverged.ndjson", &["--on-bad", "skip"]);
    assert_eq!(document["input"]["skipped"], 1);
}

#[test]
fn observations_are_columns_by_name() {
    let steps = table("vector_steps.csv");
    let (document, _) = json(&["normalize", "replay", &steps, "--obs", "x,xdot,theta"]);
    assert_eq!((&document["rows"], &document["updates"]), (&240.into(), &60.into()));
    assert_eq!(document["settings"]["values"], serde_json::json!(["x", "xdot", "theta"]));
    let (code, stderr) = failure(&["normalize", "replay", &steps]);
    assert!(code == Some(3) && stderr.contains("--obs x,xdot,theta"), "{stderr}");
    let (code, stderr) = failure(&["normalize", "replay", &steps, "--obs", "x,y"]);
    assert!(code == Some(3) && stderr.contains("--obs y: there is no such column"), "{stderr}");
    let without_env = table("vector_steps_without_env.csv");
    let (code, stderr) = failure(&["normalize", "replay", &without_env, "--obs", "x,xdot,theta"]);
    assert!(code == Some(3) && stderr.contains("no column says which environment"), "{stderr}");
}

#[test]
fn lists_of_several_columns_are_one_observation() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let rows = |split: bool| -> String {
        let line = |k: i32| {
            let (a, b, c) = (f64::from(k).sin(), f64::from(k).cos(), f64::from(k % 7));
            if split {
                format!("{{\"step\":{k},\"pos\":[{a},{b}],\"speed\":{c}}}\n")
            } else {
                format!("{{\"step\":{k},\"obs\":[{a},{b},{c}]}}\n")
            }
        };
        (0..50).map(line).collect()
    };
    std::fs::write(path("whole.ndjson"), rows(false)).expect("written");
    std::fs::write(path("split.ndjson"), rows(true)).expect("written");
    let (whole, _) = json(&["normalize", "replay", &path("whole.ndjson"), "--force"]);
    let output = path("out.parquet");
    let (split, _) = json(&["normalize", "replay", &path("split.ndjson"), "--obs", "pos,speed"]);
    assert_eq!((&whole["mean"], &whole["var"]), (&split["mean"], &split["var"]));
    let written = run(&["normalize", "replay", &path("split.ndjson"), "--obs", "pos,speed", "-o", &output]);
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    // The written columns are those read, normalized: read again they have nearly unit variance.
    let (again, _) = json(&["normalize", "stats", &output, "--obs", "pos,speed"]);
    assert_eq!(again["mean"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_gap_in_numbered_columns_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("gap.csv").display().to_string();
    std::fs::write(&path, "step,obs0,obs1,obs3\n0,1,2,3\n1,2,3,4\n").expect("written");
    let (code, stderr) = failure(&["normalize", "replay", &path]);
    assert!(code == Some(3) && stderr.contains("no column obs2 before obs3"), "{stderr}");
    let (document, _) = json(&["normalize", "replay", &path, "--obs", "obs0,obs1,obs3"]);
    assert_eq!(document["mean"].as_array().map(Vec::len), Some(3));
}

#[test]
fn seeds_are_part_of_the_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("steps.csv").display().to_string();
    let mut text = String::from("seed,step,obs,reward\n");
    for seed in 0..2 {
        for step in 0..10 {
            text.push_str(&format!("{seed},{step},{}.5,1\n", seed * 100 + step));
        }
    }
    std::fs::write(&path, text).expect("written");
    let (document, _) = json(&["normalize", "replay", &path]);
    let runs: Vec<&Value> =
        document["runs"].as_array().expect("runs").iter().map(|run| &run["run_id"]).collect();
    assert_eq!(runs, ["steps/seed=0", "steps/seed=1"]);
}

#[test]
fn inspect_says_how_a_table_is_read_and_what_to_type() {
    let (document, _) = json(&["inspect", &table("pandas_wide.csv")]);
    let file = &document["files"][0];
    assert_eq!(file["roles"]["players"], serde_json::json!(["attn", "aug", "norm"]));
    assert_eq!(file["roles"]["seed"], serde_json::json!(["seed"]));
    assert_eq!(file["unused"], serde_json::json!([""]));
    assert_eq!(file["command"], format!("simic analyze shapley {}", table("pandas_wide.csv")));
    let (document, _) = json(&["inspect", &table("vector_steps.csv")]);
    let command = document["files"][0]["command"].as_str().expect("a command");
    assert_eq!(command, format!("simic normalize replay {} --obs x,xdot,theta", table("vector_steps.csv")));
    let (document, _) = json(&["inspect", &table("spreadsheet.csv")]);
    let command = document["files"][0]["command"].as_str().expect("a command");
    assert!(command.contains("--players 'mit attn,mit aug,mit norm' --value Genauigkeit"), "{command}");
}

#[test]
fn everything_odd_about_rows_is_told_with_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("odd.csv").display().to_string();
    let text = "env_id,episode,step,obs_0,obs_1,reward,done\n\
        0,0,0,1,5,1,0\n0,0,0,2,5,1,0\n0,0,3,3,5,nan,1\n0,0,4,4,5,1,0\n0,0,2,4,5,1,0\n1,0,0,1,5,1,0\n";
    std::fs::write(&path, text).expect("written");
    let (document, _) = json(&["inspect", &path, "--problems"]);
    let found: Vec<(String, u64, Option<u64>)> = document["files"][0]["oddities"]
        .as_array()
        .expect("oddities")
        .iter()
        .map(|row| {
            (
                row["problem"].as_str().expect("text").to_owned(),
                row["n"].as_u64().expect("n"),
                row["first_row"].as_u64(),
            )
        })
        .collect();
    let expected = [
        ("a dimension that never changes", 1, None),
        ("a number that is not finite", 1, Some(2)),
        ("a row after the end of its episode", 1, Some(3)),
        ("a step before the one above it", 1, Some(4)),
        ("an (episode, step) twice in a row", 1, Some(1)),
        ("environments out of step", 1, None),
        ("steps missing within an episode", 1, Some(2)),
    ];
    let found: Vec<(&str, u64, Option<u64>)> = found.iter().map(|(a, b, c)| (a.as_str(), *b, *c)).collect();
    assert_eq!(found, expected);
    assert!(run(&["inspect", &path, "--problems"]).status.success());
    assert_eq!(run(&["inspect", &path, "--problems", "--strict"]).status.code(), Some(1));
    assert_eq!(
        run(&["inspect", "fixtures/simulated/steps.parquet", "--problems", "--strict"]).status.code(),
        Some(0)
    );
    let (document, _) = json(&["inspect", "tests/cli/data/missing.csv", "--problems"]);
    assert_eq!(document["files"][0]["oddities"][0]["problem"], "a game that lacks coalitions");
}

#[test]
fn the_same_data_twice_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = std::fs::read_to_string("fixtures/tables/sweep.csv").expect("a table");
    for name in ["a.csv", "b.csv"] {
        std::fs::write(folder.path().join(name), &table).expect("written");
    }
    let run = |paths: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_simic"))
            .args(["analyze", "shapley", "--players", "attn,aug,norm", "--by", "lr", "--no-config"])
            .args(paths.iter().map(|path| folder.path().join(path)))
            .output()
            .expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, stderr) = run(&["a.csv", "b.csv"]);
    assert!(
        code == Some(0) && stderr.contains("runs a/seed=0 and b/seed=0 hold the same values"),
        "{stderr}"
    );
    assert!(!run(&["a.csv"]).1.contains("the same values"));
    // One other value, and they are two runs.
    let line = table.lines().nth(1).expect("a row").to_owned();
    let value = line.rsplit(',').next().expect("a value").to_owned();
    let changed = table.lines().map(|row| row.replace(&value, "0.5")).collect::<Vec<_>>().join("\n");
    std::fs::write(folder.path().join("b.csv"), changed).expect("written");
    let (_, stderr) = run(&["a.csv", "b.csv"]);
    assert!(!stderr.contains("a/seed=0 and b/seed=0"), "{stderr}");
}
