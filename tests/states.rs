//! Stored states: what is refused, what is kept, and what a rule can go on from.

use serde_json::{Value, json};

use super::normalizers::{STEPS, failure, folder, json as report, lines, numbers, part_of, stored, worst};

/// A stored state of one dimension.
fn document() -> Value {
    json!({
        "schema": "simic.normalizer/1", "kind": "ema", "momentum": 0.9, "count": 4.0, "mean": [2.0], "var": [1.0],
        "epsilon": 1e-4, "clip": 10.0, "batches": 4,
        "initial_count": 1e-4, "initial_mean": 0.0, "initial_var": 1.0, "target": "obs",
    })
}

/// A safetensors file of 64-bit tensors and nothing else.
fn safetensors(tensors: &[(&str, &[f64])]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, values) in tensors {
        let start = data.len();
        values.iter().for_each(|value| data.extend_from_slice(&value.to_le_bytes()));
        let entry = json!({"dtype": "F64", "shape": [values.len()], "data_offsets": [start, data.len()]});
        header.insert((*name).to_owned(), entry);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

#[test]
fn states_that_contradict_themselves_are_refused_by_every_verb() {
    let (_directory, path) = folder();
    let (steps, state) = (path("steps.csv"), path("state.json"));
    lines(&steps, &["step,obs", "0,1", "1,3"]);
    for (field, value, expected) in [
        ("count", json!(-4.0), "count -4"),
        ("momentum", json!(1.5), "momentum 1.5 is not in [0, 1]"),
        ("momentum", json!(-0.1), "momentum -0.1"),
        ("initial_count", json!(-1.0), "initial count -1"),
        ("initial_var", json!(-1.0), "initial variance -1"),
        ("initial_mean", Value::Null, "go together"),
        ("epsilon", json!(-1.0), "epsilon -1"),
        ("clip", json!(-1.0), "clip -1"),
        ("var", json!([1.0, 2.0]), "1 means but 2 variances"),
        ("target", json!("reward"), "--target reward"),
    ] {
        let mut changed = document();
        changed[field] = value;
        std::fs::write(&state, changed.to_string()).expect("written");
        for verb in [
            &["replay", &steps, "--state-in"][..],
            &["stats", &steps, "--state-in"],
            &["verify", &steps, "--state"],
        ] {
            let (code, stderr) = failure(&[&["normalize"], verb, &[&state, "--momentum", "0.9"]].concat());
            assert!(code == 3 && stderr.contains(expected), "{field} {verb:?}: {stderr}");
        }
        if field != "target" {
            let (code, stderr) = failure(&["normalize", "merge", &state]);
            assert!(code == 3 && stderr.contains(expected), "{field} merge: {stderr}");
        }
    }
}

#[test]
fn moments_that_no_rows_have_are_refused_unless_they_are_judged() {
    let (_directory, path) = folder();
    let (steps, state) = (path("steps.csv"), path("state.safetensors"));
    lines(&steps, &["step,obs", "0,1", "1,3"]);
    for (mean, var, expected) in [
        (f64::NAN, 1.0, "mean of dimension 0 is NaN"),
        (f64::INFINITY, 1.0, "mean of dimension 0 is inf"),
        (1.0, f64::NAN, "variance of dimension 0 is NaN"),
        (1.0, f64::INFINITY, "variance of dimension 0 is inf"),
        (1.0, -1.0, "variance of dimension 0 is -1"),
    ] {
        std::fs::write(&state, safetensors(&[("mean", &[mean]), ("var", &[var]), ("count", &[2.0])]))
            .expect("written");
        for verb in [&["replay", &steps, "--state-in"][..], &["stats", &steps, "--state-in"], &["merge"]] {
            let (code, stderr) = failure(&[&["normalize"], verb, &[&state]].concat());
            assert!(code == 3 && stderr.contains(expected), "{verb:?}: {stderr}");
        }
        let verified = report(&["normalize", "verify", &steps, "--state", &state]);
        assert_eq!(verified["diagnosis"], "invalid");
    }
    std::fs::write(&state, safetensors(&[("mean", &[1.0]), ("var", &[1.0]), ("count", &[f64::NAN])]))
        .expect("written");
    assert_eq!(failure(&["normalize", "verify", &steps, "--state", &state]).0, 3);
}

#[test]
fn a_state_without_a_count_is_no_state_of_count_0() {
    let (_directory, path) = folder();
    let (steps, state) = (path("steps.csv"), path("state.safetensors"));
    lines(&steps, &["step,obs", "0,1", "1,3"]);
    std::fs::write(&state, safetensors(&[("mean", &[50.0]), ("var", &[1.0])])).expect("written");
    for verb in [&["replay", &steps, "--state-in"][..], &["stats", &steps, "--state-in"], &["merge"]] {
        let (code, stderr) = failure(&[&["normalize"], verb, &[&state]].concat());
        assert!(code == 3 && stderr.contains("no count"), "{verb:?}: {stderr}");
    }
    // What weighs by updates needs their number as well.
    std::fs::write(&state, safetensors(&[("mean", &[50.0]), ("var", &[1.0]), ("count", &[9.0])]))
        .expect("written");
    let debias = ["--momentum", "0.9", "--warmup", "debias"];
    let (code, stderr) =
        failure(&[&["normalize", "replay", &steps, "--state-in", &state][..], &debias].concat());
    assert!(code == 3 && stderr.contains("how many updates"), "{stderr}");
}

#[test]
fn a_resumed_state_keeps_the_initial_state_it_came_from() {
    let (_directory, path) = folder();
    let (first, second) = (path("a.ndjson"), path("b.ndjson"));
    part_of(0..100, &first);
    part_of(100..240, &second);
    let (half, resumed, whole) = (path("half.json"), path("resumed.json"), path("whole.json"));
    let initial = ["--initial-count", "5"];
    report(&[&["normalize", "stats", &first, "--state-out", &half][..], &initial].concat());
    report(&["normalize", "stats", &second, "--state-in", &half, "--state-out", &resumed]);
    report(&[&["normalize", "stats", STEPS, "--state-out", &whole][..], &initial].concat());
    let read = |path: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(path).expect("written")).expect("JSON")
    };
    let (resumed, whole) = (read(&resumed), read(&whole));
    for field in ["initial_count", "initial_mean", "initial_var", "count", "batches"] {
        assert_eq!(resumed[field], whole[field], "{field}");
    }
}

