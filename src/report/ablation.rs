//! Renderings of ablations.

use std::io::{self, Write};

use super::Format;
use super::documents::{Line, Rendering, write_documents};
use super::effects::{
    GameTitle, Level, Picture, Units, adjusted_words, direction_words, distinct_name, effect_cells,
    group_words, plus_minus, rows_read, statistic, test_columns, value_column, write_independence,
    write_unlisted, yes_or_no,
};
use super::grid::{Column, Grid};
use super::page::{Page, Tone};
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::attribution::Measure;
use crate::results::text::{Spread, column, counted, grouped, probabilities};
use crate::results::{
    AblationDocument, AblationGame, ContrastRow, MeasureValue, Measures, SummaryNumbers, unit_noun,
};

/// Writes one document per value column.
///
/// Several value columns make a JSON array; in CSV and NDJSON every row says its value column.
///
/// # Errors
/// If writing fails.
pub fn write_ablation(
    documents: &[AblationDocument],
    format: Format,
    screen: &Screen,
    n_games_shown: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let page = |document: &_, page: &mut Page<'_>| write_one(document, n_games_shown, page);
    write_documents(documents, format, screen, out, &Rendering { lines: write_ndjson, tidy, page: &page })
}

fn write_ndjson(document: &AblationDocument, out: &mut dyn Write) -> io::Result<()> {
    let (value, group) = (document.value.as_str(), &document.group);
    for row in &document.games {
        Line { kind: "game", value, index: None, group, row }.write(out)?;
    }
    for row in &document.summary {
        Line { kind: "summary", value, index: None, group, row }.write(out)?;
    }
    for row in &document.contrasts {
        Line { kind: "contrast", value, index: None, group, row }.write(out)?;
    }
    Ok(())
}

/// A measure of a slot or a contrast, in a game or over games.
struct TidyRow<'a> {
    document: &'a AblationDocument,
    slot_id: &'a str,
    less: Option<&'a str>,
    measure: Measure,
    scope: Scope<'a>,
}

enum Scope<'a> {
    Game(&'a AblationGame, &'a MeasureValue),
    Summary(&'a SummaryNumbers),
}

impl<'a> TidyRow<'a> {
    fn game(&self) -> Option<&'a AblationGame> {
        match self.scope {
            Scope::Game(game, _) => Some(game),
            Scope::Summary(_) => None,
        }
    }

    fn numbers(&self) -> Option<&'a SummaryNumbers> {
        match self.scope {
            Scope::Game(..) => None,
            Scope::Summary(numbers) => Some(numbers),
        }
    }

    fn number(
        &self,
        of_game: impl Fn(&MeasureValue) -> Option<f64>,
        of_summary: impl Fn(&SummaryNumbers) -> Option<f64>,
    ) -> Option<f64> {
        match self.scope {
            Scope::Game(_, value) => of_game(value),
            Scope::Summary(numbers) => of_summary(numbers),
        }
    }
}

fn tidy_rows(document: &AblationDocument) -> Vec<TidyRow<'_>> {
    let mut rows = Vec::new();
    for game in &document.games {
        let players = game.players.iter().map(|player| (player.slot_id.as_str(), None, &player.measures));
        let contrasts =
            game.contrasts.iter().map(|row| (row.first.as_str(), Some(row.second.as_str()), &row.measures));
        for (slot_id, less, measures) in players.chain(contrasts) {
            rows.extend(Measure::ALL.into_iter().filter_map(|measure| {
                let scope = Scope::Game(game, measures.get(measure)?);
                Some(TidyRow { document, slot_id, less, measure, scope })
            }));
        }
    }
    let slots = document.summary.iter().map(|row| (row.slot_id.as_str(), None, row.measure, &row.numbers));
    let contrasts = document
        .contrasts
        .iter()
        .map(|row| (row.first.as_str(), Some(row.second.as_str()), row.measure, &row.numbers));
    rows.extend(slots.chain(contrasts).map(|(slot_id, less, measure, numbers)| TidyRow {
        document,
        slot_id,
        less,
        measure,
        scope: Scope::Summary(numbers),
    }));
    rows
}

