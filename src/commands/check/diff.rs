//! `simic check diff`.

use std::path::PathBuf;

use clap::Args;

use super::analysis::Analysed;
use super::compare::{CheckOutcome, compare};
use super::run::{outcome_of, unit_of};
use crate::baseline::{Judgement, Rules};
use crate::commands::{CommandError, Context, Outcome};
use crate::records::read_result_or_baseline;
use crate::report::write_checks;
use crate::results::CheckDocument;

/// Compares two baselines or results (--format json) under the default rules, without configuration.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// The old side
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The new side
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Fail as well where the data cannot tell
    #[arg(long)]
    strict: bool,
    /// The new side has other runs than the old one: none is missed
    #[arg(long)]
    other_runs: bool,
}

/// Compares and reports.
///
/// # Errors
/// Documents that cannot be read, or an output that cannot be written.
pub fn run(args: &DiffArgs, context: &Context) -> Result<Outcome, CommandError> {
    context.check_output()?;
    let old = read_result_or_baseline(&args.old)?;
    let new = read_result_or_baseline(&args.new)?;
    let new = Analysed { result: new.measured(), inputs: new.inputs };
    let judgement = Judgement {
        alpha: 0.05,
        strict: args.strict,
        other_runs: args.other_runs,
        seed: context.common.seed,
    };
    let mut outcome = compare(&old, &new, None, &Rules::default(), &judgement);
    if let CheckOutcome::Unusable { hint, .. } = &mut outcome {
        "compare results of the same settings and runs, or say --other-runs".clone_into(hint);
    }
    let name = format!("{} -> {}", args.old.display(), args.new.display());
    let row = outcome.row(name, args.old.display().to_string(), unit_of(&old));
    let document = CheckDocument::new(vec![row]).concluded();
    let (format, screen) = (context.check_format(), context.screen());
    context.write(|out| write_checks(&document, format, &screen, context.common.verbose, out))?;
    Ok(outcome_of(&document))
}
