//! `simic check` from outside: documents, settings, revisions, reports, exit codes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const CAMPAIGN: &str = "fixtures/simulated/campaign.parquet";
const DIGITS: &str = "fixtures/digits_regions.parquet";
const CHANGED: &str = "fixtures/checks/changed.parquet";

/// A folder of its own, with the recording as `runs/main.parquet`.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(recording: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().expect("a folder") };
        std::fs::create_dir(project.path("runs")).expect("created");
        project.set_recording(recording);
        project
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn set_recording(&self, recording: &str) {
        std::fs::copy(recording, self.path("runs/main.parquet")).expect("copied");
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("readable")
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SIMIC_") {
                command.env_remove(name);
            }
        }
        command.env_remove("GITHUB_STEP_SUMMARY");
        command.env("NO_COLOR", "1").current_dir(self.folder.path()).args(arguments);
        command
    }

    fn simic(&self, arguments: &[&str]) -> Output {
        self.command(Path::new(env!("CARGO_BIN_EXE_simic")), arguments).output().expect("the program starts")
    }

    fn git(&self, arguments: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let output =
            self.command(Path::new("git"), &[&identity[..], arguments].concat()).output().expect("git");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Exit code, stdout, stderr.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.simic(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let stderr = text(&output.stderr);
        assert!(!stderr.contains("panicked"), "{stderr}");
        (output.status.code().expect("a code"), text(&output.stdout), stderr)
    }

    fn check(&self, arguments: &[&str]) -> (i32, Value) {
        let (code, stdout, stderr) = self.run(&[&["check"], arguments, &["--format", "json"]].concat());
        let document = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{code} {stdout} {stderr}"));
        (code, document)
    }
}

fn verdicts(document: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let findings = document["checks"][0]["findings"].as_array().expect("findings");
    findings.iter().map(|finding| (text(&finding["id"]), text(&finding["verdict"]))).collect()
}

const CLOSE: &str =
    "[check.main]\nruns = [\"runs\"]\n[[check.main.rules]]\nmetric = \"**\"\nmode = \"close\"\nrel = 1e-6\n";

