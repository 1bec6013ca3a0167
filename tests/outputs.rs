//! Where results go: formats told by the names of files, typed tables, and what a terminal never sees.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn simic(folder: &Path, line: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let words = line.split(' ').map(|word| {
        if word.starts_with("fixtures/") || word.starts_with("tests/") {
            root.join(word).to_string_lossy().into_owned()
        } else {
            word.to_owned()
        }
    });
    Command::new(env!("CARGO_BIN_EXE_simic"))
        .args(words)
        .arg("--no-config")
        .env_remove("SIMIC_FORMAT")
        .env("NO_COLOR", "1")
        .current_dir(folder)
        .output()
        .expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Columns of a file with their types, as simic itself reads them.
fn columns(folder: &Path, file: &str) -> BTreeMap<String, String> {
    let output = simic(folder, &format!("inspect {file} --format json"));
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{file}: {error}: {}", text(&output.stderr)));
    let columns = document["files"][0]["columns"].as_object().expect("columns").clone();
    columns.into_iter().map(|(name, dtype)| (name, dtype.as_str().expect("a type").to_owned())).collect()
}

const STEPS: &str = "fixtures/simulated/steps.parquet";

#[test]
fn every_result_is_one_typed_table_in_parquet_and_arrow() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    assert!(simic(folder, &format!("normalize stats {STEPS} --state-out state.json")).status.success());
    assert!(simic(folder, "check record fixtures/simulated/campaign.parquet").status.success());
    let shapley = [("shapley", "f64"), ("n", "i64"), ("significant", "bool"), ("slot_id", "str")];
    let cases: [(String, &[(&str, &str)]); 9] = [
        ("analyze shapley fixtures/simulated/campaign.parquet".to_owned(), &shapley),
        (
            format!("normalize stats {STEPS}"),
            &[("mean", "f64"), ("clip_fraction", "f64"), ("dimension", "i64"), ("env_id", "i64")],
        ),
        (format!("normalize compare {STEPS}"), &[("lag_mean", "i64"), ("setting", "str")]),
        (
            format!("normalize compare {STEPS} --target reward --divisors"),
            &[("divisor", "f64"), ("preset", "str")],
        ),
        (
            format!("normalize verify {STEPS} --state state.json --momentum 0.9"),
            &[("stored_mean", "f64"), ("distance", "f64"), ("dimension", "str")],
        ),
        (
            "check run fixtures/simulated/campaign.parquet".to_owned(),
            &[("old", "f64"), ("n_old", "i64"), ("verdict", "str")],
        ),
        (
            "check record fixtures/simulated/campaign.parquet".to_owned(),
            &[("metrics", "i64"), ("name", "str")],
        ),
        ("inspect fixtures/simulated".to_owned(), &[("rows", "i64"), ("file", "str")]),
        ("devices".to_owned(), &[("present", "bool"), ("device", "str")]),
    ];
    for (line, expected) in cases {
        let mut found = Vec::new();
        for ending in ["parquet", "arrow"] {
            let output = simic(folder, &format!("{line} -o out.{ending} --force"));
            assert!(output.stdout.is_empty() && output.status.code() < Some(2), "{line}: {output:?}");
            let columns = columns(folder, &format!("out.{ending}"));
            for (name, dtype) in expected {
                let has = columns.get(*name).unwrap_or_else(|| panic!("{line}: no {name} in {columns:?}"));
                assert!(has == dtype, "{line} {ending}: {name} is {has}");
            }
            found.push(columns.into_keys().collect::<Vec<_>>());
        }
        let csv = text(&simic(folder, &format!("{line} --format csv --force")).stdout);
        let mut header: Vec<String> =
            csv.lines().next().expect("a header").split(',').map(str::to_owned).collect();
        header.sort();
        assert!(found[0] == found[1] && found[0] == header, "{line}: {found:?} {header:?}");
    }
    // What -o names is something else there, and --format is the format of what is printed.
    for line in [
        format!("normalize replay {STEPS} -o rows.parquet --format arrow"),
        "normalize merge state.json -o merged.json --format arrow".to_owned(),
        "simulate coalitions -o truth.parquet --format arrow".to_owned(),
    ] {
        let output = simic(folder, &line);
        assert!(output.status.success() && output.stdout.starts_with(b"ARROW1"), "{line}: {output:?}");
    }
}

/// A program has the feature png or says that it has not.
#[test]
fn pictures_in_pixels_are_written_or_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let shapley = "analyze shapley fixtures/reference/glove_1_2.parquet";
    for line in [format!("{shapley} -o out.png"), format!("{shapley} --figure out.png --force")] {
        let output = simic(folder, &line);
        if cfg!(feature = "png") {
            assert!(output.status.success(), "{line}: {output:?}");
            let bytes = std::fs::read(folder.join("out.png")).expect("written");
            // 1280 pixels wide: twice the 640 of the picture.
            assert!(bytes.starts_with(b"\x89PNG") && bytes[16..20] == [0, 0, 5, 0], "{line}");
        } else {
            let stderr = text(&output.stderr);
            assert!(
                output.status.code() == Some(2) && stderr.contains("without the feature png"),
                "{stderr}"
            );
            assert!(!folder.join("out.png").exists());
        }
    }
}

/// The same of the feature pdf.
#[test]
fn pictures_as_pdf_are_written_or_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let line = "analyze shapley fixtures/reference/glove_1_2.parquet --figure-size 85mmx60mm -o out.pdf";
    let output = simic(folder, line);
    if cfg!(feature = "pdf") {
        assert!(output.status.success(), "{output:?}");
        let bytes = std::fs::read(folder.join("out.pdf")).expect("written");
        // 85 mm are 240.9 points.
        assert!(
            bytes.starts_with(b"%PDF-") && text(&bytes).contains("/MediaBox[0 0 240.9"),
            "{}",
            text(&bytes)
        );
    } else {
        let stderr = text(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains("without the feature pdf"), "{stderr}");
        assert!(!folder.join("out.pdf").exists());
    }
}

