//! Sharp bounds on Shapley values when coalitions are missing.
//!
//! # Formula
//! phi_i = known_i + sum over missing S of c_i(S) v(S) with c_i(S) = w(s-1) for members and -w(s) for others.
//! With every missing value in [lo, hi] the interval known_i + sum of min/max (c lo, c hi) is attained at both
//! ends. The missing weight per size follows from counts (C(n-1, s) less the recorded ones), so no enumeration
//! of 2^n coalitions is needed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::coalition::{contains, size};
use super::game::CoalitionTable;
use super::weights::{SizeWeights, binomial};

/// Numbers of coalitions that are exact in f64.
const EXACT_COUNTS: f64 = 9e15;

/// The interval a Shapley value must lie in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShapleyBounds {
    /// Least possible value.
    pub low: f64,
    /// Greatest possible value.
    pub high: f64,
}

/// The range unseen coalition values are assumed to lie in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ValueRange {
    /// Least value.
    pub low: f64,
    /// Greatest value.
    pub high: f64,
}

impl std::str::FromStr for ValueRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').collect();
        let [low, high] = parts[..] else {
            return Err("expected LO,HI, for instance 0,1".to_owned());
        };
        let number = |part: &str| {
            part.trim()
                .parse::<f64>()
                .ok()
                .filter(|x| x.is_finite())
                .ok_or(format!("'{part}' is not a finite number"))
        };
        let range = Self { low: number(low)?, high: number(high)? };
        if range.low > range.high {
            return Err(format!("the range {text} is empty: LO comes first"));
        }
        Ok(range)
    }
}

/// Bounds for every player.
///
/// # Edge cases
/// A complete table gives intervals of (rounding) width zero about the exact values.
pub fn shapley_bounds(table: &CoalitionTable, range: ValueRange) -> Vec<ShapleyBounds> {
    let n = table.n_players();
    let SizeWeights { joined, left } = SizeWeights::new(n);
    let mut known = vec![0.0f64; n];
    // Recorded coalitions per player and size, with the player and without.
    let mut with = vec![vec![0u64; n + 1]; n];
    let mut without = vec![vec![0u64; n + 1]; n];
    let shift = table.empty_value().unwrap_or(0.0);
    for (mask, value) in table.rows() {
        let s = size(&mask);
        for player in 0..n {
            if contains(&mask, player) {
                known[player] += joined[s] * (value - shift);
                with[player][s] += 1;
            } else {
                known[player] -= left[s] * (value - shift);
                without[player][s] += 1;
            }
        }
    }
    (0..n)
        .map(|player| {
            let missing_weight = |counts: &[u64], weights: &[f64], total: &dyn Fn(usize) -> f64| -> f64 {
                let of_size = |s: usize| match total(s) {
                    total if total < EXACT_COUNTS => (total - counts[s] as f64).max(0.0) * weights[s],
                    // The coalitions of one size weigh 1/n together, however many there are.
                    _ => (1.0 / n as f64 - counts[s] as f64 * weights[s]).max(0.0),
                };
                (0..=n).map(of_size).sum()
            };
            let members = missing_weight(&with[player], &joined, &|s| {
                if s == 0 { 0.0 } else { binomial(n - 1, s - 1) }
            });
            let others = missing_weight(&without[player], &left, &|s| binomial(n - 1, s));
            let (lo, hi) = (range.low - shift, range.high - shift);
            ShapleyBounds {
                low: known[player] + members * lo - others * hi,
                high: known[player] + members * hi - others * lo,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{ExactKernel, Repeats};

    fn value(mask: u64) -> f64 {
        (mask as f64 * 0.37).sin().abs()
    }

    fn partial(n: usize, keep: impl Fn(u64) -> bool) -> CoalitionTable {
        let rows: Vec<(u64, f64)> = (0..1u64 << n).filter(|m| keep(*m)).map(|m| (m, value(m))).collect();
        CoalitionTable::from_rows(n, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table")
    }

    const UNIT: ValueRange = ValueRange { low: 0.0, high: 1.0 };

    #[test]
    fn bounds_are_the_extremes_over_all_fillings() {
        let table = partial(4, |m| m % 3 != 1);
        let missing: Vec<u64> = (0..16).filter(|m| m % 3 == 1).collect();
        let kernel = ExactKernel::new(4);
        let mut low = [f64::INFINITY; 4];
        let mut high = [f64::NEG_INFINITY; 4];
        for filling in 0..1u64 << missing.len() {
            let values: Vec<f64> = (0..16u64)
                .map(|m| missing.iter().position(|x| *x == m).map_or(value(m), |k| (filling >> k & 1) as f64))
                .collect();
            for (player, phi) in kernel.shapley_values(&values).into_iter().enumerate() {
                low[player] = low[player].min(phi);
                high[player] = high[player].max(phi);
            }
        }
        for (player, bounds) in shapley_bounds(&table, UNIT).iter().enumerate() {
            assert!((bounds.low - low[player]).abs() < 1e-14 && (bounds.high - high[player]).abs() < 1e-14);
        }
    }

    #[test]
    fn a_complete_table_leaves_no_room() {
        let table = partial(5, |_| true);
        let exact = ExactKernel::new(5).shapley_values(table.complete_values().expect("complete"));
        for (bounds, exact) in shapley_bounds(&table, UNIT).iter().zip(exact) {
            assert!((bounds.low - exact).abs() < 1e-15 && (bounds.high - exact).abs() < 1e-15);
        }
    }

    #[test]
    fn one_missing_middle_coalition_of_eight_players_costs_a_280th() {
        let table = partial(8, |m| m != 0b0000_1111);
        for bounds in shapley_bounds(&table, UNIT) {
            assert!((bounds.high - bounds.low - 1.0 / 280.0).abs() < 1e-15);
        }
    }

    #[test]
    fn ranges_are_parsed_and_checked() {
        assert_eq!("0, 100".parse(), Ok(ValueRange { low: 0.0, high: 100.0 }));
        for bad in ["1", "1,0", "a,1", "0,inf", "0,1,2"] {
            assert!(bad.parse::<ValueRange>().is_err(), "{bad}");
        }
    }
}
