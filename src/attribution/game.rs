//! A cooperative game as it was recorded: players, coalition values, their noise, recorded walks.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::coalition::{self, CoalitionIndex};
use super::noise::Noise;
use super::repeats::{GatheredRepeats, KeptValues};

/// Up to this many players a game's rows are gathered in an array of all coalitions.
const DENSE_PLAYERS: usize = 28;

/// Which game: one (group, run, episode, environment, batch).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GameKey {
    /// Values of the columns that make groups, `NAME=VALUE` each; empty without groups.
    pub group: Arc<[String]>,
    /// The run.
    pub run_id: Arc<str>,
    /// The episode within the run.
    pub episode: i64,
    /// The environment.
    pub env_id: i64,
    /// The batch or epoch, where recorded.
    pub batch: Option<i64>,
}

impl std::fmt::Display for GameKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in &*self.group {
            write!(f, "{part}, ")?;
        }
        write!(f, "run {}, episode {}, env {}", self.run_id, self.episode, self.env_id)?;
        self.batch.map_or(Ok(()), |batch| write!(f, ", batch {batch}"))
    }
}

/// What to do with several rows for one coalition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repeats {
    /// They are repeated noisy evaluations: the mean is the value, the spread its noise.
    Mean,
    /// They are a mistake.
    Error,
    /// The first row counts.
    First,
    /// The last row counts.
    Last,
}

#[derive(Debug, Clone)]
enum Storage {
    /// All 2^n values, by mask.
    Complete(Vec<f64>),
    /// Distinct coalitions in ascending order.
    Sparse { masks: Vec<u64>, values: Vec<f64>, index: CoalitionIndex },
}

/// The recorded coalition values of one game.
///
/// Coalitions are distinct and values finite; a table that holds all 2^n coalitions is an array indexed by mask.
#[derive(Debug, Clone)]
pub struct CoalitionTable {
    n_players: usize,
    storage: Storage,
    noise: Option<Noise>,
    n_rows: u64,
    n_copies: u64,
}

/// A coalition recorded twice although repeats were forbidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedCoalition(pub Vec<u64>);

impl CoalitionTable {
    /// Gathers rows `(mask, value)` of single-word masks in recorded order.
    ///
    /// # Errors
    /// [`RepeatedCoalition`] under [`Repeats::Error`].
    ///
    /// # Panics
    /// If a mask has a bit beyond `n_players` or `n_players` exceeds 64: the reader aligned them.
    pub fn from_rows(
        n_players: usize,
        n_rows: usize,
        rows: impl Iterator<Item = (u64, f64)>,
        repeats: Repeats,
    ) -> Result<Self, RepeatedCoalition> {
        let mut builder = CoalitionTableBuilder::new(n_players, n_rows, repeats);
        builder.extend(rows)?;
        builder.finish()
    }

    /// Gathers rows of wide masks: `masks` holds [`coalition::words_for`]`(n_players)` words per value.
    ///
    /// # Errors
    /// [`RepeatedCoalition`] under [`Repeats::Error`].
    pub fn from_wide_rows(
        n_players: usize,
        masks: &[u64],
        values: &[f64],
        repeats: Repeats,
    ) -> Result<Self, RepeatedCoalition> {
        Self::gather_sparse(n_players, masks, values, repeats)
    }

    /// A complete noiseless table: `values[mask]` is the value of the coalition `mask`.
    ///
    /// # Panics
    /// If the length is not a power of two.
    pub fn complete(values: Vec<f64>) -> Self {
        assert!(values.len().is_power_of_two(), "a complete table has 2^n values");
        Self {
            n_players: values.len().trailing_zeros() as usize,
            n_rows: values.len() as u64,
            storage: Storage::Complete(values),
            noise: None,
            n_copies: 0,
        }
    }

