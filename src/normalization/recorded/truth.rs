//! What the rows of a feature imply: moments, extremes and quantiles, over all rows and over each episode.

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;

use crate::stats::RowMoments;

/// Levels of quantiles that are usually recorded, in percent.
pub const USUAL_LEVELS: [u8; 5] = [1, 10, 50, 90, 99];

/// Rows of a feature, with the episode of each.
#[derive(Debug, Clone, Copy)]
pub struct FeatureRows<'a> {
    /// Values, row after row.
    pub values: &'a [f64],
    /// Values per row.
    pub width: usize,
    /// Dimensions they are of: `width`, or the last axis of it, whose values are then taken together.
    pub dimensions: usize,
    /// Episode of each row.
    pub episodes: &'a [i64],
}

/// Where a quantile lies by any convention, and by the usual one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileRange {
    /// The least of the order statistics that any convention looks at.
    pub low: f64,
    /// The value by linear interpolation.
    pub value: f64,
    /// The greatest of them.
    pub high: f64,
}

/// What some rows of a feature imply.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Rows.
    pub n_rows: u64,
    /// Moments and extremes per dimension.
    pub moments: RowMoments,
    /// Quantiles per dimension, by their level in percent.
    pub quantiles: BTreeMap<u8, Vec<QuantileRange>>,
}

/// What all rows of a feature imply, and those of each episode.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTruth {
    /// All rows.
    pub overall: Truth,
    /// Those of each episode.
    pub episodes: BTreeMap<i64, Truth>,
}

/// The quantile of a level in percent.
///
/// # Formula
/// With order statistics x_(1) to x_(n) and p the level: x at h = (n - 1) p + 1, linearly between neighbours (type 7).
/// All nine conventions lie between x_(floor(n p)) and x_(ceil(n p) + 1), which are the ends of the range.
///
/// # Source
/// R. J. Hyndman, Y. Fan, Sample quantiles in statistical packages, The American Statistician 50 (1996).
fn quantile(sorted: &[f64], percent: u8) -> QuantileRange {
    let n = sorted.len();
    // Whole numbers: n p in hundredths.
    let hundredths = n * usize::from(percent);
    let low = (hundredths / 100).clamp(1, n);
    let high = (hundredths.div_ceil(100) + 1).clamp(1, n);
    let place = (n - 1) * usize::from(percent);
    let (below, part) = (place / 100, (place % 100) as f64 / 100.0);
    let above = sorted[(below + 1).min(n - 1)];
    let value = sorted[below] + part * (above - sorted[below]);
    QuantileRange { low: sorted[low - 1], value, high: sorted[high - 1] }
}

/// One dimension of one stretch of rows.
struct Column {
    moments: RowMoments,
    quantiles: Vec<QuantileRange>,
}

fn column(values: &[f64], levels: &[u8], sorted: &mut Vec<f64>) -> Column {
    sorted.clear();
    sorted.extend_from_slice(values);
    sorted.sort_unstable_by(f64::total_cmp);
    Column {
        moments: RowMoments::of_column(values),
        quantiles: levels.iter().map(|level| quantile(sorted, *level)).collect(),
    }
}

fn truth(n_rows: u64, columns: &[Column], levels: &[u8]) -> Truth {
    let moments: Vec<RowMoments> = columns.iter().map(|column| column.moments.clone()).collect();
    let at = |place: usize| columns.iter().map(|column| column.quantiles[place]).collect();
    Truth {
        n_rows,
        moments: RowMoments::of_columns(&moments),
        quantiles: levels.iter().enumerate().map(|(place, level)| (*level, at(place))).collect(),
    }
}

