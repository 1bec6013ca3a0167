//! The state of a normalizer and its recurrence.

use serde::{Deserialize, Serialize};

use super::clock::{BatchWeights, Clock};
use super::rule::{Correction, Memory, MomentumUnit, Prior, Rule};
use super::segment::{MeanVar, mixed};

/// Moments of the rows a state has seen, the initial state left out; one number per dimension each.
#[derive(Debug, Clone, PartialEq)]
pub struct RowsAlone {
    /// Means.
    pub mean: Vec<f64>,
    /// Population variances.
    pub var: Vec<f64>,
}

/// [`Memory`] by its fields alone: where it is carried as bytes, no word tells its kind.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Memory")]
enum PlainMemory {
    Welford,
    Ema { momentum: f64, unit: MomentumUnit },
}

/// A normalizer's stored state: what a state file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NormalizerState {
    /// How much of the past is remembered.
    #[serde(with = "PlainMemory")]
    pub memory: Memory,
    /// Welford: the weight of the state, the initial count included. EMA: rows seen.
    pub count: f64,
    /// Means.
    pub mean: Vec<f64>,
    /// Population variances.
    pub var: Vec<f64>,
    /// Updates.
    pub batches: u64,
    /// Weight of the initial state, in rows (Welford).
    pub initial_count: f64,
    /// Initial mean.
    pub initial_mean: f64,
    /// Initial variance.
    pub initial_var: f64,
}

impl NormalizerState {
    /// The initial state.
    pub fn prior(&self) -> Prior {
        Prior { count: self.initial_count, mean: self.initial_mean, var: self.initial_var }
    }

    /// The weight the initial state still has: c0/count (Welford), m^K (EMA; product over updates).
    pub fn prior_weight(&self) -> f64 {
        match self.memory {
            Memory::Welford if self.count > 0.0 => self.initial_count / self.count,
            Memory::Welford => 1.0,
            Memory::Ema { momentum, unit: MomentumUnit::Update } => momentum.powf(self.batches as f64),
            Memory::Ema { momentum, unit: MomentumUnit::Row } => momentum.powf(self.count),
        }
    }

    /// This state without its initial one: mean and variance of the rows alone; `None` if there are none.
    ///
    /// # Formula
    /// With s the weight of the initial (mu0, v0): `mean' = mean + (mean - mu0) s/(1-s)`,
    /// `var' = (var - s v0)/(1-s) - s (mean' - mu0)^2`.
    pub fn without_prior(&self) -> Option<RowsAlone> {
        let share = self.prior_weight();
        if share >= 1.0 {
            return None;
        }
        let rest = 1.0 - share;
        let mean: Vec<f64> =
            self.mean.iter().map(|mean| mean + (mean - self.initial_mean) * share / rest).collect();
        let var = self.var.iter().zip(&mean).map(|(var, mean)| {
            let delta = mean - self.initial_mean;
            ((var - share * self.initial_var) / rest - share * delta * delta).max(0.0)
        });
        let var = var.collect();
        Some(RowsAlone { mean, var })
    }
}

/// A normalizer between updates.
#[derive(Debug, Clone)]
pub struct Normalizer {
    rule: Rule,
    clock: Clock,
    mean: Vec<f64>,
    var: Vec<f64>,
}

impl Normalizer {
    /// The initial state.
    pub fn new(rule: Rule, width: usize) -> Self {
        Self {
            rule,
            clock: Clock::new(&rule),
            mean: vec![rule.initial_mean; width],
            var: vec![rule.initial_var; width],
        }
    }

    /// Goes on from a stored state, which keeps the initial state it came from.
    pub fn resume(rule: Rule, state: &NormalizerState) -> Self {
        let rule = rule.from_prior(state.prior());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of rows")]
        let rows = match state.memory {
            Memory::Welford => (state.count - state.initial_count).max(0.0).round() as u64,
            Memory::Ema { .. } => state.count.max(0.0).round() as u64,
        };
        let base = match state.memory {
            Memory::Welford => state.count - rows as f64,
            Memory::Ema { .. } => rule.initial_count,
        };
        Self {
            rule,
            clock: Clock::at(base, rows, state.batches, state.prior_weight()),
            mean: state.mean.clone(),
            var: state.var.clone(),
        }
    }

