//! The game of single and pairwise effects nearest to whatever coalitions are recorded.
//!
//! # Formula
//! Minimise sum of mu(s) (v(S) - v(empty) - sum of b_i - sum of b_ij)^2 over the recorded coalitions other than empty and
//! full, the sums over the players and pairs in S, with mu(s) = (n-1)/(C(n,s) s (n-s)), subject to the sum of all effects
//! being v(N) - v(empty). Over all coalitions the effects are the FSII of order 2; over fewer they are an approximation. With
//! H the reflection that takes (1, ..., 1) to its first coordinate, the effects are an equal share each plus H times
//! (0, x), and x is an unconstrained weighted fit, by Householder reflections with column pivoting, heaviest rows first
//! (stable row by row, whatever the weights; see `least_squares`). The rank is judged without weights, which do not change it.
//!
//! # Source
//! Tsai, Yeh and Ravikumar, *JMLR* 24(94), 2023, definition 15; Powell and Reid, *IFIP Congress 68*, 1969.

use nalgebra::linalg::ColPivQR;
use nalgebra::{DMatrix, DVector, RowDVector};

use crate::attribution::GameError;
use crate::attribution::coalition::{describe, size, words_for};
use crate::attribution::exact::NoiseError;
use crate::attribution::game::CoalitionTable;
use crate::attribution::noise::{Degrees, Noise, NoiseVariances};
use crate::attribution::weights::binomial;

/// Players up to which pairs are fitted: 820 effects.
pub(super) const PAIR_PLAYERS: usize = 40;

/// A diagonal of the triangle below this part of the largest is rounding: rows are zeros and ones.
const RANK_TOLERANCE: f64 = 1e-10;

/// Effects of single players and pairs.
#[derive(Debug, Clone)]
pub(super) struct PairFit {
    /// By effect, in the order of `sets`.
    pub(super) effects: Vec<f64>,
    /// What each recorded value is multiplied with, by effect and position in the table.
    influence: DMatrix<f64>,
    /// Weighted R^2 over the recorded coalitions between the ends; `None` where they do not differ.
    pub(super) r_squared: Option<f64>,
}

impl PairFit {
    /// Fits effects of the sets of players `sets`, single players first: all that have one or up to two members.
    ///
    /// # Errors
    /// No empty or full coalition, too many players for a fit, or effects left open.
    pub(super) fn new(table: &CoalitionTable, sets: &[u64], players: &[String]) -> Result<Self, GameError> {
        let n = table.n_players();
        if n > PAIR_PLAYERS {
            return Err(GameError::TooManyForPairs { n_players: n, most: PAIR_PLAYERS });
        }
        let empty = table.empty_value().ok_or(GameError::NoEmptyCoalition)?;
        let total = table.full_value().ok_or(GameError::NoFullCoalition)? - empty;
        let rows = InnerRows::new(table, empty);
        let design = DMatrix::from_fn(rows.masks.len(), sets.len(), |row, set| {
            f64::from(u8::from(rows.masks[row] & sets[set] == sets[set]))
        });
        let (reduced, shares) = reflected(&design);
        if let Some(error) = open_effects(&reduced, table, sets, players) {
            return Err(error);
        }
        let share = total / sets.len() as f64;
        let roots = DVector::from_iterator(rows.masks.len(), rows.weights.iter().map(|weight| weight.sqrt()));
        let weighted = DMatrix::from_fn(reduced.nrows(), reduced.ncols(), |row, column| {
            roots[row] * reduced[(row, column)]
        });
        // x = solve (sqrt(mu) (gain - share |z|)): linear in the recorded values.
        let solve = pseudo_inverse(weighted);
        let targets =
            DVector::from_fn(rows.masks.len(), |row, _| roots[row] * (rows.gains[row] - share * shares[row]));
        let spread = unreflected(&solve, sets.len());
        let effects: Vec<f64> = (&spread * &targets).iter().map(|x| share + x).collect();
        let influence = influence(table, &rows, &spread, &roots, &shares, sets.len());
        let r_squared = rows.r_squared(&design, &effects);
        Ok(Self { effects, influence, r_squared })
    }

