//! Several rows for one coalition: how many, and which column would tell them apart.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::super::columns::{self, BadCells};
use super::super::error::RecordError;
use super::super::table::{Table, describe_type};
use super::files::{CoalitionFiles, FileColumns};
use super::index::{GameIndex, IndexedGame};
use super::options::CoalitionOptions;
use super::part::{DecodedPart, RowRun};
use crate::attribution::Repeats;
use crate::attribution::coalition::WORD_BITS;

/// Rows of a game that are looked at for a column that tells repeats apart.
const ROWS_LOOKED_AT: usize = 10_000;

/// Says in how many games rows repeat coalitions, where they are averaged, and which unread column tells the repeats of
/// the first such game apart.
///
/// Recorded walks visit coalitions again and again: that is no repetition. A game of 2^n rows is taken to hold each
/// coalition once; if it does not, it lacks some, and the analysis says so.
pub(super) fn note(
    files: &CoalitionFiles,
    parts: &[DecodedPart],
    index: &GameIndex,
    options: &CoalitionOptions,
) -> Result<Option<String>, RecordError> {
    if options.repeats != Repeats::Mean || parts.iter().any(|part| part.walks.is_some()) {
        return Ok(None);
    }
    let counts: Vec<GameCounts> = index
        .games
        .par_iter()
        .map(|game| GameCounts::of(parts, index, game))
        .filter(GameCounts::repeats)
        .collect();
    let Some(first) = counts.first() else { return Ok(None) };
    let told_apart = match told_apart_by(files, parts, index, first.game)? {
        Some(column) => format!(
            "; column {column}, which is not read, tells repeats apart: --by {column} makes a game of each of its \
             values, --duplicates mean says that they are repeats"
        ),
        None => String::new(),
    };
    let n_rows: usize = counts.iter().map(|count| count.n_rows).sum();
    let n_coalitions: usize = counts.iter().map(|count| count.n_coalitions).sum();
    let of_games = if index.games.len() == 1 {
        String::new()
    } else {
        format!("in {} of {} games ", counts.len(), index.games.len())
    };
    Ok(Some(format!(
        "{of_games}{n_rows} rows evaluate {n_coalitions} coalitions: repeats are averaged, their spread is the \
         noise{told_apart}"
    )))
}

/// Rows of a game and the distinct coalitions among them.
struct GameCounts<'a> {
    game: &'a IndexedGame,
    n_rows: usize,
    n_coalitions: usize,
}

impl<'a> GameCounts<'a> {
    fn of(parts: &[DecodedPart], index: &GameIndex, game: &'a IndexedGame) -> Self {
        let n_players = game.alignment.players.len();
        let n_rows: usize = row_runs(parts, index, game).map(|(_, _, run)| run.len as usize).sum();
        let is_complete = n_players < WORD_BITS && n_rows == 1 << n_players;
        let n_coalitions = if is_complete { n_rows } else { coalitions_of(parts, index, game).len() };
        Self { game, n_rows, n_coalitions }
    }

    fn repeats(&self) -> bool {
        self.n_rows > self.n_coalitions
    }
}

fn row_runs<'a>(
    parts: &'a [DecodedPart],
    index: &'a GameIndex,
    game: &IndexedGame,
) -> impl Iterator<Item = (u32, &'a DecodedPart, RowRun)> {
    index.row_runs[game.row_runs.clone()].iter().map(|place| {
        let part = &parts[place.part as usize];
        (place.part, part, part.row_runs[place.row_run as usize])
    })
}

/// Rows of each distinct coalition of a game, as places (part, row).
fn coalitions_of(
    parts: &[DecodedPart],
    index: &GameIndex,
    game: &IndexedGame,
) -> BTreeMap<Vec<u64>, Vec<(u32, usize)>> {
    let n_players = game.alignment.players.len();
    let mut found: BTreeMap<Vec<u64>, Vec<(u32, usize)>> = BTreeMap::new();
    for (part_index, part, run) in row_runs(parts, index, game) {
        let alignment = game.alignment_of(part_index, run.layout);
        for row in run.rows() {
            let mask = alignment.align_wide(&part.masks.words(row), n_players);
            found.entry(mask).or_default().push((part_index, row));
        }
    }
    found
}

/// The unread column whose values differ between all repeats of each coalition of a game, if there is one.
fn told_apart_by(
    files: &CoalitionFiles,
    parts: &[DecodedPart],
    index: &GameIndex,
    game: &IndexedGame,
) -> Result<Option<String>, RecordError> {
    let coalitions = coalitions_of(parts, index, game);
    let repeated: Vec<&Vec<(u32, usize)>> = coalitions.values().filter(|rows| rows.len() > 1).collect();
    let Some(((part_index, _), _)) = repeated.first().and_then(|rows| rows.split_first()) else {
        return Ok(None);
    };
    let part = &parts[*part_index as usize];
    let table = &files.tables[part.file as usize];
    let n_rows: usize = repeated.iter().map(|rows| rows.len()).sum();
    let is_in_one_part = repeated.iter().all(|rows| rows.iter().all(|(other, _)| other == part_index));
    if !is_in_one_part || n_rows > ROWS_LOOKED_AT {
        return Ok(None);
    }
    let place = table.parts().iter().position(|place| place.first_row == part.first_row).unwrap_or(0);
    let most = repeated.iter().map(|rows| rows.len()).max().unwrap_or(0);
    for column in unread(table, &files.columns[part.file as usize]) {
        let mut bad = BadCells::default();
        let Some(cells) = table.read(place, std::slice::from_ref(&column))?.into_iter().next() else {
            continue;
        };
        let labels = columns::labels(cells, &column, &mut bad);
        if !bad.cells.is_empty() {
            continue;
        }
        let mut all_labels = BTreeSet::new();
        let tells_apart = repeated.iter().all(|rows| {
            let here: BTreeSet<String> = rows.iter().map(|(_, row)| labels.get(*row)).collect();
            let n_distinct = here.len();
            all_labels.extend(here);
            n_distinct == rows.len()
        });
        // A number of the row, or another measurement, differs everywhere and names nothing.
        if tells_apart && all_labels.len() <= most {
            return Ok(Some(column));
        }
    }
    Ok(None)
}

/// Scalar columns that play no role.
fn unread(table: &Table, columns: &FileColumns) -> Vec<String> {
    let read = columns.names();
    let is_scalar = |name: &String| {
        table.column_type(name).is_some_and(|dtype| {
            columns::is_numeric(dtype) || matches!(describe_type(dtype).as_str(), "str" | "bool")
        })
    };
    table.column_names().into_iter().filter(|name| !read.contains(name) && is_scalar(name)).collect()
}
