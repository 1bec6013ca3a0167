//! Batches: every round is one update, every episode too, whatever was rolled back.

use serde_json::json;

use super::normalizers::{column, failure, folder, json as report, lines};
use simic::records::StepTarget;

#[test]
fn a_round_is_one_update_or_an_error() {
    let (_directory, path) = folder();
    let (steps, trace) = (path("steps.csv"), path("trace.parquet"));
    // Env 1 makes one step less in round 1: row by row, round 2 begins before round 1 is over.
    let rows = [
        "step,env_id,obs,round",
        "0,0,1,1",
        "0,1,10,1",
        "1,0,2,1",
        "1,1,20,2",
        "2,0,3,1",
        "2,1,30,2",
        "3,0,4,2",
    ];
    lines(&steps, &rows);
    let arguments = ["normalize", "replay", &steps, "--update-every", "round", "--momentum", "0"];
    let (code, stderr) = failure(&arguments);
    assert!(code == 3 && stderr.contains("run steps, episode 0, step 2, env 0 is of round 1"), "{stderr}");
    assert!(stderr.contains("--clock round"), "{stderr}");
    for verb in ["stats", "compare"] {
        let mut arguments = vec!["normalize", verb, &steps, "--update-every", "round"];
        arguments.extend(if verb == "compare" { ["--momentum", "0.9"] } else { ["--momentum", "0"] });
        assert_eq!(failure(&arguments).0, 3, "{verb}");
    }
    // What the hint says helps.
    report(&[&arguments[..], &["--clock", "round", "--trace", &trace]].concat());
    assert_eq!(column(&trace, StepTarget::Obs, "batch_size"), [4.0, 3.0]);
    assert_eq!(column(&trace, StepTarget::Obs, "mean"), [4.0, 18.0]);
    // Rounds need not ascend, and a run has its own.
    lines(&steps, &["run_id,step,obs,round", "a,0,1,7", "a,1,2,3", "b,0,3,7", "b,1,4,7"]);
    let found = report(&arguments);
    let updates: Vec<_> = found["runs"].as_array().expect("runs").iter().map(|run| &run["updates"]).collect();
    assert_eq!(updates, [&json!(2), &json!(1)]);
}

#[test]
fn an_episode_is_over_though_its_last_row_was_rolled_back() {
    let (_directory, path) = folder();
    let (steps, trace) = (path("steps.csv"), path("trace.parquet"));
    lines(
        &steps,
        &[
            "episode,step,env_id,obs,rolled_back",
            "0,0,0,1,false",
            "1,0,1,10,false",
            "0,1,0,3,true",
            "1,1,1,20,false",
            "2,0,0,5,true",
            "1,2,1,30,false",
            "3,0,0,7,false",
        ],
    );
    let arguments = ["normalize", "replay", &steps, "--update-every", "episode", "--momentum", "0"];
    let found = report(&[&arguments[..], &["--trace", &trace]].concat());
    // Episode 0 updates with its first row when its second would have come; episode 2 has no row left.
    assert_eq!(column(&trace, StepTarget::Obs, "mean"), [1.0, 20.0, 7.0]);
    assert_eq!(column(&trace, StepTarget::Obs, "batch_size"), [1.0, 3.0, 1.0]);
    assert_eq!(found["diagnostics"]["unfinished_episodes"], 0);
    let (code, stderr) = failure(&[&arguments[..], &["--rollback", "drop-batch"]].concat());
    assert!(code == 2 && stderr.contains("rolled back"), "{stderr}");
}
