//! Baseline documents: stored numbers that later results are checked against.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::place::Place;
use super::sources::InputFile;
use crate::results::{BASELINE_SCHEMA, Baseline, FIRST_BASELINE_SCHEMA, Measured, ResultDocument, fnv1a_hex};

/// Bytes at a file's beginning and end that its fingerprint is made of.
const FINGERPRINT_BYTES: u64 = 8 << 20;

/// A baseline that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct BaselineError {
    place: String,
    problem: String,
    hint: String,
}

impl BaselineError {
    fn new(place: &str, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place: place.to_owned(), problem: problem.into(), hint: hint.into() }
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// Reads a baseline document from its text; `place` names it in messages.
///
/// # Errors
/// Not JSON, not a baseline, another version, or damaged.
fn parse_baseline(text: &[u8], place: &str) -> Result<Baseline, BaselineError> {
    let again = "restore it from version control; or make a new one: simic check record --force";
    let document: Value = serde_json::from_slice(text)
        .map_err(|error| BaselineError::new(place, format!("not JSON: {error}"), again))?;
    match document.get("schema").and_then(Value::as_str) {
        Some(BASELINE_SCHEMA | FIRST_BASELINE_SCHEMA) => {}
        Some(other) if other.starts_with("simic.baseline/") => {
            let version = |schema: &str| schema.rsplit('/').next().and_then(|n| n.parse::<u32>().ok());
            let hint = if version(other) > version(BASELINE_SCHEMA) {
                "a newer simic wrote it: upgrade this one"
            } else {
                again
            };
            return Err(BaselineError::new(
                place,
                format!("schema {other}, expected {BASELINE_SCHEMA}"),
                hint,
            ));
        }
        _ => {
            let problem = format!("not a baseline: no \"schema\": \"{BASELINE_SCHEMA}\"");
            return Err(BaselineError::new(place, problem, again));
        }
    }
    let baseline: Baseline = serde_json::from_value(document)
        .map_err(|error| BaselineError::new(place, format!("damaged: {error}"), again))?;
    if let Some(what) = baseline.damage() {
        return Err(BaselineError::new(place, format!("damaged or edited: {what}"), again));
    }
    Ok(baseline)
}

/// Reads a baseline document.
///
/// # Errors
/// As `parse_baseline`, or an unreadable file.
pub fn read_baseline(path: &Path) -> Result<Baseline, BaselineError> {
    let place = path.display().to_string();
    let text = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            BaselineError::new(&place, "there is no baseline yet", "simic check record makes one")
        }
        _ => BaselineError::new(&place, error.to_string(), "name the document itself"),
    })?;
    parse_baseline(&text, &place)
}

/// Reads a baseline as a revision of the repository around it has it.
///
/// # Errors
/// No git, no such revision or file, or as `parse_baseline`.
pub fn read_baseline_revision(revision: &str, path: &Path) -> Result<Baseline, BaselineError> {
    let place = format!("{revision}:{}", path.display());
    if revision.is_empty() || revision.starts_with('-') {
        return Err(BaselineError::new(&place, "not a revision", "--baseline-rev origin/main, for instance"));
    }
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        let hint = "git looks from the baseline's folder, which has to be there: git checkout, or mkdir";
        return Err(BaselineError::new(&place, "its folder is not there", hint));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // "./" makes the name one relative to the folder git runs in; "--end-of-options" keeps a revision a revision.
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["show", "--end-of-options"]).arg(format!("{revision}:./{name}"));
    let output = command.output().map_err(|error| {
        BaselineError::new(&place, format!("cannot run git: {error}"), "install git, or give --baseline FILE")
    })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let line = message.lines().next().unwrap_or("git failed").trim_start_matches("fatal: ");
        let hint = "is the revision fetched (a shallow clone has one commit), and the baseline in it?";
        return Err(BaselineError::new(&place, line, hint));
    }
    parse_baseline(&output.stdout, &place)
}

/// Reads a baseline, or a result document as one without a name and inputs.
///
/// # Errors
/// Unreadable, or neither.
pub fn read_result_or_baseline(path: &Path) -> Result<Baseline, BaselineError> {
    let place = path.display().to_string();
    let hint = "name a baseline, or what an analysis printed with --format json";
    let text = read_unpacked(path).map_err(|error| BaselineError::new(&place, error.to_string(), hint))?;
    let document: Value = serde_json::from_slice(&text)
        .map_err(|error| BaselineError::new(&place, format!("not JSON: {error}"), hint))?;
    let schema = document.get("schema").and_then(Value::as_str).unwrap_or_default();
    if schema.starts_with("simic.baseline/") {
        return parse_baseline(&text, &place);
    }
    let result = Measured::read(&document).map_err(|problem| BaselineError::new(&place, problem, hint))?;
    Ok(Baseline::new("", result, BTreeMap::new()))
}

/// Reads a result document of any analysis, or several in an array.
///
/// # Errors
/// An unreadable file, not JSON, or no result that a page shows.
pub fn read_result_document(path: &Path) -> Result<Vec<ResultDocument>, BaselineError> {
    let place = path.display().to_string();
    let hint = "name what an analysis printed with --format json";
    let text = read_unpacked(path).map_err(|error| BaselineError::new(&place, error.to_string(), hint))?;
    let document: Value = serde_json::from_slice(&text)
        .map_err(|error| BaselineError::new(&place, format!("not JSON: {error}"), hint))?;
    ResultDocument::read(&document).map_err(|problem| BaselineError::new(&place, problem, hint))
}

/// Bytes that a packed document may unfold to.
const LARGEST_DOCUMENT: u64 = 1 << 31;

