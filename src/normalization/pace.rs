//! How a run went in time: its vector steps and its episodes.

use serde::{Deserialize, Serialize};

/// How long a run was.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// Vector steps.
    pub vector_steps: u64,
    /// Episodes of an environment, on average; 0 or 1 where there is nothing to tell them apart by.
    pub episodes: f64,
}

impl Pace {
    /// What an episode has of so much in all; `None` where there are no episodes to speak of.
    pub(super) fn per_episode(self, whole: f64) -> Option<f64> {
        (self.episodes > 1.0).then(|| whole / self.episodes)
    }
}

/// Counts episodes in rows that come in order of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EpisodeCount {
    /// Episode of each environment's first row; `None` where it has none.
    first: Vec<Option<i64>>,
    /// Episode of each environment's last row; `None` where that was its end.
    current: Vec<Option<i64>>,
    n: u64,
}

impl EpisodeCount {
    /// None so far, in so many environments.
    pub fn new(n_environments: usize) -> Self {
        Self { first: vec![None; n_environments], current: vec![None; n_environments], n: 0 }
    }

    /// Counts the episodes that begin among rows: environment and episode of each, and whether it was its last where
    /// that was recorded.
    pub fn add(&mut self, lanes: &[u32], episodes: &[i64], ended: Option<&[bool]>) {
        for (row, (lane, episode)) in lanes.iter().zip(episodes).enumerate() {
            self.first[*lane as usize].get_or_insert(*episode);
            let current = &mut self.current[*lane as usize];
            if *current != Some(*episode) {
                self.n += 1;
            }
            *current = if ended.is_some_and(|ended| ended[row]) { None } else { Some(*episode) };
        }
    }

    /// Adds what was counted in the rows that follow, of the same environments.
    pub fn join(&mut self, later: &Self) {
        self.n += later.n;
        for (lane, first) in later.first.iter().enumerate().filter(|(_, first)| first.is_some()) {
            // An episode that goes on was counted twice.
            if self.current[lane] == *first {
                self.n -= 1;
            }
            self.first[lane] = self.first[lane].or(*first);
            self.current[lane] = later.current[lane];
        }
    }

    /// Of a run of so many vector steps: episodes are those of an environment, on average.
    pub fn pace(&self, vector_steps: u64) -> Pace {
        Pace { vector_steps, episodes: self.n as f64 / self.current.len().max(1) as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn episodes_are_told_by_their_number_and_by_their_ends() {
        let mut count = EpisodeCount::new(2);
        count.add(&[0, 1, 0, 1], &[0, 0, 1, 0], None);
        assert_eq!(count.pace(2), Pace { vector_steps: 2, episodes: 1.5 });
        // The episode of a block goes on in the next; an end without another number counts too.
        count.add(&[0, 1, 0, 1], &[1, 0, 1, 0], Some(&[true, false, false, false]));
        assert_eq!(count.pace(4).episodes, 2.0);
        assert_eq!(count.pace(4).per_episode(8.0), Some(4.0));
        assert_eq!(EpisodeCount::default().pace(4).per_episode(8.0), None);
    }

    #[test]
    fn what_was_counted_apart_is_what_is_counted_together() {
        let lanes = [0u32, 1, 0, 2, 1, 0, 0, 2, 1];
        let episodes = [0i64, 0, 0, 5, 1, 0, 1, 5, 1];
        let ended = [false, true, false, false, true, true, false, false, false];
        let count = |range: std::ops::Range<usize>| {
            let mut count = EpisodeCount::new(3);
            count.add(&lanes[range.clone()], &episodes[range.clone()], Some(&ended[range]));
            count
        };
        let whole = count(0..9);
        for cut in 0..=9 {
            for second in cut..=9 {
                let mut joined = count(0..cut);
                joined.join(&count(cut..second));
                joined.join(&count(second..9));
                assert_eq!((joined.n, &joined.current), (whole.n, &whole.current), "{cut}, {second}");
            }
        }
    }
}
