//! `simic analyze shapley`.

use clap::{Args, ValueEnum};

use super::games::{
    Measuring, Share, check_left_out, check_units, facts_of, measure_column, read_games, remark_copies,
    remark_direction, wanted_columns,
};
use super::group_args::{GroupArgs, check_grouping, unmatched};
use super::idle::{Given, refuse_idle};
use super::logged::{compare, read_logged};
use super::roles::RoleArgs;
use super::test_args::TestArgs;
use crate::attribution::{
    ClusterRequest, Game, GameResult, Method, MethodRequest, MissingPolicy, PermutationDesign, Quotient,
    Repeats, ShapleyEngine, Unions, ValueRange, summarize_players,
};
use crate::commands::common::OnBadArg;
use crate::commands::figures::{FigureArgs, FigureKindArgs, only};
use crate::commands::{CommandError, Completeness, Context, Outcome, refuse_doubled};
use crate::console::Console;
use crate::records::{CoalitionRecording, InputFile, LoggedEstimates};
use crate::report::{ShapleyRows, SlotRows, shapley_figure, write_shapley};
use crate::results::text::counted;
use crate::results::{CoalitionReading, Direction, IntervalKind, ShapleyAnalysis, ShapleyDocument};
use crate::shards::{FoundGames, GroupGames, RecordingFacts};
use crate::stats::ConfidenceLevel;

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
    /// Permutations to draw, reverses included, where the recording has no walks of its own [default: 1000]
    #[arg(long, value_name = "M")]
    pub permutations: Option<usize>,
    /// Which permutations are drawn together [default: plain]
    #[arg(long, value_enum, value_name = "DESIGN")]
    pub sampling: Option<SamplingArg>,
    /// Draw independent permutations instead of antithetic pairs
    #[arg(long)]
    pub no_antithetic: bool,
    /// What a permutation through an unrecorded coalition does; skip marks results biased [default: error]
    #[arg(long, value_enum)]
    pub missing: Option<MissingArg>,
    /// Range unseen values can lie in, for --method bounds
    #[arg(long, value_name = "LO,HI", allow_hyphen_values = true)]
    pub range: Option<ValueRange>,
    #[command(flatten)]
    pub(super) grouping: GroupArgs,
    /// Slots never make a coalition worse: narrower --method bounds, and no --range where both ends are recorded
    #[arg(long)]
    pub monotone: bool,
    /// Say where the variance of values comes from: noise, permutations, environments, episodes, runs
    #[arg(long)]
    pub sources: bool,
    /// Say how sampled values settle as permutations come in
    #[arg(long)]
    pub convergence: bool,
    /// Say how stable the order of the slots is: probability of each rank, and which cannot be told apart
    #[arg(long)]
    pub ranking: bool,
    /// Say how each slot's value changes from episode to episode
    #[arg(long)]
    pub trend: bool,
    /// Put the Shapley values that the trainer logged itself beside these: of the recording, or of FILE behind =
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub compare_recorded: Option<String>,
    /// Say how many units, repeats or permutations would bring every interval to plus or minus W
    #[arg(long, value_name = "W")]
    pub target_half_width: Option<f64>,
    /// Confidence level of intervals and tests
    #[arg(long, value_name = "LEVEL", default_value = "0.95")]
    pub confidence: ConfidenceLevel,
    /// How intervals and p values are made from units [default: t]
    #[arg(long, value_enum)]
    pub ci: Option<CiArg>,
    /// Resamples of --ci bootstrap [default: 2000]
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u32).range(100..))]
    pub resamples: Option<u32>,
    /// The independent unit over games: auto is the run where there are at least two, else the episode
    #[arg(long, value_enum, default_value = "auto")]
    pub cluster: ClusterArg,
    #[command(flatten)]
    pub(super) testing: TestArgs,
    /// Several rows for one coalition: average them and carry their spread, refuse, or take one [default: mean]
    #[arg(long, value_enum)]
    pub duplicates: Option<DuplicatesArg>,
    /// Slot ids of bare masks, in bit order
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub slots: Vec<String>,
    /// Columns that play a role.
    #[command(flatten)]
    pub roles: RoleArgs,
    /// Malformed rows and files, and games the method has no value for
    #[arg(long, value_enum, default_value = "error")]
    pub on_bad: OnBadArg,
    /// Games to list in a table [default: 3]
    #[arg(long, value_name = "N")]
    pub games: Option<usize>,
    /// Order of the slots in a table
    #[arg(long, value_enum, default_value = "name")]
    pub sort: SortArg,
    /// Picture of the result.
    #[command(flatten)]
    pub figure: FigureArgs,
    /// Which one.
    #[command(flatten)]
    pub figure_kind: FigureKindArgs,
}

