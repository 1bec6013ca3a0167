//! What becomes of a device's failures: errors, never panics.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::choice::DeviceChoice;

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

/// Whether a panic is a device's failure, which becomes an error and whose backtrace is not shown.
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
    fn a_panic_becomes_its_message() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|info| assert!(is_device_failure(info))));
        let failed: Result<(), String> = guarded(|| panic!("lost"));
        std::panic::set_hook(hook);
        assert_eq!(failed, Err("lost".to_owned()));
        assert_eq!(first_line("An error happened\nCaused by:\n  out of memory\nBacktrace:"), "out of memory");
    }
}
