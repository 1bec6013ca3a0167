//! What a store answered, said without what may be a secret in it: its addresses are signed, and its texts repeat requests.

use std::io;

use super::super::error::{Problem, RecordError};

/// How often a request is made at most.
pub(super) const TRIES: usize = 6;

/// Why a request brought nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// What the store's client says.
    Store(object_store::Error),
    /// Another version than the one that was seen first.
    Changed,
    /// Fewer bytes than were asked for.
    Short {
        /// Bytes that were to come.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// The system has no threads or sockets for it.
    System(io::Error),
    /// A URL or keys that cannot be used.
    Unusable(Problem),
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Unusable(problem)
    }
}

/// The status and the code of an answer, as far as there was one.
struct Answer {
    status: Option<u16>,
    code: String,
}

impl Answer {
    fn of(error: &object_store::Error) -> Self {
        let text = error.to_string();
        let after = |mark: &str| text.find(mark).map(|place| &text[place + mark.len()..]);
        let status = after("status code: ").and_then(|rest| rest.get(..3)?.parse().ok());
        // A code is a word; what else an answer holds may repeat the request.
        let code = after("<Code>").and_then(|rest| rest.split('<').next()).unwrap_or_default();
        let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Self { status, code: if is_word { code.to_owned() } else { String::new() } }
    }

    fn words(&self) -> String {
        match (self.status, self.code.as_str()) {
            (Some(status), "") => status.to_string(),
            (Some(status), code) => format!("{status} {code}"),
            (None, code) => code.to_owned(),
        }
    }
}

impl Failure {
    /// Whether there is no such object.
    pub(super) fn is_not_found(&self) -> bool {
        match self {
            Self::Store(error @ object_store::Error::NotFound { .. }) => {
                !is_of_bucket(&Answer::of(error).code)
            }
            _ => false,
        }
    }

    /// Whether the store does not let this be looked at.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Store(error) if matches!(Answer::of(error).status, Some(401 | 403)))
    }

    /// Whether the range asked for is not there, or ranges are not known from the end.
    pub(super) fn is_of_range(&self) -> bool {
        match self {
            Self::Store(error) => {
                let is_suffix =
                    matches!(error, object_store::Error::NotSupported { .. }) && says(error, "suffix");
                is_suffix || Answer::of(error).status == Some(416)
            }
            _ => false,
        }
    }

    /// Whether there was something already.
    pub(super) fn is_taken(&self) -> bool {
        matches!(
            self,
            Self::Store(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. })
        )
    }

    /// The same as what is wrong with a recording.
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::Unusable(problem) => problem,
            Self::Changed => Problem::ChangedWhileRead,
            Self::Short { expected, found } => Problem::Store {
                detail: format!("the answer ended after {found} of {expected} bytes"),
                hint: "try again; an object that is always cut off has to be written anew".to_owned(),
                may_pass: true,
            },
            Self::System(error) => Problem::Io(error),
            Self::Store(error) => of_store(&error),
        }
    }

    /// The same of the object that people know as `name`.
    pub(super) fn told(self, name: &str) -> RecordError {
        RecordError::file(name, self.problem())
    }

    /// The same of an output.
    pub(super) fn of_output(self) -> io::Error {
        let is_forbidden = self.is_forbidden();
        match self.problem() {
            Problem::Io(error) => error,
            Problem::NotFound => io::Error::new(io::ErrorKind::NotFound, "there is nothing of this name"),
            Problem::Store { detail, hint, may_pass } => {
                let kind = if may_pass {
                    io::ErrorKind::ConnectionAborted
                } else if is_forbidden {
                    io::ErrorKind::PermissionDenied
                } else {
                    io::ErrorKind::InvalidInput
                };
                io::Error::new(kind, format!("{detail}: {hint}"))
            }
            other => io::Error::other(other.to_string()),
        }
    }
}

fn says(error: &object_store::Error, word: &str) -> bool {
    error.to_string().contains(word)
}

fn is_of_bucket(code: &str) -> bool {
    matches!(code, "NoSuchBucket" | "ContainerNotFound" | "ContainerBeingDeleted" | "InvalidBucketName")
}

