//! What Shapley values say: what helps most, what hurts, and what cannot be told from zero.

use super::words::{interval_words, narrow, sentence, unit_noun};
use crate::attribution::{LoggedReason, Method, PermutationDesign, rounding_floor};
use crate::results::text::{counted, decimals_of, fixed, listed, short};
use crate::results::{Direction, GameRow, RecordedRow, ShapleyDocument};

/// Names listed in a sentence.
const NAMES: usize = 3;

/// A value with what is known of its error.
#[derive(Debug, Clone)]
struct Effect {
    slot: String,
    value: f64,
    interval: Option<(f64, f64)>,
    /// Whether it is told from zero; `None` where nothing says so.
    is_clear: Option<bool>,
    /// Units behind it, where there are several.
    n_units: Option<u64>,
}

/// What a value does, as its direction has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The value is better for it, or larger where nobody knows which way is better.
    Good,
    /// The other way.
    Bad,
}

impl ShapleyDocument {
    /// The document with its conclusion.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        self.verdict = sentences(&self);
        self
    }

    /// What the independent unit is called.
    pub fn unit_noun(&self) -> &'static str {
        unit_noun(self.cluster, &self.games.iter().map(|game| &*game.run_id))
    }

    /// Units behind the summary.
    pub fn n_units(&self) -> u64 {
        self.summary.iter().map(|row| row.n_units).max().unwrap_or(0)
    }
}

fn sentences(document: &ShapleyDocument) -> Vec<String> {
    let mut sentences = of_values(document);
    sentences.extend(document.recorded.as_deref().map(of_recorded));
    sentences
}

/// How far the trainer's own estimates are off.
fn of_recorded(rows: &[RecordedRow]) -> String {
    let off: Vec<f64> = rows.iter().filter_map(RecordedRow::largest_difference).collect();
    let (n, are) = match rows.len() {
        1 => ("estimate".to_owned(), "is"),
        n => (counted(n as u64, "estimate"), "are"),
    };
    let Some(most) = off.iter().copied().reduce(f64::max) else {
        return format!("The trainer's own {n} cannot be compared with the recording.");
    };
    let count = |reason: LoggedReason| rows.iter().filter(|row| row.reasons.contains(&reason)).count();
    if count(LoggedReason::Agrees) == rows.len() {
        let agree = if rows.len() == 1 { "agrees" } else { "agree" };
        return format!("The trainer's own {n} {agree} with the recording.");
    }
    let explained = count(LoggedReason::Agrees) + count(LoggedReason::Sampling);
    let others = [
        (
            LoggedReason::Labels,
            ["fits other slots than it is logged for", "fit other slots than they are logged for"],
        ),
        (
            LoggedReason::MadeUp,
            ["is a second estimate of made-up values", "are second estimates of made-up values"],
        ),
        (
            LoggedReason::AnotherGame,
            [
                "is of another game than the recorded coalitions",
                "are of another game than the recorded coalitions",
            ],
        ),
        (
            LoggedReason::Untold,
            ["does not tell how many samples it has", "do not tell how many samples they have"],
        ),
        (LoggedReason::OtherSlots, ["has other slots", "have other slots"]),
    ];
    let others = others.into_iter().filter_map(|(reason, [one, many])| match count(reason) {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    });
    let mut told = vec![format!("sampling explains {explained} of {}", off.len())];
    told.extend(others);
    format!("The trainer's own {n} {are} off by up to {}: {}.", short(most), told.join("; "))
}

fn of_values(document: &ShapleyDocument) -> Vec<String> {
    let Some(first) = document.games.first() else { return Vec::new() };
    let mut sentences = Vec::new();
    if document.games.iter().all(|game| game.method == Method::Bounds) {
        sentences.extend(bounds(document, first));
        return sentences;
    }
    let has_units = document.n_units() > 1;
    let mut effects =
        if has_units || document.games.len() > 1 { over_units(document) } else { of_game(first) };
    // What is nothing but rounding is no effect.
    let floor = rounding_floor(document.scale());
    effects.iter_mut().filter(|effect| effect.value.abs() <= floor).for_each(|effect| effect.value = 0.0);
    let has_intervals = effects.iter().any(|effect| effect.interval.is_some());
    let biased = document.games.iter().filter(|game| game.biased).count();
    if biased > 0 {
        sentences.push(match document.games.len() {
            1 => "Coalitions are missing: the values are biased.".to_owned(),
            n => format!("Coalitions are missing in {biased} of {n} games: their values are biased."),
        });
    }
    sentences.extend(ranked(document, &effects, &behind(document, first, has_units, has_intervals)));
    sentences.extend(narrow(document.ci, document.summary.iter().map(|row| row.n_units)));
    if biased == 0 && !has_units {
        sentences.push(of_one_unit(document, first, has_intervals));
    }
    sentences
}

