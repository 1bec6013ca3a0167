//! The conventions of a normalizer as named fields.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much of the past a normalizer remembers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Memory {
    /// Full history: every row weighs the same (Welford, Chan).
    Welford,
    /// Exponential moving average: an update keeps `momentum` of the old state.
    Ema {
        /// Weight left of the old state after one update, in \[0, 1\].
        momentum: f64,
        /// What it is the momentum of.
        unit: MomentumUnit,
    },
}

/// What a momentum is left by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MomentumUnit {
    /// One update, however many rows it has.
    Update,
    /// One row: a batch of n rows leaves `momentum^n`.
    Row,
}

impl Memory {
    /// A moving average with one momentum per update.
    pub fn ema(momentum: f64) -> Self {
        Self::Ema { momentum, unit: MomentumUnit::Update }
    }

    /// The word of the state file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Welford => "welford",
            Self::Ema { .. } => "ema",
        }
    }

    /// What its momentum is of; updates where there is none.
    pub fn unit(self) -> MomentumUnit {
        match self {
            Self::Welford => MomentumUnit::Update,
            Self::Ema { unit, .. } => unit,
        }
    }

    /// The momentum, where there is one.
    pub fn momentum(self) -> Option<f64> {
        match self {
            Self::Welford => None,
            Self::Ema { momentum, .. } => Some(momentum),
        }
    }
}

/// How a moving average gets past its initial state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Warmup {
    /// Not at all: the initial state weighs m^K after K updates.
    None,
    /// Update k has weight (1-m)/(1-m^k): the initial state never counts.
    Debias,
    /// Full history until this many rows were seen.
    Welford(u64),
}

impl std::str::FromStr for Warmup {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            None if text == "debias" => Ok(Self::Debias),
            Some(("welford", n)) => {
                n.parse().map(Self::Welford).map_err(|_| format!("'{n}' is not a number of rows"))
            }
            _ => Err("expected none, debias or welford:N".to_owned()),
        }
    }
}

impl TryFrom<String> for Warmup {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Warmup> for String {
    fn from(warmup: Warmup) -> Self {
        match warmup {
            Warmup::None => "none".to_owned(),
            Warmup::Debias => "debias".to_owned(),
            Warmup::Welford(n) => format!("welford:{n}"),
        }
    }
}

/// Which bias correction is applied when the state is used, not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Correction {
    /// None.
    None,
    /// Removes the initial state from the first two raw moments exactly.
    Exact,
    /// TorchRL's: mean and variance divided by 1 - m^K each, which leaves (1-c) mean^2 in the variance.
    TorchRl,
}

/// JSON has no infinity: no bound is null.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn finite_or_null<S: Serializer>(bound: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    bound.is_finite().then_some(*bound).serialize(serializer)
}

fn number_or_unbounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}

/// The divisor: clamp(sqrt(var + inside_root), min, max) + outside_root.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Divisor {
    /// Added to the variance.
    pub inside_root: f64,
    /// Added to the standard deviation.
    pub outside_root: f64,
    /// Least standard deviation.
    pub min: f64,
    /// Greatest standard deviation; null in documents where there is none.
    #[serde(serialize_with = "finite_or_null", deserialize_with = "number_or_unbounded")]
    #[schemars(with = "Option<f64>")]
    pub max: f64,
}

impl Divisor {
    /// sqrt(var + epsilon).
    pub const fn inside(epsilon: f64) -> Self {
        Self { inside_root: epsilon, outside_root: 0.0, min: 0.0, max: f64::INFINITY }
    }

    /// sqrt(var) + epsilon.
    pub const fn outside(epsilon: f64) -> Self {
        Self { inside_root: 0.0, outside_root: epsilon, min: 0.0, max: f64::INFINITY }
    }

    /// max(sqrt(var), least).
    pub const fn at_least(least: f64) -> Self {
        Self { inside_root: 0.0, outside_root: 0.0, min: least, max: f64::INFINITY }
    }

    /// The divisor of a variance.
    #[inline]
    pub fn of(&self, variance: f64) -> f64 {
        let divisor = (variance + self.inside_root).sqrt().clamp(self.min, self.max) + self.outside_root;
        // Nothing to divide by: values pass through.
        if divisor == 0.0 { 1.0 } else { divisor }
    }

    /// The epsilon a state file records: wherever it enters.
    pub fn epsilon(&self) -> f64 {
        if self.inside_root > 0.0 {
            self.inside_root
        } else if self.outside_root > 0.0 {
            self.outside_root
        } else {
            self.min
        }
    }
}

/// Whether a batch is normalized with the state before or after its own update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// With the state before.
    NormalizeFirst,
    /// With the state after.
    UpdateFirst,
}

impl Order {
    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::NormalizeFirst => "normalize-first",
            Self::UpdateFirst => "update-first",
        }
    }
}

