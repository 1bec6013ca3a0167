//! Figures of checks.

use super::model::{Axis, Figure, IntervalMark, Layer, Panel, Tone};
use crate::results::text::short;
use crate::results::{CheckDocument, Finding, Verdict};

/// Findings shown of all checks, worst first.
const SHOWN: usize = 40;

/// Every finding's change in per cent of the stored value, with its interval or what is allowed.
pub(super) fn verdicts(document: &CheckDocument) -> Figure {
    let several = document.checks.len() > 1;
    let findings = document.checks.iter().flat_map(|check| {
        check.findings.iter().map(move |finding| {
            let name = if several { format!("{}: {}", check.name, finding.id) } else { finding.id.clone() };
            (name, finding)
        })
    });
    let mut findings: Vec<(String, &Finding)> = findings.collect();
    findings.sort_by(|a, b| a.1.verdict.cmp(&b.1.verdict).then_with(|| a.0.cmp(&b.0)));
    let hidden = findings.len().saturating_sub(SHOWN);
    findings.truncate(SHOWN);
    let marks = findings.iter().enumerate().map(|(row, (_, finding))| mark(row, finding));
    let marks: Vec<IntervalMark> = marks.collect();
    let mut caption = vec!["Dots: the change; lines: what the rule allows.".to_owned()];
    if hidden > 0 {
        caption.push(format!("{hidden} more findings are no worse."));
    }
    let counts: Vec<String> = Verdict::ALL
        .iter()
        .map(|verdict| (verdict, document.checks.iter().map(|check| check.count(*verdict)).sum::<usize>()))
        .filter(|(_, n)| *n > 0)
        .map(|(verdict, n)| format!("{n} {}", verdict.name()))
        .collect();
    Figure {
        name: "verdicts".to_owned(),
        title: format!(
            "Checks: {}",
            if counts.is_empty() { "nothing compared".to_owned() } else { counts.join(", ") }
        ),
        description: marks.iter().map(|mark| mark.title.clone()).collect::<Vec<_>>().join("; "),
        panels: vec![Panel {
            x: Axis::Number { label: "change in % of the stored value".to_owned(), has_zero: true },
            y: Axis::Names(findings.iter().map(|(name, _)| name.clone()).collect()),
            layers: vec![Layer::Intervals(marks)],
            height: 0.0,
        }],
        caption,
    }
}

fn mark(row: usize, finding: &Finding) -> IntervalMark {
    let share = |amount: f64| {
        let old = finding.old.filter(|old| *old != 0.0)?;
        Some(100.0 * amount / old.abs())
    };
    let change = finding.old.zip(finding.new).and_then(|(old, new)| share(new - old));
    let allowed = finding.margin.and_then(share);
    IntervalMark {
        row,
        value: change.unwrap_or(f64::NAN),
        interval: allowed.map(|allowed| (-allowed, allowed)),
        tone: match finding.verdict {
            Verdict::Regressed | Verdict::Missing => Tone::Bad,
            Verdict::Inconclusive => Tone::Faint,
            Verdict::Improved => Tone::Good,
            Verdict::Added | Verdict::Pass => Tone::Plain,
        },
        title: format!(
            "{}: {}, {} to {}",
            finding.id,
            finding.verdict.name(),
            finding.old.map_or_else(|| "nothing".to_owned(), short),
            finding.new.map_or_else(|| "nothing".to_owned(), short)
        ),
    }
}
