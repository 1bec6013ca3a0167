//! `simic normalize verify` without a state: what data sets record of themselves.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use crate::commands::{CommandError, Context, Outcome, is_read, on_disk, read_at};
use crate::normalization::{
    FeatureRows, FeatureTruth, JudgedFeature, RecordedFeature, Statistic, Tolerances, USUAL_LEVELS, judge,
};
use crate::records::{AtomicFile, FeatureSet, InputFile, RecordedSet, SetFeature, stats_text};
use crate::report::write_statistics;
use crate::results::{
    ComparedFeature, LeftOutFeature, StatisticRow, StatisticsAnalysis, StatisticsDocument, StatisticsSet,
};

/// Largest distance of a quantile that is no difference: what bins and conventions make.
const QUANTILE_TOLERANCE: f64 = 0.05;

/// Reasons that a message lists.
const MOST_REASONS: usize = 4;

/// What is asked.
pub(super) struct Asked<'a> {
    /// Files, directories, patterns.
    pub(super) runs: &'a [String],
    /// Features; empty for all.
    pub(super) features: &'a [String],
    /// Largest distance of means, deviations and extremes.
    pub(super) tolerance: f64,
    /// Rows of differences that a table lists.
    pub(super) n_rows: usize,
}

/// Reads, compares, reports.
///
/// # Errors
/// Flags about a state, no data set that records statistics, unreadable input.
pub(super) fn run(asked: &Asked<'_>, context: &Context) -> Result<Outcome, CommandError> {
    let files = context.discover(asked.runs)?.files;
    let settings = StatisticsAnalysis {
        features: asked.features.to_vec(),
        tolerance: asked.tolerance,
        quantile_tolerance: QUANTILE_TOLERANCE,
    };
    let sets = FeatureSet::of(&files);
    let mut found = Vec::new();
    for set in &sets {
        let recorded = set.recorded()?;
        if recorded.overall.is_some() || recorded.episodes.is_some() {
            found.push(compared(set, &recorded, &settings)?);
        }
    }
    if found.is_empty() {
        return Err(CommandError::Usage {
            message: "no --state, and nothing here records statistics of its own rows".to_owned(),
            hint: Some(
                "name the state with --state FILE; LeRobot data sets record theirs in meta/stats.json"
                    .to_owned(),
            ),
        });
    }
    check_compared(&found, asked.features)?;
    Context::check_unchanged(&files)?;
    let document = StatisticsDocument::new(settings, found).concluded();
    context
        .write(|out| write_statistics(&document, context.format(), &context.screen(), asked.n_rows, out))?;
    Ok(if document.matches { Outcome::Clean } else { Outcome::Findings })
}

/// Refuses a comparison of nothing.
///
/// # Errors
/// Features that have no statistics that could be compared.
fn check_compared(found: &[StatisticsSet], asked: &[String]) -> Result<(), CommandError> {
    if found.iter().flat_map(|set| &set.checks).any(|check| check.n_compared > 0) {
        return Ok(());
    }
    let names: Vec<&str> = found.iter().map(|set| &set.run_id[..]).collect();
    let message = format!("nothing is compared: {} records no statistics of such features", names.join(", "));
    let reasons = found.iter().flat_map(|set| &set.left_out);
    let reasons: Vec<String> =
        reasons.map(|left| format!("{}: {}", left.feature, left.reason)).take(MOST_REASONS).collect();
    let hint = if reasons.is_empty() {
        "look at meta/stats.json and meta/episodes".to_owned()
    } else {
        reasons.join("; ")
    };
    Err(if asked.is_empty() {
        CommandError::State(message, hint)
    } else {
        CommandError::Usage { message, hint: Some(hint) }
    })
}

/// Statistics that the set's file of all rows has of any feature.
fn statistics_of_file(recorded: &RecordedSet) -> BTreeSet<Statistic> {
    let overall = recorded.features.values().filter_map(|feature| feature.overall.as_ref());
    overall.flat_map(|overall| overall.keys().copied()).collect()
}

/// A feature's statistics with those that the file of all rows has of other features and not of it: without numbers.
fn with_missing(recorded: &RecordedFeature, of_file: &BTreeSet<Statistic>) -> RecordedFeature {
    let mut recorded = recorded.clone();
    if let Some(overall) = &mut recorded.overall {
        for statistic in of_file {
            overall.entry(*statistic).or_default();
        }
    }
    recorded
}

