//! `simic report`.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, Command, FromArgMatches};

use super::analyze::ablation::{self, AblationArgs};
use super::analyze::games::read_games;
use super::analyze::interactions::{self, InteractionArgs};
use super::analyze::shapley::{self, ShapleyArgs};
use super::normalize::compare::{self, CompareArgs};
use super::{CommandError, Context, Outcome};
use crate::attribution::Repeats;
use crate::console::{Console, When};
use crate::records::{
    CoalitionOptions, FileKind, InputFile, InspectOptions, Table, inspect, is_url, read_result_document,
    shown_url,
};
use crate::report::{page_of, write_html};
use crate::results::{GameRow, InspectAnalysis, InspectionDocument, OnBad, ResultDocument};

/// One page with what recordings or stored results say: conclusions, pictures, the numbers behind them.
///
/// RUNS are analysed with the defaults of `analyze shapley` and `normalize compare` and the flags given here; results are
/// what analyses printed with --format json. The page needs no network and no script.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic report runs/ -o report.html
  simic analyze shapley runs/ --format json -o shapley.json && simic report shapley.json -o report.html")]
pub struct ReportArgs {
    /// Files, directories, patterns, or results (.json) [default: $SIMIC_RUNS, else runs/]
    #[arg(value_name = "RUNS|RESULT.json")]
    pub inputs: Vec<String>,
    /// Value column of coalition rows (repeatable) [default: val_accuracy, else val_loss]
    #[arg(long, value_name = "NAME")]
    pub value: Vec<String>,
    /// Two-state columns that are the players; * and ? make patterns
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub players: Vec<String>,
    /// Columns whose values make groups
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    pub by: Vec<String>,
    /// Columns that are the observation
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub obs: Vec<String>,
    /// Title of the page [default: the inputs]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
}

/// Reads results, analyses runs, writes the page.
///
/// # Errors
/// No name for the page, unreadable input, or a page that cannot be written.
pub fn run(args: &ReportArgs, context: &Context) -> Result<Outcome, CommandError> {
    let is_page =
        |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("html"));
    if !context.common.output.as_deref().is_some_and(is_page) {
        return Err(CommandError::usage("report writes a page", "name it: -o report.html"));
    }
    context.check_output()?;
    let has_ending = |name: &Path| name.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let is_result = |name: &&String| {
        let unpacked = name.strip_suffix(".gz").unwrap_or(name.as_str());
        has_ending(Path::new(unpacked))
    };
    let (results, runs): (Vec<&String>, Vec<&String>) = args.inputs.iter().partition(is_result);
    let mut documents = Vec::new();
    for name in &results {
        if is_url(name) {
            return Err(CommandError::usage(
                format!("{}: stored results are read from disk", shown_url(name)),
                "download it first",
            ));
        }
        documents.extend(read_result_document(Path::new(name.as_str()))?);
    }
    if results.is_empty() || !runs.is_empty() {
        let runs: Vec<String> = runs.into_iter().cloned().collect();
        documents.extend(analysed(args, &runs, context)?);
    }
    let title = args.title.clone().unwrap_or_else(|| match &args.inputs[..] {
        [] => "What the runs say".to_owned(),
        inputs => inputs.iter().map(|input| shown_url(input)).collect::<Vec<_>>().join(", "),
    });
    let page = page_of(&title, &documents);
    context.write(|out| write_html(&page, out))?;
    Ok(Outcome::Clean)
}