/// One row per game, slot (or contrast) and measure, and one per slot (or contrast) and measure over games; full precision.
fn tidy(documents: &[AblationDocument]) -> TidyTable {
    let rows: Vec<TidyRow<'_>> = documents.iter().flat_map(tidy_rows).collect();
    let table = Tidy::new(&rows)
        .text("value", |row| Some(row.document.value.clone()))
        .text("scope", |row| Some(if row.game().is_some() { "game" } else { "summary" }.to_owned()))
        .text("run_id", |row| Some(row.game()?.name.run_id.to_string()))
        .int("episode", |row| Some(row.game()?.name.episode))
        .int("env_id", |row| Some(row.game()?.name.env_id))
        .int("batch", |row| row.game()?.name.batch)
        .text("slot_id", |row| Some(row.slot_id.to_owned()))
        .text("less", |row| row.less.map(str::to_owned))
        .text("measure", |row| Some(row.measure.name().to_owned()))
        .float("estimate", |row| row.number(|value| Some(value.value), |numbers| Some(numbers.mean)))
        .float("sd", |row| row.numbers()?.sd)
        .float("stderr", |row| row.number(|value| value.stderr, |numbers| numbers.stderr))
        .int("n", |row| Some(row.numbers().map_or(1, |numbers| numbers.n_units)))
        .float("ci_low", |row| row.number(|value| value.ci_low, |numbers| numbers.ci_low))
        .float("ci_high", |row| row.number(|value| value.ci_high, |numbers| numbers.ci_high))
        .float("t", |row| row.numbers()?.t)
        .float("p_value", |row| row.numbers()?.p_value)
        .float("p_adjusted", |row| row.numbers()?.p_adjusted)
        .flag("significant", |row| row.numbers()?.significant);
    let by = documents.first().into_iter().flat_map(|document| document.group.keys());
    by.fold(table, |table, name| table.text(name, |row| row.document.group.get(name).cloned())).table()
}

fn write_one(document: &AblationDocument, n_games_shown: usize, page: &mut Page<'_>) -> io::Result<()> {
    page.verdict(&document.verdict, Tone::Neutral)?;
    let n_games = document.games.len();
    page.title(&format!(
        "Ablation of {}{} ({}); {}, {}",
        document.value,
        group_words(&document.group),
        direction_words(document.direction),
        counted(n_games as u64, "game"),
        rows_read(&document.group, document.input.rows),
    ))?;
    let has_units = document.summary.iter().any(|row| row.numbers.n_units > 1);
    let lists_games = n_games <= n_games_shown.max(1) || !has_units;
    let n_listed = if lists_games { n_games_shown.max(1).min(n_games) } else { 0 };
    for game in &document.games[..n_listed] {
        page.blank()?;
        write_game(document, game, page)?;
    }
    if has_units || n_games > 1 {
        page.blank()?;
        write_summary(document, page)?;
    }
    write_unlisted(n_games - n_listed, page)
}