    /// The conventions.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Values per row.
    pub fn width(&self) -> usize {
        self.mean.len()
    }

    /// Rows seen.
    pub fn rows(&self) -> u64 {
        self.clock.rows()
    }

    /// Updates made.
    pub fn updates(&self) -> u64 {
        self.clock.updates()
    }

    /// Means.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Population variances.
    pub fn var(&self) -> &[f64] {
        &self.var
    }

    /// The count of the state file: the weight (Welford) or the rows seen (EMA).
    pub fn count(&self) -> f64 {
        self.clock.count(&self.rule)
    }

    /// The state as stored.
    pub fn state(&self) -> NormalizerState {
        NormalizerState {
            memory: self.rule.memory,
            count: self.count(),
            mean: self.mean.clone(),
            var: self.var.clone(),
            batches: self.clock.updates(),
            initial_count: self.rule.initial_count,
            initial_mean: self.rule.initial_mean,
            initial_var: self.rule.initial_var,
        }
    }

    /// One update with a batch of `n` rows; none for an empty batch or once frozen.
    ///
    /// The recurrence is that of [`Rule`].
    pub fn update(&mut self, n: u64, mean: &[f64], var: &[f64]) {
        if n == 0 {
            return;
        }
        let Some(w) = self.clock.advance(&self.rule, n) else { return };
        self.mix(w, mean, var);
        if let Some(floor) = self.rule.variance_floor {
            for (own, var) in self.var.iter_mut().zip(var) {
                *own = own.max(floor * var);
            }
        }
    }

    /// Weight an update with `n` more rows would have; `None` where it would leave the state alone.
    pub fn next_weight(&self, n: u64) -> Option<f64> {
        let mut clock = self.clock;
        clock.advance(&self.rule, n)
    }

    /// How far it has come.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// Many updates at once: what they make up of the state afterwards (`share`), their own mixture's moments,
    /// and how far they lead.
    pub(super) fn append(&mut self, share: f64, mean: &[f64], var: &[f64], clock: Clock) {
        self.clock = clock;
        if share > 0.0 {
            self.mix(share, mean, var);
        }
    }

    /// What batches of these numbers of rows weigh, and how far they lead.
    pub(super) fn weigh(&self, n: &[u64]) -> (BatchWeights, Clock) {
        let mut clock = self.clock;
        (clock.advance_all(&self.rule, n), clock)
    }

    /// So many updates pass, whatever they do to the state: its values are those of before.
    pub(super) fn pass_updates(&mut self, n: u64) {
        self.clock.skip(n);
    }

    /// The state is one found elsewhere.
    pub(super) fn move_to(&mut self, mean: &[f64], var: &[f64], clock: Clock) {
        self.mean.copy_from_slice(mean);
        self.var.copy_from_slice(var);
        self.clock = clock;
    }

    /// The state becomes a mixture of itself and moments of weight `w`.
    fn mix(&mut self, w: f64, mean: &[f64], var: &[f64]) {
        let state = self.mean.iter_mut().zip(self.var.iter_mut());
        for ((own_mean, own_var), (mean, var)) in state.zip(mean.iter().zip(var)) {
            let before = MeanVar { mean: *own_mean, var: *own_var };
            let after = mixed(before, MeanVar { mean: *mean, var: *var }, w);
            (*own_mean, *own_var) = (after.mean, after.var);
        }
    }

    fn unbias(&self) -> f64 {
        self.clock.unbias(&self.rule)
    }

