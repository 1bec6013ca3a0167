//! What is read is what was recorded: runs told apart, columns read or refused, nothing left out uncounted.

use std::process::{Command, Output};

use serde_json::Value;
use simic::records::{Compression, ParquetTable, TableWriter};

/// A folder of recordings.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        path
    }

    fn text(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.path(name), text).expect("written");
        self
    }

    /// A Parquet file with a row group per table.
    fn parquet(&self, name: &str, groups: Vec<ParquetTable>) -> &Self {
        let file = std::fs::File::create(self.path(name)).expect("created");
        let mut writer = TableWriter::new(&file, Compression::Uncompressed).expect("a file");
        for group in groups {
            writer.write(group).expect("written");
        }
        writer.finish().expect("finished");
        self
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIMIC_"))
        {
            command.env_remove(name);
        }
        command.current_dir(self.0.path()).args(arguments).output().expect("the program starts")
    }

    /// The document and what was said beside it.
    fn json(&self, arguments: &[&str]) -> (Value, String) {
        let output = self.run(&[arguments, &["--format", "json"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        (serde_json::from_slice(&output.stdout).expect("valid JSON"), stderr)
    }

    /// The exit code and the message of a command without a result.
    fn failure(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.stdout.is_empty(), "{arguments:?} printed a result: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        (output.status.code(), stderr)
    }
}

#[test]
fn a_field_mapped_twice_is_a_usage_error() {
    let folder = Folder::new();
    folder.text("a.csv", "bits,on,val_accuracy\n0,1,1\n1,0,2\n");
    let mapped = ["analyze", "shapley", "a.csv", "--column", "mask=bits", "--column", "mask=on"];
    let (code, stderr) = folder.failure(&mapped);
    assert!(code == Some(2) && stderr.contains("mask is mapped twice, to bits and to on"), "{stderr}");
}

/// Shapley values of the only game, in order of player.
fn shapley(document: &Value) -> Vec<f64> {
    assert_eq!(document["games"].as_array().map(Vec::len), Some(1), "{document}");
    let players = document["games"][0]["players"].as_array().expect("players");
    players.iter().map(|player| player["shapley"].as_f64().expect("a number")).collect()
}

/// Two row groups, each with `slot:y` of one value: its statistics make it a constant.
fn constant_groups(column: impl Fn(ParquetTable, [bool; 2], [bool; 2]) -> ParquetTable) -> Vec<ParquetTable> {
    let group = |y: bool| {
        let value = 2.0 * f64::from(u8::from(y));
        let values = ParquetTable::new().floats("val_accuracy", &[value, value + 1.0]);
        column(values, [false, true], [y, y])
    };
    vec![group(false), group(true)]
}

#[test]
fn slot_columns_of_zeros_and_ones_are_read_also_where_one_value_fills_a_row_group() {
    let folder = Folder::new();
    folder.parquet(
        "bools.parquet",
        constant_groups(|table, x, y| table.bools("slot:x", &x).bools("slot:y", &y)),
    );
    folder.parquet(
        "ints.parquet",
        constant_groups(|table, x, y| {
            table.ints("slot:x", &x.map(i64::from)).ints("slot:y", &y.map(i64::from))
        }),
    );
    folder.parquet(
        "floats.parquet",
        constant_groups(|table, x, y| {
            let numbers = |on: [bool; 2]| on.map(|on| f64::from(u8::from(on)));
            table.floats("slot:x", &numbers(x)).floats("slot:y", &numbers(y))
        }),
    );
    for file in ["bools.parquet", "ints.parquet", "floats.parquet"] {
        for on_bad in ["error", "skip"] {
            let (document, _) = folder.json(&["analyze", "shapley", file, "--on-bad", on_bad]);
            assert_eq!(shapley(&document), [1.0, 2.0], "{file} {on_bad}");
            assert_eq!(document["input"]["skipped"], 0, "{file} {on_bad}");
        }
    }
}

#[test]
fn slot_columns_of_other_numbers_are_bad_rows_and_of_text_bad_columns() {
    let folder = Folder::new();
    let two =
        |value: i64| ParquetTable::new().ints("slot:x", &[value; 2]).floats("val_accuracy", &[5.0, 5.0]);
    let sound = ParquetTable::new().ints("slot:x", &[0, 1]).floats("val_accuracy", &[0.0, 1.0]);
    folder.parquet("two.parquet", vec![sound, two(2)]);
    let (code, stderr) = folder.failure(&["analyze", "shapley", "two.parquet"]);
    assert!(code == Some(3) && stderr.contains("row 2, column slot:x"), "{stderr}");
    let (document, _) = folder.json(&["analyze", "shapley", "two.parquet", "--on-bad", "skip"]);
    assert_eq!((shapley(&document), &document["input"]["skipped"]), (vec![1.0], &2.into()));
    folder.text("text.csv", "slot:x,val_accuracy\nup,1\ndown,2\n");
    for on_bad in ["error", "skip"] {
        let (code, stderr) = folder.failure(&["analyze", "shapley", "text.csv", "--on-bad", on_bad]);
        assert!(code == Some(3) && stderr.contains("text.csv: column slot:x: expected"), "{stderr}");
    }
}

#[test]
fn what_is_no_list_in_place_of_one_is_an_error_of_its_column_or_row() {
    let folder = Folder::new();
    folder.text("a.csv", "slot_ids,mask,val_accuracy\n7,0,1\n7,1,2\n");
    for on_bad in ["error", "skip"] {
        let (code, stderr) = folder.failure(&["analyze", "shapley", "a.csv", "--on-bad", on_bad]);
        assert!(code == Some(3) && stderr.contains("a.csv: column slot_ids: expected a list"), "{stderr}");
    }
    folder.text("c.csv", "config,val_accuracy\n0,1\n1,2\n1 x,2\n");
    let (code, stderr) = folder.failure(&["analyze", "shapley", "c.csv"]);
    assert!(
        code == Some(3) && stderr.contains("c.csv: row 2, column config: expected 0 and 1 in a row"),
        "{stderr}"
    );
    let (document, _) = folder.json(&["analyze", "shapley", "c.csv", "--on-bad", "skip"]);
    assert_eq!((shapley(&document), &document["input"]["skipped"]), (vec![1.0], &1.into()));
}

#[test]
fn integer_keys_too_large_to_tell_apart_are_bad_rows() {
    let folder = Folder::new();
    folder.text(
        "a.csv",
        "episode,mask,val_accuracy\n9223372036854775809,0,1\n9223372036854775810,1,2\n0,0,0\n0,1,1\n",
    );
    let (code, stderr) = folder.failure(&["analyze", "shapley", "a.csv"]);
    assert!(code == Some(3) && stderr.contains("row 0, column episode: expected an integer"), "{stderr}");
    let (document, _) = folder.json(&["analyze", "shapley", "a.csv", "--on-bad", "skip"]);
    assert_eq!((shapley(&document), &document["input"]["skipped"]), (vec![1.0], &2.into()));
}

/// Rewards of one environment: 1 at each of six steps, the third one ending an episode.
fn steps(flag: &str, cells: [&str; 6]) -> String {
    let rows = cells.iter().enumerate().map(|(step, cell)| format!("0,{step},1,{cell}\n"));
    format!("episode,step,reward,{flag}\n{}", rows.collect::<String>())
}

#[test]
fn flags_of_zeros_and_ones_are_read_as_those_of_true_and_false() {
    let folder = Folder::new();
    let replay = |file: &str, more: &[&str]| {
        let arguments = ["normalize", "replay", file, "--target", "reward"];
        folder.json(&[&arguments, more].concat()).0
    };
    let returns = ["--reward-scale", "return", "--return-reset"];
    let cases = [
        ("terminated", "terminal-step"),
        ("truncated", "episode-end"),
        ("done", "episode-end"),
        ("rolled_back", "never"),
    ];
    for (flag, reset) in cases {
        let more = if flag == "rolled_back" {
            vec!["--rollback", "drop"]
        } else {
            [&returns[..], &[reset]].concat()
        };
        folder.text("bool.csv", &steps(flag, ["false", "false", "true", "false", "false", ""]));
        folder.text("int.csv", &steps(flag, ["0", "0", "1", "0", "0", ""]));
        folder.text(
            "float.csv",
            &steps(flag, ["0.0", "0.0", "1.0", "0.0", "0.5", "0.0"]).replace("0.5", "0.0"),
        );
        folder.text("off.csv", &steps(flag, ["0"; 6]));
        let [bool, int, float, off] =
            ["bool.csv", "int.csv", "float.csv", "off.csv"].map(|file| replay(file, &more));
        let state = |document: &Value| (document["var"].clone(), document["count"].clone());
        assert_eq!(state(&bool), state(&int), "{flag}");
        assert_eq!(state(&bool), state(&float), "{flag}");
        assert_ne!(state(&bool), state(&off), "{flag}");
    }
    // Neither 0 nor 1: a bad row.
    folder.text("odd.csv", &steps("terminated", ["0", "2", "1", "0", "0", "0"]));
    let arguments = ["normalize", "replay", "odd.csv", "--target", "reward"];
    let (code, stderr) = folder.failure(&arguments);
    assert!(code == Some(3) && stderr.contains("row 1, column terminated"), "{stderr}");
    let (document, _) = folder.json(&[&arguments[..], &["--on-bad", "skip"]].concat());
    assert_eq!(document["input"]["skipped_by_reason"]["wrong type"], 1);
}

#[test]
fn flags_of_another_type_are_an_error() {
    let folder = Folder::new();
    for flag in ["terminated", "truncated", "done", "rolled_back"] {
        folder.text("text.csv", &steps(flag, ["no", "no", "yes", "no", "no", "no"]));
        for verb in ["replay", "stats", "compare"] {
            let (code, stderr) = folder.failure(&["normalize", verb, "text.csv", "--target", "reward"]);
            let place = format!("text.csv: column {flag}: expected");
            assert!(code == Some(3) && stderr.contains(&place), "{stderr}");
        }
    }
}

#[test]
fn done_alone_does_not_pass_for_termination_unsaid() {
    let folder = Folder::new();
    folder.text("done.csv", &steps("done", ["0", "0", "1", "0", "0", "0"]));
    folder.text("terminated.csv", &steps("terminated", ["0", "0", "1", "0", "0", "0"]));
    let says = |file: &str, preset: &str, more: &[&str]| {
        let arguments = ["normalize", "replay", file, "--target", "reward", "--preset", preset];
        folder.json(&[&arguments, more].concat()).1.contains("does not tell termination from truncation")
    };
    assert!(says("done.csv", "gymnasium", &[]));
    assert!(!says("done.csv", "gymnasium", &["--column", "terminated=done"]));
    assert!(!says("done.csv", "sb3", &[]) && !says("terminated.csv", "gymnasium", &[]));
}

/// A game of one slot without a run id.
fn game(gain: f64) -> String {
    format!("mask,val_accuracy\n0,0\n1,{gain}\n")
}

fn runs(document: &Value) -> Vec<&str> {
    let games = document["games"].as_array().expect("games");
    games.iter().map(|game| game["run_id"].as_str().expect("a run")).collect()
}

#[test]
fn files_of_one_name_in_several_folders_are_runs_of_their_own() {
    let folder = Folder::new();
    folder.text("r/a/c.csv", &game(1.0)).text("r/b/c.csv", &game(2.0)).text("r/d.csv", &game(3.0));
    let (document, _) = folder.json(&["analyze", "shapley", "r"]);
    assert_eq!(runs(&document), ["a/c", "b/c", "d"]);
    let (document, _) = folder.json(&["inspect", "r"]);
    assert_eq!(document["files"].as_array().map(Vec::len), Some(3));
    // Steps alike: the second file's rows would be those of the first once more.
    let rows = |reward: f64| format!("episode,step,reward\n0,0,{reward}\n0,1,{reward}\n");
    folder.text("s/a/c.csv", &rows(1.0)).text("s/b/c.csv", &rows(2.0));
    let (document, _) = folder.json(&["normalize", "replay", "s", "--target", "reward"]);
    let ids = document["runs"].as_array().expect("runs").iter().map(|run| run["run_id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), ["a/c", "b/c"]);
}

#[test]
fn a_game_that_comes_from_several_files_is_said() {
    let folder = Folder::new();
    let row =
        |mask: u32, episode: u32| format!("run_id,episode,mask,val_accuracy\nx,{episode},{mask},{mask}\n");
    folder.text("r/1.csv", &row(0, 0)).text("r/2.csv", &row(1, 0)).text("r/3.csv", &row(1, 1));
    let (document, stderr) = folder.json(&["analyze", "shapley", "r", "--on-bad", "skip"]);
    assert_eq!(shapley(&document), [1.0]);
    assert!(stderr.contains("rows of 1 game come from several files"), "{stderr}");
}

#[test]
fn a_copy_of_a_file_is_an_error_that_names_both() {
    let folder = Folder::new();
    let named = "run_id,mask,val_accuracy\nx,0,0\nx,1,1\n";
    // Told by run ids, or by the name that stands for one.
    folder.text("named/1.csv", named).text("named/2.csv", named);
    folder.text("default/a/c.csv", &game(1.0)).text("default/b/c.csv", &game(1.0));
    let rows = "run_id,episode,step,reward\nx,0,0,1\nx,0,1,2\n";
    folder.text("steps/1.csv", rows).text("steps/2.csv", rows);
    let cases = [
        ("named", "named/2.csv: the same bytes as named/1.csv"),
        ("default", "default/b/c.csv: the same bytes as default/a/c.csv"),
        ("steps", "steps/2.csv: the same bytes as steps/1.csv"),
    ];
    for (runs, message) in cases {
        for on_bad in ["error", "skip"] {
            let verb: &[&str] = if runs == "steps" {
                &["normalize", "replay", "--target", "reward"]
            } else {
                &["analyze", "shapley"]
            };
            let (code, stderr) = folder.failure(&[verb, &[runs, "--on-bad", on_bad]].concat());
            assert!(code == Some(3) && stderr.contains(message), "{stderr}");
        }
    }
    // Two runs may well have come out alike.
    folder.text("alike/a.csv", &game(1.0)).text("alike/b.csv", &game(1.0));
    assert_eq!(runs(&folder.json(&["analyze", "shapley", "alike"]).0), ["a", "b"]);
}

#[test]
fn integer_run_ids_keep_all_their_digits() {
    let folder = Folder::new();
    let ids = [u64::MAX, u64::MAX - 1, 1 << 63];
    let rows: Vec<u64> = ids.iter().flat_map(|id| [*id, *id]).collect();
    let table = ParquetTable::new()
        .wide_uints("run_id", &rows)
        .uints("mask", &[0, 1, 0, 1, 0, 1])
        .floats("val_accuracy", &[0.0, 1.0, 0.0, 2.0, 0.0, 3.0]);
    folder.parquet("u64.parquet", vec![table]);
    let text: String = rows.iter().enumerate().map(|(i, id)| format!("{id},{},{i}\n", i % 2)).collect();
    folder.text("u64.csv", &format!("run_id,mask,val_accuracy\n{text}"));
    let expected = ["18446744073709551614", "18446744073709551615", "9223372036854775808"];
    for file in ["u64.parquet", "u64.csv"] {
        let (document, _) = folder.json(&["analyze", "shapley", file]);
        assert_eq!(runs(&document), expected, "{file}");
    }
    folder.text("i64.csv", "run_id,mask,val_accuracy\n-9223372036854775808,0,1\n-9223372036854775808,1,2\n");
    assert_eq!(runs(&folder.json(&["analyze", "shapley", "i64.csv"]).0), ["-9223372036854775808"]);
}

/// Breaks the page that holds `value` where nothing before it does.
fn break_page(path: &std::path::Path, value: f64) {
    let mut bytes = std::fs::read(path).expect("readable");
    let pattern = value.to_le_bytes();
    let place = bytes.windows(8).position(|window| window == pattern).expect("the value is there");
    bytes[place - 24..place].fill(0xff);
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn rows_of_what_could_not_be_read_are_counted_in_the_document() {
    let folder = Folder::new();
    let group = |episode: i64, first: f64| {
        ParquetTable::new()
            .ints("episode", &[episode; 4])
            .uints("mask", &[0, 1, 2, 3])
            .floats("val_accuracy", &[first, first + 1.0, first + 2.0, first + 3.0])
    };
    folder.parquet("r/a.parquet", vec![group(0, 0.0), group(1, 12345.678)]);
    break_page(&folder.path("r/a.parquet"), 12345.678);
    assert_eq!(folder.failure(&["analyze", "shapley", "r"]).0, Some(3));
    let (document, stderr) = folder.json(&["analyze", "shapley", "r", "--on-bad", "skip"]);
    let input = serde_json::json!({"files": 1, "rows": 4, "skipped": 4, "skipped_rows": {"unreadable": 4}});
    assert_eq!(document["input"], input);
    assert!(stderr.contains("4 rows left out (4 unreadable)"), "{stderr}");
    // A file of which nothing can be read is left out with its rows, and is not among those read.
    folder
        .text("r/b.csv", "mask,val_accuracy\n0,high\n1,low\n0,high\n")
        .text("r/c.csv", "slot:x,val_accuracy\nup,0\n");
    let (document, _) = folder.json(&["analyze", "shapley", "r", "--on-bad", "skip"]);
    let input = serde_json::json!({"files": 2, "rows": 4, "skipped": 8,
        "skipped_rows": {"unreadable": 4, "wrong type": 4}, "skipped_files": {"wrong type": 1}});
    assert_eq!(document["input"], input);
    // Nothing left: why, and not that there are no rows.
    let (code, stderr) = folder.failure(&["analyze", "shapley", "r/c.csv", "--on-bad", "skip"]);
    assert!(code == Some(3) && stderr.contains("column slot:x"), "{stderr}");
}

#[test]
fn files_of_steps_that_break_off_midway_are_left_out_whole() {
    let folder = Folder::new();
    let group = |run: &str, first: f64| {
        ParquetTable::new()
            .text("run_id", &[run; 4])
            .ints("step", &[0, 1, 2, 3].map(|step| step + i64::from(first > 100.0) * 4))
            .floats("reward", &[first, first + 1.0, first + 2.0, first + 3.0])
    };
    for (name, first) in [("a", 0.0), ("b", 10.0), ("c", 20.0)] {
        folder
            .parquet(&format!("r/{name}.parquet"), vec![group(name, first), group(name, 12345.678 + first)]);
    }
    let stats = ["normalize", "stats", "r", "--target", "reward"];
    let (whole, _) = folder.json(&stats);
    break_page(&folder.path("r/b.parquet"), 12345.678 + 10.0);
    let (code, stderr) = folder.failure(&stats);
    assert!(code == Some(3) && stderr.contains("b.parquet"), "{stderr}");
    let (left, stderr) = folder.json(&[&stats[..], &["--on-bad", "skip"]].concat());
    assert_eq!(left["runs"], serde_json::json!([whole["runs"][0], whole["runs"][2]]));
    let input = &left["input"];
    assert_eq!(
        (&input["files"], &left["runs"][1]["rows"], &input["skipped_files"]),
        (&2.into(), &8.into(), &serde_json::json!({"unreadable": 1}))
    );
    assert!(stderr.contains("1 file left out (1 unreadable)"), "{stderr}");
    // Nothing left: why, and not that there are no rows.
    let (code, stderr) =
        folder.failure(&["normalize", "stats", "r/b.parquet", "--target", "reward", "--on-bad", "skip"]);
    assert!(code == Some(3) && stderr.contains("b.parquet"), "{stderr}");
}

#[test]
fn files_and_rows_of_steps_that_were_left_out_are_in_the_document() {
    let folder = Folder::new();
    folder
        .text("r/a.csv", "episode,step,reward\n0,0,1\n0,1,nan\n0,,3\n0,3,4\n0,4,2\n")
        .text("r/b.parquet", "PAR1?");
    let (replay, _) = folder.json(&["normalize", "replay", "r", "--target", "reward", "--on-bad", "skip"]);
    assert_eq!(replay["input"]["skipped_by_reason"], serde_json::json!({"not finite": 1, "null": 1}));
    assert_eq!(replay["input"]["skipped_files"], serde_json::json!({"unreadable": 1}));
    let (compare, _) = folder.json(&[
        "normalize",
        "compare",
        "r",
        "--target",
        "reward",
        "--on-bad",
        "skip",
        "--momentum",
        "0.9",
    ]);
    assert_eq!(compare["input"]["skipped"], 2);
    assert_eq!(compare["input"]["skipped_rows"], serde_json::json!({"not finite": 1, "null": 1}));
    assert_eq!(compare["input"]["skipped_files"], serde_json::json!({"unreadable": 1}));
    // A row without a round is left out and counted too.
    folder.text("rounds.csv", "episode,step,round,reward\n0,0,0,1\n0,1,,2\n0,2,1,3\n0,3,1,5\n");
    let rounds = [
        "normalize",
        "replay",
        "rounds.csv",
        "--target",
        "reward",
        "--update-every",
        "round",
        "--on-bad",
        "skip",
    ];
    let (document, _) = folder.json(&rounds);
    assert_eq!((&document["rows"], &document["input"]["skipped"]), (&3.into(), &1.into()));
}

#[test]
fn runs_are_the_independent_unit_where_there_are_several() {
    let folder = Folder::new();
    let games = |runs: &[&str]| {
        let mut text = "run_id,episode,mask,val_accuracy\n".to_owned();
        for (run, name) in runs.iter().enumerate() {
            for episode in 0..2 {
                // Effects 1 + 2 run -+ 1: runs differ by 2, episodes by 2.
                let effect = 2 * run + 2 * episode;
                text += &format!("{name},{episode},0,0\n{name},{episode},1,{effect}\n");
            }
        }
        folder.text("games.csv", &text);
        folder.json(&["analyze", "shapley", "games.csv"]).0
    };
    let several = games(&["a", "b", "c"]);
    assert_eq!((&several["cluster"], &several["summary"][0]["n_units"]), (&"run".into(), &3.into()));
    // Means 1, 3, 5: MSB = 2 * 4 = 8, MSW = 2, n0 = 2; between = 3, within = 2.
    assert!((several["between_runs"].as_f64().expect("a share") - 0.6).abs() < 1e-12, "{several}");
    assert_eq!(several["settings"]["cluster"], "run");
    let one = games(&["a"]);
    assert_eq!((&one["cluster"], &one["summary"][0]["n_units"]), (&"episode".into(), &2.into()));
    assert!(one["between_runs"].is_null());
}

#[test]
fn a_file_named_by_itself_is_of_the_kind_needed_or_an_error() {
    use super::normalizers::{failure, folder, json, simic};
    let (_directory, path) = folder();
    let runs = path("runs");
    std::fs::create_dir(&runs).expect("created");
    let (games, steps) = (format!("{runs}/games.parquet"), format!("{runs}/steps.parquet"));
    std::fs::copy("fixtures/simulated/campaign.parquet", &games).expect("copied");
    std::fs::copy("fixtures/simulated/steps.parquet", &steps).expect("copied");
    for (verb, needed, other) in [
        (["analyze", "shapley"], "coalition rows", &steps),
        (["normalize", "stats"], "transition rows", &games),
    ] {
        let (code, stderr) = failure(&[&verb[..], &[&games, &steps]].concat());
        assert!(code == 3 && stderr.contains(needed) && stderr.contains(other), "{stderr}");
        let report = json(&[&verb[..], &[&games, &steps, "--on-bad", "skip"]].concat());
        assert_eq!(report["input"]["skipped_files"].as_object().map(serde_json::Map::len), Some(1));
        // In a folder it is left aside.
        let output = simic(&[&verb[..], &[&runs]].concat());
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("1 file with"));
    }
}