#[test]
fn record_check_change_accept() {
    let project = Project::new(DIGITS);
    project.write("simic.toml", CLOSE);
    assert_eq!(project.run(&["check"]).0, 3);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    assert_eq!(project.run(&["check"]).0, 0);
    let before = project.read("simic-baselines/main.json");
    assert_eq!(project.run(&["check", "record"]).0, 2);
    project.set_recording(CHANGED);
    let (code, document) = project.check(&[]);
    let regressed: Vec<String> = verdicts(&document)
        .into_iter()
        .filter(|(_, verdict)| verdict == "regressed")
        .map(|(id, _)| id)
        .collect();
    // Taking 0.03 from every coalition with `top` lowers its value and the full one's, and no other's.
    assert_eq!((code, regressed), (1, vec!["shapley/top/mean".to_owned(), "value/full/mean".to_owned()]));
    assert_eq!(project.read("simic-baselines/main.json"), before);
    // What got worse is stored only where that is said.
    let (code, stdout, stderr) = project.run(&["check", "accept"]);
    assert!(
        code == 1 && stdout.contains("✗ shapley/top/mean") && stderr.contains("--regressions"),
        "{stderr}"
    );
    assert_eq!(project.read("simic-baselines/main.json"), before);
    let (code, stdout, _) = project.run(&["check", "accept", "--regressions", "--quiet"]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert_eq!(project.check(&[]).0, 0);
    // Only what moved is other text.
    let after = project.read("simic-baselines/main.json");
    let metric = |text: &str, id: &str| {
        let document: Value = serde_json::from_str(text).expect("JSON");
        let metrics = document["metrics"].as_array().expect("metrics").clone();
        metrics.into_iter().find(|metric| metric["id"] == id).expect("the metric")
    };
    assert_ne!(metric(&before, "shapley/top/mean"), metric(&after, "shapley/top/mean"));
    assert_eq!(metric(&before, "shapley/bottom/mean"), metric(&after, "shapley/bottom/mean"));
    let (code, _, stderr) = project.run(&["check", "accept"]);
    assert!(code == 0 && stderr.contains("nothing to accept"), "{stderr}");
    assert_eq!(project.read("simic-baselines/main.json"), after);
}

#[test]
fn other_settings_or_files_are_no_regression() {
    let project = Project::new(DIGITS);
    project.write("simic.toml", CLOSE);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    let (code, document) = project.check(&["--seed", "5"]);
    assert_eq!((code, &document["checks"][0]["status"]), (3, &Value::from("incomparable")));
    assert!(document["checks"][0]["reason"].as_str().expect("a reason").contains("seed was 0, is 5"));
    project.write(
        "simic.toml",
        &CLOSE.replace("runs = [\"runs\"]", "runs = [\"runs\"]\nflags = { duplicates = \"last\" }"),
    );
    let (code, stdout, _) = project.run(&["check", "--wide"]);
    assert!(code == 3 && stdout.contains("other settings: duplicates was \"mean\", is \"last\""), "{stdout}");
    let flags = CLOSE.replace("runs = [\"runs\"]", "runs = [\"runs\"]\nflags = { value = \"val_loss\" }");
    project.write("simic.toml", &flags);
    let (code, stdout, _) = project.run(&["check", "--wide"]);
    assert!(code == 3 && stdout.contains("value was \"val_accuracy\", is \"val_loss\""), "{stdout}");
    project.write("simic.toml", CLOSE);
    std::fs::rename(project.path("runs/main.parquet"), project.path("runs/other.parquet")).expect("renamed");
    let (code, stdout, _) = project.run(&["check", "--wide"]);
    assert!(
        code == 3 && stdout.contains("runs/main.parquet is behind the baseline, but was not read"),
        "{stdout}"
    );
    assert_eq!(project.run(&["check", "--other-runs"]).0, 0);
    // Accepting across settings takes --force.
    project.write("simic.toml", &flags);
    let (code, _, stderr) = project.run(&["check", "accept"]);
    assert!(code == 3 && stderr.contains("--force"), "{stderr}");
    assert_eq!(project.run(&["check", "accept", "--force", "--regressions"]).0, 0);
    assert_eq!(project.run(&["check", "--wide"]).0, 0);
    std::fs::remove_dir_all(project.path("runs")).expect("removed");
    let (code, stdout, _) = project.run(&["check", "--wide"]);
    assert!(code == 3 && stdout.contains("incomparable") && stdout.contains("runs"), "{stdout}");
}

/// The same flags, but a coalition was lost, so that another method was used: no regression, nor a pass.
#[test]
fn a_result_by_another_method_is_incomparable() {
    let project = Project::new(CAMPAIGN);
    let row = |mask: u32| format!("a,0,{mask},{}\n", f64::from(mask * mask) / 100.0);
    let rows = |lost: Option<u32>| -> String {
        let kept = (0..8).filter(|mask| Some(*mask) != lost).map(row);
        std::iter::once("run_id,episode,mask,val_accuracy\n".to_owned()).chain(kept).collect()
    };
    std::fs::remove_file(project.path("runs/main.parquet")).expect("removed");
    project.write("runs/main.csv", &rows(None));
    assert_eq!(project.run(&["check", "record"]).0, 0);
    assert_eq!(project.run(&["check"]).0, 0);
    project.write("runs/main.csv", &rows(Some(5)));
    let (code, stdout, _) = project.run(&["check"]);
    assert!(
        code == 3 && stdout.contains("other settings: method_used was \"exact\", is \"kernel\""),
        "{stdout}"
    );
}

/// Checks that ask the same of the same files are computed once, and checks of other columns read the rows once.
#[test]
fn checks_that_share_rows_agree_with_checks_alone() {
    let project = Project::new(DIGITS);
    let check = |name: &str, value: &str| {
        format!("[check.{name}]\nruns = [\"runs\"]\nflags = {{ value = \"{value}\" }}\n")
    };
    let all = [check("a", "val_accuracy"), check("b", "val_loss"), check("c", "val_accuracy")].concat();
    project.write("simic.toml", &all);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    let (together, other) = (project.read("simic-baselines/a.json"), project.read("simic-baselines/b.json"));
    assert!(together.contains("val_accuracy") && other.contains("val_loss"));
    assert_eq!(
        together.replace("\"name\": \"a\"", "\"name\": \"c\""),
        project.read("simic-baselines/c.json")
    );
    assert_eq!(project.run(&["check", "record", "--name", "a", "--force"]).0, 0);
    assert_eq!(project.read("simic-baselines/a.json"), together);
}

#[test]
fn a_document_of_every_version_is_read_or_explained() {
    let project = Project::new(CAMPAIGN);
    let stored = std::fs::read_to_string("fixtures/baselines/v1.json").expect("the fixture");
    project.write("v1.json", &stored);
    let check =
        |file: &str| project.run(&["check", "runs", "--no-config", "--other-runs", "--baseline", file]);
    std::fs::copy("fixtures/baselines/v2.json", project.path("v2.json")).expect("the fixture");
    let (code, stdout, stderr) = check("v2.json");
    assert_eq!(code, 0, "{stdout}{stderr}");
    let (code, stdout, stderr) = check("v1.json");
    assert_eq!(code, 0, "{stdout}{stderr}");
    let cases = [
        ("newer.json", stored.replace("simic.baseline/1", "simic.baseline/9"), "upgrade"),
        ("older.json", stored.replace("simic.baseline/1", "simic.baseline/0"), "record --force"),
        ("cut.json", stored[..stored.len() / 2].to_owned(), "not JSON"),
        ("empty.json", String::new(), "not JSON"),
        ("foreign.json", "{\"a\": 1}".to_owned(), "not a baseline"),
        ("extra.json", stored.replacen("\"name\"", "\"nome\"", 1), "damaged"),
        (
            "edited.json",
            stored.replacen("\"cluster\": \"episode\"", "\"cluster\": \"run\"", 1),
            "settings_hash",
        ),
    ];
    for (file, text, expected) in cases {
        project.write(file, &text);
        let (code, stdout, _) = check(file);
        assert!(code == 3 && stdout.contains(expected), "{file}: {code} {stdout}");
    }
    let (code, stdout, _) = check("missing.json");
    assert!(code == 3 && stdout.contains("there is no baseline yet"), "{stdout}");
}

#[test]
fn a_run_that_vanished_and_one_run_alone() {
    let project = Project::new(DIGITS);
    let simulate = |n_runs: &str| {
        let output = project.simic(&[
            "simulate",
            "coalitions",
            "-o",
            "runs/main.parquet",
            "--force",
            "--n-runs",
            n_runs,
            "--seed",
            "3",
        ]);
        assert!(output.status.success());
    };
    simulate("3");
    assert_eq!(project.run(&["check", "record", "runs"]).0, 0);
    simulate("2");
    let (code, document) = project.check(&["runs"]);
    assert_eq!(code, 1);
    assert!(
        verdicts(&document).iter().any(|(id, verdict)| id.starts_with("runs/run2") && verdict == "missing")
    );
    simulate("1");
    let (code, document) = project.check(&["runs", "--other-runs"]);
    assert!(code == 0 || code == 1, "{document}");
    // One game a side: nothing to test, said so.
    let one = [
        "simulate",
        "coalitions",
        "-o",
        "runs/main.parquet",
        "--force",
        "--n-runs",
        "1",
        "--n-episodes",
        "1",
        "--n-envs",
        "1",
    ];
    assert!(project.simic(&one).status.success());
    let (code, stdout, _) = project.run(&["check", "runs", "--other-runs", "--strict"]);
    assert!(code == 1 && stdout.contains("a test needs at least 2 on either side"), "{stdout}");
    let (code, ..) = project.run(&["check", "runs", "--other-runs"]);
    assert_eq!(code, 0);
}

#[test]
fn a_baseline_of_a_revision() {
    let project = Project::new(DIGITS);
    project.write("simic.toml", CLOSE);
    project.git(&["init", "-q"]);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "baseline"]);
    project.set_recording(CHANGED);
    assert_eq!(project.run(&["check", "accept", "--regressions"]).0, 0);
    assert_eq!(project.run(&["check"]).0, 0);
    assert_eq!(project.run(&["check", "--baseline-rev", "HEAD"]).0, 1);
    let (code, stdout, _) = project.run(&["check", "--baseline-rev", "nonsense"]);
    assert!(code == 3 && stdout.contains("nonsense"), "{stdout}");
    // From a folder below, the nearest simic.toml upward and its folder hold.
    std::fs::create_dir(project.path("deep")).expect("created");
    let mut below = project.command(Path::new(env!("CARGO_BIN_EXE_simic")), &["check"]);
    let output = below.current_dir(project.path("deep")).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn results_made_elsewhere_and_two_documents() {
    let project = Project::new(DIGITS);
    project.write("simic.toml", CLOSE);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    let analyse = |recording: &str, file: &str| {
        project.set_recording(recording);
        let arguments =
            ["analyze", "shapley", "runs", "--format", "json", "-o", file, "--force", "--no-config"];
        assert_eq!(project.run(&arguments).0, 0);
    };
    analyse(DIGITS, "same.json");
    analyse(CHANGED, "new.json");
    assert_eq!(project.run(&["check", "--result", "same.json"]).0, 0);
    assert_eq!(project.run(&["check", "--result", "new.json"]).0, 1);
    assert_eq!(project.run(&["check", "diff", "same.json", "same.json"]).0, 0);
    assert_eq!(project.run(&["check", "diff", "simic-baselines/main.json", "same.json"]).0, 0);
    let (code, stdout, _) = project.run(&["check", "diff", "same.json", "new.json", "--strict"]);
    assert!(code == 1 && stdout.contains("shapley/top/mean"), "{stdout}");
    project.write("other.json", "[1, 2]");
    let (code, _, stderr) = project.run(&["check", "diff", "same.json", "other.json"]);
    assert!(code == 3 && stderr.contains("other.json"), "{stderr}");
}

