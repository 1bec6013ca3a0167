//! Every metric against its stored self.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::rule::{DriftStatistic, Method, Mode, Rules};
use crate::results::{CheckResult, Direction, Finding, Metric, Verdict};
use crate::stats::{
    BootstrapSettings, Difference, holm_adjust, kolmogorov_smirnov, population_stability,
    probability_of_improvement, wasserstein,
};

/// Least number of resamples of the bootstrap method.
const FEWEST_RESAMPLES: usize = 4000;

/// Resamples so that the least p value there is, adjusted over `n_tests`, is a fifth of `alpha`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of resamples")]
fn n_resamples(n_tests: usize, alpha: f64) -> usize {
    FEWEST_RESAMPLES.max((10.0 * n_tests as f64 / alpha) as usize)
}

/// Judges new metrics against stored ones.
///
/// # Formula
/// A statistical rule looks at the difference of means for the worse, d. It is *regressed* where p(d <= margin),
/// adjusted by Holm over the check's statistical rules, is at most `alpha`; *pass* where the upper end of d's interval
/// (`alpha` on each side) is below the margin; *improved* where its upper end is below -margin; else *inconclusive*.
/// `equivalent` does so both ways, with twice the smaller p value. The same units with the same values pass.
///
/// # Edge cases
/// One unit on a side: no test, inconclusive with that reason. A stored metric that is gone is missing, a new one
/// added. Units that vanished while others stayed are missing as `runs/NAME`, unless `other_runs`.
pub fn judge(old: &[Metric], new: &[Metric], rules: &Rules, settings: &Judgement) -> CheckResult {
    let new_by_id: BTreeMap<&str, &Metric> = new.iter().map(|metric| (metric.id.as_str(), metric)).collect();
    let old_ids: BTreeSet<&str> = old.iter().map(|metric| metric.id.as_str()).collect();
    let mut pending: Vec<PendingFinding> = old
        .iter()
        .map(|metric| match new_by_id.get(metric.id.as_str()) {
            Some(now) => compare(metric, now, rules, settings, old.len()),
            None => PendingFinding::certain(missing(metric, rules)),
        })
        .collect();
    let p_values: Vec<Option<f64>> = pending.iter().map(|pending| pending.finding.p_value).collect();
    for (one, p_adjusted) in pending.iter_mut().zip(holm_adjust(&p_values)) {
        one.finding.p_adjusted = p_adjusted;
        one.decide(settings.alpha);
    }
    let mut findings: Vec<Finding> = pending.into_iter().map(|pending| pending.finding).collect();
    findings.extend(new.iter().filter(|metric| !old_ids.contains(metric.id.as_str())).map(added));
    if !settings.other_runs {
        findings.extend(vanished_units(old, new));
    }
    findings.sort_by(|a, b| a.verdict.cmp(&b.verdict).then_with(|| a.id.cmp(&b.id)));
    CheckResult { findings, strict: settings.strict }
}

/// How strictly is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Level of the tests.
    pub alpha: f64,
    /// Whether inconclusive findings fail.
    pub strict: bool,
    /// Whether the new side is another campaign, whose units need not be the stored ones.
    pub other_runs: bool,
    /// Seed of resampling.
    pub seed: u64,
}

/// What a statistical rule asks of a difference of means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// Is it a loss, where this way is good? The difference is that for the worse.
    Loss(Direction),
    /// Is it a change, either way?
    Change,
}

/// A finding whose statistical verdict waits for the adjustment.
struct PendingFinding {
    finding: Finding,
    /// The change, and what is asked of it.
    test: Option<(Difference, Question)>,
}

impl PendingFinding {
    fn certain(finding: Finding) -> Self {
        Self { finding, test: None }
    }

