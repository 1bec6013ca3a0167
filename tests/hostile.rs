//! Stored states that ask for more than a state needs: an error that says which budget, at once.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use super::normalizers::{STEPS, failure, folder};

/// `{"mean": VALUE, "var": VALUE}` as a pickle; VALUE leaves one value on the stack.
fn pickle(value: &[u8]) -> Vec<u8> {
    [b"\x80\x04}X\x04\0\0\0mean", value, b"sX\x03\0\0\0var", value, b"s."].concat()
}

/// An archive with one entry.
fn archive(name: &str, data: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    writer.start_file(name, options).expect("started");
    writer.write_all(data).expect("written");
    writer.finish().expect("finished").into_inner()
}

/// A NumPy file that claims `shape`.
fn npy(shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).expect("short").to_le_bytes();
    [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), data].concat()
}

/// Every verb that reads states refuses these bytes, and says this.
fn check(name: &str, bytes: &[u8], expected: &str) {
    let (_directory, path) = folder();
    let state = path(name);
    std::fs::write(&state, bytes).expect("written");
    for verb in [&["verify", STEPS, "--state"][..], &["replay", STEPS, "--state-in"], &["merge"]] {
        let start = Instant::now();
        let (code, stderr) = failure(&[&["normalize"], verb, &[&state]].concat());
        assert!(code == 3 && stderr.contains(expected), "{name} {verb:?}: {code} {stderr}");
        assert!(start.elapsed() < Duration::from_secs(5), "{name} {verb:?}: {:?}", start.elapsed());
    }
}

#[test]
fn pickles_that_unfold_are_refused() {
    check("itself.pkl", &pickle(b"]\x94h\0a"), "depth budget");
    check("deep.pkl", &pickle(&[&b"]".repeat(3000)[..], &b"a".repeat(2999)].concat()), "depth budget");
    // Each list holds the one before twice.
    let mut doubling = b"]G\x3f\xf0\0\0\0\0\0\0a\x940".to_vec();
    for level in 0..40u8 {
        doubling.extend_from_slice(&[b"]h", &[level][..], b"ah", &[level], b"a\x940"].concat());
    }
    check("doubling.pkl", &pickle(&[&doubling[..], b"h\x28"].concat()), "item budget");
    check("stack.pkl", &[&b"\x80\x04N"[..], &b"2".repeat(2 << 20), b"."].concat(), "item budget");
    check("memo.pkl", &[&b"\x80\x04N"[..], &b"\x94".repeat(2 << 20), b"."].concat(), "item budget");
    check("marks.pkl", &[&b"\x80\x04"[..], &b"(".repeat(2 << 20), b"."].concat(), "item budget");
    // An object that is its own state.
    check("object.pkl", b"\x80\x04ca\nb\n)R\x94h\0b.", "depth budget");
    // One long name, joined with itself again and again.
    let long = [&b"X\0\0\x10\0"[..], &vec![b'a'; 1 << 20], b"\x94", &b"h\0h\0\x93".repeat(100)].concat();
    check("names.pkl", &[&b"\x80\x04"[..], &long, b"."].concat(), "byte budget");
    check("large.pkl", &vec![b'N'; 9 << 20], "byte budget");
}

#[test]
fn archives_that_inflate_are_refused() {
    let zeros = vec![0u8; 40 << 20];
    check("bomb.npz", &archive("mean.npy", &npy("(5242880,)", &zeros)), "byte budget");
    check("claim.npz", &archive("mean.npy", &npy("(1000000000000000,)", &[0; 16])), "for 2 numbers");
    check("claims.npz", &archive("mean.npy", &npy("(4611686018427387904, 4)", &[])), "for 0 numbers");
    check("cut.npz", &archive("mean.npy", b"\x93NUMPY\x02\0\xff\xff\xff\xff{"), "ends early");
    let nones = vec![b'N'; 40 << 20];
    check("bomb.pt", &archive("model/data.pkl", &nones), "byte budget");
    check("large.pt", &[&b"\x80\x02"[..], &vec![b'N'; 3 << 20]].concat(), "byte budget");
}

#[test]
fn headers_that_claim_too_much_are_refused() {
    let header = |length: u64, text: &[u8]| [&length.to_le_bytes()[..], text].concat();
    check("claim.safetensors", &header(u64::MAX, b"{}"), "byte budget");
    check("long.safetensors", &header(5 << 20, &vec![b' '; 5 << 20]), "byte budget");
    let deep = [&b"[".repeat(100_000)[..], b"]"].concat();
    check("deep.json", &deep, "recursion");
    check("large.json", &vec![b' '; 9 << 20], "byte budget");
}

