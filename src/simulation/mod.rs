//! Synthetic recordings with known truth: for demonstrations, tests and benchmarks.
//!
//! Pure: settings and a seed in, rows out. Every (run, episode, environment) draws from a stream of its own.

mod coalitions;
mod transitions;

pub use coalitions::{CoalitionRow, CoalitionSimulation, Design, Interaction};
pub use transitions::{StepRow, Stepper, TransitionSimulation};

use crate::stats::normal_quantile;
use rand::Rng;

/// A standard normal deviate by inversion: one 64-bit draw each.
fn normal(rng: &mut impl Rng) -> f64 {
    // Midpoints of 2^53 cells: never 0 or 1.
    let uniform = ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    normal_quantile(uniform)
}
