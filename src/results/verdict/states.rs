//! What stored states say: whose they are, what became of them, and what a merge made.

use crate::results::text::{brief, counted, rows_seen};
use crate::results::{StateDocument, VerificationDocument};

/// Distance from which on a number says nothing more.
const FAR: f64 = 100.0;

impl VerificationDocument {
    /// The document with its conclusion.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        self.verdict = verification(&self);
        self
    }
}

impl StateDocument {
    /// The state of so many others, with its conclusion: what `normalize merge` prints.
    #[must_use]
    pub fn merged_of(mut self, n_states: usize) -> Self {
        self.merged = Some(n_states);
        self.verdict = merged(&self, n_states);
        self
    }
}

fn verification(document: &VerificationDocument) -> Vec<String> {
    let n = document.n_dimensions.unwrap_or(document.differences.len());
    let under = document.preset.map_or_else(String::new, |preset| format!(" under {}", preset.name()));
    if document.matches {
        let rows = format!("{} rows", rows_seen(document.expected_count));
        return vec![format!(
            "The state is that of run {}{under}: {} of {rows} agree within {}.",
            document.run_id,
            counted(n as u64, "dimension"),
            brief(document.tolerance)
        )];
    }
    let detail = document.detail.as_deref().unwrap_or("no explanation found");
    let mut sentences = vec![format!("The state is not the recording's: {detail}.")];
    if !document.differences.is_empty() {
        let worst = match document.distance {
            Some(distance) if distance <= FAR => format!(", the worst by {}", brief(distance)),
            Some(_) => format!(", the worst by more than {FAR}"),
            None => String::new(),
        };
        let differ = if document.differences.len() == 1 { "differs" } else { "differ" };
        sentences.push(format!(
            "{} of {} {differ} by more than {}{worst}.",
            document.differences.len(),
            counted(n as u64, "dimension"),
            brief(document.tolerance)
        ));
    }
    sentences
}

fn merged(document: &StateDocument, n_states: usize) -> Vec<String> {
    let states = counted(n_states as u64, "state");
    let memory = document.momentum.map_or_else(|| "full history".to_owned(), |m| format!("momentum {m}"));
    let updates = document.batches.map_or_else(String::new, |n| format!(" and {}", counted(n, "update")));
    let rows = format!("{} rows", rows_seen(document.count));
    if n_states == 1 {
        return vec![format!("{states} of {memory}: {rows}{updates}.")];
    }
    vec![format!("{states} of {memory} make one of {rows}{updates}, exactly as if one pass had seen them.")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(more: &serde_json::Value) -> Vec<String> {
        let mut document = json!({"schema": "simic.normalize.verify/1", "state": "s.pkl", "format": "pickle",
            "run_id": "hopper", "matches": true, "tolerance": 1e-4, "distance": 0.0, "kind": "welford",
            "momentum": null, "stored_count": 10.0, "expected_count": 1920.0001, "preset": "sb3",
            "diagnosis": null, "detail": null, "differences": [], "n_dimensions": 11});
        for (key, value) in more.as_object().expect("keys") {
            document[key] = value.clone();
        }
        let document: VerificationDocument = serde_json::from_value(document).expect("a document");
        document.concluded().verdict
    }

    #[test]
    fn a_state_is_the_recordings_or_it_is_said_what_became_of_it() {
        assert_eq!(
            verdict(&json!({})),
            ["The state is that of run hopper under sb3: 11 dimensions of 1,920 rows agree within 0.0001."]
        );
        let difference = json!({"dimension": 0, "stored_mean": 1.0, "expected_mean": 2.0, "stored_var": 1.0,
            "expected_var": 1.0, "distance": 199957.0});
        let stale = verdict(&json!({"matches": false, "distance": 199957.0, "differences": [difference],
            "detail": "the state is stale: that of the recording after 24,995 of 25,000 updates"}));
        assert_eq!(
            stale,
            [
                "The state is not the recording's: the state is stale: that of the recording after 24,995 of 25,000 updates.",
                "1 of 11 dimensions differs by more than 0.0001, the worst by more than 100."
            ]
        );
    }

    #[test]
    fn a_merge_says_of_how_many() {
        let state = json!({"schema": "simic.normalizer/1", "kind": "welford", "momentum": null, "count": 3840.0001,
            "mean": [0.0], "var": [1.0], "epsilon": null, "clip": null, "batches": 480});
        let state: StateDocument = serde_json::from_value(state).expect("a state");
        assert_eq!(
            state.merged_of(2).verdict,
            [
                "2 states of full history make one of 3,840 rows and 480 updates, exactly as if one pass had seen them."
            ]
        );
    }
}
