//! Games in order of their keys, and the row runs of each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::super::error::{Problem, RecordError};
use super::alignment::{AlignmentCache, OpenPlayers, SlotAlignment};
use super::encoding::Layout;
use super::options::CoalitionOptions;
use super::part::{DecodedPart, KeySet, RowRun};
use crate::attribution::coalition::{WORD_BITS, contains};
use crate::attribution::{GameKey, natural_order};

/// Which row run of which part.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RowRunPlace {
    pub(super) part: u32,
    pub(super) row_run: u32,
}

/// Games in order of key.
#[derive(Debug)]
pub(super) struct GameIndex {
    pub(super) games: Vec<IndexedGame>,
    /// Row runs of all games, one game after the other.
    pub(super) row_runs: Vec<RowRunPlace>,
    pub(super) n_rows: u64,
}

#[derive(Debug)]
pub(super) struct IndexedGame {
    pub(super) key: GameKey,
    /// Its row runs among those of all games.
    pub(super) row_runs: Range<usize>,
    pub(super) alignment: SlotAlignment,
    /// Alignments of row runs in another layout, by (part, layout within the part).
    others: BTreeMap<(u32, u32), SlotAlignment>,
}

impl IndexedGame {
    pub(super) fn alignment_of(&self, part: u32, layout: u32) -> &SlotAlignment {
        self.others.get(&(part, layout)).unwrap_or(&self.alignment)
    }
}

impl GameIndex {
    /// Puts the row runs of all parts in order of game.
    pub(super) fn build(
        parts: &[DecodedPart],
        file_names: &[String],
        options: &CoalitionOptions,
    ) -> Result<Self, RecordError> {
        let keys = AllKeys::of(parts);
        if keys.keys.is_empty() {
            return Err(RecordError::file(file_names.first().cloned().unwrap_or_default(), Problem::NoRows));
        }
        let sorted = keys.sort_row_runs(parts);
        let keys = keys.keys;
        let runs = players_of_runs(parts);
        let unknown = RunPlayers::default();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|a, b| keys[*a].cmp(&keys[*b]));
        let mut alignments = AlignmentCache::new(options.slots.clone());
        let mut games = Vec::with_capacity(keys.len());
        for index in order {
            let place = sorted.starts[index]..sorted.starts[index + 1];
            let players = runs.get(&keys[index].run_id).unwrap_or(&unknown);
            games.push(align_game(
                &keys[index],
                parts,
                (place.clone(), &sorted.row_runs[place]),
                players,
                &mut alignments,
                file_names,
            )?);
        }
        let n_rows = parts.iter().flat_map(|part| &part.row_runs).map(|run| u64::from(run.len)).sum();
        Ok(Self { games, row_runs: sorted.row_runs, n_rows })
    }
}

impl GameIndex {
    /// Games whose rows come from more than one file.
    pub(super) fn games_over_files(&self, parts: &[DecodedPart]) -> usize {
        let file = |place: &RowRunPlace| parts[place.part as usize].file;
        let is_spread = |game: &&IndexedGame| {
            let row_runs = &self.row_runs[game.row_runs.clone()];
            row_runs.iter().any(|place| file(place) != file(&row_runs[0]))
        };
        self.games.iter().filter(is_spread).count()
    }
}

/// Distinct keys of all parts.
struct AllKeys {
    keys: KeySet,
    /// For each part, the place of each of its keys among all.
    of_parts: Vec<Vec<u32>>,
}

/// Row runs by key: those of key k are `row_runs[starts[k]..starts[k + 1]]`, in file order.
struct SortedRowRuns {
    starts: Vec<usize>,
    row_runs: Vec<RowRunPlace>,
}

