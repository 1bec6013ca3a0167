//! Renderings of Shapley values.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::Format;
use super::documents::{Line, Rendering, write_documents};
use super::effects::{
    GameTitle, Level, Picture, Units, direction_words, distinct_name, effect_cells, group_words, ranges,
    rows_read, statistic, test_columns, value_column, write_independence, write_unlisted, yes_or_no,
};
use super::grid::{Column, Grid};
use super::order::{write_ranking, write_trend};
use super::page::{Page, Tone};
use super::recorded::write_recorded;
use super::screen::Screen;
use super::slot_rows::{ShapleyRows, SlotRows};
use super::sources::{write_plan, write_sources};
use super::tidy::{Tidy, TidyTable};
use crate::attribution::PermutationDesign;
use crate::results::text::{Spread, column, counted, grouped, percent, probabilities, short};
use crate::results::{ConvergenceRow, GameRow, PlayerRow, ShapleyDocument, SummaryRow, Testing};

/// Writes one document per value column.
///
/// Several value columns make a JSON array; in CSV and NDJSON every row says its value column.
///
/// # Errors
/// If writing fails.
pub fn write_shapley(
    documents: &[ShapleyDocument],
    format: Format,
    screen: &Screen,
    shown: &ShapleyRows,
    out: &mut dyn Write,
) -> io::Result<()> {
    let page = |document: &_, page: &mut Page<'_>| write_one(document, shown, page);
    write_documents(documents, format, screen, out, &Rendering { lines: write_ndjson, tidy, page: &page })
}

fn write_ndjson(document: &ShapleyDocument, out: &mut dyn Write) -> io::Result<()> {
    let (value, group) = (document.value.as_str(), &document.group);
    for row in &document.games {
        Line { kind: "game", value, index: None, group, row }.write(out)?;
    }
    for row in &document.summary {
        Line { kind: "summary", value, index: None, group, row }.write(out)?;
    }
    let ranking = document.ranking.as_ref();
    for row in ranking.iter().flat_map(|ranking| &ranking.players) {
        Line { kind: "rank", value, index: None, group, row }.write(out)?;
    }
    for row in ranking.iter().flat_map(|ranking| &ranking.neighbours) {
        Line { kind: "neighbours", value, index: None, group, row }.write(out)?;
    }
    for row in document.trend.iter().flatten() {
        Line { kind: "trend", value, index: None, group, row }.write(out)?;
    }
    for row in document.recorded.iter().flatten() {
        Line { kind: "recorded", value, index: None, group, row }.write(out)?;
    }
    for row in document.sources.iter().flatten() {
        Line { kind: "source", value, index: None, group, row }.write(out)?;
    }
    for row in document.plan.iter().flat_map(|plan| &plan.players) {
        Line { kind: "plan", value, index: None, group, row }.write(out)?;
    }
    Ok(())
}

/// A value in a game, or over games.
struct TidyRow<'a> {
    document: &'a ShapleyDocument,
    scope: Scope<'a>,
}

enum Scope<'a> {
    Game(&'a GameRow, PlayerRow<'a>),
    Summary(&'a SummaryRow),
}

impl<'a> TidyRow<'a> {
    fn game(&self) -> Option<&'a GameRow> {
        match self.scope {
            Scope::Game(game, _) => Some(game),
            Scope::Summary(_) => None,
        }
    }

    fn summary(&self) -> Option<&'a SummaryRow> {
        match self.scope {
            Scope::Game(..) => None,
            Scope::Summary(row) => Some(row),
        }
    }

    /// A number that both kinds of rows have.
    fn number(
        &self,
        of_player: impl Fn(&PlayerRow<'_>) -> Option<f64>,
        of_summary: impl Fn(&SummaryRow) -> Option<f64>,
    ) -> Option<f64> {
        match &self.scope {
            Scope::Game(_, player) => of_player(player),
            Scope::Summary(row) => of_summary(row),
        }
    }
}

fn tidy_rows(document: &ShapleyDocument) -> Vec<TidyRow<'_>> {
    let mut rows = Vec::new();
    for game in &document.games {
        rows.extend(game.players.rows().map(|player| TidyRow { document, scope: Scope::Game(game, player) }));
    }
    rows.extend(document.summary.iter().map(|row| TidyRow { document, scope: Scope::Summary(row) }));
    rows
}

