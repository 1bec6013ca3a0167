//! Checks of logs: figures that trainers write, guarded as any other number.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::folders::copied;

fn simic(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIMIC_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("NO_COLOR", "1").current_dir(folder).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with the logs of one kind under `logs`.
fn place(kind: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs").join(kind);
    copied(&logs, &folder.path().join("logs"));
    folder
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON")
}

fn metric<'a>(baseline: &'a Value, id: &str) -> &'a Value {
    let metrics = baseline["metrics"].as_array().expect("metrics");
    let known: Vec<&Value> = metrics.iter().map(|metric| &metric["id"]).collect();
    metrics.iter().find(|metric| metric["id"] == id).unwrap_or_else(|| panic!("{id}: {known:?}"))
}

#[test]
fn figures_of_every_kind_of_log_are_those_of_the_reference() {
    let reference = json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs/reference.json"));
    let kinds = [
        ("monitor", "return", None),
        ("progress", "rollout/ep_rew_mean", None),
        ("result", "env_runners/episode_return_mean", None),
        ("tensorboard", "charts/episodic_return", Some("losses/value_loss")),
    ];
    for (kind, tag, loss) in kinds {
        let place = place(kind);
        let output = simic(place.path(), &["check", "record", "logs", "--no-config"]);
        assert!(output.status.success(), "{kind}: {}", text(&output.stderr));
        let baseline = json(&place.path().join("simic-baselines/default.json"));
        // TensorBoard holds 32 bits.
        let tolerance = if kind == "tensorboard" { 1e-5 } else { 1e-10 };
        for (id, key) in [("mean", "mean"), ("iqm", "iqm")] {
            let found = metric(&baseline, &format!("logs/{tag}/{id}"))["value"].as_f64().expect("a number");
            let truth = reference[key].as_f64().expect("a number");
            assert!((found - truth).abs() < tolerance, "{kind} {id}: {found} {truth}");
        }
        let iqm = metric(&baseline, &format!("logs/{tag}/iqm"));
        let (low, high) = (iqm["ci"][0].as_f64().expect("low"), iqm["ci"][1].as_f64().expect("high"));
        assert!(low < iqm["value"].as_f64().expect("a value") && high > low, "{kind}: {low} {high}");
        let mean = metric(&baseline, &format!("logs/{tag}/mean"));
        assert_eq!((&mean["direction"], &mean["n"]), (&Value::from("higher"), &Value::from(5)), "{kind}");
        for (run, truth) in reference["finals"].as_object().expect("runs") {
            let found = mean["samples"][run].as_f64().expect("a run");
            assert!((found - truth["return"].as_f64().expect("a number")).abs() < tolerance, "{kind} {run}");
            if let Some(loss) = loss {
                let found = metric(&baseline, &format!("logs/{loss}/mean"))["samples"][run].as_f64();
                let truth = truth["loss"].as_f64().expect("a number");
                assert!((found.expect("a run") - truth).abs() < 1e-6, "{kind} {run}: {found:?} {truth}");
            }
        }
        // Nothing changed: nothing regressed.
        let output = simic(place.path(), &["check", "run", "logs", "--no-config"]);
        assert!(output.status.success(), "{kind}: {}", text(&output.stdout));
    }
}

#[test]
fn a_loss_of_returns_regresses_with_the_probability_of_improvement() {
    let place = place("monitor");
    let settings = "[check.returns]\ncommand = \"logs\"\nruns = [\"logs\"]\n[check.returns.flags]\n\
                    profile = [100]\nmetric = [\"return\"]\n[[check.returns.rules]]\nmetric = \"logs/return/mean\"\n\
                    mode = \"noninferior\"\nmargin = 1\n";
    std::fs::write(place.path().join("simic.toml"), settings).expect("written");
    let output = simic(place.path(), &["check", "record"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let baseline = json(&place.path().join("simic-baselines/returns.json"));
    assert_eq!(metric(&baseline, "logs/return/above/100")["value"].as_f64(), Some(0.2));
    for seed in 0..5 {
        let path = place.path().join(format!("logs/seed{seed}/0.monitor.csv"));
        let text = std::fs::read_to_string(&path).expect("readable");
        let worse = text.lines().enumerate().map(|(number, line)| match line.split_once(',') {
            Some((value, rest)) if number > 1 => {
                format!("{},{rest}\n", value.parse::<f64>().expect("a return") - 40.0)
            }
            _ => format!("{line}\n"),
        });
        std::fs::write(&path, worse.collect::<String>()).expect("written");
    }
    let output = simic(place.path(), &["check", "run", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = document["checks"][0]["findings"].as_array().expect("findings");
    let finding = findings.iter().find(|finding| finding["id"] == "logs/return/mean").expect("found");
    assert_eq!(finding["verdict"], "regressed");
    // One of 25 pairs: the best of the new runs over the worst of the old ones.
    let improvement = finding["improvement"].as_f64().expect("a share");
    assert!((0.0..=0.2).contains(&improvement), "{improvement}");
}

#[test]
fn logs_are_refused_by_name_where_steps_are_needed() {
    let cases = [
        ("monitor/seed0/0.monitor.csv", "figures of whole episodes"),
        ("progress/seed0/progress.csv", "figures of iterations"),
        ("result/seed0/result.json", "figures of iterations"),
        ("tensorboard/seed0/events.out.tfevents.1700000000.host", "TensorBoard"),
    ];
    for (file, what) in cases {
        let path = format!("fixtures/logs/{file}");
        let output =
            simic(Path::new(env!("CARGO_MANIFEST_DIR")), &["normalize", "replay", &path, "--no-config"]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{file}: {stderr}");
        assert!(stderr.contains(what) && stderr.contains("simic check record"), "{file}: {stderr}");
    }
}

#[test]
fn damaged_logs_and_runs_that_diverged_are_errors() {
    let place = place("tensorboard");
    let path = place.path().join("logs/seed0/events.out.tfevents.1700000000.host");
    let mut bytes = std::fs::read(&path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&path, &bytes).expect("written");
    let output = simic(place.path(), &["check", "record", "logs", "--no-config"]);
    assert!(
        output.status.code() == Some(3) && text(&output.stderr).contains("checksum"),
        "{}",
        text(&output.stderr)
    );
    let place = self::place("progress");
    let path = place.path().join("logs/seed3/progress.csv");
    let mut log = std::fs::read_to_string(&path).expect("readable");
    log.push_str("nan,99999,0.1\n");
    std::fs::write(&path, log).expect("written");
    let output = simic(place.path(), &["check", "record", "logs", "--no-config"]);
    let stderr = text(&output.stderr);
    assert!(
        output.status.code() == Some(3) && stderr.contains("not finite") && stderr.contains("seed3"),
        "{stderr}"
    );
}

#[test]
fn a_copied_run_is_no_second_one() {
    for kind in ["monitor", "progress", "result", "tensorboard"] {
        let place = place(kind);
        let logs = place.path().join("logs");
        let first =
            std::fs::read_dir(&logs).expect("a folder").next().expect("a run").expect("readable").path();
        copied(&first, &logs.join("backup"));
        let output = simic(place.path(), &["check", "record", "logs", "--no-config"]);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(3), "{kind}: {said}");
        assert!(said.contains("backup") && said.contains("same bytes"), "{kind}: {said}");
    }
}
