//! The program from outside: pipes, threads, atomic output, every spelling of a coalition.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn simic() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIMIC_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1");
    command
}

fn run(arguments: &[&str]) -> Output {
    simic().args(arguments).output().expect("the program starts")
}

fn stdout(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&stdout(arguments)).expect("valid JSON")
}

fn failure(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(arguments);
    assert!(output.stdout.is_empty(), "{arguments:?} printed a result");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

const CAMPAIGN: &str = "fixtures/simulated/campaign.parquet";

#[test]
fn every_method_gives_the_same_bytes_on_one_and_two_threads() {
    let drawn = ["--method", "permutation", "--permutations", "101"];
    let bootstrap = ["--ci", "bootstrap"];
    for (file, flags) in [
        (CAMPAIGN, [&["--ci", "bootstrap", "--cluster", "episode"][..], &drawn, &["--method", "kernel"]]),
        ("fixtures/simulated/walks.parquet", [&bootstrap, &["--confidence", "0.9"], &[]]),
        ("fixtures/digits_regions.parquet", [&bootstrap, &drawn, &[]]),
    ] {
        for more in flags {
            let with = |threads| {
                let mut arguments =
                    vec!["analyze", "shapley", file, "--format", "json", "--threads", threads];
                arguments.extend(more);
                stdout(&arguments)
            };
            assert_eq!(with("1"), with("2"), "{file} {more:?}");
        }
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = simic()
        .args(["analyze", "shapley", CAMPAIGN, "--format", "csv", "--method", "permutation"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // Read nothing at all and close.
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    assert_eq!((child.wait().expect("it ends").code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn json_is_the_documented_one() {
    let document = json(&["analyze", "shapley", CAMPAIGN, "--format", "json"]);
    assert_eq!(document["schema"], "simic.shapley/1");
    assert_eq!((&document["value"], &document["method"]), (&"val_accuracy".into(), &"exact".into()));
    assert_eq!(document["input"], serde_json::json!({"files": 1, "rows": 768, "skipped": 0}));
    assert_eq!(document["games"].as_array().map(Vec::len), Some(48));
    let player = &document["games"][0]["players"][0];
    // One noiseless table has no sampling error: null, not a width of zero.
    for key in ["sd", "stderr", "ci_low", "ci_high"] {
        assert!(player[key].is_null(), "{key}");
    }
    assert!(document["games"][0]["efficiency_gap"].as_f64().is_some_and(|gap| gap.abs() < 1e-15));
    let slot = &document["summary"][0];
    assert_eq!(
        (&slot["slot_id"], &slot["n_units"], &slot["n_games"]),
        (&"r0c0".into(), &3.into(), &48.into())
    );
    assert_eq!(slot["significant"], true);
}

#[test]
fn one_unit_has_no_interval_in_any_format() {
    let document = json(&["analyze", "shapley", "fixtures/reference/glove_1_2.parquet", "--format", "json"]);
    let slot = &document["summary"][0];
    for key in ["sd", "stderr", "ci_low", "ci_high", "t", "p_value", "p_adjusted", "significant"] {
        assert!(slot[key].is_null(), "{key}");
    }
}

#[test]
fn every_spelling_and_format_of_a_game_gives_the_same_values() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).expect("written");
        path(name)
    };
    let mut spellings = Vec::new();
    for spelling in ["config", "mask", "columns"] {
        let file = path(&format!("{spelling}.parquet"));
        stdout(&[
            "simulate",
            "coalitions",
            "-o",
            &file,
            "--slots",
            "a,b,c",
            "--effects",
            "0.5,0.25,-0.125",
            "--noise",
            "0",
            "--spread",
            "0",
            "--n-episodes",
            "2",
            "--n-envs",
            "1",
            "--spelling",
            spelling,
        ]);
        spellings.push(file);
    }
    // The same game with slots in another order in every other row.
    let value = |on: [bool; 3]| {
        let pair = if on[0] && on[1] { 0.1 / 3.0 } else { 0.0 };
        0.5 + f64::from(u8::from(on[0])) * 0.5 + f64::from(u8::from(on[1])) * 0.25
            - f64::from(u8::from(on[2])) * 0.125
            + pair
    };
    let mut ndjson = String::new();
    let mut csv = "run_id,episode,mask,val_accuracy\n".to_owned();
    for episode in 0..2 {
        for mask in 0..8usize {
            let on = [mask & 1 == 1, mask >> 1 & 1 == 1, mask >> 2 & 1 == 1];
            let (ids, config) =
                if mask % 2 == 0 { (["a", "b", "c"], on) } else { (["c", "a", "b"], [on[2], on[0], on[1]]) };
            let row = serde_json::json!({"run": "run0", "episode_idx": episode, "slot_ids": ids, "config": config, "val_accuracy": value(on)});
            ndjson.push_str(&format!("{row}\n"));
            csv.push_str(&format!("run0,{episode},{mask},{}\n", value(on)));
        }
    }
    spellings.push(write("rows.ndjson", &ndjson));
    spellings.push(write("rows.csv", &csv));
    for file in &spellings {
        // Only rows of bare masks need to be told.
        let is_bare = file.contains("mask") || file.contains("rows.csv");
        let slots: &[&str] = if is_bare { &["--slots", "a,b,c"] } else { &[] };
        let document = json(&[&["analyze", "shapley", file, "--format", "json"], slots].concat());
        assert_eq!(document["games"].as_array().map(Vec::len), Some(2), "{file}");
        for (slot, expected) in document["summary"].as_array().expect("a summary").iter().zip([
            ("a", 0.5 + 0.05 / 3.0),
            ("b", 0.25 + 0.05 / 3.0),
            ("c", -0.125),
        ]) {
            assert_eq!(slot["slot_id"], expected.0, "{file}");
            let mean = slot["mean"].as_f64().expect("a mean");
            assert!((mean - expected.1).abs() < 1e-12, "{file}: {mean} against {}", expected.1);
        }
    }
    // Standard input: told by its first bytes.
    let bytes = std::fs::read(&spellings[0]).expect("readable");
    for (bytes, name) in [(bytes, "Parquet"), (ndjson.into_bytes(), "NDJSON"), (csv.into_bytes(), "CSV")] {
        let mut child = simic()
            .args(["analyze", "shapley", "-", "--format", "json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("piped").write_all(&bytes).expect("written");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{name}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("valid JSON");
        assert_eq!(document["games"].as_array().map(Vec::len), Some(2), "{name}");
    }
}

#[test]
fn more_players_than_a_word_holds() {
    // 70 slots of effect i/100: along any walk each earns just that.
    let n = 70;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("wide.csv");
    let mut text = (0..n).map(|i| format!("slot:x{i}")).collect::<Vec<_>>().join(",");
    text.push_str(",perm,pos,val_accuracy\n");
    for perm in 0..4usize {
        let order: Vec<usize> = (0..n)
            .map(|i| if perm % 2 == 0 { (i * 11 + perm) % n } else { ((n - 1 - i) * 11 + perm - 1) % n })
            .collect();
        for pos in 0..=n {
            let on: Vec<usize> = order[..pos].to_vec();
            let cells: Vec<&str> = (0..n).map(|i| if on.contains(&i) { "true" } else { "false" }).collect();
            let value: f64 = on.iter().map(|i| *i as f64 / 100.0).sum();
            text.push_str(&format!("{},{perm},{pos},{value}\n", cells.join(",")));
        }
    }
    std::fs::write(&file, text).expect("written");
    let file = file.to_string_lossy().into_owned();
    let document = json(&["analyze", "shapley", &file, "--format", "json"]);
    let game = &document["games"][0];
    assert_eq!(
        (&game["method"], &game["antithetic"], &game["n_players"]),
        (&"permutation".into(), &true.into(), &70.into())
    );
    for (i, player) in game["players"].as_array().expect("players").iter().enumerate() {
        assert_eq!(player["slot_id"], format!("x{i}"));
        assert!((player["shapley"].as_f64().expect("a value") - i as f64 / 100.0).abs() < 1e-12);
        assert_eq!(player["n_samples"], 2);
    }
    let (code, stderr) = failure(&["analyze", "shapley", &file, "--method", "exact"]);
    assert_eq!(code, Some(3));
    assert!(stderr.contains("at most 30"), "{stderr}");
}

#[test]
fn output_is_whole_or_not_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out.json").to_string_lossy().into_owned();
    let (code, _) = failure(&["analyze", "shapley", "fixtures/README.md", "-o", &out, "--format", "json"]);
    assert_eq!(code, Some(3));
    assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0, "nothing is left behind");
    stdout(&["analyze", "shapley", CAMPAIGN, "-o", &out, "--format", "json"]);
    let first = std::fs::read(&out).expect("written");
    let (code, stderr) = failure(&["analyze", "shapley", CAMPAIGN, "-o", &out]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--force"), "{stderr}");
    assert_eq!(std::fs::read(&out).expect("still there"), first);
    stdout(&["analyze", "shapley", CAMPAIGN, "-o", &out, "--force", "--cluster", "game"]);
    assert_ne!(std::fs::read(&out).expect("replaced"), first);
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let directory = tempfile::tempdir().expect("a directory");
    let whole = std::fs::read(CAMPAIGN).expect("a fixture");
    let file = directory.path().join("damaged.parquet");
    let name = file.to_string_lossy().into_owned();
    let mut outcomes = std::collections::BTreeMap::new();
    // Cut anywhere, and single bytes flipped all over: an error or (in a byte nobody needs) a result.
    let cuts = (0..whole.len()).step_by(whole.len() / 12).map(|n| whole[..n].to_vec());
    let flips = (4..whole.len()).step_by(whole.len() / 60).map(|n| {
        let mut bytes = whole.clone();
        bytes[n] ^= 0x55;
        bytes
    });
    for bytes in cuts.chain(flips) {
        std::fs::write(&file, bytes).expect("written");
        let output = run(&["analyze", "shapley", &name]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 3)), "{code:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        *outcomes.entry(code).or_insert(0) += 1;
    }
    assert!(outcomes.get(&Some(3)).is_some_and(|n| *n >= 13), "{outcomes:?}");
}

#[test]
fn settings_come_from_flags_then_environment_then_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let fixture = std::fs::canonicalize(CAMPAIGN).expect("a fixture");
    std::fs::write(
        directory.path().join("simic.toml"),
        "format = \"json\"\n[analyze.shapley]\nconfidence = 0.5\nvalue = [\"val_loss\"]\n",
    )
    .expect("written");
    std::fs::create_dir(directory.path().join("below")).expect("created");
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = simic()
            .current_dir(directory.path().join("below"))
            .args(["analyze", "shapley"])
            .arg(&fixture)
            .args(arguments)
            .envs(environment.iter().copied())
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let document = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let from_file = document(&run(&[], &[]));
    assert_eq!((&from_file["confidence"], &from_file["value"]), (&0.5.into(), &"val_loss".into()));
    let from_environment = document(&run(&[], &[("SIMIC_CONFIDENCE", "0.9")]));
    assert_eq!(from_environment["confidence"], 0.9);
    let from_flag = document(&run(&["--confidence", "0.99"], &[("SIMIC_CONFIDENCE", "0.9")]));
    assert_eq!(from_flag["confidence"], 0.99);
    assert!(run(&["--no-config"], &[]).contains("Shapley values of val_accuracy"));
    std::fs::write(directory.path().join("simic.toml"), "fromat = \"json\"\n").expect("written");
    let output =
        simic().current_dir(directory.path()).args(["inspect", "."]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("fromat"));
}

#[test]
fn runs_are_found_by_default() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("runs")).expect("created");
    std::fs::copy(CAMPAIGN, directory.path().join("runs/a.parquet")).expect("copied");
    std::fs::copy("fixtures/simulated/steps.parquet", directory.path().join("runs/steps.parquet"))
        .expect("copied");
    let run = |runs: Option<&Path>| {
        let mut command = simic();
        command.current_dir(directory.path()).args(["analyze", "shapley", "--format", "json"]);
        runs.map(|runs| command.env("SIMIC_RUNS", runs));
        command.output().expect("the program starts")
    };
    let default = run(None);
    assert!(default.status.success());
    assert!(String::from_utf8_lossy(&default.stderr).contains("1 file with transitions rows"));
    let elsewhere = std::fs::canonicalize("fixtures/reference/glove_1_2.parquet").expect("a fixture");
    let from_environment: serde_json::Value =
        serde_json::from_slice(&run(Some(&elsewhere)).stdout).expect("valid JSON");
    assert_eq!(from_environment["games"][0]["run_id"], "glove_1_2");
    // A quoted pattern.
    let output = simic()
        .current_dir(directory.path())
        .args(["analyze", "shapley", "runs/a*.parquet", "--format", "csv"])
        .output()
        .expect("the program starts");
    assert!(output.status.success());
}

#[test]
fn manual_and_completions_cover_every_verb() {
    let manual = stdout(&["man"]);
    for verb in ["inspect", "analyze", "simulate", "completions"] {
        assert!(manual.contains(verb), "{verb}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stdout(&["completions", shell]).contains("simic"), "{shell}");
    }
}

#[test]
fn progress_is_shown_only_when_asked_off_a_terminal() {
    let quiet = run(&["analyze", "shapley", CAMPAIGN]);
    assert!(quiet.stderr.is_empty());
    let asked = run(&["analyze", "shapley", CAMPAIGN, "--progress", "always"]);
    assert!(asked.status.success());
    assert_eq!(quiet.stdout, asked.stdout);
}

/// A folder with one text file, and the file's path.
fn file_of(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name).display().to_string();
    std::fs::write(&path, text).expect("written");
    (directory, path)
}

fn shapley_of(document: &serde_json::Value, slot: &str) -> f64 {
    let players = document["games"][0]["players"].as_array().expect("players");
    let player = players.iter().find(|player| player["slot_id"] == slot).expect("the slot");
    player["shapley"].as_f64().expect("a number")
}

#[test]
fn a_null_in_a_configuration_costs_its_row_only() {
    let columns = "run_id,val_accuracy,slot:x,slot:y\na,0,false,false\na,1,true,false\na,2,false,true\na,3,true,true\na,9,true,\n";
    let lists = r#"{"slot_ids":["x","y"],"config":[false,false],"val_accuracy":0}
{"slot_ids":["x","y"],"config":[true,false],"val_accuracy":1}
{"slot_ids":["x","y"],"config":[true,null],"val_accuracy":9}
{"slot_ids":["x","y"],"config":[false,true],"val_accuracy":2}
{"slot_ids":["x","y"],"config":[true,true],"val_accuracy":3}
"#;
    for (name, text) in [("a.csv", columns), ("a.ndjson", lists)] {
        let (_directory, path) = file_of(name, text);
        let (code, stderr) = failure(&["analyze", "shapley", &path]);
        assert!(code == Some(3) && stderr.contains("null"), "{stderr}");
        let document = json(&["analyze", "shapley", &path, "--on-bad", "skip", "--format", "json"]);
        assert_eq!((shapley_of(&document, "x"), shapley_of(&document, "y")), (1.0, 2.0), "{name}");
        assert_eq!(document["input"]["skipped"], 1);
    }
}

#[test]
fn a_broken_permutation_can_be_left_out() {
    let walk = |perm: u32, masks: &[u32]| -> String {
        let rows = masks.iter().enumerate();
        rows.map(|(pos, mask)| format!("{mask},{mask},{perm},{pos}\n")).collect()
    };
    let text = [
        "mask,val_accuracy,perm,pos\n".to_owned(),
        walk(0, &[0, 1, 3]),
        walk(1, &[0, 2, 3]),
        walk(2, &[0, 3]),
    ];
    let (_directory, path) = file_of("w.csv", &text.concat());
    let (code, stderr) = failure(&["analyze", "shapley", &path, "--method", "permutation"]);
    assert!(code == Some(3) && stderr.contains("--on-bad skip"), "{stderr}");
    let arguments =
        ["analyze", "shapley", &path, "--method", "permutation", "--on-bad", "skip", "--format", "json"];
    assert_eq!(shapley_of(&json(&arguments), "s1"), 2.0);
}

#[test]
fn numbers_that_overflow_are_an_error() {
    let (_directory, path) = file_of("h.csv", "mask,val_accuracy\n0,1e308\n1,-1e308\n");
    let (code, stderr) = failure(&["analyze", "shapley", &path]);
    assert!(code == Some(3) && stderr.contains("overflow"), "{stderr}");
}

#[test]
fn bounds_hold_for_more_players_than_a_double_can_count() {
    let n = 1100;
    let ids: Vec<String> = (0..n).map(|i| format!("s{i}")).collect();
    let row = |is_on: bool, value: f64| {
        serde_json::json!({"slot_ids": ids, "config": vec![is_on; n], "val_accuracy": value}).to_string()
    };
    let (_directory, path) = file_of("b.ndjson", &[row(false, 0.0), row(true, 1.0)].join("\n"));
    let arguments = ["analyze", "shapley", &path, "--method", "bounds", "--range", "0,1", "--format", "json"];
    let player = &json(&arguments)["games"][0]["players"][7];
    // All but two coalitions are unseen: 1/n is known, the other sizes may give or take all they weigh.
    let (low, high) = (player["bound_low"].as_f64(), player["bound_high"].as_f64());
    let rest = 1.0 - 1.0 / n as f64;
    assert!((low.expect("low") - (1.0 / n as f64 - rest)).abs() < 1e-9, "{low:?}");
    assert!((high.expect("high") - 1.0).abs() < 1e-9, "{high:?}");
}

#[test]
fn missing_coalitions_of_many_players_are_named() {
    let ids: Vec<String> = (0..70).map(|i| format!("s{i}")).collect();
    let row = |is_on: bool, value: f64| {
        serde_json::json!({"slot_ids": ids, "config": vec![is_on; 70], "val_accuracy": value}).to_string()
    };
    let (_directory, path) = file_of("b.ndjson", &[row(false, 0.0), row(true, 1.0)].join("\n"));
    let (_, stderr) = failure(&["analyze", "shapley", &path]);
    assert!(stderr.contains("of 2^70") && stderr.contains("{s0}, {s1}"), "{stderr}");
}

#[test]
fn slot_columns_of_another_file_do_not_widen_bare_masks() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("written");
    write("a.csv", "run_id,episode,mask,val_accuracy\nr,0,0,0\nr,0,1,1\nr,0,2,2\nr,0,3,3\n");
    let named: String = (0..8).map(|m| format!("r,1,{m},{},{},{}\n", m & 1, m >> 1 & 1, m >> 2)).collect();
    write("b.csv", &format!("run_id,episode,val_accuracy,slot:x,slot:y,slot:z\n{named}"));
    let path = directory.path().display().to_string();
    let document = json(&["analyze", "shapley", &path, "--format", "json"]);
    assert_eq!((&document["games"][0]["n_players"], &document["method"]), (&2.into(), &"exact".into()));
}