#[test]
fn normalizers_are_checked_too() {
    let project = Project::new("fixtures/normalizers/steps.parquet");
    let config =
        "[check.steps]\ncommand = \"normalize replay\"\nruns = [\"runs\"]\nflags = { momentum = 0.99 }\n";
    project.write("simic.toml", config);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    let (code, document) = project.check(&[]);
    assert_eq!(code, 0);
    let ids: Vec<String> = verdicts(&document).into_iter().map(|(id, _)| id).collect();
    assert!(ids.contains(&"normalizer/obs/mean/3".to_owned()) && ids.contains(&"clip_fraction".to_owned()));
    project.write("simic.toml", &config.replace("0.99", "0.999"));
    let (code, stdout, _) = project.run(&["check"]);
    assert!(code == 3 && stdout.contains("momentum was 0.99, is 0.999"), "{stdout}");
    // Without a command the files tell what they are.
    let (code, stdout, _) = project.run(&["check", "record", "--no-config", "runs"]);
    assert!(
        code == 0 && project.read("simic-baselines/default.json").contains("simic.normalize.stats/1"),
        "{stdout}"
    );
}

#[test]
fn reports_for_every_system() {
    let project = Project::new(DIGITS);
    project.write("simic.toml", CLOSE);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    project.set_recording(CHANGED);
    let summary = project.path("summary.md");
    let reports =
        ["--report", "junit=simic.xml", "--report", "markdown=simic.md", "--report", "csv=simic.csv"];
    let arguments = [&["check", "--format", "github"], &reports[..]].concat();
    let mut command = project.command(Path::new(env!("CARGO_BIN_EXE_simic")), &arguments);
    let output = command.env("GITHUB_STEP_SUMMARY", &summary).output().expect("the program starts");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    let annotations: Vec<&str> = stdout.lines().filter(|line| line.starts_with("::error title=")).collect();
    assert_eq!(annotations.len(), 2, "{stdout}");
    assert!(annotations[0].contains("shapley/top/mean regressed"), "{stdout}");
    assert!(project.read("summary.md").contains("- ✗ shapley/top/mean  "));
    assert!(project.read("simic.md").contains("- ✓ value/empty/mean  "));
    assert_eq!(project.read("simic.csv").lines().count(), 9);
    let junit = project.read("simic.xml");
    assert!(junit.contains("tests=\"8\" failures=\"2\" errors=\"0\" skipped=\"0\""), "{junit}");
    assert_eq!(junit.matches("<failure ").count(), 2);
    let (code, _, stderr) = project.run(&["inspect", "runs", "--format", "junit"]);
    assert!(code == 2 && stderr.contains("simic check"), "{stderr}");
    let (code, _, stderr) = project.run(&["check", "--report", "docx=x"]);
    assert!(code == 2 && stderr.contains("no format 'docx'"), "{stderr}");
}