/// What stands behind an effect: its number of units, or where its interval comes from.
fn behind(document: &ShapleyDocument, first: &GameRow, has_units: bool, has_intervals: bool) -> String {
    if has_units {
        return format!("n = {}", counted(document.n_units(), document.unit_noun()));
    }
    if document.games.len() > 1 {
        let unit = counted(1, document.unit_noun());
        return format!("{} of {unit}", counted(document.games.len() as u64, "game"));
    }
    let n = first.players.rows().map(|player| player.n_samples).max().unwrap_or(0);
    match first.antithetic {
        Some(_) if document.sampling_of(first) != PermutationDesign::Plain => {
            format!("n = {}", counted(n, "permutation block"))
        }
        Some(true) => format!("n = {}", counted(n, "antithetic pair")),
        Some(false) => format!("n = {}", counted(n, "permutation")),
        None if has_intervals => "repeated evaluations of 1 game".to_owned(),
        None => format!("{}, 1 game", first.method.name()),
    }
}

/// What is not known where there is one unit.
fn of_one_unit(document: &ShapleyDocument, first: &GameRow, has_intervals: bool) -> String {
    let unit = if document.games.len() > 1 { document.unit_noun() } else { "game" };
    match (has_intervals, first.antithetic) {
        (false, _) => format!("How values vary beyond this one {unit} is not known."),
        (true, Some(_)) => format!("The interval is that of drawing permutations, not of other {unit}s."),
        (true, None) => format!("The interval is that of noisy evaluations, not of other {unit}s."),
    }
}

fn over_units(document: &ShapleyDocument) -> Vec<Effect> {
    let effect = |row: &crate::results::SummaryRow| Effect {
        slot: row.slot_id.clone(),
        value: row.mean,
        interval: row.ci_low.zip(row.ci_high),
        // Of one unit among several nothing is tested.
        is_clear: row.significant.or((row.n_units < 2 && document.n_units() > 1).then_some(false)),
        n_units: Some(row.n_units).filter(|n| *n > 1 || document.n_units() > 1),
    };
    document.summary.iter().map(effect).collect()
}

fn of_game(game: &GameRow) -> Vec<Effect> {
    let effects = game.players.rows().filter_map(|player| {
        let interval = player.ci_low.zip(player.ci_high);
        Some(Effect {
            slot: player.slot_id.into_owned(),
            value: player.shapley?,
            interval,
            is_clear: interval.map(|(low, high)| low > 0.0 || high < 0.0),
            n_units: None,
        })
    });
    effects.collect()
}

/// Helping and hurting slots, strongest first, and those that cannot be told from zero.
fn ranked(document: &ShapleyDocument, effects: &[Effect], behind: &str) -> Vec<String> {
    let kind = |effect: &Effect| match (document.direction, effect.value > 0.0) {
        (Some(Direction::Lower), true) | (Some(Direction::Higher) | None, false) => Kind::Bad,
        (Some(Direction::Lower), false) | (Some(Direction::Higher) | None, true) => Kind::Good,
    };
    let strongest_first = |mut found: Vec<Effect>| {
        found.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
        found
    };
    let of_kind = |wanted: Kind| {
        let is_told = |effect: &&Effect| effect.is_clear != Some(false) && effect.value != 0.0;
        strongest_first(
            effects.iter().filter(is_told).filter(|effect| kind(effect) == wanted).cloned().collect(),
        )
    };
    let unclear = effects.iter().filter(|effect| effect.is_clear == Some(false)).cloned();
    let unclear = strongest_first(unclear.collect());
    let words = |effect: &Effect| {
        // Slots may play in different numbers of units.
        let own = effect.n_units.map(|n| format!("n = {}", counted(n, document.unit_noun())));
        interval_words(effect.value, effect.interval, document.confidence, own.as_deref().unwrap_or(behind))
    };
    let is_one_of_many = effects.len() > 1;
    let mut told: Vec<String> = [Kind::Good, Kind::Bad]
        .into_iter()
        .filter_map(|kind| group(&of_kind(kind), &does(document, kind), is_one_of_many, &words))
        .collect();
    if let (true, Some(largest)) = (told.is_empty(), unclear.first()) {
        return vec![format!(
            "Nothing can be told from zero; the largest is {}: {}.",
            largest.slot,
            words(largest)
        )];
    }
    let names: Vec<&str> = unclear.iter().map(|effect| effect.slot.as_str()).collect();
    if let (Some(last), false) = (told.last_mut(), names.is_empty()) {
        last.push_str(&format!("; {} cannot be told from zero", listed(&names, NAMES)));
    } else if told.is_empty() {
        told.push(format!("No value of {} differs from zero", document.value));
    }
    told.into_iter().map(|text| format!("{text}.")).collect()
}

