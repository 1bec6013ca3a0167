//! Renderings of interactions.

use std::io::{self, Write};

use super::Format;
use super::documents::{Line, Rendering, write_documents};
use super::effects::{
    GameTitle, Level, Picture, Units, direction_words, distinct_name, effect_cells, group_words, rows_read,
    statistic, test_columns, value_column, write_independence, write_unlisted, yes_or_no,
};
use super::grid::{Column, Grid};
use super::page::{Page, Tone};
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::results::text::{Spread, column, counted, grouped, percent, probabilities, short};
use crate::results::{
    InteractionDocument, InteractionGame, InteractionRow, SummaryNumbers, TermRow, unit_noun,
};

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
    screen: &Screen,
    shown: InteractionRows,
    out: &mut dyn Write,
) -> io::Result<()> {
    let page = |document: &_, page: &mut Page<'_>| write_one(document, shown, page);
    write_documents(documents, format, screen, out, &Rendering { lines: write_ndjson, tidy, page: &page })
}

fn write_ndjson(document: &InteractionDocument, out: &mut dyn Write) -> io::Result<()> {
    let (value, index, group) = (document.value.as_str(), Some(document.index.name()), &document.group);
    for row in &document.games {
        Line { kind: "game", value, index, group, row }.write(out)?;
    }
    for row in &document.summary {
        Line { kind: "summary", value, index, group, row }.write(out)?;
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

fn write_one(document: &InteractionDocument, shown: InteractionRows, page: &mut Page<'_>) -> io::Result<()> {
    page.verdict(&document.verdict, Tone::Neutral)?;
    let n_games = document.games.len();
    page.title(&format!(
        "Interactions in {}{} ({}); {} up to order {}, {}; {}, {}",
        document.value,
        group_words(&document.group),
        direction_words(document.direction),
        document.index.name(),
        document.order,
        document.method.name(),
        counted(n_games as u64, "game"),
        rows_read(&document.group, document.input.rows),
    ))?;
    let biased = document.games.iter().filter(|game| game.biased).count();
    if biased > 0 {
        let lack = if biased == 1 { "lacks" } else { "lack" };
        page.line(&format!(
            "{biased} of {} {lack} coalitions: terms of a game of pairs fitted to those recorded",
            counted(n_games as u64, "game")
        ))?;
    }
    let has_units = document.summary.iter().any(|row| row.numbers.n_units > 1);
    let lists_games = n_games <= shown.games.max(1) || !has_units;
    let n_listed = match (lists_games, has_units || n_games > shown.games.max(1)) {
        (false, _) => 0,
        (true, true) => shown.games.min(n_games),
        (true, false) => n_games,
    };
    for game in &document.games[..n_listed] {
        page.blank()?;
        write_game(document, game, shown.terms, page)?;
    }
    if has_units || n_games > 1 {
        page.blank()?;
        write_summary(document, shown.terms, page)?;
    }
    write_unlisted(n_games - n_listed, page)
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

fn write_hidden(n_hidden: usize, page: &mut Page<'_>) -> io::Result<()> {
    if n_hidden == 0 {
        return Ok(());
    }
    let terms = counted(n_hidden as u64, "term");
    page.line(&format!("the largest interactions; {terms} not listed: --top N lists more"))
}

fn term_name(players: &[String]) -> String {
    players.join(" + ")
}

/// What interactions are, where there can be some.
fn regime_column(document: &InteractionDocument) -> Option<Column> {
    if document.order < 2 {
        return None;
    }
    let threshold = document.settings.regime_threshold;
    let (beyond, within) = if threshold > 0.0 {
        let threshold = short(threshold);
        (format!(" by more than {threshold}"), format!("within {threshold} of it"))
    } else {
        (String::new(), "no different".to_owned())
    };
    Some(Column::left("regime").explained(format!(
        "synergy: better together than apart{beyond}; interference: worse{beyond}; independent: {within}; undecided: the \
         interval does not tell"
    )))
}

fn write_game(
    document: &InteractionDocument,
    game: &InteractionGame,
    most: usize,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let title = GameTitle {
        name: distinct_name(&game.name.key(), &document.games.iter().map(|game| game.name.key())),
        ends: [game.baseline, game.full],
        n_coalitions: game.n_coalitions,
        n_players: game.n_players,
    };
    let how = if game.biased { "a fit of pairs" } else { game.method.name() };
    let fit = game.r_squared.map_or_else(String::new, |r| {
        format!(" that explains {} (weighted R²) of what was recorded between the ends", percent(r))
    });
    let condition =
        game.condition.map_or_else(String::new, |condition| format!(", condition {}", short(condition)));
    page.line(&format!("{title}; {how}{fit}{condition}"))?;
    let rows: Vec<TermRow<'_>> = game.terms.rows().collect();
    let (shown, n_hidden) = largest(rows.iter().map(|row| (&*row.players, row.value)), most);
    let rows: Vec<&TermRow<'_>> = shown.into_iter().map(|place| &rows[place]).collect();
    let spread =
        |row: &&TermRow<'_>| Spread { value: Some(row.value), interval: row.ci_low.zip(row.ci_high) };
    let spreads: Vec<Spread> = rows.iter().map(spread).collect();
    let picture = Picture::of(&spreads, page);
    let level = Level::within_game(document.confidence);
    let regimes = regime_column(document);
    let tells_regimes = regimes.is_some();
    let mut columns = vec![Column::left("slots"), value_column(document.index.name(), &spreads, level, page)];
    columns.extend(picture.column());
    columns.extend(regimes);
    columns.push(Column::right("stderr").drops(1));
    let mut grid = Grid::new(columns);
    let values = effect_cells(&spreads, page);
    let errors = column(&rows.iter().map(|row| row.stderr).collect::<Vec<_>>());
    for (at, row) in rows.iter().enumerate() {
        let mut cells = vec![term_name(&row.players), values[at].clone()];
        cells.extend(picture.cell(spreads[at]));
        cells.extend(tells_regimes.then(|| row.regime.map_or("", |regime| regime.name()).to_owned()));
        cells.push(errors[at].clone());
        grid.row(cells);
    }
    page.grid(&grid)?;
    write_hidden(n_hidden, page)
}

fn write_summary(document: &InteractionDocument, most: usize, page: &mut Page<'_>) -> io::Result<()> {
    let all = &document.summary;
    let n_units = all.iter().map(|row| row.numbers.n_units).max().unwrap_or(0);
    let noun = unit_noun(document.cluster, &document.games.iter().map(|game| &*game.name.run_id));
    page.line(&format!("over {}:", counted(n_units, noun)))?;
    let (shown, n_hidden) = largest(all.iter().map(|row| (&*row.players, row.numbers.mean)), most);
    let rows: Vec<&InteractionRow> = shown.into_iter().map(|place| &all[place]).collect();
    page.grid(&summary_grid(document, &rows, noun, page))?;
    write_hidden(n_hidden, page)?;
    let units = Units {
        cluster: document.cluster,
        n_runs: document.n_runs(),
        n_episodes: document.n_episodes(),
        between_runs: document.between_runs,
    };
    write_independence(&units, page)
}

fn summary_grid(
    document: &InteractionDocument,
    rows: &[&InteractionRow],
    noun: &str,
    page: &Page<'_>,
) -> Grid {
    let testing = document.settings.games.testing;
    let spreads: Vec<Spread> = rows
        .iter()
        .map(|row| &row.numbers)
        .map(|numbers| Spread { value: Some(numbers.mean), interval: numbers.ci_low.zip(numbers.ci_high) })
        .collect();
    let picture = Picture::of(&spreads, page);
    let level = Level::over_units(document.confidence, testing);
    let n_tests = document.summary.iter().filter(|row| row.numbers.p_value.is_some()).count();
    let regimes = regime_column(document);
    let tells_regimes = regimes.is_some();
    let mut columns = vec![Column::left("slots"), value_column("mean", &spreads, level, page)];
    columns.extend(picture.column());
    columns.extend(regimes);
    columns.extend(test_columns(testing, document.confidence, &counted(n_tests as u64, "test")));
    columns.extend([
        Column::right("stderr").drops(1),
        Column::right("t").drops(2),
        Column::right(&format!("{noun}s")).drops(4),
        Column::right("games").drops(3),
    ]);
    let mut grid = Grid::new(columns);
    let of_all = |of: &dyn Fn(&SummaryNumbers) -> Option<f64>| {
        rows.iter().map(|row| of(&row.numbers)).collect::<Vec<_>>()
    };
    let shown = effect_cells(&spreads, page);
    let p = probabilities(&of_all(&|numbers| numbers.p_adjusted));
    let errors = column(&of_all(&|numbers| numbers.stderr));
    for (at, row) in rows.iter().enumerate() {
        let numbers = &row.numbers;
        let mut cells = vec![term_name(&row.players), shown[at].clone()];
        cells.extend(picture.cell(spreads[at]));
        cells.extend(tells_regimes.then(|| row.regime.map_or("", |regime| regime.name()).to_owned()));
        cells.extend([
            p[at].clone(),
            yes_or_no(numbers.significant),
            errors[at].clone(),
            statistic(numbers.t_statistic()),
            grouped(numbers.n_units),
            grouped(numbers.n_games),
        ]);
        grid.row(cells);
    }
    grid
}
