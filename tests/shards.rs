//! Jobs of many tasks print what one machine prints, and refuse what is not theirs.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::normalizers::{folder, simic};

const GAMES: &str = "fixtures/simulated/campaign.parquet";
const WALKS: &str = "fixtures/simulated/walks.parquet";

pub(super) fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn done(arguments: &[&str]) -> Output {
    let output = simic(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output
}

pub(super) fn refused(arguments: &[&str], code: i32) -> String {
    let output = simic(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed a result");
    stderr
}

/// A job planned for tasks of so many bytes; gives the number of tasks.
pub(super) fn planned(job: &str, target: &str, command: &[&str]) -> usize {
    let plan = ["shard", "plan", job, "--force", "--format", "json", "--target-bytes", target, "--"];
    let output = done(&[&plan[..], command].concat());
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let n_tasks = document["n_tasks"].as_u64().expect("a number");
    usize::try_from(n_tasks).expect("a number")
}

/// Numbers in an order of their own: every one once, and some again.
pub(super) fn shuffled(n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|i| (i + 1).wrapping_mul(2_654_435_761) % 1009);
    order.extend((0..n).step_by(3));
    order
}

fn computed(job: &str, n_tasks: usize) {
    for task in shuffled(n_tasks) {
        done(&["shard", "exec", job, "--task", &task.to_string(), "--threads", "1"]);
    }
}

/// Bytes of all files below a place.
pub(super) fn bytes_of(place: &Path) -> u64 {
    if place.is_dir() {
        let entries = std::fs::read_dir(place).expect("readable");
        entries.map(|entry| bytes_of(&entry.expect("readable").path())).sum()
    } else {
        std::fs::metadata(place).expect("there").len()
    }
}

/// Plans of several sizes of the command on `runs` come to what the command prints by itself, in every format.
fn is_what_one_machine_prints(runs: &str, command: &str, formats: &[&str], shards: &[u64]) {
    let (_directory, path) = folder();
    let job = path("job");
    let mut line = words(command);
    line.insert(2, runs);
    let whole: Vec<Output> =
        formats.iter().map(|format| simic(&[&line[..], &["--format", format]].concat())).collect();
    for n_shards in shards {
        let target = (bytes_of(Path::new(runs)) / n_shards).max(1).to_string();
        let n_tasks = planned(&job, &target, &line);
        // What is left out of a file, the files beside it decide.
        let is_right =
            if command.contains("--on-bad skip") { n_tasks == 1 } else { *n_shards == 1 || n_tasks > 1 };
        assert!(is_right, "{command}: {n_tasks} tasks for {n_shards} shards");
        computed(&job, n_tasks);
        assert!(done(&["shard", "status", &job]).status.success());
        for (format, whole) in formats.iter().zip(&whole) {
            let merged = simic(&["shard", "merge", &job, "--format", format]);
            let is_same = merged.stdout == whole.stdout && merged.status.code() == whole.status.code();
            assert!(
                is_same,
                "{command} as {format}, {n_tasks} tasks:\n{}\n{}\n---\n{}",
                text(&merged.stderr),
                text(&merged.stdout),
                text(&whole.stdout)
            );
        }
    }
}

const FORMATS: [&str; 4] = ["json", "table", "csv", "parquet"];

/// A folder of recorded games of several runs, in files of several row groups where it is large.
fn games(folder: &str, n_runs: &str) {
    done(&[
        "simulate",
        "coalitions",
        "-o",
        folder,
        "--n-runs",
        n_runs,
        "--n-slots",
        "4",
        "--n-episodes",
        "3",
    ]);
}

#[test]
fn values_of_games_are_the_same_over_any_number_of_tasks() {
    let (_directory, path) = folder();
    let runs = path("runs/");
    games(&runs, "7");
    is_what_one_machine_prints(&runs, "analyze shapley", &FORMATS, &[1, 2, 7, 64]);
    for flags in [
        "--method permutation --permutations 20 --seed 5 --games 2",
        "--method kernel --confidence 0.9 --cluster game --sort value",
        "--sources --target-half-width 0.01 --cluster episode",
        "--method permutation --permutations 20 --sampling stratified --convergence --target-half-width 0.05",
        "--ranking --trend --cluster episode --simultaneous",
        "--method bounds --range -1,2",
        "--group r0c0=left --group r0c1=left --ci normal",
        "--partition by-prefix --adjust bh --sort given",
    ] {
        let formats = if flags.contains("--games") || flags.contains("--sort") {
            &["table", "markdown"][..]
        } else {
            &["json", "ndjson", "arrow"]
        };
        is_what_one_machine_prints(&runs, &format!("analyze shapley {flags}"), formats, &[3]);
    }
}

#[test]
fn one_file_of_many_games_is_shared_out() {
    for (file, flags) in [(GAMES, "--value val_accuracy --value val_loss"), (WALKS, "")] {
        is_what_one_machine_prints(
            file,
            &format!("analyze shapley {flags}"),
            &["json", "csv"],
            &[1, 2, 7, 64],
        );
    }
}

#[test]
fn estimates_of_a_trainer_stand_beside_merged_values() {
    let tables = "fixtures/esper/shapley_tables.parquet";
    let log = "--compare-recorded=fixtures/esper/run_s_s11/events.jsonl.gz";
    is_what_one_machine_prints(tables, &format!("analyze shapley {log}"), &["json", "table"], &[1, 2]);
    let folder = "fixtures/esper/run_s_s11";
    is_what_one_machine_prints(folder, "analyze shapley --compare-recorded", &["json"], &[1]);
}

#[test]
fn interactions_and_ablations_are_the_same_over_any_number_of_tasks() {
    let (_directory, path) = folder();
    let runs = path("runs/");
    games(&runs, "5");
    for flags in ["", "--index stii --order 3", "--regime-threshold 0.01 --cluster episode"] {
        is_what_one_machine_prints(
            &runs,
            &format!("analyze interactions {flags}"),
            &["json", "table"],
            &[1, 4, 64],
        );
    }
    for flags in ["", "--contrast r0c0,r0c1 --cluster game"] {
        is_what_one_machine_prints(
            &runs,
            &format!("analyze ablation {flags}"),
            &["json", "csv"],
            &[1, 4, 64],
        );
    }
    is_what_one_machine_prints(GAMES, "analyze interactions", &["json"], &[2, 7]);
}

/// Names of columns, files, groups and what was left out come from the whole recording.
#[test]
fn tables_with_groups_and_faults_are_the_same_over_any_number_of_tasks() {
    let (_directory, path) = folder();
    let runs = path("runs");
    std::fs::create_dir(&runs).expect("made");
    for (number, lr) in ["0.1", "0.2", "0.1", "0.3"].into_iter().enumerate() {
        let mut rows = String::from("run_id,episode,lr,config,val_accuracy\n");
        for episode in 0..3 {
            for mask in 0..8 {
                let value = f64::from((mask * 37 + episode * 11 + 5) % 17) / 17.0;
                let value = if number == 2 && mask == 3 { "nan".to_owned() } else { value.to_string() };
                rows.push_str(&format!("r{number},{episode},{lr},{mask:03b},{value}\n"));
            }
        }
        std::fs::write(format!("{runs}/{number}.csv"), rows).expect("written");
    }
    std::fs::write(format!("{runs}/other.csv"), "a,b\n1,2\n").expect("written");
    is_what_one_machine_prints(
        &runs,
        "analyze shapley --by lr --on-bad skip --method kernel",
        &["json", "table"],
        &[1, 2, 64],
    );
    let job = path("job");
    planned(&job, "1KB", &["analyze", "shapley", &runs]);
    let plan = std::fs::read_to_string(format!("{job}/plan.jsonl")).expect("a plan");
    let task = plan.lines().position(|line| line.contains("2.csv")).expect("a task").to_string();
    let stderr = refused(&["shard", "exec", &job, "--task", &task], 3);
    assert!(stderr.contains("2.csv") && stderr.contains("row 3"), "{stderr}");
}

/// A picture, a file, and flags of the view behind --.
#[test]
fn what_is_shown_is_decided_when_parts_are_merged() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs/"), path("job"));
    games(&runs, "3");
    let n = planned(&job, "1", &["analyze", "shapley", &runs]);
    computed(&job, n);
    let (whole, merged) = (path("whole.svg"), path("merged.svg"));
    done(&["analyze", "shapley", &runs, "-o", &whole, "--figure-kind", "bars"]);
    done(&["shard", "merge", &job, "-o", &merged, "--", "--figure-kind", "bars"]);
    assert_eq!(std::fs::read(whole).expect("drawn"), std::fs::read(&merged).expect("drawn"));
    assert!(refused(&["shard", "merge", &job, "-o", &merged], 2).contains("exists"));
    let sorted = ["--sort", "value", "--games", "1"];
    assert_eq!(
        text(&done(&[&["analyze", "shapley", &runs], &sorted[..]].concat()).stdout),
        text(&done(&[&["shard", "merge", &job, "--"], &sorted[..]].concat()).stdout)
    );
    // Settings are the job's.
    let stderr = refused(&["shard", "merge", &job, "--", "--confidence", "0.9"], 3);
    assert!(stderr.contains("other settings: confidence"), "{stderr}");
    assert!(refused(&["shard", "merge", &job, "--seed", "3"], 2).contains("--seed"));
}

