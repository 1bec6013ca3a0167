//! Minari data sets: `metadata.json` beside one folder for each episode (Parquet, Arrow), or beside one file of all (HDF5).
//!
//! In a folder an episode's table has one row more than steps, for the observation after the last one; its action, reward and flags
//! are zeros that nobody recorded.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::error::{Problem, RecordError};
use super::super::literal::with_null_non_finite;
use super::member::{About, Dataset, Member, Role, description, rows_said};

/// What the layout is called.
pub(super) const NAME: &str = "Minari";

/// The file of all episodes, in HDF5.
const ALL_EPISODES: &str = "main_data.hdf5";

/// The data set that lies in a folder.
pub(super) fn dataset(folder: &Path) -> Result<Option<Dataset>, RecordError> {
    let path = folder.join("metadata.json");
    let metadata = match description(&path) {
        // A file of this name may be of anything; beside numbered folders it is of this.
        Err(_) if !folder.join("0").is_dir() => return Ok(None),
        metadata => metadata?,
    };
    let Some(metadata) = metadata else { return Ok(None) };
    if metadata.get("data_format").is_none() || metadata.get("observation_space").is_none() {
        return Ok(None);
    }
    let n_rows = rows_said(&metadata, "total_steps", &path)?;
    let n_episodes = metadata.get("total_episodes").and_then(Value::as_u64);
    let parts = match metadata.get("observation_space").and_then(Value::as_str) {
        Some(text) => parts_of(text).map_err(|error| {
            let problem = Problem::DamagedDescription(format!("observation_space: {error}"));
            RecordError::file(path.to_string_lossy(), problem)
        })?,
        None => Vec::new(),
    };
    let about = About { n_episodes, parts, ..About::default() };
    Ok(Some(Dataset { layout: NAME, root: folder.to_owned(), n_rows, n_files: None, about }))
}

/// Columns of the parts of a space. Spaces without bounds have infinities in them, which JSON does not.
fn parts_of(text: &str) -> Result<Vec<String>, serde_json::Error> {
    serde_json::from_slice::<Space>(&with_null_non_finite(text.as_bytes())).map(|space| space.parts())
}

/// An observation space, as its description has it: of Dict and Tuple spaces, those they are made of.
#[derive(Deserialize)]
struct Space {
    #[serde(default)]
    subspaces: Subspaces,
}

/// The spaces of a Dict by name, or of a Tuple by number, in their order.
#[derive(Default)]
struct Subspaces(Vec<(String, Space)>);

impl Space {
    /// Columns of its parts; none of a space without such.
    fn parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        self.subspaces
            .0
            .iter()
            .for_each(|(name, space)| space.add(&format!("observations.{name}"), &mut parts));
        parts
    }

    fn add(&self, column: &str, parts: &mut Vec<String>) {
        if self.subspaces.0.is_empty() {
            parts.push(column.to_owned());
        }
        self.subspaces.0.iter().for_each(|(name, space)| space.add(&format!("{column}.{name}"), parts));
    }
}

impl<'de> Deserialize<'de> for Subspaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SubspacesVisitor)
    }
}

/// Keeps the order of a map, which `Value` does not.
struct SubspacesVisitor;

impl<'de> Visitor<'de> for SubspacesVisitor {
    type Value = Subspaces;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("spaces by name or in a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Subspaces, A::Error> {
        let mut spaces = Vec::new();
        while let Some(entry) = map.next_entry()? {
            spaces.push(entry);
        }
        Ok(Subspaces(spaces))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Subspaces, A::Error> {
        let mut spaces = Vec::new();
        while let Some(space) = list.next_element()? {
            spaces.push((spaces.len().to_string(), space));
        }
        Ok(Subspaces(spaces))
    }
}

/// The tables in folders that are numbered have an episode each, the file beside the description has all.
///
/// # Errors
/// An episode that does not say how many steps it has: nothing else tells the row after the last one.
pub(super) fn role(dataset: &Arc<Dataset>, file: &Path) -> Result<Role, RecordError> {
    let folder = file.parent();
    if folder == Some(&dataset.root) && file.file_name() == Some(OsStr::new(ALL_EPISODES)) {
        let run = run(dataset);
        return Ok(Role::Rows(Member { dataset: dataset.clone(), run, episode: 0, env: 0, n_rows: None }));
    }
    let number = folder.and_then(Path::file_name).and_then(OsStr::to_str).and_then(|name| name.parse().ok());
    let (Some(folder), Some(episode)) = (folder, number) else { return Ok(Role::Aside) };
    if folder.parent() != Some(&dataset.root) {
        return Ok(Role::Aside);
    }
    let path = folder.join("metadata.json");
    let steps = description(&path)?.unwrap_or_default();
    let n_rows = rows_said(&steps, "total_steps", &path)?;
    Ok(Role::Rows(Member { dataset: dataset.clone(), run: run(dataset), episode, env: 0, n_rows }))
}

/// The folder that a data set is called after: the data lies in a folder of its own below the name.
fn run(dataset: &Dataset) -> PathBuf {
    let is_data = dataset.root.file_name() == Some(OsStr::new("data"));
    dataset.root.parent().filter(|_| is_data).unwrap_or(&dataset.root).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_without_bounds_have_their_parts_in_order() {
        let space = r#"{"type":"Dict","subspaces":{"zeta":{"type":"Box","low":[-Infinity],"high":[Infinity]},
            "alpha":{"type":"Tuple","subspaces":[{"type":"Box","low":[NaN]},{"type":"Discrete","n":3}]}}}"#;
        let expected = ["observations.zeta", "observations.alpha.0", "observations.alpha.1"];
        assert_eq!(parts_of(space).expect("a space"), expected);
        assert!(parts_of("{\"subspaces\": ").is_err());
    }

    #[test]
    fn parts_of_observations_are_those_of_their_space_in_its_order() {
        let parts = |text: &str| serde_json::from_str::<Space>(text).map(|space| space.parts());
        let nested = r#"{"subspaces": {"z": {"type": "Box"}, "a": {"subspaces": [{"n": 1}, {"n": 2}]}}}"#;
        let expected = ["observations.z", "observations.a.0", "observations.a.1"];
        assert_eq!(parts(nested).expect("a space"), expected);
        assert!(parts(r#"{"type": "Box", "shape": [3]}"#).expect("a space").is_empty());
        assert!(parts("{}, []").is_err());
    }
}
