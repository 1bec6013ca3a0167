//! Repeated evaluations of coalitions while a table is gathered: which are fresh and which are copies.
//!
//! A recorder that keeps a coalition's value and writes it again has not measured again. Such rows agree to the bit
//! with the coalition's first row or with the one before. So may fresh values, where they are coarse: shares of few
//! examples, whole scores, rounded figures. Values that are no such fractions do not agree by chance.

use super::noise::Noise;

/// Examples that make a share coarse, at most: of more, chance agreement is too rare to matter.
const MOST_EXAMPLES: u32 = 1000;

/// Agreeing values looked at.
const MOST_LOOKED_AT: usize = 64;

/// Running moments of coalitions that come more than once.
#[derive(Debug, Clone)]
pub(super) struct GatheredRepeats {
    first: Vec<f64>,
    last: Vec<f64>,
    /// Moments of all rows; their means are the table's values.
    all: Noise,
    /// Moments of the rows that do not agree with the first or the last one.
    fresh: Noise,
    fresh_means: Vec<f64>,
    /// Some of the values that agree where not all of a coalition's rows do.
    agreeing: Vec<f64>,
}

/// The values of a finished table, and what its repeats tell.
pub(super) struct KeptValues {
    /// Means of the rows that count.
    pub(super) values: Vec<f64>,
    /// Their noise, where some coalition came more than once.
    pub(super) noise: Option<Noise>,
    /// Rows left out as copies.
    pub(super) n_copies: u64,
}

impl KeptValues {
    /// Of the means of all rows and of the repeats among them: of fine values the fresh rows count, of coarse ones all.
    pub(super) fn of(means: Vec<f64>, repeats: Option<GatheredRepeats>) -> Self {
        match repeats {
            None => Self { values: means, noise: None, n_copies: 0 },
            Some(repeats) if repeats.has_copies_among_fresh() => {
                let n_copies = repeats.n_copies();
                Self { values: repeats.fresh_means, noise: Some(repeats.fresh), n_copies }
            }
            Some(repeats) => Self { values: means, noise: Some(repeats.all), n_copies: 0 },
        }
    }
}

impl GatheredRepeats {
    /// Of coalitions with one row each.
    pub(super) fn of_values(values: &[f64]) -> Self {
        let single = Noise { counts: vec![1; values.len()], squares: vec![0.0; values.len()] };
        Self {
            first: values.to_vec(),
            last: values.to_vec(),
            all: single.clone(),
            fresh: single,
            fresh_means: values.to_vec(),
            agreeing: Vec::new(),
        }
    }

    /// A coalition seen for the first time.
    pub(super) fn set(&mut self, position: usize, value: f64) {
        self.first[position] = value;
        self.last[position] = value;
        self.fresh_means[position] = value;
    }

    /// A coalition seen for the first time, behind all others.
    pub(super) fn append(&mut self, value: f64) {
        for values in [&mut self.first, &mut self.last, &mut self.fresh_means] {
            values.push(value);
        }
        for noise in [&mut self.all, &mut self.fresh] {
            noise.counts.push(1);
            noise.squares.push(0.0);
        }
    }

    /// A row more of the coalition at `position`, whose mean so far is `mean`.
    pub(super) fn push(&mut self, position: usize, mean: &mut f64, value: f64) {
        self.all.push(position, mean, value);
        let agrees = |other: f64| other.to_bits() == value.to_bits();
        if agrees(self.first[position]) || agrees(self.last[position]) {
            if self.agreeing.len() < MOST_LOOKED_AT {
                self.agreeing.push(value);
            }
        } else {
            self.fresh.push(position, &mut self.fresh_means[position], value);
        }
        self.last[position] = value;
    }

    /// (all rows, fresh rows) of each coalition.
    fn counts(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.all.counts.iter().copied().zip(self.fresh.counts.iter().copied())
    }

    fn n_copies(&self) -> u64 {
        self.counts().map(|(all, fresh)| u64::from(all - fresh)).sum()
    }

    /// Whether a coalition has both, and what agrees does not do so for being coarse.
    fn has_copies_among_fresh(&self) -> bool {
        let is_mixed = self.counts().any(|(all, fresh)| fresh > 1 && fresh < all);
        let n_coarse = || self.agreeing.iter().filter(|value| is_coarse(**value)).count();
        is_mixed && 2 * n_coarse() < self.agreeing.len()
    }
}

/// Whether a value, or a hundredth of it, is a fraction of few examples, in 64 or in 32 bits, or has four decimals.
fn is_coarse(value: f64) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "whether that loses anything is the question")]
    let narrow = |x: f64| x as f32;
    let is_narrow = f64::from(narrow(value)).to_bits() == value.to_bits();
    let is_near = |fraction: f64| {
        (fraction - value).abs() <= 4.0 * f64::EPSILON * value.abs()
            || (is_narrow && narrow(fraction).to_bits() == narrow(value).to_bits())
    };
    [1.0, 100.0].into_iter().any(|scale| {
        let examples = (1..=MOST_EXAMPLES).chain([10_000]).map(f64::from);
        examples.into_iter().any(|n| is_near((value / scale * n).round() / n * scale))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rows: &[f64]) -> KeptValues {
        let mut mean = rows[0];
        let mut repeats = GatheredRepeats::of_values(&rows[..1]);
        rows[1..].iter().for_each(|value| repeats.push(0, &mut mean, *value));
        KeptValues::of(vec![mean], Some(repeats))
    }

    fn count(kept: &KeptValues) -> u32 {
        kept.noise.as_ref().expect("repeats").counts[0]
    }

    #[test]
    fn copies_among_fresh_values_are_left_out() {
        let (a, b, c) = (0.512_345_678_9, 0.498_765_432_1, 0.534_987_612_3);
        let found = kept(&[a, a, a, a, b, c, c, a]);
        assert_eq!((found.n_copies, count(&found)), (5, 3));
        assert!((found.values[0] - (a + b + c) / 3.0).abs() < 1e-15);
        // All of them copies: left as they are, and they tell of no noise.
        let found = kept(&[a, a, a]);
        assert_eq!((found.n_copies, found.values[0], count(&found)), (0, a, 3));
    }

    #[test]
    fn coarse_values_agree_by_chance() {
        for rows in [[0.0, 1.0, 1.0, 0.0], [0.83, 0.84, 0.84, 0.83], [5.0 / 6.0, 1.0, 1.0, 5.0 / 6.0]] {
            let found = kept(&rows);
            assert_eq!((found.n_copies, count(&found)), (0, 4), "{rows:?}");
        }
        let narrow = |x: f32| f64::from(x);
        assert!(is_coarse(narrow(0.913)) && is_coarse(narrow(91.3)) && is_coarse(-3.0) && is_coarse(0.0));
        assert!(is_coarse(narrow(611.0 / 977.0)) && !is_coarse(0.512_345_678_9));
    }
}
