//! Why a stored state differs, in a word for scripts and a sentence for people.

use super::text::{grouped, short};
use crate::normalization::{Diagnosis, Preset};

/// The word.
pub(super) fn word(diagnosis: &Diagnosis) -> &'static str {
    match diagnosis {
        Diagnosis::Invalid { .. } => "invalid",
        Diagnosis::Swapped => "swapped",
        Diagnosis::Shape { .. } => "shape",
        Diagnosis::Permuted { .. } => "permuted",
        Diagnosis::NeverUpdated => "never_updated",
        Diagnosis::Stale { .. } => "stale",
        Diagnosis::Reset { .. } => "reset",
        Diagnosis::OtherMomentum { .. } => "wrong_momentum",
        Diagnosis::Count => "count",
        Diagnosis::OneStepMore { .. } => "one_step_more",
        Diagnosis::OneStepLess { .. } => "one_step_less",
        Diagnosis::SampleVariance { .. } => "sample_variance",
        Diagnosis::OtherPreset { .. } => "other_preset",
        Diagnosis::OtherRun { .. } => "other_run",
        Diagnosis::Unknown => "unknown",
    }
}

/// The sentence; `asked` is the framework whose rule was asked for.
pub(super) fn sentence(diagnosis: &Diagnosis, asked: Option<Preset>) -> String {
    match diagnosis {
        Diagnosis::Invalid { dimensions } => {
            format!("a variance is negative or a number not finite in dimensions {}", list(dimensions))
        }
        Diagnosis::Swapped => "mean and variance have changed places".to_owned(),
        Diagnosis::Shape { stored, expected, missing } => shape(*stored, *expected, missing),
        Diagnosis::Permuted { order } => {
            format!("the dimensions are in another order; stored as recorded {}", list(order))
        }
        Diagnosis::NeverUpdated => "the state was never updated: it is still the initial one".to_owned(),
        Diagnosis::Stale { updates, of } => {
            let (updates, of) = (grouped(*updates), grouped(*of));
            format!("the state is stale: that of the recording after {updates} of {of} updates")
        }
        Diagnosis::Reset { update, vector_step } => {
            let (step, update) = (grouped(*vector_step), grouped(*update));
            format!(
                "the statistics were reset at vector step {step} (update {update}): a replay from there gives this state"
            )
        }
        Diagnosis::OtherMomentum { momentum: Some(momentum), distance } => {
            format!("another momentum: {momentum} fits best (distance {})", short(*distance))
        }
        Diagnosis::OtherMomentum { momentum: None, distance } => {
            format!("another kind: full history (Welford) fits best (distance {})", short(*distance))
        }
        Diagnosis::Count => {
            "mean and variance are right, the count is not: the next updates would weigh wrongly".to_owned()
        }
        Diagnosis::OneStepMore { rows } => one_step_more(*rows),
        Diagnosis::OneStepLess { rows } => format!(
            "the state has seen one vector step less than is recorded: it is that of the recording without its last {} rows",
            grouped(*rows)
        ),
        Diagnosis::SampleVariance { rows } => format!(
            "the variances are sample variances, divided by n - 1, where the rule's are population variances, divided by \
             n = {}",
            grouped(*rows)
        ),
        Diagnosis::OtherPreset { preset } => {
            let not = asked.map_or_else(String::new, |asked| format!(", not under {}", asked.name()));
            format!("the state matches under {}{not}", preset.name())
        }
        Diagnosis::OtherRun { run_id } => format!("the state is that of run {run_id}"),
        Diagnosis::Unknown => {
            "no explanation found: not stale, reset, reordered or of another momentum; perhaps another recording"
                .to_owned()
        }
    }
}

fn shape(stored: usize, expected: usize, missing: &[usize]) -> String {
    let missing = if missing.is_empty() { "none".to_owned() } else { list(missing) };
    format!(
        "the state has {stored} dimensions, the recording {expected}; recorded dimensions without a match: {missing}"
    )
}

fn one_step_more(rows: u64) -> String {
    format!(
        "the state has seen one vector step more than is recorded ({} rows), as far as that can be checked: its count is \
         that, and the moments leave room for such a step; recordings of what the policy saw lack the observations after \
         the last action",
        grouped(rows)
    )
}

/// The first dimensions.
fn list(dimensions: &[usize]) -> String {
    let shown: Vec<String> = dimensions.iter().take(24).map(ToString::to_string).collect();
    let more = if dimensions.len() > 24 { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}
