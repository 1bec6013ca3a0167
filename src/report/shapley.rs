//! Shapley values: the document `simic.shapley/1` and its renderings.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid, printable};
use super::number::{decimals, fixed, grouped, probability};
use crate::attribution::{Cluster, GameResult, MethodRequest, PlayerSummary, PlayerValue, ShapleySettings};
use crate::records::SkipReport;
use crate::stats::IntervalMethod;

const SCHEMA: &str = "simic.shapley/1";

/// Cells of the bar beside a value.
const BAR_CELLS: usize = 16;

/// Which way a value column is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A helping slot has a positive value.
    Higher,
    /// A helping slot has a negative value.
    Lower,
}

impl Direction {
    /// Guesses from a column's name; `None` if it says nothing.
    pub fn of_column(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["loss", "error", "perplexity", "mse", "mae", "rmse", "nll", "regret", "cost"]) {
            Some(Self::Lower)
        } else if has(&["acc", "reward", "return", "score", "auc", "f1", "precision", "recall", "r2"]) {
            Some(Self::Higher)
        } else {
            None
        }
    }

    fn words(direction: Option<Self>) -> &'static str {
        match direction {
            Some(Self::Higher) => "higher is better",
            Some(Self::Lower) => "lower is better: a helping slot is negative",
            None => "which way is better is not known",
        }
    }
}

/// Everything a report of Shapley values says.
#[derive(Debug)]
pub struct ShapleyReport {
    /// Value column.
    pub value: String,
    /// Which way it is good.
    pub direction: Option<Direction>,
    /// Settings of the analysis.
    pub settings: ShapleySettings,
    /// Independent unit over games.
    pub cluster: Cluster,
    /// Games in order of key.
    pub games: Vec<GameResult>,
    /// Slots over games.
    pub summary: Vec<PlayerSummary>,
    /// Files read.
    pub n_files: usize,
    /// Rows used.
    pub n_rows: u64,
    /// What was left out.
    pub skipped: SkipReport,
    /// Games left out, for which the method has no value.
    pub n_games_skipped: u64,
}

impl ShapleyReport {
    /// The method used if all games share it.
    fn method(&self) -> &'static str {
        let mut methods = self.games.iter().map(|game| game.method);
        match methods.next() {
            Some(first) if methods.all(|method| method == first) => first.name(),
            _ => "mixed",
        }
    }

    fn ci_name(&self) -> &'static str {
        match self.settings.interval {
            IntervalMethod::StudentT => "t",
            IntervalMethod::Normal => "normal",
            IntervalMethod::Bootstrap(_) => "bootstrap",
        }
    }

    fn cluster_name(&self) -> &'static str {
        match self.cluster {
            Cluster::Game => "game",
            Cluster::Episode => "episode",
            Cluster::Run => "run",
        }
    }
}

/// Writes one report per value column.
///
/// Several value columns make a JSON array; in CSV and NDJSON every row says its value column.
///
/// # Errors
/// If writing fails.
pub fn write_shapley(
    reports: &[ShapleyReport],
    format: Format,
    n_games_shown: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => {
            match reports {
                [report] => serde_json::to_writer(&mut *out, &Document::of(report))?,
                reports => {
                    let documents: Vec<Document> = reports.iter().map(Document::of).collect();
                    serde_json::to_writer(&mut *out, &documents)?;
                }
            }
            writeln!(out)
        }
        Format::Ndjson => reports.iter().try_for_each(|report| write_ndjson(report, out)),
        Format::Csv => tidy(reports).write_csv(out),
        Format::Markdown => write_people(reports, n_games_shown, out, true),
        Format::Table => write_people(reports, n_games_shown, out, false),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    value: &'a str,
    direction: Option<Direction>,
    method: &'static str,
    requested_method: &'static str,
    confidence: f64,
    ci: &'static str,
    cluster: &'static str,
    seed: u64,
    games: Vec<GameRow<'a>>,
    summary: Vec<SummaryRow<'a>>,
    input: Input<'a>,
}

