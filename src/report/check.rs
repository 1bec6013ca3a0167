//! Checks for people and for continuous integration.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::page::{Page, Tone};
use super::screen::{Glyphs, Screen};
use super::tidy::{Tidy, TidyTable};
use crate::results::text::{counted, short};
use crate::results::{
    CheckDocument, CheckRow, CheckStatus, Finding, RecordDocument, RecordedCheck, ResolutionRow, Verdict,
};

/// Annotations GitHub shows of one step.
const MOST_ANNOTATIONS: usize = 10;

/// Format of a check's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckFormat {
    /// A table for people.
    Table,
    /// One JSON document.
    Json,
    /// One finding per line.
    Ndjson,
    /// One finding per row.
    Csv,
    /// For a comment on a change.
    Markdown,
    /// JUnit's XML, which most systems show.
    Junit,
    /// Annotations in GitHub's log.
    Github,
    /// One finding per row, typed, as Parquet.
    Parquet,
    /// The same as Arrow IPC.
    Arrow,
}

/// A check in one line.
fn headline(check: &CheckRow) -> String {
    if let Some(reason) = &check.reason {
        return format!("{}: {}: {reason}", check.name, check.status.name());
    }
    let counts: Vec<String> = Verdict::ALL
        .iter()
        .filter(|verdict| check.count(**verdict) > 0)
        .map(|verdict| format!("{} {}", check.count(*verdict), verdict.name()))
        .collect();
    let n_decided = check.findings.len() - check.count(Verdict::Inconclusive);
    let decided = match check.count(Verdict::Inconclusive) {
        0 => String::new(),
        _ => format!(", {n_decided} of {} decided", check.findings.len()),
    };
    format!("{}: {}{decided} ({})", check.name, check.status.name(), counts.join(", "))
}

/// A share of the stored value in per cent, three significant digits.
fn change(share: f64) -> String {
    let percent = 100.0 * share;
    if percent == 0.0 {
        return "0 %".to_owned();
    }
    if percent.abs() < 1e-4 || percent.abs() >= 1e6 {
        return format!("{} %", short(percent));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few digits")]
    let places = (2.0 - percent.abs().log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{percent:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

/// The mark of a verdict.
fn mark(verdict: Verdict, glyphs: Glyphs) -> char {
    match verdict {
        Verdict::Regressed | Verdict::Missing => glyphs.pick('✗', 'x'),
        Verdict::Inconclusive => '?',
        Verdict::Improved => glyphs.pick('↑', '^'),
        Verdict::Added => '+',
        Verdict::Pass => glyphs.pick('✓', '='),
    }
}

/// What changed, by how much, and what is allowed: `0.1001 -> 0.0701  -30 % (allowed 2 % worse; paired, n = 3, p < 0.001)`.
fn judged(finding: &Finding) -> String {
    let (Some(old), Some(new)) = (finding.old, finding.new) else {
        return finding.reason.clone();
    };
    let share = |amount: f64| if old == 0.0 { short(amount) } else { change(amount / old.abs()) };
    let sign = if new > old { "+" } else { "" };
    let mut terms = Vec::new();
    match (&*finding.mode, finding.margin) {
        ("noninferior", Some(margin)) => terms.push(format!("allowed {} worse", share(margin))),
        ("equivalent" | "close", Some(margin)) => terms.push(format!("allowed ±{}", share(margin))),
        ("drift", Some(margin)) => terms.push(format!("drift, at most {}", short(margin))),
        (mode, _) => terms.push(mode.to_owned()),
    }
    let mut test: Vec<String> = finding.test.iter().map(ToString::to_string).collect();
    if finding.n_old > 1 || finding.n_new > 1 {
        test.push(if finding.n_old == finding.n_new {
            format!("n = {}", finding.n_old)
        } else {
            format!("n = {} and {}", finding.n_old, finding.n_new)
        });
    }
    test.extend(
        finding.p_adjusted.map(|p| if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }),
    );
    terms.extend((!test.is_empty()).then(|| test.join(", ")));
    if finding.verdict == Verdict::Inconclusive {
        let told = finding.detectable_margin.map(|margin| format!("could tell {}", share(margin)));
        terms.push(told.unwrap_or_else(|| finding.reason.clone()));
    }
    format!("{} -> {}  {sign}{} ({})", short(old), short(new), share(new - old), terms.join("; "))
}

/// Writes checks. People see all findings but passes, and those too with `shows_all`.
///
/// # Errors
/// If writing fails.
pub fn write_checks(
    document: &CheckDocument,
    format: CheckFormat,
    screen: &Screen,
    shows_all: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let reports = &document.checks[..];
    match format {
        CheckFormat::Table => write_people(document, shows_all, &mut Page::new(Format::Table, screen, out)),
        CheckFormat::Markdown => {
            write_people(document, shows_all, &mut Page::new(Format::Markdown, screen, out))
        }
        CheckFormat::Json => {
            serde_json::to_writer(&mut *out, document)?;
            writeln!(out)
        }
        CheckFormat::Ndjson => {
            for report in reports {
                for finding in &report.findings {
                    let line = Line { check: &report.name, finding };
                    serde_json::to_writer(&mut *out, &line)?;
                    writeln!(out)?;
                }
            }
            Ok(())
        }
        CheckFormat::Csv => tidy(reports).write(Format::Csv, out),
        CheckFormat::Parquet => tidy(reports).write(Format::Parquet, out),
        CheckFormat::Arrow => tidy(reports).write(Format::Arrow, out),
        CheckFormat::Junit => write_junit(reports, out),
        CheckFormat::Github => write_github(reports, out),
    }
}

#[derive(Serialize)]
struct Line<'a> {
    check: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// A value of a report for machines.
fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), short)
}

