//! `simic analyze ablation`.

use std::collections::BTreeSet;

use clap::Args;

use super::game_args::GameArgs;
use super::games::{
    Measuring, Share, check_left_out, check_units, facts_of, measure_column, read_games, remark_copies,
    remark_direction, wanted_columns,
};
use crate::attribution::{AblationEngine, AblationResult, ShapleyEngine, summarize_ablation};
use crate::commands::figures::{FigureArgs, FigureKindArgs, only};
use crate::commands::{CommandError, Completeness, Context, Outcome};
use crate::console::Console;
use crate::records::CoalitionRecording;
use crate::report::{ablation_figure, write_ablation};
use crate::results::{AblationAnalysis, AblationDocument};
use crate::shards::{FoundGames, Unmatched};

/// What each slot is worth by four measures side by side: removal cost, first-in gain, marginal effect, Shapley value.
///
/// A measure needs its rows alone: leave-one-out recordings have removal costs, those with every slot alone first-in
/// gains. The marginal effect is a difference of means over what is recorded; of a full factorial it is the Banzhaf value.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic analyze ablation runs/
  simic analyze ablation leave_one_out.csv --format json | jq '.games[].players'
  simic analyze ablation runs/ --contrast r0c0,r0c1")]
pub struct AblationArgs {
    #[command(flatten)]
    pub(super) games: GameArgs,
    /// Compare slot A with slot B under every measure, unit by unit (repeatable)
    #[arg(long, value_name = "A,B", value_parser = parse_contrast)]
    pub contrast: Vec<Contrast>,
    /// Picture of the result.
    #[command(flatten)]
    pub figure: FigureArgs,
}

/// Two slots to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contrast([String; 2]);

fn parse_contrast(text: &str) -> Result<Contrast, String> {
    match text.split(',').map(str::trim).collect::<Vec<_>>()[..] {
        [first, second] if first == second => Err(format!("'{first}' differs from itself by nothing")),
        [first, second] if !first.is_empty() && !second.is_empty() => {
            Ok(Contrast([first.to_owned(), second.to_owned()]))
        }
        _ => Err("expected two slots, for instance r0c0,r0c1".to_owned()),
    }
}

impl AblationArgs {
    /// Files, directories and patterns that were named.
    pub(in crate::commands) fn named_runs(&self) -> &[String] {
        &self.games.runs
    }

    /// What is asked, as a value.
    pub(in crate::commands) fn analysis(&self, context: &Context) -> Result<AblationAnalysis, CommandError> {
        let doubled = self.contrast.iter().enumerate().find(|(i, pair)| {
            let reversed = Contrast([pair.0[1].clone(), pair.0[0].clone()]);
            self.contrast[..*i].iter().any(|other| other == *pair || *other == reversed)
        });
        if let Some((_, Contrast([first, second]))) = doubled {
            return Err(CommandError::usage(
                format!("--contrast {first},{second} is asked twice"),
                "name every pair once",
            ));
        }
        Ok(AblationAnalysis {
            contrast: self.contrast.iter().map(|pair| pair.0.clone()).collect(),
            games: self.games.analysis(context)?,
        })
    }
}

