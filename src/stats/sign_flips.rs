//! Tests and simultaneous intervals by flipping the signs of units.
//!
//! # Formula
//! Where a unit is as likely above its mean as below it by as much, x and -x are alike under mean 0. The p value of a sample is the
//! share of sign patterns whose |mean| is at least that of the sample. All 2^(n-1) patterns (a pattern and its opposite have the
//! same |mean|) are gone through up to [`EXACT_UNITS`] units; beyond, [`DRAWN_FLIPS`] are drawn and the p value is
//! (1 + those)/(1 + drawn).
//!
//! Simultaneous: the same pattern is applied to the deviations of every row of a family at once; the largest |t| over the rows has a
//! distribution whose quantile c makes all intervals mean ± c stderr hold together, whatever the dependence between rows.
//!
//! # Source
//! Fisher, *The Design of Experiments*, 1935, section 21; Westfall and Young, *Resampling-Based Multiple Testing*, 1993.

use rand::Rng;
use rayon::prelude::*;

use super::{ConfidenceLevel, StreamKey, pairwise_sum, random_stream};

/// Units up to which every pattern is gone through: 2^19 of them.
pub const EXACT_UNITS: usize = 20;

/// Patterns drawn of more units.
pub const DRAWN_FLIPS: u64 = 99_999;

/// Differences of |mean| below this part of the sum of absolute values are rounding.
const ROUNDING: f64 = 1e-12;

/// Patterns of one sample size: those gone through, or drawn.
#[derive(Debug, Clone, Copy)]
struct Patterns {
    n_units: usize,
    seed: u64,
}

impl Patterns {
    fn is_exact(self) -> bool {
        self.n_units <= EXACT_UNITS
    }

    /// Number of patterns looked at.
    fn count(self) -> u64 {
        if self.is_exact() { 1 << self.n_units.saturating_sub(1) } else { DRAWN_FLIPS }
    }

    /// Words of bits, one bit per unit; a pattern is the same whatever else is drawn.
    fn words(self, pattern: u64) -> Vec<u64> {
        if self.is_exact() {
            return vec![pattern];
        }
        let mut random =
            random_stream(self.seed, StreamKey::named("sign flips", self.n_units as u64, 0), pattern);
        (0..self.n_units.div_ceil(64)).map(|_| random.next_u64()).collect()
    }
}

fn is_flipped(words: &[u64], unit: usize) -> bool {
    words[unit / 64] >> (unit % 64) & 1 == 1
}

/// Two-sided p value of mean = 0; `None` below two units.
///
/// # Edge cases
/// Never below 2^(1-n): of five units no p value is below 1/16.
pub fn sign_flip_p(sample: &[f64], seed: u64) -> Option<f64> {
    if sample.len() < 2 {
        return None;
    }
    let patterns = Patterns { n_units: sample.len(), seed };
    let size: f64 = sample.iter().map(|x| x.abs()).sum();
    let observed = pairwise_sum(sample).abs() - ROUNDING * size;
    let is_as_far = |pattern: &u64| {
        let words = patterns.words(*pattern);
        let flipped =
            sample.iter().enumerate().map(|(unit, x)| if is_flipped(&words, unit) { -x } else { *x });
        flipped.sum::<f64>().abs() >= observed
    };
    let n_far = (0..patterns.count()).into_par_iter().filter(is_as_far).count() as f64;
    Some(if patterns.is_exact() {
        n_far / patterns.count() as f64
    } else {
        (n_far + 1.0) / (patterns.count() + 1) as f64
    })
}

/// The factor c on standard errors with which the intervals of all rows hold together; each row has a value for every unit it
/// occurs in.
///
/// # Edge cases
/// `None` where a level needs more patterns than there are: 95 % need six units. Rows of fewer than two units, or without
/// spread, are left aside.
pub fn simultaneous_factor(rows: &[Vec<Option<f64>>], level: ConfidenceLevel, seed: u64) -> Option<f64> {
    LargestT::of(rows, level, seed).map(|largest| largest.factor)
}

/// The largest |t| over the rows of a family under flipped signs: what intervals and p values that hold together are made of.
#[derive(Debug, Clone)]
pub struct LargestT {
    /// Ascending, one per pattern.
    largest: Vec<f64>,
    /// The factor c on standard errors.
    pub factor: f64,
}

impl LargestT {
    /// p value of a row, adjusted over the family in one step: the share of patterns whose largest |t| is at least its own.
    ///
    /// It is at most 1 - level exactly where the interval of the row leaves 0 out.
    pub fn p_value(&self, t: f64) -> f64 {
        // What is as large but for rounding counts; what is told from 0 by its interval does not.
        let least = if t.abs() > self.factor { t.abs() } else { t.abs() * (1.0 - ROUNDING) };
        let below = self.largest.partition_point(|largest| *largest < least);
        (self.largest.len() - below) as f64 / self.largest.len() as f64
    }

    /// Goes through the patterns; `None` as [`simultaneous_factor`] has it.
    pub fn of(rows: &[Vec<Option<f64>>], level: ConfidenceLevel, seed: u64) -> Option<Self> {
        let n_units = rows.iter().map(Vec::len).max()?;
        let patterns = Patterns { n_units, seed };
        let deviations: Vec<Vec<(usize, f64)>> = rows.iter().filter_map(|row| deviations(row)).collect();
        let n_patterns = patterns.count();
        // The quantile must be below the largest: at least one pattern lies beyond.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of the patterns"
        )]
        let n_beyond = ((1.0 - level.get()) * n_patterns as f64 * (1.0 + 1e-12)).floor() as usize;
        if deviations.is_empty() || n_beyond == 0 || n_units < 2 {
            return None;
        }
        let mut largest: Vec<f64> = (0..n_patterns)
            .into_par_iter()
            .map(|pattern| {
                let words = patterns.words(pattern);
                deviations.iter().map(|row| t_of(row, &words)).fold(0.0, f64::max)
            })
            .collect();
        largest.sort_by(f64::total_cmp);
        let factor = largest[largest.len() - 1 - n_beyond];
        Some(Self { largest, factor })
    }
}