#[test]
fn baseline_and_full_are_those_of_the_permutations_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("w.parquet").display().to_string();
    stdout(&["simulate", "coalitions", "-o", &path, "--walks", "5", "--n-episodes", "1", "--n-envs", "1"]);
    let document = json(&["analyze", "shapley", &path, "--format", "json"]);
    let gap = document["games"][0]["efficiency_gap"].as_f64().expect("a gap");
    assert!(gap.abs() < 1e-12, "{gap}");
}

#[test]
fn an_output_that_would_destroy_something_is_refused() {
    let (directory, path) = file_of("g.csv", "mask,val_accuracy\n0,1\n1,2\n");
    let (code, stderr) = failure(&["analyze", "shapley", &path, "-o", &path, "--force"]);
    assert!(code == Some(2) && stderr.contains("one of the files read"), "{stderr}");
    let folder = directory.path().display().to_string();
    assert_eq!(failure(&["analyze", "shapley", &path, "-o", &folder]).0, Some(2));
    let csv = format!("{folder}/sim.csv");
    assert_eq!(failure(&["simulate", "coalitions", "-o", &csv]).0, Some(2));
}

#[test]
fn a_misspelt_table_in_the_settings_is_an_error() {
    let (directory, path) = file_of("g.csv", "mask,val_accuracy\n0,1\n1,2\n");
    for text in ["[analyze.shapely]\nconfidence = 0.9\n", "[inspect]\nbogus = 1\n"] {
        std::fs::write(directory.path().join("simic.toml"), text).expect("written");
        let output =
            simic().current_dir(&directory).args(["analyze", "shapley", &path]).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{text}");
    }
}

