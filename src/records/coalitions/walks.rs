//! Recorded permutations: rows that walk from the empty to the full coalition.

use crate::attribution::Walk;
use crate::attribution::coalition::size;

/// One row of a recorded permutation.
pub(super) struct WalkRow {
    pub(super) position: i64,
    pub(super) mask: Vec<u64>,
    pub(super) value: f64,
}

/// Recorded permutations of a game.
pub(super) struct RecordedWalks {
    pub(super) walks: Vec<Walk>,
    /// Permutations left out because their rows do not walk from empty to full.
    pub(super) n_bad: usize,
}

/// Checks that the rows walk from empty to full, one player more at each.
pub(super) fn build_walk(perm: i64, mut rows: Vec<WalkRow>, n_players: usize) -> Result<Walk, String> {
    rows.sort_by_key(|row| row.position);
    if rows.len() != n_players + 1 {
        return Err(format!("{} rows where {} slots need {}", rows.len(), n_players, n_players + 1));
    }
    let mut order = Vec::with_capacity(n_players);
    for (expected, row) in rows.iter().enumerate() {
        if row.position != expected as i64 {
            return Err(format!("position {expected} is missing or doubled"));
        }
        if size(&row.mask) != expected {
            return Err(format!("position {expected} has {} slots switched on", size(&row.mask)));
        }
    }
    for pair in rows.windows(2) {
        let joined: Vec<usize> = (0..n_players)
            .filter(|player| {
                let is_in = |mask: &[u64]| crate::attribution::coalition::contains(mask, *player);
                is_in(&pair[1].mask) && !is_in(&pair[0].mask)
            })
            .collect();
        let [player] = joined[..] else {
            return Err(format!(
                "position {} is not position {} and one slot more",
                pair[1].position, pair[0].position
            ));
        };
        order.push(player);
    }
    Ok(Walk { perm, order, values: rows.into_iter().map(|row| row.value).collect() })
}