#[test]
fn what_is_not_the_jobs_is_refused_by_name() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs/"), path("job"));
    games(&runs, "4");
    let command = ["analyze", "shapley", &runs];
    let n = planned(&job, "1", &command);
    assert!(n >= 4, "{n}");
    computed(&job, n);
    let part = |task: usize| format!("{job}/parts/{task}");
    let kept = |task: usize| std::fs::read(part(task)).expect("a part");
    let merge = ["shard", "merge", job.as_str()];
    let (first, second) = (kept(0), kept(1));

    // A gap.
    std::fs::remove_file(part(1)).expect("removed");
    let stderr = refused(&merge, 3);
    assert!(stderr.contains("parts are missing: 1"), "{stderr}");
    let status = simic(&["shard", "status", &job, "--format", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!((status.status.code(), &document["missing"][0]["task"]), (Some(1), &1.into()));
    let partial = done(&[&merge[..], &["--allow-missing", "--format", "json"]].concat());
    let document: serde_json::Value = serde_json::from_slice(&partial.stdout).expect("JSON");
    assert!(document["verdict"][0].as_str().expect("a sentence").starts_with("Partial: 1 of "), "{document}");
    assert!(text(&partial.stderr).contains("Partial"), "{}", text(&partial.stderr));

    // An overlap.
    std::fs::write(part(1), &first).expect("written");
    assert!(refused(&merge, 3).contains("part 1 holds task 0"));
    std::fs::write(part(1), &second).expect("written");
    std::fs::write(part(n + 3), &first).expect("written");
    std::fs::write(format!("{job}/parts/notes.txt"), "").expect("written");
    let status = simic(&["shard", "status", &job]);
    let strays = format!("among the parts: {}, notes.txt.", n + 3);
    assert!(
        status.status.code() == Some(1) && text(&status.stdout).contains(&strays),
        "{}",
        text(&status.stdout)
    );
    std::fs::remove_file(format!("{job}/parts/notes.txt")).expect("removed");
    assert!(refused(&merge, 3).contains(&format!("part {} is of no task", n + 3)));
    std::fs::remove_file(part(n + 3)).expect("removed");

    // Damage: of the find, of the head, an end cut off; exec makes the part anew.
    let mut damaged = first.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    for bytes in [&damaged[..], &first[..last], &first[1..], b""] {
        std::fs::write(part(0), bytes).expect("written");
        assert!(refused(&merge, 3).contains("part 0 is damaged"));
        assert_eq!(simic(&["shard", "status", &job]).status.code(), Some(1));
    }
    done(&["shard", "exec", &job, "--task", "0"]);
    assert_eq!(kept(0), first);

    // Parts of other versions, settings, input and plans.
    let changed = |from: &str, to: &str| {
        let end = first.iter().position(|byte| *byte == b'\n').expect("a head");
        let head = text(&first[..end]).replacen(from, to, 1);
        assert_ne!(head.as_bytes(), &first[..end], "{from}");
        std::fs::write(part(0), [head.as_bytes(), &first[end..]].concat()).expect("written");
        refused(&merge, 3)
    };
    let version = format!("\"simic\":\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(changed(&version, "\"simic\":\"9.9.9\"").contains("made by simic 9.9.9"));
    assert!(changed("\"settings_hash\":\"", "\"settings_hash\":\"0").contains("other settings"));
    assert!(changed("\"plan_hash\":\"", "\"plan_hash\":\"0").contains("another plan"));
    assert!(changed(".parquet\",\"", ".parquet\",\"0").contains("changed"));
    std::fs::write(part(0), &first).expect("written");
    done(&merge);

    // Planned anew under other settings, parts of before are made anew.
    planned(&job, "1", &[&command[..], &["--confidence", "0.9"]].concat());
    assert!(refused(&merge, 3).contains("part 0 was made under other settings"));
    assert!(refused(&["shard", "plan", &job, "--", "analyze", "shapley", &runs], 2).contains("holds a job"));

    // Another version of the program.
    let file = format!("{job}/job.json");
    let document = std::fs::read_to_string(&file).expect("a job");
    std::fs::write(&file, document.replacen(env!("CARGO_PKG_VERSION"), "9.9.9", 1)).expect("written");
    for verb in [&merge[..], &["shard", "exec", &job, "--task", "0"], &["shard", "run", &job]] {
        assert!(refused(verb, 3).contains("planned with simic 9.9.9"));
    }
    std::fs::write(&file, "{}").expect("written");
    assert!(refused(&merge, 3).contains("no job"));
}

