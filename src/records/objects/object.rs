//! One object, read by ranges, of one version.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as Location;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use polars_buffer::Buffer;

use super::super::error::{Problem, RecordError};
use super::super::store_url::shown_url;
use super::failure::Failure;
use super::ranges::{GAP, LARGEST, joined, pieces};
use super::stores::{store_of, wait};
use super::url::{StoreKind, StoreUrl};

/// Bytes that are asked for first: the end of a table, which holds its footer, or the beginning of a text.
const FIRST: u64 = 64 << 10;

/// Bytes of an object that is asked for whole, where its length is known.
const SMALL: u64 = 256 << 10;

/// Bytes of all objects that are kept beyond their first use.
const MOST_KEPT: u64 = 64 << 20;

/// Requests under way for one reading, and for the beginnings of many objects.
const AT_ONCE: usize = 8;
const BEGUN_AT_ONCE: usize = 32;

/// An object of a store, and what it was when it was first seen: it is read by many requests, which must not be answered
/// from several versions.
#[derive(Clone)]
pub struct Object(Arc<Inner>);

struct Inner {
    store: Arc<dyn ObjectStore>,
    location: Location,
    /// Its URL, without what may be a secret.
    path: PathBuf,
    /// All of its URL.
    identity: PathBuf,
    has_query: bool,
    first_seen: OnceLock<Version>,
    /// Bytes that were read and may be asked for again.
    kept: Mutex<Vec<(u64, Buffer<u8>)>>,
    /// What went wrong once: a reader of bytes may take it for damage of the file.
    failed: OnceLock<(String, String, bool)>,
}

/// What tells one version of an object from another.
#[derive(Debug, Clone)]
struct Version {
    length: u64,
    /// As the store spells it.
    e_tag: Option<String>,
    modified_seconds: i64,
}

impl Version {
    fn of(found: &ObjectMeta) -> Self {
        Self {
            length: found.size,
            e_tag: found.e_tag.clone(),
            modified_seconds: found.last_modified.timestamp(),
        }
    }

    /// Lists of some stores leave out the quotes that answers have.
    fn tag(&self) -> Option<&str> {
        self.e_tag.as_deref().map(|tag| tag.trim_matches('"'))
    }

    fn is(&self, other: &Self) -> bool {
        let is_same = match (self.tag(), other.tag()) {
            (Some(a), Some(b)) => a == b,
            _ => self.modified_seconds == other.modified_seconds,
        };
        is_same && self.length == other.length
    }

    /// A tag that is made of the bytes: an MD5 sum, or one of those of several parts. Other tags may be times.
    fn hash(&self) -> Option<&str> {
        let (sum, _) = self.tag().map(|tag| tag.split_once('-').unwrap_or((tag, "")))?;
        let is_sum = sum.len() == 32 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.tag().filter(|_| is_sum)
    }

    /// What a request may be made conditional on: a strong tag as an answer spells it.
    fn condition(&self) -> Option<String> {
        self.e_tag.clone().filter(|tag| tag.starts_with('"'))
    }
}

static KEPT: AtomicU64 = AtomicU64::new(0);

impl Drop for Inner {
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        KEPT.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Addresses may be signed, and stores know their keys.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Object").field(&self.0.path).finish()
    }
}

impl Object {
    /// The object of a URL; nothing is asked of its store.
    ///
    /// # Errors
    /// A URL of no store, or a store without keys.
    pub(in crate::records) fn at(url: &str) -> Result<Self, RecordError> {
        let told = |failure: Failure| failure.told(&shown_url(url));
        let url = StoreUrl::parse(url).map_err(|problem| told(problem.into()))?;
        let (store, location) = store_of(&url).map_err(told)?;
        Ok(Self::new(store, location, &url.whole, url.has_query(), None))
    }

    /// An object that a list has.
    pub(super) fn listed(url: &StoreUrl, store: &Arc<dyn ObjectStore>, found: &ObjectMeta) -> Self {
        let whole = format!("{}/{}", url.root, found.location);
        let version = url.kind != StoreKind::Web;
        let version = version.then(|| Version::of(found));
        Self::new(Arc::clone(store), found.location.clone(), &whole, false, version)
    }