/// The worst of all checks.
fn tone(reports: &[CheckRow]) -> Tone {
    let has = |status: CheckStatus| reports.iter().any(|report| report.status == status);
    if has(CheckStatus::Failed) {
        Tone::Bad
    } else if has(CheckStatus::Incomparable) || has(CheckStatus::Inconclusive) {
        Tone::Unsure
    } else {
        Tone::Good
    }
}

fn write_people(document: &CheckDocument, shows_all: bool, page: &mut Page<'_>) -> io::Result<()> {
    let reports = &document.checks[..];
    page.verdict(&document.verdict, tone(reports))?;
    for (number, report) in reports.iter().enumerate() {
        if number > 0 {
            page.blank()?;
        }
        page.line(&headline(report))?;
        if let Some(hint) = &report.hint {
            page.line(hint)?;
            continue;
        }
        let listed = report.findings.iter().filter(|finding| shows_all || finding.verdict != Verdict::Pass);
        for finding in listed {
            let mark = mark(finding.verdict, page.glyphs());
            page.entry(&format!("{mark} {}  {}", finding.id, judged(finding)))?;
        }
    }
    Ok(())
}

/// All findings, numbers at full precision.
fn tidy(reports: &[CheckRow]) -> TidyTable {
    let rows: Vec<(&CheckRow, &Finding)> = reports
        .iter()
        .flat_map(|report| report.findings.iter().map(move |finding| (report, finding)))
        .collect();
    Tidy::new(&rows)
        .text("check", |(report, _)| Some(report.name.clone()))
        .text("id", |(_, finding)| Some(finding.id.clone()))
        .text("verdict", |(_, finding)| Some(finding.verdict.name().to_owned()))
        .text("mode", |(_, finding)| Some(finding.mode.to_string()))
        .float("old", |(_, finding)| finding.old)
        .float("new", |(_, finding)| finding.new)
        .int("n_old", |(_, finding)| Some(finding.n_old))
        .int("n_new", |(_, finding)| Some(finding.n_new))
        .float("margin", |(_, finding)| finding.margin)
        .float("interval_low", |(_, finding)| finding.interval_low)
        .float("interval_high", |(_, finding)| finding.interval_high)
        .float("p_value", |(_, finding)| finding.p_value)
        .float("p_adjusted", |(_, finding)| finding.p_adjusted)
        .text("reason", |(_, finding)| Some(finding.reason.clone()))
        .table()
}

/// Text as XML takes it: five characters spelled out, control characters left out (XML 1.0 has none).
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