/// What lies among the parts and is no file is no part; what hinders a new plan is named.
#[test]
fn what_is_no_file_is_no_part() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs/"), path("job"));
    games(&runs, "3");
    let command = ["analyze", "shapley", &runs];
    let n_tasks = planned(&job, "1", &command);
    done(&["shard", "run", &job, "--workers", "2"]);
    let part = |task: usize| format!("{job}/parts/{task}");
    for task in [0, 1] {
        std::fs::remove_file(part(task)).expect("removed");
    }
    std::fs::create_dir(part(0)).expect("made");
    let mut others = vec!["0"];
    if std::process::Command::new("mkfifo").arg(part(1)).status().is_ok_and(|status| status.success()) {
        others.push("1");
    } else {
        done(&["shard", "exec", &job, "--task", "1"]);
    }
    let status = simic(&["shard", "status", &job, "--format", "json"]);
    assert_eq!(status.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let missing = document["missing"].as_array().expect("parts");
    assert_eq!(missing.len(), others.len());
    assert!(missing.iter().all(|part| part["reason"].as_str().is_some_and(|told| told.contains("damaged"))));
    assert!(refused(&["shard", "merge", &job], 3).contains("part 0 is damaged"));

    let told = refused(&["shard", "exec", &job, "--task", "0"], 3);
    assert!(told.contains("something else in its place"), "{told}");

    // Planned anew with fewer tasks, what is beyond has to go.
    let beyond = part(n_tasks - 1);
    std::fs::remove_file(&beyond).expect("removed");
    std::fs::create_dir(&beyond).expect("made");
    let plan = ["shard", "plan", &job, "--force", "--target-bytes", "1GB", "--"];
    let told = refused(&[&plan[..], &command].concat(), 3);
    assert!(told.contains("a part of the plan before cannot be removed") && told.contains(&beyond), "{told}");
}

