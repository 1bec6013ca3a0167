//! `simic analyze interactions`.

use std::collections::BTreeSet;
use std::sync::Once;

use clap::{Args, ValueEnum};

use super::game_args::GameArgs;
use super::games::{
    Measuring, Share, check_left_out, check_units, facts_of, measure_column, read_games, remark_copies,
    remark_direction, wanted_columns,
};
use super::group_args::{GroupArgs, check_grouping, unmatched};
use crate::attribution::{
    Game, InteractionEngine, InteractionIndex, InteractionResult, Quotient, Unions, summarize_interactions,
};
use crate::commands::figures::{FigureArgs, FigureKindArgs, only};
use crate::commands::{CommandError, Completeness, Context, Outcome};
use crate::console::Console;
use crate::records::CoalitionRecording;
use crate::report::{InteractionRows, interaction_figure, write_interactions};
use crate::results::{InteractionAnalysis, InteractionDocument};
use crate::shards::{FoundGames, Unmatched};

/// Which slots work together: interaction indices of pairs and larger sets, with uncertainty.
///
/// A positive interaction says that slots are worth more together than apart. Needs all coalitions, for pairs enough of
/// them for a fit, for moebius and pair those of up to --order slots.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic analyze interactions runs/
  simic analyze interactions runs/ --index fsii --order 3 --top 10
  simic analyze interactions runs/ --regime-threshold 0.005 --format json | jq '.summary'
  simic analyze interactions runs/ --among r0c0,r0c1")]
pub struct InteractionArgs {
    #[command(flatten)]
    pub(super) games: GameArgs,
    #[command(flatten)]
    pub(super) grouping: GroupArgs,
    /// Interaction index
    #[arg(long, value_enum, default_value = "k-sii")]
    pub index: IndexArg,
    /// Most slots of a term [default: 2]
    #[arg(long, value_name = "K")]
    pub order: Option<usize>,
    /// Only terms among these slots
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub among: Vec<String>,
    /// Smallest interaction that matters, in units of the value [default: 0]
    #[arg(long, value_name = "X")]
    pub regime_threshold: Option<f64>,
    /// Terms to list in a table: of more, the largest interactions [default: 20]
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Picture of the result.
    #[command(flatten)]
    pub figure: FigureArgs,
    /// Which one.
    #[command(flatten)]
    pub figure_kind: FigureKindArgs,
}

/// Most slots of a term unless told otherwise.
const DEFAULT_ORDER: usize = 2;

/// Terms listed in a table unless told otherwise.
const DEFAULT_TOP: usize = 20;

/// Interaction index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IndexArg {
    /// Shapley interaction index; single slots have their Shapley values
    Sii,
    /// The same made efficient: all terms add up
    #[value(name = "k-sii")]
    KSii,
    /// Shapley-Taylor interaction index
    Stii,
    /// Faithful Shapley interaction index: the best fit by terms up to the order
    Fsii,
    /// Banzhaf interaction index: averages over all coalitions, least noisy
    Banzhaf,
    /// Moebius coefficients, from coalitions of up to --order slots
    Moebius,
    /// f(ij) - f(i) - f(j) + f(empty)
    Pair,
}

impl From<IndexArg> for InteractionIndex {
    fn from(index: IndexArg) -> Self {
        match index {
            IndexArg::Sii => Self::Sii,
            IndexArg::KSii => Self::KSii,
            IndexArg::Stii => Self::Stii,
            IndexArg::Fsii => Self::Fsii,
            IndexArg::Banzhaf => Self::Banzhaf,
            IndexArg::Moebius => Self::Moebius,
            IndexArg::Pair => Self::Pair,
        }
    }
}

impl InteractionArgs {
    /// Files, directories and patterns that were named.
    pub(in crate::commands) fn named_runs(&self) -> &[String] {
        &self.games.runs
    }