fn write_junit(reports: &[CheckRow], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"simic check\">")?;
    for report in reports {
        let (strict, findings) = (report.strict, &report.findings);
        let failures = findings.iter().filter(|finding| finding.verdict.fails(strict)).count();
        let is_skipped = |finding: &&Finding| finding.verdict == Verdict::Inconclusive && !strict;
        let skipped = findings.iter().filter(is_skipped).count();
        let errors = usize::from(report.status == CheckStatus::Incomparable);
        let name = xml(&report.name);
        writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\">",
            findings.len() + errors,
        )?;
        if let (Some(reason), Some(hint)) = (&report.reason, &report.hint) {
            writeln!(out, "    <testcase classname=\"{name}\" name=\"baseline\">")?;
            writeln!(out, "      <error message=\"{}\">{}</error>", xml(reason), xml(hint))?;
            writeln!(out, "    </testcase>")?;
        }
        for finding in findings {
            let id = xml(&finding.id);
            if finding.verdict.fails(strict) {
                writeln!(out, "    <testcase classname=\"{name}\" name=\"{id}\">")?;
                let (kind, reason) = (finding.verdict.name(), xml(&finding.reason));
                let values = format!("{} -> {}", shown(finding.old), shown(finding.new));
                writeln!(
                    out,
                    "      <failure type=\"{kind}\" message=\"{reason}\">{}</failure>",
                    xml(&values)
                )?;
                writeln!(out, "    </testcase>")?;
            } else if is_skipped(&finding) {
                writeln!(out, "    <testcase classname=\"{name}\" name=\"{id}\">")?;
                writeln!(out, "      <skipped message=\"{}\"/>", xml(&finding.reason))?;
                writeln!(out, "    </testcase>")?;
            } else {
                writeln!(out, "    <testcase classname=\"{name}\" name=\"{id}\"/>")?;
            }
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

/// A message as GitHub's log commands take it.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a log command: separators are spelled out too.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// At most ten annotations, worst first over all checks; the rest is in the summary.
fn write_github(reports: &[CheckRow], out: &mut dyn Write) -> io::Result<()> {
    let mut annotations: Vec<(u8, String)> = Vec::new();
    for report in reports {
        if let (Some(reason), Some(hint)) = (&report.reason, &report.hint) {
            let title = property(&format!("simic check {}", report.name));
            annotations
                .push((0, format!("::error title={title}::{}", message(&format!("{reason}; {hint}")))));
        }
        for finding in &report.findings {
            let level = match (finding.verdict.fails(report.strict), finding.verdict) {
                (true, _) => "error",
                (false, Verdict::Inconclusive) => "warning",
                (false, Verdict::Improved) => "notice",
                _ => continue,
            };
            let title = property(&format!("{}: {} {}", report.name, finding.id, finding.verdict.name()));
            let values = format!("{} -> {}", shown(finding.old), shown(finding.new));
            let text = message(&format!("{values}: {}", finding.reason));
            annotations.push((1 + finding.verdict as u8, format!("::{level} title={title}::{text}")));
        }
    }
    annotations.sort_by_key(|(rank, _)| *rank);
    let n = annotations.len();
    for (_, annotation) in annotations.into_iter().take(MOST_ANNOTATIONS) {
        writeln!(out, "{annotation}")?;
    }
    if n > MOST_ANNOTATIONS {
        writeln!(out, "{} more in the summary", n - MOST_ANNOTATIONS)?;
    }
    for report in reports {
        writeln!(out, "{}", headline(report))?;
    }
    Ok(())
}

/// Writes what was stored: a line each, or JSON.
///
/// # Errors
/// If writing fails.
pub fn write_recorded(
    document: &RecordDocument,
    format: Format,
    screen: &Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    if matches!(format, Format::Json | Format::Ndjson) {
        // Sorted by key throughout.
        serde_json::to_writer(&mut *out, &serde_json::to_value(document)?)?;
        return writeln!(out);
    }
    if matches!(format, Format::Csv | Format::Parquet | Format::Arrow) {
        return tidy_recorded(document).write(format, out);
    }
    let mut page = Page::new(format, screen, out);
    for check in &document.recorded {
        let RecordedCheck { name, metrics, files, baseline, resolutions } = check;
        let (metrics, files) = (counted(*metrics as u64, "metric"), counted(*files as u64, "file"));
        page.line(&format!("{name}: {metrics} of {files} stored in {baseline}"))?;
        if let Some(sentence) = resolution_sentence(resolutions) {
            page.line(&sentence)?;
        }
    }
    Ok(())
}

/// What the stored units can tell and what they cannot, by the metric that is worst off.
fn resolution_sentence(rows: &[ResolutionRow]) -> Option<String> {
    let n_units = rows.iter().map(|row| row.n).min()?;
    let relative = |row: &ResolutionRow, amount: f64| amount / row.value.abs();
    let shortfall = |row: &ResolutionRow| row.detectable.map_or(f64::INFINITY, |amount| amount / row.margin);
    let worst = rows.iter().max_by(|a, b| shortfall(a).total_cmp(&shortfall(b)))?;
    let n_fine = rows.iter().filter(|row| row.is_too_fine()).count();
    let Some(detectable) = worst.detectable else {
        return Some(format!("one unit of {} tells no change: record more runs", worst.id));
    };
    let (can, asked) = (relative(worst, detectable), relative(worst, worst.margin));
    // Of a value of zero nothing is a share.
    let [can, asked] =
        if can.is_finite() { [can, asked].map(change) } else { [detectable, worst.margin].map(short) };
    Some(if n_fine == 0 {
        format!(
            "{n_units} units show every change that the rules ask for: {can} of {}, asked {asked}",
            worst.id
        )
    } else {
        format!(
            "{n_units} units cannot show what the rules ask for of {n_fine} of {} metrics: of {} a change under {can} \
             (asked {asked}), unless runs are compared in pairs; more runs or a larger margin would",
            rows.len(),
            worst.id
        )
    })
}

fn tidy_recorded(document: &RecordDocument) -> TidyTable {
    Tidy::new(&document.recorded)
        .text("name", |check| Some(check.name.clone()))
        .int("metrics", |check| Some(check.metrics))
        .int("files", |check| Some(check.files))
        .text("baseline", |check| Some(check.baseline.clone()))
        .table()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(xml("a<b> & \"c\"\u{1}\n"), "a&lt;b&gt; &amp; &quot;c&quot; ");
        assert_eq!(message("50%\nmore"), "50%25%0Amore");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }
}
