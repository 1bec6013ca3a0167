//! Normalization against the frameworks themselves, and what the program says about real and broken recordings.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use simic::normalization::{Preset, Target};
use simic::records::{Clock, ColumnMap, OnBad, StepOptions, StepRecording, StepSizes, StepTarget, discover};
use simic::stats::Rows;

pub(crate) const STEPS: &str = "fixtures/normalizers/steps.parquet";
const EXPECTED: &str = "fixtures/normalizers/expected.parquet";
pub(crate) const ESPER: &str = "fixtures/esper/transitions.parquet";
pub(crate) const RETURNS: &str = "fixtures/normalizers/returns.parquet";
pub(crate) const NEXT_STEP: &str = "fixtures/normalizers/next_step.parquet";

pub(crate) fn simic(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIMIC_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").args(arguments).output().expect("the program starts")
}

pub(crate) fn json(arguments: &[&str]) -> Value {
    let output = simic(&[arguments, &["--format", "json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).expect("valid JSON")
}

pub(crate) fn failure(arguments: &[&str]) -> (i32, String) {
    let output = simic(arguments);
    assert!(output.stdout.is_empty(), "{arguments:?} printed a result");
    (output.status.code().expect("a code"), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// One value column of a file, in file order.
pub(crate) fn column(path: &str, target: StepTarget, name: &str) -> Vec<f64> {
    let mut mappings = vec![format!("{}={name}", target.field())];
    if path.contains("trace") {
        // Rows of a trace are told apart by their vector step, which several updates may share.
        mappings.extend(["step=vector_step".to_owned(), "episode=count".to_owned()]);
    }
    let options = StepOptions {
        columns: ColumnMap::parse(&mappings).expect("a mapping"),
        target,
        clock: Clock::Row,
        needs_round: false,
        needs_episode_ends: false,
        carries_columns: false,
        on_bad: OnBad::Error,
        sizes: StepSizes::default(),
    };
    let files = discover(&[path.to_owned()], None).expect("there").files;
    let progress = simic::Progress::none();
    let recording = StepRecording::open(&files, &options, &progress).expect("readable");
    let mut values = Vec::new();
    recording
        .stream_as_recorded(&progress, |block| -> Result<(), simic::records::RecordError> {
            let rows: Rows<'_> = block.values.rows();
            values.extend((0..rows.len()).map(|i| rows.get(i)));
            Ok(())
        })
        .expect("readable");
    values
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

pub(crate) fn worst(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

pub(crate) fn folder() -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().to_owned();
    (directory, move |name: &str| root.join(name).display().to_string())
}

/// What a framework's own class made of recorded steps.
struct Reference {
    preset: Preset,
    target: Target,
    steps: &'static str,
    /// Where its values lie, row by row.
    expected: Expected,
    column: &'static str,
    tolerance: f64,
}

/// Where a reference's values lie.
enum Expected {
    /// In a file of their own.
    File(&'static str),
    /// Beside the steps.
    Beside,
}

/// Gymnasium, Stable-Baselines3 and esper-lite's trainer hand out 32-bit values; the others were run at 64 bits.
const REFERENCES: [Reference; 13] = [
    of(Preset::Esper, Target::Obs, ESPER, Expected::Beside, "obs_norm", 1e-6),
    of(Preset::Esper, Target::Reward, ESPER, Expected::Beside, "reward_norm", 1e-6),
    of(Preset::Esper, Target::Return, RETURNS, Expected::Beside, "esper_return", 1e-12),
    of(Preset::Sb3, Target::Obs, STEPS, Expected::File(EXPECTED), "sb3_obs", 1e-6),
    of(Preset::Sb3, Target::Reward, STEPS, Expected::File(EXPECTED), "sb3_reward", 1e-6),
    of(Preset::Gymnasium, Target::Obs, STEPS, Expected::File(EXPECTED), "gymnasium_obs", 1e-6),
    of(Preset::Gymnasium, Target::Reward, STEPS, Expected::File(EXPECTED), "gymnasium_reward", 1e-6),
    of(Preset::RslRl, Target::Obs, STEPS, Expected::File(EXPECTED), "rsl_rl_obs", 1e-12),
    of(Preset::RslRl, Target::Reward, STEPS, Expected::File(EXPECTED), "rsl_rl_reward", 1e-12),
    of(Preset::TorchRl, Target::Obs, STEPS, Expected::File(EXPECTED), "torchrl_obs", 1e-10),
    of(Preset::TorchRl, Target::Reward, RETURNS, Expected::Beside, "torchrl_reward", 1e-10),
    of(Preset::Brax, Target::Obs, STEPS, Expected::File(EXPECTED), "brax_act_obs", 1e-10),
    // Environments that reset in the next step, as Gymnasium's do unless told otherwise.
    of(Preset::Gymnasium, Target::Reward, NEXT_STEP, Expected::Beside, "gymnasium_reward", 1e-6),
];

const fn of(
    preset: Preset,
    target: Target,
    steps: &'static str,
    expected: Expected,
    column: &'static str,
    tolerance: f64,
) -> Reference {
    Reference { preset, target, steps, expected, column, tolerance }
}

fn step_target(target: Target) -> StepTarget {
    match target {
        Target::Obs => StepTarget::Obs,
        Target::Reward => StepTarget::Reward,
        Target::Return => StepTarget::Return,
    }
}

#[test]
fn values_are_what_each_framework_made_of_them() {
    let (_directory, path) = folder();
    for (i, reference) in REFERENCES.iter().enumerate() {
        let Reference { preset, target, steps, .. } = reference;
        let (name, target_name) = (preset.name(), target.name());
        let out = path(&format!("{i}.parquet"));
        let report = json(&[
            "normalize",
            "replay",
            steps,
            "--preset",
            name,
            "--target",
            target_name,
            "--precision",
            "f64",
            "-o",
            &out,
        ]);
        assert_eq!(report["schema"], "simic.normalize.replay/1");
        let values =
            if *target == Target::Obs { "obs".to_owned() } else { format!("{target_name}_normalized") };
        let found = column(&out, step_target(*target), &values);
        let expected = match reference.expected {
            Expected::File(file) => file,
            // Rows in replay order, those rolled back left out.
            Expected::Beside => &out,
        };
        let expected = column(expected, step_target(*target), reference.column);
        let apart = worst(&found, &expected);
        assert!(
            !found.is_empty() && apart <= reference.tolerance,
            "{name} {target_name} of {steps}: {apart}"
        );
    }
}

#[test]
fn every_preset_and_target_has_a_reference() {
    for preset in Preset::ALL {
        for target in [Target::Obs, Target::Reward, Target::Return] {
            let is_normalized = preset.conventions(target).is_some();
            let has_reference =
                REFERENCES.iter().any(|reference| (reference.preset, reference.target) == (preset, target));
            assert_eq!(is_normalized, has_reference, "{} {}", preset.name(), target.name());
        }
    }
}

fn states(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("there")).expect("JSON")
}

/// Asserts that a report's state is one that a framework had.
fn assert_state(report: &Value, expected: &Value, tolerance: f64) {
    for field in ["mean", "var"] {
        let (found, expected) = (numbers(&report[field]), numbers(&expected[field]));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= tolerance * expected.abs().max(1e-3),
                "{field}: {found}, {expected}"
            );
        }
    }
    let count = |value: &Value| value["count"].as_f64().expect("a count");
    assert!((count(report) - count(expected)).abs() < 1e-6, "{} rows", report["count"]);
}

#[test]
fn final_states_are_those_of_the_frameworks() {
    let of_steps = states("fixtures/normalizers/states.json");
    // Gymnasium keeps its observations' state at 32 bits until the first update.
    for (preset, key) in [("sb3", "sb3"), ("gymnasium", "gymnasium"), ("rsl-rl", "rsl_rl"), ("brax", "brax")]
    {
        assert_state(&json(&["normalize", "stats", STEPS, "--preset", preset]), &of_steps[key], 1e-9);
    }
    let rewards = |steps: &str, preset: &str| {
        json(&["normalize", "stats", steps, "--preset", preset, "--target", "reward"])
    };
    assert_state(&rewards(STEPS, "sb3"), &of_steps["sb3_reward"], 1e-9);
    let of_returns = states("fixtures/normalizers/returns.json");
    assert_state(&rewards(RETURNS, "torchrl"), &of_returns["torchrl_reward"], 1e-9);
    // Gymnasium accumulates returns at 32 bits.
    assert_state(
        &rewards(NEXT_STEP, "gymnasium"),
        &states("fixtures/normalizers/next_step.json")["returns"],
        1e-6,
    );
    // esper-lite's after every round.
    let (_directory, path) = folder();
    let trace = path("trace.parquet");
    json(&["normalize", "replay", RETURNS, "--preset", "esper", "--target", "return", "--trace", &trace]);
    let rounds = of_returns["esper_return"].as_array().expect("rounds");
    for field in ["mean", "var", "count"] {
        let found = column(&trace, StepTarget::Obs, field);
        let expected: Vec<f64> =
            rounds.iter().map(|round| round[field].as_f64().expect("a number")).collect();
        assert!(worst(&found, &expected) < 1e-10, "{field}: {found:?}");
    }
}

#[test]
fn rows_that_only_reset_an_environment_are_told_apart() {
    let states = states("fixtures/normalizers/next_step.json");
    let replay = |steps: &str, more: &[&str]| {
        let arguments = ["normalize", "replay", steps, "--preset", "gymnasium", "--target", "reward"];
        let output = simic(&[&arguments[..], more, &["--format", "json"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{stderr}");
        (serde_json::from_slice::<Value>(&output.stdout).expect("JSON"), stderr)
    };
    let (report, stderr) = replay(NEXT_STEP, &[]);
    assert!(stderr.contains("reset in the step after the end of an episode"), "{stderr}");
    let found = &report["diagnostics"];
    assert_eq!((&found["autoreset"], &found["reset_rows"]), (&"next_step".into(), &states["reset_rows"]));
    let n_rows = 480 - states["reset_rows"].as_u64().expect("a count");
    assert_eq!(report["rows"], n_rows);
    // Said or found, it is the same; in which order the rows lie too.
    let (said, _) = replay(NEXT_STEP, &["--autoreset", "next-step"]);
    assert_eq!((&said["mean"], &said["var"]), (&report["mean"], &report["var"]));
    // As every row a step: what Gymnasium did before 1.3.
    let (steps, _) = replay(NEXT_STEP, &["--autoreset", "same-step", "--return-reset", "termination-only"]);
    assert_eq!((&steps["diagnostics"]["reset_rows"], &steps["rows"]), (&0.into(), &480.into()));
    assert_state(&steps, &states["returns_before_1_3"], 1e-6);
    // Rows after an end that have rewards are steps.
    let (report, stderr) = replay(STEPS, &[]);
    assert_eq!(report["diagnostics"]["autoreset"], "same_step");
    assert!(stderr.is_empty(), "{stderr}");
    let arguments = ["normalize", "stats", STEPS, "--preset", "gymnasium", "--target", "reward"];
    let (code, stderr) = failure(&[&arguments[..], &["--autoreset", "next-step"]].concat());
    assert!(code == 3 && stderr.contains("follows the end of an episode and has reward"), "{stderr}");
    // Observations of resets count like any other.
    let (code, stderr) =
        failure(&["normalize", "stats", STEPS, "--preset", "gymnasium", "--autoreset", "next-step"]);
    assert!(code == 2 && stderr.contains("--autoreset"), "{stderr}");
}

#[test]
fn observations_of_resets_count_like_any_other() {
    let (_directory, path) = folder();
    let out = path("out.parquet");
    let report =
        json(&["normalize", "replay", NEXT_STEP, "--preset", "gymnasium", "--precision", "f64", "-o", &out]);
    let apart =
        worst(&column(&out, StepTarget::Obs, "obs"), &column(NEXT_STEP, StepTarget::Obs, "gymnasium_obs"));
    assert!(apart <= 1e-6, "{apart}");
    assert_state(&report, &states("fixtures/normalizers/next_step.json")["recorded"], 1e-9);
    assert!(report["diagnostics"]["autoreset"].is_null());
}

#[test]
fn rewards_that_tell_nothing_of_resets_are_said() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    // A reward at the end of each episode alone: rows after ends have none, as all first steps.
    let rows = (0..40).map(|row| format!("{},{},{},{}", row / 4, row % 4, row % 4 / 3, row % 4 / 3));
    let rows: Vec<String> =
        std::iter::once("episode,step,reward,terminated".to_owned()).chain(rows).collect();
    lines(&steps, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    let arguments =
        ["normalize", "stats", &steps, "--target", "reward", "--reward-scale", "return", "--format", "json"];
    let output = simic(&arguments);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let found = &report["diagnostics"];
    assert_eq!((&found["autoreset"], &found["reset_rows"]), (&"undecided".into(), &0.into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--autoreset next-step or same-step"));
    // No word, no note.
    let said = json(&[&arguments[..7], &["--autoreset", "same-step"]].concat());
    assert_eq!(said["var"], report["var"]);
}

#[test]
fn what_the_learner_saw_is_compared_with_what_the_policy_saw() {
    let report = json(&["normalize", "replay", STEPS, "--preset", "brax", "--update-every", "rollout:20"]);
    let act = column(EXPECTED, StepTarget::Obs, "brax_act_obs");
    let learn = column(EXPECTED, StepTarget::Obs, "brax_learn_obs");
    let found = &report["diagnostics"]["act_learn"];
    let width = 11;
    for d in 0..width {
        let differences: Vec<f64> =
            act.iter().zip(&learn).skip(d).step_by(width).map(|(a, b)| (a - b).abs()).collect();
        let max = differences.iter().copied().fold(0.0, f64::max);
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        assert!((numbers(&found["max_abs"])[d] - max).abs() < 1e-9);
        assert!((numbers(&found["mean_abs"])[d] - mean).abs() < 1e-9);
    }
}

#[test]
fn a_real_esper_run_is_replayed_to_the_last_32_bit_digit() {
    let (_directory, path) = folder();
    let (out, trace) = (path("obs.parquet"), path("trace.parquet"));
    json(&["normalize", "replay", ESPER, "--preset", "esper", "-o", &out, "--trace", &trace]);
    let apart = worst(&column(&out, StepTarget::Obs, "obs"), &column(ESPER, StepTarget::Obs, "obs_norm"));
    assert!(apart <= 5e-7, "{apart}");
    // One update per round, each as upstream had it.
    let truth: Value = serde_json::from_str(
        &std::fs::read_to_string("fixtures/esper/normalizer_truth.json").expect("there"),
    )
    .expect("JSON");
    let rounds = truth["obs_updates"].as_array().expect("updates");
    let means = column(&trace, StepTarget::Obs, "mean");
    assert_eq!(means.len(), rounds.len() * 116);
    for (round, found) in rounds.iter().zip(means.chunks(116)) {
        assert!(worst(found, &numbers(&round["mean"])) < 1e-6);
    }
    let out = path("reward.parquet");
    let report = json(&["normalize", "replay", ESPER, "--preset", "esper", "--target", "reward", "-o", &out]);
    assert_eq!(report["rollback"]["rows"], 2);
    let recorded: Vec<f64> = column(&out, StepTarget::Reward, "reward_norm");
    let apart = worst(&column(&out, StepTarget::Reward, "reward_normalized"), &recorded);
    assert!(apart <= 1e-6, "{apart}");
}

#[test]
fn stored_states_of_every_format_are_verified() {
    for (state, preset) in
        [("vecnormalize.pkl", "sb3"), ("sb3.npz", "sb3"), ("sb3.safetensors", "sb3"), ("rsl_rl.pt", "rsl-rl")]
    {
        let path = format!("fixtures/normalizers/{state}");
        let output = simic(&["normalize", "verify", STEPS, "--state", &path, "--preset", preset]);
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{state}: {shown}");
    }
    let arguments = [
        "normalize",
        "verify",
        ESPER,
        "--state",
        "fixtures/esper/normalizer_truth.json",
        "--preset",
        "esper",
    ];
    assert_eq!(simic(&arguments).status.code(), Some(0));
}

/// What verify says of a state made from a document by `change`.
pub(crate) fn diagnosed(steps: &str, rule: &[&str], document: &Value) -> Value {
    let (_directory, path) = folder();
    let state = path("state.json");
    std::fs::write(&state, document.to_string()).expect("written");
    let arguments = [&["normalize", "verify", steps, "--state", &state], rule].concat();
    let output = simic(&[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

pub(crate) fn stored(steps: &str, rule: &[&str]) -> Value {
    let (_directory, path) = folder();
    let state = path("state.json");
    json(&[&["normalize", "stats", steps, "--state-out", &state], rule].concat());
    serde_json::from_str(&std::fs::read_to_string(&state).expect("written")).expect("JSON")
}

#[test]
fn a_state_that_differs_is_explained() {
    let whole = stored(STEPS, &[]);
    let with = |field: &str, value: Value| {
        let mut changed = whole.clone();
        changed[field] = value;
        changed
    };
    let mut order: Vec<usize> = (0..11).collect();
    order.swap(2, 7);
    let permuted = |field: &str| order.iter().map(|d| whole[field][*d].clone()).collect::<Vec<Value>>();
    let mut swapped = with("mean", whole["var"].clone());
    swapped["var"] = whole["mean"].clone();
    let mut negative = whole.clone();
    negative["var"][4] = (-1.0).into();
    let mut reordered = with("mean", permuted("mean").into());
    reordered["var"] = permuted("var").into();
    let mut narrow = whole.clone();
    for field in ["mean", "var"] {
        narrow[field].as_array_mut().expect("a list").remove(3);
    }
    let mut fresh = with("mean", vec![0.0; 11].into());
    fresh["var"] = vec![1.0; 11].into();
    let mut strange = whole.clone();
    strange["mean"][0] = 77.0.into();
    for (document, expected) in [
        (&swapped, "swapped"),
        (&negative, "invalid"),
        (&reordered, "permuted"),
        (&narrow, "shape"),
        (&fresh, "never_updated"),
        (&strange, "unknown"),
    ] {
        assert_eq!(diagnosed(STEPS, &[], document)["diagnosis"], expected);
    }
}

/// Writes the vector steps `range` of the fixture as their own recording.
pub(crate) fn part_of(steps: std::ops::Range<usize>, path: &str) {
    let rows = column(STEPS, StepTarget::Obs, "obs");
    let mut text = String::new();
    for step in steps {
        for env in 0..8 {
            let row = step * 8 + env;
            let obs: Vec<f64> = rows[row * 11..(row + 1) * 11].to_vec();
            let line = serde_json::json!({"run_id": "hopper", "step": step, "env_id": env, "obs": obs});
            text.push_str(&line.to_string());
            text.push('\n');
        }
    }
    std::fs::write(path, text).expect("written");
}

#[test]
fn stale_reset_and_misremembered_states_are_told_apart() {
    let (_directory, path) = folder();
    let (early, late) = (path("early.ndjson"), path("late.ndjson"));
    part_of(0..150, &early);
    part_of(90..240, &late);
    for rule in [&["--momentum", "0.95"][..], &[]] {
        let stale = diagnosed(STEPS, rule, &stored(&early, rule));
        assert_eq!(stale["diagnosis"], "stale", "{stale}");
        assert!(stale["detail"].as_str().expect("text").contains("after 150 of 240"), "{stale}");
        let reset = diagnosed(STEPS, rule, &stored(&late, rule));
        assert_eq!(reset["diagnosis"], "reset", "{reset}");
        assert!(reset["detail"].as_str().expect("text").contains("vector step 90"), "{reset}");
    }
    let found = diagnosed(STEPS, &["--momentum", "0.99"], &stored(STEPS, &["--momentum", "0.95"]));
    assert_eq!(found["diagnosis"], "wrong_momentum", "{found}");
    assert!(found["detail"].as_str().expect("text").contains("0.95 "), "{found}");
}

#[test]
fn shards_merge_to_the_state_of_the_whole() {
    let (_directory, path) = folder();
    let (first, second) = (path("a.ndjson"), path("b.ndjson"));
    part_of(0..100, &first);
    part_of(100..240, &second);
    for rule in [&["--momentum", "0.9"][..], &[]] {
        let (one, two) = (path("one.json"), path("two.safetensors"));
        json(&[&["normalize", "stats", &first, "--state-out", &one, "--force"], rule].concat());
        json(&[&["normalize", "stats", &second, "--state-out", &two, "--force"], rule].concat());
        let merged = json(&["normalize", "merge", &one, &two]);
        let whole = stored(STEPS, rule);
        for field in ["mean", "var"] {
            assert!(worst(&numbers(&merged[field]), &numbers(&whole[field])) < 1e-11, "{rule:?}");
        }
        assert_eq!(merged["batches"], 240);
    }
    let (code, stderr) = failure(&["normalize", "merge", &path("one.json"), &path("one.json")]);
    assert!(code == 3 && stderr.contains("same rows"), "{stderr}");
}

/// The fixture's rows in another order, or cut into files.
fn rewritten(order: &[usize], path: &str) {
    let rows = column(STEPS, StepTarget::Obs, "obs");
    let reward = column(STEPS, StepTarget::Reward, "reward");
    let mut text = String::new();
    for row in order {
        let (step, env) = (row / 8, row % 8);
        let obs: Vec<f64> = rows[row * 11..(row + 1) * 11].to_vec();
        let line = serde_json::json!({
            "run_id": "hopper", "step": step, "env_id": env, "obs": obs, "reward": reward[*row], "note": format!("r{row}"),
        });
        text.push_str(&line.to_string());
        text.push('\n');
    }
    std::fs::write(path, text).expect("written");
}

#[test]
fn rows_in_any_order_give_the_same_bytes() {
    let (_directory, path) = folder();
    let ordered: Vec<usize> = (0..1920).collect();
    let by_env: Vec<usize> = (0..8).flat_map(|env| (0..240).map(move |step| step * 8 + env)).collect();
    // A fixed shuffle: 1009 is coprime to 1920.
    let shuffled: Vec<usize> = (0..1920).map(|i| i * 1009 % 1920).collect();
    let mut outputs = Vec::new();
    for (name, order) in [("ordered", &ordered), ("by_env", &by_env), ("shuffled", &shuffled)] {
        let input = path(&format!("{name}.ndjson"));
        rewritten(order, &input);
        let out = path(&format!("{name}.parquet"));
        let output =
            simic(&["normalize", "replay", &input, "--preset", "sb3", "-o", &out, "--format", "json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let is_noted = String::from_utf8_lossy(&output.stderr).contains("put in order");
        assert_eq!(is_noted, name != "ordered");
        let mut report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        report["written"] = Value::Null;
        outputs.push((report, std::fs::read(&out).expect("written")));
    }
    assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2]);
}

#[test]
fn a_state_goes_on_where_it_stopped() {
    let (_directory, path) = folder();
    let (first, second) = (path("a.ndjson"), path("b.ndjson"));
    part_of(0..100, &first);
    part_of(100..240, &second);
    for (rule, kind) in [(&["--momentum", "0.9"][..], "json"), (&[], "safetensors")] {
        let state = path(&format!("half.{kind}"));
        json(&[&["normalize", "replay", &first, "--state-out", &state], rule].concat());
        let resumed = json(&[&["normalize", "replay", &second, "--state-in", &state], rule].concat());
        let whole = json(&[&["normalize", "replay", STEPS], rule].concat());
        for field in ["mean", "var"] {
            assert!(worst(&numbers(&resumed[field]), &numbers(&whole[field])) < 1e-11);
        }
        assert_eq!((&resumed["count"], &resumed["updates"]), (&whole["count"], &whole["updates"]));
    }
    let (code, stderr) = failure(&["normalize", "replay", STEPS, "--state-in", &path("half.json")]);
    assert!(code == 3 && stderr.contains("ema of momentum 0.9"), "{stderr}");
    let (code, stderr) = failure(&["normalize", "replay", ESPER, "--state-in", &path("half.safetensors")]);
    assert!(code == 3 && stderr.contains("11 dimensions for values of 116"), "{stderr}");
}

/// A recording of lines.
pub(crate) fn lines(path: &str, rows: &[&str]) {
    std::fs::write(path, rows.join("\n")).expect("written");
}

#[test]
fn scalars_integers_columns_and_wide_rows_are_read() {
    let (_directory, path) = folder();
    let scalar = path("scalar.csv");
    lines(&scalar, &["step,obs", "0,1", "1,3", "2,5"]);
    let report = json(&["normalize", "stats", &scalar, "--initial-count", "0"]);
    assert_eq!((numbers(&report["mean"]), numbers(&report["var"])), (vec![3.0], vec![8.0 / 3.0]));
    let columns = path("columns.csv");
    lines(&columns, &["step,obs_0,obs_1", "0,1,10", "1,3,10.5"]);
    let out = path("columns.parquet");
    let report =
        json(&["normalize", "replay", &columns, "--momentum", "0", "-o", &out, "--precision", "f64"]);
    assert_eq!(numbers(&report["mean"]), [3.0, 10.5]);
    assert_eq!(report["diagnostics"]["dimensions_below_epsilon"], serde_json::json!([0, 1]));
    // m = 0: the second row is normalized with the first one's state, whose variance is 0.
    assert!((column(&out, StepTarget::Obs, "obs_0")[1] - 10.0).abs() < 1e-12);
    let wide = path("wide.ndjson");
    let row = |shift: f64| {
        serde_json::json!({"obs": (0..400).map(|d| f64::from(d) + shift).collect::<Vec<_>>()}).to_string()
    };
    lines(&wide, &[&row(0.0), &row(2.0)]);
    let report = json(&["normalize", "stats", &wide, "--initial-count", "0"]);
    assert_eq!(numbers(&report["mean"])[399], 400.0);
    assert!(numbers(&report["var"]).iter().all(|var| *var == 1.0));
}

#[test]
fn rewards_follow_the_contract() {
    let (_directory, path) = folder();
    let (steps, out) = (path("rewards.csv"), path("out.parquet"));
    // First sample raw, then the sample deviation of what was seen, this one included; a huge outlier is clipped.
    lines(&steps, &["step,reward", "0,5", "1,7", "2,1e30"]);
    let arguments =
        ["normalize", "replay", &steps, "--target", "reward", "-o", &out, "--precision", "f64", "--force"];
    let report = json(&arguments);
    let found = column(&out, StepTarget::Reward, "reward_normalized");
    assert_eq!(found[0], 5.0);
    assert!((found[1] - 7.0 / 2.0f64.sqrt()).abs() < 1e-12);
    assert!((found[2] - 3.0f64.sqrt()).abs() < 1e-9);
    assert_eq!(report["var"].as_array().map(Vec::len), Some(1));
    // A constant stream divides by epsilon: everything after the first is the clip.
    lines(&steps, &["step,reward", "0,1", "1,1", "2,1"]);
    json(&arguments);
    assert_eq!(column(&out, StepTarget::Reward, "reward_normalized"), [1.0, 10.0, 10.0]);
}

#[test]
fn rolled_back_rows_and_batches_are_left_out() {
    let (_directory, path) = folder();
    let (steps, trace) = (path("steps.csv"), path("trace.parquet"));
    lines(
        &steps,
        &[
            "step,env_id,obs,rolled_back",
            "0,0,1,false",
            "0,1,2,false",
            "1,0,50,true",
            "1,1,3,false",
            "2,0,4,false",
            "2,1,5,false",
        ],
    );
    let mean = |rollback: &str| {
        let report = json(&["normalize", "stats", &steps, "--rollback", rollback, "--initial-count", "0"]);
        (report["mean"][0].as_f64().expect("a mean"), report["rollback"].clone())
    };
    let (all, counts) = mean("keep");
    assert!((all - 65.0 / 6.0).abs() < 1e-13);
    assert_eq!(counts, serde_json::json!({"rows": 0, "batches": 0}));
    assert_eq!(mean("drop"), (3.0, serde_json::json!({"rows": 1, "batches": 0})));
    assert_eq!(mean("drop-batch"), (3.0, serde_json::json!({"rows": 2, "batches": 1})));
    json(&[
        "normalize",
        "replay",
        &steps,
        "--rollback",
        "drop-batch",
        "--initial-count",
        "0",
        "--trace",
        &trace,
    ]);
    // Two updates of two rows each.
    assert_eq!(column(&trace, StepTarget::Obs, "batch_size"), [2.0, 2.0]);
}

#[test]
fn broken_recordings_are_told_with_their_place() {
    let (_directory, path) = folder();
    let steps = path("steps.ndjson");
    let out = path("out.parquet");
    let check = |rows: &[&str], expected: &[&str]| {
        lines(&steps, rows);
        let (code, stderr) = failure(&["normalize", "replay", &steps, "-o", &out]);
        assert_eq!(code, 3, "{stderr}");
        for part in expected {
            assert!(stderr.contains(part), "{part}: {stderr}");
        }
        assert!(!Path::new(&out).exists(), "nothing is half written");
    };
    check(
        &[r#"{"obs":[1,2]}"#, r#"{"obs":[1,2,3]}"#],
        &["row 1", "3 values after observations of 2", "hint"],
    );
    check(&[r#"{"obs":[1,2]}"#, r#"{"obs":null}"#], &["row 1", "a null"]);
    check(
        &[r#"{"step":0,"obs":[1]}"#, r#"{"step":1,"obs":[1]}"#, r#"{"step":1,"obs":[2]}"#],
        &["row 2", "recorded twice", "row 1"],
    );
    check(&[r#"{"step":0,"reward":1}"#], &["no obs column", "step, reward"]);
    check(&[r#"{"step":null,"obs":[1]}"#, r#"{"step":1,"obs":[1]}"#], &["row 0", "column step"]);
    // NaN and infinity need a format that can hold them.
    let steps = path("steps.csv");
    lines(&steps, &["step,obs_0,obs_1", "0,1,2", "1,1,NaN", "2,3,4", "3,5,inf"]);
    let (code, stderr) = failure(&["normalize", "replay", &steps, "-o", &out]);
    assert!(code == 3 && stderr.contains("row 1, column obs_1: NaN is not a finite number"), "{stderr}");
    // Left out on demand, and counted with their place.
    let report = json(&["normalize", "stats", &steps, "--on-bad", "skip", "--initial-count", "0"]);
    assert_eq!(numbers(&report["mean"]), [2.0, 3.0]);
    let input = &report["input"];
    assert_eq!((&input["skipped"], &input["non_finite_cells"]), (&2.into(), &2.into()));
    let place = &input["non_finite_places"][1];
    assert_eq!((&place["row"], &place["dimension"], &place["value"]), (&3.into(), &1.into(), &"inf".into()));
}

#[test]
fn a_truncated_file_is_an_error() {
    let (_directory, path) = folder();
    let bytes = std::fs::read(STEPS).expect("there");
    let cut = path("cut.parquet");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("written");
    assert_eq!(failure(&["normalize", "replay", &cut]).0, 3);
}

#[test]
fn environments_that_end_early_leave_smaller_batches() {
    let (_directory, path) = folder();
    let (steps, trace) = (path("steps.csv"), path("trace.parquet"));
    lines(&steps, &["step,env_id,obs", "0,0,1", "0,1,2", "0,2,3", "1,0,4", "1,2,5", "2,0,6"]);
    json(&["normalize", "replay", &steps, "--trace", &trace, "--momentum", "0.5"]);
    assert_eq!(column(&trace, StepTarget::Obs, "batch_size"), [3.0, 2.0, 1.0]);
    // One set of statistics per environment, as wrappers inside each environment have it.
    let report = json(&["normalize", "replay", &steps, "--scope", "env", "--momentum", "0"]);
    let means: Vec<f64> = report["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| run["mean"][0].as_f64().expect("a mean"))
        .collect();
    assert_eq!(means, [6.0, 2.0, 5.0]);
}

#[test]
fn episodes_update_when_they_end() {
    let (_directory, path) = folder();
    let (steps, trace) = (path("steps.csv"), path("trace.parquet"));
    // Env 0 has episodes 0 (two steps) and 2; env 1 has episode 1 of three steps.
    lines(
        &steps,
        &["episode,step,env_id,obs", "0,0,0,1", "1,0,1,10", "0,1,0,3", "1,1,1,20", "2,0,0,5", "1,2,1,30"],
    );
    json(&["normalize", "replay", &steps, "--update-every", "episode", "--momentum", "0", "--trace", &trace]);
    assert_eq!(column(&trace, StepTarget::Obs, "batch_size"), [2.0, 1.0, 3.0]);
    assert_eq!(column(&trace, StepTarget::Obs, "mean"), [2.0, 5.0, 20.0]);
    assert_eq!(column(&trace, StepTarget::Obs, "vector_step"), [1.0, 2.0, 2.0]);
}

#[test]
fn clocks_align_environments() {
    let (_directory, path) = folder();
    let (steps, trace) = (path("steps.csv"), path("trace.parquet"));
    // Env 1 starts two ticks late.
    lines(&steps, &["step,env_id,tick,obs", "0,0,0,1", "1,0,1,2", "2,0,2,3", "0,1,2,10", "1,1,3,20"]);
    let sizes = |clock: &str| {
        let clock = ["--clock", clock, "--initial-count", "0"];
        json(&[&["normalize", "replay", &steps, "--trace", &trace, "--force"], &clock[..]].concat());
        column(&trace, StepTarget::Obs, "batch_size")
    };
    assert_eq!(sizes("row"), [2.0, 2.0, 1.0]);
    assert_eq!(sizes("episode-step"), [2.0, 2.0, 1.0]);
    assert_eq!(sizes("tick"), [1.0, 1.0, 2.0, 1.0]);
}

#[test]
fn compare_finds_the_shift_and_measures_the_lag() {
    let (_directory, path) = folder();
    let steps = path("steps.parquet");
    let simulate =
        ["simulate", "transitions", "-o", &steps, "--n-steps", "4000", "--shift-at", "2000", "--shift", "4"];
    assert!(simic(&simulate).status.success());
    let report = json(&["normalize", "compare", &steps, "--momentum", "0.9,0.99", "--welford"]);
    let run = &report["runs"][0];
    assert!(run["shift_at"].as_u64().expect("a step").abs_diff(2000) <= 2, "{}", run["shift_at"]);
    let settings = run["settings"].as_array().expect("settings");
    for (setting, expected) in settings.iter().zip([21.85, 229.1]) {
        for lag in numbers(&setting["lag_updates_mean"]) {
            // ln 0.1/ln m, give or take the noise of a stationary process (tests/drift.rs has none).
            assert!((0.5..2.0).contains(&(lag / expected)), "{lag} for {expected}");
        }
    }
    assert!(settings[2]["lag_updates_mean"].as_array().expect("lags").iter().all(Value::is_null));
    // What compare says is what replay says.
    let replay = json(&["normalize", "replay", &steps, "--momentum", "0.99"]);
    for field in ["mean", "var", "clip_fraction"] {
        assert_eq!(replay[field], settings[1][field], "{field}");
    }
    // Those of rewards are sample variances.
    let of_rewards = ["--target", "reward", "--momentum", "0.99"];
    let replay = json(&[&["normalize", "replay", &steps], &of_rewards[..]].concat());
    let compared = json(&[&["normalize", "compare", &steps], &of_rewards[..]].concat());
    assert_eq!(replay["var"], compared["runs"][0]["settings"][0]["var"]);
    let given = json(&["normalize", "compare", &steps, "--momentum", "0.9", "--shift-at", "2000"]);
    assert_eq!(
        (&given["runs"][0]["shift_at"], &given["runs"][0]["shift_given"]),
        (&2000.into(), &true.into())
    );
}

#[test]
fn the_job_runs_in_a_project_without_arguments() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("runs")).expect("created");
    std::fs::copy(STEPS, directory.path().join("runs/steps.parquet")).expect("copied");
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    command.env_remove("SIMIC_RUNS").current_dir(directory.path());
    let output = command.args(["normalize", "replay", "--momentum", "0.99"]).output().expect("it starts");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("moving average 0.99"), "{shown}");
}

#[test]
fn a_batch_longer_than_any_block_goes_through_in_parts() {
    let (_directory, path) = folder();
    let steps = path("steps.parquet");
    let simulate =
        ["simulate", "transitions", "-o", &steps, "--n-steps", "60000", "--n-envs", "4", "--obs-width", "2"];
    assert!(simic(&simulate).status.success());
    // Two row groups, and rollouts of which the second begins with the rows that the first block leaves open.
    let report =
        json(&["normalize", "replay", &steps, "--update-every", "rollout:50000", "--initial-count", "0"]);
    let whole = json(&["normalize", "stats", &steps, "--initial-count", "0"]);
    assert_eq!((&report["updates"], &report["count"]), (&2.into(), &whole["count"]));
    for field in ["mean", "var"] {
        assert!(worst(&numbers(&report[field]), &numbers(&whole[field])) < 1e-11);
    }
}

#[test]
fn a_state_with_a_nan_or_a_wrong_count_does_not_pass() {
    // JSON has no NaN: a pickle-free safetensors state carries it.
    let whole = stored(STEPS, &["--preset", "sb3"]);
    let mut doubled = whole.clone();
    doubled["count"] = (whole["count"].as_f64().expect("a count") * 2.0).into();
    assert_eq!(diagnosed(STEPS, &["--preset", "sb3"], &doubled)["diagnosis"], "count");
    let (_directory, path) = folder();
    let state = path("nan.safetensors");
    let header = r#"{"mean":{"dtype":"F64","shape":[11],"data_offsets":[0,88]},"var":{"dtype":"F64","shape":[11],"data_offsets":[88,176]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    let mut mean = numbers(&whole["mean"]);
    mean[10] = f64::NAN;
    for value in mean.iter().chain(&numbers(&whole["var"])) {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    std::fs::write(&state, bytes).expect("written");
    let output =
        simic(&["normalize", "verify", STEPS, "--state", &state, "--preset", "sb3", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["diagnosis"], &report["matches"]), (&"invalid".into(), &false.into()));
}

#[test]
fn outputs_never_destroy_what_is_read_or_each_other() {
    let (_directory, path) = folder();
    let (input, out) = (path("in.parquet"), path("out.parquet"));
    std::fs::copy(STEPS, &input).expect("copied");
    let state = path("in.json");
    lines(&state, &[r#"{"obs":[1]}"#]);
    for arguments in [
        vec!["normalize", "replay", &input, "--trace", &input, "--force"],
        vec!["normalize", "replay", &input, "-o", &input, "--force"],
        vec!["normalize", "replay", &input, "-o", &out, "--trace", &out],
        vec!["normalize", "replay", &input, "-o", &out, "--state-out", &out],
        vec!["normalize", "replay", &input, "-o", "out.csv"],
        vec!["normalize", "stats", &state, "--state-out", &state, "--force"],
        vec!["normalize", "stats", &input, "--state-out", "state.txt"],
    ] {
        assert_eq!(failure(&arguments).0, 2, "{arguments:?}");
    }
    assert_eq!(std::fs::read(&input).expect("there"), std::fs::read(STEPS).expect("there"));
    assert!(!Path::new(&out).exists());
}

#[test]
fn states_that_do_not_merge_exactly_are_refused() {
    let (_directory, path) = folder();
    for (i, rule) in [
        &["--momentum", "0.9", "--warmup", "debias"][..],
        &["--momentum", "0.9", "--variance-floor", "0.5"],
        &["--preset", "torchrl"],
        &["--preset", "rsl-rl"],
    ]
    .iter()
    .enumerate()
    {
        let state = path(&format!("{i}.json"));
        json(&[&["normalize", "stats", STEPS, "--state-out", &state], *rule].concat());
        let (code, stderr) = failure(&["normalize", "merge", &state]);
        assert!(code == 3 && stderr.contains("cannot be merged exactly"), "{rule:?}: {stderr}");
    }
    // A reward's state is no observation's.
    let (reward, scalar) = (path("reward.json"), path("scalar.csv"));
    json(&["normalize", "stats", STEPS, "--target", "reward", "--state-out", &reward]);
    lines(&scalar, &["step,obs", "0,1", "1,3"]);
    let (code, stderr) = failure(&["normalize", "stats", &scalar, "--state-in", &reward]);
    assert!(code == 3 && stderr.contains("--target reward"), "{stderr}");
}

#[test]
fn another_runs_state_is_named() {
    let (_directory, path) = folder();
    let steps = path("two.parquet");
    assert!(
        simic(&["simulate", "transitions", "-o", &steps, "--n-runs", "2", "--n-steps", "300"])
            .status
            .success()
    );
    let one = path("one.parquet");
    assert!(simic(&["simulate", "transitions", "-o", &one, "--n-steps", "300"]).status.success());
    let document = stored(&one, &["--momentum", "0.9"]);
    let found = diagnosed(&steps, &["--momentum", "0.9", "--run", "run1"], &document);
    assert_eq!(found["diagnosis"], "other_run");
    assert!(found["detail"].as_str().expect("text").contains("run0"));
}

#[test]
fn doubled_steps_can_be_left_out() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    lines(&steps, &["step,env_id,obs", "0,0,1", "0,1,2", "0,1,50", "1,0,3", "1,1,4"]);
    let (code, stderr) = failure(&["normalize", "replay", &steps]);
    assert!(code == 3 && stderr.contains("row 2"), "{stderr}");
    for clock in ["row", "episode-step"] {
        let arguments =
            ["normalize", "replay", &steps, "--on-bad", "skip", "--momentum", "0", "--clock", clock];
        let report = json(&arguments);
        assert_eq!((numbers(&report["mean"]), &report["input"]["skipped"]), (vec![3.5], &1.into()));
    }
}

#[test]
fn statistics_alone_claim_nothing_about_clipping() {
    let report = json(&["normalize", "stats", STEPS, "--clip", "0.5"]);
    assert!(report["clip_fraction"].is_null() && report["diagnostics"]["mean_distance"].is_null());
    let replayed = json(&["normalize", "replay", STEPS, "--clip", "0.5"]);
    assert!(replayed["clip_fraction"].as_f64().expect("a share") > 0.5);
}

#[test]
fn every_framework_divides_rewards_by_its_own_deviation() {
    let report = json(&["normalize", "compare", STEPS, "--target", "reward", "--divisors"]);
    let divisor = |preset: &str| {
        let rows = report["rows"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["preset"] == preset).expect("the preset");
        row["divisor"].as_f64().expect("a number")
    };
    // What the last row was divided by, from the frameworks' own outputs.
    let rewards = column(STEPS, StepTarget::Reward, "reward");
    let last = rewards.len() - 1;
    for (preset, expected) in
        [("sb3", "sb3_reward"), ("gymnasium", "gymnasium_reward"), ("rsl-rl", "rsl_rl_reward")]
    {
        let found = rewards[last] / column(EXPECTED, StepTarget::Reward, expected)[last];
        assert!((divisor(preset) / found - 1.0).abs() < 1e-6, "{preset}");
    }
    // TorchRL subtracts a mean besides: the divisor follows from two rows of one value step.
    let torchrl = column(RETURNS, StepTarget::Reward, "torchrl_reward");
    let found = (rewards[last] - rewards[last - 1]) / (torchrl[last] - torchrl[last - 1]);
    assert!((divisor("torchrl") / found - 1.0).abs() < 1e-9);
    let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
    let sample: f64 = rewards.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / last as f64;
    assert!((divisor("esper") - sample.sqrt()).abs() < 1e-12);
    assert_eq!(failure(&["normalize", "compare", STEPS, "--divisors"]).0, 2);
}
