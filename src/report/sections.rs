//! Documents as parts of a page.

use super::asked::asked_tables;
use super::figure::{
    FigureKind, ablation_figure, check_figure, comparison_figure, interaction_figure, normalization_figure,
    shapley_figure,
};
use super::html::{HtmlPage, HtmlSection, HtmlTable};
use crate::results::text::{grouped, probability, short};
use crate::results::{
    AblationDocument, CheckDocument, ComparisonDocument, InspectionDocument, InteractionDocument,
    NormalizationDocument, ResultDocument, ShapleyDocument,
};

/// Dimensions listed of a normalization.
const DIMENSIONS_LISTED: usize = 400;

/// A page with a part for each document.
pub fn page_of(title: &str, documents: &[ResultDocument]) -> HtmlPage {
    let section = |document: &ResultDocument| match document {
        ResultDocument::Inspection(document) => inspection(document),
        ResultDocument::Shapley(document) => shapley(document),
        ResultDocument::Interactions(document) => interactions(document),
        ResultDocument::Ablation(document) => ablation(document),
        ResultDocument::Comparison(document) => comparison(document),
        ResultDocument::Normalization(document) => normalization(document),
        ResultDocument::Check(document) => check(document),
    };
    let mut sections: Vec<HtmlSection> = documents.iter().map(section).collect();
    // What was read comes after what it says.
    sections.sort_by_key(|section| section.heading == READ);
    HtmlPage {
        title: title.to_owned(),
        sections,
        documents: documents.iter().filter_map(|document| document.to_json().ok()).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Heading of what was read.
const READ: &str = "What was read";

fn table(headings: &[&str], rows: Vec<Vec<String>>) -> HtmlTable {
    HtmlTable { headings: headings.iter().map(|heading| (*heading).to_owned()).collect(), rows }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), short)
}

fn inspection(document: &InspectionDocument) -> HtmlSection {
    let rows = document.files.iter().map(|file| {
        let games = file.games.as_ref().map_or_else(String::new, |games| grouped(games.n));
        vec![
            file.file.clone(),
            file.kind.clone(),
            grouped(file.rows),
            file.runs.map_or_else(String::new, grouped),
            games,
            file.unused.join(", "),
            file.problems.join("; "),
        ]
    });
    let n = document.n_problems();
    let problems = match n {
        0 => "No problem was found in what was read.".to_owned(),
        1 => "1 problem was found in what was read.".to_owned(),
        n => format!("{n} problems were found in what was read."),
    };
    HtmlSection {
        heading: READ.to_owned(),
        conclusions: vec![problems],
        figures: Vec::new(),
        tables: vec![table(
            &["file", "rows are", "rows", "runs", "games", "not used", "problems"],
            rows.collect(),
        )],
    }
}

fn shapley(document: &ShapleyDocument) -> HtmlSection {
    let kinds = [
        FigureKind::Intervals,
        FigureKind::Waterfall,
        FigureKind::Bars,
        FigureKind::Coverage,
        // Where nobody asked how values settle there is none.
        FigureKind::Convergence,
    ];
    let is_incomplete =
        |game: &crate::results::GameRow| (game.n_coalitions as f64) < (game.n_players as f64).exp2();
    let has_gaps = document.games.iter().any(is_incomplete);
    let has_values =
        document.games.iter().any(|game| game.players.rows().any(|player| player.shapley.is_some()));
    let is_shown = |kind: &FigureKind| match kind {
        FigureKind::Coverage => has_gaps,
        FigureKind::Bars => document.games.len() > 1,
        // Only games of the same players have one way from nobody to all.
        FigureKind::Waterfall => has_values && document.has_same_players(),
        _ => true,
    };
    let figures =
        kinds.into_iter().filter(is_shown).filter_map(|kind| shapley_figure(document, Some(kind)).ok());
    let summary = document.summary.iter().map(|row| {
        vec![
            row.slot_id.clone(),
            short(row.mean),
            number(row.ci_low),
            number(row.ci_high),
            number(row.stderr),
            grouped(row.n_units),
            grouped(row.n_games),
            probability(row.p_adjusted),
        ]
    });
    let games = document.games.iter().flat_map(|game| {
        game.players.rows().map(move |player| {
            vec![
                game.key().to_string(),
                player.slot_id.to_string(),
                number(player.shapley),
                number(player.ci_low.or(player.bound_low)),
                number(player.ci_high.or(player.bound_high)),
            ]
        })
    });
    let mut tables = vec![table(
        &["slot", "mean", "low", "high", "stderr", "units", "games", "adjusted p"],
        summary.collect(),
    )];
    tables.extend(asked_tables(document));
    tables.push(table(&["game", "slot", "value", "low", "high"], games.take(GAME_ROWS).collect()));
    let group = document.group_name().map_or_else(String::new, |group| format!(", {group}"));
    HtmlSection {
        heading: format!("What each slot adds to {}{group}", document.value),
        conclusions: document.verdict.clone(),
        figures: figures.collect(),
        tables,
    }
}

