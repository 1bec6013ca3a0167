//! Changes of a recording and how far statistics lag behind them, from outside.

use serde_json::{Value, json};

use super::normalizers::{failure, folder, json as report, lines};

/// Rows of four environments whose mean steps from 0 to `after` at vector step 504, at a deviation of 1 within every
/// vector step: nothing is left to chance.
fn step(path: &str, after: f64) {
    let mut rows = vec!["step,env_id,obs_0,obs_1".to_owned()];
    for step in 0..6000 {
        let mean = if step < 504 { 0.0 } else { after };
        for (env, offset) in [-1.0, 1.0, 1.0, -1.0].into_iter().enumerate() {
            rows.push(format!("{step},{env},{},{}", mean + offset, -3.0 * (mean + offset)));
        }
    }
    lines(path, &rows.iter().map(String::as_str).collect::<Vec<_>>());
}

fn lags(setting: &Value, key: &str) -> Vec<f64> {
    let lags = setting[key].as_array().unwrap_or_else(|| panic!("{key} of {setting}"));
    lags.iter().map(|lag| lag.as_f64().expect("it arrives")).collect()
}

#[test]
fn lags_are_those_of_the_formula_in_updates_and_vector_steps() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    step(&steps, 10.0);
    let compared = |every: &str, momenta: &str| {
        let arguments = ["normalize", "compare", &steps, "--shift-at", "504", "--momentum", momenta];
        let found = report(&[&arguments[..], &["--update-every", every]].concat());
        found["runs"][0]["settings"].as_array().expect("settings").clone()
    };
    // ln 0.1/ln m updates; of rows, four of which make a vector step, of vector steps, or of eight of them.
    for (every, steps_per_update) in [("row", 0.25), ("step", 1.0), ("rollout:8", 8.0)] {
        let momenta = if every == "rollout:8" { [0.9, 0.98] } else { [0.98, 0.995] };
        let asked = momenta.map(|m| m.to_string()).join(",");
        for (setting, momentum) in compared(every, &asked).iter().zip(momenta) {
            let expected = 0.1f64.ln() / f64::ln(momentum);
            for (key, expected) in
                [("lag_updates_mean", expected), ("lag_vector_steps_mean", expected * steps_per_update)]
            {
                for lag in lags(setting, key) {
                    // A lag is a whole number of updates.
                    let slack = (0.02 * expected).max(1.0);
                    assert!(
                        (lag - expected).abs() <= slack,
                        "{every} {momentum}: {key} {lag} for {expected}"
                    );
                }
            }
        }
    }
}