    fn new(
        store: Arc<dyn ObjectStore>,
        location: Location,
        whole: &str,
        has_query: bool,
        version: Option<Version>,
    ) -> Self {
        let first_seen = OnceLock::new();
        if let Some(version) = version {
            // It is empty.
            let _ = first_seen.set(version);
        }
        Self(Arc::new(Inner {
            store,
            location,
            path: PathBuf::from(shown_url(whole)),
            identity: PathBuf::from(whole),
            has_query,
            first_seen,
            kept: Mutex::default(),
            failed: OnceLock::new(),
        }))
    }

    /// Its URL, without what may be a secret.
    pub(in crate::records) fn path(&self) -> &Path {
        &self.0.path
    }

    /// All of its URL, which tells it from others.
    pub(in crate::records) fn identity(&self) -> &Path {
        &self.0.identity
    }

    /// Whether its name alone does not lead to it.
    pub(in crate::records) fn has_query(&self) -> bool {
        self.0.has_query
    }

    /// Bytes there are.
    pub(in crate::records) fn n_bytes(&self, name: &str) -> Result<u64, RecordError> {
        Ok(self.told(name, self.version())?.length)
    }

    /// Whether it is a table that is not packed as a whole, by its name and its last bytes as far as they are at hand.
    pub(in crate::records) fn is_plain_table(&self) -> bool {
        let Ok(version) = self.version() else { return false };
        let end = version.length.saturating_sub(8)..version.length;
        let is_of_table = |end: Buffer<u8>| end.ends_with(b"PAR1") || end.ends_with(b"ARROW1");
        // What is not at hand is told when the footer is read.
        self.is_table() && self.kept(&end).is_none_or(is_of_table)
    }

    /// The bytes `range`.
    pub(in crate::records) fn read_range(
        &self,
        name: &str,
        range: Range<u64>,
    ) -> Result<Buffer<u8>, RecordError> {
        let mut read = self.read_ranges(name, std::slice::from_ref(&range))?;
        Ok(read.pop().unwrap_or_default())
    }

