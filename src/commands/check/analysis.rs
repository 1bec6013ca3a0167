//! The analysis behind a check: run here, or handed in as a document.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::{Args, Command, FromArgMatches};
use toml::Table;

use super::logs::{self, LogsArgs};
use super::plan::CheckPlan;
use crate::attribution::{Cluster, ClusterRequest, GameKey, n_runs};
use crate::commands::analyze::games::read_games;
use crate::commands::analyze::idle::{Given, refuse_idle};
use crate::commands::analyze::shapley::{self, ShapleyArgs};
use crate::commands::normalize::OutputPaths;
use crate::commands::normalize::replay::{self, ReplayArgs};
use crate::commands::normalize::stats::{self, StatsArgs};
use crate::commands::{CommandError, CommonArgs, Context, OutputHolds};
use crate::config;
use crate::records::{
    CoalitionRecording, FileKind, InputFile, Table as RecordTable, discover_logs, fingerprints,
    read_result_or_baseline,
};
use crate::results::{Baseline, CoalitionReading, LogsAnalysis, Measured, ReplayAnalysis, ShapleyAnalysis};

/// Flags that would have a check write files, or that are the check's own.
const NOT_IN_A_CHECK: [&str; 8] =
    ["output", "trace", "state-out", "format", "force", "config", "no-config", "threads"];

/// Where logs are looked for where none are named.
const DEFAULT_RUNS: &str = "runs";

/// A result with the files it was made of.
pub(super) struct Analysed {
    pub(super) result: Measured,
    pub(super) inputs: BTreeMap<String, String>,
}

/// What an analysis is asked.
#[derive(Debug, Clone, PartialEq)]
enum Asked {
    Shapley(ShapleyAnalysis),
    /// Figures of logs, with the seed of resampling.
    Logs(LogsAnalysis, u64),
    Stats(ReplayAnalysis),
    Replay(ReplayAnalysis),
}

/// An analysis and the files it reads.
struct Request {
    asked: Asked,
    /// Flags whose effect depends on the recording.
    given: Vec<Given>,
    files: Vec<InputFile>,
}

impl Request {
    fn names(&self) -> Vec<&str> {
        self.files.iter().map(|file| file.name.as_str()).collect()
    }

    /// Whether the same is asked of the same files.
    fn is_same(&self, other: &Self) -> bool {
        self.asked == other.asked && self.names() == other.names()
    }
}

/// Coalition rows that were read, and how.
struct ReadCoalitions {
    files: Vec<String>,
    reading: CoalitionReading,
    values: Vec<String>,
    recording: CoalitionRecording,
}

/// A cache of analyses: what several checks read is read once, what several ask is computed once.
pub(super) struct AnalysisCache<'a> {
    context: &'a Context,
    /// What each check asks, by its name; what is wrong with a check is said when it is its turn.
    requests: BTreeMap<String, Result<Request, CommandError>>,
    coalitions: Vec<ReadCoalitions>,
    done: Vec<(Request, Measured)>,
}

impl<'a> AnalysisCache<'a> {
    pub(super) fn new(context: &'a Context, plans: &[CheckPlan]) -> Self {
        let without_result = plans.iter().filter(|plan| plan.result.is_none());
        let requests = without_result.map(|plan| (plan.name.clone(), request(plan, context))).collect();
        Self { context, requests, coalitions: Vec::new(), done: Vec::new() }
    }

