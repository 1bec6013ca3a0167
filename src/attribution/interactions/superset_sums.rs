//! Sums of a complete table over the supersets of every small set of players, weighted by coalition size.
//!
//! # Formula
//! U_w(R) = sum over S that hold R of w(|S|) (v(S) - origin), for several weightings w, each with one size of R. Folding the
//! table from the top player down (the upper half holds the player; lower += upper forgets him) gives all R up to size k in
//! about (k + 1) 2^n additions.
//!
//! The mask is split into low and high players, so that one pass over the table does it in the first-level cache. Sets of low
//! players only need the sum of all blocks of the same number of high players, without weights; sets with high players need
//! one weighted sum per block, and folds of the block for their low players. Chunks of fixed size are merged in a fixed
//! tree: the bits do not depend on threads.

use rayon::prelude::*;

use crate::attribution::weights::binomial;
use crate::stats::pairwise_sum;

/// Low players at most: 2^9 cells of f64 are 4 KiB, so that a block, its folds and its weights stay in the first-level cache.
const LOW_BITS: usize = 9;

/// Blocks summed by one task before the tree takes over; a power of two.
const BLOCKS_PER_CHUNK: usize = 128;

/// Weights of a family of sums.
#[derive(Debug, Clone)]
pub(super) struct SizeWeighting {
    /// Players of the sets R.
    pub(super) set_size: usize,
    /// w(s), 0 to n.
    pub(super) by_size: Vec<f64>,
}

/// A weighting with its weights laid out by low mask.
#[derive(Debug, Clone)]
struct Rows {
    set_size: usize,
    /// By number of high players, then by low mask.
    by_low: Vec<Vec<f64>>,
    /// Where its sums begin among all.
    start: usize,
    /// Sets of low players, up to one fewer than the set size, that it is folded for in every block.
    n_low_sets: usize,
}

/// Sums over supersets for tables of one number of players and fixed weightings.
#[derive(Debug, Clone)]
pub(super) struct SupersetSums {
    n_players: usize,
    low_bits: usize,
    rows: Vec<Rows>,
    /// Small sets of low players by size, and their places by mask.
    low_sets: Vec<usize>,
    low_place: Vec<u32>,
    n_sums: usize,
}

impl SupersetSums {
    /// Lays out weights.
    pub(super) fn new(n_players: usize, weightings: &[SizeWeighting]) -> Self {
        let low_bits = n_players.min(LOW_BITS);
        let largest = weightings.iter().map(|weighting| weighting.set_size).max().unwrap_or(0);
        let mut low_sets: Vec<usize> =
            (0..1usize << low_bits).filter(|mask| (mask.count_ones() as usize) < largest).collect();
        low_sets.sort_by_key(|mask| (mask.count_ones(), *mask));
        let mut low_place = vec![u32::MAX; 1 << low_bits];
        for (place, mask) in (0u32..).zip(&low_sets) {
            low_place[*mask] = place;
        }
        let mut n_sums = 0;
        let rows = weightings
            .iter()
            .map(|weighting| {
                let by_low = |high: usize| {
                    let weight = |low: usize| weighting.by_size[high + low.count_ones() as usize];
                    (0..1usize << low_bits).map(weight).collect()
                };
                let start = n_sums;
                n_sums += n_sets(n_players, weighting.set_size);
                Rows {
                    set_size: weighting.set_size,
                    by_low: (0..=n_players - low_bits).map(by_low).collect(),
                    start,
                    n_low_sets: low_sets
                        .iter()
                        .filter(|mask| (mask.count_ones() as usize) < weighting.set_size)
                        .count(),
                }
            })
            .collect();
        Self { n_players, low_bits, rows, low_sets, low_place, n_sums }
    }

    /// Place of the sum of weighting number `weighting` over the supersets of `set` among those of `sums`.
    pub(super) fn place(&self, weighting: usize, set: u64) -> usize {
        self.rows[weighting].start + rank(set)
    }

    /// All sums of the table `values`, each value less `origin`.
    ///
    /// # Panics
    /// If there are not 2^n values.
    pub(super) fn sums(&self, values: &[f64], origin: f64) -> Vec<f64> {
        assert_eq!(values.len(), 1 << self.n_players, "a complete table has 2^n values");
        let chunk = BLOCKS_PER_CHUNK << self.low_bits;
        let chunks: Vec<Chunk> = if values.len() > 2 * chunk {
            values.par_chunks(chunk).enumerate().map(|(i, part)| self.chunk(part, i, origin)).collect()
        } else {
            values.chunks(chunk).enumerate().map(|(i, part)| self.chunk(part, i, origin)).collect()
        };
        let mut sums = vec![0.0; self.n_sums];
        self.high_sums(&chunks, &mut sums);
        self.low_sums(&self.merged(chunks), &mut sums);
        sums
    }

