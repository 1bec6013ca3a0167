//! `simic check accept`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;

use super::analysis::{Analysed, AnalysisCache};
use super::compare::{CheckOutcome, compare, ids, judged};
use super::plan::{OtherRunsArgs, TargetArgs, plans};
use super::record::store;
use super::run::unit_of;
use crate::commands::{CommandError, Context, Outcome};
use crate::records::read_baseline;
use crate::report::write_checks;
use crate::results::{Baseline, CheckDocument, CheckResult, Metric, Verdict};

/// Share of a number that another processor or library may round it by.
const ROUNDING: f64 = 1e-9;

/// Stores new results as baselines, with the difference shown.
///
/// The whole new result is stored; numbers that moved by rounding alone keep their stored bytes.
/// A baseline made with other settings or of other files is replaced only with --force.
#[derive(Debug, Clone, Args)]
pub struct AcceptArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    other_runs: OtherRunsArgs,
    /// Store what got worse or is gone as well
    #[arg(long)]
    regressions: bool,
}

/// Compares, shows, stores; where something got worse or is gone, only with --regressions.
///
/// # Errors
/// Unreadable input, no baseline yet, one that cannot be compared with, or one that cannot be written.
pub fn run(args: &AcceptArgs, context: &Context) -> Result<Outcome, CommandError> {
    context.check_output()?;
    let mut plans = plans(&args.target, context)?;
    args.other_runs.apply(&mut plans);
    let mut cache = AnalysisCache::new(context, &plans);
    let mut rows = Vec::new();
    let mut accepted = Vec::new();
    for plan in &plans {
        let stored = read_baseline(&plan.baseline)?;
        // A baseline replaced as a whole takes the unit that the new runs suggest.
        let kept = (!context.common.force).then_some(&stored);
        let new = cache.analyse(plan, kept)?;
        plan.check_rules(&ids(&stored, &new))?;
        let mut outcome = compare(&stored, &new, Some(&plan.name), &plan.rules, &plan.judgement);
        let baseline = match &outcome {
            CheckOutcome::Judged(result) => merged(&stored, new, result),
            CheckOutcome::Unusable { .. } if context.common.force => {
                outcome = CheckOutcome::Judged(judged(&stored, &new, &plan.rules, &plan.judgement));
                Baseline::new(&plan.name, new.result, new.inputs)
            }
            CheckOutcome::Unusable { reason, .. } => {
                return Err(CommandError::State(
                    format!("check {}: {reason}", plan.name),
                    "--force replaces the whole baseline".to_owned(),
                ));
            }
        };
        if let (Some(before), Some(now)) = (stored.cluster(), baseline.cluster())
            && before != now
        {
            context.console.note(&format!(
                "check {}: the independent unit is now the {}, it was the {}",
                plan.name,
                now.name(),
                before.name()
            ));
        }
        let place = plan.baseline.display().to_string();
        rows.push(outcome.row(plan.name.clone(), place, unit_of(&stored)));
        if baseline.to_bytes() != stored.to_bytes() {
            accepted.push((plan, baseline));
        }
    }
    let document = CheckDocument::new(rows).concluded();
    if !context.common.quiet || context.common.output.is_some() {
        let (format, screen) = (context.check_format(), context.screen());
        context.write(|out| write_checks(&document, format, &screen, context.common.verbose, out))?;
    }
    let n_worse: usize = document
        .checks
        .iter()
        .map(|check| check.findings.iter().filter(|f| f.verdict.fails(false)).count())
        .sum();
    if n_worse > 0 && !args.regressions {
        let got = if n_worse == 1 {
            "1 metric got worse or is".to_owned()
        } else {
            format!("{n_worse} metrics got worse or are")
        };
        context
            .console
            .error(&format!("{got} gone: nothing was stored"), Some("--regressions stores that as well"));
        return Ok(Outcome::Findings);
    }
    if accepted.is_empty() {
        context.console.note("nothing to accept: the baselines stay as they are");
    }
    for (plan, baseline) in accepted {
        store(plan, &baseline, context)?;
        context.console.note(&format!("{} written", plan.baseline.display()));
    }
    Ok(Outcome::Clean)
}

/// The new baseline: all of one result, but for what moved by rounding alone.
fn merged(stored: &Baseline, mut new: Analysed, result: &CheckResult) -> Baseline {
    let content: BTreeSet<&str> = result
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Pass)
        .map(|finding| finding.id.as_str())
        .collect();
    let stored_by_id: BTreeMap<&str, &Metric> =
        stored.metrics.iter().map(|metric| (metric.id.as_str(), metric)).collect();
    let before = |metric: &Metric| stored_by_id.get(metric.id.as_str()).copied();
    let has_same_units =
        new.result.metrics.iter().all(|metric| {
            before(metric).is_none_or(|before| before.samples.keys().eq(metric.samples.keys()))
        });
    let mut has_changed = new.result.metrics.len() != stored.metrics.len() || !has_same_units;
    for metric in &mut new.result.metrics {
        match before(metric) {
            Some(before) if before == metric => {}
            Some(before) if has_same_units && is_kept(before, metric, &content) => metric.clone_from(before),
            _ => has_changed = true,
        }
    }
    if has_changed { Baseline::new(&stored.name, new.result, new.inputs) } else { stored.clone() }
}

/// A number that a rule is content with and that, as all its units, moved by rounding alone.
fn is_kept(before: &Metric, now: &Metric, content: &BTreeSet<&str>) -> bool {
    let is_rounding = |before: f64, now: f64| (before - now).abs() <= ROUNDING * before.abs();
    let mut units = before.samples.values().zip(now.samples.values());
    content.contains(now.id.as_str())
        && is_rounding(before.value, now.value)
        && units.all(|(before, now)| is_rounding(*before, *now))
}
