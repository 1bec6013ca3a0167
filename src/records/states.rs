//! Stored normalizer states: our own JSON and safetensors, and what frameworks leave in checkpoints.
//!
//! Everything is read as data; nothing in a checkpoint is ever executed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use super::error::{Problem, RecordError};
use super::pickle::Pickle;
use crate::normalization::{Memory, MomentumUnit, NormalizerState, Prior, StoredPrecision};
use crate::results::{STATE_SCHEMA, StateDocument, StatePlace};

/// Largest checkpoint read whole.
const MAX_BYTES: u64 = 1 << 30;

/// A stored state with what its file says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredState {
    /// Kind, where the file says.
    pub kind: Option<String>,
    /// Momentum, where the file says.
    pub momentum: Option<f64>,
    /// What it is the momentum of; updates where the file does not say.
    pub momentum_unit: MomentumUnit,
    /// Count, where the file says.
    pub count: Option<f64>,
    /// Means.
    pub mean: Vec<f64>,
    /// Variances.
    pub var: Vec<f64>,
    /// Epsilon, where the file says.
    pub epsilon: Option<f64>,
    /// Clip, where the file says.
    pub clip: Option<f64>,
    /// Updates, where the file says.
    pub batches: Option<u64>,
    /// Fingerprint of the rows seen, where the file says.
    pub fingerprint: Option<String>,
    /// Initial state, where the file says.
    pub initial: Option<Prior>,
    /// What was normalized, where the file says.
    pub target: Option<String>,
    /// What rewards were divided by the deviation of, where the file says: `return`, else themselves.
    pub reward_scale: Option<String>,
    /// Why the state cannot be merged exactly, if so.
    pub merge_obstacle: Option<String>,
    /// Which rows were seen.
    pub span: Option<StateSpan>,
    /// How exactly the file holds its means.
    pub precision: StoredPrecision,
    /// Which format the file has, in words.
    pub format: &'static str,
}

/// Rows of consecutive runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSpan {
    /// First step.
    pub first: StatePlace,
    /// Last step.
    pub last: StatePlace,
}

/// Metadata of an esper-lite checkpoint.
#[derive(Debug, Deserialize)]
struct EsperMetadata {
    #[serde(rename = "obs_normalizer_mean")]
    mean: Vec<f64>,
    #[serde(rename = "obs_normalizer_var")]
    var: Vec<f64>,
    #[serde(rename = "obs_normalizer_count", default)]
    count: Option<f64>,
    #[serde(rename = "obs_normalizer_momentum", default)]
    momentum: Option<f64>,
}

impl StoredState {
    /// A state ready to be stored.
    pub fn of(state: &NormalizerState, epsilon: f64, clip: Option<f64>) -> Self {
        Self {
            kind: Some(state.memory.name().to_owned()),
            momentum: state.memory.momentum(),
            momentum_unit: state.memory.unit(),
            count: Some(state.count),
            mean: state.mean.clone(),
            var: state.var.clone(),
            epsilon: Some(epsilon),
            clip,
            batches: Some(state.batches),
            fingerprint: None,
            initial: Some(state.prior()),
            target: None,
            reward_scale: None,
            merge_obstacle: None,
            span: None,
            precision: StoredPrecision::Double,
            format: "simic JSON",
        }
    }

    /// The state to go on from, under `memory`.
    pub fn resume(&self, memory: Memory) -> NormalizerState {
        let prior = self.initial.unwrap_or(Prior { count: 0.0, mean: 0.0, var: 1.0 });
        let count = self.count.unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of rows")]
        let batches = self.batches.unwrap_or(count.max(0.0) as u64);
        NormalizerState {
            memory,
            count,
            mean: self.mean.clone(),
            var: self.var.clone(),
            batches,
            initial_count: prior.count,
            initial_mean: prior.mean,
            initial_var: prior.var,
        }
    }

