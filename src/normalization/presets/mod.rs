//! The conventions of six frameworks, one file for each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod brax;
mod esper;
mod gymnasium;
mod rsl_rl;
mod sb3;
mod torchrl;

use super::conventions::{Conventions, Target};

/// A framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// esper-lite.
    Esper,
    /// Stable-Baselines3 VecNormalize.
    Sb3,
    /// Gymnasium vector NormalizeObservation and NormalizeReward.
    Gymnasium,
    /// rsl_rl EmpiricalNormalization.
    RslRl,
    /// TorchRL VecNormV2 with reduce_batch_dims.
    #[serde(rename = "torchrl")]
    TorchRl,
    /// brax running_statistics.
    Brax,
}

impl Preset {
    /// Every framework.
    pub const ALL: [Self; 6] =
        [Self::Esper, Self::Sb3, Self::Gymnasium, Self::RslRl, Self::TorchRl, Self::Brax];

    /// The conventions of this framework; `None` where it does not normalize the target.
    pub fn conventions(self, target: Target) -> Option<Conventions> {
        match self {
            Self::Esper => Some(esper::conventions(target)),
            Self::Sb3 => sb3::conventions(target),
            Self::Gymnasium => gymnasium::conventions(target),
            Self::RslRl => rsl_rl::conventions(target),
            Self::TorchRl => torchrl::conventions(target),
            Self::Brax => brax::conventions(target),
        }
    }

    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Esper => "esper",
            Self::Sb3 => "sb3",
            Self::Gymnasium => "gymnasium",
            Self::RslRl => "rsl-rl",
            Self::TorchRl => "torchrl",
            Self::Brax => "brax",
        }
    }
}
