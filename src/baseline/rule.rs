//! What may change, and by how much.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};
use serde::de::value::MapDeserializer;
use serde::de::{IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use crate::results::{Direction, Metric};

/// Share of the stored value that may be lost under the default statistical rule.
const DEFAULT_SHARE: f64 = 0.02;

/// Share of the stored value that rounding may cost under the default deterministic rule.
const DEFAULT_CLOSE: f64 = 1e-9;

/// A rule as simic.toml has it: `metric` and `mode`, then what the mode takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RuleText {
    /// Pattern of metric ids.
    pub metric: String,
    /// Which way is good, where the metric does not say.
    pub direction: Option<Direction>,
    /// The mode and what it takes, by name.
    #[serde(flatten)]
    terms: BTreeMap<String, Term>,
}

/// What a mode takes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase", deny_unknown_fields)]
enum ModeText {
    Exact {},
    Close {
        /// Absolute tolerance.
        abs: Option<f64>,
        /// Tolerance as a share of the stored value.
        rel: Option<f64>,
    },
    NonInferior {
        /// Absolute margin.
        margin: Option<f64>,
        /// Margin as a share of the stored value.
        margin_rel: Option<f64>,
        #[serde(default)]
        method: Method,
    },
    Equivalent {
        /// Absolute margin.
        margin: Option<f64>,
        /// Margin as a share of the stored value.
        margin_rel: Option<f64>,
        #[serde(default)]
        method: Method,
    },
    Intervals {
        /// Absolute margin.
        margin: Option<f64>,
        /// Margin as a share of the stored value.
        margin_rel: Option<f64>,
    },
    Drift {
        #[serde(default)]
        statistic: DriftStatistic,
        /// Greatest distance.
        max: Option<f64>,
    },
    Range {
        /// Least value.
        min: Option<f64>,
        /// Greatest value.
        max: Option<f64>,
    },
}

/// A rule that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule for '{metric}': {problem}")]
pub struct RuleError {
    metric: String,
    problem: String,
}

/// An absolute amount and a share of the stored value, added up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Absolute.
    pub absolute: f64,
    /// Share of |old|.
    pub share: f64,
}

impl Tolerance {
    /// The amount beside a stored value.
    pub fn of(&self, old: f64) -> f64 {
        self.absolute + self.share * old.abs()
    }
}

/// How a difference of means is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Paired where both sides have the same units, else Welch.
    #[default]
    Auto,
    /// Two independent samples, Welch's t.
    Welch,
    /// Units that belong together by name.
    Paired,
    /// Two independent samples, resampled.
    Bootstrap,
}

/// A distance of distributions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftStatistic {
    /// Kolmogorov and Smirnov.
    #[default]
    Ks,
    /// Wasserstein's first distance.
    Wasserstein,
    /// Population stability index.
    Psi,
}

impl DriftStatistic {
    /// The word of the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ks => "ks",
            Self::Wasserstein => "wasserstein",
            Self::Psi => "psi",
        }
    }
}

/// What is asked of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// The same bits.
    Exact,
    /// |new - old| within the tolerance.
    Close(Tolerance),
    /// Not worse by more than the margin.
    NonInferior(Tolerance, Method),
    /// Neither way off by more than the margin.
    Equivalent(Tolerance, Method),
    /// Intervals of values that are no means: not apart by more than the margin, for the worse.
    Intervals(Tolerance),
    /// Distributions of the units no further apart.
    Drift(DriftStatistic, f64),
    /// The new value within bounds, whatever the stored one.
    Range(f64, f64),
}

impl Mode {
    /// The word of the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Close(_) => "close",
            Self::NonInferior(..) => "noninferior",
            Self::Equivalent(..) => "equivalent",
            Self::Intervals(_) => "intervals",
            Self::Drift(..) => "drift",
            Self::Range(..) => "range",
        }
    }
}

/// A pattern of metrics and what is asked of them.
#[derive(Debug, Clone)]
pub struct Rule {
    pattern: String,
    matcher: GlobMatcher,
    /// What is asked.
    pub mode: Mode,
    /// Which way is good, where the metric does not say.
    pub direction: Option<Direction>,
}