/// Permutations drawn unless told otherwise: 500 antithetic pairs.
const DEFAULT_PERMUTATIONS: usize = 1000;

/// Resamples of a bootstrap unless told otherwise; the least its sources ask for.
const DEFAULT_RESAMPLES: u32 = 2000;

/// Games listed in a table unless told otherwise.
const DEFAULT_GAMES: usize = 3;

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

/// Design of drawn permutations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SamplingArg {
    /// Each by itself
    Plain,
    /// Blocks of as many as there are slots, each slot first once
    Balanced,
    /// Such blocks, each slot at every position once (Latin squares)
    Stratified,
}

/// Direction of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DirectionArg {
    /// Higher is better
    Higher,
    /// Lower is better
    Lower,
}

/// Order of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SortArg {
    /// Natural order (r0c2 before r0c10), or that of --slots
    Name,
    /// The largest value first
    Value,
    /// As the recording lists them
    Given,
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
    /// The run where there are at least two, else the episode
    Auto,
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
    /// What is asked, as a value.
    ///
    /// # Errors
    /// Arguments that contradict each other.
    pub(in crate::commands) fn analysis(&self, context: &Context) -> Result<ShapleyAnalysis, CommandError> {
        self.check()?;
        let ci = match self.ci {
            None | Some(CiArg::T) => IntervalKind::T,
            Some(CiArg::Normal) => IntervalKind::Normal,
            Some(CiArg::Bootstrap) => IntervalKind::Bootstrap,
        };
        Ok(ShapleyAnalysis {
            value: self.value.clone(),
            better: self.better.map(|way| match way {
                DirectionArg::Higher => Direction::Higher,
                DirectionArg::Lower => Direction::Lower,
            }),
            method: match self.method {
                MethodArg::Auto => MethodRequest::Auto,
                MethodArg::Exact => MethodRequest::Exact,
                MethodArg::Permutation => MethodRequest::Permutation,
                MethodArg::Kernel => MethodRequest::Kernel,
                MethodArg::Bounds => MethodRequest::Bounds,
            },
            permutations: self.permutations.unwrap_or(DEFAULT_PERMUTATIONS),
            sampling: match self.sampling {
                None | Some(SamplingArg::Plain) => PermutationDesign::Plain,
                Some(SamplingArg::Balanced) => PermutationDesign::Balanced,
                Some(SamplingArg::Stratified) => PermutationDesign::Stratified,
            },
            antithetic: !self.no_antithetic,
            missing: match self.missing {
                None | Some(MissingArg::Error) => MissingPolicy::Error,
                Some(MissingArg::Skip) => MissingPolicy::Skip,
            },
            range: self.range,
            monotone: self.monotone,
            sources: self.sources,
            convergence: self.convergence,
            ranking: self.ranking,
            trend: self.trend,
            compare_recorded: self.compare_recorded.is_some(),
            target_half_width: self.target_half_width,
            confidence: self.confidence,
            ci,
            testing: self.testing.testing(ci)?,
            resamples: self.resamples.unwrap_or(DEFAULT_RESAMPLES),
            cluster: match self.cluster {
                ClusterArg::Auto => ClusterRequest::Auto,
                ClusterArg::Game => ClusterRequest::Game,
                ClusterArg::Episode => ClusterRequest::Episode,
                ClusterArg::Run => ClusterRequest::Run,
            },
            seed: context.common.seed,
            grouping: self.grouping.grouping()?,
            reading: CoalitionReading {
                columns: context.columns()?.to_map(),
                slots: (!self.slots.is_empty()).then(|| self.slots.clone()),
                players: self.roles.players.clone(),
                by: self.roles.by.clone(),
                duplicates: match self.duplicates {
                    None | Some(DuplicatesArg::Mean) => Repeats::Mean,
                    Some(DuplicatesArg::Error) => Repeats::Error,
                    Some(DuplicatesArg::First) => Repeats::First,
                    Some(DuplicatesArg::Last) => Repeats::Last,
                },
                on_bad: self.on_bad.into(),
            },
        })
    }

    /// Flags given whose effect depends on the recording.
    pub(in crate::commands) fn given(&self) -> Vec<Given> {
        let given = [
            (Given::Permutations, self.permutations.is_some()),
            (Given::Sampling, self.sampling.is_some()),
            (Given::NoAntithetic, self.no_antithetic),
            (Given::Convergence, self.convergence),
            (Given::Ranking, self.ranking),
            (Given::Trend, self.trend),
            (Given::Missing, self.missing.is_some()),
            (Given::Ci, self.ci.is_some_and(|ci| ci != CiArg::T)),
            (Given::Duplicates, self.duplicates.is_some()),
            (Given::Slots, !self.slots.is_empty()),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag).collect()
    }

    /// Refuses arguments that contradict each other.
    fn check(&self) -> Result<(), CommandError> {
        if let Some(width) = self.target_half_width.filter(|width| !(width.is_finite() && *width > 0.0)) {
            return Err(CommandError::usage(
                format!("--target-half-width {width} is not a positive number"),
                "name half the width that intervals are to have, in units of the value column",
            ));
        }
        if self.monotone && self.method != MethodArg::Bounds {
            return Err(CommandError::idle(
                "monotone",
                "is about unseen values, which only --method bounds asks for",
                "add --method bounds, or leave --monotone out",
            ));
        }
        if self.method == MethodArg::Bounds && self.range.is_none() && !self.monotone {
            return Err(CommandError::usage(
                "--method bounds needs --range LO,HI",
                "name the range unseen values can lie in, for instance --range 0,1",
            ));
        }
        if self.grouping.partition.is_some() && !matches!(self.method, MethodArg::Auto | MethodArg::Exact) {
            return Err(CommandError::usage(
                "--partition gives exact Owen values; it has no other --method",
                "leave --method out",
            ));
        }
        if self.compare_recorded.is_some() {
            let other = [("partition", self.grouping.partition.is_some()), ("by", !self.roles.by.is_empty())];
            if let Some((flag, _)) = other.into_iter().find(|(_, is_given)| *is_given) {
                return Err(CommandError::usage(
                    format!(
                        "--compare-recorded with --{flag}: a trainer's estimates are Shapley values of single games"
                    ),
                    format!("leave --{flag} out"),
                ));
            }
        }
        if self.range.is_some() && self.method != MethodArg::Bounds {
            return Err(CommandError::idle(
                "range",
                "is the range of unseen values, which only --method bounds asks for",
                "add --method bounds, or leave --range out",
            ));
        }
        if self.resamples.is_some() && self.ci != Some(CiArg::Bootstrap) {
            return Err(CommandError::idle(
                "resamples",
                "is about --ci bootstrap",
                "add --ci bootstrap, or leave --resamples out",
            ));
        }
        if self.permutations == Some(0) {
            return Err(CommandError::usage(
                "--permutations must be at least 1",
                "more permutations, narrower intervals",
            ));
        }
        refuse_doubled("slots", &self.slots)?;
        self.roles.check()
    }
}

