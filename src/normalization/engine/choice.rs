//! Devices as the command line names them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A device as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    /// Our own code at 64 bits: the reference.
    Cpu,
    /// burn's CPU backend.
    Flex,
    /// A GPU through Vulkan, Metal or DirectX.
    Wgpu,
    /// An NVIDIA GPU.
    Cuda,
    /// The best GPU present, else the CPU.
    Auto,
}

impl DeviceChoice {
    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Flex => "flex",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
            Self::Auto => "auto",
        }
    }

    /// Whether this build can drive it.
    pub fn is_compiled_in(self) -> bool {
        match self {
            Self::Cpu | Self::Flex | Self::Auto => true,
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }
}
