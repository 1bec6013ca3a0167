//! `simic analyze shapley`.

use clap::{Args, ValueEnum};
use rayon::prelude::*;

use crate::attribution::{
    Cluster, GameResult, MethodRequest, MissingPolicy, PermutationSettings, Repeats, ShapleyEngine,
    ShapleySettings, ValueRange, summarize,
};
use crate::commands::common::OnBadArg;
use crate::commands::{CommandError, Context, Outcome};
use crate::records::{CoalitionOptions, CoalitionRecording, InputFile};
use crate::report::{Direction, ShapleyReport, write_shapley};
use crate::stats::{BootstrapSettings, ConfidenceLevel, IntervalMethod};

/// How each slot's share of the value is computed: exactly from all coalitions, from permutations with honest
/// intervals, by a fit, or as bounds.
///
/// A game is one (run, episode, environment[, batch]); its players are the slots. Values are taken raw: for a
/// loss, a helping slot has a negative value.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic analyze shapley runs/*.parquet
  simic analyze shapley runs/ --format json | jq '.summary'
  simic analyze shapley walks.parquet --method permutation --confidence 0.99
  simic analyze shapley partial.parquet --method bounds --range 0,1")]
pub struct ShapleyArgs {
    /// Files, directories (searched recursively), quoted patterns, or - for stdin
    ///
    /// Without any: $SIMIC_RUNS, else the directory runs/.
    pub runs: Vec<String>,
    /// Value column (repeatable) [default: val_accuracy, else val_loss]
    #[arg(long, value_name = "NAME")]
    pub value: Vec<String>,
    /// Which way the value column is good [default: told by its name]
    #[arg(long, value_enum, value_name = "WAY")]
    pub better: Option<DirectionArg>,
    /// How values are computed
    #[arg(long, value_enum, default_value = "auto")]
    pub method: MethodArg,
    /// Permutations to draw, reverses included, where the recording has no walks of its own
    #[arg(long, value_name = "M", default_value_t = 1000)]
    pub permutations: usize,
    /// Draw independent permutations instead of antithetic pairs
    #[arg(long)]
    pub no_antithetic: bool,
    /// What a permutation through an unrecorded coalition does; skip marks results biased
    #[arg(long, value_enum, default_value = "error")]
    pub missing: MissingArg,
    /// Range unseen values can lie in, for --method bounds
    #[arg(long, value_name = "LO,HI", allow_hyphen_values = true)]
    pub range: Option<ValueRange>,
    /// Confidence level of intervals and tests
    #[arg(long, value_name = "LEVEL", default_value = "0.95")]
    pub confidence: ConfidenceLevel,
    /// How intervals are made from samples
    #[arg(long, value_enum, default_value = "t")]
    pub ci: CiArg,
    /// Resamples of --ci bootstrap
    #[arg(long, value_name = "B", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..))]
    pub resamples: u32,
    /// The independent unit over games
    #[arg(long, value_enum, default_value = "episode")]
    pub cluster: ClusterArg,
    /// Several rows for one coalition: average them and carry their spread, refuse, or take one
    #[arg(long, value_enum, default_value = "mean")]
    pub duplicates: DuplicatesArg,
    /// Slot ids of bare masks, in bit order
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub slots: Vec<String>,
    /// Malformed rows and files, and games the method has no value for
    #[arg(long, value_enum, default_value = "error")]
    pub on_bad: OnBadArg,
    /// Games to list in a table
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub games: usize,
}

/// Method of attribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodArg {
    /// Exact if complete, else recorded walks, else kernel
    Auto,
    /// All 2^n coalitions
    Exact,
    /// Recorded walks, or permutations drawn over recorded coalitions
    Permutation,
    /// Constrained weighted least squares on what is recorded
    Kernel,
    /// Intervals that hold whatever the unseen values are
    Bounds,
}

/// Direction of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DirectionArg {
    /// Higher is better
    Higher,
    /// Lower is better
    Lower,
}

/// Unrecorded coalitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MissingArg {
    /// Stop with an error
    Error,
    /// Leave the marginal contribution out
    Skip,
}

/// Interval method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CiArg {
    /// Student's t
    T,
    /// Normal
    Normal,
    /// Bias-corrected and accelerated bootstrap
    Bootstrap,
}

/// Independent unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClusterArg {
    /// Each game
    Game,
    /// Each (run, episode), its games averaged first
    Episode,
    /// Each run
    Run,
}

