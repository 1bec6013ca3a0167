//! What a URL names: an object, the objects of a folder, those that match a pattern.

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::TryStreamExt;
use globset::{GlobBuilder, GlobMatcher};
use object_store::path::Path as Location;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::super::error::{Problem, RecordError};
use super::super::job_files::{JOB, PLAN};
use super::super::store_url::shown_url;
use super::failure::Failure;
use super::object::Object;
use super::stores::{store_of, wait};
use super::url::StoreUrl;

/// What a URL names.
pub(in crate::records) struct Found {
    /// In order of their paths.
    pub(in crate::records) objects: Vec<Object>,
    /// Whether a folder or a pattern was searched.
    pub(in crate::records) is_searched: bool,
}

/// What makes a key a pattern.
const WILD: [char; 4] = ['*', '?', '[', '{'];

/// What `url` names; of a folder the objects whose keys are those of recordings, hidden ones and those of jobs left out.
///
/// # Errors
/// Nothing there, and whatever the store refuses.
pub(in crate::records) fn find(url: &str, is_known: &dyn Fn(&str) -> bool) -> Result<Found, RecordError> {
    let name = shown_url(url);
    let told = |failure: Failure| failure.told(&name);
    let problem = |problem: Problem| Err(RecordError::file(&name, problem));
    let parsed = StoreUrl::parse(url).map_err(|problem| told(problem.into()))?;
    if parsed.is_single() {
        if parsed.key.contains(['*', '[', '{']) {
            return problem(Problem::Store {
                detail: "a pattern of https://, which has no lists".to_owned(),
                hint: "name each object, or the bucket by s3://, gs:// or az://".to_owned(),
                may_pass: false,
            });
        }
        let object = Object::at(url)?;
        object.n_bytes(&name)?;
        return Ok(Found { objects: vec![object], is_searched: false });
    }
    let store = |key: &str| {
        let of_key = StoreUrl { key: key.to_owned(), ..parsed.clone() };
        store_of(&of_key).map_err(|failure| failure.told(&name))
    };
    let found = if parsed.key.contains(WILD) {
        let pattern = Pattern::new(&parsed.key)
            .map_err(|detail| RecordError::file(&name, Problem::BadPattern(detail)))?;
        let (store, _) = store("")?;
        let mut found = wait(pattern.search(&*store, is_known)).map_err(told)?;
        // An empty object that has the name of a folder only marks it.
        found.retain(|found| found.size > 0 || is_known(found.location.as_ref()));
        if found.is_empty() {
            return problem(Problem::NoMatch);
        }
        found
    } else {
        if !parsed.key.is_empty() && !parsed.key.ends_with('/') {
            let object = Object::at(url)?;
            if object.is_there().map_err(told)? {
                return Ok(Found { objects: vec![object], is_searched: false });
            }
        }
        let (store, folder) = store(&parsed.key)?;
        let all = wait(below(&*store, &folder)).map_err(told)?;
        if all.is_empty() {
            let is_bucket = folder.as_ref().is_empty();
            return problem(if is_bucket { Problem::EmptyDirectory } else { Problem::NotFound });
        }
        let found = recordings(&all, folder.as_ref(), is_known);
        if found.is_empty() {
            return problem(Problem::EmptyDirectory);
        }
        found
    };
    let (store, _) = store("")?;
    let mut found: Vec<ObjectMeta> = found;
    // As folders on disk are walked: by names within each.
    found.sort_by(|a, b| a.location.as_ref().split('/').cmp(b.location.as_ref().split('/')));
    found.dedup_by(|a, b| a.location == b.location);
    let objects = found.iter().map(|found| Object::listed(&parsed, &store, found)).collect();
    Ok(Found { objects, is_searched: true })
}

/// All objects below a folder.
async fn below(store: &dyn ObjectStore, folder: &Location) -> Result<Vec<ObjectMeta>, Failure> {
    let prefix = Some(folder).filter(|folder| !folder.as_ref().is_empty());
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    let mut listed = store.list(prefix);
    while let Some(found) = listed.try_next().await? {
        // A server that gives one page again and again would never end.
        if !seen.insert(found.location.clone()) {
            return Err(Failure::Unusable(Problem::Store {
                detail: format!("its list of objects names {} twice", found.location),
                hint: "the server does not list like S3 does: name each object".to_owned(),
                may_pass: false,
            }));
        }
        all.push(found);
    }
    Ok(all)
}

/// Those below `folder` that are recordings by their names.
fn recordings(all: &[ObjectMeta], folder: &str, is_known: &dyn Fn(&str) -> bool) -> Vec<ObjectMeta> {
    let folder_of = |key: &str| key.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let holds = |wanted: &str| -> BTreeSet<String> {
        let keys = all.iter().map(|found| found.location.as_ref());
        keys.filter(|key| key.rsplit('/').next() == Some(wanted)).map(folder_of).collect()
    };
    let jobs: BTreeSet<String> = holds(JOB).intersection(&holds(PLAN)).cloned().collect();
    let is_recording = |found: &ObjectMeta| {
        let key = found.location.as_ref();
        let rest = key.strip_prefix(folder).unwrap_or(key).trim_start_matches('/');
        let is_hidden = rest.split('/').any(|name| name.starts_with('.'));
        let is_of_job = jobs.iter().any(|job| {
            *job != folder && key.strip_prefix(job.as_str()).is_some_and(|rest| rest.starts_with('/'))
        });
        !is_hidden && !is_of_job && is_known(rest)
    };
    let mut found: Vec<ObjectMeta> = all.iter().filter(|found| is_recording(found)).cloned().collect();
    // A key that ends with a slash stands for a folder.
    found.retain(|found| !found.location.as_ref().is_empty());
    found
}