/// Deviations from the mean by unit; `None` without spread.
fn deviations(row: &[Option<f64>]) -> Option<Vec<(usize, f64)>> {
    let there: Vec<(usize, f64)> =
        row.iter().enumerate().filter_map(|(unit, x)| x.map(|x| (unit, x))).collect();
    let mean = pairwise_sum(&there.iter().map(|(_, x)| *x).collect::<Vec<_>>()) / there.len().max(1) as f64;
    let has_spread = there.iter().any(|(_, x)| (x - mean).abs() > ROUNDING * mean.abs());
    (there.len() > 1 && has_spread).then(|| there.into_iter().map(|(unit, x)| (unit, x - mean)).collect())
}

/// |t| of flipped deviations.
fn t_of(row: &[(usize, f64)], words: &[u64]) -> f64 {
    let n = row.len() as f64;
    let sum: f64 = row.iter().map(|(unit, x)| if is_flipped(words, *unit) { -x } else { *x }).sum();
    let squares: f64 = row.iter().map(|(_, x)| x * x).sum();
    let mean = sum / n;
    let rest = (squares - n * mean * mean) / (n - 1.0);
    // All deviations to one side: as far as can be.
    if rest <= squares * ROUNDING { f64::INFINITY } else { mean.abs() / (rest / n).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(level: f64) -> ConfidenceLevel {
        ConfidenceLevel::new(level).expect("a level")
    }

    #[test]
    fn p_values_by_hand() {
        // 1, 2, 3: sums 6, 4, 2, 0 and their opposites: one of four patterns is as far.
        assert_eq!(sign_flip_p(&[1.0, 2.0, 3.0], 0), Some(0.25));
        // 1, 2, -3: the sum is 0, everything is as far.
        assert_eq!(sign_flip_p(&[1.0, 2.0, -3.0], 0), Some(1.0));
        // 3, -1, 4, 2 sums to 8; of 8 patterns 10 (+ + + +, -1 flipped) and 8 are as far.
        assert_eq!(sign_flip_p(&[3.0, -1.0, 4.0, 2.0], 0), Some(0.25));
        assert_eq!(sign_flip_p(&[1.0], 0), None);
    }

    /// Drawn patterns agree with all of them: 21 units against the exact share by dynamic programming over integer sums.
    #[test]
    fn drawn_patterns_agree_with_all_of_them() {
        let whole: Vec<i32> = (1..=21).map(|i| i % 7 - 2).collect();
        let sample: Vec<f64> = whole.iter().copied().map(f64::from).collect();
        let total: i32 = whole.iter().sum();
        let mut counts = std::collections::BTreeMap::from([(0i32, 1.0f64)]);
        for x in &whole {
            let mut next = std::collections::BTreeMap::new();
            for (sum, n) in counts {
                *next.entry(sum + x).or_insert(0.0) += n / 2.0;
                *next.entry(sum - x).or_insert(0.0) += n / 2.0;
            }
            counts = next;
        }
        let exact: f64 = counts.iter().filter(|(sum, _)| sum.abs() >= total.abs()).map(|(_, n)| n).sum();
        let drawn = sign_flip_p(&sample, 1).expect("a p value");
        // 99,999 draws: a standard deviation of 0.0015 at most.
        assert!((drawn - exact).abs() < 0.007, "{drawn} {exact}");
        assert_eq!(sign_flip_p(&sample, 1), Some(drawn));
    }

    #[test]
    fn one_row_has_a_factor_near_students_t_and_more_rows_a_larger_one() {
        let row = |k: f64| -> Vec<Option<f64>> { (0..16).map(|u| Some((f64::from(u) * k).sin())).collect() };
        let one = simultaneous_factor(&[row(0.9)], level(0.95), 0).expect("a factor");
        assert!((one / 2.131 - 1.0).abs() < 0.1, "{one}");
        let many: Vec<Vec<Option<f64>>> = (1..12).map(|k| row(0.37 * f64::from(k))).collect();
        let all = simultaneous_factor(&many, level(0.95), 0).expect("a factor");
        assert!(all > one + 0.5, "{all} {one}");
        // Copies of one row need no more than the row itself.
        let copies = simultaneous_factor(&vec![row(0.9); 11], level(0.95), 0);
        assert_eq!(copies, Some(one));
        assert_eq!(simultaneous_factor(&[row(0.9)[..5].to_vec()], level(0.95), 0), None, "16 patterns");
        assert!(simultaneous_factor(&[row(0.9)[..6].to_vec()], level(0.95), 0).is_some());
    }

    #[test]
    fn p_values_and_intervals_that_hold_together_agree() {
        let rows: Vec<Vec<Option<f64>>> = (1..6)
            .map(|k| (0..9).map(|u| Some((f64::from(u * k) * 0.7).sin() + 0.3 * f64::from(k))).collect())
            .collect();
        let largest = LargestT::of(&rows, level(0.9), 0).expect("enough units");
        for t in (0..80).map(|i| 0.1 * f64::from(i)).chain([largest.factor, -largest.factor]) {
            assert_eq!(t.abs() > largest.factor, largest.p_value(t) <= 0.1, "{t}");
        }
        assert_eq!((largest.p_value(0.0), largest.p_value(f64::INFINITY)), (1.0, 0.0));
    }
}
