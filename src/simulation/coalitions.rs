//! Games of additive and pairwise effects with evaluation noise.

use rand::seq::SliceRandom;

use super::normal;
use crate::stats::{StreamKey, random_stream};

/// An effect that two slots have together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interaction {
    /// One slot.
    pub first: usize,
    /// The other.
    pub second: usize,
    /// What the pair adds.
    pub effect: f64,
}

/// Which coalitions are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    /// All 2^n, each `repeats` times.
    Factorial {
        /// Evaluations per coalition.
        repeats: usize,
    },
    /// Permutations in antithetic pairs, walked from empty to full.
    Walks {
        /// Permutations, reverses included.
        n_permutations: usize,
    },
}

/// A campaign of games.
///
/// # Formula
/// v(S) = baseline + sum over i in S of e_i + sum over pairs in S of their effect + noise, with
/// e_i = effect_i + run_spread · N(0, 1) drawn per run + spread · N(0, 1) drawn per (run, episode). The true Shapley value of slot i is effect_i plus
/// half of each of its pairs' effects. The loss is 1.2 (1 - v) plus noise of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct CoalitionSimulation {
    /// Runs.
    pub n_runs: usize,
    /// Episodes per run.
    pub n_episodes: usize,
    /// Environments per episode.
    pub n_envs: usize,
    /// Value of the empty coalition.
    pub baseline: f64,
    /// Effect of each slot.
    pub effects: Vec<f64>,
    /// Effects of pairs.
    pub interactions: Vec<Interaction>,
    /// Standard deviation of the slots' effects over runs: what the episodes of one run share.
    pub run_spread: f64,
    /// Standard deviation of the slots' effects over episodes of a run.
    pub spread: f64,
    /// Standard deviation of one evaluation.
    pub noise: f64,
    /// Which coalitions are evaluated.
    pub design: Design,
    /// Seed.
    pub seed: u64,
}

/// One evaluated coalition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoalitionRow {
    /// Slots switched on.
    pub mask: u64,
    /// Value.
    pub accuracy: f64,
    /// Loss.
    pub loss: f64,
    /// Permutation and position, for walks.
    pub walk: Option<(i64, i64)>,
}

impl CoalitionSimulation {
    /// The true Shapley values.
    pub fn shapley_values(&self) -> Vec<f64> {
        self.with_halves_of_pairs(self.effects.clone())
    }

    /// The Shapley values that the games of the runs written have on average, evaluation noise apart: the effects drawn
    /// for their runs and episodes, and half of each pair's effect.
    pub fn realized_shapley_values(&self) -> Vec<f64> {
        let mut means = vec![0.0; self.effects.len()];
        let mut n = 0.0;
        for run in 0..self.n_runs {
            for episode in 0..self.n_episodes {
                n += 1.0;
                for (mean, effect) in means.iter_mut().zip(self.effects_of(run, episode)) {
                    *mean += (effect - *mean) / n;
                }
            }
        }
        self.with_halves_of_pairs(means)
    }

    fn with_halves_of_pairs(&self, mut values: Vec<f64>) -> Vec<f64> {
        for pair in &self.interactions {
            values[pair.first] += pair.effect / 2.0;
            values[pair.second] += pair.effect / 2.0;
        }
        values
    }

    /// The effects drawn for one episode of a run.
    fn effects_of(&self, run: usize, episode: usize) -> Vec<f64> {
        let mut shared = random_stream(self.seed, StreamKey::named("effects", run as u64, episode as u64), 0);
        let mut of_run = random_stream(self.seed, StreamKey::named("run effects", run as u64, 0), 0);
        self.effects
            .iter()
            .map(|effect| effect + self.run_spread * normal(&mut of_run) + self.spread * normal(&mut shared))
            .collect()
    }