/// Rules in order: the first that matches a metric holds.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// Rules as a file has them.
    ///
    /// # Errors
    /// A pattern, a mode or a parameter that makes no sense.
    pub fn parse(texts: &[RuleText]) -> Result<Self, RuleError> {
        Ok(Self { rules: texts.iter().map(RuleText::parse).collect::<Result<_, _>>()? })
    }

    /// Patterns that match none of these ids: rules that guard nothing.
    pub fn idle<'a>(&'a self, ids: &[&str]) -> Vec<&'a str> {
        let is_idle = |rule: &&Rule| !ids.iter().any(|id| rule.matcher.is_match(id));
        self.rules.iter().filter(is_idle).map(|rule| rule.pattern.as_str()).collect()
    }

    /// What is asked of a metric: the first rule that matches, else the default.
    ///
    /// The default is `intervals` for values with an interval and no units of their own, `noninferior` with a margin of 2 % of the stored value for means over at least two units whose
    /// direction is known, `equivalent` likewise where it is not, and `close` (1e-9 of the stored value) for all
    /// other numbers.
    pub fn of(&self, metric: &Metric) -> (Mode, Option<Direction>) {
        if let Some(rule) = self.rules.iter().find(|rule| rule.matcher.is_match(&metric.id)) {
            return (rule.mode, rule.direction.or(metric.direction));
        }
        let margin = Tolerance { absolute: 0.0, share: DEFAULT_SHARE };
        if metric.ci.is_some() && metric.samples.is_empty() {
            return (Mode::Intervals(margin), metric.direction);
        }
        let mode = match (metric.n >= 2 && metric.stderr.is_some(), metric.direction) {
            (true, Some(_)) => Mode::NonInferior(margin, Method::Auto),
            (true, None) => Mode::Equivalent(margin, Method::Auto),
            (false, _) => Mode::Close(Tolerance { absolute: 0.0, share: DEFAULT_CLOSE }),
        };
        (mode, metric.direction)
    }
}

impl RuleText {
    fn parse(&self) -> Result<Rule, RuleError> {
        let failed = |problem: String| RuleError { metric: self.metric.clone(), problem };
        let glob = GlobBuilder::new(&self.metric).literal_separator(true).build();
        let matcher = glob.map_err(|error| failed(error.kind().to_string()))?.compile_matcher();
        let mode = self.mode().map_err(failed)?;
        Ok(Rule { pattern: self.metric.clone(), matcher, mode, direction: self.direction })
    }

    fn mode(&self) -> Result<Mode, String> {
        let terms = MapDeserializer::new(self.terms.clone().into_iter());
        let text = ModeText::deserialize(terms).map_err(|error| self.explain(error))?;
        Ok(match text {
            ModeText::Exact {} => Mode::Exact,
            ModeText::Close { abs, rel } => {
                Mode::Close(tolerance(("abs", abs), ("rel", rel), DEFAULT_CLOSE)?)
            }
            ModeText::NonInferior { margin, margin_rel, method } => {
                let margin = tolerance(("margin", margin), ("margin_rel", margin_rel), DEFAULT_SHARE)?;
                Mode::NonInferior(margin, method)
            }
            ModeText::Equivalent { margin, margin_rel, method } => {
                let margin = tolerance(("margin", margin), ("margin_rel", margin_rel), DEFAULT_SHARE)?;
                Mode::Equivalent(margin, method)
            }
            ModeText::Intervals { margin, margin_rel } => {
                Mode::Intervals(tolerance(("margin", margin), ("margin_rel", margin_rel), DEFAULT_SHARE)?)
            }
            ModeText::Drift { statistic, max } => {
                let max = max.ok_or("drift needs max, the greatest distance allowed")?;
                Mode::Drift(statistic, amount("max", Some(max))?)
            }
            ModeText::Range { min, max } => {
                let (low, high) = (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY));
                if min.is_none() && max.is_none() || low.is_nan() || high.is_nan() || low > high {
                    return Err("range needs min, max or both, in order".to_owned());
                }
                Mode::Range(low, high)
            }
        })
    }

    /// What is wrong with the terms, in the words of the file.
    fn explain(&self, error: TermError) -> String {
        match error {
            TermError::UnknownWord { found, known } => {
                let is_found = |name: &&str| self.terms.get(*name) == Some(&Term::Text(found.clone()));
                let field = ["mode", "method", "statistic"].into_iter().find(is_found).unwrap_or("mode");
                format!("no {field} '{found}' (there are {})", known.join(", "))
            }
            TermError::UnknownField(name) => match self.terms.get("mode") {
                Some(Term::Text(mode)) => format!("mode {mode} takes no {name}"),
                _ => format!("no mode takes {name}"),
            },
            TermError::Other(problem) => problem,
        }
    }
}

