//! From what the user names to a list of files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::GlobBuilder;
use polars_buffer::Buffer;
use walkdir::WalkDir;

use super::budget::PartBudget;
use super::entered::Entered;
use super::error::{Problem, RecordError};
use super::job_files::is_job;
use super::layouts::{Datasets, Layout, Member, Role, is_worth_naming, views};
use super::objects;
use super::on_disk::{FileOnDisk, is_device, is_pipe, open_pipe};
use super::place::Place;
use super::run_names::{self, unpacked_path};
use super::store_url::{is_url, split_runs};
use super::view::View;
use crate::printable::path_text;
pub use crate::results::Origin;

/// Where recordings are looked for when none is named.
const DEFAULT_DIRECTORY: &str = "runs";

/// Extensions of files a directory is searched for.
const EXTENSIONS: &[&str] = &[
    "parquet",
    "pq",
    "arrow",
    "ipc",
    "feather",
    "ndjson",
    "jsonl",
    "csv",
    "tsv",
    "parq",
    #[cfg(feature = "hdf5")]
    "hdf5",
    #[cfg(feature = "hdf5")]
    "h5",
];

/// One file to read.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// As the user knows it.
    pub name: String,
    /// Where the bytes are.
    pub place: Place,
    /// How it was found.
    pub origin: Origin,
    /// The run of its rows where they name none.
    pub run: String,
    /// Memory that a part of it may take.
    pub budget: PartBudget,
    /// Which of its rows are looked at.
    pub view: View,
    /// Its place in a data set of several files.
    pub(super) member: Option<Member>,
    /// The parts that are read, by their number; `None` for all.
    pub(super) parts: Option<Arc<[usize]>>,
}

impl InputFile {
    /// Refuses a file that has become another one since it was opened: what was read is of no single version.
    ///
    /// # Errors
    /// [`Problem::ChangedWhileRead`].
    pub fn check_unchanged(&self) -> Result<(), RecordError> {
        match &self.place {
            Place::Path(file) => file.check_unchanged(&self.name),
            // Every answer is held against the first; what is left to say is what a reader took for damage.
            Place::Object(object) => object.check_sound(&self.name),
            Place::Memory(_) => Ok(()),
        }
    }

    /// A file that lies in a data set beside its rows.
    pub(super) fn at(path: &Path) -> Self {
        let name = path_text(path);
        Self::new(name, Place::Path(FileOnDisk::new(path.to_owned())), Origin::Named)
    }

    /// The same, each part of which may take `budget` of memory.
    pub(super) fn within(self, budget: PartBudget) -> Self {
        Self { budget, ..self }
    }

    pub(super) fn new(name: String, place: Place, origin: Origin) -> Self {
        Self {
            name,
            place,
            origin,
            run: String::new(),
            budget: PartBudget::default(),
            view: View::Whole,
            member: None,
            parts: None,
        }
    }

    /// Where the file is, if it is one: its name is for people, and spells out what of the path is no text.
    pub fn path_on_disk(&self) -> Option<&Path> {
        match &self.place {
            Place::Path(file) => Some(file.path()),
            Place::Memory(_) | Place::Object(_) => None,
        }
    }

    /// What tells whether an output would replace it: its path or its URL, if it has one.
    pub fn place_read(&self) -> Option<&Path> {
        match &self.place {
            Place::Path(file) => Some(file.path()),
            Place::Object(object) => Some(object.path()),
            Place::Memory(_) => None,
        }
    }

    /// Whether its name leads to it again, at another time and on another machine.
    pub fn can_be_named_again(&self) -> bool {
        match &self.place {
            Place::Path(file) => file.path().is_file(),
            Place::Object(object) => !object.has_query(),
            Place::Memory(_) => false,
        }
    }

    /// What a copy of it would be called wherever it lies: its stem, in a data set the rest of its path.
    pub(super) fn name_anywhere(&self) -> String {
        let Some(member) = &self.member else { return run_names::stem(self.path()) };
        let path = match &self.place {
            Place::Object(object) => object.path().to_owned(),
            _ => std::path::absolute(self.path()).unwrap_or_else(|_| self.path().to_owned()),
        };
        path.strip_prefix(&member.dataset.root).unwrap_or(&path).to_string_lossy().into_owned()
    }

