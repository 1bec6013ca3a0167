//! Baseline documents: stored numbers that later results are checked against.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::results::{AnalysisResult, analysis_result, sorted};
use super::sources::InputFile;
use crate::baseline::Metric;

/// Schema this version writes.
const SCHEMA: &str = "simic.baseline/1";

/// Bytes at a file's beginning and end that its fingerprint is made of.
const FINGERPRINT_BYTES: u64 = 8 << 20;

/// A stored result. Fields in order of name, as the document is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Schema of the analysis's own document.
    pub analysis: String,
    /// Files by name, with a fingerprint each; empty where the result came as a document.
    pub inputs: BTreeMap<String, String>,
    /// Metrics in order of id.
    pub metrics: Vec<Metric>,
    /// Hash of the metrics (FNV-1a of their JSON).
    pub metrics_hash: String,
    /// Name of the check.
    pub name: String,
    schema: String,
    /// Seed, where the analysis has one.
    pub seed: Option<u64>,
    /// Settings of the analysis.
    pub settings: BTreeMap<String, Value>,
    /// Hash of the settings and the seed (FNV-1a of their JSON).
    pub settings_hash: String,
    /// Version of the program that made it.
    pub simic: String,
}

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

impl Baseline {
    /// A baseline of a result.
    pub fn new(name: &str, result: AnalysisResult, inputs: BTreeMap<String, String>) -> Self {
        let settings_hash = settings_hash(&result.settings, result.seed);
        Self {
            analysis: result.schema,
            inputs,
            metrics_hash: metrics_hash(&result.metrics),
            metrics: result.metrics,
            name: name.to_owned(),
            schema: SCHEMA.to_owned(),
            seed: result.seed,
            settings: result.settings.iter().map(|(key, value)| (key.clone(), sorted(value))).collect(),
            settings_hash,
            simic: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Reads a baseline document from its text; `place` names it in messages.
    ///
    /// # Errors
    /// Not JSON, not a baseline, another version, or damaged.
    pub fn parse(text: &[u8], place: &str) -> Result<Self, BaselineError> {
        let again = "restore it from version control; or make a new one: simic check record --force";
        let document: Value = serde_json::from_slice(text)
            .map_err(|error| BaselineError::new(place, format!("not JSON: {error}"), again))?;
        match document.get("schema").and_then(Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) if other.starts_with("simic.baseline/") => {
                let version = |schema: &str| schema.rsplit('/').next().and_then(|n| n.parse::<u32>().ok());
                let hint = if version(other) > version(SCHEMA) {
                    "a newer simic wrote it: upgrade this one"
                } else {
                    again
                };
                return Err(BaselineError::new(place, format!("schema {other}, expected {SCHEMA}"), hint));
            }
            _ => {
                let problem = format!("not a baseline: no \"schema\": \"{SCHEMA}\"");
                return Err(BaselineError::new(place, problem, again));
            }
        }
        let baseline: Self = serde_json::from_value(document)
            .map_err(|error| BaselineError::new(place, format!("damaged: {error}"), again))?;
        let damaged =
            |what: &str| Err(BaselineError::new(place, format!("damaged or edited: {what}"), again));
        if settings_hash(&baseline.settings, baseline.seed) != baseline.settings_hash {
            return damaged("settings_hash does not fit the settings");
        }
        if metrics_hash(&baseline.metrics) != baseline.metrics_hash {
            return damaged("metrics_hash does not fit the metrics");
        }
        if baseline.metrics.is_empty() {
            return damaged("it has no metrics");
        }
        Ok(baseline)
    }

    /// Reads a baseline document.
    ///
    /// # Errors
    /// As [`Baseline::parse`], or an unreadable file.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        let place = path.display().to_string();
        let text = std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                BaselineError::new(&place, "there is no baseline yet", "simic check record makes one")
            }
            _ => BaselineError::new(&place, error.to_string(), "name the document itself"),
        })?;
        Self::parse(&text, &place)
    }

    /// Reads a baseline as a revision of the repository around it has it.
    ///
    /// # Errors
    /// No git, no such revision or file, or as [`Baseline::parse`].
    pub fn read_revision(revision: &str, path: &Path) -> Result<Self, BaselineError> {
        let place = format!("{revision}:{}", path.display());
        if revision.is_empty() || revision.starts_with('-') {
            return Err(BaselineError::new(
                &place,
                "not a revision",
                "--baseline-rev origin/main, for instance",
            ));
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
            BaselineError::new(
                &place,
                format!("cannot run git: {error}"),
                "install git, or give --baseline FILE",
            )
        })?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            let line = message.lines().next().unwrap_or("git failed").trim_start_matches("fatal: ");
            let hint = "is the revision fetched (a shallow clone has one commit), and the baseline in it?";
            return Err(BaselineError::new(&place, line, hint));
        }
        Self::parse(&output.stdout, &place)
    }

    /// The document: pretty-printed, sorted by key, ending in a line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// The result this baseline holds.
    pub fn result(&self) -> AnalysisResult {
        AnalysisResult {
            schema: self.analysis.clone(),
            settings: self.settings.clone(),
            seed: self.seed,
            metrics: self.metrics.clone(),
        }
    }
}