/// Reads, computes, reports.
///
/// # Errors
/// Unreadable input, games without a value under the method, or an output that cannot be written.
pub fn run(args: &ShapleyArgs, context: &Context) -> Result<Outcome, CommandError> {
    let analysis = args.analysis(context)?;
    check_view(args, context)?;
    let files = context.discover(&args.runs)?.files;
    let recording = read_games(&analysis.value, &analysis.reading, &context.console, &files)?;
    let found = measure(&analysis, &context.console, &recording, Share::ALL)?;
    drop(recording);
    let logged = logged_of(args, Some(&files), context)?;
    conclude_beside(args, context, &analysis, (found, logged), Completeness::Whole)
}

/// The trainer's own estimates, where they are asked for: of the file named, else of `files`, else of the runs.
fn logged_of(
    args: &ShapleyArgs,
    files: Option<&[InputFile]>,
    context: &Context,
) -> Result<Option<Vec<LoggedEstimates>>, CommandError> {
    let Some(named) = &args.compare_recorded else { return Ok(None) };
    let named = Some(&**named).filter(|file| !file.is_empty());
    Ok(Some(match files {
        Some(files) => read_logged(named, files, context)?,
        None if named.is_some() => read_logged(named, &[], context)?,
        None => read_logged(named, &context.discover(&args.runs)?.files, context)?,
    }))
}