    /// The new side of a check; where the independent unit is left open, it is that of the baseline `stored`, so
    /// that a run more or less does not change what is compared.
    ///
    /// # Errors
    /// Unreadable input, flags the analysis does not have, or a result that is none.
    pub(super) fn analyse(
        &mut self,
        plan: &CheckPlan,
        stored: Option<&Baseline>,
    ) -> Result<Analysed, CommandError> {
        let analysed = match &plan.result {
            Some(path) => {
                let stored = read_result_or_baseline(path)?;
                Analysed { result: stored.measured(), inputs: stored.inputs }
            }
            None => self.run(plan, stored.and_then(Baseline::cluster))?,
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
    fn run(&mut self, plan: &CheckPlan, stored: Option<Cluster>) -> Result<Analysed, CommandError> {
        let mut request = match self.requests.remove(&plan.name) {
            Some(request) => request?,
            None => request(plan, self.context)?,
        };
        let kept = match (&mut request.asked, stored) {
            (Asked::Shapley(analysis), Some(cluster)) if analysis.cluster == ClusterRequest::Auto => {
                analysis.cluster = cluster.into();
                Some(cluster)
            }
            _ => None,
        };
        let known =
            self.done.iter().find(|(other, _)| other.is_same(&request)).map(|(_, known)| known.clone());
        let result = if let Some(result) = known {
            result
        } else {
            self.compute(&request)?.map_err(|problem| {
                CommandError::State(
                    format!("check {}: {problem}", plan.name),
                    "see docs/checks.md".to_owned(),
                )
            })?
        };
        if let Some(kept) = kept {
            self.tell_unit(plan, &request, kept);
        }
        let inputs = fingerprints(&request.files)?;
        let inputs = inputs.into_iter().map(|(name, print)| (plan.stored_name(&name), print)).collect();
        self.done.push((request, result.clone()));
        Ok(Analysed { result, inputs })
    }

    /// Says where the baseline's unit is not the one that the runs at hand suggest.
    fn tell_unit(&self, plan: &CheckPlan, request: &Request, kept: Cluster) {
        let Asked::Shapley(analysis) = &request.asked else { return };
        let names = request.names();
        let Some(read) =
            self.coalitions.iter().find(|read| read.files == names && read.reading == analysis.reading)
        else {
            return;
        };
        let keys: Vec<&GameKey> =
            (0..read.recording.n_games()).map(|game| read.recording.key(game)).collect();
        let suggested = ClusterRequest::Auto.of(keys.iter().copied());
        if suggested != kept && kept != Cluster::Game {
            self.context.console.note(&format!(
                "check {}: compared by {}, the unit of its baseline; {} here, simic check accept --force takes the {}",
                plan.name,
                kept.name(),
                match n_runs(keys) {
                    1 => "with one run".to_owned(),
                    n => format!("with {n} runs"),
                },
                suggested.name(),
            ));
        }
    }

    /// The numbers asked for, or what is wrong with them.
    fn compute(&mut self, request: &Request) -> Result<Result<Measured, String>, CommandError> {
        let paths = OutputPaths::default();
        Ok(match &request.asked {
            Asked::Shapley(analysis) => {
                let place = self.coalitions_of(request, analysis)?;
                let recording = &self.coalitions[place].recording;
                let documents = shapley::compute(analysis, &self.context.console, recording)?;
                refuse_idle(&request.given, recording.has_unnamed_slots(), &documents)?;
                Measured::of_shapley(&documents)
            }
            Asked::Logs(analysis, seed) => {
                let figures = logs::figures(analysis, &request.files, self.context)?;
                Measured::of_logs(analysis, &figures, *seed)
            }
            Asked::Stats(analysis) => {
                let document = stats::compute(analysis, &request.files, &paths, self.context)?;
                Measured::of_normalization(&document)
            }
            Asked::Replay(analysis) => {
                let document = replay::compute(analysis, &request.files, &paths, self.context)?;
                Measured::of_normalization(&document)
            }
        })
    }

    /// The rows of a request, read with the value columns of all checks that read the same rows.
    fn coalitions_of(&mut self, request: &Request, asked: &ShapleyAnalysis) -> Result<usize, CommandError> {
        let wanted = self.values_wanted(request, asked);
        if let Some(place) = self.known(request, asked, &wanted) {
            return Ok(place);
        }
        let console = &self.context.console;
        let together = ShapleyAnalysis { value: wanted, ..asked.clone() };
        let (values, recording) =
            match read_games(&together.value, &together.reading, console, &request.files) {
                Ok(recording) => (together.value, recording),
                // Another check's column may be the trouble: this one's alone, then.
                Err(_) if together.value != asked.value => {
                    if let Some(place) = self.known(request, asked, &asked.value) {
                        return Ok(place);
                    }
                    (asked.value.clone(), read_games(&asked.value, &asked.reading, console, &request.files)?)
                }
                Err(error) => return Err(error),
            };
        let files = request.names().into_iter().map(str::to_owned).collect();
        self.coalitions.push(ReadCoalitions { files, reading: asked.reading.clone(), values, recording });
        Ok(self.coalitions.len() - 1)
    }

    fn known(&self, request: &Request, asked: &ShapleyAnalysis, values: &[String]) -> Option<usize> {
        let names = request.names();
        self.coalitions
            .iter()
            .position(|read| read.files == names && read.reading == asked.reading && read.values == values)
    }

    /// Value columns that this check and those still to come want of the same rows; none for the default column,
    /// which is found in the rows.
    fn values_wanted(&self, request: &Request, asked: &ShapleyAnalysis) -> Vec<String> {
        let mut wanted = asked.value.clone();
        if wanted.is_empty() {
            return wanted;
        }
        let requests = self.requests.values().flatten().chain(self.done.iter().map(|(request, _)| request));
        for other in requests.filter(|other| other.names() == request.names()) {
            if let Asked::Shapley(other) = &other.asked
                && other.reading == asked.reading
            {
                wanted.extend(other.value.iter().cloned());
            }
        }
        wanted.sort();
        wanted.dedup();
        wanted
    }
}

/// What a check asks, and of which files.
fn request(plan: &CheckPlan, context: &Context) -> Result<Request, CommandError> {
    if let Some(request) = logs_request(plan, context)? {
        return Ok(request);
    }
    let files = context.discover(&plan.runs)?.files;
    if files.iter().any(|file| !file.can_be_named_again()) {
        return Err(CommandError::usage(
            format!("check {}: a check reads files, not stdin", plan.name),
            "name the files, or hand in a result: --result FILE",
        ));
    }
    let command = match &plan.command {
        Some(command) => command.as_str(),
        None => told_by(&files, context)?,
    };
    let mut given = Vec::new();
    let asked = match command {
        "analyze shapley" => {
            let (args, context) = parse::<ShapleyArgs>(command, plan, context)?;
            if args.compare_recorded.is_some() {
                return Err(CommandError::usage(
                    format!("check {}: compare_recorded adds no number that a check compares", plan.name),
                    "leave it out; simic analyze shapley --compare-recorded shows it",
                ));
            }
            given = args.given();
            Asked::Shapley(args.analysis(&context)?)
        }
        "normalize stats" => {
            let (args, context) = parse::<StatsArgs>(command, plan, context)?;
            Asked::Stats(args.analysis(&context)?)
        }
        "normalize replay" => {
            let (args, context) = parse::<ReplayArgs>(command, plan, context)?;
            Asked::Replay(args.analysis(&context)?)
        }
        other => {
            return Err(CommandError::usage(
                format!("check {}: no analysis '{other}'", plan.name),
                "there are analyze shapley, normalize stats, normalize replay and logs",
            ));
        }
    };
    Ok(Request { asked, given, files })
}

/// A check of logs: asked for by name, or where nothing else lies in the folders named.
fn logs_request(plan: &CheckPlan, context: &Context) -> Result<Option<Request>, CommandError> {
    let is_named = plan.command.as_deref() == Some("logs");
    if !is_named && plan.command.is_some() {
        return Ok(None);
    }
    // As the search for recordings has it.
    let usual = [DEFAULT_RUNS.to_owned()];
    let has_usual = plan.runs.is_empty() && std::env::var_os("SIMIC_RUNS").is_none();
    let found = discover_logs(if has_usual { &usual } else { &plan.runs });
    if found.files.is_empty() && is_named {
        return Err(CommandError::State(
            format!("check {}: no logs in {}", plan.name, plan.runs.join(", ")),
            "logs are monitor.csv, progress.csv, result.json and TensorBoard's event files".to_owned(),
        ));
    }
    if found.files.is_empty() || (!is_named && found.n_others > 0) {
        return Ok(None);
    }
    let (args, context) = parse::<LogsArgs>("logs", plan, context)?;
    let asked = Asked::Logs(args.analysis()?, context.common.seed);
    Ok(Some(Request { asked, given: Vec::new(), files: found.files }))
}

/// The analysis that fits the first file.
fn told_by(files: &[InputFile], context: &Context) -> Result<&'static str, CommandError> {
    let Some(first) = files.first() else { return Err(CommandError::NothingLeft) };
    let kind = context.columns()?.kind(&RecordTable::open(first)?)?;
    Ok(match kind {
        FileKind::Transitions => "normalize stats",
        _ => "analyze shapley",
    })
}

/// The analysis's arguments from the check's flags, as its own command line would take them.
fn parse<T: Args + FromArgMatches>(
    name: &str,
    plan: &CheckPlan,
    context: &Context,
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
    let flags = flags_of(plan, name);
    let command = T::augment_args(CommonArgs::augment_args(Command::new(name.to_owned())));
    let mut arguments = vec![OsString::from("simic")];
    arguments.extend(config::flag_arguments(&command, &flags).map_err(failed)?);
    let matches = command.try_get_matches_from(arguments).map_err(|error| {
        let text = error.to_string();
        failed(text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
    })?;
    let parsed = |error: clap::Error| failed(error.to_string());
    let mut common = CommonArgs::from_arg_matches(&matches).map_err(parsed)?;
    let outer = &context.common;
    if !flags.contains_key("seed") {
        common.seed = outer.seed;
    }
    if !flags.contains_key("column") {
        common.column.clone_from(&outer.column);
    }
    (common.quiet, common.verbose) = (outer.quiet, outer.verbose);
    (common.color, common.progress) = (outer.color, outer.progress);
    Ok((T::from_arg_matches(&matches).map_err(parsed)?, Context::new(common, OutputHolds::Result)))
}

/// Flags of a check's analysis: the command's own table gives what the check does not say.
fn flags_of(plan: &CheckPlan, command: &str) -> Table {
    let mut flags = config::command_flags(&plan.document, command);
    flags.retain(|flag, _| !NOT_IN_A_CHECK.contains(&flag));
    flags.extend(plan.flags.clone());
    flags
}
