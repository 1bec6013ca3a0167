//! Interaction indices as linear functionals: what each recorded value is multiplied with.
//!
//! # Formula
//! Every index here is cardinal: with q = |T| and the discrete derivative
//! D_T(A) = sum over L in T of (-1)^(q-|L|) v(A + L), I(T) = sum over A outside T of p_q(|A|) D_T(A). So v(S) enters I(T)
//! with (-1)^(q-t) p_q(s-t), where t = |T and S|: p is all there is to an index, and value, noise and covariance follow.
//!
//! | index | p_q(x), n players, order K |
//! | --- | --- |
//! | SII | 1/((n-q+1) C(n-q, x)) |
//! | Banzhaf | 2^-(n-q) |
//! | Moebius, pair | 1 at x = 0, else 0 |
//! | STII | q/(n C(n-1, x)) for q = K, as Moebius below |
//! | k-SII | sum over k of B_k times the SII of all T + M, \|M\| = k <= K - q (B_1 = -1/2) |
//! | FSII | sum over m < K of c_m/((q+x+m) C(n+m, n-q-x)) |
//!
//! FSII's weight of a Moebius coefficient of size s is the rational function
//! w(s) = a (s-q-1)...(s-K)/(s(s+1)...(s+K-1)), a = (-1)^(K-q) (q/(K+q)) C(K,q) (K+q)!/K!, which is 1 at s = q and 0 up to K;
//! c_m are its partial fractions, and the alternating sum over supersets that leads from w to p is the finite difference of
//! 1/(s+m), in closed form: nothing cancels but the K partial fractions.
//!
//! # Source
//! Grabisch and Roubens, *Int. J. Game Theory* 28, 1999 (SII, Banzhaf); Sundararajan, Dhamdhere and Agarwal, *ICML* 2020
//! (STII); Bordt and von Luxburg, *AISTATS* 2023 (k-SII); Tsai, Yeh and Ravikumar, *JMLR* 24(94), 2023 (FSII).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attribution::weights::binomial;

/// Which interaction index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InteractionIndex {
    /// Shapley interaction index.
    #[serde(rename = "sii")]
    Sii,
    /// Its efficient aggregation up to the order asked for.
    #[serde(rename = "k-sii")]
    KSii,
    /// Shapley-Taylor interaction index.
    #[serde(rename = "stii")]
    Stii,
    /// Faithful Shapley interaction index.
    #[serde(rename = "fsii")]
    Fsii,
    /// Banzhaf interaction index.
    #[serde(rename = "banzhaf")]
    Banzhaf,
    /// Moebius coefficients, from the smallest coalitions alone.
    #[serde(rename = "moebius")]
    Moebius,
    /// f(ij) - f(i) - f(j) + f(empty) and f(i) - f(empty): Moebius coefficients of one and two players.
    #[serde(rename = "pair")]
    Pair,
}

impl InteractionIndex {
    /// The name in documents and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sii => "sii",
            Self::KSii => "k-sii",
            Self::Stii => "stii",
            Self::Fsii => "fsii",
            Self::Banzhaf => "banzhaf",
            Self::Moebius => "moebius",
            Self::Pair => "pair",
        }
    }

    /// Whether only coalitions within a term count, whatever the order.
    pub(super) fn is_local(self) -> bool {
        match self {
            Self::Moebius | Self::Pair => true,
            Self::Sii | Self::KSii | Self::Stii | Self::Fsii | Self::Banzhaf => false,
        }
    }

    /// Whether all terms up to the order add up to v(N) - v(empty).
    pub fn is_efficient(self) -> bool {
        match self {
            Self::KSii | Self::Stii | Self::Fsii => true,
            Self::Sii | Self::Banzhaf | Self::Moebius | Self::Pair => false,
        }
    }
}

/// The weights p_q of one index for terms of q players.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CardinalWeights {
    /// Players of a term.
    pub(super) q: usize,
    /// p_q(x) by the number x of players outside the term, 0 to n - q.
    pub(super) outside: Vec<f64>,
}

