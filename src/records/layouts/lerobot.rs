//! LeRobot data sets (v2.0, v2.1, v3.0): `meta/info.json` beside `data/`, one run in one or many Parquet files.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::super::error::RecordError;
use super::member::{About, Dataset, Feature, Member, Role, description, rows_said};

/// What the layout is called.
pub(in crate::records) const NAME: &str = "LeRobot";

/// The data set that lies in a folder.
pub(super) fn dataset(folder: &Path) -> Result<Option<Dataset>, RecordError> {
    let path = folder.join("meta/info.json");
    let Some(info) = description(&path)? else { return Ok(None) };
    if info.get("codebase_version").is_none() || info.get("features").is_none() {
        return Ok(None);
    }
    let n_rows = rows_said(&info, "total_frames", &path)?;
    let about = About {
        version: info.get("codebase_version").and_then(Value::as_str).map(str::to_owned),
        n_episodes: info.get("total_episodes").and_then(Value::as_u64),
        fps: info.get("fps").and_then(Value::as_f64),
        features: info.get("features").map(features).unwrap_or_default(),
        parts: Vec::new(),
    };
    Ok(Some(Dataset { layout: NAME, root: folder.to_owned(), n_rows, n_files: None, about }))
}

/// The features that the description lists.
fn features(listed: &Value) -> Vec<Feature> {
    let listed = listed.as_object().into_iter().flatten();
    let feature = |(name, feature): (&String, &Value)| {
        let sides = feature.get("shape").and_then(Value::as_array).into_iter().flatten();
        let side = |side: &Value| side.as_u64().and_then(|side| usize::try_from(side).ok()).unwrap_or(0);
        let shape: Vec<usize> = sides.map(side).collect();
        let mut found = Feature {
            name: name.clone(),
            dtype: feature.get("dtype").and_then(Value::as_str).unwrap_or_default().to_owned(),
            shape: if shape.is_empty() { vec![1] } else { shape },
            dimensions: feature.get("names").map(names).unwrap_or_default(),
        };
        if found.dimensions.len() != found.width() {
            found.dimensions.clear();
        }
        found
    };
    listed.map(feature).collect()
}

/// Names of dimensions: a list of them, or a list under what it belongs to (`{"motors": [..]}`).
fn names(listed: &Value) -> Vec<String> {
    match listed {
        Value::String(name) => vec![name.clone()],
        Value::Array(names) => names.iter().flat_map(self::names).collect(),
        // Names with their places.
        Value::Object(places) if places.values().all(Value::is_u64) => {
            let mut placed: Vec<(u64, &String)> =
                places.iter().map(|(name, place)| (place.as_u64().unwrap_or(0), name)).collect();
            placed.sort();
            placed.into_iter().map(|(_, name)| name.clone()).collect()
        }
        // Of several groups the order is not kept.
        Value::Object(groups) if groups.len() == 1 => groups.values().flat_map(self::names).collect(),
        _ => Vec::new(),
    }
}

/// Its files under `data/` have its rows, in the order of their paths.
pub(super) fn role(dataset: &Arc<Dataset>, file: &Path) -> Role {
    if file.starts_with(dataset.root.join("data")) {
        Role::Rows(Member {
            dataset: dataset.clone(),
            run: dataset.root.clone(),
            episode: 0,
            env: 0,
            n_rows: None,
        })
    } else {
        Role::Aside
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_dimensions_are_those_of_every_writer() {
        let of = |names: Value, shape: Value| {
            let listed = json!({"F": {"dtype": "float32", "shape": shape, "names": names}});
            features(&listed)[0].dimensions.clone()
        };
        assert_eq!(of(json!(["a", "b"]), json!([2])), ["a", "b"]);
        assert_eq!(of(json!({"motors": ["a", "b"]}), json!([2])), ["a", "b"]);
        assert_eq!(of(json!({"b": 1, "a": 0}), json!([2])), ["a", "b"]);
        // One name for several values names none of them.
        assert!(of(json!(["state"]), json!([2])).is_empty());
        assert!(of(json!(["height", "width"]), json!([4, 4])).is_empty());
        assert!(of(json!({"z": ["a"], "y": ["b"]}), json!([2])).is_empty());
        assert!(of(Value::Null, json!([1])).is_empty());
    }

    #[test]
    fn pictures_and_texts_are_no_numbers() {
        let of = |dtype: &str| features(&json!({"F": {"dtype": dtype, "shape": []}}))[0].clone();
        assert!(
            ["float32", "float64", "int64", "uint8", "bool"].into_iter().all(|dtype| of(dtype).is_numeric())
        );
        assert!(!["video", "image", "string", "language"].into_iter().any(|dtype| of(dtype).is_numeric()));
        assert_eq!(of("bool").width(), 1);
    }
}
