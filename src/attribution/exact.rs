//! Exact Shapley values of a complete table in O(2^n) additions for all players together.
//!
//! # Formula
//! phi_i = sum over S containing i of (w(s-1) + w(s)) v(S) - sum over all S of w(s) v(S), w(s) = s!(n-1-s)!/n!.
//! The mask is split into low and high bits. One pass over the table adds each weighted value to the cell of
//! its low bits and the cell of its high bits; halving folds of the two small arrays then give the sum over
//! S containing i for every i. The empty coalition's value is subtracted first: Shapley values do not change,
//! and large common offsets cost no digits.
//!
//! # Source
//! Shapley, *A value for n-person games*, 1953; the split into one weighted sum per player is elementary and
//! derived in docs/methods.md.

use rayon::prelude::*;

use super::noise::{Degrees, NoiseVariances};
use super::weights::SizeWeights;
use crate::stats::pairwise_sum;

/// Low bits: 2^10 cells of f64 are 8 KiB, so that the cells and both weight rows stay in the first-level cache.
const LOW_BITS: usize = 10;

/// Blocks of 2^LOW_BITS values summed into one set of cells before the tree takes over.
const BLOCKS_PER_CHUNK: usize = 64;

/// Largest number of players: 2^30 values are 8 GiB.
pub const MAX_PLAYERS: usize = 30;

/// Shapley values of games with a fixed number of players; the weights are computed once.
#[derive(Debug, Clone)]
pub struct ExactKernel {
    n_players: usize,
    low_bits: usize,
    /// For each number of high players, the weight of a member's value by low mask.
    member: Vec<Vec<f64>>,
    /// The same for the term shared by all players.
    shared: Vec<Vec<f64>>,
}

impl ExactKernel {
    /// Prepares the weights.
    ///
    /// # Panics
    /// If `n_players` exceeds [`MAX_PLAYERS`].
    pub fn new(n_players: usize) -> Self {
        assert!(n_players <= MAX_PLAYERS, "{n_players} players");
        let low_bits = n_players.min(LOW_BITS);
        let SizeWeights { joined, left } = SizeWeights::new(n_players);
        let by_low_mask = |weight: &dyn Fn(usize) -> f64, high: usize| {
            (0..1usize << low_bits).map(|low| weight(high + low.count_ones() as usize)).collect()
        };
        let rows = 0..=n_players - low_bits;
        Self {
            n_players,
            low_bits,
            member: rows.clone().map(|high| by_low_mask(&|s| joined[s] + left[s], high)).collect(),
            shared: rows.map(|high| by_low_mask(&|s| left[s], high)).collect(),
        }
    }

    /// The number of players the kernel was prepared for.
    pub fn n_players(&self) -> usize {
        self.n_players
    }

    /// Shapley values of the game with `values[mask]`.
    ///
    /// # Shapes
    /// 2^n values in, n out; player i is bit i.
    ///
    /// # Edge cases
    /// No players: no values. Large tables are summed in parallel over chunks of fixed size and a fixed tree,
    /// so the bits do not depend on the number of threads.
    ///
    /// # Panics
    /// If the length is not 2^n.
    pub fn shapley_values(&self, values: &[f64]) -> Vec<f64> {
        assert_eq!(values.len(), 1 << self.n_players, "a complete table has 2^n values");
        if self.n_players == 0 {
            return Vec::new();
        }
        let empty = values[0];
        let block = 1 << self.low_bits;
        let chunk = block * BLOCKS_PER_CHUNK;
        let mut partials: Vec<Partial> = if values.len() > 4 * chunk {
            let chunks = values.par_chunks(chunk).enumerate();
            chunks.map(|(i, part)| self.sum_chunk(part, i * BLOCKS_PER_CHUNK, empty)).collect()
        } else {
            let chunks = values.chunks(chunk).enumerate();
            chunks.map(|(i, part)| self.sum_chunk(part, i * BLOCKS_PER_CHUNK, empty)).collect()
        };
        let mut high: Vec<f64> =
            partials.iter_mut().flat_map(|partial| std::mem::take(&mut partial.high)).collect();
        let mut total = merge_tree(partials);
        let mut sums = fold_members(&mut total.low);
        sums.extend(fold_members(&mut high));
        sums.iter().map(|sum| sum - total.shared).collect()
    }

    /// One pass over the blocks of `values`; the first has the high bits `first_block`.
    fn sum_chunk(&self, values: &[f64], first_block: usize, empty: f64) -> Partial {
        let block = 1 << self.low_bits;
        let mut low = vec![0.0f64; block];
        let mut high = Vec::with_capacity(values.len() / block);
        let mut shared = 0.0;
        for (offset, values) in values.chunks_exact(block).enumerate() {
            let high_players = (first_block + offset).count_ones() as usize;
            let sums =
                add_block(values, &self.member[high_players], &self.shared[high_players], empty, &mut low);
            high.push(sums.member);
            shared += sums.shared;
        }
        Partial { low, high, shared }
    }

