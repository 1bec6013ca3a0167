//! Statistics that a data set records of its own features, against those of its rows.
//!
//! Data sets for imitation keep count, mean, deviation, extremes and quantiles of every feature beside the rows, over all
//! of them and over each episode. Pure: rows and recorded numbers in, differences and their causes out.

mod judge;
mod statistic;
mod truth;

pub use judge::{
    Cause, JudgedFeature, Judgement, RecordedFeature, RecordedSource, StatisticCheck, Tolerances, Worst,
    judge,
};
pub use statistic::{RecordedStatistics, Statistic};
pub use truth::{FeatureRows, FeatureTruth, QuantileRange, Truth, USUAL_LEVELS};
