//! What `verify` calls the same, and what it says of a state that is not.

use serde_json::Value;

use super::normalizers::{
    ESPER, NEXT_STEP, RETURNS, STEPS, diagnosed, failure, folder, json, lines, numbers, part_of, simic,
    stored,
};

/// Rows that alternate between two values.
fn alternating(path: &str, n_rows: usize, low: f64, high: f64) {
    let rows = (0..n_rows).map(|row| format!("{row},{}", if row % 2 == 0 { low } else { high }));
    let rows: Vec<String> = std::iter::once("step,obs".to_owned()).chain(rows).collect();
    lines(path, &rows.iter().map(String::as_str).collect::<Vec<_>>());
}

const PLAIN: &[&str] = &["--initial-count", "0"];

#[test]
fn means_are_compared_in_deviations_whatever_their_size() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    alternating(&steps, 1000, 10_000.0, 10_000.1);
    let mut off = stored(&steps, PLAIN);
    // The deviation is 0.05: 18 of them.
    off["mean"][0] = 10_000.95.into();
    let found = diagnosed(&steps, PLAIN, &off);
    assert!((found["distance"].as_f64().expect("a distance") - 18.0).abs() < 1e-3, "{found}");
}

#[test]
fn rounding_to_the_stored_precision_is_no_difference() {
    let (_directory, path) = folder();
    let (steps, state) = (path("steps.csv"), path("state.safetensors"));
    alternating(&steps, 1000, 10_000.0, 10_000.1);
    let right = stored(&steps, PLAIN);
    let number = |field: &str| right[field][0].as_f64().expect("a number");
    #[expect(clippy::cast_possible_truncation, reason = "that is what is tested")]
    let rounded = [number("mean") as f32, number("var") as f32];
    let header = r#"{"mean":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"var":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    rounded.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    std::fs::write(&state, bytes).expect("written");
    let verified = json(&[&["normalize", "verify", &steps, "--state", &state], PLAIN].concat());
    assert_eq!(verified["matches"], true, "{verified}");
    // The same numbers at 64 bits are off by what 32 bits lost.
    let mut lost = right.clone();
    lost["mean"][0] = f64::from(rounded[0]).into();
    lost["var"][0] = f64::from(rounded[1]).into();
    assert_eq!(diagnosed(&steps, PLAIN, &lost)["matches"], false);
}

#[test]
fn a_stale_state_of_settled_statistics_is_stale() {
    let (_directory, path) = folder();
    let (steps, early) = (path("steps.csv"), path("early.csv"));
    alternating(&steps, 1000, 0.0, 1.0);
    alternating(&early, 500, 0.0, 1.0);
    let found = diagnosed(&steps, PLAIN, &stored(&early, PLAIN));
    assert_eq!(found["diagnosis"], "stale", "{found}");
    assert!(found["detail"].as_str().expect("text").contains("after 500 of 1,000"), "{found}");
    // No update had this count.
    let mut miscounted = stored(&early, PLAIN);
    miscounted["count"] = 5000.0.into();
    assert_eq!(diagnosed(&steps, PLAIN, &miscounted)["diagnosis"], "count");
}

#[test]
fn another_momentum_is_named_only_within_the_tolerance() {
    let asked: &[&str] = &["--momentum", "0.99"];
    for momentum in ["0.95", "0.9537", "0.5"] {
        let found = diagnosed(STEPS, asked, &stored(STEPS, &["--momentum", momentum]));
        assert_eq!(found["diagnosis"], "wrong_momentum", "{momentum}: {found}");
        let detail = found["detail"].as_str().expect("text");
        assert!(detail.contains(momentum), "{detail}");
    }
    let mut moved = stored(STEPS, &["--momentum", "0.95"]);
    let deviation = moved["var"][0].as_f64().expect("a variance").sqrt();
    moved["mean"][0] = (moved["mean"][0].as_f64().expect("a mean") + 0.005 * deviation).into();
    // A document that says 0.95 of itself is compared under 0.99 all the same.
    let found: Value = diagnosed(STEPS, asked, &moved);
    assert_eq!(found["diagnosis"], "unknown", "{found}");
}

