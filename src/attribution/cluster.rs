//! Games grouped into independent units: the only place where games are clustered.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GameKey;
use crate::stats::pairwise_sum;

/// What counts as one independent unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cluster {
    /// Every game for itself.
    Game,
    /// One (run, episode): its games are averaged first.
    Episode,
    /// One run: its games are averaged first.
    Run,
}

/// Which independent unit is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClusterRequest {
    /// The run where there are at least two of them, else the episode.
    Auto,
    /// Every game for itself.
    Game,
    /// One (run, episode).
    Episode,
    /// One run.
    Run,
}

impl ClusterRequest {
    /// The unit used for games of these keys.
    ///
    /// Episodes of one training run share its seed, its data order and its history: they are not independent draws
    /// of what another run would show, so two runs are enough to make the run the unit.
    pub fn of<'a>(self, keys: impl IntoIterator<Item = &'a GameKey>) -> Cluster {
        match self {
            Self::Auto if n_runs(keys) >= 2 => Cluster::Run,
            Self::Auto | Self::Episode => Cluster::Episode,
            Self::Game => Cluster::Game,
            Self::Run => Cluster::Run,
        }
    }
}

impl From<Cluster> for ClusterRequest {
    fn from(cluster: Cluster) -> Self {
        match cluster {
            Cluster::Game => Self::Game,
            Cluster::Episode => Self::Episode,
            Cluster::Run => Self::Run,
        }
    }
}

/// Number of runs behind games.
pub fn n_runs<'a>(keys: impl IntoIterator<Item = &'a GameKey>) -> usize {
    keys.into_iter().map(|key| &*key.run_id).collect::<BTreeSet<&str>>().len()
}

impl Cluster {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Game => "game",
            Self::Episode => "episode",
            Self::Run => "run",
        }
    }

    /// Name of the unit that a game belongs to: the run, or a path below it.
    pub fn unit_name(self, key: &GameKey) -> String {
        let GameKey { group: _, run_id, episode, env_id, batch } = key;
        match self {
            Self::Run => run_id.to_string(),
            Self::Episode => format!("{run_id}/{episode}"),
            Self::Game => {
                let batch = batch.map_or_else(String::new, |batch| format!("/{batch}"));
                format!("{run_id}/{episode}/{env_id}{batch}")
            }
        }
    }

    /// Whether two games belong to one unit.
    pub(super) fn joins(self, a: &GameKey, b: &GameKey) -> bool {
        let same_run = || Arc::ptr_eq(&a.run_id, &b.run_id) || a.run_id == b.run_id;
        match self {
            Self::Game => false,
            Self::Episode => a.episode == b.episode && same_run(),
            Self::Run => same_run(),
        }
    }
}

/// A game and the number of its independent unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClusteredGame {
    /// The game, by its place among those given.
    pub(super) game: usize,
    /// Its unit.
    pub(super) unit: usize,
    /// Its (run, episode), by number.
    pub(super) episode: usize,
}

/// Games in order of key with the numbers of their units.
pub(super) fn clustered(keys: &[&GameKey], cluster: Cluster) -> Vec<ClusteredGame> {
    let mut order: Vec<ClusteredGame> =
        (0..keys.len()).map(|game| ClusteredGame { game, unit: 0, episode: 0 }).collect();
    if !keys.is_sorted() {
        order.sort_by(|a, b| keys[a.game].cmp(keys[b.game]));
    }
    for place in 1..order.len() {
        let (before, game) = (order[place - 1], order[place].game);
        let starts = |cluster: Cluster| usize::from(!cluster.joins(keys[before.game], keys[game]));
        order[place].unit = before.unit + starts(cluster);
        order[place].episode = before.episode + starts(Cluster::Episode);
    }
    order
}

/// One independent unit's mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitMean {
    /// A game of the unit, by its place among the games summarised: it names the unit.
    pub game: usize,
    /// Mean over the unit's games.
    pub mean: f64,
}

/// Means over each unit of one number per game; games without it do not count.
pub fn unit_means(games: &[(&GameKey, Option<f64>)], cluster: Cluster) -> Vec<UnitMean> {
    let keys: Vec<&GameKey> = games.iter().map(|(key, _)| *key).collect();
    let mut averager = UnitAverager::default();
    for ClusteredGame { game, unit, .. } in clustered(&keys, cluster) {
        if let Some(value) = games[game].1 {
            averager.push(unit, game, value);
        }
    }
    averager.finish()
}

/// Averages values unit by unit; they come in order of unit.
#[derive(Default)]
pub(super) struct UnitAverager {
    /// Unit under way, a game of it, and its values so far.
    unit: usize,
    game: usize,
    values: Vec<f64>,
    means: Vec<UnitMean>,
    n_values: u64,
}

impl UnitAverager {
    pub(super) fn push(&mut self, unit: usize, game: usize, value: f64) {
        if unit != self.unit {
            self.close_unit();
            self.unit = unit;
        }
        self.game = game;
        self.values.push(value);
        self.n_values += 1;
    }

    /// Values pushed.
    pub(super) fn n_values(&self) -> u64 {
        self.n_values
    }

    fn close_unit(&mut self) {
        if !self.values.is_empty() {
            let mean = pairwise_sum(&self.values) / self.values.len() as f64;
            self.means.push(UnitMean { game: self.game, mean });
            self.values.clear();
        }
    }

    pub(super) fn finish(mut self) -> Vec<UnitMean> {
        self.close_unit();
        self.means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(run: &str, episode: i64) -> GameKey {
        GameKey { group: Arc::default(), run_id: Arc::from(run), episode, env_id: 0, batch: None }
    }

    #[test]
    fn two_runs_make_the_run_the_unit() {
        let one = [key("a", 0), key("a", 1)];
        let two = [key("a", 0), key("b", 0)];
        assert_eq!(ClusterRequest::Auto.of(&one), Cluster::Episode);
        assert_eq!(ClusterRequest::Auto.of(&two), Cluster::Run);
        assert_eq!(ClusterRequest::Episode.of(&two), Cluster::Episode);
        assert_eq!(ClusterRequest::Auto.of(&[]), Cluster::Episode);
    }
}