    fn decide(&mut self, alpha: f64) {
        let Some((difference, question)) = &self.test else { return };
        let is_two_sided = *question == Question::Change;
        let finding = &mut self.finding;
        let (low, high) = difference.interval(alpha);
        let margin = finding.margin.unwrap_or(0.0);
        let is_worse = finding.p_adjusted.is_some_and(|p| p <= alpha);
        let is_inside = if is_two_sided { low >= -margin && high <= margin } else { high <= margin };
        let words = if is_two_sided { "the change" } else { "the loss" };
        let range = format!("{words} lies in {} .. {}", number(low), number(high));
        (finding.verdict, finding.reason) = if is_worse {
            (Verdict::Regressed, format!("{range}, past the margin {}", number(margin)))
        } else if !is_two_sided && high < -margin {
            (Verdict::Improved, format!("{range}: better"))
        } else if is_inside {
            (Verdict::Pass, format!("{range}, inside the margin {}", number(margin)))
        } else if low > margin || (is_two_sided && high < -margin) {
            let p = finding.p_adjusted.map_or_else(|| "-".to_owned(), number);
            let why = "past the margin, but among this many tests that happens by chance";
            (Verdict::Inconclusive, format!("{range}: {why} (adjusted p {p})"))
        } else {
            let detectable = difference.detectable_margin(alpha, is_two_sided);
            finding.detectable_margin = Some(detectable);
            let advice = format!("these samples could tell a margin of {}", number(detectable));
            (Verdict::Inconclusive, format!("{range}, margin {}: {advice}", number(margin)))
        };
    }
}

/// Four significant digits.
fn number(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    if x.abs() < 1e-4 || x.abs() >= 1e15 {
        return format!("{x:.3e}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few digits")]
    let places = (3.0 - x.abs().log10().floor()).clamp(0.0, 12.0) as usize;
    format!("{x:.places$}")
}

fn blank(id: &str, mode: &'static str) -> Finding {
    Finding {
        id: id.to_owned(),
        verdict: Verdict::Pass,
        mode: Cow::Borrowed(mode),
        old: None,
        new: None,
        test: None,
        n_old: 0,
        n_new: 0,
        margin: None,
        interval_low: None,
        interval_high: None,
        p_value: None,
        p_adjusted: None,
        detectable_margin: None,
        improvement: None,
        reason: String::new(),
    }
}

fn missing(metric: &Metric, rules: &Rules) -> Finding {
    Finding {
        verdict: Verdict::Missing,
        old: Some(metric.value),
        n_old: metric.n,
        reason: "stored, but the new result does not have it".to_owned(),
        ..blank(&metric.id, rules.of(metric).0.name())
    }
}

fn added(metric: &Metric) -> Finding {
    Finding {
        verdict: Verdict::Added,
        new: Some(metric.value),
        n_new: metric.n,
        reason: "not stored yet; accept stores it".to_owned(),
        ..blank(&metric.id, "none")
    }
}

/// Units behind stored metrics that are gone while others of the same metric are still there.
fn vanished_units(old: &[Metric], new: &[Metric]) -> Vec<Finding> {
    let (before, now) = (unit_names(old), unit_names(new));
    let run_of = |name: &str| name.split('/').next().unwrap_or(name).to_owned();
    let runs_now: BTreeSet<String> = now.iter().map(|name| run_of(name)).collect();
    // A run that is gone altogether is one finding, not one for each of its units.
    let mut gone: BTreeMap<String, u64> = BTreeMap::new();
    for name in before.difference(&now) {
        let run = run_of(name);
        *gone.entry(if runs_now.contains(&run) { (*name).to_owned() } else { run }).or_default() += 1;
    }
    let findings = gone.into_iter().map(|(name, n)| Finding {
        verdict: Verdict::Missing,
        n_old: n,
        reason: "behind the stored numbers, but not behind the new ones".to_owned(),
        ..blank(&format!("runs/{name}"), "none")
    });
    findings.collect()
}

/// Names of all units behind metrics.
fn unit_names(metrics: &[Metric]) -> BTreeSet<&str> {
    metrics.iter().flat_map(|metric| metric.samples.keys().map(String::as_str)).collect()
}