    /// The document.
    pub fn document(&self) -> StateDocument {
        let prior = self.initial;
        StateDocument {
            schema: STATE_SCHEMA.to_owned(),
            kind: self.kind.clone().unwrap_or_else(|| "welford".to_owned()),
            momentum: self.momentum,
            momentum_unit: (self.momentum_unit == MomentumUnit::Row).then_some(MomentumUnit::Row),
            count: self.count.unwrap_or(0.0),
            mean: self.mean.clone(),
            var: self.var.clone(),
            epsilon: self.epsilon,
            clip: self.clip,
            batches: self.batches,
            fingerprint: self.fingerprint.clone(),
            initial_count: prior.map(|prior| prior.count),
            initial_mean: prior.map(|prior| prior.mean),
            initial_var: prior.map(|prior| prior.var),
            target: self.target.clone(),
            reward_scale: self.reward_scale.clone(),
            merge_obstacle: self.merge_obstacle.clone(),
            from: self.span.as_ref().map(|span| span.first.clone()),
            to: self.span.as_ref().map(|span| span.last.clone()),
        }
    }

    /// The JSON document.
    pub fn to_json(&self) -> String {
        self.document().to_json()
    }

    /// The file of this name: safetensors by extension, else JSON.
    pub fn to_bytes(&self, path: &Path) -> Vec<u8> {
        let is_safetensors = path.extension().is_some_and(|name| name.eq_ignore_ascii_case("safetensors"));
        if is_safetensors { self.to_safetensors() } else { self.to_json().into_bytes() }
    }

    /// The safetensors file: `mean`, `var`, `count`, with the rest as its metadata.
    pub fn to_safetensors(&self) -> Vec<u8> {
        use safetensors::tensor::{Dtype, TensorView};
        let bytes = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (mean, var, count) = (bytes(&self.mean), bytes(&self.var), bytes(&[self.count.unwrap_or(0.0)]));
        let view = |shape: usize, bytes| TensorView::new(Dtype::F64, vec![shape], bytes);
        let tensors = [
            ("mean", view(self.mean.len(), &mean)),
            ("var", view(self.var.len(), &var)),
            ("count", view(1, &count)),
        ];
        let tensors: Vec<(&str, TensorView<'_>)> =
            tensors.into_iter().filter_map(|(name, view)| view.ok().map(|view| (name, view))).collect();
        let metadata = [("simic".to_owned(), self.to_json())].into_iter().collect();
        let Ok(bytes) = safetensors::serialize(tensors, Some(metadata)) else {
            unreachable!("three tensors in memory always fit")
        };
        bytes
    }

    /// Reads a state that is to be used; `target` picks one where a file holds several.
    ///
    /// # Errors
    /// As [`StoredState::read_claim`], and means or variances that no rows have.
    pub fn read(path: &Path, target: &str) -> Result<Self, RecordError> {
        let state = Self::read_claim(path, target)?;
        state.check_moments().map_err(|detail| bad_state(path, detail))?;
        Ok(state)
    }

    /// Reads a state that is to be judged: its means and variances may be anything.
    ///
    /// # Errors
    /// Files that cannot be read, are of no known format or hold no state of the asked kind, and states whose
    /// numbers beside the moments contradict themselves.
    pub fn read_claim(path: &Path, target: &str) -> Result<Self, RecordError> {
        let name = path.display().to_string();
        let failed = |detail: String| bad_state(path, detail);
        let size = std::fs::metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => RecordError::file(&name, Problem::NotFound),
            _ => RecordError::file(&name, error),
        })?;
        if size.len() > MAX_BYTES {
            return Err(failed(format!("{} bytes are more than a state has", size.len())));
        }
        let mut head = Vec::new();
        let file = File::open(path).map_err(|error| RecordError::file(&name, error))?;
        file.take(16).read_to_end(&mut head).map_err(|error| RecordError::file(&name, error))?;
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let state = match extension.as_deref() {
            Some("json") => read_json(path),
            Some("safetensors") => read_safetensors(path),
            Some("npz") => read_npz(path, target),
            Some("pkl" | "pickle") => read_pickle(path, target),
            Some("pt" | "pth") => read_torch(path),
            _ if head.trim_ascii_start().starts_with(b"{") => read_json(path),
            _ if head.starts_with(b"PK") => read_torch(path).or_else(|_| read_npz(path, target)),
            _ if head.starts_with(b"\x80") => read_pickle(path, target),
            _ => Err("neither JSON, safetensors, npz, a pickle nor a PyTorch checkpoint".to_owned()),
        };
        let state = state.map_err(failed)?;
        state.check_frame().map_err(failed)?;
        Ok(state)
    }

    /// What must hold of every state: mean and variance of one length, at least 1; a count and an initial weight
    /// and variance of at least 0; a momentum in \[0, 1\]; an epsilon and a clip of at least 0; all of them finite.
    fn check_frame(&self) -> Result<(), String> {
        if self.mean.len() != self.var.len() {
            return Err(format!("{} means but {} variances", self.mean.len(), self.var.len()));
        }
        if self.mean.is_empty() {
            return Err("the state has no dimensions".to_owned());
        }
        if let Some(momentum) = self.momentum.filter(|momentum| !(0.0..=1.0).contains(momentum)) {
            return Err(format!("momentum {momentum} is not in [0, 1]"));
        }
        let initial = self.initial;
        let numbers = [
            ("count", self.count),
            ("initial count", initial.map(|prior| prior.count)),
            ("initial variance", initial.map(|prior| prior.var)),
            ("epsilon", self.epsilon),
            ("clip", self.clip),
        ];
        let is_bad = |value: f64| !value.is_finite() || value < 0.0;
        let bad = numbers.iter().find_map(|(name, value)| value.filter(|x| is_bad(*x)).map(|x| (name, x)));
        if let Some((name, value)) = bad {
            return Err(format!("{name} {value} is not a number at or above 0"));
        }
        match initial.map(|prior| prior.mean).filter(|mean| !mean.is_finite()) {
            Some(mean) => Err(format!("initial mean {mean} is not a finite number")),
            None => Ok(()),
        }
    }

    /// What must hold of the moments of any rows.
    fn check_moments(&self) -> Result<(), String> {
        if let Some(d) = (0..self.mean.len()).find(|d| !self.mean[*d].is_finite()) {
            return Err(format!("the mean of dimension {d} is {}, not a finite number", self.mean[d]));
        }
        match (0..self.var.len()).find(|d| !self.var[*d].is_finite() || self.var[*d] < 0.0) {
            Some(d) => {
                Err(format!("the variance of dimension {d} is {}, not a number at or above 0", self.var[d]))
            }
            None => Ok(()),
        }
    }
}

