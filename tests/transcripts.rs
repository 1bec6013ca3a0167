//! Transcripts: what a user types and sees. `TRYCMD=overwrite cargo test --release transcripts` rewrites them.

use std::path::Path;

/// What `simic devices` prints is that of a build without GPU features; other builds leave those pages out.
const HAS_GPU_FEATURES: bool = cfg!(any(feature = "wgpu", feature = "cuda"));

fn cases() -> trycmd::TestCases {
    let cases = trycmd::TestCases::new();
    cases.register_bin("simic", Path::new(env!("CARGO_BIN_EXE_simic"))).env("NO_COLOR", "1");
    cases
}

#[test]
fn transcripts() {
    let cases = cases();
    cases.case("tests/cli/*.md");
    // Builds with the feature run it by itself.
    cases.skip("tests/cli/hdf5.md");
    if HAS_GPU_FEATURES {
        println!("skipped: tests/cli/devices.md is for builds without GPU features");
        cases.skip("tests/cli/devices.md");
    }
}

/// What builds without the feature say is in tests/hdf5.rs.
#[cfg(feature = "hdf5")]
#[test]
fn hdf5_transcript() {
    cases().case("tests/cli/hdf5.md");
}

/// The README writes files: it is run in a directory of its own that holds the fixtures.
#[cfg(unix)]
#[test]
fn readme() {
    if HAS_GPU_FEATURES {
        println!("skipped: README.md is for builds without GPU features");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("README.md");
    std::fs::copy("README.md", &copy).expect("copied");
    std::fs::create_dir(directory.path().join("README.in")).expect("created");
    let fixtures = std::fs::canonicalize("fixtures").expect("fixtures");
    std::os::unix::fs::symlink(fixtures, directory.path().join("README.in/fixtures")).expect("linked");
    // The cases are run when they are dropped.
    drop({
        let cases = cases();
        cases.case(&copy);
        cases
    });
    if std::env::var("TRYCMD").is_ok_and(|mode| mode == "overwrite") {
        std::fs::copy(&copy, "README.md").expect("copied");
    }
}

/// The page on checks: its own simic.toml, a recording, and the same recording with one run changed.
#[cfg(unix)]
#[test]
fn checks() {
    if HAS_GPU_FEATURES {
        println!("skipped: docs/checks.md is for builds without GPU features");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("checks.md");
    let sandbox = directory.path().join("checks.in");
    let text = std::fs::read_to_string("docs/checks.md").expect("the page");
    std::fs::write(&copy, &text).expect("copied");
    for folder in ["runs", "changed"] {
        std::fs::create_dir_all(sandbox.join(folder)).expect("created");
    }
    let toml = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its rules");
    std::fs::write(sandbox.join("simic.toml"), toml).expect("written");
    std::fs::copy("fixtures/digits_regions.parquet", sandbox.join("runs/digits.parquet")).expect("copied");
    std::fs::copy("fixtures/checks/changed.parquet", sandbox.join("changed/digits.parquet")).expect("copied");
    let scripts = std::fs::canonicalize("docs/ci").expect("scripts");
    std::os::unix::fs::symlink(scripts, sandbox.join("ci")).expect("linked");
    drop({
        let cases = cases();
        cases.register_bin("cp", Path::new("/bin/cp")).register_bin("bash", Path::new("/bin/bash"));
        cases.env("SIMIC", env!("CARGO_BIN_EXE_simic"));
        cases.case(&copy);
        cases
    });
    if std::env::var("TRYCMD").is_ok_and(|mode| mode == "overwrite") {
        std::fs::copy(&copy, "docs/checks.md").expect("copied");
    }
}
