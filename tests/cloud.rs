//! Object stores, against a server on loopback that answers as S3 does, and fails as it is told to.

mod jobs;
mod server;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use server::{Answer, Server};

const GAMES: &str = "fixtures/simulated/campaign.parquet";
const STEPS: &str = "fixtures/simulated/steps.parquet";

fn command(server: &Server, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    command.args(line.split(' ')).arg("--no-config").env_clear().envs([
        ("AWS_ACCESS_KEY_ID", server::KEY),
        ("AWS_SECRET_ACCESS_KEY", "a-secret-of-nobody"),
        ("AWS_REGION", "us-east-1"),
        ("NO_COLOR", "1"),
    ]);
    command.env("AWS_ENDPOINT_URL", server.url());
    command
}

fn simic(server: &Server, line: &str) -> Output {
    command(server, line).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a run that must succeed wrote.
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The message of a run that must fail, in one line with its hint below it.
fn refused(output: &Output, code: i32) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains("error: ") && said.contains("hint: "), "{said}");
    assert!(!said.contains("a-secret-of-nobody"), "{said}");
    said
}

/// A server with what the fixtures hold under other names.
fn server() -> Server {
    let server = Server::start();
    server.put("bucket/runs/a/games.parquet", &std::fs::read(GAMES).expect("a fixture"));
    server.put("bucket/runs/steps.parquet", &std::fs::read(STEPS).expect("a fixture"));
    server.put("bucket/runs/notes.txt", b"no recording");
    server.put("bucket/runs/.hidden/games.parquet", b"no recording");
    server
}

#[test]
fn an_object_gives_the_bytes_that_its_file_gives() {
    let server = server();
    let there = "s3://bucket/runs/a/games.parquet";
    for verb in ["analyze shapley", "analyze ablation", "analyze interactions"] {
        let line = |what: &str| format!("{verb} {what} --format json --value val_accuracy");
        let copied = tempfile::tempdir().expect("a folder");
        let copy = copied.path().join("games.parquet");
        std::fs::copy(GAMES, &copy).expect("copied");
        let local_copy = simic(&server, &line(&copy.display().to_string()));
        assert_eq!(done(&simic(&server, &line(there))), done(&local_copy), "{verb}");
    }
    let line = |what: &str| format!("normalize stats {what} --format json");
    assert_eq!(
        done(&simic(&server, &line("s3://bucket/runs/steps.parquet"))),
        done(&simic(&server, &line(STEPS)))
    );
}

#[test]
fn texts_and_packed_objects_are_read_like_files() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let mut rows = "run_id,episode,config,slot_ids,val_accuracy\n".to_owned();
    for episode in 0..3000 {
        for mask in 0..4 {
            let bits = format!("\"[{}, {}]\"", mask & 1, mask >> 1);
            rows.push_str(&format!("r,{episode},{bits},\"['a', 'b']\",{}\n", f64::from(mask) * 0.1));
        }
    }
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, &rows).expect("written");
    server.put("bucket/rows.csv", rows.as_bytes());
    let there = simic(&server, "analyze shapley s3://bucket/rows.csv --format json");
    let here = simic(&server, &format!("analyze shapley {} --format json", path.display()));
    assert_eq!(done(&there), done(&here));
}

#[test]
fn folders_and_patterns_name_objects() {
    let server = server();
    server.put(
        "bucket/runs/b/games.parquet",
        &std::fs::read("fixtures/simulated/mask.parquet").expect("a fixture"),
    );
    let files = |what: &str| -> Vec<String> {
        let output = simic(&server, &format!("inspect {what} --format json"));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let files = document["files"].as_array().expect("files").iter();
        files.map(|file| file["file"].as_str().expect("a name").to_owned()).collect()
    };
    let (a, b) = ("s3://bucket/runs/a/games.parquet", "s3://bucket/runs/b/games.parquet");
    let steps = "s3://bucket/runs/steps.parquet";
    assert_eq!(files("s3://bucket/runs/"), [a, b, steps]);
    assert_eq!(files("s3://bucket/runs"), [a, b, steps]);
    assert_eq!(files("s3://bucket"), [a, b, steps]);
    assert_eq!(files("s3://bucket/runs/[ab]/g?mes.parquet"), [a, b]);
    assert_eq!(files("s3://bucket/runs/[b-z]/*"), [b]);
    // As on disk a pattern finds what is hidden, and once what is named twice.
    assert_eq!(files("s3://bucket/**/*.parquet s3://bucket/runs/a/games.parquet").len(), 4);
    assert_eq!(files("s3://bucket/runs/{a,x}/*.parquet"), [a]);
    // A folder that a pattern matches is searched.
    assert_eq!(files("s3://bucket/runs/?"), [a, b]);
    // One object under two names of it is read once.
    let output = simic(&server, &format!("inspect {a} s3://bucket/runs/a/"));
    done(&output);
    assert!(text(&output.stderr).contains("named more than once"), "{}", text(&output.stderr));
}