#[test]
fn a_flag_whose_value_may_be_left_out_is_true_or_false_in_the_settings() {
    let (directory, _) = file_of("g.csv", "mask,val_accuracy\n0,1\n1,2\n");
    let run = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/esper/run_s_s11");
    for (value, is_compared) in [("true", true), ("false", false)] {
        let text = format!("[analyze.shapley]\ncompare-recorded = {value}\n");
        std::fs::write(directory.path().join("simic.toml"), text).expect("written");
        let output =
            simic().current_dir(&directory).args(["analyze", "shapley", run]).output().expect("runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(table.contains("The trainer's own"), is_compared, "{table}");
    }
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let (_directory, path) = file_of("g.csv", "mask,val_accuracy\n0,1\n1,2\n");
    let table = stdout(&["analyze", "shapley", &path, "--slots", "\u{1b}[31mred\u{202e}"]);
    assert!(!table.contains(['\u{1b}', '\u{202e}']) && table.contains("\\u{1b}"), "{table:?}");
}

#[test]
fn when_everything_is_left_out_there_is_no_result() {
    let (_directory, path) = file_of("g.csv", "mask,val_accuracy\n1,1\n2,2\n");
    let (code, stderr) = failure(&["analyze", "shapley", &path, "--on-bad", "skip"]);
    assert!(code == Some(3) && stderr.contains("everything was left out"), "{stderr}");
}

#[test]
fn settings_of_returns_are_compared_as_they_are_replayed() {
    let steps = "fixtures/normalizers/steps.parquet";
    let document = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&stdout(&[arguments, &["--format", "json"]].concat())).expect("JSON")
    };
    for preset in ["sb3", "gymnasium", "rsl-rl"] {
        let flags = ["--preset", preset, "--target", "reward"];
        let compared = document(&[&["normalize", "compare", steps], &flags[..]].concat());
        let stats = document(&[&["normalize", "stats", steps], &flags[..]].concat());
        let settings = compared["runs"][0]["settings"].as_array().expect("settings");
        let own = settings.iter().find(|setting| setting["kind"] == stats["kind"]).expect("the preset's own");
        assert_eq!((&own["mean"], &own["var"]), (&stats["mean"], &stats["var"]), "{preset}");
        assert_eq!(own["clip_fraction"], stats["clip_fraction"], "{preset}");
    }
}

