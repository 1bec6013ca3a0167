//! robomimic: `/data/demo_N`, an episode each, with observations by name in `obs`.
//!
//! What `dones` says depends on how the file was made (success, the end, or both): the end of a group is the end of its
//! episode. `next_obs` stands in the next row, `states` are the simulator's. Lists of demos in `/mask` choose what is
//! trained on; all demos are read.

use super::super::super::error::RecordError;
use super::super::super::hdf5::{Episodes, Group, Names, Piece, Plan, Source};
use super::found::{Found, NumberedGroups, numbered_once, rows_of};

/// The group of all demos.
pub(super) const DATA: &str = "data";

/// How groups of demos are called, but for their number.
pub(super) const DEMO: &str = "demo_";

/// Rows that a file says it has.
pub(super) fn rows_said(root: &Group) -> Option<u64> {
    root.group(DATA).ok()?.count("total").ok()?
}

/// The rows of a file.
pub(super) fn plan(root: &Group, names: &Names) -> Result<Plan, RecordError> {
    let data = root.group(DATA)?;
    let NumberedGroups { groups: demos, note: left_over } =
        numbered_once(&data, &data.names()?.groups, DEMO)?;
    let mut pieces = Vec::with_capacity(demos.len());
    for (_, name) in &demos {
        pieces.push(Piece { name: name.clone(), n_rows: rows_of(&data.group(name)?, "num_samples")? });
    }
    let mut found = Found::default();
    found.made_up("episode", Source::Episode);
    found.made_up("step", Source::Step);
    if let Some(first) = pieces.iter().find(|piece| piece.n_rows > 0).or(pieces.first()) {
        let group = data.group(&first.name)?;
        let names = group.names()?;
        for column in ["obs", "actions", "rewards"] {
            found.tree(&group, &names, column, false)?;
        }
    }
    found.made_up("done", Source::IsLast);
    let mut notes = found.notes();
    notes.extend(left_over);
    if names.groups.iter().any(|name| name == "mask") {
        let lists = root.group("mask")?.names()?.arrays;
        if !lists.is_empty() {
            notes.push(format!(
                "all demos are read, whatever its lists (mask/{}) choose",
                lists.join(", mask/")
            ));
        }
    }
    let numbers = demos.into_iter().map(|(number, _)| number).collect();
    Ok(Plan {
        base: vec![DATA.to_owned()],
        pieces,
        episodes: Episodes::OfPieces(numbers),
        fields: found.fields,
        left_out: found.left_out,
        notes,
    })
}
