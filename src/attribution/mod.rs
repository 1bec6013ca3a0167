//! Attribution: recorded coalition values in, contributions with uncertainty out.
//!
//! Pure computation: no I/O, no clock, no hidden randomness. Definitions and sources stand in docs/methods.md.

mod ablation;
mod bounds;
mod cluster;
pub mod coalition;
mod convergence;
mod exact;
mod game;
mod groups;
mod inference;
mod interactions;
mod least_squares;
mod logged;
mod marginal_deviations;
mod monotone;
mod noise;
mod permutation;
mod permutation_design;
mod ranks;
mod repeats;
mod rounding;
mod shapley;
mod slot_order;
mod sources;
mod term_summary;
mod trends;
mod weights;

pub use ablation::{
    AblationEngine, AblationResult, AblationSettings, AblationSummary, AblationTerm, Measure, MeasuredValue,
    SignDisagreement, summarize_ablation,
};
pub use bounds::{ShapleyBounds, ValueRange, shapley_bounds};
pub use cluster::{Cluster, ClusterRequest, UnitMean, n_runs, unit_means};
pub use convergence::{Convergence, ConvergenceRequest, Look, Stop};
pub use exact::{ExactKernel, MAX_PLAYERS, NoiseError};
pub(crate) use game::CoalitionTableBuilder;
pub use game::{CoalitionTable, Game, GameKey, RepeatedCoalition, Repeats, Walk};
pub use groups::{GroupRule, Partition, PartitionRule, Quotient, Unions, fits_pattern};
pub use inference::{PlayerSummary, Summary, summarize, summarize_players};
use interactions::MOST_PARTS;
pub use interactions::{
    Contribution, InteractionEngine, InteractionIndex, InteractionKernel, InteractionResult,
    InteractionSettings, InteractionSummaries, InteractionSummary, Orientation, Regime, RegimeRule, Term,
    summarize_interactions,
};
pub use least_squares::{COVARIANCE_PLAYERS, KernelFit, KernelQuality, kernel_values};
pub use logged::{ERRORS, Logged, LoggedComparison, LoggedPlayer, LoggedReason, compare_logged};
pub use monotone::Monotone;
pub use noise::{Degrees, Noise, NoiseVariances};
pub use permutation::{
    MissingPolicy, PermutationSettings, UnitMarginals, drawn_marginals, drawn_noise, recorded_marginals,
};
pub use permutation_design::PermutationDesign;
pub use ranks::{Best, FEWEST_RANKED_UNITS, Neighbours, PlayerRank, Ranks, rank_players};
pub use rounding::rounding_floor;
pub use shapley::{
    GameResult, Method, MethodRequest, NextEvaluation, PlayerValue, ShapleyEngine, ShapleySettings,
};
pub(crate) use slot_order::natural_order;
pub use sources::{PlayerPlan, PlayerSources, VarianceSources, player_sources};
pub use term_summary::{Coverage, Inference, TermSummaries, TermSummary, UnitTest};
pub use trends::{Trend, TrendUnit, trends};
pub use weights::shapley_weights;

/// Groups of players spelled out in a message.
const GROUPS_NAMED: usize = 3;

