//! Renderings of interactions.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid};
use super::shapley::{
    Units, bar, count, direction_words, group_words, interval_name, over_units, p_name, range, write_grid,
    write_independence,
};
use super::tidy::{Tidy, TidyTable};
use crate::printable::printable;
use crate::results::text::{decimals, fixed, grouped, percent, probability, short};
use crate::results::{InteractionDocument, InteractionGame, InteractionRow, SummaryNumbers, TermRow};

/// How much of a document a table shows.
#[derive(Debug, Clone, Copy)]
pub struct InteractionRows {
    /// Games.
    pub games: usize,
    /// Terms of each, the largest.
    pub terms: usize,
}

/// Writes one document per value column.
///
/// Several value columns make a JSON array; in CSV and NDJSON every row says its value column.
///
/// # Errors
/// If writing fails.
pub fn write_interactions(
    documents: &[InteractionDocument],
    format: Format,
    shown: InteractionRows,
    out: &mut dyn Write,
) -> io::Result<()> {
    let is_markdown = format == Format::Markdown;
    match format {
        Format::Json => {
            match documents {
                [document] => serde_json::to_writer(&mut *out, document)?,
                documents => serde_json::to_writer(&mut *out, documents)?,
            }
            writeln!(out)
        }
        Format::Ndjson => documents.iter().try_for_each(|document| write_ndjson(document, out)),
        Format::Csv | Format::Parquet | Format::Arrow => tidy(documents).write(format, out),
        Format::Markdown | Format::Table => {
            for (index, document) in documents.iter().enumerate() {
                if index > 0 {
                    writeln!(out)?;
                }
                write_one(document, shown, out, is_markdown)?;
            }
            Ok(())
        }
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'static str,
    value: &'a str,
    index: &'static str,
    #[serde(flatten)]
    row: T,
}

fn write_ndjson(document: &InteractionDocument, out: &mut dyn Write) -> io::Result<()> {
    let (value, index) = (document.value.as_str(), document.index.name());
    for game in &document.games {
        serde_json::to_writer(&mut *out, &Line { kind: "game", value, index, row: game })?;
        writeln!(out)?;
    }
    for row in &document.summary {
        serde_json::to_writer(&mut *out, &Line { kind: "summary", value, index, row })?;
        writeln!(out)?;
    }
    Ok(())
}

/// A term in a game or over games.
struct TidyRow<'a> {
    document: &'a InteractionDocument,
    scope: Scope<'a>,
}

enum Scope<'a> {
    Game(&'a InteractionGame, TermRow<'a>),
    Summary(&'a InteractionRow),
}

impl<'a> TidyRow<'a> {
    fn game(&self) -> Option<&'a InteractionGame> {
        match self.scope {
            Scope::Game(game, _) => Some(game),
            Scope::Summary(_) => None,
        }
    }

    fn numbers(&self) -> Option<&'a SummaryNumbers> {
        match self.scope {
            Scope::Game(..) => None,
            Scope::Summary(row) => Some(&row.numbers),
        }
    }

    fn players(&self) -> &[String] {
        match &self.scope {
            Scope::Game(_, term) => &term.players,
            Scope::Summary(row) => &row.players,
        }
    }

    fn number(
        &self,
        of_term: impl Fn(&TermRow<'_>) -> Option<f64>,
        of_summary: impl Fn(&SummaryNumbers) -> Option<f64>,
    ) -> Option<f64> {
        match &self.scope {
            Scope::Game(_, term) => of_term(term),
            Scope::Summary(row) => of_summary(&row.numbers),
        }
    }
}

fn tidy_rows(document: &InteractionDocument) -> Vec<TidyRow<'_>> {
    let mut rows = Vec::new();
    for game in &document.games {
        rows.extend(game.terms.rows().map(|term| TidyRow { document, scope: Scope::Game(game, term) }));
    }
    rows.extend(document.summary.iter().map(|row| TidyRow { document, scope: Scope::Summary(row) }));
    rows
}

