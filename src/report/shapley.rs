//! Renderings of Shapley values.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid};
use super::tidy::{Tidy, TidyTable};
use crate::attribution::Cluster;
use crate::printable::printable;
use crate::results::text::{decimals, fixed, grouped, percent, probability, short};
use crate::results::{Direction, GameRow, PlayerRow, ShapleyDocument, SummaryRow, Testing};

/// Cells of the bar beside a value.
const BAR_CELLS: usize = 16;

pub(super) fn direction_words(direction: Option<Direction>) -> &'static str {
    match direction {
        Some(Direction::Higher) => "higher is better",
        Some(Direction::Lower) => "lower is better: a helping slot is negative",
        None => "which way is better is not known",
    }
}

/// Writes one document per value column.
///
/// Several value columns make a JSON array; in CSV and NDJSON every row says its value column.
///
/// # Errors
/// If writing fails.
pub fn write_shapley(
    documents: &[ShapleyDocument],
    format: Format,
    n_games_shown: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
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
        Format::Markdown => write_people(documents, n_games_shown, out, true),
        Format::Table => write_people(documents, n_games_shown, out, false),
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'static str,
    value: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    group: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    row: T,
}

fn write_ndjson(document: &ShapleyDocument, out: &mut dyn Write) -> io::Result<()> {
    for game in &document.games {
        serde_json::to_writer(
            &mut *out,
            &Line { kind: "game", value: &document.value, group: &document.group, row: game },
        )?;
        writeln!(out)?;
    }
    for summary in &document.summary {
        let line = Line { kind: "summary", value: &document.value, group: &document.group, row: summary };
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
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

fn write_people(
    documents: &[ShapleyDocument],
    n_games_shown: usize,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_one(document, n_games_shown, out, is_markdown)?;
    }
    Ok(())
}

pub(super) fn write_grid(grid: &Grid, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    if is_markdown { grid.write_markdown(out) } else { grid.write_table(out) }
}

fn write_one(
    document: &ShapleyDocument,
    n_games_shown: usize,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    let heading = if is_markdown { "## " } else { "" };
    let biased = document.games.iter().filter(|game| game.biased).count();
    writeln!(
        out,
        "{heading}{} values of {}{} ({}); {}; {}, {}",
        if document.has_unions() { "Owen" } else { "Shapley" },
        document.value,
        group_words(&document.group),
        direction_words(document.direction),
        document.method.name(),
        count(document.games.len() as u64, "game"),
        count(document.input.rows, "row"),
    )?;
    if biased > 0 {
        writeln!(
            out,
            "{biased} of {} are biased: coalitions are missing",
            count(document.games.len() as u64, "game")
        )?;
    }
    if let Some(note) = fit_note(&document.games) {
        writeln!(out, "{note}")?;
    }
    let has_units = document.summary.iter().any(|summary| summary.n_units > 1);
    let shown = if has_units || document.games.len() > n_games_shown.max(1) {
        n_games_shown.min(document.games.len())
    } else {
        document.games.len()
    };
    let lists_games = document.games.len() <= n_games_shown.max(1) || !has_units;
    if lists_games {
        for game in &document.games[..shown] {
            writeln!(out)?;
            write_game(document, game, out, is_markdown)?;
        }
    }
    if has_units || document.games.len() > 1 {
        writeln!(out)?;
        write_summary(document, out, is_markdown)?;
    }
    write_sources(document, out, is_markdown)?;
    write_plan(document, out, is_markdown)?;
    let hidden = document.games.len() - if lists_games { shown } else { 0 };
    if hidden > 0 {
        writeln!(out)?;
        writeln!(
            out,
            "{} not listed; --games N lists them, --format json or csv holds all",
            count(hidden as u64, "game")
        )?;
    }
    Ok(())
}

/// How additive fitted games are over what was recorded, and how well that determines the fit.
fn fit_note(games: &[GameRow]) -> Option<String> {
    let fits: Vec<_> = games.iter().filter_map(|game| game.kernel.as_ref()).collect();
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

/// What the games of a group have in common, after a comma.
pub(super) fn group_words(group: &BTreeMap<String, String>) -> String {
    group.iter().map(|(name, value)| printable(&format!(", {name}={value}")).into_owned()).collect()
}

pub(super) fn count(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

fn write_game(
    document: &ShapleyDocument,
    game: &GameRow,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    let all = || game.players.rows();
    let places = decimals(all().flat_map(|p| [p.shapley, p.bound_low, p.bound_high]).flatten());
    let ends = [game.baseline, game.full];
    let end_places = decimals(ends.into_iter().flatten());
    writeln!(
        out,
        "{}: empty {}, full {}, {} of 2^{} coalitions, {}",
        printable(&game.key().to_string()),
        fixed(game.baseline, end_places),
        fixed(game.full, end_places),
        grouped(game.n_coalitions as u64),
        game.players.n_players(),
        match game.antithetic {
            Some(true) => "antithetic pairs",
            Some(false) => "independent permutations",
            None => game.method.name(),
        },
    )?;
    let has_bounds = all().any(|player| player.bound_low.is_some());
    let interval_name = if has_bounds { "bounds".to_owned() } else { interval_name(document.confidence) };
    let mut grid = Grid::new(&[
        ("slot", Align::Left),
        ("shapley", Align::Right),
        ("", Align::Left),
        (&interval_name, Align::Left),
        ("stderr", Align::Right),
        ("samples", Align::Right),
    ]);
    let largest = all().filter_map(|player| player.shapley).map(f64::abs).fold(0.0, f64::max);
    for player in all() {
        let (low, high) =
            if has_bounds { (player.bound_low, player.bound_high) } else { (player.ci_low, player.ci_high) };
        grid.row(vec![
            player.slot_id.to_string(),
            fixed(player.shapley, places),
            bar(player.shapley, largest),
            range(low, high, places),
            fixed(player.stderr, places),
            player.n_samples.to_string(),
        ]);
    }
    write_grid(&grid, out, is_markdown)
}

pub(super) fn interval_name(confidence: f64) -> String {
    let level = confidence * 100.0;
    // 1 - 0.05 is not quite 0.95; nobody wants to read that.
    let level = (level * 1e6).round() / 1e6;
    format!("{level}% interval")
}

pub(super) fn range(low: Option<f64>, high: Option<f64>, places: usize) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{} .. {}", fixed(Some(low), places), fixed(Some(high), places)),
        _ => "-".to_owned(),
    }
}

/// Where variance comes from, where it is asked for.
fn write_sources(document: &ShapleyDocument, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    let Some(rows) = &document.sources else { return Ok(()) };
    writeln!(out)?;
    writeln!(out, "where the variance of one game's value comes from:")?;
    let places = decimals(rows.iter().flat_map(|row| [row.prediction_low, row.prediction_high]).flatten());
    let next = format!("next {} lies in", document.cluster.name());
    let mut grid = Grid::new(&[
        ("slot", Align::Left),
        ("sd", Align::Right),
        ("noise", Align::Right),
        ("permutations", Align::Right),
        ("environments", Align::Right),
        ("episodes", Align::Right),
        ("runs", Align::Right),
        (&next, Align::Left),
    ]);
    let share =
        |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", 100.0 * share));
    for row in rows {
        grid.row(vec![
            row.slot_id.clone(),
            short(row.variance.sqrt()),
            share(row.noise),
            share(row.permutations),
            share(row.environments),
            share(row.episodes),
            share(row.runs),
            range(row.prediction_low, row.prediction_high, places),
        ]);
    }
    write_grid(&grid, out, is_markdown)
}

/// What brings intervals to the half-width asked for.
fn write_plan(document: &ShapleyDocument, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    let Some(plan) = &document.plan else { return Ok(()) };
    writeln!(out)?;
    writeln!(out, "for intervals of ±{} or less, one of:", short(plan.target_half_width))?;
    let units = format!("{}s in all", document.cluster.name());
    let mut grid = Grid::new(&[
        ("slot", Align::Left),
        ("now ±", Align::Right),
        (&units, Align::Right),
        ("repeats", Align::Right),
        ("permutations", Align::Right),
    ]);
    let times = |factor: Option<f64>| {
        factor.map_or_else(
            || "-".to_owned(),
            |factor| {
                if factor <= 1.0 {
                    "enough".to_owned()
                } else {
                    format!("{:.1} times", (factor * 10.0).ceil() / 10.0)
                }
            },
        )
    };
    for row in &plan.players {
        grid.row(vec![
            row.slot_id.clone(),
            row.half_width.map_or_else(|| "-".to_owned(), short),
            row.units.map_or_else(|| "-".to_owned(), grouped),
            times(row.repeats_factor),
            times(row.permutations_factor),
        ]);
    }
    write_grid(&grid, out, is_markdown)
}

/// Name of the column of adjusted p values.
pub(super) fn p_name(testing: Testing) -> String {
    format!("p ({})", testing.adjust.name())
}

/// Name of the column of intervals over units.
pub(super) fn over_units(confidence: f64, testing: Testing) -> String {
    let name = interval_name(confidence);
    if testing.simultaneous { name.replace("interval", "simultaneous interval") } else { name }
}

fn write_summary(document: &ShapleyDocument, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    let n_units = document.summary.iter().map(|summary| summary.n_units).max().unwrap_or(0);
    writeln!(
        out,
        "over {} ({} as the independent unit):",
        count(n_units, document.cluster.name()),
        document.cluster.name()
    )?;
    let places = decimals(
        document.summary.iter().flat_map(|s| [Some(s.mean), s.ci_low, s.ci_high].into_iter().flatten()),
    );
    let testing = document.settings.as_ref().map_or_else(Testing::default, |settings| settings.testing);
    let interval_name = over_units(document.confidence, testing);
    let mut grid = Grid::new(&[
        ("slot", Align::Left),
        ("mean", Align::Right),
        ("", Align::Left),
        (&interval_name, Align::Left),
        ("stderr", Align::Right),
        ("sd", Align::Right),
        ("t", Align::Right),
        (&p_name(testing), Align::Right),
        ("significant", Align::Left),
        ("units", Align::Right),
        ("games", Align::Right),
    ]);
    let largest = document.summary.iter().map(|summary| summary.mean.abs()).fold(0.0, f64::max);
    for summary in &document.summary {
        grid.row(vec![
            summary.slot_id.clone(),
            fixed(Some(summary.mean), places),
            bar(Some(summary.mean), largest),
            range(summary.ci_low, summary.ci_high, places),
            fixed(summary.stderr, places),
            fixed(summary.sd, places),
            fixed(summary.t_statistic(), 2),
            probability(summary.p_adjusted),
            summary.significant.map_or("-", |significant| if significant { "yes" } else { "no" }).to_owned(),
            grouped(summary.n_units),
            grouped(summary.n_games),
        ]);
    }
    write_grid(&grid, out, is_markdown)?;
    let units = Units {
        cluster: document.cluster,
        n_runs: document.n_runs(),
        n_episodes: document.n_episodes(),
        between_runs: document.between_runs.flatten(),
    };
    write_independence(&units, out, is_markdown)
}

/// What independent units a summary is over.
pub(super) struct Units {
    pub(super) cluster: Cluster,
    pub(super) n_runs: usize,
    pub(super) n_episodes: usize,
    pub(super) between_runs: Option<f64>,
}

/// Runs from which on intervals over them are no longer wide for their number alone: t of 5 degrees is within a third
/// of the normal.
const SEVERAL_RUNS: usize = 6;

/// What the unit means for the intervals, where there are several runs.
pub(super) fn write_independence(units: &Units, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    let n_runs = units.n_runs;
    // Where every run is one episode, both units are the same.
    if n_runs < 2 || units.n_episodes == n_runs {
        return Ok(());
    }
    if is_markdown {
        writeln!(out)?;
    }
    if let Some(share) = units.between_runs {
        writeln!(out, "{:.0} % of the variance between episodes lies between runs", 100.0 * share)?;
    }
    match units.cluster {
        Cluster::Run if n_runs < SEVERAL_RUNS => writeln!(
            out,
            "{n_runs} runs make wide intervals; those of --cluster episode are of these runs only, not of others"
        ),
        Cluster::Run => Ok(()),
        Cluster::Episode | Cluster::Game => writeln!(
            out,
            "intervals and tests are of these {n_runs} runs only, not of others; --cluster run has those"
        ),
    }
}

/// A bar of full blocks for a positive value, of light ones for a negative.
pub(super) fn bar(value: Option<f64>, largest: f64) -> String {
    let Some(value) = value.filter(|_| largest > 0.0) else { return String::new() };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most BAR_CELLS")]
    let cells = (value.abs() / largest * BAR_CELLS as f64).round() as usize;
    if value < 0.0 { "░".repeat(cells) } else { "█".repeat(cells) }
}