/// Repeated rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DuplicatesArg {
    /// Repeated noisy evaluations
    Mean,
    /// A mistake
    Error,
    /// The first counts
    First,
    /// The last counts
    Last,
}

impl ShapleyArgs {
    fn settings(&self, context: &Context) -> ShapleySettings {
        let seed = context.common.seed;
        ShapleySettings {
            method: match self.method {
                MethodArg::Auto => MethodRequest::Auto,
                MethodArg::Exact => MethodRequest::Exact,
                MethodArg::Permutation => MethodRequest::Permutation,
                MethodArg::Kernel => MethodRequest::Kernel,
                MethodArg::Bounds => MethodRequest::Bounds,
            },
            permutations: PermutationSettings {
                n_permutations: self.permutations,
                antithetic: !self.no_antithetic,
                seed,
            },
            missing: match self.missing {
                MissingArg::Error => MissingPolicy::Error,
                MissingArg::Skip => MissingPolicy::Skip,
            },
            range: self.range,
            confidence: self.confidence,
            interval: match self.ci {
                CiArg::T => IntervalMethod::StudentT,
                CiArg::Normal => IntervalMethod::Normal,
                CiArg::Bootstrap => IntervalMethod::Bootstrap(BootstrapSettings {
                    n_resamples: self.resamples as usize,
                    seed,
                }),
            },
        }
    }

    fn cluster(&self) -> Cluster {
        match self.cluster {
            ClusterArg::Game => Cluster::Game,
            ClusterArg::Episode => Cluster::Episode,
            ClusterArg::Run => Cluster::Run,
        }
    }

    fn coalition_options(&self, context: &Context) -> Result<CoalitionOptions, CommandError> {
        let doubled = self.slots.iter().enumerate().find(|(i, id)| self.slots[..*i].contains(id));
        if let Some((_, id)) = doubled {
            return Err(CommandError::usage(
                format!("--slots names '{id}' twice"),
                "every slot has an id of its own",
            ));
        }
        Ok(CoalitionOptions {
            columns: context.columns()?,
            values: self.value.clone(),
            slots: (!self.slots.is_empty()).then(|| self.slots.clone()),
            repeats: match self.duplicates {
                DuplicatesArg::Mean => Repeats::Mean,
                DuplicatesArg::Error => Repeats::Error,
                DuplicatesArg::First => Repeats::First,
                DuplicatesArg::Last => Repeats::Last,
            },
            on_bad: self.on_bad.into(),
        })
    }

    fn direction(&self, value: &str) -> Option<Direction> {
        match self.better {
            Some(DirectionArg::Higher) => Some(Direction::Higher),
            Some(DirectionArg::Lower) => Some(Direction::Lower),
            None => Direction::of_column(value),
        }
    }
}

/// Reads, computes, reports.
///
/// # Errors
/// Unreadable input, games without a value under the method, or an output that cannot be written.
pub fn run(args: &ShapleyArgs, context: &Context) -> Result<Outcome, CommandError> {
    check_arguments(args)?;
    context.check_output()?;
    let recording = read(args, context, &context.discover(&args.runs)?.files)?;
    let reports = compute(args, context, &recording)?;
    context.write(|out| write_shapley(&reports, context.format(), args.games, out))?;
    Ok(Outcome::Clean)
}

/// Reads the coalition rows of files.
///
/// # Errors
/// Unreadable input.
pub(in crate::commands) fn read(
    args: &ShapleyArgs,
    context: &Context,
    files: &[InputFile],
) -> Result<CoalitionRecording, CommandError> {
    let options = args.coalition_options(context)?;
    let progress = context.console.progress();
    let recording = CoalitionRecording::read(files, &options, &progress)?;
    drop(progress);
    for note in recording.notes() {
        context.console.note(note);
    }
    if let Some(skipped) = recording.skipped().describe() {
        context.console.warn(&skipped);
    }
    Ok(recording)
}

/// What reading depends on besides the value columns: those of equal keys can be read together.
pub(in crate::commands) fn reading_key(
    args: &ShapleyArgs,
    context: &Context,
) -> Result<String, CommandError> {
    let options = CoalitionOptions { values: Vec::new(), ..args.coalition_options(context)? };
    Ok(format!("{options:?}"))
}