/// Reads a baseline, or a result document as one without a name and inputs.
///
/// # Errors
/// Unreadable, or neither.
pub fn read_result_or_baseline(path: &Path) -> Result<Baseline, BaselineError> {
    let place = path.display().to_string();
    let hint = "name a baseline, or what an analysis printed with --format json";
    let text = std::fs::read(path).map_err(|error| BaselineError::new(&place, error.to_string(), hint))?;
    let document: Value = serde_json::from_slice(&text)
        .map_err(|error| BaselineError::new(&place, format!("not JSON: {error}"), hint))?;
    let schema = document.get("schema").and_then(Value::as_str).unwrap_or_default();
    if schema.starts_with("simic.baseline/") {
        return Baseline::parse(&text, &place);
    }
    let result = analysis_result(&document).map_err(|problem| BaselineError::new(&place, problem, hint))?;
    Ok(Baseline::new("", result, BTreeMap::new()))
}

/// Fingerprints of input files: length, and a hash of their beginning and end.
///
/// # Errors
/// Files that cannot be read.
pub fn fingerprints(files: &[InputFile]) -> Result<BTreeMap<String, String>, BaselineError> {
    files
        .iter()
        .map(|file| {
            let fingerprint = fingerprint(Path::new(&file.name))
                .map_err(|error| BaselineError::new(&file.name, error.to_string(), "is it still there?"))?;
            Ok((file.name.clone(), fingerprint))
        })
        .collect()
}

fn fingerprint(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(FINGERPRINT_BYTES).read_to_end(&mut bytes)?;
    if length > FINGERPRINT_BYTES {
        file.seek(SeekFrom::Start(length.saturating_sub(FINGERPRINT_BYTES).max(FINGERPRINT_BYTES)))?;
        file.read_to_end(&mut bytes)?;
    }
    Ok(format!("{length}-{:016x}", fnv1a(bytes)))
}

fn settings_hash(settings: &BTreeMap<String, Value>, seed: Option<u64>) -> String {
    let sorted: BTreeMap<&String, Value> = settings.iter().map(|(key, value)| (key, sorted(value))).collect();
    let text = serde_json::to_string(&(sorted, seed)).unwrap_or_default();
    format!("{:016x}", fnv1a(text.bytes()))
}

fn metrics_hash(metrics: &[Metric]) -> String {
    format!("{:016x}", fnv1a(serde_json::to_vec(metrics).unwrap_or_default()))
}

/// Fowler, Noll and Vo's hash (FNV-1a, 64 bits): tells accidents apart, no more is asked.
pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPLEY: &str = r#"{"schema":"simic.shapley/1","value":"val_accuracy","direction":"higher",
        "requested_method":"auto","confidence":0.95,"ci":"t","cluster":"episode","seed":0,
        "games":[
            {"run_id":"a","episode":0,"env_id":0,"baseline":0.1,"full":0.5,"players":[{"slot_id":"s","shapley":0.3}]},
            {"run_id":"a","episode":0,"env_id":1,"baseline":0.1,"full":0.7,"players":[{"slot_id":"s","shapley":0.5}]},
            {"run_id":"b","episode":0,"env_id":0,"baseline":0.2,"full":0.6,"players":[{"slot_id":"s","shapley":0.6}]}],
        "summary":[{"slot_id":"s","mean":0.5,"stderr":0.1,"n_units":2,"n_games":3,"ci_low":0.1,"ci_high":0.9}]}"#;

    fn result() -> AnalysisResult {
        analysis_result(&serde_json::from_str(SHAPLEY).expect("JSON")).expect("a result")
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
        let again = Baseline::parse(&bytes, "main.json").expect("sound");
        assert_eq!((&again, again.to_bytes()), (&baseline, bytes.clone()));
        let document: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(serde_json::to_string(&sorted(&document)).ok(), serde_json::to_string(&document).ok());
    }

    #[test]
    fn what_is_wrong_with_a_document_is_said() {
        let text = String::from_utf8(Baseline::new("x", result(), BTreeMap::new()).to_bytes()).expect("text");
        let problem = |text: &str| Baseline::parse(text.as_bytes(), "x.json").expect_err("refused");
        let newer = problem(&text.replace("simic.baseline/1", "simic.baseline/2"));
        assert!(newer.to_string().contains("simic.baseline/2") && newer.hint().contains("upgrade"));
        assert!(problem(&text.replace("simic.baseline/1", "simic.baseline/0")).hint().contains("record"));
        assert!(problem(&text[..200]).to_string().contains("not JSON"));
        assert!(problem(&text.replace("\"seed\": 0", "\"seed\": 1")).to_string().contains("settings_hash"));
        assert!(problem(&text.replace("\"n\": 2", "\"n\": 5")).to_string().contains("metrics_hash"));
        assert!(
            problem(&text.replace("\"value\": 0.5", "\"value\": 50.0")).to_string().contains("metrics_hash")
        );
        assert!(problem("{}").to_string().contains("not a baseline"));
        assert!(analysis_result(&serde_json::json!({"schema": "other/1"})).is_err());
    }
}
