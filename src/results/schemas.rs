//! JSON Schemas of all documents, generated from their types.

use schemars::{JsonSchema, Schema, schema_for};

use super::ablation::AblationDocument;
use super::baseline::Baseline;
use super::check::{CheckDocument, RecordDocument};
use super::comparison::{ComparisonDocument, DivisorDocument};
use super::devices::DeviceDocument;
use super::inspection::InspectionDocument;
use super::interactions::InteractionDocument;
use super::job::{JobDocument, JobStatusDocument};
use super::normalization::NormalizationDocument;
use super::shapley::ShapleyDocument;
use super::simulation::SimulationDocument;
use super::states::{StateDocument, VerificationDocument};
use super::statistics::StatisticsDocument;

/// Makes a schema from a type.
type MakeSchema = fn() -> Schema;

/// Names of the documents, in order: what `simic schema` takes and docs/schemas holds.
pub const SCHEMAS: [(&str, MakeSchema); 18] = [
    ("ablation", of::<AblationDocument>),
    ("baseline", of::<Baseline>),
    ("check", of::<CheckDocument>),
    ("check-record", of::<RecordDocument>),
    ("compare", of::<ComparisonDocument>),
    ("devices", of::<DeviceDocument>),
    ("divisors", of::<DivisorDocument>),
    ("inspect", of::<InspectionDocument>),
    ("interactions", of::<InteractionDocument>),
    ("job", of::<JobDocument>),
    ("job-status", of::<JobStatusDocument>),
    ("normalizer", of::<StateDocument>),
    ("replay", of::<NormalizationDocument>),
    ("shapley", of::<ShapleyDocument>),
    ("simulate", of::<SimulationDocument>),
    ("statistics", of::<StatisticsDocument>),
    ("stats", of::<NormalizationDocument>),
    ("verify", of::<VerificationDocument>),
];

fn of<T: JsonSchema>() -> Schema {
    schema_for!(T)
}

/// The JSON Schema of a document, pretty-printed; `None` if there is no document of this name.
pub fn schema(name: &str) -> Option<String> {
    let (_, make) = SCHEMAS.iter().find(|(known, _)| *known == name)?;
    let mut text = serde_json::to_string_pretty(&make()).unwrap_or_default();
    text.push('\n');
    Some(text)
}