/// Of a job nothing can be changed by hand.
#[test]
fn a_job_that_was_changed_is_refused() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs/"), path("job"));
    games(&runs, "3");
    planned(&job, "1", &["analyze", "shapley", &runs]);
    let file = format!("{job}/job.json");
    let text = std::fs::read_to_string(&file).expect("a job");
    std::fs::write(&file, text.replacen("\"n_runs\": 3", "\"n_runs\": 2", 1)).expect("written");
    for verb in [&["exec", &job, "--task", "0"][..], &["status", &job], &["run", &job], &["merge", &job]] {
        let told = refused(&[&["shard"], verb].concat(), 3);
        assert!(told.contains("not the job as it was planned"), "{told}");
    }
    std::fs::write(&file, text).expect("written");

    // A task whose line was another one is of another plan, also once the line is as it was.
    let plan = format!("{job}/plan.jsonl");
    let lines = std::fs::read_to_string(&plan).expect("a plan");
    std::fs::write(&plan, lines.replacen("\"bytes\":", "\"bytes\":1", 1)).expect("written");
    done(&["shard", "exec", &job, "--task", "0"]);
    std::fs::write(&plan, lines).expect("written");
    done(&["shard", "exec", &job, "--task", "1"]);
    let status = simic(&["shard", "status", &job, "--format", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert!(document["missing"][0]["reason"].as_str().is_some_and(|told| told.contains("another plan")));
    done(&["shard", "run", &job]);
    done(&["shard", "merge", &job]);
}

/// What stands behind -- is a whole command, and settings of a job are those of its plan.
#[test]
fn what_stands_behind_the_dashes_is_told_in_a_line() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs/"), path("a job"));
    games(&runs, "3");
    let plan = ["shard", "plan", &job, "--"];
    for (command, told) in [
        (&["analyze"][..], "behind --: analyze is no whole command"),
        (&["normalize", "stats", "--help"], "behind --: a command is needed"),
        (&["simic", "analyze", "shapley"], "leave simic out"),
    ] {
        let found = refused(&[&plan[..], command].concat(), 2);
        assert!(found.contains(told), "{found}");
    }
    planned(&job, "1GB", &["analyze", "shapley", &runs, "--confidence", "0.9"]);
    let output = done(&["shard", "run", &job]);
    assert!(text(&output.stderr).contains(&format!("simic shard merge '{job}'")), "{}", text(&output.stderr));
    let found = refused(&["shard", "merge", &job, "--", "--confidence", "0.8"], 2);
    assert!(found.contains("--confidence <LEVEL> was set when the job was planned"), "{found}");
}

/// No more tasks than there may be games, and no task of nothing.
#[test]
fn tasks_are_no_more_than_rows() {
    let (_directory, path) = folder();
    let (games, job) = (path("games.csv"), path("job"));
    let rows = "run_id,mask,val_accuracy\na,0,0.1\na,1,0.2\na,2,0.3\na,3,0.5\n";
    std::fs::write(&games, rows).expect("written");
    let command = ["analyze", "shapley", games.as_str()];
    assert!(planned(&job, "1", &command) <= 4);
    let plan = ["shard", "plan", &job, "--force", "--target-bytes", "0", "--"];
    assert!(refused(&[&plan[..], &command].concat(), 2).contains("one byte at least"));
}

#[test]
fn changed_input_is_refused_by_name() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs/"), path("job"));
    games(&runs, "3");
    planned(&job, "1", &["analyze", "ablation", &runs]);
    let mut files: Vec<_> =
        std::fs::read_dir(&runs).expect("there").map(|file| file.expect("there").path()).collect();
    files.sort();
    std::fs::copy(&files[0], &files[1]).expect("copied");
    let plan = std::fs::read_to_string(format!("{job}/plan.jsonl")).expect("a plan");
    let name = files[1].file_name().expect("a name").to_string_lossy().into_owned();
    let task = plan.lines().position(|line| line.contains(&name)).expect("a task").to_string();
    let stderr = refused(&["shard", "exec", &job, "--task", &task], 3);
    assert!(stderr.contains("changed since the job was planned") && stderr.contains(&name), "{stderr}");
    std::fs::remove_file(&files[1]).expect("removed");
    let stderr = refused(&["shard", "exec", &job, "--task", &task], 3);
    assert!(stderr.contains("no such file") && stderr.contains(&name), "{stderr}");
    assert!(!Path::new(&job).join("parts").join(&task).exists());
}

#[test]
fn a_job_runs_on_one_machine_and_goes_on_where_it_stopped() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs/"), path("job"));
    games(&runs, "4");
    let n = planned(&job, "1", &["analyze", "shapley", &runs]);
    done(&["shard", "exec", &job, "--task", "1"]);
    let before = std::fs::metadata(format!("{job}/parts/1")).expect("a part").modified().expect("a time");
    let output = done(&["shard", "run", &job, "--workers", "2"]);
    assert!(
        text(&output.stderr).contains(&format!("{} of {n} tasks computed", n - 1)),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(
        before,
        std::fs::metadata(format!("{job}/parts/1")).expect("a part").modified().expect("a time")
    );
    let names: Vec<_> = std::fs::read_dir(format!("{job}/parts")).expect("there").collect();
    assert_eq!(names.len(), n, "nothing but parts");
    let merged = done(&["shard", "merge", &job]);
    assert_eq!(text(&merged.stdout), text(&done(&["analyze", "shapley", &runs]).stdout));
    assert!(text(&done(&["shard", "run", &job]).stderr).contains(&format!("0 of {n} tasks computed")));
}

