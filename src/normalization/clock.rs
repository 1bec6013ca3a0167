//! How far a normalizer has come, and what that makes the next update weigh.

use serde::{Deserialize, Serialize};

use super::rule::{Correction, Memory, MomentumUnit, Rule, Warmup};
use super::segment::ema_weight;
use super::tile_layout::BatchUse;

/// How far a normalizer has come: all that the weight of its next update depends on, and no value of any row.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Clock {
    /// Weight the state had before any row (Welford).
    base: f64,
    rows: u64,
    updates: u64,
    /// Weight of the initial state under the EMA updates so far.
    prior: f64,
}

impl Clock {
    /// Before any row.
    pub(super) fn new(rule: &Rule) -> Self {
        Self { base: rule.initial_count, rows: 0, updates: 0, prior: 1.0 }
    }

    /// After so many updates with so many rows, `base` being the weight of a state before any row (Welford) and `prior` what a
    /// moving average has left of its initial state.
    pub(super) fn at(base: f64, rows: u64, updates: u64, prior: f64) -> Self {
        Self { base, rows, updates, prior }
    }

    /// The count of the state file: the weight (Welford) or the rows seen (EMA).
    pub(super) fn count(&self, rule: &Rule) -> f64 {
        match rule.memory {
            Memory::Welford => self.base + self.rows as f64,
            Memory::Ema { .. } => self.rows as f64,
        }
    }

    /// Weight of the initial state under a moving average.
    pub(super) fn prior(&self) -> f64 {
        self.prior
    }

    /// Rows seen.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Counts updates whose rows are seen elsewhere.
    pub(super) fn skip(&mut self, n_updates: u64) {
        self.updates += n_updates;
    }

    /// Updates made.
    pub(super) fn updates(&self) -> u64 {
        self.updates
    }

    /// Counts an update of `n` rows (at least one) and gives its weight: `None` where the rule leaves the state
    /// alone.
    pub(super) fn advance(&mut self, rule: &Rule, n: u64) -> Option<f64> {
        self.updates += 1;
        if self.updates <= rule.skip_first {
            return None;
        }
        let seen = self.rows;
        self.rows += n;
        if rule.until.is_some_and(|until| seen >= until) {
            return None;
        }
        let size = n as f64;
        Some(match (rule.memory, rule.warmup) {
            (Memory::Welford, _) => size / (self.base + self.rows as f64),
            (Memory::Ema { .. }, Warmup::Welford(least)) if seen < least => {
                self.prior = 0.0;
                size / self.rows as f64
            }
            (Memory::Ema { momentum, unit }, warmup) => {
                let w = ema_weight(momentum, unit, n);
                self.prior *= 1.0 - w;
                match warmup {
                    // (1-m)/(1-m^k), with m^k the weight a biased average would leave to its initial state.
                    Warmup::Debias if self.prior < 1.0 => w / (1.0 - self.prior),
                    _ => w,
                }
            }
        })
    }
}

/// What an update makes of the state that a device carries along.
#[derive(Debug, Clone, Copy)]
pub(super) struct CarriedWeight {
    /// Weight of the update in the state itself.
    pub(super) weight: f64,
    /// Weight in the state carried, and what it leaves of the one before.
    pub(super) enters: f64,
    pub(super) rest: f64,
}

impl Clock {
    /// Whether the state in use is the moving average without its initial state.
    pub(super) fn is_corrected(&self, rule: &Rule) -> bool {
        rule.correction != Correction::None && self.prior < 1.0
    }

    /// Counts an update of `n` rows (at least one): what it weighs in the state, and in the one without its initial state
    /// where the rule uses that.
    ///
    /// # Formula
    /// With p and p' the weight of the initial state before and after an update of weight w:
    /// `w' = w / (1 - p')`, which leaves `(1 - p) (1 - w) / (1 - p')`: the weights of an average without bias.
    pub(super) fn advance_carried(&mut self, rule: &Rule, n: u64) -> CarriedWeight {
        let before = self.prior;
        let Some(w) = self.advance(rule, n) else {
            return CarriedWeight { weight: 0.0, enters: 0.0, rest: 1.0 };
        };
        if !self.is_corrected(rule) {
            return CarriedWeight { weight: w, enters: w, rest: 1.0 - w };
        }
        let share = 1.0 - self.prior;
        CarriedWeight { weight: w, enters: w / share, rest: (1.0 - before) * (1.0 - w) / share }
    }

    /// How the state in use follows from the one that is carried.
    pub(super) fn in_use(&self, rule: &Rule) -> BatchUse {
        let unbias = self.unbias(rule);
        match rule.correction {
            Correction::TorchRl if self.is_corrected(rule) => {
                BatchUse { unbias, odds: self.prior / (1.0 - self.prior), prior: self.prior }
            }
            _ => BatchUse { unbias, ..BatchUse::PLAIN },
        }
    }

    /// What a population variance is multiplied by to divide by n - ddof instead of n; 1 below that many rows.
    pub(super) fn unbias(&self, rule: &Rule) -> f64 {
        let (n, ddof) = (self.rows as f64, f64::from(rule.ddof));
        if n > ddof { n / (n - ddof) } else { 1.0 }
    }
}

/// What the batches weigh, setting by setting; 0 where a batch leaves a state alone.
pub(super) enum BatchWeights {
    /// The same weight for every batch.
    Constant(f64),
    /// One weight for each.
    Each(Vec<f64>),
}

impl BatchWeights {
    /// What is left of a state after all of `n` batches, by what each leaves.
    pub(super) fn kept(&self, n: usize, left_by: impl Fn(f64) -> f64) -> f64 {
        match self {
            Self::Constant(weight) => left_by(*weight).powf(n as f64),
            Self::Each(weights) => weights.iter().map(|weight| left_by(*weight)).product(),
        }
    }
}

impl Clock {
    /// Counts updates of these numbers of rows (none of 0) and gives their weights, 0 where the rule leaves the state alone.
    pub(super) fn advance_all(&mut self, rule: &Rule, n: &[u64]) -> BatchWeights {
        let is_plain = rule.warmup == Warmup::None && rule.until.is_none() && rule.skip_first <= self.updates;
        if let Memory::Ema { momentum, unit: MomentumUnit::Update } = rule.memory
            && is_plain
            && n.iter().all(|n| *n > 0)
        {
            self.rows += n.iter().sum::<u64>();
            self.updates += n.len() as u64;
            self.prior *= momentum.powf(n.len() as f64);
            return BatchWeights::Constant(ema_weight(momentum, MomentumUnit::Update, 1));
        }
        let mut weight = |n: u64| if n == 0 { None } else { self.advance(rule, n) };
        BatchWeights::Each(n.iter().map(|n| weight(*n).unwrap_or(0.0)).collect())
    }
}