/// Reads, computes, reports.
///
/// # Errors
/// Unreadable input, games that no measure can be made of, or an output that cannot be written.
pub fn run(args: &AblationArgs, context: &Context) -> Result<Outcome, CommandError> {
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
pub(in crate::commands) fn check_view(args: &AblationArgs, context: &Context) -> Result<(), CommandError> {
    context.check_table_flag("games", args.games.games.is_some())?;
    args.figure.check(&FigureKindArgs::default(), context)?;
    context.check_output()
}

/// Refuses what a recording of so many runs and value columns can never give.
///
/// # Errors
/// A picture of several columns, tests that so few units cannot pass.
pub(in crate::commands) fn check_recorded(
    args: &AblationArgs,
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
    args: &AblationArgs,
    context: &Context,
    analysis: &AblationAnalysis,
    found: FoundGames<AblationResult>,
    completeness: Completeness,
) -> Result<Outcome, CommandError> {
    let has_unnamed_slots = found.recording.has_unnamed_slots;
    let mut documents = documents(analysis, &context.console, found)?;
    documents.iter_mut().for_each(|document| completeness.tell(&mut document.verdict));
    let counts = documents.iter().flat_map(|document| &document.summary).map(|row| row.numbers.n_units);
    let n_units = counts.max().unwrap_or(0);
    args.games.refuse_idle(has_unnamed_slots, n_units)?;
    let drawn = |_| Ok(ablation_figure(only(&documents)?));
    if args.figure.write(&FigureKindArgs::default(), context, drawn)? {
        return Ok(Outcome::Clean);
    }
    let shown = args.games.n_games_shown();
    context.write(|out| write_ablation(&documents, context.format(), &context.screen(), shown, out))?;
    Ok(Outcome::Clean)
}

/// One document per value column asked for.
pub(in crate::commands) fn compute(
    analysis: &AblationAnalysis,
    console: &Console,
    recording: &CoalitionRecording,
) -> Result<Vec<AblationDocument>, CommandError> {
    documents(analysis, console, measure(analysis, console, recording, Share::ALL)?)
}

/// The measures of single games.
///
/// # Errors
/// Games that no measure can be made of.
pub(in crate::commands) fn measure(
    analysis: &AblationAnalysis,
    console: &Console,
    recording: &CoalitionRecording,
    share: Share,
) -> Result<FoundGames<AblationResult>, CommandError> {
    let progress = &console.progress();
    let measuring = Measuring { on_bad: analysis.games.reading.on_bad, console, recording, share, progress };
    let columns = wanted_columns(&analysis.games.value, recording).map(|column| {
        let settled = analysis.settled(column.1);
        let engine = AblationEngine::new(settled.engine(), ShapleyEngine::new(settled.shapley()));
        measure_column(&measuring, column, |game| engine.game(game))
    });
    Ok(FoundGames {
        columns: columns.collect::<Result<_, _>>()?,
        unmatched: Unmatched::default(),
        recording: facts_of(recording),
    })
}

/// What the games come to, a document for each value column and group.
fn documents(
    analysis: &AblationAnalysis,
    console: &Console,
    found: FoundGames<AblationResult>,
) -> Result<Vec<AblationDocument>, CommandError> {
    let mut documents = Vec::new();
    for column in found.columns {
        let name = column.name.clone();
        let settled = analysis.settled(&name);
        for games in column.into_groups() {
            check_left_out(&games, console)?;
            check_contrasts(&settled, &games.results)?;
            remark_copies(console, games.results.iter().map(|game| game.n_copies).sum());
            remark_direction(console, analysis.games.better, &name);
            let summary = summarize_ablation(&games.results, &settled.games.inference());
            check_units(settled.games.ci, summary.terms.terms.iter().map(|term| term.n_units), console)?;
            let input = found.recording.input(games.n_left_out);
            documents
                .push(AblationDocument::new(settled.clone(), &games.results, &summary, input).concluded());
        }
    }
    Ok(documents)
}

/// Refuses contrasts between slots that never play together.
fn check_contrasts(analysis: &AblationAnalysis, games: &[AblationResult]) -> Result<(), CommandError> {
    let there: BTreeSet<&[String]> =
        games.iter().flat_map(|game| game.terms.iter()).map(|term| &term.players[..]).collect();
    for pair in &analysis.contrast {
        let is_slot = |name: &String| there.contains(std::slice::from_ref(name));
        if let Some(name) = pair.iter().find(|name| !is_slot(name)) {
            return Err(CommandError::usage(
                format!("--contrast names '{name}', which is no slot of these games"),
                "simic analyze ablation without it lists the slots",
            ));
        }
        if !there.contains(&pair[..]) {
            return Err(CommandError::usage(
                format!("--contrast {},{}: no game has both slots", pair[0], pair[1]),
                "a contrast is of slots that play in one game",
            ));
        }
    }
    Ok(())
}