#[test]
fn momenta_of_rows_are_not_those_of_updates() {
    let (_directory, path) = folder();
    let (first, second) = (path("a.ndjson"), path("b.ndjson"));
    part_of(0..100, &first);
    part_of(100..240, &second);
    let half = path("half.json");
    report(&["normalize", "replay", &first, "--preset", "torchrl", "--state-out", &half]);
    let document: Value =
        serde_json::from_str(&std::fs::read_to_string(&half).expect("written")).expect("JSON");
    assert_eq!(document["momentum_unit"], "row");
    let (code, stderr) =
        failure(&["normalize", "replay", &second, "--momentum", "0.9999", "--state-in", &half]);
    assert!(code == 3 && stderr.contains("per row"), "{stderr}");
    let resumed = report(&["normalize", "replay", &second, "--preset", "torchrl", "--state-in", &half]);
    let whole = report(&["normalize", "replay", STEPS, "--preset", "torchrl"]);
    for field in ["mean", "var"] {
        assert!(worst(&numbers(&resumed[field]), &numbers(&whole[field])) < 1e-11, "{field}");
    }
    // verify takes the unit from the file.
    assert_eq!(report(&["normalize", "verify", &first, "--state", &half])["kind"], "ema");
}

#[test]
fn what_no_state_file_holds_cannot_be_gone_on_from() {
    let (_directory, path) = folder();
    let state = path("returns.json");
    let returns = ["--target", "reward", "--reward-scale", "return"];
    report(&[&["normalize", "replay", STEPS, "--state-out", &state][..], &returns].concat());
    for verb in ["replay", "stats"] {
        let arguments = ["normalize", verb, STEPS, "--state-in", &state];
        let (code, stderr) = failure(&[&arguments[..], &returns].concat());
        assert!(code == 2 && stderr.contains("discounted return") && stderr.contains("hint"), "{stderr}");
        // Nor is it a state of the rewards themselves.
        let rewards = ["--target", "reward", "--update-every", "step"];
        let (code, stderr) = failure(&[&arguments[..], &rewards].concat());
        assert!(code == 3 && stderr.contains("--reward-scale return"), "{stderr}");
    }
    let (code, stderr) = failure(&["normalize", "merge", &state]);
    assert!(code == 3 && stderr.contains("cannot be merged exactly"), "{stderr}");
    let half = stored(STEPS, &["--momentum", "0.9"]);
    let path = path("half.json");
    std::fs::write(&path, half.to_string()).expect("written");
    let warm = ["--momentum", "0.9", "--warmup", "welford:32", "--bias-correction", "exact"];
    let (code, stderr) = failure(&[&["normalize", "replay", STEPS, "--state-in", &path][..], &warm].concat());
    assert!(code == 2 && stderr.contains("initial state"), "{stderr}");
}

