//! Kernels as ratios within one run: `cargo bench`.
//!
//! Each kernel stands beside the plainest code that touches the same data, so that the ratio means the same on any
//! machine. benches/compare.py times whole commands against NumPy, Polars and DuckDB.

use divan::{Bencher, black_box};
use rand::seq::SliceRandom;
use simic::attribution::{
    CoalitionTable, ExactKernel, InteractionIndex, InteractionKernel, MissingPolicy, PermutationSettings,
    Repeats, drawn_marginals,
};
use simic::stats::{StreamKey, random_stream};

fn main() {
    divan::main();
}

fn values(n: usize) -> Vec<f64> {
    (0..1u64 << n)
        .map(|m| (m.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1u64 << 53) as f64)
        .collect()
}

/// The yardstick: one pass over the table, one running sum.
#[divan::bench(args = [16, 20, 24])]
fn plain_sum(bencher: Bencher, n: usize) {
    let values = values(n);
    bencher.bench_local(|| black_box(&values).iter().sum::<f64>());
}

/// All Shapley values of one game.
#[divan::bench(args = [8, 20, 24])]
fn exact(bencher: Bencher, n: usize) {
    let values = values(n);
    let kernel = ExactKernel::new(n);
    bencher.bench_local(|| kernel.shapley_values(black_box(&values)));
}

/// The same on one thread.
#[divan::bench(args = [20, 24])]
fn exact_one_thread(bencher: Bencher, n: usize) {
    let values = values(n);
    let kernel = ExactKernel::new(n);
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(1).build() else { return };
    bencher.bench_local(|| pool.install(|| kernel.shapley_values(black_box(&values))));
}

/// All k-SII terms of one game up to an order, beside `plain_sum` of the same table.
#[divan::bench(args = [(8, 2), (16, 3), (20, 2), (24, 2)])]
fn interactions(bencher: Bencher, (n, order): (usize, usize)) {
    let values = values(n);
    let kernel = InteractionKernel::new(InteractionIndex::KSii, n, order);
    let terms = kernel.terms();
    bencher.bench_local(|| kernel.values(&terms, black_box(&values)));
}

/// The same on one thread.
#[divan::bench(args = [(20, 2), (16, 3)])]
fn interactions_one_thread(bencher: Bencher, (n, order): (usize, usize)) {
    let values = values(n);
    let kernel = InteractionKernel::new(InteractionIndex::KSii, n, order);
    let terms = kernel.terms();
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(1).build() else { return };
    bencher.bench_local(|| pool.install(|| kernel.values(&terms, black_box(&values))));
}

/// 10 000 permutations in antithetic pairs of a game of 32 players, every value looked up by coalition.
#[divan::bench(sample_count = 10)]
fn antithetic_permutations_32(bencher: Bencher) {
    const N_PLAYERS: usize = 32;
    let settings = PermutationSettings {
        n_permutations: 10_000,
        design: simic::attribution::PermutationDesign::Plain,
        antithetic: true,
        seed: 1,
    };
    let key = StreamKey::named("bench", 0, 0);
    // Record exactly the coalitions those permutations visit.
    let mut rows = Vec::new();
    for unit in 0..settings.n_permutations as u64 / 2 {
        let mut order: Vec<usize> = (0..N_PLAYERS).collect();
        order.shuffle(&mut random_stream(settings.seed, key, unit));
        for reversed in [false, true] {
            let mut mask = 0u64;
            rows.push(mask);
            for position in 0..N_PLAYERS {
                mask |= 1 << order[if reversed { N_PLAYERS - 1 - position } else { position }];
                rows.push(mask);
            }
        }
    }
    rows.sort_unstable();
    rows.dedup();
    let value = |mask: u64| (mask as f64 * 1e-6).sin() + f64::from(mask.count_ones());
    let rows: Vec<(u64, f64)> = rows.into_iter().map(|mask| (mask, value(mask))).collect();
    let Ok(table) = CoalitionTable::from_rows(N_PLAYERS, rows.len(), rows.into_iter(), Repeats::Mean) else {
        return;
    };
    bencher.bench_local(|| drawn_marginals(black_box(&table), key, settings, MissingPolicy::Error).is_ok());
}
