//! Recorded statistics against those of the rows: which differ, by how much, and how they came to.

use std::collections::BTreeMap;

use super::statistic::{RecordedStatistics, Statistic};
use super::truth::{FeatureTruth, Truth};

/// What is recorded of a feature.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordedFeature {
    /// Over all rows.
    pub overall: Option<RecordedStatistics>,
    /// Over the rows of each episode.
    pub episodes: BTreeMap<i64, RecordedStatistics>,
}

/// Over which rows a statistic is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordedSource {
    /// All.
    Overall,
    /// Those of each episode.
    Episodes,
}

/// Largest distances that are no difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerances {
    /// Of means and extremes in standard deviations, of deviations relative.
    pub moments: f64,
    /// Of quantiles in standard deviations.
    pub quantiles: f64,
}

/// The number that lies farthest off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worst {
    /// The episode it is of.
    pub episode: Option<i64>,
    /// Its dimension.
    pub dimension: usize,
    /// The recorded number; `None` where there is none.
    pub recorded: Option<f64>,
    /// What the rows imply.
    pub expected: f64,
    /// How far they lie apart, in the unit of the tolerance.
    pub distance: f64,
}

/// How a statistic came to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// They are of another number of rows.
    OtherRows,
    /// They are of another number of dimensions.
    OtherShape,
    /// Numbers are missing or not finite.
    NotFinite,
    /// Deviations divide by n - 1.
    SampleDeviation,
    /// Mean square less squared mean, in 32 bits, which a mean far from 0 leaves little of.
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

/// One statistic of a feature, over all rows or over every episode.
#[derive(Debug, Clone, PartialEq)]
pub struct StatisticCheck {
    /// Over which rows.
    pub source: RecordedSource,
    /// Which.
    pub statistic: Statistic,
    /// Numbers compared.
    pub n_compared: u64,
    /// Those that differ.
    pub n_differing: u64,
    /// The one farthest off, of those that differ.
    pub worst: Option<Worst>,
    /// How they came to differ, where that is found.
    pub cause: Option<Cause>,
}

/// What a feature is besides its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedFeature<'a> {
    /// What is recorded.
    pub recorded: &'a RecordedFeature,
    /// What its rows imply.
    pub truth: &'a FeatureTruth,
    /// Whether its values have 32 bits.
    pub is_single: bool,
}

/// The checks of a feature.
pub type Judgement = Vec<StatisticCheck>;

/// Units in the last place that a mean of 32-bit numbers may be off by: sums of pairs round once a level.
const MEAN_PLACES: f64 = 16.0;

/// What bins around the extremes are widened by, in the writer of quantiles.
const BIN_PADDING: f64 = 1e-9;

/// Share of the squared mean that the mean of 32-bit squares may be off by: 16 units in the last place of 1.
const SQUARE_ROUNDING: f64 = 16.0 * 1.1920929e-7;

/// How near a merge of recorded quantiles comes to what it gave: it was computed from the very numbers.
const MERGE_TOLERANCE: f64 = 1e-3;

/// Compares all that is recorded of a feature.
pub fn judge(feature: JudgedFeature<'_>, tolerances: Tolerances) -> Judgement {
    let mut checks = Vec::new();
    if let Some(overall) = &feature.recorded.overall {
        for (statistic, numbers) in overall {
            let mut check = Check::new(&feature, tolerances, RecordedSource::Overall, *statistic);
            check.compare(None, Some(numbers), &feature.truth.overall);
            checks.push(check.finished());
        }
        explain_overall(&feature, overall, tolerances, &mut checks);
    }
    checks.extend(judge_episodes(&feature, tolerances));
    checks
}