#[test]
fn merged_states_keep_their_target_and_what_moved_nothing() {
    let (_directory, path) = folder();
    let write = |name: &str, changes: &[(&str, Value)]| {
        let mut changed = document();
        for (field, value) in changes {
            changed[*field] = value.clone();
        }
        let path = path(name);
        std::fs::write(&path, changed.to_string()).expect("written");
        path
    };
    let still = [("momentum", json!(1.0)), ("mean", json!([0.0])), ("target", json!("reward"))];
    let (one, two) = (write("one.json", &still), write("two.json", &still));
    let merged = report(&["normalize", "merge", &one, &two]);
    assert_eq!((&merged["count"], &merged["batches"]), (&json!(8.0), &json!(8)));
    assert_eq!(merged["target"], "reward");
    let (code, stderr) =
        failure(&["normalize", "merge", &one, &write("obs.json", &[("momentum", json!(1.0))])]);
    assert!(code == 3 && stderr.contains("--target obs"), "{stderr}");
}

#[test]
fn values_whose_squares_overflow_are_named() {
    let (_directory, path) = folder();
    let (steps, state) = (path("steps.csv"), path("state.json"));
    lines(&steps, &["step,obs,reward", "0,1,1e100", "1,-1e200,1e200", "2,3,1e100"]);
    let rewards: &[&str] = &["--target", "reward"];
    for (verb, more, expected) in [
        ("stats", &[][..], "run steps: obs = -1e200"),
        ("stats", &["--momentum", "0.5"], "run steps, episode 0, step 1, env 0: obs = -1e200"),
        ("replay", &[], "step 1, env 0: obs = -1e200"),
        ("replay", rewards, "step 1, env 0: reward = 1e200"),
        ("compare", &[], "obs = -1e200"),
    ] {
        let (code, stderr) = failure(&[&["normalize", verb, &steps], more].concat());
        assert!(code == 3 && stderr.contains(expected) && stderr.contains("overflows"), "{verb}: {stderr}");
    }
    // Just below the bound nothing is null, and the state is one.
    lines(&steps, &["step,obs", "0,1e153", "1,-1e153", "2,3"]);
    for more in [&["--momentum", "0"][..], &[], &["--momentum", "0.5", "--update-every", "rollout:2"]] {
        let found =
            report(&[&["normalize", "stats", &steps, "--state-out", &state, "--force"], more].concat());
        assert!(numbers(&found["var"])[0].is_finite());
        report(&[&["normalize", "stats", &steps, "--state-in", &state], more].concat());
    }
    // A return sums what its rewards do not.
    lines(&steps, &["step,reward", "0,1e153", "1,1e153", "2,1e153", "3,1e153"]);
    let returns = ["--target", "reward", "--reward-scale", "return", "--gamma", "1"];
    let (code, stderr) = failure(&[&["normalize", "replay", &steps][..], &returns].concat());
    assert!(code == 3 && stderr.contains("discounted return"), "{stderr}");
    let mut far = document();
    far["mean"] = json!([1e200]);
    std::fs::write(&state, far.to_string()).expect("written");
    let (code, stderr) = failure(&["normalize", "merge", &state]);
    assert!(code == 3 && stderr.contains("1e200: its square overflows"), "{stderr}");
}
