//! What the recorded coalitions leave open, and the evaluation that would settle it.
//!
//! # Formula
//! With N an orthonormal basis of all d with 1'd = 0 and z'd = 0 for every recorded z, P = NN' is the projection on what
//! cannot be seen. It is block diagonal over the finest groups of players between which nothing is shared; 1'd = 0
//! holds in each group for itself, so the sum over a group is always determined. A coalition determines one difference
//! more exactly if z'P is not 0: the coalition of one player alone does if that player's value is open at all.

use nalgebra::DMatrix;

use super::differences::Differences;

/// Entries of the projection below this are 0: they come from memberships of 0 and 1.
const UNSEEN: f64 = 1e-9;

/// Players whose values the recorded coalitions leave open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gaps {
    /// Players that cannot be told apart, group by group.
    pub(super) groups: Vec<Vec<usize>>,
    /// The player whose coalition of one tells most.
    pub(super) most_open: usize,
}

impl Gaps {
    /// Reads groups off a basis of the null space in the coordinates of `basis`.
    pub(super) fn new(null_space: &DMatrix<f64>, basis: &Differences) -> Self {
        let n = basis.dimension() + 1;
        let mut null = DMatrix::zeros(n, null_space.ncols());
        for (direction, column) in null_space.column_iter().enumerate() {
            let column: Vec<f64> = column.iter().copied().collect();
            null.column_mut(direction).copy_from_slice(&basis.of_effects(&column));
        }
        let orthonormal = null.qr().q();
        let projection = &orthonormal * orthonormal.transpose();
        let openness: Vec<f64> = (0..n).map(|player| projection[(player, player)]).collect();
        let most = openness.iter().copied().fold(0.0, f64::max);
        let most_open = openness.iter().position(|open| *open >= most - UNSEEN).unwrap_or(0);
        let mut groups = Vec::new();
        let mut is_placed = vec![false; n];
        for player in 0..n {
            if is_placed[player] || openness[player] <= UNSEEN {
                continue;
            }
            let mut group = vec![player];
            is_placed[player] = true;
            let mut next = 0;
            while let Some(member) = group.get(next).copied() {
                next += 1;
                for other in 0..n {
                    if !is_placed[other] && projection[(member, other)].abs() > UNSEEN {
                        is_placed[other] = true;
                        group.push(other);
                    }
                }
            }
            group.sort_unstable();
            groups.push(group);
        }
        Self { groups, most_open }
    }
}
