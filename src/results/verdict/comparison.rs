//! What settings side by side say: which is too slow for the shift, and which has the least error.

use crate::results::text::{brief, counted, grouped, listed};
use crate::results::{ComparedRunRow, ComparedSettingRow, ComparisonDocument, DivisorDocument};

/// How many times longer than the fastest a setting takes that is called too slow.
const TOO_SLOW: u64 = 3;

/// Ratio of two divisors from which on frameworks are told apart.
const APART: f64 = 1.1;

impl ComparisonDocument {
    /// The document with its conclusion.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        self.verdict = sentences(&self);
        self
    }
}

impl DivisorDocument {
    /// The document with its conclusion.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        self.verdict = divisors(&self);
        self
    }
}

fn sentences(document: &ComparisonDocument) -> Vec<String> {
    let Some(first) = document.runs.first() else { return Vec::new() };
    let shifted = document.runs.iter().find(|run| run.shift_at.is_some());
    let mut sentences = vec![match shifted {
        Some(run) => follows(run, document.runs.len() > 1),
        None => match &first.shift_reason {
            Some(reason) => format!("Whether the distribution shifts cannot be told for {reason}."),
            None => format!("No shift is found in {}.", counted(document.runs.len() as u64, "run")),
        },
    }];
    sentences.extend(closest(document));
    let mut settings = document.runs.iter().flat_map(|run| &run.settings);
    let varies = first.settings.iter().any(|setting| setting.var.iter().any(|var| *var > 0.0));
    if varies && first.settings.len() > 1 && settings.all(|setting| setting.error.is_none()) {
        sentences
            .push("Which setting has the least error cannot be told: there are too few rows.".to_owned());
    }
    sentences
}

/// How long a setting takes to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Follows {
    After(u64),
    Never,
}

/// The slowest of the dimensions that shift; `None` where none does.
fn slowest(setting: &ComparedSettingRow) -> Option<Follows> {
    let lags = setting.lag_updates_mean.as_ref()?;
    let is_counted = |dim: usize| setting.shifted_dimensions.as_ref().is_none_or(|all| all.contains(&dim));
    let counted = lags.iter().enumerate().filter(|(dim, _)| is_counted(*dim));
    counted.map(|(_, lag)| lag.map_or(Follows::Never, Follows::After)).max()
}

