//! Stored numbers against new ones: findings and a verdict.
//!
//! Pure: metrics in, findings out. It knows nothing of files, analyses or continuous integration.

mod judge;
mod metric;
mod rule;

pub use judge::{CheckResult, Finding, Judgement, Verdict, has_other_units, judge};
pub use metric::{Direction, Metric};
pub use rule::{Allowance, DriftStatistic, Method, Mode, Rule, RuleError, RuleText, Rules};
