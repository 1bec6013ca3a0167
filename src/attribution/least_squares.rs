//! Shapley values by constrained weighted least squares on whatever coalitions are recorded.
//!
//! # Formula
//! Minimise sum of mu(s) (v(S) - v(empty) - z'beta)^2 over the recorded coalitions other than empty and full,
//! with mu(s) = (n-1)/(C(n,s) s (n-s)), subject to 1'beta = v(N) - v(empty). With A = sum of mu z z' and
//! b = sum of mu z (v(S) - v(empty)): beta = A^-1 b - A^-1 1 (1'A^-1 b - (v(N) - v(empty)))/(1'A^-1 1).
//! Over all coalitions beta is the Shapley value; over fewer it is an approximation. Each distinct coalition has
//! weight mu(s): the recorded set is taken as given, not as a sample from the kernel.
//!
//! # Source
//! Charnes, Golany, Keane and Rousseau, 1988; Covert and Lee, PMLR 130:3457, 2021.

use ndarray::{Array1, Array2};

use super::GameError;
use super::coalition::{contains, grand_coalition, size};
use super::exact::NoiseError;
use super::game::{CoalitionTable, Degrees};
use super::weights::binomial;

/// Relative pivot below which the recorded coalitions are held not to determine all values.
const RANK_TOLERANCE: f64 = 1e-10;

/// Values fitted to the recorded coalitions.
#[derive(Debug, Clone)]
pub struct KernelFit {
    /// One value per player.
    pub values: Vec<f64>,
    /// Standard errors from repeated evaluations, where there are some.
    pub errors: Option<Vec<NoiseError>>,
}

/// Fits the additive game nearest to the recorded coalitions.
///
/// # Edge cases
/// One player: v(N) - v(empty). No players: no values.
///
/// # Errors
/// [`GameError::NoEmptyCoalition`], [`GameError::NoFullCoalition`], and [`GameError::NotIdentifiable`] with the
/// rank when the recorded coalitions do not determine every value.
pub fn kernel_values(table: &CoalitionTable) -> Result<KernelFit, GameError> {
    let n = table.n_players();
    let empty = table.empty_value().ok_or(GameError::NoEmptyCoalition)?;
    let full = table.full_value().ok_or(GameError::NoFullCoalition)?;
    let mut design = Design::new(n);
    for (mask, value) in table.rows() {
        design.add(&mask, value - empty);
    }
    let total = full - empty;
    let influence = design.influence()?;
    let values = influence.solve(&design.moments, total);
    let errors = table.noise().map(|noise| {
        let variances = noise.mean_variances();
        influence.errors(table, &variances.variances, &variances.degrees)
    });
    Ok(KernelFit { values, errors })
}

/// Normal equations of the fit.
struct Design {
    n_players: usize,
    /// A, the weighted second moments of membership.
    gram: Array2<f64>,
    /// b, the weighted membership times value.
    moments: Array1<f64>,
    weights: Vec<f64>,
}

impl Design {
    fn new(n: usize) -> Self {
        let weight = |s: usize| (n - 1) as f64 / (binomial(n, s) * (s * (n - s)) as f64);
        Self {
            n_players: n,
            gram: Array2::zeros((n, n)),
            moments: Array1::zeros(n),
            weights: (0..=n).map(|s| if s == 0 || s == n { 0.0 } else { weight(s) }).collect(),
        }
    }

    fn add(&mut self, mask: &[u64], value: f64) {
        let weight = self.weights[size(mask)];
        if weight == 0.0 {
            return;
        }
        let members: Vec<usize> = (0..self.n_players).filter(|player| contains(mask, *player)).collect();
        for (position, i) in members.iter().enumerate() {
            self.moments[*i] += weight * value;
            for j in &members[..=position] {
                self.gram[[*i, *j]] += weight;
            }
        }
    }

