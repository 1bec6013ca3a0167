//! Discounted returns accumulated forward, whose deviation some frameworks divide rewards by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::autoreset::Autoreset;

/// When an environment's accumulator begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnReset {
    /// After the last step of an episode, terminated or truncated.
    EpisodeEnd,
    /// As [`ReturnReset::EpisodeEnd`], and the step that terminates does not add to what came before it.
    TerminalStep,
    /// The step that terminates begins anew; truncation never does.
    TerminationOnly,
    /// Never.
    Never,
    /// As Gymnasium: [`ReturnReset::TerminationOnly`] where environments reset in the step after the end of an episode,
    /// [`ReturnReset::TerminalStep`] elsewhere.
    Autoreset,
}

impl ReturnReset {
    /// The same where environments reset like this; never [`ReturnReset::Autoreset`].
    #[must_use]
    pub fn under(self, autoreset: Autoreset) -> Self {
        match (self, autoreset) {
            (Self::Autoreset, Autoreset::NextStep) => Self::TerminationOnly,
            (Self::Autoreset, _) => Self::TerminalStep,
            (reset, _) => reset,
        }
    }
}

/// One accumulator per environment: R = gamma R + r.
#[derive(Debug, Clone)]
pub struct Returns {
    gamma: f64,
    reset: ReturnReset,
    envs: Vec<Accumulator>,
}

/// What is kept of one environment.
#[derive(Debug, Clone, Copy, Default)]
struct Accumulator {
    value: f64,
    /// Episode of the last row.
    last_episode: Option<i64>,
    /// Whether that row ended it.
    last_ended: bool,
}

/// One step as returns see it.
#[derive(Debug, Clone, Copy)]
pub struct ReturnStep {
    /// Place of the environment.
    pub lane: usize,
    /// Episode.
    pub episode: i64,
    /// Reward.
    pub reward: f64,
    /// Whether the environment terminated here.
    pub terminated: bool,
    /// Whether the episode ended here for whatever reason.
    pub ended: bool,
}

impl Returns {
    /// Accumulators of `n_envs` environments at zero.
    pub fn new(gamma: f64, reset: ReturnReset, autoreset: Autoreset, n_envs: usize) -> Self {
        Self { gamma, reset: reset.under(autoreset), envs: vec![Accumulator::default(); n_envs] }
    }

    /// The return after this step; rows that only reset an environment are no steps and must not come here.
    ///
    /// An episode ends where the recording says so, or where the next row of the environment has another one.
    pub fn push(&mut self, step: ReturnStep) -> f64 {
        let env = &mut self.envs[step.lane];
        let is_new = env.last_ended || env.last_episode.is_some_and(|episode| episode != step.episode);
        if is_new && matches!(self.reset, ReturnReset::EpisodeEnd | ReturnReset::TerminalStep) {
            env.value = 0.0;
        }
        let begins_here =
            step.terminated && matches!(self.reset, ReturnReset::TerminalStep | ReturnReset::TerminationOnly);
        env.value = if begins_here { step.reward } else { self.gamma * env.value + step.reward };
        (env.last_episode, env.last_ended) = (Some(step.episode), step.ended);
        env.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(reset: ReturnReset) -> Vec<f64> {
        run_under(reset, Autoreset::SameStep)
    }

    fn run_under(reset: ReturnReset, autoreset: Autoreset) -> Vec<f64> {
        let mut returns = Returns::new(0.5, reset, autoreset, 1);
        let step =
            |reward, terminated, ended, episode| ReturnStep { lane: 0, episode, reward, terminated, ended };
        // Terminated after 2, truncated (told by the next episode number alone) after 4.
        [
            step(1.0, false, false, 0),
            step(2.0, true, true, 0),
            step(3.0, false, false, 1),
            step(4.0, false, false, 1),
            step(5.0, false, false, 2),
        ]
        .map(|step| returns.push(step))
        .to_vec()
    }

    #[test]
    fn every_reset_by_hand() {
        assert_eq!(run(ReturnReset::EpisodeEnd), [1.0, 2.5, 3.0, 5.5, 5.0]);
        assert_eq!(run(ReturnReset::TerminalStep), [1.0, 2.0, 3.0, 5.5, 5.0]);
        assert_eq!(run(ReturnReset::TerminationOnly), [1.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(run(ReturnReset::Never), [1.0, 2.5, 4.25, 6.125, 8.0625]);
        for (autoreset, same) in [
            (Autoreset::NextStep, ReturnReset::TerminationOnly),
            (Autoreset::SameStep, ReturnReset::TerminalStep),
            (Autoreset::Undecided, ReturnReset::TerminalStep),
        ] {
            assert_eq!(run_under(ReturnReset::Autoreset, autoreset), run(same));
        }
    }
}
