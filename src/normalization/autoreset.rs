//! How vector environments begin a new episode, as the rows of a recording show it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When environments reset, as it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AutoresetRule {
    /// As the rows show it.
    Auto,
    /// Within the step that ends an episode: every row is a step.
    SameStep,
    /// In the step after it: the row after an end is a reset, not a step.
    NextStep,
}

/// When environments reset, as it was found or asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Autoreset {
    /// No row follows the end of an episode.
    None,
    /// Within the step that ends an episode.
    SameStep,
    /// In the step after it.
    NextStep,
    /// The rows could be either; they count as steps.
    Undecided,
}

/// Chance below which rows without reward after the ends of episodes are no steps.
const LEAST_CHANCE: f64 = 0.01;

/// One row as the probe sees it.
#[derive(Debug, Clone, Copy)]
pub struct AutoresetRow {
    /// Place of the environment.
    pub lane: usize,
    /// Episode.
    pub episode: i64,
    /// Reward.
    pub reward: f64,
    /// Whether the episode ended here.
    pub ended: bool,
}

/// Whether a probe has to see more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeNeeds {
    /// It does.
    More,
    /// Nothing that follows changes its answer.
    Nothing,
}

/// Tells from rewards and flags whether the row after the end of an episode is a step or a reset.
///
/// # Formula
/// A reset in the next step has reward 0 and ends nothing: one row after an end that is otherwise settles on
/// [`Autoreset::SameStep`]. Where all n of them look like resets, they are resets if an episode number goes on past its
/// end and changes only then, or if p^n <= 0.01, with p the chance that a step has reward 0: the greater of the share
/// among the environments' first rows and (z + 1)/(m + 2), z of all m other rows.
///
/// # Edge cases
/// First rows without reward in every environment make p = 1: sparse rewards tell nothing.
#[derive(Debug, Clone)]
pub struct AutoresetProbe {
    lanes: Vec<Option<Last>>,
    firsts: Tally,
    steps: Tally,
    /// Rows after an end.
    n_after_end: u32,
    has_step_after_end: bool,
    /// Episode numbers that changed one row after their end.
    n_past_end: u64,
}

/// The last row of an environment.
#[derive(Debug, Clone, Copy)]
struct Last {
    episode: i64,
    ended: bool,
    /// Whether it followed the end of its own episode.
    past_end: bool,
}

/// Rows, and those of them without reward.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    rows: u64,
    zeros: u64,
}

impl Tally {
    fn count(&mut self, reward: f64) {
        self.rows += 1;
        self.zeros += u64::from(reward == 0.0);
    }
}

impl AutoresetProbe {
    /// A probe of a run of `n_envs` environments.
    pub fn new(n_envs: usize) -> Self {
        Self {
            lanes: vec![None; n_envs],
            firsts: Tally::default(),
            steps: Tally::default(),
            n_after_end: 0,
            has_step_after_end: false,
            n_past_end: 0,
        }
    }

    /// Looks at the next row of an environment.
    pub fn push(&mut self, row: AutoresetRow) -> ProbeNeeds {
        let last = self.lanes[row.lane];
        let follows_end = last.is_some_and(|last| last.ended);
        let past_end = follows_end && last.is_some_and(|last| last.episode == row.episode);
        if last.is_some_and(|last| last.past_end && last.episode != row.episode) {
            self.n_past_end += 1;
        }
        if follows_end {
            self.n_after_end = self.n_after_end.saturating_add(1);
            self.has_step_after_end |= row.reward != 0.0 || row.ended;
        } else {
            self.steps.count(row.reward);
        }
        if last.is_none() {
            self.firsts.count(row.reward);
        }
        self.lanes[row.lane] = Some(Last { episode: row.episode, ended: row.ended, past_end });
        if self.has_step_after_end { ProbeNeeds::Nothing } else { ProbeNeeds::More }
    }

    /// What the rows so far show.
    pub fn finish(&self) -> Autoreset {
        if self.has_step_after_end {
            return Autoreset::SameStep;
        }
        if self.n_after_end == 0 {
            return Autoreset::None;
        }
        let of_firsts = self.firsts.zeros as f64 / self.firsts.rows.max(1) as f64;
        let of_steps = (self.steps.zeros + 1) as f64 / (self.steps.rows + 2) as f64;
        let chance = of_firsts.max(of_steps).powf(f64::from(self.n_after_end));
        if self.n_past_end > 0 || chance <= LEAST_CHANCE { Autoreset::NextStep } else { Autoreset::Undecided }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One environment, 100 steps in episodes of 10; `reward` of (episode, step), `resets` rows after each end.
    fn found(reward: impl Fn(i64, i64) -> f64, resets: usize, numbering: i64) -> Autoreset {
        let mut probe = AutoresetProbe::new(1);
        for episode in 0..10 {
            for step in 0..10 {
                let ended = step == 9;
                probe.push(AutoresetRow { lane: 0, episode, reward: reward(episode, step), ended });
            }
            for _ in 0..resets {
                let episode = episode + numbering;
                probe.push(AutoresetRow { lane: 0, episode, reward: 0.0, ended: false });
            }
        }
        probe.finish()
    }

    #[test]
    fn rows_show_when_environments_reset() {
        let dense = |_, _| 1.0;
        assert_eq!(found(dense, 1, 1), Autoreset::NextStep);
        assert_eq!(found(dense, 0, 0), Autoreset::SameStep);
        // Rewards at the end alone: rows without reward after an end could be first steps.
        let sparse = |_, step| if step == 9 { 1.0 } else { 0.0 };
        assert_eq!(found(sparse, 0, 0), Autoreset::Undecided);
        assert_eq!(found(sparse, 1, 1), Autoreset::Undecided);
        // Numbered past the end of the old episode, they could not.
        assert_eq!(found(sparse, 1, 0), Autoreset::NextStep);
        // One row that ends nothing but has a reward is a step.
        assert_eq!(
            found(|episode, step| if (episode, step) == (7, 0) { 0.5 } else { sparse(episode, step) }, 0, 0),
            Autoreset::SameStep
        );
    }

    #[test]
    fn a_row_without_reward_now_and_then_decides_nothing() {
        let mut probe = AutoresetProbe::new(1);
        assert_eq!(probe.finish(), Autoreset::None);
        let rows = [(1.0, false), (2.0, true), (0.0, false), (3.0, false)];
        for (reward, ended) in rows {
            probe.push(AutoresetRow { lane: 0, episode: 0, reward, ended });
        }
        // One row after one end, three steps: a chance of 1/5.
        assert_eq!(probe.finish(), Autoreset::Undecided);
    }
}