    /// Rows of one game in recorded order.
    pub fn game(&self, run: usize, episode: usize, env: usize) -> Vec<CoalitionRow> {
        let effects = self.effects_of(run, episode);
        let key = StreamKey::named("coalitions", run as u64, episode as u64);
        let mut rng = random_stream(self.seed, key, env as u64);
        let mut row = |mask: u64, walk: Option<(i64, i64)>| {
            let value = self.value(&effects, mask);
            let accuracy = value + self.noise * normal(&mut rng);
            let loss = 1.2 * (1.0 - value) + self.noise * normal(&mut rng);
            CoalitionRow { mask, accuracy, loss, walk }
        };
        let n = self.effects.len();
        match self.design {
            Design::Factorial { repeats } => (0..1u64 << n)
                .flat_map(|mask| std::iter::repeat_n(mask, repeats))
                .map(|mask| row(mask, None))
                .collect(),
            Design::Walks { n_permutations } => {
                let walk_key = StreamKey::named("walks", run as u64, episode as u64);
                let mut order: Vec<usize> = (0..n).collect();
                let mut draws = random_stream(self.seed, walk_key, env as u64);
                let mut rows = Vec::with_capacity(n_permutations * (n + 1));
                for perm in 0..n_permutations {
                    if perm % 2 == 0 {
                        order.shuffle(&mut draws);
                    } else {
                        order.reverse();
                    }
                    let mut mask = 0;
                    rows.push(row(mask, Some((perm as i64, 0))));
                    for (position, player) in order.iter().enumerate() {
                        mask |= 1 << player;
                        rows.push(row(mask, Some((perm as i64, position as i64 + 1))));
                    }
                }
                rows
            }
        }
    }

    fn value(&self, effects: &[f64], mask: u64) -> f64 {
        let is_on = |player: usize| mask >> player & 1 == 1;
        let mut value = self.baseline;
        let mut rest = mask;
        while rest != 0 {
            value += effects[rest.trailing_zeros() as usize];
            rest &= rest - 1;
        }
        for pair in &self.interactions {
            if is_on(pair.first) && is_on(pair.second) {
                value += pair.effect;
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::ExactKernel;

    fn simulation(noise: f64, design: Design) -> CoalitionSimulation {
        CoalitionSimulation {
            n_runs: 1,
            n_episodes: 1,
            n_envs: 1,
            baseline: 0.5,
            effects: vec![0.1, 0.05, -0.02, 0.0],
            interactions: vec![Interaction { first: 0, second: 2, effect: 0.04 }],
            run_spread: 0.0,
            spread: 0.0,
            noise,
            design,
            seed: 1,
        }
    }

    #[test]
    fn the_exact_values_of_a_noiseless_game_are_the_truth() {
        let simulation = simulation(0.0, Design::Factorial { repeats: 1 });
        let values: Vec<f64> = simulation.game(0, 0, 0).iter().map(|row| row.accuracy).collect();
        for (phi, truth) in
            ExactKernel::new(4).shapley_values(&values).iter().zip(simulation.shapley_values())
        {
            assert!((phi - truth).abs() < 1e-15);
        }
    }

    #[test]
    fn the_values_of_the_rows_are_those_of_their_own_draws() {
        let drawn = CoalitionSimulation {
            n_runs: 2,
            n_episodes: 3,
            run_spread: 0.3,
            spread: 0.1,
            ..simulation(0.0, Design::Factorial { repeats: 1 })
        };
        let mut means = [0.0; 4];
        for (run, episode) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
            let values: Vec<f64> = drawn.game(run, episode, 0).iter().map(|row| row.accuracy).collect();
            for (mean, phi) in means.iter_mut().zip(ExactKernel::new(4).shapley_values(&values)) {
                *mean += phi / 6.0;
            }
        }
        for ((mean, realized), truth) in
            means.iter().zip(drawn.realized_shapley_values()).zip(drawn.shapley_values())
        {
            assert!((mean - realized).abs() < 1e-14, "{mean} {realized}");
            assert!((realized - truth).abs() > 1e-3, "{realized} {truth}");
        }
    }

    #[test]
    fn walks_go_from_empty_to_full_and_back_to_front() {
        let rows = simulation(0.1, Design::Walks { n_permutations: 4 }).game(0, 0, 0);
        assert_eq!(rows.len(), 20);
        assert!(rows.chunks(5).all(|walk| walk[0].mask == 0 && walk[4].mask == 15));
        // The first half of a walk is the complement of the second half of its reverse.
        assert_eq!(rows[1].mask ^ 15, rows[5 + 3].mask);
    }

    #[test]
    fn episodes_of_a_run_share_its_effects() {
        let with_runs =
            CoalitionSimulation { run_spread: 1.0, ..simulation(0.0, Design::Factorial { repeats: 1 }) };
        assert_eq!(with_runs.game(0, 0, 0), with_runs.game(0, 1, 0));
        assert_ne!(with_runs.game(0, 0, 0), with_runs.game(1, 0, 0));
    }

    #[test]
    fn games_differ_and_repeat_themselves() {
        let simulation = simulation(0.1, Design::Factorial { repeats: 2 });
        assert_eq!(simulation.game(0, 0, 0), simulation.game(0, 0, 0));
        assert_ne!(simulation.game(0, 0, 0), simulation.game(0, 0, 1));
        assert_ne!(simulation.game(0, 0, 0), simulation.game(1, 0, 0));
    }
}