/// A file's contents, unpacked where they are packed with gzip: as a report holds large documents.
fn read_unpacked(path: &Path) -> std::io::Result<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(&bytes[..]).take(LARGEST_DOCUMENT + 1).read_to_end(&mut unpacked)?;
    if unpacked.len() as u64 > LARGEST_DOCUMENT {
        return Err(std::io::Error::other("it unfolds to more than 2 GiB"));
    }
    Ok(unpacked)
}

/// Fingerprints of input files: length, and a hash of their beginning and end.
///
/// # Errors
/// Files that cannot be read.
pub fn fingerprints(files: &[InputFile]) -> Result<BTreeMap<String, String>, BaselineError> {
    files
        .iter()
        .map(|file| {
            let failed = |error: String| BaselineError::new(&file.name, error, "is it still there?");
            let path = file.path_on_disk().unwrap_or(Path::new(&file.name));
            let fingerprint = match &file.place {
                Place::Object(object) => {
                    object.fingerprint(&file.name).map_err(|error| failed(error.problem.to_string()))?
                }
                Place::Path(_) | Place::Memory(_) => {
                    fingerprint(path, FINGERPRINT_BYTES).map_err(|error| failed(error.to_string()))?
                }
            };
            Ok((file.name.clone(), fingerprint))
        })
        .collect()
}

/// Length of a file, and a hash of its first and last `n_bytes`.
pub(super) fn fingerprint(path: &Path, n_bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(n_bytes).read_to_end(&mut bytes)?;
    if length > n_bytes {
        file.seek(SeekFrom::Start(length.saturating_sub(n_bytes).max(n_bytes)))?;
        file.read_to_end(&mut bytes)?;
    }
    Ok(fingerprint_of_ends(length, &bytes))
}

/// Length of a file, and a hash of its beginning and end.
pub(super) fn fingerprint_of_ends(length: u64, ends: &[u8]) -> String {
    format!("{length}-{}", fnv1a_hex(ends.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPLEY: &str = r#"{"schema":"simic.shapley/1","value":"val_accuracy","direction":"higher","method":"exact",
        "requested_method":"auto","confidence":0.95,"ci":"t","cluster":"episode","seed":0,
        "games":[
            {"run_id":"a","episode":0,"env_id":0,"n_players":1,"n_coalitions":2,"method":"exact","biased":false,
             "baseline":0.1,"full":0.5,"players":[{"slot_id":"s","shapley":0.3,"n_samples":1}]},
            {"run_id":"a","episode":0,"env_id":1,"n_players":1,"n_coalitions":2,"method":"exact","biased":false,
             "baseline":0.1,"full":0.7,"players":[{"slot_id":"s","shapley":0.5,"n_samples":1}]},
            {"run_id":"b","episode":0,"env_id":0,"n_players":1,"n_coalitions":2,"method":"exact","biased":false,
             "baseline":0.2,"full":0.6,"players":[{"slot_id":"s","shapley":0.6,"n_samples":1}]}],
        "summary":[{"slot_id":"s","mean":0.5,"stderr":0.1,"n_units":2,"n_games":3,"ci_low":0.1,"ci_high":0.9}],
        "input":{"files":1,"rows":6,"skipped":0}}"#;

    fn result() -> Measured {
        Measured::read(&serde_json::from_str(SHAPLEY).expect("JSON")).expect("a result")
    }

    #[test]
    fn units_are_averaged_before_they_count() {
        let result = result();
        let ids: Vec<&str> = result.metrics.iter().map(|metric| metric.id.as_str()).collect();
        assert_eq!(ids, ["shapley/s/mean", "value/empty/mean", "value/full/mean"]);
        let shapley = &result.metrics[0];
        assert!((shapley.samples["a/0"] - 0.4).abs() < 1e-15 && (shapley.samples["b/0"] - 0.6).abs() < 1e-15);
        assert_eq!((shapley.value, shapley.n, shapley.ci), (0.5, 2, Some((0.1, 0.9))));
        assert!((result.metrics[2].value - 0.6).abs() < 1e-15);
    }

    #[test]
    fn a_document_reads_back_to_the_bit_and_is_sorted() {
        let baseline = Baseline::new("main", result(), BTreeMap::from([("a.parquet".into(), "1-2".into())]));
        let bytes = baseline.to_bytes();
        let again = parse_baseline(&bytes, "main.json").expect("sound");
        assert_eq!((&again, again.to_bytes()), (&baseline, bytes.clone()));
        let document: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(
            serde_json::to_string(&crate::results::sorted(&document)).ok(),
            serde_json::to_string(&document).ok()
        );
    }

    #[test]
    fn what_is_wrong_with_a_document_is_said() {
        let text = String::from_utf8(Baseline::new("x", result(), BTreeMap::new()).to_bytes()).expect("text");
        let problem = |text: &str| parse_baseline(text.as_bytes(), "x.json").expect_err("refused");
        let newer = problem(&text.replace("simic.baseline/1", "simic.baseline/3"));
        assert!(newer.to_string().contains("simic.baseline/3") && newer.hint().contains("upgrade"));
        assert!(problem(&text.replace("simic.baseline/1", "simic.baseline/0")).hint().contains("record"));
        assert!(problem(&text[..200]).to_string().contains("not JSON"));
        assert!(problem(&text.replace("\"seed\": 0", "\"seed\": 1")).to_string().contains("settings_hash"));
        assert!(problem(&text.replace("\"n\": 2", "\"n\": 5")).to_string().contains("metrics_hash"));
        assert!(
            problem(&text.replace("\"value\": 0.5", "\"value\": 50.0")).to_string().contains("metrics_hash")
        );
        assert!(problem("{}").to_string().contains("not a baseline"));
        assert!(Measured::read(&serde_json::json!({"schema": "other/1"})).is_err());
    }
}