#[test]
fn what_is_not_there_or_not_allowed_is_said() {
    let server = server();
    let said = |line: &str, code: i32| refused(&simic(&server, line), code);
    assert!(said("inspect s3://bucket/gone.parquet", 3).contains("no such file"));
    assert!(said("inspect s3://bucket/gone/", 3).contains("no such file"));
    assert!(said("inspect s3://bucket/gone/*.parquet", 3).contains("no file matches"));
    assert!(said("inspect s3://nowhere/a.parquet", 3).contains("no such bucket (NoSuchBucket)"));
    assert!(said("inspect s3://nowhere/", 3).contains("no such bucket"));
    assert!(said("inspect ftp://bucket/a.parquet", 3).contains("no kind of object store"));
    assert!(said("inspect s3://bucket/a//b.parquet", 3).contains("is no name of an object"));
    let wrong = command(&server, "inspect s3://bucket/runs/").env("AWS_ACCESS_KEY_ID", "WRONG").output();
    let wrong = refused(&wrong.expect("it runs"), 3);
    assert!(wrong.contains("403 InvalidAccessKeyId") && wrong.contains("check AWS_ACCESS_KEY_ID"), "{wrong}");
}

#[test]
fn without_keys_nothing_is_asked_and_nobody_waits() {
    let server = server();
    let begun = Instant::now();
    let run = |name: &str, value: &str| {
        let mut command = command(&server, "inspect s3://bucket/runs/");
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env(name, value);
        command.output().expect("it runs")
    };
    assert!(refused(&run("HOME", "/nonexistent"), 3).contains("no keys for S3"));
    let profile = refused(&run("AWS_PROFILE", "lab"), 3);
    assert!(profile.contains("aws configure export-credentials --profile lab"), "{profile}");
    for store in ["gs://bucket/a.csv", "az://container/a.csv"] {
        let output = command(&server, &format!("inspect {store}")).output().expect("it runs");
        refused(&output, 3);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(server.requests().len(), 0);
    // The shared file of Amazon's tools.
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".aws")).expect("made");
    let keys = format!("[default]\naws_access_key_id = {}\naws_secret_access_key = x\n", server::KEY);
    std::fs::write(home.path().join(".aws/credentials"), keys).expect("written");
    done(&run("HOME", &home.path().display().to_string()));
}

#[test]
fn an_object_that_is_replaced_while_it_is_read_is_refused() {
    let server = server();
    // Larger than what is asked for first, so that columns are asked for by themselves.
    let folder = tempfile::tempdir().expect("a folder");
    let large = folder.path().join("large.parquet").display().to_string();
    done(&simic(&server, &format!("simulate transitions -o {large} --obs-width 16 --n-steps 2000")));
    let bytes = std::fs::read(&large).expect("written");
    assert!(bytes.len() > 200_000, "{}", bytes.len());
    server.put("bucket/large.parquet", &bytes);
    for flags in ["", " --on-bad skip"] {
        server.put("bucket/large.parquet", &bytes);
        let (asked, contents) = (AtomicUsize::new(0), bytes.clone());
        server.answer(move |request, store| {
            if request.range.is_some() && asked.fetch_add(1, Ordering::SeqCst) == 1 {
                store.put("bucket/large.parquet", &contents[..contents.len() - 1]);
            }
            Answer::Usual
        });
        let said = refused(&simic(&server, &format!("normalize stats s3://bucket/large.parquet{flags}")), 3);
        assert!(said.contains("s3://bucket/large.parquet: changed while it was read"), "{said}");
    }
}