#[test]
fn the_least_error_is_that_of_a_pace_between_noise_and_drift() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("steps.parquet").display().to_string();
    let simulate = ["simulate", "transitions", "-o", &path, "--n-steps", "4000", "--n-envs", "2"];
    assert!(run(&[&simulate[..], &["--shift-at", "2000", "--shift", "6"]].concat()).status.success());
    let text = stdout(&["normalize", "compare", &path, "--momentum", "auto", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let run = &document["runs"][0];
    let errors: Vec<f64> = (run["settings"].as_array().expect("settings").iter())
        .map(|setting| setting["error"].as_f64().expect("an error"))
        .collect();
    let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(run["recommended"]["error"].as_f64(), Some(least));
    // Two rows a batch at momentum 0.5 are noise; full history never gets over half a run of shift.
    let momentum = run["recommended"]["momentum"].as_f64().expect("a moving average");
    assert!((0.8..0.99).contains(&momentum), "{momentum}");
    assert!(errors[0] > 1.2 * least && errors[errors.len() - 1] > 2.0 * least, "{errors:?}");
}

#[test]
fn what_every_command_has_is_told_once() {
    let page = stdout(&["help", "common"]);
    assert!(page.contains("--max-memory") && page.contains("--column"), "{page}");
    for verb in [
        &["inspect", "--help"][..],
        &["analyze", "shapley", "-h"],
        &["normalize", "replay", "--help"],
        &["--help"],
    ] {
        let help = stdout(verb);
        assert!(!help.contains("--progress") && help.contains("simic help common"), "{help}");
    }
    assert!(stdout(&["man", "analyze", "shapley"]).contains("permutations"));
    assert!(!stdout(&["man", "analyze", "shapley"]).contains("carry-over"));
    let unknown = run(&["man", "analyse"]);
    assert_eq!(unknown.status.code(), Some(2));
    for (verb, known) in [(&["inspct"][..], "normalize"), (&["normalize", "relpay"], "merge")] {
        let wrong = run(verb);
        let stderr = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert!(wrong.status.code() == Some(2) && stderr.contains(known), "{stderr}");
    }
    let misplaced = run(&["check", "--momentum", "0.9"]);
    let stderr = String::from_utf8_lossy(&misplaced.stderr).into_owned();
    assert!(stderr.contains("[check.NAME], write flags = { momentum = ... }"), "{stderr}");
}

#[test]
fn settings_that_were_not_typed_are_named() {
    let command = |arguments: &[&str]| {
        let output =
            simic().args(arguments).env("SIMIC_CONFIDENCE", "0.9").output().expect("the program starts");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let plain = command(&["analyze", "shapley", CAMPAIGN]);
    assert_eq!(plain, "note: --confidence 0.9, from SIMIC_CONFIDENCE\n");
    let verbose = command(&["analyze", "shapley", CAMPAIGN, "--cluster", "run", "-v"]);
    for line in
        ["--confidence 0.9 (SIMIC_CONFIDENCE)", "--cluster run (command line)", "--method auto (default)"]
    {
        assert!(verbose.contains(line), "{verbose}");
    }
}

#[cfg(unix)]
#[test]
fn progress_appears_after_a_while_and_leaves_a_clear_line() {
    // A pseudo-terminal by util-linux's script, where there is one.
    let Ok(output) = Command::new("script")
        .args(["-qec", &format!("{} analyze shapley {CAMPAIGN}", env!("CARGO_BIN_EXE_simic")), "/dev/null"])
        .output()
    else {
        println!("skipped: there is no script(1) to make a terminal");
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("r0c0") && !shown.contains("0/0") && !shown.contains("reading"), "{shown}");
}

#[test]
fn a_conclusion_says_the_units_of_its_own_slot() {
    let document = json(&[
        "analyze",
        "shapley",
        "fixtures/digits_regions.parquet",
        "fixtures/simulated/campaign.parquet",
        "--format",
        "json",
    ]);
    let verdict = document["verdict"].to_string();
    assert!(
        verdict.contains("r0c2 hurts") && verdict.contains("n = 3 runs") && verdict.contains("n = 10 runs"),
        "{verdict}"
    );
}

#[test]
fn a_conclusion_says_where_intervals_are_too_narrow() {
    let verdict = |flags: &[&str]| {
        json(
            &[&["analyze", "shapley", "fixtures/digits_regions.parquet", "--format", "json"], flags].concat(),
        )["verdict"]
            .to_string()
    };
    assert!(verdict(&["--ci", "bootstrap"]).contains("bootstrap of 10 units are too narrow"));
    assert!(verdict(&["--ci", "normal"]).contains("normal of 10 units are too narrow"));
    assert!(!verdict(&[]).contains("too narrow"));
}

#[test]
fn values_beyond_squares_have_no_interval() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("huge.csv");
    let mut rows = "run_id,mask,val_accuracy\n".to_owned();
    for (run, value) in [("a", "1e300"), ("b", "-1e300"), ("c", "3e299")] {
        rows.push_str(&format!("{run},0,0\n{run},1,{value}\n"));
    }
    std::fs::write(&file, rows).expect("written");
    let document = json(&["analyze", "shapley", file.to_str().expect("text"), "--format", "json"]);
    let row = &document["summary"][0];
    assert!(row["ci_low"].is_null() && row["p_value"].is_null() && row["t"].is_null(), "{row}");
}

/// A URL is never taken for a path, also where no store can be asked.
#[cfg(not(feature = "cloud"))]
#[test]
fn urls_are_refused_where_stores_are_not_built_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |words: &[&str], code: i32, what: &str| {
        let output =
            simic().args(words).arg("--no-config").current_dir(folder.path()).output().expect("it runs");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(what) && said.contains("hint: ") && !said.contains("secret"), "{said}");
    };
    let absent = "this build has no object stores";
    for url in
        ["s3://bucket/runs/", "gs://bucket/*.parquet", "az://c/x.csv", "https://me:secret@h/x.csv?sig=secret"]
    {
        let (code, what) = if url.contains('@') { (2, "a user or a password") } else { (3, absent) };
        refused(&["inspect", url], code, what);
    }
    refused(
        &["inspect", "https://h/x.csv?sig=secret"],
        3,
        "https://h/x.csv: this build has no object stores",
    );
    let rows = ["simulate", "transitions", "--n-steps", "10", "-o"];
    refused(&[&rows[..], &["s3://bucket/x.parquet"]].concat(), 3, absent);
    refused(&[&rows[..], &["s3://bucket/folder/"]].concat(), 3, absent);
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0, "no folder called s3:");
    let read = ["normalize", "stats", "x.parquet", "--state-in", "s3://bucket/state.json"];
    refused(&read, 2, "only RUNS, outputs and jobs may lie in an object store");
}

