//! Groups of players as one player each: the quotient game.
//!
//! # Formula
//! v_Q(R) = v(union of the groups in R): only coalitions in which every group is on or off as a whole are looked at, 2^m of them
//! for m groups, so that tables that are incomplete elsewhere do.
//!
//! # Source
//! Owen, *Values of games with a priori unions*, 1977.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::rules::GroupRule;
use crate::attribution::GameError;
use crate::attribution::coalition::{contains, insert, words_for};
use crate::attribution::game::Game;
use crate::attribution::slot_order::natural_key;

/// Makes quotient games; what is known of a list of players is kept.
#[derive(Debug)]
pub struct Quotient {
    rules: Vec<GroupRule>,
    has_matched: Vec<AtomicBool>,
    known: Mutex<Vec<(Arc<[String]>, Grouped)>>,
}

/// The players of a quotient game, and who is in each.
#[derive(Debug, Clone)]
struct Grouped {
    names: Arc<[String]>,
    members: Arc<[Vec<usize>]>,
}

impl Quotient {
    /// Groups by these rules; without any every game is its own quotient.
    pub fn new(rules: Vec<GroupRule>) -> Self {
        let has_matched = rules.iter().map(|_| AtomicBool::new(false)).collect();
        Self { rules, has_matched, known: Mutex::new(Vec::new()) }
    }

    /// Whether there is any group.
    pub fn is_trivial(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules that fitted no player of the games seen.
    pub fn unmatched(&self) -> Vec<&GroupRule> {
        let matched = self.has_matched.iter().map(|matched| matched.load(Ordering::Relaxed));
        self.rules.iter().zip(matched).filter(|(_, matched)| !matched).map(|(rule, _)| rule).collect()
    }

    /// The quotient of a game. Recorded walks, which are of single players, are left out.
    ///
    /// # Errors
    /// A player in two groups, or a group named as a player outside it.
    pub fn of(&self, game: &Game) -> Result<Game, GameError> {
        let grouped = self.grouped(&game.players)?;
        let n = grouped.names.len();
        let words = words_for(n);
        let table = game.table.mapped(n, |mask| {
            let mut coalition = vec![0; words];
            for (group, members) in grouped.members.iter().enumerate() {
                let n_in = members.iter().filter(|player| contains(mask, **player)).count();
                if n_in == members.len() {
                    insert(&mut coalition, group);
                } else if n_in > 0 {
                    return None;
                }
            }
            Some(coalition)
        });
        Ok(Game { key: game.key.clone(), players: grouped.names, table, walks: Vec::new(), n_bad_walks: 0 })
    }

    fn grouped(&self, players: &Arc<[String]>) -> Result<Grouped, GameError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, grouped)) = known.iter().find(|(other, _)| Arc::ptr_eq(other, players)) {
            return Ok(grouped.clone());
        }
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for (player, id) in players.iter().enumerate() {
            let name = self.group_of(id)?.map_or(id.as_str(), |rule| &rule.name);
            match groups.iter_mut().find(|(other, _)| other == name) {
                Some((_, members)) => members.push(player),
                None => groups.push((name.to_owned(), vec![player])),
            }
        }
        // A player outside a group that is called like it would have joined it by name.
        for (name, members) in &groups {
            let outside = members.iter().find(|player| players[**player] == *name);
            if let Some(player) =
                outside.filter(|player| members.len() > 1 && self.group_of(&players[**player]) == Ok(None))
            {
                return Err(GameError::GroupNamedAsPlayer { name: players[*player].clone() });
            }
        }
        groups.sort_by_cached_key(|(name, _)| natural_key(name));
        let (names, members): (Vec<String>, Vec<Vec<usize>>) = groups.into_iter().unzip();
        let grouped = Grouped { names: names.into(), members: members.into() };
        known.push((Arc::clone(players), grouped.clone()));
        Ok(grouped)
    }

    /// The rule that a player falls under.
    fn group_of(&self, id: &str) -> Result<Option<&GroupRule>, GameError> {
        let mut found: Option<&GroupRule> = None;
        for (rule, matched) in self.rules.iter().zip(&self.has_matched) {
            if !rule.fits(id) {
                continue;
            }
            matched.store(true, Ordering::Relaxed);
            match found {
                Some(other) if other.name != rule.name => {
                    return Err(GameError::OverlappingGroups {
                        player: id.to_owned(),
                        first: other.name.clone(),
                        second: rule.name.clone(),
                    });
                }
                _ => found = Some(rule),
            }
        }
        Ok(found)
    }
}