/// What slots of a kind do: the verb of one, and of several.
fn does(document: &ShapleyDocument, kind: Kind) -> [String; 2] {
    match (document.direction, kind) {
        (Some(_), Kind::Good) => ["helps".to_owned(), "help".to_owned()],
        (Some(_), Kind::Bad) => ["hurts".to_owned(), "hurt".to_owned()],
        (None, Kind::Good) => ["raises", "raise"].map(|verb| format!("{verb} {}", document.value)),
        (None, Kind::Bad) => ["lowers", "lower"].map(|verb| format!("{verb} {}", document.value)),
    }
}

/// The strongest of a kind with its number, and who else is of that kind.
fn group(
    found: &[Effect],
    [does, do_it]: &[String; 2],
    is_one_of_many: bool,
    words: &dyn Fn(&Effect) -> String,
) -> Option<String> {
    let (first, others) = found.split_first()?;
    let most = if is_one_of_many && (!others.is_empty() || does == "helps") { " most" } else { "" };
    let mut text = format!("{} {does}{most}: {}", first.slot, words(first));
    let names: Vec<&str> = others.iter().map(|effect| effect.slot.as_str()).collect();
    match &names[..] {
        [] => {}
        [one] => text.push_str(&format!("; {one} {does} too")),
        names => text.push_str(&format!("; {} {do_it} too", listed(names, NAMES))),
    }
    Some(text)
}

