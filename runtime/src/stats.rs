//! What an engine has done: times, bytes, kernels.

use std::sync::Mutex;
use std::time::Duration;

/// Totals since the engine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Time spent making kernels (front end, passes, code).
    pub compile: Duration,
    /// Time spent running them.
    pub run: Duration,
    /// Time spent moving arrays between host and device.
    pub transfer: Duration,
    /// Bytes of the arrays read by kernels.
    pub bytes_read: u64,
    /// Bytes of the arrays written by kernels.
    pub bytes_written: u64,
    /// Kernels compiled (a kernel per dtypes, access classes and code).
    pub kernels_compiled: usize,
    /// Calls: element-wise operations and reductions.
    pub calls: usize,
}

impl Stats {
    /// Adds the totals of another.
    pub fn add(&mut self, other: &Stats) {
        self.compile += other.compile;
        self.run += other.run;
        self.transfer += other.transfer;
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
        self.kernels_compiled += other.kernels_compiled;
        self.calls += other.calls;
    }
}

/// Totals that many threads add to.
#[derive(Debug, Default)]
pub(crate) struct SharedStats(Mutex<Stats>);

impl SharedStats {
    pub(crate) fn add(&self, part: &Stats) {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .add(part);
    }

    pub(crate) fn get(&self) -> Stats {
        *self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
