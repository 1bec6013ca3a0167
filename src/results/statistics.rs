//! What a data set records of itself against its rows: the document `simic.normalize.statistics/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::numbers::{self, finite};
use crate::normalization::{Cause, RecordedSource, StatisticCheck};

/// Schema of the document.
pub const STATISTICS_SCHEMA: &str = "simic.normalize.statistics/1";

/// `normalize verify` of data sets as it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatisticsAnalysis {
    /// Features that were asked for; empty for all.
    pub features: Vec<String>,
    /// Largest distance of means and extremes in standard deviations, of deviations relative.
    pub tolerance: f64,
    /// Largest distance of quantiles in standard deviations.
    pub quantile_tolerance: f64,
}

/// Data sets and whether their recorded statistics are those of their rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatisticsDocument {
    /// `simic.normalize.statistics/1`.
    #[schemars(extend("const" = STATISTICS_SCHEMA))]
    pub schema: String,
    /// The conclusion in sentences.
    pub verdict: Vec<String>,
    /// Whether all that is recorded lies within the tolerances.
    pub matches: bool,
    /// Data sets in the order named.
    pub sets: Vec<StatisticsSet>,
    /// Everything the numbers depend on besides the input.
    pub settings: StatisticsAnalysis,
}

/// One data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatisticsSet {
    /// The data set.
    pub run_id: String,
    /// Its layout and the version of that.
    pub layout: String,
    /// Rows.
    pub rows: u64,
    /// Episodes that have rows.
    pub episodes: u64,
    /// Rows a second, where it says.
    pub fps: Option<f64>,
    /// Whether all that is recorded lies within the tolerances.
    pub matches: bool,
    /// Where statistics are recorded, over all rows and over episodes.
    pub sources: Vec<String>,
    /// Features that were compared.
    pub features: Vec<ComparedFeature>,
    /// Every statistic of every feature.
    pub checks: Vec<StatisticRow>,
    /// Features that were not compared.
    pub left_out: Vec<LeftOutFeature>,
}

/// A feature that was compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedFeature {
    /// The feature.
    pub feature: String,
    /// Its type, by the data set's word.
    pub dtype: String,
    /// Values per row.
    pub width: usize,
    /// Names of the dimensions its statistics are of.
    pub dimensions: Vec<String>,
    /// Whether statistics are recorded of its last axis alone, rows of the others taken together.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_last_axis: bool,
}

/// A feature that was not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOutFeature {
    /// The feature.
    pub feature: String,
    /// Why.
    pub reason: String,
}

/// One statistic of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatisticRow {
    /// The feature.
    pub feature: String,
    /// Over all rows or over those of each episode.
    pub source: StatisticSource,
    /// count, mean, std, min, max or a quantile, q01 to q99.
    pub statistic: String,
    /// Numbers compared: dimensions, times episodes.
    pub n_compared: u64,
    /// Those that differ.
    pub n_differing: u64,
    /// The one farthest off, of those that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<WorstRow>,
    /// How they came to differ, in a word, where that is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<StatisticCause>,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Over which rows a statistic is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatisticSource {
    /// All.
    Set,
    /// Those of each episode.
    Episodes,
}

/// How a statistic came to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatisticCause {
    /// They are of another number of rows.
    OtherRows,
    /// They are of another number of dimensions.
    OtherShape,
    /// Numbers are missing or not finite.
    NotFinite,
    /// Deviations divide by n - 1.
    SampleDeviation,
    /// Mean square less squared mean in 32 bits.
    SinglePrecisionSquares,
    /// Means of episodes' means, whatever their lengths.
    UnweightedMean,
    /// Quantiles of episodes, averaged by their rows.
    MeanOfQuantiles,
    /// The least of the episodes' lower quantiles, the greatest of the upper ones.
    ExtremeOfQuantiles,
    /// The least or greatest value itself.
    LeastOrGreatest,
}

