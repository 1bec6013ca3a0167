//! Coalition rows: every spelling read to (game, mask, values), grouped into games.
//!
//! Parts are decoded in parallel. Within a part, runs of rows of one game become *spans*; a game is its spans in
//! file order. So grouping costs memory per span, not per row, and nothing is copied until a game is asked for.

mod seating;
mod spelling;
mod walks;

use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use indexmap::IndexSet;
use polars_buffer::Buffer;
use rayon::prelude::*;

use super::columns::{self, BadCells, Ints, Masks, Texts};
use super::error::{Problem, RecordError};
use super::schema::{ColumnMap, DEFAULT_VALUES, FileKind, OnBad, SLOT_PREFIX};
use super::sources::InputFile;
use super::table::Table;
use crate::attribution::coalition::{WORD_BITS, describe, words_for};
use crate::attribution::{CoalitionTable, Game, GameKey, Gathering, Repeats, Walk};
use crate::progress::Progress;

use self::seating::{Seating, SeatingCache};
use self::spelling::{Layout, PartColumns, Spelling, read_spelling};
use self::walks::{WalkRow, build_walk};

/// How coalition rows are to be read.
#[derive(Debug, Clone)]
pub struct CoalitionOptions {
    /// Column mapping.
    pub columns: ColumnMap,
    /// Value columns; empty for the first of `val_accuracy`, `val_loss` there is.
    pub values: Vec<String>,
    /// Slot ids of bare masks.
    pub slots: Option<Vec<String>>,
    /// Repeated rows for one coalition.
    pub repeats: Repeats,
    /// Malformed rows and files.
    pub on_bad: OnBad,
}

/// What was left out, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkipReport {
    /// Rows left out, by reason.
    pub rows: BTreeMap<&'static str, u64>,
    /// Files left out, by reason.
    pub files: BTreeMap<&'static str, u64>,
}

impl SkipReport {
    /// Rows left out in all.
    pub fn n_rows(&self) -> u64 {
        self.rows.values().sum()
    }

    /// Files left out in all.
    pub fn n_files(&self) -> u64 {
        self.files.values().sum()
    }

    /// One line for people; `None` if nothing was left out.
    pub fn describe(&self) -> Option<String> {
        let list = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(reason, n)| format!("{n} {reason}")).collect::<Vec<_>>().join(", ")
        };
        let mut parts = Vec::new();
        if self.n_rows() > 0 {
            let noun = if self.n_rows() == 1 { "row" } else { "rows" };
            parts.push(format!("{} {noun} left out ({})", self.n_rows(), list(&self.rows)));
        }
        if self.n_files() > 0 {
            let noun = if self.n_files() == 1 { "file" } else { "files" };
            parts.push(format!("{} {noun} left out ({})", self.n_files(), list(&self.files)));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

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
    /// Whether some coalition was evaluated more than once.
    pub has_repeats: bool,
}

type FixedHasher = BuildHasherDefault<DefaultHasher>;

/// A run of rows of one game and layout.
#[derive(Debug, Clone, Copy)]
struct Span {
    key: u32,
    layout: u32,
    start: u32,
    len: u32,
}

/// One decoded part.
#[derive(Debug)]
struct Chunk {
    file: u32,
    first_row: u64,
    masks: Masks,
    values: Vec<Buffer<f64>>,
    walks: Option<WalkColumns>,
    keys: IndexSet<GameKey, FixedHasher>,
    /// Union of the masks per key, one word: for the width of bare masks.
    unions: Vec<u64>,
    layouts: Vec<Layout>,
    spans: Vec<Span>,
    skipped: BTreeMap<&'static str, u64>,
}

/// Permutation and position of each row.
#[derive(Debug)]
struct WalkColumns {
    perms: Vec<Option<i64>>,
    positions: Vec<Option<i64>>,
}

