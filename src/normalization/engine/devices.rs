//! Which devices there are, why others are not, and opening one without ever panicking.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Tensor};

use super::Engine;

/// A device as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// A device that cannot be had, or that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// This build does not know it.
    #[error("device {} is not compiled into this program", .0.name())]
    NotCompiledIn(DeviceChoice),
    /// There is none on this machine.
    #[error("no device for {}: {cause}", choice.name())]
    Absent {
        /// What was asked for.
        choice: DeviceChoice,
        /// Why there is none.
        cause: String,
    },
    /// It stopped working: out of memory, a lost device, a failing driver.
    #[error("device {device} failed: {cause}")]
    Failed {
        /// The device.
        device: String,
        /// What it said.
        cause: String,
    },
    /// Values whose squares 32 bits do not hold.
    #[error("device {device} computes at 32 bits, and these values are too large for that")]
    Range {
        /// The device.
        device: String,
    },
}

impl DeviceError {
    /// The cause alone, without the device's name.
    pub fn cause(&self) -> String {
        match self {
            Self::NotCompiledIn(_) => "not compiled in".to_owned(),
            Self::Absent { cause, .. } | Self::Failed { cause, .. } => cause.clone(),
            Self::Range { .. } => self.to_string(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotCompiledIn(choice) => {
                format!("build with it: cargo install --path . --features {}", choice.name())
            }
            Self::Absent { choice: DeviceChoice::Cuda, .. } => "install the NVIDIA driver".to_owned(),
            Self::Absent { .. } => {
                "install the card's driver, or Mesa's (Debian: libvulkan1 mesa-vulkan-drivers)".to_owned()
            }
            Self::Failed { .. } => "--device cpu needs no device; simic devices tests each".to_owned(),
            Self::Range { .. } => "--device cpu computes at 64 bits".to_owned(),
        }
    }
}

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
        Ok(engine) => DevicePresence { choice, is_software: engine.is_software(), name: Ok(engine.part) },
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

impl Engine {
    /// Opens a device and has it do a sum: constructors are lazy, and a device that is not there would panic later.
    fn open(choice: DeviceChoice, device: Device) -> Result<Self, DeviceError> {
        let absent = |cause: String| DeviceError::Absent { choice, cause: first_line(&cause) };
        let tried = guarded(|| {
            let (name, is_software) = identity(&device);
            let sum = Tensor::<1>::from_floats([1.0, 2.0], &device) + 1.0;
            let sum = sum.try_into_data().map_err(|error| error.to_string())?;
            let sum = sum.try_into_vec::<f32>().map_err(|error| format!("{error:?}"))?;
            if sum == [2.0, 3.0] {
                Ok((name, is_software))
            } else {
                Err(format!("1 + 1 and 2 + 1 gave {sum:?}"))
            }
        });
        let (name, is_software) = tried.map_err(absent)?.map_err(absent)?;
        Ok(Self {
            device,
            name: format!("{} ({name})", choice.name()),
            part: name,
            choice,
            is_software,
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            has_kernels: choice != DeviceChoice::Flex,
        })
    }
}

/// A device's name, and whether it only imitates a GPU.
fn identity(device: &Device) -> (String, bool) {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(identity) = device.identity() {
        return (identity.name, identity.physical.is_none());
    }
    let _ = device;
    ("burn on the CPU, at 32 bits".to_owned(), false)
}

/// The cause in a message of several lines.
pub(super) fn first_line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let after_cause = lines.iter().position(|line| *line == "Caused by:").and_then(|at| lines.get(at + 1));
    after_cause.or(lines.first()).map_or_else(|| "no reason given".to_owned(), |line| (*line).to_owned())
}

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Threads that wait for a device.
static GUARDED: AtomicUsize = AtomicUsize::new(0);

/// Does work on a device; a panic, which is how drivers' failures arrive, becomes its message.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let was_guarded = IS_GUARDED.replace(true);
    GUARDED.fetch_add(1, Ordering::SeqCst);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.fetch_sub(1, Ordering::SeqCst);
    IS_GUARDED.set(was_guarded);
    done.map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "no reason given".to_owned())
    })
}

/// Whether a panic is a device's failure, which becomes an error: its backtrace is nobody's business.
///
/// True on a thread that is at work on a device, and on the device's own threads meanwhile.
pub fn is_device_failure(info: &PanicHookInfo<'_>) -> bool {
    let is_drivers = info.location().is_some_and(|place| {
        ["cubecl", "burn-", "wgpu", "cudarc"].iter().any(|name| place.file().contains(name))
    });
    IS_GUARDED.get() || (is_drivers && GUARDED.load(Ordering::SeqCst) > 0)
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

    #[test]
    fn a_panic_becomes_its_message() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|info| assert!(is_device_failure(info))));
        let failed: Result<(), String> = guarded(|| panic!("lost"));
        std::panic::set_hook(hook);
        assert_eq!(failed, Err("lost".to_owned()));
        assert_eq!(first_line("An error happened\nCaused by:\n  out of memory\nBacktrace:"), "out of memory");
    }
}
