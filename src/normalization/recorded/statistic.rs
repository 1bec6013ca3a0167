//! Which statistics are recorded.

use std::collections::BTreeMap;

/// A recorded statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statistic {
    /// Rows.
    Count,
    /// Means.
    Mean,
    /// Population deviations.
    Std,
    /// Least values.
    Min,
    /// Greatest values.
    Max,
    /// Quantiles of a level in percent.
    Quantile(u8),
}

/// Recorded numbers by what they are, in the order of dimensions.
pub type RecordedStatistics = BTreeMap<Statistic, Vec<f64>>;

impl Statistic {
    /// The statistic that data sets call so: `count`, `mean`, `std`, `min`, `max`, `q01` to `q99`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "count" => Some(Self::Count),
            "mean" => Some(Self::Mean),
            "std" => Some(Self::Std),
            "min" => Some(Self::Min),
            "max" => Some(Self::Max),
            _ => {
                let percent = name.strip_prefix('q').filter(|digits| digits.len() == 2)?.parse().ok()?;
                Some(Self::Quantile(percent))
            }
        }
    }

    /// What data sets call it.
    pub fn name(self) -> String {
        match self {
            Self::Count => "count".to_owned(),
            Self::Mean => "mean".to_owned(),
            Self::Std => "std".to_owned(),
            Self::Min => "min".to_owned(),
            Self::Max => "max".to_owned(),
            Self::Quantile(percent) => format!("q{percent:02}"),
        }
    }

    /// Whether it is a quantile.
    pub fn is_quantile(self) -> bool {
        matches!(self, Self::Quantile(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for name in ["count", "mean", "std", "min", "max", "q01", "q50", "q99"] {
            assert_eq!(Statistic::parse(name).map(Statistic::name).as_deref(), Some(name));
        }
        assert!(
            ["q", "q1", "q001", "qab", "median"].into_iter().all(|name| Statistic::parse(name).is_none())
        );
    }
}