fn bad_state(path: &Path, detail: String) -> RecordError {
    RecordError::file(path.display().to_string(), Problem::BadState(detail))
}

/// Numbers of one tensor, array or list.
struct Numbers {
    values: Vec<f64>,
    precision: StoredPrecision,
}

impl Numbers {
    fn single(values: Vec<f64>) -> Self {
        Self { values, precision: StoredPrecision::Single }
    }

    fn double(values: Vec<f64>) -> Self {
        Self { values, precision: StoredPrecision::Double }
    }

    fn first(&self) -> Option<f64> {
        self.values.first().copied()
    }
}

fn bare(mean: Numbers, var: Numbers, count: Option<f64>, format: &'static str) -> StoredState {
    StoredState {
        kind: None,
        momentum: None,
        momentum_unit: MomentumUnit::Update,
        count,
        mean: mean.values,
        var: var.values,
        epsilon: None,
        clip: None,
        batches: None,
        fingerprint: None,
        initial: None,
        target: None,
        reward_scale: None,
        merge_obstacle: None,
        span: None,
        precision: mean.precision,
        format,
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| error.to_string())
}

fn of_document(document: StateDocument, format: &'static str) -> Result<StoredState, String> {
    if document.schema != STATE_SCHEMA {
        return Err(format!(
            "schema {} where this version reads {STATE_SCHEMA}; a newer simic may have written it",
            document.schema
        ));
    }
    if !["welford", "ema"].contains(&document.kind.as_str()) {
        return Err(format!("kind '{}' is neither welford nor ema", document.kind));
    }
    if (document.kind == "ema") != document.momentum.is_some() {
        return Err(format!(
            "kind {} and momentum {:?} contradict each other",
            document.kind, document.momentum
        ));
    }
    let initial = match (document.initial_count, document.initial_mean, document.initial_var) {
        (Some(count), Some(mean), Some(var)) => Some(Prior { count, mean, var }),
        (None, None, None) => None,
        _ => return Err("initial_count, initial_mean and initial_var go together".to_owned()),
    };
    Ok(StoredState {
        kind: Some(document.kind),
        momentum: document.momentum,
        momentum_unit: document.momentum_unit.unwrap_or(MomentumUnit::Update),
        epsilon: document.epsilon,
        clip: document.clip,
        batches: document.batches,
        fingerprint: document.fingerprint,
        initial,
        target: document.target,
        reward_scale: document.reward_scale,
        merge_obstacle: document.merge_obstacle,
        span: document.from.zip(document.to).map(|(first, last)| StateSpan { first, last }),
        ..bare(Numbers::double(document.mean), Numbers::double(document.var), Some(document.count), format)
    })
}