/// Whether both sides have units, and none in common: another campaign.
pub fn has_other_units(old: &[Metric], new: &[Metric]) -> bool {
    let (before, now) = (unit_names(old), unit_names(new));
    !before.is_empty() && !now.is_empty() && before.is_disjoint(&now)
}

fn compare(
    old: &Metric,
    new: &Metric,
    rules: &Rules,
    settings: &Judgement,
    n_tests: usize,
) -> PendingFinding {
    let bootstrap =
        BootstrapSettings { n_resamples: n_resamples(n_tests, settings.alpha), seed: settings.seed };
    let (mode, direction) = rules.of(old);
    let finding = Finding {
        old: Some(old.value),
        new: Some(new.value),
        n_old: old.n,
        n_new: new.n,
        ..blank(&old.id, mode.name())
    };
    match mode {
        Mode::Exact => {
            let is_same = old.value.to_bits() == new.value.to_bits();
            let reason = if is_same { "the same bits" } else { "other bits" };
            decided(finding, is_same, reason.to_owned())
        }
        Mode::Close(tolerance) => {
            let margin = tolerance.of(old.value);
            let change = (new.value - old.value).abs();
            let is_close = change <= margin.max(rounding(old, new));
            let reason = if is_close {
                "within the tolerance".to_owned()
            } else {
                format!("moved by {}, tolerance {}", number(new.value - old.value), number(margin))
            };
            decided(Finding { margin: Some(margin), ..finding }, is_close, reason)
        }
        Mode::Range(min, max) => {
            let is_inside = (min..=max).contains(&new.value);
            let place = if is_inside { "inside" } else { "outside" };
            decided(finding, is_inside, format!("{place} {min} .. {max}"))
        }
        Mode::Drift(statistic, max) => drift(old, new, finding, statistic, max),
        Mode::Intervals(margin) => {
            PendingFinding::certain(intervals(old, new, finding, margin.of(old.value), direction))
        }
        Mode::NonInferior(margin, method) => {
            let Some(direction) = direction else {
                let reason = "which way is better is not known: give the rule a direction";
                return PendingFinding::certain(undecided(finding, reason.to_owned()));
            };
            let question = Question::Loss(direction);
            let finding = Finding { improvement: improvement(old, new, direction), ..finding };
            test(old, new, finding, margin.of(old.value), (method, bootstrap), settings, question)
        }
        Mode::Equivalent(margin, method) => {
            test(old, new, finding, margin.of(old.value), (method, bootstrap), settings, Question::Change)
        }
    }
}

/// Whether two intervals lie apart by more than the margin: cautious, as intervals that overlap may still be of values that differ.
fn intervals(
    old: &Metric,
    new: &Metric,
    finding: Finding,
    margin: f64,
    direction: Option<Direction>,
) -> Finding {
    let finding = Finding { margin: Some(margin), ..finding };
    let (Some(before), Some(now)) = (old.ci, new.ci) else {
        return undecided(finding, "an interval is missing: two runs and more have one".to_owned());
    };
    // How far the new interval lies below the stored one, and above it.
    let (below, above) = (before.0 - now.1, now.0 - before.1);
    let (loss, gain) = match direction {
        Some(Direction::Higher) => (below, above),
        Some(Direction::Lower) => (above, below),
        None => (below.max(above), f64::NEG_INFINITY),
    };
    let words = format!(
        "{} .. {}, stored {} .. {}",
        number(now.0),
        number(now.1),
        number(before.0),
        number(before.1)
    );
    let (verdict, reason) = if loss > margin {
        (Verdict::Regressed, format!("intervals lie apart: {words}"))
    } else if gain > margin {
        (Verdict::Improved, format!("intervals lie apart: {words}"))
    } else {
        (Verdict::Pass, format!("intervals meet: {words}"))
    };
    Finding { verdict, reason, ..finding }
}

