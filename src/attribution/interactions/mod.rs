//! Interaction indices: how much more, or less, players are worth together than apart.
//!
//! One mould for every index: a linear functional of the recorded values whose coefficients depend on how a coalition meets
//! the term and on its size (`indices`). Its value and its evaluation noise are superset sums of the table
//! (`superset_sums`), for all terms together; its covariances follow from the same coefficients. Where coalitions are
//! missing, indices of order 1 and 2 are those of the fitted game of pairs (`fitted`). Terms are lists of players; masks of one
//! word where a table of all coalitions is.

mod engine;
mod fitted;
mod indices;
mod kernel;
mod regime;
mod result;
mod sets;
mod summary;
mod superset_sums;
mod terms;
#[cfg(test)]
mod tests;

pub use engine::InteractionEngine;
pub(super) use engine::MOST_PARTS;
pub use indices::InteractionIndex;
pub use kernel::InteractionKernel;
pub use regime::{Orientation, Regime, RegimeRule};
pub use result::{Contribution, InteractionResult, InteractionSettings};
pub use summary::{InteractionSummaries, InteractionSummary, summarize_interactions};
pub use terms::Term;