    /// Standard errors of the exact values when the table holds means of noisy evaluations.
    ///
    /// # Formula
    /// The value is linear, phi_i = sum over S of c_i(S) v(S), so Var phi_i = sum of c_i(S)^2 Var v(S) exactly,
    /// for independent evaluations. Degrees of freedom are those of the pooled variance, or Satterthwaite's
    /// (sum of c^2 u)^2 / sum of (c^2 u)^2 / d over coalitions with own variance u and d degrees.
    pub fn noise_errors(&self, noise: &NoiseVariances) -> Vec<NoiseError> {
        let SizeWeights { joined, left } = SizeWeights::new(self.n_players);
        let squared_sum = |power: i32, term: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let weighted = |weights: &[f64]| -> Vec<f64> {
                (0..1usize << self.n_players)
                    .map(|mask| weights[mask.count_ones() as usize].powi(power) * term(mask))
                    .collect()
            };
            let members = fold_members(&mut weighted(&joined));
            let others = fold_others(&mut weighted(&left));
            members.iter().zip(others).map(|(a, b)| a + b).collect()
        };
        let variances = squared_sum(2, &|mask| noise.variances[mask]);
        let degrees = match &noise.degrees {
            Degrees::Pooled(degrees) => vec![*degrees; self.n_players],
            Degrees::PerCoalition(own) => {
                let unit = noise.unit().unwrap_or(1.0);
                let fourth = squared_sum(4, &|mask| (noise.variances[mask] / unit).powi(2) / own[mask]);
                let degrees = |(v, f): (&f64, f64)| Degrees::combined(own, v / unit, f);
                variances.iter().zip(fourth).map(degrees).collect()
            }
        };
        (variances.iter().zip(degrees))
            .map(|(variance, degrees)| NoiseError { standard_error: variance.sqrt(), degrees })
            .collect()
    }
}

/// Standard error of a value that is exact but for evaluation noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseError {
    /// Standard error.
    pub standard_error: f64,
    /// Degrees of freedom of its t interval.
    pub degrees: f64,
}

/// Sums of a run of blocks.
struct Partial {
    low: Vec<f64>,
    high: Vec<f64>,
    shared: f64,
}

/// Sums of one block.
struct BlockSums {
    member: f64,
    shared: f64,
}

