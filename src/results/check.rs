//! What became of checks: the documents `simic.check/1` and `simic.check.record/1`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Schema of the verdicts.
const CHECK_SCHEMA: &str = "simic.check/1";

/// Schema of what was recorded.
const RECORD_SCHEMA: &str = "simic.check.record/1";

/// What became of a metric; worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse than its rule allows.
    Regressed,
    /// Stored, but not there any more.
    Missing,
    /// The data cannot tell.
    Inconclusive,
    /// Better than its rule asks.
    Improved,
    /// There, but not stored.
    Added,
    /// As its rule asks.
    Pass,
}

impl Verdict {
    /// All verdicts, worst first.
    pub const ALL: [Self; 6] =
        [Self::Regressed, Self::Missing, Self::Inconclusive, Self::Improved, Self::Added, Self::Pass];

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Missing => "missing",
            Self::Inconclusive => "inconclusive",
            Self::Improved => "improved",
            Self::Added => "added",
            Self::Pass => "pass",
        }
    }

    /// Whether the check fails for it.
    pub fn fails(self, strict: bool) -> bool {
        match self {
            Self::Regressed | Self::Missing => true,
            Self::Inconclusive => strict,
            Self::Improved | Self::Added | Self::Pass => false,
        }
    }
}

/// One metric's verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The metric, or `runs/NAME` for a unit that vanished.
    pub id: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The rule's mode.
    pub mode: Cow<'static, str>,
    /// Stored value.
    pub old: Option<f64>,
    /// New value.
    pub new: Option<f64>,
    /// The test of a statistical rule: `paired`, `welch` or `bootstrap`.
    pub test: Option<Cow<'static, str>>,
    /// Units of the stored value.
    pub n_old: u64,
    /// Units of the new value.
    pub n_new: u64,
    /// What may change.
    pub margin: Option<f64>,
    /// Lower end of the interval of the change for the worse (noninferior) or of the change (equivalent).
    pub interval_low: Option<f64>,
    /// Its upper end.
    pub interval_high: Option<f64>,
    /// p value of "no worse than the margin".
    pub p_value: Option<f64>,
    /// The same adjusted by Holm over the statistical rules of the check.
    pub p_adjusted: Option<f64>,
    /// Least margin these samples could tell from no change.
    pub detectable_margin: Option<f64>,
    /// Probability that a new unit is better than a stored one: the share of such pairs, ties half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub improvement: Option<f64>,
    /// The reason in words.
    pub reason: String,
}

/// All findings of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    /// Worst first, then in order of id.
    pub findings: Vec<Finding>,
    /// Whether inconclusive findings fail.
    pub strict: bool,
}

impl CheckResult {
    /// Whether the check fails.
    pub fn fails(&self) -> bool {
        self.findings.iter().any(|finding| finding.verdict.fails(self.strict))
    }

    /// Findings of a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

/// One word for a whole check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Nothing got worse.
    Passed,
    /// Nothing got worse as far as the data can tell.
    Inconclusive,
    /// Something got worse or is missing.
    Failed,
    /// There is no baseline that the new result could be judged by.
    Incomparable,
}

impl CheckStatus {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Inconclusive => "inconclusive",
            Self::Failed => "failed",
            Self::Incomparable => "incomparable",
        }
    }
}

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckRow {
    /// Name of the check.
    pub name: String,
    /// One word for all findings.
    pub status: CheckStatus,
    /// Where its baseline is.
    pub baseline: String,
    /// What the units behind its metrics are, where the baseline tells: game, episode or run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Whether inconclusive findings fail.
    pub strict: bool,
    /// Why the check is incomparable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Worst first, then in order of id.
    pub findings: Vec<Finding>,
}

impl CheckRow {
    /// A check that was judged.
    pub fn judged(name: String, baseline: String, result: CheckResult) -> Self {
        let status = if result.fails() {
            CheckStatus::Failed
        } else if result.count(Verdict::Inconclusive) > 0 {
            CheckStatus::Inconclusive
        } else {
            CheckStatus::Passed
        };
        let CheckResult { findings, strict } = result;
        Self { name, status, baseline, unit: None, strict, reason: None, hint: None, findings }
    }

    /// A check without a baseline that the new result could be judged by.
    pub fn incomparable(name: String, baseline: String, reason: String, hint: String) -> Self {
        Self {
            name,
            status: CheckStatus::Incomparable,
            baseline,
            unit: None,
            strict: false,
            reason: Some(reason),
            hint: Some(hint),
            findings: Vec::new(),
        }
    }

    /// Findings of a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

/// All checks of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckDocument {
    /// `simic.check/1`.
    #[schemars(extend("const" = CHECK_SCHEMA))]
    pub schema: String,
    /// The conclusion in sentences; documents written before there were any lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdict: Vec<String>,
    /// The checks, in order of name.
    pub checks: Vec<CheckRow>,
}

impl CheckDocument {
    /// The document of these checks.
    pub fn new(checks: Vec<CheckRow>) -> Self {
        Self { schema: CHECK_SCHEMA.to_owned(), verdict: Vec::new(), checks }
    }
}

/// What the stored units of a metric can tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResolutionRow {
    /// The metric.
    pub id: String,
    /// Its value.
    pub value: f64,
    /// Units behind it.
    pub n: u64,
    /// What its rule lets it change.
    pub margin: f64,
    /// Least change that as many units again could tell; null where one unit tells nothing.
    pub detectable: Option<f64>,
}

impl ResolutionRow {
    /// Whether the margin asked for is below what can be told.
    pub fn is_too_fine(&self) -> bool {
        self.detectable.is_none_or(|detectable| detectable > self.margin)
    }
}

/// A baseline that was stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedCheck {
    /// Name of the check.
    pub name: String,
    /// Metrics stored.
    pub metrics: usize,
    /// Files read.
    pub files: usize,
    /// Where the document is.
    pub baseline: String,
    /// What the stored units can tell, of metrics under statistical rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolutions: Vec<ResolutionRow>,
}

/// All baselines stored. Fields in order of name, as the document is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordDocument {
    /// What was stored.
    pub recorded: Vec<RecordedCheck>,
    /// `simic.check.record/1`.
    #[schemars(extend("const" = RECORD_SCHEMA))]
    pub schema: String,
}

impl RecordDocument {
    /// The document of these baselines.
    pub fn new(recorded: Vec<RecordedCheck>) -> Self {
        Self { recorded, schema: RECORD_SCHEMA.to_owned() }
    }
}