/// Refuses flags about what is shown that show nothing, and outputs that are there.
///
/// # Errors
/// The first such flag.
pub(in crate::commands) fn check_view(args: &ShapleyArgs, context: &Context) -> Result<(), CommandError> {
    context.check_table_flag("games", args.games.is_some())?;
    context.check_view_flag("sort", "orders a table", args.sort != SortArg::Name)?;
    args.figure.check(&args.figure_kind, context)?;
    context.check_output()
}

/// Refuses what a recording of so many runs and value columns can never give.
///
/// # Errors
/// A picture of several columns, tests that so few units cannot pass.
pub(in crate::commands) fn check_recorded(
    args: &ShapleyArgs,
    context: &Context,
    (n_runs, n_values): (usize, usize),
) -> Result<(), CommandError> {
    args.figure.check_number(n_values, context)?;
    args.testing.check_runs(args.analysis(context)?.cluster, n_runs, args.confidence)
}

/// Says what the games come to.
///
/// # Errors
/// Flags that changed nothing, or an output that cannot be written.
pub(in crate::commands) fn conclude(
    args: &ShapleyArgs,
    context: &Context,
    analysis: &ShapleyAnalysis,
    found: FoundGames<GameResult>,
    completeness: Completeness,
) -> Result<Outcome, CommandError> {
    let logged = logged_of(args, None, context)?;
    conclude_beside(args, context, analysis, (found, logged), completeness)
}

/// The same beside the trainer's own estimates.
fn conclude_beside(
    args: &ShapleyArgs,
    context: &Context,
    analysis: &ShapleyAnalysis,
    (found, logged): (FoundGames<GameResult>, Option<Vec<LoggedEstimates>>),
    completeness: Completeness,
) -> Result<Outcome, CommandError> {
    let shown =
        ShapleyRows { games: args.games.unwrap_or(DEFAULT_GAMES), order: order(args, &found.recording)? };
    let has_unnamed_slots = found.recording.has_unnamed_slots;
    let mut documents = documents(analysis, &context.console, found, logged.as_deref())?;
    refuse_idle(&args.given(), has_unnamed_slots, &documents)?;
    documents.iter_mut().for_each(|document| completeness.tell(&mut document.verdict));
    let counts = documents.iter().flat_map(|document| &document.summary).map(|row| row.n_units);
    args.testing.check(counts.max().unwrap_or(0), args.confidence)?;
    if args.figure.write(&args.figure_kind, context, |kind| shapley_figure(only(&documents)?, kind))? {
        return Ok(Outcome::Clean);
    }
    context.write(|out| write_shapley(&documents, context.format(), &context.screen(), &shown, out))?;
    Ok(Outcome::Clean)
}

