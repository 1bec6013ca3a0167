//! `simic check accept`.

use std::collections::BTreeSet;

use clap::Args;

use super::analysis::{Analysed, Analyst};
use super::compare::{compare, judged};
use super::plan::{TargetArgs, plans};
use super::record::store;
use crate::baseline::{CheckResult, Verdict};
use crate::commands::{CommandError, Context, Outcome};
use crate::records::Baseline;
use crate::report::{CheckOutcome, CheckReport, write_checks};

/// Stores new results as baselines, with the difference shown.
///
/// Metrics that pass (or about which the data cannot tell) keep their stored bytes, so that a baseline does not creep.
/// A baseline made with other settings or of other files is replaced only with --force.
#[derive(Debug, Clone, Args)]
pub struct AcceptArgs {
    #[command(flatten)]
    target: TargetArgs,
}

/// Compares, shows, stores.
///
/// # Errors
/// Unreadable input, no baseline yet, one that cannot be compared with, or one that cannot be written.
pub fn run(args: &AcceptArgs, context: &Context) -> Result<Outcome, CommandError> {
    context.check_output()?;
    let plans = plans(&args.target, context)?;
    let mut analyst = Analyst::new(context);
    let mut reports = Vec::new();
    let mut accepted = Vec::new();
    for plan in &plans {
        let stored = Baseline::read(&plan.baseline)?;
        let new = analyst.analyse(plan)?;
        let mut outcome = compare(&stored, &new, &plan.rules, &plan.judgement);
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
        let place = plan.baseline.display().to_string();
        reports.push(CheckReport { name: plan.name.clone(), baseline: place, outcome });
        if baseline.to_bytes() != stored.to_bytes() {
            accepted.push((plan, baseline));
        }
    }
    context.write(|out| write_checks(&reports, context.check_format(), context.common.verbose, out))?;
    if accepted.is_empty() {
        context.console.note("nothing to accept: the baselines stay as they are");
    }
    for (plan, baseline) in accepted {
        store(plan, &baseline, context)?;
        context.console.note(&format!("{} written", plan.baseline.display()));
    }
    Ok(Outcome::Clean)
}

/// The new baseline: what a rule is content with stays as stored.
fn merged(stored: &Baseline, new: Analysed, result: &CheckResult) -> Baseline {
    let has_lost_units = result
        .findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Missing && finding.id.starts_with("runs/"));
    let kept: BTreeSet<&str> = result
        .findings
        .iter()
        .filter(|finding| !has_lost_units && matches!(finding.verdict, Verdict::Pass | Verdict::Inconclusive))
        .map(|finding| finding.id.as_str())
        .collect();
    let mut baseline = Baseline::new(&stored.name, new.result, new.inputs);
    let mut has_changed = baseline.metrics.len() != stored.metrics.len();
    for metric in &mut baseline.metrics {
        let before = stored.metrics.iter().find(|before| before.id == metric.id);
        match before {
            Some(before) if kept.contains(metric.id.as_str()) => metric.clone_from(before),
            Some(before) if before == metric => {}
            _ => has_changed = true,
        }
    }
    if has_changed { baseline } else { stored.clone() }
}
