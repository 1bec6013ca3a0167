//! What goes to and fro between host and device, counted: one queue per engine, whichever thread asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{Device, Int, StreamId, Tensor, TensorData};

/// What went to and fro between host and device, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent to the device.
    pub uploaded: u64,
    /// Bytes read back.
    pub downloaded: u64,
    /// Bytes of values that the host copies from one place of its own to another on the way there or back; what drivers
    /// copy is not among them.
    pub copied: u64,
    /// Kernels of our own begun. burn's CPU backend has none: it does what tensor operations say.
    pub launches: u64,
    /// Times the host asked for results, and waited where they were not there yet.
    pub waits: u64,
    /// Those of them behind which nothing else had been handed to the device: it stands still until the host goes on.
    pub drains: u64,
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
            drains: self.drains - earlier.drains,
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
    drains: AtomicU64,
    /// Things handed to the device.
    issued: AtomicU64,
}

impl Counters {
    fn issue(&self) -> u64 {
        self.issued.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A device with what goes to and fro.
#[derive(Debug, Clone)]
pub(super) struct Link {
    device: Device,
    /// Everything goes one way, in order; left to itself, burn has a queue for every thread.
    stream: StreamId,
    counters: Arc<Counters>,
    /// Whether kernels of our own run there; otherwise the same in tensor operations.
    pub(super) has_kernels: bool,
}

/// Numbers on their way back.
pub(super) struct PendingRead {
    numbers: Numbers,
    /// Values of four bytes.
    n_values: usize,
    ticket: u64,
}

enum Numbers {
    /// Where the device is the program itself.
    Tensors(Vec<Tensor<1>>),
    /// The device copies them once it has come that far, whether the host waits or not.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    Enqueued(super::reading::Enqueued),
}

impl Link {
    pub(super) fn new(device: Device, has_kernels: bool) -> Self {
        Self { device, stream: StreamId::allocate(), counters: Arc::default(), has_kernels }
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Does work on the engine's own queue.
    pub(super) fn in_order<T>(&self, work: impl FnOnce() -> T) -> T {
        self.stream.executes(work)
    }

    pub(super) fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { uploaded, downloaded, copied, launches, waits, drains, issued: _ } = &*self.counters;
        Traffic {
            uploaded: read(uploaded),
            downloaded: read(downloaded),
            copied: read(copied),
            launches: read(launches),
            waits: read(waits),
            drains: read(drains),
        }
    }

    /// Sends numbers there.
    pub(super) fn vector(&self, values: Vec<f32>) -> Tensor<1> {
        self.count_upload(values.len());
        let n = values.len();
        Tensor::from_data(TensorData::new(values, [n]), &self.device)
    }

    /// Sends whole numbers there.
    pub(super) fn integers(&self, values: Vec<i32>) -> Tensor<1, Int> {
        self.count_upload(values.len());
        let n = values.len();
        Tensor::from_data(TensorData::new(values, [n]), &self.device)
    }

    fn count_upload(&self, n_values: usize) {
        self.counters.issue();
        self.counters.uploaded.fetch_add(4 * n_values as u64, Ordering::Relaxed);
    }

    /// Counts a kernel of our own.
    #[cfg_attr(
        not(any(feature = "wgpu", feature = "cuda")),
        expect(dead_code, reason = "only devices with kernels of ours begin some")
    )]
    pub(super) fn count_launch(&self) {
        self.counters.issue();
        self.counters.launches.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes that the host copies from one place of its own to another.
    pub(super) fn count_copied(&self, bytes: usize) {
        self.counters.copied.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Has numbers read back behind all that was handed to the device before, without waiting.
    pub(super) fn begin_read(&self, tensors: Vec<Tensor<1>>) -> PendingRead {
        let ticket = self.counters.issue();
        let n_values = tensors.iter().map(|tensor| tensor.dims()[0]).sum();
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if self.has_kernels {
            let numbers = Numbers::Enqueued(super::reading::Enqueued::new(&tensors));
            return PendingRead { numbers, n_values, ticket };
        }
        PendingRead { numbers: Numbers::Tensors(tensors), n_values, ticket }
    }

    /// Waits for numbers; gives them tensor by tensor.
    pub(super) fn finish_read(&self, pending: PendingRead) -> Result<Vec<TensorData>, String> {
        let PendingRead { numbers, n_values, ticket } = pending;
        self.counters.waits.fetch_add(1, Ordering::Relaxed);
        self.counters.downloaded.fetch_add(4 * n_values as u64, Ordering::Relaxed);
        if self.counters.issued.load(Ordering::Relaxed) == ticket {
            self.counters.drains.fetch_add(1, Ordering::Relaxed);
        }
        match numbers {
            Numbers::Tensors(tensors) => tensors
                .into_iter()
                .map(|tensor| tensor.try_into_data().map_err(|error| error.to_string()))
                .collect(),
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            Numbers::Enqueued(enqueued) => enqueued.wait(),
        }
    }
}