/// The order of slots asked for.
///
/// # Errors
/// The order of a recording that has none.
fn order(args: &ShapleyArgs, recording: &RecordingFacts) -> Result<SlotRows, CommandError> {
    let untold = |reason: &str| {
        CommandError::usage(
            format!("--sort given: {reason}"),
            "--sort value has the largest first, name the natural order",
        )
    };
    match args.sort {
        SortArg::Name => Ok(SlotRows::Name),
        SortArg::Value => Ok(SlotRows::Value),
        SortArg::Given if !args.grouping.group.is_empty() => {
            Err(untold("groups of --group stand nowhere in the recording"))
        }
        SortArg::Given => (recording.slots_as_listed().map(SlotRows::Listed))
            .ok_or_else(|| untold("rows name the slots that are on, which tells no order of all")),
    }
}

/// One document per value column asked for; the recording may hold more.
///
/// # Errors
/// Games without a value under the method.
pub(in crate::commands) fn compute(
    analysis: &ShapleyAnalysis,
    console: &Console,
    recording: &CoalitionRecording,
) -> Result<Vec<ShapleyDocument>, CommandError> {
    documents(analysis, console, measure(analysis, console, recording, Share::ALL)?, None)
}

/// The values of single games.
///
/// # Errors
/// Games without a value under the method.
pub(in crate::commands) fn measure(
    analysis: &ShapleyAnalysis,
    console: &Console,
    recording: &CoalitionRecording,
    share: Share,
) -> Result<FoundGames<GameResult>, CommandError> {
    let progress = &console.progress();
    let measuring = Measuring { on_bad: analysis.reading.on_bad, console, recording, share, progress };
    let quotient = Quotient::new(analysis.grouping.group.clone());
    let unions = analysis.grouping.partition.clone().map(Unions::new);
    let columns = wanted_columns(&analysis.value, recording).map(|column| {
        let engine = ShapleyEngine::new(analysis.settled(column.1).engine());
        measure_column(&measuring, column, |game: &Game| match &unions {
            Some(unions) => engine.owen(game, unions),
            None if quotient.is_trivial() => engine.game(game),
            None => engine.game(&quotient.of(game)?),
        })
    });
    Ok(FoundGames {
        columns: columns.collect::<Result<_, _>>()?,
        unmatched: unmatched(&quotient, unions.as_ref()),
        recording: facts_of(recording),
    })
}

/// What the games come to, a document for each value column and group. Estimates of a trainer are put beside.
fn documents(
    analysis: &ShapleyAnalysis,
    console: &Console,
    found: FoundGames<GameResult>,
    logged: Option<&[LoggedEstimates]>,
) -> Result<Vec<ShapleyDocument>, CommandError> {
    check_grouping(&found.unmatched)?;
    let mut documents = Vec::new();
    for column in found.columns {
        let name = column.name.clone();
        for games in column.into_groups() {
            check_left_out(&games, console)?;
            remark(analysis, console, &games.results, &name);
            let recorded = logged.map(|logged| compare(&games.results, logged, console)).transpose()?;
            let document = document(analysis, &found.recording, &name, games).beside(recorded).concluded();
            check_interval(&document, console)?;
            documents.push(document);
        }
    }
    Ok(documents)
}

fn document(
    analysis: &ShapleyAnalysis,
    recording: &RecordingFacts,
    value: &str,
    games: GroupGames<GameResult>,
) -> ShapleyDocument {
    let summary = summarize_players(&games.results, &analysis.inference());
    let input = recording.input(games.n_left_out);
    ShapleyDocument::new(analysis.settled(value), value, games.results, summary, input)
}

/// Units of drawn permutations from which on their spread is known well enough: of 10 pairs, 86 to 91 % at 95 %.
const DRAWN_UNITS: u64 = 40;

/// Refuses a bootstrap where nothing has enough units for one, and warns where some have too few for what was asked.
fn check_interval(document: &ShapleyDocument, console: &Console) -> Result<(), CommandError> {
    let over_games = document.summary.iter().map(|row| row.n_units);
    let sampled = document.games.iter().filter(|game| game.method == Method::Permutation);
    let within_games = sampled.flat_map(|game| game.players.rows().map(|row| row.n_samples));
    check_units(document.ci, over_games.chain(within_games), console)
}

