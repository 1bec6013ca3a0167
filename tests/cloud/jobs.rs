//! Jobs that lie in a store.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::server::{Answer, Server};
use super::{GAMES, command, done, refused, server, simic, text};

const JOB: &str = "s3://bucket/jobs/a";
const KEYS: &str = "bucket/jobs/a/";

/// Plans a job of tasks of so many bytes; gives the number of tasks.
fn planned(server: &Server, target: &str, verb: &str) -> usize {
    let line = format!("shard plan {JOB} --force --format json --target-bytes {target} -- {verb}");
    let document: serde_json::Value = serde_json::from_str(&done(&simic(server, &line))).expect("JSON");
    usize::try_from(document["n_tasks"].as_u64().expect("a number")).expect("fits")
}

fn exec(server: &Server, task: usize) -> std::process::Output {
    simic(server, &format!("shard exec {JOB} --task {task} --threads 1"))
}

/// All tasks, backwards, and every other one twice.
fn computed(server: &Server, n_tasks: usize) {
    for task in (0..n_tasks).rev().chain((0..n_tasks).step_by(2)) {
        done(&exec(server, task));
    }
}

fn status(server: &Server) -> (Option<i32>, serde_json::Value) {
    let output = simic(server, &format!("shard status {JOB} --format json"));
    let document =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    (output.status.code(), document)
}

fn merge(server: &Server, more: &str) -> std::process::Output {
    simic(server, &format!("shard merge {JOB}{more}"))
}

/// Steps of several runs, a file each, in the store.
fn with_steps(server: &Server, n_runs: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let runs = format!("{}/runs/", folder.path().display());
    let shape = "--n-steps 600 --n-envs 2";
    done(&simic(server, &format!("simulate transitions -o {runs} --n-runs {n_runs} {shape}")));
    for entry in std::fs::read_dir(&runs).expect("there") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        server.put(&format!("bucket/walks/{name}"), &std::fs::read(&path).expect("readable"));
    }
}

#[test]
fn jobs_in_a_store_come_to_the_bytes_of_one_machine() {
    let server = server();
    with_steps(&server, 5);
    let others = server.keys();
    let walks = "s3://bucket/walks/";
    for (verb, target, format) in [
        (format!("analyze shapley {GAMES}"), "5KB", "json"),
        ("analyze shapley s3://bucket/runs/a/".to_owned(), "5KB", "csv"),
        (format!("analyze interactions {GAMES}"), "9KB", "json"),
        (format!("analyze ablation {GAMES}"), "9KB", "table"),
        (format!("normalize stats {walks} --momentum 0.99"), "1", "json"),
        (format!("normalize compare {walks}"), "40KB", "table"),
    ] {
        let n = planned(&server, target, &verb);
        assert!(n > 1, "{verb}: {n} tasks");
        let expected = done(&simic(&server, &format!("{verb} --format {format}")));
        if format == "csv" {
            let run = simic(&server, &format!("shard run {JOB} --workers 2"));
            done(&run);
            assert!(
                text(&run.stderr).contains(&format!("{n} of {n} tasks computed")),
                "{}",
                text(&run.stderr)
            );
        } else {
            computed(&server, n);
        }
        assert_eq!(status(&server).0, Some(0), "{verb}");
        assert_eq!(done(&merge(&server, &format!(" --format {format}"))), expected, "{verb}");
    }
    let strange: Vec<String> =
        server.keys().into_iter().filter(|key| !others.contains(key) && !key.starts_with(KEYS)).collect();
    assert!(strange.is_empty(), "{strange:?}");
    // A folder that holds a job besides recordings is read without it.
    assert!(text(&done_bytes(&server, "inspect s3://bucket --format json")).contains("runs/a/games"));
}

fn done_bytes(server: &Server, line: &str) -> Vec<u8> {
    let output = simic(server, line);
    assert!(!text(&output.stdout).contains("jobs/a"), "{}", text(&output.stdout));
    output.stdout
}