    /// Where the file is, or what stands for its name where it has none.
    pub(super) fn path(&self) -> &Path {
        match &self.place {
            Place::Path(file) => file.path(),
            Place::Object(object) => object.path(),
            Place::Memory(_) => Path::new("stdin"),
        }
    }
}

/// The files found, and what is worth telling about the search.
#[derive(Debug, Clone, Default)]
pub struct Discovered {
    /// Files in the order named; those of a directory or pattern in order of their paths.
    pub files: Vec<InputFile>,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

impl Discovered {
    /// The same files, each part of which may take `budget` of memory.
    #[must_use]
    pub fn within(mut self, budget: PartBudget) -> Self {
        self.files.iter_mut().for_each(|file| file.budget = budget);
        self
    }
}

/// Finds the files that `runs` names: files, directories (searched recursively), patterns, `-`.
///
/// Folders of a known layout are one recording. With no `runs`, `default_runs` (the value of `SIMIC_RUNS`) is used, else the directory `runs/`.
///
/// # Errors
/// A path that does not exist, a pattern or directory without files, or nothing to read at all.
pub fn discover(runs: &[String], default_runs: Option<&str>) -> Result<Discovered, RecordError> {
    discover_within(runs, default_runs, Layout::Auto, PartBudget::default())
}

/// The same, of folders of a known `layout`; what is read of the files, and what standard input and pipes give, stays within `budget`.
///
/// # Errors
/// As [`discover`], and a stream that gives more than the budget.
pub fn discover_within(
    runs: &[String],
    default_runs: Option<&str>,
    layout: Layout,
    budget: PartBudget,
) -> Result<Discovered, RecordError> {
    let mut discovered = Discovered::default();
    let mut seen = BTreeSet::new();
    let from_environment: Vec<String>;
    let runs = if runs.is_empty() {
        from_environment = match default_runs.filter(|value| !value.is_empty()) {
            Some(value) => split_runs(value),
            None if Path::new(DEFAULT_DIRECTORY).is_dir() => vec![DEFAULT_DIRECTORY.to_owned()],
            None => return Err(RecordError::file("", Problem::NoRuns)),
        };
        &from_environment
    } else {
        runs
    };
    for run in runs {
        discover_one(run, budget, &mut discovered, &mut seen)?;
    }
    begin_reading(&discovered.files, budget);
    place_in_datasets(&mut discovered, layout)?;
    let views: Vec<Vec<View>> = discovered.files.iter().map(|file| views_of(file, layout)).collect();
    let is_of = |(file, views): (&InputFile, &Vec<View>)| file.member.is_some() || views[0] != View::Whole;
    if layout.is_named() && !discovered.files.iter().zip(&views).any(is_of) {
        let place = discovered.files.first().map(|file| file.name.clone()).unwrap_or_default();
        return Err(RecordError::file(place, Problem::NoSuchLayout(layout.name())));
    }
    let paths: Vec<PathBuf> =
        discovered.files.iter().zip(&views).map(|(file, views)| named_after(file, views[0])).collect();
    let mut distinct: Vec<&Path> = Vec::new();
    let mut of_datasets = BTreeSet::new();
    for (file, path) in discovered.files.iter().zip(&paths) {
        // The files of one data set have one run.
        if file.member.is_none() || of_datasets.insert(path.as_path()) {
            distinct.push(path);
        }
    }
    let mut runs = run_names::default_runs(&distinct).into_iter();
    let mut by_member: BTreeMap<&Path, String> = BTreeMap::new();
    for (file, path) in discovered.files.iter_mut().zip(&paths) {
        let known = by_member.get(path.as_path()).filter(|_| file.member.is_some());
        file.run = known.cloned().or_else(|| runs.next()).unwrap_or_default();
        if file.member.is_some() {
            by_member.insert(path, file.run.clone());
        }
    }
    discovered.files = (discovered.files.into_iter().zip(views))
        .flat_map(|(file, views)| views.into_iter().map(move |view| InputFile { view, ..file.clone() }))
        .collect();
    Ok(discovered.within(budget))
}

/// The path that a file's run is called after: of an event log its folder, of a data set the data set's.
fn named_after(file: &InputFile, view: View) -> PathBuf {
    let of_folder = |folder: &Path| PathBuf::from(format!("{}.d", folder.display()));
    let whole = file.member.as_ref().filter(|member| !member.is_one_file());
    if let Some(member) = whole {
        return of_folder(&member.run);
    }
    if view == View::Whole {
        return file.path().to_owned();
    }
    let found = match &file.place {
        Place::Object(object) => Some(object.path().to_owned()),
        _ => file.path().canonicalize().ok(),
    };
    found.as_deref().and_then(Path::parent).map_or_else(|| file.path().to_owned(), of_folder)
}

/// Tells files their places in data sets, and leaves out what those keep beside their rows.
///
/// # Errors
/// A data set whose description cannot be read.
pub(super) fn place_in_datasets(discovered: &mut Discovered, layout: Layout) -> Result<(), RecordError> {
    let mut datasets = Datasets::of(layout);
    let mut n_shards: BTreeMap<PathBuf, (u64, u64)> = BTreeMap::new();
    let mut placed = Vec::with_capacity(discovered.files.len());
    let mut n_aside = 0;
    for mut file in std::mem::take(&mut discovered.files) {
        let role = match &file.place {
            Place::Path(_) | Place::Object(_) => datasets.place(file.path())?,
            Place::Memory(_) => None,
        };
        match role {
            // Who names such a file is told what it is not when it is read.
            Some(Role::Aside) if file.origin == Origin::Searched => {
                n_aside += 1;
                continue;
            }
            Some(Role::Aside) | None => {}
            Some(Role::Rows(member)) => {
                if let Some(n) = member.dataset.n_files {
                    n_shards.entry(member.run.clone()).or_insert((0, n)).0 += 1;
                }
                file.member = Some(member);
            }
        }
        placed.push(file);
    }
    // A description without any of the rows it describes.
    if let Some(dataset) = datasets.described().filter(|_| placed.is_empty() && n_aside > 0) {
        let (layout, expected) = (dataset.layout, dataset.n_rows.unwrap_or(0));
        let problem = Problem::DatasetRows { layout, expected, found: 0 };
        return Err(RecordError::file(dataset.root.to_string_lossy(), problem));
    }
    discovered.files = placed;
    sort_episodes(&mut discovered.files);
    for (run, (found, all)) in n_shards {
        if found < all {
            discovered.notes.push(format!("{found} of the {all} shards of {} are read", run.display()));
        }
    }
    Ok(())
}

/// Puts the files of a data set that has one for each episode in the order of those: 2 before 10.
fn sort_episodes(files: &mut [InputFile]) {
    let dataset = |file: &InputFile| file.member.as_ref().map(|member| member.dataset.clone());
    for of_one in files.chunk_by_mut(|a, b| a.member.is_some() && dataset(a) == dataset(b)) {
        of_one.sort_by_key(|file| file.member.as_ref().map(|member| member.episode));
    }
}

/// How the rows of a file are looked at: an event log is a table of each of its kinds of rows.
pub(super) fn views_of(file: &InputFile, layout: Layout) -> Vec<View> {
    if !layout.allows(Layout::Esper) {
        return vec![View::Whole];
    }
    let path = unpacked_path(file.path());
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match file.place.open_reader(&file.name) {
        Ok(reader) if matches!(extension.as_deref(), Some("jsonl" | "ndjson")) => views(Box::new(reader)),
        // What cannot be opened is said when it is read.
        _ => vec![View::Whole],
    }
}

fn discover_one(
    run: &str,
    budget: PartBudget,
    discovered: &mut Discovered,
    seen: &mut BTreeSet<PathBuf>,
) -> Result<(), RecordError> {
    if run == "-" {
        discovered.files.push(read_once("standard input", std::io::stdin(), budget)?);
        return Ok(());
    }
    if is_url(run) {
        let found = objects::find(run, &|key| is_known(Path::new(key)))?;
        let origin = if found.is_searched { Origin::Searched } else { Origin::Named };
        for object in found.objects {
            add_place(discovered, seen, object.identity().to_owned(), Place::Object(object), origin);
        }
        return Ok(());
    }
    let path = Path::new(run);
    if is_device(path) {
        return Err(RecordError::file(run, Problem::Device));
    }
    if is_pipe(path) {
        discovered.files.push(read_once(run, open_pipe(path, run)?, budget)?);
    } else if path.is_dir() {
        let found = search(path, run, &mut discovered.notes)?;
        if found.is_empty() {
            let Some(file) = unreadable(path) else {
                return Err(RecordError::file(run, Problem::EmptyDirectory));
            };
            // It says itself what it is when it is read.
            add(discovered, seen, vec![file], Origin::Named);
        }
        add(discovered, seen, found, Origin::Searched);
    } else if path.exists() {
        add(discovered, seen, vec![path.to_owned()], Origin::Named);
    } else if run.contains(['*', '?', '[', '{']) {
        let found = matching(run, &mut discovered.notes)?;
        if found.is_empty() {
            return Err(RecordError::file(run, Problem::NoMatch));
        }
        add(discovered, seen, found, Origin::Searched);
    } else {
        let problem = std::fs::read_link(path)
            .map_or(Problem::NotFound, |target| Problem::BrokenLink { target: target.display().to_string() });
        return Err(RecordError::file(run, problem));
    }
    Ok(())
}

/// What can be read only once, in memory.
fn read_once(name: &str, source: impl Read, budget: PartBudget) -> Result<InputFile, RecordError> {
    let mut bytes = Vec::new();
    let budget = budget.bytes();
    let mut source = source.take(budget.saturating_add(1));
    source.read_to_end(&mut bytes).map_err(|error| RecordError::file(name, error))?;
    if bytes.len() as u64 > budget {
        return Err(RecordError::file(name, Problem::StreamOverBudget { budget }));
    }
    let place = Place::Memory(Buffer::from_vec(bytes));
    Ok(InputFile::new(name.to_owned(), place, Origin::Named))
}

/// Adds files not seen before: a file named twice would count its games twice.
fn add(discovered: &mut Discovered, seen: &mut BTreeSet<PathBuf>, paths: Vec<PathBuf>, origin: Origin) {
    for path in paths {
        let identity = path.canonicalize().unwrap_or_else(|_| path.clone());
        add_place(discovered, seen, identity, Place::Path(FileOnDisk::new(path)), origin);
    }
}

fn add_place(
    discovered: &mut Discovered,
    seen: &mut BTreeSet<PathBuf>,
    identity: PathBuf,
    place: Place,
    origin: Origin,
) {
    let file = InputFile::new(String::new(), place, origin);
    let name = path_text(file.path());
    if seen.insert(identity) {
        discovered.files.push(InputFile { name, ..file });
    } else {
        discovered.notes.push(format!("{name} is named more than once and read once"));
    }
}

/// Asks for the beginnings of all files at once where each has to be waited for.
pub(super) fn begin_reading(files: &[InputFile], budget: PartBudget) {
    let mut all = Vec::new();
    for file in files {
        if let Place::Object(object) = &file.place {
            all.push(object);
        }
    }
    if !all.is_empty() {
        objects::begin_reading(&all, budget.bytes());
    }
}

/// Whether a path has one of the extensions that folders are searched for.
fn is_known(path: &Path) -> bool {
    let extension =
        unpacked_path(path).extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// A recording of a format that is not read, in a folder with nothing else.
fn unreadable(folder: &Path) -> Option<PathBuf> {
    let entries = WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok);
    entries.map(walkdir::DirEntry::into_path).find(|path| is_worth_naming(path) && path.is_file())
}

/// Files with a known extension below `directory`, hidden ones and those of jobs left out.
fn search(directory: &Path, name: &str, notes: &mut Vec<String>) -> Result<Vec<PathBuf>, RecordError> {
    let mut found = Vec::new();
    let mut entered = Entered::default();
    let visible = |entry: &walkdir::DirEntry| {
        let is_hidden = entry.depth() > 0
            && (entry.file_name().to_string_lossy().starts_with('.') || is_job(entry.path()));
        !is_hidden && entered.enters(entry)
    };
    for entry in
        WalkDir::new(directory).follow_links(true).sort_by_file_name().into_iter().filter_entry(visible)
    {
        let entry = match entry {
            Ok(entry) => entry,
            // A link that leads nowhere or in a circle holds nothing that is not found elsewhere.
            Err(error) if error.path().is_some_and(Path::is_symlink) => {
                let link = path_text(error.path().unwrap_or(directory));
                let why = if error.loop_ancestor().is_some() { "to a folder it lies in" } else { "nowhere" };
                notes.push(format!("{link} is a link that leads {why}: not followed"));
                continue;
            }
            Err(error) => return Err(RecordError::file(name, std::io::Error::other(error))),
        };
        if entry.file_type().is_file() && is_known(entry.path()) {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

/// Paths that match `pattern`, whose fixed leading folders are where the search starts.
fn matching(pattern: &str, notes: &mut Vec<String>) -> Result<Vec<PathBuf>, RecordError> {
    let glob = GlobBuilder::new(pattern.strip_prefix("./").unwrap_or(pattern))
        .literal_separator(true)
        .build()
        .map_err(|error| RecordError::file(pattern, Problem::BadPattern(error.kind().to_string())))?
        .compile_matcher();
    let fixed: PathBuf = Path::new(pattern)
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']))
        .collect();
    let root = if fixed.as_os_str().is_empty() { Path::new(".") } else { &fixed };
    let mut found = Vec::new();
    let mut entered = Entered::default();
    let walk = WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| entered.enters(entry)).filter_map(Result::ok) {
        let path = entry.path().strip_prefix(".").unwrap_or(entry.path());
        if !glob.is_match(path) {
            continue;
        }
        if entry.file_type().is_dir() {
            found.extend(search(path, pattern, notes)?);
        } else {
            found.push(path.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        for file in ["b/2.parquet", "b/10.parquet", "a.csv", "note.txt", ".hidden/x.csv"] {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            std::fs::write(path, "").expect("written");
        }
        directory
    }

    fn names(discovered: &Discovered, root: &Path) -> Vec<String> {
        let short = |file: &InputFile| file.name.replace(&format!("{}/", root.display()), "");
        discovered.files.iter().map(short).collect()
    }

    #[test]
    fn directories_are_searched_and_patterns_matched() {
        let directory = tree();
        let root = directory.path();
        let all = discover(&[root.display().to_string()], None).expect("files");
        assert_eq!(names(&all, root), ["a.csv", "b/10.parquet", "b/2.parquet"]);
        let pattern = discover(&[format!("{}/**/*.parquet", root.display())], None).expect("files");
        assert_eq!(names(&pattern, root), ["b/10.parquet", "b/2.parquet"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_nowhere_are_told() {
        use std::os::unix::fs::symlink;
        let directory = tree();
        let root = directory.path();
        symlink(root, root.join("b/up")).expect("linked");
        symlink("nowhere.csv", root.join("broken.csv")).expect("linked");
        symlink("itself.csv", root.join("itself.csv")).expect("linked");
        let found = discover(&[root.display().to_string()], None).expect("files");
        assert_eq!(names(&found, root), ["a.csv", "b/10.parquet", "b/2.parquet"]);
        assert_eq!(found.notes.iter().filter(|note| note.contains("leads")).count(), 3, "{:?}", found.notes);
        for name in ["broken.csv", "itself.csv"] {
            let run = root.join(name).display().to_string();
            let problem = discover(&[run], None).expect_err("an error").problem;
            assert!(matches!(problem, Problem::BrokenLink { .. }), "{problem}");
        }
    }

    #[test]
    fn a_file_named_twice_is_read_once_with_a_note() {
        let directory = tree();
        let file = format!("{}/a.csv", directory.path().display());
        let found = discover(&[file.clone(), directory.path().display().to_string()], None).expect("files");
        assert_eq!((found.files.len(), found.notes.len()), (3, 1));
        assert_eq!((found.files[0].origin, found.files[1].origin), (Origin::Named, Origin::Searched));
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let directory = tree();
        let root = directory.path().display().to_string();
        let problem = |run: String| discover(&[run], None).map(|_| ()).expect_err("an error").problem;
        assert!(matches!(problem(format!("{root}/gone.parquet")), Problem::NotFound));
        assert!(matches!(problem(format!("{root}/*.arrow")), Problem::NoMatch));
        std::fs::create_dir(directory.path().join("empty")).expect("created");
        assert!(matches!(problem(format!("{root}/empty")), Problem::EmptyDirectory));
    }
}