    /// The linear map from values to the constrained solution.
    ///
    /// The constraint is worked in by adding a multiple of 11' to A: along 1'beta = const this changes nothing
    /// in the solution, and the matrix is regular exactly when the values are identifiable.
    fn influence(&self) -> Result<Influence, GameError> {
        let n = self.n_players;
        let trace: f64 = (0..n).map(|i| self.gram[[i, i]]).sum();
        let ridge = if trace > 0.0 { trace / (n * n) as f64 } else { 1.0 };
        let mut factor = self.gram.clone();
        for i in 0..n {
            for j in 0..=i {
                factor[[i, j]] += ridge;
            }
        }
        let rank = cholesky(&mut factor);
        if rank < n {
            return Err(GameError::NotIdentifiable { rank: rank.saturating_sub(1) });
        }
        let ones = Array1::from_elem(n, 1.0);
        let inverse_ones = cholesky_solve(&factor, &ones);
        let normal = inverse_ones.sum();
        Ok(Influence { factor, direction: inverse_ones / normal, weights: self.weights.clone() })
    }
}

/// Factorised fit: solves for any right-hand side.
struct Influence {
    factor: Array2<f64>,
    /// A^-1 1 / (1'A^-1 1): how the constraint's total spreads over the players.
    direction: Array1<f64>,
    weights: Vec<f64>,
}

impl Influence {
    /// Solution for the moments b and the constraint total.
    fn solve(&self, moments: &Array1<f64>, total: f64) -> Vec<f64> {
        let free = cholesky_solve(&self.factor, moments);
        let surplus = free.sum() - total;
        (free - &self.direction * surplus).to_vec()
    }

    /// Standard errors by linearity: each coalition's coefficient, squared, times its variance.
    fn errors(&self, table: &CoalitionTable, variances: &[f64], degrees: &Degrees) -> Vec<NoiseError> {
        let n = self.direction.len();
        let grand = grand_coalition(n);
        let member_sum = |mask: &[u64]| -> Array1<f64> {
            (0..n).map(|player| if contains(mask, player) { 1.0 } else { 0.0 }).collect()
        };
        // v(empty) enters every row with the opposite sign, and the constraint.
        let mut empty_moments = Array1::<f64>::zeros(n);
        let mut second = vec![0.0; n];
        let mut fourth = vec![0.0; n];
        let mut account = |coefficients: &[f64], position: usize| {
            for (player, c) in coefficients.iter().enumerate() {
                let share = c * c * variances[position];
                second[player] += share;
                if let Degrees::PerCoalition(own) = degrees {
                    fourth[player] += share * share / own[position];
                }
            }
        };
        let mut empty_position = None;
        for (position, (mask, _)) in table.rows().enumerate() {
            let weight = self.weights[size(&mask)];
            if mask == grand {
                account(&self.solve(&Array1::zeros(n), 1.0), position);
            } else if size(&mask) == 0 {
                empty_position = Some(position);
            } else {
                let moments = member_sum(&mask) * weight;
                empty_moments -= &moments;
                account(&self.solve(&moments, 0.0), position);
            }
        }
        if let Some(position) = empty_position {
            account(&self.solve(&empty_moments, -1.0), position);
        }
        (0..n)
            .map(|player| NoiseError {
                standard_error: second[player].sqrt(),
                degrees: match degrees {
                    Degrees::Pooled(degrees) => *degrees,
                    Degrees::PerCoalition(_) => second[player].powi(2) / fourth[player],
                },
            })
            .collect()
    }
}

/// Factorises the lower triangle in place; returns the number of pivots found sound, in order.
fn cholesky(matrix: &mut Array2<f64>) -> usize {
    let n = matrix.nrows();
    let mut rank = 0;
    let scale = (0..n).map(|i| matrix[[i, i]]).fold(0.0, f64::max);
    for j in 0..n {
        let pivot = matrix[[j, j]] - (0..j).map(|k| matrix[[j, k]].powi(2)).sum::<f64>();
        if pivot <= RANK_TOLERANCE * scale {
            // A dependent column: counted out, and kept out of the rest.
            for i in j..n {
                matrix[[i, j]] = 0.0;
            }
            continue;
        }
        rank += 1;
        let root = pivot.sqrt();
        matrix[[j, j]] = root;
        for i in j + 1..n {
            let dot: f64 = (0..j).map(|k| matrix[[i, k]] * matrix[[j, k]]).sum();
            matrix[[i, j]] = (matrix[[i, j]] - dot) / root;
        }
    }
    rank
}

