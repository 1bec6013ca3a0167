//! `simic inspect`.

use clap::Args;

use super::{CommandError, Context, Outcome, refuse_doubled};
use crate::attribution::Repeats;
use crate::records::{CoalitionOptions, ColumnMap, InspectOptions, inspect};
use crate::report::write_inspection;
use crate::results::{InspectAnalysis, InspectionDocument, OnBad};

/// What is in these files: kinds, columns, runs, episodes, environments, steps, slots, coverage, problems.
///
/// Every file is looked at by itself; those of a data set are also told as one. Exit code 1 if any has a problem.
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
    /// Columns that are the observation, one after the other [default: obs and its other names]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub obs: Vec<String>,
    /// Look at every row for what is odd: steps missing or twice, environments out of step, numbers that are not finite,
    /// dimensions that never change, rows after the end of an episode, games that lack coalitions; and at every column for damage
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
    refuse_doubled("obs", &args.obs)?;
    let columns = context.columns()?.to_map();
    let analysis = InspectAnalysis { value: args.value.clone(), columns, obs: args.obs.clone() };
    let options = InspectOptions {
        coalitions: CoalitionOptions {
            columns: ColumnMap::of_map(&analysis.columns).with_obs(&analysis.obs),
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
    let inspection = InspectionDocument::new(found.sets, found.files, analysis);
    context.write(|out| {
        write_inspection(&inspection, context.format(), &context.screen(), context.common.verbose, out)
    })?;
    let is_odd = args.strict && inspection.n_oddities() > 0;
    Ok(if inspection.n_problems() == 0 && !is_odd { Outcome::Clean } else { Outcome::Findings })
}
