//! Shapley weights by coalition size.

/// w(s) = s!(n-1-s)!/n! for s = 0..n-1: the weight of one marginal contribution to a coalition of size s.
///
/// # Formula
/// By recurrence w(0) = 1/n, w(s+1) = w(s)(s+1)/(n-1-s) on the lower half, mirrored (w(s) = w(n-1-s)).
/// Beyond about 1000 players the middle weights underflow to 0, which is their value in f64.
pub fn shapley_weights(n_players: usize) -> Vec<f64> {
    let n = n_players;
    let mut weights = vec![0.0; n];
    if n == 0 {
        return weights;
    }
    weights[0] = 1.0 / n as f64;
    for s in 0..n / 2 {
        if s + 1 < n {
            weights[s + 1] = weights[s] * (s + 1) as f64 / (n - 1 - s) as f64;
        }
    }
    for s in 0..n / 2 {
        weights[n - 1 - s] = weights[s];
    }
    weights
}

/// The two weights each value enters with, by coalition size s = 0..n.
///
/// A player's value is sum over S of c(S) v(S) with c = `joined[s]` if the player is in S, else -`left[s]`.
#[derive(Debug, Clone)]
pub(super) struct SizeWeights {
    /// w(s-1): weight of v(S) for members of S; 0 for the empty coalition.
    pub(super) joined: Vec<f64>,
    /// w(s): weight of -v(S) for the others; 0 for the grand coalition.
    pub(super) left: Vec<f64>,
}

impl SizeWeights {
    pub(super) fn new(n_players: usize) -> Self {
        let weights = shapley_weights(n_players);
        Self {
            joined: std::iter::once(0.0).chain(weights.iter().copied()).collect(),
            left: weights.into_iter().chain(std::iter::once(0.0)).collect(),
        }
    }
}

/// C(n, k) as f64, exact while it fits 2^53.
pub(super) fn binomial(n: usize, k: usize) -> f64 {
    if k > n {
        return 0.0;
    }
    let mut value = 1.0f64;
    for i in 0..k.min(n - k) {
        // Every partial product is itself a binomial coefficient, hence an integer.
        value = (value * (n - i) as f64 / (i + 1) as f64).round();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_by_hand() {
        assert_eq!(shapley_weights(1), [1.0]);
        assert_eq!(shapley_weights(2), [0.5, 0.5]);
        let three = [1.0 / 3.0, 1.0 / 6.0, 1.0 / 3.0];
        assert!(shapley_weights(3).iter().zip(three).all(|(a, e)| (a - e).abs() < 1e-16));
        let four = [0.25, 1.0 / 12.0, 1.0 / 12.0, 0.25];
        assert!(shapley_weights(4).iter().zip(four).all(|(a, e)| (a - e).abs() < 1e-16));
    }

    #[test]
    fn weights_over_all_coalitions_sum_to_one() {
        for n in 1..=64 {
            let total: f64 = shapley_weights(n).iter().enumerate().map(|(s, w)| w * binomial(n - 1, s)).sum();
            assert!((total - 1.0).abs() < 1e-13, "n = {n}: {total}");
        }
    }
}