/// A flag of some commands at the top level of simic.toml is theirs, and nobody else's; one of none is an error.
#[test]
fn a_commands_flag_at_the_top_level_is_no_error_of_other_commands() {
    let (directory, path) = super::normalizers::folder();
    let games =
        std::fs::canonicalize("fixtures/simulated/campaign.parquet").expect("there").display().to_string();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_simic"));
        command.args(arguments).current_dir(directory.path()).output().expect("it runs")
    };
    std::fs::write(path("simic.toml"), "confidence = 0.8\n").expect("written");
    for command in [&["inspect", games.as_str()][..], &["devices"]] {
        let output = run(command);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let shapley = ["analyze", "shapley", games.as_str(), "--format", "json"];
    let planned = [&["shard", "plan", "job", "--"][..], &shapley].concat();
    assert!(String::from_utf8_lossy(&run(&shapley).stdout).contains("\"confidence\":0.8"));
    assert_eq!(run(&planned).status.code(), Some(0));
    assert!(std::fs::read_to_string(path("job/job.json")).expect("a job").contains("\"confidence\": 0.8"));
    std::fs::write(path("simic.toml"), "confidnece = 0.8\n").expect("written");
    for command in [&["inspect", games.as_str()][..], &shapley] {
        let output = run(command);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("confidnece: no such setting"));
    }
    assert!(String::from_utf8_lossy(&run(&shapley).stderr).contains("is confidence meant?"));
}

