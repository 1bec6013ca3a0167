//! What a URL of an object names.

use super::super::error::Problem;
use super::super::store_url::has_user;

/// What kind of store a URL is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreKind {
    /// `s3://BUCKET/KEY`.
    S3,
    /// `gs://BUCKET/KEY`.
    Google,
    /// `az://CONTAINER/KEY`.
    Azure,
    /// `https://HOST/PATH`: one object, without a list of others.
    Web,
}

/// A URL of an object, a folder of objects or a pattern.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct StoreUrl {
    pub(super) kind: StoreKind,
    /// Scheme, and bucket, container or host.
    pub(super) root: String,
    /// Bucket, container or host.
    pub(super) bucket: String,
    /// What follows, without the slash before it and, of the web, without the query.
    pub(super) key: String,
    /// All of it, as it was given.
    pub(super) whole: String,
}

impl StoreUrl {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// A scheme of no store, a URL with a user in it, plain HTTP to another machine.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(refused(
                "a URL whose scheme is not in small letters, which would be another name for the same",
                "write s3://, gs://, az:// or https://",
            ));
        }
        if has_user(text) {
            return Err(refused(
                "a URL with a user or a password in it",
                "passwords in URLs are not sent; keys belong into the environment, or use a signed URL",
            ));
        }
        let kind = match scheme {
            "s3" => StoreKind::S3,
            "gs" => StoreKind::Google,
            "az" => StoreKind::Azure,
            "https" | "http" => StoreKind::Web,
            "file" => return Err(refused("a URL of a file", "name the path itself")),
            _ => {
                return Err(refused(
                    &format!("{scheme}:// is no kind of object store that is known"),
                    "s3://, gs://, az:// and https:// are; a file of this name is named with ./ before it",
                ));
            }
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let ends_name = |c: char| kind == StoreKind::Web && matches!(c, '?' | '#');
        let before_query = |text: &str| text.split(ends_name).next().unwrap_or_default().to_owned();
        let (bucket, key) = (before_query(bucket), before_query(key));
        if bucket.is_empty() {
            return Err(refused("a URL without a bucket", "for instance s3://bucket/runs/"));
        }
        if scheme == "http" && !is_loopback(&bucket) {
            return Err(refused(
                "plain HTTP, which anybody on the way may read and change",
                "name it by https://, or download it",
            ));
        }
        let root = format!("{scheme}://{bucket}");
        Ok(Self { kind, root, bucket, key, whole: text.to_owned() })
    }

    /// Whether only this one object can be asked for.
    pub(super) fn is_single(&self) -> bool {
        self.kind == StoreKind::Web
    }

    /// Whether it is signed, or asks in another way for something that its name does not say.
    pub(super) fn has_query(&self) -> bool {
        self.is_single() && self.whole.contains('?')
    }
}

/// Whether a host is this machine itself.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = host.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let name = name.unwrap_or_else(|| host.split(':').next().unwrap_or_default());
    let is_number = |part: &str| part.parse::<u8>().is_ok();
    let is_v4 = name.starts_with("127.") && name.split('.').count() == 4 && name.split('.').all(is_number);
    is_v4 || matches!(name, "localhost" | "::1")
}

fn refused(detail: &str, hint: &'static str) -> Problem {
    Problem::Store { detail: detail.to_owned(), hint: hint.to_owned(), may_pass: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloud_urls_are_taken_apart() {
        let of = |text: &str| StoreUrl::parse(text).expect("a URL");
        let url = of("s3://bucket/a/b*?.csv");
        assert_eq!((&url.root[..], &url.bucket[..], &url.key[..]), ("s3://bucket", "bucket", "a/b*?.csv"));
        let url = of("https://h.org:8443/a/b.csv?sig=1");
        assert_eq!((&url.bucket[..], &url.key[..], url.has_query()), ("h.org:8443", "a/b.csv", true));
        assert!(of("http://127.0.0.1:9000/x").is_single() && of("http://[::1]:9000/x").is_single());
        for refused in
            ["ftp://h/x", "s3:///x", "http://h.org/x", "https://me:pw@h.org/x", "file:///x", "S3://b/x"]
        {
            assert!(matches!(StoreUrl::parse(refused), Err(Problem::Store { .. })), "{refused}");
        }
    }
}