#[test]
fn at_most_ten_annotations_worst_first() {
    let project = Project::new("fixtures/normalizers/steps.parquet");
    let config = "[check.steps]\nruns = [\"runs\"]\n[[check.steps.rules]]\nmetric = \"normalizer/**\"\nmode = \"range\"\nmax = -100.0\n";
    project.write("simic.toml", config);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    let (code, stdout, _) = project.run(&["check", "--format", "github"]);
    assert_eq!(code, 1);
    assert_eq!(stdout.lines().filter(|line| line.starts_with("::")).count(), 10, "{stdout}");
    assert!(stdout.contains("13 more in the summary"), "{stdout}");
}

#[test]
fn what_a_configuration_may_not_say() {
    let project = Project::new(DIGITS);
    let cases = [
        ("[check.a]\nrun = [\"runs\"]\n", "unknown field"),
        (
            "[check.a]\nruns = [\"runs\"]\ncommand = \"analyze everything\"\n",
            "no analysis 'analyze everything'",
        ),
        ("[check.a]\nruns = [\"runs\"]\nflags = { momentum = 0.5 }\n", "no such flag"),
        ("[check.a]\nruns = [\"runs\"]\nflags = { method = \"magic\" }\n", "magic"),
        (
            "[check.a]\nruns = [\"runs\"]\nflags = { compare-recorded = \"x\" }\n",
            "adds no number that a check compares",
        ),
        ("[check.a]\nruns = [\"runs\"]\nflags = { output = \"x.json\" }\n", "has no place in a check"),
        ("[check.a]\nalpha = 2.0\n", "alpha must lie"),
        ("[check.\"../a\"]\nalpha = 0.1\n", "a name of letters"),
        ("[[check.a.rules]]\nmetric = \"*\"\nmode = \"near\"\n", "no mode 'near'"),
        ("[[check.a.rules]]\nmetric = \"*\"\nmode = \"close\"\nmargin = 1.0\n", "takes no margin"),
        ("[[check.a.rules]]\nmetric = \"*\"\nmode = \"drift\"\n", "drift needs max"),
        ("[[check.a.rules]]\nmetric = \"*\"\nmode = \"range\"\nmin = 2.0\nmax = 1.0\n", "in order"),
        ("[[check.a.rules]]\nmetric = \"[\"\nmode = \"exact\"\n", "rule for '['"),
        ("check = 3\n", "no such setting"),
    ];
    for (text, expected) in cases {
        project.write("simic.toml", text);
        let (code, stdout, stderr) = project.run(&["check", "record"]);
        assert!(code == 2 && stderr.contains(expected) && stdout.is_empty(), "{text}: {code} {stderr}");
    }
    project.write("simic.toml", CLOSE);
    let (code, _, stderr) = project.run(&["check", "--name", "other"]);
    assert!(code == 2 && stderr.contains("no check 'other'"), "{stderr}");
    assert!(!project.path("simic-baselines").exists());
}