    /// Standard errors of sums of effects from evaluation noise: each sum is given as effects and their factors.
    pub(super) fn noise_errors(&self, sums: &[Vec<(usize, f64)>], noise: &NoiseVariances) -> Vec<NoiseError> {
        let of_sum = |sum: &Vec<(usize, f64)>| {
            let coefficient = |position: usize| {
                sum.iter().map(|(effect, factor)| factor * self.influence[(*effect, position)]).sum::<f64>()
            };
            let parts: Vec<f64> = (0..noise.variances.len())
                .map(|position| coefficient(position).powi(2) * noise.variances[position])
                .collect();
            let variance: f64 = parts.iter().sum();
            let degrees = match &noise.degrees {
                Degrees::Pooled(degrees) => *degrees,
                Degrees::PerCoalition(own) => {
                    variance * variance / parts.iter().zip(own).map(|(part, d)| part * part / d).sum::<f64>()
                }
            };
            NoiseError { standard_error: variance.sqrt(), degrees }
        };
        sums.iter().map(of_sum).collect()
    }

    /// The largest factor by which errors of recorded values enter an effect.
    pub(super) fn condition(&self) -> f64 {
        self.influence.row_iter().map(|row| row.iter().map(|c| c.abs()).sum()).fold(0.0, f64::max)
    }

    /// Variances of recorded values, where some were repeated.
    pub(super) fn noise(table: &CoalitionTable) -> Option<NoiseVariances> {
        table.noise().map(Noise::mean_variances)
    }
}

/// Recorded coalitions between the ends, heaviest first.
struct InnerRows {
    masks: Vec<u64>,
    positions: Vec<usize>,
    /// v(S) - v(empty).
    gains: Vec<f64>,
    weights: Vec<f64>,
}

impl InnerRows {
    fn new(table: &CoalitionTable, empty: f64) -> Self {
        let n = table.n_players();
        let weight = |s: usize| (n - 1) as f64 / (binomial(n, s) * (s * (n - s)) as f64);
        let mut rows: Vec<(usize, u64, f64)> = (table.rows().enumerate())
            .filter(|(_, (mask, _))| (1..n).contains(&size(mask)))
            .map(|(position, (mask, value))| (position, mask[0], value - empty))
            .collect();
        rows.sort_by(|a, b| {
            let weight = |mask: u64| weight(mask.count_ones() as usize);
            weight(b.1).total_cmp(&weight(a.1)).then(a.0.cmp(&b.0))
        });
        Self {
            masks: rows.iter().map(|row| row.1).collect(),
            positions: rows.iter().map(|row| row.0).collect(),
            gains: rows.iter().map(|row| row.2).collect(),
            weights: rows.iter().map(|row| weight(row.1.count_ones() as usize)).collect(),
        }
    }

    /// 1 - sum mu r^2 / sum mu (v - mean)^2.
    fn r_squared(&self, design: &DMatrix<f64>, effects: &[f64]) -> Option<f64> {
        let largest = self.gains.iter().fold(0.0f64, |most, gain| most.max(gain.abs()));
        if largest == 0.0 {
            return None;
        }
        let fitted = design * DVector::from_column_slice(effects);
        let weight: f64 = self.weights.iter().sum();
        let mean =
            self.weights.iter().zip(&self.gains).map(|(w, gain)| w * gain / largest).sum::<f64>() / weight;
        let squares = |of: &dyn Fn(usize) -> f64| -> f64 {
            self.weights.iter().enumerate().map(|(row, w)| w * of(row).powi(2)).sum()
        };
        let spread = squares(&|row| self.gains[row] / largest - mean);
        let rest = squares(&|row| (self.gains[row] - fitted[row]) / largest);
        (spread > weight * (64.0 * f64::EPSILON).powi(2)).then(|| 1.0 - rest / spread)
    }
}

/// The design in the coordinates orthogonal to equal effects, and its row sums.
fn reflected(design: &DMatrix<f64>) -> (DMatrix<f64>, Vec<f64>) {
    let n = design.ncols();
    let root = (n as f64).sqrt();
    let sums: Vec<f64> = design.row_iter().map(|row| row.sum()).collect();
    let reduced = DMatrix::from_fn(design.nrows(), n - 1, |row, column| {
        design[(row, column + 1)] - (sums[row] / root + design[(row, 0)]) / (root + 1.0)
    });
    (reduced, sums)
}

/// Rows of effects from rows of coordinates: the reflection back.
fn unreflected(coordinates: &DMatrix<f64>, n: usize) -> DMatrix<f64> {
    let root = (n as f64).sqrt();
    let sums: Vec<f64> = coordinates.column_iter().map(|column| column.sum()).collect();
    DMatrix::from_fn(n, coordinates.ncols(), |effect, column| match effect {
        0 => -sums[column] / root,
        effect => coordinates[(effect - 1, column)] - sums[column] / (root * (root + 1.0)),
    })
}