#[test]
fn the_number_of_a_task_may_stand_in_the_environment() {
    let (_directory, path) = folder();
    let job = path("job");
    planned(&job, "1GB", &["analyze", "shapley", GAMES]);
    let exec = |value: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
        command.args(["shard", "exec", &job, "--task-env", "ARRAY_TASK"]).env_remove("ARRAY_TASK");
        let output = command.envs(value.map(|value| ("ARRAY_TASK", value))).output().expect("it runs");
        (output.status.code(), text(&output.stderr))
    };
    assert_eq!(exec(None).0, Some(2));
    assert_eq!(exec(Some("one")).0, Some(2));
    assert!(exec(Some("1")).1.contains("no task 1"));
    assert_eq!(exec(Some("0")), (Some(0), String::new()));
}

/// Ended while they compute, tasks leave no part and nothing else; a task asked to ends with its standard input.
#[cfg(unix)]
#[test]
fn a_task_that_is_ended_leaves_nothing_behind() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs/"), path("job"));
    done(&["simulate", "coalitions", "-o", &runs, "--n-runs", "1", "--n-slots", "9", "--n-episodes", "12"]);
    planned(
        &job,
        "1GB",
        &["analyze", "shapley", &runs, "--method", "permutation", "--permutations", "60000"],
    );
    let start = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
        command.args(["shard", "exec", &job, "--task", "0", "--threads", "1"]).args(more);
        command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts")
    };
    let left = || std::fs::read_dir(format!("{job}/parts")).expect("there").count();
    let mut killed = start(&[]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    killed.kill().expect("killed");
    assert!(!killed.wait().expect("it ends").success());
    assert_eq!(left(), 0);
    let mut ended = start(&["--until-stdin-ends"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(ended.stdin.take());
    assert_eq!(ended.wait().expect("it ends").code(), Some(143));
    assert_eq!(left(), 0);
}

/// Killed, a task cannot remove what it has begun; whoever comes next does, whatever verb it is.
#[cfg(unix)]
#[test]
fn what_a_killed_task_leaves_is_no_part_and_removed_by_the_next() {
    let (_directory, path) = folder();
    let (runs, job, rows) = (path("runs/"), path("job"), path("rows.parquet"));
    done(&["simulate", "transitions", "-o", &runs, "--n-runs", "1", "--n-steps", "60000"]);
    planned(&job, "1GB", &["normalize", "replay", &runs, "-o", &rows]);
    let names = |folder: &str| {
        let entries = std::fs::read_dir(format!("{job}/{folder}")).expect("there");
        entries
            .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
            .collect::<Vec<_>>()
    };
    let mut killed = Command::new(env!("CARGO_BIN_EXE_simic"));
    killed.args(["shard", "exec", &job, "--task", "0", "--threads", "1"]).stderr(Stdio::null());
    let mut killed = killed.spawn().expect("it starts");
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while names("under-way").is_empty() && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    killed.kill().expect("killed");
    killed.wait().expect("it ends");
    assert!(names("parts").is_empty(), "{:?}", names("parts"));
    assert_eq!(names("under-way").len(), 1);
    let stray = format!("{job}/under-way/.simic-4294967295-x.tmp");
    for verb in
        [&["shard", "run", &job][..], &["shard", "merge", &job], &["shard", "exec", &job, "--task", "0"]]
    {
        std::fs::write(&stray, "half").expect("written");
        std::fs::write(format!("{job}/parts/0"), "").expect("written");
        simic(verb);
        assert!(names("under-way").is_empty(), "{verb:?}: {:?}", names("under-way"));
    }
    done(&["shard", "merge", &job]);
}

/// What tasks warn of is told once by who runs them all.
#[test]
fn what_tasks_remark_is_told_once() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs"), path("job"));
    std::fs::create_dir(&runs).expect("made");
    for run in ["a", "b", "c"] {
        let rows = (0..30).map(|step| format!("0,{step},{},{}\n", step % 7, step % 5));
        let text = format!("episode,step,obs_0,reward\n{}", rows.collect::<String>());
        std::fs::write(format!("{runs}/{run}.csv"), text).expect("written");
    }
    let command = ["normalize", "stats", &runs, "--target", "reward", "--reward-scale", "return"];
    let note = "returns never begin anew";
    assert!(text(&done(&command).stderr).contains(note));
    assert_eq!(planned(&job, "1", &command), 3);
    let said = text(&done(&["shard", "run", &job]).stderr);
    assert_eq!(said.matches(note).count(), 1, "{said}");
    planned(&job, "1", &[&command[..], &["--gamma", "0.9"]].concat());
    assert_eq!(text(&done(&["shard", "run", &job, "--quiet"]).stderr), "");
}

/// What cannot be divided is told when it is planned.
#[test]
fn commands_that_cannot_be_divided_are_refused() {
    let (_directory, path) = folder();
    let job = path("job");
    let plan =
        |command: &str| refused(&[&["shard", "plan", job.as_str(), "--"], &words(command)[..]].concat(), 2);
    for (command, reason) in [
        ("inspect fixtures", "inspect cannot be divided"),
        ("normalize merge fixtures/normalizers/states.json", "cannot be divided"),
        ("analyze shapley - --format json", "only once"),
        ("analyze shapley fixtures/simulated/campaign.parquet --nonsense", "--nonsense"),
        ("analyze shapley fixtures/simulated/campaign.parquet --monotone", "--method bounds"),
    ] {
        let stderr = plan(command);
        assert!(stderr.contains(reason), "{command}: {stderr}");
        assert!(!Path::new(&job).exists(), "{command}");
    }
    assert!(refused(&["shard", "merge", &job], 3).contains("there is no job here"));
}

/// What simic.toml and the environment add when a job is planned is part of it, and nothing else is when its tasks run.
#[test]
fn settings_are_those_of_the_plan() {
    let (directory, path) = folder();
    let root = directory.path();
    let games = std::fs::canonicalize(GAMES).expect("there").display().to_string();
    // Permutations and a number of games are for other occasions: every game is complete, and JSON is no table.
    std::fs::write(
        root.join("simic.toml"),
        "[analyze.shapley]\nconfidence = 0.8\npermutations = 100\ngames = 1\n",
    )
    .expect("written");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
        command.args(arguments).current_dir(root).env("SIMIC_CLUSTER", "game");
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let whole = run(&["analyze", "shapley", &games, "--format", "json"]);
    run(&["shard", "plan", "job", "--", "analyze", "shapley", &games]);
    std::fs::remove_file(root.join("simic.toml")).expect("removed");
    assert!(whole.contains("\"confidence\":0.8") && whole.contains("\"cluster\":\"game\""));
    let job = path("job");
    done(&["shard", "run", &job]);
    let merged = done(&["shard", "merge", &job, "--format", "json"]);
    assert_eq!(text(&merged.stdout), whole);
    assert!(text(&merged.stderr).contains("permutations, from "), "{}", text(&merged.stderr));
}

/// An output that the environment names is that of the job's result, and not of what is said on the way.
#[test]
fn an_output_of_the_environment_is_the_result() {
    let (directory, path) = folder();
    let games = std::fs::canonicalize(GAMES).expect("there").display().to_string();
    let (job, out) = (path("job"), path("out.json"));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
        let output = command.args(arguments).current_dir(directory.path()).env("SIMIC_OUTPUT", &out).output();
        let output = output.expect("it runs");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let command = ["analyze", "shapley", games.as_str()];
    for line in [
        &[&["shard", "plan", job.as_str(), "--"][..], &command].concat()[..],
        &["shard", "status", &job],
        &["shard", "run", &job],
        &["shard", "status", &job],
    ] {
        let (code, stdout, stderr) = run(line);
        assert!(code.is_some_and(|code| code < 2), "{line:?}: {stderr}");
        assert!(line[1] == "run" || !stdout.is_empty(), "{line:?}");
        assert!(!Path::new(&out).exists(), "{line:?}");
    }
    assert_eq!(run(&["shard", "merge", &job]).0, Some(0));
    let merged = std::fs::read_to_string(&out).expect("written");
    assert_eq!(merged, text(&done(&[&command[..], &["--format", "json"]].concat()).stdout));
    // Typed, it is where the plan goes.
    let plan = path("plan.csv");
    let typed = [&["shard", "plan", &job, "--force", "-o", &plan, "--"][..], &command].concat();
    assert_eq!(run(&typed).0, Some(2), "the result is there");
    std::fs::remove_file(&out).expect("removed");
    assert_eq!(run(&typed).0, Some(0));
    assert!(std::fs::read_to_string(&plan).expect("written").starts_with("verb,"));
}

/// What no task is needed to know is told when a job is planned.
#[test]
fn what_the_recording_cannot_give_is_refused_before_any_task() {
    let (_directory, path) = folder();
    let (runs, walks, job) = (path("runs/"), path("walks/"), path("job"));
    games(&runs, "3");
    steps(&walks, "2");
    for (command, reason) in [
        (
            format!("analyze shapley {GAMES} --value val_accuracy --value val_loss -o {runs}x.svg"),
            "2 results",
        ),
        (
            format!("analyze interactions {GAMES} --value val_accuracy --value val_loss -o {runs}x.svg"),
            "2 results",
        ),
        (format!("analyze shapley {runs} --test sign-flip"), "3 units finds nothing"),
        (format!("analyze ablation {runs} --simultaneous --cluster run"), "3 units says nothing"),
        (format!("normalize stats {walks} --state-out {walks}s.json"), "2 states, one file"),
        (format!("normalize replay {walks} --state-out {walks}s.json"), "2 states, one file"),
    ] {
        let whole = refused(&words(&command), 2);
        let planned = refused(&[&["shard", "plan", &job, "--"][..], &words(&command)].concat(), 2);
        assert_eq!(planned, whole, "{command}");
        assert!(planned.contains(reason) && !Path::new(&job).exists(), "{command}: {planned}");
    }
    for command in [
        format!("analyze shapley {runs} --test sign-flip --cluster game"),
        format!("analyze shapley {runs} --test sign-flip --confidence 0.7"),
        format!("normalize stats {walks} --state-out {walks}s.json --carry-over"),
    ] {
        planned(&job, "1", &words(&command));
    }
}

/// Common flags stand with the command that they are of; those of simic.toml are no others when parts are merged.
#[test]
fn settings_before_the_command_are_not_passed_over() {
    let (directory, path) = folder();
    let (runs, job) = (path("runs/"), path("job"));
    games(&runs, "2");
    let command = ["--", "analyze", "shapley", &runs, "--method", "permutation", "--permutations", "8"];
    for flag in [["--seed", "7"], ["--column", "run_id=episode"]] {
        let stderr = refused(&[&["shard", "plan", &job][..], &flag, &command].concat(), 2);
        assert!(stderr.contains(flag[0]) && stderr.contains("behind --"), "{stderr}");
    }
    std::fs::write(directory.path().join("simic.toml"), "seed = 7\n").expect("written");
    let run = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_simic"));
        let output = program.args(arguments).current_dir(directory.path()).output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    run(&[&["shard", "plan", &job][..], &command].concat());
    run(&["shard", "run", &job]);
    let merged = run(&["shard", "merge", &job, "--format", "json"]);
    assert_eq!(merged, run(&[&command[1..], &["--format", "json"]].concat()));
    assert!(merged.contains("\"seed\":7"));
}

#[test]
fn a_merge_destroys_neither_its_input_nor_its_job() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs/"), path("job"));
    games(&runs, "2");
    let n = planned(&job, "64MB", &["analyze", "shapley", &runs]);
    computed(&job, n);
    let input = std::fs::read_dir(&runs).expect("there").next().expect("a file").expect("readable").path();
    for place in [input.display().to_string(), format!("{job}/job.json")] {
        let before = std::fs::read(&place).expect("there");
        refused(&["shard", "merge", &job, "-o", &place, "--force"], 2);
        assert_eq!(std::fs::read(&place).expect("there"), before, "{place}");
    }
}