/// What the files hold, and an analysis of each kind of rows.
fn analysed(
    args: &ReportArgs,
    runs: &[String],
    context: &Context,
) -> Result<Vec<ResultDocument>, CommandError> {
    let files = context.discover(runs)?.files;
    let columns = context.columns()?.with_players(&args.players).with_by(&args.by).with_obs(&args.obs);
    let options = InspectOptions {
        coalitions: CoalitionOptions {
            columns: columns.clone(),
            values: args.value.clone(),
            slots: None,
            repeats: Repeats::Mean,
            on_bad: OnBad::Error,
        },
        looks_for_oddities: false,
    };
    let progress = context.console.progress();
    let rows = inspect(&files, &options, &progress);
    drop(progress);
    let asked = InspectAnalysis {
        value: args.value.clone(),
        columns: context.columns()?.to_map(),
        obs: args.obs.clone(),
    };
    let mut documents =
        vec![ResultDocument::Inspection(InspectionDocument::new(rows.sets, rows.files, asked))];
    let kinds: Vec<Option<FileKind>> =
        files.iter().map(|file| Table::open(file).and_then(|table| columns.kind(&table)).ok()).collect();
    let of_kind = |kind: FileKind| -> Vec<InputFile> {
        let files = files.iter().zip(&kinds).filter(|(_, of)| **of == Some(kind));
        files.map(|(file, _)| file.clone()).collect()
    };
    let mut failures: Vec<CommandError> = Vec::new();
    let coalitions = of_kind(FileKind::Coalitions);
    if !coalitions.is_empty() {
        let mut flags = Vec::new();
        flag(&mut flags, "value", &args.value);
        flag(&mut flags, "players", &args.players);
        flag(&mut flags, "by", &args.by);
        match of_games(&flags, &coalitions, context) {
            Ok(found) => documents.extend(found),
            Err(error) => failures.push(error),
        }
    }
    let steps = of_kind(FileKind::Transitions);
    if !steps.is_empty() {
        let mut flags = Vec::new();
        flag(&mut flags, "obs", &args.obs);
        let analysis = parsed::<CompareArgs>(&flags)?.analysis(context)?;
        match compare::compute(&analysis, &steps, context) {
            Ok(found) => documents.push(ResultDocument::Comparison(Box::new(found))),
            // One file that cannot be used takes no other off the page.
            Err(error) if steps.len() > 1 => {
                flag(&mut flags, "on-bad", &["skip".to_owned()]);
                let analysis = parsed::<CompareArgs>(&flags)?.analysis(context)?;
                let found = compare::compute(&analysis, &steps, context);
                documents.extend(found.ok().map(|found| ResultDocument::Comparison(Box::new(found))));
                failures.push(error);
            }
            Err(error) => failures.push(error),
        }
    }
    if coalitions.is_empty() && steps.is_empty() {
        // What is missing to read them is said as an analysis says it.
        let analysis = parsed::<ShapleyArgs>(&[])?.analysis(context)?;
        read_games(&analysis.value, &analysis.reading, &context.console, &files)?;
    }
    // A page without any analysis is none; one that lacks some says so.
    for error in failures {
        if documents.len() == 1 {
            return Err(error);
        }
        context.console.warn(&format!("not on the page: {error}"));
    }
    if documents.len() == 1 && files.iter().all(|file| file.check_unchanged().is_ok()) {
        context.console.note("no file has rows to analyse: the page says what is in them");
    }
    Ok(documents)
}

/// Players up to which a page has interactions: all pairs of more are no picture.
const MOST_PLAYERS: usize = 16;

/// Shapley values, what their games are complete enough for beside them, and what each slot is worth by other measures.
fn of_games(
    flags: &[OsString],
    files: &[InputFile],
    context: &Context,
) -> Result<Vec<ResultDocument>, CommandError> {
    let analysis = parsed::<ShapleyArgs>(flags)?.analysis(context)?;
    let recording = read_games(&analysis.value, &analysis.reading, &context.console, files)?;
    let found = shapley::compute(&analysis, &context.console, &recording)?;
    let is_complete = |game: &GameRow| {
        (2..=MOST_PLAYERS).contains(&game.n_players) && game.n_coalitions == 1 << game.n_players
    };
    let are_complete = found.iter().all(|document| document.games.iter().all(is_complete));
    let mut documents: Vec<_> =
        found.into_iter().map(|document| ResultDocument::Shapley(Box::new(document))).collect();
    if are_complete {
        // What Shapley values have said of the rows need not be said again.
        let console = Console::new(When::Never, When::Never, true, false);
        let analysis = parsed::<InteractionArgs>(flags)?.analysis(context)?;
        let found = interactions::compute(&analysis, &console, &recording)?;
        documents.extend(found.into_iter().map(|document| ResultDocument::Interactions(Box::new(document))));
        let analysis = parsed::<AblationArgs>(flags)?.analysis(context)?;
        let found = ablation::compute(&analysis, &console, &recording)?;
        documents.extend(found.into_iter().map(|document| ResultDocument::Ablation(Box::new(document))));
    }
    Ok(documents)
}

fn flag(flags: &mut Vec<OsString>, name: &str, values: &[String]) {
    for value in values {
        flags.extend([format!("--{name}").into(), value.into()]);
    }
}

/// The arguments of an analysis, as its own command line would take them.
fn parsed<T: Args + FromArgMatches>(flags: &[OsString]) -> Result<T, CommandError> {
    let command = T::augment_args(Command::new("simic").no_binary_name(true));
    let wrong =
        |error: clap::Error| CommandError::usage(error.to_string(), "simic report --help says what it takes");
    T::from_arg_matches(&command.try_get_matches_from(flags).map_err(wrong)?).map_err(wrong)
}
