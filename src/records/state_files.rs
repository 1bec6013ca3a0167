//! Files of stored normalizer states: our own JSON and safetensors, and what frameworks leave in checkpoints.
//!
//! Everything is read as data, within a budget of depth, items and bytes; nothing in a checkpoint is ever executed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use super::budget::{self, Budget};
use super::error::{Problem, RecordError};
use super::pickle::{Pickle, decode_numbers};
use super::states::{StateSpan, StoredState};
use crate::normalization::{MomentumUnit, Prior, StoredPrecision};
use crate::results::{STATE_SCHEMA, StateDocument};

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

/// Which state of a file that holds several.
#[derive(Debug, Clone, Copy)]
pub struct StateWanted<'a> {
    /// What is normalized: obs, reward or return.
    pub target: &'a str,
    /// Features of a data set that observations are, one after the other; none for the usual one.
    pub features: &'a [String],
}

impl StoredState {
    /// Reads a state that is to be used; `target` picks one where a file holds several.
    ///
    /// # Errors
    /// As [`StoredState::read_claim`], and means or variances that no rows have.
    pub fn read(path: &Path, target: &str) -> Result<Self, RecordError> {
        Self::read_wanted(path, StateWanted { target, features: &[] })
    }

    /// The same of these features.
    ///
    /// # Errors
    /// Likewise.
    pub fn read_wanted(path: &Path, wanted: StateWanted<'_>) -> Result<Self, RecordError> {
        let state = Self::read_wanted_claim(path, wanted)?;
        state.check_moments().map_err(|detail| bad_state(path, detail))?;
        Ok(state)
    }

    /// Reads a state that is to be judged: its means and variances may be anything.
    ///
    /// # Errors
    /// Files that cannot be read, are of no known format or hold no state of the asked kind, and states whose
    /// numbers beside the moments contradict themselves.
    pub fn read_claim(path: &Path, target: &str) -> Result<Self, RecordError> {
        Self::read_wanted_claim(path, StateWanted { target, features: &[] })
    }

    /// The same of these features.
    ///
    /// # Errors
    /// Likewise.
    pub fn read_wanted_claim(path: &Path, wanted: StateWanted<'_>) -> Result<Self, RecordError> {
        let target = wanted.target;
        let name = path.display().to_string();
        let failed = |detail: String| bad_state(path, detail);
        std::fs::metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => RecordError::file(&name, Problem::NotFound),
            _ => RecordError::file(&name, error),
        })?;
        let mut head = Vec::new();
        let file = File::open(path).map_err(|error| RecordError::file(&name, error))?;
        file.take(16).read_to_end(&mut head).map_err(|error| RecordError::file(&name, error))?;
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let state = match extension.as_deref() {
            Some("json") => read_json(path, wanted),
            Some("safetensors") => read_safetensors(path, wanted),
            Some("npz") => read_npz(path, target),
            Some("pkl" | "pickle") => read_pickle(path, target),
            Some("pt" | "pth") => read_torch(path),
            _ if head.trim_ascii_start().starts_with(b"{") => read_json(path, wanted),
            _ if head.starts_with(b"PK") => read_torch(path).or_else(|_| read_npz(path, target)),
            _ if head.starts_with(b"\x80") => read_pickle(path, target),
            _ => Err("neither JSON, safetensors, npz, a pickle nor a PyTorch checkpoint".to_owned()),
        };
        let state = state.map_err(failed)?;
        state.check_frame().map_err(failed)?;
        Ok(state)
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
        continues: Vec::new(),
        initial: None,
        target: None,
        reward_scale: None,
        merge_obstacle: None,
        span: None,
        precision: mean.precision,
        format,
    }
}

fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    budget::check_size("a file", bytes.len() as u64, most)?;
    Ok(bytes)
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
        continues: document.continues,
        initial,
        target: document.target,
        reward_scale: document.reward_scale,
        merge_obstacle: document.merge_obstacle,
        span: document.from.zip(document.to).map(|(first, last)| StateSpan { first, last }),
        ..bare(Numbers::double(document.mean), Numbers::double(document.var), Some(document.count), format)
    })
}

