//! Numbers that a device hands back while the host goes on.
//!
//! burn's own way to read a tensor begins when the host first looks at the numbers. What is asked of cubecl is enqueued at
//! once: the device copies into memory the host can see (pinned by cubecl on CUDA, a mapped staging buffer on wgpu) as soon
//! as it has come that far, and goes on with what was handed to it since.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use burn::cubecl::server::{CopyDescriptor, ServerError};
use burn::tensor::{Bytes, DType, Tensor, TensorData, read_sync};

use super::cubes::primitive;

type Reading = Pin<Box<dyn Future<Output = Result<Vec<Bytes>, ServerError>> + Send>>;

/// A copy that the device has been told to make.
pub(super) struct Enqueued {
    reading: Reading,
    lengths: Vec<usize>,
}

/// Pending once, so that what stands before it can be done without waiting for what comes behind.
struct Later {
    is_later: bool,
}

impl Future for Later {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.is_later {
            return Poll::Ready(());
        }
        self.is_later = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Enqueued {
    pub(super) fn new(tensors: &[Tensor<1>]) -> Self {
        let lengths = tensors.iter().map(|tensor| tensor.dims()[0]).collect();
        let primitives: Vec<_> = tensors.iter().map(primitive).collect();
        let reading = async move {
            let Some(first) = primitives.first() else { return Ok(Vec::new()) };
            let descriptors = primitives
                .iter()
                .map(|tensor| {
                    let (shape, strides) = (tensor.meta.shape().clone(), tensor.meta.strides().clone());
                    CopyDescriptor::new(tensor.handle.clone().binding(), shape, strides, size_of::<f32>())
                })
                .collect();
            // The call enqueues the copy, what it gives waits for it.
            let mut copied = pin!(first.client.read_tensor_async(descriptors));
            Later { is_later: false }.await;
            copied.as_mut().await
        };
        let mut reading: Reading = Box::pin(reading);
        let first = reading.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(done) = first {
            reading = Box::pin(std::future::ready(done));
        }
        Self { reading, lengths }
    }

    pub(super) fn wait(self) -> Result<Vec<TensorData>, String> {
        let found = read_sync(self.reading).map_err(|error| error.to_string())?;
        let data = found.into_iter().zip(self.lengths);
        Ok(data.map(|(bytes, n)| TensorData::from_bytes(bytes, [n], DType::F32)).collect())
    }
}
