//! Which devices there are, why others are not, and opening one without ever panicking.

use burn::tensor::Device;

use super::choice::DeviceChoice;
use super::driver::Engine;
use super::failure::{DeviceError, first_line, guarded};

/// A device, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePresence {
    /// What `--device` calls it.
    pub choice: DeviceChoice,
    /// Its name, where it is present and works.
    pub name: Result<String, DeviceError>,
    /// Whether it is a program that imitates a GPU: never taken by [`DeviceChoice::Auto`].
    pub is_software: bool,
}

/// All devices, each opened and tried once; none of them panics.
pub fn available_devices() -> Vec<DevicePresence> {
    let mut found = vec![
        DevicePresence { choice: DeviceChoice::Cpu, name: Ok(cpu_name()), is_software: false },
        presence(DeviceChoice::Flex, Device::flex()),
    ];
    for choice in [DeviceChoice::Wgpu, DeviceChoice::Cuda] {
        match candidates(choice) {
            Ok(devices) => found.extend(devices.into_iter().map(|device| presence(choice, device))),
            Err(error) => found.push(DevicePresence { choice, name: Err(error), is_software: false }),
        }
    }
    found
}

/// Opens a device; `None` for the CPU, which needs no engine.
///
/// # Errors
/// A device that was not compiled in, is not there or does not work.
pub fn open_device(choice: DeviceChoice) -> Result<Option<Engine>, DeviceError> {
    match choice {
        DeviceChoice::Cpu => Ok(None),
        DeviceChoice::Flex => Engine::open(choice, Device::flex()).map(Some),
        DeviceChoice::Auto => {
            // A GPU that is there but does not work is an error the user wants to see, not a reason to go slowly.
            for choice in [DeviceChoice::Cuda, DeviceChoice::Wgpu] {
                for device in candidates(choice).unwrap_or_default() {
                    let engine = Engine::open(choice, device)?;
                    if !engine.is_software() {
                        return Ok(Some(engine));
                    }
                }
            }
            Ok(None)
        }
        DeviceChoice::Wgpu | DeviceChoice::Cuda => {
            let devices = candidates(choice)?;
            let mut software = None;
            for device in devices {
                let engine = Engine::open(choice, device)?;
                if !engine.is_software() {
                    return Ok(Some(engine));
                }
                software = software.or(Some(engine));
            }
            Ok(software)
        }
    }
}

fn cpu_name() -> String {
    "the reference, at 64 bits".to_owned()
}

fn presence(choice: DeviceChoice, device: Device) -> DevicePresence {
    match Engine::open(choice, device) {
        Ok(engine) => DevicePresence {
            choice,
            is_software: engine.is_software(),
            name: Ok(engine.own_name().to_owned()),
        },
        Err(error) => DevicePresence { choice, name: Err(error), is_software: false },
    }
}

/// Devices of one kind on this machine, at least one.
fn candidates(choice: DeviceChoice) -> Result<Vec<Device>, DeviceError> {
    if !choice.is_compiled_in() {
        return Err(DeviceError::NotCompiledIn(choice));
    }
    let found = guarded(|| enumerate(choice));
    let devices = found.map_err(|cause| DeviceError::Absent { choice, cause: first_line(&cause) })?;
    if devices.is_empty() {
        let cause = match choice {
            DeviceChoice::Cuda => "the NVIDIA driver is not installed or sees no card",
            _ if cfg!(target_os = "linux") => "no Vulkan driver reports an adapter",
            _ => "no graphics driver reports an adapter",
        };
        return Err(DeviceError::Absent { choice, cause: cause.to_owned() });
    }
    Ok(devices)
}

fn enumerate(choice: DeviceChoice) -> Vec<Device> {
    match choice {
        #[cfg(feature = "wgpu")]
        DeviceChoice::Wgpu if cfg!(target_os = "linux") => vulkan_devices(),
        #[cfg(feature = "wgpu")]
        DeviceChoice::Wgpu => Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec(),
        #[cfg(feature = "cuda")]
        DeviceChoice::Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
        DeviceChoice::Flex => vec![Device::flex()],
        _ => Vec::new(),
    }
}

/// Adapters that Vulkan reports. Left to choose, wgpu would try OpenGL too where there is no GPU, and have its
/// libraries complain on stderr.
#[cfg(feature = "wgpu")]
fn vulkan_devices() -> Vec<Device> {
    use burn::backend::{CubeDevice, WgpuBackend, WgpuDevice, WgpuDeviceKind};
    let kinds = [
        WgpuDeviceKind::DiscreteGpu(0),
        WgpuDeviceKind::IntegratedGpu(0),
        WgpuDeviceKind::VirtualGpu(0),
        WgpuDeviceKind::Other(0),
        WgpuDeviceKind::Cpu,
    ];
    let of_kind =
        |kind| CubeDevice::enumerate(CubeDevice::Wgpu(WgpuDevice::new(kind).on(WgpuBackend::Vulkan)).to_id());
    kinds.into_iter().flat_map(of_kind).map(|id| Device::new(CubeDevice::from_id(id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_and_flex_are_always_there() {
        let found = available_devices();
        for choice in [DeviceChoice::Cpu, DeviceChoice::Flex] {
            assert!(found.iter().any(|device| device.choice == choice && device.name.is_ok()));
        }
        assert!(open_device(DeviceChoice::Cpu).expect("no device needed").is_none());
    }

    #[test]
    fn what_was_not_compiled_in_says_so() {
        for choice in [DeviceChoice::Wgpu, DeviceChoice::Cuda] {
            if !choice.is_compiled_in() {
                let error = open_device(choice).expect_err("not compiled in");
                assert_eq!(error, DeviceError::NotCompiledIn(choice));
                assert!(error.hint().contains(&format!("--features {}", choice.name())));
            }
        }
    }
}
