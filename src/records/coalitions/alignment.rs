//! From the order in which a row lists its slots to the canonical order of players.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::encoding::Layout;
use crate::attribution::coalition::{WORD_BITS, insert, words_for};
use crate::attribution::natural_order;

/// Players of a layout in canonical order, and where each of its bits goes.
#[derive(Debug, Clone)]
pub(super) struct SlotAlignment {
    pub(super) players: Arc<[String]>,
    /// Player of each recorded bit; `None` if every bit stays.
    pub(super) moves: Option<Vec<usize>>,
}

impl SlotAlignment {
    /// A one-word mask with every bit at its player's place.
    #[inline]
    pub(super) fn align_word(&self, mask: u64) -> u64 {
        let Some(moves) = &self.moves else { return mask };
        let mut aligned = 0;
        let mut rest = mask;
        while rest != 0 {
            aligned |= 1 << moves[rest.trailing_zeros() as usize];
            rest &= rest - 1;
        }
        aligned
    }

    /// The same for masks of any width.
    pub(super) fn align_wide(&self, mask: &[u64], n_players: usize) -> Vec<u64> {
        let mut aligned = vec![0; words_for(n_players)];
        for (word, bits) in mask.iter().enumerate() {
            let mut rest = *bits;
            while rest != 0 {
                let bit = word * WORD_BITS + rest.trailing_zeros() as usize;
                insert(&mut aligned, self.moves.as_ref().map_or(bit, |moves| moves[bit]));
                rest &= rest - 1;
            }
        }
        aligned
    }
}

/// Players of rows that do not name all of theirs, as their whole run tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenPlayers<'a> {
    /// Slots of a bare mask.
    pub(super) width: usize,
    /// Names that some row of the run switches on, in natural order.
    pub(super) seen: &'a [String],
}

/// SlotAlignments already worked out, so that equal ones share their players.
pub(super) struct AlignmentCache {
    slots: Option<Vec<String>>,
    known: BTreeMap<(Layout, usize), SlotAlignment>,
}

impl AlignmentCache {
    /// An empty one; `slots` gives the order of players where it names all of a row's slots.
    pub(super) fn new(slots: Option<Vec<String>>) -> Self {
        Self { slots, known: BTreeMap::new() }
    }

    /// The alignment of a layout; the players of rows that do not name them all are `open`.
    pub(super) fn align(&mut self, layout: &Layout, open: OpenPlayers<'_>) -> SlotAlignment {
        if let Layout::Seen(names) = layout {
            return self.align_names(names, open.seen.to_vec());
        }
        let width = if *layout == Layout::Open { open.width } else { 0 };
        if let Some(alignment) = self.known.get(&(layout.clone(), width)) {
            return alignment.clone();
        }
        let numbered = |n: usize| (0..n).map(|i| format!("s{i}")).collect();
        let ids: Vec<String> = match layout {
            Layout::Named(ids) | Layout::Seen(ids) => ids.clone(),
            Layout::Width(n) => numbered(*n),
            Layout::Open => numbered(open.width),
        };
        let alignment = self.align_names(&ids, ids.clone());
        self.known.insert((layout.clone(), width), alignment.clone());
        alignment
    }

    /// The alignment of bits that stand for `ids`, where the players are `players`.
    fn align_names(&self, ids: &[String], mut players: Vec<String>) -> SlotAlignment {
        match &self.slots {
            // The order given on the command line is the order of players.
            Some(slots) if players.iter().all(|id| slots.contains(id)) => {
                players.sort_by_key(|id| slots.iter().position(|slot| slot == id));
            }
            _ => players.sort_by(|a, b| natural_order(a, b)),
        }
        let moves: Vec<usize> =
            ids.iter().map(|id| players.iter().position(|player| player == id).unwrap_or(0)).collect();
        let stays = moves.iter().enumerate().all(|(bit, player)| bit == *player);
        SlotAlignment { players: players.into(), moves: (!stays).then_some(moves) }
    }
}
