//! Stored normalizer states: what every file of one says, whichever its format, and how our own are written.

use std::path::Path;

use crate::normalization::{
    Memory, MomentumUnit, NormalizerState, Prior, StoredPrecision, largest_magnitude,
};
use crate::results::{STATE_SCHEMA, StateDocument, StatePlace};

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
    /// Those of states that it went on from or was merged of.
    pub continues: Vec<String>,
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
            continues: Vec::new(),
            initial: Some(state.prior()),
            target: None,
            reward_scale: None,
            merge_obstacle: None,
            span: None,
            precision: StoredPrecision::Double,
            format: "simic JSON",
        }
    }

    /// The same after the rows of another, which it went on from.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        self.continues.extend(before.all_seen());
        if let (Some(span), Some(earlier)) = (&mut self.span, &before.span) {
            span.first = earlier.first.clone();
        }
        self
    }

    /// Fingerprints of all rows that it has seen, as far as they are known.
    pub fn all_seen(&self) -> impl Iterator<Item = String> {
        self.fingerprint.iter().chain(&self.continues).cloned()
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
            verdict: Vec::new(),
            merged: None,
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
            continues: self.continues.clone(),
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

    /// What must hold of every state: mean and variance of one length, at least 1; a count and an initial weight
    /// and variance of at least 0; a momentum in \[0, 1\]; an epsilon and a clip of at least 0; all of them finite.
    pub(super) fn check_frame(&self) -> Result<(), String> {
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
    ///
    /// # Errors
    /// What does not.
    pub fn check_moments(&self) -> Result<(), String> {
        if let Some(d) = (0..self.mean.len()).find(|d| !self.mean[*d].is_finite()) {
            return Err(format!("the mean of dimension {d} is {}, not a finite number", self.mean[d]));
        }
        let most = largest_magnitude(1);
        if let Some(d) = (0..self.mean.len()).find(|d| self.mean[*d].abs() > most) {
            return Err(format!("the mean of dimension {d} is {:e}: its square overflows", self.mean[d]));
        }
        match (0..self.var.len()).find(|d| !self.var[*d].is_finite() || self.var[*d] < 0.0) {
            Some(d) => {
                Err(format!("the variance of dimension {d} is {}, not a number at or above 0", self.var[d]))
            }
            None => Ok(()),
        }
    }
}
