//! What the games of a recording come to, before they become statements over units: the seam between the work on single
//! games, which any machine can do, and what is said of all of them.
//!
//! One machine and many go the same way: games are measured, and documents are made of what was found. Of many machines
//! what each found is put together first, in order of the games' keys, so that nothing after it can tell the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::MergeError;
use crate::attribution::{AblationResult, GameKey, GameResult, InteractionResult};
use crate::results::{InputCounts, ShapleyInput, Skipped};

/// What one game came to.
pub trait GameOutcome {
    /// Which game.
    fn key(&self) -> &GameKey;
    /// Shares what it has in common with games before it: a million games need not each name their slots.
    fn share(&mut self, known: &mut Shared);
}

/// Names that many games have in common.
#[derive(Debug, Default)]
pub struct Shared {
    texts: BTreeSet<Arc<str>>,
    lists: BTreeSet<Arc<[String]>>,
    ablation_terms: BTreeSet<Arc<[crate::attribution::AblationTerm]>>,
    interaction_terms: BTreeSet<Arc<[crate::attribution::Term]>>,
}

fn shared<T: Ord + ?Sized>(known: &mut BTreeSet<Arc<T>>, own: &mut Arc<T>) {
    match known.get(own) {
        Some(other) => *own = Arc::clone(other),
        None => drop(known.insert(Arc::clone(own))),
    }
}

impl Shared {
    fn key(&mut self, key: &mut GameKey) {
        shared(&mut self.texts, &mut key.run_id);
        shared(&mut self.lists, &mut key.group);
    }
}

impl GameOutcome for GameResult {
    fn key(&self) -> &GameKey {
        &self.key
    }

    fn share(&mut self, known: &mut Shared) {
        known.key(&mut self.key);
        shared(&mut known.lists, &mut self.slot_ids);
    }
}

impl GameOutcome for AblationResult {
    fn key(&self) -> &GameKey {
        &self.key
    }

    fn share(&mut self, known: &mut Shared) {
        known.key(&mut self.key);
        shared(&mut known.ablation_terms, &mut self.terms);
    }
}

impl GameOutcome for InteractionResult {
    fn key(&self) -> &GameKey {
        &self.key
    }

    fn share(&mut self, known: &mut Shared) {
        known.key(&mut self.key);
        shared(&mut known.interaction_terms, &mut self.terms);
    }
}

/// What the games of a recording come to.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundGames<R> {
    /// Value columns asked for, each with every game.
    pub columns: Vec<ColumnGames<R>>,
    /// Players that flags name and no game has.
    pub unmatched: Unmatched,
    /// What there is to know of the recording itself.
    pub recording: RecordingFacts,
}

/// The games of one value column.
#[derive(Debug, Serialize, Deserialize)]
pub struct ColumnGames<R> {
    /// The column.
    pub name: String,
    /// Games with a result, in order of their keys.
    pub games: Vec<R>,
    /// Games that have none and are left out.
    pub left_out: Vec<GameKey>,
}

/// The games of one value column and one group: what one document is about.
#[derive(Debug)]
pub struct GroupGames<R> {
    /// Games with a result, in order of their keys.
    pub results: Vec<R>,
    /// Games that are left out.
    pub n_left_out: u64,
}

/// Patterns and names that fit no game.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// Patterns of groups, `GLOB=NAME`.
    pub groups: Vec<String>,
    /// Players of a partition.
    pub players: Vec<String>,
}

/// What there is to know of a recording of games besides its games.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordingFacts {
    /// Files read.
    pub files: usize,
    /// Rows used.
    pub rows: u64,
    /// What was left out.
    pub skipped: Skipped,
    /// Whether some rows do not name their slots.
    pub has_unnamed_slots: bool,
    /// Slots as rows list them, each with the game that has it first; `None` where rows list only those that are on.
    pub listed: Option<Vec<ListedSlots>>,
    /// What each run holds, where runs of several tasks are to be compared.
    pub runs: Vec<RunContents>,
}

/// Slots that a game is the first to list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSlots {
    /// The game.
    pub game: GameKey,
    /// The slots.
    pub slots: Vec<String>,
}

/// A number of everything that a run holds, the same for runs that hold the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunContents {
    /// The run.
    pub run_id: String,
    /// The number.
    pub contents: u64,
}

impl RecordingFacts {
    /// What was read, for the document, with games left out for want of a value.
    pub fn input(&self, n_games_left_out: u64) -> ShapleyInput {
        let counts = InputCounts { files: self.files, rows: self.rows };
        ShapleyInput::new(counts, &self.skipped, n_games_left_out)
    }

    /// Slots as the recording lists them, each once.
    pub fn slots_as_listed(&self) -> Option<Vec<String>> {
        let mut listed: Vec<&ListedSlots> = self.listed.as_ref()?.iter().collect();
        listed.sort_by(|a, b| a.game.cmp(&b.game));
        let mut known = BTreeSet::new();
        let slots = listed.into_iter().flat_map(|own| &own.slots);
        Some(slots.filter(|slot| known.insert(slot.as_str())).cloned().collect())
    }