/// What is wrong with a configuration stands in a line, and names that are nearly right are asked for.
#[test]
fn misspelt_settings_are_asked_for() {
    let (directory, path) = super::normalizers::folder();
    let games = std::fs::canonicalize(CAMPAIGN).expect("there").display().to_string();
    let told = |config: &str, variable: &str| {
        std::fs::write(path("simic.toml"), config).expect("written");
        let mut command = simic();
        command.args(["analyze", "shapley", &games]).current_dir(directory.path()).env(variable, "0.8");
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (config, problem) in [
        ("seed = 1\n\n[analyze.shapley]\nconfidence = = 2\n", "line 4: "),
        ("[analyze.shaply]\nconfidence = 0.8\n", "is shapley meant?"),
        ("[analyze.shapley]\nconfidnece = 0.8\n", "is confidence meant?"),
    ] {
        let (code, stderr) = told(config, "OTHER");
        assert!(code == Some(2) && stderr.contains(problem), "{config}: {stderr}");
    }
    let (code, stderr) = told("", "SIMIC_CONFIDENSE");
    assert!(code == Some(0) && stderr.contains("SIMIC_CONFIDENSE sets nothing: is SIMIC_CONFIDENCE meant?"));
    // Set for something else.
    for variable in ["SIMIC_HOME_OF_OTHERS", "SIMIC_RUNS", "SIMIC_BIN", "SIMIC_CONFIDENCE"] {
        let (code, stderr) = told("", variable);
        assert!(code == Some(0) && !stderr.contains("sets nothing"), "{variable}: {stderr}");
    }
}
