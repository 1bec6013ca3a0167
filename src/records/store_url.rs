//! What a URL of an object names, and how it is shown: nothing that is a secret is part of a name.

use std::path::Path;

use super::error::Problem;

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

/// Whether a text is a URL: what stands before `://` is a scheme, of two letters at least.
pub(crate) fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        let mut letters = scheme.chars();
        scheme.len() > 1
            && letters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// Whether a path is a URL.
pub(crate) fn is_url_path(path: &Path) -> bool {
    path.to_str().is_some_and(is_url)
}

/// A URL without what may be a secret in it: a user and a password, and of the web the query, which signs it.
pub(crate) fn shown_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_web = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
    let of_web = |text: &str| text.split(['?', '#']).next().unwrap_or_default().to_owned();
    let (host, path) = if is_web { (of_web(host), of_web(path)) } else { (host.to_owned(), path.to_owned()) };
    format!("{scheme}://{host}{path}")
}

/// Whether a URL holds a user and a password, or anything before a host.
pub(crate) fn has_user(text: &str) -> bool {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().is_some_and(|authority| authority.contains('@'))
}

impl StoreUrl {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// A scheme of no store, a URL with a user in it, plain HTTP to another machine.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let scheme = scheme.to_ascii_lowercase();
        if has_user(text) {
            return Err(refused(
                "a URL with a user or a password in it",
                "passwords in URLs are not sent; keys belong into the environment, or use a signed URL",
            ));
        }
        let kind = match scheme.as_str() {
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

/// What stands in `SIMIC_RUNS`, apart: by the separator of paths, which URLs have within them too.
pub(super) fn split_runs(value: &str) -> Vec<String> {
    let separated = std::env::split_paths(value).map(|path| path.to_string_lossy().into_owned());
    if !value.contains("://") || std::env::join_paths(["a", "b"]).is_ok_and(|both| both != "a:b") {
        return separated.collect();
    }
    let mut runs: Vec<String> = Vec::new();
    for piece in separated {
        let goes_on = runs.last().is_some_and(|last| {
            let is_scheme = piece.starts_with("//") && is_url(&format!("{last}:{piece}"));
            let host = last.split_once("://").map(|(_, rest)| rest);
            let is_port = host.is_some_and(|host| !host.contains('/'))
                && piece.split('/').next().is_some_and(|port| port.parse::<u16>().is_ok());
            is_scheme || is_port
        });
        match runs.last_mut().filter(|_| goes_on) {
            Some(last) => {
                last.push(':');
                last.push_str(&piece);
            }
            None => runs.push(piece),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        for url in ["s3://b/k", "https://h/x.csv", "S3://b", "foo+bar://x"] {
            assert!(is_url(url), "{url}");
        }
        for path in ["a/b.csv", "./s3://b/k", "C://x", "://x", "a b://c", "s3:/b", "-"] {
            assert!(!is_url(path), "{path}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        assert_eq!(
            shown_url("https://me:secret@h.org/a.csv?X-Amz-Signature=secret#x"),
            "https://h.org/a.csv"
        );
        assert_eq!(shown_url("https://h.org?token=secret"), "https://h.org");
        assert_eq!(shown_url("s3://key:secret@bucket/a?.csv"), "s3://bucket/a?.csv");
        assert_eq!(shown_url("runs/a.csv"), "runs/a.csv");
        assert!(has_user("s3://key:secret@bucket/a") && !has_user("s3://bucket/a@b"));
    }

    #[test]
    fn urls_are_taken_apart() {
        let of = |text: &str| StoreUrl::parse(text).expect("a URL");
        let url = of("s3://bucket/a/b*?.csv");
        assert_eq!((&url.root[..], &url.bucket[..], &url.key[..]), ("s3://bucket", "bucket", "a/b*?.csv"));
        let url = of("https://h.org:8443/a/b.csv?sig=1");
        assert_eq!((&url.bucket[..], &url.key[..], url.has_query()), ("h.org:8443", "a/b.csv", true));
        assert!(of("http://127.0.0.1:9000/x").is_single() && of("http://[::1]:9000/x").is_single());
        for refused in ["ftp://h/x", "s3:///x", "http://h.org/x", "https://me:pw@h.org/x", "file:///x"] {
            assert!(matches!(StoreUrl::parse(refused), Err(Problem::Store { .. })), "{refused}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn urls_in_a_list_of_paths_stay_whole() {
        let runs = split_runs("a:s3://b/x:https://h:8443/y.csv:/c");
        assert_eq!(runs, ["a", "s3://b/x", "https://h:8443/y.csv", "/c"]);
        assert_eq!(split_runs("a:b/c"), ["a", "b/c"]);
    }
}