/// Writes the moments and the count of a state and nothing else about it.
fn bare(path: &str, document: &Value) {
    let fields: Vec<Vec<f64>> = ["mean", "var"].iter().map(|field| numbers(&document[field])).collect();
    let count = vec![document["count"].as_f64().expect("a count")];
    let mut header = serde_json::Map::new();
    let mut data: Vec<u8> = Vec::new();
    for (name, values) in ["mean", "var", "count"].iter().zip(fields.iter().chain([&count])) {
        let start = data.len();
        values.iter().for_each(|value| data.extend_from_slice(&value.to_le_bytes()));
        let tensor =
            serde_json::json!({"dtype": "F64", "shape": [values.len()], "data_offsets": [start, data.len()]});
        header.insert((*name).to_owned(), tensor);
    }
    let header = Value::from(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(data);
    std::fs::write(path, bytes).expect("written");
}

/// What verify says of a file, with its exit code.
fn verified(steps: &str, state: &str, more: &[&str]) -> (i32, Value) {
    let arguments = [&["normalize", "verify", steps, "--state", state], more, &["--format", "json"]].concat();
    let output = simic(&arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().expect("a code");
    assert!(code < 2, "{arguments:?}: {stderr}");
    (code, serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// The presets that match, as `tried` has them.
fn matching(document: &Value) -> Vec<String> {
    let rows = document["tried"].as_array().expect("a list").iter().filter(|row| row["matches"] == true);
    rows.map(|row| row["preset"].as_str().unwrap_or("own").to_owned()).collect()
}

#[test]
fn the_framework_whose_state_it_is_is_found() {
    let (_directory, path) = folder();
    let state = path("state.safetensors");
    // Frameworks that make the same states are found together.
    let cases: [(&str, &str, &str, &[&str]); 11] = [
        (STEPS, "sb3", "obs", &["own", "sb3", "gymnasium"]),
        (STEPS, "gymnasium", "obs", &["own", "sb3", "gymnasium"]),
        (STEPS, "rsl-rl", "obs", &["rsl-rl"]),
        (STEPS, "torchrl", "obs", &["torchrl"]),
        (STEPS, "brax", "obs", &["brax"]),
        (ESPER, "esper", "obs", &["esper"]),
        (RETURNS, "esper", "return", &["esper"]),
        (STEPS, "sb3", "reward", &["sb3"]),
        (STEPS, "rsl-rl", "reward", &["rsl-rl"]),
        (RETURNS, "torchrl", "reward", &["torchrl"]),
        (NEXT_STEP, "gymnasium", "reward", &["gymnasium"]),
    ];
    for (steps, preset, target, expected) in cases {
        let target = ["--target", target];
        bare(&state, &stored(steps, &[&["--preset", preset], &target[..]].concat()));
        let (code, found) = verified(steps, &state, &target);
        assert_eq!(code, 0, "{preset} {target:?}: {found}");
        assert_eq!(matching(&found), expected, "{preset} {target:?}: {found}");
        let named = if preset == "gymnasium" && target[1] == "obs" { "sb3" } else { preset };
        assert_eq!((&found["preset"], &found["matches"]), (&named.into(), &true.into()), "{found}");
        assert_eq!(found["settings"]["asked"], "auto");
    }
}

#[test]
fn what_a_checkpoint_of_a_framework_is_of_is_said() {
    let state = "fixtures/normalizers/rsl_rl.pt";
    let output = simic(&["normalize", "verify", STEPS, "--state", state]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.contains("matches under rsl-rl (run hopper, full history)"),
        "{shown}"
    );
    // Asked for by name, another framework's state is a difference.
    let (code, found) = verified(STEPS, state, &["--preset", "sb3"]);
    assert_eq!(
        (code, &found["diagnosis"], &found["preset"]),
        (1, &"other_preset".into(), &"rsl-rl".into()),
        "{found}"
    );
    assert_eq!(found["settings"]["preset"], "sb3");
    assert!(
        found["detail"].as_str().expect("text").contains("matches under rsl-rl, not under sb3"),
        "{found}"
    );
    // The file of Stable-Baselines3 says that it is full history from a weight of 1e-4.
    let (code, found) = verified(STEPS, "fixtures/normalizers/vecnormalize.pkl", &[]);
    assert_eq!((code, &found["preset"]), (0, &"sb3".into()));
    let left_out = |preset: &str| {
        let rows = found["tried"].as_array().expect("a list");
        let row = rows.iter().find(|row| row["preset"] == preset).expect("the preset");
        row["left_out"].as_str().unwrap_or_default().to_owned()
    };
    assert!(left_out("torchrl").contains("the file says full history"), "{found}");
    assert!(left_out("rsl-rl").contains("began with"), "{found}");
    assert!(left_out("gymnasium").is_empty());
}

#[test]
fn a_rule_of_flags_is_the_one_asked_for() {
    let (_directory, path) = folder();
    let state = path("state.safetensors");
    bare(&state, &stored(STEPS, &["--preset", "sb3"]));
    let (code, found) = verified(STEPS, &state, &["--initial-count", "1000"]);
    assert_eq!((code, found["tried"].as_array().map(Vec::len)), (1, Some(1)), "{found}");
    assert_eq!(found["settings"]["asked"], "flags");
    let arguments =
        ["normalize", "verify", STEPS, "--state", &state, "--preset", "auto", "--momentum", "0.9"];
    let (code, stderr) = failure(&arguments);
    assert!(code == 2 && stderr.contains("--preset auto"), "{stderr}");
}

#[test]
fn a_live_run_is_one_vector_step_ahead_of_its_recording() {
    // Gymnasium's own statistics after the last step of a run whose rows hold what the policy saw.
    let state = "fixtures/normalizers/next_step_obs.pkl";
    for preset in ["auto", "gymnasium", "sb3"] {
        let (code, found) = verified(NEXT_STEP, state, &["--preset", preset]);
        assert_eq!((code, &found["diagnosis"]), (1, &"one_step_more".into()), "{found}");
        assert!(
            found["detail"]
                .as_str()
                .expect("text")
                .contains("one vector step more than is recorded (4 rows)")
        );
    }
    let (_directory, path) = folder();
    let (steps, shifted) = (path("steps.ndjson"), path("state.json"));
    part_of(0..150, &steps);
    let longer = path("longer.ndjson");
    part_of(0..151, &longer);
    for rule in
        [&["--preset", "sb3"][..], &["--preset", "torchrl"], &["--preset", "rsl-rl"], &["--momentum", "0.9"]]
    {
        let ahead = stored(&longer, rule);
        let found = diagnosed(&steps, rule, &ahead);
        assert_eq!(found["diagnosis"], "one_step_more", "{rule:?}: {found}");
        // The count alone is no such step: no 8 rows move a mean that far, none take a third of a variance away.
        for (field, change) in [("mean", 3.0), ("var", -0.3)] {
            let mut moved = ahead.clone();
            let scale = match field {
                "mean" => moved["var"][3].as_f64().expect("a variance").sqrt(),
                _ => moved["var"][3].as_f64().expect("a variance"),
            };
            moved[field][3] = (moved[field][3].as_f64().expect("a number") + change * scale).into();
            std::fs::write(&shifted, moved.to_string()).expect("written");
            let (code, found) = verified(&steps, &shifted, rule);
            assert!(code == 1 && found["diagnosis"] != "one_step_more", "{rule:?} {field}: {found}");
        }
    }
}

#[test]
fn a_state_one_vector_step_behind_is_told_from_a_stale_one() {
    let (_directory, path) = folder();
    let (steps, shorter, stale) = (path("steps.ndjson"), path("shorter.ndjson"), path("stale.ndjson"));
    part_of(0..150, &steps);
    part_of(0..149, &shorter);
    part_of(0..148, &stale);
    for rule in [
        &["--preset", "sb3"][..],
        &["--preset", "rsl-rl"],
        &["--momentum", "0.9"],
        &["--momentum", "0.99", "--update-every", "row"],
        &["--momentum", "0.9", "--update-every", "rollout:20"],
    ] {
        let found = diagnosed(&steps, rule, &stored(&shorter, rule));
        assert_eq!(found["diagnosis"], "one_step_less", "{rule:?}: {found}");
        assert!(found["detail"].as_str().expect("text").contains("without its last 8 rows"), "{found}");
        let found = diagnosed(&steps, rule, &stored(&stale, rule));
        assert_ne!(found["diagnosis"], "one_step_less", "{rule:?}: {found}");
    }
}

#[test]
fn sample_variances_are_named() {
    let (_directory, path) = folder();
    let (steps, state) = (path("steps.csv"), path("state.safetensors"));
    // 1,000 rows of 0 and 1: a population variance of 1/4, a sample variance of 1/4 * 1000/999.
    alternating(&steps, 1000, 0.0, 1.0);
    let document = |var: f64| serde_json::json!({"mean": [0.5], "var": [var], "count": 1000.0});
    bare(&state, &document(0.25));
    assert_eq!(verified(&steps, &state, &[]).0, 0);
    bare(&state, &document(0.25 * 1000.0 / 999.0));
    for more in [&[][..], PLAIN, &["--preset", "brax"]] {
        let (code, found) = verified(&steps, &state, more);
        assert_eq!((code, &found["diagnosis"]), (1, &"sample_variance".into()), "{found}");
        assert!(found["detail"].as_str().expect("text").contains("n = 1,000"), "{found}");
    }
    // Another factor is no sample variance.
    bare(&state, &document(0.25 * 1000.0 / 998.0));
    assert_ne!(verified(&steps, &state, PLAIN).1["diagnosis"], "sample_variance");
}