#[test]
fn an_object_that_is_cut_off_is_refused() {
    let server = server();
    let bytes = std::fs::read(GAMES).expect("a fixture");
    server.put("bucket/cut.parquet", &bytes[..bytes.len() / 2]);
    let said = refused(&simic(&server, "analyze shapley s3://bucket/cut.parquet"), 3);
    assert!(said.contains("does not end with PAR1"), "{said}");
    server.put("bucket/empty.parquet", b"");
    let said = refused(&simic(&server, "analyze shapley s3://bucket/empty.parquet"), 3);
    assert!(said.contains("no rows"), "{said}");
    // Answers that always break off: tried again, then told.
    server.answer(|request, _| if request.range.is_some() { Answer::CutOff } else { Answer::Usual });
    let said = refused(&simic(&server, "analyze shapley s3://bucket/runs/a/games.parquet"), 3);
    assert!(said.contains("broke off") || said.contains("ended after"), "{said}");
}

#[test]
fn failures_that_pass_are_tried_again_and_others_told() {
    let server = server();
    let failed = AtomicUsize::new(0);
    server.answer(move |_, _| {
        if failed.fetch_add(1, Ordering::SeqCst) < 2 {
            Answer::Status(500, "InternalError")
        } else {
            Answer::Usual
        }
    });
    done(&simic(&server, "inspect s3://bucket/runs/a/games.parquet"));
    let before = server.requests().len();
    server.answer(|_, _| Answer::Status(503, "SlowDown"));
    let said = refused(&simic(&server, "inspect s3://bucket/runs/a/games.parquet"), 3);
    assert!(said.contains("503 SlowDown"), "{said}");
    assert_eq!(server.requests().len() - before, 6);
}

#[test]
fn odd_lists_are_told_by_what_is_odd() {
    let server = server();
    server.put("bucket/odd/a//b.parquet", b"x");
    for what in ["s3://bucket/odd/", "s3://bucket/odd/**"] {
        let said = refused(&simic(&server, &format!("inspect {what}")), 3);
        assert!(said.contains("the key \"odd/a//b.parquet\" is no name of an object"), "{said}");
    }
    // What marks a folder is no recording.
    server.put("bucket/marked/runs/", b"");
    server.put("bucket/marked/runs/games.parquet", &std::fs::read(GAMES).expect("a fixture"));
    done(&simic(&server, "analyze shapley s3://bucket/marked/** --value val_accuracy"));
    // A server that never comes to an end.
    server.answer(
        |request, _| {
            if request.target.contains("list-type") { Answer::SamePage } else { Answer::Usual }
        },
    );
    let said = refused(&simic(&server, "inspect s3://bucket/runs/"), 3);
    assert!(said.contains("twice"), "{said}");
}

#[test]
fn an_output_whose_answer_is_lost_is_there() {
    let server = server();
    let n_lost = AtomicUsize::new(0);
    server.answer(move |request, _| {
        if request.method == "PUT" && n_lost.fetch_add(1, Ordering::SeqCst) == 0 {
            Answer::Lost
        } else {
            Answer::Usual
        }
    });
    let line = "analyze shapley s3://bucket/runs/a/games.parquet -o s3://bucket/out/x.json";
    done(&simic(&server, line));
    let puts = server.requests().iter().filter(|request| request.method == "PUT").count();
    assert_eq!(puts, 2);
    let local = simic(&server, "analyze shapley s3://bucket/runs/a/games.parquet --format json");
    assert_eq!(text(&server.get("bucket/out/x.json").expect("written")), done(&local));
}

#[test]
fn outputs_are_whole_and_never_over_an_object() {
    let server = server();
    let line = "analyze shapley s3://bucket/runs/a/games.parquet -o s3://bucket/out/x.json";
    done(&simic(&server, line));
    let first = server.get("bucket/out/x.json").expect("written");
    let local = simic(&server, "analyze shapley s3://bucket/runs/a/games.parquet --format json");
    assert_eq!(text(&first), done(&local));
    let before = server.requests().len();
    let said = refused(&simic(&server, line), 2);
    assert!(said.contains("s3://bucket/out/x.json exists") && said.contains("--force replaces it"), "{said}");
    // Refused before anything is computed.
    let asked = server.requests();
    assert!(
        asked[before..].iter().all(|request| request.key == "bucket/out/x.json"),
        "{:?}",
        &asked[before..]
    );
    done(&simic(&server, &format!("{line} --force")));
    // One that appears between the first look and the writing.
    server.answer(|request, store| {
        if request.method == "PUT" {
            store.put("bucket/out/y.json", b"of another");
        }
        Answer::Usual
    });
    let said = refused(&simic(&server, &line.replace("x.json", "y.json")), 2);
    assert!(said.contains("exists"), "{said}");
    assert_eq!(server.get("bucket/out/y.json").expect("there"), b"of another");
    server.answer(
        |request, _| {
            if request.method == "PUT" { Answer::Status(403, "AccessDenied") } else { Answer::Usual }
        },
    );
    let said = refused(&simic(&server, &line.replace("x.json", "z.json")), 3);
    assert!(said.contains("403 AccessDenied"), "{said}");
    assert!(server.get("bucket/out/z.json").is_none());
}