#[test]
fn a_job_among_recordings_is_no_recording() {
    let (_directory, path) = folder();
    let (runs, rows) = (path("runs/"), path("rows.parquet"));
    steps(&runs, "2");
    let alone = done(&["normalize", "stats", &runs, "--format", "json"]).stdout;
    let job = format!("{runs}/job");
    let n = planned(&job, "1", &["normalize", "replay", &runs, "-o", &rows]);
    computed(&job, n);
    let beside = done(&["normalize", "stats", &runs, "--format", "json"]).stdout;
    assert_eq!(text(&alone), text(&beside));
}

/// A folder of recorded steps of several runs.
fn steps(folder: &str, n_runs: &str) {
    done(&["simulate", "transitions", "-o", folder, "--n-runs", n_runs, "--n-steps", "700", "--n-envs", "3"]);
}

#[test]
fn statistics_of_runs_are_the_same_over_any_number_of_tasks() {
    let (_directory, path) = folder();
    let runs = path("runs/");
    steps(&runs, "7");
    is_what_one_machine_prints(&runs, "normalize stats", &FORMATS, &[1, 2, 7, 64]);
    for flags in [
        "--momentum 0.99",
        "--scope env --update-every rollout:16",
        "--target reward --reward-scale return --gamma 0.97",
        "--update-every episode --preset brax",
    ] {
        is_what_one_machine_prints(&runs, &format!("normalize stats {flags}"), &["json", "table"], &[3]);
    }
    for flags in ["", "--momentum 0.99 --preset sb3", "--learn-every rollout:64 --order update-first"] {
        is_what_one_machine_prints(
            &runs,
            &format!("normalize replay {flags}"),
            &["json", "table"],
            &[1, 4, 64],
        );
    }
    for flags in ["", "--momentum 0.9,0.99 --welford", "--shift-at 300", "--target reward --momentum auto"] {
        is_what_one_machine_prints(
            &runs,
            &format!("normalize compare {flags}"),
            &["json", "table", "csv"],
            &[1, 4, 64],
        );
    }
}

