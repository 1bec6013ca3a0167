//! What was asked of Shapley values beside the values, as tables of a page.

use super::html::HtmlTable;
use crate::results::ShapleyDocument;
use crate::results::text::{grouped, percent, probability, short};

fn number(x: Option<f64>) -> String {
    x.map_or_else(|| "-".to_owned(), short)
}

fn yes_or_no(is: Option<bool>) -> String {
    is.map_or("-", |is| if is { "yes" } else { "no" }).to_owned()
}

fn table(headings: &[&str], rows: Vec<Vec<String>>) -> HtmlTable {
    HtmlTable { headings: headings.iter().map(|heading| (*heading).to_owned()).collect(), rows }
}

/// Order, trend, estimates of the trainer, sources of variance and plan: those that were asked for.
pub(super) fn asked_tables(document: &ShapleyDocument) -> Vec<HtmlTable> {
    [ranking(document), trend(document), recorded(document), sources(document), plan(document)]
        .into_iter()
        .flatten()
        .collect()
}

fn ranking(document: &ShapleyDocument) -> Option<HtmlTable> {
    let ranking = document.ranking.as_ref()?;
    let row = |(place, player): (usize, &crate::results::RankRow)| {
        let next = ranking.neighbours.get(place);
        vec![
            player.rank.to_string(),
            player.slot_id.clone(),
            format!("{} to {}", player.rank_low, player.rank_high),
            percent(player.probability_first),
            next.map_or_else(String::new, |next| percent(next.probability)),
            next.map_or_else(String::new, |next| probability(next.p_adjusted)),
            next.map_or_else(String::new, |next| yes_or_no(next.tie)),
        ]
    };
    let headings = ["rank", "slot", "ranks", "first", "above the next", "adjusted p", "tie with the next"];
    Some(table(&headings, ranking.players.iter().enumerate().map(row).collect()))
}

fn trend(document: &ShapleyDocument) -> Option<HtmlTable> {
    let rows = document.trend.as_ref()?.iter().map(|row| {
        vec![
            row.slot_id.clone(),
            short(row.slope),
            number(row.ci_low),
            number(row.ci_high),
            grouped(row.n_units),
            probability(row.p_adjusted),
        ]
    });
    Some(table(&["slot", "change per episode", "low", "high", "units", "adjusted p"], rows.collect()))
}

fn recorded(document: &ShapleyDocument) -> Option<HtmlTable> {
    let rows = document.recorded.as_ref()?.iter().flat_map(|row| {
        let reasons: Vec<&str> = row.reasons.iter().map(|reason| reason.words()).collect();
        row.players.iter().map(move |player| {
            vec![
                row.episode.to_string(),
                row.env_id.to_string(),
                player.slot_id.clone(),
                short(player.recorded),
                number(player.shapley),
                number(player.difference),
                number(player.expected_stderr),
                reasons.join("; "),
            ]
        })
    });
    let headings = ["episode", "env", "slot", "logged", "recording", "off by", "expected", "why"];
    Some(table(&headings, rows.collect()))
}

fn sources(document: &ShapleyDocument) -> Option<HtmlTable> {
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), percent);
    let rows = document.sources.as_ref()?.iter().map(|row| {
        vec![
            row.slot_id.clone(),
            short(row.variance.sqrt()),
            share(row.noise),
            share(row.permutations),
            share(row.environments),
            share(row.episodes),
            share(row.runs),
        ]
    });
    let headings = ["slot", "sd of one game", "noise", "permutations", "environments", "episodes", "runs"];
    Some(table(&headings, rows.collect()))
}

fn plan(document: &ShapleyDocument) -> Option<HtmlTable> {
    let plan = document.plan.as_ref()?;
    let rows = plan.players.iter().map(|row| {
        vec![
            row.slot_id.clone(),
            number(row.half_width),
            row.units.map_or_else(|| "-".to_owned(), grouped),
            number(row.repeats_factor),
            number(row.permutations_factor),
        ]
    });
    let target = format!("units for ±{}", short(plan.target_half_width));
    Some(table(
        &["slot", "half-width now", &target, "times the repeats", "times the permutations"],
        rows.collect(),
    ))
}
