//! Runs that hold the same values row by row: the same data read twice, most likely.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::recording::CoalitionRecording;

/// What two runs with the same rows share.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Outline {
    n_games: usize,
    /// Rows of the first game, whatever their order.
    first: u64,
}

impl CoalitionRecording {
    /// The first two runs that hold the same values in all their games, as two spellings of one file do.
    ///
    /// Runs of other numbers of games, or with another first game, cost no more than a look at that.
    pub fn twin_runs(&self) -> Option<(String, String)> {
        let mut runs: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for game in 0..self.n_games() {
            runs.entry(&self.key(game).run_id).or_default().push(game);
        }
        if runs.len() < 2 {
            return None;
        }
        let mut earlier: BTreeMap<Outline, Vec<(&str, &Vec<usize>)>> = BTreeMap::new();
        let contents = |games: &[usize]| games.iter().map(|game| self.contents(*game)).collect::<Vec<_>>();
        for (run, games) in &runs {
            let outline = Outline { n_games: games.len(), first: self.contents(games[0]) };
            let alike = earlier.entry(outline).or_default();
            if let Some((twin, _)) = alike.iter().find(|(_, others)| contents(others) == contents(games)) {
                return Some(((*twin).to_owned(), (*run).to_owned()));
            }
            alike.push((run, games));
        }
        None
    }

    /// A number of everything that each run holds: the same for runs that hold the same.
    pub fn run_contents(&self) -> Vec<(String, u64)> {
        let mut runs: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for game in 0..self.n_games() {
            runs.entry(&self.key(game).run_id).or_default().push(self.contents(game));
        }
        let number = |games: Vec<u64>| {
            let mut hasher = DefaultHasher::new();
            games.hash(&mut hasher);
            hasher.finish()
        };
        runs.into_iter().map(|(run, games)| (run.to_owned(), number(games))).collect()
    }

    /// A number of the rows of a game that does not depend on their order, nor on the run they are of. Games of one value
    /// throughout have nothing of their own, and get the number of their key.
    fn contents(&self, game: usize) -> u64 {
        let key = self.key(game);
        let of_key = {
            let mut hasher = DefaultHasher::new();
            (key.episode, key.env_id, key.batch, &key.group).hash(&mut hasher);
            hasher.finish()
        };
        let (mut sum, mut first, mut varies) = (of_key, None, false);
        self.each_row(game, |row| {
            let values: Vec<u64> = row.values.map(f64::to_bits).collect();
            let mut hasher = DefaultHasher::new();
            (&row.mask[..], &values).hash(&mut hasher);
            sum = sum.wrapping_add(hasher.finish());
            varies |= first.as_ref().is_some_and(|first| *first != values);
            first.get_or_insert(values);
        });
        if varies {
            return sum;
        }
        let mut hasher = DefaultHasher::new();
        (&key.run_id, of_key).hash(&mut hasher);
        hasher.finish()
    }
}