    /// One pass over the blocks of a chunk.
    fn chunk(&self, values: &[f64], index: usize, origin: f64) -> Chunk {
        let block = 1usize << self.low_bits;
        let n_blocks = values.len() / block;
        let n_classes = n_blocks.trailing_zeros() as usize + 1;
        let high_of_chunk = index.count_ones() as usize;
        let n_columns: usize = self.rows.iter().map(|rows| rows.n_low_sets).sum();
        let mut found = Chunk {
            high_players: high_of_chunk,
            low: vec![0.0; n_classes * block],
            columns: vec![0.0; if self.n_players > self.low_bits { n_columns * n_blocks } else { 0 }],
            n_blocks,
        };
        let mut gains = vec![0.0; block];
        let mut cells = vec![0.0; block];
        for (place, values) in values.chunks_exact(block).enumerate() {
            let class = place.count_ones() as usize;
            let low = &mut found.low[class * block..(class + 1) * block];
            for ((gain, cell), value) in gains.iter_mut().zip(low).zip(values) {
                *gain = value - origin;
                *cell += *gain;
            }
            if self.n_players == self.low_bits {
                continue;
            }
            let mut first = 0;
            for rows in &self.rows {
                let weights = &rows.by_low[high_of_chunk + class];
                let columns = &mut found.columns[first * n_blocks..(first + rows.n_low_sets) * n_blocks];
                match rows.set_size {
                    0 => {}
                    1 => columns[place] = dot(&gains, weights),
                    size => {
                        cells
                            .iter_mut()
                            .zip(&gains)
                            .zip(weights)
                            .for_each(|((cell, gain), w)| *cell = gain * w);
                        fold_up_to(&mut cells, size - 1, 0, &mut |mask, sum| {
                            columns[self.low_place[mask] as usize * n_blocks + place] = sum;
                        });
                    }
                }
                first += rows.n_low_sets;
            }
        }
        found
    }

    /// Sums over sets with high players: folds of every column over the blocks.
    fn high_sums(&self, chunks: &[Chunk], sums: &mut [f64]) {
        if self.n_players == self.low_bits {
            return;
        }
        let mut column: Vec<f64> = Vec::with_capacity(1 << (self.n_players - self.low_bits));
        let mut first = 0;
        for rows in &self.rows {
            for (place, low_set) in self.low_sets[..rows.n_low_sets].iter().enumerate() {
                column.clear();
                for chunk in chunks {
                    let start = (first + place) * chunk.n_blocks;
                    column.extend_from_slice(&chunk.columns[start..start + chunk.n_blocks]);
                }
                let n_high = rows.set_size - low_set.count_ones() as usize;
                fold_exactly(&mut column, n_high, 0, &mut |high, sum| {
                    sums[rows.start + rank((high << self.low_bits | low_set) as u64)] = sum;
                });
            }
            first += rows.n_low_sets;
        }
    }

    /// Sums over sets of low players alone; `low` holds the cells by number of high players.
    fn low_sums(&self, low: &[Vec<f64>], sums: &mut [f64]) {
        let mut cells = vec![0.0; 1 << self.low_bits];
        for rows in &self.rows {
            cells.fill(0.0);
            for (values, weights) in low.iter().zip(&rows.by_low) {
                cells.iter_mut().zip(values).zip(weights).for_each(|((cell, value), w)| *cell += value * w);
            }
            fold_exactly(&mut cells, rows.set_size, 0, &mut |mask, sum| {
                sums[rows.start + rank(mask as u64)] = sum;
            });
        }
    }

    /// Cells of all chunks by number of high players.
    fn merged(&self, chunks: Vec<Chunk>) -> Vec<Vec<f64>> {
        let block = 1usize << self.low_bits;
        let mut parts: Vec<Vec<Vec<f64>>> = chunks
            .into_iter()
            .map(|chunk| {
                let mut by_class = vec![Vec::new(); self.n_players - self.low_bits + 1];
                for (class, cells) in chunk.low.chunks_exact(block).enumerate() {
                    by_class[chunk.high_players + class] = cells.to_vec();
                }
                by_class
            })
            .collect();
        while parts.len() > 1 {
            let mut merged = Vec::with_capacity(parts.len().div_ceil(2));
            let mut rest = parts.into_iter();
            while let Some(left) = rest.next() {
                merged.push(match rest.next() {
                    Some(right) => left.into_iter().zip(right).map(|(a, b)| added(a, b)).collect(),
                    None => left,
                });
            }
            parts = merged;
        }
        let mut low = parts.pop().unwrap_or_default();
        low.iter_mut().filter(|cells| cells.is_empty()).for_each(|cells| *cells = vec![0.0; block]);
        low
    }
}

