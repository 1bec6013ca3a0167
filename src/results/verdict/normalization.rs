//! What running statistics say: of what they are, whether the distribution shifts, and what to know before they are used.

use crate::results::text::{counted, grouped, listed, share};
use crate::results::{DiagnosticsRow, DriftRow, NormalizationDocument, RunRow};

/// Weight of the initial state from which on statistics are not settled.
const LEAST_PRIOR: f64 = 0.01;

/// Share of values clipped from which on it is told.
const LEAST_CLIPPED: f64 = 0.01;

impl NormalizationDocument {
    /// The document with its conclusion.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        self.verdict = sentences(&self);
        self
    }

    /// Runs, or environments where each has statistics of its own.
    fn units(&self, n: usize) -> String {
        let noun = if self.runs.iter().any(|run| run.env_id.is_some()) { "environment" } else { "run" };
        counted(n as u64, noun)
    }
}

fn sentences(document: &NormalizationDocument) -> Vec<String> {
    let Some(first) = document.runs.first() else { return Vec::new() };
    let mut sentences = vec![done(document, first), shifts(document)];
    sentences.extend(caution(document));
    sentences
}

/// What was done, and of how much.
fn done(document: &NormalizationDocument, first: &RunRow) -> String {
    let rows = counted(document.rows, "row");
    let of = document.units(document.runs.len());
    let updates: u64 = document.runs.iter().map(|run| run.updates).sum();
    let updates = counted(updates, "update");
    let width = first.mean.len();
    let what = match (&document.target[..], width) {
        ("obs", n) => counted(n as u64, "dimension"),
        (target, _) => format!("the {target}"),
    };
    match document.clip_fraction {
        Some(clipped) if clipped > 0.0 => {
            format!("{rows} of {of} normalized in {updates}: {} of the values are clipped.", share(clipped))
        }
        Some(_) => format!("{rows} of {of} normalized in {updates}, none of the values clipped."),
        None => format!("{rows} of {of}, {updates}: the final statistics of {what}."),
    }
}

/// Whether the distribution shifts.
fn shifts(document: &NormalizationDocument) -> String {
    let shifted: Vec<(&RunRow, &DriftRow)> =
        document.runs.iter().filter_map(|run| Some((run, run.diagnostics.drift.as_ref()?))).collect();
    let reasons =
        document.runs.iter().filter_map(|run| run.diagnostics.drift_test.as_ref()?.reason.as_deref());
    let reason = reasons.clone().next();
    let untold = reasons.count();
    let level = document.runs.iter().find_map(|run| Some(run.diagnostics.drift_test.as_ref()?.level));
    let alarms = level.map_or_else(String::new, |level| {
        format!(" (a steady recording raises a false alarm at most {} of the time)", share(level))
    });
    let Some((run, change)) = shifted.first() else {
        let n = document.runs.len();
        return match reason {
            Some(reason) if untold == n => {
                format!("Whether the distribution shifts cannot be told for {reason}.")
            }
            Some(reason) => {
                format!("No shift of the distribution is found; {untold} of {n} cannot tell it for {reason}.")
            }
            None => format!("No shift of the distribution is found{alarms}."),
        };
    };
    let names = document.dimension_names();
    let place = match change.vector_step {
        Some(step) if step != change.update => {
            format!("update {} (vector step {})", grouped(change.update), grouped(step))
        }
        _ => format!("update {}", grouped(change.update)),
    };
    let strongest: Vec<&str> = change
        .dimensions
        .iter()
        .map(|changed| names.get(changed.dimension).map_or("?", String::as_str))
        .collect();
    let which = if document.runs.len() == 1 {
        String::new()
    } else {
        format!(" in {} of {}, first in {},", shifted.len(), document.units(document.runs.len()), run.name())
    };
    let statistic = change.dimensions.first().and_then(|changed| changed.statistic.as_deref());
    let what = match statistic {
        Some("variance") => "spread",
        Some("mean and variance") => "mean and spread",
        _ => "mean",
    };
    let dimensions = match strongest.len() {
        0 => String::new(),
        1 => format!(" in the {what} of {}", strongest[0]),
        n => format!(" in the {what} of {} and {}", strongest[0], counted(n as u64 - 1, "other")),
    };
    let follow = lag(&run.diagnostics);
    format!("The distribution shifts{which} at {place}{dimensions}{follow}{alarms}.")
}

/// How long a moving average takes to follow.
fn lag(diagnostics: &DiagnosticsRow) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of updates"
    )]
    let updates = diagnostics.lag_updates.map(|lag| lag.ceil() as u64);
    updates.map_or_else(String::new, |n| format!("; the statistics need {} to follow", counted(n, "update")))
}

/// The one thing to know before the statistics are used, if there is one.
fn caution(document: &NormalizationDocument) -> Option<String> {
    let all = || document.runs.iter().map(|run| &run.diagnostics);
    let names = document.dimension_names();
    let of = |pick: &dyn Fn(&DiagnosticsRow) -> &[usize]| -> Vec<&str> {
        let mut found: Vec<usize> = all().flat_map(|d| pick(d).iter().copied()).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|dim| names.get(dim).map(String::as_str)).collect()
    };
    let prior = all().map(|d| d.prior_weight).filter(|weight| weight.is_finite()).fold(0.0, f64::max);
    if all().any(|d| d.looks_normalized) {
        return Some("The input looks normalized already.".to_owned());
    }
    if prior > LEAST_PRIOR {
        return Some(format!(
            "The statistics are not settled: the initial state still weighs {}.",
            share(prior)
        ));
    }
    if let Some(clipped) = document.clip_fraction.filter(|clipped| *clipped > LEAST_CLIPPED) {
        return Some(format!("With {} clipped, the bound cuts more than outliers.", share(clipped)));
    }
    let cancelling = of(&|d| &d.float32.cancelling_dimensions);
    if !cancelling.is_empty() {
        return Some(format!("Kept in 32 bits, the variance of {} is lost.", listed(&cancelling, 3)));
    }
    let constant = of(&|d| &d.constant_dimensions);
    match constant.len() {
        0 => None,
        1 => Some(format!("{} never changes.", constant[0])),
        n => Some(format!("{n} of {} dimensions never change.", names.len())),
    }
}
