//! Coalition rows of many files, served game by game.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::super::columns::Masks;
use super::super::error::{Problem, RecordError};
use super::super::schema::OnBad;
use super::super::skips::SkipReport;
use super::super::sources::InputFile;
use super::encoding::Layout;
use super::files::{CoalitionFiles, FileColumns};
use super::index::{GameIndex, IndexedGame};
use super::options::CoalitionOptions;
use super::part::{DecodedPart, ReadParts, RowRun, WalkColumns, read_parts};
use super::repeats;
use super::walks::{RecordedWalks, WalkRow, build_walk};
use crate::attribution::coalition::{WORD_BITS, describe, words_for};
use crate::attribution::{CoalitionTable, CoalitionTableBuilder, Game, GameKey, RepeatedCoalition, Repeats};
use crate::progress::Progress;

/// Missing coalitions named of each game.
const MISSING_NAMED: usize = 4;

/// Size and coverage of one game.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GameSummary {
    /// Which game.
    pub key: GameKey,
    /// Its slots.
    pub slot_ids: Arc<[String]>,
    /// Rows.
    pub n_rows: u64,
    /// Distinct coalitions.
    pub n_coalitions: usize,
    /// Whether all 2^n are there.
    pub is_complete: bool,
    /// Recorded permutations.
    pub n_walks: usize,
    /// Rows that repeat a coalition, walks not counted.
    pub n_repeated: u64,
    /// The first coalitions missing.
    pub missing: Vec<String>,
}

/// One recorded evaluation, its players in the order of its game.
pub struct CoalitionRowView<'a> {
    /// Players that are on.
    pub mask: Vec<u64>,
    /// Values, in order of the recording's.
    pub values: &'a mut dyn Iterator<Item = f64>,
    /// Permutation and position, where the row is part of a walk.
    pub walk: Option<(i64, i64)>,
}

/// Coalition rows of many files, indexed by game.
#[derive(Debug)]
pub struct CoalitionRecording {
    value_names: Vec<String>,
    file_names: Vec<String>,
    n_files: usize,
    parts: Vec<DecodedPart>,
    index: GameIndex,
    repeats: Repeats,
    on_bad: OnBad,
    skipped: SkipReport,
    notes: Vec<String>,
    has_unnamed_slots: bool,
    roles: BTreeMap<String, Vec<String>>,
}

impl CoalitionRecording {
    /// Reads the coalition rows of `files`; files of another kind are left aside with a note.
    ///
    /// # Errors
    /// The first problem in file and row order; under [`OnBad::Skip`] only problems that no row or file can be
    /// blamed for.
    pub fn read(
        files: &[InputFile],
        options: &CoalitionOptions,
        progress: &Progress,
    ) -> Result<Self, RecordError> {
        let mut skipped = SkipReport::default();
        let mut notes = Vec::new();
        let files = CoalitionFiles::open(files, options, &mut skipped, &mut notes)?;
        let ReadParts { parts, n_unread_files } = read_parts(&files, options, progress, &mut skipped)?;
        let file_names: Vec<String> = files.tables.iter().map(|table| table.name().to_owned()).collect();
        let index = GameIndex::build(&parts, &file_names, options)?;
        let n_spread = index.games_over_files(&parts);
        if n_spread > 0 {
            let games =
                if n_spread == 1 { "1 game come".to_owned() } else { format!("{n_spread} games come") };
            notes.push(format!("rows of {games} from several files"));
        }
        notes.extend(repeats::note(&files, &parts, &index, options)?);
        Ok(Self {
            value_names: files.value_names,
            n_files: file_names.len() - n_unread_files,
            file_names,
            parts,
            index,
            repeats: options.repeats,
            on_bad: options.on_bad,
            skipped,
            notes,
            roles: files.columns.first().map_or_else(BTreeMap::new, FileColumns::roles),
            has_unnamed_slots: files.columns.iter().any(|columns| !columns.encoding.names_slots()),
        })
    }

    /// Whether some file's rows do not name their slots, so that it is for the reader to name them.
    pub fn has_unnamed_slots(&self) -> bool {
        self.has_unnamed_slots
    }

    /// Columns of the first file by the role they are read in.
    pub fn roles(&self) -> &BTreeMap<String, Vec<String>> {
        &self.roles
    }

    /// Value columns read, in the order asked for.
    pub fn value_names(&self) -> &[String] {
        &self.value_names
    }

    /// Number of games.
    pub fn n_games(&self) -> usize {
        self.index.games.len()
    }

    /// Files read.
    pub fn n_files(&self) -> usize {
        self.n_files
    }

    /// Rows used.
    pub fn n_rows(&self) -> u64 {
        self.index.n_rows
    }

