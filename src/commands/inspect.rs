//! `simic inspect`.

use clap::Args;

use super::{CommandError, Context, Outcome};
use crate::attribution::Repeats;
use crate::records::{CoalitionOptions, ColumnMap, InspectOptions, inspect};
use crate::report::write_inspection;
use crate::results::{InspectAnalysis, InspectionDocument, OnBad};

/// What is in these files: kinds, columns, runs, episodes, environments, steps, slots, coverage, problems.
///
/// Every file is looked at by itself. Exit code 1 if any has a problem.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic inspect runs/
  simic inspect runs/a.parquet -v
  simic inspect runs/ --format json | jq '.files[].problems'")]
pub struct InspectArgs {
    /// Files, directories (searched recursively), quoted patterns, or - for stdin
    ///
    /// Without any: $SIMIC_RUNS, else the directory runs/.
    pub runs: Vec<String>,
    /// Value column of coalition rows [default: val_accuracy, else val_loss]
    #[arg(long, value_name = "NAME")]
    pub value: Vec<String>,
    /// Look at every row for what is odd: steps missing or twice, environments out of step, numbers that are not finite,
    /// dimensions that never change, rows after the end of an episode, games that lack coalitions
    #[arg(long)]
    pub problems: bool,
    /// Exit with 1 where something is odd
    #[arg(long, requires = "problems")]
    pub strict: bool,
}

/// Looks at every file and reports.
///
/// # Errors
/// Nothing to read, or an output that cannot be written; problems in files are findings.
pub fn run(args: &InspectArgs, context: &Context) -> Result<Outcome, CommandError> {
    context.check_output()?;
    let analysis = InspectAnalysis { value: args.value.clone(), columns: context.columns()?.to_map() };
    let options = InspectOptions {
        coalitions: CoalitionOptions {
            columns: ColumnMap::of_map(&analysis.columns),
            values: analysis.value.clone(),
            slots: None,
            repeats: Repeats::Mean,
            on_bad: OnBad::Error,
        },
        looks_for_oddities: args.problems,
    };
    let files = context.discover(&args.runs)?.files;
    let progress = context.console.progress();
    let found = inspect(&files, &options, &progress);
    drop(progress);
    let inspection = InspectionDocument::new(found, analysis);
    context.write(|out| {
        write_inspection(&inspection, context.format(), &context.screen(), context.common.verbose, out)
    })?;
    let is_odd = args.strict && inspection.n_oddities() > 0;
    Ok(if inspection.n_problems() == 0 && !is_odd { Outcome::Clean } else { Outcome::Findings })
}