fn of_store(error: &object_store::Error) -> Problem {
    let answer = Answer::of(error);
    let words = answer.words();
    let store = |detail: String, hint: &str, may_pass: bool| Problem::Store {
        detail,
        hint: hint.to_owned(),
        may_pass,
    };
    if is_of_bucket(&answer.code) {
        return store(
            format!("there is no such bucket ({})", answer.code),
            "check its name, and that AWS_ENDPOINT_URL and AWS_REGION are those of its store",
            false,
        );
    }
    match (error, answer.status) {
        (object_store::Error::NotFound { .. }, _) | (_, Some(404 | 410)) => Problem::NotFound,
        (object_store::Error::Precondition { .. }, _) | (_, Some(412)) => Problem::ChangedWhileRead,
        (object_store::Error::NotSupported { .. }, _) => {
            store("the server does not answer for ranges of an object".to_owned(), "download it first", false)
        }
        (object_store::Error::InvalidPath { source }, _) => store(
            match odd_key(source) {
                Some(key) => format!(
                    "the key {key:?} is no name of an object: empty parts, the parts . and .. and control characters are none"
                ),
                None => "not a name of an object: empty parts and the parts . and .. are none".to_owned(),
            },
            "name objects like s3://bucket/runs/a.parquet; where one of a folder has such a key, name the others, or a folder without it",
            false,
        ),
        (_, Some(400)) if is_expired(&answer.code) => {
            store(format!("the store refuses access ({words})"), access_hint(&answer.code), false)
        }
        (_, Some(401 | 403)) => {
            store(format!("the store refuses access ({words})"), access_hint(&answer.code), false)
        }
        (_, Some(301 | 302 | 307 | 308)) => other_region(),
        (_, Some(400)) if answer.code.starts_with("Authorization") => other_region(),
        (_, Some(408 | 429 | 500..)) => store(
            format!("the store failed ({words}), and all {TRIES} tries with it"),
            "try again later",
            true,
        ),
        (_, Some(_)) => store(format!("the store refuses the request ({words})"), "check the URL", false),
        (_, None) if says(error, "redirect without LOCATION") => other_region(),
        (_, None) => {
            let cause = last_cause(error);
            let is_of_transport = says(error, "HTTP error") || says(error, "Error performing");
            if is_of_transport {
                store(
                    format!("the store cannot be reached, or broke off: {cause}"),
                    "check the network and the endpoint, and try again",
                    true,
                )
            } else {
                store(
                    format!("the store cannot be asked: {cause}"),
                    "docs/stores.md says what it is asked with",
                    false,
                )
            }
        }
    }
}

/// The key that cannot be one.
fn odd_key(error: &object_store::path::Error) -> Option<&str> {
    match error {
        object_store::path::Error::EmptySegment { path }
        | object_store::path::Error::BadSegment { path, .. } => Some(path),
        _ => None,
    }
}

fn other_region() -> Problem {
    Problem::Store {
        detail: "the bucket is in another region".to_owned(),
        hint: "set AWS_REGION to that of the bucket".to_owned(),
        may_pass: false,
    }
}

fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredToken" | "TokenRefreshRequired" | "InvalidToken")
}

fn access_hint(code: &str) -> &'static str {
    match code {
        "InvalidAccessKeyId" => "the store knows no such key: check AWS_ACCESS_KEY_ID",
        "SignatureDoesNotMatch" => "the secret is not that of the key: check AWS_SECRET_ACCESS_KEY",
        code if is_expired(code) => {
            "the keys have expired: export new ones (AWS_SESSION_TOKEN goes with them)"
        }
        "RequestTimeTooSkewed" => "the clock of this machine is wrong",
        _ => {
            "the keys may not do this: check them, and what their owner may do; a signed URL may have expired"
        }
    }
}

/// The innermost cause, without addresses.
fn last_cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    let text = last.to_string();
    // What a store wrote may repeat the request.
    let text = text.split('<').next().unwrap_or_default();
    let words = text.split_whitespace().map(|word| if word.contains("://") { "..." } else { word });
    words.take(40).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    fn detail(error: object_store::Error) -> String {
        Failure::Store(error).problem().to_string()
    }

    #[test]
    fn cloud_answers_are_told_without_what_may_be_secret() {
        let text = "Server returned non-2xx status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>\
                    <StringToSign>SECRET</StringToSign></Error>";
        assert_eq!(detail(generic(text)), "the store refuses access (403 SignatureDoesNotMatch)");
        let text = "error sending request for https://h/x?sig=SECRET: connection refused";
        assert!(!detail(generic(text)).contains("SECRET"));
        let text = "complete failed: <Error><Message>SECRET</Message></Error>";
        assert!(!detail(generic(text)).contains("SECRET"));
        let text = "status code: 403 Forbidden: <Code>a SECRET request</Code>";
        assert_eq!(detail(generic(text)), "the store refuses access (403)");
    }

    #[test]
    fn cloud_answers_are_told_apart() {
        let missing = object_store::Error::NotFound {
            path: "x".to_owned(),
            source: "status code: 404 Not Found: <Code>NoSuchBucket</Code>".into(),
        };
        assert!(!Failure::Store(missing).is_not_found());
        assert!(detail(generic("status code: 503 Slow: <Code>SlowDown</Code>")).contains("503 SlowDown"));
        assert!(detail(generic("Received redirect without LOCATION")).contains("region"));
        assert!(Failure::Store(generic("status code: 416 x")).is_of_range());
        let refused = Failure::Short { expected: 10, found: 4 }.problem();
        assert!(matches!(refused, Problem::Store { may_pass: true, .. }), "{refused}");
    }
}