fn amount(name: &str, value: Option<f64>) -> Result<f64, String> {
    match value {
        Some(value) if !value.is_finite() || value < 0.0 => Err(format!("{name} must be 0 or more")),
        value => Ok(value.unwrap_or(0.0)),
    }
}

/// An absolute amount and a share, each by its name in the file; `default` is the share where neither is given.
fn tolerance(
    absolute: (&str, Option<f64>),
    share: (&str, Option<f64>),
    default: f64,
) -> Result<Tolerance, String> {
    let is_default = absolute.1.is_none() && share.1.is_none();
    let share = if is_default { default } else { amount(share.0, share.1)? };
    Ok(Tolerance { absolute: amount(absolute.0, absolute.1)?, share })
}

/// A value in a rule.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a rule takes numbers and words")]
enum Term {
    Number(f64),
    Text(String),
}

impl<'de> Deserializer<'de> for Term {
    type Error = TermError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TermError> {
        match self {
            Self::Number(number) => visitor.visit_f64(number),
            Self::Text(text) => visitor.visit_string(text),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, TermError> for Term {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Why terms are no mode: what serde found, kept apart so that [`RuleText::explain`] can put it in our words.
#[derive(Debug, thiserror::Error)]
enum TermError {
    #[error("unknown word {found}")]
    UnknownWord { found: String, known: &'static [&'static str] },
    #[error("unknown field {0}")]
    UnknownField(String),
    #[error("{0}")]
    Other(String),
}

impl serde::de::Error for TermError {
    fn custom<T: std::fmt::Display>(problem: T) -> Self {
        Self::Other(problem.to_string())
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownWord { found: found.to_owned(), known }
    }

    fn unknown_field(field: &str, _known: &'static [&'static str]) -> Self {
        Self::UnknownField(field.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let rule: RuleText = serde_json::from_str(text).expect("a rule");
        rule.parse().expect_err("a rule that makes no sense").to_string()
    }

    #[test]
    fn words_nobody_knows_are_told_with_those_there_are() {
        assert_eq!(
            problem(r#"{"metric": "*", "mode": "near"}"#),
            "rule for '*': no mode 'near' (there are exact, close, noninferior, equivalent, intervals, drift, range)"
        );
        assert_eq!(
            problem(r#"{"metric": "*", "mode": "equivalent", "method": "t"}"#),
            "rule for '*': no method 't' (there are auto, welch, paired, bootstrap)"
        );
        assert_eq!(
            problem(r#"{"metric": "*", "mode": "drift", "statistic": "t", "max": 1}"#),
            "rule for '*': no statistic 't' (there are ks, wasserstein, psi)"
        );
    }

    #[test]
    fn what_a_mode_does_not_take_is_refused() {
        let text = r#"{"metric": "*", "mode": "close", "margin": 1.0}"#;
        assert_eq!(problem(text), "rule for '*': mode close takes no margin");
        let text = r#"{"metric": "*", "mode": "exact", "abs": 1}"#;
        assert_eq!(problem(text), "rule for '*': mode exact takes no abs");
        let text = r#"{"metric": "*", "mode": "close", "rel": -1}"#;
        assert_eq!(problem(text), "rule for '*': rel must be 0 or more");
    }

    #[test]
    fn defaults_stand_where_nothing_is_given() {
        let parse = |text: &str| {
            let rule: RuleText = serde_json::from_str(text).expect("a rule");
            rule.parse().expect("a rule").mode
        };
        let share = |share| Tolerance { absolute: 0.0, share };
        assert_eq!(parse(r#"{"metric": "*", "mode": "close"}"#), Mode::Close(share(1e-9)));
        assert_eq!(
            parse(r#"{"metric": "*", "mode": "noninferior"}"#),
            Mode::NonInferior(share(0.02), Method::Auto)
        );
        // An amount alone leaves no share.
        let given = Tolerance { absolute: 1.0, share: 0.0 };
        assert_eq!(parse(r#"{"metric": "*", "mode": "close", "abs": 1}"#), Mode::Close(given));
        assert_eq!(
            parse(r#"{"metric": "*", "mode": "drift", "max": 2}"#),
            Mode::Drift(DriftStatistic::Ks, 2.0)
        );
    }
}