impl CardinalWeights {
    /// The weights of `index` for terms of `q` of `n` players, 1 <= q <= `order` <= n.
    pub(super) fn new(index: InteractionIndex, n: usize, order: usize, q: usize) -> Self {
        let moebius = |x: usize| if x == 0 { 1.0 } else { 0.0 };
        let of = |p: &dyn Fn(usize) -> f64| (0..=n - q).map(p).collect();
        let outside = match index {
            InteractionIndex::Moebius | InteractionIndex::Pair => of(&moebius),
            InteractionIndex::Stii if q < order => of(&moebius),
            InteractionIndex::Fsii if order == n => of(&moebius),
            InteractionIndex::Stii => of(&|x| q as f64 / (n as f64 * binomial(n - 1, x))),
            InteractionIndex::Sii => of(&|x| sii(n, q, x)),
            InteractionIndex::Banzhaf => of(&|_| 0.5f64.powi(i32::try_from(n - q).unwrap_or(i32::MAX))),
            InteractionIndex::KSii => of(&|x| k_sii(n, order, q, x)),
            InteractionIndex::Fsii => {
                let fractions = partial_fractions(order, q);
                of(&|x| {
                    let terms = fractions.iter().enumerate();
                    terms.map(|(m, c)| c / ((q + x + m) as f64 * binomial(n + m, n - q - x))).sum()
                })
            }
        };
        Self { q, outside }
    }

    /// Whether only coalitions within the term count.
    pub(super) fn is_local(&self) -> bool {
        self.outside.iter().skip(1).all(|weight| *weight == 0.0)
    }

    /// p_q(x), 0 outside its range.
    fn weight(&self, x: Option<usize>) -> f64 {
        x.and_then(|x| self.outside.get(x)).copied().unwrap_or(0.0)
    }

    /// What v(S) is multiplied with: `met` players of the term are among the `size` of S.
    pub(super) fn coefficient(&self, met: usize, size: usize) -> f64 {
        sign(self.q - met) * self.weight(size.checked_sub(met))
    }

    /// Weights by size of the sums over supersets of `r` of the term's players whose total is the sum over all S of the
    /// coefficient of S raised to `power`.
    ///
    /// # Formula
    /// g_r(s) = sum over j of (-1)^(r-j) C(r, j) c(j, s)^power: summed over the subsets R of T and S it is
    /// c(|T and S|, s)^power.
    pub(super) fn superset_weights(&self, n: usize, r: usize, power: i32) -> Vec<f64> {
        let at = |s: usize| {
            let terms =
                (0..=r.min(s)).map(|j| sign(r - j) * binomial(r, j) * self.coefficient(j, s).powi(power));
            terms.sum()
        };
        (0..=n).map(at).collect()
    }
}

/// (-1)^k.
fn sign(k: usize) -> f64 {
    if k.is_multiple_of(2) { 1.0 } else { -1.0 }
}

fn sii(n: usize, q: usize, x: usize) -> f64 {
    1.0 / ((n - q + 1) as f64 * binomial(n - q, x))
}

/// The sum over k of B_k times that over M outside T, |M| = k, of SII's coefficient of a coalition that holds T and x players
/// more, c of them in M.
fn k_sii(n: usize, order: usize, q: usize, x: usize) -> f64 {
    let bernoulli = bernoulli_numbers(order - q);
    let of_size = |k: usize| -> f64 {
        let fewest = k.saturating_sub(n - q - x);
        let shared = fewest..=k.min(x);
        let terms =
            shared.map(|c| binomial(x, c) * binomial(n - q - x, k - c) * sign(k - c) * sii(n, q + k, x - c));
        terms.sum()
    };
    bernoulli.iter().enumerate().map(|(k, b)| if *b == 0.0 { 0.0 } else { b * of_size(k) }).sum()
}

/// B_0 to B_`last` with B_1 = -1/2.
fn bernoulli_numbers(last: usize) -> Vec<f64> {
    let mut numbers = vec![1.0];
    for m in 1..=last {
        // Odd ones beyond the first are 0, which rounding would miss.
        let number = if m > 1 && m % 2 == 1 {
            0.0
        } else {
            -numbers.iter().enumerate().map(|(j, b)| binomial(m + 1, j) * b).sum::<f64>() / (m + 1) as f64
        };
        numbers.push(number);
    }
    numbers
}

