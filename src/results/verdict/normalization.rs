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
    // Under carry-over each run counts on from those before it, and the last one's are all.
    let all = document.updates.unwrap_or_else(|| document.runs.iter().map(|run| run.updates).sum());
    let updates = counted(all, "update");
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
                format!(
                    "No shift of the distribution is found; {untold} of {} cannot tell it for {reason}.",
                    document.units(n)
                )
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A run of two dimensions with these diagnostics beside harmless ones.
    fn run(run_id: &str, more: &Value) -> Value {
        let mut diagnostics = json!({"min": [0.0, 0.0], "max": [1.0, 1.0], "clip_by_dimension": null,
            "clip_phases": [], "constant_dimensions": [], "dimensions_below_epsilon": [], "prior_weight": 1e-7,
            "prior_share_of_variance": [0.0, 0.0], "effective_batches": null, "lag_updates": null,
            "float32": {"count_saturates": false, "mean_freezes_after_rows": null, "dimension": null,
                "cancelling_dimensions": []},
            "looks_normalized": false, "drift": null,
            "drift_test": {"level": 0.05, "n_tests": 4, "untold": [], "reason": null}, "mean_distance": null,
            "log_var_distance": null, "act_learn": null, "unfinished_episodes": 0});
        for (key, value) in more.as_object().expect("keys") {
            diagnostics[key] = value.clone();
        }
        json!({"run_id": run_id, "updates": 120, "rows": 960, "count": 960.0, "mean": [0.0, 0.0], "var": [1.0, 1.0],
            "clip_fraction": null, "rollback": {"rows": 0, "batches": 0}, "diagnostics": diagnostics})
    }

    fn verdict(runs: &[Value], clip_fraction: Option<f64>) -> Vec<String> {
        let document = json!({"schema": "simic.normalize.stats/1", "kind": "welford", "momentum": null,
            "target": "obs", "device": "cpu", "updates": null, "rows": 960 * runs.len(), "count": null,
            "mean": null, "var": null, "clip_fraction": clip_fraction, "rollback": {"rows": 0, "batches": 0},
            "settings": {"preset": null, "update_every": "step", "order": "normalize-first", "scope": "shared",
                "epsilon": 1e-4, "clip": 10.0, "gamma": null},
            "diagnostics": null, "runs": runs, "written": [], "input": {"files": 1, "skipped": 0,
                "skipped_by_reason": {}, "non_finite_cells": 0, "non_finite_places": []}});
        let document: NormalizationDocument = serde_json::from_value(document).expect("a document");
        document.concluded().verdict
    }

    #[test]
    fn a_shift_is_told_with_its_place_and_the_time_to_follow_it() {
        let changed = |dimension: usize, statistic: &str| json!({"dimension": dimension, "update": 40, "shift": 2.0, "sd_ratio": 1.0, "statistic": statistic});
        let drift = json!({"drift": {"update": 40, "vector_step": 80,
            "dimensions": [changed(1, "variance"), changed(0, "mean")]}, "lag_updates": 229.1});
        assert_eq!(
            verdict(&[run("a", &drift)], None),
            [
                "960 rows of 1 run, 120 updates: the final statistics of 2 dimensions.",
                "The distribution shifts at update 40 (vector step 80) in the spread of obs[1] and 1 other; the statistics need 230 updates to follow (a steady recording raises a false alarm at most 5 % of the time)."
            ]
        );
        let two = verdict(&[run("a", &json!({})), run("b", &drift)], Some(0.0033));
        assert_eq!(
            two[0],
            "1,920 rows of 2 runs normalized in 240 updates: 0.33 % of the values are clipped."
        );
        assert!(
            two[1].starts_with("The distribution shifts in 1 of 2 runs, first in run b, at update 40"),
            "{two:?}"
        );
    }

    #[test]
    fn what_cannot_be_told_is_not_passed_over() {
        let reason = "2 dimensions: the run has fewer than 10 windows";
        let untold = json!({"drift_test": {"level": 0.05, "n_tests": 4, "untold": [], "reason": reason}});
        let alone = verdict(&[run("a", &untold)], Some(0.0));
        assert_eq!(alone[0], "960 rows of 1 run normalized in 120 updates, none of the values clipped.");
        assert_eq!(alone[1], format!("Whether the distribution shifts cannot be told for {reason}."));
        let beside = verdict(&[run("a", &json!({})), run("b", &untold)], None);
        assert_eq!(
            beside[1],
            format!("No shift of the distribution is found; 1 of 2 runs cannot tell it for {reason}.")
        );
    }

    #[test]
    fn statistics_that_are_not_settled_or_dead_are_said() {
        let last = |more: Value| verdict(&[run("a", &more)], None).pop().expect("a sentence");
        assert_eq!(
            last(json!({"prior_weight": 0.0896})),
            "The statistics are not settled: the initial state still weighs 8.96 %."
        );
        assert_eq!(last(json!({"constant_dimensions": [1]})), "obs[1] never changes.");
        assert!(last(json!({})).starts_with("No shift of the distribution is found"));
    }
}
