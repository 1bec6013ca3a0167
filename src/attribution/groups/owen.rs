//! Owen values: what players get where unions divide the whole first, and their members divide what a union gets.
//!
//! # Formula
//! For a union B_k of m unions, the inner game of its members is
//! v_k(T) = sum over R in M - k of r!(m-1-r)!/m! v(Q_R + T), Q_R the players of the unions in R. The Owen value of a player is his
//! Shapley value in the inner game of his union; interactions within a union are those of the inner game. Only coalitions in
//! which every union but one is on or off as a whole are looked at. Distinct T look at distinct coalitions, so the values of an
//! inner game have independent errors: Var v_k(T) = sum of squared weights times Var v.
//!
//! # Source
//! Owen, *Values of games with a priori unions*, in *Essays in Mathematical Economics and Game Theory*, 1977.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::rules::Partition;
use crate::attribution::GameError;
use crate::attribution::coalition::{describe, insert, words_for};
use crate::attribution::exact::MAX_PLAYERS;
use crate::attribution::game::{CoalitionTable, Game};
use crate::attribution::noise::{Degrees, Noise, NoiseVariances};
use crate::attribution::weights::shapley_weights;
use crate::stats::pairwise_sum;

/// Missing coalitions spelled out in a message.
const MISSING_NAMED: usize = 4;

/// Players divided into unions; what is known of a list of players is kept.
#[derive(Debug)]
pub struct Unions {
    partition: Partition,
    known: Mutex<Vec<KnownUnions>>,
}

/// A list of players, and its unions.
type KnownUnions = (Arc<[String]>, Arc<[Vec<usize>]>);

/// The inner game of one union.
#[derive(Debug, Clone)]
pub(in crate::attribution) struct InnerGame {
    /// Its players, by place in the whole game.
    pub(in crate::attribution) members: Vec<usize>,
    /// Values by mask over the members.
    pub(in crate::attribution) values: Vec<f64>,
    /// Their noise, where some coalition was repeated.
    pub(in crate::attribution) noise: Option<NoiseVariances>,
}

impl Unions {
    /// Unions of a partition.
    pub fn new(partition: Partition) -> Self {
        Self { partition, known: Mutex::new(Vec::new()) }
    }

    /// Players that the partition names and no game seen has.
    pub fn unmatched(&self) -> Vec<&str> {
        let Partition::Named(unions) = &self.partition else { return Vec::new() };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let there: BTreeSet<&str> =
            known.iter().flat_map(|(players, _)| players.iter()).map(String::as_str).collect();
        unions.values().flatten().map(String::as_str).filter(|player| !there.contains(player)).collect()
    }

    /// The unions of a list of players, in order of their first player.
    fn of(&self, players: &Arc<[String]>) -> Arc<[Vec<usize>]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, unions)) = known.iter().find(|(other, _)| Arc::ptr_eq(other, players)) {
            return Arc::clone(unions);
        }
        let mut unions: Vec<(&str, Vec<usize>)> = Vec::new();
        for (player, id) in players.iter().enumerate() {
            let name = self.partition.union_of(id);
            match unions.iter_mut().find(|(other, _)| *other == name) {
                Some((_, members)) => members.push(player),
                None => unions.push((name, vec![player])),
            }
        }
        let members: Arc<[Vec<usize>]> = unions.into_iter().map(|(_, members)| members).collect();
        known.push((Arc::clone(players), Arc::clone(&members)));
        members
    }

    /// The inner games of all unions.
    ///
    /// # Errors
    /// Coalitions that are not recorded, by name, and games that are too large.
    pub(in crate::attribution) fn inner_games(&self, game: &Game) -> Result<Vec<InnerGame>, GameError> {
        let unions = self.of(&game.players);
        let n = game.table.n_players();
        let largest = unions.iter().map(Vec::len).max().unwrap_or(0);
        if unions.len() + largest > MAX_PLAYERS {
            return Err(GameError::UnionsTooLarge { n_unions: unions.len(), largest });
        }
        let masks: Vec<Vec<u64>> = unions
            .iter()
            .map(|members| {
                let mut mask = vec![0; words_for(n)];
                members.iter().for_each(|player| insert(&mut mask, *player));
                mask
            })
            .collect();
        let noise = game.table.noise().map(Noise::mean_variances);
        let mut missing = BTreeSet::new();
        let inner: Vec<InnerGame> = (0..unions.len())
            .map(|union| {
                let others: Vec<&[u64]> = masks
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != union)
                    .map(|(_, mask)| mask.as_slice())
                    .collect();
                inner_game(&game.table, &unions[union], &others, noise.as_ref(), &mut missing)
            })
            .collect();
        if missing.is_empty() {
            return Ok(inner);
        }
        Err(GameError::MissingUnions {
            missing: missing.len(),
            spelled: missing
                .iter()
                .take(MISSING_NAMED)
                .map(|mask| describe(&mask.iter().rev().copied().collect::<Vec<u64>>(), &game.players))
                .collect(),
        })
    }
}