fn judge_episodes(feature: &JudgedFeature<'_>, tolerances: Tolerances) -> Vec<StatisticCheck> {
    let recorded = &feature.recorded.episodes;
    let mut statistics: Vec<Statistic> = recorded.values().flat_map(|of| of.keys().copied()).collect();
    statistics.sort_unstable();
    statistics.dedup();
    let check = |statistic: &Statistic| {
        let mut check = Check::new(feature, tolerances, RecordedSource::Episodes, *statistic);
        for (episode, truth) in &feature.truth.episodes {
            let numbers = recorded.get(episode).and_then(|of| of.get(statistic));
            check.compare(Some(*episode), numbers, truth);
        }
        // An episode that has no rows.
        for (episode, of) in
            recorded.iter().filter(|(episode, _)| !feature.truth.episodes.contains_key(episode))
        {
            if let (Statistic::Count, Some(n)) = (statistic, of.get(statistic).and_then(|n| n.first())) {
                check.add(Worst {
                    episode: Some(*episode),
                    dimension: 0,
                    recorded: Some(*n),
                    expected: 0.0,
                    distance: n.abs(),
                });
                check.causes.push(Cause::OtherRows);
            }
        }
        check.finished()
    };
    statistics.iter().map(check).collect()
}

/// A check under way.
struct Check<'a> {
    feature: &'a JudgedFeature<'a>,
    tolerances: Tolerances,
    source: RecordedSource,
    statistic: Statistic,
    n_compared: u64,
    n_differing: u64,
    worst: Option<Worst>,
    /// A cause for each stretch of rows that differs: found only if they agree.
    causes: Vec<Cause>,
    has_unknown: bool,
}

impl<'a> Check<'a> {
    fn new(
        feature: &'a JudgedFeature<'a>,
        tolerances: Tolerances,
        source: RecordedSource,
        statistic: Statistic,
    ) -> Self {
        let (n_compared, n_differing, worst, causes) = (0, 0, None, Vec::new());
        Self {
            feature,
            tolerances,
            source,
            statistic,
            n_compared,
            n_differing,
            worst,
            causes,
            has_unknown: false,
        }
    }

    fn add(&mut self, found: Worst) {
        self.n_compared += 1;
        if found.distance <= self.tolerance() {
            return;
        }
        self.n_differing += 1;
        if self.worst.is_none_or(|worst| found.distance > worst.distance) {
            self.worst = Some(found);
        }
    }

    fn tolerance(&self) -> f64 {
        match self.statistic {
            // Rows are whole.
            Statistic::Count => 0.5,
            Statistic::Quantile(_) => self.tolerances.quantiles,
            _ => self.tolerances.moments,
        }
    }

    /// Compares the numbers of all rows or of an episode.
    fn compare(&mut self, episode: Option<i64>, numbers: Option<&Vec<f64>>, truth: &Truth) {
        let width = if self.statistic == Statistic::Count { 1 } else { truth.moments.mean().len() };
        let before = self.n_differing;
        let has_width = numbers.is_some_and(|numbers| numbers.len() == width);
        for dimension in 0..width {
            let recorded = numbers.filter(|_| has_width).map(|numbers| numbers[dimension]);
            let expected = expected(self.statistic, truth, dimension);
            let distance = recorded.map_or(f64::INFINITY, |recorded| {
                distance(self.statistic, recorded, truth, dimension, self.feature.is_single)
            });
            self.add(Worst { episode, dimension, recorded, expected, distance });
        }
        if self.n_differing == before {
            return;
        }
        let cause = match numbers {
            Some(numbers) if !has_width && !numbers.is_empty() => Some(Cause::OtherShape),
            Some(numbers) if has_width && numbers.iter().all(|x| x.is_finite()) => {
                self.cause_of(numbers, truth)
            }
            _ => Some(Cause::NotFinite),
        };
        match cause {
            Some(cause) => self.causes.push(cause),
            None => self.has_unknown = true,
        }
    }