/// Sums of a run of blocks.
struct Chunk {
    /// High players that all its blocks have.
    high_players: usize,
    /// Cells by number of further high players, then low mask.
    low: Vec<f64>,
    /// By weighting, set of low players and block.
    columns: Vec<f64>,
    n_blocks: usize,
}

/// The sum of two runs of cells, either of which may be empty.
fn added(mut a: Vec<f64>, b: Vec<f64>) -> Vec<f64> {
    if a.is_empty() {
        return b;
    }
    a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
    a
}

/// Number of sets of `size` of `n` players.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number below the number of terms"
)]
pub(super) fn n_sets(n: usize, size: usize) -> usize {
    binomial(n, size) as usize
}

/// Place of a set among those of its size, in colexicographic order: the sum of C(c_i, i) over its players c_1 < c_2 < ...
fn rank(set: u64) -> usize {
    let (mut rest, mut rank, mut place) = (set, 0, 0);
    while rest != 0 {
        place += 1;
        rank += choose(rest.trailing_zeros() as usize, place);
        rest &= rest - 1;
    }
    rank
}

/// C(n, k) of a few players, as a whole number.
fn choose(n: usize, k: usize) -> usize {
    match k {
        1 => n,
        2 => n * n.saturating_sub(1) / 2,
        _ => n_sets(n, k),
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0f64; LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in chunks_a.zip(chunks_b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    pairwise_sum(&lanes) + rest
}

/// Gives the sum over the supersets of every set of at most `size` players; destroys `cells`.
fn fold_up_to(cells: &mut [f64], size: usize, set: usize, emit: &mut impl FnMut(usize, f64)) {
    if size == 0 {
        emit(set, pairwise_sum(cells));
        return;
    }
    let mut cells = cells;
    while cells.len() > 1 {
        let half = cells.len() / 2;
        let (lower, upper) = cells.split_at_mut(half);
        lower.iter_mut().zip(upper.iter()).for_each(|(a, b)| *a += b);
        fold_up_to(upper, size - 1, set | half, emit);
        cells = lower;
    }
    emit(set, cells[0]);
}

/// Gives the sum over the supersets of every set of `size` players; destroys `cells`.
fn fold_exactly(cells: &mut [f64], size: usize, set: usize, emit: &mut impl FnMut(usize, f64)) {
    if size == 0 {
        emit(set, pairwise_sum(cells));
        return;
    }
    let mut cells = cells;
    while cells.len() >= 1 << size {
        let half = cells.len() / 2;
        let (lower, upper) = cells.split_at_mut(half);
        // Without enough players left below, nobody asks for the sum.
        if half >= 1 << size {
            lower.iter_mut().zip(upper.iter()).for_each(|(a, b)| *a += b);
        }
        fold_exactly(upper, size - 1, set | half, emit);
        cells = lower;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(mask: usize) -> f64 {
        ((mask as f64 + 1.0) * 0.731).sin()
    }

    /// Every size of set, on tables of one block, several blocks and several chunks, against the definition.
    #[test]
    fn sums_over_supersets_are_the_definition() {
        for n in [0, 1, 2, 5, 9, 10, 12, 18] {
            let values: Vec<f64> = (0..1usize << n).map(value).collect();
            let sizes: Vec<usize> = (0..=n.min(3)).collect();
            let weighting = |size: usize| SizeWeighting {
                set_size: size,
                by_size: (0..=n).map(|s| ((s + size) as f64 * 0.4).cos()).collect(),
            };
            let weightings: Vec<SizeWeighting> = sizes.iter().map(|size| weighting(*size)).collect();
            let kernel = SupersetSums::new(n, &weightings);
            let sums = kernel.sums(&values, 0.25);
            for (place, size) in sizes.iter().enumerate() {
                let sets = (0..1usize << n).filter(|set| set.count_ones() as usize == *size);
                // Of large tables a few sets of every kind: low, high and mixed players.
                for set in sets.filter(|set| n < 18 || set % 7 == 3 || set.is_power_of_two()) {
                    let supersets = (0..1usize << n).filter(|mask| mask & set == set);
                    let slow: f64 = supersets
                        .map(|mask| {
                            weightings[place].by_size[mask.count_ones() as usize] * (values[mask] - 0.25)
                        })
                        .sum();
                    let fast = sums[kernel.place(place, set as u64)];
                    assert!((fast - slow).abs() < 1e-9, "n = {n}, set {set:b}: {fast} against {slow}");
                }
            }
        }
    }

    #[test]
    fn every_set_has_a_place_of_its_own() {
        for size in 0..=4 {
            let mut places: Vec<usize> =
                (0..1u64 << 8).filter(|set| set.count_ones() == size).map(rank).collect();
            places.sort_unstable();
            assert_eq!(places, (0..places.len()).collect::<Vec<_>>());
        }
    }
}