/// Adds one block's weighted values to the low cells; the block's own sums are returned.
fn add_block(values: &[f64], member: &[f64], shared: &[f64], empty: f64, low: &mut [f64]) -> BlockSums {
    const LANES: usize = 4;
    if values.len() < LANES {
        let mut sums = BlockSums { member: 0.0, shared: 0.0 };
        for (((value, member), shared), cell) in values.iter().zip(member).zip(shared).zip(low) {
            let value = value - empty;
            *cell += member * value;
            sums.member += member * value;
            sums.shared += shared * value;
        }
        return sums;
    }
    let mut member_lanes = [0.0; LANES];
    let mut shared_lanes = [0.0; LANES];
    let blocks = values.chunks_exact(LANES).zip(member.chunks_exact(LANES));
    let blocks = blocks.zip(shared.chunks_exact(LANES)).zip(low.chunks_exact_mut(LANES));
    for (((values, member), shared), cells) in blocks {
        for lane in 0..LANES {
            let value = values[lane] - empty;
            let weighted = member[lane] * value;
            cells[lane] += weighted;
            member_lanes[lane] += weighted;
            shared_lanes[lane] += shared[lane] * value;
        }
    }
    let sum = |lanes: [f64; LANES]| (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
    BlockSums { member: sum(member_lanes), shared: sum(shared_lanes) }
}

/// Merges chunk sums pairwise in a tree that depends on their number alone.
fn merge_tree(mut partials: Vec<Partial>) -> Partial {
    while partials.len() > 1 {
        let mut merged = Vec::with_capacity(partials.len().div_ceil(2));
        let mut rest = partials.into_iter();
        while let Some(mut left) = rest.next() {
            if let Some(right) = rest.next() {
                left.low.iter_mut().zip(&right.low).for_each(|(a, b)| *a += b);
                left.shared += right.shared;
            }
            merged.push(left);
        }
        partials = merged;
    }
    partials.pop().unwrap_or(Partial { low: Vec::new(), high: Vec::new(), shared: 0.0 })
}

/// For each bit the sum of the cells that have it; halves `cells` from the top bit down.
fn fold_members(cells: &mut [f64]) -> Vec<f64> {
    fold(cells, |_, upper| pairwise_sum(upper))
}

/// For each bit the sum of the cells that do not have it.
fn fold_others(cells: &mut [f64]) -> Vec<f64> {
    fold(cells, |lower, _| pairwise_sum(lower))
}

fn fold(cells: &mut [f64], half_sum: impl Fn(&[f64], &[f64]) -> f64) -> Vec<f64> {
    let bits = cells.len().trailing_zeros() as usize;
    let mut sums = vec![0.0; bits];
    let mut cells = cells;
    for bit in (0..bits).rev() {
        let (lower, upper) = cells.split_at_mut(1 << bit);
        sums[bit] = half_sum(lower, upper);
        lower.iter_mut().zip(upper.iter()).for_each(|(a, b)| *a += b);
        cells = lower;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variances whose squares overflow or vanish: the same degrees as of the same variances in other units.
    #[test]
    fn degrees_of_freedom_do_not_depend_on_the_unit() {
        let degrees = |unit: f64| {
            let variances = [0.5, 1.0, 2.0, 1.5].iter().map(|v| v * unit).collect();
            let noise =
                NoiseVariances { variances, degrees: Degrees::PerCoalition(vec![3.0, 2.0, 5.0, 4.0]) };
            let errors = ExactKernel::new(2).noise_errors(&noise);
            errors.iter().map(|error| error.degrees).collect::<Vec<_>>()
        };
        let expected = degrees(1.0);
        for exponent in [-1000, -700, 300, 700, 1000] {
            assert_eq!(degrees(2f64.powi(exponent)), expected, "2^{exponent}");
        }
        // What is not finite or nothing at all still has degrees: its interval is judged elsewhere.
        for unit in [0.0, f64::INFINITY] {
            assert_eq!(degrees(unit), [2.0, 2.0], "{unit}");
        }
    }
    use crate::attribution::weights::shapley_weights;

    /// Shapley's definition, term by term.
    fn brute_force(values: &[f64]) -> Vec<f64> {
        let n = values.len().trailing_zeros() as usize;
        let weights = shapley_weights(n);
        (0..n)
            .map(|player| {
                (0..values.len())
                    .filter(|mask| mask >> player & 1 == 0)
                    .map(|mask| {
                        weights[mask.count_ones() as usize] * (values[mask | 1 << player] - values[mask])
                    })
                    .sum()
            })
            .collect()
    }

    /// A fixed sequence that looks random.
    fn scrambled(n: usize) -> Vec<f64> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        (0..1usize << n)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 11) as f64 / (1u64 << 53) as f64
            })
            .collect()
    }

    #[test]
    fn agrees_with_the_definition_on_every_small_size_and_across_blocks_and_chunks() {
        for n in (0..=12).chain([17, 19]) {
            let values = scrambled(n);
            let fast = ExactKernel::new(n).shapley_values(&values);
            for (fast, slow) in fast.iter().zip(brute_force(&values)) {
                assert!((fast - slow).abs() < 1e-13, "n = {n}: {fast} against {slow}");
            }
        }
    }

    #[test]
    fn glove_game() {
        // Players 0 (left), 1, 2 (right): a pair is worth 1. Shapley 2/3, 1/6, 1/6.
        let values: Vec<f64> = (0..8u32).map(|m| f64::from(u8::from(m & 1 == 1 && m > 1))).collect();
        let phi = ExactKernel::new(3).shapley_values(&values);
        for (phi, expected) in phi.iter().zip([2.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0]) {
            assert!((phi - expected).abs() < 1e-16);
        }
    }

    #[test]
    fn a_common_offset_changes_nothing() {
        let values = scrambled(11);
        // A power of two keeps the differences exact once quantized to its grid.
        let grid = |v: f64| (v * 4096.0).round() / 4096.0;
        let quantized: Vec<f64> = values.iter().map(|v| grid(*v)).collect();
        let offset: Vec<f64> = quantized.iter().map(|v| v + 1_073_741_824.0).collect();
        let kernel = ExactKernel::new(11);
        assert_eq!(kernel.shapley_values(&quantized), kernel.shapley_values(&offset));
    }

    #[test]
    fn noise_error_matches_the_sum_of_squared_coefficients() {
        // One sigma for all: SE/sigma = sqrt(2/n^2 * sum over s of 1/C(n-1, s)); 0.577 at n = 4 (MATHS table).
        for (n, expected) in [(4, 0.577), (6, 0.380), (8, 0.276), (10, 0.215), (12, 0.176)] {
            let noise = NoiseVariances { variances: vec![1.0; 1 << n], degrees: Degrees::Pooled(9.0) };
            for error in ExactKernel::new(n).noise_errors(&noise) {
                assert!((error.standard_error - expected).abs() < 6e-4, "n = {n}: {error:?}");
                assert_eq!(error.degrees, 9.0);
            }
        }
    }

    #[test]
    fn satterthwaite_by_hand() {
        // One player: phi = v(1) - v(0), variances 1 and 4 with 3 and 5 degrees: 25/(1/3 + 16/5).
        let noise =
            NoiseVariances { variances: vec![1.0, 4.0], degrees: Degrees::PerCoalition(vec![3.0, 5.0]) };
        let error = ExactKernel::new(1).noise_errors(&noise)[0];
        assert!((error.standard_error - 5.0f64.sqrt()).abs() < 1e-15);
        assert!((error.degrees - 25.0 / (1.0 / 3.0 + 16.0 / 5.0)).abs() < 1e-12);
    }
}
