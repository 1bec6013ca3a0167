//! Figures of logs as checks guard them: final values of runs, their interquartile mean, points of their performance profile.
//!
//! There is no document of their own: what is stored is the baseline. A figure's final value in a run is the mean of the last share
//! of its curve. Statistics are those that are trusted for a handful of runs (Agarwal et al., NeurIPS 2021).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measured::Measured;
use super::metric::{Direction, Metric};
use super::settings::{Settings, by_name};
use crate::stats::{
    BootstrapSettings, ConfidenceLevel, interquartile_mean, pairwise_sum, share_above, stratified_interval,
};

/// What baselines of logs are called.
pub const LOGS_SCHEMA: &str = "simic.logs/1";

/// What figures of logs are asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogsAnalysis {
    /// Patterns of figures; empty for all whose names say which way is better.
    pub metric: Vec<String>,
    /// Share of a curve that its final value is the mean of.
    pub last: f64,
    /// Level of intervals.
    pub confidence: f64,
    /// Resamples of the stratified bootstrap.
    pub resamples: usize,
    /// Thresholds of the performance profile.
    pub profile: Vec<f64>,
}

/// One figure of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedFigure {
    /// The run.
    pub run: String,
    /// The task, where the log says.
    pub task: Option<String>,
    /// What is logged.
    pub tag: String,
    /// Its values in order.
    pub values: Vec<f64>,
}

/// Words of figures that are better higher, as trainers abbreviate them.
const HIGHER: [&str; 4] = ["rew", "success", "win", "solved"];

/// Which way a figure is better, by the words of its name.
pub fn logged_direction(tag: &str) -> Option<Direction> {
    Direction::of_column(tag).or_else(|| {
        let words = tag.split(|c: char| !c.is_alphanumeric());
        words.into_iter().any(|word| HIGHER.contains(&word)).then_some(Direction::Higher)
    })
}

impl LoggedFigure {
    /// The mean of the last `share` of its values, one at least.
    fn last(&self, share: f64) -> Option<f64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a number of values"
        )]
        let n = ((self.values.len() as f64 * share).floor() as usize).clamp(1, self.values.len().max(1));
        let last = self.values.get(self.values.len().checked_sub(n)?..)?;
        Some(pairwise_sum(last) / last.len() as f64)
    }
}

impl Measured {
    /// Figures of logs; `seed` is that of resampling.
    ///
    /// # Errors
    /// A final value that is no finite number.
    pub fn of_logs(analysis: &LogsAnalysis, figures: &[LoggedFigure], seed: u64) -> Result<Self, String> {
        let mut finals: BTreeMap<(&str, Option<&str>), BTreeMap<String, f64>> = BTreeMap::new();
        for figure in figures {
            let Some(value) = figure.last(analysis.last) else { continue };
            if !value.is_finite() {
                return Err(format!(
                    "{} of run {} ends in numbers that are not finite",
                    figure.tag, figure.run
                ));
            }
            let runs = finals.entry((&figure.tag, figure.task.as_deref())).or_default();
            runs.insert(figure.run.clone(), value);
        }
        let mut metrics = Vec::new();
        for of_tag in by_tag(&finals) {
            metrics.extend(of_figure(analysis, &of_tag, seed));
        }
        Self {
            schema: LOGS_SCHEMA.to_owned(),
            settings: Settings::Complete(by_name(analysis)),
            seed: Some(seed),
            metrics,
        }
        .sound()
    }
}

/// Final values of one figure: of each task the runs' own.
struct Finals<'a> {
    tag: &'a str,
    tasks: Vec<(Option<&'a str>, &'a BTreeMap<String, f64>)>,
}

fn by_tag<'a>(finals: &'a BTreeMap<(&'a str, Option<&'a str>), BTreeMap<String, f64>>) -> Vec<Finals<'a>> {
    let mut tags: Vec<Finals<'a>> = Vec::new();
    for ((tag, task), runs) in finals {
        match tags.last_mut().filter(|last| last.tag == *tag) {
            Some(last) => last.tasks.push((*task, runs)),
            None => tags.push(Finals { tag, tasks: vec![(*task, runs)] }),
        }
    }
    tags
}