impl FeatureRows<'_> {
    /// Rows by episode: their order, and the stretch of it that each episode has.
    fn by_episode(&self) -> (Vec<usize>, Vec<(i64, Range<usize>)>) {
        let mut order: Vec<usize> = (0..self.episodes.len()).collect();
        if !self.episodes.is_sorted() {
            order.sort_by_key(|row| self.episodes[*row]);
        }
        let mut stretches: Vec<(i64, Range<usize>)> = Vec::new();
        for (place, row) in order.iter().enumerate() {
            let episode = self.episodes[*row];
            match stretches.last_mut() {
                Some((last, stretch)) if *last == episode => stretch.end = place + 1,
                _ => stretches.push((episode, place..place + 1)),
            }
        }
        (order, stretches)
    }

    /// What they imply; `None` without rows or dimensions.
    pub fn truth(&self, levels: &[u8]) -> Option<FeatureTruth> {
        if self.episodes.is_empty() || self.dimensions == 0 || !self.width.is_multiple_of(self.dimensions) {
            return None;
        }
        let (order, stretches) = self.by_episode();
        // Values of a row and dimension: more than one where leading axes are taken together.
        let each = self.width / self.dimensions;
        let of_dimension = |d: usize| {
            let row = |row: usize| (0..each).map(move |k| row * self.width + k * self.dimensions + d);
            let values: Vec<f64> =
                order.iter().copied().flat_map(row).map(|place| self.values[place]).collect();
            let mut sorted = Vec::with_capacity(values.len());
            let part = |(_, rows): &(i64, Range<usize>)| &values[rows.start * each..rows.end * each];
            let episodes: Vec<Column> =
                stretches.iter().map(|stretch| column(part(stretch), levels, &mut sorted)).collect();
            (column(&values, levels, &mut sorted), episodes)
        };
        let columns: Vec<(Column, Vec<Column>)> =
            (0..self.dimensions).into_par_iter().map(of_dimension).collect();
        let (overall, episodes): (Vec<Column>, Vec<Vec<Column>>) = columns.into_iter().unzip();
        let mut by_dimension: Vec<_> = episodes.into_iter().map(Vec::into_iter).collect();
        let episodes = stretches.iter().map(|(episode, rows)| {
            let columns: Vec<Column> = by_dimension.iter_mut().filter_map(Iterator::next).collect();
            (*episode, truth(rows.len() as u64, &columns, levels))
        });
        let episodes = episodes.collect();
        Some(FeatureTruth { overall: truth(self.episodes.len() as u64, &overall, levels), episodes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        let sorted: Vec<f64> = (1..=10).map(f64::from).collect();
        // numpy.quantile(range(1, 11), 0.1) is 1.9; every convention gives something between 1 and 2.
        let tenth = quantile(&sorted, 10);
        assert!((tenth.value - 1.9).abs() < 1e-12);
        assert_eq!((tenth.low, tenth.high), (1.0, 2.0));
        assert_eq!(quantile(&sorted, 50).value, 5.5);
        assert_eq!((quantile(&sorted, 99).low, quantile(&sorted, 99).high), (9.0, 10.0));
        assert_eq!(quantile(&[7.0], 50), QuantileRange { low: 7.0, value: 7.0, high: 7.0 });
    }

    #[test]
    fn episodes_are_told_apart_in_any_order_of_rows() {
        let values = [1.0, 10.0, 5.0, 50.0, 3.0, 30.0];
        let rows = FeatureRows { values: &values, width: 2, dimensions: 2, episodes: &[1, 0, 1] };
        let truth = rows.truth(&[50]).expect("rows");
        assert_eq!(truth.overall.moments.mean(), [3.0, 30.0]);
        assert_eq!(truth.episodes[&1].moments.mean(), [2.0, 20.0]);
        assert_eq!((truth.episodes[&0].n_rows, truth.episodes[&0].quantiles[&50][1].value), (1, 50.0));
    }

    #[test]
    fn leading_axes_are_taken_together_where_the_last_alone_is_asked_for() {
        // Two rows of shape (2, 2).
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let rows = FeatureRows { values: &values, width: 4, dimensions: 2, episodes: &[0, 0] };
        let truth = rows.truth(&[]).expect("rows");
        assert_eq!(truth.overall.moments.mean(), [4.0, 5.0]);
        assert_eq!((truth.overall.n_rows, truth.overall.moments.n()), (2, 4));
        assert!(FeatureRows { dimensions: 3, ..rows }.truth(&[]).is_none());
        assert!(FeatureRows { values: &[], episodes: &[], ..rows }.truth(&[]).is_none());
    }
}
