//! Sharp bounds on Shapley values when no player ever makes a coalition worse.
//!
//! # Formula
//! Every unseen v(S) lies between l(S), the greatest recorded value of a subset, and h(S), the least of a superset (and within the
//! range of unseen values, where there is one). Then
//! sum w(s) max(0, l(S+i) - h(S)) <= phi_i <= sum w(s) (h(S+i) - l(S)), both sums over S without i. Both ends are attained by games that
//! are monotone: v(S) = l(S) without i and h(S) with him for the upper; v(S) = h(S) without him and max(h(S), l(S+i)) with him for the
//! lower.
//!
//! # Source
//! Elementary; the envelopes are those of isotonic functions (Robertson, Wright and Dykstra, *Order Restricted Statistical
//! Inference*, 1988).

use super::GameError;
use super::bounds::{ShapleyBounds, ValueRange};
use super::coalition::describe;
use super::game::CoalitionTable;
use super::weights::shapley_weights;

/// Players up to which all coalitions are gone through: 2^22 pairs of bounds are 64 MB.
pub(super) const MONOTONE_PLAYERS: usize = 22;

/// Which way values go as players join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Monotone {
    /// Never down.
    Up,
    /// Never up.
    Down,
}

/// Bounds of every player; `range` bounds what the ends leave open.
///
/// # Errors
/// Recorded values that are not monotone, ends that neither are recorded nor bounded, too many players.
pub(super) fn monotone_bounds(
    table: &CoalitionTable,
    players: &[String],
    direction: Monotone,
    range: Option<ValueRange>,
) -> Result<Vec<ShapleyBounds>, GameError> {
    let n = table.n_players();
    if n > MONOTONE_PLAYERS {
        return Err(GameError::TooManyForMonotone(n));
    }
    let sign = match direction {
        Monotone::Up => 1.0,
        Monotone::Down => -1.0,
    };
    let (least, most) = match (range, direction) {
        (None, _) => (f64::NEG_INFINITY, f64::INFINITY),
        (Some(range), Monotone::Up) => (range.low, range.high),
        (Some(range), Monotone::Down) => (-range.high, -range.low),
    };
    // Which recorded coalition each envelope comes from, for a message.
    let mut low: Vec<(f64, Option<u32>)> = vec![(least, None); 1 << n];
    let mut high: Vec<(f64, Option<u32>)> = vec![(most, None); 1 << n];
    for (mask, value) in table.rows() {
        let place = usize::try_from(mask[0]).unwrap_or(0);
        let own = (sign * value, u32::try_from(mask[0]).ok());
        (low[place], high[place]) = (own, own);
    }
    for player in 0..n {
        for mask in (0..1usize << n).filter(|mask| mask >> player & 1 == 1) {
            let without = mask ^ 1 << player;
            if low[without].0 > low[mask].0 {
                low[mask] = low[without];
            }
        }
        for mask in (0..1usize << n).rev().filter(|mask| mask >> player & 1 == 1) {
            let without = mask ^ 1 << player;
            if high[mask].0 < high[without].0 {
                high[without] = high[mask];
            }
        }
    }
    if let Some(place) = (0..1usize << n).find(|place| low[*place].0 > high[*place].0) {
        let name = |from: Option<u32>| {
            from.map_or_else(|| "--range".to_owned(), |mask| describe(&[u64::from(mask)], players))
        };
        return Err(GameError::NotMonotone {
            smaller: name(low[place].1),
            larger: name(high[place].1),
            values: (sign * low[place].0, sign * high[place].0),
        });
    }
    if !low.iter().chain(&high).all(|(value, _)| value.is_finite()) {
        return Err(GameError::NoRange);
    }
    let weights = shapley_weights(n);
    let of_player = |player: usize| {
        let (mut lower, mut upper) = (0.0, 0.0);
        for mask in (0..1usize << n).filter(|mask| mask >> player & 1 == 0) {
            let weight = weights[mask.count_ones() as usize];
            let with = mask | 1 << player;
            lower += weight * (low[with].0 - high[mask].0).max(0.0);
            upper += weight * (high[with].0 - low[mask].0);
        }
        match direction {
            Monotone::Up => ShapleyBounds { low: lower, high: upper },
            Monotone::Down => ShapleyBounds { low: -upper, high: -lower },
        }
    };
    Ok((0..n).map(of_player).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{ExactKernel, Repeats};

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|player| format!("p{player}")).collect()
    }

    fn table(n: usize, rows: &[(u64, f64)]) -> CoalitionTable {
        CoalitionTable::from_rows(n, rows.len(), rows.iter().copied(), Repeats::Mean).expect("a table")
    }

    /// Monotone games of three players on a grid of values: the least and the greatest Shapley values of all that agree with what
    /// is recorded are the bounds.
    #[test]
    fn both_ends_are_attained_by_monotone_games_and_never_passed() {
        let n = 3;
        let recorded = [(0u64, 0.0), (1, 1.0), (6, 2.0), (7, 3.0)];
        let found = monotone_bounds(&table(n, &recorded), &names(n), Monotone::Up, None).expect("bounds");
        let open = [2u64, 3, 4, 5];
        let kernel = ExactKernel::new(n);
        let mut seen = vec![(f64::INFINITY, f64::NEG_INFINITY); n];
        for code in 0..4usize.pow(4) {
            let mut values = vec![0.0; 8];
            recorded.iter().for_each(|(m, value)| values[usize::try_from(*m).expect("small")] = *value);
            for (place, mask) in open.iter().enumerate() {
                values[usize::try_from(*mask).expect("small")] =
                    (code / 4usize.pow(u32::try_from(place).expect("small")) % 4) as f64;
            }
            let is_monotone = (0..8usize).all(|m| (0..n).all(|i| values[m & !(1 << i)] <= values[m]));
            if is_monotone {
                for (seen, phi) in seen.iter_mut().zip(kernel.shapley_values(&values)) {
                    *seen = (seen.0.min(phi), seen.1.max(phi));
                }
            }
        }
        for (bounds, (least, most)) in found.iter().zip(seen) {
            assert!(
                (bounds.low - least).abs() < 1e-12 && (bounds.high - most).abs() < 1e-12,
                "{bounds:?} {least} {most}"
            );
        }
        // The same game, its values turned around.
        let turned = recorded.map(|(m, value)| (m, -value));
        let down = monotone_bounds(&table(n, &turned), &names(n), Monotone::Down, None).expect("bounds");
        assert!(found.iter().zip(down).all(|(up, down)| up.low == -down.high && up.high == -down.low));
    }

    #[test]
    fn what_is_not_monotone_is_named_and_open_ends_need_a_range() {
        let rows = [(0u64, 0.0), (1, 2.0), (3, 1.0)];
        let error = monotone_bounds(&table(2, &rows), &names(2), Monotone::Up, None).err();
        let Some(GameError::NotMonotone { smaller, larger, values }) = error else { panic!("{error:?}") };
        assert_eq!((smaller.as_str(), larger.as_str(), values), ("{p0}", "{p0,p1}", (2.0, 1.0)));
        let open = table(2, &[(0u64, 0.0), (1, 2.0)]);
        assert_eq!(monotone_bounds(&open, &names(2), Monotone::Up, None).err(), Some(GameError::NoRange));
        let range = Some(ValueRange { low: 0.0, high: 4.0 });
        let bounds = monotone_bounds(&open, &names(2), Monotone::Up, range).expect("bounds");
        // phi_0 = (2 - 0)/2 + (v(N) - v(1))/2, the last between 0 (both 4) and 4.
        assert_eq!((bounds[0].low, bounds[0].high), (1.0, 3.0));
    }
}
