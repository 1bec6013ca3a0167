//! What a recording can be divided into, and its division into tasks.
//!
//! A run is not divided here (`stretches` are): rows that name the same run, wherever they lie, are read by one task. What lies together without a
//! run in common can be read apart: files, and the parts of a file (row groups, record batches). Of a run that is larger than
//! a task is to be, several tasks can take the games; each of them reads all of it.

use std::collections::BTreeMap;

/// A file of a recording, and the runs of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUnits {
    /// Its bytes.
    pub n_bytes: u64,
    /// The folder that describes it together with others, which are read together.
    pub dataset: Option<String>,
    /// Parts that can be read apart, in order.
    pub parts: Vec<PartUnits>,
}

/// Part of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartUnits {
    /// Rows.
    pub n_rows: u64,
    /// Runs of its rows, each where it comes first.
    pub runs: Vec<String>,
}

/// How a recording is to be divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division {
    /// Bytes that a task reads, about.
    pub target_bytes: u64,
    /// Whether parts of a file may be read apart.
    pub divides_files: bool,
    /// Whether several tasks may take the games of what must be read together.
    pub divides_games: bool,
    /// Whether everything is one task.
    pub is_whole: bool,
}

/// What one task reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Files, in order.
    pub files: Vec<TaskFile>,
    /// Runs, in the order of the recording.
    pub runs: Vec<String>,
    /// Bytes of its files and parts.
    pub n_bytes: u64,
    /// Which of how many shares of the games it takes, where others read the same.
    pub share: Option<[u64; 2]>,
}

/// A file that a task reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFile {
    /// Which of the recording's files.
    pub file: usize,
    /// Parts that are read; `None` for all.
    pub parts: Option<Vec<usize>>,
}

/// Tasks that read the same take at most as many shares: each reads everything.
const MOST_SHARES: u64 = 64;

/// What is read together or not at all: a file, or a part of one.
#[derive(Debug, Clone, Copy)]
struct Node {
    file: usize,
    part: Option<usize>,
    n_bytes: u64,
}

/// Nodes that have a run in common, directly or by others.
struct Together {
    parent: Vec<usize>,
}

impl Together {
    fn first(&mut self, mut node: usize) -> usize {
        while self.parent[node] != node {
            self.parent[node] = self.parent[self.parent[node]];
            node = self.parent[node];
        }
        node
    }

    /// The earlier of the two stands for both.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first(a), self.first(b));
        self.parent[a.max(b)] = a.min(b);
    }
}

/// Divides a recording into tasks, in the order of what they read.
///
/// # Edge cases
/// A recording smaller than a task is to be is one task; a run that is larger is one task, or several that take its games.
pub fn divide(files: &[FileUnits], how: Division) -> Vec<Task> {
    let nodes = nodes(files, how);
    let mut together = Together { parent: (0..nodes.len()).collect() };
    let mut of_run: BTreeMap<&str, usize> = BTreeMap::new();
    let mut of_dataset: BTreeMap<&str, usize> = BTreeMap::new();
    // Runs in order of their first rows.
    let mut order: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, node) in nodes.iter().enumerate() {
        let file = &files[node.file];
        if let Some(dataset) = &file.dataset {
            together.join(*of_dataset.entry(dataset).or_insert(number), number);
        }
        for run in runs_of(file, node) {
            together.join(*of_run.entry(run).or_insert(number), number);
            let place = order.len();
            order.entry(run).or_insert(place);
        }
        if how.is_whole && number > 0 {
            together.join(0, number);
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for number in 0..nodes.len() {
        groups.entry(together.first(number)).or_default().push(number);
    }
    let mut tasks: Vec<(Vec<usize>, u64)> = Vec::new();
    let mut found = Vec::new();
    let flush = |tasks: &mut Vec<(Vec<usize>, u64)>, found: &mut Vec<Task>| {
        let (members, n_bytes): (Vec<Vec<usize>>, Vec<u64>) = tasks.drain(..).unzip();
        if !members.is_empty() {
            found.push(task(files, &nodes, members.concat(), n_bytes.iter().sum(), &order));
        }
    };
    for members in groups.into_values() {
        let n_bytes: u64 = members.iter().map(|node| nodes[*node].n_bytes).sum();
        let before: u64 = tasks.iter().map(|(_, n_bytes)| n_bytes).sum();
        if before.saturating_add(n_bytes) > how.target_bytes {
            flush(&mut tasks, &mut found);
        }
        // A game has a row at least.
        let n_rows = members.iter().map(|node| n_rows_of(files, &nodes[*node])).sum();
        let shares = n_bytes.div_ceil(how.target_bytes.max(1)).min(MOST_SHARES).min(n_rows);
        if how.divides_games && !how.is_whole && shares > 1 {
            let one = task(files, &nodes, members, n_bytes, &order);
            found.extend((0..shares).map(|share| Task { share: Some([share, shares]), ..one.clone() }));
        } else {
            tasks.push((members, n_bytes));
        }
    }
    flush(&mut tasks, &mut found);
    found
}

/// Rows that a node reads.
fn n_rows_of(files: &[FileUnits], node: &Node) -> u64 {
    let parts = &files[node.file].parts;
    match node.part {
        Some(part) => parts[part].n_rows,
        None => parts.iter().map(|part| part.n_rows).sum(),
    }
}

fn nodes(files: &[FileUnits], how: Division) -> Vec<Node> {
    let mut nodes = Vec::new();
    for (number, file) in files.iter().enumerate() {
        if !how.divides_files || how.is_whole || file.dataset.is_some() || file.parts.len() < 2 {
            nodes.push(Node { file: number, part: None, n_bytes: file.n_bytes });
            continue;
        }
        let n_rows: u64 = file.parts.iter().map(|part| part.n_rows).sum();
        let share = |rows: u64| {
            let bytes = u128::from(file.n_bytes) * u128::from(rows) / u128::from(n_rows.max(1));
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        nodes.extend(file.parts.iter().enumerate().map(|(part, units)| Node {
            file: number,
            part: Some(part),
            n_bytes: share(units.n_rows),
        }));
    }
    nodes
}

fn runs_of<'a>(file: &'a FileUnits, node: &Node) -> impl Iterator<Item = &'a str> {
    let parts = match node.part {
        Some(part) => &file.parts[part..=part],
        None => &file.parts[..],
    };
    parts.iter().flat_map(|part| &part.runs).map(String::as_str)
}

