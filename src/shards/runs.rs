//! What the runs of recorded steps come to, before they become one document: the seam between the work on single runs and
//! what is said of all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::MergeError;
use crate::normalization::KnownStep;
use crate::results::{ComparedRunRow, DeviceUsed, NormalizedRun, StepInput};

/// What one run came to, or one environment of it.
pub trait RunOutcome {
    /// Which run.
    fn run_id(&self) -> &str;
}

impl RunOutcome for NormalizedRun {
    fn run_id(&self) -> &str {
        &self.run_id
    }
}

/// Every setting of a comparison on one run.
#[derive(Debug, Serialize, Deserialize)]
pub struct ComparedRun {
    /// As the document has it.
    #[serde(with = "as_json")]
    pub row: ComparedRunRow,
    /// Where it ends; `None` where it has no row.
    pub end: Option<KnownStep>,
}

impl RunOutcome for ComparedRun {
    fn run_id(&self) -> &str {
        &self.row.run_id
    }
}

/// What the runs of a recording come to.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundRuns<R> {
    /// Runs, in the order of the recording.
    pub runs: Vec<R>,
    /// What there is to know of the recording itself.
    pub recording: StepFacts,
}

/// What there is to know of a recording of steps besides its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepFacts {
    /// Columns the values were read from.
    pub values: Vec<String>,
    /// Names of their dimensions, where a data set has some.
    pub dimensions: Vec<String>,
    /// Values per row.
    pub width: usize,
    /// What was read and what was left out.
    #[serde(with = "as_json")]
    pub input: StepInput,
    /// Whether rows were seen in replay order, where they were taken as they lie; `None` where they were put in order.
    pub is_ordered: Option<bool>,
    /// Where each run begins and ends.
    pub spans: Vec<RunSpan>,
    /// Where it was computed.
    pub device: DeviceUsed,
}

impl StepFacts {
    /// Refuses another part of the recording that was read otherwise.
    ///
    /// # Errors
    /// Other columns, another width, another device.
    pub fn check_same(&self, other: &Self) -> Result<(), MergeError> {
        if self.values != other.values {
            return Err(MergeError::OtherValues(self.values.join(", "), other.values.join(", ")));
        }
        if self.width != other.width {
            return Err(MergeError::OtherWidth(self.width, other.width));
        }
        if self.device != other.device {
            return Err(MergeError::OtherDevice(self.device.device.clone(), other.device.device.clone()));
        }
        Ok(())
    }

    /// Columns the values were read from, and names of their dimensions.
    pub fn columns(&self) -> (&[String], &[String]) {
        (&self.values, &self.dimensions)
    }
}

/// Where a run begins and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpan {
    /// The run.
    pub run_id: String,
    /// Least episode and step.
    pub first: (i64, i64),
    /// Greatest episode and step.
    pub last: (i64, i64),
}

/// Where runs and files stand in the whole recording.
#[derive(Debug, Default)]
pub struct RunOrder {
    /// Places of runs.
    pub runs: BTreeMap<String, usize>,
    /// Places of files.
    pub files: BTreeMap<String, usize>,
    /// Whether the rows of all files lie in replay order.
    pub is_ordered: bool,
}

/// Cells that are not finite whose places are told.
const PLACES_TOLD: usize = 20;

impl<R: RunOutcome> FoundRuns<R> {
    /// Puts together what tasks found, whatever their order.
    ///
    /// # Errors
    /// Tasks that read other columns, and runs that two of them have or the plan does not.
    pub fn merged(parts: Vec<Self>, order: &RunOrder) -> Result<Option<Self>, MergeError> {
        let mut whole: Option<Self> = None;
        for part in parts {
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => whole.add(part)?,
            }
        }
        if let Some(whole) = &mut whole {
            whole.sort(order)?;
        }
        Ok(whole)
    }

    fn add(&mut self, other: Self) -> Result<(), MergeError> {
        let (own, new) = (&mut self.recording, other.recording);
        own.check_same(&new)?;
        own.is_ordered = own.is_ordered.zip(new.is_ordered).map(|(own, new)| own && new);
        own.spans.extend(new.spans);
        own.input.files += new.input.files;
        own.input.skipped += new.input.skipped;
        own.input.non_finite_cells += new.input.non_finite_cells;
        own.input.non_finite_places.extend(new.input.non_finite_places);
        let add = |own: &mut BTreeMap<String, u64>, new: BTreeMap<String, u64>| {
            new.into_iter().for_each(|(reason, n)| *own.entry(reason).or_default() += n);
        };
        add(&mut own.input.skipped_by_reason, new.input.skipped_by_reason);
        add(&mut own.input.skipped_files, new.input.skipped_files);
        self.runs.extend(other.runs);
        Ok(())
    }

    fn sort(&mut self, order: &RunOrder) -> Result<(), MergeError> {
        let place = |run: &str| order.runs.get(run).copied();
        if let Some(run) = self.recording.spans.iter().find(|span| place(&span.run_id).is_none()) {
            return Err(MergeError::UnknownRun(run.run_id.clone()));
        }
        self.recording.spans.sort_by_key(|span| place(&span.run_id));
        if let Some(pair) = self.recording.spans.windows(2).find(|pair| pair[0].run_id == pair[1].run_id) {
            return Err(MergeError::DoubledRun(pair[0].run_id.clone()));
        }
        // Environments of one run keep their order.
        self.runs.sort_by_key(|run| place(run.run_id()));
        let facts = &mut self.recording;
        facts.is_ordered = facts.is_ordered.map(|is_ordered| is_ordered && order.is_ordered);
        let file = |name: &String| order.files.get(name).copied();
        facts.input.non_finite_places.sort_by_key(|place| (file(&place.file), place.row));
        facts.input.non_finite_places.truncate(PLACES_TOLD);
        Ok(())
    }
}

impl<R> FoundRuns<R> {
    /// The same with files that were left out before any task read one.
    #[must_use]
    pub fn with_skipped_files(mut self, files: BTreeMap<String, u64>) -> Self {
        for (reason, n) in files {
            *self.recording.input.skipped_files.entry(reason).or_default() += n;
        }
        self
    }
}

/// Documents, whose fields come and go, as text of their own.
mod as_json {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes a value as JSON text.
    ///
    /// # Errors
    /// A value that JSON does not have.
    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(value).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// Text that is not the value's.
    pub(super) fn deserialize<'de, T: serde::de::DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(serde::de::Error::custom)
    }
}
