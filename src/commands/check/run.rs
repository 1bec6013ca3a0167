//! `simic check run`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::analysis::AnalysisCache;
use super::compare::{CheckOutcome, compare, ids};
use super::plan::{CheckPlan, OtherRunsArgs, TargetArgs, plans};
use crate::commands::figures::{FigureArgs, FigureKindArgs};
use crate::commands::{CommandError, Context, FormatArg, Outcome};
use crate::records::{read_baseline, read_baseline_revision};
use crate::report::{CheckFormat, Screen, check_figure, write_checks};
use crate::results::{Baseline, CheckDocument, CheckRow, CheckStatus, unit_noun};

/// Recomputes and compares with the baselines.
///
/// Exit code 0: nothing got worse; 1: a metric regressed or is missing, or (--strict) the data cannot tell; 3: there
/// is no baseline to compare with, or it was made with other settings or files.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    other_runs: OtherRunsArgs,
    /// Compare with this baseline instead of simic-baselines/NAME.json
    #[arg(long, value_name = "FILE", conflicts_with = "baseline_rev")]
    pub baseline: Option<PathBuf>,
    /// Compare with the baseline as this git revision has it
    #[arg(long, value_name = "REV")]
    pub baseline_rev: Option<String>,
    /// Fail as well where the data cannot tell
    #[arg(long)]
    pub strict: bool,
    /// Write the report to a file too (repeatable): table, json, ndjson, csv, markdown, parquet,
    /// arrow, junit or github
    #[arg(long, value_name = "FORMAT=PATH", value_parser = report_target)]
    pub report: Vec<(CheckFormat, PathBuf)>,
    #[command(flatten)]
    figure: FigureArgs,
}

fn report_target(text: &str) -> Result<(CheckFormat, PathBuf), String> {
    let (format, path) = text.split_once('=').ok_or("FORMAT=PATH, for instance junit=simic.xml")?;
    let format = FormatArg::from_str(format, false).map_err(|_| format!("no format '{format}'"))?;
    if path.is_empty() {
        return Err("no path".to_owned());
    }
    Ok((format.into(), PathBuf::from(path)))
}

/// Runs the checks and reports.
///
/// # Errors
/// Unreadable input, a configuration that makes no sense, or a report that cannot be written.
pub fn run(args: &RunArgs, context: &Context) -> Result<Outcome, CommandError> {
    args.figure.check(&FigureKindArgs::default(), context)?;
    context.check_output()?;
    let mut plans = plans(&args.target, context)?;
    args.other_runs.apply(&mut plans);
    if args.baseline.is_some() && plans.len() > 1 {
        return Err(CommandError::usage("one --baseline for several checks", "choose one with --name"));
    }
    let mut cache = AnalysisCache::new(context, &plans);
    let mut rows = Vec::with_capacity(plans.len());
    for plan in &mut plans {
        plan.judgement.strict |= args.strict;
        if let Some(path) = &args.baseline {
            plan.baseline.clone_from(path);
        }
        rows.push(check(plan, args.baseline_rev.as_deref(), args.baseline.is_none(), &mut cache)?);
    }
    let document = CheckDocument::new(rows).concluded();
    if !args.figure.write(&FigureKindArgs::default(), context, |kind| check_figure(&document, kind))? {
        report(&document, args, context)?;
    }
    Ok(outcome_of(&document))
}

/// A regression outweighs a check that could not be made.
pub(super) fn outcome_of(document: &CheckDocument) -> Outcome {
    let has = |status: CheckStatus| document.checks.iter().any(|check| check.status == status);
    if has(CheckStatus::Failed) {
        Outcome::Findings
    } else if has(CheckStatus::Incomparable) {
        Outcome::Incomparable
    } else {
        Outcome::Clean
    }
}

fn check(
    plan: &CheckPlan,
    revision: Option<&str>,
    is_own: bool,
    cache: &mut AnalysisCache<'_>,
) -> Result<CheckRow, CommandError> {
    let stored = match revision {
        Some(revision) => read_baseline_revision(revision, &plan.baseline),
        None => read_baseline(&plan.baseline),
    };
    let place = plan.baseline.display();
    let baseline = revision.map_or_else(|| place.to_string(), |revision| format!("{revision}:{place}"));
    let unusable = |reason: String, hint: Option<String>| CheckOutcome::Unusable {
        reason,
        hint: hint.unwrap_or_else(|| "simic inspect says what is in a file".to_owned()),
    };
    let unit = stored.as_ref().ok().and_then(unit_of);
    let outcome = match stored {
        Err(error) => unusable(error.to_string(), Some(error.hint().to_owned())),
        Ok(stored) => match cache.analyse(plan, Some(&stored)) {
            Ok(new) => {
                plan.check_rules(&ids(&stored, &new))?;
                // A document named on the command line may have any name.
                let name = is_own.then_some(&plan.name[..]);
                compare(&stored, &new, name, &plan.rules, &plan.judgement)
            }
            Err(error @ CommandError::Usage { .. }) => return Err(error),
            // What cannot be read is this check's trouble: the others are made all the same.
            Err(error) => unusable(error.to_string(), error.hint()),
        },
    };
    Ok(outcome.row(plan.name.clone(), baseline, unit))
}

/// What the units behind a baseline's numbers are called.
pub(super) fn unit_of(stored: &Baseline) -> Option<String> {
    let cluster = stored.cluster()?;
    // Names of units begin with their run.
    let units = stored.metrics.iter().flat_map(|metric| metric.samples.keys());
    let runs = units.map(|name| name.split('/').next().unwrap_or(name));
    Some(unit_noun(cluster, &runs).to_owned())
}

/// Writes the report, and everything else that was asked.
fn report(document: &CheckDocument, args: &RunArgs, context: &Context) -> Result<(), CommandError> {
    let format = context.check_format();
    context.write(|out| write_checks(document, format, &context.screen(), context.common.verbose, out))?;
    if format == CheckFormat::Github {
        append_summary(document, &context.file_screen())?;
    }
    for (format, path) in &args.report {
        context
            .console
            .output(Some(path), true, |out| {
                write_checks(document, *format, &context.file_screen(), true, out)
            })
            .map_err(|source| CommandError::Output { target: path.display().to_string(), source })?;
    }
    Ok(())
}

/// All findings in the step's summary, where GitHub named a file for it.
fn append_summary(document: &CheckDocument, screen: &Screen) -> Result<(), CommandError> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let path = Path::new(&path);
    let append = || -> std::io::Result<()> {
        let mut bytes = Vec::new();
        write_checks(document, CheckFormat::Markdown, screen, true, &mut bytes)?;
        bytes.push(b'\n');
        std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(&bytes)
    };
    append().map_err(|source| CommandError::Output { target: path.display().to_string(), source })
}
