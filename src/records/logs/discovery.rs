//! Logs among what the user names.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::super::entered::Entered;
use super::super::run_names;
use super::super::sources::InputFile;
use super::monitor;

/// Logs, and how many other files lie beside them that could be recordings.
#[derive(Debug, Clone, Default)]
pub struct LogFiles {
    /// Logs in order of their paths, each with the run it is of.
    pub files: Vec<InputFile>,
    /// Files that may be recordings.
    pub n_others: usize,
}

/// Finds the logs in files and folders; what is not there is left to whoever looks for recordings.
pub fn discover_logs(runs: &[String]) -> LogFiles {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut found = LogFiles::default();
    for run in runs {
        let path = Path::new(run);
        if !path.exists() {
            // Patterns and what else there is are for recordings.
            found.n_others += 1;
            continue;
        }
        let mut entered = Entered::default();
        let visible = |entry: &walkdir::DirEntry| {
            let is_hidden = entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
            !is_hidden && entered.enters(entry)
        };
        let walk = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
        // What cannot be entered is told by whoever looks for recordings there.
        for entry in walk.filter_entry(visible).filter_map(Result::ok) {
            if !entry.file_type().is_file() {
                continue;
            }
            if is_log(entry.path()) {
                paths.push(entry.into_path());
            } else if is_recording(entry.path()) {
                found.n_others += 1;
            }
        }
    }
    paths.sort();
    paths.dedup();
    // A run is called after the folder of its logs.
    let folder_of = |path: &PathBuf| {
        let folder = path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
        folder.unwrap_or_default()
    };
    let folders: Vec<PathBuf> = paths.iter().map(folder_of).collect();
    let mut distinct: Vec<PathBuf> = folders.clone();
    distinct.sort();
    distinct.dedup();
    let named: Vec<PathBuf> =
        distinct.iter().map(|folder| PathBuf::from(format!("{}.d", folder.display()))).collect();
    let names = run_names::default_runs(&named.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    let run_of: BTreeMap<&PathBuf, String> = distinct.iter().zip(names).collect();
    let file = |(path, folder): (&PathBuf, &PathBuf)| {
        let run = run_of.get(folder).cloned().unwrap_or_default();
        InputFile { run, ..InputFile::at(path) }
    };
    found.files = paths.iter().zip(&folders).map(file).collect();
    found
}

/// Whether a file is a log, by its name, and of a monitor by how it begins.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_named = matches!(&name[..], "progress.csv" | "result.json") || name.contains(".tfevents.");
    is_named || (name.ends_with("monitor.csv") && monitor::is_monitor(&head_of(path)))
}

/// Whether it may be a recording.
fn is_recording(path: &Path) -> bool {
    let path = run_names::unpacked_path(path);
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let known = ["parquet", "pq", "arrow", "ipc", "feather", "ndjson", "jsonl", "csv", "tsv", "parq"];
    extension.is_some_and(|extension| known.contains(&&extension[..]))
}

/// How a file begins: nothing of one that cannot be read, which is told where it is read.
fn head_of(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
    if read.is_ok() { head } else { Vec::new() }
}