/// Rows of one environment whose mean steps from 0 to 10 at a vector step.
fn long_step(path: &str, at: usize, n_rows: usize) {
    let mut rows = vec!["step,obs_0".to_owned()];
    let mean = |step| if step < at { 0.0 } else { 10.0 };
    rows.extend((0..n_rows).map(|step| format!("{step},{}", mean(step) + [-1.0, 1.0][step % 2])));
    lines(path, &rows.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn lags_are_those_of_the_formula_wherever_blocks_of_rows_begin() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    // Rows are handed on by 65 536; where the shift is, only those around it tell, 782 to either side.
    for at in [65_000, 65_500, 65_536, 65_540, 131_000] {
        long_step(&steps, at, 140_000);
        let found = report(&["normalize", "compare", &steps, "--momentum", "0.5,0.9,0.99"]);
        let run = &found["runs"][0];
        assert_eq!(run["shift_at"], json!(at));
        for (setting, momentum) in run["settings"].as_array().expect("settings").iter().zip([0.5, 0.9, 0.99])
        {
            let expected = 0.1f64.ln() / f64::ln(momentum);
            let lag = lags(setting, "lag_updates_mean")[0];
            assert!(
                (lag - expected).abs() <= 2.0 + 0.02 * expected,
                "{at}, {momentum}: {lag} for {expected}"
            );
        }
    }
}

/// Where a shift is given, its update is counted, not reckoned, and rows of both sides are told apart wherever windows end.
#[test]
fn a_shift_that_is_given_is_where_its_rows_are() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    let compared = |flags: &[&str]| {
        let found = report(&[&["normalize", "compare", &steps, "--momentum", "0.9,0.99"], flags].concat());
        found["runs"][0].clone()
    };
    let has_lags = |run: &Value, what: &str| {
        for (setting, momentum) in run["settings"].as_array().expect("settings").iter().zip([0.9, 0.99]) {
            let expected = 0.1f64.ln() / f64::ln(momentum);
            let lag = lags(setting, "lag_updates_mean")[0];
            assert!((lag - expected).abs() <= 2.0 + 0.02 * expected, "{what}, {momentum}: {lag}");
        }
    };
    // Environments of unequal length, an update a row: four rows a step up to 2000, then one.
    let mut rows = vec!["step,env_id,obs_0".to_owned()];
    for step in 0..8000 {
        let n_envs = if step < 2000 { 4 } else { 1 };
        let mean = if step < 1500 { 0.0 } else { 10.0 };
        rows.extend((0..n_envs).map(|env| format!("{step},{env},{}", mean + [-1.0, 1.0][(env + step) % 2])));
    }
    lines(&steps, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    let run = compared(&["--update-every", "row", "--shift-at", "1500"]);
    assert_eq!(run["shift_update"], json!(6000));
    has_lags(&run, "unequal environments");
    // The last rollout is a part of one.
    let run = compared(&["--update-every", "rollout:128", "--shift-at", "1406"]);
    assert_eq!(run["shift_update"], json!(10));

    // Windows of 79 rows: the first, the last, and where one begins.
    for at in [30, 79, 10_000, 19_400, 19_760] {
        long_step(&steps, at, 20_000);
        let run = compared(&["--shift-at", &at.to_string()]);
        assert_eq!(run["shift_update"], json!(at));
        let settings = run["settings"].as_array().expect("settings");
        let lag = lags(&settings[0], "lag_updates_mean")[0];
        assert!((lag - 22.0).abs() <= 3.0, "{at}: {lag}");
        if at < 19_700 {
            has_lags(&run, &at.to_string());
        }
        let greatest = lags(&settings[0], "greatest_var_ratio")[0];
        assert!(greatest > 1.0, "{at}: {greatest}");
    }
    // One that is found begins with the first step of its update.
    long_step(&steps, 10_000, 20_000);
    for every in ["step", "rollout:100"] {
        let run = compared(&["--update-every", every]);
        assert_eq!(run["shift_at"], json!(10_000), "{every}");
    }
    let given = compared(&["--update-every", "rollout:100", "--shift-at", "10000"]);
    let found = compared(&["--update-every", "rollout:100"]);
    assert_eq!(found["settings"], given["settings"]);
}

#[test]
fn the_lag_of_a_momentum_per_row_is_told_in_both_units() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    step(&steps, 0.0);
    let told = |more: &[&str]| {
        let found = report(&[&["normalize", "replay", &steps, "--momentum", "0.99"], more].concat());
        let told = &found["diagnostics"];
        ["lag_updates", "lag_vector_steps"].map(|key| told[key].as_f64().expect("a lag"))
    };
    let near = |found: [f64; 2], expected: [f64; 2]| {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-3, "{found} for {expected}");
        }
    };
    let lag = 229.105;
    near(told(&[]), [lag, lag]);
    near(told(&["--update-every", "row"]), [lag, lag / 4.0]);
    near(told(&["--update-every", "rollout:20"]), [lag, lag * 20.0]);
    // torchrl's momentum is one of rows: four of them make an update.
    near(told(&["--preset", "torchrl"]), [lag / 4.0, lag / 4.0]);
}