    fn gather_sparse(
        n_players: usize,
        masks: &[u64],
        values: &[f64],
        repeats: Repeats,
    ) -> Result<Self, RepeatedCoalition> {
        let words = coalition::words_for(n_players);
        assert_eq!(masks.len(), values.len() * words, "one mask per value");
        let mask_of = |row: usize| &masks[row * words..(row + 1) * words];
        // Highest word first: ascending as one wide integer. Ties keep recorded order.
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| mask_of(*a).iter().rev().cmp(mask_of(*b).iter().rev()).then(a.cmp(b)));
        let mut distinct: Vec<u64> = Vec::with_capacity(masks.len());
        let mut means: Vec<f64> = Vec::with_capacity(values.len());
        let mut gathered: Option<GatheredRepeats> = None;
        for row in order {
            let mask = mask_of(row);
            let is_repeat = !means.is_empty() && &distinct[distinct.len() - words..] == mask;
            if !is_repeat {
                distinct.extend_from_slice(mask);
                means.push(values[row]);
                if let Some(gathered) = &mut gathered {
                    gathered.append(values[row]);
                }
                continue;
            }
            let position = means.len() - 1;
            match repeats {
                Repeats::Error => return Err(RepeatedCoalition(mask.to_vec())),
                Repeats::First => {}
                Repeats::Last => means[position] = values[row],
                Repeats::Mean => {
                    let mut mean = means[position];
                    gathered.get_or_insert_with(|| GatheredRepeats::of_values(&means)).push(
                        position,
                        &mut mean,
                        values[row],
                    );
                    means[position] = mean;
                }
            }
        }
        let KeptValues { values: means, noise, n_copies } = KeptValues::of(means, gathered);
        let n_rows = values.len() as u64;
        if n_players <= DENSE_PLAYERS && means.len() == 1 << n_players {
            return Ok(Self { n_players, storage: Storage::Complete(means), noise, n_rows, n_copies });
        }
        Ok(Self { n_copies, ..Self::sparse(n_players, distinct, means, noise, n_rows) })
    }

    fn sparse(
        n_players: usize,
        masks: Vec<u64>,
        values: Vec<f64>,
        noise: Option<Noise>,
        n_rows: u64,
    ) -> Self {
        let index = CoalitionIndex::new(&masks, coalition::words_for(n_players));
        Self { n_players, storage: Storage::Sparse { masks, values, index }, noise, n_rows, n_copies: 0 }
    }

    /// Number of players.
    pub fn n_players(&self) -> usize {
        self.n_players
    }

    /// Number of distinct coalitions recorded.
    pub fn n_coalitions(&self) -> usize {
        self.values().len()
    }

    /// Number of rows gathered, repeats included.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Rows left out because they are copies of an evaluation among fresh ones.
    pub fn n_copies(&self) -> u64 {
        self.n_copies
    }

    /// All 2^n values by mask, if every coalition was recorded.
    pub fn complete_values(&self) -> Option<&[f64]> {
        match &self.storage {
            Storage::Complete(values) => Some(values),
            Storage::Sparse { .. } => None,
        }
    }

    /// Values in ascending order of coalition.
    pub fn values(&self) -> &[f64] {
        match &self.storage {
            Storage::Complete(values) | Storage::Sparse { values, .. } => values,
        }
    }

    /// The recorded coalitions with their values in ascending order.
    pub fn rows(&self) -> impl Iterator<Item = (Vec<u64>, f64)> + '_ {
        let words = coalition::words_for(self.n_players);
        self.values().iter().enumerate().map(move |(position, value)| {
            let mask = match &self.storage {
                Storage::Complete(_) => vec![position as u64],
                Storage::Sparse { masks, .. } => masks[position * words..(position + 1) * words].to_vec(),
            };
            (mask, *value)
        })
    }

    /// Value of one coalition, if recorded.
    #[inline]
    pub fn value(&self, mask: &[u64]) -> Option<f64> {
        match &self.storage {
            Storage::Complete(values) => usize::try_from(mask[0]).ok().and_then(|m| values.get(m)).copied(),
            Storage::Sparse { masks, values, index } => index.position(masks, mask).map(|p| values[p]),
        }
    }

    /// Place of a coalition among [`CoalitionTable::values`], if recorded.
    pub(super) fn position(&self, mask: &[u64]) -> Option<usize> {
        match &self.storage {
            Storage::Complete(values) => usize::try_from(mask[0]).ok().filter(|m| *m < values.len()),
            Storage::Sparse { masks, index, .. } => index.position(masks, mask),
        }
    }

    /// The table of a game of `n_players` others: each recorded coalition under the name that `name_of` gives it, those without
    /// one left out. Names are distinct. Repeats go along.
    pub(super) fn mapped(&self, n_players: usize, name_of: impl Fn(&[u64]) -> Option<Vec<u64>>) -> Self {
        let mut named: Vec<(Vec<u64>, usize)> = (self.rows().enumerate())
            .filter_map(|(position, (mask, _))| Some((name_of(&mask)?, position)))
            .collect();
        named.sort_by(|a, b| a.0.iter().rev().cmp(b.0.iter().rev()));
        let values: Vec<f64> = named.iter().map(|(_, position)| self.values()[*position]).collect();
        let noise = self.noise.as_ref().map(|noise| Noise {
            counts: named.iter().map(|(_, position)| noise.counts[*position]).collect(),
            squares: named.iter().map(|(_, position)| noise.squares[*position]).collect(),
        });
        let n_rows = noise
            .as_ref()
            .map_or(values.len() as u64, |noise| noise.counts.iter().copied().map(u64::from).sum());
        if n_players <= DENSE_PLAYERS && values.len() == 1 << n_players {
            return Self {
                n_players,
                storage: Storage::Complete(values),
                noise,
                n_rows,
                n_copies: self.n_copies,
            };
        }
        let masks = named.into_iter().flat_map(|(mask, _)| mask).collect();
        Self { n_copies: self.n_copies, ..Self::sparse(n_players, masks, values, noise, n_rows) }
    }

    /// Greatest distance of a value from that of the empty coalition, or from the first where it is not recorded:
    /// the size that rounding is measured by.
    pub fn scale(&self) -> f64 {
        let origin = self.empty_value().or_else(|| self.values().first().copied()).unwrap_or(0.0);
        let mut lanes = [0.0f64; 8];
        let chunks = self.values().chunks_exact(8);
        let rest = chunks.remainder().iter().map(|value| (value - origin).abs()).fold(0.0, f64::max);
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane = lane.max((value - origin).abs());
            }
        }
        lanes.into_iter().fold(rest, f64::max)
    }

    /// Value of the empty coalition.
    pub fn empty_value(&self) -> Option<f64> {
        self.value(&vec![0; coalition::words_for(self.n_players)])
    }

    /// Value of the coalition of all players.
    pub fn full_value(&self) -> Option<f64> {
        self.value(&coalition::grand_coalition(self.n_players))
    }

    /// Spread of repeated evaluations, if any coalition has some.
    ///
    /// Repeats that agree to the bit (a deterministic evaluation written twice) carry no information on noise
    /// and count as none.
    pub fn noise(&self) -> Option<&Noise> {
        self.noise.as_ref().filter(|noise| noise.squares.iter().any(|squares| *squares > 0.0))
    }

    /// The first `limit` coalitions that were not recorded, in ascending order. Of 64 players and more only those
    /// within the first 64 players are looked at.
    pub fn missing(&self, limit: usize) -> Vec<u64> {
        let Storage::Sparse { masks, .. } = &self.storage else {
            return Vec::new();
        };
        if self.n_players > coalition::WORD_BITS - 1 {
            let is_missing = |mask: &u64| {
                let mut wide = vec![0; coalition::words_for(self.n_players)];
                wide[0] = *mask;
                self.value(&wide).is_none()
            };
            return (0..u64::MAX).filter(is_missing).take(limit).collect();
        }
        let mut missing = Vec::new();
        let mut next = 0u64;
        for mask in masks.iter().copied().chain([1 << self.n_players]) {
            while next < mask && missing.len() < limit {
                missing.push(next);
                next += 1;
            }
            next = mask + 1;
        }
        missing
    }
}

