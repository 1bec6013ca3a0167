//! How statements over units are tested, as documents tell it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attribution::{Coverage, Inference, UnitTest};
use crate::stats::Adjustment;

/// How p values of one report are adjusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdjustKind {
    /// Holm: the chance of any false finding.
    #[default]
    Holm,
    /// Benjamini and Hochberg: the share of false findings.
    Bh,
    /// Benjamini and Yekutieli: the same under any dependence.
    By,
}

impl AdjustKind {
    /// The word in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holm => "Holm",
            Self::Bh => "BH",
            Self::By => "BY",
        }
    }
}

/// Where p values over units come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TestKind {
    /// The distribution that intervals are made by.
    #[default]
    Interval,
    /// Flips of the units' signs.
    SignFlip,
}

/// How statements over units are tested; what is as usual is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Testing {
    /// How p values are adjusted; absent for Holm.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub adjust: AdjustKind,
    /// Where p values come from; absent for the distribution of the interval.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub test: TestKind,
    /// Whether all intervals over units hold together; absent where each holds for itself.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub simultaneous: bool,
}

fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Testing {
    /// The same inference, so tested.
    pub(super) fn of(self, inference: Inference, seed: u64) -> Inference {
        Inference {
            adjustment: match self.adjust {
                AdjustKind::Holm => Adjustment::Holm,
                AdjustKind::Bh => Adjustment::BenjaminiHochberg,
                AdjustKind::By => Adjustment::BenjaminiYekutieli,
            },
            test: match self.test {
                TestKind::Interval => UnitTest::OfInterval,
                TestKind::SignFlip => UnitTest::SignFlip,
            },
            coverage: if self.simultaneous { Coverage::Simultaneous } else { Coverage::Pointwise },
            seed,
            ..inference
        }
    }
}
