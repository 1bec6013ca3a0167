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

    /// The alignment of a layout; a bare mask stands for `open_width` slots.
    pub(super) fn align(&mut self, layout: &Layout, open_width: usize) -> SlotAlignment {
        let width = if *layout == Layout::Open { open_width } else { 0 };
        if let Some(alignment) = self.known.get(&(layout.clone(), width)) {
            return alignment.clone();
        }
        let alignment = self.work_out(layout, open_width);
        self.known.insert((layout.clone(), width), alignment.clone());
        alignment
    }

    fn work_out(&self, layout: &Layout, open_width: usize) -> SlotAlignment {
        let numbered = |n: usize| (0..n).map(|i| format!("s{i}")).collect();
        let ids: Vec<String> = match layout {
            Layout::Named(ids) => ids.clone(),
            Layout::Width(n) => numbered(*n),
            Layout::Open => numbered(open_width),
        };
        let mut players = ids.clone();
        match &self.slots {
            // The order given on the command line is the order of players.
            Some(slots) if ids.iter().all(|id| slots.contains(id)) => {
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