    /// Why numbers differ, as far as they and their rows tell.
    fn cause_of(&self, numbers: &[f64], truth: &Truth) -> Option<Cause> {
        let tolerance = self.tolerance();
        let is_single = self.feature.is_single;
        let apart = |statistic, x, d| distance(statistic, x, truth, d, is_single);
        let is_off = |d: &usize| apart(self.statistic, numbers[*d], *d) > tolerance;
        let mut off = (0..numbers.len()).filter(is_off);
        let n = truth.n_rows as f64;
        match self.statistic {
            Statistic::Count => Some(Cause::OtherRows),
            Statistic::Std => {
                let to_population = ((n - 1.0) / n).sqrt();
                if n > 1.0
                    && off.clone().all(|d| apart(Statistic::Std, numbers[d] * to_population, d) <= tolerance)
                {
                    return Some(Cause::SampleDeviation);
                }
                let is_rounding = |d: usize| {
                    let (mean, var) = (truth.moments.mean()[d], truth.moments.var(d));
                    numbers[d] >= 0.0
                        && (numbers[d] * numbers[d] - var).abs() <= SQUARE_ROUNDING * mean * mean
                };
                (is_single && off.all(is_rounding)).then_some(Cause::SinglePrecisionSquares)
            }
            Statistic::Quantile(percent) => {
                let extreme = if percent <= 50 { Statistic::Min } else { Statistic::Max };
                off.all(|d| apart(extreme, numbers[d], d) <= MERGE_TOLERANCE)
                    .then_some(Cause::LeastOrGreatest)
            }
            Statistic::Mean | Statistic::Min | Statistic::Max => None,
        }
    }

    fn finished(mut self) -> StatisticCheck {
        self.causes.sort_unstable();
        self.causes.dedup();
        let is_told = self.causes.len() == 1 && !self.has_unknown;
        StatisticCheck {
            source: self.source,
            statistic: self.statistic,
            n_compared: self.n_compared,
            n_differing: self.n_differing,
            worst: self.worst,
            cause: self.causes.first().copied().filter(|_| is_told),
        }
    }
}

/// Finds how statistics over all rows were merged from those of episodes.
fn explain_overall(
    feature: &JudgedFeature<'_>,
    overall: &RecordedStatistics,
    tolerances: Tolerances,
    checks: &mut [StatisticCheck],
) {
    let n_rows = feature.truth.overall.n_rows as f64;
    let counted = overall.get(&Statistic::Count).and_then(|count| count.first());
    let has_other_rows = counted.is_some_and(|count| (count - n_rows).abs() > 0.5);
    for check in checks.iter_mut().filter(|check| check.n_differing > 0) {
        if matches!(check.cause, Some(Cause::OtherShape | Cause::NotFinite)) {
            continue;
        }
        if has_other_rows {
            check.cause = Some(Cause::OtherRows);
            continue;
        }
        let found = merged(feature, check.statistic, &overall[&check.statistic], tolerances);
        check.cause = found.or(check.cause);
    }
}

