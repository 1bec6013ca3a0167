//! Stored numbers against new ones: findings and a verdict.
//!
//! Pure: metrics in, findings out. It knows nothing of files, analyses or continuous integration.

mod judge;
mod resolution;
mod rule;

pub use judge::{Judgement, has_other_units, judge};
pub use resolution::resolutions;
pub use rule::{DriftStatistic, Method, Mode, Rule, RuleError, RuleText, Rules, Tolerance};