#[test]
fn the_format_follows_the_name_and_contradictions_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let shapley = "analyze shapley fixtures/reference/glove_1_2.parquet";
    let begins = [
        ("json", "{\"schema\""),
        ("ndjson", "{\"kind\""),
        ("csv", "value,scope"),
        ("md", "## "),
        ("parquet", "PAR1"),
        ("svg", "<svg"),
        ("vl.json", "vega-lite"),
    ];
    for (ending, begin) in begins {
        let output = simic(folder, &format!("{shapley} -o out.{ending}"));
        assert!(output.status.success(), "{output:?}");
        let bytes = std::fs::read(folder.join(format!("out.{ending}"))).expect("written");
        assert!(text(&bytes).contains(begin), "{ending}");
    }
    let refused = [
        ("-o out.csv --format json --force", "--format json contradicts"),
        ("-o out.foo", "does not say the format"),
        ("-o out", "end it in .json"),
        ("-o out.html", "is not written so"),
        ("-o out.xml", "formats of simic check"),
    ];
    for (flags, reason) in refused {
        let output = simic(folder, &format!("{shapley} {flags}"));
        let stderr = text(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(reason), "{flags}: {stderr}");
        assert!(stderr.contains("hint: "), "{flags}: {stderr}");
    }
    for flags in ["-o out --format csv", "-o -", "-o /dev/stdout", "-o /dev/stdout --format ndjson"] {
        assert!(simic(folder, &format!("{shapley} {flags}")).status.success(), "{flags}");
    }
    // A format that is set for other occasions gives way to the name.
    let with_setting = Command::new(env!("CARGO_BIN_EXE_simic"))
        .args(["devices", "-o", "devices.csv", "--no-config"])
        .env("SIMIC_FORMAT", "json")
        .current_dir(folder)
        .output()
        .expect("it runs");
    assert!(with_setting.status.success(), "{with_setting:?}");
    assert!(text(&with_setting.stderr).contains("format, from SIMIC_FORMAT"), "{with_setting:?}");
    assert!(std::fs::read_to_string(folder.join("devices.csv")).expect("written").starts_with("device,"));
}

/// Runs a command line in a pseudo-terminal of so many columns; `None` where there is no `script` to make one.
#[cfg(target_os = "linux")]
fn in_terminal(line: &str, columns: u16) -> Option<(i32, String)> {
    let command = format!(
        "stty rows 24 cols {columns}; {} --no-config --progress never {line}",
        env!("CARGO_BIN_EXE_simic")
    );
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .stdin(std::process::Stdio::null())
        .output();
    let Ok(output) = output else {
        println!("skipped: no program named script, which makes a pseudo-terminal");
        return None;
    };
    Some((output.status.code().expect("a code"), text(&output.stdout)))
}

#[cfg(target_os = "linux")]
#[test]
fn binary_results_never_reach_a_terminal() {
    for format in ["parquet", "arrow"] {
        let line = format!("analyze shapley fixtures/reference/glove_1_2.parquet --format {format}");
        let Some((code, shown)) = in_terminal(&line, 100) else { return };
        assert!(code == 2 && shown.contains("is binary") && shown.contains("--output"), "{shown}");
        let Some((code, shown)) = in_terminal(&format!("{line} -o /dev/tty"), 100) else { return };
        assert!(code == 2 && shown.contains("is binary"), "{shown}");
        let Some((code, shown)) = in_terminal(&format!("{line} | wc -c"), 100) else { return };
        assert!(code == 0 && shown.trim().parse::<u64>().is_ok_and(|n| n > 100), "{shown}");
    }
}

/// A terminal has its own width, and conclusions have a colour there unless that is not wanted.
#[cfg(target_os = "linux")]
#[test]
fn tables_fit_the_terminal_and_conclusions_are_coloured() {
    let shapley = "analyze shapley fixtures/simulated/campaign.parquet";
    let Some((code, narrow)) = in_terminal(shapley, 64) else { return };
    assert_eq!(code, 0, "{narrow}");
    let plain = |text: &str| text.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
    let widest = |text: &str| plain(text).lines().map(|line| line.trim_end().chars().count()).max();
    assert!(widest(&narrow) <= Some(64) && narrow.contains("\u{1b}[1mr0c0 helps most"), "{narrow}");
    let Some((_, wide)) = in_terminal(shapley, 130) else { return };
    assert!(widest(&wide) > Some(100) && widest(&wide) <= Some(130), "{wide}");
    let Some((_, never)) = in_terminal(&format!("{shapley} --color never"), 80) else { return };
    assert!(!never.contains('\u{1b}') && widest(&never) <= Some(80), "{never}");
    // Off a terminal there is no colour unless it is asked for, and never in a file.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(!text(&simic(root, shapley).stdout).contains('\u{1b}'));
    assert!(text(&simic(root, &format!("{shapley} --color always")).stdout).contains('\u{1b}'));
    let verify = "normalize verify fixtures/normalizers/steps.parquet --color always --state";
    let good = text(&simic(root, &format!("{verify} fixtures/normalizers/vecnormalize.pkl")).stdout);
    assert!(good.starts_with("\u{1b}[1;32mThe state is that of run hopper"), "{good}");
    let bad = text(&simic(root, &format!("{verify} fixtures/normalizers/rsl_rl.pt --preset sb3")).stdout);
    assert!(bad.starts_with("\u{1b}[1;31mThe state is not the recording's"), "{bad}");
}
