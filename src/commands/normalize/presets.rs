//! Flags that name a framework.

use clap::{Args, ValueEnum};

use crate::normalization::Preset;

/// A framework whose conventions are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PresetArg {
    /// esper-lite: EMA 0.99 per round, normalized before the update
    Esper,
    /// Stable-Baselines3 VecNormalize
    Sb3,
    /// Gymnasium vector wrappers
    Gymnasium,
    /// rsl_rl EmpiricalNormalization
    RslRl,
    /// TorchRL VecNormV2 with reduce_batch_dims
    Torchrl,
    /// brax running_statistics
    Brax,
}

impl From<PresetArg> for Preset {
    fn from(preset: PresetArg) -> Self {
        match preset {
            PresetArg::Esper => Self::Esper,
            PresetArg::Sb3 => Self::Sb3,
            PresetArg::Gymnasium => Self::Gymnasium,
            PresetArg::RslRl => Self::RslRl,
            PresetArg::Torchrl => Self::TorchRl,
            PresetArg::Brax => Self::Brax,
        }
    }
}

/// The framework training normalized with.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "How training normalized")]
pub struct PresetArgs {
    /// Conventions of this framework; flags change single ones
    #[arg(long, value_enum)]
    pub preset: Option<PresetArg>,
}

impl PresetArgs {
    /// The framework.
    pub(super) fn named(self) -> Option<Preset> {
        self.preset.map(Preset::from)
    }
}