#[test]
fn a_set_of_outputs_keeps_its_order() {
    let server = server();
    let line = "normalize replay s3://bucket/runs/steps.parquet -o s3://bucket/o/rows.parquet \
                --trace s3://bucket/o/trace.parquet --state-out s3://bucket/o/state.json --momentum 0.99";
    done(&simic(&server, line));
    let puts = |requests: &[server::Request]| -> Vec<String> {
        let writes = requests.iter().filter(|request| matches!(request.method.as_str(), "PUT" | "POST"));
        writes.map(|request| format!("{} {}", request.method, request.key)).collect()
    };
    let expected = ["PUT bucket/o/rows.parquet", "PUT bucket/o/trace.parquet", "PUT bucket/o/state.json"];
    assert_eq!(puts(&server.requests()), expected);
    let before = server.requests().len();
    done(&simic(&server, &format!("{line} --force")));
    // The state of an earlier run is taken away (by a list of what to remove) before the rows it has not seen are there.
    assert_eq!(puts(&server.requests()[before..])[..2], ["POST bucket", "PUT bucket/o/rows.parquet"]);
    let said = refused(
        &simic(
            &server,
            &format!("{line} --force --trace s3://bucket/runs/steps.parquet")
                .replace(" --trace s3://bucket/o/trace.parquet", ""),
        ),
        2,
    );
    assert!(said.contains("one of the files read"), "{said}");
}

#[test]
fn large_outputs_are_sent_by_parts_or_not_at_all() {
    let server = server();
    let line =
        "simulate transitions -o s3://bucket/big.parquet --compression none --obs-width 64 --n-steps 40000";
    done(&simic(&server, line));
    let size = server.get("bucket/big.parquet").expect("written").len();
    assert!(size > 64 << 20, "{size}");
    let methods = |method: &str| server.requests().iter().filter(|request| request.method == method).count();
    assert!(methods("POST") == 2 && methods("PUT") > 4, "{} {}", methods("POST"), methods("PUT"));
    server.answer(|request, _| {
        if request.target.contains("partNumber=3") {
            Answer::Status(403, "AccessDenied")
        } else {
            Answer::Usual
        }
    });
    refused(&simic(&server, &line.replace("big", "other")), 3);
    assert!(server.get("bucket/other.parquet").is_none());
    assert_eq!(server.n_uploads(), 0, "the parts of what failed are taken back");
}

#[test]
fn signed_addresses_are_read_and_never_shown() {
    let server = server();
    let url = format!("{}/bucket/runs/steps.parquet", server.url());
    server.answer(|request, _| {
        if request.target.contains("signature=topsecret") {
            Answer::Open
        } else {
            Answer::Status(403, "AccessDenied")
        }
    });
    let output = simic(&server, &format!("normalize stats {url}?signature=topsecret --format json -v"));
    let said = format!("{}{}", done(&output), text(&output.stderr));
    assert!(!said.contains("topsecret"), "{said}");
    for line in [
        format!("inspect {url}?signature=topsecre"),
        format!("inspect {url}?signature=topsecret&x={url}"),
        format!("inspect {}?signature=topsecret", url.replace("steps", "*")),
        format!("shard plan job -- normalize stats {url}?signature=topsecret"),
        format!("normalize stats {STEPS} -o {url}?signature=topsecret.json"),
        format!("inspect {}?signature=topsecret", url.replace("://", "://user:topsecret@")),
        "analyze shapley s3://user:topsecret@bucket/a.parquet".to_owned(),
        format!("analyze shapley {GAMES} -o s3://user:topsecret@bucket/a.json"),
    ] {
        let output = simic(&server, &line);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(!said.contains("topsecre"), "{line}: {said}");
    }
    assert!(!Path::new("job").exists());
}