/// Which settings follow the shift of a run, and which are too slow.
fn follows(run: &ComparedRunRow, is_one_of_many: bool) -> String {
    let step = run.shift_at.map_or_else(String::new, |step| format!(" at vector step {}", grouped(step)));
    let of = if is_one_of_many { format!(" of run {}", run.run_id) } else { String::new() };
    let shift = format!("the shift{step}{of}");
    let lags: Vec<(String, Follows)> =
        run.settings.iter().filter_map(|setting| Some((setting.name(), slowest(setting)?))).collect();
    let after = |lag: &(String, Follows)| match lag.1 {
        Follows::After(n) => Some((lag.0.clone(), n)),
        Follows::Never => None,
    };
    let Some((fastest, least)) = lags.iter().filter_map(after).min_by_key(|(_, n)| *n) else {
        return if lags.is_empty() {
            format!("The mean hardly moves in {shift}: no setting lags behind.")
        } else {
            let name = if lags.len() == 1 { lags[0].0.clone() } else { "No setting".to_owned() };
            let verb = if lags.len() == 1 { "never follows" } else { "follows" };
            format!("{} {verb} {shift} before the recording ends.", capital(&name))
        };
    };
    // What is recommended follows as fast as it should; without a recommendation the fastest does.
    let recommended = run.recommended.as_ref().map(|best| &best.setting);
    let reference = lags.iter().filter(|lag| Some(&lag.0) == recommended).find_map(after);
    let (fastest, least) = reference.unwrap_or((fastest, least));
    let is_slow = |lag: &&(String, Follows)| match lag.1 {
        _ if Some(&lag.0) == recommended => false,
        Follows::After(n) => n >= TOO_SLOW * least.max(1),
        Follows::Never => true,
    };
    let slow: Vec<&(String, Follows)> = lags.iter().filter(is_slow).collect();
    if slow.is_empty() {
        let (last, most) =
            lags.iter().filter_map(after).max_by_key(|(_, n)| *n).unwrap_or((fastest.clone(), least));
        let needs = counted(least, "update");
        return if last == fastest {
            format!("{}'s mean needs {needs} to follow {shift}.", capital(&fastest))
        } else {
            format!(
                "All settings follow {shift}: the mean of {fastest} in {needs}, that of {last} in {}.",
                grouped(most)
            )
        };
    }
    let names: Vec<&str> = slow.iter().map(|lag| lag.0.as_str()).collect();
    let (are, mean) = if slow.len() == 1 { ("is", "its mean") } else { ("are", "their means") };
    let worst = slow.iter().map(|lag| lag.1).max();
    let needs = match worst {
        Some(Follows::After(n)) => format!("up to {}", counted(n, "update")),
        _ => String::new(),
    };
    let how = match (worst, slow.len()) {
        (Some(Follows::After(n)), 1) => format!("{mean} needs {} to follow {shift}", counted(n, "update")),
        (Some(Follows::After(_)), _) => format!("{mean} need {needs} to follow {shift}"),
        (_, 1) => format!("{mean} does not follow {shift} within the recording"),
        _ if slow.iter().all(|lag| lag.1 == Follows::Never) => {
            format!("{mean} do not follow {shift} within the recording")
        }
        (_, n) => {
            let never = slow.iter().filter(|lag| lag.1 == Follows::Never).count();
            let most = slow.iter().filter_map(|lag| after(lag)).map(|(_, n)| n).max().unwrap_or(0);
            let others = if n - never == 1 { "the other needs" } else { "the others need up to" };
            let do_not = if never == 1 { "1 does not" } else { &format!("{never} do not") };
            format!("{do_not} follow {shift} within the recording, {others} {}", counted(most, "update"))
        }
    };
    let least = if needs.is_empty() && worst == Some(Follows::Never) {
        counted(least, "update")
    } else {
        grouped(least)
    };
    format!("{} {are} too slow here: {how}; {fastest} needs {least}.", capital(&listed(&names, 3)))
}

/// The setting whose statistics in use are off the least over all runs, and what the next slower and faster would cost.
fn closest(document: &ComparisonDocument) -> Option<String> {
    let settings = document.runs.iter().flat_map(|run| &run.settings);
    let mut ranked: Vec<(&ComparedSettingRow, f64)> = Vec::new();
    for setting in settings.clone() {
        if ranked.iter().all(|(other, _)| other.name() != setting.name()) {
            let errors: Option<Vec<f64>> = settings
                .clone()
                .filter(|other| other.name() == setting.name())
                .map(|other| other.error)
                .collect();
            let errors = errors?;
            ranked.push((setting, errors.iter().sum::<f64>() / errors.len() as f64));
        }
    }
    // From the fastest to the slowest; full history keeps all.
    let slowness = |setting: &ComparedSettingRow| setting.momentum.unwrap_or(f64::INFINITY);
    ranked.sort_by(|(a, _), (b, _)| slowness(a).total_cmp(&slowness(b)));
    if ranked.len() < 2 {
        return None;
    }
    let best =
        ranked.iter().enumerate().min_by(|(_, a), (_, b)| a.1.total_cmp(&b.1)).map(|(place, _)| place)?;
    let cost = |place: usize, word: &str| {
        ranked.get(place).map(|(setting, error)| {
            let error = if *error > 100.0 { "more than 100".to_owned() } else { brief(*error) };
            format!("{word}, {}, {error}", setting.name())
        })
    };
    let faster = best.checked_sub(1).and_then(|place| cost(place, "the next faster"));
    let others: Vec<String> = faster.into_iter().chain(cost(best + 1, "the next slower")).collect();
    Some(format!(
        "{} has the least error of the statistics in use: normalized values are about {} off, rows taken as independent; {} (n = {}).",
        capital(&ranked[best].0.name()),
        brief(ranked[best].1),
        others.join("; "),
        counted(document.runs.len() as u64, "run")
    ))
}

