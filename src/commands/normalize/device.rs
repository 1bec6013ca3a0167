//! `--device`: which device a replay runs on, and what is said of it.

use clap::ValueEnum;

use super::plan::Plan;
use crate::commands::Context;
use crate::normalization::{DeviceChoice, Engine, Granularity, UpdatesTold, carry_obstacle};
use crate::results::ReplayAnalysis;

/// A device of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceArg {
    /// Our own code at 64 bits: the reference
    Cpu,
    /// burn's CPU backend
    Flex,
    /// A GPU through Vulkan, Metal or DirectX
    Wgpu,
    /// An NVIDIA GPU
    Cuda,
    /// The best GPU present, else the CPU
    Auto,
}

impl From<DeviceArg> for DeviceChoice {
    fn from(argument: DeviceArg) -> Self {
        match argument {
            DeviceArg::Cpu => Self::Cpu,
            DeviceArg::Flex => Self::Flex,
            DeviceArg::Wgpu => Self::Wgpu,
            DeviceArg::Cuda => Self::Cuda,
            DeviceArg::Auto => Self::Auto,
        }
    }
}

/// Says what of a replay the host does beside a device.
pub(super) fn tell_host_work(
    engine: &Engine,
    analysis: &ReplayAnalysis,
    plan: &Plan,
    told: UpdatesTold,
    context: &Context,
) {
    let name = engine.choice().name();
    let obstacle = match told {
        UpdatesTold::Every => Some("--trace tells each of them"),
        UpdatesTold::LastOfTile => carry_obstacle(&plan.rule),
    };
    if plan.granularity == Granularity::Episode {
        context.console.note(&format!(
            "on {name} the host adds up the rows of episodes, and the device waits for it after every block"
        ));
    } else if let Some(obstacle) = obstacle {
        context.console.note(&format!("on {name} the host makes every update: {obstacle}"));
    }
    if plan.per_env {
        context.console.note(&format!("on {name} every environment goes through by itself, block by block"));
    } else if analysis.learn_every.is_some() {
        context.console.note(&format!(
            "on {name} the device waits for the host after every rollout, which is normalized again with the state then"
        ));
    }
}

/// Says which device was found, where that was left open, and what is odd about it.
pub(super) fn tell_device(asked: DeviceChoice, engine: Option<&Engine>, context: &Context) {
    match engine {
        None if asked == DeviceChoice::Auto => {
            let has_features = DeviceChoice::Wgpu.is_compiled_in() || DeviceChoice::Cuda.is_compiled_in();
            context.console.note(if has_features {
                "--device auto takes the cpu: no GPU found"
            } else {
                "--device auto takes the cpu: this program is built without the features wgpu and cuda"
            });
        }
        Some(engine) if asked == DeviceChoice::Auto => {
            context.console.note(&format!("--device auto takes {}", engine.name()));
        }
        Some(engine) if engine.is_software() => context.console.note(&format!(
            "{} is a program that imitates a GPU: right, but slower than --device cpu",
            engine.name()
        )),
        _ => {}
    }
}
