//! Programs that are ended while they write: what stands under a name is whole, and nothing else stays for long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Kills tried over all verbs that write, of which some come after the end: about 200 do not.
const N_KILLS: u64 = 266;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn start(folder: &Path, words: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIMIC_")) {
        command.env_remove(name);
    }
    command
        .args(words)
        .args(["--no-config", "--threads", "2", "--quiet"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

fn finish(folder: &Path, words: &[&str]) -> Duration {
    let begun = Instant::now();
    let status = start(folder, words).wait().expect("it ends");
    assert!(matches!(status.code(), Some(0 | 1)), "{words:?}: {status}");
    begun.elapsed()
}

/// A verb that writes, in two variants whose results differ, and the files it writes in the order they are moved.
struct Case {
    name: &'static str,
    variants: [Vec<&'static str>; 2],
    outputs: Vec<&'static str>,
}

fn cases() -> Vec<Case> {
    let replay = |momentum| {
        let words = "normalize replay rows.parquet -o out.parquet --trace trace.parquet --state-out state.json --force";
        words.split(' ').chain(["--momentum", momentum]).collect()
    };
    let stats = |momentum| {
        "normalize stats rows.parquet --state-out state.json --force --momentum"
            .split(' ')
            .chain([momentum])
            .collect()
    };
    let words = |words: &'static str| words.split(' ').collect::<Vec<_>>();
    vec![
        Case {
            name: "replay",
            variants: [replay("0.9"), replay("0.99")],
            outputs: vec!["out.parquet", "trace.parquet", "state.json"],
        },
        Case { name: "stats", variants: [stats("0.9"), stats("0.99")], outputs: vec!["state.json"] },
        Case {
            name: "merge",
            variants: [
                words("normalize merge one.json two.json -o merged.json --force"),
                words("normalize merge one.json -o merged.json --force"),
            ],
            outputs: vec!["merged.json"],
        },
        Case {
            name: "record",
            variants: [
                words("check record games.parquet --force"),
                words("check record games.parquet --force --seed 7"),
            ],
            outputs: vec!["simic-baselines/default.json"],
        },
        Case {
            name: "accept",
            variants: [
                words("check accept games.parquet --force"),
                words("check accept games.parquet --force --seed 7"),
            ],
            outputs: vec!["simic-baselines/default.json"],
        },
        Case {
            name: "shapley",
            variants: [
                words("analyze shapley games.parquet -o games.json --force"),
                words("analyze shapley games.parquet -o games.json --force --confidence 0.9"),
            ],
            outputs: vec!["games.json"],
        },
        Case {
            name: "simulate",
            variants: [
                words("simulate transitions -o made.parquet --n-steps 20000 --n-envs 4 --force --seed 1"),
                words("simulate transitions -o made.parquet --n-steps 20000 --n-envs 4 --force --seed 2"),
            ],
            outputs: vec!["made.parquet"],
        },
    ]
}

/// Bytes of the outputs that are there.
fn found(folder: &Path, outputs: &[&'static str]) -> BTreeMap<&'static str, Vec<u8>> {
    outputs.iter().filter_map(|name| Some((*name, std::fs::read(folder.join(name)).ok()?))).collect()
}

/// Temporary files below a folder.
fn strays(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".tmp"))
        .map(walkdir::DirEntry::into_path)
        .collect()
}

fn recordings(folder: &Path) {
    let simulate = "simulate transitions -o rows.parquet --n-steps 25000 --n-envs 4 --obs-width 4 --force";
    finish(folder, &simulate.split(' ').collect::<Vec<_>>());
    for (name, seed) in [("one", "1"), ("two", "2")] {
        let rows = format!("{name}.parquet");
        let simulate = "simulate transitions --n-steps 200 --n-envs 4 --force --seed";
        finish(folder, &simulate.split(' ').chain([seed, "-o", &rows]).collect::<Vec<_>>());
        let state = format!("{name}.json");
        finish(folder, &["normalize", "stats", &rows, "--state-out", &state, "--force"]);
    }
    let games = "simulate coalitions -o games.parquet --n-runs 40 --n-episodes 10 --n-slots 6 --force";
    finish(folder, &games.split(' ').collect::<Vec<_>>());
}

/// Kills programs at random times, and some as soon as their first output appears.
#[test]
fn a_killed_program_leaves_whole_files_and_no_claim() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    recordings(folder);
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    let (mut n_killed, mut n_between) = (0u64, 0u64);
    let cases = cases();
    for case in &cases {
        if case.name == "accept" {
            finish(folder, &cases[3].variants[0]);
        }
        // What each variant writes, and how long it takes.
        let whole: Vec<_> = case
            .variants
            .iter()
            .map(|words| {
                let elapsed = finish(folder, words);
                (found(folder, &case.outputs), elapsed)
            })
            .collect();
        assert_ne!(whole[0].0, whole[1].0, "{}: variants differ", case.name);
        assert_eq!(whole[0].0.len(), case.outputs.len(), "{}", case.name);
        for kill in 0..N_KILLS.div_ceil(cases.len() as u64) {
            let which = usize::try_from(kill % 2).expect("0 or 1");
            let before = modified(&folder.join(case.outputs[0]));
            let mut child = start(folder, &case.variants[which]);
            if kill % 4 < 2 {
                std::thread::sleep(whole[which].1.mul_f64(random.share()));
            } else {
                wait_for_change(&folder.join(case.outputs[0]), before, &mut child);
            }
            let _ = child.kill();
            let status = child.wait().expect("it ends");
            n_killed += u64::from(status.code().is_none());
            let now = found(folder, &case.outputs);
            n_between += u64::from(check(case, which, &now, &whole[0].0, &whole[1].0));
        }
        finish(folder, &case.variants[0]);
        assert_eq!(strays(folder), Vec::<PathBuf>::new(), "{}: the next run removes them", case.name);
        assert_eq!(found(folder, &case.outputs), whole[0].0, "{}: the next run is as any", case.name);
    }
    println!("{n_killed} programs killed, {n_between} of them between two outputs");
    assert!(n_killed > N_KILLS / 2, "{n_killed} programs were killed before they ended");
}

/// Every output is one of the whole ones; what was moved later is not there without what was moved before.
fn check(
    case: &Case,
    which: usize,
    now: &BTreeMap<&'static str, Vec<u8>>,
    first: &BTreeMap<&'static str, Vec<u8>>,
    second: &BTreeMap<&'static str, Vec<u8>>,
) -> bool {
    let mine = [first, second][which];
    for (name, bytes) in now {
        let is_whole = *bytes == first[name] || *bytes == second[name];
        assert!(is_whole, "{}: {name} is half-written ({} bytes)", case.name, bytes.len());
    }
    let is_mine = |name: &&str| now.get(name) == Some(&mine[name]);
    let last = case.outputs[case.outputs.len() - 1];
    // A state is there only with all that it claims, of this run or of the one before.
    let is_one_run = now == first || now == second;
    assert!(!now.contains_key(last) || is_one_run, "{}: {:?}", case.name, now.keys());
    case.outputs.iter().any(is_mine) && !is_one_run
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// Waits until a file is another one, or the program has ended.
fn wait_for_change(path: &Path, before: Option<SystemTime>, child: &mut Child) {
    while modified(path) == before && child.try_wait().expect("waited for").is_none() {
        std::hint::spin_loop();
    }
}

/// Asks a program to end once it writes; `None` where it was faster.
fn ended_while_writing(folder: &Path, signal: &str) -> Option<i32> {
    let words = "normalize replay rows.parquet -o out.parquet --trace trace.parquet --momentum 0.9 --force";
    let mut child = start(folder, &words.split(' ').collect::<Vec<_>>());
    while strays(folder).is_empty() && child.try_wait().expect("waited for").is_none() {}
    signal_to(&child, signal);
    let code = child.wait().expect("it ends").code();
    assert_eq!(strays(folder), Vec::<PathBuf>::new(), "{signal}: {code:?}");
    code.filter(|code| *code != 0)
}

/// Whether this process ignores a signal, and so do those it starts.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

fn signal_to(child: &Child, signal: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
    assert!(sent.is_ok());
}

#[test]
fn requests_to_end_give_their_exit_code_and_leave_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    recordings(folder);
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        if is_ignored(code - 128) {
            // As by a shell for a job in the background: the program then ignores it, too.
            println!("skipped: whoever started the tests ignores {signal}");
            continue;
        }
        let mut codes = (0..50).map(|_| ended_while_writing(folder, signal));
        assert_eq!(codes.find_map(|code| code), Some(code), "{signal}");
    }
}

/// A program that waits for input, so that it is ended for sure.
#[test]
fn signals_ignored_by_whoever_started_the_program_stay_ignored() {
    for (trap, expected) in [("", Some(143)), ("trap '' TERM; ", Some(3))] {
        let script = format!("{trap}exec \"$0\" inspect - --no-config");
        let mut child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_simic")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(Duration::from_millis(300));
        signal_to(&child, "TERM");
        std::thread::sleep(Duration::from_millis(100));
        drop(child.stdin.take());
        let code = child.wait().expect("it ends").code();
        assert!(code == expected || (expected == Some(3) && code == Some(1)), "{trap}: {code:?}");
    }
}