/// Coalition rows of many files, indexed by game.
#[derive(Debug)]
pub struct CoalitionRecording {
    value_names: Vec<String>,
    file_names: Vec<String>,
    chunks: Vec<Chunk>,
    games: Vec<IndexedGame>,
    /// Spans of all games, one game after the other: (chunk, span).
    spans: Vec<(u32, u32)>,
    repeats: Repeats,
    on_bad: OnBad,
    n_rows: u64,
    skipped: SkipReport,
    notes: Vec<String>,
}

#[derive(Debug)]
struct IndexedGame {
    key: GameKey,
    first_span: usize,
    n_spans: usize,
    seating: Seating,
    /// Seatings of spans in another layout: layout by (chunk, local layout).
    others: BTreeMap<(u32, u32), Seating>,
}

/// Columns of one file.
struct FileSpec {
    run_id: Option<String>,
    episode: Option<String>,
    env_id: Option<String>,
    batch: Option<String>,
    spelling: Spelling,
    values: Vec<String>,
    walk: Option<(String, String)>,
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
        let opened: Vec<Result<Table, RecordError>> = files.par_iter().map(Table::open).collect();
        let mut skipped = SkipReport::default();
        let mut notes = Vec::new();
        let mut tables = Vec::new();
        let mut others: BTreeMap<&'static str, usize> = BTreeMap::new();
        for (file, table) in files.iter().zip(opened) {
            match table.and_then(|table| Ok((options.columns.kind(&table)?, table))) {
                Ok((FileKind::Coalitions, table)) => tables.push(table),
                Ok((FileKind::Other, table)) if file.is_named => {
                    let error = foreign(&table);
                    if options.on_bad == OnBad::Error {
                        return Err(error);
                    }
                    *skipped.files.entry(error.class()).or_default() += 1;
                }
                Ok((kind, _)) => *others.entry(kind.name()).or_default() += 1,
                Err(error) if options.on_bad == OnBad::Skip && error.is_skippable() => {
                    *skipped.files.entry(error.class()).or_default() += 1;
                }
                Err(error) => return Err(error),
            }
        }
        if tables.is_empty() {
            return Err(no_coalitions(&others, &skipped));
        }
        for (kind, n) in &others {
            let files = if *n == 1 { "file" } else { "files" };
            notes.push(format!("{n} {files} with {kind} rows: no coalitions, not used"));
        }
        let value_names = resolve_values(&tables, &options.values)?;
        let mut specs = Vec::with_capacity(tables.len());
        let mut used = Vec::with_capacity(tables.len());
        for table in tables {
            match file_spec(&table, options, &value_names) {
                Ok(spec) => {
                    specs.push(spec);
                    used.push(table);
                }
                Err(error) if options.on_bad == OnBad::Skip && error.is_skippable() => {
                    *skipped.files.entry(error.class()).or_default() += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let chunks = read_chunks(&used, &specs, options, progress, &mut skipped)?;
        let file_names = used.iter().map(|table| table.name().to_owned()).collect();
        index_games(chunks, file_names, value_names, options, skipped, notes)
    }

    /// Value columns read, in the order asked for.
    pub fn value_names(&self) -> &[String] {
        &self.value_names
    }

    /// Number of games.
    pub fn n_games(&self) -> usize {
        self.games.len()
    }

    /// Files read.
    pub fn n_files(&self) -> usize {
        self.file_names.len()
    }

    /// Rows used.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
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
        &self.games[index].key
    }

    /// The file that game `index` begins in.
    pub fn file_of(&self, index: usize) -> &str {
        let (chunk, _) = self.spans[self.games[index].first_span];
        &self.file_names[self.chunks[chunk as usize].file as usize]
    }

    /// Gathers game `index` for the value column number `value`.
    ///
    /// # Errors
    /// Repeats where they are forbidden, and malformed walks.
    pub fn game(&self, index: usize, value: usize) -> Result<Game, RecordError> {
        let game = &self.games[index];
        let players = Arc::clone(&game.seating.players);
        let n_players = players.len();
        let n_rows: usize = self.spans_of(game).map(|(_, _, span)| span.len as usize).sum();
        let table = if n_players <= WORD_BITS {
            self.gather(game, n_players, n_rows, value)
        } else {
            let mut masks = Vec::with_capacity(n_rows * words_for(n_players));
            let mut values = Vec::with_capacity(n_rows);
            for (chunk_index, chunk, span) in self.spans_of(game) {
                let seating = game.seating_of(chunk_index, span.layout);
                for row in span.rows() {
                    masks.extend(seating.seat_wide(&chunk.masks.words(row), n_players));
                    values.push(chunk.values[value][row]);
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
        let (walks, n_bad_walks) = self.walks(game, index, value, n_players)?;
        Ok(Game { key: game.key.clone(), players, table, walks, n_bad_walks })
    }

    /// Gathers single-word masks span by span; the common spellings run over plain slices.
    fn gather(
        &self,
        game: &IndexedGame,
        n_players: usize,
        n_rows: usize,
        value: usize,
    ) -> Result<CoalitionTable, crate::attribution::RepeatedCoalition> {
        let mut gathering = Gathering::new(n_players, n_rows, self.repeats_of(game));
        for (chunk_index, chunk, span) in self.spans_of(game) {
            let seating = game.seating_of(chunk_index, span.layout);
            let values = chunk.values[value].as_slice()[span.rows()].iter().copied();
            match (&chunk.masks, &seating.moves) {
                (Masks::Narrow(bits), None) => {
                    gathering.extend(bits[span.rows()].iter().map(|mask| u64::from(*mask)).zip(values))?;
                }
                (Masks::Wide { words: 1, bits }, None) => {
                    gathering.extend(bits[span.rows()].iter().copied().zip(values))?;
                }
                (masks, _) => {
                    let seated = span.rows().map(|row| seating.seat_word(masks.first_word(row)));
                    gathering.extend(seated.zip(values))?;
                }
            }
        }
        gathering.finish()
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
            has_repeats: game.table.n_rows() > game.table.n_coalitions() as u64 && game.walks.is_empty(),
        })
    }

    /// Recorded walks visit the empty and the full coalition again and again: no mistake under any rule.
    fn repeats_of(&self, game: &IndexedGame) -> Repeats {
        let has_walks = self.spans_of(game).any(|(_, chunk, _)| chunk.walks.is_some());
        if has_walks { Repeats::Mean } else { self.repeats }
    }

    fn spans_of<'a>(
        &'a self,
        game: &'a IndexedGame,
    ) -> impl Iterator<Item = (u32, &'a Chunk, Span)> + Clone + 'a {
        self.spans[game.first_span..game.first_span + game.n_spans].iter().map(|(chunk, span)| {
            let contents = &self.chunks[*chunk as usize];
            (*chunk, contents, contents.spans[*span as usize])
        })
    }

    fn walks(
        &self,
        game: &IndexedGame,
        index: usize,
        value: usize,
        n_players: usize,
    ) -> Result<(Vec<Walk>, usize), RecordError> {
        let mut by_perm: BTreeMap<i64, Vec<WalkRow>> = BTreeMap::new();
        for (chunk_index, chunk, span) in self.spans_of(game) {
            let Some(WalkColumns { perms, positions }) = &chunk.walks else { continue };
            let seating = game.seating_of(chunk_index, span.layout);
            for row in span.rows() {
                if let (Some(perm), Some(position)) = (perms[row], positions[row]) {
                    let mask = seating.seat_wide(&chunk.masks.words(row), n_players);
                    let value = chunk.values[value][row];
                    by_perm.entry(perm).or_default().push(WalkRow { position, mask, value });
                }
            }
        }
        let (mut walks, mut n_bad) = (Vec::with_capacity(by_perm.len()), 0);
        for (perm, rows) in by_perm {
            match build_walk(perm, rows, n_players) {
                Ok(walk) => walks.push(walk),
                Err(_) if self.on_bad == OnBad::Skip => n_bad += 1,
                Err(detail) => {
                    let problem = Problem::BadWalk { game: game.key.to_string(), perm, detail };
                    return Err(RecordError::file(self.file_of(index), problem));
                }
            }
        }
        Ok((walks, n_bad))
    }
}

impl IndexedGame {
    fn seating_of(&self, chunk: u32, layout: u32) -> &Seating {
        self.others.get(&(chunk, layout)).unwrap_or(&self.seating)
    }
}

impl Span {
    fn rows(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

fn foreign(table: &Table) -> RecordError {
    let needed = "coalition columns (config, mask or slot:<id>, with a value column)".to_owned();
    RecordError::file(table.name(), Problem::MissingColumns { needed, found: table.column_names() })
}

fn no_coalitions(others: &BTreeMap<&'static str, usize>, skipped: &SkipReport) -> RecordError {
    let mut found: Vec<String> = others.iter().map(|(kind, n)| format!("{n} with {kind} rows")).collect();
    if skipped.n_files() > 0 {
        found.push(format!("{} left out", skipped.n_files()));
    }
    RecordError::file("", Problem::NoFilesOfKind { needed: "coalition rows", others: found.join(", ") })
}

/// The value columns to read: those asked for, or the best default the first file has.
fn resolve_values(tables: &[Table], asked: &[String]) -> Result<Vec<String>, RecordError> {
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    if let Some(name) = DEFAULT_VALUES.iter().find(|name| tables[0].has_column(name)) {
        return Ok(vec![(*name).to_owned()]);
    }
    Err(missing_value(&tables[0], &DEFAULT_VALUES.join(" or ")))
}

fn missing_value(table: &Table, needed: &str) -> RecordError {
    let numeric = |name: &String| table.column_type(name).is_some_and(columns::is_numeric);
    let found = table.column_names().into_iter().filter(numeric).collect();
    let needed = format!("value column {needed} among the numeric columns");
    RecordError::file(table.name(), Problem::MissingColumns { needed, found })
}

fn file_spec(table: &Table, options: &CoalitionOptions, values: &[String]) -> Result<FileSpec, RecordError> {
    let find = |field: &str| options.columns.find(table, field);
    for value in values {
        if !table.has_column(value) {
            return Err(missing_value(table, value));
        }
    }
    let slot_ids = find("slot_ids")?;
    let spelling = if let Some(mask) = find("mask")? {
        Spelling::Mask { mask, slot_ids }
    } else if let Some(config) = find("config")? {
        Spelling::Config { config, slot_ids }
    } else {
        let is_slot = |name: &String| name.starts_with(SLOT_PREFIX);
        Spelling::SlotColumns(table.column_names().into_iter().filter(is_slot).collect())
    };
    let walk = match (find("perm")?, find("pos")?) {
        (Some(perm), Some(pos)) => Some((perm, pos)),
        (None, None) => None,
        _ => return Err(RecordError::file(table.name(), Problem::HalfWalk)),
    };
    Ok(FileSpec {
        run_id: find("run_id")?,
        episode: find("episode")?,
        env_id: find("env_id")?,
        batch: find("batch")?,
        spelling,
        values: values.to_vec(),
        walk,
    })
}

fn read_chunks(
    tables: &[Table],
    specs: &[FileSpec],
    options: &CoalitionOptions,
    progress: &Progress,
    skipped: &mut SkipReport,
) -> Result<Vec<Chunk>, RecordError> {
    let jobs: Vec<(usize, usize)> = tables
        .iter()
        .enumerate()
        .flat_map(|(file, table)| (0..table.parts().len()).map(move |part| (file, part)))
        .collect();
    progress
        .begin("reading", jobs.iter().map(|(file, part)| tables[*file].parts()[*part].n_rows as u64).sum());
    let read: Vec<Result<Chunk, RecordError>> = jobs
        .par_iter()
        .map(|(file, part)| {
            let chunk = read_chunk(*file, &tables[*file], *part, &specs[*file], options);
            progress.advance(tables[*file].parts()[*part].n_rows as u64);
            chunk
        })
        .collect();
    let mut chunks = Vec::with_capacity(read.len());
    for chunk in read {
        match chunk {
            Ok(chunk) => {
                for (reason, n) in &chunk.skipped {
                    *skipped.rows.entry(reason).or_default() += n;
                }
                chunks.push(chunk);
            }
            Err(error) if options.on_bad == OnBad::Skip && error.is_skippable() => {
                *skipped.files.entry(error.class()).or_default() += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(chunks)
}

fn read_chunk(
    file: usize,
    table: &Table,
    part: usize,
    spec: &FileSpec,
    options: &CoalitionOptions,
) -> Result<Chunk, RecordError> {
    let n_rows = table.parts()[part].n_rows;
    let first_row = table.parts()[part].first_row;
    let mut names: Vec<String> = Vec::new();
    names.extend([&spec.run_id, &spec.episode, &spec.env_id, &spec.batch].into_iter().flatten().cloned());
    match &spec.spelling {
        Spelling::Config { config: first, slot_ids } | Spelling::Mask { mask: first, slot_ids } => {
            names.extend(slot_ids.iter().cloned());
            names.push(first.clone());
        }
        Spelling::SlotColumns(columns) => names.extend(columns.iter().cloned()),
    }
    names.extend(spec.values.iter().cloned());
    names.extend(spec.walk.iter().flat_map(|(perm, pos)| [perm.clone(), pos.clone()]));
    let mut read = PartColumns { columns: table.read(part, &names)?.into_iter() };

    let mut bad = BadCells::default();
    let run_ids = match &spec.run_id {
        Some(name) => columns::run_ids(read.next(), name, &mut bad),
        None => Texts::Constant(table.stem().to_owned()),
    };
    let mut key_ints = |name: &Option<String>, bad: &mut BadCells| match name {
        Some(name) => columns::ints(read.next(), name, bad),
        None => Ints::Constant(0),
    };
    let episodes = key_ints(&spec.episode, &mut bad);
    let env_ids = key_ints(&spec.env_id, &mut bad);
    let batches = spec.batch.as_ref().map(|_| key_ints(&spec.batch, &mut bad));
    let configured = read_spelling(&spec.spelling, &mut read, n_rows, options, &mut bad);
    let values =
        spec.values.iter().map(|name| columns::finite_floats(read.next(), name, n_rows, &mut bad)).collect();
    let walks = spec.walk.as_ref().map(|(perm, pos)| {
        let perms = columns::optional_ints(read.next(), perm, n_rows, &mut bad);
        let positions = columns::optional_ints(read.next(), pos, n_rows, &mut bad);
        for (row, (perm, position)) in perms.iter().zip(&positions).enumerate() {
            if perm.is_some() != position.is_some() {
                bad.push(row, pos, Problem::HalfWalk);
            }
        }
        WalkColumns { perms, positions }
    });

    let (is_bad, skipped) = judge(bad, table, first_row, n_rows, options.on_bad)?;
    let mut chunk = Chunk {
        file: u32::try_from(file).unwrap_or(u32::MAX),
        first_row,
        masks: configured.masks,
        values,
        walks,
        keys: IndexSet::default(),
        unions: Vec::new(),
        layouts: configured.layouts,
        spans: Vec::new(),
        skipped,
    };
    let keys = KeyColumns { run_ids, episodes, env_ids, batches };
    chunk.form_spans(&keys, configured.row_layouts.as_deref(), is_bad.as_deref(), n_rows);
    Ok(chunk)
}

/// Bad cells to either an error (the first in row order) or a mark per row and counts.
#[expect(clippy::type_complexity, reason = "two results of one decision")]
fn judge(
    bad: BadCells,
    table: &Table,
    first_row: u64,
    n_rows: usize,
    on_bad: OnBad,
) -> Result<(Option<Vec<bool>>, BTreeMap<&'static str, u64>), RecordError> {
    let mut cells = bad.cells;
    if cells.is_empty() {
        return Ok((None, BTreeMap::new()));
    }
    cells.sort_by_key(|cell| cell.row);
    // A column of a wrong type has no row to blame.
    let mut is_bad = vec![false; n_rows];
    let mut counts = BTreeMap::new();
    for cell in cells {
        let is_whole_column = matches!(
            cell.problem,
            Problem::WrongType { expected, .. } if !expected.starts_with("a ") && !expected.starts_with("an ")
        );
        let mut error =
            RecordError::cell(table.name(), first_row + cell.row as u64, &cell.column, cell.problem);
        if is_whole_column {
            error.row = None;
        }
        if on_bad == OnBad::Error || is_whole_column {
            return Err(error);
        }
        if !std::mem::replace(&mut is_bad[cell.row], true) {
            *counts.entry(error.class()).or_default() += 1;
        }
    }
    Ok((Some(is_bad), counts))
}

struct KeyColumns {
    run_ids: Texts,
    episodes: Ints,
    env_ids: Ints,
    batches: Option<Ints>,
}

impl KeyColumns {
    /// End of the run of rows with one key that begins at `start`.
    fn run_end(&self, start: usize, end: usize) -> usize {
        let end = self.episodes.run_end(start, end);
        let end = self.env_ids.run_end(start, end);
        let end = self.batches.as_ref().map_or(end, |batches| batches.run_end(start, end));
        self.run_ids.run_end(start, end)
    }
}

impl Chunk {
    /// Cuts the part into spans: at every change of key or layout, and around bad rows.
    fn form_spans(
        &mut self,
        keys: &KeyColumns,
        layouts: Option<&[u32]>,
        is_bad: Option<&[bool]>,
        n_rows: usize,
    ) {
        let mut run: Option<(Arc<str>, usize)> = None;
        let mut start = 0;
        while start < n_rows {
            if is_bad.is_some_and(|is_bad| is_bad[start]) {
                start += 1;
                continue;
            }
            let mut end = keys.run_end(start, n_rows);
            if let Some(layouts) = layouts {
                let differs = layouts[start..end].iter().position(|layout| *layout != layouts[start]);
                end = differs.map_or(end, |length| start + length);
            }
            if let Some(is_bad) = is_bad {
                end =
                    is_bad[start..end].iter().position(|is_bad| *is_bad).map_or(end, |length| start + length);
            }
            let run_id = match run.take() {
                Some((run_id, until)) if start < until => {
                    run = Some((Arc::clone(&run_id), until));
                    run_id
                }
                _ => {
                    let run_id: Arc<str> = Arc::from(keys.run_ids.get(start));
                    run = Some((Arc::clone(&run_id), keys.run_ids.run_end(start, n_rows)));
                    run_id
                }
            };
            let key = GameKey {
                run_id,
                episode: keys.episodes.get(start),
                env_id: keys.env_ids.get(start),
                batch: keys.batches.as_ref().map(|batches| batches.get(start)),
            };
            let (index, is_new) = self.keys.insert_full(key);
            if is_new {
                self.unions.push(0);
            }
            let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let layout = layouts.map_or(0, |layouts| layouts[start]);
            if self.layouts.get(layout as usize) == Some(&Layout::Open) {
                self.unions[index] |= self.masks.union(start..end);
            }
            self.spans.push(Span {
                key: narrow(index),
                layout,
                start: narrow(start),
                len: narrow(end - start),
            });
            start = end;
        }
        self.spans.shrink_to_fit();
    }
}

/// Puts the spans of all parts in order of game.
fn index_games(
    chunks: Vec<Chunk>,
    file_names: Vec<String>,
    value_names: Vec<String>,
    options: &CoalitionOptions,
    skipped: SkipReport,
    notes: Vec<String>,
) -> Result<CoalitionRecording, RecordError> {
    let mut keys: IndexSet<GameKey, FixedHasher> = IndexSet::default();
    let mut global_keys: Vec<Vec<u32>> = Vec::with_capacity(chunks.len());
    let mut unions: BTreeMap<Arc<str>, u64> = BTreeMap::new();
    for chunk in &chunks {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        global_keys.push(chunk.keys.iter().map(|key| narrow(keys.insert_full(key.clone()).0)).collect());
        for (key, union) in chunk.keys.iter().zip(&chunk.unions) {
            match unions.get_mut(&key.run_id) {
                Some(known) => *known |= union,
                None => {
                    unions.insert(Arc::clone(&key.run_id), *union);
                }
            }
        }
    }
    if keys.is_empty() {
        return Err(RecordError::file(file_names.first().cloned().unwrap_or_default(), Problem::NoRows));
    }
    // Counting sort of spans by key: first by number of spans, then into place.
    let mut starts = vec![0usize; keys.len() + 1];
    for (chunk, global) in chunks.iter().zip(&global_keys) {
        for span in &chunk.spans {
            starts[global[span.key as usize] as usize + 1] += 1;
        }
    }
    for i in 0..keys.len() {
        starts[i + 1] += starts[i];
    }
    let mut spans = vec![(0u32, 0u32); starts[keys.len()]];
    let mut next = starts.clone();
    let mut n_rows = 0u64;
    for (chunk_index, (chunk, global)) in chunks.iter().zip(&global_keys).enumerate() {
        for (span_index, span) in chunk.spans.iter().enumerate() {
            let key = global[span.key as usize] as usize;
            spans[next[key]] = (
                u32::try_from(chunk_index).unwrap_or(u32::MAX),
                u32::try_from(span_index).unwrap_or(u32::MAX),
            );
            next[key] += 1;
            n_rows += u64::from(span.len);
        }
    }
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by(|a, b| keys[*a].cmp(&keys[*b]));
    let mut seatings = SeatingCache { slots: options.slots.clone(), known: BTreeMap::new() };
    let mut games = Vec::with_capacity(keys.len());
    for index in order {
        let place = starts[index]..starts[index + 1];
        let union = unions.get(&keys[index].run_id).copied().unwrap_or(0);
        let game =
            seat_game(&keys[index], &chunks, &spans[place.clone()], union, &mut seatings, &file_names)?;
        games.push(IndexedGame { first_span: place.start, n_spans: place.len(), ..game });
    }
    let (repeats, on_bad) = (options.repeats, options.on_bad);
    Ok(CoalitionRecording {
        value_names,
        file_names,
        chunks,
        games,
        spans,
        repeats,
        on_bad,
        n_rows,
        skipped,
        notes,
    })
}

fn seat_game(
    key: &GameKey,
    chunks: &[Chunk],
    spans: &[(u32, u32)],
    union: u64,
    seatings: &mut SeatingCache,
    file_names: &[String],
) -> Result<IndexedGame, RecordError> {
    let open_width = WORD_BITS - union.leading_zeros() as usize;
    let span_at = |(chunk, span): &(u32, u32)| {
        let contents = &chunks[*chunk as usize];
        (contents, contents.spans[*span as usize])
    };
    let (first_chunk, first_span) = span_at(&spans[0]);
    let first_layout = &first_chunk.layouts[first_span.layout as usize];
    let seating = seatings.seat(first_layout, open_width);
    if seating.players.is_empty() {
        let file = &file_names[first_chunk.file as usize];
        return Err(RecordError::file(file, Problem::NoPlayers(key.to_string())));
    }
    let mut others = BTreeMap::new();
    let mut last: Option<(u32, u32)> = None;
    for place in spans {
        let (chunk, span) = span_at(place);
        if last == Some((place.0, span.layout)) {
            continue;
        }
        last = Some((place.0, span.layout));
        let layout = &chunk.layouts[span.layout as usize];
        if layout == first_layout || others.contains_key(&(place.0, span.layout)) {
            continue;
        }
        let other = seatings.seat(layout, open_width);
        if other.players != seating.players {
            return Err(RecordError {
                file: file_names[chunk.file as usize].clone(),
                row: Some(chunk.first_row + u64::from(span.start)),
                column: None,
                problem: Problem::SlotsDiffer {
                    game: key.to_string(),
                    found: other.players.len(),
                    found_ids: other.players.to_vec(),
                    expected: seating.players.len(),
                    expected_ids: seating.players.to_vec(),
                },
            });
        }
        others.insert((place.0, span.layout), other);
    }
    Ok(IndexedGame { key: key.clone(), first_span: 0, n_spans: 0, seating, others })
}
