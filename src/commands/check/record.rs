//! `simic check record`.

use clap::Args;

use super::analysis::Analyst;
use super::plan::{CheckPlan, TargetArgs, plans};
use crate::commands::{CommandError, Context, Outcome};
use crate::records::Baseline;

/// Stores the first baselines; an existing one is replaced only with --force (accept shows what changes).
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
    let plans = plans(&args.target, context)?;
    if let Some(plan) = plans.iter().find(|plan| plan.baseline.exists() && !context.common.force) {
        return Err(CommandError::usage(
            format!("{} exists", plan.baseline.display()),
            "simic check accept shows what changes and stores it; --force replaces it",
        ));
    }
    let mut analyst = Analyst::new(context);
    let mut recorded = Vec::with_capacity(plans.len());
    for plan in &plans {
        let analysed = analyst.analyse(plan)?;
        recorded.push((plan, Baseline::new(&plan.name, analysed.result, analysed.inputs)));
    }
    for (plan, baseline) in recorded {
        store(plan, &baseline, context)?;
        let n = baseline.metrics.len();
        let files = baseline.inputs.len();
        context
            .console
            .output(None, false, |out| {
                writeln!(
                    out,
                    "{}: {n} metrics of {files} file{} stored in {}",
                    plan.name,
                    if files == 1 { "" } else { "s" },
                    plan.baseline.display()
                )
            })
            .map_err(|source| CommandError::Output { target: "the result".to_owned(), source })?;
    }
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
