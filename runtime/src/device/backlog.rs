//! Launches that nobody has waited for yet.
//!
//! A kernel without run-time checks and counted loops has nothing to report, so its launch returns once
//! it is in the device's queue. Whoever reads results on the host waits first. What piles up in the
//! queue is bounded: after so many launches or uploaded bytes a launch waits for those before it.

use super::Shared;
use crate::{Result, Stats};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Launches that may be in the queue.
const MAX_LAUNCHES: usize = 64;
/// Uploaded bytes that may wait for their copies: staging memory is freed when they are done.
const MAX_UPLOADED: usize = 256 << 20;

/// What is in the queue, and the time spent waiting and downloading outside of calls.
#[derive(Default)]
pub(super) struct Backlog(Mutex<State>);

#[derive(Default)]
struct State {
    launches: usize,
    uploaded: usize,
    late: Stats,
}

impl Backlog {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Times since the last call of this, for whoever adds them up.
    pub(super) fn take_late(&self) -> Stats {
        self.with(|state| std::mem::take(&mut state.late))
    }

    pub(super) fn add_late(&self, late: &Stats) {
        self.with(|state| state.late.add(late));
    }
}

impl Shared {
    /// Notes a launch that nobody waits for. Belongs inside of a guard.
    pub(super) fn launched(&self) -> Result<()> {
        let full = self.backlog.with(|state| {
            state.launches += 1;
            state.launches >= MAX_LAUNCHES
        });
        if full { self.drain() } else { Ok(()) }
    }

    /// Notes bytes on their way to the device. Belongs inside of a guard.
    pub(super) fn uploaded(&self, bytes: usize) -> Result<()> {
        let full = self.backlog.with(|state| {
            state.uploaded += bytes;
            state.uploaded >= MAX_UPLOADED
        });
        if full {
            // Writes go with the next submission.
            self.queue.submit([]);
            self.drain()?;
        }
        Ok(())
    }

    /// Waits for everything submitted so far. Belongs inside of a guard.
    pub(super) fn drain(&self) -> Result<()> {
        self.backlog.with(|state| {
            state.launches = 0;
            state.uploaded = 0;
        });
        self.wait(None)
    }

    /// As [`Shared::drain`], guarded; the time counts as running kernels.
    pub(super) fn settle(&self) -> Result<()> {
        if self.backlog.with(|state| state.launches) == 0 {
            return Ok(());
        }
        let start = Instant::now();
        self.guarded("waiting for kernels", || self.drain())?;
        self.backlog.add_late(&Stats {
            run: start.elapsed(),
            ..Stats::default()
        });
        Ok(())
    }
}
