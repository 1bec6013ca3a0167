//! Numbers for people, in sentences and tables alike.

/// In place of a number of decimals: the numbers are too small for fixed notation.
const EXPONENT: usize = usize::MAX;

/// Significant digits of the largest number in a column.
const SIGNIFICANT: i32 = 4;

/// Decimals that give the largest of `values` four significant digits.
pub fn decimals(values: impl Iterator<Item = f64>) -> usize {
    decimals_of(values, SIGNIFICANT)
}

/// Decimals that give the largest of `values` so many significant digits.
pub fn decimals_of(values: impl Iterator<Item = f64>, significant: i32) -> usize {
    let largest = values.filter(|value| value.is_finite()).map(f64::abs).fold(0.0, f64::max);
    if largest == 0.0 {
        return 1;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the exponent of a finite f64 fits")]
    let magnitude = largest.log10().floor() as i32;
    if magnitude < -8 {
        return EXPONENT;
    }
    usize::try_from((significant - 1 - magnitude).clamp(0, 12)).unwrap_or(0)
}

/// Numbers of a column from here on are written for themselves.
const LARGEST_COLUMN: f64 = 1e7;

/// Above this, and where even `decimals` would show only zeros, numbers are written with an exponent.
const LARGEST_FIXED: f64 = 1e15;

/// A number with fixed decimals, or with an exponent where fixed notation says nothing; a dash where there is
/// none.
pub fn fixed(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| {
            if value.abs() >= LARGEST_FIXED || decimals == EXPONENT {
                return format!("{value:.3e}");
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

/// The same with its sign: an effect is for or against.
pub fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(Some(value), decimals);
    if text.starts_with('-') || !value.is_finite() { text } else { format!("+{text}") }
}

/// A value with the ends of its interval, where it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The value; where it is not known its bounds may be.
    pub value: Option<f64>,
    /// The least and the greatest end.
    pub interval: Option<(f64, f64)>,
}

/// A column of effects with their intervals, one decimal point for all: `+0.1001 ± 0.0106`, or both ends where some
/// interval is not symmetric at these decimals: `+0.1001 (0.0895 to 0.1107)`.
///
/// # Edge cases
/// A value without an interval stands alone. Where values are large beside all intervals, decimals are those that give
/// the largest half-width two digits.
pub fn effects(column: &[Spread], plus_minus: &str) -> Vec<String> {
    let numbers = column.iter().flat_map(|Spread { value, interval }| {
        let (low, high) = interval.unzip();
        [*value, low, high].into_iter().flatten()
    });
    let halves =
        || column.iter().filter_map(|Spread { interval, .. }| interval.map(|(low, high)| (high - low) / 2.0));
    let widest = halves().filter(|half| half.is_finite() && *half > 0.0).fold(0.0, f64::max);
    let mut places = decimals(numbers);
    if widest > 0.0 && places != EXPONENT {
        let least = decimals_of(std::iter::once(widest), 2);
        places = if least == EXPONENT { places } else { places.max(least).min(places + 4) };
    }
    let is_symmetric = column.iter().all(|Spread { value, interval }| match (value, interval) {
        (Some(value), Some((low, high))) => {
            fixed(Some(value - low), places) == fixed(Some(high - value), places)
                || ((high - value) - (value - low)).abs() <= 1e-6 * (high - low)
        }
        _ => true,
    });
    let values: Vec<String> = column
        .iter()
        .map(|Spread { value, .. }| value.map_or_else(|| "-".to_owned(), |value| signed(value, places)))
        .collect();
    let widest = values.iter().map(String::len).max().unwrap_or(0);
    let rests: Vec<String> = column
        .iter()
        .map(|Spread { interval, .. }| match interval {
            None => String::new(),
            Some((low, high)) if is_symmetric => fixed(Some((high - low) / 2.0), places),
            Some((low, high)) => format!("({} to {})", fixed(Some(*low), places), fixed(Some(*high), places)),
        })
        .collect();
    let longest = rests.iter().map(String::len).max().unwrap_or(0);
    let joined = values.iter().zip(&rests).map(|(value, rest)| match rest.as_str() {
        "" => format!("{value:>widest$}"),
        rest if is_symmetric => format!("{value:>widest$} {plus_minus} {rest:>longest$}"),
        rest => format!("{value:>widest$} {rest}"),
    });
    joined.collect()
}

/// A column of probabilities: three decimals, four where some lie below a thousandth, `<1e-4` below that.
pub fn probabilities(column: &[Option<f64>]) -> Vec<String> {
    let is_small = |p: &Option<f64>| p.is_some_and(|p| (1e-4..9.995e-4).contains(&p));
    let places = if column.iter().any(is_small) { 4 } else { 3 };
    let shown = |p: &Option<f64>| match p {
        None => "-".to_owned(),
        Some(p) if *p < 1e-4 => "<1e-4".to_owned(),
        Some(p) => format!("{p:.places$}"),
    };
    column.iter().map(shown).collect()
}

/// A probability by itself.
pub fn probability(p: Option<f64>) -> String {
    probabilities(&[p]).concat()
}

/// A column of numbers with one number of decimals: the largest has four significant digits, small ones two where three
/// more decimals give them; where even that shows only zeros of some, each number is written for itself.
pub fn column(values: &[Option<f64>]) -> Vec<String> {
    let numbers = || values.iter().flatten().copied().filter(|x| x.is_finite() && *x != 0.0);
    let smallest = numbers().map(f64::abs).fold(f64::INFINITY, f64::min);
    let places = decimals(numbers());
    let wanted = if smallest.is_finite() { decimals_of(std::iter::once(smallest), 2) } else { places };
    let is_spread = places == EXPONENT || wanted == EXPONENT || wanted > places + 3;
    let shown = |value: &Option<f64>| match value {
        Some(x) if is_spread || x.abs() >= LARGEST_COLUMN => short(*x),
        value => fixed(*value, places.max(wanted)),
    };
    values.iter().map(shown).collect()
}

/// A column of ratios or distances: those that are not far share their decimals.
pub fn ratios(values: &[Option<f64>]) -> Vec<String> {
    let is_near = |x: &f64| (1.0 / FAR..=FAR).contains(x) || *x == 0.0;
    let near: Vec<Option<f64>> = values.iter().map(|value| value.filter(is_near)).collect();
    let shown = column(&near).into_iter().zip(values);
    shown.map(|(text, value)| value.filter(|x| !is_near(x)).map_or(text, ratio)).collect()
}

/// A number of rows that may have a fraction, which is left out where it is only the initial state's.
pub fn rows_seen(count: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
    if (0.0..1e15).contains(&count) && (count - count.round()).abs() < 0.01 {
        grouped(count.round() as u64)
    } else {
        short(count)
    }
}

/// Beyond this a ratio or a distance only says "far".
const FAR: f64 = 1000.0;

/// A ratio or a distance: three to four digits, `>1000` and `<0.001` for what is far.
pub fn ratio(value: f64) -> String {
    if value > FAR {
        format!(">{FAR}")
    } else if value > 0.0 && value < 1.0 / FAR {
        format!("<{}", 1.0 / FAR)
    } else {
        short(value)
    }
}

/// A few significant digits, scientific where fixed notation would be long.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-4..1e6).contains(&size) {
        let decimals = decimals(std::iter::once(value));
        let text = fixed(Some(value), decimals);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else if !value.is_finite() {
        value.to_string()
    } else {
        let text = format!("{value:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Three significant digits, for a sentence.
pub fn brief(value: f64) -> String {
    if !(1e-4..1e6).contains(&value.abs()) {
        return short(value);
    }
    let text = fixed(Some(value), decimals_of(std::iter::once(value), 3));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
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

/// A share as a cell under a heading with the percent sign: two decimals, `<0.01` for what they do not show.
pub fn share_cell(share: f64) -> String {
    let percent = 100.0 * share;
    if share == 0.0 {
        "0".to_owned()
    } else if percent < 0.01 {
        "<0.01".to_owned()
    } else {
        format!("{percent:.2}")
    }
}

/// A share in a sentence: 12.6 %, 0.33 %, 5 %, under 0.01 %.
pub fn share(share: f64) -> String {
    let percent = 100.0 * share;
    if share == 0.0 {
        return "0 %".to_owned();
    }
    if percent < 0.01 {
        return "under 0.01 %".to_owned();
    }
    let places = if percent < 9.995 { 2 } else { 1 };
    let text = format!("{percent:.places$}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
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

/// So many of a noun: 1 run, 1,920 rows.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// Names in a sentence, at most so many of them: a; a and b; a, b and c; a, b, c and 4 more.
pub fn listed(names: &[&str], most: usize) -> String {
    if names.len() > most + 1 {
        return format!("{} and {} more", names[..most].join(", "), names.len() - most);
    }
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(fixed(Some(-1e-17), 4), "0.0000");
        assert_eq!(fixed(None, 4), "-");
        assert_eq!(decimals([0.1234, 99.0].into_iter()), 2);
        assert_eq!(decimals([0.0].into_iter()), 1);
        assert_eq!(
            [0.5, 1e-9, -1234.56, 1e-4, 1.2344e-7].map(short),
            ["0.5", "1e-9", "-1235", "0.0001", "1.234e-7"]
        );
        assert_eq!([7, 1234, 1_234_567].map(grouped), ["7", "1,234", "1,234,567"]);
        assert_eq!([signed(0.1, 2), signed(-0.1, 2), signed(0.0, 1)], ["+0.10", "-0.10", "+0.0"]);
        assert_eq!([counted(1, "run"), counted(1920, "row")], ["1 run", "1,920 rows"]);
    }

    #[test]
    fn probabilities_of_a_column_have_the_same_decimals() {
        assert_eq!(
            probabilities(&[Some(0.0031), None, Some(1e-20), Some(1.0)]),
            ["0.003", "-", "<1e-4", "1.000"]
        );
        assert_eq!(probabilities(&[Some(0.0004), Some(0.25)]), ["0.0004", "0.2500"]);
        assert_eq!([Some(0.04), Some(1e-7), None].map(probability), ["0.040", "<1e-4", "-"]);
    }

    #[test]
    fn numbers_of_a_column_share_their_decimals() {
        let shown = |values: &[f64]| column(&values.iter().copied().map(Some).collect::<Vec<_>>());
        assert_eq!(shown(&[1.63019, 0.017760, 0.0]), ["1.630", "0.018", "0.000"]);
        assert_eq!(shown(&[12.345, 0.5]), ["12.35", "0.50"]);
        assert_eq!(shown(&[1234.5, 1e-6]), ["1234", "1e-6"]);
        assert_eq!(column(&[None, Some(2.5)]), ["-", "2.500"]);
        assert_eq!([199957.0, 0.5, 3.0e-9, 0.0].map(ratio), [">1000", "0.5", "<0.001", "0"]);
        assert_eq!(
            ratios(&[Some(0.5562), Some(1.49), Some(199957.0), None]),
            ["0.556", "1.490", ">1000", "-"]
        );
        assert_eq!([1920.0001, 0.5].map(rows_seen), ["1,920", "0.5"]);
    }

    #[test]
    fn effects_of_a_column_share_their_decimal_point() {
        let with = |value: f64, half: f64| Spread {
            value: Some(value),
            interval: Some((value - half, value + half)),
        };
        let without = |value| Spread { value, interval: None };
        let column = [with(0.1001, 0.0106), with(-0.03, 0.002), without(Some(0.5)), without(None)];
        assert_eq!(effects(&column, "±"), ["+0.1001 ± 0.0106", "-0.0300 ± 0.0020", "+0.5000", "      -"]);
        // Both ends where they are not alike.
        let skewed = [Spread { value: Some(0.64), interval: Some((0.5, 0.76)) }, with(0.08, 0.06)];
        assert_eq!(effects(&skewed, "±"), ["+0.6400 (0.5000 to 0.7600)", "+0.0800 (0.0200 to 0.1400)"]);
        // A narrow interval of a large value keeps two digits.
        assert_eq!(effects(&[with(1234.5, 0.012)], "+/-"), ["+1234.500 +/- 0.012"]);
        assert_eq!(effects(&[with(12.0, 0.0)], "±"), ["+12.00 ± 0.00"]);
    }

    #[test]
    fn a_percentage_shows_what_is_missing() {
        let shown = [0.9873, 0.99999985, 0.1, 0.0, -0.25, 0.999, 1.0, 1.0 - 1e-15].map(percent);
        let expected = ["98.7 %", "99.999985 %", "10.0 %", "0.0 %", "-25.0 %", "99.90 %", "100 %", "100 %"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn small_shares_are_said_to_be_small() {
        assert_eq!(
            [0.0, 4.9e-38, 0.0033, 0.126, 0.05, 1.0].map(share),
            ["0 %", "under 0.01 %", "0.33 %", "12.6 %", "5 %", "100 %"]
        );
        assert_eq!([0.0, 4.9e-38, 0.0033, 0.126].map(share_cell), ["0", "<0.01", "0.33", "12.60"]);
    }

    #[test]
    fn names_are_listed_as_people_do() {
        let names = ["a", "b", "c", "d", "e"];
        assert_eq!(
            [1, 2, 4, 5].map(|n| listed(&names[..n], 3)),
            ["a", "a and b", "a, b, c and d", "a, b, c and 2 more"]
        );
    }
}
