//! URLs among paths, and how they are shown: nothing that is a secret is part of a name.

use std::path::Path;

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

    #[cfg(unix)]
    #[test]
    fn urls_in_a_list_of_paths_stay_whole() {
        let runs = split_runs("a:s3://b/x:https://h:8443/y.csv:/c");
        assert_eq!(runs, ["a", "s3://b/x", "https://h:8443/y.csv", "/c"]);
        assert_eq!(split_runs("a:b/c"), ["a", "b/c"]);
    }
}
