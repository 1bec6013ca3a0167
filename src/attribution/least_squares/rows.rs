//! The recorded coalitions a fit is made of, heaviest first.

use std::ops::Range;

use super::effects::{Effects, members};
use crate::attribution::coalition::{size, words_for};

/// The recorded coalitions other than the empty and the full one, in order of falling weight.
///
/// The weight mu(s) depends on min(s, n - s) alone: the *class* of a coalition.
#[derive(Debug)]
pub(super) struct InnerRows {
    n_players: usize,
    /// v(N) - v(empty) over the number of effects.
    share: f64,
    /// Effects within a coalition, by its size.
    n_within: Vec<f64>,
    /// Coalitions of the table, the ends among them.
    masks: Vec<u64>,
    /// v(S) - v(empty).
    gains: Vec<f64>,
    /// Places in the table.
    order: Vec<u32>,
}

impl InnerRows {
    /// Orders the rows of a table, coalitions and v(S) - v(empty); `total` is that of all players.
    pub(super) fn new(effects: &Effects, total: f64, rows: impl Iterator<Item = (Vec<u64>, f64)>) -> Self {
        let (mut masks, mut gains) = (Vec::new(), Vec::new());
        for (mask, gain) in rows {
            masks.extend(mask);
            gains.push(gain);
        }
        let n_players = effects.n_players();
        let share = total / effects.len() as f64;
        let n_within = (0..=n_players).map(|size| effects.n_within(size) as f64).collect();
        let mut sorted = Self { n_players, share, n_within, masks, gains, order: Vec::new() };
        // The table's own index is of 32 bits too.
        let mut order: Vec<u32> = (0..u32::try_from(sorted.gains.len()).unwrap_or(u32::MAX)).collect();
        order.retain(|position| sorted.class_at(*position) > 0);
        // Stable: rows of one class stay in ascending order of coalition.
        order.sort_by_key(|position| sorted.class_at(*position));
        sorted.order = order;
        sorted
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    fn mask_at(&self, position: u32) -> &[u64] {
        let words = words_for(self.n_players);
        &self.masks[position as usize * words..(position as usize + 1) * words]
    }

    fn class_at(&self, position: u32) -> usize {
        let size = size(self.mask_at(position));
        size.min(self.n_players - size)
    }

    /// Coalitions of a range of rows.
    pub(super) fn masks(&self, range: Range<usize>) -> impl ExactSizeIterator<Item = &[u64]> {
        self.order[range].iter().map(|position| self.mask_at(*position))
    }

    /// v(S) - v(empty) of all rows.
    pub(super) fn gains(&self) -> impl Iterator<Item = f64> {
        (0..self.len()).map(|row| self.gains[self.position(row)])
    }

    /// v(S) - v(empty) less an equal share of v(N) - v(empty) for each effect within S.
    pub(super) fn deviation(&self, row: usize) -> f64 {
        self.gains[self.position(row)] - self.share * self.n_within(row)
    }

    /// Deviations of all rows less what the effects' differences from equal shares make of them.
    pub(super) fn residuals(&self, effects: &Effects, differences: &[f64]) -> impl Iterator<Item = f64> {
        let mut on = vec![false; self.n_players];
        let mut fitted = move |mask: &[u64]| -> f64 {
            on.fill(false);
            members(mask).for_each(|player| on[player] = true);
            let within = effects.sets().iter().zip(differences).filter(|([a, b], _)| on[*a] && on[*b]);
            within.map(|(_, difference)| difference).sum()
        };
        self.masks(0..self.len()).enumerate().map(move |(row, mask)| self.deviation(row) - fitted(mask))
    }

    /// mu of all rows, that of the heaviest being 1.
    pub(super) fn weights(&self) -> impl Iterator<Item = f64> {
        let first = self.order.first().map_or(1, |position| self.class_at(*position));
        let mut by_class = vec![1.0; first + 1];
        for class in first..self.n_players / 2 {
            by_class.push(by_class[class] * self.relative_weight(class, class + 1));
        }
        (0..self.len()).map(move |row| by_class[self.class(row)])
    }

    /// Effects within the coalition of a row.
    pub(super) fn n_within(&self, row: usize) -> f64 {
        self.n_within[size(self.mask_at(self.order[row]))]
    }

    /// Place of a row in the table.
    pub(super) fn position(&self, row: usize) -> usize {
        self.order[row] as usize
    }

    /// min(s, n - s).
    pub(super) fn class(&self, row: usize) -> usize {
        self.class_at(self.order[row])
    }

    /// mu of the class `to` over mu of the class `from`, no lighter than it.
    ///
    /// # Formula
    /// mu(s+1)/mu(s) = s/(n-1-s) for mu(s) = (n-1)/(C(n,s) s (n-s)): no binomial coefficient that could overflow. A
    /// ratio below the least f64 is 0.
    pub(super) fn relative_weight(&self, from: usize, to: usize) -> f64 {
        (from..to).map(|s| s as f64 / (self.n_players - 1 - s) as f64).product()
    }

    /// End of the longest block from `start` of at most `limit` rows whose weights lie within `ratio` of each other.
    pub(super) fn block_end(&self, start: usize, limit: usize, ratio: f64) -> usize {
        let heaviest = self.class(start);
        let fits = |row: &usize| self.relative_weight(heaviest, self.class(*row)) * ratio >= 1.0;
        start + (start..self.len()).take(limit).take_while(fits).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_weights_are_those_of_the_kernel() {
        // mu(s) for n = 6: 5/30, 5/120, 5/180.
        let rows = InnerRows::new(&Effects::singles(6), 1.0, std::iter::empty());
        assert!((rows.relative_weight(1, 2) - 0.25).abs() < 1e-16);
        assert!((rows.relative_weight(1, 3) - 1.0 / 6.0).abs() < 1e-16);
        assert_eq!(rows.relative_weight(2, 2), 1.0);
    }

    #[test]
    fn rows_come_heaviest_first_and_ends_are_left_out() {
        let table = [0u64, 3, 4, 7, 15, 14].map(|mask| (vec![mask], mask as f64));
        let rows = InnerRows::new(&Effects::singles(4), 15.0, table.into_iter());
        assert_eq!(rows.masks(0..rows.len()).map(|mask| mask[0]).collect::<Vec<_>>(), [4, 7, 14, 3]);
        assert_eq!((0..4).map(|row| rows.position(row)).collect::<Vec<_>>(), [2, 3, 5, 1]);
        assert_eq!(rows.deviation(1), 7.0 - 3.0 * 3.75);
        // Weights 1/4 and 1/8.
        assert_eq!(
            (rows.block_end(0, 10, 2.0), rows.block_end(0, 10, 1.9), rows.block_end(0, 2, 2.0)),
            (4, 3, 2)
        );
        assert_eq!(rows.weights().collect::<Vec<_>>(), [1.0, 1.0, 1.0, 0.5]);
        assert_eq!(rows.gains().collect::<Vec<_>>(), [4.0, 7.0, 14.0, 3.0]);
    }
}