fn of_figure(analysis: &LogsAnalysis, finals: &Finals<'_>, seed: u64) -> Vec<Metric> {
    let tag = finals.tag;
    let direction = logged_direction(tag);
    let has_tasks = finals.tasks.len() > 1;
    let path = |task: Option<&str>| match task.filter(|_| has_tasks) {
        Some(task) => format!("logs/{task}/{tag}"),
        None => format!("logs/{tag}"),
    };
    let mut metrics = Vec::new();
    for (task, runs) in &finals.tasks {
        metrics.extend(Metric::mean(format!("{}/mean", path(*task)), "run", direction, (*runs).clone()));
        for threshold in &analysis.profile {
            let above = runs.iter().map(|(run, x)| (run.clone(), f64::from(u8::from(x > threshold))));
            let id = format!("{}/above/{threshold}", path(*task));
            let scores: Vec<f64> = runs.values().copied().collect();
            let point = Metric::mean(id, "run", direction, above.collect());
            metrics.extend(
                share_above(&scores, *threshold).zip(point).map(|(value, point)| Metric { value, ..point }),
            );
        }
    }
    let strata: Vec<Vec<f64>> =
        finals.tasks.iter().map(|(_, runs)| runs.values().copied().collect()).collect();
    let all = strata.concat();
    let settings = BootstrapSettings { n_resamples: analysis.resamples, seed };
    let level = ConfidenceLevel::new(analysis.confidence);
    let interval = level.ok().and_then(|level| stratified_interval(&strata, level, settings));
    if let Some(value) = interquartile_mean(&all) {
        metrics.push(Metric {
            ci: interval.map(|interval| (interval.low, interval.high)),
            direction,
            id: format!("logs/{tag}/iqm"),
            n: all.len() as u64,
            rounding: None,
            samples: BTreeMap::new(),
            stderr: None,
            unit: "run".to_owned(),
            value,
        });
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(run: &str, task: Option<&str>, values: &[f64]) -> LoggedFigure {
        let (run, task, tag) = (run.to_owned(), task.map(str::to_owned), "return".to_owned());
        LoggedFigure { run, task, tag, values: values.to_vec() }
    }

    const ANALYSIS: LogsAnalysis =
        LogsAnalysis { metric: Vec::new(), last: 0.5, confidence: 0.95, resamples: 200, profile: Vec::new() };

    fn value(measured: &Measured, id: &str) -> f64 {
        let known: Vec<&str> = measured.metrics.iter().map(|metric| &metric.id[..]).collect();
        measured.metrics.iter().find(|metric| metric.id == id).unwrap_or_else(|| panic!("{known:?}")).value
    }

    #[test]
    fn a_run_counts_by_the_last_share_of_its_curve() {
        let runs =
            [figure("a", None, &[0.0, 0.0, 4.0, 6.0]), figure("b", None, &[9.0]), figure("c", None, &[])];
        let analysis = LogsAnalysis { profile: vec![6.0], ..ANALYSIS };
        let measured = Measured::of_logs(&analysis, &runs, 0).expect("figures");
        assert_eq!(value(&measured, "logs/return/mean"), 7.0);
        assert_eq!(value(&measured, "logs/return/iqm"), 7.0);
        assert_eq!(value(&measured, "logs/return/above/6"), 0.5);
        let mean = measured.metrics.iter().find(|metric| metric.id == "logs/return/mean").expect("there");
        assert_eq!((mean.n, mean.direction), (2, Some(Direction::Higher)));
        let diverged = [figure("a", None, &[1.0, f64::NAN])];
        assert!(Measured::of_logs(&ANALYSIS, &diverged, 0).expect_err("diverged").contains("not finite"));
    }

    #[test]
    fn tasks_are_strata() {
        let runs: Vec<LoggedFigure> = (0..4)
            .flat_map(|i| {
                let run = format!("seed{i}");
                [figure(&run, Some("easy"), &[100.0]), figure(&run, Some("hard"), &[f64::from(i)])]
            })
            .collect();
        let measured = Measured::of_logs(&ANALYSIS, &runs, 0).expect("figures");
        assert_eq!(value(&measured, "logs/hard/return/mean"), 1.5);
        // Of 0, 1, 2, 3, 100, 100, 100, 100 the middle half is 2, 3, 100, 100.
        assert_eq!(value(&measured, "logs/return/iqm"), 51.25);
        let iqm = measured.metrics.iter().find(|metric| metric.id.ends_with("iqm")).expect("there");
        let (low, high) = iqm.ci.expect("an interval");
        assert!(low >= 50.0 && high <= 51.5 && low < high, "{low} {high}");
    }

    #[test]
    fn directions_are_told_by_words() {
        for tag in [
            "rollout/ep_rew_mean",
            "charts/episodic_return",
            "env_runners/episode_return_mean",
            "eval/success_rate",
        ] {
            assert_eq!(logged_direction(tag), Some(Direction::Higher), "{tag}");
        }
        assert_eq!(logged_direction("losses/value_loss"), Some(Direction::Lower));
        for tag in ["time/fps", "train/explained_variance", "rollout/ep_len_mean", "length", "renew"] {
            assert_eq!(logged_direction(tag), None, "{tag}");
        }
    }
}
