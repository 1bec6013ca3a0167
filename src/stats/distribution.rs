//! Quantiles and tail areas of the normal and Student's t distribution.

use statrs::distribution::{Continuous, ContinuousCDF, Normal, StudentsT};

/// Above this many degrees of freedom Hill's expansion is the more accurate: the continued fraction of the
/// incomplete beta function stops short of convergence there.
const EXPANSION_DEGREES: f64 = 5000.0;

/// Quantile of the standard normal distribution: z with P(Z <= z) = `p`.
///
/// # Edge cases
/// `p` = 0 and 1 give minus and plus infinity.
pub fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// Distribution function of the standard normal.
pub(super) fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// Quantile of Student's t with `degrees` of freedom (may be fractional): t with P(T <= t) = `p`.
///
/// # Formula
/// The inverse of statrs, polished by Newton steps on the tail area until they stop moving.
///
/// # Panics
/// If `degrees` is not positive or `p` is outside (0, 1): callers hold checked levels.
pub fn student_t_quantile(p: f64, degrees: f64) -> f64 {
    assert!(degrees > 0.0 && p > 0.0 && p < 1.0, "quantile {p} of t with {degrees} degrees of freedom");
    if p < 0.5 {
        return -student_t_quantile(1.0 - p, degrees);
    }
    let Ok(t) = StudentsT::new(0.0, 1.0, degrees) else {
        unreachable!("scale 1 and positive degrees make a distribution")
    };
    let mut quantile = if degrees > EXPANSION_DEGREES { normal_quantile(p) } else { t.inverse_cdf(p) };
    for _ in 0..4 {
        let density = t.pdf(quantile);
        if density > 0.0 {
            quantile += (upper_tail(quantile, degrees) - (1.0 - p)) / density;
        }
    }
    quantile
}

/// Two-sided p value of a t statistic: P(|T| >= |t|) = I_{v/(v+t^2)}(v/2, 1/2).
///
/// # Edge cases
/// An infinite statistic has p = 0. Far tails keep their relative accuracy (no `1 - cdf`).
///
/// # Panics
/// If `degrees` is not positive: an estimate of two units has at least one.
pub fn student_t_two_sided_p(t: f64, degrees: f64) -> f64 {
    assert!(degrees > 0.0, "t with {degrees} degrees of freedom");
    if t.is_infinite() {
        return 0.0;
    }
    (2.0 * upper_tail(t.abs(), degrees)).min(1.0)
}

/// P(T >= t) for t >= 0.
///
/// # Source
/// Above [`EXPANSION_DEGREES`]: Hill, *CACM* 13(10):617-619, 1970 (Algorithm 395), a normal deviate with the
/// same tail.
fn upper_tail(t: f64, degrees: f64) -> f64 {
    if degrees > EXPANSION_DEGREES {
        let a = degrees - 0.5;
        let b = 48.0 * a * a;
        let z2 = a * (t * t / degrees).ln_1p();
        let z = z2.sqrt();
        let correction = (z2 + 3.0) / b
            - (((4.0 * z2 + 33.0) * z2 + 240.0) * z2 + 855.0) / (10.0 * b * (b + 0.8 * z2 * z2 + 100.0));
        return Normal::standard().sf(z * (1.0 + correction));
    }
    let Ok(distribution) = StudentsT::new(0.0, 1.0, degrees) else {
        unreachable!("scale 1 and positive degrees make a distribution")
    };
    distribution.sf(t)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: f64, expected: f64, relative: f64) {
        assert!((actual / expected - 1.0).abs() < relative, "{actual} against {expected}");
    }

    // Reference values: scipy.stats.t.ppf and scipy.stats.t.sf (scipy 1.15), and for 1 degree tan(pi (p - 1/2)).
    #[test]
    fn quantiles_of_t_match_reference() {
        for (p, degrees, expected, relative) in [
            (0.975, 1.0, 12.706_204_736_174_7, 1e-12),
            (0.975, 2.0, 4.302_652_729_749_462, 1e-12),
            (0.975, 24.0, 2.063_898_561_628_021, 1e-12),
            (0.025, 24.0, -2.063_898_561_628_021, 1e-12),
            (0.995, 7.0, 3.499_483_297_350_493_5, 1e-12),
            (0.999_999_9, 3.0, 222.571_590_986_251_24, 1e-8),
            // On both sides of the switch to the expansion, and far beyond it.
            (0.975, 4999.0, 1.9604386466615247, 2e-11),
            (0.975, 5001.0, 1.960438456789474, 2e-11),
            (0.9999, 5000.0, 3.721_776_168_336_806, 2e-11),
            (0.975, 1e6, 1.959_966_356_814_107, 2e-11),
            (0.975, 2e9, 1.959_963_985_726_189_5, 2e-11),
        ] {
            close(student_t_quantile(p, degrees), expected, relative);
        }
    }

    #[test]
    fn tails_keep_relative_accuracy() {
        for (t, degrees, expected, relative) in [
            (2.063_898_561_628_021, 24.0, 0.05, 1e-12),
            (3.0, 4999.0, 0.002713111690894897, 1e-10),
            (3.0, 5001.0, 0.0027131063587445127, 1e-10),
            (12.0, 5001.0, 9.964639400646242e-33, 1e-9),
            (10.0, 5000.0, 2.520_874_711_644_015e-23, 1e-9),
            (30.0, 2000.0, 1.370_773_019_112_824_2e-163, 1e-5),
            (8.0, 1e9, 1.244_193_428_445_469_1e-15, 1e-9),
        ] {
            close(student_t_two_sided_p(t, degrees), expected, relative);
        }
        // One degree: P(|T| >= t) = 2/pi * atan(1/t).
        close(student_t_two_sided_p(1e6, 1.0), 2.0 / std::f64::consts::PI * (1e-6f64).atan(), 1e-9);
        // Two degrees: P(|T| >= t) = 1 - t/sqrt(2 + t^2) = 2/((2+t^2)(1 + t/sqrt(2+t^2))).
        let t = 1e5f64;
        let expected = 2.0 / ((2.0 + t * t) * (1.0 + t / (2.0 + t * t).sqrt()));
        close(student_t_two_sided_p(t, 2.0), expected, 1e-9);
        assert_eq!(student_t_two_sided_p(f64::INFINITY, 3.0), 0.0);
        close(student_t_two_sided_p(0.0, 5.0), 1.0, 1e-15);
    }
}