    /// The bytes of each of `ranges`, in as few requests as is worth while.
    pub(in crate::records) fn read_ranges(
        &self,
        name: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Buffer<u8>>, RecordError> {
        let length = self.n_bytes(name)?;
        // A damaged footer must not ask for what is not there.
        if ranges.iter().any(|range| range.end.max(range.start) > length) {
            let error = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the file ends early");
            return Err(RecordError::file(name, error));
        }
        self.told(name, self.read(ranges))
    }

    /// Refuses an object that could not be read somewhere: what read it may have taken that for the file's fault.
    pub(in crate::records) fn check_sound(&self, name: &str) -> Result<(), RecordError> {
        let Some((detail, hint, may_pass)) = self.0.failed.get() else { return Ok(()) };
        let problem = if hint.is_empty() {
            Problem::ChangedWhileRead
        } else {
            Problem::Store { detail: detail.clone(), hint: hint.clone(), may_pass: *may_pass }
        };
        Err(RecordError::file(name, problem))
    }

    /// Whether both are seen to hold the same bytes; where that cannot be told, they are not.
    pub(in crate::records) fn is_same_version(&self, other: &Self) -> bool {
        let hash = |object: &Self| object.0.first_seen.get().and_then(Version::hash).map(str::to_owned);
        hash(self).is_some_and(|of_self| hash(other) == Some(of_self))
    }

    /// Its length with its tag, or with a hash of its beginning and end where it has none.
    pub(in crate::records) fn fingerprint(&self, name: &str) -> Result<String, RecordError> {
        let version = self.told(name, self.version())?;
        if let Some(tag) = version.tag() {
            return Ok(format!("{}-{tag}", version.length));
        }
        let ends = [
            0..version.length.min(FIRST),
            version.length.saturating_sub(FIRST).max(FIRST.min(version.length))..version.length,
        ];
        let read = self.read_ranges(name, &ends)?;
        let bytes = read.iter().flat_map(|bytes| bytes.iter().copied());
        Ok(format!("{}-{}", version.length, crate::results::fnv1a_hex(bytes)))
    }

    /// Whether the name is that of a table with a footer.
    fn is_table(&self) -> bool {
        let extension = self.0.path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        matches!(extension.as_deref(), Some("parquet" | "pq" | "parq" | "arrow" | "ipc" | "feather"))
    }

    /// What it was when it was first seen; asks for its first bytes if it was not.
    fn version(&self) -> Result<Version, Failure> {
        match self.0.first_seen.get() {
            Some(version) => Ok(version.clone()),
            None => wait(self.begin()),
        }
    }

    /// Asks for the bytes that are needed first, which tells what it is.
    async fn begin(&self) -> Result<Version, Failure> {
        let known = self.0.first_seen.get().cloned();
        let range = match (self.is_table(), &known) {
            (true, None) => GetRange::Suffix(FIRST),
            (_, Some(version)) if version.length <= SMALL => GetRange::Bounded(0..version.length),
            (true, Some(version)) => GetRange::Bounded(version.length.saturating_sub(FIRST)..version.length),
            (false, _) => GetRange::Bounded(0..FIRST),
        };
        if known.as_ref().is_none_or(|version| version.length > 0) {
            match self.get(range).await {
                // Of nothing there is no range; and not every store counts from the end.
                Err(failure) if known.is_none() && failure.is_of_range() => {}
                Err(failure) => return Err(failure),
                Ok((start, bytes)) => self.keep(start, &bytes),
            }
        }
        if self.0.first_seen.get().is_none() {
            let found = self.0.store.head(&self.0.location).await?;
            self.pin(&found)?;
        }
        self.0.first_seen.get().cloned().ok_or(Failure::Changed)
    }

    /// One request, answered by the version that was seen first.
    async fn get(&self, range: GetRange) -> Result<(u64, Buffer<u8>), Failure> {
        let seen = self.0.first_seen.get();
        let options = GetOptions {
            range: Some(range),
            if_match: seen.and_then(Version::condition),
            ..GetOptions::default()
        };
        let found = match self.0.store.get_opts(&self.0.location, options).await {
            Err(error @ object_store::Error::NotFound { .. }) if seen.is_some() => {
                let failure = Failure::Store(error);
                return Err(if failure.is_not_found() { Failure::Changed } else { failure });
            }
            found => found?,
        };
        self.pin(&found.meta)?;
        let (start, expected) = (found.range.start, found.range.end - found.range.start);
        let bytes = found.bytes().await?;
        if bytes.len() as u64 != expected {
            return Err(Failure::Short { expected, found: bytes.len() as u64 });
        }
        Ok((start, Buffer::from_owner(bytes)))
    }

    fn pin(&self, found: &ObjectMeta) -> Result<(), Failure> {
        let found = Version::of(found);
        let first = self.0.first_seen.get_or_init(|| found.clone());
        if first.is(&found) { Ok(()) } else { Err(Failure::Changed) }
    }

    fn keep(&self, start: u64, bytes: &Buffer<u8>) {
        let n_bytes = bytes.len() as u64;
        if KEPT.fetch_add(n_bytes, Ordering::Relaxed) + n_bytes > MOST_KEPT {
            KEPT.fetch_sub(n_bytes, Ordering::Relaxed);
            return;
        }
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).push((start, bytes.clone()));
    }

