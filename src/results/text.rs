//! Numbers for people, in sentences and tables alike.

/// In place of a number of decimals: the numbers are too small for fixed notation.
const EXPONENT: usize = usize::MAX;

/// Significant digits of the largest number in a column.
const SIGNIFICANT: i32 = 5;

/// Decimals that give the largest of `values` five significant digits.
pub fn decimals(values: impl Iterator<Item = f64>) -> usize {
    let largest = values.filter(|value| value.is_finite()).map(f64::abs).fold(0.0, f64::max);
    if largest == 0.0 {
        return 1;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the exponent of a finite f64 fits")]
    let magnitude = largest.log10().floor() as i32;
    if magnitude < -8 {
        return EXPONENT;
    }
    usize::try_from((SIGNIFICANT - 1 - magnitude).clamp(0, 12)).unwrap_or(0)
}

/// Above this, and where even `decimals` would show only zeros, numbers are written with an exponent.
const LARGEST_FIXED: f64 = 1e15;

/// A number with fixed decimals, or with an exponent where fixed notation says nothing; a dash where there is
/// none.
pub fn fixed(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| {
            if value.abs() >= LARGEST_FIXED || decimals == EXPONENT {
                return format!("{value:.4e}");
            }
            // Rounding residue is not a negative number.
            let text = format!("{value:.decimals$}");
            if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
                text.trim_start_matches('-').to_owned()
            } else {
                text
            }
        },
    )
}

/// A probability: three decimals, scientific below a thousandth.
pub fn probability(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(p) if p == 0.0 || p >= 0.001 => format!("{p:.3}"),
        Some(p) => format!("{p:.1e}"),
    }
}

/// A few significant digits, scientific where fixed notation would be long.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e6).contains(&size) {
        let decimals = decimals(std::iter::once(value));
        let text = fixed(Some(value), decimals);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{value:.3e}")
    }
}

/// A share as a percentage, with two digits of what is missing from the whole: 98.7 %, 99.9985 %; 100 % is all of it.
pub fn percent(share: f64) -> String {
    let missing = (1.0 - share) * 100.0;
    if missing.abs() < 1e-10 {
        return "100 %".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "between 1 and 11")]
    let places = (1.0 - missing.abs().log10().floor()).clamp(1.0, 11.0) as i32;
    format!("{:.*} %", usize::try_from(places).unwrap_or(1), share * 100.0)
}

/// A whole number with thousands separated.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(fixed(Some(-1e-17), 4), "0.0000");
        assert_eq!(fixed(None, 4), "-");
        assert_eq!(decimals([0.1234, 99.0].into_iter()), 3);
        assert_eq!(decimals([0.0].into_iter()), 1);
        assert_eq!(
            (short(0.5), short(1e-9), short(-1234.5)),
            ("0.5".into(), "1.000e-9".into(), "-1234.5".into())
        );
        assert_eq!(
            (grouped(7), grouped(1234), grouped(1_234_567)),
            ("7".into(), "1,234".into(), "1,234,567".into())
        );
        assert_eq!((probability(Some(0.04)), probability(Some(1e-7))), ("0.040".into(), "1.0e-7".into()));
    }

    #[test]
    fn a_percentage_shows_what_is_missing() {
        let shown = [0.9873, 0.99999985, 0.1, 0.0, -0.25, 0.999, 1.0, 1.0 - 1e-15].map(percent);
        let expected = ["98.7 %", "99.999985 %", "10.0 %", "0.0 %", "-25.0 %", "99.90 %", "100 %", "100 %"];
        assert_eq!(shown, expected);
    }
}