fn read_json(path: &Path) -> Result<StoredState, String> {
    let text = String::from_utf8(read_bytes(path)?).map_err(|_| "not UTF-8 text".to_owned())?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    // A checkpoint's metadata may stand by itself or under its key.
    for place in [Some(&value), value.get("metadata"), value.get("checkpoint_metadata")].into_iter().flatten()
    {
        if place.get("obs_normalizer_mean").is_some() {
            let metadata = serde_json::from_value(place.clone()).map_err(|error| error.to_string())?;
            return Ok(of_esper(metadata));
        }
    }
    let document = serde_json::from_value(value).map_err(|error| error.to_string())?;
    of_document(document, "simic JSON")
}

fn of_esper(metadata: EsperMetadata) -> StoredState {
    StoredState {
        kind: Some(if metadata.momentum.is_some() { "ema" } else { "welford" }.to_owned()),
        momentum: metadata.momentum,
        ..bare(
            Numbers::double(metadata.mean),
            Numbers::double(metadata.var),
            metadata.count,
            "esper-lite checkpoint metadata",
        )
    }
}

fn read_safetensors(path: &Path) -> Result<StoredState, String> {
    use safetensors::SafeTensors;
    let bytes = read_bytes(path)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| error.to_string())?;
    let own = SafeTensors::read_metadata(&bytes).ok().and_then(|(_, metadata)| {
        metadata.metadata().as_ref().and_then(|entries| entries.get("simic").cloned())
    });
    if let Some(text) = own {
        let document = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        return of_document(document, "simic safetensors");
    }
    let numbers = |name: &str| -> Result<Option<Numbers>, String> {
        let Ok(tensor) = tensors.tensor(name) else { return Ok(None) };
        let data = tensor.data();
        let values = match tensor.dtype() {
            safetensors::Dtype::F64 => Some(Numbers::double(words(data, f64::from_le_bytes))),
            safetensors::Dtype::F32 => {
                Some(Numbers::single(words(data, |raw| f64::from(f32::from_le_bytes(raw)))))
            }
            safetensors::Dtype::I64 => {
                Some(Numbers::double(words(data, |raw| i64::from_le_bytes(raw) as f64)))
            }
            _ => None,
        };
        values.map(Some).ok_or_else(|| format!("tensor {name} is neither f64, f32 nor i64"))
    };
    let missing = |name: &str| format!("no tensor '{name}' (there are: {})", tensors.names().join(", "));
    let mean = numbers("mean")?.ok_or_else(|| missing("mean"))?;
    let var = numbers("var")?.ok_or_else(|| missing("var"))?;
    let count = numbers("count")?.and_then(|count| count.first());
    Ok(bare(mean, var, count, "safetensors"))
}

/// Little-endian words of N bytes as numbers.
fn words<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes
        .chunks_exact(N)
        .map(|chunk| {
            let mut raw = [0u8; N];
            raw.copy_from_slice(chunk);
            convert(raw)
        })
        .collect()
}

fn read_npz(path: &Path, target: &str) -> Result<StoredState, String> {
    use ndarray::{ArrayD, OwnedRepr};
    use ndarray_npy::NpzReader;
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut archive = NpzReader::new(BufReader::new(file)).map_err(|error| error.to_string())?;
    let names = archive.names().map_err(|error| error.to_string())?;
    let mut numbers = |field: &str| -> Result<Option<Numbers>, String> {
        let candidates = [field.to_owned(), format!("{target}_{field}"), format!("{target}_rms_{field}")];
        let is_it = |name: &&String| candidates.contains(&name.trim_end_matches(".npy").to_owned());
        let Some(name) = names.iter().find(is_it) else { return Ok(None) };
        if let Ok(array) = archive.by_name::<OwnedRepr<f64>, ndarray::IxDyn>(name) {
            return Ok(Some(Numbers::double(array.iter().copied().collect())));
        }
        if let Ok(array) = archive.by_name::<OwnedRepr<f32>, ndarray::IxDyn>(name) {
            return Ok(Some(Numbers::single(array.iter().map(|value| f64::from(*value)).collect())));
        }
        let array: ArrayD<i64> = archive.by_name(name).map_err(|error| format!("array {name}: {error}"))?;
        Ok(Some(Numbers::double(array.iter().map(|value| *value as f64).collect())))
    };
    let mean = numbers("mean")?;
    let var = numbers("var")?;
    let count = numbers("count")?.and_then(|count| count.first());
    let missing = |field: &str| format!("no array '{field}' (there are: {})", names.join(", "));
    Ok(bare(mean.ok_or_else(|| missing("mean"))?, var.ok_or_else(|| missing("var"))?, count, "npz"))
}