#[test]
fn compressed_arrays_are_read() {
    let (_directory, path) = folder();
    let state = path("state.npz");
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, values) in [("mean.npy", [1.0f64, 2.0]), ("var.npy", [3.0, 4.0])] {
        writer.start_file(name, options).expect("started");
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        writer.write_all(&npy("(2,)", &data)).expect("written");
    }
    std::fs::write(&state, writer.finish().expect("finished").into_inner()).expect("written");
    let stored = simic::records::StoredState::read(std::path::Path::new(&state), "obs").expect("readable");
    assert_eq!((stored.mean, stored.var, stored.count), (vec![1.0, 2.0], vec![3.0, 4.0], None));
}

/// What a recording, a path or an argument holds does not speak to the terminal.
#[test]
fn nothing_reaches_the_terminal_raw() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a\u{1b}[2Jb\u{202e}c\nd.csv");
    std::fs::write(&file, "mask,val_accuracy\n0,0.5\n1,x\n").expect("written");
    let file = file.to_string_lossy().into_owned();
    for arguments in [
        &["analyze", "shapley", &file][..],
        &["analyze", "shapley", "\u{1b}]0;title\u{7}"],
        &["analyze", "shapley", "x.csv", "--method", "\u{1b}[31mred\u{200b}"],
        &["analyze", "shapley", "x.csv", "--column", "mask=\u{9b}31m"],
        &["\u{1b}[2J"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_simic")).args(arguments).output().expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && stderr.contains("error:"), "{stderr}");
        let raw = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200b}' | '\u{202e}');
        assert!(!stderr.contains(raw), "{stderr:?}");
        assert!(stderr.lines().count() < 12, "{stderr}");
    }
}

#[test]
fn more_threads_than_make_sense_are_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_simic"))
        .args(["analyze", "shapley", "fixtures/simulated/campaign.parquet", "--threads", "60000"])
        .output()
        .expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && stderr.contains("hint: leave --threads out"), "{stderr}");
}

/// Outputs are compared as files, not as spellings.
#[test]
fn two_outputs_of_one_file_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let steps = std::path::Path::new("fixtures/simulated/steps.parquet").canonicalize().expect("a fixture");
    let steps = steps.to_string_lossy().into_owned();
    for outputs in
        [["-o", "x.parquet", "--trace", "./x.parquet"], ["--trace", "sub/../x.parquet", "-o", "x.parquet"]]
    {
        std::fs::create_dir_all(folder.path().join("sub")).expect("created");
        let output = Command::new(env!("CARGO_BIN_EXE_simic"))
            .args(["normalize", "replay", &steps])
            .args(outputs)
            .current_dir(folder.path())
            .output()
            .expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && stderr.contains("the same file"), "{stderr}");
    }
}

