//! Two samples against each other: differences of means with their uncertainty, distances of distributions.

use super::bootstrap::BootstrapSettings;
use super::{
    SampleMoments, StreamKey, pairwise_sum, random_stream, student_t_quantile, student_t_two_sided_p,
};
use rand::RngExt;

/// A difference of means with its uncertainty.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The difference.
    pub value: f64,
    uncertainty: Uncertainty,
}

#[derive(Debug, Clone, PartialEq)]
enum Uncertainty {
    /// Student's t with this standard error and these degrees of freedom.
    T { standard_error: f64, degrees: f64 },
    /// Resampled differences, ascending.
    Bootstrap(Vec<f64>),
}

impl Difference {
    /// Whether the difference and its spread are finite numbers: squares of values near the largest there are overflow.
    pub fn is_finite(&self) -> bool {
        self.value.is_finite()
            && match &self.uncertainty {
                Uncertainty::T { standard_error, .. } => standard_error.is_finite(),
                Uncertainty::Bootstrap(resampled) => resampled.iter().all(|x| x.is_finite()),
            }
    }

    /// Mean of `new` minus mean of `old`, variances not assumed equal; `None` below two values on either side.
    ///
    /// # Formula
    /// se^2 = s1^2/n1 + s2^2/n2; degrees of freedom (Welch-Satterthwaite)
    /// se^4/((s1^2/n1)^2/(n1-1) + (s2^2/n2)^2/(n2-1)).
    ///
    /// # Edge cases
    /// Both samples constant: standard error 0; the difference is certain.
    ///
    /// # Source
    /// Welch, *Biometrika* 34(1/2):28-35, 1947.
    pub fn welch(old: &[f64], new: &[f64]) -> Option<Self> {
        let (a, b) = (SampleMoments::of(old), SampleMoments::of(new));
        let part = |moments: &SampleMoments| Some(moments.sample_variance()? / moments.n() as f64);
        let (first, second) = (part(&a)?, part(&b)?);
        let squared = first + second;
        // Shares of the sum: squares of variances could overflow.
        let degrees = if squared > 0.0 && squared.is_finite() {
            let (p, q) = (first / squared, second / squared);
            1.0 / (p * p / (a.n() as f64 - 1.0) + q * q / (b.n() as f64 - 1.0))
        } else {
            (a.n() + b.n()) as f64 - 2.0
        };
        let value = b.mean()? - a.mean()?;
        Some(Self { value, uncertainty: Uncertainty::T { standard_error: squared.sqrt(), degrees } })
    }

    /// Mean of the differences new - old of values that belong together; `None` below two pairs.
    ///
    /// # Formula
    /// The one-sample t interval of the differences, n - 1 degrees of freedom.
    pub fn paired(pairs: &[(f64, f64)]) -> Option<Self> {
        let differences: Vec<f64> = pairs.iter().map(|(old, new)| new - old).collect();
        let moments = SampleMoments::of(&differences);
        let n = moments.n() as f64;
        let standard_error = (moments.sample_variance()? / n).sqrt();
        Some(Self {
            value: moments.mean()?,
            uncertainty: Uncertainty::T { standard_error, degrees: n - 1.0 },
        })
    }

    /// Mean of `new` minus mean of `old` with resampled uncertainty; `None` below two values on either side.
    ///
    /// # Formula
    /// Both samples are drawn from with replacement; bounds are quantiles of the differences (percentile method).
    ///
    /// # Source
    /// Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapters 13 and 16.
    pub fn bootstrap(old: &[f64], new: &[f64], settings: BootstrapSettings) -> Option<Self> {
        if old.len() < 2 || new.len() < 2 {
            return None;
        }
        let mean = |sample: &[f64]| pairwise_sum(sample) / sample.len() as f64;
        let key = StreamKey::named("two samples", old.len() as u64, new.len() as u64);
        let mut resampled: Vec<f64> = (0..settings.n_resamples)
            .map(|index| {
                let mut rng = random_stream(settings.seed, key, index as u64);
                let mut draw = |sample: &[f64]| {
                    let drawn: Vec<f64> =
                        sample.iter().map(|_| sample[rng.random_range(0..sample.len())]).collect();
                    mean(&drawn)
                };
                let first = draw(old);
                draw(new) - first
            })
            .collect();
        resampled.sort_by(f64::total_cmp);
        Some(Self { value: mean(new) - mean(old), uncertainty: Uncertainty::Bootstrap(resampled) })
    }

    /// The same difference seen from the other side.
    #[must_use]
    pub fn negated(self) -> Self {
        let uncertainty = match self.uncertainty {
            Uncertainty::Bootstrap(mut resampled) => {
                resampled.reverse();
                resampled.iter_mut().for_each(|x| *x = -*x);
                Uncertainty::Bootstrap(resampled)
            }
            certain @ Uncertainty::T { .. } => certain,
        };
        // Adding 0 makes -0 a 0.
        Self { value: -self.value + 0.0, uncertainty }
    }