    /// What was left out.
    pub fn skipped(&self) -> &SkipReport {
        &self.skipped
    }

    /// Remarks for the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Key of game `index`, in order of (run, episode, env, batch).
    pub fn key(&self, index: usize) -> &GameKey {
        &self.index.games[index].key
    }

    /// Players of game `index`, in order.
    pub fn players(&self, index: usize) -> &[String] {
        &self.index.games[index].alignment.players
    }

    /// Slots as rows list them, each where it comes first, games in order of key, with the place of the game that is the
    /// first to list them; `None` where rows list only those that are on.
    pub fn slots_as_listed(&self) -> Option<Vec<(usize, Vec<String>)>> {
        let mut known = BTreeSet::new();
        let mut listed: Vec<(usize, Vec<String>)> = Vec::new();
        for (place, game) in self.index.games.iter().enumerate() {
            let mut own = Vec::new();
            let alignment = &game.alignment;
            // The alignment is that of the first row run.
            let (_, part, run) = self.row_runs(game).next()?;
            if matches!(part.layouts[run.layout as usize], Layout::Seen(_)) {
                return None;
            }
            for bit in 0..alignment.players.len() {
                let player = alignment.moves.as_ref().map_or(bit, |moves| moves[bit]);
                let name = &alignment.players[player];
                if known.insert(name) {
                    own.push(name.clone());
                }
            }
            if !own.is_empty() {
                listed.push((place, own));
            }
        }
        Some(listed)
    }

    /// Whether some game has a batch.
    pub fn has_batches(&self) -> bool {
        self.index.games.iter().any(|game| game.key.batch.is_some())
    }

    /// Whether some rows are of recorded permutations.
    pub fn has_walks(&self) -> bool {
        self.parts.iter().any(|part| part.walks.is_some())
    }