/// The state before any row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// Its weight in rows (Welford).
    pub count: f64,
    /// Mean of every dimension.
    pub mean: f64,
    /// Variance of every dimension.
    pub var: f64,
}

/// All conventions of a normalizer.
///
/// # Formula
/// An update with batch moments (b, v) of n rows and weight w:
/// `d = b - mean; mean += w d; var += w (v - var + (1-w) d^2)`, then `var = max(var, variance_floor v)`.
/// Welford: w = n/(count + n); EMA: w = 1 - m. A value x becomes
/// clamp((x - mean)/divisor(var), -clip, clip), without the mean where `center` is false.
///
/// # Source
/// Chan, Golub and LeVeque, STAN-CS-79-773, 1979; Finch, *Incremental calculation of weighted mean and
/// variance*, 2009, section 9.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// How much of the past is remembered.
    pub memory: Memory,
    /// Weight of the initial state, in rows (Welford).
    pub initial_count: f64,
    /// Initial mean.
    pub initial_mean: f64,
    /// Initial variance.
    pub initial_var: f64,
    /// How a moving average gets past its initial state.
    pub warmup: Warmup,
    /// Least variance as a share of the batch's.
    pub variance_floor: Option<f64>,
    /// Correction applied when the state is used.
    pub correction: Correction,
    /// Freeze once this many rows were seen.
    pub until: Option<u64>,
    /// Variance divides by n - ddof when used.
    pub ddof: u8,
    /// The divisor.
    pub divisor: Divisor,
    /// Whether the mean is subtracted.
    pub center: bool,
    /// Bound of the result.
    pub clip: Option<f64>,
    /// Before or after the update.
    pub order: Order,
    /// Values pass through (clipped) until this many rows were seen.
    pub raw_below: u64,
    /// Updates at the beginning that are skipped.
    pub skip_first: u64,
}

impl Rule {
    /// The contract's defaults for observations: ghost count 1e-4, epsilon 1e-4 inside the root, clip 10,
    /// normalized before the update.
    pub fn observations(memory: Memory) -> Self {
        Self {
            memory,
            initial_count: 1e-4,
            initial_mean: 0.0,
            initial_var: 1.0,
            warmup: Warmup::None,
            variance_floor: None,
            correction: Correction::None,
            until: None,
            ddof: 0,
            divisor: Divisor::inside(1e-4),
            center: true,
            clip: Some(10.0),
            order: Order::NormalizeFirst,
            raw_below: 0,
            skip_first: 0,
        }
    }

    /// The state before any row.
    pub fn prior(&self) -> Prior {
        Prior { count: self.initial_count, mean: self.initial_mean, var: self.initial_var }
    }

    /// The same rule from another initial state.
    #[must_use]
    pub fn from_prior(self, prior: Prior) -> Self {
        Self { initial_count: prior.count, initial_mean: prior.mean, initial_var: prior.var, ..self }
    }

    /// What keeps states under this rule from merging exactly, in words; `None` if nothing does.
    pub fn merge_obstacle(&self) -> Option<&'static str> {
        match (self.memory, self.warmup) {
            (Memory::Ema { .. }, Warmup::Debias | Warmup::Welford(_)) => {
                Some("its moving average has a warm-up")
            }
            (Memory::Ema { unit: MomentumUnit::Row, .. }, _) => {
                Some("its momentum is one of rows, not of updates")
            }
            _ if self.variance_floor.is_some() => Some("its variance has a floor"),
            _ if self.skip_first > 0 => Some("its first batch was never counted"),
            _ if self.until.is_some() => Some("it was frozen on the way"),
            _ => None,
        }
    }

    /// What of a normalizer's past decides on its next update and is in no state file, in words; `None` if nothing.
    pub fn resume_obstacle(&self) -> Option<&'static str> {
        let uses_initial_weight = self.warmup == Warmup::Debias || self.correction != Correction::None;
        match (self.memory, self.warmup) {
            (Memory::Ema { .. }, Warmup::Welford(_)) if uses_initial_weight => {
                Some("the weight its initial state has left after the warm-up")
            }
            (Memory::Ema { .. }, _) if uses_initial_weight && self.skip_first > 0 => {
                Some("the weight its initial state has left after the updates that were not counted")
            }
            _ => None,
        }
    }

    /// Whether the number of updates so far decides on the next one.
    pub fn counts_updates(&self) -> bool {
        let uses_initial_weight = self.warmup == Warmup::Debias || self.correction != Correction::None;
        uses_initial_weight && matches!(self.memory, Memory::Ema { unit: MomentumUnit::Update, .. })
    }

    /// The contract's scalar reward normalizer: running sample deviation, no mean, the first sample raw.
    pub fn rewards(memory: Memory) -> Self {
        Self {
            initial_count: 0.0,
            initial_var: 0.0,
            ddof: 1,
            divisor: Divisor::at_least(1e-8),
            center: false,
            order: Order::UpdateFirst,
            raw_below: 2,
            ..Self::observations(memory)
        }
    }
}
