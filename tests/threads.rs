//! Results on any number of threads are the same bytes: on recordings large enough to be shared out among them, of
//! several files with several row groups each.

use super::normalizers::{folder, simic};
use simic::records::{Table, discover};

/// What a command prints and writes.
#[derive(Debug, PartialEq)]
struct Results {
    printed: Vec<u8>,
    written: Vec<Vec<u8>>,
}

/// Runs a command on so many threads; `written` are the files it is asked to write.
fn on_threads(arguments: &[&str], threads: &str, written: &[&str]) -> Results {
    let output = simic(&[arguments, &["--threads", threads, "--force"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let written = written.iter().map(|path| std::fs::read(path).expect("written")).collect();
    Results { printed: output.stdout, written }
}

fn is_the_same_on_any_number_of_threads(arguments: &[&str], written: &[&str]) {
    let one = on_threads(arguments, "1", written);
    for threads in ["2", "5"] {
        assert!(on_threads(arguments, threads, written) == one, "{arguments:?} on {threads} threads");
    }
}

fn simulated(arguments: &[&str], folder: &str) {
    let output = simic(&[&["simulate"], arguments, &["--n-runs", "3", "-o", folder]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Rows of a folder of recordings, each of several row groups.
fn rows_in_several_parts(folder: &str) -> u64 {
    let files = discover(&[folder.to_owned()], None).expect("there").files;
    assert_eq!(files.len(), 3);
    let tables = files.iter().map(|file| Table::open(file).expect("readable"));
    tables
        .map(|table| {
            assert!(table.parts().len() > 1, "{} has one row group", table.name());
            table.n_rows()
        })
        .sum()
}

#[test]
fn normalization_of_a_million_values_does_not_depend_on_threads() {
    let (_directory, path) = folder();
    let (runs, out, trace) = (path("runs/"), path("out.parquet"), path("trace.parquet"));
    simulated(
        &["transitions", "--n-envs", "8", "--n-steps", "16500", "--obs-width", "3", "--shift-at", "9000"],
        &runs,
    );
    assert!(3 * rows_in_several_parts(&runs) > 1_000_000);
    let json = ["--format", "json"];
    is_the_same_on_any_number_of_threads(&[&["normalize", "stats", &runs], &json[..]].concat(), &[]);
    for rule in [&["--momentum", "0.99"][..], &["--update-every", "rollout:4096", "--order", "update-first"]]
    {
        let replay = ["normalize", "replay", &runs, "-o", &out, "--trace", &trace];
        is_the_same_on_any_number_of_threads(&[&replay[..], rule, &json].concat(), &[&out, &trace]);
    }
    let compare = ["normalize", "compare", &runs, "--momentum", "0.9,0.99", "--welford"];
    is_the_same_on_any_number_of_threads(&[&compare[..], &json].concat(), &[]);
}

#[test]
fn attribution_of_a_million_values_does_not_depend_on_threads() {
    let (_directory, path) = folder();
    let runs = path("runs/");
    simulated(
        &["coalitions", "--n-slots", "12", "--n-episodes", "25", "--n-envs", "4", "--spelling", "mask"],
        &runs,
    );
    assert!(rows_in_several_parts(&runs) > 1_000_000);
    for method in [
        &[][..],
        &["--ci", "bootstrap", "--cluster", "episode"],
        &["--method", "permutation", "--permutations", "50"],
        &["--method", "permutation", "--permutations", "50", "--sampling", "stratified", "--convergence"],
        &["--method", "kernel"],
    ] {
        let shapley = ["analyze", "shapley", &runs, "--format", "json"];
        is_the_same_on_any_number_of_threads(&[&shapley[..], method].concat(), &[]);
    }
}