#[derive(Serialize)]
struct GameRow<'a> {
    run_id: &'a str,
    episode: i64,
    env_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<i64>,
    n_players: usize,
    n_coalitions: usize,
    method: &'static str,
    baseline: Option<f64>,
    full: Option<f64>,
    efficiency_gap: Option<f64>,
    biased: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    antithetic: Option<bool>,
    players: Vec<PlayerRow<'a>>,
}

#[derive(Serialize)]
struct PlayerRow<'a> {
    slot_id: &'a str,
    shapley: Option<f64>,
    sd: Option<f64>,
    stderr: Option<f64>,
    n_samples: u64,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_high: Option<f64>,
}

#[derive(Serialize)]
struct SummaryRow<'a> {
    slot_id: &'a str,
    mean: f64,
    sd: Option<f64>,
    stderr: Option<f64>,
    n_units: u64,
    n_games: u64,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    t: Option<f64>,
    p_value: Option<f64>,
    p_adjusted: Option<f64>,
    significant: Option<bool>,
}

#[derive(Serialize)]
struct Input<'a> {
    files: usize,
    rows: u64,
    skipped: u64,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    skipped_rows: &'a std::collections::BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    skipped_files: &'a std::collections::BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "is_zero")]
    skipped_games: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl<'a> Document<'a> {
    fn of(report: &'a ShapleyReport) -> Self {
        Self {
            schema: SCHEMA,
            value: &report.value,
            direction: report.direction,
            method: report.method(),
            requested_method: match report.settings.method {
                MethodRequest::Auto => "auto",
                MethodRequest::Exact => "exact",
                MethodRequest::Permutation => "permutation",
                MethodRequest::Kernel => "kernel",
                MethodRequest::Bounds => "bounds",
            },
            confidence: report.settings.confidence.get(),
            ci: report.ci_name(),
            cluster: report.cluster_name(),
            seed: report.settings.permutations.seed,
            games: report.games.iter().map(GameRow::of).collect(),
            summary: report.summary.iter().map(SummaryRow::of).collect(),
            input: Input {
                files: report.n_files,
                rows: report.n_rows,
                skipped: report.skipped.n_rows(),
                skipped_rows: &report.skipped.rows,
                skipped_files: &report.skipped.files,
                skipped_games: report.n_games_skipped,
            },
        }
    }
}

impl<'a> GameRow<'a> {
    fn of(game: &'a GameResult) -> Self {
        Self {
            run_id: &game.key.run_id,
            episode: game.key.episode,
            env_id: game.key.env_id,
            batch: game.key.batch,
            n_players: game.players.len(),
            n_coalitions: game.n_coalitions,
            method: game.method.name(),
            baseline: game.baseline,
            full: game.full,
            efficiency_gap: game.efficiency_gap,
            biased: game.biased,
            antithetic: game.antithetic,
            players: game
                .slot_ids
                .iter()
                .zip(&game.players)
                .map(|(id, player)| PlayerRow::of(id, player))
                .collect(),
        }
    }
}

impl<'a> PlayerRow<'a> {
    fn of(slot_id: &'a str, player: &PlayerValue) -> Self {
        Self {
            slot_id,
            shapley: player.shapley,
            sd: player.sd,
            stderr: player.standard_error,
            n_samples: player.n_samples,
            ci_low: player.interval.map(|interval| interval.low),
            ci_high: player.interval.map(|interval| interval.high),
            bound_low: player.bounds.map(|bounds| bounds.low),
            bound_high: player.bounds.map(|bounds| bounds.high),
        }
    }
}