    /// Bytes that are at hand.
    fn kept(&self, range: &Range<u64>) -> Option<Buffer<u8>> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find_map(|(start, bytes)| slice_of(*start, bytes, range))
    }

    /// The bytes of each range, from what is at hand and by requests.
    pub(super) fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Buffer<u8>>, Failure> {
        let at_hand: Vec<Option<Buffer<u8>>> = ranges.iter().map(|range| self.kept(range)).collect();
        let missing = ranges.iter().zip(&at_hand).filter(|(_, bytes)| bytes.is_none());
        let missing: Vec<Range<u64>> = missing.map(|(range, _)| range.clone()).collect();
        let wholes = joined(&missing, GAP);
        let read = if wholes.is_empty() { Vec::new() } else { wait(self.fetch(&wholes))? };
        let of = |range: &Range<u64>| {
            if range.start >= range.end {
                return Some(Buffer::default());
            }
            read.iter().zip(&wholes).find_map(|(bytes, whole)| slice_of(whole.start, bytes, range))
        };
        let all = ranges.iter().zip(at_hand).map(|(range, bytes)| bytes.or_else(|| of(range)));
        all.collect::<Option<Vec<_>>>().ok_or(Failure::Changed)
    }

    async fn fetch(&self, wholes: &[Range<u64>]) -> Result<Vec<Buffer<u8>>, Failure> {
        let asked: Vec<(usize, Range<u64>)> = (wholes.iter().enumerate())
            .flat_map(|(whole, range)| pieces(range, LARGEST).into_iter().map(move |piece| (whole, piece)))
            .collect();
        let requests = asked.into_iter().map(|(whole, piece)| async move {
            let (_, bytes) = self.get(GetRange::Bounded(piece.clone())).await?;
            let (expected, found) = (piece.end - piece.start, bytes.len() as u64);
            if found == expected { Ok((whole, bytes)) } else { Err(Failure::Short { expected, found }) }
        });
        let answers: Vec<(usize, Buffer<u8>)> =
            stream::iter(requests).buffered(AT_ONCE).try_collect().await?;
        let mut of_wholes: Vec<Vec<Buffer<u8>>> = vec![Vec::new(); wholes.len()];
        for (whole, bytes) in answers {
            of_wholes[whole].push(bytes);
        }
        let one = |mut pieces: Vec<Buffer<u8>>| match pieces.len() {
            1 => pieces.remove(0),
            _ => Buffer::from_vec(pieces.iter().flat_map(|bytes| bytes.iter().copied()).collect()),
        };
        Ok(of_wholes.into_iter().map(one).collect())
    }

    /// The same with the failure said of `name`, and remembered.
    fn told<T>(&self, name: &str, outcome: Result<T, Failure>) -> Result<T, RecordError> {
        outcome.map_err(|failure| {
            let problem = self.remembered(failure);
            RecordError::file(name, problem)
        })
    }

    /// What a failure comes to, remembered for [`Object::check_sound`].
    pub(super) fn remembered(&self, failure: Failure) -> Problem {
        let problem = failure.problem();
        match &problem {
            Problem::Store { detail, hint, may_pass } => {
                let _ = self.0.failed.set((detail.clone(), hint.clone(), *may_pass));
            }
            Problem::ChangedWhileRead => {
                let _ = self.0.failed.set((String::new(), String::new(), false));
            }
            _ => {}
        }
        problem
    }

    /// Whether there is such an object.
    pub(super) fn is_there(&self) -> Result<bool, Failure> {
        match self.version() {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_not_found() => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

fn slice_of(start: u64, bytes: &Buffer<u8>, range: &Range<u64>) -> Option<Buffer<u8>> {
    let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
    let to = usize::try_from(range.end.checked_sub(start)?).ok()?;
    (from <= to && to <= bytes.len()).then(|| bytes.clone().sliced(from..to))
}

/// Asks for the first bytes of many objects at once, as many as are kept within `budget`: opened one after the other
/// each would wait for its own. What fails is told when it is read.
pub(in crate::records) fn begin_reading(objects: &[&Object], budget: u64) {
    let most = usize::try_from((MOST_KEPT.min(budget / 8) / FIRST).max(1)).unwrap_or(1);
    let objects = objects
        .iter()
        .filter(|object| object.0.kept.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    let begun = objects.take(most).map(|object| object.begin());
    let all = stream::iter(begun).buffer_unordered(BEGUN_AT_ONCE).for_each(|_| std::future::ready(()));
    let _ = wait(async {
        all.await;
        Ok(())
    });
}