fn task(
    files: &[FileUnits],
    nodes: &[Node],
    mut members: Vec<usize>,
    n_bytes: u64,
    order: &BTreeMap<&str, usize>,
) -> Task {
    members.sort_unstable();
    let mut read: Vec<TaskFile> = Vec::new();
    let mut runs: Vec<&str> = Vec::new();
    for node in members.into_iter().map(|member| nodes[member]) {
        runs.extend(runs_of(&files[node.file], &node));
        match (node.part, read.last_mut()) {
            (Some(part), Some(TaskFile { file, parts: Some(parts) })) if *file == node.file => {
                parts.push(part);
            }
            (part, _) => read.push(TaskFile { file: node.file, parts: part.map(|part| vec![part]) }),
        }
    }
    for file in &mut read {
        if file.parts.as_ref().is_some_and(|parts| parts.len() == files[file.file].parts.len()) {
            file.parts = None;
        }
    }
    runs.sort_by_key(|run| order.get(run));
    runs.dedup();
    Task { files: read, runs: runs.into_iter().map(str::to_owned).collect(), n_bytes, share: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn file(parts: &[&[&str]]) -> FileUnits {
        let part = |runs: &&[&str]| PartUnits {
            n_rows: 10,
            runs: runs.iter().map(|run| (*run).to_owned()).collect(),
        };
        FileUnits {
            n_bytes: 100 * parts.len() as u64,
            dataset: None,
            parts: parts.iter().map(part).collect(),
        }
    }

    fn how(target_bytes: u64) -> Division {
        Division { target_bytes, divides_files: true, divides_games: false, is_whole: false }
    }

    fn runs(tasks: &[Task]) -> Vec<String> {
        tasks.iter().map(|task| task.runs.join(" ")).collect()
    }

    #[test]
    fn what_has_no_run_in_common_is_read_apart() {
        let files = [file(&[&["a"], &["b"]]), file(&[&["b", "c"]]), file(&[&["d"]])];
        assert_eq!(runs(&divide(&files, how(1))), ["a", "b c", "d"]);
        assert_eq!(runs(&divide(&files, how(300))), ["a b c", "d"]);
        assert_eq!(runs(&divide(&files, how(u64::MAX))), ["a b c d"]);
        assert_eq!(runs(&divide(&files, Division { is_whole: true, ..how(1) })), ["a b c d"]);
        assert_eq!(runs(&divide(&files, Division { divides_files: false, ..how(1) })), ["a b c", "d"]);
        let shared = divide(&files, Division { divides_games: true, ..how(100) });
        assert_eq!(
            shared.iter().map(|task| task.share).collect::<Vec<_>>(),
            [None, Some([0, 2]), Some([1, 2]), None]
        );
    }

    #[test]
    fn data_sets_stay_together() {
        let of = |name: &str, file: FileUnits| FileUnits { dataset: Some(name.to_owned()), ..file };
        let files = [of("x", file(&[&["a"], &["b"]])), of("y", file(&[&["c"]])), of("x", file(&[&["d"]]))];
        assert_eq!(runs(&divide(&files, how(1))), ["a b d", "c"]);
    }

    proptest! {
        #[test]
        fn every_part_is_read_once_and_no_run_by_two_tasks(
            files in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(0..12u8, 0..3), 1..5), 1..8),
            target in 1..2000u64,
            divides_files in any::<bool>(),
        ) {
            let files: Vec<FileUnits> = files.iter().map(|parts| FileUnits {
                n_bytes: 100,
                dataset: None,
                parts: parts.iter().map(|runs| PartUnits {
                    n_rows: 3, runs: runs.iter().map(ToString::to_string).collect(),
                }).collect(),
            }).collect();
            let tasks = divide(&files, Division { divides_files, ..how(target) });
            let mut read = BTreeSet::new();
            let mut known = BTreeSet::new();
            for task in &tasks {
                for file in &task.files {
                    let all = (0..files[file.file].parts.len()).collect();
                    for part in file.parts.clone().unwrap_or(all) {
                        prop_assert!(read.insert((file.file, part)));
                    }
                }
                for run in &task.runs {
                    prop_assert!(known.insert(run.clone()));
                }
            }
            prop_assert_eq!(read.len(), files.iter().map(|file| file.parts.len()).sum::<usize>());
        }
    }
}