fn read_json(path: &Path, wanted: StateWanted<'_>) -> Result<StoredState, String> {
    let text = String::from_utf8(read_bytes(path, budget::DOCUMENT_BYTES)?)
        .map_err(|_| "not UTF-8 text".to_owned())?;
    if let Ok(document) = serde_json::from_str::<StateDocument>(&text) {
        return of_document(document, "simic JSON");
    }
    budget::check_size("a file", text.len() as u64, budget::FILE_BYTES)?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if let Some(statistics) = value.get("norm_stats").and_then(serde_json::Value::as_object) {
        return of_openpi(statistics, wanted);
    }
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

/// Statistics of openpi's features (`norm_stats.json`).
fn of_openpi(
    statistics: &serde_json::Map<String, serde_json::Value>,
    wanted: StateWanted<'_>,
) -> Result<StoredState, String> {
    let numbers = |feature: &str, what: &str| -> Option<Numbers> {
        let values = statistics.get(feature)?.get(what)?.as_array()?;
        let values = values.iter().map(|x| x.as_f64().unwrap_or(f64::NAN));
        Some(Numbers::double(values.collect()))
    };
    let known: Vec<&str> = statistics.keys().map(String::as_str).collect();
    of_features(&known, wanted, &["state", "observation.state"], "openpi norm_stats.json", numbers)
}

/// The state of the wanted ones of several features, by their means and deviations.
fn of_features(
    known: &[&str],
    wanted: StateWanted<'_>,
    usual: &[&str],
    format: &'static str,
    numbers: impl Fn(&str, &str) -> Option<Numbers>,
) -> Result<StoredState, String> {
    let there = || listed(known.iter().copied());
    let features: Vec<&str> = if wanted.features.is_empty() {
        let usual = if wanted.target == "obs" { usual } else { &["next.reward", "reward"] };
        let only = || known.iter().find(|_| known.len() == 1 && wanted.target == "obs");
        let found = usual.iter().find(|name| known.contains(name)).or_else(only);
        vec![found.ok_or_else(|| {
            format!("no {} among its features ({}): name one with --obs", usual[0], there())
        })?]
    } else {
        wanted.features.iter().map(String::as_str).collect()
    };
    let (mut mean, mut var, mut count) = (Numbers::double(Vec::new()), Numbers::double(Vec::new()), None);
    for feature in features {
        let of = |what: &str| {
            numbers(feature, what)
                .ok_or_else(|| format!("no {what} of '{feature}' (there are features {})", there()))
        };
        let (part, deviations) = (of("mean")?, of("std")?);
        mean.precision = part.precision;
        mean.values.extend(part.values);
        var.values.extend(deviations.values.iter().map(|sd| sd * sd));
        count = numbers(feature, "count").and_then(|count| count.first()).or(count);
    }
    Ok(StoredState {
        kind: Some("welford".to_owned()),
        initial: Some(Prior { count: 0.0, mean: 0.0, var: 1.0 }),
        ..bare(mean, var, count, format)
    })
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

fn read_safetensors(path: &Path, wanted: StateWanted<'_>) -> Result<StoredState, String> {
    use safetensors::SafeTensors;
    let bytes = read_bytes(path, budget::MODEL_BYTES)?;
    if let Some(length) = bytes.first_chunk::<8>() {
        budget::check_size("a header", u64::from_le_bytes(*length), budget::HEADER_BYTES)?;
    }
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
    let missing =
        |name: &str| format!("no tensor '{name}' (there are: {})", listed(tensors.names().into_iter()));
    let names = tensors.names();
    let known: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".mean")).collect();
    if numbers("mean")?.is_none() && !known.is_empty() {
        let of = |feature: &str, what: &str| numbers(&format!("{feature}.{what}")).ok().flatten();
        return of_features(&known, wanted, &["observation.state"], "LeRobot policy statistics", of);
    }
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

/// Names for a message: the first ones, each cut short.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let shown: Vec<String> = names.take(12).map(|name| name.chars().take(64).collect()).collect();
    shown.join(", ")
}

fn read_npz(path: &Path, target: &str) -> Result<StoredState, String> {
    let bytes = read_bytes(path, budget::FILE_BYTES)?;
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let names: Vec<String> =
        archive.file_names().filter_map(Result::ok).map(std::borrow::Cow::into_owned).collect();
    let budget = Budget::new();
    let mut numbers = |field: &str| -> Result<Option<Numbers>, String> {
        let candidates = [field.to_owned(), format!("{target}_{field}"), format!("{target}_rms_{field}")];
        let is_it = |name: &&String| candidates.contains(&name.trim_end_matches(".npy").to_owned());
        let Some(name) = names.iter().find(is_it) else { return Ok(None) };
        let failed = |detail: String| format!("array {name}: {detail}");
        let entry = archive.by_name(name).map_err(|error| failed(error.to_string()))?;
        let bytes = budget.read(entry).map_err(failed)?;
        npy_numbers(&bytes).map(Some).map_err(failed)
    };
    let mean = numbers("mean")?;
    let var = numbers("var")?;
    let count = numbers("count")?.and_then(|count| count.first());
    let missing =
        |field: &str| format!("no array '{field}' (there are: {})", listed(names.iter().map(String::as_str)));
    Ok(bare(mean.ok_or_else(|| missing("mean"))?, var.ok_or_else(|| missing("var"))?, count, "npz"))
}

