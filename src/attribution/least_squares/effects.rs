//! What a fit has numbers for: single players, and pairs of them.

use crate::attribution::coalition::WORD_BITS;

/// Sets of players with an effect of their own: it counts in every coalition that holds the whole set.
///
/// Single players come first, in order, then pairs in lexicographic order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::attribution) struct Effects {
    n_players: usize,
    /// Both players of a pair; a single player twice.
    sets: Vec<[usize; 2]>,
}

impl Effects {
    /// One effect per player.
    pub(in crate::attribution) fn singles(n_players: usize) -> Self {
        Self { n_players, sets: (0..n_players).map(|player| [player, player]).collect() }
    }

    /// One effect per player and per pair of players.
    pub(in crate::attribution) fn pairs(n_players: usize) -> Self {
        let mut effects = Self::singles(n_players);
        effects.sets.extend((0..n_players).flat_map(|a| (a + 1..n_players).map(move |b| [a, b])));
        effects
    }

    /// Number of players.
    pub(in crate::attribution) fn n_players(&self) -> usize {
        self.n_players
    }

    /// Number of effects.
    pub(in crate::attribution) fn len(&self) -> usize {
        self.sets.len()
    }

    /// Both players of each pair, or a single player twice.
    pub(in crate::attribution) fn sets(&self) -> &[[usize; 2]] {
        &self.sets
    }

    /// Whether pairs have effects.
    pub(super) fn has_pairs(&self) -> bool {
        self.sets.len() > self.n_players
    }

    /// Place of the effect of two players, or of one given twice.
    ///
    /// # Panics
    /// If `a` > `b`, or a pair is asked of single players.
    pub(in crate::attribution) fn place(&self, [a, b]: [usize; 2]) -> usize {
        assert!(a <= b && b < self.n_players, "players in order");
        if a == b {
            return a;
        }
        let before = self.n_players + a * (2 * self.n_players - a - 1) / 2;
        let place = before + b - a - 1;
        assert!(self.sets[place] == [a, b], "an effect of this set");
        place
    }

    /// Number of sets within a coalition of `size` players.
    pub(super) fn n_within(&self, size: usize) -> usize {
        if self.has_pairs() { size * (size + 1) / 2 } else { size }
    }
}

/// The players of a coalition.
pub(super) fn members(mask: &[u64]) -> impl Iterator<Item = usize> {
    mask.iter().enumerate().flat_map(|(place, word)| {
        let mut rest = *word;
        std::iter::from_fn(move || {
            let player = (rest != 0).then(|| place * WORD_BITS + rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(player)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_at_its_place() {
        for n in [1, 2, 3, 70] {
            for effects in [Effects::singles(n), Effects::pairs(n)] {
                for (place, set) in effects.sets().iter().enumerate() {
                    assert_eq!(effects.place(*set), place);
                }
                assert_eq!(effects.n_within(n), effects.len());
            }
        }
        assert_eq!(Effects::pairs(3).sets(), [[0, 0], [1, 1], [2, 2], [0, 1], [0, 2], [1, 2]]);
    }

    #[test]
    fn members_come_in_order_across_words() {
        assert_eq!(members(&[0b101, 1 << 63]).collect::<Vec<_>>(), [0, 2, 127]);
        assert_eq!(members(&[0]).count(), 0);
    }
}