/// Tells what changes how the result is read.
fn remark(analysis: &ShapleyAnalysis, console: &Console, games: &[GameResult], value: &str) {
    remark_copies(console, games.iter().map(|game| game.n_copies).sum());
    let bad_walks: usize = games.iter().map(|game| game.bad_walks).sum();
    if bad_walks > 0 {
        console.warn(&format!(
            "{bad_walks} recorded permutations left out: their rows do not walk from empty to full"
        ));
    }
    let unpaired: usize = games.iter().map(|game| game.unpaired_walks).sum();
    if unpaired > 0 {
        console
            .note(&format!("{unpaired} recorded permutations have no antithetic partner and were not used"));
    }
    let drawn = games.iter().filter(|game| game.method == Method::Permutation && game.n_recorded_walks == 0);
    let fewest = drawn.flat_map(|game| &game.players).map(|player| player.n_samples).min();
    if let Some(fewest) = fewest.filter(|n| (1..DRAWN_UNITS).contains(n)) {
        let units = match (analysis.sampling, analysis.antithetic) {
            (PermutationDesign::Plain, true) => "pairs of permutations",
            (PermutationDesign::Plain, false) => "permutations",
            _ => "blocks of permutations",
        };
        let per_unit = drawn_together(analysis, games);
        let known = match fewest {
            1 => "one of the {units} has no spread, and no interval".replace("{units}", units),
            fewest => format!("intervals of {fewest} {units} are too narrow: their spread is not known yet"),
        };
        console.warn(&format!("{known}; --permutations {} is enough", 100 * per_unit));
    }
    remark_agreement(console, games);
    let biased = games.iter().filter(|game| game.biased).count();
    if biased > 0 {
        console.warn(&format!(
            "{biased} of {} games lack coalitions: values are approximations, marked biased",
            games.len()
        ));
    }
    remark_condition(console, games);
    remark_direction(console, analysis.better, value);
}

/// Says that sampled values without any spread are no exact ones.
fn remark_agreement(console: &Console, games: &[GameResult]) {
    let sampled = games.iter().filter(|game| game.method == Method::Permutation && !game.biased);
    let agree = sampled.flat_map(|game| game.slot_ids.iter().zip(&game.players));
    let agree: Vec<&str> = agree
        .filter(|(_, player)| player.n_samples > 1 && player.interval.is_none())
        .map(|(slot, _)| slot.as_str())
        .collect();
    if let Some(first) = agree.first() {
        console.note(&format!(
            "all draws agree for {} ({first}{}): no interval, for a coalition that none of them met may decide",
            counted(agree.len() as u64, "value"),
            if agree.len() > 1 { " and others" } else { "" }
        ));
    }
}

/// Permutations of a unit in the largest game.
fn drawn_together(analysis: &ShapleyAnalysis, games: &[GameResult]) -> usize {
    let players = games.iter().map(|game| game.players.len()).max().unwrap_or(1);
    analysis.engine().permutations.per_unit(players)
}

/// The factor on errors of recorded values from which on a fit comes with a warning.
const LARGEST_CONDITION: f64 = 1e6;

/// Warns of fits whose coalitions hardly tell some players apart.
fn remark_condition(console: &Console, games: &[GameResult]) {
    let conditions = games.iter().filter_map(|game| game.kernel.as_ref()).map(|fit| fit.condition);
    let large: Vec<f64> = conditions.filter(|condition| *condition >= LARGEST_CONDITION).collect();
    let Some(worst) = large.iter().copied().reduce(f64::max) else { return };
    console.warn(&format!(
        "in {} of {} games the recorded coalitions hardly tell some players apart: errors of recorded values enter up to \
         {worst:.0e} times larger, about {:.0} of 16 digits are lost; evaluations of single players would help",
        large.len(),
        games.len(),
        worst.log10().floor()
    ));
}
