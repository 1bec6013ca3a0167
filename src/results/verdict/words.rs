//! Words that conclusions share.

use std::collections::BTreeSet;

use crate::attribution::Cluster;
use crate::results::IntervalKind;
use crate::results::text::{decimals_of, fixed, signed};

/// Significant digits of the largest number in a sentence.
const SIGNIFICANT: i32 = 3;

/// What an independent unit is called: runs whose names end in `seed`, `trial`, `replicate` or `fold` and a number are
/// such.
pub fn unit_noun<'a>(cluster: Cluster, run_ids: &(impl Iterator<Item = &'a str> + Clone)) -> &'static str {
    let is_one = |run_id: &str, noun: &str| {
        let name = run_id.trim_end_matches(|c: char| c.is_ascii_digit());
        let word = name.trim_end_matches([' ', '_', '-', '=', ':']);
        name.len() < run_id.len() && word.to_lowercase().ends_with(noun)
    };
    let nouns = ["seed", "trial", "replicate", "fold"];
    match cluster {
        Cluster::Game => "game",
        Cluster::Episode => "episode",
        Cluster::Run => {
            // Seeds of several runs are more than seeds.
            let stem = |run_id: &'a str| run_id.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
            let stems: BTreeSet<String> = run_ids
                .clone()
                .map(|id| stem(id).to_lowercase().replace([' ', '_', '-', '=', ':'], ""))
                .collect();
            let is_all = |noun: &&str| stems.len() == 1 && run_ids.clone().all(|run_id| is_one(run_id, noun));
            nouns.into_iter().find(is_all).unwrap_or("run")
        }
    }
}

/// A level of confidence as a percentage: 95 %, 99.9 %.
pub(super) fn level(confidence: f64) -> String {
    // 1 - 0.05 is not quite 0.95; nobody wants to read that.
    format!("{} %", (confidence * 1e8).round() / 1e6)
}

/// A signed value with its interval: `+0.100 (95 % 0.090 to 0.111, n = 3 seeds)`; `of` is what stands behind it.
pub fn interval_words(value: f64, interval: Option<(f64, f64)>, confidence: f64, of: &str) -> String {
    let ends = interval.map_or([None, None], |(low, high)| [Some(low), Some(high)]);
    let places = decimals_of([Some(value), ends[0], ends[1]].into_iter().flatten(), SIGNIFICANT);
    let value = signed(value, places);
    let interval = interval.map(|(low, high)| {
        format!("{} {} to {}", level(confidence), fixed(Some(low), places), fixed(Some(high), places))
    });
    let behind: Vec<String> = interval.into_iter().chain((!of.is_empty()).then(|| of.to_owned())).collect();
    if behind.is_empty() { value } else { format!("{value} ({})", behind.join(", ")) }
}

/// What is to be said of intervals of few units, where their kind makes them too narrow.
pub(super) fn narrow(ci: IntervalKind, n_units: impl Iterator<Item = u64>) -> Option<String> {
    let fewest = n_units.filter(|n| *n > 1).min().filter(|n| *n < ci.enough_units())?;
    let kind = if ci == IntervalKind::Normal { "normal" } else { "bootstrap" };
    Some(format!(
        "Intervals by {kind} of {fewest} units are too narrow, and tests too ready; t intervals are not."
    ))
}

/// A sentence: parts with semicolons between them and a full stop.
pub(super) fn sentence(parts: &[String]) -> Option<String> {
    (!parts.is_empty()).then(|| format!("{}.", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_called_as_the_recording_calls_them() {
        let noun = |cluster, names: &[&str]| unit_noun(cluster, &names.iter().copied());
        assert_eq!(noun(Cluster::Run, &["seed0", "seed12"]), "seed");
        assert_eq!(noun(Cluster::Run, &["attn seed=1", "attn Seed_2"]), "seed");
        assert_eq!(noun(Cluster::Run, &["seed0", "warm"]), "run");
        assert_eq!(noun(Cluster::Run, &["seed", "reseed"]), "run");
        assert_eq!(noun(Cluster::Episode, &["seed0"]), "episode");
    }

    #[test]
    fn a_value_comes_with_its_interval_and_what_stands_behind_it() {
        let words = interval_words(0.1001, Some((0.0896, 0.1106)), 0.95, "n = 3 seeds");
        assert_eq!(words, "+0.100 (95 % 0.090 to 0.111, n = 3 seeds)");
        // The interval sets the digits where the value is small beside it.
        let words = interval_words(-0.00061, Some((-0.0369, 0.0357)), 0.999, "");
        assert_eq!(words, "-0.0006 (99.9 % -0.0369 to 0.0357)");
        assert_eq!(interval_words(12.0, None, 0.95, ""), "+12.0");
    }
}
