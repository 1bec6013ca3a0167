//! Sharp bounds on Shapley values when coalitions are missing.
//!
//! # Formula
//! phi_i = known_i + sum over missing S of c_i(S) v(S) with c_i(S) = w(s-1) for members and -w(s) for others.
//! With every missing value in [lo, hi] the interval known_i + sum of min/max (c lo, c hi) is attained at both
//! ends. The missing weight per size follows from counts (C(n-1, s) less the recorded ones), so no enumeration
//! of 2^n coalitions is needed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::coalition::{contains, insert, size, words_for};
use super::game::CoalitionTable;
use super::weights::{SizeWeights, binomial};

/// Numbers of coalitions that are exact in f64.
const EXACT_COUNTS: f64 = 9e15;

/// The interval a Shapley value must lie in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

/// The missing coalition whose value would narrow the intervals most, and by how much all of them together for every unit of
/// the range; `None` of a complete table.
///
/// # Formula
/// v(S) enters the intervals with the sum over players of |c_i(S)| = s w(s-1) + (n-s) w(s) = 2/C(n, s), or half of it at the
/// ends: coalitions of few players, and of all but a few, tell most. Of one size the first in order of players.
pub(super) fn most_telling(table: &CoalitionTable) -> Option<(Vec<u64>, f64)> {
    let n = table.n_players();
    let mut recorded = vec![0.0; n + 1];
    table.rows().for_each(|(mask, _)| recorded[size(&mask)] += 1.0);
    let mut sizes: Vec<usize> = (0..=n).collect();
    sizes.sort_by_key(|s| (*s.min(&(n - s)), *s));
    let s = sizes.into_iter().find(|s| recorded[*s] < binomial(n, *s))?;
    let mut members: Vec<usize> = (0..s).collect();
    loop {
        let mut mask = vec![0; words_for(n)];
        members.iter().for_each(|player| insert(&mut mask, *player));
        if table.position(&mask).is_none() {
            return Some((mask, if s == 0 || s == n { 1.0 } else { 2.0 / binomial(n, s) }));
        }
        if !advance(&mut members, n) {
            return None;
        }
    }
}

/// The next set of as many of `n` players, in lexicographic order; `false` after the last.
fn advance(members: &mut [usize], n: usize) -> bool {
    let size = members.len();
    let Some(place) = (0..size).rev().find(|place| members[*place] < n - size + place) else { return false };
    let next = members[place] + 1;
    for (offset, member) in members[place..].iter_mut().enumerate() {
        *member = next + offset;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{ExactKernel, Repeats};

    /// Every missing coalition is tried: none narrows the intervals more than the one named, which does so by what is said.
    #[test]
    fn the_most_telling_evaluation_narrows_most() {
        let range = ValueRange { low: 0.0, high: 2.0 };
        let width = |table: &CoalitionTable| -> f64 {
            shapley_bounds(table, range).iter().map(|bounds| bounds.high - bounds.low).sum()
        };
        for seed in 0..40u64 {
            let n = 1 + (seed % 5) as usize;
            let kept =
                |mask: u64| !mask.wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ seed).count_ones().is_multiple_of(3);
            let rows: Vec<(u64, f64)> =
                (0..1u64 << n).filter(|mask| kept(*mask)).map(|mask| (mask, 1.0)).collect();
            let table = |rows: &[(u64, f64)]| {
                CoalitionTable::from_rows(n, rows.len(), rows.iter().copied(), Repeats::Mean)
                    .expect("a table")
            };
            let before = width(&table(&rows));
            let gains = (0..1u64 << n).filter(|mask| !kept(*mask)).map(|mask| {
                let more = [&rows[..], &[(mask, 1.0)]].concat();
                (before - width(&table(&more)), mask)
            });
            let most = gains.clone().map(|(gain, _)| gain).fold(0.0, f64::max);
            match most_telling(&table(&rows)) {
                None => assert_eq!(rows.len(), 1 << n),
                Some((mask, narrows)) => {
                    let own = gains.clone().find(|(_, other)| *other == mask[0]).expect("a missing one").0;
                    assert!((own - most).abs() < 1e-12 && (own - 2.0 * narrows).abs() < 1e-12, "{seed} {n}");
                }
            }
        }
    }

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