#[test]
fn several_checks_read_shared_files_once() {
    let project = Project::new(DIGITS);
    let checks: String = (0..100)
        .map(|i| {
            format!("[check.c{i:03}]\nruns = [\"runs\"]\nflags = {{ confidence = 0.{} }}\n", 50 + i % 40)
        })
        .collect();
    project.write("simic.toml", &checks);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    let (code, document) = project.check(&[]);
    assert_eq!((code, document["checks"].as_array().expect("checks").len()), (0, 100));
}

#[test]
fn what_is_accepted_passes() {
    let project = Project::new(DIGITS);
    let simulate = |arguments: &[&str]| {
        let base = ["simulate", "coalitions", "-o", "runs/main.parquet", "--force"];
        assert!(project.simic(&[&base[..], arguments].concat()).status.success());
    };
    simulate(&["--n-runs", "4", "--seed", "1"]);
    project.write("simic.toml", "[check.main]\nruns = [\"runs\"]\nstrict = true\n");
    assert_eq!(project.run(&["check", "record"]).0, 0);
    assert_eq!(project.run(&["check"]).0, 0);
    // More runs, other values: whatever the verdicts were, what was accepted is the baseline.
    for (arguments, flags) in [
        (&["--n-runs", "5", "--seed", "2"][..], &[][..]),
        (&["--n-runs", "3", "--seed", "3", "--effects", "0.3,0.2,0.1,0.05"], &["--other-runs"]),
        (&["--n-runs", "1", "--n-episodes", "1", "--n-envs", "1", "--seed", "4"], &["--other-runs"]),
    ] {
        simulate(arguments);
        let (code, stdout, stderr) = project.run(&[&["check", "accept", "--regressions"], flags].concat());
        assert_eq!(code, 0, "{stdout}{stderr}");
        let (code, stdout, _) = project.run(&["check"]);
        assert_eq!(code, 0, "{arguments:?}: {stdout}");
    }
}

