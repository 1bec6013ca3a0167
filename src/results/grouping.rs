//! Which slots belong together, as documents tell it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attribution::{GroupRule, Partition};

/// Slots that belong together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Grouping {
    /// Patterns of slots that are one player together, as GLOB=NAME; absent without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<GroupRule>,
    /// Unions that divide first; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
}