#[test]
fn a_shift_beyond_the_recording_is_refused() {
    let steps = "fixtures/simulated/steps.parquet";
    for (every, updates) in [("step", "300 updates"), ("rollout:7", "43 updates"), ("row", "1200 updates")] {
        let arguments = ["normalize", "compare", steps, "--shift-at", "300", "--update-every", every];
        let (code, stderr) = failure(&arguments);
        assert!(code == 2 && stderr.contains(updates) && stderr.contains("300 vector steps"), "{stderr}");
    }
    let last = report(&["normalize", "compare", steps, "--shift-at", "299"]);
    assert_eq!(last["runs"][0]["shift_at"], 299);
}

#[test]
fn a_change_of_the_variance_alone_is_told_and_located_as_that() {
    let steps = "tests/cli/data/sd_falls.csv";
    let found = report(&["normalize", "stats", steps]);
    let drift = &found["diagnostics"]["drift"];
    assert_eq!((&drift["level"], drift["dimensions"].as_array().map(Vec::len)), (&json!(0.05), Some(1)));
    let change = &drift["dimensions"][0];
    assert_eq!((&change["dimension"], &change["statistic"]), (&json!(0), &json!("variance")));
    assert!(change["p_value"].as_f64().expect("a number") < 0.0125);
    let ratio = change["sd_ratio"].as_f64().expect("a ratio");
    assert!((1.0 / ratio - 4.5).abs() < 0.5 && change["shift"].as_f64().expect("a shift").abs() < 0.25);
    let test = &found["diagnostics"]["drift_test"];
    assert_eq!((&test["n_tests"], &test["untold"], &test["reason"]), (&json!(4), &json!([]), &Value::Null));
    let compared = report(&["normalize", "compare", steps, "--momentum", "0.9"]);
    let at = compared["runs"][0]["shift_at"].as_u64().expect("a shift");
    assert!(at.abs_diff(200) <= 4, "{at}");
}

#[test]
fn what_cannot_be_told_has_a_reason() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    // A slow wave: one period and a half.
    let wave = |step: u32| (f64::from(step) / 100.0 * std::f64::consts::TAU).sin();
    let rows: Vec<String> = (0..150).map(|step| format!("{step},{}", wave(step))).collect();
    let rows: Vec<&str> = std::iter::once("step,obs").chain(rows.iter().map(String::as_str)).collect();
    lines(&steps, &rows);
    for verb in ["stats", "replay"] {
        let found = report(&["normalize", verb, &steps]);
        let (drift, test) = (&found["diagnostics"]["drift"], &found["diagnostics"]["drift_test"]);
        assert!(drift.is_null(), "{drift}");
        assert_eq!(
            test["untold"][0],
            json!({"dimension": 0, "statistic": "mean", "reason": "autocorrelated"})
        );
        assert!(test["reason"].as_str().is_some_and(|reason| reason.contains("too alike")), "{test}");
    }
    let compared = report(&["normalize", "compare", &steps, "--momentum", "0.9"]);
    assert!(compared["runs"][0]["shift_at"].is_null());
    assert!(compared["runs"][0]["shift_reason"].as_str().is_some_and(|reason| reason.contains("too alike")));
    // The same rows backwards: stats reads them as they lie, replay puts them in order.
    let backwards: Vec<&str> = rows[..1].iter().chain(rows[1..].iter().rev()).copied().collect();
    lines(&steps, &backwards);
    let found = report(&["normalize", "stats", &steps]);
    assert_eq!(found["diagnostics"]["drift_test"]["untold"][0]["reason"], "unordered");
}

#[test]
fn windows_of_rows_hold_whole_vector_steps() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    // Sixteen environments far apart from each other, each a slow walk of 62 steps: windows of a few rows would see the
    // differences between environments, and nothing else would look large beside them.
    let mut rows = vec!["step,env_id,obs".to_owned()];
    for step in 0..62u32 {
        for env in 0..16u32 {
            let slow = (f64::from(step) / 62.0 + f64::from(env)).sin();
            rows.push(format!("{step},{env},{}", 40.0 * f64::from(env % 4) + slow));
        }
    }
    lines(&steps, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    for every in ["row", "step"] {
        for verb in ["stats", "replay"] {
            let momentum = if verb == "replay" { &["--momentum", "0.9"][..] } else { &[] };
            let found = report(&[&["normalize", verb, &steps, "--update-every", every], momentum].concat());
            let test = &found["diagnostics"]["drift_test"];
            assert!(found["diagnostics"]["drift"].is_null(), "{verb} {every}: {found}");
            assert_eq!(test["untold"][0]["reason"], "autocorrelated", "{verb} {every}");
        }
    }
}

