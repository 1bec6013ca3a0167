//! No room: the message names the output, the exit code is 3, and nothing is left behind.

use std::path::Path;
use std::process::{Command, Stdio};

const STEPS: &str = "fixtures/simulated/steps.parquet";
const GAMES: &str = "fixtures/simulated/campaign.parquet";

struct Outcome {
    code: Option<i32>,
    stderr: String,
}

/// Runs the program by a line of shell, in which `$simic` is the program.
fn shell(line: &str) -> Outcome {
    let mut command = Command::new("sh");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIMIC_")) {
        command.env_remove(name);
    }
    let output = command
        .args(["-c", line])
        .env("simic", env!("CARGO_BIN_EXE_simic"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Outcome { code: output.status.code(), stderr }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("readable").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Refused by name with a hint, and the folder is as it was.
fn refused(line: &str, named: &str, folder: &Path) {
    let Outcome { code, stderr } = shell(line);
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    let is_told = errors.len() == 1 && errors[0].contains("cannot write") && errors[0].contains(named);
    assert!(code == Some(3) && is_told, "{line}: {code:?} {stderr}");
    assert!(stderr.contains("\nhint: ") && stderr.contains("nothing half-written"), "{line}: {stderr}");
    assert_eq!(names(folder), Vec::<String>::new(), "{line}");
}

/// The verbs that write, and the output that does not find room.
fn writers(folder: &Path) -> Vec<(String, String)> {
    let path = |name: &str| folder.join(name).display().to_string();
    let (rows, trace, state, made, games) = (
        path("rows.parquet"),
        path("trace.parquet"),
        path("state.json"),
        path("made.parquet"),
        path("games.json"),
    );
    vec![
        (format!("normalize replay {STEPS} --momentum 0.9 -o {rows} --state-out {state}"), rows),
        (format!("normalize replay {STEPS} --momentum 0.9 --trace {trace} --state-out {state}"), trace),
        (format!("simulate transitions --n-steps 5000 -o {made}"), made),
        (format!("analyze shapley {GAMES} --format json -o {games}"), games),
    ]
}

/// A limit of file sizes stands for a full disk where none can be mounted.
#[test]
fn a_limit_of_file_sizes_is_told_by_the_output_s_name() {
    let folder = tempfile::tempdir().expect("a folder");
    for (verb, output) in writers(folder.path()) {
        // Blocks of 512 bytes; whoever started the program may ignore the signal or not.
        for trap in ["", "trap '' XFSZ; "] {
            let line = format!("{trap}ulimit -f 8; exec \"$simic\" {verb} --no-config");
            refused(&line, &output, folder.path());
        }
    }
    let state = folder.path().join("state.json").display().to_string();
    let line =
        format!("ulimit -f 0; exec \"$simic\" normalize stats {STEPS} --state-out {state} --no-config");
    refused(&line, &state, folder.path());
}

/// A file system of 64 kilobytes, where this user may mount one.
#[test]
fn a_full_disk_is_told_by_the_output_s_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().display();
    let mount = format!("mount -t tmpfs -o size=64k simic {place}");
    if shell(&format!("unshare -rm sh -c '{mount}'")).code != Some(0) {
        println!("skipped: no file system can be mounted here");
        return;
    }
    for (verb, output) in writers(folder.path()) {
        // The disk fills up before the output does.
        let fill = format!("head -c 61000 /dev/zero > {place}/other");
        let left = format!(
            "code=$?; [ \"$(ls -A {place})\" = other ] || echo left: $(ls -A {place}) >&2; exit $code"
        );
        let line = format!("{mount} && {fill} && \"$simic\" {verb} --no-config; {left}");
        let Outcome { code, stderr } = shell(&format!("unshare -rm sh -c '{line}'"));
        let is_told = stderr.lines().any(|line| {
            line.starts_with("error: cannot write") && line.contains(&output) && line.contains("space")
        });
        assert!(
            code == Some(3) && is_told && stderr.contains("hint: make room"),
            "{verb}: {code:?} {stderr}"
        );
        assert!(!stderr.contains("left:"), "{verb}: {stderr}");
    }
}

#[test]
fn a_full_device_is_told() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full here");
        return;
    }
    for verb in [
        format!("analyze shapley {GAMES} --format json"),
        format!("normalize stats {STEPS}"),
        format!("inspect {STEPS}"),
        "schema normalizer".to_owned(),
    ] {
        let Outcome { code, stderr } = shell(&format!("\"$simic\" {verb} --no-config > /dev/full"));
        assert!(code == Some(3) && stderr.contains("cannot write the result"), "{verb}: {code:?} {stderr}");
    }
    let Outcome { code, stderr } = shell(&format!("\"$simic\" inspect {STEPS} --no-config -o /dev/full"));
    assert!(code == Some(3) && stderr.contains("cannot write /dev/full"), "{code:?} {stderr}");
}

/// Rows that are put in order go through unnamed temporary files: the message names their folder.
#[test]
fn no_room_for_temporary_files_is_told_by_their_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("rows.csv");
    let lines: String = (0..4000).rev().map(|i| format!("a,0,{i},{i}\n")).collect();
    std::fs::write(&rows, format!("run_id,episode,step,obs_0\n{lines}")).expect("written");
    let line = format!(
        "export TMPDIR={}; ulimit -f 8; exec \"$simic\" normalize stats {} --momentum 0.9 --no-config",
        folder.path().display(),
        rows.display()
    );
    let Outcome { code, stderr } = shell(&line);
    let is_told = stderr.contains("temporary") && stderr.contains(&*folder.path().to_string_lossy());
    assert!(code == Some(3) && is_told && stderr.contains("TMPDIR"), "{code:?} {stderr}");
}
