//! How `parallel` splits work among threads: the only file that knows rayon.
//!
//! Work is a number of units, each of a known cost. Small work stays on the caller. Ranges are claimed
//! in ascending order, so the error reported is that of the lowest failing unit, whatever the timing.

use crate::{Result, RuntimeError, Schedule};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Below this much work (in nanoseconds) other threads would cost more than they bring.
const WORTH_SPLITTING_NS: f64 = 30_000.0;
/// Blocks of a dynamic schedule, and the smallest ones of a guided schedule.
const BLOCK_NS: f64 = 20_000.0;

/// Work a single thread does between two reports of progress.
const SERIAL_NS: f64 = 20_000_000.0;

/// Runs ranges of units on one thread or on many.
#[derive(Debug)]
pub(crate) struct Scheduler {
    schedule: Schedule,
    threads: Threads,
    progress: Progress,
}

/// How far the large call under way is: units done, and all of them. For a watcher on another thread.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<(AtomicU64, AtomicU64)>);

impl Progress {
    /// Units done and all units; 0 of 0 before the first large call.
    pub fn get(&self) -> (u64, u64) {
        let total = self.0.1.load(Ordering::Relaxed);
        (self.0.0.load(Ordering::Relaxed).min(total), total)
    }

    fn start(&self, total: usize) {
        self.0.0.store(0, Ordering::Relaxed);
        self.0.1.store(total as u64, Ordering::Relaxed);
    }

    fn add(&self, units: usize) {
        self.0.0.fetch_add(units as u64, Ordering::Relaxed);
    }
}

#[derive(Debug)]
enum Threads {
    /// The caller only.
    One,
    /// The pool the caller is in, or rayon's global one.
    Current,
    /// A pool of our own.
    Own(ThreadPool),
}

impl Scheduler {
    /// Everything on the caller.
    pub(crate) fn single() -> Scheduler {
        Scheduler {
            schedule: Schedule::Static,
            threads: Threads::One,
            progress: Progress::default(),
        }
    }

    /// On `threads` threads of its own, or on those of the pool it is called in.
    pub(crate) fn parallel(schedule: Schedule, threads: Option<usize>) -> Result<Scheduler> {
        let threads = match threads {
            None => Threads::Current,
            Some(0) => {
                return Err(RuntimeError::value("the number of threads cannot be 0")
                    .help("ask for at least one thread"));
            }
            Some(1) => Threads::One,
            Some(n) => {
                // The caller works too, so one thread less is needed.
                let pool = ThreadPoolBuilder::new()
                    .num_threads(n - 1)
                    .thread_name(|i| format!("kjit-{i}"))
                    .build()
                    .map_err(|e| {
                        RuntimeError::limit(format!("cannot start {n} threads: {e}"))
                            .help("ask for fewer threads")
                    })?;
                Threads::Own(pool)
            }
        };
        Ok(Scheduler {
            schedule,
            threads,
            progress: Progress::default(),
        })
    }

    /// How far the call under way is.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// How many threads take part in large work.
    pub(crate) fn threads(&self) -> usize {
        match &self.threads {
            Threads::One => 1,
            Threads::Current => rayon::current_num_threads(),
            Threads::Own(pool) => pool.current_num_threads() + 1,
        }
    }

    /// Is this work too little to split?
    pub(crate) fn is_small(units: usize, ns_per_unit: f64) -> bool {
        units as f64 * ns_per_unit < WORTH_SPLITTING_NS
    }

    /// Runs `body` over ranges that cover `0..units` once. Ranges start at multiples of `grain`.
    pub(crate) fn run(
        &self,
        units: usize,
        grain: usize,
        ns_per_unit: f64,
        body: &(dyn Fn(Range<usize>) -> Result<()> + Sync),
    ) -> Result<()> {
        if units == 0 {
            return Ok(());
        }
        let round = |n: f64| ((n / grain as f64).ceil().max(1.0) as usize).saturating_mul(grain);
        if Scheduler::is_small(units, ns_per_unit) || units <= grain {
            return body(0..units);
        }
        self.progress.start(units);
        let threads = self.threads();
        if threads == 1 {
            let step = round(SERIAL_NS / ns_per_unit.max(1e-3));
            for start in (0..units).step_by(step) {
                let end = units.min(start.saturating_add(step));
                body(start..end)?;
                self.progress.add(end - start);
            }
            return Ok(());
        }
        let claims = Claims {
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            units,
            smallest: match self.schedule {
                Schedule::Static => round(units as f64 / threads as f64),
                Schedule::Dynamic | Schedule::Guided => {
                    // Never more than a share, so that every thread gets work.
                    round(BLOCK_NS / ns_per_unit.max(1e-3))
                        .min(round(units as f64 / threads as f64))
                }
            },
            guided: (self.schedule == Schedule::Guided).then_some((threads, grain)),
        };
        let failure: Mutex<Option<(usize, RuntimeError)>> = Mutex::new(None);
        let work = || {
            while let Some(range) = claims.take() {
                let (start, units) = (range.start, range.len());
                if let Err(error) = body(range) {
                    claims.stop.store(true, Ordering::Relaxed);
                    let mut failure = failure.lock().unwrap_or_else(|p| p.into_inner());
                    if failure.as_ref().is_none_or(|(at, _)| start < *at) {
                        *failure = Some((start, error));
                    }
                }
                self.progress.add(units);
            }
        };
        match &self.threads {
            Threads::One => work(),
            Threads::Current => rayon::in_place_scope(|scope| {
                for _ in 1..threads {
                    scope.spawn(|_| work());
                }
                work();
            }),
            Threads::Own(pool) => pool.in_place_scope(|scope| {
                for _ in 1..threads {
                    scope.spawn(|_| work());
                }
                work();
            }),
        }
        match failure.into_inner().unwrap_or_else(|p| p.into_inner()) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

/// The units not yet claimed.
struct Claims {
    next: AtomicUsize,
    stop: AtomicBool,
    units: usize,
    /// Units of a block; in a guided schedule, of the smallest.
    smallest: usize,
    /// Threads and grain of a guided schedule.
    guided: Option<(usize, usize)>,
}

impl Claims {
    /// The next range, in ascending order.
    fn take(&self) -> Option<Range<usize>> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let mut start = self.next.load(Ordering::Relaxed);
        loop {
            let left = self.units.checked_sub(start).filter(|n| *n > 0)?;
            let want = match self.guided {
                // Half of an equal share of what is left, in whole grains.
                Some((threads, grain)) => (left / (2 * threads) / grain * grain).max(self.smallest),
                None => self.smallest,
            };
            let end = start + want.min(left);
            match self
                .next
                .compare_exchange_weak(start, end, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(start..end),
                Err(now) => start = now,
            }
        }
    }
}