#[test]
fn another_campaign_says_so() {
    let project = Project::new(DIGITS);
    assert_eq!(project.run(&["check", "record", "runs"]).0, 0);
    let other = ["simulate", "coalitions", "-o", "runs/main.parquet", "--force", "--n-runs", "3"];
    assert!(project.simic(&other).status.success());
    let (code, stdout, _) = project.run(&["check", "runs"]);
    assert!(code == 3 && stdout.contains("none of the runs behind the baseline"), "{stdout}");
}

#[test]
fn a_rule_that_guards_nothing_is_refused() {
    let project = Project::new(DIGITS);
    let idle = CLOSE.replace("\"**\"", "\"shapley/*\"");
    project.write("simic.toml", &idle);
    let (code, _, stderr) = project.run(&["check", "record"]);
    assert!(code == 2 && stderr.contains("rule for 'shapley/*' matches no metric"), "{stderr}");
    project.write("simic.toml", CLOSE);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    project.write("simic.toml", &idle);
    let (code, _, stderr) = project.run(&["check"]);
    assert!(code == 2 && stderr.contains("'**' any number"), "{stderr}");
}

#[test]
fn checks_do_not_stand_in_each_other_s_way() {
    let project = Project::new(DIGITS);
    std::fs::create_dir(project.path("more")).expect("created");
    std::fs::copy(CAMPAIGN, project.path("more/b.parquet")).expect("copied");
    let both = format!("{CLOSE}[check.second]\nruns = [\"more\"]\n");
    project.write("simic.toml", CLOSE);
    assert_eq!(project.run(&["check", "record"]).0, 0);
    let first = project.read("simic-baselines/main.json");
    // A second check is recorded beside the first, whatever became of that.
    project.set_recording(CHANGED);
    project.write("simic.toml", &both);
    let (code, stdout, stderr) = project.run(&["check", "record"]);
    assert!(
        code == 0 && stdout.contains("second: ") && stderr.contains("main: has a baseline"),
        "{stdout}{stderr}"
    );
    assert_eq!(project.read("simic-baselines/main.json"), first);
    // One that cannot be read hides none.
    project.write("more/b.parquet", "no parquet");
    let (code, stdout, _) = project.run(&["check", "--report", "junit=simic.xml"]);
    assert!(
        code == 1 && stdout.contains("shapley/top/mean") && stdout.contains("second: incomparable"),
        "{stdout}"
    );
    let junit = project.read("simic.xml");
    assert!(junit.contains("errors=\"1\"") && junit.contains("failures=\"2\""), "{junit}");
    // Nor may two share a document.
    let shared = both.replace("runs = [\"runs\"]", "runs = [\"runs\"]\nbaseline = \"b.json\"");
    project.write(
        "simic.toml",
        &shared.replace("runs = [\"more\"]", "runs = [\"more\"]\nbaseline = \"b.json\""),
    );
    let (code, _, stderr) = project.run(&["check"]);
    assert!(code == 2 && stderr.contains("have one baseline"), "{stderr}");
    // A baseline put in another's place is noticed.
    project.write("simic.toml", CLOSE);
    std::fs::copy(project.path("simic-baselines/second.json"), project.path("simic-baselines/main.json"))
        .expect("copied");
    let (code, stdout, _) = project.run(&["check"]);
    assert!(code == 3 && stdout.contains("the baseline of check 'second'"), "{stdout}");
}

