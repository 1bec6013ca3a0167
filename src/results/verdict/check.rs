//! What checks say: what got worse and by how much, and what the data cannot decide.

use crate::results::text::{brief, counted, short};
use crate::results::{CheckDocument, CheckRow, CheckStatus, Finding, Verdict};

/// Findings told one by one.
const TOLD: usize = 2;

impl CheckDocument {
    /// The document with its conclusion.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        self.verdict = sentences(&self);
        self
    }
}

fn sentences(document: &CheckDocument) -> Vec<String> {
    let n = document.checks.len();
    if n <= 1 {
        return document.checks.iter().flat_map(|check| of_check(check, "")).collect();
    }
    let of_status =
        |status: CheckStatus| document.checks.iter().filter(|check| check.status == status).count();
    let words = [
        (CheckStatus::Failed, "failed"),
        (CheckStatus::Incomparable, "cannot be compared"),
        (CheckStatus::Inconclusive, "cannot be decided"),
        (CheckStatus::Passed, "passed"),
    ];
    let counts: Vec<String> = words
        .iter()
        .filter(|(status, _)| of_status(*status) > 0)
        .map(|(status, word)| format!("{} {word}", of_status(*status)))
        .collect();
    let mut sentences = vec![format!("Of {}, {}.", counted(n as u64, "check"), counts.join(", "))];
    let worst = document.checks.iter().filter(|check| check.status != CheckStatus::Passed);
    sentences.extend(
        worst.take(TOLD).filter_map(|check| of_check(check, &format!("{}: ", check.name)).into_iter().next()),
    );
    sentences
}

/// What one check found, in one or two sentences.
fn of_check(check: &CheckRow, prefix: &str) -> Vec<String> {
    if let Some(reason) = &check.reason {
        return vec![format!("{prefix}Nothing is compared: {reason}.")];
    }
    let of = |verdict: Verdict| check.findings.iter().filter(move |finding| finding.verdict == verdict);
    let n = check.findings.len();
    let metrics = counted(n as u64, "metric");
    let mut sentences = Vec::new();
    let worse: Vec<String> = of(Verdict::Regressed).take(TOLD).map(moved).collect();
    let regressed = of(Verdict::Regressed).count();
    if regressed > 0 {
        let more = if regressed > worse.len() {
            format!("; {} more", regressed - worse.len())
        } else {
            String::new()
        };
        sentences.push(format!("{prefix}{regressed} of {metrics} got worse: {}{more}.", worse.join("; ")));
    }
    let missing: Vec<&str> = of(Verdict::Missing).map(|finding| finding.id.as_str()).collect();
    if let Some(first) = missing.first() {
        let are = if missing.len() == 1 { "is" } else { "are" };
        let such =
            if missing.len() == 1 { String::new() } else { format!(" and {} more", missing.len() - 1) };
        sentences.push(format!("{prefix}{first}{such} {are} missing."));
    }
    let open: Vec<&Finding> = of(Verdict::Inconclusive).collect();
    if let Some(first) = open.first() {
        let are = if open.len() == 1 { "is" } else { "are" };
        sentences.push(format!(
            "{prefix}{} of {metrics} {are} undecided: {}.",
            open.len(),
            undecided(check, first)
        ));
    }
    if sentences.is_empty() {
        let better = of(Verdict::Improved).count();
        let better = if better > 0 { format!(", {better} got better") } else { String::new() };
        let added = of(Verdict::Added).count();
        let added = if added > 0 { format!(", {added} not stored yet") } else { String::new() };
        sentences.push(format!("{prefix}Nothing got worse: {metrics} compared{better}{added}."));
    }
    sentences
}