fn interactions(document: &InteractionDocument) -> HtmlSection {
    let kinds = [FigureKind::Heatmap, FigureKind::Intervals].into_iter();
    let rows = document.summary.iter().filter(|row| row.players.len() > 1).map(|row| {
        vec![
            row.players.join(" + "),
            short(row.numbers.mean),
            number(row.numbers.ci_low),
            number(row.numbers.ci_high),
            grouped(row.numbers.n_units),
            probability(row.numbers.p_adjusted),
            row.regime.map_or_else(|| "-".to_owned(), |regime| regime.name().to_owned()),
        ]
    });
    HtmlSection {
        heading: format!("What slots add together to {}", document.value),
        conclusions: document.verdict.clone(),
        figures: kinds.filter_map(|kind| interaction_figure(document, Some(kind)).ok()).collect(),
        tables: vec![table(
            &["slots", "mean", "low", "high", "units", "adjusted p", "regime"],
            rows.collect(),
        )],
    }
}

fn ablation(document: &AblationDocument) -> HtmlSection {
    let rows = document.summary.iter().map(|row| {
        vec![
            row.slot_id.clone(),
            row.measure.name().replace('_', " "),
            short(row.numbers.mean),
            number(row.numbers.ci_low),
            number(row.numbers.ci_high),
            grouped(row.numbers.n_units),
            probability(row.numbers.p_adjusted),
        ]
    });
    HtmlSection {
        heading: format!("What {} loses without each slot", document.value),
        conclusions: document.verdict.clone(),
        figures: vec![ablation_figure(document)],
        tables: vec![table(
            &["slot", "measure", "mean", "low", "high", "units", "adjusted p"],
            rows.collect(),
        )],
    }
}

/// Rows of games listed; the document has all.
const GAME_ROWS: usize = 2000;

fn comparison(document: &ComparisonDocument) -> HtmlSection {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let rows = document.runs.iter().flat_map(|run| {
        run.settings.iter().map(move |setting| {
            vec![
                run.run_id.clone(),
                setting.name(),
                number(setting.error),
                short(mean(&setting.mean_distance)),
                short((mean(&setting.log_var_distance) / 2.0).exp()),
                short(100.0 * setting.clip_fraction),
                grouped(setting.updates),
            ]
        })
    });
    let headings = ["run", "setting", "error", "mean off (sd)", "sd off (times)", "clipped (%)", "updates"];
    HtmlSection {
        heading: format!("Which setting normalizes {} best", document.target),
        conclusions: document.verdict.clone(),
        figures: [FigureKind::Settings, FigureKind::Traces]
            .into_iter()
            .filter_map(|kind| comparison_figure(document, Some(kind)).ok())
            .collect(),
        tables: vec![table(&headings, rows.collect())],
    }
}

fn normalization(document: &NormalizationDocument) -> HtmlSection {
    let names = document.dimension_names();
    let rows = document.runs.iter().flat_map(|run| {
        let name = |d: usize| names.get(d).cloned().unwrap_or_else(|| d.to_string());
        run.mean.iter().zip(&run.var).enumerate().map(move |(d, (mean, var))| {
            vec![run.run_id.clone(), name(d), short(*mean), short(var.max(0.0).sqrt())]
        })
    });
    HtmlSection {
        heading: format!("How {} were normalized", document.target),
        conclusions: document.verdict.clone(),
        figures: normalization_figure(document).into_iter().collect(),
        tables: vec![table(&["run", "dimension", "mean", "sd"], rows.take(DIMENSIONS_LISTED).collect())],
    }
}

fn check(document: &CheckDocument) -> HtmlSection {
    let rows = document.checks.iter().flat_map(|check| {
        check.findings.iter().map(move |finding| {
            vec![
                check.name.clone(),
                finding.id.clone(),
                finding.verdict.name().to_owned(),
                number(finding.old),
                number(finding.new),
                finding.reason.clone(),
            ]
        })
    });
    HtmlSection {
        heading: "Checks".to_owned(),
        conclusions: document.verdict.clone(),
        figures: check_figure(document, None).into_iter().collect(),
        tables: vec![table(&["check", "metric", "verdict", "stored", "new", "why"], rows.collect())],
    }
}