/// Files whose names are no text are read from their folder and written under their names; errors spell the bytes out.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_work_or_are_told() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().expect("a folder");
    let name = |bytes: &[u8]| folder.path().join(OsStr::from_bytes(bytes));
    std::fs::copy("tests/cli/data/chain.csv", name(b"a\xff.csv")).expect("copied");
    std::fs::copy("tests/cli/data/chain.csv", name(b"a\xfe.csv")).expect("copied");
    let run = |words: &[&str], path: OsString| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
        let output = command.args(words).arg(path).arg("--no-config").output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, stdout, _) = run(&["inspect"], folder.path().into());
    assert!(code == Some(0) && stdout.contains("a\\xff.csv") && stdout.contains("a\\xfe.csv"), "{stdout}");
    let (code, _, stderr) = run(&["analyze", "shapley"], name(b"a\xff.csv").into());
    let is_told = stderr.contains("a\\xff.csv' is not UTF-8 text") && stderr.contains("hint: rename");
    assert!(code == Some(2) && is_told, "{stderr}");
    let words = ["analyze", "shapley", "tests/cli/data/chain.csv", "--format", "json", "-o"];
    let (code, _, stderr) = run(&words, name(b"out\xff.json").into());
    assert!(code == Some(0) && name(b"out\xff.json").is_file(), "{stderr}");
    let (code, _, stderr) = run(&words, name(b"none\xff/out.json").into());
    assert!(code == Some(3) && stderr.contains("no such folder"), "{stderr}");
    let steps = ["normalize", "replay", "fixtures/simulated/steps.parquet", "--momentum", "0.9", "-o"];
    let (code, _, stderr) = run(&steps, name(b"rows\xff.parquet").into());
    assert!(code == Some(0) && name(b"rows\xff.parquet").is_file(), "{stderr}");
    // The files read are told by what they are, not by their names.
    let words = ["analyze", "shapley", &folder.path().to_string_lossy(), "--force", "-o"];
    let (code, _, stderr) = run(&words, name(b"a\xff.csv").into());
    assert!(code == Some(2) && stderr.contains("is one of the files read"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn devices_are_no_recordings() {
    for device in ["/dev/zero", "/dev/null", "/dev/random"] {
        let output = Command::new(env!("CARGO_BIN_EXE_simic"))
            .args(["normalize", "stats", device, "--no-config"])
            .output()
            .expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(3) && stderr.contains("a device, not a file"), "{stderr}");
    }
}

/// A long name is cut where it is shown, in errors and tables alike; documents hold it whole.
#[test]
fn long_names_are_cut_in_the_middle() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("steps.csv");
    let run_id = format!("begin{}end", "x".repeat(4000));
    let rows = |second: u8| format!("run_id,step,obs_0\n{run_id},0,0.5\n{run_id},{second},1\nother,0,1\n");
    std::fs::write(&file, rows(1)).expect("written");
    let file = file.to_string_lossy().into_owned();
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_simic")).args(words).output().expect("it runs");
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let [table, _] = run(&["normalize", "stats", &file, "--no-config"]);
    let is_cut = |text: &str| text.contains("begin") && text.contains("xend") && !text.contains(&run_id);
    assert!(is_cut(&table) && table.lines().all(|line| line.chars().count() < 400), "{table}");
    let [document, _] = run(&["normalize", "stats", &file, "--format", "json", "--no-config"]);
    assert!(document.contains(&run_id));
    std::fs::write(&file, rows(0)).expect("written");
    let [_, stderr] = run(&["normalize", "stats", &file, "--no-config"]);
    assert!(is_cut(&stderr) && stderr.len() < 1000, "{stderr}");
}

/// What standard input and pipes give is held against the budget while it is read, and a pipe nobody writes to is given up.
#[cfg(unix)]
#[test]
fn streams_stay_within_the_budget() {
    let run = |script: &str| {
        let output =
            Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_simic")]).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let over = "it gives more than the 1.0 MB of --max-memory";
    for script in [
        // Without an end.
        "yes 1,2,3 | \"$0\" normalize stats - --no-config --max-memory 1MB",
        "mkfifo $$.pipe; (yes 1,2,3 > $$.pipe &) ; \"$0\" normalize stats $$.pipe --no-config --max-memory 1MB",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (code, stderr) = run(&format!("cd {} && {script}", folder.path().display()));
        assert!(code == Some(3) && stderr.contains(over) && stderr.contains("hint:"), "{stderr}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (code, stderr) =
        run(&format!("cd {} && mkfifo p && \"$0\" inspect p --no-config", folder.path().display()));
    assert!(code == Some(3) && stderr.contains("nobody opened for writing"), "{stderr}");
}

/// Cases of the mutations that once ended the program: read or refused, by every verb they may be given to.
#[test]
fn what_once_fell_is_read_or_refused() {
    let entries = std::fs::read_dir("fixtures/hostile/found").expect("readable").flatten();
    let paths: Vec<String> = entries.map(|entry| entry.path().to_string_lossy().into_owned()).collect();
    assert!(!paths.is_empty());
    let directory = tempfile::tempdir().expect("a directory");
    let rows = directory.path().join("rows.parquet").display().to_string();
    let replay = ["normalize", "replay", "--force", "-o", rows.as_str()];
    for path in &paths {
        for verb in [&["analyze", "shapley"][..], &["normalize", "stats"], &replay, &["inspect"]] {
            let output =
                Command::new(env!("CARGO_BIN_EXE_simic")).args(verb).arg(path).output().expect("it runs");
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            let is_ended = matches!(output.status.code(), Some(0 | 1 | 3));
            assert!(
                is_ended && !stderr.contains("panicked"),
                "{verb:?} {path}: {:?} {stderr}",
                output.status
            );
        }
    }
}