/// A table under construction: rows come in runs.
pub(crate) struct CoalitionTableBuilder {
    n_players: usize,
    repeats: Repeats,
    rows: BuilderRows,
}

enum BuilderRows {
    /// An array of all coalitions; NaN marks one not seen, for the reader lets no NaN through.
    Dense { values: Vec<f64>, repeats: Option<GatheredRepeats>, n_rows: u64, filled: usize },
    /// Rows as they came.
    Sparse { masks: Vec<u64>, values: Vec<f64> },
}

impl CoalitionTableBuilder {
    /// Prepares for about `n_rows` rows of single-word masks.
    pub(crate) fn new(n_players: usize, n_rows: usize, repeats: Repeats) -> Self {
        assert!(n_players <= coalition::WORD_BITS);
        let rows = if n_players <= DENSE_PLAYERS && n_rows >= (1usize << n_players) / 4 {
            BuilderRows::Dense { values: vec![f64::NAN; 1 << n_players], repeats: None, n_rows: 0, filled: 0 }
        } else {
            BuilderRows::Sparse { masks: Vec::with_capacity(n_rows), values: Vec::with_capacity(n_rows) }
        };
        Self { n_players, repeats, rows }
    }

    /// Adds a run of rows.
    #[inline]
    pub(crate) fn extend(&mut self, run: impl Iterator<Item = (u64, f64)>) -> Result<(), RepeatedCoalition> {
        match &mut self.rows {
            BuilderRows::Sparse { masks, values } => {
                for (mask, value) in run {
                    masks.push(mask);
                    values.push(value);
                }
            }
            BuilderRows::Dense { values, repeats, n_rows, filled } => {
                for (mask, value) in run {
                    *n_rows += 1;
                    let position = usize::try_from(mask).unwrap_or(usize::MAX);
                    let cell = &mut values[position];
                    if cell.is_nan() {
                        *cell = value;
                        *filled += 1;
                        if let Some(repeats) = repeats {
                            repeats.set(position, value);
                        }
                        continue;
                    }
                    match self.repeats {
                        Repeats::Error => return Err(RepeatedCoalition(vec![mask])),
                        Repeats::First => {}
                        Repeats::Last => *cell = value,
                        Repeats::Mean => {
                            let mut mean = values[position];
                            repeats
                                .get_or_insert_with(|| GatheredRepeats::of_values(values))
                                .push(position, &mut mean, value);
                            values[position] = mean;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The finished table.
    pub(crate) fn finish(self) -> Result<CoalitionTable, RepeatedCoalition> {
        let n_players = self.n_players;
        let (values, repeats, n_rows, filled) = match self.rows {
            BuilderRows::Sparse { masks, values } => {
                return CoalitionTable::gather_sparse(n_players, &masks, &values, self.repeats);
            }
            BuilderRows::Dense { values, repeats, n_rows, filled } => (values, repeats, n_rows, filled),
        };
        let KeptValues { values, noise, n_copies } = KeptValues::of(values, repeats);
        if filled == values.len() {
            return Ok(CoalitionTable {
                n_players,
                storage: Storage::Complete(values),
                noise,
                n_rows,
                n_copies,
            });
        }
        let seen: Vec<usize> = (0..values.len()).filter(|position| !values[*position].is_nan()).collect();
        let masks = seen.iter().map(|position| *position as u64).collect();
        let values = seen.iter().map(|position| values[*position]).collect();
        let noise = noise.map(|noise| Noise {
            counts: seen.iter().map(|position| noise.counts[*position]).collect(),
            squares: seen.iter().map(|position| noise.squares[*position]).collect(),
        });
        Ok(CoalitionTable { n_copies, ..CoalitionTable::sparse(n_players, masks, values, noise, n_rows) })
    }
}

/// One recorded permutation: players in order of joining and the n + 1 values from empty to full.
#[derive(Debug, Clone, PartialEq)]
pub struct Walk {
    /// The recorder's number of the permutation.
    pub perm: i64,
    /// Players in order of joining.
    pub order: Vec<usize>,
    /// Values of the n + 1 coalitions visited.
    pub values: Vec<f64>,
}

/// One recorded game.
#[derive(Debug, Clone)]
pub struct Game {
    /// Which game.
    pub key: GameKey,
    /// Slot ids; bit i of a coalition is player i.
    pub players: Arc<[String]>,
    /// Recorded values.
    pub table: CoalitionTable,
    /// Recorded permutations in ascending order of their number; empty if none were recorded.
    pub walks: Vec<Walk>,
    /// Recorded permutations left out because their rows do not walk from empty to full.
    pub n_bad_walks: usize,
}

#[cfg(test)]
mod tests {
    use super::super::noise::Degrees;
    use super::*;

    fn table(
        rows: &[(u64, f64)],
        n_players: usize,
        repeats: Repeats,
    ) -> Result<CoalitionTable, RepeatedCoalition> {
        CoalitionTable::from_rows(n_players, rows.len(), rows.iter().copied(), repeats)
    }

    #[test]
    fn repeats_follow_their_rule() {
        let rows = [(0, 1.0), (1, 2.0), (1, 4.0), (1, 9.0)];
        let value = |repeats| table(&rows, 1, repeats).expect("a table").value(&[1]);
        assert_eq!(value(Repeats::Mean), Some(5.0));
        assert_eq!(value(Repeats::First), Some(2.0));
        assert_eq!(value(Repeats::Last), Some(9.0));
        assert_eq!(table(&rows, 1, Repeats::Error).err(), Some(RepeatedCoalition(vec![1])));
    }

    #[test]
    fn dense_and_sparse_gathering_agree() {
        let rows = [(5, 1.0), (0, 2.0), (5, 3.0), (7, 0.5), (2, 4.0), (0, 2.5), (5, 5.0)];
        let dense = table(&rows, 3, Repeats::Mean).expect("a table");
        let (masks, values): (Vec<u64>, Vec<f64>) = rows.iter().copied().unzip();
        let sparse = CoalitionTable::from_wide_rows(3, &masks, &values, Repeats::Mean).expect("a table");
        assert_eq!(dense.rows().collect::<Vec<_>>(), sparse.rows().collect::<Vec<_>>());
        let (dense, sparse) = (dense.noise().expect("noise"), sparse.noise().expect("noise"));
        assert_eq!(dense.counts, sparse.counts);
        assert_eq!(dense.squares, sparse.squares);
        assert_eq!(dense.squares[2], 8.0, "1, 3, 5 about their mean 3");
    }

    #[test]
    fn missing_coalitions_are_named_in_order() {
        let table = table(&[(0, 0.0), (3, 1.0), (6, 1.0)], 3, Repeats::Mean).expect("a table");
        assert_eq!(table.missing(10), [1, 2, 4, 5, 7]);
        assert_eq!(table.missing(2), [1, 2]);
        assert_eq!(table.empty_value(), Some(0.0));
        assert_eq!(table.full_value(), None);
    }

    /// v(0) and v(3) are cached and written ten times over; v(1) was measured three times, v(2) once.
    #[test]
    fn copies_give_neither_degrees_nor_precision() {
        let copied = [0u64, 3].into_iter().flat_map(|mask| std::iter::repeat_n((mask, mask as f64), 10));
        let rows = copied.chain([(1, 1.0), (1, 2.0), (1, 3.0), (2, 0.5)]);
        let table = CoalitionTable::from_rows(2, 24, rows, Repeats::Mean).expect("a table");
        let noise = table.noise().expect("noise").mean_variances();
        assert!(matches!(noise.degrees, Degrees::Pooled(degrees) if degrees == 2.0), "{noise:?}");
        assert_eq!(noise.variances, [1.0, 1.0 / 3.0, 1.0, 1.0]);
    }

    #[test]
    fn identical_repeats_are_no_noise() {
        let table = table(&[(0, 0.1), (1, 0.7), (1, 0.7)], 1, Repeats::Mean).expect("a table");
        assert!(table.noise().is_none());
        assert_eq!(table.n_rows(), 3);
    }

    #[test]
    fn noise_is_pooled_when_some_coalition_has_one_row() {
        // Squares 2 and 8 over 1 + 1 degrees: 5 per row; halved for the means of two.
        let table = table(&[(0, 0.0), (1, 1.0), (1, 3.0), (2, 1.0), (2, 5.0), (3, 9.0)], 2, Repeats::Mean)
            .expect("a table");
        let variances = table.noise().expect("noise").mean_variances();
        assert_eq!(variances.variances, [5.0, 2.5, 2.5, 5.0]);
        assert!(matches!(variances.degrees, Degrees::Pooled(d) if d == 2.0));
    }
}
