//! Consecutive updates as one value that merges: the monoid everything that scales rests on.

use super::rule::{Memory, MomentumUnit};

/// Mean and population variance of one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanVar {
    /// Mean.
    pub mean: f64,
    /// Population variance.
    pub var: f64,
}

/// What consecutive updates do to any state before them, for one dimension.
///
/// Welford: `weight` is the number of rows, and segments commute. EMA: `weight` is the share 1 - m^K the
/// updates themselves have, m^K being left for whatever came before; order matters.
///
/// # Formula
/// Both are mixtures. Merging (w1, mu1, v1) and then (w2, mu2, v2), EMA first scaling w1 by 1 - w2:
/// `W = w1 + w2; d = mu2 - mu1; mu = mu1 + d w2/W; v = (w1 v1 + w2 v2)/W + (w1 w2/W^2) d^2`.
///
/// # Source
/// Chan, Golub and LeVeque, STAN-CS-79-773, 1979; West, CACM 22(9), 1979 (weights); Finch, 2009 (EMA).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    kind: Kind,
    weight: f64,
    mean: f64,
    var: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Welford,
    Ema,
}

impl Segment {
    /// No updates at all.
    pub fn identity(memory: Memory) -> Self {
        let kind = match memory {
            Memory::Welford => Kind::Welford,
            Memory::Ema { .. } => Kind::Ema,
        };
        Self { kind, weight: 0.0, mean: 0.0, var: 0.0 }
    }

    /// One update: a batch of `n` rows with this mean and population variance.
    pub fn batch(memory: Memory, n: u64, mean: f64, var: f64) -> Self {
        let weight = match memory {
            Memory::Welford => n as f64,
            Memory::Ema { momentum, unit } => ema_weight(momentum, unit, n),
        };
        Self { weight, mean, var, ..Self::identity(memory) }
    }

    /// Updates known by their weight and moments.
    pub(super) fn with_weight(memory: Memory, weight: f64, mean: f64, var: f64) -> Self {
        Self { weight, mean, var, ..Self::identity(memory) }
    }

    /// Appends one update.
    pub fn push(&mut self, memory: Memory, n: u64, mean: f64, var: f64) {
        *self = self.merge(Self::batch(memory, n, mean, var));
    }

    /// These updates, then `later`.
    ///
    /// Associative; the identity on either side changes nothing.
    ///
    /// # Panics
    /// If one is of Welford and the other of EMA: our own mistake.
    #[must_use]
    pub fn merge(self, later: Self) -> Self {
        assert!(self.kind == later.kind, "segments of one kind");
        let before = match self.kind {
            Kind::Welford => self.weight,
            Kind::Ema => self.weight * (1.0 - later.weight),
        };
        if later.weight == 0.0 {
            return self;
        }
        if before == 0.0 {
            // What came before is forgotten (m = 0) or was nothing.
            return later;
        }
        let weight = before + later.weight;
        let MeanVar { mean, var } = mixed(self.moments(), later.moments(), later.weight / weight);
        Self { kind: self.kind, weight, mean, var }
    }

    /// Rows (Welford), or the share of the state that these updates make up (EMA).
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Mean of the updates' own mixture.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Population variance of the updates' own mixture.
    pub fn var(&self) -> f64 {
        self.var
    }

    fn moments(&self) -> MeanVar {
        MeanVar { mean: self.mean, var: self.var }
    }

    /// The state after these updates, from one before them of weight `count` (Welford).
    pub fn apply(&self, count: f64, before: MeanVar) -> MeanVar {
        let share = match self.kind {
            Kind::Welford if self.weight == 0.0 => 0.0,
            Kind::Welford => self.weight / (count + self.weight),
            Kind::Ema => self.weight,
        };
        mixed(before, self.moments(), share)
    }
}

/// The largest magnitude of values whose statistics over `n_rows` rows are sure to be finite.
///
/// # Formula
/// sqrt(max/n)/4: differences of two such values, squared and summed over all rows, stay below a quarter of the largest
/// 64-bit number.
pub fn largest_magnitude(n_rows: u64) -> f64 {
    (f64::MAX / n_rows.max(1) as f64).sqrt() / 4.0
}

/// Moments of a mixture in which `own` weighs `w` and `before` what is left.
///
/// What is all but replaced leaves no rounding behind: an initial variance of 1 beside one of 1e-18, say.
#[inline]
pub(super) fn mixed(before: MeanVar, own: MeanVar, w: f64) -> MeanVar {
    let (rest, delta) = (1.0 - w, own.mean - before.mean);
    if w > 0.5 {
        MeanVar { mean: own.mean - rest * delta, var: rest * (before.var + w * delta * delta) + w * own.var }
    } else {
        MeanVar {
            mean: before.mean + w * delta,
            var: before.var + w * (own.var - before.var + rest * delta * delta),
        }
    }
}

/// Weight of a batch of `n` rows in a moving average.
pub(super) fn ema_weight(momentum: f64, unit: MomentumUnit, n: u64) -> f64 {
    if unit == MomentumUnit::Update || n == 1 {
        return 1.0 - momentum;
    }
    // 1 - m^n without cancellation for m near 1.
    if momentum == 0.0 { 1.0 } else { -(n as f64 * momentum.ln()).exp_m1() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_batches_by_hand() {
        // Rows 1, 3 then 5: mean 3, population variance 8/3.
        let welford =
            Segment::batch(Memory::Welford, 2, 2.0, 1.0).merge(Segment::batch(Memory::Welford, 1, 5.0, 0.0));
        assert!((welford.mean() - 3.0).abs() < 1e-15 && (welford.var() - 8.0 / 3.0).abs() < 1e-15);
        // m = 1/2: own weights 1/4 and 1/2, so shares 1/3 and 2/3.
        let half = Memory::ema(0.5);
        let ema = Segment::batch(half, 2, 2.0, 1.0).merge(Segment::batch(half, 1, 5.0, 0.0));
        assert_eq!(ema.weight(), 0.75);
        assert!((ema.mean() - 4.0).abs() < 1e-15);
        assert!((ema.var() - (1.0 / 3.0 + 2.0)).abs() < 1e-14);
    }

    #[test]
    fn extreme_momenta() {
        let forget = Memory::ema(0.0);
        let merged = Segment::batch(forget, 4, 1.0, 2.0).merge(Segment::batch(forget, 4, 5.0, 3.0));
        assert_eq!((merged.weight(), merged.mean(), merged.var()), (1.0, 5.0, 3.0));
        let frozen = Segment::batch(Memory::ema(1.0), 4, 1.0, 2.0);
        let before = MeanVar { mean: 7.0, var: 9.0 };
        assert_eq!(frozen.apply(0.0, before), before);
    }
}
