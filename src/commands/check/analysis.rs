//! The analysis behind a check: run here, or handed in as a document.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use clap::{Args, Command, FromArgMatches};
use serde_json::Value;
use toml::Table;

use super::plan::CheckPlan;
use crate::commands::analyze::shapley::{self, ShapleyArgs};
use crate::commands::normalize::replay::{self, ReplayArgs};
use crate::commands::normalize::stats::{self, StatsArgs};
use crate::commands::{CommandError, CommonArgs, Context};
use crate::config;
use crate::records::{
    AnalysisResult, CoalitionRecording, FileKind, InputFile, Table as RecordTable, analysis_result,
    fingerprints, read_result_or_baseline,
};
use crate::report::{Format, write_normalization, write_shapley};

/// Flags that would have a check write files, or that are the check's own.
const NOT_IN_A_CHECK: [&str; 8] =
    ["output", "trace", "state-out", "format", "force", "config", "no-config", "threads"];

/// Flags that change nothing about the numbers, or that the result's own document tells.
const TOLD_OTHERWISE: [&str; 22] = [
    "seed",
    "value",
    "better",
    "method",
    "confidence",
    "ci",
    "cluster",
    "games",
    "momentum",
    "target",
    "device",
    "preset",
    "update-every",
    "order",
    "scope",
    "epsilon",
    "clip",
    "gamma",
    "dimensions",
    "quiet",
    "verbose",
    "progress",
];

/// The analysis of coalitions.
const SHAPLEY: &str = "analyze shapley";

/// A result with the files it was made of.
pub(super) struct Analysed {
    pub(super) result: AnalysisResult,
    pub(super) inputs: BTreeMap<String, String>,
}

/// Runs analyses; what several checks read is read once.
pub(super) struct Analyst<'a> {
    context: &'a Context,
    coalitions: BTreeMap<String, CoalitionRecording>,
    done: BTreeMap<String, Value>,
    /// Value columns that checks want of the same rows: they are read together.
    values: BTreeMap<String, Vec<String>>,
}

impl<'a> Analyst<'a> {
    pub(super) fn new(context: &'a Context, plans: &[CheckPlan]) -> Self {
        let mut analyst =
            Self { context, coalitions: BTreeMap::new(), done: BTreeMap::new(), values: BTreeMap::new() };
        for plan in plans.iter().filter(|plan| plan.result.is_none()) {
            let flags = flags_of(plan, SHAPLEY);
            // What is wrong with a check is said when it is its turn.
            let Ok((args, context)) = analyst.parse::<ShapleyArgs>(SHAPLEY, plan, &flags) else { continue };
            let Ok(key) = reading_key(&args, &context, plan) else { continue };
            let wanted = analyst.values.entry(key).or_default();
            for value in args.value {
                if !wanted.contains(&value) {
                    wanted.push(value);
                }
            }
        }
        analyst
    }

    /// The new side of a check.
    ///
    /// # Errors
    /// Unreadable input, flags the analysis does not have, or a result that is none.
    pub(super) fn analyse(&mut self, plan: &CheckPlan) -> Result<Analysed, CommandError> {
        let analysed = match &plan.result {
            Some(path) => {
                let stored = read_result_or_baseline(path)?;
                Analysed { result: stored.result(), inputs: stored.inputs }
            }
            None => self.run(plan)?,
        };
        if analysed.result.metrics.is_empty() {
            return Err(CommandError::State(
                format!("check {}: a result without metrics", plan.name),
                "it has no games or runs: simic inspect says what files hold".to_owned(),
            ));
        }
        Ok(analysed)
    }

    /// Runs the check's analysis, or takes what another check's run gave.
    fn run(&mut self, plan: &CheckPlan) -> Result<Analysed, CommandError> {
        let files = self.context.discover(&plan.runs)?.files;
        if files.iter().any(|file| !Path::new(&file.name).is_file()) {
            return Err(CommandError::usage(
                format!("check {}: a check reads files, not stdin", plan.name),
                "name the files, or hand in a result: --result FILE",
            ));
        }
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let command = match &plan.command {
            Some(command) => command.clone(),
            None => self.told_by(&files)?,
        };
        let flags = flags_of(plan, &command);
        let key = format!("{command} {flags:?} {names:?}");
        if !self.done.contains_key(&key) {
            let document = self.document(&command, plan, &flags, &files)?;
            self.done.insert(key.clone(), document);
        }
        let document = &self.done[&key];
        let mut result = analysis_result(document).map_err(|problem| {
            CommandError::usage(format!("check {}: {problem}", plan.name), "see docs/formats.md")
        })?;
        // What the document does not tell: column names, how repeats count, and the like.
        let told = |flag: &String| TOLD_OTHERWISE.contains(&flag.as_str());
        let mut untold: BTreeMap<&String, Value> =
            flags.iter().filter(|(flag, _)| !told(flag)).map(|(flag, value)| (flag, json(value))).collect();
        let column = "column".to_owned();
        if !self.context.common.column.is_empty() {
            untold.entry(&column).or_insert_with(|| Value::from(self.context.common.column.clone()));
        }
        if !untold.is_empty() {
            let flags = untold.into_iter().map(|(flag, value)| (flag.clone(), value)).collect();
            result.settings.insert("flags".to_owned(), Value::Object(flags));
        }
        let inputs = fingerprints(&files)?;
        let inputs = inputs.into_iter().map(|(name, print)| (plan.stored_name(&name), print)).collect();
        Ok(Analysed { result, inputs })
    }

