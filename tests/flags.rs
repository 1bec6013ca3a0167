//! Flags that would do nothing are refused, each with the reason.

use std::process::Command;

fn run(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_simic"))
        .args(arguments)
        .arg("--no-config")
        .output()
        .expect("it runs");
    (output.status.code().expect("a code"), String::from_utf8_lossy(&output.stderr).into_owned())
}

const GAMES: &str = "fixtures/simulated/campaign.parquet";
const STEPS: &str = "fixtures/simulated/steps.parquet";

#[test]
fn flags_without_effect_are_refused_with_the_reason() {
    let cases: [(&[&str], &str); 12] = [
        (&["analyze", "shapley", GAMES, "--range", "0,1"], "--method bounds"),
        (&["analyze", "shapley", GAMES, "--range", "0,1", "--method", "kernel"], "--method bounds"),
        (&["normalize", "replay", STEPS, "--gamma", "0.9"], "nothing is scaled"),
        (&["normalize", "stats", STEPS, "--target", "reward", "--gamma", "0.9"], "nothing is scaled"),
        (&["normalize", "replay", STEPS, "--return-reset", "never"], "nothing is scaled"),
        (&["normalize", "replay", STEPS, "--momentum", "0.9", "--initial-count", "5"], "full history"),
        (&["normalize", "replay", STEPS, "--bias-correction", "exact"], "moving average"),
        (
            &[
                "normalize",
                "replay",
                STEPS,
                "--momentum",
                "0.9",
                "--warmup",
                "debias",
                "--bias-correction",
                "exact",
            ],
            "use one of the two",
        ),
        (&["normalize", "replay", STEPS, "--warmup", "debias"], "moving average"),
        (&["normalize", "replay", STEPS, "--scope", "env", "--learn-every", "rollout:8"], "keeps them apart"),
        (
            &["normalize", "compare", STEPS, "--target", "reward", "--divisors", "--scope", "env"],
            "would change nothing",
        ),
        (&["normalize", "stats", STEPS, "--reward-scale", "return"], "about rewards"),
    ];
    for (arguments, reason) in cases {
        let (code, stderr) = run(arguments);
        assert!(code == 2 && stderr.contains(reason), "{arguments:?}: {code} {stderr}");
    }
}

#[test]
fn a_bootstrap_of_a_handful_of_units_is_refused() {
    // Three runs, eight episodes each.
    let bootstrap =
        |cluster: &str| run(&["analyze", "shapley", GAMES, "--ci", "bootstrap", "--cluster", cluster]);
    let (code, stderr) = bootstrap("run");
    assert!(code == 2 && stderr.contains("of 3 units"), "{stderr}");
    let (code, stderr) = bootstrap("episode");
    assert!(code == 0 && !stderr.contains("too narrow"), "{stderr}");
}
