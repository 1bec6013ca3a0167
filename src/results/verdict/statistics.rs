//! What recorded statistics of data sets say: whether they are those of the rows, and how they came to differ.

use crate::results::text::{brief, counted, listed};
use crate::results::{StatisticRow, StatisticSource, StatisticsDocument, StatisticsSet};

/// Names listed in a sentence.
const MOST_NAMES: usize = 6;

impl StatisticsDocument {
    /// The document with its conclusion.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        self.verdict = sentences(&self);
        self
    }
}

fn sentences(document: &StatisticsDocument) -> Vec<String> {
    let wrong: Vec<&StatisticsSet> = document.sets.iter().filter(|set| !set.matches).collect();
    let Some(first) = wrong.first() else {
        return document.sets.iter().map(|set| right(document, set)).collect();
    };
    let mut sentences = vec![differ(first)];
    sentences.extend(worst(first));
    if wrong.len() > 1 {
        let others: Vec<&str> = wrong[1..].iter().map(|set| &set.run_id[..]).collect();
        sentences.push(format!("So do those of {}.", listed(&others, MOST_NAMES)));
    }
    sentences
}

fn right(document: &StatisticsDocument, set: &StatisticsSet) -> String {
    let n: u64 = set.checks.iter().map(|check| check.n_compared).sum();
    format!(
        "What {} records of itself is what its rows imply: {} of {} agree, {} and {}, within {} (quantiles: {} of a standard deviation).",
        set.run_id,
        counted(n, "number"),
        counted(set.features.len() as u64, "feature"),
        counted(set.rows, "row"),
        counted(set.episodes, "episode"),
        brief(document.settings.tolerance),
        brief(document.settings.quantile_tolerance)
    )
}

/// Which statistics differ, by their cause.
fn differ(set: &StatisticsSet) -> String {
    let rows: Vec<&StatisticRow> = set.differing().collect();
    // The cause of most of them is told.
    let count = |row: &StatisticRow| rows.iter().filter(|other| other.cause == row.cause).count();
    let told = rows.iter().rev().max_by_key(|row| (row.cause.is_some(), count(row)));
    let Some(told) = told else { return format!("What {} records of itself differs.", set.run_id) };
    let alike: Vec<&&StatisticRow> =
        rows.iter().filter(|row| row.cause == told.cause && row.source == told.source).collect();
    let names = |pick: &dyn Fn(&StatisticRow) -> String| {
        let mut names: Vec<String> = Vec::new();
        for row in &alike {
            let name = pick(row);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        listed(&names.iter().map(String::as_str).collect::<Vec<_>>(), MOST_NAMES)
    };
    let statistics = names(&|row| row.statistic.clone());
    let features = names(&|row| row.feature.clone());
    let over = match told.source {
        StatisticSource::Set => "",
        StatisticSource::Episodes => " of episodes",
    };
    let more = match rows.len() - alike.len() {
        0 => String::new(),
        1 => "; 1 more statistic differs".to_owned(),
        n => format!("; {n} more statistics differ"),
    };
    let what = told.cause.map_or("not what its rows imply", |cause| cause.sentence());
    format!("{} records {statistics} of {features}{over} that are {what}{more}.", set.run_id)
}

/// The number farthest off.
fn worst(set: &StatisticsSet) -> Option<String> {
    let by_distance = |row: &&StatisticRow| row.worst.as_ref().and_then(|worst| worst.distance);
    let rows = set.differing().filter(|row| by_distance(row).is_some());
    let row = rows.max_by(|a, b| by_distance(a).unwrap_or(0.0).total_cmp(&by_distance(b).unwrap_or(0.0)))?;
    let worst = row.worst.as_ref()?;
    let episode = worst.episode.map_or_else(String::new, |episode| format!(" in episode {episode}"));
    let shown = |format: fn(f64) -> String| {
        (worst.recorded.map_or_else(|| "no number".to_owned(), format), format(worst.expected))
    };
    // Digits enough to see that they differ.
    let (recorded, expected) = match shown(brief) {
        (recorded, expected) if recorded == expected => shown(|value| value.to_string()),
        both => both,
    };
    Some(format!(
        "Farthest off is {} of {}{episode}: {recorded} where the rows have {expected}.",
        row.statistic,
        set.place(row),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(checks: &serde_json::Value, matches: bool) -> Vec<String> {
        let document = json!({"schema": "simic.normalize.statistics/1", "verdict": [], "matches": matches,
            "settings": {"features": [], "tolerance": 1e-4, "quantile_tolerance": 0.05},
            "sets": [{"run_id": "arm", "layout": "LeRobot v3.0", "rows": 205, "episodes": 4, "fps": 10.0,
                "matches": matches, "sources": ["meta/stats.json"], "left_out": [],
                "features": [{"feature": "action", "dtype": "float32", "width": 2, "dimensions": ["dx", "dy"]}],
                "checks": checks}]});
        let document: StatisticsDocument = serde_json::from_value(document).expect("a document");
        document.concluded().verdict
    }

    #[test]
    fn right_statistics_are_said_to_be_right_with_how_many() {
        let checks = json!([{"feature": "action", "source": "set", "statistic": "mean", "n_compared": 2,
            "n_differing": 0}]);
        assert_eq!(
            verdict(&checks, true),
            [
                "What arm records of itself is what its rows imply: 2 numbers of 1 feature agree, 205 rows and 4 episodes, within 0.0001 (quantiles: 0.05 of a standard deviation)."
            ]
        );
    }

    #[test]
    fn wrong_ones_are_said_with_their_cause_and_the_farthest() {
        let row = |statistic: &str, recorded: f64, distance: f64| {
            json!({"feature": "action", "source": "set", "statistic": statistic, "n_compared": 2,
                "n_differing": 2, "cause": "mean_of_quantiles", "detail": "",
                "worst": {"dimension": 1, "recorded": recorded, "expected": 3.5, "distance": distance}})
        };
        assert_eq!(
            verdict(&json!([row("q01", 1.0, 0.5), row("q99", 2.5, 0.75)]), false),
            [
                "arm records q01 and q99 of action that are the episodes' quantiles averaged by their rows.",
                "Farthest off is q99 of dy: 2.5 where the rows have 3.5."
            ]
        );
    }
}
