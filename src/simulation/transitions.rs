//! Environment steps with a planted shift of the observations' distribution.

use super::normal;
use crate::stats::{StreamKey, random_stream};

/// Vector environments stepping side by side.
///
/// # Formula
/// Observation d at vector step t: o_d + s_d (x + shift · [t >= shift_at]) with x a stationary AR(1) process of
/// coefficient 0.5 per environment, offsets o_d = offset · (d mod 5 - 2) and scales s_d = 10^((d mod 4) / 2 - 0.5).
/// Rewards are 0.1 x_0 + N(0, 0.5^2).
#[derive(Debug, Clone, PartialEq)]
pub struct TransitionSimulation {
    /// Environments.
    pub n_envs: usize,
    /// Vector steps.
    pub n_steps: usize,
    /// Values per observation.
    pub width: usize,
    /// Longest episode; environment e ends its episodes e mod 4 steps earlier.
    pub episode_length: usize,
    /// Spacing of the dimensions' offsets.
    pub offset: f64,
    /// Vector step at which the distribution shifts.
    pub shift_at: Option<usize>,
    /// Size of the shift in units of each dimension's scale.
    pub shift: f64,
    /// Seed.
    pub seed: u64,
}

/// One environment step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// Environment.
    pub env_id: i64,
    /// Episode of the environment.
    pub episode: i64,
    /// Step within the episode.
    pub step: i64,
    /// Reward.
    pub reward: f64,
    /// Whether the episode ends here.
    pub terminated: bool,
}

/// State of all environments between steps.
#[derive(Debug)]
pub struct Stepper<'a> {
    simulation: &'a TransitionSimulation,
    rngs: Vec<rand_chacha::ChaCha20Rng>,
    process: Vec<f64>,
    places: Vec<(i64, i64)>,
    vector_step: usize,
}

impl TransitionSimulation {
    /// Starts run number `run`.
    pub fn start(&self, run: usize) -> Stepper<'_> {
        let key = StreamKey::named("transitions", run as u64, 0);
        let mut rngs: Vec<_> =
            (0..self.n_envs).map(|env| random_stream(self.seed, key, env as u64)).collect();
        let process = rngs
            .iter_mut()
            .flat_map(|rng| (0..self.width).map(|_| normal(rng)).collect::<Vec<_>>())
            .collect();
        Stepper { simulation: self, rngs, process, places: vec![(0, 0); self.n_envs], vector_step: 0 }
    }
}

impl Stepper<'_> {
    /// Steps every environment once: observations (env after env) are appended to `obs`, rows to `rows`.
    pub fn step(&mut self, obs: &mut Vec<f32>, rows: &mut Vec<StepRow>) {
        let settings = self.simulation;
        let is_shifted = settings.shift_at.is_some_and(|at| self.vector_step >= at);
        let shift = if is_shifted { settings.shift } else { 0.0 };
        for env in 0..settings.n_envs {
            let process = &mut self.process[env * settings.width..(env + 1) * settings.width];
            for (d, x) in process.iter_mut().enumerate() {
                let offset = settings.offset * ((d % 5) as f64 - 2.0);
                let scale = 10f64.powf((d % 4) as f64 / 2.0 - 0.5);
                #[expect(clippy::cast_possible_truncation, reason = "recorders store f32")]
                obs.push((offset + scale * (*x + shift)) as f32);
                *x = 0.5 * *x + 0.75f64.sqrt() * normal(&mut self.rngs[env]);
            }
            let first = process.first().copied().unwrap_or(0.0);
            let reward = 0.1 * first + 0.5 * normal(&mut self.rngs[env]);
            let (episode, step) = self.places[env];
            let length = settings.episode_length.saturating_sub(env % 4).max(1) as i64;
            let terminated = step + 1 >= length;
            rows.push(StepRow { env_id: env as i64, episode, step, reward, terminated });
            self.places[env] = if terminated { (episode + 1, 0) } else { (episode, step + 1) };
        }
        self.vector_step += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn episodes_end_and_the_shift_shows() {
        let simulation = TransitionSimulation {
            n_envs: 5,
            n_steps: 2000,
            width: 3,
            episode_length: 50,
            offset: 10.0,
            shift_at: Some(1000),
            shift: 4.0,
            seed: 3,
        };
        let mut stepper = simulation.start(0);
        let (mut obs, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..simulation.n_steps {
            stepper.step(&mut obs, &mut rows);
        }
        let mean = |range: std::ops::Range<usize>| {
            range.clone().map(|row| f64::from(obs[row * 3])).sum::<f64>() / range.len() as f64
        };
        // Dimension 0: offset -20, scale 10^-0.5.
        assert!((mean(0..5000) + 20.0).abs() < 0.05);
        assert!((mean(5000..10000) + 20.0 - 4.0 * 0.316_227_766).abs() < 0.05);
        let lengths = |env: i64| {
            rows.iter().filter(|row| row.env_id == env && row.terminated).map(|row| row.step + 1).max()
        };
        assert_eq!((lengths(0), lengths(3), lengths(4)), (Some(50), Some(47), Some(50)));
    }
}