#[test]
fn a_file_is_the_same_however_it_is_spelled() {
    let project = Project::new(DIGITS);
    assert_eq!(project.run(&["check", "record", "runs"]).0, 0);
    let whole = project.path("runs");
    let whole = whole.to_str().expect("a path");
    for spelling in ["./runs", "runs/../runs", "runs/main.parquet", whole] {
        let (code, stdout, _) = project.run(&["check", spelling]);
        assert_eq!(code, 0, "{spelling}: {stdout}");
    }
    for revision in ["", "-x"] {
        let (code, stdout, _) = project.run(&["check", "runs", &format!("--baseline-rev={revision}")]);
        assert!(code == 3 && stdout.contains("not a revision"), "{stdout}");
    }
}

#[test]
fn flags_of_the_command_s_own_table_hold() {
    let project = Project::new(DIGITS);
    project.write("simic.toml", &format!("[analyze.shapley]\nvalue = \"val_loss\"\n{CLOSE}"));
    assert_eq!(project.run(&["check", "record"]).0, 0);
    assert!(project.read("simic-baselines/main.json").contains("val_loss"));
}

#[test]
fn columns_read_together_are_told_apart() {
    let project = Project::new(DIGITS);
    let check = |name: &str, value: &str| {
        format!("[check.{name}]\nruns = [\"runs\"]\nflags = {{ value = \"{value}\" }}\n")
    };
    project.write("simic.toml", &(check("accuracy", "val_accuracy") + &check("loss", "val_loss")));
    assert_eq!(project.run(&["check", "record"]).0, 0);
    let together = ["accuracy", "loss"].map(|name| project.read(&format!("simic-baselines/{name}.json")));
    assert_eq!(project.run(&["check", "record", "--name", "loss", "--force"]).0, 0);
    assert_eq!(project.read("simic-baselines/loss.json"), together[1]);
    assert!(together[0].contains("\"val_accuracy\"") && !together[0].contains("val_loss"));
}

