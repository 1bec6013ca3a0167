//! `simic analyze ablation`.

use std::collections::BTreeSet;

use clap::Args;

use super::game_args::GameArgs;
use super::games::{
    Wanted, check_units, compute_games, input_of, read_games, remark_copies, remark_direction, wanted_values,
};
use crate::attribution::{AblationEngine, AblationResult, ShapleyEngine, summarize_ablation};
use crate::commands::figures::{FigureArgs, FigureKindArgs, only};
use crate::commands::{CommandError, Context, Outcome};
use crate::console::Console;
use crate::records::CoalitionRecording;
use crate::report::{ablation_figure, write_ablation};
use crate::results::{AblationAnalysis, AblationDocument};

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
    context.check_table_flag("games", args.games.games.is_some())?;
    args.figure.check(&FigureKindArgs::default(), context)?;
    context.check_output()?;
    let files = context.discover(&args.games.runs)?.files;
    let recording = read_games(&analysis.games.value, &analysis.games.reading, &context.console, &files)?;
    let documents = compute(&analysis, &context.console, &recording)?;
    let counts = documents.iter().flat_map(|document| &document.summary).map(|row| row.numbers.n_units);
    let n_units = counts.max().unwrap_or(0);
    args.games.refuse_idle(&recording, n_units)?;
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
    let progress = console.progress();
    let on_bad = analysis.games.reading.on_bad;
    wanted_values(&analysis.games.value, recording)
        .into_iter()
        .map(|Wanted { value, name, games }| {
            let settled = AblationAnalysis { games: analysis.games.settled(name), ..analysis.clone() };
            let engine = AblationEngine::new(settled.engine(), ShapleyEngine::new(settled.shapley()));
            progress.begin("computing", games.len() as u64);
            let games = compute_games(on_bad, console, recording, (games, value), &progress, |game| {
                engine.game(game)
            })?;
            check_contrasts(&settled, &games.results)?;
            remark_copies(console, games.results.iter().map(|game| game.n_copies).sum());
            remark_direction(console, analysis.games.better, name);
            let summary = summarize_ablation(&games.results, &settled.games.inference());
            check_units(settled.games.ci, summary.terms.terms.iter().map(|term| term.n_units), console)?;
            let input = input_of(recording, games.n_skipped);
            Ok(AblationDocument::new(settled, &games.results, &summary, input).concluded())
        })
        .collect()
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