/// Rows of several runs that alternate within files and over them, in no order, of several row groups.
#[test]
fn runs_that_alternate_are_the_same_over_any_number_of_tasks() {
    let (_directory, path) = folder();
    let runs = path("runs");
    std::fs::create_dir(&runs).expect("made");
    for file in 0..4 {
        let mut rows = String::from("run_id,episode,step,env_id,obs_0,obs_1,reward,terminated\n");
        for step in 0..60 {
            for env in 0..2 {
                // Run c begins in the first file and goes on in the last one.
                let run = match (file, step % 3) {
                    (0, 0) | (3, 1) => "c".to_owned(),
                    (file, kind) => format!("r{file}{kind}"),
                };
                let step = if file == 2 { 59 - step } else { step } + if file == 3 { 100 } else { 0 };
                let x = f64::from((step * 37 + env * 11 + file * 5) % 101) / 7.0;
                let end = step % 20 == 19;
                rows.push_str(&format!(
                    "{run},{},{step},{env},{x},{},{},{end}\n",
                    step / 20,
                    40.0 - x,
                    x / 3.0
                ));
            }
        }
        std::fs::write(format!("{runs}/{file}.csv"), rows).expect("written");
    }
    for command in
        ["normalize stats", "normalize stats --momentum 0.9", "normalize compare", "normalize replay"]
    {
        is_what_one_machine_prints(&runs, command, &["json", "table"], &[1, 2, 64]);
    }
}