#[test]
fn one_check_s_column_is_not_another_s_trouble() {
    let project = Project::new(DIGITS);
    let check = |name: &str, value: &str| {
        format!("[check.{name}]\nruns = [\"runs\"]\nflags = {{ value = \"{value}\" }}\n")
    };
    project.write("simic.toml", &check("run", "val_accuracy"));
    assert_eq!(project.run(&["check", "record"]).0, 0);
    // A check may have a subcommand's name.
    assert_eq!(project.run(&["check", "run"]).0, 0);
    project.write("simic.toml", &(check("run", "val_accuracy") + &check("z", "nope")));
    std::fs::copy(project.path("simic-baselines/run.json"), project.path("simic-baselines/z.json"))
        .expect("copied");
    let (code, stdout, _) = project.run(&["check"]);
    assert!(code == 3 && stdout.contains("run: passed") && stdout.contains("z: incomparable"), "{stdout}");
    let (code, _, stderr) = project.run(&["check", "accept", "--name", "z"]);
    assert!(code == 3 && !stderr.is_empty(), "{stderr}");
}

#[test]
fn results_that_say_nothing_or_too_much_are_refused() {
    let project = Project::new(DIGITS);
    let document = |games: &str, summary: &str| {
        format!(
            "{{\"schema\":\"simic.shapley/1\",\"value\":\"v\",\"cluster\":\"run\",\"games\":[{games}],\"summary\":[{summary}]}}"
        )
    };
    project.write("empty.json", &document("", ""));
    let (code, _, stderr) = project.run(&["check", "record", "--result", "empty.json"]);
    assert!(code == 3 && stderr.contains("without metrics"), "{stderr}");
    let game = |run: &str, x: &str| {
        format!("{{\"run_id\":\"{run}\",\"full\":{x},\"players\":[{{\"slot_id\":\"s\",\"shapley\":{x}}}]}}")
    };
    let summary = |mean: &str| format!("{{\"slot_id\":\"s\",\"mean\":{mean}}}");
    let games = [game("a", "1e160"), game("b", "2e160"), game("c", "3.3e160")].join(",");
    project.write("large.json", &document(&games, &summary("2.1e160")));
    assert_eq!(project.run(&["check", "record", "--result", "large.json"]).0, 0);
    assert_eq!(project.run(&["check", "--result", "large.json"]).0, 0);
    let games = [game("a", "1e160"), game("b", "2.1e160"), game("c", "3.5e160")].join(",");
    project.write("larger.json", &document(&games, &summary("2.2e160")));
    let (code, stdout, stderr) = project.run(&["check", "--result", "larger.json"]);
    assert!(code == 0 || code == 1, "{stdout}{stderr}");
    let one = document(&games, &summary("2.2e160"));
    project.write("twice.json", &format!("[{one},{one}]"));
    let (code, _, stderr) = project.run(&["check", "diff", "larger.json", "twice.json"]);
    assert!(code == 3 && stderr.contains("is there twice"), "{stderr}");
}

#[test]
fn units_that_moved_are_stored_though_their_mean_did_not() {
    let project = Project::new(DIGITS);
    project.write("simic.toml", CLOSE);
    let store = |values: [&str; 3]| {
        let games: Vec<String> = ["a", "b", "c"]
            .iter()
            .zip(values)
            .map(|(run, x)| {
                format!("{{\"run_id\":\"{run}\",\"players\":[{{\"slot_id\":\"s\",\"shapley\":{x}}}]}}")
            })
            .collect();
        let text = format!(
            "{{\"schema\":\"simic.shapley/1\",\"value\":\"v\",\"cluster\":\"run\",\"games\":[{}],\"summary\":[{{\"slot_id\":\"s\",\"mean\":2.0}}]}}",
            games.join(",")
        );
        project.write("result.json", &text);
    };
    store(["1.0", "2.0", "3.0"]);
    assert_eq!(project.run(&["check", "record", "--result", "result.json"]).0, 0);
    let before = project.read("simic-baselines/main.json");
    store(["3.0", "1.0", "2.0"]);
    assert_eq!(project.run(&["check", "accept", "--result", "result.json"]).0, 0);
    assert_ne!(project.read("simic-baselines/main.json"), before);
}
