//! What is in files: the document `simic.inspect/1`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Schema of the document.
const INSPECT_SCHEMA: &str = "simic.inspect/1";

/// Files and what each holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InspectionDocument {
    /// `simic.inspect/1`.
    #[schemars(extend("const" = INSPECT_SCHEMA))]
    pub schema: String,
    /// Data sets that the files are of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetRow>,
    /// Files in the order named.
    pub files: Vec<FileRow>,
    /// How the files were looked at; documents written before 0.2 lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<InspectAnalysis>,
}

/// `inspect` as it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InspectAnalysis {
    /// Value columns of coalition rows; empty for the default.
    pub value: Vec<String>,
    /// Columns by the field they are read as.
    pub columns: BTreeMap<String, String>,
    /// Columns that are the observation; empty for the usual one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obs: Vec<String>,
}

/// A data set: a folder whose files belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SetRow {
    /// Its name, which is the run of its rows.
    pub name: String,
    /// Its layout and the version of that.
    pub layout: String,
    /// Its folder.
    pub folder: String,
    /// Files of rows.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Episodes that have rows.
    pub episodes: u64,
    /// Rows a second, where it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Features that its description lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<SetFeatureRow>,
    /// What is wrong with it as a whole.
    pub problems: Vec<String>,
}

/// A feature of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetFeatureRow {
    /// The feature.
    pub feature: String,
    /// Its type, by the data set's word.
    pub dtype: String,
    /// Values of a row along each axis.
    pub shape: Vec<usize>,
    /// Names of those values, where it has such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<String>,
}

/// One file: its structure and what its rows say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileRow {
    /// The data set it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// The file as the user knows it.
    pub file: String,
    /// coalitions, transitions or other.
    pub kind: String,
    /// Rows.
    pub rows: u64,
    /// Columns with their types.
    pub columns: BTreeMap<String, String>,
    /// Runs.
    pub runs: Option<u64>,
    /// Episodes.
    pub episodes: Option<u64>,
    /// Environments.
    pub envs: Option<u64>,
    /// First and last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<(i64, i64)>,
    /// Values of an observation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obs_width: Option<usize>,
    /// Observation values that are not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub non_finite_obs: Option<u64>,
    /// Least and greatest reward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_range: Option<(f64, f64)>,
    /// Rewards null or not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_rewards: Option<u64>,
    /// Games of coalition rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub games: Option<GamesRow>,
    /// Columns by the role they are read in, or would be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Vec<String>>,
    /// Columns that play no role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<String>,
    /// The command that reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// What is odd about its rows, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oddities: Option<Vec<ProblemRow>>,
}

/// Rows that are odd in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemRow {
    /// What is odd, in words.
    pub problem: String,
    /// The run and environment, the column or the game.
    pub place: String,
    /// How many times.
    pub n: u64,
    /// The first row that shows it, counted from 0.
    pub first_row: Option<u64>,
}

/// The games of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GamesRow {
    /// Games.
    pub n: u64,
    /// Games with all 2^n coalitions.
    pub complete: u64,
    /// Games with recorded permutations.
    pub with_walks: u64,
    /// Games with repeated evaluations.
    pub with_repeats: u64,
    /// All slots.
    pub slots: BTreeSet<String>,
    /// Least and greatest number of players.
    pub players: (u64, u64),
    /// Least and mean share of the 2^n coalitions recorded.
    pub coverage: (f64, f64),
    /// Rows that repeat a coalition of their game, walks not counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeated_rows: u64,
    /// The first game that lacks coalitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_missing: Option<MissingRow>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Coalitions that a game lacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MissingRow {
    /// The game.
    pub game: String,
    /// How many of its 2^n coalitions are missing.
    pub n: f64,
    /// The first of them.
    pub coalitions: Vec<String>,
}

impl InspectionDocument {
    /// The document of these files.
    pub fn new(sets: Vec<SetRow>, files: Vec<FileRow>, settings: InspectAnalysis) -> Self {
        Self { schema: INSPECT_SCHEMA.to_owned(), sets, files, settings: Some(settings) }
    }

    /// Problems in all files.
    pub fn n_problems(&self) -> usize {
        let of_sets: usize = self.sets.iter().map(|set| set.problems.len()).sum();
        of_sets + self.files.iter().map(|file| file.problems.len()).sum::<usize>()
    }

    /// Oddities of all files.
    pub fn n_oddities(&self) -> usize {
        self.files.iter().flat_map(|file| &file.oddities).map(Vec::len).sum()
    }
}
