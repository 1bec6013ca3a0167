//! Small sets of players as masks.

/// Masks of all sets of `size` of `players`, in lexicographic order, each with `chosen`.
pub(super) fn combinations(players: &[usize], size: usize, chosen: u64, found: &mut Vec<u64>) {
    if size == 0 {
        found.push(chosen);
        return;
    }
    for (place, player) in players.iter().enumerate() {
        combinations(&players[place + 1..], size - 1, chosen | 1 << player, found);
    }
}

/// All subsets of a set, the empty one first.
pub(super) fn subsets(set: u64) -> impl Iterator<Item = u64> {
    let mut next = Some(0u64);
    std::iter::from_fn(move || {
        let subset = next?;
        next = (subset != set).then(|| (subset.wrapping_sub(set)) & set);
        Some(subset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_their_subsets_come_in_order() {
        let mut found = Vec::new();
        combinations(&[0, 2, 3], 2, 0, &mut found);
        assert_eq!(found, [0b101, 0b1001, 0b1100]);
        assert_eq!(subsets(0b101).collect::<Vec<_>>(), [0, 1, 0b100, 0b101]);
        assert_eq!(subsets(0).collect::<Vec<_>>(), [0]);
    }
}