/// Compares one data set.
fn compared(
    set: &FeatureSet,
    recorded: &RecordedSet,
    settings: &StatisticsAnalysis,
) -> Result<StatisticsSet, CommandError> {
    let Chosen { features, left_out } = chosen(set, recorded, &settings.features)?;
    let mut found = StatisticsSet {
        run_id: set.name().to_owned(),
        layout: set.layout(),
        rows: 0,
        episodes: 0,
        fps: set.fps(),
        matches: true,
        sources: [recorded.overall, recorded.episodes].into_iter().flatten().map(str::to_owned).collect(),
        features: Vec::new(),
        checks: Vec::new(),
        left_out,
    };
    let of_file = statistics_of_file(recorded);
    let tolerances = Tolerances { moments: settings.tolerance, quantiles: settings.quantile_tolerance };
    for group in set.groups(&features)? {
        let columns = set.read(group)?;
        found.rows = columns.episodes.len() as u64;
        for (feature, values) in group.iter().zip(&columns.values) {
            let mut widest = 0;
            let mut of_last_axis = false;
            for of in &alike(feature, &with_missing(&recorded.features[&feature.name], &of_file)) {
                let dimensions = dimensions_of(feature, of);
                let (width, episodes) = (feature.width, &columns.episodes[..]);
                let rows = FeatureRows { values, width, dimensions, episodes };
                let Some(truth) = rows.truth(&levels(of)) else { continue };
                found.episodes = truth.episodes.len() as u64;
                let judged = JudgedFeature { recorded: of, truth: &truth, is_single: feature.is_single() };
                let checks = judge(judged, tolerances);
                found.matches &= checks.iter().all(|check| check.n_differing == 0);
                found.checks.extend(checks.iter().map(|check| StatisticRow::of(&feature.name, check)));
                widest = widest.max(dimensions);
                of_last_axis |= dimensions < width;
            }
            found.features.push(ComparedFeature {
                feature: feature.name.clone(),
                dtype: feature.dtype.clone(),
                width: feature.width,
                dimensions: dimension_names(feature, widest),
                of_last_axis,
            });
        }
    }
    Ok(found)
}

/// Features that can be compared, and those that cannot.
struct Chosen {
    features: Vec<SetFeature>,
    left_out: Vec<LeftOutFeature>,
}

/// The features asked for, or all.
fn chosen(set: &FeatureSet, recorded: &RecordedSet, asked: &[String]) -> Result<Chosen, CommandError> {
    let known = set.features();
    if let Some(name) = asked.iter().find(|name| known.iter().all(|feature| feature.name != **name)) {
        let names: Vec<&str> = known.iter().map(|feature| &feature.name[..]).collect();
        return Err(CommandError::Usage {
            message: format!("--obs {name}: {} has no such feature", set.name()),
            hint: Some(format!("it has {}", names.join(", "))),
        });
    }
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|other| other == name);
    let mut chosen = Chosen { features: Vec::new(), left_out: Vec::new() };
    let left_out = |feature: &str, reason: String| LeftOutFeature { feature: feature.to_owned(), reason };
    for feature in known.iter().filter(|feature| is_asked(&feature.name)) {
        let is_recorded = recorded.features.contains_key(&feature.name);
        if !feature.is_numeric {
            let reason = format!("{}: its rows are no numbers of the data files", feature.dtype);
            chosen.left_out.push(left_out(&feature.name, reason));
        } else if !is_recorded {
            chosen.left_out.push(left_out(&feature.name, "no statistics are recorded of it".to_owned()));
        } else {
            if let (Some(file), None) = (recorded.overall, &recorded.features[&feature.name].overall) {
                let reason = format!("{file} has no statistics of it");
                chosen.left_out.push(left_out(&feature.name, reason));
            }
            chosen.features.push(feature.clone());
        }
    }
    for name in recorded.features.keys().filter(|name| is_asked(name)) {
        if known.iter().all(|feature| feature.name != *name) {
            let reason = "recorded, and no feature of the description".to_owned();
            chosen.left_out.push(left_out(name, reason));
        }
    }
    Ok(chosen)
}

/// Levels of the quantiles that are recorded.
fn levels(recorded: &RecordedFeature) -> Vec<u8> {
    let overall = recorded.overall.iter();
    let mut levels: Vec<u8> = overall
        .chain(recorded.episodes.values())
        .flat_map(|of| of.keys())
        .filter_map(|statistic| match statistic {
            Statistic::Quantile(percent) => Some(*percent),
            _ => None,
        })
        .collect();
    levels.sort_unstable();
    levels.dedup();
    levels
}

