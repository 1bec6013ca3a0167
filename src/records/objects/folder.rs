//! The objects below a name as the files of a folder: read and written whole.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as Location;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::super::error::{Problem, RecordError};
use super::super::job_files::{FileEnds, JobEntry};
use super::failure::Failure;
use super::stores::{target_of, wait};
use super::upload::Upload;
use super::url::StoreUrl;

/// Requests under way at once.
const AT_ONCE: usize = 32;

/// A folder of a bucket; nothing outside it is asked for.
#[derive(Clone)]
pub(in crate::records) struct ObjectFolder {
    store: Arc<dyn ObjectStore>,
    root: Location,
    /// Its URL, without a slash at the end.
    url: String,
}

impl std::fmt::Debug for ObjectFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ObjectFolder").field(&self.url).finish()
    }
}

impl ObjectFolder {
    /// The folder of a URL, whatever is there; nothing is asked of its store.
    ///
    /// # Errors
    /// A URL of no folder that could be written to, or a store without keys.
    pub(in crate::records) fn at(url: &str) -> Result<Self, RecordError> {
        let told = |failure: Failure| failure.told(url);
        let mut parsed = StoreUrl::parse(url).map_err(|problem| told(problem.into()))?;
        parsed.key = parsed.key.trim_end_matches('/').to_owned();
        let (store, root) = target_of(&parsed).map_err(told)?;
        if parsed.key.is_empty() {
            return Err(told(Failure::Unusable(Problem::Store {
                detail: "a bucket, where a folder in one is needed".to_owned(),
                hint: format!("for instance {}/jobs/a", parsed.root),
                may_pass: false,
            })));
        }
        let url = format!("{}/{}", parsed.root, parsed.key);
        Ok(Self { store, root, url })
    }

    /// The URL of what has this name.
    pub(in crate::records) fn url_of(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn location(&self, name: &str) -> Result<Location, Failure> {
        let location = Location::parse(format!("{}/{name}", self.root));
        Ok(location.map_err(|source| object_store::Error::InvalidPath { source })?)
    }

    fn asked<T>(
        &self,
        name: &str,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, RecordError> {
        wait(request).map_err(|failure| failure.told(&self.url_of(name)))
    }

    /// What lies in a folder of it; folders there have no bytes.
    ///
    /// # Errors
    /// What the store says.
    pub(in crate::records) fn list(&self, folder: &str) -> Result<Vec<JobEntry>, RecordError> {
        let found = self.asked(folder, async {
            let prefix = self.location(folder)?;
            Ok(self.store.list_with_delimiter(Some(&prefix)).await?)
        })?;
        let named = |path: &Location, n_bytes: u64| {
            path.filename().map(|name| JobEntry { name: name.to_owned(), n_bytes })
        };
        // An object that has the folder's own name only marks it.
        let marked = self.location(folder).ok();
        let objects = found.objects.iter().filter(|object| Some(&object.location) != marked.as_ref());
        let objects = objects.filter_map(|object| named(&object.location, object.size));
        Ok(objects.chain(found.common_prefixes.iter().filter_map(|path| named(path, 0))).collect())
    }

    /// All bytes under each of these names, of one version each; `None` where there is nothing.
    ///
    /// # Errors
    /// What the store says, of the first in order.
    pub(in crate::records) fn read_all(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, RecordError> {
        self.each(names, async |location| {
            let found = self.store.get(&location).await?;
            Ok(found.bytes().await?.to_vec())
        })
    }

    /// Beginning and end of what has each of these names, of up to so many bytes each; `None` where there is nothing.
    ///
    /// # Errors
    /// Likewise.
    pub(in crate::records) fn ends_of(
        &self,
        names: &[String],
        n_bytes: u64,
    ) -> Result<Vec<Option<FileEnds>>, RecordError> {
        self.each(names, async |location| self.ends(location, n_bytes).await)
    }

    async fn ends(&self, location: Location, n_bytes: u64) -> Result<FileEnds, Failure> {
        let of = |range| GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = match self.store.get_opts(&location, of(0..n_bytes)).await.map_err(Failure::from) {
            // Of nothing there is no range.
            Err(failure) if failure.is_of_range() => {
                let length = self.store.head(&location).await?.size;
                return if length == 0 {
                    Ok(FileEnds { n_bytes: 0, bytes: Vec::new() })
                } else {
                    Err(failure)
                };
            }
            found => found?,
        };
        let (length, e_tag) = (found.meta.size, found.meta.e_tag.clone());
        let mut bytes = found.bytes().await?.to_vec();
        if length > n_bytes {
            let if_match = e_tag.filter(|tag| tag.starts_with('"'));
            let rest = length.saturating_sub(n_bytes).max(n_bytes)..length;
            let found = self.store.get_opts(&location, GetOptions { if_match, ..of(rest) }).await?;
            bytes.extend_from_slice(&found.bytes().await?);
        }
        Ok(FileEnds { n_bytes: length, bytes })
    }

    /// Many requests at once, answered in order.
    fn each<T>(
        &self,
        names: &[String],
        ask: impl AsyncFn(Location) -> Result<T, Failure>,
    ) -> Result<Vec<Option<T>>, RecordError> {
        let one = async |name: &String| match async { ask(self.location(name)?).await }.await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure.told(&self.url_of(name))),
        };
        let all = stream::iter(names.iter().map(one)).buffered(AT_ONCE).try_collect::<Vec<_>>();
        // Each failure has the name of its own request.
        self.asked("", async { Ok(all.await) })?
    }

    /// Puts bytes under a name, whole or not at all, in the place of what is there.
    ///
    /// # Errors
    /// What the store says; what was there is there then.
    pub(in crate::records) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
        let sent = self.location(name).and_then(|location| {
            let upload = Upload::over(&self.store, location, self.url_of(name));
            upload.send_bytes(bytes)
        });
        sent.map_err(|failure| failure.told(&self.url_of(name)))
    }

    /// Takes away what has these names, as far as it is there.
    ///
    /// # Errors
    /// What the store says.
    pub(in crate::records) fn remove(&self, names: &[String]) -> Result<(), RecordError> {
        self.asked("", async {
            let locations = names.iter().map(|name| self.location(name)).collect::<Result<Vec<_>, _>>()?;
            let mut removed = self.store.delete_stream(stream::iter(locations.into_iter().map(Ok)).boxed());
            while let Some(one) = removed.next().await {
                match one.map_err(Failure::from) {
                    Err(failure) if !failure.is_not_found() => return Err(failure),
                    _ => {}
                }
            }
            Ok(())
        })
    }
}
