//! Numbers of documents as checks compare them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::SampleMoments;

/// Which way a number is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Higher is better: a helping slot has a positive value.
    Higher,
    /// Lower is better: a helping slot has a negative value.
    Lower,
}

impl Direction {
    /// Told by the whole words of a column's name; `None` if they say nothing or contradict each other.
    ///
    /// Words end at anything that is no letter or digit, at digits and where camelCase begins a new one (`f1` and `r2`
    /// are words too). Words that are not known are passed over, so `lossless_score` is a score, and neither
    /// `inaccuracy` nor `accident_rate` says anything. A word that negates (`neg_mean_squared_error`) leaves it open.
    pub fn of_column(name: &str) -> Option<Self> {
        let words = words(name);
        let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
        match (has(&LOWER_IS_BETTER), has(&HIGHER_IS_BETTER)) {
            _ if has(&NEGATIONS) => None,
            (true, false) => Some(Self::Lower),
            (false, true) => Some(Self::Higher),
            _ => None,
        }
    }
}

const LOWER_IS_BETTER: [&str; 14] = [
    "loss",
    "losses",
    "error",
    "errors",
    "err",
    "perplexity",
    "ppl",
    "mse",
    "mae",
    "rmse",
    "nll",
    "regret",
    "cost",
    "costs",
];

const HIGHER_IS_BETTER: [&str; 14] = [
    "acc",
    "accuracy",
    "reward",
    "rewards",
    "return",
    "returns",
    "score",
    "scores",
    "auc",
    "auroc",
    "f1",
    "precision",
    "recall",
    "r2",
];

/// Words that turn the direction of another one around, or may.
const NEGATIONS: [&str; 6] = ["neg", "negative", "minus", "no", "non", "not"];

/// The words of a name in lower case; a known word with a digit in it is one word.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for chunk in chunks(name) {
        if HIGHER_IS_BETTER.contains(&chunk.as_str()) {
            words.push(chunk);
        } else {
            let letters = chunk.split(|c: char| c.is_ascii_digit()).filter(|word| !word.is_empty());
            words.extend(letters.map(str::to_owned));
        }
    }
    words
}

/// Letters and digits that belong together, in lower case: `valMSELoss2` is val, mse and loss2.
fn chunks(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut chunks = Vec::new();
    let mut chunk = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| letters[i]);
        let after = letters.get(i + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
            });
        if (begins || !letter.is_alphanumeric()) && !chunk.is_empty() {
            chunks.push(std::mem::take(&mut chunk));
        }
        if letter.is_alphanumeric() {
            chunk.extend(letter.to_lowercase());
        }
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

/// A metric as a baseline stores it. Fields in order of name: the document is sorted by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// Interval of the value, low and high.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<(f64, f64)>,
    /// Which way is good; `None` if neither or unknown.
    pub direction: Option<Direction>,
    /// Path of the metric, `shapley/r0c0/mean`.
    pub id: String,
    /// Independent units behind the value.
    pub n: u64,
    /// Size below which differences are rounding, where the values are sums of larger ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<f64>,
    /// The units' own values, by name: a test can be chosen later, and pairs are found by name.
    pub samples: BTreeMap<String, f64>,
    /// Standard error of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<f64>,
    /// What the value counts.
    pub unit: String,
    /// The value.
    pub value: f64,
}

impl Metric {
    /// The mean of units' values with its standard error (sample variance, n - 1); `None` without a unit.
    pub fn mean(
        id: String,
        unit: &str,
        direction: Option<Direction>,
        samples: BTreeMap<String, f64>,
    ) -> Option<Self> {
        let values: Vec<f64> = samples.values().copied().collect();
        let moments = SampleMoments::of(&values);
        let stderr = moments.sample_variance().map(|variance| (variance / moments.n() as f64).sqrt());
        Some(Self {
            ci: None,
            direction,
            id,
            n: moments.n(),
            rounding: None,
            stderr,
            unit: unit.to_owned(),
            value: moments.mean()?,
            samples,
        })
    }

    /// The units' values, in order of name.
    pub fn sample(&self) -> Vec<f64> {
        self.samples.values().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direction_of_a_value_is_told_by_whole_words() {
        let all = |names: &[&str], direction: Option<Direction>| {
            for name in names {
                assert_eq!(Direction::of_column(name), direction, "{name}");
            }
        };
        let lower =
            ["val_loss", "valLoss", "MSELoss", "loss2", "top1.err", "test-RMSE", "ppl", "Regret", "cost"];
        all(&lower, Some(Direction::Lower));
        let higher =
            ["val_accuracy", "valAcc", "acc5", "f1", "val_f1", "R2Score", "r2", "roc_auc", "lossless_score"];
        all(&higher, Some(Direction::Higher));
        let open = ["inaccuracy", "accident_rate", "pace", "lossy", "unscored", "costume", "", "_"];
        all(&open, None);
        // Contradictions and negations.
        all(&["error_score", "accuracy_loss", "neg_mean_squared_error", "negLoss", "1-minus-auc"], None);
    }
}