    /// One-sided p value of "the difference is at most `threshold`": small where it lies above.
    pub fn p_above(&self, threshold: f64) -> f64 {
        match &self.uncertainty {
            Uncertainty::T { standard_error, degrees } => {
                let distance = self.value - threshold;
                if *standard_error == 0.0 {
                    return if distance > 0.0 { 0.0 } else { 1.0 };
                }
                let t = distance / standard_error;
                let tail = student_t_two_sided_p(t, *degrees) / 2.0;
                if t >= 0.0 { tail } else { 1.0 - tail }
            }
            Uncertainty::Bootstrap(resampled) => {
                let below = resampled.partition_point(|x| *x <= threshold);
                (below + 1) as f64 / (resampled.len() + 1) as f64
            }
        }
    }

    /// The interval that leaves `alpha` out on each side.
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        match &self.uncertainty {
            Uncertainty::T { standard_error, .. } if *standard_error == 0.0 => (self.value, self.value),
            Uncertainty::T { standard_error, degrees } => {
                let half = student_t_quantile(1.0 - alpha, *degrees) * standard_error;
                (self.value - half, self.value + half)
            }
            Uncertainty::Bootstrap(resampled) => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
                let at = |share: f64| resampled[((resampled.len() - 1) as f64 * share).round() as usize];
                (at(alpha), at(1.0 - alpha))
            }
        }
    }

    /// The least margin a test at `alpha` would pass with probability 0.8 if nothing had changed.
    ///
    /// # Formula
    /// (t_(1-alpha) + t_0.8) se; two-sided, where both ends have to stay inside, (t_(1-alpha) + t_0.9) se. For
    /// resampled differences the same with half the widths of their intervals.
    pub fn detectable_margin(&self, alpha: f64, is_two_sided: bool) -> f64 {
        let missed = if is_two_sided { 0.1 } else { 0.2 };
        match &self.uncertainty {
            Uncertainty::T { standard_error, degrees } => {
                let quantiles =
                    student_t_quantile(1.0 - alpha, *degrees) + student_t_quantile(1.0 - missed, *degrees);
                quantiles * standard_error
            }
            Uncertainty::Bootstrap(_) => {
                let ((low, high), (inner_low, inner_high)) = (self.interval(alpha), self.interval(missed));
                f64::midpoint(high - low, inner_high - inner_low)
            }
        }
    }
}

/// Largest distance of the two empirical distribution functions (Kolmogorov and Smirnov); `None` without values.
pub fn kolmogorov_smirnov(old: &[f64], new: &[f64]) -> Option<f64> {
    let mut distance = 0.0f64;
    walk_distributions(old, new, |_, apart| distance = distance.max(apart))?;
    Some(distance)
}

/// Area between the two empirical distribution functions (Wasserstein's first distance); `None` without values.
pub fn wasserstein(old: &[f64], new: &[f64]) -> Option<f64> {
    let mut area = 0.0;
    walk_distributions(old, new, |width, apart| area += width * apart)?;
    Some(area)
}

/// Population stability index over the deciles of `old`; `None` below ten values on either side.
///
/// # Formula
/// sum over bins of (q - p) ln(q/p), shares p of old and q of new, each with half a value added to every bin.
///
/// # Source
/// Siddiqi, *Credit Risk Scorecards*, 2006.
pub fn population_stability(old: &[f64], new: &[f64]) -> Option<f64> {
    const BINS: usize = 10;
    if old.len() < BINS || new.len() < BINS {
        return None;
    }
    let mut sorted = old.to_vec();
    sorted.sort_by(f64::total_cmp);
    let edges: Vec<f64> = (1..BINS).map(|k| sorted[k * sorted.len() / BINS]).collect();
    let shares = |sample: &[f64]| {
        let mut counts = [0.5f64; BINS];
        sample.iter().for_each(|x| counts[edges.partition_point(|edge| edge <= x)] += 1.0);
        counts.map(|count| count / (sample.len() as f64 + 0.5 * BINS as f64))
    };
    let (p, q) = (shares(old), shares(new));
    Some(p.iter().zip(q).map(|(p, q)| (q - p) * (q / p).ln()).sum())
}

