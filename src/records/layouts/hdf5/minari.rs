//! Minari in HDF5: `main_data.hdf5` with a group `episode_N` for each episode.
//!
//! Observations have one row more than the other arrays, for the one after the last step. Those of Dict spaces are groups, those
//! of Tuple spaces groups of `_index_0`, `_index_1`, ...; columns are called as in Minari's Parquet: `observations.goal`,
//! `observations.0`. As there,
//! no column says the step.

use super::super::super::error::RecordError;
use super::super::super::hdf5::{Episodes, Group, Names, Piece, Plan, Source};
use super::found::{Found, NumberedGroups, numbered_once, rows_of};

/// How groups of episodes are called, but for their number.
pub(super) const EPISODE: &str = "episode_";

/// Arrays of an episode that are columns, observations first.
const COLUMNS: [&str; 5] = ["observations", "actions", "rewards", "terminations", "truncations"];

/// The rows of a file.
pub(super) fn plan(root: &Group, names: &Names) -> Result<Plan, RecordError> {
    let NumberedGroups { groups: episodes, note: left_over } = numbered_once(root, &names.groups, EPISODE)?;
    let mut pieces = Vec::with_capacity(episodes.len());
    for (_, name) in &episodes {
        pieces.push(Piece { name: name.clone(), n_rows: rows_of(&root.group(name)?, "total_steps")? });
    }
    let mut found = Found::default();
    found.made_up("episode", Source::Episode);
    let first = pieces.iter().find(|piece| piece.n_rows > 0).or(pieces.first());
    if let Some(first) = first {
        let group = root.group(&first.name)?;
        let names = group.names()?;
        for column in COLUMNS {
            found.tree(&group, &names, column, column == "observations")?;
        }
    }
    let mut notes = found.notes();
    notes.extend(left_over);
    let numbers = episodes.into_iter().map(|(number, _)| number).collect();
    Ok(Plan {
        base: Vec::new(),
        pieces,
        episodes: Episodes::OfPieces(numbers),
        fields: found.fields,
        left_out: found.left_out,
        notes,
    })
}
