//! The clients of stores, one for each bucket, and the threads that wait for their answers.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Location;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use reqwest::redirect::Policy;
use tokio::runtime::{Builder, Runtime};

use super::super::error::Problem;
use super::credentials::{Environment, aws_options, azure_options, google_options};
use super::failure::{Failure, TRIES};
use super::url::{StoreKind, StoreUrl, is_loopback};

/// How long after the first try another one may begin.
const TRIED_FOR: Duration = Duration::from_mins(1);

/// How long one request may take, and how long connecting.
const TIMEOUT: Duration = Duration::from_mins(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Redirects that are followed one after the other.
const MOST_REDIRECTS: usize = 5;

/// Bytes of a file with keys.
const MOST_KEYS: u64 = 1 << 20;

/// Threads that move bytes; those that ask wait on their own.
const MOVERS: usize = 2;

/// Waits for an answer. Any number of threads may wait at once.
pub(super) fn wait<T>(asked: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(MOVERS).thread_name("simic-stores").enable_all().build()
    });
    match runtime {
        Ok(runtime) => runtime.block_on(asked),
        Err(error) => Err(Failure::System(std::io::Error::new(error.kind(), error.to_string()))),
    }
}

/// The store of a URL, and where in it the URL's object is.
pub(super) fn store_of(url: &StoreUrl) -> Result<(Arc<dyn ObjectStore>, Location), Failure> {
    static STORES: Mutex<BTreeMap<String, Arc<dyn ObjectStore>>> = Mutex::new(BTreeMap::new());
    // What is signed is signed as it is spelled: of the web all of a URL is the store's.
    let (root, key) =
        if url.kind == StoreKind::Web { (&url.whole, "") } else { (&url.root, url.key.as_str()) };
    let location = Location::parse(key).map_err(|source| object_store::Error::InvalidPath { source })?;
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = stores.get(root) {
        return Ok((Arc::clone(store), location));
    }
    let store = built(url)?;
    stores.insert(root.clone(), Arc::clone(&store));
    Ok((store, location))
}

fn built(url: &StoreUrl) -> Result<Arc<dyn ObjectStore>, Failure> {
    let env = Environment::of_process();
    let is_small = |found: std::fs::Metadata| found.is_file() && found.len() <= MOST_KEYS;
    let read = |path: &std::path::Path| {
        std::fs::metadata(path).is_ok_and(is_small).then(|| std::fs::read_to_string(path).ok()).flatten()
    };
    env.check()?;
    Ok(match url.kind {
        StoreKind::S3 => {
            let mut builder = AmazonS3Builder::new();
            for (key, value) in aws_options(&env, &read)? {
                builder = builder.with_config(key, value);
            }
            let builder = builder.with_bucket_name(&url.bucket).with_retry(retries());
            Arc::new(builder.with_http_connector(Asking::Signed).build()?)
        }
        StoreKind::Google => {
            let mut builder = GoogleCloudStorageBuilder::new();
            for (key, value) in google_options(&env, &read)? {
                builder = builder.with_config(key, value);
            }
            let builder = builder.with_bucket_name(&url.bucket).with_retry(retries());
            Arc::new(builder.with_http_connector(Asking::Signed).build()?)
        }
        StoreKind::Azure => {
            let mut builder = MicrosoftAzureBuilder::new();
            for (key, value) in azure_options(&env)? {
                builder = builder.with_config(key, value);
            }
            let builder = builder.with_container_name(&url.bucket).with_retry(retries());
            Arc::new(builder.with_http_connector(Asking::Signed).build()?)
        }
        StoreKind::Web => {
            let options = ClientOptions::new().with_allow_http(is_loopback(&url.bucket));
            let builder = HttpBuilder::new().with_url(&url.whole).with_client_options(options);
            Arc::new(builder.with_retry(retries()).with_http_connector(Asking::Open).build()?)
        }
    })
}

/// How requests are sent.
#[derive(Debug, Clone, Copy)]
enum Asking {
    /// With keys: they go to the host that they are for, and nowhere a redirect leads.
    Signed,
    /// Without: redirects are followed, from https:// never to anything less; no host learns the address before it, which
    /// may be signed.
    Open,
}

impl HttpConnector for Asking {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let redirects = match self {
            Self::Signed => Policy::none(),
            Self::Open => Policy::custom(|attempt| {
                let begun = attempt.previous().first().map_or("", |url| url.scheme());
                let is_plain = attempt.url().scheme() == "http"
                    && begun == "http"
                    && attempt.url().host_str().is_some_and(is_loopback);
                if attempt.previous().len() > MOST_REDIRECTS {
                    attempt.error("it is redirected again and again")
                } else if attempt.url().scheme() == "https" || is_plain {
                    attempt.follow()
                } else {
                    attempt.error("it is redirected to an address that is not safe")
                }
            }),
        };
        let client = reqwest::Client::builder().redirect(redirects).referer(false);
        let client = client.timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build();
        let failed =
            |error: reqwest::Error| object_store::Error::Generic { store: "HTTP", source: error.into() };
        client.map(HttpClient::new).map_err(failed)
    }
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        // A wait is drawn between the first one and so many times the one before: twice as long on the average.
        base: 4.0,
    };
    RetryConfig { backoff, max_retries: TRIES - 1, retry_timeout: TRIED_FOR }
}

/// Where an output to a URL goes.
///
/// # Errors
/// A URL that nothing can be written to.
pub(super) fn target_of(url: &StoreUrl) -> Result<(Arc<dyn ObjectStore>, Location), Failure> {
    if url.kind == StoreKind::Web {
        return Err(Problem::Store {
            detail: "https:// is only read".to_owned(),
            hint: "write to a file, or to s3://, gs:// or az://".to_owned(),
            may_pass: false,
        }
        .into());
    }
    store_of(url)
}
