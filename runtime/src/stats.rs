//! What an engine has done: times, bytes, kernels.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Totals since the engine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Time spent making kernels (front end, passes, code).
    pub compile: Duration,
    /// Time spent running them. Of small calls (under some 30 microseconds by the cost model, on contiguous
    /// operands, of kernels without loops) all are timed up to the 16th and one in 16 from then on, which
    /// stands for the others; every other call is timed.
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
pub(crate) struct SharedStats {
    totals: Mutex<Stats>,
    /// Small calls: their number, the bytes read and written, and nanoseconds.
    small: [AtomicU64; 4],
}

/// So many small calls are all timed; of the others, one of so many.
const SAMPLE: u64 = 16;

impl SharedStats {
    pub(crate) fn add(&self, part: &Stats) {
        self.totals
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .add(part);
    }

    /// Runs and accounts for a small call, which may take no longer than looking at the clock twice: the
    /// times of many are estimated from some. An `exact` one is always timed.
    #[inline]
    pub(crate) fn small_call(
        &self,
        exact: bool,
        bytes_read: usize,
        bytes_written: usize,
        call: impl FnOnce(),
    ) {
        let add = |n: usize, value: u64| self.small[n].fetch_add(value, Ordering::Relaxed);
        let number = add(0, 1);
        add(1, bytes_read as u64);
        add(2, bytes_written as u64);
        let sampled = !exact && number >= SAMPLE;
        let timed = !sampled || number.is_multiple_of(SAMPLE);
        let start = timed.then(Instant::now);
        call();
        if let Some(start) = start {
            let weight = if sampled { SAMPLE } else { 1 };
            add(3, start.elapsed().as_nanos() as u64 * weight);
        }
    }

    pub(crate) fn get(&self) -> Stats {
        let mut stats = *self
            .totals
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let [calls, read, written, ns] =
            [0, 1, 2, 3].map(|n| self.small[n].load(Ordering::Relaxed));
        stats.add(&Stats {
            run: Duration::from_nanos(ns),
            bytes_read: read,
            bytes_written: written,
            calls: calls as usize,
            ..Stats::default()
        });
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls whose time is known to be exact add nothing but their own; sampled ones count for others.
    #[test]
    fn exact_calls_are_not_samples() {
        let stats = SharedStats::default();
        let pause = Duration::from_millis(2);
        for _ in 0..SAMPLE + 1 {
            stats.small_call(true, 3, 1, || std::thread::sleep(pause));
        }
        let run = stats.get().run;
        let calls = SAMPLE as u32 + 1;
        assert!(run >= pause * calls, "{run:?}");
        // Of these only the one that follows them is timed.
        for _ in 0..SAMPLE - 1 {
            stats.small_call(false, 3, 1, || std::thread::sleep(pause));
        }
        assert_eq!(stats.get().run, run);
        stats.small_call(false, 3, 1, || std::thread::sleep(pause));
        assert!(stats.get().run >= run + pause * SAMPLE as u32);
        assert_eq!(stats.get().calls, 33);
        assert_eq!(
            (stats.get().bytes_read, stats.get().bytes_written),
            (99, 33)
        );
    }
}
