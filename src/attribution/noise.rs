//! Noise of evaluations, from those that were repeated.

/// Evaluation noise, aligned with a table's coalitions.
#[derive(Debug, Clone)]
pub struct Noise {
    /// Rows per coalition.
    pub counts: Vec<u32>,
    /// Sum of squares about the mean per coalition.
    pub squares: Vec<f64>,
}

impl Noise {
    /// Adds a repeat to the coalition at `position`, whose running mean is `mean`.
    pub(super) fn push(&mut self, position: usize, mean: &mut f64, value: f64) {
        self.counts[position] += 1;
        let delta = value - *mean;
        *mean += delta / f64::from(self.counts[position]);
        self.squares[position] += delta * (value - *mean);
    }

    /// Evaluations of the coalition at `position` that tell of noise: repeats that agree to the bit are copies of one.
    ///
    /// A recorder that writes a cached value again has not measured again: such rows give neither degrees of freedom
    /// nor precision. Chance agreement of coarse values is taken for a copy too, which errs on the wide side.
    fn measured(&self, position: usize) -> f64 {
        if self.squares[position] > 0.0 { f64::from(self.counts[position]) } else { 1.0 }
    }

    /// Variance of each coalition's *mean*, with the degrees of freedom behind it.
    ///
    /// If every coalition is repeated, each has its own sample variance; otherwise one variance is pooled over all
    /// that are. Copies count once (see `measured`).
    pub fn mean_variances(&self) -> NoiseVariances {
        let counts: Vec<f64> = (0..self.counts.len()).map(|position| self.measured(position)).collect();
        if counts.iter().all(|count| *count > 1.0) {
            let variances = (self.squares.iter())
                .zip(&counts)
                .map(|(squares, count)| squares / (count - 1.0) / count)
                .collect();
            return NoiseVariances {
                variances,
                degrees: Degrees::PerCoalition(counts.iter().map(|count| count - 1.0).collect()),
            };
        }
        let degrees: f64 = counts.iter().map(|count| count - 1.0).sum();
        let pooled = crate::stats::pairwise_sum(&self.squares) / degrees;
        NoiseVariances {
            variances: counts.iter().map(|count| pooled / count).collect(),
            degrees: Degrees::Pooled(degrees),
        }
    }
}

/// Variances of coalition means and how well they are known.
#[derive(Debug, Clone)]
pub struct NoiseVariances {
    /// Variance of the mean per coalition.
    pub variances: Vec<f64>,
    /// Degrees of freedom behind them.
    pub degrees: Degrees,
}

impl NoiseVariances {
    /// A power of two near the greatest variance: variances divided by it can be squared without overflow, and no digit
    /// changes. `None` where all are zero or one is not finite.
    pub(super) fn unit(&self) -> Option<f64> {
        let greatest = self.variances.iter().copied().fold(0.0, f64::max);
        let is_finite = self.variances.iter().all(|variance| variance.is_finite());
        // The exponent alone.
        let unit = f64::from_bits(greatest.to_bits() & f64::INFINITY.to_bits());
        (is_finite && unit > 0.0).then_some(unit)
    }
}

impl Degrees {
    /// Satterthwaite's degrees: `second` is the sum of variances, `fourth` that of their squares over their degrees, both
    /// in units of one variance. Where nothing tells, the fewest there are.
    pub(super) fn combined(own: &[f64], second: f64, fourth: f64) -> f64 {
        let degrees = second * second / fourth;
        if degrees > 0.0 && degrees.is_finite() {
            degrees
        } else {
            own.iter().copied().fold(f64::INFINITY, f64::min)
        }
    }
}

/// Degrees of freedom of noise variances.
#[derive(Debug, Clone)]
pub enum Degrees {
    /// One variance over all coalitions.
    Pooled(f64),
    /// A variance of its own per coalition: combine by Satterthwaite.
    PerCoalition(Vec<f64>),
}