/// Why a game has no value under the method asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GameError {
    /// The coalition of no player was not recorded.
    #[error("the empty coalition {{}} is not recorded")]
    NoEmptyCoalition,
    /// The coalition of all players was not recorded.
    #[error("the full coalition is not recorded")]
    NoFullCoalition,
    /// An exact value needs all coalitions.
    #[error("{recorded} of {} coalitions are recorded; missing: {}", power(*total), named(.missing, *total - *recorded as f64))]
    Incomplete {
        /// Coalitions recorded.
        recorded: usize,
        /// 2^n.
        total: f64,
        /// The first missing ones, spelled out.
        missing: Vec<String>,
        /// What else would work.
        advice: String,
    },
    /// A permutation visited a coalition that was not recorded.
    #[error(
        "{visits} of {visited} coalition visits found no recorded value ({recorded} of {} coalitions are recorded)",
        power(*total)
    )]
    UnrecordedCoalition {
        /// Visits that failed.
        visits: u64,
        /// All visits.
        visited: u64,
        /// Coalitions recorded.
        recorded: usize,
        /// 2^n.
        total: f64,
    },
    /// The recorded coalitions leave some values undetermined.
    #[error(
        "the recorded coalitions determine {rank} of the {needed} differences between players that a fit needs: {}",
        apart(groups)
    )]
    NotIdentifiable {
        /// Differences determined.
        rank: usize,
        /// n - 1.
        needed: usize,
        /// Players that cannot be told apart, group by group, spelled out.
        groups: Vec<String>,
        /// A coalition that determines one difference more, spelled out.
        evaluation: String,
    },
    /// The recorded coalitions leave some single or pairwise effects undetermined.
    #[error(
        "the {recorded} recorded coalitions determine {rank} of the {needed} differences between effects that a fit of single \
         players and pairs needs"
    )]
    PairsNotIdentifiable {
        /// Differences determined.
        rank: usize,
        /// Effects less one.
        needed: usize,
        /// A coalition that determines one more, spelled out.
        evaluation: String,
        /// Coalitions recorded.
        recorded: usize,
    },
    /// An index of small coalitions lacks some.
    #[error("{missing} of the coalitions that --index {index} is made of are not recorded: {}", named(spelled, *missing as f64))]
    MissingSmall {
        /// How many.
        missing: usize,
        /// The first of them, spelled out.
        spelled: Vec<String>,
        /// Which index.
        index: &'static str,
    },
    /// Rows that no measure of ablation can be made of.
    #[error("no two recorded coalitions make a removal cost, a first-in gain or a marginal effect")]
    NothingToAblate,
    /// A player that patterns put in two groups.
    #[error("--group puts slot {player} in group {first} and in group {second}")]
    OverlappingGroups {
        /// The player.
        player: String,
        /// A group.
        first: String,
        /// Another.
        second: String,
    },
    /// A group called like a player outside it.
    #[error("--group: a group is called {name}, as is a slot outside it")]
    GroupNamedAsPlayer {
        /// The name.
        name: String,
    },
    /// Unions too many or too large for their coalitions.
    #[error(
        "{n_unions} unions, the largest of {largest} slots: Owen values take at most {MAX_PLAYERS} together"
    )]
    UnionsTooLarge {
        /// Unions.
        n_unions: usize,
        /// Players of the largest.
        largest: usize,
    },
    /// Coalitions that Owen values look at and that are not recorded.
    #[error(
        "{missing} coalitions in which every union but one is on or off as a whole are not recorded: {}",
        named(spelled, *missing as f64)
    )]
    MissingUnions {
        /// How many.
        missing: usize,
        /// The first of them, spelled out.
        spelled: Vec<String>,
    },
    /// Recorded values that go the wrong way.
    #[error(
        "--monotone: {smaller} has {} and {larger}, which holds it, {}: a slot makes it worse",
        values.0, values.1
    )]
    NotMonotone {
        /// The coalition within.
        smaller: String,
        /// The one around it.
        larger: String,
        /// Their values.
        values: (f64, f64),
    },
    /// Too many players for bounds of monotone games.
    #[error("{0} players: bounds of monotone games go through all coalitions of at most 22")]
    TooManyForMonotone(usize),
    /// Terms of more players than there are.
    #[error("--order {order} of a game of {n_players} players")]
    OrderAboveGame {
        /// Order asked for.
        order: usize,
        /// Players.
        n_players: usize,
    },
    /// More terms than are of use.
    #[error(
        "--order {order} of {n_players} players makes {n_terms:.0} terms of {parts:.0} coalitions: at most {:.0} can be gone \
         through, as of order 5 of 30 players or order 2 of 2896",
        MOST_PARTS
    )]
    TooManyTerms {
        /// Order asked for.
        order: usize,
        /// Players.
        n_players: usize,
        /// Terms.
        n_terms: f64,
        /// Their parts.
        parts: f64,
    },
    /// Too many players for a fit of pairs.
    #[error("{n_players} players: pairs are fitted for at most {most} of them where coalitions are missing")]
    TooManyForPairs {
        /// Players.
        n_players: usize,
        /// Most players.
        most: usize,
    },
    /// No method applies to what was recorded.
    #[error("no method applies: {recorded} of {} coalitions are recorded; missing: {}", power(*total), named(.missing, *total - *recorded as f64))]
    NoMethod {
        /// Coalitions recorded.
        recorded: usize,
        /// 2^n.
        total: f64,
        /// The first missing ones, spelled out.
        missing: Vec<String>,
        /// What `bounds` would give.
        advice: String,
    },
    /// Finite values whose differences or squares are not.
    #[error("the values are so large that their differences or squares overflow")]
    Overflow,
    /// Too many players for an exact table.
    #[error("{0} players: an exact table takes at most {MAX_PLAYERS}")]
    TooManyPlayers(usize),
    /// Bounds need the range of unseen values.
    #[error("--method bounds needs --range LO,HI, the range unseen values can lie in")]
    NoRange,
    /// A recorded value lies outside the range given for the unseen ones.
    #[error("the recorded value {value} of coalition {coalition} lies outside --range {low},{high}")]
    OutsideRange {
        /// The coalition.
        coalition: String,
        /// Its value.
        value: f64,
        /// Range given.
        low: f64,
        /// Range given.
        high: f64,
    },
    /// No permutation was asked for.
    #[error("--permutations must be at least 1")]
    NoPermutations,
}

