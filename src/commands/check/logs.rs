//! A check of logs: figures that trainers write, read and chosen.

use clap::Args;
use globset::{GlobBuilder, GlobMatcher};

use crate::commands::{CommandError, Context};
use crate::records::{InputFile, read_logs};
use crate::results::{LoggedFigure, LogsAnalysis, logged_direction};

/// Resamples of which an interval can be made, and that can be waited for.
const RESAMPLES: std::ops::RangeInclusive<usize> = 100..=1_000_000;

/// Which figures, and what of them: `[check.NAME.flags]` of a check with `command = "logs"`.
#[derive(Debug, Clone, Args)]
pub(super) struct LogsArgs {
    /// Figures to guard, as patterns (repeatable) [default: those whose names say which way is better]
    #[arg(long, value_name = "PATTERN")]
    metric: Vec<String>,
    /// Share of a curve that its final value is the mean of
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    last: f64,
    /// Level of the intervals
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95)]
    confidence: f64,
    /// Resamples of the stratified bootstrap, from 100 to 1,000,000
    #[arg(long, value_name = "N", default_value_t = 2000)]
    resamples: usize,
    /// Thresholds of the performance profile: the share of runs above each
    #[arg(long, value_name = "X,Y,Z", value_delimiter = ',', allow_negative_numbers = true)]
    profile: Vec<f64>,
}

impl LogsArgs {
    /// What is asked, as a value.
    ///
    /// # Errors
    /// Shares and levels outside of (0, 1], and patterns that are none.
    pub(super) fn analysis(&self) -> Result<LogsAnalysis, CommandError> {
        if !(self.last > 0.0 && self.last <= 1.0) {
            return Err(CommandError::usage(
                "--last is a share of a curve, above 0 and at most 1",
                "for instance 0.1",
            ));
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return Err(CommandError::usage("--confidence lies between 0 and 1", "for instance 0.95"));
        }
        if !RESAMPLES.contains(&self.resamples) {
            return Err(CommandError::usage(
                format!(
                    "--resamples {} is not between {} and {}",
                    self.resamples,
                    RESAMPLES.start(),
                    RESAMPLES.end()
                ),
                "2000 are usual; intervals at 99 % want more",
            ));
        }
        self.metric.iter().try_for_each(|pattern| matcher(pattern).map(|_| ()))?;
        Ok(LogsAnalysis {
            metric: self.metric.clone(),
            last: self.last,
            confidence: self.confidence,
            resamples: self.resamples,
            profile: self.profile.clone(),
        })
    }
}

fn matcher(pattern: &str) -> Result<GlobMatcher, CommandError> {
    let glob = GlobBuilder::new(pattern).literal_separator(false).build().map_err(|error| {
        CommandError::usage(format!("--metric {pattern}: {}", error.kind()), "for instance 'rollout/*'")
    })?;
    Ok(glob.compile_matcher())
}

/// The figures asked for.
///
/// # Errors
/// Damaged files, and none of the figures.
pub(super) fn figures(
    analysis: &LogsAnalysis,
    files: &[InputFile],
    context: &Context,
) -> Result<Vec<LoggedFigure>, CommandError> {
    let read = read_logs(files)?;
    read.notes.iter().for_each(|note| context.console.note(note));
    let matchers: Vec<GlobMatcher> =
        analysis.metric.iter().map(|of| matcher(of)).collect::<Result<_, _>>()?;
    let is_asked = |tag: &str| {
        if matchers.is_empty() {
            logged_direction(tag).is_some()
        } else {
            matchers.iter().any(|of| of.is_match(tag))
        }
    };
    let mut tags: Vec<&str> = read.curves.iter().map(|curve| &curve.tag[..]).collect();
    tags.sort_unstable();
    tags.dedup();
    let chosen: Vec<LoggedFigure> = (read.curves.iter())
        .filter(|curve| is_asked(&curve.tag))
        .map(|curve| LoggedFigure {
            run: curve.run.clone(),
            task: curve.task.clone(),
            tag: curve.tag.clone(),
            values: curve.values.clone(),
        })
        .collect();
    if chosen.is_empty() {
        let asked =
            if matchers.is_empty() { "whose name says which way is better" } else { "of those patterns" };
        return Err(CommandError::State(
            format!("no figure {asked} in {} of logs", files.first().map_or("", |file| &file.name)),
            format!("there are {}", tags.into_iter().take(12).collect::<Vec<_>>().join(", ")),
        ));
    }
    Ok(chosen)
}
