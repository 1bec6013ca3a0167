//! Small sets of players: their members in order, and as masks where a word holds them.

/// All sets of `size` of `players`, in lexicographic order.
pub(super) fn combinations(players: &[usize], size: usize) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    extend(players, size, &mut Vec::with_capacity(size), &mut found);
    found
}

fn extend(players: &[usize], more: usize, chosen: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
    if more == 0 {
        found.push(chosen.clone());
        return;
    }
    for (place, player) in players.iter().enumerate() {
        chosen.push(*player);
        extend(&players[place + 1..], more - 1, chosen, found);
        chosen.pop();
    }
}

/// The mask of a set of players of a game that a word holds.
pub(super) fn mask_of(members: &[usize]) -> u64 {
    members.iter().fold(0, |mask, player| mask | 1 << player)
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
        assert_eq!(combinations(&[0, 2, 3], 2), [[0, 2], [0, 3], [2, 3]]);
        assert_eq!(combinations(&[4, 70], 0), [[0usize; 0]]);
        assert_eq!(mask_of(&[0, 2]), 0b101);
        assert_eq!(subsets(0b101).collect::<Vec<_>>(), [0, 1, 0b100, 0b101]);
        assert_eq!(subsets(0).collect::<Vec<_>>(), [0]);
    }
}
