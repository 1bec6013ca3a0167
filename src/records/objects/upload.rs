//! Outputs in object stores: written to a temporary file first, then sent by one request or by parts, and there when all
//! of it is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::try_join_all;
use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::failure::Failure;
use super::stores::{target_of, wait};
use super::url::StoreUrl;

/// Bytes that are sent by one request.
const WHOLE: u64 = 64 << 20;

/// Bytes of a part, and parts under way at once; no store takes more than ten thousand.
const PART: u64 = 16 << 20;
const PARTS_AT_ONCE: usize = 4;
const MOST_PARTS: u64 = 9_000;

/// Where an output goes.
pub(in crate::records) struct Upload {
    store: Arc<dyn ObjectStore>,
    location: Location,
    name: String,
    force: bool,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Upload").field(&self.name).finish()
    }
}

impl Upload {
    /// Prepares an output to a URL.
    ///
    /// # Errors
    /// A URL that nothing can be written to; without `force`, an object that is there.
    pub(in crate::records) fn begin(url: &Path, force: bool) -> io::Result<Self> {
        let name = url.to_string_lossy().into_owned();
        let parsed = StoreUrl::parse(&name).map_err(|problem| Failure::from(problem).of_output())?;
        if parsed.key.is_empty() || parsed.key.ends_with('/') {
            return Err(io::Error::other("a folder of a bucket, not the name of an object"));
        }
        let (store, location) = target_of(&parsed).map_err(Failure::of_output)?;
        let upload = Self { store, location, name, force };
        if !force && wait(upload.is_there()).map_err(Failure::of_output)? {
            return Err(exists());
        }
        Ok(upload)
    }

    /// An output in the place of whatever has this name.
    pub(super) fn over(store: &Arc<dyn ObjectStore>, location: Location, name: String) -> Self {
        Self { store: Arc::clone(store), location, name, force: true }
    }

    async fn is_there(&self) -> Result<bool, Failure> {
        match self.store.head(&self.location).await.map_err(Failure::from) {
            Ok(_) => Ok(true),
            // Who may write need not be one who may look.
            Err(failure) if failure.is_not_found() || failure.is_forbidden() => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Sends the contents of a file; without `force` never over an object that has appeared meanwhile.
    ///
    /// # Errors
    /// What the store refuses; nothing is there then.
    pub(in crate::records) fn send(&self, file: &mut File) -> io::Result<()> {
        file.seek(SeekFrom::Start(0))?;
        let length = file.metadata()?.len();
        let sent = self.send_from(file, length);
        sent.map_err(|failure| if failure.is_taken() { exists() } else { failure.of_output() })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// Likewise.
    pub(super) fn send_bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.send_from(&mut &bytes[..], bytes.len() as u64)
    }

    fn send_from(&self, source: &mut impl Read, length: u64) -> Result<(), Failure> {
        if length > WHOLE {
            return wait(self.put_parts(source, length));
        }
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).map_err(Failure::System)?;
        wait(self.put(bytes))
    }

    async fn put(&self, bytes: Vec<u8>) -> Result<(), Failure> {
        let mode = if self.force { PutMode::Overwrite } else { PutMode::Create };
        let options = PutOptions { mode, ..PutOptions::default() };
        let payload = PutPayload::from(bytes);
        let sent = self.store.put_opts(&self.location, payload.clone(), options).await;
        match sent.map_err(Failure::from) {
            // A request whose answer was lost is made again, and finds what it wrote itself.
            Err(failure) if failure.is_taken() && self.is_there_as(&payload).await => Ok(()),
            sent => sent.map(drop),
        }
    }

    /// Whether the object that is there holds just these bytes.
    async fn is_there_as(&self, sent: &PutPayload) -> bool {
        let found = async || -> Result<Option<_>, Failure> {
            let found = self.store.get(&self.location).await?;
            if found.meta.size != sent.content_length() as u64 {
                return Ok(None);
            }
            Ok(Some(found.bytes().await?))
        };
        matches!(found().await, Ok(Some(bytes)) if bytes.iter().eq(sent.iter().flat_map(|part| part.iter())))
    }

    async fn put_parts(&self, source: &mut impl Read, length: u64) -> Result<(), Failure> {
        let mut upload = self.store.put_multipart(&self.location).await?;
        let part_bytes = PART.max(length.div_ceil(MOST_PARTS));
        let mut sending = async || -> Result<(), Failure> {
            loop {
                let mut parts = Vec::new();
                for _ in 0..PARTS_AT_ONCE {
                    let mut bytes = Vec::new();
                    source.take(part_bytes).read_to_end(&mut bytes).map_err(Failure::System)?;
                    if bytes.is_empty() {
                        break;
                    }
                    parts.push(upload.put_part(PutPayload::from(bytes)));
                }
                if parts.is_empty() {
                    return Ok(());
                }
                try_join_all(parts).await?;
            }
        };
        let mut sent = sending().await;
        // The last request knows no condition: looked at as late as can be.
        if sent.is_ok() && !self.force {
            sent = match self.is_there().await {
                Ok(false) => Ok(()),
                Ok(true) => Err(taken()),
                Err(failure) => Err(failure),
            };
        }
        if sent.is_ok() {
            sent = upload.complete().await.map(drop).map_err(Failure::from);
        }
        if sent.is_err() {
            // What it leaves behind is no object; the failure is what counts.
            let _ = upload.abort().await;
        }
        sent
    }

    /// Removes the object that this one is to replace, so that it never stands beside what belongs to this one.
    ///
    /// # Errors
    /// If there is one and it cannot be removed.
    pub(in crate::records) fn remove_replaced(&self) -> io::Result<()> {
        if !self.force {
            return Ok(());
        }
        let removed = wait(async { Ok(self.store.delete(&self.location).await?) });
        match removed {
            Err(failure) if !failure.is_not_found() => Err(failure.of_output()),
            _ => Ok(()),
        }
    }
}

fn taken() -> Failure {
    let source = "there meanwhile".into();
    Failure::Store(object_store::Error::AlreadyExists { path: String::new(), source })
}

fn exists() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "the object exists; --force replaces it")
}