/// One row per (game, term) and per term over games, told apart by `scope`; full precision. Players are joined by +.
fn tidy(documents: &[InteractionDocument]) -> TidyTable {
    let rows: Vec<TidyRow<'_>> = documents.iter().flat_map(tidy_rows).collect();
    let table = Tidy::new(&rows)
        .text("value", |row| Some(row.document.value.clone()))
        .text("scope", |row| Some(if row.game().is_some() { "game" } else { "summary" }.to_owned()))
        .text("run_id", |row| Some(row.game()?.name.run_id.to_string()))
        .int("episode", |row| Some(row.game()?.name.episode))
        .int("env_id", |row| Some(row.game()?.name.env_id))
        .int("batch", |row| row.game()?.name.batch)
        .text("players", |row| Some(row.players().join("+")))
        .int("size", |row| Some(row.players().len()))
        .text("index", |row| Some(row.document.index.name().to_owned()))
        .float("interaction", |row| row.number(|term| Some(term.value), |numbers| Some(numbers.mean)))
        .float("sd", |row| row.numbers()?.sd)
        .float("stderr", |row| row.number(|term| term.stderr, |numbers| numbers.stderr))
        .int("n", |row| Some(row.numbers().map_or(1, |numbers| numbers.n_units)))
        .float("ci_low", |row| row.number(|term| term.ci_low, |numbers| numbers.ci_low))
        .float("ci_high", |row| row.number(|term| term.ci_high, |numbers| numbers.ci_high))
        .text("regime", |row| {
            let regime = match &row.scope {
                Scope::Game(_, term) => term.regime,
                Scope::Summary(summary) => summary.regime,
            };
            regime.map(|regime| regime.name().to_owned())
        })
        .text("method", |row| {
            let of_all = row.document.method.name();
            Some(row.game().map_or(of_all, |game| game.method.name()).to_owned())
        })
        .flag("biased", |row| {
            row.game().map(|game| game.biased).or_else(|| row.numbers().map(|numbers| numbers.biased))
        })
        .float("t", |row| row.numbers()?.t)
        .float("p_value", |row| row.numbers()?.p_value)
        .float("p_adjusted", |row| row.numbers()?.p_adjusted)
        .flag("significant", |row| row.numbers()?.significant);
    let by = documents.first().into_iter().flat_map(|document| document.group.keys());
    by.fold(table, |table, name| table.text(name, |row| row.document.group.get(name).cloned())).table()
}

fn write_one(
    document: &InteractionDocument,
    shown: InteractionRows,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    let heading = if is_markdown { "## " } else { "" };
    let n_games = document.games.len();
    writeln!(
        out,
        "{heading}Interactions in {}{} ({}); {} up to order {}, {}; {}, {}",
        document.value,
        group_words(&document.group),
        direction_words(document.direction),
        document.index.name(),
        document.order,
        document.method.name(),
        count(n_games as u64, "game"),
        count(document.input.rows, "row"),
    )?;
    let biased = document.games.iter().filter(|game| game.biased).count();
    if biased > 0 {
        writeln!(
            out,
            "{biased} of {} lack coalitions: terms of a game of pairs fitted to those recorded",
            count(n_games as u64, "game")
        )?;
    }
    let has_units = document.summary.iter().any(|row| row.numbers.n_units > 1);
    let lists_games = n_games <= shown.games.max(1) || !has_units;
    let n_listed = if !lists_games {
        0
    } else if has_units || n_games > shown.games.max(1) {
        shown.games.min(n_games)
    } else {
        n_games
    };
    for game in &document.games[..n_listed] {
        writeln!(out)?;
        write_game(document, game, shown.terms, out, is_markdown)?;
    }
    if has_units || n_games > 1 {
        writeln!(out)?;
        write_summary(document, shown.terms, out, is_markdown)?;
    }
    write_legend(document, out, is_markdown)?;
    if n_games > n_listed {
        writeln!(out)?;
        writeln!(
            out,
            "{} not listed; --games N lists them, --format json or csv holds all",
            count((n_games - n_listed) as u64, "game")
        )?;
    }
    Ok(())
}

/// Places of the rows to show, and how many are left out: all in their order; of too many the largest interactions, where
/// there are any, without single slots.
fn largest<'a>(terms: impl Iterator<Item = (&'a [String], f64)>, most: usize) -> (Vec<usize>, usize) {
    let terms: Vec<(usize, f64)> = terms.map(|(players, value)| (players.len(), value.abs())).collect();
    let mut places: Vec<usize> = (0..terms.len()).collect();
    if terms.len() > most {
        let has_sets = terms.iter().any(|(size, _)| *size > 1);
        places.retain(|place| terms[*place].0 > 1 || !has_sets);
        places.sort_by(|a, b| terms[*b].1.total_cmp(&terms[*a].1).then(a.cmp(b)));
        places.truncate(most);
    }
    let n_hidden = terms.len() - places.len();
    (places, n_hidden)
}

fn write_hidden(n_hidden: usize, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    if n_hidden == 0 {
        return Ok(());
    }
    if is_markdown {
        writeln!(out)?;
    }
    writeln!(
        out,
        "the largest interactions; {} not listed: --top N lists more",
        count(n_hidden as u64, "term")
    )
}

fn term_name(players: &[String]) -> String {
    players.join(" + ")
}