/// One row per (game, slot) and per slot over games, told apart by `scope`; full precision.
fn tidy(documents: &[ShapleyDocument]) -> TidyTable {
    let rows: Vec<TidyRow<'_>> = documents.iter().flat_map(tidy_rows).collect();
    let table = Tidy::new(&rows)
        .text("value", |row| Some(row.document.value.clone()))
        .text("scope", |row| Some(if row.game().is_some() { "game" } else { "summary" }.to_owned()))
        .text("run_id", |row| Some(row.game()?.run_id.to_string()))
        .int("episode", |row| Some(row.game()?.episode))
        .int("env_id", |row| Some(row.game()?.env_id))
        .int("batch", |row| row.game()?.batch)
        .text("slot_id", |row| match &row.scope {
            Scope::Game(_, player) => Some(player.slot_id.to_string()),
            Scope::Summary(summary) => Some(summary.slot_id.clone()),
        })
        .float("shapley", |row| row.number(|player| player.shapley, |summary| Some(summary.mean)))
        .float("sd", |row| row.number(|player| player.sd, |summary| summary.sd))
        .float("stderr", |row| row.number(|player| player.stderr, |summary| summary.stderr))
        .int("n", |row| match &row.scope {
            Scope::Game(_, player) => Some(player.n_samples),
            Scope::Summary(summary) => Some(summary.n_units),
        })
        .float("ci_low", |row| row.number(|player| player.ci_low, |summary| summary.ci_low))
        .float("ci_high", |row| row.number(|player| player.ci_high, |summary| summary.ci_high))
        .float("bound_low", |row| row.number(|player| player.bound_low, |_| None))
        .float("bound_high", |row| row.number(|player| player.bound_high, |_| None))
        .text("method", |row| {
            let of_all = row.document.method.name();
            Some(row.game().map_or(of_all, |game| game.method.name()).to_owned())
        })
        .flag("biased", |row| {
            let is_any = || row.document.games.iter().any(|game| game.biased);
            Some(row.game().map_or_else(is_any, |game| game.biased))
        })
        .float("t", |row| row.summary()?.t)
        .float("p_value", |row| row.summary()?.p_value)
        .float("p_adjusted", |row| row.summary()?.p_adjusted)
        .flag("significant", |row| row.summary()?.significant);
    // A column per column that makes groups, where there are any.
    let by = documents.first().into_iter().flat_map(|document| document.group.keys());
    by.fold(table, |table, name| table.text(name, |row| row.document.group.get(name).cloned())).table()
}

fn write_one(document: &ShapleyDocument, view: &ShapleyRows, page: &mut Page<'_>) -> io::Result<()> {
    page.verdict(&document.verdict, Tone::Neutral)?;
    let n_games = document.games.len();
    page.title(&format!(
        "{} values of {}{} ({}); {}; {}, {}",
        if document.has_unions() { "Owen" } else { "Shapley" },
        document.value,
        group_words(&document.group),
        direction_words(document.direction),
        document.method.name(),
        counted(n_games as u64, "game"),
        rows_read(&document.group, document.input.rows),
    ))?;
    if let Some(note) = fit_note(&document.games) {
        page.line(&note)?;
    }
    let has_units = document.n_units() > 1;
    let lists_games = n_games <= view.games.max(1) || !has_units;
    let shown = match (lists_games, has_units || n_games > view.games.max(1)) {
        (false, _) => 0,
        (true, true) => view.games.min(n_games),
        (true, false) => n_games,
    };
    for game in &document.games[..shown] {
        page.blank()?;
        write_game(document, game, &view.order, page)?;
    }
    if !document.summary.is_empty() && (has_units || n_games > 1) {
        page.blank()?;
        write_summary(document, &view.order, page)?;
        write_convergence(document, &document.games[shown..], page)?;
    }
    write_ranking(document, page)?;
    write_trend(document, page)?;
    write_recorded(document, page)?;
    write_sources(document, &view.order, page)?;
    write_plan(document, &view.order, page)?;
    write_unlisted(n_games - shown, page)
}

/// How additive fitted games are over what was recorded, and how well that determines the fit.
fn fit_note(games: &[GameRow]) -> Option<String> {
    let fits: Vec<_> = games.iter().filter_map(|game| game.kernel.as_deref()).collect();
    let condition = short(fits.iter().map(|fit| fit.condition).reduce(f64::max)?);
    let shares: Vec<f64> = fits.iter().filter_map(|fit| fit.r_squared).collect();
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some(match (fits.len(), shares.len()) {
        (_, 0) => format!("recorded values between the ends do not differ; condition {condition}"),
        (1, _) => format!(
            "the additive fit explains {} (weighted R²) of what was recorded between the ends; condition {condition}",
            percent(most)
        ),
        _ => format!(
            "additive fits explain {} to {} (weighted R²) of what was recorded between the ends; condition up to {condition}",
            percent(least),
            percent(most)
        ),
    })
}

