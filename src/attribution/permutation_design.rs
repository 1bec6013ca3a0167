//! Which permutations are drawn together.
//!
//! # Formula
//! A permutation picked from a block at random is uniform, so the mean over the block has mean phi_i; blocks are independent.
//! *Balanced*: each of the n players is first once, the others follow in random order. *Stratified*: a Latin square,
//! each player once at every position: permutation r has the player s((r + c(p)) mod n) at position p, s and c random
//! permutations. A player's marginal contributions of all coalition sizes then enter in equal parts, as
//! phi_i = (1/n) sum over sizes of their means asks for.
//!
//! # Source
//! Balanced: Covert and Lee, PMLR 130:3457, 2021, and the R package kernelshap. Stratified: Maleki, Tran-Thanh, Hines,
//! Rahwan and Rogers, 2013; Castro, Gomez, Molina and Tejada, *Computers & Operations Research* 82, 2017. Latin squares:
//! McKay, Beckman and Conover, *Technometrics* 21, 1979.

use rand::Rng;
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which permutations are drawn together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PermutationDesign {
    /// Each by itself.
    #[default]
    Plain,
    /// Blocks of n, each player first once.
    Balanced,
    /// Blocks of n, each player at every position once.
    Stratified,
}

impl PermutationDesign {
    /// Permutations of a block of a game of `n_players`.
    pub(super) fn block(self, n_players: usize) -> usize {
        match self {
            Self::Plain => 1,
            Self::Balanced | Self::Stratified => n_players.max(1),
        }
    }

    /// Draws a block.
    pub(super) fn draw(self, n_players: usize, random: &mut impl Rng) -> Vec<Vec<usize>> {
        let mut shuffled = || {
            let mut order: Vec<usize> = (0..n_players).collect();
            order.shuffle(random);
            order
        };
        match self {
            Self::Plain => vec![shuffled()],
            Self::Balanced => (0..self.block(n_players))
                .map(|first| {
                    let mut order = shuffled();
                    // Moved to the front: the others keep their uniform order.
                    if let Some(place) = order.iter().position(|player| *player == first) {
                        order[..=place].rotate_right(1);
                    }
                    order
                })
                .collect(),
            Self::Stratified => {
                let (symbols, columns) = (shuffled(), shuffled());
                (0..self.block(n_players))
                    .map(|row| columns.iter().map(|column| symbols[(row + column) % n_players]).collect())
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{StreamKey, random_stream};

    fn block(design: PermutationDesign, n: usize, unit: u64) -> Vec<Vec<usize>> {
        design.draw(n, &mut random_stream(5, StreamKey::named("design", n as u64, 0), unit))
    }

    #[test]
    fn every_block_is_made_of_permutations() {
        for design in [PermutationDesign::Plain, PermutationDesign::Balanced, PermutationDesign::Stratified] {
            for n in [0, 1, 2, 5, 70] {
                let drawn = block(design, n, 0);
                assert_eq!(drawn.len(), design.block(n));
                for mut order in drawn {
                    order.sort_unstable();
                    assert_eq!(order, (0..n).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn balanced_blocks_have_each_player_first_and_stratified_ones_everywhere() {
        let n = 7;
        let at = |drawn: &[Vec<usize>], position: usize| {
            let mut players: Vec<usize> = drawn.iter().map(|order| order[position]).collect();
            players.sort_unstable();
            players == (0..n).collect::<Vec<_>>()
        };
        assert!(at(&block(PermutationDesign::Balanced, n, 1), 0));
        let square = block(PermutationDesign::Stratified, n, 1);
        assert!((0..n).all(|position| at(&square, position)));
    }

    /// Of 6 permutations of 3 players each is drawn a sixth of the time, whatever its place in the block.
    #[test]
    fn each_permutation_of_a_block_is_uniform() {
        for design in [PermutationDesign::Balanced, PermutationDesign::Stratified] {
            let mut counts = std::collections::BTreeMap::new();
            for unit in 0..6000u32 {
                // The row by chance: in a balanced block a fixed row has a fixed first player.
                let drawn = block(design, 3, u64::from(unit));
                *counts.entry(drawn[unit as usize % 3].clone()).or_insert(0u32) += 1;
            }
            assert_eq!(counts.len(), 6);
            // Five standard deviations of 29.
            assert!(counts.values().all(|n| n.abs_diff(1000) < 145), "{design:?}: {counts:?}");
        }
    }
}