/// Numbers of a NumPy file, in C order: magic, version, length of the header, header, data.
///
/// # Source
/// NumPy, `numpy/lib/_format_impl.py`, versions 1 to 3.
fn npy_numbers(bytes: &[u8]) -> Result<Numbers, String> {
    let cut = || "it ends early".to_owned();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not a NumPy array")?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (length, rest) = if version[0] == 1 {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    } else {
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        (usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX), rest)
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header: String = String::from_utf8_lossy(header).split_whitespace().collect();
    let after = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start_matches(['\'', '"']));
    if after("'fortran_order':").is_some_and(|value| value.starts_with("True")) {
        return Err("it is in Fortran order".to_owned());
    }
    let dtype = after("'descr':").and_then(|rest| rest.split(['\'', '"']).next()).unwrap_or_default();
    let values = decode_numbers(dtype, data).ok_or_else(|| {
        format!("numbers of type '{}', not f8, f4 or integers", listed([dtype].into_iter()))
    })?;
    let shape = after("'shape':(").and_then(|rest| rest.split(')').next()).unwrap_or_default();
    let mut sides = shape.split(',').filter(|side| !side.is_empty()).map(|side| side.parse::<usize>().ok());
    let n = sides.try_fold(1usize, |n, side| n.checked_mul(side?));
    if n != Some(values.len()) {
        return Err(format!("shape ({shape}) for {} numbers", values.len()));
    }
    Ok(if dtype.ends_with("f4") { Numbers::single(values) } else { Numbers::double(values) })
}

fn read_pickle(path: &Path, target: &str) -> Result<StoredState, String> {
    let pickle = Pickle::read(&read_bytes(path, budget::FILE_BYTES)?)?;
    let root = pickle.root();
    let name = if target == "obs" { "obs_rms" } else { "ret_rms" };
    // VecNormalize holds two of them; a pickled RunningMeanStd is one itself.
    let named = pickle.field(root, name)?;
    let state = named.unwrap_or(root);
    let stored = |place: usize, field: &str| -> Result<Option<Numbers>, String> {
        let Some(id) = pickle.field(place, field)? else { return Ok(None) };
        let Some(values) = pickle.numbers(id)? else { return Ok(None) };
        Ok(Some(if pickle.is_single(id) { Numbers::single(values) } else { Numbers::double(values) }))
    };
    let (Some(mean), Some(var)) = (stored(state, "mean")?, stored(state, "var")?) else {
        let keys = pickle.keys(state);
        let mut several = false;
        for key in &keys {
            if let Some(inner) = pickle.field(state, key)? {
                several |= pickle.field(inner, "mean")?.is_some();
            }
        }
        return Err(if several {
            format!(
                "{name} holds one state per observation key ({}): not one vector",
                listed(keys.iter().map(String::as_str))
            )
        } else {
            let fields = pickle.keys(root);
            let fields = listed(fields.iter().map(String::as_str));
            format!("no {name} with mean and var in it (fields: {fields})")
        });
    };
    let single = |place: usize, field: &str| -> Result<Option<f64>, String> {
        Ok(stored(place, field)?.and_then(|numbers| numbers.first()))
    };
    Ok(StoredState {
        kind: Some("welford".to_owned()),
        epsilon: single(root, "epsilon")?,
        clip: single(root, if target == "obs" { "clip_obs" } else { "clip_reward" })?,
        initial: Some(Prior { count: 1e-4, mean: 0.0, var: 1.0 }),
        target: named.map(|_| target.to_owned()),
        ..bare(mean, var, single(state, "count")?, "Stable-Baselines3 pickle")
    })
}

/// Refuses a checkpoint that would unfold: a pickle larger than one that names tensors. In an archive only that is
/// read before a tensor is asked for; other containers are read whole.
fn check_torch(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    let Ok(mut archive) = zip::ZipArchive::new(BufReader::new(file)) else {
        return budget::check_size("a file", size, budget::TORCH_BYTES);
    };
    let is_pickle = |name: &std::borrow::Cow<'_, str>| name.rsplit('/').next() == Some("data.pkl");
    let Some(name) =
        archive.file_names().filter_map(Result::ok).find(is_pickle).map(std::borrow::Cow::into_owned)
    else {
        return Ok(());
    };
    let pickle = archive.by_name(&name).map_err(|error| error.to_string())?;
    let most = budget::TORCH_BYTES;
    let inflated = std::io::copy(&mut pickle.take(most + 1), &mut std::io::sink());
    budget::check_size("a pickle", inflated.map_err(|error| error.to_string())?, most)
}

fn read_torch(path: &Path) -> Result<StoredState, String> {
    use pytorch_reader::{DType, PytorchReader};
    check_torch(path)?;
    let budget = Budget::new();
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
        // A view may claim more numbers than its storage holds.
        budget.items(tensor.num_elements())?;
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
        format!("no tensor named {what} (there are: {})", listed(names.iter().map(String::as_str)))
    };
    Ok(bare(
        mean.ok_or_else(|| missing("mean or _mean"))?,
        var.ok_or_else(|| missing("var or _var"))?,
        count,
        "PyTorch checkpoint",
    ))
}