fn read_pickle(path: &Path, target: &str) -> Result<StoredState, String> {
    let pickle = Pickle::read(&read_bytes(path)?)?;
    let root = pickle.root();
    let name = if target == "obs" { "obs_rms" } else { "ret_rms" };
    // VecNormalize holds two of them; a pickled RunningMeanStd is one itself.
    let named = pickle.field(root, name);
    let state = named.unwrap_or(root);
    let numbers = |field: &str| pickle.field(state, field).and_then(|id| pickle.numbers(id));
    let stored = |field: &str| {
        let values = numbers(field)?;
        let is_single = pickle.field(state, field).is_some_and(|id| pickle.is_single(id));
        Some(if is_single { Numbers::single(values) } else { Numbers::double(values) })
    };
    let (Some(mean), Some(var)) = (stored("mean"), stored("var")) else {
        let keys = pickle.keys(state);
        let several = keys
            .iter()
            .any(|key| pickle.field(state, key).is_some_and(|inner| pickle.field(inner, "mean").is_some()));
        return Err(if several {
            format!("{name} holds one state per observation key ({}): not one vector", keys.join(", "))
        } else {
            format!("no {name} with mean and var in it (fields: {})", pickle.keys(root).join(", "))
        });
    };
    let single = |field: &str| {
        pickle.field(root, field).and_then(|id| pickle.numbers(id)).and_then(|x| x.first().copied())
    };
    Ok(StoredState {
        kind: Some("welford".to_owned()),
        epsilon: single("epsilon"),
        clip: single(if target == "obs" { "clip_obs" } else { "clip_reward" }),
        initial: Some(Prior { count: 1e-4, mean: 0.0, var: 1.0 }),
        target: named.map(|_| target.to_owned()),
        ..bare(
            mean,
            var,
            numbers("count").and_then(|count| count.first().copied()),
            "Stable-Baselines3 pickle",
        )
    })
}

fn read_torch(path: &Path) -> Result<StoredState, String> {
    use pytorch_reader::{DType, PytorchReader};
    // esper-lite keeps its observation statistics as plain lists beside the weights.
    if let Ok(metadata) = PytorchReader::load_config::<EsperMetadata, _>(path, Some("metadata")) {
        return Ok(of_esper(metadata));
    }
    let reader = PytorchReader::new(path).map_err(|error| error.to_string())?;
    let mut names = reader.keys();
    names.sort();
    let numbers = |ends: &[&str]| -> Result<Option<Numbers>, String> {
        let is_it = |name: &&String| {
            let last = name.rsplit('.').next().unwrap_or(name);
            ends.contains(&last) && !name.contains("critic")
        };
        let Some(tensor) = names.iter().find(is_it).and_then(|name| reader.get(name)) else {
            return Ok(None);
        };
        let bytes = tensor.read().map_err(|error| error.to_string())?;
        let values = match tensor.dtype() {
            DType::F64 => Numbers::double(words(&bytes, f64::from_le_bytes)),
            DType::F32 => Numbers::single(words(&bytes, |raw| f64::from(f32::from_le_bytes(raw)))),
            DType::I64 => Numbers::double(words(&bytes, |raw| i64::from_le_bytes(raw) as f64)),
            other => return Err(format!("tensor {} is {other:?}, not f64, f32 or i64", tensor.name)),
        };
        Ok(Some(values))
    };
    let mean = numbers(&["_mean", "mean", "running_mean"])?;
    let var = numbers(&["_var", "var", "running_var"])?;
    let count = numbers(&["count"])?.and_then(|count| count.first());
    let missing = |what: &str| {
        let shown: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
        format!("no tensor named {what} (there are: {})", shown.join(", "))
    };
    Ok(bare(
        mean.ok_or_else(|| missing("mean or _mean"))?,
        var.ok_or_else(|| missing("var or _var"))?,
        count,
        "PyTorch checkpoint",
    ))
}