/// c_m of FSII's weight (see the module).
fn partial_fractions(order: usize, q: usize) -> Vec<f64> {
    // (K+q)!/K! C(K,q) q/(K+q), in factors that stay small.
    let ratio: f64 = (order + 1..=order + q).map(|k| k as f64).product();
    let scale = sign(order - q) * q as f64 / (order + q) as f64 * binomial(order, q) * ratio;
    (0..order)
        .map(|m| {
            let top: f64 = (q + 1..=order).map(|i| -((m + i) as f64)).product();
            let bottom: f64 =
                (0..order).filter(|other| *other != m).map(|other| other as f64 - m as f64).product();
            scale * top / bottom
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_one_of_the_efficient_indices_is_the_shapley_value() {
        for n in 1..=30 {
            for index in [
                InteractionIndex::Sii,
                InteractionIndex::KSii,
                InteractionIndex::Stii,
                InteractionIndex::Fsii,
            ] {
                let found = CardinalWeights::new(index, n, 1, 1).outside;
                for (x, p) in found.iter().enumerate() {
                    let shapley = 1.0 / (n as f64 * binomial(n - 1, x));
                    assert!(
                        (p / shapley - 1.0).abs() < 1e-12,
                        "{index:?} n = {n}, x = {x}: {p} against {shapley}"
                    );
                }
            }
        }
    }

    /// The weight of a Moebius coefficient of size q + y is sum over x of C(y, x) p(x): by the sources 1/(y+1) for SII, 2^-y
    /// for Banzhaf, 1/C(q+y, q) for STII of the top order, and the rational function of FSII.
    #[test]
    fn weights_of_moebius_coefficients_are_those_of_the_sources() {
        let fsii = |order: usize, q: usize, s: usize| {
            if s == q {
                return 1.0;
            }
            if s <= order {
                return 0.0;
            }
            sign(order - q) * q as f64 / (order + q) as f64 * binomial(order, q) * binomial(s - 1, order)
                / binomial(s + order - 1, order + q)
        };
        for n in 1..=20 {
            for order in 1..=n.min(4) {
                for q in 1..=order {
                    // A Moebius coefficient of size q + y weighs the sum over the y players' subsets of what they meet.
                    let weight = |index: InteractionIndex, y: usize| -> f64 {
                        let p = CardinalWeights::new(index, n, order, q).outside;
                        // m(S) enters D_T(A) iff S is T and part of A: over all A of size x that hold y players.
                        (y..=n - q).map(|x| binomial(n - q - y, x - y) * p[x]).sum()
                    };
                    for y in 0..=n - q {
                        let close = |index: InteractionIndex, expected: f64| {
                            let found = weight(index, y);
                            assert!(
                                (found - expected).abs() < 1e-11,
                                "{index:?} n {n}, order {order}, q {q}, y {y}: {found} against {expected}"
                            );
                        };
                        close(InteractionIndex::Sii, 1.0 / (y + 1) as f64);
                        close(InteractionIndex::Banzhaf, 0.5f64.powi(i32::try_from(y).expect("small")));
                        close(InteractionIndex::Moebius, if y == 0 { 1.0 } else { 0.0 });
                        let stii = match () {
                            () if q == order => 1.0 / binomial(q + y, q),
                            () if y == 0 => 1.0,
                            () => 0.0,
                        };
                        close(InteractionIndex::Stii, stii);
                        close(InteractionIndex::Fsii, fsii(order, q, q + y));
                        let bernoulli = bernoulli_numbers(order - q);
                        let k_sii = bernoulli.iter().enumerate().take(y + 1);
                        close(
                            InteractionIndex::KSii,
                            k_sii.map(|(k, b)| b * binomial(y, k) / (y - k + 1) as f64).sum(),
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn bernoulli_numbers_by_hand() {
        let expected =
            [1.0, -0.5, 1.0 / 6.0, 0.0, -1.0 / 30.0, 0.0, 1.0 / 42.0, 0.0, -1.0 / 30.0, 0.0, 5.0 / 66.0];
        for (found, expected) in bernoulli_numbers(10).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
    }
}