    /// Tells every row of game `index` as recorded.
    pub fn each_row(&self, index: usize, mut tell: impl FnMut(CoalitionRowView<'_>)) {
        let game = &self.index.games[index];
        let n_players = game.alignment.players.len();
        for (part_index, part, run) in self.row_runs(game) {
            let alignment = game.alignment_of(part_index, run.layout);
            for row in run.rows() {
                let walk = part.walks.as_ref().and_then(|walks| walks.perms[row].zip(walks.positions[row]));
                tell(CoalitionRowView {
                    mask: alignment.align_wide(&part.masks.words(row), n_players),
                    values: &mut part.values.iter().map(|values| values[row]),
                    walk,
                });
            }
        }
    }

    /// Games by group, in order of their keys: each group with its games' places.
    pub fn groups(&self) -> Vec<Range<usize>> {
        let games = &self.index.games;
        let mut groups: Vec<Range<usize>> = Vec::new();
        for place in 0..games.len() {
            match groups.last_mut() {
                Some(group) if games[group.start].key.group == games[place].key.group => {
                    group.end = place + 1;
                }
                _ => groups.push(place..place + 1),
            }
        }
        groups
    }

    /// The file that game `index` begins in.
    pub fn file_of(&self, index: usize) -> &str {
        let first = self.index.row_runs[self.index.games[index].row_runs.start];
        &self.file_names[self.parts[first.part as usize].file as usize]
    }

    /// Game `index` with the values of value column number `value`.
    ///
    /// # Errors
    /// Repeats where they are forbidden, and malformed walks.
    pub fn game(&self, index: usize, value: usize) -> Result<Game, RecordError> {
        let game = &self.index.games[index];
        let players = Arc::clone(&game.alignment.players);
        let n_players = players.len();
        let n_rows: usize = self.row_runs(game).map(|(_, _, run)| run.len as usize).sum();
        let table = if n_players <= WORD_BITS {
            self.build_table(game, n_players, n_rows, value)
        } else {
            let mut masks = Vec::with_capacity(n_rows * words_for(n_players));
            let mut values = Vec::with_capacity(n_rows);
            for (part_index, part, run) in self.row_runs(game) {
                let alignment = game.alignment_of(part_index, run.layout);
                for row in run.rows() {
                    masks.extend(alignment.align_wide(&part.masks.words(row), n_players));
                    values.push(part.values[value][row]);
                }
            }
            CoalitionTable::from_wide_rows(n_players, &masks, &values, self.repeats_of(game))
        };
        let table = table.map_err(|repeated| {
            let problem = Problem::RepeatedCoalition {
                game: game.key.to_string(),
                coalition: describe(&repeated.0, &players),
            };
            RecordError::file(self.file_of(index), problem)
        })?;
        let RecordedWalks { walks, n_bad: n_bad_walks } = self.walks(game, index, value, n_players)?;
        Ok(Game { key: game.key.clone(), players, table, walks, n_bad_walks })
    }

    /// A table of single-word masks, row run by row run; the common encodings go over plain slices.
    fn build_table(
        &self,
        game: &IndexedGame,
        n_players: usize,
        n_rows: usize,
        value: usize,
    ) -> Result<CoalitionTable, RepeatedCoalition> {
        let mut builder = CoalitionTableBuilder::new(n_players, n_rows, self.repeats_of(game));
        for (part_index, part, run) in self.row_runs(game) {
            let alignment = game.alignment_of(part_index, run.layout);
            let values = part.values[value].as_slice()[run.rows()].iter().copied();
            match (&part.masks, &alignment.moves) {
                (Masks::Narrow(bits), None) => {
                    builder.extend(bits[run.rows()].iter().map(|mask| u64::from(*mask)).zip(values))?;
                }
                (Masks::Wide { words: 1, bits }, None) => {
                    builder.extend(bits[run.rows()].iter().copied().zip(values))?;
                }
                // A part may list more names than the players of one run.
                (masks @ Masks::Wide { words: 2.., .. }, _) => {
                    let aligned = run.rows().map(|row| alignment.align_wide(&masks.words(row), n_players)[0]);
                    builder.extend(aligned.zip(values))?;
                }
                (masks, _) => {
                    let aligned = run.rows().map(|row| alignment.align_word(masks.first_word(row)));
                    builder.extend(aligned.zip(values))?;
                }
            }
        }
        builder.finish()
    }

    /// Size and coverage of game `index`.
    ///
    /// # Errors
    /// As [`CoalitionRecording::game`].
    pub fn summary(&self, index: usize) -> Result<GameSummary, RecordError> {
        let game = self.game(index, 0)?;
        Ok(GameSummary {
            key: game.key.clone(),
            slot_ids: Arc::clone(&game.players),
            n_rows: game.table.n_rows(),
            n_coalitions: game.table.n_coalitions(),
            is_complete: game.table.complete_values().is_some(),
            n_walks: game.walks.len(),
            n_repeated: if game.walks.is_empty() {
                game.table.n_rows() - game.table.n_coalitions() as u64
            } else {
                0
            },
            missing: if game.players.len() < WORD_BITS {
                let spell = |mask: u64| describe(&[mask], &game.players);
                game.table.missing(MISSING_NAMED).into_iter().map(spell).collect()
            } else {
                Vec::new()
            },
        })
    }

    /// Recorded walks visit the empty and the full coalition again and again: no mistake under any rule.
    fn repeats_of(&self, game: &IndexedGame) -> Repeats {
        let has_walks = self.row_runs(game).any(|(_, part, _)| part.walks.is_some());
        if has_walks { Repeats::Mean } else { self.repeats }
    }

    /// Row runs of a game in file order, each with the index of its part and the part.
    fn row_runs<'a>(
        &'a self,
        game: &'a IndexedGame,
    ) -> impl Iterator<Item = (u32, &'a DecodedPart, RowRun)> + Clone + 'a {
        self.index.row_runs[game.row_runs.clone()].iter().map(|place| {
            let part = &self.parts[place.part as usize];
            (place.part, part, part.row_runs[place.row_run as usize])
        })
    }

    /// The recorded permutations of a game.
    fn walks(
        &self,
        game: &IndexedGame,
        index: usize,
        value: usize,
        n_players: usize,
    ) -> Result<RecordedWalks, RecordError> {
        let mut by_perm: BTreeMap<i64, Vec<WalkRow>> = BTreeMap::new();
        for (part_index, part, run) in self.row_runs(game) {
            let Some(WalkColumns { perms, positions }) = &part.walks else { continue };
            let alignment = game.alignment_of(part_index, run.layout);
            for row in run.rows() {
                if let (Some(perm), Some(position)) = (perms[row], positions[row]) {
                    let mask = alignment.align_wide(&part.masks.words(row), n_players);
                    let value = part.values[value][row];
                    by_perm.entry(perm).or_default().push(WalkRow { position, mask, value });
                }
            }
        }
        let mut found = RecordedWalks { walks: Vec::with_capacity(by_perm.len()), n_bad: 0 };
        for (perm, rows) in by_perm {
            match build_walk(perm, rows, n_players) {
                Ok(walk) => found.walks.push(walk),
                Err(_) if self.on_bad == OnBad::Skip => found.n_bad += 1,
                Err(detail) => {
                    let problem = Problem::BadWalk { game: game.key.to_string(), perm, detail };
                    return Err(RecordError::file(self.file_of(index), problem));
                }
            }
        }
        Ok(found)
    }
}