#[test]
fn layouts_in_buckets_are_those_of_folders_or_refused() {
    let server = Server::start();
    let put_folder = |folder: &str, prefix: &str| {
        for entry in walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("readable")) {
            if entry.file_type().is_file() {
                let below = entry.path().strip_prefix(folder).expect("below").to_string_lossy().into_owned();
                server.put(&format!("{prefix}/{below}"), &std::fs::read(entry.path()).expect("readable"));
            }
        }
    };
    for name in ["lerobot/v2.1/arm", "lerobot/v3.0/arm", "minari/cartpole"] {
        let (folder, url) = (format!("fixtures/layouts/{name}"), format!("s3://bucket/{name}"));
        put_folder(&folder, &format!("bucket/{name}"));
        let line = |what: &str| format!("inspect {what} --format json");
        let (here, there) = (simic(&server, &line(&folder)), simic(&server, &line(&url)));
        let here_root = std::env::current_dir().expect("a folder").display().to_string();
        let plain = |output: &Output, root: &str| {
            done(output).replace(&format!("{here_root}/{root}"), "ROOT").replace(root, "ROOT")
        };
        assert_eq!(plain(&there, &url), plain(&here, &folder), "{name}");
        // A data set that has lost rows is one in a store as well.
        let stats = |what: &str| format!("normalize stats {what} --format json");
        assert_eq!(done(&simic(&server, &stats(&url))), done(&simic(&server, &stats(&folder))), "{name}");
    }
    let said = refused(&simic(&server, "normalize verify s3://bucket/lerobot/v3.0/arm"), 3);
    assert!(said.contains("statistics that lie beside the rows") && said.contains("download"), "{said}");
    put_folder("fixtures/layouts/rllib/cartpole-v1", "bucket/rllib/cartpole-v1");
    let said = refused(&simic(&server, "normalize stats s3://bucket/rllib/cartpole-v1"), 3);
    assert!(said.contains("a recording of RLlib") && said.contains("download"), "{said}");
    // Shards are one recording, of which some may be missing.
    let bytes = std::fs::read(STEPS).expect("a fixture");
    server.put("bucket/hub/data/train-00000-of-00002.parquet", &bytes);
    let output = simic(&server, "normalize stats s3://bucket/hub/data/train-00000-of-00002.parquet");
    done(&output);
    let said = text(&output.stderr);
    assert!(said.contains("1 of the 2 shards of s3://bucket/hub are read"), "{said}");
}

#[test]
fn jobs_over_objects_give_the_bytes_of_one_machine() {
    let server = server();
    let folder = tempfile::tempdir().expect("a folder");
    let job = folder.path().join("job").display().to_string();
    let verb = "analyze shapley s3://bucket/runs/a/";
    done(&simic(&server, &format!("shard plan {job} -- {verb}")));
    let bytes = server.get("bucket/runs/a/games.parquet").expect("there");
    server.put("bucket/runs/a/games.parquet", &bytes[..bytes.len() - 1]);
    let said = refused(&simic(&server, &format!("shard exec {job} --task 0")), 3);
    assert!(said.contains("changed since the job was planned: s3://bucket/runs/a/games.parquet"), "{said}");
    server.put("bucket/runs/a/games.parquet", &bytes);
    done(&simic(&server, &format!("shard exec {job} --task 0")));
    let merged = done(&simic(&server, &format!("shard merge {job} --format json")));
    assert_eq!(merged, done(&simic(&server, &format!("{verb} --format json"))));
    server.answer(|_, _| Answer::Status(503, "SlowDown"));
    std::fs::remove_file(folder.path().join("job/parts/0")).expect("removed");
    refused(&simic(&server, &format!("shard exec {job} --task 0")), 75);
}

/// Requests and latency: what docs/stores.md states.
#[test]
fn few_requests_are_made_and_many_at_once() {
    let server = server();
    let count = |line: &str| {
        let before = server.requests().len();
        done(&simic(&server, line));
        let requests = server.requests();
        println!(
            "{line}: {} requests, {} bytes",
            requests.len() - before,
            requests[before..].iter().map(|r| r.sent).sum::<usize>()
        );
        requests.len() - before
    };
    assert_eq!(count("inspect s3://bucket/runs/a/games.parquet"), 1);
    assert_eq!(count("analyze shapley s3://bucket/runs/a/games.parquet"), 1);
    let bytes = std::fs::read(GAMES).expect("a fixture");
    for i in 0..64 {
        server.put(&format!("bucket/many/run{i:02}.parquet"), &bytes);
    }
    server.answer(|request, _| {
        let _ = request;
        Answer::Late(Duration::from_millis(100))
    });
    let begun = Instant::now();
    // Copies of one file: the same bytes twice are told apart by their names.
    assert_eq!(count("inspect s3://bucket/many/ --threads 2"), 65);
    // One after the other they would wait 6.4 seconds.
    assert!(server.most_at_once() >= 16, "{}", server.most_at_once());
    println!("{:?}, {} at once", begun.elapsed(), server.most_at_once());
}