#[test]
fn rows_of_a_replay_pass_through_a_store() {
    let server = server();
    with_steps(&server, 4);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (rows, trace) = (path("rows.parquet"), path("trace.parquet"));
    let verb = format!("normalize replay s3://bucket/walks/ -o {rows} --trace {trace} --force");
    let whole = done(&simic(&server, &verb));
    let files = || [&rows, &trace].map(|file| std::fs::read(file).expect("written"));
    let expected = files();
    let n = planned(&server, "1", &verb);
    assert_eq!(n, 4);
    computed(&server, n);
    for file in [&rows, &trace] {
        std::fs::remove_file(file).expect("removed");
    }
    assert_eq!(done(&merge(&server, "")), whole);
    assert!(files() == expected);
    // To the store as well.
    done(&merge(&server, " -o s3://bucket/out/rows.parquet"));
    assert!(server.get("bucket/out/rows.parquet").expect("written") == expected[0]);
    // Rows that are not what was written, and none.
    let beside = format!("{KEYS}parts/2.rows.arrow");
    let kept = server.get(&beside).expect("there");
    let mut damaged = kept.clone();
    damaged[0] ^= 1;
    server.put(&beside, &damaged);
    let said = refused(&merge(&server, ""), 3);
    assert!(said.contains("part 2 is damaged: s3://bucket/jobs/a/parts/2.rows.arrow is not what"), "{said}");
    server.remove(&beside);
    assert!(refused(&merge(&server, ""), 3).contains("2.rows.arrow is missing"));
    assert_eq!(status(&server).0, Some(1));
    done(&exec(&server, 2));
    assert!(server.get(&beside).expect("there") == kept);
    done(&merge(&server, ""));
    // What was computed in a folder is sound where it is copied to.
    let job = path("job");
    std::fs::create_dir_all(format!("{job}/parts")).expect("made");
    for key in server.keys().iter().filter(|key| key.starts_with(KEYS)) {
        let place = format!("{job}/{}", key.strip_prefix(KEYS).expect("below"));
        std::fs::write(place, server.get(key).expect("there")).expect("written");
    }
    assert_eq!(done(&simic(&server, &format!("shard merge {job}"))), whole);
    std::fs::remove_file(Path::new(&job).join("parts/0")).expect("removed");
    done(&simic(&server, &format!("shard exec {job} --task 0")));
}

#[test]
fn parts_in_a_store_that_are_not_the_jobs_are_refused_by_name() {
    let server = server();
    assert!(refused(&merge(&server, ""), 3).contains("there is no job here"));
    assert!(refused(&exec(&server, 0), 3).contains("there is no job here"));
    let verb = format!("analyze shapley {GAMES}");
    let n = planned(&server, "5KB", &verb);
    assert!(n >= 4, "{n}");
    let again = simic(&server, &format!("shard plan {JOB}/ -- {verb}"));
    assert!(refused(&again, 2).contains("holds a job"));
    computed(&server, n);
    let part = |task: usize| format!("{KEYS}parts/{task}");
    let [first, second] = [0, 1].map(|task| server.get(&part(task)).expect("a part"));
    // What consoles make of a folder.
    server.put(&format!("{KEYS}parts/"), b"");
    assert_eq!(status(&server).0, Some(0));
    done(&merge(&server, ""));
    // A gap.
    server.remove(&part(1));
    let (code, document) = status(&server);
    assert_eq!((code, &document["missing"][0]["task"]), (Some(1), &1.into()));
    assert!(refused(&merge(&server, ""), 3).contains("parts are missing: 1"));
    let partial = merge(&server, " --allow-missing --format csv");
    done(&partial);
    let said = text(&partial.stderr);
    assert!(said.contains("Partial: 1 of") && said.contains("csv has no conclusion"), "{said}");
    // An overlap, a stray.
    server.put(&part(1), &first);
    assert!(refused(&merge(&server, ""), 3).contains("part 1 holds task 0"));
    server.put(&part(1), &second);
    server.put(&part(n + 3), &first);
    assert!(refused(&merge(&server, ""), 3).contains(&format!("part {} is of no task", n + 3)));
    let (code, document) = status(&server);
    assert_eq!((code, &document["strays"][0]), (Some(1), &(n + 3).to_string().into()));
    server.remove(&part(n + 3));
    // Damage, and its repair by the next task.
    let last = first.len() - 1;
    for bytes in [&first[..last], &first[1..], b""] {
        server.put(&part(0), bytes);
        assert!(refused(&merge(&server, ""), 3).contains("part 0 is damaged"));
        assert_eq!(status(&server).0, Some(1));
    }
    done(&exec(&server, 0));
    assert_eq!(server.get(&part(0)), Some(first));
    // An output in the place of the job.
    let place = refused(&merge(&server, &format!(" --force -o {JOB}/job.json")), 2);
    assert!(place.contains("is a file of the job"), "{place}");
    // Parts of another plan, and of other settings; of fewer tasks none are left over.
    assert!(planned(&server, "9KB", &verb) < n);
    assert!(server.get(&part(n - 1)).is_none());
    let said = refused(&merge(&server, ""), 3);
    assert!(said.contains("part 0 is of other input") || said.contains("another plan"), "{said}");
    let n = planned(&server, "5KB", &format!("{verb} --confidence 0.9"));
    assert!(refused(&merge(&server, " --allow-missing"), 3).contains("other settings"));
    done(&simic(&server, &format!("shard run {JOB} --workers 1")));
    let whole = done(&simic(&server, &format!("{verb} --confidence 0.9")));
    assert_eq!((done(&merge(&server, "")), status(&server).0), (whole, Some(0)), "{n} tasks");
    // A plan that is not the job's.
    server.put(&format!("{KEYS}plan.jsonl"), b"{}\n");
    assert!(refused(&merge(&server, ""), 3).contains("not the plan of the job"));
    refused(&exec(&server, 0), 3);
}