fn write_game(
    document: &ShapleyDocument,
    game: &GameRow,
    order: &SlotRows,
    page: &mut Page<'_>,
) -> io::Result<()> {
    let title = GameTitle {
        name: distinct_name(&game.key(), &document.games.iter().map(GameRow::key)),
        ends: [game.baseline, game.full],
        n_coalitions: game.n_coalitions,
        n_players: game.players.n_players(),
    };
    page.line(&format!("{title}; {}", design_words(document, game)))?;
    let mut players: Vec<PlayerRow<'_>> = game.players.rows().collect();
    // Of bounds the middle.
    let middle = |player: &PlayerRow<'_>| Some(f64::midpoint(player.bound_low?, player.bound_high?));
    order.sort(&mut players, |player| &player.slot_id, |player| player.shapley.or_else(|| middle(player)));
    let has_bounds = players.iter().any(|player| player.bound_low.is_some());
    let spreads: Vec<Spread> = players
        .iter()
        .map(|player| Spread {
            value: player.shapley,
            interval: if has_bounds {
                player.bound_low.zip(player.bound_high)
            } else {
                player.ci_low.zip(player.ci_high)
            },
        })
        .collect();
    let picture = Picture::of(&spreads, page);
    let value = if document.has_unions() { "owen" } else { "shapley" };
    let value = if has_bounds {
        Column::left("bounds")
            .explained("bounds: what the value can be, whatever the missing coalitions hold")
    } else {
        value_column(value, &spreads, Level::within_game(document.confidence), page)
    };
    let errors = column(&players.iter().map(|player| player.stderr).collect::<Vec<_>>());
    let samples: Vec<u64> = players.iter().map(|player| player.n_samples).collect();
    let mut columns = vec![Column::left("slot"), value];
    columns.extend(picture.column());
    columns.push(Column::right("stderr").drops(1));
    let tells_samples = samples.iter().any(|n| *n > 1);
    if tells_samples {
        columns.push(Column::right("samples").drops(2));
    }
    let mut grid = Grid::new(columns);
    let shown = if has_bounds { ranges(&spreads) } else { effect_cells(&spreads, page) };
    for (at, player) in players.iter().enumerate() {
        let mut cells = vec![player.slot_id.to_string(), shown[at].clone()];
        cells.extend(picture.cell(spreads[at]));
        cells.push(errors[at].clone());
        if tells_samples {
            cells.push(grouped(samples[at]));
        }
        grid.row(cells);
    }
    page.grid(&grid)?;
    if let Some(next) = &game.next_evaluation {
        let on = match &next.players_on[..] {
            [] => "nobody".to_owned(),
            on => on.join(", "),
        };
        page.line(&format!(
            "evaluate next: {on} on; all intervals together get narrower by {}",
            short(next.narrows)
        ))?;
    }
    write_convergence(document, std::slice::from_ref(game), page)
}

/// How the permutations of a game were drawn, and what that is worth.
fn design_words(document: &ShapleyDocument, game: &GameRow) -> String {
    let design = match (game.antithetic, document.sampling_of(game)) {
        (None, _) => return game.method.name().to_owned(),
        (Some(true), PermutationDesign::Plain) => "antithetic pairs",
        (Some(false), PermutationDesign::Plain) => "independent permutations",
        (Some(true), PermutationDesign::Balanced) => "balanced blocks of antithetic pairs",
        (Some(false), PermutationDesign::Balanced) => "balanced blocks of permutations",
        (Some(true), PermutationDesign::Stratified) => "stratified blocks of antithetic pairs",
        (Some(false), PermutationDesign::Stratified) => "stratified blocks of permutations",
    };
    game.relative_efficiency.map_or_else(
        || design.to_owned(),
        |ratio| format!("{design}, {ratio:.2} times as efficient as independent permutations"),
    )
}