    /// What is asked, as a value.
    pub(in crate::commands) fn analysis(
        &self,
        context: &Context,
    ) -> Result<InteractionAnalysis, CommandError> {
        let order = self.order.unwrap_or(DEFAULT_ORDER);
        if order == 0 {
            return Err(CommandError::usage("--order must be at least 1", "--order 2 is of pairs"));
        }
        if self.index == IndexArg::Pair && order > 2 {
            return Err(CommandError::usage(
                format!("--index pair is of one or two slots, not of {order}"),
                "--index moebius is the same of any number",
            ));
        }
        if let Some(threshold) = self.regime_threshold {
            if !(threshold.is_finite() && threshold > 0.0) {
                return Err(CommandError::usage(
                    format!("--regime-threshold {threshold} is not a positive number"),
                    "name the smallest interaction that matters, in units of the value column",
                ));
            }
            if order == 1 {
                return Err(CommandError::idle(
                    "regime-threshold",
                    "is about interactions, and --order 1 has none",
                    "leave --regime-threshold out, or raise --order",
                ));
            }
        }
        let doubled = self.among.iter().enumerate().find(|(i, id)| self.among[..*i].contains(id));
        if let Some((_, id)) = doubled {
            return Err(CommandError::usage(format!("--among names '{id}' twice"), "name every slot once"));
        }
        Ok(InteractionAnalysis {
            index: self.index.into(),
            order,
            among: (!self.among.is_empty()).then(|| self.among.clone()),
            regime_threshold: self.regime_threshold.unwrap_or(0.0),
            grouping: self.grouping.grouping()?,
            games: self.games.analysis(context)?,
        })
    }
}

/// Reads, computes, reports.
///
/// # Errors
/// Unreadable input, games without a value under the index, or an output that cannot be written.
pub fn run(args: &InteractionArgs, context: &Context) -> Result<Outcome, CommandError> {
    let analysis = args.analysis(context)?;
    check_view(args, context)?;
    let files = context.discover(&args.games.runs)?.files;
    let recording = read_games(&analysis.games.value, &analysis.games.reading, &context.console, &files)?;
    let found = measure(&analysis, &context.console, &recording, Share::ALL)?;
    drop(recording);
    conclude(args, context, &analysis, found, Completeness::Whole)
}

/// Refuses flags about what is shown that show nothing, and outputs that are there.
///
/// # Errors
/// The first such flag.
pub(in crate::commands) fn check_view(args: &InteractionArgs, context: &Context) -> Result<(), CommandError> {
    context.check_table_flag("games", args.games.games.is_some())?;
    context.check_table_flag("top", args.top.is_some())?;
    args.figure.check(&args.figure_kind, context)?;
    context.check_output()
}

/// Refuses what a recording of so many runs and value columns can never give.
///
/// # Errors
/// A picture of several columns, tests that so few units cannot pass.
pub(in crate::commands) fn check_recorded(
    args: &InteractionArgs,
    context: &Context,
    (n_runs, n_values): (usize, usize),
) -> Result<(), CommandError> {
    args.figure.check_number(n_values, context)?;
    args.games.check_runs(args.analysis(context)?.games.cluster, n_runs)
}

/// Says what the games come to.
///
/// # Errors
/// Flags that changed nothing, or an output that cannot be written.
pub(in crate::commands) fn conclude(
    args: &InteractionArgs,
    context: &Context,
    analysis: &InteractionAnalysis,
    found: FoundGames<InteractionResult>,
    completeness: Completeness,
) -> Result<Outcome, CommandError> {
    let has_unnamed_slots = found.recording.has_unnamed_slots;
    let mut documents = documents(analysis, &context.console, found)?;
    documents.iter_mut().for_each(|document| completeness.tell(&mut document.verdict));
    let counts = documents.iter().flat_map(|document| &document.summary).map(|row| row.numbers.n_units);
    let n_units = counts.max().unwrap_or(0);
    args.games.refuse_idle(has_unnamed_slots, n_units)?;
    if args.figure.write(&args.figure_kind, context, |kind| interaction_figure(only(&documents)?, kind))? {
        return Ok(Outcome::Clean);
    }
    let shown =
        InteractionRows { games: args.games.n_games_shown(), terms: args.top.unwrap_or(DEFAULT_TOP).max(1) };
    context.write(|out| write_interactions(&documents, context.format(), &context.screen(), shown, out))?;
    Ok(Outcome::Clean)
}

/// One document per value column asked for.
pub(in crate::commands) fn compute(
    analysis: &InteractionAnalysis,
    console: &Console,
    recording: &CoalitionRecording,
) -> Result<Vec<InteractionDocument>, CommandError> {
    documents(analysis, console, measure(analysis, console, recording, Share::ALL)?)
}