#[test]
fn a_store_that_fails_is_asked_again_and_one_that_refuses_is_not() {
    let server = server();
    let n = planned(&server, "5KB", &format!("analyze shapley {GAMES}"));
    // Of everything, of reading, of writing alone.
    let only: [fn(&str) -> bool; 3] = [|_| true, |method| method == "GET", |method| method == "PUT"];
    for fails in only {
        for (status, name, code) in
            [(503, "SlowDown", 75), (500, "InternalError", 75), (403, "AccessDenied", 3)]
        {
            server.answer(
                move |request, _| {
                    if fails(&request.method) { Answer::Status(status, name) } else { Answer::Usual }
                },
            );
            let said = refused(&exec(&server, 0), code);
            assert!(said.contains(name), "{said}");
            assert!(server.get(&format!("{KEYS}parts/0")).is_none());
        }
    }
    // Answers that break off.
    server.answer(|request, _| if request.method == "GET" { Answer::CutOff } else { Answer::Usual });
    refused(&exec(&server, 0), 75);
    // Where the tasks of a run fail by what may pass, so may the run.
    server.answer(
        |request, _| {
            if request.method == "PUT" { Answer::Status(503, "SlowDown") } else { Answer::Usual }
        },
    );
    let said = refused(&simic(&server, &format!("shard run {JOB} --workers 3")), 75);
    assert!(said.contains(&format!("{n} tasks failed")) && said.contains("SlowDown"), "{said}");
    server.answer(|_, _| Answer::Status(503, "SlowDown"));
    refused(&simic(&server, &format!("shard run {JOB}")), 75);
    server.answer(|_, _| Answer::Usual);
    assert!(refused(&simic(&server, "shard exec s3://nowhere/job --task 0"), 3).contains("no such bucket"));
    assert!(refused(&simic(&server, "shard exec s3://bucket/gone --task 0"), 3).contains("no job here"));
    let nobody = command(&server, &format!("shard exec {JOB} --task 0"))
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .output();
    refused(&nobody.expect("it runs"), 75);
    // A failure that passes within the tries is none.
    let failed = AtomicUsize::new(0);
    server.answer(move |request, _| {
        let fails = request.method == "PUT" && failed.fetch_add(1, Ordering::SeqCst) < 2;
        if fails { Answer::Status(503, "SlowDown") } else { Answer::Usual }
    });
    done(&exec(&server, 0));
}

#[test]
fn places_that_can_hold_no_job_are_refused() {
    let server = server();
    let plan = |job: &str| simic(&server, &format!("shard plan {job} -- analyze shapley {GAMES}"));
    assert!(refused(&plan("s3://bucket"), 3).contains("a folder in one is needed"));
    assert!(refused(&plan("https://host/job"), 2).contains("only read"));
    assert!(refused(&plan("s3://user:topsecret@bucket/job"), 2).contains("a password"));
    assert!(refused(&plan("s3://nowhere/job"), 3).contains("no such bucket"));
    assert!(refused(&plan("s3://bucket/a//b"), 3).contains("is no name of an object"));
}

/// Requests of a task and of a look at all parts: what docs/scale.md states.
#[test]
fn parts_in_a_store_are_asked_for_together() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let runs = format!("{}/runs/", folder.path().display());
    let shape = "--n-slots 3 --n-episodes 1";
    done(&simic(&server, &format!("simulate coalitions -o {runs} --n-runs 24 {shape}")));
    server.put("bucket/x", b"");
    let n = planned(&server, "1", &format!("analyze shapley {runs}"));
    assert!(n >= 24, "{n}");
    let before = server.requests().len();
    done(&exec(&server, 20));
    // The job, its plan, a part that is not there, the part.
    assert_eq!(server.requests().len() - before, 4);
    done(&simic(&server, &format!("shard run {JOB} --workers 4")));
    server.answer(|_, _| Answer::Late(Duration::from_millis(50)));
    for verb in ["status", "merge"] {
        let before = server.requests().len();
        done(&simic(&server, &format!("shard {verb} {JOB} --threads 1")));
        // The job, its plan, a list, the parts.
        assert_eq!(server.requests().len() - before, n + 3, "{verb}");
    }
    assert!(server.most_at_once() >= 16, "{}", server.most_at_once());
}
