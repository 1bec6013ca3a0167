//! Flags of `analyze shapley` that did nothing on the recording at hand: refused, with the reason.
//!
//! What the arguments alone tell is refused before anything is read; here is what only the recording tells.

use crate::attribution::{FEWEST_RANKED_UNITS, Method};
use crate::commands::CommandError;
use crate::results::text::counted;
use crate::results::{GameRow, ShapleyDocument};

/// A flag that was given and whose effect depends on the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Given {
    Permutations,
    Sampling,
    NoAntithetic,
    Convergence,
    Ranking,
    Trend,
    Missing,
    Ci,
    Duplicates,
    Slots,
}

impl Given {
    fn name(self) -> &'static str {
        match self {
            Self::Permutations => "permutations",
            Self::Sampling => "sampling",
            Self::NoAntithetic => "no-antithetic",
            Self::Convergence => "convergence",
            Self::Ranking => "ranking",
            Self::Trend => "trend",
            Self::Missing => "missing",
            Self::Ci => "ci",
            Self::Duplicates => "duplicates",
            Self::Slots => "slots",
        }
    }

    /// Why the flag did nothing; `None` if it did something.
    fn idle_because(self, has_unnamed_slots: bool, games: &[&GameRow], has_units: bool) -> Option<String> {
        let uses_walks = |game: &GameRow| game.walks_recorded > 0 && game.method == Method::Permutation;
        match self {
            Self::Ranking | Self::Trend => None,
            Self::Slots => (!has_unnamed_slots)
                .then(|| "it names the slots of bare masks, and these rows name their own".to_owned()),
            Self::Convergence => {
                (games.iter().all(|game| game.method != Method::Permutation)).then(|| {
                    format!("it is about values that are sampled, and none is: {}", source(games))
                })
            }
            Self::Permutations | Self::Sampling | Self::NoAntithetic | Self::Missing => {
                let is_drawn = |game: &&GameRow| game.method == Method::Permutation && game.walks_recorded == 0;
                (!games.iter().any(is_drawn)).then(|| {
                    format!("it is about permutations that simic draws, and none was: {}", source(games))
                })
            }
            Self::Duplicates => games.iter().all(|game| uses_walks(game)).then(|| {
                "every recorded permutation uses the values of its own rows, so that no coalition is there twice"
                    .to_owned()
            }),
            Self::Ci => (!has_units && games.iter().all(|game| game.method != Method::Permutation)).then(|| {
                "it is about intervals from a sample of units, and there is one unit; \
                 what interval there is comes from repeated evaluations, by Student's t"
                    .to_owned()
            }),
        }
    }
}

/// Why there is no order of slots.
fn unranked(documents: &[ShapleyDocument], units: u64) -> Option<String> {
    let slots = documents.iter().map(|document| document.summary.len()).max().unwrap_or(0);
    let is_biased = documents.iter().flat_map(|document| &document.games).any(|game| game.biased);
    let has_none = documents.iter().all(|document| document.ranking.is_none());
    has_none.then(|| {
        if is_biased {
            return "coalitions are missing, and an order of biased values would be none".to_owned();
        }
        format!(
            "it is about an order that other units could change, and needs 2 slots and {FEWEST_RANKED_UNITS} units; here are \
             {} and {}",
            counted(slots as u64, "slot"),
            counted(units, "unit")
        )
    })
}

/// Why there is no trend.
fn untrended(documents: &[ShapleyDocument]) -> Option<String> {
    let has_none = |document: &ShapleyDocument| document.trend.as_ref().is_none_or(Vec::is_empty);
    documents.iter().all(has_none).then(|| {
        "it is about change from episode to episode, and no run has a slot in two episodes".to_owned()
    })
}

/// Where values came from instead of drawn permutations.
fn source(games: &[&GameRow]) -> &'static str {
    let is_all = |method: Method| games.iter().all(|game| game.method == method);
    if is_all(Method::Permutation) {
        "the recording has walks of its own, and they are the sample"
    } else if is_all(Method::Exact) {
        "every game is complete, and its values are exact"
    } else {
        "--method permutation draws them"
    }
}

/// Refuses flags that changed nothing.
///
/// # Errors
/// The first of `given` without effect, with the reason.
pub(in crate::commands) fn refuse_idle(
    given: &[Given],
    has_unnamed_slots: bool,
    documents: &[ShapleyDocument],
) -> Result<(), CommandError> {
    let games: Vec<&GameRow> = documents.iter().flat_map(|document| &document.games).collect();
    let has_units = documents.iter().flat_map(|document| &document.summary).any(|row| row.n_units > 1);
    let units = documents.iter().flat_map(|document| &document.summary).map(|row| row.n_units).max();
    for flag in given {
        let reason = match flag {
            Given::Ranking => unranked(documents, units.unwrap_or(0)),
            Given::Trend => untrended(documents),
            flag => flag.idle_because(has_unnamed_slots, &games, has_units),
        };
        if let Some(reason) = reason {
            let name = flag.name();
            return Err(CommandError::idle(
                name,
                format!("changes nothing here: {reason}"),
                format!("leave --{name} out"),
            ));
        }
    }
    Ok(())
}
