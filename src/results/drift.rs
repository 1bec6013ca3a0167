//! What a document says of a change of the distribution.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::numbers::finite;
use crate::normalization::{Change, DRIFT_LEVEL, DimensionChange, Drift, UntoldReason};

/// A change of the distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriftRow {
    /// First update of the new regime, to the length of a window.
    pub update: u64,
    /// The vector step of it.
    pub vector_step: Option<u64>,
    /// Dimensions that changed, strongest first.
    pub dimensions: Vec<DriftDimensionRow>,
    /// Share of steady recordings that raise an alarm at most, over all dimensions; older documents lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<f64>,
}

/// How one dimension changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriftDimensionRow {
    /// The dimension.
    pub dimension: usize,
    /// First update of its new regime.
    pub update: u64,
    /// Change of the mean in deviations within the regimes; null if infinite.
    pub shift: Option<f64>,
    /// Deviation after over before; null if infinite.
    pub sd_ratio: Option<f64>,
    /// What changed: mean, variance, or mean and variance; older documents lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// How often a steady recording shows as strong a change in this dimension; older documents lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
}

/// How a change was looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriftTestRow {
    /// Share of steady recordings that raise an alarm at most, over all dimensions.
    pub level: f64,
    /// Tests, two per dimension that is not constant; each has the level over their number.
    pub n_tests: usize,
    /// Tests that could say nothing.
    pub untold: Vec<UntoldRow>,
    /// Why a change cannot be told, in words; null where every test said something.
    pub reason: Option<String>,
}

/// A test that could say nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UntoldRow {
    /// The dimension.
    pub dimension: usize,
    /// What was to be tested: mean or variance.
    pub statistic: String,
    /// few_windows, autocorrelated, few_episodes or unordered.
    pub reason: String,
}

impl DriftRow {
    /// Of a change that lies at this vector step.
    pub(super) fn of(change: &Change, vector_step: Option<u64>) -> Self {
        Self {
            update: change.update,
            vector_step,
            dimensions: change.dimensions.iter().map(DriftDimensionRow::of).collect(),
            level: Some(DRIFT_LEVEL),
        }
    }
}

impl DriftDimensionRow {
    fn of(change: &DimensionChange) -> Self {
        Self {
            dimension: change.dimension,
            update: change.update,
            shift: finite(change.shift),
            sd_ratio: finite(change.ratio),
            statistic: Some(change.statistic.name().to_owned()),
            p_value: Some(change.p_value),
        }
    }
}

impl DriftTestRow {
    /// Of what windows said.
    pub(super) fn of(drift: &Drift) -> Self {
        let untold = drift.untold.iter().map(|untold| UntoldRow {
            dimension: untold.dimension,
            statistic: untold.statistic.name().to_owned(),
            reason: word(untold.reason).to_owned(),
        });
        Self {
            level: DRIFT_LEVEL,
            n_tests: drift.n_tests(),
            untold: untold.collect(),
            reason: untold_reason(drift),
        }
    }
}

fn word(reason: UntoldReason) -> &'static str {
    match reason {
        UntoldReason::FewWindows => "few_windows",
        UntoldReason::Autocorrelated { .. } => "autocorrelated",
        UntoldReason::FewEpisodes => "few_episodes",
        UntoldReason::Unordered => "unordered",
    }
}

/// Why a change cannot be told of some dimensions, in words; `None` where every test said something.
pub fn untold_reason(drift: &Drift) -> Option<String> {
    let mut dimensions: Vec<usize> = drift.untold.iter().map(|untold| untold.dimension).collect();
    dimensions.dedup();
    // The reason of most tests; of several autocorrelations the one with the fewest blocks.
    let most = drift.untold.iter().map(|untold| untold.reason).min_by_key(|reason| {
        let same = drift.untold.iter().filter(|other| word(other.reason) == word(*reason)).count();
        (std::cmp::Reverse(same), *reason)
    })?;
    let why = match most {
        UntoldReason::FewWindows => "the run has fewer than 10 windows".to_owned(),
        UntoldReason::Autocorrelated { blocks } => format!(
            "neighbouring rows are too alike: the run holds {blocks} of the 10 blocks needed that are long beside \
             their autocorrelation"
        ),
        UntoldReason::FewEpisodes => {
            "rows depend on their episode, and an environment has fewer than 20 of them".to_owned()
        }
        UntoldReason::Unordered => {
            "rows were not read in order of time (normalize replay puts them in order)".to_owned()
        }
    };
    let tested = drift.tested.len();
    let of = if dimensions.len() == tested { String::new() } else { format!(" of {tested}") };
    let noun = if dimensions.len() == 1 && of.is_empty() { "dimension" } else { "dimensions" };
    Some(format!("{}{of} {noun}: {why}", dimensions.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalization::{ChangedStatistic, Untold};

    #[test]
    fn the_reason_of_most_tests_is_told_in_words() {
        let of = |untold: &[(usize, UntoldReason)]| {
            let untold = untold.iter().map(|(dimension, reason)| Untold {
                dimension: *dimension,
                statistic: ChangedStatistic::Mean,
                reason: *reason,
            });
            untold_reason(&Drift { tested: vec![0, 2], change: None, untold: untold.collect() })
        };
        assert_eq!(of(&[]), None);
        let episodes = of(&[(2, UntoldReason::FewEpisodes)]).expect("a reason");
        assert!(episodes.starts_with("1 of 2 dimensions: rows depend on their episode"), "{episodes}");
        let alike = |blocks| UntoldReason::Autocorrelated { blocks };
        let both = of(&[(0, alike(7)), (2, alike(3)), (2, UntoldReason::FewWindows)]).expect("a reason");
        assert!(
            both.starts_with("2 dimensions: neighbouring") && both.contains(" 3 of the 10 blocks"),
            "{both}"
        );
    }
}
