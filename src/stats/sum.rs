//! Summation with a fixed tree.

/// Values summed in one straight run before the tree takes over.
const LEAF: usize = 128;

/// Sums `values` by recursive halving, eight running sums per leaf.
///
/// # Formula
/// The tree depends on the length alone, so the result is the same on any thread count; the rounding
/// error grows with log2(n) instead of n.
///
/// # Edge cases
/// An empty slice sums to 0.
///
/// # Source
/// Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed. (2002), section 4.2.
pub fn pairwise_sum(values: &[f64]) -> f64 {
    if values.len() <= LEAF {
        return leaf_sum(values);
    }
    // Split at a multiple of the leaf so that only the last leaf is short.
    let half = (values.len() / 2).next_multiple_of(LEAF);
    let (left, right) = values.split_at(half);
    pairwise_sum(left) + pairwise_sum(right)
}

fn leaf_sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let chunks = values.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7])) + rest
}

#[cfg(test)]
mod tests {
    use super::pairwise_sum;

    #[test]
    fn sums_every_length_around_the_leaf() {
        for n in (0..300u32).chain([1000, 4097]) {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let expected = f64::from(n) * f64::from(n + 1) / 2.0;
            assert!((pairwise_sum(&values) - expected).abs() < 1e-9, "n = {n}");
        }
    }

    #[test]
    fn keeps_digits_a_running_sum_loses() {
        // 2^23 copies of 0.1: a running sum is off by about 1e-3, the tree by a few ulps.
        let values = vec![0.1f64; 1 << 23];
        let exact = 838_860.8;
        assert!((pairwise_sum(&values) - exact).abs() < 1e-8);
    }
}
