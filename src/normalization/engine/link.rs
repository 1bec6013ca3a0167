//! What goes to and fro between host and device, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{Device, Int, Tensor, TensorData};

/// What went to and fro between host and device, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent to the device.
    pub uploaded: u64,
    /// Bytes read back.
    pub downloaded: u64,
    /// Bytes that the host copies from one place of its own to another on the way there or back; what drivers copy is
    /// not among them.
    pub copied: u64,
    /// Kernels of our own begun. burn's CPU backend has none: it does what tensor operations say.
    pub launches: u64,
    /// Times the host asked for results and so waited until the device had come that far.
    pub waits: u64,
}

impl Traffic {
    /// What went since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            uploaded: self.uploaded - earlier.uploaded,
            downloaded: self.downloaded - earlier.downloaded,
            copied: self.copied - earlier.copied,
            launches: self.launches - earlier.launches,
            waits: self.waits - earlier.waits,
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    uploaded: AtomicU64,
    downloaded: AtomicU64,
    copied: AtomicU64,
    launches: AtomicU64,
    waits: AtomicU64,
}

/// A device with what goes to and fro.
#[derive(Debug, Clone)]
pub(super) struct Link {
    device: Device,
    counters: Arc<Counters>,
}

impl Link {
    pub(super) fn new(device: Device) -> Self {
        Self { device, counters: Arc::default() }
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    pub(super) fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { uploaded, downloaded, copied, launches, waits } = &*self.counters;
        Traffic {
            uploaded: read(uploaded),
            downloaded: read(downloaded),
            copied: read(copied),
            launches: read(launches),
            waits: read(waits),
        }
    }

    /// Sends numbers there.
    pub(super) fn vector(&self, values: Vec<f32>) -> Tensor<1> {
        self.counters.uploaded.fetch_add(size_of_val(&values[..]) as u64, Ordering::Relaxed);
        let n = values.len();
        Tensor::from_data(TensorData::new(values, [n]), &self.device)
    }

    /// Sends whole numbers there.
    pub(super) fn integers(&self, values: Vec<i32>) -> Tensor<1, Int> {
        self.counters.uploaded.fetch_add(size_of_val(&values[..]) as u64, Ordering::Relaxed);
        let n = values.len();
        Tensor::from_data(TensorData::new(values, [n]), &self.device)
    }

    /// Counts a kernel of our own.
    #[cfg_attr(
        not(any(feature = "wgpu", feature = "cuda")),
        expect(dead_code, reason = "only devices with kernels of ours begin some")
    )]
    pub(super) fn count_launch(&self) {
        self.counters.launches.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts `n` values of four bytes read back, for which the host waited.
    pub(super) fn count_read(&self, n: usize) {
        self.counters.downloaded.fetch_add(4 * n as u64, Ordering::Relaxed);
        self.counters.waits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes that the host copies from one place of its own to another.
    pub(super) fn count_copied(&self, bytes: usize) {
        self.counters.copied.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