/// Under which measures a slot is worth what, and whether those agree.
struct MeasuredRow {
    name: String,
    /// In the order of [`Measure::ALL`].
    spreads: [Spread; 4],
    /// Marks of what is significant.
    marks: [&'static str; 4],
    signs: &'static str,
}

/// What a measure is called and what it says.
fn measure_column(measure: Measure, is_complete: bool) -> Column {
    let (name, legend) = match (measure, is_complete) {
        (Measure::RemovalCost, _) => ("removal cost", "removal cost: what all lose without it"),
        (Measure::FirstIn, _) => ("first in", "first in: what it brings alone"),
        (Measure::Marginal, true) => {
            ("marginal (Banzhaf)", "marginal: mean with it less mean without, over all coalitions")
        }
        (Measure::Marginal, false) => {
            ("marginal", "marginal: mean with it less mean without, over what is recorded")
        }
        (Measure::Shapley, _) => ("shapley", "shapley: mean over all orders"),
    };
    let order = match measure {
        Measure::RemovalCost => 6,
        Measure::FirstIn => 5,
        Measure::Marginal => 3,
        Measure::Shapley => 2,
    };
    Column::left(name).drops(order).explained(legend)
}

/// Slots by measures.
fn measures_grid(rows: &[MeasuredRow], is_complete: bool, page: &Page<'_>) -> Grid {
    let mut columns = vec![Column::left("slot")];
    columns.extend(Measure::ALL.map(|measure| measure_column(measure, is_complete)));
    columns.push(Column::left("signs").drops(4).explained("signs: of the measures"));
    let mut grid = Grid::new(columns);
    let cells: Vec<Vec<String>> = (0..Measure::ALL.len())
        .map(|at| effect_cells(&rows.iter().map(|row| row.spreads[at]).collect::<Vec<_>>(), page))
        .collect();
    for (at, row) in rows.iter().enumerate() {
        let mut texts = vec![row.name.clone()];
        texts.extend(cells.iter().zip(row.marks).map(|(cells, mark)| {
            let text = format!("{}{mark}", cells[at]);
            // Padding says nothing.
            if text.trim() == "-" { "-".to_owned() } else { text }
        }));
        texts.push(row.signs.to_owned());
        grid.row(texts);
    }
    grid
}

/// What stands beside the values: half an interval, or both its ends.
fn interval_words(rows: &[MeasuredRow], level: Level, page: &Page<'_>) -> Option<String> {
    let of_measure = |at: usize| rows.iter().map(|row| row.spreads[at]).collect::<Vec<_>>();
    let cells: Vec<String> =
        (0..Measure::ALL.len()).flat_map(|at| effect_cells(&of_measure(at), page)).collect();
    let plus_minus = plus_minus(page.glyphs());
    let has = |sign: &str| cells.iter().any(|cell| cell.contains(sign));
    match (has(plus_minus), has(" to ")) {
        (false, false) => None,
        (true, false) => Some(format!("{plus_minus}: half of the {}", level.name())),
        (false, true) => Some(format!("in brackets: the {}", level.name())),
        (true, true) => {
            Some(format!("{plus_minus}: half of the {}, in brackets: both its ends", level.name()))
        }
    }
}

fn spread_of(value: Option<&MeasureValue>) -> Spread {
    Spread {
        value: value.map(|value| value.value),
        interval: value.and_then(|value| value.ci_low.zip(value.ci_high)),
    }
}

fn write_game(document: &AblationDocument, game: &AblationGame, page: &mut Page<'_>) -> io::Result<()> {
    let title = GameTitle {
        name: distinct_name(&game.name.key(), &document.games.iter().map(|game| game.name.key())),
        ends: [game.baseline, game.full],
        n_coalitions: game.n_coalitions,
        n_players: game.n_players,
    };
    page.line(&title.to_string())?;
    let row = |name: String, measures: &Measures, signs| MeasuredRow {
        name,
        spreads: Measure::ALL.map(|measure| spread_of(measures.get(measure))),
        marks: [""; 4],
        signs,
    };
    let signs = |is_different| if is_different { "differ" } else { "" };
    let players = game
        .players
        .iter()
        .map(|player| row(player.slot_id.clone(), &player.measures, signs(player.sign_disagreement)));
    let contrasts = game
        .contrasts
        .iter()
        .map(|contrast| row(format!("{} - {}", contrast.first, contrast.second), &contrast.measures, ""));
    let rows: Vec<MeasuredRow> = players.chain(contrasts).collect();
    page.grid(&measures_grid(&rows, game.complete, page))?;
    match interval_words(&rows, Level::within_game(document.confidence), page) {
        Some(words) => page.line(&format!("{words}, from repeated evaluations")),
        None => Ok(()),
    }
}

fn write_summary(document: &AblationDocument, page: &mut Page<'_>) -> io::Result<()> {
    let numbers = || {
        let contrasts = document.contrasts.iter().map(|row| &row.numbers);
        document.summary.iter().map(|row| &row.numbers).chain(contrasts)
    };
    let noun = unit_noun(document.cluster, &document.games.iter().map(|game| &*game.name.run_id));
    let n_units = numbers().map(|numbers| numbers.n_units).max().unwrap_or(0);
    page.line(&format!("over {}:", counted(n_units, noun)))?;
    let rows: Vec<MeasuredRow> = document
        .summary
        .chunk_by(|a, b| a.slot_id == b.slot_id)
        .map(|rows| {
            let of = |measure| rows.iter().find(|row| row.measure == measure).map(|row| &row.numbers);
            MeasuredRow {
                name: rows[0].slot_id.clone(),
                spreads: Measure::ALL.map(|measure| mean_of(of(measure))),
                marks: Measure::ALL.map(|measure| {
                    let is_significant = of(measure).is_some_and(|row| row.significant == Some(true));
                    if is_significant { "*" } else { "" }
                }),
                signs: match (rows[0].sign_disagreement, rows[0].sign_disagreement_beyond_intervals) {
                    (_, true) => "differ beyond their intervals",
                    (true, false) => "differ",
                    (false, false) => "",
                },
            }
        })
        .collect();
    let is_complete = document.games.iter().all(|game| game.complete);
    page.grid(&measures_grid(&rows, is_complete, page))?;
    let testing = document.settings.games.testing;
    let n_tests = numbers().filter(|numbers| numbers.p_value.is_some()).count();
    let level = Level::over_units(document.confidence, testing);
    let tests = counted(n_tests as u64, "test");
    if let Some(words) = interval_words(&rows, level, page) {
        let significant = format!("*: significant, {} over {tests}", adjusted_words(testing));
        let significant = if n_tests > 0 { format!("; {significant}") } else { String::new() };
        page.line(&format!("{words}{significant}"))?;
    }
    if !document.contrasts.is_empty() {
        page.blank()?;
        write_contrasts(document, noun, &tests, page)?;
    }
    let units = Units {
        cluster: document.cluster,
        n_runs: document.n_runs(),
        n_episodes: document.n_episodes(),
        between_runs: document.between_runs,
    };
    write_independence(&units, page)
}

fn mean_of(numbers: Option<&SummaryNumbers>) -> Spread {
    Spread {
        value: numbers.map(|numbers| numbers.mean),
        interval: numbers.and_then(|numbers| numbers.ci_low.zip(numbers.ci_high)),
    }
}

fn write_contrasts(
    document: &AblationDocument,
    noun: &str,
    tests: &str,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let rows = &document.contrasts;
    let testing = document.settings.games.testing;
    let spreads: Vec<Spread> = rows.iter().map(|row| mean_of(Some(&row.numbers))).collect();
    let picture = Picture::of(&spreads, page);
    let level = Level::over_units(document.confidence, testing);
    let mut columns = vec![
        Column::left("contrast"),
        Column::left("measure"),
        value_column("difference", &spreads, level, page),
    ];
    columns.extend(picture.column());
    columns.extend(test_columns(testing, document.confidence, tests));
    columns.extend([
        Column::right("stderr").drops(1),
        Column::right("t").drops(2),
        Column::right(&format!("{noun}s")).drops(3),
    ]);
    let mut grid = Grid::new(columns);
    let shown = effect_cells(&spreads, page);
    let of_all = |of: &dyn Fn(&ContrastRow) -> Option<f64>| rows.iter().map(of).collect::<Vec<_>>();
    let p = probabilities(&of_all(&|row| row.numbers.p_adjusted));
    let errors = column(&of_all(&|row| row.numbers.stderr));
    for (at, row) in rows.iter().enumerate() {
        let numbers = &row.numbers;
        let mut cells = vec![
            format!("{} - {}", row.first, row.second),
            row.measure.name().replace('_', " "),
            shown[at].clone(),
        ];
        cells.extend(picture.cell(spreads[at]));
        cells.extend([
            p[at].clone(),
            yes_or_no(numbers.significant),
            errors[at].clone(),
            statistic(numbers.t_statistic()),
            grouped(numbers.n_units),
        ]);
        grid.row(cells);
    }
    page.grid(&grid)
}