    /// Two runs that hold the same, if there are such.
    pub fn twins(&self) -> Option<(&str, &str)> {
        let mut runs: Vec<&RunContents> = self.runs.iter().collect();
        runs.sort_by(|a, b| a.run_id.cmp(&b.run_id));
        let mut earlier: BTreeMap<u64, &str> = BTreeMap::new();
        runs.into_iter().find_map(|run| match earlier.get(&run.contents) {
            Some(twin) if *twin != run.run_id => Some((*twin, run.run_id.as_str())),
            Some(_) => None,
            None => {
                earlier.insert(run.contents, &run.run_id);
                None
            }
        })
    }

    /// Adds what another task read: nothing is counted twice where it `counts_again` what this one counted.
    fn add(&mut self, other: Self, how: Counted) {
        if how.is_first_reading {
            self.files += other.files - how.files_known.min(other.files);
            self.rows += other.rows;
            for (reason, n) in other.skipped.rows {
                *self.skipped.rows.entry(reason).or_default() += n;
            }
            for (reason, n) in other.skipped.files {
                *self.skipped.files.entry(reason).or_default() += n;
            }
        }
        self.has_unnamed_slots |= other.has_unnamed_slots;
        self.listed = match (self.listed.take(), other.listed) {
            (Some(mut own), Some(other)) => {
                own.extend(other);
                Some(own)
            }
            _ => None,
        };
        self.runs.extend(other.runs);
    }
}

/// How the rows of a task count beside those of the tasks before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Whether no task before it read the same rows, of which it took other games.
    pub is_first_reading: bool,
    /// Its files that a task before it read other rows of.
    pub files_known: usize,
}

impl<R> ColumnGames<R>
where
    R: GameOutcome,
{
    /// The games by group, in order of their keys.
    pub fn into_groups(self) -> Vec<GroupGames<R>> {
        let is_one_group = self.games.windows(2).all(|pair| pair[0].key().group == pair[1].key().group);
        if is_one_group && self.left_out.is_empty() && !self.games.is_empty() {
            return vec![GroupGames { results: self.games, n_left_out: 0 }];
        }
        let mut groups: BTreeMap<Arc<[String]>, GroupGames<R>> = BTreeMap::new();
        let empty = || GroupGames { results: Vec::new(), n_left_out: 0 };
        for key in &self.left_out {
            groups.entry(Arc::clone(&key.group)).or_insert_with(empty).n_left_out += 1;
        }
        for game in self.games {
            groups.entry(Arc::clone(&game.key().group)).or_insert_with(empty).results.push(game);
        }
        groups.into_values().collect()
    }
}

impl<R: GameOutcome> FoundGames<R> {
    /// Puts together what tasks found, whatever their order.
    ///
    /// # Errors
    /// Tasks that looked at other columns, and games that two of them have.
    pub fn merged(parts: impl Iterator<Item = (Counted, Self)>) -> Result<Option<Self>, MergeError> {
        let mut whole: Option<Self> = None;
        let mut known = Shared::default();
        for (counted, mut part) in parts {
            part.columns.iter_mut().for_each(|column| {
                column.games.iter_mut().for_each(|game| game.share(&mut known));
            });
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => whole.add(part, counted)?,
            }
        }
        if let Some(whole) = &mut whole {
            whole.columns.iter_mut().try_for_each(ColumnGames::sort)?;
        }
        Ok(whole)
    }

    /// The same with files that were left out before any task read one.
    #[must_use]
    pub fn with_skipped_files(mut self, files: BTreeMap<String, u64>) -> Self {
        for (reason, n) in files {
            *self.recording.skipped.files.entry(reason).or_default() += n;
        }
        self
    }

    fn add(&mut self, other: Self, counted: Counted) -> Result<(), MergeError> {
        let names = |columns: &[ColumnGames<R>]| {
            columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>().join(", ")
        };
        if self.columns.len() != other.columns.len()
            || self.columns.iter().zip(&other.columns).any(|(own, other)| own.name != other.name)
        {
            return Err(MergeError::OtherColumns(names(&self.columns), names(&other.columns)));
        }
        for (own, other) in self.columns.iter_mut().zip(other.columns) {
            own.games.extend(other.games);
            own.left_out.extend(other.left_out);
        }
        // Only what fits no game of any task fits none.
        self.unmatched.groups.retain(|group| other.unmatched.groups.contains(group));
        self.unmatched.players.retain(|player| other.unmatched.players.contains(player));
        self.recording.add(other.recording, counted);
        Ok(())
    }
}

impl<R: GameOutcome> ColumnGames<R> {
    fn sort(&mut self) -> Result<(), MergeError> {
        // Shared parts of keys are compared once for each game, not once for each comparison.
        self.games.sort_by(|a, b| a.key().cmp(b.key()));
        self.left_out.sort();
        let doubled = self.games.windows(2).find(|pair| pair[0].key() == pair[1].key());
        let doubled = doubled.map(|pair| pair[0].key().clone());
        let left_out = self.left_out.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone());
        match doubled.or(left_out) {
            Some(key) => Err(MergeError::DoubledGame(key.to_string())),
            None => Ok(()),
        }
    }
}