/// The inner game of the union `members` beside the unions `others`; coalitions that are not recorded go to `missing`.
fn inner_game(
    table: &CoalitionTable,
    members: &[usize],
    others: &[&[u64]],
    noise: Option<&NoiseVariances>,
    missing: &mut BTreeSet<Vec<u64>>,
) -> InnerGame {
    let weights = shapley_weights(others.len() + 1);
    let words = words_for(table.n_players());
    // Masks of all unions of others, one after the other.
    let mut outside = Vec::with_capacity(words << others.len());
    for chosen in 0..1usize << others.len() {
        let start = outside.len();
        outside.resize(start + words, 0);
        let on = others.iter().enumerate().filter(|(other, _)| chosen >> other & 1 == 1);
        on.for_each(|(_, own)| join(&mut outside[start..], own));
    }
    let origin = table.empty_value().unwrap_or(0.0);
    let (mut own, mut coalition) = (vec![0; words], vec![0; words]);
    let n_inner = 1usize << members.len();
    let mut values = Vec::with_capacity(n_inner);
    let mut variances = Vec::with_capacity(n_inner);
    let mut degrees = Vec::with_capacity(n_inner);
    for inner in 0..n_inner {
        own.fill(0);
        let on = members.iter().enumerate().filter(|(place, _)| inner >> place & 1 == 1);
        on.for_each(|(_, player)| insert(&mut own, *player));
        let mut terms = Vec::with_capacity(1 << others.len());
        let (mut variance, mut fourth) = (0.0, 0.0);
        for (chosen, mask) in outside.chunks_exact(words).enumerate() {
            let weight = weights[chosen.count_ones() as usize];
            coalition.copy_from_slice(mask);
            join(&mut coalition, &own);
            let Some(position) = table.position(&coalition) else {
                // The highest word first: coalitions are in ascending order.
                missing.insert(coalition.iter().rev().copied().collect());
                continue;
            };
            terms.push(weight * (table.values()[position] - origin));
            if let Some(noise) = noise {
                let part = weight * weight * noise.variances[position];
                variance += part;
                if let Degrees::PerCoalition(own) = &noise.degrees {
                    fourth += part * part / own[position];
                }
            }
        }
        values.push(pairwise_sum(&terms));
        variances.push(variance);
        degrees.push(variance * variance / fourth);
    }
    let noise = noise.map(|noise| NoiseVariances {
        variances,
        degrees: match &noise.degrees {
            Degrees::Pooled(pooled) => Degrees::Pooled(*pooled),
            Degrees::PerCoalition(_) => Degrees::PerCoalition(degrees),
        },
    });
    InnerGame { members: members.to_vec(), values, noise }
}

/// Adds the players of `more` to a coalition.
fn join(coalition: &mut [u64], more: &[u64]) {
    coalition.iter_mut().zip(more).for_each(|(word, more)| *word |= more);
}