    /// Variances as the rule uses them: divided by n - ddof.
    pub fn used_var(&self) -> Vec<f64> {
        let unbias = self.unbias();
        self.var.iter().map(|var| var * unbias).collect()
    }

    /// What values are multiplied by, and what is subtracted before, with the state as it is.
    ///
    /// # Formula
    /// `x -> (x - center) * inverse`; center 0 where the rule does not subtract the mean, inverse 1/divisor.
    pub fn scaling(&self, center: &mut [f64], inverse: &mut [f64]) {
        let rule = &self.rule;
        if self.clock.rows() < rule.raw_below {
            center.fill(0.0);
            inverse.fill(1.0);
            return;
        }
        let unbias = self.unbias();
        let states = self.mean.iter().zip(&self.var);
        for ((center, inverse), (mean, var)) in center.iter_mut().zip(inverse.iter_mut()).zip(states) {
            let MeanVar { mean, var } = self.corrected(MeanVar { mean: *mean, var: *var });
            *center = if rule.center { mean } else { 0.0 };
            *inverse = 1.0 / rule.divisor.of(var * unbias);
        }
    }

    /// Means and variances as they are used, where those are the state's own.
    pub(super) fn own_in_use(&self) -> Option<(&[f64], &[f64])> {
        let rule = &self.rule;
        let is_own =
            rule.correction == Correction::None && rule.ddof == 0 && self.clock.rows() >= rule.raw_below;
        is_own.then_some((&self.mean, &self.var))
    }

    /// Whether values between these extremes may reach the clip: false where none does, whatever the divisor's last digits.
    pub(super) fn may_clip(&self, min: &[f64], max: &[f64]) -> bool {
        let Some(clip) = self.rule.clip else { return false };
        let Some((mean, var)) = self.own_in_use().filter(|_| self.rule.center) else { return true };
        // Squares need no root and no division; near the clip the values themselves are looked at.
        let divisor = self.rule.divisor;
        let (near, least, greatest) = (0.999 * clip * clip, divisor.min.powi(2), divisor.max.powi(2));
        let states = mean.iter().zip(var).zip(min.iter().zip(max));
        let reaches = states.map(|((mean, var), (min, max))| {
            let (above, below) = (max - mean, mean - min);
            let reach = if above > below { above } else { below };
            let inside = var + divisor.inside_root;
            let inside = if inside > least { inside } else { least };
            let inside = if inside < greatest { inside } else { greatest };
            // What is no number reaches it.
            u64::from(reach * reach < near * inside) ^ 1
        });
        // All of them, as wide as numbers are: many at a time.
        reaches.fold(0, |any, reaches| any | reaches) != 0
    }

    /// The state as it is used: corrected, variances divided by n - ddof; nothing where values are left as they are.
    pub(super) fn in_use(&self) -> impl Iterator<Item = MeanVar> {
        let is_used = self.clock.rows() >= self.rule.raw_below;
        let unbias = self.unbias();
        let states = self.mean.iter().zip(&self.var).filter(move |_| is_used);
        states.map(move |(mean, var)| {
            let MeanVar { mean, var } = self.corrected(MeanVar { mean: *mean, var: *var });
            MeanVar { mean, var: var * unbias }
        })
    }

    /// The state as a device carries it along: without its initial one where the rule corrects for that.
    pub(super) fn carried(&self) -> impl Iterator<Item = MeanVar> {
        let is_corrected = self.clock.is_corrected(&self.rule);
        let states = self.mean.iter().zip(&self.var).map(|(mean, var)| MeanVar { mean: *mean, var: *var });
        states.map(move |state| if is_corrected { self.without_initial(state) } else { state })
    }

    #[inline]
    fn without_initial(&self, state: MeanVar) -> MeanVar {
        let (share, mu0, v0) = (1.0 - self.clock.prior(), self.rule.initial_mean, self.rule.initial_var);
        let own = mu0 + (state.mean - mu0) / share;
        let delta = own - mu0;
        let var = (state.var - self.clock.prior() * v0) / share - self.clock.prior() * delta * delta;
        MeanVar { mean: own, var: var.max(0.0) }
    }

