//! Which rows make one update.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which rows make one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Granularity {
    /// Every row.
    Row,
    /// One vector step: one row of every environment.
    Step,
    /// This many vector steps; the last one may have fewer.
    Rollout(u64),
    /// Rows of one value of the recording's round column.
    Round,
    /// All rows of one episode index, at the episode's end.
    Episode,
}

impl std::str::FromStr for Granularity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = |text: &str| text.parse::<u64>().ok().filter(|n| *n > 0);
        match text.split_once(':') {
            None => match text {
                "step" => Ok(Self::Step),
                "row" => Ok(Self::Row),
                "round" => Ok(Self::Round),
                "episode" => Ok(Self::Episode),
                _ => Err("expected step, rollout:N, round, episode or row".to_owned()),
            },
            Some(("rollout", n)) => {
                whole(n).map(Self::Rollout).ok_or_else(|| format!("'{n}' is not a number of steps"))
            }
            Some(_) => Err("expected step, rollout:N, round, episode or row".to_owned()),
        }
    }
}

impl TryFrom<String> for Granularity {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Granularity> for String {
    fn from(granularity: Granularity) -> Self {
        granularity.describe()
    }
}

impl Granularity {
    /// The words of the command line.
    pub fn describe(self) -> String {
        match self {
            Self::Row => "row".to_owned(),
            Self::Step => "step".to_owned(),
            Self::Rollout(n) => format!("rollout:{n}"),
            Self::Round => "round".to_owned(),
            Self::Episode => "episode".to_owned(),
        }
    }
}

/// What of a row's place decides on its batch.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Vector step of each row, not decreasing.
    pub vector_step: &'a [u64],
    /// Round of each row, where the recording has one.
    pub round: Option<&'a [i64]>,
}

/// Finds where batches end in rows that come in replay order, block after block.
#[derive(Debug, Clone)]
pub struct Batcher {
    granularity: Granularity,
    /// Batch of the last row seen.
    current: Option<i64>,
}

impl Batcher {
    /// A batcher at the beginning of a run.
    pub fn new(granularity: Granularity) -> Self {
        Self { granularity, current: None }
    }

    /// The batch of a row: equal for neighbours of one batch.
    fn key(&self, places: &Places<'_>, row: usize) -> i64 {
        match self.granularity {
            Granularity::Row => row as i64,
            Granularity::Step => places.vector_step[row].cast_signed(),
            Granularity::Rollout(n) => (places.vector_step[row] / n).cast_signed(),
            Granularity::Round | Granularity::Episode => places.round.map_or(0, |round| round[row]),
        }
    }

    /// Ends of batches among these rows, each one past a batch's last row.
    ///
    /// A first end of 0 closes the batch that earlier blocks left open. Rows after the last end belong to a
    /// batch still open: what follows, or the end of the run, closes it.
    pub fn ends(&mut self, places: &Places<'_>) -> Vec<usize> {
        let n_rows = places.vector_step.len();
        if self.granularity == Granularity::Row {
            return (1..=n_rows).collect();
        }
        let mut ends = Vec::new();
        for row in 0..n_rows {
            let key = self.key(places, row);
            if self.current.is_some_and(|current| current != key) {
                ends.push(row);
            }
            self.current = Some(key);
        }
        ends
    }
}

/// Rounds in replay order: each is one batch, so none comes back once another has begun.
#[derive(Debug, Clone, Default)]
pub struct Rounds {
    current: Option<i64>,
    over: BTreeSet<i64>,
}

impl Rounds {
    /// The first of these rows, which follow those before, whose round was over already.
    pub fn returned(&mut self, rounds: &[i64]) -> Option<usize> {
        for (row, round) in rounds.iter().enumerate() {
            if self.current == Some(*round) {
                continue;
            }
            self.over.extend(self.current.replace(*round));
            if self.over.contains(round) {
                return Some(row);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_is_over_does_not_come_back() {
        let mut rounds = Rounds::default();
        assert_eq!(rounds.returned(&[1, 1, 2]), None);
        assert_eq!(rounds.returned(&[2, 5, 3, 3, 5]), Some(4));
    }

    #[test]
    fn batches_cross_blocks() {
        let mut steps = Batcher::new(Granularity::Step);
        assert_eq!(steps.ends(&Places { vector_step: &[0, 0, 1, 1, 2], round: None }), [2, 4]);
        assert_eq!(steps.ends(&Places { vector_step: &[2, 3], round: None }), [1]);
        assert_eq!(steps.ends(&Places { vector_step: &[4], round: None }), [0]);
        let mut rollouts = Batcher::new(Granularity::Rollout(2));
        assert_eq!(rollouts.ends(&Places { vector_step: &[0, 1, 2, 3, 4], round: None }), [2, 4]);
        let mut rounds = Batcher::new(Granularity::Round);
        assert_eq!(rounds.ends(&Places { vector_step: &[0, 1, 2], round: Some(&[1, 1, 2]) }), [2]);
        assert_eq!(
            Batcher::new(Granularity::Row).ends(&Places { vector_step: &[0, 0], round: None }),
            [1, 2]
        );
    }
}