impl AllKeys {
    fn of(parts: &[DecodedPart]) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut keys = KeySet::default();
        let of_parts = (parts.iter())
            .map(|part| part.keys.iter().map(|key| narrow(keys.insert_full(key.clone()).0)).collect())
            .collect();
        Self { keys, of_parts }
    }

    /// Counting sort of row runs by key: first by number of row runs, then into place.
    fn sort_row_runs(&self, parts: &[DecodedPart]) -> SortedRowRuns {
        let n_keys = self.keys.len();
        let mut starts = vec![0usize; n_keys + 1];
        for (part, places) in parts.iter().zip(&self.of_parts) {
            for run in &part.row_runs {
                starts[places[run.key as usize] as usize + 1] += 1;
            }
        }
        for i in 0..n_keys {
            starts[i + 1] += starts[i];
        }
        let mut row_runs = vec![RowRunPlace::default(); starts[n_keys]];
        let mut next = starts.clone();
        for (part_index, (part, places)) in parts.iter().zip(&self.of_parts).enumerate() {
            for (run_index, run) in part.row_runs.iter().enumerate() {
                let key = places[run.key as usize] as usize;
                row_runs[next[key]] = RowRunPlace {
                    part: u32::try_from(part_index).unwrap_or(u32::MAX),
                    row_run: u32::try_from(run_index).unwrap_or(u32::MAX),
                };
                next[key] += 1;
            }
        }
        SortedRowRuns { starts, row_runs }
    }
}

/// What the rows of each run say together about its players.
#[derive(Default)]
struct RunPlayers {
    /// Union of its bare masks.
    union: u64,
    /// Names that some row switches on, in natural order.
    seen: Vec<String>,
}

fn players_of_runs(parts: &[DecodedPart]) -> BTreeMap<Arc<str>, RunPlayers> {
    let mut runs: BTreeMap<Arc<str>, RunPlayers> = BTreeMap::new();
    for part in parts {
        for (key, union) in part.keys.iter().zip(&part.unions) {
            if !runs.contains_key(&key.run_id) {
                runs.insert(Arc::clone(&key.run_id), RunPlayers::default());
            }
            let Some(players) = runs.get_mut(&key.run_id) else { continue };
            match part.layouts.first() {
                Some(Layout::Seen(names)) => {
                    let is_on = |place: &usize| contains(union, *place);
                    players.seen.extend((0..names.len()).filter(is_on).map(|place| names[place].clone()));
                }
                _ => players.union |= union.first().copied().unwrap_or(0),
            }
        }
    }
    for players in runs.values_mut() {
        players.seen.sort_by(|a, b| natural_order(a, b));
        players.seen.dedup();
    }
    runs
}

/// A game from its row runs, which all name the same players.
fn align_game(
    key: &GameKey,
    parts: &[DecodedPart],
    (place, row_runs): (Range<usize>, &[RowRunPlace]),
    run: &RunPlayers,
    alignments: &mut AlignmentCache,
    file_names: &[String],
) -> Result<IndexedGame, RecordError> {
    let open = OpenPlayers { width: WORD_BITS - run.union.leading_zeros() as usize, seen: &run.seen };
    let at = |place: &RowRunPlace| -> (&DecodedPart, RowRun) {
        let part = &parts[place.part as usize];
        (part, part.row_runs[place.row_run as usize])
    };
    let (first_part, first_run) = at(&row_runs[0]);
    let first_layout = &first_part.layouts[first_run.layout as usize];
    let alignment = alignments.align(first_layout, open);
    if alignment.players.is_empty() {
        let file = &file_names[first_part.file as usize];
        return Err(RecordError::file(file, Problem::NoPlayers(key.to_string())));
    }
    let mut others = BTreeMap::new();
    let mut last: Option<(u32, u32)> = None;
    for place in row_runs {
        let (part, run) = at(place);
        let here = (place.part, run.layout);
        if last.replace(here) == Some(here) {
            continue;
        }
        let layout = &part.layouts[run.layout as usize];
        if layout == first_layout || others.contains_key(&here) {
            continue;
        }
        let other = alignments.align(layout, open);
        if other.players != alignment.players {
            return Err(RecordError {
                file: file_names[part.file as usize].clone(),
                row: Some(part.first_row + u64::from(run.start)),
                column: None,
                problem: Problem::SlotsDiffer {
                    game: key.to_string(),
                    found: other.players.len(),
                    found_ids: other.players.to_vec(),
                    expected: alignment.players.len(),
                    expected_ids: alignment.players.to_vec(),
                },
            });
        }
        others.insert(here, other);
    }
    Ok(IndexedGame { key: key.clone(), row_runs: place, alignment, others })
}