    #[inline]
    fn corrected(&self, state: MeanVar) -> MeanVar {
        let share = 1.0 - self.clock.prior();
        match self.rule.correction {
            Correction::None => state,
            _ if share <= 0.0 => state,
            Correction::Exact => self.without_initial(state),
            Correction::TorchRl => MeanVar { mean: state.mean / share, var: state.var / share },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Warmup;
    use super::*;

    #[test]
    fn the_contract_by_hand() {
        // Ghost (1e-4, 0, 1), then rows 1 and 3.
        let mut welford = Normalizer::new(Rule::observations(Memory::Welford), 1);
        welford.update(2, &[2.0], &[1.0]);
        let (c0, n) = (1e-4, 2.0);
        assert!((welford.mean()[0] - 2.0 * n / (n + c0)).abs() < 1e-15);
        assert!((welford.var()[0] - (c0 + n + 4.0 * c0 * n / (n + c0)) / (n + c0)).abs() < 1e-15);
        assert!((welford.count() - 2.0001).abs() < 1e-12);
        let mut ema = Normalizer::new(Rule::observations(Memory::ema(0.9)), 1);
        ema.update(2, &[2.0], &[1.0]);
        assert!((ema.mean()[0] - 0.2).abs() < 1e-15);
        assert!((ema.var()[0] - (0.9 + 0.1 + 0.09 * 4.0)).abs() < 1e-15);
        assert_eq!(ema.count(), 2.0);
    }

    #[test]
    fn momentum_zero_follows_and_one_never_moves() {
        for (momentum, expected) in [(0.0, (5.0, 2.0)), (1.0, (0.0, 1.0))] {
            let mut normalizer = Normalizer::new(Rule::observations(Memory::ema(momentum)), 1);
            normalizer.update(4, &[-3.0], &[9.0]);
            normalizer.update(4, &[5.0], &[2.0]);
            assert_eq!((normalizer.mean()[0], normalizer.var()[0]), expected);
        }
    }

    #[test]
    fn a_debiased_average_forgets_its_initial_state() {
        let exact = |rule: Rule| {
            let mut normalizer = Normalizer::new(rule, 1);
            normalizer.update(1, &[10.0], &[0.5]);
            normalizer.update(1, &[12.0], &[0.25]);
            let (mut center, mut inverse) = ([0.0], [0.0]);
            normalizer.scaling(&mut center, &mut inverse);
            (center[0], inverse[0].powi(-2))
        };
        let base =
            Rule { divisor: super::super::Divisor::inside(0.0), ..Rule::observations(Memory::ema(0.9)) };
        let warm = exact(Rule { warmup: Warmup::Debias, ..base });
        let corrected = exact(Rule { correction: Correction::Exact, ..base });
        // Shares 0.09/0.19 and 0.1/0.19.
        let share = 0.1 / 0.19;
        let mean = 10.0 + 2.0 * share;
        let var = 0.5 + share * (0.25 - 0.5) + share * (1.0 - share) * 4.0;
        for (found_mean, found_var) in [warm, corrected] {
            assert!((found_mean - mean).abs() < 1e-12 && (found_var - var).abs() < 1e-12);
        }
    }

    #[test]
    fn the_initial_state_can_be_taken_out_again() {
        for memory in [Memory::Welford, Memory::ema(0.75)] {
            let rule = Rule { initial_count: 3.0, ..Rule::observations(memory) };
            let mut normalizer = Normalizer::new(rule, 1);
            assert!(normalizer.state().without_prior().is_none());
            normalizer.update(5, &[7.0], &[2.0]);
            let alone = normalizer.state().without_prior().expect("rows were seen");
            assert!((alone.mean[0] - 7.0).abs() < 1e-13 && (alone.var[0] - 2.0).abs() < 1e-12);
        }
    }
}
