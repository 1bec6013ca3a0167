//! Renderings of Shapley values.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid};
use crate::attribution::Cluster;
use crate::printable::printable;
use crate::results::text::{decimals, fixed, grouped, percent, probability, short};
use crate::results::{Direction, GameRow, ShapleyDocument, Testing};

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
        Format::Csv => tidy(documents).write_csv(out),
        Format::Markdown => write_people(documents, n_games_shown, out, true),
        Format::Table => write_people(documents, n_games_shown, out, false),
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'static str,
    value: &'a str,
    #[serde(flatten)]
    row: T,
}

fn write_ndjson(document: &ShapleyDocument, out: &mut dyn Write) -> io::Result<()> {
    for game in &document.games {
        serde_json::to_writer(&mut *out, &Line { kind: "game", value: &document.value, row: game })?;
        writeln!(out)?;
    }
    for summary in &document.summary {
        let line = Line { kind: "summary", value: &document.value, row: summary };
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    Ok(())
}

/// One row per (game, slot) and per slot over games, told apart by `scope`; full precision.
fn tidy(documents: &[ShapleyDocument]) -> Grid {
    let names = [
        "value",
        "scope",
        "run_id",
        "episode",
        "env_id",
        "batch",
        "slot_id",
        "shapley",
        "sd",
        "stderr",
        "n",
        "ci_low",
        "ci_high",
        "bound_low",
        "bound_high",
        "method",
        "biased",
        "t",
        "p_value",
        "p_adjusted",
        "significant",
    ];
    let mut grid = Grid::new(&names.map(|name| (name, Align::Left)));
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for document in documents {
        for game in &document.games {
            for row in game.players.rows() {
                grid.row(vec![
                    document.value.clone(),
                    "game".into(),
                    game.run_id.to_string(),
                    game.episode.to_string(),
                    game.env_id.to_string(),
                    game.batch.map_or_else(String::new, |batch| batch.to_string()),
                    row.slot_id.to_string(),
                    number(row.shapley),
                    number(row.sd),
                    number(row.stderr),
                    row.n_samples.to_string(),
                    number(row.ci_low),
                    number(row.ci_high),
                    number(row.bound_low),
                    number(row.bound_high),
                    game.method.name().into(),
                    game.biased.to_string(),
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                ]);
            }
        }
        for row in &document.summary {
            let mut cells = vec![document.value.clone(), "summary".into()];
            cells.extend(std::iter::repeat_n(String::new(), 4));
            cells.extend([
                row.slot_id.clone(),
                number(Some(row.mean)),
                number(row.sd),
                number(row.stderr),
                row.n_units.to_string(),
                number(row.ci_low),
                number(row.ci_high),
                String::new(),
                String::new(),
                document.method.name().to_owned(),
                document.games.iter().any(|game| game.biased).to_string(),
                number(row.t),
                number(row.p_value),
                number(row.p_adjusted),
                row.significant.map_or_else(String::new, |significant| significant.to_string()),
            ]);
            grid.row(cells);
        }
    }
    grid
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
        "{heading}{} values of {} ({}); {}; {}, {}",
        if document.has_unions() { "Owen" } else { "Shapley" },
        document.value,
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