fn divisors(document: &DivisorDocument) -> Vec<String> {
    let rows = || document.rows.iter().filter(|row| row.divisor.is_finite() && row.divisor > 0.0);
    let (Some(least), Some(most)) = (
        rows().min_by(|a, b| a.divisor.total_cmp(&b.divisor)),
        rows().max_by(|a, b| a.divisor.total_cmp(&b.divisor)),
    ) else {
        return Vec::new();
    };
    let ratio = most.divisor / least.divisor;
    if ratio < APART {
        return vec!["All frameworks would divide these rewards by about the same.".to_owned()];
    }
    vec![format!(
        "Frameworks would divide these rewards by {} ({}) to {} ({}): {} times apart.",
        brief(least.divisor),
        least.preset,
        brief(most.divisor),
        most.preset,
        brief(ratio)
    )]
}

/// A sentence's first letter.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn setting(momentum: Option<f64>, lag: Option<u64>, off: f64) -> Value {
        json!({"kind": "ema", "momentum": momentum, "updates": 900, "count": 1.0, "mean": [0.0], "var": [1.0],
            "mean_distance": [off], "log_var_distance": [0.0], "error": off, "lag_updates_mean": [lag], "lag_updates_var": [lag],
            "least_var_ratio": [1.0], "greatest_var_ratio": [1.0], "clip_fraction": 0.0, "clip_by_dimension": [0.0],
            "constant_dimensions": [], "dimensions_below_epsilon": [], "effective_batches": null, "prior_weight": 0.0,
            "prior_share_of_variance": [0.0], "float32_count_saturates": false})
    }

    fn verdict(settings: &[Value], shift_at: Option<u64>) -> Vec<String> {
        let document = json!({"schema": "simic.normalize.compare/1", "target": "obs", "update_every": "step",
            "runs": [{"run_id": "a", "shift_at": shift_at, "shift_given": false, "settings": settings}],
            "input": {"files": 1, "skipped": 0}});
        let document: ComparisonDocument = serde_json::from_value(document).expect("a document");
        document.concluded().verdict
    }

    #[test]
    fn the_setting_that_is_too_slow_is_named_with_the_one_that_is_not() {
        let settings = [setting(Some(0.9), Some(81), 0.5), setting(Some(0.99), Some(299), 2.0)];
        assert_eq!(
            verdict(&settings, Some(501)),
            [
                "Momentum 0.99 is too slow here: its mean needs 299 updates to follow the shift at vector step 501; momentum 0.9 needs 81.",
                "Momentum 0.9 has the least error of the statistics in use: normalized values are about 0.5 off, rows taken as independent; the next slower, momentum 0.99, 2 (n = 1 run)."
            ]
        );
        let settings =
            [setting(Some(0.9), Some(33), 0.5), setting(Some(0.99), None, 2.0), setting(None, None, 3.0)];
        assert_eq!(
            verdict(&settings, Some(120))[0],
            "Momentum 0.99 and full history are too slow here: their means do not follow the shift at vector step 120 within the recording; momentum 0.9 needs 33 updates."
        );
        let settings = [setting(Some(0.9), None, 0.5)];
        assert_eq!(
            verdict(&settings, Some(120)),
            ["Momentum 0.9 never follows the shift at vector step 120 before the recording ends."]
        );
        let settings = [setting(Some(0.8), Some(40), 0.5), setting(Some(0.9), Some(81), 0.6)];
        assert_eq!(
            verdict(&settings, Some(120))[0],
            "All settings follow the shift at vector step 120: the mean of momentum 0.8 in 40 updates, that of momentum 0.9 in 81."
        );
    }

    #[test]
    fn without_a_shift_nothing_is_too_slow() {
        let settings = [setting(Some(0.9), None, 0.5), setting(None, None, 199957.0)];
        assert_eq!(
            verdict(&settings, None),
            [
                "No shift is found in 1 run.",
                "Momentum 0.9 has the least error of the statistics in use: normalized values are about 0.5 off, rows taken as independent; the next slower, full history, more than 100 (n = 1 run)."
            ]
        );
    }
}
