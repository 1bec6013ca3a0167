//! Players that belong together: groups that are one player (quotient games), and unions that divide first (Owen values).

mod owen;
mod quotient;
mod rules;
#[cfg(test)]
mod tests;

pub use owen::Unions;
pub use quotient::Quotient;
pub use rules::{GroupRule, Partition, PartitionRule, fits_pattern};