/// The pseudo-inverse of a matrix of full column rank.
fn pseudo_inverse(matrix: DMatrix<f64>) -> DMatrix<f64> {
    let n = matrix.ncols();
    let qr = ColPivQR::new(matrix);
    let solved = qr.r().solve_upper_triangular_unchecked(&qr.q().transpose());
    let mut sorted = DMatrix::zeros(n, solved.ncols());
    for (place, column) in column_order(&qr, n).into_iter().enumerate() {
        sorted.set_row(column, &solved.row(place));
    }
    sorted
}

/// Original columns in order of their pivots.
fn column_order(qr: &ColPivQR<f64, nalgebra::Dyn, nalgebra::Dyn>, n: usize) -> Vec<usize> {
    let mut columns = RowDVector::from_fn(n, |_, column| column);
    qr.p().permute_columns(&mut columns);
    columns.iter().copied().collect()
}

/// What each recorded value is multiplied with in each effect, both ends included.
fn influence(
    table: &CoalitionTable,
    rows: &InnerRows,
    spread: &DMatrix<f64>,
    roots: &DVector<f64>,
    sums: &[f64],
    n_effects: usize,
) -> DMatrix<f64> {
    let mut found = DMatrix::zeros(n_effects, table.n_coalitions());
    let words = words_for(table.n_players());
    let full = crate::attribution::coalition::grand_coalition(table.n_players());
    let (empty, full) = (table.position(&vec![0; words]), table.position(&full));
    for effect in 0..n_effects {
        let (mut of_empty, mut of_full) = (-1.0 / n_effects as f64, 1.0 / n_effects as f64);
        for (row, position) in rows.positions.iter().enumerate() {
            let own = spread[(effect, row)] * roots[row];
            let share = sums[row] / n_effects as f64;
            found[(effect, *position)] = own;
            of_full -= share * own;
            of_empty -= (1.0 - share) * own;
        }
        for (position, own) in [(empty, of_empty), (full, of_full)] {
            if let Some(position) = position {
                found[(effect, position)] = own;
            }
        }
    }
    found
}

/// Why the coalitions do not determine every effect, if they do not, and which evaluation would tell most.
fn open_effects(
    reduced: &DMatrix<f64>,
    table: &CoalitionTable,
    sets: &[u64],
    players: &[String],
) -> Option<GameError> {
    let n = reduced.ncols();
    if n == 0 {
        return None;
    }
    // As many rows as columns, zeros among them: the triangle then has every column.
    let square = DMatrix::from_fn(reduced.nrows().max(n), n, |row, column| {
        if row < reduced.nrows() { reduced[(row, column)] } else { 0.0 }
    });
    let qr = ColPivQR::new(square);
    let triangle = qr.r();
    let largest = triangle[(0, 0)].abs();
    let rank = (0..n).take_while(|place| triangle[(*place, *place)].abs() > RANK_TOLERANCE * largest).count();
    if rank == n {
        return None;
    }
    let order = column_order(&qr, n);
    let beside = triangle.view((0, rank), (rank, n - rank)).into_owned();
    let solved = if rank > 0 {
        triangle.view((0, 0), (rank, rank)).into_owned().solve_upper_triangular_unchecked(&beside)
    } else {
        beside
    };
    let mut null = DMatrix::zeros(n, n - rank);
    for (place, column) in order.into_iter().enumerate() {
        for open in 0..n - rank {
            null[(column, open)] = match place {
                place if place < rank => -solved[(place, open)],
                place => f64::from(u8::from(place - rank == open)),
            };
        }
    }
    let null = unreflected(&null, sets.len());
    let openness = |mask: u64| -> f64 {
        let inside: Vec<usize> = (0..sets.len()).filter(|set| mask & sets[*set] == sets[*set]).collect();
        null.column_iter().map(|column| inside.iter().map(|set| column[*set]).sum::<f64>().powi(2)).sum()
    };
    let (mut most, mut next) = (0.0, 0);
    for mask in sets {
        let open = openness(*mask);
        if open > most * (1.0 + 1e-9) {
            (most, next) = (open, *mask);
        }
    }
    Some(GameError::PairsNotIdentifiable {
        rank,
        needed: n,
        evaluation: describe(&[next], players),
        recorded: table.n_coalitions(),
    })
}