    /// The analysis that fits the first file.
    fn told_by(&self, files: &[InputFile]) -> Result<String, CommandError> {
        let Some(first) = files.first() else { return Err(CommandError::NothingLeft) };
        let kind = self.context.columns()?.kind(&RecordTable::open(first)?)?;
        Ok(match kind {
            FileKind::Transitions => "normalize stats".to_owned(),
            _ => SHAPLEY.to_owned(),
        })
    }

    fn document(
        &mut self,
        command: &str,
        plan: &CheckPlan,
        flags: &Table,
        files: &[InputFile],
    ) -> Result<Value, CommandError> {
        let mut bytes = Vec::new();
        let written = match command {
            SHAPLEY => {
                let (args, context) = self.parse::<ShapleyArgs>(command, plan, flags)?;
                shapley::check_arguments(&args)?;
                let mut key = reading_key(&args, &context, plan)?;
                let mut reading = args.clone();
                match self.values.get(&key) {
                    Some(values) if !args.value.is_empty() => reading.value.clone_from(values),
                    // The default column is found in the rows.
                    _ => key.push_str(" default"),
                }
                if !self.coalitions.contains_key(&key) {
                    let recording = match shapley::read(&reading, &context, files) {
                        // Another check's column may be the trouble: this one's alone, then.
                        Err(_) if reading.value != args.value => {
                            key = format!("{key} {:?}", args.value);
                            shapley::read(&args, &context, files)?
                        }
                        recording => recording?,
                    };
                    self.coalitions.insert(key.clone(), recording);
                }
                let reports = shapley::compute(&args, &context, &self.coalitions[&key])?;
                write_shapley(&reports, Format::Json, 0, &mut bytes)
            }
            "normalize stats" => {
                let (mut args, context) = self.parse::<StatsArgs>(command, plan, flags)?;
                args.runs.clone_from(&plan.runs);
                write_normalization(&stats::compute(&args, &context)?, Format::Json, 0, &mut bytes)
            }
            "normalize replay" => {
                let (mut args, context) = self.parse::<ReplayArgs>(command, plan, flags)?;
                args.runs.clone_from(&plan.runs);
                write_normalization(&replay::compute(&args, &context)?, Format::Json, 0, &mut bytes)
            }
            other => {
                return Err(CommandError::usage(
                    format!("check {}: no analysis '{other}'", plan.name),
                    "there are analyze shapley, normalize stats and normalize replay",
                ));
            }
        };
        written
            .and_then(|()| Ok(serde_json::from_slice(&bytes)?))
            .map_err(|source| CommandError::Output { target: "the result".to_owned(), source })
    }

    /// The analysis's arguments from the check's flags, as its own command line would take them.
    fn parse<T: Args + FromArgMatches>(
        &self,
        name: &str,
        plan: &CheckPlan,
        flags: &Table,
    ) -> Result<(T, Context), CommandError> {
        let failed = |problem: String| {
            CommandError::usage(
                format!("check {}: {problem}", plan.name),
                format!("[check.{}.flags] takes the flags of simic {name}", plan.name),
            )
        };
        if let Some(flag) = NOT_IN_A_CHECK.iter().find(|flag| plan.flags.contains_key(**flag)) {
            return Err(failed(format!("--{flag} has no place in a check")));
        }
        let command = T::augment_args(CommonArgs::augment_args(Command::new(name.to_owned())));
        let mut arguments = vec![OsString::from("simic")];
        arguments.extend(config::flag_arguments(&command, flags).map_err(failed)?);
        let matches = command.try_get_matches_from(arguments).map_err(|error| {
            let text = error.to_string();
            failed(text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
        })?;
        let parsed = |error: clap::Error| failed(error.to_string());
        let mut common = CommonArgs::from_arg_matches(&matches).map_err(parsed)?;
        let outer = &self.context.common;
        if !flags.contains_key("seed") {
            common.seed = outer.seed;
        }
        if !flags.contains_key("column") {
            common.column.clone_from(&outer.column);
        }
        (common.quiet, common.verbose) = (outer.quiet, outer.verbose);
        (common.color, common.progress) = (outer.color, outer.progress);
        Ok((T::from_arg_matches(&matches).map_err(parsed)?, Context::new(common)))
    }
}

/// Flags of a check's analysis: the command's own table gives what the check does not say.
fn flags_of(plan: &CheckPlan, command: &str) -> Table {
    let mut flags = config::command_flags(&plan.document, command);
    flags.retain(|flag, _| !NOT_IN_A_CHECK.contains(&flag));
    flags.extend(plan.flags.clone());
    flags
}

/// Which rows a check of coalitions reads, and how.
fn reading_key(args: &ShapleyArgs, context: &Context, plan: &CheckPlan) -> Result<String, CommandError> {
    Ok(format!("{} {:?}", shapley::reading_key(args, context)?, plan.runs))
}

/// A flag's value as a document holds it.
fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(is_on) => Value::from(*is_on),
        toml::Value::Array(values) => values.iter().map(json).collect(),
        other => Value::from(other.to_string()),
    }
}
