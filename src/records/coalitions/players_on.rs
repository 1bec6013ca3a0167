//! Rows that list the names of the players that are on.

use std::collections::BTreeMap;

use super::super::columns::{self, BadCells, Masks};
use super::super::error::Problem;
use super::super::part::Column;
use crate::attribution::coalition::{insert, words_for};

/// Masks over names.
pub(super) struct NamedMasks {
    pub(super) masks: Masks,
    /// The name of each bit.
    pub(super) names: Vec<String>,
}

/// Masks over the names that the part's rows list; which players there are besides is for the whole run to tell.
pub(super) fn read(column: Column, name: &str, n_rows: usize, bad: &mut BadCells) -> NamedMasks {
    let nobody = |n_rows| NamedMasks { masks: Masks::of_words(vec![0; n_rows]), names: Vec::new() };
    let Some(lists) = columns::name_lists(column, name, "a list of players", n_rows, bad) else {
        return nobody(n_rows);
    };
    let Some(names) = columns::texts(&*lists.values) else {
        // A list column in which nobody is ever on has no type to speak of.
        if !lists.values.is_empty() {
            bad.whole(name, "lists of text", "lists of something else".to_owned());
        }
        return nobody(n_rows);
    };
    let mut places: BTreeMap<&str, usize> = names.iter().flatten().map(|name| (name, 0)).collect();
    for (place, (_, known)) in places.iter_mut().enumerate() {
        *known = place;
    }
    let words = words_for(places.len()).max(1);
    let mut masks = vec![0u64; n_rows * words];
    for row in 0..n_rows {
        let mask = &mut masks[row * words..(row + 1) * words];
        for position in lists.range(row) {
            let Some(player) = names.get(position) else {
                bad.push(row, name, Problem::Null("a player"));
                continue;
            };
            let place = places[player];
            if crate::attribution::coalition::contains(mask, place) {
                bad.push(row, name, Problem::DuplicateSlot(player.to_owned()));
            }
            insert(mask, place);
        }
    }
    let names = places.into_keys().map(str::to_owned).collect();
    NamedMasks { masks: Masks::Wide { words, bits: masks.into() }, names }
}
