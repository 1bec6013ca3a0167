//! The one thing analysis may call outward: a count of work done.

/// Receives the progress of long work.
pub trait ProgressSink: Send + Sync {
    /// A phase of `total` units begins.
    fn begin(&self, phase: &str, total: u64);
    /// `n` more units are done.
    fn advance(&self, n: u64);
}

/// A handle to whoever watches, or to nobody.
pub struct Progress {
    sink: Box<dyn ProgressSink>,
}

struct SilentSink;

impl ProgressSink for SilentSink {
    fn begin(&self, _phase: &str, _total: u64) {}
    fn advance(&self, _n: u64) {}
}

impl Progress {
    /// Reports to `sink`.
    pub fn new(sink: Box<dyn ProgressSink>) -> Self {
        Self { sink }
    }

    /// Reports to nobody.
    pub fn none() -> Self {
        Self { sink: Box::new(SilentSink) }
    }

    /// A phase of `total` units begins.
    pub fn begin(&self, phase: &str, total: u64) {
        self.sink.begin(phase, total);
    }

    /// `n` more units are done.
    pub fn advance(&self, n: u64) {
        self.sink.advance(n);
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}
