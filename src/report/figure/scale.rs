//! From numbers to places on an axis, and the ticks along it.

/// A linear scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// Ticks with one format for all.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ticks {
    pub(super) values: Vec<f64>,
    decimals: usize,
    is_scientific: bool,
}

impl Scale {
    /// A scale on which all finite `values` have a place, with room beside them, ends on ticks.
    ///
    /// # Edge cases
    /// No finite value: 0 to 1. One value: room of a tenth of it, or of 1 around 0. Values near the ends of what
    /// numbers can say stay within.
    pub(super) fn of(values: impl Iterator<Item = f64>, has_zero: bool, from: f64, to: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if has_zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if low.total_cmp(&high).is_eq() {
            let room = if low == 0.0 { 1.0 } else { low.abs() / 10.0 };
            (low, high) = (low - room, high + room);
        }
        let step = nice_step(low, high, 5.0);
        // Room up to the next half step; what would leave the numbers stays at its end.
        let half = step / 2.0;
        let (wide_low, wide_high) = ((low / half).floor() * half, (high / half).ceil() * half);
        let keep = |wide: f64, end: f64| if wide.is_finite() { wide } else { end };
        Self { low: keep(wide_low, low), high: keep(wide_high, high), from, to }
    }

    /// Where a number lies.
    pub(super) fn place(&self, value: f64) -> f64 {
        // Halves, so that no difference overflows.
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        self.from + share.clamp(-1.0, 2.0) * (self.to - self.from)
    }

    /// Whether a number lies on the axis.
    pub(super) fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// About `n` ticks.
    pub(super) fn ticks(&self, n: f64) -> Ticks {
        let step = nice_step(self.low, self.high, n.max(1.0));
        let first = (self.low / step - 1e-9).ceil();
        let mut values = Vec::new();
        for k in 0..64 {
            let value = (first + f64::from(k)) * step;
            if !value.is_finite() || value > self.high + step * 1e-9 {
                break;
            }
            // -0 is 0, and what rounding leaves of it too.
            values.push(if value.abs() < step * 1e-9 { 0.0 } else { value });
        }
        let largest = self.low.abs().max(self.high.abs());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few digits")]
        let decimals = (-step.log10().floor() + 0.0).clamp(0.0, 12.0) as usize;
        // A step of 2.5 needs a digit more than one of 2.
        let decimals = if (step * 10f64.powi(i32::try_from(decimals).unwrap_or(0))).fract().abs() > 1e-6 {
            decimals + 1
        } else {
            decimals
        };
        Ticks { values, decimals, is_scientific: !(1e-3..1e6).contains(&largest) }
    }
}

impl Ticks {
    /// A tick as text.
    pub(super) fn label(&self, value: f64) -> String {
        if value == 0.0 {
            return "0".to_owned();
        }
        let text = if self.is_scientific {
            let text = format!("{value:.2e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
        } else {
            format!("{value:.*}", self.decimals)
        };
        text.replace('-', "\u{2212}")
    }
}

/// A step of 1, 2, 2.5 or 5 times a power of ten that divides the range into about `n`.
fn nice_step(low: f64, high: f64, n: f64) -> f64 {
    let rough = 2.0 * ((high / 2.0 - low / 2.0) / n);
    if !rough.is_finite() || rough <= 0.0 {
        return (high / 2.0 - low / 2.0).abs().max(f64::MIN_POSITIVE);
    }
    let power = 10f64.powf(rough.log10().floor()).max(f64::MIN_POSITIVE);
    let digit = rough / power;
    let nice = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|nice| *nice >= digit - 1e-9).unwrap_or(10.0);
    let step = nice * power;
    if step.is_finite() { step } else { rough }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_have_one_format() {
        let scale = Scale::of([-0.013, 0.157].into_iter(), true, 0.0, 100.0);
        let ticks = scale.ticks(5.0);
        let labels: Vec<String> = ticks.values.iter().map(|value| ticks.label(*value)).collect();
        assert_eq!(labels, ["0", "0.05", "0.10", "0.15"]);
        assert!((scale.place(0.0) - 100.0 * 0.02 / 0.18).abs() < 15.0);
    }

    #[test]
    fn every_number_has_a_place() {
        for values in [
            vec![],
            vec![f64::NAN],
            vec![3.0],
            vec![0.0, 0.0],
            vec![1e308, -1e308],
            vec![5e-324, 1e-320],
            vec![1e15, 1e15 + 1.0],
        ] {
            let scale = Scale::of(values.iter().copied(), false, 10.0, 90.0);
            for value in values.iter().filter(|value| value.is_finite()) {
                let place = scale.place(*value);
                assert!((9.9..=90.1).contains(&place), "{values:?}: {place}");
            }
            let ticks = scale.ticks(6.0);
            assert!(ticks.values.len() <= 64);
            assert!(ticks.values.iter().all(|tick| scale.place(*tick).is_finite()), "{values:?} {ticks:?}");
        }
    }
}
