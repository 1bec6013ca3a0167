//! A part: what one task found, with a head that says what it is of.
//!
//! The head is one line of JSON, so that a person can read it; what follows is the find (`codec`), whose length and hash
//! stand in the head.

use serde::{Deserialize, Serialize};

use super::error::MergeError;
use crate::results::fnv1a_hex;

/// Schema of a part's head.
pub const PART_SCHEMA: &str = "simic.part/1";

/// What a part is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartHeader {
    /// `simic.part/1`.
    pub schema: String,
    /// Version of the program.
    pub simic: String,
    /// The task.
    pub task: usize,
    /// Hash of the settings.
    pub settings_hash: String,
    /// Hash of the plan's lines.
    pub plan_hash: String,
    /// Hash of the task as it was read from its line.
    #[serde(default)]
    pub task_hash: String,
    /// Files read with their fingerprints, as the task has them.
    pub inputs: Vec<(String, String)>,
    /// Files beside the part with their fingerprints: normalized rows, a trace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<(String, String)>,
    /// Bytes of the find.
    #[serde(default)]
    pub bytes: u64,
    /// Their hash.
    #[serde(default)]
    pub hash: String,
}

/// The bytes of a part.
///
/// # Errors
/// None that a header can have; what JSON cannot carry is told as its problem.
pub fn sealed_part(header: PartHeader, find: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let header = PartHeader { bytes: find.len() as u64, hash: fnv1a_hex(find.iter().copied()), ..header };
    let mut bytes = serde_json::to_vec(&header)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(find);
    Ok(bytes)
}

/// The head of the part of `task`, and its find.
///
/// # Errors
/// [`MergeError::Damaged`].
pub fn open_part(task: usize, bytes: &[u8]) -> Result<(PartHeader, &[u8]), MergeError> {
    let damaged = |what: &str| MergeError::Damaged(task, what.to_owned());
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("it has no head"))?;
    let header: PartHeader =
        serde_json::from_slice(&bytes[..end]).map_err(|_| damaged("its head is none"))?;
    if header.schema != PART_SCHEMA {
        return Err(damaged(&format!("it is a {}, not a {PART_SCHEMA}", header.schema)));
    }
    let find = &bytes[end + 1..];
    if find.len() as u64 != header.bytes {
        return Err(damaged(&format!("{} bytes of {}", find.len(), header.bytes)));
    }
    if fnv1a_hex(find.iter().copied()) != header.hash {
        return Err(damaged("its bytes are not those that were written"));
    }
    Ok((header, find))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_a_find_changes_unseen() {
        let header = PartHeader {
            schema: PART_SCHEMA.to_owned(),
            simic: "0.1.0".to_owned(),
            task: 3,
            settings_hash: String::new(),
            plan_hash: String::new(),
            task_hash: String::new(),
            inputs: vec![("a.parquet".to_owned(), "1-2".to_owned())],
            beside: Vec::new(),
            bytes: 0,
            hash: String::new(),
        };
        let find = b"what was found\n\0";
        let bytes = sealed_part(header.clone(), find).expect("a part");
        let (read, again) = open_part(3, &bytes).expect("a part");
        assert_eq!((read.task, read.inputs, again), (3, header.inputs, &find[..]));
        let body = bytes.len() - find.len();
        for place in body..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(matches!(open_part(3, &damaged), Err(MergeError::Damaged(3, _))), "{place}");
        }
        for n in 0..bytes.len() {
            assert!(open_part(3, &bytes[..n]).is_err(), "{n}");
        }
    }
}
