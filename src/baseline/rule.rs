//! What may change, and by how much.

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

use super::metric::Metric;

/// Share of the stored value that may be lost under the default statistical rule.
const DEFAULT_SHARE: f64 = 0.02;

/// Share of the stored value that rounding may cost under the default deterministic rule.
const DEFAULT_CLOSE: f64 = 1e-9;

/// A rule as simic.toml has it: `metric` and `mode`, then what the mode takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// Pattern of metric ids.
    pub metric: String,
    /// `exact`, `close`, `noninferior`, `equivalent`, `drift` or `range`.
    pub mode: String,
    /// close: absolute tolerance.
    pub abs: Option<f64>,
    /// close: tolerance as a share of the stored value.
    pub rel: Option<f64>,
    /// noninferior, equivalent: absolute margin.
    pub margin: Option<f64>,
    /// noninferior, equivalent: margin as a share of the stored value.
    pub margin_rel: Option<f64>,
    /// noninferior, equivalent: `auto`, `welch`, `paired` or `bootstrap`.
    pub method: Option<String>,
    /// drift: `ks`, `wasserstein` or `psi`.
    pub statistic: Option<String>,
    /// drift: greatest distance; range: greatest value.
    pub max: Option<f64>,
    /// range: least value.
    pub min: Option<f64>,
    /// Which way is good, where the metric does not say.
    pub direction: Option<super::Direction>,
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
pub struct Allowance {
    /// Absolute.
    pub absolute: f64,
    /// Share of |old|.
    pub share: f64,
}

impl Allowance {
    /// The amount beside a stored value.
    pub fn of(&self, old: f64) -> f64 {
        self.absolute + self.share * old.abs()
    }
}

/// How a difference of means is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Paired where both sides have the same units, else Welch.
    Auto,
    /// Two independent samples, Welch's t.
    Welch,
    /// Units that belong together by name.
    Paired,
    /// Two independent samples, resampled.
    Bootstrap,
}

/// A distance of distributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftStatistic {
    /// Kolmogorov and Smirnov.
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
    /// |new - old| within the allowance.
    Close(Allowance),
    /// Not worse by more than the margin.
    NonInferior(Allowance, Method),
    /// Neither way off by more than the margin.
    Equivalent(Allowance, Method),
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
    pub direction: Option<super::Direction>,
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
    /// The default is `noninferior` with a margin of 2 % of the stored value for means over at least two units whose
    /// direction is known, `equivalent` likewise where it is not, and `close` (1e-9 of the stored value) for all
    /// other numbers.
    pub fn of(&self, metric: &Metric) -> (Mode, Option<super::Direction>) {
        if let Some(rule) = self.rules.iter().find(|rule| rule.matcher.is_match(&metric.id)) {
            return (rule.mode, rule.direction.or(metric.direction));
        }
        let margin = Allowance { absolute: 0.0, share: DEFAULT_SHARE };
        let mode = match (metric.n >= 2 && metric.stderr.is_some(), metric.direction) {
            (true, Some(_)) => Mode::NonInferior(margin, Method::Auto),
            (true, None) => Mode::Equivalent(margin, Method::Auto),
            (false, _) => Mode::Close(Allowance { absolute: 0.0, share: DEFAULT_CLOSE }),
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
        let allowed: &[&str] = match self.mode.as_str() {
            "exact" => &[],
            "close" => &["abs", "rel"],
            "noninferior" | "equivalent" => &["margin", "margin_rel", "method"],
            "drift" => &["statistic", "max"],
            "range" => &["min", "max"],
            other => {
                return Err(format!(
                    "no mode '{other}' (there are exact, close, noninferior, equivalent, drift, range)"
                ));
            }
        };
        let given = [
            ("abs", self.abs.is_some()),
            ("rel", self.rel.is_some()),
            ("margin", self.margin.is_some()),
            ("margin_rel", self.margin_rel.is_some()),
            ("method", self.method.is_some()),
            ("statistic", self.statistic.is_some()),
            ("max", self.max.is_some()),
            ("min", self.min.is_some()),
        ];
        if let Some((name, _)) = given.iter().find(|(name, is_given)| *is_given && !allowed.contains(name)) {
            return Err(format!("mode {} takes no {name}", self.mode));
        }
        let amount = |name: &str, value: Option<f64>| match value {
            Some(value) if !value.is_finite() || value < 0.0 => Err(format!("{name} must be 0 or more")),
            value => Ok(value.unwrap_or(0.0)),
        };
        Ok(match self.mode.as_str() {
            "exact" => Mode::Exact,
            "close" => {
                let nothing = self.abs.is_none() && self.rel.is_none();
                let share = if nothing { DEFAULT_CLOSE } else { amount("rel", self.rel)? };
                Mode::Close(Allowance { absolute: amount("abs", self.abs)?, share })
            }
            "drift" => {
                let statistic = match self.statistic.as_deref() {
                    Some("ks") | None => DriftStatistic::Ks,
                    Some("wasserstein") => DriftStatistic::Wasserstein,
                    Some("psi") => DriftStatistic::Psi,
                    Some(other) => {
                        return Err(format!("no statistic '{other}' (there are ks, wasserstein, psi)"));
                    }
                };
                let max = self.max.ok_or("drift needs max, the greatest distance allowed")?;
                Mode::Drift(statistic, amount("max", Some(max))?)
            }
            "range" => {
                let (min, max) = (self.min.unwrap_or(f64::NEG_INFINITY), self.max.unwrap_or(f64::INFINITY));
                if self.min.is_none() && self.max.is_none() || min.is_nan() || max.is_nan() || min > max {
                    return Err("range needs min, max or both, in order".to_owned());
                }
                Mode::Range(min, max)
            }
            other => {
                let nothing = self.margin.is_none() && self.margin_rel.is_none();
                let share = if nothing { DEFAULT_SHARE } else { amount("margin_rel", self.margin_rel)? };
                let margin = Allowance { absolute: amount("margin", self.margin)?, share };
                let method = match self.method.as_deref() {
                    Some("auto") | None => Method::Auto,
                    Some("welch") => Method::Welch,
                    Some("paired") => Method::Paired,
                    Some("bootstrap") => Method::Bootstrap,
                    Some(other) => {
                        return Err(format!(
                            "no method '{other}' (there are auto, welch, paired, bootstrap)"
                        ));
                    }
                };
                if other == "noninferior" {
                    Mode::NonInferior(margin, method)
                } else {
                    Mode::Equivalent(margin, method)
                }
            }
        })
    }
}