impl GameError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Incomplete { advice, .. } | Self::NoMethod { advice, .. } => Some(advice.clone()),
            Self::UnrecordedCoalition { .. } => Some(
                "--missing skip uses what is recorded and marks the results biased; --method kernel or bounds \
                 need no complete walks"
                    .to_owned(),
            ),
            Self::NoEmptyCoalition | Self::NoFullCoalition => Some(
                "a fit needs both ends; --method bounds --range LO,HI works with any coalitions".to_owned(),
            ),
            Self::NotIdentifiable { .. } => self
                .evaluation()
                .map(|evaluation| format!("{evaluation}; or use --method bounds --range LO,HI")),
            Self::TooManyPlayers(_) => Some("use --method permutation or kernel".to_owned()),
            Self::OutsideRange { .. } => Some("widen --range so that it holds every recorded value".to_owned()),
            Self::PairsNotIdentifiable { rank, needed, evaluation, .. } => {
                let next = match needed - rank {
                    1 => format!("record {evaluation}: that one evaluation settles it"),
                    more => format!("record {evaluation} next; {more} well-chosen evaluations settle it"),
                };
                Some(format!("{next}; --index moebius needs coalitions of up to --order players alone"))
            }
            Self::MissingSmall { .. } => {
                Some("record them, or fit pairs to what is recorded: --index k-sii --order 2".to_owned())
            }
            Self::NothingToAblate => Some(
                "record the full coalition and the one without a slot, or the empty one and a slot alone".to_owned(),
            ),
            Self::NotMonotone { .. } => {
                Some("leave --monotone out; noise alone can make a slot look harmful".to_owned())
            }
            Self::TooManyForMonotone(_) => Some("leave --monotone out".to_owned()),
            Self::OverlappingGroups { .. } => Some("every slot belongs to one group at most".to_owned()),
            Self::GroupNamedAsPlayer { .. } => Some("give the group another name".to_owned()),
            Self::UnionsTooLarge { .. } => Some("fewer or smaller unions; --group needs whole groups alone".to_owned()),
            Self::MissingUnions { .. } => {
                Some("record them; --group GLOB=NAME needs only coalitions of whole groups".to_owned())
            }
            Self::OrderAboveGame { n_players, .. } => Some(format!("--order {n_players} holds every term")),
            Self::TooManyTerms { .. } => Some("lower --order, or make slots one: --group GLOB=NAME".to_owned()),
            Self::TooManyForPairs { .. } => Some(
                "--index moebius needs coalitions of up to --order players alone, whatever else is missing".to_owned(),
            ),
            Self::Overflow => Some("rescale the value column before it is recorded".to_owned()),
            Self::NoRange | Self::NoPermutations => None,
        }
    }

    /// What to record so that a fit becomes possible, where that is what is missing.
    fn evaluation(&self) -> Option<String> {
        let Self::NotIdentifiable { rank, needed, evaluation, .. } = self else { return None };
        Some(match needed - rank {
            1 => format!("record {evaluation}: that one evaluation settles it"),
            evaluations => format!(
                "record {evaluation} next; {evaluations} well-chosen evaluations settle it, one difference each"
            ),
        })
    }
}

/// Groups of players that cannot be told apart.
fn apart(groups: &[String]) -> String {
    let mut text = String::new();
    for (place, group) in groups.iter().take(GROUPS_NAMED).enumerate() {
        text.push_str(if place == 0 { "" } else { ", nor can " });
        text.push_str(group);
        text.push_str(if place == 0 { " cannot be told apart" } else { "" });
    }
    match groups.len() {
        0 | 1 => text.push_str("; only their sum is known"),
        n if n <= GROUPS_NAMED => text.push_str("; only the sum of each group is known"),
        n => text.push_str(&format!(", nor {} groups more; only the sum of each is known", n - GROUPS_NAMED)),
    }
    text
}

/// A number of coalitions: written out while it is exact, else as a power of two.
fn power(total: f64) -> String {
    match total {
        total if total < 9e15 => format!("{total}"),
        total if total.is_finite() => format!("2^{}", total.log2()),
        _ => "more than 2^1023".to_owned(),
    }
}

fn named(missing: &[String], n_missing: f64) -> String {
    let mut text = missing.join(", ");
    if n_missing > missing.len() as f64 {
        text.push_str(", ...");
    }
    text
}
