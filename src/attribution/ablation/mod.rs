//! Ablation: what each player is worth by four measures side by side, from whatever rows there are.
//!
//! Leave-one-out recordings (n + 1 rows) have removal costs, those with every player alone as well first-in gains; complete
//! tables have all four. A measure whose rows are missing is absent, not estimated.

mod engine;
mod measure;
mod result;
mod summary;
#[cfg(test)]
mod tests;

pub use engine::AblationEngine;
pub use measure::Measure;
pub use result::{AblationResult, AblationSettings, AblationTerm, MeasuredValue};
pub use summary::{AblationSummary, SignDisagreement, summarize_ablation};
