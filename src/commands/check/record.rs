//! `simic check record`.

use clap::Args;

use super::analysis::AnalysisCache;
use super::plan::{CheckPlan, TargetArgs, plans};
use crate::baseline::resolutions;
use crate::commands::{CommandError, Context, Outcome};
use crate::report::write_recorded;
use crate::results::{Baseline, RecordDocument, RecordedCheck};

/// Stores the first baselines of checks that have none; --force replaces existing ones (accept shows what changes).
#[derive(Debug, Clone, Args)]
pub struct RecordArgs {
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the analyses and stores them.
///
/// # Errors
/// Unreadable input, an existing baseline, or one that cannot be written.
pub fn run(args: &RecordArgs, context: &Context) -> Result<Outcome, CommandError> {
    context.check_output()?;
    let mut plans = plans(&args.target, context)?;
    let has_baseline = |plan: &CheckPlan| plan.baseline.exists() && !context.common.force;
    if let Some(plan) = plans.iter().find(|_| plans.iter().all(has_baseline)) {
        return Err(CommandError::usage(
            format!("{} exists", plan.baseline.display()),
            "simic check accept shows what changes and stores it; --force replaces it",
        ));
    }
    for plan in plans.iter().filter(|plan| has_baseline(plan)) {
        context.console.note(&format!("{}: has a baseline, which stays as it is", plan.name));
    }
    plans.retain(|plan| !has_baseline(plan));
    let mut cache = AnalysisCache::new(context, &plans);
    let mut recorded = Vec::with_capacity(plans.len());
    for plan in &plans {
        let analysed = cache.analyse(plan, None)?;
        let ids: Vec<&str> = analysed.result.metrics.iter().map(|metric| metric.id.as_str()).collect();
        plan.check_rules(&ids)?;
        recorded.push((plan, Baseline::new(&plan.name, analysed.result, analysed.inputs)));
    }
    let mut lines = Vec::with_capacity(recorded.len());
    for (plan, baseline) in recorded {
        store(plan, &baseline, context)?;
        lines.push(RecordedCheck {
            name: plan.name.clone(),
            metrics: baseline.metrics.len(),
            files: baseline.inputs.len(),
            baseline: plan.baseline.display().to_string(),
            resolutions: resolutions(&baseline.metrics, &plan.rules, plan.judgement.alpha),
        });
    }
    let document = RecordDocument::new(lines);
    context.write(|out| write_recorded(&document, context.format(), &context.screen(), out))?;
    Ok(Outcome::Clean)
}

/// Writes a baseline, whole or not at all.
pub(super) fn store(plan: &CheckPlan, baseline: &Baseline, context: &Context) -> Result<(), CommandError> {
    let path = &plan.baseline;
    let failed = |source| CommandError::Output { target: path.display().to_string(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let bytes = baseline.to_bytes();
    context.console.output(Some(path), true, |out| out.write_all(&bytes)).map_err(failed)
}