/// Probability that a new unit is better than a stored one.
fn improvement(old: &Metric, new: &Metric, direction: Direction) -> Option<f64> {
    match direction {
        Direction::Higher => probability_of_improvement(&new.sample(), &old.sample()),
        Direction::Lower => probability_of_improvement(&old.sample(), &new.sample()),
    }
}

fn decided(finding: Finding, passes: bool, reason: String) -> PendingFinding {
    let verdict = if passes { Verdict::Pass } else { Verdict::Regressed };
    PendingFinding::certain(Finding { verdict, reason, ..finding })
}

fn undecided(finding: Finding, reason: String) -> Finding {
    Finding { verdict: Verdict::Inconclusive, reason, ..finding }
}

fn drift(
    old: &Metric,
    new: &Metric,
    finding: Finding,
    statistic: DriftStatistic,
    max: f64,
) -> PendingFinding {
    let (before, now) = (old.sample(), new.sample());
    let distance = match statistic {
        DriftStatistic::Ks => kolmogorov_smirnov(&before, &now),
        DriftStatistic::Wasserstein => wasserstein(&before, &now),
        DriftStatistic::Psi => population_stability(&before, &now),
    };
    let name = statistic.name();
    if !before.is_empty() && old.samples == new.samples {
        let reason = "the same units, the same values".to_owned();
        return decided(Finding { margin: Some(max), ..finding }, true, reason);
    }
    match distance {
        None => {
            let reason = format!("{name} needs more units than {} and {}", before.len(), now.len());
            PendingFinding::certain(undecided(finding, reason))
        }
        Some(distance) => decided(
            Finding { margin: Some(max), ..finding },
            distance <= max,
            format!("{name} distance {}, at most {max}", number(distance)),
        ),
    }
}

/// Size below which differences of a metric are rounding.
fn rounding(old: &Metric, new: &Metric) -> f64 {
    old.rounding.unwrap_or(0.0).max(new.rounding.unwrap_or(0.0))
}