fn cholesky_solve(factor: &Array2<f64>, right: &Array1<f64>) -> Array1<f64> {
    let n = factor.nrows();
    let mut x = right.clone();
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| factor[[i, k]] * x[k]).sum();
        x[i] = (x[i] - dot) / factor[[i, i]];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| factor[[k, i]] * x[k]).sum();
        x[i] = (x[i] - dot) / factor[[i, i]];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{ExactKernel, Repeats};

    fn game() -> Vec<f64> {
        (0..16u32)
            .map(|m| f64::from(m.count_ones().pow(2)) + f64::from(m & 1) * 0.5 - f64::from(m >> 3) * 1.25)
            .collect()
    }

    #[test]
    fn the_full_factorial_gives_the_exact_values() {
        let exact = ExactKernel::new(4).shapley_values(&game());
        let fit = kernel_values(&CoalitionTable::complete(game())).expect("a fit");
        for (fit, exact) in fit.values.iter().zip(exact) {
            assert!((fit - exact).abs() < 1e-12);
        }
    }

    #[test]
    fn additive_games_need_few_coalitions() {
        let value =
            |m: u64| 0.3 + (0..5).filter(|i| m >> i & 1 == 1).map(|i| f64::from(i) - 1.5).sum::<f64>();
        let rows: Vec<(u64, f64)> = [0, 31, 1, 2, 4, 8, 24].into_iter().map(|m| (m, value(m))).collect();
        let table =
            CoalitionTable::from_rows(5, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table");
        let fit = kernel_values(&table).expect("a fit");
        for (player, fit) in fit.values.iter().enumerate() {
            assert!((fit - (player as f64 - 1.5)).abs() < 1e-12, "player {player}: {fit}");
        }
    }

    #[test]
    fn undetermined_values_are_refused_with_the_rank() {
        let rows = [(0, 0.0), (7, 1.0), (1, 0.5)];
        let table = CoalitionTable::from_rows(3, 3, rows.into_iter(), Repeats::Mean).expect("a table");
        assert!(matches!(kernel_values(&table), Err(GameError::NotIdentifiable { rank: 1 })));
        let no_empty = CoalitionTable::from_rows(2, 2, [(1, 0.0), (3, 1.0)].into_iter(), Repeats::Mean)
            .expect("a table");
        assert!(matches!(kernel_values(&no_empty), Err(GameError::NoEmptyCoalition)));
    }

    #[test]
    fn noise_errors_of_the_full_factorial_are_those_of_the_exact_values() {
        let rows: Vec<(u64, f64)> = (0..16u64)
            .flat_map(|m| {
                [
                    (m, game()[usize::try_from(m).expect("small")] + 0.1),
                    (m, game()[usize::try_from(m).expect("small")] - 0.1 * m as f64),
                ]
            })
            .collect();
        let table =
            CoalitionTable::from_rows(4, rows.len(), rows.into_iter(), Repeats::Mean).expect("a table");
        let fit = kernel_values(&table).expect("a fit").errors.expect("errors");
        let exact = ExactKernel::new(4).noise_errors(&table.noise().expect("noise").mean_variances());
        for (fit, exact) in fit.iter().zip(exact) {
            assert!((fit.standard_error - exact.standard_error).abs() < 1e-12, "{fit:?} {exact:?}");
            assert!((fit.degrees - exact.degrees).abs() < 1e-9);
        }
    }

    #[test]
    fn one_player_takes_all() {
        let fit = kernel_values(&CoalitionTable::complete(vec![0.25, 1.0])).expect("a fit");
        assert!((fit.values[0] - 0.75).abs() < 1e-15);
    }
}