/// The terms of single games.
///
/// # Errors
/// Games without a value under the index.
pub(in crate::commands) fn measure(
    analysis: &InteractionAnalysis,
    console: &Console,
    recording: &CoalitionRecording,
    share: Share,
) -> Result<FoundGames<InteractionResult>, CommandError> {
    let progress = &console.progress();
    let measuring = Measuring { on_bad: analysis.games.reading.on_bad, console, recording, share, progress };
    let quotient = Quotient::new(analysis.grouping.group.clone());
    let mut columns = Vec::new();
    let mut left = Unmatched::default();
    for column in wanted_columns(&analysis.games.value, recording) {
        let settled = analysis.settled(column.1);
        let engine = match analysis.grouping.partition.clone() {
            Some(partition) => InteractionEngine::within(settled.engine(), Unions::new(partition)),
            None => InteractionEngine::new(settled.engine()),
        };
        let told = Once::new();
        columns.push(measure_column(&measuring, column, |game: &Game| {
            if quotient.is_trivial() && engine.is_long_fit(game) {
                told.call_once(|| console.note(LONG_FIT));
            }
            if quotient.is_trivial() { engine.game(game) } else { engine.game(&quotient.of(game)?) }
        })?);
        // The columns of one recording have the same games.
        left = unmatched(&quotient, engine.unions());
    }
    Ok(FoundGames { columns, unmatched: left, recording: facts_of(recording) })
}

/// What the games come to, a document for each value column and group.
fn documents(
    analysis: &InteractionAnalysis,
    console: &Console,
    found: FoundGames<InteractionResult>,
) -> Result<Vec<InteractionDocument>, CommandError> {
    check_grouping(&found.unmatched)?;
    let mut documents = Vec::new();
    for column in found.columns {
        let name = column.name.clone();
        let settled = analysis.settled(&name);
        for games in column.into_groups() {
            check_left_out(&games, console)?;
            check_among(analysis, &games.results)?;
            remark(analysis, console, &games.results, &name);
            let inference = settled.games.inference();
            let summary = summarize_interactions(&games.results, &inference, settled.engine().regime);
            check_units(settled.games.ci, summary.terms.iter().map(|term| term.summary.n_units), console)?;
            let input = found.recording.input(games.n_left_out);
            documents
                .push(InteractionDocument::new(settled.clone(), games.results, &summary, input).concluded());
        }
    }
    Ok(documents)
}

/// Refuses names that are no slot of any game.
fn check_among(analysis: &InteractionAnalysis, games: &[InteractionResult]) -> Result<(), CommandError> {
    let Some(among) = &analysis.among else { return Ok(()) };
    let there: BTreeSet<&str> = games
        .iter()
        .flat_map(|game| game.terms.iter())
        .filter_map(|term| match term.players() {
            [one] => Some(one.as_str()),
            _ => None,
        })
        .collect();
    match among.iter().find(|name| !there.contains(name.as_str())) {
        Some(name) => Err(CommandError::usage(
            format!("--among names '{name}', which is no slot of these games"),
            "simic analyze shapley lists the slots",
        )),
        None => Ok(()),
    }
}

/// What is said before pairs of many slots are fitted.
const LONG_FIT: &str = "pairs of 70 slots and more are a fit of thousands of effects: it takes up to minutes and 3 GB for each game";

/// The factor on errors of recorded values from which on a fit comes with a warning.
const LARGEST_CONDITION: f64 = 1e6;

/// Tells what changes how the result is read.
fn remark(analysis: &InteractionAnalysis, console: &Console, games: &[InteractionResult], value: &str) {
    remark_copies(console, games.iter().map(|game| game.n_copies).sum());
    let biased = games.iter().filter(|game| game.biased).count();
    if biased > 0 {
        console.warn(&format!(
            "{biased} of {} games lack coalitions: terms are those of a fitted game of pairs, marked biased",
            games.len()
        ));
    }
    let worst = games.iter().filter_map(|game| game.condition).fold(0.0, f64::max);
    if worst >= LARGEST_CONDITION {
        console.warn(&format!(
            "the recorded coalitions hardly tell some effects apart: errors of recorded values enter up to {worst:.0e} times \
             larger; evaluations of single players and pairs would help"
        ));
    }
    remark_direction(console, analysis.games.better, value);
}
