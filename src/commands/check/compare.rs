//! A result against a baseline: first whether they can be compared at all.

use super::analysis::Analysed;
use crate::baseline::{Judgement, Rules, has_other_units, judge};
use crate::results::{Baseline, CheckResult, CheckRow, SettingChange};

/// Findings, or why there are none.
pub(super) enum CheckOutcome {
    /// The new result was judged.
    Judged(CheckResult),
    /// There is no baseline that the new result could be judged by.
    Unusable {
        /// Why.
        reason: String,
        /// What to do.
        hint: String,
    },
}

impl CheckOutcome {
    /// The check as the document holds it.
    pub(super) fn row(self, name: String, baseline: String, unit: Option<String>) -> CheckRow {
        let row = match self {
            Self::Judged(result) => CheckRow::judged(name, baseline, result),
            Self::Unusable { reason, hint } => CheckRow::incomparable(name, baseline, reason, hint),
        };
        CheckRow { unit, ..row }
    }
}

/// Judges a new result by a baseline, which has to be that of the check `name`, if one is given.
pub(super) fn compare(
    old: &Baseline,
    new: &Analysed,
    name: Option<&str>,
    rules: &Rules,
    judgement: &Judgement,
) -> CheckOutcome {
    match obstacle(old, new, name, judgement.other_runs) {
        Some((reason, hint)) => CheckOutcome::Unusable { reason, hint },
        None => CheckOutcome::Judged(judged(old, new, rules, judgement)),
    }
}

/// The findings, whatever the settings.
pub(super) fn judged(old: &Baseline, new: &Analysed, rules: &Rules, judgement: &Judgement) -> CheckResult {
    judge(&old.metrics, &new.result.metrics, rules, judgement)
}

/// Ids of both sides' metrics.
pub(super) fn ids<'a>(old: &'a Baseline, new: &'a Analysed) -> Vec<&'a str> {
    old.metrics.iter().chain(&new.result.metrics).map(|metric| metric.id.as_str()).collect()
}

/// Why the two cannot be compared, and what to do.
fn obstacle(
    old: &Baseline,
    new: &Analysed,
    name: Option<&str>,
    other_runs: bool,
) -> Option<(String, String)> {
    if name.is_some_and(|name| name != old.name) {
        let hint = "restore its own from version control, or simic check accept --force";
        return Some((format!("this is the baseline of check '{}'", old.name), hint.to_owned()));
    }
    let accept = "use the settings the baseline was made with, or simic check accept --force";
    if old.analysis != new.result.schema {
        let reason = format!("the baseline holds {}, the result is {}", old.analysis, new.result.schema);
        return Some((reason, accept.to_owned()));
    }
    let mut differing = old.measured().settings.differences(&new.result.settings);
    if old.seed != new.result.seed {
        let shown = |seed: Option<u64>| seed.map_or_else(|| "nothing".to_owned(), |seed| seed.to_string());
        differing.push(SettingChange {
            name: "seed".to_owned(),
            before: shown(old.seed),
            now: shown(new.result.seed),
        });
    }
    if !differing.is_empty() {
        let words: Vec<String> = differing
            .iter()
            .map(|change| format!("{} was {}, is {}", change.name, change.before, change.now))
            .collect();
        return Some((format!("other settings: {}", words.join("; ")), accept.to_owned()));
    }
    if other_runs {
        return None;
    }
    let restore =
        "restore what is missing; or say that these are other runs: --other-runs, other_runs = true";
    if has_other_units(&old.metrics, &new.result.metrics) {
        let reason = "none of the runs behind the baseline is behind the new result".to_owned();
        return Some((reason, restore.to_owned()));
    }
    if old.inputs.is_empty() || new.inputs.is_empty() {
        return None;
    }
    let gone: Vec<&String> = old.inputs.keys().filter(|name| !new.inputs.contains_key(*name)).collect();
    let first = gone.first()?;
    let more = if gone.len() > 1 { format!(" and {} more", gone.len() - 1) } else { String::new() };
    Some((format!("{first}{more} is behind the baseline, but was not read"), restore.to_owned()))
}
