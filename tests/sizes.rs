//! What a recording claims of its size is checked before it is believed, and held against `--max-memory`.

use std::path::Path;
use std::process::Command;

const BUFFER: &str = "fixtures/hostile/buffer_length.arrow";
const FOOTER: &str = "fixtures/hostile/footer.parquet";
const CONSTANT: &str = "fixtures/hostile/constant.parquet";
const STEPS: &str = "fixtures/simulated/steps.parquet";

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program where the address space ends at 3 GB: an allocation by a claim beyond that would abort it.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let script = "ulimit -v 3000000; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_simic")]).args(arguments).args([
        "--no-config",
        "--threads",
        "2",
    ]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIMIC_")) {
        command.env_remove(name);
    }
    let output = command.envs(environment.iter().copied()).env("NO_COLOR", "1").output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Refused with one line and a hint.
fn refused(arguments: &[&str], expected: &str) {
    let Outcome { code, stderr, .. } = run(arguments, &[]);
    let lines: Vec<&str> = stderr.lines().collect();
    let is_told = lines.len() == 2 && lines[0].starts_with("error: ") && lines[1].starts_with("hint: ");
    assert!(code == Some(3) && is_told && lines[0].contains(expected), "{arguments:?}: {code:?} {stderr}");
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    for verb in ["stats", "replay", "compare"] {
        refused(&["normalize", verb, BUFFER, "--momentum", "0.9"], "claims to decompress to");
        refused(&["normalize", verb, FOOTER, "--momentum", "0.9"], "its footer is damaged");
    }
}

#[test]
fn a_row_group_beyond_the_budget_is_refused_by_name() {
    // 4000 rows of 2000 zeros, from 24 kilobytes: 32 MB.
    let expected = "constant.parquet: row group 0 decodes to 32.0 MB, more than the 16.0 MB of --max-memory";
    refused(&["normalize", "stats", CONSTANT, "--max-memory", "16MB"], expected);
    let outcome = run(&["normalize", "stats", CONSTANT], &[("SIMIC_MAX_MEMORY", "16MB")]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert_eq!(run(&["normalize", "stats", CONSTANT, "--max-memory", "64MiB"], &[]).code, Some(0));
    let by_hint = run(&["normalize", "stats", CONSTANT, "--max-memory", "16MB"], &[]).stderr;
    assert!(by_hint.contains("hint: a larger --max-memory"), "{by_hint}");
}

#[test]
fn the_budget_changes_no_result() {
    let roomy = run(&["normalize", "stats", STEPS, "--format", "json"], &[]);
    let narrow = run(&["normalize", "stats", STEPS, "--format", "json", "--max-memory", "100kB"], &[]);
    assert_eq!((roomy.code, narrow.code), (Some(0), Some(0)), "{}", narrow.stderr);
    assert_eq!(roomy.stdout, narrow.stdout);
}

#[test]
fn a_batch_and_a_text_file_are_held_against_the_budget() {
    let batch = "fixtures/hostile/dictionary.arrow";
    assert_eq!(run(&["normalize", "stats", batch], &[]).code, Some(0));
    refused(&["normalize", "stats", batch, "--max-memory", "100"], "record batch 0 decodes to");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wide.ndjson");
    // Each line brings a column that all lines then have: 40 kilobytes, 16 million cells.
    let lines: String = (0..4000).map(|i| format!("{{\"c{i}\":1}}\n")).collect();
    std::fs::write(&path, lines).expect("written");
    let path = path.to_string_lossy();
    let outcome = run(&["normalize", "stats", &path, "--max-memory", "20MB"], &[]);
    assert!(outcome.code == Some(3) && outcome.stderr.contains("the file decodes to"), "{}", outcome.stderr);
    refused(&["normalize", "stats", "tests/cli/data/nan.csv", "--max-memory", "20"], "the file decodes to");
}

#[test]
fn text_files_are_held_against_the_budget_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let rows: String = (0..4000).map(|step| format!("{},{}.5\n", step / 100, step)).collect();
    let names: Vec<String> = (0..6).map(|i| path(&format!("run{i}.csv"))).collect();
    for name in &names {
        std::fs::write(name, format!("episode,obs_0\n{rows}")).expect("written");
    }
    // Each is held within 500 kB, all six are not.
    let one = run(&["normalize", "stats", &names[0], "--max-memory", "500kB"], &[]);
    assert_eq!(one.code, Some(0), "{}", one.stderr);
    let mut all = vec!["normalize", "stats"];
    all.extend(names.iter().map(String::as_str));
    all.extend(["--max-memory", "500kB"]);
    refused(&all, "decodes to more than is left, with the files before it");
    all.pop();
    all.push("5MB");
    assert_eq!(run(&all, &[]).code, Some(0));
}

#[test]
fn inspecting_tells_what_the_budget_has_no_room_for() {
    let outcome = run(&["inspect", CONSTANT, "--max-memory", "16MB"], &[]);
    let told = "problem: fixtures/hostile/constant.parquet: row group 0 decodes to 32.0 MB";
    let is_told = outcome.stdout.contains(told) && outcome.stdout.contains("4,000");
    assert!(outcome.code == Some(1) && is_told, "{:?} {} {}", outcome.code, outcome.stdout, outcome.stderr);
}

#[test]
fn sizes_that_are_none_are_wrong_usage() {
    for size in ["0", "much", "-1GB"] {
        let outcome = run(&["inspect", STEPS, &format!("--max-memory={size}")], &[]);
        assert_eq!(outcome.code, Some(2), "{size}: {}", outcome.stderr);
    }
}

/// The fixtures, damaged one length at a time, through the program itself: exit code 0 or 3, within the address space.
#[test]
fn no_damage_ends_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let lengths = [-1i64, i64::MAX, 1 << 31, 1 << 40, 0x7fff_ffff];
    for (fixture, name) in
        [(STEPS, "damaged.parquet"), ("fixtures/hostile/dictionary.arrow", "damaged.arrow")]
    {
        let good = std::fs::read(fixture).expect("a fixture");
        let path = folder.path().join(name);
        for (i, length) in (0..24).zip(lengths.iter().cycle()) {
            let mut bytes = good.clone();
            // From the footer backward, then across the file.
            let place = if i % 2 == 0 { good.len() - 40 - 37 * i } else { 8 + (good.len() - 24) * i / 24 };
            bytes[place..place + 8].copy_from_slice(&length.to_le_bytes());
            check_damaged(&path, &bytes, place);
        }
    }
}

fn check_damaged(path: &Path, bytes: &[u8], place: usize) {
    std::fs::write(path, bytes).expect("written");
    let outcome = run(&["normalize", "stats", &path.to_string_lossy(), "--max-memory", "64MB"], &[]);
    let is_ended = matches!(outcome.code, Some(0 | 3));
    assert!(is_ended, "{} at {place}: {:?} {}", path.display(), outcome.code, outcome.stderr);
}