/// A pattern of keys.
struct Pattern {
    glob: GlobMatcher,
    /// The folders before the first wild part.
    fixed: String,
    /// Levels below them, where each level is matched by one part.
    n_levels: Option<usize>,
}

impl Pattern {
    fn new(key: &str) -> Result<Self, String> {
        let glob = GlobBuilder::new(key).literal_separator(true).build();
        let glob = glob.map_err(|error| error.kind().to_string())?.compile_matcher();
        let parts: Vec<&str> = key.split('/').collect();
        let n_fixed = parts.iter().take_while(|part| !part.contains(WILD)).count();
        let wild = &parts[n_fixed..];
        // `**` stands for any number of levels, and braces may hold a slash.
        let is_level = !wild.iter().any(|part| part.contains("**") || part.contains('{'));
        Ok(Self { glob, fixed: parts[..n_fixed].join("/"), n_levels: is_level.then_some(wild.len()) })
    }

    /// Objects that match, and the recordings below folders that do.
    async fn search(
        &self,
        store: &dyn ObjectStore,
        is_known: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<ObjectMeta>, Failure> {
        let root =
            Location::parse(&self.fixed).map_err(|source| object_store::Error::InvalidPath { source })?;
        if let Some(n_levels) = self.n_levels {
            return self.by_levels(store, root, n_levels, is_known).await;
        }
        Ok(self.matching(below(store, &root).await?, is_known))
    }

    /// Folder by folder: only those that match so far are looked into.
    async fn by_levels(
        &self,
        store: &dyn ObjectStore,
        root: Location,
        n_levels: usize,
        is_known: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<ObjectMeta>, Failure> {
        let mut folders = vec![root];
        let mut found = Vec::new();
        let parts = self.glob.glob().glob().split('/').count();
        for level in 1..=n_levels {
            let n_parts = parts - n_levels + level;
            let begun: Vec<&str> = self.glob.glob().glob().split('/').take(n_parts).collect();
            let Ok(begun) = GlobBuilder::new(&begun.join("/")).literal_separator(true).build() else {
                return Ok(self.matching(below(store, &folders[0]).await?, is_known));
            };
            let begun = begun.compile_matcher();
            let mut inner = Vec::new();
            for folder in &folders {
                let prefix = Some(folder).filter(|folder| !folder.as_ref().is_empty());
                let listed = store.list_with_delimiter(prefix).await?;
                inner.extend(listed.common_prefixes.into_iter().filter(|path| begun.is_match(path.as_ref())));
                if level == n_levels {
                    let matches = |object: &ObjectMeta| self.glob.is_match(object.location.as_ref());
                    found.extend(listed.objects.into_iter().filter(matches));
                }
            }
            folders = inner;
        }
        for folder in &folders {
            found.extend(recordings(&below(store, folder).await?, folder.as_ref(), is_known));
        }
        Ok(found)
    }

    fn matching(&self, all: Vec<ObjectMeta>, is_known: &dyn Fn(&str) -> bool) -> Vec<ObjectMeta> {
        let matched = |found: &ObjectMeta| {
            let key = found.location.as_ref();
            let folder = key
                .match_indices('/')
                .map(|(slash, _)| &key[..slash])
                .find(|folder| self.glob.is_match(folder));
            self.glob.is_match(key)
                || folder.is_some_and(|folder| {
                    !recordings(std::slice::from_ref(found), folder, is_known).is_empty()
                })
        };
        all.into_iter().filter(matched).collect()
    }
}

/// Names of the objects in the folder of a URL; none where it cannot be listed.
pub(in crate::records) fn names_in(folder: &Path) -> Vec<String> {
    let listed = || -> Option<Vec<String>> {
        let url = StoreUrl::parse(folder.to_str()?).ok().filter(|url| !url.is_single())?;
        let (store, folder) = store_of(&url).ok()?;
        let prefix = Some(&folder).filter(|folder| !folder.as_ref().is_empty());
        let listed = wait(async { Ok(store.list_with_delimiter(prefix).await?) }).ok()?;
        Some(listed.objects.iter().filter_map(|found| found.location.filename().map(str::to_owned)).collect())
    };
    listed().unwrap_or_default()
}

/// The bytes of a small object, at most `most` of them; `None` where there is none, or none that may be looked at.
///
/// # Errors
/// What the store says.
pub(in crate::records) fn small(path: &Path, most: u64) -> Result<Option<Vec<u8>>, String> {
    let Some(url) = path.to_str().and_then(|url| StoreUrl::parse(url).ok()).filter(|url| !url.is_single())
    else {
        return Ok(None);
    };
    let told = |failure: Failure| failure.problem().to_string();
    let (store, location) = store_of(&url).map_err(told)?;
    let asked = async {
        let found = store.get(&location).await?;
        if found.meta.size > most {
            return Err(Failure::Short { expected: found.meta.size, found: most });
        }
        Ok(found.bytes().await?.to_vec())
    };
    match wait(asked) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(failure) if failure.is_not_found() || failure.is_forbidden() => Ok(None),
        Err(failure) => Err(told(failure)),
    }
}
