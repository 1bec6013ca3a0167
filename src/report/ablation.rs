//! Renderings of ablations.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid};
use super::shapley::{
    Units, count, direction_words, group_words, interval_name, over_units, p_name, range, write_grid,
    write_independence,
};
use super::tidy::{Tidy, TidyTable};
use crate::attribution::Measure;
use crate::printable::printable;
use crate::results::text::{decimals, fixed, grouped, probability};
use crate::results::{AblationDocument, AblationGame, MeasureValue, Measures, SummaryNumbers};

/// Writes one document per value column.
///
/// Several value columns make a JSON array; in CSV and NDJSON every row says its value column.
///
/// # Errors
/// If writing fails.
pub fn write_ablation(
    documents: &[AblationDocument],
    format: Format,
    n_games_shown: usize,
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
                write_one(document, n_games_shown, out, is_markdown)?;
            }
            Ok(())
        }
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'static str,
    value: &'a str,
    #[serde(flatten)]
    row: T,
}

fn write_ndjson(document: &AblationDocument, out: &mut dyn Write) -> io::Result<()> {
    let value = document.value.as_str();
    let mut line = |bytes: Vec<u8>| {
        out.write_all(&bytes)?;
        writeln!(out)
    };
    for game in &document.games {
        line(serde_json::to_vec(&Line { kind: "game", value, row: game })?)?;
    }
    for row in &document.summary {
        line(serde_json::to_vec(&Line { kind: "summary", value, row })?)?;
    }
    for row in &document.contrasts {
        line(serde_json::to_vec(&Line { kind: "contrast", value, row })?)?;
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

fn write_one(
    document: &AblationDocument,
    n_games_shown: usize,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    let heading = if is_markdown { "## " } else { "" };
    let n_games = document.games.len();
    writeln!(
        out,
        "{heading}Ablation of {}{} ({}); {}, {}",
        document.value,
        group_words(&document.group),
        direction_words(document.direction),
        count(n_games as u64, "game"),
        count(document.input.rows, "row"),
    )?;
    let has_units = document.summary.iter().any(|row| row.numbers.n_units > 1);
    let lists_games = n_games <= n_games_shown.max(1) || !has_units;
    let n_listed = if lists_games { n_games_shown.max(1).min(n_games) } else { 0 };
    for game in &document.games[..n_listed] {
        writeln!(out)?;
        write_game(document, game, out, is_markdown)?;
    }
    if has_units || n_games > 1 {
        writeln!(out)?;
        write_summary(document, out, is_markdown)?;
    }
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

/// A value with half the width of its interval, or with both ends where they are not as far.
fn with_interval(value: Option<f64>, low: Option<f64>, high: Option<f64>, places: usize) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let text = fixed(Some(value), places);
    match (low, high) {
        (Some(low), Some(high)) => {
            let (below, above) = (value - low, high - value);
            if (below - above).abs() <= 1e-6 * (below + above) {
                format!("{text} ± {}", fixed(Some(above), places))
            } else {
                format!("{text} [{}, {}]", fixed(Some(low), places), fixed(Some(high), places))
            }
        }
        _ => text,
    }
}

fn cells_of(measures: &Measures, places: usize) -> impl Iterator<Item = String> {
    Measure::ALL.into_iter().map(move |measure| {
        let own: Option<&MeasureValue> = measures.get(measure);
        with_interval(
            own.map(|value| value.value),
            own.and_then(|value| value.ci_low),
            own.and_then(|value| value.ci_high),
            places,
        )
    })
}

/// What the marginal is called.
fn marginal_name(is_complete: bool) -> &'static str {
    if is_complete { "marginal (Banzhaf)" } else { "marginal" }
}

fn write_game(
    document: &AblationDocument,
    game: &AblationGame,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    let all = || {
        game.players
            .iter()
            .map(|player| &player.measures)
            .chain(game.contrasts.iter().map(|row| &row.measures))
    };
    let values =
        all().flat_map(|measures| Measure::ALL.into_iter().filter_map(|m| measures.get(m)).map(|v| v.value));
    let places = decimals(values);
    let end_places = decimals([game.baseline, game.full].into_iter().flatten());
    writeln!(
        out,
        "{}: empty {}, full {}, {} of 2^{} coalitions",
        printable(&game.name.key().to_string()),
        fixed(game.baseline, end_places),
        fixed(game.full, end_places),
        grouped(game.n_coalitions as u64),
        game.n_players,
    )?;
    let mut grid = Grid::new(&[
        ("slot", Align::Left),
        ("removal cost", Align::Right),
        ("first in", Align::Right),
        (marginal_name(game.complete), Align::Right),
        ("shapley", Align::Right),
        ("signs", Align::Left),
    ]);
    for player in &game.players {
        let mut cells = vec![player.slot_id.clone()];
        cells.extend(cells_of(&player.measures, places));
        cells.push(if player.sign_disagreement { "differ" } else { "" }.to_owned());
        grid.row(cells);
    }
    for row in &game.contrasts {
        let mut cells = vec![format!("{} - {}", row.first, row.second)];
        cells.extend(cells_of(&row.measures, places));
        cells.push(String::new());
        grid.row(cells);
    }
    write_grid(&grid, out, is_markdown)?;
    if all()
        .any(|measures| Measure::ALL.into_iter().filter_map(|m| measures.get(m)).any(|v| v.ci_low.is_some()))
    {
        if is_markdown {
            writeln!(out)?;
        }
        writeln!(out, "±: half of the {}, from repeated evaluations", interval_name(document.confidence))?;
    }
    Ok(())
}

fn write_summary(document: &AblationDocument, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    let rows = || {
        document
            .summary
            .iter()
            .map(|row| &row.numbers)
            .chain(document.contrasts.iter().map(|row| &row.numbers))
    };
    let n_units = rows().map(|numbers| numbers.n_units).max().unwrap_or(0);
    writeln!(
        out,
        "over {} ({} as the independent unit):",
        count(n_units, document.cluster.name()),
        document.cluster.name()
    )?;
    let places = decimals(rows().map(|numbers| numbers.mean));
    let is_complete = document.games.iter().all(|game| game.complete);
    let mut grid = Grid::new(&[
        ("slot", Align::Left),
        ("removal cost", Align::Right),
        ("first in", Align::Right),
        (marginal_name(is_complete), Align::Right),
        ("shapley", Align::Right),
        ("signs", Align::Left),
    ]);
    let cell = |numbers: Option<&SummaryNumbers>| {
        let star = if numbers.is_some_and(|numbers| numbers.significant == Some(true)) { "*" } else { " " };
        let text = with_interval(
            numbers.map(|numbers| numbers.mean),
            numbers.and_then(|numbers| numbers.ci_low),
            numbers.and_then(|numbers| numbers.ci_high),
            places,
        );
        format!("{text}{star}")
    };
    for rows in document.summary.chunk_by(|a, b| a.slot_id == b.slot_id) {
        let mut cells = vec![rows[0].slot_id.clone()];
        for measure in Measure::ALL {
            cells.push(cell(rows.iter().find(|row| row.measure == measure).map(|row| &row.numbers)));
        }
        let signs = match (rows[0].sign_disagreement, rows[0].sign_disagreement_beyond_intervals) {
            (_, true) => "differ beyond their intervals",
            (true, false) => "differ",
            (false, false) => "",
        };
        cells.push(signs.to_owned());
        grid.row(cells);
    }
    write_grid(&grid, out, is_markdown)?;
    if !document.contrasts.is_empty() {
        writeln!(out)?;
        write_contrasts(document, out, is_markdown)?;
    }
    let n_tests = rows().filter(|numbers| numbers.p_value.is_some()).count();
    if n_tests > 0 {
        if is_markdown {
            writeln!(out)?;
        }
        writeln!(
            out,
            "±: half of the {}; *: significant, p values adjusted over all {}",
            over_units(document.confidence, document.settings.games.testing),
            count(n_tests as u64, "test")
        )?;
    }
    let units = Units {
        cluster: document.cluster,
        n_runs: document.n_runs(),
        n_episodes: document.n_episodes(),
        between_runs: document.between_runs,
    };
    write_independence(&units, out, is_markdown)
}

fn write_contrasts(document: &AblationDocument, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    let rows = &document.contrasts;
    let ends = |numbers: &SummaryNumbers| [Some(numbers.mean), numbers.ci_low, numbers.ci_high];
    let places = decimals(rows.iter().flat_map(|row| ends(&row.numbers)).flatten());
    let mut grid = Grid::new(&[
        ("contrast", Align::Left),
        ("measure", Align::Left),
        ("difference", Align::Right),
        (&over_units(document.confidence, document.settings.games.testing), Align::Left),
        ("stderr", Align::Right),
        ("t", Align::Right),
        (&p_name(document.settings.games.testing), Align::Right),
        ("significant", Align::Left),
        ("units", Align::Right),
    ]);
    for row in rows {
        let numbers = &row.numbers;
        grid.row(vec![
            format!("{} - {}", row.first, row.second),
            row.measure.name().replace('_', " "),
            fixed(Some(numbers.mean), places),
            range(numbers.ci_low, numbers.ci_high, places),
            fixed(numbers.stderr, places),
            fixed(numbers.t_statistic(), 2),
            probability(numbers.p_adjusted),
            numbers.significant.map_or("-", |significant| if significant { "yes" } else { "no" }).to_owned(),
            grouped(numbers.n_units),
        ]);
    }
    write_grid(&grid, out, is_markdown)
}