fn write_game(
    document: &InteractionDocument,
    game: &InteractionGame,
    most: usize,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    let rows: Vec<_> = game.terms.rows().collect();
    let places = decimals(rows.iter().map(|row| row.value));
    let end_places = decimals([game.baseline, game.full].into_iter().flatten());
    let fit = game.r_squared.map_or_else(String::new, |r| {
        format!(" that explains {} (weighted R²) of what was recorded between the ends", percent(r))
    });
    let condition =
        game.condition.map_or_else(String::new, |condition| format!(", condition {}", short(condition)));
    writeln!(
        out,
        "{}: empty {}, full {}, {} of 2^{} coalitions, {}{fit}{condition}",
        printable(&game.name.key().to_string()),
        fixed(game.baseline, end_places),
        fixed(game.full, end_places),
        grouped(game.n_coalitions as u64),
        game.n_players,
        if game.biased { "a fit of pairs" } else { game.method.name() },
    )?;
    let mut grid = Grid::new(&[
        ("slots", Align::Left),
        (document.index.name(), Align::Right),
        ("", Align::Left),
        (&interval_name(document.confidence), Align::Left),
        ("stderr", Align::Right),
        ("regime", Align::Left),
    ]);
    let (shown, n_hidden) = largest(rows.iter().map(|row| (&*row.players, row.value)), most);
    let greatest = shown.iter().map(|place| rows[*place].value.abs()).fold(0.0, f64::max);
    for row in shown.into_iter().map(|place| &rows[place]) {
        grid.row(vec![
            term_name(&row.players),
            fixed(Some(row.value), places),
            bar(Some(row.value), greatest),
            range(row.ci_low, row.ci_high, places),
            fixed(row.stderr, places),
            row.regime.map_or("", |regime| regime.name()).to_owned(),
        ]);
    }
    write_grid(&grid, out, is_markdown)?;
    write_hidden(n_hidden, out, is_markdown)
}

fn write_summary(
    document: &InteractionDocument,
    most: usize,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    let rows = &document.summary;
    let n_units = rows.iter().map(|row| row.numbers.n_units).max().unwrap_or(0);
    writeln!(
        out,
        "over {} ({} as the independent unit):",
        count(n_units, document.cluster.name()),
        document.cluster.name()
    )?;
    let ends = |row: &InteractionRow| [Some(row.numbers.mean), row.numbers.ci_low, row.numbers.ci_high];
    let places = decimals(rows.iter().flat_map(ends).flatten());
    let mut grid = Grid::new(&[
        ("slots", Align::Left),
        ("mean", Align::Right),
        ("", Align::Left),
        (&over_units(document.confidence, document.settings.games.testing), Align::Left),
        ("stderr", Align::Right),
        ("t", Align::Right),
        (&p_name(document.settings.games.testing), Align::Right),
        ("significant", Align::Left),
        ("regime", Align::Left),
        ("units", Align::Right),
        ("games", Align::Right),
    ]);
    let (shown, n_hidden) = largest(rows.iter().map(|row| (&*row.players, row.numbers.mean)), most);
    let greatest = shown.iter().map(|place| rows[*place].numbers.mean.abs()).fold(0.0, f64::max);
    for row in shown.into_iter().map(|place| &rows[place]) {
        let numbers = &row.numbers;
        grid.row(vec![
            term_name(&row.players),
            fixed(Some(numbers.mean), places),
            bar(Some(numbers.mean), greatest),
            range(numbers.ci_low, numbers.ci_high, places),
            fixed(numbers.stderr, places),
            fixed(numbers.t_statistic(), 2),
            probability(numbers.p_adjusted),
            numbers.significant.map_or("-", |significant| if significant { "yes" } else { "no" }).to_owned(),
            row.regime.map_or("", |regime| regime.name()).to_owned(),
            grouped(numbers.n_units),
            grouped(numbers.n_games),
        ]);
    }
    write_grid(&grid, out, is_markdown)?;
    write_hidden(n_hidden, out, is_markdown)?;
    let n_tests = rows.iter().filter(|row| row.numbers.p_value.is_some()).count();
    if n_tests > 0 {
        if is_markdown {
            writeln!(out)?;
        }
        writeln!(out, "p values are adjusted over all {}", count(n_tests as u64, "test"))?;
    }
    let units = Units {
        cluster: document.cluster,
        n_runs: document.n_runs(),
        n_episodes: document.n_episodes(),
        between_runs: document.between_runs,
    };
    write_independence(&units, out, is_markdown)
}

/// What the words of the last column say.
fn write_legend(document: &InteractionDocument, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    if document.order < 2 {
        return Ok(());
    }
    if is_markdown {
        writeln!(out)?;
    }
    let threshold = document.settings.regime_threshold;
    let (beyond, within) = if threshold > 0.0 {
        let threshold = short(threshold);
        (format!("by more than {threshold}"), format!("within {threshold} of it"))
    } else {
        (String::new(), "no different".to_owned())
    };
    let beyond = if beyond.is_empty() { beyond } else { format!(" {beyond}") };
    writeln!(
        out,
        "synergy: better together than apart{beyond}; interference: worse{beyond}; independent: {within}; undecided: the \
         interval does not tell"
    )
}