/// What values are sure to do, whatever the unrecorded coalitions hold.
fn bounds(document: &ShapleyDocument, first: &GameRow) -> Vec<String> {
    let players = || first.players.rows();
    let ends = players().flat_map(|player| [player.bound_low, player.bound_high]).flatten();
    let places = decimals_of(ends, 3);
    let range = |low, high| format!("{} to {}", fixed(Some(low), places), fixed(Some(high), places));
    let (mut sure, mut open) = (Vec::new(), Vec::new());
    for player in players() {
        let (Some(low), Some(high)) = (player.bound_low, player.bound_high) else { continue };
        if low > 0.0 || high < 0.0 {
            sure.push((player.slot_id.to_string(), low, high));
        } else {
            open.push(player.slot_id.to_string());
        }
    }
    sure.sort_by(|a, b| (b.1 + b.2).abs().total_cmp(&(a.1 + a.2).abs()));
    let mut parts: Vec<String> = Vec::new();
    for (slot, low, high) in sure.iter().take(NAMES) {
        let kind = match (document.direction, *low > 0.0) {
            (Some(Direction::Lower), is_up) => [Kind::Bad, Kind::Good][usize::from(!is_up)],
            (_, is_up) => [Kind::Bad, Kind::Good][usize::from(is_up)],
        };
        parts.push(format!("{slot} {}: {}", does(document, kind)[0], range(*low, *high)));
    }
    let names: Vec<&str> = open.iter().map(String::as_str).collect();
    let of = if document.games.len() > 1 { " (first game)" } else { "" };
    let mut sentences: Vec<String> = Vec::new();
    if let Some(text) = sentence(&parts) {
        sentences.push(format!(
            "Whatever the missing coalitions hold, recorded values taken as exact, {}{of}.",
            text.trim_end_matches('.')
        ));
    }
    if !names.is_empty() {
        let signs = if names.len() == 1 { "the sign of" } else { "the signs of" };
        sentences.push(format!("What is recorded leaves {signs} {} open{of}.", listed(&names, NAMES)));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A document with these rows of a summary: slot, mean, half-width, significant.
    fn of_units(direction: &str, rows: &[(&str, f64, f64, bool)]) -> Vec<String> {
        let games: Vec<_> = ["seed1", "seed2", "seed3"]
            .map(|run| json!({"run_id": run, "baseline": 0.0, "full": 1.0, "efficiency_gap": 0.0, "players": []}))
            .to_vec();
        let summary: Vec<_> = rows
            .iter()
            .map(|(slot, mean, half, significant)| {
                json!({"slot_id": slot, "mean": mean, "sd": 0.1, "stderr": 0.1, "n_units": 3, "ci_low": mean - half,
                    "ci_high": mean + half, "t": 1.0, "p_value": 0.01, "p_adjusted": 0.01, "significant": significant})
            })
            .collect();
        let document = json!({"schema": "simic.shapley/1", "value": "score", "direction": direction, "cluster": "run",
            "games": games, "summary": summary});
        let document: ShapleyDocument = serde_json::from_value(document).expect("a document");
        document.concluded().verdict
    }

    /// A document of one game with these players: slot, value, half-width.
    fn of_one(method: &str, players: &[(&str, f64, Option<f64>)]) -> Vec<String> {
        let players: Vec<_> = players
            .iter()
            .map(|(slot, value, half)| {
                json!({"slot_id": slot, "shapley": value, "sd": null, "stderr": null, "n_samples": 40,
                    "ci_low": half.map(|half| value - half), "ci_high": half.map(|half| value + half)})
            })
            .collect();
        let game = json!({"run_id": "a", "method": method, "baseline": 0.0, "full": 1.0, "efficiency_gap": 0.0,
            "antithetic": (method == "permutation").then_some(true), "players": players});
        let document = json!({"schema": "simic.shapley/1", "value": "score", "direction": "higher",
            "cluster": "episode", "games": [game], "summary": []});
        let document: ShapleyDocument = serde_json::from_value(document).expect("a document");
        document.concluded().verdict
    }

    #[test]
    fn the_strongest_is_named_with_its_interval_and_the_rest_is_told_apart() {
        let rows = [("aug", 0.01, 0.03, false), ("attn", 0.1001, 0.0105, true), ("norm", -0.05, 0.01, true)];
        assert_eq!(
            of_units("higher", &rows),
            [
                "attn helps most: +0.100 (95 % 0.090 to 0.111, n = 3 seeds).",
                "norm hurts: -0.0500 (95 % -0.0600 to -0.0400, n = 3 seeds); aug cannot be told from zero."
            ]
        );
        // Of a loss, what lowers it helps.
        let lower = of_units("lower", &rows);
        assert!(
            lower[0].starts_with("norm helps most: -0.0500") && lower[1].starts_with("attn hurts"),
            "{lower:?}"
        );
    }

    #[test]
    fn nothing_told_from_zero_is_said_as_that() {
        let verdict = of_units("higher", &[("a", 0.02, 0.05, false), ("b", -0.01, 0.05, false)]);
        assert_eq!(
            verdict,
            [
                "Nothing can be told from zero; the largest is a: +0.0200 (95 % -0.0300 to 0.0700, n = 3 seeds)."
            ]
        );
    }

    #[test]
    fn one_game_says_what_its_interval_is_of() {
        let exact = of_one("exact", &[("a", 0.5, None), ("b", 0.25, None), ("c", 0.25, None)]);
        assert_eq!(
            exact,
            [
                "a helps most: +0.500 (exact, 1 game); b and c help too.",
                "How values vary beyond this one game is not known."
            ]
        );
        let drawn = of_one("permutation", &[("a", 0.5, Some(0.1)), ("b", 0.01, Some(0.1))]);
        assert_eq!(
            drawn,
            [
                "a helps most: +0.500 (95 % 0.400 to 0.600, n = 40 antithetic pairs); b cannot be told from zero.",
                "The interval is that of drawing permutations, not of other games."
            ]
        );
    }

    #[test]
    fn a_document_without_games_or_from_before_there_were_verdicts_reads() {
        let text = r#"{"schema":"simic.shapley/1","value":"v","cluster":"run","games":[],"summary":[]}"#;
        let document: ShapleyDocument = serde_json::from_str(text).expect("a document");
        assert!(document.verdict.is_empty());
        assert_eq!(document.concluded().verdict, Vec::<String>::new());
    }
}
