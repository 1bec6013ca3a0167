//! Coalitions as bit sets and the look-up from coalition to value.

/// Players a machine word holds.
pub const WORD_BITS: usize = 64;

/// Words needed for the bit set of `n_players` players (at least one).
pub fn words_for(n_players: usize) -> usize {
    n_players.div_ceil(WORD_BITS).max(1)
}

/// Whether `player` belongs to the coalition `mask`.
pub fn contains(mask: &[u64], player: usize) -> bool {
    mask[player / WORD_BITS] >> (player % WORD_BITS) & 1 == 1
}

/// Adds `player` to the coalition `mask`.
pub fn insert(mask: &mut [u64], player: usize) {
    mask[player / WORD_BITS] |= 1 << (player % WORD_BITS);
}

/// Number of players in the coalition.
pub fn size(mask: &[u64]) -> usize {
    mask.iter().map(|word| word.count_ones() as usize).sum()
}

/// The coalition of all `n_players` players.
pub fn grand_coalition(n_players: usize) -> Vec<u64> {
    let mut mask = vec![0; words_for(n_players)];
    for player in 0..n_players {
        insert(&mut mask, player);
    }
    mask
}

/// The coalition spelled for people: `{}`, `{r0c0,r1c2}`.
pub fn describe(mask: &[u64], players: &[String]) -> String {
    format!("{{{}}}", members(mask, players).join(","))
}

/// The players of a coalition by name.
pub fn members(mask: &[u64], players: &[String]) -> Vec<String> {
    let own = players.iter().enumerate().filter(|(player, _)| contains(mask, *player));
    own.map(|(_, id)| id.clone()).collect()
}

/// Position of each coalition in a list of distinct ones: open addressing, at most half full.
#[derive(Debug, Clone)]
pub(crate) struct CoalitionIndex {
    slots: Vec<u32>,
    shift: u32,
}

const VACANT: u32 = u32::MAX;

impl CoalitionIndex {
    /// Indexes `masks`, each `words` words long.
    pub(crate) fn new(masks: &[u64], words: usize) -> Self {
        let n = masks.len() / words;
        let capacity = (2 * n).next_power_of_two().max(4);
        let mut index = Self { slots: vec![VACANT; capacity], shift: 64 - capacity.trailing_zeros() };
        for (position, mask) in masks.chunks_exact(words).enumerate() {
            let mut slot = index.home(mask);
            while index.slots[slot] != VACANT {
                slot = (slot + 1) & (capacity - 1);
            }
            index.slots[slot] = u32::try_from(position).unwrap_or(VACANT);
        }
        index
    }

    /// Position of `mask` among the indexed coalitions.
    #[inline]
    pub(crate) fn position(&self, masks: &[u64], mask: &[u64]) -> Option<usize> {
        let words = mask.len();
        let mut slot = self.home(mask);
        loop {
            let position = self.slots[slot];
            if position == VACANT {
                return None;
            }
            let start = position as usize * words;
            if &masks[start..start + words] == mask {
                return Some(position as usize);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the shift leaves an index below the capacity")]
    fn home(&self, mask: &[u64]) -> usize {
        // Fibonacci hashing; each word is mixed before the next enters.
        let mut hash = 0u64;
        for word in mask {
            hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 32;
        }
        (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_indexed_coalition_is_found_and_no_other() {
        for words in [1, 2, 3] {
            let masks: Vec<u64> =
                (0..500u64 * words as u64).map(|i| i.wrapping_mul(0x2545_f491_4f6c_dd1d)).collect();
            let index = CoalitionIndex::new(&masks, words);
            for (position, mask) in masks.chunks_exact(words).enumerate() {
                assert_eq!(index.position(&masks, mask), Some(position));
            }
            assert_eq!(index.position(&masks, &vec![7; words]), None);
        }
    }

    #[test]
    fn wide_coalitions_cross_words() {
        let mask = grand_coalition(70);
        assert_eq!((mask.len(), size(&mask)), (2, 70));
        assert!(contains(&mask, 69) && !contains(&mask, 70));
    }
}