#[test]
fn cloud_requests_with_keys_go_nowhere_a_redirect_leads() {
    let (server, other) = (server(), server());
    let elsewhere = other.url();
    server.answer(move |request, _| Answer::Elsewhere(format!("{elsewhere}{}", request.target)));
    let said = refused(&simic(&server, "inspect s3://bucket/runs/steps.parquet"), 3);
    assert!(said.contains("region") && other.requests().is_empty(), "{said}");
    // What needs no key may lie elsewhere, which does not learn the address that led there.
    let expected = done(&simic(&server, &format!("normalize stats {STEPS} --format json")));
    other.answer(|_, _| Answer::Open);
    let url = format!("{}/bucket/runs/steps.parquet?signature=topsecret", server.url());
    let found = done(&simic(&server, &format!("normalize stats {url} --format json")));
    assert_eq!(found.contains("\"updates\":300"), expected.contains("\"updates\":300"));
    let requests = other.requests();
    let tells = |(_, value): (&String, &String)| value.contains(&server.url());
    assert!(!requests.is_empty() && !requests.iter().any(|request| request.headers.iter().any(tells)));
}

#[test]
fn cloud_settings_that_no_request_can_carry_are_refused_by_name() {
    let server = server();
    let with = |name: &str, value: &str| {
        let mut command = command(&server, "inspect s3://bucket/runs/steps.parquet");
        command.env(name, value).output().expect("it runs")
    };
    let said = refused(&with("AWS_ENDPOINT_URL", "127.0.0.1:9000"), 3);
    assert!(said.contains("no URL"), "{said}");
    let said = refused(&with("AWS_SESSION_TOKEN", "a\nb"), 3);
    assert!(said.contains("AWS_SESSION_TOKEN"), "{said}");
    // A newline at the end is that of a mounted file.
    done(&with("AWS_ACCESS_KEY_ID", &format!("{}\n", server::KEY)));
    let said = refused(&simic(&server, "inspect S3://bucket/runs/steps.parquet"), 3);
    assert!(said.contains("small letters"), "{said}");
}

#[test]
fn cloud_logs_of_esper_are_read_like_those_on_disk() {
    const LOG: &str = "fixtures/esper/run_s_s11/events.jsonl.gz";
    let server = Server::start();
    server.put("bucket/logs/run_s_s11/events.jsonl.gz", &std::fs::read(LOG).expect("a fixture"));
    for verb in ["analyze shapley", "normalize stats --target reward"] {
        let found = |what: &str| {
            let output = simic(&server, &format!("{verb} {what} --format json"));
            let mut document: serde_json::Value = serde_json::from_str(&done(&output)).expect("JSON");
            // Messages name the file.
            document.as_object_mut().expect("an object").remove("notes");
            document
        };
        let here = found("fixtures/esper/run_s_s11");
        for there in ["s3://bucket/logs/", "s3://bucket/logs/run_s_s11", "s3://bucket/logs/*/events.jsonl.gz"]
        {
            assert_eq!(found(there), here, "{verb} {there}");
        }
    }
}

#[test]
fn cloud_runs_are_checked_like_those_on_disk() {
    let server = server();
    let folder = tempfile::tempdir().expect("a folder");
    let check = |line: &str| command(&server, line).current_dir(folder.path()).output().expect("it runs");
    let stored = || {
        let text =
            std::fs::read_to_string(folder.path().join("simic-baselines/default.json")).expect("stored");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    let games = "s3://bucket/runs/a/games.parquet";
    done(&check(&format!("check record {games}")));
    assert!(stored().to_string().contains(games), "{}", stored());
    done(&check(&format!("check {games}")));
    // Worse games under the same name.
    let worse = folder.path().join("worse.parquet").display().to_string();
    done(&simic(&server, &format!("simulate coalitions -o {worse} --seed 7")));
    server.put("bucket/runs/a/games.parquet", &std::fs::read(&worse).expect("written"));
    let output = check(&format!("check {games}"));
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
    // A store that fails is no number that moved.
    server.answer(|_, _| Answer::Status(403, "AccessDenied"));
    let output = check(&format!("check {games}"));
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.code() == Some(3) && said.contains("403 AccessDenied"), "{said}");
}