#[test]
fn a_replay_writes_the_same_files_over_any_number_of_tasks() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs/"), path("job"));
    steps(&runs, "5");
    for flags in
        ["", "--precision f64 --compression lz4 --scope env", "--target reward --reward-scale return"]
    {
        let (rows, trace) = (path("rows.parquet"), path("trace.parquet"));
        let mut line = words("normalize replay");
        line.extend([runs.as_str(), "-o", &rows, "--trace", &trace, "--force"]);
        line.extend(words(flags));
        let whole = done(&line);
        let files = || [std::fs::read(&rows).expect("written"), std::fs::read(&trace).expect("written")];
        let expected = files();
        for target in ["1GB", "70kB", "1"] {
            let n = planned(&job, target, &line);
            computed(&job, n);
            for file in [&rows, &trace] {
                std::fs::remove_file(file).expect("removed");
            }
            let merged = done(&["shard", "merge", &job]);
            assert_eq!(text(&merged.stdout), text(&whole.stdout));
            assert!(files() == expected, "{flags}: {n} tasks");
        }
    }
    // Rows that are not what was written are told, and so are rows that nobody planned.
    let beside = format!("{job}/parts/0.rows.arrow");
    std::fs::write(&beside, "x").expect("written");
    assert!(
        refused(&["shard", "merge", &job, "--force"], 3).contains("0.rows.arrow is not what was written")
    );
    assert_eq!(simic(&["shard", "status", &job]).status.code(), Some(1));
    planned(&job, "1", &["normalize", "replay", &runs]);
    done(&["shard", "run", &job]);
    let out = path("other.parquet");
    assert!(refused(&["shard", "merge", &job, "-o", &out], 3).contains("planned without it"));
    assert!(!Path::new(&out).exists());
}

#[test]
fn states_are_stored_and_verified_from_jobs() {
    let (_directory, path) = folder();
    let (runs, job, state, again) = (path("runs/"), path("job"), path("state.json"), path("again.json"));
    steps(&runs, "1");
    let stats = ["normalize", "stats", runs.as_str(), "--momentum", "0.99", "--state-out"];
    done(&[&stats[..], &[&state]].concat());
    planned(&job, "1", &[&stats[..], &[&again]].concat());
    done(&["shard", "run", &job]);
    done(&["shard", "merge", &job]);
    assert_eq!(std::fs::read(&state).expect("a state"), std::fs::read(&again).expect("a state"));
    for (flags, code) in [("--momentum 0.99", 0), ("--momentum 0.9", 1), ("", 0)] {
        let mut line = words("normalize verify");
        line.extend([runs.as_str(), "--state", &state]);
        line.extend(words(flags));
        let whole = simic(&line);
        assert_eq!(whole.status.code(), Some(code), "{flags}: {}", text(&whole.stderr));
        assert_eq!(planned(&job, "1", &line), 1);
        done(&["shard", "run", &job]);
        let merged = simic(&["shard", "merge", &job]);
        assert_eq!((text(&merged.stdout), merged.status.code()), (text(&whole.stdout), Some(code)));
    }
}

/// What only all files together tell: rows left out, files of other kinds, runs that carry over.
#[test]
fn recordings_with_faults_are_the_same_over_any_number_of_tasks() {
    let (_directory, path) = folder();
    let runs = path("runs");
    std::fs::create_dir(&runs).expect("made");
    for file in 0..5 {
        let mut rows = String::from("episode,step,obs_0,obs_1\n");
        for step in 0..40 {
            let x = if (step * 7 + file) % 13 == 0 { "nan".to_owned() } else { format!("{}", step * file) };
            rows.push_str(&format!("0,{step},{x},{}\n", step - file));
        }
        std::fs::write(format!("{runs}/{file}.csv"), rows).expect("written");
    }
    std::fs::write(format!("{runs}/games.csv"), "config,val_accuracy\n0,1\n1,2\n").expect("written");
    for command in ["normalize stats --on-bad skip", "normalize replay --on-bad skip --momentum 0.9"] {
        is_what_one_machine_prints(&runs, command, &["json", "table"], &[1, 3, 64]);
    }
    // Files of other widths, and one that nothing is left of.
    let mixed = path("mixed");
    std::fs::create_dir(&mixed).expect("made");
    for (name, observation) in [("a", "[1,2,3]"), ("b", "[1,2,3,4]"), ("c", "null")] {
        let row = |step: usize| {
            format!("{{\"run_id\":\"{name}\",\"episode\":0,\"step\":{step},\"obs\":{observation}}}\n")
        };
        std::fs::write(format!("{mixed}/{name}.ndjson"), (0..9).map(row).collect::<String>())
            .expect("written");
    }
    is_what_one_machine_prints(&mixed, "normalize stats --on-bad skip", &["json"], &[1, 64]);
    let job = path("job");
    let n = planned(&job, "1", &["normalize", "stats", &runs, "--on-bad", "skip", "--carry-over"]);
    assert_eq!(n, 1);
    let document = std::fs::read_to_string(format!("{job}/job.json")).expect("a job");
    assert!(document.contains("--carry-over: every run goes on"), "{document}");
}

#[test]
fn a_folder_of_recordings_is_no_folder_of_a_job() {
    let folder = tempfile::tempdir().expect("a folder");
    let runs = folder.path().join("runs").to_string_lossy().into_owned();
    std::fs::create_dir(&runs).expect("made");
    std::fs::copy("fixtures/simulated/campaign.parquet", format!("{runs}/campaign.parquet")).expect("copied");
    for read in [runs.clone(), folder.path().to_string_lossy().into_owned()] {
        let said = refused(&["shard", "plan", &runs, "--", "analyze", "shapley", &read], 2);
        assert!(said.contains("which is to be the job's own folder"), "{said}");
    }
    assert_eq!(std::fs::read_dir(&runs).expect("a folder").count(), 1);
}
