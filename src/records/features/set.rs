//! Data sets whose description lists features.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::error::{Problem, RecordError};
use super::super::layouts::{Dataset, Feature, LEROBOT};
use super::super::sources::InputFile;

/// A feature of a data set: a column of its data files, or one of pictures and texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetFeature {
    /// The column.
    pub name: String,
    /// Its type, by the description's word.
    pub dtype: String,
    /// Values per row.
    pub width: usize,
    /// Values along the last axis of a row.
    pub last_axis: usize,
    /// Names of the values of a row; none where there are none.
    pub dimensions: Vec<String>,
    /// Whether its rows are numbers.
    pub is_numeric: bool,
}

impl SetFeature {
    fn of(feature: &Feature) -> Self {
        Self {
            name: feature.name.clone(),
            dtype: feature.dtype.clone(),
            width: feature.width(),
            last_axis: feature.shape.last().copied().unwrap_or(1),
            dimensions: feature.dimensions.clone(),
            is_numeric: feature.is_numeric(),
        }
    }

    /// Whether its values have 32 bits.
    pub fn is_single(&self) -> bool {
        self.dtype == "float32"
    }

    /// Whether its values are truth values.
    pub fn is_truth(&self) -> bool {
        self.dtype == "bool"
    }

    /// Whether its values are whole numbers.
    pub fn is_whole(&self) -> bool {
        self.dtype.starts_with("int") || self.dtype.starts_with("uint")
    }
}

/// A data set whose description lists its features.
pub struct FeatureSet {
    dataset: Arc<Dataset>,
    pub(super) files: Vec<InputFile>,
}

impl FeatureSet {
    /// The LeRobot data sets that files are of, in the order of the files.
    pub fn of(files: &[InputFile]) -> Vec<Self> {
        let mut sets: Vec<Self> = Vec::new();
        for file in files {
            let Some(member) = file.member.as_ref().filter(|member| member.dataset.layout == LEROBOT) else {
                continue;
            };
            match sets.iter_mut().find(|set| set.dataset.root == member.dataset.root) {
                Some(set) => set.files.push(file.clone()),
                None => sets.push(Self { dataset: member.dataset.clone(), files: vec![file.clone()] }),
            }
        }
        sets
    }

    /// What its run is called.
    #[expect(clippy::misnamed_getters, reason = "a set is called as its run is")]
    pub fn name(&self) -> &str {
        &self.files[0].run
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.dataset.root
    }

    /// A file of it that its description keeps beside the rows.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.dataset.root.join(path)
    }

    /// Its layout and the version of that.
    pub fn layout(&self) -> String {
        let version = self.dataset.about.version.as_deref().unwrap_or("of no version");
        format!("{} {version}", self.dataset.layout)
    }

    /// Episodes it says it has.
    pub fn n_episodes(&self) -> Option<u64> {
        self.dataset.about.n_episodes
    }

    /// Steps a second.
    pub fn fps(&self) -> Option<f64> {
        self.dataset.about.fps
    }

    /// Its features, in the order of their names.
    pub fn features(&self) -> Vec<SetFeature> {
        self.dataset.about.features.iter().map(SetFeature::of).collect()
    }

    /// Refuses a part of a data set, or one that has lost rows: its statistics are those of all.
    pub(super) fn check_rows(&self, found: u64) -> Result<(), RecordError> {
        match self.dataset.n_rows.filter(|expected| *expected != found) {
            None => Ok(()),
            Some(expected) => {
                let problem = Problem::DatasetRows { layout: self.dataset.layout, expected, found };
                Err(RecordError::file(self.dataset.root.to_string_lossy(), problem))
            }
        }
    }
}