/// What is recorded, in parts whose statistics are of as many dimensions: over all rows and over episodes, where those differ.
fn alike(feature: &SetFeature, recorded: &RecordedFeature) -> Vec<RecordedFeature> {
    let overall = RecordedFeature { overall: recorded.overall.clone(), ..RecordedFeature::default() };
    let episodes = RecordedFeature { episodes: recorded.episodes.clone(), ..RecordedFeature::default() };
    let has_both = recorded.overall.is_some() && !recorded.episodes.is_empty();
    if has_both && dimensions_of(feature, &overall) != dimensions_of(feature, &episodes) {
        vec![overall, episodes]
    } else {
        vec![recorded.clone()]
    }
}

/// Dimensions that the recorded statistics are of: all values of a row, or its last axis where as many are recorded.
fn dimensions_of(feature: &SetFeature, recorded: &RecordedFeature) -> usize {
    let of = recorded.overall.as_ref().or_else(|| recorded.episodes.values().next());
    let n_means = of.and_then(|of| of.get(&Statistic::Mean)).map(Vec::len);
    if n_means == Some(feature.last_axis) { feature.last_axis } else { feature.width }
}

/// Names of the dimensions.
fn dimension_names(feature: &SetFeature, n: usize) -> Vec<String> {
    if feature.dimensions.len() == n {
        return feature.dimensions.clone();
    }
    if n == 1 {
        return vec![feature.name.clone()];
    }
    (0..n).map(|d| format!("{}[{d}]", feature.name)).collect()
}

/// Statistics of a data set in its own form, written and not yet in their place.
pub(super) struct PreparedStatistics {
    file: AtomicFile,
    name: String,
}

impl PreparedStatistics {
    /// Writes what the rows of the one data set among `files` imply beside the place that is asked for.
    ///
    /// # Errors
    /// None or several data sets, unreadable rows, and a file that cannot be written.
    pub(super) fn of(path: &Path, files: &[InputFile], force: bool) -> Result<Self, CommandError> {
        let sets = FeatureSet::of(files);
        let [set] = &sets[..] else {
            let message =
                format!("--lerobot-stats-out {}: {} LeRobot data sets, one file", path.display(), sets.len());
            return Err(CommandError::usage(
                message,
                "name the folder of one data set, the one with meta/info.json",
            ));
        };
        if read_at(path, on_disk(files)).is_some() {
            return Err(is_read(&format!("--lerobot-stats-out {}", path.display())));
        }
        let recorded = set.recorded()?;
        let all = set.features();
        let features: Vec<SetFeature> = all.iter().filter(|feature| feature.is_numeric).cloned().collect();
        let mut truths: Vec<(SetFeature, FeatureTruth)> = Vec::new();
        for group in set.groups(&features)? {
            let columns = set.read(group)?;
            for (feature, values) in group.iter().zip(&columns.values) {
                let (width, episodes) = (feature.width, &columns.episodes[..]);
                let rows = FeatureRows { values, width, dimensions: width, episodes };
                truths.extend(rows.truth(&USUAL_LEVELS).map(|truth| (feature.clone(), truth)));
            }
        }
        // Of pictures there are no rows here: what is recorded of them is kept.
        let is_other = |name: &String| all.iter().any(|feature| feature.name == *name && !feature.is_numeric);
        let others = recorded.text.iter().filter_map(serde_json::Value::as_object).flatten();
        let others = others.filter(|(name, _)| is_other(name));
        let others = others.map(|(name, value)| (name.clone(), value.clone())).collect();
        let truths: Vec<_> = truths.into_iter().map(|(feature, truth)| (feature, truth.overall)).collect();
        let text = stats_text(&truths, &others);
        let name = path.display().to_string();
        let write = || -> std::io::Result<AtomicFile> {
            let mut file = AtomicFile::create(path, force)?;
            file.write_all(text.as_bytes())?;
            Ok(file)
        };
        let file = write().map_err(|source| CommandError::Output { target: name.clone(), source })?;
        Ok(Self { file, name })
    }

    /// Moves the file into its place; gives its path.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub(super) fn commit(self) -> Result<String, CommandError> {
        let target = self.name.clone();
        self.file.commit().map_err(|source| CommandError::Output { target, source })?;
        Ok(self.name)
    }
}