impl<'a> SummaryRow<'a> {
    fn of(summary: &'a PlayerSummary) -> Self {
        Self {
            slot_id: &summary.slot_id,
            mean: summary.mean,
            sd: summary.sd,
            stderr: summary.standard_error,
            n_units: summary.n_units,
            n_games: summary.n_games,
            ci_low: summary.interval.map(|interval| interval.low),
            ci_high: summary.interval.map(|interval| interval.high),
            t: summary.t.filter(|t| t.is_finite()),
            p_value: summary.p_value,
            p_adjusted: summary.p_adjusted,
            significant: summary.significant,
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

fn write_ndjson(report: &ShapleyReport, out: &mut dyn Write) -> io::Result<()> {
    for game in &report.games {
        serde_json::to_writer(
            &mut *out,
            &Line { kind: "game", value: &report.value, row: GameRow::of(game) },
        )?;
        writeln!(out)?;
    }
    for summary in &report.summary {
        let line = Line { kind: "summary", value: &report.value, row: SummaryRow::of(summary) };
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    Ok(())
}

/// One row per (game, slot) and per slot over games, told apart by `scope`; full precision.
fn tidy(reports: &[ShapleyReport]) -> Grid {
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
    for report in reports {
        for game in &report.games {
            for (slot_id, player) in game.slot_ids.iter().zip(&game.players) {
                let row = PlayerRow::of(slot_id, player);
                grid.row(vec![
                    report.value.clone(),
                    "game".into(),
                    game.key.run_id.to_string(),
                    game.key.episode.to_string(),
                    game.key.env_id.to_string(),
                    game.key.batch.map_or_else(String::new, |batch| batch.to_string()),
                    slot_id.clone(),
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
        for summary in &report.summary {
            let row = SummaryRow::of(summary);
            let mut cells = vec![report.value.clone(), "summary".into()];
            cells.extend(std::iter::repeat_n(String::new(), 4));
            cells.extend([
                summary.slot_id.clone(),
                number(Some(row.mean)),
                number(row.sd),
                number(row.stderr),
                row.n_units.to_string(),
                number(row.ci_low),
                number(row.ci_high),
                String::new(),
                String::new(),
                report.method().to_owned(),
                report.games.iter().any(|game| game.biased).to_string(),
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
    reports: &[ShapleyReport],
    n_games_shown: usize,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    for (index, report) in reports.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_one(report, n_games_shown, out, is_markdown)?;
    }
    Ok(())
}

fn write_grid(grid: &Grid, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    if is_markdown { grid.write_markdown(out) } else { grid.write_table(out) }
}

fn write_one(
    report: &ShapleyReport,
    n_games_shown: usize,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    let heading = if is_markdown { "## " } else { "" };
    let biased = report.games.iter().filter(|game| game.biased).count();
    writeln!(
        out,
        "{heading}Shapley values of {} ({}); {}; {}, {}",
        report.value,
        Direction::words(report.direction),
        report.method(),
        count(report.games.len() as u64, "game"),
        count(report.n_rows, "row"),
    )?;
    if biased > 0 {
        writeln!(
            out,
            "{biased} of {} are biased: coalitions are missing",
            count(report.games.len() as u64, "game")
        )?;
    }
    let has_units = report.summary.iter().any(|summary| summary.n_units > 1);
    let shown = if has_units || report.games.len() > n_games_shown.max(1) {
        n_games_shown.min(report.games.len())
    } else {
        report.games.len()
    };
    let lists_games = report.games.len() <= n_games_shown.max(1) || !has_units;
    if lists_games {
        for game in &report.games[..shown] {
            writeln!(out)?;
            write_game(report, game, out, is_markdown)?;
        }
    }
    if has_units || report.games.len() > 1 {
        writeln!(out)?;
        write_summary(report, out, is_markdown)?;
    }
    let hidden = report.games.len() - if lists_games { shown } else { 0 };
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

fn count(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

fn write_game(
    report: &ShapleyReport,
    game: &GameResult,
    out: &mut dyn Write,
    is_markdown: bool,
) -> io::Result<()> {
    let all = || game.players.iter();
    let places = decimals(
        all().flat_map(|p| [p.shapley, p.bounds.map(|b| b.low), p.bounds.map(|b| b.high)]).flatten(),
    );
    let ends = [game.baseline, game.full];
    let end_places = decimals(ends.into_iter().flatten());
    writeln!(
        out,
        "{}: empty {}, full {}, {} of 2^{} coalitions, {}",
        printable(&game.key.to_string()),
        fixed(game.baseline, end_places),
        fixed(game.full, end_places),
        grouped(game.n_coalitions as u64),
        game.players.len(),
        match game.antithetic {
            Some(true) => "antithetic pairs",
            Some(false) => "independent permutations",
            None => game.method.name(),
        },
    )?;
    let has_bounds = all().any(|player| player.bounds.is_some());
    let interval_name = if has_bounds { "bounds".to_owned() } else { interval_name(report) };
    let mut grid = Grid::new(&[
        ("slot", Align::Left),
        ("shapley", Align::Right),
        ("", Align::Left),
        (&interval_name, Align::Left),
        ("stderr", Align::Right),
        ("samples", Align::Right),
    ]);
    let largest = all().filter_map(|player| player.shapley).map(f64::abs).fold(0.0, f64::max);
    for (slot_id, player) in game.slot_ids.iter().zip(all()) {
        let (low, high) = match (player.bounds, player.interval) {
            (Some(bounds), _) => (Some(bounds.low), Some(bounds.high)),
            (None, Some(interval)) => (Some(interval.low), Some(interval.high)),
            (None, None) => (None, None),
        };
        grid.row(vec![
            slot_id.clone(),
            fixed(player.shapley, places),
            bar(player.shapley, largest),
            range(low, high, places),
            fixed(player.standard_error, places),
            player.n_samples.to_string(),
        ]);
    }
    write_grid(&grid, out, is_markdown)
}

fn interval_name(report: &ShapleyReport) -> String {
    let level = report.settings.confidence.get() * 100.0;
    // 1 - 0.05 is not quite 0.95; nobody wants to read that.
    let level = (level * 1e6).round() / 1e6;
    format!("{level}% interval")
}

fn range(low: Option<f64>, high: Option<f64>, places: usize) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{} .. {}", fixed(Some(low), places), fixed(Some(high), places)),
        _ => "-".to_owned(),
    }
}

fn write_summary(report: &ShapleyReport, out: &mut dyn Write, is_markdown: bool) -> io::Result<()> {
    let n_units = report.summary.iter().map(|summary| summary.n_units).max().unwrap_or(0);
    writeln!(
        out,
        "over {} ({} as the independent unit):",
        count(n_units, report.cluster_name()),
        report.cluster_name()
    )?;
    let places = decimals(report.summary.iter().flat_map(|s| {
        [Some(s.mean), s.interval.map(|i| i.low), s.interval.map(|i| i.high)].into_iter().flatten()
    }));
    let interval_name = interval_name(report);
    let mut grid = Grid::new(&[
        ("slot", Align::Left),
        ("mean", Align::Right),
        ("", Align::Left),
        (&interval_name, Align::Left),
        ("stderr", Align::Right),
        ("sd", Align::Right),
        ("t", Align::Right),
        ("p (Holm)", Align::Right),
        ("significant", Align::Left),
        ("units", Align::Right),
        ("games", Align::Right),
    ]);
    let largest = report.summary.iter().map(|summary| summary.mean.abs()).fold(0.0, f64::max);
    for summary in &report.summary {
        grid.row(vec![
            summary.slot_id.clone(),
            fixed(Some(summary.mean), places),
            bar(Some(summary.mean), largest),
            range(summary.interval.map(|i| i.low), summary.interval.map(|i| i.high), places),
            fixed(summary.standard_error, places),
            fixed(summary.sd, places),
            fixed(summary.t, 2),
            probability(summary.p_adjusted),
            summary.significant.map_or("-", |significant| if significant { "yes" } else { "no" }).to_owned(),
            grouped(summary.n_units),
            grouped(summary.n_games),
        ]);
    }
    write_grid(&grid, out, is_markdown)
}

/// A bar of full blocks for a positive value, of light ones for a negative.
fn bar(value: Option<f64>, largest: f64) -> String {
    let Some(value) = value.filter(|_| largest > 0.0) else { return String::new() };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most BAR_CELLS")]
    let cells = (value.abs() / largest * BAR_CELLS as f64).round() as usize;
    if value < 0.0 { "░".repeat(cells) } else { "█".repeat(cells) }
}