/// One report per value column asked for; the recording may hold more.
///
/// # Errors
/// Games without a value under the method.
pub(in crate::commands) fn compute(
    args: &ShapleyArgs,
    context: &Context,
    recording: &CoalitionRecording,
) -> Result<Vec<ShapleyReport>, CommandError> {
    let progress = context.console.progress();
    let engine = ShapleyEngine::new(args.settings(context));
    let names = recording.value_names();
    let is_wanted = |value: &usize| args.value.is_empty() || args.value.contains(&names[*value]);
    (0..names.len())
        .filter(is_wanted)
        .map(|value| {
            progress.begin("computing", recording.n_games() as u64);
            report(args, context, recording, &engine, value, &progress)
        })
        .collect()
}

/// Refuses arguments that contradict each other.
///
/// # Errors
/// If they do.
pub(in crate::commands) fn check_arguments(args: &ShapleyArgs) -> Result<(), CommandError> {
    if args.method == MethodArg::Bounds && args.range.is_none() {
        return Err(CommandError::usage(
            "--method bounds needs --range LO,HI",
            "name the range unseen values can lie in, for instance --range 0,1",
        ));
    }
    if args.permutations == 0 {
        return Err(CommandError::usage(
            "--permutations must be at least 1",
            "more permutations, narrower intervals",
        ));
    }
    Ok(())
}

fn report(
    args: &ShapleyArgs,
    context: &Context,
    recording: &CoalitionRecording,
    engine: &ShapleyEngine,
    value: usize,
    progress: &crate::progress::Progress,
) -> Result<ShapleyReport, CommandError> {
    let computed: Vec<Result<GameResult, CommandError>> = (0..recording.n_games())
        .into_par_iter()
        .map(|index| {
            let game = recording.game(index, value)?;
            let result = engine.game(&game).map_err(|source| CommandError::Game {
                file: recording.file_of(index).to_owned(),
                key: game.key.clone(),
                source,
            });
            progress.advance(1);
            result
        })
        .collect();
    let mut games = Vec::with_capacity(computed.len());
    let mut n_games_skipped = 0;
    for result in computed {
        match result {
            Ok(game) => games.push(game),
            Err(error @ CommandError::Game { .. }) if args.on_bad == OnBadArg::Skip => {
                context.console.detail(&format!("left out: {error}"));
                n_games_skipped += 1;
            }
            Err(error) => return Err(error),
        }
    }
    if n_games_skipped > 0 {
        context.console.warn(&format!(
            "{n_games_skipped} games left out: the method has no value for them (-v lists them)"
        ));
    }
    if games.is_empty() {
        return Err(CommandError::NothingLeft);
    }
    remark(args, context, &games, &recording.value_names()[value]);
    let settings = engine.settings();
    let summary = summarize(&games, args.cluster(), settings.confidence, settings.interval);
    let name = recording.value_names()[value].clone();
    Ok(ShapleyReport {
        direction: args.direction(&name),
        value: name,
        settings: *settings,
        cluster: args.cluster(),
        games,
        summary,
        n_files: recording.n_files(),
        n_rows: recording.n_rows(),
        skipped: recording.skipped().clone(),
        n_games_skipped,
    })
}

/// Tells what changes how the result is read.
fn remark(args: &ShapleyArgs, context: &Context, games: &[GameResult], value: &str) {
    let bad_walks: usize = games.iter().map(|game| game.bad_walks).sum();
    if bad_walks > 0 {
        context.console.warn(&format!(
            "{bad_walks} recorded permutations left out: their rows do not walk from empty to full"
        ));
    }
    if args.no_antithetic && games.iter().any(|game| game.n_recorded_walks > 0) {
        context.console.note(
            "--no-antithetic is about permutations simic draws; in recorded ones antithetic pairs are detected",
        );
    }
    let unpaired: usize = games.iter().map(|game| game.unpaired_walks).sum();
    if unpaired > 0 {
        context
            .console
            .note(&format!("{unpaired} recorded permutations have no antithetic partner and were not used"));
    }
    let biased = games.iter().filter(|game| game.biased).count();
    if biased > 0 {
        context.console.warn(&format!(
            "{biased} of {} games lack coalitions: values are approximations, marked biased",
            games.len()
        ));
    }
    if args.better.is_none() && Direction::of_column(value).is_none() {
        context
            .console
            .note(&format!("the name {value} does not say which way is better; --better higher|lower does"));
    }
}