/// A value before and after, the change as a share, what was allowed, and the test.
fn moved(finding: &Finding) -> String {
    let id = finding.id.trim_end_matches("/mean");
    let (Some(old), Some(new)) = (finding.old, finding.new) else {
        return format!("{id}: {}", finding.reason);
    };
    let mut behind = Vec::new();
    let share = |x: f64| format!("{} %", brief(100.0 * x / old.abs()));
    if old != 0.0 {
        let sign = if new > old { "+" } else { "" };
        behind.push(format!("{sign}{}", share(new - old)));
        behind.extend(
            finding.margin.filter(|margin| *margin > 0.0).map(|margin| format!("allowed {}", share(margin))),
        );
    }
    behind.extend(finding.test.as_ref().map(|test| format!("{test}, n = {}", finding.n_new)));
    behind.extend(finding.p_adjusted.or(finding.p_value).filter(|_| finding.test.is_some()).map(p_words));
    format!("{id} {} -> {} ({})", short(old), short(new), behind.join(", "))
}

fn p_words(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// Why a finding is undecided: what its units could show, where that is known.
fn undecided(check: &CheckRow, finding: &Finding) -> String {
    let (Some(old), Some(detectable), Some(margin)) =
        (finding.old, finding.detectable_margin, finding.margin)
    else {
        return format!("{}: {}", finding.id.trim_end_matches("/mean"), finding.reason);
    };
    let units = counted(finding.n_old.min(finding.n_new), check.unit.as_deref().unwrap_or("unit"));
    let size = |x: f64| {
        if old == 0.0 { brief(x) } else { format!("{} %", two_digits(100.0 * x / old.abs())) }
    };
    format!(
        "{units} cannot show a change of {} under {}, and the rule asks for {}",
        finding.id.trim_end_matches("/mean"),
        size(detectable),
        size(margin)
    )
}

/// Two significant digits, without an exponent.
fn two_digits(x: f64) -> String {
    if x >= 10.0 { format!("{x:.0}") } else { format!("{x:.1}").trim_end_matches(".0").to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn finding(id: &str, verdict: &str, more: &Value) -> Value {
        let mut finding = json!({"id": id, "verdict": verdict, "mode": "noninferior", "old": 0.1001, "new": 0.0701,
            "test": "paired", "n_old": 3, "n_new": 3, "margin": 0.002002, "interval_low": null, "interval_high": null,
            "p_value": 1e-5, "p_adjusted": 1e-5, "detectable_margin": null, "reason": "because"});
        for (key, value) in more.as_object().expect("keys") {
            finding[key] = value.clone();
        }
        finding
    }

    fn verdict(status: &str, findings: &[Value]) -> Vec<String> {
        let check = json!({"name": "default", "status": status, "baseline": "b.json", "strict": false, "unit": "seed",
            "findings": findings});
        let document = json!({"schema": "simic.check/1", "checks": [check]});
        let document: CheckDocument = serde_json::from_value(document).expect("a document");
        document.concluded().verdict
    }

    #[test]
    fn what_got_worse_is_told_with_its_size_its_margin_and_its_test() {
        let findings =
            [finding("shapley/attn/mean", "regressed", &json!({})), finding("x", "pass", &json!({}))];
        assert_eq!(
            verdict("failed", &findings),
            [
                "1 of 2 metrics got worse: shapley/attn 0.1001 -> 0.0701 (-30 %, allowed 2 %, paired, n = 3, p < 0.001)."
            ]
        );
    }

    #[test]
    fn what_cannot_be_decided_is_told_with_what_the_units_could_show() {
        let open = json!({"detectable_margin": 0.011011, "margin": 0.002002});
        assert_eq!(
            verdict("inconclusive", &[finding("shapley/attn/mean", "inconclusive", &open)]),
            [
                "1 of 1 metric is undecided: 3 seeds cannot show a change of shapley/attn under 11 %, and the rule asks for 2 %."
            ]
        );
    }

    #[test]
    fn a_quiet_check_says_how_much_it_compared() {
        let findings = [finding("a", "pass", &json!({})), finding("b", "improved", &json!({}))];
        assert_eq!(verdict("passed", &findings), ["Nothing got worse: 2 metrics compared, 1 got better."]);
        assert_eq!(
            verdict("failed", &[finding("runs/seed3", "missing", &json!({}))]),
            ["runs/seed3 is missing."]
        );
    }
}