/// Calls `each` with (length, |F - G|) of every stretch between neighbouring values of both samples.
fn walk_distributions(old: &[f64], new: &[f64], mut each: impl FnMut(f64, f64)) -> Option<()> {
    if old.is_empty() || new.is_empty() {
        return None;
    }
    let sorted = |sample: &[f64]| {
        let mut sample = sample.to_vec();
        sample.sort_by(f64::total_cmp);
        sample
    };
    let (old, new) = (sorted(old), sorted(new));
    let mut all = [&old[..], &new].concat();
    all.sort_by(f64::total_cmp);
    for pair in all.windows(2) {
        let share = |sample: &[f64]| sample.partition_point(|x| *x <= pair[0]) as f64 / sample.len() as f64;
        if pair[1] > pair[0] {
            each(pair[1] - pair[0], (share(&old) - share(&new)).abs());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [f64; 4] = [1.0, 2.0, 3.0, 4.0];
    const NEW: [f64; 5] = [2.0, 2.5, 4.0, 5.5, 6.0];

    #[test]
    fn welch_by_hand() {
        // Means 2.5 and 4, variances 5/3 and 3.125: se^2 = 5/12 + 0.625.
        let difference = Difference::welch(&OLD, &NEW).expect("samples");
        let Uncertainty::T { standard_error, degrees } = difference.uncertainty else { panic!("t") };
        let (first, second) = (5.0 / 12.0, 0.625f64);
        let expected = (first + second).powi(2) / (first * first / 3.0 + second * second / 4.0);
        assert!((difference.value - 1.5).abs() < 1e-15);
        assert!((standard_error - (first + second).sqrt()).abs() < 1e-15);
        assert!((degrees - expected).abs() < 1e-12);
        // scipy.stats.ttest_ind(NEW, OLD, equal_var=False, alternative='greater').pvalue
        assert!((difference.p_above(0.0) - 0.092_621_543_106_6).abs() < 1e-9, "{}", difference.p_above(0.0));
        let (low, high) = difference.interval(0.05);
        assert!((difference.p_above(low) - 0.05).abs() < 1e-9 && (low + high - 3.0).abs() < 1e-12);
        assert!((difference.clone().negated().p_above(0.0) - (1.0 - difference.p_above(0.0))).abs() < 1e-15);
    }

    #[test]
    fn enormous_samples_are_no_trouble() {
        let scale = |sample: &[f64]| sample.iter().map(|x| x * 1e90).collect::<Vec<f64>>();
        let difference = Difference::welch(&scale(&OLD), &scale(&NEW)).expect("samples");
        assert!((difference.p_above(0.0) - 0.092_621_543_106_6).abs() < 1e-9);
    }

    #[test]
    fn pairs_are_a_sample_of_differences() {
        let difference = Difference::paired(&[(1.0, 2.0), (5.0, 7.0), (2.0, 5.0)]).expect("pairs");
        assert_eq!(difference.value, 2.0);
        // Differences 1, 2, 3: se = 1/sqrt(3), t = 3.46 of 2 degrees.
        assert!((difference.p_above(0.0) - 0.037_089_950_113_7).abs() < 1e-9, "{}", difference.p_above(0.0));
        assert!(Difference::paired(&[(1.0, 2.0)]).is_none() && Difference::welch(&[1.0], &NEW).is_none());
        let certain = Difference::paired(&[(1.0, 1.0), (2.0, 2.0)]).expect("pairs");
        assert_eq!((certain.interval(0.05), certain.p_above(0.0)), ((0.0, 0.0), 1.0));
    }

    #[test]
    fn resampling_agrees_with_t_on_large_samples() {
        let old: Vec<f64> = (0..200).map(|i| f64::from(i % 17)).collect();
        let new: Vec<f64> = (0..300).map(|i| f64::from(i % 13) + 1.0).collect();
        let settings = BootstrapSettings { n_resamples: 4000, seed: 1 };
        let t = Difference::welch(&old, &new).expect("samples");
        let resampled = Difference::bootstrap(&old, &new, settings).expect("samples");
        assert_eq!(t.value, resampled.value);
        let ((low, high), (other_low, other_high)) = (t.interval(0.05), resampled.interval(0.05));
        assert!((low - other_low).abs() < 0.06 && (high - other_high).abs() < 0.06);
        for is_two_sided in [false, true] {
            let apart =
                t.detectable_margin(0.05, is_two_sided) - resampled.detectable_margin(0.05, is_two_sided);
            assert!(apart.abs() < 0.06);
        }
        assert_eq!(resampled, Difference::bootstrap(&old, &new, settings).expect("samples"));
    }

    #[test]
    fn distances_by_hand() {
        assert_eq!(kolmogorov_smirnov(&[1.0, 2.0], &[3.0, 4.0]), Some(1.0));
        assert_eq!(wasserstein(&[0.0, 1.0], &[2.0, 3.0]), Some(2.0));
        assert_eq!((kolmogorov_smirnov(&OLD, &OLD), wasserstein(&OLD, &OLD)), (Some(0.0), Some(0.0)));
        assert_eq!((kolmogorov_smirnov(&[], &NEW), population_stability(&OLD, &NEW)), (None, None));
        let ramp: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(population_stability(&ramp, &ramp).expect("enough").abs() < 1e-12);
        let moved: Vec<f64> = ramp.iter().map(|x| x + 50.0).collect();
        assert!(population_stability(&ramp, &moved).expect("enough") > 1.0);
    }
}
