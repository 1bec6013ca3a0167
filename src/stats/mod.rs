//! Shared statistics without domain words: sums, moments, intervals, tests, random streams.
//!
//! Nothing here knows of slots, games or normalizers. Estimators state their convention (normaliser,
//! sidedness, degrees of freedom) in their own documentation.

mod batch_table;
mod bootstrap;
mod distribution;
mod estimate;
mod hypothesis;
mod interval;
mod moments;
mod multiplicity;
mod nested_components;
mod row_moments;
mod rows;
mod run_scores;
mod sign_flips;
mod streams;
mod sum;
mod two_samples;
mod variance_components;

pub(crate) use batch_table::BatchTable;
pub use bootstrap::{BcaBootstrap, BootstrapSettings};
pub use distribution::{normal_quantile, student_t_quantile, student_t_two_sided_p};
pub use estimate::{Estimate, FEWEST_BOOTSTRAP_UNITS, IntervalMethod};
pub use hypothesis::{MeanTest, holm_adjust, one_sample_test};
pub use interval::{ConfidenceInterval, ConfidenceLevel};
pub use moments::SampleMoments;
pub use multiplicity::{Adjustment, adjust};
pub use nested_components::NestedComponents;
pub(crate) use row_moments::MomentsView;
pub use row_moments::RowMoments;
pub use rows::Rows;
pub use run_scores::{interquartile_mean, probability_of_improvement, share_above, stratified_interval};
pub use sign_flips::{DRAWN_FLIPS, EXACT_UNITS, LargestT, sign_flip_p, simultaneous_factor};
pub use streams::{StreamKey, random_stream};
pub use sum::pairwise_sum;
pub use two_samples::{Difference, kolmogorov_smirnov, population_stability, wasserstein};
pub use variance_components::VarianceComponents;
