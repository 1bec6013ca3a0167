//! Any result as a page shows it.

use serde::Deserialize;
use serde_json::Value;

use super::{
    AblationDocument, CheckDocument, ComparisonDocument, InspectionDocument, InteractionDocument,
    NormalizationDocument, ShapleyDocument,
};

/// A result of some analysis.
#[derive(Debug, Clone, PartialEq)]
pub enum ResultDocument {
    /// `simic.inspect/1`.
    Inspection(InspectionDocument),
    /// `simic.shapley/1`.
    Shapley(Box<ShapleyDocument>),
    /// `simic.interactions/1`.
    Interactions(Box<InteractionDocument>),
    /// `simic.ablation/1`.
    Ablation(Box<AblationDocument>),
    /// `simic.normalize.compare/1`.
    Comparison(Box<ComparisonDocument>),
    /// `simic.normalize.stats/1` or `simic.normalize.replay/1`.
    Normalization(Box<NormalizationDocument>),
    /// `simic.check/1`.
    Check(CheckDocument),
}

impl ResultDocument {
    /// Reads a document, or several in an array.
    ///
    /// # Errors
    /// A schema that no page shows, or a damaged document, in words.
    pub fn read(document: &Value) -> Result<Vec<Self>, String> {
        match document {
            Value::Array(documents) => documents.iter().map(Self::read_one).collect(),
            document => Ok(vec![Self::read_one(document)?]),
        }
    }

    fn read_one(document: &Value) -> Result<Self, String> {
        let schema =
            document.get("schema").and_then(Value::as_str).ok_or("no \"schema\": not a result of simic")?;
        let damaged = |error: serde_json::Error| format!("a damaged {schema} document: {error}");
        match schema {
            "simic.inspect/1" => {
                InspectionDocument::deserialize(document).map(Self::Inspection).map_err(damaged)
            }
            "simic.shapley/1" => ShapleyDocument::deserialize(document)
                .map(|found| Self::Shapley(Box::new(found)))
                .map_err(damaged),
            "simic.interactions/1" => InteractionDocument::deserialize(document)
                .map(|found| Self::Interactions(Box::new(found)))
                .map_err(damaged),
            "simic.ablation/1" => AblationDocument::deserialize(document)
                .map(|found| Self::Ablation(Box::new(found)))
                .map_err(damaged),
            "simic.normalize.compare/1" => ComparisonDocument::deserialize(document)
                .map(|found| Self::Comparison(Box::new(found)))
                .map_err(damaged),
            "simic.normalize.stats/1" | "simic.normalize.replay/1" => {
                NormalizationDocument::deserialize(document)
                    .map(|found| Self::Normalization(Box::new(found)))
                    .map_err(damaged)
            }
            "simic.check/1" => CheckDocument::deserialize(document).map(Self::Check).map_err(damaged),
            other => Err(format!(
                "schema {other}: a page shows inspections, Shapley values, interactions, ablations, normalizations and checks"
            )),
        }
    }

    /// The document as JSON.
    ///
    /// # Errors
    /// Never for documents that were made or read here.
    pub fn to_json(&self) -> serde_json::Result<Value> {
        match self {
            Self::Inspection(document) => serde_json::to_value(document),
            Self::Shapley(document) => serde_json::to_value(document),
            Self::Interactions(document) => serde_json::to_value(document),
            Self::Ablation(document) => serde_json::to_value(document),
            Self::Comparison(document) => serde_json::to_value(document),
            Self::Normalization(document) => serde_json::to_value(document),
            Self::Check(document) => serde_json::to_value(document),
        }
    }
}