/// Which merge of episodes' statistics gives these numbers.
fn merged(
    feature: &JudgedFeature<'_>,
    statistic: Statistic,
    numbers: &[f64],
    tolerances: Tolerances,
) -> Option<Cause> {
    let truth = &feature.truth.overall;
    let counts: Vec<f64> = feature.truth.episodes.values().map(|of| of.n_rows as f64).collect();
    if counts.len() < 2 {
        return None;
    }
    // What is recorded of the episodes was merged, if it is there; else what their rows imply.
    let episodes = feature.truth.episodes.keys();
    let recorded: Option<Vec<&Vec<f64>>> = episodes
        .map(|episode| feature.recorded.episodes.get(episode)?.get(&statistic))
        .collect::<Option<_>>()
        .filter(|of: &Vec<&Vec<f64>>| of.iter().all(|of| of.len() == numbers.len()));
    let tolerance = if recorded.is_some() { MERGE_TOLERANCE } else { tolerances.quantiles };
    let of_episode = |place: usize, truth: &Truth, d: usize| {
        recorded.as_ref().map_or_else(|| expected(statistic, truth, d), |of| of[place][d])
    };
    let values = |d: usize| -> Vec<f64> {
        let truths = feature.truth.episodes.values().enumerate();
        truths.map(|(place, truth)| of_episode(place, truth, d)).collect()
    };
    let gives = |merge: &dyn Fn(&[f64]) -> f64| {
        (0..numbers.len()).all(|d| {
            let scale = truth.moments.var(d).sqrt().max(f64::MIN_POSITIVE);
            (numbers[d] - merge(&values(d))).abs() <= tolerance * scale + BIN_PADDING
        })
    };
    let total: f64 = counts.iter().sum();
    let weighted = |x: &[f64]| x.iter().zip(&counts).map(|(x, n)| x * n).sum::<f64>() / total;
    match statistic {
        Statistic::Quantile(percent) => {
            let extreme = |x: &[f64]| {
                let pick = if percent <= 50 { f64::min } else { f64::max };
                x.iter().copied().reduce(pick).unwrap_or(f64::NAN)
            };
            if gives(&weighted) {
                Some(Cause::MeanOfQuantiles)
            } else {
                gives(&extreme).then_some(Cause::ExtremeOfQuantiles)
            }
        }
        Statistic::Mean => {
            let plain = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
            gives(&plain).then_some(Cause::UnweightedMean)
        }
        Statistic::Count | Statistic::Std | Statistic::Min | Statistic::Max => None,
    }
}

/// What rows imply for a statistic of a dimension.
fn expected(statistic: Statistic, truth: &Truth, d: usize) -> f64 {
    let moments = &truth.moments;
    match statistic {
        Statistic::Count => truth.n_rows as f64,
        Statistic::Mean => moments.mean()[d],
        Statistic::Std => moments.var(d).sqrt(),
        Statistic::Min => moments.min()[d],
        Statistic::Max => moments.max()[d],
        Statistic::Quantile(percent) => truth.quantiles.get(&percent).map_or(f64::NAN, |of| of[d].value),
    }
}