/// The number that lies farthest off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorstRow {
    /// The episode it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<i64>,
    /// Its dimension.
    pub dimension: usize,
    /// What is recorded; null if that is no number.
    pub recorded: Option<f64>,
    /// What the rows imply.
    #[serde(deserialize_with = "numbers::one")]
    pub expected: f64,
    /// How far they lie apart; null if that cannot be said.
    pub distance: Option<f64>,
}

impl From<Cause> for StatisticCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::OtherRows => Self::OtherRows,
            Cause::OtherShape => Self::OtherShape,
            Cause::NotFinite => Self::NotFinite,
            Cause::SampleDeviation => Self::SampleDeviation,
            Cause::SinglePrecisionSquares => Self::SinglePrecisionSquares,
            Cause::UnweightedMean => Self::UnweightedMean,
            Cause::MeanOfQuantiles => Self::MeanOfQuantiles,
            Cause::ExtremeOfQuantiles => Self::ExtremeOfQuantiles,
            Cause::LeastOrGreatest => Self::LeastOrGreatest,
        }
    }
}

impl StatisticCause {
    /// What they are, in words.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::OtherRows => "statistics of another number of rows",
            Self::OtherShape => "statistics of another number of dimensions",
            Self::NotFinite => "missing, or no finite numbers",
            Self::SampleDeviation => "sample deviations, which divide by n - 1",
            Self::SinglePrecisionSquares => {
                "mean squares less squared means in 32 bits, which lose a deviation far below the mean"
            }
            Self::UnweightedMean => "means of the episodes' means, whatever their lengths",
            Self::MeanOfQuantiles => "the episodes' quantiles averaged by their rows",
            Self::ExtremeOfQuantiles => "the least (to q50) and greatest (above) of the episodes' quantiles",
            Self::LeastOrGreatest => "the least or greatest value itself",
        }
    }
}

impl StatisticRow {
    /// The row of a check.
    pub fn of(feature: &str, check: &StatisticCheck) -> Self {
        let cause = check.cause.map(StatisticCause::from);
        Self {
            feature: feature.to_owned(),
            source: match check.source {
                RecordedSource::Overall => StatisticSource::Set,
                RecordedSource::Episodes => StatisticSource::Episodes,
            },
            statistic: check.statistic.name(),
            n_compared: check.n_compared,
            n_differing: check.n_differing,
            worst: check.worst.map(|worst| WorstRow {
                episode: worst.episode,
                dimension: worst.dimension,
                recorded: worst.recorded.and_then(finite),
                expected: worst.expected,
                distance: finite(worst.distance),
            }),
            cause,
            detail: cause.map(|cause| cause.sentence().to_owned()),
        }
    }

    /// Whether it is a quantile.
    pub fn is_quantile(&self) -> bool {
        self.statistic.starts_with('q')
    }
}

impl StatisticsSet {
    /// Its statistics that differ.
    pub fn differing(&self) -> impl Iterator<Item = &StatisticRow> {
        self.checks.iter().filter(|check| check.n_differing > 0)
    }

    /// The feature and dimension of the number farthest off.
    pub fn place(&self, row: &StatisticRow) -> String {
        let Some(worst) = &row.worst else { return row.feature.clone() };
        let feature = self.features.iter().find(|feature| feature.feature == row.feature);
        let names = feature.map_or(&[][..], |feature| &feature.dimensions);
        match names.get(worst.dimension) {
            // Of which axes the dimension is, is another matter for each source.
            Some(_) if feature.is_some_and(|feature| feature.of_last_axis) && row.statistic != "count" => {
                format!("{}[{}]", row.feature, worst.dimension)
            }
            Some(name) if row.statistic != "count" => name.clone(),
            _ => row.feature.clone(),
        }
    }
}

impl StatisticsDocument {
    /// The document of these data sets.
    pub fn new(settings: StatisticsAnalysis, sets: Vec<StatisticsSet>) -> Self {
        Self {
            schema: STATISTICS_SCHEMA.to_owned(),
            verdict: Vec::new(),
            matches: sets.iter().all(|set| set.matches),
            sets,
            settings,
        }
    }
}
