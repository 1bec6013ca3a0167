//! Sets of players as what interactions are of.

use serde::{Deserialize, Serialize};

use crate::attribution::slot_order::natural_key;

/// A set of players, by name, in player order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Term(Vec<String>);

impl Term {
    /// The set of these players.
    pub fn new(players: Vec<String>) -> Self {
        Self(players)
    }

    /// The players at these places of `players`.
    pub(super) fn of_members(members: &[usize], players: &[String]) -> Self {
        Self(members.iter().map(|player| players[*player].clone()).collect())
    }

    /// What terms are sorted by: number of players, then natural order.
    pub(super) fn order_key(&self) -> impl Ord + use<> {
        (self.0.len(), self.0.iter().map(|id| natural_key(id)).collect::<Vec<_>>())
    }

    /// Its players.
    pub fn players(&self) -> &[String] {
        &self.0
    }
}