/// The widest interval by number of permutations, and where they could have stopped: of one game, or of several together.
fn write_convergence(document: &ShapleyDocument, games: &[GameRow], page: &mut Page<'_>) -> io::Result<()> {
    let courses: Vec<&ConvergenceRow> = games.iter().filter_map(|game| game.convergence.as_deref()).collect();
    let mut widths: BTreeMap<u64, f64> = BTreeMap::new();
    for look in courses.iter().flat_map(|course| &course.looks) {
        let Some(width) = look.half_width else { continue };
        let widest = widths.entry(look.permutations).or_insert(width);
        *widest = widest.max(width);
    }
    let of_games = if games.len() > 1 { " of any game" } else { "" };
    if !widths.is_empty() {
        let at =
            |(permutations, width): &(u64, f64)| format!("{} ± {}", grouped(*permutations), short(*width));
        let told: Vec<String> = sparse(&widths.into_iter().collect::<Vec<_>>()).iter().map(at).collect();
        page.line(&format!("widest interval{of_games} by permutations: {}", told.join(", ")))?;
    }
    let target = document.settings.as_ref().and_then(|settings| settings.target_half_width);
    let stops: Vec<Option<u64>> = courses.iter().filter_map(|course| course.stopped_at).collect();
    let Some(target) = target.filter(|_| !stops.is_empty()) else { return Ok(()) };
    let looks = courses.iter().filter_map(|course| course.stopping_looks).max().unwrap_or(0);
    let (reached, last) = (stops.iter().flatten().count(), stops.iter().flatten().max());
    if looks == 0 {
        let enough = "only looks of 32 units and more are judged";
        return page.line(&format!("± {}: more permutations are needed to tell; {enough}", short(target)));
    }
    let reached_in = match (last, stops.len()) {
        (None, _) => "is not reached by drawing".to_owned(),
        (Some(last), 1) => format!("is reached after {} permutations", grouped(*last)),
        (Some(last), n) => {
            format!(
                "within games is reached in {reached} of {n}, after at most {} permutations",
                grouped(*last)
            )
        }
    };
    page.line(&format!("± {} {reached_in}; {} allowed for", short(target), counted(looks, "look")))
}

/// The last of the looks and up to five before it, one octave apart.
fn sparse<T: Copy>(looks: &[T]) -> Vec<T> {
    let mut kept: Vec<T> = looks.iter().rev().step_by(2).take(6).copied().collect();
    kept.reverse();
    kept
}

fn write_summary(document: &ShapleyDocument, order: &SlotRows, page: &mut Page<'_>) -> io::Result<()> {
    let noun = document.unit_noun();
    page.line(&format!("over {}:", counted(document.n_units(), noun)))?;
    let mut rows: Vec<&SummaryRow> = document.summary.iter().collect();
    order.sort(&mut rows, |row| &row.slot_id, |row| Some(row.mean));
    let testing = document.settings.as_ref().map_or_else(Testing::default, |settings| settings.testing);
    let spread = |row: &&SummaryRow| Spread { value: Some(row.mean), interval: row.ci_low.zip(row.ci_high) };
    let spreads: Vec<Spread> = rows.iter().map(spread).collect();
    let picture = Picture::of(&spreads, page);
    let all =
        |of: &dyn Fn(&SummaryRow) -> Option<f64>| column(&rows.iter().map(|row| of(row)).collect::<Vec<_>>());
    let (errors, deviations) = (all(&|row| row.stderr), all(&|row| row.sd));
    let p = probabilities(&rows.iter().map(|row| row.p_adjusted).collect::<Vec<_>>());
    let tells_units = rows.iter().any(|row| row.n_units != document.n_units());
    let level = Level::over_units(document.confidence, testing);
    let mut columns = vec![Column::left("slot"), value_column("mean", &spreads, level, page)];
    columns.extend(picture.column());
    columns.extend(test_columns(testing, document.confidence, &counted(rows.len() as u64, "slot")));
    columns.extend([
        Column::right("sd").drops(4).explained(format!("sd: over {noun}s")),
        Column::right("stderr").drops(1),
        Column::right("t").drops(2),
        Column::right("games").drops(3),
    ]);
    if tells_units {
        columns.push(Column::right(&format!("{noun}s")).drops(9));
    }
    let mut grid = Grid::new(columns);
    let shown = effect_cells(&spreads, page);
    for (at, row) in rows.iter().enumerate() {
        let mut cells = vec![row.slot_id.clone(), shown[at].clone()];
        cells.extend(picture.cell(spreads[at]));
        cells.extend([
            p[at].clone(),
            yes_or_no(row.significant),
            deviations[at].clone(),
            errors[at].clone(),
            statistic(row.t_statistic()),
            grouped(row.n_games),
        ]);
        if tells_units {
            cells.push(grouped(row.n_units));
        }
        grid.row(cells);
    }
    page.grid(&grid)?;
    let units = Units {
        cluster: document.cluster,
        n_runs: document.n_runs(),
        n_episodes: document.n_episodes(),
        between_runs: document.between_runs.flatten(),
    };
    write_independence(&units, page)
}
