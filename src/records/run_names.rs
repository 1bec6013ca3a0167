//! Default run ids: what stands for the run of a file that names none.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The default run of each file, over all files of a call: its stem, or where stems repeat the shortest end of its path
/// without extension that no other file's path has (`a/c` and `b/c`).
///
/// A path that is itself the end of another one is given whole; files that only their extension tells apart keep it.
pub(super) fn default_runs(files: &[&Path]) -> Vec<String> {
    let paths: Vec<Vec<String>> = files.iter().map(|file| path_without_extension(file)).collect();
    let mut by_stem: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (file, path) in paths.iter().enumerate() {
        by_stem.entry(path.last().map_or("", String::as_str)).or_default().push(file);
    }
    let mut runs = vec![String::new(); files.len()];
    for alike in by_stem.into_values() {
        for file in &alike {
            let others = alike.iter().filter(|other| *other != file).map(|other| &paths[*other]);
            runs[*file] = distinguishing_end(&paths[*file], &others.collect::<Vec<_>>());
            if alike.iter().any(|other| other != file && paths[*other] == paths[*file])
                && let Some(extension) = files[*file].extension()
            {
                runs[*file] = format!("{}.{}", runs[*file], extension.to_string_lossy());
            }
        }
    }
    runs
}

/// The shortest end of `path` that none of `others` has, in one piece; the whole path if each end is shared.
fn distinguishing_end(path: &[String], others: &[&Vec<String>]) -> String {
    let end = |length: usize| &path[path.len() - length..];
    let is_shared = |length: &usize| others.iter().any(|other| other.ends_with(end(*length)));
    let length = (1..=path.len()).find(|length| !is_shared(length));
    let is_everywhere = others.iter().all(|other| *other == path);
    let length = length.unwrap_or(if is_everywhere { path.len().min(1) } else { path.len() });
    end(length).join("/")
}

/// Folders and stem of a file as it was named.
fn path_without_extension(path: &Path) -> Vec<String> {
    let folders = path.parent().into_iter().flat_map(|folder| folder.components());
    let names = folders.filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    let names = names.map(|part| part.as_os_str().to_string_lossy().into_owned());
    names.chain([stem(path)]).collect()
}

/// Extensions of files packed as a whole.
const PACKED: [&str; 3] = ["gz", "zst", "zstd"];

/// The path without the extension that says the file is packed.
pub(super) fn unpacked_path(path: &Path) -> PathBuf {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let is_packed = extension.is_some_and(|extension| PACKED.contains(&extension.as_str()));
    if is_packed { path.with_extension("") } else { path.to_owned() }
}

/// A file's name without folders and extensions.
pub(super) fn stem(path: &Path) -> String {
    unpacked_path(path).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(paths: &[&str]) -> Vec<String> {
        default_runs(&paths.iter().map(Path::new).collect::<Vec<_>>())
    }

    #[test]
    fn stems_that_repeat_are_told_apart_by_the_shortest_end_of_their_paths() {
        assert_eq!(runs(&["x/a.csv", "x/b.csv"]), ["a", "b"]);
        assert_eq!(runs(&["x/a/c.csv", "./x/b/c.parquet", "d.csv"]), ["a/c", "b/c", "d"]);
        assert_eq!(runs(&["/x/a/c.csv", "/y/a/c.csv", "/y/b/c.csv"]), ["x/a/c", "y/a/c", "b/c"]);
        assert_eq!(runs(&["c.csv", "a/c.csv", "../a/c.csv"]), ["c", "a/c", "../a/c"]);
        assert_eq!(runs(&["x/c.csv", "x/c.parquet"]), ["c.csv", "c.parquet"]);
        assert_eq!(runs(&["x/c.csv", "x/c.parquet", "y/c.csv"]), ["x/c.csv", "x/c.parquet", "y/c"]);
    }
}