/// A normal deviate (Box and Muller).
fn normal(rng: &mut rand_chacha::ChaCha8Rng) -> f64 {
    use rand::RngExt;
    let (a, b): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// Mean |z - z'| of a moving average that is updated before its rows are normalized, z' by the true moments.
fn true_error(rows: &[[f64; 4]], truth: impl Fn(usize) -> f64, momentum: f64) -> f64 {
    let (mut mean, mut var, mut total) = (0.0f64, 1.0f64, 0.0f64);
    for (step, row) in rows.iter().enumerate() {
        let batch = row.iter().sum::<f64>() / 4.0;
        let spread = row.iter().map(|x| (x - batch).powi(2)).sum::<f64>() / 4.0;
        let delta = batch - mean;
        var = momentum * var + (1.0 - momentum) * spread + momentum * (1.0 - momentum) * delta * delta;
        mean += (1.0 - momentum) * delta;
        let off = row.iter().map(|x| ((x - mean) / var.sqrt() - (x - truth(step))).abs());
        total += off.sum::<f64>() / 4.0;
    }
    total / rows.len() as f64
}

/// The mean at a step.
type Truth = fn(usize) -> f64;

#[test]
fn the_recommended_momentum_is_the_best_one_to_a_step_of_the_grid() {
    use rand::SeedableRng;
    let (_directory, path) = folder();
    let n_steps = 4000;
    let scenarios: [(&str, Truth); 4] = [
        ("one shift", |step| if step < 2000 { 0.0 } else { 1.5 }),
        ("four shifts", |step| f64::from(u8::from(step / 800 % 2 == 1)) * 2.0),
        ("a slow drift", |step| step as f64 / 1000.0),
        ("a fast drift", |step| step as f64 / 50.0),
    ];
    for (place, (name, truth)) in scenarios.into_iter().enumerate() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(place as u64);
        let rows: Vec<[f64; 4]> =
            (0..n_steps).map(|step| std::array::from_fn(|_| truth(step) + normal(&mut rng))).collect();
        let text: Vec<String> = std::iter::once("step,env_id,obs".to_owned())
            .chain(rows.iter().enumerate().flat_map(|(step, row)| {
                row.iter().enumerate().map(move |(env, x)| format!("{step},{env},{x}")).collect::<Vec<_>>()
            }))
            .collect();
        let steps = path("steps.csv");
        lines(&steps, &text.iter().map(String::as_str).collect::<Vec<_>>());
        let found = report(&["normalize", "compare", &steps, "--momentum", "auto"]);
        let run = &found["runs"][0];
        let grid: Vec<f64> = (run["settings"].as_array().expect("settings").iter())
            .filter_map(|setting| setting["momentum"].as_f64())
            .collect();
        let errors: Vec<f64> = grid.iter().map(|momentum| true_error(&rows, truth, *momentum)).collect();
        let best = (0..grid.len()).min_by(|a, b| errors[*a].total_cmp(&errors[*b])).expect("a grid");
        let recommended = run["recommended"]["momentum"].as_f64().expect("a momentum");
        let chosen = grid.iter().position(|momentum| *momentum == recommended).expect("of the grid");
        assert!(chosen.abs_diff(best) <= 1, "{name}: {recommended}, but {} is best: {errors:?}", grid[best]);
        assert!(errors[chosen] <= 1.25 * errors[best], "{name}: {} {}", errors[chosen], errors[best]);
    }
}