/// Sets of one player, and of two under `order` 2, in order of size.
pub(super) fn small_sets(n: usize, order: usize) -> Vec<u64> {
    let mut sets: Vec<u64> = (0..n).map(|player| 1u64 << player).collect();
    if order > 1 {
        sets.extend((0..n).flat_map(|a| (a + 1..n).map(move |b| 1u64 << a | 1 << b)));
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::Repeats;
    use crate::attribution::interactions::indices::{CardinalWeights, InteractionIndex};

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|player| format!("p{player}")).collect()
    }

    fn table(n: usize, keep: impl Fn(u64) -> bool, value: impl Fn(u64) -> f64) -> CoalitionTable {
        let rows: Vec<(u64, f64)> =
            (0..1u64 << n).filter(|mask| keep(*mask)).map(|mask| (mask, value(mask))).collect();
        CoalitionTable::from_rows(n, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table")
    }

    fn wild(mask: u64) -> f64 {
        (mask as f64 * 0.731).sin() + 0.2 * f64::from(mask.count_ones())
    }

    #[test]
    fn over_all_coalitions_the_fit_is_the_faithful_index() {
        for n in 2..=7 {
            let sets = small_sets(n, 2);
            let fit = PairFit::new(&table(n, |_| true, wild), &sets, &names(n)).expect("a fit");
            for (set, effect) in sets.iter().zip(&fit.effects) {
                let weights = CardinalWeights::new(InteractionIndex::Fsii, n, 2, set.count_ones() as usize);
                let index: f64 = (0..1u64 << n)
                    .map(|mask| {
                        weights.coefficient((mask & set).count_ones() as usize, mask.count_ones() as usize)
                            * wild(mask)
                    })
                    .sum();
                assert!((effect - index).abs() < 1e-11, "n = {n}, {set:b}: {effect} against {index}");
            }
        }
    }

    #[test]
    fn a_game_of_pairs_comes_out_of_just_enough_coalitions() {
        let n = 6;
        let value = |mask: u64| {
            let one = |player: usize| f64::from(u8::from(mask >> player & 1 == 1));
            3.0 + 0.5 * one(0) - one(3) + 2.0 * one(1) * one(4) - 0.25 * one(2) * one(5)
        };
        // Singles, pairs and the ends: 21 effects, 21 equations between the ends and one end.
        let fit =
            PairFit::new(&table(n, |m| m.count_ones() <= 2 || m == 63, value), &small_sets(n, 2), &names(n))
                .expect("a fit");
        let sets = small_sets(n, 2);
        let effect = |set: u64| fit.effects[sets.iter().position(|known| *known == set).expect("a set")];
        assert!(
            (effect(1 << 1 | 1 << 4) - 2.0).abs() < 1e-12 && (effect(1 << 2 | 1 << 5) + 0.25).abs() < 1e-12
        );
        assert!((effect(1) - 0.5).abs() < 1e-12 && effect(1 | 1 << 1).abs() < 1e-12);
        assert!(fit.r_squared.is_some_and(|r| r > 1.0 - 1e-12));
    }

    #[test]
    fn what_is_open_is_said_with_the_evaluation_that_settles_it() {
        let n = 4;
        let keep = |m: u64| (m.count_ones() <= 2 && m != 0b1010) || m == 15;
        let error = PairFit::new(&table(n, keep, wild), &small_sets(n, 2), &names(n));
        // Ends and nine others determine nine differences of ten effects: one constraint binds the last.
        assert!(error.is_ok(), "{error:?}");
        let keep = |m: u64| (m.count_ones() <= 2 && m != 0b1010 && m != 0b0101) || m == 15;
        let Err(GameError::PairsNotIdentifiable { rank, needed, evaluation, .. }) =
            PairFit::new(&table(n, keep, wild), &small_sets(n, 2), &names(n))
        else {
            panic!("a fit of ten effects from eight coalitions")
        };
        assert_eq!((rank, needed), (8, 9));
        assert!(evaluation == "{p0,p2}" || evaluation == "{p1,p3}", "{evaluation}");
    }

    /// The influence is the derivative of the effects by each recorded value.
    #[test]
    fn influence_is_the_derivative() {
        let n = 5;
        let keep = |m: u64| m % 3 != 1 || m.count_ones() <= 2 || m == 31;
        let sets = small_sets(n, 2);
        let plain = PairFit::new(&table(n, keep, wild), &sets, &names(n)).expect("a fit");
        let masks: Vec<u64> = (0..1u64 << n).filter(|m| keep(*m)).collect();
        for (position, moved) in masks.iter().enumerate() {
            let value = |m: u64| wild(m) + if m == *moved { 1.0 } else { 0.0 };
            let other = PairFit::new(&table(n, keep, value), &sets, &names(n)).expect("a fit");
            for (effect, (a, b)) in other.effects.iter().zip(&plain.effects).enumerate() {
                assert!((a - b - plain.influence[(effect, position)]).abs() < 1e-10);
            }
        }
    }
}