/// How far a recorded number lies from what rows imply.
///
/// # Formula
/// With the rows' deviation s, u a unit in the last place of 1 at the values' precision and a = 16 u |expected|: (|x - expected| - a)/s
/// of means, extremes and quantiles, of a quantile from the range in which every convention has it; |x - s|/s of a deviation; |x - n|
/// of a count.
///
/// # Edge cases
/// Values that are all the same have s = 0: distances are then relative to the value itself. NaN is infinitely far.
fn distance(statistic: Statistic, recorded: f64, truth: &Truth, d: usize, is_single: bool) -> f64 {
    let expected = expected(statistic, truth, d);
    let deviation = truth.moments.var(d).sqrt();
    let magnitude = truth.moments.mean()[d].abs().max(f64::MIN_POSITIVE);
    let scale = if deviation > 0.0 { deviation } else { magnitude };
    let unit = if is_single { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let rounding = MEAN_PLACES * unit * expected.abs();
    let apart = match statistic {
        Statistic::Count => return or_infinite((recorded - expected).abs()),
        Statistic::Std => (recorded - expected).abs() / scale,
        Statistic::Mean | Statistic::Min | Statistic::Max => {
            ((recorded - expected).abs() - rounding).max(0.0) / scale
        }
        Statistic::Quantile(percent) => {
            let Some(range) = truth.quantiles.get(&percent).map(|of| of[d]) else { return f64::INFINITY };
            let outside = (range.low - recorded).max(recorded - range.high);
            (outside - rounding - BIN_PADDING).max(0.0) / scale
        }
    };
    // max() would drop a NaN.
    if recorded.is_finite() { or_infinite(apart) } else { f64::INFINITY }
}

fn or_infinite(distance: f64) -> f64 {
    if distance.is_nan() { f64::INFINITY } else { distance }
}

#[cfg(test)]
mod tests {
    use super::super::truth::FeatureRows;
    use super::*;

    const LEVELS: [u8; 3] = [10, 50, 90];
    const TOLERANCES: Tolerances = Tolerances { moments: 1e-4, quantiles: 0.05 };

    /// Three episodes of 40, 10 and 25 rows, far apart.
    fn rows() -> (Vec<f64>, Vec<i64>) {
        let of = |episode: i64, n: usize, offset: f64| {
            (0..n).map(move |i| (episode, offset + ((i * 7) % n) as f64 / n as f64))
        };
        of(0, 40, 0.0).chain(of(1, 10, 5.0)).chain(of(2, 25, -3.0)).map(|(e, x)| (x, e)).unzip()
    }

    fn truth(values: &[f64], episodes: &[i64]) -> FeatureTruth {
        FeatureRows { values, width: 1, dimensions: 1, episodes }.truth(&LEVELS).expect("rows")
    }

    /// What rows imply, as it would be recorded.
    fn recorded(truth: &Truth) -> RecordedStatistics {
        let statistics = [Statistic::Count, Statistic::Mean, Statistic::Std, Statistic::Min, Statistic::Max];
        let quantiles = LEVELS.map(Statistic::Quantile);
        statistics.into_iter().chain(quantiles).map(|of| (of, vec![expected(of, truth, 0)])).collect()
    }

    fn right(truth: &FeatureTruth) -> RecordedFeature {
        RecordedFeature {
            overall: Some(recorded(&truth.overall)),
            episodes: truth.episodes.iter().map(|(episode, of)| (*episode, recorded(of))).collect(),
        }
    }

    /// Causes by statistic, of those that differ.
    fn found(
        recorded: &RecordedFeature,
        truth: &FeatureTruth,
    ) -> Vec<(RecordedSource, Statistic, Option<Cause>)> {
        let checks = judge(JudgedFeature { recorded, truth, is_single: true }, TOLERANCES);
        let off = checks.into_iter().filter(|check| check.n_differing > 0);
        off.map(|check| (check.source, check.statistic, check.cause)).collect()
    }

    fn overall(recorded: &mut RecordedFeature) -> &mut RecordedStatistics {
        recorded.overall.as_mut().expect("recorded")
    }

    #[test]
    fn right_statistics_do_not_differ() {
        let (values, episodes) = rows();
        let truth = truth(&values, &episodes);
        assert_eq!(found(&right(&truth), &truth), []);
        // Bins of 32-bit numbers do not either.
        let mut binned = right(&truth);
        for (statistic, x) in overall(&mut binned).iter_mut().filter(|(of, _)| of.is_quantile()) {
            x[0] += if *statistic == Statistic::Quantile(50) { 1e-3 } else { -1e-3 };
        }
        assert_eq!(found(&binned, &truth), []);
    }

    #[test]
    fn merges_of_quantiles_are_told_apart() {
        let (values, episodes) = rows();
        let truth = truth(&values, &episodes);
        for with_episodes in [true, false] {
            let of = |percent: u8| {
                let of = |of: &Truth| (of.n_rows as f64, expected(Statistic::Quantile(percent), of, 0));
                truth.episodes.values().map(of).collect::<Vec<_>>()
            };
            let mut averaged = right(&truth);
            let mut extreme = right(&truth);
            for percent in LEVELS {
                let values = of(percent);
                let mean = values.iter().map(|(n, q)| n * q).sum::<f64>() / 75.0;
                let pick = if percent <= 50 { f64::min } else { f64::max };
                let edge = values.iter().map(|(_, q)| *q).reduce(pick).expect("episodes");
                overall(&mut averaged).insert(Statistic::Quantile(percent), vec![mean]);
                overall(&mut extreme).insert(Statistic::Quantile(percent), vec![edge]);
            }
            if !with_episodes {
                averaged.episodes.clear();
                extreme.episodes.clear();
            }
            let causes = |recorded: &RecordedFeature| {
                found(recorded, &truth).into_iter().map(|(_, _, cause)| cause).collect::<Vec<_>>()
            };
            assert_eq!(causes(&averaged), [Some(Cause::MeanOfQuantiles); 3]);
            assert!(causes(&extreme).iter().all(|cause| *cause == Some(Cause::ExtremeOfQuantiles)));
            assert!(!causes(&extreme).is_empty());
        }
    }

    #[test]
    fn statistics_of_other_rows_and_shapes_are_called_that() {
        let (values, episodes) = rows();
        let truth = truth(&values, &episodes);
        let mut stale = right(&truth);
        overall(&mut stale).insert(Statistic::Count, vec![70.0]);
        overall(&mut stale).insert(Statistic::Mean, vec![9.0]);
        let expected = [Statistic::Count, Statistic::Mean];
        let expected = expected.map(|of| (RecordedSource::Overall, of, Some(Cause::OtherRows)));
        assert_eq!(found(&stale, &truth), expected);
        let mut wide = right(&truth);
        overall(&mut wide).insert(Statistic::Mean, vec![0.0, 0.0]);
        assert_eq!(found(&wide, &truth)[0].2, Some(Cause::OtherShape));
        let mut lost = right(&truth);
        overall(&mut lost).insert(Statistic::Mean, vec![f64::NAN]);
        assert_eq!(found(&lost, &truth)[0].2, Some(Cause::NotFinite));
        // An episode that is not recorded, and one that has no rows.
        let mut fewer = right(&truth);
        let gone = fewer.episodes.remove(&1).expect("recorded");
        fewer.episodes.insert(7, gone);
        let missing = found(&fewer, &truth);
        assert!(missing.iter().all(|(source, ..)| *source == RecordedSource::Episodes));
        assert_eq!(missing.len(), 8, "{missing:?}");
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "what 32 bits make of it is the point")]
    fn deviations_tell_how_they_were_computed() {
        let (values, episodes) = rows();
        let truth = truth(&values, &episodes);
        let mut sample = right(&truth);
        let std = overall(&mut sample).get_mut(&Statistic::Std).expect("recorded");
        std[0] *= (75.0_f64 / 74.0).sqrt();
        assert_eq!(found(&sample, &truth)[0].2, Some(Cause::SampleDeviation));
        // 32-bit squares of values far from 0.
        let far: Vec<f64> = values.iter().map(|x| f64::from((x + 20_000.0) as f32)).collect();
        let far_truth = self::truth(&far, &episodes);
        let squares = far.iter().map(|x| (x * x) as f32).sum::<f32>() / 75.0;
        let mean = far.iter().map(|x| *x as f32).sum::<f32>() / 75.0;
        let mut rounded = right(&far_truth);
        let wrong = f64::from(squares - mean * mean).max(0.0).sqrt();
        overall(&mut rounded).insert(Statistic::Std, vec![wrong]);
        assert_eq!(found(&rounded, &far_truth)[0].2, Some(Cause::SinglePrecisionSquares), "{wrong}");
        // Means of episodes' means.
        let mut plain = right(&truth);
        let mean = truth.episodes.values().map(|of| of.moments.mean()[0]).sum::<f64>() / 3.0;
        overall(&mut plain).insert(Statistic::Mean, vec![mean]);
        assert_eq!(found(&plain, &truth)[0].2, Some(Cause::UnweightedMean));
    }

    #[test]
    fn a_constant_is_no_division_by_zero() {
        let truth = truth(&[2.0; 6], &[0; 6]);
        let mut of = right(&truth);
        overall(&mut of).insert(Statistic::Quantile(10), vec![2.0 - 1e-10]);
        assert_eq!(found(&of, &truth), []);
        overall(&mut of).insert(Statistic::Mean, vec![2.1]);
        assert_eq!(found(&of, &truth).len(), 1);
    }
}