/// A statistical rule.
fn test(
    old: &Metric,
    new: &Metric,
    finding: Finding,
    margin: f64,
    (method, bootstrap): (Method, BootstrapSettings),
    settings: &Judgement,
    question: Question,
) -> PendingFinding {
    let (before, now) = (old.sample(), new.sample());
    let is_same_units = old.samples.keys().eq(new.samples.keys());
    let pairs = || -> Vec<(f64, f64)> {
        let shared = old.samples.iter().filter_map(|(name, x)| Some((*x, *new.samples.get(name)?)));
        shared.collect()
    };
    if !before.is_empty() && old.samples == new.samples {
        // The same units with the same values: nothing changed, however few they are. It stays one of the check's tests.
        let reason = "the same units, the same values".to_owned();
        return decided(Finding { margin: Some(margin), p_value: Some(1.0), ..finding }, true, reason);
    }
    let floor = rounding(old, new);
    if is_same_units && floor > 0.0 && before.iter().zip(&now).all(|(old, new)| (new - old).abs() <= floor) {
        let reason = "the units differ by rounding alone".to_owned();
        return decided(Finding { margin: Some(margin), p_value: Some(1.0), ..finding }, true, reason);
    }
    let (name, difference) = match method {
        Method::Auto if is_same_units && before.len() >= 2 => ("paired", Difference::paired(&pairs())),
        Method::Auto | Method::Welch => ("welch", Difference::welch(&before, &now)),
        Method::Paired => ("paired", Difference::paired(&pairs())),
        Method::Bootstrap => ("bootstrap", Difference::bootstrap(&before, &now, bootstrap)),
    };
    let finding = Finding { test: Some(Cow::Borrowed(name)), ..finding };
    let finding = Finding { margin: Some(margin), ..finding };
    let Some(difference) = difference else {
        let reason = if method == Method::Paired {
            format!("{} units have a partner: a paired test needs at least 2", pairs().len())
        } else {
            format!("{} and {} units: a test needs at least 2 on either side", before.len(), now.len())
        };
        return PendingFinding::certain(undecided(finding, reason));
    };
    if !difference.is_finite() {
        let reason = "the values are so large that their squares overflow: nothing can be said".to_owned();
        return PendingFinding::certain(undecided(finding, reason));
    }
    let (difference, p_value) = match question {
        Question::Loss(direction) => {
            // A smaller value is the worse one where higher is better.
            let worse = if direction == Direction::Higher { difference.negated() } else { difference };
            let p_value = worse.p_above(margin);
            (worse, p_value)
        }
        Question::Change => {
            let up = difference.p_above(margin);
            let down = difference.clone().negated().p_above(margin);
            (difference, (2.0 * up.min(down)).min(1.0))
        }
    };
    let (low, high) = difference.interval(settings.alpha);
    PendingFinding {
        finding: Finding {
            interval_low: Some(low),
            interval_high: Some(high),
            p_value: Some(p_value),
            ..finding
        },
        test: Some((difference, question)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::RuleText;
    use super::*;

    fn metric(id: &str, values: &[f64]) -> Metric {
        let samples: BTreeMap<String, f64> =
            values.iter().enumerate().map(|(i, x)| (format!("run{i}"), *x)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Metric {
            id: id.to_owned(),
            value: mean,
            stderr: (values.len() > 1).then_some(0.1),
            ci: None,
            n: values.len() as u64,
            rounding: None,
            unit: "val_accuracy".to_owned(),
            direction: Some(Direction::Higher),
            samples,
        }
    }

    fn rule(text: &str) -> Rules {
        let rule: RuleText = serde_json::from_str(text).expect("a rule");
        Rules::parse(&[rule]).expect("sound")
    }

    fn verdict(old: &[f64], new: &[f64], rules: &Rules) -> (Verdict, String) {
        let settings = Judgement { alpha: 0.05, strict: false, other_runs: false, seed: 0 };
        let result = judge(&[metric("a/b", old)], &[metric("a/b", new)], rules, &settings);
        let finding = result.findings.into_iter().find(|finding| finding.id == "a/b").expect("judged");
        (finding.verdict, finding.reason)
    }

    #[test]
    fn intervals_of_values_that_are_no_means_must_meet() {
        let with =
            |value: f64, ci| Metric { value, ci, samples: BTreeMap::new(), ..metric("a/iqm", &[value]) };
        let settings = Judgement { alpha: 0.05, strict: false, other_runs: false, seed: 0 };
        let judged = |old: (f64, f64), new: Option<(f64, f64)>| {
            let (old, new) = (with(100.0, Some(old)), with(100.0, new));
            let result = judge(&[old], &[new], &Rules::default(), &settings);
            (result.findings[0].verdict, result.findings[0].mode.to_string())
        };
        let expected = |verdict| (verdict, "intervals".to_owned());
        assert_eq!(judged((90.0, 110.0), Some((80.0, 95.0))), expected(Verdict::Pass));
        // Apart by 1, of the 2 that the default allows.
        assert_eq!(judged((90.0, 110.0), Some((80.0, 89.0))), expected(Verdict::Pass));
        assert_eq!(judged((90.0, 110.0), Some((70.0, 80.0))), expected(Verdict::Regressed));
        assert_eq!(judged((90.0, 110.0), Some((120.0, 130.0))), expected(Verdict::Improved));
        assert_eq!(judged((90.0, 110.0), None), expected(Verdict::Inconclusive));
    }

    #[test]
    fn the_probability_of_improvement_is_the_share_of_pairs() {
        let settings = Judgement { alpha: 0.05, strict: false, other_runs: true, seed: 0 };
        let (old, new) = (metric("a/b", &[1.0, 3.0, 2.0]), metric("a/b", &[2.5, 0.5]));
        let result =
            judge(std::slice::from_ref(&old), std::slice::from_ref(&new), &Rules::default(), &settings);
        assert_eq!(result.findings[0].improvement, Some(2.0 / 6.0));
        let lower = |metric: Metric| Metric { direction: Some(Direction::Lower), ..metric };
        let result = judge(&[lower(old)], &[lower(new)], &Rules::default(), &settings);
        assert_eq!(result.findings[0].improvement, Some(4.0 / 6.0));
    }

    #[test]
    fn deterministic_modes() {
        let close = rule(r#"{"metric": "a/*", "mode": "close", "abs": 0.5}"#);
        assert_eq!(verdict(&[1.0], &[1.5], &close).0, Verdict::Pass);
        assert_eq!(verdict(&[1.0], &[1.6], &close).0, Verdict::Regressed);
        let exact = rule(r#"{"metric": "a/*", "mode": "exact"}"#);
        assert_eq!(verdict(&[1.0], &[1.0], &exact).0, Verdict::Pass);
        assert_eq!(verdict(&[1.0], &[1.0 + f64::EPSILON], &exact).0, Verdict::Regressed);
        let range = rule(r#"{"metric": "**", "mode": "range", "min": 0.0, "max": 2.0}"#);
        assert_eq!(verdict(&[9.0], &[2.0], &range).0, Verdict::Pass);
        assert_eq!(verdict(&[1.0], &[2.1], &range).0, Verdict::Regressed);
        // Without a rule a single number has to stay where it is.
        assert_eq!(verdict(&[1.0], &[1.0 + 1e-8], &Rules::default()).0, Verdict::Regressed);
    }

    #[test]
    fn statistical_modes() {
        let old = [10.0, 10.2, 9.8, 10.1, 9.9];
        let at = |offset: f64| old.map(|x| x + offset + 0.05 * (x * 7.0).sin());
        let welch = rule(r#"{"metric": "a/b", "mode": "noninferior", "margin": 1.0, "method": "welch"}"#);
        assert_eq!(verdict(&old, &at(0.0), &welch).0, Verdict::Pass);
        assert_eq!(verdict(&old, &at(-3.0), &welch).0, Verdict::Regressed);
        assert_eq!(verdict(&old, &at(3.0), &welch).0, Verdict::Improved);
        let (found, reason) = verdict(&old, &at(-1.0), &welch);
        assert!(found == Verdict::Inconclusive && reason.contains("could tell a margin"), "{reason}");
        // Pairs that move together tell more than samples apart.
        let wide = [1.0, 5.0, 9.0, 13.0];
        let moved = [0.4, 4.5, 8.3, 12.4];
        let paired = rule(r#"{"metric": "a/b", "mode": "noninferior", "margin": 0.1, "method": "paired"}"#);
        let apart = rule(r#"{"metric": "a/b", "mode": "noninferior", "margin": 0.1, "method": "welch"}"#);
        assert_eq!(verdict(&wide, &moved, &paired).0, Verdict::Regressed);
        assert_eq!(verdict(&wide, &moved, &apart).0, Verdict::Inconclusive);
        let both = rule(r#"{"metric": "a/b", "mode": "equivalent", "margin": 1.0, "method": "bootstrap"}"#);
        assert_eq!(verdict(&old, &at(3.0), &both).0, Verdict::Regressed);
        assert_eq!(verdict(&old, &at(0.1), &both).0, Verdict::Pass);
        let drift = rule(r#"{"metric": "a/b", "mode": "drift", "statistic": "wasserstein", "max": 0.5}"#);
        assert_eq!(verdict(&old, &at(0.2), &drift).0, Verdict::Pass);
        assert_eq!(verdict(&old, &at(-2.0), &drift).0, Verdict::Regressed);
    }

    #[test]
    fn the_same_numbers_pass_and_one_unit_decides_nothing() {
        let old = [0.3, 0.4, 0.35];
        assert_eq!(verdict(&old, &old, &Rules::default()).0, Verdict::Pass);
        let (found, reason) = verdict(&old, &[0.3], &Rules::default());
        assert!(found == Verdict::Inconclusive && reason.contains("at least 2"), "{reason}");
    }

    /// A null player's values are the rest of sums that cancel: another order of the same sums is no change.
    #[test]
    fn rounding_is_no_regression() {
        let settings = Judgement { alpha: 0.05, strict: false, other_runs: false, seed: 0 };
        let null = |values: [f64; 4]| Metric { rounding: Some(1e-14), ..metric("a/b", &values) };
        let (old, new) = (null([1e-17, 2e-17, 1e-17, 2e-17]), null([-3e-17, -2e-17, -3e-17, -2e-17]));
        for rules in [Rules::default(), rule(r#"{"metric": "a/b", "mode": "close", "rel": 0.01}"#)] {
            let result = judge(std::slice::from_ref(&old), std::slice::from_ref(&new), &rules, &settings);
            assert_eq!(result.findings[0].verdict, Verdict::Pass, "{:?}", result.findings);
        }
        let unguarded = |metric: &Metric| Metric { rounding: None, ..metric.clone() };
        let result = judge(&[unguarded(&old)], &[unguarded(&new)], &Rules::default(), &settings);
        assert_eq!(result.findings[0].verdict, Verdict::Regressed);
    }

    #[test]
    fn values_whose_squares_overflow_decide_nothing() {
        let old = [0.3, 0.4, 0.35];
        for method in ["welch", "paired", "bootstrap"] {
            let text =
                format!(r#"{{"metric": "a/b", "mode": "noninferior", "margin": 1.0, "method": "{method}"}}"#);
            let (found, reason) = verdict(&old, &[1e308, -1e308, 0.4], &rule(&text));
            assert!(found == Verdict::Inconclusive && reason.contains("overflow"), "{method}: {reason}");
        }
    }

    #[test]
    fn what_vanished_and_what_is_new() {
        let settings = Judgement { alpha: 0.05, strict: false, other_runs: false, seed: 0 };
        let old = [metric("a", &[1.0, 2.0, 3.0]), metric("b", &[1.0])];
        let new = [metric("a", &[1.0, 2.0]), metric("c", &[1.0])];
        let result = judge(&old, &new, &Rules::default(), &settings);
        let found: Vec<(&str, Verdict)> =
            result.findings.iter().map(|finding| (finding.id.as_str(), finding.verdict)).collect();
        assert!(found.contains(&("b", Verdict::Missing)) && found.contains(&("c", Verdict::Added)));
        assert!(found.contains(&("runs/run2", Verdict::Missing)) && result.fails());
        let result =
            judge(&old[..1], &new[..1], &Rules::default(), &Judgement { other_runs: true, ..settings });
        assert_eq!(result.count(Verdict::Missing), 0);
    }

    #[test]
    fn holm_holds_over_the_statistical_rules_of_a_check() {
        // One metric alone would be called worse; beside nineteen others it is not.
        let old = [10.0, 10.4, 9.7, 10.2];
        let new = [9.5, 9.6, 9.2, 10.0];
        let tight = rule(r#"{"metric": "*", "mode": "noninferior", "margin": 0.0, "method": "welch"}"#);
        let settings = Judgement { alpha: 0.05, strict: false, other_runs: false, seed: 0 };
        let alone = judge(&[metric("m", &old)], &[metric("m", &new)], &tight, &settings);
        assert_eq!(alone.count(Verdict::Regressed), 1);
        let many = |values: &[f64]| -> Vec<Metric> {
            let others = (0..19).map(|i| metric(&format!("x{i}"), &old));
            others.chain([metric("m", values)]).collect()
        };
        let together = judge(&many(&old), &many(&new), &tight, &settings);
        assert_eq!(together.count(Verdict::Regressed), 0);
    }
}
